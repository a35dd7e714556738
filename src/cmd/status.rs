//! `status`: what runs, what waits, and the last deploys.

use std::fmt::Write;

use anyhow::{Result, bail};
use serde_json::json;

use super::{Done, print};
use crate::git::Checkout;
use crate::history::{History, Record};
use crate::outcome::short;
use crate::queue::{Queue, Ticket};
use crate::site::Site;
use crate::state::StateFolder;

/// Prints how a site stands, with its `last` deploys, or the report of one delivery.
pub(crate) fn status(
    site: &Site,
    as_json: bool,
    last: usize,
    delivery: Option<&str>,
) -> Result<Done> {
    let checkout = Checkout::open(&site.repo)?;
    let Some(state) = StateFolder::look(&checkout) else {
        print(if as_json {
            "{\"running\":false,\"waiting\":[],\"deploys\":[]}\n"
        } else {
            "no delivery has come yet\n"
        })?;
        return Ok(Done::Yes);
    };
    let history = History::of(&state);
    if let Some(delivery) = delivery {
        let Some(record) = history.of_delivery(delivery)? else {
            bail!("the history knows no delivery {delivery}; it may still wait, or be too old");
        };
        print(&if as_json {
            format!("{}\n", json!(record))
        } else {
            format!("{}\n\n{}", record.time, record.report)
        })?;
        return Ok(Done::Yes);
    }
    let queue = Queue::of(&state);
    let (running, waiting, mut records) = (
        queue.is_somebodys_turn()?,
        queue.list()?,
        history.records()?,
    );
    records.drain(..records.len().saturating_sub(last));
    records.reverse();
    print(&if as_json {
        machine(running, &waiting, &records)
    } else {
        human(running, &waiting, &records)
    })?;
    Ok(Done::Yes)
}

fn machine(running: bool, waiting: &[Ticket], records: &[Record]) -> String {
    let waiting: Vec<_> = waiting
        .iter()
        .map(|ticket| json!({ "ticket": ticket.name, "push": ticket.push }))
        .collect();
    format!(
        "{}\n",
        json!({ "running": running, "waiting": waiting, "deploys": records })
    )
}

fn human(running: bool, waiting: &[Ticket], records: &[Record]) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}",
        if running {
            "a deploy is running"
        } else {
            "no deploy is running"
        }
    );
    match waiting.len() {
        0 => text.push_str("nothing waits\n"),
        1 => text.push_str("1 delivery waits\n"),
        n => drop(writeln!(text, "{n} deliveries wait")),
    }
    if records.is_empty() {
        return text;
    }
    let _ = writeln!(
        text,
        "\n{:<20}  {:<9}  {:<16}  {:>7}  delivery",
        "time", "verdict", "commits", "seconds"
    );
    for record in records {
        let id = |id: &Option<String>| id.as_deref().map_or("-", short).to_owned();
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
    text
}
