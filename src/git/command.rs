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
use crate::commit_id::CommitId;
use crate::process::{End, Ended, Run, Running};
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
    /// A command in the checkout itself that only reads.
    pub(super) fn reading(&self, words: &str) -> Command<'_> {
        self.top().reading(words)
    }

    /// One in the checkout itself that writes.
    pub(super) fn writing(&self, words: &str) -> Command<'_> {
        self.top().writing(words)
    }

    pub(super) fn at_most(&self, limit: Duration) -> Duration {
        let limit = limit.min(self.limit);
        self.until.map_or(limit, |until| {
            limit.min(until.saturating_duration_since(Instant::now()))
        })
    }

    /// What `git --version` says.
    pub(crate) fn version(&self) -> Result<String> {
        let run = Run {
            env: self.env.clone(),
            ..Run::new(&self.program, self.at_most(QUERY_LIMIT))
        };
        let version = Command { git: self, run }.words("--version");
        let version = version.ask("ask for the version of git, in the name")?;
        Ok(line(&version).trim_start_matches("git version ").to_owned())
    }
}

/// A command of git's that is about to be run.
pub(super) struct Command<'g> {
    git: &'g Git<'g>,
    pub(super) run: Run<'g>,
}

impl<'g> Command<'g> {
    /// Words as one types them, with a blank between.
    pub(super) fn words(self, words: &str) -> Self {
        self.args(words.split(' '))
    }

    pub(super) fn arg(self, arg: impl AsRef<OsStr>) -> Self {
        self.args([arg])
    }

    pub(super) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned());
        self.run.args.extend(args);
        self
    }

    pub(super) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.run.env.push((name.into(), value.into()));
        self
    }

    /// A look-up of what is here, and nothing else.
    pub(super) fn here(self) -> Self {
        let [(lazy, no), (protocols, none)] = WITHOUT_LAZY_FETCH;
        self.env(lazy, no).env(protocols, none)
    }

    /// What a look-up came to. One that a host or our limit ended is not to be taken for a no: a person's work may depend on
    /// it.
    pub(super) fn answer(self) -> Result<Ended> {
        let ended = self.run.output_apart()?;
        match ended.end {
            End::Limit(_) | End::Signal(KILL | TERM) => bail!("git {}", ended.end),
            End::Exit(_) | End::Signal(_) | End::Stopped => Ok(ended),
        }
    }

    /// What a command prints, where it ends well; else an error that says what could not be done.
    pub(super) fn ask(self, what: &str) -> Result<Vec<u8>> {
        let git = self.git;
        must(git, what, self.run.output_apart()?)
    }

    pub(super) fn write(self) -> Result<Ended> {
        let ended = self.run.output_together()?;
        if !ended.end.is_good() {
            self.git.has_failed.set(true);
        }
        Ok(ended)
    }

    /// Runs a command that writes, and has to end well.
    pub(super) fn write_or_fail(self, what: &str) -> Result<()> {
        let git = self.git;
        must(git, what, self.write()?).map(drop)
    }

    pub(super) fn begin(self) -> Result<Running<'g>> {
        self.run.begin()
    }
}

impl<'g> WorkTree<'g> {
    /// A command that only reads. `--no-optional-locks`: `status` would write the index anew, and lock it for that.
    pub(super) fn reading(&self, words: &str) -> Command<'g> {
        let run = Run {
            env: self.env(),
            ..Run::new(&self.git.program, self.git.at_most(QUERY_LIMIT))
        };
        let command = Command { git: self.git, run }.arg("--no-optional-locks");
        command.args(self.place()).words(words)
    }

    /// A command that writes.
    pub(super) fn writing(&self, words: &str) -> Command<'g> {
        let of_submodules = self.is_submodule() || words.starts_with("submodule ");
        let more = of_submodules.then_some(SUBMODULE_SETTINGS);
        let settings = WRITING_SETTINGS.iter().chain(more.into_iter().flatten());
        let known = self.git.known.borrow();
        let includes = known
            .files()
            .map(|file| option("include.path=", &file.path));
        let run = Run {
            env: self.writing_env(),
            inherited: self.git.alive,
            progress: self.git.progress,
            ..Run::new(&self.git.program, self.git.at_most(self.git.limit))
        };
        let command = Command { git: self.git, run }.args(self.place());
        command
            .args(settings.flat_map(|setting| ["-c", setting]))
            .args(includes.flat_map(|include| ["-c".into(), include]))
            .words(words)
    }

    /// Whether it is not the checkout's own: the work tree or the git directory of a submodule, at any level.
    fn is_submodule(&self) -> bool {
        self.folder != self.git.checkout.folder
    }

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
    if ended.end.is_good() {
        return Ok(ended.output);
    }
    // Where both outputs are together, there is no other.
    let printed = [ended.errors, ended.output]
        .into_iter()
        .find(|said| !said.is_empty());
    let error = GitFailed {
        doing: format!("cannot {what} of {}", git.checkout.folder.display()),
        printed: String::from_utf8_lossy(&printed.unwrap_or_default()).into_owned(),
        end: ended.end,
    };
    Err(error.into())
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

/// The commits whose ids stand in the lines of an output.
pub(super) fn commits_in(output: &[u8]) -> Vec<CommitId> {
    line(output).lines().filter_map(CommitId::parse).collect()
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
