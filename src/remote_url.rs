//! The URL of a remote, in any of the forms that git takes (git-fetch(1), "GIT URLS"), read once.
//!
//! Shown without its login. Must not know what a remote is used for.

use std::fmt::{Debug, Display, Formatter};

use crate::redaction;
use crate::repository_name::RepositoryName;

/// The names that GitHub has for git.
const GITHUB: &[&str] = &["github.com", "ssh.github.com"];

/// Where a remote is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RemoteUrl {
    text: String,
    transport: Transport,
    host: Option<String>,
    port: Option<String>,
    /// Without the slash that it may begin with.
    path: String,
    repository: Option<RepositoryName>,
}

/// What stands before the path of a URL, as it is written.
pub(crate) struct WithUser<'u> {
    scheme: &'u str,
    /// With the password, where there is one.
    pub(crate) user: &'u str,
    host: &'u str,
}

impl WithUser<'_> {
    /// The same for another user.
    pub(crate) fn of(&self, user: &str) -> String {
        format!("{}://{user}@{}", self.scheme, self.host)
    }

    pub(crate) fn whole(&self) -> String {
        self.of(self.user)
    }
}

/// How git reaches it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    /// A path on this machine, also as `file://`.
    Path,
    Ssh,
    Http,
    Https,
    /// `git://`, or what a helper of git's is for.
    Other,
}

impl RemoteUrl {
    /// Reads what git has for a URL; whatever is not in one of the other forms is a path.
    pub(crate) fn parse(text: &str) -> Self {
        // Git takes no password there; whoever writes one means the host behind it.
        let login = redaction::scp_login(text).map_or(0, |login| login.len() + 1);
        let (transport, authority, path) = match text.split_once("://") {
            Some(("file", _)) => (Transport::Path, "", ""),
            Some((scheme, rest)) => {
                let transport = match scheme {
                    "ssh" | "git+ssh" | "ssh+git" => Transport::Ssh,
                    "http" => Transport::Http,
                    "https" => Transport::Https,
                    _ => Transport::Other,
                };
                let (authority, path) = without_login(rest)
                    .split_once('/')
                    .unwrap_or((without_login(rest), ""));
                (transport, authority, path)
            }
            // [user@]host:path, the colon before any slash.
            None => match text[login..].split_once(':') {
                Some((host, path)) if !without_login(host).is_empty() && !host.contains('/') => {
                    (Transport::Ssh, without_login(host), path)
                }
                Some(_) | None => (Transport::Path, "", ""),
            },
        };
        let (host, port) = host_and_port(authority);
        Self {
            text: text.to_owned(),
            transport,
            host: (!host.is_empty()).then(|| host.to_owned()),
            port: port.map(str::to_owned),
            path: path.to_owned(),
            repository: repository_at(path),
        }
    }

    /// As git has it, with its login.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The name or address of the host; an alias of ssh's configuration is one, too. None for a path on this machine.
    pub(crate) fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The port, where the URL names one.
    pub(crate) fn port(&self) -> Option<&str> {
        self.port.as_deref()
    }

    /// `owner/name`: the last two parts of the path.
    pub(crate) fn repository(&self) -> Option<&RepositoryName> {
        self.repository.as_ref()
    }

    pub(crate) fn is_ssh(&self) -> bool {
        self.transport == Transport::Ssh
    }

    /// Whether two URLs name the same repository, and the same way to it, whatever their logins.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        let bare = |url: &Self| {
            let text = without_login(&url.text).trim_end_matches('/');
            text.strip_suffix(".git").unwrap_or(text).to_owned()
        };
        if self.is_ssh() != other.is_ssh() {
            return false;
        }
        match (self.repository(), other.repository()) {
            (Some(ours), Some(theirs)) => {
                let (ours, theirs) = ((ours, self.host()), (theirs, other.host()));
                ours == theirs && self.port == other.port
            }
            _ => bare(self) == bare(other),
        }
    }

    pub(crate) fn is_https(&self) -> bool {
        self.transport == Transport::Https
    }

    /// The path behind the host.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The names of its host: GitHub has two.
    pub(crate) fn host_names(&self) -> impl Iterator<Item = &str> {
        let others = GITHUB.iter().copied().filter(|_| self.is_github());
        let others = others.filter(|name| !self.is_at(name));
        self.host().into_iter().chain(others)
    }

    /// Whether another is at the same host.
    pub(crate) fn has_host_of(&self, other: &Self) -> bool {
        other.host_names().any(|name| self.is_at(name))
    }

    fn is_at(&self, name: &str) -> bool {
        self.host()
            .is_some_and(|host| host.eq_ignore_ascii_case(name))
    }

    /// What stands before the path in an address for ssh of the same host.
    pub(crate) fn ssh_base(&self) -> Option<String> {
        match self.transport {
            Transport::Ssh => Some(self.text[..self.text.len() - self.path.len()].to_owned()),
            Transport::Http | Transport::Https => Some(format!("git@{}:", self.host()?)),
            Transport::Path | Transport::Other => None,
        }
    }

    pub(crate) fn is_path(&self) -> bool {
        self.transport == Transport::Path
    }

    /// Whether the repository is at GitHub, by one of the names that it has for git.
    pub(crate) fn is_github(&self) -> bool {
        GITHUB.iter().any(|name| self.is_at(name))
    }

    /// The port that has to be open for it.
    pub(crate) fn port_used(&self) -> &str {
        self.port().unwrap_or(match self.transport {
            Transport::Ssh => "22",
            Transport::Http => "80",
            Transport::Https | Transport::Path | Transport::Other => "443",
        })
    }

    /// The address for ssh of a repository that has one for https, at the forges that use the same names for both.
    pub(crate) fn for_ssh(&self) -> Option<String> {
        if self.transport != Transport::Https || self.port.is_some() {
            return None;
        }
        let (host, _) = (self.host()?, self.repository()?);
        let path = self.path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        Some(format!("git@{host}:{path}.git"))
    }

    /// The credential in it, so that it can be masked wherever else it turns up.
    pub(crate) fn credential(&self) -> Option<String> {
        redaction::credential_in(&self.text)
    }

    /// A URL for HTTP with a user, in its parts. None where there is doubt which is which.
    pub(crate) fn with_user(&self) -> Option<WithUser<'_>> {
        let (scheme, rest) = self.text.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let (user, host) = authority.split_once('@')?;
        let is_plain = |c: u8| c.is_ascii_alphanumeric() || b".-:[]_".contains(&c);
        (matches!(self.transport, Transport::Http | Transport::Https)
            && user.bytes().all(|c| c.is_ascii_graphic())
            && host.bytes().all(is_plain))
        .then_some(WithUser { scheme, user, host })
    }

    /// The same where it has a password.
    pub(crate) fn login(&self) -> Option<WithUser<'_>> {
        let has_password = |parts: &WithUser<'_>| {
            let password = parts.user.split_once(':');
            password.is_some_and(|(_, password)| !password.is_empty())
        };
        self.with_user().filter(has_password)
    }

    /// A submodule's URL as git uses it: a relative one is meant from its superproject's (gitmodules(5)). None where that
    /// is not known.
    pub(crate) fn of_submodule(superproject: Option<&Self>, url: &str) -> Option<Self> {
        if !url.starts_with("./") && !url.starts_with("../") {
            return Some(Self::parse(url));
        }
        let superproject = superproject?.as_str();
        let mut base = superproject.trim_end_matches('/').to_owned();
        let mut rest = url;
        loop {
            if let Some(below) = rest.strip_prefix("./") {
                rest = below;
            } else if let Some(above) = rest.strip_prefix("../") {
                rest = above;
                base.truncate(base.rfind(['/', ':'])?);
            } else {
                break;
            }
        }
        let is_scp_host = !base.contains('/') && superproject.starts_with(&format!("{base}:"));
        let between = if is_scp_host { ':' } else { '/' };
        Some(Self::parse(&format!(
            "{base}{between}{}",
            rest.trim_end_matches('/')
        )))
    }
}

/// On one line, with the login masked.
impl Display for RemoteUrl {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&redaction::escape_line(&redaction::redact(&self.text, [])))
    }
}

impl Debug for RemoteUrl {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// What follows the last `@`: a password may hold an unescaped `@`, `/` or `?`, and no part of it is a name.
fn without_login(url: &str) -> &str {
    url.rsplit('@').next().unwrap_or(url)
}

/// An address of IPv6 stands in brackets.
fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if is_port(port) && (!host.contains(':') || host.ends_with(']')) => {
            (host, Some(port))
        }
        Some((host, "")) => (host, None),
        Some(_) | None => (authority, None),
    };
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

fn repository_at(path: &str) -> Option<RepositoryName> {
    let path = path.split('?').next()?.trim_matches('/');
    let path = path
        .strip_suffix(".git")
        .unwrap_or(path)
        .trim_end_matches('/');
    let mut last = path.rsplit('/');
    let (name, owner) = (last.next()?, last.next()?);
    RepositoryName::parse(&format!("{owner}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_the_last_two_parts_of_the_path() {
        for row in [
            "https://github.com/o/n.git github.com - o/n",
            "https://github.com/o/n github.com - o/n",
            "https://github.com/o/n.git/ github.com - o/n",
            "git+ssh://git@github.com/o/n github.com - o/n",
            "git@github.com:o/n.git github.com - o/n",
            "git@github.com:/o/n.git github.com - o/n",
            "https://u:to/k@en@github.com/o/n github.com - o/n",
            "u:to/k@en@github.com:o/n.git github.com - o/n",
            "https://u:p@github.com:443/o/n.git?x=/y github.com 443 o/n",
            "http://[::1]:80/o/n ::1 80 o/n",
            "ssh://git@ssh.github.com:443/o/n.git ssh.github.com 443 o/n",
            "ssh://u@[::1]/o ::1 - -",
            "gh-alias:o/n.git gh-alias - o/n",
            "https://git.example/group/o/n.git git.example - o/n",
            "https://github.com/o/.github.git github.com - o/.github",
            "https://github.com/o/n.git.git github.com - o/n.git",
            "https://host/n.git host - -",
            "git@h:o/n@2.git h - o/n@2",
            "https://host host - -",
            "/srv/git/o/n.git - - -",
            "../n.git - - -",
            "file:///srv/o/n.git - - -",
            "/srv/a:b - - -",
            "./a:b/c - - -",
            " - - -",
            ":o/n - - -",
        ] {
            let [url, host, port, repository] = *row.split(' ').collect::<Vec<_>>() else {
                panic!("{row}")
            };
            let found = RemoteUrl::parse(url);
            let name = found.repository().map(ToString::to_string);
            let got = [found.host(), found.port(), name.as_deref()];
            let got = got.map(|part| part.unwrap_or("-"));
            assert_eq!(got, [host, port, repository], "{url}");
            assert_eq!(found.is_path(), host == "-", "{url}");
        }
    }

    #[test]
    fn what_is_reached_by_ssh_is_told_by_the_form() {
        for url in [
            "git@github.com:o/n",
            "ssh://git@h:2222/o/n",
            "ssh://h/o/n",
            "alias:o/n",
        ] {
            assert!(RemoteUrl::parse(url).is_ssh(), "{url}");
        }
        for url in ["https://h/o/n", "git://h/o/n", "/srv/a:b", "file:///srv"] {
            assert!(!RemoteUrl::parse(url).is_ssh(), "{url}");
        }
    }

    #[test]
    fn a_login_is_never_shown() {
        let url = RemoteUrl::parse("https://me:tok@h/o/n");
        assert_eq!(url.to_string(), "https://***@h/o/n");
        assert_eq!(format!("{url:?}"), "https://***@h/o/n");
        assert_eq!(url.credential().as_deref(), Some("tok"));
    }

    #[test]
    fn an_address_for_https_has_one_for_ssh() {
        for (url, expected) in [
            ("https://t@github.com/o/n", "git@github.com:o/n.git"),
            ("https://h/group/o/n.git", "git@h:group/o/n.git"),
            ("https://h:8443/o/n", "-"),
            ("http://h/o/n", "-"),
        ] {
            let found = RemoteUrl::parse(url).for_ssh();
            assert_eq!(found.as_deref().unwrap_or("-"), expected, "{url}");
        }
    }

    #[test]
    fn a_relative_url_is_meant_from_the_superprojects() {
        for row in [
            "https://h/o/site.git ../posts.git https://h/o/posts.git",
            "https://h/o/site.git/ ../../p/posts https://h/p/posts",
            "git@h:o/site.git ../posts.git git@h:o/posts.git",
            "git@h:site.git ../posts.git git@h:posts.git",
            "/srv/site.git ./posts /srv/site.git/posts",
            "/srv/site.git https://h/x https://h/x",
        ] {
            let [superproject, url, expected] = *row.split(' ').collect::<Vec<_>>() else {
                panic!("{row}")
            };
            let found = RemoteUrl::of_submodule(Some(&RemoteUrl::parse(superproject)), url);
            assert_eq!(found.as_ref().map(RemoteUrl::as_str), Some(expected));
        }
        assert_eq!(RemoteUrl::of_submodule(None, "../x"), None);
    }
}
