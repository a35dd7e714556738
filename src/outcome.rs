//! How a deploy can end, and its report in words.
//!
//! Must not know how a deploy is done, nor where its report is read: in GitHub's Recent Deliveries, a terminal, a mail.

use std::fmt::Write;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::commit_id::CommitId;
use crate::diagnosis::Diagnosis;
use crate::git::{Commit, NewCommits};

/// How a deploy ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// Something new is live, and `on_update` ended well.
    Deployed,
    /// Nothing differed from the last deploy.
    Unchanged,
    /// It is not live, or not all of it.
    Failed,
    /// The branch does not have what was asked for; nothing became of it.
    Ignored,
    /// An earlier state is live again.
    Back,
}

impl Verdict {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Deployed => "deployed",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
            Self::Ignored => "ignored",
            Self::Back => "back",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) branch: Option<String>,
    /// Where the last good deploy left HEAD, and where it is now.
    pub(crate) old: Option<CommitId>,
    pub(crate) new: Option<CommitId>,
    /// The commits between, fit to be shown.
    pub(crate) commits: NewCommits,
    pub(crate) submodules: Vec<Moved>,
    pub(crate) steps: Vec<StepTime>,
    /// What a person should know, although it is no failure.
    pub(crate) remarks: Vec<String>,
    pub(crate) failure: Option<Failure>,
    /// What it is where nothing failed.
    pub(crate) good: Verdict,
}

/// A submodule that is at another commit than the last good deploy left it at.
#[derive(Clone, Debug)]
pub(crate) struct Moved {
    /// Below the checkout, fit to be shown.
    pub(crate) path: String,
    pub(crate) old: Option<CommitId>,
    pub(crate) new: Option<CommitId>,
}

/// A step of a deploy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// Whatever comes before git is asked for anything.
    Start,
    Clone,
    Pull,
    Fetch,
    Merge,
    Reset,
    Submodules,
    OnUpdate,
    Live,
}

impl Step {
    /// What a report calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Clone => "clone",
            Self::Pull => "pull",
            Self::Fetch => "fetch",
            Self::Merge => "merge",
            Self::Reset => "reset",
            Self::Submodules => "submodules",
            Self::OnUpdate => "on_update",
            Self::Live => "live",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct StepTime {
    pub(crate) step: Step,
    pub(crate) took: Duration,
    /// Said behind the time, such as "failed".
    pub(crate) remark: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) step: Step,
    /// What is wrong, and what to do about it.
    pub(crate) diagnosis: Diagnosis,
    /// The tail of what the command printed, without credentials and control characters.
    pub(crate) said: String,
}

impl Failure {
    /// What to do, and what was printed.
    fn write(&self, report: &mut String) {
        if let Some(advice) = &self.diagnosis.advice {
            let _ = write!(report, "\n\nWhat to do: {advice}");
        }
        let said = self.said.trim();
        if said.is_empty() {
            return;
        }
        let who = if matches!(self.step, Step::OnUpdate | Step::Live) {
            "it"
        } else {
            "git"
        };
        let _ = write!(report, "\n\n{who} said:");
        for line in said.lines() {
            let _ = write!(report, "\n  {line}");
        }
    }
}

impl Outcome {
    pub(crate) fn verdict(&self) -> Verdict {
        match self.failure {
            Some(_) => Verdict::Failed,
            None => self.good,
        }
    }

    /// The report. Its first word is the verdict.
    pub(crate) fn report(&self) -> String {
        let mut report = self.headline();
        if let Some(failure) = &self.failure {
            failure.write(&mut report);
        }
        report.push('\n');
        let NewCommits { newest, count } = &self.commits;
        if !newest.is_empty() {
            report.push('\n');
            for Commit { id, subject } in newest {
                let _ = writeln!(report, "  {id} {subject}");
            }
            let more = count.saturating_sub(newest.len());
            if more > 0 {
                let _ = writeln!(report, "  and {more} more");
            }
        }
        if !self.submodules.is_empty() {
            report.push_str("\nsubmodules:\n");
            for Moved { path, old, new } in &self.submodules {
                let _ = writeln!(report, "  {path} {}", moved(old.as_ref(), new.as_ref()));
            }
        }
        for remark in &self.remarks {
            let _ = write!(report, "\nnote: {remark}\n");
        }
        if !self.steps.is_empty() {
            report.push('\n');
            let widths = self.steps.iter().map(|took| took.step.name().len());
            let width = widths.max().unwrap_or(0);
            for step in &self.steps {
                let (name, seconds) = (step.step.name(), step.took.as_secs_f64());
                let _ = write!(report, "{name:width$}  {seconds:.2} s");
                if let Some(remark) = &step.remark {
                    let _ = write!(report, "  {remark}");
                }
                report.push('\n');
            }
        }
        report
    }

    fn headline(&self) -> String {
        let branch = self.branch.as_deref().unwrap_or("the checkout");
        let at = self.new.as_ref().map_or("no commit", CommitId::short);
        match &self.failure {
            Some(failure) => {
                let (step, cause) = (failure.step.name(), &failure.diagnosis.cause);
                format!("failed at {step}: {cause}")
            }
            None if self.good == Verdict::Unchanged => {
                format!("unchanged {branch} is at {at}: nothing is new")
            }
            None if self.old == self.new => format!("{} {branch} at {at}", self.good.word()),
            None => {
                let count = match self.commits.count {
                    0 => String::new(),
                    1 => ", 1 commit".to_owned(),
                    n => format!(", {n} commits"),
                };
                let moved = moved(self.old.as_ref(), self.new.as_ref());
                format!("{} {branch} {moved}{count}", self.good.word())
            }
        }
    }
}

fn moved(old: Option<&CommitId>, new: Option<&CommitId>) -> String {
    match (old, new) {
        (Some(old), Some(new)) => format!("{}..{}", old.short(), new.short()),
        (None, Some(new)) => format!("new at {}", new.short()),
        (Some(_), None) => "removed".to_owned(),
        (None, None) => "not there".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::Advice;

    fn id(digit: &str) -> Option<CommitId> {
        CommitId::parse(&digit.repeat(40))
    }

    fn outcome() -> Outcome {
        Outcome {
            branch: Some("main".into()),
            old: id("1"),
            new: id("2"),
            commits: NewCommits {
                newest: vec![Commit {
                    id: "2222222".into(),
                    subject: "Write about spring".into(),
                }],
                count: 12,
            },
            submodules: vec![Moved {
                path: "posts".into(),
                old: None,
                new: id("3"),
            }],
            steps: vec![
                StepTime {
                    step: Step::Pull,
                    took: Duration::from_millis(312),
                    remark: None,
                },
                StepTime {
                    step: Step::OnUpdate,
                    took: Duration::from_millis(50),
                    remark: None,
                },
            ],
            remarks: vec!["a remark".into()],
            failure: None,
            good: Verdict::Deployed,
        }
    }

    #[test]
    fn a_report_says_what_came_and_how_long_it_took() {
        assert_eq!(
            outcome().report(),
            "deployed main 1111111..2222222, 12 commits\n\n  2222222 Write about spring\n  and 11 more\n\n\
             submodules:\n  posts new at 3333333\n\nnote: a remark\n\npull       0.31 s\non_update  0.05 s\n"
        );
    }

    #[test]
    fn a_failure_says_what_is_wrong_and_what_to_do() {
        let failure = Failure {
            step: Step::Pull,
            diagnosis: Diagnosis {
                cause: "the branch was rewritten".into(),
                advice: Some(Advice {
                    words: "do this".into(),
                    commands: vec!["git reset".into()],
                }),
            },
            said: "fatal: no\nhint: x\n".into(),
        };
        let failed = Outcome {
            failure: Some(failure),
            commits: NewCommits::default(),
            submodules: vec![],
            remarks: vec![],
            ..outcome()
        };
        assert_eq!(failed.verdict(), Verdict::Failed);
        assert_eq!(
            failed.report(),
            "failed at pull: the branch was rewritten\n\nWhat to do: do this:\n    git reset\n\ngit said:\n  fatal: no\n  hint: x\n\n\
             pull       0.31 s\non_update  0.05 s\n"
        );
    }

    #[test]
    fn nothing_new_is_said_in_one_line() {
        let same = Outcome {
            good: Verdict::Unchanged,
            commits: NewCommits::default(),
            submodules: vec![],
            remarks: vec![],
            steps: vec![],
            ..outcome()
        };
        assert_eq!(same.verdict(), Verdict::Unchanged);
        assert_eq!(
            same.report(),
            "unchanged main is at 2222222: nothing is new\n"
        );
    }
}
