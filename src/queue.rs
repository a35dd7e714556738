//! What waits, and who may deploy now: `Ticket`, `Queue`, `InLine`, `Turn`. The only locks that deploys wait for.
//!
//! A ticket is a file; it means "a deploy is owed", also when it can't be read. The locks are the kernel's (flock): they
//! vanish with the process that holds them, however it dies.
//!
//! Why no ticket is stranded and no deploy doubled:
//!
//! - An arrival leaves its ticket first, then tries `waiting`.
//! - Got it: it starts a worker that holds `waiting`. The worker takes `turn`, lets go of `waiting`, and only then lists
//!   the queue. Whatever was left before is on that list.
//! - Not got: somebody holds `waiting`, who has therefore not listed yet, and will list this ticket. So nothing has to be
//!   started, and of any burst one runs and one waits.
//! - A holder of `waiting` or `turn` that dies frees its lock. Its tickets are still there, and the next delivery finds
//!   them unattended.
//! - The last act of a worker is to look once more, after it has let go of `turn`: a ticket that was left while
//!   somebody who then died held `waiting` is found there.

use std::collections::BTreeSet;
use std::fs::{File, Metadata, TryLockError};
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::commit_id::CommitId;
use crate::files::{identity, try_lock};
use crate::moment::Moment;
use crate::random::fill_with_random;
use crate::repository_name::RepositoryName;
use crate::state::StateFolder;
use crate::web_address::WebAddress;

const QUEUE: &str = "queue";

/// The lock of the next in line.
const WAITING: &str = "waiting";

/// The lock of the one that deploys.
const TURN: &str = "turn";

/// More tickets than this are not taken: nobody has served them for a long time.
const MAX_TICKETS: usize = 1000;

/// A deploy is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// The name of its file. Its own: delivery ids repeat.
    pub(crate) name: String,
    /// What it says, where it could be read.
    pub(crate) push: Option<PushRequest>,
}

/// What a verified delivery asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PushRequest {
    pub(crate) delivery: String,
    #[serde(rename = "ref")]
    pub(crate) git_ref: String,
    /// What the branch was before the push, where the delivery names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<CommitId>,
    /// The commit that was pushed, where the delivery names one.
    pub(crate) after: Option<CommitId>,
    /// Where it is a commit of a submodule's: the submodule's path below the checkout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) submodule: Option<String>,
    /// Whether it is no push, but the run of a workflow that passed the commit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) green: bool,
    /// The submodules that the delivery names: they are likely to be moved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) moved: Vec<String>,
    /// What the submodule's remote calls its default branch, where the checkout does not know it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) new_default: Option<String>,
    /// Where commit statuses are posted: what it takes to post one of its commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<Origin>,
    /// When it came, in seconds since 1970.
    pub(crate) received: u64,
    /// Those that it stands for besides its own: they came before it while deploys were held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) earlier: Vec<Served>,
}

/// Where a delivery came from, and where it came to, as far as it says so itself. Whoever uses it compares it with what the
/// checkout knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) repository: Option<RepositoryName>,
    /// What addresses in the API of its forge begin with.
    pub(crate) api: Option<WebAddress>,
    /// The page that shows everybody how deploys stand.
    pub(crate) page: Option<WebAddress>,
}

/// A ticket that is served, or will be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Served {
    pub(crate) ticket: String,
    pub(crate) delivery: Option<String>,
}

impl Ticket {
    /// The commit that was pushed, where it says so.
    pub(crate) fn commit(&self) -> Option<&CommitId> {
        self.push.as_ref()?.after.as_ref()
    }

    /// How long it has been there: its name begins with when it was left.
    pub(crate) fn age(&self) -> Duration {
        let left = self.name.split('-').next();
        let left = left.and_then(|left| left.parse().ok());
        let left = UNIX_EPOCH + Duration::from_nanos(left.unwrap_or(u64::MAX));
        left.elapsed().unwrap_or_default()
    }

    /// What a deploy serves with it: itself, and those that it stands for.
    pub(crate) fn serves(&self) -> impl Iterator<Item = Served> {
        let push = self.push.as_ref();
        let earlier = push.into_iter().flat_map(|push| &push.earlier);
        earlier.cloned().chain([Served {
            ticket: self.name.clone(),
            delivery: push.map(|push| push.delivery.clone()),
        }])
    }
}

/// Why a push is not in the queue.
#[derive(Debug)]
pub(crate) enum EnqueueError {
    Full,
    Error(anyhow::Error),
}

impl From<anyhow::Error> for EnqueueError {
    fn from(error: anyhow::Error) -> Self {
        Self::Error(error)
    }
}

/// The tickets of a checkout.
#[derive(Clone, Debug)]
pub(crate) struct Queue<'s>(&'s StateFolder);

impl<'s> Queue<'s> {
    pub(crate) fn of(state: &'s StateFolder) -> Self {
        Self(state)
    }

    /// Leaves a ticket for a push. Once this returns, the work survives our death, and a power failure. Returns its name.
    pub(crate) fn enqueue(&self, push: &PushRequest) -> Result<String, EnqueueError> {
        self.0.make_folder(QUEUE)?;
        if self.names()?.len() >= MAX_TICKETS {
            return Err(EnqueueError::Full);
        }
        let name = new_name()?;
        let text = serde_json::to_vec(push).context("cannot write a ticket")?;
        self.0.write(&file_of(&name), &text)?;
        Ok(name)
    }

    /// While deploys are held: of the tickets for the same branch the newest stays, and stands for the others. Somebody in
    /// line is about to list them; then they stay as they are.
    pub(crate) fn merge(&self) -> Result<()> {
        let Some(_alone) = self.try_line()? else {
            return Ok(());
        };
        let mut newest: Vec<Ticket> = Vec::new();
        let mut merged = Vec::new();
        for ticket in self.list()?.into_iter().rev() {
            let is_same = |newer: &&mut PushRequest| {
                ticket.push.as_ref().is_some_and(|push| {
                    push.git_ref == newer.git_ref && push.submodule == newer.submodule
                })
            };
            let mut pushes = newest.iter_mut().filter_map(|newer| newer.push.as_mut());
            match pushes.find(is_same) {
                Some(newer) => {
                    let mut earlier: Vec<_> = ticket.serves().collect();
                    earlier.retain(|served| !newer.earlier.contains(served));
                    newer.earlier.splice(0..0, earlier);
                    let too_many = newer.earlier.len().saturating_sub(MAX_TICKETS);
                    newer.earlier.drain(..too_many);
                    merged.push(ticket.name);
                }
                None => newest.push(ticket),
            }
        }
        if merged.is_empty() {
            return Ok(());
        }
        // First these: a death between the two leaves one ticket too many.
        for Ticket { name, push } in newest {
            if let Some(push) = push.filter(|push| !push.earlier.is_empty()) {
                self.0.write(&file_of(&name), &serde_json::to_vec(&push)?)?;
            }
        }
        for name in merged {
            self.0.remove(&file_of(&name))?;
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> Result<bool> {
        Ok(self.names()?.is_empty())
    }

    /// All tickets, oldest first.
    pub(crate) fn list(&self) -> Result<Vec<Ticket>> {
        let tickets = self.names()?.into_iter().map(|name| {
            let push = self.0.json(&file_of(&name)).ok().flatten();
            Ticket { name, push }
        });
        Ok(tickets.collect())
    }

    /// Becomes the next in line, unless somebody is. Only for those who then serve, or start somebody who does: whoever
    /// merely looked would make an arrival believe that it is attended.
    pub(crate) fn try_line(&self) -> Result<Option<InLine>> {
        let waiting = self.0.lock_file(WAITING)?;
        let is_ours = try_lock(&waiting);
        let is_ours =
            is_ours.context("cannot lock the line (does this file system have flock?)")?;
        Ok(is_ours.then_some(InLine(waiting)))
    }

    /// Becomes the next in line, once nobody else is.
    pub(crate) fn wait_in_line(&self) -> Result<InLine> {
        let waiting = self.0.lock_file(WAITING)?;
        waiting.lock().context("cannot wait in line")?;
        Ok(InLine(waiting))
    }

    pub(crate) fn has(&self, ticket: &str) -> bool {
        self.0.path(&file_of(ticket)).exists()
    }

    /// Takes the turn, where nobody has it, for what gives way as soon as a ticket comes.
    pub(crate) fn free_turn(&self) -> Result<Option<Turn<'s>>> {
        let lock = self.0.lock_file(TURN)?;
        let is_ours = try_lock(&lock).context("cannot lock the turn")?;
        let state = self.0;
        Ok(is_ours.then_some(Turn { state, lock }))
    }

    /// Whether somebody deploys at this moment. Harmless to ask: whoever takes the turn waits for it. Makes nothing, since a
    /// stranger may ask.
    pub(crate) fn is_somebodys_turn(&self) -> Result<bool> {
        let path = self.0.path(TURN);
        let lock = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            opened => opened.with_context(|| format!("cannot open the lock {}", path.display()))?,
        };
        match lock.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => {
                Err(error).context("cannot look at the lock of the turn")
            }
        }
    }

    fn names(&self) -> Result<BTreeSet<String>> {
        let folder = self.0.path(QUEUE);
        let what = || format!("cannot list {}", folder.display());
        let mut names = BTreeSet::new();
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(names),
            entries => entries.with_context(what)?,
        };
        for entry in entries {
            let entry = entry.with_context(what)?;
            // Our own names are ASCII; a folder, or what else somebody put there, is no ticket.
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if let Ok(name) = entry.file_name().into_string()
                && !name.starts_with('.')
                && !is_folder
            {
                names.insert(name);
            }
        }
        Ok(names)
    }
}

/// The place of the next in line.
#[derive(Debug)]
pub(crate) struct InLine(File);

impl InLine {
    /// The lock as an open file, to be handed to a worker as its standard input: it stays held without a gap.
    pub(crate) fn hand_over(self) -> File {
        self.0
    }

    /// Takes the lock from the front that started us, off standard input. Should that be something else, the line is
    /// joined anew; `None` when somebody else is in it, who will then serve.
    pub(crate) fn inherited(queue: &Queue<'_>) -> Result<Option<Self>> {
        let stdin = std::io::stdin().as_fd().try_clone_to_owned();
        let stdin = File::from(stdin.context("cannot take over the place in line")?);
        let lock = queue.0.path(WAITING).metadata();
        let is_it = |lock: Metadata| {
            let given = stdin.metadata();
            given.is_ok_and(|given| identity(&given) == identity(&lock))
        };
        // A lock on the same open file is ours already; taking it again changes nothing.
        if lock.is_ok_and(is_it) && stdin.try_lock().is_ok() {
            Ok(Some(Self(stdin)))
        } else {
            queue.try_line()
        }
    }

    /// Waits until nobody deploys, then lets the next one into the line.
    pub(crate) fn take_turn<'s>(self, queue: &Queue<'s>) -> Result<Turn<'s>> {
        let lock = queue.0.lock_file(TURN)?;
        lock.lock().context("cannot wait for the turn")?;
        // Before the queue is listed: whoever comes from now on may stand in line for the next turn.
        self.0.unlock().context("cannot leave the line")?;
        Ok(Turn {
            state: queue.0,
            lock,
        })
    }
}

/// The right to deploy, until it is dropped or we die.
#[derive(Debug)]
pub(crate) struct Turn<'s> {
    pub(crate) state: &'s StateFolder,
    lock: File,
}

impl Turn<'_> {
    /// The tickets that this turn serves.
    pub(crate) fn tickets(&self) -> Result<Vec<Ticket>> {
        self.state.sweep("");
        self.state.sweep(QUEUE);
        Queue(self.state).list()
    }

    pub(crate) fn served(&self, ticket: &str) -> Result<()> {
        self.state.remove(&file_of(ticket))
    }

    pub(crate) fn end(self) -> Result<()> {
        self.lock.unlock().context("cannot end the turn")
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    Moment::now().0
}

/// The file of a ticket, in the state folder.
fn file_of(ticket: &str) -> String {
    format!("{QUEUE}/{ticket}")
}

/// A name that sorts by time and that nobody else uses.
fn new_name() -> Result<String> {
    let nanoseconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    let mut random = [0; 4];
    fill_with_random(&mut random)?;
    Ok(format!(
        "{nanoseconds:020}-{}-{}",
        std::process::id(),
        hex::encode(random)
    ))
}
