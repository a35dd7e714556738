//! What a person types.

use std::fs;

use crate::world::{World, quoted, text};

#[test]
fn the_demo_plays_a_whole_delivery_and_leaves_nothing_behind() {
    let world = World::new();
    let folder = world.path("tmp");
    fs::create_dir(&folder).unwrap();
    let output = world
        .clean(&world.program)
        .arg("demo")
        .env("TMPDIR", &folder)
        .output()
        .unwrap();
    let spoken = crate::world::Spoken::from(output);
    spoken.expect_exit(0);
    for told in ["X-GitHub-Event", "X-Hub-Signature-256", "200", "deployed"] {
        spoken.says(told);
    }
    let left: Vec<_> = fs::read_dir(&folder).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_demo_works_without_a_home_and_a_git_configuration() {
    let world = World::new();
    let mut demo = world.clean(&world.program);
    demo.env_clear().env("PATH", crate::world::search_path());
    let spoken = crate::world::Spoken::from(demo.arg("demo").output().unwrap());
    spoken.expect_exit(0);
    spoken.says("deployed");
}

#[test]
fn a_site_that_is_well_is_checked_and_found_so() {
    let world = World::new();
    let check = world.verb(&["check"]);
    check.expect_exit(0);
    check.says(&text(&world.checkout()));
    let without_a_word = world.verb(&[]);
    without_a_word.expect_exit(0);
    assert_eq!(
        world.plain(&check.all()),
        world.plain(&without_a_word.all())
    );
}

#[track_caller]
fn ill(world: &World, told: &str) {
    let check = world.verb(&["check"]);
    check.expect_exit(1);
    check.says(told);
    let ping = world.ping_delivery().send();
    ping.expect(500, "pong");
    ping.says(told);
}

#[test]
fn the_doctor_and_a_ping_name_what_would_fail() {
    let world = World::new();
    let (checkout, git_folder) = (world.checkout(), world.path("checkout/.git"));
    world.ping_delivery().send().expect(200, "pong");

    world.git(&checkout, &["checkout", "-q", "--detach"]);
    ill(&world, "branch");
    world.git(&checkout, &["checkout", "-q", "main"]);

    world.git(&checkout, &["branch", "-q", "--unset-upstream"]);
    ill(&world, "upstream");
    world.git(
        &checkout,
        &["branch", "-q", "--set-upstream-to=origin/main"],
    );
    world.ping_delivery().send().expect(200, "pong");

    fs::rename(&git_folder, world.path("hidden")).unwrap();
    ill(&world, "checkout");
    fs::rename(world.path("hidden"), &git_folder).unwrap();

    fs::create_dir_all(world.state("")).unwrap();
    drop(fs::remove_dir_all(world.state("")));
    fs::write(world.path("checkout/.git/deploy-cgi"), "").unwrap();
    ill(&world, "deploy-cgi");
    fs::remove_file(world.path("checkout/.git/deploy-cgi")).unwrap();
    world.ping_delivery().send().expect(200, "pong");
}

#[test]
fn a_host_without_git_is_told_so() {
    let mut world = World::new();
    world.key("path", &quoted("/nonexistent"));
    let check = world.verb(&["check"]);
    check.expect_exit(1);
    check.says("git");
    let ping = world.ping_delivery().send();
    ping.expect(500, "pong");
    ping.says("git");
    let commit = world.push("two");
    let push = world.push_delivery(&commit).send();
    push.expect(500, "error");
    push.says("git");
}

#[test]
fn misuse_is_told_from_failure() {
    let world = World::new();
    for words in [
        &["no-such-verb"][..],
        &["--no-such-option"],
        &["check", "more"],
    ] {
        let spoken = world.verb(words);
        spoken.expect_exit(2);
        assert_eq!(spoken.stdout, "", "{words:?}");
    }
    let missing = world.verb_of(&world.program, &["check"]);
    assert_ne!(missing.exit, Some(0), "no site file: {missing:?}");
}
