//! The end of a turn: record, last-good, `on_failure`; only then are the tickets served, and the marker goes.

use std::path::Path;

use anyhow::Result;

use super::Deploy;
use super::aim::Aim;
use super::command::{About, ON_FAILURE_LOG};
use super::failure::{StepFailed, masked, tail_of};
use super::journal::Journal;
use super::marker;
use super::triage::{Fate, Triaged};
use super::turn_result::TurnResult;
use super::underway::Underway;
use super::unfinished_back;
use crate::diagnosis::Cause;
use crate::git::Git;
use crate::history::{History, Record};
use crate::ignored::ignore;
use crate::last_good::{GoodDeploys, LastGood};
use crate::moment::Moment;
use crate::outcome::{Moved, Outcome, Step, Verdict};
use crate::queue::Ticket;
use crate::redaction;

impl Deploy<'_> {
    pub(super) fn record(
        &self,
        ended: &TurnResult,
        journal: &Journal<'_>,
        recorded: &mut dyn FnMut(&Record),
    ) -> Result<()> {
        let history = History::of(self.state());
        let records = self.records(ended, journal);
        for record in &records {
            history.record(record)?;
        }
        history.sync()?;
        self.owe_statuses(&records, ended);
        ignore(
            Underway::end(self.state()),
            "only who asks meanwhile reads it",
        );
        if let (None, Some(now)) = (&ended.failed, &ended.now)
            && *now != ended.before
        {
            // First: what is not known as live yet is deployed, and remembered, once more.
            self.remember_good(&ended.before, now)?;
            now.write(self.state())?;
        }
        let failed_back = match self.aim {
            Aim::Back(target) if ended.failed.is_some() => Some(target),
            Aim::Back(_) | Aim::Tip | Aim::Green(_) => None,
        };
        unfinished_back::end(self.state(), failed_back)?;
        let failed = records
            .iter()
            .find(|record| record.verdict == Verdict::Failed);
        let on_failure = self.site.on_failure.as_ref();
        let on_failure = failed.and_then(|failed| Some((failed, on_failure?)));
        if let Some((failed, command)) = on_failure {
            // Whoever waits need not wait for that.
            records.iter().for_each(&mut *recorded);
            if let Some(remark) = self.run_on_failure(command, ended, failed, journal) {
                history.remark(&failed.name(), &journal.shown(&remark))?;
            }
        }
        for served in records.iter().flat_map(|record| &record.tickets) {
            self.turn.served(&served.ticket)?;
        }
        if journal.is_put_right {
            marker::remove(self.state())?;
        }
        if on_failure.is_none() {
            records.iter().for_each(recorded);
        }
        Ok(())
    }

    /// Remembers a good deploy that brought something, for `back`.
    fn remember_good(&self, before: &LastGood, now: &LastGood) -> Result<()> {
        if self.aim.is_back() || !now.differs_from(before) {
            return Ok(());
        }
        GoodDeploys::add(self.state(), before, now)?;
        let git = Git::new(self.site, self.checkout, self.host)?;
        for left in [before, now] {
            let paths = left.submodules.keys().map(Path::new);
            for below in std::iter::once(Path::new("")).chain(paths) {
                if let Some(commit) = left.commit_of(below) {
                    git.submodule(below).keep_commit(commit)?;
                }
            }
        }
        Ok(())
    }

    /// A record of the tickets that were served together, and one of each whose commit never came.
    fn records(&self, ended: &TurnResult, journal: &Journal<'_>) -> Vec<Record> {
        let mut records = Vec::new();
        let is_told_below = ended.tickets.iter().any(|triaged| {
            matches!(triaged.fate, Fate::TimedOut(_))
                || matches!(triaged.fate, Fate::Ignored(_)) && !ended.has_news()
        });
        let served: Vec<_> = ended.served().collect();
        if !(served.is_empty() && is_told_below) || ended.failed.is_some() {
            records.push(self.record_of(&served, ended.failed.as_ref(), ended, journal));
        }
        for Triaged { ticket, fate } in &ended.tickets {
            match fate {
                Fate::TimedOut(commit) => {
                    let cause = Cause::PushedCommitMissing(commit.clone());
                    let failed = StepFailed::stated(Step::Pull, cause);
                    records.push(self.record_of(&[ticket], Some(&failed), ended, journal));
                }
                Fate::Ignored(why) => records.push(Record {
                    verdict: Verdict::Ignored,
                    report: format!("ignored {why}\n"),
                    ..self.record_of(&[ticket], None, ended, journal)
                }),
                Fate::Served
                | Fate::ServedBut(_)
                | Fate::Withdrawn(_)
                | Fate::PerhapsWithdrawn(_)
                | Fate::NotVisible => {}
            }
        }
        records
    }

    fn record_of(
        &self,
        tickets: &[&Ticket],
        failed: Option<&StepFailed>,
        ended: &TurnResult,
        journal: &Journal<'_>,
    ) -> Record {
        let outcome = self.outcome(failed, ended, journal);
        let github = ended.upstream.as_ref().and_then(|upstream| {
            let repository = upstream.url.repository()?;
            upstream.url.is_github().then(|| repository.to_string())
        });
        let newest = outcome.commits.newest.first();
        Record {
            time: Moment::now(),
            verdict: outcome.verdict(),
            tickets: tickets.iter().flat_map(|ticket| ticket.serves()).collect(),
            report: outcome.report(),
            subject: newest.map(|commit| commit.subject.clone()),
            github,
            step: outcome.failure.as_ref().map(|failure| failure.step),
            cause: outcome.failure.map(|failure| failure.diagnosis.cause),
            branch: outcome.branch,
            old: outcome.old,
            new: outcome.new,
            seconds: journal.started.elapsed().as_secs_f64(),
            remarks: Vec::new(),
        }
    }

    /// Everything that came of it, fit to be shown.
    fn outcome(
        &self,
        failed: Option<&StepFailed>,
        ended: &TurnResult,
        journal: &Journal<'_>,
    ) -> Outcome {
        let mut commits = ended.commits.clone();
        for commit in &mut commits.newest {
            commit.subject = redaction::excerpt(&journal.shown(&commit.subject));
        }
        Outcome {
            branch: ended
                .upstream
                .as_ref()
                .map(|upstream| redaction::excerpt(&upstream.branch)),
            old: ended.before.head.clone(),
            new: ended.now.as_ref().and_then(|now| now.head.clone()),
            commits,
            submodules: moved_submodules(ended),
            steps: journal.steps.clone(),
            remarks: journal.shown_remarks(),
            failure: failed
                .map(|failed| failed.explained(self, ended.upstream.as_ref(), journal.hidden())),
            good: self.good(ended),
        }
    }

    /// Runs `on_failure`. Returns what is to be said of it, if it did not end well.
    fn run_on_failure(
        &self,
        command: &str,
        ended: &TurnResult,
        failed: &Record,
        journal: &Journal<'_>,
    ) -> Option<String> {
        let mut served = failed.tickets.iter().rev();
        let about = About {
            result: ended,
            verdict: Verdict::Failed,
            delivery: served.find_map(|served| served.delivery.as_ref()),
        };
        let report = failed.report.as_bytes();
        match self.shell(command, &about, ON_FAILURE_LOG, report) {
            Ok(ended) if ended.end.is_good() => None,
            Ok(ended) => Some(format!(
                "on_failure ended with {}: {}",
                ended.end,
                tail_of(&masked(
                    &String::from_utf8_lossy(&ended.output),
                    journal.hidden()
                ))
            )),
            Err(error) => Some(format!("on_failure: {error:#}")),
        }
    }
}

fn moved_submodules(ended: &TurnResult) -> Vec<Moved> {
    let Some(now) = &ended.now else {
        return Vec::new();
    };
    let old = &ended.before.submodules;
    let mut all = old.clone();
    all.extend(now.submodules.clone());
    let moved = all.keys().map(|path| Moved {
        old: old.get(path).cloned(),
        new: now.submodules.get(path).cloned(),
        path: redaction::escape_line(path),
    });
    moved.filter(|moved| moved.old != moved.new).collect()
}
