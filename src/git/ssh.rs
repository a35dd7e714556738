//! How ssh is started, which host keys it knows, and which keys it would offer.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::command::line;
use super::deploy_keys::{DeployKeys, fits};
use super::{Git, WorkTree};
use crate::files::{self, Sync};
use crate::process::Run;
use crate::remote_url::RemoteUrl;
use crate::shell::word;
use crate::site::Site;

/// How ssh is started, unless the host, the site or git's configuration say how: it never asks, it notices a dead
/// connection, and it takes no host key on trust.
const SSH: &str =
    "ssh -oBatchMode=yes -oConnectTimeout=10 -oServerAliveInterval=10 -oStrictHostKeyChecking=yes";

/// What ssh is told where the home is another's: whose configuration and known hosts are there, and not ours.
const WITHOUT_A_HOME: &str = " -F none -oUserKnownHostsFile=/dev/null";

/// GitHub's host keys, as published at
/// <https://docs.github.com/authentication/keeping-your-account-and-data-secure/githubs-ssh-key-fingerprints>. They are
/// known beside the ones that the host and the person know.
pub(super) const GITHUBS_HOST_KEYS: &str = "\
github.com,[ssh.github.com]:443 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl
github.com,[ssh.github.com]:443 ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=
github.com,[ssh.github.com]:443 ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQCj7ndNxQowgcQnjshcLrqPEiiphnt+VTTvDP6mHBL9j1aNUkY4Ue1gvwnGLVlOhGeYrnZaMgRK6+PKCUXaDbC7qtbW8gIkhL7aGCsOr/C56SJMy/BCZfxd1nWzAOxSDPgVsmerOBYfNqltV9/hWCqBywINIR+5dIg6JTJ72pcEpEjcYgXkE2YEFXV1JHnsKgbLWNlhScqb2UmyRkQyytRLtL+38TGxkxCflmO+5Z8CSSNY7GidjMIZ7Q4zMjA2n1nGrlTDkzwDCsw+wqFPGQA179cnfGWOWRVruj16z6XyvxvjJwbz0wQZ75XK5tKSb7FNyeIEs4TT4jk+S4dhPeAUC5y+bDYirYgM4GC7uEnztnZyaVWQ7B381AK4Qdrwt51ZqExKbQpTUNn+EjqoTwvqNj4kqx5QUCI0ThS/YkOxJCXmPUWZbhjpCg56i+2aB6CmK2JGhn57K5mj0MNdBXA4/WnwH6XoPWJzK5Nyu2zB3nAZp+S5hpQs+p1vN1/wsjk=
";

/// The file with them, in our folder below the git directory.
const HOST_KEYS_FILE: &str = "deploy-cgi/known_hosts";

/// Where ssh looks for the host keys that the whole host knows (`ssh_config(5)`, `GlobalKnownHostsFile`).
const HOST_KEYS_OF_THE_HOST: &str = "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2";

/// How long ssh may take to say which keys it would offer.
const SSH_QUERY_LIMIT: Duration = Duration::from_secs(2);

/// Who says how ssh is started.
pub(super) enum Ssh {
    /// The site or the host, in the environment.
    Theirs,
    /// Git's configuration, if it does; else we.
    UnlessConfigured,
    /// We, with the site's own keys.
    WithKeys(DeployKeys),
}

impl Ssh {
    pub(super) fn of(site: &Site, env: &[(OsString, OsString)]) -> Self {
        let says_how = |name: &OsStr| name == "GIT_SSH_COMMAND" || name == "GIT_SSH";
        let by_the_site = site.env.iter().any(|(name, _)| says_how(name.as_ref()));
        let by_anybody = env.iter().any(|(name, _)| says_how(name));
        match DeployKeys::of(site) {
            Some(keys) if !by_the_site => Self::WithKeys(keys),
            _ if by_anybody => Self::Theirs,
            _ => Self::UnlessConfigured,
        }
    }
}

impl WorkTree<'_> {
    /// Git's environment, with ssh as we want it where nobody said how.
    pub(super) fn writing_env(&self) -> Vec<(OsString, OsString)> {
        let (git, mut env) = (self.git, self.env());
        let config = git.known_config();
        let is_configured = config.is_some_and(|config| config.last("core.sshcommand").is_some());
        match &git.ssh {
            Ssh::Theirs => return env,
            Ssh::UnlessConfigured if is_configured => return env,
            Ssh::UnlessConfigured | Ssh::WithKeys(_) => {}
        }
        let ours = ["GIT_SSH_COMMAND", "GIT_SSH", "GIT_SSH_VARIANT"];
        env.retain(|(name, _)| !ours.iter().any(|known| name == known));
        let mut command = ssh_command(git.host_keys_file().as_deref());
        if git.user.has_a_foreign_home() {
            command.push_str(WITHOUT_A_HOME);
        }
        if let Ssh::WithKeys(keys) = &git.ssh {
            command = keys.choose(&command, &git.remotes());
        }
        env.push(("GIT_SSH_COMMAND".into(), command.into()));
        // Git goes by the first word else.
        env.push(("GIT_SSH_VARIANT".into(), "ssh".into()));
        env
    }
}

impl Git<'_> {
    /// The URLs of the remotes, as they are and as git rewrites them.
    fn remotes(&self) -> Vec<RemoteUrl> {
        let config = self.known_config().unwrap_or_default();
        let named = config.remote_urls().chain(config.upstream_urls());
        let mut remotes: Vec<_> = named.chain(self.clone.clone()).collect();
        let rewritten = remotes.iter().filter_map(|url| config.rewritten(url));
        remotes.extend(rewritten.collect::<Vec<_>>());
        remotes
    }

    /// A file with GitHub's host keys: in our folder, where there is one and it may be written.
    fn host_keys_file(&self) -> Option<PathBuf> {
        if let Some(file) = &self.host_keys {
            return Some(file.path.clone());
        }
        let file = self.checkout.git_dir.join(HOST_KEYS_FILE);
        if std::fs::read(&file).is_ok_and(|text| text == GITHUBS_HOST_KEYS.as_bytes()) {
            return Some(file);
        }
        // Without it ssh knows fewer hosts, and says so if it needs one of them.
        files::replace(&file, GITHUBS_HOST_KEYS.as_bytes(), Sync::No).ok()?;
        Some(file)
    }

    /// The key that the site names for a URL.
    pub(crate) fn key_named_for(&self, url: &RemoteUrl) -> Option<PathBuf> {
        match &self.ssh {
            Ssh::WithKeys(keys) => keys.key_for(url, &self.remotes()).map(Path::to_owned),
            Ssh::Theirs | Ssh::UnlessConfigured => None,
        }
    }

    /// The keys that ssh would offer for a URL, whether or not the files are there. None for other URLs, or where ssh
    /// cannot be asked.
    pub(crate) fn keys_offered(&self, url: &RemoteUrl) -> Vec<PathBuf> {
        if let Some(key) = self.key_named_for(url) {
            return vec![key];
        }
        let Some(host) = url.host().filter(|_| url.is_ssh()) else {
            return Vec::new();
        };
        let config = self.config().unwrap_or_default();
        let env = self.top().writing_env();
        let command = env.iter().find(|(name, _)| name == "GIT_SSH_COMMAND");
        let command = command
            .map(|(_, command)| command.to_string_lossy())
            .or_else(|| Some(config.last("core.sshcommand")?.into()))
            .filter(|_| !matches!(self.ssh, Ssh::WithKeys(_)))
            .unwrap_or(SSH.into());
        let home = self.user.home.clone().unwrap_or_default();
        // As git itself starts it, which asks an unknown ssh with -G too.
        let run = Run {
            env: env.clone(),
            ..Run::new(Path::new("/bin/sh"), self.at_most(SSH_QUERY_LIMIT))
        };
        let asked = run
            .args(["-c", &format!("{command} -G \"$@\""), "ssh"])
            .args(url.port().iter().flat_map(|port| ["-p", port]))
            .args(["--", host])
            .output_apart();
        let Ok(asked) = asked else {
            return Vec::new();
        };
        line(&asked.output)
            .lines()
            .filter_map(|line| line.strip_prefix("identityfile "))
            .map(|file| match file.strip_prefix("~/") {
                Some(below) => home.join(below),
                None => PathBuf::from(file),
            })
            .collect()
    }
}

/// How ssh is started by us, for a shell.
fn ssh_command(host_keys: Option<&Path>) -> String {
    let Some(file) = host_keys.filter(|file| fits(file)) else {
        return SSH.to_owned();
    };
    let files = format!("{HOST_KEYS_OF_THE_HOST} \"{}\"", file.display());
    format!("{SSH} {}", word(&format!("-oGlobalKnownHostsFile={files}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_in_the_path_of_host_keys_survive_the_shell_and_ssh() {
        assert_eq!(
            ssh_command(Some(Path::new("/w/my site/k"))),
            format!(
                "{SSH} '-oGlobalKnownHostsFile=/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2 \"/w/my site/k\"'"
            )
        );
        assert_eq!(ssh_command(None), SSH);
    }
}
