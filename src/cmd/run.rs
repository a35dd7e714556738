//! `run`: deploy now, in the foreground. Takes its turn like everybody else, and serves what waits: also the cron job
//! that catches up.

use std::cell::RefCell;
use std::io::{IsTerminal, Write};

use anyhow::Result;

use super::{Done, in_colours, print};
use crate::cgi::Environment;
use crate::commit_status::Pending;
use crate::deploy::{Afterwards, Aim, Deploy, clone, unfinished_back};
use crate::git::Checkout;
use crate::hold::Hold;
use crate::ignored::ignore;
use crate::outcome::Verdict;
use crate::process::Progress;
use crate::queue::{InLine, Queue, Turn};
use crate::redaction::{escape, redact};
use crate::site::Site;
use crate::state::StateFolder;
use crate::worker::Worker;

/// Why an error of printing is ignored.
const TERMINAL_GONE: &str = "a terminal that is gone does not stop the deploy";

/// What does not stop a deploy by hand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passing {
    Nothing,
    /// Neither a hold nor a workflow.
    All,
}

/// Deploys a site and prints the report.
pub(crate) fn run(site: &Site, env: &Environment, passing: Passing) -> Result<Done> {
    let (checkout, state) = &open(site)?;
    let queue = Queue::of(state);
    let foreground = Foreground {
        site,
        env,
        checkout,
    };
    if passing == Passing::All {
        // Whoever is in line already does not pass what this does.
        return forward(&foreground, &queue, queue.wait_in_line()?, passing);
    }
    if let Some(hold) = Hold::of(state)
        && unfinished_back::read(state)?.is_none()
    {
        return held(&hold);
    }
    let Some(place) = queue.try_line()? else {
        print(
            "queued: a deploy is running, and the next one, already in line, includes everything pushed until now\n",
        )?;
        return Ok(Done::Yes);
    };
    forward(&foreground, &queue, place, passing)
}

/// Opens what a verb changes.
pub(super) fn open(site: &Site) -> Result<(Checkout, StateFolder)> {
    rustix::process::umask(site.umask);
    let checkout = clone::checkout_of(site)?;
    let state = StateFolder::open(&checkout, site)?;
    Ok((checkout, state))
}

/// Goes to what the remote has, once it is our turn.
pub(super) fn forward(
    foreground: &Foreground<'_>,
    queue: &Queue<'_>,
    place: InLine,
    passing: Passing,
) -> Result<Done> {
    let turn = place.take_turn(queue)?;
    let state = turn.state;
    let Foreground { env, checkout, .. } = *foreground;
    let site = &foreground.site.read_again(env)?;
    let foreground = Foreground {
        site,
        env,
        checkout,
    };
    if let Some(target) = unfinished_back::read(state)? {
        foreground.deploy(&turn, Aim::Back(&target))?;
    }
    let aim = match passing {
        Passing::Nothing => match Hold::of(state) {
            Some(hold) => return held(&hold),
            None => Aim::of(site),
        },
        Passing::All => Aim::Tip,
    };
    let done = foreground.deploy_and_end(turn, aim)?;
    // A ticket may have to wait for its commit still, or was left by a worker that died.
    if !queue.is_empty()?
        && Hold::of(state).is_none()
        && let Some(place) = queue.try_line()?
    {
        Worker::start(site, env, place, None, None)?;
    }
    Ok(done)
}

/// What is deployed by hand.
pub(super) struct Foreground<'f> {
    pub(super) site: &'f Site,
    pub(super) env: &'f Environment,
    pub(super) checkout: &'f Checkout,
}

/// A deploy that is recorded.
struct Deployed {
    done: Done,
    pending: Pending,
}

impl Foreground<'_> {
    /// Deploys, and prints the report.
    fn deploy(&self, turn: &Turn<'_>, aim: Aim<'_>) -> Result<Deployed> {
        let terminal = Terminal::default();
        let show = |new: &[u8]| terminal.show(new);
        let progress = std::io::stderr().is_terminal().then_some(&show);
        let deploy = Deploy {
            site: self.site,
            host: self.env,
            checkout: self.checkout,
            turn,
            aim,
            progress: progress.map(|show| show as Progress<'_>),
            config: None,
        };
        let mut done = Done::Yes;
        let pending = deploy.serve(&mut |record| {
            if record.verdict == Verdict::Failed {
                done = Done::No;
            }
            ignore(print(&in_colours(&record.report)), TERMINAL_GONE);
        })?;
        Ok(Deployed { done, pending })
    }

    /// The same as the last of a turn. Ends that, and prints what became known since.
    pub(super) fn deploy_and_end(&self, turn: Turn<'_>, aim: Aim<'_>) -> Result<Done> {
        let deployed = self.deploy(&turn, aim)?;
        let afterwards = Afterwards {
            site: self.site,
            host: self.env,
            checkout: self.checkout,
        };
        for remark in afterwards.end(turn, deployed.pending)? {
            ignore(print(&format!("\n{}\n", escape(&remark))), TERMINAL_GONE);
        }
        Ok(deployed.done)
    }
}

fn held(hold: &Hold) -> Result<Done> {
    print(&format!(
        "held: {}\nTo go on: `./deploy.cgi release`; only once: `./deploy.cgi run --anyway`\n",
        hold.in_words()
    ))?;
    Ok(Done::No)
}

/// Git's progress, as it comes. Whole lines only, so that no credential is cut in two and missed.
#[derive(Default)]
struct Terminal {
    unfinished: RefCell<Vec<u8>>,
}

impl Terminal {
    fn show(&self, new: &[u8]) {
        let mut text = self.unfinished.borrow_mut();
        text.extend_from_slice(new);
        let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let Some(last) = text.iter().rposition(is_end) else {
            return;
        };
        let lines: Vec<u8> = text.drain(..=last).collect();
        let lines = redact(&String::from_utf8_lossy(&lines), []);
        let shown = lines.split('\r').map(escape).collect::<Vec<_>>().join("\r");
        ignore(std::io::stderr().write_all(shown.as_bytes()), TERMINAL_GONE);
    }
}
