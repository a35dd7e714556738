//! Commits that keep what a reset removes.
//!
//! Must not know when a reset is allowed.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::command::line;
use super::{WorkTree, common_dir};
use crate::commit_id::CommitId;
use crate::files::{UNFINISHED, remove_if_there};

/// Who makes the commits that keep what a reset removes: git wants somebody, and the host's user may have no name.
const COMMITTER_OF_BACKUPS: &[(&str, &str)] = &[
    ("GIT_AUTHOR_NAME", "deploy-cgi"),
    ("GIT_AUTHOR_EMAIL", "deploy-cgi@localhost"),
    ("GIT_COMMITTER_NAME", "deploy-cgi"),
    ("GIT_COMMITTER_EMAIL", "deploy-cgi@localhost"),
];

/// The refs that keep what good deploys left. All work trees of a repository have the same ones, and each its own deploys.
fn good_refs(git_dir: &Path) -> String {
    let name = git_dir.file_name().unwrap_or_default();
    if common_dir(git_dir) == git_dir {
        "refs/deploy-cgi/good/".to_owned()
    } else {
        format!("refs/deploy-cgi/good-{}/", hex::encode(name.as_bytes()))
    }
}

impl WorkTree<'_> {
    /// Keeps a commit from being pruned. Without starting git: this is done at each deploy.
    pub(crate) fn keep_commit(&self, commit: &CommitId) -> Result<()> {
        let Some(git_dir) = self.git_dir()? else {
            return Ok(());
        };
        let refs = good_refs(&git_dir);
        let git_dir = common_dir(&git_dir);
        let name = format!("{refs}{commit}");
        if git_dir.join("reftable").exists() {
            return if self.refs_below(&name)?.is_empty() {
                self.create_ref(&name, commit)
            } else {
                Ok(())
            };
        }
        let (folder, file) = (git_dir.join(refs), git_dir.join(name));
        let what = || format!("cannot write {}", file.display());
        let text = format!("{commit}\n");
        if std::fs::read(&file).is_ok_and(|there| there == text.as_bytes()) {
            return Ok(());
        }
        std::fs::create_dir_all(&folder).with_context(what)?;
        // Half a ref stops git. What begins with a dot is none.
        let unfinished = folder.join(format!("{UNFINISHED}{commit}"));
        std::fs::write(&unfinished, text).with_context(what)?;
        std::fs::rename(&unfinished, &file).with_context(what)
    }

    /// Lets those commits go that were kept so, but these.
    pub(crate) fn keep_only(&self, commits: &BTreeSet<&CommitId>) -> Result<()> {
        let Some(git_dir) = self.git_dir()? else {
            return Ok(());
        };
        let refs = good_refs(&git_dir);
        for kept in self.refs_below(&refs)? {
            let commit = kept.strip_prefix(&refs).and_then(CommitId::parse);
            if commit.is_none_or(|commit| !commits.contains(&commit)) {
                self.delete_ref(&kept)?;
            }
        }
        Ok(())
    }

    /// Makes a commit in the form of a stash: all tracked files as they are now, and the index. Neither index nor work
    /// tree is changed.
    pub(crate) fn stash(&self, head: &CommitId) -> Result<CommitId> {
        let staged = self.writing("write-tree").answer()?;
        // An index with conflicts is no tree; then what is kept is the work tree.
        let staged = if staged.end.is_good() {
            line(&staged.output)
        } else {
            format!("{head}^{{tree}}")
        };
        let index = self.index_beside("index")?;
        let work = self.tree("add --update -- :/", Some(&index))?;
        let staged = self.commit(&staged, &[head])?;
        self.commit(&work, &[head, &staged])
    }

    pub(crate) fn empty_commit(&self) -> Result<CommitId> {
        let tree = self.tree("read-tree --empty", None)?;
        self.commit(&tree, &[])
    }

    /// The tree that a command makes in an index of its own, which begins as a copy of another one or empty.
    fn tree(&self, fill: &str, start: Option<&Path>) -> Result<String> {
        let scratch = self.scratch_index()?;
        if let Some(start) = start {
            std::fs::copy(start, &scratch)
                .with_context(|| format!("cannot copy {}", start.display()))?;
        }
        let run = |words: &str| {
            let run = self.writing(words).env("GIT_INDEX_FILE", &scratch);
            Ok::<_, anyhow::Error>(line(&run.ask("keep the changes")?))
        };
        run(fill)?;
        let tree = run("write-tree")?;
        remove_if_there(&scratch)?;
        Ok(tree)
    }

    /// A place for an index of its own, where none is yet.
    pub(super) fn scratch_index(&self) -> Result<PathBuf> {
        let scratch = self.index_beside("deploy-cgi-index")?;
        remove_if_there(&scratch)?;
        Ok(scratch)
    }

    fn index_beside(&self, name: &str) -> Result<PathBuf> {
        let git_dir = self.git_dir()?;
        let git_dir = git_dir.context("a work tree has no git directory")?;
        Ok(git_dir.join(name))
    }

    fn commit(&self, tree: &str, parents: &[&CommitId]) -> Result<CommitId> {
        let mut commit = self.writing("commit-tree").arg(tree);
        for parent in parents {
            commit = commit.arg("-p").arg(parent);
        }
        for (name, value) in COMMITTER_OF_BACKUPS {
            commit = commit.env(name, *value);
        }
        let commit = commit.arg("-m").arg("Kept by deploy-cgi before a reset");
        let id = line(&commit.ask("keep the changes")?);
        CommitId::parse(&id).context("git commit-tree printed no id")
    }
}
