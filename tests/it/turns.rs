//! Many deliveries at once: one deploys, one waits, and none is lost.

use std::fs::{self, File};

use crate::world::{Fault, World, is_alive, kill, wait_until};

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
    world.key("wait", "\"30s\"");
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
    world.key("wait", "\"30s\"");
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
