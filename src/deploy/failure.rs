//! Why a step of a deploy failed: kept as values, put into words at the end.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Result;

use super::Deploy;
use crate::diagnosis::{self, Cause, Diagnosis, Situation, explain};
use crate::git::{Found, Git, Tracking, Upstream};
use crate::outcome::{Failure, Step};
use crate::process::{End, Ended};
use crate::redaction;

/// The last lines of a failed command's output that a report has, and the most bytes of them.
const MAX_LINES: usize = 40;
const MAX_BYTES: usize = 4 << 10;

/// A step that failed.
#[derive(Debug)]
pub(super) struct StepFailed {
    pub(super) step: Step,
    pub(super) cause: Cause,
    pub(super) output: String,
    /// Submodules that are not at the recorded commit, where the main tree is new already.
    pub(super) behind: Vec<PathBuf>,
}

impl StepFailed {
    /// What is known without the words of a command.
    pub(super) fn stated(step: Step, cause: Cause) -> Self {
        Self {
            step,
            cause,
            output: String::new(),
            behind: Vec::new(),
        }
    }

    /// A submodule is not where it belongs.
    pub(super) fn behind(path: PathBuf, cause: Cause) -> Self {
        Self {
            behind: vec![path],
            ..Self::stated(Step::Submodules, cause)
        }
    }

    /// A command of git's that did not end well.
    pub(super) fn ended(step: Step, ended: &Ended, git: &Git<'_>) -> Self {
        let output = diagnosis::without_warnings(&String::from_utf8_lossy(&ended.output));
        let output = with_names_on_one_line(&output, git);
        let cause = match ended.end {
            End::Limit(_) | End::Signal(_) => None,
            End::Exit(_) | End::Stopped => Cause::of_output(&output),
        };
        Self {
            output,
            ..Self::stated(step, cause.unwrap_or(Cause::Ended(ended.end)))
        }
    }

    /// In words. Without git there is none to look with, and the words are those of the error.
    pub(super) fn explained(
        &self,
        deploy: &Deploy<'_>,
        upstream: Option<&Upstream>,
        hidden: &[String],
    ) -> Failure {
        let explained = |git: Git<'_>| {
            let found = || match git.tracking(deploy.site.branch.as_deref()) {
                Ok(Tracking::Upstream(upstream)) => Some(upstream),
                Ok(Tracking::None(_)) | Err(_) => None,
            };
            let upstream = upstream.cloned().or_else(found);
            let at = Situation::new(deploy.site, &git, deploy.host, upstream.as_ref());
            explain(&self.cause, &at.with_output(&self.output))
        };
        let mut explained = Git::new(deploy.site, deploy.checkout, deploy.host).map_or_else(
            |error| Diagnosis::unexplained(format!("{error:#}")),
            explained,
        );
        if !self.behind.is_empty() {
            let _ = write!(
                explained.cause,
                ". The main tree is new already; not at the recorded commit: {}",
                redaction::list(&self.behind)
            );
        }
        Failure {
            step: self.step,
            diagnosis: explained.shown(hidden),
            said: shown(&tail_of(&masked(&self.output, hidden)), hidden),
        }
    }
}

impl From<anyhow::Error> for StepFailed {
    fn from(error: anyhow::Error) -> Self {
        let (cause, output) = Cause::of_error(&error);
        Self {
            output,
            ..Self::stated(Step::Start, cause)
        }
    }
}

/// What git printed, with every name in a submodule on one line: nobody who names something there can put a message of
/// git's, or a report of ours, behind a line break. Where the names are not known, all of it is one line.
fn with_names_on_one_line(output: &str, git: &Git<'_>) -> String {
    match names_in_submodules(git) {
        Ok(paths) => diagnosis::with_names_on_one_line(output, &paths),
        Err(_) => redaction::escape_line(output),
    }
}

/// The paths of submodules, and of the files that they have at what is recorded and at the tips of their remotes.
fn names_in_submodules(git: &Git<'_>) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for submodule in git.submodules()? {
        let tree = git.submodule(&submodule.path);
        if submodule.found != Found::Nothing {
            let mut commits = tree.remote_tips()?;
            commits.push(submodule.recorded);
            for commit in &commits {
                if tree.has_commit(commit)? {
                    paths.extend(tree.paths_of(commit)?);
                }
            }
        }
        paths.push(submodule.path);
    }
    Ok(paths)
}

/// Without what must stay hidden. Before anything is cut off: half of it would not be known any more.
pub(super) fn masked(text: &str, hidden: &[String]) -> String {
    redaction::redact(text, hidden.iter().map(String::as_str))
}

pub(super) fn shown(text: &str, hidden: &[String]) -> String {
    redaction::escape(&redaction::redact(text, hidden.iter().map(String::as_str)))
}

pub(super) fn tail_of(output: &str) -> String {
    let from = output.len().saturating_sub(MAX_BYTES);
    let text = &output[output.ceil_char_boundary(from)..];
    // Progress overwrites itself; what stood there last is what counts.
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.rsplit('\r').next().unwrap_or(line))
        .collect();
    lines[lines.len().saturating_sub(MAX_LINES)..].join("\n")
}
