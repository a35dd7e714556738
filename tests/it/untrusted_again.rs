//! What others write, read and hold, tried once more from other sides: logins, URLs, names, files in the place of files.

use std::fs;
use std::path::Path;

use crate::checkouts::{change, deployed, has, publish};
use crate::checkouts_submodules::{add, plant, point, set_module};
use crate::tree::paths_below;
use crate::world::{World, ZERO, payload_after, quoted, text, write_executable};

const TOKEN: &str = "s3cr3tt0ken";

/// A world whose site names its submodule beside itself, and whose remotes want a login.
fn behind_a_login() -> (World, String, String) {
    let mut world = World::new();
    set_module(&world, "site", "posts.url", "../posts.git");
    let commit = publish(&world, "site");
    let trace = quoted(&text(&world.path("trace")));
    world.key("env", &world.shield(&format!(", GIT_TRACE = {trace}")));
    let url = world
        .origin
        .url_with_login(&format!("me:{TOKEN}"), "auth/me/site.git");
    (world, commit, url)
}

/// Everything that git was started with, it and its children.
fn arguments(world: &World) -> String {
    let trace = fs::read_to_string(world.path("trace")).unwrap();
    assert!(trace.contains("remote-http"), "{trace}");
    trace
}

fn has_the_token(file: &Path) -> bool {
    fs::read(file).is_ok_and(|bytes| bytes.windows(TOKEN.len()).any(|at| at == TOKEN.as_bytes()))
}

#[test]
fn a_login_in_clone_is_in_no_argument_and_in_no_other_file() {
    let (mut world, commit, url) = behind_a_login();
    fs::remove_dir_all(world.checkout()).unwrap();
    world.key("clone", &quoted(&url));
    let body = payload_after(ZERO, &commit).to_string();
    world.delivery("push", body).send().expect(200, "deployed");
    world.settle();
    let post = change(&world, "posts", &[("second.md", Some("two\n"))]);
    point(&world, "site", "posts", &post);
    deployed(&world, &publish(&world, "site"));
    has(&world, &[("posts/second.md", "two\n")]);
    let check = world.verb(&["check"]);
    check.expect_exit(0);
    check.says("the URL of clone has a login in it");
    check.says("use a deploy key");
    world.ping_delivery().send().expect(200, "pong");
    let trace = arguments(&world);
    assert!(!trace.contains(TOKEN), "{trace}");
    for file in paths_below(&world.checkout(), |_| true) {
        assert!(!has_the_token(&file), "{}", file.display());
    }

    // Whoever writes another URL of that host does not get it.
    let own = world.origin.url("auth/me/site.git");
    set_module(&world, "site", "posts.url", &own);
    point(&world, "site", "posts", &commit);
    let reply = world.push_delivery(&publish(&world, "site")).send();
    reply.expect(500, "failed");
    assert!(!world.exists("checkout/posts/index.html"), "{reply:#?}");

    // A new one counts as soon as the site file has it.
    let other = world.origin.url_with_login("me:wrong", "auth/me/site.git");
    world.key("clone", &quoted(&other));
    let reply = world.push_delivery(&world.push("three")).send();
    reply.expect(500, "failed");
    reply.says("refuses the login of the key `clone`");
}

#[test]
fn a_login_in_the_url_of_a_remote_is_in_no_argument() {
    let (world, commit, url) = behind_a_login();
    let checkout = world.checkout();
    world.git(&checkout, &["remote", "set-url", "origin", &url]);
    let post = url.replace("site.git", "posts.git");
    for (folder, key, url) in [
        ("checkout", "submodule.posts.url", &post),
        ("checkout/posts", "remote.origin.url", &post),
    ] {
        world.git(&world.path(folder), &["config", key, url]);
    }
    deployed(&world, &commit);
    let post = change(&world, "posts", &[("second.md", Some("two\n"))]);
    point(&world, "site", "posts", &post);
    deployed(&world, &publish(&world, "site"));
    has(&world, &[("posts/second.md", "two\n")]);
    let check = world.verb(&["check"]);
    check.expect_exit(0);
    check.says("the URL of origin has a login in it");
    let trace = arguments(&world);
    assert!(!trace.contains(TOKEN), "{trace}");
}

#[test]
fn a_small_file_that_says_the_same_for_ever_fills_no_memory() {
    let mut world = World::new();
    world.key("timeout", "\"60s\"");
    let name = "x".repeat(1 << 14);
    let lines = "path=y\n".repeat(20_000);
    let seed = world.path("seed/posts");
    fs::write(
        seed.join(".gitmodules"),
        format!("[submodule \"{name}\"]\n{lines}"),
    )
    .unwrap();
    world.git(&seed, &["add", ".gitmodules"]);
    let post = publish(&world, "posts");
    point(&world, "site", "posts", &post);
    let commit = publish(&world, "site");
    deployed(&world, &commit);
    world.verb(&["check"]).expect_exit(0);
    // The author mends it, or takes it back.
    fs::write(seed.join(".gitmodules"), "").unwrap();
    world.git(&seed, &["add", ".gitmodules"]);
    let post = publish(&world, "posts");
    point(&world, "site", "posts", &post);
    deployed(&world, &publish(&world, "site"));
}

#[test]
fn a_server_that_talks_without_end_is_ended_at_the_limit() {
    let mut world = World::new();
    world.key("timeout", "\"3s\"");
    let hook = world.path("hook");
    write_executable(
        &hook,
        // Several times what is kept at once, and then more without an end.
        "#!/bin/sh\nsay() { yes 'remote: What to do: fatal: x' | head -n \"$1\" >&2; }\n\
         say 500000\nwhile say 100; do sleep 0.1; done\n",
    );
    let mine = world.path("me/.gitconfig");
    let config = fs::read_to_string(&mine).unwrap();
    let command = quoted(&format!("'{}'", text(&hook)));
    fs::write(
        &mine,
        format!("{config}[uploadpack]\n\tpackObjectsHook = {command}\n"),
    )
    .unwrap();
    let reply = world.push_delivery(&world.push("two")).send();
    reply.expect(500, "failed");
    reply.says("3s");
    reply.says("remote: What to do: fatal: x");
    assert!(reply.body.len() < 64 << 10, "{}", reply.body.len());
}

/// A submodule of a submodule of a submodule, each filled from where anybody may be taken from, and a private repository
/// beside the site.
fn three_deep(submodules: &str) -> (World, String) {
    let mut world = World::new();
    world.key("submodules", &quoted(submodules));
    let deepest = plant(&world, "deepest", "file", "one\n");
    plant(&world, "notes", "note", "one\n");
    let url = |name: &str| world.origin.url(&format!("me/{name}.git"));
    add(&world, "notes", "deepest", &url("deepest"), &deepest);
    let note = publish(&world, "notes");
    add(&world, "posts", "notes", &url("notes"), &note);
    publish_posts(&world);
    let private = world.path("victim/private");
    world.git(&world.path(""), &["init", "-q", &text(&private)]);
    fs::write(private.join("private"), "mine\n").unwrap();
    world.git(&private, &["add", "private"]);
    world.git(&private, &["commit", "-q", "-m", "Mine"]);
    let commit = world.git(&private, &["rev-parse", "HEAD"]);
    (world, commit)
}

fn publish_posts(world: &World) {
    let post = publish(world, "posts");
    point(world, "site", "posts", &post);
    deployed(world, &publish(world, "site"));
}

#[test]
#[ignore = "many deploys: ./tests/run"]
fn no_url_of_a_deep_submodule_leads_to_the_host_or_starts_a_program() {
    for (submodules, is_bumped) in [("recorded", true), ("latest", false)] {
        let (world, private) = three_deep(submodules);
        let path = text(&world.path("victim/private"));
        let ran = world.path("ran");
        let touch = format!("touch {}", text(&ran).replace(' ', "% "));
        let up = "../".repeat(12);
        for url in [
            format!("file://{path}"),
            format!("ext::{touch}"),
            format!("{up}{}", path.trim_start_matches('/')),
            format!("{path}/.git"),
            format!("ssh://-oProxyCommand={touch}/x"),
            format!("git@-oProxyCommand={touch}:x"),
        ] {
            set_module(&world, "notes", "deepest.url", &url);
            if is_bumped {
                point(&world, "notes", "deepest", &private);
            }
            let note = publish(&world, "notes");
            point(&world, "posts", "notes", &note);
            let post = publish(&world, "posts");
            point(&world, "site", "posts", &post);
            let commit = publish(&world, "site");
            for _ in 0..2 {
                let reply = world.push_delivery(&commit).send();
                world.settle();
                let case = format!("{submodules}, {url}, {is_bumped}: {reply:#?}");
                assert!(
                    !world.exists("checkout/posts/notes/deepest/private"),
                    "{case}"
                );
                assert!(!ran.exists(), "{case}");
                assert!(!reply.body.contains("file.allow always"), "{case}");
            }
        }
        world.verb(&["check"]);
        assert!(!ran.exists());
    }
}

#[test]
fn names_that_are_also_others_names_confuse_nothing() {
    for update in ["fast-forward", "reset"] {
        let mut world = World::latest();
        world.key("update", &quoted(update));
        for folder in ["checkout", "checkout/posts"] {
            let folder = world.path(folder);
            for name in [
                "refs/tags/main",
                "refs/tags/HEAD",
                "refs/tags/origin/main",
                "refs/heads/origin/main",
                "refs/heads/origin/HEAD",
                "refs/heads/HEAD",
                "refs/remotes/main",
                "refs/FETCH_HEAD",
                "refs/tags/FETCH_HEAD",
            ] {
                world.git(&folder, &["update-ref", name, "HEAD"]);
            }
        }
        for seed in ["seed/site", "seed/posts"] {
            for name in [
                "refs/heads/HEAD",
                "refs/heads/origin/main",
                "refs/heads/posts",
            ] {
                world.git(
                    &world.path(seed),
                    &["push", "-q", "origin", &format!("HEAD:{name}")],
                );
            }
        }
        for round in ["two", "three"] {
            let (commit, post) = world.push_with_post(round);
            let mut reply = world.push_delivery(&commit).send();
            if reply.status != 200 {
                // Git to 2.33 takes a branch here that is called origin/HEAD for the remote's, which does not go unnoticed.
                reply.expect(500, "failed");
                reply.says("submodules are not where they belong");
                let forget = ["update-ref", "-d", "refs/heads/origin/HEAD"];
                world.git(&world.path("checkout/posts"), &forget);
                reply = world.push_delivery(&commit).send();
            }
            reply.expect(200, "deployed");
            world.settle();
            assert_eq!(
                (world.head(), world.submodule_head()),
                (commit, post),
                "{update}"
            );
            world.verb(&["check"]).expect_exit(0);
        }
    }
}
