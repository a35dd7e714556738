//! The way in: what keeps a web server from starting a site file, and what it would show of it instead.
//!
//! The server's own words for these mistakes are misleading ("No such file or directory" about a file that is there).

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::Findings;
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

const FIRST_LINE: &str = "#! line";

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
            findings.problem(
                "site file",
                format!("{} may not run {}", user.shown(), line_of(file)),
                "make it executable",
                [format!("chmod 755 {}", quoted(file))],
            );
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
    let text = read_small(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line = text.split('\n').next().unwrap_or_default();
    let named = line.strip_prefix("#!");
    let program = named.and_then(|words| words.split_whitespace().next());
    let program = Path::new(program.unwrap_or_default());
    let (user, shown) = (findings.user.shown(), line_of(program));
    let edit = |script: &str| Some(format!("sed -i {script} {}", quoted(file)));
    let us = std::env::current_exe().unwrap_or_default();
    let us = us.display();
    let (found, words, command) = if line.starts_with('\u{feff}') {
        (
            "a byte order mark stands before it, so that the server says \"Exec format error\""
                .into(),
            "save the file without it",
            edit("'1s/^\\xEF\\xBB\\xBF//'"),
        )
    } else if named.is_none() && env.first("DEPLOY_CGI_SITE").is_some() {
        return;
    } else if named.is_none() {
        (
            format!(
                "{} does not begin with one, so the server says \"Exec format error\"",
                line_of(file)
            ),
            "begin the file with #! and the path of deploy-cgi (where the server names the program instead, as \
             lighttpd's cgi.assign can, it needs none)",
            edit(&format!("'1i#!{us}'")),
        )
    } else if line.ends_with('\r') {
        (
            "it ends in a carriage return (Windows), so that the server says \"No such file or directory\"".into(),
            "save the file with Unix line ends",
            edit("'s/\\r$//'"),
        )
    } else if line.len() > MAX_LINE {
        (
            format!(
                "it has {} bytes, and the kernel takes {MAX_LINE}",
                line.len()
            ),
            "put deploy-cgi into a folder with a shorter path, such as ~/bin, and name it there",
            None,
        )
    } else if !program.is_absolute() || !program.exists() {
        (
            format!(
                "it names {shown}, which is not there or in a folder that {user} may not enter"
            ),
            "name the program that you have",
            edit(&format!("'1s|.*|#!{us}|'")),
        )
    } else if !can_be_run(program) {
        (
            format!("{user} may not run {shown}"),
            "make it executable",
            Some(format!("chmod 755 {}", quoted(program))),
        )
    } else {
        return;
    };
    findings.problem(FIRST_LINE, found, words, command);
}

/// What suexec refuses, which starts scripts as their owner on shared hosts.
fn suexec(file: &Path, found: &Metadata, findings: &mut Findings<'_>) {
    const WHAT: &str = "suexec";
    let (shown, path) = (line_of(file), quoted(file));
    if found.is_symlink() {
        return findings.unknown(
            WHAT,
            format!("{shown} is a symbolic link, which suexec does not start"),
            "put the file itself there",
            [format!(
                "cp --remove-destination \"$(readlink -f {path})\" {path}"
            )],
        );
    }
    let folder = file.parent().unwrap_or(file);
    let around = folder.metadata().ok();
    for (path, found) in [(file, Some(found)), (folder, around.as_ref())] {
        // A folder with the sticky bit, as /tmp, is no place for scripts, but not writable by others in this sense.
        if found.is_some_and(|found| found.mode() & 0o022 != 0 && found.mode() & 0o1000 == 0) {
            findings.unknown(
                WHAT,
                format!(
                    "others may write {}, so suexec does not start it",
                    line_of(path)
                ),
                "let only the owner write",
                [format!("chmod go-w {}", quoted(path))],
            );
        }
    }
    if let Some(around) = around.filter(|around| around.uid() != 0)
        && (around.uid(), around.gid()) != (found.uid(), found.gid())
    {
        findings.unknown(
            WHAT,
            format!(
                "{shown} belongs to {}, and its folder to {}: suexec wants one owner and one group",
                name_of(found.uid()),
                name_of(around.uid())
            ),
            "let both have the same",
            [format!("sudo chown --reference={} {path}", quoted(folder))],
        );
    }
}

/// Whether a server that runs as another user comes to the file.
fn way(file: &Path, findings: &mut Findings<'_>) {
    let Some(home) = findings.user.home.clone() else {
        return;
    };
    let is_closed = |home: &Path| home.metadata().is_ok_and(|home| home.mode() & 0o011 == 0);
    if file.starts_with(&home) && is_closed(&home) {
        findings.unknown(
            "home",
            format!("{} is closed to others, so a web server of another user's does not come to the site file", line_of(&home)),
            "let others pass, but not look",
            [format!("chmod o+x {}", quoted(&home))],
        );
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
