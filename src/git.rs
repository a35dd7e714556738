//! `Checkout`: the git commands we use, as methods, and what git is told.
//!
//! Must not know tickets, requests or reports. Nothing that comes from a payload is ever part of a command line, but a
//! commit id that is known to be one. No English phrase of git decides anything here: exit codes and `-z` output do.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use memchr::memmem;

use crate::cgi::Environment;
use crate::commit_id::CommitId;
use crate::files::{self, open_private};
use crate::process::{self, End, Ended, Progress, Run, Running};
use crate::redaction;
use crate::remote_url::RemoteUrl;
use crate::site::{Site, Submodules};
use crate::user::{User, Variables};

/// What every git that writes is told: no maintenance behind our back (it outlives the step and keeps its locks), no
/// recursion into submodules where it was not asked for (a failed on-demand fetch keeps the pull from merging), no stash
/// of a person's edits (it ends in conflict markers), one remote.
const STEADY: &[&str] = &[
    "maintenance.auto=false",
    "gc.auto=0",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "merge.autoStash=false",
    "rebase.autoStash=false",
    "fetch.all=false",
];

/// What every git is told beside that for submodules: branches and tags that their authors remove, move or add are not in
/// the way of what is followed. Deeper gits get it too, by way of the environment.
const SUBMODULES: &[&str] = &["fetch.prune=true", "remote.origin.tagOpt=--no-tags"];

/// Others write the URLs of submodules: git's rules for those count (git-config(1), `protocol.allow`). `git submodule` says
/// so itself; what we run in a submodule has to.
const URL_OF_OTHERS: (&str, &str) = ("GIT_PROTOCOL_FROM_USER", "0");

/// Variables of the host that git may see. Of all others it knows nothing: a leaked `GIT_DIR` makes it work on another
/// repository and say that all is well.
const ALLOWED: &[&str] = &[
    "TMPDIR",
    "TZ",
    "XDG_CONFIG_HOME",
    "SSH_AUTH_SOCK",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
];

/// The same by prefix.
const ALLOWED_FAMILIES: &[&str] = &["GIT_SSH", "GIT_SSL_"];

/// What git is always given. An empty `GIT_ASKPASS` switches off every program that would ask a person who is not
/// there; a transfer under 1000 bytes/s for 30 s is ended.
const GIVEN: &[(&str, &str)] = &[
    ("LC_ALL", "C"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", ""),
    ("GIT_ADVICE", "0"),
    ("GIT_HTTP_LOW_SPEED_LIMIT", "1000"),
    ("GIT_HTTP_LOW_SPEED_TIME", "30"),
];

/// What a look-up is given that asks whether something is here: in a partial clone git would bring it, and say yes. A git
/// that does not know the first one is kept from it by the second.
const NOTHING_BROUGHT: [(&str, &str); 2] =
    [("GIT_NO_LAZY_FETCH", "1"), ("GIT_ALLOW_PROTOCOL", "none")];

/// How ssh is started, unless the host, the site or git's configuration say how: it never asks, it notices a dead
/// connection, and it takes no host key on trust.
const SSH: &str =
    "ssh -oBatchMode=yes -oConnectTimeout=10 -oServerAliveInterval=10 -oStrictHostKeyChecking=yes";

/// What ssh is told where the home is another's: whose configuration and known hosts are there, and not ours.
const WITHOUT_A_HOME: &str = " -F none -oUserKnownHostsFile=/dev/null";

/// GitHub's host keys, as published at
/// <https://docs.github.com/authentication/keeping-your-account-and-data-secure/githubs-ssh-key-fingerprints>. They are
/// known beside the ones that the host and the person know.
const GITHUBS_HOST_KEYS: &str = "\
github.com,[ssh.github.com]:443 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl
github.com,[ssh.github.com]:443 ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=
github.com,[ssh.github.com]:443 ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQCj7ndNxQowgcQnjshcLrqPEiiphnt+VTTvDP6mHBL9j1aNUkY4Ue1gvwnGLVlOhGeYrnZaMgRK6+PKCUXaDbC7qtbW8gIkhL7aGCsOr/C56SJMy/BCZfxd1nWzAOxSDPgVsmerOBYfNqltV9/hWCqBywINIR+5dIg6JTJ72pcEpEjcYgXkE2YEFXV1JHnsKgbLWNlhScqb2UmyRkQyytRLtL+38TGxkxCflmO+5Z8CSSNY7GidjMIZ7Q4zMjA2n1nGrlTDkzwDCsw+wqFPGQA179cnfGWOWRVruj16z6XyvxvjJwbz0wQZ75XK5tKSb7FNyeIEs4TT4jk+S4dhPeAUC5y+bDYirYgM4GC7uEnztnZyaVWQ7B381AK4Qdrwt51ZqExKbQpTUNn+EjqoTwvqNj4kqx5QUCI0ThS/YkOxJCXmPUWZbhjpCg56i+2aB6CmK2JGhn57K5mj0MNdBXA4/WnwH6XoPWJzK5Nyu2zB3nAZp+S5hpQs+p1vN1/wsjk=
";

/// The file with them, in our folder below the git directory.
const HOST_KEYS_FILE: &str = "deploy-cgi/known_hosts";

/// Where ssh looks for the host keys that the whole host knows (`ssh_config(5)`, `GlobalKnownHostsFile`).
const HOST_KEYS_OF_THE_HOST: &str = "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2";

/// How long ssh may take to say which keys it would offer.
const SSH_QUERY_LIMIT: Duration = Duration::from_secs(2);

/// Who makes the commits that keep what a reset removes: git wants somebody, and the host's user may have no name.
const SAVER: &[(&str, &str)] = &[
    ("GIT_AUTHOR_NAME", "deploy-cgi"),
    ("GIT_AUTHOR_EMAIL", "deploy-cgi@localhost"),
    ("GIT_COMMITTER_NAME", "deploy-cgi"),
    ("GIT_COMMITTER_EMAIL", "deploy-cgi@localhost"),
];

/// The limit of a look-up that only reads.
const QUERY_LIMIT: Duration = Duration::from_mins(1);

/// How a pointer begins that git-lfs keeps in place of a large file (its specification).
const LFS_POINTER: &[u8; 42] = b"version https://git-lfs.github.com/spec/v1";

/// Lists the attribute files at any depth.
const LIST_ATTRIBUTES: [&str; 4] = ["ls-files", "-z", "--", ":(top,glob)**/.gitattributes"];

/// The limit of a question to a remote while GitHub waits.
const ASK_LIMIT: Duration = Duration::from_secs(4);

/// How many commits a report names.
const MOST_COMMITS: usize = 10;

/// How many paths a command is given at most: a path has 4096 bytes, and a command line may have two million.
const MOST_ARGUMENTS: usize = 256;

/// The key in .gitmodules that keeps a submodule away.
const UPDATE: &[u8] = b"update";

/// What git takes for false (git-config(1)).
const NO: [&str; 5] = ["false", "no", "off", "0", ""];

/// Prints the index: mode, id, stage and path of each entry.
const LIST_INDEX: [&str; 3] = ["ls-files", "-s", "-z"];

/// The same, with a letter before each entry: a small one where git takes a file for unchanged, and S where it takes the
/// index for the file.
const LIST_FLAGS: [&str; 4] = ["ls-files", "-v", "-s", "-z"];

/// How the entry of a submodule begins, in an index and in a tree.
const GITLINK: &[u8] = b"160000 ";

/// How many submodules are cloned at a time.
const CLONES_AT_A_TIME: &str = "4";

/// How many are fetched at a time. Shared hosts allow few processes, and a fetch has four.
const FETCHES_AT_A_TIME: usize = 8;

/// A folder that is known to be a work tree.
#[derive(Clone, Debug)]
pub(crate) struct Checkout {
    /// The work tree, as the kernel names it.
    pub(crate) folder: PathBuf,
    /// Its git directory: `.git`, or what a `.git` file points to.
    pub(crate) git_dir: PathBuf,
}

impl Checkout {
    /// Looks at a folder without starting a process.
    pub(crate) fn open(repo: &Path) -> Result<Self> {
        let folder = repo
            .canonicalize()
            .with_context(|| format!("cannot find the checkout {}", repo.display()))?;
        let Some(git_dir) = git_dir_of(&folder)? else {
            if folder.join("HEAD").is_file() && folder.join("objects").is_dir() {
                bail!(
                    "{} is a bare repository without files; clone it to another folder and deploy that",
                    repo.display()
                );
            }
            bail!(
                "{} is no git checkout; clone the repository there first",
                repo.display()
            );
        };
        // It may be a link to a branch whose own file is gone into packed-refs.
        if git_dir.join("HEAD").symlink_metadata().is_err() {
            bail!(
                "{} is no git directory, or one we may not look into; clone the repository anew",
                git_dir.display()
            );
        }
        Ok(Self { folder, git_dir })
    }

    /// The beginning of a first checkout: a work tree whose repository is still to be made.
    pub(crate) fn begun(repo: &Path) -> Result<Self> {
        let folder = repo
            .canonicalize()
            .with_context(|| format!("cannot find the checkout {}", repo.display()))?;
        let git_dir = folder.join(".git");
        Ok(Self { folder, git_dir })
    }

    /// Whether a git directory is inside ours, as those of submodules are.
    pub(crate) fn keeps(&self, git_dir: &Path) -> bool {
        let real = (git_dir.canonicalize(), self.git_dir.canonicalize());
        matches!(real, (Ok(git_dir), Ok(ours)) if git_dir.starts_with(&ours))
    }

    /// The folder that the work trees of one repository share, where there are or may be several.
    pub(crate) fn shared_with_work_trees(&self) -> Option<PathBuf> {
        let common = common_dir(&self.git_dir);
        (common != self.git_dir || common.join("worktrees").exists()).then_some(common)
    }

    /// What the file of a branch says, where it has one of its own.
    pub(crate) fn loose_ref(&self, branch: &str) -> Option<Vec<u8>> {
        std::fs::read(self.git_dir.join("refs/heads").join(branch)).ok()
    }

    /// The branch that is checked out; `None` when HEAD is detached.
    fn head_branch(&self) -> Result<Head> {
        let path = self.git_dir.join("HEAD");
        let name = match std::fs::read_link(&path) {
            // As core.preferSymlinkRefs has it.
            Ok(target) if target.starts_with("refs") => Some(target.to_string_lossy().into_owned()),
            Ok(_) | Err(_) => std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?
                .trim_end()
                .strip_prefix("ref: ")
                .map(str::to_owned),
        };
        Ok(
            match name.as_deref().map(|name| name.strip_prefix("refs/heads/")) {
                // What the reftable format writes there, for programs that look.
                Some(Some(".invalid") | None) => Head::AskGit,
                Some(Some(branch)) => Head::Branch(branch.to_owned()),
                None => Head::Detached,
            },
        )
    }
}

enum Head {
    Branch(String),
    Detached,
    AskGit,
}

/// The git directory of a work tree: the `.git` folder, or where a `.git` file points.
pub(crate) fn git_dir_of(folder: &Path) -> Result<Option<PathBuf>> {
    let dot_git = folder.join(".git");
    let kind = match std::fs::metadata(&dot_git) {
        Ok(found) => found,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot look at {}", dot_git.display()));
        }
    };
    if kind.is_dir() {
        return Ok(Some(dot_git));
    }
    let what = || format!("cannot read {}", dot_git.display());
    let text = files::read_below(folder, Path::new(".git")).with_context(what)?;
    let Some(target) = text.strip_prefix(b"gitdir: ") else {
        bail!("{} is not what git writes there", dot_git.display());
    };
    let target = target.strip_suffix(b"\n").unwrap_or(target);
    Ok(Some(folder.join(OsStr::from_bytes(target))))
}

/// Git's whole configuration for the checkout, as it was when asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config(Vec<(String, String)>);

impl Config {
    /// The last value of a key, as git takes it. Section and name in lower case, the part between as it is.
    pub(crate) fn last(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .rev()
            .find(|(k, _)| k == key)
            .map(|(_, value)| value.as_str())
    }

    fn first(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, value)| value.as_str())
    }

    /// The format of the repository's ids.
    pub(crate) fn format(&self) -> Format {
        match self.last("extensions.objectformat") {
            Some("sha256") => Format::Sha256,
            Some(_) | None => Format::Sha1,
        }
    }

    /// The URL of the remote: of `origin`, or else of another.
    pub(crate) fn a_remote_url(&self) -> Option<RemoteUrl> {
        let is_url = |key: &str| key.starts_with("remote.") && key.as_bytes().ends_with(b".url");
        let of_any = || self.0.iter().find(|(key, _)| is_url(key));
        self.first("remote.origin.url")
            .or_else(|| of_any().map(|(_, url)| url.as_str()))
            .map(RemoteUrl::parse)
    }

    /// Whether a fetch from a remote keeps one of its refs (git-fetch(1), `<refspec>`).
    fn keeps(&self, remote: &str, remote_ref: &str) -> bool {
        let key = format!("remote.{remote}.fetch");
        let specs = self.0.iter().filter(|(known, _)| *known == key);
        specs.into_iter().any(|(_, spec)| {
            let spec = spec.strip_prefix('+').unwrap_or(spec);
            let Some((source, _)) = spec.split_once(':').filter(|(_, to)| !to.is_empty()) else {
                return false;
            };
            match source.split_once('*') {
                Some((start, end)) => remote_ref
                    .strip_prefix(start)
                    .is_some_and(|rest| rest.ends_with(end)),
                None => source == remote_ref,
            }
        })
    }

    /// Whether the filter of git-lfs is set up.
    pub(crate) fn has_lfs(&self) -> bool {
        self.last("filter.lfs.process")
            .or(self.last("filter.lfs.smudge"))
            .is_some()
    }

    /// The local branches that have an upstream.
    pub(crate) fn branches(&self) -> Vec<&str> {
        self.between("branch.", ".merge")
    }

    /// The names of the remotes, `origin` first.
    pub(crate) fn remotes(&self) -> Vec<&str> {
        let mut remotes = self.between("remote.", ".url");
        if let Some(at) = remotes.iter().position(|name| *name == "origin") {
            remotes[..=at].rotate_right(1);
        }
        remotes
    }

    fn between(&self, start: &str, end: &str) -> Vec<&str> {
        let keys = self.0.iter().map(|(key, _)| key.as_str());
        keys.filter_map(|key| key.strip_prefix(start)?.strip_suffix(end))
            .collect()
    }

    /// Whether a submodule may be one that git passes by.
    fn keeps_submodules_away(&self) -> bool {
        self.0.iter().any(|(key, value)| {
            key.strip_prefix("submodule.").is_some_and(|key| {
                key.ends_with("update") || key.ends_with("active") && value != "."
            })
        })
    }

    fn has_url_rewrites(&self) -> bool {
        self.0
            .iter()
            .any(|(key, _)| key.starts_with("url.") && key.as_bytes().ends_with(b".insteadof"))
    }

    /// Every credential that a URL carries, so that it can be masked.
    pub(crate) fn credentials(&self) -> Vec<String> {
        let with_url = |key: &str| key.as_bytes().ends_with(b"url") || key.starts_with("url.");
        self.0
            .iter()
            .filter(|(key, _)| with_url(key))
            .flat_map(|(key, value)| {
                [value, key.trim_start_matches("url.")]
                    .into_iter()
                    .flat_map(redaction::credentials_in)
            })
            .collect()
    }
}

/// What a checkout follows: a local branch and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Followed {
    /// The local branch, short.
    pub(crate) branch: String,
    /// The name of the remote, such as `origin`.
    pub(crate) remote: String,
    /// The ref at the remote, such as `refs/heads/main`.
    pub(crate) remote_ref: String,
    pub(crate) url: RemoteUrl,
}

impl Followed {
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

/// Why a checkout follows nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unfollowing {
    /// HEAD is detached, and the site names no branch.
    Detached,
    /// Another branch than the site's is checked out (`None`: detached).
    OtherBranch {
        wanted: String,
        found: Option<String>,
    },
    /// The branch has no upstream.
    NoUpstream { branch: String },
    /// The upstream is another branch of this same checkout, where nothing comes from GitHub.
    LocalUpstream { branch: String },
}

/// The kind of ids a repository has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Sha1,
    Sha256,
}

/// Where a path is missing that a commit has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lacking {
    Index,
    /// There, or in the index: another kind of thing may be in its place.
    WorkTree,
}

/// How a commit stands to HEAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Containment {
    Contained,
    /// The repository has it, HEAD does not.
    Outside,
    /// The repository does not have it.
    Absent,
}

/// What an index has where a submodule was.
pub(crate) enum Indexed {
    Nothing,
    Submodule,
    /// These files, below it.
    Files(BTreeSet<PathBuf>),
}

/// A submodule, at any level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Submodule {
    /// Below the top of the checkout.
    pub(crate) path: PathBuf,
    /// The commit that its superproject records.
    pub(crate) recorded: CommitId,
    pub(crate) found: Found,
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

impl Submodule {
    pub(crate) fn is_there(&self) -> bool {
        matches!(&self.found, Found::At(commit) if *commit == self.recorded)
    }
}

/// An entry of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// How git looks at its file (git-ls-files(1), `-v`): `H`, or a small letter where it is taken for unchanged, or `S` where
    /// the index is taken for the file.
    tag: u8,
    /// Six octal digits.
    mode: String,
    id: String,
    pub(crate) path: PathBuf,
}

impl Entry {
    pub(crate) fn is_submodule(&self) -> bool {
        self.mode == "160000"
    }
}

/// Tracked files that are not as HEAD has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edits {
    /// Those that git sees.
    pub(crate) seen: Vec<PathBuf>,
    /// Those that git was told not to look at (git-update-index(1), `--assume-unchanged` and `--skip-worktree`).
    pub(crate) hidden: Vec<PathBuf>,
}

impl Edits {
    pub(crate) fn is_empty(&self) -> bool {
        self.seen.is_empty() && self.hidden.is_empty()
    }
}

/// A path that differs between two commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) path: PathBuf,
    pub(crate) old: Option<Blob>,
    pub(crate) new: Option<Blob>,
}

/// A file's content in a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blob {
    pub(crate) id: String,
    pub(crate) kind: Kind,
}

/// What a blob is in a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    /// A file that may be run.
    Program,
    /// The target of a symbolic link.
    Link,
}

impl Kind {
    pub(crate) fn of_file(may_run: bool) -> Self {
        if may_run { Self::Program } else { Self::File }
    }

    fn of_mode(mode: &str) -> Self {
        match mode {
            "120000" => Self::Link,
            "100755" => Self::Program,
            _ => Self::File,
        }
    }
}

/// A submodule as .gitmodules describes it, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Module {
    /// Below the work tree that .gitmodules is in.
    pub(crate) path: PathBuf,
    pub(crate) url: String,
    /// The branch that `"latest"` follows; without it the remote's default.
    pub(crate) branch: Option<String>,
}

/// A path that stands for a commit of another repository, and the commit.
pub(crate) type Gitlink = (PathBuf, CommitId);

/// The newest commits of a range, being looked for.
pub(crate) struct Commits<'g> {
    git: &'g Git<'g>,
    range: String,
    walk: Running<'g>,
}

impl Commits<'_> {
    /// At most ten of them, and how many there are in all. `None` when the range cannot be walked, as when history was
    /// rewritten.
    pub(crate) fn end(self) -> Result<Option<(Vec<Commit>, u64)>> {
        let log = self.walk.end()?;
        if !log.end.is_good() {
            return Ok(None);
        }
        let mut commits: Vec<Commit> = log
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
        let mut count = commits.len() as u64;
        if commits.len() > MOST_COMMITS {
            commits.truncate(MOST_COMMITS);
            let folder = &self.git.checkout.folder;
            let counted = self
                .git
                .query(folder, ["rev-list", "--count", &self.range, "--"])?;
            count = line(&counted.output).parse().unwrap_or(count);
        }
        Ok(Some((commits, count)))
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

/// The submodules of an index, being listed.
pub(crate) struct Gitlinks<'g> {
    git: &'g Git<'g>,
    list: Running<'g>,
}

impl Gitlinks<'_> {
    pub(crate) fn end(self) -> Result<Vec<Gitlink>> {
        let listed = self.list.end()?;
        Ok(gitlinks_in(&self.git.must("list the submodules", listed)?))
    }
}

/// A commit, for a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) id: String,
    pub(crate) subject: String,
}

/// Git, ready to be run in one checkout.
pub(crate) struct Git<'s> {
    pub(crate) checkout: &'s Checkout,
    pub(crate) program: PathBuf,
    env: Vec<(OsString, OsString)>,
    limit: Duration,
    alive: Option<&'s File>,
    /// Whether a command that writes has ended badly.
    has_failed: Cell<bool>,
    /// What was last read of the configuration.
    known: RefCell<Option<Config>>,
    ssh: Ssh,
    /// Who ssh takes us for, whatever HOME says.
    user: User,
    /// Where GitHub's host keys are when they are not in our folder.
    host_keys: Option<(File, PathBuf)>,
    until: Option<Instant>,
    progress: Option<Progress<'s>>,
}

/// Who says how ssh is started.
enum Ssh {
    /// The site or the host, in the environment.
    Theirs,
    /// Git's configuration, if it does; else we.
    UnlessConfigured,
    /// We, with the site's own key.
    WithKey(PathBuf),
}

impl Ssh {
    fn of(site: &Site, env: &[(OsString, OsString)]) -> Self {
        let names = ["GIT_SSH_COMMAND", "GIT_SSH"];
        let by_the_site = site
            .env
            .iter()
            .any(|(name, _)| names.contains(&name.as_str()));
        match &site.ssh_key {
            Some(key) if !by_the_site => Self::WithKey(key.clone()),
            _ if env
                .iter()
                .any(|(name, _)| names.iter().any(|known| name == known)) =>
            {
                Self::Theirs
            }
            _ => Self::UnlessConfigured,
        }
    }
}

impl<'s> Git<'s> {
    /// Finds git and makes its environment, from nothing.
    pub(crate) fn new(site: &Site, checkout: &'s Checkout, host: &Environment) -> Result<Self> {
        let Some(program) = site.programs.find("git") else {
            bail!(
                "git was not found in {}; if it is elsewhere, name its folder with the key `path`",
                site.programs.as_path().display()
            );
        };
        let user = User::running(host);
        let env = environment(site, host, &user);
        Ok(Self {
            checkout,
            program,
            ssh: Ssh::of(site, &env),
            user,
            env,
            limit: site.timeout,
            alive: None,
            has_failed: Cell::new(false),
            known: RefCell::new(None),
            host_keys: None,
            until: None,
            progress: None,
        })
    }

    /// Whether any command that writes has ended badly: then it may have left locks, even where a later one did the work.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.get()
    }

    /// The same git, for somebody who only looks: no command goes on past `until`, and no file is written for ssh.
    pub(crate) fn only_looking(self, until: Instant) -> Result<Self> {
        Ok(Self {
            until: Some(until),
            host_keys: Some(process::file_in_memory(GITHUBS_HOST_KEYS.as_bytes())?),
            ..self
        })
    }

    /// The same git, whose progress somebody watches.
    pub(crate) fn watched(self, progress: Option<Progress<'s>>) -> Self {
        Self { progress, ..self }
    }

    /// The same git, whose writing commands and their children hold `alive` open while any of them lives.
    pub(crate) fn holding(self, alive: &'s File) -> Self {
        Self {
            alive: Some(alive),
            ..self
        }
    }

    /// Asks the remote for its default branch, and which format its ids have.
    pub(crate) fn remote_head(
        &self,
        config: &Config,
    ) -> Result<std::result::Result<(Option<String>, Format), Ended>> {
        let asked = self
            .writing(
                &self.checkout.folder,
                config,
                ["ls-remote", "--symref", "origin", "HEAD"],
            )
            .output_apart()?;
        if !asked.end.is_good() {
            return Ok(Err(Ended {
                output: asked.errors,
                errors: Vec::new(),
                ..asked
            }));
        }
        let text = line(&asked.output);
        let branch = head_branch_in(&text);
        let id = text
            .lines()
            .find_map(|line| CommitId::parse(line.strip_suffix("\tHEAD")?));
        let format = if id.is_some_and(|id| id.as_str().len() == 64) {
            Format::Sha256
        } else {
            Format::Sha1
        };
        Ok(Ok((branch, format)))
    }

    /// `git init`; harmless where there is a repository already.
    pub(crate) fn init(&self, format: Format) -> Result<Ended> {
        let args: &[&str] = match format {
            Format::Sha1 => &["init", "--quiet"],
            Format::Sha256 => &["init", "--quiet", "--object-format=sha256"],
        };
        self.write(&self.checkout.folder, &Config::default(), args)
    }

    /// The first `git fetch`, of the branch that will be followed.
    pub(crate) fn fetch_origin(&self, config: &Config, branch: &str) -> Result<Ended> {
        let mut args = vec!["fetch", "--no-recurse-submodules", "--no-tags"];
        args.extend(self.progress_option());
        let branch = format!("refs/heads/{branch}");
        args.extend(["origin", &branch]);
        self.write(&self.checkout.folder, config, args)
    }

    /// The first checkout of a branch, over whatever an earlier attempt left.
    pub(crate) fn check_out(&self, config: &Config, branch: &str) -> Result<Ended> {
        let upstream = format!("origin/{branch}");
        let args = [
            "checkout", "--quiet", "--force", "-B", branch, "--track", &upstream,
        ];
        self.write(&self.checkout.folder, config, args)
    }

    /// The whole configuration. One process answers what would take one for each question.
    pub(crate) fn config(&self) -> Result<Config> {
        let listed = self.query(&self.checkout.folder, ["config", "-z", "--list"])?;
        let listed = self.must("read git's configuration", listed)?;
        let config = Config(key_values(&listed));
        self.known.replace(Some(config.clone()));
        Ok(config)
    }

    /// The folder that git writes the files to, where `core.worktree` names another one than the checkout's.
    pub(crate) fn writes_elsewhere(&self, config: &Config) -> Result<Option<PathBuf>> {
        let Some(named) = config.last("core.worktree") else {
            return Ok(None);
        };
        let folder = &self.checkout.folder;
        let is_here = |path: &Path| path.canonicalize().is_ok_and(|path| path == *folder);
        if is_here(&self.checkout.git_dir.join(named)) {
            return Ok(None);
        }
        // In a linked worktree it may not count.
        let asked = self.query(folder, ["rev-parse", "--show-toplevel"])?;
        let top = PathBuf::from(line(&self.must("find the work tree", asked)?));
        Ok((!is_here(&top)).then_some(top))
    }

    /// What the checkout follows: the site's branch or the one checked out, and where that comes from.
    pub(crate) fn followed(
        &self,
        wanted: Option<&str>,
        config: &Config,
    ) -> Result<Result<Followed, Unfollowing>> {
        let head = match self.checkout.head_branch()? {
            Head::Branch(branch) => Some(branch),
            Head::Detached => None,
            Head::AskGit => {
                let asked = self.query(
                    &self.checkout.folder,
                    ["symbolic-ref", "-q", "--short", "HEAD"],
                )?;
                asked.end.is_good().then(|| line(&asked.output))
            }
        };
        let branch = match (wanted, head) {
            (None, None) => return Ok(Err(Unfollowing::Detached)),
            (Some(wanted), found) if found.as_deref() != Some(wanted) => {
                return Ok(Err(Unfollowing::OtherBranch {
                    wanted: wanted.to_owned(),
                    found,
                }));
            }
            (_, Some(branch)) => branch,
            (Some(wanted), None) => wanted.to_owned(),
        };
        Ok(match self.upstream(&branch, config)? {
            Some(followed) if followed.remote == "." => Err(Unfollowing::LocalUpstream { branch }),
            Some(followed) => Ok(followed),
            None => Err(Unfollowing::NoUpstream { branch }),
        })
    }

    /// Whether git keeps what it fetches of the upstream, in a remote-tracking branch to compare with.
    pub(crate) fn keeps_upstream(&self, followed: &Followed, config: &Config) -> Result<bool> {
        if config.keeps(&followed.remote, &followed.remote_ref) {
            return Ok(true);
        }
        // A remote may be described elsewhere (gitrepository-layout(5), "remotes").
        let asked = self.query(
            &self.checkout.folder,
            [
                "for-each-ref",
                "--format=%(upstream)",
                &format!("refs/heads/{}", followed.branch),
            ],
        )?;
        Ok(asked.end.is_good() && !line(&asked.output).is_empty())
    }

    /// Where a local branch comes from, whether or not it is checked out.
    pub(crate) fn upstream(&self, branch: &str, config: &Config) -> Result<Option<Followed>> {
        let remote = config.last(&format!("branch.{branch}.remote"));
        let merge = config.last(&format!("branch.{branch}.merge"));
        let (Some(remote), Some(remote_ref)) = (remote, merge) else {
            return Ok(None);
        };
        // A remote of "." is another local branch; one that is no remote's name is a URL.
        let url = match config.first(&format!("remote.{remote}.url")) {
            _ if config.has_url_rewrites() => {
                let asked =
                    self.query(&self.checkout.folder, ["ls-remote", "--get-url", remote])?;
                line(&self.must("find the remote's URL", asked)?)
            }
            Some(url) => url.to_owned(),
            None => remote.to_owned(),
        };
        Ok(Some(Followed {
            branch: branch.to_owned(),
            remote: remote.to_owned(),
            remote_ref: remote_ref.to_owned(),
            url: RemoteUrl::parse(&url),
        }))
    }

    /// The commits of HEAD and of the tracking branch of `branch`; `None` for what does not exist.
    pub(crate) fn heads(&self, branch: &str) -> Result<(Option<CommitId>, Option<CommitId>)> {
        let upstream = format!("{branch}@{{upstream}}");
        let both = self.query(
            &self.checkout.folder,
            ["rev-parse", "HEAD^{commit}", &upstream],
        )?;
        let text = line(&both.output);
        let mut ids = text.lines().filter_map(CommitId::parse);
        if both.end.is_good() {
            return Ok((ids.next(), ids.next()));
        }
        let folder = &self.checkout.folder;
        Ok((self.head_of(folder)?, self.commit_named(folder, &upstream)?))
    }

    /// The commit of HEAD in a work tree, if there is one.
    pub(crate) fn head_of(&self, folder: &Path) -> Result<Option<CommitId>> {
        self.commit_named(folder, "HEAD^{commit}")
    }

    fn commit_named(&self, folder: &Path, name: &str) -> Result<Option<CommitId>> {
        let asked = self.query(folder, ["rev-parse", "--verify", "-q", name])?;
        Ok(CommitId::parse(&line(&asked.output)))
    }

    /// `git pull`, only ever a fast-forward, and not over files that git ignores: they are a person's, too. Pull hands
    /// this on to the merge only by way of the branch's own options. Of the remote's refs only the followed one is named: no
    /// other is fetched, and git still keeps it where the person has its remote-tracking branch (git-fetch(1), "Configured
    /// remote-tracking branches").
    pub(crate) fn pull(&self, config: &Config, followed: &Followed) -> Result<Ended> {
        let branch = &followed.branch;
        let key = format!("branch.{branch}.mergeoptions");
        let own = config
            .last(&key)
            .map_or_else(String::new, |own| format!("{own} "));
        let careful = format!("{key}={own}--no-overwrite-ignore");
        // A name with a `=` cannot be told from its value there, but in a file.
        let mut file = None;
        let careful = if branch.contains('=') {
            let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let text = format!(
                "[branch \"{}\"]\n\tmergeOptions = \"{}--no-overwrite-ignore\"\n",
                quoted(branch),
                quoted(&own)
            );
            let (_, path) = file.insert(process::file_in_memory(text.as_bytes())?);
            format!("include.path={}", path.display())
        } else {
            careful
        };
        let mut pull = vec![
            "pull",
            "--ff-only",
            "--no-rebase",
            "--no-recurse-submodules",
            "--no-tags",
        ];
        pull.extend(self.progress_option());
        pull.extend(["--", &followed.remote, &followed.remote_ref]);
        self.write(
            &self.checkout.folder,
            config,
            ["-c", &careful].into_iter().chain(pull),
        )
    }

    /// Git shows its progress to terminals only, unless it is told to.
    fn progress_option(&self) -> Option<&'static str> {
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

    /// Lets git tidy up a repository, in the foreground, until `unwanted`.
    pub(crate) fn tidy(&self, folder: &Path, unwanted: &dyn Fn() -> bool) -> Result<Ended> {
        Run::new(&self.program, self.limit)
            .args(self.place(folder))
            .args([
                "-c",
                "gc.autoDetach=false",
                "-c",
                "maintenance.autoDetach=false",
                "gc",
                "--auto",
                "--quiet",
            ])
            .env(self.env_in(folder))
            .unless(unwanted)
            .output_together()
    }

    /// `git submodule update --init --recursive`, of all or of one.
    pub(crate) fn submodule_update(
        &self,
        config: &Config,
        mode: Submodules,
        only: Option<&Path>,
    ) -> Result<Ended> {
        let mut args = vec!["submodule", "update", "--init", "--recursive"];
        args.extend(["--jobs", CLONES_AT_A_TIME]);
        args.extend(self.progress_option());
        match mode {
            Submodules::Latest => args.push("--remote"),
            Submodules::Recorded | Submodules::Skip => {}
        }
        let only = only.map(|path| [OsString::from("--"), path.into()]);
        let args = args.into_iter().map(OsString::from);
        self.write(
            &self.checkout.folder,
            config,
            args.chain(only.into_iter().flatten()),
        )
    }

    /// Fetches several repositories at the same time. Whoever needs the result finds out whether it is there.
    pub(crate) fn fetch_all(&self, folders: &[PathBuf], config: &Config) -> Result<()> {
        for some in folders.chunks(FETCHES_AT_A_TIME) {
            let fetches = some
                .iter()
                .map(|folder| self.writing(folder, config, ["fetch", "--quiet"]));
            process::all_at_once(&fetches.collect::<Vec<_>>())?;
        }
        Ok(())
    }

    /// Begins to fetch submodules, while other things are done. Where a host lets no more processes start, it is done
    /// later.
    pub(crate) fn begin_fetches(&self, paths: Vec<PathBuf>, config: &Config) -> Fetches<'_> {
        let mut begun = Vec::new();
        for path in paths {
            let folder = self.checkout.folder.join(&path);
            let fetch = self.writing(&folder, config, ["fetch", "--quiet"]);
            if let Ok(fetch) = fetch.begin() {
                begun.push((path, fetch));
            }
        }
        Fetches { git: self, begun }
    }

    /// What the index of a work tree has where a submodule was.
    pub(crate) fn indexed_at(&self, folder: &Path, path: &Path) -> Result<Indexed> {
        let args = LIST_INDEX.map(OsString::from).into_iter();
        let args = args.chain(["--".into(), option(":(top,literal)", path)]);
        let listed = self.must("list the files", self.query(folder, args)?)?;
        Ok(if listed.starts_with(GITLINK) {
            Indexed::Submodule
        } else if listed.is_empty() {
            Indexed::Nothing
        } else {
            // mode SP id SP stage TAB path
            let paths = listed.split(|&byte| byte == 0).filter_map(|entry| {
                let tab = entry.iter().position(|&byte| byte == b'\t')?;
                let file = path_of(&entry[tab + 1..]);
                file.strip_prefix(path).ok().map(Path::to_owned)
            });
            Indexed::Files(gathered(paths))
        })
    }

    /// The index of a submodule, where its work tree is as HEAD says but for untracked files of these names and files that are
    /// gone. `None` where anything else is there, or may be: git was told not to look at some files.
    pub(crate) fn index_if_untouched(
        &self,
        folder: &Path,
        but: &BTreeSet<PathBuf>,
    ) -> Result<Option<Vec<Entry>>> {
        let Some(git_dir) = git_dir_of(folder)? else {
            return Ok(None);
        };
        let Some(status) = self.status_of(folder)? else {
            return Ok(None);
        };
        let is_expected = |entry: &[u8]| match entry.split_at_checked(3) {
            Some((b" D ", _)) => !but.is_empty(),
            Some((b"?? " | b"!! ", path)) => but.contains(&path_of(path)),
            _ => false,
        };
        let mut entries = status.split(|&byte| byte == 0);
        if !entries.all(|entry| entry.is_empty() || is_expected(entry)) {
            return Ok(None);
        }
        // Looked at where it is, whatever its repository says of where it should be.
        let at = [option("--git-dir=", &git_dir)]
            .into_iter()
            .chain(LIST_FLAGS.map(OsString::from));
        let listed = self.must("list the files", self.query(folder, at)?)?;
        let index = entries_in(&listed);
        let is_looked_at = |entry: &Entry| match entry.tag {
            b'H' => true,
            b'S' => folder.join(&entry.path).symlink_metadata().is_err(),
            _ => false,
        };
        Ok(index.iter().all(is_looked_at).then_some(index))
    }

    /// Whether a commit has a file or a folder of files at a path: not nothing, and not a submodule.
    pub(crate) fn has_files_at(&self, commit: &CommitId, path: &Path) -> Result<bool> {
        let entry = self.entry_at(&self.checkout.folder, commit.as_str(), path)?;
        Ok(!entry.is_empty() && !entry.starts_with(GITLINK))
    }

    /// The commit of a submodule that a commit records at a path.
    pub(crate) fn gitlink_at(
        &self,
        folder: &Path,
        commit: &str,
        path: &Path,
    ) -> Result<Option<CommitId>> {
        let entry = self.entry_at(folder, commit, path)?;
        // 160000 SP commit SP id TAB path
        let id = entry.strip_prefix(GITLINK).and_then(|entry| {
            let id = entry.split(|byte| matches!(byte, b' ' | b'\t')).nth(1)?;
            CommitId::parse(std::str::from_utf8(id).ok()?)
        });
        Ok(id)
    }

    /// What a commit has at a path, as `ls-tree` prints it; nothing where that is nothing.
    fn entry_at(&self, folder: &Path, commit: &str, path: &Path) -> Result<Vec<u8>> {
        let args = [
            OsString::from("ls-tree"),
            "-z".into(),
            commit.into(),
            "--".into(),
            path.into(),
        ];
        let listed = self.query(folder, args)?;
        self.must("list a commit", listed)
    }

    /// Whether a work tree is just what its HEAD says: nothing changed, untracked or ignored, nor in what is nested in it.
    pub(crate) fn is_untouched(&self, folder: &Path) -> Result<bool> {
        let Some(index) = self.index_if_untouched(folder, &BTreeSet::new())? else {
            return Ok(false);
        };
        for entry in index.iter().filter(|entry| entry.is_submodule()) {
            let nested = folder.join(&entry.path);
            let is_as_recorded = match self.look_at(&nested)? {
                Found::At(commit) => commit.as_str() == entry.id && self.is_untouched(&nested)?,
                Found::WithoutIndex(_) => false,
                Found::Nothing => {
                    std::fs::read_dir(&nested).map_or(true, |mut inside| inside.next().is_none())
                }
            };
            if !is_as_recorded {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// All that differs from HEAD in a work tree, and all that git does not know there; `None` where it cannot say.
    fn status_of(&self, folder: &Path) -> Result<Option<Vec<u8>>> {
        let Some(git_dir) = git_dir_of(folder)? else {
            return Ok(None);
        };
        let mut args = vec![
            option("--git-dir=", &git_dir),
            option("--work-tree=", folder),
        ];
        let status = [
            "status",
            "--porcelain",
            "-z",
            "--ignored",
            "--untracked-files=all",
            "--ignore-submodules=all",
        ];
        args.extend(status.map(OsString::from));
        let status = self.query(folder, args)?;
        Ok(status.end.is_good().then_some(status.output))
    }

    /// `git submodule sync` in a work tree: the URLs in .gitmodules become the ones in use.
    pub(crate) fn submodule_sync(
        &self,
        folder: &Path,
        config: &Config,
        paths: &[PathBuf],
    ) -> Result<Ended> {
        let args = ["submodule", "sync", "--"].iter().map(OsString::from);
        self.write(folder, config, args.chain(paths.iter().map(OsString::from)))
    }

    /// How a commit stands to the HEAD of a work tree.
    pub(crate) fn containment(&self, folder: &Path, commit: &CommitId) -> Result<Containment> {
        self.containment_in(folder, commit, "HEAD")
    }

    /// Whether the remote of a shallow clone has a commit that the clone lacks, because it is older than the clone reaches
    /// back. Where the history begins stays as it was.
    pub(crate) fn remote_has(
        &self,
        folder: &Path,
        config: &Config,
        remote: &str,
        commit: &CommitId,
    ) -> Result<bool> {
        let Some(path) = shallow_file(folder)? else {
            return Ok(false);
        };
        let what = || format!("cannot keep {}", path.display());
        let beginning = std::fs::read(&path).with_context(what)?;
        let args = [
            "fetch",
            "--quiet",
            "--depth=1",
            "--no-recurse-submodules",
            "--",
            remote,
            commit.as_str(),
        ];
        let has = self.write(folder, config, args)?.end.is_good();
        let restored = path.with_extension("deploy-cgi");
        std::fs::write(&restored, beginning)
            .and_then(|()| std::fs::rename(&restored, &path))
            .with_context(what)?;
        Ok(has)
    }

    /// How a commit stands to another one, of which it may be an ancestor.
    pub(crate) fn containment_in(
        &self,
        folder: &Path,
        commit: &CommitId,
        descendant: &str,
    ) -> Result<Containment> {
        if git_dir_of(folder)?.is_none() {
            return Ok(Containment::Absent);
        }
        let asked = self.query_here(
            folder,
            ["merge-base", "--is-ancestor", commit.as_str(), descendant],
        )?;
        match asked.end {
            End::Exit(0) => Ok(Containment::Contained),
            End::Exit(1) => Ok(Containment::Outside),
            End::Exit(128) => Ok(Containment::Absent),
            End::Exit(_) | End::Signal(_) | End::Limit(_) | End::Stopped => {
                bail!(
                    "git merge-base ended with {}: {}",
                    asked.end,
                    said(&asked.errors)
                )
            }
        }
    }

    /// How many commits HEAD is ahead of and behind its upstream.
    pub(crate) fn ahead_and_behind(&self, branch: &str) -> Result<Option<(u64, u64)>> {
        let range = format!("HEAD...{branch}@{{upstream}}");
        let asked = self.query(
            &self.checkout.folder,
            ["rev-list", "--left-right", "--count", &range],
        )?;
        let counts = line(&asked.output);
        Ok(counts
            .split_once('\t')
            .and_then(|(ahead, behind)| Some((ahead.parse().ok()?, behind.parse().ok()?))))
    }

    /// Begins to look for the newest commits of `old..HEAD`, while other things are done.
    pub(crate) fn commits(&self, old: &CommitId) -> Result<Commits<'_>> {
        let range = format!("{old}..HEAD");
        let most = format!("--max-count={}", MOST_COMMITS + 1);
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
        let walk = self.reading(&self.checkout.folder, log).begin()?;
        Ok(Commits {
            git: self,
            range,
            walk,
        })
    }

    /// Every submodule, nested ones after the one they are in. Ones that are told to stay away (`update = none`,
    /// inactive) are left out.
    pub(crate) fn submodules(&self) -> Result<Vec<Submodule>> {
        if !may_have_submodules(&self.checkout.folder)? {
            return Ok(Vec::new());
        }
        self.submodules_of(&self.gitlinks(&self.checkout.folder)?)
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
        let folder = self.checkout.folder.join(below);
        let mut away = None;
        for (path, recorded) in gitlinks {
            let submodule = Submodule {
                path: below.join(path),
                recorded: recorded.clone(),
                found: if passes_a_link(&folder, path) {
                    Found::Nothing
                } else {
                    self.look_at(&folder.join(path))?
                },
            };
            if !submodule.is_there() {
                let away = match &mut away {
                    Some(away) => away,
                    None => away.insert(self.told_to_stay_away(&folder)?),
                };
                if away.contains(path) {
                    continue;
                }
            }
            let is_populated = submodule.found != Found::Nothing;
            all.push(submodule);
            let inside = folder.join(path);
            if is_populated && may_have_submodules(&inside)? {
                self.collect_submodules(&below.join(path), &self.gitlinks(&inside)?, all)?;
            }
        }
        Ok(())
    }

    /// Paths in the index that stand for a commit of another repository.
    pub(crate) fn gitlinks(&self, folder: &Path) -> Result<Vec<Gitlink>> {
        let listed = self.query(folder, LIST_INDEX)?;
        Ok(gitlinks_in(&self.must("list the submodules", listed)?))
    }

    /// Begins to list those of the checkout, where it may have any.
    pub(crate) fn begin_gitlinks(&self) -> Result<Option<Gitlinks<'_>>> {
        let folder = &self.checkout.folder;
        if !may_have_submodules(folder)? {
            return Ok(None);
        }
        let list = self.reading(folder, LIST_INDEX).begin()?;
        Ok(Some(Gitlinks { git: self, list }))
    }

    fn look_at(&self, folder: &Path) -> Result<Found> {
        let Some(git_dir) = git_dir_of(folder)? else {
            return Ok(Found::Nothing);
        };
        let Ok(head) = std::fs::read_to_string(git_dir.join("HEAD")) else {
            return Ok(Found::Nothing);
        };
        let commit = match CommitId::parse(head.trim_end()) {
            Some(commit) => Some(commit),
            None => self.head_of(folder)?,
        };
        let indexed = git_dir.join("index").exists();
        Ok(match commit {
            Some(commit) if indexed => Found::At(commit),
            Some(commit) => Found::WithoutIndex(commit),
            None => Found::Nothing,
        })
    }

    /// Submodules that git itself passes by: `update = none`, or inactive (gitsubmodules(7), "Active submodules").
    fn told_to_stay_away(&self, folder: &Path) -> Result<BTreeSet<PathBuf>> {
        // What git does in between changes nothing of this.
        let known = self.known.borrow().clone();
        let in_use = match known.filter(|_| folder == self.checkout.folder) {
            Some(known) => known,
            None => self.config_in(folder)?,
        };
        // Of what was recorded only `update` counts. Most have none, which shows without git.
        let names_update = gitmodules_text(folder)
            .is_some_and(|text| memmem::find(&text.to_ascii_lowercase(), UPDATE).is_some());
        if !names_update && !in_use.keeps_submodules_away() {
            return Ok(BTreeSet::new());
        }
        let recorded = self.recorded_config(folder, None)?;
        let active = self.active_submodules(folder, &in_use)?;
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
    fn active_submodules(
        &self,
        folder: &Path,
        in_use: &Config,
    ) -> Result<Option<BTreeSet<PathBuf>>> {
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
        let listed = self.must("list the submodules", self.query(folder, list)?)?;
        let active = gitlinks_in(&listed).into_iter().map(|(path, _)| path);
        Ok(Some(gathered(active)))
    }

    /// The names, paths and URLs of a .gitmodules: of the work tree in `folder`, or as it was in `commit`. What is in it was
    /// pushed: an entry whose name or path leads out of its folder is none.
    pub(crate) fn gitmodules(
        &self,
        folder: &Path,
        commit: Option<&CommitId>,
    ) -> Result<BTreeMap<String, Module>> {
        let mut modules: BTreeMap<String, Module> = BTreeMap::new();
        for (key, value) in self.recorded_config(folder, commit)?.0 {
            let Some(rest) = key.strip_prefix("submodule.") else {
                continue;
            };
            if let Some(name) = rest.strip_suffix(".path") {
                modules.entry(name.to_owned()).or_default().path = value.into();
            } else if let Some(name) = rest.strip_suffix(".url") {
                modules.entry(name.to_owned()).or_default().url = value;
            } else if let Some(name) = rest.strip_suffix(".branch") {
                modules.entry(name.to_owned()).or_default().branch = Some(value);
            }
        }
        modules.retain(|name, module| {
            is_below(Path::new(name))
                && is_below(&module.path)
                && !passes_a_link(folder, &module.path)
        });
        Ok(modules)
    }

    /// The commits that changed .gitmodules in a work tree since `old`; none where that is not known here.
    pub(crate) fn changes_of_gitmodules(
        &self,
        folder: &Path,
        old: &CommitId,
    ) -> Result<Vec<CommitId>> {
        let range = format!("{old}..HEAD");
        let listed = self.query_here(folder, ["rev-list", &range, "--", ".gitmodules"])?;
        Ok(line(&listed.output)
            .lines()
            .filter_map(CommitId::parse)
            .collect())
    }

    /// What a .gitmodules says, of the work tree in `folder` or as it was in `commit`. Others wrote it: nothing that it names
    /// is read, and git gets what we read, not the file.
    fn recorded_config(&self, folder: &Path, commit: Option<&CommitId>) -> Result<Config> {
        let list = ["config", "-z", "--no-includes", "--list"].into_iter();
        let listed = if let Some(commit) = commit {
            let blob = format!("{commit}:.gitmodules");
            self.query(folder, list.chain(["--blob", &blob]))?
        } else {
            let text = gitmodules_text(folder).unwrap_or_default();
            let list = self.reading(folder, list.chain(["-f", "-"]));
            list.input(&text).output_apart()?
        };
        Ok(Config(key_values(&listed.output)))
    }

    /// The configuration that holds in another work tree, such as a submodule's.
    pub(crate) fn config_in(&self, folder: &Path) -> Result<Config> {
        let listed = self.query(folder, ["config", "-z", "--list"])?;
        Ok(Config(key_values(
            &self.must("read git's configuration", listed)?,
        )))
    }

    /// What would change between two commits, submodules left out.
    pub(crate) fn changes(
        &self,
        folder: &Path,
        old: &CommitId,
        new: &CommitId,
    ) -> Result<Vec<Change>> {
        let listed = self.query(
            folder,
            [
                "diff-tree",
                "-r",
                "-z",
                "--no-renames",
                old.as_str(),
                new.as_str(),
                "--",
            ],
        )?;
        let listed = self.must("compare two commits", listed)?;
        let mut fields = listed.split(|&byte| byte == 0);
        let mut changes = Vec::new();
        // :oldmode newmode oldid newid status NUL path NUL
        while let (Some(head), Some(path)) = (fields.next(), fields.next()) {
            let head = String::from_utf8_lossy(head);
            let mut head = head.trim_start_matches(':').split(' ');
            let (Some(old_mode), Some(new_mode), Some(old), Some(new)) =
                (head.next(), head.next(), head.next(), head.next())
            else {
                bail!("git diff-tree printed something unknown");
            };
            if old_mode == "160000" || new_mode == "160000" {
                continue;
            }
            let side = |mode: &str, id: &str| {
                (mode != "000000").then(|| Blob {
                    id: id.to_owned(),
                    kind: Kind::of_mode(mode),
                })
            };
            changes.push(Change {
                path: path_of(path),
                old: side(old_mode, old),
                new: side(new_mode, new),
            });
        }
        Ok(changes)
    }

    /// Whether the index is the tree of a commit.
    pub(crate) fn index_is(&self, folder: &Path, commit: &CommitId) -> Result<bool> {
        Ok(self
            .query(
                folder,
                [
                    "diff-index",
                    "--cached",
                    "--quiet",
                    "--ignore-submodules",
                    commit.as_str(),
                    "--",
                ],
            )?
            .end
            .is_good())
    }

    /// Whether a repository has a commit.
    pub(crate) fn has_commit(&self, folder: &Path, commit: &CommitId) -> Result<bool> {
        // What has just been fetched is mostly a file of its own, which shows without git.
        if let (Some(git_dir), Some((start, rest))) =
            (git_dir_of(folder)?, commit.as_str().split_at_checked(2))
            && git_dir.join("objects").join(start).join(rest).is_file()
        {
            return Ok(true);
        }
        Ok(self
            .query_here(folder, ["cat-file", "-e", &format!("{commit}^{{commit}}")])?
            .end
            .is_good())
    }

    /// The ids that the files at these paths would have as blobs. Given to it one a line, not each name would be taken.
    pub(crate) fn ids_of(&self, folder: &Path, paths: &[&Path]) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        for some in paths.chunks(MOST_ARGUMENTS) {
            let hash = self.reading(folder, ["hash-object", "--"]);
            let asked = hash.args(some.iter().copied()).output_apart()?;
            let printed = self.must("look at the files", asked)?;
            ids.extend(line(&printed).lines().map(str::to_owned));
        }
        Ok(ids)
    }

    /// A blob as it would be written to `path`, in a file of its own.
    pub(crate) fn written_form(&self, folder: &Path, id: &str, path: &Path) -> Result<File> {
        let (end, file) = self
            .reading(
                folder,
                [
                    OsString::from("cat-file"),
                    "--filters".into(),
                    option("--path=", path),
                    id.into(),
                ],
            )
            .output_in_file()?;
        if !end.is_good() {
            bail!("git cat-file ended with {end}");
        }
        Ok(file)
    }

    /// Writes files anew as the index has them.
    pub(crate) fn write_out(&self, folder: &Path, config: &Config, paths: &[&Path]) -> Result<()> {
        let list: Vec<u8> = paths
            .iter()
            .flat_map(|path| [path.as_os_str().as_bytes(), b"\0"].concat())
            .collect();
        let written = self
            .writing(folder, config, ["checkout-index", "-f", "-z", "--stdin"])
            .input(&list)
            .output_together()?;
        if !written.end.is_good() {
            bail!(
                "cannot put files back in {}: {} ({})",
                folder.display(),
                said(&written.output),
                written.end
            );
        }
        Ok(())
    }

    /// The files of a work tree that are kept with git-lfs. No process is needed where no attributes say so.
    pub(crate) fn large_files(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        if !self.attributes_say_lfs(folder)? {
            return Ok(Vec::new());
        }
        let listed = self.query(folder, ["ls-files", "-z", "--", ":(top,attr:filter=lfs)"])?;
        Ok(paths_in(&self.must("list the large files", listed)?))
    }

    fn attributes_say_lfs(&self, folder: &Path) -> Result<bool> {
        let Some(git_dir) = git_dir_of(folder)? else {
            return Ok(false);
        };
        if says_lfs(folder, Path::new(".gitattributes"))?
            || says_lfs(&common_dir(&git_dir), Path::new("info/attributes"))?
        {
            return Ok(true);
        }
        let index = read_if_there(&git_dir.join("index"))?;
        if !index.is_some_and(|index| may_have_attributes_below(&index)) {
            return Ok(false);
        }
        let listed = self.query(folder, LIST_ATTRIBUTES)?;
        for path in paths_in(&self.must("list the files with attributes", listed)?) {
            if says_lfs(folder, &path)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether HEAD of a submodule's git directory is a commit, and whether it has anything by a name of a person's: a branch,
    /// a stash, what a reset kept.
    pub(crate) fn look_into(&self, git_dir: &Path) -> Result<(bool, bool)> {
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
        Ok((has_commit, names.is_some_and(|names| !names.is_empty())))
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
                self.must("look into a submodule", walked).map(|_| false)
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
        self.query_here(git_dir, args)
    }

    /// Whether a git directory has what a file holds.
    pub(crate) fn module_has_file(&self, git_dir: &Path, path: &Path) -> Result<bool> {
        let at = option("--git-dir=", git_dir);
        let words = ["hash-object".into(), "--no-filters".into(), path.into()];
        let id = self.query(git_dir, [at].into_iter().chain(words))?;
        let id = line(&self.must("look at a file", id)?);
        self.module_has(git_dir, &id)
    }

    /// The branch that is checked out in a work tree.
    pub(crate) fn branch_of(&self, folder: &Path) -> Result<Option<String>> {
        let asked = self.query(folder, ["symbolic-ref", "-q", "--short", "HEAD"])?;
        Ok(asked.end.is_good().then(|| line(&asked.output)))
    }

    /// The commit of a remote-tracking branch of `origin`, or of its default for `HEAD`.
    pub(crate) fn remote_tip(&self, folder: &Path, branch: &str) -> Result<Option<CommitId>> {
        self.commit_named(folder, &format!("refs/remotes/origin/{branch}^{{commit}}"))
    }

    /// The commits of a repository's remote-tracking branches.
    pub(crate) fn remote_tips(&self, folder: &Path) -> Result<BTreeSet<CommitId>> {
        let listed = self.query(
            folder,
            ["for-each-ref", "--format=%(objectname)", "refs/remotes"],
        )?;
        Ok(gathered(
            line(&listed.output).lines().filter_map(CommitId::parse),
        ))
    }

    /// Lets HEAD of a git directory be a commit.
    pub(crate) fn set_head(
        &self,
        git_dir: &Path,
        config: &Config,
        commit: &CommitId,
    ) -> Result<()> {
        let args = [
            option("--git-dir=", git_dir),
            option("--work-tree=", git_dir),
            "update-ref".into(),
            "--no-deref".into(),
            "HEAD".into(),
            commit.as_str().into(),
        ];
        let ended = self.write(git_dir, config, args)?;
        self.must("finish a submodule", ended).map(drop)
    }

    /// Writes out every file of a work tree whose checkout never happened. Its configuration may not yet say where it is.
    pub(crate) fn fill(&self, git_dir: &Path, folder: &Path, config: &Config) -> Result<Ended> {
        let mut options = vec![
            option("--git-dir=", git_dir),
            option("--work-tree=", folder),
        ];
        options.extend(
            ["reset", "--hard", "--no-recurse-submodules", "HEAD"]
                .iter()
                .map(OsString::from),
        );
        self.write(folder, config, options)
    }

    /// The submodules, at any level, whose repository this is.
    pub(crate) fn submodules_from(
        &self,
        repository: &str,
        config: &Config,
        followed: Option<&Followed>,
    ) -> Result<Vec<Source>> {
        let mut found = Vec::new();
        self.collect_sources(Path::new(""), repository, config, followed, &mut found)?;
        Ok(found)
    }

    fn collect_sources(
        &self,
        below: &Path,
        repository: &str,
        config: &Config,
        followed: Option<&Followed>,
        found: &mut Vec<Source>,
    ) -> Result<()> {
        let folder = self.checkout.folder.join(below);
        if !folder.join(".gitmodules").exists() {
            return Ok(());
        }
        for (name, module) in &self.gitmodules(&folder, None)? {
            // Once initialised, the configuration has the URL that is used, and never a relative one.
            let url = config
                .last(&format!("submodule.{name}.url"))
                .unwrap_or(&module.url);
            let path = below.join(&module.path);
            let inside = self.checkout.folder.join(&path);
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
                    None => SourceBranch::Default(self.default_branch(&inside)?),
                };
                found.push(Source {
                    path: path.clone(),
                    branch,
                });
            }
            // Only in a repository of its own: in a folder of plain files git would take them for one, and obey them.
            if inside.join(".gitmodules").exists() && git_dir_of(&inside)?.is_some() {
                let config = self.config_in(&inside)?;
                self.collect_sources(&path, repository, &config, None, found)?;
            }
        }
        Ok(())
    }

    /// Asks the remote of a submodule for its default branch, and has that remembered.
    pub(crate) fn ask_default_branch(
        &self,
        submodule: &Path,
        config: &Config,
    ) -> Result<Option<String>> {
        let folder = self.checkout.folder.join(submodule);
        if git_dir_of(&folder)?.is_none() {
            // No repository of its own: git would look for one elsewhere.
            return Ok(None);
        }
        let ask = ["ls-remote", "--symref", "origin", "HEAD"];
        let asked = self
            .writing(&folder, config, ask)
            .limit(ASK_LIMIT)
            .output_apart()?;
        let Some(branch) = head_branch_in(&line(&asked.output)) else {
            return self.default_branch(&folder);
        };
        let target = format!("refs/remotes/origin/{branch}");
        self.write(
            &folder,
            config,
            ["symbolic-ref", "refs/remotes/origin/HEAD", &target],
        )?;
        Ok(Some(branch))
    }

    /// The branch that a repository's remote calls its default, as it was told when it was cloned.
    fn default_branch(&self, folder: &Path) -> Result<Option<String>> {
        if git_dir_of(folder)?.is_none() {
            return Ok(None);
        }
        let asked = self.query(folder, ["symbolic-ref", "-q", "refs/remotes/origin/HEAD"])?;
        Ok(line(&asked.output)
            .strip_prefix("refs/remotes/origin/")
            .map(str::to_owned))
    }

    /// `git fetch` of the one branch that is followed. One that no longer exists is a failure, and not a stale success.
    pub(crate) fn fetch(&self, config: &Config, followed: &Followed) -> Result<Ended> {
        let args = [
            "fetch",
            "--no-recurse-submodules",
            "--no-tags",
            "--",
            &followed.remote,
            &followed.remote_ref,
        ];
        self.write(&self.checkout.folder, config, args)
    }

    /// Forgets remote-tracking branches that are in the way of the followed one's, since they have the name of a folder that
    /// it is in, or are in one of its name: the remote cannot have them any more. Returns whether there were any.
    pub(crate) fn forget_in_the_way(&self, config: &Config, followed: &Followed) -> Result<bool> {
        let folder = &self.checkout.folder;
        let branch = format!("refs/heads/{}", followed.branch);
        let asked = self.query(folder, ["for-each-ref", "--format=%(upstream)", &branch])?;
        let tracking = line(&self.must("find the remote-tracking branch", asked)?);
        if !tracking.starts_with("refs/remotes/") {
            return Ok(false);
        }
        let mut stale = self.refs_below(folder, &format!("{tracking}/"))?;
        for (end, _) in tracking.match_indices('/').skip(2) {
            let above = &tracking[..end];
            stale.extend(
                self.refs_below(folder, above)?
                    .into_iter()
                    .filter(|found| found == above),
            );
        }
        for old_ref in &stale {
            self.forget(folder, config, old_ref)?;
        }
        Ok(!stale.is_empty())
    }

    /// `git reset --hard`: tracked files become those of a commit. Commits that were being picked or reverted are no more.
    pub(crate) fn reset(&self, folder: &Path, config: &Config, commit: &CommitId) -> Result<Ended> {
        let ended = self.write(
            folder,
            config,
            [
                "reset",
                "--hard",
                "--no-recurse-submodules",
                commit.as_str(),
            ],
        )?;
        if git_dir_of(folder)?.is_some_and(|git_dir| git_dir.join("sequencer").exists()) {
            let quit = self.write(folder, config, ["cherry-pick", "--quit"])?;
            self.must("end a cherry-pick", quit)?;
        }
        Ok(ended)
    }

    /// Whether HEAD has commits that neither another commit nor any branch of a remote has, nor what that was before.
    pub(crate) fn has_commits_of_its_own(
        &self,
        folder: &Path,
        but: &CommitId,
        before: Option<&CommitId>,
    ) -> Result<bool> {
        self.has_of_its_own(folder, "--min-parents=0", but, before)
    }

    /// Whether there is a merge among them.
    pub(crate) fn has_merges_of_its_own(
        &self,
        folder: &Path,
        but: &CommitId,
        before: Option<&CommitId>,
    ) -> Result<bool> {
        self.has_of_its_own(folder, "--min-parents=2", but, before)
    }

    fn has_of_its_own(
        &self,
        folder: &Path,
        which: &str,
        but: &CommitId,
        before: Option<&CommitId>,
    ) -> Result<bool> {
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
        let listed = self.query(folder, args.into_iter().chain(before.map(CommitId::as_str)))?;
        Ok(!self.must("compare commits", listed)?.is_empty())
    }

    /// Whether a local branch has the commit of HEAD.
    pub(crate) fn a_branch_has_head(&self, folder: &Path) -> Result<bool> {
        let listed = self.query(
            folder,
            ["for-each-ref", "--count=1", "--contains=HEAD", "refs/heads"],
        )?;
        Ok(!listed.output.is_empty())
    }

    /// Tracked files that are not as HEAD has them, staged or not.
    pub(crate) fn edited(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let args = [
            "status",
            "--porcelain",
            "-z",
            "--no-renames",
            "--untracked-files=no",
            "--ignore-submodules=all",
        ];
        let status = self.query(folder, args)?;
        let status = self.must("look at the files", status)?;
        // XY, a blank, the path.
        Ok(status
            .split(|&byte| byte == 0)
            .filter_map(|entry| Some(path_of(entry.get(3..)?)))
            .collect())
    }

    /// Those of some tracked files whose changes git was told not to see: `assume-unchanged` (a small letter), or
    /// `skip-worktree` (an S).
    pub(crate) fn unseen(&self, folder: &Path, paths: &[&str]) -> Result<Vec<String>> {
        let args = ["--literal-pathspecs", "ls-files", "-v", "-z", "--"];
        let listed = self.query(folder, args.iter().chain(paths))?;
        Ok(paths_in(&self.must("list the files", listed)?)
            .iter()
            .filter_map(|entry| {
                let entry = entry.to_str()?;
                let (mark, path) = entry.split_once(' ')?;
                (mark != mark.to_uppercase() || mark == "S").then(|| path.to_owned())
            })
            .collect())
    }

    /// Tracked files that are not as HEAD has them, apart from those that differ and that git was told not to look at. A file
    /// that a sparse checkout leaves out does not differ.
    pub(crate) fn edits(&self, folder: &Path) -> Result<Edits> {
        // At the same time, for what it costs.
        let listed = self.reading(folder, LIST_FLAGS).begin()?;
        let seen = self.edited(folder)?;
        let listed = self.must("list the files", listed.end()?)?;
        let (mut hidden, mut hidden_if_changed) = (Vec::new(), Vec::new());
        for entry in entries_in(&listed) {
            let is_sparse = entry.tag == b'S';
            if !is_sparse && !entry.tag.is_ascii_lowercase() || entry.is_submodule() {
                continue;
            }
            match folder.join(&entry.path).symlink_metadata() {
                Err(_) if is_sparse => {}
                Ok(there) if there.is_file() && entry.mode.starts_with("100") => {
                    hidden_if_changed.push(entry);
                }
                Ok(_) | Err(_) => hidden.push(entry.path),
            }
        }
        if !hidden_if_changed.is_empty() {
            let paths: Vec<&Path> = hidden_if_changed
                .iter()
                .map(|entry| entry.path.as_path())
                .collect();
            let ids = self.ids_of(folder, &paths)?;
            let found = hidden_if_changed.into_iter().zip(ids);
            hidden.extend(
                found
                    .filter(|(entry, id)| entry.id != *id)
                    .map(|(entry, _)| entry.path),
            );
        }
        Ok(Edits { seen, hidden })
    }

    /// Paths that a commit has and the index or the work tree has not. `None` where there is no such commit.
    pub(crate) fn missing(
        &self,
        folder: &Path,
        commit: &CommitId,
        lacking: Lacking,
    ) -> Result<Option<Vec<PathBuf>>> {
        let mut args = vec![
            "diff-index",
            "-z",
            "--name-only",
            "--no-renames",
            "--ignore-submodules=dirty",
            "--diff-filter=D",
        ];
        match lacking {
            Lacking::Index => args.push("--cached"),
            Lacking::WorkTree => {}
        }
        args.extend([commit.as_str(), "--"]);
        let listed = self.query(folder, args)?;
        if !listed.end.is_good() {
            return Ok(None);
        }
        Ok(Some(paths_in(&listed.output)))
    }

    /// Files that git does not know, ignored ones too, at a path and below it.
    pub(crate) fn unknown_below(&self, folder: &Path, path: &Path) -> Result<Vec<PathBuf>> {
        let args = [
            OsString::from("ls-files"),
            "--others".into(),
            "-z".into(),
            "--".into(),
            option(":(top,literal)", path),
        ];
        let listed = self.query(folder, args)?;
        let listed = self.must("list the files", listed)?;
        Ok(listed
            .split(|&byte| byte == 0)
            .filter(|path| !path.is_empty())
            .map(path_of)
            .collect())
    }

    /// Makes a commit in the form of a stash: all tracked files as they are now, and the index. Neither index nor work
    /// tree is changed.
    pub(crate) fn stash(
        &self,
        folder: &Path,
        config: &Config,
        head: &CommitId,
    ) -> Result<CommitId> {
        let staged = self
            .writing(folder, config, ["write-tree"])
            .output_apart()?;
        // An index with conflicts is no tree; then what is kept is the work tree.
        let staged = if staged.end.is_good() {
            line(&staged.output)
        } else {
            format!("{head}^{{tree}}")
        };
        let git_dir = git_dir_of(folder)?.context("a work tree has no git directory")?;
        let index = git_dir.join("index");
        let work = self.tree(
            folder,
            config,
            &["add", "--update", "--", ":/"],
            Some(&index),
        )?;
        let staged = self.commit(folder, config, &staged, &[head])?;
        self.commit(folder, config, &work, &[head, &staged])
    }

    /// Makes a commit without files and without parents.
    pub(crate) fn empty_commit(&self, folder: &Path, config: &Config) -> Result<CommitId> {
        let empty = ["read-tree", "--empty"];
        let tree = self.tree(folder, config, &empty, None)?;
        self.commit(folder, config, &tree, &[])
    }

    /// The tree that a command makes in an index of its own, which begins as a copy of another one or empty.
    fn tree(
        &self,
        folder: &Path,
        config: &Config,
        fill: &[&str],
        start: Option<&Path>,
    ) -> Result<String> {
        let git_dir = git_dir_of(folder)?.context("a work tree has no git directory")?;
        let scratch = git_dir.join("deploy-cgi-index");
        remove_if_there(&scratch)?;
        if let Some(start) = start {
            std::fs::copy(start, &scratch)
                .with_context(|| format!("cannot copy {}", start.display()))?;
        }
        let run = |args: &[&str]| -> Result<String> {
            let mut env = self.writing_env(folder, config);
            env.push(("GIT_INDEX_FILE".into(), scratch.clone().into()));
            let ended = self.writing(folder, config, args).env(env).output_apart()?;
            Ok(line(&self.must("keep the changes", ended)?))
        };
        run(fill)?;
        let tree = run(&["write-tree"])?;
        remove_if_there(&scratch)?;
        Ok(tree)
    }

    fn commit(
        &self,
        folder: &Path,
        config: &Config,
        tree: &str,
        parents: &[&CommitId],
    ) -> Result<CommitId> {
        let mut args = vec!["commit-tree", tree];
        args.extend(parents.iter().flat_map(|parent| ["-p", parent.as_str()]));
        args.extend(["-m", "Kept by deploy-cgi before a reset"]);
        let mut env = self.writing_env(folder, config);
        env.extend(
            SAVER
                .iter()
                .map(|(name, value)| (name.into(), value.into())),
        );
        let ended = self.writing(folder, config, args).env(env).output_apart()?;
        let id = line(&self.must("keep the changes", ended)?);
        CommitId::parse(&id).context("git commit-tree printed no id")
    }

    /// Names a commit by a ref that does not exist yet. Returns whether it did not.
    pub(crate) fn name(
        &self,
        folder: &Path,
        config: &Config,
        new_ref: &str,
        commit: &CommitId,
    ) -> Result<bool> {
        let (commit, none) = (commit.as_str(), commit.zero());
        Ok(self
            .write(
                folder,
                config,
                ["update-ref", new_ref, commit, none.as_str()],
            )?
            .end
            .is_good())
    }

    /// The refs that begin with `start`, in the order of their names.
    pub(crate) fn refs_below(&self, folder: &Path, start: &str) -> Result<Vec<String>> {
        let asked = self.query(
            folder,
            [
                "for-each-ref",
                "--sort=refname",
                "--format=%(refname)",
                start,
            ],
        )?;
        Ok(line(&self.must("list what was kept", asked)?)
            .lines()
            .map(str::to_owned)
            .collect())
    }

    /// Drops a ref.
    pub(crate) fn forget(&self, folder: &Path, config: &Config, old_ref: &str) -> Result<()> {
        let ended = self.write(folder, config, ["update-ref", "-d", old_ref])?;
        self.must("drop what was kept", ended).map(drop)
    }

    /// Runs a command that only reads.
    fn query<S: AsRef<OsStr>>(
        &self,
        folder: &Path,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Ended> {
        self.reading(folder, args).output_apart()
    }

    /// The same of what is here, and nothing else.
    fn query_here<S: AsRef<OsStr>>(
        &self,
        folder: &Path,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Ended> {
        let here = NOTHING_BROUGHT.map(|(name, value)| (name.into(), value.into()));
        let env = self.env_in(folder).into_iter().chain(here).collect();
        self.reading(folder, args).env(env).output_apart()
    }

    fn reading<S: AsRef<OsStr>>(
        &self,
        folder: &Path,
        args: impl IntoIterator<Item = S>,
    ) -> Run<'_> {
        Run::new(&self.program, self.at_most(QUERY_LIMIT))
            .arg("--no-optional-locks")
            .args(self.place(folder))
            .args(args.into_iter().map(|arg| arg.as_ref().to_owned()))
            .env(self.env_in(folder))
    }

    /// Runs a command that writes.
    fn write<S: AsRef<OsStr>>(
        &self,
        folder: &Path,
        config: &Config,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Ended> {
        let ended = self.writing(folder, config, args).output_together()?;
        if !ended.end.is_good() {
            self.has_failed.set(true);
        }
        Ok(ended)
    }

    fn writing<S: AsRef<OsStr>>(
        &self,
        folder: &Path,
        config: &Config,
        args: impl IntoIterator<Item = S>,
    ) -> Run<'_> {
        let args: Vec<_> = args
            .into_iter()
            .map(|arg| arg.as_ref().to_owned())
            .collect();
        let of_submodules =
            self.is_submodules(folder) || args.first().is_some_and(|verb| verb == "submodule");
        let more = if of_submodules { SUBMODULES } else { &[] };
        Run::new(&self.program, self.at_most(self.limit))
            .args(self.place(folder))
            .args(
                STEADY
                    .iter()
                    .chain(more)
                    .flat_map(|setting| ["-c", setting]),
            )
            .args(args)
            .env(self.writing_env(folder, config))
            .inherits(self.alive)
            .watched(self.progress)
    }

    fn at_most(&self, limit: Duration) -> Duration {
        let limit = limit.min(self.limit);
        self.until.map_or(limit, |until| {
            limit.min(until.saturating_duration_since(Instant::now()))
        })
    }

    /// Whether a folder is not the checkout's own: the work tree or the git directory of a submodule, at any level.
    fn is_submodules(&self, folder: &Path) -> bool {
        folder != self.checkout.folder
    }

    /// Git's environment where it works in a folder.
    fn env_in(&self, folder: &Path) -> Vec<(OsString, OsString)> {
        let mut env = self.env.clone();
        if self.is_submodules(folder) {
            let (name, value) = URL_OF_OTHERS;
            env.retain(|(known, _)| known != name);
            env.push((name.into(), value.into()));
        }
        env
    }

    /// Git's environment, with ssh as we want it where nobody said how.
    fn writing_env(&self, folder: &Path, config: &Config) -> Vec<(OsString, OsString)> {
        let mut env = self.env_in(folder);
        let key = match &self.ssh {
            Ssh::Theirs => return env,
            Ssh::UnlessConfigured if config.last("core.sshcommand").is_some() => {
                return env;
            }
            Ssh::UnlessConfigured => None,
            Ssh::WithKey(key) => Some(key.as_path()),
        };
        env.retain(|(name, _)| name != "GIT_SSH_COMMAND" && name != "GIT_SSH");
        let mut command = ssh_command(key, self.host_keys_file().as_deref());
        if self.user.owner_of_a_foreign_home().is_some() {
            command.push(WITHOUT_A_HOME);
        }
        env.push(("GIT_SSH_COMMAND".into(), command));
        env
    }

    /// A file with GitHub's host keys: in our folder, where there is one and it may be written.
    fn host_keys_file(&self) -> Option<PathBuf> {
        if let Some((_, path)) = &self.host_keys {
            return Some(path.clone());
        }
        let file = self.checkout.git_dir.join(HOST_KEYS_FILE);
        let is_there =
            || std::fs::read(&file).is_ok_and(|text| text == GITHUBS_HOST_KEYS.as_bytes());
        if is_there() {
            return Some(file);
        }
        let new = file.with_extension(format!("new-{}", std::process::id()));
        let written = open_private(
            &new,
            File::options().write(true).create(true).truncate(true),
        )
        .and_then(|mut new| new.write_all(GITHUBS_HOST_KEYS.as_bytes()))
        .and_then(|()| std::fs::rename(&new, &file))
        .is_ok();
        if !written {
            // Without it ssh knows fewer hosts, and says so if it needs one of them.
            match std::fs::remove_file(&new) {
                Ok(()) | Err(_) => return None,
            }
        }
        Some(file)
    }

    /// The keys that ssh would offer for a URL, whether or not the files are there. None for other URLs, or where ssh
    /// cannot be asked.
    pub(crate) fn keys_offered(&self, url: &RemoteUrl, config: &Config) -> Vec<PathBuf> {
        let Some(host) = url.host().filter(|_| url.is_ssh()) else {
            return Vec::new();
        };
        if let Ssh::WithKey(key) = &self.ssh {
            return vec![key.clone()];
        }
        let env = self.writing_env(&self.checkout.folder, config);
        let of_env = |wanted: &str| {
            env.iter()
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.to_string_lossy().into_owned())
        };
        let command = of_env("GIT_SSH_COMMAND")
            .or_else(|| config.last("core.sshcommand").map(str::to_owned))
            .unwrap_or_else(|| SSH.to_owned());
        let home = self.user.home.clone().unwrap_or_default();
        // As git itself starts it, which asks an unknown ssh with -G too.
        let asked = Run::new(Path::new("/bin/sh"), self.at_most(SSH_QUERY_LIMIT))
            .args(["-c", &format!("{command} -G \"$@\""), "ssh"])
            .args(url.port().iter().flat_map(|port| ["-p", port]))
            .args(["--", host])
            .env(env.clone())
            .output_apart();
        let Ok(asked) = asked else {
            return Vec::new();
        };
        line(&asked.output)
            .lines()
            .filter_map(|line| line.strip_prefix("identityfile "))
            .map(|file| match file.strip_prefix("~/") {
                Some(below) => home.join(below),
                None => PathBuf::from(file),
            })
            .collect()
    }

    /// Asks the remote whether the followed branch is there: exit code 2 when it is not.
    pub(crate) fn ask_remote(
        &self,
        config: &Config,
        followed: &Followed,
        limit: Duration,
    ) -> Result<Ended> {
        let args = [
            "ls-remote",
            "--exit-code",
            "--quiet",
            "--",
            &followed.remote,
            &followed.remote_ref,
        ];
        self.writing(&self.checkout.folder, config, args)
            .ended_at(limit)
            .output_together()
    }

    /// What `git --version` says.
    pub(crate) fn version(&self) -> Result<String> {
        let asked = Run::new(&self.program, self.at_most(QUERY_LIMIT))
            .arg("--version")
            .env(self.env.clone())
            .output_apart()?;
        let version = self.must("ask for the version of git, in the name", asked)?;
        Ok(line(&version).trim_start_matches("git version ").to_owned())
    }

    /// Where a command works. A checkout of another user's is trusted when it is the one the site names.
    fn place(&self, folder: &Path) -> Vec<OsString> {
        let mut place = vec!["-C".into(), folder.into()];
        let uid = rustix::process::geteuid().as_raw();
        let others = |path: &Path| path.metadata().is_ok_and(|found| found.uid() != uid);
        if others(folder) || others(&self.checkout.git_dir) {
            for trusted in [folder, &self.checkout.folder] {
                place.extend(["-c".into(), option("safe.directory=", trusted)]);
            }
        }
        place
    }

    fn must(&self, what: &str, ended: Ended) -> Result<Vec<u8>> {
        if !ended.end.is_good() {
            let error = GitFailed {
                doing: format!("cannot {what} of {}", self.checkout.folder.display()),
                printed: String::from_utf8_lossy(&ended.errors).into_owned(),
                end: ended.end,
            };
            return Err(error.into());
        }
        Ok(ended.output)
    }
}

/// A superproject has a .gitmodules file; in a sparse checkout it need not be on disk.
pub(crate) fn may_have_submodules(folder: &Path) -> Result<bool> {
    let path = folder.join(".gitmodules");
    if path
        .try_exists()
        .with_context(|| format!("cannot look at {}", path.display()))?
    {
        return Ok(true);
    }
    let Some(git_dir) = git_dir_of(folder)? else {
        return Ok(false);
    };
    Ok(git_dir.join("info/sparse-checkout").exists())
}

/// Git's environment, from nothing: the allowed ones of the host's, what it always needs, the site's own last.
fn environment(site: &Site, host: &Environment, user: &User) -> Vec<(OsString, OsString)> {
    let allowed = |name: &OsStr| {
        ALLOWED.iter().any(|allowed| name == *allowed)
            || ALLOWED_FAMILIES
                .iter()
                .any(|family| name.as_bytes().starts_with(family.as_bytes()))
    };
    let mut variables = Variables::of_the_host(host, user, &site.programs, allowed);
    if user.owner_of_a_foreign_home().is_some() {
        // Git before 2.32 does not know GIT_CONFIG_GLOBAL.
        variables.set("HOME", "/dev/null");
    }
    for (name, value) in GIVEN {
        variables.set(name, value);
    }
    for (name, value) in &site.env {
        variables.set(name, value);
    }
    variables.into_pairs()
}

/// Whether a work tree's history was cut off when it was cloned.
pub(crate) fn is_shallow(folder: &Path) -> Result<bool> {
    Ok(shallow_file(folder)?.is_some_and(|file| file.exists()))
}

/// Where git keeps the commits at which a shallow history begins.
fn shallow_file(folder: &Path) -> Result<Option<PathBuf>> {
    Ok(git_dir_of(folder)?.map(|git_dir| common_dir(&git_dir).join("shallow")))
}

/// What the git directory of a linked worktree shares with the others; else it has all of its own.
pub(crate) fn common_dir(git_dir: &Path) -> PathBuf {
    match std::fs::read(git_dir.join("commondir")) {
        Ok(common) => git_dir.join(path_of(common.trim_ascii_end())),
        Err(_) => git_dir.to_owned(),
    }
}

/// Whether `whole` begins with all of `start`.
pub(crate) fn begins_with(mut whole: impl Read, mut start: impl Read) -> std::io::Result<bool> {
    let (mut a, mut b) = ([0; 16 << 10], [0; 16 << 10]);
    loop {
        let read = start.read(&mut a)?;
        if read == 0 {
            return Ok(true);
        }
        match whole.read_exact(&mut b[..read]) {
            Ok(()) if a[..read] == b[..read] => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

/// Whether a folder has what git goes by: a HEAD that says something, and places for objects and refs.
fn is_git_dir(folder: &Path) -> bool {
    let head = std::fs::read(folder.join("HEAD")).unwrap_or_default();
    let is_id = |text: &str| CommitId::parse(text).is_some();
    let says =
        head.starts_with(b"ref: ") || std::str::from_utf8(head.trim_ascii_end()).is_ok_and(is_id);
    says && folder.join("objects").is_dir() && folder.join("refs").is_dir()
}

/// What `collect` makes, one by one: for the maps and sets of the standard library it sorts first, with four kilobytes of
/// code for each type. For the same reason there are few types of them: names are strings of their own, also where they
/// could be borrowed.
pub(crate) fn gathered<C: Default + Extend<T>, T>(all: impl IntoIterator<Item = T>) -> C {
    let mut gathered = C::default();
    gathered.extend(all);
    gathered
}

/// Whether a path leads down from where it begins, and nowhere else.
fn is_below(path: &Path) -> bool {
    let mut parts = path.components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// Whether a path below a folder leads through a symbolic link, or is one: then it may lead anywhere.
fn passes_a_link(folder: &Path, path: &Path) -> bool {
    let on_the_way = path.ancestors().filter(|part| !part.as_os_str().is_empty());
    on_the_way.map(|part| folder.join(part)).any(|part| {
        part.symlink_metadata()
            .is_ok_and(|there| there.is_symlink())
    })
}

/// Removes the folders above a path that are empty now, up to the top.
pub(crate) fn remove_empty_parents(top: &Path, path: &Path) {
    for parent in path.ancestors().skip(1).take_while(|folder| *folder != top) {
        if std::fs::remove_dir(parent).is_err() {
            return;
        }
    }
}

/// The submodules in what `LIST_INDEX` prints.
fn gitlinks_in(listed: &[u8]) -> Vec<Gitlink> {
    listed
        .split(|&byte| byte == 0)
        .filter_map(|entry| {
            let entry = entry.strip_prefix(GITLINK)?;
            let tab = entry.iter().position(|&byte| byte == b'\t')?;
            let id = entry[..tab].split(|&byte| byte == b' ').next()?;
            let id = CommitId::parse(std::str::from_utf8(id).ok()?)?;
            Some((path_of(&entry[tab + 1..]), id))
        })
        .collect()
}

/// The entries in what `LIST_FLAGS` prints: a letter, mode, id, stage, a tab, the path.
fn entries_in(listed: &[u8]) -> Vec<Entry> {
    let entry = |entry: &[u8]| {
        let tab = entry.iter().position(|&byte| byte == b'\t')?;
        let mut fields = std::str::from_utf8(&entry[..tab]).ok()?.split(' ');
        Some(Entry {
            tag: *fields.next()?.as_bytes().first()?,
            mode: fields.next()?.to_owned(),
            id: fields.next()?.to_owned(),
            path: path_of(&entry[tab + 1..]),
        })
    };
    listed.split(|&byte| byte == 0).filter_map(entry).collect()
}

/// The .gitmodules in a work tree. One that cannot be read has git say why, as soon as git needs it.
pub(crate) fn gitmodules_text(folder: &Path) -> Option<Vec<u8>> {
    files::read_below(folder, Path::new(".gitmodules")).ok()
}

/// Whether a file of a work tree is a pointer that git-lfs keeps in place of a large one; `None` where there is none.
pub(crate) fn is_pointer(folder: &Path, path: &Path) -> Option<bool> {
    let mut start = [0; LFS_POINTER.len()];
    match files::open_below(folder, path) {
        Ok(mut file) => Some(file.read_exact(&mut start).is_ok() && start == *LFS_POINTER),
        Err(error) => (error.kind() != ErrorKind::NotFound).then_some(false),
    }
}

/// Whether a file of attributes has git-lfs keep some files. Git itself passes a link by (gitattributes(5)).
fn says_lfs(folder: &Path, path: &Path) -> Result<bool> {
    let attributes = match files::read_below(folder, path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => {
            return Ok(false);
        }
        read => read.with_context(|| format!("cannot read {}", folder.join(path).display()))?,
    };
    let is_comment = |line: &[u8]| line.trim_ascii_start().starts_with(b"#");
    Ok(attributes.split(|&byte| byte == b'\n').any(|line| {
        !is_comment(line)
            && line
                .split(u8::is_ascii_whitespace)
                .any(|word| word == b"filter=lfs")
    }))
}

/// Whether an index may know a file of attributes below its top: one that is whole and has no path shortened
/// (gitformat-index(5)) names it.
fn may_have_attributes_below(index: &[u8]) -> bool {
    let has = |part: &[u8]| memmem::find(index, part).is_some();
    let is_shortened = index.get(4..8) == Some(&[0, 0, 0, 4]);
    has(b"/.gitattributes\0") || has(b"link\0\0") || is_shortened && has(b"attributes\0")
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => Some(read.with_context(|| format!("cannot read {}", path.display()))).transpose(),
    }
}

/// What `-z` lists.
fn paths_in(listed: &[u8]) -> Vec<PathBuf> {
    let paths = listed.split(|&byte| byte == 0);
    paths.filter(|path| !path.is_empty()).map(path_of).collect()
}

/// Removes a file, if it is there.
pub(crate) fn remove_if_there(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The branch of HEAD in what `git ls-remote --symref` prints.
fn head_branch_in(listed: &str) -> Option<String> {
    let branch = |line: &str| {
        Some(
            line.strip_prefix("ref: refs/heads/")?
                .strip_suffix("\tHEAD")?
                .to_owned(),
        )
    };
    listed.lines().find_map(branch)
}

/// What `git config -z --list` prints: key, newline, value, NUL; a key alone is true.
fn key_values(listed: &[u8]) -> Vec<(String, String)> {
    listed
        .split(|&byte| byte == 0)
        .filter(|entry| !entry.is_empty())
        .map(|entry| {
            let entry = String::from_utf8_lossy(entry);
            let (key, value) = entry.split_once('\n').unwrap_or((&entry, "true"));
            (key.to_owned(), value.to_owned())
        })
        .collect()
}

fn line(output: &[u8]) -> String {
    String::from_utf8_lossy(output)
        .trim_end_matches('\n')
        .to_owned()
}

/// A query of git's that did not end well.
#[derive(Debug)]
pub(crate) struct GitFailed {
    doing: String,
    pub(crate) printed: String,
    end: End,
}

impl std::error::Error for GitFailed {}

impl std::fmt::Display for GitFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let said = said(self.printed.as_bytes());
        write!(f, "{}: {said} ({})", self.doing, self.end)
    }
}

/// What a failed look-up said, on one line, without credentials.
fn said(errors: &[u8]) -> String {
    redaction::escape_line(&redaction::redact(
        String::from_utf8_lossy(errors).trim(),
        [],
    ))
}

/// How ssh is started by us, for a shell. Both paths may hold blanks: the shell takes one kind of quotes away, ssh the
/// other (`ssh_config(5)`).
fn ssh_command(key: Option<&Path>, host_keys: Option<&Path>) -> OsString {
    let mut command = SSH.to_owned();
    let fits = |path: &Path| {
        path.to_str()
            .is_some_and(|path| !path.contains(['"', '\\', '\n']))
    };
    if let Some(key) = key.filter(|key| fits(key)) {
        let key = key.to_string_lossy().replace('%', "%%");
        command.push_str(" -oIdentitiesOnly=yes");
        command.push_str(&shell_option(&format!("-oIdentityFile=\"{key}\"")));
    }
    if let Some(file) = host_keys.filter(|file| fits(file)) {
        command.push_str(&shell_option(&format!(
            "-oGlobalKnownHostsFile={HOST_KEYS_OF_THE_HOST} \"{}\"",
            file.display()
        )));
    }
    command.into()
}

fn shell_option(option: &str) -> String {
    format!(" '{}'", option.replace('\'', "'\\''"))
}

fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push(path);
    option
}

fn path_of(bytes: &[u8]) -> PathBuf {
    OsString::from_vec(bytes.to_vec()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_told_from_anything_else() {
        #[track_caller]
        fn check(whole: &str, start: &str, expected: bool) {
            assert_eq!(
                begins_with(whole.as_bytes(), start.as_bytes()).unwrap(),
                expected
            );
        }
        check("abc", "", true);
        check("abc", "ab", true);
        check("abc", "abc", true);
        check("abc", "abcd", false);
        check("abc", "b", false);
        check("", "a", false);
    }

    #[test]
    fn what_leads_out_of_a_folder_is_not_below_it() {
        for path in ["posts", "lib/a b", "a..b/.c"] {
            assert!(is_below(Path::new(path)), "{path}");
        }
        for path in ["", "/", "/home/me", "..", "a/../../b", ".", "./../x"] {
            assert!(!is_below(Path::new(path)), "{path}");
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("real")).unwrap();
        std::os::unix::fs::symlink("/", folder.path().join("link")).unwrap();
        assert!(!passes_a_link(folder.path(), Path::new("real/x")));
        assert!(passes_a_link(folder.path(), Path::new("link")));
        assert!(passes_a_link(folder.path(), Path::new("link/home/me")));
    }

    #[test]
    fn blanks_in_a_path_survive_the_shell_and_ssh() {
        assert_eq!(
            ssh_command(
                Some(Path::new("/h/my 50% key's")),
                Some(Path::new("/w/my site/k"))
            ),
            OsString::from(format!(
                "{SSH} -oIdentitiesOnly=yes '-oIdentityFile=\"/h/my 50%% key'\\''s\"' \
                 '-oGlobalKnownHostsFile=/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2 \"/w/my site/k\"'"
            ))
        );
        assert_eq!(ssh_command(None, None), SSH);
    }

    #[test]
    fn gits_configuration_is_read_as_it_prints_it() {
        let config = Config(key_values(b"branch.a.b\"c.remote\norigin\0core.bare\0url.https://t@h/.insteadof\nx\0x.y\n1\0x.y\n2\nz\0"));
        assert_eq!(config.last("branch.a.b\"c.remote"), Some("origin"));
        assert_eq!(config.last("core.bare"), Some("true"));
        assert_eq!(
            (config.first("x.y"), config.last("x.y")),
            (Some("1"), Some("2\nz"))
        );
        assert!(config.has_url_rewrites());
        assert_eq!(config.credentials(), ["t"]);
    }
}
