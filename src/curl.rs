//! The only place that asks the web for something: by the host's own `curl`. Its options go to its standard input, so that
//! nothing of them shows on a command line (curl(1), `--config`).
//!
//! Must not know what is asked for.

use std::borrow::Cow;
use std::fmt::Write;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::process::{End, Run, Running};
use crate::redaction::excerpt;
use crate::web_address::WebAddress;

/// The program.
pub(crate) const PROGRAM: &str = "curl";

/// The most that is read of an answer, in bytes.
const MAX_BYTES: u64 = 64 << 10;

/// What is posted, and where to.
pub(crate) struct Post<'p> {
    pub(crate) address: &'p WebAddress,
    /// Whole lines, such as `Accept: text/html`.
    pub(crate) headers: &'p [String],
    pub(crate) body: &'p str,
}

/// What came of asking.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Answered(Answer),
    /// No answer came, because of this.
    Nothing(String),
}

/// An HTTP response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The lines behind the first.
    headers: String,
    /// The beginning of it.
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Gets a page. No redirect is followed.
pub(crate) fn get(curl: &Path, address: &WebAddress, limit: Duration) -> Result<Asked> {
    ask(curl, &Options::for_an_answer(address, limit), limit)
}

/// Posts something. No redirect is followed.
pub(crate) fn post(curl: &Path, post: &Post<'_>, limit: Duration) -> Result<Asked> {
    let options = Options::for_an_answer(post.address, limit).posting(post);
    ask(curl, &options, limit)
}

/// Starts to post several things, one after the other, while other work is done; nobody looks at the answers. The lock is
/// held until it has ended, also should we die meanwhile.
pub(crate) fn begin_posts(
    curl: &Path,
    posts: &[Post<'_>],
    limit: Duration,
    lock: File,
) -> Result<Running<'static>> {
    // All of them have to end in time.
    let each = limit / u32::try_from(posts.len()).unwrap_or(u32::MAX);
    let options = posts.iter().map(|post| {
        let unseen = Options::default().flag("silent").set("output", "/dev/null");
        unseen.to(post.address, each).posting(post).0
    });
    let options = options.collect::<Vec<_>>().join("next\n");
    run(curl.to_owned().into(), options, limit).begin_with(lock)
}

fn run(curl: Cow<'_, Path>, options: String, limit: Duration) -> Run<'_> {
    let run = Run {
        input: Cow::Owned(options.into_bytes()),
        ..Run::new(curl, limit + Duration::from_secs(1))
    };
    // First of all: without it, curl reads the settings of whoever runs it.
    run.args(["-q", "--config", "-"])
}

fn ask(curl: &Path, options: &Options, limit: Duration) -> Result<Asked> {
    let ended = run(curl.into(), options.0.clone(), limit).output_up_to(MAX_BYTES)?;
    let answer = parse(&String::from_utf8_lossy(&ended.output));
    Ok(match (ended.end, answer) {
        // It had begun to answer, whatever came then.
        (_, Some(answer)) => Asked::Answered(answer),
        (End::Exit(_), None) => Asked::Nothing(why(&String::from_utf8_lossy(&ended.errors))),
        (end, None) => Asked::Nothing(format!("curl {end}")),
    })
}

/// The lines of a file of options (curl(1), `--config`).
#[derive(Default)]
struct Options(String);

impl Options {
    /// For one request whose answer is read.
    fn for_an_answer(address: &WebAddress, limit: Duration) -> Self {
        let seen = Self::default().flag("silent").flag("show-error");
        seen.flag("include").to(address, limit)
    }

    fn to(self, address: &WebAddress, limit: Duration) -> Self {
        self.set("proto", &format!("={}", address.scheme()))
            .set("max-time", &format!("{:.1}", limit.as_secs_f64()))
            .set("url", &address.to_string())
    }

    fn posting(self, post: &Post<'_>) -> Self {
        let headers = post.headers.iter();
        let with_headers = headers.fold(self, |options, header| options.set("header", header));
        // Not `data`, for which an `@` at the beginning names a file; and no part of the path leads upwards.
        with_headers.set("data-raw", post.body).flag("path-as-is")
    }

    fn flag(mut self, name: &str) -> Self {
        let _ = writeln!(self.0, "{name}");
        self
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        let _ = writeln!(self.0, "{name} = {}", quoted(value));
        self
    }
}

/// A value as curl reads it between quotes, on one line whatever is in it.
fn quoted(value: &str) -> String {
    let mut quoted = String::from('"');
    for c in value.chars() {
        match c {
            '\\' | '"' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            // It would end the line, and cannot be written.
            '\0' => {}
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// `curl: (7) Failed to connect …` without its beginning.
fn why(said: &str) -> String {
    let line = said.lines().next().unwrap_or("no reason was reported");
    let text = line.strip_prefix("curl: ").unwrap_or(line);
    excerpt(text.split_once(") ").map_or(text, |(_, text)| text))
}

/// The last head in what was printed, and the body behind it: before it there may be interim responses (RFC 9110, section
/// 15.2).
fn parse(printed: &str) -> Option<Answer> {
    let (head, rest) = printed.split_once("\r\n\r\n")?;
    let (first, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = first.strip_prefix("HTTP/")?;
    let status = status.split(' ').nth(1)?.parse().ok()?;
    if (100..200).contains(&status) {
        return parse(rest);
    }
    Some(Answer {
        status,
        headers: headers.to_owned(),
        body: rest.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_the_last_head_and_what_follows() {
        let answer = |status, headers: &str, body: &str| {
            Some(Answer {
                status,
                headers: headers.into(),
                body: body.into(),
            })
        };
        for (printed, expected) in [
            (
                "HTTP/1.1 200 OK\r\nA: b\r\n\r\nhello\r\n\r\nx",
                answer(200, "A: b", "hello\r\n\r\nx"),
            ),
            (
                "HTTP/2 301 \r\nLOCATION: /x \r\nB: c\r\n\r\n",
                answer(301, "LOCATION: /x \r\nB: c", ""),
            ),
            (
                "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 503 No\r\n\r\nx",
                answer(503, "", "x"),
            ),
            ("HTTP/1.1 200 OK\r\n", None),
            ("hello\r\n\r\n", None),
            ("", None),
        ] {
            assert_eq!(parse(printed), expected, "{printed}");
        }
        let moved = answer(301, "LOCATION: /x \r\nB: c", "").unwrap();
        assert_eq!(
            [
                moved.header("Location"),
                moved.header("b"),
                moved.header("a")
            ],
            [Some("/x"), Some("c"), None]
        );
    }

    #[test]
    fn what_is_told_to_curl_is_one_line_whatever_is_in_it() {
        for (value, expected) in [
            ("plain", r#""plain""#),
            ("a \"b\" \\ c", r#""a \"b\" \\ c""#),
            (
                "x\"\nurl = \"file:///etc/passwd",
                r#""x\"\nurl = \"file:///etc/passwd""#,
            ),
            ("\r\n\t\0é", r#""\r\n\té""#),
            ("\\", r#""\\""#),
            ("", r#""""#),
        ] {
            assert_eq!(quoted(value), expected, "{value:?}");
        }
    }

    #[test]
    fn a_post_is_written_as_options() {
        let address = WebAddress::parse("https://example.org/a").unwrap();
        let post = Post {
            address: &address,
            headers: &["A: \"b\"".to_owned()],
            body: r#"{"a":"b\\n"}"#,
        };
        let limit = Duration::from_secs(10);
        assert_eq!(
            Options::for_an_answer(&address, limit).posting(&post).0,
            r#"silent
show-error
include
proto = "=https"
max-time = "10.0"
url = "https://example.org/a"
header = "A: \"b\""
data-raw = "{\"a\":\"b\\\\n\"}"
path-as-is
"#
        );
    }
}
