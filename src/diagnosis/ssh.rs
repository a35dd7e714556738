//! ssh itself, the keys of hosts, and our own.

use std::path::{Path, PathBuf};

use super::{Advice, Diagnosis, Situation, deploy_keys_page, found};
use crate::redaction::line_of;
use crate::remote_url::RemoteUrl;
use crate::shell::{as_root, give_to, quoted, word};
use crate::site::read_small;

/// Where GitHub publishes the fingerprints of its host keys.
const FINGERPRINTS: &str = "https://docs.github.com/authentication/keeping-your-account-and-data-secure/githubs-ssh-key-fingerprints";

pub(super) fn no_ssh(at: &Situation<'_>) -> Diagnosis {
    found(
        format!("{} is reached by ssh, and there is no ssh here", at.url()),
        Advice::run(
            format!(
                "install it, or name its folder with the key `path` in {}; then press Redeliver",
                at.site_file()
            ),
            [as_root(&at.user, "apt-get install openssh-client")],
        ),
    )
}

pub(super) fn nameless_user(uid: &str) -> Diagnosis {
    found(
        format!(
            "ssh refuses to work for a user without a name: uid {} is not in /etc/passwd",
            line_of(uid)
        ),
        Advice::words("the host has to name that user; or use an https address for the remote"),
    )
}

// ---- the keys of hosts

pub(super) fn host_key_unknown(at: &Situation<'_>) -> Diagnosis {
    let url = at.url();
    found(
        format!(
            "ssh does not know the host key of {url}: it is not in {} of {}",
            line_of(known_hosts(at)),
            at.user()
        ),
        Advice::run(
            format!(
                "get the key, compare its fingerprint with the one that the host publishes{}, and only then accept it with \
                 the last line; then press Redeliver",
                published(&url)
            ),
            accept_host_key(&url, at),
        ),
    )
}

pub(super) fn host_key_changed(file: Option<&Path>, at: &Situation<'_>) -> Diagnosis {
    let url = at.url();
    let known = known_hosts(at);
    let is_ours = file.is_some_and(|file| file.starts_with(at.git_dir().join("deploy-cgi")));
    let cause = format!(
        "{url} shows another host key than the one that is in {}: it has a new one, or somebody stands between",
        line_of(file.unwrap_or(&known))
    );
    if is_ours {
        return found(
            cause,
            Advice::words(format!(
                "do not go on before you have compared: the keys of GitHub that are built into deploy-cgi are in that file, \
                 and GitHub publishes its fingerprints at {FINGERPRINTS}. If GitHub has a new key, a newer deploy-cgi has it too"
            )),
        );
    }
    let mut commands = accept_host_key(&url, at);
    if let (Some(host), Some(last)) = (url.host(), commands.len().checked_sub(1)) {
        let with_port = |port| format!("[{host}]:{port}");
        let name = url.port().map_or_else(|| host.to_owned(), with_port);
        let is_own = |file: &&Path| {
            known
                .parent()
                .is_some_and(|folder| file.starts_with(folder))
        };
        let file = file.filter(is_own).unwrap_or(&known);
        let forget = format!("ssh-keygen -R {} -f {}", word(&name), quoted(file));
        commands.insert(last, at.run(forget));
    }
    found(
        cause,
        Advice::run(
            format!(
                "compare the fingerprint of the new key with the one that the host publishes{}. Only if they are the same, \
                 forget the old key and accept the new one with the last two lines; then press Redeliver",
                published(&url)
            ),
            commands,
        ),
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

/// Fetches a host's keys into a file of their own and shows their fingerprints; the last command accepts them.
fn accept_host_key(url: &RemoteUrl, at: &Situation<'_>) -> Vec<String> {
    let Some(host) = url.host().filter(|_| url.is_ssh()) else {
        return Vec::new();
    };
    let port = |port| format!("-p {} ", word(port));
    let port = url.port().map_or_else(String::new, port);
    let known = known_hosts(at);
    let new = quoted(&known.with_extension("new"));
    let folder = known.parent().unwrap_or(&known);
    [
        format!("mkdir -p -m 700 {}", quoted(folder)),
        format!("ssh-keyscan {port}{} >{new}", word(host)),
        format!("ssh-keygen -l -f {new}"),
        format!("cat {new} >>{}", quoted(&known)),
    ]
    .iter()
    .map(|command| at.run(command))
    .collect()
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
    fn own_key(&self, named: &Path) -> Option<PathBuf> {
        let mut keys = self.keys(&self.url());
        keys.extend(self.site.ssh_key.clone());
        keys.into_iter().find(|key| key == named)
    }
}

pub(super) fn key_too_open(key: &Path, at: &Situation<'_>) -> Diagnosis {
    let cause = format!("ssh ignores the key {}: others can read it", line_of(key));
    let close = |key: &PathBuf| at.run(format!("chmod 600 {}", quoted(key)));
    found(
        cause,
        Advice::run(
            "close it, then press Redeliver",
            at.own_key(key).as_ref().map(close),
        ),
    )
}

pub(super) fn key_unreadable(key: &Path, at: &Situation<'_>) -> Diagnosis {
    let commands = at.own_key(key).map(|key| {
        [
            give_to(&at.user, &key),
            at.run(format!("chmod 600 {}", quoted(&key))),
        ]
    });
    found(
        format!("{} may not read the key {}", at.user(), line_of(key)),
        Advice::run(
            format!("give it to {}, then press Redeliver", at.user()),
            commands.into_iter().flatten(),
        ),
    )
}

/// Nobody is there to type it.
pub(super) fn key_has_passphrase(key: &Path, at: &Situation<'_>) -> Diagnosis {
    found(
        format!(
            "the key {} has a passphrase, and nobody is there to type it",
            line_of(key)
        ),
        Advice::run(
            "take the passphrase away (the file stays readable by its owner only)",
            [at.run(format!("ssh-keygen -p -N '' -f {}", quoted(key)))],
        ),
    )
}

pub(super) fn key_refused(at: &Situation<'_>) -> Diagnosis {
    let url = at.url();
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
        return found(
            format!("{url} wants a key, and {} has none{named}", at.user()),
            new_key(&url, at, "make one"),
        );
    };
    let offered: Vec<String> = keys.iter().map(line_of).collect();
    found(
        format!(
            "{url} does not accept the key that {} offers: {}",
            at.user(),
            offered.join(", ")
        ),
        Advice::run(
            format!(
                "enter its public half as a deploy key at {}, then press Redeliver. The public half",
                deploy_keys_page(&url)
            ),
            [at.run(format!("ssh-keygen -y -f {}", quoted(key)))],
        ),
    )
}

pub(super) fn key_of_another(repository: &str, at: &Situation<'_>) -> Diagnosis {
    found(
        format!(
            "GitHub knows the key, but as the key of something else: it may not read {}",
            line_of(repository)
        ),
        new_key(
            &at.url(),
            at,
            "a deploy key belongs to one repository; make one of its own",
        ),
    )
}

/// Makes a key and shows what to enter.
pub(super) fn new_key(url: &RemoteUrl, at: &Situation<'_>, first: &str) -> Advice {
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
        if let Some(folder) = key.parent() {
            commands.push(format!("mkdir -p -m 700 {}", quoted(folder)));
        }
        commands.push(format!(
            "ssh-keygen -q -t ed25519 -N '' -f {}",
            quoted(&key)
        ));
    }
    commands.push(format!(
        "cat {}",
        quoted(Path::new(&format!("{}.pub", key.display())))
    ));
    let named = if at.site.ssh_key.is_none() {
        format!(
            ", name it in {} (ssh_key = \"{}\")",
            at.site_file(),
            line_of(&key)
        )
    } else {
        String::new()
    };
    Advice::run(
        format!(
            "{first}, enter what the `cat` line shows as a deploy key at {}{named}, then press Redeliver",
            deploy_keys_page(url)
        ),
        commands.iter().map(|command| at.run(command)),
    )
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
        let key = |second: &str| format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{second}\n");
        assert!(!has_passphrase(&key(
            "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ"
        )));
        assert!(has_passphrase(&key(
            "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAA"
        )));
        assert!(has_passphrase(
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
        ));
        assert!(!has_passphrase("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n"));
    }
}
