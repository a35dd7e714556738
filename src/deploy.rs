//! One turn: end what is left of a dead run and heal it, pull, bring the submodules, run `on_update`, record.
//!
//! Must not know how a turn is come by, nor who hears the outcome. Success means that the site is what was pushed; an
//! exit code of 0 is no evidence of that, so everything is looked at afterwards.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use crate::backup::Backup;
use crate::cgi::Environment;
use crate::clone::{self, Cloned};
use crate::commit_id::CommitId;
use crate::diagnosis::{self, Cause, Diagnosis, Situation, explain};
use crate::files::{lock_within, open_private};
use crate::git::{
    self, Ancestry, Checkout, Commit, Commits, Found, Git, Gitlinks, Heads, Indexed, Submodule,
    Tracking, Upstream,
};
use crate::heal::Healer;
use crate::history::{History, Record, Served};
use crate::last_good::LastGood;
use crate::outcome::{Failure, Moved, News, Outcome, Step, StepTime, Verdict};
use crate::process::{self, End, Ended, Progress, Run};
use crate::queue::{PushRequest, Queue, Ticket, Turn, now};
use crate::redaction;
use crate::site::{Site, Submodules, Update};
use crate::state::StateFolder;
use crate::submodules::Bringer;
use crate::user::{User, Variables, is_for_commands};

/// The marker of a run that has not ended: found at the start of the next one, it means that its predecessor died.
pub(crate) const MARKER: &str = "running";

/// The lock that git commands and their children hold while any of them lives.
const ALIVE: &str = "git";

/// What the person's commands print, and what their background children go on printing.
const ON_UPDATE_LOG: &str = "on_update.log";
const ON_FAILURE_LOG: &str = "on_failure.log";

/// The day's maintenance was done when this file was written.
const MAINTENANCE: &str = "maintenance";

/// How often git may tidy up.
const MAINTENANCE_EVERY: Duration = Duration::from_hours(24);

/// How long a dead run's git may go on before it is ended.
const ORPHAN_GRACE: Duration = Duration::from_secs(2);

/// How long a pushed commit may be missing at the remote, from its arrival: GitHub's replicas lag by seconds.
const PATIENCE: Duration = Duration::from_mins(1);

/// How long a remote that still has what was there before the push is given to show it, where the pushed commit is here
/// already: it may have been withdrawn, too.
const PATIENCE_WITH_AN_OLD_TIP: Duration = Duration::from_secs(4);

/// The pauses between looks for a commit that is missing; the last one is repeated.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// How many submodules are fetched at the same time as the checkout itself.
const FETCHES_BESIDE_A_PULL: usize = 2;

/// Where the deploys of several work trees of one repository wait for each other. Not a name of a lock file of git's, which
/// would be put right.
const WORK_TREES_LOCK: &str = "deploy-cgi-work-trees";

/// How often a pause is interrupted to see whether a newer ticket waits.
const LOOK: Duration = Duration::from_millis(50);

/// The longest pause before a fetch that failed is tried once more; a quarter of `wait` where that is less, so that the
/// result is still heard.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The last lines of a failed command's output that a report has, and the most bytes of them.
const SAID_LINES: usize = 40;
const SAID_BYTES: usize = 4 << 10;

/// A run that has begun.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Marker {
    /// The session of its worker: git commands that are left of it are in the same one.
    session: i32,
    /// Where a healing has begun: when the run began whose debris it clears, in seconds and nanoseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    healing: Option<(u64, u32)>,
}

/// What the marker says.
struct Marked {
    began: SystemTime,
    is_healing: bool,
}

/// Who wants to know how a deploy goes.
pub(crate) trait Listener {
    /// The outcome of these tickets is in the history.
    fn recorded(&mut self, record: &Record);
}

/// One turn's work.
pub(crate) struct Deploy<'d> {
    site: &'d Site,
    host: &'d Environment,
    checkout: &'d Checkout,
    state: &'d StateFolder,
    listener: &'d mut dyn Listener,
    progress: Option<Progress<'d>>,
    started: Instant,
    last_good: LastGood,
    followed: Option<Upstream>,
    now: Option<LastGood>,
    /// The same, once the deploy has ended well and until that is on disk.
    reached: Option<LastGood>,
    backup: Backup,
    /// What has been recorded and not been told yet.
    ended: Vec<Record>,
    /// Whether no step was cut short, or all that it left was put right: only then may the marker go.
    whole: bool,
    /// The newest of the commits that came, and how many there are.
    commits: (Vec<Commit>, u64),
    steps: Vec<StepTime>,
    remarks: Vec<String>,
    /// Secrets and credentials, to be masked in whatever is shown.
    hidden: Vec<String>,
}

/// The tickets of a turn, told apart by their commits.
#[derive(Debug, Default)]
struct Sorted {
    /// Their commit is live, or they name none.
    confirmed: Vec<Ticket>,
    /// The remote does not have their commit yet.
    lagging: Vec<Ticket>,
    /// It has been missing for too long.
    overdue: Vec<(Ticket, CommitId)>,
    /// What a person should know about them.
    remarks: Vec<String>,
}

impl Sorted {
    fn by_commit(
        tickets: &[Ticket],
        git: &Git<'_>,
        followed: &Upstream,
        now_there: &LastGood,
        seen: &mut BTreeSet<CommitId>,
    ) -> Result<Self> {
        let mut sorted = Self::default();
        for ticket in tickets.iter().cloned() {
            let promise = ticket.push.as_ref();
            let Some((promise, commit)) = promise.and_then(|p| Some((p, p.after.clone()?))) else {
                sorted.confirmed.push(ticket);
                continue;
            };
            let below = Path::new(promise.submodule.as_deref().unwrap_or(""));
            // Before the first checkout nobody knew which branch it would be.
            let branch = promise.git_ref.strip_prefix("refs/heads/");
            let is_another = branch.is_some_and(|branch| branch != followed.remote_branch());
            if promise.submodule.is_none() && is_another {
                sorted.remarks.push(format!(
                    "the push of {} was ignored: this site follows {}",
                    redaction::excerpt(&promise.git_ref),
                    redaction::excerpt(followed.remote_branch())
                ));
                sorted.confirmed.push(ticket);
                continue;
            }
            let folder = git.checkout.folder.join(below);
            let is_younger = |age: Duration| now().abs_diff(promise.received) < age.as_secs();
            let tip = now_there.commit_of(below);
            let is_the_old_tip = tip.is_some() && tip == promise.before.as_ref();
            let containment = if tip == Some(&commit) {
                Ancestry::Contained
            } else {
                git.work_tree(&folder).ancestry(&commit)?
            };
            match containment {
                Ancestry::Contained => sorted.confirmed.push(ticket),
                // It was asked for by its id since: from then on it is here, and its history is not.
                Ancestry::Outside | Ancestry::Absent if seen.contains(&commit) => {
                    let commit = commit.short();
                    sorted.remarks.push(format!(
                        "the pushed commit {commit} is older than this shallow clone reaches back, or a later push withdrew \
                         it"
                    ));
                    sorted.confirmed.push(ticket);
                }
                // Another branch brought it here before this one showed it.
                Ancestry::Outside if is_the_old_tip && is_younger(PATIENCE_WITH_AN_OLD_TIP) => {
                    sorted.lagging.push(ticket);
                }
                Ancestry::Outside => {
                    let why = "a later push withdrew it";
                    let commit = commit.short();
                    sorted.remarks.push(format!(
                        "the pushed commit {commit} is not in the branch: {why}"
                    ));
                    sorted.confirmed.push(ticket);
                }
                Ancestry::Absent if is_younger(PATIENCE) => {
                    // Should the remote of a shallow clone have it, it is in the next pull, or older than the clone.
                    let is_there = git::is_shallow(&folder)?
                        && git
                            .work_tree(&folder)
                            .remote_has(&followed.remote, &commit)?;
                    if is_there {
                        seen.insert(commit);
                    }
                    sorted.lagging.push(ticket);
                }
                Ancestry::Absent => sorted.overdue.push((ticket, commit)),
            }
        }
        Ok(sorted)
    }
}

/// A step that did not end well: why, and what it printed. What that means is put into words at the end.
struct StepFailed {
    step: Step,
    cause: Cause,
    output: String,
    /// Submodules that are not at the recorded commit, where the main tree is new already.
    behind: Vec<PathBuf>,
}

impl StepFailed {
    /// What is known without the words of a command.
    fn stated(step: Step, cause: Cause) -> Self {
        Self {
            step,
            cause,
            output: String::new(),
            behind: Vec::new(),
        }
    }

    /// A command that did not end well.
    fn ended(step: Step, end: End, output: String) -> Self {
        let cause = match end {
            End::Limit(_) | End::Signal(_) => None,
            End::Exit(_) | End::Stopped => Cause::of_output(&output),
        };
        Self {
            step,
            cause: cause.unwrap_or(Cause::Ended(end)),
            output,
            behind: Vec::new(),
        }
    }
}

impl From<anyhow::Error> for StepFailed {
    fn from(error: anyhow::Error) -> Self {
        let (cause, output) = Cause::of_error(&error);
        Self {
            step: Step::Start,
            cause,
            output,
            behind: Vec::new(),
        }
    }
}

impl<'d> Deploy<'d> {
    /// The deploy of a site, in its checkout.
    pub(crate) fn new(
        site: &'d Site,
        host: &'d Environment,
        checkout: &'d Checkout,
        state: &'d StateFolder,
        listener: &'d mut dyn Listener,
    ) -> Self {
        let hidden = site.secret_words();
        Self {
            site,
            host,
            checkout,
            state,
            listener,
            progress: None,
            started: Instant::now(),
            last_good: LastGood::default(),
            followed: None,
            now: None,
            reached: None,
            backup: Backup::default(),
            ended: Vec::new(),
            whole: false,
            commits: (Vec::new(), 0),
            steps: Vec::new(),
            remarks: Vec::new(),
            hidden,
        }
    }

    /// The same deploy, whose git is watched while it works.
    pub(crate) fn watched(self, progress: Option<Progress<'d>>) -> Self {
        Self { progress, ..self }
    }

    /// Serves what waits, and deploys even when nothing does. An error means that the outcome could not be recorded:
    /// the tickets are still there, and so is the marker.
    pub(crate) fn serve(mut self, turn: &Turn<'_>) -> Result<()> {
        let mut tickets = turn.tickets()?;
        let alive = self.end_dead_run()?;
        let (sorted, failed) = match self.bring_up(turn, &mut tickets, &alive) {
            Ok((now, sorted)) => {
                let live = self.go_live(now, &sorted.confirmed);
                (sorted, live.err())
            }
            Err(failed) => {
                let all = Sorted {
                    confirmed: tickets,
                    ..Sorted::default()
                };
                (all, Some(failed))
            }
        };
        if failed.is_none() {
            self.reached.clone_from(&self.now);
        }
        let mut outcome = self.outcome(failed.as_ref());
        if !sorted.confirmed.is_empty() || sorted.overdue.is_empty() || outcome.failure.is_some() {
            self.end(turn, &sorted.confirmed, &outcome)?;
        }
        for (ticket, commit) in &sorted.overdue {
            let failed = StepFailed::stated(Step::Pull, Cause::PushedCommitMissing(commit.clone()));
            outcome.failure = Some(self.explained(&failed));
            self.end(turn, std::slice::from_ref(ticket), &outcome)?;
        }
        if self.whole {
            self.state.remove(MARKER)?;
        }
        self.tell();
        Ok(())
    }

    /// Tells who listens what was recorded.
    fn tell(&mut self) {
        for record in std::mem::take(&mut self.ended) {
            self.listener.recorded(&record);
        }
    }

    /// Waits for what a dead run left running, and ends it. Returns the lock that says whether git is alive, held.
    fn end_dead_run(&mut self) -> Result<File> {
        let marker = self.state.read(MARKER)?;
        let alive = self.state.lock_file(ALIVE)?;
        let is_free = || match alive.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => {
                Err(error).context("cannot lock out the git of an earlier deploy")
            }
        };
        let comes_free = || {
            let end = Instant::now() + ORPHAN_GRACE;
            while !is_free()? {
                if Instant::now() >= end {
                    return Ok(false);
                }
                std::thread::sleep(LOOK);
            }
            anyhow::Ok(true)
        };
        let free = match marker {
            None => is_free()?,
            Some(marker) => {
                comes_free()? || {
                    // A marker that can't be read still says that a run died; then nothing is known to be of it.
                    let groups = serde_json::from_slice::<Marker>(&marker)
                        .map_or(Ok(Vec::new()), |marker| {
                            process::groups_that_hold(&alive, marker.session)
                        })?;
                    for group in &groups {
                        process::terminate(*group, || Ok(true));
                    }
                    !groups.is_empty() && comes_free()?
                }
            }
        };
        if free {
            return Ok(alive);
        }
        self.remarks.push(
            "a process that an earlier deploy's git started is still running (a hook's daemon?); it was left alone".into(),
        );
        // It keeps the lock of the old file; from now on a new one counts.
        self.state.remove(ALIVE)?;
        let alive = self.state.lock_file(ALIVE)?;
        match alive.try_lock() {
            Ok(()) | Err(TryLockError::WouldBlock) => Ok(alive),
            Err(TryLockError::Error(error)) => {
                Err(error).context("cannot lock out the git of an earlier deploy")
            }
        }
    }

    /// Brings the checkout and its submodules to what was pushed. Where that fails, what git left half-done is put back.
    fn bring_up(
        &mut self,
        turn: &Turn<'_>,
        tickets: &mut Vec<Ticket>,
        alive: &File,
    ) -> Result<(LastGood, Sorted), StepFailed> {
        let git = Git::new(self.site, self.checkout, self.host)?
            .holding(alive)
            .watched(self.progress);
        let mut marked = self.marked()?;
        if clone::is_due(self.site) {
            self.mark()?;
            self.clone(&git)?;
            // What an earlier attempt left has been used or written over.
            marked = None;
        }
        let config = git.read_config()?;
        self.hidden.extend(config.credentials());
        if let Some(there) = git.writes_elsewhere()? {
            return Err(StepFailed::stated(
                Step::Start,
                Cause::WorkTreeElsewhere(there),
            ));
        }
        if let Some(marked) = marked {
            let put_back = self.heal(&git, &marked)?;
            self.remarks
                .extend(put_back.map(|what| format!("an earlier deploy was cut short; {what}")));
        }
        self.whole = true;
        self.last_good = self.last_good_of(&git)?;
        let followed = match git.tracking(self.site.branch.as_deref())? {
            Tracking::Upstream(followed) => followed,
            Tracking::None(unfollowing) => {
                return Err(StepFailed::stated(
                    Step::Start,
                    Cause::NotFollowing(unfollowing),
                ));
            }
        };
        self.followed = Some(followed.clone());
        if !git.keeps_upstream(&followed)? {
            return Err(StepFailed::stated(Step::Start, Cause::UpstreamNotKept));
        }
        let began = self.mark()?;
        self.whole = false;
        let result = self.bring_until_confirmed(turn, tickets, &git, &followed);
        let marked = Marked {
            began,
            is_healing: false,
        };
        let put_back = match &result {
            Ok((now, _)) => {
                let healer = Healer::new(&git, began);
                let submodules = now.submodules.keys().map(Path::new);
                if git.has_failed() {
                    healer.remove_locks()
                } else {
                    healer.remove_locks_if_seen(submodules)
                }
                .map(|()| None)
            }
            // Now: later, debris could not be told from what a person did in the meantime.
            Err(_) => self.heal(&git, &marked),
        };
        match put_back {
            Ok(put_back) => {
                self.remarks.extend(put_back);
                self.whole = true;
            }
            Err(error) => self.remarks.push(format!(
                "what git had left half-done could not be put right yet: {error:#}"
            )),
        }
        result
    }

    /// Makes the first checkout. What was there before it is nothing, so that whatever comes is new.
    fn clone(&mut self, git: &Git<'_>) -> Result<(), StepFailed> {
        let started = Instant::now();
        let Some(url) = &self.site.clone else {
            return Err(anyhow!(
                "the first checkout was not finished, and the key `clone` is gone; set it again"
            )
            .into());
        };
        self.hidden.extend(url.credentials());
        if LastGood::read(self.state)?.is_none() {
            LastGood::default().write(self.state)?;
        }
        let finished = clone::finish(self.site, url, git, self.state);
        self.whole = finished.is_err();
        match finished? {
            Cloned::Whole(kept) => {
                self.remarks.extend(kept);
                self.steps.push(StepTime {
                    step: Step::Clone,
                    took: started.elapsed(),
                    remark: None,
                });
                Ok(())
            }
            Cloned::Not(ended) => {
                self.step(Step::Clone, started.elapsed(), &ended);
                // The next attempt goes on from whatever this one left.
                self.whole = true;
                Err(self.failed(Step::Clone, &ended))
            }
        }
    }

    /// Puts right what a run left. The marker says that this has begun, and by whom, should it be cut short itself.
    fn heal(&self, git: &Git<'_>, marked: &Marked) -> Result<Option<String>> {
        let since = marked
            .began
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        self.write_marker(Some((since.as_secs(), since.subsec_nanos())))?;
        Healer::new(git, marked.began)
            .after_another(marked.is_healing)
            .heal()
    }

    /// What the marker of an earlier run says; `None` where there is none.
    fn marked(&self) -> Result<Option<Marked>> {
        let Some(text) = self.state.read(MARKER)? else {
            return Ok(None);
        };
        // One that can't be read still says that a run died.
        let marker = serde_json::from_slice::<Marker>(&text).unwrap_or_default();
        let path = self.state.path(MARKER);
        let written = path.metadata().and_then(|marker| marker.modified());
        let written = written.with_context(|| format!("cannot look at {}", path.display()))?;
        Ok(Some(Marked {
            began: marker.healing.map_or(written, |(seconds, nanoseconds)| {
                SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds)
            }),
            is_healing: marker.healing.is_some(),
        }))
    }

    /// Leaves the marker. Returns its time, by the clock that the file system gives to files.
    fn mark(&self) -> Result<SystemTime> {
        self.write_marker(None)?;
        Ok(self
            .marked()?
            .context("the marker that was just written is gone")?
            .began)
    }

    fn write_marker(&self, healing: Option<(u64, u32)>) -> Result<()> {
        let marker = Marker {
            session: process::session(),
            healing,
        };
        let text = serde_json::to_vec(&marker)?;
        match healing {
            // What counts is that it is there: one sync does.
            None => self.state.mark(MARKER, &text),
            Some(_) => self.state.write(MARKER, &text),
        }
    }

    /// What the last good deploy left. Before the first one, that is what the person had checked out.
    fn last_good_of(&self, git: &Git<'_>) -> Result<LastGood, StepFailed> {
        if let Some(last_good) = LastGood::read(self.state)? {
            return Ok(last_good);
        }
        let submodules = match self.site.submodules {
            Submodules::Recorded | Submodules::Latest => git.submodules()?,
            Submodules::Skip => Vec::new(),
        };
        self.is_none_replaced(
            git,
            submodules.iter().map(|submodule| submodule.path.as_path()),
        )?;
        let head = git.top().head()?;
        let found = LastGood::of(self.checkout, head, &submodules);
        found.write(self.state)?;
        Ok(found.left_by_a_person())
    }

    /// Pulls and brings the submodules, and does so again while the remote does not have what was pushed.
    fn bring_until_confirmed(
        &mut self,
        turn: &Turn<'_>,
        tickets: &mut Vec<Ticket>,
        git: &Git<'_>,
        followed: &Upstream,
    ) -> Result<(LastGood, Sorted), StepFailed> {
        let mut pauses = PAUSES
            .iter()
            .chain(std::iter::repeat(&PAUSES[PAUSES.len() - 1]));
        // Commits that a shallow clone lacks and its remote has.
        let mut seen = BTreeSet::new();
        let mut likely = self.likely_to_move(tickets);
        loop {
            let submodules = self.last_good.submodules.keys().map(Path::new);
            self.is_none_replaced(git, submodules)?;
            let before = self.checkout.loose_ref(&followed.branch);
            // They need not wait for each other, and the network is what takes time.
            let beside = git.begin_fetches(std::mem::take(&mut likely));
            let pulled = self.pull(git, followed);
            let fetched = beside.end();
            pulled?;
            let moved = self.checkout.loose_ref(&followed.branch) != before;
            let old = self.last_good.head.clone();
            let listing = match self.site.submodules {
                Submodules::Recorded | Submodules::Latest => git.begin_gitlinks()?,
                Submodules::Skip => None,
            };
            // Where it shows that there are any, they are looked for while HEAD is.
            let early = old.as_ref().filter(|_| moved);
            let mut commits = early.map(|old| git.commits(old)).transpose()?;
            let Heads { head, upstream } = git.heads(&followed.branch)?;
            // "Already up to date" is also said to a HEAD that is ahead.
            if head.is_none() || head != upstream {
                return Err(StepFailed::stated(Step::Pull, Cause::HeadIsNotUpstream));
            }
            if let (None, Some(old)) = (&commits, old.filter(|old| head.as_ref() != Some(old))) {
                commits = Some(git.commits(&old)?);
            }
            let submodules = self.bring_submodules(git, listing, &fetched, before.as_deref())?;
            self.ensure_large_files(git, &submodules)?;
            // Subject lines are an ornament: without them the report is still right.
            self.commits = commits.map_or(Ok(None), Commits::end)?.unwrap_or_default();
            let now = LastGood::of(self.checkout, head, &submodules).after(&self.last_good);
            let sorted = Sorted::by_commit(tickets, git, followed, &now, &mut seen)?;
            if sorted.lagging.is_empty() || !sorted.confirmed.is_empty() {
                self.remarks.extend(sorted.remarks.iter().cloned());
                return Ok((now, sorted));
            }
            if let Some(longest) = pauses.next() {
                pause(*longest, turn, tickets.len())?;
            }
            // A newer ticket that came meanwhile is served with them.
            *tickets = turn.tickets()?;
        }
    }

    /// The submodules that the last deploys moved, where something has come: fetched while the checkout is pulled. Only a
    /// few, since shared hosts allow few processes.
    fn likely_to_move(&self, tickets: &[Ticket]) -> Vec<PathBuf> {
        let is_news = |promise: &PushRequest| {
            let below = Path::new(promise.submodule.as_deref().unwrap_or(""));
            promise.after.is_some() && self.last_good.commit_of(below) != promise.after.as_ref()
        };
        let comes = tickets.iter().filter_map(|ticket| ticket.push.as_ref());
        if self.site.submodules == Submodules::Skip || !comes.into_iter().any(is_news) {
            return Vec::new();
        }
        let is_there = |path: &&String| self.last_good.submodules.contains_key(*path);
        let moved = self.last_good.moved.iter().filter(is_there);
        moved
            .map(PathBuf::from)
            .filter(|path| self.checkout.folder.join(path).join(".git").exists())
            .take(FETCHES_BESIDE_A_PULL)
            .collect()
    }

    /// What a person put where a submodule was, git writes over without a word.
    fn is_none_replaced<'p>(
        &self,
        git: &Git<'_>,
        submodules: impl Iterator<Item = &'p Path>,
    ) -> Result<(), StepFailed> {
        let folder = &self.checkout.folder;
        for path in submodules {
            let there = folder.join(path).symlink_metadata();
            if there.is_ok_and(|there| !there.is_dir())
                && matches!(git.work_tree(folder).indexed_at(path)?, Indexed::Submodule)
            {
                let cause = Cause::FileInPlaceOfSubmodule(path.to_owned());
                return Err(StepFailed::stated(Step::Start, cause));
            }
        }
        Ok(())
    }

    /// Without git-lfs, pointers are written in place of large files, and nothing fails.
    fn ensure_large_files(
        &self,
        git: &Git<'_>,
        submodules: &[Submodule],
    ) -> Result<(), StepFailed> {
        let top = &self.checkout.folder;
        let below = submodules.iter().map(|submodule| &submodule.path);
        for folder in std::iter::once(top.clone()).chain(below.map(|path| top.join(path))) {
            let files = git.work_tree(&folder).large_files()?;
            let is_pointer = |path: &PathBuf| git::is_pointer(&folder, path) == Some(true);
            if !files.iter().any(is_pointer) {
                continue;
            }
            let is_set_up = if folder == *top {
                git.config()?.has_lfs()
            } else {
                git.work_tree(&folder).read_config()?.has_lfs()
            };
            let cause = if is_set_up {
                Cause::LfsPointers(folder)
            } else {
                Cause::LfsNotSetUp(folder)
            };
            return Err(StepFailed::stated(Step::Pull, cause));
        }
        Ok(())
    }

    /// Brings the branch to what the remote has.
    fn pull(&mut self, git: &Git<'_>, followed: &Upstream) -> Result<(), StepFailed> {
        match self.site.update {
            Update::FastForward => self.fast_forward(git, followed),
            Update::Reset => self.reset(git, followed),
        }
    }

    fn fast_forward(&mut self, git: &Git<'_>, followed: &Upstream) -> Result<(), StepFailed> {
        let _alone = self.lock_out_work_trees()?;
        let started = Instant::now();
        let mut ended = self.with_a_retry(git, followed, || git.pull(followed))?;
        if ended.is_a_failure()
            && let Some(upstream) = git.heads(&followed.branch)?.upstream
        {
            let known = self.last_good.submodules.keys().map(Path::new);
            let cleared = self.clear_replaced(git, &upstream, known)?;
            if !cleared.is_empty() {
                ended = git.pull(followed)?;
            }
            if ended.is_a_failure() {
                // Something else was in the way, too: nothing was deployed, and so nothing may be gone.
                for path in &cleared {
                    git.submodule_update(Submodules::Recorded, Some(path))?;
                }
            }
        }
        self.step_ended(Step::Pull, started, &ended)
    }

    /// Makes the tracked files those of the remote branch. What that removes is kept first.
    fn reset(&mut self, git: &Git<'_>, followed: &Upstream) -> Result<(), StepFailed> {
        let _alone = self.lock_out_work_trees()?;
        let started = Instant::now();
        let before = git.heads(&followed.branch)?.upstream;
        let fetched = self.with_a_retry(git, followed, || git.fetch(followed))?;
        self.step_ended(Step::Fetch, started, &fetched)?;
        let Heads {
            head,
            upstream: Some(target),
        } = git.heads(&followed.branch)?
        else {
            return Err(StepFailed::stated(Step::Fetch, Cause::HeadIsNotUpstream));
        };
        let top = git.top();
        let edits = top.edits()?;
        if head.as_ref() == Some(&target) && edits.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        let submodules = git.submodules()?;
        let paths = submodules.iter().map(|submodule| submodule.path.as_path());
        self.clear_replaced(git, &target, paths)?;
        self.remarks.extend(
            self.backup
                .before_reset(&top, &edits, &target, before.as_ref())?,
        );
        let ended = top.reset(&target)?;
        self.step_ended(Step::Reset, started, &ended)
    }

    /// Work trees of one repository may have a site each, and git lets only one fetch at a time. Held as long as the file.
    fn lock_out_work_trees(&self) -> Result<Option<File>> {
        let Some(shared) = self.checkout.shared_with_work_trees() else {
            return Ok(None);
        };
        let path = shared.join(WORK_TREES_LOCK);
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        let lock = open_private(&path, &mut options)
            .with_context(|| format!("cannot open the lock {}", path.display()))?;
        match lock_within(&lock, self.site.timeout) {
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => bail!(
                "another process has held the lock {} for longer than {} (`timeout`); if no deploy of another work tree \
                 of this repository is running, remove that file, then press Redeliver",
                path.display(),
                humantime::format_duration(self.site.timeout)
            ),
            locked => locked.with_context(|| format!("cannot lock {}", path.display()))?,
        }
        Ok(Some(lock))
    }

    /// Where a submodule becomes plain files, git refuses as long as its folder is there, or removes all that is in it, or
    /// leaves it. The folder goes where it holds nothing of a person's. Returns those that did.
    fn clear_replaced<'p>(
        &self,
        git: &Git<'_>,
        target: &CommitId,
        submodules: impl Iterator<Item = &'p Path>,
    ) -> Result<Vec<PathBuf>, StepFailed> {
        let bringer = self.bringer(git);
        let mut replaced = Vec::new();
        for path in submodules {
            let folder = self.checkout.folder.join(path);
            if folder.join(".git").exists() && git.top().has_files_at(target, path)? {
                if !bringer.can_be_cleared(path)? {
                    let cause = Cause::SubmoduleToBeReplaced(path.to_owned());
                    return Err(StepFailed::stated(Step::Pull, cause));
                }
                replaced.push(path.to_owned());
            }
        }
        replaced.iter().try_for_each(|path| bringer.remove(path))?;
        Ok(replaced)
    }

    /// Runs what fetches, and once more where the fetch itself failed.
    fn with_a_retry(
        &self,
        git: &Git<'_>,
        followed: &Upstream,
        fetch: impl Fn() -> Result<Ended>,
    ) -> Result<Ended> {
        let mut ended = fetch()?;
        if ended.is_a_failure() && git.forget_in_the_way(followed)? {
            ended = fetch()?;
        }
        if !ended.is_a_failure() || !git.fetched_nothing() {
            return Ok(ended);
        }
        std::thread::sleep(self.retry_pause());
        fetch()
    }

    fn step_ended(
        &mut self,
        step: Step,
        started: Instant,
        ended: &Ended,
    ) -> Result<(), StepFailed> {
        self.step(step, started.elapsed(), ended);
        if ended.end.is_good() {
            Ok(())
        } else {
            Err(self.failed(step, ended))
        }
    }

    fn bringer<'b>(&'b self, git: &'b Git<'b>) -> Bringer<'b> {
        Bringer {
            git,
            backup: &self.backup,
            mode: self.site.submodules,
            update: self.site.update,
            before: &self.last_good,
            began_at_last_good: false,
            retry_pause: self.retry_pause(),
        }
    }

    fn retry_pause(&self) -> Duration {
        RETRY_PAUSE.min(self.site.wait / 4)
    }

    /// Brings every submodule to where it belongs, and makes sure that it is there.
    fn bring_submodules(
        &mut self,
        git: &Git<'_>,
        listing: Option<Gitlinks<'_>>,
        fetched: &[PathBuf],
        branch_before: Option<&[u8]>,
    ) -> Result<Vec<Submodule>, StepFailed> {
        let started = Instant::now();
        let good = self.last_good.head.as_ref().map(CommitId::as_str);
        let began_at_last_good = branch_before
            .is_some_and(|branch| Some(branch.trim_ascii_end()) == good.map(str::as_bytes));
        let bringer = Bringer {
            began_at_last_good,
            ..self.bringer(git)
        };
        let brought = bringer.bring(listing, fetched)?;
        let missing = brought.missing;
        self.remarks.extend(brought.remarks);
        if let Some((submodule, files)) = brought.in_the_way {
            let cause = Cause::IgnoredInTheWay {
                submodule,
                paths: files,
            };
            return Err(StepFailed::stated(Step::Submodules, cause));
        }
        if let Some(path) = brought.replaced {
            return Err(StepFailed::stated(
                Step::Submodules,
                Cause::SubmoduleReplaced(path),
            ));
        }
        let Some(ended) = brought.ended else {
            return Ok(brought.there);
        };
        self.step(Step::Submodules, started.elapsed(), &ended);
        if missing.is_empty() && ended.end.is_good() {
            return Ok(brought.there);
        }
        Err(self.submodules_failed(&ended, missing))
    }

    /// Runs `on_update`, if anything differs from the last good deploy.
    fn go_live(&mut self, now: LastGood, tickets: &[Ticket]) -> Result<(), StepFailed> {
        let is_new = now.differs_from(&self.last_good);
        self.now = Some(now);
        let Some(command) = self.site.on_update.as_deref().filter(|_| is_new) else {
            return Ok(());
        };
        let env = self.command_env(tickets, Verdict::Deployed);
        let ended = self.shell(command, env, ON_UPDATE_LOG, &[])?;
        self.step(Step::OnUpdate, ended.took, &ended);
        if ended.end.is_good() {
            return Ok(());
        }
        Err(StepFailed {
            output: String::from_utf8_lossy(&ended.output).into_owned(),
            ..StepFailed::stated(Step::OnUpdate, Cause::CommandFailed(ended.end))
        })
    }

    /// Runs a command of the person's in the checkout.
    fn shell(
        &self,
        command: &str,
        env: Vec<(OsString, OsString)>,
        log: &str,
        input: &[u8],
    ) -> Result<Ended> {
        let log = self.state.open_to_append(log)?;
        log.set_len(0)
            .context("cannot empty the log of a command")?;
        Run::new(Path::new("/bin/sh"), self.site.timeout)
            .args(["-c", command])
            .folder(&self.checkout.folder)
            .env(env)
            .input(input)
            .log(log)
            .output_together()
    }

    /// The environment of the person's commands: a few variables of the host's, in the host's own language; the site's
    /// `env`; and what this deploy is about. The same in a delivery and in `run`: what works in one works in the other.
    fn command_env(&self, tickets: &[Ticket], verdict: Verdict) -> Vec<(OsString, OsString)> {
        let user = User::running(self.host);
        let programs = &self.site.programs;
        let mut variables = Variables::of_the_host(self.host, &user, programs, is_for_commands);
        for (name, value) in &self.site.env {
            variables.set(name, value);
        }
        let delivery = tickets
            .iter()
            .rev()
            .find_map(|ticket| Some(ticket.push.as_ref()?.delivery.clone()));
        let id = |id: Option<&CommitId>| OsString::from(id.map_or("", CommitId::as_str));
        let now = self.now.as_ref().and_then(|now| now.head.as_ref());
        let deploy = [
            ("DEPLOY_REPO", self.checkout.folder.clone().into_os_string()),
            (
                "DEPLOY_BRANCH",
                self.followed
                    .as_ref()
                    .map(|followed| followed.branch.clone())
                    .unwrap_or_default()
                    .into(),
            ),
            ("DEPLOY_OLD", id(self.last_good.head.as_ref())),
            ("DEPLOY_NEW", id(now)),
            ("DEPLOY_DELIVERY", delivery.unwrap_or_default().into()),
            ("DEPLOY_VERDICT", verdict.word().into()),
        ];
        for (name, value) in deploy {
            variables.set(name, value);
        }
        variables.into_pairs()
    }

    /// Ends the deploy of these tickets: record, last-good, `on_failure`, and only then are they served.
    fn end(&mut self, turn: &Turn<'_>, tickets: &[Ticket], outcome: &Outcome) -> Result<()> {
        let verdict = outcome.verdict();
        let report = outcome.report();
        let record = Record {
            time: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            verdict,
            tickets: tickets
                .iter()
                .map(|ticket| Served {
                    ticket: ticket.name.clone(),
                    delivery: ticket.push.as_ref().map(|promise| promise.delivery.clone()),
                })
                .collect(),
            branch: outcome.branch.clone(),
            old: outcome.old.clone(),
            new: outcome.new.clone(),
            seconds: self.started.elapsed().as_secs_f64(),
            report: report.clone(),
            remark: None,
        };
        let history = History::of(self.state);
        history.record(&record)?;
        history.sync()?;
        if let Some(reached) = self.reached.take_if(|reached| *reached != self.last_good) {
            reached.write(self.state)?;
        }
        self.ended.push(record.clone());
        if let (Verdict::Failed, Some(command)) = (verdict, &self.site.on_failure) {
            // Whoever waits need not wait for that.
            self.tell();
            let ended = self.shell(
                command,
                self.command_env(tickets, verdict),
                ON_FAILURE_LOG,
                report.as_bytes(),
            );
            let remark = match ended {
                Ok(ended) if ended.end.is_good() => None,
                Ok(ended) => Some(format!(
                    "on_failure ended with {}: {}",
                    ended.end,
                    tail_of(&String::from_utf8_lossy(&ended.output))
                )),
                Err(error) => Some(format!("on_failure: {error:#}")),
            };
            if let Some(remark) = remark {
                history.record(&Record {
                    tickets: Vec::new(),
                    remark: Some(self.shown(&remark)),
                    ..record
                })?;
            }
        }
        tickets
            .iter()
            .try_for_each(|ticket| turn.served(&ticket.name))
    }

    /// Everything that came of it, fit to be shown.
    fn outcome(&self, failed: Option<&StepFailed>) -> Outcome {
        let news = match &self.now {
            Some(now) if !now.differs_from(&self.last_good) => News::None,
            Some(_) | None => News::Some,
        };
        let head = self.now.as_ref().and_then(|now| now.head.clone());
        let (commits, commit_count) = &self.commits;
        let commits = commits.iter().map(|commit| {
            (
                commit.id.clone(),
                redaction::excerpt(&self.shown(&commit.subject)),
            )
        });
        Outcome {
            branch: self
                .followed
                .as_ref()
                .map(|followed| redaction::excerpt(&followed.branch)),
            old: self.last_good.head.clone(),
            new: head,
            commits: commits.collect(),
            commit_count: *commit_count,
            submodules: self.moved_submodules(),
            steps: self.steps.clone(),
            remarks: self
                .remarks
                .iter()
                .map(|remark| redaction::escape_line(&self.shown(remark)))
                .collect(),
            failure: failed.map(|failed| self.explained(failed)),
            news,
        }
    }

    fn moved_submodules(&self) -> Vec<Moved> {
        let Some(now) = &self.now else {
            return Vec::new();
        };
        let old = &self.last_good.submodules;
        let paths = old.keys().chain(now.submodules.keys()).cloned();
        let paths: BTreeSet<String> = git::gathered(paths);
        paths
            .into_iter()
            .map(|path| Moved {
                old: old.get(&path).cloned(),
                new: now.submodules.get(&path).cloned(),
                path: redaction::escape_line(&path),
            })
            .filter(|moved| moved.old != moved.new)
            .collect()
    }

    fn step(&mut self, step: Step, took: Duration, ended: &Ended) {
        let remark = (!ended.end.is_good()).then(|| ended.end.to_string());
        match self.steps.iter_mut().find(|known| known.step == step) {
            Some(known) => {
                known.took += took;
                known.remark = remark;
            }
            None => self.steps.push(StepTime { step, took, remark }),
        }
    }

    /// A step of git's that did not end well.
    fn failed(&self, step: Step, ended: &Ended) -> StepFailed {
        let output = self.with_names_on_one_line(&String::from_utf8_lossy(&ended.output));
        StepFailed::ended(step, ended.end, output)
    }

    /// A failure in words. Without git there is none to look with, and the words are those of the error.
    fn explained(&self, failed: &StepFailed) -> Failure {
        let explained = |git: Git<'_>| {
            let followed = self.followed.clone().or_else(|| self.followed_now(&git));
            let at = Situation::new(self.site, &git, self.host, followed.as_ref());
            explain(&failed.cause, &at.with_output(&failed.output))
        };
        let mut explained = Git::new(self.site, self.checkout, self.host)
            .map_or_else(|error| Diagnosis::of_error(&error), explained);
        if !failed.behind.is_empty() {
            let _ = write!(
                explained.cause,
                ". The main tree is new already; not at the recorded commit: {}",
                redaction::list(&failed.behind)
            );
        }
        Failure {
            step: failed.step,
            diagnosis: explained.shown(&self.hidden),
            said: self.shown(&tail_of(&failed.output)),
        }
    }

    /// What git printed, with every name in a submodule on one line: nobody who names something there can put a message of
    /// git's, or a report of ours, behind a line break.
    fn with_names_on_one_line(&self, output: &str) -> String {
        let Ok(git) = Git::new(self.site, self.checkout, self.host) else {
            return output.to_owned();
        };
        let submodules = git.submodules().unwrap_or_default();
        let inside = submodules.iter().flat_map(|submodule| {
            let listed = git.submodule(&submodule.path).paths_of(&submodule.recorded);
            listed.unwrap_or_default()
        });
        let paths: Vec<PathBuf> = submodules
            .iter()
            .map(|submodule| submodule.path.clone())
            .chain(inside)
            .collect();
        diagnosis::with_names_on_one_line(output, &paths)
    }

    fn followed_now(&self, git: &Git<'_>) -> Option<Upstream> {
        match git.tracking(self.site.branch.as_deref()).ok()? {
            Tracking::Upstream(followed) => Some(followed),
            Tracking::None(_) => None,
        }
    }

    fn submodules_failed(&self, ended: &Ended, missing: Vec<PathBuf>) -> StepFailed {
        let mut failed = self.failed(Step::Submodules, ended);
        if ended.end.is_good() {
            failed.cause = match missing.first() {
                Some(path) if self.is_no_submodule(path) => Cause::NotASubmodule(path.clone()),
                Some(_) | None => Cause::SubmodulesMissing,
            };
        }
        failed.behind = missing;
        failed
    }

    /// Whether .gitmodules has no entry for a path that is a submodule in the index.
    fn is_no_submodule(&self, path: &Path) -> bool {
        Git::new(self.site, self.checkout, self.host)
            .and_then(|git| git.top().gitmodules(None))
            .is_ok_and(|modules| {
                !modules
                    .values()
                    .any(|module| path.starts_with(&module.path))
            })
    }

    /// Text from outside as it may be shown.
    fn shown(&self, text: &str) -> String {
        redaction::escape(&redaction::redact(
            text,
            self.hidden.iter().map(String::as_str),
        ))
    }
}

/// Lets git tidy up once a day, where nothing waits: the last act of a worker, still under its turn, ended when a ticket
/// comes. It can be killed at any moment.
pub(crate) fn tidy(
    site: &Site,
    host: &Environment,
    checkout: &Checkout,
    turn: &Turn<'_>,
) -> Result<()> {
    let done = turn
        .state
        .path(MAINTENANCE)
        .metadata()
        .and_then(|file| file.modified());
    if done.is_ok_and(|done| done.elapsed().is_ok_and(|age| age < MAINTENANCE_EVERY)) {
        return Ok(());
    }
    let queue = Queue::of(turn.state);
    // A queue that can't be listed is no reason to go on.
    let unwanted = || !queue.is_empty().is_ok_and(|is_empty| is_empty);
    if unwanted() {
        return Ok(());
    }
    turn.state.write(MAINTENANCE, b"")?;
    let git = Git::new(site, checkout, host)?;
    let submodules = match site.submodules {
        Submodules::Recorded | Submodules::Latest => git.submodules()?,
        Submodules::Skip => Vec::new(),
    };
    let populated = submodules
        .iter()
        .filter(|submodule| submodule.found != Found::Nothing);
    let folders = std::iter::once(checkout.folder.clone())
        .chain(populated.map(|submodule| checkout.folder.join(&submodule.path)));
    for folder in folders {
        if git.work_tree(&folder).gc(&unwanted)?.end == End::Stopped {
            break;
        }
    }
    Ok(())
}

/// Waits, at most until more than `known` tickets are there.
fn pause(longest: Duration, turn: &Turn<'_>, known: usize) -> Result<()> {
    let end = Instant::now() + longest;
    while Instant::now() < end && Queue::of(turn.state).list()?.len() <= known {
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// The last lines of a command's output.
fn tail_of(output: &str) -> String {
    let from = output.len().saturating_sub(SAID_BYTES);
    let text = &output[output.ceil_char_boundary(from)..];
    // Progress overwrites itself; what stood there last is what counts.
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.rsplit('\r').next().unwrap_or(line))
        .collect();
    lines[lines.len().saturating_sub(SAID_LINES)..].join("\n")
}
