//! Why a step failed, and what to do about it.
//!
//! A [`Cause`] is found in what a command printed, or stated by the deploy or the doctor; [`explain`] puts it into words,
//! for the situation it came up in. The commands are whole: whoever reads them can run them as they stand. They name paths
//! that we know ourselves (the site file, its keys, the checkout and what its own index has); what was caught out of
//! output is named in words, and where a command that changes no owner, no mode and no name needs it.

/// A cause, what to do in words, and the commands: each as text, or all of them as values.
macro_rules! tell {
    ($at:expr, $cause:literal; $words:literal; ..$commands:expr) => {
        $at.advise(format!($cause), format!($words), $commands)
    };
    ($at:expr, $cause:literal; $words:literal $(; $command:literal)*) => {
        $at.advise(format!($cause), format!($words), [$(format!($command)),*])
    };
}

mod branch;
mod cause;
mod explain;
mod host_key;
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
use crate::shell::{as_root, as_user, git_config, give_to, quoted};
use crate::site::Site;
use crate::user::User;

pub(crate) use cause::{Cause, InTheWay, Stated};
pub(crate) use explain::explain;
pub(crate) use message::{with_names_on_one_line, without_warnings};
pub(crate) use ssh::{has_passphrase, is_public, make_key};
pub(crate) use work_tree::owner_of;

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
    /// For whoever looks after what `user` deploys: commands that begin with `sudo ` are root's, the others that user's.
    pub(crate) fn new(
        user: &User,
        words: impl Into<String>,
        commands: impl IntoIterator<Item = String>,
    ) -> Self {
        let typed = |command: String| match command.strip_prefix("sudo ") {
            Some(command) => as_root(user, command),
            None => as_user(user, &command),
        };
        Self {
            words: words.into(),
            commands: commands.into_iter().map(typed).collect(),
        }
    }
}

impl Diagnosis {
    /// What nobody can explain further.
    pub(crate) fn unexplained(cause: impl Into<String>) -> Self {
        Self {
            cause: cause.into(),
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

    /// Where a person corrects the URL of the remote.
    fn where_the_url_is(&self) -> String {
        if self.git.checkout.is_being_cloned() {
            format!("the key `clone` in {}", self.site_file())
        } else {
            "git remote set-url".into()
        }
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

    /// The same by its whole name: a tag or a file may have the short one.
    fn tracking_ref(&self) -> String {
        let known = self.git.remote_tracking_branch(&self.followed);
        known
            .ok()
            .flatten()
            .unwrap_or_else(|| format!("refs/remotes/{}", self.followed.upstream_name()))
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
        if let Some(named) = self.named(&cause::URLS) {
            return Some(RemoteUrl::parse(named.trim_end_matches('/')));
        }
        let config = self.git.submodule(self.submodule()?.as_ref()).read_config();
        Some(RemoteUrl::parse(config.ok()?.last("remote.origin.url")?))
    }

    /// The path of the submodule that the output is about, below the checkout.
    fn submodule(&self) -> Option<PathBuf> {
        let named = Path::new(self.named(&cause::SUBMODULES)?);
        Some(named.strip_prefix(self.folder()).unwrap_or(named).into())
    }

    /// What stands in a field of the first of these messages that was printed.
    fn named(&self, messages: &[(&str, usize)]) -> Option<&str> {
        let named =
            |(message, field): &(&str, usize)| Some(message::find(self.said, message)?[*field]);
        messages.iter().find_map(named)
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

    /// `git -C FOLDER` in the checkout.
    fn git(&self) -> String {
        git_in(self.folder())
    }

    /// A setting of git's for what the output is about: a submodule that is cloned has no configuration yet.
    fn setting(&self, setting: &str) -> String {
        match self.submodule() {
            Some(_) => git_config(&self.user, setting),
            None => format!("{} config {setting}", self.git()),
        }
    }

    fn advise(
        &self,
        cause: impl Into<String>,
        words: impl Into<String>,
        commands: impl IntoIterator<Item = String>,
    ) -> Diagnosis {
        Diagnosis {
            cause: cause.into(),
            advice: Some(Advice::new(&self.user, words, commands)),
        }
    }

    /// Where something is another user's.
    fn fix_owner(&self, cause: &str) -> Diagnosis {
        let user = self.user();
        tell!(self, "{cause}"; "give the checkout to {user}, then press Redeliver";
            ..[give_to(&self.user, self.folder())])
    }
}

fn git_in(folder: &Path) -> String {
    format!("git -C {}", quoted(folder))
}

/// Where something can be moved to that nothing else is: beside what it was, with this ending.
fn aside(path: &Path, ending: &str) -> PathBuf {
    let numbers = std::iter::once(String::new()).chain((2..).map(|number: u32| number.to_string()));
    let mut places = numbers.map(|number| with_ending(path, &format!("{ending}{number}")));
    let free = places.find(|place| place.symlink_metadata().is_err());
    free.unwrap_or_else(|| with_ending(path, ending))
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(ending);
    path.into()
}
