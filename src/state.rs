//! The folder `<git dir>/deploy-cgi`: who owns it, and how a file in it is written so that a death leaves the old one or
//! the new one.
//!
//! Must not know what the files mean.

use std::fs::{DirBuilder, File};
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::git::Checkout;
use crate::site::Site;

/// Its name below the git directory.
const FOLDER: &str = "deploy-cgi";

/// The file that says which site the folder belongs to.
const OWNER: &str = "site";

/// Begins the name of a file that is not yet whole.
pub(crate) const UNFINISHED: &str = ".new-";

/// What deploys of one checkout remember.
#[derive(Clone, Debug)]
pub(crate) struct StateFolder(PathBuf);

impl StateFolder {
    /// Opens the folder for a site, makes it where it is missing, and claims it where nobody has. A checkout has one
    /// site: a second one would take turns with another restart command and another secret.
    pub(crate) fn open(checkout: &Checkout, site: &Site) -> Result<Self> {
        let folder = Self(checkout.git_dir.join(FOLDER));
        folder.make_folder("")?;
        folder.belongs_to(site)?;
        Ok(folder)
    }

    /// What `open` would complain about, without making or claiming anything.
    pub(crate) fn examine(checkout: &Checkout, site: &Site) -> Result<()> {
        let folder = Self(checkout.git_dir.join(FOLDER));
        match std::fs::metadata(&folder.0) {
            Ok(found) if found.is_dir() => folder.is_not_anothers(site).map(drop),
            Ok(_) => bail!(
                "{} is in the way: it has to be a folder; remove it",
                folder.0.display()
            ),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => {
                Err(error).with_context(|| format!("cannot look at {}", folder.0.display()))
            }
        }
    }

    /// Looks at the folder without making or claiming it; `None` where there has been no deploy yet.
    pub(crate) fn look(checkout: &Checkout) -> Option<Self> {
        let folder = checkout.git_dir.join(FOLDER);
        folder.is_dir().then_some(Self(folder))
    }

    /// The path of a file in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Makes a folder in it, readable by us only: git's output may name what others need not know.
    pub(crate) fn make_folder(&self, name: &str) -> Result<PathBuf> {
        let path = if name.is_empty() {
            self.0.clone()
        } else {
            self.0.join(name)
        };
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(path),
            Err(error) => {
                Err(error).with_context(|| format!("cannot make the folder {}", path.display()))
            }
        }
    }

    /// Opens a file for locking.
    pub(crate) fn lock_file(&self, name: &str) -> Result<File> {
        let path = self.path(name);
        File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot open the lock {}", path.display()))
    }

    /// Reads a file; `None` where there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.path(name);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Writes a file whole: under another name, synced, renamed into place, the folder synced.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(name);
        let Some((folder, file)) = path.parent().zip(path.file_name()) else {
            bail!("no file name in {name}")
        };
        let mut unfinished = std::ffi::OsString::from(UNFINISHED);
        unfinished.push(file);
        let unfinished = folder.join(unfinished);
        let written = || -> std::io::Result<()> {
            let mut new = File::options()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&unfinished)?;
            new.write_all(bytes)?;
            new.sync_all()?;
            std::fs::rename(&unfinished, &path)?;
            File::open(folder)?.sync_all()
        };
        written()
            .map_err(|error| {
                // Best effort: a full disk is no place for what is useless.
                match std::fs::remove_file(&unfinished) {
                    Ok(()) | Err(_) => error,
                }
            })
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Removes a file, if it is there.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        let path = self.path(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", path.display()))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn belongs_to(&self, site: &Site) -> Result<()> {
        match self.is_not_anothers(site)? {
            Owner::Us => Ok(()),
            Owner::Nobody(ours) => self.write(OWNER, ours.as_os_str().as_bytes()),
        }
    }

    fn is_not_anothers(&self, site: &Site) -> Result<Owner> {
        let ours = site
            .file
            .canonicalize()
            .with_context(|| format!("cannot find {}", site.file.display()))?;
        let Some(owner) = self.read(OWNER)? else {
            return Ok(Owner::Nobody(ours));
        };
        let owner = Path::new(std::ffi::OsStr::from_bytes(&owner));
        let identity = |path: &Path| path.metadata().ok().map(|file| (file.dev(), file.ino()));
        let still_there = identity(owner);
        if owner == ours || (still_there.is_some() && still_there == identity(&ours)) {
            return Ok(Owner::Us);
        }
        if still_there.is_none() {
            // The owner's file is gone: it was moved or renamed, and this is it.
            return Ok(Owner::Nobody(ours));
        }
        bail!(
            "this checkout belongs to the site {}, and {} names it too; a checkout has one site: remove one of the two \
             files, or give this one a clone of its own as `repo`",
            owner.display(),
            ours.display()
        )
    }
}

/// Whose a state folder is, where it is not another site's.
enum Owner {
    Us,
    /// Nobody's; this is who we are.
    Nobody(PathBuf),
}
