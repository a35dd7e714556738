//! The first checkout, on hosts without a shell: a folder for tickets and locks at once, so that nothing is lost, and the
//! rest under the turn, in steps that can each be cut short and done again.
//!
//! Must not know requests or reports.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use super::Deploy;
use super::heal::Healer;
use super::marker::Interrupted;
use super::pull::Aim;
use crate::backup::Backup;
use crate::commit_id::CommitId;
use crate::diagnosis::{Cause, Stated};
use crate::files::{self, Sync};
use crate::git::{
    self, CLONING, Checkout, Git, ObjectFormat, RemoteHead, WorkTree, config_section, quoted,
};
use crate::green::Green;
use crate::process::Ended;
use crate::redaction;
use crate::remote_url::RemoteUrl;
use crate::site::Site;
use crate::state::StateFolder;

/// What the file [`CLONING`] in the state folder says once files are being written: from then on, what is in the work tree may be ours.
const WRITING: &[u8] = b"writing";

/// The state folder, below the git directory.
const STATE: &str = "deploy-cgi";

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

/// Not there, or an empty folder, or a link to one, or where a first checkout died at its very beginning. Anything else is
/// somebody's.
fn is_nothing(repo: &Path) -> bool {
    let git_dir = repo.join(".git");
    holds_at_most(repo, ".git")
        && holds_at_most(&git_dir, STATE)
        && holds_at_most(&git_dir.join(STATE), "")
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

/// Does what is left to do of a first checkout: repository, remote, fetch, branch. Each step can be done again.
pub(super) fn finish(deploy: &Deploy<'_>, url: &RemoteUrl, git: &Git<'_>) -> Result<Cloned> {
    let (site, state) = (deploy.site, deploy.state);
    // Before anything that may meet one.
    let any = Interrupted {
        began: SystemTime::UNIX_EPOCH,
        is_healing: false,
    };
    Healer::new(git, any).remove_unfinished()?;
    if let Some(ended) = make_repository(git, url, ObjectFormat::Sha1)? {
        return Ok(Cloned::Not(ended));
    }
    let config = git.read_config()?;
    let (head, format) = match git.remote_head()? {
        RemoteHead::Found { branch, format } => (branch, format),
        RemoteHead::Failed(ended) => return Ok(Cloned::Not(ended)),
    };
    if format != config.format() {
        // Nothing is in it yet. Without these `git init` takes it for none: the two formats do not mix.
        for file in ["HEAD", "config"] {
            files::remove_if_there(&git.checkout.git_dir.join(file))?;
        }
        if let Some(ended) = make_repository(git, url, format)? {
            return Ok(Cloned::Not(ended));
        }
        git.read_config()?;
    }
    let Some(branch) = site.branch.clone().or(head) else {
        return Err(Stated(Cause::NoDefaultBranch).into());
    };
    let fetched = git.fetch_origin(&branch)?;
    if !fetched.end.is_good() {
        return Ok(Cloned::Not(fetched));
    }
    let top = git.top();
    let green = match (deploy.aim, top.remote_tip(&branch)?) {
        (Aim::Green(workflow), Some(tip)) => Some(first_green(workflow, &tip, &top, state)?),
        (Aim::Green(_), None) | (Aim::Tip, _) => None,
    };
    if state.read(CLONING)?.as_deref() != Some(WRITING) {
        ensure_no_files(&git.checkout.folder)?;
        state.write(CLONING, WRITING)?;
    }
    // One that came as far as a commit may have been taken for whole, and worked in.
    let mut kept = None;
    if top.head()?.is_some()
        && let Some(target) = green
            .clone()
            .map_or_else(|| top.remote_tip(&branch), |green| Ok(Some(green)))?
    {
        let edits = top.edits()?;
        kept = Backup::default().before_reset(&top, &edits, &target, None)?;
    }
    let checked_out = match &green {
        None => git.check_out(&branch)?,
        Some(green) => git.check_out_at(green, &branch)?,
    };
    if !checked_out.end.is_good() {
        return Ok(Cloned::Not(checked_out));
    }
    state.remove(CLONING)?;
    Ok(Cloned::Whole(kept))
}

/// The newest commit of a branch that a workflow is known to have succeeded for.
fn first_green(
    workflow: &str,
    tip: &CommitId,
    top: &WorkTree<'_>,
    state: &StateFolder,
) -> Result<CommitId> {
    let known = Green::read(state)?;
    let passed = known.commits();
    let commits = top.newest_commits(tip, None)?;
    commits
        .into_iter()
        .find(|commit| passed.contains(commit))
        .with_context(|| {
            format!("the first checkout is made at the first commit that {workflow} succeeds for; none is known yet")
        })
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

/// `git init`, and the remote, without its login. Returns the command that failed, if one did.
fn make_repository(git: &Git<'_>, url: &RemoteUrl, format: ObjectFormat) -> Result<Option<Ended>> {
    let made = git.init(format)?;
    if !made.end.is_good() {
        return Ok(Some(made));
    }
    let file = git.checkout.git_dir.join("config");
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("cannot read {}", file.display()))?;
    // Until there is a branch, the remote's section is the last one.
    let section = config_section("remote", "origin");
    let own = text.split(&section).next().unwrap_or(&text);
    let url = quoted(git::without_login(url)?.as_str());
    let text =
        format!("{own}{section}\turl = {url}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n");
    let readable = file.metadata().map(|file| file.permissions());
    files::replace(&file, text.as_bytes(), Sync::No)?;
    // As git made it.
    readable
        .and_then(|readable| std::fs::set_permissions(&file, readable))
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(None)
}
