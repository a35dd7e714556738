//! The files of a person's in the way, and what a person or another git has begun here.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cause::InTheWay;
use super::{Diagnosis, Situation, git_in};
use crate::git::Difference;
use crate::process::{self, AtWork};
use crate::redaction::{line_of, list};
use crate::shell::{quoted, word};
use crate::site::read_small;
use crate::user::name_of;

/// More files than this do not fit on a command line that a person reads.
const MAX_ARGUMENTS: usize = 50;

/// How many folders are looked at for one that may not be written.
const MAX_FOLDERS: usize = 5_000;

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

/// Files of a person's that git would not overwrite. Those that do not differ by their text no stash puts away.
pub(super) fn files_in_the_way(what: InTheWay, paths: &[String], at: &Situation<'_>) -> Diagnosis {
    let (folder, within, submodule) = place(at);
    let (tree, git) = (at.git.work_tree(&folder), git_in(&folder));
    let names: Vec<&str> = paths.iter().map(String::as_str).collect();
    let unseen = tree.hidden_from_git(&names).unwrap_or_default();
    // What git prints in quotes is not the name itself.
    let is_odd = |path: &String| path.starts_with('"') || path.contains(char::is_control);
    let is_listed = paths.len() <= MAX_ARGUMENTS && !paths.iter().any(is_odd);
    let difference = |path: &&String| match tree.difference(path.as_ref()) {
        Ok(how) if is_listed && !unseen.contains(path) => how,
        Ok(_) | Err(_) => Difference::Content,
    };
    let [content, permissions, line_ends] = sorted(paths, difference);
    let (mut causes, mut advice, mut commands) = (Vec::new(), Vec::new(), Vec::new());
    if !content.is_empty() {
        let (what, option) = what.in_words();
        causes.push(format!("{what} are in the way{within}: {}", list(&content)));
        if !unseen.is_empty() {
            causes.push(format!(
                "git was told not to see changes of {}",
                list(&unseen)
            ));
            advice.push("let git see them again".to_owned());
            commands.extend(see_again(&folder, &unseen));
        }
        advice.push(
            "put them into a stash (git stash list shows it, git stash pop brings them back)"
                .into(),
        );
        let which = if is_listed {
            words(&content)
        } else {
            String::new()
        };
        commands.push(format!("{git} stash push{option}{which}"));
    }
    if !permissions.is_empty() {
        let files = list(&permissions);
        causes.push(format!(
            "the permissions of these files differ{within}, and nothing else: {files}"
        ));
        advice.push("have git not look at permissions (core.fileMode)".into());
        commands.push(format!("{git} config core.fileMode false"));
    }
    if !line_ends.is_empty() {
        causes.push(format!(
            "the line ends of these files{within} are others than .gitattributes asks for, so that git takes them for \
             edited whatever is done here: {}",
            list(&line_ends)
        ));
        advice.push(renormalize(at));
        let pushed = pushed_commit(submodule.as_deref(), at);
        commands.push(format!("{git} checkout {pushed}{}", words(&line_ends)));
    }
    let advice = format!("{}, then press Redeliver", advice.join(", and "));
    at.advise(causes.join("; "), advice, commands)
}

fn sorted<'p>(
    paths: &'p [String],
    difference: impl Fn(&&'p String) -> Difference,
) -> [Vec<&'p String>; 3] {
    let mut sorted = [const { Vec::new() }; 3];
    for path in paths {
        sorted[difference(&path) as usize].push(path);
    }
    sorted
}

impl InTheWay {
    /// What it is, and the option of `git stash push` for it.
    fn in_words(self) -> (&'static str, &'static str) {
        match self {
            Self::Edits => ("uncommitted changes", ""),
            Self::Untracked => ("untracked files", " --include-untracked"),
            Self::Both => (
                "uncommitted changes and untracked files",
                " --include-untracked",
            ),
        }
    }
}

/// The work tree that the output is about, how a sentence names it, and which submodule it is.
fn place(at: &Situation<'_>) -> (PathBuf, String, Option<PathBuf>) {
    let Some(path) = at.submodule() else {
        return (at.folder().to_owned(), String::new(), None);
    };
    let within = format!(" in the submodule {}", line_of(&path));
    (at.folder().join(&path), within, Some(path))
}

fn renormalize(at: &Situation<'_>) -> String {
    format!(
        "have them written anew where the site is written (git add --renormalize ., commit, push), and here take what was \
         pushed (or set update = \"reset\" in {})",
        at.site_file()
    )
}

/// What the checkout, or a submodule of it, is to be at.
fn pushed_commit(submodule: Option<&Path>, at: &Situation<'_>) -> String {
    let submodules = submodule.and_then(|_| at.git.submodules().ok());
    let mut submodules = submodules.into_iter().flatten();
    let found = submodules.find(|found| Some(found.path.as_path()) == submodule);
    found.map_or_else(
        || word(&at.tracking_ref()),
        |found| found.recorded.to_string(),
    )
}

pub(super) fn see_again<P: AsRef<Path>>(folder: &Path, paths: &[P]) -> [String; 2] {
    let (git, files) = (git_in(folder), words(paths));
    ["skip-worktree", "assume-unchanged"]
        .map(|mark| format!("{git} update-index --no-{mark}{files}"))
}

/// Files, for the end of a command.
fn words<P: AsRef<Path>>(paths: &[P]) -> String {
    paths.iter().fold(" --".to_owned(), |list, path| {
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

/// Something in the checkout that is another user's, or closed by its mode: what git names, or a folder that it is in; else
/// the first such folder there is.
pub(super) fn not_writable(named: Option<&Path>, at: &Situation<'_>) -> Diagnosis {
    let (top, user, uid) = (at.folder(), at.user(), at.user.uid);
    let named = named.map_or_else(|| top.to_owned(), |path| top.join(path));
    // A file that is to be made belongs to nobody yet.
    let within = named.ancestors().take_while(|path| path.starts_with(top));
    let within: Vec<PathBuf> = within.map(Path::to_owned).collect();
    let is_others = |found: &Metadata| found.uid() != uid;
    let is_closed = |found: &Metadata| {
        let needed = if found.is_dir() { 0o300 } else { 0o200 };
        found.mode() & needed != needed
    };
    let find = |is: &dyn Fn(&Metadata) -> bool| {
        let there = within.iter().cloned().chain(folders(top, at.git_dir()));
        let mut there = there.filter_map(|path| Some((path.symlink_metadata().ok()?, path)));
        there.find(|(found, _)| is(found)).map(|(_, path)| path)
    };
    if let Some(path) = find(&is_others) {
        let (shown, owner) = (line_of(&path), owner_of(&path));
        return at.fix_owner(&format!(
            "{user} may not write in {shown}, which belongs to {owner}"
        ));
    }
    let (shown, all) = (line_of(top), quoted(top));
    match find(&is_closed) {
        Some(path) => {
            let path = line_of(path);
            tell!(at, "{path} is closed to its owner, {user}";
                "open it, then press Redeliver"; "chmod -R u+rwX {all}")
        }
        None => {
            tell!(at, "{user} may not write everywhere in {shown}, although it belongs to {user} and is open";
            "ask the host for what keeps {user} out (an attribute of the file, a policy). What is meant";
            "find {all} ! -writable")
        }
    }
}

/// The folders of a checkout, as many as are worth a look.
fn folders(top: &Path, git_dir: &Path) -> impl Iterator<Item = PathBuf> {
    let mut left = vec![git_dir.to_owned(), top.to_owned()];
    let next = move || {
        let folder = left.pop()?;
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        left.extend(below.map(|entry| entry.path()));
        Some(folder)
    };
    std::iter::from_fn(next).take(MAX_FOLDERS)
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
    tell!(at, "{cause}: a git was killed here, none is at work any more"; "remove it, then press Redeliver";
        ..is_own_lock(&path, at).then(|| format!("rm -f {}", quoted(&path))))
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
