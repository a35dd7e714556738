//! `back`: an earlier state live again, and deploys held, so that the next push does not undo it.

use anyhow::{Result, bail};

use super::run::Foreground;
use super::{Done, Misuse, print};
use crate::cgi::Environment;
use crate::commit_id::{CommitId, short};
use crate::deploy::{Aim, clone, unfinished_back};
use crate::git::{Ancestry, Checkout, Git, Tracking};
use crate::hold::Hold;
use crate::last_good::{GoodDeploys, LastGood};
use crate::queue::Queue;
use crate::site::{Site, Submodules};
use crate::state::StateFolder;

/// Goes back to the last good deploy before this one, or to a commit of the branch.
pub(crate) fn back(site: &Site, env: &Environment, commit: Option<&str>) -> Result<Done> {
    rustix::process::umask(site.umask);
    if clone::is_due(site) {
        bail!("there is nothing to go back to: the first checkout is still to be made");
    }
    let checkout = Checkout::open(&site.repo)?;
    let state = StateFolder::open(&checkout, site)?;
    let git = Git::new(site, &checkout, env)?;
    // Before anything is held: there may be nothing to go back to.
    let target = target_of(site, &git, &state, commit)?;
    hold_at(&state, &target)?;
    let queue = Queue::of(&state);
    let turn = queue.wait_in_line()?.take_turn(&queue)?;
    // A deploy that ran until now may have changed what was the last good one.
    let target = target_of(site, &git, &state, commit)?;
    hold_at(&state, &target)?;
    unfinished_back::leave(&state, &target)?;
    let foreground = Foreground {
        site,
        env,
        checkout: &checkout,
    };
    let done = foreground.deploy_and_end(turn, Aim::Back(&target))?;
    print("\nDeploys are held; to go forward again: ./deploy.cgi release\n")?;
    Ok(done)
}

/// Holds deploys, and says why, unless a person's own words do.
fn hold_at(state: &StateFolder, target: &LastGood) -> Result<()> {
    const WHY: &str = "went back to ";
    let is_ours = |hold: &Hold| {
        let reason = hold.reason.as_deref();
        reason.is_some_and(|reason| reason.starts_with(WHY))
    };
    if Hold::of(state).is_some_and(|hold| !is_ours(&hold)) {
        return Ok(());
    }
    let to = short(target.head.as_ref());
    Hold::set(state, &format!("{WHY}{to}"))
}

fn target_of(
    site: &Site,
    git: &Git<'_>,
    state: &StateFolder,
    commit: Option<&str>,
) -> Result<LastGood> {
    if let Some(commit) = commit {
        return Ok(LastGood::at(commit_of(site, git, commit)?));
    }
    let submodules = match site.submodules {
        Submodules::Recorded | Submodules::Latest => git.submodules()?,
        Submodules::Skip => Vec::new(),
    };
    let now = LastGood::of(git.checkout, git.top().head()?, &submodules);
    let failed = unfinished_back::read_failed(state)?;
    let last_good = LastGood::read(state)?.filter(|last_good| last_good.head.is_some());
    match (failed, last_good) {
        // A `back` that did not come so far is tried again.
        (Some(failed), _) if !failed.is_part_of(&now) => return Ok(failed),
        // A deploy that failed left something else.
        (None, Some(last_good)) if last_good.differs_from(&now) => return Ok(last_good),
        (None, None) => bail!("there is nothing to go back to: nothing was deployed yet"),
        (Some(_), _) | (None, Some(_)) => {}
    }
    let is_older = |commit: &CommitId| Ok(git.top().ancestry(commit)? == Ancestry::Contained);
    match GoodDeploys::read(state)?.before(&now, is_older)? {
        Some(earlier) => Ok(earlier.clone()),
        None => bail!("there is nothing to go back to: no earlier good deploy is known"),
    }
}

/// The one commit of the branch whose id begins as a person wrote it. Names of refs are none.
fn commit_of(site: &Site, git: &Git<'_>, start: &str) -> Result<CommitId> {
    let is_id = (7..=64).contains(&start.len()) && start.bytes().all(|c| c.is_ascii_hexdigit());
    if !is_id {
        bail!(Misuse(
            "a commit is named by the first 7 to 64 hex digits of its id".into()
        ));
    }
    let upstream = match git.tracking(site.branch.as_deref())? {
        Tracking::Upstream(upstream) => upstream,
        Tracking::None(_) => bail!("the checkout follows no branch; ./deploy.cgi check says more"),
    };
    let tip = format!("{}@{{upstream}}", upstream.branch);
    let top = git.top();
    let mut found = Vec::new();
    for commit in top.commits_that_begin(&start.to_ascii_lowercase())? {
        let is_in_branch = top.ancestry_in(&commit, &tip)? == Ancestry::Contained
            || top.ancestry(&commit)? == Ancestry::Contained;
        if is_in_branch {
            found.push(commit);
        }
    }
    match found.as_slice() {
        [commit] => Ok(commit.clone()),
        [] => bail!("no commit of {} here begins with {start}", upstream.branch),
        [..] => bail!("several commits begin with {start}: give more of the id"),
    }
}
