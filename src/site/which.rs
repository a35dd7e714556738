//! Which site file a request is for.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::cgi::{self, Environment, Variable};
use crate::files::identity;

/// The site file of a request that no script was started for, if there is one: `DEPLOY_CGI_SITE`; else the first
/// argument, but only where the server itself named the same file as the script, it is not our own executable, and the
/// query cannot have become arguments (RFC 3875 section 4.4).
pub(crate) fn named_by_the_server(env: &Environment, arguments: &[OsString]) -> Option<PathBuf> {
    match env.variable("DEPLOY_CGI_SITE") {
        Variable::Once(site) => return Some(PathBuf::from(OsStr::from_bytes(site))),
        Variable::Several => return None,
        Variable::Absent => {}
    }
    if cgi::is_search_words(env.variable("QUERY_STRING").once()?) {
        return None;
    }
    let identity = |path: &Path| path.metadata().ok().map(|file| identity(&file));
    let argument = Path::new(arguments.first()?);
    let named = identity(argument)?;
    let script = identity(Path::new(OsStr::from_bytes(
        env.variable("SCRIPT_FILENAME").once()?,
    )))?;
    let ourselves = std::env::current_exe()
        .ok()
        .and_then(|path| identity(&path))?;
    (named == script && named != ourselves).then(|| argument.to_owned())
}

/// The file the kernel started, when it is a script that names us as its interpreter (execve(2), `AT_EXECFN`).
pub(crate) fn started_script() -> Option<PathBuf> {
    let path = Path::new(OsStr::from_bytes(rustix::param::linux_execfn().to_bytes()));
    let mut start = [0; 2];
    std::fs::File::open(path)
        .ok()?
        .read_exact(&mut start)
        .ok()?;
    (start == *b"#!").then(|| path.to_owned())
}
