//! What a person is told who types a verb.

use std::io::Read;

use serde_json::Value;

use super::set_url;
use crate::world::{Fault, SECRET, World, text};

#[test]
#[ignore = "needs a pseudo-terminal: ./tests/run"]
fn run_shows_gits_progress_in_a_terminal_and_no_credential() {
    let world = World::new();
    set_url(
        &world,
        &world
            .origin
            .url_with_login("me:n0-such-login", "me/site.git"),
    );
    let commit = world.push("two");
    let line = format!("'{}' run", text(&world.site_file()));
    let output = world
        .clean("script")
        .args(["-qec", &line, "/dev/null"])
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("remote: Counting objects: 100%"), "{shown}");
    assert!(!shown.contains("n0-such-login"), "{shown}");
    assert!(shown.contains("deployed main"), "{shown}");
    assert_eq!(world.head(), commit);
    // Nobody is bothered with it elsewhere.
    world.push("three");
    let run = world.verb(&["run"]);
    run.expect_exit(0);
    assert_eq!(run.stderr, "");
}

#[test]
fn status_tells_since_when_a_deploy_runs() {
    let mut world = World::new();
    let commit = world.push("two");
    world.fake_git("pull", &Fault::Hold);
    let started = world.push_delivery(&commit).start();
    world.wait_until_held();
    let status = world.verb(&["status"]);
    let json = world.verb(&["status", "--json"]);
    let mut watch = world.clean(world.site_file());
    let mut watch = watch
        .args(["status", "--watch"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut seen = [0; 19];
    watch.stdout.take().unwrap().read_exact(&mut seen).unwrap();
    watch.kill().unwrap();
    watch.wait().unwrap();
    world.release();
    started.reply().expect(200, "deployed");
    assert_eq!(&seen, b"a deploy is running");
    status.says("a deploy is running since 2");
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["running"].as_bool(), Some(true));
    assert!(json["since"].as_str().unwrap().starts_with('2'));
}

#[test]
fn verbs_without_a_site_are_misuse() {
    let world = World::new();
    for verb in ["check", "run", "status", "sign"] {
        let spoken = world.verb_of(&world.program, &[verb]);
        spoken.expect_exit(2);
        spoken.says("which site?");
    }
}

#[test]
fn sign_prints_the_older_signature_alone_when_asked() {
    let world = World::new();
    let signed = world.verb(&["sign", "--sha1"]);
    signed.expect_exit(0);
    let expected = crate::world::sha1_signature(SECRET.as_bytes(), b"");
    assert_eq!(signed.stdout, format!("X-Hub-Signature: {expected}\n"));
}
