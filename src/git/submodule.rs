//! Submodules: which there are and what is there of each, `git submodule`, and the repositories that git keeps of them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Result, bail};
use memchr::memmem;

use super::branch::Upstream;
use super::checkout::{gathered, gitmodules_text, is_git_dir, may_have_submodules, passes_a_link};
use super::command::{line, must, option, said};
use super::config::Config;
use super::index::{Gitlink, LIST_INDEX, gitlinks_in};
use super::{Git, WorkTree};
use crate::commit_id::CommitId;
use crate::process::{End, Ended, Running};
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
    /// The commit that its superproject records.
    pub(crate) recorded: CommitId,
    pub(crate) found: Found,
}

impl Submodule {
    pub(crate) fn is_there(&self) -> bool {
        matches!(&self.found, Found::At(commit) if *commit == self.recorded)
    }
}

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
    pub(crate) branch: SourceBranch,
}

/// The branch that a submodule follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SourceBranch {
    /// The one that .gitmodules or the configuration names.
    Named(String),
    /// The remote's default, by what it was when that was last asked.
    Default(Option<String>),
}

/// The submodules of an index, being listed.
pub(crate) struct Gitlinks<'g> {
    git: &'g Git<'g>,
    list: Running<'g>,
}

impl Gitlinks<'_> {
    pub(crate) fn end(self) -> Result<Vec<Gitlink>> {
        let listed = self.list.end()?;
        Ok(gitlinks_in(&must(self.git, "list the submodules", listed)?))
    }
}

impl Git<'_> {
    /// `git submodule update --init --recursive`, of all or of one.
    pub(crate) fn submodule_update(&self, mode: Submodules, only: Option<&Path>) -> Result<Ended> {
        let mut args = vec!["submodule", "update", "--init", "--recursive"];
        args.extend(["--jobs", CLONES_AT_A_TIME]);
        args.extend(self.progress_option());
        match mode {
            Submodules::Latest => args.push("--remote"),
            Submodules::Recorded | Submodules::Skip => {}
        }
        let only = only.map(|path| [OsString::from("--"), path.into()]);
        let args = args.into_iter().map(OsString::from);
        self.top().write(args.chain(only.into_iter().flatten()))
    }

    /// Every submodule, nested ones after the one they are in. Ones that are told to stay away (`update = none`,
    /// inactive) are left out.
    pub(crate) fn submodules(&self) -> Result<Vec<Submodule>> {
        if !may_have_submodules(&self.checkout.folder)? {
            return Ok(Vec::new());
        }
        self.submodules_of(&self.top().gitlinks()?)
    }

    /// The same, where the ones of the checkout itself are listed already.
    pub(crate) fn submodules_of(&self, top_level: &[Gitlink]) -> Result<Vec<Submodule>> {
        let mut found = Vec::new();
        self.collect_submodules(Path::new(""), top_level, &mut found)?;
        Ok(found)
    }

    fn collect_submodules(
        &self,
        below: &Path,
        gitlinks: &[Gitlink],
        all: &mut Vec<Submodule>,
    ) -> Result<()> {
        let superproject = self.submodule(below);
        let mut away = None;
        for Gitlink { path, commit } in gitlinks {
            let path_below = below.join(path);
            let inside = self.submodule(&path_below);
            let submodule = Submodule {
                path: path_below,
                recorded: commit.clone(),
                found: if passes_a_link(&superproject.folder, path) {
                    Found::Nothing
                } else {
                    inside.found()?
                },
            };
            if !submodule.is_there() {
                let away = match &mut away {
                    Some(away) => away,
                    None => away.insert(superproject.told_to_stay_away()?),
                };
                if away.contains(path) {
                    continue;
                }
            }
            let may_have_more =
                submodule.found != Found::Nothing && may_have_submodules(&inside.folder)?;
            let below = submodule.path.clone();
            all.push(submodule);
            if may_have_more {
                self.collect_submodules(&below, &inside.gitlinks()?, all)?;
            }
        }
        Ok(())
    }

    /// Begins to list those of the checkout, where it may have any.
    pub(crate) fn begin_gitlinks(&self) -> Result<Option<Gitlinks<'_>>> {
        let top = self.top();
        if !may_have_submodules(&top.folder)? {
            return Ok(None);
        }
        let list = top.reading(LIST_INDEX).begin()?;
        Ok(Some(Gitlinks { git: self, list }))
    }

    /// The submodules, at any level, whose repository this is.
    pub(crate) fn submodules_from(
        &self,
        repository: &str,
        followed: Option<&Upstream>,
    ) -> Result<Vec<Source>> {
        let mut found = Vec::new();
        let config = self.config()?;
        self.collect_sources(Path::new(""), repository, &config, followed, &mut found)?;
        Ok(found)
    }

    fn collect_sources(
        &self,
        below: &Path,
        repository: &str,
        config: &Config,
        followed: Option<&Upstream>,
        found: &mut Vec<Source>,
    ) -> Result<()> {
        let superproject = self.submodule(below);
        if !superproject.folder.join(".gitmodules").exists() {
            return Ok(());
        }
        for (name, module) in &superproject.gitmodules(None)? {
            // Once initialised, the configuration has the URL that is used, and never a relative one.
            let url = config
                .last(&format!("submodule.{name}.url"))
                .unwrap_or(&module.url);
            let path = below.join(&module.path);
            let inside = self.submodule(&path);
            let url = RemoteUrl::parse(url);
            if url.repository().is_some_and(|theirs| theirs == repository) {
                let key = format!("submodule.{name}.branch");
                let branch = config.last(&key).or(module.branch.as_deref());
                let branch = match branch {
                    Some(".") => SourceBranch::Named(
                        followed
                            .map(|followed| followed.branch.clone())
                            .unwrap_or_default(),
                    ),
                    Some(branch) => SourceBranch::Named(branch.to_owned()),
                    None => SourceBranch::Default(inside.default_branch()?),
                };
                found.push(Source {
                    path: path.clone(),
                    branch,
                });
            }
            // Only in a repository of its own: in a folder of plain files git would take them for one, and obey them.
            if inside.folder.join(".gitmodules").exists() && inside.git_dir()?.is_some() {
                let config = inside.read_config()?;
                self.collect_sources(&path, repository, &config, None, found)?;
            }
        }
        Ok(())
    }

    /// How far the repository of a submodule has come.
    pub(crate) fn module_state(&self, git_dir: &Path) -> Result<ModuleState> {
        let verify = ["rev-parse", "--verify", "-q", "HEAD^{commit}"];
        let has_commit = self.module_answers(git_dir, &verify)?.is_some();
        let list = [
            "for-each-ref",
            "--count=1",
            "refs/heads",
            "refs/stash",
            "refs/deploy-cgi",
        ];
        let names = self.module_answers(git_dir, &list)?;
        Ok(ModuleState {
            has_commit,
            has_refs: names.is_some_and(|names| !names.is_empty()),
        })
    }

    /// Whether a git directory has a commit with all that is in it and before it. A fetch that died may have left the
    /// commit alone.
    pub(crate) fn module_has_all_of(&self, git_dir: &Path, commit: &CommitId) -> Result<bool> {
        if !self.module_has(git_dir, commit.as_str())? {
            return Ok(false);
        }
        let all = ["rev-list", "--objects", "--quiet", commit.as_str(), "--"];
        let walked = self.module_query(git_dir, &all)?;
        match walked.end {
            // For what is missing there are several codes.
            End::Exit(code) => Ok(code == 0),
            End::Signal(_) | End::Limit(_) | End::Stopped => {
                must(self, "look into a submodule", walked).map(|_| false)
            }
        }
    }

    /// Whether a git directory has an object.
    fn module_has(&self, git_dir: &Path, id: &str) -> Result<bool> {
        let there = self.module_answers(git_dir, &["cat-file", "-e", id])?;
        Ok(there.is_some())
    }

    /// What git prints when it looks into a submodule's git directory; `None` for a no, and where git has not come so far that
    /// it is one. Anything else is not to be taken for a no: what is found missing is removed or written anew.
    fn module_answers(&self, git_dir: &Path, words: &[&str]) -> Result<Option<Vec<u8>>> {
        let asked = self.module_query(git_dir, words)?;
        match asked.end {
            End::Exit(0) => Ok(Some(asked.output)),
            End::Exit(1) => Ok(None),
            _ if !is_git_dir(git_dir) => Ok(None),
            _ => bail!(
                "cannot look into {}: git ended with {}: {}",
                git_dir.display(),
                asked.end,
                said(&asked.errors)
            ),
        }
    }

    fn module_query(&self, git_dir: &Path, words: &[&str]) -> Result<Ended> {
        // The work tree that its configuration names may be gone.
        let mut args = vec![
            option("--git-dir=", git_dir),
            option("--work-tree=", git_dir),
        ];
        args.extend(words.iter().map(OsString::from));
        self.work_tree(git_dir).query_here(args)
    }

    /// Whether a git directory has what a file holds.
    pub(crate) fn module_has_file(&self, git_dir: &Path, path: &Path) -> Result<bool> {
        let at = option("--git-dir=", git_dir);
        let words = ["hash-object".into(), "--no-filters".into(), path.into()];
        let id = self
            .work_tree(git_dir)
            .query([at].into_iter().chain(words))?;
        let id = line(&must(self, "look at a file", id)?);
        self.module_has(git_dir, &id)
    }

    /// Lets HEAD of a git directory be a commit.
    pub(crate) fn set_head(&self, git_dir: &Path, commit: &CommitId) -> Result<()> {
        let args = [
            option("--git-dir=", git_dir),
            option("--work-tree=", git_dir),
            "update-ref".into(),
            "--no-deref".into(),
            "HEAD".into(),
            commit.as_str().into(),
        ];
        let ended = self.work_tree(git_dir).write(args)?;
        must(self, "finish a submodule", ended).map(drop)
    }

    /// Writes out every file of a work tree whose checkout never happened. Its configuration may not yet say where it is.
    pub(crate) fn fill_module(&self, git_dir: &Path, folder: &Path) -> Result<Ended> {
        let mut options = vec![
            option("--git-dir=", git_dir),
            option("--work-tree=", folder),
        ];
        options.extend(
            ["reset", "--hard", "--no-recurse-submodules", "HEAD", "--"]
                .iter()
                .map(OsString::from),
        );
        self.work_tree(folder).write(options)
    }
}

impl WorkTree<'_> {
    /// `git submodule sync` in a work tree: the URLs in .gitmodules become the ones in use.
    pub(crate) fn submodule_sync(&self, paths: &[PathBuf]) -> Result<Ended> {
        let args = ["submodule", "sync", "--"].iter().map(OsString::from);
        self.write(args.chain(paths.iter().map(OsString::from)))
    }

    /// What is there of it, as a submodule.
    pub(super) fn found(&self) -> Result<Found> {
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
    pub(crate) fn told_to_stay_away(&self) -> Result<BTreeSet<PathBuf>> {
        // What git does in between changes nothing of this.
        let in_use = if self.folder == self.git.checkout.folder {
            self.git.config()?
        } else {
            Rc::new(self.read_config()?)
        };
        // Of what was recorded only `update` counts. Most have none, which shows without git.
        let names_update = gitmodules_text(&self.folder)
            .is_some_and(|text| memmem::find(&text.to_ascii_lowercase(), UPDATE).is_some());
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
        Ok(gathered(recorded.0.iter().filter_map(|(key, path)| {
            let name = key.strip_prefix("submodule.")?.strip_suffix(".path")?;
            let path = PathBuf::from(path);
            away(name, &path).then_some(path)
        })))
    }

    /// The submodules that `submodule.active` names; `None` where it is not set, and all are active.
    fn active_submodules(&self, in_use: &Config) -> Result<Option<BTreeSet<PathBuf>>> {
        let paths = in_use
            .0
            .iter()
            .filter(|(key, _)| key == "submodule.active")
            .map(|(_, path)| path.as_str())
            .collect::<Vec<_>>();
        if paths.is_empty() {
            return Ok(None);
        }
        let list = LIST_INDEX.iter().copied().chain(["--"]).chain(paths);
        let listed = must(self.git, "list the submodules", self.query(list)?)?;
        let active = gitlinks_in(&listed).into_iter().map(|gitlink| gitlink.path);
        Ok(Some(gathered(active)))
    }
}
