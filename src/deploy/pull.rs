//! The branch brought to what the remote has: a fast-forward, or a reset.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::failure::StepFailed;
use super::journal::Journal;
use super::update::Update;
use crate::commit_id::CommitId;
use crate::diagnosis::Cause;
use crate::files::{lock_within, open_private};
use crate::git::Heads;
use crate::outcome::Step;
use crate::process::Ended;
use crate::site::{self, Submodules};

/// Where the deploys of several work trees of one repository wait for each other. Not a name of a lock file of git's, which
/// would be put right.
const WORK_TREES_LOCK: &str = "deploy-cgi-work-trees";

/// The longest pause before a fetch that failed is tried once more; a quarter of `wait` where that is less, so that the
/// result is still heard.
const MAX_RETRY_PAUSE: Duration = Duration::from_secs(1);

impl Update<'_> {
    /// Brings the branch to what the remote has.
    pub(super) fn pull(&self, journal: &mut Journal<'_>) -> Result<(), StepFailed> {
        let _alone = self.lock_out_work_trees()?;
        match self.deploy.site.update {
            site::Update::FastForward => self.fast_forward(journal),
            site::Update::Reset => self.reset(journal),
        }
    }

    fn fast_forward(&self, journal: &mut Journal<'_>) -> Result<(), StepFailed> {
        let started = journal.begins(Step::Pull);
        let pull = || self.git.pull(self.upstream);
        let mut ended = self.with_a_retry(pull)?;
        if ended.is_a_failure()
            && let Some(upstream) = self.git.heads(&self.upstream.branch)?.upstream
        {
            let known = self.before.submodules.keys().map(Path::new);
            let cleared = self.clear_replaced(&upstream, known)?;
            if !cleared.is_empty() {
                ended = self.pull_or_put_back(&cleared)?;
            }
        }
        journal.step(Step::Pull, started.elapsed(), &ended, self.git)
    }

    /// Pulls once more where submodules were cleared away. If something else was in the way, too, nothing was deployed, and so
    /// nothing may be gone.
    fn pull_or_put_back(&self, cleared: &[PathBuf]) -> Result<Ended> {
        let pulled = self.git.pull(self.upstream);
        if !pulled.as_ref().is_ok_and(|ended| ended.end.is_good()) {
            for path in cleared {
                self.git
                    .submodule_update(Submodules::Recorded, Some(path))?;
            }
        }
        pulled
    }

    /// Makes the tracked files those of the remote branch. What that removes is kept first.
    fn reset(&self, journal: &mut Journal<'_>) -> Result<(), StepFailed> {
        let started = journal.begins(Step::Fetch);
        let before = self.git.heads(&self.upstream.branch)?.upstream;
        let fetched = self.with_a_retry(|| self.git.fetch(self.upstream))?;
        journal.step(Step::Fetch, started.elapsed(), &fetched, self.git)?;
        let Heads {
            head,
            upstream: Some(target),
        } = self.git.heads(&self.upstream.branch)?
        else {
            return Err(StepFailed::stated(Step::Fetch, Cause::HeadIsNotUpstream));
        };
        let top = self.git.top();
        let edits = top.edits()?;
        if head.as_ref() == Some(&target) && edits.is_empty() {
            return Ok(());
        }
        let started = journal.begins(Step::Reset);
        let submodules = self.git.submodules()?;
        let paths = submodules.iter().map(|submodule| submodule.path.as_path());
        self.clear_replaced(&target, paths)?;
        let kept = self
            .backup
            .before_reset(&top, &edits, &target, before.as_ref())?;
        journal.remarks(kept);
        journal.step(
            Step::Reset,
            started.elapsed(),
            &top.reset(target.as_str())?,
            self.git,
        )
    }

    /// Where a submodule becomes plain files, git refuses as long as its folder is there, or removes all that is in it, or
    /// leaves it. The folder goes where it holds nothing of a person's. Returns those that did.
    fn clear_replaced<'p>(
        &self,
        target: &CommitId,
        submodules: impl Iterator<Item = &'p Path>,
    ) -> Result<Vec<PathBuf>, StepFailed> {
        let mut replaced = Vec::new();
        for path in submodules {
            let folder = self.git.submodule(path).folder;
            if folder.join(".git").exists() && self.git.top().has_files_at(target, path)? {
                if !self.can_be_cleared(path)? {
                    let cause = Cause::SubmoduleBecameFiles(path.to_owned());
                    return Err(StepFailed::stated(Step::Pull, cause));
                }
                replaced.push(path.to_owned());
            }
        }
        replaced.iter().try_for_each(|path| self.remove(path))?;
        Ok(replaced)
    }

    /// Runs what fetches, and once more where the fetch itself failed.
    fn with_a_retry(&self, fetch: impl Fn() -> Result<Ended>) -> Result<Ended> {
        let mut ended = fetch()?;
        if ended.is_a_failure() && self.git.forget_in_the_way(self.upstream)? {
            ended = fetch()?;
        }
        if !ended.is_a_failure() || !self.git.fetched_nothing() {
            return Ok(ended);
        }
        std::thread::sleep(self.retry_pause());
        fetch()
    }

    pub(super) fn retry_pause(&self) -> Duration {
        MAX_RETRY_PAUSE.min(self.deploy.site.wait / 4)
    }

    /// Work trees of one repository may have a site each, and git lets only one fetch at a time. Held as long as the file.
    pub(super) fn lock_out_work_trees(&self) -> Result<Option<File>> {
        let Some(shared) = self.deploy.checkout.shared_with_work_trees() else {
            return Ok(None);
        };
        let path = shared.join(WORK_TREES_LOCK);
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        let lock = open_private(&path, &mut options)
            .with_context(|| format!("cannot open the lock {}", path.display()))?;
        let timeout = self.deploy.site.timeout;
        match lock_within(&lock, timeout) {
            Err(error) if error.kind() == ErrorKind::TimedOut => bail!(
                "another process has held the lock {} for longer than {} (`timeout`); if no deploy of another work tree \
                 of this repository is running, remove that file, then press Redeliver",
                path.display(),
                humantime::format_duration(timeout)
            ),
            locked => locked.with_context(|| format!("cannot lock {}", path.display()))?,
        }
        Ok(Some(lock))
    }
}
