//! A push to live, spawn to answer, against the bare `git pull --ff-only && git submodule update --init --recursive` in
//! another checkout of the same upstream that is in the same state.
//!
//! `cargo bench --bench deploy -- [PAIRS] [one] [eight] [redelivery] [counts] [growth] [growth-large]`
//!
//! Each row has a remote over HTTP on loopback (`git http-backend`) and one on a plain path.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark starts programs and prints figures"
)]

mod lab;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use lab::origin::{self, Origin};
use lab::upstream::World;
use lab::{Args, Delivery, Lab, Pairs, Site, expect_answer, head, timed, under};

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

/// A world with the two checkouts that race.
struct Race<'l> {
    lab: &'l Lab,
    world: World<'l>,
    bare: PathBuf,
    site: Site,
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
        if args.wants("one") || args.wants("counts") || args.wants("redelivery") {
            let mut race = Race::new(&lab, &origin, remote, "one", 1000, 1)?;
            if args.wants("one") {
                let row = format!("1 of 1 submodules bumped, 1k files, {name}");
                race.run(&row, pairs, 1)?;
            }
            if args.wants("redelivery") {
                race.redelivery(name, pairs)?;
            }
            if args.wants("counts") {
                race.counts(name, 1)?;
            }
        }
        if args.wants("eight") {
            let mut race = Race::new(&lab, &origin, remote, "eight", 1000, 8)?;
            let row = format!("8 of 8 submodules bumped, 1k files, {name}");
            race.run(&row, pairs.div_ceil(2), 8)?;
            if args.wants("counts") {
                race.counts(name, 8)?;
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
                let mut race = Race::new(&lab, &origin, remote, &world, files, submodules)?;
                let row = format!(
                    "1 of {submodules} submodules bumped, {}k files, {name}",
                    files / 1000
                );
                race.run(&row, pairs.div_ceil(4), 1)?;
            }
        }
    }
    Ok(())
}

impl<'l> Race<'l> {
    fn new(
        lab: &'l Lab,
        origin: &Origin,
        remote: Remote,
        name: &str,
        files: usize,
        submodules: usize,
    ) -> Result<Self> {
        let name = format!("{name}-{}", remote.name());
        let world = World::new(lab, &name, files, submodules)?;
        let from = match remote {
            Remote::Http => origin.url(&format!("me/{name}.git")),
            Remote::Path => world.site.folder.display().to_string(),
        };
        let bare = world.clone(&from, &format!("{name}-bare"))?;
        let ours = world.clone(&from, &format!("{name}-ours"))?;
        let site = lab.site(&format!("{name}.cgi"), &ours, "repository = \"me/site\"\n")?;
        let mut race = Self {
            lab,
            world,
            bare,
            site,
        };
        // The first deploy of a checkout makes what later ones find, and the day's maintenance is behind us.
        for _ in 0..2 {
            race.world.push(submodules)?;
            race.pull_bare()?;
            race.deploy("200", "deployed")?;
        }
        Ok(race)
    }

    fn run(&mut self, row: &str, pairs: usize, bumped: usize) -> Result<()> {
        let world = std::cell::RefCell::new(&mut self.world);
        let (lab, bare, site) = (self.lab, &self.bare, &self.site);
        let pairs = Pairs::run(
            pairs,
            ROW,
            || world.borrow_mut().push(bumped),
            || pull(lab, bare),
            || deploy(lab, site, &world.borrow().site.tip, "200", "deployed"),
        )?;
        println!("{row:<WIDTH$} {}", pairs.fields());
        self.world.is_live_in(&self.bare)?;
        self.world.is_live_in(&self.site.checkout)
    }

    /// Nothing new: against the pull alone, and against the pull with its submodules.
    fn redelivery(&mut self, name: &str, pairs: usize) -> Result<()> {
        self.pull_bare()?;
        if self.world.is_live_in(&self.site.checkout).is_err() {
            self.deploy("200", "deployed")?;
        }
        let ours = || self.deploy("200", "unchanged");
        let alone = || git(self.lab, &self.bare, &["pull", "--ff-only"]);
        let pairs_alone = Pairs::run(pairs, ROW, || Ok(()), alone, ours)?;
        let row = format!("redelivery, base: pull alone, {name}");
        println!("{row:<WIDTH$} {}", pairs_alone.fields());
        let pairs = Pairs::run(pairs, ROW, || Ok(()), || self.pull_bare(), ours)?;
        let row = format!("redelivery, {name}");
        println!("{row:<WIDTH$} {}", pairs.fields());
        Ok(())
    }

    fn pull_bare(&self) -> Result<Duration> {
        pull(self.lab, &self.bare)
    }

    fn deploy(&self, status: &str, word: &str) -> Result<Duration> {
        deploy(self.lab, &self.site, &self.world.site.tip, status, word)
    }

    /// Processes that were started and syncs that were waited for, which the weather does not change.
    fn counts(&mut self, name: &str, bumped: usize) -> Result<()> {
        let Some(strace) = self.lab.finds("strace") else {
            println!("strace is not installed: processes and syncs are left out");
            return Ok(());
        };
        let findings = self.lab.path("strace.txt");
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
        self.world.push(bumped)?;
        let mut base = (0, 0);
        for words in COMMANDS {
            let mut command = self.lab.clean("git");
            command.arg("-C").arg(&self.bare).args(*words);
            let (starts, syncs) = traced(&command, b"")?;
            base = (base.0 + starts, base.1 + syncs);
        }
        let delivery = Delivery::push("refs/heads/main", &self.world.site.tip);
        let command = self.lab.request(&self.site.file, &delivery);
        let ours = traced(&command, &delivery.body)?;
        self.site.settle()?;
        println!(
            "  {bumped} bumped, {name}: programs started {} and {} here, syncs {} and {} here",
            base.0, ours.0, base.1, ours.1
        );
        Ok(())
    }
}

/// What a person would type.
const COMMANDS: &[&[&str]] = &[
    &["pull", "--ff-only"],
    &["submodule", "update", "--init", "--recursive"],
];

fn pull(lab: &Lab, checkout: &Path) -> Result<Duration> {
    let mut took = Duration::ZERO;
    for words in COMMANDS {
        took += git(lab, checkout, words)?;
    }
    Ok(took)
}

fn git(lab: &Lab, checkout: &Path, words: &[&str]) -> Result<Duration> {
    let mut command = lab.clean("git");
    command.arg("-C").arg(checkout).args(words);
    command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    let begin = Instant::now();
    let status = command.status().context("cannot start git")?;
    let took = begin.elapsed();
    if !status.success() {
        bail!("git {words:?} in {}: {status}", checkout.display());
    }
    Ok(took)
}

fn deploy(lab: &Lab, site: &Site, tip: &str, status: &str, word: &str) -> Result<Duration> {
    let delivery = Delivery::push("refs/heads/main", tip);
    let mut command = lab.request(&site.file, &delivery);
    let (took, answer) = timed(&mut command, &delivery.body)?;
    expect_answer(&answer, status, word)?;
    site.settle()?;
    Ok(took)
}
