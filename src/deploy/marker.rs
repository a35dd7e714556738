//! The marker of a run that has not ended: found at the start of the next one, it means that its predecessor died.

use std::time::SystemTime;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::commit_id::CommitId;
use crate::files::Sync;
use crate::process;
use crate::state::StateFolder;

const FILE: &str = "running";

/// A run that has not ended, or was cut short.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Interrupted {
    /// The session of its worker: git commands that are left of it are in the same one.
    pub(super) session: i32,
    /// When it began. The file's own time says so as long as the marker is not written again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) began: Option<SystemTime>,
    /// Whether a healing of it has begun: then files may be cut short that were being put back.
    #[serde(default)]
    pub(super) is_healing: bool,
    /// Where the checkout is going, where that is not the tip of the remote's branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<CommitId>,
}

pub(super) fn read(state: &StateFolder) -> Result<Option<Interrupted>> {
    let Some(text) = state.object(FILE)? else {
        return Ok(None);
    };
    // One that can't be read still says that a run died; then nothing is known to be of it.
    let mut run: Interrupted = serde_json::from_slice(&text).unwrap_or_default();
    if run.began.is_none() {
        let path = state.path(FILE);
        let written = path.metadata().and_then(|marker| marker.modified());
        let written = written.with_context(|| format!("cannot look at {}", path.display()))?;
        run.began = Some(written);
    }
    Ok(Some(run))
}

/// When a run began that has not ended, as far as that can be read.
pub(crate) fn unfinished_since(state: &StateFolder) -> Option<SystemTime> {
    read(state).ok().flatten()?.began
}

/// Leaves the marker. Returns the run that it is of, which began by the clock that the file system gives to files.
pub(super) fn leave(state: &StateFolder) -> Result<Interrupted> {
    write(state, Interrupted::default())?;
    read(state)?.context("the marker that was just written is gone")
}

/// Says in the marker where this run is going.
pub(super) fn aim_at(state: &StateFolder, target: &CommitId) -> Result<()> {
    let run = Interrupted {
        began: read(state)?.and_then(|run| run.began),
        target: Some(target.clone()),
        ..Interrupted::default()
    };
    write(state, run)
}

/// Says in the marker that what a run left is being put right. Returns where that was going.
pub(super) fn leave_for_healing(state: &StateFolder, of: &Interrupted) -> Result<Option<CommitId>> {
    let target = read(state)?.and_then(|run| run.target);
    let run = Interrupted {
        is_healing: true,
        target: target.clone(),
        ..of.clone()
    };
    write(state, run)?;
    Ok(target)
}

fn write(state: &StateFolder, run: Interrupted) -> Result<()> {
    let session = process::session();
    let json = serde_json::to_vec(&Interrupted { session, ..run })?;
    state.overwrite(FILE, json, Sync::Yes)
}

/// Says that the run has ended, and left nothing half-done.
pub(super) fn remove(state: &StateFolder) -> Result<()> {
    state.clear(FILE)
}
