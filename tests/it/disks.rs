//! Disks that are full, out of inodes or read-only: a clear answer, no half a ticket, and all is well when there is
//! space again.
//!
//! Each test mounts a small disk of its own over the checkout, which takes root.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::wait_until_quiet;
use crate::server::hand_over;
use crate::world::{Reply, World, text, wait_until, write_executable};

/// A mount that ends with the test, however that ends.
struct Mount(PathBuf);

fn run(program: &str, words: &[&str]) {
    let status = Command::new(program).args(words).status().unwrap();
    assert!(status.success(), "{program} {words:?}");
}

impl Mount {
    /// Moves a checkout to a small disk.
    fn below(world: &World, options: &str) -> Mount {
        let (place, aside) = (world.checkout(), world.path("aside"));
        fs::rename(&place, &aside).unwrap();
        fs::create_dir(&place).unwrap();
        run(
            "mount",
            &["-t", "tmpfs", "-o", options, "tmpfs", &text(&place)],
        );
        let mount = Mount(place.clone());
        run("cp", &["-a", &format!("{}/.", text(&aside)), &text(&place)]);
        mount
    }

    /// Makes a folder read-only, for root too.
    fn read_only(folder: &Path) -> Mount {
        let folder = text(folder);
        run("mount", &["--bind", &folder, &folder]);
        let mount = Mount(PathBuf::from(&folder));
        run("mount", &["-o", "remount,bind,ro", &folder]);
        mount
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let status = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(status.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

/// Writes until there is no room, then gives back so much.
fn fill(world: &World, left: u64) {
    let path = world.path("checkout/.git/filler");
    let mut file = File::create(&path).unwrap();
    let error = loop {
        if let Err(error) = file.write_all(&[b'x'; 4096]) {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    let size = file.metadata().unwrap().len();
    file.set_len(size - left).unwrap();
}

fn make_room(world: &World) {
    fs::remove_file(world.path("checkout/.git/filler")).unwrap();
}

/// Everything in the queue, unfinished tickets too.
fn left_in_queue(world: &World) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(world.state("queue")) else {
        return Vec::new();
    };
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// The error is told, and nothing of a ticket is there.
#[track_caller]
fn is_not_taken(world: &World, reply: &Reply, head: &str) {
    assert!((500..600).contains(&reply.status), "{reply:#?}");
    assert!(
        matches!(reply.first_word(), "error" | "failed"),
        "{reply:#?}"
    );
    assert_eq!(left_in_queue(world), [] as [PathBuf; 0]);
    assert_eq!(world.head(), head);
}

#[track_caller]
fn is_deployed(world: &World, commit: &str, changes: &str) {
    world.push_delivery(commit).send().expect(200, "deployed");
    world.settle();
    wait_until_quiet(world);
    assert_eq!(world.head(), commit);
    assert_eq!(world.changes(), changes);
    assert_eq!(left_in_queue(world), [] as [PathBuf; 0]);
}

/// A site that has been deployed once, to a disk of its own.
fn deployed_on(options: &str) -> (World, Mount, String) {
    let world = World::new();
    world.push_to("site", "other.html", "other\n", "Other");
    let mount = Mount::below(&world, options);
    let commit = world.head_of("seed/site");
    world.push_delivery(&commit).send().expect(200, "deployed");
    world.settle();
    wait_until_quiet(&world);
    (world, mount, commit)
}

#[test]
#[ignore = "needs root: ./tests/run"]
fn a_ticket_for_which_there_is_no_room_is_an_error_and_leaves_nothing() {
    let (world, _mount, before) = deployed_on("size=8m");
    let commit = world.push("two");
    fill(&world, 0);
    let reply = world.push_delivery(&commit).send();
    reply.expect(503, "error");
    is_not_taken(&world, &reply, &before);
    make_room(&world);
    is_deployed(&world, &commit, "");
}

#[test]
#[ignore = "needs root: ./tests/run"]
fn a_first_delivery_on_a_full_disk_is_an_error_and_leaves_nothing() {
    let world = World::new();
    let _mount = Mount::below(&world, "size=8m");
    let before = world.head();
    let commit = world.push("two");
    fill(&world, 0);
    let reply = world.push_delivery(&commit).send();
    is_not_taken(&world, &reply, &before);
    assert_eq!(reply.status, 503, "{reply:#?}");
    make_room(&world);
    is_deployed(&world, &commit, "");
}

#[test]
#[ignore = "needs root: ./tests/run"]
fn a_disk_that_gets_full_in_the_middle_of_a_pull_is_healed_when_there_is_room() {
    for left in [64 << 10, 256 << 10, 1 << 20] {
        let (world, _mount, before) = deployed_on("size=12m");
        fs::write(world.path("checkout/other.html"), "edited on the host\n").unwrap();
        // Small on its way, large in the checkout.
        let seed = world.path("seed/site");
        for number in 0..40 {
            fs::write(seed.join(format!("{number}.txt")), "x\n".repeat(50_000)).unwrap();
        }
        world.git(&seed, &["add", "*.txt"]);
        let commit = world.push("two");
        fill(&world, left);
        let reply = world.push_delivery(&commit).send();
        assert_eq!(reply.status, 500, "{reply:#?}");
        assert_eq!(reply.first_word(), "failed", "{reply:#?}");
        wait_until_quiet(&world);
        assert_eq!(world.head(), before);
        assert_eq!(world.read("checkout/other.html"), "edited on the host\n");
        make_room(&world);
        is_deployed(&world, &commit, " M other.html");
        assert_eq!(world.read("checkout/other.html"), "edited on the host\n");
        assert_eq!(world.read("checkout/39.txt").len(), 100_000);
    }
}

#[test]
#[ignore = "needs root: ./tests/run"]
fn a_disk_without_inodes_is_an_error_and_leaves_nothing() {
    let (world, _mount, before) = deployed_on("size=16m,nr_inodes=2000");
    let commit = world.push("two");
    let folder = world.path("checkout/.git/filler");
    fs::create_dir(&folder).unwrap();
    let error = (0..)
        .find_map(|number| File::create(folder.join(format!("{number}"))).err())
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    let reply = world.push_delivery(&commit).send();
    reply.expect(503, "error");
    is_not_taken(&world, &reply, &before);
    world.verb(&["check"]).says("df -i ");
    // Enough for the ticket, too few for the pull.
    let mut told_of_inodes = false;
    for few in 0..6 {
        fs::remove_file(folder.join(format!("{few}"))).unwrap();
        let reply = world.push_delivery(&commit).send();
        assert!(matches!(reply.status, 500 | 503), "{reply:#?}");
        told_of_inodes |=
            reply.body.contains("all its inodes are used") && reply.body.contains("df -i ");
        wait_until_quiet(&world);
    }
    assert!(told_of_inodes);
    fs::remove_dir_all(&folder).unwrap();
    is_deployed(&world, &commit, "");
}

#[test]
#[ignore = "needs root: ./tests/run"]
fn a_read_only_git_directory_is_an_error_and_leaves_nothing() {
    let (world, _mount, before) = deployed_on("size=16m");
    let commit = world.push("two");
    let read_only = Mount::read_only(&world.path("checkout/.git"));
    let reply = world.push_delivery(&commit).send();
    is_not_taken(&world, &reply, &before);
    drop(read_only);
    is_deployed(&world, &commit, "");
}

#[test]
#[ignore = "needs root: ./tests/run"]
fn a_queue_that_is_not_ours_to_write_is_an_error_and_leaves_nothing() {
    let mut world = World::new();
    let before = world.head();
    let _program = hand_over(&mut world);
    let as_server = world.path("cgi-bin/as-server");
    let site = text(&world.site_file());
    write_executable(
        &as_server,
        &format!(
            "#!/bin/sh\nexec setpriv --reuid=www-data --regid=www-data --clear-groups '{site}'\n"
        ),
    );
    let commit = world.push("two");
    let queue = text(&world.state("queue"));
    let state = text(&world.state(""));
    let folder = state.trim_end_matches('/');
    run(
        "install",
        &[
            "-d", "-o", "www-data", "-g", "www-data", "-m", "700", folder,
        ],
    );
    run(
        "install",
        &["-d", "-o", "root", "-g", "root", "-m", "755", &queue],
    );
    let reply = world.push_delivery(&commit).through(&as_server).send();
    reply.expect(503, "error");
    is_not_taken(&world, &reply, &before);
    run("chown", &["www-data:www-data", &queue]);
    let reply = world.push_delivery(&commit).through(&as_server).send();
    reply.expect(200, "deployed");
    wait_until("an empty queue", || left_in_queue(&world).is_empty());
    assert_eq!(world.head(), commit);
}
