//! The way in: what keeps a web server from starting a site file, and what it would show of it instead.
//!
//! The server's own words for these mistakes are misleading ("No such file or directory" about a file that is there).

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::Finding;
use crate::cgi::Environment;
use crate::diagnosis::Advice;
use crate::redaction::line_of;
use crate::shell::{as_root, as_user, quoted};
use crate::site::read_small;
use crate::user::{User, name_of};

/// The longest `#!` line a kernel takes, in bytes; before Linux 5.1 it was 127.
pub(crate) const MAX_LINE: usize = 255;
const MAX_LINE_OF_OLD_KERNELS: usize = 127;

/// Folders that hosts serve to the world, by name.
const WEB_ROOTS: &[&str] = &[
    "public_html",
    "htdocs",
    "httpdocs",
    "httpsdocs",
    "wwwroot",
    "html",
    "webroot",
];

/// Endings of what editors and people leave beside a file.
const COPIES: &[&str] = &[
    "~", ".bak", ".backup", ".orig", ".old", ".save", ".swp", ".txt", ".copy", ".rej", ".1",
];

const MARK: &[u8] = b"\xef\xbb\xbf";

/// Everything about the site file but what is written in it.
pub(super) fn examine(file: &Path, user: &User, env: &Environment) -> Vec<Finding> {
    const WHAT: &str = "site file";
    let Ok(found) = file.symlink_metadata() else {
        // Whoever could not read it has said why.
        return Vec::new();
    };
    let start = read_small(file).unwrap_or_default();
    let line = start
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    let mut findings: Vec<Finding> = Vec::new();
    // Who was started by it needs no proof that it can be.
    let is_started = env.is_a_request();
    if !is_started {
        findings.extend(first_line(file, line, user, env));
        findings.extend(can_be_run(file, user));
    }
    findings.extend(suexec(file, &found, user));
    findings.extend(copies(file, user));
    if findings.is_empty() {
        findings.push(Finding::ok(WHAT, line_of(file)));
    }
    findings
}

/// The line that names the program, for the kernel.
fn first_line(file: &Path, line: &[u8], user: &User, env: &Environment) -> Option<Finding> {
    const WHAT: &str = "#! line";
    let path = quoted(file);
    let edit = |script: &str| as_user(user, &format!("sed -i {script} {path}"));
    if line.starts_with(MARK) {
        return Some(Finding::problem(
            WHAT,
            "a byte order mark stands before it, so that the server says \"Exec format error\"",
            Advice::run(
                "save the file without it",
                [edit("'1s/^\\xEF\\xBB\\xBF//'")],
            ),
        ));
    }
    let Some(rest) = line.strip_prefix(b"#!") else {
        return env.first("DEPLOY_CGI_SITE").is_none().then(|| {
            Finding::problem(
                WHAT,
                format!("{} does not begin with one, so the server says \"Exec format error\"", line_of(file)),
                Advice::run(
                    "begin the file with #! and the path of deploy-cgi (where the server names the program instead, as \
                     lighttpd's cgi.assign can, it needs none)",
                    std::env::current_exe()
                        .ok()
                        .map(|exe| edit(&format!("'1i#!{}'", exe.display()))),
                ),
            )
        });
    };
    if rest.ends_with(b"\r") {
        return Some(Finding::problem(
            WHAT,
            "it ends in a carriage return (Windows), so that the server says \"No such file or directory\"",
            Advice::run("save the file with Unix line ends", [edit("'s/\\r$//'")]),
        ));
    }
    program_of(line, &String::from_utf8_lossy(rest), user, &edit)
}

/// What stands behind the `#!`.
fn program_of(
    line: &[u8],
    text: &str,
    user: &User,
    edit: &dyn Fn(&str) -> String,
) -> Option<Finding> {
    const WHAT: &str = "#! line";
    let interpreter = Path::new(text.split_whitespace().next().unwrap_or_default());
    if let Some(problem) = unusable_program(line, interpreter, user, edit) {
        return Some(problem);
    }
    if text.split_whitespace().nth(1).is_some() {
        return Some(Finding::warning(
            WHAT,
            "something stands behind the program",
            Advice::words(
                "leave nothing but #! and the path of deploy-cgi: the rest arrives as one argument",
            ),
        ));
    }
    (line.len() > MAX_LINE_OF_OLD_KERNELS).then(|| {
        Finding::warning(
            WHAT,
            format!(
                "it has {} bytes; before Linux 5.1 kernels take {MAX_LINE_OF_OLD_KERNELS}",
                line.len()
            ),
            Advice::words("if the server says \"No such file or directory\", put deploy-cgi into a folder with a shorter path"),
        )
    })
}

fn unusable_program(
    line: &[u8],
    interpreter: &Path,
    user: &User,
    edit: &dyn Fn(&str) -> String,
) -> Option<Finding> {
    const WHAT: &str = "#! line";
    let shown = line_of(interpreter);
    if line.len() > MAX_LINE {
        return Some(Finding::problem(
            WHAT,
            format!(
                "it has {} bytes, and the kernel takes {MAX_LINE}",
                line.len()
            ),
            Advice::words(
                "put deploy-cgi into a folder with a shorter path, such as ~/bin, and name it there",
            ),
        ));
    }
    if !interpreter.is_absolute() {
        return Some(Finding::problem(
            WHAT,
            format!("\"{shown}\" is no absolute path"),
            Advice::words("name deploy-cgi by its absolute path"),
        ));
    }
    let Ok(program) = interpreter.metadata() else {
        return Some(Finding::problem(
            WHAT,
            format!(
                "it names {shown}, which is not there or in a folder that {} may not enter",
                user.shown()
            ),
            Advice::run(
                "name the program that you have",
                std::env::current_exe()
                    .ok()
                    .map(|exe| edit(&format!("'1s|.*|#!{}|'", exe.display()))),
            ),
        ));
    };
    let is_closed =
        rustix::fs::access(interpreter, Access::EXEC_OK).is_err() || program.mode() & 0o111 == 0;
    is_closed.then(|| {
        Finding::problem(
            WHAT,
            format!("{} may not run {shown}", user.shown()),
            Advice::run(
                "make it executable",
                [as_user(user, &format!("chmod 755 {}", quoted(interpreter)))],
            ),
        )
    })
}

fn can_be_run(file: &Path, user: &User) -> Option<Finding> {
    let mode = file.metadata().map_or(0o111, |found| found.mode());
    (mode & 0o111 == 0 || rustix::fs::access(file, Access::EXEC_OK).is_err()).then(|| {
        Finding::problem(
            "site file",
            format!("{} may not run {}", user.shown(), line_of(file)),
            Advice::run(
                "make it executable",
                [as_user(user, &format!("chmod 755 {}", quoted(file)))],
            ),
        )
    })
}

/// What suexec refuses, which starts scripts as their owner on shared hosts.
fn suexec(file: &Path, found: &Metadata, user: &User) -> Vec<Finding> {
    let shown = line_of(file);
    let warning = |found: String, words: &str, command: String| {
        Finding::warning("suexec", found, Advice::run(words, [command]))
    };
    if found.is_symlink() {
        let path = quoted(file);
        let copy = format!("cp --remove-destination \"$(readlink -f {path})\" {path}");
        return vec![warning(
            format!("{shown} is a symbolic link, which suexec does not start"),
            "put the file itself there",
            as_user(user, &copy),
        )];
    }
    let mut findings = Vec::new();
    let folder = file.parent().unwrap_or(file);
    let around = folder.metadata().ok();
    for (path, mode) in [
        (file, Some(found.mode())),
        (folder, around.as_ref().map(MetadataExt::mode)),
    ] {
        // A folder with the sticky bit, as /tmp, is no place for scripts, but not writable by others in this sense.
        if mode.is_some_and(|mode| mode & 0o022 != 0 && mode & 0o1000 == 0) {
            findings.push(warning(
                format!(
                    "others may write {}, so suexec does not start it",
                    line_of(path)
                ),
                "let only the owner write",
                as_user(user, &format!("chmod go-w {}", quoted(path))),
            ));
        }
    }
    if let Some(around) = around.filter(|around| around.uid() != 0)
        && (around.uid(), around.gid()) != (found.uid(), found.gid())
    {
        findings.push(warning(
            format!(
                "{shown} belongs to {}, and its folder to {}: suexec wants one owner and one group",
                name_of(found.uid()),
                name_of(around.uid())
            ),
            "let both have the same",
            as_root(
                user,
                &format!("chown --reference={} {}", quoted(folder), quoted(file)),
            ),
        ));
    }
    findings
}

/// Copies beside the file, which servers show to anybody or run.
fn copies(file: &Path, user: &User) -> Option<Finding> {
    let (folder, name) = file.parent().zip(file.file_name())?;
    let name = name.to_string_lossy();
    let is_copy = |other: &str| {
        let stem = other.trim_start_matches(['.', '#']).trim_end_matches('#');
        other != name
            && stem.strip_prefix(&*name).is_some_and(|end| {
                (end.is_empty() && other.starts_with('#')) || COPIES.contains(&end)
            })
    };
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let copies = entries.filter(|entry| is_copy(&entry.file_name().to_string_lossy()));
    let mut found: BTreeSet<PathBuf> = BTreeSet::new();
    found.extend(copies.map(|entry| entry.path()));
    let first = found.first()?;
    let home = user.home.clone().unwrap_or_else(|| "/tmp".into());
    Some(Finding::warning(
        "copies",
        format!(
            "{} lies beside the site file, where anybody can read or run it",
            line_of(first)
        ),
        Advice::run(
            "move it out of the web's reach",
            found
                .iter()
                .map(|copy| as_user(user, &format!("mv -n {} {}", quoted(copy), quoted(&home)))),
        ),
    ))
}

/// The folder above a path that the host serves to the world, as far as its name or the server tells.
pub(crate) fn web_root(path: &Path, env: &Environment) -> Option<PathBuf> {
    if env.is_a_request() {
        let root = Path::new(env.first("DOCUMENT_ROOT")?).canonicalize().ok()?;
        return (root.parent().is_some() && path.starts_with(&root)).then_some(root);
    }
    let is_root = |folder: &&Path| {
        folder.file_name().is_some_and(|name| {
            WEB_ROOTS
                .iter()
                .any(|root| name.as_bytes() == root.as_bytes())
        })
    };
    path.ancestors().find(is_root).map(Path::to_owned)
}
