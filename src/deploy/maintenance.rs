//! Git's tidying up, once a day: the last act of a worker, still under its turn, ended when a ticket comes. It can be killed
//! at any moment.

use std::time::Duration;

use anyhow::Result;

use super::orphan;
use crate::cgi::Environment;
use crate::git::{Checkout, Found, Git};
use crate::process::End;
use crate::queue::{Queue, Turn};
use crate::site::{Site, Submodules};

/// The day's maintenance was done when this file was written.
const DONE: &str = "maintenance";

/// How often git may tidy up.
const EVERY: Duration = Duration::from_hours(24);

/// Lets git tidy up, where it has not for a day and nothing waits.
pub(crate) fn maintain(
    site: &Site,
    host: &Environment,
    checkout: &Checkout,
    turn: &Turn<'_>,
) -> Result<()> {
    let done = turn.state.path(DONE).metadata();
    let done = done.and_then(|file| file.modified());
    if done.is_ok_and(|done| done.elapsed().is_ok_and(|age| age < EVERY)) {
        return Ok(());
    }
    let queue = Queue::of(turn.state);
    // A queue that can't be listed is no reason to go on.
    let is_unwanted = || !queue.is_empty().is_ok_and(|is_empty| is_empty);
    if is_unwanted() {
        return Ok(());
    }
    let Some(git_lock) = orphan::lock_if_free(turn.state)? else {
        return Ok(());
    };
    turn.state.write(DONE, b"")?;
    let git = Git::new(site, checkout, host)?.holding(&git_lock);
    let submodules = match site.submodules {
        Submodules::Recorded | Submodules::Latest => git.submodules()?,
        Submodules::Skip => Vec::new(),
    };
    let populated = submodules
        .iter()
        .filter(|submodule| submodule.found != Found::Nothing);
    let work_trees =
        std::iter::once(git.top()).chain(populated.map(|submodule| git.submodule(&submodule.path)));
    for work_tree in work_trees {
        if work_tree.gc(&is_unwanted)?.end == End::Stopped {
            break;
        }
    }
    Ok(())
}
