//! What a turn came to, for all its tickets, before it is recorded.

use super::failure::StepFailed;
use super::triage::{Fate, Triaged, are_all_runs};
use crate::commit_id::CommitId;
use crate::diagnosis::Cause;
use crate::git::{NewCommits, Upstream};
use crate::last_good::LastGood;
use crate::queue::Ticket;

/// As far as it has come.
#[derive(Default)]
pub(super) struct TurnResult {
    /// What the last good deploy left.
    pub(super) before: LastGood,
    pub(super) upstream: Option<Upstream>,
    /// What is there now, where the checkout could be updated.
    pub(super) now: Option<LastGood>,
    pub(super) commits: NewCommits,
    pub(super) tickets: Vec<Triaged>,
    pub(super) failed: Option<StepFailed>,
}

impl TurnResult {
    pub(super) fn of(tickets: Vec<Ticket>) -> Self {
        Self {
            tickets: Triaged::all(tickets),
            ..Self::default()
        }
    }

    /// A run whose commit the branch does not have makes no first checkout, and that is no failure.
    pub(super) fn fail(&mut self, failed: StepFailed) {
        if !(matches!(failed.cause, Cause::NothingGreen(_)) && are_all_runs(&self.tickets)) {
            self.failed = Some(failed);
            return;
        }
        for Triaged { ticket, fate } in &mut self.tickets {
            *fate = Fate::Ignored(format!(
                "the run for {}: the branch does not have this commit",
                ticket.commit().map_or("-", CommitId::short)
            ));
        }
    }

    /// Whether anything differs from the last good deploy.
    pub(super) fn has_news(&self) -> bool {
        let now = self.now.as_ref();
        now.is_some_and(|now| now.differs_from(&self.before))
    }

    /// The tickets whose outcome is the turn's.
    pub(super) fn served(&self) -> impl DoubleEndedIterator<Item = &Ticket> {
        let served = self.tickets.iter().filter(|triaged| triaged.is_served());
        served.map(|triaged| &triaged.ticket)
    }
}
