//! The git of a deploy that died: it may live on, and is never joined by a second one.

use std::fs::File;
use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context, Result};

use super::journal::Journal;
use super::marker;
use crate::files::lock_within;
use crate::process;
use crate::state::StateFolder;

/// The lock that git commands and their children hold while any of them lives.
const GIT_LOCK: &str = "git";

/// How long the git of a dead run may go on before it is ended.
const GRACE: Duration = Duration::from_secs(2);

/// Waits for what a dead run left running, and ends it. Returns the lock that says whether git is alive, held.
pub(super) fn end(state: &StateFolder, journal: &mut Journal<'_>) -> Result<File> {
    let lock = state.lock_file(GIT_LOCK)?;
    let is_free = match marker::read(state)? {
        None => comes_free(&lock, Duration::ZERO)?,
        Some(run) => {
            comes_free(&lock, GRACE)? || {
                let groups = process::groups_that_hold(&lock, run.session)?;
                for group in &groups {
                    process::terminate(*group, || Ok(true));
                }
                !groups.is_empty() && comes_free(&lock, GRACE)?
            }
        }
    };
    if is_free {
        return Ok(lock);
    }
    journal.remark(
        "a process that an earlier deploy's git started is still running (a hook's daemon?); it was left alone",
    );
    // It keeps the lock of the old file; from now on a new one counts.
    state.remove(GIT_LOCK)?;
    let lock = state.lock_file(GIT_LOCK)?;
    comes_free(&lock, Duration::ZERO)?;
    Ok(lock)
}

/// The same lock, held; `None` where a git or what it started is alive.
pub(super) fn lock_if_free(state: &StateFolder) -> Result<Option<File>> {
    let lock = state.lock_file(GIT_LOCK)?;
    Ok(comes_free(&lock, Duration::ZERO)?.then_some(lock))
}

fn comes_free(lock: &File, within: Duration) -> Result<bool> {
    match lock_within(lock, within) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::TimedOut => Ok(false),
        Err(error) => Err(error).context("cannot lock out the git of an earlier deploy"),
    }
}
