//! The way in: what keeps a web server from starting a site file, and what it would show of it instead.
//!
//! The server's own words for these mistakes are misleading ("No such file or directory" about a file that is there).

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::Findings;
use super::Health::{Problem, Unknown};
use crate::cgi::Environment;
use crate::redaction::line_of;
use crate::shell::quoted;
use crate::site::read_small;
use crate::user::{User, name_of};

/// The longest `#!` line a kernel takes, in bytes; before Linux 5.1 it was 127.
pub(crate) const MAX_LINE: usize = 255;

/// Folders that hosts serve to the world, by name.
const WEB_ROOTS: [&str; 7] = [
    "public_html",
    "htdocs",
    "httpdocs",
    "httpsdocs",
    "wwwroot",
    "html",
    "webroot",
];

/// Everything about the site file but what is written in it.
pub(super) fn examine<'u>(file: &Path, user: &'u User, env: &Environment) -> Findings<'u> {
    let mut findings = Findings {
        user,
        all: Vec::new(),
    };
    // Who was started by it needs no proof that it can be; whoever could not read it has said why.
    if !env.is_a_request()
        && let Ok(found) = file.symlink_metadata()
    {
        first_line(file, env, &mut findings);
        if !can_be_run(file) {
            let (user, shown, file) = (user.shown(), line_of(file), quoted(file));
            finding!(findings, Problem, "site file", "{user} may not run {shown}"; "make it executable"; "chmod 755 {file}");
        }
        suexec(file, &found, &mut findings);
        way(file, &mut findings);
    }
    if findings.all.is_empty() {
        findings.ok("site file", line_of(file));
    }
    findings
}

fn can_be_run(file: &Path) -> bool {
    rustix::fs::access(file, Access::EXEC_OK).is_ok()
}

/// The line that names the program, for the kernel: a flat list of what may be wrong with it.
fn first_line(file: &Path, env: &Environment, findings: &mut Findings<'_>) {
    const WHAT: &str = "#! line";
    let text = read_small(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line = text.split('\n').next().unwrap_or_default();
    let named = line.strip_prefix("#!");
    let program = named.and_then(|words| words.split_whitespace().next());
    let program = Path::new(program.unwrap_or_default());
    let (user, shown, site) = (findings.user.shown(), line_of(program), line_of(file));
    let us = std::env::current_exe().unwrap_or_default();
    let (us, file, length) = (us.display(), quoted(file), line.len());
    if line.starts_with('\u{feff}') {
        finding!(findings, Problem, WHAT,
            "a byte order mark stands before it, so that the server says \"Exec format error\"";
            "save the file without it";
            "sed -i '1s/^\\xEF\\xBB\\xBF//' {file}");
    } else if named.is_none() && env.first("DEPLOY_CGI_SITE").is_some() {
        // The server names the program.
    } else if named.is_none() {
        finding!(findings, Problem, WHAT, "{site} does not begin with one, so the server says \"Exec format error\"";
            "begin the file with #! and the path of deploy-cgi (where the server names the program instead, as lighttpd's \
             cgi.assign can, it needs none)";
            "sed -i '1i#!{us}' {file}");
    } else if line.ends_with('\r') {
        finding!(findings, Problem, WHAT,
            "it ends in a carriage return (Windows), so that the server says \"No such file or directory\"";
            "save the file with Unix line ends";
            "sed -i 's/\\r$//' {file}");
    } else if length > MAX_LINE {
        finding!(findings, Problem, WHAT, "it has {length} bytes, and the kernel takes {MAX_LINE}";
            "put deploy-cgi into a folder with a shorter path, such as ~/bin, and name it there");
    } else if !program.is_absolute() || !program.exists() {
        finding!(findings, Problem, WHAT, "it names {shown}, which is not there or in a folder that {user} may not enter";
            "name the program that you have";
            "sed -i '1s|.*|#!{us}|' {file}");
    } else if !can_be_run(program) {
        let program = quoted(program);
        finding!(findings, Problem, WHAT, "{user} may not run {shown}"; "make it executable"; "chmod 755 {program}");
    }
}

/// What suexec refuses, which starts scripts as their owner on shared hosts.
fn suexec(file: &Path, found: &Metadata, findings: &mut Findings<'_>) {
    const WHAT: &str = "suexec";
    let (shown, path) = (line_of(file), quoted(file));
    if found.is_symlink() {
        return finding!(findings, Unknown, WHAT, "{shown} is a symbolic link, which suexec does not start";
            "put the file itself there";
            "cp --remove-destination \"$(readlink -f {path})\" {path}");
    }
    let folder = file.parent().unwrap_or(file);
    let around = folder.metadata().ok();
    for (path, found) in [(file, Some(found)), (folder, around.as_ref())] {
        // A folder with the sticky bit, as /tmp, is no place for scripts, but not writable by others in this sense.
        if found.is_some_and(|found| found.mode() & 0o022 != 0 && found.mode() & 0o1000 == 0) {
            let (shown, path) = (line_of(path), quoted(path));
            finding!(findings, Unknown, WHAT, "others may write {shown}, so suexec does not start it";
                "let only the owner write"; "chmod go-w {path}");
        }
    }
    if let Some(around) = around.filter(|around| around.uid() != 0)
        && (around.uid(), around.gid()) != (found.uid(), found.gid())
    {
        let (owner, other, folder) = (name_of(found.uid()), name_of(around.uid()), quoted(folder));
        finding!(findings, Unknown, WHAT,
            "{shown} belongs to {owner}, and its folder to {other}: suexec wants one owner and one group";
            "let both have the same";
            "sudo chown --reference={folder} {path}");
    }
}

/// Whether a server that runs as another user comes to the file.
fn way(file: &Path, findings: &mut Findings<'_>) {
    let Some(home) = findings.user.home.clone() else {
        return;
    };
    let is_closed = |home: &Path| home.metadata().is_ok_and(|home| home.mode() & 0o011 == 0);
    if file.starts_with(&home) && is_closed(&home) {
        let (shown, home) = (line_of(&home), quoted(&home));
        finding!(findings, Unknown, "home",
            "{shown} is closed to others, so a web server of another user's does not come to the site file";
            "let others pass, but not look"; "chmod o+x {home}");
    }
}

/// The folder above a path that the host serves to the world, as far as its name or the server tells.
pub(crate) fn web_root(path: &Path, env: &Environment) -> Option<PathBuf> {
    if env.is_a_request() {
        let root = Path::new(env.first("DOCUMENT_ROOT")?).canonicalize().ok()?;
        return (root.parent().is_some() && path.starts_with(&root)).then_some(root);
    }
    let is_root = |folder: &&Path| {
        let name = folder.file_name();
        name.is_some_and(|name| WEB_ROOTS.iter().any(|root| name == *root))
    };
    path.ancestors().find(is_root).map(Path::to_owned)
}
