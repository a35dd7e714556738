//! Commit statuses at GitHub: what is posted where, and what is still owed. A file remembers both, so that nothing is posted
//! twice, and a worker that dies leaves the rest to the next one.
//!
//! Must not know how a deploy is done, nor what its outcome means for a commit.

mod address;
mod answer;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::commit_id::CommitId;
use crate::curl::{self, Asked, Post};
use crate::files::lock_within;
use crate::history::{History, RecordName};
use crate::ignored::ignore;
use crate::process::Running;
use crate::queue::now;
use crate::redaction::{excerpt, redact};
use crate::site::{GitHub, Site, Token};
use crate::state::StateFolder;
use crate::web_address::WebAddress;
use answer::Judged;

pub(crate) use address::address_of;

/// The file.
const FILE: &str = "commit-statuses";

/// Held while it is changed. Never waited for at length: a change takes milliseconds.
const LOCK: &str = "commit-statuses.changing";

/// Held while somebody posts, so that of two statuses of a commit the newer one is posted last. By curl itself while it posts
/// what is pending: a worker that dies lets nobody overtake that.
const POSTING: &str = "commit-statuses.posting";

/// How many commits are remembered.
const MAX_KNOWN: usize = 100;

/// How long GitHub may take for one status; and for all that one worker posts at a time, which others wait for.
const POST_LIMIT: Duration = Duration::from_secs(10);
const LIMIT: Duration = Duration::from_secs(20);

/// How long another worker may post before ours does.
const PATIENCE: Duration = Duration::from_mins(1);

/// What is owed for longer than this, in seconds, nobody waits for any more.
const MAX_AGE: u64 = 24 * 60 * 60;

/// How many redirects are followed for one status.
const MAX_REDIRECTS: usize = 3;

/// GitHub's limit, in characters. Whether it counts bytes is documented nowhere: these are never more characters than bytes.
const MAX_DESCRIPTION: usize = 140;

/// What GitHub calls it (its documentation, "REST API endpoints for commit statuses").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Pending,
    Success,
    Failure,
    Error,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
        }
    }
}

/// What is said about a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) commit: CommitId,
    /// Where it is posted, and under which name.
    pub(crate) address: WebAddress,
    pub(crate) context: String,
    pub(crate) state: State,
    pub(crate) description: String,
    /// What it links to.
    pub(crate) link: Option<WebAddress>,
}

/// What GitHub is sent.
#[derive(Serialize)]
struct Body<'b> {
    state: State,
    description: &'b str,
    context: &'b str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_url: Option<&'b WebAddress>,
}

/// What is remembered of the statuses of one commit.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    /// Where they are posted, and as what.
    address: WebAddress,
    context: String,
    /// The last one that was posted, where that is known; or that it is underway, where that may have been posted.
    posted: Option<State>,
    owed: Option<Unposted>,
    /// How it went the last time.
    remark: Option<Remark>,
}

impl Known {
    fn is_of(&self, status: &Status) -> bool {
        self.address == status.address && self.context == status.context
    }
}

/// A status that is still to be posted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unposted {
    status: Status,
    /// The deploy that it tells of.
    about: RecordName,
    /// In seconds since 1970.
    since: u64,
}

impl Unposted {
    pub(crate) fn new(status: Status, about: RecordName) -> Self {
        Self {
            status,
            about,
            since: now(),
        }
    }
}

/// How posting went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remark {
    pub(crate) words: String,
    pub(crate) is_posted: bool,
    /// In seconds since 1970.
    pub(crate) time: u64,
}

/// Statuses that are being posted while the deploy goes on. They have ended, or are ended, before others are posted.
#[derive(Default)]
pub(crate) struct Pending(Vec<Running<'static>>);

impl Pending {
    pub(crate) fn add(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    fn end(self) {
        for running in self.0 {
            ignore(running.end(), "whether it arrived, nobody depends on");
        }
    }
}

/// The statuses of a site's commits.
pub(crate) struct Board<'b> {
    site: &'b Site,
    github: &'b GitHub,
    state: &'b StateFolder,
}

impl<'b> Board<'b> {
    /// `None` where no statuses are posted.
    pub(crate) fn of(site: &'b Site, state: &'b StateFolder) -> Option<Self> {
        let github = site.github.as_ref()?;
        Some(Self {
            site,
            github,
            state,
        })
    }

    /// What remembers them.
    pub(crate) fn file(state: &StateFolder) -> PathBuf {
        state.path(FILE)
    }

    /// How posting went the last time.
    pub(crate) fn last_remark(&self) -> Result<Option<Remark>> {
        let remarks = self.read()?.into_iter().filter_map(|known| known.remark);
        Ok(remarks.max_by_key(|remark| remark.time))
    }

    pub(crate) fn has_owed(&self) -> Result<bool> {
        Ok(self.read()?.iter().any(|known| known.owed.is_some()))
    }

    /// Whether the last that is known of a commit is that its deploy is underway.
    pub(crate) fn is_pending(&self, status: &Status) -> Result<bool> {
        let known = take_known(&mut self.read()?, status);
        Ok(known.posted == Some(State::Pending))
    }

    /// Notes what is to be posted about a deploy, in place of what was to be posted about the same commits.
    pub(crate) fn owe(&self, all_owed: Vec<Unposted>) -> Result<()> {
        self.change(|all| {
            for owed in all_owed {
                let mut known = take_known(all, &owed.status);
                known.owed = Some(owed);
                all.push(known);
            }
        })
    }

    /// Starts to post that these are underway: those of which nothing better is known, and only where nobody else posts.
    pub(crate) fn begin_pending(&self, statuses: &[Status]) -> Result<Pending> {
        let (Some(curl), Ok(token)) = (self.curl(), self.github.token()) else {
            return Ok(Pending::default());
        };
        let posting = self.state.lock_file(POSTING)?;
        if posting.try_lock().is_err() {
            return Ok(Pending::default());
        }
        let is_news =
            |known: &Known| !matches!(known.posted, Some(State::Pending | State::Success));
        let mut news = Vec::new();
        // Before anything is sent: what may have been posted is posted over.
        self.change(|all| {
            for status in statuses {
                let mut known = take_known(all, status);
                if is_news(&known) {
                    known.posted = Some(State::Pending);
                    news.push(status);
                }
                all.push(known);
            }
        })?;
        if news.is_empty() {
            return Ok(Pending::default());
        }
        let headers = headers(&token);
        let bodies = news.iter().map(|status| body(status));
        let bodies = bodies.collect::<Result<Vec<_>>>()?;
        let posts = news.iter().zip(&bodies).map(|(status, body)| Post {
            address: &status.address,
            headers: &headers,
            body,
        });
        let posts: Vec<_> = posts.collect();
        let running = curl::begin_posts(&curl, &posts, LIMIT, posting)?;
        Ok(Pending(vec![running]))
    }

    /// Posts what is owed, once those that are still being posted have ended. Returns how that went.
    pub(crate) fn post_owed(&self, pending: Pending) -> Result<Vec<String>> {
        pending.end();
        let posting = self.state.lock_file(POSTING)?;
        lock_within(&posting, PATIENCE).context("another worker is still posting statuses")?;
        let end = Instant::now() + LIMIT;
        let mut remarks = Vec::new();
        let mut gave_up = None;
        while let Some(owed) = self.next_owed()? {
            let posted = match &gave_up {
                Some(why) => Ok(Some(String::clone(why))),
                None => self.post(&owed.status, end),
            };
            let why_not = posted.unwrap_or_else(|error| {
                gave_up = Some(format!("{error:#}"));
                gave_up.clone()
            });
            let remark = self.remark(&owed.status, why_not);
            self.settle(&owed, &remark)?;
            History::of(self.state).remark(&owed.about, &remark.words)?;
            remarks.push(remark.words);
        }
        Ok(remarks)
    }

    /// The first that is owed, to be posted now: until that is known to have gone well, nobody knows what GitHub shows. What
    /// was posted already, and what nobody waits for any more, is forgotten.
    fn next_owed(&self) -> Result<Option<Unposted>> {
        let mut next = None;
        self.change(|all| {
            for known in all.iter_mut() {
                let posted = known.posted;
                let is_idle = |owed: &mut Unposted| {
                    posted == Some(owed.status.state) || now().saturating_sub(owed.since) > MAX_AGE
                };
                drop(known.owed.take_if(is_idle));
            }
            if let Some(known) = all.iter_mut().find(|known| known.owed.is_some()) {
                known.posted = None;
                next.clone_from(&known.owed);
            }
        })?;
        Ok(next)
    }

    /// Notes how it went.
    fn settle(&self, owed: &Unposted, remark: &Remark) -> Result<()> {
        self.change(|all| {
            let mut all = all.iter_mut();
            if let Some(known) = all.find(|known| known.is_of(&owed.status)) {
                if remark.is_posted {
                    known.posted = Some(owed.status.state);
                }
                // Unless something newer is owed by now.
                drop(known.owed.take_if(|known| known == owed));
                known.remark = Some(remark.clone());
            }
        })
    }

    fn remark(&self, status: &Status, why_not: Option<String>) -> Remark {
        let (state, commit) = (status.state.word(), status.commit.short());
        let is_posted = why_not.is_none();
        let words = match why_not {
            None => format!("commit status: posted {state} for {commit}"),
            Some(why) => format!("commit status of {commit} was not posted: {why}"),
        };
        let hidden = self.site.secret_words();
        Remark {
            words: redact(&words, hidden.iter().map(String::as_str)),
            is_posted,
            time: now(),
        }
    }

    /// Returns why it was not taken, if it was not. An error means that it could not be sent, nor could others.
    fn post(&self, status: &Status, end: Instant) -> Result<Option<String>> {
        let Some(curl) = self.curl() else {
            bail!("there is no curl here: install it, or name its folder with the key `path`");
        };
        let token = self.github.token()?;
        let (headers, body) = (headers(&token), body(status)?);
        let mut address = status.address.clone();
        for _ in 0..=MAX_REDIRECTS {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("there was no time left for it; press Redeliver");
            }
            let post = Post {
                address: &address,
                headers: &headers,
                body: &body,
            };
            let answer = match curl::post(&curl, &post, left.min(POST_LIMIT))? {
                Asked::Answered(answer) => answer,
                Asked::Nothing(why) => {
                    bail!("{address} does not answer: {why}; press Redeliver later")
                }
            };
            match answer::judge(&answer, &address, &token) {
                Judged::Posted => return Ok(None),
                Judged::Elsewhere(next) => address = next,
                Judged::Not(why) => return Ok(Some(why)),
            }
        }
        Ok(Some(format!("{address} redirects again and again")))
    }

    fn curl(&self) -> Option<PathBuf> {
        self.site.programs.find(curl::PROGRAM)
    }

    fn read(&self) -> Result<Vec<Known>> {
        // One that can't be read knows of nothing: then a status is posted once more.
        Ok(self.state.json(FILE)?.unwrap_or_default())
    }

    /// Changes what is remembered. What a power failure undoes is posted once more, or not at all.
    fn change(&self, change: impl FnOnce(&mut Vec<Known>)) -> Result<()> {
        let lock = self.state.lock_file(LOCK)?;
        lock.lock()
            .context("cannot lock what is known of commit statuses")?;
        let mut all = self.read()?;
        change(&mut all);
        let too_many = all.len().saturating_sub(MAX_KNOWN);
        all.drain(..too_many);
        self.state.write_unsynced(FILE, &serde_json::to_vec(&all)?)
    }
}

/// Takes what is known of a commit's statuses out of the list, or what is known of nothing.
fn take_known(all: &mut Vec<Known>, status: &Status) -> Known {
    match all.iter().position(|known| known.is_of(status)) {
        Some(at) => all.remove(at),
        None => Known {
            address: status.address.clone(),
            context: status.context.clone(),
            posted: None,
            owed: None,
            remark: None,
        },
    }
}

/// What GitHub asks for in its documentation. All of its servers know this version.
fn headers(token: &Token) -> [String; 4] {
    [
        format!("Authorization: Bearer {}", token.reveal()),
        "Accept: application/vnd.github+json".to_owned(),
        "Content-Type: application/json".to_owned(),
        "X-GitHub-Api-Version: 2022-11-28".to_owned(),
    ]
}

fn body(status: &Status) -> Result<String> {
    let body = Body {
        state: status.state,
        description: &status.description,
        context: &status.context,
        target_url: status.link.as_ref(),
    };
    serde_json::to_string(&body).context("cannot write a commit status")
}

/// A line as a description: what is too long ends in an ellipsis.
pub(crate) fn description(line: &str) -> String {
    const ELLIPSIS: &str = "…";
    if line.len() <= MAX_DESCRIPTION {
        return line.to_owned();
    }
    let end = line.floor_char_boundary(MAX_DESCRIPTION - ELLIPSIS.len());
    format!("{}{ELLIPSIS}", &line[..end])
}

/// What is shown of what somebody else said: one line, without the token.
fn shown(said: &str, token: &Token) -> String {
    excerpt(&redact(said, [token.reveal()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_cut_at_a_character() {
        assert_eq!(description("short"), "short");
        assert_eq!(description(&"x".repeat(140)), "x".repeat(140));
        let long = description(&"x".repeat(141));
        assert_eq!(long, format!("{}…", "x".repeat(137)));
        let wide = description(&format!("x{}", "é".repeat(100)));
        assert_eq!(wide, format!("x{}…", "é".repeat(68)));
        assert!(wide.len() <= MAX_DESCRIPTION);
    }
}
