//! The status page: what is live, what runs, waits or is held, and the last deploys; as a page for a browser, as text, as
//! JSON and as a badge.
//!
//! Strangers see it where the site says so. So nothing is shown but ids, subjects and branches of commits, the repository's
//! name at GitHub, times, verdicts, the names of steps, how many deliveries wait, and why deploys are held: no path, no id
//! of a delivery, no output of git, nor who pushed or committed. No process is started, and nothing is written.

/// Nothing is loaded, run or sent, but for a style where there is one.
macro_rules! content_security_policy {
    ($($style:literal)?) => {
        (
            "Content-Security-Policy",
            concat!(
                "default-src 'none'; ",
                $("style-src '", $style, "'; ",)?
                "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            ),
        )
    };
}

mod badge;
mod html;
mod link;
mod overview;
mod text;

use anyhow::Result;

use crate::cgi::{Fields, NO_SNIFF, NO_STORE, PLAIN_TEXT, Request, Variable};
use crate::signature::Secrets;
use crate::site::{Site, StatusPage};
use link::Links;
use overview::Overview;

/// The parameter with the key of a secret link.
pub(crate) const KEY: &str = "key";

/// What follows the script's name in the addresses of the other forms.
const JSON: &str = "/status.json";
pub(crate) const BADGE: &str = "/badge.svg";

/// Search engines leave it out.
const NO_INDEX: (&str, &str) = ("X-Robots-Tag", "noindex");

/// An address with a key in it is told to nobody.
const NO_REFERRER: (&str, &str) = ("Referrer-Policy", "no-referrer");

/// Where there is no style.
const NOTHING_LOADED: (&str, &str) = content_security_policy!();

/// The same address shows a page or text.
const VARY: (&str, &str) = ("Vary", "Accept");

/// What a GET is shown.
pub(crate) enum Shown {
    /// That there is a site, and no more.
    Nothing,
    NoSuchPage,
    Page(Page),
}

/// What is shown, and how it is to be treated.
pub(crate) struct Page {
    pub(crate) content_type: &'static str,
    pub(crate) fields: Fields,
    pub(crate) body: String,
}

/// What a request is shown of a site.
pub(crate) fn shown(site: &Site, secrets: &Secrets, request: &Request<'_>) -> Result<Shown> {
    let key = match site.status_page {
        StatusPage::Off => return Ok(Shown::Nothing),
        StatusPage::Open => None,
        StatusPage::SecretLink => match key_of(request.query) {
            Some(key) if secrets.made_page_key(&key) => Some(key),
            Some(_) | None => return Ok(Shown::Nothing),
        },
    };
    let page = match request.path_info() {
        Variable::Absent if wants_html(request) => Page {
            content_type: "text/html; charset=utf-8",
            fields: &[
                NO_STORE,
                NO_SNIFF,
                NO_INDEX,
                NO_REFERRER,
                html::POLICY,
                VARY,
            ],
            body: html::page(&Overview::of(site)?, &Links::of(request, key.as_deref()))?,
        },
        Variable::Absent => Page {
            content_type: PLAIN_TEXT,
            fields: &[
                NO_STORE,
                NO_SNIFF,
                NO_INDEX,
                NO_REFERRER,
                NOTHING_LOADED,
                VARY,
            ],
            body: text::page(&Overview::of(site)?),
        },
        Variable::Once(path) if path == JSON.as_bytes() => Page {
            content_type: "application/json",
            fields: &[NO_STORE, NO_SNIFF, NO_INDEX, NO_REFERRER, NOTHING_LOADED],
            body: serde_json::to_string(&Overview::of(site)?)?,
        },
        Variable::Once(path) if path == BADGE.as_bytes() => Page {
            content_type: "image/svg+xml",
            // GitHub keeps images that do not say this.
            fields: &[
                ("Cache-Control", "no-cache"),
                NO_SNIFF,
                NO_INDEX,
                NO_REFERRER,
                NOTHING_LOADED,
            ],
            body: badge::image(&Overview::of(site)?)?,
        },
        Variable::Once(_) | Variable::Several => return Ok(Shown::NoSuchPage),
    };
    Ok(Shown::Page(page))
}

/// The key in a query, where there is exactly one.
fn key_of(query: &[u8]) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query).filter(|(name, _)| name == KEY);
    match (pairs.next(), pairs.next()) {
        (Some((_, key)), None) => Some(key.into_owned()),
        _ => None,
    }
}

/// Whether a client asks for HTML by its name, and not rather for text (RFC 9110 section 12.5.1): a browser does.
fn wants_html(request: &Request<'_>) -> bool {
    let Some(accept) = request.header("HTTP_ACCEPT").once() else {
        return false;
    };
    let accept = String::from_utf8_lossy(accept);
    let weight_of = |wanted: &str| {
        let ranges = accept.split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let is_it = parts.next()?.eq_ignore_ascii_case(wanted);
            let weight = parts.find_map(|part| {
                let (name, value) = part.split_once('=')?;
                let is_weight = name.trim().eq_ignore_ascii_case("q");
                is_weight.then(|| thousandths(value.trim()))
            });
            is_it.then(|| weight.unwrap_or(1000))
        });
        ranges.max().unwrap_or(0)
    };
    let html = weight_of("text/html");
    html > 0 && html >= weight_of("text/plain")
}

/// A weight (RFC 9110 section 12.4.2): 0 to 1, with at most three decimals. What is none counts as 0.
fn thousandths(weight: &str) -> u32 {
    let (whole, decimals) = weight.split_once('.').unwrap_or((weight, ""));
    let is_number = decimals.len() <= 3 && decimals.bytes().all(|byte| byte.is_ascii_digit());
    match whole {
        "1" => 1000,
        "0" if is_number => format!("{decimals:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgi::Environment;

    #[test]
    fn who_asks_for_html_by_name_gets_it() {
        #[track_caller]
        fn check(accept: &str, expected: bool) {
            let entries = [
                ("REQUEST_METHOD", "GET"),
                ("QUERY_STRING", ""),
                ("HTTP_ACCEPT", accept),
            ];
            let env: Environment = entries
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect();
            let request = Request::read(&env, &[]).unwrap();
            assert_eq!(wants_html(&request), expected, "{accept}");
        }
        check(
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            true,
        );
        check("TEXT/HTML; charset=utf-8 ; Q=0.5", true);
        check("text/plain;q=0.5, text/html;q=0.5", true);
        check("text/plain, text/html;q=0.9", false);
        check("text/html;q=0", false);
        check("text/html;q=0.001", true);
        check("text/html;q=0.0001", false);
        check("text/html;q=0.", false);
        check("text/html;q=x", false);
        check("text/html;q=-1", false);
        check("text/html;q=0.5, text/plain;q=0.45", true);
        check("*/*", false);
        check("text/*", false);
        check("", false);
        check("text/htmlx, x/text/html", false);
    }

    #[test]
    fn a_key_stands_once_in_a_query() {
        #[track_caller]
        fn check(query: &str, expected: Option<&str>) {
            assert_eq!(key_of(query.as_bytes()).as_deref(), expected, "{query}");
        }
        check("key=abc", Some("abc"));
        check("a=b&key=%61bc&c", Some("abc"));
        check("key=abc&key=abc", None);
        check("Key=abc", None);
        check("", None);
        check("key=", Some(""));
        check("=key", None);
    }
}
