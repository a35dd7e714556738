//! The files of a person's in the way, and what a person or another git has begun here.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cause::InTheWay;
use super::{Diagnosis, Situation, git_in};
use crate::process::{self, AtWork};
use crate::redaction::{line_of, list};
use crate::shell::quoted;
use crate::site::read_small;
use crate::user::name_of;

/// More files than this do not fit on a command line that a person reads.
const MAX_ARGUMENTS: usize = 50;

/// What there is in the git directory while something is not finished, what that is, and how it is given up. A rebase
/// may be in the middle of a cherry-pick.
const UNFINISHED: [(&str, &str, &str); 7] = [
    ("rebase-merge", "rebase", "rebase --abort"),
    ("rebase-apply/applying", "git am", "am --abort"),
    ("rebase-apply", "rebase", "rebase --abort"),
    ("MERGE_HEAD", "merge", "merge --abort"),
    ("CHERRY_PICK_HEAD", "cherry-pick", "cherry-pick --abort"),
    ("REVERT_HEAD", "revert", "revert --abort"),
    ("BISECT_LOG", "bisection", "bisect reset"),
];

/// Files of a person's that git would not overwrite.
pub(super) fn files_in_the_way(what: InTheWay, paths: &[String], at: &Situation<'_>) -> Diagnosis {
    let submodule = at.submodule();
    let top = at.folder();
    let below = |path: &PathBuf| top.join(path);
    let folder = submodule.as_ref().map_or_else(|| top.to_owned(), below);
    let (what, option) = match what {
        InTheWay::Edits => ("uncommitted changes", ""),
        InTheWay::Untracked => ("untracked files", " --include-untracked"),
        InTheWay::Both => (
            "uncommitted changes and untracked files",
            " --include-untracked",
        ),
    };
    let below = submodule.map_or_else(String::new, |path| {
        format!(" in the submodule {}", line_of(path))
    });
    let mut cause = format!("{what} are in the way{below}: {}", list(paths));
    let mut first = "";
    let mut commands = Vec::new();
    let names: Vec<&str> = paths.iter().map(String::as_str).collect();
    let unseen = at.git.work_tree(&folder).hidden_from_git(&names);
    if let Ok(unseen) = unseen
        && !unseen.is_empty()
    {
        cause = format!(
            "{cause}; git was told not to see changes of {}",
            list(&unseen)
        );
        first = "let git see them again, and ";
        commands.extend(see_again(&folder, &unseen));
    }
    // What git prints in quotes is not the name itself.
    let is_odd = |path: &String| path.starts_with('"') || path.contains(char::is_control);
    let which = if paths.len() > MAX_ARGUMENTS || paths.iter().any(is_odd) {
        String::new()
    } else {
        format!(" --{}", words(paths))
    };
    commands.push(format!("{} stash push{option}{which}", git_in(&folder)));
    at.advise(
        cause,
        format!(
            "{first}put them into a stash (git stash list shows it, git stash pop brings them back), then press Redeliver"
        ),
        commands,
    )
}

pub(super) fn see_again<P: AsRef<Path>>(folder: &Path, paths: &[P]) -> [String; 2] {
    let (git, files) = (git_in(folder), words(paths));
    ["skip-worktree", "assume-unchanged"]
        .map(|mark| format!("{git} update-index --no-{mark} --{files}"))
}

fn words<P: AsRef<Path>>(paths: &[P]) -> String {
    paths.iter().fold(String::new(), |list, path| {
        list + " " + &quoted(path.as_ref())
    })
}

pub(super) fn unmerged(at: &Situation<'_>) -> Diagnosis {
    let git = at.git();
    unfinished(at).unwrap_or_else(|| {
        tell!(at, "files here are in conflict: what somebody took from a stash or a patch does not fit";
            "mend them and name them to git add; or go back to the last commit (a stash that did not fit is still there: \
             git stash list). Then press Redeliver. To go back";
            "{git} reset --merge")
    })
}

/// Something of git's that takes more than one command, and that somebody has begun and not ended.
pub(super) fn unfinished(at: &Situation<'_>) -> Option<Diagnosis> {
    let (_, what, give_up) = UNFINISHED
        .iter()
        .find(|(file, ..)| at.git_dir().join(file).exists())?;
    let git = at.git();
    let told = tell!(at, "a {what} that somebody began here is not finished";
        "finish it, or give it up; then press Redeliver. To give it up"; "{git} {give_up}");
    Some(told)
}

/// Git writes the files to another folder than the checkout's.
pub(super) fn elsewhere(there: &Path, at: &Situation<'_>) -> Diagnosis {
    let of_worktree = read_small(&at.git_dir().join("config.worktree"))
        .is_ok_and(|text| String::from_utf8_lossy(&text).contains("worktree ="));
    let which = if of_worktree { " --worktree" } else { "" };
    let (git, there, folder) = (at.git(), line_of(there), line_of(at.folder()));
    tell!(at, "git writes the files to {there}, as core.worktree says, and not to the checkout {folder}";
        "have them written to the checkout, then press Redeliver";
        "{git} config{which} --unset core.worktree")
}

/// Something in the checkout that is another user's, or closed by its mode.
pub(super) fn not_writable(path: Option<&Path>, at: &Situation<'_>) -> Diagnosis {
    let (top, user) = (at.folder(), at.user());
    // A file that is to be made belongs to nobody yet; its folder does.
    let path = path.map_or_else(|| top.to_owned(), |path| top.join(path));
    let first = |is: fn(&Metadata, u32) -> bool| {
        let mut within = path.ancestors().take_while(|path| path.starts_with(top));
        within.find(|path| {
            path.symlink_metadata()
                .is_ok_and(|found| is(&found, at.user.uid))
        })
    };
    let others = first(|found, uid| found.uid() != uid);
    let closed = first(|found, _| {
        let needed = if found.is_dir() { 0o300 } else { 0o200 };
        found.mode() & needed != needed
    });
    if let (None, Some(closed)) = (others, closed) {
        return at.advise(
            format!("{} is closed to its owner, {user}", line_of(closed)),
            "open it, then press Redeliver",
            [format!("chmod -R u+rwX {}", quoted(top))],
        );
    }
    let closed = others.unwrap_or(top);
    at.fix_owner(format!(
        "{user} may not write in {}, which belongs to {}",
        line_of(closed),
        owner_of(closed)
    ))
}

pub(crate) fn owner_of(path: &Path) -> String {
    path.metadata()
        .map_or_else(|_| "another user".to_owned(), |file| name_of(file.uid()))
}

/// A lock file of git's is there. Its removal is printed only where it is below our own git directory and no git lives.
pub(super) fn locked(named: &Path, at: &Situation<'_>) -> Diagnosis {
    let path = at.folder().join(named);
    let file = path.symlink_metadata().ok();
    let modified = file.as_ref().and_then(|file| file.modified().ok());
    let age = modified.and_then(|modified| modified.elapsed().ok());
    let age = age.map_or_else(String::new, |age| {
        let age = Duration::from_secs(age.as_secs());
        format!(", {} old", humantime::format_duration(age))
    });
    let cause = format!("the lock file {} is in the way{age}", line_of(&path));
    let is_ours = file.is_none_or(|file| file.uid() == at.user.uid) || at.user.uid == 0;
    if !is_ours || process::at_work("git", at.folder()) != AtWork::No {
        return tell!(at, "{cause}: a git may be at work in this checkout"; "press Redeliver when it has ended");
    }
    at.advise(
        format!("{cause}: a git was killed here, none is at work any more"),
        "remove it, then press Redeliver",
        is_own_lock(&path, at).then(|| format!("rm -f {}", quoted(&path))),
    )
}

/// Whether the lock file is really in our git directory, or in the one that its work trees share.
fn is_own_lock(path: &Path, at: &Situation<'_>) -> bool {
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
    let own = [
        Some(at.git_dir().to_owned()),
        at.git.checkout.shared_with_work_trees(),
    ];
    let mut own = own
        .into_iter()
        .flatten()
        .filter_map(|own| own.canonicalize().ok());
    folder.is_some_and(|folder| own.any(|own| folder.starts_with(own)))
}
