//! What git left when it was cut short: put back, and nothing of a person's touched.
//!
//! Git replaces a file by removing it and writing the new one. So whatever is cut short, each file that was about to
//! change is its old content, missing, a beginning of its new content, or its new content; anything else is a person's.
//! And a file that was last touched before the run began is a person's, whatever it holds.

use std::fs::Metadata;
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};

use super::marker::Interrupted;
use crate::commit_id::CommitId;
use crate::files::{self, remove_empty_parents, remove_if_there};
use crate::git::{
    self, Blob, Change, Found, Git, Heads, Kind, ModuleState, Tracking, WorkTree, git_dir_of,
};
use crate::process::{self, AtWork};

/// The folder of our own files below a git directory, which is left alone here.
const OURS: &str = "deploy-cgi";

/// The folder of a repository's objects.
const OBJECTS: &str = "objects";

/// How file names begin that git gives to what it has not finished, and we.
const UNFINISHED: &[&[u8]] = &[
    b"tmp_pack_",
    b"tmp_idx_",
    b"tmp_obj_",
    b"tmp_rev_",
    b".tmp-",
    files::UNFINISHED.as_bytes(),
];

/// Puts a checkout back to what it was before a run that was cut short.
pub(super) struct Healer<'h> {
    git: &'h Git<'h>,
    /// What was cut short.
    run: Interrupted,
}

/// What was put back.
#[derive(Clone, Copy, Debug, Default)]
struct PutBack {
    files: usize,
    submodules: usize,
    locks: usize,
}

impl<'h> Healer<'h> {
    pub(super) fn new(git: &'h Git<'h>, run: Interrupted) -> Self {
        Self { git, run }
    }

    /// Puts everything back. Returns a sentence about it, if there was anything. To be called under the turn, with no
    /// git of ours alive; if it is cut short itself, it can be called again.
    pub(super) fn heal(&self) -> Result<Option<String>> {
        let mut done = PutBack::default();
        let checkout = self.git.checkout;
        done.locks += self.remove_debris(&[OURS])?;
        self.heal_modules(&checkout.folder, &checkout.git_dir, &mut done)?;
        if let Tracking::Upstream(upstream) = self.git.tracking(None)?
            && let Heads {
                head: Some(head),
                upstream: Some(target),
            } = self.git.heads(&upstream.branch)?
        {
            self.put_back(&checkout.folder, &head, &target, &mut done)?;
        }
        for submodule in self.git.submodules()? {
            if let Found::At(head) = &submodule.found {
                // It may have been on its way to what is recorded, or to the tip of its own branch.
                let folder = checkout.folder.join(&submodule.path);
                for target in std::iter::once(submodule.recorded.clone())
                    .chain(self.git.submodule(&submodule.path).remote_tips()?)
                {
                    self.put_back(&folder, head, &target, &mut done)?;
                }
            }
        }
        Ok(done.sentence())
    }

    /// Removes the lock files that the run left, and where a command of git's failed its unfinished objects. Git tries a clone
    /// that died once more, says that all is well, and leaves what the first one left.
    pub(super) fn remove_locks(&self) -> Result<()> {
        let passed_by: &[&str] = if self.git.has_failed() {
            &[OURS]
        } else {
            &[OURS, OBJECTS]
        };
        self.remove_debris(passed_by).map(drop)
    }

    /// Removes all that the run left unfinished, also among the objects.
    pub(super) fn remove_unfinished(&self) -> Result<()> {
        self.remove_debris(&[OURS]).map(drop)
    }

    /// Removes lock files and unfinished objects, but in folders of these names. Returns how many there were.
    fn remove_debris(&self, passed_by: &[&str]) -> Result<usize> {
        let checkout = self.git.checkout;
        let mut left = Vec::new();
        self.collect_unfinished(&checkout.git_dir, passed_by, &mut left)?;
        let common = git::common_dir(&checkout.git_dir);
        if common != checkout.git_dir {
            self.collect_unfinished(&common.join("refs"), passed_by, &mut left)?;
            for lock in ["packed-refs.lock", "config.lock", "shallow.lock"] {
                self.collect(common.join(lock), &mut left);
            }
        }
        // A person's own git holds locks that are not ours to remove.
        if !left.is_empty() && process::at_work("git", &checkout.folder) == AtWork::Yes {
            bail!(
                "a git is at work in this checkout, and what a deploy left that was cut short may be its own; press \
                 Redeliver when it has ended"
            );
        }
        for path in &left {
            remove_if_there(path)?;
        }
        Ok(left.len())
    }

    /// Collects lock files and unfinished objects that the run left below a folder.
    fn collect_unfinished(
        &self,
        folder: &Path,
        passed_by: &[&str],
        left: &mut Vec<PathBuf>,
    ) -> Result<()> {
        let what = || format!("cannot list {}", folder.display());
        let entries = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            entries => entries.with_context(what)?,
        };
        for entry in entries {
            let entry = entry.with_context(what)?;
            let (path, name) = (entry.path(), entry.file_name());
            let kind = entry
                .file_type()
                .with_context(|| format!("cannot look at {}", path.display()))?;
            let is_unfinished = |start: &&[u8]| name.as_bytes().starts_with(start);
            if kind.is_dir() {
                // What is below belongs to the other work trees of the repository.
                let is_anothers = path == self.git.checkout.git_dir.join("worktrees");
                if !is_anothers && !passed_by.iter().any(|known| name == *known) {
                    self.collect_unfinished(&path, passed_by, left)?;
                }
            } else if name.as_bytes().ends_with(b".lock") || UNFINISHED.iter().any(is_unfinished) {
                self.collect(path, left);
            }
        }
        Ok(())
    }

    fn collect(&self, path: PathBuf, left: &mut Vec<PathBuf>) {
        if path
            .symlink_metadata()
            .is_ok_and(|file| self.is_of_the_run(&file))
        {
            left.push(path);
        }
    }

    /// Submodules whose clone or first checkout was cut short: git itself never gets over the first, and takes the
    /// second for done.
    fn heal_modules(&self, folder: &Path, git_dir: &Path, done: &mut PutBack) -> Result<()> {
        if !folder.join(".gitmodules").exists() {
            return Ok(());
        }
        let recorded = self.git.work_tree(folder).gitlinks()?;
        for (name, git::Module { path, .. }) in self.git.work_tree(folder).gitmodules(None)? {
            let (module, place) = (git_dir.join("modules").join(&name), folder.join(&path));
            if module.exists() {
                let recorded = recorded.iter().find(|gitlink| gitlink.path == path);
                self.heal_module(&module, &place, recorded.map(|it| &it.commit), done)?;
            } else if dangling(&place) {
                // The other half of a removal that was cut short.
                remove_if_there(&place.join(".git"))?;
            }
            if place.join(".git").exists() {
                self.heal_modules(&place, &module, done)?;
            }
        }
        Ok(())
    }

    fn heal_module(
        &self,
        module: &Path,
        place: &Path,
        recorded: Option<&CommitId>,
        done: &mut PutBack,
    ) -> Result<()> {
        let repository = self.git.repository(module);
        let ModuleState {
            has_commit,
            has_refs,
        } = repository.module_state()?;
        if !has_commit && !has_refs {
            match recorded {
                // All of it was fetched, and perhaps its files written: only what says so is missing.
                Some(recorded) if repository.has_all_of(recorded)? => {
                    repository.set_head(recorded)?;
                }
                Some(_) | None => {
                    Self::remove_half_cloned(module, place)?;
                    done.submodules += 1;
                    return Ok(());
                }
            }
        } else if !has_commit || module.join("index").exists() || !place.join(".git").exists() {
            return Ok(());
        }
        // Git clones into empty folders only: what else is there now, the run has written.
        let by_the_run = module
            .join("HEAD")
            .metadata()
            .is_ok_and(|head| self.is_of_the_run(&head));
        if by_the_run || is_empty_but_git(place)? {
            let filled = self.git.work_tree_of(module, place).reset("HEAD")?;
            done.submodules += usize::from(filled.end.is_good());
        }
        Ok(())
    }

    /// Removes a submodule whose clone was cut short: then no file of it has been written.
    fn remove_half_cloned(module: &Path, place: &Path) -> Result<()> {
        // This half first: as long as the other is there, it is found again.
        remove_if_there(&place.join(".git"))?;
        std::fs::remove_dir_all(module)
            .with_context(|| format!("cannot remove {}", module.display()))
    }

    /// Puts back the files of a work tree that was on its way from one commit to another.
    fn put_back(
        &self,
        folder: &Path,
        old: &CommitId,
        target: &CommitId,
        done: &mut PutBack,
    ) -> Result<()> {
        let tree = self.git.work_tree(folder);
        // Where the index has arrived, the files have too: only HEAD is missing, which the next pull moves.
        if old == target || !tree.has_commit(target)? || tree.index_is(target)? {
            return Ok(());
        }
        let changes = tree.changes(old, target)?;
        let (mut debris, mut written) = (Vec::new(), Vec::new());
        for change in &changes {
            let path = folder.join(&change.path);
            let is_debris = match path.symlink_metadata() {
                // Git may have made a folder where a file was, and not come to fill it.
                Ok(there) if there.is_dir() => change.old.is_some(),
                Err(_) => change.old.is_some() && self.was_removed_by_the_run(folder, &path),
                Ok(there) if !self.is_of_the_run(&there) => false,
                Ok(there) if there.is_symlink() => {
                    !is_link_of(&tree, change, change.old.as_ref())?
                        && is_link_of(&tree, change, change.new.as_ref())?
                }
                Ok(there) => {
                    if there.is_file() {
                        written.push((change, there));
                    }
                    false
                }
            };
            if is_debris {
                debris.push(change);
            }
        }
        let paths = written.iter().map(|(change, _)| change.path.as_path());
        let ids = tree.ids_of(&paths.collect::<Vec<_>>())?;
        for ((change, file), id) in written.into_iter().zip(ids) {
            let kind = Kind::of_file(file.mode() & 0o111 != 0);
            let there = Some(Blob { id, kind });
            if there != change.old
                && (there == change.new || self.is_cut_short(&tree, change, &file)?)
            {
                debris.push(change);
            }
        }
        // First those that were not there before: then their folders are empty.
        debris.sort_by_key(|change| change.old.is_some());
        let mut back = Vec::new();
        for change in debris {
            let path = folder.join(&change.path);
            if change.old.is_none() {
                remove_if_there(&path)?;
                remove_empty_parents(folder, &path);
                done.files += 1;
            } else if remove_empty_folders(&path) {
                back.push(change.path.as_path());
            }
        }
        if !back.is_empty() {
            tree.write_out(&back)?;
            done.files += back.len();
        }
        Ok(())
    }

    /// Whether a file is a beginning of what was to be written there: the new content, or when files were being put back,
    /// the old one.
    fn is_cut_short(&self, tree: &WorkTree<'_>, change: &Change, file: &Metadata) -> Result<bool> {
        if file.len() == 0 && (change.new.is_some() || self.run.is_healing) {
            return Ok(true);
        }
        let old = change.old.iter().filter(|_| self.run.is_healing);
        let blobs = change.new.iter().chain(old);
        for blob in blobs.filter(|blob| blob.kind != Kind::Link) {
            let what = || format!("cannot read {}", tree.folder.join(&change.path).display());
            let there = files::open_below(&tree.folder, &change.path).with_context(what)?;
            let whole = tree.written_form(&blob.id, &change.path)?;
            if git::begins_with(whole, there).with_context(what)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_of_the_run(&self, file: &Metadata) -> bool {
        let seconds = u64::try_from(file.ctime()).unwrap_or(0);
        let nanoseconds = u32::try_from(file.ctime_nsec()).unwrap_or(0);
        SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds) >= self.run.began
    }

    /// A file is missing: the folder it was in tells when something there was last removed.
    fn was_removed_by_the_run(&self, top: &Path, path: &Path) -> bool {
        let nearest = path
            .ancestors()
            .skip(1)
            .take_while(|folder| folder.starts_with(top))
            .find_map(|folder| folder.metadata().ok());
        nearest.is_some_and(|folder| self.is_of_the_run(&folder))
    }
}

impl PutBack {
    fn sentence(self) -> Option<String> {
        let parts: Vec<String> = [
            (self.files, "file"),
            (self.submodules, "unfinished submodule"),
            (self.locks, "lock or temporary file"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}{}", if count == 1 { "" } else { "s" }))
        .collect();
        (!parts.is_empty()).then(|| {
            format!(
                "what git had left half-done was put right: {}",
                parts.join(", ")
            )
        })
    }
}

/// Whether a link is what one side of a change has there.
fn is_link_of(tree: &WorkTree<'_>, change: &Change, side: Option<&Blob>) -> Result<bool> {
    let Some(blob) = side.filter(|blob| blob.kind == Kind::Link) else {
        return Ok(false);
    };
    let path = tree.folder.join(&change.path);
    let target =
        std::fs::read_link(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut wanted = Vec::new();
    tree.written_form(&blob.id, &change.path)?
        .read_to_end(&mut wanted)?;
    Ok(target.as_os_str().as_bytes() == wanted)
}

/// Removes a folder in which there is nothing but folders. Returns whether the path is free, or a file.
fn remove_empty_folders(path: &Path) -> bool {
    if !path.symlink_metadata().is_ok_and(|there| there.is_dir()) {
        return true;
    }
    let Ok(entries) = std::fs::read_dir(path) else {
        return false;
    };
    entries.flatten().all(|entry| {
        entry.file_type().is_ok_and(|kind| kind.is_dir()) && remove_empty_folders(&entry.path())
    }) && std::fs::remove_dir(path).is_ok()
}

/// Whether a work tree's `.git` file points to nothing.
fn dangling(place: &Path) -> bool {
    let dot_git = place.join(".git");
    dot_git.is_file()
        && git_dir_of(place).is_ok_and(|target| target.is_none_or(|target| !target.exists()))
}

fn is_empty_but_git(place: &Path) -> Result<bool> {
    let entries =
        std::fs::read_dir(place).with_context(|| format!("cannot list {}", place.display()))?;
    Ok(entries.flatten().all(|entry| entry.file_name() == ".git"))
}
