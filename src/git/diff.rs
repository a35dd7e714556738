//! What differs between two commits, by path.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use anyhow::Result;

use super::WorkTree;
use super::command::paths_in;
use crate::commit_id::CommitId;
use crate::files::remove_if_there;

/// Prints the paths that differ between two commits.
const DIFF: &str = "diff-tree -r -z --name-only --no-renames";

/// The highest stage of an entry in an index.
const MAX_STAGE: usize = 3;

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

    /// Whether a pattern matches the path of any of these submodules. Git has them in an index to tell that; there one that is
    /// nested in another is at another stage, since nothing can be below a submodule.
    pub(crate) fn is_any_named(
        &self,
        submodules: &BTreeSet<PathBuf>,
        at: &CommitId,
        patterns: &[String],
    ) -> Result<bool> {
        if submodules.is_empty() {
            return Ok(false);
        }
        let mut entries = Vec::new();
        for path in submodules {
            let above = path.ancestors().skip(1);
            let depth = above.filter(|above| submodules.contains(*above)).count();
            let stage = depth.min(MAX_STAGE);
            entries.extend(format!("160000 {at} {stage}\t").into_bytes());
            entries.extend_from_slice(path.as_os_str().as_bytes());
            entries.push(0);
        }
        let index = self.scratch_index()?;
        let mut fill = self
            .writing("update-index -z --index-info")
            .env("GIT_INDEX_FILE", &index);
        fill.run.input = (&entries).into();
        fill.write_or_fail("compare submodules")?;
        let list = self.reading("ls-files -z --").args(globs(patterns));
        let named = list
            .env("GIT_INDEX_FILE", &index)
            .ask("compare submodules")?;
        remove_if_there(&index)?;
        Ok(!named.is_empty())
    }

    /// The tracked paths; submodules by theirs.
    pub(crate) fn tracked_paths(&self) -> Result<BTreeSet<PathBuf>> {
        let list = self.reading("ls-files -z");
        Ok(paths(&list.ask("list the tracked files")?))
    }
}

fn globs(patterns: &[String]) -> impl Iterator<Item = String> {
    patterns.iter().map(|pattern| format!(":(glob){pattern}"))
}

fn paths(listed: &[u8]) -> BTreeSet<PathBuf> {
    paths_in(listed).into_iter().collect()
}
