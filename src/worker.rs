//! The deploy outside the request: starting it, waiting a while for its outcome, and what it does.
//!
//! The server ends the process that it started; so the deploy runs in another one, in a session of its own, that shares
//! no descriptor with the request. The two are joined by a pipe that the worker holds: when it closes, the outcome is
//! in the history, or the worker is dead.

use std::ffi::OsString;
use std::io::{PipeReader, Read};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::cgi::Environment;
use crate::commit_status::Pending;
use crate::deploy::{Afterwards, Aim, Deploy, clone, unfinished_back};
use crate::files::is_readable_within;
use crate::git::{Checkout, Handover};
use crate::history::Record;
use crate::hold::Hold;
use crate::ignored::ignore;
use crate::process;
use crate::queue::{InLine, Queue, Ticket};
use crate::site::Site;
use crate::state::StateFolder;

/// The verb that makes a process of ours a worker. Not for people; not in the help.
pub(crate) const VERB: &str = "worker";

/// The most that is read of what a worker prints where it could not record it, in bytes.
const MAX_OUTPUT: u64 = 4 << 10;

#[derive(Debug)]
pub(crate) struct Worker(PipeReader);

/// What came of waiting for a worker.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    /// It has recorded the outcome, or died. Then this is what it printed.
    Ended { output: String },
    /// It is still at work.
    TimedOut,
}

impl Worker {
    /// Starts a worker that takes over a place in line. `ticket` is the one whose outcome somebody waits for, and `config` what
    /// was read of git's configuration for it.
    pub(crate) fn start(
        site: &Site,
        host: &Environment,
        place: InLine,
        ticket: Option<&str>,
        config: Option<&Handover>,
    ) -> Result<Self> {
        let (reader, writer) = std::io::pipe().context("cannot make a pipe to the worker")?;
        let mut args: Vec<OsString> = vec![VERB.into(), site.file.clone().into()];
        args.extend(ticket.map(OsString::from));
        let told = config.map_or(&[][..], |config| &config.0);
        process::start_detached(&args, host.of_the_host(), place.hand_over(), writer, told)?;
        Ok(Self(reader))
    }

    /// Waits for its outcome, until `end` at most.
    pub(crate) fn wait(self, end: Instant) -> Result<Waited> {
        let left = end.saturating_duration_since(Instant::now());
        if !is_readable_within(&self.0, left).context("cannot wait for the worker")? {
            return Ok(Waited::TimedOut);
        }
        let mut output = String::new();
        self.0
            .take(MAX_OUTPUT)
            .read_to_string(&mut output)
            .context("cannot read from the worker")?;
        Ok(Waited::Ended { output })
    }
}

/// What a worker does: takes the turn, serves what waits, and goes on as long as something does that nobody attends.
pub(crate) fn work(site: &Site, host: &Environment, ticket: Option<&str>) -> Result<()> {
    // A server that is stopped ends its process group, and we are no leader of one.
    rustix::process::setsid().context("cannot leave the server's session")?;
    rustix::process::umask(site.umask);
    let config = process::take_what_was_told()?.map(Handover);
    let checkout = clone::checkout_of(site)?;
    let state = StateFolder::open(&checkout, site)?;
    let queue = Queue::of(&state);
    let mut pipe = ResultPipe { ticket };
    let mut place = InLine::inherited(&queue)?;
    while let Some(in_line) = place {
        let deployer = Deployer {
            site,
            host,
            checkout: &checkout,
            config: config.as_ref(),
        };
        deployer.serve(&queue, in_line, &mut pipe)?;
        // Whoever left a ticket while we were at it found nobody in line and is attended; but one that was left while
        // somebody stood there who then died is not.
        place = if queue.is_empty()? || Hold::of(&state).is_some() {
            None
        } else {
            queue.try_line()?
        };
        // Ours may have to wait for its commit still. Somebody waits for it, so we stay, even behind another.
        if place.is_none()
            && Hold::of(&state).is_none()
            && pipe.ticket.is_some_and(|ticket| queue.has(ticket))
        {
            place = Some(queue.wait_in_line()?);
        }
    }
    Ok(())
}

/// What a worker deploys, and what it was told of it.
struct Deployer<'d> {
    site: &'d Site,
    host: &'d Environment,
    checkout: &'d Checkout,
    config: Option<&'d Handover>,
}

impl Deployer<'_> {
    fn serve(&self, queue: &Queue<'_>, place: InLine, pipe: &mut ResultPipe<'_>) -> Result<()> {
        let turn = place.take_turn(queue)?;
        let site = &self.site.read_again(self.host)?;
        let deploy = Deploy {
            site,
            host: self.host,
            checkout: self.checkout,
            turn: &turn,
            aim: Aim::of(site),
            progress: None,
            config: self.config,
        };
        if let Some(target) = unfinished_back::read(turn.state)? {
            let back = Deploy {
                aim: Aim::Back(&target),
                ..deploy
            };
            back.serve(&mut |_| {})?;
        }
        if Hold::of(turn.state).is_some() {
            return turn.end();
        }
        let tickets = turn.tickets()?;
        let mut served = tickets.iter().flat_map(Ticket::serves);
        if served.all(|waits| Some(waits.ticket.as_str()) != pipe.ticket) {
            // Served by another worker in the meantime: its outcome is known.
            pipe.close();
        }
        let mut pending = Pending::default();
        if !tickets.is_empty() {
            pending = deploy.serve(&mut |record| pipe.recorded(record))?;
        }
        // Whoever still waits for ours is served first.
        if pipe.ticket.is_some() {
            return turn.end();
        }
        let afterwards = Afterwards {
            site,
            host: self.host,
            checkout: self.checkout,
        };
        afterwards.end(turn, pending).map(drop)
    }
}

/// The pipe to the front that waits for the outcome of one ticket: our standard output.
struct ResultPipe<'t> {
    ticket: Option<&'t str>,
}

impl ResultPipe<'_> {
    /// Closes the pipe, by putting something else in its place.
    fn close(&mut self) {
        if self.ticket.take().is_some()
            && let Ok(null) = std::fs::File::options().write(true).open("/dev/null")
        {
            ignore(
                rustix::stdio::dup2_stdout(null),
                "our end closes the pipe too, and the front waits a little longer",
            );
        }
    }

    fn recorded(&mut self, record: &Record) {
        if record
            .tickets
            .iter()
            .any(|served| Some(served.ticket.as_str()) == self.ticket)
        {
            self.close();
        }
    }
}
