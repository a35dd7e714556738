//! `back`: an earlier state live again, and deploys held, so that the next push does not undo it.

use anyhow::{Result, bail};

use super::run::{Foreground, in_foreground};
use super::{Done, Misuse, print};
use crate::cgi::Environment;
use crate::commit_id::CommitId;
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
    if Hold::of(&state).is_none() {
        let to = target.head.as_ref().map_or("-", CommitId::short);
        Hold::set(&state, &format!("went back to {to}"))?;
    }
    let queue = Queue::of(&state);
    let turn = queue.wait_in_line()?.take_turn(&queue)?;
    // A deploy that ran until now may have changed what was the last good one.
    let target = target_of(site, &git, &state, commit)?;
    unfinished_back::leave(&state, &target)?;
    let foreground = Foreground {
        site,
        env,
        checkout: &checkout,
    };
    let done = in_foreground(&foreground, &turn, Aim::Back(&target))?;
    turn.end()?;
    print("\nDeploys are held; to go forward again: ./deploy.cgi release\n")?;
    Ok(done)
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
    let last_good = LastGood::read(state)?;
    match last_good.filter(|last_good| last_good.head.is_some()) {
        // A deploy that failed left something else.
        Some(last_good) if last_good.differs_from(&now) => Ok(last_good),
        Some(last_good) => match GoodDeploys::read(state)?.before(&last_good) {
            Some(earlier) => Ok(earlier.clone()),
            None => bail!("there is nothing to go back to: no earlier good deploy is known"),
        },
        None => bail!("there is nothing to go back to: nothing was deployed yet"),
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
