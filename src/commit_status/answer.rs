//! What GitHub's answer to a status means, and what to do where it is not "created" (its documentation, "Troubleshooting
//! the REST API", "Rate limits for the REST API"). Its words are shown, and choose only the advice.

use serde::Deserialize;
use serde_json::Value;

use super::shown;
use crate::curl::Answer;
use crate::queue::now;
use crate::redaction::excerpt;
use crate::site::Token;
use crate::web_address::WebAddress;

/// The status was made.
const CREATED: u16 = 201;

const PERMISSION: &str = "the repository permission \"Commit statuses: Read and write\" (a classic token: `repo:status`)";

/// What an answer means.
pub(super) enum Judged {
    Posted,
    /// It belongs there: the same server, under another name of the repository.
    Elsewhere(WebAddress),
    /// Because of this, and what to do.
    Not(String),
}

/// What GitHub says where something is wrong. Whatever else it is, is passed by.
#[derive(Default, Deserialize)]
struct Said {
    message: Option<String>,
    /// A word or an object, or several of them.
    #[serde(default)]
    errors: Value,
}

pub(super) fn judge(answer: &Answer, asked: &WebAddress, token: &Token) -> Judged {
    let status = answer.status;
    if status == CREATED {
        return Judged::Posted;
    }
    if let (301 | 302 | 307 | 308, Some(location)) = (status, answer.header("location")) {
        return match asked.join(location) {
            Some(next) if next.has_origin_of(asked) => Judged::Elsewhere(next),
            Some(_) | None => Judged::Not(format!(
                "{status}, a redirect to {}: the token is not sent to another server; name it with the key `github_api`",
                shown(location, token)
            )),
        };
    }
    let said = words(&answer.body);
    let quoted = match said.as_str() {
        "" => String::new(),
        said => format!(" \"{}\"", shown(said, token)),
    };
    Judged::Not(format!(
        "{status}{quoted}: {}",
        advice(answer, asked, &said)
    ))
}

/// GitHub's own words, the general one first.
fn words(body: &str) -> String {
    let said: Said = serde_json::from_str(body).unwrap_or_default();
    let mistakes = match said.errors {
        Value::Array(several) => several,
        one => vec![one],
    };
    let mistakes = mistakes.iter().filter_map(|mistake| {
        let words = mistake.as_str();
        words.or_else(|| mistake.get("message")?.as_str())
    });
    let all: Vec<&str> = said
        .message
        .as_deref()
        .into_iter()
        .chain(mistakes)
        .collect();
    all.join(": ")
}

fn advice(answer: &Answer, asked: &WebAddress, said: &str) -> String {
    match answer.status {
        401 => "the token is wrong, has expired or was revoked: write a new one into `github_token_file`".into(),
        403 | 429 if is_a_limit(answer, said) => {
            let when = patience(answer).map_or("in some minutes".into(), |seconds| {
                format!("in {} min", seconds.div_ceil(60).max(1))
            });
            format!("GitHub limits how much is asked for: press Redeliver {when}")
        }
        403 => {
            let wanted = answer.header("x-accepted-github-permissions");
            let wanted = wanted.map_or(String::new(), |wanted| format!(" (asked for: {})", excerpt(wanted)));
            format!("the token may not do that: give it {PERMISSION}{wanted}")
        }
        404 => format!(
            "there is no such repository, or not for this token: let the token cover it, with {PERMISSION}, and be of \
             somebody who may push there; where the repository has another name by now, set `repository`. The address was {asked}"
        ),
        422 => invalid(said).into(),
        300..=399 => "a redirect that leads nowhere; name the API's own address with the key `github_api`".into(),
        500.. => "GitHub has trouble of its own: press Redeliver later".into(),
        _ => format!("GitHub makes a status with 201; is {asked} its API? The key `github_api` names that"),
    }
}

/// The reasons that are known for a status that is not valid.
fn invalid(said: &str) -> &'static str {
    if said.contains("maximum number of statuses") {
        "a commit takes 1000 statuses of a name: name them otherwise with `github_context`, or push a new commit"
    } else if said.contains("No commit found") {
        "the repository does not have this commit (any more); where it has another name by now, set `repository`"
    } else if said.contains("40 character SHA1") {
        "GitHub takes statuses for SHA-1 commits only: remove `github_token_file`"
    } else if said.contains("too long") {
        "a text is too long: set a shorter `github_context`"
    } else {
        "the commit is not there, a text is too long, or it has 1000 statuses of this name: see GitHub's words"
    }
}

fn is_a_limit(answer: &Answer, said: &str) -> bool {
    answer.status == 429
        || answer.header("retry-after").is_some()
        || answer.header("x-ratelimit-remaining") == Some("0")
        || said.contains("rate limit")
}

/// How many seconds GitHub wants to be left alone.
fn patience(answer: &Answer) -> Option<u64> {
    let number = |name| answer.header(name)?.parse::<u64>().ok();
    let until_reset = || Some(number("x-ratelimit-reset")?.saturating_sub(now()));
    number("retry-after").or_else(until_reset)
}
