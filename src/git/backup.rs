//! Commits that keep what a reset removes, and the refs that keep those commits.
//!
//! Must not know when a reset is allowed.

use std::path::Path;

use anyhow::{Context, Result};

use super::WorkTree;
use super::command::{line, must};
use crate::commit_id::CommitId;
use crate::files::remove_if_there;

/// Who makes the commits that keep what a reset removes: git wants somebody, and the host's user may have no name.
const COMMITTER_OF_BACKUPS: &[(&str, &str)] = &[
    ("GIT_AUTHOR_NAME", "deploy-cgi"),
    ("GIT_AUTHOR_EMAIL", "deploy-cgi@localhost"),
    ("GIT_COMMITTER_NAME", "deploy-cgi"),
    ("GIT_COMMITTER_EMAIL", "deploy-cgi@localhost"),
];

impl WorkTree<'_> {
    /// Makes a commit in the form of a stash: all tracked files as they are now, and the index. Neither index nor work
    /// tree is changed.
    pub(crate) fn stash(&self, head: &CommitId) -> Result<CommitId> {
        let staged = self.writing(["write-tree"]).output_apart()?;
        // An index with conflicts is no tree; then what is kept is the work tree.
        let staged = if staged.end.is_good() {
            line(&staged.output)
        } else {
            format!("{head}^{{tree}}")
        };
        let git_dir = self
            .git_dir()?
            .context("a work tree has no git directory")?;
        let index = git_dir.join("index");
        let work = self.tree(&["add", "--update", "--", ":/"], Some(&index))?;
        let staged = self.commit(&staged, &[head])?;
        self.commit(&work, &[head, &staged])
    }

    /// Makes a commit without files and without parents.
    pub(crate) fn empty_commit(&self) -> Result<CommitId> {
        let empty = ["read-tree", "--empty"];
        let tree = self.tree(&empty, None)?;
        self.commit(&tree, &[])
    }

    /// The tree that a command makes in an index of its own, which begins as a copy of another one or empty.
    fn tree(&self, fill: &[&str], start: Option<&Path>) -> Result<String> {
        let git_dir = self
            .git_dir()?
            .context("a work tree has no git directory")?;
        let scratch = git_dir.join("deploy-cgi-index");
        remove_if_there(&scratch)?;
        if let Some(start) = start {
            std::fs::copy(start, &scratch)
                .with_context(|| format!("cannot copy {}", start.display()))?;
        }
        let run = |args: &[&str]| -> Result<String> {
            let mut run = self.writing(args);
            run.env
                .push(("GIT_INDEX_FILE".into(), scratch.clone().into()));
            Ok(line(&self.git.ask("keep the changes", run)?))
        };
        run(fill)?;
        let tree = run(&["write-tree"])?;
        remove_if_there(&scratch)?;
        Ok(tree)
    }

    fn commit(&self, tree: &str, parents: &[&CommitId]) -> Result<CommitId> {
        let mut args = vec!["commit-tree", tree];
        args.extend(parents.iter().flat_map(|parent| ["-p", parent.as_str()]));
        args.extend(["-m", "Kept by deploy-cgi before a reset"]);
        let mut run = self.writing(args);
        let committer = COMMITTER_OF_BACKUPS.iter();
        run.env
            .extend(committer.map(|(name, value)| (name.into(), value.into())));
        let id = line(&self.git.ask("keep the changes", run)?);
        CommitId::parse(&id).context("git commit-tree printed no id")
    }

    /// Names a commit by a ref that does not exist yet. Returns whether it did not.
    pub(crate) fn create_ref(&self, new_ref: &str, commit: &CommitId) -> Result<bool> {
        let none = commit.zero();
        let create = ["update-ref", new_ref, commit.as_str(), none.as_str()];
        Ok(self.write(create)?.end.is_good())
    }

    /// The refs that begin with `start`, in the order of their names.
    pub(crate) fn refs_below(&self, start: &str) -> Result<Vec<String>> {
        let list = [
            "for-each-ref",
            "--sort=refname",
            "--format=%(refname)",
            start,
        ];
        let listed = self.git.ask("list what was kept", self.reading(list))?;
        Ok(line(&listed).lines().map(str::to_owned).collect())
    }

    /// Drops a ref.
    pub(crate) fn delete_ref(&self, old_ref: &str) -> Result<()> {
        let ended = self.write(["update-ref", "-d", old_ref])?;
        must(self.git, "drop what was kept", ended).map(drop)
    }
}
