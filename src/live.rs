//! Whether visitors see the site: its address is asked until it answers well, for a few seconds.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::curl::{self, Asked};
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
        let why = match (answer.status, answer.header("location")) {
            (300..400, Some(location)) => match asked.join(location) {
                Some(next) if next.has_host_of(&asked) => {
                    asked = next;
                    continue;
                }
                Some(other) => format!(
                    "redirects to {other}, which is another host: let the key `live` name it"
                ),
                None => format!("redirects to {}", excerpt(location)),
            },
            (200..300, _) if text.is_none_or(|text| answer.body.contains(text)) => return Ok(None),
            (status @ 200..300, _) => format!("answers {status} without the text of `live_text`"),
            (status, _) => format!("answers {status}"),
        };
        return Ok(Some(not_live(why, &answer.body)));
    }
    Ok(Some(not_live("redirects again and again".into(), "")))
}

fn not_live(why: String, body: &str) -> NotLive {
    let words: Vec<&str> = body.split_whitespace().collect();
    NotLive {
        why,
        said: excerpt(&words.join(" ")),
    }
}
