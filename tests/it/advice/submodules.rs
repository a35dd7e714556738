//! Submodules that cannot be brought.

use std::fs;

use super::{bring_about, fails, is_mended, told};
use crate::world::{Fault, World, text, write_executable};

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
    // Nobody can tell from here whether it was pushed meanwhile.
    world.verb(&["check"]).says("A deploy may fail.");
    world.git(&world.path("seed/posts"), &["push", "-q", "origin", "main"]);
    world.push_delivery(&commit).send().expect(200, "deployed");
    world.verb(&["check"]).says("A deploy would work.");
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
    fails(
        &world,
        &commit,
        r"
git does not clone a submodule from a path on this machine. The main tree is new already; not at the recorded commit: more
-> give the submodule a URL in .gitmodules where it is written, and push
",
    );
    let check = world.verb(&["check"]);
    check.expect_exit(1);
    check.says("PROBLEM  submodules    more comes from a path on this machine, which git does not clone from");
    let url = world.origin.url("me/posts.git");
    world.git(
        &seed,
        &["config", "-f", ".gitmodules", "submodule.more.url", &url],
    );
    world.git(&seed, &["add", ".gitmodules"]);
    let commit = world.push("three");
    let reply = world.push_delivery(&commit).send();
    reply.expect(200, "deployed");
    world.verb(&["check"]).says("A deploy would work.");
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

/// A push to a checkout where a link leads away from the folder of the submodule `lib/a`.
fn with_a_link_in_the_way() -> (World, String) {
    let world = World::new();
    let seed = world.path("seed/site");
    let url = world.origin.url("me/posts.git");
    world.git(&seed, &["submodule", "--quiet", "add", &url, "lib/a"]);
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "deployed");
    fs::rename(world.path("checkout/lib"), world.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", world.path("checkout/lib")).unwrap();
    let commit = world.push("three");
    (world, commit)
}

const LINK_IN_THE_WAY: &str = r"
a symbolic link is in the way of a submodule: <world>/checkout/lib. The main tree is new already; not at the recorded commit: lib/a
-> move it away, then press Redeliver:
$ mv -T '<world>/checkout/lib' '<world>/checkout/lib.kept'
";

#[test]
fn a_link_where_a_submodule_belongs() {
    let (world, commit) = with_a_link_in_the_way();
    is_mended(&world, &commit, LINK_IN_THE_WAY);
    assert!(world.exists("checkout/lib/a/first.md"));
    assert!(world.path("checkout/lib.kept").is_symlink());
}

/// What git says that goes through the link.
#[test]
fn a_link_that_git_does_not_see() {
    for said in [
        "fatal: not a git repository: /elsewhere/a/../../.git/modules/lib/a\n\
         Unable to find current revision in submodule path '\\''lib/a'\\''",
        "Unable to find current revision in submodule path '\\''lib/a'\\''",
        "fatal: the sky fell\nUnable to fetch in submodule path '\\''lib/a'\\''",
    ] {
        let (mut world, commit) = with_a_link_in_the_way();
        world.fake_git("update", &Fault::Fail(said));
        fails(&world, &commit, LINK_IN_THE_WAY);
    }
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
    assert_eq!(world.read("checkout/posts/second.md"), "two");
    let (world, commit) = with(&["remote", "set-head", "origin", "--delete"]);
    // Else git 2.48 and later ask the remote for it whenever they fetch.
    let never = ["config", "remote.origin.followRemoteHEAD", "never"];
    world.git(&world.path("checkout/posts"), &never);
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

#[test]
fn a_submodule_that_cannot_be_fetched_for_a_reason_of_its_own() {
    let world = World::new();
    let (commit, post) = world.push_with_post("two");
    let hook = "#!/bin/sh\nexit 1\n";
    write_executable(&world.path("refuse"), hook);
    // As with a proxy or a hook that lets nothing through.
    let command = format!("'{}'", text(&world.path("refuse")));
    world.git(
        &world.path("checkout/posts"),
        &["config", "remote.origin.uploadpack", &command],
    );
    world.git(
        &world.path("checkout/posts"),
        &["config", "remote.origin.url", &format!("ext::{command}")],
    );
    let reply = world.push_delivery(&commit).send();
    reply.expect(500, "failed");
    assert!(
        !reply.body.contains("push it where it was made"),
        "{reply:#?}"
    );
    bring_about(&world, "git -C checkout submodule sync -q");
    world.push_delivery(&commit).send().expect(200, "deployed");
    assert_eq!(world.submodule_head(), post);
}
