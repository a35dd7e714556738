//! The git of a deploy that died: it may live on, and is never joined by a second one.

use std::fs::{File, TryLockError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::journal::Journal;
use super::marker;
use crate::process;
use crate::state::StateFolder;

/// The lock that git commands and their children hold while any of them lives.
const GIT_LOCK: &str = "git";

/// How long the git of a dead run may go on before it is ended.
const GRACE: Duration = Duration::from_secs(2);

/// How often the lock is tried.
const PAUSE: Duration = Duration::from_millis(50);

/// Waits for what a dead run left running, and ends it. Returns the lock that says whether git is alive, held.
pub(super) fn end(state: &StateFolder, journal: &mut Journal<'_>) -> Result<File> {
    let lock = state.lock_file(GIT_LOCK)?;
    let is_free = match marker::session(state)? {
        None => try_lock(&lock)?,
        Some(session) => {
            comes_free(&lock)? || {
                let groups = process::groups_that_hold(&lock, session)?;
                for group in &groups {
                    process::terminate(*group, || Ok(true));
                }
                !groups.is_empty() && comes_free(&lock)?
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
    try_lock(&lock)?;
    Ok(lock)
}

/// The same lock, held; `None` where a git or what it started is alive.
pub(super) fn lock_if_free(state: &StateFolder) -> Result<Option<File>> {
    let lock = state.lock_file(GIT_LOCK)?;
    Ok(try_lock(&lock)?.then_some(lock))
}

fn comes_free(lock: &File) -> Result<bool> {
    let end = Instant::now() + GRACE;
    while !try_lock(lock)? {
        if Instant::now() >= end {
            return Ok(false);
        }
        std::thread::sleep(PAUSE);
    }
    Ok(true)
}

fn try_lock(lock: &File) -> Result<bool> {
    match lock.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => {
            Err(error).context("cannot lock out the git of an earlier deploy")
        }
    }
}
