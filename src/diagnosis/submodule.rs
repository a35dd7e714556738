//! Submodules that git could not bring to where they belong.
//!
//! Who writes a submodule names what is nested in it. A folder is moved by a command only where the checkout's own index
//! names it.

use std::path::{Path, PathBuf};

use super::{Advice, Diagnosis, Situation, aside, git_in};
use crate::git;
use crate::redaction::line_of;
use crate::shell::{quoted, word};

/// The branch that a submodule follows is not among those of its `origin`, the only remote where git looks.
pub(super) fn branch_unknown(branch: &str, path: &Path, at: &Situation<'_>) -> Diagnosis {
    let folder = at.folder().join(path);
    let (path, git) = (line_of(path), git_in(&folder));
    if let [only] = &remotes(&folder)[..]
        && only != "origin"
    {
        let (shown, only) = (line_of(only), word(only));
        return tell!(at,
            "the remote of the submodule {path} is called {shown}, and git follows a submodule at \"origin\" only";
            "give it that name, then press Redeliver";
            "{git} remote rename {only} origin");
    }
    if branch == "HEAD" {
        return tell!(at, "the default branch of the submodule {path} is not known here";
            "have the remote asked for it, then press Redeliver";
            "{git} remote set-head origin --auto");
    }
    let branch = line_of(branch);
    tell!(at, "the submodule {path} is to follow {branch}, which is not at its remote";
        "push that branch, or name another one in .gitmodules where the site is written. Which there are";
        "{git} ls-remote --heads origin")
}

/// The remotes that a work tree keeps branches of.
fn remotes(folder: &Path) -> Vec<String> {
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten();
    let git_dir = git::git_dir_of(folder).ok().flatten();
    let remotes = git_dir.map(|git_dir| entries(&git_dir.join("refs/remotes")));
    remotes
        .into_iter()
        .flatten()
        // Older gits leave an empty folder when a remote gets another name.
        .filter(|remote| entries(&remote.path()).next().is_some())
        .map(|remote| remote.file_name().to_string_lossy().into_owned())
        .collect()
}

/// What is at a submodule's place, and can be moved away where the checkout's own index has it.
pub(super) fn in_the_way(
    path: &Path,
    cause: impl FnOnce(&str) -> String,
    words: &str,
    at: &Situation<'_>,
) -> Diagnosis {
    let path = at.below_the_checkout(path);
    let place = line_of(at.folder().join(&path));
    at.advise(cause(&place), words, move_away(&path, at))
}

pub(super) fn link_in_the_way(path: &Path, at: &Situation<'_>) -> Diagnosis {
    in_the_way(
        path,
        |place| format!("a symbolic link is in the way of a submodule: {place}"),
        "move it away, then press Redeliver",
        at,
    )
}

/// Git that does not refuse a link (see the table of causes) goes through it, and fails behind it.
pub(super) fn unseen_link(at: &Situation<'_>) -> Option<PathBuf> {
    let path = at.submodule()?;
    let is_link = |part: &&Path| at.folder().join(part).is_symlink();
    path.ancestors().find(is_link).map(Path::to_owned)
}

pub(super) fn repository_lost(path: &Path, at: &Situation<'_>) -> Diagnosis {
    in_the_way(
        path,
        |place| format!("the submodule {place} has lost its repository"),
        "move it away, then press Redeliver: it is cloned anew",
        at,
    )
}

pub(super) fn commit_missing(id: Option<&str>, at: &Situation<'_>) -> Diagnosis {
    let path = at.submodule();
    let named = |name: String| format!(" {name}");
    let id = id.and_then(|id| id.get(..7)).map(line_of);
    let id = id.map_or_else(String::new, named);
    let submodule = path.map(line_of).map_or_else(String::new, named);
    let git = at.git();
    tell!(at, "the commit{id} that the checkout records for the submodule{submodule} is not at the submodule's remote";
        "push it where it was made (git push --recurse-submodules=on-demand), then press Redeliver. If the submodule \
         moved to another URL by now, use that";
        "{git} submodule sync --recursive")
}

pub(super) fn not_fetched(said: Option<&str>, at: &Situation<'_>) -> Diagnosis {
    let path = at.submodule().unwrap_or_default();
    let why = said.map_or_else(String::new, |said| format!(": {}", line_of(said)));
    let (shown, git) = (line_of(&path), git_in(&at.folder().join(&path)));
    tell!(at, "the submodule {shown} could not be fetched{why}";
        "mend what git says there, then press Redeliver. To try it by hand"; "{git} fetch")
}

/// A repository inside the repository that is in no .gitmodules. The command is for another host than this.
pub(super) fn not_a_submodule(path: &Path) -> Diagnosis {
    Diagnosis {
        cause: format!(
            "{} was committed as a repository inside the repository, without being a submodule",
            line_of(path)
        ),
        advice: Some(Advice {
            words: "where the site is written, take it out (or add it as a submodule: git submodule add), commit and push; or \
                    set submodules = \"skip\". To take it out, there"
                .into(),
            commands: vec![format!("git rm --cached {}", quoted(path))],
        }),
    }
}

/// A submodule becomes plain files. Where they have come already, the checkout's own index has them.
pub(super) fn became_files(path: &Path, at: &Situation<'_>) -> Diagnosis {
    let place = at.folder().join(path);
    let kept = line_of(kept(&place));
    let gitlinks = at.git.top().gitlinks().unwrap_or_default();
    let have_come = !gitlinks.iter().any(|own| own.path == path);
    let restore = || format!("{} checkout HEAD -- {}", at.git(), quoted(&place));
    let commands = [move_to_kept(&place)]
        .into_iter()
        .chain(have_come.then(restore));
    let shown = line_of(&place);
    tell!(at, "the submodule {shown} became plain files, and holds untracked files or uncommitted changes";
        "move it away, then press Redeliver; what was in it stays in {kept}";
        ..commands)
}

/// Moves a submodule of the checkout away, or a folder that it is in.
fn move_away(path: &Path, at: &Situation<'_>) -> Option<String> {
    let own = at.git.top().gitlinks().ok()?;
    let is_own = own.iter().any(|own| own.path.starts_with(path));
    is_own.then(|| move_to_kept(&at.folder().join(path)))
}

fn move_to_kept(place: &Path) -> String {
    format!("mv -T {} {}", quoted(place), quoted(&kept(place)))
}

fn kept(place: &Path) -> PathBuf {
    aside(place, ".kept")
}
