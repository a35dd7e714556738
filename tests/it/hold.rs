//! `hold` and `release`: nothing is deployed meanwhile, and nothing is lost.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::docs::block_with;
use crate::process::wait_until_quiet;
use crate::world::{DELIVERY, Delivery, Fault, Spoken, World, wait_until};

/// A push with a delivery id of its own, the last digit of the usual one replaced.
fn push_of(world: &World, after: &str, last: char) -> Delivery {
    let mut id = DELIVERY.to_owned();
    id.pop();
    id.push(last);
    world.push_delivery(after).var("HTTP_X_GITHUB_DELIVERY", id)
}

/// What is told without the time.
fn without_time(text: &str) -> String {
    let (before, rest) = text.split_once("since ").unwrap();
    format!("{before}since T{}", &rest["2026-01-01T00:00:00Z".len()..])
}

#[test]
fn while_held_a_push_waits_and_release_deploys_it() {
    let world = World::new();
    let before = world.head();
    let held = world.verb(&["hold", "the database\nmoves"]);
    held.expect_exit(0);
    held.says("held: nothing is deployed until `./deploy.cgi release`; deliveries wait\n");
    let first = world.push("two");
    let reply = push_of(&world, &first, '1').send();
    assert_eq!(
        without_time(&reply.body),
        "held by deploy-cgi: deploys have been held since T: the database moves. 1 delivery waits.\n\nTo go on: ./deploy.cgi \
         release on the server. Without a shell: delete the file .git/deploy-cgi/hold in the checkout, then press \
         Redeliver.\n"
    );
    reply.expect(200, "held");
    let second = world.push("three");
    let reply = push_of(&world, &second, '2').send();
    reply.expect(200, "held");
    reply.says("2 deliveries wait.");
    assert_eq!((world.head(), world.tickets()), (before.clone(), 1));

    let run = world.verb(&["run"]);
    run.expect_exit(1);
    run.says("held: deploys have been held since");
    world.verb(&["status"]).says("the database moves");
    world.verb(&["status"]).says("2 deliveries wait\n");
    let check = world.verb(&["check"]);
    check.expect_exit(0);
    check.says("warning  hold");
    let pong = world.ping_delivery().send();
    pong.expect(200, "pong");
    pong.says("warning  hold");
    world.delivery("star", "{}").send().expect(200, "ignored");
    wait_until_quiet(&world);
    assert_eq!((world.head(), world.tickets()), (before, 1));

    let released = world.verb(&["release"]);
    released.expect_exit(0);
    released.says("deployed main");
    assert_eq!((world.head(), world.tickets()), (second, 0));
    // Each of them is known.
    for last in ['1', '2'] {
        let id = format!("{}{last}", &DELIVERY[..DELIVERY.len() - 1]);
        world.verb(&["status", &id]).expect_exit(0);
    }
}

/// The commands as the page has them, from the folder of the site file.
#[test]
fn the_page_holds_and_releases() {
    let world = World::new();
    let folder = world.site_file().parent().unwrap().to_owned();
    let run = |block: &str| {
        let mut shell = world.clean("/bin/sh");
        let spoken = shell.args(["-c", block]).current_dir(&folder).output();
        Spoken::from(spoken.unwrap()).expect_exit(0);
    };
    run(&block_with("./deploy.cgi hold"));
    let commit = world.push("two");
    let reply = world.push_delivery(&commit).send();
    reply.expect(200, "held");
    reply.says(": the database moves. 1 delivery waits.");
    run(&block_with("./deploy.cgi release"));
    assert_eq!(world.head(), commit);
}

#[test]
fn release_deploys_also_when_nothing_waits_or_was_held() {
    let world = World::new();
    let commit = world.push("two");
    world.verb(&["hold"]).expect_exit(0);
    world.verb(&["release"]).says("deployed main");
    assert_eq!(world.head(), commit);
    world.verb(&["release"]).says("unchanged main");
}

#[test]
fn release_ends_as_the_deploy_does() {
    let mut world = World::new();
    world.key("on_update", "\"false\"");
    world.push("two");
    world.verb(&["hold"]).expect_exit(0);
    world.verb(&["release"]).expect_exit(1);
}

#[test]
fn run_anyway_passes_a_hold_once() {
    let world = World::new();
    world.verb(&["hold"]).expect_exit(0);
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "held");
    let run = world.verb(&["run", "--anyway"]);
    run.expect_exit(0);
    run.says("deployed main");
    assert_eq!((world.head(), world.tickets()), (commit, 0));
    let next = world.push("three");
    world.push_delivery(&next).send().expect(200, "held");
    world.verb(&["release"]).expect_exit(0);
}

#[test]
fn whatever_is_at_the_path_holds_and_a_link_is_not_followed() {
    let world = World::new();
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "deployed");
    world.settle();
    let hold = world.state("hold");
    fs::write(world.path("private"), "a secret of the host").unwrap();
    let next = world.push("three");
    for make in [
        (|hold, _| fs::write(hold, "")) as fn(&Path, &Path) -> io::Result<()>,
        |hold, _| fs::create_dir(hold),
        |hold, private| symlink(private, hold),
        |hold, _| symlink("/nowhere", hold),
        |hold, _| fs::write(hold, [0xff, 0x1b, b'[', b'2', b'J']),
    ] {
        make(&hold, &world.path("private")).unwrap();
        let reply = world.push_delivery(&next).send();
        reply.expect(200, "held");
        assert!(!reply.body.contains("a secret of the host"), "{reply:?}");
        assert!(!reply.body.contains('\u{1b}'), "{reply:?}");
        assert_eq!(world.head(), commit);
        world.verb(&["hold", "again"]).expect_exit(0);
        assert_eq!(fs::read_to_string(&hold).unwrap(), "again");
        fs::remove_file(&hold).unwrap();
    }
    // Deleted by hand: whatever comes next finds what waits.
    world.delivery("star", "{}").send().expect(200, "ignored");
    world.settle();
    assert_eq!(world.head(), next);
}

#[test]
fn a_file_from_an_impossible_time_holds_as_any_other() {
    let mut world = World::new();
    world.key("status_page", "true");
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "deployed");
    world.settle();
    fs::write(world.state("hold"), "moving").unwrap();
    let file = File::options().write(true).open(world.state("hold"));
    let file = file.unwrap();
    let century = Duration::from_hours(100 * 365 * 24);
    for (modified, since) in [
        (UNIX_EPOCH - century, "since 1970-01-01T00:00:00Z: moving"),
        (SystemTime::now() + century, &format!("since {}-", year())),
    ] {
        file.set_modified(modified).unwrap();
        world.push_delivery(&commit).send().expect(200, "held");
        world.push_delivery(&commit).send().says(since);
        world.verb(&["status"]).expect_exit(0);
        let page = world.delivery("", "").bare("GET").send();
        assert!(page.body.starts_with("held: "), "{page:#?}");
    }
    world.verb(&["release"]).expect_exit(0);
}

/// This year, in UTC.
fn year() -> String {
    let now = humantime::format_rfc3339(SystemTime::now()).to_string();
    now[..4].to_owned()
}

#[test]
fn a_reason_is_one_line_of_bounded_length() {
    let world = World::new();
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "deployed");
    world.settle();
    fs::write(
        world.state("hold"),
        "\u{feff}why\r\nnot \u{202e}".repeat(100_000),
    )
    .unwrap();
    let reply = world.push_delivery(&commit).send();
    reply.expect(200, "held");
    let line = reply.body.lines().next().unwrap();
    assert!(line.contains(": why not \\u{202e}"), "{line}");
    assert!(line.len() < 600, "{line}");
    world.verb(&["release"]).expect_exit(0);
}

#[test]
fn a_deploy_that_runs_ends_first_and_the_next_in_line_leaves_its_tickets() {
    let mut world = World::new();
    world.key("wait", "\"30s\"");
    world.fake_git("pull", &Fault::Hold);
    let first = world.push("two");
    let running = world.push_delivery(&first).start();
    world.wait_until_held();
    let second = world.push("three");
    let next = push_of(&world, &second, '2').start();
    wait_until("the second ticket", || world.tickets() == 2);
    let held = world.verb(&["hold", "not now"]);
    held.expect_exit(0);
    held.says("A deploy is running, and ends first.");
    world.release();
    running.reply().expect(200, "deployed");
    let reply = next.reply();
    reply.expect(200, "held");
    reply.says("1 delivery waits.");
    wait_until_quiet(&world);
    assert_eq!(world.tickets(), 1);
    world.verb(&["release"]).expect_exit(0);
    assert_eq!((world.head(), world.tickets()), (second, 0));
}

#[test]
fn a_burst_while_held_is_one_ticket_that_stands_for_all() {
    let world = World::new();
    world.verb(&["hold"]).expect_exit(0);
    let commit = world.push("two");
    let burst: Vec<_> = ('0'..='9')
        .map(|last| push_of(&world, &commit, last).start())
        .collect();
    for started in burst {
        started.reply().expect(200, "held");
    }
    // The last one to come may have found another at it; the next one sees to that.
    push_of(&world, &commit, 'a')
        .send()
        .says("11 deliveries wait.");
    assert_eq!(world.tickets(), 1);
    world.verb(&["release"]).expect_exit(0);
    assert_eq!((world.head(), world.history().len()), (commit, 1));
    for last in "0123456789a".chars() {
        let id = format!("{}{last}", &DELIVERY[..DELIVERY.len() - 1]);
        world.verb(&["status", &id]).says("deployed main");
    }
}

#[test]
fn a_redelivery_while_held_is_held_too_and_shows_nothing_twice() {
    let world = World::new();
    let first = world.push("two");
    world.push_delivery(&first).send().expect(200, "deployed");
    world.verb(&["hold"]).expect_exit(0);
    for _ in 0..2 {
        world.push_delivery(&first).send().expect(200, "held");
    }
    let released = world.verb(&["release"]);
    released.expect_exit(0);
    released.says("unchanged main");
    world.push_delivery(&first).send().expect(200, "unchanged");
}

#[test]
fn holding_again_leaves_no_gap() {
    let world = World::new();
    world.verb(&["hold"]).expect_exit(0);
    let hold = world.state("hold");
    let is_done = AtomicBool::new(false);
    let gaps = thread::scope(|scope| {
        let look = scope.spawn(|| {
            let mut gaps = 0;
            while !is_done.load(Ordering::Relaxed) {
                gaps += usize::from(hold.symlink_metadata().is_err());
            }
            gaps
        });
        for n in 0..20 {
            world.verb(&["hold", &n.to_string()]).expect_exit(0);
        }
        is_done.store(true, Ordering::Relaxed);
        look.join().unwrap()
    });
    assert_eq!(gaps, 0);
    assert_eq!(fs::read_to_string(&hold).unwrap(), "19");
}

#[test]
fn a_folder_with_files_holds_until_a_person_removes_it() {
    let world = World::new();
    world.verb(&["hold"]).expect_exit(0);
    let hold = world.state("hold");
    fs::remove_file(&hold).unwrap();
    fs::create_dir(&hold).unwrap();
    fs::write(hold.join("file"), "mine").unwrap();
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "held");
    let released = world.verb(&["release"]);
    released.expect_exit(1);
    released.says("is a folder with files in it, and holds as long as it is there: remove it");
    assert!(hold.join("file").exists());
    fs::remove_dir_all(&hold).unwrap();
    world.verb(&["release"]).expect_exit(0);
    assert_eq!(world.head(), commit);
}

#[test]
fn release_and_run_anyway_deploy_themselves_although_the_line_is_taken() {
    for words in [&["release"] as &[&str], &["run", "--anyway"]] {
        let mut world = World::new();
        world.key("wait", "\"30s\"");
        world.fake_git("pull", &Fault::Hold);
        let first = world.push("two");
        let running = world.push_delivery(&first).start();
        world.wait_until_held();
        let second = world.push("three");
        let next = push_of(&world, &second, '2').start();
        wait_until("the second ticket", || world.tickets() == 2);
        world.verb(&["hold"]).expect_exit(0);
        let spoken = thread::scope(|scope| {
            let by_hand = scope.spawn(|| world.verb(words));
            if words == ["release"] {
                wait_until("the release", || !world.state("hold").exists());
            }
            world.release();
            by_hand.join().unwrap()
        });
        spoken.expect_exit(0);
        assert!(!spoken.stdout.contains("queued"), "{spoken:?}");
        spoken.says("main");
        running.reply().expect(200, "deployed");
        next.reply();
        wait_until_quiet(&world);
        assert_eq!((world.head(), world.tickets()), (second, 0));
    }
}

#[test]
fn a_hold_before_the_first_checkout_is_one_too() {
    let mut world = World::new();
    fs::remove_dir_all(world.checkout()).unwrap();
    let url = world.origin.url("me/site.git");
    world.key("clone", &format!("\"{url}\""));
    // As a person with FTP would.
    fs::create_dir_all(world.state("")).unwrap();
    fs::write(world.state("hold"), "not yet").unwrap();
    world.ping_delivery().send().says("warning  hold");
    world.verb(&["status"]).says(": not yet;");
    world.verb(&["release"]).expect_exit(0);
    assert!(world.checkout().join("index.html").exists());
}
