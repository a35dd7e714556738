//! The folder `<git dir>/deploy-cgi`: who owns it, and how a file in it is written so that a death leaves the old one or
//! the new one.
//!
//! Must not know what the files mean: each room names its own.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;

use crate::files::{self, Sync, UNFINISHED, identity, make_private_folder, open_private};
use crate::git::Checkout;
use crate::ignored::ignore;
use crate::site::Site;

/// Its name below the git directory.
const FOLDER: &str = "deploy-cgi";

/// The file that says which site the folder belongs to.
const OWNER: &str = "site";

/// Stands in a file for an object that is not there.
const NOTHING: &[u8] = b"null";

/// An unfinished file older than this was left by a death.
const ABANDONED: Duration = Duration::from_hours(1);

/// What deploys of one checkout remember.
#[derive(Clone, Debug)]
pub(crate) struct StateFolder(PathBuf);

impl StateFolder {
    /// Opens the folder for a site, makes it where it is missing, and claims it where nobody has. A checkout has one
    /// site: a second one would take turns with another restart command and another secret.
    pub(crate) fn open(checkout: &Checkout, site: &Site) -> Result<Self> {
        let folder = Self(checkout.git_dir.join(FOLDER));
        make(&folder.0)?;
        folder.open_to_owner()?;
        folder.claim_for(site)?;
        Ok(folder)
    }

    /// What `open` would complain about, without making or claiming anything. A folder whose owner a umask kept out is
    /// opened to them.
    pub(crate) fn examine(checkout: &Checkout, site: &Site) -> Result<()> {
        let folder = Self(checkout.git_dir.join(FOLDER));
        match std::fs::metadata(&folder.0) {
            Ok(found) if found.is_dir() => {
                folder.open_to_owner()?;
                folder.owner_as_seen_by(&canonical(site)?).map(drop)
            }
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

    /// Opens to its owner, whom a umask may have kept out, the folder and what folders are in it. What cannot be listed is
    /// complained about by whoever needs it.
    fn open_to_owner(&self) -> Result<()> {
        let is_closed = |folder: &Path| {
            let found = std::fs::metadata(folder);
            found.is_ok_and(|found| found.is_dir() && found.mode() & 0o700 != 0o700)
        };
        if is_closed(&self.0) {
            self.make_folder("")?;
        }
        let inside = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        for entry in inside.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            if is_closed(&entry.path()) {
                make_private_folder(&entry.path())
                    .with_context(|| format!("cannot open {}", entry.path().display()))?;
            }
        }
        Ok(())
    }

    /// The folder, where it is there, neither made nor claimed; `None` where there has been no deploy yet.
    pub(crate) fn existing(checkout: &Checkout) -> Option<Self> {
        let folder = checkout.git_dir.join(FOLDER);
        folder.is_dir().then_some(Self(folder))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Makes a folder in it, readable by us only: git's output may name what others need not know.
    pub(crate) fn make_folder(&self, name: &str) -> Result<()> {
        make(&self.path(name))
    }

    pub(crate) fn lock_file(&self, name: &str) -> Result<File> {
        let path = self.path(name);
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        open_private(&path, &mut options)
            .with_context(|| format!("cannot open the lock {}", path.display()))
    }

    /// Opens a file to add to its end, made where it is missing.
    pub(crate) fn open_to_append(&self, name: &str) -> Result<File> {
        let path = self.path(name);
        open_private(&path, File::options().read(true).append(true).create(true))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        files::read_if_there(&self.path(name))
    }

    /// What a file holds as JSON; `None` also for one that cannot be read so: it says nothing.
    pub(crate) fn json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let text = self.read(name)?;
        Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
    }

    /// Writes a file whole, so that it outlives a power failure.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        files::replace(&self.path(name), bytes, Sync::Yes)
    }

    /// The same for what a power failure may undo: whoever looks sees the old file or the new one.
    pub(crate) fn write_unsynced(&self, name: &str, bytes: &[u8]) -> Result<()> {
        files::replace(&self.path(name), bytes, Sync::No)
    }

    /// Writes a JSON object in place: to make a file may take a disk a millisecond, and this is done at each step. Blanks are
    /// left where it was longer. Whoever looks at that moment, or after a power failure, may see neither the old nor the new.
    pub(crate) fn overwrite(&self, name: &str, mut json: Vec<u8>, sync: Sync) -> Result<()> {
        let path = self.path(name);
        let what = || format!("cannot write {}", path.display());
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        let file = open_private(&path, &mut options).with_context(what)?;
        let before = usize::try_from(file.metadata().with_context(what)?.len()).unwrap_or_default();
        json.resize(json.len().max(before), b' ');
        file.write_all_at(&json, 0).with_context(what)?;
        if sync == Sync::Yes {
            file.sync_data().with_context(what)?;
        }
        // A new one has to be found, too.
        if sync == Sync::Yes && before == 0 {
            let folder = File::open(&self.0).and_then(|folder| folder.sync_all());
            folder.with_context(what)?;
        }
        Ok(())
    }

    /// Says in place that there is no object any more, which [`StateFolder::object`] then finds.
    pub(crate) fn clear(&self, name: &str) -> Result<()> {
        if !self.path(name).exists() {
            return Ok(());
        }
        self.overwrite(name, NOTHING.to_vec(), Sync::No)
    }

    /// What was written in place; `None` where there is nothing.
    pub(crate) fn object(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let text = self.read(name)?;
        Ok(text.filter(|text| text.trim_ascii_end() != NOTHING))
    }

    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        files::remove_if_there(&self.path(name))
    }

    /// Removes what writers left in one of its folders who died, and closes to others what an older version left open.
    /// Nothing depends on it.
    pub(crate) fn sweep(&self, folder: &str) {
        let Ok(entries) = std::fs::read_dir(self.path(folder)) else {
            return;
        };
        let is_old = |path: &Path| {
            let modified = path.metadata().and_then(|file| file.modified()).ok();
            modified
                .and_then(|modified| modified.elapsed().ok())
                .is_some_and(|age| age > ABANDONED)
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default();
            if name.as_bytes().starts_with(UNFINISHED.as_bytes()) && is_old(&path) {
                ignore(std::fs::remove_file(&path), "nothing depends on it");
            } else if path
                .symlink_metadata()
                .is_ok_and(|file| file.is_file() && file.mode() & 0o077 != 0)
            {
                ignore(
                    open_private(&path, File::options().read(true)),
                    "the folder is closed to others",
                );
            }
        }
    }

    fn claim_for(&self, site: &Site) -> Result<()> {
        let ours = canonical(site)?;
        let bytes = ours.as_os_str().as_bytes();
        match self.owner_as_seen_by(&ours)? {
            Owner::Us => Ok(()),
            Owner::Gone => self.write(OWNER, bytes),
            Owner::Nobody if files::write_new(&self.path(OWNER), bytes)? => Ok(()),
            // Somebody was quicker: another delivery to us, or to a second site.
            Owner::Nobody => self.owner_as_seen_by(&ours).map(drop),
        }
    }

    fn owner_as_seen_by(&self, ours: &Path) -> Result<Owner> {
        let Some(owner) = self.read(OWNER)? else {
            return Ok(Owner::Nobody);
        };
        let owner = Path::new(std::ffi::OsStr::from_bytes(&owner));
        let identity = |path: &Path| path.metadata().ok().map(|file| identity(&file));
        match identity(owner) {
            found if owner == ours || (found.is_some() && found == identity(ours)) => Ok(Owner::Us),
            None => Ok(Owner::Gone),
            Some(_) => bail!(
                "this checkout belongs to the site {}, and {} names it too; a checkout has one site: remove one of the \
                 two files, or give this one a clone of its own as `repo`",
                owner.display(),
                ours.display()
            ),
        }
    }
}

fn make(folder: &Path) -> Result<()> {
    make_private_folder(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))
}

fn canonical(site: &Site) -> Result<PathBuf> {
    let file = site.file.canonicalize();
    file.with_context(|| format!("cannot find {}", site.file.display()))
}

/// Whose a state folder is, where it is not another site's.
enum Owner {
    Us,
    Nobody,
    /// A site whose file is gone: it was moved or renamed, and this is it.
    Gone,
}
