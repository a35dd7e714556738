//! What happened and when: a JSON object a line, in `<git dir>/deploy-cgi/history.jsonl`, bounded in size. The only log.
//!
//! A line is one write, so a death leaves all of it or none; a full disk can tear one, which readers pass by.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::time::SystemTime;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::commit_id::CommitId;
use crate::outcome::{Step, Verdict};
use crate::queue::Served;
use crate::state::StateFolder;

/// The file that is written.
const FILE: &str = "history.jsonl";

/// The one older file that is kept.
const OLDER_FILE: &str = "history.1.jsonl";

/// Past this size the file becomes the older one, in bytes.
const MAX_SIZE: u64 = 1 << 20;

/// One deploy that ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) time: String,
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
    /// The report, in the words its delivery was answered with.
    pub(crate) report: String,
    /// What became known after the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) remark: Option<String>,
}

/// This moment, RFC 3339 in UTC: the one form of times in what we write and print.
pub(crate) fn timestamp() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// What deploys of a checkout came to.
#[derive(Clone, Debug)]
pub(crate) struct History<'s>(&'s StateFolder);

impl<'s> History<'s> {
    pub(crate) fn of(state: &'s StateFolder) -> Self {
        Self(state)
    }

    /// Adds a line, for all to read; it is safe from a power failure once `sync` returns. Called by the holder of the turn
    /// only.
    pub(crate) fn record(&self, record: &Record) -> Result<()> {
        let path = self.0.path(FILE);
        let what = || format!("cannot write {}", path.display());
        let mut line = serde_json::to_vec(record).with_context(what)?;
        line.push(b'\n');
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

    /// All records that can be read, oldest first.
    pub(crate) fn records(&self) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        for name in [OLDER_FILE, FILE] {
            let text = self.0.read(name)?.unwrap_or_default();
            records.extend(
                text.split(|&byte| byte == b'\n')
                    .filter_map(|line| serde_json::from_slice(line).ok()),
            );
        }
        Ok(records)
    }

    pub(crate) fn of_ticket(&self, ticket: &str) -> Result<Option<Record>> {
        self.newest(ticket, |served| served.ticket == ticket)
    }

    /// What became of a delivery, the last time it came.
    pub(crate) fn of_delivery(&self, delivery: &str) -> Result<Option<Record>> {
        self.newest(delivery, |served| {
            served.delivery.as_deref() == Some(delivery)
        })
    }

    /// The same for a delivery whose id begins so.
    pub(crate) fn of_delivery_like(&self, start: &str) -> Result<Option<Record>> {
        self.newest(start, |served| {
            let delivery = served.delivery.as_deref();
            delivery.is_some_and(|delivery| delivery.starts_with(start))
        })
    }

    pub(crate) fn last(&self) -> Result<Option<Record>> {
        Ok(self.records()?.pop())
    }

    /// The newest record that served what is asked for. Only lines that name it at all are parsed.
    fn newest(&self, named: &str, serves: impl Fn(&Served) -> bool) -> Result<Option<Record>> {
        for name in [FILE, OLDER_FILE] {
            let text = self.0.read(name)?.unwrap_or_default();
            let found = text
                .rsplit(|&byte| byte == b'\n')
                .filter_map(|line| std::str::from_utf8(line).ok())
                .filter(|line| line.contains(named))
                .filter_map(|line| serde_json::from_str::<Record>(line).ok())
                .find(|record| record.tickets.iter().any(&serves));
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}
