//! What earlier deploys left: whose the state folder is, what waits, how the last one ended.

use rustix::fs::Access;

use super::{Doctor, Finding};
use crate::diagnosis::Advice;
use crate::git::Checkout;
use crate::history::History;
use crate::outcome::Verdict;
use crate::queue::Queue;
use crate::redaction::line_of;
use crate::shell::{as_user, give_to, quoted};
use crate::state::StateFolder;

const WHAT: &str = "state folder";

impl Doctor<'_> {
    pub(super) fn state_folder(&mut self, checkout: &Checkout) {
        let Some(state) = StateFolder::existing(checkout) else {
            let path = checkout.git_dir.join("deploy-cgi");
            if path.symlink_metadata().is_ok() {
                let kept = path.with_extension("kept");
                self.problem(
                    WHAT,
                    format!("{} is no folder", line_of(&path)),
                    Advice::run(
                        "move it away",
                        [as_user(
                            self.user,
                            &format!("mv {} {}", quoted(&path), quoted(&kept)),
                        )],
                    ),
                );
            }
            return;
        };
        if let Err(error) = StateFolder::examine(checkout, self.site) {
            self.findings.push(Finding::error(WHAT, &error));
        }
        if rustix::fs::access(state.path(""), Access::WRITE_OK | Access::EXEC_OK).is_err() {
            self.problem(
                WHAT,
                format!(
                    "{} may not write in {}",
                    self.user.shown(),
                    line_of(state.path(""))
                ),
                Advice::run(
                    format!("give it to {}", self.user.shown()),
                    [give_to(self.user, &state.path(""))],
                ),
            );
            return;
        }
        self.queue(&state);
        // The answer to a ping has the whole report below.
        if !self.env.is_a_request() {
            self.last_deploy(&state);
        }
    }

    fn queue(&mut self, state: &StateFolder) {
        let queue = Queue::of(state);
        match (queue.list(), is_held(state)) {
            (Err(error), _) => self.findings.push(Finding::error("queue", &error)),
            (Ok(waiting), _) if waiting.is_empty() => {}
            (Ok(waiting), true) => self.ok(
                "queue",
                format!("{} wait, and a deploy is running", waiting.len()),
            ),
            (Ok(waiting), false) => self.warn(
                "queue",
                format!("{} wait, and no deploy is running", waiting.len()),
                Advice::run(
                    "the next delivery serves them; or now",
                    [as_user(
                        self.user,
                        &format!("{} run", quoted(&self.site.file)),
                    )],
                ),
            ),
        }
    }

    fn last_deploy(&mut self, state: &StateFolder) {
        const WHAT: &str = "last deploy";
        match History::of(state).last() {
            Ok(Some(last)) => {
                let headline = last.report.lines().next().unwrap_or_default();
                let found = format!("{}: {headline}", last.time);
                let mut deliveries = last.tickets.iter().rev();
                let delivery = deliveries.find_map(|served| served.delivery.as_deref());
                match (last.verdict, delivery) {
                    (Verdict::Deployed | Verdict::Unchanged, _) => self.ok(WHAT, found),
                    (Verdict::Failed, Some(delivery)) => {
                        let status = format!("{} status {delivery}", quoted(&self.site.file));
                        let status = as_user(self.user, &status);
                        self.warn(WHAT, found, Advice::run("to read all of it", [status]));
                    }
                    (Verdict::Failed, None) => {
                        let run = format!("{} run", quoted(&self.site.file));
                        let run = as_user(self.user, &run);
                        self.warn(WHAT, found, Advice::run("to try it again", [run]));
                    }
                }
            }
            Ok(None) => {}
            Err(error) => self.findings.push(Finding::error("history", &error)),
        }
    }
}

/// Whether somebody deploys. Asked without making the lock's file.
fn is_held(state: &StateFolder) -> bool {
    state.path("turn").exists() && Queue::of(state).is_somebodys_turn().unwrap_or(false)
}
