//! Only what a workflow has passed: which runs count, and what is brought, in whatever order deliveries come.

use std::fs;

use serde_json::{Value, json};

use crate::docs::block_with;
use crate::process::wait_until_quiet;
use crate::world::{Delivery, Fault, World, wait_until};

const WORKFLOW: &str = "\".github/workflows/ci.yml\"";

fn waiting_world() -> World {
    let mut world = World::new();
    world.key("workflow", WORKFLOW);
    world
}

/// The payload of a run that counts, as GitHub says it.
fn run_payload(commit: &str, id: u64, conclusion: &str) -> Value {
    json!({
        "action": "completed",
        "workflow_run": {
            "id": id, "run_attempt": 1, "name": "CI", "head_branch": "main", "head_sha": commit,
            "path": ".github/workflows/ci.yml", "event": "push", "status": "completed",
            "conclusion": conclusion, "display_title": "A subject", "run_number": 1,
            "repository": { "full_name": "me/site" },
            "head_repository": { "full_name": "me/site" }
        },
        "workflow": { "id": 1, "name": "CI", "path": ".github/workflows/ci.yml" },
        "repository": { "full_name": "me/site" }
    })
}

fn delivery_of(world: &World, payload: &Value) -> Delivery {
    world.delivery("workflow_run", payload.to_string())
}

/// A run that ended, the first attempt.
fn ended(world: &World, commit: &str, id: u64, conclusion: &str) -> Delivery {
    delivery_of(world, &run_payload(commit, id, conclusion))
}

fn green(world: &World, commit: &str, id: u64) -> Delivery {
    ended(world, commit, id, "success")
}

fn short(commit: &str) -> &str {
    &commit[..7]
}

#[test]
fn the_page_has_the_key() {
    let mut world = World::new();
    let block = block_with("workflow = ");
    world.key(
        "workflow",
        block.trim().strip_prefix("workflow = ").unwrap(),
    );
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "waiting");
    green(&world, &commit, 1).send().expect(200, "deployed");
}

#[test]
fn a_push_waits_and_the_success_of_its_workflow_deploys_it() {
    let world = waiting_world();
    let before = world.head();
    let commit = world.push("two");
    let reply = world.push_delivery(&commit).send();
    reply.expect(200, "waiting");
    reply.says(&format!(
        "waiting for .github/workflows/ci.yml to succeed for {}; nothing was deployed yet.\n",
        short(&commit)
    ));
    assert_eq!((world.head(), world.tickets()), (before, 0));
    let reply = green(&world, &commit, 1).send();
    reply.expect(200, "deployed");
    reply.says("deployed main ");
    assert_eq!(world.head(), commit);
    green(&world, &commit, 1).send().expect(200, "unchanged");
}

#[test]
fn what_is_not_green_stays_away_and_the_answer_names_what_stays_live() {
    let world = waiting_world();
    let live = world.push("two");
    green(&world, &live, 1).send().expect(200, "deployed");
    for (id, conclusion) in [
        (2, "failure"),
        (3, "cancelled"),
        (4, "skipped"),
        (5, "neutral"),
        (6, "a \u{1b}[2J of its own"),
    ] {
        let commit = world.push(conclusion);
        let reply = world.push_delivery(&commit).send();
        reply.expect(200, "waiting");
        reply.says(&format!("{} stays live", short(&live)));
        let reply = ended(&world, &commit, id, conclusion).send();
        reply.expect(200, "ignored");
        reply.says(&format!("{} stays live", short(&live)));
        assert!(!reply.body.contains('\u{1b}'), "{reply:?}");
        assert_eq!(world.head(), live);
    }
}

/// Each of these is like a run that counts but for one thing.
#[test]
fn runs_that_do_not_count_are_ignored() {
    let world = waiting_world();
    let before = world.head();
    let commit = world.push("two");
    let run = "/workflow_run";
    for (place, value) in [
        ("/action".to_owned(), json!("requested")),
        ("/action".to_owned(), json!("in_progress")),
        (format!("{run}/event"), json!("pull_request")),
        (format!("{run}/event"), json!("schedule")),
        (format!("{run}/event"), json!("workflow_dispatch")),
        (format!("{run}/head_branch"), json!("dev")),
        (format!("{run}/head_branch"), json!(null)),
        (format!("{run}/head_repository"), json!(null)),
        (
            format!("{run}/head_repository"),
            json!({ "full_name": "fork/site" }),
        ),
        (format!("{run}/path"), json!(".github/workflows/other.yml")),
        (
            format!("{run}/path"),
            json!("else/site/.github/workflows/ci.yml"),
        ),
        (format!("{run}/conclusion"), json!(null)),
        (
            "/repository".to_owned(),
            json!({ "full_name": "else/site" }),
        ),
    ] {
        let mut payload = run_payload(&commit, 1, "success");
        *payload.pointer_mut(&place).unwrap() = value;
        let reply = delivery_of(&world, &payload).send();
        assert_eq!(
            (reply.status, reply.first_word()),
            (200, "ignored"),
            "{place}: {reply:#?}"
        );
        assert_eq!(world.head(), before, "{place}");
    }
    let mut payload = run_payload("main", 1, "success");
    let reply = delivery_of(&world, &payload).send();
    reply.expect(400, "refused");
    // These do.
    payload = run_payload(&commit, 1, "success");
    payload["workflow_run"]["path"] = json!("Me/Site/.github/workflows/ci.yml@refs/heads/main");
    payload["workflow_run"]["head_repository"]["full_name"] = json!("ME/site");
    payload["workflow_run"]["name"] = json!(null);
    delivery_of(&world, &payload).send().expect(200, "deployed");
    let commit = world.push("three");
    payload = run_payload(&commit, 2, "success");
    let run = payload["workflow_run"].as_object_mut().unwrap();
    run.remove("path");
    run.remove("run_attempt");
    delivery_of(&world, &payload).send().expect(200, "deployed");
    assert_eq!(world.head(), commit);
}

#[test]
fn without_the_key_a_run_is_ignored_and_a_bare_file_name_is_enough() {
    let mut world = World::new();
    let commit = world.push("two");
    green(&world, &commit, 1).send().expect(200, "ignored");
    world.key("workflow", "\"ci.yml\"");
    green(&world, &commit, 1).send().expect(200, "deployed");
}

#[test]
fn the_newest_green_commit_is_brought_and_none_that_is_not() {
    let world = waiting_world();
    let (one, two, three) = (world.push("1"), world.push("2"), world.push("3"));
    // In another order than they were pushed.
    let reply = green(&world, &two, 2).send();
    reply.expect(200, "deployed");
    reply.says("note: origin/main is 1 commit ahead: .github/workflows/ci.yml is not known to have succeeded for it\n");
    assert_eq!(world.head(), two);
    // An older one never goes back.
    green(&world, &one, 1).send().expect(200, "unchanged");
    assert_eq!(world.head(), two);
    // Red, then green when it is run again; and the first attempt comes once more.
    ended(&world, &three, 3, "failure")
        .send()
        .expect(200, "ignored");
    let mut again = run_payload(&three, 3, "success");
    again["workflow_run"]["run_attempt"] = json!(2);
    delivery_of(&world, &again).send().expect(200, "deployed");
    ended(&world, &three, 3, "failure")
        .send()
        .expect(200, "unchanged");
    assert_eq!(world.head(), three);
    // Green, then red when it is run again: what is live stays, but it is not green any more.
    let mut red = run_payload(&three, 3, "failure");
    red["workflow_run"]["run_attempt"] = json!(3);
    delivery_of(&world, &red).send().expect(200, "ignored");
    assert_eq!(world.head(), three);
}

#[test]
fn a_run_that_is_green_before_its_push_is_seen_deploys_and_the_push_is_unchanged() {
    let world = waiting_world();
    let commit = world.push("two");
    green(&world, &commit, 1).send().expect(200, "deployed");
    world.push_delivery(&commit).send().expect(200, "unchanged");
}

#[test]
fn a_green_commit_that_the_branch_does_not_have_is_ignored_without_waiting() {
    let world = waiting_world();
    let live = world.push("two");
    green(&world, &live, 1).send().expect(200, "deployed");
    let strange = "1234567890123456789012345678901234567890";
    let reply = green(&world, strange, 2).send();
    reply.expect(200, "ignored");
    reply.says("ignored the run for 1234567: origin/main does not have this commit\n");
    assert_eq!((world.head(), world.tickets()), (live.clone(), 0));
    // A commit of another branch, which git has here.
    let checkout = world.checkout();
    world.git(&checkout, &["branch", "other"]);
    let seed = world.path("seed/site");
    world.git(&seed, &["checkout", "-q", "-b", "other"]);
    world.commit("site", "page.txt", "other", "Other");
    world.git(&seed, &["push", "-q", "origin", "other"]);
    world.git(&checkout, &["fetch", "-q", "origin", "other"]);
    let other = world.git(&seed, &["rev-parse", "HEAD"]);
    green(&world, other.trim(), 3).send().expect(200, "ignored");
    assert_eq!((world.head(), world.tickets()), (live, 0));
}

#[test]
fn a_reset_goes_to_the_newest_green_commit_of_a_branch_that_was_rewritten() {
    let mut world = waiting_world();
    world.key("update", "\"reset\"");
    let live = world.push("two");
    green(&world, &live, 1).send().expect(200, "deployed");
    let seed = world.path("seed/site");
    world.git(&seed, &["reset", "-q", "--hard", "HEAD~1"]);
    world.commit("site", "page.txt", "instead", "Instead");
    world.force_push();
    let green_one = world.git(&seed, &["rev-parse", "HEAD"]).trim().to_owned();
    let newest = world.push("after");
    world.push_delivery(&newest).send().expect(200, "waiting");
    // The one that was live is not in the branch any more.
    green(&world, &live, 1).send().expect(200, "ignored");
    assert_eq!(world.head(), live);
    green(&world, &green_one, 2).send().expect(200, "deployed");
    assert_eq!(world.head(), green_one);
    green(&world, &newest, 3).send().expect(200, "deployed");
    assert_eq!(world.head(), newest);
}

#[test]
fn a_branch_that_was_rewritten_is_no_fast_forward() {
    let world = waiting_world();
    let live = world.push("two");
    green(&world, &live, 1).send().expect(200, "deployed");
    let seed = world.path("seed/site");
    world.git(&seed, &["reset", "-q", "--hard", "HEAD~1"]);
    let other = world.commit("site", "page.txt", "instead", "Instead");
    world.force_push();
    // What is live is not in the branch any more, and nothing else is green.
    green(&world, &live, 1).send().expect(200, "ignored");
    let reply = green(&world, &other, 2).send();
    reply.expect(500, "failed");
    reply.says("diverged");
    assert_eq!(world.head(), live);
}

#[test]
fn a_burst_of_runs_ends_at_the_newest_green_commit() {
    let world = waiting_world();
    let commits: Vec<_> = (0..8).map(|n| world.push(&format!("number {n}"))).collect();
    let burst: Vec<_> = (1u64..)
        .zip(&commits)
        .map(|(id, commit)| green(&world, commit, id).start())
        .collect();
    for started in burst {
        let reply = started.reply();
        assert!(matches!(reply.status, 200 | 202), "{reply:?}");
    }
    world.settle();
    assert_eq!(&world.head(), commits.last().unwrap());
}

#[test]
fn run_brings_the_newest_green_commit_and_says_how_far_the_branch_is_ahead() {
    let world = waiting_world();
    let commit = world.push("two");
    let run = world.verb(&["run"]);
    run.expect_exit(1);
    run.says("no commit of origin/main is known that .github/workflows/ci.yml has succeeded for");
    green(&world, &commit, 1).send().expect(200, "deployed");
    let (_, newest) = (world.push("three"), world.push("four"));
    let run = world.verb(&["run"]);
    run.expect_exit(0);
    run.says("unchanged main");
    run.says("origin/main is 2 commits ahead");
    assert_eq!(world.head(), commit);
    world.verb(&["run", "--anyway"]).expect_exit(0);
    assert_eq!(world.head(), newest);
    // Only once.
    let next = world.push("five");
    world.push_delivery(&next).send().expect(200, "waiting");
}

#[test]
fn held_comes_before_waiting() {
    let world = waiting_world();
    let commit = world.push("two");
    world.verb(&["hold"]).expect_exit(0);
    world.push_delivery(&commit).send().expect(200, "held");
    green(&world, &commit, 1).send().expect(200, "held");
    let newest = world.push("three");
    world.push_delivery(&newest).send().expect(200, "held");
    wait_until_quiet(&world);
    let released = world.verb(&["release"]);
    released.expect_exit(0);
    assert_eq!((world.head(), world.tickets()), (commit, 0));
    released.says(&format!(
        "note: the pushed commit {} waits for its workflow to succeed\n",
        short(&newest)
    ));
}

#[test]
fn a_ping_of_a_hook_without_workflow_runs_is_a_problem() {
    let world = waiting_world();
    let ping = |events: Value| {
        let body = json!({
            "zen": "z", "hook_id": 1, "hook": { "events": events },
            "repository": { "full_name": "me/site" }
        });
        world.delivery("ping", body.to_string()).send()
    };
    let reply = ping(json!(["push"]));
    reply.expect(500, "pong");
    reply.says(
        "it does not deliver workflow runs, and this site waits for .github/workflows/ci.yml",
    );
    ping(json!(["push", "workflow_run"])).expect(200, "pong");
    ping(json!(["*"])).expect(200, "pong");
}

#[test]
fn status_check_and_a_ping_show_live_newest_green_and_newest() {
    let world = waiting_world();
    let live = world.push("two");
    green(&world, &live, 1).send().expect(200, "deployed");
    let newest = world.push("three");
    world.push_delivery(&newest).send().expect(200, "waiting");
    let told = format!(
        "live is {0}, the newest green commit {0}, the newest pushed one {1}",
        short(&live),
        short(&newest)
    );
    // A push that is delivered again is none of the newest.
    ended(&world, &newest, 2, "failure")
        .send()
        .expect(200, "ignored");
    world.push_delivery(&live).send().expect(200, "unchanged");
    world.verb(&["check"]).says(&told);
    world.ping_delivery().send().says(&told);
    world.verb(&["status"]).says(&told);
}

#[test]
fn a_workflow_and_the_latest_submodules_contradict_each_other() {
    let mut world = waiting_world();
    world.key("submodules", "\"latest\"");
    let check = world.verb(&["check"]);
    check.expect_exit(1);
    check.says("`workflow` cannot be used with `submodules = \"latest\"`");
}

#[test]
fn a_deploy_that_is_killed_is_finished_by_the_next_run() {
    let mut world = waiting_world();
    world.key("wait", "\"0s\"");
    world.fake_git("merge", &Fault::Hang);
    let commit = world.push("two");
    green(&world, &commit, 1).send().expect(202, "accepted");
    wait_until("the hung git", || world.exists("fake/hung"));
    let hung = fs::read_to_string(world.path("fake/hung")).unwrap();
    let git = hung.split_whitespace().next().unwrap().to_owned();
    crate::process::kill_session_of(&git);
    world.fake_git("none", &Fault::Note);
    world.key("wait", "\"30s\"");
    let newer = world.push("three");
    // It is not green, and what is owed is.
    ended(&world, &newer, 2, "failure")
        .send()
        .expect(200, "ignored");
    world.settle();
    assert_eq!(world.head(), commit);
}

#[test]
fn two_green_runs_at_once_are_both_known() {
    let world = waiting_world();
    let (one, two) = (world.push("1"), world.push("2"));
    let both: Vec<_> = [(&one, 1), (&two, 2)]
        .into_iter()
        .map(|(commit, id)| green(&world, commit, id).start())
        .collect();
    for started in both {
        let reply = started.reply();
        assert!(reply.status < 300, "{reply:?}");
    }
    world.settle();
    assert_eq!(world.head(), two);
}

#[test]
fn the_first_checkout_is_made_at_the_first_green_commit() {
    let mut world = waiting_world();
    fs::remove_dir_all(world.checkout()).unwrap();
    let url = world.origin.url("me/site.git");
    world.key("clone", &format!("\"{url}\""));
    world.key("repository", "\"me/site\"");
    let payload = |commit: &str| crate::world::payload_after(&"0".repeat(40), commit).to_string();
    let commit = world.push("two");
    let reply = world.delivery("push", payload(&commit)).send();
    reply.expect(200, "waiting");
    reply.says("nothing was deployed yet");
    world.ping_delivery().send();
    assert!(!world.checkout().join("page.txt").exists());
    let newest = world.push("three");
    world
        .delivery("push", payload(&newest))
        .send()
        .expect(200, "waiting");
    green(&world, &commit, 1).send().expect(200, "deployed");
    assert_eq!(world.head(), commit);
    green(&world, &newest, 2).send().expect(200, "deployed");
    assert_eq!(world.head(), newest);
}

/// What git writes then is neither what was there nor the tip of the branch.
#[test]
fn a_merge_that_was_killed_among_its_files_is_finished_by_the_next_run() {
    let mut world = waiting_world();
    world.key("wait", "\"0s\"");
    let commit = world.push("two");
    world.push("three");
    world.fake_git("merge", &Fault::Hang);
    green(&world, &commit, 1).send().expect(202, "accepted");
    wait_until("the hung git", || world.exists("fake/hung"));
    fs::write(world.checkout().join("index.html"), "two").unwrap();
    let hung = fs::read_to_string(world.path("fake/hung")).unwrap();
    crate::process::kill_session_of(hung.split_whitespace().next().unwrap());
    world.fake_git("none", &Fault::Note);
    let run = world.verb(&["run"]);
    run.expect_exit(0);
    run.says("what git had left half-done was put right: 1 file");
    assert_eq!((world.head(), world.changes()), (commit, String::new()));
}

#[test]
fn a_push_that_waits_for_its_run_serves_what_nobody_attends() {
    let world = waiting_world();
    world.verb(&["hold"]).expect_exit(0);
    let commit = world.push("two");
    green(&world, &commit, 1).send().expect(200, "held");
    // As a person with FTP would.
    fs::remove_file(world.state("hold")).unwrap();
    let newer = world.push("three");
    world.push_delivery(&newer).send().expect(200, "waiting");
    world.settle();
    assert_eq!(world.head(), commit);
}

#[test]
fn a_green_commit_that_the_branch_does_not_have_is_ignored_by_every_deploy() {
    let mut world = waiting_world();
    world.verb(&["hold"]).expect_exit(0);
    let gone = "0123456789".repeat(4);
    green(&world, &gone, 1).send().expect(200, "held");
    let run = world.verb(&["run", "--anyway"]);
    run.expect_exit(0);
    run.says("ignored the run for 0123456: origin/main does not have this commit\n");
    world.verb(&["release"]);
    // Nor does it make a first checkout.
    fs::remove_dir_all(world.checkout()).unwrap();
    let url = world.origin.url("me/site.git");
    world.key("clone", &format!("\"{url}\""));
    world.key("repository", "\"me/site\"");
    let reply = green(&world, &gone, 1).send();
    reply.expect(200, "ignored");
    reply.says("the run for 0123456: the branch does not have this commit");
    let commit = world.push("two");
    green(&world, &commit, 2).send().expect(200, "deployed");
    assert_eq!(world.head(), commit);
}

#[test]
fn a_result_that_cannot_be_kept_is_an_error_and_can_be_sent_again() {
    let world = waiting_world();
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "waiting");
    let file = world.state("workflow-runs");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    for delivery in [green(&world, &commit, 1), world.push_delivery(&commit)] {
        let reply = delivery.send();
        assert_eq!((reply.status, reply.first_word()), (503, "error"));
    }
    fs::remove_dir(&file).unwrap();
    green(&world, &commit, 1).send().expect(200, "deployed");
}

#[test]
fn a_run_for_another_branch_or_repository_is_called_a_run() {
    let world = waiting_world();
    let commit = world.push("two");
    let mut payload = run_payload(&commit, 1, "success");
    payload["workflow_run"]["head_branch"] = json!("dev");
    delivery_of(&world, &payload)
        .send()
        .says("ignored the run of .github/workflows/ci.yml for dev: this site follows main.\n");
    payload = run_payload(&commit, 1, "success");
    payload["repository"]["full_name"] = json!("me/else");
    payload["workflow_run"]["head_repository"]["full_name"] = json!("me/else");
    delivery_of(&world, &payload)
        .send()
        .says("ignored the run of .github/workflows/ci.yml for the repository me/else:");
}
