//! Git's environment, made from nothing: a request puts what it likes into that of a CGI program.

use std::ffi::OsString;

use crate::cgi::Environment;
use crate::site::Site;
use crate::user::{User, variables_for};

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
    "GIT_SSH*",
    "GIT_SSL_*",
];

/// What git is always given. An empty `GIT_ASKPASS` switches off every program that would ask a person who is not
/// there; a transfer under 1000 bytes/s for 30 s is ended.
const ALWAYS_SET: &[(&str, &str)] = &[
    ("LC_ALL", "C"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_ASKPASS", ""),
    ("GIT_ADVICE", "0"),
    ("GIT_HTTP_LOW_SPEED_LIMIT", "1000"),
    ("GIT_HTTP_LOW_SPEED_TIME", "30"),
];

/// Git's environment, from nothing: the allowed ones of the host's, what it always needs, the site's own last.
pub(super) fn environment(
    site: &Site,
    host: &Environment,
    user: &User,
) -> Vec<(OsString, OsString)> {
    let mut variables = variables_for(user, host, &site.programs, ALLOWED);
    if user.has_a_foreign_home() {
        // Git before 2.32 does not know GIT_CONFIG_GLOBAL.
        variables.insert("HOME".into(), "/dev/null".into());
    }
    variables.extend(
        ALWAYS_SET
            .iter()
            .map(|(name, value)| (name.into(), value.into())),
    );
    let own = site.env.iter();
    variables.extend(own.map(|(name, value)| (name.into(), value.into())));
    variables.into_iter().collect()
}
