//! Requests that must decide nothing: what an attacker sends is refused in the words of a table,
//! and afterwards not a byte of the world is another one and nothing was run.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::tree::paths_below;
use crate::world::{
    Delivery, NOWHERE, SECRET, World, copy_executable, quoted, search_path, sha256_signature, text,
    wait_until, write_executable,
};

const FORM: &str = "application/x-www-form-urlencoded";

const QUERY_WORDS: &str = "400 Bad Request\nrefused by deploy-cgi: the address has a query without `=`; enter the \
                           Payload URL without one.\n";
const INCOMPLETE: &str = "400 Bad Request\nrefused by deploy-cgi: the web server did not say what was requested \
                          (REQUEST_METHOD, QUERY_STRING).\n";
const NO_DELIVERY: &str = "405 Method Not Allowed\nAllow: GET, HEAD, POST\nrefused by deploy-cgi: a delivery is a POST.\n";
const TOO_LARGE: &str = "413 Content Too Large\nrefused by deploy-cgi: the body is larger than this site takes; the \
                         key `max_body` sets how much.\n";
const NO_LENGTH: &str = "400 Bad Request\nrefused by deploy-cgi: Content-Length is not a number.\n";
const SHORT: &str = "400 Bad Request\nrefused by deploy-cgi: the body ended, or time was up, before all of it had \
                     come.\n";
const LOST: &str = "400 Bad Request\nrefused by deploy-cgi: the body did not arrive: the web server handed over none of \
                    it, and did not say that it is empty.\n";
const NO_MEMORY: &str = "503 Service Unavailable\nrefused by deploy-cgi: there is no memory for the body; the host's \
                         limit may be too low.\n";
const COMPRESSED: &str = "415 Unsupported Media Type\nrefused by deploy-cgi: the body is compressed; GitHub sends it \
                          as it is.\n";
const EVENT: &str =
    "400 Bad Request\nrefused by deploy-cgi: the header X-GitHub-Event is missing or malformed.\n";
const ID: &str = "400 Bad Request\nrefused by deploy-cgi: the header X-GitHub-Delivery is missing or malformed.\n";
const UNSIGNED: &str = "403 Forbidden\nrefused by deploy-cgi: the delivery is not signed: X-Hub-Signature-256 is \
                        missing or empty. Enter the secret in the webhook's settings.\n";
const MALFORMED: &str = "403 Forbidden\nrefused by deploy-cgi: the signature is malformed: it has to be sha256= and \
                         64 lower-case hex digits.\n";
const WRONG: &str = "403 Forbidden\nrefused by deploy-cgi: the signature does not match. The secret in the webhook's \
                     settings and the one in this site's secret file have to be the same; a blank or a line end \
                     that was pasted with one of them is the usual cause.\n";
const CONTENT_TYPE: &str = "415 Unsupported Media Type\nrefused by deploy-cgi: the content type has to be \
                            application/json, or a form with one payload field.\n";
const READY: &str = "200 OK\nready for deliveries. Enter this address as the Payload URL of a GitHub webhook \
                     (deploy-cgi).\n";
const IGNORED: &str = "200 OK\nignored the event star: only a push is deployed.\n";

/// A world in which every start of git, and every deploy, leaves a trace.
fn watched() -> World {
    let mut world = World::new();
    let folder = text(&world.path("fake"));
    let real = search_path();
    let git =
        format!("#!/bin/sh\necho \"$*\" >>'{folder}/started'\nPATH='{real}' exec git \"$@\"\n");
    write_executable(&world.path("fake/git"), &git);
    world.key("path", &quoted(&format!("{folder}:{real}")));
    world.key("on_update", "\"echo ran >>../ran\"");
    world.key("on_failure", "\"echo ran >>../ran\"");
    world.key("max_body", "\"64KiB\"");
    // What the first delivery that counts writes is here already.
    world.delivery("star", "{}").send().expect(200, "ignored");
    world
}

/// All that is in a folder: kind and permissions, owner, time of the last change, content.
type Everything = BTreeMap<PathBuf, (u32, u32, i64, i64, Vec<u8>)>;

fn everything(world: &World) -> Everything {
    let mut all = Everything::new();
    let top = world.path("");
    for path in paths_below(&top, |_| true).into_iter().chain([top]) {
        let about = fs::symlink_metadata(&path).unwrap();
        let content = if about.is_file() {
            fs::read(&path).unwrap()
        } else {
            Vec::new()
        };
        let changed = (about.ctime(), about.ctime_nsec());
        all.insert(
            path,
            (about.mode(), about.uid(), changed.0, changed.1, content),
        );
    }
    all
}

type Row<'a> = (String, Delivery, &'a str);

fn row(what: impl Into<String>, delivery: Delivery, expected: &str) -> Row<'_> {
    (what.into(), delivery, expected)
}

/// Each request gets exactly its answer, and all of them leave nothing behind.
#[track_caller]
fn decide_nothing(world: &World, rows: Vec<Row<'_>>) {
    let before = everything(world);
    let mut wrong = String::new();
    for (what, delivery, expected) in rows {
        let got = delivery.send().whole(world);
        if got != expected {
            writeln!(wrong, "{what}:\n{got}instead of\n{expected}").unwrap();
        }
        if everything(world) != before {
            let after = everything(world);
            let new = after
                .iter()
                .filter(|(path, now)| before.get(*path) != Some(now));
            let new: Vec<&PathBuf> = new.map(|(path, _)| path).collect();
            panic!("{what} wrote {new:?}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// As a server makes arguments of a query: split at `+`, decoded.
fn arguments(query: &str) -> Vec<String> {
    query
        .split('+')
        .map(|word| {
            let decoded = form_urlencoded::parse(word.as_bytes()).next();
            decoded.map_or_else(String::new, |(word, _)| word.into_owned())
        })
        .collect()
}

// ---- who called, and what for ----

#[test]
fn words_of_a_query_do_nothing_however_they_are_written() {
    let world = watched();
    let program = world.program.clone();
    let site = text(&world.site_file());
    let mut rows = Vec::new();
    for query in [
        "check",
        "run",
        "demo",
        "status",
        "sign",
        "worker",
        "init",
        "--help",
        "-V",
        "r%75n",
        "%2Fetc%2Fpasswd",
        "/etc/passwd",
        "run+--help",
        "%2Dh",
        "a%3Db",
        "+",
        "%",
        "%00",
        "x%0Ay",
        "worker+%2Fetc%2Fpasswd",
    ] {
        let words = arguments(query);
        let words: Vec<&str> = words
            .iter()
            .map(String::as_str)
            .filter(|word| !word.contains('\0'))
            .collect();
        for method in ["GET", "POST", "BREW"] {
            let push = || {
                world
                    .push_delivery(NOWHERE)
                    .method(method)
                    .var("QUERY_STRING", query)
            };
            // Behind the name of the script that the kernel adds.
            rows.push(row(query, push().arguments(&words), QUERY_WORDS));
            let direct = || push().through(&program).arguments(&words);
            rows.push(row(format!("{query}, the binary"), direct(), QUERY_WORDS));
            rows.push(row(
                format!("{query}, the binary with a site"),
                direct().var("DEPLOY_CGI_SITE", &site),
                QUERY_WORDS,
            ));
        }
    }
    decide_nothing(&world, rows);
}

#[test]
fn with_an_equals_sign_the_query_and_the_path_behind_the_script_are_passed_by() {
    let world = watched();
    let mut rows = Vec::new();
    for query in [
        "a=b",
        "run=1",
        "=",
        "payload=%7B%7D",
        "a=b+--help",
        "DEPLOY_CGI_SITE=/etc/passwd",
    ] {
        let words = arguments(query);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let page = world
            .push_delivery(NOWHERE)
            .bare("GET")
            .var("QUERY_STRING", query)
            .arguments(&words)
            .var("PATH_INFO", "/../../etc/passwd")
            .var("PATH_TRANSLATED", "/etc/passwd");
        rows.push(row(query, page, READY));
    }
    decide_nothing(&world, rows);
}

#[test]
fn a_flood_that_pushed_variables_out_is_refused() {
    let world = watched();
    let program = world.program.clone();
    let site = text(&world.site_file());
    let flooded = |delivery: Delivery| {
        let gone = [
            "QUERY_STRING",
            "REQUEST_METHOD",
            "GATEWAY_INTERFACE",
            "SERVER_PROTOCOL",
            "SCRIPT_FILENAME",
            "SCRIPT_NAME",
            "CONTENT_LENGTH",
            "CONTENT_TYPE",
        ];
        let delivery = gone
            .iter()
            .fold(delivery, |delivery, name| delivery.without(name));
        (0..255).fold(delivery, |delivery, number| {
            delivery.var(&format!("HTTP_X_FLOOD_{number}"), "x")
        })
    };
    let push = || flooded(world.push_delivery(NOWHERE));
    let words = ["/etc/passwd", "run"];
    let left = |name: &str| push().var(name, if name == "REQUEST_METHOD" { "POST" } else { "" });
    decide_nothing(
        &world,
        vec![
            row("by the site file", push(), INCOMPLETE),
            row("with words", push().arguments(&words), INCOMPLETE),
            row(
                "with the site as a word",
                push().arguments(&[&site]),
                INCOMPLETE,
            ),
            row(
                "the binary",
                push().through(&program).arguments(&words),
                INCOMPLETE,
            ),
            row(
                "the binary and a site",
                flooded(
                    world
                        .push_delivery(NOWHERE)
                        .through(&program)
                        .arguments(&[&site]),
                ),
                INCOMPLETE,
            ),
            row(
                "a method is left",
                left("REQUEST_METHOD").arguments(&words),
                INCOMPLETE,
            ),
            row(
                "a query is left",
                left("QUERY_STRING").arguments(&words),
                INCOMPLETE,
            ),
            row(
                "a length is left",
                push().var("CONTENT_LENGTH", "1"),
                INCOMPLETE,
            ),
        ],
    );
}

/// Of a flood's body nobody knows the length, and the answer is cut where it was not read.
#[test]
fn the_body_of_a_flood_is_taken_to_its_end() {
    let world = watched();
    let feed = "head -c 3000000 /dev/zero | { \"$1\"; wc -c >left; }";
    let delivery = world
        .push_delivery(NOWHERE)
        .without("REQUEST_METHOD")
        .without("CONTENT_LENGTH");
    let reply = fed_by(&world, delivery, "cgi-bin/feeder", feed).send();
    assert_eq!(reply.whole(&world), INCOMPLETE);
    assert_eq!(world.read("cgi-bin/left").trim(), "0");
}

#[test]
fn what_git_and_shells_would_obey_is_no_business_of_a_requests() {
    let mut world = watched();
    let real = search_path();
    let folder = text(&world.path("fake"));
    let git = format!(
        "#!/bin/sh\nenv >>'{folder}/environment'\necho \"$*\" >>'{folder}/started'\nPATH='{real}' exec git \"$@\"\n"
    );
    write_executable(&world.path("fake/git"), &git);
    world.key("on_update", "\"env >../seen\"");
    let listed = world.git(&world.path(""), &["rev-parse", "--local-env-vars"]);
    assert!(listed.contains("GIT_DIR"));
    let commit = world.push("two");
    let mut delivery = world.push_delivery(&commit);
    let more = [
        "HTTP_PROXY",
        "HTTP_GIT_DIR",
        "HTTP_X_EVIL",
        "GIT_ASKPASS",
        "GIT_EXEC_PATH",
        "GIT_EXTERNAL_DIFF",
        "GIT_TEMPLATE_DIR",
        "GIT_TRACE",
        "GIT_TRACE2",
        "GIT_PROXY_COMMAND",
        "GIT_ALLOW_PROTOCOL",
        "GIT_EDITOR",
        "GIT_PAGER",
        "SSH_ASKPASS",
        "REDIRECT_STATUS",
        "REDIRECT_EVIL",
        "SSL_CLIENT_EVIL",
        "REMOTE_USER",
        "PATH_INFO",
        "PATH_TRANSLATED",
        "SERVER_ADMIN",
        "CONTEXT_PREFIX",
        "FCGI_ROLE",
    ];
    for name in listed.lines().chain(more) {
        delivery = delivery.var(name, "/evil");
    }
    delivery.send().expect(200, "deployed");
    assert_eq!(world.head(), commit);
    let of_git = world.read("fake/environment");
    let of_command = world.read("seen");
    assert!(of_git.contains("\nGIT_TERMINAL_PROMPT=0\n"), "{of_git}");
    assert!(of_command.contains("DEPLOY_NEW="), "{of_command}");
    assert!(!of_git.contains("evil"), "{of_git}");
    // A host may have set this one for the person's own commands.
    let of_command = of_command.replace("SSH_ASKPASS=/evil\n", "");
    assert!(!of_command.contains("evil"), "{of_command}");
}

// ---- an environment that says everything twice ----

/// Starts the program with more entries in the environment, whatever names they have.
const EXECVE: &str = r"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
extern char **environ;
int main(int argc, char **argv) {
    size_t own = 0, more = (size_t)argc - 2;
    char **all, *args[2] = { argv[1], NULL };
    while (environ[own]) own++;
    all = calloc(own + more + 1, sizeof *all);
    memcpy(all, environ, own * sizeof *all);
    memcpy(all + own, argv + 2, more * sizeof *all);
    execve(argv[1], args, all);
    return 111;
}
";

pub(crate) struct Twice {
    helper: PathBuf,
}

impl Twice {
    pub(crate) fn new(world: &World) -> Twice {
        let helper = world.path("execve");
        let source = world.path("execve.c");
        fs::write(&source, EXECVE).unwrap();
        let compiled = Command::new("cc")
            .args(["-o", &text(&helper), &text(&source)])
            .status()
            .expect("cc, which links Rust programs too");
        assert!(compiled.success());
        Twice { helper }
    }

    /// A delivery to a program, with these entries behind its own.
    pub(crate) fn more(&self, delivery: Delivery, program: &Path, entries: &[&str]) -> Delivery {
        let program = text(program);
        let words: Vec<&str> = [program.as_str()]
            .into_iter()
            .chain(entries.iter().copied())
            .collect();
        let delivery = delivery.through(&self.helper).arguments(&words);
        delivery.var("SCRIPT_FILENAME", &program)
    }
}

#[test]
fn what_stands_twice_in_the_environment_is_refused_where_it_counts() {
    let world = watched();
    let twice = Twice::new(&world);
    let site = world.site_file();
    let push = || world.push_delivery(NOWHERE);
    let more = |entries: &[&str]| twice.more(push(), &site, entries);
    let good = sha256_signature(
        SECRET.as_bytes(),
        world.payload(NOWHERE).to_string().as_bytes(),
    );
    let forged = sha256_signature(b"guess", b"{}");
    let signature = |value: &str| format!("HTTP_X_HUB_SIGNATURE_256={value}");
    let unsigned = |entries: &[&str]| twice.more(push().unsigned(), &site, entries);
    let direct = |entries: &[&str]| twice.more(push(), &world.program, entries);
    let named = format!("DEPLOY_CGI_SITE={}", text(&site));
    let no_site = "500 Internal Server Error\nerror in deploy-cgi: no site file was found. Begin deploy.cgi with a \
                   line of #! and the path of deploy-cgi; where the program itself lies in cgi-bin, set \
                   DEPLOY_CGI_SITE to the path of the site file.\nstderr: deploy-cgi: error: no site file: begin it \
                   with #! and the path of deploy-cgi, or set DEPLOY_CGI_SITE\n";
    let rows = vec![
        row("method", more(&["REQUEST_METHOD=POST"]), INCOMPLETE),
        row("query", more(&["QUERY_STRING="]), INCOMPLETE),
        row("query with words", more(&["QUERY_STRING=run"]), INCOMPLETE),
        row("length", more(&["CONTENT_LENGTH=1"]), NO_LENGTH),
        row(
            "encoding",
            more(&["HTTP_CONTENT_ENCODING=", "HTTP_CONTENT_ENCODING=gzip"]),
            COMPRESSED,
        ),
        row("event", more(&["HTTP_X_GITHUB_EVENT=push"]), EVENT),
        row("id", more(&["HTTP_X_GITHUB_DELIVERY=1"]), ID),
        row("the same signature", more(&[&signature(&good)]), MALFORMED),
        row(
            "a forged signature behind",
            more(&[&signature(&forged)]),
            MALFORMED,
        ),
        row(
            "a good signature behind",
            unsigned(&[&signature(&forged), &signature(&good)]),
            MALFORMED,
        ),
        row(
            "an empty signature behind",
            more(&[&signature("")]),
            MALFORMED,
        ),
        row(
            "the older signature",
            unsigned(&["HTTP_X_HUB_SIGNATURE=sha1=0", "HTTP_X_HUB_SIGNATURE=sha1=0"]),
            MALFORMED,
        ),
        row(
            "content type",
            more(&["CONTENT_TYPE=application/json"]),
            CONTENT_TYPE,
        ),
        row("the site", direct(&[&named, &named]), no_site),
        row("no site", direct(&["DEPLOY_CGI_SITE"]), no_site),
    ];
    decide_nothing(&world, rows);
}

#[test]
fn what_stands_twice_is_harmless_elsewhere() {
    let world = watched();
    let twice = Twice::new(&world);
    let site = world.site_file();
    let star = |entries: &[&str]| twice.more(world.delivery("star", "{}"), &site, entries);
    let long = format!("HTTP_COOKIE={}", "x".repeat(8 * 1024));
    let rows = vec![
        row("accept", star(&["HTTP_ACCEPT=a", "HTTP_ACCEPT=b"]), IGNORED),
        row("path", star(&["PATH=/evil", "PATH=/evil"]), IGNORED),
        row("home", star(&["HOME=/evil", "HOME=/evil"]), IGNORED),
        row(
            "no value",
            star(&["GARBAGE", "=", "=x", "HTTP_X="]),
            IGNORED,
        ),
        row("8 KiB", star(&[&long, &long]), IGNORED),
        row(
            "the older signature",
            star(&["HTTP_X_HUB_SIGNATURE=x", "HTTP_X_HUB_SIGNATURE=y"]),
            IGNORED,
        ),
    ];
    decide_nothing(&world, rows);
}

#[test]
fn a_value_out_of_form_is_refused_where_it_counts() {
    let world = watched();
    let push = || world.push_delivery(NOWHERE);
    let mut rows = Vec::new();
    let bytes = OsStr::from_bytes(b"push\xff\xfe");
    let long = "a".repeat(8 * 1024);
    let long_words = long.as_str();
    for value in [
        bytes,
        OsStr::new(long_words),
        OsStr::new("push, push"),
        OsStr::new("push\n"),
        OsStr::new(""),
    ] {
        let what = |name: &str| format!("{name} {}", value.display());
        let with = |name: &str| push().var(name, value);
        rows.push(row(what("event"), with("HTTP_X_GITHUB_EVENT"), EVENT));
        rows.push(row(what("id"), with("HTTP_X_GITHUB_DELIVERY"), ID));
        rows.push(row(
            what("signature"),
            with("HTTP_X_HUB_SIGNATURE_256"),
            MALFORMED,
        ));
        rows.push(row(what("method"), with("REQUEST_METHOD"), NO_DELIVERY));
        rows.push(row(
            what("content type"),
            with("CONTENT_TYPE"),
            CONTENT_TYPE,
        ));
        if !value.is_empty() {
            rows.push(row(what("query"), with("QUERY_STRING"), QUERY_WORDS));
            rows.push(row(what("length"), with("CONTENT_LENGTH"), NO_LENGTH));
            rows.push(row(
                what("encoding"),
                with("HTTP_CONTENT_ENCODING"),
                COMPRESSED,
            ));
        }
        let elsewhere = world
            .delivery("star", "{}")
            .var("HTTP_COOKIE", value)
            .var("HTTP_USER_AGENT", value);
        let elsewhere = elsewhere
            .var("REMOTE_USER", value)
            .var("PATH_INFO", value)
            .var("TZ", value);
        rows.push(row(what("elsewhere"), elsewhere, IGNORED));
    }
    let good = sha256_signature(
        SECRET.as_bytes(),
        world.payload(NOWHERE).to_string().as_bytes(),
    );
    for joined in [
        format!("{good}, {good}"),
        format!("{good} "),
        format!("{good}\n"),
        good.to_uppercase(),
    ] {
        let delivery = push().var("HTTP_X_HUB_SIGNATURE_256", &joined);
        rows.push(row(joined, delivery, MALFORMED));
    }
    decide_nothing(&world, rows);
}

// ---- bodies ----

#[test]
fn a_body_that_lies_about_its_length_is_refused() {
    let world = watched();
    let push = || world.push_delivery(NOWHERE);
    let length = world.payload(NOWHERE).to_string().len();
    let mut rows = Vec::new();
    for wrong in [
        "-2", "+1", "1e3", "0x10", "1 000", " 1", "1 ", "1.0", "1, 1", "ten", "\u{661}",
    ] {
        rows.push(row(wrong, push().var("CONTENT_LENGTH", wrong), NO_LENGTH));
    }
    for huge in [
        "65537",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999999999999999999999999999",
    ] {
        rows.push(row(huge, push().var("CONTENT_LENGTH", huge), TOO_LARGE));
    }
    let one_more = (length + 1).to_string();
    rows.push(row(
        "one byte is missing",
        push().var("CONTENT_LENGTH", one_more),
        SHORT,
    ));
    let one_less = (length - 1).to_string();
    rows.push(row(
        "one byte too many",
        push().var("CONTENT_LENGTH", one_less),
        WRONG,
    ));
    for nothing in ["0", "00"] {
        rows.push(row(nothing, push().var("CONTENT_LENGTH", nothing), WRONG));
    }
    rows.push(row("empty", push().var("CONTENT_LENGTH", ""), LOST));
    rows.push(row("none", push().without("CONTENT_LENGTH"), LOST));
    let chunked = || {
        push()
            .without("CONTENT_LENGTH")
            .var("HTTP_TRANSFER_ENCODING", "chunked")
    };
    rows.push(row("in pieces, unsigned", chunked().unsigned(), UNSIGNED));
    rows.push(row(
        "in pieces, forged",
        chunked().signed_with(b"guess"),
        WRONG,
    ));
    for coding in ["gzip", "GZIP", "br", "x-gzip", "identity, gzip", "deflate"] {
        let compressed = push().var("HTTP_CONTENT_ENCODING", coding);
        rows.push(row(coding, compressed, COMPRESSED));
    }
    decide_nothing(&world, rows);
}

/// A delivery whose input is made by a shell, which finds the program in `$1`.
pub(crate) fn fed_by(world: &World, delivery: Delivery, name: &str, script: &str) -> Delivery {
    let feeder = world.path(name);
    let script = format!(
        "#!/bin/sh\nset -- '{}'\n{script}\n",
        text(&world.site_file())
    );
    write_executable(&feeder, &script);
    delivery
        .through(&feeder)
        .var("SCRIPT_FILENAME", world.site_file())
}

#[test]
fn a_body_needs_the_memory_it_has_and_no_more() {
    let mut world = watched();
    world.key("max_body", "\"60MB\"");
    let star = |name: &str, body: String| {
        let script = "ulimit -v 40000 && exec \"$1\"";
        fed_by(&world, world.delivery("star", body), name, script)
    };
    let object = |size: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(size));
    let chunked = star("a", "{}".to_owned())
        .without("CONTENT_LENGTH")
        .var("HTTP_TRANSFER_ENCODING", "chunked");
    let form = format!("payload={}", object(20 << 20));
    let rows = vec![
        row("small, no length", chunked, IGNORED),
        row("large", star("b", object(20 << 20)), IGNORED),
        row(
            "large, a form",
            star("c", form).var("CONTENT_TYPE", FORM),
            IGNORED,
        ),
        row("too large", star("d", object(50 << 20)), NO_MEMORY),
    ];
    decide_nothing(&world, rows);
}

#[test]
fn an_input_that_is_closed_or_never_ends_is_answered() {
    let world = watched();
    let push = || world.push_delivery(NOWHERE);
    let endless = "exec \"$1\" </dev/zero";
    let closed = "exec \"$1\" <&-";
    let broken = "exec \"$1\" <.";
    let chunked = || {
        push()
            .without("CONTENT_LENGTH")
            .var("HTTP_TRANSFER_ENCODING", "chunked")
    };
    let fed = |delivery: Delivery, name: &str, script: &str| fed_by(&world, delivery, name, script);
    let rows = vec![
        row("closed", fed(push(), "a", closed), LOST),
        row("closed, no length", fed(chunked(), "b", closed), LOST),
        row(
            "stalled, no length",
            fed(chunked(), "l", "{ printf '{'; sleep 9; } | \"$1\""),
            SHORT,
        ),
        row(
            "closed, a page",
            fed(push().bare("GET"), "c", closed),
            READY,
        ),
        row("a folder", fed(push(), "d", broken), LOST),
        row("endless", fed(push(), "e", endless), WRONG),
        row(
            "endless, no length",
            fed(chunked(), "f", endless),
            TOO_LARGE,
        ),
        row(
            "endless, unsigned",
            fed(chunked().unsigned(), "g", endless),
            TOO_LARGE,
        ),
        row(
            "endless, no number",
            fed(push().var("CONTENT_LENGTH", "x"), "h", endless),
            NO_LENGTH,
        ),
        row(
            "endless, a flood",
            fed(chunked().without("REQUEST_METHOD"), "i", endless),
            INCOMPLETE,
        ),
        row(
            "endless, a page",
            fed(push().bare("GET"), "j", endless),
            READY,
        ),
    ];
    // The scripts of these rows are part of the world.
    decide_nothing(&world, rows);
}

#[test]
fn of_an_endless_body_no_more_than_a_bound_is_read() {
    let world = watched();
    let feed = "head -c 100000000 /dev/zero | { \"$1\"; wc -c >left; }";
    let delivery = world.push_delivery(NOWHERE).var("CONTENT_LENGTH", "x");
    let reply = fed_by(&world, delivery, "cgi-bin/feeder", feed).send();
    assert_eq!(reply.whole(&world), NO_LENGTH);
    let counted = || fs::read_to_string(world.path("cgi-bin/left")).unwrap_or_default();
    wait_until("the count of what is left", || counted().ends_with('\n'));
    let left: usize = counted().trim().parse().unwrap();
    assert!(left >= 100_000_000 - (64 << 20), "{left}");
}

/// One deadline for the whole body: a byte now and then does not move it.
#[test]
fn a_body_that_trickles_is_refused() {
    let world = watched();
    let trickle = "{ while printf x; do sleep 0.1; done; } 2>/dev/null | \"$1\"";
    let delivery = fed_by(&world, world.push_delivery(NOWHERE), "feeder", trickle);
    // Had each byte moved it, all of them would have come, and the signature would be wrong.
    decide_nothing(&world, vec![row("a trickle", delivery, SHORT)]);
}

// ---- what is signed, and is not what GitHub sends ----

fn not_json(event: &str, why: &str) -> String {
    format!(
        "400 Bad Request\nrefused by deploy-cgi: the body is not the JSON of the event {event}: {why}.\n"
    )
}

/// The answer, and no deploy: whatever the words of the JSON parser are.
#[track_caller]
fn expect_refused_payload(world: &World, body: impl Into<Vec<u8>>) {
    let body = body.into();
    let shown = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
    let whole = world.delivery("push", body).send().whole(world);
    let start = not_json("push", "");
    let start = start.trim_end_matches(".\n");
    assert!(
        whole.starts_with(start) && whole.ends_with(".\n"),
        "{shown}: {whole}"
    );
    assert_eq!(whole.lines().count(), 2, "{whole}");
    assert!(whole.len() < 1000, "{shown}: {}", whole.len());
}

#[test]
fn json_that_is_no_push_is_refused_and_deploys_nothing() {
    let mut world = watched();
    world.key("max_body", "\"25MiB\"");
    let before = everything(&world);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut payload = world.payload(NOWHERE);
        change(&mut payload);
        payload.to_string()
    };
    let deep = "[".repeat(1_000_000);
    let good = world.payload(NOWHERE).to_string();
    let within = |field: &str| good.replacen('{', &format!("{{{field},"), 1);
    let bodies: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"[]".to_vec(),
        b"null".to_vec(),
        b"\"push\"".to_vec(),
        b"1e999".to_vec(),
        b"{}".to_vec(),
        b"{".to_vec(),
        deep.clone().into_bytes(),
        format!("{{\"a\":{deep}").into_bytes(),
        format!("[{good}]").into_bytes(),
        format!("{good}{good}").into_bytes(),
        format!("{good}\0").into_bytes(),
        format!("\u{feff}{good}").into_bytes(),
        good.replace('"', "'").into_bytes(),
        [&b"{\"ref\":\"\xff\xfe\","[..], &good.as_bytes()[1..]].concat(),
        good.replace("refs/heads/main", "refs/heads/\\ud800")
            .into_bytes(),
        good.replace("me/site", "\\udfff").into_bytes(),
        within("\"ref\":\"refs/heads/main\"").into_bytes(),
        within(&format!("\"after\":\"{NOWHERE}\"")).into_bytes(),
        within("\"repository\":{\"full_name\":\"me/site\"}").into_bytes(),
        with(&|payload| payload["ref"] = json!(["refs/heads/main"])).into_bytes(),
        with(&|payload| payload["ref"] = json!(null)).into_bytes(),
        with(&|payload| payload["ref"] = json!(1)).into_bytes(),
        with(&|payload| payload["repository"] = json!(["me/site"])).into_bytes(),
        with(&|payload| payload["repository"] = json!("me/site")).into_bytes(),
        with(&|payload| payload["repository"] = json!({})).into_bytes(),
        with(&|payload| payload["repository"]["full_name"] = json!({})).into_bytes(),
        with(&|payload| payload["after"] = json!("--upload-pack=touch ../ran")).into_bytes(),
        with(&|payload| payload["after"] = json!("HEAD")).into_bytes(),
        with(&|payload| payload["after"] = json!(&NOWHERE[1..])).into_bytes(),
        with(&|payload| payload["after"] = json!(NOWHERE.repeat(2))).into_bytes(),
        with(&|payload| payload["after"] = json!("A".repeat(40))).into_bytes(),
        with(&|payload| payload["after"] = json!("x".repeat(1 << 20))).into_bytes(),
        with(&|payload| payload["after"] = json!(0)).into_bytes(),
        with(&|payload| payload["before"] = json!("-x")).into_bytes(),
        with(&|payload| payload["before"] = json!([])).into_bytes(),
    ];
    for body in bodies {
        expect_refused_payload(&world, body);
    }
    assert_eq!(everything(&world), before);
}

#[test]
fn odd_json_that_is_a_push_elsewhere_is_ignored_in_few_words() {
    let mut world = watched();
    world.key("max_body", "\"25MiB\"");
    let of_ref = |git_ref: &str| {
        let mut payload = world.payload(NOWHERE);
        payload["ref"] = git_ref.into();
        world.delivery("push", payload.to_string())
    };
    let of_repository = |name: &str| {
        let mut payload = world.payload(NOWHERE);
        payload["repository"]["full_name"] = name.into();
        world.delivery("push", payload.to_string())
    };
    let elsewhere =
        |branch: &str| format!("200 OK\nignored the push to {branch}: this site follows main.\n");
    let strange = |git_ref: &str| {
        format!(
            "200 OK\nignored the push of {git_ref}: that is not a branch, and only branches are deployed.\n"
        )
    };
    let foreign = |name: &str| {
        format!(
            "200 OK\nignored the push to the repository {name}: this site follows me/site, as its remote's URL says. If me/site was renamed to \
             {name}, set repository = \"{name}\" in <world>/cgi-bin/deploy.cgi.\n"
        )
    };
    let x = "x".repeat(10 << 20);
    let cut = "x".repeat(200);
    let check = |delivery: Delivery, expected: String| {
        assert_eq!(delivery.send().whole(&world), expected);
    };
    check(
        of_ref("--upload-pack=touch ../ran"),
        strange("--upload-pack=touch ../ran"),
    );
    check(
        of_ref("refs/heads/--upload-pack=x"),
        elsewhere("--upload-pack=x"),
    );
    check(
        of_ref("refs/heads/main;touch ../ran"),
        elsewhere("main;touch ../ran"),
    );
    check(
        of_ref("refs/heads/$(touch ../ran)"),
        elsewhere("$(touch ../ran)"),
    );
    check(of_ref("refs/heads/main\n"), elsewhere("main\\n"));
    check(
        of_ref("refs/heads/\u{1b}[2J\u{202e}x"),
        elsewhere("\\u{1b}[2J\\u{202e}x"),
    );
    check(of_ref("refs/heads/../main"), elsewhere("../main"));
    check(of_ref("refs/heads/"), elsewhere(""));
    check(of_ref(""), strange(""));
    check(of_ref(&x), strange(&format!("{cut}…")));
    check(
        of_ref(&format!("refs/heads/{x}")),
        elsewhere(&format!("{cut}…")),
    );
    check(of_repository(&x), foreign(&format!("{cut}…")));
    check(
        of_repository("-c/core.sshCommand=x"),
        foreign("-c/core.sshCommand=x"),
    );
    check(
        of_repository("me/site/../other"),
        foreign("me/site/../other"),
    );
    let deep = format!(
        "{{\"deep\":{}{},\"huge\":1e99999,\"long\":{},\"lone\":\"\\ud800\",\"action\":1}}",
        "[".repeat(1_000_000),
        "]".repeat(1_000_000),
        "9".repeat(10_000),
    );
    check(world.delivery("star", deep), IGNORED.to_owned());
    // What the checkout follows is all that git was asked.
    let asked = world.read("fake/started");
    for of_payload in [
        "touch",
        "upload-pack",
        "xxxx",
        "core.sshCommand",
        "2J",
        NOWHERE,
    ] {
        assert!(!asked.contains(of_payload), "{of_payload}: {asked}");
    }
    assert!(!world.exists("ran"));
    assert_eq!(world.history().len(), 0);
}

/// A push that is ours in all that counts, and full of other things: git hears none of them.
#[test]
fn nothing_of_a_payload_is_part_of_a_command() {
    let world = watched();
    let commit = world.push("two");
    let mut payload = world.payload(&commit);
    payload["before"] = "e".repeat(40).into();
    payload["repository"]["clone_url"] = "ext::sh -c evil%".into();
    payload["repository"]["ssh_url"] = "-oProxyCommand=evil".into();
    payload["repository"]["default_branch"] = "evil".into();
    payload["commits"][0]["message"] = "$(evil)".into();
    payload["commits"][0]["added"] = json!(["../evil"]);
    payload["pusher"]["name"] = "`evil`".into();
    payload["compare"] = "evil".into();
    world
        .delivery("push", payload.to_string())
        .send()
        .expect(200, "deployed");
    assert_eq!(world.head(), commit);
    let asked = world.read("fake/started");
    assert!(asked.contains("pull"), "{asked}");
    assert!(
        !asked.contains("evil") && !asked.contains("eeee"),
        "{asked}"
    );
}

#[test]
fn a_form_counts_with_exactly_one_payload() {
    let world = watched();
    let star = |form: &str| world.delivery("star", form).var("CONTENT_TYPE", FORM);
    let mut rows = Vec::new();
    for none in [
        "",
        "&",
        "=",
        "x=1",
        "Payload=%7B%7D",
        "payload%3D%7B%7D",
        "payload[]=%7B%7D",
        "+payload=%7B%7D",
    ] {
        rows.push(row(none, star(none), CONTENT_TYPE));
    }
    for two in [
        "payload=%7B%7D&payload=%7B%7D",
        "payload&payload=%7B%7D",
        "p%61yload=%7B%7D&payload=%7B%7D",
    ] {
        rows.push(row(two, star(two), CONTENT_TYPE));
    }
    for one in [
        "payload=%7B%7D",
        "payload={}",
        "x&payload=%7b%7d&y=%",
        "p%61yload=%7B+%7D",
        "payload=%7B%22a%22:%22%2B+%22%7D",
        // What is no UTF-8 becomes U+FFFD (WHATWG URL, section 5.1).
        "payload={\"a\":\"%FF\"}",
    ] {
        rows.push(row(one, star(one), IGNORED));
    }
    let end_of_file = not_json("star", "EOF while parsing an object at line 1 column 1");
    let empty = not_json("star", "EOF while parsing a value at line 1 column 0");
    let trailing = not_json("star", "trailing characters at line 1 column 3");
    let value = not_json("star", "expected value at line 1 column 1");
    for (wrong, expected) in [
        ("payload", &empty),
        ("payload=", &empty),
        ("payload=%7B", &end_of_file),
        ("payload={}%", &trailing),
        ("payload={}%2", &trailing),
        ("payload={}%zz", &trailing),
        ("payload={}%2B", &trailing),
        ("payload=%2B{}", &value),
        ("payload=%257B%257D", &value),
    ] {
        rows.push(row(wrong, star(wrong), expected));
    }
    // JSON in a form, and a form that says it is JSON.
    rows.push(row("json", star("{}"), CONTENT_TYPE));
    let form = world.delivery("star", "payload={}");
    rows.push(row("form", form, &value));
    decide_nothing(&world, rows);
}

// ---- what the kernel saw ----

/// The system calls that a request makes, one a line.
fn system_calls(
    world: &World,
    what: &str,
    delivery: Delivery,
    program: &Path,
    words: &[&str],
) -> String {
    let log = world.path("calls");
    let (log_name, filter, program) = (text(&log), format!("trace={what}"), text(program));
    let mut all = vec!["-f", "-s", "4096", "-e", &filter, "-o", &log_name, &program];
    all.extend(words);
    let strace = ["/usr/bin/strace", "/usr/local/bin/strace"]
        .into_iter()
        .find(|path| Path::new(path).exists())
        .expect("strace: run ./tests/run");
    let delivery = delivery.through(Path::new(strace)).arguments(&all);
    let reply = delivery.var("SCRIPT_FILENAME", &program).send();
    assert_eq!(reply.exit, Some(0), "{reply:#?}");
    let calls = fs::read_to_string(&log).unwrap();
    fs::remove_file(log).unwrap();
    calls
}

#[test]
#[ignore = "needs strace: ./tests/run"]
fn no_file_that_a_client_names_is_opened_and_no_process_is_started() {
    let world = watched();
    let named = world.path("named.cgi");
    copy_executable(&world.site_file(), &named);
    let named = text(&named);
    let site = world.site_file();
    let program = world.program.clone();
    let push = || world.push_delivery(NOWHERE);
    let client = |delivery: Delivery| {
        delivery
            .var("HTTP_X_ORIGINAL_URL", &named)
            .var("HTTP_DEPLOY_CGI_SITE", &named)
            .var("HTTP_SCRIPT_FILENAME", &named)
            .var("HTTP_REFERER", &named)
            .var("PATH_INFO", &named)
            .var("PATH_TRANSLATED", &named)
            .var("REQUEST_URI", &named)
    };
    let query = || push().var("QUERY_STRING", named.replace('/', "%2F"));
    let flood = || {
        [
            "QUERY_STRING",
            "REQUEST_METHOD",
            "GATEWAY_INTERFACE",
            "CONTENT_LENGTH",
        ]
        .iter()
        .fold(push(), |delivery, name| delivery.without(name))
    };
    let requests: Vec<(&str, Delivery)> = vec![
        ("query words", query()),
        ("a flood", flood()),
        ("unsigned", push().unsigned()),
        ("forged", push().signed_with(b"guess")),
        ("malformed", push().var("HTTP_X_HUB_SIGNATURE_256", &named)),
        ("the event", push().var("HTTP_X_GITHUB_EVENT", &named)),
        (
            "a page",
            push()
                .bare("GET")
                .var("QUERY_STRING", format!("site={named}")),
        ),
    ];
    for (what, delivery) in requests {
        for program in [&site, &program] {
            let delivery = client(delivery.clone());
            // Servers make arguments of nothing else.
            let words = match what {
                "query words" | "a flood" => &[named.as_str()][..],
                _ => &[],
            };
            let calls = system_calls(&world, "%file,%process", delivery, program, words);
            let started = calls
                .lines()
                .filter(|line| line.contains("execve("))
                .count();
            assert_eq!(started, 1, "{what}: {calls}");
            for call in ["fork(", "clone(", "clone3("] {
                assert!(!calls.contains(call), "{what}: {calls}");
            }
            let others = calls.lines().filter(|line| !line.contains("execve("));
            for line in others {
                assert!(!line.contains("named.cgi"), "{what}: {line}");
            }
        }
    }
}

/// Names of calls and what they gave, without the bytes that differ.
fn outline(calls: &str) -> Vec<String> {
    calls
        .lines()
        .map(|line| {
            let call = line.split_once(' ').unwrap().1.trim_start();
            call.split('(').next().unwrap().to_owned()
        })
        .collect()
}

#[test]
#[ignore = "needs strace: ./tests/run"]
fn a_signature_costs_the_same_wherever_it_is_wrong() {
    let world = watched();
    let payload = world.payload(NOWHERE).to_string();
    let good = sha256_signature(SECRET.as_bytes(), payload.as_bytes());
    let wrong_at = |at: usize| {
        let mut digits: Vec<char> = good.chars().collect();
        digits[at] = if digits[at] == '0' { '1' } else { '0' };
        digits.into_iter().collect::<String>()
    };
    let calls = |signature: String| {
        let delivery = world
            .push_delivery(NOWHERE)
            .var("HTTP_X_HUB_SIGNATURE_256", signature);
        outline(&system_calls(
            &world,
            "all",
            delivery,
            &world.site_file(),
            &[],
        ))
    };
    let start = "sha256=".len();
    let first = calls(wrong_at(start));
    assert!(first.contains(&"write".to_owned()), "{first:?}");
    assert_eq!(calls(wrong_at(start + 63)), first);
    assert_eq!(calls(wrong_at(start + 31)), first);
    assert_eq!(calls(format!("sha256={}", "0".repeat(64))), first);
}
