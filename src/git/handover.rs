//! The configuration as a process of ours has read it, for the next one: it need not ask git the same a moment later.
//!
//! It counts only where nothing that a deploy changes has changed since before it was read, where git would be asked the same
//! question in the same environment, and for a moment. It may hold logins: it goes by memory and is on no disk.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use sha2::{Digest, Sha256};

use super::Git;
use super::checkout::common_dir;
use super::config::Config;

/// For how long a configuration that was read counts as read just now: less than a person needs to change one and to have it
/// deployed.
const MOMENT: Duration = Duration::from_secs(1);

/// What a repository has its own configuration in (git-config(1), "FILES"). Git writes them anew, and never in place.
const FILES: [&str; 2] = ["config", "config.worktree"];

/// The lengths of what stands before the configuration, in bytes.
const DIGEST: usize = 32;
const TIME: usize = 8;

/// When the configuration began to be read, and from what.
pub(crate) struct Reading {
    digest: [u8; DIGEST],
    began: SystemTime,
}

/// A configuration and its reading, as bytes.
#[derive(Debug)]
pub(crate) struct Handover(pub(crate) Vec<u8>);

impl Git<'_> {
    /// To be called before the configuration is read that is to be handed over.
    pub(crate) fn begin_reading(&self) -> Reading {
        Reading {
            digest: self.digest_of_reading(),
            began: SystemTime::now(),
        }
    }

    /// What was read since, for the next process.
    pub(crate) fn hand_over(&self, reading: &Reading) -> Option<Handover> {
        let began = reading.began.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let began = u64::try_from(began.as_millis()).ok()?;
        let mut bytes = reading.digest.to_vec();
        bytes.extend(began.to_le_bytes());
        bytes.extend(self.known_config()?.listed());
        Some(Handover(bytes))
    }

    /// Goes by what another process has read, if that still counts.
    pub(crate) fn take_over(&self, handover: &Handover) -> Result<Option<Rc<Config>>> {
        let Some((digest, rest)) = handover.0.split_first_chunk::<DIGEST>() else {
            return Ok(None);
        };
        let Some((began, listed)) = rest.split_first_chunk::<TIME>() else {
            return Ok(None);
        };
        let began = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::from_le_bytes(*began));
        let is_of_now = began.elapsed().is_ok_and(|age| age < MOMENT);
        if !is_of_now || *digest != self.digest_of_reading() {
            return Ok(None);
        }
        self.know(Config::of_listed(listed)).map(Some)
    }

    /// What git is asked, in which environment, and which files of the repository's own will answer.
    fn digest_of_reading(&self) -> [u8; DIGEST] {
        let top = self.top();
        let run = top.list_config().run;
        let mut digest = Sha256::new();
        let mut add = |bytes: &[u8]| {
            digest.update(bytes.len().to_le_bytes());
            digest.update(bytes);
        };
        add(run.program.as_os_str().as_bytes());
        run.args.iter().for_each(|arg| add(arg.as_bytes()));
        for (name, value) in &run.env {
            add(name.as_bytes());
            add(value.as_bytes());
        }
        let git_dir = &self.checkout.git_dir;
        let folders = [git_dir.clone(), common_dir(git_dir)];
        for path in folders
            .iter()
            .flat_map(|folder| FILES.map(|file| folder.join(file)))
        {
            for part in identity(&path) {
                add(&part.to_le_bytes());
            }
        }
        digest.finalize().into()
    }
}

/// What tells a file from what was there before.
fn identity(path: &Path) -> [i128; 5] {
    path.metadata().map_or([0; 5], |file| {
        let time = |seconds: i64, nanoseconds: i64| {
            i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)
        };
        [
            file.dev().into(),
            file.ino().into(),
            file.size().into(),
            time(file.mtime(), file.mtime_nsec()),
            time(file.ctime(), file.ctime_nsec()),
        ]
    })
}
