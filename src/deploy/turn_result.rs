//! What a turn came to, for all its tickets, before it is recorded.

use super::failure::StepFailed;
use super::triage::Triage;
use crate::diagnosis::Cause;
use crate::git::{NewCommits, Upstream};
use crate::last_good::LastGood;
use crate::queue::Ticket;

pub(super) struct TurnResult {
    /// What the last good deploy left.
    pub(super) before: LastGood,
    pub(super) upstream: Option<Upstream>,
    /// What is there now, where the checkout could be updated.
    pub(super) now: Option<LastGood>,
    pub(super) commits: NewCommits,
    pub(super) tickets: Triage,
    pub(super) failed: Option<StepFailed>,
}

impl TurnResult {
    /// A turn that failed for all its tickets.
    pub(super) fn failed(tickets: Vec<Ticket>, failed: StepFailed) -> Self {
        Self {
            before: LastGood::default(),
            upstream: None,
            now: None,
            commits: NewCommits::default(),
            tickets: Triage {
                ready: tickets,
                ..Triage::default()
            },
            failed: Some(failed),
        }
    }

    /// A turn that ended before there was anything to update. A run whose commit the branch does not have makes no first
    /// checkout, and that is no failure.
    pub(super) fn without_a_checkout(tickets: Vec<Ticket>, failed: StepFailed) -> Self {
        let run = |ticket: &Ticket| {
            let push = ticket.push.as_ref().filter(|push| push.green)?;
            Some(push.after.as_ref()?.short().to_owned())
        };
        let runs: Option<Vec<String>> = tickets.iter().map(run).collect();
        match (runs, &failed.cause) {
            (Some(runs), Cause::NothingGreen(_)) if !runs.is_empty() => {
                let why = |run| format!("the run for {run}: the branch does not have this commit");
                let ignored = tickets.into_iter().zip(runs.into_iter().map(why));
                Self {
                    tickets: Triage {
                        ignored: ignored.collect(),
                        ..Triage::default()
                    },
                    failed: None,
                    ..Self::failed(Vec::new(), failed)
                }
            }
            _ => Self::failed(tickets, failed),
        }
    }
}
