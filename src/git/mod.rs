//! The git commands we use, a method each, with typed results; and how git is started for them.
//!
//! Knows checkouts and what git prints. Must not know tickets, requests or reports: nothing is decided here, and no text is
//! made for a person but errors.
//!
//! | room | what lives there |
//! | --- | --- |
//! | [`command`] | how every git is started |
//! | [`environment`], [`config`], [`login`], [`ssh`] | what it is given: variables, its own configuration, logins, ssh |
//! | [`known`] | the configuration as it was last read, and what follows from it |
//! | [`handover`] | the same, for the next process of ours |
//! | [`deploy_keys`] | which key ssh offers to which host and repository |
//! | [`checkout`] | which folder is a work tree, and where its git directory is |
//! | [`index`] | the index and what differs from it: one parser for what git lists |
//! | [`object`] | what a repository has, and what git makes of it |
//! | [`branch`] | what is checked out, its upstream, and how commits stand to each other |
//! | [`transfer`] | what comes from a remote: fetch, pull, reset, maintenance |
//! | [`submodule`] | submodules, and the repositories that git keeps of them |
//! | [`backup`] | commits that keep what a reset removes |
//! | [`lfs`] | files that git-lfs keeps |

use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::cgi::Environment;
use crate::process::{FileInMemory, Progress};
use crate::remote_url::RemoteUrl;
use crate::site::Site;
use crate::user::User;

mod backup;
mod branch;
mod checkout;
mod command;
mod config;
mod deploy_keys;
mod diff;
mod environment;
mod handover;
mod index;
mod known;
mod lfs;
mod login;
mod object;
mod ssh;
mod submodule;
mod transfer;

pub(crate) use branch::{
    Ancestry, Commit, Commits, Heads, NewCommits, NoUpstream, Own, Tracking, Upstream,
};
pub(crate) use checkout::{
    CLONING, Checkout, ObjectFormat, common_dir, git_dir_of, gitmodules_text, is_shallow,
};
pub(crate) use command::GitFailed;
pub(crate) use config::{Config, Module, quoted};
pub(crate) use handover::Handover;
pub(crate) use index::{
    Blob, Change, Difference, Edits, Entry, Gitlink, Indexed, Kind, MissingFrom,
};
use known::Known;
pub(crate) use login::{has_lost_its_login, without_login};
pub(crate) use object::begins_with;
pub(crate) use submodule::{Found, Listed, ModuleState, Source, Submodule};
pub(crate) use transfer::{FETCHES_AT_A_TIME, RemoteHead};

/// Git, ready to be run in one checkout.
pub(crate) struct Git<'s> {
    pub(crate) checkout: &'s Checkout,
    pub(crate) program: PathBuf,
    env: Vec<(OsString, OsString)>,
    limit: Duration,
    alive: Option<&'s File>,
    /// Whether a command that writes has ended badly.
    has_failed: Cell<bool>,
    /// What was last read of the checkout's configuration, and what git is told because of it.
    known: RefCell<Known>,
    /// It may have a login that the configuration lacks.
    clone: Option<RemoteUrl>,
    ssh: ssh::Ssh,
    /// Who ssh takes us for, whatever HOME says.
    user: User,
    /// Where GitHub's host keys are when they are not in our folder.
    host_keys: Option<FileInMemory>,
    until: Option<Instant>,
    progress: Option<Progress<'s>>,
}

/// A work tree of the checkout: itself, or one of its submodules.
pub(crate) struct WorkTree<'g> {
    pub(crate) git: &'g Git<'g>,
    pub(crate) folder: PathBuf,
    /// Its git directory, where neither is to be asked where the other is.
    git_dir: Option<PathBuf>,
}

impl<'s> Git<'s> {
    /// Finds git and makes its environment, from nothing.
    pub(crate) fn new(site: &Site, checkout: &'s Checkout, host: &Environment) -> Result<Self> {
        let Some(program) = site.programs.find("git") else {
            bail!(
                "git was not found in {}; if it is elsewhere, name its folder with the key `path`",
                site.programs.as_path().display()
            );
        };
        let user = User::running(host);
        let env = environment::environment(site, host, &user);
        Ok(Self {
            checkout,
            program,
            ssh: ssh::Ssh::of(site, &env),
            user,
            env,
            limit: site.timeout,
            alive: None,
            has_failed: Cell::new(false),
            known: RefCell::default(),
            clone: site.clone.clone(),
            host_keys: None,
            until: None,
            progress: None,
        })
    }

    /// Whether any command that writes has ended badly: then it may have left locks, even where a later one did the work.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.get()
    }

    /// The same git, for somebody who only looks: no command goes on past `until`, and no file is written for ssh.
    pub(crate) fn only_looking(self, until: Instant) -> Result<Self> {
        Ok(Self {
            until: Some(until),
            host_keys: Some(FileInMemory::with(ssh::GITHUBS_HOST_KEYS)?),
            ..self
        })
    }

    /// The same git, whose progress somebody watches.
    pub(crate) fn watched(self, progress: Option<Progress<'s>>) -> Self {
        Self { progress, ..self }
    }

    /// The same git, whose writing commands and their children hold `alive` open while any of them lives.
    pub(crate) fn holding(self, alive: &'s File) -> Self {
        Self {
            alive: Some(alive),
            ..self
        }
    }

    pub(crate) fn top(&self) -> WorkTree<'_> {
        self.work_tree(&self.checkout.folder)
    }

    /// The work tree of a submodule, by its path below the checkout; of the checkout itself by an empty one.
    pub(crate) fn submodule(&self, path: &Path) -> WorkTree<'_> {
        if path.as_os_str().is_empty() {
            return self.top();
        }
        self.work_tree(self.checkout.folder.join(path))
    }

    pub(crate) fn work_tree(&self, folder: impl Into<PathBuf>) -> WorkTree<'_> {
        WorkTree {
            git: self,
            folder: folder.into(),
            git_dir: None,
        }
    }

    /// A work tree and its git directory, whatever either says of where the other is.
    pub(crate) fn work_tree_of(
        &self,
        git_dir: impl Into<PathBuf>,
        folder: impl Into<PathBuf>,
    ) -> WorkTree<'_> {
        WorkTree {
            git_dir: Some(git_dir.into()),
            ..self.work_tree(folder)
        }
    }

    /// A git directory whose work tree does not matter, and may be gone.
    pub(crate) fn repository(&self, git_dir: &Path) -> WorkTree<'_> {
        self.work_tree_of(git_dir, git_dir)
    }
}

impl WorkTree<'_> {
    /// The git directory; `None` where the folder is no work tree (yet, or any more).
    pub(crate) fn git_dir(&self) -> Result<Option<PathBuf>> {
        self.git_dir
            .clone()
            .map_or_else(|| git_dir_of(&self.folder), |git_dir| Ok(Some(git_dir)))
    }
}
