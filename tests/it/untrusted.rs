//! What authors of submodules and of other branches write, and servers that git talks to: nothing of it may bring in what
//! is not theirs, stop a deploy of the followed branch, or lead elsewhere.

use std::fs;

use crate::checkouts::{change, deployed, has, is_as_pushed, publish, push_of};
use crate::checkouts_submodules::{add, plant, point, set_module};
use crate::world::{World, quoted, text};

/// A site whose submodule `posts` has the submodule `notes`, deployed; and a repository of somebody's on the host. Returns
/// the commit of the latter.
fn beside_a_private_repository(update: &str, submodules: &str) -> (World, String) {
    let mut world = World::new();
    world.key("update", &quoted(update));
    world.key("submodules", &quoted(submodules));
    let note = plant(&world, "notes", "note", "one\n");
    let url = world.origin.url("me/notes.git");
    add(&world, "posts", "notes", &url, &note);
    let post = publish(&world, "posts");
    point(&world, "site", "posts", &post);
    deployed(&world, &publish(&world, "site"));
    let private = world.path("victim/private");
    world.git(&world.path(""), &["init", "-q", &text(&private)]);
    fs::write(private.join("private"), "mine\n").unwrap();
    world.git(&private, &["add", "private"]);
    world.git(&private, &["commit", "-q", "-m", "Mine"]);
    let commit = world.git(&private, &["rev-parse", "HEAD"]);
    (world, commit)
}

/// The nested submodule was filled from an URL that git takes from anybody, and is then said to come from a path.
#[track_caller]
fn is_never_brought_in(update: &str, submodules: &str, is_bumped: bool) {
    let (world, private) = beside_a_private_repository(update, submodules);
    let path = text(&world.path("victim/private"));
    set_module(&world, "posts", "notes.url", &path);
    if is_bumped {
        point(&world, "posts", "notes", &private);
    }
    let post = publish(&world, "posts");
    point(&world, "site", "posts", &post);
    let commit = publish(&world, "site");
    for delivery in 1..=3 {
        let reply = world.push_delivery(&commit).send();
        world.settle();
        let case = format!("{update}, {submodules}, bumped {is_bumped}, delivery {delivery}");
        assert!(
            !world.exists("checkout/posts/notes/private"),
            "{case}: {reply:#?}"
        );
        let objects = world.path("checkout/.git/modules/posts/modules/notes/objects");
        let (start, rest) = private.split_at(2);
        assert!(!objects.join(start).join(rest).exists(), "{case}");
        if is_bumped && submodules == "recorded" || submodules == "latest" {
            reply.expect(500, "failed");
        }
    }
    // The person who writes the submodule mends it.
    let url = world.origin.url("me/notes.git");
    set_module(&world, "posts", "notes.url", &url);
    let note = change(&world, "notes", &[("note", Some("two\n"))]);
    point(&world, "posts", "notes", &note);
    let post = publish(&world, "posts");
    point(&world, "site", "posts", &post);
    deployed(&world, &publish(&world, "site"));
    has(&world, &[("posts/notes/note", "two\n")]);
}

#[test]
fn a_nested_submodule_never_brings_a_repository_of_the_host_into_the_site() {
    for is_bumped in [true, false] {
        for update in ["fast-forward", "reset"] {
            is_never_brought_in(update, "recorded", is_bumped);
        }
        is_never_brought_in("fast-forward", "latest", is_bumped);
    }
}

#[test]
fn branches_and_tags_of_others_cannot_stop_a_deploy() {
    for update in ["fast-forward", "reset"] {
        let mut world = World::new();
        world.key("update", &quoted(update));
        for setting in [["remote.origin.tagOpt", "--tags"], ["fetch.prune", "false"]] {
            world.git(&world.checkout(), &[&["config"], &setting[..]].concat());
        }
        let seed = world.path("seed/site");
        for name in ["refs/heads/x", "refs/tags/moved", "refs/tags/t"] {
            world.git(&seed, &["push", "-q", "origin", &format!("HEAD:{name}")]);
        }
        // As a person who looks at everything would have it.
        world.git(&world.checkout(), &["fetch", "-q", "--tags"]);
        for name in ["refs/heads/x", "refs/tags/moved", "refs/tags/t"] {
            world.git(&seed, &["push", "-q", "origin", &format!(":{name}")]);
        }
        let commit = world.push("two");
        for name in [
            "refs/heads/x/y",
            "refs/tags/moved",
            "refs/tags/t/u",
            "refs/tags/main",
            "refs/tags/refs/heads/main",
            "refs/heads/refs/heads/main",
        ] {
            let other = format!("HEAD~1:{name}");
            let tag = if name.ends_with("moved") {
                format!("HEAD:{name}")
            } else {
                other
            };
            world.git(&seed, &["push", "-q", "origin", &tag]);
        }
        let reply = deployed(&world, &commit);
        let listed = world.git(&world.checkout(), &["for-each-ref", "--format=%(refname)"]);
        for others in ["x/y", "t/u", "tags/main", "heads/refs"] {
            assert!(!listed.contains(others), "{update}: {listed}");
        }
        let at = |name: &str| world.git(&world.checkout(), &["rev-parse", name]);
        assert_eq!(at("refs/remotes/origin/main"), commit, "{reply:#?}");
        is_as_pushed(&world, &[]);
    }
}

#[test]
fn branches_and_tags_of_others_cannot_stop_what_a_submodule_follows() {
    for submodules in ["recorded", "latest"] {
        let mut world = World::new();
        world.key("submodules", &quoted(submodules));
        let seed = world.path("seed/posts");
        let posts = world.path("checkout/posts");
        for name in ["refs/heads/x", "refs/tags/t"] {
            world.git(&seed, &["push", "-q", "origin", &format!("HEAD:{name}")]);
        }
        world.git(&posts, &["fetch", "-q", "--tags"]);
        world.git(&posts, &["config", "remote.origin.tagOpt", "--tags"]);
        for name in ["refs/heads/x", "refs/tags/t"] {
            world.git(&seed, &["push", "-q", "origin", &format!(":{name}")]);
        }
        let (commit, post) = world.push_with_post("two");
        for name in ["refs/heads/x/y", "refs/tags/t/u"] {
            world.git(&seed, &["push", "-q", "origin", &format!("HEAD~1:{name}")]);
        }
        deployed(&world, &commit);
        assert_eq!(world.submodule_head(), post, "{submodules}");
    }
}

/// A first checkout brings the branch that is followed, and nothing that fills the disk beside it.
#[test]
fn a_first_checkout_brings_the_followed_branch_and_no_other() {
    let mut world = World::new();
    let seed = world.path("seed/site");
    world.git(
        &seed,
        &[
            "push",
            "-q",
            "origin",
            "HEAD:refs/heads/other",
            "HEAD:refs/tags/t",
        ],
    );
    let commit = world.push("two");
    fs::remove_dir_all(world.checkout()).unwrap();
    world.key("clone", &quoted(&world.origin.url("me/site.git")));
    let reply = world
        .delivery(
            "push",
            crate::world::payload_after(crate::world::ZERO, &commit).to_string(),
        )
        .send();
    reply.expect(200, "deployed");
    world.settle();
    let listed = world.git(&world.checkout(), &["for-each-ref", "--format=%(refname)"]);
    assert_eq!(listed, "refs/heads/main\nrefs/remotes/origin/main");
}

/// A person told the site to follow a branch whose own remote-tracking branch is not there yet.
#[test]
fn a_branch_that_is_gone_is_not_in_the_way_of_the_followed_one() {
    for (stale, followed) in [("topic", "topic/one"), ("topic/one", "topic")] {
        for update in ["fast-forward", "reset"] {
            let mut world = World::new();
            world.key("update", &quoted(update));
            let seed = world.path("seed/site");
            let push = |what: String| world.git(&seed, &["push", "-q", "origin", &what]);
            push(format!("main:{stale}"));
            push("main:topical".to_owned());
            world.git(&world.checkout(), &["fetch", "-q"]);
            push(format!(":{stale}"));
            let upstream = format!("refs/heads/{followed}");
            world.git(
                &world.checkout(),
                &["config", "branch.main.merge", &upstream],
            );
            let commit = world.commit("site", "index.html", "two\n", "Two");
            push(format!("main:{followed}"));
            let reply = push_of(&world, "me/site", followed, &commit).send();
            reply.expect(200, "deployed");
            world.settle();
            assert_eq!(world.head(), commit);
            let listed = world.git(&world.checkout(), &["for-each-ref", "refs/remotes"]);
            assert!(listed.contains("origin/topical"), "{listed}");
        }
    }
}
