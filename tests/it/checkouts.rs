//! Checkouts as people have them: what a reset removes and keeps, and what a fast-forward never
//! touches. And how the tree on disk is compared with a fresh clone.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::process::kill_session_of;
use crate::tree::{Tree, is_tree, tree_of};
use crate::world::{
    Delivery, NOWHERE, Reply, World, ZERO, payload_after, quoted, text, wait_until,
    write_executable,
};

/// A fresh clone of a branch of the site's repository, its submodules in it.
pub(crate) fn fresh_clone(world: &World, branch: &str) -> Tree {
    fresh_clone_of(world, "me/site.git", branch, &[])
}

/// The same of any repository; `more` is a last git command in it.
pub(crate) fn fresh_clone_of(world: &World, name: &str, branch: &str, more: &[&str]) -> Tree {
    let folder = tempfile::tempdir_in(world.path("")).unwrap();
    let clone = folder.path().join("fresh");
    let url = world.origin.url(name);
    let place = text(&clone);
    let words = ["clone", "-q", "--recursive", "-b", branch, &url, &place];
    world.git(&world.path(""), &words);
    if !more.is_empty() {
        world.git(&clone, more);
    }
    tree_of(&clone)
}

/// The checkout is what a fresh clone is, and has what the person put there besides.
#[track_caller]
pub(crate) fn is_as_pushed(world: &World, mine: &[(&str, &str)]) {
    let expected = fresh_clone(world, "main");
    is_tree(&tree_of(&world.checkout()), expected, mine);
}

/// The person's files are as they left them.
#[track_caller]
pub(crate) fn has(world: &World, mine: &[(&str, &str)]) {
    for (path, content) in mine {
        assert_eq!(world.read(&format!("checkout/{path}")), *content, "{path}");
    }
}

/// A push to a branch of a repository.
pub(crate) fn push_of(world: &World, repository: &str, branch: &str, after: &str) -> Delivery {
    let before = if after == ZERO { NOWHERE } else { ZERO };
    let body = json!({
        "ref": format!("refs/heads/{branch}"), "before": before, "after": after,
        "created": false, "deleted": after == ZERO, "forced": false, "base_ref": null,
        "repository": { "full_name": repository, "default_branch": "main" },
        "pusher": { "name": "me" }, "commits": [], "head_commit": null
    });
    world.delivery("push", body.to_string())
}

/// Writes files of a seed, or removes them (`None`), and commits and pushes that.
pub(crate) fn change(world: &World, seed: &str, files: &[(&str, Option<&str>)]) -> String {
    let folder = world.path("seed").join(seed);
    for (path, content) in files {
        let full = folder.join(path);
        match content {
            Some(content) => {
                fs::create_dir_all(full.parent().unwrap()).unwrap();
                fs::write(full, content).unwrap();
                world.git(&folder, &["add", "-f", "--", path]);
            }
            None => drop(world.git(&folder, &["rm", "-r", "-q", "-f", "--", path])),
        }
    }
    publish(world, seed)
}

/// Commits what is staged in a seed, and pushes it.
pub(crate) fn publish(world: &World, seed: &str) -> String {
    let folder = world.path("seed").join(seed);
    world.git(&folder, &["commit", "-q", "-m", "A change"]);
    let commit = world.head_of(&format!("seed/{seed}"));
    world.publish(seed, &commit, "HEAD");
    commit
}

/// Deploys what was pushed.
#[track_caller]
pub(crate) fn deployed(world: &World, commit: &str) -> Reply {
    let reply = world.push_delivery(commit).send();
    reply.expect(200, "deployed");
    assert_eq!(world.head(), commit);
    world.settle();
    reply
}

/// The commands in a report that bring back what a reset removed.
pub(crate) fn commands_in(report: &str) -> Vec<String> {
    let quoted = report.split('`').skip(1).step_by(2);
    let commands = quoted.filter(|words| words.starts_with("git "));
    commands.map(str::to_owned).collect()
}

/// Runs every command of a report, as it stands and in its order, and moves the files that it names back to where they were.
#[track_caller]
pub(crate) fn bring_back(world: &World, reply: &Reply) {
    let commands = commands_in(&reply.body);
    let folders = kept_folders(world);
    let named = folders
        .iter()
        .filter(|folder| reply.body.contains(&text(folder)));
    let named: Vec<_> = named.collect();
    assert!(
        !commands.is_empty() || !named.is_empty(),
        "nothing in {reply:#?}"
    );
    for command in commands {
        let output = world.clean("/bin/sh").args(["-c", &command]).output();
        let output = output.unwrap();
        assert!(
            output.status.success(),
            "{command}: {} in {reply:#?}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    for folder in named {
        move_back(folder, &world.checkout());
    }
}

/// Moves all that is in a folder to another one, over whatever is there.
fn move_back(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let there = to.join(entry.file_name());
        let is_folder = entry.file_type().unwrap().is_dir();
        match there.symlink_metadata() {
            Ok(found) if found.is_dir() && !is_folder => fs::remove_dir_all(&there).unwrap(),
            Ok(found) if !found.is_dir() => fs::remove_file(&there).unwrap(),
            Ok(_) | Err(_) => {}
        }
        if is_folder {
            fs::create_dir_all(&there).unwrap();
            move_back(&entry.path(), &there);
        } else {
            fs::rename(entry.path(), there).unwrap();
        }
    }
}

/// The folders with untracked files that were kept, oldest first.
pub(crate) fn kept_folders(world: &World) -> Vec<PathBuf> {
    let parent = world.path("checkout/.git/deploy-cgi/kept");
    let folders = fs::read_dir(parent).into_iter().flatten();
    let mut folders: Vec<_> = folders.map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

/// The refs that keep commits and edits, of the checkout or a submodule.
pub(crate) fn kept(world: &World, folder: &str) -> Vec<String> {
    let format = "--format=%(refname)";
    let words = ["for-each-ref", format, "refs/deploy-cgi/saved"];
    let listed = world.git(&world.path(folder), &words);
    listed.lines().map(str::to_owned).collect()
}

/// A site that is reset.
pub(crate) fn reset_world() -> World {
    let mut world = World::new();
    world.key("update", "\"reset\"");
    world
}

/// A filter that stops git in the middle of a checkout, at files that end in `.slow`.
pub(crate) struct Brake {
    folder: PathBuf,
}

impl Brake {
    pub(crate) fn new(world: &World) -> Brake {
        let folder = world.path("brake");
        fs::create_dir_all(&folder).unwrap();
        let here = text(&folder);
        let script = format!(
            "#!/bin/sh\nif [ -e '{here}/armed' ]; then echo $$ >'{here}/new'; \
             mv '{here}/new' '{here}/stuck'; fi\n\
             while [ -e '{here}/armed' ]; do sleep 0.05; done\nexec cat\n"
        );
        write_executable(&folder.join("filter"), &script);
        fs::write(folder.join("armed"), "").unwrap();
        Brake { folder }
    }

    /// Puts it into a repository below the checkout.
    pub(crate) fn put_into(world: &World, folder: &str) -> Brake {
        let brake = Brake::new(world);
        let command = format!("'{}'", text(&brake.filter()));
        let key = "filter.slow.smudge";
        world.git(&world.path(folder), &["config", key, &command]);
        brake
    }

    pub(crate) fn filter(&self) -> PathBuf {
        self.folder.join("filter")
    }

    /// Waits until git is stuck, and kills it and the deploy that it belongs to.
    pub(crate) fn crash(&self) {
        let stuck = self.folder.join("stuck");
        wait_until("a checkout that is stuck", || stuck.exists());
        let id = fs::read_to_string(&stuck).unwrap();
        kill_session_of(id.trim());
        fs::remove_file(self.folder.join("armed")).unwrap();
    }
}

// ---- reset ----

#[test]
fn a_reset_follows_a_force_push() {
    let world = reset_world();
    let withdrawn = world.push("two");
    deployed(&world, &withdrawn);
    let seed = world.path("seed/site");
    world.git(&seed, &["reset", "-q", "--soft", "HEAD~1"]);
    let commit = world.commit("site", "index.html", "rewritten", "Rewritten");
    world.force_push();
    deployed(&world, &commit);
    is_as_pushed(&world, &[]);
    // Back to an older commit, which a pull takes for up to date.
    world.git(&seed, &["reset", "-q", "--hard", "HEAD~1"]);
    world.force_push();
    let reply = deployed(&world, &world.head_of("seed/site"));
    is_as_pushed(&world, &[]);
    assert_eq!(world.changes(), "", "{reply:#?}");
}

#[test]
fn a_reset_keeps_local_commits() {
    let world = reset_world();
    let checkout = world.checkout();
    for number in ["one", "two"] {
        world.commit_locally(&checkout, number, number);
    }
    let mine = world.head();
    let commit = world.push("two");
    let reply = deployed(&world, &commit);
    is_as_pushed(&world, &[]);
    assert_eq!(kept(&world, "checkout").len(), 1);
    let saved = &kept(&world, "checkout")[0];
    assert_eq!(world.git(&checkout, &["rev-parse", saved]), mine);
    bring_back(&world, &reply);
    is_as_pushed(&world, &[("one", "one"), ("two", "two")]);
    assert_eq!(world.changes(), "");
}

/// Commits a file with its name in it, in the checkout.
fn commit_here(world: &World, name: &str) {
    let checkout = world.checkout();
    world.commit_locally(&checkout, name, name);
}

/// Merges a branch with a commit of its own, in the checkout.
fn merge_here(world: &World) {
    let checkout = world.checkout();
    world.git(&checkout, &["checkout", "-q", "-b", "side"]);
    commit_here(world, "side");
    world.git(&checkout, &["checkout", "-q", "main"]);
    commit_here(world, "one");
    world.git(&checkout, &["merge", "-q", "--no-edit", "side"]);
    world.git(&checkout, &["branch", "-q", "-D", "side"]);
}

#[test]
fn a_reset_brings_back_local_merges() {
    let world = reset_world();
    merge_here(&world);
    fs::write(world.path("checkout/one"), "edited").unwrap();
    let reply = deployed(&world, &world.push("two"));
    is_as_pushed(&world, &[]);
    bring_back(&world, &reply);
    is_as_pushed(&world, &[("one", "edited"), ("side", "side")]);
}

#[test]
fn a_reset_brings_back_commits_without_what_they_were_made_on_and_was_withdrawn() {
    for merges in [false, true] {
        let world = reset_world();
        let withdrawn = change(&world, "site", &[("withdrawn", Some("secret"))]);
        deployed(&world, &withdrawn);
        if merges {
            merge_here(&world);
        } else {
            commit_here(&world, "one");
        }
        let seed = world.path("seed/site");
        world.git(&seed, &["reset", "-q", "--hard", "HEAD~1"]);
        let commit = world.commit("site", "index.html", "rewritten", "Rewritten");
        world.force_push();
        let reply = deployed(&world, &commit);
        is_as_pushed(&world, &[]);
        bring_back(&world, &reply);
        let mine = [("one", "one"), ("side", "side")];
        is_as_pushed(&world, if merges { &mine } else { &mine[..1] });
    }
}

#[test]
fn a_reset_brings_back_commits_where_the_branch_has_some_of_their_changes_already() {
    for more in [true, false] {
        let world = reset_world();
        let checkout = world.checkout();
        fs::write(checkout.join("index.html"), "fixed").unwrap();
        world.git(&checkout, &["commit", "-q", "-a", "-m", "Fixed"]);
        if more {
            commit_here(&world, "one");
        }
        let commit = change(&world, "site", &[("index.html", Some("fixed"))]);
        let reply = deployed(&world, &commit);
        is_as_pushed(&world, &[]);
        bring_back(&world, &reply);
        is_as_pushed(&world, if more { &[("one", "one")] } else { &[] });
    }
}

#[test]
fn a_reset_ends_a_cherry_pick_of_several_commits() {
    let world = reset_world();
    let checkout = world.checkout();
    world.git(&checkout, &["checkout", "-q", "-b", "side"]);
    for content in ["side", "side again"] {
        fs::write(checkout.join("index.html"), content).unwrap();
        world.git(&checkout, &["commit", "-q", "-a", "-m", content]);
    }
    world.git(&checkout, &["checkout", "-q", "main"]);
    commit_here(&world, "one");
    fs::write(checkout.join("index.html"), "here").unwrap();
    world.git(&checkout, &["commit", "-q", "-a", "-m", "Here"]);
    world.git(&checkout, &["reset", "-q", "--hard", "HEAD~1"]);
    let mut pick = world.clean("git");
    pick.arg("-C").arg(&checkout);
    pick.args(["cherry-pick", "main@{1}", "side~1", "side"]);
    assert!(!pick.output().unwrap().status.success());
    assert!(world.exists("checkout/.git/sequencer"));
    world.git(&checkout, &["checkout", "-q", "-f", "HEAD"]);
    let commit = change(&world, "site", &[("other", Some("theirs\n"))]);
    let reply = deployed(&world, &commit);
    is_as_pushed(&world, &[]);
    bring_back(&world, &reply);
    has(&world, &[("one", "one"), ("index.html", "here")]);
}

#[test]
fn a_reset_keeps_edits_of_every_kind() {
    let world = reset_world();
    let files = ["staged", "edited", "deleted", "mode", "both"];
    let files = files.map(|name| (name, Some("theirs\n")));
    let commit = change(&world, "site", &files);
    deployed(&world, &commit);
    let checkout = world.checkout();
    fs::write(checkout.join("staged"), "mine, staged\n").unwrap();
    fs::write(checkout.join("added"), "mine, added\n").unwrap();
    fs::write(checkout.join("both"), "mine, first\n").unwrap();
    world.git(&checkout, &["add", "staged", "added", "both"]);
    fs::write(checkout.join("both"), "mine, then\n").unwrap();
    fs::write(checkout.join("edited"), "mine, edited\n").unwrap();
    fs::remove_file(checkout.join("deleted")).unwrap();
    let runs = fs::Permissions::from_mode(0o755);
    fs::set_permissions(checkout.join("mode"), runs).unwrap();
    let mine = tree_of(&checkout);
    let index = world.git(&checkout, &["write-tree"]);
    let reply = deployed(&world, &world.push("two"));
    is_as_pushed(&world, &[]);
    assert_eq!(world.changes(), "");
    let saved = kept(&world, "checkout");
    assert_eq!(saved.len(), 1, "{saved:?}");
    let staged = format!("{}^2^{{tree}}", saved[0]);
    assert_eq!(world.git(&checkout, &["rev-parse", &staged]), index);
    bring_back(&world, &reply);
    let mut expected = mine;
    let index = Path::new("index.html");
    expected.insert(index.to_owned(), fresh_clone(&world, "main")[index].clone());
    is_tree(&tree_of(&checkout), expected, &[]);
}

#[test]
fn a_reset_keeps_an_edit_of_a_file_that_was_pushed_too() {
    let world = reset_world();
    let checkout = world.checkout();
    fs::write(checkout.join("index.html"), "mine").unwrap();
    deployed(&world, &world.push("two"));
    is_as_pushed(&world, &[]);
    let saved = format!("{}:index.html", kept(&world, "checkout")[0]);
    assert_eq!(world.git(&checkout, &["show", &saved]), "mine");
}

#[test]
fn a_reset_keeps_commits_edits_and_unknown_files_at_once() {
    let world = reset_world();
    let checkout = world.checkout();
    deployed(
        &world,
        &change(&world, "site", &[("other", Some("theirs\n"))]),
    );
    world.commit_locally(&checkout, "mine.txt", "committed\n");
    fs::write(checkout.join("mine.txt"), "committed\nand edited\n").unwrap();
    fs::write(checkout.join("other"), "edited\n").unwrap();
    fs::write(checkout.join("staged"), "staged\n").unwrap();
    world.git(&checkout, &["add", "staged"]);
    fs::write(checkout.join("new.html"), "unknown\n").unwrap();
    let mine = tree_of(&checkout);
    let commit = change(&world, "site", &[("new.html", Some("theirs\n"))]);
    let reply = deployed(&world, &commit);
    is_as_pushed(&world, &[]);
    bring_back(&world, &reply);
    is_tree(&tree_of(&checkout), mine, &[]);
}

/// Edits a file, or removes it (`None`), where git was told not to look.
fn edit_unseen(world: &World, folder: &str, path: &str, content: Option<&str>, flag: &str) {
    let folder = world.path(folder);
    world.git(&folder, &["update-index", flag, path]);
    match content {
        Some(content) => fs::write(folder.join(path), content).unwrap(),
        None => fs::remove_file(folder.join(path)).unwrap(),
    }
}

/// A deploy that a difference git was told not to look at keeps from a reset; after the commands that are printed the next
/// one keeps the edit and deploys.
#[track_caller]
fn is_refused_and_kept_once_it_is_seen(world: &World, folder: &str, path: &str, commit: &str) {
    let before = tree_of(&world.checkout());
    let reply = world.push_delivery(commit).send();
    world.settle();
    reply.expect(500, "failed");
    reply.says("git was told not to look at");
    reply.says(path);
    assert_eq!(tree_of(&world.path(folder)).get(Path::new(path)), {
        let below = Path::new(folder).strip_prefix("checkout").unwrap();
        before.get(&below.join(path))
    });
    obey(world, &reply);
    let reply = world.push_delivery(commit).send();
    world.settle();
    assert_eq!(reply.status, 200, "{reply:#?}");
    is_as_pushed(world, &[]);
    assert_eq!(kept(world, folder).len(), 1, "{reply:#?}");
}

/// Runs the commands that a report prints on lines of their own.
#[track_caller]
pub(crate) fn obey(world: &World, reply: &Reply) {
    let commands: Vec<&str> = reply
        .body
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .collect();
    assert!(!commands.is_empty(), "no command in {reply:#?}");
    for command in commands {
        let output = world
            .clean("/bin/sh")
            .args(["-c", command])
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
    }
}

/// `pushed` is what the next commit changes; without it there is nothing new.
#[track_caller]
fn refuses_what_is_not_looked_at(flag: &str, pushed: Option<&str>) {
    let world = reset_world();
    deployed(&world, &world.push("two"));
    edit_unseen(&world, "checkout", "index.html", Some("mine"), flag);
    let commit = pushed.map_or_else(
        || world.head(),
        |file| change(&world, "site", &[(file, Some("theirs\n"))]),
    );
    is_refused_and_kept_once_it_is_seen(&world, "checkout", "index.html", &commit);
    let file = format!("{}:index.html", kept(&world, "checkout")[0]);
    assert_eq!(
        world.git(&world.checkout(), &["show", &file]),
        "mine",
        "{flag}"
    );
}

#[test]
fn a_reset_refuses_a_difference_that_git_was_told_not_to_look_at() {
    refuses_what_is_not_looked_at("--assume-unchanged", Some("index.html"));
    refuses_what_is_not_looked_at("--skip-worktree", Some("other"));
}

#[test]
#[ignore = "many deploys: ./tests/run"]
fn a_reset_refuses_a_difference_that_git_was_told_not_to_look_at_whatever_was_pushed() {
    refuses_what_is_not_looked_at("--assume-unchanged", Some("other"));
    refuses_what_is_not_looked_at("--assume-unchanged", None);
    refuses_what_is_not_looked_at("--skip-worktree", Some("index.html"));
    refuses_what_is_not_looked_at("--skip-worktree", None);
}

#[test]
fn a_reset_refuses_a_missing_file_that_git_was_told_not_to_look_at() {
    let world = reset_world();
    let flag = "--assume-unchanged";
    edit_unseen(&world, "checkout", "index.html", None, flag);
    let commit = change(&world, "site", &[("other", Some("theirs\n"))]);
    is_refused_and_kept_once_it_is_seen(&world, "checkout", "index.html", &commit);
}

#[test]
fn a_reset_refuses_a_difference_inside_a_submodule_that_git_was_told_not_to_look_at() {
    for flag in ["--assume-unchanged", "--skip-worktree"] {
        for bump in [true, false] {
            let world = reset_world();
            deployed(&world, &world.push_with_post("two").0);
            edit_unseen(&world, "checkout/posts", "first.md", Some("mine"), flag);
            if bump {
                let post = world.push_to("posts", "first.md", "theirs\n", "Another");
                world.point_submodule_at(&post);
            }
            let commit = world.push("three");
            is_refused_and_kept_once_it_is_seen(&world, "checkout/posts", "first.md", &commit);
            let words = [
                "show",
                &format!("{}:first.md", kept(&world, "checkout/posts")[0]),
            ];
            assert_eq!(world.git(&world.path("checkout/posts"), &words), "mine");
        }
    }
}

#[test]
fn a_reset_leaves_alone_what_git_need_not_look_at() {
    let world = reset_world();
    let checkout = world.checkout();
    let files = [("d/f", Some("one\n")), ("e/f", Some("one\n"))];
    deployed(&world, &change(&world, "site", &files));
    world.git(
        &checkout,
        &["sparse-checkout", "set", "--no-cone", "/*", "!/d/"],
    );
    world.git(&checkout, &["update-index", "--assume-unchanged", "e/f"]);
    assert!(!world.exists("checkout/d/f"));
    let files = [("d/f", Some("two\n")), ("other", Some("theirs\n"))];
    let reply = deployed(&world, &change(&world, "site", &files));
    assert!(!world.exists("checkout/d/f"), "{reply:#?}");
    assert_eq!(kept(&world, "checkout"), [""; 0]);
    let flags = world.git(&checkout, &["ls-files", "-v", "d/f", "e/f"]);
    assert_eq!(flags, "S d/f\nh e/f");
}

#[test]
fn a_reset_of_an_empty_clone_deploys_the_first_push_and_keeps_what_is_in_its_way() {
    let mut world = reset_world();
    let checkout = world.checkout();
    fs::remove_dir_all(&checkout).unwrap();
    let bare = world.path("upstream/me/empty.git");
    let words = ["init", "-q", "--bare", "-b", "main", &text(&bare)];
    world.git(&world.path(""), &words);
    let url = world.origin.url("me/empty.git");
    let words = ["clone", "-q", &url, &text(&checkout)];
    world.git(&world.path(""), &words);
    world.key("repository", "\"me/site\"");
    fs::write(checkout.join("index.html"), "mine").unwrap();
    fs::write(checkout.join("notes"), "mine, and not in the way").unwrap();
    fs::write(checkout.join("staged"), "mine, staged").unwrap();
    world.git(&checkout, &["add", "staged"]);
    let seed = world.path("seed/site");
    world.git(&seed, &["push", "-q", &text(&bare), "HEAD:main"]);
    let commit = world.head_of("seed/site");
    let delivery = world.delivery("push", payload_after(ZERO, &commit).to_string());
    let reply = delivery.send();
    reply.expect(200, "deployed");
    world.settle();
    is_as_pushed(&world, &[("notes", "mine, and not in the way")]);
    assert_eq!(kept(&world, "checkout").len(), 1, "{reply:#?}");
    assert_eq!(kept_folders(&world).len(), 1, "{reply:#?}");
    bring_back(&world, &reply);
    has(
        &world,
        &[("index.html", "mine"), ("staged", "mine, staged")],
    );
}

#[test]
fn a_reset_ends_a_merge_with_conflicts_and_keeps_it() {
    let world = reset_world();
    let checkout = world.checkout();
    world.git(&checkout, &["checkout", "-q", "-b", "side"]);
    fs::write(checkout.join("index.html"), "side").unwrap();
    world.git(&checkout, &["commit", "-q", "-am", "Side"]);
    world.git(&checkout, &["checkout", "-q", "main"]);
    fs::write(checkout.join("index.html"), "here").unwrap();
    world.git(&checkout, &["commit", "-q", "-am", "Here"]);
    let mine = world.head();
    let merge = world
        .clean("git")
        .arg("-C")
        .arg(&checkout)
        .args(["merge", "side"])
        .output();
    assert!(!merge.unwrap().status.success());
    let conflict = world.read("checkout/index.html");
    assert!(conflict.contains("<<<<<<<"));
    deployed(&world, &world.push("two"));
    is_as_pushed(&world, &[]);
    assert!(!world.exists("checkout/.git/MERGE_HEAD"));
    let saved = kept(&world, "checkout");
    let shown = world.git(&checkout, &["show", &format!("{}:index.html", saved[0])]);
    assert_eq!(shown, conflict.trim_end());
    let first = format!("{}^1", saved[0]);
    assert_eq!(world.git(&checkout, &["rev-parse", &first]), mine);
}

#[test]
fn the_last_ten_that_a_reset_removed_are_kept() {
    let world = reset_world();
    let checkout = world.checkout();
    let head = world.head();
    for number in 1..=13 {
        fs::write(checkout.join("index.html"), format!("mine {number}")).unwrap();
        let reply = world.push_delivery(&head).send();
        assert_eq!(reply.status, 200, "{reply:#?}");
        world.settle();
    }
    let mut contents: Vec<String> = kept(&world, "checkout")
        .iter()
        .map(|name| world.git(&checkout, &["show", &format!("{name}:index.html")]))
        .collect();
    contents.sort();
    let mut expected: Vec<String> = (4..=13).map(|number| format!("mine {number}")).collect();
    expected.sort();
    assert_eq!(contents, expected);
    is_as_pushed(&world, &[]);
}

#[test]
fn a_reset_that_removes_nothing_keeps_nothing() {
    let world = reset_world();
    let checkout = world.checkout();
    let (commit, _) = world.push_with_post("two");
    fs::write(checkout.join("notes"), "mine").unwrap();
    let reply = deployed(&world, &commit);
    assert_eq!(commands_in(&reply.body), [""; 0], "{reply:#?}");
    assert_eq!(kept(&world, "checkout"), [""; 0]);
    assert_eq!(kept(&world, "checkout/posts"), [""; 0]);
    is_as_pushed(&world, &[("notes", "mine")]);
    world.push_delivery(&commit).send().expect(200, "unchanged");
}

#[test]
fn commits_that_a_force_push_took_back_are_not_the_persons() {
    let world = reset_world();
    let withdrawn = world.push("two");
    deployed(&world, &withdrawn);
    let seed = world.path("seed/site");
    world.git(&seed, &["reset", "-q", "--hard", "HEAD~1"]);
    let commit = world.commit("site", "index.html", "rewritten", "Rewritten");
    world.force_push();
    let reply = deployed(&world, &commit);
    assert_eq!(kept(&world, "checkout"), [""; 0], "{reply:#?}");
}

#[test]
fn files_that_are_not_in_the_way_of_a_reset_stay() {
    let world = reset_world();
    let ignore = change(&world, "site", &[(".gitignore", Some("*.log\ncache/\n"))]);
    deployed(&world, &ignore);
    let mine = [
        ("a.log", "log"),
        ("cache/x", "cached"),
        ("mine/notes", "notes"),
        ("posts/draft", "a draft"),
    ];
    for (path, content) in mine {
        let full = world.checkout().join(path);
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        fs::write(full, content).unwrap();
    }
    fs::write(world.path("checkout/index.html"), "edited").unwrap();
    let (commit, _) = world.push_with_post("two");
    deployed(&world, &commit);
    is_as_pushed(&world, &mine);
}

/// What is in the way: files of the person's, and what is pushed.
type InTheWay = (
    &'static [(&'static str, &'static str)],
    &'static [(&'static str, Option<&'static str>)],
);

const IN_THE_WAY: &[InTheWay] = &[
    // A file for a file.
    (&[("new.html", "mine\n")], &[("new.html", Some("theirs\n"))]),
    // A file that is ignored.
    (&[("my.log", "mine\n")], &[("my.log", Some("theirs\n"))]),
    (&[("cache/x", "mine\n")], &[("cache/x", Some("theirs\n"))]),
    // A folder for a file.
    (
        &[("new/a", "mine a\n"), ("new/b/c", "mine c\n")],
        &[("new", Some("theirs\n"))],
    ),
    // A folder of ignored files for a file.
    (&[("cache/y", "mine\n")], &[("cache", Some("theirs\n"))]),
    // A file for a folder.
    (&[("new", "mine\n")], &[("new/a/b", Some("theirs\n"))]),
    // An ignored file for a folder.
    (&[("x.log", "mine\n")], &[("x.log/a", Some("theirs\n"))]),
];

fn put_in_the_way(world: &World, mine: &[(&str, &str)]) {
    for (path, content) in mine {
        let full = world.checkout().join(path);
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        fs::write(full, content).unwrap();
    }
}

fn world_with_ignored() -> World {
    let world = World::new();
    let rules = [(".gitignore", Some("*.log\ncache\n"))];
    deployed(&world, &change(&world, "site", &rules));
    world
}

#[test]
fn a_reset_keeps_what_git_does_not_know_and_is_in_the_way() {
    for (mine, theirs) in IN_THE_WAY {
        let mut world = world_with_ignored();
        world.key("update", "\"reset\"");
        put_in_the_way(&world, mine);
        let reply = deployed(&world, &change(&world, "site", theirs));
        is_as_pushed(&world, &[]);
        assert_eq!(kept_folders(&world).len(), 1, "{mine:?}");
        bring_back(&world, &reply);
        has(&world, mine);
    }
}

#[test]
fn a_report_of_what_a_reset_kept_shows_names_on_one_line() {
    let world = reset_world();
    let name = "line\nnote: \u{1b}[2Jforged";
    fs::write(world.checkout().join(name), "mine").unwrap();
    fs::write(world.checkout().join("edited\n"), "mine").unwrap();
    world.git(&world.checkout(), &["add", "edited\n"]);
    let reply = deployed(&world, &change(&world, "site", &[(name, Some("x"))]));
    reply.says("line\\nnote: \\u{1b}[2Jforged: they are in /");
    reply.says("Edits in edited\\n: `git -C");
    bring_back(&world, &reply);
    has(&world, &[(name, "mine"), ("edited\n", "mine")]);
}

/// Files that git would write otherwise than they are, and ones that are in another form in a commit.
#[test]
fn a_reset_brings_files_back_with_the_same_bytes() {
    let world = reset_world();
    let rules =
        "* text=auto\n*.bat text eol=crlf\n*.rot filter=rot\nu16 working-tree-encoding=UTF-16\n";
    deployed(
        &world,
        &change(&world, "site", &[(".gitattributes", Some(rules))]),
    );
    let checkout = world.checkout();
    for key in ["filter.rot.clean", "filter.rot.smudge"] {
        world.git(&checkout, &["config", key, "tr a-z n-za-m"]);
    }
    let mine: &[(&str, &[u8])] = &[
        ("n/crlf.txt", b"one\r\ntwo\r\n"),
        ("n/mixed.txt", b"one\r\ntwo\n"),
        ("lf.txt", b"one\ntwo\n"),
        ("crlf.bat", b"one\r\ntwo\r\n"),
        ("turned.rot", b"one\ntwo\n"),
        ("u16", b"\xff\xfeo\0n\0e\0\n\0"),
        ("\"odd\nname\r", b"one\r\n"),
        ("empty", b""),
    ];
    let theirs: Vec<_> = mine.iter().map(|(path, _)| (*path, Some("x\n"))).collect();
    for (path, content) in mine {
        let full = checkout.join(path);
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        fs::write(full, content).unwrap();
    }
    let runs = fs::Permissions::from_mode(0o700);
    fs::set_permissions(checkout.join("lf.txt"), runs).unwrap();
    let plain = world.path("seed/site/.git/info/attributes");
    fs::create_dir_all(plain.parent().unwrap()).unwrap();
    fs::write(plain, "* -text -filter -working-tree-encoding\n").unwrap();
    let reply = deployed(&world, &change(&world, "site", &theirs));
    assert_eq!(world.read("checkout/lf.txt"), "x\n");
    bring_back(&world, &reply);
    for (path, content) in mine {
        let found = fs::read(checkout.join(path)).unwrap();
        assert_eq!(
            found,
            *content,
            "{path:?} {:?}",
            String::from_utf8_lossy(&found)
        );
    }
    let mode = fs::metadata(checkout.join("lf.txt")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o700);
}

/// The cases where a fast-forward did not leave all as it was, and say so.
fn lost_by_a_fast_forward(cases: impl Iterator<Item = &'static InTheWay>) -> Vec<String> {
    let mut lost = Vec::new();
    for (mine, theirs) in cases {
        let world = world_with_ignored();
        put_in_the_way(&world, mine);
        let before = (world.head(), tree_of(&world.checkout()));
        let commit = change(&world, "site", theirs);
        let reply = world.push_delivery(&commit).send();
        world.settle();
        let after = (world.head(), tree_of(&world.checkout()));
        let first = mine[0].0.split('/').next().unwrap();
        if reply.status != 500 || after != before || !reply.body.contains(first) {
            lost.push(format!("{mine:?}: {}", world.plain(&reply.body)));
        }
    }
    lost
}

fn is_ignored(case: &InTheWay) -> bool {
    let path = case.0[0].0;
    Path::new(path).extension().is_some_and(|end| end == "log") || path.starts_with("cache/")
}

#[test]
fn a_fast_forward_never_touches_what_git_does_not_know() {
    let cases = IN_THE_WAY.iter().filter(|case| !is_ignored(case));
    assert_eq!(lost_by_a_fast_forward(cases), [""; 0]);
}

#[test]
fn a_fast_forward_never_touches_what_git_ignores() {
    let cases = IN_THE_WAY.iter().filter(|case| is_ignored(case));
    assert_eq!(lost_by_a_fast_forward(cases), [""; 0]);
}

#[test]
fn a_fast_forward_never_touches_a_persons_work() {
    type Work = fn(&World, &Path);
    let works: &[Work] = &[
        |_, checkout| fs::write(checkout.join("index.html"), "edited").unwrap(),
        |world, checkout| {
            fs::write(checkout.join("index.html"), "staged").unwrap();
            world.git(checkout, &["add", "index.html"]);
        },
        |_, checkout| {
            let runs = fs::Permissions::from_mode(0o755);
            fs::set_permissions(checkout.join("index.html"), runs).unwrap();
        },
        |world, checkout| {
            world.git(
                checkout,
                &["update-index", "--assume-unchanged", "index.html"],
            );
            fs::write(checkout.join("index.html"), "not looked at").unwrap();
        },
        |world, checkout| {
            world.git(checkout, &["update-index", "--skip-worktree", "index.html"]);
            fs::write(checkout.join("index.html"), "not looked at").unwrap();
        },
    ];
    for (number, work) in works.iter().enumerate() {
        let world = World::new();
        let checkout = world.checkout();
        work(&world, &checkout);
        let before = (world.head(), tree_of(&checkout), world.changes());
        let commit = world.push("two");
        let reply = world.push_delivery(&commit).send();
        reply.expect(500, "failed");
        reply.says("index.html");
        world.settle();
        let after = (world.head(), tree_of(&checkout), world.changes());
        assert_eq!(after, before, "{number}: {reply:#?}");
    }
}

/// A repository of the person's lies where a file comes.
#[track_caller]
fn keeps_a_repository(update: &str) {
    let mut world = World::new();
    world.key("update", &quoted(update));
    let inner = world.path("checkout/app");
    world.git(&world.path(""), &["init", "-q", &text(&inner)]);
    world.commit_locally(&inner, "code", "mine");
    let head = world.git(&inner, &["rev-parse", "HEAD"]);
    fs::write(inner.join("code"), "mine, edited").unwrap();
    let commit = change(&world, "site", &[("app", Some("theirs"))]);
    let reply = world.push_delivery(&commit).send();
    world.settle();
    // No commit can hold it: it has to stay.
    reply.expect(500, "failed");
    reply.says("app");
    assert_eq!(world.git(&inner, &["rev-parse", "HEAD"]), head);
    assert_eq!(world.read("checkout/app/code"), "mine, edited");
}

#[test]
fn a_fast_forward_never_touches_a_repository_of_the_persons() {
    keeps_a_repository("fast-forward");
}

#[test]
fn a_reset_never_removes_a_repository_of_the_persons() {
    keeps_a_repository("reset");
}

#[test]
fn a_link_of_the_persons_in_the_way_is_kept_and_not_followed() {
    let world = reset_world();
    let elsewhere = world.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("a"), "outside").unwrap();
    symlink(&elsewhere, world.path("checkout/new")).unwrap();
    let commit = change(&world, "site", &[("new/a", Some("theirs"))]);
    let reply = deployed(&world, &commit);
    is_as_pushed(&world, &[]);
    assert_eq!(world.read("elsewhere/a"), "outside");
    bring_back(&world, &reply);
    let link = fs::read_link(world.path("checkout/new")).unwrap();
    assert_eq!(link, elsewhere);
}

/// What the person put in the place of what git tracks.
fn with_another_kind_in_its_place(replace: fn(&World, &Path)) -> (World, Tree, Reply) {
    let world = reset_world();
    let files = [("a", Some("theirs\n")), ("d/f", Some("theirs\n"))];
    deployed(&world, &change(&world, "site", &files));
    replace(&world, &world.checkout());
    let mine = tree_of(&world.checkout());
    let commit = change(&world, "site", &[("other", Some("theirs\n"))]);
    let reply = world.push_delivery(&commit).send();
    world.settle();
    (world, mine, reply)
}

#[test]
fn a_reset_keeps_what_the_person_put_in_the_place_of_a_tracked_file_or_folder() {
    let ways: &[fn(&World, &Path)] = &[
        |_, checkout| {
            fs::remove_file(checkout.join("a")).unwrap();
            fs::create_dir_all(checkout.join("a/b")).unwrap();
            fs::write(checkout.join("a/x"), "mine\n").unwrap();
            fs::write(checkout.join("a/b/y"), "mine\n").unwrap();
        },
        |_, checkout| {
            fs::remove_dir_all(checkout.join("d")).unwrap();
            fs::write(checkout.join("d"), "mine\n").unwrap();
        },
        |_, checkout| {
            fs::remove_dir_all(checkout.join("d")).unwrap();
            symlink("nowhere", checkout.join("d")).unwrap();
        },
        |world, checkout| {
            fs::remove_dir_all(checkout.join("d")).unwrap();
            let elsewhere = world.path("elsewhere");
            fs::create_dir(&elsewhere).unwrap();
            fs::write(elsewhere.join("f"), "outside").unwrap();
            symlink(&elsewhere, checkout.join("d")).unwrap();
        },
    ];
    for (number, way) in ways.iter().enumerate() {
        let (world, mut mine, reply) = with_another_kind_in_its_place(*way);
        reply.expect(200, "deployed");
        is_as_pushed(&world, &[]);
        assert_eq!(kept(&world, "checkout").len(), 1, "{number}: {reply:#?}");
        assert_eq!(kept_folders(&world).len(), 1, "{number}: {reply:#?}");
        bring_back(&world, &reply);
        let other = Path::new("other");
        mine.insert(other.to_owned(), fresh_clone(&world, "main")[other].clone());
        is_tree(&tree_of(&world.checkout()), mine, &[]);
        if world.exists("elsewhere") {
            assert_eq!(world.read("elsewhere/f"), "outside");
        }
    }
}

#[test]
fn a_reset_never_removes_a_repository_in_the_place_of_a_tracked_file() {
    for has_commits in [true, false] {
        let make = |world: &World, checkout: &Path| {
            fs::remove_file(checkout.join("a")).unwrap();
            world.git(checkout, &["init", "-q", "a"]);
            fs::write(checkout.join("a/x"), "mine\n").unwrap();
        };
        let make_with_commits = |world: &World, checkout: &Path| {
            fs::remove_file(checkout.join("a")).unwrap();
            world.git(checkout, &["init", "-q", "a"]);
            fs::write(checkout.join("a/x"), "mine\n").unwrap();
            world.git(&checkout.join("a"), &["add", "x"]);
            world.git(&checkout.join("a"), &["commit", "-q", "-m", "Mine"]);
        };
        let make = if has_commits { make_with_commits } else { make };
        let (world, mine, reply) = with_another_kind_in_its_place(make);
        reply.expect(500, "failed");
        reply.says("a repository of its own is in the way");
        assert_eq!(tree_of(&world.checkout()), mine);
        assert!(world.exists("checkout/a/.git/HEAD"));
    }
}

#[test]
fn a_reset_that_was_killed_is_healed_and_loses_nothing() {
    let mut world = World::new();
    let files = [
        (".gitattributes", Some("*.slow filter=slow\n")),
        ("a", Some("one\n")),
        ("m.slow", Some("one\n")),
        ("z", Some("one\n")),
        ("mine", Some("theirs\n")),
    ];
    deployed(&world, &change(&world, "site", &files));
    world.key("update", "\"reset\"");
    world.key("wait", "\"0s\"");
    fs::write(world.path("checkout/mine"), "mine\n").unwrap();
    fs::write(world.path("checkout/b"), "unknown\n").unwrap();
    let files = ["a", "b", "m.slow", "z"].map(|name| (name, Some("two\n")));
    let commit = change(&world, "site", &files);
    let brake = Brake::put_into(&world, "checkout");
    world.push_delivery(&commit).send().expect(202, "accepted");
    brake.crash();
    assert_eq!(world.read("checkout/a"), "two\n", "it was in the middle");
    assert_eq!(world.tickets(), 1);
    world.key("wait", "\"30s\"");
    let reply = deployed(&world, &commit);
    is_as_pushed(&world, &[]);
    // What was kept before the death may be kept once more, but nothing of git's own making.
    let kept: BTreeSet<String> = kept(&world, "checkout")
        .iter()
        .map(|name| world.git(&world.checkout(), &["show", &format!("{name}:mine")]))
        .collect();
    assert_eq!(kept, BTreeSet::from(["mine".to_owned()]), "{reply:#?}");
    let folders = kept_folders(&world);
    let files: Vec<_> = folders
        .iter()
        .flat_map(|folder| tree_of(folder).into_keys())
        .collect();
    assert_eq!(files, [PathBuf::from("b")], "{reply:#?}");
    assert_eq!(fs::read(folders[0].join("b")).unwrap(), b"unknown\n");
}

// ---- the same inside a submodule ----

#[test]
fn a_reset_keeps_edits_inside_a_submodule() {
    let world = reset_world();
    let post = world.push_to("posts", "other.md", "theirs\n", "Another");
    world.point_submodule_at(&post);
    deployed(&world, &world.push("two"));
    fs::write(world.path("checkout/posts/first.md"), "mine\n").unwrap();
    let post = world.push_to("posts", "other.md", "changed\n", "Again");
    world.point_submodule_at(&post);
    let reply = deployed(&world, &world.push("three"));
    is_as_pushed(&world, &[]);
    assert_eq!(kept(&world, "checkout/posts").len(), 1);
    bring_back(&world, &reply);
    has(
        &world,
        &[
            ("posts/first.md", "mine\n"),
            ("posts/other.md", "changed\n"),
        ],
    );
    // And where the pushed commit changes the same file.
    let post = world.push_to("posts", "first.md", "changed\n", "Again");
    world.point_submodule_at(&post);
    deployed(&world, &world.push("four"));
    is_as_pushed(&world, &[]);
    let saved = kept(&world, "checkout/posts");
    let file = format!("{}:first.md", saved.last().unwrap());
    let shown = world.git(&world.path("checkout/posts"), &["show", &file]);
    assert_eq!(shown, "mine");
}

/// A submodule with a file of the person's where one comes.
fn with_a_file_in_a_submodule(update: &str, name: &str) -> (World, String) {
    let mut world = World::new();
    world.key("update", &quoted(update));
    let rules = change(&world, "posts", &[(".gitignore", Some("*.log\n"))]);
    world.point_submodule_at(&rules);
    deployed(&world, &world.push("rules"));
    fs::write(world.path("checkout/posts").join(name), "mine\n").unwrap();
    let post = change(&world, "posts", &[(name, Some("theirs\n"))]);
    world.point_submodule_at(&post);
    let commit = world.push("two");
    (world, commit)
}

#[track_caller]
fn is_kept_inside_a_submodule(name: &str) {
    let (world, commit) = with_a_file_in_a_submodule("reset", name);
    let reply = deployed(&world, &commit);
    is_as_pushed(&world, &[]);
    assert_eq!(kept_folders(&world).len(), 1, "{reply:#?}");
    bring_back(&world, &reply);
    has(&world, &[(&format!("posts/{name}"), "mine\n")]);
}

#[test]
fn a_reset_keeps_what_is_in_the_way_inside_a_submodule() {
    is_kept_inside_a_submodule("draft.md");
}

#[test]
fn a_reset_keeps_what_is_ignored_and_in_the_way_inside_a_submodule() {
    is_kept_inside_a_submodule("my.log");
}

#[track_caller]
fn is_left_alone_inside_a_submodule(name: &str) {
    let (world, commit) = with_a_file_in_a_submodule("fast-forward", name);
    let before = world.submodule_head();
    let reply = world.push_delivery(&commit).send();
    world.settle();
    has(&world, &[(&format!("posts/{name}"), "mine\n")]);
    reply.expect(500, "failed");
    reply.says(name);
    reply.says("posts");
    assert_eq!(world.submodule_head(), before);
}

#[test]
fn a_fast_forward_never_touches_a_persons_work_inside_a_submodule() {
    for name in ["first.md", "new.md"] {
        is_left_alone_inside_a_submodule(name);
    }
}

#[test]
fn a_fast_forward_never_touches_what_is_ignored_inside_a_submodule() {
    is_left_alone_inside_a_submodule("my.log");
}

/// Somebody commits inside a submodule, where no branch is checked out.
#[track_caller]
fn keeps_a_commit_inside_a_submodule(update: &str) {
    for bump in [false, true] {
        let mut world = World::new();
        world.key("update", &quoted(update));
        let posts = world.path("checkout/posts");
        world.commit_locally(&posts, "mine.md", "mine");
        let mine = world.submodule_head();
        let commit = if bump {
            world.push_with_post("two").0
        } else {
            world.push("two")
        };
        let reply = world.push_delivery(&commit).send();
        world.settle();
        let named = world.git(&posts, &["for-each-ref", "--contains", &mine]);
        let is_there = world.submodule_head() == mine;
        assert!(
            !named.is_empty() || is_there,
            "bump {bump}: only the reflog has it: {reply:#?}"
        );
        if update == "reset" {
            reply.expect(200, "deployed");
            is_as_pushed(&world, &[]);
        }
    }
}

#[test]
fn a_reset_keeps_a_commit_made_inside_a_submodule() {
    keeps_a_commit_inside_a_submodule("reset");
}

#[test]
fn a_fast_forward_never_loses_a_commit_made_inside_a_submodule() {
    keeps_a_commit_inside_a_submodule("fast-forward");
}

#[test]
fn a_fast_forward_speaks_of_a_commit_inside_a_submodule_and_not_of_edits_that_stay() {
    let world = World::new();
    let posts = world.path("checkout/posts");
    world.commit_locally(&posts, "mine.md", "mine");
    let mine = world.submodule_head();
    fs::write(posts.join("first.md"), "edited").unwrap();
    let reply = deployed(&world, &world.push_with_post("two").0);
    let note = "note: in the submodule posts a commit that no branch has was given a name. `git -C";
    reply.says(note);
    assert!(!reply.body.contains("reset"), "{reply:#?}");
    assert_eq!(world.read("checkout/posts/first.md"), "edited");
    let saved = kept(&world, "checkout/posts");
    assert_eq!(saved.len(), 1);
    assert_eq!(world.git(&posts, &["rev-parse", &saved[0]]), mine);
    bring_back(&world, &reply);
    has(
        &world,
        &[("posts/mine.md", "mine"), ("posts/first.md", "edited")],
    );
}
