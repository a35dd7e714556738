//! What the report of a turn tells of the way: steps and their times, remarks, and what must not be shown. Who asks
//! meanwhile, and GitHub, hear from here what is being done.

use std::time::Instant;

use super::Deploy;
use super::failure::{self, StepFailed};
use super::statuses::STATUSES_ARE_NO_MATTER;
use super::triage::Triaged;
use super::underway::Underway;
use crate::commit_status::Pending;
use crate::git::{Git, Upstream};
use crate::ignored::ignore;
use crate::moment::Moment;
use crate::outcome::{Step, StepTime};
use crate::process::{End, Ended};
use crate::redaction;

/// Kept while a turn goes on.
pub(super) struct Journal<'s> {
    deploy: &'s Deploy<'s>,
    underway: Underway,
    /// When the step that is underway began, or the last command of it ended.
    since: Instant,
    tickets: Vec<Triaged>,
    /// Once it is known.
    upstream: Option<Upstream>,
    /// What is being posted about the tickets.
    pub(super) pending: Pending,
    pub(super) started: Instant,
    pub(super) steps: Vec<StepTime>,
    remarks: Vec<String>,
    /// Secrets and credentials, to be masked in whatever is shown.
    hidden: Vec<String>,
    /// Whether no step was cut short, or all that it left was put right: only then may the marker go.
    pub(super) is_put_right: bool,
}

impl<'s> Journal<'s> {
    pub(super) fn new(deploy: &'s Deploy<'s>) -> Self {
        Self {
            deploy,
            tickets: Vec::new(),
            upstream: None,
            pending: Pending::default(),
            underway: Underway {
                since: Moment::now(),
                step: Step::Start,
                tickets: Vec::new(),
            },
            started: Instant::now(),
            since: Instant::now(),
            steps: Vec::new(),
            remarks: Vec::new(),
            hidden: deploy.site.secret_words(),
            is_put_right: false,
        }
    }

    /// Says whose deploy this is.
    pub(super) fn serves(&mut self, tickets: &[Triaged]) {
        let names = tickets.iter().map(|triaged| triaged.ticket.name.clone());
        self.underway.tickets = names.collect();
        self.tickets = tickets.to_vec();
        self.begins(self.underway.step);
    }

    /// Says what the checkout follows.
    pub(super) fn follows(&mut self, upstream: &Upstream) {
        self.upstream = Some(upstream.clone());
    }

    /// Says what is done from now on.
    pub(super) fn begins(&mut self, step: Step) {
        self.underway.step = step;
        ignore(
            self.underway.write(self.deploy.state()),
            "only who asks meanwhile wants to know",
        );
        if let Some(upstream) = &self.upstream {
            match self.deploy.begin_pending(&self.tickets, upstream) {
                Ok(begun) => self.pending.add(begun),
                error => ignore(error.map(drop), STATUSES_ARE_NO_MATTER),
            }
        }
        self.since = Instant::now();
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

    /// A command of git's ended, well or not, for the step that is underway.
    pub(super) fn git_ended(&mut self, ended: &Ended, git: &Git<'_>) -> Result<(), StepFailed> {
        self.command_ended(ended.end);
        if ended.end.is_good() {
            Ok(())
        } else {
            Err(StepFailed::ended(self.underway.step, ended, git))
        }
    }

    pub(super) fn command_ended(&mut self, end: End) {
        self.step_ended((!end.is_good()).then(|| end.to_string()));
    }

    /// The step that is underway ended; and what is said behind its time.
    pub(super) fn step_ended(&mut self, remark: Option<String>) {
        let (step, took) = (self.underway.step, self.since.elapsed());
        self.since = Instant::now();
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
