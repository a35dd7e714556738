//! Random bytes from the kernel.

use std::fs::File;
use std::io::Read;

use anyhow::{Context, Result};

/// Fills them with what nobody can guess.
pub(crate) fn fill_with_random(bytes: &mut [u8]) -> Result<()> {
    let flags = rustix::rand::GetRandomFlags::empty();
    if rustix::rand::getrandom(&mut *bytes, flags) == Ok(bytes.len()) {
        return Ok(());
    }
    // Linux before 3.17 has no such call.
    let mut device = File::open("/dev/urandom").context("cannot get random bytes")?;
    device.read_exact(bytes).context("cannot get random bytes")
}
