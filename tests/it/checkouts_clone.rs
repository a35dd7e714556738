//! The first checkout, made by the first delivery.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::checkouts::{
    Brake, change, deployed, fresh_clone, fresh_clone_of, has, is_as_pushed, push_of,
};
use crate::process::{is_alive, kill, kill_session_of, processes_of_session, session_of};
use crate::tree::{is_tree, tree_of};
use crate::world::{
    DELIVERY, Delivery, Fault, Reply, World, quoted, text, wait_until, write_executable,
};

/// A site that has no checkout yet.
fn empty_world() -> World {
    let mut world = World::new();
    fs::remove_dir_all(world.checkout()).unwrap();
    world.key("clone", &quoted(&world.origin.url("me/site.git")));
    world
}

fn newest(world: &World) -> Delivery {
    push_of(world, "me/site", "main", &world.head_of("seed/site"))
}

/// Nothing is left of the making.
#[track_caller]
fn is_whole(world: &World) {
    world.settle();
    is_as_pushed(world, &[]);
    assert_eq!(world.changes(), "");
    for left in ["cloning", "origin.config"] {
        assert!(!world.state(left).exists(), "{left}");
    }
    assert_eq!(world.git(&world.checkout(), &["fsck"]), "");
    let beside: Vec<_> = fs::read_dir(world.path("")).unwrap().flatten().collect();
    for entry in beside {
        let name = entry.file_name().into_string().unwrap();
        assert!(!name.starts_with(".checkout"), "{name} was left");
    }
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// The hanging git, by its id.
fn hung(world: &World) -> Vec<String> {
    wait_until("the hanging git", || world.exists("fake/hung"));
    let ids = world.read("fake/hung");
    ids.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn the_first_push_makes_the_checkout() {
    let mut world = empty_world();
    world.key("on_update", "\"cat index.html posts/first.md > ../seen\"");
    let reply = newest(&world).send();
    reply.expect(200, "deployed");
    is_whole(&world);
    assert_eq!(world.read("seen"), "<h1>one</h1>\nthe first post\n");
    let head = world.git(&world.checkout(), &["symbolic-ref", "HEAD"]);
    assert_eq!(head, "refs/heads/main");
    assert_eq!(mode_of(&world.path("checkout/.git/config")), 0o644);
    // From then on it is a checkout as any.
    newest(&world).send().expect(200, "unchanged");
    let (commit, _) = world.push_with_post("two");
    deployed(&world, &commit);
    is_whole(&world);
}

#[test]
fn the_first_ping_makes_the_checkout() {
    let world = empty_world();
    let reply = world.ping_delivery().send();
    reply.expect(200, "pong");
    reply.says("deployed main");
    is_whole(&world);
    newest(&world).send().expect(200, "unchanged");
}

#[test]
fn what_does_not_concern_a_site_makes_no_checkout() {
    let mut world = empty_world();
    world.key("branch", "\"main\"");
    let head = world.head_of("seed/site");
    let deliveries = [
        world.delivery("star", "{}"),
        push_of(&world, "me/site", "other", &head),
        push_of(&world, "me/else", "main", &head),
    ];
    for delivery in deliveries {
        delivery.send().expect(200, "ignored");
        assert!(!world.checkout().exists());
    }
}

#[test]
fn the_first_checkout_is_of_the_configured_branch() {
    let mut world = empty_world();
    world.key("branch", "\"live/ü\"");
    let seed = world.path("seed/site");
    world.git(&seed, &["checkout", "-q", "-b", "live/ü"]);
    let commit = change(&world, "site", &[("live.html", Some("live\n"))]);
    let main = push_of(&world, "me/site", "main", &commit).send();
    main.expect(200, "ignored");
    let reply = push_of(&world, "me/site", "live/ü", &commit).send();
    reply.expect(200, "deployed");
    world.settle();
    is_tree(
        &tree_of(&world.checkout()),
        fresh_clone(&world, "live/ü"),
        &[],
    );
    let head = world.git(&world.checkout(), &["symbolic-ref", "HEAD"]);
    assert_eq!(head, "refs/heads/live/ü");
}

#[test]
fn the_first_checkout_is_of_the_default_branch() {
    let world = empty_world();
    let (seed, bare) = (world.path("seed/site"), world.path("upstream/me/site.git"));
    world.git(&seed, &["checkout", "-q", "-b", "trunk"]);
    let commit = change(&world, "site", &[("trunk.html", Some("trunk\n"))]);
    world.git(&bare, &["symbolic-ref", "HEAD", "refs/heads/trunk"]);
    // A push to another branch may come first: it is not the one that is checked out.
    let other = world.git(&seed, &["rev-parse", "main"]);
    let reply = push_of(&world, "me/site", "main", &other).send();
    world.settle();
    assert!(!reply.body.contains("withdrew"), "{reply:#?}");
    push_of(&world, "me/site", "trunk", &commit).send();
    world.settle();
    is_tree(
        &tree_of(&world.checkout()),
        fresh_clone(&world, "trunk"),
        &[],
    );
    assert_eq!(world.head(), commit);
}

#[test]
fn a_first_push_to_a_branch_that_is_not_the_default_is_said_to_be_ignored() {
    let world = empty_world();
    let seed = world.path("seed/site");
    world.git(&seed, &["checkout", "-q", "-b", "feature"]);
    let commit = change(&world, "site", &[("feature.html", Some("new\n"))]);
    let reply = push_of(&world, "me/site", "feature", &commit).send();
    // The checkout is owed all the same, and what is live now is said; but it is not what was pushed.
    reply.expect(200, "deployed");
    reply.says("deployed main new at");
    reply.says("the push of refs/heads/feature was ignored: this site follows main");
    assert!(!reply.body.contains("withdrew"), "{reply:#?}");
    is_whole(&world);
    // From then on the branch is known.
    let again = push_of(&world, "me/site", "feature", &commit).send();
    again.expect(200, "ignored");
}

#[track_caller]
fn goes_on_after_a_death_at(step: &str) {
    let mut world = empty_world();
    world.key("wait", "\"0s\"");
    world.fake_git(step, &Fault::Hang);
    newest(&world).send().expect(202, "accepted");
    kill_session_of(&hung(&world)[0]);
    assert_eq!(world.tickets(), 1, "{step}");
    world.fake_git("none", &Fault::Note);
    world.key("wait", "\"30s\"");
    let reply = newest(&world).send();
    assert_eq!(
        (reply.status, reply.first_word()),
        (200, "deployed"),
        "{step}: {reply:#?}"
    );
    is_whole(&world);
}

#[test]
fn a_first_checkout_that_was_killed_is_gone_on_with() {
    goes_on_after_a_death_at("fetch");
    goes_on_after_a_death_at("submodule");
}

#[test]
#[ignore = "many deploys: ./tests/run"]
fn a_first_checkout_that_was_killed_at_any_step_is_gone_on_with() {
    goes_on_after_a_death_at("ls-remote");
    goes_on_after_a_death_at("init");
    goes_on_after_a_death_at("checkout");
    goes_on_after_a_death_at("pull");
}

#[test]
fn the_git_of_a_first_checkout_whose_deploy_was_killed_is_not_joined() {
    for step in ["ls-remote", "fetch", "checkout"] {
        let mut world = empty_world();
        world.key("wait", "\"0s\"");
        world.fake_git(step, &Fault::Hang);
        newest(&world).send().expect(202, "accepted");
        let orphans = hung(&world);
        // Only the worker dies; its git goes on.
        kill(&session_of(&orphans[0]).unwrap());
        world.fake_git("none", &Fault::Note);
        world.key("wait", "\"30s\"");
        let reply = newest(&world).send();
        let alive: Vec<_> = orphans.iter().filter(|id| is_alive(id)).collect();
        let alive = format!("{alive:?}");
        for id in orphans.iter().filter(|id| is_alive(id)) {
            kill(id);
        }
        assert_eq!(alive, "[]", "{step}: {reply:#?}");
        reply.expect(200, "deployed");
        is_whole(&world);
    }
}

#[test]
fn a_first_checkout_that_was_killed_while_files_were_written_is_gone_on_with() {
    let mut world = empty_world();
    let files = [
        (".gitattributes", Some("*.slow filter=slow\n")),
        ("a", Some("one\n")),
        ("m.slow", Some("one\n")),
        ("z", Some("one\n")),
    ];
    change(&world, "site", &files);
    world.key("wait", "\"0s\"");
    let brake = Brake::new(&world);
    let filter = format!(
        "[filter \"slow\"]\n\tsmudge = \"'{}'\"\n",
        text(&brake.filter())
    );
    fs::write(world.path("home/.gitconfig"), filter).unwrap();
    newest(&world).send().expect(202, "accepted");
    brake.crash();
    assert!(world.exists("checkout/a"), "it was in the middle");
    world.key("wait", "\"30s\"");
    newest(&world).send().expect(200, "deployed");
    is_whole(&world);
}

/// Kills a first checkout, and leaves a lock of git's there.
#[track_caller]
fn is_no_obstacle(lock: &str) {
    let mut world = empty_world();
    world.key("wait", "\"0s\"");
    world.fake_git("checkout", &Fault::Hang);
    newest(&world).send().expect(202, "accepted");
    kill_session_of(&hung(&world)[0]);
    let lock = world.path("checkout/.git").join(lock);
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    fs::write(&lock, "").unwrap();
    world.fake_git("none", &Fault::Note);
    world.key("wait", "\"30s\"");
    let reply = newest(&world).send();
    let lock = lock.display();
    assert_eq!(reply.first_word(), "deployed", "{lock}: {reply:#?}");
    is_whole(&world);
}

#[test]
fn lock_files_of_a_first_checkout_that_was_killed_are_no_obstacle() {
    for lock in ["index.lock", "HEAD.lock", "refs/heads/main.lock"] {
        is_no_obstacle(lock);
    }
}

#[test]
fn a_lock_of_the_configuration_of_a_first_checkout_that_was_killed_is_no_obstacle() {
    is_no_obstacle("config.lock");
}

#[test]
fn a_first_checkout_that_was_killed_goes_on_from_the_url_that_is_set_now() {
    let mut world = empty_world();
    let (bare, old) = (
        world.path("upstream/me/site.git"),
        world.path("upstream/me/old.git"),
    );
    let words = ["clone", "-q", "--bare", &text(&bare), &text(&old)];
    world.git(&world.path(""), &words);
    world.key("clone", &quoted(&world.origin.url("me/old.git")));
    world.key("repository", "\"me/site\"");
    world.key("wait", "\"0s\"");
    world.fake_git("fetch", &Fault::Hang);
    newest(&world).send().expect(202, "accepted");
    kill_session_of(&hung(&world)[0]);
    fs::remove_dir_all(old).unwrap();
    world.fake_git("none", &Fault::Note);
    world.key("clone", &quoted(&world.origin.url("me/site.git")));
    world.key("wait", "\"30s\"");
    newest(&world).send().expect(200, "deployed");
    is_whole(&world);
}

#[test]
fn a_folder_of_somebodys_is_never_touched() {
    type Make = fn(&World);
    let makes: &[Make] = &[
        |world| {
            fs::create_dir(world.checkout()).unwrap();
            fs::write(world.path("checkout/index.html"), "mine").unwrap();
        },
        |world| {
            fs::create_dir(world.checkout()).unwrap();
            fs::write(world.path("checkout/.htaccess"), "mine").unwrap();
        },
        |world| fs::create_dir_all(world.path("checkout/empty")).unwrap(),
        |world| fs::create_dir_all(world.path("checkout/.git/mine")).unwrap(),
        |world| fs::write(world.checkout(), "a file").unwrap(),
        |world| symlink(world.path("nowhere"), world.checkout()).unwrap(),
    ];
    for make in makes {
        let world = empty_world();
        make(&world);
        let listing = |world: &World| {
            let list = ["-c", "find checkout -ls; cat checkout"];
            let output = world.clean("/bin/sh").args(list).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let before = listing(&world);
        for delivery in [newest(&world), world.ping_delivery()] {
            let reply = delivery.send();
            assert_eq!(reply.status, 500, "{before}: {reply:#?}");
            assert_eq!(listing(&world), before);
        }
        assert!(!world.exists("nowhere"));
    }
}

#[test]
fn an_empty_folder_is_used_as_it_is() {
    let world = empty_world();
    fs::create_dir(world.checkout()).unwrap();
    let private = fs::Permissions::from_mode(0o2750);
    fs::set_permissions(world.checkout(), private).unwrap();
    newest(&world).send().expect(200, "deployed");
    is_whole(&world);
    assert_eq!(
        mode_of(&world.checkout()),
        0o2750,
        "the web server's way in stays"
    );
}

#[test]
fn the_folder_above_an_empty_folder_need_not_be_ours() {
    let mut world = empty_world();
    let (above, site) = (world.path("closed"), world.path("closed/site"));
    fs::create_dir_all(&site).unwrap();
    let close = |mode| fs::set_permissions(&above, fs::Permissions::from_mode(mode)).unwrap();
    close(0o555);
    world.key("repo", &quoted(&text(&site)));
    let reply = newest(&world).send();
    wait_until("the end", || {
        site.join(".git/deploy-cgi/history.jsonl").exists()
    });
    close(0o755);
    reply.expect(200, "deployed");
    is_tree(&tree_of(&site), fresh_clone(&world, "main"), &[]);
}

#[test]
fn what_a_death_left_in_an_empty_folder_is_no_obstacle() {
    for left in ["", ".git", ".git/deploy-cgi", ".git/deploy-cgi/cloning"] {
        let world = empty_world();
        let left = world.path("checkout").join(left);
        if left.ends_with("cloning") {
            fs::create_dir_all(left.parent().unwrap()).unwrap();
            fs::write(&left, "").unwrap();
        } else {
            fs::create_dir_all(&left).unwrap();
        }
        newest(&world).send().expect(200, "deployed");
        is_whole(&world);
    }
}

#[test]
fn the_first_checkout_is_readable_as_the_site_says_and_not_as_the_server() {
    let world = empty_world();
    // A server whose own files are private.
    let wrapper = world.path("cgi-bin/private");
    let script = format!(
        "#!/bin/sh\numask 077\nexec '{}'\n",
        text(&world.site_file())
    );
    write_executable(&wrapper, &script);
    newest(&world)
        .through(&wrapper)
        .send()
        .expect(200, "deployed");
    is_whole(&world);
    for folder in ["checkout", "checkout/.git", "checkout/posts"] {
        assert_eq!(mode_of(&world.path(folder)), 0o755, "{folder}");
    }
    assert_eq!(mode_of(&world.path("checkout/index.html")), 0o644);
}

#[test]
fn a_link_to_an_empty_folder_is_followed() {
    let world = empty_world();
    fs::create_dir(world.path("www")).unwrap();
    symlink(world.path("www"), world.checkout()).unwrap();
    newest(&world).send().expect(200, "deployed");
    is_whole(&world);
    assert!(world.exists("www/index.html"));
}

#[test]
fn folders_above_the_first_checkout_are_made() {
    let mut world = empty_world();
    let repo: PathBuf = world.path("not there/yet ü/site");
    world.key("repo", &quoted(&text(&repo)));
    newest(&world).send().expect(200, "deployed");
    wait_until("the end", || {
        repo.join(".git/deploy-cgi/history.jsonl").exists()
    });
    is_tree(&tree_of(&repo), fresh_clone(&world, "main"), &[]);
}

#[test]
fn two_first_deliveries_at_once_make_one_checkout() {
    let mut world = empty_world();
    world.key("on_update", "\"echo x >> ../ran\"");
    let started: Vec<_> = (0..6).map(|_| newest(&world).start()).collect();
    let replies: Vec<Reply> = started.into_iter().map(|one| one.reply()).collect();
    for reply in &replies {
        assert!(matches!(reply.status, 200 | 202), "{reply:#?}");
    }
    is_whole(&world);
    assert_eq!(world.read("ran"), "x\n");
    let served: usize = world
        .history()
        .iter()
        .map(|record| record["tickets"].as_array().unwrap().len())
        .sum();
    assert_eq!(served, 6, "{:#?}", world.history());
}

#[track_caller]
fn is_seen_by_nobody_at(step: &str) {
    let token = "s3cr3tt0ken";
    let mut world = empty_world();
    let url = world
        .origin
        .url_with_login(&format!("me:{token}"), "auth/me/site.git");
    world.key("clone", &quoted(&url));
    world.key("wait", "\"0s\"");
    world.fake_git(step, &Fault::Hang);
    newest(&world).send().expect(202, "accepted");
    let hung = hung(&world);
    let session = session_of(&hung[0]).unwrap();
    let mut seen = 0;
    for id in processes_of_session(&session) {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        assert!(!line.contains(token), "{step}: {line}");
        seen += usize::from(!line.is_empty());
    }
    assert!(seen > 1, "{step}");
    kill_session_of(&hung[0]);
    world.fake_git("none", &Fault::Note);
    world.key("wait", "\"30s\"");
    let reply = newest(&world).send();
    reply.expect(200, "deployed");
    is_whole(&world);
    let config = world.path("checkout/.git/config");
    assert!(!fs::read_to_string(&config).unwrap().contains(token));
    let history = fs::read_to_string(world.state("history.jsonl")).unwrap();
    let status = world.verb(&["status"]).all();
    let check = world.verb(&["check"]).all();
    for shown in [format!("{reply:?}"), history, status, check] {
        assert!(!shown.contains(token), "{step}: {shown}");
    }
}

#[test]
fn a_token_in_the_url_is_seen_by_nobody() {
    is_seen_by_nobody_at("fetch");
    is_seen_by_nobody_at("submodule");
}

#[test]
#[ignore = "many deploys: ./tests/run"]
fn a_token_in_the_url_is_seen_by_nobody_at_any_step() {
    is_seen_by_nobody_at("ls-remote");
    is_seen_by_nobody_at("init");
    is_seen_by_nobody_at("checkout");
}

#[test]
fn a_wrong_url_fails_with_words_and_a_right_one_works_later() {
    let mut world = empty_world();
    let wrong = world
        .origin
        .url_with_login("me:wrong-pass-word", "auth/me/site.git");
    for url in [world.origin.url("me/nowhere/site.git"), wrong] {
        world.key("clone", &quoted(&url));
        world.key("repository", "\"me/site\"");
        let reply = newest(&world).send();
        reply.expect(500, "failed");
        reply.says("failed at clone");
        reply.says("What to do:");
        assert!(!format!("{reply:?}").contains("wrong-pass-word"));
        world.settle();
        let ping = world.ping_delivery().send();
        ping.expect(500, "pong");
        assert!(!format!("{ping:?}").contains("wrong-pass-word"));
        for told in [&reply.body, &ping.body, &world.verb(&["check"]).stdout] {
            let mend = told.contains("the key `clone`") || told.contains("could not be cloned");
            assert!(mend && !told.contains("git branch"), "{told}");
        }
        world.settle();
    }
    world.key("clone", &quoted(&world.origin.url("me/site.git")));
    newest(&world).send().expect(200, "deployed");
    is_whole(&world);
}

#[test]
fn files_that_came_before_the_first_checkout_are_not_written_over() {
    let mut world = empty_world();
    world.key("clone", &quoted(&world.origin.url("me/nowhere/site.git")));
    world.key("repository", "\"me/site\"");
    newest(&world).send().expect(500, "failed");
    world.settle();
    fs::write(world.path("checkout/index.html"), "mine").unwrap();
    world.key("clone", &quoted(&world.origin.url("me/site.git")));
    let reply = newest(&world).send();
    reply.expect(500, "failed");
    reply.says("index.html");
    world.settle();
    has(&world, &[("index.html", "mine")]);
    fs::remove_file(world.path("checkout/index.html")).unwrap();
    newest(&world).send().expect(200, "deployed");
    is_whole(&world);
}

#[test]
fn a_branch_that_is_not_there_fails_with_words_and_a_right_one_works_later() {
    let mut world = empty_world();
    world.key("branch", "\"nope\"");
    let commit = world.head_of("seed/site");
    let reply = push_of(&world, "me/site", "nope", &commit).send();
    reply.expect(500, "failed");
    reply.says("/me/site.git has no branch nope: it has main");
    reply.says("correct the key `branch` in ");
    world.settle();
    world.key("branch", "\"main\"");
    newest(&world).send().expect(200, "deployed");
    is_whole(&world);
}

#[test]
fn an_empty_repository_fails_with_words_and_works_once_it_is_filled() {
    let mut world = empty_world();
    let bare = world.path("upstream/me/new.git");
    world.git(&world.path(""), &["init", "-q", "--bare", &text(&bare)]);
    world.key("clone", &quoted(&world.origin.url("me/new.git")));
    let reply = world.ping_delivery().send();
    reply.expect(500, "pong");
    reply.says("/me/new.git has no branch yet\n\nWhat to do: push one, then press Redeliver");
    world.settle();
    let seed = world.path("seed/site");
    world.git(&seed, &["push", "-q", &text(&bare), "main"]);
    let commit = world.head_of("seed/site");
    push_of(&world, "me/new", "main", &commit)
        .send()
        .expect(200, "deployed");
    world.settle();
    has(&world, &[("index.html", "<h1>one</h1>\n")]);
}

#[test]
fn the_first_checkout_follows_latest_submodules() {
    let mut world = empty_world();
    world.key("submodules", "\"latest\"");
    let post = world.push_to("posts", "second.md", "new\n", "A post");
    newest(&world).send().expect(200, "deployed");
    world.settle();
    assert_eq!(world.submodule_head(), post);
    let follow = ["submodule", "update", "-q", "--remote", "--recursive"];
    let expected = fresh_clone_of(&world, "me/site.git", "main", &follow);
    is_tree(&tree_of(&world.checkout()), expected, &[]);
}

#[test]
fn the_first_delivery_may_be_a_post() {
    let mut world = empty_world();
    world.key("submodules", "\"latest\"");
    let post = world.push_to("posts", "second.md", "new\n", "A post");
    // Which repositories are submodules is not known yet.
    let reply = push_of(&world, "me/posts", "main", &post).send();
    assert_eq!(reply.status, 200, "{reply:#?}");
    newest(&world).send();
    world.settle();
    assert_eq!(world.submodule_head(), post);
}

#[test]
fn a_repository_with_sha256_ids_is_cloned() {
    let mut world = empty_world();
    let (bare, seed) = (world.path("upstream/me/long.git"), world.path("seed/long"));
    for place in [&["--bare", &text(&bare)][..], &[&text(&seed)]] {
        let words = [&["init", "-q", "--object-format=sha256"], place].concat();
        world.git(&world.path(""), &words);
    }
    world.git(&seed, &["remote", "add", "origin", &text(&bare)]);
    let first = world.push_to("long", "a", "one\n", "One");
    assert_eq!(first.len(), 64);
    world.key("clone", &quoted(&world.origin.url("me/long.git")));
    let deliver = |commit: &str| push_of(&world, "me/long", "main", commit).send();
    deliver(&first).expect(200, "deployed");
    world.settle();
    let same = || {
        let fresh = fresh_clone_of(&world, "me/long.git", "main", &[]);
        is_tree(&tree_of(&world.checkout()), fresh, &[]);
    };
    same();
    let second = world.push_to("long", "a", "two\n", "Two");
    deliver(&second).expect(200, "deployed");
    world.settle();
    same();
    assert_eq!(world.history()[0]["tickets"][0]["delivery"], DELIVERY);
}

#[test]
fn an_edit_in_a_first_checkout_that_failed_at_its_end_is_kept() {
    let world = empty_world();
    // A hook of the person's that fails when all files are there.
    let hook = world.path("home/hooks/post-checkout");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    write_executable(&hook, "#!/bin/sh\nexit 1\n");
    let hooks = format!(
        "[core]\n\thooksPath = \"{}\"\n",
        text(hook.parent().unwrap())
    );
    fs::write(world.path("home/.gitconfig"), hooks).unwrap();
    newest(&world).send().expect(500, "failed");
    world.settle();
    fs::write(world.checkout().join("index.html"), "mine").unwrap();
    fs::remove_file(&hook).unwrap();
    let reply = newest(&world).send();
    reply.expect(200, "deployed");
    reply.says("index.html");
    reply.says("stash apply refs/deploy-cgi/saved/");
    is_whole(&world);
    let saved = world.git(
        &world.checkout(),
        &[
            "for-each-ref",
            "--format=%(refname)",
            "refs/deploy-cgi/saved",
        ],
    );
    let kept = world.git(
        &world.checkout(),
        &["show", &format!("{}:index.html", saved.trim())],
    );
    assert_eq!(kept, "mine");
}
