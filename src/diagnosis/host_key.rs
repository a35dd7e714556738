//! The keys by which ssh knows hosts.

use std::path::{Path, PathBuf};

use super::{Diagnosis, Situation};
use crate::redaction::line_of;
use crate::remote_url::RemoteUrl;
use crate::shell::{quoted, word};

/// Where GitHub publishes the fingerprints of its host keys.
const FINGERPRINTS: &str = "https://docs.github.com/authentication/keeping-your-account-and-data-secure/githubs-ssh-key-fingerprints";

pub(super) fn unknown(at: &Situation<'_>) -> Diagnosis {
    let (url, file, user) = (at.url(), line_of(known_hosts(at)), at.user());
    let of = at
        .user
        .own_home()
        .map_or_else(String::new, |_| format!(" of {user}"));
    let published = published(&url);
    tell!(at, "ssh does not know the host key of {url}: it is not in {file}{of}";
        "get the key, compare its fingerprint with the one that the host publishes{published}, and only then accept it \
         with the last line; then press Redeliver";
        ..accept_host_key(&url, None, at))
}

pub(super) fn changed(file: Option<&Path>, at: &Situation<'_>) -> Diagnosis {
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
    let published = published(&url);
    tell!(at, "{cause}";
        "compare the fingerprint of the new key with the one that the host publishes{published}. Only if they are the \
         same, forget the old key and accept the new one with the last two lines; then press Redeliver";
        ..accept_host_key(&url, Some(forget_in), at))
}

/// Where a host key is accepted for this user: by root for all, where the home is not the user's own.
fn known_hosts(at: &Situation<'_>) -> PathBuf {
    at.user.own_home().map_or_else(
        || "/etc/ssh/ssh_known_hosts".into(),
        |home| home.join(".ssh/known_hosts"),
    )
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
    let (new, known, name) = (
        quoted(&known.with_extension("new")),
        quoted(forget_in.unwrap_or(&known)),
        word(&name),
    );
    let look = format!("ssh-keygen -l -f {new}");
    let forget = forget_in.map(|_| format!("ssh-keygen -R {name} -f {known}"));
    let scan = format!("ssh-keyscan {option}{}", word(host));
    let Some(home) = at.user.own_home() else {
        let as_root = |line: String| format!("sudo sh -c {}", word(&format!("umask 022; {line}")));
        return [as_root(format!("{scan} >{new}")), look]
            .into_iter()
            .chain(forget.map(|forget| format!("sudo {forget}")))
            .chain([as_root(format!("cat {new} >>{known}"))])
            .collect();
    };
    [
        format!("mkdir -p -m 700 {}", quoted(&home.join(".ssh"))),
        format!("{scan} >{new}"),
        look,
    ]
    .into_iter()
    .chain(forget)
    .chain([format!("cat {new} >>{known}")])
    .collect()
}
