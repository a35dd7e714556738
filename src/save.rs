//! What a reset removes, kept: commits and edits of a person's, under `refs/deploy-cgi/saved/<time>`, in a form that
//! `git stash apply` brings back.
//!
//! Must not know when a reset is allowed.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::commit_id::CommitId;
use crate::git::{self, Config, Containment, Git, Lacking};
use crate::redaction;
use crate::shell::quoted;

/// Where it is kept.
const SAVED: &str = "refs/deploy-cgi/saved/";

/// Ends the name of a ref that keeps files git did not know.
const FILES: &str = "-files";

/// How many savings are kept; older ones are dropped.
const KEPT: usize = 10;

/// How many paths are named in a report.
const MOST_PATHS: usize = 10;

/// Saves what a work tree has that a reset to `target` would remove: commits that are not in it (nor in `known`, which
/// the remote had before), edits of tracked files, and files that git does not know where it has some. Returns a
/// sentence about it, if there was anything.
pub(crate) fn save(
    git: &Git<'_>,
    config: &Config,
    folder: &Path,
    target: &CommitId,
    known: Option<&CommitId>,
) -> Result<Option<String>> {
    let edited = git.all_edited(folder, config)?;
    // Without edits every tracked file is where the index has it.
    let lacking = if edited.is_empty() {
        Lacking::Index
    } else {
        Lacking::WorkTree
    };
    let Some(in_the_way) = where_missing(git, folder, target, lacking)? else {
        bail!("there is no commit {target} in {}", folder.display())
    };
    let head = git.head_of(folder)?;
    let has_commits =
        head.is_some() && git.has_commits_of_its_own(folder, target.as_str(), known)?;
    let work = Work {
        head,
        has_commits,
        edited,
        unknown: in_the_way.files,
    };
    let Some(name) = work.keep(git, config, folder)? else {
        return Ok(None);
    };
    // Git does not look into the folder of a submodule that is new.
    for path in &in_the_way.for_submodules {
        git::remove_if_there(&folder.join(path))?;
        git::remove_empty_parents(folder, &folder.join(path));
    }
    let at = quoted(folder);
    let mut sentence = String::from("what the reset removed was kept.");
    // In the order in which they can be brought back: edits were made on top of the commits.
    if has_commits {
        let last = if work.edited.is_empty() {
            name.clone()
        } else {
            format!("{name}^1")
        };
        let _ = write!(
            sentence,
            " Commits that are not in the branch: `{}` brings them back.",
            pick(git, folder, &last, target, known)?
        );
    }
    if !work.edited.is_empty() {
        let _ = write!(
            sentence,
            " Edits in {}: `git -C {at} stash apply {name}` brings them back.",
            list(&work.edited)
        );
    }
    if !work.unknown.is_empty() {
        let _ = write!(
            sentence,
            " Files that git did not know, {}: `git -C {at} checkout {name}{FILES} -- .` brings them back.",
            list(&work.unknown)
        );
    }
    Ok(Some(sentence))
}

/// Saves all that the work tree of a submodule has and its commit does not, before its folder goes. Returns a sentence
/// about it, if there was anything.
pub(crate) fn save_all(git: &Git<'_>, config: &Config, folder: &Path) -> Result<Option<String>> {
    let unknown = git.unknown_below(folder, Path::new(""))?;
    let head = git.head_of(folder)?;
    let work = Work {
        has_commits: head.is_some() && git.has_commits_of_its_own(folder, "--remotes", None)?,
        head,
        edited: git.all_edited(folder, config)?,
        unknown: git::gathered(unknown),
    };
    let Some(name) = work.keep(git, config, folder)? else {
        return Ok(None);
    };
    let git_dir = git::git_dir_of(folder)?.context("a submodule has no git directory")?;
    let git_dir = git_dir
        .canonicalize()
        .with_context(|| format!("cannot find {}", git_dir.display()))?;
    // Its configuration names a work tree that will be gone: here it is given another one, and a new one is made.
    let (top, git_dir) = (&git.checkout.folder, quoted(&git_dir));
    let mut new = top.clone().into_os_string();
    for part in folder.strip_prefix(top).unwrap_or(folder) {
        new.push("-");
        new.push(part);
    }
    new.push(name.replace(SAVED, "-"));
    let new = quoted(Path::new(&new));
    let add = format!("git --git-dir={git_dir} --work-tree={git_dir} worktree add --detach {new}");
    let files = format!("{name}{FILES}");
    let mut sentence = String::from("what was there was kept.");
    let has_name = work.has_commits || !work.edited.is_empty();
    if has_name {
        let _ = write!(
            sentence,
            " `{add} {name}` brings commits and edits back, in a folder of their own."
        );
    }
    if !work.unknown.is_empty() {
        let command = if has_name {
            format!("git -C {new} checkout {files} -- .")
        } else {
            format!("{add} {files}")
        };
        let _ = write!(
            sentence,
            " Files that git did not know, {}: `{command}` brings them back, in a folder of their own.",
            list(&work.unknown)
        );
    }
    Ok(Some(sentence))
}

/// What a work tree has of a person's.
struct Work {
    head: Option<CommitId>,
    /// Whether HEAD has commits that are to be kept.
    has_commits: bool,
    edited: Vec<PathBuf>,
    unknown: BTreeSet<PathBuf>,
}

impl Work {
    /// Keeps it. Returns the name of the ref with the commits and edits; with `FILES` behind it, it is the one with the
    /// files that git does not know.
    fn keep(&self, git: &Git<'_>, config: &Config, folder: &Path) -> Result<Option<String>> {
        if !self.has_commits && self.edited.is_empty() && self.unknown.is_empty() {
            return Ok(None);
        }
        // In the place of a tracked file git does not list one.
        let is_repository = |path: &&PathBuf| folder.join(path).join(".git").exists();
        if let Some(repository) = self.edited.iter().find(is_repository).or(self
            .unknown
            .iter()
            .find(|path| path.as_os_str().as_bytes().ends_with(b"/")))
        {
            bail!(
                "a repository of its own is in the way: {}; move it somewhere else, then press Redeliver",
                folder.join(repository).display()
            );
        }
        let name = new_name(git, folder)?;
        if self.has_commits || !self.edited.is_empty() {
            // Edits are made on top of a commit; before the first one, of an empty one.
            let head = self.head.clone();
            let head = head.map_or_else(|| git.commit_files(folder, config, &[]), Ok)?;
            let commit = if self.edited.is_empty() {
                head
            } else {
                git.stash(folder, config, &head)?
            };
            keep(git, config, folder, &name, &commit)?;
        }
        if !self.unknown.is_empty() {
            let files: Vec<&Path> = self.unknown.iter().map(PathBuf::as_path).collect();
            let commit = git.commit_files(folder, config, &files)?;
            keep(git, config, folder, &format!("{name}{FILES}"), &commit)?;
        }
        forget_old(git, config, folder)?;
        Ok(Some(name))
    }
}

/// The command that brings commits back on top of `target`. Picked one by one, a merge stops it; merged, commits that the
/// remote has withdrawn come along.
fn pick(
    git: &Git<'_>,
    folder: &Path,
    last: &str,
    target: &CommitId,
    known: Option<&CommitId>,
) -> Result<String> {
    let at = quoted(folder);
    let withdrawn = match known {
        Some(known)
            if git.containment_in(folder, known, target.as_str())? == Containment::Outside =>
        {
            format!(" ^{}", known.short())
        }
        Some(_) | None => String::new(),
    };
    let target_and = format!("{}..{last}{withdrawn}", target.short());
    Ok(
        match git.has_merges_of_its_own(folder, target.as_str(), known)? {
            true if withdrawn.is_empty() => format!("git -C {at} merge --no-edit {last}"),
            true => {
                format!("git -C {at} cherry-pick --keep-redundant-commits --no-merges {target_and}")
            }
            false => format!("git -C {at} cherry-pick --keep-redundant-commits {target_and}"),
        },
    )
}

/// Keeps HEAD of a submodule that is about to be moved, where no branch has it. Returns a sentence about it.
pub(crate) fn save_head(
    git: &Git<'_>,
    config: &Config,
    folder: &Path,
    target: &CommitId,
    known: Option<&CommitId>,
) -> Result<Option<String>> {
    if !git.has_commits_of_its_own(folder, target.as_str(), known)?
        || git.a_branch_has_head(folder)?
    {
        return Ok(None);
    }
    let Some(head) = git.head_of(folder)? else {
        return Ok(None);
    };
    let name = new_name(git, folder)?;
    keep(git, config, folder, &name, &head)?;
    forget_old(git, config, folder)?;
    Ok(Some(format!(
        "a commit that no branch has was given a name. `{}` brings it back.",
        pick(git, folder, &name, target, known)?
    )))
}

/// A sentence about what was kept, with the submodule that it was in.
pub(crate) fn in_the_submodule(path: &Path, kept: &str) -> String {
    let path = redaction::brief(&path.to_string_lossy());
    format!("in the submodule {path} {kept}")
}

fn keep(
    git: &Git<'_>,
    config: &Config,
    folder: &Path,
    name: &str,
    commit: &CommitId,
) -> Result<()> {
    if git.name(folder, config, name, commit)? {
        Ok(())
    } else {
        bail!("cannot make the ref {name} in {}", folder.display())
    }
}

/// A name by time that is not in use.
fn new_name(git: &Git<'_>, folder: &Path) -> Result<String> {
    let taken = git.refs_below(folder, SAVED)?;
    let time = humantime::format_rfc3339_seconds(SystemTime::now())
        .to_string()
        .replace(['-', ':'], "");
    let names = std::iter::once(time.clone()).chain((2..).map(|again| format!("{time}.{again}")));
    let mut names = names.map(|name| format!("{SAVED}{name}"));
    let is_free = |name: &String| {
        !taken
            .iter()
            .any(|taken| taken.strip_suffix(FILES).unwrap_or(taken) == name)
    };
    names.find(is_free).context("no name is free")
}

/// Drops all but the last savings.
fn forget_old(git: &Git<'_>, config: &Config, folder: &Path) -> Result<()> {
    let all = git.refs_below(folder, SAVED)?;
    let saving = |name: &str| name.strip_suffix(FILES).unwrap_or(name).to_owned();
    let savings: BTreeSet<String> = git::gathered(all.iter().map(|name| saving(name)));
    let old: Vec<String> = savings.into_iter().rev().skip(KEPT).collect();
    for name in all.iter().filter(|name| old.contains(&saving(name))) {
        git.forget(folder, config, name)?;
    }
    Ok(())
}

fn list<'p>(paths: impl IntoIterator<Item = &'p PathBuf>) -> String {
    let mut paths = paths.into_iter();
    let mut named: Vec<_> = paths
        .by_ref()
        .take(MOST_PATHS)
        .map(|path| redaction::brief(&path.to_string_lossy()))
        .collect();
    if paths.next().is_some() {
        named.push("…".into());
    }
    named.join(", ")
}

/// Files that git does not know, where a commit has something else.
pub(crate) struct InTheWay {
    pub(crate) files: BTreeSet<PathBuf>,
    /// Those of them that are in the folder of a submodule to come.
    for_submodules: Vec<PathBuf>,
}

/// Looks for files that git does not know, where the target has a file, a folder, a file in a folder of that name, or a
/// submodule. `None` where there is no such commit.
pub(crate) fn in_the_way(
    git: &Git<'_>,
    folder: &Path,
    target: &CommitId,
) -> Result<Option<InTheWay>> {
    where_missing(git, folder, target, Lacking::Index)
}

fn where_missing(
    git: &Git<'_>,
    folder: &Path,
    target: &CommitId,
    lacking: Lacking,
) -> Result<Option<InTheWay>> {
    let mut found = InTheWay {
        files: BTreeSet::new(),
        for_submodules: Vec::new(),
    };
    let Some(missing) = git.missing(folder, target, lacking)? else {
        return Ok(None);
    };
    for (path, is_submodule) in missing {
        let above = path
            .ancestors()
            .skip(1)
            .filter(|above| !above.as_os_str().is_empty());
        let is_no_folder = |above: &&Path| {
            folder
                .join(above)
                .symlink_metadata()
                .is_ok_and(|there| !there.is_dir())
        };
        if let Some(blocking) = above
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .find(is_no_folder)
        {
            // A link or a file where a folder has to be, if git does not know it.
            found.files.extend(git.unknown_below(folder, blocking)?);
            continue;
        }
        match folder.join(&path).symlink_metadata() {
            Ok(there) if there.is_dir() => {
                let inside = git.unknown_below(folder, &path)?;
                if is_submodule {
                    found.for_submodules.extend(inside.iter().cloned());
                }
                found.files.extend(inside);
            }
            Ok(_) => drop(found.files.insert(path)),
            Err(_) => {}
        }
    }
    Ok(Some(found))
}
