//! Which git commands a deploy runs, and how many: each is a process, and a host counts them.

use std::fs;

use crate::world::{World, quoted, search_path, text, write_executable};

/// A world whose gits, as far as we start them, each leave a line.
fn counted() -> World {
    let mut world = World::new();
    let folder = text(&world.path("fake"));
    let real = search_path();
    let git = format!(
        "#!/bin/sh\n{{ printf '%s|' \"$@\"; echo; }} >>'{folder}/started'\nPATH='{real}' exec git \"$@\"\n"
    );
    write_executable(&world.path("fake/git"), &git);
    world.key("path", &quoted(&format!("{folder}:{real}")));
    // What the last good deploy left is known from now on.
    let first = world.push("Begin");
    world.push_delivery(&first).send().expect(200, "deployed");
    world.settle();
    world
}

/// The git commands that the delivery of a commit starts, without what every one of them is told.
fn started(world: &World, commit: &str, verdict: &str) -> Vec<String> {
    let log = world.path("fake/started");
    fs::write(&log, "").unwrap();
    world.push_delivery(commit).send().expect(200, verdict);
    world.settle();
    let plain = |line: &str| {
        let mut words: Vec<&str> = Vec::new();
        let mut all = line.split('|');
        while let Some(word) = all.next() {
            match word {
                "-C" | "-c" => drop(all.next()),
                "--no-optional-locks" => {}
                _ if word.starts_with("--git-dir=") || word.starts_with("--work-tree=") => {}
                other => words.push(other),
            }
        }
        words.into_iter().take(2).collect::<Vec<_>>().join(" ")
    };
    fs::read_to_string(&log)
        .unwrap()
        .lines()
        .map(plain)
        .collect()
}

#[test]
fn a_push_that_moves_a_submodule_starts_eight_gits() {
    let world = counted();
    let (commit, _) = world.push_with_post("two");
    let commands = started(&world, &commit, "deployed");
    assert_eq!(commands.len(), 8, "{commands:#?}");
    assert!(
        commands
            .iter()
            .any(|command| command.starts_with("pull --ff-only")),
        "{commands:#?}"
    );
    assert!(
        commands.iter().any(|command| command == "submodule update"),
        "{commands:#?}"
    );
}

#[test]
fn a_push_that_moves_no_submodule_starts_five_gits_and_no_update() {
    let world = counted();
    let commands = started(&world, &world.push("two"), "deployed");
    assert_eq!(commands.len(), 5, "{commands:#?}");
    assert!(
        !commands.iter().any(|command| command == "submodule update"),
        "{commands:#?}"
    );
}

#[test]
fn a_redelivery_with_nothing_new_starts_three_gits() {
    let world = counted();
    let commands = started(&world, &world.head(), "unchanged");
    assert_eq!(commands, ["config -z", "config -z", "pull --ff-only"]);
}
