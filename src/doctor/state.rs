//! What earlier deploys left: whose the state folder is, what waits, how the last one ended, and locks of git's.

use std::path::Path;

use super::Doctor;
use super::Health::{Problem, Unknown, Warning};
use crate::deploy::unfinished_since;
use crate::diagnosis::{Cause, Situation};
use crate::git::{Checkout, Git, Upstream};
use crate::green::Green;
use crate::history::History;
use crate::hold::Hold;
use crate::last_good::LastGood;
use crate::outcome::Verdict;
use crate::queue::Queue;
use crate::shell::quoted;
use crate::state::StateFolder;

impl Doctor<'_> {
    pub(super) fn state_folder(&mut self, checkout: &Checkout) {
        self.known("state folder", StateFolder::examine(checkout, self.site));
        let Some(state) = StateFolder::existing(checkout) else {
            return;
        };
        self.what_stops(&state);
        self.queue(&state);
        self.last_deploy(&state);
    }

    /// What keeps pushes from being deployed although all is well.
    pub(super) fn what_stops(&mut self, state: &StateFolder) {
        if let Some(hold) = Hold::of(state) {
            let (hold, site) = (hold.in_words(), quoted(&self.site.file));
            finding!(self.findings, Warning, "hold", "{hold}"; "to go on"; "{site} release");
        }
        if let Some(workflow) = &self.site.workflow
            && let Some(green) = self.known("workflow", Green::read(state))
        {
            let live = LastGood::read(state).ok().flatten();
            let live = live.and_then(|live| live.head);
            self.findings.ok(
                "workflow",
                format!("{workflow}: {}", green.in_words(live.as_ref())),
            );
        }
    }

    fn queue(&mut self, state: &StateFolder) {
        const WHAT: &str = "queue";
        let queue = Queue::of(state);
        let waiting = self.known(WHAT, queue.list()).unwrap_or_default().len();
        if waiting == 0 {
            return;
        }
        if queue.is_somebodys_turn().unwrap_or(false) {
            let found = format!("{waiting} wait, and a deploy is running");
            return self.findings.ok(WHAT, found);
        }
        let site = quoted(&self.site.file);
        finding!(self.findings, Warning, WHAT, "{waiting} wait, and no deploy is running";
            "the next delivery serves them; or now";
            "{site} run");
    }

    fn last_deploy(&mut self, state: &StateFolder) {
        const WHAT: &str = "last deploy";
        let last = self.known("history", History::of(state).last());
        let Some(last) = last.flatten() else {
            return;
        };
        // The answer to a ping has the whole report below.
        let headline = match last.verdict {
            Verdict::Failed if self.env.is_a_request() => "failed, see below",
            _ => last.report.lines().next().unwrap_or_default(),
        };
        let found = format!("{}: {headline}", last.time);
        if last.verdict != Verdict::Failed {
            return self.findings.ok(WHAT, found);
        }
        let site = quoted(&self.site.file);
        let mut tickets = last.tickets.iter().rev();
        let delivery = tickets.find_map(|served| served.delivery.as_deref());
        let read = delivery.map(|delivery| format!("{site} status {delivery}"));
        let words = "whether the next one ends better is known when it was tried: press Redeliver; or read all of it, and try";
        let commands = read.into_iter().chain([format!("{site} run")]);
        self.findings.finding(Unknown, WHAT, found, words, commands);
    }

    /// Locks that a git left which was killed.
    pub(super) fn locks(&mut self, git: &Git<'_>, followed: &Upstream, at: &Situation<'_>) {
        let git_dir = at.git_dir();
        let modified = |file: &Path| file.symlink_metadata()?.modified();
        let state = StateFolder::existing(git.checkout);
        let began = state.and_then(|state| unfinished_since(&state));
        let modules = std::fs::read_dir(git_dir.join("modules"));
        let modules = modules.into_iter().flatten().flatten();
        let mut locks = vec![
            git_dir.join("ORIG_HEAD.lock"),
            git_dir.join(format!("refs/heads/{}.lock", followed.branch)),
            git_dir.join(format!("refs/remotes/{}.lock", followed.upstream_name())),
        ];
        for git_dir in modules
            .map(|module| module.path())
            .chain([git_dir.to_owned()])
        {
            locks.extend(["index.lock", "HEAD.lock", "config.lock"].map(|lock| git_dir.join(lock)));
        }
        for lock in locks {
            // A deploy runs and made it, or the next one clears up after one that died.
            let is_ours = |made| began.is_some_and(|began| made >= began);
            if modified(&lock).is_ok_and(|made| !is_ours(made)) {
                self.findings
                    .cause(Problem, "locks", &Cause::Locked(lock), at);
            }
        }
    }
}
