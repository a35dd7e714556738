//! The branch brought to what the remote has: a fast-forward, or a reset.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use super::aim::Aim;
use super::failure::StepFailed;
use super::journal::Journal;
use super::marker;
use super::triage::Triaged;
use super::update::Update;
use crate::commit_id::CommitId;
use crate::diagnosis::Cause;
use crate::files::{lock_within, open_private};
use crate::git::Heads;
use crate::last_good::LastGood;
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
    /// Brings the branch to where it belongs. Returns the commit that it has to be at then, where that is known before.
    pub(super) fn pull(
        &self,
        tickets: &[Triaged],
        journal: &mut Journal<'_>,
    ) -> Result<Option<CommitId>, StepFailed> {
        let _alone = self.lock_out_work_trees()?;
        let update = self.deploy.site.update;
        if let (Aim::Tip, site::Update::FastForward) = (self.deploy.aim, update) {
            let pull = || self.with_a_retry(|| self.git.pull(self.upstream));
            self.fast_forward(Step::Pull, pull, None, journal)?;
            return Ok(None);
        }
        if let Aim::Back(target) = self.deploy.aim {
            return self.go_back(target, journal).map(Some);
        }
        let before = self.git.heads(&self.upstream.branch)?.upstream;
        self.fetch(journal)?;
        let heads = self.git.heads(&self.upstream.branch)?;
        let target = match self.deploy.aim {
            Aim::Green(workflow) => Some(self.newest_green(workflow, &heads, tickets, journal)?),
            Aim::Tip | Aim::Back(_) => heads.upstream.clone(),
        };
        let Some(target) = target else {
            return Err(StepFailed::stated(Step::Fetch, Cause::HeadIsNotUpstream));
        };
        self.say_where_to(&heads, &target)?;
        match update {
            site::Update::FastForward if heads.head.as_ref() == Some(&target) => {}
            site::Update::FastForward => {
                let merge = || self.git.fast_forward_to(&target);
                self.fast_forward(Step::Merge, merge, Some(&target), journal)?;
            }
            site::Update::Reset => self.reset(&heads, &target, before.as_ref(), journal)?,
        }
        Ok(Some(target))
    }

    fn fetch(&self, journal: &mut Journal<'_>) -> Result<(), StepFailed> {
        journal.begins(Step::Fetch);
        let fetched = self.with_a_retry(|| self.git.fetch(self.upstream))?;
        journal.git_ended(&fetched, self.git)
    }

    /// Says in the marker what the files are about to be, where the remote's branch does not: should this be cut short, they
    /// are told from a person's.
    fn say_where_to(&self, heads: &Heads, target: &CommitId) -> Result<()> {
        if heads.upstream.as_ref() == Some(target) {
            return Ok(());
        }
        marker::aim_at(self.deploy.state(), target)
    }

    /// Makes the tracked files those of an earlier commit, which is fetched where it is not here any more.
    fn go_back(
        &self,
        target: &LastGood,
        journal: &mut Journal<'_>,
    ) -> Result<CommitId, StepFailed> {
        let Some(commit) = &target.head else {
            return Err(anyhow!("there is no commit to go back to").into());
        };
        if !self.git.top().has_commit(commit)? {
            self.fetch(journal)?;
        }
        let heads = self.git.heads(&self.upstream.branch)?;
        self.say_where_to(&heads, commit)?;
        self.reset(&heads, commit, heads.upstream.as_ref(), journal)?;
        Ok(commit.clone())
    }

    /// Goes forward by `git pull`, or by `git merge` to a known target.
    fn fast_forward(
        &self,
        step: Step,
        forward: impl Fn() -> Result<Ended>,
        target: Option<&CommitId>,
        journal: &mut Journal<'_>,
    ) -> Result<(), StepFailed> {
        journal.begins(step);
        let mut ended = forward()?;
        if ended.is_a_failure()
            && let Some(target) = match target {
                Some(target) => Some(target.clone()),
                None => self.git.heads(&self.upstream.branch)?.upstream,
            }
        {
            let known = self.before.submodules.keys().map(Path::new);
            let cleared = self.clear_replaced(&target, known)?;
            if !cleared.is_empty() {
                ended = self.forward_or_put_back(forward, &cleared)?;
            }
        }
        journal.git_ended(&ended, self.git)
    }

    /// Goes forward where submodules were cleared away. If something else was in the way, too, nothing was deployed, and so
    /// nothing may be gone.
    fn forward_or_put_back(
        &self,
        forward: impl Fn() -> Result<Ended>,
        cleared: &[PathBuf],
    ) -> Result<Ended> {
        let forwarded = forward();
        if !forwarded.as_ref().is_ok_and(|ended| ended.end.is_good()) {
            for path in cleared {
                self.git
                    .submodule_update(Submodules::Recorded, Some(path))?;
            }
        }
        forwarded
    }

    /// Makes the tracked files those of the target. What that removes is kept first. `before` is what the remote's branch
    /// was.
    fn reset(
        &self,
        heads: &Heads,
        target: &CommitId,
        before: Option<&CommitId>,
        journal: &mut Journal<'_>,
    ) -> Result<(), StepFailed> {
        let top = self.git.top();
        let edits = top.edits()?;
        if heads.head.as_ref() == Some(target) && edits.is_empty() {
            return Ok(());
        }
        journal.begins(Step::Reset);
        let submodules = self.git.submodules()?;
        let paths = submodules.iter().map(|submodule| submodule.path.as_path());
        self.clear_replaced(target, paths)?;
        let kept = self.backup.before_reset(&top, &edits, target, before)?;
        journal.remarks(kept);
        journal.git_ended(&top.reset(target.as_str())?, self.git)
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
