//! The tickets of a turn, and what becomes of each.

use crate::commit_id::CommitId;
use crate::queue::Ticket;

/// A ticket of a turn.
#[derive(Clone, Debug)]
pub(super) struct Triaged {
    pub(super) ticket: Ticket,
    pub(super) fate: Fate,
}

/// What becomes of a ticket, by what was seen of its commit.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    /// Its commit is live, or it names none, or nothing was seen of it yet: what becomes of the turn, becomes of it.
    Served,
    /// The same, and what a person should know about it.
    ServedBut(String),
    /// The same, but its commit is not in the branch: a later push withdrew it, as these words say.
    Withdrawn(String),
    /// The same, where it may be in the branch: a shallow clone does not reach back so far.
    PerhapsWithdrawn(String),
    /// The remote does not show its commit yet.
    NotVisible,
    /// This commit has been missing for too long.
    TimedOut(CommitId),
    /// It is a run of a workflow whose commit the branch does not have, as these words say.
    Ignored(String),
}

impl Triaged {
    /// Of tickets of which nothing was seen yet.
    pub(super) fn all(tickets: Vec<Ticket>) -> Vec<Self> {
        let fate = |ticket| Self {
            ticket,
            fate: Fate::Served,
        };
        tickets.into_iter().map(fate).collect()
    }

    /// Whether the outcome of the turn is its own.
    pub(super) fn is_served(&self) -> bool {
        match self.fate {
            Fate::Served | Fate::ServedBut(_) | Fate::Withdrawn(_) | Fate::PerhapsWithdrawn(_) => {
                true
            }
            Fate::NotVisible | Fate::TimedOut(_) | Fate::Ignored(_) => false,
        }
    }

    /// What a person should know about it, where it is served.
    pub(super) fn remark(&self) -> Option<&String> {
        match &self.fate {
            Fate::ServedBut(remark) | Fate::Withdrawn(remark) | Fate::PerhapsWithdrawn(remark) => {
                Some(remark)
            }
            Fate::Served | Fate::NotVisible | Fate::TimedOut(_) | Fate::Ignored(_) => None,
        }
    }
}

/// Whether there are tickets, and each is of a run of a workflow.
pub(super) fn are_all_runs(tickets: &[Triaged]) -> bool {
    let is_run = |of: &Triaged| of.ticket.push.as_ref().is_some_and(|push| push.green);
    !tickets.is_empty() && tickets.iter().all(is_run)
}
