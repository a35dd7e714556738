//! What is asked of a remote and brought from it, and how it comes into the work tree: `init`, `ls-remote`, `fetch`, `pull`,
//! `checkout`, `reset`, `gc`.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use super::branch::Upstream;
use super::checkout::ObjectFormat;
use super::command::line;
use super::config::setting;
use super::{Git, WorkTree};
use crate::commit_id::CommitId;
use crate::process::{Ended, FileInMemory, Running};

/// The limit of a question to a remote while GitHub waits.
const ASK_LIMIT: Duration = Duration::from_secs(4);

/// How many are fetched at a time. Shared hosts allow few processes, and a fetch has four.
pub(crate) const FETCHES_AT_A_TIME: usize = 8;

/// What a remote says of itself.
pub(crate) struct RemoteHead {
    /// Its default branch, where it has one.
    pub(crate) branch: Option<String>,
    pub(crate) format: ObjectFormat,
}

impl RemoteHead {
    /// From what `ask_remote_head` prints.
    pub(crate) fn of(asked: &Ended) -> Self {
        let text = line(&asked.output);
        let mut lines = text.lines();
        let id = lines.find_map(|line| CommitId::parse(line.strip_suffix("\tHEAD")?));
        Self {
            branch: head_branch_in(&text),
            format: match id {
                Some(id) if id.as_str().len() == 64 => ObjectFormat::Sha256,
                Some(_) | None => ObjectFormat::Sha1,
            },
        }
    }
}

/// Submodules that are being fetched.
pub(crate) struct Fetches<'g> {
    git: &'g Git<'g>,
    begun: Vec<(PathBuf, Running<'g>)>,
}

impl Fetches<'_> {
    /// Waits for them. Returns those that were fetched; the others are found out about when they are needed.
    pub(crate) fn end(self) -> Vec<PathBuf> {
        let mut fetched = Vec::new();
        for (path, fetch) in self.begun {
            match fetch.end() {
                Ok(ended) if ended.end.is_good() => fetched.push(path),
                Ok(_) | Err(_) => self.git.has_failed.set(true),
            }
        }
        fetched
    }
}

/// The branch of HEAD in what `git ls-remote --symref` prints.
fn head_branch_in(listed: &str) -> Option<String> {
    let branch = |line: &str| {
        let branch = line.strip_prefix("ref: refs/heads/")?;
        Some(branch.strip_suffix("\tHEAD")?.to_owned())
    };
    listed.lines().find_map(branch)
}

impl Git<'_> {
    /// Asks the remote for its default branch.
    pub(crate) fn ask_remote_head(&self) -> Result<Ended> {
        self.writing("ls-remote --symref origin HEAD").write()
    }

    /// `git init`; harmless where there is a repository already.
    pub(crate) fn init(&self, format: ObjectFormat) -> Result<Ended> {
        let init = self.writing("init --quiet");
        match format {
            ObjectFormat::Sha1 => init,
            ObjectFormat::Sha256 => init.arg("--object-format=sha256"),
        }
        .write()
    }

    /// The first `git fetch`, of the branch that will be followed.
    pub(crate) fn fetch_origin(&self, branch: &str) -> Result<Ended> {
        let fetch = self.writing("fetch --no-recurse-submodules --no-tags");
        let fetch = fetch.args(self.progress_option()).arg("origin");
        fetch.arg(format!("refs/heads/{branch}")).write()
    }

    /// The first checkout of a branch, over whatever an earlier attempt left.
    pub(crate) fn check_out(&self, branch: &str) -> Result<Ended> {
        let check_out = self.writing("checkout --quiet --force -B").arg(branch);
        let from = format!("refs/remotes/origin/{branch}");
        check_out.args(["--track", &from, "--"]).write()
    }

    /// The same at an older commit of the branch.
    pub(crate) fn check_out_at(&self, commit: &CommitId, branch: &str) -> Result<Ended> {
        let check_out = self.writing("checkout --quiet --force -B").arg(branch);
        let checked_out = check_out.arg(commit).arg("--").write()?;
        if !checked_out.end.is_good() {
            return Ok(checked_out);
        }
        let follow = self.writing("branch --quiet");
        let follow = follow.arg(format!("--set-upstream-to=refs/remotes/origin/{branch}"));
        follow.arg(branch).write()
    }

    /// `git pull`, only ever a fast-forward, and not over files that git ignores: they are a person's, too. Pull hands
    /// this on to the merge only by way of the branch's own options. Of the remote's refs only the followed one is named: no
    /// other is fetched, and git still keeps it where the person has its remote-tracking branch (git-fetch(1), "Configured
    /// remote-tracking branches").
    pub(crate) fn pull(&self, followed: &Upstream) -> Result<Ended> {
        let branch = &followed.branch;
        let key = format!("branch.{branch}.mergeoptions");
        let config = self.config()?;
        let own = config.last(&key).map(|own| format!("{own} "));
        let own = own.unwrap_or_default();
        // In a file: on a command line a name with a `=` cannot be told from its value.
        let options = format!("{own}--no-overwrite-ignore");
        let file = FileInMemory::with(&setting("branch", branch, "mergeOptions", &options))?;
        let careful = format!("include.path={}", file.path.display());
        let pull = self.writing("-c").arg(careful);
        pull.words("pull --ff-only --no-rebase --no-recurse-submodules --no-tags")
            .args(self.progress_option())
            .arg("--")
            .args([&followed.remote, &followed.remote_ref])
            .write()
    }

    /// Git shows its progress to terminals only, unless it is told to.
    pub(super) fn progress_option(&self) -> Option<&'static str> {
        self.progress.map(|_| "--progress")
    }

    /// Whether the last fetch brought nothing: it begins by emptying this file.
    pub(crate) fn fetched_nothing(&self) -> bool {
        self.checkout
            .git_dir
            .join("FETCH_HEAD")
            .metadata()
            .is_ok_and(|fetched| fetched.len() == 0)
    }

    /// Fetches several submodules, by their paths below the checkout, at the same time. Whoever needs the result finds out
    /// whether it is there.
    pub(crate) fn fetch_all<'p>(&self, submodules: impl IntoIterator<Item = &'p Path>) {
        let mut running = VecDeque::new();
        for submodule in submodules {
            if running.len() == FETCHES_AT_A_TIME {
                running.pop_front().map(Fetches::end);
            }
            running.push_back(self.begin_fetches(vec![submodule.to_owned()]));
        }
        running.into_iter().map(Fetches::end).for_each(drop);
    }

    /// Begins to fetch submodules, while other things are done. Where a host lets no more processes start, it is done
    /// later.
    pub(crate) fn begin_fetches(&self, paths: Vec<PathBuf>) -> Fetches<'_> {
        let mut begun = Vec::new();
        for path in paths {
            let fetch = self.submodule(&path).writing("fetch --quiet");
            if let Ok(fetch) = fetch.begin() {
                begun.push((path, fetch));
            }
        }
        Fetches { git: self, begun }
    }

    /// `git fetch` of the one branch that is followed. One that no longer exists is a failure, and not a stale success.
    pub(crate) fn fetch(&self, followed: &Upstream) -> Result<Ended> {
        let fetch = self.writing("fetch --no-recurse-submodules --no-tags --");
        fetch.args([&followed.remote, &followed.remote_ref]).write()
    }

    /// `git merge` of a commit that was fetched: only ever a fast-forward, and not over files that git ignores.
    pub(crate) fn fast_forward_to(&self, commit: &CommitId) -> Result<Ended> {
        let merge = self.writing("merge --ff-only --no-overwrite-ignore --quiet --");
        merge.arg(commit).write()
    }

    /// Forgets remote-tracking branches that are in the way of the followed one's, since they have the name of a folder that
    /// it is in, or are in one of its name: the remote cannot have them any more. Returns whether there were any.
    pub(crate) fn forget_in_the_way(&self, followed: &Upstream) -> Result<bool> {
        let top = self.top();
        let Some(tracking) = self.remote_tracking_branch(followed)? else {
            return Ok(false);
        };
        let mut stale = top.refs_below(&format!("{tracking}/"))?;
        for (end, _) in tracking.match_indices('/').skip(2) {
            let above = &tracking[..end];
            let found = top.refs_below(above)?.into_iter();
            stale.extend(found.filter(|found| found == above));
        }
        for old_ref in &stale {
            top.delete_ref(old_ref)?;
        }
        Ok(!stale.is_empty())
    }

    /// Asks the remote whether the followed branch is there: exit code 2 when it is not.
    pub(crate) fn ask_remote(&self, followed: &Upstream, limit: Duration) -> Result<Ended> {
        let ask = self.writing("ls-remote --exit-code --quiet --");
        let mut ask = ask.args([&followed.remote, &followed.remote_ref]);
        ask.run.limit = ask.run.limit.min(limit);
        ask.run.output_together()
    }

    /// The branches that a remote has; `None` where it cannot be asked.
    pub(crate) fn branches_at(&self, remote: &str) -> Option<Vec<String>> {
        let mut ask = self.writing("ls-remote --heads --quiet --").arg(remote);
        ask.run.limit = ask.run.limit.min(ASK_LIMIT);
        let asked = ask.run.output_apart().ok();
        let asked = asked.filter(|asked| asked.end.is_good())?;
        let branch = |line: &str| Some(line.split_once("\trefs/heads/")?.1.to_owned());
        Some(line(&asked.output).lines().filter_map(branch).collect())
    }

    /// Asks the remote of a submodule for its default branch. `None` where it does not say.
    pub(crate) fn ask_default_branch(&self, submodule: &Path) -> Result<Option<String>> {
        let submodule = self.submodule(submodule);
        if submodule.git_dir()?.is_none() {
            // No repository of its own: git would look for one elsewhere.
            return Ok(None);
        }
        let mut ask = submodule.writing("ls-remote --symref origin HEAD");
        ask.run.limit = ASK_LIMIT;
        Ok(head_branch_in(&line(&ask.run.output_apart()?.output)))
    }
}

impl WorkTree<'_> {
    /// `git reset --hard`: tracked files become those of a commit. Commits that were being picked or reverted are no more.
    pub(crate) fn reset(&self, commit: &str) -> Result<Ended> {
        let reset = self.writing("reset --hard --no-recurse-submodules");
        let ended = reset.arg(commit).arg("--").write()?;
        if self
            .git_dir()?
            .is_some_and(|git_dir| git_dir.join("sequencer").exists())
        {
            self.writing("cherry-pick --quit")
                .write_or_fail("end a cherry-pick")?;
        }
        Ok(ended)
    }

    /// Lets git tidy up a repository, in the foreground, until `unwanted`.
    pub(crate) fn gc(&self, unwanted: &dyn Fn() -> bool) -> Result<Ended> {
        let mut gc = self
            .reading("-c gc.autoDetach=false -c maintenance.autoDetach=false gc --auto --quiet");
        gc.run.limit = self.git.limit;
        gc.run.unwanted = Some(unwanted);
        gc.run.inherited = self.git.alive;
        gc.run.output_together()
    }
}
