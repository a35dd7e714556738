//! The checkout brought to what was pushed: pull, submodules, verify, and once more while a pushed commit is not visible.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::failure::StepFailed;
use super::heal::Healer;
use super::journal::Journal;
use super::marker;
use super::triage::{Fate, Triaged};
use super::{Deploy, ensure_no_submodule_replaced};
use crate::backup::Backup;
use crate::diagnosis::Cause;
use crate::git::{
    Ancestry, Commits, FETCHES_AT_A_TIME, Found, Git, NewCommits, Submodule, Upstream,
};
use crate::last_good::LastGood;
use crate::outcome::Step;
use crate::queue::{PushRequest, Queue, Turn};
use crate::site::Submodules;

/// The pauses between looks for a commit that is missing; the last one is repeated.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// How often a pause is interrupted to see whether a newer ticket waits.
const INTERRUPTION: Duration = Duration::from_millis(50);

/// How many submodules are fetched beside the pull that no delivery names.
const MAX_GUESSES: usize = 2;

/// What an update works with.
pub(super) struct Update<'u> {
    pub(super) deploy: &'u Deploy<'u>,
    pub(super) git: &'u Git<'u>,
    /// What the last good deploy left.
    pub(super) before: &'u LastGood,
    pub(super) upstream: &'u Upstream,
    /// Whether the checkout was still there when this deploy began: no other deploy has failed since.
    pub(super) began_at_last_good: bool,
    pub(super) backup: Backup,
}

/// A checkout that is what was pushed.
pub(super) struct Updated {
    pub(super) now: LastGood,
    pub(super) commits: NewCommits,
}

impl<'u> Update<'u> {
    pub(super) fn new(
        deploy: &'u Deploy<'u>,
        git: &'u Git<'u>,
        before: &'u LastGood,
        upstream: &'u Upstream,
    ) -> Self {
        let branch = deploy.checkout.loose_ref(&upstream.branch);
        let branch = branch.as_deref().map(<[u8]>::trim_ascii_end);
        let last_good = before.head.as_ref().map(|head| head.as_str().as_bytes());
        Self {
            deploy,
            git,
            before,
            upstream,
            began_at_last_good: branch.is_some() && branch == last_good,
            backup: Backup::default(),
        }
    }

    /// Updates the checkout, under the marker. Where that fails, what git left half-done is put back.
    pub(super) fn run(
        &self,
        tickets: &mut Vec<Triaged>,
        journal: &mut Journal<'_>,
    ) -> Result<Updated, StepFailed> {
        let run = marker::leave(self.deploy.state())?;
        journal.is_put_right = false;
        let updated = self.until_visible(tickets, journal);
        // Not while the deploy of another work tree fetches: the locks are its own.
        let put_right = self
            .lock_out_work_trees()
            .and_then(|_alone| match &updated {
                Ok(_) => Healer::new(self.git, &run).remove_locks().map(|()| None),
                // Now: later, what it left could not be told from what a person did in the meantime.
                Err(_) => self.deploy.heal(self.git, &run),
            });
        match put_right {
            Ok(put_back) => {
                journal.remarks(put_back);
                journal.is_put_right = true;
            }
            Err(error) => journal.remark(format!(
                "what git had left half-done could not be put right yet: {error:#}"
            )),
        }
        updated
    }

    /// Updates the checkout, and does so again while the remote does not show what was pushed.
    fn until_visible(
        &self,
        tickets: &mut Vec<Triaged>,
        journal: &mut Journal<'_>,
    ) -> Result<Updated, StepFailed> {
        let last = std::iter::repeat(&PAUSES[PAUSES.len() - 1]);
        let mut pauses = PAUSES.iter().chain(last);
        for push in pushes(tickets) {
            if let (Some(path), Some(branch)) = (&push.submodule, &push.new_default) {
                self.git
                    .submodule(path.as_ref())
                    .set_default_branch(branch)?;
            }
        }
        let mut likely = self.likely_to_move(tickets);
        loop {
            let updated = self.once(tickets, std::mem::take(&mut likely), journal)?;
            let is_not_visible = |triaged: &Triaged| matches!(triaged.fate, Fate::NotVisible);
            if tickets.iter().any(Triaged::is_served) || !tickets.iter().any(is_not_visible) {
                journal.remarks(tickets.iter().filter_map(Triaged::remark).cloned());
                return Ok(updated);
            }
            if let Some(longest) = pauses.next() {
                pause(*longest, self.deploy.turn, tickets.len())?;
            }
            // A newer ticket that came meanwhile is served with them.
            *tickets = Triaged::all(self.deploy.turn.tickets()?);
            journal.serves(tickets);
        }
    }

    fn once(
        &self,
        tickets: &mut Vec<Triaged>,
        likely: Vec<PathBuf>,
        journal: &mut Journal<'_>,
    ) -> Result<Updated, StepFailed> {
        let git = self.git;
        ensure_no_submodule_replaced(git, self.before.submodules.keys().map(Path::new))?;
        // They need not wait for each other, and the network is what takes time.
        let beside = git.begin_fetches(likely);
        let pulled = self.pull(tickets, journal);
        let fetched = beside.end();
        let target = pulled?;
        let heads = git.heads_after_fetch(self.upstream)?;
        let target = target.or(heads.upstream);
        // "Already up to date" is also said to a HEAD that is ahead.
        let Some(head) = heads.head.filter(|head| target.as_ref() == Some(head)) else {
            return Err(StepFailed::stated(Step::Pull, Cause::HeadIsNotUpstream));
        };
        // They are looked for while the submodules are updated.
        let old = self.before.head.as_ref();
        let old = old.filter(|old| **old != head);
        let commits = old.map(|old| git.commits(old)).transpose()?;
        let listed = self.submodules(&head, &fetched, journal);
        // Waited for, whatever becomes of the submodules: nothing is left running.
        let commits = commits.map_or_else(|| Ok(NewCommits::default()), Commits::end);
        let listed = listed?;
        let submodules = &listed.there;
        self.ensure_followed(submodules)?;
        self.ensure_large_files(submodules)?;
        let mut now = LastGood::of(self.deploy.checkout, Some(head), submodules);
        let is_there = |submodule: &Submodule| submodule.is_there(Submodules::Recorded);
        if self.mode() == Submodules::Recorded
            && !listed.has_skipped
            && submodules.iter().all(is_there)
        {
            now = now.complete();
        }
        now = now.after(self.before);
        let commits = commits?;
        *tickets = self.triage(tickets, &now)?;
        Ok(Updated { now, commits })
    }

    /// The submodules that are likely to be moved, where something has come: those that the deliveries name, or else those
    /// that the last deploys moved. They are fetched while the checkout is pulled.
    fn likely_to_move(&self, tickets: &[Triaged]) -> Vec<PathBuf> {
        let is_news = |push: &PushRequest| {
            let below = Path::new(push.submodule.as_deref().unwrap_or(""));
            push.after.is_some() && self.before.commit_of(below) != push.after.as_ref()
        };
        if self.deploy.site.submodules == Submodules::Skip || !pushes(tickets).any(is_news) {
            return Vec::new();
        }
        let is_here = |path: &&String| {
            let dot_git = self.deploy.checkout.folder.join(path).join(".git");
            self.before.submodules.contains_key(*path) && dot_git.exists()
        };
        let named = pushes(tickets).flat_map(|push| push.submodule.iter().chain(&push.moved));
        let mut likely: BTreeSet<_> = named.filter(is_here).collect();
        if likely.is_empty() {
            let moved = self.before.moved.iter().filter(is_here);
            likely = moved.take(MAX_GUESSES).collect();
        }
        let likely = likely.into_iter().take(FETCHES_AT_A_TIME);
        likely.map(PathBuf::from).collect()
    }

    /// With `"latest"`, git may end well and leave a submodule elsewhere than at the tip of its branch. From 2.50 it moves one
    /// whose only remote has another name than `origin` to what was there before, since our settings name that and it is
    /// what is fetched from; to 2.33 a tag or a branch here may be called `origin/HEAD`, too.
    fn ensure_followed(&self, submodules: &[Submodule]) -> Result<(), StepFailed> {
        if self.mode() != Submodules::Latest {
            return Ok(());
        }
        for submodule in submodules {
            let tip = self.git.tip_of(submodule)?;
            let work_tree = self.git.submodule(&submodule.path);
            let has_tip = match &tip {
                Some(tip) if submodule.found == Found::At(tip.clone()) => true,
                // Where git is set to merge it, there is more.
                Some(tip) => work_tree.ancestry(tip)? == Ancestry::Contained,
                None => false,
            };
            let superproject = self.git.submodule(&submodule.superproject);
            if !has_tip
                && !superproject
                    .skipped_submodules()?
                    .contains(&submodule.path_there)
            {
                let path = submodule.path.clone();
                let cause = match tip {
                    Some(_) => Cause::SubmodulesMissing,
                    None => Cause::SubmoduleBranchUnknown {
                        branch: "HEAD".to_owned(),
                        path: path.clone(),
                    },
                };
                return Err(StepFailed::behind(path, cause));
            }
        }
        Ok(())
    }

    /// Without git-lfs, pointers are written in place of large files, and nothing fails.
    fn ensure_large_files(&self, submodules: &[Submodule]) -> Result<(), StepFailed> {
        let below = submodules.iter().map(|submodule| submodule.path.as_path());
        for path in std::iter::once(Path::new("")).chain(below) {
            let work_tree = self.git.submodule(path);
            if work_tree.has_lfs_pointers()? {
                let cause = if work_tree.read_config()?.has_lfs() {
                    Cause::LfsPointers(work_tree.folder.clone())
                } else {
                    Cause::LfsNotSetUp(work_tree.folder.clone())
                };
                return Err(StepFailed::stated(Step::Pull, cause));
            }
        }
        Ok(())
    }
}

fn pushes(tickets: &[Triaged]) -> impl Iterator<Item = &PushRequest> {
    let tickets = tickets.iter();
    tickets.filter_map(|triaged| triaged.ticket.push.as_ref())
}

/// Waits, at most until more than `known` tickets are there.
fn pause(longest: Duration, turn: &Turn<'_>, known: usize) -> Result<()> {
    let end = Instant::now() + longest;
    while Instant::now() < end && Queue::of(turn.state).list()?.len() <= known {
        std::thread::sleep(INTERRUPTION);
    }
    Ok(())
}
