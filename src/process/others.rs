//! Other processes of the host, as far as /proc tells and we may look.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::process::Pid;

use crate::files::identity;

/// Our children, and the process group of each.
pub(super) fn children() -> Vec<(Pid, Pid)> {
    let us = rustix::process::getpid().as_raw_nonzero().get();
    let of_us = |process: PathBuf| {
        let ids = ids_of(&process).filter(|ids| ids.parent == us)?;
        let number = process.file_name()?.to_str()?.parse().ok()?;
        Pid::from_raw(number).zip(Pid::from_raw(ids.group))
    };
    processes().filter_map(of_us).collect()
}

/// The process groups in `session` that hold `file` open: what a dead worker started and left. Found in /proc; where
/// there is none, nothing is found.
pub(crate) fn groups_that_hold(file: &File, session: i32) -> Result<Vec<Pid>> {
    let sought = file.metadata().context("cannot look at a lock file")?;
    let is_sought = |found: Metadata| identity(&found) == identity(&sought);
    // Processes of other users cannot be looked into, and are not ours to end.
    let holds = |process: &Path| {
        let open = std::fs::read_dir(process.join("fd"));
        let mut open = open.into_iter().flatten().flatten();
        open.any(|fd| fd.path().metadata().is_ok_and(is_sought))
    };
    let mut groups = Vec::new();
    // Numbers that another /proc gives are not those that a signal goes to.
    let us = PathBuf::from(std::process::id().to_string());
    if std::fs::read_link("/proc/self").is_ok_and(|of_proc| of_proc == us) {
        let ours = ids_of(Path::new("/proc/self")).map_or(0, |ids| ids.group);
        for process in processes() {
            if let Some(ids) = ids_of(&process)
                && ids.session == session
                && ids.group != ours
                && let Some(group) = Pid::from_raw(ids.group)
                && !groups.contains(&group)
                && holds(&process)
            {
                groups.push(group);
            }
        }
    }
    Ok(groups)
}

/// The session of this process, 0 where its leader cannot be seen: in a container that a command was started in from
/// outside (`pid_namespaces(7)`), and where there is no /proc.
pub(crate) fn session() -> i32 {
    ids_of(Path::new("/proc/self")).map_or(0, |ids| ids.session)
}

/// What a process belongs to; 0 is a group or session whose leader cannot be seen.
struct Ids {
    parent: i32,
    group: i32,
    session: i32,
}

/// From a process's folder in /proc, and not by getpgrp and getsid: rustix takes their 0 for impossible.
fn ids_of(process: &Path) -> Option<Ids> {
    // pid (name) state ppid pgrp session …: the name may hold anything, so what counts is behind the last bracket.
    let stat = std::fs::read(process.join("stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(1);
    Some(Ids {
        parent: fields.next()?.parse().ok()?,
        group: fields.next()?.parse().ok()?,
        session: fields.next()?.parse().ok()?,
    })
}

/// Whether somebody is at work, as far as we may see.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AtWork {
    No,
    /// A process of another user's, that cannot be looked into, may be.
    Perhaps,
    Yes,
}

/// Whether a process whose name begins with `name` is at work below a folder.
pub(crate) fn at_work(name: &str, folder: &Path) -> AtWork {
    let named = |process: &PathBuf| {
        std::fs::read_to_string(process.join("comm")).is_ok_and(|comm| comm.starts_with(name))
    };
    let works = |process: PathBuf| match std::fs::read_link(process.join("cwd")) {
        Ok(cwd) if cwd.starts_with(folder) => AtWork::Yes,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => AtWork::Perhaps,
        // Elsewhere; gone; or a zombie, which works nowhere.
        Ok(_) | Err(_) => AtWork::No,
    };
    let all = processes().filter(named).map(works);
    all.max().unwrap_or(AtWork::No)
}

fn processes() -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_process = |name: &OsStr| name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
    entries
        .filter(move |entry| is_process(&entry.file_name()))
        .map(|entry| entry.path())
}
