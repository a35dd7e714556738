//! The submodules brought to where they belong, and looked at afterwards: an exit code of 0 is no evidence.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::aim::Aim;
use super::failure::StepFailed;
use super::journal::Journal;
use super::update::Update;
use crate::backup::{keep_head, untracked_in_the_way};
use crate::commit_id::CommitId;
use crate::diagnosis::Cause;
use crate::files::{make_private_folder, remove_empty_parents, remove_if_there};
use crate::git::{self, Found, Gitlink, Indexed, Listed, MissingFrom, Submodule};
use crate::outcome::Step;
use crate::process::Ended;
use crate::redaction;
use crate::remote_url::RemoteUrl;
use crate::site::{self, Submodules};

/// The submodules that are about to be moved, by path, and the commit that each will be at.
type Moves<'s> = BTreeMap<&'s Path, CommitId>;

impl Update<'_> {
    /// Brings every submodule to the commit that its superproject records, or with `"latest"` to the tip of its branch.
    /// `fetched` are those that were fetched beside the pull. Returns what is there.
    pub(super) fn submodules(
        &self,
        head: &CommitId,
        fetched: &[PathBuf],
        journal: &mut Journal<'_>,
    ) -> Result<Listed, StepFailed> {
        if self.mode() == Submodules::Skip {
            return Ok(Listed::default());
        }
        let top_level = self.top_level(head)?;
        let mut listed = self.recorded_by(&top_level)?;
        if !listed.there.is_empty() {
            let synced = self.sync_changed_urls(Path::new(""))?;
            if !(synced.is_empty() && self.are_there(&listed)) {
                listed = self.update_listed(&top_level, &listed, &synced, fetched, journal)?;
            }
        }
        listed.there = self.restore(listed.there)?;
        self.clear_removed(&listed.there, journal)?;
        Ok(listed)
    }

    /// Whether git has nothing to do for these, and there is nothing of a person's to be kept before.
    fn are_there(&self, listed: &Listed) -> bool {
        let is_there = |it: &Submodule| {
            it.is_there(Submodules::Recorded)
                && self.before.commit_of(&it.path) == Some(&it.recorded)
        };
        self.mode() == Submodules::Recorded
            && self.update_kind() == site::Update::FastForward
            && listed.there.iter().all(is_there)
    }

    /// The submodules that a commit of the checkout records. What the last good deploy left tells most of it without git.
    fn top_level(&self, head: &CommitId) -> Result<Vec<Gitlink>> {
        let top = self.git.top();
        if let Some(old) = &self.before.head
            && let Some(known) = self.before.recorded_in(Path::new(""))
            && let Some(gitlinks) = top.gitlinks_after(old, known, head)?
        {
            return Ok(gitlinks);
        }
        top.gitlinks()
    }

    /// These, and what they record themselves.
    fn recorded_by(&self, top_level: &[Gitlink]) -> Result<Listed> {
        self.git.submodules_by(&|tree, below| {
            if below.as_os_str().is_empty() {
                return Ok(top_level.to_vec());
            }
            let known = self.before.recorded_in(below);
            match (known, tree.found()?, self.before.commit_of(below)) {
                (Some(known), Found::At(now), Some(old)) if now == *old => Ok(known),
                _ => tree.gitlinks(),
            }
        })
    }

    /// The same; where any is not where it belongs, by the index, which is what git goes by.
    fn recorded_now(&self, top_level: &[Gitlink]) -> Result<Listed> {
        let listed = self.recorded_by(top_level)?;
        if listed.there.iter().all(|it| it.is_there(self.mode())) {
            return Ok(listed);
        }
        self.git.submodules_by(&|tree, _| tree.gitlinks())
    }

    /// Back means to what was recorded then.
    pub(super) fn mode(&self) -> Submodules {
        match (self.deploy.aim, self.deploy.site.submodules) {
            (Aim::Back(_), Submodules::Latest) => Submodules::Recorded,
            (_, mode) => mode,
        }
    }

    fn update_kind(&self) -> site::Update {
        match self.deploy.aim {
            Aim::Back(_) => site::Update::Reset,
            Aim::Tip | Aim::Green(_) => self.deploy.site.update,
        }
    }

    /// Brings submodules to where an earlier deploy left them, where the checkout does not record that.
    fn restore(&self, mut there: Vec<Submodule>) -> Result<Vec<Submodule>, StepFailed> {
        let Aim::Back(target) = self.deploy.aim else {
            return Ok(there);
        };
        // One moves what is nested in it.
        let mut moved = BTreeSet::new();
        loop {
            let elsewhere = there.iter().find_map(|submodule| {
                let wanted = target.commit_of(&submodule.path)?;
                let is_there = submodule.found == Found::At(wanted.clone());
                (!is_there).then(|| (submodule.path.clone(), wanted))
            });
            let Some((path, wanted)) = elsewhere else {
                return Ok(there);
            };
            if moved.contains(&path) {
                return Err(StepFailed::behind(path, Cause::SubmodulesMissing));
            }
            let submodule = self.git.submodule(&path);
            submodule.check_out(wanted)?;
            submodule.update_nested()?;
            moved.insert(path);
            there = self.git.submodules()?;
        }
    }

    fn update_listed(
        &self,
        top_level: &[Gitlink],
        listed: &Listed,
        synced: &[PathBuf],
        fetched: &[PathBuf],
        journal: &mut Journal<'_>,
    ) -> Result<Listed, StepFailed> {
        journal.begins(Step::Submodules);
        self.fetch_in_parallel(&listed.there, fetched)?;
        self.keep_what_is_the_persons(&listed.there, journal)?;
        self.close_modules()?;
        let (listed, ended, failed) = self.update_until_there(top_level, synced)?;
        let missing = listed.there.iter();
        let missing = missing.filter(|submodule| !submodule.is_there(self.mode()));
        let mut missing: Vec<_> = missing.map(|submodule| submodule.path.clone()).collect();
        if self.mode() == Submodules::Latest {
            missing.extend(failed);
            missing.dedup();
        }
        let is_good = ended.end.is_good();
        let step = journal.git_ended(&ended, self.git);
        if missing.is_empty() && is_good {
            return Ok(listed);
        }
        let mut failed = match step {
            Err(failed) => failed,
            Ok(()) => StepFailed::stated(Step::Submodules, self.why_missing(&missing)?),
        };
        failed.behind = missing;
        Err(failed)
    }

    /// Where others cannot read the configuration of the checkout, since it may have a login in the remote's URL, they cannot
    /// read those of submodules either: a relative URL hands the login on.
    fn close_modules(&self) -> Result<()> {
        let git_dir = &self.git.checkout.git_dir;
        let config = git::common_dir(git_dir).join("config").metadata();
        if !config.is_ok_and(|file| file.mode() & 0o777 == 0o600) {
            return Ok(());
        }
        let modules = git_dir.join("modules");
        make_private_folder(&modules)
            .with_context(|| format!("cannot close {} to others", modules.display()))
    }

    /// Why submodules are missing although git says that all is well.
    fn why_missing(&self, missing: &[PathBuf]) -> Result<Cause> {
        let known = self.git.top().gitmodules(None)?;
        let is_known = |path: &Path| known.values().any(|module| path.starts_with(&module.path));
        Ok(match missing.first() {
            Some(path) if !is_known(path) => Cause::NotASubmodule(path.clone()),
            Some(_) | None => Cause::SubmodulesMissing,
        })
    }

    /// Before git moves submodules: with `"reset"`, what is in them of a person's is kept and removed; else a commit that
    /// no branch has is given a name, and files that git ignores, which it would write over, keep it from being moved.
    fn keep_what_is_the_persons(
        &self,
        there: &[Submodule],
        journal: &mut Journal<'_>,
    ) -> Result<(), StepFailed> {
        let moves = self.moves(there)?;
        for submodule in there {
            let Found::At(commit) = &submodule.found else {
                continue;
            };
            let target = moves.get(&*submodule.path).unwrap_or(commit);
            let kept = match self.update_kind() {
                site::Update::Reset => self.keep_by_a_reset(submodule, commit, target)?,
                site::Update::FastForward => self.keep_by_name(submodule, commit, target)?,
            };
            let path = redaction::line_of(&submodule.path);
            journal.remarks(kept.map(|kept| format!("in the submodule {path} {kept}")));
        }
        Ok(())
    }

    /// The submodules that will be moved, by path, and the commit that each will be at. Nested ones are fetched as soon as the
    /// one is there that they are in, all of a level at the same time.
    fn moves<'t>(&self, there: &'t [Submodule]) -> Result<Moves<'t>> {
        let mut moves = Moves::new();
        let mut rest: Vec<_> = there.iter().collect();
        while !rest.is_empty() {
            let undecided: BTreeSet<_> = rest.iter().map(|it| &it.path).collect();
            let is_next = |it: &&Submodule| !undecided.contains(&it.superproject);
            let (next, later) = rest.iter().copied().partition(is_next);
            rest = later;
            let mut behind = Vec::new();
            for submodule in next {
                let Found::At(commit) = &submodule.found else {
                    continue;
                };
                let target = self.target_of(submodule, commit, &moves)?;
                if target == *commit {
                    continue;
                }
                let is_nested = submodule.path != submodule.path_there;
                if is_nested && !self.git.submodule(&submodule.path).has_commit(&target)? {
                    behind.push(submodule.path.as_path());
                }
                moves.insert(&submodule.path, target);
            }
            self.git.fetch_all(behind);
        }
        Ok(moves)
    }

    /// The commit that a submodule will be at.
    fn target_of(
        &self,
        submodule: &Submodule,
        commit: &CommitId,
        moves: &Moves<'_>,
    ) -> Result<CommitId> {
        let (elsewhere, otherwise) = match self.mode() {
            Submodules::Recorded => (self.to_be_recorded(submodule, moves)?, &submodule.recorded),
            Submodules::Latest => (self.git.tip_of(submodule)?, commit),
            Submodules::Skip => (None, commit),
        };
        Ok(elsewhere.unwrap_or_else(|| otherwise.clone()))
    }

    fn keep_by_a_reset(
        &self,
        submodule: &Submodule,
        commit: &CommitId,
        target: &CommitId,
    ) -> Result<Option<String>> {
        let work_tree = self.git.submodule(&submodule.path);
        let edits = work_tree.edits()?;
        if (commit == target && edits.is_empty()) || !work_tree.has_commit(target)? {
            return Ok(None);
        }
        let known = self.before.commit_left(&submodule.path);
        let kept = self
            .backup
            .before_reset(&work_tree, &edits, target, known)?;
        work_tree.reset(target.as_str())?;
        Ok(kept)
    }

    fn keep_by_name(
        &self,
        submodule: &Submodule,
        commit: &CommitId,
        target: &CommitId,
    ) -> Result<Option<String>, StepFailed> {
        let work_tree = self.git.submodule(&submodule.path);
        let mut kept = None;
        // Where the last deploy left it, there is nothing of a person's. And what cannot be fetched is not moved to.
        if self.before.commit_left(&submodule.path) != Some(commit)
            && work_tree.has_commit(target)?
        {
            let known = self.before.commit_left(&submodule.path);
            kept = keep_head(&work_tree, target, known)?;
        }
        if commit != target {
            // Where it could not be fetched, git says so when it is to be moved, and of a tracked file that is edited.
            let files =
                untracked_in_the_way(&work_tree, target, MissingFrom::Index)?.unwrap_or_default();
            if !files.is_empty() {
                let cause = Cause::IgnoredInTheWay {
                    submodule: submodule.path.clone(),
                    paths: files.into_iter().collect(),
                };
                return Err(StepFailed::stated(Step::Submodules, cause));
            }
        }
        Ok(kept)
    }

    /// The commit that will be recorded for a nested submodule once the one it is in is moved; `None` where that stays,
    /// and where it will have none.
    fn to_be_recorded(&self, submodule: &Submodule, moves: &Moves<'_>) -> Result<Option<CommitId>> {
        let above = &submodule.superproject;
        let superproject = self.git.submodule(above);
        match moves.get(&**above) {
            Some(target) if superproject.has_commit(target)? => {
                superproject.gitlink_at(target.as_str(), &submodule.path_there)
            }
            Some(_) | None => Ok(None),
        }
    }

    /// Returns what is there afterwards, how the last command ended, and which failed when they were updated one by one.
    fn update_until_there(
        &self,
        top_level: &[Gitlink],
        synced: &[PathBuf],
    ) -> Result<(Listed, Ended, Vec<PathBuf>)> {
        let update_all = || self.git.submodule_update(self.mode(), None);
        let mut ended = update_all()?;
        let mut listed = self.recorded_now(top_level)?;
        // New commits may bring new URLs for what is nested in them.
        let mut has_new_urls = false;
        for submodule in listed
            .there
            .iter()
            .filter(|known| known.found != Found::Nothing)
        {
            has_new_urls |= !self.sync_changed_urls(&submodule.path)?.is_empty();
        }
        if has_new_urls {
            ended = update_all()?;
            listed = self.recorded_now(top_level)?;
        }
        let mut failed = Vec::new();
        if ended.is_a_failure() {
            std::thread::sleep(self.retry_pause());
            // One that came back has its old repository, which only now is where git looks for its URL.
            if !synced.is_empty() {
                self.git.top().submodule_sync(synced)?;
            }
            // Git stops at the first that fails.
            for path in self.to_be_updated(&listed.there) {
                let updated = self.git.submodule_update(self.mode(), Some(path))?;
                let is_good = updated.end.is_good();
                if failed.is_empty() {
                    ended = updated;
                }
                if !is_good {
                    failed.push(path.to_owned());
                }
            }
            listed = self.recorded_now(top_level)?;
        }
        if self.fill_empty(&listed.there)? {
            ended = update_all()?;
            listed = self.recorded_now(top_level)?;
        }
        Ok((listed, ended, failed))
    }

    /// Fetches what submodules lack that are to be moved, all at the same time: git itself does it one after the other,
    /// and what they will be is to be looked at before. Whether it works shows when they are moved.
    fn fetch_in_parallel(&self, there: &[Submodule], fetched: &[PathBuf]) -> Result<()> {
        let mut behind = Vec::new();
        let is_back = self.deploy.aim.is_back();
        for submodule in there {
            let just_now = fetched.contains(&submodule.path);
            let work_tree = self.git.submodule(&submodule.path);
            let is_behind = match (&submodule.found, self.mode()) {
                (Found::At(_), Submodules::Latest) => !just_now,
                (Found::At(commit), Submodules::Recorded | Submodules::Skip) => {
                    *commit != submodule.recorded
                        && !((just_now || is_back) && work_tree.has_commit(&submodule.recorded)?)
                }
                (Found::WithoutIndex(_) | Found::Nothing, _) => false,
            };
            if is_behind {
                behind.push(submodule.path.as_path());
            }
        }
        self.git.fetch_all(behind);
        Ok(())
    }

    /// The submodules of the checkout itself that are not where they should be, or have one in them that is not. With
    /// `"latest"` it does not show where one should be.
    fn to_be_updated<'t>(&self, there: &'t [Submodule]) -> impl Iterator<Item = &'t Path> {
        let mode = self.mode();
        let is_missing =
            move |top: &Path, it: &Submodule| it.path.starts_with(top) && !it.is_there(mode);
        let top_level = there.iter().filter(|it| it.path == it.path_there);
        let top_level = top_level.map(|top| top.path.as_path());
        top_level.filter(move |top| {
            mode == Submodules::Latest || there.iter().any(|it| is_missing(top, it))
        })
    }

    /// Fills submodules that were cloned but never checked out, which git takes for done. Returns whether there were any.
    fn fill_empty(&self, there: &[Submodule]) -> Result<bool> {
        let mut has_filled = false;
        for submodule in there {
            let folder = self.git.checkout.folder.join(&submodule.path);
            if matches!(submodule.found, Found::WithoutIndex(_))
                && let Some(git_dir) = git::git_dir_of(&folder)?
            {
                let work_tree = self.git.work_tree_of(git_dir, folder);
                has_filled |= work_tree.reset("HEAD")?.end.is_good();
            }
        }
        Ok(has_filled)
    }

    /// Where .gitmodules differs from the last good deploy: lets submodules follow their new URL. A URL that a person
    /// changed here (a token, an ssh alias) is neither the old nor the new one, and stays. Returns what was changed.
    fn sync_changed_urls(&self, below: &Path) -> Result<Vec<PathBuf>> {
        let Some(before) = self.before.commit_of(below) else {
            return Ok(Vec::new());
        };
        let superproject = self.git.submodule(below);
        let mut then = Vec::new();
        if !self.began_at_last_good {
            then = superproject.changes_of_gitmodules(before)?;
        }
        if then.is_empty() && !self.before.had_other_gitmodules(self.git.checkout, below) {
            return Ok(Vec::new());
        }
        let new = superproject.gitmodules(None)?;
        let then = std::iter::once(before).chain(&then);
        let then = then.map(|commit| superproject.gitmodules(Some(commit)));
        let then: Vec<_> = then.collect::<Result<_>>()?;
        let in_use = superproject.read_config()?;
        let base = in_use.a_remote_url();
        let mut changed = Vec::new();
        for (name, module) in &new {
            let Some(used) = in_use.last(&format!("submodule.{name}.url")) else {
                continue;
            };
            let is_used = |url: &str| {
                RemoteUrl::of_submodule(base.as_ref(), url).is_some_and(|url| url.as_str() == used)
            };
            let mut urls = then.iter().filter_map(|then| Some(&then.get(name)?.url));
            // Where there is none, it was here once, went, and comes back.
            let is_other = if then[0].contains_key(name) {
                urls.any(|url| *url != module.url && is_used(url))
            } else {
                !is_used(&module.url)
            };
            // Or it was changed in the submodule itself.
            let place = self.git.submodule(&below.join(&module.path));
            let is_theirs = is_other
                && place.git_dir()?.is_some()
                && place.read_config()?.a_remote_url() != Some(RemoteUrl::parse(used));
            if is_other && !is_theirs {
                changed.push(module.path.clone());
            }
        }
        if !changed.is_empty() {
            superproject.submodule_sync(&changed)?;
        }
        Ok(changed)
    }

    /// Git leaves the folder of a submodule that was removed or moved. It goes where it holds nothing of a person's.
    fn clear_removed(
        &self,
        there: &[Submodule],
        journal: &mut Journal<'_>,
    ) -> Result<(), StepFailed> {
        let has_gone = |path: &Path| !there.iter().any(|submodule| submodule.path == path);
        // With one that is gone goes what is nested in it.
        let gone = self.before.submodules.keys().map(Path::new).filter(|old| {
            has_gone(old)
                && !self.before.submodules.keys().any(|other| {
                    let other = Path::new(other);
                    other != *old && old.starts_with(other) && has_gone(other)
                })
        });
        for path in gone {
            let folder = self.git.checkout.folder.join(path);
            let mut above = folder.ancestors().skip(1);
            let Some(superproject) = above.find(|above| above.join(".git").exists()) else {
                continue;
            };
            // One that git skips is not listed either.
            if !folder.join(".git").is_file() {
                continue;
            }
            let inside = folder.strip_prefix(superproject).unwrap_or(path);
            let superproject = self.git.work_tree(superproject);
            match superproject.indexed_at(inside)? {
                Indexed::Submodule => {}
                // A person has taken it out of the index.
                Indexed::Nothing if superproject.gitlink_at("HEAD", inside)?.is_some() => {}
                Indexed::Files(files) if self.clear_from_among(path, &files)? => {}
                Indexed::Files(_) => {
                    let cause = Cause::SubmoduleBecameFiles(path.to_owned());
                    return Err(StepFailed::stated(Step::Submodules, cause));
                }
                Indexed::Nothing if self.can_be_cleared(path)? => self.remove(path)?,
                Indexed::Nothing => journal.remark(format!(
                    "the submodule {} was removed from the repository; its folder stays, since it holds untracked files or \
                     uncommitted changes",
                    redaction::line_of(path)
                )),
            }
        }
        Ok(())
    }

    /// Removes the files of a submodule that became a folder of other files, which git leaves beside them, if it is as git
    /// left it. Returns whether it was.
    fn clear_from_among(&self, path: &Path, new: &BTreeSet<PathBuf>) -> Result<bool> {
        if !self.is_as_left(path)? {
            return Ok(false);
        }
        let work_tree = self.git.submodule(path);
        let Some(index) = work_tree.index_if_untouched(new)? else {
            return Ok(false);
        };
        if index.iter().any(git::Entry::is_submodule) {
            return Ok(false);
        }
        let folder = &work_tree.folder;
        for file in index.iter().map(|entry| &entry.path) {
            if !new.contains(file) {
                let file = folder.join(file);
                remove_if_there(&file)?;
                remove_empty_parents(folder, &file);
            }
        }
        // Last: as long as it is there, this can be gone on with.
        remove_if_there(&folder.join(".git"))?;
        Ok(true)
    }

    /// Whether the folder of a submodule is as git left it, or not there.
    pub(super) fn can_be_cleared(&self, path: &Path) -> Result<bool> {
        let work_tree = self.git.submodule(path);
        Ok(work_tree.git_dir()?.is_none() || self.is_as_left(path)? && work_tree.is_untouched()?)
    }

    /// Removes the folder of a submodule that can be cleared. Its repository stays in the git directory.
    pub(super) fn remove(&self, path: &Path) -> Result<()> {
        let work_tree = self.git.submodule(path);
        if work_tree.git_dir()?.is_none() {
            return Ok(());
        }
        let folder = &work_tree.folder;
        std::fs::remove_dir_all(folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
        remove_empty_parents(&self.git.checkout.folder, folder);
        Ok(())
    }

    /// Whether a submodule has its repository in ours and is at the commit that the last deploy left.
    fn is_as_left(&self, path: &Path) -> Result<bool> {
        let work_tree = self.git.submodule(path);
        let is_ours = |git_dir: PathBuf| self.git.checkout.keeps(&git_dir);
        Ok(work_tree.git_dir()?.is_some_and(is_ours)
            && work_tree.head()?.as_ref() == self.before.commit_of(path))
    }
}
