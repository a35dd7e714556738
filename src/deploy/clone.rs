//! The first checkout, on hosts without a shell: a folder for tickets and locks at once, so that nothing is lost, and the
//! rest under the turn, in steps that can each be cut short and done again.
//!
//! Must not know requests or reports.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::Deploy;
use super::aim::Aim;
use super::failure::StepFailed;
use super::heal::Healer;
use super::journal::Journal;
use super::marker::Interrupted;
use crate::backup::Backup;
use crate::commit_id::CommitId;
use crate::diagnosis::Cause;
use crate::files::{self, Sync};
use crate::git::{self, CLONING, Checkout, Git, ObjectFormat, RemoteHead, WorkTree};
use crate::green::Green;
use crate::hold;
use crate::outcome::Step;
use crate::process::Ended;
use crate::redaction;
use crate::remote_url::RemoteUrl;
use crate::site::Site;

/// In the place of a URL that no command line may have.
const URL_TO_COME: &str = "deploy-cgi-url-to-come";

/// What the file [`CLONING`] in the state folder says once files are being written: from then on, what is in the work tree may be ours.
const WRITING: &[u8] = b"writing";

/// The state folder, below the git directory.
const STATE: &str = "deploy-cgi";

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

/// How far the checkout of a site has come. Makes nothing.
pub(crate) fn stage_of(site: &Site) -> Result<Stage> {
    // In this order: another delivery may be making it.
    if site.clone.is_some() && is_nothing(&site.repo) {
        return Ok(Stage::Nothing);
    }
    if is_unfinished(&site.repo) {
        return Checkout::begun(&site.repo).map(Stage::Begun);
    }
    whole_of(site).map(Stage::Whole)
}

/// The checkout of a site that is whole.
pub(crate) fn whole_of(site: &Site) -> Result<Checkout> {
    if is_nothing(&site.repo) {
        bail!(
            "there is no checkout in {}, and no key `clone` that says where it comes from: set clone = \
             \"https://github.com/OWNER/NAME.git\", or clone the repository there",
            site.repo.display()
        );
    }
    if site.clone.is_some()
        && !["HEAD", ".git"]
            .iter()
            .any(|git| site.repo.join(git).exists())
    {
        bail!(
            "{} has files in it and is no git checkout, so that nothing is cloned there: empty it, or name another folder \
             with the key `repo`",
            site.repo.display()
        );
    }
    Checkout::open(&site.repo)
}

/// The checkout of a site; where there is none yet and the site says where it comes from, the beginning of one.
pub(crate) fn checkout_of(site: &Site) -> Result<Checkout> {
    let mut stage = stage_of(site)?;
    if matches!(stage, Stage::Nothing) {
        begin(&site.repo)?;
        stage = stage_of(site)?;
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
    repo.join(".git").join(STATE).join(CLONING).exists()
}

/// Not there, or an empty folder, or a link to one, or where a first checkout died at its very beginning, or deploys are
/// held already. Anything else is somebody's.
fn is_nothing(repo: &Path) -> bool {
    let git_dir = repo.join(".git");
    holds_at_most(repo, ".git")
        && holds_at_most(&git_dir, STATE)
        && holds_at_most(&git_dir.join(STATE), hold::FILE)
}

/// Whether a folder is not there, or has nothing in it but this.
fn holds_at_most(folder: &Path, name: &str) -> bool {
    match std::fs::read_dir(folder) {
        Ok(entries) => entries
            .into_iter()
            .all(|entry| entry.is_ok_and(|entry| entry.file_name() == name)),
        // A link to nowhere is there.
        Err(error) => error.kind() == ErrorKind::NotFound && folder.symlink_metadata().is_err(),
    }
}

/// Makes the place for tickets and locks. A folder that is there is used as it is: it has the owner and the mode that let
/// the web server in.
fn begin(repo: &Path) -> Result<()> {
    make(&repo.join(".git")).with_context(|| format!("cannot make the folder {}", repo.display()))
}

fn make(git_dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(git_dir)?;
    let state = git_dir.join(STATE);
    files::make_private_folder(&state)?;
    match File::create_new(state.join(CLONING)) {
        // Another delivery was so much quicker that its checkout is whole.
        Ok(_) if git_dir.join("HEAD").exists() => std::fs::remove_file(state.join(CLONING)),
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

impl Deploy<'_> {
    /// Does what is left to do of a first checkout: repository, remote, fetch, branch. Each step can be done again.
    pub(super) fn finish_clone(
        &self,
        url: &RemoteUrl,
        git: &Git<'_>,
        journal: &mut Journal<'_>,
    ) -> Result<(), StepFailed> {
        // Before anything that may meet one.
        Healer::new(git, &Interrupted::default()).remove_unfinished()?;
        let mut step = |ended: &Ended| journal.git_ended(ended, git);
        step(&git.init(ObjectFormat::Sha1)?)?;
        set_remote(git, url)?;
        let config = git.read_config()?;
        let asked = git.ask_remote_head()?;
        step(&asked)?;
        let RemoteHead { branch, format } = RemoteHead::of(&asked);
        if format != config.format() {
            // Nothing is in it yet. Without these `git init` takes it for none: the two formats do not mix.
            for file in ["HEAD", "config"] {
                files::remove_if_there(&git.checkout.git_dir.join(file))?;
            }
            step(&git.init(format)?)?;
            set_remote(git, url)?;
            git.read_config()?;
        }
        let Some(branch) = self.site.branch.clone().or(branch) else {
            return Err(StepFailed::stated(Step::Start, Cause::NoDefaultBranch));
        };
        step(&git.fetch_origin(&branch)?)?;
        let (top, state) = (git.top(), self.state());
        let tip = top.remote_tip(&branch)?;
        let green = self.first_green(tip.as_ref(), &top)?;
        if state.read(CLONING)?.as_deref() != Some(WRITING) {
            ensure_no_files(&git.checkout.folder)?;
            state.write(CLONING, WRITING)?;
        }
        // One that came as far as a commit may have been taken for whole, and worked in.
        let mut kept = None;
        if top.head()?.is_some()
            && let Some(target) = green.as_ref().or(tip.as_ref())
        {
            kept = Backup::default().before_reset(&top, &top.edits()?, target, None)?;
        }
        step(&match &green {
            None => git.check_out(&branch)?,
            Some(green) => git.check_out_at(green, &branch)?,
        })?;
        state.remove(CLONING)?;
        journal.remarks(kept);
        Ok(())
    }

    /// Where a workflow has to succeed first, the newest commit of the branch that it is known to have passed.
    fn first_green(
        &self,
        tip: Option<&CommitId>,
        top: &WorkTree<'_>,
    ) -> Result<Option<CommitId>, StepFailed> {
        let (Aim::Green(workflow), Some(tip)) = (self.aim, tip) else {
            return Ok(None);
        };
        let known = Green::read(self.state())?;
        let passed = known.commits();
        let commits = top.newest_commits(tip, None)?;
        let green = commits.into_iter().find(|commit| passed.contains(commit));
        let none = || StepFailed::stated(Step::Clone, Cause::NothingGreen(workflow.into()));
        green.map(Some).ok_or_else(none)
    }
}

/// A first checkout writes over whatever is there; so what came while it could not be made has to go first.
fn ensure_no_files(folder: &Path) -> Result<()> {
    let what = || format!("cannot list {}", folder.display());
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder).with_context(what)? {
        names.insert(entry.with_context(what)?.file_name());
    }
    names.remove(OsStr::new(".git"));
    if names.is_empty() {
        return Ok(());
    }
    bail!(
        "files are in the way of the first checkout in {}: {}. Move them somewhere else, then press Redeliver",
        folder.display(),
        redaction::list(&names)
    )
}

/// The remote, without its login. What may still be one stands on no command line: git gets another word for it, in whose
/// place it comes into the file.
fn set_remote(git: &Git<'_>, url: &RemoteUrl) -> Result<()> {
    let url = git::without_login(url)?;
    if url.credential().is_none() {
        git.set_config("remote.origin.url", url.as_str())?;
    } else {
        git.set_config("remote.origin.url", URL_TO_COME)?;
        let file = git.checkout.git_dir.join("config");
        let what = || format!("cannot write the remote into {}", file.display());
        let text = std::fs::read_to_string(&file).with_context(what)?;
        let mode = file.metadata().with_context(what)?.permissions();
        let text = text.replacen(URL_TO_COME, &git::quoted(url.as_str()), 1);
        files::replace(&file, text.as_bytes(), Sync::No)?;
        std::fs::set_permissions(&file, mode).with_context(what)?;
    }
    git.set_config("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
}
