//! What a deploy is at, for people who ask meanwhile. Nothing else depends on it: one that died leaves it behind, so it
//! counts only as long as somebody deploys.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::files::Sync;
use crate::moment::Moment;
use crate::outcome::Step;
use crate::queue::Queue;
use crate::state::StateFolder;

/// The file, in the state folder.
const FILE: &str = "underway";

/// A deploy that has not ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Underway {
    /// When it began.
    pub(crate) since: Moment,
    pub(crate) step: Step,
    /// The tickets that it serves.
    pub(crate) tickets: Vec<String>,
}

impl Underway {
    /// What is deployed at this moment, if anything is. Only then is the lock of the turn looked at: whoever waits for it
    /// would have to wait for us.
    pub(crate) fn now(state: &StateFolder) -> Result<Option<Self>> {
        let text = state.object(FILE)?;
        let underway = text.and_then(|text| serde_json::from_slice(&text).ok());
        Ok(match underway {
            Some(underway) if Queue::of(state).is_somebodys_turn()? => Some(underway),
            Some(_) | None => None,
        })
    }

    pub(super) fn write(&self, state: &StateFolder) -> Result<()> {
        state.overwrite(FILE, serde_json::to_vec(self)?, Sync::No)
    }

    pub(super) fn end(state: &StateFolder) -> Result<()> {
        state.clear(FILE)
    }
}
