//! Whether the remote can be reached without a question, and has the branch.

use std::time::{Duration, Instant};

use super::{Doctor, Finding, Health};
use crate::diagnosis::{Advice, Cause, Situation};
use crate::git::{Git, Upstream};
use crate::process::End;
use crate::redaction::{escape_line, line_of};
use crate::shell::{as_user, quoted, word};

const WHAT: &str = "remote";

/// Less than this is too little to ask a remote.
const MIN_FOR_REMOTE: Duration = Duration::from_millis(300);

impl Doctor<'_> {
    pub(super) fn remote(&mut self, git: &Git<'_>, followed: &Upstream) {
        let left = self.until.saturating_duration_since(Instant::now());
        if left < MIN_FOR_REMOTE {
            self.ok(WHAT, "not asked: there is no time left for it");
            return;
        }
        let asked = match git.ask_remote(followed, left) {
            Ok(asked) => asked,
            Err(error) => {
                self.findings.push(Finding::error(WHAT, &error));
                return;
            }
        };
        let said = String::from_utf8_lossy(&asked.output);
        let at = Situation::new(self.site, git, self.env, Some(followed)).with_output(&said);
        match asked.end {
            End::Exit(0) => self.ok(
                WHAT,
                format!("can be reached, and has {}", line_of(followed.remote_branch())),
            ),
            End::Exit(2) => self.cause(WHAT, Health::Problem, &Cause::UpstreamGone, &at),
            End::Limit(limit) => self.warn(
                WHAT,
                format!(
                    "{} has not answered within {:.1} s",
                    followed.url,
                    limit.as_secs_f64()
                ),
                Advice::words(
                    "press Redeliver on the ping, or run check, to ask again; if it stays so, this host may not connect out",
                ),
            ),
            End::Signal(_) => self.cause(WHAT, Health::Problem, &Cause::Ended(asked.end), &at),
            End::Exit(_) | End::Stopped => match Cause::of_output(&said) {
                Some(cause) => self.cause(WHAT, Health::Problem, &cause, &at),
                None => self.problem(
                    WHAT,
                    format!("git ls-remote ended with {}: {}", asked.end, escape_line(said.trim())),
                    Advice::run(
                        "try it by hand",
                        [as_user(
                            self.user,
                            &format!(
                                "git -C {} ls-remote {}",
                                quoted(&git.checkout.folder),
                                word(&followed.remote)
                            ),
                        )],
                    ),
                ),
            },
        }
    }
}
