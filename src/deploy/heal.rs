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
    run: &'h Interrupted,
    /// How many were put right.
    files: usize,
    submodules: usize,
    unfinished: usize,
}

impl<'h> Healer<'h> {
    pub(super) fn new(git: &'h Git<'h>, run: &'h Interrupted) -> Self {
        Self {
            git,
            run,
            files: 0,
            submodules: 0,
            unfinished: 0,
        }
    }

    /// Puts everything back. `going_to` is where the run was going, if not to the tip of the remote's branch. Returns a
    /// sentence about it, if there was anything. To be called under the turn, with no git of ours alive; if it is cut short
    /// itself, it can be called again.
    pub(super) fn heal(mut self, going_to: Option<&CommitId>) -> Result<Option<String>> {
        let (git, checkout) = (self.git, self.git.checkout);
        self.remove_unfinished()?;
        self.heal_modules(&checkout.folder, &checkout.git_dir)?;
        if let Tracking::Upstream(upstream) = git.tracking(None)?
            && let Heads {
                head: Some(head),
                upstream: Some(tip),
            } = git.heads(&upstream.branch)?
        {
            for target in going_to.into_iter().chain([&tip]) {
                self.put_back(&git.top(), &head, target)?;
            }
        }
        for submodule in git.submodules()? {
            if let Found::At(head) = &submodule.found {
                // It may have been on its way to what is recorded, or to the tip of its own branch.
                let tree = git.submodule(&submodule.path);
                for target in std::iter::once(submodule.recorded).chain(tree.remote_tips()?) {
                    self.put_back(&tree, head, &target)?;
                }
            }
        }
        Ok(self.sentence())
    }

    fn sentence(&self) -> Option<String> {
        let counts = [
            (self.files, "file"),
            (self.submodules, "unfinished submodule"),
            (self.unfinished, "lock or temporary file"),
        ];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        let plural = |count| if count == 1 { "" } else { "s" };
        let parts = counts.map(|(count, what)| format!("{count} {what}{}", plural(count)));
        let parts = parts.collect::<Vec<_>>().join(", ");
        let sentence = || format!("what git had left half-done was put right: {parts}");
        (!parts.is_empty()).then(sentence)
    }

    /// Removes the lock files that the run left, and where a command of git's failed its unfinished objects. Git tries a clone
    /// that died once more, says that all is well, and leaves what the first one left.
    pub(super) fn remove_locks(&mut self) -> Result<()> {
        if self.git.has_failed() {
            self.remove_unfinished()
        } else {
            self.remove_unfinished_but_in(&[OURS, OBJECTS])
        }
    }

    /// Removes lock files and all else that the run left unfinished in the git directory.
    pub(super) fn remove_unfinished(&mut self) -> Result<()> {
        self.remove_unfinished_but_in(&[OURS])
    }

    fn remove_unfinished_but_in(&mut self, passed_by: &[&str]) -> Result<()> {
        let checkout = self.git.checkout;
        let mut left = Vec::new();
        collect_unfinished(&checkout.git_dir, passed_by, &mut left)?;
        let common = git::common_dir(&checkout.git_dir);
        if common != checkout.git_dir {
            collect_unfinished(&common.join("refs"), passed_by, &mut left)?;
            let shared = ["packed-refs.lock", "config.lock", "shallow.lock"];
            left.extend(shared.map(|lock| common.join(lock)));
        }
        // What is below that belongs to the other work trees of the repository.
        let of_others = checkout.git_dir.join("worktrees");
        left.retain(|path| {
            let file = path.symlink_metadata();
            !path.starts_with(&of_others) && file.is_ok_and(|file| self.is_of_the_run(&file))
        });
        // A person's own git holds locks that are not ours to remove.
        if !left.is_empty() && process::at_work("git", &checkout.folder) == AtWork::Yes {
            bail!(
                "a git is at work in this checkout, and what a deploy left that was cut short may be its own; press \
                 Redeliver when it has ended"
            );
        }
        self.unfinished += left.len();
        left.iter().try_for_each(|path| remove_if_there(path))
    }

    /// Submodules whose clone or first checkout was cut short: git itself never gets over the first, and takes the
    /// second for done.
    fn heal_modules(&mut self, folder: &Path, git_dir: &Path) -> Result<()> {
        if !folder.join(".gitmodules").exists() {
            return Ok(());
        }
        let superproject = self.git.work_tree(folder);
        let recorded = superproject.gitlinks()?;
        for (name, git::Module { path, .. }) in superproject.gitmodules(None)? {
            let (module, place) = (git_dir.join("modules").join(&name), folder.join(&path));
            if module.exists() {
                let recorded = recorded.iter().find(|gitlink| gitlink.path == path);
                self.heal_module(&module, &place, recorded.map(|it| &it.commit))?;
            } else if points_to_nothing(&place) {
                // The other half of a removal that was cut short.
                remove_if_there(&place.join(".git"))?;
            }
            if place.join(".git").exists() {
                self.heal_modules(&place, &module)?;
            }
        }
        Ok(())
    }

    fn heal_module(
        &mut self,
        module: &Path,
        place: &Path,
        recorded: Option<&CommitId>,
    ) -> Result<()> {
        let repository = self.git.repository(module);
        let ModuleState {
            has_commit,
            has_refs,
        } = repository.module_state()?;
        if !has_commit && !has_refs {
            match recorded {
                // All of it was fetched, and some of its files are written: only what says so is missing.
                Some(recorded)
                    if !is_empty_but_git(place) && repository.has_commit(recorded)? =>
                {
                    repository.set_head(recorded)?;
                }
                Some(_) | None => {
                    self.submodules += 1;
                    // This half first: as long as the other is there, it is found again.
                    remove_if_there(&place.join(".git"))?;
                    return std::fs::remove_dir_all(module)
                        .with_context(|| format!("cannot remove {}", module.display()));
                }
            }
        } else if !has_commit || module.join("index").exists() || !place.join(".git").exists() {
            return Ok(());
        }
        // Git clones into empty folders only: what else is there now, the run has written.
        let head = module.join("HEAD").metadata();
        if is_empty_but_git(place) || head.is_ok_and(|head| self.is_of_the_run(&head)) {
            let filled = self.git.work_tree_of(module, place).reset("HEAD")?;
            self.submodules += usize::from(filled.end.is_good());
        }
        Ok(())
    }

    /// Puts back the files of a work tree that was on its way from one commit to another.
    fn put_back(&mut self, tree: &WorkTree<'_>, old: &CommitId, target: &CommitId) -> Result<()> {
        // Where the index has arrived, the files have too: only HEAD is missing, which the next pull moves.
        if old == target || !tree.has_commit(target)? || tree.index_is(target)? {
            return Ok(());
        }
        let changes = tree.changes(old, target)?;
        let half_done = self.half_done(tree, &changes)?;
        // First those that were not there before: then their folders are empty.
        for new in half_done.iter().filter(|change| change.old.is_none()) {
            let path = tree.folder.join(&new.path);
            remove_if_there(&path)?;
            remove_empty_parents(&tree.folder, &path);
            self.files += 1;
        }
        let old = half_done.iter().filter(|change| change.old.is_some());
        let old = old.map(|change| change.path.as_path());
        let back: Vec<_> = old
            .filter(|path| remove_empty_folders(&tree.folder.join(path)))
            .collect();
        if !back.is_empty() {
            tree.write_out(&back)?;
            self.files += back.len();
        }
        Ok(())
    }

    /// The changes that the run has made to files, or begun to make.
    fn half_done<'c>(&self, tree: &WorkTree<'_>, changes: &'c [Change]) -> Result<Vec<&'c Change>> {
        let (mut half_done, mut written) = (Vec::new(), Vec::new());
        for change in changes {
            let path = tree.folder.join(&change.path);
            let is_half_done = match path.symlink_metadata() {
                // Git may have made a folder where a file was, and not come to fill it.
                Ok(there) if there.is_dir() => change.old.is_some(),
                Err(_) => change.old.is_some() && self.was_removed_by_the_run(&tree.folder, &path),
                Ok(there) if !self.is_of_the_run(&there) => false,
                Ok(there) if there.is_symlink() => is_new_link(tree, change)?,
                Ok(there) => {
                    written.extend(there.is_file().then_some((change, there.len())));
                    false
                }
            };
            half_done.extend(is_half_done.then_some(change));
        }
        let paths: Vec<_> = written
            .iter()
            .map(|(change, _)| change.path.as_path())
            .collect();
        for ((change, size), id) in written.iter().zip(tree.ids_of(&paths)?) {
            let is = |side: &Option<Blob>| side.as_ref().is_some_and(|blob| blob.id == id);
            if is(&change.new) || !is(&change.old) && self.is_cut_short(tree, change, *size)? {
                half_done.push(change);
            }
        }
        Ok(half_done)
    }

    /// Whether a file is a beginning of what was to be written there: the new content, or when files were being put back,
    /// the old one.
    fn is_cut_short(&self, tree: &WorkTree<'_>, change: &Change, size: u64) -> Result<bool> {
        if size == 0 && (change.new.is_some() || self.run.is_healing) {
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
        let changed = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds);
        self.run.began.is_none_or(|began| changed >= began)
    }

    /// A file is missing: the folder it was in tells when something there was last removed.
    fn was_removed_by_the_run(&self, top: &Path, path: &Path) -> bool {
        let above = path.ancestors().skip(1);
        let mut above = above.take_while(|folder| folder.starts_with(top));
        let nearest = above.find_map(|folder| folder.metadata().ok());
        nearest.is_some_and(|folder| self.is_of_the_run(&folder))
    }
}

/// Collects what has the name of a lock or of something unfinished below a folder, but in folders of these names.
fn collect_unfinished(folder: &Path, passed_by: &[&str], left: &mut Vec<PathBuf>) -> Result<()> {
    let what = || format!("cannot list {}", folder.display());
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(what)?,
    };
    for entry in entries {
        let entry = entry.with_context(what)?;
        let name = entry.file_name();
        let is_unfinished = |start: &&[u8]| name.as_bytes().starts_with(start);
        if entry.file_type().with_context(what)?.is_dir() {
            if !passed_by.iter().any(|known| name == *known) {
                collect_unfinished(&entry.path(), passed_by, left)?;
            }
        } else if name.as_bytes().ends_with(b".lock") || UNFINISHED.iter().any(is_unfinished) {
            left.push(entry.path());
        }
    }
    Ok(())
}

/// Whether there is a link as the new side of a change has it.
fn is_new_link(tree: &WorkTree<'_>, change: &Change) -> Result<bool> {
    let Some(blob) = change.new.as_ref().filter(|blob| blob.kind == Kind::Link) else {
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
fn points_to_nothing(place: &Path) -> bool {
    place.join(".git").is_file()
        && git_dir_of(place).is_ok_and(|target| target.is_none_or(|target| !target.exists()))
}

fn is_empty_but_git(place: &Path) -> bool {
    let entries = std::fs::read_dir(place).into_iter().flatten();
    entries.flatten().all(|entry| entry.file_name() == ".git")
}
