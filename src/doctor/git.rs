//! Git: the program, its configuration, and what the checkout follows.

use std::path::Path;

use anyhow::Result;

use super::Doctor;
use super::Health::{Problem, Warning};
use crate::diagnosis::{Cause, InTheWay, Situation, explain};
use crate::git::{Change, Config, Git, NoUpstream, Tracking, Upstream, has_lost_its_login};
use crate::redaction::{line_of, list};
use crate::site::Update;

/// The oldest git that was tried.
const OLDEST_GIT: (u32, u32) = (2, 17);

impl Doctor<'_> {
    pub(super) fn git(&mut self, git: &Git<'_>) {
        const WHAT: &str = "git";
        if !self.version(git) {
            return;
        }
        let Some(config) = self.known(WHAT, git.config()) else {
            return;
        };
        self.hidden.extend(config.credentials());
        let nowhere = self.situation(git, None);
        let elsewhere = self.known("work tree", git.writes_elsewhere());
        if let Some(there) = elsewhere.flatten() {
            let cause = Cause::WorkTreeElsewhere(there);
            self.findings.cause(Problem, "work tree", &cause, &nowhere);
        }
        let tracking = git.tracking(self.site.branch.as_deref());
        let tracking = self.known("branch", tracking);
        let followed = match &tracking {
            Some(Tracking::Upstream(followed)) => {
                self.followed(git, &config, followed);
                Some(followed)
            }
            Some(Tracking::None(why)) => {
                let what = match why {
                    NoUpstream::Detached | NoUpstream::OtherBranch { .. } => "branch",
                    NoUpstream::NotSet { .. } | NoUpstream::LocalUpstream { .. } => "upstream",
                };
                let cause = Cause::NotFollowing(why.clone());
                self.findings.cause(Problem, what, &cause, &nowhere);
                None
            }
            None => None,
        };
        self.work_tree(git, followed);
        self.submodules(git, &config);
        self.lfs(git);
        self.commit_status(git, followed);
        // Last: it may take all the time that is left.
        if let Some(followed) = followed {
            self.remote(git, followed);
        }
    }

    /// Whether there is a git that can be started.
    pub(super) fn version(&mut self, git: &Git<'_>) -> bool {
        const WHAT: &str = "git";
        let Some(version) = self.known(WHAT, git.version()) else {
            return false;
        };
        let found = format!("{}, version {version}", line_of(&git.program));
        if is_older(&version, OLDEST_GIT) {
            finding!(self.findings, Warning, WHAT, "{found}";
                "older than 2.17 was never tried; name a newer one's folder with the key `path`");
        } else {
            self.findings.ok(WHAT, found);
        }
        true
    }

    fn followed(&mut self, git: &Git<'_>, config: &Config, followed: &Upstream) {
        const UPSTREAM: &str = "upstream";
        const REPOSITORY: &str = "repository";
        let at = self.situation(git, Some(followed));
        self.findings.ok("branch", line_of(&followed.branch));
        let with_login = match &self.site.clone {
            Some(clone) if clone.login().is_some() => Some("clone"),
            _ if has_lost_its_login(&followed.url) || followed.url.credential().is_none() => None,
            _ => Some(followed.remote.as_str()),
        };
        if let Some(with_login) = with_login {
            let name = line_of(with_login);
            finding!(self.findings, Warning, "remote",
                "the URL of {name} has a login in it: who reads it there can do all that the login is good for";
                "use a deploy key in its place: it opens this repository alone, and is named with the key `ssh_key`");
        }
        if let Some(cause) = Cause::of_clone_key(self.site, config) {
            self.findings.cause(Warning, "remote", &cause, &at);
        }
        match self.known(UPSTREAM, git.remote_tracking_branch(followed)) {
            Some(Some(_)) => {
                let found = format!("{} at {}", line_of(followed.upstream_name()), followed.url);
                self.findings.ok(UPSTREAM, found);
            }
            Some(None) => {
                self.findings
                    .cause(Problem, UPSTREAM, &Cause::UpstreamNotKept, &at);
            }
            None => {}
        }
        match self.site.repository.as_ref().or(followed.url.repository()) {
            Some(repository) => {
                self.repositories.push(repository.clone());
                self.findings.ok(REPOSITORY, repository.to_string());
            }
            None => finding!(self.findings, Warning, REPOSITORY,
                "the remote's URL names no owner and repository, so a push of any repository with this secret is taken";
                "set the key `repository` to \"owner/name\""),
        }
        self.locks(git, followed, &at);
        self.commits(git, followed, &at);
        self.ssh(git, config, followed, &at);
    }

    /// Whether the branch could go forward, as far as the last fetch knows.
    fn commits(&mut self, git: &Git<'_>, followed: &Upstream, at: &Situation<'_>) {
        const WHAT: &str = "commits";
        let cause = match git.ahead_and_behind(&followed.branch).ok().flatten() {
            None | Some((0, _)) => return,
            Some((ahead, 0)) => Cause::Ahead(ahead),
            Some(_) => Cause::Diverged,
        };
        match self.site.update {
            Update::FastForward => self.findings.cause(Problem, WHAT, &cause, at),
            Update::Reset => {
                let found = explain(&cause, at).cause;
                finding!(self.findings, Warning, WHAT, "{found}";
                    "the next deploy gives them up, and keeps them first (update = \"reset\")");
            }
        }
    }

    /// What is in the work tree that HEAD has not, and whether it is in the way of commits that were fetched already.
    fn work_tree(&mut self, git: &Git<'_>, followed: Option<&Upstream>) {
        const WHAT: &str = "work tree";
        let Some(edited) = self.known(WHAT, git.top().edited()) else {
            return;
        };
        if self.site.update == Update::Reset {
            if edited.is_empty() {
                return self.findings.ok(WHAT, "no uncommitted changes");
            }
            let edited = list(&edited);
            return finding!(self.findings, Warning, WHAT, "uncommitted changes: {edited}";
                "the next deploy makes them what was pushed, and keeps the changes first (update = \"reset\")");
        }
        let fetched = followed.map(|followed| changes_fetched(git, followed));
        let fetched = self.known(WHAT, fetched.unwrap_or_else(|| Ok(Vec::new())));
        let fetched = fetched.unwrap_or_default();
        let is_there = |path: &Path| match git.checkout.folder.join(path).symlink_metadata() {
            Ok(there) if there.is_dir() => {
                let below = git.top().untracked_below(path);
                below.is_ok_and(|below| !below.is_empty())
            }
            found => found.is_ok(),
        };
        let (mut edits, mut untracked) = (Vec::new(), Vec::new());
        for Change { path, old, .. } in &fetched {
            if edited.contains(path) {
                edits.push(path);
            } else if old.is_none() && is_there(path) {
                untracked.push(path);
            }
        }
        let (state, what, paths) = match (edits.as_slice(), untracked.as_slice()) {
            ([], []) if edited.is_empty() => {
                return self.findings.ok(WHAT, "no uncommitted changes");
            }
            ([], []) => (Warning, InTheWay::Edits, edited.iter().collect()),
            (_, []) => (Problem, InTheWay::Edits, edits),
            ([], _) => (Problem, InTheWay::Untracked, untracked),
            _ => (Problem, InTheWay::Both, [edits, untracked].concat()),
        };
        let paths = paths.iter().map(|path| path.to_string_lossy().into_owned());
        let cause = Cause::FilesInTheWay(what, paths.collect());
        let at = self.situation(git, followed);
        self.findings.cause(state, WHAT, &cause, &at);
    }
}

/// What a fast-forward to what was fetched last would change.
fn changes_fetched(git: &Git<'_>, followed: &Upstream) -> Result<Vec<Change>> {
    let Some((0, 1..)) = git.ahead_and_behind(&followed.branch)? else {
        return Ok(Vec::new());
    };
    let heads = git.heads(&followed.branch)?;
    match (heads.head, heads.upstream) {
        (Some(head), Some(upstream)) => git.top().changes(&head, &upstream),
        (None, _) | (_, None) => Ok(Vec::new()),
    }
}

/// A version of which nobody can tell is new.
fn is_older(version: &str, than: (u32, u32)) -> bool {
    let mut numbers = version
        .split('.')
        .map_while(|number| number.parse::<u32>().ok());
    let known = numbers.next().zip(numbers.next());
    known.is_some_and(|known| known < than)
}
