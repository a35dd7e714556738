//! What the host allows: space, memory, processes, time, and whose files are whose.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Advice, Diagnosis, Situation, found};
use crate::process::End;
use crate::redaction::line_of;
use crate::shell::quoted;
use crate::user::name_of;

pub(super) fn disk_full(at: &Situation<'_>) -> Diagnosis {
    found(
        "the disk is full",
        Advice::run(
            "free some space, then press Redeliver; what was half written is put right then. How much is used",
            [format!("df -h {}", quoted(at.folder()))],
        ),
    )
}

pub(super) fn quota_exceeded(at: &Situation<'_>) -> Diagnosis {
    found(
        format!("the disk quota of {} is used up", at.user()),
        Advice::run(
            "free some space or ask the host for more, then press Redeliver. What takes the most",
            [format!(
                "du -h -d 2 {} | sort -h | tail",
                quoted(&at.home())
            )],
        ),
    )
}

pub(super) fn too_many_open_files() -> Diagnosis {
    found(
        "the host's limit of open files was reached",
        Advice::words(
            "press Redeliver when the host is less busy; ask the host for a higher limit (nofile) if it comes back",
        ),
    )
}

pub(super) fn too_many_processes(at: &Situation<'_>) -> Diagnosis {
    found(
        format!("the host's limit of processes of {} was reached", at.user()),
        Advice::words(
            "press Redeliver when the host is less busy; ask the host for a higher limit (NPROC) if it comes back",
        ),
    )
}

pub(super) fn out_of_memory(at: &Situation<'_>) -> Diagnosis {
    found(
        "the host's limit of memory was reached",
        Advice::run(
            "let git use less, then press Redeliver; ask the host for a higher limit if it comes back",
            [
                at.git("config pack.threads 1"),
                at.git("config core.packedGitLimit 64m"),
                at.git("config core.bigFileThreshold 16m"),
            ],
        ),
    )
}

pub(super) fn read_only_file_system(at: &Situation<'_>) -> Diagnosis {
    found(
        format!("the file system of {} is read-only", line_of(at.folder())),
        Advice::words(
            "the host has to mount it for writing (after an error of the disk it is often read-only until a check); then press Redeliver",
        ),
    )
}

/// Something in the checkout that is another user's.
pub(super) fn not_writable(path: Option<&Path>, at: &Situation<'_>) -> Diagnosis {
    let top = at.folder();
    let path = path.map_or_else(|| top.to_owned(), |path| top.join(path));
    // A file that is to be made belongs to nobody yet; its folder does.
    let closed = path
        .ancestors()
        .take_while(|folder| folder.starts_with(top))
        .find(|folder| {
            folder
                .symlink_metadata()
                .is_ok_and(|found| found.uid() != at.user.uid)
        })
        .unwrap_or(top);
    found(
        format!(
            "{} may not write in {}, which belongs to {}",
            at.user(),
            line_of(closed),
            owner_of(closed)
        ),
        at.fix_owner(),
    )
}

/// A command that was ended, or that ended without a word that is known.
pub(super) fn ended(end: End, at: &Situation<'_>) -> Diagnosis {
    match end {
        End::Limit(limit) => found(
            format!("git {end}"),
            Advice::words(format!(
                "if it needs longer than {}, raise `timeout` in {}; then press Redeliver",
                humantime::format_duration(limit),
                at.site_file()
            )),
        ),
        End::Signal(signal) => found(
            format!("git was killed by signal {signal}"),
            Advice::words(
                "that is what a host's limit of memory or time does: press Redeliver when it is less busy, and ask the host \
                 for a higher limit if it comes back",
            ),
        ),
        End::Exit(_) | End::Stopped => Diagnosis {
            cause: format!("git ended with {end}"),
            advice: None,
        },
    }
}

pub(super) fn owner_of(path: &Path) -> String {
    path.metadata()
        .map_or_else(|_| "another user".to_owned(), |file| name_of(file.uid()))
}
