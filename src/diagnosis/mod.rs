//! Why a step failed, and what to do about it.
//!
//! A [`Cause`] is found in what a command printed, or stated by the deploy or the doctor; [`explain`] puts it into words,
//! for the situation it came up in. The commands are whole: whoever reads them can run them as they stand. They name paths
//! that we know ourselves (the site file, its keys, the checkout and what its own index has); what was caught out of
//! output is named in words, and where a command that changes no owner, no mode and no name needs it.

mod branch;
mod cause;
mod host;
mod message;
mod remote;
mod repository;
mod ssh;
mod submodule;
mod work_tree;

use std::fmt::{Display, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::cgi::Environment;
use crate::git::{Config, Git, Upstream};
use crate::redaction::{escape_line, line_of, redact};
use crate::remote_url::RemoteUrl;
use crate::shell::{as_user, give_to, quoted};
use crate::site::Site;
use crate::user::User;

pub(crate) use cause::{Cause, Stated};
pub(crate) use message::with_names_on_one_line;
pub(crate) use ssh::has_passphrase;

/// What it means, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Diagnosis {
    /// In a sentence.
    pub(crate) cause: String,
    /// None where nobody knows.
    pub(crate) advice: Option<Advice>,
}

/// What to do: in words, and the commands, one a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Advice {
    pub(crate) words: String,
    pub(crate) commands: Vec<String>,
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

impl Diagnosis {
    /// An error of ours, whose chain says what to do where there is something.
    pub(crate) fn of_error(error: &anyhow::Error) -> Self {
        Self {
            cause: format!("{error:#}"),
            advice: None,
        }
    }

    /// The same, fit to be shown: each sentence and each command on one line, without control characters and without what
    /// must stay hidden.
    pub(crate) fn shown(self, hidden: &[String]) -> Self {
        let shown = |text: &String| escape_line(&redact(text, hidden.iter().map(String::as_str)));
        Self {
            cause: shown(&self.cause),
            advice: self.advice.map(|advice| Advice {
                words: shown(&advice.words),
                commands: advice.commands.iter().map(shown).collect(),
            }),
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

/// Where and as whom it went wrong. What an explanation needs beyond that is looked up when it is asked for.
pub(crate) struct Situation<'s> {
    site: &'s Site,
    git: &'s Git<'s>,
    user: User,
    followed: Upstream,
    /// What the failed command printed.
    said: &'s str,
}

impl<'s> Situation<'s> {
    /// Of a site and its checkout, and of what that follows, as far as it is known.
    pub(crate) fn new(
        site: &'s Site,
        git: &'s Git<'s>,
        host: &Environment,
        followed: Option<&Upstream>,
    ) -> Self {
        Self {
            site,
            git,
            user: User::running(host),
            followed: followed.cloned().unwrap_or_else(|| {
                let nowhere = RemoteUrl::parse("");
                let url = site.clone.as_ref().unwrap_or(&nowhere);
                Upstream::to_be_cloned(url, site.branch.as_deref())
            }),
            said: "",
        }
    }

    /// The same, where a command has printed something.
    pub(crate) fn with_output(self, said: &'s str) -> Self {
        Self { said, ..self }
    }

    fn user(&self) -> String {
        self.user.shown()
    }

    fn home(&self) -> PathBuf {
        self.user.home.clone().unwrap_or_else(|| "/".into())
    }

    fn folder(&self) -> &Path {
        &self.git.checkout.folder
    }

    pub(crate) fn git_dir(&self) -> &Path {
        &self.git.checkout.git_dir
    }

    fn site_file(&self) -> String {
        line_of(&self.site.file)
    }

    fn config(&self) -> Rc<Config> {
        self.git.config().unwrap_or_default()
    }

    fn branch(&self) -> String {
        line_of(&self.followed.branch)
    }

    /// The upstream as a person writes it, such as `origin/main`.
    fn upstream(&self) -> String {
        redact(&line_of(self.followed.upstream_name()), [])
    }

    /// How many commits the branch is ahead of and behind its upstream.
    fn counts(&self) -> Option<(u64, u64)> {
        self.git
            .ahead_and_behind(&self.followed.branch)
            .ok()
            .flatten()
    }

    /// The URL that could not be used: the one that git names, which may be a submodule's; else that of the submodule it
    /// names; else the checkout's own.
    fn url(&self) -> RemoteUrl {
        self.url_of_output()
            .unwrap_or_else(|| self.followed.url.clone())
    }

    fn url_of_output(&self) -> Option<RemoteUrl> {
        let named = [
            "clone of '*' into submodule path '*' failed",
            "unable to access '*': *",
            "repository '*' not found",
            "Authentication failed for '*'",
        ]
        .iter()
        .find_map(|form| Some(message::find(self.said, form)?[0]));
        if let Some(named) = named {
            return Some(RemoteUrl::parse(named.trim_end_matches('/')));
        }
        let config = self.git.submodule(self.submodule()?.as_ref()).read_config();
        Some(RemoteUrl::parse(config.ok()?.last("remote.origin.url")?))
    }

    /// The path of the submodule that the output is about, below the checkout.
    fn submodule(&self) -> Option<PathBuf> {
        [
            ("Unable to checkout '+' in submodule path '*'", 1),
            ("Unable to find current revision in submodule path '*'", 0),
            ("Unable to find + revision in submodule path '*'", 1),
            ("Unable to find current + revision in submodule path '*'", 1),
            ("Unable to fetch in submodule path '*'; trying to directly fetch +:", 0),
            ("Unable to fetch in submodule path '*'", 0),
            ("Fetched in submodule path '*', but it did not contain +. Direct fetching of that commit failed.", 0),
            ("clone of '*' into submodule path '*' failed", 1),
        ]
        .iter()
        .find_map(|(form, field)| {
            let named = Path::new(message::find(self.said, form)?[*field]);
            Some(named.strip_prefix(self.folder()).unwrap_or(named).to_owned())
        })
    }

    /// Where a path belongs that git printed as it is below the submodule it was at work in.
    fn below_the_checkout(&self, printed: &Path) -> PathBuf {
        if let Ok(below) = printed.strip_prefix(self.folder()) {
            return below.to_owned();
        }
        message::find(self.said, "Failed to recurse into submodule path '*'")
            .map(|parent| Path::new(parent[0]).join(printed))
            .filter(|nested| self.folder().join(nested).symlink_metadata().is_ok())
            .unwrap_or_else(|| printed.to_owned())
    }

    /// `git -C FOLDER …` in the checkout, as whoever has to run it.
    fn git(&self, rest: impl Display) -> String {
        self.git_in(self.folder(), rest)
    }

    fn git_in(&self, folder: &Path, rest: impl Display) -> String {
        self.run(format!("git -C {} {rest}", quoted(folder)))
    }

    fn run(&self, command: impl AsRef<str>) -> String {
        as_user(&self.user, command.as_ref())
    }

    fn fix_owner(&self) -> Advice {
        Advice::run(
            format!("give the checkout to {}, then press Redeliver", self.user()),
            [give_to(&self.user, self.folder())],
        )
    }
}

/// Where a deploy key is entered.
fn deploy_keys_page(url: &RemoteUrl) -> String {
    match url.repository() {
        Some(repository) if url.is_github() => {
            format!("https://github.com/{repository}/settings/keys/new")
        }
        Some(_) | None => format!("the host of {url}"),
    }
}

fn found(cause: impl Into<String>, advice: Advice) -> Diagnosis {
    Diagnosis {
        cause: cause.into(),
        advice: Some(advice),
    }
}

/// What a cause means in a situation: a flat list of cases, each in the room of its subject.
pub(crate) fn explain(cause: &Cause, at: &Situation<'_>) -> Diagnosis {
    match cause {
        Cause::DiskFull => host::disk_full(at),
        Cause::QuotaExceeded => host::quota_exceeded(at),
        Cause::TooManyOpenFiles => host::too_many_open_files(),
        Cause::TooManyProcesses => host::too_many_processes(at),
        Cause::OutOfMemory => host::out_of_memory(at),
        Cause::ReadOnlyFileSystem => host::read_only_file_system(at),
        Cause::NotWritable(path) => host::not_writable(path.as_deref(), at),
        Cause::Ended(end) => host::ended(*end, at),
        Cause::CommandFailed(end) => Diagnosis {
            cause: format!(
                "the command ended with {end}; the new files are in place, the command is run again with the next deploy"
            ),
            advice: None,
        },
        Cause::Error(error) => Diagnosis {
            cause: error.clone(),
            advice: None,
        },

        Cause::NoSsh => ssh::no_ssh(at),
        Cause::NamelessUser(uid) => ssh::nameless_user(uid),
        Cause::HostKeyChanged(file) => ssh::host_key_changed(file.as_deref(), at),
        Cause::HostKeyUnknown => ssh::host_key_unknown(at),
        Cause::KeyTooOpen(key) => ssh::key_too_open(key, at),
        Cause::KeyUnreadable(key) => ssh::key_unreadable(key, at),
        Cause::KeyHasPassphrase(key) => ssh::key_has_passphrase(key, at),
        Cause::KeyRefused => ssh::key_refused(at),
        Cause::KeyOfAnother(repository) => ssh::key_of_another(repository, at),

        Cause::LoginMissing => remote::login_missing(at),
        Cause::LoginRefused => remote::login_refused(at),
        Cause::RemoteNotFound => remote::not_found(at),
        Cause::HostNotResolved => remote::host_not_resolved(at),
        Cause::CertificateUntrusted(why) => remote::certificate_untrusted(why, at),
        Cause::Unreachable => remote::unreachable(at),
        Cause::ServerTrouble => remote::server_trouble(at),
        Cause::Disconnected => remote::disconnected(at),
        Cause::DubiousOwnership(path) => remote::dubious_ownership(path, at),

        Cause::NotFollowing(unfollowing) => branch::not_following(unfollowing, at),
        Cause::UpstreamNotKept => branch::upstream_not_kept(at),
        Cause::UpstreamGone => branch::upstream_gone(at),
        Cause::HeadIsNotUpstream => branch::head_is_not_upstream(at),
        Cause::Ahead(count) => branch::ahead(*count, at),
        Cause::Diverged => branch::diverged(at),
        Cause::PushedCommitMissing(id) => branch::pushed_commit_missing(id),

        Cause::WorkTreeElsewhere(there) => work_tree::elsewhere(there, at),
        Cause::FilesInTheWay(what, paths) => work_tree::files_in_the_way(*what, paths, at),
        Cause::HiddenEdits { folder, paths } => work_tree::hidden_edits(folder, paths, at),
        Cause::Unmerged => work_tree::unmerged(at),
        Cause::Locked(lock) => work_tree::locked(lock, at),
        Cause::Concurrent => work_tree::concurrent(),

        Cause::SubmoduleBranchUnknown { branch, path } => {
            submodule::branch_unknown(branch, path, at)
        }
        Cause::LinkInTheWay(path) => submodule::link_in_the_way(path, at),
        Cause::FolderInTheWay(path) => submodule::folder_in_the_way(path, at),
        Cause::FileInPlaceOfSubmodule(path) => submodule::file_in_its_place(path),
        Cause::IgnoredInTheWay { submodule, paths } => {
            submodule::ignored_in_the_way(submodule, paths)
        }
        Cause::SubmoduleCommitMissing(id) => submodule::commit_missing(id.as_deref(), at),
        Cause::NotASubmodule(path) => submodule::not_a_submodule(path),
        Cause::SubmoduleRepositoryLost(path) => submodule::repository_lost(path, at),
        Cause::SubmoduleFromPath => submodule::from_a_path(),
        Cause::SubmoduleToBeReplaced(path) => submodule::to_be_replaced(path, at),
        Cause::SubmoduleReplaced(path) => submodule::replaced(path, at),
        Cause::SubmodulesMissing => submodule::missing(at),

        Cause::LfsMissing => repository::lfs_missing(at),
        Cause::LfsFailed => repository::lfs_failed(at),
        Cause::LfsPointers(folder) => repository::lfs_pointers(folder, at),
        Cause::LfsNotSetUp(folder) => repository::lfs_not_set_up(folder, at),
        Cause::GitTooOld => repository::git_too_old(at),
        Cause::IndexDamaged => repository::index_damaged(at),
        Cause::RepositoryDamaged => repository::damaged(at),
        Cause::NoRepository(path) => repository::none(path.as_deref(), at),
    }
}
