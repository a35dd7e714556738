//! `status`: what runs, what waits, and the last deploys.

use std::fmt::{Display, Formatter, Write};
use std::io::IsTerminal;
use std::time::{Duration, SystemTime};

use anyhow::{Result, bail};
use serde::{Serialize, Serializer};

use super::{Done, Format, print, print_json};
use crate::commit_id::CommitId;
use crate::deploy::MARKER;
use crate::deploy::clone;
use crate::git::Checkout;
use crate::history::{History, Record};
use crate::hold::Hold;
use crate::queue::{PushRequest, Queue, Ticket};
use crate::site::Site;
use crate::state::StateFolder;

/// What is told before the first delivery.
const NOTHING_YET: &str = "no delivery has come yet\n";

/// How often `--watch` looks.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Prints how a site stands, with its `last` deploys, or the report of one delivery.
pub(crate) fn status(
    site: &Site,
    format: Format,
    last: usize,
    delivery: Option<&str>,
) -> Result<Done> {
    let state = state_of(site)?;
    if let Some(delivery) = delivery {
        let history = state.as_ref().map(History::of);
        let record = history.map(|history| history.of_delivery(delivery));
        let Some(record) = record.transpose()?.flatten() else {
            bail!("the history knows no delivery {delivery}; it may still wait, or be too old");
        };
        if format == Format::Json {
            print_json(&record)?;
        } else {
            print(&format!("{}\n\n{}", record.time, record.report))?;
        }
        return Ok(Done::Yes);
    }
    let now = state.map(|state| Now::of(&state, last)).transpose()?;
    if format == Format::Json {
        print_json(&now.unwrap_or_default())?;
    } else {
        print(&now.map_or(NOTHING_YET.to_owned(), |now| now.human()))?;
    }
    Ok(Done::Yes)
}

/// The folder with what is known of deploys; none before the first delivery.
fn state_of(site: &Site) -> Result<Option<StateFolder>> {
    if clone::is_due(site) {
        return Ok(None);
    }
    Ok(StateFolder::existing(&Checkout::open(&site.repo)?))
}

/// Prints how a site stands, again and again, until it is interrupted.
#[expect(clippy::disallowed_methods, reason = "asks whether a person reads it")]
pub(crate) fn watch(site: &Site, last: usize) -> Result<Done> {
    let clears = std::io::stdout().is_terminal();
    loop {
        let shown = match state_of(site)? {
            Some(state) => Now::of(&state, last)?.human(),
            None => NOTHING_YET.to_owned(),
        };
        // To the top left corner, and clear what is below (ECMA-48).
        let start = if clears { "\x1b[H\x1b[J" } else { "" };
        print(&format!("{start}{shown}"))?;
        std::thread::sleep(WATCH_INTERVAL);
    }
}

/// How a site stands, as `--json` prints it.
#[derive(Default, Serialize)]
struct Now {
    running: bool,
    /// Since when.
    since: Option<Moment>,
    /// Why deploys are held, and since when.
    held: Option<Held>,
    waiting: Vec<Waiting>,
    /// The last ones, newest first.
    deploys: Vec<Record>,
}

#[derive(Serialize)]
struct Waiting {
    ticket: String,
    push: Option<PushRequest>,
}

#[derive(Serialize)]
struct Held {
    since: Moment,
    reason: Option<String>,
    #[serde(skip)]
    words: String,
}

impl From<Hold> for Held {
    fn from(hold: Hold) -> Self {
        Self {
            words: hold.in_words(),
            since: Moment(hold.since),
            reason: hold.reason,
        }
    }
}

impl From<Ticket> for Waiting {
    fn from(ticket: Ticket) -> Self {
        Self {
            ticket: ticket.name,
            push: ticket.push,
        }
    }
}

/// A time, shown as RFC 3339 has it.
struct Moment(SystemTime);

impl Display for Moment {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        humantime::format_rfc3339_seconds(self.0).fmt(f)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl Now {
    fn of(state: &StateFolder, last: usize) -> Result<Self> {
        let queue = Queue::of(state);
        let since = queue.is_somebodys_turn()?.then(|| {
            let marker = state.path(MARKER).metadata();
            let begun = marker.and_then(|marker| marker.modified());
            Moment(begun.unwrap_or_else(|_| SystemTime::now()))
        });
        let mut deploys = History::of(state).records()?;
        deploys.drain(..deploys.len().saturating_sub(last));
        deploys.reverse();
        Ok(Self {
            running: since.is_some(),
            since,
            held: Hold::of(state).map(Held::from),
            waiting: queue.list()?.into_iter().map(Waiting::from).collect(),
            deploys,
        })
    }

    fn human(&self) -> String {
        let mut text = match &self.since {
            Some(since) => {
                let age = since.0.elapsed().unwrap_or_default().as_secs();
                let age = humantime::format_duration(Duration::from_secs(age));
                format!("a deploy is running since {since}, for {age}\n")
            }
            None => "no deploy is running\n".to_owned(),
        };
        if let Some(held) = &self.held {
            let _ = writeln!(text, "{}; to go on: ./deploy.cgi release", held.words);
        }
        let others = self
            .waiting
            .iter()
            .filter_map(|waiting| waiting.push.as_ref());
        let others: usize = others.map(|push| push.earlier.len()).sum();
        match self.waiting.len() + others {
            0 => text.push_str("nothing waits\n"),
            1 => text.push_str("1 delivery waits\n"),
            n => drop(writeln!(text, "{n} deliveries wait")),
        }
        table(&self.deploys, &mut text);
        text
    }
}

fn table(records: &[Record], text: &mut String) {
    if records.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\n{:<20}  {:<9}  {:<16}  {:>7}  delivery",
        "time", "verdict", "commits", "seconds"
    );
    for record in records {
        let id = |id: &Option<CommitId>| id.as_ref().map_or("-", CommitId::short).to_owned();
        let commits = if record.old == record.new {
            id(&record.new)
        } else {
            format!("{}..{}", id(&record.old), id(&record.new))
        };
        let deliveries: Vec<_> = record
            .tickets
            .iter()
            .filter_map(|served| served.delivery.as_deref())
            .collect();
        let delivery = match *deliveries.as_slice() {
            [] => "by hand".to_owned(),
            [one] => one.to_owned(),
            [.., newest] => format!("{newest} and {} more", deliveries.len() - 1),
        };
        let _ = writeln!(
            text,
            "{:<20}  {:<9}  {commits:<16}  {:>7.2}  {delivery}",
            record.time,
            record.verdict.word(),
            record.seconds,
        );
    }
}
