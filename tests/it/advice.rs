//! Every failure is a sentence with its fix: each test provokes one for real and compares what
//! is told. Where it can be mended on the host, the printed commands are run as they stand, and
//! then the deploy succeeds.

use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http;
use crate::person::{Person, Served, Sshd, as_root, free_port};
use crate::world::{
    DELIVERY, Delivery, Fault, Reply, SECRET, World, copy_executable, quoted, text,
};

/// What a failed deploy says: why, and what to do.
struct Told {
    cause: String,
    words: String,
    commands: Vec<String>,
}

impl Told {
    /// Out of a report.
    #[track_caller]
    fn parse(report: &str) -> Told {
        let (head, rest) = report
            .split_once("\n\nWhat to do: ")
            .unwrap_or_else(|| panic!("no advice: {report}"));
        let advice = rest.split("\n\n").next().unwrap();
        let mut lines = advice.lines();
        let words = lines.next().unwrap().to_owned();
        let cause = head.split_once(": ").map_or(head, |(_, cause)| cause);
        Told {
            cause: cause.to_owned(),
            words,
            commands: lines
                .map(|line| line.strip_prefix("    ").unwrap_or(line).to_owned())
                .collect(),
        }
    }

    /// As one text to compare, with what differs from host to host taken out.
    fn plain(&self, world: &World) -> String {
        plain(world, &self.text().replace("$ sudo ", "$ "))
    }

    fn text(&self) -> String {
        let mut all = format!("{}\n-> {}\n", self.cause, self.words);
        for command in &self.commands {
            writeln!(all, "$ {command}").unwrap();
        }
        all
    }

    /// Types the commands, one after the other, as they stand.
    #[track_caller]
    fn obey(&self, world: &World) {
        for command in &self.commands {
            let mut shell = world.clean("/bin/sh");
            shell.env("GIT_CONFIG_GLOBAL", world.path("home/site.gitconfig"));
            let output = shell.args(["-c", command]).output().unwrap();
            assert!(output.status.success(), "{command}: {output:?}");
        }
    }
}

fn plain(world: &World, words: &str) -> String {
    let id = |option: &str| {
        let output = Command::new("id").arg(option).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let user = id("-un");
    let home = fs::read_to_string("/etc/passwd")
        .unwrap()
        .lines()
        .find_map(|line| {
            let fields: Vec<_> = line.split(':').collect();
            (fields[0] == user).then(|| fields[5].to_owned())
        })
        .unwrap_or_default();
    let words = words
        .replace(&format!("{home}/"), "<home>/")
        .replace(&format!(" {home} "), " <home> ")
        .replace(&format!(" {home}\n"), " <home>\n")
        .replace(&format!(" {user} "), " <user> ")
        .replace(&format!(" {user},"), " <user>,")
        .replace(&format!(" {user}\n"), " <user>\n");
    world.plain(&words)
}

#[track_caller]
fn failed(reply: &Reply) -> Told {
    reply.expect(500, "failed");
    Told::parse(&reply.body)
}

#[track_caller]
fn told(world: &World, reply: &Reply, expected: &str) -> Told {
    let told = failed(reply);
    let got = told.plain(world);
    assert_eq!(got.trim(), expected.trim(), "{got}");
    told
}

/// A push fails and says this.
#[track_caller]
fn fails(world: &World, commit: &str, expected: &str) -> Told {
    told(world, &world.push_delivery(commit).send(), expected)
}

/// A push fails and says this; what it says is done; then the push is deployed.
#[track_caller]
fn is_mended(world: &World, commit: &str, expected: &str) {
    fails(world, commit, expected).obey(world);
    let reply = world.push_delivery(commit).send();
    assert_eq!(reply.status, 200, "{reply:#?}");
    assert_eq!(world.head(), commit, "{reply:#?}");
}

// ---- files in the way

#[test]
fn changed_files_in_the_way() {
    let world = World::new();
    fs::write(world.path("checkout/index.html"), "mine").unwrap();
    let commit = world.push("two");
    is_mended(
        &world,
        &commit,
        r"
files that were changed here are in the way: index.html
-> put them into a stash (git stash list shows it, git stash pop brings them back), then press Redeliver:
$ git -C '<world>/checkout' stash push -- index.html
",
    );
    let kept = world.git(&world.checkout(), &["stash", "show", "-p"]);
    assert!(kept.contains("+mine"), "{kept}");
}

#[test]
fn changed_files_in_the_way_that_git_was_told_not_to_see() {
    for mark in ["--skip-worktree", "--assume-unchanged"] {
        for folder in ["checkout", "checkout/posts"] {
            let world = World::new();
            let (file, submodule) = match folder {
                "checkout" => ("index.html", ""),
                _ => ("first.md", " in the submodule posts"),
            };
            let place = world.path(folder);
            world.git(&place, &["update-index", mark, file]);
            fs::write(place.join(file), "mine").unwrap();
            let commit = if submodule.is_empty() {
                world.push("two")
            } else {
                let post = world.push_to("posts", "first.md", "theirs", "Again");
                world.point_submodule_at(&post);
                world.push("two")
            };
            let new = if submodule.is_empty() {
                ""
            } else {
                ". The main tree is new already; not at the recorded commit: posts"
            };
            is_mended(
                &world,
                &commit,
                &format!(
                    "
files that were changed here are in the way{submodule}: {file}; git was told not to see changes of {file}{new}
-> let git see them again, and put them into a stash (git stash list shows it, git stash pop brings them back), then press Redeliver:
$ git -C '<world>/{folder}' update-index --no-skip-worktree -- {file}
$ git -C '<world>/{folder}' update-index --no-assume-unchanged -- {file}
$ git -C '<world>/{folder}' stash push -- {file}
"
                ),
            );
            let kept = world.git(&place, &["stash", "show", "-p"]);
            assert!(kept.contains("+mine"), "{kept}");
        }
    }
}

#[test]
fn unknown_files_in_the_way() {
    let world = World::new();
    fs::write(world.path("checkout/a page.html"), "mine").unwrap();
    let commit = world.push_to("site", "a page.html", "theirs", "A page");
    is_mended(
        &world,
        &commit,
        r"
files that git does not know are in the way: a page.html
-> put them into a stash (git stash list shows it, git stash pop brings them back), then press Redeliver:
$ git -C '<world>/checkout' stash push --include-untracked -- 'a page.html'
",
    );
    assert_eq!(world.read("checkout/a page.html"), "theirs");
}

#[test]
fn a_folder_with_unknown_files_in_the_way_of_a_file() {
    let world = World::new();
    fs::create_dir(world.path("checkout/page")).unwrap();
    fs::write(world.path("checkout/page/mine"), "mine").unwrap();
    let commit = world.push_to("site", "page", "theirs", "A page");
    is_mended(
        &world,
        &commit,
        r"
files that git does not know are in the way: page
-> put them into a stash (git stash list shows it, git stash pop brings them back), then press Redeliver:
$ git -C '<world>/checkout' stash push --include-untracked -- page
",
    );
}

#[test]
fn an_edit_in_a_submodule_in_the_way() {
    let world = World::new();
    fs::write(world.path("checkout/posts/first.md"), "mine").unwrap();
    let post = world.push_to("posts", "first.md", "theirs", "Again");
    world.point_submodule_at(&post);
    let commit = world.push("two");
    is_mended(
        &world,
        &commit,
        r"
files that were changed here are in the way in the submodule posts: first.md. The main tree is new already; not at the recorded commit: posts
-> put them into a stash (git stash list shows it, git stash pop brings them back), then press Redeliver:
$ git -C '<world>/checkout/posts' stash push -- first.md
",
    );
    assert_eq!(world.read("checkout/posts/first.md"), "theirs");
}

#[test]
fn files_in_the_way_of_a_new_submodule() {
    let world = World::new();
    fs::create_dir(world.path("checkout/more")).unwrap();
    fs::write(world.path("checkout/more/mine"), "mine").unwrap();
    let seed = world.path("seed/site");
    let url = world.origin.url("me/posts.git");
    world.git(&seed, &["submodule", "--quiet", "add", &url, "more"]);
    let commit = world.push("two");
    is_mended(
        &world,
        &commit,
        r"
files are in the way of the submodule <world>/checkout/more. The main tree is new already; not at the recorded commit: more
-> move them away, then press Redeliver:
$ mv -T '<world>/checkout/more' '<world>/checkout/more.kept'
",
    );
    assert_eq!(world.read("checkout/more.kept/mine"), "mine");
}

// ---- the branch

#[test]
fn commits_that_were_made_here() {
    let world = World::new();
    let pushed = world.head();
    world.git(
        &world.checkout(),
        &["commit", "-q", "--allow-empty", "-m", "mine"],
    );
    let mine = world.head();
    fails(&world, &pushed, r#"
main here is 1 commit ahead of origin/main: commits were made here, or a push took some back
-> push them from here (git push), or make this checkout what was pushed; its own commits stay in a branch called kept-… (or set update = "reset" in <world>/cgi-bin/deploy.cgi, which does the like at each deploy):
$ git -C '<world>/checkout' branch -f kept-$(git -C '<world>/checkout' rev-parse --short HEAD)
$ git -C '<world>/checkout' reset --keep origin/main
"#).obey(&world);
    world.push_delivery(&pushed).send().expect(200, "deployed");
    assert_eq!(world.head(), pushed);
    let kept = world.git(&world.checkout(), &["branch", "--contains", &mine]);
    assert!(kept.contains("kept-"), "{kept}");
}

#[test]
fn commits_here_and_there() {
    let world = World::new();
    world.git(
        &world.checkout(),
        &["commit", "-q", "--allow-empty", "-m", "mine"],
    );
    let commit = world.push("two");
    is_mended(
        &world,
        &commit,
        r#"
main here and origin/main have gone separate ways (1 commit of its own here, 1 there): commits were made here, or origin/main was rewritten
-> make this checkout what was pushed; its own commits stay in a branch called kept-… (or set update = "reset" in <world>/cgi-bin/deploy.cgi, which does the like at each deploy):
$ git -C '<world>/checkout' branch -f kept-$(git -C '<world>/checkout' rev-parse --short HEAD)
$ git -C '<world>/checkout' reset --keep origin/main
"#,
    );
}

#[test]
fn a_branch_that_was_rewritten() {
    let world = World::new();
    let seed = world.path("seed/site");
    world.git(&seed, &["commit", "-q", "--amend", "-m", "Rewritten"]);
    world.force_push();
    let commit = world.head_of("seed/site");
    is_mended(
        &world,
        &commit,
        r#"
main here and origin/main have gone separate ways (1 commit of its own here, 1 there): commits were made here, or origin/main was rewritten
-> make this checkout what was pushed; its own commits stay in a branch called kept-… (or set update = "reset" in <world>/cgi-bin/deploy.cgi, which does the like at each deploy):
$ git -C '<world>/checkout' branch -f kept-$(git -C '<world>/checkout' rev-parse --short HEAD)
$ git -C '<world>/checkout' reset --keep origin/main
"#,
    );
}

#[test]
fn a_shallow_clone_whose_branch_was_rewritten() {
    let world = World::new();
    world.push("two");
    fs::remove_dir_all(world.checkout()).unwrap();
    let url = world.origin.url("me/site.git");
    world.git(
        &world.path(""),
        &["clone", "-q", "--depth=1", "--recursive", &url, "checkout"],
    );
    let seed = world.path("seed/site");
    world.git(&seed, &["checkout", "-q", "--orphan", "new"]);
    world.git(&seed, &["commit", "-q", "-m", "Begin anew"]);
    world.git(&seed, &["branch", "-M", "main"]);
    world.force_push();
    let commit = world.head_of("seed/site");
    is_mended(
        &world,
        &commit,
        r#"
main here and origin/main have gone separate ways (1 commit of its own here, 1 there): commits were made here, or origin/main was rewritten
-> make this checkout what was pushed; its own commits stay in a branch called kept-… (or set update = "reset" in <world>/cgi-bin/deploy.cgi, which does the like at each deploy):
$ git -C '<world>/checkout' branch -f kept-$(git -C '<world>/checkout' rev-parse --short HEAD)
$ git -C '<world>/checkout' reset --keep origin/main
"#,
    );
}

#[test]
fn a_detached_head() {
    let world = World::new();
    world.git(&world.checkout(), &["checkout", "-q", "--detach"]);
    let commit = world.push("two");
    is_mended(
        &world,
        &commit,
        r"
no branch is checked out (HEAD is detached)
-> check out the branch to deploy, then press Redeliver:
$ git -C '<world>/checkout' switch main
",
    );
}

#[test]
fn a_branch_without_an_upstream() {
    let world = World::new();
    world.git(&world.checkout(), &["branch", "-q", "--unset-upstream"]);
    let commit = world.push("two");
    is_mended(
        &world,
        &commit,
        r"
main has no upstream to pull from
-> give it an upstream at the remote, then press Redeliver:
$ git -C '<world>/checkout' branch --set-upstream-to=origin/main main
",
    );
}

#[test]
fn a_last_deploy_that_failed_is_a_warning_until_one_is_good() {
    let mut world = World::new();
    let last = |world: &World| {
        let check = world.verb(&["check", "--json"]);
        let all: Value = serde_json::from_str(&check.stdout).unwrap();
        let findings = all["findings"].as_array().unwrap().clone();
        let last = findings
            .into_iter()
            .find(|one| one["what"] == "last deploy");
        let last = last.unwrap();
        (last["state"].clone(), last["commands"].clone())
    };
    world.key("on_update", "\"false\"");
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(500, "failed");
    let (state, commands) = last(&world);
    assert_eq!(state, "warning");
    let command = commands[0].as_str().unwrap();
    assert!(
        command.ends_with(&format!("status {DELIVERY}")),
        "{command}"
    );
    world.key("on_update", "\"true\"");
    world.push_delivery(&commit).send().expect(200, "deployed");
    assert_eq!(last(&world).0, "ok");
}

#[test]
fn a_branch_that_follows_one_of_the_same_checkout() {
    let world = World::new();
    world.git(&world.checkout(), &["branch", "-q", "live"]);
    let upstream = ["branch", "-q", "--set-upstream-to=live"];
    world.git(&world.checkout(), &upstream);
    let commit = world.push("two");
    is_mended(
        &world,
        &commit,
        r"
main follows another branch of this checkout, where nothing comes from GitHub
-> give it an upstream at the remote, then press Redeliver:
$ git -C '<world>/checkout' branch --set-upstream-to=origin/main main
",
    );
}

#[test]
fn another_branch_than_the_sites() {
    let mut world = World::new();
    world.git(&world.checkout(), &["checkout", "-q", "-b", "other"]);
    world.key("branch", "\"main\"");
    let commit = world.push("two");
    is_mended(
        &world,
        &commit,
        r"
other is checked out, but the site's `branch` is main
-> check it out, then press Redeliver:
$ git -C '<world>/checkout' switch main
",
    );
}

#[test]
fn a_branch_that_is_gone_at_the_remote() {
    let world = World::new();
    let bare = world.path("upstream/me/site.git");
    world.git(&bare, &["branch", "-m", "main", "trunk"]);
    fails(
        &world,
        &world.head(),
        r"
origin/main is no longer at http://<origin>/me/site.git
-> push it again, or follow another branch with git switch. Which there are:
$ git -C '<world>/checkout' ls-remote --heads origin
",
    );
}

#[test]
fn a_branch_that_is_not_kept_when_it_is_fetched() {
    for update in ["fast-forward", "reset"] {
        let mut world = World::new();
        world.key("update", &quoted(update));
        let other = "+refs/heads/other:refs/remotes/origin/other";
        world.git(
            &world.path("seed/site"),
            &["push", "-q", "origin", "main:other"],
        );
        world.git(&world.checkout(), &["config", "remote.origin.fetch", other]);
        world.git(
            &world.checkout(),
            &["update-ref", "-d", "refs/remotes/origin/main"],
        );
        let ping = world.ping_delivery().send();
        ping.expect(500, "pong");
        ping.says("git keeps no origin/main here");
        let commit = world.push("two");
        is_mended(
            &world,
            &commit,
            r"
git keeps no origin/main here to compare a pull with
-> have it fetched, then press Redeliver:
$ git -C '<world>/checkout' remote set-branches --add origin main
$ git -C '<world>/checkout' fetch origin
",
        );
    }
}

#[test]
fn an_upstream_that_is_no_whole_ref() {
    for update in ["fast-forward", "reset"] {
        let mut world = World::new();
        world.key("update", &quoted(update));
        world.git(&world.checkout(), &["config", "branch.main.merge", "main"]);
        world.ping_delivery().send().expect(500, "pong");
        let commit = world.push("two");
        is_mended(
            &world,
            &commit,
            r"
git keeps no origin/main here to compare a pull with
-> branch.main.merge has to be a whole ref, such as refs/heads/main; set it again, then press Redeliver:
$ git -C '<world>/checkout' branch --set-upstream-to=origin/main main
",
        );
    }
}

#[test]
fn a_url_in_the_place_of_a_remote() {
    for update in ["fast-forward", "reset"] {
        let mut world = World::new();
        world.key("update", &quoted(update));
        let url = world
            .origin
            .url_with_login("me:s3cr3tt0ken", "auth/me/site.git");
        world.git(&world.checkout(), &["config", "branch.main.remote", &url]);
        world.ping_delivery().send().expect(500, "pong");
        let commit = world.push("two");
        is_mended(
            &world,
            &commit,
            r#"
git keeps no http://***@<origin>/auth/me/site.git/main here to compare a pull with
-> a URL stands where the name of a remote should; give it one, then press Redeliver:
$ git -C '<world>/checkout' remote add upstream "$(git -C '<world>/checkout' config branch.main.remote)"
$ git -C '<world>/checkout' fetch upstream
$ git -C '<world>/checkout' branch --set-upstream-to=upstream/main main
"#,
        );
    }
}

#[test]
fn a_merge_that_somebody_began() {
    let world = World::new();
    let checkout = world.checkout();
    world.git(&checkout, &["checkout", "-q", "-b", "mine"]);
    fs::write(world.path("checkout/index.html"), "mine").unwrap();
    world.git(&checkout, &["commit", "-q", "-a", "-m", "mine"]);
    world.git(&checkout, &["checkout", "-q", "main"]);
    let commit = world.push("two");
    world.git(&checkout, &["pull", "-q", "--no-recurse-submodules"]);
    let mut merge = world.clean("git");
    merge.arg("-C").arg(&checkout).args(["merge", "-q", "mine"]);
    assert!(!merge.status().unwrap().success(), "a conflict");
    let commit_three = world.push("three");
    assert_ne!(commit, commit_three);
    is_mended(
        &world,
        &commit_three,
        r"
a merge that somebody began here is not finished
-> finish it, or give it up; then press Redeliver. To give it up:
$ git -C '<world>/checkout' merge --abort
",
    );
}

#[test]
fn what_somebody_began_and_did_not_finish() {
    for (begin, what, give_up) in [
        ("git cherry-pick mine", "cherry-pick", "cherry-pick --abort"),
        ("git revert -n HEAD~1", "revert", "revert --abort"),
        ("git rebase mine", "rebase", "rebase --abort"),
        ("git rebase --apply mine", "rebase", "rebase --abort"),
        ("git am -3 ../patch", "git am", "am --abort"),
        (
            "git bisect start; git bisect bad; git bisect good HEAD~3",
            "bisection",
            "bisect reset",
        ),
    ] {
        let world = World::new();
        for content in ["two", "three", "four"] {
            world.push(content);
        }
        let begun = format!(
            "cd checkout; git config user.name Me; git config user.email me@example.org
             git pull -q --no-recurse-submodules; git checkout -q -b mine HEAD~1
             echo mine >index.html; git commit -q -a -m mine; git format-patch -1 --stdout >../patch
             git checkout -q main; [ '{what}' != rebase ] || git commit -q --allow-empty -m 'On top'
             {begin}"
        );
        let mut shell = world.clean("/bin/sh");
        let output = shell.args(["-c", &begun]).output().unwrap();
        let commit = world.push("five");
        let cause = format!("a {what} that somebody began here is not finished");
        let words = "finish it, or give it up; then press Redeliver. To give it up";
        let command = format!("$ git -C '<world>/checkout' {give_up}");
        let told = fails(&world, &commit, &format!("{cause}\n-> {words}:\n{command}"));
        told.obey(&world);
        let reply = world.push_delivery(&commit).send();
        if what == "rebase" {
            reply.says("main here and origin/main have gone separate ways");
        } else {
            assert_eq!(world.head(), commit, "{begin}: {reply:#?} {output:?}");
        }
    }
}

#[test]
fn a_stash_that_does_not_fit() {
    let world = World::new();
    let commit = world.push("two");
    let begun = "cd checkout; echo mine >index.html; git stash -q; \
                 git pull -q --no-recurse-submodules; git stash pop";
    let mut shell = world.clean("/bin/sh");
    let output = shell.args(["-c", begun]).output().unwrap();
    assert_eq!(world.head(), commit, "{output:?}");
    is_mended(
        &world,
        &world.push("three"),
        r"
files here are in conflict: what somebody took from a stash or a patch does not fit
-> mend them and name them to git add; or go back to the last commit (a stash that did not fit is still there: git stash list). Then press Redeliver. To go back:
$ git -C '<world>/checkout' reset --merge
",
    );
    let kept = world.git(&world.checkout(), &["stash", "show", "-p"]);
    assert!(kept.contains("+mine"), "{kept}");
}

#[test]
fn a_branch_named_like_a_folder_of_one_that_is_gone() {
    let world = World::new();
    let seed = world.path("seed/site");
    world.git(&seed, &["push", "-q", "origin", "main:topic"]);
    world.git(&world.checkout(), &["fetch", "-q"]);
    world.git(&seed, &["push", "-q", "origin", ":topic"]);
    world.git(&seed, &["push", "-q", "origin", "main:topic/one"]);
    let commit = world.push("two");
    is_mended(
        &world,
        &commit,
        r"
the branch refs/remotes/origin/topic was removed at the remote, and one that is named like a folder of it came
-> forget branches that are gone, then press Redeliver:
$ git -C '<world>/checkout' remote prune origin
",
    );
}

#[test]
fn files_that_git_writes_to_another_folder() {
    for update in ["fast-forward", "reset"] {
        let mut world = World::new();
        world.key("update", &quoted(update));
        fs::create_dir(world.path("else where")).unwrap();
        let there = text(&world.path("else where"));
        world.git(&world.checkout(), &["config", "core.worktree", &there]);
        let commit = world.push("two");
        let check = world.verb(&["check"]);
        check.expect_exit(1);
        check.says("core.worktree");
        is_mended(
            &world,
            &commit,
            r"
git writes the files to <world>/else where, as core.worktree says, and not to the checkout <world>/checkout
-> have them written to the checkout, then press Redeliver:
$ git -C '<world>/checkout' config --unset core.worktree
",
        );
        assert_eq!(world.read("checkout/index.html"), "two");
        assert_eq!(fs::read_dir(&there).unwrap().count(), 0);
    }
}

#[test]
fn files_of_one_worktree_that_git_writes_to_another_folder() {
    let world = World::new();
    let set = |words: &[&str]| world.git(&world.checkout(), &[&["config"], words].concat());
    fs::create_dir(world.path("else")).unwrap();
    set(&["extensions.worktreeConfig", "true"]);
    set(&["--worktree", "core.worktree", "../../else"]);
    let commit = world.push("two");
    is_mended(
        &world,
        &commit,
        r"
git writes the files to <world>/else, as core.worktree says, and not to the checkout <world>/checkout
-> have them written to the checkout, then press Redeliver:
$ git -C '<world>/checkout' config --worktree --unset core.worktree
",
    );
    // A name for the checkout itself is none of another folder.
    set(&["--worktree", "core.worktree", "../../checkout"]);
    let commit = world.push("three");
    world.push_delivery(&commit).send().expect(200, "deployed");
    assert_eq!(world.read("checkout/index.html"), "three");
}

#[test]
fn a_tag_that_was_moved() {
    for update in ["fast-forward", "reset"] {
        let mut world = World::new();
        world.key("update", &quoted(update));
        let (seed, checkout) = (world.path("seed/site"), world.checkout());
        let push_tag = |content: &str| {
            let commit = world.push(content);
            world.git(&seed, &["tag", "-f", "live"]);
            world.git(&seed, &["push", "-q", "-f", "origin", "live"]);
            commit
        };
        push_tag("two");
        world.git(&checkout, &["config", "remote.origin.tagOpt", "--tags"]);
        world.git(&checkout, &["fetch", "-q"]);
        let commit = push_tag("three");
        is_mended(
            &world,
            &commit,
            r"
the tag live is another one at the remote than here
-> take over the remote's tags, then press Redeliver. Where remote.origin.tagOpt is --tags, it comes again with the next tag that is moved, until that is unset:
$ git -C '<world>/checkout' fetch --tags --force origin
",
        );
        assert_eq!(world.git(&checkout, &["rev-parse", "live"]), commit);
    }
}

// ---- locks

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

// ---- damage

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
$ mv '<world>/checkout' '<world>/checkout.broken'
$ git clone --recurse-submodules --branch main http://<origin>/me/site.git '<world>/checkout'
").obey(&world);
    let reply = world.push_delivery(&commit).send();
    assert_eq!(reply.status, 200, "{reply:#?}");
    assert_eq!(world.head(), commit);
}

// ---- the remote

fn set_url(world: &World, url: &str) {
    world.git(&world.checkout(), &["remote", "set-url", "origin", url]);
}

#[test]
fn a_private_remote_without_a_login() {
    let world = World::new();
    set_url(&world, &world.origin.url("auth/me/site.git"));
    fails(
        &world,
        &world.head(),
        r"
http://<origin>/auth/me/site.git is private or not there: it wants a login, and <user> has none stored
-> store the login for <user> (git asks for it once), then press Redeliver:
$ git config --global credential.helper store
$ git -C '<world>/checkout' fetch origin
",
    );
}

#[test]
fn a_login_that_is_refused() {
    let world = World::new();
    set_url(
        &world,
        &world
            .origin
            .url_with_login("me:n0-such-login", "auth/me/site.git"),
    );
    fails(
        &world,
        &world.head(),
        r"
http://<origin>/auth/me/site.git refuses the login that stands in the remote's URL: it is not the right one, or has expired
-> take it out, and let git store a new one (it asks once); or use a deploy key. Then press Redeliver:
$ git -C '<world>/checkout' remote set-url origin http://<origin>/auth/me/site.git
$ git config --global credential.helper store
$ git -C '<world>/checkout' fetch origin
",
    );
}

#[test]
fn a_remote_that_is_not_there() {
    let world = World::new();
    set_url(&world, &world.origin.url("me/site-is-gone.git"));
    let commit = world.head();
    let mut payload = world.payload(&commit);
    payload["repository"]["full_name"] = "me/site-is-gone".into();
    let reply = world.delivery("push", payload.to_string()).send();
    told(
        &world,
        &reply,
        r#"
http://<origin>/me/site-is-gone.git is not there, or <user> may not see it
-> correct the URL (git remote set-url). GitHub says "not found" also for a private repository without access; then use a deploy key. What is used now:
$ git -C '<world>/checkout' remote -v
"#,
    );
}

#[test]
fn a_host_that_has_no_address() {
    let world = World::new();
    set_url(&world, "http://host.invalid/me/site.git");
    fails(
        &world,
        &world.head(),
        r"
the name of the host of http://host.invalid/me/site.git cannot be resolved
-> check the spelling, and the host's DNS; then press Redeliver:
$ getent hosts host.invalid
",
    );
}

#[test]
fn a_host_that_refuses_the_connection() {
    let world = World::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    set_url(&world, &format!("http://127.0.0.1:{port}/me/site.git"));
    let told = failed(&world.push_delivery(&world.head()).send());
    assert_eq!(
        (told.cause, told.words.as_str()),
        (
            format!("http://127.0.0.1:{port}/me/site.git cannot be reached from here"),
            "press Redeliver once it is up. Some hosts let nothing out: ask for outgoing port 80"
        )
    );
}

#[test]
fn a_remote_that_does_not_answer_in_time() {
    let mut world = World::new();
    world.key("timeout", "\"1s\"");
    set_url(&world, &world.origin.url("hang/me/site.git"));
    fails(
        &world,
        &world.head(),
        r"
git ended after its limit of <time>
-> if it needs longer than <time>, raise `timeout` in <world>/cgi-bin/deploy.cgi; then press Redeliver
",
    );
}

#[test]
fn a_remote_on_this_host_that_belongs_to_somebody_else() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let world = World::new();
    let bare = world.path("upstream/me/site.git");
    std::os::unix::fs::chown(&bare, Some(12345), Some(12345)).unwrap();
    set_url(&world, &text(&bare));
    let commit = world.push("two");
    is_mended(
        &world,
        &commit,
        r"
the remote <world>/upstream/me/site.git belongs to uid 12345, so git does not trust it when <user> reads it
-> let <user> trust it, then press Redeliver:
$ git config --global --add safe.directory '<world>/upstream/me/site.git'
",
    );
}

// ---- submodules

#[test]
fn a_submodule_whose_url_leads_nowhere() {
    let world = World::new();
    world.git(
        &world.checkout(),
        &[
            "config",
            "submodule.posts.url",
            &world.origin.url("me/gone.git"),
        ],
    );
    world.git(
        &world.path("checkout/posts"),
        &[
            "remote",
            "set-url",
            "origin",
            &world.origin.url("me/gone.git"),
        ],
    );
    let (commit, post) = world.push_with_post("two");
    is_mended(
        &world,
        &commit,
        r#"
http://<origin>/me/gone.git, the remote of the submodule posts, is not there, or <user> may not see it. The main tree is new already; not at the recorded commit: posts
-> if .gitmodules has another URL by now, use that; else mend it there and push. GitHub says "not found" also for a private repository without access; then a deploy key helps:
$ git -C '<world>/checkout' submodule sync --recursive
$ git -C '<world>/checkout' submodule update --init --recursive
"#,
    );
    assert_eq!((world.head(), world.submodule_head()), (commit, post));
}

#[test]
fn a_new_submodule_that_is_private() {
    let world = World::new();
    let seed = world.path("seed/site");
    let url = world.origin.url("auth/me/posts.git");
    fs::write(
        seed.join(".gitmodules"),
        format!(
            "[submodule \"posts\"]\n\tpath = posts\n\turl = {}\n[submodule \"more\"]\n\tpath = more\n\turl = {url}\n",
            world.origin.url("me/posts.git")
        ),
    )
    .unwrap();
    world.git(&seed, &["add", ".gitmodules"]);
    let link = format!("160000,{},more", world.head_of("seed/posts"));
    world.git(&seed, &["update-index", "--add", "--cacheinfo", &link]);
    let commit = world.push("two");
    let reply = world.push_delivery(&commit).send();
    told(
        &world,
        &reply,
        r"
http://<origin>/auth/me/posts.git is private or not there: it wants a login, and <user> has none stored. The main tree is new already; not at the recorded commit: more
-> store the login for <user> (git asks for it once), then press Redeliver:
$ git config --global credential.helper store
$ git -C '<world>/checkout' fetch origin
",
    );
}

#[test]
fn a_submodule_commit_that_was_not_pushed() {
    let world = World::new();
    let post = world.commit("posts", "second.md", "two", "Not pushed");
    world.point_submodule_at(&post);
    let commit = world.push("two");
    let reply = world.push_delivery(&commit).send();
    told(&world, &reply, r"
the commit <id> that the checkout records for the submodule posts is not at the submodule's remote. The main tree is new already; not at the recorded commit: posts
-> push it where it was made (git push --recurse-submodules=on-demand), then press Redeliver. If the submodule moved to another URL by now, use that:
$ git -C '<world>/checkout' submodule sync --recursive
").obey(&world);
    world.git(&world.path("seed/posts"), &["push", "-q", "origin", "main"]);
    world.push_delivery(&commit).send().expect(200, "deployed");
}

#[test]
fn a_repository_inside_that_is_no_submodule() {
    let world = World::new();
    let seed = world.path("seed/site");
    let link = format!("160000,{},inner", world.head_of("seed/posts"));
    world.git(&seed, &["update-index", "--add", "--cacheinfo", &link]);
    let commit = world.push("two");
    let reply = world.push_delivery(&commit).send();
    told(
        &world,
        &reply,
        r#"
inner was committed as a repository inside the repository, without being a submodule. The main tree is new already; not at the recorded commit: inner
-> where the site is written, take it out (or add it as a submodule: git submodule add), commit and push; or set submodules = "skip". To take it out, there:
$ git rm --cached inner
"#,
    );
}

#[test]
fn a_submodule_from_a_path() {
    let world = World::new();
    let seed = world.path("seed/site");
    let path = text(&world.path("upstream/me/posts.git"));
    fs::write(
        seed.join(".gitmodules"),
        format!("[submodule \"more\"]\n\tpath = more\n\turl = \"{path}\"\n"),
    )
    .unwrap();
    world.git(&seed, &["add", ".gitmodules"]);
    world.git(&seed, &["rm", "-q", "--cached", "posts"]);
    let link = format!("160000,{},more", world.head_of("seed/posts"));
    world.git(&seed, &["update-index", "--add", "--cacheinfo", &link]);
    let commit = world.push("two");
    is_mended(
        &world,
        &commit,
        r"
git does not clone a submodule from a path on this machine. The main tree is new already; not at the recorded commit: more
-> give the submodule a URL in .gitmodules; or allow paths, then press Redeliver:
$ git config --global protocol.file.allow always
",
    );
}

#[test]
fn a_submodule_that_lost_its_repository() {
    let world = World::new();
    fs::remove_dir_all(world.path("checkout/.git/modules/posts")).unwrap();
    let (commit, post) = world.push_with_post("two");
    is_mended(
        &world,
        &commit,
        r"
the submodule <world>/checkout/posts has lost its repository. The main tree is new already; not at the recorded commit: posts
-> move it away, then press Redeliver: it is cloned anew:
$ mv -T '<world>/checkout/posts' '<world>/checkout/posts.kept'
",
    );
    assert_eq!(world.submodule_head(), post);
}

#[test]
fn a_link_where_a_submodule_belongs() {
    let world = World::new();
    let seed = world.path("seed/site");
    let url = world.origin.url("me/posts.git");
    world.git(&seed, &["submodule", "--quiet", "add", &url, "lib/a"]);
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "deployed");
    fs::rename(world.path("checkout/lib"), world.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", world.path("checkout/lib")).unwrap();
    let commit = world.push("three");
    is_mended(
        &world,
        &commit,
        r"
a symbolic link is in the way of a submodule: <world>/checkout/lib. The main tree is new already; not at the recorded commit: lib/a
-> move it away, then press Redeliver:
$ mv -T '<world>/checkout/lib' '<world>/checkout/lib.kept'
",
    );
    assert!(world.exists("checkout/lib/a/first.md"));
    assert!(world.path("checkout/lib.kept").is_symlink());
}

#[test]
fn a_submodule_that_is_to_follow_what_it_does_not_know() {
    let with = |before: &[&str]| {
        let mut world = World::new();
        world.key("submodules", "\"latest\"");
        world.git(&world.path("checkout/posts"), before);
        world.push_to("posts", "second.md", "two", "A post");
        let commit = world.push("two");
        (world, commit)
    };
    let (world, commit) = with(&["remote", "rename", "origin", "forge"]);
    is_mended(
        &world,
        &commit,
        r#"
the remote of the submodule posts is called forge, and git follows a submodule at "origin" only. The main tree is new already; not at the recorded commit: posts
-> give it that name, then press Redeliver:
$ git -C '<world>/checkout/posts' remote rename forge origin
"#,
    );
    let (world, commit) = with(&["remote", "set-head", "origin", "--delete"]);
    is_mended(
        &world,
        &commit,
        r"
the default branch of the submodule posts is not known here. The main tree is new already; not at the recorded commit: posts
-> have the remote asked for it, then press Redeliver:
$ git -C '<world>/checkout/posts' remote set-head origin --auto
",
    );
    assert_eq!(world.read("checkout/posts/second.md"), "two");
    let (world, _) = with(&["status"]);
    let branch = [
        "config",
        "-f",
        ".gitmodules",
        "submodule.posts.branch",
        "drafts",
    ];
    world.git(&world.path("seed/site"), &branch);
    world.git(&world.path("seed/site"), &["add", ".gitmodules"]);
    fails(
        &world,
        &world.push("three"),
        r"
the submodule posts is to follow drafts, which is not at its remote. The main tree is new already; not at the recorded commit: posts
-> push that branch, or name another one in .gitmodules where the site is written. Which there are:
$ git -C '<world>/checkout/posts' ls-remote --heads origin
",
    )
    .obey(&world);
}

// ---- what git needs

#[test]
fn files_of_git_lfs_without_git_lfs() {
    let mut world = World::new();
    // All that is here but git-lfs.
    let bin = world.path("bin");
    fs::create_dir(&bin).unwrap();
    for program in fs::read_dir("/usr/bin").unwrap().flatten() {
        if program.file_name() != "git-lfs" {
            std::os::unix::fs::symlink(program.path(), bin.join(program.file_name())).unwrap();
        }
    }
    world.key("path", &quoted(bin.to_str().unwrap()));
    fs::write(
        world.path("home/site.gitconfig"),
        "[filter \"lfs\"]\n\tclean = git-lfs clean -- %f\n\tsmudge = git-lfs smudge -- %f\n\
         \tprocess = git-lfs filter-process\n\trequired = true\n",
    )
    .unwrap();
    let seed = world.path("seed/site");
    fs::write(seed.join(".gitattributes"), "*.png filter=lfs\n").unwrap();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    fs::write(seed.join("a.png"), pointer).unwrap();
    world.git(&seed, &["add", "."]);
    let commit = world.push("two");
    let reply = world.push_delivery(&commit).send();
    let told = told(
        &world,
        &reply,
        r"
the repository keeps files with git-lfs, which is not installed here
-> install it and switch it on, then press Redeliver:
$ apt-get install git-lfs
$ git lfs install
",
    );
    assert_eq!(told.commands.len(), 2);
}

#[test]
fn limits_of_the_host_that_cannot_be_had_here() {
    let mut all = String::new();
    for said in [
        "error: unable to write file index.html: No space left on device",
        "error: unable to write file index.html: Disk quota exceeded",
        "fatal: unable to open object pack directory: Too many open files",
        "error: cannot fork() for git-remote-https: Resource temporarily unavailable",
        "fatal: Out of memory, malloc failed (tried to allocate 1024 bytes)",
        "error: git-remote-https died of signal 9",
        "error: unable to create file index.html: Read-only file system",
        "fatal: unable to access x: SSL certificate problem: certificate has expired",
        "fatal: unable to access x: The requested URL returned error: 502",
        "error: unknown option `no-recurse-submodules",
        "fatal: remote error: access denied or repository not exported: /site",
        "fatal: the remote end hung up unexpectedly",
        // Killed, as a host does it that is short of memory.
        "'; kill -9 $$; echo '",
    ] {
        let mut world = World::new();
        let commit = world.push("two");
        world.fake_git("pull", &Fault::Fail(said));
        let told = failed(&world.push_delivery(&commit).send());
        writeln!(all, "== {said}\n{}", told.plain(&world)).unwrap();
    }
    assert_eq!(all.trim(), LIMITS.trim(), "{all}");
}

const LIMITS: &str = r#"
== error: unable to write file index.html: No space left on device
the disk is full
-> free some space, then press Redeliver; what was half written is put right then. How much is used:
$ df -h '<world>/checkout'

== error: unable to write file index.html: Disk quota exceeded
the disk quota of <user> is used up
-> free some space or ask the host for more, then press Redeliver. What takes the most:
$ du -h -d 2 <home> | sort -h | tail

== fatal: unable to open object pack directory: Too many open files
the host's limit of open files was reached
-> press Redeliver when the host is less busy; ask the host for a higher limit (nofile) if it comes back

== error: cannot fork() for git-remote-https: Resource temporarily unavailable
the host's limit of processes of <user> was reached
-> press Redeliver when the host is less busy; ask the host for a higher limit (NPROC) if it comes back

== fatal: Out of memory, malloc failed (tried to allocate 1024 bytes)
the host's limit of memory was reached
-> let git use less, then press Redeliver; ask the host for a higher limit if it comes back:
$ git -C '<world>/checkout' config pack.threads 1
$ git -C '<world>/checkout' config core.packedGitLimit 64m
$ git -C '<world>/checkout' config core.bigFileThreshold 16m

== error: git-remote-https died of signal 9
the host's limit of memory was reached
-> let git use less, then press Redeliver; ask the host for a higher limit if it comes back:
$ git -C '<world>/checkout' config pack.threads 1
$ git -C '<world>/checkout' config core.packedGitLimit 64m
$ git -C '<world>/checkout' config core.bigFileThreshold 16m

== error: unable to create file index.html: Read-only file system
the file system of <world>/checkout is read-only
-> the host has to mount it for writing (after an error of the disk it is often read-only until a check); then press Redeliver

== fatal: unable to access x: SSL certificate problem: certificate has expired
the certificate of http://<origin>/me/site.git is not trusted here (certificate has expired)
-> bring the host's certificates up to date; for a certificate of your own, name it with git's setting http.sslCAInfo. Then press Redeliver:
$ apt-get install --only-upgrade ca-certificates

== fatal: unable to access x: The requested URL returned error: 502
http://<origin>/me/site.git has trouble of its own
-> press Redeliver later; GitHub's state is at https://www.githubstatus.com

== error: unknown option `no-recurse-submodules
this git is too old, or its installation is not whole
-> install git 2.17 or newer, or name the folder of a newer one with the key `path` in <world>/cgi-bin/deploy.cgi. What is there:
$ git --version
$ git --exec-path

== fatal: remote error: access denied or repository not exported: /site
http://<origin>/me/site.git is not there, or <user> may not see it
-> correct the URL (git remote set-url). GitHub says "not found" also for a private repository without access; then use a deploy key. What is used now:
$ git -C '<world>/checkout' remote -v

== fatal: the remote end hung up unexpectedly
the connection to http://<origin>/me/site.git broke
-> press Redeliver

== '; kill -9 $$; echo '
git was killed by signal 9
-> that is what a host's limit of memory or time does: press Redeliver when it is less busy, and ask the host for a higher limit if it comes back
"#;

#[test]
fn a_failure_that_nobody_knows_shows_gits_own_words() {
    let mut world = World::new();
    let commit = world.push("two");
    world.fake_git("pull", &Fault::Fail("fatal: the sky fell"));
    let reply = world.push_delivery(&commit).send();
    reply.expect(500, "failed");
    reply.says("git said:\n  fatal: the sky fell");
    assert!(!reply.body.contains("What to do"), "{reply:?}");
}

// ---- ssh

/// A person who deploys a world by ssh from this host, with a key that the server takes.
struct OverSsh {
    world: World,
    person: Person,
    sshd: Sshd,
    commit: String,
}

impl OverSsh {
    fn new() -> OverSsh {
        let person = Person::new();
        let mut world = World::new();
        let commit = world.push("two");
        let sshd = Sshd::start(&person);
        set_url(&world, &sshd.url(&person, &world, "me/site.git"));
        person.takes(&mut world);
        OverSsh {
            world,
            person,
            sshd,
            commit,
        }
    }

    fn knows_the_host(&self) {
        self.person.does(&format!(
            "mkdir -p -m 700 .ssh; echo '{}' >>.ssh/known_hosts",
            self.sshd.host_key()
        ));
    }

    fn authorizes(&self, public: &str) {
        self.person
            .does(&format!("echo '{}' >>.ssh/authorized_keys", public.trim()));
    }

    fn plain(&self, words: &str) -> String {
        let words = words
            .replace(&text(&self.person.home), "<home>")
            .replace(&self.person.name, "<person>")
            .replace(&self.sshd.port.to_string(), "<port>");
        self.world.plain(&words)
    }

    /// The deploy fails and says this.
    #[track_caller]
    fn tells(&self, expected: &str) -> Told {
        let run = self.person.verb(&self.world, &["run"]);
        run.expect_exit(1);
        let told = Told::parse(&run.stdout);
        let got = self.plain(&told.text());
        assert_eq!(got.trim(), expected.trim(), "{got}");
        self.person.verb(&self.world, &["check"]).expect_exit(1);
        told
    }

    /// The deploy fails and says this, and the doctor says the same.
    #[track_caller]
    fn fails(&self, expected: &str) -> Told {
        let told = self.tells(expected);
        self.person.verb(&self.world, &["check"]).says(&told.cause);
        told
    }

    /// Types the commands, and returns what the last one prints.
    #[track_caller]
    fn obeys(&self, told: &Told, variables: &[(&str, &str)]) -> String {
        let mut last = String::new();
        for command in &told.commands {
            let output = self.person.shell(command, variables);
            assert!(output.status.success(), "{command}: {output:?}");
            last = String::from_utf8(output.stdout).unwrap();
        }
        last
    }

    #[track_caller]
    fn is_deployed(&mut self) {
        let run = self.person.verb(&self.world, &["run"]);
        run.expect_exit(0);
        assert!(self.sshd.is_running());
        let check = self.person.verb(&self.world, &["check"]);
        check.expect_exit(0);
        assert_eq!(self.world.head(), self.commit);
    }
}

#[test]
#[ignore = "needs sshd and root: ./tests/run"]
fn a_host_key_that_is_not_known() {
    let mut over = OverSsh::new();
    let key = over.person.makes_key("-N ''");
    over.authorizes(&fs::read_to_string(key.with_extension("pub")).unwrap());
    let told = over.fails(r"
ssh does not know the host key of ssh://***@127.0.0.1:<port><world>/upstream/me/site.git: it is not in <home>/.ssh/known_hosts of <person>
-> get the key, compare its fingerprint with the one that the host publishes, and only then accept it with the last line; then press Redeliver:
$ mkdir -p -m 700 <home>/.ssh
$ ssh-keyscan -p <port> 127.0.0.1 ><home>/.ssh/known_hosts.new
$ ssh-keygen -l -f <home>/.ssh/known_hosts.new
$ cat <home>/.ssh/known_hosts.new >><home>/.ssh/known_hosts
");
    over.obeys(&told, &[]);
    over.is_deployed();
}

#[test]
#[ignore = "needs sshd and root: ./tests/run"]
fn a_host_key_that_has_changed() {
    let mut over = OverSsh::new();
    let key = over.person.makes_key("-N ''");
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    over.authorizes(&public);
    let port = over.sshd.port;
    over.person.does(&format!(
        "echo '[127.0.0.1]:{port} {}' >>.ssh/known_hosts",
        public.trim()
    ));
    let told = over.fails(r"
ssh://***@127.0.0.1:<port><world>/upstream/me/site.git shows another host key than the one that is in <home>/.ssh/known_hosts: it has a new one, or somebody stands between
-> compare the fingerprint of the new key with the one that the host publishes. Only if they are the same, forget the old key and accept the new one with the last two lines; then press Redeliver:
$ mkdir -p -m 700 <home>/.ssh
$ ssh-keyscan -p <port> 127.0.0.1 ><home>/.ssh/known_hosts.new
$ ssh-keygen -l -f <home>/.ssh/known_hosts.new
$ ssh-keygen -R '[127.0.0.1]:<port>' -f <home>/.ssh/known_hosts
$ cat <home>/.ssh/known_hosts.new >><home>/.ssh/known_hosts
");
    over.obeys(&told, &[]);
    over.is_deployed();
}

#[test]
#[ignore = "needs sshd and root: ./tests/run"]
fn another_host_key_than_githubs() {
    let over = OverSsh::new();
    over.person.makes_key("-N ''");
    let port = over.sshd.port;
    over.person.does(&format!(
        "printf 'Host github.com\\n HostName 127.0.0.1\\n Port {port}\\n HostKeyAlias github.com\\n' >.ssh/config"
    ));
    over.person.does(&format!(
        "git -C '{}' remote set-url origin git@github.com:me/site.git",
        text(&over.world.checkout())
    ));
    let told = over.fails(r"
git@github.com:me/site.git shows another host key than the one that is in <world>/checkout/.git/deploy-cgi/known_hosts: it has a new one, or somebody stands between
-> do not go on before you have compared: the keys of GitHub that are built into deploy-cgi are in that file, and GitHub publishes its fingerprints at https://docs.github.com/authentication/keeping-your-account-and-data-secure/githubs-ssh-key-fingerprints. If GitHub has a new key, a newer deploy-cgi has it too
");
    assert!(told.commands.is_empty());
}

#[test]
#[ignore = "needs sshd and root: ./tests/run"]
fn a_key_that_the_remote_does_not_know() {
    let mut over = OverSsh::new();
    over.person.makes_key("-N ''");
    over.knows_the_host();
    let told = over.fails(r"
ssh://***@127.0.0.1:<port><world>/upstream/me/site.git does not accept the key that <person> offers: <home>/.ssh/id_ed25519
-> enter its public half as a deploy key at the host of ssh://***@127.0.0.1:<port><world>/upstream/me/site.git, then press Redeliver. The public half:
$ ssh-keygen -y -f <home>/.ssh/id_ed25519
");
    let public = over.obeys(&told, &[]);
    over.authorizes(&public);
    over.is_deployed();
}

#[test]
#[ignore = "needs sshd and root: ./tests/run"]
fn no_key_at_all() {
    let mut over = OverSsh::new();
    over.knows_the_host();
    let key = over.person.home.join("my keys/blog");
    over.world.key("ssh_key", &quoted(&text(&key)));
    over.person.owns(&over.world.path("cgi-bin"));
    let told = over.fails(r"
ssh://***@127.0.0.1:<port><world>/upstream/me/site.git wants a key, and <person> has none: there is no <home>/my keys/blog
-> make one, enter what the `cat` line shows as a deploy key at the host of ssh://***@127.0.0.1:<port><world>/upstream/me/site.git, then press Redeliver:
$ mkdir -p -m 700 '<home>/my keys'
$ ssh-keygen -q -t <id> -N '' -f '<home>/my keys/blog'
$ cat '<home>/my keys/blog.pub'
");
    let public = over.obeys(&told, &[]);
    over.authorizes(&public);
    over.is_deployed();
}

#[test]
#[ignore = "needs sshd and root: ./tests/run"]
fn a_key_that_others_can_read() {
    let mut over = OverSsh::new();
    let key = over.person.makes_key("-N ''");
    over.authorizes(&fs::read_to_string(key.with_extension("pub")).unwrap());
    over.knows_the_host();
    over.person.does("chmod 644 .ssh/id_ed25519");
    let told = over.fails(
        r"
ssh ignores the key <home>/.ssh/id_ed25519: others can read it
-> close it, then press Redeliver:
$ chmod 600 <home>/.ssh/id_ed25519
",
    );
    over.obeys(&told, &[]);
    over.is_deployed();
}

#[test]
#[ignore = "needs sshd and root: ./tests/run"]
fn a_key_with_a_passphrase() {
    let mut over = OverSsh::new();
    let key = over.person.makes_key("-N 'open sesame'");
    over.authorizes(&fs::read_to_string(key.with_extension("pub")).unwrap());
    over.knows_the_host();
    let told = over.fails(
        r"
the key <home>/.ssh/id_ed25519 has a passphrase, and nobody is there to type it
-> take the passphrase away (the file stays readable by its owner only):
$ ssh-keygen -p -N '' -f <home>/.ssh/id_ed25519
",
    );
    // Somebody is there now to type it.
    over.person
        .does("printf '#!/bin/sh\\necho open sesame\\n' >askpass; chmod 755 askpass");
    let askpass = text(&over.person.home.join("askpass"));
    over.obeys(
        &told,
        &[("SSH_ASKPASS", &askpass), ("SSH_ASKPASS_REQUIRE", "force")],
    );
    over.is_deployed();
}

// ---- two users

#[test]
#[ignore = "needs sshd and root: ./tests/run"]
fn a_git_folder_of_another_users() {
    let mut over = OverSsh::new();
    let key = over.person.makes_key("-N ''");
    over.authorizes(&fs::read_to_string(key.with_extension("pub")).unwrap());
    over.knows_the_host();
    over.person.verb(&over.world, &["run"]).expect_exit(0);
    over.world.git(
        &over.world.path("seed/site"),
        &["config", "safe.directory", "*"],
    );
    over.commit = over.world.push("three");
    let objects = text(&over.world.path("checkout/.git/objects"));
    as_root("chown")
        .args(["-R", "root", &objects])
        .status()
        .unwrap();
    let told = over.tells(
        r"
<person> may not write in <world>/checkout/.git/objects, which belongs to root
-> give the checkout to <person>, then press Redeliver:
$ sudo chown -R <person> '<world>/checkout'
",
    );
    over.obeys(&told, &[]);
    over.is_deployed();
}

#[test]
#[ignore = "needs sshd and root: ./tests/run"]
fn a_file_of_another_users_in_the_work_tree() {
    let mut over = OverSsh::new();
    let key = over.person.makes_key("-N ''");
    over.authorizes(&fs::read_to_string(key.with_extension("pub")).unwrap());
    over.knows_the_host();
    over.person.verb(&over.world, &["run"]).expect_exit(0);
    fs::create_dir_all(over.world.path("seed/site/pages")).unwrap();
    over.commit = over
        .world
        .push_to("site", "pages/one.html", "one", "A page");
    over.person.verb(&over.world, &["run"]).expect_exit(0);
    over.commit = over
        .world
        .push_to("site", "pages/one.html", "two", "A page");
    let pages = text(&over.world.path("checkout/pages"));
    as_root("chown")
        .args(["-R", "root", &pages])
        .status()
        .unwrap();
    let told = over.tells(
        r"
<person> may not write in <world>/checkout/pages/one.html, which belongs to root
-> give the checkout to <person>, then press Redeliver:
$ sudo chown -R <person> '<world>/checkout'
",
    );
    over.obeys(&told, &[]);
    over.is_deployed();
}

#[test]
#[ignore = "needs root: ./tests/run"]
fn run_as_another_user_prints_the_line_for_the_owner() {
    let person = Person::new();
    let mut world = World::new();
    person.takes(&mut world);
    let run = world.verb(&["run"]);
    run.expect_exit(1);
    let line = format!("sudo -u {} '{}' run", person.name, text(&world.site_file()));
    run.says(&line);
}

// ---- the doctor

/// The lines of the doctor's that are not ok.
fn complaints(world: &World) -> String {
    let check = world.verb(&["check", "--json"]);
    let all: Value = serde_json::from_str(&check.stdout).unwrap_or_else(|_| panic!("{check:?}"));
    let healthy = all["healthy"].as_bool().unwrap();
    assert_eq!(check.exit, Some(i32::from(!healthy)));
    let mut lines = String::new();
    for finding in all["findings"].as_array().unwrap() {
        let named = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
        if named("state") == "ok" {
            continue;
        }
        writeln!(
            lines,
            "{} {}: {}",
            named("state"),
            named("what"),
            named("found")
        )
        .unwrap();
        for command in finding["commands"].as_array().unwrap() {
            let command = command.as_str().unwrap().trim_start_matches("sudo ");
            writeln!(lines, "$ {command}").unwrap();
        }
    }
    plain(world, &lines)
}

/// The doctor finds this and nothing else; its commands are typed; then it finds nothing.
#[track_caller]
fn is_cured(world: &World, expected: &str) {
    let check = world.verb(&["check", "--json"]);
    let got = complaints(world);
    assert_eq!(got.trim(), expected.trim(), "{got}");
    let all: Value = serde_json::from_str(&check.stdout).unwrap();
    for finding in all["findings"].as_array().unwrap() {
        for command in finding["commands"].as_array().unwrap() {
            let command = command.as_str().unwrap();
            let mut shell = world.clean("/bin/sh");
            shell.env("GIT_CONFIG_GLOBAL", world.path("home/site.gitconfig"));
            let output = shell.args(["-c", command]).output().unwrap();
            assert!(output.status.success(), "{command}: {output:?}");
        }
    }
    let after = complaints(world);
    assert_eq!(after, "", "{after}");
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_doctor_names_what_suexec_refuses() {
    let world = World::new();
    mode(&world.site_file(), 0o775);
    mode(&world.path("cgi-bin"), 0o777);
    is_cured(
        &world,
        r"
warning suexec: others may write <world>/cgi-bin/deploy.cgi, so suexec does not start it
$ chmod go-w '<world>/cgi-bin/deploy.cgi'
warning suexec: others may write <world>/cgi-bin, so suexec does not start it
$ chmod go-w '<world>/cgi-bin'
",
    );
    let real = world.path("real.cgi");
    fs::rename(world.site_file(), &real).unwrap();
    std::os::unix::fs::symlink(&real, world.site_file()).unwrap();
    is_cured(
        &world,
        r#"
warning suexec: <world>/cgi-bin/deploy.cgi is a symbolic link, which suexec does not start
$ cp --remove-destination "$(readlink -f '<world>/cgi-bin/deploy.cgi')" '<world>/cgi-bin/deploy.cgi'
"#,
    );
}

/// What a person has who cannot start the site file: the program, by hand.
fn by_hand(world: &World) -> String {
    let site = text(&world.site_file());
    let check = world.verb_of(&world.program, &[&site, "check"]);
    check.expect_exit(1);
    let lines = check
        .stdout
        .lines()
        .skip_while(|line| !line.contains("PROBLEM"));
    let found: Vec<&str> = lines
        .take_while(|line| line.starts_with("PROBLEM") || line.starts_with(' '))
        .collect();
    for command in found.iter().filter_map(|line| line.strip_prefix("    ")) {
        if command.starts_with(' ') {
            continue;
        }
        let output = world
            .clean("/bin/sh")
            .args(["-c", command])
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
    }
    plain(world, &found.join("\n"))
}

#[test]
fn a_site_file_that_no_server_can_start() {
    let world = World::new();
    let good = fs::read_to_string(world.site_file()).unwrap();
    let program = text(&world.program);
    let mut all = String::new();
    for bad in [
        good.replace('\n', "\r\n"),
        format!("\u{feff}{good}"),
        good.replacen(&program, "/nowhere/deploy-cgi", 1),
        good.lines().skip(1).collect::<Vec<_>>().join("\n") + "\n",
    ] {
        fs::write(world.site_file(), bad).unwrap();
        writeln!(all, "{}", by_hand(&world)).unwrap();
        world.verb(&["check"]).expect_exit(0);
        fs::write(world.site_file(), &good).unwrap();
    }
    mode(&world.site_file(), 0o644);
    writeln!(all, "{}", by_hand(&world)).unwrap();
    world.verb(&["check"]).expect_exit(0);
    fs::write(
        world.site_file(),
        good.replacen(&program, &format!("/{}/x", "y".repeat(300)), 1),
    )
    .unwrap();
    writeln!(all, "{}", by_hand(&world)).unwrap();
    assert_eq!(all.trim(), UNSTARTABLE.trim(), "{all}\n");
}

const UNSTARTABLE: &str = r#"
PROBLEM  #! line       it ends in a carriage return (Windows), so that the server says "No such file or directory"
                       -> save the file with Unix line ends:
    sed -i 's/\r$//' '<world>/cgi-bin/deploy.cgi'
PROBLEM  #! line       a byte order mark stands before it, so that the server says "Exec format error"
                       -> save the file without it:
    sed -i '<time>/^\xEF\xBB\xBF//' '<world>/cgi-bin/deploy.cgi'
PROBLEM  #! line       it names /nowhere/deploy-cgi, which is not there or in a folder that <user> may not enter
                       -> name the program that you have:
    sed -i '<time>|.*|#!<program>|' '<world>/cgi-bin/deploy.cgi'
PROBLEM  #! line       <world>/cgi-bin/deploy.cgi does not begin with one, so the server says "Exec format error"
                       -> begin the file with #! and the path of deploy-cgi (where the server names the program instead, as lighttpd's cgi.assign can, it needs none):
    sed -i '1i#!<program>' '<world>/cgi-bin/deploy.cgi'
PROBLEM  site file     <user> may not run <world>/cgi-bin/deploy.cgi
                       -> make it executable:
    chmod 755 '<world>/cgi-bin/deploy.cgi'
PROBLEM  #! line       it has 305 bytes, and the kernel takes 255
                       -> put deploy-cgi into a folder with a shorter path, such as ~/bin, and name it there
"#;

#[test]
fn a_secret_file_that_is_open_padded_or_missing() {
    let world = World::new();
    let secret = world.path("secret.txt");
    mode(&secret, 0o644);
    is_cured(
        &world,
        r"
warning secret file: <world>/secret.txt: others on this host can read or write it
$ chmod 600 '<world>/secret.txt'
",
    );
    fs::write(&secret, format!("{SECRET} \n")).unwrap();
    is_cured(
        &world,
        r"
warning secret file: <world>/secret.txt: a secret begins or ends with a blank
$ sed -i 's/^[ \t]*//; s/[ \t]*$//' '<world>/secret.txt'
",
    );
    assert_eq!(world.read("secret.txt"), format!("{SECRET}\n"));
    fs::remove_file(&secret).unwrap();
    is_cured(
        &world,
        r#"
problem secret file: cannot read the secret file <world>/secret.txt: No such file or directory (os error 2)
$ sh -c 'umask 077; od -An -N32 -tx1 /dev/urandom | tr -d " \n" >"$1"' sh '<world>/secret.txt'
$ cat '<world>/secret.txt'
"#,
    );
    assert_eq!(world.read("secret.txt").len(), 64);
}

#[test]
fn copies_beside_the_site_file_are_named() {
    let world = World::new();
    for name in ["deploy.cgi~", ".deploy.cgi.swp", "deploy.cgi.bak"] {
        fs::write(world.path("cgi-bin").join(name), "").unwrap();
    }
    fs::write(world.path("cgi-bin/deploy.cgi.example"), "").unwrap();
    let got = complaints(&world);
    assert_eq!(got.trim(), r"
warning copies: <world>/cgi-bin/.deploy.cgi.swp lies beside the site file, where anybody can read or run it
$ mv -n '<world>/cgi-bin/.deploy.cgi.swp' <home>
$ mv -n '<world>/cgi-bin/deploy.cgi.bak' <home>
$ mv -n '<world>/cgi-bin/deploy.cgi~' <home>
".trim(), "{got}");
}

#[test]
fn the_doctor_sees_what_a_deploy_would_stumble_over() {
    let world = World::new();
    world.git(
        &world.checkout(),
        &["commit", "-q", "--allow-empty", "-m", "mine"],
    );
    fs::write(world.path("checkout/.git/index.lock"), "").unwrap();
    fs::write(world.path("checkout/index.html"), "mine").unwrap();
    is_cured(
        &world,
        r"
problem locks: the lock file <world>/checkout/.git/index.lock is in the way, <time> old: a git was killed here, none is at work any more
$ rm -f '<world>/checkout/.git/index.lock'
problem commits: main here is 1 commit ahead of origin/main: commits were made here, or a push took some back
$ git -C '<world>/checkout' branch -f kept-$(git -C '<world>/checkout' rev-parse --short HEAD)
$ git -C '<world>/checkout' reset --keep origin/main
warning work tree: changed here: index.html
$ git -C '<world>/checkout' stash push
",
    );
}

#[test]
fn a_remote_that_hangs_keeps_neither_the_doctor_nor_a_ping() {
    let mut world = World::new();
    world.key("wait", "\"2s\"");
    set_url(&world, &world.origin.url("hang/me/site.git"));
    let begin = Instant::now();
    let ping = world.ping_delivery().send();
    ping.expect(200, "pong");
    ping.says("has not answered within");
    assert!(
        begin.elapsed() < Duration::from_secs(7),
        "{:?}",
        begin.elapsed()
    );
    let check = world.verb(&["check"]);
    check.expect_exit(0);
    assert!(
        begin.elapsed() < Duration::from_secs(25),
        "{:?}",
        begin.elapsed()
    );
}

#[test]
fn a_web_root_around_the_checkout_is_told() {
    let world = World::new();
    let root = world.path("public_html");
    fs::create_dir(&root).unwrap();
    fs::rename(world.checkout(), root.join("blog")).unwrap();
    let mut world = world;
    world.key("repo", &quoted(&text(&root.join("blog"))));
    is_cured(
        &world,
        r"
warning web: <world>/public_html/blog/.git lies in <world>/public_html, which the web server shows: anybody may be able to read the repository
$ echo 'Require all denied' >'<world>/public_html/blog/.git/.htaccess'
",
    );
}

#[test]
fn no_check_writes_anything_and_none_hangs() {
    let world = World::new();
    let before = world
        .clean("find")
        .arg(".")
        .args(["-newermt", "2000-01-01", "-printf", "%p %T@ %m\\n"])
        .output()
        .unwrap();
    world.verb(&["check"]).expect_exit(0);
    let after = world
        .clean("find")
        .arg(".")
        .args(["-newermt", "2000-01-01", "-printf", "%p %T@ %m\\n"])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(before.stdout),
        String::from_utf8(after.stdout)
    );
    // Named pipes where files should be: to open one takes for ever.
    for name in [
        "secret.txt",
        "checkout/.gitattributes",
        "checkout/.git/deploy-cgi",
    ] {
        drop(fs::remove_file(world.path(name)));
        let made = world
            .clean("mkfifo")
            .arg(world.path(name))
            .status()
            .unwrap();
        assert!(made.success());
        let check = world.verb(&["check"]);
        assert!(matches!(check.exit, Some(0 | 1)), "{check:?}");
        fs::remove_file(world.path(name)).unwrap();
    }
}

// ---- init

#[test]
fn init_writes_a_secret_and_a_site_file_once() {
    let world = World::new();
    let site = world.path("cgi-bin/new.cgi");
    let secret = world.path("safe/secret.txt");
    let (site_name, secret_name, repo) = (text(&site), text(&secret), text(&world.checkout()));
    let words = [
        "init",
        "--repo",
        &repo,
        "--secret-file",
        &secret_name,
        "--url",
        "https://example.org/cgi-bin/new.cgi",
        &site_name,
    ];
    let mut dry = words.to_vec();
    dry.push("--dry-run");
    let spoken = world.verb_of(&world.program, &dry);
    spoken.expect_exit(0);
    assert!(!site.exists() && !secret.parent().unwrap().exists());
    let spoken = world.verb_of(&world.program, &words);
    spoken.expect_exit(0);
    let key = fs::read_to_string(&secret).unwrap();
    assert_eq!(key.trim().len(), 64);
    assert_eq!(
        fs::metadata(&secret).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(
        fs::metadata(&site).unwrap().permissions().mode() & 0o777,
        0o755
    );
    let told = plain(&world, &spoken.stdout.replace(key.trim(), "<secret>"));
    assert_eq!(told.trim(), r"
wrote <world>/safe/secret.txt
wrote <world>/cgi-bin/new.cgi

Enter at GitHub: your repository, under Settings, Webhooks, Add webhook

  Payload URL       https://example.org/cgi-bin/new.cgi
  Content type      application/json
  Secret            <secret>
  SSL verification  Enable SSL verification
  Which events      Just the push event
  Active            yes

Then:

  1. '<world>/cgi-bin/new.cgi' check
  2. At GitHub, under Recent Deliveries, look at the answer to the ping: it says what is missing, or that a deploy would work
  3. Push something
".trim(), "{told}");
    world.verb_of(&site, &["check"]).expect_exit(0);
    // Neither file is ever written again; the secret is used by a second site.
    let before = fs::read(&site).unwrap();
    let again = world.verb_of(&world.program, &words);
    again.expect_exit(1);
    again.says("nothing is overwritten");
    assert_eq!(fs::read(&site).unwrap(), before);
    assert_eq!(fs::read_to_string(&secret).unwrap(), key);
}

#[test]
fn init_says_what_it_cannot_find_out() {
    let world = World::new();
    let repo = text(&world.checkout());
    let site = text(&world.path("cgi-bin/new.cgi"));
    for (words, told) in [
        (
            &["init", "--dry-run", "--repo", "/nowhere", &site][..],
            "/nowhere",
        ),
        (
            &["init", "--repo", &repo, "/nowhere/deploy.cgi"],
            "/nowhere",
        ),
        (
            &["init", "--repo", &repo, "--url", "example.org", &site],
            "https://",
        ),
        (
            &[
                "init",
                "--repo",
                &repo,
                "--secret-file",
                "/srv/public_html/secret.txt",
                &site,
            ],
            "outside",
        ),
    ] {
        let spoken = world.verb_of(&world.program, words);
        spoken.expect_exit(1);
        spoken.says(told);
        assert!(!world.exists("cgi-bin/new.cgi"));
    }
    let blank = world.path("deploy-cgi");
    copy_executable(&world.program, &blank);
    let spoken = world.verb_of(&blank, &["init", "--repo", &repo, &site]);
    spoken.expect_exit(1);
    spoken.says("blank");
}

// ---- verbs

#[test]
fn run_shows_gits_progress_in_a_terminal_and_no_credential() {
    let world = World::new();
    set_url(
        &world,
        &world
            .origin
            .url_with_login("me:n0-such-login", "me/site.git"),
    );
    let commit = world.push("two");
    let line = format!("'{}' run", text(&world.site_file()));
    let output = world
        .clean("script")
        .args(["-qec", &line, "/dev/null"])
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("remote: Counting objects: 100%"), "{shown}");
    assert!(!shown.contains("n0-such-login"), "{shown}");
    assert!(shown.contains("deployed main"), "{shown}");
    assert_eq!(world.head(), commit);
    // Nobody is bothered with it elsewhere.
    world.push("three");
    let run = world.verb(&["run"]);
    run.expect_exit(0);
    assert_eq!(run.stderr, "");
}

#[test]
fn status_tells_since_when_a_deploy_runs() {
    let mut world = World::new();
    let commit = world.push("two");
    world.fake_git("pull", &Fault::Hold);
    let started = world.push_delivery(&commit).start();
    world.wait_until_held();
    let status = world.verb(&["status"]);
    let json = world.verb(&["status", "--json"]);
    let mut watch = world.clean(world.site_file());
    let mut watch = watch
        .args(["status", "--watch"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut seen = [0; 19];
    watch.stdout.take().unwrap().read_exact(&mut seen).unwrap();
    watch.kill().unwrap();
    watch.wait().unwrap();
    world.release();
    started.reply().expect(200, "deployed");
    assert_eq!(&seen, b"a deploy is running");
    status.says("a deploy is running since 2");
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["running"].as_bool(), Some(true));
    assert!(json["since"].as_str().unwrap().starts_with('2'));
}

#[test]
fn verbs_without_a_site_are_misuse() {
    let world = World::new();
    for verb in ["check", "run", "status", "sign"] {
        let spoken = world.verb_of(&world.program, &[verb]);
        spoken.expect_exit(2);
        spoken.says("which site?");
    }
}

#[test]
fn sign_prints_the_older_signature_alone_when_asked() {
    let world = World::new();
    let signed = world.verb(&["sign", "--sha1"]);
    signed.expect_exit(0);
    let expected = crate::world::sha1_signature(SECRET.as_bytes(), b"");
    assert_eq!(signed.stdout, format!("X-Hub-Signature: {expected}\n"));
}

// ---- from nothing to the first push

/// An Apache that starts scripts as the person they belong to.
fn suexec(person: &Person, runtime: &Path, port: u16) -> Served {
    let modules = "/usr/lib/apache2/modules";
    let root = text(&person.home.join("public_html"));
    let runtime = text(runtime);
    let configuration = format!(
        "ServerName 127.0.0.1\nListen 127.0.0.1:{port}\nPidFile {runtime}/apache.pid\n\
         DefaultRuntimeDir {runtime}\nErrorLog {runtime}/error.log\nUser www-data\nGroup www-data\n\
         LoadModule mpm_event_module {modules}/mod_mpm_event.so\n\
         LoadModule cgid_module {modules}/mod_cgid.so\nScriptSock {runtime}/cgisock\n\
         LoadModule authz_core_module {modules}/mod_authz_core.so\n\
         LoadModule mime_module {modules}/mod_mime.so\nTypesConfig /dev/null\n\
         LoadModule suexec_module {modules}/mod_suexec.so\n\
         <VirtualHost 127.0.0.1:{port}>\nDocumentRoot {root}\nSuexecUserGroup {0} {0}\n\
         <Directory {root}>\nRequire all granted\n</Directory>\n\
         <Directory {root}/cgi-bin>\nOptions +ExecCGI\nAddHandler cgi-script .cgi\n</Directory>\n</VirtualHost>\n",
        person.name
    );
    let file = format!("{runtime}/apache.conf");
    fs::write(&file, configuration).unwrap();
    let mut apache = as_root("/usr/sbin/apache2");
    apache.args(["-DFOREGROUND", "-f", &file]).current_dir("/");
    apache.process_group(0);
    Served::start(&mut apache, port)
}

#[test]
#[ignore = "needs apache2 with suexec and root: ./tests/run"]
fn three_commands_lead_from_nothing_to_the_first_push() {
    let folder = tempfile::Builder::new()
        .prefix("deploy-cgi-")
        .tempdir_in("/var/www")
        .unwrap();
    let person = Person::in_folder(folder);
    let world = World::new();
    mode(&world.path(""), 0o755);
    // What the host has made, and what was uploaded.
    person.does("mkdir -p bin public_html/cgi-bin");
    let program = person.home.join("bin/deploy-cgi");
    let uploaded = as_root("install")
        .args(["-m", "755", "-o", &person.name])
        .arg(fs::canonicalize(&world.program).unwrap())
        .arg(&program)
        .status();
    assert!(uploaded.unwrap().success());
    let port = free_port();
    let runtime = crate::world::plain_folder();
    mode(runtime.path(), 0o777);
    let _server = suexec(&person, runtime.path(), port);

    let url = format!("http://127.0.0.1:{port}/cgi-bin/deploy.cgi");
    let mut typed = 0;
    let mut on_host = |line: &str| {
        typed += 1;
        person.does(line)
    };
    on_host(&format!(
        "git clone -q --recurse-submodules {} blog",
        world.origin.url("me/site.git")
    ));
    let told = on_host(&format!("~/bin/deploy-cgi init --url {url}"));
    let check = on_host("public_html/cgi-bin/deploy.cgi check");
    assert!(check.ends_with("A deploy would work.\n"), "{check}");
    assert!(typed <= 6);

    // GitHub's form is filled in with what was printed.
    let field = |name: &str| {
        let line = told.lines().find_map(|line| line.trim().strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name}: {told}"))
            .trim()
            .to_owned()
    };
    assert_eq!(field("Payload URL"), url);
    assert_eq!(field("Content type"), "application/json");
    let secret = field("Secret");
    let send = |delivery: &Delivery| {
        let (headers, body) = delivery.as_http();
        http::send(port, "POST", "/cgi-bin/deploy.cgi", &headers, body).answer()
    };
    let ping = send(&world.ping_delivery().signed_with(secret.as_bytes()));
    assert_eq!(
        (ping.status, ping.first_word()),
        (200, "pong"),
        "{}",
        ping.body
    );
    assert!(
        ping.body.contains(&format!("{}, at home in", person.name)),
        "{}",
        ping.body
    );
    let commit = world.push("two");
    let push = send(&world.push_delivery(&commit).signed_with(secret.as_bytes()));
    assert_eq!(
        (push.status, push.first_word()),
        (200, "deployed"),
        "{}",
        push.body
    );
    let page = fs::read_to_string(person.home.join("blog/index.html")).unwrap();
    assert_eq!(page, "two");
}
