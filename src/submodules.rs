//! Bringing submodules to where they belong, and making sure that they are there: an exit code of 0 is no evidence.
//!
//! Must not know turns, tickets or reports.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::backup::{Backup, in_the_submodule, keep_head, untracked_in_the_way};
use crate::commit_id::CommitId;
use crate::files::{make_private_folder, open_private};
use crate::git::{self, Entry, Found, Git, Gitlink, Gitlinks, Indexed, Submodule};
use crate::last_good::LastGood;
use crate::process::Ended;
use crate::redaction;
use crate::remote_url::RemoteUrl;
use crate::site::{Submodules, Update};

/// Brings the submodules of one checkout.
pub(crate) struct Bringer<'b> {
    pub(crate) git: &'b Git<'b>,
    pub(crate) backup: &'b Backup,
    pub(crate) mode: Submodules,
    pub(crate) update: Update,
    /// What the last good deploy left.
    pub(crate) before: &'b LastGood,
    /// Whether the checkout was still there when this deploy began: no other deploy has failed since.
    pub(crate) began_at_last_good: bool,
    /// How long to wait before what failed is tried once more.
    pub(crate) retry_pause: Duration,
}

/// What came of it.
pub(crate) struct Brought {
    pub(crate) there: Vec<Submodule>,
    /// How the last `git submodule update` ended; `None` where there was nothing to do.
    pub(crate) ended: Option<Ended>,
    /// What a person should know.
    pub(crate) remarks: Vec<String>,
    /// The submodules that are not where they belong.
    pub(crate) missing: Vec<PathBuf>,
    /// Files of a person's in a submodule, that would have been written over; then nothing was moved.
    pub(crate) in_the_way: Option<(PathBuf, Vec<PathBuf>)>,
    /// A submodule that became a folder of plain files, with something of a person's in it.
    pub(crate) replaced: Option<PathBuf>,
}

impl Bringer<'_> {
    /// Brings every submodule to the commit that its superproject records, or with `"latest"` to the tip of its branch.
    pub(crate) fn bring(
        &self,
        listing: Option<Gitlinks<'_>>,
        fetched: &[PathBuf],
    ) -> Result<Brought> {
        let mut brought = Brought {
            there: Vec::new(),
            ended: None,
            remarks: Vec::new(),
            missing: Vec::new(),
            in_the_way: None,
            replaced: None,
        };
        if self.mode == Submodules::Skip {
            return Ok(brought);
        }
        if let Some(listing) = listing {
            let synced = self.follow_changed_url(Path::new(""))?;
            let top_level = listing.end()?;
            let there = self.git.submodules_of(&top_level)?;
            self.fetch_in_parallel(&there, fetched)?;
            brought.in_the_way = self.look_before(&there, &mut brought.remarks)?;
            if brought.in_the_way.is_some() {
                brought.there = there;
                return Ok(brought);
            }
            let is_closed = self.close_modules()?;
            let (there, ended, failed) = self.update_until_there(&top_level, &synced)?;
            if is_closed {
                self.close_configs(&there)?;
            }
            let missing = there.iter().filter(|submodule| !self.is_there(submodule));
            brought.missing = missing.map(|submodule| submodule.path.clone()).collect();
            brought.missing.extend(
                failed
                    .into_iter()
                    .filter(|_| self.mode == Submodules::Latest),
            );
            brought.missing.dedup();
            brought.there = there;
            brought.ended = Some(ended);
        }
        self.clear_removed(&mut brought)?;
        Ok(brought)
    }

    /// Where others cannot read the configuration of the checkout, since it may have a login in the remote's URL, they cannot
    /// read those of submodules either: a relative URL hands the login on. Returns whether it is so.
    fn close_modules(&self) -> Result<bool> {
        let config = git::common_dir(&self.git.checkout.git_dir).join("config");
        if !config
            .metadata()
            .is_ok_and(|file| file.mode() & 0o777 == 0o600)
        {
            return Ok(false);
        }
        let modules = self.git.checkout.git_dir.join("modules");
        make_private_folder(&modules)
            .with_context(|| format!("cannot close {} to others", modules.display()))?;
        Ok(true)
    }

    fn close_configs(&self, there: &[Submodule]) -> Result<()> {
        for submodule in there {
            let folder = self.git.checkout.folder.join(&submodule.path);
            if let Some(git_dir) = git::git_dir_of(&folder)?
                && self.git.checkout.keeps(&git_dir)
            {
                let config = git_dir.join("config");
                open_private(&config, File::options().read(true))
                    .with_context(|| format!("cannot close {} to others", config.display()))?;
            }
        }
        Ok(())
    }

    /// Before git moves submodules: with `"reset"`, what is in them of a person's is kept and removed; else a commit that
    /// no branch has is given a name, and files that git ignores, which it would write over, keep it from being moved.
    fn look_before(
        &self,
        there: &[Submodule],
        remarks: &mut Vec<String>,
    ) -> Result<Option<(PathBuf, Vec<PathBuf>)>> {
        // Where those go that are to be moved: what is nested in them goes along.
        let mut moves: Vec<(&Path, CommitId)> = Vec::new();
        for submodule in there {
            let Found::At(commit) = &submodule.found else {
                continue;
            };
            let tree = self.git.submodule(&submodule.path);
            let in_it = |kept: String| in_the_submodule(&submodule.path, &kept);
            let (elsewhere, otherwise) = match self.mode {
                Submodules::Recorded => (
                    self.to_be_recorded(submodule, there, &moves)?,
                    &submodule.recorded,
                ),
                Submodules::Latest => (self.tip_of(submodule, there)?, commit),
                Submodules::Skip => (None, commit),
            };
            let target = elsewhere.as_ref().unwrap_or(otherwise);
            if commit != target {
                // The tip of a branch is here; what will be recorded may not have been fetched.
                if elsewhere.is_some() && !tree.has_commit(target)? {
                    self.git.fetch_all(std::slice::from_ref(&tree.folder))?;
                }
                moves.push((&submodule.path, target.clone()));
            }
            let known = self.before.commit_left(&submodule.path);
            if self.update == Update::Reset {
                let edits = tree.edits()?;
                if (commit == target && edits.is_empty()) || !tree.has_commit(target)? {
                    continue;
                }
                let kept = self.backup.before_reset(&tree, &edits, target, known)?;
                remarks.extend(kept.map(in_it));
                tree.reset(target)?;
                continue;
            }
            // Where the last deploy left it, there is nothing of a person's.
            // And what cannot be fetched is not moved to.
            if !self.before.left(&submodule.path, commit) && tree.has_commit(target)? {
                remarks.extend(keep_head(&tree, target, known)?.map(in_it));
            }
            if commit == target {
                continue;
            }
            // Where it could not be fetched, git says so when it is to be moved.
            let files = untracked_in_the_way(&tree, target)?.unwrap_or_default();
            if !files.is_empty() {
                return Ok(Some((submodule.path.clone(), files.into_iter().collect())));
            }
        }
        Ok(None)
    }

    /// The commit that will be recorded for a nested submodule once the one it is in is moved; `None` where that stays,
    /// and where it will have none.
    fn to_be_recorded(
        &self,
        submodule: &Submodule,
        there: &[Submodule],
        moves: &[(&Path, CommitId)],
    ) -> Result<Option<CommitId>> {
        let (above, path) = superproject_of(submodule, there)?;
        let Some((_, commit)) = moves.iter().find(|(path, _)| *path == above) else {
            return Ok(None);
        };
        let above = self.git.submodule(above);
        if !above.has_commit(commit)? {
            return Ok(None);
        }
        above.gitlink_at(commit.as_str(), path)
    }

    /// The tip of the branch that a submodule follows, as it was fetched; `None` where that is not known.
    fn tip_of(&self, submodule: &Submodule, there: &[Submodule]) -> Result<Option<CommitId>> {
        let (above, path) = superproject_of(submodule, there)?;
        let superproject = self.git.submodule(above);
        let modules = superproject.gitmodules(None)?;
        let Some((name, module)) = modules.iter().find(|(_, module)| module.path == path) else {
            return Ok(None);
        };
        let in_use = superproject.read_config()?;
        let branch = in_use
            .last(&format!("submodule.{name}.branch"))
            .or(module.branch.as_deref());
        let branch = match branch {
            // The same as the superproject's.
            Some(".") => match superproject.branch()? {
                Some(branch) => branch,
                None => return Ok(None),
            },
            Some(branch) => branch.to_owned(),
            None => "HEAD".to_owned(),
        };
        self.git.submodule(&submodule.path).remote_tip(&branch)
    }

    fn is_there(&self, submodule: &Submodule) -> bool {
        match self.mode {
            Submodules::Recorded => submodule.is_there(),
            Submodules::Latest | Submodules::Skip => matches!(submodule.found, Found::At(_)),
        }
    }

    fn update_until_there(
        &self,
        top_level: &[Gitlink],
        synced: &[PathBuf],
    ) -> Result<(Vec<Submodule>, Ended, Vec<PathBuf>)> {
        let mut ended = self.update(None)?;
        let mut there = self.git.submodules_of(top_level)?;
        let mut failed = Vec::new();
        // New commits may bring new URLs for what is nested in them.
        let mut nested_synced = false;
        for submodule in there
            .iter()
            .filter(|submodule| submodule.found != Found::Nothing)
        {
            nested_synced |= !self.follow_changed_url(&submodule.path)?.is_empty();
        }
        if nested_synced || ended.is_a_failure() {
            if !nested_synced {
                std::thread::sleep(self.retry_pause);
            }
            // One that came back has its old repository, which only now is where git looks for its URL.
            if !synced.is_empty() {
                self.git.top().submodule_sync(synced)?;
            }
            ended = self.update(None)?;
            there = self.git.submodules()?;
        }
        if ended.is_a_failure() {
            failed = self.update_each(&there)?;
            there = self.git.submodules()?;
        }
        if self.fill_empty(&there)? {
            ended = self.update(None)?;
            there = self.git.submodules()?;
        }
        Ok((there, ended, failed))
    }

    fn update(&self, only: Option<&Path>) -> Result<Ended> {
        self.git.submodule_update(self.mode, only)
    }

    /// Fetches what submodules lack that are to be moved, all at the same time: git itself does it one after the other,
    /// and what they will be is to be looked at before. Whether it works shows when they are moved.
    fn fetch_in_parallel(&self, there: &[Submodule], fetched: &[PathBuf]) -> Result<()> {
        let mut behind = Vec::new();
        for submodule in there {
            let folder = self.git.checkout.folder.join(&submodule.path);
            let just_now = fetched.contains(&submodule.path);
            let is_behind = match (&submodule.found, self.mode) {
                (Found::At(_), Submodules::Latest) => !just_now,
                (Found::At(commit), Submodules::Recorded | Submodules::Skip) => {
                    *commit != submodule.recorded
                        && !(just_now
                            && self
                                .git
                                .work_tree(&folder)
                                .has_commit(&submodule.recorded)?)
                }
                (Found::WithoutIndex(_) | Found::Nothing, _) => false,
            };
            if is_behind {
                behind.push(folder);
            }
        }
        self.git.fetch_all(&behind)
    }

    /// Git stops at the first submodule that fails; the rest is brought one by one. Returns those that failed.
    fn update_each(&self, there: &[Submodule]) -> Result<Vec<PathBuf>> {
        let is_missing_in = |top: &Submodule| {
            // With "latest" it does not show where one should be.
            self.mode == Submodules::Latest
                || there.iter().any(|submodule| {
                    submodule.path.starts_with(&top.path) && !self.is_there(submodule)
                })
        };
        let top_level = there
            .iter()
            .filter(|submodule| !there.iter().any(|other| is_below(submodule, other)));
        let mut failed = Vec::new();
        for submodule in top_level.filter(|top| is_missing_in(top)) {
            if !self.update(Some(&submodule.path))?.end.is_good() {
                failed.push(submodule.path.clone());
            }
        }
        Ok(failed)
    }

    /// Fills submodules that were cloned but never checked out, which git takes for done. Returns whether there were any.
    fn fill_empty(&self, there: &[Submodule]) -> Result<bool> {
        let mut filled = false;
        for submodule in there
            .iter()
            .filter(|submodule| matches!(submodule.found, Found::WithoutIndex(_)))
        {
            let folder = self.git.checkout.folder.join(&submodule.path);
            if let Some(git_dir) = git::git_dir_of(&folder)? {
                filled |= self.git.fill_module(&git_dir, &folder)?.end.is_good();
            }
        }
        Ok(filled)
    }

    /// Where .gitmodules was changed since the last good deploy: lets submodules follow their new URL, also after one that
    /// could not be used. A URL that a person changed here (a token, an ssh alias) is none of those that were pushed, and
    /// stays. Returns what was changed.
    fn follow_changed_url(&self, below: &Path) -> Result<Vec<PathBuf>> {
        let Some(before) = self.before.commit_of(below) else {
            return Ok(Vec::new());
        };
        let tree = self.git.submodule(below);
        let between = if self.began_at_last_good {
            Vec::new()
        } else {
            tree.changes_of_gitmodules(before)?
        };
        if between.is_empty() && !self.before.had_other_gitmodules(self.git.checkout, below) {
            return Ok(Vec::new());
        }
        let old = tree.gitmodules(Some(before))?;
        let new = tree.gitmodules(None)?;
        let between = between.iter().map(|commit| tree.gitmodules(Some(commit)));
        let between: Vec<_> = between.collect::<Result<_>>()?;
        let in_use = tree.read_config()?;
        let superproject = in_use.a_remote_url();
        let mut changed = Vec::new();
        for (name, module) in &new {
            let Some(used) = in_use.last(&format!("submodule.{name}.url")) else {
                continue;
            };
            let is = |url: &str| {
                RemoteUrl::of_submodule(superproject.as_ref(), url)
                    .is_some_and(|url| url.as_str() == used)
            };
            let is_other = match old.get(name) {
                Some(_) => std::iter::once(&old)
                    .chain(&between)
                    .filter_map(|then| then.get(name))
                    .any(|then| then.url != module.url && is(&then.url)),
                // It was here once, went, and comes back.
                None => !is(&module.url),
            };
            // Or it was changed in the submodule itself.
            let place = tree.folder.join(&module.path);
            let is_theirs = is_other
                && git::git_dir_of(&place)?.is_some()
                && self.git.work_tree(&place).read_config()?.a_remote_url()
                    != Some(RemoteUrl::parse(used));
            if is_other && !is_theirs {
                changed.push(module.path.clone());
            }
        }
        if !changed.is_empty() {
            tree.submodule_sync(&changed)?;
        }
        Ok(changed)
    }

    /// Git leaves the folder of a submodule that was removed or moved. It goes where it holds nothing of a person's.
    fn clear_removed(&self, brought: &mut Brought) -> Result<()> {
        let gone = self.before.submodules.keys().map(Path::new).filter(|old| {
            let has_gone =
                |path: &Path| !brought.there.iter().any(|submodule| submodule.path == path);
            // With one that is gone goes what is nested in it.
            has_gone(old)
                && !self.before.submodules.keys().any(|other| {
                    let other = Path::new(other);
                    other != *old && old.starts_with(other) && has_gone(other)
                })
        });
        let mut remarks = Vec::new();
        for path in gone {
            match self.indexed_at(path)? {
                Indexed::Submodule => {}
                Indexed::Files(files) => {
                    if !self.clear_from_among(path, &files)? {
                        brought.replaced = Some(path.to_owned());
                    }
                }
                Indexed::Nothing => {
                    if !self.clear(path)? {
                        remarks.push(format!(
                            "the submodule {} was removed from the repository; its folder stays, since it holds untracked \
                             files or uncommitted changes",
                            redaction::excerpt(&path.to_string_lossy())
                        ));
                    }
                }
            }
        }
        brought.remarks.extend(remarks);
        Ok(())
    }

    /// What there is now where a submodule was. One that is told to stay away is not listed either.
    fn indexed_at(&self, path: &Path) -> Result<Indexed> {
        let folder = self.git.checkout.folder.join(path);
        // Nothing that would have to go.
        let none = Indexed::Submodule;
        if !folder.join(".git").is_file() {
            return Ok(none);
        }
        let superproject = folder
            .ancestors()
            .skip(1)
            .find(|above| above.join(".git").exists());
        let Some(superproject) = superproject else {
            return Ok(none);
        };
        let inside = folder
            .strip_prefix(superproject)
            .context("a folder is not where it is")?;
        let indexed = self.git.work_tree(superproject).indexed_at(inside)?;
        // One that a person has taken out of the index is in the commit still.
        if matches!(indexed, Indexed::Nothing)
            && self
                .git
                .work_tree(superproject)
                .gitlink_at("HEAD", inside)?
                .is_some()
        {
            return Ok(none);
        }
        Ok(indexed)
    }

    /// Removes the files of a submodule that became a folder of other files, which git leaves beside them, if it is as git
    /// left it. Returns whether it was.
    fn clear_from_among(&self, path: &Path, new: &BTreeSet<PathBuf>) -> Result<bool> {
        let folder = self.git.checkout.folder.join(path);
        if !self.is_as_left(path, &folder)? {
            return Ok(false);
        }
        let Some(index) = self.git.work_tree(&folder).index_if_untouched(new)? else {
            return Ok(false);
        };
        if index.iter().any(Entry::is_submodule) {
            return Ok(false);
        }
        for file in index.iter().map(|entry| &entry.path) {
            if !new.contains(file) {
                git::remove_if_there(&folder.join(file))?;
                git::remove_empty_parents(&folder, &folder.join(file));
            }
        }
        // Last: as long as it is there, this can be gone on with.
        git::remove_if_there(&folder.join(".git"))?;
        Ok(true)
    }

    /// Removes the folder of a submodule that was removed, if it is as git left it. Its repository stays in the git
    /// directory. Returns whether there is nothing left to say.
    fn clear(&self, path: &Path) -> Result<bool> {
        if !self.can_be_cleared(path)? {
            return Ok(false);
        }
        self.remove(path).map(|()| true)
    }

    /// Whether the folder of a submodule is as git left it, or not there.
    pub(crate) fn can_be_cleared(&self, path: &Path) -> Result<bool> {
        let folder = self.git.checkout.folder.join(path);
        Ok(git::git_dir_of(&folder)?.is_none()
            || self.is_as_left(path, &folder)? && self.git.work_tree(&folder).is_untouched()?)
    }

    /// Removes the folder of a submodule that can be cleared.
    pub(crate) fn remove(&self, path: &Path) -> Result<()> {
        let folder = self.git.checkout.folder.join(path);
        if git::git_dir_of(&folder)?.is_none() {
            return Ok(());
        }
        std::fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
        git::remove_empty_parents(&self.git.checkout.folder, &folder);
        Ok(())
    }

    /// Whether a submodule has its repository in ours and is at the commit that the last deploy left.
    fn is_as_left(&self, path: &Path, folder: &Path) -> Result<bool> {
        Ok(
            git::git_dir_of(folder)?.is_some_and(|git_dir| self.git.checkout.keeps(&git_dir))
                && self.git.work_tree(folder).head()?.as_ref() == self.before.commit_of(path),
        )
    }
}

/// Where the superproject of a submodule is below the checkout, and where the submodule is in it.
fn superproject_of<'s>(
    submodule: &'s Submodule,
    there: &'s [Submodule],
) -> Result<(&'s Path, &'s Path)> {
    let above = there.iter().filter(|other| is_below(submodule, other));
    let above = above.max_by_key(|other| other.path.components().count());
    let above = above.map_or(Path::new(""), |above| &above.path);
    let path = submodule.path.strip_prefix(above);
    Ok((
        above,
        path.context("a submodule is not below its superproject")?,
    ))
}

fn is_below(submodule: &Submodule, other: &Submodule) -> bool {
    submodule.path != other.path && submodule.path.starts_with(&other.path)
}
