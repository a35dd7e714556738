//! Locks that were left, and damage.

use std::fs;

use super::{bring_about, fails, is_mended, told};
use crate::world::World;

#[test]
fn a_lock_of_a_git_that_was_killed() {
    let world = World::new();
    fs::write(world.path("checkout/.git/index.lock"), "").unwrap();
    let commit = world.push("two");
    is_mended(
        &world,
        &commit,
        r"
the lock file <world>/checkout/.git/index.lock is in the way, <time> old: a git was killed here, none is at work any more
-> remove it, then press Redeliver:
$ rm -f '<world>/checkout/.git/index.lock'
",
    );
}

#[test]
fn a_lock_on_a_ref() {
    let world = World::new();
    fs::write(
        world.path("checkout/.git/refs/remotes/origin/main.lock"),
        "",
    )
    .unwrap();
    let commit = world.push("two");
    is_mended(
        &world,
        &commit,
        r"
the lock file <world>/checkout/.git/refs/remotes/origin/main.lock is in the way, <time> old: a git was killed here, none is at work any more
-> remove it, then press Redeliver:
$ rm -f '<world>/checkout/.git/refs/remotes/origin/main.lock'
",
    );
}

#[test]
fn a_lock_of_a_git_that_lives_is_not_told_to_be_removed() {
    let world = World::new();
    let mut alive = world.clean("git");
    let mut alive = alive
        .arg("-C")
        .arg(world.checkout())
        .args(["cat-file", "--batch"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let link = format!("/proc/{}/cwd", alive.id());
    crate::world::wait_until("git in the checkout", || {
        fs::read_link(&link).is_ok_and(|cwd| cwd == world.checkout().canonicalize().unwrap())
    });
    fs::write(world.path("checkout/.git/index.lock"), "").unwrap();
    let commit = world.push("two");
    let reply = world.push_delivery(&commit).send();
    let check = world.verb(&["check"]);
    drop(alive.stdin.take());
    alive.wait().unwrap();
    let told = told(
        &world,
        &reply,
        r"
the lock file <world>/checkout/.git/index.lock is in the way, <time> old: a git may be at work in this checkout
-> press Redeliver when it has ended
",
    );
    assert!(told.commands.is_empty());
    check.expect_exit(1);
    assert!(!check.stdout.contains("rm "), "{check:?}");
}

#[test]
fn a_damaged_index() {
    let world = World::new();
    fs::write(world.path("checkout/.git/index"), "DIRCnonsense").unwrap();
    let commit = world.push("two");
    is_mended(
        &world,
        &commit,
        r"
git's index of the checkout is damaged, or a newer git wrote it
-> have it made anew (files stay as they are), then press Redeliver:
$ mv '<world>/checkout/.git/index' '<world>/checkout/.git/index.broken'
$ git -C '<world>/checkout' reset --quiet
",
    );
}

#[test]
fn a_damaged_repository() {
    let world = World::new();
    let tree = world.git(&world.checkout(), &["log", "-1", "--format=%T"]);
    let object = format!("checkout/.git/objects/{}/{}", &tree[..2], &tree[2..]);
    for pack in fs::read_dir(world.path("checkout/.git/objects/pack")).unwrap() {
        let path = pack.unwrap().path();
        if path.extension().is_some_and(|end| end == "pack") {
            let away = world.path("away.pack");
            fs::rename(&path, &away).unwrap();
            let input = fs::File::open(&away).unwrap();
            let mut unpack = world.clean("git");
            unpack.arg("-C").arg(world.checkout());
            unpack.args(["unpack-objects", "-q"]).stdin(input);
            assert!(unpack.status().unwrap().success());
        }
    }
    fs::remove_file(world.path(&object)).unwrap();
    fs::write(world.path(&object), "").unwrap();
    let commit = world.push("two");
    fails(&world, &commit, r"
the repository here is damaged
-> put a fresh clone in its place, then press Redeliver; what was here stays in <world>/checkout.broken:
$ mv -T '<world>/checkout' '<world>/checkout.broken'
$ git clone --recurse-submodules --branch main http://<origin>/me/site.git '<world>/checkout'
").obey(&world);
    let reply = world.push_delivery(&commit).send();
    assert_eq!(reply.status, 200, "{reply:#?}");
    assert_eq!(world.head(), commit);
}

/// Commits what a git of today would not, as old history has it.
fn an_odd_commit(world: &World, seed: &str) {
    let commit = format!(
        "cd seed/{seed}; tree=$(git rev-parse HEAD^{{tree}}); parent=$(git rev-parse HEAD)
         id=$(printf 'tree %s\\nparent %s\\nauthor Me<me@example.org> 1 +0000\\ncommitter Me <me@example.org> 1 +0000\\n\\nOld\\n' \\
             $tree $parent | git hash-object -t commit -w --literally --stdin)
         git reset -q --hard $id; git push -q origin main"
    );
    bring_about(world, &commit);
}

#[test]
fn an_object_that_git_was_told_to_refuse() {
    let world = World::new();
    bring_about(&world, "git -C checkout config transfer.fsckObjects true");
    an_odd_commit(&world, "site");
    let commit = world.head_of("seed/site");
    is_mended(
        &world,
        &commit,
        r"
git refuses what the remote sends, since it was told to check it (transfer.fsckObjects): invalid author/committer line - missing space before email in the object <id>
-> if you know why that is so (old history often is), have git let this kind of fault pass; then press Redeliver:
$ git -C '<world>/checkout' config fetch.fsck.missingSpaceBeforeEmail ignore
",
    );
}

#[test]
fn an_object_in_a_submodule_that_git_was_told_to_refuse() {
    let world = World::new();
    bring_about(
        &world,
        "git config -f home/.gitconfig transfer.fsckObjects true",
    );
    an_odd_commit(&world, "posts");
    world.point_submodule_at(&world.head_of("seed/posts"));
    let commit = world.push("two");
    is_mended(
        &world,
        &commit,
        r"
git refuses what the remote sends, since it was told to check it (transfer.fsckObjects): invalid author/committer line - missing space before email in the object <id>. The main tree is new already; not at the recorded commit: posts
-> if you know why that is so (old history often is), have git let this kind of fault pass; then press Redeliver:
$ git config --global fetch.fsck.missingSpaceBeforeEmail ignore
",
    );
}
