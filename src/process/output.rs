//! Where a command's output is kept: in files without a name, of which the beginning or the tail is read.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use rustix::fs::{MemfdFlags, OFlags, memfd_create};

use super::MAX_OUTPUT;

/// What was being done when it failed.
pub(super) const OUTPUT: &str = "cannot keep the output of a command";

/// A file that is nowhere on disk. Children of ours can read it by its path, for as long as this lives.
pub(crate) struct FileInMemory {
    _open: File,
    pub(crate) path: PathBuf,
}

impl FileInMemory {
    pub(crate) fn with(text: &str) -> Result<Self> {
        let file = memory_with(text.as_bytes())?;
        let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        Ok(Self {
            path: path.into(),
            _open: file,
        })
    }
}

/// The same, for one child only.
pub(super) fn memory_with(content: &[u8]) -> Result<File> {
    let mut file = memory()?;
    file.write_all(content)
        .and_then(|()| file.rewind())
        .context("cannot keep a file in memory")?;
    Ok(file)
}

/// A file without a name, for output: in memory, so that a full disk does not silence the command that reports it.
pub(super) fn memory() -> Result<File> {
    let file = memfd_create("output", MemfdFlags::CLOEXEC).context(OUTPUT)?;
    // Both outputs append, and still do after the file was cut.
    rustix::fs::fcntl_setfl(&file, OFlags::APPEND).context(OUTPUT)?;
    Ok(file.into())
}

/// Shows what was written since `from`; returns where that ends.
pub(super) fn show_from(file: &File, from: u64, show: &dyn Fn(&[u8])) -> Result<u64> {
    let size = file.metadata().context(OUTPUT)?.len();
    if size > from {
        let mut new = vec![0; usize::try_from((size - from).min(MAX_OUTPUT)).unwrap_or(0)];
        let read = file.read_at(&mut new, from).context(OUTPUT)?;
        show(&new[..read]);
    }
    // Less than before: it was cut to its tail, which has been shown.
    Ok(size)
}

/// The last `most` bytes.
pub(super) fn tail(file: &File, most: u64) -> Result<Vec<u8>> {
    let size = file.metadata().context(OUTPUT)?.len();
    part(file, size.saturating_sub(most), most)
}

/// At most so many bytes from `start`.
pub(super) fn part(mut file: &File, start: u64, most: u64) -> Result<Vec<u8>> {
    let mut part = Vec::new();
    file.seek(SeekFrom::Start(start))
        .and_then(|_| file.take(most).read_to_end(&mut part))
        .context(OUTPUT)?;
    Ok(part)
}
