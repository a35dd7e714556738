//! What a person is told who types a verb.

use super::{bring_about, fails, set_url};
use crate::world::{SECRET, World, quoted, search_path, text};

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

#[test]
fn a_command_that_cannot_be_run() {
    let mut world = World::new();
    bring_about(
        &world,
        "mkdir tools; printf '#!/bin/sh\\n' >tools/restart-it",
    );
    let commit = world.push("two");
    let failing = |world: &World, how: &str, mend: &str| {
        fails(
            world,
            &commit,
            &format!(
                "the command ended with {how}; the new files are in place, the command is run again with the next deploy\n\
                 -> {mend}; then press Redeliver"
            ),
        )
    };
    world.key("on_update", "\"restart-it\"");
    failing(
        &world,
        "exit code 127",
        "it names a program that is in none of the folders that are searched: write its whole path, or name its folder with \
         the key `path` in <world>/cgi-bin/deploy.cgi",
    );
    let tool = text(&world.path("tools/restart-it"));
    world.key("on_update", &quoted(&format!("'{tool}'")));
    failing(
        &world,
        "exit code 126",
        "it names a file that may not be run: make that executable (chmod +x)",
    );
    bring_about(&world, "chmod +x tools/restart-it");
    world.push_delivery(&commit).send().expect(200, "deployed");
    let commit = world.push("three");
    let tools = text(&world.path("tools"));
    world.key("path", &quoted(&format!("{tools}:{}", search_path())));
    world.key("on_update", "\"restart-it\"");
    world.push_delivery(&commit).send().expect(200, "deployed");
}
