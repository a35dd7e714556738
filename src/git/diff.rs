//! What differs between two commits, by path.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use anyhow::Result;

use super::WorkTree;
use crate::commit_id::CommitId;

impl WorkTree<'_> {
    /// The paths that differ between two commits; a file that was renamed with both its names. `None` where one of the commits
    /// is gone.
    pub(crate) fn paths_between(
        &self,
        old: &CommitId,
        new: &CommitId,
    ) -> Result<Option<BTreeSet<PathBuf>>> {
        let diff = ["diff-tree", "-r", "-z", "--name-only", "--no-renames"];
        let ids = [old.as_str(), new.as_str(), "--"];
        let listed = self.query_here(diff.into_iter().chain(ids))?;
        Ok(listed.end.is_good().then(|| paths(&listed.output)))
    }

    /// Those of the same that match a pattern (gitglossary(7), "pathspec", with `glob`).
    pub(crate) fn matching_paths_between(
        &self,
        old: &CommitId,
        new: &CommitId,
        patterns: &[String],
    ) -> Result<BTreeSet<PathBuf>> {
        let diff = ["diff-tree", "-r", "-z", "--name-only", "--no-renames"];
        let ids = [old.as_str(), new.as_str(), "--"].map(str::to_owned);
        let diff = diff.map(str::to_owned).into_iter().chain(ids);
        let listed = self.reading(diff.chain(globs(patterns)));
        Ok(paths(&self.git.ask("compare commits", listed)?))
    }

    /// The tracked paths; submodules by theirs.
    pub(crate) fn tracked_paths(&self, patterns: &[String]) -> Result<BTreeSet<PathBuf>> {
        let list = ["ls-files", "-z", "--"].map(str::to_owned).into_iter();
        let listed = self.reading(list.chain(globs(patterns)));
        Ok(paths(&self.git.ask("list the tracked files", listed)?))
    }
}

fn globs(patterns: &[String]) -> impl Iterator<Item = String> {
    patterns.iter().map(|pattern| format!(":(glob){pattern}"))
}

fn paths(listed: &[u8]) -> BTreeSet<PathBuf> {
    let names = listed.split(|&byte| byte == 0);
    let names = names.filter(|name| !name.is_empty());
    names.map(|name| OsStr::from_bytes(name).into()).collect()
}
