//! `sign`: the signature headers of a body, to try the hook with curl.

use std::io::Read;

use anyhow::{Context, Result};

use super::{Done, print};
use crate::site::Site;

/// Which headers are printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Headers {
    Both,
    /// The older one alone.
    Sha1,
}

/// Signs the body on standard input with the site's first secret.
pub(crate) fn sign(site: &Site, headers: Headers) -> Result<Done> {
    let mut body = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut body)
        .context("cannot read the body from standard input")?;
    let signed = site.secrets()?.first().sign(&body);
    if headers == Headers::Both {
        print(&format!("X-Hub-Signature-256: {}\n", signed.sha256))?;
    }
    print(&format!("X-Hub-Signature: {}\n", signed.sha1))?;
    Ok(Done::Yes)
}
