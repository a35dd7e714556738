//! What the checkout follows, and how it stands to that.

use super::work_tree::unfinished;
use super::{Advice, Diagnosis, Situation, found};
use crate::commit_id::CommitId;
use crate::git::NoUpstream;
use crate::redaction::line_of;
use crate::shell::{quoted, word};

/// A checkout that follows nothing.
pub(super) fn not_following(unfollowing: &NoUpstream, at: &Situation<'_>) -> Diagnosis {
    // Git switches to no branch before that has ended, and most of it ends at the branch where it began.
    if matches!(
        unfollowing,
        NoUpstream::Detached | NoUpstream::OtherBranch { .. }
    ) && let Some(unfinished) = unfinished(at)
    {
        return unfinished;
    }
    let switch_to = |branch: &str| at.git(format_args!("switch {}", word(branch)));
    match unfollowing {
        NoUpstream::Detached => {
            let config = at.config();
            found(
                "no branch is checked out (HEAD is detached)",
                match config.branches().first() {
                    Some(branch) => Advice::run(
                        "check out the branch to deploy, then press Redeliver",
                        [switch_to(branch)],
                    ),
                    None => Advice::run(
                        "check out the branch to deploy (git switch), then press Redeliver. Which there are",
                        [at.git("branch --all")],
                    ),
                },
            )
        }
        NoUpstream::OtherBranch {
            wanted,
            found: here,
        } => {
            let here = here.as_ref().map_or_else(
                || "no branch is checked out (HEAD is detached)".to_owned(),
                |here| format!("{} is checked out", line_of(here)),
            );
            found(
                format!("{here}, but the site's `branch` is {}", line_of(wanted)),
                Advice::run("check it out, then press Redeliver", [switch_to(wanted)]),
            )
        }
        NoUpstream::NotSet { branch } => no_upstream(
            branch,
            &format!("{} has no upstream to pull from", line_of(branch)),
            at,
        ),
        NoUpstream::LocalUpstream { branch } => no_upstream(
            branch,
            &format!(
                "the upstream of {} is another branch of this checkout, where nothing comes from GitHub",
                line_of(branch)
            ),
            at,
        ),
    }
}

fn no_upstream(branch: &str, cause: &str, at: &Situation<'_>) -> Diagnosis {
    let config = at.config();
    match config.remotes().first() {
        Some(remote) => found(
            cause,
            Advice::run(
                "give it an upstream at the remote, then press Redeliver",
                [at.git(format_args!(
                    "branch --set-upstream-to={} {}",
                    word(&format!("{remote}/{branch}")),
                    word(branch)
                ))],
            ),
        ),
        None => found(
            format!("{cause}, and the checkout has no remote"),
            Advice::words(format!(
                "add the remote (git -C {} remote add origin, and its URL), fetch, and set the upstream",
                quoted(at.folder())
            )),
        ),
    }
}

/// Nobody could tell whether a pull brought what was pushed.
pub(super) fn upstream_not_kept(at: &Situation<'_>) -> Diagnosis {
    let followed = &at.followed;
    let (remote, branch) = (&followed.remote, followed.remote_branch());
    let advice = if let Some(name) = free_name_for(remote, &at.config().remotes()) {
        give_a_name(name, at)
    } else if followed.remote_ref.starts_with("refs/") {
        Advice::run(
            "have it fetched, then press Redeliver",
            [
                at.git(format_args!(
                    "remote set-branches --add {} {}",
                    word(remote),
                    word(branch)
                )),
                at.git(format_args!("fetch {}", word(remote))),
            ],
        )
    } else {
        Advice::run(
            format!(
                "branch.{}.merge has to be a whole ref, such as refs/heads/{}; set it again, then press Redeliver",
                at.branch(),
                line_of(branch)
            ),
            [at.git(format_args!(
                "branch --set-upstream-to={} {}",
                word(&followed.upstream_name()),
                word(&followed.branch)
            ))],
        )
    };
    found(
        format!("git keeps no {} here to compare a pull with", at.upstream()),
        advice,
    )
}

/// A name for a remote that has none: git keeps what it fetches from a bare URL nowhere.
fn free_name_for(remote: &str, named: &[&str]) -> Option<&'static str> {
    let is_free = |name: &&str| !named.contains(name);
    is_free(&remote)
        .then(|| ["origin", "upstream", "deploy"].into_iter().find(is_free))
        .flatten()
}

fn give_a_name(name: &str, at: &Situation<'_>) -> Advice {
    let branch = &at.followed.branch;
    // It may hold a login, which is not shown.
    let url = format!(
        "\"$(git -C {} config {})\"",
        quoted(at.folder()),
        word(&format!("branch.{branch}.remote"))
    );
    Advice::run(
        "a URL stands where the name of a remote should; give it one, then press Redeliver",
        [
            at.git(format_args!("remote add {name} {url}")),
            at.git(format_args!("fetch {name}")),
            at.git(format_args!(
                "branch --set-upstream-to={} {}",
                word(&format!("{name}/{}", at.followed.remote_branch())),
                word(branch)
            )),
        ],
    )
}

pub(super) fn head_is_not_upstream(at: &Situation<'_>) -> Diagnosis {
    match at.counts() {
        Some((count, 0)) => ahead(count, at),
        Some((ahead, behind)) => found(
            format!(
                "after the pull {} is still {behind} commits behind {}, and {ahead} ahead",
                at.branch(),
                at.upstream()
            ),
            Advice::run("look at it", [at.git("status")]),
        ),
        None => upstream_not_kept(at),
    }
}

pub(super) fn ahead(count: u64, at: &Situation<'_>) -> Diagnosis {
    found(
        format!(
            "{} here is {} ahead of {}: commits were made here, or a push took some back",
            at.branch(),
            commits(count),
            at.upstream()
        ),
        follow_the_remote("push them from here (git push), or ", at),
    )
}

pub(super) fn diverged(at: &Situation<'_>) -> Diagnosis {
    let counts = at.counts().map_or_else(String::new, |(ahead, behind)| {
        format!(" ({} here, {behind} there)", commits(ahead))
    });
    let upstream = at.upstream();
    found(
        format!(
            "{} and {upstream} have diverged{counts}: commits were made here, or {upstream} was rewritten",
            at.branch()
        ),
        follow_the_remote("", at),
    )
}

/// Gives up what the branch here has of its own, but keeps it under another name.
fn follow_the_remote(first: &str, at: &Situation<'_>) -> Advice {
    Advice::run(
        format!(
            "{first}make this checkout what was pushed; its own commits stay in a branch called kept-… (or set \
             update = \"reset\" in {}, which does the like at each deploy)",
            at.site_file()
        ),
        [
            at.git(format_args!(
                "branch -f kept-$(git -C {} rev-parse --short HEAD)",
                quoted(at.folder())
            )),
            at.git(format_args!(
                "reset --keep {}",
                word(&at.followed.upstream_name())
            )),
        ],
    )
}

pub(super) fn upstream_gone(at: &Situation<'_>) -> Diagnosis {
    found(
        format!("{} is no longer at {}", at.upstream(), at.followed.url),
        Advice::run(
            "push it again, or follow another branch with git switch. Which there are",
            [at.git(format_args!(
                "ls-remote --heads {}",
                word(&at.followed.remote)
            ))],
        ),
    )
}

pub(super) fn pushed_commit_missing(id: &CommitId) -> Diagnosis {
    found(
        format!("the remote does not have the pushed commit {}", id.short()),
        Advice::words(
            "check that the hook and the checkout belong to the same repository, then press Redeliver",
        ),
    )
}

fn commits(count: u64) -> String {
    format!("{count} commit{}", if count == 1 { "" } else { "s" })
}
