//! What holds for anything that comes from outside, tried on some hundreds of made-up examples.
//! The targets of tests/fuzz try the same on millions.

use std::ffi::OsStr;
use std::fmt::Debug;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{TestCaseResult, TestRunner};
use serde_json::{Map, Value};

use crate::world::{Delivery, NOWHERE, World, payload_after, quoted, text};

/// It knows no other room, so it can be asked directly.
#[path = "../../src/redaction.rs"]
mod redaction;

/// Examples of what is asked directly, of what starts the program, of what starts git too.
const MANY: u32 = 500;
const SOME: u32 = 200;
const FEW: u32 = 40;

/// A failure prints its smallest example, which then belongs into a test of its own.
#[track_caller]
fn holds<S>(cases: u32, examples: S, property: impl Fn(S::Value) -> TestCaseResult)
where
    S: Strategy,
    S::Value: Debug,
{
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    if let Err(failure) = TestRunner::new(config).run(&examples, property) {
        panic!("{failure}");
    }
}

// ---- redaction ----

/// Whatever stands around it, and whichever blanks git puts there.
fn around() -> impl Strategy<Value = (String, String)> {
    let words = || {
        prop::collection::vec(
            prop_oneof![
                any::<String>(),
                select(vec![
                    "://",
                    "@",
                    "'",
                    "http://",
                    "token=",
                    "ghp_",
                    "Authorization: "
                ])
                .prop_map(str::to_owned),
            ],
            0..5,
        )
    };
    (words(), words()).prop_map(|(before, after)| (before.concat(), after.concat()))
}

/// A text in which nothing that was made up is like the mark.
fn has_no_mark(text: &str) -> bool {
    !text.contains("5ecre7")
}

#[test]
fn a_login_in_a_url_is_masked_wherever_it_stands() {
    let password = "[!-~ä-ü]{0,12}";
    let scheme = select(vec!["https", "http", "ssh", "ftp", "HTTPS", "x+y"]);
    let user = select(vec!["", "me:", "me%40home:", ":", "a:b:"]);
    let quote = select(vec!["'", " ", "\"", "\n", ""]);
    holds(
        MANY,
        (around(), scheme, user, password, quote),
        |((before, after), scheme, user, password, quote)| {
            prop_assume!(has_no_mark(&before) && has_no_mark(&after));
            let url = format!("{scheme}://{user}5ecre7{password}5ecre7@host/o/n.git");
            let said = format!("{before}{quote}{url}{quote} {after}");
            let shown = redaction::redact(&said, []);
            prop_assert!(has_no_mark(&shown), "{said:?}: {shown:?}");
            if let Some(credential) = redaction::credential_in(&url) {
                let said = format!("{before}{credential}{after}");
                let shown = redaction::redact(&said, [credential.as_str()]);
                prop_assert!(has_no_mark(&shown), "{said:?}: {shown:?}");
            }
            Ok(())
        },
    );
}

#[test]
fn a_token_and_a_known_secret_are_masked_wherever_they_stand() {
    let start = select(vec![
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github_pat_",
        "glpat-",
    ]);
    holds(
        MANY,
        (around(), start, "[A-Za-z0-9]{24,60}", "[!-)+-~ ä]{3,30}"),
        |((before, after), start, tail, secret)| {
            let token = format!("{start}{tail}");
            let said = format!("{before}{token} {after}");
            prop_assert!(!redaction::redact(&said, []).contains(&tail));
            let said = format!("{before}{secret}{after}");
            let shown = redaction::redact(&said, [secret.as_str()]);
            prop_assert!(!shown.contains(&secret), "{said:?}: {shown:?}");
            Ok(())
        },
    );
}

#[test]
fn what_is_shown_cannot_play_with_a_screen() {
    holds(MANY, around(), |(before, after)| {
        let said = format!("{before}{after}");
        let masked = redaction::redact(&said, []);
        let is_odd = |c: char| c.is_control() && c != '\n' && c != '\t';
        prop_assert!(!redaction::escape(&masked).contains(is_odd));
        prop_assert!(!redaction::escape_line(&masked).contains(char::is_control));
        prop_assert!(!redaction::excerpt(&said).contains(char::is_control));
        Ok(())
    });
}

// ---- whole requests ----

/// The variables that decide, and some that do not.
const VARIABLES: &[&str] = &[
    "CONTENT_LENGTH",
    "CONTENT_TYPE",
    "DOCUMENT_ROOT",
    "GATEWAY_INTERFACE",
    "HTTP_ACCEPT",
    "HTTP_CONTENT_ENCODING",
    "HTTP_TRANSFER_ENCODING",
    "HTTP_X_GITHUB_DELIVERY",
    "HTTP_X_GITHUB_EVENT",
    "HTTP_X_HUB_SIGNATURE",
    "HTTP_X_HUB_SIGNATURE_256",
    "PATH_INFO",
    "QUERY_STRING",
    "REMOTE_USER",
    "REQUEST_METHOD",
    "SCRIPT_FILENAME",
    "SERVER_PROTOCOL",
];

fn value() -> impl Strategy<Value = Vec<u8>> {
    let usual = select(vec![
        "",
        "POST",
        "GET",
        "HEAD",
        "PUT",
        "push",
        "ping",
        "application/json",
        "chunked",
        "gzip",
        "identity",
        "0",
        "1",
        "-1",
        "99999999999999999999",
        "sha256=",
        "a=b",
        "check",
        "/etc/passwd",
    ]);
    prop_oneof![
        2 => usual.prop_map(|word| word.as_bytes().to_vec()),
        1 => "sha256=[0-9a-f]{62,66}".prop_map(String::into_bytes),
        1 => "sha1=[0-9a-f]{38,42}".prop_map(String::into_bytes),
        1 => prop::collection::vec(1..=255_u8, 0..40),
    ]
}

#[test]
fn no_request_without_a_proof_is_more_than_refused() {
    let mut world = World::new();
    world.key("on_update", "\"touch ../ran\"");
    let before = world.git(&world.checkout(), &["log", "-g", "--format=%H"]);
    let changes = prop::collection::vec((select(VARIABLES), prop::option::of(value())), 0..6);
    let body = prop::collection::vec(any::<u8>(), 0..200);
    holds(SOME, (changes, body), |(changes, body)| {
        let delivery = world.delivery("push", body).signed_with(b"guess");
        let change = |delivery: Delivery, (name, value): (&str, Option<Vec<u8>>)| match value {
            Some(value) => delivery.var(name, OsStr::from_bytes(&value)),
            None => delivery.without(name),
        };
        // Whatever it is, its form is looked at when it is read.
        let reply = changes.into_iter().fold(delivery, change).send();
        match reply.status {
            200 => prop_assert!(matches!(reply.first_word(), "ready" | ""), "{:?}", reply),
            400 | 403 | 405 | 413 | 415 => {
                prop_assert!(matches!(reply.first_word(), "refused" | ""), "{:?}", reply);
            }
            _ => prop_assert!(false, "{:?}", reply),
        }
        prop_assert_eq!(reply.exit, Some(0));
        prop_assert_eq!(&reply.stderr, "");
        Ok(())
    });
    let after = world.git(&world.checkout(), &["log", "-g", "--format=%H"]);
    assert_eq!(after, before);
    assert!(!world.exists("ran") && !world.state("").exists());
}

#[test]
fn what_is_signed_and_about_another_repository_deploys_nothing() {
    let world = World::new();
    let before = world.head();
    let field = prop_oneof![
        any::<String>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        Just(Value::Array(vec!["main".into()])),
        Just(Value::Object(Map::new())),
        "[0-9a-f]{40}".prop_map(Value::from),
        "refs/(heads|tags|x)/[ -~]{0,20}".prop_map(Value::from),
    ];
    let place = select(vec![
        "/ref",
        "/before",
        "/after",
        "/repository",
        "/repository/name",
        "/deleted",
        "/commits/0/id",
        "/pusher",
    ]);
    let changes = prop::collection::vec((place, field), 0..4);
    holds(FEW, (changes, "[ -~]{1,20}"), |(changes, name)| {
        let mut payload = payload_after(NOWHERE, NOWHERE);
        payload["repository"]["full_name"] = format!("{name}/{name}").into();
        for (place, value) in changes {
            if let Some(field) = payload.pointer_mut(place) {
                *field = value;
            }
        }
        let reply = world.delivery("push", payload.to_string()).send();
        let end = (reply.status, reply.first_word());
        prop_assert!(
            matches!(end, (200, "ignored") | (400, "refused")),
            "{:?}",
            reply
        );
        prop_assert!(
            reply.body.lines().count() == 1 && reply.body.len() < 2000,
            "{:?}",
            reply
        );
        Ok(())
    });
    assert_eq!((world.head(), world.tickets()), (before, 0));
}

// ---- forms ----

#[test]
fn a_form_is_taken_when_it_has_one_payload_that_is_an_object() {
    let world = World::new();
    let piece = select(vec![
        "payload",
        "payload=",
        "&",
        "=",
        "{}",
        "%7B%7D",
        "{",
        "}",
        "%7b",
        "%22a%22:1",
        "+",
        "%2B",
        "%",
        "%2",
        "%zz",
        "x",
        "p%61yload=",
        "%00",
        "%FF",
        "{\"a\":\"%C3%A4\"}",
        "{\"a\":\"%FF\"}",
    ]);
    let form = prop::collection::vec(piece, 0..7).prop_map(|pieces| pieces.concat());
    holds(SOME, form, |form| {
        let payloads: Vec<String> = form_urlencoded::parse(form.as_bytes())
            .filter(|(name, _)| name == "payload")
            .map(|(_, payload)| payload.into_owned())
            .collect();
        let expected = match payloads.as_slice() {
            // With U+FFFD in the place of what is not UTF-8 (WHATWG URL, section 5.1).
            [one] if serde_json::from_str::<Map<String, Value>>(one).is_ok() => (200, "ignored"),
            [_] => (400, "refused"),
            _ => (415, "refused"),
        };
        let delivery = world.delivery("star", form.as_str());
        let reply = delivery
            .var("CONTENT_TYPE", "application/x-www-form-urlencoded")
            .send();
        prop_assert_eq!((reply.status, reply.first_word()), expected);
        Ok(())
    });
}

// ---- site files ----

#[test]
fn any_site_file_is_a_site_or_one_line_of_complaint_without_what_may_be_a_secret() {
    let world = World::new();
    let site = world.path("site.toml");
    let program = world.program.clone();
    let key = select(vec![
        "repo",
        "secret_file",
        "branch",
        "repository",
        "update",
        "submodules",
        "on_update",
        "on_failure",
        "clone",
        "wait",
        "timeout",
        "max_body",
        "path",
        "env",
        "umask",
        "secret",
        "\"a b\"",
        "env.A",
        "",
    ]);
    let value = prop_oneof![
        select(vec![
            "\"hunter2\"",
            "'hunter2'",
            "hunter2",
            "\"hunter2",
            "[\"hunter2\"]",
            "{ A = \"hunter2\" }",
            "8",
            "\"8s\"",
            "\"022\"",
            "\"main\"",
            "1979-05-27",
            "{ GIT_DIR = \"hunter2\" }",
            "\"\"\"\nhunter2\"\"\"",
            "\"\\u0000hunter2\"",
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,10}".prop_map(|text| format!("\"hunter2{}\"", text.replace(['"', '\\'], ""))),
    ];
    // What stands behind a known key is shown, but for the variables and the secret's place.
    let may_be_a_secret = ["secret_file", "env", "secret", "\"a b\"", "env.A", ""];
    let line = (key, value).prop_map(move |(key, value)| {
        let value = if may_be_a_secret.contains(&key) {
            value
        } else {
            value.replace("hunter2", "no secret")
        };
        format!("{key} = {value}\n")
    });
    let lines = prop::collection::vec(prop_oneof![4 => line, 1 => "[ -~\r]{0,10}\n"], 0..4);
    let ending = select(vec!["\n", "\r\n"]);
    holds(
        SOME,
        (any::<bool>(), lines, ending),
        |(whole, lines, ending)| {
            let settings = if whole {
                world.settings()
            } else {
                String::new()
            };
            let file = (lines.concat() + &settings).replace('\n', ending);
            fs::write(&site, file).unwrap();
            let page = world.delivery("star", "{}").bare("GET").through(&program);
            let reply = page.var("DEPLOY_CGI_SITE", text(&site)).send();
            prop_assert!(matches!(reply.status, 200 | 500), "{:?}", reply);
            prop_assert_eq!(reply.first_word(), "ready");
            prop_assert!(
                reply.stderr.lines().count() == usize::from(reply.status == 500),
                "{:?}",
                reply
            );
            prop_assert!(!reply.stderr.contains("hunter2"), "{:?}", reply);
            prop_assert!(!reply.body.contains("no secret"), "{:?}", reply);
            prop_assert!(!reply.body.contains("hunter2"), "{:?}", reply);
            Ok(())
        },
    );
}

// ---- the remote's URL ----

#[test]
fn owner_and_name_are_read_out_of_every_form_of_a_url() {
    let world = World::new();
    let config = world.path("checkout/.git/config");
    let before = fs::read_to_string(&config).unwrap();
    let url = world.origin.url("me/site.git");
    let start = select(vec![
        "https://host/",
        "http://host:8080/",
        "ssh://git@host/",
        "ssh://git@host:22/",
        "git://host/",
        "git@host:",
        "host:",
        "https://me@host/",
        "https://me:pa%40ss@host/",
        "git+ssh://git@host/",
        "https://host/forge/",
        "git@host:/",
        "https://[::1]/",
    ]);
    let name = "[A-Za-z0-9_][A-Za-z0-9._-]{0,8}";
    let end = select(vec!["", ".git", "/", ".git/"]);
    holds(
        FEW,
        (start, name, name, end),
        |(start, owner, name, end)| {
            prop_assume!(name.strip_suffix(".git").is_none());
            let made = format!("{start}{owner}/{name}{end}");
            fs::write(&config, before.replace(&url, &quoted(&made))).unwrap();
            let mut payload = payload_after(NOWHERE, NOWHERE);
            payload["repository"]["full_name"] = "-/-".into();
            let reply = world.delivery("push", payload.to_string()).send();
            let expected = format!(
                "ignored the push to the repository -/-: this site follows {owner}/{name}, as its remote's URL says. "
            );
            prop_assert!(reply.body.starts_with(&expected), "{:?}", reply);
            Ok(())
        },
    );
}
