//! Submodules that change.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::checkouts::{
    Brake, bring_back, change, deployed, has, is_as_pushed, kept, obey, publish,
};
use crate::world::{Reply, World, quoted, search_path, text, wait_until, write_executable};

/// A repository of the upstream with one commit, and a seed for it.
pub(crate) fn plant(world: &World, name: &str, file: &str, content: &str) -> String {
    let bare = world.path(&format!("upstream/me/{name}.git"));
    let seed = world.path(&format!("seed/{name}"));
    world.git(&world.path(""), &["init", "-q", "--bare", &text(&bare)]);
    world.git(&world.path(""), &["init", "-q", &text(&seed)]);
    world.git(&seed, &["remote", "add", "origin", &text(&bare)]);
    world.push_to(name, file, content, "The first commit")
}

/// Stages a submodule in a seed.
pub(crate) fn add(world: &World, seed: &str, path: &str, url: &str, commit: &str) {
    let folder = world.path("seed").join(seed);
    let set = |key: &str, value: &str| {
        let key = format!("submodule.{path}.{key}");
        world.git(&folder, &["config", "-f", ".gitmodules", &key, value]);
    };
    set("path", path);
    set("url", url);
    world.git(&folder, &["add", ".gitmodules"]);
    point(world, seed, path, commit);
}

/// Stages another commit of a submodule.
pub(crate) fn point(world: &World, seed: &str, path: &str, commit: &str) {
    let link = format!("160000,{commit},{path}");
    let folder = world.path("seed").join(seed);
    world.git(&folder, &["update-index", "--add", "--cacheinfo", &link]);
}

/// Stages a change of .gitmodules.
pub(crate) fn set_module(world: &World, seed: &str, key: &str, value: &str) {
    let folder = world.path("seed").join(seed);
    let key = format!("submodule.{key}");
    world.git(&folder, &["config", "-f", ".gitmodules", &key, value]);
    world.git(&folder, &["add", ".gitmodules"]);
}

/// Stages the removal of a submodule.
fn remove(world: &World, seed: &str, path: &str) {
    let folder = world.path("seed").join(seed);
    world.git(&folder, &["rm", "-q", "--cached", path]);
    let section = format!("submodule.{path}");
    let words = ["config", "-f", ".gitmodules", "--remove-section", &section];
    world.git(&folder, &words);
    if fs::read(folder.join(".gitmodules")).unwrap().is_empty() {
        world.git(&folder, &["rm", "-q", "-f", ".gitmodules"]);
    } else {
        world.git(&folder, &["add", ".gitmodules"]);
    }
}

#[track_caller]
fn send(world: &World, commit: &str) -> Reply {
    let reply = world.push_delivery(commit).send();
    world.settle();
    reply
}

/// Two more submodules beside `posts`.
pub(crate) fn world_of_three() -> World {
    let world = World::new();
    for name in ["a", "z"] {
        let commit = plant(&world, name, "file", "one\n");
        let url = world.origin.url(&format!("me/{name}.git"));
        add(&world, "site", name, &url, &commit);
    }
    deployed(&world, &publish(&world, "site"));
    world
}

#[test]
fn a_submodule_is_followed_to_another_url() {
    let world = World::new();
    // Nested, relative, and at the top.
    let note = plant(&world, "notes", "note", "one\n");
    add(&world, "posts", "notes", "../notes.git", &note);
    let post = publish(&world, "posts");
    point(&world, "site", "posts", &post);
    deployed(&world, &publish(&world, "site"));
    for (old, new) in [("notes", "nested"), ("posts", "blog")] {
        let (old, new) = (
            world.path(&format!("upstream/me/{old}.git")),
            world.path(&format!("upstream/me/{new}.git")),
        );
        fs::rename(old, &new).unwrap();
    }
    let moved = |name: &str| text(&world.path(&format!("upstream/me/{name}.git")));
    let url = ["remote", "set-url", "origin"];
    for (seed, new) in [("notes", "nested"), ("posts", "blog")] {
        let place = moved(new);
        let words = [&url[..], &[place.as_str()]].concat();
        world.git(&world.path("seed").join(seed), &words);
    }
    let note = change(&world, "notes", &[("note", Some("two\n"))]);
    set_module(&world, "posts", "notes.url", "../nested.git");
    point(&world, "posts", "notes", &note);
    let post = publish(&world, "posts");
    set_module(&world, "site", "posts.url", "../blog.git");
    point(&world, "site", "posts", &post);
    deployed(&world, &publish(&world, "site"));
    has(&world, &[("posts/notes/note", "two\n")]);
    is_as_pushed(&world, &[]);
    // And from one relative URL to another.
    fs::rename(moved("blog"), moved("third")).unwrap();
    let place = moved("third");
    let words = [&url[..], &[place.as_str()]].concat();
    world.git(&world.path("seed/posts"), &words);
    let post = change(&world, "posts", &[("third.md", Some("three\n"))]);
    set_module(&world, "site", "posts.url", "../third.git");
    point(&world, "site", "posts", &post);
    deployed(&world, &publish(&world, "site"));
    is_as_pushed(&world, &[]);
}

#[track_caller]
fn keeps_a_url_of_the_persons(recorded: &str, keys: &[(&str, &str)]) {
    let world = World::new();
    set_module(&world, "site", "posts.url", recorded);
    let commit = publish(&world, "site");
    world.push_delivery(&commit).send();
    world.settle();
    let mine = world
        .origin
        .url_with_login("me:s3cr3tt0ken", "auth/me/posts.git");
    for (folder, key) in keys {
        world.git(&world.path(folder), &["config", key, &mine]);
    }
    deployed(&world, &world.push("two"));
    let (bare, new) = ("upstream/me/posts.git", "upstream/me/moved.git");
    world.git(
        &world.path(""),
        &[
            "clone",
            "-q",
            "--bare",
            &text(&world.path(bare)),
            &text(&world.path(new)),
        ],
    );
    let moved = recorded.replace("posts.git", "moved.git");
    set_module(&world, "site", "posts.url", &moved);
    let post = world.push_to("posts", "second.md", "new\n", "A post");
    point(&world, "site", "posts", &post);
    let reply = send(&world, &publish(&world, "site"));
    for (folder, key) in keys {
        let used = world.git(&world.path(folder), &["config", key]);
        assert_eq!(used, mine, "{recorded}: {reply:#?}");
    }
    reply.expect(200, "deployed");
    assert_eq!(world.submodule_head(), post);
    assert!(!format!("{reply:?}").contains("s3cr3tt0ken"));
}

const BOTH_KEYS: &[(&str, &str)] = &[
    ("checkout", "submodule.posts.url"),
    ("checkout/posts", "remote.origin.url"),
];

#[test]
fn a_url_that_the_person_changed_stays() {
    keeps_a_url_of_the_persons("http://127.0.0.1:1/me/posts.git", BOTH_KEYS);
}

#[test]
fn a_relative_url_that_the_person_changed_stays() {
    keeps_a_url_of_the_persons("../posts.git", BOTH_KEYS);
    keeps_a_url_of_the_persons("../posts.git", &BOTH_KEYS[1..]);
}

#[test]
fn a_submodule_that_was_moved_leaves_nothing_behind() {
    let world = World::new();
    let seed = world.path("seed/site");
    let post = world.submodule_head();
    set_module(&world, "site", "posts.path", "content/posts");
    world.git(&seed, &["rm", "-q", "--cached", "posts"]);
    point(&world, "site", "content/posts", &post);
    deployed(&world, &publish(&world, "site"));
    is_as_pushed(&world, &[]);
    assert_eq!(world.changes(), "");
}

#[test]
fn a_submodule_that_was_moved_leaves_what_is_the_persons() {
    for path in ["posts/draft", "posts/first.md"] {
        leaves(path);
    }
}

#[track_caller]
fn leaves(path: &str) {
    let world = World::new();
    fs::write(world.checkout().join(path), "mine").unwrap();
    let post = world.submodule_head();
    set_module(&world, "site", "posts.path", "content");
    world.git(&world.path("seed/site"), &["rm", "-q", "--cached", "posts"]);
    point(&world, "site", "content", &post);
    let reply = deployed(&world, &publish(&world, "site"));
    reply.says("posts");
    has(&world, &[(path, "mine")]);
    has(&world, &[("content/first.md", "the first post\n")]);
}

#[test]
fn the_folder_of_a_removed_submodule_goes_where_nothing_is_the_persons() {
    for update in ["fast-forward", "reset"] {
        let mut world = World::new();
        world.key("update", &quoted(update));
        let note = plant(&world, "notes", "note", "one\n");
        add(&world, "posts", "notes", "../notes.git", &note);
        point(&world, "site", "posts", &publish(&world, "posts"));
        deployed(&world, &publish(&world, "site"));
        remove(&world, "site", "posts");
        let reply = deployed(&world, &publish(&world, "site"));
        reply.says("posts removed");
        is_as_pushed(&world, &[]);
        assert_eq!(world.changes(), "");
    }
}

/// The files whose removed submodule did not stay, or was not mentioned.
fn lost_with_a_removed_submodule(paths: &[&str]) -> Vec<String> {
    let mut lost = Vec::new();
    for &path in paths {
        let world = World::new();
        let ignore = (".gitignore", Some("*.log\n"));
        plant(&world, "notes", "note", "one\n");
        let note = change(&world, "notes", &[ignore]);
        add(&world, "posts", "notes", "../notes.git", &note);
        let post = change(&world, "posts", &[ignore]);
        point(&world, "site", "posts", &post);
        deployed(&world, &publish(&world, "site"));
        fs::write(world.checkout().join(path), "mine").unwrap();
        if path == "posts/committed" {
            let posts = world.path("checkout/posts");
            world.git(&posts, &["add", "committed"]);
            world.git(&posts, &["commit", "-q", "-m", "Mine"]);
        }
        remove(&world, "site", "posts");
        let reply = send(&world, &publish(&world, "site"));
        let there = fs::read_to_string(world.checkout().join(path)).ok();
        if there.as_deref() != Some("mine") || !reply.body.contains("note: the submodule posts") {
            lost.push(format!("{path}: {}", world.plain(&reply.body)));
        }
    }
    lost
}

#[test]
fn the_folder_of_a_removed_submodule_stays_where_something_is_the_persons() {
    let paths = [
        "posts/draft",
        "posts/first.md",
        "posts/my.log",
        "posts/notes/draft",
        "posts/committed",
    ];
    assert_eq!(lost_with_a_removed_submodule(&paths), [""; 0]);
}

#[test]
fn the_folder_of_a_removed_submodule_stays_where_one_in_it_has_ignored_files() {
    let paths = ["posts/notes/my.log"];
    assert_eq!(lost_with_a_removed_submodule(&paths), [""; 0]);
}

/// Replaces `posts` by plain files of other content, or by a plain file.
fn replace(world: &World, files: &[(&str, Option<&str>)]) -> String {
    remove(world, "site", "posts");
    change(world, "site", files)
}

const AS_FILES: &[(&str, Option<&str>)] = &[
    ("posts/first.md", Some("plain\n")),
    ("posts/more/second.md", Some("plain\n")),
];
const AS_ONE_FILE: &[(&str, Option<&str>)] = &[("posts", Some("plain\n"))];

#[track_caller]
fn becomes_plain(update: &str, files: &[(&str, Option<&str>)]) {
    let mut world = World::new();
    world.key("update", &quoted(update));
    deployed(&world, &replace(&world, files));
    is_as_pushed(&world, &[]);
    assert_eq!(world.changes(), "");
}

#[test]
fn a_submodule_can_become_plain_files() {
    becomes_plain("fast-forward", AS_FILES);
}

#[test]
fn a_submodule_can_become_plain_files_by_a_reset() {
    becomes_plain("reset", AS_FILES);
}

#[test]
fn a_submodule_can_become_a_plain_file() {
    becomes_plain("fast-forward", AS_ONE_FILE);
    becomes_plain("reset", AS_ONE_FILE);
}

/// What of the person's is gone when a submodule became plain; or how a deploy did not end well after what it printed.
fn lost_with_a_submodule_that_became(update: &str, files: &[(&str, Option<&str>)]) -> Vec<String> {
    let mut lost = Vec::new();
    for path in ["first.md", "draft.md", "my.log"] {
        let mut world = World::new();
        let ignore = change(&world, "posts", &[(".gitignore", Some("*.log\n"))]);
        point(&world, "site", "posts", &ignore);
        deployed(&world, &publish(&world, "site"));
        world.key("update", &quoted(update));
        let mine = world.path("checkout/posts").join(path);
        fs::write(&mine, "mine").unwrap();
        let commit = replace(&world, files);
        let reply = send(&world, &commit);
        let there = fs::read_to_string(&mine).is_ok_and(|text| text == "mine");
        if !there || reply.status != 500 || !reply.body.contains("became plain files") {
            lost.push(format!("{path}: {}", world.plain(&reply.body)));
            continue;
        }
        obey(&world, &reply);
        let reply = send(&world, &commit);
        let kept = fs::read_to_string(world.path("checkout/posts.kept").join(path));
        if reply.status != 200 || kept.unwrap_or_default() != "mine" {
            lost.push(format!("{path}, obeyed: {}", world.plain(&reply.body)));
        }
    }
    lost
}

#[test]
fn a_submodule_that_becomes_plain_files_takes_nothing_of_the_persons_with_it() {
    for update in ["fast-forward", "reset"] {
        let lost = lost_with_a_submodule_that_became(update, AS_FILES);
        assert_eq!(lost, [""; 0], "{update}");
    }
}

#[test]
fn a_submodule_that_becomes_a_plain_file_by_a_reset_takes_nothing_of_the_persons_with_it() {
    // A fast-forward is git's own, and git removes the folder.
    let lost = lost_with_a_submodule_that_became("reset", AS_ONE_FILE);
    assert_eq!(lost, [""; 0]);
}

/// Git tries a clone that died once more, says that all is well, and leaves the locks of the first one.
#[test]
fn a_lock_that_a_clone_left_is_cleared_away() {
    for lock in ["config.lock", "refs/remotes/origin/HEAD.lock"] {
        let mut world = World::new();
        let lock = world.path("checkout/.git/modules/notes").join(lock);
        write_executable(
            &world.path("fake/git"),
            &format!(
                "#!/bin/sh\nPATH='{}'\ngit \"$@\"\nexit=$?\ncase \"$*\" in\n*'submodule update'*) : >'{}' ;;\nesac\n\
                 exit $exit\n",
                search_path(),
                text(&lock)
            ),
        );
        let path = format!("{}:{}", text(&world.path("fake")), search_path());
        world.key("path", &quoted(&path));
        let note = plant(&world, "notes", "a", "one\n");
        add(&world, "site", "notes", "../notes.git", &note);
        deployed(&world, &publish(&world, "site"));
        is_as_pushed(&world, &[]);
        assert!(!lock.exists(), "{}", lock.display());
    }
}

/// Git removes no file of a submodule that became a folder of other files.
#[test]
fn a_submodule_can_become_a_folder_of_other_files() {
    for update in ["fast-forward", "reset"] {
        let mut world = World::new();
        world.key("update", &quoted(update));
        deployed(&world, &replace(&world, &[("posts/new.md", Some("n\n"))]));
        is_as_pushed(&world, &[]);
        assert!(!world.exists("checkout/posts/.git"), "{update}");
        let files = [("posts/first.md", Some("plain\n"))];
        deployed(&world, &change(&world, "site", &files));
        is_as_pushed(&world, &[]);
    }
}

#[test]
fn a_persons_file_among_those_of_a_submodule_that_became_a_folder_stays() {
    for update in ["fast-forward", "reset"] {
        let mut world = World::new();
        world.key("update", &quoted(update));
        fs::write(world.path("checkout/posts/mine.md"), "mine\n").unwrap();
        let commit = replace(&world, &[("posts/new.md", Some("n\n"))]);
        let reply = send(&world, &commit);
        reply.expect(500, "failed");
        reply.says("became plain files");
        has(&world, &[("posts/mine.md", "mine\n")]);
        obey(&world, &reply);
        deployed(&world, &commit);
        has(
            &world,
            &[("posts.kept/mine.md", "mine\n"), ("posts/new.md", "n\n")],
        );
        assert!(!world.exists("checkout/posts/mine.md"), "{update}");
    }
}

/// Makes a branch and a stash that are nowhere else.
fn work_in(world: &World, folder: &Path) {
    world.git(folder, &["checkout", "-q", "-b", "work"]);
    world.commit_locally(folder, "mine.md", "mine");
    fs::write(folder.join("first.md"), "stashed").unwrap();
    world.git(folder, &["stash", "-q"]);
    world.git(folder, &["checkout", "-q", "--detach", "origin/main"]);
}

#[track_caller]
fn has_the_work(world: &World) {
    for name in ["work:mine.md", "stash:first.md"] {
        let modules = text(&world.path("checkout/.git/modules/posts"));
        let at = format!("--git-dir={modules}");
        world.git(&world.path(""), &[&at, "--work-tree=.", "show", name]);
    }
}

#[test]
fn a_repository_of_a_submodule_whose_folder_is_gone_outlives_a_failed_deploy() {
    let world = World::new();
    work_in(&world, &world.path("checkout/posts"));
    fs::remove_dir_all(world.path("checkout/posts")).unwrap();
    fs::write(world.path("checkout/index.html"), "mine").unwrap();
    let reply = send(&world, &world.push("two"));
    reply.expect(500, "failed");
    assert!(!reply.body.contains("put right"), "{reply:#?}");
    has_the_work(&world);
    fs::remove_file(world.path("checkout/index.html")).unwrap();
    world.git(&world.checkout(), &["checkout", "-q", "index.html"]);
    deployed(&world, &world.push("three"));
    is_as_pushed(&world, &[]);
    has_the_work(&world);
}

#[test]
fn a_push_that_cannot_be_deployed_takes_no_submodule_away() {
    let world = World::new();
    let before = world.submodule_head();
    work_in(&world, &world.path("checkout/posts"));
    fs::write(world.path("checkout/index.html"), "mine").unwrap();
    remove(&world, "site", "posts");
    let files = [AS_FILES, &[("index.html", Some("theirs"))]].concat();
    let reply = send(&world, &change(&world, "site", &files));
    reply.expect(500, "failed");
    reply.says("index.html");
    assert_eq!(world.submodule_head(), before);
    assert!(world.exists("checkout/posts/first.md"));
    has_the_work(&world);
}

#[test]
fn a_submodule_that_a_person_took_out_of_the_index_stays() {
    let world = World::new();
    world.git(&world.checkout(), &["rm", "-q", "--cached", "posts"]);
    let reply = deployed(&world, &world.push("two"));
    assert!(!reply.body.contains("removed"), "{reply:#?}");
    has(&world, &[("posts/first.md", "the first post\n")]);
}

#[test]
fn what_a_person_put_where_a_submodule_belongs_is_never_written_over() {
    for bump in [false, true] {
        for is_link in [false, true] {
            let world = World::new();
            let (place, moved) = (world.path("checkout/posts"), world.path("moved"));
            fs::rename(&place, &moved).unwrap();
            if is_link {
                std::os::unix::fs::symlink(&moved, &place).unwrap();
            } else {
                fs::write(&place, "mine").unwrap();
            }
            let commit = if bump {
                world.push_with_post("two").0
            } else {
                world.push("two")
            };
            let reply = send(&world, &commit);
            reply.expect(500, "failed");
            reply.says("where the submodule posts belongs");
            let there = fs::read(&place);
            assert!(fs::read_link(&place).is_ok() || there.unwrap() == b"mine");
            fs::remove_file(&place).unwrap();
            fs::rename(&moved, &place).unwrap();
            deployed(&world, &commit);
            is_as_pushed(&world, &[]);
        }
    }
}

#[test]
fn an_edit_that_git_was_told_not_to_look_at_outlives_its_submodule() {
    for flag in ["--assume-unchanged", "--skip-worktree"] {
        let world = World::new();
        let posts = world.path("checkout/posts");
        world.git(&posts, &["update-index", flag, "first.md"]);
        fs::write(posts.join("first.md"), "mine\n").unwrap();
        remove(&world, "site", "posts");
        deployed(&world, &publish(&world, "site")).says("its folder stays");
        has(&world, &[("posts/first.md", "mine\n")]);
    }
}

#[test]
fn a_reset_never_removes_a_repository_inside_a_submodules_folder() {
    let mut world = World::new();
    world.key("update", "\"reset\"");
    let posts = world.path("checkout/posts");
    work_in(&world, &posts);
    let module = world.path("checkout/.git/modules/posts");
    world.git(&posts, &["config", "--unset", "core.worktree"]);
    fs::remove_file(posts.join(".git")).unwrap();
    fs::rename(module, posts.join(".git")).unwrap();
    for files in [AS_FILES, AS_ONE_FILE] {
        let reply = send(&world, &replace_again(&world, files));
        reply.expect(500, "failed");
        reply.says("became plain files");
        world.git(&posts, &["show", "work:mine.md"]);
    }
}

/// The same, where it may have been replaced before.
fn replace_again(world: &World, files: &[(&str, Option<&str>)]) -> String {
    let seed = world.path("seed/site");
    world.git(&seed, &["rm", "-r", "-q", "--cached", "posts"]);
    drop(fs::remove_dir_all(seed.join("posts")));
    drop(fs::remove_file(seed.join(".gitmodules")));
    change(world, "site", files)
}

#[test]
fn a_reset_takes_nothing_of_a_nested_submodule_that_goes_with_the_one_around_it() {
    for files in [AS_FILES, AS_ONE_FILE] {
        let mut world = World::new();
        world.key("update", "\"reset\"");
        let note = plant(&world, "notes", "note", "one\n");
        add(&world, "posts", "notes", "../notes.git", &note);
        let post = publish(&world, "posts");
        point(&world, "site", "posts", &post);
        deployed(&world, &publish(&world, "site"));
        let new = world.path("checkout/posts/notes/new");
        fs::write(&new, "mine\n").unwrap();
        let commit = replace(&world, files);
        send(&world, &commit).expect(500, "failed");
        assert_eq!(fs::read(&new).unwrap(), b"mine\n");
        fs::remove_file(&new).unwrap();
        deployed(&world, &commit);
        is_as_pushed(&world, &[]);
    }
}

#[test]
fn a_reset_takes_nothing_of_a_submodule_that_goes_where_submodules_are_left_alone() {
    for files in [AS_FILES, AS_ONE_FILE] {
        let mut world = World::new();
        world.key("update", "\"reset\"");
        world.key("submodules", "\"skip\"");
        fs::write(world.path("checkout/posts/new.md"), "mine\n").unwrap();
        let commit = replace(&world, files);
        let reply = send(&world, &commit);
        reply.expect(500, "failed");
        has(&world, &[("posts/new.md", "mine\n")]);
        obey(&world, &reply);
        deployed(&world, &commit);
        has(&world, &[("posts.kept/new.md", "mine\n")]);
    }
}

#[test]
fn a_plain_folder_can_become_a_submodule() {
    for update in ["fast-forward", "reset"] {
        let mut world = World::new();
        world.key("update", &quoted(update));
        let files = [("notes/a", Some("plain\n")), ("notes/b/c", Some("plain\n"))];
        deployed(&world, &change(&world, "site", &files));
        let note = plant(&world, "notes", "a", "of its own\n");
        world.git(&world.path("seed/site"), &["rm", "-r", "-q", "notes"]);
        add(&world, "site", "notes", "../notes.git", &note);
        deployed(&world, &publish(&world, "site"));
        is_as_pushed(&world, &[]);
    }
}

/// A site that is about to get a submodule where files of the person's are.
fn with_files_in_the_way(update: &str) -> (World, String) {
    let mut world = World::new();
    world.key("update", &quoted(update));
    fs::create_dir(world.path("checkout/notes")).unwrap();
    fs::write(world.path("checkout/notes/mine"), "mine\n").unwrap();
    let note = plant(&world, "notes", "a", "of its own\n");
    add(&world, "site", "notes", "../notes.git", &note);
    let commit = publish(&world, "site");
    (world, commit)
}

#[test]
fn a_fast_forward_never_touches_files_in_the_way_of_a_new_submodule() {
    let (world, commit) = with_files_in_the_way("fast-forward");
    let reply = send(&world, &commit);
    reply.expect(500, "failed");
    reply.says("notes");
    has(&world, &[("notes/mine", "mine\n")]);
    fs::remove_dir_all(world.path("checkout/notes")).unwrap();
    deployed(&world, &commit);
    is_as_pushed(&world, &[]);
}

#[test]
fn a_reset_keeps_files_in_the_way_of_a_new_submodule() {
    let (world, commit) = with_files_in_the_way("reset");
    let reply = deployed(&world, &commit);
    is_as_pushed(&world, &[]);
    bring_back(&world, &reply);
    has(&world, &[("notes/mine", "mine\n")]);
}

/// From now on no pull ends before these submodules are being fetched.
fn let_the_pull_wait_for(world: &mut World, submodules: &[&str]) {
    let (folder, path) = (text(&world.path("fake")), search_path());
    let all = submodules.iter();
    let all = all.map(|submodule| format!("[ -e '{folder}/fetched-{submodule}' ]"));
    let all = all.collect::<Vec<_>>().join(" && ");
    let script = format!(
        "#!/bin/sh\nPATH='{path}'\ncase \" $* \" in\n  *' pull '*)\n    \
         git \"$@\" || exit\n    for i in $(seq 500); do {all} && exit; sleep 0.02; done\n    \
         exit 1;;\n  *' fetch '*) : >'{folder}/fetched-'\"${{2##*/}}\";;\nesac\nexec git \"$@\"\n"
    );
    write_executable(&world.path("fake/git"), &script);
    world.key("path", &quoted(&format!("{folder}:{path}")));
}

#[test]
fn a_submodule_that_is_bumped_again_is_fetched_while_the_site_is_pulled() {
    let mut world = World::new();
    deployed(&world, &world.push_with_post("two").0);
    let_the_pull_wait_for(&mut world, &["posts"]);
    deployed(&world, &world.push_with_post("three").0);
    is_as_pushed(&world, &[]);
}

/// What else a delivery names is passed by, whatever it is.
#[test]
fn submodules_that_the_delivery_names_are_fetched_while_the_site_is_pulled() {
    let mut world = world_of_three();
    deployed(&world, &world.push_with_post("two").0);
    for name in ["a", "z"] {
        let commit = change(&world, name, &[("file", Some("two\n"))]);
        point(&world, "site", name, &commit);
    }
    let commit = publish(&world, "site");
    let_the_pull_wait_for(&mut world, &["a", "z"]);
    let mut payload = world.payload(&commit);
    payload["commits"] = json!([
        { "added": ["index.html", "../posts"], "modified": ["a", 1, null, ["z"]], "removed": ["posts"] },
        { "added": null, "modified": ["z"], "more": [[[[[[{ "modified": [] }]]]]]] },
        "posts",
    ]);
    let delivery = world.delivery("push", payload.to_string());
    delivery.send().expect(200, "deployed");
    world.settle();
    is_as_pushed(&world, &[]);
    assert!(!world.exists("fake/fetched-posts"));
}

#[test]
fn a_list_of_commits_in_another_form_is_no_matter() {
    let world = World::new();
    for commits in ["null", "\"a\"", "{\"added\": 1.5}", "[true]"] {
        let mut payload = world.payload(&world.push(commits));
        payload["commits"] = commits.parse().unwrap();
        let delivery = world.delivery("push", payload.to_string());
        delivery.send().expect(200, "deployed");
        world.settle();
    }
}

/// And whether it can be fetched shows when it is needed.
#[test]
fn a_submodule_that_cannot_be_fetched_is_no_matter_where_it_stays_as_it_is() {
    let world = World::new();
    deployed(&world, &world.push_with_post("two").0);
    let (there, gone) = (
        world.path("upstream/me/posts.git"),
        world.path("upstream/me/gone.git"),
    );
    fs::rename(&there, &gone).unwrap();
    deployed(&world, &world.push("three"));
    fs::rename(&gone, &there).unwrap();
    is_as_pushed(&world, &[]);
}

/// `git clone --recurse-submodules=posts` is for those who want no others.
#[test]
fn only_the_submodules_that_a_clone_asked_for_are_brought() {
    let world = world_of_three();
    fs::remove_dir_all(world.checkout()).unwrap();
    let (url, place) = (world.origin.url("me/site.git"), text(&world.checkout()));
    let only = ["clone", "-q", "--recurse-submodules=posts", &url, &place];
    world.git(&world.path(""), &only);
    let post = world.push_to("posts", "second.md", "two\n", "A post");
    world.point_submodule_at(&post);
    deployed(&world, &world.push("two"));
    has(&world, &[("posts/second.md", "two\n")]);
    assert!(!world.exists("checkout/a/.git") && !world.exists("checkout/z/.git"));
}

#[test]
fn the_first_submodule_of_a_site_is_brought() {
    let world = World::new();
    remove(&world, "site", "posts");
    deployed(&world, &publish(&world, "site"));
    fs::remove_dir_all(world.checkout()).unwrap();
    let (url, place) = (world.origin.url("me/site.git"), text(&world.checkout()));
    world.git(&world.path(""), &["clone", "-q", &url, &place]);
    deployed(&world, &world.push("two"));
    let note = plant(&world, "notes", "a", "of its own\n");
    add(&world, "site", "deep/in/notes", "../notes.git", &note);
    deployed(&world, &publish(&world, "site"));
    is_as_pushed(&world, &[]);
}

#[test]
fn a_submodule_that_gets_a_submodule_is_filled() {
    let world = World::new();
    let note = plant(&world, "notes", "note", "one\n");
    add(&world, "posts", "notes", "../notes.git", &note);
    let post = publish(&world, "posts");
    point(&world, "site", "posts", &post);
    deployed(&world, &publish(&world, "site"));
    has(&world, &[("posts/notes/note", "one\n")]);
    let note = change(&world, "notes", &[("note", Some("two\n"))]);
    point(&world, "posts", "notes", &note);
    let post = publish(&world, "posts");
    point(&world, "site", "posts", &post);
    deployed(&world, &publish(&world, "site"));
    is_as_pushed(&world, &[]);
}

/// A site whose submodule has one itself, which gets `name` with the next push.
fn with_a_nested_submodule(update: &str, name: &str) -> (World, String) {
    let mut world = World::new();
    world.key("update", &quoted(update));
    let note = plant(&world, "notes", ".gitignore", "*.log\n");
    add(&world, "posts", "notes", "../notes.git", &note);
    let post = publish(&world, "posts");
    point(&world, "site", "posts", &post);
    deployed(&world, &publish(&world, "site"));
    let note = change(&world, "notes", &[(name, Some("theirs\n"))]);
    point(&world, "posts", "notes", &note);
    let post = publish(&world, "posts");
    point(&world, "site", "posts", &post);
    let commit = publish(&world, "site");
    (world, commit)
}

#[test]
fn a_fast_forward_never_touches_a_persons_work_inside_a_nested_submodule() {
    for name in ["my.log", "new.md", ".gitignore"] {
        let (world, commit) = with_a_nested_submodule("fast-forward", name);
        fs::write(world.path("checkout/posts/notes").join(name), "mine\n").unwrap();
        let reply = send(&world, &commit);
        has(&world, &[(&format!("posts/notes/{name}"), "mine\n")]);
        reply.expect(500, "failed");
        reply.says(name);
        reply.says("posts/notes");
    }
}

#[test]
fn a_reset_keeps_a_persons_work_inside_a_nested_submodule() {
    for name in ["my.log", "new.md", ".gitignore"] {
        let (world, commit) = with_a_nested_submodule("reset", name);
        fs::write(world.path("checkout/posts/notes").join(name), "mine\n").unwrap();
        let reply = deployed(&world, &commit);
        is_as_pushed(&world, &[]);
        reply.says("in the submodule posts/notes");
        if name == ".gitignore" {
            // Brought back, it would be a conflict with what came.
            let saved = &kept(&world, "checkout/posts/notes")[0];
            let words = ["show", &format!("{saved}:{name}")];
            assert_eq!(
                world.git(&world.path("checkout/posts/notes"), &words),
                "mine"
            );
        } else {
            bring_back(&world, &reply);
            has(&world, &[(&format!("posts/notes/{name}"), "mine\n")]);
        }
    }
}

#[test]
fn one_new_submodule_that_cannot_be_fetched_is_named_and_the_rest_is_there() {
    let world = World::new();
    let note = plant(&world, "notes", "note", "one\n");
    add(&world, "site", "a", "../gone.git", &note);
    for name in ["b", "z"] {
        add(&world, "site", name, "../notes.git", &note);
    }
    let post = world.push_to("posts", "second.md", "new\n", "A post");
    point(&world, "site", "posts", &post);
    let commit = publish(&world, "site");
    let reply = send(&world, &commit);
    reply.expect(500, "failed");
    reply.says("The main tree is new already; not at the recorded commit: a\n");
    assert_eq!(world.head(), commit);
    has(
        &world,
        &[
            ("b/note", "one\n"),
            ("z/note", "one\n"),
            ("posts/second.md", "new\n"),
        ],
    );
    // Until it is there.
    send(&world, &commit).expect(500, "failed");
    let bare = |name: &str| text(&world.path(&format!("upstream/me/{name}.git")));
    let words = ["clone", "-q", "--bare", &bare("notes"), &bare("gone")];
    world.git(&world.path(""), &words);
    deployed(&world, &commit);
    is_as_pushed(&world, &[]);
}

#[test]
fn one_submodule_that_cannot_be_fetched_again_is_named_and_the_rest_is_new() {
    let world = world_of_three();
    fs::rename(
        world.path("upstream/me/a.git"),
        world.path("upstream/me/away.git"),
    )
    .unwrap();
    let away = text(&world.path("upstream/me/away.git"));
    world.git(
        &world.path("seed/a"),
        &["remote", "set-url", "origin", &away],
    );
    for name in ["a", "z"] {
        let new = change(&world, name, &[("file", Some("two\n"))]);
        point(&world, "site", name, &new);
    }
    let commit = publish(&world, "site");
    let reply = send(&world, &commit);
    reply.expect(500, "failed");
    reply.says("not at the recorded commit: a\n");
    has(&world, &[("z/file", "two\n"), ("a/file", "one\n")]);
    fs::rename(&away, world.path("upstream/me/a.git")).unwrap();
    deployed(&world, &commit);
    is_as_pushed(&world, &[]);
}

#[test]
fn a_submodule_that_comes_back_with_another_url_is_fetched_from_there() {
    let world = World::new();
    remove(&world, "site", "posts");
    deployed(&world, &publish(&world, "site"));
    let (old, new) = (
        world.path("upstream/me/posts.git"),
        world.path("upstream/me/blog.git"),
    );
    fs::rename(old, &new).unwrap();
    let words = ["remote", "set-url", "origin", &text(&new)];
    world.git(&world.path("seed/posts"), &words);
    let post = change(&world, "posts", &[("back.md", Some("back\n"))]);
    add(&world, "site", "posts", "../blog.git", &post);
    deployed(&world, &publish(&world, "site"));
    is_as_pushed(&world, &[]);
}

#[test]
fn eight_submodules_that_are_bumped_at_once_are_all_brought() {
    let world = World::new();
    let names = ["s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8"];
    for name in names {
        let commit = plant(&world, name, "file", "one\n");
        add(&world, "site", name, &format!("../{name}.git"), &commit);
    }
    deployed(&world, &publish(&world, "site"));
    for name in names {
        let commit = change(&world, name, &[("file", Some("two\n"))]);
        point(&world, "site", name, &commit);
    }
    deployed(&world, &publish(&world, "site"));
    is_as_pushed(&world, &[]);
}

#[test]
fn submodules_that_are_told_to_stay_away_do() {
    for (key, value) in [
        ("submodule.posts.update", "none"),
        ("submodule.posts.active", "false"),
    ] {
        let world = World::new();
        let before = world.submodule_head();
        world.git(&world.checkout(), &["config", key, value]);
        let (commit, _) = world.push_with_post("two");
        let reply = deployed(&world, &commit);
        assert_eq!(world.submodule_head(), before, "{reply:#?}");
        assert!(!world.exists("checkout/posts/second.md"));
    }
}

#[test]
fn a_submodule_whose_branch_was_rewritten_is_brought() {
    let world = World::new();
    let seed = world.path("seed/posts");
    let (commit, _) = world.push_with_post("two");
    deployed(&world, &commit);
    world.git(&seed, &["reset", "-q", "--hard", "HEAD~1"]);
    let post = world.commit("posts", "other.md", "rewritten\n", "Another");
    world.git(&seed, &["push", "-q", "--force", "origin", "main"]);
    point(&world, "site", "posts", &post);
    deployed(&world, &publish(&world, "site"));
    is_as_pushed(&world, &[]);
}

#[test]
fn a_submodule_whose_update_was_killed_is_healed() {
    let mut world = World::new();
    let files = [
        (".gitattributes", Some("*.slow filter=slow\n")),
        ("a", Some("one\n")),
        ("m.slow", Some("one\n")),
        ("z", Some("one\n")),
    ];
    let post = change(&world, "posts", &files);
    point(&world, "site", "posts", &post);
    deployed(&world, &publish(&world, "site"));
    fs::write(world.path("checkout/posts/first.md"), "mine\n").unwrap();
    world.key("wait", "\"0s\"");
    let files = ["a", "b", "m.slow", "z"].map(|name| (name, Some("two\n")));
    let post = change(&world, "posts", &files);
    point(&world, "site", "posts", &post);
    let commit = publish(&world, "site");
    let brake = Brake::put_into(&world, "checkout/posts");
    world.push_delivery(&commit).send().expect(202, "accepted");
    brake.crash();
    assert_eq!(world.read("checkout/posts/a"), "two\n", "in the middle");
    wait_until("the ticket", || world.tickets() == 1);
    world.key("wait", "\"30s\"");
    deployed(&world, &commit);
    has(&world, &[("posts/first.md", "mine\n")]);
    fs::write(world.path("checkout/posts/first.md"), "the first post\n").unwrap();
    is_as_pushed(&world, &[]);
    assert!(Path::new(&world.checkout()).exists());
}

/// What git itself refuses to use as a submodule must not be healed as one either.
#[test]
fn a_submodule_that_leads_out_of_the_checkout_touches_nothing_there() {
    for (name, path) in [
        ("<outside>/mail", "x"),
        ("../../../outside/mail", "x"),
        ("mail", "<outside>/mail"),
        ("mail", "../outside/mail"),
        ("mail", "link/mail"),
    ] {
        let world = World::new();
        let outside = world.path("outside");
        fs::create_dir_all(outside.join("mail")).unwrap();
        fs::write(outside.join("mail/inbox"), "mine\n").unwrap();
        fs::write(outside.join("mail/.git"), "gitdir: /nowhere\n").unwrap();
        let seed = world.path("seed/site");
        std::os::unix::fs::symlink(&outside, seed.join("link")).unwrap();
        world.git(&seed, &["add", "link"]);
        // A link that nothing describes: the step fails, and what it left is healed.
        let commit = world.head();
        point(&world, "site", "undescribed", &commit);
        let there = |text_of: &str| text_of.replace("<outside>", &text(&outside));
        let (name, path) = (there(name), there(path));
        let section = format!(
            "[submodule \"{name}\"]\n\tpath = {path}\n\turl = {}\n",
            world.origin.url("me/posts.git")
        );
        let file = seed.join(".gitmodules");
        let before = fs::read_to_string(&file).unwrap();
        fs::write(&file, before + &section).unwrap();
        world.git(&seed, &["add", ".gitmodules"]);
        send(&world, &publish(&world, "site")).expect(500, "failed");
        let kept = fs::read_to_string(outside.join("mail/inbox"));
        assert_eq!(kept.unwrap_or_default(), "mine\n", "{name} at {path}");
        assert!(outside.join("mail/.git").exists(), "{name} at {path}");
    }
}
