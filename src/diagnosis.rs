//! What git, ssh and the system said, and what it means here: one table. It chooses words, never an action.
//!
//! The phrases are English because git is made to speak English. What is not in the table is shown as it was said. The
//! commands are whole: whoever reads them can run them as they stand.

use std::fmt::{Display, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cgi::Environment;
use crate::git::{self, Checkout, Config, Followed, Git, Unfollowing};
use crate::process::{self, End};
use crate::redaction::{escape_line, redact};
use crate::remote_url::RemoteUrl;
use crate::shell::{as_root, as_user, give_to, quoted, word};
use crate::site::{Site, read_small};
use crate::user::User;

/// How many files are named in a cause.
const MOST_FILES: usize = 10;

/// More files than this do not fit on a command line that a person reads.
const MOST_ARGUMENTS: usize = 50;

/// How git begins a list of files that were changed.
const LOCAL_CHANGES: &str = "Your local changes";

/// Where GitHub publishes the fingerprints of its host keys.
pub(crate) const FINGERPRINTS: &str = "https://docs.github.com/authentication/keeping-your-account-and-data-secure/githubs-ssh-key-fingerprints";

/// What there is in the git directory while something is not finished, what that is, and how it is given up. A rebase
/// may be in the middle of a cherry-pick.
const UNFINISHED: [(&str, &str, &str); 7] = [
    ("rebase-merge", "rebase", "rebase --abort"),
    ("rebase-apply/applying", "git am", "am --abort"),
    ("rebase-apply", "rebase", "rebase --abort"),
    ("MERGE_HEAD", "merge", "merge --abort"),
    ("CHERRY_PICK_HEAD", "cherry-pick", "cherry-pick --abort"),
    ("REVERT_HEAD", "revert", "revert --abort"),
    ("BISECT_LOG", "bisection", "bisect reset"),
];

/// Where and as whom it went wrong.
#[derive(Clone, Debug)]
pub(crate) struct Situation {
    pub(crate) folder: PathBuf,
    pub(crate) git_dir: PathBuf,
    pub(crate) site_file: PathBuf,
    pub(crate) branch: String,
    pub(crate) remote: String,
    /// The upstream as a person writes it, such as `origin/main`.
    pub(crate) upstream: String,
    /// What the remote could be called, where only a URL stands for it.
    pub(crate) name: Option<&'static str>,
    /// The remote's URL, without credentials.
    pub(crate) url: String,
    pub(crate) user: User,
    /// The site's own key for the remote.
    pub(crate) ssh_key: Option<PathBuf>,
    /// The keys that ssh has to offer, where the remote is reached by ssh.
    pub(crate) offered: Vec<PathBuf>,
    /// How many commits the branch is ahead of and behind its upstream.
    pub(crate) counts: Option<(u64, u64)>,
    /// Files in the way whose changes git was told not to see.
    pub(crate) unseen: Vec<String>,
}

/// What to do: in words, and the commands, one a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Advice {
    pub(crate) words: String,
    pub(crate) commands: Vec<String>,
}

/// What it means, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Diagnosis {
    pub(crate) cause: String,
    pub(crate) advice: Advice,
}

impl Advice {
    pub(crate) fn words(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            commands: Vec::new(),
        }
    }

    pub(crate) fn run<S: Into<String>>(
        words: impl Into<String>,
        commands: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            words: words.into(),
            commands: commands.into_iter().map(Into::into).collect(),
        }
    }
}

impl Display for Advice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.words)?;
        if !self.commands.is_empty() {
            f.write_char(':')?;
        }
        self.commands
            .iter()
            .try_for_each(|command| write!(f, "\n    {command}"))
    }
}

impl Situation {
    /// How it stands with a checkout. What cannot be found out is left out.
    pub(crate) fn of(site: &Site, git: &Git<'_>, host: &Environment, followed: &Followed) -> Self {
        let config = git.config().unwrap_or_default();
        Self {
            folder: git.checkout.folder.clone(),
            git_dir: git.checkout.git_dir.clone(),
            site_file: site.file.clone(),
            branch: followed.branch.clone(),
            remote: followed.remote.clone(),
            upstream: followed.upstream_name(),
            name: name_for(&followed.remote, &config),
            url: followed.url.to_string(),
            user: User::running(host),
            ssh_key: site.ssh_key.clone(),
            offered: git.keys_offered(&followed.url, &config),
            counts: git.ahead_and_behind(&followed.branch).ok().flatten(),
            unseen: Vec::new(),
        }
    }

    /// The same, where more has to be known of the files that were named.
    pub(crate) fn of_files_in(self, said: &str, git: &Git<'_>) -> Self {
        let said = Said::plainly(said);
        if said.also(LOCAL_CHANGES).is_none() {
            return self;
        }
        let unseen = git.unseen(&said.folder(&self), &said.paths());
        Self {
            unseen: unseen.unwrap_or_default(),
            ..self
        }
    }

    fn user(&self) -> String {
        self.user.shown()
    }

    /// `git -C FOLDER …`, as whoever has to run it.
    fn git(&self, rest: impl Display) -> String {
        as_user(
            &self.user,
            &format!("git -C {} {rest}", quoted(&self.folder)),
        )
    }

    fn fix_owner(&self) -> Advice {
        Advice::run(
            format!("give the checkout to {}, then press Redeliver", self.user()),
            [give_to(&self.user, &self.folder)],
        )
    }

    /// Gives up what the branch here has of its own, but keeps it under another name.
    fn follow_the_remote(&self, first: &str) -> Advice {
        Advice::run(
            format!(
                "{first}make this checkout what was pushed; its own commits stay in a branch called kept-… (or set \
                 update = \"reset\" in {}, which does the like at each deploy)",
                self.site_file.display()
            ),
            [
                as_user(
                    &self.user,
                    &format!(
                        "git -C {0} branch -f kept-$(git -C {0} rev-parse --short HEAD)",
                        quoted(&self.folder)
                    ),
                ),
                self.git(format_args!("reset --keep {}", word(&self.upstream))),
            ],
        )
    }

    /// The `known_hosts` file of the user.
    fn known_hosts(&self) -> PathBuf {
        self.home().join(".ssh/known_hosts")
    }

    fn home(&self) -> PathBuf {
        self.user.home.clone().unwrap_or_else(|| "/".into())
    }

    /// Where a new key would lie.
    fn new_key(&self) -> PathBuf {
        self.ssh_key
            .clone()
            .unwrap_or_else(|| self.home().join(".ssh/id_ed25519"))
    }

    fn is_github(&self) -> bool {
        RemoteUrl::parse(&self.url).is_github()
    }

    /// Where a deploy key is entered.
    fn deploy_keys_page(&self) -> String {
        match RemoteUrl::parse(&self.url).repository() {
            Some(repository) if self.is_github() => {
                format!("https://github.com/{repository}/settings/keys/new")
            }
            Some(_) | None => format!("the host of {}", self.url),
        }
    }
}

/// What was said, and what stood in the place of the stars of the phrase that was found in it.
struct Said<'s> {
    all: &'s str,
    caught: Vec<&'s str>,
}

impl<'s> Said<'s> {
    fn plainly(all: &'s str) -> Self {
        let caught = Vec::new();
        Self { all, caught }
    }
}

impl Said<'_> {
    fn also(&self, phrase: &str) -> Option<Vec<&str>> {
        self.all.lines().find_map(|line| catch(line, phrase))
    }

    /// The URL that could not be used: the one git names, which may be a submodule's; else the checkout's own.
    fn url(&self, at: &Situation) -> String {
        self.named_url().unwrap_or_else(|| at.url.clone())
    }

    fn named_url(&self) -> Option<String> {
        let named = [
            "clone of '*' into submodule path",
            "unable to access '*'",
            "repository '*' not found",
            "Authentication failed for '*'",
        ]
        .iter()
        .find_map(|phrase| self.also(phrase)?.first().map(|url| redact(url, [])));
        named.map(|named| named.trim_end_matches('/').to_owned())
    }

    /// The submodule that it is about.
    fn submodule(&self) -> Option<String> {
        ["in submodule path '*'", "into submodule path '*' failed"]
            .iter()
            .find_map(|phrase| self.also(phrase)?.first().map(|path| escape_line(path)))
    }

    /// The work tree that it is about.
    fn folder(&self, at: &Situation) -> PathBuf {
        self.submodule()
            .map_or_else(|| at.folder.clone(), |path| at.folder.join(path))
    }

    /// The paths that git lists, each behind a tab.
    fn paths(&self) -> Vec<&str> {
        let mut paths: Vec<&str> = self
            .all
            .lines()
            .filter_map(|line| line.strip_prefix('\t'))
            .map(|path| path.trim_end_matches('/'))
            .collect();
        paths.dedup();
        paths
    }
}

/// A row of the table: one of the phrases was said → what it means here. A `*` stands for anything on the same line.
struct Row {
    phrases: &'static [&'static str],
    means: fn(&Said<'_>, &Situation) -> Diagnosis,
}

fn found(cause: impl Into<String>, advice: Advice) -> Diagnosis {
    Diagnosis {
        cause: cause.into(),
        advice,
    }
}

/// From the particular to the general: the first row that fits answers.
const TABLE: &[Row] = &[
    // ---- the host's limits
    Row {
        phrases: &["No space left on device"],
        means: |_, at| {
            found(
                "the disk is full",
                Advice::run(
                    "free some space, then press Redeliver; what was half written is put right then. How much is used",
                    [format!("df -h {}", quoted(&at.folder))],
                ),
            )
        },
    },
    Row {
        phrases: &["Disk quota exceeded"],
        means: |_, at| {
            found(
                format!("the disk quota of {} is used up", at.user()),
                Advice::run(
                    "free some space or ask the host for more, then press Redeliver. What takes the most",
                    [format!(
                        "du -h -d 2 {} | sort -h | tail",
                        quoted(&at.home())
                    )],
                ),
            )
        },
    },
    Row {
        phrases: &["Too many open files"],
        means: |_, _| {
            found(
                "the host's limit of open files was reached",
                Advice::words(
                    "press Redeliver when the host is less busy; ask the host for a higher limit (nofile) if it comes back",
                ),
            )
        },
    },
    Row {
        phrases: &[
            "cannot fork()",
            "fork: *Resource temporarily unavailable",
            "unable to create thread",
            "cannot create async thread",
        ],
        means: |_, at| {
            found(
                format!("the host's limit of processes of {} was reached", at.user()),
                Advice::words(
                    "press Redeliver when the host is less busy; ask the host for a higher limit (NPROC) if it comes back",
                ),
            )
        },
    },
    Row {
        phrases: &[
            "Cannot allocate memory",
            "Out of memory",
            "out of memory",
            "died of signal 9",
        ],
        means: |_, at| {
            found(
                "the host's limit of memory was reached",
                Advice::run(
                    "let git use less, then press Redeliver; ask the host for a higher limit if it comes back",
                    [
                        at.git("config pack.threads 1"),
                        at.git("config core.packedGitLimit 64m"),
                        at.git("config core.bigFileThreshold 16m"),
                    ],
                ),
            )
        },
    },
    Row {
        phrases: &["Read-only file system"],
        means: |_, at| {
            found(
                format!("the file system of {} is read-only", at.folder.display()),
                Advice::words(
                    "the host has to mount it for writing (after an error of the disk it is often read-only until a check); then press Redeliver",
                ),
            )
        },
    },
    // ---- ssh
    Row {
        phrases: &["REMOTE HOST IDENTIFICATION HAS CHANGED"],
        means: host_key_changed,
    },
    Row {
        phrases: &["Host key verification failed"],
        means: host_key_unknown,
    },
    Row {
        phrases: &["Permissions * for '*' are too open"],
        means: |said, at| {
            let key = said.caught.get(1).copied().unwrap_or_default();
            found(
                format!(
                    "ssh ignores the key {}: others can read it",
                    escape_line(key)
                ),
                Advice::run(
                    "close it, then press Redeliver",
                    [as_user(&at.user, &format!("chmod 600 {}", word(key)))],
                ),
            )
        },
    },
    Row {
        phrases: &["Load key \"*\": Permission denied"],
        means: |said, at| {
            let key = said.caught.first().copied().unwrap_or_default();
            found(
                format!("{} may not read the key {}", at.user(), escape_line(key)),
                Advice::run(
                    format!("give it to {}, then press Redeliver", at.user()),
                    [
                        give_to(&at.user, Path::new(key)),
                        as_user(&at.user, &format!("chmod 600 {}", word(key))),
                    ],
                ),
            )
        },
    },
    Row {
        phrases: &[
            "Permission denied (publickey",
            "Too many authentication failures",
        ],
        means: key_refused,
    },
    Row {
        phrases: &["No user exists for uid *"],
        means: |said, _| {
            found(
                format!(
                    "ssh refuses to work for a user without a name: uid {} is not in /etc/passwd",
                    escape_line(said.caught.first().copied().unwrap_or_default())
                ),
                Advice::words(
                    "the host has to name that user; or use an https address for the remote",
                ),
            )
        },
    },
    Row {
        phrases: &[
            "cannot run ssh: No such file",
            "ssh: not found",
            "ssh: command not found",
        ],
        means: |_, at| {
            found(
                format!("{} is reached by ssh, and there is no ssh here", at.url),
                Advice::run(
                    format!(
                        "install it, or name its folder with the key `path` in {}; then press Redeliver",
                        at.site_file.display()
                    ),
                    [as_root(&at.user, "apt-get install openssh-client")],
                ),
            )
        },
    },
    Row {
        phrases: &["Permission to * denied to"],
        means: |said, at| {
            found(
                format!(
                    "GitHub knows the key, but as the key of something else: it may not read {}",
                    escape_line(said.caught.first().copied().unwrap_or_default())
                ),
                new_key(
                    at,
                    "a deploy key belongs to one repository; make one of its own",
                ),
            )
        },
    },
    // ---- the remote
    Row {
        phrases: &[
            "could not read Username",
            "could not read Password",
            "terminal prompts disabled",
        ],
        means: |said, at| {
            let url = said.url(at);
            let ssh = RemoteUrl::parse(&url).for_ssh();
            found(
                format!(
                    "{url} is private or not there: it wants a login, and {} has none stored",
                    at.user()
                ),
                match ssh {
                    Some(ssh) => {
                        let mut advice = new_key(at, "let the checkout use a deploy key");
                        advice.commands.push(if said.submodule().is_some() {
                            as_user(
                                &at.user,
                                &format!(
                                    "git config --global url.{}.insteadOf {}",
                                    word(&ssh),
                                    word(&url)
                                ),
                            )
                        } else {
                            at.git(format_args!(
                                "remote set-url {} {}",
                                word(&at.remote),
                                word(&ssh)
                            ))
                        });
                        advice
                    }
                    None => Advice::run(
                        format!(
                            "store the login for {} (git asks for it once), then press Redeliver",
                            at.user()
                        ),
                        [
                            as_user(&at.user, "git config --global credential.helper store"),
                            at.git(format_args!("fetch {}", word(&at.remote))),
                        ],
                    ),
                },
            )
        },
    },
    Row {
        phrases: &[
            "Authentication failed",
            "Invalid username or",
            "The requested URL returned error: 403",
        ],
        means: login_refused,
    },
    Row {
        phrases: &[
            "Repository not found",
            "repository '*' not found",
            "The requested URL returned error: 404",
            "does not appear to be a git repository",
            "remote error: no such repository",
            "access denied or repository not exported",
        ],
        means: |said, at| {
            let url = said.url(at);
            match said.submodule() {
                Some(path) => found(
                    format!(
                        "{}the remote of the submodule {path}{} is not there, or {} may not see it",
                        said.named_url().map_or_else(String::new, |url| url + ", "),
                        if said.named_url().is_some() { "," } else { "" },
                        at.user()
                    ),
                    Advice::run(
                        "if .gitmodules has another URL by now, use that; else mend it there and push. GitHub says \"not found\" \
                         also for a private repository without access; then a deploy key helps",
                        [
                            at.git("submodule sync --recursive"),
                            at.git("submodule update --init --recursive"),
                        ],
                    ),
                ),
                None => found(
                    format!("{url} is not there, or {} may not see it", at.user()),
                    Advice::run(
                        "correct the URL (git remote set-url). GitHub says \"not found\" also for a private repository without \
                         access; then use a deploy key. What is used now",
                        [at.git("remote -v")],
                    ),
                ),
            }
        },
    },
    Row {
        phrases: &[
            "Could not resolve host*: *",
            "Could not resolve host",
            "Temporary failure in name resolution",
            "Name or service not known",
        ],
        means: |said, at| {
            let url = said.url(at);
            found(
                format!("the name of the host of {url} cannot be resolved"),
                Advice::run(
                    "check the spelling, and the host's DNS; then press Redeliver",
                    [format!(
                        "getent hosts {}",
                        word(RemoteUrl::parse(&url).host().unwrap_or(&url))
                    )],
                ),
            )
        },
    },
    Row {
        phrases: &[
            "SSL certificate problem: *",
            "server certificate verification failed*",
            "unable to get local issuer certificate",
            "self-signed certificate",
            "SSL: no alternative certificate subject name matches",
        ],
        means: |said, at| {
            let why = said.caught.first().copied().unwrap_or_default().trim();
            found(
                format!(
                    "the certificate of {} is not trusted here{}",
                    said.url(at),
                    if why.is_empty() {
                        String::new()
                    } else {
                        format!(" ({})", escape_line(why))
                    }
                ),
                Advice::run(
                    "bring the host's certificates up to date; for a certificate of your own, name it with git's setting \
                     http.sslCAInfo. Then press Redeliver",
                    [as_root(
                        &at.user,
                        "apt-get install --only-upgrade ca-certificates",
                    )],
                ),
            )
        },
    },
    Row {
        phrases: &[
            "Connection refused",
            "Connection timed out",
            "Operation timed out",
            "Failed to connect",
            "Could not connect",
            "Couldn't connect",
            "Network is unreachable",
            "No route to host",
            "Operation too slow",
            "Connection reset",
            "Connection closed by",
            "kex_exchange_identification",
        ],
        means: |said, at| {
            let url = said.url(at);
            found(
                format!("{url} cannot be reached from here"),
                Advice::words(format!(
                    "press Redeliver once it is up. Some hosts let nothing out: ask for outgoing port {}",
                    match RemoteUrl::parse(&url) {
                        ssh if ssh.is_ssh() && ssh.port().is_none() =>
                            "22, or use ssh.github.com on port 443".to_owned(),
                        url => url.port_used().to_owned(),
                    }
                )),
            )
        },
    },
    Row {
        phrases: &[
            "The requested URL returned error: 429",
            "The requested URL returned error: 5*",
        ],
        means: |said, at| {
            found(
                format!("{} has trouble of its own", said.url(at)),
                Advice::words(
                    "press Redeliver later; GitHub's state is at https://www.githubstatus.com",
                ),
            )
        },
    },
    // ---- ownership
    Row {
        phrases: &[
            "dubious ownership in repository at '*'",
            "unsafe repository ('*' is owned",
        ],
        means: |said, at| {
            let path = PathBuf::from(said.caught.first().copied().unwrap_or_default());
            if path.starts_with(&at.folder) {
                found(
                    format!(
                        "{} belongs to {}, so git does not trust it when {} works there",
                        path.display(),
                        owner_of(&path),
                        at.user()
                    ),
                    at.fix_owner(),
                )
            } else {
                found(
                    format!(
                        "the remote {} belongs to {}, so git does not trust it when {} reads it",
                        path.display(),
                        owner_of(&path),
                        at.user()
                    ),
                    Advice::run(
                        format!("let {} trust it, then press Redeliver", at.user()),
                        [as_user(
                            &at.user,
                            &format!("git config --global --add safe.directory {}", quoted(&path)),
                        )],
                    ),
                )
            }
        },
    },
    // ---- the state of the checkout
    Row {
        phrases: &[
            "would be overwritten by",
            "would lose untracked files in them",
        ],
        means: in_the_way,
    },
    Row {
        phrases: &[
            "Not possible to fast-forward",
            "Need to specify how to reconcile",
            "refusing to merge unrelated histories",
        ],
        means: |_, at| separate_ways(at),
    },
    Row {
        phrases: &[
            "no such ref was fetched",
            "couldn't find remote ref *",
            "such ref was fetched",
        ],
        means: |_, at| gone(at),
    },
    Row {
        phrases: &[
            "because you have unmerged files",
            "You have not concluded your merge",
            "MERGE_HEAD exists",
        ],
        means: |_, at| {
            unfinished(&at.folder, &at.git_dir, &at.user).unwrap_or_else(|| {
                found(
                    "files here are in conflict: what somebody took from a stash or a patch does not fit",
                    Advice::run(
                        "mend them and name them to git add; or go back to the last commit (a stash that did not fit is \
                         still there: git stash list). Then press Redeliver. To go back",
                        [at.git("reset --merge")],
                    ),
                )
            })
        },
    },
    Row {
        phrases: &["nable to create '*.lock': File exists"],
        means: |said, at| {
            let path = format!("{}.lock", said.caught.first().copied().unwrap_or_default());
            locked(at, &at.folder.join(path))
        },
    },
    Row {
        phrases: &["could not lock config file *: File exists"],
        means: |said, at| {
            let path = format!("{}.lock", said.caught.first().copied().unwrap_or_default());
            locked(at, &at.folder.join(path))
        },
    },
    Row {
        phrases: &[
            "cannot lock ref '*': is at * but expected",
            "Cannot fast-forward to multiple branches",
            "shallow file has changed since we read it",
        ],
        means: |_, _| {
            found(
                "another git was at work in this checkout at the same moment",
                Advice::words(
                    "press Redeliver; let nothing but deploy-cgi pull here (cron, a panel)",
                ),
            )
        },
    },
    Row {
        phrases: &["Unable to find refs/remotes/origin/* revision in submodule path '*'"],
        means: tip_unknown,
    },
    Row {
        phrases: &[
            "expected '*' in submodule path '*' not to be a symbolic link",
            "expected submodule path '*' not to be a symbolic link",
        ],
        means: |said, at| {
            let path = at
                .folder
                .join(said.caught.first().copied().unwrap_or_default());
            found(
                format!(
                    "a symbolic link is in the way of a submodule: {}",
                    path.display()
                ),
                Advice::run("move it away, then press Redeliver", [move_away(at, &path)]),
            )
        },
    },
    Row {
        phrases: &[
            "not our ref *",
            "did not contain *. Direct fetching",
            "Unable to find current revision in submodule path",
            "unadvertised object *",
        ],
        means: |said, at| {
            let id = said.caught.first().copied().unwrap_or_default();
            let which = said
                .submodule()
                .map_or_else(String::new, |path| format!(" {path}"));
            found(
                format!(
                    "the commit{} that the checkout records for the submodule{which} is not at the submodule's remote",
                    id.get(..7)
                        .map_or_else(String::new, |id| format!(" {}", escape_line(id))),
                ),
                Advice::run(
                    "push it where it was made (git push --recurse-submodules=on-demand), then press Redeliver. If the \
                     submodule moved to another URL by now, use that",
                    [at.git("submodule sync --recursive")],
                ),
            )
        },
    },
    Row {
        phrases: &["destination path '*' already exists and is not an empty directory"],
        means: |said, at| {
            let path = at
                .folder
                .join(said.caught.first().copied().unwrap_or_default());
            found(
                format!("files are in the way of the submodule {}", path.display()),
                Advice::run(
                    "move them away, then press Redeliver",
                    [move_away(at, &path)],
                ),
            )
        },
    },
    Row {
        phrases: &["No url found for submodule path '*' in .gitmodules"],
        means: |said, _| no_submodule(Path::new(said.caught.first().copied().unwrap_or_default())),
    },
    Row {
        phrases: &["could not get a repository handle for submodule '*'"],
        means: |said, at| {
            let path = at
                .folder
                .join(said.caught.first().copied().unwrap_or_default());
            found(
                format!("the submodule {} has lost its repository", path.display()),
                Advice::run(
                    "move it away, then press Redeliver: it is cloned anew",
                    [move_away(at, &path)],
                ),
            )
        },
    },
    Row {
        phrases: &["transport 'file' not allowed"],
        means: |_, _| {
            found(
                "git does not clone a submodule from a path on this machine",
                Advice::words(
                    "give the submodule a URL in .gitmodules where it is written, and push",
                ),
            )
        },
    },
    // ---- what git needs
    Row {
        phrases: &[
            "external filter 'git-lfs",
            "git-lfs: not found",
            "git-lfs: command not found",
            "'lfs' is not a git command",
            "git-lfs filter-process*not found",
        ],
        means: |_, at| lfs_missing(&at.user),
    },
    Row {
        phrases: &["smudge filter lfs failed", "Error downloading object"],
        means: |_, at| {
            found(
                "git-lfs could not fetch a file",
                Advice::run(
                    "try it by hand to see why (a login, a quota of LFS at GitHub), then press Redeliver",
                    [at.git("lfs fetch")],
                ),
            )
        },
    },
    Row {
        phrases: &["unknown option", "unknown switch", "is not a git command"],
        means: |_, at| {
            found(
                "this git is too old, or its installation is not whole",
                Advice::run(
                    format!(
                        "install git 2.17 or newer, or name the folder of a newer one with the key `path` in {}. What is there",
                        at.site_file.display()
                    ),
                    ["git --version".to_owned(), "git --exec-path".to_owned()],
                ),
            )
        },
    },
    // ---- damage
    Row {
        phrases: &[
            "index file corrupt",
            "index file smaller than expected",
            "bad index file sha1 signature",
            "bad signature 0x",
            "unknown index entry format",
            "index uses * extension, which we do not understand",
        ],
        means: |_, at| {
            let index = at.git_dir.join("index");
            found(
                "git's index of the checkout is damaged, or a newer git wrote it",
                Advice::run(
                    "have it made anew (files stay as they are), then press Redeliver",
                    [
                        as_user(
                            &at.user,
                            &format!(
                                "mv {} {}",
                                quoted(&index),
                                quoted(&index.with_extension("broken"))
                            ),
                        ),
                        at.git("reset --quiet"),
                    ],
                ),
            )
        },
    },
    Row {
        phrases: &[
            "object file * is empty",
            "loose object * is corrupt",
            "bad object",
            "unable to read tree",
            "unable to read sha1 file",
            "did not send all necessary objects",
            "inflate: data stream error",
            "invalid sha1 pointer",
            "packfile * cannot be accessed",
            "your current branch appears to be broken",
        ],
        means: |_, at| {
            let broken = beside(&at.folder, "broken");
            // A login in the URL is masked; then git is asked for the URL as it is.
            let url = if at.url.contains("***@") {
                format!(
                    "\"$(git -C {} remote get-url {})\"",
                    quoted(&broken),
                    word(&at.remote)
                )
            } else {
                word(&at.url)
            };
            found(
                "the repository here is damaged",
                Advice::run(
                    format!(
                        "put a fresh clone in its place, then press Redeliver; what was here stays in {}",
                        broken.display()
                    ),
                    [
                        as_user(
                            &at.user,
                            &format!("mv {} {}", quoted(&at.folder), quoted(&broken)),
                        ),
                        as_user(
                            &at.user,
                            &format!(
                                "git clone --recurse-submodules --branch {} {} {}",
                                word(
                                    at.upstream
                                        .strip_prefix(&format!("{}/", at.remote))
                                        .unwrap_or(&at.branch)
                                ),
                                url,
                                quoted(&at.folder)
                            ),
                        ),
                    ],
                ),
            )
        },
    },
    Row {
        phrases: &["not a git repository"],
        means: |_, at| {
            found(
                format!("git finds no repository in {}", at.folder.display()),
                Advice::run(
                    "look at what is there; a fresh clone in its place is the quickest cure",
                    [format!("ls -la {}", quoted(&at.git_dir))],
                ),
            )
        },
    },
    Row {
        phrases: &[
            "remote end hung up unexpectedly",
            "early EOF",
            "RPC failed",
            "unexpected disconnect while reading sideband packet",
        ],
        means: |said, at| {
            found(
                format!("the connection to {} broke", said.url(at)),
                Advice::words("press Redeliver"),
            )
        },
    },
    // ---- whatever else may not be written
    Row {
        phrases: &[
            "insufficient permission for adding an object to repository database *",
            "unable to unlink old '*': Permission denied",
            "unable to create file *: Permission denied",
            "nable to create '*': Permission denied",
            "annot open '*': Permission denied",
            "Permission denied",
            "insufficient permission",
            "Operation not permitted",
        ],
        means: |said, at| {
            let named = said.caught.first().copied().unwrap_or_default();
            let path = at.folder.join(named.trim_end_matches('/'));
            // A file that is to be made belongs to nobody yet; its folder does.
            let closed = path
                .ancestors()
                .take_while(|folder| folder.starts_with(&at.folder))
                .find(|folder| {
                    folder
                        .metadata()
                        .is_ok_and(|found| found.uid() != at.user.uid)
                })
                .unwrap_or(&at.folder);
            found(
                format!(
                    "{} may not write in {}, which belongs to {}",
                    at.user(),
                    closed.display(),
                    owner_of(closed)
                ),
                at.fix_owner(),
            )
        },
    },
];

/// Finds what a failed command's output means.
pub(crate) fn diagnose(said: &str, at: &Situation) -> Option<Diagnosis> {
    TABLE.iter().find_map(|row| {
        let caught = said
            .lines()
            .find_map(|line| row.phrases.iter().find_map(|phrase| catch(line, phrase)))?;
        Some((row.means)(&Said { all: said, caught }, at))
    })
}

/// What it means that a command was ended before it could say anything.
pub(crate) fn cut_short(end: End, site: &Path) -> Option<Diagnosis> {
    match end {
        End::Limit(limit) => Some(found(
            format!("git {end}"),
            Advice::words(format!(
                "if it needs longer than {}, raise `timeout` in {}; then press Redeliver",
                humantime::format_duration(limit),
                site.display()
            )),
        )),
        End::Signal(signal) => Some(found(
            format!("git was killed by signal {signal}"),
            Advice::words(
                "that is what a host's limit of memory or time does: press Redeliver when it is less busy, and ask the host \
                 for a higher limit if it comes back",
            ),
        )),
        End::Exit(_) | End::Stopped => None,
    }
}

/// What it means that a checkout follows nothing.
pub(crate) fn not_following(
    unfollowing: &Unfollowing,
    checkout: &Checkout,
    config: &Config,
    user: &User,
) -> Diagnosis {
    let folder = &checkout.folder;
    // Git switches to no branch before that has ended, and most of it ends at the branch where it began.
    if matches!(
        unfollowing,
        Unfollowing::Detached | Unfollowing::OtherBranch { .. }
    ) && let Some(unfinished) = unfinished(folder, &checkout.git_dir, user)
    {
        return unfinished;
    }
    let git = |rest: String| as_user(user, &format!("git -C {} {rest}", quoted(folder)));
    let switch_to = |branch: &str| {
        Advice::run(
            "check it out, then press Redeliver",
            [git(format!("switch {}", word(branch)))],
        )
    };
    match unfollowing {
        Unfollowing::Detached => found(
            "no branch is checked out (HEAD is detached)",
            match config.branches().first() {
                Some(branch) => Advice {
                    words: "check out the branch to deploy, then press Redeliver".into(),
                    ..switch_to(branch)
                },
                None => Advice::run(
                    "check out the branch to deploy (git switch), then press Redeliver. Which there are",
                    [git("branch --all".into())],
                ),
            },
        ),
        Unfollowing::OtherBranch {
            wanted,
            found: here,
        } => found(
            match here {
                Some(here) => format!(
                    "{} is checked out, but the site's `branch` is {}",
                    escape_line(here),
                    escape_line(wanted)
                ),
                None => format!(
                    "no branch is checked out (HEAD is detached), but the site's `branch` is {}",
                    escape_line(wanted)
                ),
            },
            switch_to(wanted),
        ),
        Unfollowing::NoUpstream { branch } | Unfollowing::LocalUpstream { branch } => {
            let shown = escape_line(branch);
            let cause = if matches!(unfollowing, Unfollowing::LocalUpstream { .. }) {
                format!(
                    "{shown} follows another branch of this checkout, where nothing comes from GitHub"
                )
            } else {
                format!("{shown} has no upstream to pull from")
            };
            match config.remotes().first() {
                Some(remote) => found(
                    cause,
                    Advice::run(
                        "give it an upstream at the remote, then press Redeliver",
                        [git(format!(
                            "branch --set-upstream-to={} {}",
                            word(&format!("{remote}/{branch}")),
                            word(branch)
                        ))],
                    ),
                ),
                None => found(
                    format!("{cause}, and the checkout knows no remote"),
                    Advice::words(format!(
                        "add the remote (git -C {} remote add origin, and its URL), fetch, and set the upstream",
                        quoted(folder)
                    )),
                ),
            }
        }
    }
}

/// Something of git's that takes more than one command, and that somebody has begun and not ended.
fn unfinished(folder: &Path, git_dir: &Path, user: &User) -> Option<Diagnosis> {
    let (_, what, give_up) = UNFINISHED
        .iter()
        .find(|(file, ..)| git_dir.join(file).exists())?;
    Some(found(
        format!("a {what} that somebody began here is not finished"),
        Advice::run(
            "finish it, or give it up; then press Redeliver. To give it up",
            [as_user(
                user,
                &format!("git -C {} {give_up}", quoted(folder)),
            )],
        ),
    ))
}

/// What it means that git writes the files to another folder than the checkout's.
pub(crate) fn written_elsewhere(there: &Path, checkout: &Checkout, user: &User) -> Diagnosis {
    let folder = quoted(&checkout.folder);
    let of_worktree = read_small(&checkout.git_dir.join("config.worktree"))
        .is_ok_and(|text| String::from_utf8_lossy(&text).contains("worktree ="));
    let which = if of_worktree { " --worktree" } else { "" };
    found(
        format!(
            "git writes the files to {}, as core.worktree says, and not to the checkout {}",
            there.display(),
            checkout.folder.display()
        ),
        Advice::run(
            "have them written to the checkout, then press Redeliver",
            [as_user(
                user,
                &format!("git -C {folder} config{which} --unset core.worktree"),
            )],
        ),
    )
}

/// What it means that HEAD is not the remote branch although a pull has ended well.
pub(crate) fn not_the_remote_branch(at: &Situation, followed: &Followed) -> Diagnosis {
    match at.counts {
        Some((ahead, 0)) => ahead_by(at, ahead),
        Some((ahead, behind)) => found(
            format!(
                "after the pull {} is still {behind} commits behind {}, and {ahead} ahead",
                at.branch, at.upstream
            ),
            Advice::run("look at it", [at.git("status")]),
        ),
        None => not_kept(at, followed),
    }
}

/// What it means that git keeps nothing of the upstream, so that nobody could tell whether a pull brought it.
pub(crate) fn not_kept(at: &Situation, followed: &Followed) -> Diagnosis {
    let branch = followed.remote_branch();
    let advice = match at.name {
        Some(name) => by_a_name(at, name),
        None if !followed.remote_ref.starts_with("refs/") => Advice::run(
            format!(
                "branch.{}.merge has to be a whole ref, such as refs/heads/{}; set it again, then press Redeliver",
                escape_line(&at.branch),
                escape_line(branch)
            ),
            [at.git(format_args!(
                "branch --set-upstream-to={} {}",
                word(&at.upstream),
                word(&at.branch)
            ))],
        ),
        None => Advice::run(
            "have it fetched, then press Redeliver",
            [
                at.git(format_args!(
                    "remote set-branches --add {} {}",
                    word(&at.remote),
                    word(branch)
                )),
                at.git(format_args!("fetch {}", word(&at.remote))),
            ],
        ),
    };
    found(
        format!(
            "git keeps no {} here to compare a pull with",
            redact(&at.upstream, [])
        ),
        advice,
    )
}

/// A name for a remote that has none: git keeps what it fetches from a bare URL nowhere.
fn name_for(remote: &str, config: &Config) -> Option<&'static str> {
    let named = config.remotes();
    let is_free = |name: &&str| !named.contains(name);
    is_free(&remote)
        .then(|| ["origin", "upstream", "deploy"].into_iter().find(is_free))
        .flatten()
}

fn by_a_name(at: &Situation, name: &str) -> Advice {
    let branch = at.upstream.trim_start_matches(&format!("{}/", at.remote));
    // It may hold a login, which is not shown.
    let url = format!(
        "\"$(git -C {} config {})\"",
        quoted(&at.folder),
        word(&format!("branch.{}.remote", at.branch))
    );
    Advice::run(
        "a URL stands where the name of a remote should; give it one, then press Redeliver",
        [
            at.git(format_args!("remote add {name} {url}")),
            at.git(format_args!("fetch {name}")),
            at.git(format_args!(
                "branch --set-upstream-to={} {}",
                word(&format!("{name}/{branch}")),
                word(&at.branch)
            )),
        ],
    )
}

/// Commits here that the remote does not have.
pub(crate) fn ahead_by(at: &Situation, ahead: u64) -> Diagnosis {
    found(
        format!(
            "{} here is {} ahead of {}: commits were made here, or a push took some back",
            at.branch,
            commits(ahead),
            at.upstream
        ),
        at.follow_the_remote("push them from here (git push), or "),
    )
}

/// Both sides have commits that the other has not.
pub(crate) fn separate_ways(at: &Situation) -> Diagnosis {
    let counts = at.counts.map_or_else(String::new, |(ahead, behind)| {
        format!(" ({} of its own here, {behind} there)", commits(ahead))
    });
    found(
        format!(
            "{} here and {} have gone separate ways{counts}: commits were made here, or {1} was rewritten",
            at.branch, at.upstream
        ),
        at.follow_the_remote(""),
    )
}

/// The branch is no longer at the remote.
pub(crate) fn gone(at: &Situation) -> Diagnosis {
    found(
        format!("{} is no longer at {}", at.upstream, at.url),
        Advice::run(
            "push it again, or follow another branch with git switch. Which there are",
            [at.git(format_args!("ls-remote --heads {}", word(&at.remote)))],
        ),
    )
}

/// A lock file of git's is there. Its removal is printed only where no git lives.
pub(crate) fn locked(at: &Situation, path: &Path) -> Diagnosis {
    let what = format!("the lock file {} is in the way", path.display());
    let file = path.symlink_metadata().ok();
    let age = file
        .as_ref()
        .and_then(|file| file.modified().ok()?.elapsed().ok())
        .map(|age| humantime::format_duration(Duration::from_secs(age.as_secs())).to_string());
    let aged = age.map_or_else(String::new, |age| format!(", {age} old"));
    let is_ours = file.is_none_or(|file| file.uid() == at.user.uid) || at.user.uid == 0;
    if !is_ours || process::may_be_at_work("git", &at.folder) {
        return found(
            format!("{what}{aged}: a git may be at work in this checkout"),
            Advice::words("press Redeliver when it has ended"),
        );
    }
    found(
        format!("{what}{aged}: a git was killed here, none is at work any more"),
        Advice::run(
            "remove it, then press Redeliver",
            [as_user(&at.user, &format!("rm -f {}", quoted(path)))],
        ),
    )
}

/// Files that git-lfs should have brought, and there is no git-lfs.
pub(crate) fn lfs_missing(user: &User) -> Diagnosis {
    found(
        "the repository keeps files with git-lfs, which is not installed here",
        Advice::run(
            "install it and switch it on, then press Redeliver",
            [
                as_root(user, "apt-get install git-lfs"),
                as_user(user, "git lfs install"),
            ],
        ),
    )
}

/// Pointers of git-lfs are where its large files should be.
pub(crate) fn lfs_pointers(folder: &Path, is_set_up: bool, user: &User) -> Diagnosis {
    let pull = as_user(user, &format!("git -C {} lfs pull", quoted(folder)));
    if is_set_up {
        return found(
            format!(
                "pointers of git-lfs are in place of large files in {}",
                folder.display()
            ),
            Advice::run("have git-lfs bring them, then press Redeliver", [pull]),
        );
    }
    let missing = lfs_missing(user);
    found(
        "large files are kept with git-lfs, which is not set up here: pointers are in their places",
        Advice::run(
            missing.advice.words,
            missing.advice.commands.into_iter().chain([pull]),
        ),
    )
}

/// A submodule became plain files, and there is something of a person's in it. Where the files have come already, `checked_out`
/// is the work tree that they belong to.
pub(crate) fn replaced_submodule(
    folder: &Path,
    checked_out: Option<&Path>,
    user: &User,
) -> Diagnosis {
    let kept = beside(folder, "kept");
    let mut commands = vec![format!("mv -T {} {}", quoted(folder), quoted(&kept))];
    if let Some(top) = checked_out {
        commands.push(format!(
            "git -C {} checkout HEAD -- {}",
            quoted(top),
            quoted(folder)
        ));
    }
    found(
        format!(
            "the submodule {} became plain files, and holds untracked files or uncommitted changes",
            folder.display()
        ),
        Advice::run(
            format!(
                "move it away, then press Redeliver; what was in it stays in {}",
                kept.display()
            ),
            commands.iter().map(|command| as_user(user, command)),
        ),
    )
}

/// A repository inside the repository that is in no .gitmodules.
pub(crate) fn no_submodule(path: &Path) -> Diagnosis {
    found(
        format!(
            "{} was committed as a repository inside the repository, without being a submodule",
            escape_line(&path.to_string_lossy())
        ),
        Advice::run(
            "where the site is written, take it out (or add it as a submodule: git submodule add), commit and push; or \
             set submodules = \"skip\". To take it out, there",
            [format!("git rm --cached {}", quoted(path))],
        ),
    )
}

/// A key that has a passphrase: nobody is there to type it.
pub(crate) fn passphrase(key: &Path, user: &User) -> Diagnosis {
    found(
        format!(
            "the key {} has a passphrase, and nobody is there to type it",
            key.display()
        ),
        Advice::run(
            "take the passphrase away (the file stays readable by its owner only)",
            [as_user(
                user,
                &format!("ssh-keygen -p -N '' -f {}", quoted(key)),
            )],
        ),
    )
}

/// Whether a private key is encrypted, by its beginning: the OpenSSH format names the cipher first, PEM says it.
pub(crate) fn has_passphrase(key: &str) -> bool {
    // "openssh-key-v1", NUL, and the cipher's name "none", in base64 (OpenSSH, PROTOCOL.key).
    const UNENCRYPTED: &str = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU";
    let mut lines = key.lines();
    match lines.next().map(str::trim) {
        Some("-----BEGIN OPENSSH PRIVATE KEY-----") => {
            !lines.next().unwrap_or_default().starts_with(UNENCRYPTED)
        }
        Some(_) => key.contains("ENCRYPTED"),
        None => false,
    }
}

fn login_refused(said: &Said<'_>, at: &Situation) -> Diagnosis {
    let url = said.url(at);
    let cause = |whose: &str| {
        format!("{url} refuses the login {whose}: it is not the right one, or has expired")
    };
    let fetch = at.git(format_args!("fetch {}", word(&at.remote)));
    // Where the login stood in the URL, it is masked.
    match at.url.split_once("***@") {
        Some((scheme, rest)) => found(
            cause("that stands in the remote's URL"),
            Advice::run(
                "take it out, and let git store a new one (it asks once); or use a deploy key. Then press Redeliver",
                [
                    at.git(format_args!(
                        "remote set-url {} {}",
                        word(&at.remote),
                        word(&format!("{scheme}{rest}"))
                    )),
                    as_user(&at.user, "git config --global credential.helper store"),
                    fetch,
                ],
            ),
        ),
        None => found(
            cause(&format!("that {} has stored", at.user())),
            Advice::run(
                "forget it and log in anew (git asks), or use a deploy key; then press Redeliver",
                [
                    as_user(
                        &at.user,
                        &format!("printf 'url={url}\\n\\n' | git credential reject"),
                    ),
                    fetch,
                ],
            ),
        ),
    }
}

fn host_key_unknown(_: &Said<'_>, at: &Situation) -> Diagnosis {
    let user = at.user();
    found(
        format!(
            "ssh does not know the host key of {}: it is not in {} of {user}",
            at.url,
            at.known_hosts().display()
        ),
        Advice::run(
            format!(
                "get the key, compare its fingerprint with the one that the host publishes{}, and only then accept it with \
                 the last line; then press Redeliver",
                published(at)
            ),
            accept_host_key(at),
        ),
    )
}

fn host_key_changed(said: &Said<'_>, at: &Situation) -> Diagnosis {
    let offending = said.also("Offending * key in *:*");
    let file = offending
        .as_ref()
        .and_then(|caught| caught.get(1))
        .map_or_else(|| at.known_hosts(), PathBuf::from);
    let cause = format!(
        "{} shows another host key than the one that is in {}: it has a new one, or somebody stands between",
        at.url,
        file.display()
    );
    if file.starts_with(&at.git_dir) {
        return found(
            cause,
            Advice::words(format!(
                "do not go on before you have compared: the keys of GitHub that are built into deploy-cgi are in that file, \
                 and GitHub publishes its fingerprints at {FINGERPRINTS}. If GitHub has a new key, a newer deploy-cgi has it too"
            )),
        );
    }
    let mut commands = accept_host_key(at);
    let url = RemoteUrl::parse(&at.url);
    if let Some(host) = url.host().filter(|_| url.is_ssh()) {
        let name = url
            .port()
            .map_or_else(|| host.to_owned(), |port| format!("[{host}]:{port}"));
        let forget = format!("ssh-keygen -R {} -f {}", word(&name), quoted(&file));
        let last = commands.len().saturating_sub(1);
        commands.insert(last, as_user(&at.user, &forget));
    }
    found(
        cause,
        Advice::run(
            format!(
                "compare the fingerprint of the new key with the one that the host publishes{}. Only if they are the same, \
                 forget the old key and accept the new one with the last two lines; then press Redeliver",
                published(at)
            ),
            commands,
        ),
    )
}

fn published(at: &Situation) -> String {
    if at.is_github() {
        format!(" ({FINGERPRINTS})")
    } else {
        String::new()
    }
}

/// Fetches a host's keys into a file of their own and shows their fingerprints; the last command accepts them.
fn accept_host_key(at: &Situation) -> Vec<String> {
    let url = RemoteUrl::parse(&at.url);
    let Some(host) = url.host().filter(|_| url.is_ssh()) else {
        return vec![];
    };
    let port = url
        .port()
        .map_or_else(String::new, |port| format!("-p {} ", word(port)));
    let known = at.known_hosts();
    let new = known.with_extension("new");
    let folder = known.parent().unwrap_or(&known).to_owned();
    [
        format!("mkdir -p -m 700 {}", quoted(&folder)),
        format!("ssh-keyscan {port}{} >{}", word(host), quoted(&new)),
        format!("ssh-keygen -l -f {}", quoted(&new)),
        format!("cat {} >>{}", quoted(&new), quoted(&known)),
    ]
    .iter()
    .map(|command| as_user(&at.user, command))
    .collect()
}

fn key_refused(_: &Said<'_>, at: &Situation) -> Diagnosis {
    let user = at.user();
    let there: Vec<&PathBuf> = at.offered.iter().filter(|key| key.exists()).collect();
    if let Some(locked) = there.iter().find(|key| {
        read_small(key).is_ok_and(|text| has_passphrase(&String::from_utf8_lossy(&text)))
    }) {
        return passphrase(locked, &at.user);
    }
    let Some(key) = there.first() else {
        return found(
            format!(
                "{} wants a key, and {user} has none{}",
                at.url,
                at.ssh_key.as_ref().map_or_else(String::new, |key| format!(
                    ": there is no {}",
                    key.display()
                ))
            ),
            new_key(at, "make one"),
        );
    };
    let offered: Vec<String> = there.iter().map(|key| key.display().to_string()).collect();
    found(
        format!(
            "{} does not accept the key that {user} offers: {}",
            at.url,
            offered.join(", ")
        ),
        Advice::run(
            format!(
                "enter its public half as a deploy key at {}, then press Redeliver. The public half",
                at.deploy_keys_page()
            ),
            [as_user(
                &at.user,
                &format!("ssh-keygen -y -f {}", quoted(key)),
            )],
        ),
    )
}

/// Makes a key and shows what to enter.
fn new_key(at: &Situation, first: &str) -> Advice {
    let key = at.new_key();
    let key = if at.ssh_key.is_none() && key.exists() {
        key.with_file_name("deploy")
    } else {
        key
    };
    let public = PathBuf::from(format!("{}.pub", key.display()));
    let mut commands = Vec::new();
    if !key.exists() {
        if let Some(folder) = key.parent() {
            commands.push(format!("mkdir -p -m 700 {}", quoted(folder)));
        }
        commands.push(format!(
            "ssh-keygen -q -t ed25519 -N '' -f {}",
            quoted(&key)
        ));
    }
    commands.push(format!("cat {}", quoted(&public)));
    let named = if at.ssh_key.is_none() {
        format!(
            ", name it in {} (ssh_key = \"{}\")",
            at.site_file.display(),
            key.display()
        )
    } else {
        String::new()
    };
    Advice::run(
        format!(
            "{first}, enter what the `cat` line shows as a deploy key at {}{named}, then press Redeliver",
            at.deploy_keys_page()
        ),
        commands.iter().map(|command| as_user(&at.user, command)),
    )
}

/// The branch that a submodule follows is not among those of its `origin`, the only remote where git looks.
fn tip_unknown(said: &Said<'_>, at: &Situation) -> Diagnosis {
    let branch = said.caught.first().copied().unwrap_or_default();
    let path = said.caught.get(1).copied().unwrap_or_default();
    let folder = at.folder.join(path);
    let path = escape_line(path);
    let git = |rest: &str| as_user(&at.user, &format!("git -C {} {rest}", quoted(&folder)));
    let remotes = git::git_dir_of(&folder)
        .ok()
        .flatten()
        .and_then(|git_dir| std::fs::read_dir(git_dir.join("refs/remotes")).ok());
    let mut remotes = remotes
        .into_iter()
        .flatten()
        .flatten()
        .map(|remote| remote.file_name().to_string_lossy().into_owned());
    let first = remotes.next().unwrap_or_else(|| "origin".into());
    if first != "origin" && remotes.next().is_none() {
        return found(
            format!(
                "the remote of the submodule {path} is called {}, and git follows a submodule at \"origin\" only",
                escape_line(&first)
            ),
            Advice::run(
                "give it that name, then press Redeliver",
                [git(&format!("remote rename {} origin", word(&first)))],
            ),
        );
    }
    if branch == "HEAD" {
        return found(
            format!("the default branch of the submodule {path} is not known here"),
            Advice::run(
                "have the remote asked for it, then press Redeliver",
                [git("remote set-head origin --auto")],
            ),
        );
    }
    found(
        format!(
            "the submodule {path} is to follow {}, which is not at its remote",
            escape_line(branch)
        ),
        Advice::run(
            "push that branch, or name another one in .gitmodules where the site is written. Which there are",
            [git("ls-remote --heads origin")],
        ),
    )
}

/// Files of a person's that git would not overwrite.
fn in_the_way(said: &Said<'_>, at: &Situation) -> Diagnosis {
    let below = said.submodule();
    let folder = said.folder(at);
    let unknown = said.also("untracked").is_some();
    let known = said.also(LOCAL_CHANGES).is_some();
    let paths = said.paths();
    let mut cause = format!(
        "{} in the way{}: {}",
        match (known, unknown) {
            (false, true) => "files that git does not know are",
            (true, true) => "files that were changed here, and files that git does not know, are",
            (_, false) => "files that were changed here are",
        },
        below.map_or_else(String::new, |path| format!(" in the submodule {path}")),
        named(&paths)
    );
    if !at.unseen.is_empty() {
        let _ = write!(
            cause,
            "; git was told not to see changes of {}",
            named(&at.unseen.iter().map(String::as_str).collect::<Vec<_>>())
        );
    }
    let all = if unknown { " --include-untracked" } else { "" };
    // What git prints in quotes is not the name itself.
    let odd = |path: &&str| path.starts_with('"') || path.contains(char::is_control);
    let exact = paths.len() <= MOST_ARGUMENTS && !paths.iter().any(odd);
    let which = if exact {
        paths.iter().fold(" --".to_owned(), |list, path| {
            format!("{list} {}", word(path))
        })
    } else {
        String::new()
    };
    let git = |rest: String| as_user(&at.user, &format!("git -C {} {rest}", quoted(&folder)));
    let mut commands = vec![git(format!("stash push{all}{which}"))];
    let mut first = "";
    if !at.unseen.is_empty() {
        first = "let git see them again, and ";
        let files = at
            .unseen
            .iter()
            .fold(String::new(), |list, path| list + " " + &word(path));
        let again = ["skip-worktree", "assume-unchanged"];
        let again = again.map(|mark| git(format!("update-index --no-{mark} --{files}")));
        commands.splice(0..0, again);
    }
    found(
        cause,
        Advice::run(
            format!(
                "{first}put them into a stash (git stash list shows it, git stash pop brings them back), then press Redeliver"
            ),
            commands,
        ),
    )
}

fn named(paths: &[&str]) -> String {
    let mut files = paths
        .iter()
        .take(MOST_FILES)
        .map(|path| escape_line(path))
        .collect::<Vec<_>>()
        .join(", ");
    if paths.len() > MOST_FILES {
        let _ = write!(files, " and {} more", paths.len() - MOST_FILES);
    }
    files
}

fn commits(count: u64) -> String {
    format!("{count} commit{}", if count == 1 { "" } else { "s" })
}

fn move_away(at: &Situation, path: &Path) -> String {
    let to = beside(path, "kept");
    as_user(&at.user, &format!("mv -T {} {}", quoted(path), quoted(&to)))
}

/// The same path with an ending.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

fn owner_of(path: &Path) -> String {
    path.metadata().map_or_else(
        |_| "another user".to_owned(),
        |file| crate::user::name_of(file.uid()),
    )
}

/// What stands in a line in the place of the stars of a phrase, if the line has the phrase.
fn catch<'l>(line: &'l str, phrase: &str) -> Option<Vec<&'l str>> {
    let mut parts = phrase.split('*');
    let first = parts.next()?;
    let mut rest = line.split_once(first).map(|(_, rest)| rest)?;
    let mut caught = Vec::new();
    for part in parts {
        if part.is_empty() {
            caught.push(rest);
            rest = "";
        } else {
            let (between, after) = rest.split_once(part)?;
            caught.push(between);
            rest = after;
        }
    }
    Some(caught)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> User {
        User {
            uid: 1000,
            name: Some("me".into()),
            home: Some("/home/me".into()),
            logs_in: true,
        }
    }

    fn at() -> Situation {
        Situation {
            folder: "/w/my site".into(),
            git_dir: "/w/my site/.git".into(),
            site_file: "/w/deploy.cgi".into(),
            branch: "main".into(),
            remote: "origin".into(),
            upstream: "origin/main".into(),
            name: None,
            url: "https://h/o/n.git".into(),
            user: me(),
            ssh_key: None,
            offered: Vec::new(),
            counts: Some((1, 2)),
            unseen: Vec::new(),
        }
    }

    #[track_caller]
    fn check(said: &str, cause: &str, commands: &[&str]) {
        check_at(&at(), said, cause, commands);
    }

    #[track_caller]
    fn check_at(at: &Situation, said: &str, cause: &str, commands: &[&str]) {
        let diagnosis = diagnose(said, at).unwrap();
        assert_eq!(diagnosis.cause, cause);
        assert_eq!(diagnosis.advice.commands, commands);
    }

    #[test]
    fn files_in_the_way_are_named() {
        check(
            "error: Your local changes to the following files would be overwritten by merge:\n\ta b.html\n\tc\u{1b}.css\nPlease commit",
            "files that were changed here are in the way: a b.html, c\\u{1b}.css",
            &["git -C '/w/my site' stash push"],
        );
        check(
            "error: Your local changes to the following files would be overwritten by merge:\n\ta b.html\n\tc\nPlease commit",
            "files that were changed here are in the way: a b.html, c",
            &["git -C '/w/my site' stash push -- 'a b.html' c"],
        );
        check(
            "error: The following untracked working tree files would be overwritten by merge:\n\tx\n",
            "files that git does not know are in the way: x",
            &["git -C '/w/my site' stash push --include-untracked -- x"],
        );
        check(
            "error: The following untracked working tree files would be overwritten by checkout:\n\tx\nfatal: Unable to checkout 'abc' in submodule path 'lib/a'",
            "files that git does not know are in the way in the submodule lib/a: x",
            &["git -C '/w/my site/lib/a' stash push --include-untracked -- x"],
        );
    }

    #[test]
    fn at_most_ten_files_are_named() {
        let list = (0..12).fold(String::new(), |list, n| format!("{list}\tf{n}\n"));
        let said = format!(
            "Your local changes to the following files would be overwritten by merge:\n{list}"
        );
        let cause = diagnose(&said, &at()).unwrap().cause;
        assert!(cause.ends_with("f8, f9 and 2 more"), "{cause}");
    }

    #[test]
    fn counts_and_names_are_those_of_the_checkout() {
        check(
            "fatal: Not possible to fast-forward, aborting.",
            "main here and origin/main have gone separate ways (1 commit of its own here, 2 there): commits were made here, or origin/main was rewritten",
            &[
                "git -C '/w/my site' branch -f kept-$(git -C '/w/my site' rev-parse --short HEAD)",
                "git -C '/w/my site' reset --keep origin/main",
            ],
        );
        check(
            "fatal: clone of 'https://u:p@h/o/sub.git' into submodule path '/w/my site/sub' failed\nfatal: repository 'https://h/o/sub.git/' not found",
            "https://***@h/o/sub.git, the remote of the submodule /w/my site/sub, is not there, or me may not see it",
            &[
                "git -C '/w/my site' submodule sync --recursive",
                "git -C '/w/my site' submodule update --init --recursive",
            ],
        );
    }

    #[test]
    fn a_url_that_git_does_not_name_is_not_made_up() {
        let commands = [
            "git -C '/w/my site' submodule sync --recursive",
            "git -C '/w/my site' submodule update --init --recursive",
        ];
        check(
            "fatal: remote error: no such repository: /o/sub\nUnable to fetch in submodule path 'lib/a'; trying",
            "the remote of the submodule lib/a is not there, or me may not see it",
            &commands,
        );
    }

    #[test]
    fn nobody_who_cannot_log_in_is_told_to() {
        let daemon = User {
            uid: 33,
            name: Some("www-data".into()),
            home: None,
            logs_in: false,
        };
        let at = Situation {
            user: daemon,
            counts: None,
            ..at()
        };
        check_at(
            &at,
            "fatal: refusing to merge unrelated histories",
            "main here and origin/main have gone separate ways: commits were made here, or origin/main was rewritten",
            &[
                "sudo -u www-data sh -c 'git -C '\\''/w/my site'\\'' branch -f kept-$(git -C '\\''/w/my site'\\'' rev-parse --short HEAD)'",
                "sudo -u www-data git -C '/w/my site' reset --keep origin/main",
            ],
        );
    }

    #[test]
    fn what_is_not_known_gets_no_advice() {
        assert_eq!(diagnose("fatal: something new", &at()), None);
    }

    #[test]
    fn every_row_can_be_reached() {
        for (n, row) in TABLE.iter().enumerate() {
            let reached = row.phrases.iter().any(|phrase| {
                let said = phrase.replace('*', "x");
                let first = TABLE.iter().position(|other| {
                    other
                        .phrases
                        .iter()
                        .any(|phrase| catch(&said, phrase).is_some())
                });
                first == Some(n)
            });
            assert!(reached, "{:?}", row.phrases);
        }
    }

    #[test]
    fn a_star_stands_for_anything_on_the_line() {
        #[track_caller]
        fn check(line: &str, phrase: &str, expected: Option<&[&str]>) {
            assert_eq!(catch(line, phrase).as_deref(), expected);
        }
        check("fatal: x", "fatal", Some(&[]));
        check("a 'b' c", "'*'", Some(&["b"]));
        check("a 'b' c 'd'", "'*' c '*'", Some(&["b", "d"]));
        check("a: b c", "a: *", Some(&["b c"]));
        check("a 'b c", "'*'", None);
    }

    #[test]
    fn an_encrypted_key_is_known_by_its_beginning() {
        let key = |second: &str| format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{second}\n");
        assert!(!has_passphrase(&key(
            "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ"
        )));
        assert!(has_passphrase(&key(
            "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAA"
        )));
        assert!(has_passphrase(
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
        ));
        assert!(!has_passphrase("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n"));
    }
}
