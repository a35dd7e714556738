//! The address of a page: https, or http on this machine itself. Built of parts, so that nothing in it can be taken for
//! anything else.

use std::fmt::{Display, Formatter};
use std::net::IpAddr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode_byte, utf8_percent_encode};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What stays as it is in a path and a query (RFC 3986, appendix A: `pchar`, `/`, `?`), besides letters and digits.
const PLAIN: &[u8] = b"-._~%!$&'()*+,;=:@/?";

/// What is encoded in one part of a path, whose meaning nobody else may change (RFC 3986, section 2.3 names the rest).
pub(crate) const NOT_IN_A_PART: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// An address that is right once it exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebAddress {
    scheme: &'static str,
    host: String,
    /// With the colon, where one is named.
    port: String,
    /// With the query, in a form without blanks, quotes or line ends.
    path: String,
}

impl WebAddress {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let scheme = ["https", "http"]
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(scheme))?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, port) = match authority.rfind(':') {
            Some(at) if !authority[at..].contains(']') => authority.split_at(at),
            _ => (authority, ""),
        };
        let is_port = port.is_empty() || port[1..].parse::<u16>().is_ok_and(|port| port > 0);
        let address = Self {
            scheme,
            host: host.to_ascii_lowercase(),
            port: port.to_owned(),
            path: encoded(path),
        };
        let is_safe = scheme == "https" || address.is_loopback();
        (is_host(host) && is_port && is_safe).then_some(address)
    }

    /// Where a redirect leads (RFC 9110, section 10.2.2).
    pub(crate) fn join(&self, location: &str) -> Option<Self> {
        let before = format!("{}://{}{}", self.scheme, self.host, self.port);
        let page = self.page();
        let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
        Self::parse(&if has_scheme(location) {
            location.to_owned()
        } else if location.starts_with("//") {
            format!("{}:{location}", self.scheme)
        } else if location.starts_with('/') {
            before + location
        } else if location.starts_with('?') {
            before + page + location
        } else {
            format!("{before}{folder}/{location}")
        })
    }

    /// An address below this one. Each part becomes one segment of the path, whatever is in it (RFC 3986, section 3.3).
    /// None where a part would lead elsewhere, or where this address has a query.
    pub(crate) fn below<'p>(&self, parts: impl IntoIterator<Item = &'p str>) -> Option<Self> {
        let mut path = self.path.trim_end_matches('/').to_owned();
        for part in parts {
            if matches!(part, "" | "." | "..") {
                return None;
            }
            path.push('/');
            path.extend(utf8_percent_encode(part, NOT_IN_A_PART));
        }
        (!self.has_query()).then(|| Self {
            path,
            ..self.clone()
        })
    }

    pub(crate) fn has_query(&self) -> bool {
        self.path.contains('?')
    }

    /// The same page whatever is asked of it.
    pub(crate) fn without_query(&self) -> Self {
        Self {
            path: self.page().to_owned(),
            ..self.clone()
        }
    }

    /// The path alone.
    fn page(&self) -> &str {
        self.path.split('?').next().unwrap_or("/")
    }

    pub(crate) fn has_host_of(&self, other: &Self) -> bool {
        self.host == other.host
    }

    /// Whether the same server answers, and nobody in between sees more (RFC 6454, section 4: the origin).
    pub(crate) fn has_origin_of(&self, other: &Self) -> bool {
        let port = |address: &Self| match (address.port.as_str(), address.scheme) {
            ("", "https") => ":443".to_owned(),
            ("", _) => ":80".to_owned(),
            (named, _) => named.to_owned(),
        };
        self.scheme == other.scheme && self.has_host_of(other) && port(self) == port(other)
    }

    /// Whether its host has this name or number.
    pub(crate) fn is_at(&self, host: &str) -> bool {
        self.host
            .trim_matches(['[', ']'])
            .eq_ignore_ascii_case(host)
    }

    pub(crate) fn scheme(&self) -> &'static str {
        self.scheme
    }

    fn is_loopback(&self) -> bool {
        let number = self.host.trim_matches(['[', ']']).parse::<IpAddr>();
        self.host == "localhost" || number.is_ok_and(|number| number.is_loopback())
    }
}

impl Display for WebAddress {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}://{}{}{}",
            self.scheme, self.host, self.port, self.path
        )
    }
}

impl<'de> Deserialize<'de> for WebAddress {
    fn deserialize<D: Deserializer<'de>>(text: D) -> Result<Self, D::Error> {
        let text = String::deserialize(text)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not the address of a page"))
    }
}

impl Serialize for WebAddress {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// Whether it is a whole address, and none from here (RFC 3986, section 3.1).
fn has_scheme(location: &str) -> bool {
    let is_of_scheme = |c: u8| c.is_ascii_alphanumeric() || b"+-.".contains(&c);
    let scheme = location.split_once(':').map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(is_of_scheme)
    })
}

fn is_host(host: &str) -> bool {
    let is_name = |c: u8| c.is_ascii_alphanumeric() || b"-.".contains(&c);
    match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(number) => number.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && !host.starts_with('-') && host.bytes().all(is_name),
    }
}

/// A path with its query, whose fragment is the browser's own.
fn encoded(path: &str) -> String {
    let path = path.split('#').next().unwrap_or_default();
    let mut encoded = String::from(if path.starts_with('/') { "" } else { "/" });
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || PLAIN.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(percent_encode_byte(byte));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_or_on_this_machine() {
        for (text, expected) in [
            ("https://example.org", Some("https://example.org/")),
            (
                "HTTPS://Example.ORG/A b\"c",
                Some("https://example.org/A%20b%22c"),
            ),
            (
                "https://example.org?a=b#c",
                Some("https://example.org/?a=b"),
            ),
            (
                "https://example.org:8443/x\n",
                Some("https://example.org:8443/x%0A"),
            ),
            ("http://127.0.0.1:80/", Some("http://127.0.0.1:80/")),
            ("http://[::1]/", Some("http://[::1]/")),
            ("http://localhost/", Some("http://localhost/")),
            ("http://example.org/", None),
            ("http://127.0.0.1.example.org/", None),
            ("https://me@example.org/", None),
            ("https://example.org:0/", None),
            ("https://example.org:x/", None),
            ("https:///x", None),
            ("https://-x/", None),
            ("https://a b/", None),
            ("file:///etc/passwd", None),
            ("example.org", None),
        ] {
            let shown = WebAddress::parse(text).map(|address| address.to_string());
            assert_eq!(shown.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_below_an_address_stays_below_it() {
        for (base, parts, expected) in [
            ("https://h", ["me", "site"], Some("https://h/me/site")),
            (
                "https://h/api/v3/",
                ["me", "site"],
                Some("https://h/api/v3/me/site"),
            ),
            (
                "https://h",
                ["a/b", "c?d#e"],
                Some("https://h/a%2Fb/c%3Fd%23e"),
            ),
            (
                "https://h",
                ["%2e%2e", "x\"\n"],
                Some("https://h/%252e%252e/x%22%0A"),
            ),
            ("https://h", ["..", "site"], None),
            ("https://h", ["me", "."], None),
            ("https://h", ["", "site"], None),
            ("https://h/?a=b", ["me", "site"], None),
        ] {
            let below = WebAddress::parse(base).unwrap().below(parts);
            let below = below.map(|address| address.to_string());
            assert_eq!(below.as_deref(), expected, "{parts:?}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let parsed = |text| WebAddress::parse(text).unwrap();
        let from = parsed("https://example.org/a");
        for (text, expected) in [
            ("https://Example.org:443/b", true),
            ("https://example.org:8443/", false),
            ("https://www.example.org/", false),
        ] {
            assert_eq!(parsed(text).has_origin_of(&from), expected, "{text}");
        }
        let here = parsed("http://127.0.0.1:80/");
        assert!(here.has_origin_of(&parsed("http://127.0.0.1/")));
        assert!(!here.has_origin_of(&parsed("https://127.0.0.1:80/")));
    }

    #[test]
    fn a_query_is_left_out() {
        let page = WebAddress::parse("https://example.org/a?b=c?d").unwrap();
        assert_eq!(page.without_query().to_string(), "https://example.org/a");
    }

    #[test]
    fn a_redirect_leads_from_where_it_was_said() {
        let from = WebAddress::parse("https://example.org/a/b?c=d").unwrap();
        for (location, expected) in [
            ("/x", Some("https://example.org/x")),
            ("x", Some("https://example.org/a/x")),
            ("?x", Some("https://example.org/a/b?x")),
            (
                "/x?to=https://h/",
                Some("https://example.org/x?to=https://h/"),
            ),
            ("x?to=http://h", Some("https://example.org/a/x?to=http://h")),
            ("//www.example.org/", Some("https://www.example.org/")),
            ("https://www.example.org/", Some("https://www.example.org/")),
            ("http://example.org/", None),
            ("file:///etc/passwd", None),
        ] {
            let joined = from.join(location).map(|address| address.to_string());
            assert_eq!(joined.as_deref(), expected, "{location}");
        }
    }
}
