//! What `status` tells: what runs, what waits, and the last deploys.

use std::fs;
use std::io::Read;

use serde_json::Value;

use crate::world::{DELIVERY, Fault, Spoken, World, quoted, wait_until};

#[test]
fn status_tells_what_waits_and_what_became_of_the_last_deploys() {
    let world = World::new();
    world.verb(&["status"]).expect_exit(0);
    let none = json(&world.verb(&["status", "--json"]));
    assert_eq!(none["deploys"].as_array().unwrap().len(), 0);
    let unknown = ["status", "--json", "no-such-delivery"];
    world.verb(&unknown).expect_exit(1);
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "deployed");
    world.push_delivery(&commit).send().expect(200, "unchanged");
    world.settle();
    let status = world.verb(&["status"]);
    status.expect_exit(0);
    for told in ["deployed", "unchanged", &commit[..7], "nothing waits"] {
        status.says(told);
    }
    let all = json(&world.verb(&["status", "--json"]));
    let verdicts: Vec<_> = all["deploys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["verdict"].clone())
        .collect();
    assert_eq!(verdicts, ["unchanged", "deployed"]);
    assert_eq!(
        (
            all["running"].as_bool(),
            all["waiting"].as_array().map(Vec::len)
        ),
        (Some(false), Some(0))
    );
    let last = json(&world.verb(&["status", "--json", "-n", "1"]));
    assert_eq!(last["deploys"].as_array().unwrap().len(), 1);
    // The whole report of one delivery, as GitHub showed it.
    world.verb(&["status", DELIVERY]).says("unchanged main");
    world.verb(&["status", "no-such-delivery"]).expect_exit(1);
}

fn json(spoken: &Spoken) -> Value {
    spoken.expect_exit(0);
    serde_json::from_str(&spoken.stdout).unwrap()
}

#[test]
fn status_of_a_site_that_is_still_to_be_cloned_is_as_before_the_first_delivery() {
    let mut world = World::new();
    fs::remove_dir_all(world.checkout()).unwrap();
    world.key("clone", &quoted(&world.origin.url("me/site.git")));
    world.verb(&["status"]).says("no delivery has come yet");
    let none = json(&world.verb(&["status", "--json"]));
    assert_eq!(none["deploys"].as_array().map(Vec::len), Some(0));
}

#[test]
fn status_tells_since_when_a_deploy_runs() {
    let mut world = World::new();
    let commit = world.push("two");
    world.fake_git("pull", &Fault::Hold);
    let started = world.push_delivery(&commit).start();
    world.wait_until_held();
    let status = world.verb(&["status"]);
    let json = world.verb(&["status", "--json"]);
    let mut watch = world.clean(world.site_file());
    let mut watch = watch
        .args(["status", "--watch"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut seen = [0; 19];
    watch.stdout.take().unwrap().read_exact(&mut seen).unwrap();
    watch.kill().unwrap();
    watch.wait().unwrap();
    world.release();
    started.reply().expect(200, "deployed");
    assert_eq!(&seen, b"a deploy is running");
    status.says("a deploy is running since 2");
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["running"].as_bool(), Some(true));
    assert!(json["since"].as_str().unwrap().starts_with('2'));
}

/// A zone five hours ahead, as POSIX has it.
const ZONE: &str = "ABC-5";

fn status_in_zone(world: &World, words: &[&str]) -> Spoken {
    let mut status = world.clean(world.site_file());
    let status = status.arg("status").args(words).env("TZ", ZONE);
    Spoken::from(status.output().unwrap())
}

/// Whether a time is RFC 3339 in UTC, to the second.
fn is_time(value: &Value) -> bool {
    let form = value.as_str().unwrap_or_default().bytes().map(|c| match c {
        b'0'..=b'9' => '0',
        c => char::from(c),
    });
    form.collect::<String>() == "0000-00-00T00:00:00Z"
}

#[test]
fn a_failure_is_shown_with_its_step_and_its_reason() {
    let mut world = World::new();
    world.key("on_update", "\"exit 3\"");
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(500, "failed");
    world.settle();
    let told = status_in_zone(&world, &[]);
    told.expect_exit(0);
    told.says("\n  at on_update: ");
    let all = json(&world.verb(&["status", "--json"]));
    let record = &all["deploys"][0];
    assert_eq!(record["step"], "on_update", "{record}");
    let report = record["report"].as_str().unwrap();
    let cause = record["cause"].as_str().unwrap();
    assert!(
        report.starts_with(&format!("failed at on_update: {cause}\n")),
        "{record}"
    );
    assert!(told.stdout.contains(cause), "{told:?}");
    assert!(is_time(&record["time"]), "{record}");
    // What went well has neither.
    world.key("on_update", "\"exit 0\"");
    world.push_delivery(&commit).send().expect(200, "deployed");
    world.settle();
    let well = json(&world.verb(&["status", "--json", "-n", "1"]));
    assert!(well["deploys"][0]["step"].is_null() && well["deploys"][0]["cause"].is_null());
}

#[test]
fn times_are_shown_as_they_are_here_too_and_ids_by_their_beginning() {
    let world = World::new();
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "deployed");
    world.settle();
    let told = status_in_zone(&world, &[]).stdout;
    let row = told.lines().find(|line| line.contains("deployed")).unwrap();
    let cells: Vec<_> = row.split_whitespace().collect();
    let &[_, utc, here, zone, "deployed", _, _, id] = cells.as_slice() else {
        panic!("{told}");
    };
    let minutes = |time: &str| {
        let mut parts = time.split(':').map(|part| part.parse::<u32>().unwrap());
        parts.next().unwrap() * 60 + parts.next().unwrap()
    };
    assert_eq!(minutes(here), (minutes(utc) + 5 * 60) % (24 * 60), "{row}");
    assert_eq!(zone, "ABC");
    assert_eq!(id, &DELIVERY[..8]);
    let one = status_in_zone(&world, &[id]);
    one.expect_exit(0);
    one.says(" ABC)\n\ndeployed main");
}

#[test]
fn a_delivery_that_runs_or_waits_is_told_by_its_id() {
    let mut world = World::new();
    world.fake_git("pull", &Fault::Hold);
    let first = world.push("two");
    let runs = "11111111-cc78-11e3-81ab-4c9367dc0958";
    let waits = "22222222-cc78-11e3-81ab-4c9367dc0958";
    let first = world
        .push_delivery(&first)
        .var("HTTP_X_GITHUB_DELIVERY", runs)
        .start();
    world.wait_until_held();
    let alone = world.verb(&["status"]);
    let second = world.push("three");
    let second = world
        .push_delivery(&second)
        .var("HTTP_X_GITHUB_DELIVERY", waits)
        .start();
    wait_until("the second ticket", || world.tickets() == 2);
    let both = world.verb(&["status"]);
    let told = [runs, "11111111", waits, "22222222"].map(|id| world.verb(&["status", id]));
    let in_json = [runs, waits].map(|id| json(&world.verb(&["status", "--json", id])));
    let all = json(&world.verb(&["status", "--json"]));
    world.release();
    first.reply().expect(200, "deployed");
    assert_eq!(second.reply().status, 200);
    world.settle();

    alone.says("nothing waits");
    both.says("1 delivery waits: 22222222");
    both.says(" at the step pull\n");
    for told in &told[..2] {
        told.expect_exit(0);
        told.says(&format!("the deploy of {runs} is running since 2"));
        told.says(" at the step pull\n");
    }
    for told in &told[2..] {
        told.expect_exit(0);
        told.says(&format!("{waits} has waited since 2"));
        told.says("a deploy is running, and the next one includes it");
    }
    let [running, waiting] = in_json;
    assert_eq!(
        (&running["state"], &running["step"]),
        (&"running".into(), &"pull".into())
    );
    assert!(
        is_time(&running["since"]) && is_time(&running["received"]),
        "{running}"
    );
    assert_eq!(
        (&waiting["state"], &waiting["step"]),
        (&"waiting".into(), &Value::Null)
    );
    assert!(
        waiting["since"].is_null() && is_time(&waiting["received"]),
        "{waiting}"
    );
    assert_eq!(
        (&all["running"], &all["step"]),
        (&true.into(), &"pull".into())
    );
    assert_eq!(all["serving"][0]["delivery"], runs);
    assert_eq!(all["waiting"][0]["delivery"], waits);
    assert_eq!(all["waiting"].as_array().map(Vec::len), Some(1));
    // Afterwards it is the report again, and nothing runs.
    world.verb(&["status", "1111"]).says("deployed main");
    assert_eq!(
        fs::read_to_string(world.state("underway"))
            .unwrap()
            .trim_end(),
        "null"
    );
}

#[test]
fn a_first_checkout_that_is_being_made_is_told() {
    let mut world = World::new();
    let commit = world.push("two");
    let payload = world.payload(&commit).to_string();
    fs::remove_dir_all(world.checkout()).unwrap();
    world.key("clone", &quoted(&world.origin.url("me/site.git")));
    world.fake_git("fetch", &Fault::Hold);
    let started = world.delivery("push", payload).start();
    world.wait_until_held();
    let all = world.verb(&["status"]);
    let one = world.verb(&["status", DELIVERY]);
    world.release();
    started.reply().expect(200, "deployed");
    all.says(" at the step clone\n");
    one.says(&format!("the deploy of {DELIVERY} is running since 2"));
}
