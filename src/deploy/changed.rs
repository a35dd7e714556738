//! What a deploy changed, for the commands; and whether it is something that `on_update` is run for.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use anyhow::Result;

use super::Deploy;
use crate::git::Git;
use crate::last_good::LastGood;

/// The file with the changed paths, in the state folder.
pub(super) const FILE: &str = "changed";

/// What a deploy changed since the last good one.
#[derive(Debug, Default)]
pub(super) struct Changed {
    /// Below the checkout. All tracked ones, where it is not known what was there before.
    paths: BTreeSet<PathBuf>,
    /// Whether any is one that the key `only` names.
    pub(super) concerns: bool,
}

impl Changed {
    pub(super) fn between(
        before: &LastGood,
        now: &LastGood,
        only: &[String],
        git: &Git<'_>,
    ) -> Result<Self> {
        let top = git.top();
        let known = match (
            before.of_a_deploy().and_then(|old| old.head.as_ref()),
            &now.head,
        ) {
            (Some(old), Some(new)) => top.paths_between(old, new)?.map(|paths| (old, new, paths)),
            (None, _) | (_, None) => None,
        };
        let Some((old, new, mut paths)) = known else {
            return Ok(Self {
                paths: top.tracked_paths()?,
                concerns: true,
            });
        };
        // With "latest" they move without a commit that says so; and nested ones are no paths of ours.
        let submodules: BTreeSet<_> = now.moved_since(before).map(PathBuf::from).collect();
        paths.extend(submodules.iter().cloned());
        if only.is_empty() {
            return Ok(Self {
                paths,
                concerns: true,
            });
        }
        let concerns = !top.matching_paths_between(old, new, only)?.is_empty()
            || top.is_any_named(&submodules, new, only)?;
        Ok(Self { paths, concerns })
    }
}

impl Deploy<'_> {
    /// Writes the file that `DEPLOY_CHANGED` names, where there is a command to read it.
    pub(super) fn write_changed(&self, changed: &Changed) -> Result<()> {
        if self.site.on_update.is_none() && self.site.on_failure.is_none() {
            return Ok(());
        }
        let name = |path: &PathBuf| [path.as_os_str().as_bytes(), b"\0"].concat();
        let names: Vec<u8> = changed.paths.iter().flat_map(name).collect();
        self.state().write_unsynced(FILE, &names)
    }
}
