//! Every thing a deploy needs, each with ok, warning or problem, and for those what to do.
//!
//! Looks and never writes, so that it can be asked at any time. Needs neither a request nor a turn. What went wrong is
//! said in the words of the diagnosis, as the deploy would say it. A file for each subject.

/// A finding of something that is not as it should be: what was found, what to do in words, and the commands, one each.
macro_rules! finding {
    ($findings:expr, $state:expr, $what:expr, $found:literal; $words:literal $(; $command:literal)*) => {
        $findings.finding($state, $what, format!($found), format!($words), [$(format!($command)),*])
    };
}

mod checkout;
mod commit_status;
mod entrance;
mod git;
mod hook;
mod remote;
mod secrets;
mod state;
mod submodules;
mod user;

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use crate::cgi::Environment;
use crate::curl;
use crate::delivery::{Delivery, Ping};
use crate::diagnosis::{Advice, Cause, Diagnosis, Situation, explain};
use crate::git::{Git, Upstream};
use crate::repository_name::RepositoryName;
use crate::site::{Site, StatusPage};
use crate::user::User;

pub(crate) use entrance::{MAX_LINE, web_root};

/// Less than this is too little to ask git or a remote.
const MIN_TIME: Duration = Duration::from_millis(300);

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) what: &'static str,
    pub(crate) state: Health,
    /// What was found, and what to do about it.
    pub(crate) said: Diagnosis,
}

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Health {
    Ok,
    /// A deploy works, but somebody should know.
    Warning,
    /// It may fail of it: that cannot be known from here, or not now.
    Unknown,
    /// A deploy would fail.
    Problem,
}

impl Health {
    /// What it means for a deploy.
    pub(crate) fn verdict(self) -> &'static str {
        match self {
            Self::Ok | Self::Warning => "a deploy would work",
            Self::Unknown => "a deploy may fail",
            Self::Problem => "a deploy would fail",
        }
    }
}

/// What was found so far, with advice for whoever looks after what this user deploys.
struct Findings<'d> {
    user: &'d User,
    all: Vec<Finding>,
}

impl Findings<'_> {
    fn add(&mut self, state: Health, what: &'static str, said: Diagnosis) {
        self.all.push(Finding { what, state, said });
    }

    fn ok(&mut self, what: &'static str, found: impl Into<String>) {
        self.add(Health::Ok, what, Diagnosis::unexplained(found));
    }

    fn finding(
        &mut self,
        state: Health,
        what: &'static str,
        found: impl Into<String>,
        words: impl Into<String>,
        commands: impl IntoIterator<Item = String>,
    ) {
        let advice = Advice::new(self.user, words, commands);
        let cause = found.into();
        let advice = Some(advice);
        self.add(state, what, Diagnosis { cause, advice });
    }

    /// What somebody stated as the cause, in the words of the diagnosis.
    fn cause(&mut self, state: Health, what: &'static str, cause: &Cause, at: &Situation<'_>) {
        self.add(state, what, explain(cause, at));
    }

    /// An error, whose chain says what to do where there is something.
    fn error(&mut self, state: Health, what: &'static str, error: &anyhow::Error) {
        self.add(state, what, Diagnosis::unexplained(format!("{error:#}")));
    }
}

/// Examines a site whose file could be read, with the environment and as the user that would deploy it; and the hook, where
/// it sent this ping. Ends at `until`.
pub(crate) fn examine(
    site: &Site,
    env: &Environment,
    until: Instant,
    ping: Option<(&Ping, &Delivery)>,
) -> Vec<Finding> {
    let user = &User::running(env);
    let mut doctor = Doctor {
        site,
        env,
        user,
        until,
        findings: entrance::examine(&site.file, user, env),
        repositories: Vec::new(),
        hidden: Vec::new(),
    };
    doctor.running_user();
    doctor.live();
    doctor.status_page();
    doctor.secret_file();
    doctor.checkout();
    if let Some((ping, delivery)) = ping {
        doctor.hook(ping, delivery);
    }
    let Doctor {
        findings, hidden, ..
    } = doctor;
    let shown = |finding: Finding| Finding {
        said: finding.said.shown(&hidden),
        ..finding
    };
    findings.all.into_iter().map(shown).collect()
}

/// What can be found of a site whose file cannot be read or understood.
pub(crate) fn unreadable(file: &Path, error: &anyhow::Error, env: &Environment) -> Vec<Finding> {
    let user = User::running(env);
    let mut findings = entrance::examine(file, &user, env);
    findings.all.retain(|finding| finding.state != Health::Ok);
    findings.error(Health::Problem, "site file", error);
    findings.all
}

/// The worst of what was found.
pub(crate) fn worst(findings: &[Finding]) -> Health {
    let states = findings.iter().map(|finding| finding.state);
    states.max().unwrap_or(Health::Ok)
}

/// The findings as lines, for a person.
pub(crate) fn report(findings: &[Finding]) -> String {
    let mut report = String::new();
    for finding in findings {
        let state = match finding.state {
            Health::Ok => "ok",
            Health::Warning => "warning",
            Health::Unknown => "unknown",
            Health::Problem => "PROBLEM",
        };
        let _ = writeln!(
            report,
            "{state:<8} {:<13} {}",
            finding.what, finding.said.cause
        );
        if let Some(advice) = &finding.said.advice {
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
    findings: Findings<'d>,
    /// Whose pushes are deployed, the site's own first.
    repositories: Vec<RepositoryName>,
    /// What must not be shown.
    hidden: Vec<String>,
}

impl<'d> Doctor<'d> {
    /// The key `live` needs a program that git does without.
    fn live(&mut self) {
        let Some(page) = &self.site.live else {
            return;
        };
        match self.site.programs.find(curl::PROGRAM) {
            Some(_) => self
                .findings
                .ok("live", format!("{page} is asked after a deploy")),
            None => {
                finding!(self.findings, Health::Problem, "live", "there is no curl here to ask it";
                    "install it, name its folder with the key `path`, or remove the key `live`";
                    "sudo apt-get install curl");
            }
        }
    }

    /// Who is shown what was deployed.
    fn status_page(&mut self) {
        let shown = match self.site.status_page {
            StatusPage::Off => return,
            StatusPage::Open => "everybody who opens the address of this site file sees it",
            StatusPage::SecretLink => {
                "whoever has the key that ./deploy.cgi status --link prints sees it"
            }
        };
        self.findings.ok("status page", shown);
    }

    /// Whether there is time left for git. Where there is none, that is found.
    fn has_time_for(&mut self, what: &'static str) -> bool {
        let has_time = Instant::now() + MIN_TIME < self.until;
        if !has_time {
            finding!(self.findings, Health::Unknown, what, "not looked at: there was no time left for it";
                "press Redeliver on the ping, or run check, to look again");
        }
        has_time
    }

    /// What there is. An error of ours is a problem, where there was time to look.
    fn known<T>(&mut self, what: &'static str, result: Result<T>) -> Option<T> {
        let state = if Instant::now() < self.until {
            Health::Problem
        } else {
            Health::Unknown
        };
        let findings = &mut self.findings;
        result
            .inspect_err(|error| findings.error(state, what, error))
            .ok()
    }

    fn situation<'s>(&self, git: &'s Git<'s>, followed: Option<&Upstream>) -> Situation<'s>
    where
        'd: 's,
    {
        Situation::new(self.site, git, self.env, followed)
    }
}
