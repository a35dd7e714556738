//! The keys of hosts, and our own.

use std::path::{Path, PathBuf};

use super::{Diagnosis, Situation, with_ending};
use crate::redaction::line_of;
use crate::remote_url::RemoteUrl;
use crate::shell::{quoted, word};
use crate::site::read_small;

/// Where GitHub publishes the fingerprints of its host keys.
const FINGERPRINTS: &str = "https://docs.github.com/authentication/keeping-your-account-and-data-secure/githubs-ssh-key-fingerprints";

// ---- the keys of hosts

pub(super) fn host_key_unknown(at: &Situation<'_>) -> Diagnosis {
    let (url, file, user) = (at.url(), line_of(known_hosts(at)), at.user());
    at.advise(
        format!("ssh does not know the host key of {url}: it is not in {file} of {user}"),
        format!(
            "get the key, compare its fingerprint with the one that the host publishes{}, and only then accept it with \
             the last line; then press Redeliver",
            published(&url)
        ),
        accept_host_key(&url, None, at),
    )
}

pub(super) fn host_key_changed(file: Option<&Path>, at: &Situation<'_>) -> Diagnosis {
    let (url, known) = (at.url(), known_hosts(at));
    let file = file.unwrap_or(&known);
    let cause = format!(
        "{url} shows another host key than the one that is in {}: it has a new one, or somebody stands between",
        line_of(file)
    );
    if file.starts_with(at.git_dir().join("deploy-cgi")) {
        return tell!(at, "{cause}";
            "do not go on before you have compared: the keys of GitHub that are built into deploy-cgi are in that file, \
             and GitHub publishes its fingerprints at {FINGERPRINTS}. If GitHub has a new key, a newer deploy-cgi has it too");
    }
    let is_own = file.starts_with(at.home().join(".ssh"));
    let forget_in = if is_own { file } else { &known };
    at.advise(
        cause,
        format!(
            "compare the fingerprint of the new key with the one that the host publishes{}. Only if they are the same, \
             forget the old key and accept the new one with the last two lines; then press Redeliver",
            published(&url)
        ),
        accept_host_key(&url, Some(forget_in), at),
    )
}

fn known_hosts(at: &Situation<'_>) -> PathBuf {
    at.home().join(".ssh/known_hosts")
}

fn published(url: &RemoteUrl) -> String {
    if url.is_github() {
        format!(" ({FINGERPRINTS})")
    } else {
        String::new()
    }
}

/// Fetches a host's keys into a file of their own and shows their fingerprints; the last command accepts them, once the
/// old ones are forgotten.
fn accept_host_key(url: &RemoteUrl, forget_in: Option<&Path>, at: &Situation<'_>) -> Vec<String> {
    let Some(host) = url.host().filter(|_| url.is_ssh()) else {
        return Vec::new();
    };
    let (option, name) = match url.port() {
        Some(port) => (format!("-p {} ", word(port)), format!("[{host}]:{port}")),
        None => (String::new(), host.to_owned()),
    };
    let known = known_hosts(at);
    let new = quoted(&known.with_extension("new"));
    let mut commands = vec![
        format!("mkdir -p -m 700 {}", quoted(&at.home().join(".ssh"))),
        format!("ssh-keyscan {option}{} >{new}", word(host)),
        format!("ssh-keygen -l -f {new}"),
    ];
    let forget = |file| format!("ssh-keygen -R {} -f {}", word(&name), quoted(file));
    commands.extend(forget_in.map(forget));
    commands.push(format!("cat {new} >>{}", quoted(&known)));
    commands
}

// ---- our own keys

impl Situation<'_> {
    /// The keys that ssh has to offer for a URL and that are there.
    fn keys(&self, url: &RemoteUrl) -> Vec<PathBuf> {
        let mut keys = self.git.keys_offered(url);
        keys.retain(|key| key.exists());
        keys
    }

    /// The key of that name, where it is one of those that ssh has to offer: only then a command may touch it.
    pub(super) fn own_key(&self, named: &Path) -> Option<PathBuf> {
        let mut keys = self.keys(&self.url());
        keys.extend(self.site.ssh_key.clone());
        keys.into_iter().find(|key| key == named)
    }
}

/// Nobody is there to type it.
pub(super) fn key_has_passphrase(key: &Path, at: &Situation<'_>) -> Diagnosis {
    let (shown, key) = (line_of(key), quoted(key));
    tell!(at, "the key {shown} has a passphrase, and nobody is there to type it";
        "take the passphrase away (the file stays readable by its owner only)";
        "ssh-keygen -p -N '' -f {key}")
}

pub(super) fn key_refused(at: &Situation<'_>) -> Diagnosis {
    let (url, user) = (at.url(), at.user());
    let keys = at.keys(&url);
    let is_locked = |key: &&PathBuf| {
        read_small(key).is_ok_and(|text| has_passphrase(&String::from_utf8_lossy(&text)))
    };
    if let Some(locked) = keys.iter().find(is_locked) {
        return key_has_passphrase(locked, at);
    }
    let Some(key) = keys.first() else {
        let named = at.site.ssh_key.as_ref();
        let named = named.map_or_else(String::new, |key| format!(": there is no {}", line_of(key)));
        let cause = format!("{url} wants a key, and {user} has none{named}");
        return new_key(cause, "make one", None, at);
    };
    let offered: Vec<String> = keys.iter().map(line_of).collect();
    let (offered, page, key) = (offered.join(", "), deploy_keys_page(&url), quoted(key));
    tell!(at, "{url} does not accept the key that {user} offers: {offered}";
        "enter its public half as a deploy key at {page}, then press Redeliver. The public half";
        "ssh-keygen -y -f {key}")
}

/// Makes a key and shows what to enter; then a command has it used, where one is needed.
pub(super) fn new_key(
    cause: String,
    first: &str,
    use_it: Option<String>,
    at: &Situation<'_>,
) -> Diagnosis {
    let usual = || {
        let usual = at.home().join(".ssh/id_ed25519");
        if usual.exists() {
            usual.with_file_name("deploy")
        } else {
            usual
        }
    };
    let key = at.site.ssh_key.clone().unwrap_or_else(usual);
    let mut commands = Vec::new();
    if !key.exists() {
        let folder = key.parent().unwrap_or(&key);
        commands.push(format!("mkdir -p -m 700 {}", quoted(folder)));
        commands.push(format!(
            "ssh-keygen -q -t ed25519 -N '' -f {}",
            quoted(&key)
        ));
    }
    commands.push(format!("cat {}", quoted(&with_ending(&key, ".pub"))));
    commands.extend(use_it);
    let name_it = match &at.site.ssh_key {
        Some(_) => String::new(),
        None => format!(
            ", name it in {} (ssh_key = \"{}\")",
            at.site_file(),
            line_of(&key)
        ),
    };
    at.advise(
        cause,
        format!(
            "{first}, enter what the `cat` line shows as a deploy key at {}{name_it}, then press Redeliver",
            deploy_keys_page(&at.url())
        ),
        commands,
    )
}

/// Where a deploy key is entered.
fn deploy_keys_page(url: &RemoteUrl) -> String {
    match url.repository() {
        Some(repository) if url.is_github() => {
            format!("https://github.com/{repository}/settings/keys/new")
        }
        Some(_) | None => format!("the host of {url}"),
    }
}

/// Whether a private key is encrypted, by its beginning: the OpenSSH format names the cipher first, PEM says it.
pub(crate) fn has_passphrase(key: &str) -> bool {
    // "openssh-key-v1", NUL, and the cipher's name "none", in base64 (OpenSSH, PROTOCOL.key).
    const UNENCRYPTED: &str = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU";
    let mut lines = key.lines();
    match lines.next().map(str::trim) {
        Some("-----BEGIN OPENSSH PRIVATE KEY-----") => {
            !lines.next().unwrap_or_default().starts_with(UNENCRYPTED)
        }
        Some(_) => key.contains("ENCRYPTED"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encrypted_key_is_known_by_its_beginning() {
        #[track_caller]
        fn check(format: &str, second: &str, expected: bool) {
            let key = format!("-----BEGIN {format} PRIVATE KEY-----\n{second}\n");
            assert_eq!(has_passphrase(&key), expected, "{key}");
        }
        check(
            "OPENSSH",
            "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ",
            false,
        );
        check(
            "OPENSSH",
            "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAA",
            true,
        );
        check("RSA", "Proc-Type: 4,ENCRYPTED", true);
        check("RSA", "MIIE", false);
    }
}
