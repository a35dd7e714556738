//! The person's commands, `on_update` and `on_failure`: a shell in the checkout, told what the deploy is about.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, Result};

use super::Deploy;
use super::changed::{self, Changed};
use super::failure::StepFailed;
use super::journal::Journal;
use super::turn_result::TurnResult;
use crate::diagnosis::Cause;
use crate::git::Git;
use crate::last_good::LastGood;
use crate::live;
use crate::outcome::{Step, Verdict};
use crate::process::{self, Ended, Run};
use crate::user::{FOR_COMMANDS, User, variables_for};

/// What the commands print, and what their background children go on printing, in the state folder.
const ON_UPDATE_LOG: &str = "on_update.log";
pub(super) const ON_FAILURE_LOG: &str = "on_failure.log";

/// What a command is told of the deploy.
pub(super) struct About<'a> {
    pub(super) result: &'a TurnResult,
    pub(super) verdict: Verdict,
    /// The last delivery that it is about.
    pub(super) delivery: Option<&'a String>,
}

impl Deploy<'_> {
    /// Runs `on_update`.
    pub(super) fn on_update(
        &self,
        git: &Git<'_>,
        result: &TurnResult,
        journal: &mut Journal<'_>,
    ) -> Result<(), StepFailed> {
        let (Some(command), Some(now)) = (&self.site.on_update, &result.now) else {
            return Ok(());
        };
        let changed = Changed::between(&result.before, now, &self.site.only, git)?;
        if !changed.concerns && !self.aim.is_back() {
            let only = "on_update was not run: nothing changed that the key `only` names";
            journal.remark(only.to_owned());
            return Ok(());
        }
        self.write_changed(&changed)?;
        journal.begins(Step::OnUpdate);
        let mut pushes = result.served().filter_map(|ticket| ticket.push.as_ref());
        let about = About {
            result,
            verdict: self.good(result),
            delivery: pushes.next_back().map(|push| &push.delivery),
        };
        let ended = self.shell(command, &about, ON_UPDATE_LOG, &[])?;
        journal.command_ended(ended.end);
        if ended.end.is_good() {
            return Ok(());
        }
        Err(StepFailed {
            output: String::from_utf8_lossy(&ended.output).into_owned(),
            ..StepFailed::stated(Step::OnUpdate, Cause::CommandFailed(ended.end))
        })
    }

    /// Asks whether visitors see what was deployed.
    pub(super) fn ensure_live(
        &self,
        result: &TurnResult,
        journal: &mut Journal<'_>,
    ) -> Result<(), StepFailed> {
        let Some(page) = &self.site.live else {
            return Ok(());
        };
        journal.begins(Step::Live);
        let asked = live::ask(page, self.site.live_text.as_deref(), &self.site.programs)?;
        journal.step_ended(asked.as_ref().map(|_| "failed".to_owned()));
        let Some(not_live) = asked else {
            return Ok(());
        };
        let cause = Cause::NotLive {
            why: not_live.why,
            has_earlier: result.before.head.is_some() && !self.aim.is_back(),
        };
        Err(StepFailed {
            output: not_live.said,
            ..StepFailed::stated(Step::Live, cause)
        })
    }

    /// Runs a command with `input` on its standard input; what it prints is in `log`, in the state folder.
    pub(super) fn shell(
        &self,
        command: &str,
        about: &About<'_>,
        log: &str,
        input: &[u8],
    ) -> Result<Ended> {
        let log = self.turn.state.open_to_append(log)?;
        log.set_len(0)
            .context("cannot empty the log of a command")?;
        let run = Run {
            folder: Some(&self.checkout.folder),
            env: self.environment(about),
            input: input.into(),
            log: Some(log),
            ..Run::new(Path::new("/bin/sh"), self.site.timeout)
        };
        process::with_its_orphans(|| run.args(["-c", command]).output_together())
    }

    /// A few variables of the host's, in the host's own language; the site's `env`; and what this deploy is about. The same
    /// in a delivery and in `run`: what works in one works in the other.
    fn environment(&self, about: &About<'_>) -> Vec<(OsString, OsString)> {
        let user = User::running(self.host);
        let programs = &self.site.programs;
        let mut variables = variables_for(&user, self.host, programs, FOR_COMMANDS);
        let env = self.site.env.iter();
        variables.extend(env.map(|(name, value)| (name.into(), value.into())));
        let TurnResult {
            before,
            upstream,
            now,
            ..
        } = about.result;
        let branch = upstream.as_ref().map(|upstream| upstream.branch.clone());
        let head = |state: &LastGood| state.head.as_ref().map(ToString::to_string);
        let told = [
            ("DEPLOY_BRANCH", branch),
            ("DEPLOY_OLD", head(before)),
            ("DEPLOY_NEW", now.as_ref().and_then(head)),
            ("DEPLOY_DELIVERY", about.delivery.cloned()),
            ("DEPLOY_VERDICT", Some(about.verdict.word().to_owned())),
        ];
        variables.insert("DEPLOY_REPO".into(), (&self.checkout.folder).into());
        variables.insert(
            "DEPLOY_CHANGED".into(),
            self.state().path(changed::FILE).into(),
        );
        let told = told.map(|(name, value)| (name.into(), value.unwrap_or_default().into()));
        variables.extend(told);
        variables.into_iter().collect()
    }
}
