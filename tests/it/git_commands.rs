//! Which git commands a deploy runs, and how many: each is a process, and a host counts them.

use std::fs::{self, File};
use std::time::{Duration, Instant};

use crate::world::{World, quoted, search_path, text, wait_until, write_executable};

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
    forget(world);
    world.push_delivery(commit).send().expect(200, verdict);
    world.settle();
    all_started(world)
}

fn forget(world: &World) {
    fs::write(world.path("fake/started"), "").unwrap();
}

fn all_started(world: &World) -> Vec<String> {
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
    fs::read_to_string(world.path("fake/started"))
        .unwrap()
        .lines()
        .map(plain)
        .collect()
}

#[test]
fn a_push_that_moves_a_submodule_starts_seven_gits() {
    let world = counted();
    let (commit, _) = world.push_with_post("two");
    let commands = started(&world, &commit, "deployed");
    assert_eq!(commands.len(), 7, "{commands:#?}");
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
fn a_push_that_moves_no_submodule_starts_four_gits_and_no_update() {
    let world = counted();
    let commands = started(&world, &world.push("two"), "deployed");
    assert_eq!(commands.len(), 4, "{commands:#?}");
    assert!(
        !commands.iter().any(|command| command == "submodule update"),
        "{commands:#?}"
    );
}

#[test]
fn a_redelivery_with_nothing_new_starts_two_gits() {
    let world = counted();
    let commands = started(&world, &world.head(), "unchanged");
    assert_eq!(commands, ["config -z", "pull --ff-only"]);
}

/// What a redelivery starts, where something happens once it is in line and before its turn.
fn started_after(happens: impl Fn(&World)) -> Vec<String> {
    let world = counted();
    let turn = File::open(world.state("turn")).unwrap();
    turn.lock().unwrap();
    forget(&world);
    let waits = world.push_delivery(&world.head()).start();
    wait_until("the ticket", || world.tickets() == 1);
    happens(&world);
    turn.unlock().unwrap();
    waits.reply().expect(200, "unchanged");
    world.settle();
    all_started(&world)
}

#[test]
fn a_configuration_that_changed_while_a_delivery_waited_is_read_again() {
    let changed = started_after(|world| {
        world.git(&world.checkout(), &["config", "a.b", "c"]);
    });
    assert_eq!(changed, ["config -z", "config -z", "pull --ff-only"]);
}

#[test]
fn a_configuration_that_was_read_long_ago_is_read_again() {
    let later = started_after(|_| {
        let came = Instant::now();
        wait_until("more than a moment", || {
            came.elapsed() > Duration::from_millis(1100)
        });
    });
    assert_eq!(later, ["config -z", "config -z", "pull --ff-only"]);
}
