//! How every git is started: where it works, with which settings, in which environment, and for how long.
//!
//! A command that reads takes no locks; one that writes is told the settings below, and holds the lock that says that a
//! git of ours is alive. No text of a payload is ever part of a command line, but a commit id that is known to be one.
//! No English phrase of git decides anything: exit codes and `-z` output do.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::{Git, WorkTree};
use crate::process::{End, Ended, Run};
use crate::redaction;

/// What every git that writes is told: no maintenance behind our back (it outlives the step and keeps its locks), no
/// recursion into submodules where it was not asked for (a failed on-demand fetch keeps the pull from merging), no stash
/// of a person's edits (it ends in conflict markers), one remote.
const WRITING_SETTINGS: &[&str] = &[
    "maintenance.auto=false",
    "gc.auto=0",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "merge.autoStash=false",
    "rebase.autoStash=false",
    "fetch.all=false",
];

/// What every git is told beside that for submodules: branches and tags that their authors remove, move or add are not in
/// the way of what is followed. Deeper gits get it too, by way of the environment.
const SUBMODULE_SETTINGS: &[&str] = &["fetch.prune=true", "remote.origin.tagOpt=--no-tags"];

/// Others write the URLs of submodules: git's rules for those count (git-config(1), `protocol.allow`). `git submodule` says
/// so itself; what we run in a submodule has to.
const URL_OF_OTHERS: (&str, &str) = ("GIT_PROTOCOL_FROM_USER", "0");

/// What a look-up is given that asks whether something is here: in a partial clone git would bring it, and say yes. A git
/// that does not know the first one is kept from it by the second.
const WITHOUT_LAZY_FETCH: [(&str, &str); 2] =
    [("GIT_NO_LAZY_FETCH", "1"), ("GIT_ALLOW_PROTOCOL", "none")];

/// The signals with which hosts end what is over a limit.
const KILL: i32 = 9;
const TERM: i32 = 15;

/// The limit of a look-up that only reads.
const QUERY_LIMIT: Duration = Duration::from_mins(1);

impl Git<'_> {
    /// What a command that only reads prints, where it ends well; else an error that says what could not be done.
    pub(super) fn ask(&self, what: &str, run: Run<'_>) -> Result<Vec<u8>> {
        must(self, what, run.output_apart()?)
    }

    pub(super) fn at_most(&self, limit: Duration) -> Duration {
        let limit = limit.min(self.limit);
        self.until.map_or(limit, |until| {
            limit.min(until.saturating_duration_since(Instant::now()))
        })
    }

    /// How git is told the logins of remotes; its own children are told by the environment.
    fn login_settings(&self) -> Vec<OsString> {
        let logins = self.logins.borrow();
        let include = logins
            .iter()
            .map(|logins| option("include.path=", &logins.path));
        include.flat_map(|include| ["-c".into(), include]).collect()
    }

    /// What `git --version` says.
    pub(crate) fn version(&self) -> Result<String> {
        let run = Run {
            env: self.env.clone(),
            ..Run::new(&self.program, self.at_most(QUERY_LIMIT))
        };
        let ask = run.args(["--version"]);
        let version = self.ask("ask for the version of git, in the name", ask)?;
        Ok(line(&version).trim_start_matches("git version ").to_owned())
    }
}

impl<'g> WorkTree<'g> {
    /// Runs a command that only reads.
    pub(super) fn query<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Ended> {
        answered(self.reading(args).output_apart()?)
    }

    /// The same of what is here, and nothing else.
    pub(super) fn query_here<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Ended> {
        let here = WITHOUT_LAZY_FETCH.map(|(name, value)| (name.into(), value.into()));
        let mut query = self.reading(args);
        query.env.extend(here);
        answered(query.output_apart()?)
    }

    /// A command that only reads. `--no-optional-locks`: `status` would write the index anew, and lock it for that.
    pub(super) fn reading<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run<'g> {
        let run = Run {
            env: self.env(),
            ..Run::new(&self.git.program, self.git.at_most(QUERY_LIMIT))
        };
        run.args(["--no-optional-locks"])
            .args(self.place())
            .args(args.into_iter().map(|arg| arg.as_ref().to_owned()))
    }

    /// Runs a command that writes.
    pub(super) fn write<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Ended> {
        let ended = self.writing(args).output_together()?;
        if !ended.end.is_good() {
            self.git.has_failed.set(true);
        }
        Ok(ended)
    }

    /// A command that writes.
    pub(super) fn writing<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run<'g> {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned());
        let args: Vec<_> = args.collect();
        let of_submodules =
            self.is_submodule() || args.first().is_some_and(|verb| verb == "submodule");
        let more = if of_submodules {
            SUBMODULE_SETTINGS
        } else {
            &[]
        };
        let settings = WRITING_SETTINGS.iter().chain(more);
        let run = Run {
            env: self.writing_env(),
            inherited: self.git.alive,
            progress: self.git.progress,
            ..Run::new(&self.git.program, self.git.at_most(self.git.limit))
        };
        run.args(self.place())
            .args(settings.flat_map(|setting| ["-c", setting]))
            .args(self.git.login_settings())
            .args(args)
    }

    /// Whether it is not the checkout's own: the work tree or the git directory of a submodule, at any level.
    fn is_submodule(&self) -> bool {
        self.folder != self.git.checkout.folder
    }

    /// Git's environment here.
    pub(super) fn env(&self) -> Vec<(OsString, OsString)> {
        let mut env = self.git.env.clone();
        if self.is_submodule() {
            let (name, value) = URL_OF_OTHERS;
            env.retain(|(known, _)| known != name);
            env.push((name.into(), value.into()));
        }
        env
    }

    /// Where a command works. A checkout of another user's is trusted when it is the one the site names.
    pub(super) fn place(&self) -> Vec<OsString> {
        let mut place = vec!["-C".into(), self.folder.clone().into()];
        let uid = rustix::process::geteuid().as_raw();
        let others = |path: &Path| path.metadata().is_ok_and(|found| found.uid() != uid);
        let checkout = self.git.checkout;
        if others(&self.folder) || others(&checkout.git_dir) {
            for trusted in [&self.folder, &checkout.folder] {
                place.extend(["-c".into(), option("safe.directory=", trusted)]);
            }
        }
        if let Some(git_dir) = &self.git_dir {
            place.push(option("--git-dir=", git_dir));
            place.push(option("--work-tree=", &self.folder));
        }
        place
    }
}

/// What a command printed, where it ended well; else an error that says what could not be done.
pub(super) fn must(git: &Git<'_>, what: &str, ended: Ended) -> Result<Vec<u8>> {
    if !ended.end.is_good() {
        let error = GitFailed {
            doing: format!("cannot {what} of {}", git.checkout.folder.display()),
            printed: String::from_utf8_lossy(&ended.errors).into_owned(),
            end: ended.end,
        };
        return Err(error.into());
    }
    Ok(ended.output)
}

/// What a look-up came to. One that a host or our limit ended is not to be taken for a no: a person's work may depend on it.
pub(super) fn answered(ended: Ended) -> Result<Ended> {
    match ended.end {
        End::Limit(_) | End::Signal(KILL | TERM) => bail!("git {}", ended.end),
        End::Exit(_) | End::Signal(_) | End::Stopped => Ok(ended),
    }
}

pub(super) fn line(output: &[u8]) -> String {
    String::from_utf8_lossy(output)
        .trim_end_matches('\n')
        .to_owned()
}

/// A query of git's that did not end well.
#[derive(Debug)]
pub(crate) struct GitFailed {
    doing: String,
    pub(crate) printed: String,
    end: End,
}

impl std::error::Error for GitFailed {}

impl std::fmt::Display for GitFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let said = said(self.printed.as_bytes());
        write!(f, "{}: {said} ({})", self.doing, self.end)
    }
}

/// What a failed look-up said, on one line, without credentials.
pub(super) fn said(errors: &[u8]) -> String {
    redaction::escape_line(&redaction::redact(
        String::from_utf8_lossy(errors).trim(),
        [],
    ))
}

pub(super) fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push(path);
    option
}

pub(super) fn path_of(bytes: &[u8]) -> PathBuf {
    OsString::from_vec(bytes.to_vec()).into()
}

/// What `-z` lists.
pub(super) fn paths_in(listed: &[u8]) -> Vec<PathBuf> {
    let paths = listed.split(|&byte| byte == 0);
    paths.filter(|path| !path.is_empty()).map(path_of).collect()
}
