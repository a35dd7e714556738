//! What a person types.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use crate::kills::watch_git;
use crate::person::as_root;
use crate::world::{Spoken, World, quoted, search_path, text};

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
    let spoken = Spoken::from(output);
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
    demo.env_clear().env("PATH", search_path());
    let spoken = Spoken::from(demo.arg("demo").output().unwrap());
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

#[test]
fn run_deploys_in_the_foreground() {
    let mut world = World::new();
    world.key("on_update", "\"env > ../seen\"");
    let (commit, post) = world.push_with_post("two");
    let run = world.verb(&["run"]);
    run.expect_exit(0);
    assert!(run.stdout.starts_with("deployed"), "{run:?}");
    assert_eq!(
        (world.head(), world.submodule_head()),
        (commit.clone(), post)
    );
    assert!(world.read("seen").contains(&format!("DEPLOY_NEW={commit}")));
    let again = world.verb(&["run"]);
    again.expect_exit(0);
    assert!(again.stdout.starts_with("unchanged"), "{again:?}");
    world.key("on_update", "\"exit 3\"");
    world.push("three");
    let failed = world.verb(&["run"]);
    failed.expect_exit(1);
    failed.says("failed at on_update");
}

#[test]
fn run_serves_what_waits() {
    let world = World::new();
    let commit = world.push("two");
    fs::create_dir_all(world.state("queue")).unwrap();
    fs::write(world.state("queue/left-by-a-death"), "").unwrap();
    world.verb(&["run"]).expect_exit(0);
    assert_eq!((world.head(), world.tickets()), (commit, 0));
}

/// Nobody in there sees the session that the commands belong to: its number is 0.
#[test]
#[ignore = "needs root and a host that lets it unshare: ./tests/run"]
fn run_in_a_container_that_was_entered_from_outside_deploys_and_ends_what_a_killed_one_left() {
    let mut world = World::new();
    watch_git(&mut world, "pull");
    fs::write(world.path("fake/hang"), "").unwrap();
    let commit = world.push("two");
    let script = "PATH=$3; \"$1\" run & while kill -0 $! && [ ! -e \"$2/hung\" ]; do sleep 0.02; done; kill -9 $!; exec \"$1\" run";
    let run = as_root("unshare")
        .args(["--pid", "--fork", "--mount-proc", "sh", "-c", script, "sh"])
        .arg(world.site_file())
        .arg(world.path("fake"))
        .arg(search_path())
        .output()
        .unwrap();
    let run = Spoken::from(run);
    run.expect_exit(0);
    run.says("deployed");
    assert!(!run.stdout.contains("was left alone"), "{run:#?}");
    assert!(!world.exists("fake/overlaps"), "{run:#?}");
    assert_eq!(world.head(), commit);
}

#[test]
fn status_tells_what_waits_and_what_became_of_the_last_deploys() {
    let world = World::new();
    world.verb(&["status"]).expect_exit(0);
    let none = json(&world.verb(&["status", "--json"]));
    assert_eq!(none["deploys"].as_array().unwrap().len(), 0);
    let unknown = ["status", "--json", "no-such-delivery"];
    world.verb(&unknown).expect_exit(1);
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "deployed");
    world.push_delivery(&commit).send().expect(200, "unchanged");
    world.settle();
    let status = world.verb(&["status"]);
    status.expect_exit(0);
    for told in ["deployed", "unchanged", &commit[..7], "nothing waits"] {
        status.says(told);
    }
    let all = json(&world.verb(&["status", "--json"]));
    let verdicts: Vec<_> = all["deploys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["verdict"].clone())
        .collect();
    assert_eq!(verdicts, ["unchanged", "deployed"]);
    assert_eq!(
        (
            all["running"].as_bool(),
            all["waiting"].as_array().map(Vec::len)
        ),
        (Some(false), Some(0))
    );
    let last = json(&world.verb(&["status", "--json", "-n", "1"]));
    assert_eq!(last["deploys"].as_array().unwrap().len(), 1);
    // The whole report of one delivery, as GitHub showed it.
    world
        .verb(&["status", crate::world::DELIVERY])
        .says("unchanged main");
    world.verb(&["status", "no-such-delivery"]).expect_exit(1);
}

fn json(spoken: &Spoken) -> serde_json::Value {
    spoken.expect_exit(0);
    serde_json::from_str(&spoken.stdout).unwrap()
}

#[test]
fn sign_prints_headers_that_the_site_takes() {
    let world = World::new();
    let body = "{\"action\":\"created\"}";
    let mut sign = world.clean(world.site_file());
    let mut child = sign
        .arg("sign")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(body.as_bytes())
        .unwrap();
    let signed = Spoken::from(child.wait_with_output().unwrap());
    signed.expect_exit(0);
    let header = |name: &str| {
        let line = signed
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("{name} is not in {signed:?}"))
            .to_owned()
    };
    let star = || world.delivery("star", body).unsigned();
    star()
        .var("HTTP_X_HUB_SIGNATURE_256", header("X-Hub-Signature-256"))
        .send()
        .expect(200, "ignored");
    star()
        .var("HTTP_X_HUB_SIGNATURE", header("X-Hub-Signature"))
        .send()
        .expect(200, "ignored");
}

#[test]
fn status_of_a_site_that_is_still_to_be_cloned_is_as_before_the_first_delivery() {
    let mut world = World::new();
    fs::remove_dir_all(world.checkout()).unwrap();
    world.key("clone", &quoted(&world.origin.url("me/site.git")));
    world.verb(&["status"]).says("no delivery has come yet");
    let none = json(&world.verb(&["status", "--json"]));
    assert_eq!(none["deploys"].as_array().map(Vec::len), Some(0));
}
