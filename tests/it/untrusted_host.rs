//! What other users of the host can do: read and lock files, own a home, guess a secret, send what was recorded.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::world::{World, text, write_executable};

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn open_to_all(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Everything below the state folder, the folder itself too.
fn state_of(world: &World) -> Vec<std::path::PathBuf> {
    let mut all = vec![world.state("")];
    let mut at = 0;
    while at < all.len() {
        if all[at].is_dir() {
            let entries: Vec<_> = fs::read_dir(&all[at]).unwrap().collect();
            all.extend(entries.into_iter().map(|entry| entry.unwrap().path()));
        }
        at += 1;
    }
    all
}

#[track_caller]
fn expect_closed(world: &World) {
    let all = state_of(world);
    assert!(all.len() > 5, "{all:?}");
    for path in all {
        let closed = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode_of(&path), closed, "{}", path.display());
    }
}

/// The site file as a server with this umask starts it.
fn under_umask(world: &World, umask: &str) -> std::path::PathBuf {
    let wrapper = world.path("cgi-bin/wrapper.cgi");
    let site = text(&world.site_file());
    write_executable(
        &wrapper,
        &format!("#!/bin/sh\numask {umask}\nexec '{site}' \"$@\"\n"),
    );
    wrapper
}

#[test]
fn locks_and_state_are_closed_whatever_the_umask() {
    for umask in ["000", "022", "777"] {
        let mut world = World::new();
        world.key("on_update", "\"echo restarted\"");
        let commit = world.push("two");
        let server = under_umask(&world, umask);
        let delivery = world.push_delivery(&commit).through(&server);
        delivery.send().expect(200, "deployed");
        world.settle();
        expect_closed(&world);
    }
}

#[test]
fn locks_and_state_that_stand_open_are_closed_by_the_next_deploy() {
    let mut world = World::new();
    world.key("on_update", "\"echo restarted\"");
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "deployed");
    world.settle();
    for path in state_of(&world) {
        open_to_all(&path, if path.is_dir() { 0o755 } else { 0o644 });
    }
    world.push_delivery(&commit).send().expect(200, "unchanged");
    world.settle();
    expect_closed(&world);
}

/// Anybody who can read a file can hold a lock on it.
#[test]
fn the_lock_that_work_trees_share_is_closed_and_waited_for_no_longer_than_timeout() {
    let mut world = World::new();
    let linked = world.path("linked");
    let words = ["worktree", "add", "-q", "-b", "other", &text(&linked)];
    world.git(&world.checkout(), &words);
    world.key("timeout", "\"2s\"");
    let lock = world.path("checkout/.git/deploy-cgi-work-trees");
    fs::write(&lock, "").unwrap();
    open_to_all(&lock, 0o644);
    let others = File::open(&lock).unwrap();
    others.lock_shared().unwrap();
    let commit = world.push("two");
    let reply = world.push_delivery(&commit).send();
    reply.expect(500, "failed");
    reply.says(&format!(
        "another process has held the lock {} for longer than 2s",
        lock.display()
    ));
    assert_eq!(mode_of(&lock), 0o600);
    drop(others);
    world.push_delivery(&commit).send().expect(200, "deployed");
    assert_eq!(world.head(), commit);
}
