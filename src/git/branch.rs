//! Branches: which one is checked out, where it comes from, and how commits stand to each other.

use anyhow::{Result, bail};

use super::checkout::Head;
use super::command::{line, said};
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
    /// The local branch, short.
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

    /// The remote's branch, short.
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
    /// The branch has no upstream.
    NotSet { branch: String },
    /// The upstream is another branch of this same checkout, where nothing comes from GitHub.
    LocalUpstream { branch: String },
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

/// The newest commits of a range, being looked for.
pub(crate) struct Commits<'g> {
    git: &'g Git<'g>,
    range: String,
    walk: Running<'g>,
}

impl Commits<'_> {
    /// `None` when the range cannot be walked, as when history was rewritten.
    pub(crate) fn end(self) -> Result<Option<NewCommits>> {
        let log = self.walk.end()?;
        if !log.end.is_good() {
            return Ok(None);
        }
        let mut newest: Vec<Commit> = log
            .output
            .split(|&byte| byte == 0)
            .filter(|record| !record.is_empty())
            .map(|record| {
                let record = String::from_utf8_lossy(record);
                let (id, subject) = record.split_once(' ').unwrap_or((&record, ""));
                Commit {
                    id: id.trim().to_owned(),
                    subject: subject.to_owned(),
                }
            })
            .collect();
        let mut count = newest.len() as u64;
        if newest.len() > MAX_COMMITS {
            newest.truncate(MAX_COMMITS);
            let counted = self
                .git
                .top()
                .query(["rev-list", "--count", &self.range, "--"])?;
            count = line(&counted.output).parse().unwrap_or(count);
        }
        Ok(Some(NewCommits { newest, count }))
    }
}

/// The commits of a range.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewCommits {
    /// The newest, at most ten.
    pub(crate) newest: Vec<Commit>,
    /// How many there are in all.
    pub(crate) count: u64,
}

/// A commit, for a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) id: String,
    pub(crate) subject: String,
}

impl Git<'_> {
    /// What the checkout follows: the site's branch or the one checked out, and where that comes from.
    pub(crate) fn tracking(&self, wanted: Option<&str>) -> Result<Tracking> {
        let head = match self.checkout.head_branch()? {
            Head::Branch(branch) => Some(branch),
            Head::Detached => None,
            Head::AskGit => self.top().branch()?,
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

    /// Whether git keeps what it fetches of the upstream, in a remote-tracking branch to compare with.
    pub(crate) fn keeps_upstream(&self, followed: &Upstream) -> Result<bool> {
        if self.config()?.keeps(&followed.remote, &followed.remote_ref) {
            return Ok(true);
        }
        // A remote may be described elsewhere (gitrepository-layout(5), "remotes").
        Ok(self.remote_tracking_branch(followed)?.is_some())
    }

    /// The full name of the remote-tracking branch that git keeps of an upstream.
    pub(crate) fn remote_tracking_branch(&self, followed: &Upstream) -> Result<Option<String>> {
        let branch = format!("refs/heads/{}", followed.branch);
        let ask = ["for-each-ref", "--format=%(upstream)", &branch];
        let asked = self.ask("find the remote-tracking branch", self.top().reading(ask))?;
        Ok(Some(line(&asked)).filter(|name| name.starts_with("refs/remotes/")))
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
                let ask = self.top().reading(["ls-remote", "--get-url", remote]);
                line(&self.ask("find the remote's URL", ask)?)
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

    /// The commits of HEAD and of the tracking branch of `branch`; `None` for what does not exist.
    pub(crate) fn heads(&self, branch: &str) -> Result<Heads> {
        let upstream = format!("{branch}@{{upstream}}");
        let both = self
            .top()
            .query(["rev-parse", "HEAD^{commit}", &upstream, "--"])?;
        let text = line(&both.output);
        let mut ids = text.lines().filter_map(CommitId::parse);
        if both.end.is_good() {
            let (head, upstream) = (ids.next(), ids.next());
            return Ok(Heads { head, upstream });
        }
        let top = self.top();
        Ok(Heads {
            head: top.head()?,
            upstream: top.commit_named(&upstream)?,
        })
    }

    /// How many commits HEAD is ahead of and behind its upstream.
    pub(crate) fn ahead_and_behind(&self, branch: &str) -> Result<Option<(u64, u64)>> {
        let range = format!("HEAD...{branch}@{{upstream}}");
        let asked = self
            .top()
            .query(["rev-list", "--left-right", "--count", &range, "--"])?;
        let counts = line(&asked.output);
        Ok(counts
            .split_once('\t')
            .and_then(|(ahead, behind)| Some((ahead.parse().ok()?, behind.parse().ok()?))))
    }

    /// Begins to look for the newest commits of `old..HEAD`, while other things are done.
    pub(crate) fn commits(&self, old: &CommitId) -> Result<Commits<'_>> {
        let range = format!("{old}..HEAD");
        let most = format!("--max-count={}", MAX_COMMITS + 1);
        let log = [
            "log",
            "-z",
            "--no-show-signature",
            "--no-color",
            "--encoding=UTF-8",
            "--format=%h %s",
            &most,
            &range,
            "--",
        ];
        let walk = self.top().reading(log).begin()?;
        Ok(Commits {
            git: self,
            range,
            walk,
        })
    }
}

impl WorkTree<'_> {
    /// The commit of HEAD in a work tree, if there is one.
    pub(crate) fn head(&self) -> Result<Option<CommitId>> {
        self.commit_named("HEAD^{commit}")
    }

    fn commit_named(&self, name: &str) -> Result<Option<CommitId>> {
        let asked = self.query(["rev-parse", "--verify", "-q", name])?;
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
        let asked =
            self.query_here(["merge-base", "--is-ancestor", commit.as_str(), descendant])?;
        match asked.end {
            End::Exit(0) => Ok(Ancestry::Contained),
            End::Exit(1) => Ok(Ancestry::Outside),
            End::Exit(128) => Ok(Ancestry::Absent),
            // A git that is only kept from bringing it may break off.
            End::Signal(_) if !self.has_commit(commit)? => Ok(Ancestry::Absent),
            End::Exit(_) | End::Signal(_) | End::Limit(_) | End::Stopped => {
                bail!(
                    "git merge-base ended with {}: {}",
                    asked.end,
                    said(&asked.errors)
                )
            }
        }
    }

    /// The newest commits of `tip`, children first, without those that `but` has, too.
    pub(crate) fn newest_commits(
        &self,
        tip: &CommitId,
        but: Option<&CommitId>,
    ) -> Result<Vec<CommitId>> {
        let most = format!("--max-count={MAX_LOOKED_THROUGH}");
        let but = but.map(|but| format!("^{but}"));
        let range = [tip.as_str()].into_iter().chain(but.as_deref());
        let args = ["rev-list", "--topo-order", &most].into_iter().chain(range);
        let listed = self
            .git
            .ask("list commits", self.reading(args.chain(["--"])))?;
        Ok(line(&listed).lines().filter_map(CommitId::parse).collect())
    }

    /// The branch that is checked out in a work tree.
    pub(crate) fn branch(&self) -> Result<Option<String>> {
        let asked = self.query(["symbolic-ref", "-q", "--short", "HEAD"])?;
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
        let listed = self.query(["for-each-ref", "--format=%(objectname)", "refs/remotes"])?;
        let listed = line(&listed.output);
        Ok(listed.lines().filter_map(CommitId::parse).collect())
    }

    /// The branch that a repository's remote calls its default, as it was told when it was cloned.
    pub(super) fn default_branch(&self) -> Result<Option<String>> {
        if self.git_dir()?.is_none() {
            return Ok(None);
        }
        let asked = self.query(["symbolic-ref", "-q", "refs/remotes/origin/HEAD"])?;
        Ok(line(&asked.output)
            .strip_prefix("refs/remotes/origin/")
            .map(str::to_owned))
    }

    /// Whether HEAD has such commits that neither another commit nor any branch of a remote has, nor what that was before.
    pub(crate) fn has_of_its_own(
        &self,
        what: Own,
        but: &CommitId,
        before: Option<&CommitId>,
    ) -> Result<bool> {
        let which = match what {
            Own::Commits => "--min-parents=0",
            Own::Merges => "--min-parents=2",
        };
        let args = [
            "rev-list",
            "--max-count=1",
            "--ignore-missing",
            which,
            "HEAD",
            "--not",
            but.as_str(),
            "--remotes",
        ];
        let before = before.map(CommitId::as_str);
        let list = self.reading(args.into_iter().chain(before).chain(["--"]));
        Ok(!self.git.ask("compare commits", list)?.is_empty())
    }

    /// Whether a local branch has the commit of HEAD.
    pub(crate) fn a_branch_has_head(&self) -> Result<bool> {
        let listed = self.query(["for-each-ref", "--count=1", "--contains=HEAD", "refs/heads"])?;
        Ok(!listed.output.is_empty())
    }
}
