//! Whether visitors see the site: its address is asked until it answers well, for a few seconds.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::curl::{self, Answer, Asked};
use crate::process::Programs;
use crate::redaction::excerpt;
use crate::web_address::WebAddress;

/// How long a site that is being restarted may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(250);

/// How many redirects are followed in one question.
const MAX_REDIRECTS: usize = 5;

/// What is not well: in words behind the address, and the beginning of what the site said.
#[derive(Debug)]
pub(crate) struct NotLive {
    pub(crate) why: String,
    pub(crate) said: String,
}

/// Asks a page until it answers well and has the text, where one is given, or time is up. `None` where all is well.
pub(crate) fn ask(
    page: &WebAddress,
    text: Option<&str>,
    programs: &Programs,
) -> Result<Option<NotLive>> {
    let Some(curl) = programs.find(curl::PROGRAM) else {
        return Ok(Some(not_live(
            "cannot be asked: there is no curl here. Install it, or remove the key `live`".into(),
            "",
        )));
    };
    let end = Instant::now() + PATIENCE;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let Some(not_live) = ask_once(page, text, &curl, left.max(PAUSE))? else {
            return Ok(None);
        };
        if Instant::now() + PAUSE >= end {
            return Ok(Some(not_live));
        }
        std::thread::sleep(PAUSE);
    }
}

fn ask_once(
    page: &WebAddress,
    text: Option<&str>,
    curl: &Path,
    limit: Duration,
) -> Result<Option<NotLive>> {
    let mut asked = page.clone();
    for _ in 0..=MAX_REDIRECTS {
        let answer = match curl::get(curl, &asked, limit)? {
            Asked::Answered(answer) => answer,
            Asked::Nothing(why) => {
                return Ok(Some(not_live(format!("does not answer: {why}"), "")));
            }
        };
        match judge(&answer, text, &asked) {
            Judged::Live => return Ok(None),
            Judged::Elsewhere(next) => asked = next,
            Judged::Not(why) => return Ok(Some(not_live(why, &answer.body))),
        }
    }
    Ok(Some(not_live("redirects again and again".into(), "")))
}

/// What an answer means.
enum Judged {
    Live,
    /// It redirects to another page of the same host.
    Elsewhere(WebAddress),
    Not(String),
}

fn judge(answer: &Answer, text: Option<&str>, asked: &WebAddress) -> Judged {
    let status = answer.status;
    match answer.header("location") {
        Some(location) if (300..400).contains(&status) => match asked.join(location) {
            Some(next) if next.has_host_of(asked) => Judged::Elsewhere(next),
            Some(other) => Judged::Not(format!(
                "redirects to {other}, which is another host: let the key `live` name it"
            )),
            None => Judged::Not(format!("redirects to {}", excerpt(location))),
        },
        _ if !(200..300).contains(&status) => Judged::Not(format!("answers {status}")),
        _ => match text {
            Some(text) if !answer.body.contains(text) => {
                Judged::Not(format!("answers {status} without the text of `live_text`"))
            }
            Some(_) | None => Judged::Live,
        },
    }
}

fn not_live(why: String, body: &str) -> NotLive {
    let words: Vec<&str> = body.split_whitespace().collect();
    NotLive {
        why,
        said: excerpt(&words.join(" ")),
    }
}
