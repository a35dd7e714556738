//! Two checkouts of one upstream that race: one is deployed, in the other the bare git commands are run.

use std::cell::RefCell;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::upstream::World;
use super::{Delivery, Lab, Pairs, Site, expect_answer, timed};

/// What a person would type.
pub const COMMANDS: &[&[&str]] = &[
    &["pull", "--ff-only"],
    &["submodule", "update", "--init", "--recursive"],
];

pub struct Race<'l> {
    pub lab: &'l Lab,
    pub world: World<'l>,
    pub bare: PathBuf,
    pub site: Site,
}

impl<'l> Race<'l> {
    /// `from` says where the checkouts are cloned from.
    pub fn new(
        lab: &'l Lab,
        name: &str,
        files: usize,
        submodules: usize,
        from: impl Fn(&World<'l>) -> String,
    ) -> Result<Self> {
        let world = World::new(lab, name, files, submodules)?;
        let from = from(&world);
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
            race.world.push(0..submodules)?;
            race.pull()?;
            race.deploy("deployed")?;
        }
        Ok(race)
    }

    /// Pairs of both, after a push each.
    pub fn run(
        &mut self,
        pairs: usize,
        limit: Duration,
        mut push: impl FnMut(&mut World<'l>) -> Result<()>,
    ) -> Result<Pairs> {
        let race = RefCell::new(&mut *self);
        let pairs = Pairs::run(
            pairs,
            limit,
            || push(&mut race.borrow_mut().world),
            || race.borrow().pull(),
            || race.borrow().deploy("deployed"),
        )?;
        self.world.is_live_in(&self.bare)?;
        self.world.is_live_in(&self.site.checkout)?;
        Ok(pairs)
    }

    /// What a person would do.
    pub fn pull(&self) -> Result<Duration> {
        let mut took = Duration::ZERO;
        for words in COMMANDS {
            took += self.git(words)?;
        }
        Ok(took)
    }

    pub fn git(&self, words: &[&str]) -> Result<Duration> {
        let mut command = self.lab.clean("git");
        command.arg("-C").arg(&self.bare).args(words);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let begin = Instant::now();
        let status = command.status().context("cannot start git")?;
        let took = begin.elapsed();
        if !status.success() {
            bail!("git {words:?} in {}: {status}", self.bare.display());
        }
        Ok(took)
    }

    /// A delivery of the newest commit, spawn to answer; `word` is the answer's first.
    pub fn deploy(&self, word: &str) -> Result<Duration> {
        let (tip, modified) = (&self.world.site.tip, &self.world.modified);
        let delivery = Delivery::push("refs/heads/main", tip, modified);
        let mut command = self.lab.request(&self.site.file, &delivery);
        let (took, answer) = timed(&mut command, &delivery.body)?;
        expect_answer(&answer, "200", word)?;
        self.site.settle()?;
        Ok(took)
    }
}
