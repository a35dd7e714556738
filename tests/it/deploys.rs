//! What a push does to the checkout.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::checkouts::is_as_pushed;
use crate::process::is_alive;
use crate::world::{
    DELIVERY, Fault, NOWHERE, World, ZERO, payload_after, quoted, text, wait_until,
    write_executable,
};

/// The numbers that a hanging git wrote down.
fn hung_processes(world: &World) -> Vec<String> {
    wait_until("the hanging git", || world.exists("fake/hung"));
    world
        .read("fake/hung")
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_push_with_a_submodule_bump_is_deployed() {
    let mut world = World::new();
    world.key("on_update", "\"env > ../seen; pwd >> ../seen\"");
    let before = world.head();
    let (commit, post) = world.push_with_post("two");
    let reply = world.push_delivery(&commit).send();
    assert_eq!(
        reply.whole(&world),
        "200 OK\ndeployed main <id>..<id>, 1 commit\n\n  <id> Say with two\n\nsubmodules:\n  posts <id>..<id>\n\n\
         pull        <time>\nsubmodules  <time>\non_update   <time>\n"
    );
    reply.says(&format!("{}..{}", &before[..7], &commit[..7]));
    assert_eq!(
        (world.head(), world.submodule_head()),
        (commit.clone(), post.clone())
    );
    assert_eq!(world.read("checkout/index.html"), "with two");
    assert_eq!(world.read("checkout/posts/second.md"), "two");
    assert_eq!(world.changes(), "");
    let seen = world.read("seen");
    for line in [
        format!("DEPLOY_REPO={}", text(&world.checkout())),
        "DEPLOY_BRANCH=main".to_owned(),
        format!("DEPLOY_OLD={before}"),
        format!("DEPLOY_NEW={commit}"),
        format!("DEPLOY_DELIVERY={DELIVERY}"),
        "DEPLOY_VERDICT=deployed".to_owned(),
        text(&world.checkout()),
    ] {
        assert!(
            seen.lines().any(|known| known == line),
            "{line} is not in {seen}"
        );
    }
    world.settle();
    let history = world.history();
    assert_eq!(history.len(), 1, "{history:?}");
    let pointers = ["/old", "/new", "/verdict", "/tickets/0/delivery"];
    let told = pointers.map(|name| history[0].pointer(name).and_then(Value::as_str));
    let expected = [&before, &commit, "deployed", DELIVERY].map(Some);
    assert_eq!(told, expected, "{history:?}");
    let last_good: Value =
        serde_json::from_str(&world.read("checkout/.git/deploy-cgi/last-good")).unwrap();
    assert_eq!(last_good["head"], json!(commit), "{last_good}");
    assert_eq!(
        last_good["submodules"],
        json!({ "posts": post }),
        "{last_good}"
    );
}

#[test]
fn a_redelivery_changes_nothing_and_says_so() {
    let mut world = World::new();
    world.key("on_update", "\"echo x >> ../ran\"");
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "deployed");
    world.push_delivery(&commit).send().expect(200, "unchanged");
    assert_eq!(world.read("ran"), "x\n", "on_update ran once");
}

#[test]
fn several_pushes_are_deployed_by_the_first_delivery() {
    let world = World::new();
    let first = world.push("two");
    let second = world.push("three");
    let reply = world.push_delivery(&first).send();
    reply.expect(200, "deployed");
    reply.says("Say two");
    reply.says("Say three");
    assert_eq!(world.head(), second);
    world.push_delivery(&second).send().expect(200, "unchanged");
}

#[test]
fn a_form_delivery_is_deployed() {
    let world = World::new();
    let commit = world.push("zwei + drei ☃");
    let mut form = form_urlencoded::Serializer::new(String::new());
    let body = form
        .append_pair("payload", &world.payload(&commit).to_string())
        .finish();
    let delivery = world.delivery("push", body);
    let reply = delivery
        .var("CONTENT_TYPE", "application/x-www-form-urlencoded")
        .send();
    reply.expect(200, "deployed");
    reply.says("Say zwei + drei ☃");
    assert_eq!(world.head(), commit);
}

#[test]
fn giteas_test_delivery_is_no_deletion() {
    let world = World::new();
    let commit = world.push("two");
    let mut payload = world.payload(ZERO);
    payload["before"] = ZERO.into();
    for absent in ["created", "deleted", "forced", "base_ref", "head_commit"] {
        payload.as_object_mut().unwrap().remove(absent);
    }
    let body = serde_json::to_string_pretty(&payload).unwrap();
    world.delivery("push", body).send().expect(200, "deployed");
    assert_eq!(world.head(), commit);
}

#[test]
fn a_new_submodule_and_a_moved_one_are_fetched() {
    let world = World::new();
    let seed = world.path("seed/site");
    let bare = world.path("upstream/me/notes.git");
    let posts = world.path("upstream/me/posts.git");
    world.git(
        &world.path(""),
        &["clone", "-q", "--bare", &text(&posts), &text(&bare)],
    );
    let moved = world.path("upstream/me/moved.git");
    fs::rename(posts, &moved).unwrap();
    world.git(
        &world.path("seed/posts"),
        &["remote", "set-url", "origin", &text(&moved)],
    );
    let post = world.push_to("posts", "second.md", "after the move\n", "A post");
    let modules = format!(
        "[submodule \"posts\"]\n\tpath = posts\n\turl = {}\n[submodule \"notes\"]\n\tpath = notes\n\turl = ../notes.git\n",
        world.origin.url("me/moved.git")
    );
    fs::write(seed.join(".gitmodules"), modules).unwrap();
    world.git(&seed, &["add", ".gitmodules"]);
    world.point_submodule_at(&post);
    let note = world.git(&bare, &["rev-parse", "HEAD"]);
    world.git(
        &seed,
        &[
            "update-index",
            "--add",
            "--cacheinfo",
            &format!("160000,{note},notes"),
        ],
    );
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "deployed");
    assert_eq!(world.submodule_head(), post);
    assert_eq!(world.head_of("checkout/notes"), note);
    assert_eq!(world.read("checkout/notes/first.md"), "the first post\n");
    assert_eq!(world.changes(), "");
}

#[test]
fn submodules_can_be_left_alone() {
    let mut world = World::new();
    world.key("submodules", "\"skip\"");
    let before = world.submodule_head();
    let (commit, _) = world.push_with_post("two");
    world.push_delivery(&commit).send().expect(200, "deployed");
    assert_eq!((world.head(), world.submodule_head()), (commit, before));
}

#[test]
fn a_failing_on_update_fails_the_deploy_and_is_tried_again() {
    let mut world = World::new();
    world.key(
        "on_update",
        "\"echo restarting the app; echo x >> ../ran; test -e ../fixed\"",
    );
    let commit = world.push("two");
    let reply = world.push_delivery(&commit).send();
    reply.expect(500, "failed");
    reply.says("on_update");
    reply.says("restarting the app");
    assert_eq!(world.head(), commit);
    let last_good = fs::read_to_string(world.state("last-good")).unwrap_or_default();
    assert!(!last_good.contains(&commit), "{last_good}");
    world.push_delivery(&commit).send().expect(500, "failed");
    fs::write(world.path("fixed"), "").unwrap();
    world.push_delivery(&commit).send().expect(200, "deployed");
    world.push_delivery(&commit).send().expect(200, "unchanged");
    assert_eq!(world.read("ran"), "x\nx\nx\n");
}

#[test]
fn on_failure_gets_the_report_of_every_failed_deploy() {
    let mut world = World::new();
    world.key("on_update", "\"echo broken; exit 3\"");
    world.key("on_failure", "\"cat > ../mail; env > ../seen; exit 9\"");
    world.key("wait", "\"0s\"");
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(202, "accepted");
    world.settle();
    wait_until("the mail", || world.exists("seen"));
    let mail = world.read("mail");
    assert!(mail.starts_with("failed at on_update"), "{mail}");
    assert!(
        mail.contains("broken") && mail.contains("exit code 3"),
        "{mail}"
    );
    let seen = world.read("seen");
    for line in ["DEPLOY_VERDICT=failed", &format!("DEPLOY_NEW={commit}")] {
        assert!(
            seen.lines().any(|known| known == line),
            "{line} is not in {seen}"
        );
    }
    fs::remove_file(world.path("mail")).unwrap();
    world.key("on_update", "\"true\"");
    world.push_delivery(&commit).send();
    world.settle();
    assert!(!world.exists("mail"), "a deploy that went well is no news");
}

#[test]
fn a_deploy_longer_than_the_wait_is_accepted_and_finishes_behind() {
    let mut world = World::new();
    world.key("wait", "\"200ms\"");
    world.fake_git("pull", &Fault::Hold);
    let commit = world.push("two");
    let before = world.head();
    let reply = world.push_delivery(&commit).send();
    reply.expect(202, "accepted");
    assert_eq!(world.head(), before);
    assert_eq!(world.tickets(), 1, "the deploy is owed");
    world.release();
    world.settle();
    assert_eq!(world.head(), commit);
    assert!(world.history()[0].to_string().contains("deployed"));
}

#[test]
fn a_pull_that_cannot_fast_forward_fails_and_keeps_the_tree() {
    let world = World::new();
    let checkout = world.checkout();
    world.commit_locally(&checkout, "mine.txt", "mine");
    let mine = world.head();
    let commit = world.push("two");
    let reply = world.push_delivery(&commit).send();
    reply.expect(500, "failed");
    reply.says("Not possible to fast-forward");
    assert_eq!(world.head(), mine);
    assert_eq!(
        (
            world.read("checkout/mine.txt").as_str(),
            world.changes().as_str()
        ),
        ("mine", "")
    );
    assert_eq!(
        world.tickets(),
        0,
        "a failure that was recorded is answered"
    );
    assert!(world.history()[0].to_string().contains("failed"));
}

#[test]
fn a_local_commit_that_is_ahead_is_not_called_deployed() {
    let world = World::new();
    let checkout = world.checkout();
    let commit = world.head();
    world.commit_locally(&checkout, "mine.txt", "mine");
    let reply = world.push_delivery(&commit).send();
    reply.expect(500, "failed");
    reply.says("ahead");
}

#[test]
fn a_push_that_was_taken_back_is_not_called_deployed() {
    let world = World::new();
    let withdrawn = world.push("two");
    world
        .push_delivery(&withdrawn)
        .send()
        .expect(200, "deployed");
    world.git(
        &world.path("seed/site"),
        &["reset", "-q", "--hard", "HEAD~1"],
    );
    world.force_push();
    let now = world.head_of("seed/site");
    let mut payload = world.payload(&now);
    payload["forced"] = true.into();
    let reply = world.delivery("push", payload.to_string()).send();
    // `git pull` says "Already up to date." to this.
    reply.expect(500, "failed");
    reply.says("ahead");
}

#[test]
fn a_local_edit_in_the_way_is_kept_and_named() {
    let world = World::new();
    fs::write(world.path("checkout/index.html"), "edited on the host").unwrap();
    let before = world.head();
    let commit = world.push("two");
    let reply = world.push_delivery(&commit).send();
    reply.expect(500, "failed");
    reply.says("index.html");
    assert_eq!(world.read("checkout/index.html"), "edited on the host");
    assert_eq!(world.head(), before);
}

#[test]
fn a_local_edit_elsewhere_is_kept() {
    let world = World::new();
    world.push_to("site", "other.html", "other", "Other");
    let commit = world.head_of("seed/site");
    world.push_delivery(&commit).send().expect(200, "deployed");
    fs::write(world.path("checkout/other.html"), "edited on the host").unwrap();
    fs::write(world.path("checkout/untracked"), "mine").unwrap();
    fs::write(world.path("checkout/posts/untracked"), "mine").unwrap();
    // The person's configuration asks for a stash, which would not be kept apart.
    fs::write(
        world.path("home/.gitconfig"),
        "[merge]\n\tautoStash = true\n",
    )
    .unwrap();
    let (commit, _) = world.push_with_post("two");
    world.push_delivery(&commit).send().expect(200, "deployed");
    assert_eq!(world.read("checkout/other.html"), "edited on the host");
    assert_eq!(world.read("checkout/untracked"), "mine");
    assert_eq!(world.read("checkout/posts/untracked"), "mine");
    assert_eq!(world.git(&world.checkout(), &["stash", "list"]), "");
}

#[test]
fn a_submodule_commit_that_nobody_pushed_fails_and_says_so() {
    let world = World::new();
    let missing = world.commit("posts", "draft.md", "draft", "A draft");
    world.point_submodule_at(&missing);
    let commit = world.push("two");
    let reply = world.push_delivery(&commit).send();
    reply.expect(500, "failed");
    reply.says("posts");
    reply.says("not our ref");
    world.git(&world.path("seed/posts"), &["push", "-q", "origin", "main"]);
    world.push_delivery(&commit).send().expect(200, "deployed");
    assert_eq!(world.submodule_head(), missing);
}

#[test]
fn a_submodule_that_git_leaves_empty_is_filled() {
    let world = World::new();
    let checkout = world.checkout();
    // What a clone that was killed leaves: `git submodule update` exits 0 and fills nothing.
    world.git(&checkout.join("posts"), &["checkout", "-q", "--detach"]);
    fs::remove_file(checkout.join(".git/modules/posts/index")).unwrap();
    fs::remove_file(checkout.join("posts/first.md")).unwrap();
    let commit = world.push("two");
    let reply = world.push_delivery(&commit).send();
    assert_eq!(
        reply.whole(&world),
        "200 OK\ndeployed main <id>..<id>, 1 commit\n\n  <id> Say two\n\nsubmodules:\n  posts new at <id>\n\n\
         pull        <time>\nsubmodules  <time>\n"
    );
    is_as_pushed(&world, &[]);
}

#[test]
fn a_remote_that_lags_behind_is_given_time_and_nobody_else_waits_for_it() {
    let mut world = World::new();
    world.key("wait", "\"100ms\"");
    world.fake_git("pull", &Fault::Note);
    let late = world.commit("site", "index.html", "late", "Late");
    world.push_delivery(&late).send().expect(202, "accepted");
    wait_until("the first pull", || world.exists("fake/arguments"));
    let before = world.head();
    assert_ne!(before, late);
    // Another ticket, for what is live: served at once.
    world.push_delivery(&before).send();
    wait_until("the end of the other deploy", || {
        !world.history().is_empty() && world.tickets() == 1
    });
    world.git(&world.path("seed/site"), &["push", "-q", "origin", "main"]);
    world.settle();
    assert_eq!(world.head(), late);
    assert_eq!(world.history().last().unwrap()["verdict"], "deployed");
}

#[test]
#[ignore = "takes more than a minute: ./tests/run"]
fn a_pushed_commit_that_the_remote_never_has_is_not_called_deployed() {
    let mut world = World::new();
    world.key("wait", "\"100ms\"");
    world.push("two");
    world.push_delivery(NOWHERE).send().expect(202, "accepted");
    world.settle();
    let history = world.history();
    assert_eq!(history.last().unwrap()["verdict"], "failed", "{history:#?}");
    let report = history.last().unwrap()["report"].to_string();
    assert!(report.contains(&NOWHERE[..7]), "{report}");
}

#[test]
fn git_gets_nothing_of_the_request() {
    let mut world = World::new();
    world.fake_git("pull", &Fault::Note);
    let commit = world.push("two");
    let delivery = world.push_delivery(&commit);
    let delivery = delivery
        .var("GIT_DIR", "/nowhere")
        .var("GIT_WORK_TREE", "/nowhere")
        .var("GIT_TRACE", "1")
        .var("GIT_CONFIG_COUNT", "x")
        .var("LANGUAGE", "de")
        .var("LC_ALL", "de_DE.UTF-8")
        .var("SSH_ASKPASS", "/bin/false")
        .var("DISPLAY", ":0")
        .var("REDIRECT_STATUS", "200")
        .var("SSL_PROTOCOL", "x")
        .var("HTTP_PROXY", "http://127.0.0.1:1");
    delivery.send().expect(200, "deployed");
    assert_eq!(world.head(), commit);
    let environment = world.read("fake/environment");
    let value = |name: &str| {
        let line = environment
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap_or_else(|| panic!("{name} is not in {environment}"))
    };
    assert_eq!(value("LC_ALL"), "C");
    assert_eq!(value("GIT_TERMINAL_PROMPT"), "0");
    assert_eq!(value("GIT_ASKPASS"), "");
    assert_eq!(value("HOME"), text(&world.path("home")));
    assert!(value("PATH").starts_with(&text(&world.path("fake"))));
    for leak in [
        "HTTP_",
        "REDIRECT_",
        "SSL_",
        "REQUEST_",
        "SERVER_",
        "SCRIPT_",
        "QUERY_",
        "CONTENT_",
        "GATEWAY_",
        "GIT_DIR=",
        "GIT_WORK_TREE=",
        "GIT_TRACE",
        "GIT_CONFIG_COUNT=x",
        "LANGUAGE=",
        "SSH_ASKPASS=",
        "DISPLAY=",
        "DEPLOY_",
    ] {
        assert!(
            !environment.lines().any(|line| line.starts_with(leak)),
            "{leak} in {environment}"
        );
    }
    let arguments = world.read("fake/arguments");
    assert!(
        !arguments.contains(&commit),
        "nothing from the payload: {arguments}"
    );
    assert!(
        arguments.lines().any(|word| word == "--ff-only"),
        "{arguments}"
    );
}

#[test]
fn commands_get_the_sites_environment_and_nothing_of_the_request() {
    let mut world = World::new();
    world.key("on_update", "\"env > ../seen; cat > ../stdin\"");
    world.key(
        "env",
        &world.shield(", APP_ENV = \"production\", GIT_AUTHOR_NAME = \"Robot\""),
    );
    let commit = world.push("two");
    let delivery = world.push_delivery(&commit);
    let delivery = delivery
        .without("PATH")
        .var("LANG", "de_DE.UTF-8")
        .var("HOST_THING", "x")
        .var("GIT_DIR", "/nowhere")
        .var("REDIRECT_STATUS", "200")
        .var("SSL_PROTOCOL", "x");
    delivery.send().expect(200, "deployed");
    let seen = world.read("seen");
    for line in [
        "APP_ENV=production",
        "GIT_AUTHOR_NAME=Robot",
        "LANG=de_DE.UTF-8",
    ] {
        assert!(
            seen.lines().any(|known| known == line),
            "{line} is not in {seen}"
        );
    }
    assert!(
        seen.lines().any(|line| line.starts_with("PATH=/")),
        "{seen}"
    );
    assert!(
        seen.lines()
            .any(|line| line == format!("HOME={}", text(&world.path("home")))),
        "{seen}"
    );
    for leak in [
        "HOST_THING",
        "HTTP_",
        "REDIRECT_",
        "SSL_",
        "REQUEST_",
        "SERVER_",
        "SCRIPT_",
        "QUERY_",
        "CONTENT_",
        "GATEWAY_",
        "GIT_DIR",
        "GIT_TERMINAL_PROMPT",
        "LC_ALL",
    ] {
        assert!(
            !seen.lines().any(|line| line.starts_with(leak)),
            "{leak} in {seen}"
        );
    }
    assert_eq!(world.read("stdin"), "");
}

#[test]
fn a_server_without_path_and_home_is_enough() {
    let mut world = World::new();
    world.key("on_update", "\"git --version > ../seen\"");
    let (commit, post) = world.push_with_post("two");
    let delivery = world
        .push_delivery(&commit)
        .without("PATH")
        .var("HOME", "/nonexistent");
    delivery.send().expect(200, "deployed");
    assert_eq!((world.head(), world.submodule_head()), (commit, post));
    assert!(world.read("seen").starts_with("git version"));
}

#[test]
fn a_background_child_of_on_update_lives_on() {
    let mut world = World::new();
    // It keeps the output open, and it must not keep the deploy.
    world.key(
        "on_update",
        "\"(while [ ! -e ../stop ]; do sleep 0.05; done; echo end > ../ended) & echo started\"",
    );
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "deployed");
    world.settle();
    assert!(!world.exists("ended"));
    // The next deploy does not wait for it either.
    let commit = world.push("three");
    world.push_delivery(&commit).send().expect(200, "deployed");
    world.settle();
    fs::write(world.path("stop"), "").unwrap();
    wait_until("the end of the child", || world.exists("ended"));
}

#[test]
fn a_git_that_hangs_is_ended_with_all_its_children() {
    let mut world = World::new();
    world.key("timeout", "\"1s\"");
    world.fake_git("pull", &Fault::Hang);
    let before = world.head();
    let commit = world.push("two");
    let reply = world.push_delivery(&commit).send();
    reply.expect(500, "failed");
    reply.says("1s");
    for id in hung_processes(&world) {
        wait_until("the end of a hung process", || !is_alive(&id));
    }
    assert_eq!(world.head(), before);
    world.settle();
    world.fake_git("none", &Fault::Note);
    world.push_delivery(&commit).send().expect(200, "deployed");
}

#[test]
fn an_on_update_that_hangs_is_ended_with_all_its_children() {
    let mut world = World::new();
    world.key("timeout", "\"2s\"");
    world.key(
        "on_update",
        "\"trap '' TERM; sleep 1000 & echo $! $$ > ../fake/hung; wait; wait; wait\"",
    );
    let commit = world.push("two");
    let reply = world.push_delivery(&commit).send();
    reply.expect(500, "failed");
    reply.says("on_update");
    for id in hung_processes(&world) {
        wait_until("the end of a hung process", || !is_alive(&id));
    }
    world.settle();
    world.key("on_update", "\"true\"");
    world.push_delivery(&commit).send().expect(200, "deployed");
}

#[test]
fn what_left_the_group_of_an_on_update_that_hangs_is_ended_too() {
    let mut world = World::new();
    world.key("timeout", "\"2s\"");
    let child = "setsid sh -c 'setsid sleep 1000 & echo $! $$ >../fake/hung; exec sleep 1000' >/dev/null 2>&1";
    // Such a child of a command that ends well lives on, also while the next one is ended.
    let first = world.push("two");
    world.key(
        "on_update",
        &quoted(&format!(
            "{child} & while [ ! -s ../fake/hung ]; do sleep 0.1; done"
        )),
    );
    world.push_delivery(&first).send().expect(200, "deployed");
    let lives = hung_processes(&world);
    fs::remove_file(world.path("fake/hung")).unwrap();
    world.key("on_update", &quoted(&format!("{child} & sleep 1000")));
    let commit = world.push("three");
    let reply = world.push_delivery(&commit).send();
    reply.expect(500, "failed");
    reply.says("the command ended after its limit of 2s; the new files are in place");
    for id in hung_processes(&world) {
        wait_until("the end of a hung process", || !is_alive(&id));
    }
    for id in lives {
        assert!(is_alive(&id));
        assert!(world.clean("kill").arg(&id).status().unwrap().success());
    }
    world.settle();
    world.key("on_update", "\"true\"");
    world.push_delivery(&commit).send().expect(200, "deployed");
}

#[test]
fn a_remote_that_never_answers_is_given_up() {
    let mut world = World::new();
    world.key("timeout", "\"1s\"");
    let url = world.origin.url("hang/me/site.git");
    world.git(&world.checkout(), &["remote", "set-url", "origin", &url]);
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(500, "failed");
    world.settle();
    let url = world.origin.url("slow/me/site.git");
    world.git(&world.checkout(), &["remote", "set-url", "origin", &url]);
    world.key("timeout", "\"30s\"");
    world.push_delivery(&commit).send().expect(200, "deployed");
}

#[test]
fn credentials_in_urls_are_never_shown_or_stored() {
    let world = World::new();
    let token = "ghp_0123456789abcdefSECRET";
    let path = "me/missing.git";
    let url = world
        .origin
        .url_with_login(&format!("x-access-token:{token}"), path);
    let seed = world.path("seed/site");
    let modules = format!("[submodule \"posts\"]\n\tpath = posts\n\turl = {url}\n");
    fs::write(seed.join(".gitmodules"), modules).unwrap();
    fs::remove_dir_all(world.path("checkout/.git/modules/posts")).unwrap();
    fs::remove_dir_all(world.path("checkout/posts")).unwrap();
    world.git(
        &world.checkout(),
        &["config", "--remove-section", "submodule.posts"],
    );
    world.git(&seed, &["add", ".gitmodules"]);
    let commit = world.push("two");
    let reply = world.push_delivery(&commit).send();
    reply.expect(500, "failed");
    reply.says("missing.git"); // git's own words, which carry the URL
    let history = fs::read_to_string(world.state("history.jsonl")).unwrap();
    let check = world.verb(&["check"]);
    for shown in [format!("{reply:?}"), history, format!("{check:?}")] {
        assert!(!shown.contains(token), "{shown}");
    }
}

#[test]
fn a_login_that_is_wrong_fails_at_once_without_a_prompt() {
    let world = World::new();
    let url = world
        .origin
        .url_with_login("me:wrong-pass-word", "auth/me/site.git");
    world.git(&world.checkout(), &["remote", "set-url", "origin", &url]);
    let commit = world.push("two");
    let reply = world.push_delivery(&commit).send();
    reply.expect(500, "failed");
    assert!(
        !format!("{reply:?}").contains("wrong-pass-word"),
        "{reply:?}"
    );
    let url = world.origin.url("auth/me/site.git");
    world.git(&world.checkout(), &["remote", "set-url", "origin", &url]);
    write_executable(&world.path("askpass"), "#!/bin/sh\nsleep 1000\n");
    let delivery = world.push_delivery(&commit);
    let delivery = delivery.var("GIT_ASKPASS", world.path("askpass"));
    delivery.send().expect(500, "failed");
    let url = world
        .origin
        .url_with_login("me:s3cr3tt0ken", "auth/me/site.git");
    world.git(&world.checkout(), &["remote", "set-url", "origin", &url]);
    let reply = world.push_delivery(&commit).send();
    reply.expect(200, "deployed");
    let history = fs::read_to_string(world.state("history.jsonl")).unwrap();
    assert!(!format!("{reply:?}{history}").contains("s3cr3tt0ken"));
}

#[test]
fn a_subject_with_control_characters_is_shown_escaped() {
    let world = World::new();
    let subject = "Title \u{1b}[31mred\u{7} \u{202e}back";
    let commit = world.push_to("site", "index.html", "two", subject);
    let reply = world.push_delivery(&commit).send();
    reply.expect(200, "deployed");
    reply.says("Title");
    for control in ['\u{1b}', '\u{7}'] {
        assert!(!reply.body.contains(control), "{reply:?}");
    }
    reply.says("[31mred");
}

#[test]
fn at_most_ten_subjects_are_listed() {
    let world = World::new();
    let mut commit = String::new();
    for number in 1..=13 {
        commit = world.push(&format!("number {number}."));
    }
    let reply = world.push_delivery(&commit).send();
    reply.expect(200, "deployed");
    let listed = (1..=13)
        .filter(|number| reply.body.contains(&format!("Say number {number}.")))
        .count();
    assert_eq!(listed, 10, "{reply:?}");
    reply.says("3 more");
}

#[test]
fn a_second_site_for_the_same_checkout_is_an_error() {
    let world = World::new();
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "deployed");
    let second = world.path("cgi-bin/second.cgi");
    world.write_site(&second, &world.settings());
    let commit = world.push("three");
    let reply = world.push_delivery(&commit).through(&second).send();
    assert_eq!(reply.status, 500, "{reply:?}");
    reply.says("deploy.cgi");
    assert_ne!(world.head(), commit);
    world.verb_of(&second, &["check"]).says("deploy.cgi");
    world.push_delivery(&commit).send().expect(200, "deployed");
}

#[test]
fn what_is_written_follows_the_umask_of_the_site() {
    let mut world = World::new();
    let mode = |name: &str| fs::metadata(world.path(name)).unwrap().permissions().mode() & 0o777;
    // The server's own mask is that of the tests and says nothing.
    let commit = world.push_to("site", "default.html", "x", "Default");
    world.push_delivery(&commit).send().expect(200, "deployed");
    assert_eq!(mode("checkout/default.html"), 0o644);
    world.key("umask", "\"027\"");
    world.key("on_update", "\"umask > ../seen\"");
    let mode = |name: &str| fs::metadata(world.path(name)).unwrap().permissions().mode() & 0o777;
    let commit = world.push_to("site", "private.html", "x", "Private");
    world.push_delivery(&commit).send().expect(200, "deployed");
    assert_eq!(mode("checkout/private.html"), 0o640);
    assert_eq!(world.read("seen").trim().trim_start_matches('0'), "27");
}

#[test]
fn a_failing_git_is_reported_in_its_own_words() {
    let mut world = World::new();
    world.fake_git("pull", &Fault::Fail("fatal: the sky fell"));
    let before = world.head();
    let commit = world.push("two");
    let reply = world.push_delivery(&commit).send();
    reply.expect(500, "failed");
    reply.says("fatal: the sky fell");
    assert_eq!(world.head(), before);
}

#[test]
fn a_branch_of_another_name_than_upstreams_is_followed() {
    let mut world = World::new();
    let checkout = world.checkout();
    world.git(
        &checkout,
        &["checkout", "-q", "-b", "live", "--track", "origin/main"],
    );
    let commit = world.push("two");
    world.key("repository", &quoted("me/site"));
    world.push_delivery(&commit).send().expect(200, "deployed");
    assert_eq!(world.head(), commit);
}

#[test]
fn another_branch_can_be_followed() {
    let mut world = World::new();
    let seed = world.path("seed/site");
    world.git(&seed, &["checkout", "-q", "-b", "feature/ü"]);
    world.git(&seed, &["push", "-q", "origin", "feature/ü"]);
    world.git(&world.checkout(), &["fetch", "-q"]);
    world.git(&world.checkout(), &["checkout", "-q", "feature/ü"]);
    world.key("branch", &quoted("feature/ü"));
    let commit = world.commit("site", "index.html", "two", "Two");
    world.git(&seed, &["push", "-q", "origin", "feature/ü"]);
    let mut payload = world.payload(&commit);
    world
        .delivery("push", payload.to_string())
        .send()
        .expect(200, "ignored");
    payload["ref"] = "refs/heads/feature/ü".into();
    world
        .delivery("push", payload.to_string())
        .send()
        .expect(200, "deployed");
    assert_eq!(world.head(), commit);
}

#[test]
fn reset_follows_a_rewritten_branch_and_keeps_what_it_removes() {
    let mut world = World::new();
    world.key("update", "\"reset\"");
    let withdrawn = world.push("two");
    world
        .push_delivery(&withdrawn)
        .send()
        .expect(200, "deployed");
    fs::write(world.path("checkout/index.html"), "edited on the host").unwrap();
    fs::write(world.path("checkout/untracked"), "mine").unwrap();
    let seed = world.path("seed/site");
    world.git(&seed, &["reset", "-q", "--hard", "HEAD~1"]);
    let commit = world.commit("site", "index.html", "another two", "Another two");
    world.force_push();
    let reply = world.push_delivery(&commit).send();
    reply.expect(200, "deployed");
    assert_eq!(world.head(), commit);
    assert_eq!(world.read("checkout/index.html"), "another two");
    assert_eq!(world.read("checkout/untracked"), "mine");
    let kept = world.git(
        &world.checkout(),
        &["for-each-ref", "refs/deploy-cgi/saved"],
    );
    assert!(!kept.is_empty(), "{reply:?}");
    let refs: Vec<&str> = kept
        .lines()
        .filter_map(|line| line.split('\t').nth(1))
        .collect();
    let edits = refs.iter().filter(|name| {
        let file = format!("{name}:index.html");
        world.git(&world.checkout(), &["show", &file]) == "edited on the host"
    });
    assert_eq!(edits.count(), 1, "{kept}");
}

#[test]
fn submodules_can_follow_their_own_branches() {
    let world = World::latest();
    let before = world.head();
    let post = world.push_to("posts", "second.md", "two", "A post");
    let mut payload = world.payload(&post);
    payload["repository"]["full_name"] = "me/posts".into();
    world
        .delivery("push", payload.to_string())
        .send()
        .expect(200, "deployed");
    assert_eq!((world.head(), world.submodule_head()), (before, post));
    payload["ref"] = "refs/heads/draft".into();
    world
        .delivery("push", payload.to_string())
        .send()
        .expect(200, "ignored");
    payload["repository"]["full_name"] = "me/other".into();
    world
        .delivery("push", payload.to_string())
        .send()
        .expect(200, "ignored");
}

#[test]
fn a_checkout_that_is_not_there_is_cloned() {
    let mut world = World::new();
    world.key("clone", &quoted(&world.origin.url("me/site.git")));
    fs::remove_dir_all(world.checkout()).unwrap();
    let (commit, post) = world.push_with_post("two");
    let payload = payload_after(ZERO, &commit);
    let reply = world.delivery("push", payload.to_string()).send();
    reply.expect(200, "deployed");
    assert_eq!(
        (world.head(), world.submodule_head()),
        (commit.clone(), post)
    );
    world.push_delivery(&commit).send().expect(200, "unchanged");
}

#[test]
fn a_folder_with_files_in_it_is_not_cloned_over() {
    let mut world = World::new();
    world.key("clone", &quoted(&world.origin.url("me/site.git")));
    fs::remove_dir_all(world.checkout()).unwrap();
    fs::create_dir(world.checkout()).unwrap();
    fs::write(world.path("checkout/mine"), "mine").unwrap();
    let payload = payload_after(NOWHERE, &world.head_of("seed/site"));
    let reply = world.delivery("push", payload.to_string()).send();
    assert_eq!(reply.status, 500, "{reply:?}");
    assert_eq!(world.read("checkout/mine"), "mine");
    assert_eq!(fs::read_dir(world.checkout()).unwrap().count(), 1);
}
