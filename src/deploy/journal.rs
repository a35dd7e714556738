//! What the report of a turn tells of the way: steps and their times, remarks, and what must not be shown.

use std::time::{Duration, Instant};

use super::failure::{self, StepFailed};
use super::underway::Underway;
use crate::git::Git;
use crate::history::timestamp;
use crate::ignored::ignore;
use crate::outcome::{Step, StepTime};
use crate::process::{End, Ended};
use crate::queue::Ticket;
use crate::redaction;
use crate::site::Site;
use crate::state::StateFolder;

/// Kept while a turn goes on.
pub(super) struct Journal<'s> {
    state: &'s StateFolder,
    underway: Underway,
    pub(super) started: Instant,
    pub(super) steps: Vec<StepTime>,
    remarks: Vec<String>,
    /// Secrets and credentials, to be masked in whatever is shown.
    hidden: Vec<String>,
    /// Whether no step was cut short, or all that it left was put right: only then may the marker go.
    pub(super) is_put_right: bool,
}

impl<'s> Journal<'s> {
    pub(super) fn new(site: &Site, state: &'s StateFolder) -> Self {
        Self {
            state,
            underway: Underway {
                since: timestamp(),
                step: Step::Start,
                tickets: Vec::new(),
            },
            started: Instant::now(),
            steps: Vec::new(),
            remarks: Vec::new(),
            hidden: site.secret_words(),
            is_put_right: false,
        }
    }

    /// Says whose deploy this is.
    pub(super) fn serves(&mut self, tickets: &[Ticket]) {
        self.underway.serve(tickets);
        self.begins(self.underway.step);
    }

    /// Says what is done from now on. Returns the time.
    pub(super) fn begins(&mut self, step: Step) -> Instant {
        self.underway.step = step;
        ignore(
            self.underway.write(self.state),
            "only who asks meanwhile wants to know",
        );
        Instant::now()
    }

    pub(super) fn hide(&mut self, credentials: impl IntoIterator<Item = String>) {
        self.hidden.extend(credentials);
    }

    /// Something that a person should know, although it is no failure.
    pub(super) fn remark(&mut self, remark: impl Into<String>) {
        let remark = remark.into();
        // A step that is done again says the same again.
        if !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }

    pub(super) fn remarks(&mut self, remarks: impl IntoIterator<Item = String>) {
        remarks.into_iter().for_each(|remark| self.remark(remark));
    }

    pub(super) fn hidden(&self) -> &[String] {
        &self.hidden
    }

    /// The remarks, fit to be shown.
    pub(super) fn shown_remarks(&self) -> Vec<String> {
        let shown = |remark: &String| redaction::escape_line(&self.shown(remark));
        self.remarks.iter().map(shown).collect()
    }

    /// A step's command that ended, well or not.
    pub(super) fn step(
        &mut self,
        step: Step,
        took: Duration,
        ended: &Ended,
        git: &Git<'_>,
    ) -> Result<(), StepFailed> {
        self.command(step, took, ended.end);
        if ended.end.is_good() {
            Ok(())
        } else {
            Err(StepFailed::ended(step, ended, git))
        }
    }

    pub(super) fn command(&mut self, step: Step, took: Duration, end: End) {
        let remark = (!end.is_good()).then(|| end.to_string());
        self.took(step, took, remark.as_deref());
    }

    /// A step that ended, and what is said behind its time.
    pub(super) fn took(&mut self, step: Step, took: Duration, remark: Option<&str>) {
        let remark = remark.map(str::to_owned);
        match self.steps.iter_mut().find(|known| known.step == step) {
            Some(known) => {
                known.took += took;
                known.remark = remark;
            }
            None => self.steps.push(StepTime { step, took, remark }),
        }
    }

    pub(super) fn shown(&self, text: &str) -> String {
        failure::shown(text, &self.hidden)
    }
}
