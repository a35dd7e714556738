//! What GitHub is told about the commits of a turn: which of them, and what.

use std::collections::BTreeSet;

use anyhow::Result;

use super::Deploy;
use super::triage::{Fate, Triaged};
use super::turn_result::TurnResult;
use crate::commit_id::CommitId;
use crate::commit_status::{Board, Pending, State, Status, Unposted, address_of, description};
use crate::git::Upstream;
use crate::history::{History, Record};
use crate::hook_address;
use crate::ignored::ignore;
use crate::outcome::{Step, Verdict};
use crate::queue::{Origin, Ticket};
use crate::redaction::redact;
use crate::site::StatusPage;
use crate::web_address::WebAddress;

/// Why an error of it is ignored.
pub(super) const STATUSES_ARE_NO_MATTER: &str = "what is deployed does not depend on it";

/// The most tickets of a deploy whose commits GitHub is told about.
const MAX_TOLD: usize = 10;

impl Deploy<'_> {
    /// Notes what is to be posted about the commits that a turn served. Called once that is in the history, and before the
    /// tickets go: should we die in between, the next worker posts it.
    pub(super) fn owe_statuses(&self, records: &[Record], ended: &TurnResult) {
        if let (Err(error), Some(record)) = (self.note_statuses(records, ended), records.first()) {
            let remark = format!("commit statuses were not posted: {error:#}");
            ignore(
                History::of(self.state()).remark(&record.name(), &remark),
                STATUSES_ARE_NO_MATTER,
            );
        }
    }

    fn note_statuses(&self, records: &[Record], ended: &TurnResult) -> Result<()> {
        let Some(board) = Board::of(self.site, self.state()) else {
            return Ok(());
        };
        let is_decided = |triaged: &&Triaged| !matches!(triaged.fate, Fate::NotVisible);
        let decided = ended.tickets.iter().filter(is_decided);
        let upstream = ended.upstream.as_ref();
        let mut all_owed = Vec::new();
        for Triaged { ticket, fate } in self.newest(decided, upstream)? {
            let serves = |record: &&Record| {
                let mut served = record.tickets.iter();
                served.any(|served| served.ticket == ticket.name)
            };
            let Some(record) = records.iter().find(serves) else {
                continue;
            };
            let Some((state, words)) = said_of(record, fate) else {
                continue;
            };
            match self.status(ticket, state, words, upstream) {
                // What may be live takes nothing back that was said before; but nothing stays underway.
                Some(status)
                    if matches!(fate, Fate::PerhapsWithdrawn(_))
                        && !board.is_pending(&status)? => {}
                Some(status) => all_owed.push(Unposted::new(status, record.name())),
                None => self.say_nowhere(ticket, record)?,
            }
        }
        board.owe(all_owed)
    }

    /// Starts to post that the commits of these tickets are underway, where nobody hears of the result otherwise: the
    /// delivery was answered without it.
    pub(super) fn begin_pending(
        &self,
        tickets: &[Triaged],
        upstream: &Upstream,
    ) -> Result<Pending> {
        let Some(board) = Board::of(self.site, self.state()) else {
            return Ok(Pending::default());
        };
        let is_late = |triaged: &&Triaged| triaged.ticket.age() > self.site.wait;
        let late = self.newest(tickets.iter().filter(is_late), Some(upstream))?;
        let pending = |triaged: &&Triaged| {
            let words = "the deploy is running";
            self.status(&triaged.ticket, State::Pending, words, Some(upstream))
        };
        let statuses: Vec<Status> = late.iter().filter_map(pending).collect();
        if statuses.is_empty() {
            return Ok(Pending::default());
        }
        board.begin_pending(&statuses)
    }

    /// The newest tickets that name a commit of the branch, each commit once. One that waits for its workflow still is none:
    /// nothing was decided about it.
    fn newest<'t>(
        &self,
        tickets: impl Iterator<Item = &'t Triaged>,
        upstream: Option<&Upstream>,
    ) -> Result<Vec<&'t Triaged>> {
        let green = self.green()?;
        let is_told = |Triaged { ticket, .. }: &&Triaged| {
            let (Some(push), Some(commit)) = (&ticket.push, ticket.commit()) else {
                return false;
            };
            let is_of_branch = upstream.is_none_or(|ours| ours.remote_ref == push.git_ref);
            let is_decided =
                push.green || green.as_ref().is_none_or(|green| green.is_green(commit));
            push.submodule.is_none() && is_of_branch && is_decided
        };
        let mut newest: Vec<_> = tickets.filter(is_told).collect();
        newest.sort_by(|a, b| b.ticket.name.cmp(&a.ticket.name));
        newest.truncate(MAX_TOLD);
        let mut commits = BTreeSet::new();
        newest.retain(|triaged| commits.insert(triaged.ticket.commit()));
        Ok(newest)
    }

    /// `None` where nothing says where it belongs.
    fn status(
        &self,
        ticket: &Ticket,
        state: State,
        words: &str,
        upstream: Option<&Upstream>,
    ) -> Option<Status> {
        let (origin, commit) = (ticket.push.as_ref()?.origin.as_ref(), ticket.commit()?);
        let remote = upstream.map(|upstream| &upstream.url);
        let remote = remote.or(self.site.clone.as_ref());
        let hidden = self.site.secret_words();
        Some(Status {
            commit: commit.clone(),
            address: address_of(commit, origin, remote, self.site)?,
            context: self.site.github.as_ref()?.context.clone(),
            state,
            description: description(&redact(words, hidden.iter().map(String::as_str))),
            link: self.link(origin),
        })
    }

    /// What a status links to: the page that everybody may see, at the address that a ping told, else at the one that the
    /// delivery was sent to; else the page that visitors see.
    fn link(&self, origin: Option<&Origin>) -> Option<WebAddress> {
        let told = || hook_address::read(self.state()).ok().flatten();
        let page = match self.site.status_page {
            StatusPage::Open => told()
                .map(|hook| hook.without_query())
                .or_else(|| origin?.page.clone()),
            StatusPage::Off | StatusPage::SecretLink => None,
        };
        page.or_else(|| self.site.live.clone())
    }

    fn say_nowhere(&self, ticket: &Ticket, record: &Record) -> Result<()> {
        let remark = format!(
            "commit status of {} was not posted: the remote is not at GitHub, and the delivery names no API of the \
             remote's host: set `github_api`",
            ticket.commit().map_or("-", CommitId::short)
        );
        History::of(self.state()).remark(&record.name(), &remark)
    }
}

/// What is said of a commit, by what became of its ticket.
fn said_of<'r>(record: &'r Record, fate: &'r Fate) -> Option<(State, &'r str)> {
    if let Fate::Withdrawn(why) | Fate::PerhapsWithdrawn(why) = fate {
        return Some((State::Error, why));
    }
    let state = match record.verdict {
        Verdict::Deployed | Verdict::Unchanged => State::Success,
        // The host's fault, or the commit's own absence: nothing was tried that it could fail at.
        Verdict::Failed if record.step == Some(Step::Start) => State::Error,
        Verdict::Ignored => State::Error,
        Verdict::Failed => State::Failure,
        Verdict::Back => return None,
    };
    let headline = record.report.lines().next().unwrap_or_default();
    Some((state, headline))
}
