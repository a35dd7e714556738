//! What differs between two commits, by path.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Result;

use super::WorkTree;
use super::command::paths_in;
use crate::commit_id::CommitId;

/// Prints the paths that differ between two commits.
const DIFF: &str = "diff-tree -r -z --name-only --no-renames";

impl WorkTree<'_> {
    /// The paths that differ between two commits; a file that was renamed with both its names. `None` where one of the commits
    /// is gone.
    pub(crate) fn paths_between(
        &self,
        old: &CommitId,
        new: &CommitId,
    ) -> Result<Option<BTreeSet<PathBuf>>> {
        let diff = self.reading(DIFF).arg(old).arg(new).arg("--");
        let listed = diff.here().answer()?;
        Ok(listed.end.is_good().then(|| paths(&listed.output)))
    }

    /// Those of the same that match a pattern (gitglossary(7), "pathspec", with `glob`).
    pub(crate) fn matching_paths_between(
        &self,
        old: &CommitId,
        new: &CommitId,
        patterns: &[String],
    ) -> Result<BTreeSet<PathBuf>> {
        let diff = self.reading(DIFF).arg(old).arg(new).arg("--");
        Ok(paths(&diff.args(globs(patterns)).ask("compare commits")?))
    }

    /// The tracked paths; submodules by theirs.
    pub(crate) fn tracked_paths(&self, patterns: &[String]) -> Result<BTreeSet<PathBuf>> {
        let list = self.reading("ls-files -z --").args(globs(patterns));
        Ok(paths(&list.ask("list the tracked files")?))
    }
}

fn globs(patterns: &[String]) -> impl Iterator<Item = String> {
    patterns.iter().map(|pattern| format!(":(glob){pattern}"))
}

fn paths(listed: &[u8]) -> BTreeSet<PathBuf> {
    paths_in(listed).into_iter().collect()
}
