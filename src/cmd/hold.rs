//! `hold` and `release`: stop deploying, and go on with what waits.

use anyhow::Result;

use super::run::{Foreground, Passing, forward, open};
use super::{Done, print};
use crate::cgi::Environment;
use crate::deploy::unfinished_back;
use crate::hold::Hold;
use crate::queue::Queue;
use crate::site::Site;

/// Holds deploys. One that runs ends first.
pub(crate) fn hold(site: &Site, reason: &str) -> Result<Done> {
    let (_, state) = open(site)?;
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
    let (checkout, state) = open(site)?;
    // Forward again, wherever a `back` that was killed or failed was going.
    unfinished_back::end(&state, None)?;
    Hold::release(&state)?;
    let queue = Queue::of(&state);
    let foreground = Foreground {
        site,
        env,
        checkout: &checkout,
    };
    forward(&foreground, &queue, queue.wait_in_line()?, Passing::Nothing)
}
