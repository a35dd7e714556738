//! What the doctor finds before a deploy stumbles over it.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{mode, plain, set_url};
use crate::checkouts::push_of;
use crate::person::{Person, as_root};
use crate::world::{Fault, SECRET, World, quoted, text};

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
            let mut shell = world.shell_of_site();
            let output = shell.args(["-c", command]).output().unwrap();
            assert!(output.status.success(), "{command}: {output:?}");
        }
    }
    let after = complaints(world);
    assert_eq!(after, "", "{after}");
}

#[test]
fn the_doctor_names_what_suexec_refuses() {
    let world = World::new();
    mode(&world.site_file(), 0o775);
    mode(&world.path("cgi-bin"), 0o777);
    is_cured(
        &world,
        r"
unknown suexec: others may write <world>/cgi-bin/deploy.cgi, so suexec does not start it
$ chmod go-w '<world>/cgi-bin/deploy.cgi'
unknown suexec: others may write <world>/cgi-bin, so suexec does not start it
$ chmod go-w '<world>/cgi-bin'
",
    );
    let real = world.path("real.cgi");
    fs::rename(world.site_file(), &real).unwrap();
    std::os::unix::fs::symlink(&real, world.site_file()).unwrap();
    is_cured(
        &world,
        r#"
unknown suexec: <world>/cgi-bin/deploy.cgi is a symbolic link, which suexec does not start
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
fn the_doctor_sees_what_a_deploy_would_stumble_over() {
    let world = World::new();
    world.commit_locally(&world.checkout(), "mine.txt", "mine");
    fs::write(world.path("checkout/.git/index.lock"), "").unwrap();
    fs::write(world.path("checkout/index.html"), "mine").unwrap();
    is_cured(
        &world,
        r"
problem locks: the lock file <world>/checkout/.git/index.lock is in the way, <time> old: a git was killed here, none is at work any more
$ rm -f '<world>/checkout/.git/index.lock'
problem commits: main here is 1 commit ahead of origin/main: commits were made here, or a push took some back
$ git -C '<world>/checkout' update-ref refs/heads/kept-$(git -C '<world>/checkout' rev-parse --short HEAD) HEAD && git -C '<world>/checkout' reset --keep refs/remotes/origin/main --
warning work tree: uncommitted changes are in the way: index.html
$ git -C '<world>/checkout' stash push -- index.html
",
    );
}

/// What stands in the way of commits that were fetched already is found before the next deploy meets it.
#[test]
fn files_in_the_way_of_what_was_fetched() {
    for (edited, theirs, told) in [
        (
            "a page.html",
            "a page.html",
            "untracked files are in the way: a page.html",
        ),
        ("page/mine", "page", "untracked files are in the way: page"),
        (
            "index.html",
            "index.html",
            "uncommitted changes are in the way: index.html",
        ),
    ] {
        let world = World::new();
        let file = world.checkout().join(edited);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "mine").unwrap();
        let commit = world.push_to("site", theirs, "theirs", "A page");
        world.git(&world.checkout(), &["fetch", "--quiet"]);
        let untracked = if told.starts_with('u') && !told.contains("uncommitted") {
            " --include-untracked"
        } else {
            ""
        };
        let name = if theirs.contains(' ') {
            format!("'{theirs}'")
        } else {
            theirs.to_owned()
        };
        is_cured(
            &world,
            &format!(
                "problem work tree: {told}\n$ git -C '<world>/checkout' stash push{untracked} -- {name}"
            ),
        );
        world.push_delivery(&commit).send().expect(200, "deployed");
        assert_eq!(world.read(&format!("checkout/{theirs}")), "theirs");
    }
}

#[test]
fn a_first_checkout_that_could_not_be_made() {
    let mut world = World::new();
    fs::remove_dir_all(world.checkout()).unwrap();
    let good = world.origin.url("me/site.git");
    let wrong = world.origin.url("me/none.git");
    let commit = world.head_of("seed/site");
    let not_yet = "warning checkout: <world>/checkout is not there yet\n";
    world.key("clone", &quoted(&good));
    assert_eq!(complaints(&world), not_yet);
    world
        .verb(&["check"])
        .says("ok       remote        can be reached, and has HEAD");
    world.verb(&["check"]).says("A deploy would work.");
    let mut tell = |key: &str, bad: &str, good: &str, told: &str| {
        world.key(key, bad);
        let got = complaints(&world);
        assert_eq!(got, format!("{not_yet}problem {told}\n"), "{got}");
        world.verb(&["check"]).says("A deploy would fail.");
        world.key(key, good);
    };
    tell(
        "branch",
        "\"none\"",
        "\"main\"",
        "remote: http://<origin>/me/site.git has no branch none: it has main",
    );
    tell(
        "clone",
        &quoted(&wrong),
        &quoted(&good),
        "remote: http://<origin>/me/none.git is not there, or <user> may not see it",
    );
    push_of(&world, "me/site", "main", &commit)
        .send()
        .expect(200, "deployed");
}

#[test]
fn a_hook_that_brings_no_push_of_ours() {
    let mut world = World::new();
    let ping = |world: &World, events: &str, repository: &str| {
        let body = format!(
            r#"{{"zen":"z","hook_id":1,"hook":{{"events":["{events}"]}},"repository":{{"full_name":"{repository}"}}}}"#
        );
        world.delivery("ping", body).send()
    };
    ping(&world, "push", "me/site").expect(200, "pong");
    ping(&world, "*", "Me/Site").expect(200, "pong");
    for (events, repository, told) in [
        (
            "star",
            "me/site",
            "PROBLEM  hook          it does not deliver pushes",
        ),
        (
            "push",
            "me/posts",
            "PROBLEM  hook          it belongs to me/posts, and this site follows me/site: its pushes will be ignored",
        ),
    ] {
        let reply = ping(&world, events, repository);
        reply.expect(500, "pong");
        reply.says("pong from deploy-cgi: a deploy would fail\n");
        reply.says(told);
    }
    world.key("submodules", "\"latest\"");
    ping(&world, "push", "me/posts").expect(200, "pong");
    ping(&world, "push", "me/other").expect(500, "pong");
}

#[test]
fn a_deploy_that_failed_of_what_nobody_can_examine() {
    let mut world = World::new();
    world.verb(&["check"]).says("A deploy would work.");
    world.key("on_update", "\"false\"");
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(500, "failed");
    let check = world.verb(&["check"]);
    check.expect_exit(0);
    check.says("A deploy may fail.");
    let ping = world.ping_delivery().send();
    ping.expect(200, "pong");
    ping.says("pong from deploy-cgi: a deploy may fail\n");
    ping.says("unknown  last deploy");
    world.key("on_update", "\"true\"");
    world.push_delivery(&commit).send().expect(200, "deployed");
    world.verb(&["check"]).says("A deploy would work.");
}

/// Who may pass the home and read the secret, for a site of another user's than root.
#[test]
#[ignore = "needs root: ./tests/run"]
fn a_home_and_a_secret_that_are_closed_and_a_submodule_without_a_key() {
    let person = Person::new();
    let mut world = World::new();
    person.takes(&mut world);
    let site = person.home.join("deploy.cgi");
    fs::copy(world.site_file(), &site).unwrap();
    mode(&site, 0o755);
    person.owns(&site);
    let check = || {
        let output = person.command(&site).arg("check").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let obey = |told: &str| {
        let command = told
            .lines()
            .filter_map(|line| line.strip_prefix("    "))
            .find(|line| !line.starts_with(' '));
        // As the site has them. Git to 2.31 looks only at the home.
        let home = text(&world.path("home"));
        let config = format!("{home}/.gitconfig");
        let variables = [("HOME", &*home), ("GIT_CONFIG_GLOBAL", &*config)];
        let done = person.shell(command.unwrap(), &variables);
        assert!(done.status.success(), "{told}: {done:?}");
    };
    let cured = |state: &str, verdict: &str| {
        let told = check();
        let lines = told.lines().filter(|line| !line.starts_with(' '));
        let found: Vec<_> = lines.filter(|line| line.starts_with(state)).collect();
        assert_eq!(found.len(), 1, "{told}");
        assert!(told.ends_with(verdict), "{told}");
        assert!(!told.contains("make one"), "{told}");
        obey(&told);
        assert!(check().ends_with("A deploy would work.\n"), "{}", check());
    };
    assert!(check().ends_with("A deploy would work.\n"), "{}", check());
    mode(&person.home, 0o700);
    cured("unknown  home", "A deploy may fail.\n");
    as_root("chown")
        .arg("root:root")
        .arg(world.path("secret.txt"))
        .status()
        .unwrap();
    mode(&world.path("secret.txt"), 0o600);
    cured("PROBLEM  secret file", "A deploy would fail.\n");
    // What is root's, and open to all, only root can close.
    as_root("chown")
        .arg("root:root")
        .arg(world.path("secret.txt"))
        .status()
        .unwrap();
    mode(&world.path("secret.txt"), 0o644);
    let is_open = "warning  secret file";
    assert!(check().contains(is_open), "{}", check());
    obey(&check());
    obey(&check());
    assert!(!check().contains(is_open), "{}", check());
    let closed = world.path("closed");
    fs::create_dir(&closed).unwrap();
    fs::rename(world.path("secret.txt"), closed.join("secret.txt")).unwrap();
    fs::write(
        &site,
        fs::read_to_string(&site)
            .unwrap()
            .replace("/secret.txt", "/closed/secret.txt"),
    )
    .unwrap();
    mode(&closed, 0o700);
    cured("PROBLEM  secret file", "A deploy would fail.\n");
    let checkout = text(&world.checkout());
    person.does(&format!(
        "git -C '{checkout}' config submodule.posts.url git@github.com:me/posts.git"
    ));
    let no_key = "warning  submodules    posts is reached by ssh";
    assert!(check().contains(no_key), "{}", check());
    obey(&check());
    assert!(!check().contains(no_key), "{}", check());
}

/// For an answer.
const GITHUB_WAITS: Duration = Duration::from_secs(10);

#[test]
fn a_remote_that_hangs_keeps_neither_the_doctor_nor_a_ping() {
    let mut world = World::new();
    world.key("wait", "\"2s\"");
    set_url(&world, &world.origin.url("hang/me/site.git"));
    let begin = Instant::now();
    let ping = world.ping_delivery().send();
    ping.expect(200, "pong");
    ping.says("has not answered within");
    assert!(begin.elapsed() < GITHUB_WAITS, "{:?}", begin.elapsed());
    let check = world.verb(&["check"]);
    check.expect_exit(0);
    assert!(
        begin.elapsed() < Duration::from_secs(25),
        "{:?}",
        begin.elapsed()
    );
}

#[test]
fn a_git_that_hangs_keeps_neither_the_doctor_nor_a_ping_and_is_no_problem_of_the_site() {
    let mut world = World::new();
    world.key("wait", "\"2s\"");
    world.fake_git("status", &Fault::Hang);
    let begin = Instant::now();
    let ping = world.ping_delivery().send();
    assert!(begin.elapsed() < GITHUB_WAITS, "{:?}", begin.elapsed());
    ping.expect(200, "pong");
    ping.says("pong from deploy-cgi: a deploy may fail\n");
    ping.says("unknown  remote        not looked at: there was no time left for it");
    assert!(!ping.body.contains("PROBLEM"), "{ping:#?}");
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
