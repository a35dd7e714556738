//! Which key ssh offers to whom: `ssh_key` to the remote's host, and a key of `ssh_keys` for one repository there, as GitHub
//! takes deploy keys. ssh itself knows hosts only; so a few lines of shell, which git starts in its place, look at what is asked
//! for. URLs for https of those repositories are rewritten to ssh addresses.
//!
//! Must not know who else may say how ssh is started.

use std::path::{Path, PathBuf};

use super::checkout::{gitmodules_text, passes_a_link};
use super::config::{is_below, setting};
use crate::remote_url::RemoteUrl;
use crate::repository_name::RepositoryName;
use crate::shell::word;
use crate::site::Site;

/// More levels of submodules are not looked into: others write them.
const MAX_LEVELS: usize = 16;

/// The shell's words before the choice. git's arguments end in the host and in the command there, whose argument is the path
/// in quotes; git-lfs has another word behind it.
const TAKE_APART: &str = "for word; do to=$run run=$word; done; path=${run#* }; \
     case $run in git-lfs-*) path=${path% *};; esac; \
     path=${path#\\'}; path=/${path%\\'}; path=${path%/}; path=${path%.git}";

/// The keys of a site.
pub(super) struct DeployKeys {
    /// For the rest of the remote's host.
    of_the_host: Option<PathBuf>,
    of_repositories: Vec<(RepositoryName, PathBuf)>,
}

impl DeployKeys {
    /// `None` where the site names no key.
    pub(super) fn of(site: &Site) -> Option<Self> {
        let has_keys = site.ssh_key.is_some() || !site.ssh_keys.is_empty();
        has_keys.then(|| Self {
            of_the_host: site.ssh_key.clone(),
            of_repositories: site.ssh_keys.clone(),
        })
    }

    /// The key for a URL, where one of the site's is for it.
    pub(super) fn key_for(&self, url: &RemoteUrl, remotes: &[RemoteUrl]) -> Option<&Path> {
        if !remotes.iter().any(|remote| remote.has_host_of(url)) {
            return None;
        }
        let mut own = self.of_repositories.iter();
        let own = own.find(|(name, _)| url.repository() == Some(name));
        match own {
            Some((_, key)) if url.is_ssh() || url.is_https() => Some(key),
            Some(_) | None if url.is_ssh() => self.of_the_host.as_deref(),
            Some(_) | None => None,
        }
    }

    /// `ssh`, a command for a shell, with the key for whatever git asks for (git(1), `GIT_SSH_COMMAND`).
    pub(super) fn choose(&self, ssh: &str, remotes: &[RemoteUrl]) -> String {
        let mut arms = String::new();
        for (name, key) in &self.of_repositories {
            let name = name.to_string();
            let name = name.strip_suffix(".git").unwrap_or(&name);
            arms.push_str(&arm(&format!("*/{}", pattern(name)), key));
        }
        if let Some(key) = &self.of_the_host {
            arms.push_str(&arm("*", key));
        }
        let hosts = remotes.iter().flat_map(RemoteUrl::host_names);
        let hosts: Vec<String> = hosts.map(pattern).collect();
        let choice = match hosts.join("|").as_str() {
            "" => String::new(),
            hosts => format!("; case ${{to##*@}} in {hosts}) case $path in {arms}esac;; esac"),
        };
        format!("deploy_cgi_ssh() {{ {TAKE_APART}{choice}; exec {ssh} \"$@\"; }}; deploy_cgi_ssh")
    }

    /// Configuration for git that has URLs for https go over ssh, where they are of a repository with a key of its own
    /// (git-config(1), `url.<base>.insteadOf`). It compares by their beginning, and with regard to case: so each URL that
    /// is in use is named, also one that must stay as it is.
    pub(super) fn rewrites(&self, remote: &RemoteUrl, folder: &Path) -> String {
        let Some(base) = remote.ssh_base() else {
            return String::new();
        };
        let mut urls = vec![remote.clone()];
        collect_urls(folder, remote, MAX_LEVELS, &mut urls);
        // Those of nested submodules are not known before they are here.
        if let Some(host) = remote.host_names().next() {
            for (name, _) in &self.of_repositories {
                let name = name.to_string();
                for name in [name.to_ascii_lowercase(), name] {
                    urls.push(RemoteUrl::parse(&format!("https://{host}/{name}.git")));
                }
            }
        }
        urls.retain(|url| url.is_https() && url.has_host_of(remote));
        let (own, others): (Vec<_>, Vec<_>) = urls.iter().partition(|url| {
            let has_key = |name| self.of_repositories.iter().any(|(own, _)| own == name);
            url.repository().is_some_and(has_key)
        });
        let stays = |url: &&&RemoteUrl| {
            let mut begins = own.iter().map(|own| own.as_str());
            begins.any(|begin| url.as_str().starts_with(begin))
        };
        let instead_of =
            |url: &RemoteUrl, instead: &str| setting("url", instead, "insteadOf", url.as_str());
        let rewritten = own
            .iter()
            .map(|url| instead_of(url, &format!("{base}{}", url.path())));
        let kept = others.iter().filter(stays);
        let kept = kept.map(|url| instead_of(url, url.as_str()));
        rewritten.chain(kept).collect()
    }
}

/// The URLs in .gitmodules, at all levels that are here. Only their spelling matters, so git is not asked.
fn collect_urls(folder: &Path, superproject: &RemoteUrl, levels: usize, urls: &mut Vec<RemoteUrl>) {
    let Some(text) = gitmodules_text(folder).filter(|_| levels > 0) else {
        return;
    };
    let text = String::from_utf8_lossy(&text);
    for section in text.split('[').skip(1) {
        let value = |name: &str| {
            let mut lines = section.lines().map(str::trim);
            lines.find_map(|line| {
                let (key, value) = line.split_once('=')?;
                let is_it = key.trim().eq_ignore_ascii_case(name);
                is_it.then(|| value.trim().trim_matches('"').to_owned())
            })
        };
        let url = value("url").and_then(|url| RemoteUrl::of_submodule(Some(superproject), &url));
        let Some(url) = url else {
            continue;
        };
        let path = value("path").map(PathBuf::from);
        if let Some(path) = path.filter(|path| is_below(path) && !passes_a_link(folder, path)) {
            collect_urls(&folder.join(path), &url, levels - 1, urls);
        }
        urls.push(url);
    }
}

fn arm(pattern: &str, key: &Path) -> String {
    let options = identity(key).unwrap_or_default();
    format!("{pattern}) set --{options} \"$@\";; ")
}

/// A pattern of the shell's for a text, without regard to case.
fn pattern(text: &str) -> String {
    let mut pattern = String::new();
    for c in text.chars() {
        match c {
            c if c.is_ascii_alphabetic() => {
                pattern.extend(['[', c.to_ascii_lowercase(), c.to_ascii_uppercase(), ']']);
            }
            c if c.is_ascii_digit() || "-_./".contains(c) => pattern.push(c),
            c => pattern.push_str(&word(&c.to_string())),
        }
    }
    pattern
}

/// The options of ssh, for a shell, with which it offers one key and none of an agent's, and shares no connection that another
/// key has opened. A path may hold blanks: the shell takes one kind of quotes away, ssh the other (`ssh_config(5)`).
fn identity(key: &Path) -> Option<String> {
    fits(key).then(|| {
        let key = key.to_string_lossy().replace('%', "%%");
        let file = word(&format!("-oIdentityFile=\"{key}\""));
        format!(" -oIdentitiesOnly=yes -oControlPath=none {file}")
    })
}

/// Whether a path can stand between ssh's quotes.
pub(super) fn fits(path: &Path) -> bool {
    path.to_str()
        .is_some_and(|path| !path.contains(['"', '\\', '\n']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[&str]) -> DeployKeys {
        let name = |name: &str| RepositoryName::parse(name).unwrap();
        let own = names.iter().map(|text| (name(text), PathBuf::from("/k")));
        DeployKeys {
            of_the_host: None,
            of_repositories: own.collect(),
        }
    }

    #[test]
    fn only_urls_of_repositories_with_keys_are_rewritten() {
        #[track_caller]
        fn check(remote: &str, expected: &[(&str, &str)]) {
            let folder = tempfile::tempdir().unwrap();
            let modules = "[submodule \"a\"]\n\tpath = a\n\turl = https://GitHub.com/Me/Posts\n\
                           [submodule \"b\"]\n\tpath = b\n\turl = https://GitHub.com/Me/Posts-archive.git\n\
                           [submodule \"c\"]\n\tpath = c\n\turl = https://elsewhere.example/me/posts.git\n";
            std::fs::write(folder.path().join(".gitmodules"), modules).unwrap();
            let keys = keys(&["me/blog", "Me/posts"]);
            let text = keys.rewrites(&RemoteUrl::parse(remote), folder.path());
            let sections = text.split("[url \"").skip(1).map(|section| {
                let mut parts = section.split('"');
                let base = parts.next().unwrap();
                (parts.nth(1).unwrap(), base)
            });
            let found: Vec<_> = sections.collect();
            for pair in expected {
                assert!(found.contains(pair), "{pair:?} is not in {found:#?}");
            }
            assert!(!text.contains("elsewhere"), "{text}");
        }
        check(
            "https://github.com/ME/blog",
            &[
                ("https://github.com/ME/blog", "git@github.com:ME/blog"),
                (
                    "https://github.com/me/blog.git",
                    "git@github.com:me/blog.git",
                ),
                ("https://GitHub.com/Me/Posts", "git@github.com:Me/Posts"),
                (
                    "https://github.com/me/posts.git",
                    "git@github.com:me/posts.git",
                ),
                // It begins with what is rewritten.
                (
                    "https://GitHub.com/Me/Posts-archive.git",
                    "https://GitHub.com/Me/Posts-archive.git",
                ),
            ],
        );
        check(
            "ssh://git@ssh.github.com:443/me/blog.git",
            &[(
                "https://GitHub.com/Me/Posts",
                "ssh://git@ssh.github.com:443/Me/Posts",
            )],
        );
        let local = RemoteUrl::parse("/srv/blog.git");
        let none = keys(&["me/blog"]).rewrites(&local, Path::new("/nowhere"));
        assert_eq!(none, "");
    }

    #[test]
    fn a_pattern_fits_in_any_case_and_means_nothing_else_to_a_shell() {
        assert_eq!(pattern("a/B-1.x"), "[aA]/[bB]-1.[xX]");
        assert_eq!(pattern("*;'"), r"'*'';'''\'''");
    }

    #[test]
    fn blanks_in_the_path_of_a_key_survive_the_shell_and_ssh() {
        assert_eq!(
            identity(Path::new("/h/my 50% key's")).unwrap(),
            " -oIdentitiesOnly=yes -oControlPath=none '-oIdentityFile=\"/h/my 50%% key'\\''s\"'"
        );
    }
}
