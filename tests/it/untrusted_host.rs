//! What other users of the host can do: read and lock files, own a home, guess a secret, send what was recorded.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use crate::server::hand_over;
use crate::world::{Delivery, Fault, World, search_path, text, write_executable};

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn open_to_all(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Everything below the state folder, the folder itself too.
fn state_of(world: &World) -> Vec<PathBuf> {
    let mut all = vec![world.state("")];
    let mut at = 0;
    while at < all.len() {
        if all[at].is_dir() {
            let entries: Vec<_> = fs::read_dir(&all[at]).unwrap().collect();
            all.extend(entries.into_iter().map(|entry| entry.unwrap().path()));
        }
        at += 1;
    }
    all
}

#[track_caller]
fn expect_closed(world: &World) {
    let all = state_of(world);
    assert!(all.len() > 5, "{all:?}");
    for path in all {
        let closed = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode_of(&path), closed, "{}", path.display());
    }
}

/// The site file as a server with this umask starts it.
fn under_umask(world: &World, umask: &str) -> PathBuf {
    let wrapper = world.path("cgi-bin/wrapper.cgi");
    let site = text(&world.site_file());
    write_executable(
        &wrapper,
        &format!("#!/bin/sh\numask {umask}\nexec '{site}' \"$@\"\n"),
    );
    wrapper
}

#[test]
fn locks_and_state_are_closed_whatever_the_umask() {
    for umask in ["000", "022", "777"] {
        let mut world = World::new();
        world.key("on_update", "\"echo restarted\"");
        let commit = world.push("two");
        let server = under_umask(&world, umask);
        let delivery = world.push_delivery(&commit).through(&server);
        delivery.send().expect(200, "deployed");
        world.settle();
        expect_closed(&world);
    }
}

#[test]
fn locks_and_state_that_stand_open_are_closed_by_the_next_deploy() {
    let mut world = World::new();
    world.key("on_update", "\"echo restarted\"");
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "deployed");
    world.settle();
    for path in state_of(&world) {
        open_to_all(&path, if path.is_dir() { 0o755 } else { 0o644 });
    }
    world.push_delivery(&commit).send().expect(200, "unchanged");
    world.settle();
    expect_closed(&world);
}

/// Anybody who can read a file can hold a lock on it.
#[test]
fn the_lock_that_work_trees_share_is_closed_and_waited_for_no_longer_than_timeout() {
    let mut world = World::new();
    let linked = world.path("linked");
    let words = ["worktree", "add", "-q", "-b", "other", &text(&linked)];
    world.git(&world.checkout(), &words);
    world.key("timeout", "\"2s\"");
    let lock = world.path("checkout/.git/deploy-cgi-work-trees");
    fs::write(&lock, "").unwrap();
    open_to_all(&lock, 0o644);
    let others = File::open(&lock).unwrap();
    others.lock_shared().unwrap();
    let commit = world.push("two");
    let reply = world.push_delivery(&commit).send();
    reply.expect(500, "failed");
    reply.says(&format!(
        "another process has held the lock {} for longer than 2s",
        lock.display()
    ));
    assert_eq!(mode_of(&lock), 0o600);
    drop(others);
    world.key("timeout", "\"10m\"");
    world.push_delivery(&commit).send().expect(200, "deployed");
    assert_eq!(world.head(), commit);
}

/// The user that the servers of Debian run scripts as.
const SERVER_USER: u32 = 33;

/// The site file as that user starts it, on a host with this /etc/passwd.
fn on_a_host_with(world: &World, passwd: &str) -> PathBuf {
    let file = world.path("passwd");
    fs::write(&file, passwd).unwrap();
    let wrapper = world.path("cgi-bin/on-that-host.cgi");
    let script = "mount --bind \"$1\" /etc/passwd && \
                  exec setpriv --reuid=33 --regid=33 --clear-groups \"$2\"";
    write_executable(
        &wrapper,
        &format!(
            "#!/bin/sh\nexec unshare --mount sh -c '{script}' sh '{}' '{}'\n",
            text(&file),
            text(&world.site_file())
        ),
    );
    wrapper
}

#[test]
#[ignore = "needs root: ./tests/run"]
fn a_home_that_another_user_owns_configures_nothing() {
    let mut world = World::new();
    world.fake_git("pull", &Fault::Note);
    world.key("env", "{ GIT_CONFIG_NOSYSTEM = \"1\" }");
    world.key("secret_file", "\"~/secret.txt\"");
    let _handed = hand_over(&mut world);
    let home = world.path("a home");
    let trace = world.path("outside/ran");
    fs::create_dir(&home).unwrap();
    open_to_all(&home, 0o755);
    fs::create_dir(home.join("hooks")).unwrap();
    fs::copy(world.path("secret.txt"), home.join("secret.txt")).unwrap();
    chown(home.join("secret.txt"), Some(SERVER_USER), None).unwrap();
    let hooks = text(&home.join("hooks"));
    let config = format!("[core]\n\thooksPath = \"{hooks}\"\n");
    fs::write(home.join(".gitconfig"), config).unwrap();
    write_executable(
        &home.join("hooks/post-merge"),
        &format!("#!/bin/sh\necho ran >>'{}'\n", text(&trace)),
    );
    let passwd = format!("www-data:x:33:33::{}:/usr/sbin/nologin\n", text(&home));
    let host = on_a_host_with(&world, &passwd);
    let deploy = |content: &str| {
        let commit = world.push(content);
        let delivery = world.push_delivery(&commit).through(&host);
        delivery.send().expect(200, "deployed");
        world.settle();
        assert_eq!(world.head(), commit);
    };

    chown(&home, Some(4242), None).unwrap();
    deploy("two");
    assert!(!trace.exists());
    let environment = world.read("fake/environment");
    let ssh = environment
        .lines()
        .find(|line| line.starts_with("GIT_SSH_COMMAND="))
        .unwrap();
    assert!(
        ssh.ends_with(" -F none -oUserKnownHostsFile=/dev/null"),
        "{ssh}"
    );
    assert!(environment.contains("GIT_CONFIG_GLOBAL=/dev/null\n"));
    let pong = world.ping_delivery().through(&host).send();
    pong.expect(500, "pong");
    pong.says(&format!(
        "PROBLEM  user          www-data, whose home {} belongs to uid 4242",
        text(&home)
    ));

    for owner in [0, SERVER_USER] {
        chown(&home, Some(owner), None).unwrap();
        open_to_all(&home, 0o1777);
        deploy(&format!("open, for {owner}"));
        assert!(!trace.exists());
        let pong = world.ping_delivery().through(&host).send();
        pong.expect(500, "pong");
        pong.says("where everybody can put files");
        open_to_all(&home, 0o755);
        deploy(&format!("for {owner}"));
        assert!(trace.exists(), "the home of {owner} counts");
        fs::remove_file(&trace).unwrap();
    }
    let pong = world.ping_delivery().through(&host).send();
    assert!(!pong.body.contains("PROBLEM  user"), "{pong:#?}");
}

#[test]
#[ignore = "needs root: ./tests/run"]
fn nothing_is_started_to_find_the_home_of_an_unknown_user() {
    let mut world = World::new();
    let trace = world.path("fake/asked");
    write_executable(
        &world.path("fake/getent"),
        &format!("#!/bin/sh\necho asked >>'{}'\nexit 2\n", text(&trace)),
    );
    world.key("secret_file", "\"~/secret.txt\"");
    let _handed = hand_over(&mut world);
    let host = on_a_host_with(&world, "root:x:0:0::/root:/bin/sh\n");
    let path = format!("{}:{}", text(&world.path("fake")), search_path());
    let commit = world.push("two");
    let home = world.path("home");
    for delivery in [
        world.push_delivery(&commit),
        world.push_delivery(&commit).signed_with(b"a wrong one"),
        world.ping_delivery().bare("GET"),
    ] {
        let reply = delivery.through(&host).var("PATH", &path).send();
        assert_eq!(reply.status, 500, "{reply:#?}");
        assert!(reply.stderr.contains("write the path out"), "{reply:#?}");
        assert!(!reply.body.contains(&text(&world.path(""))), "{reply:#?}");
        assert!(!trace.exists(), "{reply:#?}");
    }
    let reply = world.push_delivery(&commit).through(&host).send();
    reply.expect(500, "error");
    reply.says("write the path out");

    // A HOME of its own is one.
    fs::copy(world.path("secret.txt"), home.join("secret.txt")).unwrap();
    chown(home.join("secret.txt"), Some(SERVER_USER), None).unwrap();
    let delivery = world.push_delivery(&commit).through(&host);
    let delivery = delivery.var("PATH", &path).var("HOME", &home);
    delivery.send().expect(200, "deployed");
    assert_eq!(world.head(), commit);
}

/// The names of the variables that a command saw, without those that the shell makes.
fn names_in(environment: &str) -> BTreeSet<String> {
    environment
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.to_owned())
        .filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(&name.as_str()))
        .collect()
}

#[test]
fn commands_get_the_same_few_variables_from_a_delivery_and_from_a_person() {
    let mut world = World::new();
    world.key("on_update", "\"env >../seen; exit 1\"");
    world.key("on_failure", "\"env >../seen-too\"");
    world.key("env", &world.shield(", ADDED = \"by the site\""));
    let of_a_server = [
        ("HTTP2", "on"),
        ("H2_STREAM_TAG", "1-1"),
        ("MM_CHARSET_HINT", "x"),
        ("GEOIP_ADDR", "192.0.2.1"),
        ("LSPHP_ENABLE", "x"),
        ("X_NOBODY_KNOWS", "x"),
        ("BASH_ENV", "/x"),
    ];
    let of_the_host = [
        ("HOME", "/x"),
        ("LANG", "C.UTF-8"),
        ("LC_ALL", "C"),
        ("TZ", "UTC"),
        ("TMPDIR", "/tmp"),
        ("SHELL", "/bin/sh"),
        ("XDG_RUNTIME_DIR", "/run"),
        ("LD_LIBRARY_PATH", "/x"),
        ("USER", "me"),
        ("LOGNAME", "me"),
    ];
    let all = || of_a_server.into_iter().chain(of_the_host);
    let mut seen = Vec::new();
    let mut look = || {
        for name in ["seen", "seen-too"] {
            seen.push(names_in(&world.read(name)));
            fs::remove_file(world.path(name)).unwrap();
        }
    };
    let mut delivery = world.push_delivery(&world.push("two"));
    for (name, value) in all() {
        delivery = delivery.var(name, value);
    }
    delivery.send().expect(500, "failed");
    world.settle();
    look();
    let mut run = world.clean(world.site_file());
    run.env_clear().envs(all()).env("PATH", search_path());
    assert!(!run.arg("run").status().unwrap().success());
    look();

    let given = of_the_host.map(|(name, _)| name);
    let by_the_deploy = [
        "DEPLOY_BRANCH",
        "DEPLOY_CHANGED",
        "DEPLOY_DELIVERY",
        "DEPLOY_NEW",
        "DEPLOY_OLD",
        "DEPLOY_REPO",
        "DEPLOY_VERDICT",
    ];
    let by_the_site = ["ADDED", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM"];
    let expected = given.into_iter().chain(by_the_deploy).chain(by_the_site);
    let expected: BTreeSet<_> = expected.chain(["PATH"]).map(str::to_owned).collect();
    for names in seen {
        assert_eq!(names, expected);
    }
}

// ---- what was recorded, and what can be guessed ----

#[test]
fn a_signed_body_counts_only_as_the_event_that_it_is() {
    let world = World::new();
    let commit = world.push("two");
    let push = world.payload(&commit).to_string();
    let ping = r#"{"zen":"z","hook_id":1,"repository":{"full_name":"me/site"}}"#;
    for (event, body, why) in [
        ("ping", push.as_str(), "missing field `zen`"),
        ("ping", r#"{"zen":"z"}"#, "missing field `hook_id`"),
        ("push", ping, "missing field `ref`"),
    ] {
        let reply = world.delivery(event, body).send().whole(&world);
        let start = format!(
            "400 Bad Request\nrefused by deploy-cgi: the body is not the JSON of the event {event}: {why} at"
        );
        assert!(reply.starts_with(&start), "{reply}");
    }
    assert_ne!(world.head(), commit);
    world.delivery("ping", ping).send().expect(200, "pong");
}

fn write_secret(world: &World, secret: impl AsRef<[u8]>) {
    fs::write(world.path("secret.txt"), secret).unwrap();
}

#[test]
fn a_secret_that_can_be_guessed_is_a_warning() {
    #[track_caller]
    fn check(world: &World, secret: &str, what: &str) {
        write_secret(world, secret);
        let check = world.verb(&["check"]);
        check.expect_exit(0);
        check.says("warning  secret file");
        check.says(what);
    }
    let world = World::new();
    check(&world, "abc\n", "a secret is shorter than 16 characters");
    check(
        &world,
        "ssssssssssssssssssssss\n",
        "is one character again and again",
    );
    check(
        &world,
        "YOUR-SECRET-HERE\n",
        "looks like the placeholder of an example",
    );
    check(
        &world,
        "a good and long one \n",
        "a secret begins or ends with a blank",
    );
    write_secret(&world, "0123456789abcdef\n");
    let well = world.verb(&["check"]);
    well.says("ok       secret file");
}

#[test]
fn a_secret_file_in_utf_16_is_named_as_that() {
    let world = World::new();
    let wide: Vec<u8> = "\u{feff}a good and long one\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    write_secret(&world, wide);
    let check = world.verb(&["check"]);
    check.expect_exit(1);
    check.says("has NUL bytes, as UTF-16 has");
    let reply = world.ping_delivery().send();
    reply.expect(500, "error");
    assert!(
        reply.stderr.contains("has NUL bytes, as UTF-16 has"),
        "{reply:#?}"
    );
}

#[test]
fn a_blank_around_a_secret_is_told_to_the_host_when_a_signature_is_wrong() {
    let world = World::new();
    let told = "a secret begins or ends with a blank";
    let wrong = || world.ping_delivery().signed_with(b"a wrong one").send();
    let reply = wrong();
    reply.says("a blank or a line end that was pasted with one of them");
    assert_eq!(reply.stderr, "");
    write_secret(&world, "a good and long one \n");
    for reply in [
        wrong(),
        world
            .ping_delivery()
            .signed_with(b"a good and long one")
            .send(),
    ] {
        reply.expect(403, "refused");
        reply.says("a blank or a line end that was pasted with one of them");
        assert!(reply.stderr.contains(told), "{reply:#?}");
        assert!(!reply.stderr.contains("good"), "{reply:#?}");
    }
    let right = world.ping_delivery().signed_with(b"a good and long one ");
    right.send().says("a secret begins or ends with a blank");
}

#[test]
fn a_delivery_that_carries_the_secret_itself_is_taken_and_a_ping_says_to_change_it() {
    let world = World::new();
    let encoded = "SXQncyBhIFNlY3JldCB0byBFdmVyeWJvZHk=";
    let with = |delivery: Delivery| delivery.var("HTTP_X_GITHUB_ENCODED_SECRET", encoded);
    let commit = world.push("two");
    let push = with(world.push_delivery(&commit)).send();
    push.expect(200, "deployed");
    let pong = with(world.ping_delivery()).send();
    pong.expect(200, "pong");
    pong.says("-> change it: write a new one as a second line of the secret file");
    assert!(!world.ping_delivery().send().body.contains("change it"));
    // It proves nothing.
    let forged = with(world.push_delivery(&commit)).signed_with(encoded.as_bytes());
    forged.send().expect(403, "refused");
    let unsigned = with(world.push_delivery(&commit)).unsigned();
    unsigned.send().expect(403, "refused");
    for reply in [push, pong] {
        let all = format!("{}{}", reply.body, reply.stderr);
        assert!(!all.contains(encoded), "{all}");
    }
    world.settle();
    for path in state_of(&world).into_iter().filter(|path| path.is_file()) {
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        assert!(!text.contains(encoded), "{}", path.display());
    }
}
