//! Which commits a workflow has passed: what its runs came to, as their deliveries said.
//!
//! Must not know git: whether a commit is in the branch that is followed, others ask.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::commit_id::{CommitId, short};
use crate::state::StateFolder;

/// The file.
const FILE: &str = "workflow-runs";

/// Held while it is changed. Never waited for at length: a change takes milliseconds.
const LOCK: &str = "noting-runs";

/// How many commits are remembered.
const MAX_COMMITS: usize = 200;

/// What is known of the commits of the followed branch.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Green {
    /// The newest that was pushed, as far as deliveries said.
    pub(crate) pushed: Option<CommitId>,
    /// One of each commit, the newest; in the order in which they came.
    runs: Vec<Run>,
}

/// What a run came to. Deliveries come in any order: the newest run of a commit has the highest id, and of that the highest
/// attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) commit: CommitId,
    pub(crate) id: u64,
    pub(crate) attempt: u64,
    /// How it ended, such as `success`.
    pub(crate) conclusion: String,
}

impl Run {
    pub(crate) fn is_green(&self) -> bool {
        self.conclusion == "success"
    }
}

impl Green {
    pub(crate) fn read(state: &StateFolder) -> Result<Self> {
        // One that can't be read knows of nothing, and nothing is deployed that is not known to be green.
        Ok(state.json(FILE)?.unwrap_or_default())
    }

    /// Changes what is remembered, so that it survives a power failure. Returns what is known then.
    pub(crate) fn change(state: &StateFolder, change: impl FnOnce(&mut Self)) -> Result<Self> {
        let lock = state.lock_file(LOCK)?;
        lock.lock()
            .context("cannot lock what is known of workflow runs")?;
        let mut known = Self::read(state)?;
        change(&mut known);
        state.write(FILE, &serde_json::to_vec(&known)?)?;
        Ok(known)
    }

    /// Notes what a run came to, unless a newer one of this commit is known.
    pub(crate) fn note(&mut self, run: Run) {
        let of_commit = |known: &Run| known.commit == run.commit;
        if let Some(at) = self.runs.iter().position(of_commit) {
            let known = &self.runs[at];
            if (known.id, known.attempt) > (run.id, run.attempt) {
                return;
            }
            self.runs.remove(at);
        }
        self.runs.push(run);
        let too_many = self.runs.len().saturating_sub(MAX_COMMITS);
        self.runs.drain(..too_many);
    }

    /// Notes a push, unless it came before: then a later commit has been run since.
    pub(crate) fn note_push(&mut self, commit: &CommitId) {
        let id = self.run_of(commit).map(|run| run.id);
        if id.is_none_or(|id| self.runs.iter().all(|run| run.id <= id)) {
            self.pushed = Some(commit.clone());
        }
    }

    /// The newest run of a commit.
    pub(crate) fn run_of(&self, commit: &CommitId) -> Option<&Run> {
        self.runs.iter().find(|run| run.commit == *commit)
    }

    pub(crate) fn is_green(&self, commit: &CommitId) -> bool {
        self.run_of(commit).is_some_and(Run::is_green)
    }

    /// The commits that are known to be green.
    pub(crate) fn commits(&self) -> BTreeSet<&CommitId> {
        self.green_runs().map(|run| &run.commit).collect()
    }

    /// The one that was run last: the ids of runs grow, and a re-run keeps its own.
    pub(crate) fn newest(&self) -> Option<&CommitId> {
        let newest = self.green_runs().max_by_key(|run| run.id);
        newest.map(|run| &run.commit)
    }

    fn green_runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(|run| run.is_green())
    }

    /// What is live, and how far that is from what was pushed.
    pub(crate) fn in_words(&self, live: Option<&CommitId>) -> String {
        format!(
            "live is {}, the newest green commit {}, the newest pushed one {}",
            short(live),
            short(self.newest()),
            short(self.pushed.as_ref())
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(commit: &str, id: u64, attempt: u64, conclusion: &str) -> Run {
        Run {
            commit: CommitId::parse(&commit.repeat(40)).unwrap(),
            id,
            attempt,
            conclusion: conclusion.into(),
        }
    }

    #[test]
    fn the_newest_result_of_a_commit_counts_in_whatever_order_they_come() {
        for (runs, is_green) in [
            (vec![(1, 1, "success")], true),
            (vec![(1, 1, "failure"), (1, 2, "success")], true),
            (vec![(1, 2, "success"), (1, 1, "failure")], true),
            (vec![(1, 1, "success"), (1, 2, "failure")], false),
            (vec![(1, 2, "failure"), (1, 1, "success")], false),
            (vec![(2, 1, "success"), (1, 9, "failure")], true),
            (vec![(1, 9, "success"), (2, 1, "cancelled")], false),
        ] {
            let mut green = Green::default();
            for (id, attempt, conclusion) in &runs {
                green.note(run("a", *id, *attempt, conclusion));
            }
            let commit = &run("a", 0, 0, "").commit;
            assert_eq!(green.is_green(commit), is_green, "{runs:?}");
            assert_eq!(green.newest().is_some(), is_green, "{runs:?}");
            assert!(!green.is_green(&run("b", 0, 0, "").commit));
        }
    }

    #[test]
    fn no_more_than_a_bound_are_remembered() {
        let mut green = Green::default();
        for id in 0..500 {
            let commit = CommitId::parse(&format!("{id:040x}")).unwrap();
            green.note(Run {
                commit,
                ..run("a", id, 1, "success")
            });
        }
        assert_eq!(green.commits().len(), MAX_COMMITS);
        assert!(!green.is_green(&CommitId::parse(&format!("{:040x}", 299)).unwrap()));
        assert!(green.is_green(&CommitId::parse(&format!("{:040x}", 300)).unwrap()));
    }
}
