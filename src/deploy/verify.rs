//! Whether each ticket's commit has reached the checkout; not whether a visitor sees it.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::aim::Aim;
use super::triage::{Absence, NotLive, Triage};
use super::update::Update;
use crate::commit_id::CommitId;
use crate::git::{self, Ancestry, Git, Upstream};
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

/// What becomes of one ticket.
enum Visibility {
    Ready,
    ReadyBut(String),
    NotLive(Absence, String),
    NotYet,
    TimedOut,
    Ignored(String),
}

impl Update<'_> {
    /// Sorts the tickets, where `now` is what the checkout has.
    pub(super) fn triage(&self, tickets: &[Ticket], now: &LastGood) -> Result<Triage> {
        let mut triage = Triage::default();
        let green = match self.deploy.aim {
            Aim::Green(_) => Some(Green::read(self.deploy.state())?),
            Aim::Tip | Aim::Back(_) => None,
        };
        for ticket in tickets.iter().cloned() {
            let push = ticket.push.as_ref();
            let Some((push, commit)) = push.and_then(|push| Some((push, push.after.clone()?)))
            else {
                triage.ready.push(ticket);
                continue;
            };
            let seen = visibility_of_a_run(push, &commit, self, green.as_ref())?;
            let seen = seen.map_or_else(
                || visibility(push, &commit, self.git, self.upstream, now),
                Ok,
            );
            match seen? {
                Visibility::Ready => triage.ready.push(ticket),
                Visibility::ReadyBut(remark) => {
                    triage.remarks.push(remark);
                    triage.ready.push(ticket);
                }
                Visibility::NotLive(how, why) => {
                    triage.remarks.push(why.clone());
                    triage.not_live.push(NotLive {
                        ticket: ticket.name.clone(),
                        how,
                        why,
                    });
                    triage.ready.push(ticket);
                }
                Visibility::NotYet => triage.not_visible.push(ticket),
                Visibility::TimedOut => triage.timed_out.push((ticket, commit)),
                Visibility::Ignored(why) => triage.ignored.push((ticket, why)),
            }
        }
        Ok(triage)
    }
}

/// What is said only where a workflow has to succeed first.
fn visibility_of_a_run(
    push: &PushRequest,
    commit: &CommitId,
    update: &Update<'_>,
    green: Option<&Green>,
) -> Result<Option<Visibility>> {
    let Upstream { branch, .. } = update.upstream;
    if push.green {
        let tip = format!("{branch}@{{upstream}}");
        let in_branch = update.git.top().ancestry_in(commit, &tip)?;
        return Ok(Some(match in_branch {
            Ancestry::Contained => Visibility::Ready,
            Ancestry::Outside | Ancestry::Absent => Visibility::Ignored(format!(
                "the run for {}: {} does not have this commit",
                commit.short(),
                redaction::excerpt(&update.upstream.upstream_name())
            )),
        }));
    }
    // It came while deploys were held, or is not the newest any more.
    let waits = green.is_some_and(|green| !green.is_green(commit));
    Ok(waits.then(|| {
        Visibility::ReadyBut(format!(
            "the pushed commit {} waits for its workflow to succeed",
            commit.short()
        ))
    }))
}

fn visibility(
    push: &PushRequest,
    commit: &CommitId,
    git: &Git<'_>,
    upstream: &Upstream,
    now_there: &LastGood,
) -> Result<Visibility> {
    // Before the first checkout nobody knew which branch it would be.
    let branch = push.git_ref.strip_prefix("refs/heads/");
    if push.submodule.is_none() && branch.is_some_and(|branch| branch != upstream.remote_branch()) {
        return Ok(Visibility::ReadyBut(format!(
            "the push of {} was ignored: this site follows {}",
            redaction::excerpt(&push.git_ref),
            redaction::excerpt(upstream.remote_branch())
        )));
    }
    let below = Path::new(push.submodule.as_deref().unwrap_or(""));
    let tip = now_there.commit_of(below);
    if tip == Some(commit) {
        return Ok(Visibility::Ready);
    }
    let tree = git.submodule(below);
    let is_younger = |age: Duration| now().abs_diff(push.received) < age.as_secs();
    let is_the_old_tip = tip.is_some() && tip == push.before.as_ref();
    Ok(match tree.ancestry(commit)? {
        Ancestry::Contained => Visibility::Ready,
        // Another branch brought it here before this one showed it.
        Ancestry::Outside if is_the_old_tip && is_younger(PATIENCE_WITH_AN_OLD_TIP) => {
            Visibility::NotYet
        }
        Ancestry::Outside => Visibility::NotLive(
            Absence::Withdrawn,
            format!(
                "the pushed commit {} is not in the branch: a later push withdrew it",
                commit.short()
            ),
        ),
        Ancestry::Absent
            if git::is_shallow(&tree.folder)? && !is_younger(PATIENCE_OF_A_SHALLOW_CLONE) =>
        {
            Visibility::NotLive(
                Absence::Perhaps,
                format!(
                    "the pushed commit {} is not here: it is older than this shallow clone reaches back, or a later push \
                 withdrew it",
                    commit.short()
                ),
            )
        }
        Ancestry::Absent if is_younger(PATIENCE) => Visibility::NotYet,
        Ancestry::Absent => Visibility::TimedOut,
    })
}
