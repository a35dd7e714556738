//! What is done when a turn's outcome is recorded and heard: statuses are posted, and git may tidy up.
//!
//! The one room here that takes a turn by itself.

use anyhow::Result;

use crate::cgi::Environment;
use crate::commit_status::{Board, Pending};
use crate::git::Checkout;
use crate::ignored::ignore;
use crate::queue::{Queue, Turn};
use crate::site::Site;

/// Whose turn ends.
pub(crate) struct Afterwards<'a> {
    pub(crate) site: &'a Site,
    pub(crate) host: &'a Environment,
    pub(crate) checkout: &'a Checkout,
}

impl Afterwards<'_> {
    /// Ends a turn. Statuses are posted when it has ended: GitHub may take its time, and neither the next deploy nor whoever
    /// waits in line has to wait for that. Then, as the last act, git may tidy up, in a turn that nobody else wants. Returns
    /// how posting went.
    pub(crate) fn end(&self, turn: Turn<'_>, pending: Pending) -> Result<Vec<String>> {
        let state = turn.state;
        let board = Board::of(self.site, state);
        let Some(board) = board.filter(|board| board.has_owed().unwrap_or(true)) else {
            self.tidy_up(turn)?;
            return Ok(Vec::new());
        };
        turn.end()?;
        let remarks = board
            .post_owed(pending)
            .unwrap_or_else(|error| vec![format!("commit statuses: {error:#}")]);
        if let Some(turn) = Queue::of(state).free_turn()? {
            self.tidy_up(turn)?;
        }
        Ok(remarks)
    }

    fn tidy_up(&self, turn: Turn<'_>) -> Result<()> {
        ignore(
            self.maintain(turn.state),
            "the outcome of the deploy is known",
        );
        turn.end()
    }
}
