//! Submodules that git could not bring to where they belong.
//!
//! Who writes a submodule names what is nested in it. A folder is moved by a command only where the checkout's own index
//! names it.

use std::path::{Path, PathBuf};

use super::{Advice, Diagnosis, Situation, found};
use crate::git;
use crate::redaction::{line_of, list};
use crate::shell::{quoted, word};

/// The branch that a submodule follows is not among those of its `origin`, the only remote where git looks.
pub(super) fn branch_unknown(branch: &str, path: &Path, at: &Situation<'_>) -> Diagnosis {
    let folder = at.folder().join(path);
    let path = line_of(path);
    let git = |rest: &str| at.git_in(&folder, rest);
    let remotes = git::git_dir_of(&folder)
        .ok()
        .flatten()
        .and_then(|git_dir| std::fs::read_dir(git_dir.join("refs/remotes")).ok());
    let mut remotes = remotes
        .into_iter()
        .flatten()
        .flatten()
        // Older gits leave an empty folder when a remote gets another name.
        .filter(|remote| {
            std::fs::read_dir(remote.path()).is_ok_and(|mut refs| refs.next().is_some())
        })
        .map(|remote| remote.file_name().to_string_lossy().into_owned());
    let first = remotes.next().unwrap_or_else(|| "origin".into());
    if first != "origin" && remotes.next().is_none() {
        return found(
            format!(
                "the remote of the submodule {path} is called {}, and git follows a submodule at \"origin\" only",
                line_of(&first)
            ),
            Advice::run(
                "give it that name, then press Redeliver",
                [git(&format!("remote rename {} origin", word(&first)))],
            ),
        );
    }
    if branch == "HEAD" {
        return found(
            format!("the default branch of the submodule {path} is not known here"),
            Advice::run(
                "have the remote asked for it, then press Redeliver",
                [git("remote set-head origin --auto")],
            ),
        );
    }
    found(
        format!(
            "the submodule {path} is to follow {}, which is not at its remote",
            line_of(branch)
        ),
        Advice::run(
            "push that branch, or name another one in .gitmodules where the site is written. Which there are",
            [git("ls-remote --heads origin")],
        ),
    )
}

pub(super) fn link_in_the_way(path: &Path, at: &Situation<'_>) -> Diagnosis {
    let path = at.below_the_checkout(path);
    found(
        format!(
            "a symbolic link is in the way of a submodule: {}",
            line_of(at.folder().join(&path))
        ),
        Advice::run("move it away, then press Redeliver", move_away(&path, at)),
    )
}

pub(super) fn folder_in_the_way(path: &Path, at: &Situation<'_>) -> Diagnosis {
    let path = at.below_the_checkout(path);
    found(
        format!(
            "files are in the way of the submodule {}",
            line_of(at.folder().join(&path))
        ),
        Advice::run("move them away, then press Redeliver", move_away(&path, at)),
    )
}

pub(super) fn file_in_its_place(path: &Path) -> Diagnosis {
    found(
        format!(
            "a file or a link is where the submodule {} belongs",
            line_of(path)
        ),
        Advice::words("move it somewhere else, then press Redeliver"),
    )
}

pub(super) fn ignored_in_the_way(submodule: &Path, paths: &[PathBuf]) -> Diagnosis {
    found(
        format!(
            "ignored files are in the way in the submodule {}: {}. The main tree is new already",
            line_of(submodule),
            list(paths)
        ),
        Advice::words("move them somewhere else, then press Redeliver"),
    )
}

pub(super) fn commit_missing(id: Option<&str>, at: &Situation<'_>) -> Diagnosis {
    let id = id
        .and_then(|id| id.get(..7))
        .map_or_else(String::new, |id| format!(" {}", line_of(id)));
    let which = at
        .submodule()
        .map_or_else(String::new, |path| format!(" {}", line_of(path)));
    found(
        format!(
            "the commit{id} that the checkout records for the submodule{which} is not at the submodule's remote"
        ),
        Advice::run(
            "push it where it was made (git push --recurse-submodules=on-demand), then press Redeliver. If the \
             submodule moved to another URL by now, use that",
            [at.git("submodule sync --recursive")],
        ),
    )
}

/// A repository inside the repository that is in no .gitmodules.
pub(super) fn not_a_submodule(path: &Path) -> Diagnosis {
    found(
        format!(
            "{} was committed as a repository inside the repository, without being a submodule",
            line_of(path)
        ),
        Advice::run(
            "where the site is written, take it out (or add it as a submodule: git submodule add), commit and push; or \
             set submodules = \"skip\". To take it out, there",
            [format!("git rm --cached {}", quoted(path))],
        ),
    )
}

pub(super) fn repository_lost(path: &Path, at: &Situation<'_>) -> Diagnosis {
    let path = at.below_the_checkout(path);
    found(
        format!(
            "the submodule {} has lost its repository",
            line_of(at.folder().join(&path))
        ),
        Advice::run(
            "move it away, then press Redeliver: it is cloned anew",
            move_away(&path, at),
        ),
    )
}

pub(super) fn from_a_path() -> Diagnosis {
    found(
        "git does not clone a submodule from a path on this machine",
        Advice::words("give the submodule a URL in .gitmodules where it is written, and push"),
    )
}

pub(super) fn to_be_replaced(path: &Path, at: &Situation<'_>) -> Diagnosis {
    became_files(path, move_away(path, at), at)
}

pub(super) fn replaced(path: &Path, at: &Situation<'_>) -> Diagnosis {
    let restore = || {
        let folder = at.folder().join(path);
        at.git(format_args!("checkout HEAD -- {}", quoted(&folder)))
    };
    // Its files are in the checkout's own index.
    became_files(path, [moving(path, at), restore()], at)
}

fn became_files(
    path: &Path,
    commands: impl IntoIterator<Item = String>,
    at: &Situation<'_>,
) -> Diagnosis {
    let folder = at.folder().join(path);
    found(
        format!(
            "the submodule {} became plain files, and holds untracked files or uncommitted changes",
            line_of(&folder)
        ),
        Advice::run(
            format!(
                "move it away, then press Redeliver; what was in it stays in {}",
                line_of(kept(&folder))
            ),
            commands,
        ),
    )
}

/// Git says that all is well, but it is not.
pub(super) fn missing(at: &Situation<'_>) -> Diagnosis {
    found(
        "git reported no error, but submodules are not where they belong",
        Advice::run("look at them", [at.git("submodule status --recursive")]),
    )
}

/// Moves a submodule of the checkout away, or a folder that it is in.
fn move_away(path: &Path, at: &Situation<'_>) -> Option<String> {
    let own = at.git.top().gitlinks().ok()?;
    let is_own = own.iter().any(|own| own.path.starts_with(path));
    is_own.then(|| moving(path, at))
}

fn moving(path: &Path, at: &Situation<'_>) -> String {
    let path = at.folder().join(path);
    at.run(format!("mv -T {} {}", quoted(&path), quoted(&kept(&path))))
}

fn kept(path: &Path) -> PathBuf {
    let mut kept = path.as_os_str().to_owned();
    kept.push(".kept");
    kept.into()
}
