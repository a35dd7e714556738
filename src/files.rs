//! Files and folders of our own: closed to everybody else, whatever the umask, and whoever made them before.
//!
//! Must not know what they are for.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// The mode of a file that others may neither read nor lock: whoever can open a file can hold its lock.
const FILE_MODE: u32 = 0o600;

/// The mode of a folder with such files.
const FOLDER_MODE: u32 = 0o700;

/// How often a lock of somebody else's is tried.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

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

/// Locks a file for as long as it is open. `TimedOut` where somebody else has it for longer than `limit`: flock itself
/// waits for ever.
pub(crate) fn lock_within(file: &File, limit: Duration) -> Result<()> {
    let end = Instant::now() + limit;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() >= end => {
                return Err(Error::from(ErrorKind::TimedOut));
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
        }
    }
}
