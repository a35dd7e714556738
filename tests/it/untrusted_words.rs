//! What authors of submodules and servers say is never taken for a message of git's or ssh's: they choose no advice, and
//! put no line of their own into a report.

use std::fs;

use crate::world::{Reply, World, quoted, text, write_executable};

/// Stages what need not be on disk.
fn stage_in_posts(world: &World, entry: &str) {
    fs::write(world.path("entry"), entry).unwrap();
    let add = "git -C seed/posts update-index --add -z --index-info <entry";
    let added = world.clean("/bin/sh").args(["-c", add]).status().unwrap();
    assert!(added.success());
}

/// A failed delivery of a push that brings a submodule of the submodule `posts`, at a path of its author's choice, from a
/// URL where nothing is.
fn with_a_nested_submodule(path: &str) -> (World, Reply) {
    let world = World::new();
    let seed = world.path("seed/posts");
    let url = world.origin.url("me/gone.git");
    let modules = format!(
        "[submodule \"n\"]\n\tpath = {}\n\turl = {url}\n",
        quoted(path)
    );
    fs::write(seed.join(".gitmodules"), modules).unwrap();
    world.git(&seed, &["add", ".gitmodules"]);
    let head = world.head_of("seed/posts");
    stage_in_posts(&world, &format!("160000 {head}\t{path}\0"));
    let post = world.push_to("posts", "second.md", "two", "Nest a submodule");
    world.point_submodule_at(&post);
    let commit = world.push("two");
    let reply = world.push_delivery(&commit).send();
    reply.expect(500, "failed");
    (world, reply)
}

/// The report says what is really wrong, and its advice is ours: the commands of a submodule whose remote is not there.
#[track_caller]
fn is_the_true_advice(world: &World, reply: &Reply) {
    let gone = world.origin.url("me/gone.git");
    let advice: Vec<&str> = reply
        .body
        .lines()
        .filter(|line| {
            line.starts_with("failed at")
                || line.starts_with("What to do")
                || line.starts_with("    ")
        })
        .collect();
    let checkout = text(&world.checkout());
    assert_eq!(advice.len(), 4, "{reply:#?}");
    let cause = format!("failed at submodules: {gone}, the remote of the submodule posts/");
    assert!(advice[0].starts_with(&cause), "{reply:#?}");
    assert!(advice[0].contains(" is not there, or "), "{reply:#?}");
    assert!(advice[1].starts_with("What to do: if .gitmodules has another URL"));
    for (line, command) in [
        (advice[2], "sync --recursive"),
        (advice[3], "update --init --recursive"),
    ] {
        assert!(
            line.trim_start()
                .ends_with(&format!("git -C '{checkout}' submodule {command}")),
            "{reply:#?}"
        );
    }
}

#[test]
fn a_path_in_a_message_is_no_message() {
    for path in [
        "Load key \"/etc\": Permission denied",
        "x/REMOTE HOST IDENTIFICATION HAS CHANGED",
        "x': No space left on device",
        "fatal: unable to create file",
        "me@host: Permission denied (publickey).",
    ] {
        let (world, reply) = with_a_nested_submodule(path);
        is_the_true_advice(&world, &reply);
    }
}

#[test]
fn a_path_with_line_breaks_is_one_line_of_a_report() {
    for path in [
        "x\n\nWhat to do: type this:\n    rm -rf home\n\ny",
        "x\nLoad key \"/etc\": Permission denied\ny",
        "x\nfatal: Not possible to fast-forward, aborting.\ny",
        "x\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\ny",
    ] {
        let (world, reply) = with_a_nested_submodule(path);
        is_the_true_advice(&world, &reply);
        let forged = [
            "What to do: type",
            "rm -rf",
            "Load key",
            "fatal: Not possible",
            "@",
        ];
        for line in reply.body.lines().map(str::trim_start) {
            let is_forged = forged.iter().any(|start| line.starts_with(start));
            assert!(!is_forged, "{line}: {reply:#?}");
        }
    }
}

#[test]
fn a_file_with_line_breaks_in_its_name_says_nothing() {
    let world = World::new();
    let name = format!(
        "x\nfatal: Not possible to fast-forward, aborting.\n{}",
        "y".repeat(300)
    );
    let blob = world.git(&world.path("seed/posts"), &["rev-parse", "HEAD:first.md"]);
    stage_in_posts(&world, &format!("100644 {blob}\t{name}\0"));
    let post = world.push_to("posts", "second.md", "two", "A name");
    world.point_submodule_at(&post);
    let commit = world.push("two");
    let reply = world.push_delivery(&commit).send();
    let cause = "failed at submodules: git ended with exit code 1";
    assert!(reply.body.starts_with(cause), "{reply:#?}");
    reply.says("x\\nfatal: Not possible to fast-forward, aborting.\\nyyy");
}

#[test]
fn a_submodule_of_a_submodule_has_its_whole_path_and_no_command_moves_it() {
    let world = World::new();
    let nest = |content: &str| {
        let post = world.push_to("posts", "second.md", content, "Nest a submodule");
        world.point_submodule_at(&post);
        world.push(content)
    };
    let url = world.origin.url("me/site.git");
    let seed = world.path("seed/posts");
    world.git(&seed, &["submodule", "--quiet", "add", &url, "in"]);
    let commit = nest("two");
    world.push_delivery(&commit).send().expect(200, "deployed");
    fs::remove_dir_all(world.path("checkout/.git/modules/posts/modules/in")).unwrap();
    let inner = world.git(&world.path("seed/site"), &["rev-parse", "HEAD~1"]);
    world.git(&seed, &["-C", "in", "fetch", "-q"]);
    world.git(&seed, &["-C", "in", "checkout", "-q", &inner]);
    world.git(&seed, &["add", "in"]);
    let reply = world.push_delivery(&nest("three")).send();
    reply.expect(500, "failed");
    let place = text(&world.path("checkout/posts/in"));
    reply.says(&format!(
        ": the submodule {place} has lost its repository. "
    ));
    assert!(!reply.body.contains("mv "), "{reply:#?}");
}

#[test]
fn what_a_server_says_is_no_message() {
    let world = World::new();
    let hook = world.path("hook");
    let says = [
        "Load key \"/etc\": Permission denied",
        "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @",
        "Permissions 0644 for '/etc/passwd' are too open.",
        "fatal: Not possible to fast-forward, aborting.",
        "error: unable to create file x: No space left on device",
    ];
    let says = says.map(|line| format!("cat >&2 <<'END'\n{line}\nEND\n"));
    write_executable(&hook, &format!("#!/bin/sh\n{}exit 1\n", says.concat()));
    let mine = world.path("me/.gitconfig");
    let config = fs::read_to_string(&mine).unwrap();
    let hook = quoted(&quoted_path(&hook));
    fs::write(
        &mine,
        format!("{config}[uploadpack]\n\tpackObjectsHook = {hook}\n"),
    )
    .unwrap();
    let commit = world.push("two");
    let reply = world.push_delivery(&commit).send();
    reply.expect(500, "failed");
    reply.says("remote: Load key \"/etc\": Permission denied");
    let cause = "failed at pull: git ended with exit code 1\n\ngit said:\n";
    assert!(reply.body.starts_with(cause), "{reply:#?}");
}

fn quoted_path(path: &std::path::Path) -> String {
    format!("'{}'", text(path))
}
