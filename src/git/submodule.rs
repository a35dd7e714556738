//! Submodules: which there are and what is there of each, `git submodule`, and the repositories that git keeps of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::Result;

use super::checkout::{gitmodules_text, is_git_dir, passes_a_link};
use super::command::must;
use super::config::{Config, Module};
use super::index::{Gitlink, LIST_INDEX, gitlinks_in};
use super::{Git, WorkTree};
use crate::commit_id::CommitId;
use crate::process::{End, Ended};
use crate::remote_url::RemoteUrl;
use crate::site::Submodules;

/// The key in .gitmodules that keeps a submodule away.
const UPDATE: &[u8] = b"update";

/// What git takes for false (git-config(1)).
const NO: [&str; 5] = ["false", "no", "off", "0", ""];

/// How many submodules are cloned at a time.
const CLONES_AT_A_TIME: &str = "4";

/// A submodule, at any level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Submodule {
    /// Below the top of the checkout.
    pub(crate) path: PathBuf,
    /// Where its superproject is below the top of the checkout.
    pub(crate) superproject: PathBuf,
    /// Where it is in its superproject.
    pub(crate) path_there: PathBuf,
    /// The commit that its superproject records.
    pub(crate) recorded: CommitId,
    pub(crate) found: Found,
}

impl Submodule {
    /// Whether it is where it belongs; at its branch's tip or not does not show here.
    pub(crate) fn is_there(&self, mode: Submodules) -> bool {
        match (&self.found, mode) {
            (Found::At(commit), Submodules::Recorded) => *commit == self.recorded,
            (Found::At(_), Submodules::Latest | Submodules::Skip) => true,
            (Found::WithoutIndex(_) | Found::Nothing, _) => false,
        }
    }
}

/// The submodules of a checkout.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub(crate) there: Vec<Submodule>,
    /// Whether there are any that git skips.
    pub(crate) has_skipped: bool,
}

/// Tells what a work tree records.
type ListGitlinks<'l> = dyn Fn(&WorkTree<'_>, &Path) -> Result<Vec<Gitlink>> + 'l;

/// What is there of a submodule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// This commit, with an index.
    At(CommitId),
    /// A repository whose HEAD is this commit, but nothing was ever checked out: git itself takes that for done.
    WithoutIndex(CommitId),
    /// No repository, or one without a commit.
    Nothing,
}

/// How far the repository of a submodule has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ModuleState {
    /// Whether its HEAD is a commit.
    pub(crate) has_commit: bool,
    /// Whether it has anything by a name of a person's: a branch, a stash, what a reset kept.
    pub(crate) has_refs: bool,
}

/// Where a submodule comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// Below the checkout.
    pub(crate) path: PathBuf,
    /// The branch that it follows; `None` for its remote's default.
    pub(crate) branch: Option<String>,
}

impl Git<'_> {
    /// `git submodule update --init --recursive`, of all or of one.
    pub(crate) fn submodule_update(&self, mode: Submodules, only: Option<&Path>) -> Result<Ended> {
        // What is nested in those that came is known now.
        self.rewrite_urls()?;
        let update = self.writing("submodule update --init --recursive");
        let update = update.args(["--jobs", CLONES_AT_A_TIME]);
        let update = update.args(self.progress_option());
        let update = match mode {
            Submodules::Latest => update.arg("--remote"),
            Submodules::Recorded | Submodules::Skip => update,
        };
        match only {
            Some(path) => update.arg("--").arg(path),
            None => update,
        }
        .write()
    }

    /// Every submodule, nested ones after the one they are in. Those that git skips (`update = none`, inactive) are left out.
    pub(crate) fn submodules(&self) -> Result<Vec<Submodule>> {
        let listed = self.submodules_by(&|tree, _| tree.gitlinks());
        listed.map(|listed| listed.there)
    }

    /// The same, where the caller says what a work tree records, by where that is below the checkout.
    pub(crate) fn submodules_by(&self, recorded: &ListGitlinks<'_>) -> Result<Listed> {
        let mut listed = Listed::default();
        self.collect_submodules(Path::new(""), recorded, &mut listed)?;
        Ok(listed)
    }

    fn collect_submodules(
        &self,
        below: &Path,
        recorded: &ListGitlinks<'_>,
        listed: &mut Listed,
    ) -> Result<()> {
        let superproject = self.submodule(below);
        let mut skipped = None;
        for Gitlink { path, commit } in &recorded(&superproject, below)? {
            let path_below = below.join(path);
            let inside = self.submodule(&path_below);
            let submodule = Submodule {
                path: path_below,
                superproject: below.to_owned(),
                path_there: path.clone(),
                recorded: commit.clone(),
                found: if passes_a_link(&superproject.folder, path) {
                    Found::Nothing
                } else {
                    inside.found()?
                },
            };
            if !submodule.is_there(Submodules::Recorded) {
                let skipped = match &mut skipped {
                    Some(skipped) => skipped,
                    None => skipped.insert(superproject.skipped_submodules()?),
                };
                if skipped.contains(path) {
                    listed.has_skipped = true;
                    continue;
                }
            }
            let is_populated = submodule.found != Found::Nothing;
            let below = submodule.path.clone();
            listed.there.push(submodule);
            if is_populated {
                self.collect_submodules(&below, recorded, listed)?;
            }
        }
        Ok(())
    }

    /// The submodules, at any level, whose repository this is.
    pub(crate) fn submodules_from(&self, repository: &str) -> Result<Vec<Source>> {
        let mut found = Vec::new();
        let config = self.config()?;
        self.collect_sources(Path::new(""), repository, &config, &mut found)?;
        Ok(found)
    }

    fn collect_sources(
        &self,
        below: &Path,
        repository: &str,
        config: &Config,
        found: &mut Vec<Source>,
    ) -> Result<()> {
        let superproject = self.submodule(below);
        if !superproject.folder.join(".gitmodules").exists() {
            return Ok(());
        }
        for (name, module) in &superproject.gitmodules(None)? {
            // Once initialised, the configuration has the URL that is used, and never a relative one.
            let url = config.last(&format!("submodule.{name}.url"));
            let url = RemoteUrl::parse(url.unwrap_or(&module.url));
            let path = below.join(&module.path);
            let inside = self.submodule(&path);
            if url.repository().is_some_and(|theirs| theirs == repository) {
                let branch = superproject.branch_of(name, module, config)?;
                found.push(Source {
                    path: path.clone(),
                    branch,
                });
            }
            // Only in a repository of its own: in a folder of plain files git would take them for one, and obey them.
            if inside.folder.join(".gitmodules").exists() && inside.git_dir()?.is_some() {
                self.collect_sources(&path, repository, &inside.read_config()?, found)?;
            }
        }
        Ok(())
    }

    /// The tip of the branch that a submodule follows, as it was fetched; `None` where that is not known.
    pub(crate) fn tip_of(&self, submodule: &Submodule) -> Result<Option<CommitId>> {
        let superproject = self.submodule(&submodule.superproject);
        let modules = superproject.gitmodules(None)?;
        let mut modules = modules.iter();
        let Some((name, module)) = modules.find(|(_, module)| module.path == submodule.path_there)
        else {
            return Ok(None);
        };
        let branch = superproject.branch_of(name, module, &superproject.read_config()?)?;
        let branch = branch.as_deref().unwrap_or("HEAD");
        self.submodule(&submodule.path).remote_tip(branch)
    }
}

impl WorkTree<'_> {
    /// The branch that a submodule in this work tree follows: as the configuration has it, or .gitmodules, where `.` is the
    /// branch that is checked out here. `None` for the default of its remote.
    fn branch_of(&self, name: &str, module: &Module, in_use: &Config) -> Result<Option<String>> {
        let named = in_use.last(&format!("submodule.{name}.branch"));
        match named.or(module.branch.as_deref()) {
            Some(".") => self.branch(),
            named => Ok(named.map(str::to_owned)),
        }
    }

    /// How far the repository of a submodule has come.
    pub(crate) fn module_state(&self) -> Result<ModuleState> {
        let commit = self.lookup("rev-parse --verify -q HEAD^0")?;
        let list = "for-each-ref --count=1 refs/heads refs/stash refs/deploy-cgi";
        Ok(ModuleState {
            has_commit: commit.is_some(),
            has_refs: self.lookup(list)?.is_some_and(|names| !names.is_empty()),
        })
    }

    /// What git prints; `None` for a no, and where git has not come so far that it is a repository. Anything else is not to
    /// be taken for a no: what is found missing is removed or written anew.
    fn lookup(&self, words: &str) -> Result<Option<Vec<u8>>> {
        let asked = self.reading(words).here().answer()?;
        match asked.end {
            End::Exit(0) => Ok(Some(asked.output)),
            End::Exit(1) => Ok(None),
            _ if self.git_dir()?.is_some_and(|found| !is_git_dir(&found)) => Ok(None),
            _ => must(self.git, "look into a submodule", asked).map(Some),
        }
    }

    /// Checks a commit out, with HEAD detached; not over changes.
    pub(crate) fn check_out(&self, commit: &CommitId) -> Result<()> {
        let check_out = self.writing("checkout --quiet --detach --no-recurse-submodules");
        let check_out = check_out.arg(commit).arg("--");
        check_out.write_or_fail("check out a submodule")
    }

    /// Brings what is nested in a submodule to where that records it.
    pub(crate) fn update_nested(&self) -> Result<()> {
        self.git.rewrite_urls()?;
        let update = self.writing("submodule update --init --recursive");
        update.write_or_fail("update what is nested in a submodule")
    }

    /// Lets HEAD of a repository be a commit.
    pub(crate) fn set_head(&self, commit: &CommitId) -> Result<()> {
        let set = self.writing("update-ref --no-deref HEAD").arg(commit);
        set.write_or_fail("finish a submodule")
    }

    /// Whether a work tree is just what its HEAD says: nothing changed, untracked or ignored, nor in what is nested in it.
    pub(crate) fn is_untouched(&self) -> Result<bool> {
        let Some(index) = self.index_if_untouched(&BTreeSet::new())? else {
            return Ok(false);
        };
        for entry in index.iter().filter(|entry| entry.is_submodule()) {
            let nested = self.git.work_tree(self.folder.join(&entry.path));
            let is_as_recorded = match nested.found()? {
                Found::At(commit) => commit.as_str() == entry.id && nested.is_untouched()?,
                Found::WithoutIndex(_) => false,
                Found::Nothing => std::fs::read_dir(&nested.folder)
                    .map_or(true, |mut inside| inside.next().is_none()),
            };
            if !is_as_recorded {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// `git submodule sync` in a work tree: the URLs in .gitmodules become the ones in use.
    pub(crate) fn submodule_sync(&self, paths: &[PathBuf]) -> Result<Ended> {
        self.writing("submodule sync --").args(paths).write()
    }

    /// What is there of it, as a submodule.
    pub(crate) fn found(&self) -> Result<Found> {
        let Some(git_dir) = self.git_dir()? else {
            return Ok(Found::Nothing);
        };
        let Ok(head) = std::fs::read_to_string(git_dir.join("HEAD")) else {
            return Ok(Found::Nothing);
        };
        let commit = match CommitId::parse(head.trim_end()) {
            Some(commit) => Some(commit),
            None => self.head()?,
        };
        let indexed = git_dir.join("index").exists();
        Ok(match commit {
            Some(commit) if indexed => Found::At(commit),
            Some(commit) => Found::WithoutIndex(commit),
            None => Found::Nothing,
        })
    }

    /// Submodules that git itself passes by: `update = none`, or inactive (gitsubmodules(7), "Active submodules").
    pub(crate) fn skipped_submodules(&self) -> Result<BTreeSet<PathBuf>> {
        // What git does in between changes nothing of this.
        let in_use = if self.folder == self.git.checkout.folder {
            self.git.config()?
        } else {
            Rc::new(self.read_config()?)
        };
        // Of what was recorded only `update` counts. Most have none, which shows without git.
        let names_update = gitmodules_text(&self.folder).is_some_and(|text| {
            text.to_ascii_lowercase()
                .windows(UPDATE.len())
                .any(|part| part == UPDATE)
        });
        if !names_update && !in_use.keeps_submodules_away() {
            return Ok(BTreeSet::new());
        }
        let recorded = self.recorded_config(None)?;
        let active = self.active_submodules(&in_use)?;
        let away = |name: &str, path: &Path| {
            let key = |key| format!("submodule.{name}.{key}");
            let update = key("update");
            let active = match in_use.last(&key("active")) {
                Some(active) => !NO.iter().any(|no| active.eq_ignore_ascii_case(no)),
                None => active.as_ref().is_none_or(|active| active.contains(path)),
            };
            !active || in_use.last(&update).or(recorded.last(&update)) == Some("none")
        };
        let modules = recorded.between("submodule.", ".path");
        let kept_away = modules.filter(|(name, path)| away(name, path.as_ref()));
        Ok(kept_away.map(|(_, path)| path.into()).collect())
    }

    /// The submodules that `submodule.active` names; `None` where it is not set, and all are active.
    fn active_submodules(&self, in_use: &Config) -> Result<Option<BTreeSet<PathBuf>>> {
        let paths: Vec<_> = in_use.values("submodule.active").collect();
        if paths.is_empty() {
            return Ok(None);
        }
        let list = self.reading(LIST_INDEX).args(paths);
        let listed = list.ask("list the submodules")?;
        let active = gitlinks_in(&listed).into_iter().map(|gitlink| gitlink.path);
        Ok(Some(active.collect()))
    }
}
