//! `status`: what runs, what waits, and the last deploys; or all of one delivery.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::{Result, bail};
use serde::Serialize;

use super::cli::StatusArgs;
use super::local_time::{local_times, with_local_time};
use super::{Done, coloured, in_colours, print, print_json};
use crate::cgi::Environment;
use crate::commit_id::{CommitId, short_range};
use crate::deploy::{Underway, clone};
use crate::green::Green;
use crate::history::{History, Record};
use crate::hold::Hold;
use crate::last_good::LastGood;
use crate::moment::Moment;
use crate::outcome::{Step, Verdict};
use crate::queue::{Queue, Served, Ticket};
use crate::redaction::excerpt;
use crate::site::Site;
use crate::state::StateFolder;

/// How often `--watch` looks.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Prints how a site stands, or what became of one delivery.
pub(crate) fn status(site: &Site, args: &StatusArgs, env: &Environment) -> Result<Done> {
    if args.watch {
        return watch(site, args.last, env);
    }
    let now = Now::of(site, args.last)?;
    match &args.delivery {
        Some(delivery) => one(delivery, site, &now, args, env),
        None => tell(args, &now, || now.in_words(env)),
    }
}

/// Prints something for a machine, or in words.
fn tell(args: &StatusArgs, what: &impl Serialize, words: impl FnOnce() -> String) -> Result<Done> {
    if args.json {
        print_json(what)?;
    } else {
        print(&words())?;
    }
    Ok(Done::Yes)
}

/// The folder with what is known of deploys; none before the first delivery.
pub(super) fn state_of(site: &Site) -> Result<Option<StateFolder>> {
    let checkout = clone::stage_of(site)?.checkout();
    Ok(checkout.as_ref().and_then(StateFolder::existing))
}

/// Prints how a site stands, again and again, until it is interrupted.
#[expect(clippy::disallowed_methods, reason = "asks whether a person reads it")]
fn watch(site: &Site, last: usize, env: &Environment) -> Result<Done> {
    let mut screen = std::io::stdout();
    loop {
        let shown = Now::of(site, last)?.in_words(env);
        if screen.is_terminal() {
            // To the top left corner, and clear what is below (ECMA-48).
            screen.write_all(b"\x1b[H\x1b[J")?;
        }
        print(&shown)?;
        std::thread::sleep(WATCH_INTERVAL);
    }
}

/// Prints what becomes or became of the delivery whose id begins so.
fn one(
    delivery: &str,
    site: &Site,
    now: &Now,
    args: &StatusArgs,
    env: &Environment,
) -> Result<Done> {
    if let Some(found) = now.unfinished(delivery) {
        return tell(args, &found, || found.in_words(now, env));
    }
    let state = state_of(site)?;
    let record = state.map(|state| History::of(&state).of_delivery_like(delivery));
    let Some(record) = record.transpose()?.flatten() else {
        bail!("there is no delivery {delivery}: neither does it wait, nor is it in the history");
    };
    tell(args, &record, || {
        let time = with_local_time(record.time, env);
        format!("{time}\n\n{}", in_colours(&record.told()))
    })
}

/// How a site stands, as `--json` prints it. All times are RFC 3339 in UTC.
#[derive(Default, Serialize)]
struct Now {
    /// Whether a delivery has come.
    #[serde(skip)]
    has_begun: bool,
    running: bool,
    /// Since when, and what it does.
    since: Option<Moment>,
    step: Option<Step>,
    /// What the running deploy serves.
    serving: Vec<Waiting>,
    /// Why deploys are held, and since when.
    held: Option<Hold>,
    /// Where a workflow has to succeed first.
    workflow: Option<Workflow>,
    /// What the next one will.
    waiting: Vec<Waiting>,
    /// The last ones, newest first.
    deploys: Vec<Record>,
}

/// A push that is still to be deployed.
#[derive(Clone, Default, Serialize)]
struct Waiting {
    ticket: String,
    delivery: Option<String>,
    #[serde(rename = "ref")]
    git_ref: Option<String>,
    after: Option<CommitId>,
    received: Option<Moment>,
    /// Those that it stands for besides its own.
    earlier: Vec<Served>,
}

/// What is live, and how far that is from what was pushed.
#[derive(Serialize)]
struct Workflow {
    live: Option<CommitId>,
    green: Option<CommitId>,
    pushed: Option<CommitId>,
    #[serde(skip)]
    words: String,
}

impl Workflow {
    fn of(site: &Site, state: &StateFolder) -> Result<Option<Self>> {
        if site.workflow.is_none() {
            return Ok(None);
        }
        let green = Green::read(state)?;
        let live = LastGood::read(state)?.and_then(|last_good| last_good.head);
        Ok(Some(Self {
            words: green.in_words(live.as_ref()),
            live,
            green: green.newest().cloned(),
            pushed: green.pushed,
        }))
    }
}

impl From<Ticket> for Waiting {
    fn from(Ticket { name, push }: Ticket) -> Self {
        let mut waiting = Self {
            ticket: name,
            ..Self::default()
        };
        if let Some(push) = push {
            waiting.received = Some(Moment(push.received));
            waiting.delivery = Some(push.delivery);
            waiting.git_ref = Some(push.git_ref);
            waiting.after = push.after;
            waiting.earlier = push.earlier;
        }
        waiting
    }
}

impl Waiting {
    /// The ids of all deliveries that it stands for, oldest first.
    fn deliveries(&self) -> impl DoubleEndedIterator<Item = Option<&str>> {
        let earlier = self.earlier.iter();
        let earlier = earlier.map(|served| served.delivery.as_deref());
        earlier.chain([self.delivery.as_deref()])
    }

    /// The same for the one whose id begins so, if it is one of these.
    fn of(&self, start: &str) -> Option<Self> {
        let mut ids = self.deliveries().rev().flatten();
        let id = ids.find(|id| id.starts_with(start))?;
        Some(Self {
            delivery: Some(id.to_owned()),
            ..self.clone()
        })
    }
}

/// What becomes of one delivery.
#[derive(Serialize)]
struct Unfinished {
    state: &'static str,
    /// Of the deploy that serves it.
    since: Option<Moment>,
    step: Option<Step>,
    #[serde(flatten)]
    push: Waiting,
}

impl Now {
    fn of(site: &Site, last: usize) -> Result<Self> {
        let Some(state) = &state_of(site)? else {
            return Ok(Self::default());
        };
        let underway = Underway::now(state)?;
        let tickets = Queue::of(state).list()?.into_iter().map(Waiting::from);
        let (serving, waiting) = tickets.partition(|waiting| {
            let served = underway.as_ref().map(|underway| &underway.tickets);
            served.is_some_and(|served| served.contains(&waiting.ticket))
        });
        Ok(Self {
            has_begun: true,
            running: underway.is_some(),
            since: underway.as_ref().map(|underway| underway.since),
            step: underway.map(|underway| underway.step),
            held: Hold::of(state),
            workflow: Workflow::of(site, state)?,
            serving,
            waiting,
            deploys: History::of(state).newest_records(last)?,
        })
    }

    /// The delivery whose id begins so, where it is served at this moment or waits.
    fn unfinished(&self, start: &str) -> Option<Unfinished> {
        let find = |all: &[Waiting]| all.iter().rev().find_map(|push| push.of(start));
        let waiting = find(&self.waiting).map(|push| Unfinished {
            state: "waiting",
            since: None,
            step: None,
            push,
        });
        let running = |push| Unfinished {
            state: "running",
            since: self.since,
            step: self.step,
            push,
        };
        waiting.or_else(|| find(&self.serving).map(running))
    }

    fn in_words(&self, env: &Environment) -> String {
        if !self.has_begun {
            return "no delivery has come yet\n".to_owned();
        }
        let mut text = match (self.since, self.step) {
            (Some(since), Some(step)) => format!("a deploy is {}\n", running(since, step, env)),
            _ => "no deploy is running\n".to_owned(),
        };
        if let Some(held) = &self.held {
            let _ = writeln!(text, "{}; to go on: ./deploy.cgi release", held.in_words());
        }
        if let Some(workflow) = &self.workflow {
            let _ = writeln!(text, "{}", workflow.words);
        }
        let ids: Vec<_> = self.waiting.iter().flat_map(Waiting::deliveries).collect();
        match ids.as_slice() {
            [] => text.push_str("nothing waits\n"),
            [one] => drop(writeln!(text, "1 delivery waits: {}", short(*one))),
            several => drop(writeln!(text, "{} deliveries wait", several.len())),
        }
        table(&self.deploys, env, &mut text);
        text
    }
}

impl Unfinished {
    fn in_words(&self, now: &Now, env: &Environment) -> String {
        let id = excerpt(self.push.delivery.as_deref().unwrap_or_default());
        if let (Some(since), Some(step)) = (self.since, self.step) {
            return format!("the deploy of {id} is {}\n", running(since, step, env));
        }
        let next = match &now.held {
            Some(held) => &format!("{}; to go on: ./deploy.cgi release", held.in_words()),
            None if now.running => "a deploy is running, and the next one includes it",
            None => {
                "no deploy is running; the next delivery serves it, and so does ./deploy.cgi run"
            }
        };
        // Only a ticket that could be read names a delivery.
        let received = self.push.received.unwrap_or(Moment(0));
        let received = with_local_time(received, env);
        format!("{id} has waited since {received}: {next}\n")
    }
}

/// Since when a deploy is running, and what it does.
fn running(since: Moment, step: Step, env: &Environment) -> String {
    format!(
        "running since {}, for {}, at the step {}",
        with_local_time(since, env),
        humantime::format_duration(since.age()),
        step.name()
    )
}

fn table(records: &[Record], env: &Environment, text: &mut String) {
    if records.is_empty() {
        return;
    }
    let times = records.iter().map(|record| record.time);
    let here = local_times(times, env);
    let width = here.iter().map(String::len).max().unwrap_or(0);
    let _ = writeln!(
        text,
        "\n{:<19}  {:<width$}  {:<9}  {:<16}  {:>7}  delivery",
        "time (UTC)", "here", "verdict", "commits", "seconds"
    );
    for (record, here) in records.iter().zip(here) {
        let commits = short_range(record.old.as_ref(), record.new.as_ref());
        let deliveries = record.tickets.iter();
        let deliveries = deliveries.filter_map(|served| served.delivery.as_deref());
        let delivery = match *deliveries.collect::<Vec<_>>().as_slice() {
            [] => "by hand".to_owned(),
            [one] => short(Some(one)),
            [ref others @ .., newest] => {
                format!("{} and {} more", short(Some(newest)), others.len())
            }
        };
        let verdict = record.verdict.word();
        let _ = writeln!(
            text,
            "{:<19}  {here:<width$}  {}{:blank$}  {commits:<16}  {:>7.2}  {delivery}",
            record.time.utc(),
            coloured(verdict),
            "",
            record.seconds,
            blank = 9 - verdict.len(),
        );
        if let (Verdict::Failed, Some(step), Some(cause)) =
            (record.verdict, record.step, &record.cause)
        {
            let _ = writeln!(text, "  at {}: {}", step.name(), excerpt(cause));
        }
    }
}

/// The beginning of a delivery's id, which `status` takes for the whole.
fn short(delivery: Option<&str>) -> String {
    let id = delivery.unwrap_or("?");
    // GitHub's are GUIDs.
    excerpt(
        id.split('-')
            .next()
            .filter(|_| id.len() == 36)
            .unwrap_or(id),
    )
}
