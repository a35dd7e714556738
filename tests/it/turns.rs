//! Many deliveries at once: one deploys, one waits, and none is lost.

use std::fs::{self, File};
use std::io::Write;

use rustix::process::Signal;

use crate::process::{is_alive, kill, processes, wait_until_quiet};
use crate::server::{Kind, Server, hand_over};
use crate::world::{
    DELIVERY, Fault, World, quoted, search_path, text, wait_until, write_executable,
};

#[test]
fn a_push_during_a_deploy_is_deployed_next() {
    let mut world = World::new();
    world.key("wait", "\"0s\"");
    world.fake_git("pull", &Fault::Hold);
    let first = world.push("two");
    world.push_delivery(&first).send().expect(202, "accepted");
    world.wait_until_held();
    let second = world.push("three");
    // Nobody waits in line yet: this one does, and is told as much when its time is over.
    world.push_delivery(&second).send().expect(202, "accepted");
    let third = world.push("four");
    let reply = world.push_delivery(&third).send();
    reply.expect(202, "queued");
    world.push_delivery(&third).send().expect(202, "queued");
    assert_eq!(world.tickets(), 4);
    world.release();
    world.settle();
    assert_eq!(world.head(), third);
    assert_eq!(
        world.history().len(),
        2,
        "the running deploy and one more: {:?}",
        world.history()
    );
}

#[test]
fn a_delivery_that_waits_in_line_hears_its_result() {
    let mut world = World::new();
    world.fake_git("pull", &Fault::Hold);
    let first = world.push("two");
    let first = world.push_delivery(&first).start();
    world.wait_until_held();
    let second = world.push("three");
    let waiting = world.push_delivery(&second).start();
    wait_until("the second ticket", || world.tickets() == 2);
    world.release();
    first.reply().expect(200, "deployed");
    let reply = waiting.reply();
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(world.head(), second);
}

#[test]
fn a_burst_costs_the_running_deploy_and_one_more() {
    let mut world = World::new();
    world.key("wait", "\"0s\"");
    world.key("on_update", "\"echo x >> ../ran\"");
    world.fake_git("pull", &Fault::Hold);
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(202, "accepted");
    world.wait_until_held();
    let commit = world.push("three");
    let burst: Vec<_> = (0..20)
        .map(|_| world.push_delivery(&commit).start())
        .collect();
    let words: Vec<String> = burst
        .into_iter()
        .map(|started| {
            let reply = started.reply();
            assert_eq!(reply.status, 202, "{reply:?}");
            reply.first_word().to_owned()
        })
        .collect();
    assert_eq!(
        words.iter().filter(|word| *word == "accepted").count(),
        1,
        "{words:?}"
    );
    world.release();
    world.settle();
    assert_eq!(world.head(), commit);
    assert_eq!(world.history().len(), 2, "{:?}", world.history());
}

#[test]
fn a_delivery_that_finds_someone_in_line_is_queued_and_starts_nothing() {
    let world = World::new();
    let first = world.push("two");
    world.push_delivery(&first).send().expect(200, "deployed");
    world.settle();
    let in_line = File::create(world.state("waiting")).unwrap();
    in_line.lock().unwrap();
    let second = world.push("three");
    world.push_delivery(&second).send().expect(202, "queued");
    assert_eq!((world.tickets(), world.head()), (1, first));
    in_line.unlock().unwrap();
    drop(in_line);
    // Whoever comes next, with whatever event, finds the ticket that nobody attends.
    world.delivery("star", "{}").send().expect(200, "ignored");
    world.settle();
    assert_eq!(world.head(), second);
}

#[test]
fn a_ticket_that_cannot_be_read_still_means_that_a_deploy_is_owed() {
    let world = World::new();
    let first = world.push("two");
    world.push_delivery(&first).send().expect(200, "deployed");
    world.settle();
    let second = world.push("three");
    fs::write(world.state("queue").join("torn"), [0xff, 0]).unwrap();
    world.ping_delivery().send().expect(200, "pong");
    world.settle();
    assert_eq!(world.head(), second);
}

#[test]
fn a_ticket_that_cannot_be_written_is_an_error_and_nothing_runs() {
    let world = World::new();
    let before = world.head();
    fs::create_dir_all(world.state("")).unwrap();
    // A file where the folder should be stops even root.
    fs::write(world.state("queue"), "").unwrap();
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(503, "error");
    assert_eq!(world.head(), before);
    fs::remove_file(world.state("queue")).unwrap();
    world.push_delivery(&commit).send().expect(200, "deployed");
}

#[test]
fn a_full_queue_is_an_error() {
    let world = World::new();
    let first = world.push("two");
    world.push_delivery(&first).send().expect(200, "deployed");
    world.settle();
    let in_line = File::create(world.state("waiting")).unwrap();
    in_line.lock().unwrap();
    for number in 0..1000 {
        fs::write(world.state("queue").join(format!("ticket-{number}")), "").unwrap();
    }
    let second = world.push("three");
    world.push_delivery(&second).send().expect(503, "error");
    drop(in_line);
    world.ping_delivery().send();
    world.settle();
    assert_eq!(world.head(), second);
}

#[test]
fn a_front_that_is_killed_does_not_stop_its_deploy() {
    let mut world = World::new();
    world.fake_git("pull", &Fault::Hold);
    let commit = world.push("two");
    let mut front = world.push_delivery(&commit).start();
    world.wait_until_held();
    front.child.kill().unwrap();
    front.child.wait().unwrap();
    world.release();
    world.settle();
    assert_eq!(world.head(), commit);
}

#[test]
fn a_killed_deploy_is_healed_by_the_next() {
    let mut world = World::new();
    world.fake_git("pull", &Fault::Hold);
    let (commit, post) = world.push_with_post("two");
    let front = world.push_delivery(&commit).start();
    let (git, worker) = world.held();
    kill(&worker);
    let reply = front.reply();
    reply.expect(500, "failed");
    assert_eq!(world.tickets(), 1, "the deploy is still owed: {reply:?}");
    assert!(is_alive(&git), "its git works on");
    // What a pull leaves that is killed when it has fetched and writes files.
    world.git(&world.checkout(), &["fetch", "-q"]);
    fs::write(world.path("checkout/.git/index.lock"), "").unwrap();
    fs::write(world.path("checkout/index.html"), "wi").unwrap();
    fs::write(world.path("checkout/untracked"), "mine").unwrap();
    world.fake_git("none", &Fault::Note);
    world.push_delivery(&commit).send().expect(200, "deployed");
    assert!(!is_alive(&git), "no second git joined it");
    assert_eq!((world.head(), world.submodule_head()), (commit, post));
    assert_eq!(world.changes(), "?? untracked");
    world.settle();
}

#[test]
fn what_a_killed_maintenance_leaves_is_cleared_by_the_next_deploy() {
    let mut world = World::new();
    world.fake_git("gc", &Fault::Hold);
    let first = world.push("two");
    world.push_delivery(&first).send().expect(200, "deployed");
    let (git, worker) = world.held();
    kill(&worker);
    let lock = world.path("checkout/.git/packed-refs.lock");
    fs::write(&lock, "").unwrap();
    world.fake_git("none", &Fault::Note);
    let commit = world.push("three");
    world.push_delivery(&commit).send().expect(200, "deployed");
    assert!(!is_alive(&git), "no second git joined it");
    assert!(!lock.exists());
    world.settle();
}

#[test]
fn a_lock_of_the_persons_is_not_taken_for_a_dead_deploys() {
    let world = World::new();
    let lock = world.path("checkout/.git/index.lock");
    fs::write(&lock, "").unwrap();
    let commit = world.push("two");
    let reply = world.push_delivery(&commit).send();
    reply.expect(500, "failed");
    reply.says("index.lock");
    assert!(lock.exists());
    fs::remove_file(lock).unwrap();
    world.push_delivery(&commit).send().expect(200, "deployed");
}

#[test]
fn a_held_turn_is_waited_for_by_run_too() {
    let mut world = World::new();
    world.key("wait", "\"0s\"");
    world.fake_git("pull", &Fault::Hold);
    let first = world.push("two");
    world.push_delivery(&first).send().expect(202, "accepted");
    world.wait_until_held();
    let second = world.push("three");
    world.push_delivery(&second).send().expect(202, "accepted");
    // Somebody is in line: this changes nothing, and says so.
    let run = world.verb(&["run"]);
    run.expect_exit(0);
    run.says("queued");
    world.release();
    world.settle();
    assert_eq!(world.head(), second);
}

// ---- two hundred at once ----

/// As many pushes as GitHub would never send.
const BURST: usize = 200;

/// Two more workers than one may be seen for a moment: one that ends, one that deploys, one that waits.
const MAX_WORKERS: usize = 3;

#[test]
fn two_hundred_pushes_at_once_cost_one_more_deploy_and_one_more_process() {
    let mut world = World::new();
    world.key("on_update", "\"echo x >> ../ran\"");
    world.fake_git("pull", &Fault::Hold);
    let commit = world.push("two");
    let first = world.push_delivery(&commit).start();
    world.wait_until_held();
    let commits: Vec<String> = (0..5)
        .map(|number| world.push(&format!("burst {number}")))
        .collect();
    let burst: Vec<_> = (0..BURST)
        .map(|number| {
            world
                .push_delivery(&commits[number % commits.len()])
                .start()
        })
        .collect();
    let mut most = 0;
    wait_until("a ticket for each", || {
        let there = processes(&world);
        most = most.max(there.iter().filter(|process| process.is_worker()).count());
        world.tickets() > BURST
    });
    // All but the one in line are answered while the first deploy still runs.
    wait_until("the answers", || {
        let fronts = processes(&world);
        fronts
            .iter()
            .filter(|process| process.is_front(&world))
            .count()
            <= 2
    });
    world.release();
    let answers: Vec<(u16, String)> = burst
        .into_iter()
        .chain([first])
        .map(|started| {
            let reply = started.reply();
            (reply.status, reply.first_word().to_owned())
        })
        .collect();
    world.settle();
    let queued = answers
        .iter()
        .filter(|(status, word)| (*status, word.as_str()) == (202, "queued"));
    assert_eq!(queued.count(), BURST - 1, "{answers:?}");
    // Those that the turns are for; on a busy machine it takes longer than anybody waits.
    let served = answers
        .iter()
        .filter(|(status, word)| *status == 200 || word == "accepted");
    assert_eq!(served.count(), 2, "{answers:?}");
    assert!(most <= MAX_WORKERS, "{most} workers at once");
    assert_eq!(Some(&world.head()), commits.last());
    assert!(world.history().len() <= 3, "{:?}", world.history());
    assert!(world.read("ran").lines().count() <= 3);
    assert_eq!(world.tickets(), 0);
}

fn a_burst_through(kind: Kind) {
    let mut world = World::new();
    world.key("on_update", "\"echo x >> ../outside/ran\"");
    world.fake_git("pull", &Fault::Hold);
    let _program = hand_over(&mut world);
    world.key("wait", "\"8s\"");
    let server = Server::start(kind, &world);
    let commit = world.push("two");
    let first = server.send(&world.push_delivery(&commit));
    world.wait_until_held();
    let commit = world.push("three");
    let delivery = world.push_delivery(&commit);
    let burst: Vec<_> = (0..BURST).map(|_| server.send(&delivery)).collect();
    // However long the server takes to come to them all.
    wait_until("a ticket for each", || world.tickets() > BURST);
    world.release();
    for sent in burst.into_iter().chain([first]) {
        let answer = sent.answer();
        assert!(matches!(answer.status, 200 | 202), "{answer:?}");
    }
    world.settle();
    assert_eq!(world.head(), commit);
    assert_eq!(world.history().len(), 2, "{:?}", world.history());
    assert!(world.read("outside/ran").lines().count() <= 2);
}

#[test]
#[ignore = "needs apache2: ./tests/run"]
fn two_hundred_pushes_through_apache_with_mod_cgid() {
    a_burst_through(Kind::ApacheEvent);
}

#[test]
#[ignore = "needs apache2: ./tests/run"]
fn two_hundred_pushes_through_apache_with_mod_cgi() {
    a_burst_through(Kind::ApachePrefork);
}

#[test]
#[ignore = "needs lighttpd: ./tests/run"]
fn two_hundred_pushes_through_lighttpd() {
    a_burst_through(Kind::Lighttpd);
}

// ---- what hangs ----

#[test]
fn an_ssh_that_hangs_is_ended_and_the_next_push_is_deployed() {
    let mut world = World::new();
    world.key("timeout", "\"1s\"");
    let stub = world.path("fake/ssh");
    write_executable(
        &stub,
        "#!/bin/sh\ntrap '' TERM\nsleep 1000 &\nwait; wait; sleep 1000\n",
    );
    let command = quoted(&format!("'{}'", text(&stub)));
    world.key(
        "env",
        &world.shield(&format!(", GIT_SSH_COMMAND = {command}")),
    );
    let good = world.origin.url("me/site.git");
    let checkout = world.checkout();
    world.key("repository", "\"me/site\"");
    let ssh = "ssh://git@host.invalid/me/site.git";
    world.git(&checkout, &["remote", "set-url", "origin", ssh]);
    let commit = world.push("two");
    let reply = world.push_delivery(&commit).send();
    reply.expect(500, "failed");
    reply.says("1s");
    wait_until_quiet(&world);
    assert_eq!(world.history().len(), 1);
    assert_eq!(world.tickets(), 0);
    world.git(&checkout, &["remote", "set-url", "origin", &good]);
    world.key("timeout", "\"60s\"");
    world.push_delivery(&commit).send().expect(200, "deployed");
    assert_eq!(world.head(), commit);
}

#[test]
fn an_on_update_that_hangs_is_ended_with_its_background_child_and_recorded() {
    let mut world = World::new();
    world.key("timeout", "\"2s\"");
    world.key(
        "on_update",
        "\"trap '' TERM; (trap '' TERM; sleep 1000) & sleep 1000; sleep 1000\"",
    );
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(500, "failed");
    wait_until_quiet(&world);
    assert_eq!(world.history().len(), 1);
    world.key("on_update", "\"true\"");
    let commit = world.push("three");
    world.push_delivery(&commit).send().expect(200, "deployed");
    assert_eq!(world.head(), commit);
}

#[test]
fn a_hanging_git_behind_a_202_keeps_the_next_push_waiting_no_longer_than_its_limit() {
    let mut world = World::new();
    world.key("timeout", "\"1s\"");
    world.key("wait", "\"0s\"");
    world.fake_git("pull", &Fault::Hang);
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(202, "accepted");
    wait_until("the hanging git", || world.exists("fake/hung"));
    world.fake_git("none", &Fault::Note);
    world.key("wait", "\"30s\"");
    world.key("timeout", "\"60s\"");
    let second = world.push("three");
    let reply = world.push_delivery(&second).send();
    reply.expect(200, "deployed");
    world.settle();
    wait_until_quiet(&world);
    let verdicts: Vec<_> = world
        .history()
        .iter()
        .map(|line| line["verdict"].clone())
        .collect();
    assert_eq!(verdicts, ["failed", "deployed"]);
}

// ---- a remote that lags ----

/// Puts a git in front of the real one that counts the pulls.
fn count_pulls(world: &mut World) {
    let (folder, path) = (text(&world.path("fake")), search_path());
    let script = format!(
        "#!/bin/sh\nPATH='{path}'\nfor word in \"$@\"; do\n  [ \"$word\" = pull ] && echo x >>'{folder}/pulls'\ndone\n\
         exec git \"$@\"\n"
    );
    write_executable(&world.path("fake/git"), &script);
    world.key("path", &quoted(&format!("{folder}:{path}")));
}

fn pulls(world: &World) -> usize {
    fs::read_to_string(world.path("fake/pulls")).map_or(0, |pulls| pulls.lines().count())
}

#[test]
fn a_commit_that_the_remote_gets_later_is_deployed_once_it_is_there() {
    let mut world = World::new();
    count_pulls(&mut world);
    let commit = world.commit("site", "index.html", "two", "Two");
    let started = world.push_delivery(&commit).start();
    wait_until("the second look", || pulls(&world) >= 2);
    world.git(&world.path("seed/site"), &["push", "-q", "origin", "main"]);
    started.reply().expect(200, "deployed");
    assert_eq!(world.head(), commit);
    world.settle();
    assert_eq!(world.history().len(), 1, "{:?}", world.history());
}

#[test]
fn a_push_that_is_there_does_not_wait_for_one_that_lags() {
    let mut world = World::new();
    world.key("on_update", "\"echo $DEPLOY_NEW >> ../ran\"");
    count_pulls(&mut world);
    let there = world.push("two");
    let later = world.commit("site", "index.html", "three", "Three");
    let lags = world.push_delivery(&later).start();
    wait_until("the second look", || pulls(&world) >= 2);
    world.push_delivery(&there).send().expect(200, "deployed");
    assert_eq!(world.head(), there);
    assert_eq!(world.tickets(), 1, "the one that lags is still owed");
    let before = pulls(&world);
    wait_until("another look", || pulls(&world) > before);
    world.git(&world.path("seed/site"), &["push", "-q", "origin", "main"]);
    lags.reply().expect(200, "deployed");
    world.settle();
    assert_eq!(world.head(), later);
    assert_eq!(world.read("ran"), format!("{there}\n{later}\n"));
    assert_eq!(world.history().len(), 2, "{:?}", world.history());
}

#[test]
fn a_commit_that_a_later_push_withdrew_is_said_to_be_and_is_no_failure() {
    let world = World::new();
    let seed = world.path("seed/site");
    let withdrawn = world.push("two");
    // It came this far, but was never deployed.
    world.git(&world.checkout(), &["fetch", "-q"]);
    world.git(&seed, &["reset", "-q", "--hard", "HEAD~1"]);
    world.force_push();
    let now = world.push("three");
    let reply = world.push_delivery(&withdrawn).send();
    reply.expect(200, "deployed");
    reply.says("withdrew");
    assert_eq!(world.head(), now);
}

/// A clone fetches every branch, and so may have the commit long before it is pushed to the one that is followed.
#[test]
fn a_commit_that_another_branch_brought_is_given_time_to_be_in_this_one() {
    let mut world = World::new();
    count_pulls(&mut world);
    let commit = world.commit("site", "index.html", "two", "Two");
    let seed = world.path("seed/site");
    world.git(&seed, &["push", "-q", "origin", "main:draft"]);
    world.git(&world.checkout(), &["fetch", "-q"]);
    let started = world.push_delivery(&commit).start();
    wait_until("the second look", || pulls(&world) >= 2);
    world.git(&seed, &["push", "-q", "origin", "main"]);
    let reply = started.reply();
    reply.expect(200, "deployed");
    assert!(!reply.body.contains("withdrew"), "{reply:#?}");
    assert_eq!(world.head(), commit);
}

#[test]
fn a_commit_that_was_withdrawn_to_what_was_before_it_is_said_to_be() {
    let world = World::new();
    let seed = world.path("seed/site");
    let before = world.head();
    let withdrawn = world.push("two");
    world.git(&world.checkout(), &["fetch", "-q"]);
    world.git(&seed, &["reset", "-q", "--hard", "HEAD~1"]);
    world.force_push();
    let delivery = world.payload(&withdrawn);
    assert_eq!(delivery["before"], before.as_str());
    let reply = world.push_delivery(&withdrawn).send();
    reply.expect(200, "unchanged");
    reply.says("withdrew");
    assert_eq!(world.head(), before);
}

#[test]
fn a_head_that_is_ahead_of_its_remote_fails_with_words() {
    let world = World::new();
    world.push("two");
    let deployed = world.push("three");
    world
        .push_delivery(&deployed)
        .send()
        .expect(200, "deployed");
    world.git(
        &world.path("seed/site"),
        &["reset", "-q", "--hard", "HEAD~2"],
    );
    world.force_push();
    let reply = world.push_delivery(&world.head_of("seed/site")).send();
    reply.expect(500, "failed");
    reply.says("2 commits ahead of origin/main");
    reply.says("reset --keep refs/remotes/origin/main");
    assert_eq!(world.head(), deployed);
}

// ---- what becomes known, and what is kept ----

#[test]
fn on_failure_gets_the_report_also_of_a_deploy_that_failed_behind_a_202() {
    let mut world = World::new();
    world.key("wait", "\"0s\"");
    world.key(
        "on_failure",
        "\"cat > ../mail; echo $DEPLOY_VERDICT $DEPLOY_DELIVERY >> ../mail\"",
    );
    world.fake_git("pull", &Fault::Fail("fatal: the sky fell"));
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(202, "accepted");
    world.settle();
    let mail = world.read("mail");
    assert!(mail.starts_with("failed at pull"), "{mail}");
    assert!(mail.contains("the sky fell"), "{mail}");
    assert!(mail.ends_with(&format!("failed {DELIVERY}\n")), "{mail}");
}

#[test]
fn an_on_failure_that_fails_is_recorded_and_changes_nothing() {
    let mut world = World::new();
    world.key("on_failure", "\"echo no mailer here >&2; exit 3\"");
    world.fake_git("pull", &Fault::Fail("fatal: the sky fell"));
    let commit = world.push("two");
    let reply = world.push_delivery(&commit).send();
    reply.expect(500, "failed");
    reply.says("the sky fell");
    world.settle();
    // What became known later is told behind the report, wherever that is shown; and it is no deploy of its own.
    let later = "\nlater: on_failure ended with exit code 3: no mailer here\n";
    let all: serde_json::Value =
        serde_json::from_str(&world.verb(&["status", "--json"]).stdout).unwrap();
    let deploys = all["deploys"].as_array().unwrap();
    let remark = later.trim().strip_prefix("later: ").unwrap();
    assert_eq!(deploys.len(), 1, "{all:#}");
    assert_eq!(deploys[0]["remarks"], serde_json::json!([remark]));
    world.verb(&["status", DELIVERY]).says(later);
    world.ping_delivery().send().says(later);
    // A line that a full disk tore is passed by.
    let torn = br#"{"about":{"time":"2026"#;
    let history = File::options()
        .append(true)
        .open(world.state("history.jsonl"));
    history.unwrap().write_all(torn).unwrap();
    world.verb(&["status", DELIVERY]).says(later);
    world.push_delivery(&commit).send().says(later);
    world.fake_git("none", &Fault::Note);
    world.push_delivery(&commit).send().expect(200, "deployed");
}

#[test]
fn what_finished_behind_a_202_is_shown_by_a_redelivery_and_by_the_next_ping() {
    let mut world = World::new();
    world.key("wait", "\"0s\"");
    world.fake_git("pull", &Fault::Fail("fatal: the sky fell"));
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(202, "accepted");
    world.settle();
    world.fake_git("none", &Fault::Note);
    world.key("wait", "\"30s\"");
    world.ping_delivery().send().says("the sky fell");
    let reply = world.push_delivery(&commit).send();
    reply.expect(200, "deployed");
    reply.says("the sky fell");
}

#[test]
fn the_history_is_rotated_and_bounded_and_a_torn_line_is_passed_by() {
    let world = World::new();
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "deployed");
    world.settle();
    let path = world.state("history.jsonl");
    let line = fs::read_to_string(&path).unwrap();
    assert_eq!(line.lines().count(), 1, "one line a deploy");
    let limit: usize = 1 << 20;
    for round in ["three", "four"] {
        let other = line.replace(DELIVERY, "another-delivery");
        let mut long = other.repeat(limit / other.len() - 1);
        // The last line is torn, and there is no room for another one.
        long.push_str("{\"time\":\"");
        long.push_str(&"x".repeat(limit - long.len()));
        fs::write(&path, &long).unwrap();
        let commit = world.push(round);
        let before = world.head();
        world.push_delivery(&commit).send().expect(200, "deployed");
        world.settle();
        let files: Vec<String> = fs::read_dir(world.state(""))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("history."))
            .collect();
        assert_eq!(files.len(), 2, "{files:?}");
        let sizes: Vec<u64> = files
            .iter()
            .map(|name| world.state(name).metadata().unwrap().len())
            .collect();
        assert!(
            sizes.iter().all(|size| *size <= limit as u64 + 64),
            "{sizes:?}"
        );
        let now = fs::read_to_string(&path).unwrap();
        assert!(now.contains(&before) && now.contains(&commit), "{now}");
    }
    // One that a full disk tore, with room behind it.
    fs::write(&path, format!("{line}{{\"time\":\"2026-")).unwrap();
    let commit = world.push("five");
    world.push_delivery(&commit).send().expect(200, "deployed");
    world.settle();
    let told = fs::read_to_string(&path).unwrap();
    let good = told
        .lines()
        .filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok());
    assert_eq!((told.lines().count(), good.count()), (3, 2), "{told}");
    world.verb(&["status"]).expect_exit(0);
    world.ping_delivery().send().says(&commit[..7]);
}

#[test]
fn a_ticket_whose_worker_was_killed_is_served_at_the_next_delivery_even_an_ignored_one() {
    let mut world = World::new();
    world.fake_git("pull", &Fault::Hold);
    let commit = world.push("two");
    let mut front = world.push_delivery(&commit).start();
    world.wait_until_held();
    let there = processes(&world);
    there
        .iter()
        .filter(|process| process.is_worker())
        .for_each(|process| process.signal(Signal::KILL));
    front.child.wait().unwrap();
    assert_eq!(world.tickets(), 1);
    world.release();
    world.delivery("star", "{}").send().expect(200, "ignored");
    world.settle();
    assert_eq!(world.head(), commit);
}

#[test]
fn a_worker_that_dies_is_told_of_and_its_ticket_is_kept() {
    let mut world = World::new();
    world.fake_git("pull", &Fault::Hold);
    let commit = world.push("two");
    let front = world.push_delivery(&commit).start();
    world.wait_until_held();
    let there = processes(&world);
    there
        .iter()
        .filter(|process| process.is_worker())
        .for_each(|process| process.signal(Signal::KILL));
    front.reply().expect(500, "failed");
    assert_eq!(world.tickets(), 1);
    world.release();
    world.push_delivery(&commit).send().expect(200, "deployed");
    assert_eq!(world.tickets(), 0);
}

#[test]
fn what_a_killed_git_leaves_running_is_ended_with_it() {
    let mut world = World::new();
    let folder = text(&world.path("fake"));
    let script = format!(
        "#!/bin/sh\nPATH='{}'\ncase \"$*\" in\n*pull*)\n  sleep 1000 &\n  echo $! >'{folder}/left'\n  kill -KILL $$ ;;\n\
         esac\nexec git \"$@\"\n",
        search_path()
    );
    write_executable(&world.path("fake/git"), &script);
    world.key("path", &quoted(&format!("{folder}:{}", search_path())));
    let reply = world.push_delivery(&world.push("two")).send();
    reply.expect(500, "failed");
    reply.says("killed by signal 9");
    let left = world.read("fake/left");
    assert!(!is_alive(left.trim()), "{left}");
}

#[test]
fn who_waited_for_a_turn_deploys_with_the_site_file_as_it_is_then() {
    let mut world = World::new();
    world.key("on_update", "\"false\"");
    let commit = world.push("two");
    world.fake_git("pull", &Fault::Hold);
    let first = world.push_delivery(&commit).start();
    world.wait_until_held();
    let second = world.push_delivery(&commit).start();
    wait_until("the second ticket", || world.tickets() == 2);
    // In line, with what it has read.
    wait_until("the second worker", || {
        let waiting = File::open(world.state("waiting"));
        waiting.is_ok_and(|waiting| waiting.try_lock_shared().is_err())
    });
    world.key("on_update", "\"true\"");
    world.release();
    first.reply().expect(500, "failed");
    second.reply().expect(200, "deployed");
}
