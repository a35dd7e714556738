//! A push to live, spawn to answer, against the bare `git pull --ff-only && git submodule update --init --recursive` in
//! another checkout of the same upstream that is in the same state.
//!
//! `cargo bench --bench deploy -- [PAIRS] [one] [eight] [redelivery] [back] [counts] [growth] [growth-large]`
//!
//! Each row has a remote over HTTP on loopback (`git http-backend`) and one on a plain path.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark starts programs and prints figures"
)]

mod lab;

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use lab::origin::{self, Origin};
use lab::race::{COMMANDS, Race};
use lab::{Args, Delivery, Lab, Pairs, head, timed, under};

const PAIRS: usize = 40;

/// No new pair of a row begins after this.
const ROW: Duration = Duration::from_secs(40);

const WIDTH: usize = 46;

/// How a checkout reaches its upstream.
#[derive(Clone, Copy)]
enum Remote {
    Http,
    Path,
}

impl Remote {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Path => "path",
        }
    }
}

fn main() -> Result<()> {
    origin::serve_if_asked()?;
    let args = Args::read();
    let lab = Lab::new()?;
    lab.describe();
    let origin = Origin::start(&lab)?;
    let pairs = args.number_or(PAIRS);

    println!("a push to live, spawn to answer; base is git pull && git submodule update");
    println!("{}", head("row", WIDTH));
    for remote in [Remote::Http, Remote::Path] {
        let name = remote.name();
        let wants_one = ["one", "counts", "redelivery", "back"];
        if wants_one.into_iter().any(|row| args.wants(row)) {
            let mut race = race(&lab, &origin, remote, "one", 1000, 1)?;
            if args.wants("one") {
                let row = format!("1 of 1 submodules bumped, 1k files, {name}");
                run(&mut race, &row, pairs, 1)?;
            }
            if args.wants("redelivery") {
                redelivery(&race, name, pairs)?;
            }
            if args.wants("back") {
                back(&race, name, pairs)?;
            }
            if args.wants("counts") {
                counts(&mut race, name, 1)?;
            }
        }
        if args.wants("eight") {
            let mut race = race(&lab, &origin, remote, "eight", 1000, 8)?;
            let row = format!("8 of 8 submodules bumped, 1k files, {name}");
            run(&mut race, &row, pairs.div_ceil(2), 8)?;
            if args.wants("counts") {
                counts(&mut race, name, 8)?;
            }
        }
        for (row, submodules, files) in [
            ("growth", 1, 1_000),
            ("growth", 8, 1_000),
            ("growth", 64, 1_000),
            ("growth", 1, 10_000),
            ("growth-large", 1, 100_000),
        ] {
            if args.wants(row) {
                let world = format!("growth-{submodules}-{files}");
                let mut race = race(&lab, &origin, remote, &world, files, submodules)?;
                let row = format!(
                    "1 of {submodules} submodules bumped, {}k files, {name}",
                    files / 1000
                );
                run(&mut race, &row, pairs.div_ceil(4), 1)?;
            }
        }
    }
    Ok(())
}

fn race<'l>(
    lab: &'l Lab,
    origin: &Origin,
    remote: Remote,
    name: &str,
    files: usize,
    submodules: usize,
) -> Result<Race<'l>> {
    let name = format!("{name}-{}", remote.name());
    Race::new(lab, &name, files, submodules, |world| match remote {
        Remote::Http => origin.url(&format!("me/{name}.git")),
        Remote::Path => world.site.folder.display().to_string(),
    })
}

fn run(race: &mut Race<'_>, row: &str, pairs: usize, bumped: usize) -> Result<()> {
    let pairs = race.run(pairs, ROW, |world| world.push(0..bumped))?;
    println!("{row:<WIDTH$} {}", pairs.fields());
    Ok(())
}

/// Nothing new: against the pull alone, and against the pull with its submodules.
fn redelivery(race: &Race<'_>, name: &str, pairs: usize) -> Result<()> {
    race.pull()?;
    if race.world.is_live_in(&race.site.checkout).is_err() {
        race.deploy("deployed")?;
    }
    let ours = || race.deploy("unchanged");
    let alone = || race.git(&["pull", "--ff-only"]);
    let pairs_alone = Pairs::run(pairs, ROW, || Ok(()), alone, ours)?;
    let row = format!("redelivery, base: pull alone, {name}");
    println!("{row:<WIDTH$} {}", pairs_alone.fields());
    let pairs = Pairs::run(pairs, ROW, || Ok(()), || race.pull(), ours)?;
    let row = format!("redelivery, {name}");
    println!("{row:<WIDTH$} {}", pairs.fields());
    Ok(())
}

/// A deploy of one commit undone, where nothing has to be fetched: against what a person would type.
fn back(race: &Race<'_>, name: &str, pairs: usize) -> Result<()> {
    let verb = |verb: &str, word: &str| {
        let mut command = race.lab.clean(&race.site.file);
        let (took, said) = timed(command.arg(verb), b"")?;
        if !said.starts_with(word.as_bytes()) {
            bail!("{verb} said:\n{}", String::from_utf8_lossy(&said));
        }
        Ok(took)
    };
    let forward = || {
        race.pull()?;
        verb("release", "")?;
        race.world.is_live_in(&race.site.checkout)
    };
    let by_hand = || {
        let reset = race.git(&["reset", "-q", "--hard", "HEAD~1"])?;
        Ok(reset + race.git(COMMANDS[1])?)
    };
    let ours = || verb("back", "back main");
    let pairs = Pairs::run(pairs, ROW, forward, by_hand, ours)?;
    forward()?;
    let row = format!("back, base: git reset --hard HEAD~1, {name}");
    println!("{row:<WIDTH$} {}", pairs.fields());
    Ok(())
}

/// Processes that were started and syncs that were waited for, which the weather does not change.
fn counts(race: &mut Race<'_>, name: &str, bumped: usize) -> Result<()> {
    let Some(strace) = race.lab.finds("strace") else {
        println!("strace is not installed: processes and syncs are left out");
        return Ok(());
    };
    let findings = race.lab.path("strace.txt");
    let place = findings.display().to_string();
    let words = [
        "-f",
        "-e",
        "trace=execve,fsync,fdatasync,syncfs,sync_file_range",
        "-o",
        &place,
    ];
    let traced = |command: &Command, body: &[u8]| -> Result<(usize, usize)> {
        let mut traced = under(&strace.display().to_string(), &words, command);
        let trace = lab::metered(&mut traced, body, &findings)?;
        let starts = trace
            .lines()
            .filter(|line| line.contains("execve") && line.trim_end().ends_with("= 0"))
            .count();
        let syncs = lab::system_calls(&trace)
            .iter()
            .filter(|call| call.contains("sync"))
            .count();
        Ok((starts, syncs))
    };
    race.world.push(0..bumped)?;
    let mut base = (0, 0);
    for words in COMMANDS {
        let mut command = race.lab.clean("git");
        command.arg("-C").arg(&race.bare).args(*words);
        let (starts, syncs) = traced(&command, b"")?;
        base = (base.0 + starts, base.1 + syncs);
    }
    let delivery = Delivery::push("refs/heads/main", &race.world.site.tip, &[]);
    let command = race.lab.request(&race.site.file, &delivery);
    let ours = traced(&command, &delivery.body)?;
    race.site.settle()?;
    println!(
        "  {bumped} bumped, {name}: programs started {} and {} here, syncs {} and {} here",
        base.0, ours.0, base.1, ours.1
    );
    Ok(())
}
