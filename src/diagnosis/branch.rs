//! What the checkout follows, and how it stands to that.

use super::work_tree::unfinished;
use super::{Diagnosis, Situation};
use crate::git::NoUpstream;
use crate::redaction::{line_of, list};
use crate::shell::word;

const DETACHED: &str = "no branch is checked out (HEAD is detached)";

/// A checkout that follows nothing. Git switches to no branch before what was begun has ended, and most of it ends at the
/// branch where it began.
pub(super) fn not_following(why: &NoUpstream, at: &Situation<'_>) -> Diagnosis {
    match why {
        NoUpstream::Detached => unfinished(at).unwrap_or_else(|| detached(at)),
        NoUpstream::OtherBranch { wanted, found } => {
            unfinished(at).unwrap_or_else(|| other_branch(wanted, found.as_deref(), at))
        }
        NoUpstream::NotSet { branch } => {
            let cause = format!("{} has no upstream to pull from", line_of(branch));
            no_upstream(branch, &cause, at)
        }
        NoUpstream::LocalUpstream { branch } => {
            let cause = format!(
                "the upstream of {} is another branch of this checkout, where nothing comes from GitHub",
                line_of(branch)
            );
            no_upstream(branch, &cause, at)
        }
    }
}

fn detached(at: &Situation<'_>) -> Diagnosis {
    let first = at.config().branches().first().map_or_else(
        || "branch --all".to_owned(),
        |branch| format!("checkout {} --", word(branch)),
    );
    let git = at.git();
    tell!(at, "{DETACHED}"; "check out the branch to deploy, then press Redeliver"; "{git} {first}")
}

fn other_branch(wanted: &str, found: Option<&str>, at: &Situation<'_>) -> Diagnosis {
    let found = found.map_or_else(
        || DETACHED.to_owned(),
        |found| format!("{} is checked out", line_of(found)),
    );
    let (shown, git, site_file) = (line_of(wanted), at.git(), at.site_file());
    let cause = format!("{found}, but the site's `branch` is {shown}");
    if at.git.top().has_branch(wanted).unwrap_or_default() {
        let wanted = word(wanted);
        return tell!(at, "{cause}"; "check it out, then press Redeliver"; "{git} checkout {wanted} --");
    }
    let remote = a_remote(at);
    match at.git.branches_at(&remote) {
        Some(there) if !there.iter().any(|branch| branch == wanted) => {
            let (remote, there) = (line_of(&remote), named(&there));
            tell!(at, "{cause}, which {remote} does not have: it has {there}";
                "correct `branch` in {site_file}, or push that branch; then press Redeliver")
        }
        Some(_) | None => {
            let or = without_a_shell(at);
            tell!(at, "{cause}"; "bring it here and check it out, then press Redeliver{or}"; ..bring(wanted, &remote, at))
        }
    }
}

/// The remote that branches come from.
fn a_remote(at: &Situation<'_>) -> String {
    let config = at.config();
    let first = config.remotes().first().copied();
    first.unwrap_or(&at.followed.remote).to_owned()
}

/// Fetches a branch that is not here, also into a clone of a single branch, and checks it out.
fn bring(branch: &str, remote: &str, at: &Situation<'_>) -> Vec<String> {
    let whole = format!("refs/heads/{branch}");
    let is_kept = at.config().keeps_all_branches(remote);
    let (git, whole, upstream) = (
        at.git(),
        word(&whole),
        word(&format!("refs/remotes/{remote}/{branch}")),
    );
    let (remote, branch) = (word(remote), word(branch));
    let keep = format!("{git} remote set-branches --add {remote} {branch}");
    let keep = (!is_kept).then_some(keep);
    keep.into_iter()
        .chain([
            format!("{git} fetch {remote} {whole}"),
            format!("{git} checkout -b {branch} --track {upstream} --"),
        ])
        .collect()
}

fn named(branches: &[String]) -> String {
    if branches.is_empty() {
        return "no branch at all yet".into();
    }
    list(branches)
}

/// What helps where no command can be typed.
fn without_a_shell(at: &Situation<'_>) -> String {
    at.site.clone.as_ref().map_or_else(String::new, |_| {
        let folder = line_of(at.folder());
        format!(". Without a shell: rename the folder {folder}, and the next push clones it anew")
    })
}

/// The remote does not have the branch (any more).
pub(super) fn upstream_gone(at: &Situation<'_>) -> Diagnosis {
    let (followed, git, site_file) = (&at.followed, at.git(), at.site_file());
    let (upstream, url) = (at.upstream(), &followed.url);
    let there = at.git.branches_at(&followed.remote);
    if at.git.checkout.is_being_cloned() {
        let (branch, there) = (at.branch(), named(&there.unwrap_or_default()));
        return tell!(at, "{url} has no branch {branch}: it has {there}";
            "correct the key `branch` in {site_file}, or push that branch; then press Redeliver");
    }
    let Some(there) = there else {
        let remote = word(&followed.remote);
        return tell!(at, "{upstream} is no longer at {url}";
            "push it again, or follow another branch. Which there are"; "{git} ls-remote --heads {remote}");
    };
    let cause = format!(
        "{upstream} is no longer at {url}: there is {}",
        named(&there)
    );
    // The one that it was renamed to, by the looks of it.
    let is_usual = |branch: &&String| matches!(branch.as_str(), "main" | "master");
    let Some(new) = there.iter().find(is_usual).or(there.first()) else {
        return tell!(at, "{cause}"; "push it again, then press Redeliver");
    };
    let set = match at.site.branch {
        Some(_) => format!(", with branch = \"{}\" in {site_file}", line_of(new)),
        None => String::new(),
    };
    let (shown, or) = (line_of(new), without_a_shell(at));
    tell!(at, "{cause}"; "push it again; or follow {shown}{set}; then press Redeliver{or}. To follow it";
        ..bring(new, &followed.remote, at))
}

pub(super) fn no_default_branch(at: &Situation<'_>) -> Diagnosis {
    let (url, site_file) = (&at.followed.url, at.site_file());
    let there = at.git.branches_at(&at.followed.remote).unwrap_or_default();
    if there.is_empty() {
        return tell!(at, "{url} has no branch yet"; "push one, then press Redeliver");
    }
    let there = named(&there);
    tell!(at, "{url} does not say which branch is its default: it has {there}";
        "name the one to deploy with the key `branch` in {site_file}; then press Redeliver")
}

fn no_upstream(branch: &str, cause: &str, at: &Situation<'_>) -> Diagnosis {
    let (git, config) = (at.git(), at.config());
    let remotes = config.remotes();
    let Some(remote) = remotes.first() else {
        return tell!(at, "{cause}, and the checkout has no remote";
            "add the remote ({git} remote add origin, and its URL), fetch, and set the upstream");
    };
    tell!(at, "{cause}"; "give it an upstream at the remote, then press Redeliver";
        ..[set_upstream(remote, branch, branch, at)])
}

fn set_upstream(remote: &str, remote_branch: &str, branch: &str, at: &Situation<'_>) -> String {
    let upstream = word(&format!("refs/remotes/{remote}/{remote_branch}"));
    let (git, branch) = (at.git(), word(branch));
    format!("{git} branch --set-upstream-to={upstream} {branch}")
}

/// Nobody could tell whether a pull brought what was pushed.
pub(super) fn upstream_not_kept(at: &Situation<'_>) -> Diagnosis {
    let (git, followed, config) = (at.git(), &at.followed, at.config());
    let (remote, branch) = (word(&followed.remote), followed.remote_branch());
    let set = |remote: &str| set_upstream(remote, branch, &followed.branch, at);
    let cause = format!("git keeps no {} here to compare a pull with", at.upstream());
    let is_free = |name: &&str| !config.remotes().contains(name);
    let free_name = ["origin", "upstream", "deploy"].into_iter().find(is_free);
    // Git keeps what it fetches from a bare URL nowhere.
    if is_free(&followed.remote.as_str())
        && let Some(name) = free_name
    {
        let key = word(&format!("branch.{}.remote", followed.branch));
        let set = set(name);
        // The URL may hold a login, which is not shown.
        return tell!(at, "{cause}";
            "a URL stands where the name of a remote should; give it one, then press Redeliver";
            "{git} remote add {name} \"$({git} config {key})\""; "{git} fetch {name}"; "{set}");
    }
    if followed.remote_ref.starts_with("refs/") {
        let branch = word(branch);
        return tell!(at, "{cause}"; "have it fetched, then press Redeliver";
            "{git} remote set-branches --add {remote} {branch}"; "{git} fetch {remote}");
    }
    let (set, local, branch) = (set(&followed.remote), at.branch(), line_of(branch));
    tell!(at, "{cause}";
        "branch.{local}.merge has to be a whole ref, such as refs/heads/{branch}; set it again, then press Redeliver";
        "{set}")
}

pub(super) fn head_is_not_upstream(at: &Situation<'_>) -> Diagnosis {
    let (branch, upstream, git) = (at.branch(), at.upstream(), at.git());
    match at.counts() {
        Some((count, 0)) => ahead(count, at),
        Some((ahead, behind)) => tell!(at,
            "after the pull {branch} is still {behind} commits behind {upstream}, and {ahead} ahead";
            "look at it"; "{git} status"),
        None => upstream_not_kept(at),
    }
}

pub(super) fn ahead(count: u64, at: &Situation<'_>) -> Diagnosis {
    let (branch, count, upstream) = (at.branch(), commits(count), at.upstream());
    follow_the_remote(
        &format!(
            "{branch} here is {count} ahead of {upstream}: commits were made here, or a push took some back"
        ),
        "push them from here (git push), or ",
        at,
    )
}

pub(super) fn diverged(at: &Situation<'_>) -> Diagnosis {
    let counts = at.counts().map_or_else(String::new, |(ahead, behind)| {
        format!(" ({} here, {behind} there)", commits(ahead))
    });
    let (branch, upstream) = (at.branch(), at.upstream());
    follow_the_remote(
        &format!(
            "{branch} and {upstream} have diverged{counts}: commits were made here, or {upstream} was rewritten"
        ),
        "",
        at,
    )
}

/// Gives up what the branch here has of its own, but only once that has another name.
fn follow_the_remote(cause: &str, first: &str, at: &Situation<'_>) -> Diagnosis {
    let (git, site_file, upstream) = (at.git(), at.site_file(), word(&at.tracking_ref()));
    tell!(at, "{cause}";
        "{first}make this checkout what was pushed; its own commits stay in a branch called kept-… (or set \
         update = \"reset\" in {site_file}, which does the like at each deploy)";
        "{git} update-ref refs/heads/kept-$({git} rev-parse --short HEAD) HEAD && {git} reset --keep {upstream} --")
}

fn commits(count: u64) -> String {
    format!("{count} commit{}", if count == 1 { "" } else { "s" })
}
