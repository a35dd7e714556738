//! What happened and when: a JSON object a line, in `<git dir>/deploy-cgi/history.jsonl`, bounded in size. The only log.
//!
//! A line is one write, so a death leaves all of it or none; a full disk can tear one, which readers pass by. A line is a
//! deploy that ended, or what became known of one afterwards.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::commit_id::CommitId;
use crate::moment::Moment;
use crate::outcome::{Step, Verdict};
use crate::queue::Served;
use crate::state::StateFolder;

/// The file that is written.
const FILE: &str = "history.jsonl";

/// The one older file that is kept.
const OLDER_FILE: &str = "history.1.jsonl";

/// Held while a line is added: what became known later is added by those whose turn is over.
const LOCK: &str = "recording";

/// Past this size the file becomes the older one, in bytes.
const MAX_SIZE: u64 = 1 << 20;

/// One deploy that ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) time: Moment,
    pub(crate) verdict: Verdict,
    pub(crate) tickets: Vec<Served>,
    pub(crate) branch: Option<String>,
    pub(crate) old: Option<CommitId>,
    pub(crate) new: Option<CommitId>,
    pub(crate) seconds: f64,
    /// The step that it failed at, and why.
    #[serde(default)]
    pub(crate) step: Option<Step>,
    #[serde(default)]
    pub(crate) cause: Option<String>,
    /// The subject of the newest commit that it brought, and of none where it brought none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<String>,
    /// `owner/name` at GitHub, where the remote is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) github: Option<String>,
    /// The report, in the words its delivery was answered with.
    pub(crate) report: String,
    /// What became known after the report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) remarks: Vec<String>,
}

impl Record {
    pub(crate) fn name(&self) -> RecordName {
        RecordName {
            time: self.time,
            ticket: self.tickets.first().map(|served| served.ticket.clone()),
        }
    }

    /// The report, and what became known after it.
    pub(crate) fn told(&self) -> String {
        format!("{}{}", self.report, self.told_later())
    }

    /// What became known after the report, as lines behind it.
    pub(crate) fn told_later(&self) -> String {
        let mut told = String::new();
        for remark in &self.remarks {
            let _ = write!(told, "\nlater: {}\n", remark.trim_end());
        }
        told
    }
}

/// What a deploy in the history is known by: when it ended, and the first ticket that it served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordName {
    time: Moment,
    ticket: Option<String>,
}

/// What became known of a deploy after its report.
#[derive(Debug, Serialize, Deserialize)]
struct Later {
    /// First of all: it tells such a line from the others.
    about: RecordName,
    remark: String,
}

impl Later {
    /// Reads a line; `None` where it is none of these.
    fn parse(line: &[u8]) -> Option<Self> {
        line.starts_with(br#"{"about":"#)
            .then(|| serde_json::from_slice(line).ok())?
    }
}

/// What deploys of a checkout came to.
#[derive(Clone, Debug)]
pub(crate) struct History<'s>(&'s StateFolder);

impl<'s> History<'s> {
    pub(crate) fn of(state: &'s StateFolder) -> Self {
        Self(state)
    }

    /// Adds a deploy, for all to read; it is safe from a power failure once `sync` returns. Called by the holder of the turn
    /// only.
    pub(crate) fn record(&self, record: &Record) -> Result<()> {
        self.add(record)
    }

    /// Adds what became known of a deploy. Called by anybody.
    pub(crate) fn remark(&self, about: &RecordName, remark: &str) -> Result<()> {
        self.add(&Later {
            about: about.clone(),
            remark: remark.to_owned(),
        })
    }

    fn add(&self, line: &impl Serialize) -> Result<()> {
        let path = self.0.path(FILE);
        let what = || format!("cannot write {}", path.display());
        let mut line = serde_json::to_vec(line).with_context(what)?;
        line.push(b'\n');
        let lock = self.0.lock_file(LOCK)?;
        lock.lock().context("cannot lock the history")?;
        if path
            .metadata()
            .is_ok_and(|file| file.len() + line.len() as u64 > MAX_SIZE)
        {
            std::fs::rename(&path, self.0.path(OLDER_FILE)).with_context(what)?;
        }
        let mut file = self.0.open_to_append(FILE)?;
        // After a line that a full disk tore, this one begins on its own.
        let mut last = [b'\n'];
        if file.metadata().with_context(what)?.len() > 0 {
            file.seek(SeekFrom::End(-1))
                .and_then(|_| file.read_exact(&mut last))
                .with_context(what)?;
        }
        if last != *b"\n" {
            line.insert(0, b'\n');
        }
        file.write_all(&line).with_context(what)
    }

    /// Makes sure that what was recorded survives a power failure.
    pub(crate) fn sync(&self) -> Result<()> {
        let path = self.0.path(FILE);
        File::open(&path)
            .and_then(|file| file.sync_data())
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// The newest records that can be read, newest first and no more than so many.
    pub(crate) fn newest_records(&self, most: usize) -> Result<Vec<Record>> {
        self.newest(most, "", |_| true)
    }

    pub(crate) fn of_ticket(&self, ticket: &str) -> Result<Option<Record>> {
        self.newest_serving(ticket, |served| served.ticket == ticket)
    }

    /// What became of a delivery, the last time it came.
    pub(crate) fn of_delivery(&self, delivery: &str) -> Result<Option<Record>> {
        self.newest_serving(delivery, |served| {
            served.delivery.as_deref() == Some(delivery)
        })
    }

    /// The same for a delivery whose id begins so.
    pub(crate) fn of_delivery_like(&self, start: &str) -> Result<Option<Record>> {
        self.newest_serving(start, |served| {
            let delivery = served.delivery.as_deref();
            delivery.is_some_and(|delivery| delivery.starts_with(start))
        })
    }

    pub(crate) fn last(&self) -> Result<Option<Record>> {
        Ok(self.newest_records(1)?.pop())
    }

    fn newest_serving(
        &self,
        named: &str,
        is_it: impl Fn(&Served) -> bool,
    ) -> Result<Option<Record>> {
        let serves = |record: &Record| record.tickets.iter().any(&is_it);
        Ok(self.newest(1, named, serves)?.pop())
    }

    /// The newest records that are wanted, each with what became known of it later. Only lines that name what is asked for at
    /// all are parsed, and only until there are `most`.
    fn newest(
        &self,
        most: usize,
        named: &str,
        is_wanted: impl Fn(&Record) -> bool,
    ) -> Result<Vec<Record>> {
        let (mut found, mut later) = (Vec::new(), Vec::new());
        for name in [FILE, OLDER_FILE] {
            let text = self.0.read(name)?.unwrap_or_default();
            for line in text.rsplit(|&byte| byte == b'\n') {
                if found.len() == most {
                    return Ok(found);
                }
                if let Some(remark) = Later::parse(line) {
                    later.push(remark);
                } else if let Ok(line) = std::str::from_utf8(line)
                    && line.contains(named)
                    && let Ok(mut record) = serde_json::from_str::<Record>(line)
                    && is_wanted(&record)
                {
                    let name = record.name();
                    let of_it = later.extract_if(.., |later| later.about == name);
                    let remarks = of_it.map(|later| later.remark).collect::<Vec<_>>();
                    record.remarks.extend(remarks.into_iter().rev());
                    found.push(record);
                }
            }
        }
        Ok(found)
    }
}
