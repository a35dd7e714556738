//! Where `back` is going, until it has ended: one that is killed is finished by whoever takes the turn next.

use anyhow::Result;

use crate::last_good::LastGood;
use crate::state::StateFolder;

/// The file, in the state folder.
const FILE: &str = "back";

pub(crate) fn read(state: &StateFolder) -> Result<Option<LastGood>> {
    let text = state.read(FILE)?;
    // One that can't be read says nothing of where to.
    Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
}

pub(crate) fn leave(state: &StateFolder, target: &LastGood) -> Result<()> {
    state.write(FILE, &serde_json::to_vec(target)?)
}

pub(crate) fn remove(state: &StateFolder) -> Result<()> {
    state.remove(FILE)
}
