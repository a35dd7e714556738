//! Whether deploys are held: a file in the state folder, which a person with only FTP can upload or delete.
//!
//! Must not know what waits meanwhile.

use std::io::{ErrorKind, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::files;
use crate::moment::Moment;
use crate::redaction::excerpt;
use crate::state::StateFolder;

/// The file. Whatever is at this path holds, be it empty, a folder or a link.
pub(crate) const FILE: &str = "hold";

/// The most that is read of it, in bytes.
const MAX_BYTES: u64 = 4096;

/// Deploys are held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Hold {
    pub(crate) since: Moment,
    /// Why, as one line that is fit to be shown; none where nobody said.
    pub(crate) reason: Option<String>,
}

impl Hold {
    /// Whether deploys are held. What cannot be looked at holds, too.
    pub(crate) fn of(state: &StateFolder) -> Option<Self> {
        let since = match state.path(FILE).symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            there => there.and_then(|there| there.modified()),
        };
        let now = Moment::now();
        Some(Self {
            // Whoever uploads it may say any time.
            since: since.map_or(now, |since| now.min(since.into())),
            reason: reason(&state.path("")),
        })
    }

    /// Holds deploys from now on, in place of what was said before and without a gap: only a folder has to go first.
    pub(crate) fn set(state: &StateFolder, reason: &str) -> Result<()> {
        remove_folder(state)?;
        state.write(FILE, reason.as_bytes())
    }

    /// Lets deploys go on.
    pub(crate) fn release(state: &StateFolder) -> Result<()> {
        remove_folder(state)?;
        state.remove(FILE)
    }

    /// What an answer says of it.
    pub(crate) fn in_words(&self) -> String {
        format!("deploys have been held since {}{}", self.since, self.why())
    }

    /// The reason, to stand behind what it is the reason for.
    pub(crate) fn why(&self) -> String {
        let reason = self.reason.iter().map(|reason| format!(": {reason}"));
        reason.collect()
    }
}

fn reason(folder: &Path) -> Option<String> {
    let mut text = Vec::new();
    let file = files::open_below(folder, Path::new(FILE)).ok()?;
    file.take(MAX_BYTES).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let words: Vec<_> = text
        .trim_start_matches('\u{feff}')
        .split_whitespace()
        .collect();
    (!words.is_empty()).then(|| excerpt(&words.join(" ")))
}

fn remove_folder(state: &StateFolder) -> Result<()> {
    let path = state.path(FILE);
    if !path.symlink_metadata().is_ok_and(|there| there.is_dir()) {
        return Ok(());
    }
    match std::fs::remove_dir(&path) {
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => bail!(
            "{} is a folder with files in it, and holds as long as it is there: remove it",
            path.display()
        ),
        removed => removed.with_context(|| format!("cannot remove {}", path.display())),
    }
}
