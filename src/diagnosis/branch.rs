//! What the checkout follows, and how it stands to that.

use super::work_tree::unfinished;
use super::{Diagnosis, Situation};
use crate::git::NoUpstream;
use crate::redaction::line_of;
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
            no_upstream(branch, cause, at)
        }
        NoUpstream::LocalUpstream { branch } => {
            let cause = format!(
                "the upstream of {} is another branch of this checkout, where nothing comes from GitHub",
                line_of(branch)
            );
            no_upstream(branch, cause, at)
        }
    }
}

fn detached(at: &Situation<'_>) -> Diagnosis {
    let first = at.config().branches().first().map_or_else(
        || "branch --all".to_owned(),
        |branch| format!("switch {}", word(branch)),
    );
    let git = at.git();
    tell!(at, "{DETACHED}"; "check out the branch to deploy, then press Redeliver"; "{git} {first}")
}

fn other_branch(wanted: &str, found: Option<&str>, at: &Situation<'_>) -> Diagnosis {
    let found = found.map_or_else(
        || DETACHED.to_owned(),
        |found| format!("{} is checked out", line_of(found)),
    );
    let (shown, git, wanted) = (line_of(wanted), at.git(), word(wanted));
    tell!(at, "{found}, but the site's `branch` is {shown}";
        "check it out, then press Redeliver";
        "{git} switch {wanted}")
}

fn no_upstream(branch: &str, cause: String, at: &Situation<'_>) -> Diagnosis {
    let (git, config) = (at.git(), at.config());
    let remotes = config.remotes();
    let Some(remote) = remotes.first() else {
        return tell!(at, "{cause}, and the checkout has no remote";
            "add the remote ({git} remote add origin, and its URL), fetch, and set the upstream");
    };
    at.advise(
        cause,
        "give it an upstream at the remote, then press Redeliver",
        [set_upstream(&format!("{remote}/{branch}"), branch, at)],
    )
}

fn set_upstream(upstream: &str, branch: &str, at: &Situation<'_>) -> String {
    let (upstream, branch) = (word(upstream), word(branch));
    format!("{} branch --set-upstream-to={upstream} {branch}", at.git())
}

/// Nobody could tell whether a pull brought what was pushed.
pub(super) fn upstream_not_kept(at: &Situation<'_>) -> Diagnosis {
    let (git, followed, config) = (at.git(), &at.followed, at.config());
    let (remote, branch) = (word(&followed.remote), followed.remote_branch());
    let set = |upstream: &str| set_upstream(upstream, &followed.branch, at);
    let cause = format!("git keeps no {} here to compare a pull with", at.upstream());
    let is_free = |name: &&str| !config.remotes().contains(name);
    let free_name = ["origin", "upstream", "deploy"].into_iter().find(is_free);
    // Git keeps what it fetches from a bare URL nowhere.
    if is_free(&followed.remote.as_str())
        && let Some(name) = free_name
    {
        let key = word(&format!("branch.{}.remote", followed.branch));
        let set = set(&format!("{name}/{branch}"));
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
    let (local, branch) = (at.branch(), line_of(branch));
    let set = set(&followed.upstream_name());
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

/// Gives up what the branch here has of its own, but keeps it under another name.
fn follow_the_remote(cause: &str, first: &str, at: &Situation<'_>) -> Diagnosis {
    let (git, site_file) = (at.git(), at.site_file());
    let upstream = word(&at.followed.upstream_name());
    tell!(at, "{cause}";
        "{first}make this checkout what was pushed; its own commits stay in a branch called kept-… (or set \
         update = \"reset\" in {site_file}, which does the like at each deploy)";
        "{git} branch -f kept-$({git} rev-parse --short HEAD)";
        "{git} reset --keep {upstream}")
}

fn commits(count: u64) -> String {
    format!("{count} commit{}", if count == 1 { "" } else { "s" })
}
