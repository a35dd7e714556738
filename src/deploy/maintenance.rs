//! Git's tidying up, once a day: the last act of a worker, still under its turn, ended when a ticket comes. It can be killed
//! at any moment.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::{Afterwards, marker, orphan};
use crate::git::{Found, Git};
use crate::last_good::GoodDeploys;
use crate::process::End;
use crate::queue::Queue;
use crate::site::Submodules;
use crate::state::StateFolder;

/// The day's maintenance was done when this file was written.
const DONE: &str = "maintenance";

/// How often git may tidy up.
const EVERY: Duration = Duration::from_hours(24);

impl Afterwards<'_> {
    /// Lets git tidy up, where it has not for a day and nothing waits. The marker tells the next run of one that is killed.
    pub(super) fn maintain(&self, state: &StateFolder) -> Result<()> {
        let done = state.path(DONE).metadata();
        let done = done.and_then(|file| file.modified());
        if done.is_ok_and(|done| done.elapsed().is_ok_and(|age| age < EVERY)) {
            return Ok(());
        }
        let queue = Queue::of(state);
        // A queue that can't be listed is no reason to go on.
        let is_unwanted = || !queue.is_empty().is_ok_and(|is_empty| is_empty);
        // Nor is a marker that is there: the next deploy puts something right.
        if is_unwanted() || marker::read(state)?.is_some() {
            return Ok(());
        }
        let Some(git_lock) = orphan::lock_if_free(state)? else {
            return Ok(());
        };
        let good = GoodDeploys::read(state)?;
        state.write(DONE, b"")?;
        marker::leave(state)?;
        let end = self.collect_garbage(&good, &git_lock, &is_unwanted);
        // What was killed may have left something.
        if !matches!(end, Ok(End::Signal(_) | End::Limit(_))) {
            marker::remove(state)?;
        }
        end.map(drop)
    }

    /// Lets git tidy up each repository. Returns how that ended, which git does by itself where it is told to.
    fn collect_garbage(
        &self,
        good: &GoodDeploys,
        git_lock: &File,
        is_unwanted: &dyn Fn() -> bool,
    ) -> Result<End> {
        let git = Git::new(self.site, self.checkout, self.host)?.holding(git_lock);
        let submodules = match self.site.submodules {
            Submodules::Recorded | Submodules::Latest => git.submodules()?,
            Submodules::Skip => Vec::new(),
        };
        let populated = submodules
            .iter()
            .filter(|submodule| submodule.found != Found::Nothing);
        let work_trees = std::iter::once(git.top())
            .chain(populated.map(|submodule| git.submodule(&submodule.path)));
        for work_tree in work_trees {
            let below = work_tree.folder.strip_prefix(&self.checkout.folder);
            work_tree.keep_only(&good.commits_of(below.unwrap_or(Path::new(""))))?;
            match work_tree.gc(is_unwanted)?.end {
                End::Exit(_) => {}
                end @ (End::Stopped | End::Signal(_) | End::Limit(_)) => return Ok(end),
            }
        }
        Ok(End::Exit(0))
    }
}
