//! Where `back` is going, until it has ended: one that is killed is finished by whoever takes the turn next. And where one
//! failed, from where another goes on.

use anyhow::Result;

use crate::last_good::LastGood;
use crate::state::StateFolder;

/// The file, in the state folder.
const FILE: &str = "back";

/// The same, where the last thing that was done is a `back` that failed.
const FAILED: &str = "back-failed";

pub(crate) fn read(state: &StateFolder) -> Result<Option<LastGood>> {
    state.json(FILE)
}

pub(crate) fn read_failed(state: &StateFolder) -> Result<Option<LastGood>> {
    state.json(FAILED)
}

pub(crate) fn leave(state: &StateFolder, target: &LastGood) -> Result<()> {
    state.write(FILE, &serde_json::to_vec(target)?)
}

/// It has ended, or something else has come after it; `failed` is where one was going that failed.
pub(crate) fn end(state: &StateFolder, failed: Option<&LastGood>) -> Result<()> {
    match failed {
        Some(target) => state.write_unsynced(FAILED, &serde_json::to_vec(target)?)?,
        None => state.remove(FAILED)?,
    }
    state.remove(FILE)
}
