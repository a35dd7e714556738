//! What a reset removes, kept: commits and edits of a person's, under `refs/deploy-cgi/saved/<time>`, in a form that
//! `git stash apply` brings back.
//!
//! Must not know when a reset is allowed.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::diagnosis::quoted;
use crate::git::{Config, Git};
use crate::outcome::short;

/// Where it is kept.
const SAVED: &str = "refs/deploy-cgi/saved/";

/// Ends the name of a ref that keeps files git did not know.
const FILES: &str = "-files";

/// How many savings are kept; older ones are dropped.
const KEPT: usize = 10;

/// How many paths are named in a report.
const MOST_PATHS: usize = 10;

/// Saves what a work tree has that a reset to `target` would remove: commits that are not in it, edits of tracked
/// files, and files that git does not know where it has some. Returns a sentence about it, if there was anything.
pub(crate) fn save(
    git: &Git<'_>,
    config: &Config,
    folder: &Path,
    target: &str,
) -> Result<Option<String>> {
    let Some(head) = git.head_of(folder)? else {
        return Ok(None);
    };
    let has_commits = git.has_commits_of_its_own(folder, target)?;
    let edited = git.edited(folder)?;
    let in_the_way = in_the_way(git, folder, target)?;
    if !has_commits && edited.is_empty() && in_the_way.is_empty() {
        return Ok(None);
    }
    let name = new_name(git, folder)?;
    let at = quoted(folder);
    let mut sentence = String::from("what the reset removed was kept.");
    if !edited.is_empty() {
        keep(
            git,
            config,
            folder,
            &name,
            &git.stash(folder, config, &head)?,
        )?;
        let _ = write!(
            sentence,
            " Edits in {}: `git -C {at} stash apply {name}` brings them back.",
            list(&edited)
        );
    }
    if has_commits {
        let last = if edited.is_empty() {
            name.clone()
        } else {
            format!("{name}^1")
        };
        if edited.is_empty() {
            keep(git, config, folder, &name, &head)?;
        }
        let _ = write!(
            sentence,
            " Commits that are not in the branch: `git -C {at} cherry-pick {}..{last}` brings them back.",
            short(target)
        );
    }
    if !in_the_way.is_empty() {
        let (name, files) = (
            format!("{name}{FILES}"),
            in_the_way.iter().map(PathBuf::as_path).collect::<Vec<_>>(),
        );
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
            list(&in_the_way)
        );
    }
    forget_old(git, config, folder)?;
    Ok(Some(sentence))
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

/// Files that git does not know, where the target has a file, a folder, or a file in a folder of that name.
fn in_the_way(git: &Git<'_>, folder: &Path, target: &str) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for path in git.missing_from_index(folder, target)? {
        let full = folder.join(&path);
        match full.symlink_metadata() {
            Ok(there) if there.is_dir() => found.extend(git.unknown_below(folder, &path)?),
            Ok(_) => drop(found.insert(path)),
            Err(_) => {
                let above = path
                    .ancestors()
                    .skip(1)
                    .filter(|above| !above.as_os_str().is_empty());
                let blocking = above.map(Path::to_owned).find(|above| {
                    folder
                        .join(above)
                        .symlink_metadata()
                        .is_ok_and(|there| !there.is_dir())
                });
                if let Some(blocking) = blocking {
                    found.extend(git.unknown_below(folder, &blocking)?);
                }
            }
        }
    }
    Ok(found)
}
