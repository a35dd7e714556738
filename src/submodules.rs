//! Bringing submodules to where they belong, and making sure that they are there: an exit code of 0 is no evidence.
//!
//! Must not know turns, tickets or reports.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::git::{self, Config, Found, Git, Gitlink, Submodule};
use crate::last_good::LastGood;
use crate::process::Ended;
use crate::save::save;
use crate::site::{Submodules, Update};

/// Brings the submodules of one checkout.
pub(crate) struct Bringer<'b> {
    pub(crate) git: &'b Git<'b>,
    pub(crate) config: &'b Config,
    pub(crate) mode: Submodules,
    pub(crate) update: Update,
    /// What the last good deploy left.
    pub(crate) before: &'b LastGood,
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
}

impl Bringer<'_> {
    /// Brings every submodule to the commit that its superproject records, or with `"latest"` to the tip of its branch.
    pub(crate) fn bring(&self) -> Result<Brought> {
        let mut brought = Brought {
            there: Vec::new(),
            ended: None,
            remarks: Vec::new(),
        };
        if self.mode == Submodules::Skip {
            return Ok(brought);
        }
        if git::may_have_submodules(&self.git.checkout.folder)? {
            self.follow_changed_url(Path::new(""))?;
            let listed = self.git.top_level()?;
            // With several submodules the list is needed before, otherwise while git is at work.
            let (mut there, mut ended) = if self.before.submodules.len() > 1 {
                let top_level = listed.end(self.git)?;
                self.fetch_in_parallel(&top_level)?;
                self.update_until_there(|| Ok(top_level))?
            } else {
                self.update_until_there(|| listed.end(self.git))?
            };
            if self.update == Update::Reset && self.reset_edited(&there, &mut brought.remarks)? {
                ended = self.update(None)?;
                there = self.git.submodules()?;
            }
            brought.there = there;
            brought.ended = Some(ended);
        }
        self.clear_removed(&mut brought)?;
        Ok(brought)
    }

    /// The submodules that are not where they belong.
    pub(crate) fn missing<'t>(&self, there: &'t [Submodule]) -> Vec<&'t Submodule> {
        there
            .iter()
            .filter(|submodule| !self.is_there(submodule))
            .collect()
    }

    fn is_there(&self, submodule: &Submodule) -> bool {
        match self.mode {
            Submodules::Recorded => submodule.is_there(),
            Submodules::Latest | Submodules::Skip => matches!(submodule.found, Found::At(_)),
        }
    }

    fn update_until_there(
        &self,
        top_level: impl FnOnce() -> Result<Vec<Gitlink>>,
    ) -> Result<(Vec<Submodule>, Ended)> {
        let mut ended = self.update(None)?;
        let mut there = self.git.submodules_of(&top_level()?)?;
        // New commits may bring new URLs for what is nested in them.
        let mut synced = false;
        for submodule in there
            .iter()
            .filter(|submodule| submodule.found != Found::Nothing)
        {
            synced |= self.follow_changed_url(&submodule.path)?;
        }
        if synced || ended.is_a_failure() {
            if !synced {
                std::thread::sleep(self.retry_pause);
            }
            ended = self.update(None)?;
            there = self.git.submodules()?;
        }
        if ended.is_a_failure() {
            self.update_each(&there)?;
            there = self.git.submodules()?;
        }
        if self.fill_empty(&there)? {
            ended = self.update(None)?;
            there = self.git.submodules()?;
        }
        Ok((there, ended))
    }

    fn update(&self, only: Option<&Path>) -> Result<Ended> {
        self.git.submodule_update(self.config, self.mode, only)
    }

    /// Git fetches existing submodules one after the other. Where several have new commits, they are fetched at the same
    /// time before it looks; whether that works shows when it does.
    fn fetch_in_parallel(&self, top_level: &[Gitlink]) -> Result<()> {
        let there = self.git.submodules_of(top_level)?;
        let behind: Vec<PathBuf> = there
            .iter()
            .filter(|submodule| match &submodule.found {
                Found::At(commit) => {
                    self.mode == Submodules::Latest || *commit != submodule.recorded
                }
                Found::WithoutIndex(_) | Found::Nothing => false,
            })
            .map(|submodule| self.git.checkout.folder.join(&submodule.path))
            .collect();
        if behind.len() > 1 {
            self.git.fetch_all(&behind, self.config)
        } else {
            Ok(())
        }
    }

    /// Git stops at the first submodule that fails; the rest is brought one by one.
    fn update_each(&self, there: &[Submodule]) -> Result<()> {
        let is_missing_in = |top: &Submodule| {
            there
                .iter()
                .any(|submodule| submodule.path.starts_with(&top.path) && !self.is_there(submodule))
        };
        let top_level = there
            .iter()
            .filter(|submodule| !there.iter().any(|other| is_below(submodule, other)));
        let missing: Vec<_> = top_level.filter(|top| is_missing_in(top)).collect();
        if missing.len() > 1 {
            for submodule in missing {
                self.update(Some(&submodule.path))?;
            }
        }
        Ok(())
    }

    /// Makes the tracked files of submodules those of their commit, and keeps what that removes. Returns whether any was
    /// touched.
    fn reset_edited(&self, there: &[Submodule], remarks: &mut Vec<String>) -> Result<bool> {
        let mut any = false;
        for submodule in there {
            let Found::At(commit) = &submodule.found else {
                continue;
            };
            let folder = self.git.checkout.folder.join(&submodule.path);
            let is_there = self.is_there(submodule);
            if is_there && self.git.edited(&folder)?.is_empty() {
                continue;
            }
            let target = if is_there {
                commit
            } else {
                &submodule.recorded
            };
            if !self.git.has_commit(&folder, target)? {
                continue;
            }
            let kept = save(self.git, self.config, &folder, target)?;
            remarks.extend(
                kept.map(|kept| format!("in the submodule {} {kept}", submodule.path.display())),
            );
            self.git.reset(&folder, self.config, target)?;
            any = true;
        }
        Ok(any)
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
                filled |= self.git.fill(&git_dir, &folder, self.config)?.end.is_good();
            }
        }
        Ok(filled)
    }

    /// Where .gitmodules differs from the last good deploy: lets submodules follow their new URL. A URL that a person
    /// changed here (a token, an ssh alias) is neither the old nor the new one, and stays.
    fn follow_changed_url(&self, below: &Path) -> Result<bool> {
        let folder = self.git.checkout.folder.join(below);
        if !self.before.had_other_gitmodules(self.git.checkout, below) {
            return Ok(false);
        }
        let Some(before) = self.before.commit_of(below) else {
            return Ok(false);
        };
        let (old, new) = (
            self.git.gitmodules(&folder, Some(before))?,
            self.git.gitmodules(&folder, None)?,
        );
        let in_use = self.git.config_in(&folder)?;
        let is_relative = |url: &str| url.starts_with("./") || url.starts_with("../");
        let changed: Vec<PathBuf> = new
            .iter()
            .filter(|(name, module)| {
                old.get(*name).is_some_and(|old| {
                    let used = in_use.last(&format!("submodule.{name}.url"));
                    old.url != module.url
                        && used.is_some_and(|used| used == old.url || is_relative(&old.url))
                })
            })
            .map(|(_, module)| module.path.clone())
            .collect();
        if changed.is_empty() {
            return Ok(false);
        }
        Ok(self
            .git
            .submodule_sync(&folder, self.config, &changed)?
            .end
            .is_good())
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
            if self.is_gone_from_the_index(path)? && !self.clear(path)? {
                remarks.push(format!(
                    "the submodule {} was removed from the repository; its folder stays, since it holds files that git does \
                     not know or that were changed here",
                    path.display()
                ));
            }
        }
        brought.remarks.extend(remarks);
        Ok(())
    }

    /// A submodule that is told to stay away is not listed either.
    fn is_gone_from_the_index(&self, path: &Path) -> Result<bool> {
        let folder = self.git.checkout.folder.join(path);
        if !folder.join(".git").is_file() {
            return Ok(false);
        }
        let superproject = folder
            .ancestors()
            .skip(1)
            .find(|above| above.join(".git").exists());
        let Some(superproject) = superproject else {
            return Ok(false);
        };
        let inside = folder
            .strip_prefix(superproject)
            .context("a folder is not where it is")?;
        self.git.is_not_in_index(superproject, inside)
    }

    /// Removes the folder of a submodule that was removed, if it is as git left it. Its repository stays in the git
    /// directory. Returns whether there is nothing left to say.
    pub(crate) fn clear(&self, path: &Path) -> Result<bool> {
        let folder = self.git.checkout.folder.join(path);
        let Some(git_dir) = git::git_dir_of(&folder)? else {
            return Ok(true);
        };
        let of_ours = git_dir.canonicalize().is_ok_and(|git_dir| {
            self.git
                .checkout
                .git_dir
                .canonicalize()
                .is_ok_and(|ours| git_dir.starts_with(ours))
        });
        let as_left = self.git.head_of(&folder)?.as_deref() == self.before.commit_of(path);
        if !of_ours || !as_left || !self.git.is_untouched(&folder)? {
            return Ok(false);
        }
        std::fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
        git::remove_empty_parents(&self.git.checkout.folder, &folder);
        Ok(true)
    }
}

fn is_below(submodule: &Submodule, other: &Submodule) -> bool {
    submodule.path != other.path && submodule.path.starts_with(&other.path)
}
