//! The only place that starts a process: with a clean environment, a deadline, a process group of its own, and output
//! that is bounded and never a pipe (git dies half-way when the reader of its pipe does).
//!
//! Must not know git.

mod detached;
mod others;
mod output;
mod programs;

use std::borrow::Cow;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Seek, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::io::{Errno, FdFlags};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitOptions};

use crate::files::is_readable_within;
use crate::ignored::ignore;

pub(crate) use detached::{start_detached, take_what_was_told};
pub(crate) use others::{AtWork, at_work, groups_that_hold, session};
pub(crate) use output::FileInMemory;
pub(crate) use programs::Programs;

use others::children;
use output::{OUTPUT, memory, memory_with, part, show_from, tail};

/// The last bytes of a command's output that are kept: what a person reads in a report.
const MAX_TAIL: u64 = 16 << 10;

/// Past this many bytes a command's output is cut back to its tail while it still runs, so that it fills no memory.
const MAX_OUTPUT: u64 = 4 << 20;

/// The most of an output that is read as data, such as a list of submodules.
const MAX_DATA: u64 = 64 << 20;

/// How long a process group has to end by itself after SIGTERM. Git needs it to remove its lock files.
const TERM_GRACE: Duration = Duration::from_secs(3);

/// How often it is looked whether something is left of a command that started new sessions, each ended before the next look.
const MAX_GENERATIONS: usize = 8;

/// How often a running command is looked at, for the size of its output and the wish to stop it.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The same where the kernel cannot tell us of an end (no pidfd before Linux 5.3; the one of `CloudLinux` 8 has 4.18).
const POLL_INTERVAL_WITHOUT_PIDFD: Duration = Duration::from_millis(2);

/// What was being done when it failed.
const WAIT: &str = "cannot wait for a command";

/// Who is shown what a command prints, piece by piece, while it runs.
pub(crate) type Progress<'p> = &'p dyn Fn(&[u8]);

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With this exit code.
    Exit(i32),
    /// By this signal, sent by somebody else.
    Signal(i32),
    /// By us, at its limit.
    Limit(Duration),
    /// By us, because it was no longer wanted.
    Stopped,
}

impl End {
    pub(crate) fn is_good(self) -> bool {
        self == Self::Exit(0)
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "exit code {code}"),
            Self::Signal(9) => {
                f.write_str("killed by signal 9 (a memory or process limit of the host?)")
            }
            Self::Signal(signal) => write!(f, "killed by signal {signal}"),
            Self::Limit(limit) => {
                let limit = humantime::format_duration(*limit);
                write!(f, "ended after its limit of {limit}")
            }
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

/// What a command left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) end: End,
    /// Standard output; with both outputs together, the tail of both.
    pub(crate) output: Vec<u8>,
    /// The tail of standard error, where it was kept apart.
    pub(crate) errors: Vec<u8>,
}

impl Ended {
    /// Whether it ended badly by itself: not at its limit, nor by a signal.
    pub(crate) fn is_a_failure(&self) -> bool {
        matches!(self.end, End::Exit(code) if code != 0)
    }
}

/// A command about to be run.
pub(crate) struct Run<'a> {
    pub(crate) program: Cow<'a, Path>,
    pub(crate) args: Vec<OsString>,
    /// The folder it starts in; without it, ours.
    pub(crate) folder: Option<&'a Path>,
    /// Its whole environment.
    pub(crate) env: Vec<(OsString, OsString)>,
    /// It is ended after this time.
    pub(crate) limit: Duration,
    /// What it reads on standard input.
    pub(crate) input: Cow<'a, [u8]>,
    /// An open file that it and its children inherit, such as a lock that shall be held while any of them lives.
    pub(crate) inherited: Option<&'a File>,
    /// A file opened for appending that both outputs go to. A background child that goes on writing then does so where a
    /// person can find and bound it, and not into memory.
    pub(crate) log: Option<File>,
    /// Asked now and then: whether the command is no longer wanted and shall be ended.
    pub(crate) unwanted: Option<&'a dyn Fn() -> bool>,
    /// Who is shown what it prints while it runs. Only for both outputs in one.
    pub(crate) progress: Option<Progress<'a>>,
}

impl<'a> Run<'a> {
    /// `program` by its absolute path, without arguments, with nothing to read and an empty environment, ended at `limit`.
    pub(crate) fn new(program: impl Into<Cow<'a, Path>>, limit: Duration) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            folder: None,
            env: Vec::new(),
            limit,
            input: Cow::Borrowed(&[]),
            inherited: None,
            log: None,
            unwanted: None,
            progress: None,
        }
    }

    /// Adds an argument.
    pub(crate) fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub(crate) fn args<S: Into<OsString>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Runs it with both outputs in one, as a terminal would show them; keeps their tail.
    pub(crate) fn output_together(mut self) -> Result<Ended> {
        let both = self.log.take().map_or_else(memory, Ok)?;
        let mut running = self.start(both.try_clone()?, both)?;
        let end = running.finish()?;
        Ok(Ended {
            end,
            output: tail(&running.errors, MAX_TAIL)?,
            errors: Vec::new(),
        })
    }

    /// Runs it for what it prints: standard output whole, and the tail of standard error.
    pub(crate) fn output_apart(self) -> Result<Ended> {
        self.begin()?.end()
    }

    /// Runs it for the beginning of what it prints on standard output. It is stopped where that is more than `most` bytes.
    pub(crate) fn output_up_to(self, most: u64) -> Result<Ended> {
        self.begin()?.end_up_to(most)
    }

    /// Starts it for what it prints, while other things are done.
    pub(crate) fn begin(self) -> Result<Running<'a>> {
        self.start(memory()?, memory()?)
    }

    /// Starts it for what it does. Both outputs go to a file, which is open for as long as it runs: a lock is held so long.
    pub(crate) fn begin_with(self, file: File) -> Result<Running<'a>> {
        self.start(file.try_clone()?, file)
    }

    /// Runs it for a file with all that it prints on standard output, however much that is.
    pub(crate) fn output_in_file(self) -> Result<(End, File)> {
        let mut running = self.begin()?;
        let end = running.finish()?;
        running.output.rewind().context(OUTPUT)?;
        Ok((end, running.output))
    }

    /// Starts it. `errors` is kept bounded; standard output is, where it goes there too.
    fn start(self, output: File, errors: File) -> Result<Running<'a>> {
        let stdin = given(&self.input).context("cannot keep the input of a command")?;
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place that starts a process"
        )]
        let mut command = Command::new(&*self.program);
        command
            .args(&self.args)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command
            .stdin(stdin)
            .stdout(output.try_clone()?)
            .stderr(errors.try_clone()?)
            .process_group(0);
        if let Some(folder) = self.folder {
            command.current_dir(folder);
        }
        // One thread: nothing else can start a process between these two.
        self.keep_over_exec(FdFlags::empty())?;
        let child = command.spawn();
        self.keep_over_exec(FdFlags::CLOEXEC)?;
        Ok(Running {
            child: child.with_context(|| format!("cannot start {}", self.program.display()))?,
            run: self,
            output,
            errors,
            max: u64::MAX,
            started: Instant::now(),
        })
    }

    fn keep_over_exec(&self, flags: FdFlags) -> Result<()> {
        self.inherited.map_or(Ok(()), |file| {
            rustix::io::fcntl_setfd(file, flags).context("cannot pass an open file on to a command")
        })
    }
}

/// A command that was started.
pub(crate) struct Running<'a> {
    run: Run<'a>,
    child: Child,
    output: File,
    errors: File,
    /// The most that it may print on standard output.
    max: u64,
    started: Instant,
}

impl Running<'_> {
    /// Waits for it: standard output whole, and the tail of standard error. It is stopped, and has no output, where it prints
    /// more than `MAX_DATA`: a small file that others wrote can make git say the same thing without end.
    pub(crate) fn end(mut self) -> Result<Ended> {
        let mut ended = self.end_up_to(MAX_DATA)?;
        if self.has_said_too_much()? {
            (ended.end, ended.output) = (End::Stopped, Vec::new());
        }
        Ok(ended)
    }

    fn end_up_to(&mut self, most: u64) -> Result<Ended> {
        self.max = most;
        Ok(Ended {
            end: self.finish()?,
            output: part(&self.output, 0, most)?,
            errors: tail(&self.errors, MAX_TAIL)?,
        })
    }

    fn has_said_too_much(&self) -> Result<bool> {
        Ok(self.output.metadata().context(OUTPUT)?.len() > self.max)
    }

    fn finish(&mut self) -> Result<End> {
        let watched = self.watch();
        let is_left_alone = match watched {
            Ok(End::Exit(_)) => true,
            // Helpers that outlive a git that somebody killed would go on in the way of the next one.
            Ok(End::Signal(_)) => self.run.inherited.is_none(),
            // Also where it cannot be watched any more: nothing is left running without a limit.
            Ok(End::Limit(_) | End::Stopped) | Err(_) => false,
        };
        if !is_left_alone {
            terminate(Pid::from_child(&self.child), || {
                self.child.try_wait().map(|status| status.is_some())
            });
        }
        self.child.wait().context(WAIT)?;
        watched
    }

    /// Waits until the command has ended, or is to be ended.
    fn watch(&self) -> Result<End> {
        let child = Pid::from_child(&self.child);
        let pidfd = rustix::process::pidfd_open(child, PidfdFlags::empty()).ok();
        let mut shown = 0;
        loop {
            // The end is looked at without taking it, so that the group's number stays ours until it is ended.
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            let ended = match rustix::process::waitid(WaitId::Pid(child), options) {
                Err(Errno::INTR) => None,
                looked => looked.context(WAIT)?,
            };
            if let Some(progress) = self.run.progress {
                shown = show_from(&self.errors, shown, progress)?;
            }
            if let Some(how) = ended {
                let signal = how.terminating_signal().unwrap_or_default();
                return Ok(how.exit_status().map_or(End::Signal(signal), End::Exit));
            }
            let left = self.run.limit.saturating_sub(self.started.elapsed());
            if left.is_zero() {
                return Ok(End::Limit(self.run.limit));
            }
            if self.has_said_too_much()? || self.run.unwanted.is_some_and(|unwanted| unwanted()) {
                return Ok(End::Stopped);
            }
            if self.errors.metadata().context(OUTPUT)?.len() > MAX_OUTPUT {
                let kept = tail(&self.errors, MAX_TAIL)?;
                let cut = self.errors.set_len(0);
                cut.and_then(|()| (&self.errors).write_all(&kept))
                    .context(OUTPUT)?;
            }
            match &pidfd {
                Some(pidfd) => {
                    is_readable_within(pidfd, left.min(POLL_INTERVAL)).context(WAIT)?;
                }
                None => std::thread::sleep(left.min(POLL_INTERVAL_WITHOUT_PIDFD)),
            }
        }
    }
}

/// Nothing to read, and a place for what nobody reads.
fn nothing() -> Result<File> {
    File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .context("cannot open /dev/null, without which git cannot run either: make it in the root folder of the web server")
}

/// A file to be read that has these bytes.
fn given(bytes: &[u8]) -> Result<File> {
    match bytes {
        [] => nothing(),
        bytes => memory_with(bytes),
    }
}

/// Ends a process group: SIGTERM, time to clean up, SIGKILL. `reap` takes the leader's end, if it is our child.
pub(crate) fn terminate(group: Pid, mut reap: impl FnMut() -> std::io::Result<bool>) {
    let gone = |error: rustix::io::Result<()>| error == Err(Errno::SRCH);
    if gone(rustix::process::kill_process_group(group, Signal::TERM)) {
        return;
    }
    let end = Instant::now() + TERM_GRACE;
    let mut pause = Duration::from_millis(1);
    while Instant::now() < end {
        // As long as the group has a member, its number is given to nobody else.
        let reaped = reap().unwrap_or(true);
        if reaped && gone(rustix::process::test_kill_process_group(group)) {
            return;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
    ignore(
        rustix::process::kill_process_group(group, Signal::KILL),
        "it is gone in the meantime, or no longer ours to end",
    );
}

/// Runs a command and, where it is ended at its limit, ends what left its process group, too (setsid): that becomes our child
/// when its own parent is gone. What earlier commands left to live on does so.
pub(crate) fn with_its_orphans(run: impl FnOnce() -> Result<Ended>) -> Result<Ended> {
    let us = rustix::process::getpid();
    ignore(
        rustix::process::set_child_subreaper(Some(us)),
        "orphans are somebody else's children then, and live on",
    );
    let before = children();
    let ended = run()?;
    if !matches!(ended.end, End::Limit(_)) {
        return Ok(ended);
    }
    for _ in 0..MAX_GENERATIONS {
        let mut left = children();
        left.retain(|child| !before.contains(child));
        if left.is_empty() {
            break;
        }
        for (child, group) in left {
            terminate(group, || {
                let taken = rustix::process::waitpid(Some(child), WaitOptions::NOHANG);
                Ok(taken.map_or(true, |taken| taken.is_some()))
            });
        }
    }
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> Ended {
        let run = Run {
            env: vec![("PATH".into(), "/usr/bin:/bin".into())],
            ..Run::new(Path::new("/bin/sh"), limit)
        };
        run.args(["-c", script]).output_together().unwrap()
    }

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn of_much_output_the_tail_is_kept() {
        let ended = sh(
            "head -c 20000000 /dev/zero | tr '\\0' x; sleep 0.3; echo end",
            LONG,
        );
        assert!(ended.output.ends_with(b"xend\n"));
        assert_eq!(ended.output.len() as u64, MAX_TAIL);
    }

    #[test]
    fn what_prints_without_end_is_stopped_where_all_of_it_is_wanted() {
        let yes = Run {
            env: vec![("PATH".into(), "/usr/bin:/bin".into())],
            ..Run::new(Path::new("/bin/sh"), LONG).args(["-c", "exec yes"])
        };
        let ended = yes.output_apart().unwrap();
        assert_eq!((ended.end, ended.output.len()), (End::Stopped, 0));
    }

    #[test]
    fn what_prints_without_end_is_read_at_its_beginning_where_that_is_enough() {
        let yes =
            Run::new(Path::new("/bin/sh"), LONG).args(["-c", "echo first; exec /usr/bin/yes"]);
        let ended = yes.output_up_to(10).unwrap();
        assert_eq!(
            (ended.end, &*ended.output),
            (End::Stopped, &b"first\ny\ny\n"[..])
        );
        let all = Run::new(Path::new("/bin/sh"), LONG).args(["-c", "echo first"]);
        let ended = all.output_up_to(10).unwrap();
        assert_eq!((ended.end, &*ended.output), (End::Exit(0), &b"first\n"[..]));
    }

    #[test]
    fn what_is_no_longer_wanted_is_stopped() {
        let run = Run {
            unwanted: Some(&|| true),
            ..Run::new(Path::new("/bin/sleep"), LONG).args(["1000"])
        };
        assert_eq!(run.output_apart().unwrap().end, End::Stopped);
    }
}
