//! The tickets of a turn, sorted by what was seen of their commits.

use crate::commit_id::CommitId;
use crate::queue::Ticket;

/// The tickets of a turn.
#[derive(Debug, Default)]
pub(super) struct Triage {
    /// Their commit is live, or they name none.
    pub(super) ready: Vec<Ticket>,
    /// The remote does not show their commit yet.
    pub(super) not_visible: Vec<Ticket>,
    /// It has been missing for too long.
    pub(super) timed_out: Vec<(Ticket, CommitId)>,
    /// Runs of a workflow whose commit the branch does not have, and why.
    pub(super) ignored: Vec<(Ticket, String)>,
    /// Those of the ready ones whose commit is not in the branch, or may not be.
    pub(super) not_live: Vec<NotLive>,
    /// What a person should know about them.
    pub(super) remarks: Vec<String>,
}

/// A ticket whose commit is not in the branch, or may not be.
#[derive(Debug)]
pub(super) struct NotLive {
    pub(super) ticket: String,
    pub(super) how: Absence,
    pub(super) why: String,
}

/// How far it is known that a commit is not in the branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absence {
    /// A later push withdrew it.
    Withdrawn,
    /// A shallow clone does not reach back so far.
    Perhaps,
}
