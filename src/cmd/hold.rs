//! `hold` and `release`: stop deploying, and go on with what waits.

use anyhow::Result;

use super::run;
use super::{Done, print};
use crate::cgi::Environment;
use crate::deploy::{clone, unfinished_back};
use crate::hold::Hold;
use crate::queue::Queue;
use crate::site::Site;
use crate::state::StateFolder;

/// Holds deploys. One that runs ends first.
pub(crate) fn hold(site: &Site, reason: &str) -> Result<Done> {
    let state = state_of(site)?;
    Hold::set(&state, reason)?;
    let running = if Queue::of(&state).is_somebodys_turn()? {
        "A deploy is running, and ends first.\n"
    } else {
        ""
    };
    print(&format!(
        "held: nothing is deployed until `./deploy.cgi release`; deliveries wait\n{running}"
    ))?;
    Ok(Done::Yes)
}

/// Goes on: deploys now, whether or not anything waits.
pub(crate) fn release(site: &Site, env: &Environment) -> Result<Done> {
    let state = state_of(site)?;
    // Forward again, wherever a `back` that was killed was going.
    unfinished_back::remove(&state)?;
    Hold::release(&state)?;
    run::run(site, env, run::Passing::Nothing)
}

fn state_of(site: &Site) -> Result<StateFolder> {
    rustix::process::umask(site.umask);
    StateFolder::open(&clone::checkout_of(site)?, site)
}
