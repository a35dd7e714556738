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

use crate::diagnosis::quoted;
use crate::git::{self, Config, Git, Lacking};
use crate::outcome::short;

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
    target: &str,
    known: Option<&str>,
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
    let has_commits = head.is_some() && git.has_commits_of_its_own(folder, target, known)?;
    let kept = save_these(
        git,
        config,
        folder,
        head,
        has_commits.then_some(target),
        &edited,
        &in_the_way.files,
    )?;
    // Git does not look into the folder of a submodule that is new.
    for path in &in_the_way.for_submodules {
        git::remove_if_there(&folder.join(path))?;
        git::remove_empty_parents(folder, &folder.join(path));
    }
    Ok(kept)
}

/// Saves all that a work tree has and its commit does not, before its folder goes.
pub(crate) fn save_all(git: &Git<'_>, config: &Config, folder: &Path) -> Result<Option<String>> {
    let unknown: BTreeSet<PathBuf> = git
        .unknown_below(folder, Path::new(""))?
        .into_iter()
        .collect();
    let head = git.head_of(folder)?;
    let has_commits = head.is_some() && git.has_commits_of_its_own(folder, "--remotes", None)?;
    save_these(
        git,
        config,
        folder,
        head.clone(),
        head.as_deref().filter(|_| has_commits),
        &git.all_edited(folder, config)?,
        &unknown,
    )
}

fn save_these(
    git: &Git<'_>,
    config: &Config,
    folder: &Path,
    head: Option<String>,
    commits_not_in: Option<&str>,
    edited: &[PathBuf],
    unknown: &BTreeSet<PathBuf>,
) -> Result<Option<String>> {
    if commits_not_in.is_none() && edited.is_empty() && unknown.is_empty() {
        return Ok(None);
    }
    if let Some(repository) = unknown
        .iter()
        .find(|path| path.as_os_str().as_bytes().ends_with(b"/"))
    {
        bail!(
            "a repository of its own is in the way: {}; move it somewhere else, then press Redeliver",
            folder.join(repository).display()
        );
    }
    // Edits are made on top of a commit; before the first one, of an empty one.
    let head = head.map_or_else(|| git.commit_files(folder, config, &[]), Ok)?;
    let name = new_name(git, folder)?;
    let at = quoted(folder);
    let mut sentence = String::from("what the reset removed was kept.");
    if edited.is_empty() {
        if commits_not_in.is_some() {
            keep(git, config, folder, &name, &head)?;
        }
    } else {
        keep(
            git,
            config,
            folder,
            &name,
            &git.stash(folder, config, &head)?,
        )?;
    }
    // In the order in which they can be brought back: edits were made on top of the commits.
    if let Some(target) = commits_not_in {
        let last = if edited.is_empty() {
            name.clone()
        } else {
            format!("{name}^1")
        };
        let _ = write!(
            sentence,
            " Commits that are not in the branch: `git -C {at} cherry-pick {}..{last}` brings them back.",
            short(target)
        );
    }
    if !edited.is_empty() {
        let _ = write!(
            sentence,
            " Edits in {}: `git -C {at} stash apply {name}` brings them back.",
            list(edited)
        );
    }
    if !unknown.is_empty() {
        let name = format!("{name}{FILES}");
        let files: Vec<&Path> = unknown.iter().map(PathBuf::as_path).collect();
        keep(
            git,
            config,
            folder,
            &name,
            &git.commit_files(folder, config, &files)?,
        )?;
        let _ = write!(
            sentence,
            " Files that git did not know, {}: `git -C {at} checkout {name} -- .` brings them back.",
            list(unknown)
        );
    }
    forget_old(git, config, folder)?;
    Ok(Some(sentence))
}

/// Keeps HEAD of a submodule that is about to be moved, where no branch has it. Returns a sentence about it.
pub(crate) fn save_head(
    git: &Git<'_>,
    config: &Config,
    folder: &Path,
    target: &str,
) -> Result<Option<String>> {
    if !git.has_commits_of_its_own(folder, target, None)? || git.a_branch_has_head(folder)? {
        return Ok(None);
    }
    let Some(head) = git.head_of(folder)? else {
        return Ok(None);
    };
    let name = new_name(git, folder)?;
    keep(git, config, folder, &name, &head)?;
    forget_old(git, config, folder)?;
    Ok(Some(format!(
        "a commit that no branch has was given a name. `git -C {} cherry-pick {}..{name}` brings it back.",
        quoted(folder),
        short(target)
    )))
}

fn keep(git: &Git<'_>, config: &Config, folder: &Path, name: &str, commit: &str) -> Result<()> {
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
    let savings: BTreeSet<&str> = all
        .iter()
        .map(|name| name.strip_suffix(FILES).unwrap_or(name))
        .collect();
    let old: Vec<&str> = savings.into_iter().rev().skip(KEPT).collect();
    for name in all
        .iter()
        .filter(|name| old.contains(&name.strip_suffix(FILES).unwrap_or(name)))
    {
        git.forget(folder, config, name)?;
    }
    Ok(())
}

fn list<'p>(paths: impl IntoIterator<Item = &'p PathBuf>) -> String {
    let mut paths = paths.into_iter();
    let mut named: Vec<_> = paths
        .by_ref()
        .take(MOST_PATHS)
        .map(|path| path.to_string_lossy())
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
pub(crate) fn in_the_way(git: &Git<'_>, folder: &Path, target: &str) -> Result<Option<InTheWay>> {
    where_missing(git, folder, target, Lacking::Index)
}

fn where_missing(
    git: &Git<'_>,
    folder: &Path,
    target: &str,
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
            // Git does not list a repository in the place of a file that it tracks.
            Ok(there) if there.is_dir() && !is_submodule && is_repository(&folder.join(&path)) => {
                found.files.insert(path.join(""));
            }
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

fn is_repository(folder: &Path) -> bool {
    folder.join(".git").symlink_metadata().is_ok()
}
