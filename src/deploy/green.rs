//! The newest commit of the branch that its workflow has passed, in place of the newest of all.

use anyhow::Result;

use super::failure::StepFailed;
use super::journal::Journal;
use super::triage::{Triaged, are_all_runs};
use super::update::Update;
use crate::commit_id::CommitId;
use crate::diagnosis::Cause;
use crate::git::{Ancestry, Heads};
use crate::green::Green;
use crate::outcome::Step;
use crate::site;

impl Update<'_> {
    /// The newest green commit of what was fetched. Where that has none, or none that is newer than HEAD, HEAD stays.
    pub(super) fn newest_green(
        &self,
        workflow: &str,
        heads: &Heads,
        tickets: &[Triaged],
        journal: &mut Journal<'_>,
    ) -> Result<CommitId, StepFailed> {
        let (Some(head), Some(tip)) = (&heads.head, &heads.upstream) else {
            return Err(StepFailed::stated(Step::Fetch, Cause::HeadIsNotUpstream));
        };
        let passed = Green::read(self.deploy.state())?;
        let passed = passed.commits();
        let top = self.git.top();
        let is_in_branch = top.ancestry_in(head, tip.as_str())? == Ancestry::Contained;
        // A reset may go back where the branch did.
        let goes_back = !is_in_branch && self.deploy.site.update == site::Update::Reset;
        let beyond = Some(head).filter(|_| !goes_back);
        let newer = top.newest_commits(tip, beyond)?;
        let at = newer.iter().position(|commit| passed.contains(commit));
        let ahead = at.unwrap_or(newer.len());
        // Of a branch that was rewritten, and has nothing green, it is not known by how much.
        if ahead > 0 && (is_in_branch || at.is_some()) {
            journal.remark(format!(
                "{} is {ahead} commit{} ahead: {workflow} is not known to have succeeded for {}",
                self.upstream.upstream_name(),
                if ahead == 1 { "" } else { "s" },
                if ahead == 1 { "it" } else { "any of them" },
            ));
        }
        if let Some(at) = at {
            return Ok(newer[at].clone());
        }
        // Each of them is told of its own commit.
        if are_all_runs(tickets) || (is_in_branch && passed.contains(head)) {
            Ok(head.clone())
        } else if is_in_branch {
            let workflow = workflow.to_owned();
            Err(StepFailed::stated(
                Step::Fetch,
                Cause::NothingGreen(workflow),
            ))
        } else {
            Err(StepFailed::stated(Step::Fetch, Cause::HeadIsNotUpstream))
        }
    }
}
