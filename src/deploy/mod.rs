//! One turn as a line: prepare, update the checkout (pull, submodules, verify), `on_update`, record.
//!
//! Each step takes what the ones before it returned, and the turn's result keeps how far they came. Must not know how a turn
//! is come by, nor who hears the outcome.
//! Success means that the site is what was pushed; an exit code of 0 is no evidence of that, so everything is looked at
//! afterwards.
//!
//! | room | what lives there |
//! | --- | --- |
//! | [`aim`], [`triage`], [`turn_result`] | what a turn goes for, what becomes of its tickets, and what it came to |
//! | [`orphan`], [`marker`], [`heal`] | what a deploy that died left: running, marked, half-done |
//! | [`clone`] | the first checkout |
//! | [`update`] | pull, submodules and verify, again while a pushed commit is not visible yet |
//! | [`pull`], [`green`], [`submodules`], [`verify`] | its parts |
//! | [`command`], [`changed`] | the person's commands, and what they are told |
//! | [`failure`], [`journal`], [`record`] | why a step failed, what the report tells of the way, and the end |
//! | [`statuses`] | what GitHub is told about the commits of a turn |
//! | [`unfinished_back`] | where `back` is going, until it has ended |
//! | [`underway`] | what a deploy is at, for people who ask meanwhile |
//! | [`maintenance`] | git's tidying up, once a day |
//! | [`afterwards`] | the end of a turn, once its outcome is heard |

mod afterwards;
mod aim;
mod changed;
pub(crate) mod clone;
mod command;
mod failure;
mod green;
mod heal;
mod journal;
mod maintenance;
mod marker;
mod orphan;
mod pull;
mod record;
mod statuses;
mod submodules;
mod triage;
mod turn_result;
mod underway;
pub(crate) mod unfinished_back;
mod update;
mod verify;

use std::fs::File;
use std::path::Path;

use anyhow::{Result, anyhow};

use crate::cgi::Environment;
use crate::commit_status::Pending;
use crate::diagnosis::{Cause, Situation, explain};
use crate::git::{Checkout, Git, Handover, Indexed, Tracking, Upstream};
use crate::green::Green;
use crate::history::Record;
use crate::last_good::LastGood;
use crate::outcome::{Step, Verdict};
use crate::process::Progress;
use crate::queue::Turn;
use crate::site::{Site, Submodules};
use crate::state::StateFolder;

use changed::Changed;
use failure::StepFailed;
use heal::Healer;
use journal::Journal;
use marker::Interrupted;
use turn_result::TurnResult;
use update::Update;

pub(crate) use afterwards::Afterwards;
pub(crate) use aim::Aim;
pub(crate) use marker::unfinished_since;
pub(crate) use underway::Underway;

/// The deploy of a site, in its checkout.
pub(crate) struct Deploy<'d> {
    pub(crate) site: &'d Site,
    pub(crate) host: &'d Environment,
    pub(crate) checkout: &'d Checkout,
    pub(crate) turn: &'d Turn<'d>,
    pub(crate) aim: Aim<'d>,
    /// Who watches git while it works.
    pub(crate) progress: Option<Progress<'d>>,
    /// Git's configuration, as another process of ours has just read it.
    pub(crate) config: Option<&'d Handover>,
}

impl Deploy<'_> {
    /// Serves what waits, and deploys even when nothing does. `recorded` is told what is in the history. An error means that
    /// the outcome could not be recorded: the tickets are still there, and so is the marker. Returns what is still being
    /// posted about it.
    pub(crate) fn serve(&self, recorded: &mut dyn FnMut(&Record)) -> Result<Pending> {
        let tickets = match self.aim {
            Aim::Tip | Aim::Green(_) => self.turn.tickets()?,
            // They wait, since deploys are held.
            Aim::Back(_) => Vec::new(),
        };
        let mut result = TurnResult::of(tickets);
        let mut journal = Journal::new(self);
        journal.serves(&result.tickets);
        let git_lock = orphan::end(self.state(), &mut journal)?;
        if let Err(failed) = self.run(&mut result, &git_lock, &mut journal) {
            result.fail(failed);
        }
        self.record(&result, &journal, recorded)?;
        Ok(journal.pending)
    }

    fn state(&self) -> &StateFolder {
        self.turn.state
    }

    /// Which commits are green, where a workflow has to succeed first.
    fn green(&self) -> Result<Option<Green>> {
        match self.aim {
            Aim::Green(_) => Green::read(self.state()).map(Some),
            Aim::Tip | Aim::Back(_) => Ok(None),
        }
    }

    fn run(
        &self,
        result: &mut TurnResult,
        git_lock: &File,
        journal: &mut Journal<'_>,
    ) -> Result<(), StepFailed> {
        self.write_changed(&Changed::default())?;
        let git = Git::new(self.site, self.checkout, self.host)?
            .holding(git_lock)
            .watched(self.progress);
        result.before = self.prepare(&git, journal)?;
        let upstream = &*result.upstream.insert(self.upstream(&git)?);
        journal.follows(upstream);
        let update = Update::new(self, &git, &result.before, upstream);
        let updated = update.run(&mut result.tickets, journal)?;
        result.now = Some(updated.now);
        result.commits = updated.commits;
        if result.has_news() || self.aim.is_back() {
            self.on_update(&git, result, journal)?;
            self.ensure_live(result, journal)?;
        }
        Ok(())
    }

    /// The verdict where nothing has failed.
    fn good(&self, result: &TurnResult) -> Verdict {
        match self.aim {
            Aim::Back(_) => Verdict::Back,
            Aim::Tip | Aim::Green(_) if result.has_news() => Verdict::Deployed,
            Aim::Tip | Aim::Green(_) => Verdict::Unchanged,
        }
    }

    /// Makes the first checkout if it is due, and puts right what a deploy that died left. Returns what the last good
    /// deploy left.
    fn prepare(&self, git: &Git<'_>, journal: &mut Journal<'_>) -> Result<LastGood, StepFailed> {
        let mut interrupted = marker::read(self.state())?;
        if clone::is_due(self.site) {
            marker::leave(self.state())?;
            self.clone(git, journal)?;
            // What an earlier attempt left has been used or written over.
            interrupted = None;
        }
        let handed_over = self
            .config
            .map(|config| git.take_over(config))
            .transpose()?;
        let config = match handed_over.flatten() {
            Some(config) => config,
            None => git.read_config()?,
        };
        journal.hide(config.credentials());
        if let Some(cause) = Cause::of_clone_key(self.site, &config) {
            let told = explain(&cause, &Situation::new(self.site, git, self.host, None));
            let words = told.advice.map_or_else(String::new, |advice| advice.words);
            journal.remark(format!("{}: {words}", told.cause));
        }
        if let Some(there) = git.writes_elsewhere()? {
            return Err(StepFailed::stated(
                Step::Start,
                Cause::WorkTreeElsewhere(there),
            ));
        }
        if let Some(interrupted) = interrupted
            && let Some(put_back) = self.heal(git, &interrupted)?
        {
            journal.remark(format!("an earlier deploy was cut short; {put_back}"));
        }
        journal.is_put_right = true;
        self.last_good(git)
    }

    /// Makes the first checkout. What was there before it is nothing, so that whatever comes is new.
    fn clone(&self, git: &Git<'_>, journal: &mut Journal<'_>) -> Result<(), StepFailed> {
        journal.begins(Step::Clone);
        let Some(url) = &self.site.clone else {
            return Err(anyhow!(
                "the first checkout was not finished, and the key `clone` is gone; set it again"
            )
            .into());
        };
        if LastGood::read(self.state())?.is_none() {
            LastGood::default().write(self.state())?;
        }
        // Whatever becomes of it, the next attempt goes on from what this one left.
        journal.is_put_right = true;
        self.finish_clone(url, git, journal)?;
        journal.is_put_right = false;
        Ok(())
    }

    /// Puts right what a run left. The marker says that this has begun, and by whom, should it be cut short itself.
    fn heal(&self, git: &Git<'_>, interrupted: &Interrupted) -> Result<Option<String>> {
        let going_to = marker::leave_for_healing(self.state(), interrupted)?;
        Healer::new(git, interrupted).heal(going_to.as_ref())
    }

    /// What the last good deploy left. Before the first one, that is what the person had checked out.
    fn last_good(&self, git: &Git<'_>) -> Result<LastGood, StepFailed> {
        if let Some(last_good) = LastGood::read(self.state())? {
            return Ok(last_good);
        }
        let submodules = match self.site.submodules {
            Submodules::Recorded | Submodules::Latest => git.submodules()?,
            Submodules::Skip => Vec::new(),
        };
        let paths = submodules.iter().map(|submodule| submodule.path.as_path());
        ensure_no_submodule_replaced(git, paths)?;
        let found = LastGood::of(self.checkout, git.top().head()?, &submodules).left_by_a_person();
        found.write(self.state())?;
        Ok(found)
    }

    fn upstream(&self, git: &Git<'_>) -> Result<Upstream, StepFailed> {
        match git.tracking(self.site.branch.as_deref())? {
            Tracking::Upstream(upstream) => Ok(upstream),
            Tracking::None(why) => Err(StepFailed::stated(Step::Start, Cause::NotFollowing(why))),
        }
    }
}

/// What a person put where a submodule was, git writes over without a word.
fn ensure_no_submodule_replaced<'p>(
    git: &Git<'_>,
    submodules: impl Iterator<Item = &'p Path>,
) -> Result<(), StepFailed> {
    for path in submodules {
        let there = git.checkout.folder.join(path).symlink_metadata();
        if there.is_ok_and(|there| !there.is_dir())
            && matches!(git.top().indexed_at(path)?, Indexed::Submodule)
        {
            let cause = Cause::FileInPlaceOfSubmodule(path.to_owned());
            return Err(StepFailed::stated(Step::Start, cause));
        }
    }
    Ok(())
}
