//! A login in the URL of a remote, given to git apart from the URL: git hands URLs to its helpers as arguments, which every user
//! of the host can read.
//!
//! In place of the login the URL gets a user of our own, whose name nobody can guess. To URLs with that user git sends the login
//! as a header, and to no others: who writes the URL of a submodule does not get what the login opens.

use anyhow::Result;
use percent_encoding::percent_decode_str;

use super::config::{Config, setting};
use crate::process::FileInMemory;
use crate::random::fill_with_random;
use crate::remote_url::RemoteUrl;

/// How the name of the user begins that stands in place of a login.
const USER: &str = "deploy-cgi-";

/// Configuration for git with the logins of the remotes, where there are any. Of one whose login `clone` has, only the user
/// of our own is in the configuration that is known.
pub(super) fn logins_of(
    config: &Config,
    clone: Option<&RemoteUrl>,
) -> Result<Option<FileInMemory>> {
    let mut text = String::new();
    for url in config.remote_urls() {
        if let Some(known) = url.login() {
            let instead = format!("{}/", known.of(&new_user()?));
            let url = format!("{}/", known.whole());
            text.push_str(&setting("url", &instead, "insteadOf", &url));
            text.push_str(&header(&instead, known.user));
        } else if let Some(ours) = url.with_user()
            && ours.user.starts_with(USER)
            && let Some(known) = clone.and_then(RemoteUrl::login)
            && known.of(ours.user) == ours.whole()
        {
            text.push_str(&header(&format!("{}/", ours.whole()), known.user));
        }
    }
    let is_any = !text.is_empty();
    is_any.then(|| FileInMemory::with(&text)).transpose()
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

/// git-config(1), `http.<url>.*` and `http.extraHeader`.
fn header(url: &str, login: &str) -> String {
    let login: Vec<u8> = percent_decode_str(login).collect();
    let header = format!("Authorization: Basic {}", base64(&login));
    setting("http", url, "extraHeader", &header)
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
