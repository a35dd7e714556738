//! Branches, their upstreams, and what somebody began and did not finish.

use std::fs;

use serde_json::Value;

use super::{bring_about, fails, is_mended, told};
use crate::world::{DELIVERY, Delivery, World, quoted, text};

#[test]
fn commits_that_were_made_here() {
    let world = World::new();
    let pushed = world.head();
    world.commit_locally(&world.checkout(), "mine.txt", "mine");
    let mine = world.head();
    fails(&world, &pushed, r#"
main here is 1 commit ahead of origin/main: commits were made here, or a push took some back
-> push them from here (git push), or make this checkout what was pushed; its own commits stay in a branch called kept-… (or set update = "reset" in <world>/cgi-bin/deploy.cgi, which does the like at each deploy):
$ git -C '<world>/checkout' update-ref refs/heads/kept-$(git -C '<world>/checkout' rev-parse --short HEAD) HEAD && git -C '<world>/checkout' reset --keep refs/remotes/origin/main --
"#).obey(&world);
    world.push_delivery(&pushed).send().expect(200, "deployed");
    assert_eq!(world.head(), pushed);
    let kept = world.git(&world.checkout(), &["branch", "--contains", &mine]);
    assert!(kept.contains("kept-"), "{kept}");
}

#[test]
fn commits_here_and_there() {
    let world = World::new();
    world.commit_locally(&world.checkout(), "mine.txt", "mine");
    let commit = world.push("two");
    is_mended(
        &world,
        &commit,
        r#"
main and origin/main have diverged (1 commit here, 1 there): commits were made here, or origin/main was rewritten
-> make this checkout what was pushed; its own commits stay in a branch called kept-… (or set update = "reset" in <world>/cgi-bin/deploy.cgi, which does the like at each deploy):
$ git -C '<world>/checkout' update-ref refs/heads/kept-$(git -C '<world>/checkout' rev-parse --short HEAD) HEAD && git -C '<world>/checkout' reset --keep refs/remotes/origin/main --
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
main and origin/main have diverged (1 commit here, 1 there): commits were made here, or origin/main was rewritten
-> make this checkout what was pushed; its own commits stay in a branch called kept-… (or set update = "reset" in <world>/cgi-bin/deploy.cgi, which does the like at each deploy):
$ git -C '<world>/checkout' update-ref refs/heads/kept-$(git -C '<world>/checkout' rev-parse --short HEAD) HEAD && git -C '<world>/checkout' reset --keep refs/remotes/origin/main --
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
main and origin/main have diverged (1 commit here, 1 there): commits were made here, or origin/main was rewritten
-> make this checkout what was pushed; its own commits stay in a branch called kept-… (or set update = "reset" in <world>/cgi-bin/deploy.cgi, which does the like at each deploy):
$ git -C '<world>/checkout' update-ref refs/heads/kept-$(git -C '<world>/checkout' rev-parse --short HEAD) HEAD && git -C '<world>/checkout' reset --keep refs/remotes/origin/main --
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
$ git -C '<world>/checkout' checkout main --
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
$ git -C '<world>/checkout' branch --set-upstream-to=refs/remotes/origin/main main
",
    );
}

#[test]
fn a_last_deploy_that_failed_leaves_it_open_until_one_is_good() {
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
    assert_eq!(state, "unknown");
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
the upstream of main is another branch of this checkout, where nothing comes from GitHub
-> give it an upstream at the remote, then press Redeliver:
$ git -C '<world>/checkout' branch --set-upstream-to=refs/remotes/origin/main main
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
$ git -C '<world>/checkout' checkout main --
",
    );
}

#[test]
fn a_branch_that_is_gone_at_the_remote() {
    let world = World::new();
    let commit = world.push("two");
    bring_about(&world, "git -C upstream/me/site.git branch -m main trunk");
    fails(
        &world,
        &commit,
        r"
origin/main is no longer at http://<origin>/me/site.git: there is trunk
-> push it again; or follow trunk; then press Redeliver. To follow it:
$ git -C '<world>/checkout' fetch origin refs/heads/trunk
$ git -C '<world>/checkout' checkout -b trunk --track refs/remotes/origin/trunk --
",
    )
    .obey(&world);
    push_of(&world, "trunk", &commit)
        .send()
        .expect(200, "deployed");
    assert_eq!(world.head(), commit);
}

#[test]
fn a_tag_and_a_branch_with_the_names_of_others() {
    let world = World::new();
    bring_about(
        &world,
        "cd checkout; git branch origin/main; git tag origin/main; git tag main; echo >HEAD; mkdir refs",
    );
    world.commit_locally(&world.checkout(), "mine.txt", "mine");
    let mine = world.head();
    let commit = world.push("two");
    is_mended(
        &world,
        &commit,
        r#"
main and origin/main have diverged (1 commit here, 1 there): commits were made here, or origin/main was rewritten
-> make this checkout what was pushed; its own commits stay in a branch called kept-… (or set update = "reset" in <world>/cgi-bin/deploy.cgi, which does the like at each deploy):
$ git -C '<world>/checkout' update-ref refs/heads/kept-$(git -C '<world>/checkout' rev-parse --short HEAD) HEAD && git -C '<world>/checkout' reset --keep refs/remotes/origin/main --
"#,
    );
    let kept = world.git(&world.checkout(), &["branch", "--contains", &mine]);
    assert!(kept.contains("kept-"), "{kept}");
}

/// A site that is to follow `dev`, which was pushed after the last fetch, in a checkout that was made with these options.
fn follows_dev(options: &str) -> (World, String) {
    let mut world = World::new();
    let url = world.origin.url("me/site.git");
    bring_about(
        &world,
        &format!(
            "rm -r checkout; git clone -q --recursive {options} {url} checkout
             cd seed/site; git checkout -q -b dev; git commit -q --allow-empty -m dev; git push -q origin dev"
        ),
    );
    world.key("branch", "\"dev\"");
    let commit = world.head_of("seed/site");
    (world, commit)
}

/// The push of a commit to another branch than `main`.
fn push_of(world: &World, branch: &str, commit: &str) -> Delivery {
    let mut payload = world.payload(commit);
    payload["ref"] = format!("refs/heads/{branch}").into();
    world.delivery("push", payload.to_string())
}

#[test]
fn a_branch_that_is_not_here_yet() {
    let keep = "$ git -C '<world>/checkout' remote set-branches --add origin dev\n";
    for (options, keep) in [("", ""), ("--single-branch", keep), ("--depth=1", keep)] {
        let (world, commit) = follows_dev(options);
        let reply = push_of(&world, "dev", &commit).send();
        let expected = format!(
            "
main is checked out, but the site's `branch` is dev
-> bring it here and check it out, then press Redeliver:
{keep}$ git -C '<world>/checkout' fetch origin refs/heads/dev
$ git -C '<world>/checkout' checkout -b dev --track refs/remotes/origin/dev --
"
        );
        told(&world, &reply, &expected).obey(&world);
        push_of(&world, "dev", &commit)
            .send()
            .expect(200, "deployed");
        assert_eq!(world.head(), commit);
    }
}

#[test]
fn a_branch_that_the_remote_does_not_have() {
    let mut world = World::new();
    world.key("branch", "\"master\"");
    let commit = world.push("two");
    let reply = push_of(&world, "master", &commit).send();
    let told = told(
        &world,
        &reply,
        r"
main is checked out, but the site's `branch` is master, which origin does not have: it has main
-> correct `branch` in <world>/cgi-bin/deploy.cgi, or push that branch; then press Redeliver
",
    );
    assert!(told.commands.is_empty());
    world.key("branch", "\"main\"");
    world.push_delivery(&commit).send().expect(200, "deployed");
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
$ git -C '<world>/checkout' branch --set-upstream-to=refs/remotes/origin/main main
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
$ git -C '<world>/checkout' branch --set-upstream-to=refs/remotes/upstream/main main
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
            reply.says("main and origin/main have diverged");
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
