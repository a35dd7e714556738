//! What ssh has for the remote.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Doctor, Health};
use crate::diagnosis::{Advice, Cause, Situation, has_passphrase};
use crate::git::{Config, Git, Upstream};
use crate::redaction::line_of;
use crate::site::read_small;

const WHAT: &str = "ssh key";

impl Doctor<'_> {
    pub(super) fn keys(
        &mut self,
        git: &Git<'_>,
        config: &Config,
        followed: &Upstream,
        at: &Situation<'_>,
    ) {
        let Some(host) = followed.url.host().filter(|_| followed.url.is_ssh()) else {
            if self.site.ssh_key.is_some() {
                self.warn(
                    WHAT,
                    format!(
                        "ssh_key is set, and the remote is not reached by ssh: {}",
                        followed.url
                    ),
                    Advice::words(
                        "give the remote an ssh address (git remote set-url), or remove the key",
                    ),
                );
            }
            return;
        };
        if self.site.programs.find("ssh").is_none() {
            self.cause("ssh", Health::Problem, &Cause::NoSsh, at);
            return;
        }
        self.ssh_command(host, config);
        let mut keys = git.keys_offered(&followed.url);
        keys.retain(|key| key.exists());
        let has_agent = self.site.ssh_key.is_none() && self.env.first("SSH_AUTH_SOCK").is_some();
        if keys.is_empty() {
            match &self.site.ssh_key {
                Some(_) => self.cause(WHAT, Health::Problem, &Cause::KeyRefused, at),
                None if has_agent => self.ok(WHAT, "none; an ssh agent may have one"),
                None => self.cause(WHAT, Health::Warning, &Cause::KeyRefused, at),
            }
        }
        for key in keys {
            match unusable(&key) {
                // The agent has it open.
                Some(cause @ Cause::KeyHasPassphrase(_)) if has_agent => {
                    self.cause(WHAT, Health::Warning, &cause, at);
                }
                Some(cause) => self.cause(WHAT, Health::Problem, &cause, at),
                None => self.ok(WHAT, line_of(&key)),
            }
        }
    }

    /// Who says how ssh is started.
    fn ssh_command(&mut self, host: &str, config: &Config) {
        let by_env = self
            .site
            .env
            .iter()
            .any(|(name, _)| name == "GIT_SSH_COMMAND" || name == "GIT_SSH");
        if by_env && self.site.ssh_key.is_some() {
            self.warn(
                WHAT,
                "both ssh_key and env.GIT_SSH_COMMAND are set; the second one counts",
                Advice::words("remove one of them"),
            );
        } else if config.last("core.sshcommand").is_some() && self.site.ssh_key.is_none() {
            self.ok("ssh", "as core.sshCommand says");
        } else if host == "github.com" && !by_env {
            self.ok("host keys", "GitHub's are built in");
        }
    }
}

/// Why ssh cannot use a key that is there.
fn unusable(key: &Path) -> Option<Cause> {
    let path: PathBuf = key.into();
    let Ok(text) = read_small(key) else {
        return Some(Cause::KeyUnreadable(path));
    };
    if has_passphrase(&String::from_utf8_lossy(&text)) {
        return Some(Cause::KeyHasPassphrase(path));
    }
    let is_open = key.metadata().is_ok_and(|file| file.mode() & 0o077 != 0);
    is_open.then_some(Cause::KeyTooOpen(path))
}
