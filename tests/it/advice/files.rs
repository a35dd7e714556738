//! Files in the way of a pull.

use std::fs;

use super::{bring_about, is_mended};
use crate::world::World;

#[test]
fn changed_files_in_the_way() {
    let world = World::new();
    fs::write(world.path("checkout/index.html"), "mine").unwrap();
    let commit = world.push("two");
    is_mended(
        &world,
        &commit,
        r"
uncommitted changes are in the way: index.html
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
uncommitted changes are in the way{submodule}: {file}; git was told not to see changes of {file}{new}
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
untracked files are in the way: a page.html
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
untracked files are in the way: page
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
uncommitted changes are in the way in the submodule posts: first.md. The main tree is new already; not at the recorded commit: posts
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

#[test]
fn line_ends_that_git_would_change() {
    let world = World::new();
    // In a submodule, too.
    for seed in ["posts", "site"] {
        let begin = format!(
            "cd seed/{seed}; printf 'one\\r\\n' >'a page.txt'; git -c core.autocrlf=false add .; git commit -qm CRLF
             echo '*.txt text eol=lf' >.gitattributes; git add .gitattributes; git commit -qm LF; git push -q origin main"
        );
        bring_about(&world, &begin);
    }
    world.point_submodule_at(&world.head_of("seed/posts"));
    world
        .push_delivery(&world.push("two"))
        .send()
        .expect(200, "deployed");
    let change = |seed: &str| {
        bring_about(&world, "touch checkout/*.txt checkout/posts/*.txt");
        let change = format!(
            "cd seed/{seed}; id=$(printf 'two\\r\\n' | git hash-object -w --stdin --no-filters)
             git update-index --cacheinfo \"100644,$id,a page.txt\"; git commit -qm Change; git push -q origin main"
        );
        bring_about(&world, &change);
    };
    change("site");
    is_mended(
        &world,
        &world.head_of("seed/site"),
        r#"
the line ends of these files are others than .gitattributes asks for, so that git takes them for edited whatever is done here: a page.txt
-> have them written anew where the site is written (git add --renormalize ., commit, push), and here take what was pushed (or set update = "reset" in <world>/cgi-bin/deploy.cgi), then press Redeliver:
$ git -C '<world>/checkout' checkout refs/remotes/origin/main -- 'a page.txt'
"#,
    );
    change("posts");
    world.point_submodule_at(&world.head_of("seed/posts"));
    bring_about(
        &world,
        "cd seed/site; git commit -qm Post; git push -q origin main",
    );
    is_mended(
        &world,
        &world.head_of("seed/site"),
        r#"
the line ends of these files in the submodule posts are others than .gitattributes asks for, so that git takes them for edited whatever is done here: a page.txt. The main tree is new already; not at the recorded commit: posts
-> have them written anew where the site is written (git add --renormalize ., commit, push), and here take what was pushed (or set update = "reset" in <world>/cgi-bin/deploy.cgi), then press Redeliver:
$ git -C '<world>/checkout/posts' checkout <id> -- 'a page.txt'
"#,
    );
    // Or for good.
    let mut world = world;
    world.key("update", "\"reset\"");
    for seed in ["posts", "site"] {
        bring_about(&world, "touch checkout/*.txt checkout/posts/*.txt");
        let renormalize = format!(
            "cd seed/{seed}; git checkout -q -- 'a page.txt'; git add --renormalize .; git commit -qm Renormalize; git push -q origin main"
        );
        bring_about(&world, &renormalize);
    }
    let commit = world.head_of("seed/site");
    world.push_delivery(&commit).send().expect(200, "deployed");
}

#[test]
fn permissions_that_differ_and_nothing_else() {
    let world = World::new();
    bring_about(&world, "chmod +x checkout/index.html");
    let check = world.verb(&["check"]);
    check.says("the permissions of these files differ, and nothing else: index.html");
    let commit = world.push("two");
    is_mended(
        &world,
        &commit,
        r"
the permissions of these files differ, and nothing else: index.html
-> have git not look at permissions (core.fileMode), then press Redeliver:
$ git -C '<world>/checkout' config core.fileMode false
",
    );
    world.verb(&["check"]).says("no uncommitted changes");
}

#[test]
fn files_that_differ_in_several_ways() {
    let world = World::new();
    for file in ["run", "page"] {
        world.commit("site", file, "one", "A file");
    }
    world
        .push_delivery(&world.push("two"))
        .send()
        .expect(200, "deployed");
    bring_about(
        &world,
        "cd checkout; chmod +x run page; echo mine >page; echo mine >new",
    );
    for file in ["run", "page", "new"] {
        world.commit("site", file, "two", "A file");
    }
    let commit = world.push("three");
    is_mended(
        &world,
        &commit,
        r"
uncommitted changes and untracked files are in the way: page, new; the permissions of these files differ, and nothing else: run
-> put them into a stash (git stash list shows it, git stash pop brings them back), and have git not look at permissions (core.fileMode), then press Redeliver:
$ git -C '<world>/checkout' stash push --include-untracked -- page new
$ git -C '<world>/checkout' config core.fileMode false
",
    );
}
