//! The first checkout, on hosts without a shell: a folder for tickets and locks at once, so that nothing is lost, and the
//! rest under the turn, in steps that can each be cut short and done again.
//!
//! Must not know requests or reports.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use super::heal::Healer;
use super::marker::Interrupted;
use crate::backup::Backup;
use crate::git::{self, Checkout, Git, ObjectFormat, RemoteHead};
use crate::process::Ended;
use crate::random::fill_with_random;
use crate::redaction;
use crate::remote_url::RemoteUrl;
use crate::site::Site;
use crate::state::StateFolder;

/// In the state folder until the first checkout is whole: then everything in the repository is of our making.
const UNFINISHED: &str = "cloning";

/// What it says once files are being written: from then on, what is in the work tree may be ours.
const WRITING: &[u8] = b"writing";

/// How many files are named that are in the way.
const MAX_FILES: usize = 10;

/// The state folder, below the git directory.
const STATE: &str = "deploy-cgi";

/// Begins the name of a git directory that is not yet in its place.
const NEW: &str = ".git.new-";

/// How many hex digits follow.
const NEW_DIGITS: usize = 16;

/// Begins the remote's section in git's configuration, which is the last one until there is a branch.
const REMOTE: &str = "[remote \"origin\"]\n";

/// How the first checkout went.
pub(super) enum Cloned {
    /// With what was kept of a person's, if there was anything.
    Whole(Option<String>),
    /// This command failed.
    Not(Ended),
}

/// How far the checkout of a site has come.
pub(crate) enum Stage {
    /// There is none, and the site says where it comes from.
    Nothing,
    /// There is a place for tickets and locks.
    Begun(Checkout),
    Whole(Checkout),
}

impl Stage {
    /// The checkout, as far as there is one.
    pub(crate) fn checkout(self) -> Option<Checkout> {
        match self {
            Self::Nothing => None,
            Self::Begun(checkout) | Self::Whole(checkout) => Some(checkout),
        }
    }
}

/// Looks at the checkout of a site. Makes nothing.
pub(crate) fn look(site: &Site) -> Result<Stage> {
    // In this order: another delivery may be making it.
    if site.clone.is_some() && is_nothing(&site.repo) {
        return Ok(Stage::Nothing);
    }
    if is_unfinished(&site.repo) {
        return Checkout::begun(&site.repo).map(Stage::Begun);
    }
    Checkout::open(&site.repo).map(Stage::Whole)
}

/// The checkout of a site; where there is none yet and the site says where it comes from, the beginning of one.
pub(crate) fn checkout_of(site: &Site) -> Result<Checkout> {
    let mut stage = look(site)?;
    if matches!(stage, Stage::Nothing) {
        begin(&site.repo)?;
        stage = look(site)?;
    }
    stage
        .checkout()
        .with_context(|| format!("{} was emptied at the same time", site.repo.display()))
}

/// Whether the first checkout of a site is still to be made.
pub(crate) fn is_due(site: &Site) -> bool {
    (site.clone.is_some() && is_nothing(&site.repo)) || is_unfinished(&site.repo)
}

fn is_unfinished(repo: &Path) -> bool {
    repo.join(".git").join(STATE).join(UNFINISHED).exists()
}

/// Not there, or an empty folder, or a link to one. Anything else is somebody's.
fn is_nothing(repo: &Path) -> bool {
    match std::fs::read_dir(repo) {
        Ok(entries) => entries
            .into_iter()
            .all(|entry| entry.is_ok_and(|entry| is_left_over(&entry.path()))),
        // A link to nowhere is there.
        Err(error) => error.kind() == ErrorKind::NotFound && repo.symlink_metadata().is_err(),
    }
}

/// Makes the place for tickets and locks at one stroke: under another name, then renamed. A folder that is there is used
/// as it is: it has the owner and the mode that let the web server in.
fn begin(repo: &Path) -> Result<()> {
    let mut random = [0; NEW_DIGITS / 2];
    fill_with_random(&mut random)?;
    let new = repo.join(format!("{NEW}{}", hex::encode(random)));
    let begun = make(repo, &new).and_then(|()| {
        // Somebody's files may have come, or another delivery's.
        if is_nothing(repo) {
            std::fs::rename(&new, repo.join(".git"))
        } else {
            Err(ErrorKind::DirectoryNotEmpty.into())
        }
    });
    if begun.is_err() {
        match discard(&new) {
            // It is known by its name, and does not count.
            Ok(()) | Err(_) => {}
        }
    }
    // Another delivery may have been quicker.
    if repo.join(".git").exists() {
        Ok(())
    } else {
        begun.with_context(|| format!("cannot make the folder {}", repo.display()))
    }
}

fn make(repo: &Path, new: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(repo)?;
    std::fs::create_dir(new)?;
    let state = new.join(STATE);
    DirBuilder::new().mode(0o700).create(&state)?;
    File::create_new(state.join(UNFINISHED)).map(drop)
}

/// Whether this is a git directory that `make` made, or began to, and that was not put in its place.
fn is_left_over(path: &Path) -> bool {
    let is_named_so = path
        .file_name()
        .and_then(|name| name.to_str()?.strip_prefix(NEW))
        .is_some_and(|digits| {
            digits.len() == NEW_DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
    let holds_only = |folder: &Path, name: &str| {
        let is_folder = folder.symlink_metadata().map(|found| found.is_dir());
        match is_folder.and_then(|is_folder| Ok((is_folder, std::fs::read_dir(folder)?))) {
            Ok((is_folder, entries)) => {
                is_folder
                    && entries
                        .into_iter()
                        .all(|entry| entry.is_ok_and(|entry| entry.file_name() == name))
            }
            // Not made yet, or in its place by now.
            Err(error) => error.kind() == ErrorKind::NotFound,
        }
    };
    let state = path.join(STATE);
    let is_empty = |file: &Path| match file.symlink_metadata() {
        Ok(found) => found.is_file() && found.len() == 0,
        Err(error) => error.kind() == ErrorKind::NotFound,
    };
    is_named_so
        && holds_only(path, STATE)
        && holds_only(&state, UNFINISHED)
        && is_empty(&state.join(UNFINISHED))
}

/// Removes what `make` made, and nothing else.
fn discard(new: &Path) -> std::io::Result<()> {
    let state = new.join(STATE);
    let unless_gone = |done: std::io::Result<()>| match done {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    };
    unless_gone(std::fs::remove_file(state.join(UNFINISHED)))?;
    unless_gone(std::fs::remove_dir(&state))?;
    unless_gone(std::fs::remove_dir(new))
}

/// Removes the git directories that never came to their place.
fn discard_left_overs(folder: &Path) -> Result<()> {
    for path in entries_of(folder)? {
        if is_left_over(&path) {
            discard(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

fn entries_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let what = || format!("cannot list {}", folder.display());
    std::fs::read_dir(folder)
        .with_context(what)?
        .map(|entry| Ok(entry.with_context(what)?.path()))
        .collect()
}

/// Does what is left to do of a first checkout: repository, remote, fetch, branch. Each step can be done again.
pub(super) fn finish(
    site: &Site,
    url: &RemoteUrl,
    git: &Git<'_>,
    state: &StateFolder,
) -> Result<Cloned> {
    discard_left_overs(&git.checkout.folder)?;
    // Before anything that may meet one.
    let any = Interrupted {
        began: SystemTime::UNIX_EPOCH,
        is_healing: false,
    };
    Healer::new(git, any).remove_locks()?;
    if let Some(ended) = make_repository(git, url, ObjectFormat::Sha1)? {
        return Ok(Cloned::Not(ended));
    }
    let config = git.read_config()?;
    let (head, format) = match git.remote_head()? {
        RemoteHead::Found { branch, format } => (branch, format),
        RemoteHead::Failed(ended) => return Ok(Cloned::Not(ended)),
    };
    if format != config.format() {
        // Nothing is in it yet: the two formats do not mix.
        clear(&git.checkout.git_dir)?;
        if let Some(ended) = make_repository(git, url, format)? {
            return Ok(Cloned::Not(ended));
        }
        git.read_config()?;
    }
    let Some(branch) = site.branch.clone().or(head) else {
        bail!("the remote has no default branch; name one with the key `branch`")
    };
    let fetched = git.fetch_origin(&branch)?;
    if !fetched.end.is_good() {
        return Ok(Cloned::Not(fetched));
    }
    if state.read(UNFINISHED)?.as_deref() != Some(WRITING) {
        ensure_no_files(&git.checkout.folder)?;
        state.write(UNFINISHED, WRITING)?;
    }
    // One that came as far as a commit may have been taken for whole, and worked in.
    let mut kept = None;
    let top = git.top();
    if top.head()?.is_some()
        && let Some(target) = top.remote_tip(&branch)?
    {
        let edits = top.edits()?;
        kept = Backup::default().before_reset(&top, &edits, &target, None)?;
    }
    let checked_out = git.check_out(&branch)?;
    if !checked_out.end.is_good() {
        return Ok(Cloned::Not(checked_out));
    }
    state.remove(UNFINISHED)?;
    Ok(Cloned::Whole(kept))
}

/// A first checkout writes over whatever is there; so what came while it could not be made has to go first.
fn ensure_no_files(folder: &Path) -> Result<()> {
    let mut all: BTreeSet<PathBuf> = BTreeSet::new();
    all.extend(entries_of(folder)?);
    all.remove(&folder.join(".git"));
    if all.is_empty() {
        return Ok(());
    }
    let more = all.len().saturating_sub(MAX_FILES);
    let names = all.iter().filter_map(|path| path.file_name());
    let names = names.map(|name| redaction::excerpt(&name.to_string_lossy()));
    let mut names: Vec<_> = names.take(MAX_FILES).collect();
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    bail!(
        "files are in the way of the first checkout in {}: {}. Move them somewhere else, then press Redeliver",
        folder.display(),
        names.join(", ")
    )
}

/// `git init`, and the remote, without its login. Returns the command that failed, if one did.
fn make_repository(git: &Git<'_>, url: &RemoteUrl, format: ObjectFormat) -> Result<Option<Ended>> {
    let made = git.init(format)?;
    if !made.end.is_good() {
        return Ok(Some(made));
    }
    let file = git.checkout.git_dir.join("config");
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("cannot read {}", file.display()))?;
    let own = text.split(REMOTE).next().unwrap_or(&text);
    let new = file.with_extension("new");
    let section = remote_section(git::without_login(url)?.as_str());
    let write = || -> std::io::Result<()> {
        std::fs::write(&new, format!("{own}{section}"))?;
        std::fs::rename(&new, &file)
    };
    write().with_context(|| format!("cannot write {}", file.display()))?;
    Ok(None)
}

/// Empties the git directory of a first checkout, but for our own folder.
fn clear(git_dir: &Path) -> Result<()> {
    let what = || format!("cannot empty {}", git_dir.display());
    for entry in std::fs::read_dir(git_dir).with_context(what)? {
        let entry = entry.with_context(what)?;
        if entry.file_name() == "deploy-cgi" {
            continue;
        }
        let kind = entry.file_type().with_context(what)?;
        if kind.is_dir() {
            std::fs::remove_dir_all(entry.path())
        } else {
            std::fs::remove_file(entry.path())
        }
        .with_context(what)?;
    }
    Ok(())
}

/// git-config(1), "Syntax".
fn remote_section(url: &str) -> String {
    let quoted = url.replace('\\', "\\\\").replace('"', "\\\"");
    format!("{REMOTE}\turl = \"{quoted}\"\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_a_folder_that_is_not_there_or_empty() {
        let folder = tempfile::tempdir().unwrap();
        let repo = folder.path().join("a/site");
        assert!(is_nothing(&repo));
        begin(&repo).unwrap();
        assert!(!is_nothing(&repo) && is_unfinished(&repo));
        begin(&repo).unwrap();
        for (folder, name) in [(folder.path().join("a"), "site"), (repo, ".git")] {
            let only = folder.join(name);
            assert_eq!(entries_of(&folder).unwrap(), [only], "nothing else is left");
        }
    }

    #[test]
    fn what_a_death_left_of_the_beginning_is_nothing_and_goes() {
        #[track_caller]
        fn check(folders: &str, file: Option<(&str, &str)>, expected: bool) {
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(folder.path().join(folders)).unwrap();
            if let Some((name, text)) = file {
                std::fs::write(folder.path().join(folders).join(name), text).unwrap();
            }
            assert_eq!(is_nothing(folder.path()), expected);
            discard_left_overs(folder.path()).unwrap();
            assert_eq!(entries_of(folder.path()).unwrap().is_empty(), expected);
        }
        let new = ".git.new-0123456789abcdef";
        let state = format!("{new}/{STATE}");
        check(new, None, true);
        check(&state, None, true);
        check(&state, Some((UNFINISHED, "")), true);
        check(&state, Some((UNFINISHED, "mine")), false);
        check(&state, Some(("mine", "")), false);
        check(new, Some(("mine", "")), false);
        check(&format!("{state}/{UNFINISHED}"), None, false);
        check(".git.new-1", None, false);
        check(".git", None, false);
    }

    #[test]
    fn a_folder_of_somebodys_is_never_taken() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("index.html"), "mine").unwrap();
        assert!(!is_nothing(folder.path()));
        assert!(begin(folder.path()).is_err());
        assert_eq!(entries_of(folder.path()).unwrap().len(), 1);
        assert_eq!(
            std::fs::read(folder.path().join("index.html")).unwrap(),
            b"mine"
        );
    }

    #[test]
    fn a_url_is_written_as_git_reads_it() {
        assert!(remote_section("https://a\"b\\c").contains("\turl = \"https://a\\\"b\\\\c\"\n"));
    }
}
