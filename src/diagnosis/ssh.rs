//! Our own keys.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Diagnosis, Situation, with_ending};
use crate::redaction::{line_of, list};
use crate::remote_url::RemoteUrl;
use crate::repository_name::RepositoryName;
use crate::shell::{give_to, quoted, word};
use crate::site::read_small;

/// Where the documentation keeps the keys of a user that has no home of its own, such as `www-data`.
pub(super) const FOLDER_OF_THE_HOST: &str = "/etc/deploy-cgi";

/// How many files are looked at for a private key.
const MAX_FILES: usize = 100;

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
        keys.extend(self.site.ssh_keys.iter().map(|(_, key)| key.clone()));
        keys.into_iter().find(|key| key == named)
    }

    /// The repository of a URL where it is another one than the checkout's at the same host: it needs a key of its own.
    pub(super) fn repository_beside<'u>(&self, url: &'u RemoteUrl) -> Option<&'u RepositoryName> {
        let remote = &self.followed.url;
        let is_beside = (url.is_ssh() || url.is_https()) && remote.has_host_of(url);
        url.repository()
            .filter(|repository| is_beside && remote.repository() != Some(repository))
    }
}

/// Nobody is there to type it.
pub(super) fn key_has_passphrase(key: &Path, at: &Situation<'_>) -> Diagnosis {
    let (shown, key) = (line_of(key), quoted(key));
    tell!(at, "the key {shown} has a passphrase, and nobody is there to type it";
        "take the passphrase away (the file stays readable by its owner only)";
        "ssh-keygen -p -N '' -f {key}")
}

pub(super) fn key_too_open(key: &Path, at: &Situation<'_>) -> Diagnosis {
    let own = at.own_key(key);
    if own.as_deref().is_some_and(is_public) {
        return key_is_public(key, at);
    }
    let shown = line_of(key);
    tell!(at, "ssh ignores the key {shown}: others can read it"; "close it, then press Redeliver";
        ..own.map(|key| close(&key)))
}

pub(super) fn key_unreadable(key: &Path, at: &Situation<'_>) -> Diagnosis {
    let (user, shown, own) = (at.user(), line_of(key), at.own_key(key));
    let commands = own
        .iter()
        .flat_map(|key| [give_to(&at.user, key), close(key)]);
    tell!(at, "{user} may not read the key {shown}"; "give it to {user}, then press Redeliver"; ..commands)
}

fn close(key: &Path) -> String {
    format!("chmod 600 {}", quoted(key))
}

/// The half of a key that is for GitHub.
pub(super) fn key_is_public(key: &Path, at: &Situation<'_>) -> Diagnosis {
    let (shown, site_file, user) = (line_of(key), at.site_file(), at.user());
    let private = key.with_extension("");
    let cause = format!(
        "{shown} is the public half of a key, which is for GitHub; ssh needs the private one"
    );
    if key.extension().is_some_and(|end| end == "pub") && private.exists() {
        let private = line_of(private);
        return tell!(at, "{cause}"; "name it in {site_file}: ssh_key = \"{private}\"; then press Redeliver");
    }
    tell!(at, "{cause}";
        "bring that one here (mode 0600, owner {user}), and name it in {site_file} with `ssh_key`; then press Redeliver")
}

/// What ssh takes for no key at all.
pub(super) fn key_damaged(key: &Path, at: &Situation<'_>) -> Diagnosis {
    let own = at.own_key(key);
    if let Some(other) = own.as_deref().and_then(|key| unusable(key, at)) {
        return other;
    }
    let is_of_windows = |key: &PathBuf| read_small(key).is_ok_and(|text| text.contains(&b'\r'));
    let mend = own
        .filter(is_of_windows)
        .map(|key| format!("sed -i 's/\\r$//' {}", quoted(&key)));
    let key = line_of(key);
    tell!(at, "{key} is no private key that ssh can read: it was changed on its way here";
        "bring it here once more, in binary mode, as it was made; where its lines only end as on Windows, mend them. Then \
         press Redeliver";
        ..mend)
}

/// A kind of key, or of signature, that the other side does not take any more.
pub(super) fn key_too_old(at: &Situation<'_>) -> Diagnosis {
    let url = at.url();
    let cause =
        format!("{url} takes no RSA key with SHA-1 any more, as old programs for ssh use it");
    let named = at.git.key_named_for(&url);
    let key = named.map_or_else(|| usual_key(at), |key| with_ending(&key, "-ed25519"));
    new_key_at(&key, &cause, "make a key of another kind", None, at)
}

/// What a look at a key says against it.
fn unusable(key: &Path, at: &Situation<'_>) -> Option<Diagnosis> {
    let text = read_small(key).unwrap_or_default();
    if is_public(key) {
        Some(key_is_public(key, at))
    } else if has_passphrase(&String::from_utf8_lossy(&text)) {
        Some(key_has_passphrase(key, at))
    } else {
        None
    }
}

pub(super) fn key_refused(at: &Situation<'_>) -> Diagnosis {
    let (url, user, site_file) = (at.url(), at.user(), at.site_file());
    let keys = at.keys(&url);
    if let Some(unusable) = keys.iter().find_map(|key| unusable(key, at)) {
        return unusable;
    }
    let unused = unused_keys(&keys, at);
    let Some(key) = keys.first() else {
        let named = at.git.key_named_for(&url);
        let named = named.map_or_else(String::new, |key| format!(": there is no {}", line_of(key)));
        let cause = format!("{url} wants a key, and {user} has none that ssh would take{named}");
        let Some(one) = unused.first() else {
            return new_key(&cause, "make one", None, at);
        };
        let (there, one) = (list(&unused), line_of(one));
        return tell!(at, "{cause}; but there is {there}";
            "if that is the one, name it in {site_file}: ssh_key = \"{one}\"; then press Redeliver");
    };
    let others = if unused.is_empty() {
        String::new()
    } else {
        format!(
            ", or name another one with `ssh_key` in {site_file} ({})",
            list(&unused)
        )
    };
    let (offered, page, key) = (list(&keys), deploy_keys_page(&url), quoted(key));
    tell!(at, "{url} does not accept the key that {user} offers: {offered}";
        "enter its public half as a deploy key at {page}{others}, then press Redeliver. The public half";
        "ssh-keygen -y -f {key}")
}

/// Private keys where people keep them that ssh offers only where it is told to.
fn unused_keys(offered: &[PathBuf], at: &Situation<'_>) -> Vec<PathBuf> {
    let named = at.site.ssh_key.as_deref().and_then(Path::parent);
    let folder = named.map_or_else(|| folder_for_keys(at), Path::to_owned);
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_private = |text: Vec<u8>| {
        let text = String::from_utf8_lossy(&text);
        let first = text.lines().next().unwrap_or_default();
        first.starts_with("-----BEGIN ") && first.ends_with(" PRIVATE KEY-----")
    };
    let of_others = |path: &PathBuf| at.site.ssh_keys.iter().any(|(_, key)| key == path);
    let mut unused: Vec<PathBuf> = entries
        .take(MAX_FILES)
        .map(|entry| entry.path())
        .filter(|path| !offered.contains(path) && !of_others(path))
        .filter(|path| read_small(path).is_ok_and(is_private))
        .collect();
    unused.sort();
    unused
}

/// Where a user's keys are kept: where the documentation says for one that has no home of its own.
fn folder_for_keys(at: &Situation<'_>) -> PathBuf {
    at.user
        .own_home()
        .map_or_else(|| FOLDER_OF_THE_HOST.into(), |home| home.join(".ssh"))
}

/// The key that is made where the site names none.
fn usual_key(at: &Situation<'_>) -> PathBuf {
    let folder = folder_for_keys(at);
    // The one that ssh offers without being told.
    let usual = folder.join("id_ed25519");
    if at.user.own_home().is_some() && !usual.exists() {
        usual
    } else {
        folder.join("deploy")
    }
}

/// Makes a key and shows what to enter; then a command has it used, where one is needed.
pub(super) fn new_key(
    cause: &str,
    first: &str,
    use_it: Option<String>,
    at: &Situation<'_>,
) -> Diagnosis {
    let url = at.url();
    let own = at.repository_beside(&url);
    let own = own.filter(|_| !at.site.has_key_of(&url));
    let own = own.map(|repository| folder_for_keys(at).join(repository.name()));
    let key = own.or_else(|| at.git.key_named_for(&url));
    let key = key.unwrap_or_else(|| usual_key(at));
    new_key_at(&key, cause, first, use_it, at)
}

fn new_key_at(
    key: &Path,
    cause: &str,
    first: &str,
    use_it: Option<String>,
    at: &Situation<'_>,
) -> Diagnosis {
    let mut commands = make_key(key, at);
    commands.extend(use_it);
    let (url, site_file, shown) = (at.url(), at.site_file(), line_of(key));
    let name_it = if at.git.key_named_for(&url).as_deref() == Some(key) {
        String::new()
    } else if let Some(repository) = at.repository_beside(&url) {
        let repository = line_of(repository.to_string());
        format!(", name it in {site_file} (ssh_keys = {{ \"{repository}\" = \"{shown}\" }})")
    } else {
        format!(", name it in {site_file} (ssh_key = \"{shown}\")")
    };
    let page = deploy_keys_page(&at.url());
    tell!(at, "{cause}";
        "{first}, enter what the `cat` line shows as a deploy key at {page}{name_it}, then press Redeliver";
        ..commands)
}

/// Makes a key where there is none, and shows its public half.
pub(crate) fn make_key(key: &Path, at: &Situation<'_>) -> Vec<String> {
    let mut commands = Vec::new();
    if !key.exists() {
        let folder = key.parent().unwrap_or(key);
        let (user, file) = (word(&at.user.in_commands()), quoted(key));
        let make = format!("ssh-keygen -q -t ed25519 -N '' -f {file}");
        if folder.exists() && !is_own(folder, at) {
            let give = format!(
                "sudo chown {user} {file} {}",
                quoted(&with_ending(key, ".pub"))
            );
            commands.extend([format!("sudo {make}"), give]);
        } else {
            commands.extend(make_folder(folder, at));
            commands.push(make);
        }
    }
    commands.push(format!("cat {}", quoted(&with_ending(key, ".pub"))));
    commands
}

/// Makes a folder that is closed to others, where there is none; root does in a folder that is not the user's own.
pub(super) fn make_folder(folder: &Path, at: &Situation<'_>) -> Option<String> {
    let there = folder.ancestors().find(|folder| folder.exists())?;
    let (path, user) = (quoted(folder), word(&at.user.in_commands()));
    (there != folder).then(|| {
        if is_own(there, at) {
            format!("mkdir -p -m 700 {path}")
        } else {
            format!("sudo install -d -m 700 -o {user} {path}")
        }
    })
}

fn is_own(folder: &Path, at: &Situation<'_>) -> bool {
    folder
        .metadata()
        .is_ok_and(|found| found.uid() == at.user.uid)
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

/// Whether a file is the public half of a key: its kind stands first.
pub(crate) fn is_public(key: &Path) -> bool {
    let text = read_small(key).unwrap_or_default();
    ["ssh-", "ecdsa-", "sk-"]
        .iter()
        .any(|kind| text.starts_with(kind.as_bytes()))
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
