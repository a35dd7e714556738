//! Every thing a deploy needs, each with ok, warning or problem, and for those what to do.
//!
//! Looks and never writes, so that it can be asked at any time. Needs neither a request nor a turn. What went wrong is
//! said in the words of the diagnosis, as the deploy would say it. A file for each subject.

mod checkout;
mod entrance;
mod git;
mod hook;
mod keys;
mod locks;
mod remote;
mod secrets;
mod state;
mod submodules;
mod user;

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::cgi::Environment;
use crate::diagnosis::{Advice, Cause, Diagnosis, Situation, explain};
use crate::site::Site;
use crate::user::User;

pub(crate) use entrance::{MAX_LINE, web_root};
pub(crate) use hook::of_ping;

/// How long looking at this host's own files may take, where nobody gives longer.
const LOCAL_LIMIT: Duration = Duration::from_secs(5);

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) what: &'static str,
    pub(crate) state: Health,
    /// What was found, in a sentence.
    pub(crate) found: String,
    /// What to do about it.
    pub(crate) advice: Option<Advice>,
}

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Health {
    Ok,
    /// A deploy works, but somebody should know.
    Warning,
    /// A deploy would fail.
    Problem,
}

impl Finding {
    fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self {
            what,
            state: Health::Ok,
            found: found.into(),
            advice: None,
        }
    }

    fn warning(what: &'static str, found: impl Into<String>, advice: Advice) -> Self {
        Self {
            what,
            state: Health::Warning,
            found: found.into(),
            advice: Some(advice),
        }
    }

    fn problem(what: &'static str, found: impl Into<String>, advice: Advice) -> Self {
        Self {
            what,
            state: Health::Problem,
            found: found.into(),
            advice: Some(advice),
        }
    }

    /// An error of ours, whose chain says what to do where there is something.
    fn error(what: &'static str, error: &anyhow::Error) -> Self {
        Self {
            what,
            state: Health::Problem,
            found: format!("{error:#}"),
            advice: None,
        }
    }

    pub(crate) fn is_problem(&self) -> bool {
        self.state == Health::Problem
    }
}

/// Examines a site whose file could be read, with the environment and as the user that would deploy it. What asks the
/// network ends at `until`.
pub(crate) fn examine(site: &Site, env: &Environment, until: Instant) -> Vec<Finding> {
    let user = User::running(env);
    let mut doctor = Doctor {
        site,
        env,
        user: &user,
        until,
        findings: entrance::examine(&site.file, &user, env),
        hidden: Vec::new(),
    };
    doctor.running_user();
    doctor.secret_file();
    doctor.checkout();
    let Doctor {
        findings, hidden, ..
    } = doctor;
    findings
        .into_iter()
        .map(|finding| {
            let said = Diagnosis {
                cause: finding.found,
                advice: finding.advice,
            };
            let shown = said.shown(&hidden);
            Finding {
                found: shown.cause,
                advice: shown.advice,
                ..finding
            }
        })
        .collect()
}

/// What can be found of a site whose file cannot be read or understood.
pub(crate) fn unreadable(file: &Path, error: &anyhow::Error, env: &Environment) -> Vec<Finding> {
    let user = User::running(env);
    let mut findings = entrance::examine(file, &user, env);
    findings.retain(|finding| finding.state != Health::Ok);
    findings.push(Finding::error("site file", error));
    findings
}

/// The findings as lines, for a person.
pub(crate) fn report<'f>(findings: impl IntoIterator<Item = &'f Finding>) -> String {
    let mut report = String::new();
    for finding in findings {
        let state = match finding.state {
            Health::Ok => "ok",
            Health::Warning => "warning",
            Health::Problem => "PROBLEM",
        };
        let _ = writeln!(report, "{state:<8} {:<13} {}", finding.what, finding.found);
        if let Some(advice) = &finding.advice {
            let _ = writeln!(report, "{:<8} {:<13} -> {advice}", "", "");
        }
    }
    report
}

/// One examination.
struct Doctor<'d> {
    site: &'d Site,
    env: &'d Environment,
    user: &'d User,
    until: Instant,
    findings: Vec<Finding>,
    /// What must not be shown.
    hidden: Vec<String>,
}

impl Doctor<'_> {
    fn ok(&mut self, what: &'static str, found: impl Into<String>) {
        self.findings.push(Finding::ok(what, found));
    }

    fn warn(&mut self, what: &'static str, found: impl Into<String>, advice: Advice) {
        self.findings.push(Finding::warning(what, found, advice));
    }

    fn problem(&mut self, what: &'static str, found: impl Into<String>, advice: Advice) {
        self.findings.push(Finding::problem(what, found, advice));
    }

    /// What somebody stated as the cause, in the words of the diagnosis.
    fn cause(&mut self, what: &'static str, state: Health, cause: &Cause, at: &Situation<'_>) {
        let explained = explain(cause, at);
        self.findings.push(Finding {
            what,
            state,
            found: explained.cause,
            advice: explained.advice,
        });
    }
}
