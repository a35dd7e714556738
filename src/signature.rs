//! The webhook's secrets, and the signatures GitHub makes with them: `X-Hub-Signature-256` and `X-Hub-Signature`
//! (GitHub's documentation, "Validating webhook deliveries"). And the key of the status page, which is one of ours.
//!
//! Must not know where a secret is kept, nor what GitHub signed.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

/// The most secrets that are accepted at a time. Rotation needs two; each one costs a digest of every body.
const MAX_SECRETS: usize = 8;

/// A shorter secret may be guessed by whoever has one delivery, in bytes.
const MIN_LENGTH: usize = 16;

/// What stands in manuals in the secret's place, without all that is no letter and no digit.
const PLACEHOLDERS: &[&str] = &[
    "changeme",
    "mysecret",
    "mywebhooksecret",
    "password",
    "placeholder",
    "replaceme",
    "secrethere",
    "yoursecret",
    "yourwebhooksecret",
];

/// What the key of the status page is the signature of. No delivery: it is neither JSON nor a form with a payload, so that
/// who has the key cannot deploy with it.
const PAGE_LABEL: &[u8] = b"deploy-cgi status page";

/// A shared secret. Never empty, never shown, compared in constant time only.
pub(crate) struct Secret(Box<[u8]>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// The bytes, for hiding them in what is shown.
    pub(crate) fn reveal(&self) -> &[u8] {
        &self.0
    }

    /// Whether it begins or ends with a blank, which is part of it: most often it was pasted along.
    pub(crate) fn has_blanks_around(&self) -> bool {
        self.0.trim_ascii().len() != self.0.len()
    }

    /// Why it could be guessed, as far as a look at it tells: it …
    pub(crate) fn weakness(&self) -> Option<&'static str> {
        let letters = self.0.iter().filter(|byte| byte.is_ascii_alphanumeric());
        let letters: Vec<u8> = letters.map(u8::to_ascii_lowercase).collect();
        let letters = String::from_utf8_lossy(&letters);
        if PLACEHOLDERS.iter().any(|words| letters.contains(words)) {
            Some("looks like the placeholder of an example")
        } else if self.0.iter().all(|byte| byte == &self.0[0]) {
            Some("is one character again and again")
        } else if self.0.len() < MIN_LENGTH {
            Some("is shorter than 16 characters")
        } else {
            None
        }
    }

    /// The values of the two headers for `body`.
    pub(crate) fn sign(&self, body: &[u8]) -> SignedHeaders {
        let mut sha256 = keyed::<Hmac<Sha256>>(self);
        let mut sha1 = keyed::<Hmac<Sha1>>(self);
        sha256.update(body);
        sha1.update(body);
        SignedHeaders {
            sha256: format!("sha256={}", hex::encode(sha256.finalize().into_bytes())),
            sha1: format!("sha1={}", hex::encode(sha1.finalize().into_bytes())),
        }
    }

    /// The key that opens the status page, in hex.
    pub(crate) fn page_key(&self) -> String {
        hex::encode(page_mac(self).finalize().into_bytes())
    }
}

fn page_mac(secret: &Secret) -> Hmac<Sha256> {
    keyed::<Hmac<Sha256>>(secret).chain_update(PAGE_LABEL)
}

/// The values of `X-Hub-Signature-256` and `X-Hub-Signature` for one body.
#[derive(Debug)]
pub(crate) struct SignedHeaders {
    pub(crate) sha256: String,
    pub(crate) sha1: String,
}

/// The secrets of a site, at least one: while a secret is being changed, the old and the new one both hold.
#[derive(Debug)]
pub(crate) struct Secrets(Vec<Secret>);

/// Why a file holds no usable secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSecrets {
    Empty,
    TooMany,
    /// The bytes are no text: an editor saved it as UTF-16.
    NulBytes,
}

impl Secrets {
    /// Reads a secret file: each line that is not empty is a secret. Its end (LF or CRLF) and a byte order mark before
    /// the first are no part of it; blanks are.
    pub(crate) fn parse(file: &[u8]) -> Result<Self, NoSecrets> {
        if file.contains(&0) {
            return Err(NoSecrets::NulBytes);
        }
        let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
        let secrets: Vec<_> = file
            .split(|&byte| byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .filter(|line| !line.is_empty())
            .map(|line| Secret(line.into()))
            .collect();
        match secrets.len() {
            0 => Err(NoSecrets::Empty),
            n if n > MAX_SECRETS => Err(NoSecrets::TooMany),
            _ => Ok(Self(secrets)),
        }
    }

    /// The one to sign with.
    pub(crate) fn first(&self) -> &Secret {
        &self.0[0]
    }

    /// Whether one of them made this key of the status page.
    pub(crate) fn made_page_key(&self, key: &str) -> bool {
        let Some(claimed) = digest::<32>(key.as_bytes()) else {
            return false;
        };
        any_equal(&claimed, self.iter().map(page_mac).collect())
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Secret> {
        self.0.iter()
    }
}

/// A signature as a header carries it: well-formed, not yet known to be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signature {
    Sha256([u8; 32]),
    Sha1([u8; 20]),
}

impl Signature {
    /// Reads the value of `X-Hub-Signature-256`: `sha256=` and 64 lower-case hex digits, nothing else.
    pub(crate) fn parse_sha256(header: &[u8]) -> Option<Self> {
        digest(header.strip_prefix(b"sha256=")?).map(Self::Sha256)
    }

    /// Reads the value of `X-Hub-Signature`: `sha1=` and 40 lower-case hex digits, nothing else.
    pub(crate) fn parse_sha1(header: &[u8]) -> Option<Self> {
        digest(header.strip_prefix(b"sha1=")?).map(Self::Sha1)
    }
}

fn digest<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut digest = [0; N];
    if text.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    hex::decode_to_slice(text, &mut digest).ok()?;
    Some(digest)
}

/// Proves a claimed signature over a body that comes in pieces.
pub(crate) enum Verifier {
    Sha256([u8; 32], Vec<Hmac<Sha256>>),
    Sha1([u8; 20], Vec<Hmac<Sha1>>),
}

impl Verifier {
    /// A verifier of `signature` by any of `secrets`.
    pub(crate) fn new(secrets: &Secrets, signature: Signature) -> Self {
        match signature {
            Signature::Sha256(claimed) => {
                Self::Sha256(claimed, secrets.iter().map(keyed).collect())
            }
            Signature::Sha1(claimed) => Self::Sha1(claimed, secrets.iter().map(keyed).collect()),
        }
    }

    /// Takes the next piece of the raw body.
    pub(crate) fn update(&mut self, piece: &[u8]) {
        match self {
            Self::Sha256(_, macs) => macs.iter_mut().for_each(|mac| mac.update(piece)),
            Self::Sha1(_, macs) => macs.iter_mut().for_each(|mac| mac.update(piece)),
        }
    }

    /// Whether one of the secrets made the signature. The same work is done whichever byte differs and whichever
    /// secret is right.
    pub(crate) fn holds(self) -> bool {
        match self {
            Self::Sha256(claimed, macs) => any_equal(&claimed, macs),
            Self::Sha1(claimed, macs) => any_equal(&claimed, macs),
        }
    }
}

fn any_equal<M: Mac>(claimed: &[u8], macs: Vec<M>) -> bool {
    let mut equal = Choice::from(0);
    for mac in macs {
        equal |= mac.finalize().into_bytes().ct_eq(claimed);
    }
    equal.into()
}

fn keyed<M: Mac + KeyInit>(secret: &Secret) -> M {
    match M::new_from_slice(&secret.0) {
        Ok(mac) => mac,
        // HMAC hashes a key that is longer than a block and pads a shorter one (RFC 2104 section 2).
        Err(_) => unreachable!("HMAC takes a key of any length"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2202 section 3, test case 2, and RFC 4231 section 4.3.
    #[test]
    fn the_rfcs_examples_are_signed_as_they_say() {
        let secrets = Secrets::parse(b"Jefe").unwrap();
        let signed = secrets
            .iter()
            .next()
            .unwrap()
            .sign(b"what do ya want for nothing?");
        assert_eq!(signed.sha1, "sha1=effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert_eq!(
            signed.sha256,
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn each_line_of_a_secret_file_is_a_secret() {
        #[track_caller]
        fn check(file: &[u8], expected: Result<&[&[u8]], NoSecrets>) {
            let secrets = Secrets::parse(file);
            let secrets = secrets.as_ref().map(|s| s.iter().map(Secret::reveal));
            let secrets = secrets.map(Iterator::collect::<Vec<_>>);
            assert_eq!(secrets.as_deref().map_err(|why| **why), expected);
        }
        check(b"one", Ok(&[b"one"]));
        check(b"\xef\xbb\xbfone\r\n\r\n two \r\n", Ok(&[b"one", b" two "]));
        check(b"p\xe4ss\n", Ok(&[b"p\xe4ss"]));
        check(b"\xef\xbb\xbf\r\n\n", Err(NoSecrets::Empty));
        check(b"1\n2\n3\n4\n5\n6\n7\n8\n9\n", Err(NoSecrets::TooMany));
        check(b"\xff\xfeo\0n\0e\0\n\0", Err(NoSecrets::NulBytes));
    }

    #[test]
    fn what_could_be_guessed_is_weak() {
        #[track_caller]
        fn check(secret: &str, is_weak: bool) {
            let secret = Secret(secret.as_bytes().into());
            assert_eq!(secret.weakness().is_some(), is_weak);
        }
        check("fifteen letters", true);
        check("sixteen letters!", false);
        check(&"x".repeat(64), true);
        check("<your webhook secret>", true);
        check("change_me_change_me", true);
    }

    /// Made with `openssl dgst -sha256 -hmac Jefe`.
    #[test]
    fn the_key_of_the_page_is_a_signature_of_its_label() {
        let secrets = Secrets::parse(b"Jefe").unwrap();
        let key = "1f868f659a939db7e103d3b8d84807bfdbe8dcdb3fd4e455069a7cfb2ebaf6c9";
        assert_eq!(secrets.first().page_key(), key);
        assert!(secrets.made_page_key(key));
        let older = Secrets::parse(b"new\nJefe").unwrap();
        assert!(older.made_page_key(key));
        assert!(!Secrets::parse(b"new").unwrap().made_page_key(key));
        for wrong in ["", &key[1..], &key.to_uppercase(), &key.replace('a', "b")] {
            assert!(!secrets.made_page_key(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        assert_eq!(
            format!("{:?}", Secrets::parse(b"hunter2").unwrap()),
            "Secrets([Secret(…)])"
        );
    }
}
