//! The values that a site file may have: what is accepted, and its meaning. `None` for everything else.

use std::ffi::OsString;
use std::time::Duration;

use rustix::fs::Mode;
use toml::de::DeValue;

use super::{StatusPage, Submodules, Update};
use crate::remote_url::RemoteUrl;
use crate::web_address::WebAddress;

/// The longest `wait`: GitHub Enterprise Server hangs up after 30 s.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// The longest `timeout`.
const MAX_TIMEOUT: Duration = Duration::from_hours(24);

/// The largest `max_body`: more than this is never taken from standard input, in bytes.
const MAX_BODY: u64 = 64 << 20;

/// The longest `github_context`, in characters.
const MAX_CONTEXT: usize = 100;

/// The units of time. Months and years are none of them: `1M` would be a month.
const UNITS: &[&str] = &[
    "ms", "s", "sec", "secs", "m", "min", "mins", "h", "hour", "hours",
];

pub(super) fn update(text: &str) -> Option<Update> {
    match text {
        "fast-forward" => Some(Update::FastForward),
        "reset" => Some(Update::Reset),
        _ => None,
    }
}

pub(super) fn submodules(text: &str) -> Option<Submodules> {
    match text {
        "recorded" => Some(Submodules::Recorded),
        "latest" => Some(Submodules::Latest),
        "skip" => Some(Submodules::Skip),
        _ => None,
    }
}

/// A pattern of paths below the checkout; no magic of git's in front of it.
pub(super) fn pattern(text: &str) -> Option<String> {
    let is_pattern = !text.is_empty()
        && !text.starts_with([':', '/'])
        && !text.contains('\0')
        && text.split('/').all(|part| part != "..");
    is_pattern.then(|| text.to_owned())
}

/// The file of a workflow, which GitHub takes from one folder only.
pub(super) fn workflow(text: &str) -> Option<String> {
    const FOLDER: &str = ".github/workflows/";
    let name = text.strip_prefix(FOLDER).unwrap_or(text);
    let stem = name
        .strip_suffix(".yml")
        .or_else(|| name.strip_suffix(".yaml"))?;
    let is_name = !stem.is_empty() && !name.contains(|c: char| c == '/' || c.is_control());
    is_name.then(|| format!("{FOLDER}{name}"))
}

/// A name that git would take for a branch (git-check-ref-format(1)); never an option.
pub(super) fn branch(text: &str) -> Option<String> {
    let name = text.strip_prefix("refs/heads/").unwrap_or(text);
    let is_part = |part: &str| {
        !part.is_empty() && !part.starts_with('.') && !part.as_bytes().ends_with(b".lock")
    };
    let is_name = !matches!(name, "@" | "HEAD")
        && !name.starts_with('-')
        && !name.ends_with('.')
        && !name.contains("..")
        && !name.contains("@{")
        && !name.contains(|c: char| c.is_control() || " ~^:?*[\\".contains(c))
        && name.split('/').all(is_part);
    is_name.then(|| name.to_owned())
}

pub(super) fn url(text: &str) -> Option<RemoteUrl> {
    let is_url = !text.is_empty() && !text.starts_with('-') && !text.contains(char::is_control);
    is_url.then(|| RemoteUrl::parse(text))
}

pub(super) fn command(text: &str) -> Option<String> {
    (!text.trim().is_empty() && !text.contains('\0')).then(|| text.to_owned())
}

/// The name that a commit status has beside others of the same commit.
pub(super) fn context(text: &str) -> Option<String> {
    let is_name = (1..=MAX_CONTEXT).contains(&text.chars().count())
        && text.trim() == text
        && !text.contains(char::is_control);
    is_name.then(|| text.to_owned())
}

/// The address of an API, which others stand below.
pub(super) fn api(text: &str) -> Option<WebAddress> {
    WebAddress::parse(text).filter(|address| !address.has_query())
}

pub(super) fn folders(text: &str) -> Option<OsString> {
    let all_absolute =
        !text.is_empty() && std::env::split_paths(text).all(|folder| folder.is_absolute());
    all_absolute.then(|| text.into())
}

pub(super) fn wait(text: &str) -> Option<Duration> {
    duration(text).filter(|wait| *wait <= MAX_WAIT)
}

pub(super) fn timeout(text: &str) -> Option<Duration> {
    duration(text).filter(|limit| (Duration::from_secs(1)..=MAX_TIMEOUT).contains(limit))
}

/// In bytes: a number with B, KB, KiB, MB or MiB.
pub(super) fn max_body(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let factor = match unit.trim_start() {
        "B" => 1,
        "KB" => 1_000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        _ => return None,
    };
    let size = number.parse::<u64>().ok()?.checked_mul(factor)?;
    (1024..=MAX_BODY).contains(&size).then_some(size)
}

/// Three octal digits, or four; nothing is taken from the owner.
pub(super) fn umask(text: &str) -> Option<Mode> {
    let is_octal = matches!(text.len(), 3 | 4) && text.bytes().all(|digit| digit.is_ascii_digit());
    let umask = u32::from_str_radix(text, 8).ok()?;
    (is_octal && umask & !0o077 == 0).then(|| Mode::from_raw_mode(umask))
}

pub(super) fn status_page(value: &DeValue<'_>) -> Option<StatusPage> {
    match (value.as_bool(), value.as_str()) {
        (Some(false), _) => Some(StatusPage::Off),
        (Some(true), _) => Some(StatusPage::Open),
        (None, Some("secret-link")) => Some(StatusPage::SecretLink),
        (None, _) => None,
    }
}

/// A duration such as `8s`, `500ms`, `10m` or `1h 30m`.
fn duration(text: &str) -> Option<Duration> {
    let mut units = text.split(|c: char| c.is_ascii_digit() || c.is_whitespace());
    let are_known = units.all(|unit| unit.is_empty() || UNITS.contains(&unit));
    are_known.then(|| humantime::parse_duration(text).ok())?
}
