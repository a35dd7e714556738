//! A login in the URL of a remote, given to git apart from the URL: git hands URLs to its helpers as arguments, which every user
//! of the host can read.
//!
//! In place of the login the URL gets a user of our own, whose name nobody can guess. To URLs with that user git sends the login
//! as a header, and to no others: who writes the URL of a submodule does not get what the login opens.

use std::fs::File;
use std::path::PathBuf;

use anyhow::Result;
use percent_encoding::percent_decode_str;

use super::config::{Config, config_section, quoted};
use crate::process;
use crate::random::fill_with_random;
use crate::remote_url::RemoteUrl;

/// How the name of the user begins that stands in place of a login.
const USER: &str = "deploy-cgi-";

/// Configuration for git with the logins of remotes, on no disk.
pub(super) struct Logins {
    _open: File,
    pub(super) path: PathBuf,
}

impl Logins {
    /// The logins of the remotes. Of one whose login `clone` has, only the user of our own is in the configuration.
    pub(super) fn of(config: &Config, clone: Option<&RemoteUrl>) -> Result<Option<Self>> {
        let mut text = String::new();
        for url in config.remote_urls() {
            if let Some(known) = url.login() {
                let instead = format!("{}/", known.of(&new_user()?));
                text.push_str(&rewrite(&format!("{}/", known.whole()), &instead));
                text.push_str(&header(&instead, known.user));
            } else if let Some(ours) = url.with_user()
                && ours.user.starts_with(USER)
                && let Some(known) = clone.and_then(RemoteUrl::login)
                && known.of(ours.user) == ours.whole()
            {
                text.push_str(&header(&format!("{}/", ours.whole()), known.user));
            }
        }
        if text.is_empty() {
            return Ok(None);
        }
        let (open, path) = process::file_in_memory(text.as_bytes())?;
        Ok(Some(Self { _open: open, path }))
    }
}

/// A URL with a user of our own in place of its login; as it is where it has none.
pub(crate) fn without_login(url: &RemoteUrl) -> Result<RemoteUrl> {
    let Some(known) = url.login() else {
        return Ok(url.clone());
    };
    let path = &url.as_str()[known.whole().len()..];
    Ok(RemoteUrl::parse(&(known.of(&new_user()?) + path)))
}

/// Whether a URL has a user of our own in place of a login.
pub(crate) fn has_lost_its_login(url: &RemoteUrl) -> bool {
    url.with_user()
        .is_some_and(|parts| parts.user.starts_with(USER))
}

fn new_user() -> Result<String> {
    let mut random = [0; 8];
    fill_with_random(&mut random)?;
    Ok(format!("{USER}{}", hex::encode(random)))
}

/// git-config(1), `url.<base>.insteadOf`.
fn rewrite(url: &str, instead: &str) -> String {
    let section = config_section("url", instead);
    format!("{section}\tinsteadOf = {}\n", quoted(url))
}

/// git-config(1), `http.<url>.*` and `http.extraHeader`.
fn header(url: &str, login: &str) -> String {
    let login: Vec<u8> = percent_decode_str(login).collect();
    let section = config_section("http", url);
    format!(
        "{section}\textraHeader = Authorization: Basic {}\n",
        base64(&login)
    )
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let value = bits >> (18 - 6 * digit) & 63;
            let is_padding = digit > three.len();
            text.push(if is_padding {
                '='
            } else {
                char::from(DIGITS[value as usize])
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_encoded_as_rfc_4648_has_it() {
        #[track_caller]
        fn check(bytes: &str, expected: &str) {
            assert_eq!(base64(bytes.as_bytes()), expected);
        }
        check("", "");
        check("f", "Zg==");
        check("fo", "Zm8=");
        check("foo", "Zm9v");
        check("foob", "Zm9vYg==");
        check("fooba", "Zm9vYmE=");
        check("foobar", "Zm9vYmFy");
        check("\u{3ff}\u{3ff}", "z7/Pvw==");
    }
}
