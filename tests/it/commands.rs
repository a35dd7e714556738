//! What a person types.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use crate::kills::watch_git;
use crate::person::as_root;
use crate::world::{Spoken, World, copy_executable, plain_folder, quoted, search_path, text};

#[test]
fn the_demo_plays_a_whole_delivery_and_leaves_nothing_behind() {
    let world = World::new();
    let folder = world.path("tmp");
    fs::create_dir(&folder).unwrap();
    let output = world
        .clean(&world.program)
        .arg("demo")
        .env("TMPDIR", &folder)
        .output()
        .unwrap();
    let spoken = Spoken::from(output);
    spoken.expect_exit(0);
    for told in [
        "X-GitHub-Event",
        "X-Hub-Signature-256",
        "200",
        "deployed",
        "    no deploy is running\n    nothing waits\n",
        "  deployed   ba7b015..7c256d2 ",
        "\nstatus_page ",
    ] {
        spoken.says(told);
    }
    let left: Vec<_> = fs::read_dir(&folder).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_demo_works_without_a_home_and_a_git_configuration() {
    let world = World::new();
    let mut demo = world.clean(&world.program);
    demo.env_clear().env("PATH", search_path());
    let spoken = Spoken::from(demo.arg("demo").output().unwrap());
    spoken.expect_exit(0);
    spoken.says("deployed");
}

#[test]
fn a_site_that_is_well_is_checked_and_found_so() {
    let world = World::new();
    let check = world.verb(&["check"]);
    check.expect_exit(0);
    check.says(&text(&world.checkout()));
    let without_a_word = world.verb(&[]);
    without_a_word.expect_exit(0);
    assert_eq!(
        world.plain(&check.all()),
        world.plain(&without_a_word.all())
    );
}

#[track_caller]
fn ill(world: &World, told: &str) {
    let check = world.verb(&["check"]);
    check.expect_exit(1);
    check.says(told);
    let ping = world.ping_delivery().send();
    ping.expect(500, "pong");
    ping.says(told);
}

#[test]
fn the_doctor_and_a_ping_name_what_would_fail() {
    let world = World::new();
    let (checkout, git_folder) = (world.checkout(), world.path("checkout/.git"));
    world.ping_delivery().send().expect(200, "pong");

    world.git(&checkout, &["checkout", "-q", "--detach"]);
    ill(&world, "branch");
    world.git(&checkout, &["checkout", "-q", "main"]);

    world.git(&checkout, &["branch", "-q", "--unset-upstream"]);
    ill(&world, "upstream");
    world.git(
        &checkout,
        &["branch", "-q", "--set-upstream-to=origin/main"],
    );
    world.ping_delivery().send().expect(200, "pong");

    fs::rename(&git_folder, world.path("hidden")).unwrap();
    ill(&world, "checkout");
    fs::rename(world.path("hidden"), &git_folder).unwrap();

    fs::create_dir_all(world.state("")).unwrap();
    drop(fs::remove_dir_all(world.state("")));
    fs::write(world.path("checkout/.git/deploy-cgi"), "").unwrap();
    ill(&world, "deploy-cgi");
    fs::remove_file(world.path("checkout/.git/deploy-cgi")).unwrap();
    world.ping_delivery().send().expect(200, "pong");
}

#[test]
fn a_host_without_git_is_told_so() {
    let mut world = World::new();
    world.key("path", &quoted("/nonexistent"));
    let check = world.verb(&["check"]);
    check.expect_exit(1);
    check.says("git");
    let ping = world.ping_delivery().send();
    ping.expect(500, "pong");
    ping.says("git");
    let commit = world.push("two");
    let push = world.push_delivery(&commit).send();
    push.expect(500, "error");
    push.says("git");
}

#[test]
fn misuse_is_told_from_failure() {
    let world = World::new();
    for words in [
        &["no-such-verb"][..],
        &["status", ""],
        &["--no-such-option"],
        &["check", "more"],
    ] {
        let spoken = world.verb(words);
        spoken.expect_exit(2);
        assert_eq!(spoken.stdout, "", "{words:?}");
    }
    let gone = text(&world.path("cgi-bin/gone.cgi"));
    for (words, told) in [
        (&["statsu"][..], "'status'"),
        (&["status", "--jsno"], "'--json'"),
        (&["status", "-n", "many"], "many"),
        (&["status", "--watch", "--json"], "--json"),
        (&["worker"], "without a site file"),
        (&["check"], "which site?"),
        (&[&gone, "check"], "gone.cgi"),
        (&[&gone, "run"], "gone.cgi"),
        (&["init", "--url", "example.org", &gone], "https://"),
        (&["init", "--repo", "/nowhere", &gone], "/nowhere"),
        (&["help", "statsu"], "statsu"),
    ] {
        let spoken = world.verb_of(&world.program, words);
        spoken.expect_exit(2);
        spoken.says(told);
        assert_eq!(spoken.stdout, "", "{words:?}");
    }
}

#[test]
fn help_is_there_for_every_verb() {
    let world = World::new();
    let ask = |words: &[&str]| {
        let spoken = world.verb_of(&world.program, words);
        spoken.expect_exit(0);
        assert_eq!(spoken.stderr, "");
        spoken.stdout
    };
    let help = ask(&["--help"]);
    for told in [
        "DEPLOY_CGI_SITE",
        "NO_COLOR",
        "Exit codes:",
        "deploy-cgi init --url",
        "status -n 20",
    ] {
        assert!(help.contains(told), "{told}: {help}");
    }
    assert_eq!(ask(&["help"]), help);
    assert_eq!(ask(&[]), ask(&["-h"]));
    for verb in ["init", "check", "run", "status", "sign", "demo"] {
        assert_eq!(ask(&["help", verb]), ask(&[verb, "--help"]));
        assert!(help.contains(&format!("\n  {verb} ")), "{verb}: {help}");
    }
}

/// The examples of the help, as they stand there.
#[test]
fn the_examples_of_the_help_work() {
    let world = World::new();
    let help = world.verb_of(&world.program, &["--help"]).stdout;
    let (_, examples) = help.split_once("Examples:\n").unwrap();
    let (examples, _) = examples.split_once("\n\n").unwrap();
    let commands: Vec<_> = examples
        .lines()
        .map(|line| line.trim_start().split("  ").next().unwrap())
        .collect();
    assert_eq!(commands.len(), 2, "{examples}");
    // Where a person has the program on the PATH, and is in the folder of the site file.
    let folder = plain_folder();
    let program = folder.path().join("deploy-cgi");
    copy_executable(&world.program, &program);
    let cgi_bin = folder.path().join("cgi-bin");
    fs::create_dir(&cgi_bin).unwrap();
    for command in commands {
        let mut shell = world.clean("sh");
        let path = format!("{}:{}", text(folder.path()), search_path());
        shell.env("PATH", path).env("HOME", folder.path());
        // What `init` finds in the home of whoever runs the tests is none of ours.
        let named = format!(
            " --repo '{}' --secret-file '{}' --url",
            text(&world.checkout()),
            text(&world.path("safe/secret.txt"))
        );
        let line = command.replace(" --url", &named);
        let spoken = Spoken::from(
            shell
                .args(["-c", &line])
                .current_dir(&cgi_bin)
                .output()
                .unwrap(),
        );
        spoken.expect_exit(0);
    }
}

#[test]
#[ignore = "needs a pseudo-terminal: ./tests/run"]
fn there_are_colours_in_a_terminal_and_nowhere_else() {
    let world = World::new();
    let check = format!("'{}' check", text(&world.site_file()));
    let shown = |term: &str, no_color: Option<&str>| {
        let mut script = world.clean("script");
        script.args(["-qec", &check, "/dev/null"]).env("TERM", term);
        script.envs(no_color.map(|value| ("NO_COLOR", value)));
        String::from_utf8(script.output().unwrap().stdout).unwrap()
    };
    let plain = world.verb(&["check"]).stdout;
    assert!(!plain.contains('\x1b'), "{plain}");
    let coloured = shown("xterm", None);
    assert!(coloured.contains("\x1b[32mok\x1b[0m "), "{coloured:?}");
    for (term, no_color) in [("xterm", Some("1")), ("dumb", None)] {
        let without = shown(term, no_color).replace('\r', "");
        assert_eq!(world.plain(&without), world.plain(&plain));
    }
}

#[test]
fn run_deploys_in_the_foreground() {
    let mut world = World::new();
    world.key("on_update", "\"env > ../seen\"");
    let (commit, post) = world.push_with_post("two");
    let run = world.verb(&["run"]);
    run.expect_exit(0);
    assert!(run.stdout.starts_with("deployed"), "{run:?}");
    assert_eq!(
        (world.head(), world.submodule_head()),
        (commit.clone(), post)
    );
    assert!(world.read("seen").contains(&format!("DEPLOY_NEW={commit}")));
    let again = world.verb(&["run"]);
    again.expect_exit(0);
    assert!(again.stdout.starts_with("unchanged"), "{again:?}");
    world.key("on_update", "\"exit 3\"");
    world.push("three");
    let failed = world.verb(&["run"]);
    failed.expect_exit(1);
    failed.says("failed at on_update");
}

#[test]
fn run_serves_what_waits() {
    let world = World::new();
    let commit = world.push("two");
    fs::create_dir_all(world.state("queue")).unwrap();
    fs::write(world.state("queue/left-by-a-death"), "").unwrap();
    world.verb(&["run"]).expect_exit(0);
    assert_eq!((world.head(), world.tickets()), (commit, 0));
}

/// Nobody in there sees the session that the commands belong to: its number is 0.
#[test]
#[ignore = "needs root and a host that lets it unshare: ./tests/run"]
fn run_in_a_container_that_was_entered_from_outside_deploys_and_ends_what_a_killed_one_left() {
    let mut world = World::new();
    watch_git(&mut world, "pull");
    fs::write(world.path("fake/hang"), "").unwrap();
    let commit = world.push("two");
    let script = "PATH=$3; \"$1\" run & while kill -0 $! && [ ! -e \"$2/hung\" ]; do sleep 0.02; done; kill -9 $!; exec \"$1\" run";
    let run = as_root("unshare")
        .args(["--pid", "--fork", "--mount-proc", "sh", "-c", script, "sh"])
        .arg(world.site_file())
        .arg(world.path("fake"))
        .arg(search_path())
        .output()
        .unwrap();
    let run = Spoken::from(run);
    run.expect_exit(0);
    run.says("deployed");
    assert!(!run.stdout.contains("was left alone"), "{run:#?}");
    assert!(!world.exists("fake/overlaps"), "{run:#?}");
    assert_eq!(world.head(), commit);
}

#[test]
fn sign_prints_headers_that_the_site_takes() {
    let world = World::new();
    let body = "{\"action\":\"created\"}";
    let mut sign = world.clean(world.site_file());
    let mut child = sign
        .arg("sign")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(body.as_bytes())
        .unwrap();
    let signed = Spoken::from(child.wait_with_output().unwrap());
    signed.expect_exit(0);
    let header = |name: &str| {
        let line = signed
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("{name} is not in {signed:?}"))
            .to_owned()
    };
    let star = || world.delivery("star", body).unsigned();
    star()
        .var("HTTP_X_HUB_SIGNATURE_256", header("X-Hub-Signature-256"))
        .send()
        .expect(200, "ignored");
    star()
        .var("HTTP_X_HUB_SIGNATURE", header("X-Hub-Signature"))
        .send()
        .expect(200, "ignored");
}

#[test]
fn where_there_is_neither_a_checkout_nor_a_url_to_clone_the_key_is_named() {
    let mut world = World::new();
    let commit = world.push("two");
    let payload = world.payload(&commit).to_string();
    fs::remove_dir_all(world.checkout()).unwrap();
    let told = "no key `clone` that says where it comes from";
    for verb in ["check", "status", "run"] {
        let spoken = world.verb(&[verb]);
        spoken.expect_exit(1);
        spoken.says(told);
    }
    world.ping_delivery().send().says(told);
    let push = world.delivery("push", payload.clone()).send();
    push.expect(500, "error");
    push.says(told);
    let page = world.delivery("push", "").bare("GET").send();
    page.expect(500, "ready");
    page.says("the key `clone`");
    // Obeyed, the same delivery deploys.
    world.key("clone", &quoted(&world.origin.url("me/site.git")));
    world
        .delivery("push", payload)
        .send()
        .expect(200, "deployed");
    assert_eq!(world.head(), commit);
}

/// A ping shows the last deploy, and a redelivery what became of the first: with the same cure.
#[test]
fn a_block_of_commands_is_printed_once() {
    let world = World::new();
    let commit = world.push("two");
    world.git(&world.checkout(), &["branch", "-q", "--unset-upstream"]);
    let cure = "branch --set-upstream-to";
    let first = world.push_delivery(&commit).send();
    first.expect(500, "failed");
    assert_eq!(first.body.matches(cure).count(), 1, "{first:?}");
    let again = world.push_delivery(&commit).send();
    again.expect(500, "failed");
    again.says("This delivery came before. It failed for the same reason, 2");
    assert_eq!(again.body.matches(cure).count(), 1, "{again:?}");
    let ping = world.ping_delivery().send();
    ping.expect(500, "pong");
    ping.says("failed at start: ");
    ping.says(", as above\n");
    assert_eq!(ping.body.matches(cure).count(), 1, "{ping:?}");
}

/// With a site file that is there already, its path is in it; without one, that of the packages.
#[test]
fn the_file_for_php_is_printed_and_nothing_is_written() {
    let world = World::new();
    let packaged = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/cmd/deploy.php"));
    let packaged = packaged.unwrap();
    let init = |site: &[&Path]| {
        let mut init = world.clean(&world.program);
        Spoken::from(init.args(["init", "--php"]).args(site).output().unwrap())
    };
    let bare = init(&[]);
    bare.expect_exit(0);
    assert_eq!(bare.all(), packaged);
    let site = world.site_file();
    let before = fs::read(&site).unwrap();
    for named in [&site, &world.path("cgi-bin")] {
        let printed = init(&[named]);
        printed.expect_exit(0);
        let expected = packaged.replace("/home/me/deploy.cgi", &text(&site));
        assert_eq!(printed.all(), expected);
    }
    assert_eq!(fs::read(&site).unwrap(), before);
}
