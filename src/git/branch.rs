//! Branches: which one is checked out, where it comes from, and how commits stand to each other.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::checkout::common_dir;
use super::command::{commits_in, line, said};
use super::{Git, WorkTree};
use crate::commit_id::CommitId;
use crate::process::{End, Running};
use crate::remote_url::RemoteUrl;

/// How many commits a report names.
const MAX_COMMITS: usize = 10;

/// How far a green commit is looked for.
const MAX_LOOKED_THROUGH: usize = 10_000;

/// What a checkout follows: a local branch and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upstream {
    pub(crate) branch: String,
    /// The name of the remote, such as `origin`.
    pub(crate) remote: String,
    /// The ref at the remote, such as `refs/heads/main`.
    pub(crate) remote_ref: String,
    pub(crate) url: RemoteUrl,
}

impl Upstream {
    /// What a checkout will follow that is still to be made.
    pub(crate) fn to_be_cloned(url: &RemoteUrl, branch: Option<&str>) -> Self {
        let branch = branch.unwrap_or("HEAD").to_owned();
        Self {
            remote: "origin".into(),
            remote_ref: format!("refs/heads/{branch}"),
            branch,
            url: url.clone(),
        }
    }

    pub(crate) fn remote_branch(&self) -> &str {
        self.remote_ref
            .strip_prefix("refs/heads/")
            .unwrap_or(&self.remote_ref)
    }

    /// As a person writes it, such as `origin/main`.
    pub(crate) fn upstream_name(&self) -> String {
        format!("{}/{}", self.remote, self.remote_branch())
    }
}

/// What a checkout follows, if anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tracking {
    Upstream(Upstream),
    None(NoUpstream),
}

/// Why a checkout follows nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoUpstream {
    /// HEAD is detached, and the site names no branch.
    Detached,
    /// Another branch than the site's is checked out (`None`: detached).
    OtherBranch {
        wanted: String,
        found: Option<String>,
    },
    NotSet {
        branch: String,
    },
    /// The upstream is another branch of this same checkout, where nothing comes from GitHub.
    LocalUpstream {
        branch: String,
    },
}

/// How a commit stands to HEAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ancestry {
    Contained,
    /// The repository has it, HEAD does not.
    Outside,
    /// The repository does not have it.
    Absent,
}

/// What a branch may have of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Own {
    Commits,
    Merges,
}

/// Where a branch and its upstream are; `None` for what does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heads {
    pub(crate) head: Option<CommitId>,
    pub(crate) upstream: Option<CommitId>,
}

/// The commits of a range, being looked for.
pub(crate) struct Commits<'g>(Running<'g>);

impl Commits<'_> {
    /// None when the range cannot be walked, as when history was rewritten.
    pub(crate) fn end(self) -> Result<NewCommits> {
        let log = self.0.end()?;
        if !log.end.is_good() {
            return Ok(NewCommits::default());
        }
        let listed = String::from_utf8_lossy(&log.output);
        let records = listed.split_terminator('\0');
        let commit = |record: &str| {
            let (id, subject) = record.split_once(' ').unwrap_or((record, ""));
            let (id, subject) = (id.trim().to_owned(), subject.to_owned());
            Commit { id, subject }
        };
        Ok(NewCommits {
            newest: records.clone().take(MAX_COMMITS).map(commit).collect(),
            count: records.count(),
        })
    }
}

/// The commits of a range.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewCommits {
    pub(crate) newest: Vec<Commit>,
    pub(crate) count: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) id: String,
    pub(crate) subject: String,
}

impl Git<'_> {
    /// What the checkout follows: the site's branch or the one checked out, and where that comes from.
    pub(crate) fn tracking(&self, wanted: Option<&str>) -> Result<Tracking> {
        let head = match self.checkout.head_branch() {
            Some(branch) => Some(branch),
            None => self.top().branch()?,
        };
        let branch = match (wanted, head) {
            (None, None) => return Ok(Tracking::None(NoUpstream::Detached)),
            (Some(wanted), found) if found.as_deref() != Some(wanted) => {
                let wanted = wanted.to_owned();
                return Ok(Tracking::None(NoUpstream::OtherBranch { wanted, found }));
            }
            (_, Some(branch)) => branch,
            (Some(wanted), None) => wanted.to_owned(),
        };
        Ok(match self.upstream(&branch)? {
            Some(upstream) if upstream.remote == "." => {
                Tracking::None(NoUpstream::LocalUpstream { branch })
            }
            Some(upstream) => Tracking::Upstream(upstream),
            None => Tracking::None(NoUpstream::NotSet { branch }),
        })
    }

    /// The full name of the remote-tracking branch that git keeps of an upstream.
    pub(crate) fn remote_tracking_branch(&self, followed: &Upstream) -> Result<Option<String>> {
        let ask = self.reading("for-each-ref --format=%(upstream)");
        let ask = ask.arg(format!("refs/heads/{}", followed.branch));
        let name = line(&ask.ask("find the remote-tracking branch")?);
        Ok(Some(name).filter(|name| name.starts_with("refs/remotes/")))
    }

    /// Where a local branch comes from, whether or not it is checked out.
    pub(crate) fn upstream(&self, branch: &str) -> Result<Option<Upstream>> {
        let config = self.config()?;
        let remote = config.last(&format!("branch.{branch}.remote"));
        let merge = config.last(&format!("branch.{branch}.merge"));
        let (Some(remote), Some(remote_ref)) = (remote, merge) else {
            return Ok(None);
        };
        // A remote of "." is another local branch; one that is no remote's name is a URL.
        let url = match config.first(&format!("remote.{remote}.url")) {
            _ if config.has_url_rewrites() => {
                let ask = self.reading("ls-remote --get-url").arg(remote);
                line(&ask.ask("find the remote's URL")?)
            }
            Some(url) => url.to_owned(),
            None => remote.to_owned(),
        };
        Ok(Some(Upstream {
            branch: branch.to_owned(),
            remote: remote.to_owned(),
            remote_ref: remote_ref.to_owned(),
            url: RemoteUrl::parse(&url),
        }))
    }

    /// The commits of HEAD and of the tracking branch of `branch`; `None` for what does not exist, and for HEAD where there is
    /// no tracking branch.
    pub(crate) fn heads(&self, branch: &str) -> Result<Heads> {
        let both = self.reading("rev-parse");
        let both = both.arg(format!("{branch}@{{upstream}}"));
        let both = both.words("HEAD^{commit} --");
        let text = line(&both.answer()?.output);
        // It ends at the first that does not exist, of which it prints the name.
        let mut ids = text.lines().map(CommitId::parse);
        let (upstream, head) = (ids.next().flatten(), ids.next().flatten());
        Ok(Heads { head, upstream })
    }

    /// The same after a fetch. Where the files of the refs say that HEAD, the tracking branch and what was fetched are one, no
    /// process is needed.
    pub(crate) fn heads_after_fetch(&self, followed: &Upstream) -> Result<Heads> {
        let git_dir = &self.checkout.git_dir;
        let common = common_dir(git_dir);
        let id_in = |file: PathBuf| {
            let text = std::fs::read_to_string(file).ok()?;
            CommitId::parse(text.split(['\t', '\n']).next()?)
        };
        let is_checked_out = self.checkout.head_branch().as_ref() == Some(&followed.branch);
        // Else git knows of no tracking branch, whatever files there are.
        let is_whole_ref = followed.remote_ref.starts_with("refs/heads/");
        let branch = format!("refs/heads/{}", followed.branch);
        let tracking = format!("refs/remotes/{}", followed.upstream_name());
        let fetched = id_in(git_dir.join("FETCH_HEAD")).filter(|fetched| {
            let mut refs = [branch, tracking].into_iter().map(|name| common.join(name));
            is_checked_out && is_whole_ref && refs.all(|file| id_in(file).as_ref() == Some(fetched))
        });
        if fetched.is_none() {
            return self.heads(&followed.branch);
        }
        Ok(Heads {
            head: fetched.clone(),
            upstream: fetched,
        })
    }

    /// How many commits HEAD is ahead of and behind its upstream.
    pub(crate) fn ahead_and_behind(&self, branch: &str) -> Result<Option<(u64, u64)>> {
        let count = self.reading("rev-list --left-right --count");
        let count = count.arg(format!("HEAD...{branch}@{{upstream}}")).arg("--");
        let counts = line(&count.answer()?.output);
        Ok(counts
            .split_once('\t')
            .and_then(|(ahead, behind)| Some((ahead.parse().ok()?, behind.parse().ok()?))))
    }

    /// Begins to look for the commits of `old..HEAD`, newest first, while other things are done.
    pub(crate) fn commits(&self, old: &CommitId) -> Result<Commits<'_>> {
        let log = self.reading("log -z --no-show-signature --no-color --encoding=UTF-8");
        let log = log.arg("--format=%h %s").arg(format!("{old}..HEAD"));
        log.arg("--").begin().map(Commits)
    }
}

impl WorkTree<'_> {
    pub(crate) fn head(&self) -> Result<Option<CommitId>> {
        self.commit_named("HEAD^{commit}")
    }

    fn commit_named(&self, name: &str) -> Result<Option<CommitId>> {
        let asked = self.reading("rev-parse --verify -q").arg(name).answer()?;
        Ok(CommitId::parse(&line(&asked.output)))
    }

    /// How a commit stands to the HEAD of a work tree.
    pub(crate) fn ancestry(&self, commit: &CommitId) -> Result<Ancestry> {
        self.ancestry_in(commit, "HEAD")
    }

    /// How a commit stands to another one, of which it may be an ancestor.
    pub(crate) fn ancestry_in(&self, commit: &CommitId, descendant: &str) -> Result<Ancestry> {
        if self.git_dir()?.is_none() {
            return Ok(Ancestry::Absent);
        }
        let ask = self.reading("merge-base --is-ancestor");
        let asked = ask.arg(commit).arg(descendant).here().answer()?;
        match asked.end {
            End::Exit(0) => Ok(Ancestry::Contained),
            End::Exit(1) => Ok(Ancestry::Outside),
            End::Exit(128) => Ok(Ancestry::Absent),
            // A git that is only kept from bringing it may break off.
            End::Signal(_) if !self.has_commit(commit)? => Ok(Ancestry::Absent),
            end => bail!("git merge-base ended with {end}: {}", said(&asked.errors)),
        }
    }

    /// The newest commits of `tip`, children first, without those that `but` has, too.
    pub(crate) fn newest_commits(
        &self,
        tip: &CommitId,
        but: Option<&CommitId>,
    ) -> Result<Vec<CommitId>> {
        let list = self.reading("rev-list --topo-order");
        let list = list.arg(format!("--max-count={MAX_LOOKED_THROUGH}"));
        let list = list.arg(tip).args(but.map(|but| format!("^{but}")));
        Ok(commits_in(&list.arg("--").ask("list commits")?))
    }

    /// The commits here whose ids begin with these digits.
    pub(crate) fn commits_that_begin(&self, digits: &str) -> Result<Vec<CommitId>> {
        let list = self.reading("rev-parse");
        let list = list.arg(format!("--disambiguate={digits}")).here();
        let mut commits = Vec::new();
        for object in commits_in(&list.ask("look for a commit")?) {
            // Git does not look at more digits than an id has. And the object of a tag is none, although it leads to one.
            if object.as_str().starts_with(digits)
                && self.commit_named(&format!("{object}^{{commit}}"))?.as_ref() == Some(&object)
            {
                commits.push(object);
            }
        }
        Ok(commits)
    }

    pub(crate) fn branch(&self) -> Result<Option<String>> {
        let asked = self.reading("symbolic-ref -q --short HEAD").answer()?;
        Ok(asked.end.is_good().then(|| line(&asked.output)))
    }

    /// Whether there is a local branch of this name.
    pub(crate) fn has_branch(&self, name: &str) -> Result<bool> {
        Ok(self.commit_named(&format!("refs/heads/{name}"))?.is_some())
    }

    /// The commit of a remote-tracking branch of `origin`, or of its default for `HEAD`.
    pub(crate) fn remote_tip(&self, branch: &str) -> Result<Option<CommitId>> {
        self.commit_named(&format!("refs/remotes/origin/{branch}^{{commit}}"))
    }

    /// The commits of a repository's remote-tracking branches.
    pub(crate) fn remote_tips(&self) -> Result<Vec<CommitId>> {
        let list = self.reading("for-each-ref --format=%(objectname) refs/remotes");
        Ok(commits_in(&list.answer()?.output))
    }

    /// The branch that a repository's remote calls its default, as far as that is known here.
    pub(crate) fn default_branch(&self) -> Result<Option<String>> {
        if self.git_dir()?.is_none() {
            return Ok(None);
        }
        let ask = self.reading("symbolic-ref -q refs/remotes/origin/HEAD");
        let named = line(&ask.answer()?.output);
        let branch = named.strip_prefix("refs/remotes/origin/");
        Ok(branch.map(str::to_owned))
    }

    /// Remembers what its remote calls its default.
    pub(crate) fn set_default_branch(&self, branch: &str) -> Result<()> {
        if self.git_dir()?.is_none() {
            return Ok(());
        }
        let set = self.writing("symbolic-ref refs/remotes/origin/HEAD");
        let set = set.arg(format!("refs/remotes/origin/{branch}"));
        set.write_or_fail("set the default branch of a submodule")
    }

    /// Whether HEAD has such commits that neither another commit nor any branch of a remote has, nor what that was before.
    pub(crate) fn has_of_its_own(
        &self,
        what: Own,
        but: &CommitId,
        before: Option<&CommitId>,
    ) -> Result<bool> {
        let list = self.reading("rev-list --max-count=1 --ignore-missing");
        let list = list.arg(match what {
            Own::Commits => "--min-parents=0",
            Own::Merges => "--min-parents=2",
        });
        let list = list.words("HEAD --not").arg(but).arg("--remotes");
        let listed = list.args(before).arg("--").ask("compare commits")?;
        Ok(!listed.is_empty())
    }

    pub(crate) fn a_branch_has_head(&self) -> Result<bool> {
        let list = self.reading("for-each-ref --count=1 --contains=HEAD refs/heads");
        Ok(!list.answer()?.output.is_empty())
    }

    /// The refs that begin with `start`, in the order of their names.
    pub(crate) fn refs_below(&self, start: &str) -> Result<Vec<String>> {
        let list = self.reading("for-each-ref --sort=refname --format=%(refname)");
        let listed = line(&list.arg(start).ask("list the refs")?);
        Ok(listed.lines().map(str::to_owned).collect())
    }

    /// Names a commit by a ref that does not exist yet.
    pub(crate) fn create_ref(&self, new_ref: &str, commit: &CommitId) -> Result<()> {
        let create = self.writing("update-ref").arg(new_ref).arg(commit);
        create.arg(commit.zero()).write_or_fail("name a commit")
    }

    pub(crate) fn delete_ref(&self, old_ref: &str) -> Result<()> {
        let delete = self.writing("update-ref -d").arg(old_ref);
        delete.write_or_fail("drop a ref")
    }
}
