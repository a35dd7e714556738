//! What the checkout follows, and how it stands to that.

use super::work_tree::unfinished;
use super::{Diagnosis, Situation};
use crate::git::NoUpstream;
use crate::redaction::line_of;
use crate::shell::word;

const DETACHED: &str = "no branch is checked out (HEAD is detached)";

/// A checkout that follows nothing.
pub(super) fn not_following(why: &NoUpstream, at: &Situation<'_>) -> Diagnosis {
    // Git switches to no branch before that has ended, and most of it ends at the branch where it began.
    if matches!(why, NoUpstream::Detached | NoUpstream::OtherBranch { .. })
        && let Some(unfinished) = unfinished(at)
    {
        return unfinished;
    }
    let (git, config) = (at.git(), at.config());
    let switch_to = |branch: &str| format!("{git} switch {}", word(branch));
    let (branch, cause) = match why {
        NoUpstream::Detached => {
            let all = || format!("{git} branch --all");
            let first = config.branches().first().map(|branch| switch_to(branch));
            return at.advise(
                DETACHED,
                "check out the branch to deploy, then press Redeliver",
                [first.unwrap_or_else(all)],
            );
        }
        NoUpstream::OtherBranch { wanted, found } => {
            let found = found.as_ref().map_or_else(
                || DETACHED.to_owned(),
                |found| format!("{} is checked out", line_of(found)),
            );
            return at.advise(
                format!("{found}, but the site's `branch` is {}", line_of(wanted)),
                "check it out, then press Redeliver",
                [switch_to(wanted)],
            );
        }
        NoUpstream::NotSet { branch } => (
            branch,
            format!("{} has no upstream to pull from", line_of(branch)),
        ),
        NoUpstream::LocalUpstream { branch } => (
            branch,
            format!(
                "the upstream of {} is another branch of this checkout, where nothing comes from GitHub",
                line_of(branch)
            ),
        ),
    };
    match config.remotes().first() {
        Some(remote) => {
            let upstream = word(&format!("{remote}/{branch}"));
            at.advise(
                cause,
                "give it an upstream at the remote, then press Redeliver",
                [format!(
                    "{git} branch --set-upstream-to={upstream} {}",
                    word(branch)
                )],
            )
        }
        None => at.advise(
            format!("{cause}, and the checkout has no remote"),
            format!(
                "add the remote ({git} remote add origin, and its URL), fetch, and set the upstream"
            ),
            [],
        ),
    }
}

/// Nobody could tell whether a pull brought what was pushed.
pub(super) fn upstream_not_kept(at: &Situation<'_>) -> Diagnosis {
    let (git, followed, config) = (at.git(), &at.followed, at.config());
    let (remote, branch) = (&followed.remote, followed.remote_branch());
    let local = word(&followed.branch);
    let cause = format!("git keeps no {} here to compare a pull with", at.upstream());
    let is_free = |name: &&str| !config.remotes().contains(name);
    let free_name = ["origin", "upstream", "deploy"].into_iter().find(is_free);
    // Git keeps what it fetches from a bare URL nowhere.
    if is_free(&remote.as_str())
        && let Some(name) = free_name
    {
        let key = word(&format!("branch.{}.remote", followed.branch));
        let upstream = word(&format!("{name}/{branch}"));
        return at.advise(
            cause,
            "a URL stands where the name of a remote should; give it one, then press Redeliver",
            [
                // The URL may hold a login, which is not shown.
                format!("{git} remote add {name} \"$({git} config {key})\""),
                format!("{git} fetch {name}"),
                format!("{git} branch --set-upstream-to={upstream} {local}"),
            ],
        );
    }
    if followed.remote_ref.starts_with("refs/") {
        let remote = word(remote);
        return at.advise(
            cause,
            "have it fetched, then press Redeliver",
            [
                format!("{git} remote set-branches --add {remote} {}", word(branch)),
                format!("{git} fetch {remote}"),
            ],
        );
    }
    let upstream = word(&followed.upstream_name());
    at.advise(
        cause,
        format!(
            "branch.{}.merge has to be a whole ref, such as refs/heads/{}; set it again, then press Redeliver",
            at.branch(),
            line_of(branch)
        ),
        [format!("{git} branch --set-upstream-to={upstream} {local}")],
    )
}

pub(super) fn head_is_not_upstream(at: &Situation<'_>) -> Diagnosis {
    match at.counts() {
        Some((count, 0)) => ahead(count, at),
        Some((ahead, behind)) => at.advise(
            format!(
                "after the pull {} is still {behind} commits behind {}, and {ahead} ahead",
                at.branch(),
                at.upstream()
            ),
            "look at it",
            [format!("{} status", at.git())],
        ),
        None => upstream_not_kept(at),
    }
}

pub(super) fn ahead(count: u64, at: &Situation<'_>) -> Diagnosis {
    follow_the_remote(
        format!(
            "{} here is {} ahead of {}: commits were made here, or a push took some back",
            at.branch(),
            commits(count),
            at.upstream()
        ),
        "push them from here (git push), or ",
        at,
    )
}

pub(super) fn diverged(at: &Situation<'_>) -> Diagnosis {
    let counts = at.counts().map_or_else(String::new, |(ahead, behind)| {
        format!(" ({} here, {behind} there)", commits(ahead))
    });
    let upstream = at.upstream();
    follow_the_remote(
        format!(
            "{} and {upstream} have diverged{counts}: commits were made here, or {upstream} was rewritten",
            at.branch()
        ),
        "",
        at,
    )
}

/// Gives up what the branch here has of its own, but keeps it under another name.
fn follow_the_remote(cause: String, first: &str, at: &Situation<'_>) -> Diagnosis {
    let git = at.git();
    at.advise(
        cause,
        format!(
            "{first}make this checkout what was pushed; its own commits stay in a branch called kept-… (or set \
             update = \"reset\" in {}, which does the like at each deploy)",
            at.site_file()
        ),
        [
            format!("{git} branch -f kept-$({git} rev-parse --short HEAD)"),
            format!("{git} reset --keep {}", word(&at.followed.upstream_name())),
        ],
    )
}

fn commits(count: u64) -> String {
    format!("{count} commit{}", if count == 1 { "" } else { "s" })
}
