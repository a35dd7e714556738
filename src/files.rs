//! Files and folders of our own: closed to everybody else, whatever the umask, and whoever made them before. And files of
//! others, which may be anything: no link is followed on the way to one, nothing but a file is waited for, and no more is
//! read than a limit.
//!
//! Must not know what they are for.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::random::fill_with_random;

/// The mode of a file that others may neither read nor lock: whoever can open a file can hold its lock.
const FILE_MODE: u32 = 0o600;

/// Begins the name of a file that is not yet whole.
pub(crate) const UNFINISHED: &str = ".new-";

/// The mode of a folder with such files.
const FOLDER_MODE: u32 = 0o700;

/// How often a lock of somebody else's is tried.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// The most that is read of a file that tells git something, such as .gitmodules: 4 MiB.
pub(crate) const MAX_BYTES: u64 = 4 << 20;

/// Opens a file as `options` say; afterwards only its owner can open it.
pub(crate) fn open_private(path: &Path, options: &mut OpenOptions) -> Result<File> {
    let file = options.mode(FILE_MODE).open(path)?;
    if file.metadata()?.mode() & 0o7777 != FILE_MODE {
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    }
    Ok(file)
}

/// Makes a folder that only its owner can enter, or makes one such that is there.
pub(crate) fn make_private_folder(path: &Path) -> Result<()> {
    match DirBuilder::new().mode(FOLDER_MODE).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    if path.metadata()?.mode() & 0o777 != FOLDER_MODE {
        std::fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE))?;
    }
    Ok(())
}

/// Whether a file has to survive a power failure from now on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sync {
    Yes,
    No,
}

/// Writes a file that only its owner can open, in place of what is there: whoever looks sees the old file or the new one,
/// also after a death.
pub(crate) fn replace(path: &Path, bytes: &[u8], sync: Sync) -> anyhow::Result<()> {
    let rename = |unfinished: &Path| std::fs::rename(unfinished, path);
    put(path, bytes, sync, rename).with_context(|| format!("cannot write {}", path.display()))
}

/// The same where there is no such file yet. Returns whether there was none.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> anyhow::Result<bool> {
    // Unlike a rename, a link takes no other file's place.
    let rename = |unfinished: &Path| {
        std::fs::hard_link(unfinished, path)?;
        std::fs::remove_file(unfinished)
    };
    match put(path, bytes, Sync::Yes, rename) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        written => written
            .map(|()| true)
            .with_context(|| format!("cannot write {}", path.display())),
    }
}

fn put(
    path: &Path,
    bytes: &[u8],
    sync: Sync,
    rename: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let folder = path.parent().ok_or(ErrorKind::InvalidInput)?;
    // A name that nobody else uses: processes of other containers may have our number.
    let mut name = [0; 8];
    fill_with_random(&mut name).map_err(Error::other)?;
    let unfinished = folder.join(format!("{UNFINISHED}{}", hex::encode(name)));
    let mut file = open_private(&unfinished, File::options().write(true).create_new(true))?;
    let written = || {
        file.write_all(bytes)?;
        if sync == Sync::Yes {
            file.sync_all()?;
        }
        rename(&unfinished)
    };
    if let Err(error) = written() {
        // What cannot be removed either is swept away later.
        drop(std::fs::remove_file(&unfinished));
        return Err(error);
    }
    match sync {
        Sync::Yes => File::open(folder)?.sync_all(),
        Sync::No => Ok(()),
    }
}

/// Removes a file, if it is there.
pub(crate) fn remove_if_there(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done.with_context(|| format!("cannot remove {}", path.display())),
    }
}

/// Removes the folders above a path that are empty now, up to the top.
pub(crate) fn remove_empty_parents(top: &Path, path: &Path) {
    for parent in path.ancestors().skip(1).take_while(|folder| *folder != top) {
        if std::fs::remove_dir(parent).is_err() {
            return;
        }
    }
}

/// Reads a file of our own; `None` where there is none.
pub(crate) fn read_if_there(path: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => Some(read.with_context(|| format!("cannot read {}", path.display()))).transpose(),
    }
}

/// Locks a file for as long as it is open, unless somebody else has it. Returns whether it is ours.
pub(crate) fn try_lock(file: &File) -> Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The same where somebody else may let go of it. `TimedOut` where that takes longer than `limit`: flock itself waits for
/// ever.
pub(crate) fn lock_within(file: &File, limit: Duration) -> Result<()> {
    let end = Instant::now() + limit;
    while !try_lock(file)? {
        if Instant::now() >= end {
            return Err(ErrorKind::TimedOut.into());
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    Ok(())
}

/// What tells a file from every other that there is at this moment.
pub(crate) fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// Whether there is something to read, or the end, before so much time has passed.
pub(crate) fn is_readable_within(file: impl AsFd, limit: Duration) -> Result<bool> {
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| ErrorKind::InvalidInput)?;
        match poll(&mut [PollFd::new(&file, PollFlags::IN)], Some(&left)) {
            Err(Errno::INTR) => {}
            ready => return Ok(ready? > 0),
        }
    }
}

/// Opens a file below a folder. `InvalidInput` where anything else is in its place, such as a named pipe, which might never
/// end, or where a link is on the way, which may lead anywhere.
pub(crate) fn open_below(top: &Path, path: &Path) -> Result<File> {
    let names = path.components().map(|part| match part {
        Component::Normal(name) => Ok(name),
        _ => Err(no_file()),
    });
    let names = names.collect::<Result<Vec<_>>>()?;
    let (name, folders) = names.split_last().ok_or_else(no_file)?;
    let as_folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut folder = openat(CWD, top, as_folder, Mode::empty())?;
    for name in folders {
        folder = open_in(&folder, name, as_folder)?;
    }
    // Without NONBLOCK a named pipe without a writer keeps whoever opens it.
    let to_read = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(open_in(&folder, name, to_read)?);
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(no_file())
    }
}

fn open_in(folder: &OwnedFd, name: &OsStr, flags: OFlags) -> Result<OwnedFd> {
    let opened = openat(folder, name, flags | OFlags::NOFOLLOW, Mode::empty());
    opened.map_err(|error| match error {
        // A link, a link to a folder, a socket.
        Errno::LOOP | Errno::NOTDIR | Errno::NXIO => no_file(),
        error => error.into(),
    })
}

/// What a file below a folder holds. `InvalidInput` as above, and where it is more than `MAX_BYTES`.
pub(crate) fn read_below(top: &Path, path: &Path) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let file = open_below(top, path)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(Error::new(ErrorKind::InvalidInput, "too large"));
    }
    Ok(text)
}

fn no_file() -> Error {
    Error::new(ErrorKind::InvalidInput, "not a file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_is_read_and_never_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        let kind = |path: &str| read_below(top, Path::new(path)).map_err(|error| error.kind());
        std::fs::create_dir_all(top.join("a/b")).unwrap();
        std::fs::write(top.join("a/b/file"), "text").unwrap();
        assert_eq!(kind("a/b/file"), Ok(b"text".to_vec()));
        assert_eq!(kind("a/b/none"), Err(ErrorKind::NotFound));
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(CWD, top.join("pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(top.join("socket")).unwrap();
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, top.join(name)).unwrap();
        link("a/b/file", "link");
        link("a", "linked");
        link("/dev/zero", "zero");
        link("link", "link_to_link");
        let sparse = File::create(top.join("sparse")).unwrap();
        sparse.set_len(1 << 40).unwrap();
        for path in [
            "a",
            "",
            "/",
            "a/../a/b/file",
            "pipe",
            "socket",
            "link",
            "linked/b/file",
            "zero",
            "link_to_link",
            "sparse",
            "a/b/file/x",
        ] {
            assert_eq!(kind(path), Err(ErrorKind::InvalidInput), "{path}");
        }
    }
}
