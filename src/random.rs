//! Random bytes from the kernel.

use anyhow::{Context, Result, ensure};
use rustix::rand::{GetRandomFlags, getrandom};

/// Fills them with what nobody can guess: at most 256, which the kernel gives at once (getrandom(2), Linux 3.17).
pub(crate) fn fill_with_random(bytes: &mut [u8]) -> Result<()> {
    let filled = getrandom(&mut *bytes, GetRandomFlags::empty());
    let filled = filled.context("cannot get random bytes")?;
    ensure!(filled == bytes.len(), "cannot get enough random bytes");
    Ok(())
}
