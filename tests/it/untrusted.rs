//! What authors of submodules and of other branches write, and servers that git talks to: nothing of it may bring in what
//! is not theirs, stop a deploy of the followed branch, or lead elsewhere.

use std::fs;
use std::os::unix::fs::symlink;

use crate::checkouts::{change, deployed, has, is_as_pushed, publish, push_of};
use crate::checkouts_submodules::{add, plant, point, set_module};
use crate::world::{World, ZERO, payload_after, quoted, text};

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
#[ignore = "many deploys: ./tests/run"]
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
        .delivery("push", payload_after(ZERO, &commit).to_string())
        .send();
    reply.expect(200, "deployed");
    world.settle();
    let list = "for-each-ref --format=%(refname) refs/heads refs/remotes refs/tags";
    let list: Vec<_> = list.split(' ').collect();
    let listed = world.git(&world.checkout(), &list);
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

/// Everything that a deploy and a check read of a submodule's work tree: what is there in place of each file is not read
/// through a link, never waited for, and never read without end.
#[test]
fn files_of_a_submodule_that_lead_elsewhere_are_not_read() {
    for target in ["/nowhere", "/proc/self/pagemap", "/dev/zero"] {
        let mut world = World::new();
        world.key("timeout", "\"20s\"");
        let seed = world.path("seed/posts");
        // Git to 2.31 itself reads through such a link, without end.
        if target != "/nowhere" && reads_attributes_through_a_link(&world) {
            break;
        }
        symlink(target, seed.join(".gitattributes")).unwrap();
        fs::create_dir(seed.join("deep")).unwrap();
        symlink(target, seed.join("deep/.gitattributes")).unwrap();
        world.git(&seed, &["add", ".gitattributes", "deep"]);
        let post = publish(&world, "posts");
        point(&world, "site", "posts", &post);
        deployed(&world, &publish(&world, "site"));
        world.verb(&["check"]).expect_exit(0);
        world.ping_delivery().send().expect(200, "pong");
    }
}

fn reads_attributes_through_a_link(world: &World) -> bool {
    let folder = world.path("attributes");
    world.git(&world.path(""), &["init", "-q", &text(&folder)]);
    fs::write(folder.join("real"), "* probe\n").unwrap();
    symlink("real", folder.join(".gitattributes")).unwrap();
    let read = world.git(&folder, &["check-attr", "probe", "file"]);
    read.ends_with("probe: set")
}

/// The same where somebody put them there who may write to the checkout.
#[test]
fn what_is_in_place_of_a_file_is_never_waited_for() {
    for name in [".gitattributes", "deep/.gitattributes", ".gitmodules"] {
        let mut world = World::new();
        world.key("timeout", "\"20s\"");
        let post = change(
            &world,
            "posts",
            &[
                ("deep/.gitattributes", Some("*.bin filter=other\n")),
                (".gitattributes", Some("*.bin filter=other\n")),
            ],
        );
        point(&world, "site", "posts", &post);
        deployed(&world, &publish(&world, "site"));
        let place = world.path("checkout/posts").join(name);
        let put: [&dyn Fn(); 3] = [
            &|| {
                let made = world.clean("mkfifo").arg(&place).status().unwrap();
                assert!(made.success());
            },
            &|| symlink("/proc/self/pagemap", &place).unwrap(),
            &|| fs::File::create(&place).unwrap().set_len(1 << 40).unwrap(),
        ];
        for put in put {
            drop(fs::remove_file(&place));
            put();
            let check = world.verb(&["check"]);
            assert!(matches!(check.exit, Some(0 | 1)), "{check:#?}");
            let ping = world.ping_delivery().send();
            assert!(matches!(ping.status, 200 | 500), "{ping:#?}");
        }
    }
}

/// A .gitmodules names a file that never ends: neither in the work tree nor in a commit is it looked into.
#[test]
fn what_gitmodules_includes_is_not_read() {
    for submodules in ["recorded", "latest"] {
        let mut world = World::new();
        world.key("submodules", &quoted(submodules));
        let pipe = text(&world.path("pipe"));
        assert!(world.clean("mkfifo").arg(&pipe).status().unwrap().success());
        let note = plant(&world, "notes", "note", "one\n");
        add(
            &world,
            "posts",
            "notes",
            &world.origin.url("me/notes.git"),
            &note,
        );
        set_module(&world, "posts", "notes.fetchRecurseSubmodules", "false");
        let seed = world.path("seed/posts");
        world.git(
            &seed,
            &["config", "-f", ".gitmodules", "include.path", &pipe],
        );
        world.git(&seed, &["add", ".gitmodules"]);
        let post = publish(&world, "posts");
        point(&world, "site", "posts", &post);
        deployed(&world, &publish(&world, "site"));
        // Another .gitmodules: the one that was there is compared.
        set_module(&world, "posts", "notes.shallow", "false");
        let post = publish(&world, "posts");
        point(&world, "site", "posts", &post);
        deployed(&world, &publish(&world, "site"));
        world.verb(&["check"]).expect_exit(0);
        has(&world, &[("posts/notes/note", "one\n")]);
    }
}
