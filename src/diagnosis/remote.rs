//! The remote: whether it is there, lets us in, and answers.

use std::path::Path;

use super::ssh::{FOLDER_OF_THE_HOST, make_folder, new_key};
use super::work_tree::owner_of;
use super::{Diagnosis, Situation};
use crate::git;
use crate::redaction::line_of;
use crate::shell::{git_config, quoted, word};

/// Git asks for a login once, and keeps it in a file of the user's; then it is asked to.
fn log_in(at: &Situation<'_>) -> Vec<String> {
    let (git, remote) = (at.git(), word(&at.followed.remote));
    let store = if at.user.own_home().is_some() {
        vec!["git config --global credential.helper store".into()]
    } else {
        let make = make_folder(Path::new(FOLDER_OF_THE_HOST), at);
        let helper = format!("store --file={FOLDER_OF_THE_HOST}/git-credentials");
        let store = format!("{git} config credential.helper {}", word(&helper));
        make.into_iter().chain([store]).collect()
    };
    [store, vec![format!("{git} fetch {remote}")]].concat()
}

pub(super) fn login_missing(at: &Situation<'_>) -> Diagnosis {
    let (url, user) = (at.url(), at.user());
    // It had one, which was refused.
    if git::has_lost_its_login(&url) || url.login().is_some() {
        return login_refused(at);
    }
    let cause =
        format!("{url} is private or not there: it wants a login, and {user} has none stored");
    // It also asks for one where it limits anonymous downloads.
    let or = if url.is_github() {
        "if it is public, press Redeliver later (GitHub asks for a login, too, where it limits anonymous downloads); or "
    } else {
        ""
    };
    if let Some(told) = over_ssh(&cause, or, at) {
        return told;
    }
    tell!(at, "{cause}"; "store the login for {user} (git asks for it once), then press Redeliver"; ..log_in(at))
}

/// The way out for whatever is wrong with https: a deploy key, where the host takes one.
fn over_ssh(cause: &str, or: &str, at: &Situation<'_>) -> Option<Diagnosis> {
    let url = at.url();
    let ssh = url.for_ssh().as_deref().map(word)?;
    let (git, remote) = (at.git(), word(&at.followed.remote));
    let mut first = format!("{or}let the checkout use a deploy key");
    let use_it = if at.repository_beside(&url).is_some() {
        // The key `ssh_keys` has it go over ssh.
        None
    } else if at.submodule().is_some() {
        let url = word(&url.to_string());
        Some(git_config(&at.user, &format!("url.{ssh}.insteadOf {url}")))
    } else if at.git.checkout.is_being_cloned() {
        let site_file = at.site_file();
        first = format!(
            "{or}correct the key `clone` in {site_file}; or, where it is right, set clone = \"{ssh}\" and make a deploy key"
        );
        None
    } else {
        Some(format!("{git} remote set-url {remote} {ssh}"))
    };
    Some(new_key(cause, &first, use_it, at))
}

pub(super) fn cloned_from_elsewhere(url: &str, at: &Situation<'_>) -> Diagnosis {
    let clone = at.site.clone.as_ref();
    let shown = clone.map(ToString::to_string).unwrap_or_default();
    // A login is not shown, and so in no command.
    let bare = clone.filter(|clone| clone.login().is_none());
    let (git, folder, site_file) = (at.git(), line_of(at.folder()), at.site_file());
    tell!(at, "the checkout comes from {url} and is pulled from there, although the key `clone` says {shown}";
        "if the key is right, have the checkout follow it (without a shell: rename the folder {folder}, and the next \
         push clones it anew); else correct `clone` in {site_file}";
        ..bare.map(|_| format!("{git} remote set-url origin {}", word(&shown))))
}

pub(super) fn throttled(at: &Situation<'_>) -> Diagnosis {
    let url = at.url();
    let cause = format!(
        "{url} lets fewer through at the moment that show no login, and this host's address is one of many"
    );
    over_ssh(
        &cause,
        "press Redeliver later; or have a token sent at once (docs/troubleshooting.md, \"GitHub limits anonymous downloads\"); or ",
        at,
    )
    .unwrap_or_else(|| tell!(at, "{cause}"; "press Redeliver later"))
}

pub(super) fn tls_too_old(at: &Situation<'_>) -> Diagnosis {
    let (url, site_file) = (at.url(), at.site_file());
    let cause =
        format!("{url} and this host's git have no version of TLS in common: one of them is old");
    over_ssh(&cause, "name the folder of a newer git with the key `path`; or ", at).unwrap_or_else(|| {
        tell!(at, "{cause}"; "name the folder of a newer git with the key `path` in {site_file}, then press Redeliver")
    })
}

pub(super) fn login_refused(at: &Situation<'_>) -> Diagnosis {
    let (url, user) = (at.url(), at.user());
    let (git, remote) = (at.git(), word(&at.followed.remote));
    let cause = |whose: &str| {
        format!("{url} refuses the login {whose}: it is not the right one, or has expired")
    };
    if git::has_lost_its_login(&url) {
        let (cause, site_file) = (cause("of the key `clone`"), at.site_file());
        return tell!(at, "{cause}";
            "set the right one there, in {site_file}, or use a deploy key; then press Redeliver");
    }
    // Where the login stood in the URL, it is masked.
    if let Some((scheme, rest)) = at.followed.url.to_string().split_once("***@") {
        let cause = cause("that stands in the remote's URL");
        let bare = word(&format!("{scheme}{rest}"));
        let mut commands = vec![format!("{git} remote set-url {remote} {bare}")];
        commands.extend(log_in(at));
        return tell!(at, "{cause}";
            "take it out, and let git store a new one (it asks once); or use a deploy key. Then press Redeliver";
            ..commands);
    }
    let cause = cause(&format!("that {user} has stored"));
    let url = word(&url.to_string());
    tell!(at, "{cause}";
        "forget it and log in anew (git asks), or use a deploy key; then press Redeliver";
        "printf 'url=%s\\n\\n' {url} | git credential reject"; "{git} fetch {remote}")
}

pub(super) fn not_found(at: &Situation<'_>) -> Diagnosis {
    let (git, url, user) = (at.git(), at.url(), at.user());
    if at.git.checkout.is_being_cloned() {
        let site_file = at.site_file();
        return tell!(at, "{url} is not there, or {user} may not see it";
            "correct the key `clone` in {site_file}, then press Redeliver. GitHub says \"not found\" also for a private \
             repository without access; then use a deploy key (`ssh_key`)");
    }
    let Some(path) = at.submodule() else {
        return tell!(at, "{url} is not there, or {user} may not see it";
            "correct the URL (git remote set-url). GitHub says \"not found\" also for a private repository without \
             access; then use a deploy key. What is used now";
            "{git} remote -v");
    };
    let url = at
        .url_of_output()
        .map_or_else(String::new, |url| format!("{url}, "));
    let path = line_of(path);
    let cause =
        format!("{url}the remote of the submodule {path}, is not there, or {user} may not see it");
    let its_own = at.url();
    if at.repository_beside(&its_own).is_some() && !at.site.has_key_of(&its_own) {
        let first = "if .gitmodules has a wrong URL, mend it there and push. GitHub says \"not found\" also for a private \
                     repository without access: then make a key for it";
        return new_key(&cause, first, None, at);
    }
    tell!(at, "{cause}";
        "if .gitmodules has another URL by now, use that; else mend it there and push. GitHub says \"not found\" \
         also for a private repository without access; then a deploy key helps";
        "{git} submodule sync --recursive"; "{git} submodule update --init --recursive")
}

pub(super) fn unreachable(at: &Situation<'_>) -> Diagnosis {
    let url = at.url();
    if let Some(host) = url.as_str().strip_prefix("git://") {
        let host = word(host.split('/').next().unwrap_or(host));
        return tell!(at, "{url} cannot be reached from here: hardly any host speaks git:// any more, GitHub does not";
            "use https for it, here with the line below and for others where the URL is written (.gitmodules); then press \
             Redeliver";
            ..[git_config(&at.user, &format!("url.https://{host}/.insteadOf git://{host}/"))]);
    }
    let port = if url.is_ssh() && url.port().is_none() {
        "22, or use ssh.github.com on port 443"
    } else {
        url.port_used()
    };
    tell!(at, "{url} cannot be reached from here";
        "press Redeliver once it is up. Some hosts let nothing out: ask for outgoing port {port}")
}

/// Git reads no repository that belongs to somebody else.
pub(super) fn dubious_ownership(path: &Path, at: &Situation<'_>) -> Diagnosis {
    let (user, shown, owner) = (at.user(), line_of(path), owner_of(path));
    let belongs = format!("{shown} belongs to {owner}, so git does not trust it when {user}");
    if path.starts_with(at.folder()) {
        return at.fix_owner(&format!("{belongs} works there"));
    }
    // Only the checkout's own remote is to be trusted.
    let remote = Path::new(at.followed.url.as_str().trim_start_matches("file://")).canonicalize();
    let is_remote = remote.is_ok_and(|remote| path.starts_with(remote));
    tell!(at, "the remote {belongs} reads it"; "let {user} trust it, then press Redeliver";
        ..is_remote.then(|| git_config(&at.user, &format!("--add safe.directory {}", quoted(path)))))
}
