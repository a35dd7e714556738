//! Logins, tokens and the webhook's secret appear in no answer, no report, no record and no command
//! line, wherever git prints them. Each of the tests has a mark in what is secret.

use std::fmt::Write as _;
use std::fs;

use crate::tree::paths_below;
use crate::world::{NOWHERE, SECRET, World, quoted, search_path, text, write_executable};

/// The end of every password here, as it is written and as it is meant.
const MARK: &str = "t0ken";
/// `me:wr0ngt0ken` in base64, as a header of HTTP has it.
const IN_BASE64: &str = "bWU6d3IwbmdUMGtlbg";

/// A world that keeps the command lines of git.
fn listening() -> World {
    let mut world = World::new();
    let folder = text(&world.path("fake"));
    let real = search_path();
    let git =
        format!("#!/bin/sh\necho \"$*\" >>'{folder}/started'\nPATH='{real}' exec git \"$@\"\n");
    write_executable(&world.path("fake/git"), &git);
    world.key("path", &quoted(&format!("{folder}:{real}")));
    world.key("on_update", "\"true\"");
    world.key("on_failure", "\"cat >../mail\"");
    world
}

/// All that anybody gets to see after a push, a ping, a push elsewhere, and each of the verbs.
fn all_that_is_said(world: &World, commit: &str) -> String {
    let mut all = String::new();
    let push = || {
        world.delivery(
            "push",
            crate::world::payload_after(NOWHERE, commit).to_string(),
        )
    };
    for delivery in [push(), world.ping_delivery()] {
        write!(all, "{:#?}", delivery.send()).unwrap();
        world.settle();
    }
    let mut elsewhere = crate::world::payload_after(NOWHERE, commit);
    elsewhere["repository"]["full_name"] = "somebody/else".into();
    let elsewhere = world.delivery("push", elsewhere.to_string()).send();
    write!(all, "{elsewhere:#?}").unwrap();
    for words in [&["run"][..], &["check"], &["status"], &["status", "--json"]] {
        write!(all, "{:#?}", world.verb(words)).unwrap();
        world.settle();
    }
    all += &kept(world);
    all
}

/// What is left on the disk by the program, and what git was started with.
fn kept(world: &World) -> String {
    let mut all = String::new();
    for path in paths_below(&world.state(""), |_| true) {
        if !path.is_dir() {
            all += &String::from_utf8_lossy(&fs::read(&path).unwrap());
        }
    }
    for file in ["fake/started", "mail"] {
        all += &fs::read_to_string(world.path(file)).unwrap_or_default();
    }
    all
}

#[track_caller]
fn says_nothing_secret(what: &str, said: &str) {
    for secret in [MARK, "T0ken", IN_BASE64, "bWU6czNjcjN0dDBrZW4"] {
        if let Some(at) = said.find(secret) {
            let start = said[..at]
                .char_indices()
                .rev()
                .nth(200)
                .map_or(0, |(start, _)| start);
            panic!("{what}: …{}", &said[start..at + secret.len()]);
        }
    }
}

fn set_remote(world: &World, url: &str) {
    world.git(&world.checkout(), &["remote", "set-url", "origin", url]);
}

/// Nothing of the login is shown where this is the remote's URL.
#[track_caller]
fn is_never_shown(world: &World, commit: &str, url: &str, verdict: &str) {
    set_remote(world, url);
    let said = all_that_is_said(world, commit);
    assert!(
        said.contains(&format!("body: \"{verdict}")),
        "{url}: {said}"
    );
    says_nothing_secret(url, &said);
}

#[track_caller]
fn logins_are_never_shown(logins: &[&str]) {
    let world = listening();
    let commit = world.push("two");
    for login in logins {
        let url = world.origin.url_with_login(login, "auth/me/site.git");
        is_never_shown(&world, &commit, &url, "failed");
    }
}

#[test]
fn a_login_in_the_remotes_url_is_never_shown() {
    let world = listening();
    let commit = world.push("two");
    let url = |login: &str, path: &str| world.origin.url_with_login(login, path);
    let good = url("me:s3cr3tt0ken", "auth/me/site.git");
    is_never_shown(&world, &commit, &good, "deployed");
    for path in ["auth/me/site.git", "none/me/site.git"] {
        is_never_shown(&world, &commit, &url("me:wr0ngt0ken", path), "failed");
    }
    let query = world.origin.url("auth/me/site.git?access_token=wr0ngt0ken");
    is_never_shown(&world, &commit, &query, "failed");
}

#[test]
fn a_login_of_one_word_is_never_shown() {
    logins_are_never_shown(&["wr0ngt0ken", "wr0ngt0ken:", "wr0ng%74%30ken"]);
}

#[test]
fn an_escaped_login_is_never_shown() {
    logins_are_never_shown(&["me:wr0ng%2Ft0ken", "me:wr0ng%74%30ken", "wr0ng%40t0ken"]);
}

#[test]
#[ignore = "many deploys: ./tests/run"]
fn a_token_of_githubs_is_never_shown() {
    let token = format!("ghp_{}{MARK}", "a".repeat(31));
    let basic = format!("{token}:x-oauth-basic");
    let of_an_app = format!("x-access-token:{token}");
    logins_are_never_shown(&[&token, &basic, &of_an_app]);
}

#[test]
fn a_login_for_a_server_that_is_not_there_is_never_shown() {
    let world = listening();
    let commit = world.push("two");
    for scheme in ["http", "ftp", "ssh", "nonsense", "HTTP"] {
        let url = format!("{scheme}://me:wr0ngt0ken@127.0.0.1:1/me/site.git");
        is_never_shown(&world, &commit, &url, "failed");
    }
}

#[track_caller]
fn is_never_shown_of_a_submodule(login: &str, verdict: &str) {
    let world = listening();
    let post = world.head_of("seed/posts");
    let seed = world.path("seed/site");
    let url = world.origin.url_with_login(login, "auth/me/posts.git");
    let more = format!("[submodule \"notes\"]\n\tpath = notes\n\turl = {url}\n");
    let modules = world.read("seed/site/.gitmodules") + &more;
    fs::write(seed.join(".gitmodules"), modules).unwrap();
    let link = format!("160000,{post},notes");
    world.git(&seed, &["update-index", "--add", "--cacheinfo", &link]);
    world.git(&seed, &["add", ".gitmodules"]);
    let commit = world.push("two");
    let said = all_that_is_said(&world, &commit);
    assert!(
        said.contains(&format!("body: \"{verdict}")),
        "{login}: {said}"
    );
    says_nothing_secret(login, &said);
}

#[test]
fn a_login_in_a_submodules_url_is_never_shown() {
    is_never_shown_of_a_submodule("me:s3cr3tt0ken", "deployed");
    is_never_shown_of_a_submodule("me:wr0ng%2Ft0ken", "failed");
}

#[test]
#[ignore = "many deploys: ./tests/run"]
fn a_login_of_any_form_in_a_submodules_url_is_never_shown() {
    for login in ["me:wr0ngt0ken", "wr0ngt0ken", "wr0ng%74%30ken"] {
        is_never_shown_of_a_submodule(login, "failed");
    }
}

#[test]
fn a_login_in_the_url_to_clone_from_is_never_shown() {
    for (login, word) in [
        ("me:s3cr3tt0ken", "deployed"),
        ("me:wr0ngt0ken", "failed"),
        ("wr0ngt0ken", "failed"),
        ("me:wr0ng%2Ft0ken", "failed"),
    ] {
        let mut world = listening();
        let url = world.origin.url_with_login(login, "auth/me/site.git");
        let commit = world.head();
        fs::remove_dir_all(world.checkout()).unwrap();
        world.key("clone", &quoted(&url));
        let said = all_that_is_said(&world, &commit);
        assert!(said.contains(&format!("body: \"{word}")), "{login}: {said}");
        says_nothing_secret(login, &said);
    }
}

/// Somebody looks for a fault in the connection, and GitHub shows the report.
#[test]
fn a_login_in_gits_own_traces_is_never_shown() {
    let mut world = listening();
    let traces = [
        "GIT_TRACE",
        "GIT_TRACE_CURL",
        "GIT_CURL_VERBOSE",
        "GIT_TRACE2",
        "GIT_TRACE_PACKET",
    ];
    let mut more = ", GIT_TRACE_REDACT = \"0\"".to_owned();
    for name in traces {
        write!(more, ", {name} = \"1\"").unwrap();
    }
    world.key("env", &world.shield(&more));
    let commit = world.push("two");
    for login in ["me:wr0ngt0ken", "me:wr0ngT0ken", "wr0ngt0ken"] {
        let url = world.origin.url_with_login(login, "auth/me/site.git");
        set_remote(&world, &url);
        let said = all_that_is_said(&world, &commit);
        assert!(said.contains("body: \"failed"), "{said}");
        assert!(said.contains("trace"), "{said}");
        says_nothing_secret(login, &said);
    }
}

/// What people write into their commits is shown in the report.
#[test]
fn tokens_in_what_was_pushed_are_never_shown() {
    let world = listening();
    let tokens = [
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github_pat_",
        "glpat-",
    ];
    let tokens = tokens.map(|start| format!("{start}{}{MARK}", "a".repeat(31)));
    let mut commit = String::new();
    let logins = [
        "https://me:wr0ngt0ken@host/o/n.git".to_owned(),
        SECRET.to_owned(),
    ];
    for subject in tokens.iter().chain(&logins) {
        commit = world.push_to("site", "index.html", subject, &format!("Use {subject} now"));
    }
    let said = all_that_is_said(&world, &commit);
    assert!(
        said.contains("body: \"deployed") && said.contains("Use ghp_"),
        "{said}"
    );
    says_nothing_secret("subjects", &said);
    assert!(
        !said.contains(SECRET) && !said.contains("t's a Secret"),
        "{said}"
    );
}

#[test]
fn what_a_command_prints_is_shown_without_secrets() {
    let mut world = listening();
    let secrets = [SECRET, "an older one, \"quoted\"\\", "<and>&a third"];
    fs::write(world.path("secret.txt"), secrets.join("\n")).unwrap();
    let url = world
        .origin
        .url_with_login("me:s3cr3tt0ken", "auth/me/site.git");
    set_remote(&world, &url);
    world.key(
        "on_update",
        "\"cat ../secret.txt; git remote -v; echo s3cr3tt0ken; tr '\\\\n' ' ' <../secret.txt; exit 3\"",
    );
    let commit = world.push("two");
    let log = world.state("on_update.log");
    let mut said = String::new();
    for secret in &secrets {
        let delivery = world.push_delivery(&commit).signed_with(secret.as_bytes());
        let reply = delivery.send();
        reply.expect(500, "failed");
        write!(said, "{}{}", reply.body, reply.stderr).unwrap();
        world.settle();
    }
    for words in [&["run"][..], &["check"], &["status"], &["status", "--json"]] {
        said += &world.verb(words).all();
        world.settle();
    }
    // What the command printed by itself is kept for the person, in a file of theirs.
    fs::remove_file(log).unwrap();
    said += &kept(&world);
    assert!(said.contains("exit code 3"), "{said}");
    says_nothing_secret("on_update", &said);
    for secret in secrets {
        let in_json = quoted(secret);
        assert!(!said.contains(secret), "{secret}: {said}");
        assert!(
            !said.contains(in_json.trim_matches('"')),
            "{secret}: {said}"
        );
    }
}

mod faults {
    use super::{all_that_is_said, listening, set_remote};

    /// git reads an unescaped `/` or `?` as the end of the host; what follows is no repository.
    fn misread_logins_are_never_shown(path: &str) {
        let world = listening();
        let host = world.origin.host();
        let commit = world.push("two");
        for login in [
            "me:wr0/ngt0ken",
            "me:wr0/ngt0ken/x",
            "me:wr0@ngt0ken",
            "me:wr0/ngt0ken/x?y",
            "me:wr/0n/gt0ken#",
        ] {
            let url = format!("http://{login}@{host}{path}");
            set_remote(&world, &url);
            super::says_nothing_secret(&url, &all_that_is_said(&world, &commit));
        }
    }

    #[test]
    fn a_login_that_git_misreads_is_never_shown() {
        misread_logins_are_never_shown("/me/site.git");
    }

    #[test]
    #[ignore = "many deploys: ./tests/run"]
    fn a_login_that_git_misreads_before_a_host_alone_is_never_shown() {
        misread_logins_are_never_shown("");
    }
}

#[test]
fn a_login_before_a_host_and_a_path_is_never_shown() {
    let mut world = listening();
    world.key("env", &world.shield(", GIT_SSH_COMMAND = \"false\""));
    set_remote(&world, "me:wr0ngt0ken@127.0.0.1:me/site.git");
    let said = all_that_is_said(&world, &world.push("two"));
    assert!(said.contains("***@127.0.0.1:me/site.git"), "{said}");
    says_nothing_secret("an scp-like URL", &said);
}
