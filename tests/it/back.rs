//! `back`: an earlier state live again, deploys held, and nothing of a person's lost.

use std::fs;

use crate::checkouts::publish;
use crate::checkouts_submodules::{add, plant};
use crate::docs::block_with;
use crate::process::{kill, wait_until_quiet};
use crate::tree::{is_tree, tree_of};
use crate::world::{Fault, Spoken, World, quoted, text, wait_until};

/// What is live: the page, and a post in the submodule.
#[track_caller]
fn is_live(world: &World, head: &str, post: &str) {
    assert_eq!(
        (world.head().as_str(), world.submodule_head().as_str()),
        (head, post)
    );
    assert_eq!(world.changes(), "");
    let branch = world.git(&world.checkout(), &["symbolic-ref", "--short", "HEAD"]);
    assert_eq!(branch.trim(), "main", "the branch stays checked out");
}

fn deployed(world: &World, content: &str) -> (String, String) {
    let (commit, post) = world.push_with_post(content);
    world.push_delivery(&commit).send().expect(200, "deployed");
    (commit, post)
}

#[test]
fn back_brings_the_last_good_deploy_before_this_one_and_then_one_further() {
    let mut world = World::new();
    let one = deployed(&world, "one");
    let two = deployed(&world, "two");
    let three = deployed(&world, "three");
    world.key(
        "on_update",
        "\"echo $DEPLOY_VERDICT $DEPLOY_OLD $DEPLOY_NEW >>../told\"",
    );
    let back = world.verb(&["back"]);
    back.expect_exit(0);
    back.says(&format!("back main {}..{}\n", &three.0[..7], &two.0[..7]));
    back.says("Deploys are held; to go forward again: ./deploy.cgi release");
    is_live(&world, &two.0, &two.1);
    assert_eq!(world.read("told"), format!("back {} {}\n", three.0, two.0));
    // The next push would undo it otherwise.
    let reply = world.push_delivery(&three.0).send();
    reply.expect(200, "held");
    reply.says(&format!("went back to {}", &two.0[..7]));
    world.verb(&["back"]).expect_exit(0);
    is_live(&world, &one.0, &one.1);
    // Forward again, and back from there.
    let released = world.verb(&["release"]);
    released.expect_exit(0);
    released.says("deployed main");
    is_live(&world, &three.0, &three.1);
    world.verb(&["back"]).expect_exit(0);
    is_live(&world, &two.0, &two.1);
    world.verb(&["release"]).expect_exit(0);
}

/// The page's command, from the folder of the site file.
#[test]
fn the_page_goes_back() {
    let world = World::new();
    let one = deployed(&world, "one");
    deployed(&world, "two");
    let mut shell = world.clean("/bin/sh");
    let folder = world.site_file().parent().unwrap().to_owned();
    let block = block_with("./deploy.cgi back");
    let spoken = shell.args(["-c", &block]).current_dir(folder).output();
    Spoken::from(spoken.unwrap()).expect_exit(0);
    is_live(&world, &one.0, &one.1);
    world.verb(&["release"]).expect_exit(0);
}

#[test]
fn before_the_first_deploy_there_is_nothing_to_go_back_to_and_nothing_is_held() {
    let world = World::new();
    let back = world.verb(&["back"]);
    back.expect_exit(1);
    back.says("there is nothing to go back to");
    let before = world.head();
    let first = deployed(&world, "one");
    // What the person had is the first that was good.
    world.verb(&["back"]).expect_exit(0);
    assert_eq!(world.head(), before);
    world.verb(&["back"]).expect_exit(1);
    world.verb(&["release"]).expect_exit(0);
    is_live(&world, &first.0, &first.1);
}

#[test]
fn after_a_deploy_that_failed_back_goes_to_the_last_good_one() {
    let mut world = World::new();
    deployed(&world, "one");
    let good = deployed(&world, "two");
    world.key("on_update", "\"! grep -q three index.html\"");
    let (bad, _) = world.push_with_post("three");
    world.push_delivery(&bad).send().expect(500, "failed");
    assert_eq!(world.head(), bad);
    world.verb(&["back"]).expect_exit(0);
    is_live(&world, &good.0, &good.1);
    world.key("on_update", "\"true\"");
    world.verb(&["release"]).expect_exit(0);
    assert_eq!(world.head(), bad);
}

#[test]
fn a_commit_of_the_branch_can_be_named_and_nothing_else() {
    let world = World::new();
    let one = deployed(&world, "one");
    deployed(&world, "two");
    let three = deployed(&world, "three");
    let checkout = world.checkout();
    // Names that look like ids are none.
    world.git(&checkout, &["branch", "abcdef1", &three.0]);
    world.git(&checkout, &["tag", "1234567", &three.0]);
    // Nor is a tag's object the commit that it names.
    world.git(&checkout, &["tag", "-a", "-m", "Tag", "v1", &one.0]);
    let object = world.git(&checkout, &["rev-parse", "v1"]);
    world.git(&checkout, &["commit-tree", "-m", "Stray", "HEAD^{tree}"]);
    let stray = world.git(&checkout, &["commit-tree", "-m", "Stray", "HEAD^{tree}"]);
    for (name, exit, said) in [
        ("abcdef1", 1, "no commit of main here begins with abcdef1"),
        ("1234567", 1, "no commit of main here begins with 1234567"),
        (&stray.trim()[..12], 1, "no commit of main here begins with"),
        (object.trim(), 1, "no commit of main here begins with"),
        (
            &format!("{}00", one.0),
            1,
            "no commit of main here begins with",
        ),
        ("main", 2, "the first 7 to 64 hex digits"),
        ("HEAD~1", 2, "the first 7 to 64 hex digits"),
        (&one.0[..6], 2, "the first 7 to 64 hex digits"),
    ] {
        let back = world.verb(&["back", name]);
        back.expect_exit(exit);
        back.says(said);
        assert_eq!(world.head(), three.0);
        assert!(!world.state("hold").exists(), "{name}");
    }
    world
        .verb(&["back", &one.0[..7].to_uppercase()])
        .expect_exit(0);
    is_live(&world, &one.0, &one.1);
    world.verb(&["release"]).expect_exit(0);
}

#[test]
fn edits_and_untracked_files_in_the_way_are_kept() {
    let world = World::new();
    world.push_to("site", "gone.txt", "a", "One more file");
    let one = deployed(&world, "one");
    let seed = world.path("seed/site");
    world.git(&seed, &["rm", "-q", "gone.txt"]);
    world.git(&seed, &["commit", "-q", "-m", "Remove it"]);
    let two = deployed(&world, "two");
    let checkout = world.checkout();
    fs::write(checkout.join("index.html"), "mine").unwrap();
    fs::write(checkout.join("gone.txt"), "mine, too").unwrap();
    fs::write(checkout.join("posts/first.md"), "my post").unwrap();
    let back = world.verb(&["back"]);
    back.expect_exit(0);
    back.says("what the reset removed was kept");
    is_live(&world, &one.0, &one.1);
    let kept: Vec<_> = fs::read_dir(world.state("kept"))
        .unwrap()
        .flatten()
        .collect();
    let kept = kept[0].path().join("gone.txt");
    assert_eq!(fs::read_to_string(kept).unwrap(), "mine, too");
    let saved = |folder, file| {
        let refs = world.git(
            folder,
            &[
                "for-each-ref",
                "--format=%(refname)",
                "refs/deploy-cgi/saved",
            ],
        );
        world.git(folder, &["show", &format!("{}:{file}", refs.trim())])
    };
    assert_eq!(saved(&checkout, "index.html"), "mine");
    assert_eq!(saved(&checkout.join("posts"), "first.md"), "my post");
    world.verb(&["release"]).expect_exit(0);
    is_live(&world, &two.0, &two.1);
}

#[test]
fn a_back_whose_command_fails_exits_with_1_and_is_still_held() {
    let mut world = World::new();
    let one = deployed(&world, "one");
    deployed(&world, "two");
    world.key("on_update", "\"false\"");
    let back = world.verb(&["back"]);
    back.expect_exit(1);
    back.says("failed at on_update");
    is_live(&world, &one.0, &one.1);
    let newest = world.push("three");
    world.push_delivery(&newest).send().expect(200, "held");
    wait_until_quiet(&world);
    assert_eq!(world.head(), one.0);
    world.key("on_update", "\"true\"");
    world.verb(&["release"]).expect_exit(0);
}

/// Begins a `back`, and ends it and its git in the middle of a step.
fn killed_back(world: &mut World, step: &str, meanwhile: impl FnOnce()) {
    world.fake_git(step, &Fault::Hang);
    let mut command = world.clean(world.site_file());
    let mut running = command.arg("back").spawn().unwrap();
    wait_until("the hung git", || world.exists("fake/hung"));
    meanwhile();
    let hung = world.read("fake/hung");
    running.kill().unwrap();
    running.wait().unwrap();
    hung.split_whitespace().for_each(kill);
    fs::remove_file(world.path("fake/hung")).unwrap();
    world.fake_git("none", &Fault::Note);
}

#[test]
fn a_back_that_was_killed_is_finished_by_the_next_delivery_although_held() {
    for step in ["reset", "submodule"] {
        let mut world = World::new();
        let one = deployed(&world, "one");
        deployed(&world, "two");
        killed_back(&mut world, step, || ());
        let newest = world.push("three");
        world.push_delivery(&newest).send().expect(200, "held");
        wait_until("the end of the back", || !world.state("back").exists());
        wait_until_quiet(&world);
        is_live(&world, &one.0, &one.1);
        assert_eq!(world.tickets(), 1);
        world.verb(&["release"]).expect_exit(0);
        assert_eq!(world.head(), newest);
    }
}

#[test]
fn a_back_that_was_killed_is_finished_by_run_and_given_up_by_release() {
    let mut world = World::new();
    let one = deployed(&world, "one");
    let two = deployed(&world, "two");
    killed_back(&mut world, "submodule", || ());
    let run = world.verb(&["run"]);
    run.expect_exit(1);
    run.says("back main");
    run.says("held: deploys have been held since");
    is_live(&world, &one.0, &one.1);
    world.verb(&["release"]).expect_exit(0);
    is_live(&world, &two.0, &two.1);
    killed_back(&mut world, "reset", || ());
    let released = world.verb(&["release"]);
    released.expect_exit(0);
    assert!(!released.stdout.contains("back main"), "{released:?}");
    is_live(&world, &two.0, &two.1);
}

#[test]
fn what_good_deploys_left_outlives_a_force_push_and_gc() {
    let mut world = World::new();
    world.key("update", "\"reset\"");
    let one = deployed(&world, "one");
    let seed = world.path("seed/site");
    world.git(&seed, &["reset", "-q", "--hard", "HEAD~1"]);
    world.commit("site", "index.html", "instead", "Instead");
    world.force_push();
    let head = world.git(&seed, &["rev-parse", "HEAD"]).trim().to_owned();
    world.push_delivery(&head).send().expect(200, "deployed");
    for folder in [world.checkout(), world.checkout().join("posts")] {
        world.git(&folder, &["reflog", "expire", "--expire=now", "--all"]);
        world.git(&folder, &["gc", "-q", "--prune=now"]);
    }
    world.verb(&["back"]).expect_exit(0);
    is_live(&world, &one.0, &one.1);
    world.verb(&["release"]).expect_exit(0);
}

#[test]
fn a_followed_submodule_goes_back_to_where_it_was_and_not_to_what_is_recorded() {
    let world = World::latest();
    let site = world.push("one");
    world.push_delivery(&site).send().expect(200, "deployed");
    world.push_to("posts", "a.md", "a", "First");
    world.verb(&["run"]).says("deployed main");
    let first = world.submodule_head();
    world.push_to("posts", "b.md", "b", "Second");
    world.verb(&["run"]).says("deployed main");
    assert_ne!(world.submodule_head(), first);
    world.verb(&["back"]).expect_exit(0);
    assert_eq!((world.head(), world.submodule_head()), (site, first));
    world.verb(&["release"]).expect_exit(0);
}

#[test]
fn what_is_nested_in_a_followed_submodule_comes_back_with_it() {
    let world = World::latest();
    let note = plant(&world, "notes", "note", "one");
    let site = world.push("one");
    world.push_delivery(&site).send().expect(200, "deployed");
    add(&world, "posts", "notes", "../notes.git", &note);
    publish(&world, "posts");
    world.verb(&["run"]).says("deployed main");
    let nested = tree_of(&world.checkout());
    let seed = world.path("seed/posts");
    world.git(&seed, &["rm", "-q", "--cached", "notes", ".gitmodules"]);
    fs::remove_file(seed.join(".gitmodules")).unwrap();
    publish(&world, "posts");
    world.verb(&["run"]).says("deployed main");
    world.verb(&["back"]).expect_exit(0);
    is_tree(&tree_of(&world.checkout()), nested, &[]);
    world.verb(&["release"]).expect_exit(0);
    assert!(!world.exists("checkout/posts/notes"));
}

#[test]
fn the_last_ten_good_deploys_are_known() {
    let world = World::new();
    let mut commits = Vec::new();
    for n in 0..12 {
        let commit = world.push(&format!("number {n}"));
        world.push_delivery(&commit).send().expect(200, "deployed");
        commits.push(commit);
    }
    for n in (2..11).rev() {
        world.verb(&["back"]).expect_exit(0);
        assert_eq!(world.head(), commits[n]);
    }
    let back = world.verb(&["back"]);
    back.expect_exit(1);
    back.says("no earlier good deploy is known");
    world.verb(&["release"]).expect_exit(0);
}

#[test]
fn back_from_a_commit_that_was_named_goes_further_back_and_not_forward() {
    let world = World::new();
    let one = deployed(&world, "one");
    let between = world.push("between");
    deployed(&world, "two");
    world.verb(&["back", &between]).expect_exit(0);
    assert_eq!(world.head(), between);
    world.verb(&["back"]).expect_exit(0);
    is_live(&world, &one.0, &one.1);
}

#[test]
fn after_a_back_that_failed_back_goes_one_further_and_not_forward() {
    let mut world = World::new();
    let one = deployed(&world, "one");
    let two = deployed(&world, "two");
    deployed(&world, "three");
    world.key("on_update", "\"! grep -q two index.html\"");
    world.verb(&["back"]).expect_exit(1);
    is_live(&world, &two.0, &two.1);
    // One that did not come so far is tried again.
    world.fake_git("reset", &Fault::Fail("fatal: no"));
    world.verb(&["back"]).expect_exit(1);
    is_live(&world, &two.0, &two.1);
    world.fake_git("none", &Fault::Note);
    world.verb(&["back"]).expect_exit(0);
    is_live(&world, &one.0, &one.1);
}

#[test]
fn a_good_deploy_that_could_not_be_remembered_is_done_again() {
    let world = World::new();
    deployed(&world, "one");
    let known = fs::read(world.state("good-deploys")).unwrap();
    fs::remove_file(world.state("good-deploys")).unwrap();
    fs::create_dir(world.state("good-deploys")).unwrap();
    let (two, post) = world.push_with_post("two");
    world.push_delivery(&two).send();
    wait_until_quiet(&world);
    fs::remove_dir(world.state("good-deploys")).unwrap();
    fs::write(world.state("good-deploys"), known).unwrap();
    world.verb(&["run"]).expect_exit(0);
    deployed(&world, "three");
    world.verb(&["back"]).expect_exit(0);
    is_live(&world, &two, &post);
}

#[test]
fn a_back_that_was_killed_among_its_files_leaves_nothing_that_looks_like_an_edit() {
    let mut world = World::new();
    let one = deployed(&world, "one");
    deployed(&world, "two");
    let page = world.checkout().join("index.html");
    killed_back(&mut world, "reset", || {
        fs::write(&page, "with one").unwrap();
    });
    world.verb(&["run"]).expect_exit(1);
    is_live(&world, &one.0, &one.1);
    let saved = ["for-each-ref", "refs/deploy-cgi/saved"];
    assert_eq!(world.git(&world.checkout(), &saved), "");
}

#[test]
fn what_one_work_tree_keeps_the_maintenance_of_another_leaves() {
    let mut world = World::new();
    let one = deployed(&world, "one");
    let seed = world.path("seed/site");
    world.key("update", "\"reset\"");
    world.git(&seed, &["reset", "-q", "--hard", "HEAD~1"]);
    let head = world.commit("site", "index.html", "instead", "Instead");
    world.force_push();
    world.push_delivery(&head).send().expect(200, "deployed");
    world.settle();
    let checkout = world.checkout();
    let other = world.path("other");
    let place = text(&other);
    let words = [
        "worktree",
        "add",
        "-q",
        "--track",
        "-b",
        "other",
        &place,
        "origin/main",
    ];
    world.git(&checkout, &words);
    world.key("repo", &quoted(&text(&other)));
    world.push("more");
    let run = world.verb(&["run"]);
    run.expect_exit(0);
    assert!(
        checkout
            .join(".git/worktrees/other/deploy-cgi/maintenance")
            .exists()
    );
    world.git(&checkout, &["reflog", "expire", "--expire=now", "--all"]);
    world.git(&checkout, &["gc", "-q", "--prune=now"]);
    world.git(&checkout, &["cat-file", "-e", &one.0]);
}
