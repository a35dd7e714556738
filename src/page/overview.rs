//! What is shown, gathered once as values. Every text in it is one line that is fit to be shown.

use anyhow::Result;
use serde::Serialize;

use crate::commit_id::{CommitId, short_range};
use crate::deploy::{Underway, clone};
use crate::green::Green;
use crate::history::{History, Record};
use crate::hold::Hold;
use crate::last_good::LastGood;
use crate::moment::Moment;
use crate::outcome::{Step, Verdict};
use crate::queue::{Queue, Ticket};
use crate::redaction::{excerpt, redact};
use crate::repository_name::RepositoryName;
use crate::site::Site;
use crate::state::StateFolder;

/// How many deploys are shown.
pub(super) const MOST_DEPLOYS: usize = 30;

/// The longest time that a deploy is said to have taken, in seconds.
const MAX_SECONDS: f64 = 1e6;

/// How a site stands.
#[derive(Debug, Default, Serialize)]
pub(super) struct Overview {
    pub(super) state: State,
    pub(super) branch: Option<String>,
    pub(super) live: Option<Live>,
    pub(super) running: Option<Running>,
    pub(super) held: Option<Hold>,
    /// How many deliveries the next deploy serves.
    pub(super) waiting: usize,
    /// Where a workflow has to succeed first.
    pub(super) workflow: Option<Workflow>,
    /// The last ones, newest first.
    pub(super) deploys: Vec<Deploy>,
    /// The remote's name at GitHub, where it is there.
    #[serde(skip)]
    pub(super) github: Option<RepositoryName>,
}

/// The first thing that somebody wants to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Running,
    Held,
    /// Deliveries wait, and no deploy is running.
    Waiting,
    /// The last deploy failed.
    Failed,
    /// The last deploy ended well.
    Deployed,
    /// There was no deploy yet.
    #[default]
    Nothing,
}

/// What the last deploy that ended well left.
#[derive(Debug, Serialize)]
pub(super) struct Live {
    pub(super) commit: CommitId,
    /// Where the deploy that brought it is still known.
    pub(super) since: Option<Moment>,
    pub(super) subject: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Running {
    pub(super) since: Moment,
    pub(super) step: Step,
}

/// The newest commits that a workflow passed and that were pushed.
#[derive(Debug, Serialize)]
pub(super) struct Workflow {
    pub(super) green: Option<CommitId>,
    pub(super) pushed: Option<CommitId>,
}

/// A deploy that ended.
#[derive(Debug, Serialize)]
pub(super) struct Deploy {
    pub(super) time: Moment,
    pub(super) verdict: Verdict,
    /// The step that it failed at.
    pub(super) step: Option<Step>,
    pub(super) branch: Option<String>,
    pub(super) old: Option<CommitId>,
    pub(super) new: Option<CommitId>,
    /// Of the newest commit that it brought.
    pub(super) subject: Option<String>,
    pub(super) seconds: f64,
}

impl Overview {
    pub(super) fn of(site: &Site) -> Result<Self> {
        let checkout = clone::stage_of(site)?.checkout();
        let state = checkout.as_ref().and_then(StateFolder::existing);
        let mut overview = match state {
            Some(state) => Self::of_state(site, &state, &Mask::of(site))?,
            // No delivery has come yet.
            None => Self::default(),
        };
        if overview.branch.is_none() {
            overview.branch.clone_from(&site.branch);
        }
        Ok(overview)
    }

    fn of_state(site: &Site, state: &StateFolder, mask: &Mask) -> Result<Self> {
        let underway = Underway::now(state)?;
        let is_served = |ticket: &Ticket| {
            let served = underway.as_ref().map(|underway| &underway.tickets);
            served.is_some_and(|served| served.contains(&ticket.name))
        };
        let tickets = Queue::of(state).list()?;
        let waiting = tickets.iter().filter(|ticket| !is_served(ticket));
        let waiting = waiting.flat_map(Ticket::serves).count();
        let running = underway.as_ref().map(|underway| Running {
            since: underway.since,
            step: underway.step,
        });
        let held = Hold::of(state).map(|hold| Hold {
            reason: mask.line(hold.reason),
            ..hold
        });
        let records = History::of(state).newest_records(MOST_DEPLOYS)?;
        // The newest that knows the remote: it may have been elsewhere before.
        let newest = records.iter().find(|record| record.branch.is_some());
        let github = newest.and_then(|record| record.github.as_deref());
        let github = github.and_then(RepositoryName::parse);
        let deploys = records.into_iter().map(|record| Deploy::of(record, mask));
        let deploys: Vec<Deploy> = deploys.collect();
        let live = LastGood::read(state)?.and_then(|last_good| last_good.head);
        let workflow = site.workflow.as_ref().map(|_| Green::read(state));
        Ok(Self {
            state: if running.is_some() {
                State::Running
            } else if held.is_some() {
                State::Held
            } else if waiting > 0 {
                State::Waiting
            } else {
                State::after(&deploys)
            },
            branch: deploys.iter().find_map(|deploy| deploy.branch.clone()),
            live: live.map(|commit| Live::of(commit, &deploys)),
            running,
            held,
            waiting,
            workflow: workflow.transpose()?.map(|green| Workflow {
                green: green.newest().cloned(),
                pushed: green.pushed,
            }),
            deploys,
            github,
        })
    }

    /// The last deploy, where it failed.
    pub(super) fn failed(&self) -> Option<&Deploy> {
        last_that_counts(&self.deploys).filter(|deploy| deploy.verdict == Verdict::Failed)
    }
}

/// The newest deploy that says how the site is.
fn last_that_counts(deploys: &[Deploy]) -> Option<&Deploy> {
    deploys
        .iter()
        .find(|deploy| deploy.verdict != Verdict::Ignored)
}

impl State {
    fn after(deploys: &[Deploy]) -> Self {
        match last_that_counts(deploys).map(|deploy| deploy.verdict) {
            Some(Verdict::Failed) => Self::Failed,
            Some(Verdict::Deployed | Verdict::Unchanged | Verdict::Back | Verdict::Ignored) => {
                Self::Deployed
            }
            None => Self::Nothing,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Held => "held",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::Deployed => "deployed",
            Self::Nothing => "nothing yet",
        }
    }

    /// What the style calls it.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            named => named.word(),
        }
    }
}

impl Live {
    fn of(commit: CommitId, deploys: &[Deploy]) -> Self {
        let brought = |deploy: &&Deploy| {
            matches!(deploy.verdict, Verdict::Deployed | Verdict::Back)
                && deploy.new.as_ref() == Some(&commit)
        };
        let by = deploys.iter().find(brought);
        let subjects = deploys
            .iter()
            .filter(|deploy| deploy.new.as_ref() == Some(&commit));
        Self {
            since: by.map(|deploy| deploy.time),
            subject: subjects
                .into_iter()
                .find_map(|deploy| deploy.subject.clone()),
            commit,
        }
    }
}

impl Deploy {
    fn of(record: Record, mask: &Mask) -> Self {
        Self {
            time: record.time,
            verdict: record.verdict,
            step: record.step.filter(|_| record.verdict == Verdict::Failed),
            branch: mask.line(record.branch),
            old: record.old,
            new: record.new,
            subject: mask.line(record.subject),
            seconds: record.seconds.clamp(0.0, MAX_SECONDS),
        }
    }

    /// The commits as they are shown: the one that is there, or from which one to which.
    pub(super) fn commits(&self) -> String {
        short_range(self.old.as_ref(), self.new.as_ref())
    }
}

/// What texts look like when they are shown.
struct Mask {
    hidden: Vec<String>,
}

impl Mask {
    fn of(site: &Site) -> Self {
        Self {
            hidden: site.secret_words(),
        }
    }

    fn line(&self, text: Option<String>) -> Option<String> {
        let hidden = || self.hidden.iter().map(String::as_str);
        text.map(|text| excerpt(&redact(&text, hidden())))
    }
}
