//! What a command is told has changed, and what `only` runs it for.

use std::fs;

use crate::checkouts::{change, deployed, publish};
use crate::checkouts_submodules::{add, plant, point};
use crate::docs::block_with;
use crate::world::{Fault, World};

/// A world whose `on_update` notes what it was told, one path a line.
fn noting_world(only: &str) -> World {
    let mut world = World::new();
    let command = r#""tr '\\0' '\\n' <\"$DEPLOY_CHANGED\" >../told""#;
    world.key("on_update", command);
    if !only.is_empty() {
        world.key("only", only);
    }
    // Before the first deploy nothing is known of what was live.
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "deployed");
    assert_eq!(
        world.read("told"),
        ".gitmodules\nindex.html\nposts\n",
        "all that is tracked"
    );
    fs::remove_file(world.path("told")).unwrap();
    world
}

fn pushed(world: &World, file: &str) -> String {
    let commit = pushed_to(world, file);
    let reply = world.push_delivery(&commit).send();
    reply.expect(200, "deployed");
    assert_eq!(world.head(), commit);
    // What became of the same delivery before is behind it.
    let report = reply.body.split("\nThis delivery came before.").next();
    report.unwrap().to_owned()
}

fn pushed_to(world: &World, file: &str) -> String {
    let path = world.path("seed/site").join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    world.push_to("site", file, "content", "Change a file")
}

const NOT_RUN: &str = "\nnote: on_update was not run: nothing changed that the key `only` names\n";

#[test]
fn a_command_is_told_the_changed_paths_also_of_names_and_submodules() {
    let world = noting_world("");
    pushed(&world, "a b\tc.txt");
    assert_eq!(world.read("told"), "a b\tc.txt\n");
    let (commit, _) = world.push_with_post("three");
    world.push_delivery(&commit).send().expect(200, "deployed");
    assert_eq!(world.read("told"), "index.html\nposts\n");
    // A rename has both names, as git's own diff without a guess has it.
    let seed = world.path("seed/site");
    world.git(&seed, &["mv", "index.html", "page.html"]);
    let commit = world.commit("site", "page.html", "moved", "Rename");
    world.git(&seed, &["push", "-q", "origin", "main"]);
    world.push_delivery(&commit).send().expect(200, "deployed");
    assert_eq!(world.read("told"), "index.html\npage.html\n");
}

#[test]
fn where_nothing_changed_that_only_names_the_files_come_and_the_command_is_not_run() {
    let world = noting_world("[\"site/**\", \"*.css\", \"posts\"]");
    let told = pushed(&world, "drafts/new.md");
    assert!(told.contains(NOT_RUN), "{told}");
    assert!(!world.exists("told"));
    // `*` ends at a folder, `**` does not.
    assert!(pushed(&world, "drafts/a.css").contains(NOT_RUN));
    for file in ["site/deep/er/page.html", "a.css"] {
        let told = pushed(&world, file);
        assert!(!told.contains("note:"), "{told}");
        let told = world.read("told");
        assert_eq!(told, format!("{file}\n"));
        fs::remove_file(world.path("told")).unwrap();
    }
    let (commit, _) = world.push_with_post("three");
    world.push_delivery(&commit).send().expect(200, "deployed");
    assert_eq!(world.read("told"), "index.html\nposts\n");
}

#[test]
fn what_a_failed_deploy_changed_counts_for_the_next() {
    let mut world = noting_world("[\"site/**\"]");
    let first = pushed_to(&world, "site/a.html");
    world.key("on_update", "\"false\"");
    world.push_delivery(&first).send().expect(500, "failed");
    world.key("on_update", "\"touch ../ran\"");
    let second = pushed_to(&world, "drafts/b.md");
    world.push_delivery(&second).send().expect(200, "deployed");
    assert!(world.exists("ran"));
}

#[test]
fn a_followed_submodule_that_moved_by_itself_counts_by_its_path() {
    for (only, runs) in [("[\"posts\"]", true), ("[\"index.html\"]", false)] {
        let mut world = World::latest();
        let first = world.push("two");
        world.push_delivery(&first).send().expect(200, "deployed");
        world.key("only", only);
        let command = r#""tr '\\0' '\\n' <\"$DEPLOY_CHANGED\" >../told""#;
        world.key("on_update", command);
        world.push_to("posts", "new.md", "new", "A post");
        world.verb(&["run"]).says("deployed main");
        assert_eq!(world.exists("told"), runs, "{only}");
        if runs {
            assert_eq!(world.read("told"), "posts\n");
        }
    }
}

#[test]
fn without_the_last_good_commit_the_command_is_run_and_told_all() {
    let world = noting_world("[\"nothing\"]");
    fs::write(
        world.state("last-good"),
        "{\"head\":\"1234567890123456789012345678901234567890\"}",
    )
    .unwrap();
    let told = pushed(&world, "b.txt");
    assert!(!told.contains(NOT_RUN), "{told}");
    assert_eq!(
        world.read("told"),
        ".gitmodules\nb.txt\nindex.html\nposts\n"
    );
}

#[test]
fn the_file_is_there_for_a_failed_deploy_too() {
    let mut world = noting_world("");
    world.key("on_failure", "\"wc -c <\\\"$DEPLOY_CHANGED\\\" >../bytes\"");
    world.fake_git("pull", &Fault::Fail("fatal: no"));
    let commit = world.push("three");
    world.push_delivery(&commit).send().expect(500, "failed");
    world.settle();
    assert_eq!(world.read("bytes").trim(), "0");
}

#[test]
fn a_pattern_with_magic_in_front_of_it_is_refused() {
    for only in [
        "[\":!site\"]",
        "[\":(top)a\"]",
        "[\"/etc\"]",
        "[\"../site\"]",
        "[\"a/../../b\"]",
        "[\"a/../../b\"]",
        "[1]",
        "\"site\"",
        "[]",
        "[\"\"]",
    ] {
        let mut world = World::new();
        world.key("only", only);
        let check = world.verb(&["check"]);
        check.expect_exit(1);
        check.says("`only` has to be a list of patterns below the checkout");
    }
}

#[test]
fn the_page_has_patterns_that_are_taken() {
    let block = block_with("only = ");
    let only = block.trim().strip_prefix("only = ").unwrap().to_owned();
    let world = noting_world(&only);
    assert!(pushed(&world, "drafts/new.md").contains(NOT_RUN));
    assert!(!pushed(&world, "site/page.html").contains(NOT_RUN));
}

/// A deploy that never ended well is none, however often it is tried.
#[test]
fn before_the_first_good_deploy_the_command_is_run_whatever_changed() {
    let mut world = World::new();
    world.key("only", "[\"site/**\"]");
    world.key("on_update", "\"false\"");
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(500, "failed");
    world.key("on_update", "\"touch ../ran\"");
    world.push_delivery(&commit).send().expect(200, "deployed");
    assert!(world.exists("ran"));
}

#[test]
fn a_nested_submodule_is_named_by_its_path() {
    let patterns = [
        ("posts/notes", true),
        ("posts/n*", true),
        ("posts/**", true),
        ("posts/other", false),
        ("other/**", false),
    ];
    let mut world = World::new();
    let note = plant(&world, "notes", "note", "one");
    add(&world, "posts", "notes", "../notes.git", &note);
    let post = publish(&world, "posts");
    point(&world, "site", "posts", &post);
    deployed(&world, &publish(&world, "site"));
    world.key("on_update", "\"touch ../ran\"");
    for (n, (only, runs)) in patterns.into_iter().enumerate() {
        world.key("only", &format!("[\"{only}\"]"));
        let note = change(&world, "notes", &[("note", Some(&n.to_string()))]);
        point(&world, "posts", "notes", &note);
        point(&world, "site", "posts", &publish(&world, "posts"));
        deployed(&world, &publish(&world, "site"));
        assert_eq!(world.exists("ran"), runs, "{only}");
        drop(fs::remove_file(world.path("ran")));
    }
}
