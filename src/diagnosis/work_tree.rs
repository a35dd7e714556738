//! The files of a person's in the way, and what a person or another git has begun here.

use std::fmt::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cause::InTheWay;
use super::{Advice, Diagnosis, Situation, found};
use crate::process;
use crate::redaction::{line_of, list};
use crate::shell::quoted;
use crate::site::read_small;

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
    let below = at.submodule();
    let folder = below
        .as_ref()
        .map_or_else(|| at.folder().to_owned(), |path| at.folder().join(path));
    // Those whose changes git was told not to see.
    let unseen = if what == InTheWay::Untracked {
        Vec::new()
    } else {
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let tree = at.git.work_tree(&folder);
        tree.hidden_from_git(&paths).unwrap_or_default()
    };
    let all = match what {
        InTheWay::Edits => "",
        InTheWay::Untracked | InTheWay::Both => " --include-untracked",
    };
    // What git prints in quotes is not the name itself.
    let odd = |path: &String| path.starts_with('"') || path.contains(char::is_control);
    let exact = paths.len() <= MAX_ARGUMENTS && !paths.iter().any(odd);
    let which = if exact {
        format!(" --{}", words(paths))
    } else {
        String::new()
    };
    let mut commands = Vec::new();
    let mut first = "";
    if !unseen.is_empty() {
        first = "let git see them again, and ";
        commands.extend(see_again(&folder, &unseen, at));
    }
    commands.push(at.git_in(&folder, format_args!("stash push{all}{which}")));
    found(
        in_the_way(what, paths, &unseen, below.as_deref()),
        Advice::run(
            format!(
                "{first}put them into a stash (git stash list shows it, git stash pop brings them back), then press Redeliver"
            ),
            commands,
        ),
    )
}

fn in_the_way(what: InTheWay, paths: &[String], unseen: &[String], below: Option<&Path>) -> String {
    let what = match what {
        InTheWay::Edits => "uncommitted changes",
        InTheWay::Untracked => "untracked files",
        InTheWay::Both => "uncommitted changes and untracked files",
    };
    let below = below.map_or_else(String::new, |path| {
        format!(" in the submodule {}", line_of(path))
    });
    let mut cause = format!("{what} are in the way{below}: {}", list(paths));
    if !unseen.is_empty() {
        let _ = write!(
            cause,
            "; git was told not to see changes of {}",
            list(unseen)
        );
    }
    cause
}

/// A reset would write over them, or leave them as they are, without a word.
pub(super) fn hidden_edits(folder: &Path, paths: &[PathBuf], at: &Situation<'_>) -> Diagnosis {
    found(
        format!(
            "uncommitted changes that git was told not to look at are in the way in {}: {}",
            line_of(folder),
            list(paths)
        ),
        Advice::run(
            "let git look at them, then press Redeliver",
            see_again(folder, paths, at),
        ),
    )
}

fn see_again<P: AsRef<Path>>(folder: &Path, paths: &[P], at: &Situation<'_>) -> [String; 2] {
    let files = words(paths);
    ["skip-worktree", "assume-unchanged"]
        .map(|mark| at.git_in(folder, format_args!("update-index --no-{mark} --{files}")))
}

fn words<P: AsRef<Path>>(paths: &[P]) -> String {
    paths.iter().fold(String::new(), |list, path| {
        list + " " + &quoted(path.as_ref())
    })
}

pub(super) fn unmerged(at: &Situation<'_>) -> Diagnosis {
    unfinished(at).unwrap_or_else(|| {
        found(
            "files here are in conflict: what somebody took from a stash or a patch does not fit",
            Advice::run(
                "mend them and name them to git add; or go back to the last commit (a stash that did not fit is \
                 still there: git stash list). Then press Redeliver. To go back",
                [at.git("reset --merge")],
            ),
        )
    })
}

/// Something of git's that takes more than one command, and that somebody has begun and not ended.
pub(super) fn unfinished(at: &Situation<'_>) -> Option<Diagnosis> {
    let (_, what, give_up) = UNFINISHED
        .iter()
        .find(|(file, ..)| at.git_dir().join(file).exists())?;
    Some(found(
        format!("a {what} that somebody began here is not finished"),
        Advice::run(
            "finish it, or give it up; then press Redeliver. To give it up",
            [at.git(give_up)],
        ),
    ))
}

/// Git writes the files to another folder than the checkout's.
pub(super) fn elsewhere(there: &Path, at: &Situation<'_>) -> Diagnosis {
    let of_worktree = read_small(&at.git_dir().join("config.worktree"))
        .is_ok_and(|text| String::from_utf8_lossy(&text).contains("worktree ="));
    let which = if of_worktree { " --worktree" } else { "" };
    found(
        format!(
            "git writes the files to {}, as core.worktree says, and not to the checkout {}",
            line_of(there),
            line_of(at.folder())
        ),
        Advice::run(
            "have them written to the checkout, then press Redeliver",
            [at.git(format_args!("config{which} --unset core.worktree"))],
        ),
    )
}

/// A lock file of git's is there. Its removal is printed only where it is below our own git directory and no git lives.
pub(super) fn locked(named: &Path, at: &Situation<'_>) -> Diagnosis {
    let path = at.folder().join(named);
    let what = format!("the lock file {} is in the way", line_of(&path));
    let file = path.symlink_metadata().ok();
    let age = file
        .as_ref()
        .and_then(|file| file.modified().ok()?.elapsed().ok())
        .map(|age| humantime::format_duration(Duration::from_secs(age.as_secs())).to_string());
    let aged = age.map_or_else(String::new, |age| format!(", {age} old"));
    let is_ours = file.is_none_or(|file| file.uid() == at.user.uid) || at.user.uid == 0;
    if !is_ours || process::may_be_at_work("git", at.folder()) {
        return found(
            format!("{what}{aged}: a git may be at work in this checkout"),
            Advice::words("press Redeliver when it has ended"),
        );
    }
    found(
        format!("{what}{aged}: a git was killed here, none is at work any more"),
        Advice::run(
            "remove it, then press Redeliver",
            own_lock(&path, at).map(|lock| at.run(format!("rm -f {}", quoted(&lock)))),
        ),
    )
}

/// The lock file, where it is really in our git directory, or in the one that its work trees share.
fn own_lock(path: &Path, at: &Situation<'_>) -> Option<PathBuf> {
    let folder = path.parent()?.canonicalize().ok()?;
    let shared = at.git.checkout.shared_with_work_trees();
    let own = [Some(at.git_dir().to_owned()), shared];
    let is_within = |own: &PathBuf| own.canonicalize().is_ok_and(|own| folder.starts_with(own));
    own.iter().flatten().any(is_within).then(|| path.to_owned())
}

pub(super) fn concurrent() -> Diagnosis {
    found(
        "another git was at work in this checkout at the same moment",
        Advice::words("press Redeliver; let nothing but deploy-cgi pull here (cron, a panel)"),
    )
}
