//! Checkouts of every shape, with each git that is here.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::checkouts::{
    bring_back, change, deployed, fresh_clone, fresh_clone_of, is_as_pushed, kept, publish, push_of,
};
use crate::person::{Person, Sshd};
use crate::tree::{is_tree, tree_of};
use crate::world::{
    Delivery, Fault, Reply, World, is_marked, quoted, search_path, text, wait_until,
    write_executable,
};

/// Makes the checkout anew.
fn clone_anew(world: &World, options: &[&str]) {
    fs::remove_dir_all(world.checkout()).unwrap();
    let (url, place) = (world.origin.url("me/site.git"), text(&world.checkout()));
    let words = [&["clone", "-q"], options, &[&url, &place]].concat();
    world.git(&world.path(""), &words);
}

/// Sends a delivery and waits for the end of its deploy, wherever the state is.
#[track_caller]
fn send(delivery: Delivery, state: &Path) -> Reply {
    let reply = delivery.send();
    wait_until("the end of the deploy", || {
        let queue = fs::read_dir(state.join("queue"));
        let turn = File::open(state.join("turn"));
        queue.is_ok_and(|mut queue| queue.next().is_none())
            && !is_marked(&state.join("running"))
            && turn.is_ok_and(|turn| turn.try_lock_shared().is_ok())
    });
    reply
}

#[test]
#[ignore = "many deploys: ./tests/run"]
fn shallow_and_single_branch_clones_are_deployed() {
    for options in [
        &[][..],
        &["--recursive", "--depth", "1"],
        &["--recursive", "--depth", "1", "--shallow-submodules"],
        &["--recursive", "--single-branch"],
        &["--recursive", "--filter=blob:none"],
        &["--recursive", "--no-tags", "--origin", "upstream"],
    ] {
        for update in ["fast-forward", "reset"] {
            let mut world = World::new();
            let upstream = world.path("upstream/me/site.git");
            world.git(&upstream, &["config", "uploadpack.allowFilter", "true"]);
            world.key("update", &quoted(update));
            world.push("two");
            clone_anew(&world, options);
            world.push("three");
            let (commit, _) = world.push_with_post("four");
            deployed(&world, &commit);
            is_as_pushed(&world, &[]);
            assert_eq!(world.changes(), "");
        }
    }
}

fn an_old_push_is_no_failure(update: &str) {
    let mut world = World::new();
    world.key("update", &quoted(update));
    let old = world.push("two");
    world.push("three");
    clone_anew(&world, &["--recursive", "--depth", "1"]);
    let reply = world.push_delivery(&old).send();
    assert_eq!(reply.status, 200, "{reply:#?}");
    world.settle();
    is_as_pushed(&world, &[]);
    let (commit, _) = world.push_with_post("four");
    deployed(&world, &commit);
    is_as_pushed(&world, &[]);
}

#[test]
fn an_old_push_that_a_shallow_clone_does_not_reach_is_no_failure() {
    an_old_push_is_no_failure("fast-forward");
}

#[test]
fn an_old_push_that_a_shallow_clone_does_not_reach_is_no_failure_of_a_reset() {
    an_old_push_is_no_failure("reset");
}

#[test]
fn an_old_push_that_a_worktree_of_a_shallow_clone_does_not_reach_is_no_failure() {
    let world = World::new();
    let old = world.push("two");
    world.push("three");
    clone_anew(&world, &["--depth", "1"]);
    let whole = world.path("whole");
    fs::rename(world.checkout(), &whole).unwrap();
    world.git(&whole, &["checkout", "-q", "--detach"]);
    let place = text(&world.checkout());
    world.git(&whole, &["worktree", "add", "-q", &place, "main"]);
    let state = whole.join(".git/worktrees/checkout/deploy-cgi");
    let reply = send(world.push_delivery(&old), &state);
    assert_eq!(reply.status, 200, "{reply:#?}");
    reply.says("older than this shallow clone reaches back");
    let (commit, _) = world.push_with_post("four");
    send(world.push_delivery(&commit), &state).expect(200, "deployed");
    is_as_pushed(&world, &[]);
}

#[test]
fn a_clone_of_a_part_whose_remote_lags_waits_for_the_push() {
    for part in ["--depth=1", "--filter=blob:none", "--filter=tree:0"] {
        let mut world = World::new();
        let upstream = world.path("upstream/me/site.git");
        world.git(&upstream, &["config", "uploadpack.allowFilter", "true"]);
        clone_anew(&world, &["--recursive", part]);
        world.key("wait", "\"0s\"");
        world.fake_git("merge-base", &Fault::Hold);
        let late = world.commit("site", "index.html", "late", "Late");
        push_of(&world, "me/site", "main", &late)
            .send()
            .expect(202, "accepted");
        // The pull found nothing; before the next look the remote has it.
        world.wait_until_held();
        world.git(&world.path("seed/site"), &["push", "-q", "origin", "main"]);
        world.release();
        world.settle();
        let history = world.history();
        assert_eq!(world.head(), late, "{part}: {history:#?}");
        is_as_pushed(&world, &[]);
        deployed_after(&world);
    }
}

/// The next push is deployed as well.
#[track_caller]
fn deployed_after(world: &World) {
    let commit = world.push("next");
    let reply = push_of(world, "me/site", "main", &commit).send();
    world.settle();
    assert_eq!(world.head(), commit, "{reply:#?} {:#?}", world.history());
}

#[track_caller]
fn stays_sparse(patterns: &[&str], update: &str) {
    let sparse = [&["sparse-checkout", "set"], patterns].concat();
    let mut world = World::new();
    world.key("update", &quoted(update));
    let files = [
        ("docs/a", Some("a\n")),
        ("big/b", Some("b\n")),
        ("c", Some("c\n")),
    ];
    change(&world, "site", &files);
    clone_anew(&world, &["--recursive"]);
    world.git(&world.checkout(), &sparse);
    let files = [
        ("docs/a", Some("new\n")),
        ("big/b", Some("new\n")),
        ("big/new", Some("new\n")),
    ];
    change(&world, "site", &files);
    let (commit, post) = world.push_with_post("two");
    deployed(&world, &commit);
    let expected = fresh_clone_of(&world, "me/site.git", "main", &sparse);
    is_tree(&tree_of(&world.checkout()), expected, &[]);
    assert_eq!(world.submodule_head(), post);
    assert_eq!(world.changes(), "");
}

const WITH_THE_SUBMODULE: &[&str] = &["--no-cone", "/docs/", "/.gitmodules", "/posts"];

#[test]
fn a_sparse_checkout_stays_sparse() {
    stays_sparse(&["docs"], "fast-forward");
    stays_sparse(WITH_THE_SUBMODULE, "reset");
}

#[test]
#[ignore = "many deploys: ./tests/run"]
fn a_sparse_checkout_of_any_form_stays_sparse() {
    stays_sparse(&["docs"], "reset");
    stays_sparse(WITH_THE_SUBMODULE, "fast-forward");
    stays_sparse(&["--no-cone", "/docs/"], "fast-forward");
    stays_sparse(&["--no-cone", "/docs/"], "reset");
}

#[test]
fn a_worktree_is_deployed() {
    for update in ["fast-forward", "reset"] {
        let mut world = World::new();
        world.key("update", &quoted(update));
        let whole = world.path("whole");
        fs::rename(world.checkout(), &whole).unwrap();
        world.git(&whole, &["checkout", "-q", "--detach"]);
        let place = text(&world.checkout());
        world.git(&whole, &["worktree", "add", "-q", &place, "main"]);
        let state = whole.join(".git/worktrees/checkout/deploy-cgi");
        let (commit, _) = world.push_with_post("two");
        let reply = send(world.push_delivery(&commit), &state);
        reply.expect(200, "deployed");
        is_as_pushed(&world, &[]);
        assert_eq!(world.changes(), "");
        fs::write(world.path("checkout/index.html"), "mine").unwrap();
        fs::write(world.path("checkout/posts/first.md"), "mine").unwrap();
        let (commit, _) = change_post(&world);
        let reply = send(world.push_delivery(&commit), &state);
        if update == "reset" {
            reply.expect(200, "deployed");
            is_as_pushed(&world, &[]);
            bring_back_all(&world, &["checkout", "checkout/posts"]);
        } else {
            reply.expect(500, "failed");
            assert_eq!(world.read("checkout/index.html"), "mine");
            assert_eq!(world.read("checkout/posts/first.md"), "mine");
        }
    }
}

/// Changes the files that a test edited.
fn change_post(world: &World) -> (String, String) {
    let post = change(world, "posts", &[("first.md", Some("changed\n"))]);
    world.point_submodule_at(&post);
    (world.push("changed"), post)
}

/// What was edited is kept in each of the repositories.
#[track_caller]
fn bring_back_all(world: &World, folders: &[&str]) {
    for folder in folders {
        let saved = kept(world, folder);
        assert_eq!(saved.len(), 1, "{folder}: {saved:?}");
        let names = ["index.html", "first.md"];
        let shown = names.iter().any(|name| {
            let mut git = world.clean("git");
            let shown = format!("{}:{name}", saved[0]);
            let output = git.arg("-C").arg(world.path(folder)).args(["show", &shown]);
            output.output().unwrap().stdout == b"mine"
        });
        assert!(shown, "{folder}: {saved:?}");
    }
}

#[test]
fn a_repository_elsewhere_is_deployed() {
    for update in ["fast-forward", "reset"] {
        let mut world = World::new();
        world.key("update", &quoted(update));
        let elsewhere = world.path("else where/site.git");
        fs::create_dir(world.path("else where")).unwrap();
        let place = text(&elsewhere);
        clone_anew(&world, &["--recursive", "--separate-git-dir", &place]);
        assert!(world.path("checkout/.git").is_file());
        let state = elsewhere.join("deploy-cgi");
        let (commit, _) = world.push_with_post("two");
        let reply = send(world.push_delivery(&commit), &state);
        reply.expect(200, "deployed");
        is_as_pushed(&world, &[]);
        assert_eq!(world.changes(), "");
    }
}

#[test]
fn a_checkout_inside_a_submodule_is_deployed() {
    for update in ["fast-forward", "reset"] {
        let mut world = World::new();
        world.key("update", &quoted(update));
        world.key("repo", &quoted(&text(&world.path("checkout/posts"))));
        world.git(&world.path("checkout/posts"), &["checkout", "-q", "main"]);
        let state = world.path("checkout/.git/modules/posts/deploy-cgi");
        let before = world.head();
        let post = world.push_to("posts", "second.md", "new\n", "A post");
        let reply = send(push_of(&world, "me/posts", "main", &post), &state);
        reply.expect(200, "deployed");
        let expected = fresh_clone_of(&world, "me/posts.git", "main", &[]);
        is_tree(&tree_of(&world.path("checkout/posts")), expected, &[]);
        assert_eq!((world.submodule_head(), world.head()), (post, before));
    }
}

#[test]
fn a_head_that_is_a_symbolic_link_is_followed() {
    for update in ["fast-forward", "reset"] {
        let mut world = World::new();
        world.key("update", &quoted(update));
        let head = world.path("checkout/.git/HEAD");
        fs::remove_file(&head).unwrap();
        std::os::unix::fs::symlink("refs/heads/main", &head).unwrap();
        deployed(&world, &world.push_with_post("two").0);
        world.git(&world.checkout(), &["pack-refs", "--all"]);
        deployed(&world, &world.push("three"));
        assert!(head.is_symlink());
        is_as_pushed(&world, &[]);
    }
}

/// Commits everything that was written into the seed of the site.
fn publish_all(world: &World) -> String {
    let seed = world.path("seed/site");
    world.git(&seed, &["add", "--ignore-removal", "."]);
    publish(world, "site")
}

const ODD_NAMES: &[&[u8]] = &[
    "straße ü/größe \"1\".html".as_bytes(),
    b"it's `a` $(name)",
    b"tab\tand\nline",
    b" leading and trailing ",
    b"-dash",
    b":(top)x",
    b"*.html",
    b"latin-1 \xe4\xf6\xfc/\xff",
    b"\xc3\x28",
];

#[test]
fn files_of_any_name_are_deployed_and_kept() {
    for update in ["fast-forward", "reset"] {
        let mut world = World::new();
        world.key("update", &quoted(update));
        let write = |folder: &Path, names: &[&[u8]], content: &str| {
            for name in names {
                let path = folder.join(OsStr::from_bytes(name));
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, content).unwrap();
            }
        };
        let (seed, checkout) = (world.path("seed/site"), world.checkout());
        let (first, then) = ODD_NAMES.split_at(ODD_NAMES.len() / 2);
        write(&seed, first, "one\n");
        deployed(&world, &publish_all(&world));
        is_as_pushed(&world, &[]);
        write(&seed, then, "one\n");
        if update == "fast-forward" {
            deployed(&world, &publish_all(&world));
            is_as_pushed(&world, &[]);
            continue;
        }
        // Edited, and in the way of what comes.
        write(&checkout, ODD_NAMES, "mine\n");
        let reply = deployed(&world, &publish_all(&world));
        is_as_pushed(&world, &[]);
        bring_back(&world, &reply);
        for name in ODD_NAMES {
            let path = checkout.join(OsStr::from_bytes(name));
            assert_eq!(fs::read(path).unwrap(), b"mine\n");
        }
    }
}

#[test]
fn a_checkout_of_any_name_is_deployed() {
    for name in ["it's ü/\"my\" $site", "-dash", "-c/x"] {
        let mut world = World::new();
        world.key("update", "\"reset\"");
        let place = world.path(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        world.git(
            &world.path(""),
            &[
                "clone",
                "-q",
                "--recursive",
                &world.origin.url("me/site.git"),
                &text(&place),
            ],
        );
        world.key("repo", &quoted(&text(&place)));
        let state = place.join(".git/deploy-cgi");
        fs::write(place.join("index.html"), "mine").unwrap();
        let post = world.push_to("posts", "second.md", "new\n", "A post");
        world.point_submodule_at(&post);
        let commit = change(&world, "site", &[("other", Some("other\n"))]);
        let reply = send(push_of(&world, "me/site", "main", &commit), &state);
        reply.expect(200, "deployed");
        is_tree(&tree_of(&place), fresh_clone(&world, "main"), &[]);
        bring_back(&world, &reply);
        assert_eq!(fs::read(place.join("index.html")).unwrap(), b"mine");
    }
}

#[test]
fn a_rename_of_case_only_is_deployed() {
    for update in ["fast-forward", "reset"] {
        let mut world = World::new();
        world.key("update", &quoted(update));
        let files = [("Readme", Some("one\n")), ("Docs/a", Some("a\n"))];
        deployed(&world, &change(&world, "site", &files));
        let seed = world.path("seed/site");
        world.git(&seed, &["mv", "Readme", "README"]);
        world.git(&seed, &["mv", "Docs", "docs"]);
        deployed(&world, &publish(&world, "site"));
        is_as_pushed(&world, &[]);
    }
}

#[test]
#[ignore = "many deploys: ./tests/run"]
fn branches_of_any_name_are_followed() {
    for branch in [
        "feature/x.y\"z",
        "ünï/#1",
        "a@b",
        "100%",
        "x'y$(id)",
        "origin/main",
        "v1.0",
        "v=1",
    ] {
        for update in ["fast-forward", "reset"] {
            let mut world = World::new();
            world.key("update", &quoted(update));
            world.key("branch", &quoted(branch));
            let seed = world.path("seed/site");
            // A tag of the same name must not be taken for it.
            world.git(&seed, &["tag", "v1.0"]);
            world.git(&seed, &["checkout", "-q", "-b", branch]);
            change(&world, "site", &[("branch", Some(branch))]);
            let from = format!("refs/heads/{branch}");
            let push = ["push", "-q", "origin", &from, "refs/tags/v1.0"];
            world.git(&seed, &push);
            clone_anew(&world, &["--recursive", "-b", branch]);
            let commit = change_on(&world, branch, "two\n");
            let reply = push_of(&world, "me/site", branch, &commit).send();
            assert_eq!(reply.first_word(), "deployed", "{branch}: {reply:#?}");
            world.settle();
            assert_eq!(world.head(), commit, "{branch}");
            is_tree(
                &tree_of(&world.checkout()),
                fresh_clone(&world, branch),
                &[],
            );
        }
    }
}

#[test]
fn a_fast_forward_of_a_branch_of_any_name_leaves_what_git_ignores() {
    for branch in ["v=1", "a=\"b\""] {
        let mut world = World::new();
        world.key("branch", &quoted(branch));
        let seed = world.path("seed/site");
        world.git(&seed, &["checkout", "-q", "-b", branch]);
        change(&world, "site", &[(".gitignore", Some("*.log\n"))]);
        change_on(&world, branch, "one\n");
        clone_anew(&world, &["--recursive", "-b", branch]);
        fs::write(world.path("checkout/my.log"), "mine\n").unwrap();
        change(&world, "site", &[("my.log", Some("theirs\n"))]);
        let commit = change_on(&world, branch, "two\n");
        let reply = push_of(&world, "me/site", branch, &commit).send();
        world.settle();
        assert_eq!(world.read("checkout/my.log"), "mine\n");
        reply.expect(500, "failed");
        reply.says("my.log");
    }
}

/// Git lets one of them fetch at a time.
#[test]
fn work_trees_of_one_repository_are_deployed_at_the_same_moment() {
    let world = World::new();
    let seed = world.path("seed/site");
    world.git(&seed, &["push", "-q", "origin", "main:dev"]);
    world.git(&world.checkout(), &["fetch", "-q"]);
    let other = world.path("other");
    let place = text(&other);
    let words = ["worktree", "add", "-q", &place, "-b", "dev", "origin/dev"];
    world.git(&world.checkout(), &words);
    world.git(&other, &["submodule", "--quiet", "update", "--init"]);
    let second = world.path("cgi-bin/dev.cgi");
    let settings = world
        .settings()
        .replace(&quoted(&text(&world.checkout())), &quoted(&place))
        .replace("branch = \"main\"", "branch = \"dev\"");
    world.write_site(&second, &settings);
    for round in 0..5 {
        let commit = world.push(&format!("{round}"));
        world.git(&seed, &["push", "-q", "origin", "main:dev"]);
        let dev = push_of(&world, "me/site", "dev", &commit).through(&second);
        let (main, dev) = (world.push_delivery(&commit).start(), dev.start());
        main.reply().expect(200, "deployed");
        dev.reply().expect(200, "deployed");
        let heads = [world.checkout(), other.clone()];
        let heads = heads.map(|folder| world.git(&folder, &["rev-parse", "HEAD"]));
        assert_eq!(heads, [commit.clone(), commit]);
    }
    world.settle();
    // A deploy that fails takes nothing of this for a lock that git left.
    fs::write(world.path("checkout/index.html"), "mine").unwrap();
    let reply = world.push_delivery(&world.push("six")).send();
    reply.expect(500, "failed");
    assert!(!reply.body.contains("put right"), "{reply:#?}");
}

/// A commit on a branch of any name.
#[test]
fn a_lock_of_another_work_tree_is_left_alone() {
    let mut world = World::new();
    let lock = world.path("checkout/.git/worktrees/other/index.lock");
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    write_executable(
        &world.path("fake/git"),
        &format!(
            "#!/bin/sh\nPATH='{}'\ncase \"$*\" in *' pull '*) : >'{}' ;; esac\nexec git \"$@\"\n",
            search_path(),
            text(&lock)
        ),
    );
    let path = format!("{}:{}", text(&world.path("fake")), search_path());
    world.key("path", &quoted(&path));
    deployed(&world, &world.push("two"));
    assert!(lock.exists());
}

fn change_on(world: &World, branch: &str, content: &str) -> String {
    let commit = world.commit("site", "index.html", content, "On a branch");
    let there = format!("HEAD:refs/heads/{branch}");
    world.git(&world.path("seed/site"), &["push", "-q", "origin", &there]);
    commit
}

#[test]
fn a_branch_that_was_switched_by_hand_is_followed_or_named() {
    let mut world = World::new();
    let seed = world.path("seed/site");
    world.git(&seed, &["checkout", "-q", "-b", "next"]);
    change_on(&world, "next", "next\n");
    world.git(&world.checkout(), &["fetch", "-q"]);
    world.git(&world.checkout(), &["checkout", "-q", "next"]);
    // Without `branch`, what is checked out is followed.
    let commit = change_on(&world, "next", "more\n");
    let main = world.git(&seed, &["rev-parse", "main"]);
    let reply = push_of(&world, "me/site", "main", &main).send();
    reply.expect(200, "ignored");
    reply.says("next");
    push_of(&world, "me/site", "next", &commit)
        .send()
        .expect(200, "deployed");
    world.settle();
    is_tree(
        &tree_of(&world.checkout()),
        fresh_clone(&world, "next"),
        &[],
    );
    // With it, another one is a failure that says so; nothing is touched.
    world.key("branch", "\"main\"");
    world.git(&seed, &["checkout", "-q", "main"]);
    let before = (world.head(), tree_of(&world.checkout()));
    let commit = world.push("three");
    let reply = push_of(&world, "me/site", "main", &commit).send();
    reply.expect(500, "failed");
    reply.says("next is checked out");
    reply.says("checkout main --");
    world.settle();
    assert_eq!((world.head(), tree_of(&world.checkout())), before);
    world.git(&world.checkout(), &["switch", "-q", "main"]);
    deployed(&world, &commit);
    is_as_pushed(&world, &[]);
}

#[test]
fn two_sites_of_one_repository_follow_their_own_branches() {
    let mut world = World::new();
    world.key("branch", "\"main\"");
    let seed = world.path("seed/site");
    world.git(&seed, &["checkout", "-q", "-b", "staging"]);
    change_on(&world, "staging", "staging\n");
    let other = world.path("other");
    let url = world.origin.url("me/site.git");
    let words = [
        "clone",
        "-q",
        "--recursive",
        "-b",
        "staging",
        &url,
        &text(&other),
    ];
    world.git(&world.path(""), &words);
    let second = world.path("cgi-bin/staging.cgi");
    let settings = world
        .settings()
        .replace(&quoted(&text(&world.checkout())), &quoted(&text(&other)))
        .replace("branch = \"main\"", "branch = \"staging\"");
    world.write_site(&second, &settings);
    let state = other.join(".git/deploy-cgi");
    let staged = change_on(&world, "staging", "staging 2\n");
    let of_staging = || push_of(&world, "me/site", "staging", &staged);
    of_staging().send().expect(200, "ignored");
    send(of_staging().through(&second), &state).expect(200, "deployed");
    world.git(&seed, &["checkout", "-q", "main"]);
    let commit = world.push("two");
    let of_main = || push_of(&world, "me/site", "main", &commit);
    of_main().through(&second).send().expect(200, "ignored");
    of_main().send().expect(200, "deployed");
    world.settle();
    is_as_pushed(&world, &[]);
    is_tree(&tree_of(&other), fresh_clone(&world, "staging"), &[]);
}

#[test]
fn a_remote_with_a_login_in_its_url_serves_relative_submodules_too() {
    let mut world = World::new();
    let seed = world.path("seed/site");
    let words = [
        "config",
        "-f",
        ".gitmodules",
        "submodule.posts.url",
        "../posts.git",
    ];
    world.git(&seed, &words);
    world.git(&seed, &["add", ".gitmodules"]);
    publish(&world, "site");
    fs::remove_dir_all(world.checkout()).unwrap();
    let url = world
        .origin
        .url_with_login("me:s3cr3tt0ken", "auth/me/site.git");
    let place = text(&world.checkout());
    world.git(
        &world.path(""),
        &["clone", "-q", "--recursive", &url, &place],
    );
    for update in ["fast-forward", "reset"] {
        world.key("update", &quoted(update));
        let post = world.push_to("posts", "second.md", update, "A post");
        world.point_submodule_at(&post);
        let reply = deployed(&world, &world.push(update));
        is_as_pushed(&world, &[]);
        assert!(!format!("{reply:?}").contains("s3cr3tt0ken"));
    }
}

/// A name of the person's for a host, with a key of its own.
#[test]
#[ignore = "needs sshd and root: ./tests/run"]
fn a_remote_by_an_ssh_alias_is_cloned_and_deployed_with_its_relative_submodules() {
    for (url, update, submodules) in [
        ("blog:", "fast-forward", "recorded"),
        ("ssh://blog", "reset", "latest"),
    ] {
        let mut world = World::new();
        let person = Person::new();
        let sshd = Sshd::start(&person);
        let key = person.makes_key("-N ''").with_file_name("blog key");
        person.does(&format!(
            "cd .ssh; mv id_ed25519 'blog key'; mv id_ed25519.pub authorized_keys; echo '{}' >known_hosts
             printf '%s\\n' 'Host blog' 'HostName 127.0.0.1' 'Port {}' 'User {}' 'IdentitiesOnly yes' \\
             'IdentityFile \"{}\"' >config",
            sshd.host_key(),
            sshd.port,
            person.name,
            text(&key),
        ));
        let seed = world.path("seed/site");
        let setting = "submodule.posts.url";
        world.git(
            &seed,
            &["config", "-f", ".gitmodules", setting, "../posts.git"],
        );
        world.git(&seed, &["add", ".gitmodules"]);
        let commit = publish(&world, "site");
        fs::remove_dir_all(world.checkout()).unwrap();
        fs::create_dir(world.checkout()).unwrap();
        let origin = text(&world.path("upstream/me/site.git"));
        world.key("clone", &quoted(&format!("{url}{origin}")));
        world.key("update", &quoted(update));
        world.key("submodules", &quoted(submodules));
        person.takes(&mut world);
        let server = person.server(&world);
        let deployed = |commit: &str| {
            let delivery = push_of(&world, "me/site", "main", commit);
            let reply = delivery.through(&server).send();
            reply.expect(200, "deployed");
            world.settle();
            is_as_pushed(&world, &[]);
        };
        deployed(&commit);
        let post = world.push_to("posts", "second.md", "two\n", "A post");
        world.point_submodule_at(&post);
        deployed(&world.push("two"));
        let used = person.does(&format!(
            "git -C '{}/posts' remote get-url origin",
            text(&world.checkout())
        ));
        assert!(used.starts_with(url), "{used}");
    }
}

// ---- git-lfs ----

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\n\
    oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

const RULES: &str = "*.jpg filter=lfs diff=lfs merge=lfs -text\n";

/// Deploys a large file with this configuration of git, once its attributes stand here; what went wrong with that.
fn without_git_lfs(config: &str, attributes: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for update in ["fast-forward", "reset"] {
        let mut world = World::new();
        world.key("update", &quoted(update));
        fs::write(world.path("home/.gitconfig"), config).unwrap();
        let (seed, attributes) = match attributes.strip_prefix("posts/") {
            Some(attributes) => ("posts", attributes),
            None => ("site", attributes),
        };
        let of_git = attributes.starts_with(".git/");
        let folder = Path::new(attributes).parent().filter(|_| !of_git);
        let large = text(&folder.unwrap_or(Path::new("")).join("big.jpg"));
        let mut files = vec![(large.as_str(), Some(POINTER))];
        if of_git {
            fs::create_dir_all(world.path("checkout/.git/info")).unwrap();
            fs::write(world.checkout().join(attributes), RULES).unwrap();
        } else {
            files.push((attributes, Some(RULES)));
        }
        let mut commit = change(&world, seed, &files);
        let mut place = world.checkout().join(&large);
        if seed == "posts" {
            world.point_submodule_at(&commit);
            commit = world.push("two");
            place = world.path("checkout/posts").join(&large);
        }
        for _ in 0..2 {
            let reply = world.push_delivery(&commit).send();
            world.settle();
            if reply.first_word() != "failed" || !reply.body.contains("git-lfs") {
                wrong.push(format!("{update}: {}", world.plain(&reply.body)));
            }
        }
        let check = world.verb(&["check"]);
        if config.is_empty() && !check.stdout.contains("PROBLEM  git-lfs") {
            wrong.push(format!("{update}: {}", check.stdout));
        }
        // It heals when git-lfs is there.
        let program = world.path("fake/lfs");
        write_executable(&program, "#!/bin/sh\ncat >/dev/null\necho large\n");
        let smudge = format!("smudge = \"'{}'\"", text(&program));
        let filter = format!("[filter \"lfs\"]\n\t{smudge}\n\tclean = cat\n\trequired = true\n");
        fs::write(world.path("home/.gitconfig"), filter).unwrap();
        if place.exists() {
            let reply = world.push_delivery(&commit).send();
            world.settle();
            if reply.status != 500 || !reply.body.contains(" lfs pull") {
                wrong.push(format!("{update}: {}", reply.body));
            }
            // What `git lfs pull` does.
            fs::remove_file(&place).unwrap();
            let name = text(Path::new(place.file_name().unwrap()));
            let config = text(&world.path("home/.gitconfig"));
            let config = format!("include.path={config}");
            let words = ["-c", &config, "checkout", "--", &name];
            world.git(place.parent().unwrap(), &words);
        }
        let reply = world.push_delivery(&commit).send();
        world.settle();
        let there = fs::read_to_string(place);
        if there.unwrap_or_default() != "large\n" || reply.status != 200 {
            wrong.push(format!("{update}: not healed: {}", reply.body));
        }
    }
    wrong
}

#[test]
fn large_files_without_the_program_git_lfs_fail_and_say_so() {
    // As `git lfs install` sets it up.
    let installed = "[filter \"lfs\"]\n\tsmudge = git-lfs smudge -- %f\n\
        \tprocess = git-lfs filter-process\n\trequired = true\n";
    assert_eq!(without_git_lfs(installed, ".gitattributes"), [""; 0]);
}

#[test]
fn large_files_without_a_filter_for_them_fail_and_say_so() {
    assert_eq!(without_git_lfs("", "posts/a/b/.gitattributes"), [""; 0]);
}

#[test]
#[ignore = "many deploys: ./tests/run"]
fn large_files_without_a_filter_for_them_fail_wherever_their_attributes_are() {
    for attributes in [
        ".gitattributes",
        ".git/info/attributes",
        "as sets/.gitattributes",
        "posts/.gitattributes",
    ] {
        assert_eq!(without_git_lfs("", attributes), [""; 0], "{attributes}");
    }
}

#[test]
fn attributes_of_large_files_in_an_index_of_any_form_are_seen() {
    for form in [&["--index-version", "4"][..], &["--split-index"]] {
        let world = World::new();
        // In the fourth form a path is shortened by what the one before it begins with.
        let files = [(".before", Some("")), ("a/.before", Some(""))];
        deployed(&world, &change(&world, "site", &files));
        world.git(&world.checkout(), &[&["update-index"], form].concat());
        let files = [
            ("a/.gitattributes", Some(RULES)),
            ("a/big.jpg", Some(POINTER)),
        ];
        let reply = world.push_delivery(&change(&world, "site", &files)).send();
        reply.expect(500, "failed");
        reply.says("git-lfs");
    }
}

#[test]
fn attributes_of_large_files_that_are_not_there_are_no_failure() {
    let world = World::new();
    let rules = [
        ("a/.gitattributes", Some(RULES)),
        (".gitattributes", Some(RULES)),
    ];
    deployed(&world, &change(&world, "site", &rules));
    world.verb(&["check"]).expect_exit(0);
}

// ---- each git that is here ----

/// The folders of different gits.
fn gits() -> BTreeMap<String, PathBuf> {
    let path = search_path();
    let folders = path
        .split(':')
        .chain(["/usr/local/bin", "/usr/bin", "/opt/git/bin"]);
    let mut gits = BTreeMap::new();
    for folder in folders.map(PathBuf::from) {
        let program = folder.join("git");
        if let Ok(output) = std::process::Command::new(&program)
            .arg("--version")
            .output()
        {
            let version = String::from_utf8(output.stdout).unwrap();
            gits.entry(version.trim().to_owned()).or_insert(folder);
        }
    }
    gits
}

#[test]
fn every_git_that_is_here_does_it_all() {
    let gits = gits();
    assert!(!gits.is_empty());
    for (version, folder) in gits {
        let tools = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(folder.join("git"), tools.path().join("git")).unwrap();
        let path = format!("{}:{}", text(tools.path()), search_path());
        // A push, a reset over edits, a post alone, a first checkout.
        let mut world = World::new();
        world.key("path", &quoted(&path));
        let (commit, _) = world.push_with_post("two");
        deployed(&world, &commit);
        is_as_pushed(&world, &[]);
        world.key("update", "\"reset\"");
        fs::write(world.path("checkout/index.html"), "mine").unwrap();
        fs::write(world.path("checkout/posts/first.md"), "mine").unwrap();
        fs::write(world.path("checkout/new"), "mine").unwrap();
        let commit = change(&world, "site", &[("new", Some("theirs\n"))]);
        let reply = deployed(&world, &commit);
        is_as_pushed(&world, &[]);
        bring_back(&world, &reply);
        for name in ["index.html", "posts/first.md", "new"] {
            assert_eq!(world.read(&format!("checkout/{name}")), "mine", "{version}");
        }
        world.git(&world.checkout(), &["reset", "-q", "--hard"]);
        world.git(&world.path("checkout/posts"), &["reset", "-q", "--hard"]);
        world.key("submodules", "\"latest\"");
        let post = world.push_to("posts", "third.md", "3\n", "A post");
        let reply = push_of(&world, "me/posts", "main", &post).send();
        assert_eq!(reply.first_word(), "deployed", "{version}: {reply:#?}");
        world.settle();
        assert_eq!(world.submodule_head(), post);
        world.key("submodules", "\"recorded\"");
        fs::remove_dir_all(world.checkout()).unwrap();
        world.key("clone", &quoted(&world.origin.url("me/site.git")));
        let reply = push_of(&world, "me/site", "main", &commit).send();
        assert_eq!(reply.first_word(), "deployed", "{version}: {reply:#?}");
        world.settle();
        is_as_pushed(&world, &[]);
    }
}

#[test]
fn files_with_the_names_of_revisions_are_in_nobodys_way() {
    for (update, submodules) in [("reset", "latest"), ("fast-forward", "recorded")] {
        let mut world = World::new();
        world.key("update", &quoted(update));
        world.key("submodules", &quoted(submodules));
        for seed in ["posts", "site"] {
            fs::create_dir_all(world.path("seed").join(seed).join("origin")).unwrap();
            for name in ["HEAD", "main", "main@{upstream}", "origin/main"] {
                world.commit(seed, name, "a file", "A name");
            }
            world.push_to(seed, "FETCH_HEAD", "a file", "A name");
        }
        let post = world.head_of("seed/posts");
        world.point_submodule_at(&post);
        let commit = world.push("two");
        world.push_delivery(&commit).send().expect(200, "deployed");
        if update == "reset" {
            world.commit_locally(&world.checkout(), "mine.txt", "mine");
            world.commit_locally(&world.path("checkout/posts"), "mine.txt", "mine");
        }
        world.push_to("posts", "third.md", "three", "A post");
        world.point_submodule_at(&world.head_of("seed/posts"));
        let commit = world.push("three");
        world.push_delivery(&commit).send().expect(200, "deployed");
        assert_eq!(world.head(), commit);
        assert_eq!(world.submodule_head(), world.head_of("seed/posts"));
    }
}
