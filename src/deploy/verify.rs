//! Whether each ticket's commit has reached the checkout; not whether a visitor sees it.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::triage::{Fate, Triaged};
use super::update::Update;
use crate::commit_id::CommitId;
use crate::git::{self, Ancestry};
use crate::green::Green;
use crate::last_good::LastGood;
use crate::queue::{PushRequest, Ticket, now};
use crate::redaction;

/// How long a pushed commit may be missing at the remote, from its arrival: GitHub's replicas lag by seconds.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long a remote that still has what was there before the push is given to show it, where the pushed commit is here
/// already: it may have been withdrawn, too.
const PATIENCE_WITH_AN_OLD_TIP: Duration = Duration::from_secs(4);

/// How long a pushed commit may be missing that a shallow clone need not have: it may be older than that reaches back.
const PATIENCE_OF_A_SHALLOW_CLONE: Duration = Duration::from_secs(10);

impl Update<'_> {
    /// The same tickets, by what is seen of them where `now` is what the checkout has.
    pub(super) fn triage(&self, tickets: &[Triaged], now: &LastGood) -> Result<Vec<Triaged>> {
        let green = self.deploy.green()?;
        let triaged = |Triaged { ticket, .. }: &Triaged| {
            let fate = self.fate_of(ticket, green.as_ref(), now)?;
            let ticket = ticket.clone();
            Ok(Triaged { ticket, fate })
        };
        tickets.iter().map(triaged).collect()
    }

    fn fate_of(&self, ticket: &Ticket, green: Option<&Green>, now: &LastGood) -> Result<Fate> {
        let (Some(push), Some(commit)) = (&ticket.push, ticket.commit()) else {
            return Ok(Fate::Served);
        };
        if push.green {
            return self.fate_of_a_run(commit);
        }
        // It came while deploys were held, or is not the newest any more.
        if green.is_some_and(|green| !green.is_green(commit)) {
            return Ok(Fate::ServedBut(format!(
                "the pushed commit {} waits for its workflow to succeed",
                commit.short()
            )));
        }
        self.fate_of_a_push(push, commit, now)
    }

    fn fate_of_a_run(&self, commit: &CommitId) -> Result<Fate> {
        let tip = format!("{}@{{upstream}}", self.upstream.branch);
        Ok(match self.git.top().ancestry_in(commit, &tip)? {
            Ancestry::Contained => Fate::Served,
            Ancestry::Outside | Ancestry::Absent => Fate::Ignored(format!(
                "the run for {}: {} does not have this commit",
                commit.short(),
                redaction::excerpt(&self.upstream.upstream_name())
            )),
        })
    }

    fn fate_of_a_push(
        &self,
        push: &PushRequest,
        commit: &CommitId,
        now_there: &LastGood,
    ) -> Result<Fate> {
        // Before the first checkout nobody knew which branch it would be.
        let branch = push.git_ref.strip_prefix("refs/heads/");
        let followed = self.upstream.remote_branch();
        if push.submodule.is_none() && branch.is_some_and(|branch| branch != followed) {
            return Ok(Fate::ServedBut(format!(
                "the push of {} was ignored: this site follows {}",
                redaction::excerpt(&push.git_ref),
                redaction::excerpt(followed)
            )));
        }
        let below = Path::new(push.submodule.as_deref().unwrap_or(""));
        let tip = now_there.commit_of(below);
        if tip == Some(commit) {
            return Ok(Fate::Served);
        }
        let tree = self.git.submodule(below);
        let is_younger = |age: Duration| now().abs_diff(push.received) < age.as_secs();
        let is_the_old_tip = tip.is_some() && tip == push.before.as_ref();
        let id = commit.short();
        Ok(match tree.ancestry(commit)? {
            Ancestry::Contained => Fate::Served,
            // Another branch brought it here before this one showed it.
            Ancestry::Outside if is_the_old_tip && is_younger(PATIENCE_WITH_AN_OLD_TIP) => {
                Fate::NotVisible
            }
            Ancestry::Outside => Fate::Withdrawn(format!(
                "the pushed commit {id} is not in the branch: a later push withdrew it"
            )),
            Ancestry::Absent
                if git::is_shallow(&tree.folder)? && !is_younger(PATIENCE_OF_A_SHALLOW_CLONE) =>
            {
                Fate::PerhapsWithdrawn(format!(
                    "the pushed commit {id} is not here: it is older than this shallow clone reaches back, or a later push \
                     withdrew it"
                ))
            }
            Ancestry::Absent if is_younger(PATIENCE) => Fate::NotVisible,
            Ancestry::Absent => Fate::TimedOut(commit.clone()),
        })
    }
}
