//! The marker of a run that has not ended: found at the start of the next one, it means that its predecessor died.

use std::time::SystemTime;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::process;
use crate::state::StateFolder;

pub(crate) const MARKER: &str = "running";

#[derive(Debug, Default, Serialize, Deserialize)]
struct Marker {
    /// The session of its worker: git commands that are left of it are in the same one.
    session: i32,
    /// Where a healing has begun: when the run began that it puts right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    healing: Option<SystemTime>,
}

/// A run that was cut short.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interrupted {
    pub(super) began: SystemTime,
    /// Whether a healing of it has begun: then files may be cut short that were being put back.
    pub(super) is_healing: bool,
}

pub(super) fn read(state: &StateFolder) -> Result<Option<Interrupted>> {
    let Some(text) = state.read(MARKER)? else {
        return Ok(None);
    };
    let marker = parse(&text);
    let path = state.path(MARKER);
    let written = path.metadata().and_then(|marker| marker.modified());
    let written = written.with_context(|| format!("cannot look at {}", path.display()))?;
    Ok(Some(Interrupted {
        began: marker.healing.unwrap_or(written),
        is_healing: marker.healing.is_some(),
    }))
}

/// The session of the worker whose run was cut short: `None` where none was, or where it is not known any more.
pub(super) fn session(state: &StateFolder) -> Result<Option<i32>> {
    let text = state.read(MARKER)?;
    Ok(text.map(|text| parse(&text).session))
}

/// Leaves the marker. Returns its time, by the clock that the file system gives to files.
pub(super) fn leave(state: &StateFolder) -> Result<SystemTime> {
    state.write(MARKER, &text_of(None)?)?;
    let left = read(state)?.context("the marker that was just written is gone")?;
    Ok(left.began)
}

/// Says in the marker that what a run left is being put right.
pub(super) fn leave_for_healing(state: &StateFolder, of: &Interrupted) -> Result<()> {
    state.write(MARKER, &text_of(Some(of.began))?)
}

fn text_of(healing: Option<SystemTime>) -> Result<Vec<u8>> {
    let session = process::session();
    Ok(serde_json::to_vec(&Marker { session, healing })?)
}

/// One that can't be read still says that a run died; then nothing is known to be of it.
fn parse(text: &[u8]) -> Marker {
    serde_json::from_slice(text).unwrap_or_default()
}
