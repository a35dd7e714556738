//! Files in the way of a pull.

use std::fs;

use super::is_mended;
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
