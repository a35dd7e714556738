//! The marker of a run that has not ended: found at the start of the next one, it means that its predecessor died.

use std::time::SystemTime;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::commit_id::CommitId;
use crate::files::Sync;
use crate::process;
use crate::state::StateFolder;

const FILE: &str = "running";

#[derive(Debug, Default, Serialize, Deserialize)]
struct Marker {
    /// The session of its worker: git commands that are left of it are in the same one.
    session: i32,
    /// When the run began, where the marker was written again since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    began: Option<SystemTime>,
    /// Whether a healing of it has begun.
    #[serde(default)]
    is_healing: bool,
    /// Where the checkout is going, where that is not the tip of the remote's branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<CommitId>,
}

/// A run that was cut short.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interrupted {
    pub(super) began: SystemTime,
    /// Whether a healing of it has begun: then files may be cut short that were being put back.
    pub(super) is_healing: bool,
}

pub(super) fn read(state: &StateFolder) -> Result<Option<Interrupted>> {
    let Some(text) = state.object(FILE)? else {
        return Ok(None);
    };
    let marker = parse(&text);
    let path = state.path(FILE);
    let written = path.metadata().and_then(|marker| marker.modified());
    let written = written.with_context(|| format!("cannot look at {}", path.display()))?;
    Ok(Some(Interrupted {
        began: marker.began.unwrap_or(written),
        is_healing: marker.is_healing,
    }))
}

/// When a run began that has not ended, as far as that can be read.
pub(crate) fn unfinished_since(state: &StateFolder) -> Option<SystemTime> {
    Some(read(state).ok().flatten()?.began)
}

/// The session of the worker whose run was cut short: `None` where none was, or where it is not known any more.
pub(super) fn session(state: &StateFolder) -> Result<Option<i32>> {
    let text = state.object(FILE)?;
    Ok(text.map(|text| parse(&text).session))
}

/// Where a run was going that was cut short, where that is not the tip of the remote's branch.
pub(super) fn target(state: &StateFolder) -> Result<Option<CommitId>> {
    let text = state.object(FILE)?;
    Ok(text.and_then(|text| parse(&text).target))
}

/// Leaves the marker. Returns its time, by the clock that the file system gives to files.
pub(super) fn leave(state: &StateFolder) -> Result<SystemTime> {
    write(state, Marker::default())?;
    let left = read(state)?.context("the marker that was just written is gone")?;
    Ok(left.began)
}

/// Says in the marker where this run is going.
pub(super) fn aim_at(state: &StateFolder, target: &CommitId) -> Result<()> {
    let marker = Marker {
        began: read(state)?.map(|run| run.began),
        target: Some(target.clone()),
        ..Marker::default()
    };
    write(state, marker)
}

/// Says in the marker that what a run left is being put right.
pub(super) fn leave_for_healing(state: &StateFolder, of: &Interrupted) -> Result<()> {
    let marker = Marker {
        began: Some(of.began),
        is_healing: true,
        target: target(state)?,
        ..Marker::default()
    };
    write(state, marker)
}

fn write(state: &StateFolder, marker: Marker) -> Result<()> {
    let session = process::session();
    let json = serde_json::to_vec(&Marker { session, ..marker })?;
    state.overwrite(FILE, json, Sync::Yes)
}

/// Says that the run has ended, and left nothing half-done.
pub(super) fn remove(state: &StateFolder) -> Result<()> {
    state.clear(FILE)
}

/// One that can't be read still says that a run died; then nothing is known to be of it.
fn parse(text: &[u8]) -> Marker {
    serde_json::from_slice(text).unwrap_or_default()
}
