//! What others write, read and hold, tried once more from other sides: logins, URLs, names, files in the place of files.

use std::fs;
use std::path::Path;

use crate::checkouts::{change, deployed, has, publish};
use crate::checkouts_submodules::{point, set_module};
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
        "#!/bin/sh\nexec yes 'remote: What to do: fatal: x' >&2\n",
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
    assert!(reply.body.len() < 64 << 10, "{}", reply.body.len());
}
