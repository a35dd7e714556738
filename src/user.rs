//! Who we run as: user id, name, home folder, and the environment of what we start.
//!
//! Servers leave HOME unset, or as it was for whoever started them. The C library's look-up is never used: in a static
//! program it loads shared objects and crashes.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cgi::Environment;
use crate::process::{Programs, Run};

/// How long a directory service may take to name a user.
const GETENT_LIMIT: Duration = Duration::from_secs(2);

/// Shells that let nobody in (nologin(8), false(1)).
const SHELLS_OF_NOBODY: &[&str] = &["/nologin", "/false", "/sync"];

/// The user this process runs as.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) name: Option<String>,
    pub(crate) home: Option<PathBuf>,
    /// Whether a person can log in as this user, as far as its shell says.
    pub(crate) logs_in: bool,
}

impl User {
    /// The effective user, as far as it is known without starting a program: by /etc/passwd; else by HOME, where that
    /// folder is the user's own. All that a stranger may make us look at.
    pub(crate) fn known(env: &Environment) -> Self {
        let uid = rustix::process::geteuid().as_raw();
        let passwd = std::fs::read("/etc/passwd").unwrap_or_default();
        entry(&passwd, uid).unwrap_or_else(|| {
            let is_own = |home: &PathBuf| {
                let there = home.metadata();
                let is_theirs = there.is_ok_and(|home| home.is_dir() && home.uid() == uid);
                home.is_absolute() && is_theirs
            };
            Self {
                uid,
                name: None,
                home: env.first("HOME").map(PathBuf::from).filter(is_own),
                logs_in: true,
            }
        })
    }

    /// The effective user; where /etc/passwd and HOME do not tell, by what `getent` (LDAP, NIS, systemd) says.
    pub(crate) fn running(env: &Environment) -> Self {
        let known = Self::known(env);
        if known.name.is_some() || known.home.is_some() {
            return known;
        }
        getent(env, known.uid).unwrap_or(known)
    }

    /// Whether others say what a configuration in the home makes git and ssh do.
    pub(crate) fn has_a_foreign_home(&self) -> bool {
        self.owner_of_a_foreign_home().is_some() || self.has_an_open_home()
    }

    /// Who owns the home, where that is neither the user nor root.
    pub(crate) fn owner_of_a_foreign_home(&self) -> Option<u32> {
        let owner = self.home.as_ref()?.metadata().ok()?.uid();
        (owner != self.uid && owner != 0).then_some(owner)
    }

    /// Whether everybody can put files into the home, as into `/tmp`.
    pub(crate) fn has_an_open_home(&self) -> bool {
        let home = self.home.as_ref().and_then(|home| home.metadata().ok());
        home.is_some_and(|home| home.mode() & 0o002 != 0)
    }

    /// The home, where the user may put something there.
    pub(crate) fn own_home(&self) -> Option<&Path> {
        let home = self.home.as_deref()?;
        let owner = home.metadata().ok()?.uid();
        (owner == self.uid && !self.has_an_open_home()).then_some(home)
    }

    /// As commands name the user.
    pub(crate) fn in_commands(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.uid.to_string())
    }

    /// The name, or the number where there is none.
    pub(crate) fn shown(&self) -> String {
        self.name
            .clone()
            .unwrap_or_else(|| format!("uid {}", self.uid))
    }
}

/// The name of the user `uid`, or the number where /etc/passwd has none.
pub(crate) fn name_of(uid: u32) -> String {
    std::fs::read("/etc/passwd")
        .ok()
        .and_then(|passwd| entry(&passwd, uid)?.name)
        .unwrap_or_else(|| format!("uid {uid}"))
}

/// Variables of the host that a person's commands get. Servers invent names for what a request brings, so no list of what
/// to leave out would ever be whole.
pub(crate) const FOR_COMMANDS: &[&str] = &[
    "HOME",
    "LANG",
    "LC_*",
    "LD_LIBRARY_PATH",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TMPDIR",
    "TZ",
    "USER",
    "XDG_*",
];

/// Whether a list has a name. An asterisk at the end of one in the list stands for anything.
fn is_listed(name: &OsStr, list: &[&str]) -> bool {
    list.iter().any(|known| match known.strip_suffix('*') {
        Some(family) => name.as_bytes().starts_with(family.as_bytes()),
        None => name == *known,
    })
}

/// The environment of what we start: of the host's own what is in the list `kept`, where programs are found, and who we are. Git finds
/// no configuration in a home that is another's.
pub(crate) fn variables_for(
    user: &User,
    host: &Environment,
    programs: &Programs,
    kept: &[&str],
) -> BTreeMap<OsString, OsString> {
    let host = host.of_the_host().filter(|(name, _)| is_listed(name, kept));
    let mut variables: BTreeMap<OsString, OsString> = host
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    variables.insert("PATH".into(), programs.as_path().to_owned());
    if let Some(home) = &user.home {
        variables.insert("HOME".into(), home.into());
    }
    if let Some(name) = &user.name {
        variables.extend(["USER", "LOGNAME"].map(|known| (known.into(), name.into())));
    }
    if user.has_a_foreign_home() {
        variables.insert("GIT_CONFIG_GLOBAL".into(), "/dev/null".into());
        variables.remove(OsStr::new("XDG_CONFIG_HOME"));
    }
    variables
}

fn getent(env: &Environment, uid: u32) -> Option<User> {
    let programs = Programs::in_path(env.first("PATH"));
    let getent = programs.find("getent")?;
    let asked = Run::new(&getent, GETENT_LIMIT).args(["passwd", &uid.to_string()]);
    let asked = asked.output_apart().ok()?;
    entry(&asked.output, uid)
}

/// The line of `uid` in a passwd file (passwd(5)).
fn entry(passwd: &[u8], uid: u32) -> Option<User> {
    passwd.split(|&byte| byte == b'\n').find_map(|line| {
        let mut fields = line.split(|&byte| byte == b':');
        let name = fields.next()?;
        if std::str::from_utf8(fields.nth(1)?).ok()?.parse() != Ok(uid) {
            return None;
        }
        let home = Path::new(OsStr::from_bytes(fields.nth(2)?));
        let shell = fields.next().unwrap_or_default();
        Some(User {
            uid,
            name: Some(String::from_utf8_lossy(name).into_owned()),
            home: home.is_absolute().then(|| home.to_owned()),
            logs_in: !SHELLS_OF_NOBODY
                .iter()
                .any(|nobody| shell.ends_with(nobody.as_bytes())),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_number() {
        let passwd = b"root:x:0:0:root:/root:/bin/bash\n# comment\nbroken\nme:x:1000:1000:Me,,,:/home/me:/bin/sh\nno:x:7:7:::\n";
        let me = entry(passwd, 1000).unwrap();
        assert_eq!(
            (me.name.as_deref(), me.home.as_deref()),
            (Some("me"), Some(Path::new("/home/me")))
        );
        assert!(entry(passwd, 1001).is_none());
        assert_eq!(entry(passwd, 7).unwrap().home, None);
        assert!(me.logs_in);
        let daemon = b"www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n";
        assert!(!entry(daemon, 33).unwrap().logs_in);
    }
}
