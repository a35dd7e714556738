//! Where a workflow has to succeed first: which of its runs count, and what a push or a run is answered.

use std::ops::ControlFlow;

use anyhow::Result;

use super::{Answer, Owed, PushResult, VerifiedRequest};
use crate::commit_id::CommitId;
use crate::delivery::{Push, WorkflowRun};
use crate::green::{Green, Run};
use crate::last_good::LastGood;
use crate::queue::PushRequest;
use crate::redaction::excerpt;
use crate::repository_name::RepositoryName;
use crate::state::StateFolder;

impl VerifiedRequest<'_> {
    /// What becomes of a run: green ones are deployed as pushes are.
    pub(super) fn workflow_run(&self, run: &WorkflowRun) -> Result<Answer> {
        let Some(workflow) = &self.site.workflow else {
            return self.ignore("the event workflow_run: only a push is deployed".to_owned());
        };
        let (branch, conclusion) = match counted(run, workflow) {
            Ok(counted) => counted,
            Err(why) => return self.ignore(why),
        };
        let push = Push {
            git_ref: format!("refs/heads/{branch}"),
            after: Some(run.commit.clone()),
            repository: run.repository.clone(),
            api: run.api.clone(),
            ..Push::default()
        };
        let owed = match self.owed_for(&push)? {
            ControlFlow::Continue(owed) => owed,
            ControlFlow::Break(Answer::Ignored(why)) => {
                let what = why.strip_prefix("the push to ").unwrap_or(&why);
                return Ok(Answer::Ignored(format!("the run of {workflow} for {what}")));
            }
            ControlFlow::Break(answer) => return Ok(answer),
        };
        let run = Run {
            commit: run.commit.clone(),
            id: run.id,
            attempt: run.attempt,
            conclusion: excerpt(conclusion),
        };
        let commit = run.commit.clone();
        let known = match Green::change(&owed.state, |green| green.note(run)) {
            Ok(known) => known,
            Err(error) => return Ok(not_kept(&error)),
        };
        if let Some(newest) = known.run_of(&commit).filter(|newest| !newest.is_green()) {
            return self.ignore(format!(
                "the run of {workflow} for {}: the newest one ended with {}; {}",
                commit.short(),
                newest.conclusion,
                what_stays(&owed.state)?
            ));
        }
        let request = PushRequest {
            green: true,
            ..owed.request
        };
        self.deploy(Owed { request, ..owed }).map(Answer::Pushed)
    }

    /// The answer to a push whose commit no run has passed yet; `None` where it is to be deployed.
    pub(super) fn waits_for_a_run(
        &self,
        state: &StateFolder,
        push: &Push,
    ) -> Result<Option<Answer>> {
        let (Some(workflow), Some(commit)) = (&self.site.workflow, &push.after) else {
            return Ok(None);
        };
        let known = match Green::change(state, |green| green.note_push(commit)) {
            Ok(known) => known,
            Err(error) => return Ok(Some(not_kept(&error))),
        };
        if known.is_green(commit) {
            return Ok(None);
        }
        Ok(Some(Answer::Waiting(format!(
            "for {workflow} to succeed for {}; {}",
            commit.short(),
            what_stays(state)?
        ))))
    }
}

/// The branch that a run was for, and how it ended; or why it does not count. A fork's run of a branch of the same name must
/// not, nor a run for anything but a push.
fn counted<'r>(run: &'r WorkflowRun, workflow: &str) -> Result<(&'r str, &'r str), String> {
    let is_of_the_repository = run
        .head_repository
        .as_deref()
        .and_then(RepositoryName::parse)
        .is_some_and(|head| head == *run.repository);
    let what = format!("the run of {}", excerpt(&run.file));
    if run.file != workflow {
        return Err(format!("{what}: this site waits for {workflow}"));
    }
    if run.action != "completed" {
        let action = excerpt(&run.action);
        return Err(format!("{what}: it is {action}, and not completed"));
    }
    if !is_of_the_repository {
        return Err(format!("{what}: the commit is a fork's"));
    }
    if run.event != "push" {
        let event = excerpt(&run.event);
        return Err(format!("{what}: it was started by {event}, and not a push"));
    }
    match (&run.branch, &run.conclusion) {
        (Some(branch), Some(conclusion)) => Ok((branch, conclusion)),
        (None, _) => Err(format!("{what}: it names no branch")),
        (Some(_), None) => Err(format!("{what}: it does not say how it ended")),
    }
}

/// What was said was not written down, as where a ticket could not be.
fn not_kept(error: &anyhow::Error) -> Answer {
    Answer::Pushed(PushResult::NotQueued(format!("{error:#}")))
}

/// What visitors go on to see.
fn what_stays(state: &StateFolder) -> Result<String> {
    let live = LastGood::read(state)?.and_then(|last_good| last_good.head);
    let live = live.as_ref().map(CommitId::short);
    Ok(live.map_or_else(
        || "nothing was deployed yet".to_owned(),
        |live| format!("{live} stays live"),
    ))
}
