//! What holds for anything that comes from outside. Each function takes the bytes of a fuzzer.
//!
//! In this folder, with the nightly toolchain and cargo-fuzz:
//!
//! ```text
//! cargo +nightly fuzz run --fuzz-dir . request -- -max_total_time=600
//! ```
//!
//! The targets: `request`, `form`, `site_file`, `remote_url`, `redaction`.
#![allow(
    dead_code,
    reason = "the rooms of the program are compiled whole, for the few functions that read"
)]

#[path = "../../../src/cgi.rs"]
mod cgi;
#[path = "../../../src/commit_id.rs"]
mod commit_id;
#[path = "../../../src/delivery/mod.rs"]
mod delivery;
#[path = "../../../src/files.rs"]
mod files;
#[path = "../../../src/ignored.rs"]
mod ignored;
#[path = "../../../src/process/mod.rs"]
mod process;
#[path = "../../../src/random.rs"]
mod random;
#[path = "../../../src/redaction.rs"]
mod redaction;
#[path = "../../../src/remote_url.rs"]
mod remote_url;
#[path = "../../../src/repository_name.rs"]
mod repository_name;
#[path = "../../../src/signature.rs"]
mod signature;
#[path = "../../../src/site/mod.rs"]
mod site;
#[path = "../../../src/user.rs"]
mod user;
#[path = "../../../src/web_address.rs"]
mod web_address;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use rustix::fs::MemfdFlags;
use sha1::Sha1;
use sha2::Sha256;

use crate::cgi::{Body, Environment, Request, Variable};
use crate::delivery::{Claims, Delivery, Event, Refusal};
use crate::remote_url::RemoteUrl;
use crate::signature::Secrets;
use crate::site::{Mistake, Site};

const SECRET: &[u8] = b"It's a Secret to Everybody";
const MAX_BODY: u64 = 1 << 20;

fn sha256(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

fn sha1(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(SECRET).unwrap();
    mac.update(body);
    format!("sha1={}", hex::encode(mac.finalize().into_bytes()))
}

/// A file in memory with these bytes, read from the start.
fn file(bytes: &[u8]) -> File {
    let mut file = File::from(rustix::fs::memfd_create("fuzz", MemfdFlags::CLOEXEC).unwrap());
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

/// What the program makes of a request, from its environment to its event.
fn delivery(env: &Environment, input: &[u8]) -> Option<Result<Delivery, Refusal>> {
    let request = Request::read(env, &[]).ok()?;
    let claims = match Claims::read(&request) {
        Ok(claims) => claims,
        Err(refusal) => return Some(Err(refusal)),
    };
    rustix::stdio::dup2_stdin(file(input)).unwrap();
    let secrets = Secrets::parse(SECRET).unwrap();
    let body = Body::of(env, Instant::now());
    Some(Delivery::verify(claims, &secrets, body, MAX_BODY))
}

/// A whole request: entries of the environment, each ended by a NUL, an empty one, the body. Two
/// letters at the start say which good parts are put in front of them.
pub fn request(data: &[u8]) {
    let Some(([good, signed], mut rest)) = data.split_first_chunk::<2>() else {
        return;
    };
    let mut entries: Vec<(OsString, OsString)> = Vec::new();
    while let Some(end) = rest.iter().position(|&byte| byte == 0) {
        let entry = &rest[..end];
        rest = &rest[end + 1..];
        if entry.is_empty() {
            break;
        }
        let equals = entry.iter().position(|&byte| byte == b'=');
        let (name, value) = entry.split_at(equals.unwrap_or(entry.len()));
        let value = value.get(1..).unwrap_or_default();
        entries.push((
            OsStr::from_bytes(name).to_owned(),
            OsStr::from_bytes(value).to_owned(),
        ));
    }
    let body = rest;
    let mut add = |name: &str, value: &str| entries.push((name.into(), value.into()));
    if good & 1 != 0 {
        add("REQUEST_METHOD", "POST");
        add("QUERY_STRING", "");
    }
    if good & 2 != 0 {
        add("CONTENT_LENGTH", &body.len().to_string());
    }
    if good & 4 != 0 {
        add("HTTP_X_GITHUB_EVENT", "push");
        add("HTTP_X_GITHUB_DELIVERY", "72d3162e");
    }
    if good & 8 != 0 {
        add("CONTENT_TYPE", "application/json");
    }
    match signed % 3 {
        0 => {}
        1 => add("HTTP_X_HUB_SIGNATURE_256", &sha256(body)),
        _ => add("HTTP_X_HUB_SIGNATURE", &sha1(body)),
    }
    let length = entries.iter().find(|(name, _)| name == "CONTENT_LENGTH");
    let length = length.map(|(_, value)| value.as_bytes().to_vec());
    let env: Environment = entries.into_iter().collect();
    for (name, _) in env.of_the_host() {
        let name = name.as_bytes();
        assert!(!name.starts_with(b"HTTP_") && name != b"QUERY_STRING");
    }
    if let Some(Ok(delivery)) = delivery(&env, body) {
        // An independent look at what was let in.
        let taken = match length.as_deref() {
            None | Some(b"" | b"-1") => body.len(),
            Some(length) => std::str::from_utf8(length).unwrap().parse().unwrap(),
        };
        let taken = &body[..taken];
        let by_256 = env.variable("HTTP_X_HUB_SIGNATURE_256");
        let proved = match by_256 {
            Variable::Once(value) => value == sha256(taken).as_bytes(),
            Variable::Several => false,
            Variable::Absent => {
                env.variable("HTTP_X_HUB_SIGNATURE") == Variable::Once(sha1(taken).as_bytes())
            }
        };
        assert!(proved);
        assert!((1..=64).contains(&delivery.id.len()));
        if let Event::Push(push) = delivery.event {
            if let Some(after) = push.after {
                let after = after.as_str();
                assert!(matches!(after.len(), 40 | 64));
                assert!(after.bytes().all(|byte| byte.is_ascii_hexdigit()));
                assert!(!push.deletion && after.bytes().any(|byte| byte != b'0'));
            }
        }
    }
}

/// Decodes a form in the simplest way.
fn simple_form(body: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let decode = |text: &[u8]| {
        let mut decoded = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let hex = |at: usize| char::from(*text.get(at)?).to_digit(16);
            match (text[at], hex(at + 1), hex(at + 2)) {
                (b'%', Some(high), Some(low)) => {
                    decoded.push(u8::try_from(high * 16 + low).unwrap());
                    at += 2;
                }
                (b'+', ..) => decoded.push(b' '),
                (byte, ..) => decoded.push(byte),
            }
            at += 1;
        }
        decoded
    };
    body.split(|&byte| byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let equals = pair.iter().position(|&byte| byte == b'=');
            let (name, value) = pair.split_at(equals.unwrap_or(pair.len()));
            (decode(name), decode(value.get(1..).unwrap_or_default()))
        })
        .collect()
}

/// A signed form: taken exactly when it has one `payload`, and that is a JSON object.
pub fn form(data: &[u8]) {
    let env: Environment = [
        ("REQUEST_METHOD", "POST"),
        ("QUERY_STRING", ""),
        ("CONTENT_TYPE", "application/x-www-form-urlencoded"),
        ("CONTENT_LENGTH", &data.len().to_string()),
        ("HTTP_X_GITHUB_EVENT", "star"),
        ("HTTP_X_GITHUB_DELIVERY", "1"),
        ("HTTP_X_HUB_SIGNATURE_256", &sha256(data)),
    ]
    .into_iter()
    .map(|(name, value)| (name.into(), value.into()))
    .collect();
    let taken = delivery(&env, data).unwrap();
    let payloads: Vec<_> = simple_form(data)
        .into_iter()
        .filter(|(name, _)| name == b"payload")
        .collect();
    match payloads.as_slice() {
        [(_, payload)] => {
            let text = std::str::from_utf8(payload);
            match taken {
                Ok(_) => assert!(text.unwrap().trim_start().starts_with('{')),
                // Deep nesting is only passed over by the program.
                Err(Refusal::Payload(..)) => {
                    type Object = serde_json::Map<String, serde_json::Value>;
                    assert!(text.is_err() || serde_json::from_str::<Object>(text.unwrap()).is_err());
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        _ => assert_eq!(taken.unwrap_err(), Refusal::ContentType),
    }
}

/// A site file: whatever it says, it is either a site within all limits, or one line of complaint,
/// of which a stranger learns nothing that stands in the file.
pub fn site_file(data: &[u8]) {
    let site = file(data);
    let path = PathBuf::from(format!("/proc/self/fd/{}", site.as_raw_fd()));
    let env = Environment::default();
    match Site::read(&path, &env) {
        Ok(site) => {
            assert!(site.repo.is_absolute() && site.secret_file.is_absolute());
            assert!(site.wait <= Duration::from_secs(30));
            let limits = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);
            assert!(limits.contains(&site.timeout));
            assert!((1024..=64 << 20).contains(&site.max_body));
            assert_eq!(site.umask.as_raw_mode() & !0o077, 0);
            let clone = site.clone.as_ref().map(RemoteUrl::as_str);
            for name in site.branch.as_deref().into_iter().chain(clone) {
                assert!(!name.starts_with('-') && !name.contains(char::is_control));
            }
            for (name, value) in &site.env {
                assert!(!name.contains(['=', '\0']) && !value.contains('\0'));
                assert_ne!(name, "GIT_DIR");
            }
        }
        Err(error) => {
            let complaint = format!("{error:#}");
            assert!(!complaint.contains(char::is_control), "{complaint:?}");
            if let Some(mistake) = error.downcast_ref::<Mistake>() {
                assert!(!mistake.for_a_stranger().contains("hunter2"), "{mistake}");
            }
        }
    }
}

/// A remote's URL: `owner/name` or nothing, and never a part of a login.
pub fn remote_url(data: &[u8]) {
    let Ok(url) = std::str::from_utf8(data) else {
        return;
    };
    if url.contains("er2") {
        return;
    }
    check_owner_and_name(url);
    for scheme in ["https", "http", "ssh", "git+ssh"] {
        check_owner_and_name(&format!(
            "{scheme}://me:h/unt/er2{}@host/o/n.git",
            part(url)
        ));
        check_owner_and_name(&format!("{scheme}://me:h/unt/er2@host/{url}"));
    }
    check_owner_and_name(&format!("me:h/unt/er2{}@host:o/n", part(url)));
}

fn part(url: &str) -> String {
    url.chars().filter(|c| !c.is_whitespace()).collect()
}

fn check_owner_and_name(url: &str) {
    if let Some(found) = RemoteUrl::parse(url).repository() {
        let found = found.to_string();
        let (owner, name) = found.split_once('/').unwrap();
        assert!(!owner.is_empty() && !name.is_empty() && !name.contains('/'));
        if url.contains("er2@host") || url.contains("h/unt/er2") {
            assert!(!found.contains("er2"), "{url}: {found}");
        }
    }
}

/// A text with a login in it: what is shown has none, and nothing that plays with a screen.
pub fn redaction(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let masked = redaction::redact(text, []);
    let shown = redaction::escape(&masked);
    assert!(!shown.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
    assert!(!redaction::escape_line(&masked).contains(char::is_control));
    assert!(redaction::excerpt(text).chars().count() <= 200 * "\\u{10ffff}".len() + 1);
    let parts: Vec<&str> = text.splitn(3, '\0').collect();
    if text.contains("5ecre7") {
        return;
    }
    if let [before, password, after] = parts[..] {
        // As git prints it: no blank in it, which it escapes.
        let odd = |c: char| c.is_whitespace() || c.is_control();
        if password.contains(odd) {
            return;
        }
        let marked = format!("5ecre7{password}5ecre7");
        for scheme in ["https", "ssh", "HTTP", "x"] {
            let url = format!("{scheme}://me:{marked}@host/o/n.git");
            let said = format!("{before}{url} {after}");
            let masked = redaction::redact(&said, []);
            assert!(!masked.contains("5ecre7"), "{said:?}: {masked:?}");
            if let Some(credential) = redaction::credential_in(&url) {
                let said = format!("{before}{credential}{after}");
                let masked = redaction::redact(&said, [credential.as_str()]);
                assert!(!masked.contains("5ecre7"), "{said:?}: {masked:?}");
            }
        }
        for token in ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"] {
            let said = format!("{before}{token}5ecre75ecre75ecre75ecre75ecre75ecre7 {after}");
            assert!(
                !redaction::redact(&said, []).contains("5ecre75ecre7"),
                "{said:?}"
            );
        }
    }
}
