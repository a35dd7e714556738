//! What GitHub is told about the commits of a turn: which of them, and what.

use anyhow::Result;

use super::triage::{Absence, NotLive};
use super::turn_result::TurnResult;
use super::{Aim, Deploy};
use crate::commit_id::CommitId;
use crate::commit_status::{Board, Owed, Pending, State, Status, address_of, description};
use crate::git::Upstream;
use crate::green::Green;
use crate::history::{History, Record};
use crate::hook_address;
use crate::ignored::ignore;
use crate::outcome::{Step, Verdict};
use crate::queue::{Origin, PushRequest, Ticket};
use crate::redaction::redact;
use crate::site::StatusPage;
use crate::web_address::WebAddress;

/// Why an error of it is ignored.
pub(super) const STATUSES_ARE_NO_MATTER: &str = "what is deployed does not depend on it";

/// The most tickets of a deploy whose commits GitHub is told about.
const MAX_TOLD: usize = 10;

/// A ticket whose commit GitHub is told about.
struct Told<'t> {
    ticket: &'t str,
    push: &'t PushRequest,
    commit: &'t CommitId,
}

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
        let seen = &ended.tickets;
        let timed_out = seen.timed_out.iter().map(|(ticket, _)| ticket);
        let ignored = seen.ignored.iter().map(|(ticket, _)| ticket);
        let tickets = seen.ready.iter().chain(timed_out).chain(ignored);
        let upstream = ended.upstream.as_ref();
        let mut all_owed = Vec::new();
        for told in self.told(tickets, upstream)? {
            let serves = |record: &&Record| {
                let mut served = record.tickets.iter();
                served.any(|served| served.ticket == told.ticket)
            };
            let Some(record) = records.iter().find(serves) else {
                continue;
            };
            let mut not_live = seen.not_live.iter();
            let not_live = not_live.find(|absent| absent.ticket == told.ticket);
            let Some((state, words)) = said_of(record, not_live) else {
                continue;
            };
            match self.status(&told, state, words, upstream) {
                // What may be live takes nothing back that was said before; but nothing stays underway.
                Some(status)
                    if not_live.is_some_and(|absent| absent.how == Absence::Perhaps)
                        && !board.is_pending(&status)? => {}
                Some(status) => all_owed.push(Owed::new(status, record.name())),
                None => self.say_nowhere(told.commit, record)?,
            }
        }
        board.owe(all_owed)
    }

    /// Starts to post that the commits of these tickets are underway, where nobody hears of the result otherwise: the
    /// delivery was answered without it.
    pub(super) fn begin_pending(&self, tickets: &[Ticket], upstream: &Upstream) -> Result<Pending> {
        let Some(board) = Board::of(self.site, self.state()) else {
            return Ok(Pending::default());
        };
        let late = tickets
            .iter()
            .filter(|ticket| ticket.age() > self.site.wait);
        let late = self.told(late, Some(upstream))?;
        let pending = |told: &Told<'_>| {
            self.status(
                told,
                State::Pending,
                "the deploy is running",
                Some(upstream),
            )
        };
        let statuses: Vec<Status> = late.iter().filter_map(pending).collect();
        if statuses.is_empty() {
            return Ok(Pending::default());
        }
        board.begin_pending(&statuses)
    }

    /// The newest tickets that name a commit of the branch, each commit once. One that waits for its workflow still is none:
    /// nothing was decided about it.
    fn told<'t>(
        &self,
        tickets: impl Iterator<Item = &'t Ticket>,
        upstream: Option<&Upstream>,
    ) -> Result<Vec<Told<'t>>> {
        let green = match self.aim {
            Aim::Green(_) => Some(Green::read(self.state())?),
            Aim::Tip | Aim::Back(_) => None,
        };
        let told = |ticket: &'t Ticket| {
            let push = ticket.push.as_ref()?;
            let commit = push.after.as_ref()?;
            let is_of_branch = upstream.is_none_or(|ours| ours.remote_ref == push.git_ref);
            let is_decided =
                push.green || green.as_ref().is_none_or(|green| green.is_green(commit));
            (push.submodule.is_none() && is_of_branch && is_decided).then_some(Told {
                ticket: &ticket.name,
                push,
                commit,
            })
        };
        let mut all: Vec<Told<'t>> = tickets.filter_map(told).collect();
        all.sort_by(|a, b| b.ticket.cmp(a.ticket));
        all.truncate(MAX_TOLD);
        let mut newest: Vec<Told<'t>> = Vec::new();
        for told in all {
            if newest.iter().all(|newer| newer.commit != told.commit) {
                newest.push(told);
            }
        }
        Ok(newest)
    }

    /// `None` where nothing says where it belongs.
    fn status(
        &self,
        told: &Told<'_>,
        state: State,
        words: &str,
        upstream: Option<&Upstream>,
    ) -> Option<Status> {
        let origin = told.push.origin.as_ref();
        let remote = upstream.map(|upstream| &upstream.url);
        let remote = remote.or(self.site.clone.as_ref());
        let hidden = self.site.secret_words();
        Some(Status {
            commit: told.commit.clone(),
            address: address_of(told.commit, origin, remote, self.site)?,
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

    fn say_nowhere(&self, commit: &CommitId, record: &Record) -> Result<()> {
        let remark = format!(
            "commit status of {} was not posted: the remote is not at GitHub, and the delivery names no API of the \
             remote's host: set `github_api`",
            commit.short()
        );
        History::of(self.state()).remark(&record.name(), &remark)
    }
}

/// What is said of a commit, by what became of its ticket.
fn said_of<'r>(record: &'r Record, not_live: Option<&'r NotLive>) -> Option<(State, &'r str)> {
    if let Some(absent) = not_live {
        return Some((State::Error, &absent.why));
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
