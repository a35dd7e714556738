//! What a reset removes, kept: commits and edits of a person's, under `refs/deploy-cgi/saved/<time>`, in a form that
//! `git stash apply` brings back; untracked files in the folder `kept/<time>`, with the names and modes that they had.
//!
//! Must not know when a reset is allowed.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::commit_id::CommitId;
use crate::diagnosis::{Cause, Stated};
use crate::files;
use crate::git::{Ancestry, Edits, MissingFrom, Own, WorkTree};
use crate::moment::Moment;
use crate::redaction;
use crate::shell::quoted;

/// Where commits are kept.
const SAVED: &str = "refs/deploy-cgi/saved/";

/// Where untracked files are kept, below the git directory of the checkout.
const KEPT: &str = "deploy-cgi/kept";

/// How many of the newest refs and folders stay.
const MAX_KEPT: usize = 10;

/// What one deploy keeps.
#[derive(Debug, Default)]
pub(crate) struct Backup {
    /// The folder for untracked files, once there were any.
    kept: OnceCell<PathBuf>,
}

impl Backup {
    /// Keeps what a work tree has that a reset to `target` would remove: commits that are not in it (nor in `known`, which
    /// the remote had before), edits of tracked files, and untracked files where it has some. Returns a sentence about it,
    /// if there was anything.
    pub(crate) fn before_reset(
        &self,
        tree: &WorkTree<'_>,
        edits: &Edits,
        target: &CommitId,
        known: Option<&CommitId>,
    ) -> Result<Option<String>> {
        ensure_none_hidden(&tree.folder, &edits.hidden)?;
        // Without edits every tracked file is where the index has it.
        let from = if edits.seen.is_empty() {
            MissingFrom::Index
        } else {
            MissingFrom::WorkTree
        };
        let Some(untracked) = untracked_in_the_way(tree, target, from)? else {
            bail!("there is no commit {target} in {}", tree.folder.display())
        };
        ensure_no_repository(&tree.folder, &edits.seen, &untracked)?;
        let head = tree.head()?;
        let has_commits = head.is_some() && tree.has_of_its_own(Own::Commits, target, known)?;
        let at = quoted(&tree.folder);
        let mut kept = Vec::new();
        if has_commits || !edits.seen.is_empty() {
            // Edits are made on top of a commit; before the first one, of an empty one.
            let head = head.map_or_else(|| tree.empty_commit(), Ok)?;
            let commit = if edits.seen.is_empty() {
                head
            } else {
                tree.stash(&head)?
            };
            let name = name(tree, &commit)?;
            // In the order in which they can be brought back: edits were made on top of the commits.
            if has_commits {
                let last = if edits.seen.is_empty() {
                    name.clone()
                } else {
                    format!("{name}^1")
                };
                kept.push(format!(
                    "Commits that are not in the branch: `{}` brings them back.",
                    pick(tree, &last, target, known)?
                ));
            }
            if !edits.seen.is_empty() {
                kept.push(format!(
                    "Edits in {}: `git -C {at} stash apply {name}` brings them back.",
                    redaction::list(&edits.seen)
                ));
            }
        }
        if !untracked.is_empty() {
            let to = self.move_away(tree, &untracked)?;
            kept.push(format!(
                "Untracked files, {}: they are in {}.",
                redaction::list(&untracked),
                redaction::escape_line(&to.to_string_lossy())
            ));
        }
        let kept = kept.join(" ");
        Ok((!kept.is_empty()).then(|| format!("what the reset removed was kept. {kept}")))
    }

    /// Moves untracked files out of a work tree. Returns the folder that they are in now.
    fn move_away(&self, tree: &WorkTree<'_>, files: &BTreeSet<PathBuf>) -> Result<PathBuf> {
        let kept = if let Some(kept) = self.kept.get() {
            kept
        } else {
            let new = new_folder(&tree.git.checkout.git_dir)?;
            self.kept.get_or_init(|| new)
        };
        let below = tree.folder.strip_prefix(&tree.git.checkout.folder);
        let to = kept.join(below.unwrap_or(Path::new("")));
        for file in files {
            move_file(&tree.folder.join(file), &to.join(file))?;
            files::remove_empty_parents(&tree.folder, &tree.folder.join(file));
        }
        Ok(to)
    }
}

/// Keeps HEAD of a submodule that is about to be moved, where no branch has it. Returns a sentence about it.
pub(crate) fn keep_head(
    tree: &WorkTree<'_>,
    target: &CommitId,
    known: Option<&CommitId>,
) -> Result<Option<String>> {
    if !tree.has_of_its_own(Own::Commits, target, known)? || tree.a_branch_has_head()? {
        return Ok(None);
    }
    let Some(head) = tree.head()? else {
        return Ok(None);
    };
    let name = name(tree, &head)?;
    Ok(Some(format!(
        "a commit that no branch has was given a name. `{}` brings it back.",
        pick(tree, &name, target, known)?
    )))
}

/// Names a commit by the time, and drops all but the newest of such refs. Returns the ref.
fn name(tree: &WorkTree<'_>, commit: &CommitId) -> Result<String> {
    let taken = tree.refs_below(SAVED)?;
    let mut names = names_of_now().map(|name| format!("{SAVED}{name}"));
    let name = names
        .find(|name| !taken.contains(name))
        .context("no name is free")?;
    tree.create_ref(&name, commit)?;
    for old in taken.iter().rev().skip(MAX_KEPT - 1) {
        tree.delete_ref(old)?;
    }
    Ok(name)
}

/// Makes a folder for untracked files, named by the time, and removes all but the newest of such folders.
fn new_folder(git_dir: &Path) -> Result<PathBuf> {
    let parent = git_dir.join(KEPT);
    let what = || format!("cannot make a folder in {}", parent.display());
    std::fs::create_dir_all(&parent).with_context(what)?;
    let mut old = BTreeSet::new();
    for entry in std::fs::read_dir(&parent).with_context(what)? {
        old.insert(entry.with_context(what)?.path());
    }
    let mut paths = names_of_now().map(|name| parent.join(name));
    let new = paths
        .find(|path| !old.contains(path))
        .context("no name is free")?;
    std::fs::create_dir(&new).with_context(what)?;
    for folder in old.iter().rev().skip(MAX_KEPT - 1) {
        std::fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(new)
}

/// Moves a file or a link; to another file system as a copy that is on disk before the file is removed.
fn move_file(from: &Path, to: &Path) -> Result<()> {
    let what = || format!("cannot move {} to {}", from.display(), to.display());
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder).with_context(what)?;
    }
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::CrossesDevices => {
            copy(from, to).with_context(what)?;
            std::fs::remove_file(from).with_context(what)
        }
        moved => moved.with_context(what),
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let kind = from.symlink_metadata()?.file_type();
    if kind.is_symlink() {
        return std::os::unix::fs::symlink(std::fs::read_link(from)?, to);
    }
    if !kind.is_file() {
        return Err(std::io::Error::new(ErrorKind::InvalidInput, "not a file"));
    }
    std::fs::copy(from, to)?;
    File::open(to)?.sync_all()?;
    match to.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Names that sort by time.
fn names_of_now() -> impl Iterator<Item = String> {
    let time = Moment::now().to_string().replace(['-', ':'], "");
    let again = time.clone();
    std::iter::once(time).chain((2..).map(move |n| format!("{again}.{n}")))
}

/// A reset would write over them, or leave them as they are, without a word.
fn ensure_none_hidden(folder: &Path, hidden: &[PathBuf]) -> Result<()> {
    if hidden.is_empty() {
        return Ok(());
    }
    let cause = Cause::HiddenEdits {
        folder: folder.to_owned(),
        paths: hidden.to_owned(),
    };
    Err(Stated(cause).into())
}

/// A repository of a person's is never moved or removed.
fn ensure_no_repository(
    folder: &Path,
    edited: &[PathBuf],
    untracked: &BTreeSet<PathBuf>,
) -> Result<()> {
    // In the place of a tracked file git does not list one.
    let is_repository = |path: &&PathBuf| folder.join(path).join(".git").exists();
    let is_listed_as_one = |path: &&PathBuf| path.as_os_str().as_bytes().ends_with(b"/");
    let in_place = edited.iter().find(is_repository);
    match in_place.or(untracked.iter().find(is_listed_as_one)) {
        Some(repository) => bail!(
            "a repository of its own is in the way: {}; move it somewhere else, then press Redeliver",
            folder.join(repository).display()
        ),
        None => Ok(()),
    }
}

/// The command that brings commits back on top of `target`. Picked one by one, a merge stops it; merged, commits that the
/// remote has withdrawn come along.
fn pick(
    tree: &WorkTree<'_>,
    last: &str,
    target: &CommitId,
    known: Option<&CommitId>,
) -> Result<String> {
    let at = quoted(&tree.folder);
    let withdrawn = match known {
        Some(known) if tree.ancestry_in(known, target.as_str())? == Ancestry::Outside => {
            format!(" ^{}", known.short())
        }
        Some(_) | None => String::new(),
    };
    let target_and = format!("{}..{last}{withdrawn}", target.short());
    Ok(match tree.has_of_its_own(Own::Merges, target, known)? {
        true if withdrawn.is_empty() => format!("git -C {at} merge --no-edit {last}"),
        true => {
            format!("git -C {at} cherry-pick --keep-redundant-commits --no-merges {target_and}")
        }
        false => format!("git -C {at} cherry-pick --keep-redundant-commits {target_and}"),
    })
}

/// Untracked files, ignored ones too, where a commit has a file, a folder, a file in a folder of that name, or a submodule.
/// `None` where there is no such commit.
pub(crate) fn untracked_in_the_way(
    tree: &WorkTree<'_>,
    target: &CommitId,
    from: MissingFrom,
) -> Result<Option<BTreeSet<PathBuf>>> {
    let Some(missing) = tree.missing(target, from)? else {
        return Ok(None);
    };
    let mut found = BTreeSet::new();
    for path in missing {
        let is_no_folder = |above: &&Path| {
            let there = tree.folder.join(above).symlink_metadata();
            there.is_ok_and(|there| !there.is_dir())
        };
        if let Some(blocking) = path.ancestors().skip(1).filter(is_no_folder).last() {
            // A link or a file where a folder has to be, if it is untracked.
            found.extend(tree.untracked_below(blocking)?);
            continue;
        }
        match tree.folder.join(&path).symlink_metadata() {
            Ok(there) if there.is_dir() => found.extend(tree.untracked_below(&path)?),
            Ok(_) => drop(found.insert(path)),
            Err(_) => {}
        }
    }
    Ok(Some(found))
}
