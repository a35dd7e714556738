//! The remote: whether it is there, lets us in, and answers.

use std::path::Path;

use super::host::owner_of;
use super::{Advice, Diagnosis, Situation, found};
use crate::redaction::line_of;
use crate::shell::{as_root, quoted, word};

pub(super) fn login_missing(at: &Situation<'_>) -> Diagnosis {
    let url = at.url();
    let advice = match url.for_ssh() {
        Some(ssh) => {
            let mut advice = super::ssh::new_key(&url, at, "let the checkout use a deploy key");
            advice.commands.push(if at.submodule().is_some() {
                at.run(format!(
                    "git config --global url.{}.insteadOf {}",
                    word(&ssh),
                    word(&url.to_string())
                ))
            } else {
                at.git(format_args!(
                    "remote set-url {} {}",
                    word(&at.followed.remote),
                    word(&ssh)
                ))
            });
            advice
        }
        None => Advice::run(
            format!(
                "store the login for {} (git asks for it once), then press Redeliver",
                at.user()
            ),
            [
                at.run("git config --global credential.helper store"),
                fetch(at),
            ],
        ),
    };
    found(
        format!(
            "{url} is private or not there: it wants a login, and {} has none stored",
            at.user()
        ),
        advice,
    )
}

fn fetch(at: &Situation<'_>) -> String {
    at.git(format_args!("fetch {}", word(&at.followed.remote)))
}

pub(super) fn login_refused(at: &Situation<'_>) -> Diagnosis {
    let url = at.url();
    let cause = |whose: &str| {
        format!("{url} refuses the login {whose}: it is not the right one, or has expired")
    };
    // Where the login stood in the URL, it is masked.
    match at.followed.url.to_string().split_once("***@") {
        Some((scheme, rest)) => found(
            cause("that stands in the remote's URL"),
            Advice::run(
                "take it out, and let git store a new one (it asks once); or use a deploy key. Then press Redeliver",
                [
                    at.git(format_args!(
                        "remote set-url {} {}",
                        word(&at.followed.remote),
                        word(&format!("{scheme}{rest}"))
                    )),
                    at.run("git config --global credential.helper store"),
                    fetch(at),
                ],
            ),
        ),
        None => found(
            cause(&format!("that {} has stored", at.user())),
            Advice::run(
                "forget it and log in anew (git asks), or use a deploy key; then press Redeliver",
                [
                    at.run(format!(
                        "printf 'url=%s\\n\\n' {} | git credential reject",
                        word(&url.to_string())
                    )),
                    fetch(at),
                ],
            ),
        ),
    }
}

pub(super) fn not_found(at: &Situation<'_>) -> Diagnosis {
    let user = at.user();
    let Some(path) = at.submodule() else {
        return found(
            format!("{} is not there, or {user} may not see it", at.url()),
            Advice::run(
                "correct the URL (git remote set-url). GitHub says \"not found\" also for a private repository without \
                 access; then use a deploy key. What is used now",
                [at.git("remote -v")],
            ),
        );
    };
    let path = line_of(path);
    let remote = match at.url_of_output() {
        Some(url) => format!("{url}, the remote of the submodule {path},"),
        None => format!("the remote of the submodule {path}"),
    };
    found(
        format!("{remote} is not there, or {user} may not see it"),
        Advice::run(
            "if .gitmodules has another URL by now, use that; else mend it there and push. GitHub says \"not found\" \
             also for a private repository without access; then a deploy key helps",
            [
                at.git("submodule sync --recursive"),
                at.git("submodule update --init --recursive"),
            ],
        ),
    )
}

pub(super) fn host_not_resolved(at: &Situation<'_>) -> Diagnosis {
    let url = at.url();
    found(
        format!("the name of the host of {url} cannot be resolved"),
        Advice::run(
            "check the spelling, and the host's DNS; then press Redeliver",
            [format!(
                "getent hosts {}",
                word(url.host().unwrap_or_default())
            )],
        ),
    )
}

pub(super) fn certificate_untrusted(why: &str, at: &Situation<'_>) -> Diagnosis {
    let why = if why.is_empty() {
        String::new()
    } else {
        format!(" ({})", line_of(why))
    };
    found(
        format!("the certificate of {} is not trusted here{why}", at.url()),
        Advice::run(
            "bring the host's certificates up to date; for a certificate of your own, name it with git's setting \
             http.sslCAInfo. Then press Redeliver",
            [as_root(
                &at.user,
                "apt-get install --only-upgrade ca-certificates",
            )],
        ),
    )
}

pub(super) fn unreachable(at: &Situation<'_>) -> Diagnosis {
    let url = at.url();
    let port = if url.is_ssh() && url.port().is_none() {
        "22, or use ssh.github.com on port 443"
    } else {
        url.port_used()
    };
    found(
        format!("{url} cannot be reached from here"),
        Advice::words(format!(
            "press Redeliver once it is up. Some hosts let nothing out: ask for outgoing port {port}"
        )),
    )
}

pub(super) fn server_trouble(at: &Situation<'_>) -> Diagnosis {
    found(
        format!("{} has trouble of its own", at.url()),
        Advice::words("press Redeliver later; GitHub's state is at https://www.githubstatus.com"),
    )
}

pub(super) fn disconnected(at: &Situation<'_>) -> Diagnosis {
    found(
        format!("the connection to {} broke", at.url()),
        Advice::words("press Redeliver"),
    )
}

/// Git reads no repository that belongs to somebody else.
pub(super) fn dubious_ownership(path: &Path, at: &Situation<'_>) -> Diagnosis {
    let user = at.user();
    let (shown, owner) = (line_of(path), owner_of(path));
    if path.starts_with(at.folder()) {
        return found(
            format!("{shown} belongs to {owner}, so git does not trust it when {user} works there"),
            at.fix_owner(),
        );
    }
    // Only the checkout's own remote is to be trusted.
    let remote = at.followed.url.as_str().trim_start_matches("file://");
    let is_remote = Path::new(remote)
        .canonicalize()
        .is_ok_and(|remote| path.starts_with(remote));
    let trust = is_remote.then(|| {
        at.run(format!(
            "git config --global --add safe.directory {}",
            quoted(path)
        ))
    });
    found(
        format!(
            "the remote {shown} belongs to {owner}, so git does not trust it when {user} reads it"
        ),
        Advice::run(format!("let {user} trust it, then press Redeliver"), trust),
    )
}
