//! Submodules that follow their own branches.

use std::fs;

use crate::checkouts::{
    Brake, bring_back, change, deployed, fresh_clone_of, has, is_as_pushed, kept, kept_folders,
    publish, push_of,
};
use crate::checkouts_submodules::{add, plant, point, set_module, world_of_three};
use crate::tree::{is_tree, tree_of};
use crate::world::{World, ZERO, quoted, text};

#[track_caller]
fn is_latest(world: &World) {
    let follow = ["submodule", "update", "-q", "--remote", "--recursive"];
    let expected = fresh_clone_of(world, "me/site.git", "main", &follow);
    is_tree(&tree_of(&world.checkout()), expected, &[]);
}

#[test]
fn a_push_of_a_post_alone_publishes_it() {
    let mut world = World::latest();
    world.key("on_update", "\"cat posts/second.md >> ../ran\"");
    let head = world.head();
    let post = world.push_to("posts", "second.md", "new\n", "A post");
    let delivery = || push_of(&world, "me/posts", "main", &post);
    let reply = delivery().send();
    reply.expect(200, "deployed");
    reply.says(&post[..7]);
    world.settle();
    assert_eq!((world.head(), world.submodule_head()), (head, post.clone()));
    is_latest(&world);
    // Once more, as Redeliver does.
    delivery().send().expect(200, "unchanged");
    world.settle();
    assert_eq!(world.read("ran"), "new\n");
}

#[test]
fn a_push_of_a_post_is_ignored_where_the_recorded_commit_is_deployed() {
    let world = World::new();
    let before = world.submodule_head();
    let post = world.push_to("posts", "second.md", "new\n", "A post");
    let reply = push_of(&world, "me/posts", "main", &post).send();
    reply.expect(200, "ignored");
    reply.says("submodules = \"latest\"");
    world.settle();
    assert_eq!(world.submodule_head(), before);
    assert!(world.history().is_empty());
}

#[test]
fn a_submodule_follows_the_branch_that_gitmodules_names() {
    let world = World::latest();
    let seed = world.path("seed/posts");
    world.git(&seed, &["checkout", "-q", "-b", "live/ü"]);
    change(&world, "posts", &[("live.md", Some("live\n"))]);
    set_module(&world, "site", "posts.branch", "live/ü");
    deployed(&world, &publish(&world, "site"));
    has(&world, &[("posts/live.md", "live\n")]);
    let live = change(&world, "posts", &[("live.md", Some("more\n"))]);
    world.git(&seed, &["checkout", "-q", "main"]);
    let draft = change(&world, "posts", &[("draft.md", Some("draft\n"))]);
    let reply = push_of(&world, "me/posts", "main", &draft).send();
    reply.expect(200, "ignored");
    reply.says("live/ü");
    push_of(&world, "me/posts", "live/ü", ZERO)
        .send()
        .expect(200, "ignored");
    let reply = push_of(&world, "me/posts", "live/ü", &live).send();
    reply.expect(200, "deployed");
    world.settle();
    assert_eq!(world.submodule_head(), live);
    is_latest(&world);
}

#[test]
fn a_submodule_follows_the_default_branch_of_its_remote() {
    let world = World::latest();
    let (seed, bare) = (
        world.path("seed/posts"),
        world.path("upstream/me/posts.git"),
    );
    world.git(&seed, &["checkout", "-q", "-b", "trunk"]);
    world.git(&seed, &["push", "-q", "origin", "trunk"]);
    world.git(&bare, &["symbolic-ref", "HEAD", "refs/heads/trunk"]);
    // A checkout that was made since.
    fs::remove_dir_all(world.checkout()).unwrap();
    let (url, place) = (world.origin.url("me/site.git"), text(&world.checkout()));
    let words = ["clone", "-q", "--recursive", &url, &place];
    world.git(&world.path(""), &words);
    let post = change(&world, "posts", &[("new.md", Some("new\n"))]);
    let reply = push_of(&world, "me/posts", "main", &post).send();
    reply.expect(200, "ignored");
    reply.says("trunk");
    let reply = push_of(&world, "me/posts", "trunk", &post).send();
    reply.expect(200, "deployed");
    world.settle();
    is_latest(&world);
}

#[test]
fn a_default_branch_that_the_remote_changed_later_is_followed() {
    let world = World::latest();
    let (seed, bare) = (
        world.path("seed/posts"),
        world.path("upstream/me/posts.git"),
    );
    // GitHub's "rename branch": the old one is gone.
    world.git(&seed, &["branch", "-q", "-m", "main", "trunk"]);
    world.git(&seed, &["push", "-q", "origin", "trunk"]);
    world.git(&bare, &["symbolic-ref", "HEAD", "refs/heads/trunk"]);
    world.git(&bare, &["branch", "-q", "-D", "main"]);
    let post = change(&world, "posts", &[("new.md", Some("new\n"))]);
    let reply = push_of(&world, "me/posts", "trunk", &post).send();
    reply.expect(200, "deployed");
    world.settle();
    is_latest(&world);
}

#[test]
fn moved_submodules_do_not_disturb_the_next_pull() {
    for update in ["fast-forward", "reset"] {
        let mut world = World::latest();
        world.key("update", &quoted(update));
        let post = world.push_to("posts", "second.md", "new\n", "A post");
        let reply = push_of(&world, "me/posts", "main", &post).send();
        reply.expect(200, "deployed");
        world.settle();
        // A pull of something else, of a bump to the same commit, to an older and to a newer one.
        let reply = deployed(&world, &world.push("two"));
        assert!(!reply.body.contains("note:"), "{reply:#?}");
        assert_eq!(world.submodule_head(), post);
        point(&world, "site", "posts", &post);
        deployed(&world, &publish(&world, "site"));
        assert_eq!(
            (world.submodule_head(), world.changes().as_str()),
            (post, "")
        );
        let middle = world.push_to("posts", "third.md", "3\n", "A post");
        let tip = world.push_to("posts", "fourth.md", "4\n", "A post");
        point(&world, "site", "posts", &middle);
        deployed(&world, &publish(&world, "site"));
        assert_eq!(world.submodule_head(), tip, "it follows its branch");
        is_latest(&world);
    }
}

#[test]
fn a_post_that_lags_behind_is_given_time() {
    let mut world = World::latest();
    world.key("wait", "\"100ms\"");
    let post = world.commit("posts", "late.md", "late\n", "Late");
    let reply = push_of(&world, "me/posts", "main", &post).send();
    reply.expect(202, "accepted");
    world.git(&world.path("seed/posts"), &["push", "-q", "origin", "main"]);
    world.settle();
    assert_eq!(world.submodule_head(), post);
    assert_eq!(world.history().last().unwrap()["verdict"], "deployed");
    is_latest(&world);
}

#[test]
fn an_ignored_push_of_submodules_says_why() {
    let mut world = World::latest();
    let url = world.origin.url("me/posts.git");
    let seed = world.path("seed/site");
    world.git(&seed, &["submodule", "--quiet", "add", &url, "again"]);
    deployed(&world, &world.push("two"));
    let tip = world.head_of("seed/posts");
    for (mode, why) in [
        (
            "latest",
            "the push to drafts of the submodules again, posts: they follow main.",
        ),
        (
            "skip",
            "the push to me/posts, the submodules again, posts: this site leaves submodules alone (submodules = \"skip\").",
        ),
    ] {
        world.key("submodules", &format!("\"{mode}\""));
        let reply = push_of(&world, "me/posts", "drafts", &tip).send();
        reply.expect(200, "ignored");
        reply.says(why);
    }
}

#[test]
fn a_force_push_of_a_submodule_is_followed() {
    let world = World::latest();
    let seed = world.path("seed/posts");
    let first = world.push_to("posts", "second.md", "new\n", "A post");
    push_of(&world, "me/posts", "main", &first)
        .send()
        .expect(200, "deployed");
    world.git(&seed, &["reset", "-q", "--hard", "HEAD~1"]);
    let post = world.commit("posts", "other.md", "rewritten\n", "Another");
    world.git(&seed, &["push", "-q", "--force", "origin", "main"]);
    push_of(&world, "me/posts", "main", &post)
        .send()
        .expect(200, "deployed");
    world.settle();
    is_latest(&world);
}

#[test]
fn one_latest_submodule_that_cannot_be_fetched_is_named_and_the_rest_is_published() {
    let mut world = world_of_three();
    world.key("submodules", "\"latest\"");
    let (bare, away) = (
        world.path("upstream/me/a.git"),
        world.path("upstream/me/away.git"),
    );
    fs::rename(&bare, &away).unwrap();
    let post = world.push_to("posts", "second.md", "new\n", "A post");
    change(&world, "z", &[("file", Some("two\n"))]);
    let reply = push_of(&world, "me/posts", "main", &post).send();
    reply.expect(500, "failed");
    world.settle();
    let first_line = reply.body.lines().next().unwrap();
    let named = first_line
        .split([' ', ',', ':', '.'])
        .any(|word| word == "a");
    assert_eq!(
        (world.submodule_head(), world.read("checkout/z/file"), named),
        (post.clone(), "two\n".to_owned(), true),
        "{reply:#?}"
    );
    fs::rename(away, bare).unwrap();
    push_of(&world, "me/posts", "main", &post)
        .send()
        .expect(200, "deployed");
    world.settle();
    is_latest(&world);
}

#[test]
fn a_latest_update_that_was_killed_is_healed() {
    let mut world = World::latest();
    let files = [
        (".gitattributes", Some("*.slow filter=slow\n")),
        ("a", Some("one\n")),
        ("m.slow", Some("one\n")),
        ("z", Some("one\n")),
    ];
    let post = change(&world, "posts", &files);
    push_of(&world, "me/posts", "main", &post)
        .send()
        .expect(200, "deployed");
    world.settle();
    world.key("wait", "\"0s\"");
    let files = ["a", "b", "m.slow", "z"].map(|name| (name, Some("two\n")));
    let post = change(&world, "posts", &files);
    let brake = Brake::put_into(&world, "checkout/posts");
    push_of(&world, "me/posts", "main", &post)
        .send()
        .expect(202, "accepted");
    brake.crash();
    assert_eq!(world.read("checkout/posts/a"), "two\n", "in the middle");
    world.key("wait", "\"30s\"");
    let reply = push_of(&world, "me/posts", "main", &post).send();
    reply.expect(200, "deployed");
    world.settle();
    is_latest(&world);
}

#[test]
fn a_push_to_a_nested_submodule_or_one_with_a_relative_url_is_deployed() {
    let world = World::latest();
    let note = plant(&world, "notes", "note", "one\n");
    add(&world, "posts", "notes", "../notes.git", &note);
    let post = publish(&world, "posts");
    let theme = plant(&world, "theme", "style", "one\n");
    add(&world, "site", "theme", "../theme.git", &theme);
    point(&world, "site", "posts", &post);
    deployed(&world, &publish(&world, "site"));
    let note = change(&world, "notes", &[("note", Some("two\n"))]);
    push_of(&world, "me/notes", "main", &note)
        .send()
        .expect(200, "deployed");
    world.settle();
    has(&world, &[("posts/notes/note", "two\n")]);
    let theme = change(&world, "theme", &[("style", Some("two\n"))]);
    push_of(&world, "me/theme", "main", &theme)
        .send()
        .expect(200, "deployed");
    world.settle();
    has(&world, &[("theme/style", "two\n")]);
    is_latest(&world);
}

#[test]
fn an_edit_in_a_submodule_that_follows_its_branch_is_kept() {
    for (update, status) in [("fast-forward", 500), ("reset", 200)] {
        let mut world = World::latest();
        world.key("update", &quoted(update));
        fs::write(world.path("checkout/posts/first.md"), "mine\n").unwrap();
        let post = change(&world, "posts", &[("first.md", Some("theirs\n"))]);
        let reply = push_of(&world, "me/posts", "main", &post).send();
        assert_eq!(reply.status, status, "{reply:#?}");
        world.settle();
        if update == "reset" {
            is_latest(&world);
            let file = format!("{}:first.md", kept(&world, "checkout/posts")[0]);
            let shown = world.git(&world.path("checkout/posts"), &["show", &file]);
            assert_eq!(shown, "mine");
        } else {
            reply.says("first.md");
            has(&world, &[("posts/first.md", "mine\n")]);
        }
    }
}

#[test]
fn two_submodules_of_one_repository_follow_their_own_branches() {
    let world = World::latest();
    let seed = world.path("seed/posts");
    world.git(&seed, &["checkout", "-q", "-b", "live"]);
    let live = change(&world, "posts", &[("live.md", Some("live\n"))]);
    add(&world, "site", "second", "../posts.git", &live);
    set_module(&world, "site", "second.branch", "live");
    deployed(&world, &publish(&world, "site"));
    let live = change(&world, "posts", &[("live.md", Some("more\n"))]);
    push_of(&world, "me/posts", "live", &live)
        .send()
        .expect(200, "deployed");
    world.settle();
    world.git(&seed, &["checkout", "-q", "main"]);
    let post = change(&world, "posts", &[("second.md", Some("2\n"))]);
    push_of(&world, "me/posts", "main", &post)
        .send()
        .expect(200, "deployed");
    world.settle();
    is_latest(&world);
}

#[test]
fn a_submodule_can_follow_the_branch_of_the_site() {
    let world = World::latest();
    set_module(&world, "site", "posts.branch", ".");
    deployed(&world, &publish(&world, "site"));
    let post = change(&world, "posts", &[("second.md", Some("2\n"))]);
    push_of(&world, "me/posts", "main", &post)
        .send()
        .expect(200, "deployed");
    world.settle();
    is_latest(&world);
}

#[test]
fn a_shallow_submodule_follows_its_branch() {
    let world = World::latest();
    let old = change(&world, "posts", &[("second.md", Some("2\n"))]);
    change(&world, "posts", &[("third.md", Some("3\n"))]);
    set_module(&world, "site", "posts.shallow", "true");
    publish(&world, "site");
    fs::remove_dir_all(world.checkout()).unwrap();
    let (url, place) = (world.origin.url("me/site.git"), text(&world.checkout()));
    let words = ["clone", "-q", "--recursive", &url, &place];
    world.git(&world.path(""), &words);
    let fourth = change(&world, "posts", &[("fourth.md", Some("4\n"))]);
    push_of(&world, "me/posts", "main", &fourth)
        .send()
        .expect(200, "deployed");
    world.settle();
    is_latest(&world);
    // A redelivery of one that the clone does not reach.
    let reply = push_of(&world, "me/posts", "main", &old).send();
    assert_eq!(reply.status, 200, "{reply:#?}");
    world.settle();
    let fifth = change(&world, "posts", &[("fifth.md", Some("5\n"))]);
    push_of(&world, "me/posts", "main", &fifth)
        .send()
        .expect(200, "deployed");
    world.settle();
    is_latest(&world);
}

#[test]
fn a_site_that_goes_back_to_recorded_submodules_gets_them() {
    let mut world = World::latest();
    let post = world.push_to("posts", "second.md", "new\n", "A post");
    push_of(&world, "me/posts", "main", &post)
        .send()
        .expect(200, "deployed");
    world.settle();
    world.key("submodules", "\"recorded\"");
    deployed(&world, &world.push("two"));
    is_as_pushed(&world, &[]);
}

#[test]
fn commits_that_the_branch_of_a_latest_submodule_withdrew_are_not_the_persons() {
    let mut world = World::latest();
    world.key("update", "\"reset\"");
    let withdrawn = change(&world, "posts", &[("withdrawn.md", Some("secret"))]);
    deployed_post(&world, &withdrawn);
    let seed = world.path("seed/posts");
    for mine in [false, true] {
        let posts = world.path("checkout/posts");
        if mine {
            world.commit_locally(&posts, "mine.md", "mine");
        }
        world.git(&seed, &["reset", "-q", "--hard", "HEAD~1"]);
        let name = format!("other-{mine}.md");
        let tip = world.commit("posts", &name, "rewritten", "Rewritten");
        world.git(&seed, &["push", "-q", "--force", "origin", "main"]);
        let reply = push_of(&world, "me/posts", "main", &tip).send();
        reply.expect(200, "deployed");
        world.settle();
        assert_eq!(world.submodule_head(), tip);
        assert_eq!(kept(&world, "checkout/posts").len(), usize::from(mine));
        if mine {
            bring_back(&world, &reply);
            has(&world, &[("posts/mine.md", "mine")]);
            assert!(!world.exists("checkout/posts/other-false.md"));
        }
    }
}

#[test]
fn a_persons_work_in_a_latest_submodule_is_kept() {
    for update in ["fast-forward", "reset"] {
        let mut world = World::latest();
        world.key("update", &quoted(update));
        let ignore = [(".gitignore", Some("*.log\n"))];
        let first = change(&world, "posts", &ignore);
        deployed_post(&world, &first);
        let posts = world.path("checkout/posts");
        // A commit that no branch has, and an ignored file where one is to come.
        world.commit_locally(&posts, "mine.md", "mine");
        let mine = world.submodule_head();
        fs::write(posts.join("my.log"), "mine\n").unwrap();
        let seed = world.path("seed/posts");
        fs::write(seed.join("my.log"), "theirs\n").unwrap();
        world.git(&seed, &["add", "-f", "my.log"]);
        world.git(&seed, &["commit", "-q", "-m", "A log"]);
        world.git(&seed, &["push", "-q", "origin", "HEAD:main"]);
        let tip = world.git(&seed, &["rev-parse", "HEAD"]);
        let reply = push_of(&world, "me/posts", "main", tip.trim()).send();
        world.settle();
        let named = world.git(&posts, &["for-each-ref", "--contains", &mine]);
        assert!(
            !named.is_empty(),
            "{update}: only the reflog has it: {reply:#?}"
        );
        if update == "reset" {
            reply.expect(200, "deployed");
            let kept = fs::read(kept_folders(&world)[0].join("posts/my.log")).unwrap();
            assert_eq!(kept, b"mine\n");
        } else {
            reply.expect(500, "failed");
            reply.says("my.log");
            has(&world, &[("posts/my.log", "mine\n")]);
        }
    }
}

#[track_caller]
fn deployed_post(world: &World, commit: &str) {
    push_of(world, "me/posts", "main", commit)
        .send()
        .expect(200, "deployed");
    world.settle();
}
