//! One request, one answer: who is let in, and what a stranger learns.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::json;

use crate::world::{
    DELIVERY, Delivery, Fault, NOWHERE, Reply, SECRET, World, ZERO, copy_executable, quoted,
    sha1_signature, sha256_signature, text, wait_until,
};

const FORM: &str = "application/x-www-form-urlencoded";

fn form(json: &str) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("payload", json).finish()
}

/// `./deploy.cgi check` is advice; anything absolute says how the host is made.
fn names_no_path(reply: &Reply) -> bool {
    !reply
        .body
        .split_whitespace()
        .any(|word| word.contains('/') && !word.starts_with("./"))
}

/// Compares text by text, so that a difference is shown where it is.
#[track_caller]
fn similar(got: &str, expected: &str) {
    for (got, expected) in got.split("== ").zip(expected.split("== ")) {
        assert_eq!(got.trim_end(), expected.trim_end());
    }
    assert_eq!(got.matches("== ").count(), expected.matches("== ").count());
}

/// All that a row of requests gets back, as a text that a person can read.
fn answers(world: &World, requests: Vec<(&str, Delivery)>) -> String {
    let mut all = String::new();
    for (request, delivery) in requests {
        write!(all, "== {request}\n{}\n", delivery.send().whole(world)).unwrap();
    }
    all
}

/// The answer to a push with a delivery id of its own.
fn answer_to(world: &World, id: &str, commit: &str) -> String {
    let delivery = world
        .push_delivery(commit)
        .var("HTTP_X_GITHUB_DELIVERY", id);
    let answer = answers(world, vec![(id, delivery)]);
    // Which words git chooses is its own business.
    match answer.split_once("git said:\n") {
        None => answer,
        Some((before, words)) => {
            let (words, after) = words.split_once("\n\n").unwrap();
            assert!(words.lines().all(|line| line.starts_with("  ")), "{answer}");
            format!("{before}git said:\n  <words>\n\n{after}")
        }
    }
}

#[test]
fn every_kind_of_request_has_its_answer() {
    let mut world = World::new();
    world.key("max_body", "\"64KiB\"");
    let push = || world.push_delivery(NOWHERE);
    let star = |body: &str| world.delivery("star", body);
    let huge = world.delivery("push", vec![b' '; 64 * 1024 + 1]);
    let got = answers(
        &world,
        vec![
            ("query words", push().var("QUERY_STRING", "check")),
            ("no method", push().without("REQUEST_METHOD")),
            (
                "no query, and a word of one",
                push().without("QUERY_STRING").arguments(&["check"]),
            ),
            ("GET", push().bare("GET")),
            ("HEAD", push().bare("HEAD")),
            ("PUT", push().method("PUT")),
            ("too large", huge),
            ("length in words", push().var("CONTENT_LENGTH", "many")),
            ("length with a sign", push().var("CONTENT_LENGTH", "+3")),
            ("short body", push().var("CONTENT_LENGTH", "9999")),
            ("compressed", push().var("HTTP_CONTENT_ENCODING", "gzip")),
            ("no event", push().without("HTTP_X_GITHUB_EVENT")),
            ("odd event", push().var("HTTP_X_GITHUB_EVENT", "a b")),
            ("no delivery id", push().without("HTTP_X_GITHUB_DELIVERY")),
            (
                "odd delivery id",
                push().var("HTTP_X_GITHUB_DELIVERY", ".."),
            ),
            ("unsigned", push().unsigned()),
            (
                "malformed",
                push().var("HTTP_X_HUB_SIGNATURE_256", "sha256=1"),
            ),
            ("wrong", push().signed_with(b"guess")),
            ("other type", push().var("CONTENT_TYPE", "text/plain")),
            ("no payload", star("a=b").var("CONTENT_TYPE", FORM)),
            ("not JSON", world.delivery("push", "Hello, World!")),
            ("not a push", world.delivery("push", "{\"zen\":\"x\"}")),
            ("ping", world.ping_delivery()),
            ("other event", star("{\"action\":\"created\"}")),
        ],
    );
    let (before, user) = got.split_once("ok       user          ").unwrap();
    let (_, after) = user.split_once('\n').unwrap();
    let version = world.git(&world.path(""), &["--version"]);
    let got = format!("{before}{after}").replace(&version["git ".len()..], "<git's version>");
    similar(&got, REQUESTS.trim_start());
    assert_eq!(world.history().len(), 0, "nothing was deployed");
    assert_eq!(world.tickets(), 0);
}

#[test]
fn every_end_of_a_deploy_has_its_answer() {
    let mut world = World::new();
    world.key(
        "on_update",
        "\"echo the app is restarted; test ! -e ../broken\"",
    );
    let mut got = String::new();
    let (commit, _) = world.push_with_post("two");
    got += &answer_to(&world, "deployed", &commit);
    got += &answer_to(&world, "unchanged", &commit);
    let commit = world.push("three");
    fs::write(world.path("broken"), "").unwrap();
    got += &answer_to(&world, "failed", &commit);
    // The same delivery once more shows what became of it.
    got += &answer_to(&world, "failed", &commit);
    fs::remove_file(world.path("broken")).unwrap();
    got += &answer_to(&world, "repaired", &commit);
    fs::write(world.path("checkout/index.html"), "mine").unwrap();
    let commit = world.push("four");
    got += &answer_to(&world, "in-the-way", &commit);
    world.git(&world.checkout(), &["checkout", "-q", "index.html"]);

    world.key("wait", "\"0s\"");
    world.fake_git("pull", &Fault::Hold);
    got += &answer_to(&world, "accepted", &commit);
    world.wait_until_held();
    got += &answer_to(&world, "next-in-line", &commit);
    got += &answer_to(&world, "queued", &commit);
    world.release();
    world.settle();

    fs::remove_dir(world.state("queue")).unwrap();
    fs::write(world.state("queue"), "").unwrap();
    got += &answer_to(&world, "no-room", &commit);
    fs::remove_file(world.state("queue")).unwrap();
    let push = || world.push_delivery(&commit);
    fs::write(world.path("secret.txt"), "").unwrap();
    let empty = vec![
        ("empty secret", push()),
        ("GET, empty secret", push().bare("GET")),
        ("unsigned, empty secret", push().unsigned()),
    ];
    got += &answers(&world, empty);
    fs::remove_file(world.path("secret.txt")).unwrap();
    got += &answers(&world, vec![("no secret", push())]);
    world.write_site(&world.site_file(), "repo = 1\n");
    let broken = vec![
        ("broken site", push()),
        ("GET, broken site", push().bare("GET")),
        ("unsigned, broken site", push().unsigned()),
    ];
    got += &answers(&world, broken);
    similar(&got, DEPLOYS.trim_start());
}

#[test]
fn githubs_published_example_verifies() {
    let world = World::new();
    let published = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let body = "Hello, World!";
    assert_eq!(
        sha256_signature(SECRET.as_bytes(), body.as_bytes()),
        published
    );
    let with = |signature: &str| {
        let delivery = world.delivery("push", body).unsigned();
        delivery.var("HTTP_X_HUB_SIGNATURE_256", signature).send()
    };
    // Let in, and then found not to be JSON.
    with(published).expect(400, "refused");
    with(&published.replace("757107", "757108")).expect(403, "refused");
}

#[test]
fn a_wrong_signature_is_refused_and_nothing_runs() {
    let mut world = World::new();
    world.key("on_update", "\"touch ran\"");
    let commit = world.push("two");
    let before = world.head();
    world
        .push_delivery(&commit)
        .signed_with(b"guess")
        .send()
        .expect(403, "refused");
    world
        .push_delivery(&commit)
        .unsigned()
        .send()
        .expect(403, "refused");
    assert_eq!(world.head(), before);
    assert!(!world.exists("checkout/ran"));
    assert!(!world.exists("checkout/.git/deploy-cgi/history.jsonl"));
    assert_eq!(world.tickets(), 0);
    world.push_delivery(&commit).send().expect(200, "deployed");
    assert!(
        world.exists("checkout/ran"),
        "the same push with the right one runs"
    );
}

#[test]
fn a_signature_counts_only_in_its_exact_form() {
    let world = World::new();
    let body = "{\"action\":\"created\"}";
    let sha256 = sha256_signature(SECRET.as_bytes(), body.as_bytes());
    let sha1 = sha1_signature(SECRET.as_bytes(), body.as_bytes());
    let digits = sha256.strip_prefix("sha256=").unwrap();
    let with = |sha256: Option<&str>, sha1: Option<&str>| {
        let mut delivery = world.delivery("star", body).unsigned();
        if let Some(value) = sha256 {
            delivery = delivery.var("HTTP_X_HUB_SIGNATURE_256", value);
        }
        if let Some(value) = sha1 {
            delivery = delivery.var("HTTP_X_HUB_SIGNATURE", value);
        }
        delivery.send()
    };
    with(Some(&sha256), None).expect(200, "ignored");
    with(None, Some(&sha1)).expect(200, "ignored");
    with(Some(&sha256), Some("sha1=0")).expect(200, "ignored");
    let refused = [
        String::new(),
        "sha256=".to_owned(),
        digits.to_owned(),
        digits.to_uppercase(),
        sha256.to_uppercase(),
        format!("sha256={}", digits.to_uppercase()),
        format!("{sha256}0"),
        sha256[..sha256.len() - 1].to_owned(),
        format!("{sha256}, {sha256}"),
        format!(" {sha256}"),
        format!("\"{sha256}\""),
        sha1.clone(),
        format!("sha1={digits}"),
    ];
    for signature in &refused {
        let reply = with(Some(signature), None);
        assert_eq!(reply.status, 403, "{signature:?}: {reply:?}");
        // Its presence alone decides: the older header is not looked at.
        let reply = with(Some(signature), Some(&sha1));
        assert_eq!(
            reply.status, 403,
            "{signature:?} beside a right sha1: {reply:?}"
        );
    }
    with(None, Some(&sha256)).expect(403, "refused");
}

#[test]
fn each_line_of_the_secret_file_is_a_secret() {
    let world = World::new();
    let star = || world.delivery("star", "{}");
    fs::write(
        world.path("secret.txt"),
        "\u{feff}the old one\r\n\n the new one \n",
    )
    .unwrap();
    star()
        .signed_with(b"the old one")
        .send()
        .expect(200, "ignored");
    star()
        .signed_with(b" the new one ")
        .send()
        .expect(200, "ignored");
    star()
        .signed_by_sha1(b"the old one")
        .send()
        .expect(200, "ignored");
    for wrong in ["", "\n", "the old one\r", "the new one", SECRET] {
        star()
            .signed_with(wrong.as_bytes())
            .send()
            .expect(403, "refused");
    }
}

#[test]
fn without_a_secret_nobody_is_let_in() {
    let world = World::new();
    let path = world.path("secret.txt");
    for (state, content) in [
        ("empty", Some("")),
        ("blank lines", Some("\n\r\n")),
        ("missing", None),
    ] {
        match content {
            Some(content) => fs::write(&path, content).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        for (delivery, first_word) in [
            (world.push_delivery(NOWHERE).signed_with(b""), "error"),
            (world.push_delivery(NOWHERE), "error"),
            (world.push_delivery(NOWHERE).bare("GET"), "ready"),
        ] {
            let reply = delivery.send();
            let got = (reply.status, reply.first_word());
            assert_eq!(got, (500, first_word), "{state}: {reply:?}");
            assert!(names_no_path(&reply), "{state}: {reply:?}");
        }
        let spoken = world.verb(&["check"]);
        assert_ne!(spoken.exit, Some(0), "{state}");
        spoken.says(&text(&path));
    }
}

#[test]
fn query_words_are_never_taken_as_verbs() {
    let world = World::new();
    for words in [
        &["check"][..],
        &["run"],
        &["--help"],
        &["--version"],
        &["demo"],
        &["/etc/passwd"],
    ] {
        let reply = world
            .delivery("star", "{}")
            .var("QUERY_STRING", words.join("+"))
            .arguments(words)
            .send();
        reply.expect(400, "refused");
        // With a `=` it is an ordinary query; arguments that came all the same are no verbs.
        let reply = world
            .delivery("star", "{}")
            .var("QUERY_STRING", "a=b")
            .arguments(words)
            .send();
        reply.expect(200, "ignored");
        let reply = world
            .delivery("star", "{}")
            .bare("GET")
            .arguments(words)
            .send();
        reply.expect(200, "ready");
    }
}

#[test]
fn any_cgi_variable_means_that_a_web_server_called() {
    let world = World::new();
    let all = [
        "GATEWAY_INTERFACE",
        "REQUEST_METHOD",
        "SERVER_PROTOCOL",
        "QUERY_STRING",
        "CONTENT_LENGTH",
        "HTTP_HOST",
        "HTTP_X_ANYTHING",
    ];
    for kept in all {
        let mut delivery = world
            .delivery("star", "{}")
            .unsigned()
            .arguments(&["--version"]);
        for name in all.iter().chain(&[
            "HTTP_ACCEPT",
            "HTTP_USER_AGENT",
            "HTTP_X_GITHUB_EVENT",
            "HTTP_X_GITHUB_DELIVERY",
        ]) {
            delivery = delivery.without(name);
        }
        delivery.var(kept, "0").send().expect(400, "refused");
    }
    // People export this one.
    let spoken = world
        .clean(&world.program)
        .arg("--version")
        .env("HTTP_PROXY", "http://127.0.0.1:1")
        .output();
    let spoken = spoken.unwrap();
    assert_eq!(spoken.status.code(), Some(0));
    assert_eq!(
        String::from_utf8(spoken.stdout).unwrap().trim_end(),
        concat!("deploy-cgi ", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn the_site_is_never_chosen_by_the_caller() {
    let world = World::new();
    let site = text(&world.site_file());
    let program = world.program.clone();
    let direct = || world.delivery("star", "{}").through(&program);
    // A binary in cgi-bin, told by the server's configuration; the path may be relative.
    direct()
        .var("DEPLOY_CGI_SITE", &site)
        .send()
        .expect(200, "ignored");
    // `cgi.assign = (".cgi" => BINARY)`: the server names the script.
    direct()
        .var("SCRIPT_FILENAME", &site)
        .arguments(&[&site])
        .send()
        .expect(200, "ignored");
    let copy = world.path("copy.cgi");
    copy_executable(&world.site_file(), &copy);
    let copy = text(&copy);
    for delivery in [
        direct(),
        direct().arguments(&[&site]),
        direct().var("SCRIPT_FILENAME", &site).arguments(&[&copy]),
        direct()
            .var("SCRIPT_FILENAME", &site)
            .arguments(&["-x", &site]),
        direct()
            .var("SCRIPT_FILENAME", text(&program))
            .arguments(&[&text(&program)]),
        direct().var("DEPLOY_CGI_SITE", world.path("no such file")),
    ] {
        let reply = delivery.send();
        reply.expect(500, "error");
        assert!(names_no_path(&reply), "{reply:?}");
    }
    // The kernel's word is stronger than the variable.
    let other = world
        .delivery("star", "{}")
        .var("DEPLOY_CGI_SITE", world.path("no such file"));
    other.send().expect(200, "ignored");
}

#[test]
fn a_binary_finds_its_site_beside_it() {
    let world = World::new();
    let folder = world.path("cgi-bin");
    let output = world
        .clean(&world.program)
        .current_dir(&folder)
        .env("DEPLOY_CGI_SITE", "deploy.cgi")
        .envs([
            ("REQUEST_METHOD", "GET"),
            ("QUERY_STRING", ""),
            ("GATEWAY_INTERFACE", "CGI/1.1"),
        ])
        .output()
        .unwrap();
    let answer = String::from_utf8(output.stdout).unwrap();
    assert!(answer.starts_with("Status: 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\r\n\r\nready"), "{answer}");
}

#[test]
fn strangers_learn_nothing() {
    let world = World::new();
    let push = || world.push_delivery(NOWHERE);
    let version = env!("CARGO_PKG_VERSION");
    let root = text(&world.path(""));
    let good = sha256_signature(
        SECRET.as_bytes(),
        world.payload(NOWHERE).to_string().as_bytes(),
    );
    for delivery in [
        push().bare("GET"),
        push().bare("HEAD"),
        push().method("PUT"),
        push().unsigned(),
        push().signed_with(b"guess"),
        push().var("HTTP_X_GITHUB_EVENT", "<script>"),
        push().var("QUERY_STRING", "<script>"),
        push().without("QUERY_STRING").arguments(&["check"]),
        push().var("CONTENT_LENGTH", "x"),
        push().var("HTTP_CONTENT_ENCODING", "br"),
        push().var("CONTENT_TYPE", "text/plain").unsigned(),
    ] {
        let whole = format!("{:?}", delivery.send());
        let tells = [
            version,
            root.trim_end_matches('/'),
            "me/site",
            "<script>",
            "checkout",
            SECRET,
        ];
        for told in tells
            .into_iter()
            .chain([good.strip_prefix("sha256=").unwrap()])
        {
            assert!(!whole.contains(told), "{told:?} is in {whole}");
        }
    }
}

#[test]
fn a_broken_site_file_is_no_news_for_strangers() {
    let world = World::new();
    let settings = format!("{}brunch = \"main\"\n", world.settings());
    world.write_site(&world.site_file(), &settings);
    let push = || world.push_delivery(NOWHERE);
    for (delivery, first_word) in [
        (push(), "error"),
        (push().bare("GET"), "ready"),
        (world.ping_delivery(), "error"),
    ] {
        let reply = delivery.send();
        let got = (reply.status, reply.first_word(), reply.exit);
        assert_eq!(got, (500, first_word, Some(0)), "{reply:?}");
        assert!(names_no_path(&reply), "{reply:?}");
        assert!(!reply.body.contains("brunch"), "{reply:?}");
        // The server's log is where the owner looks.
        assert!(reply.stderr.contains("brunch"), "{reply:?}");
    }
}

#[test]
fn a_bad_site_file_is_told_by_file_line_key_and_what_is_accepted() {
    let world = World::new();
    let bad = world.path("cgi-bin/bad.cgi");
    let good = world.settings();
    let lines = good.lines().count() + 2; // the `#!` line, then these
    for (line, told) in [
        ("brunch = \"main\"", &["brunch", "branch"][..]),
        ("wait = 8", &["wait", "8s"]),
        ("wait = \"8\"", &["wait", "8s"]),
        ("wait = \"1 month\"", &["wait", "8s"]),
        ("wait = \"\"", &["wait", "8s"]),
        ("timeout = \"1M\"", &["timeout", "10m"]),
        ("timeout = \"0s\"", &["timeout"]),
        ("max_body = \"lots\"", &["max_body", "MiB"]),
        ("max_body = -1", &["max_body", "MiB"]),
        ("submodules = \"all\"", &["submodules", "recorded", "skip"]),
        ("umask = \"9\"", &["umask", "022"]),
        ("umask = 22", &["umask", "022"]),
        ("branch = \"\"", &["branch"]),
        ("branch = [\"main\"]", &["branch"]),
        ("repository = \"site\"", &["repository", "owner/name"]),
        ("on_update = true", &["on_update"]),
        ("env = { A = 1 }", &["env"]),
        ("env = { \"A=B\" = \"x\" }", &["env"]),
        ("path = 7", &["path"]),
    ] {
        let key = line.split(' ').next().unwrap();
        let others: String = good
            .lines()
            .filter(|line| !line.starts_with(key))
            .fold(String::new(), |all, line| all + line + "\n");
        let number = lines - (good.lines().count() - others.lines().count());
        world.write_site(&bad, &format!("{others}{line}\n"));
        let spoken = world.verb_of(&bad, &["check"]);
        assert_ne!(spoken.exit, Some(0), "{line}: {spoken:?}");
        let all = spoken.all();
        for told in told.iter().chain(&["bad.cgi", number.to_string().as_str()]) {
            assert!(all.contains(told), "{line}: {told:?} is not in {all}");
        }
        let reply = world.delivery("star", "{}").through(&bad).send();
        assert_eq!(
            (reply.status, reply.first_word()),
            (500, "error"),
            "{line}: {reply:?}"
        );
        assert!(names_no_path(&reply), "{line}: {reply:?}");
    }
}

#[test]
fn what_a_site_file_must_say_is_asked_for() {
    let world = World::new();
    let bad = world.path("cgi-bin/bad.cgi");
    let secret = quoted(&text(&world.path("secret.txt")));
    let repo = quoted(&text(&world.checkout()));
    for (settings, told) in [
        (format!("secret_file = {secret}\n"), "repo"),
        (format!("repo = {repo}\n"), "secret_file"),
        (
            format!("repo = \"checkout\"\nsecret_file = {secret}\n"),
            "absolute",
        ),
        (
            format!("repo = {repo}\nsecret_file = \"secret.txt\"\n"),
            "absolute",
        ),
    ] {
        world.write_site(&bad, &settings);
        let spoken = world.verb_of(&bad, &["check"]);
        assert_ne!(spoken.exit, Some(0), "{settings}");
        spoken.says(told);
        spoken.says("bad.cgi");
        let delivery = world.delivery("star", "{}").through(&bad);
        delivery.send().expect(500, "error");
    }
}

/// A person with FTP only has no log and no shell, and sees no more than anybody.
#[test]
fn a_browser_learns_the_line_and_the_kind_of_mistake_and_nothing_of_the_file() {
    let world = World::new();
    let explained = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/troubleshooting.md");
    let explained = fs::read_to_string(explained).unwrap();
    let bad = world.path("cgi-bin/bad.cgi");
    for (line, kind) in [
        ("hunter2 = 1", "unknown key"),
        ("umask = \"hunter2\"", "a value that is not accepted"),
        ("branch = hunter2", "a value without quotes"),
        ("umask = 022", "a value without quotes"),
        ("branch = “hunter2”", "curly quotes"),
        ("branch = \"hunter2", "a quote is missing"),
        ("branch \"hunter2\"", "no `=`"),
        (
            "on_update = \"touch \"hunter2\"\"",
            "something behind the value",
        ),
        (
            "umask = \"hunter2\"\numask = \"hunter2\"",
            "a key that stands there already",
        ),
    ] {
        let settings = world.settings() + line + "\n";
        world.write_site(&bad, &settings);
        // The first line is the kernel's.
        let number = settings.lines().count() + 1;
        let page = world.delivery("star", "").bare("GET").through(&bad).send();
        assert_eq!((page.status, page.first_word()), (500, "ready"), "{page:?}");
        page.says(&format!("cannot be used: line {number}: {kind}. "));
        assert!(explained.contains(kind), "troubleshooting.md has no {kind}");
        assert!(!page.body.contains("hunter2"), "{page:?}");
        assert!(names_no_path(&page), "{page:?}");
    }
}

#[test]
fn a_secret_written_into_the_site_file_is_not_printed() {
    let world = World::new();
    let bad = world.path("cgi-bin/bad.cgi");
    for line in [
        "secret = \"hunter2\"",
        "secret_file = hunter2",
        "secret = \"hunter2",
    ] {
        world.write_site(&bad, &format!("repo = \"/srv\"\n{line}\n"));
        let spoken = world.verb_of(&bad, &["check"]);
        assert_ne!(spoken.exit, Some(0), "{line}");
        spoken.says("bad.cgi");
        let reply = world.delivery("star", "{}").through(&bad).send();
        reply.expect(500, "error");
        let all = format!("{spoken:?}{reply:?}");
        assert!(!all.contains("hunter2"), "{line}: {all}");
    }
}

#[test]
fn the_secret_appears_in_no_output() {
    let mut world = World::new();
    let secret = "correct-horse-battery-staple";
    fs::write(world.path("secret.txt"), secret).unwrap();
    world.key(
        "on_update",
        "\"env >> seen; cat /proc/$PPID/environ >> seen; exit 3\"",
    );
    let commit = world.push("two");
    let mut all = String::new();
    for delivery in [
        world.push_delivery(&commit).signed_with(secret.as_bytes()),
        world.push_delivery(&commit),
        world.ping_delivery().signed_with(secret.as_bytes()),
        world.delivery("star", "{}").signed_with(secret.as_bytes()),
        world.push_delivery(&commit).bare("GET"),
    ] {
        write!(all, "{:?}", delivery.send()).unwrap();
    }
    write!(all, "{:?}", world.verb(&["check"])).unwrap();
    all += &fs::read_to_string(world.state("history.jsonl")).unwrap();
    all += &String::from_utf8_lossy(&fs::read(world.path("checkout/seen")).unwrap());
    assert!(all.contains("failed") && all.contains("HOME="), "{all}");
    assert!(!all.contains(secret));
    assert!(!all.contains(&hex::encode(secret)));
}

#[test]
fn answers_to_head_have_no_body() {
    let world = World::new();
    let page = world.push_delivery(NOWHERE).bare("GET").send();
    page.expect(200, "ready");
    let head = world.push_delivery(NOWHERE).bare("HEAD").send();
    let length = page.body.len().to_string();
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(
        (head.exit, head.header("Content-Length")),
        (Some(0), Some(length.as_str()))
    );
    let refused = world
        .push_delivery(NOWHERE)
        .bare("HEAD")
        .var("QUERY_STRING", "a")
        .send();
    assert_eq!((refused.status, refused.body.as_str()), (400, ""));
}

#[test]
fn other_methods_are_told_what_is_allowed() {
    let world = World::new();
    for method in [
        "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "post", "PROPFIND", "",
    ] {
        let reply = world.push_delivery(NOWHERE).method(method).send();
        assert_eq!(reply.status, 405, "{method:?}: {reply:?}");
        assert_eq!(reply.header("Allow"), Some("GET, HEAD, POST"), "{method:?}");
    }
}

#[test]
fn a_body_is_read_without_waiting_for_its_end() {
    let world = World::new();
    world
        .delivery("star", "{}")
        .input_stays_open()
        .send()
        .expect(200, "ignored");
    // What comes after the announced length is not part of the body.
    let signature = sha256_signature(SECRET.as_bytes(), b"{}");
    let more = world.delivery("star", "{}{\"more\":true}").unsigned();
    let more = more
        .var("CONTENT_LENGTH", "2")
        .var("HTTP_X_HUB_SIGNATURE_256", signature);
    more.input_stays_open().send().expect(200, "ignored");
    let nothing = world.push_delivery(NOWHERE).bare("GET").input_stays_open();
    nothing.send().expect(200, "ready");
}

#[test]
fn a_body_of_unknown_length_is_read_to_its_end() {
    let mut world = World::new();
    world.key("max_body", "\"64KiB\"");
    let chunked = |body: Vec<u8>| {
        let delivery = world.delivery("star", body).without("CONTENT_LENGTH");
        delivery.var("HTTP_TRANSFER_ENCODING", "chunked")
    };
    chunked(b"{}".to_vec()).send().expect(200, "ignored");
    chunked(vec![b' '; 64 * 1024 + 1])
        .send()
        .expect(413, "refused");
}

#[test]
fn a_body_is_taken_whole_before_it_is_refused() {
    let world = World::new();
    // More than any pipe holds: the server would be stuck, or cut the answer.
    let body = vec![b'x'; 3 * 1024 * 1024];
    let send = |change: fn(Delivery) -> Delivery| {
        let mut started = change(world.delivery("star", body.clone())).start();
        wait_until("the end", || started.child.try_wait().unwrap().is_some());
        started.reply()
    };
    send(Delivery::unsigned).expect(403, "refused");
    send(|delivery| delivery.method("PUT")).expect(405, "refused");
    send(|delivery| delivery.var("QUERY_STRING", "words")).expect(400, "refused");
    send(|delivery| delivery.without("HTTP_X_GITHUB_EVENT")).expect(400, "refused");
}

#[test]
fn a_content_type_may_have_parameters() {
    let world = World::new();
    for kind in ["application/json; charset=utf-8", "Application/JSON"] {
        world
            .delivery("star", "{}")
            .var("CONTENT_TYPE", kind)
            .send()
            .expect(200, "ignored");
    }
    let kind = format!("{FORM}; charset=utf-8");
    world
        .delivery("star", form("{}"))
        .var("CONTENT_TYPE", kind)
        .send()
        .expect(200, "ignored");
    for kind in [
        "",
        "application/jsonx",
        "multipart/form-data",
        "application/xml",
    ] {
        let reply = world
            .delivery("star", "{}")
            .var("CONTENT_TYPE", kind)
            .send();
        assert_eq!(
            (reply.status, reply.first_word()),
            (415, "refused"),
            "{kind:?}: {reply:?}"
        );
    }
}

#[test]
fn a_ping_of_any_hook_is_answered() {
    let world = World::new();
    for (hook, fields) in [
        (
            "of a repository",
            json!({ "zen": "z", "hook_id": 1, "repository": { "full_name": "me/site" } }),
        ),
        (
            "of an organisation",
            json!({ "zen": "z", "hook_id": 1, "organization": { "login": "me" } }),
        ),
        (
            "of an app",
            json!({ "zen": "z", "hook_id": 1, "hook": { "type": "App" } }),
        ),
    ] {
        let reply = world.delivery("ping", fields.to_string()).send();
        assert_eq!(
            (reply.status, reply.first_word()),
            (200, "pong"),
            "{hook}: {reply:?}"
        );
    }
    fs::rename(world.checkout(), world.path("elsewhere")).unwrap();
    let reply = world.ping_delivery().send();
    reply.expect(500, "pong");
    reply.says("checkout");
}

#[test]
fn pushes_that_do_not_concern_the_site_are_ignored_and_told_apart() {
    let world = World::new();
    let before = world.head();
    for (push, change, told) in [
        (
            "other branch",
            json!({ "ref": "refs/heads/next" }),
            &["next", "main"][..],
        ),
        (
            "branch with a longer name",
            json!({ "ref": "refs/heads/me/main" }),
            &["me/main"],
        ),
        ("tag", json!({ "ref": "refs/tags/main" }), &["tag", "main"]),
        (
            "notes",
            json!({ "ref": "refs/notes/main" }),
            &["refs/notes/main"],
        ),
        (
            "deletion",
            json!({ "after": ZERO, "deleted": true }),
            &["delet"],
        ),
        (
            "other repository",
            json!({ "repository": { "full_name": "me/other" } }),
            &["me/other", "me/site"],
        ),
        (
            "submodule",
            json!({ "repository": { "full_name": "me/posts" } }),
            &["posts"],
        ),
    ] {
        let mut payload = world.payload(NOWHERE);
        for (name, value) in change.as_object().unwrap() {
            payload[name] = value.clone();
        }
        let reply = world.delivery("push", payload.to_string()).send();
        assert_eq!(
            (reply.status, reply.first_word()),
            (200, "ignored"),
            "{push}: {reply:?}"
        );
        for told in told {
            assert!(
                reply.body.contains(told),
                "{push}: {told:?} is not in {reply:?}"
            );
        }
    }
    assert_eq!(world.head(), before);
    assert_eq!((world.history().len(), world.tickets()), (0, 0));
}

#[test]
fn a_push_is_judged_by_its_ref_its_ids_and_its_repository_only() {
    let world = World::new();
    let refused = |change: serde_json::Value| {
        let mut payload = world.payload(NOWHERE);
        for (name, value) in change.as_object().unwrap() {
            payload[name] = value.clone();
        }
        world
            .delivery("push", payload.to_string())
            .send()
            .expect(400, "refused");
    };
    refused(json!({ "ref": 7 }));
    refused(json!({ "after": "xyz" }));
    refused(json!({ "after": "--upload-pack=touch /tmp/x" }));
    refused(json!({ "after": NOWHERE[..39] }));
    refused(json!({ "repository": "me/site" }));
    // What other senders leave out or fill with other things is not looked at.
    let commit = world.push("two");
    let payload = json!({
        "ref": "refs/heads/main", "before": ZERO, "after": commit,
        "deleted": "yes", "commits": 7, "head_commit": [], "pusher": null,
        "repository": { "full_name": "Me/Site", "id": "x" }
    });
    world
        .delivery("push", payload.to_string())
        .send()
        .expect(200, "deployed");
}

#[test]
fn a_delivery_id_is_at_most_sixty_four_of_its_characters() {
    let world = World::new();
    let with = |id: &str| {
        world
            .delivery("star", "{}")
            .var("HTTP_X_GITHUB_DELIVERY", id)
            .send()
    };
    with(DELIVERY).expect(200, "ignored");
    with("GUID").expect(200, "ignored");
    with(&"a".repeat(64)).expect(200, "ignored");
    for id in ["", " ", "a b", "a/b", "a\n", &"a".repeat(65)] {
        with(id).expect(400, "refused");
    }
}

/// One answer after another: status, headers that not every answer has, body, stderr, exit code
/// where it is not 0.
const REQUESTS: &str = r"
== query words
400 Bad Request
refused by deploy-cgi: the address has a query without `=`; enter the Payload URL without one.

== no method
400 Bad Request
refused by deploy-cgi: the web server did not say what was requested (REQUEST_METHOD, QUERY_STRING).

== no query, and a word of one
400 Bad Request
refused by deploy-cgi: the web server did not say what was requested (REQUEST_METHOD, QUERY_STRING).

== GET
200 OK
ready for deliveries. Enter this address as the Payload URL of a GitHub webhook (deploy-cgi).

== HEAD
200 OK

== PUT
405 Method Not Allowed
Allow: GET, HEAD, POST
refused by deploy-cgi: a delivery is a POST.

== too large
413 Content Too Large
refused by deploy-cgi: the body is larger than this site takes; the key `max_body` sets how much.

== length in words
400 Bad Request
refused by deploy-cgi: Content-Length is not a number.

== length with a sign
400 Bad Request
refused by deploy-cgi: Content-Length is not a number.

== short body
400 Bad Request
refused by deploy-cgi: the body ended, or time was up, before all of it had come.

== compressed
415 Unsupported Media Type
refused by deploy-cgi: the body is compressed; GitHub sends it as it is.

== no event
400 Bad Request
refused by deploy-cgi: the header X-GitHub-Event is missing or malformed.

== odd event
400 Bad Request
refused by deploy-cgi: the header X-GitHub-Event is missing or malformed.

== no delivery id
400 Bad Request
refused by deploy-cgi: the header X-GitHub-Delivery is missing or malformed.

== odd delivery id
400 Bad Request
refused by deploy-cgi: the header X-GitHub-Delivery is missing or malformed.

== unsigned
403 Forbidden
refused by deploy-cgi: the delivery is not signed: X-Hub-Signature-256 is missing or empty. Enter the secret in the webhook's settings.

== malformed
403 Forbidden
refused by deploy-cgi: the signature is malformed: it has to be sha256= and 64 lower-case hex digits.

== wrong
403 Forbidden
refused by deploy-cgi: the signature does not match. The secret in the webhook's settings and the one in this site's secret file have to be the same; a blank or a line end that was pasted with one of them is the usual cause.

== other type
415 Unsupported Media Type
refused by deploy-cgi: the content type has to be application/json, or a form with one payload field.

== no payload
415 Unsupported Media Type
refused by deploy-cgi: the content type has to be application/json, or a form with one payload field.

== not JSON
400 Bad Request
refused by deploy-cgi: the body is not the JSON of the event push: expected value at line 1 column 1.

== not a push
400 Bad Request
refused by deploy-cgi: the body is not the JSON of the event push: missing field `ref` at line 1 column 11.

== ping
200 OK
pong from deploy-cgi: a deploy would work

ok       site file     <world>/cgi-bin/deploy.cgi
ok       secret file   <world>/secret.txt, 1 secret
ok       checkout      <world>/checkout
ok       write access  yes
ok       disk          has space
ok       git           <git>, <git's version>
ok       branch        main
ok       upstream      origin/main at http://<origin>/me/site.git
ok       repository    me/site
ok       work tree     no uncommitted changes
ok       submodules    1, all there
ok       remote        can be reached, and has main
ok       hook          delivers pushes
ok       content type  application/json

== other event
200 OK
ignored the event star: only a push is deployed.
";

const DEPLOYS: &str = r"
== deployed
200 OK
deployed main <id>..<id>, 1 commit

  <id> Say with two

submodules:
  posts <id>..<id>

pull        <time>
submodules  <time>
on_update   <time>

== unchanged
200 OK
unchanged main is at <id>: nothing is new

pull  <time>

== failed
500 Internal Server Error
failed at on_update: the command ended with exit code 1; the new files are in place, the command is run again with the next deploy

What to do: mend what it says below; then press Redeliver

it said:
  the app is restarted

  <id> Say three

pull       <time>
on_update  <time>  exit code 1

== failed
500 Internal Server Error
failed at on_update: the command ended with exit code 1; the new files are in place, the command is run again with the next deploy

What to do: mend what it says below; then press Redeliver

it said:
  the app is restarted

  <id> Say three

pull       <time>
on_update  <time>  exit code 1

This delivery came before. It failed for the same reason, <date>.

== repaired
200 OK
deployed main <id>..<id>, 1 commit

  <id> Say three

pull       <time>
on_update  <time>

== in-the-way
500 Internal Server Error
failed at pull: uncommitted changes are in the way: index.html

What to do: put them into a stash (git stash list shows it, git stash pop brings them back), then press Redeliver:
    git -C '<world>/checkout' stash push -- index.html

git said:
  <words>

pull  <time>  exit code 1

== accepted
202 Accepted
accepted by deploy-cgi: the deploy has begun; this site does not wait for it.

To see how it ended: press Redeliver on this delivery, or on the ping; on the server: ./deploy.cgi status accepted

== next-in-line
202 Accepted
accepted by deploy-cgi: the deploy has begun; this site does not wait for it.

To see how it ended: press Redeliver on this delivery, or on the ping; on the server: ./deploy.cgi status next-in-line

== queued
202 Accepted
queued by deploy-cgi: another deploy is running, and the next one, already in line, includes this push.

To see how it ended: press Redeliver on this delivery, or on the ping.

== no-room
503 Service Unavailable
error in deploy-cgi: the deploy could not be queued, and was not begun: cannot list <world>/checkout/.git/deploy-cgi/queue: Not a directory (os error 20)

What to do: mend that, then press Redeliver.
stderr: deploy-cgi: error: cannot list <world>/checkout/.git/deploy-cgi/queue: Not a directory (os error 20)

== empty secret
500 Internal Server Error
error in deploy-cgi: the secret file is missing, empty or unreadable, so no delivery can be checked. Put the webhook's secret into it; the server's error log says which file is meant, and so does ./deploy.cgi check.
stderr: deploy-cgi: error: the secret file <world>/secret.txt is empty; write the webhook's secret into it

== GET, empty secret
500 Internal Server Error
ready: no (deploy-cgi). the secret file is missing, empty or unreadable, so no delivery can be checked. Put the webhook's secret into it; the server's error log says which file is meant, and so does ./deploy.cgi check.
stderr: deploy-cgi: error: the secret file <world>/secret.txt is empty; write the webhook's secret into it

== unsigned, empty secret
403 Forbidden
refused by deploy-cgi: the delivery is not signed: X-Hub-Signature-256 is missing or empty. Enter the secret in the webhook's settings.

== no secret
500 Internal Server Error
error in deploy-cgi: the secret file is missing, empty or unreadable, so no delivery can be checked. Put the webhook's secret into it; the server's error log says which file is meant, and so does ./deploy.cgi check.
stderr: deploy-cgi: error: cannot read the secret file <world>/secret.txt: No such file or directory (os error 2)

== broken site
500 Internal Server Error
error in deploy-cgi: the site file cannot be used: line 2: a value that is not accepted. The server's error log shows what is meant; so does ./deploy.cgi check.
stderr: deploy-cgi: error: <world>/cgi-bin/deploy.cgi:2: `repo = 1`: `repo` has to be the absolute path of the checkout

== GET, broken site
500 Internal Server Error
ready: no (deploy-cgi). the site file cannot be used: line 2: a value that is not accepted. The server's error log shows what is meant; so does ./deploy.cgi check.
stderr: deploy-cgi: error: <world>/cgi-bin/deploy.cgi:2: `repo = 1`: `repo` has to be the absolute path of the checkout

== unsigned, broken site
403 Forbidden
refused by deploy-cgi: the delivery is not signed: X-Hub-Signature-256 is missing or empty. Enter the secret in the webhook's settings.
";
