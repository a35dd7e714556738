//! The rest of our own work in another process: our executable, started anew, that nobody waits for.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{PipeWriter, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{given, nothing};

/// The most that is read of what a process of ours was told, in bytes.
const MAX_TOLD: u64 = 4 << 20;

/// Starts our own executable anew. It shares no descriptor with us but three: the lock that is handed over, as standard
/// input; as standard output a pipe, whose other end knows when its last copy is closed; and as standard error, until it takes
/// that, a file in memory with what it is told.
pub(crate) fn start_detached<'e>(
    args: &[OsString],
    env: impl Iterator<Item = (&'e OsStr, &'e OsStr)>,
    lock: File,
    pipe: PipeWriter,
    told: &[u8],
) -> Result<()> {
    let ourselves = our_executable().context("cannot find our own executable")?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that starts a process"
    )]
    let mut command = Command::new(ourselves);
    command.arg0("deploy-cgi").args(args).env_clear().envs(env);
    command.stdin(lock).stdout(pipe).stderr(given(told)?);
    command.spawn().context("cannot start the worker")?;
    Ok(())
}

/// What we were told by the process of ours that started us, if anything. Standard error is nobody's from now on.
pub(crate) fn take_what_was_told() -> Result<Option<Vec<u8>>> {
    let errors = std::io::stderr().as_fd().try_clone_to_owned();
    let errors = File::from(errors.context("cannot look at standard error")?);
    let Ok(file) = errors.metadata() else {
        return Ok(None);
    };
    if !file.is_file() {
        return Ok(None);
    }
    rustix::stdio::dup2_stderr(nothing()?).context("cannot close standard error")?;
    if file.len() > MAX_TOLD {
        return Ok(None);
    }
    let mut told = vec![0; usize::try_from(file.len()).unwrap_or_default()];
    let read = errors.read_exact_at(&mut told, 0);
    Ok(read.is_ok().then_some(told))
}

/// The executable of this process. Not by its name: the file may just have been replaced by a newer one.
fn our_executable() -> std::io::Result<PathBuf> {
    let known = Path::new("/proc/self/exe");
    if known.exists() {
        return Ok(known.to_owned());
    }
    // A server may have changed its root to where no /proc is. Then by the name that the kernel started, or, where that
    // is a script, by the first argument, which is the program that its `#!` line names (execve(2)).
    let started = OsStr::from_bytes(rustix::param::linux_execfn().to_bytes()).to_owned();
    let is_program = |path: &OsString| {
        let mut start = [0; 4];
        let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
        read.is_ok() && start == *b"\x7fELF"
    };
    std::iter::once(started)
        .chain(std::env::args_os().take(1))
        .find(is_program)
        .ok_or_else(|| std::io::ErrorKind::NotFound.into())
        .and_then(std::path::absolute)
}
