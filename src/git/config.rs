//! Git's configuration, as it was when it was read, and what follows from it.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use anyhow::Result;

use super::checkout::{ObjectFormat, gitmodules_text, passes_a_link};
use super::command::{Command, commits_in, line};
use super::{Git, WorkTree};
use crate::commit_id::CommitId;
use crate::redaction;
use crate::remote_url::RemoteUrl;

/// Git's whole configuration for the checkout, as it was when asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config(pub(super) Vec<(String, String)>);

impl Config {
    /// What `git config -z --list` prints: key, newline, value, NUL; a key alone is true.
    pub(super) fn of_listed(listed: &[u8]) -> Self {
        let listed = String::from_utf8_lossy(listed);
        let entry = |entry: &str| {
            let (key, value) = entry.split_once('\n').unwrap_or((entry, "true"));
            (key.to_owned(), value.to_owned())
        };
        Self(listed.split_terminator('\0').map(entry).collect())
    }

    /// The same, written as git lists it.
    pub(super) fn listed(&self) -> Vec<u8> {
        let entry = |(key, value): &(String, String)| format!("{key}\n{value}\0");
        self.0.iter().map(entry).collect::<String>().into_bytes()
    }

    /// The values of a key. Section and name in lower case, the part between as it is.
    pub(super) fn values(&self, key: &str) -> impl DoubleEndedIterator<Item = &str> {
        let of_key = self.0.iter().filter(move |(known, _)| known == key);
        of_key.map(|(_, value)| value.as_str())
    }

    /// The last value of a key, as git takes it.
    pub(crate) fn last(&self, key: &str) -> Option<&str> {
        self.values(key).next_back()
    }

    pub(super) fn first(&self, key: &str) -> Option<&str> {
        self.values(key).next()
    }

    pub(crate) fn format(&self) -> ObjectFormat {
        match self.last("extensions.objectformat") {
            Some("sha256") => ObjectFormat::Sha256,
            Some(_) | None => ObjectFormat::Sha1,
        }
    }

    /// The URL of the remote: of `origin`, or else of another.
    pub(crate) fn a_remote_url(&self) -> Option<RemoteUrl> {
        self.first("remote.origin.url")
            .map(RemoteUrl::parse)
            .or_else(|| self.remote_urls().next())
    }

    pub(super) fn remote_urls(&self) -> impl Iterator<Item = RemoteUrl> {
        let urls = self.between("remote.", ".url");
        urls.map(|(_, url)| RemoteUrl::parse(url))
    }

    /// The URLs that branches follow which follow no remote by its name (git-config(1), `branch.<name>.remote`).
    pub(super) fn upstream_urls(&self) -> impl Iterator<Item = RemoteUrl> {
        let upstreams = self.between("branch.", ".remote");
        let urls = upstreams.map(|(_, remote)| RemoteUrl::parse(remote));
        urls.filter(|url| url.host().is_some())
    }

    /// What git takes in place of a URL (git-config(1), `url.<base>.insteadOf`).
    pub(super) fn rewritten(&self, url: &RemoteUrl) -> Option<RemoteUrl> {
        let rewrites = self.between("url.", ".insteadof");
        let fitting = rewrites.filter(|(_, begin)| url.as_str().starts_with(begin));
        let (base, begin) = fitting.max_by_key(|(_, begin)| begin.len())?;
        let rest = &url.as_str()[begin.len()..];
        Some(RemoteUrl::parse(&format!("{base}{rest}")))
    }

    /// Adds a remote, as `origin`.
    pub(super) fn add_origin(&mut self, url: &RemoteUrl) {
        self.0
            .push(("remote.origin.url".into(), url.as_str().into()));
    }

    /// Whether what is fetched of any branch of a remote is kept (git-fetch(1), `<refspec>`).
    pub(crate) fn keeps_all_branches(&self, remote: &str) -> bool {
        let is_all = |spec: &str| spec.trim_start_matches('+').starts_with("refs/heads/*:");
        self.values(&format!("remote.{remote}.fetch")).any(is_all)
    }

    pub(crate) fn has_lfs(&self) -> bool {
        self.last("filter.lfs.process")
            .or(self.last("filter.lfs.smudge"))
            .is_some()
    }

    /// The local branches that have an upstream.
    pub(crate) fn branches(&self) -> Vec<&str> {
        let branches = self.between("branch.", ".merge");
        branches.map(|(branch, _)| branch).collect()
    }

    /// The names of the remotes, `origin` first.
    pub(crate) fn remotes(&self) -> Vec<&str> {
        let remotes = self.between("remote.", ".url");
        let mut remotes: Vec<_> = remotes.map(|(remote, _)| remote).collect();
        if let Some(at) = remotes.iter().position(|name| *name == "origin") {
            remotes[..=at].rotate_right(1);
        }
        remotes
    }

    /// What stands in the keys between this beginning and this end, and their values.
    pub(super) fn between(&self, start: &str, end: &str) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(move |(key, value)| {
            let middle = key.strip_prefix(start)?.strip_suffix(end)?;
            Some((middle, value.as_str()))
        })
    }

    /// Whether a submodule may be one that git passes by.
    pub(super) fn keeps_submodules_away(&self) -> bool {
        self.0.iter().any(|(key, value)| {
            key.strip_prefix("submodule.").is_some_and(|key| {
                key.ends_with("update") || key.ends_with("active") && value != "."
            })
        })
    }

    pub(crate) fn has_url_rewrites(&self) -> bool {
        self.between("url.", ".insteadof").next().is_some()
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
                    .filter_map(redaction::credential_in)
            })
            .collect()
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

/// Whether a path leads down from where it begins, and nowhere else.
pub(super) fn is_below(path: &Path) -> bool {
    let mut parts = path.components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// A setting as it stands in a configuration file (git-config(1), "Syntax").
pub(super) fn setting(section: &str, subsection: &str, name: &str, value: &str) -> String {
    let (subsection, value) = (quoted(subsection), quoted(value));
    format!("[{section} {subsection}]\n\t{name} = {value}\n")
}

/// A value, or the name of a subsection, as it stands there.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl Git<'_> {
    /// The folder that git writes the files to, where `core.worktree` names another one than the checkout's.
    pub(crate) fn writes_elsewhere(&self) -> Result<Option<PathBuf>> {
        let config = self.config()?;
        let Some(named) = config.last("core.worktree") else {
            return Ok(None);
        };
        let folder = &self.checkout.folder;
        let is_here = |path: &Path| path.canonicalize().is_ok_and(|path| path == *folder);
        if is_here(&self.checkout.git_dir.join(named)) {
            return Ok(None);
        }
        // In a linked worktree it may not count.
        let ask = self.reading("rev-parse --show-toplevel");
        let top = PathBuf::from(line(&ask.ask("find the work tree")?));
        Ok((!is_here(&top)).then_some(top))
    }

    /// Sets a key in the checkout's own configuration, whatever it was.
    pub(crate) fn set_config(&self, key: &str, value: &str) -> Result<()> {
        let set = self.writing("config --replace-all").args([key, value]);
        set.write_or_fail("set the configuration")
    }
}

impl WorkTree<'_> {
    /// The names, paths and URLs of a .gitmodules: of the work tree in `folder`, or as it was in `commit`. What is in it was
    /// pushed: an entry whose name or path leads out of its folder is none.
    pub(crate) fn gitmodules(&self, commit: Option<&CommitId>) -> Result<BTreeMap<String, Module>> {
        let mut modules: BTreeMap<String, Module> = BTreeMap::new();
        let recorded = self.recorded_config(commit)?;
        for (name, path) in recorded.between("submodule.", ".path") {
            modules.entry(name.to_owned()).or_default().path = path.into();
        }
        for (name, url) in recorded.between("submodule.", ".url") {
            modules.entry(name.to_owned()).or_default().url = url.into();
        }
        for (name, branch) in recorded.between("submodule.", ".branch") {
            modules.entry(name.to_owned()).or_default().branch = Some(branch.into());
        }
        modules.retain(|name, module| {
            is_below(Path::new(name))
                && is_below(&module.path)
                && !passes_a_link(&self.folder, &module.path)
        });
        Ok(modules)
    }

    /// The commits that changed .gitmodules since `old`; none where that is not known here.
    pub(crate) fn changes_of_gitmodules(&self, old: &CommitId) -> Result<Vec<CommitId>> {
        let list = self.reading("rev-list").arg(format!("{old}..HEAD"));
        let listed = list.words("-- .gitmodules").here().answer()?;
        Ok(commits_in(&listed.output))
    }

    /// What a .gitmodules says, of the work tree or as it was in `commit`. Others wrote it: nothing that it names is read,
    /// and git gets what we read, not the file.
    pub(super) fn recorded_config(&self, commit: Option<&CommitId>) -> Result<Config> {
        let mut list = self.reading("config -z --no-includes --list");
        let text;
        if let Some(commit) = commit {
            list = list.arg("--blob").arg(format!("{commit}:.gitmodules"));
        } else {
            text = gitmodules_text(&self.folder).unwrap_or_default();
            list = list.words("-f -");
            list.run.input = (&text).into();
        }
        Ok(Config::of_listed(&list.answer()?.output))
    }

    /// The configuration that holds in this work tree now.
    pub(crate) fn read_config(&self) -> Result<Config> {
        let listed = self.list_config().ask("read git's configuration")?;
        Ok(Config::of_listed(&listed))
    }

    pub(super) fn list_config(&self) -> Command<'_> {
        self.reading("config -z --list")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn gits_configuration_is_read_as_it_prints_it() {
        let config = Config::of_listed(b"branch.a.b\"c.remote\norigin\0core.bare\0url.https://t@h/.insteadof\nx\0x.y\n1\0x.y\n2\nz\0");
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
