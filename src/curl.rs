//! The only place that asks the web for something: by the host's own `curl`. Its options go to its standard input, so that
//! nothing of them shows on a command line (curl(1), `--config`).
//!
//! Must not know what is asked for.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::process::{End, Run};
use crate::redaction::excerpt;
use crate::web_address::WebAddress;

/// The program.
pub(crate) const PROGRAM: &str = "curl";

/// The most that is read of an answer, in bytes.
const MAX_BYTES: usize = 64 << 10;

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
    pub(crate) location: Option<String>,
    /// The beginning of it.
    pub(crate) body: String,
}

/// Gets a page. No redirect is followed.
pub(crate) fn get(curl: &Path, address: &WebAddress, limit: Duration) -> Result<Asked> {
    let (scheme, seconds) = (address.scheme(), limit.as_secs_f64());
    let options = format!(
        "silent\nshow-error\ninclude\nproto = \"={scheme}\"\nmax-time = {seconds:.1}\nurl = \"{address}\"\n"
    );
    let ask = Run {
        input: options.as_bytes(),
        ..Run::new(curl, limit + Duration::from_secs(1))
    };
    // First of all: without it, curl reads the settings of whoever runs it.
    let ended = ask.args(["-q", "--config", "-"]).output_apart()?;
    let whole = &ended.output[..ended.output.len().min(MAX_BYTES)];
    let answer = parse(&String::from_utf8_lossy(whole));
    Ok(match (ended.end, answer) {
        // It had begun to answer, whatever came then.
        (_, Some(answer)) => Asked::Answered(answer),
        (End::Exit(_), None) => Asked::Nothing(why(&String::from_utf8_lossy(&ended.errors))),
        (end, None) => Asked::Nothing(format!("curl {end}")),
    })
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
    let mut lines = head.lines();
    let status = lines.next()?.strip_prefix("HTTP/")?;
    let status = status.split(' ').nth(1)?.parse().ok()?;
    if (100..200).contains(&status) {
        return parse(rest);
    }
    let location = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("location")
            .then(|| value.trim().to_owned())
    });
    Some(Answer {
        status,
        location,
        body: rest.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_the_last_head_and_what_follows() {
        let answer = |status, location: Option<&str>, body: &str| {
            Some(Answer {
                status,
                location: location.map(str::to_owned),
                body: body.into(),
            })
        };
        for (printed, expected) in [
            (
                "HTTP/1.1 200 OK\r\nA: b\r\n\r\nhello\r\n\r\nx",
                answer(200, None, "hello\r\n\r\nx"),
            ),
            (
                "HTTP/2 301 \r\nLOCATION: /x \r\n\r\n",
                answer(301, Some("/x"), ""),
            ),
            (
                "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 503 No\r\n\r\nx",
                answer(503, None, "x"),
            ),
            ("HTTP/1.1 200 OK\r\n", None),
            ("hello\r\n\r\n", None),
            ("", None),
        ] {
            assert_eq!(parse(printed), expected, "{printed}");
        }
    }
}
