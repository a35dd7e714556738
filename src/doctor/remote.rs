//! Whether the remote can be reached without a question and has the branch, and what ssh has for it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::Doctor;
use super::Health::{Problem, Unknown, Warning};
use crate::diagnosis::{Cause, Situation, has_passphrase, is_public, make_key, without_warnings};
use crate::git::{Config, Git, Upstream};
use crate::process::End;
use crate::redaction::{escape_line, line_of};
use crate::shell::{quoted, word};
use crate::site::read_small;

const REMOTE: &str = "remote";
const SSH_KEY: &str = "ssh key";

impl Doctor<'_> {
    pub(super) fn remote(&mut self, git: &Git<'_>, followed: &Upstream) {
        if !self.has_time_for(REMOTE) {
            return;
        }
        let left = self.until.saturating_duration_since(Instant::now());
        let asked = git.ask_remote(followed, left);
        let Some(asked) = self.known(REMOTE, asked) else {
            return;
        };
        let said = without_warnings(&String::from_utf8_lossy(&asked.output));
        let at = self.situation(git, Some(followed)).with_output(&said);
        let cause = match asked.end {
            End::Exit(0) => {
                let branch = line_of(followed.remote_branch());
                return self
                    .findings
                    .ok(REMOTE, format!("can be reached, and has {branch}"));
            }
            End::Limit(limit) => {
                let (url, limit) = (&followed.url, limit.as_secs_f64());
                return finding!(self.findings, Unknown, REMOTE, "{url} has not answered within {limit:.1} s";
                    "press Redeliver on the ping, or run check, to ask again; if it stays so, this host may not connect out");
            }
            End::Exit(2) => Some(Cause::UpstreamGone),
            End::Signal(_) => Some(Cause::Ended(asked.end)),
            End::Exit(_) | End::Stopped => Cause::of_output(&said),
        };
        if let Some(cause) = cause {
            return self.findings.cause(Problem, REMOTE, &cause, &at);
        }
        let (folder, remote) = (quoted(&git.checkout.folder), word(&followed.remote));
        let (end, said) = (asked.end, escape_line(said.trim()));
        finding!(self.findings, Problem, REMOTE, "git ls-remote ended with {end}: {said}";
            "try it by hand";
            "git -C {folder} ls-remote {remote}");
    }

    pub(super) fn ssh(
        &mut self,
        git: &Git<'_>,
        config: &Config,
        followed: &Upstream,
        at: &Situation<'_>,
    ) {
        self.deploy_keys(at);
        let findings = &mut self.findings;
        let url = &followed.url;
        let has_own = self.site.has_key_of(url);
        let named = self.site.ssh_key.is_some() || has_own;
        if !url.is_ssh() && !has_own {
            if named {
                finding!(findings, Warning, SSH_KEY, "ssh_key is set, and the remote is not reached by ssh: {url}";
                    "give the remote an ssh address (git remote set-url), or remove the key");
            }
            return;
        }
        if self.site.programs.find("ssh").is_none() {
            return findings.cause(Problem, "ssh", &Cause::NoSsh, at);
        }
        // Who says how ssh is started.
        let mut env = self.site.env.iter();
        let by_env = env.any(|(name, _)| name == "GIT_SSH_COMMAND" || name == "GIT_SSH");
        if by_env && named {
            finding!(findings, Warning, SSH_KEY, "both ssh_key and env.GIT_SSH_COMMAND are set; the second one counts";
                "remove one of them");
        } else if config.last("core.sshcommand").is_some() && !named {
            findings.ok("ssh", "as core.sshCommand says");
        } else if url.host() == Some("github.com") && !by_env {
            findings.ok("host keys", "GitHub's are built in");
        }
        if !has_own {
            let mut keys = git.keys_offered(url);
            keys.retain(|key| key.exists());
            self.keys(&keys, at);
        }
    }

    /// The keys for single repositories.
    fn deploy_keys(&mut self, at: &Situation<'_>) {
        let findings = &mut self.findings;
        for (repository, key) in &self.site.ssh_keys {
            let found = format!("{} for {repository}", line_of(key));
            match unusable(key) {
                None => findings.ok(SSH_KEY, found),
                Some(_) if !key.exists() => findings.finding(
                    Problem,
                    SSH_KEY,
                    format!("there is no {found}"),
                    "make it, and enter what the `cat` line shows as a deploy key of that repository",
                    make_key(key, at),
                ),
                Some(cause) => findings.cause(Problem, SSH_KEY, &cause, at),
            }
        }
    }

    fn keys(&mut self, keys: &[PathBuf], at: &Situation<'_>) {
        let findings = &mut self.findings;
        let named = self.site.ssh_key.is_some();
        let has_agent = !named && self.env.first("SSH_AUTH_SOCK").is_some();
        if keys.is_empty() && has_agent {
            findings.ok(SSH_KEY, "none; an ssh agent may have one");
        } else if keys.is_empty() {
            let state = if named { Problem } else { Warning };
            findings.cause(state, SSH_KEY, &Cause::KeyRefused, at);
        }
        for key in keys {
            let Some(cause) = unusable(key) else {
                findings.ok(SSH_KEY, line_of(key));
                continue;
            };
            // The agent may have it open.
            let is_open = has_agent && matches!(cause, Cause::KeyHasPassphrase(_));
            let state = if is_open { Warning } else { Problem };
            findings.cause(state, SSH_KEY, &cause, at);
        }
    }
}

/// Why ssh cannot use a key that is there.
fn unusable(key: &Path) -> Option<Cause> {
    let Ok(text) = read_small(key) else {
        return Some(Cause::KeyUnreadable(key.into()));
    };
    if has_passphrase(&String::from_utf8_lossy(&text)) {
        return Some(Cause::KeyHasPassphrase(key.into()));
    }
    if is_public(key) {
        return Some(Cause::KeyIsPublic(key.into()));
    }
    let is_open = key.metadata().is_ok_and(|file| file.mode() & 0o077 != 0);
    is_open.then(|| Cause::KeyTooOpen(key.into()))
}
