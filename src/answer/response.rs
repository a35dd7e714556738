//! The table of responses: what is answered, as a status and words. The only place with HTTP status numbers.

use std::borrow::Cow;
use std::fmt::Write;

use super::{Answer, BeforeProof, PushResult, Unusable};
use crate::cgi::{BadBody, BadHead, NO_SNIFF, NO_STORE, PLAIN_TEXT, Response, Status};
use crate::delivery::Refusal;
use crate::doctor::Health;
use crate::outcome::Verdict;
use crate::page::Shown;
use crate::redaction::excerpt;
use crate::shell::each_block_once;
use crate::site::Mistake;

const OK: Status = Status(200, "OK");
const ACCEPTED: Status = Status(202, "Accepted");
const BAD_REQUEST: Status = Status(400, "Bad Request");
const FORBIDDEN: Status = Status(403, "Forbidden");
const NOT_FOUND: Status = Status(404, "Not Found");
const METHOD_NOT_ALLOWED: Status = Status(405, "Method Not Allowed");
const CONTENT_TOO_LARGE: Status = Status(413, "Content Too Large");
const UNSUPPORTED_MEDIA_TYPE: Status = Status(415, "Unsupported Media Type");
const INTERNAL_SERVER_ERROR: Status = Status(500, "Internal Server Error");
const SERVICE_UNAVAILABLE: Status = Status(503, "Service Unavailable");

impl BeforeProof {
    /// What a stranger may know.
    pub(super) fn into_response(self) -> Response {
        let (status, body) = match self {
            Self::Shown(Shown::Nothing) => (OK, "ready for deliveries. Enter this address as the Payload URL of a GitHub webhook (deploy-cgi).".to_owned()),
            Self::NotReady(unusable) => (
                INTERNAL_SERVER_ERROR,
                format!("ready: no (deploy-cgi). {}", unusable.told_to_the_world()),
            ),
            Self::Shown(Shown::Page(page)) => {
                return Response {
                    status: OK,
                    content_type: page.content_type,
                    fields: page.fields,
                    body: page.body,
                    head_only: false,
                };
            }
            Self::Shown(Shown::NoSuchPage) => (
                NOT_FOUND,
                "refused by deploy-cgi: there is no such page below the address of deploy.cgi.".to_owned(),
            ),
            Self::NotShown(_) => (
                INTERNAL_SERVER_ERROR,
                "error in deploy-cgi: what was deployed cannot be read. The server's error log says why; so does \
                 ./deploy.cgi status."
                    .to_owned(),
            ),
            Self::Refused(refusal) => (refusal.status(), format!("refused by deploy-cgi: {}", refusal.in_words())),
            Self::Unusable(unusable) => (
                INTERNAL_SERVER_ERROR,
                format!("error in deploy-cgi: {}", unusable.told_to_the_world()),
            ),
        };
        response(status, body)
    }
}

impl Answer {
    /// What the sender of a verified delivery may know.
    pub(super) fn into_response(self) -> Response {
        let (status, body) = match self {
            Self::Pong { worst, report } => {
                let status = match worst {
                    Health::Ok | Health::Warning | Health::Unknown => OK,
                    Health::Problem => INTERNAL_SERVER_ERROR,
                };
                let report = each_block_once(&report);
                (
                    status,
                    format!("pong from deploy-cgi: {}\n\n{report}", worst.verdict()),
                )
            }
            Self::Ignored(what) => (OK, format!("ignored {what}.")),
            Self::Waiting(what) => (
                OK,
                format!(
                    "waiting {what}.\n\nIts success comes as a delivery of its own, and is deployed: the webhook has to send \
                     the event \"Workflow runs\" besides pushes. No run is started for a commit with [skip ci] in its \
                     message, for a push that the workflow's filters of paths or branches leave out, or for one by a \
                     workflow's own token: then it is deployed with the next commit that is green, or by \
                     ./deploy.cgi run --anyway."
                ),
            ),
            Self::Pushed(result) => (result.status(), result.in_words()),
            Self::Error(error) => (
                INTERNAL_SERVER_ERROR,
                format!("error in deploy-cgi: {error:#}"),
            ),
        };
        response(status, body)
    }
}

impl PushResult {
    fn status(&self) -> Status {
        match self {
            Self::Ended { record, .. } => match record.verdict {
                Verdict::Deployed | Verdict::Unchanged | Verdict::Ignored | Verdict::Back => OK,
                Verdict::Failed => INTERNAL_SERVER_ERROR,
            },
            Self::WorkerDied(_) => INTERNAL_SERVER_ERROR,
            Self::Accepted { .. } | Self::Queued => ACCEPTED,
            Self::Held(..) => OK,
            Self::NotQueued(_) => SERVICE_UNAVAILABLE,
        }
    }

    fn in_words(self) -> String {
        match self {
            Self::Ended { record, before } => {
                let mut body = record.report;
                match before {
                    Some(before) if before.cause.is_some() && before.cause == record.cause => {
                        let _ = writeln!(body, "\nThis delivery came before. It failed for the same reason, {}.", before.time);
                        body.push_str(&before.told_later());
                    }
                    Some(before) => {
                        let _ = write!(body, "\nThis delivery came before. What became of it, {}:\n\n{}", before.time, before.told());
                    }
                    None => {}
                }
                each_block_once(&body)
            }
            Self::WorkerDied(output) => {
                let reason = if output.is_empty() { "no reason was reported" } else { &output };
                format!(
                    "failed at start: the deploy ended without an outcome: {reason}\n\nWhat to do: press Redeliver. The deploy \
                     is still owed, and the next delivery does it."
                )
            }
            Self::Accepted { delivery, waited } => {
                let state = if waited.is_zero() {
                    "the deploy has begun; this site does not wait for it".to_owned()
                } else {
                    let waited = humantime::format_duration(waited);
                    format!("the deploy is still running after {waited}, and goes on")
                };
                format!(
                    "accepted by deploy-cgi: {state}.\n\nTo see how it ended: press Redeliver on this delivery, or on the \
                     ping; on the server: ./deploy.cgi status {delivery}"
                )
            }
            Self::Queued => {
                "queued by deploy-cgi: another deploy is running, and the next one, already in line, includes this \
                 push.\n\nTo see how it ended: press Redeliver on this delivery, or on the ping."
                    .to_owned()
            }
            Self::Held(hold, waiting) => {
                let wait = match waiting {
                    1 => "1 delivery waits".to_owned(),
                    n => format!("{n} deliveries wait"),
                };
                format!(
                    "held by deploy-cgi: {}. {wait}.\n\nTo go on: ./deploy.cgi release on the server. Without a shell: \
                     delete the file .git/deploy-cgi/hold in the checkout, then press Redeliver.",
                    hold.in_words()
                )
            }
            Self::NotQueued(why) => format!(
                "error in deploy-cgi: the deploy could not be queued, and was not begun: {why}\n\nWhat to do: mend that, \
                 then press Redeliver."
            ),
        }
    }
}

fn response(status: Status, body: String) -> Response {
    Response {
        status,
        content_type: PLAIN_TEXT,
        fields: &[NO_STORE, NO_SNIFF],
        body,
        head_only: false,
    }
}

impl Unusable {
    /// For a stranger.
    fn told_to_the_world(&self) -> String {
        match self {
            Self::NoSite => {
                "no site file was found. Begin deploy.cgi with a line of #! and the path of deploy-cgi; where the program \
                 itself lies in cgi-bin, set DEPLOY_CGI_SITE to the path of the site file."
                    .to_owned()
            }
            Self::SiteFile(error) => {
                let mistake = error.downcast_ref::<Mistake>().map(Mistake::for_a_stranger);
                let why = mistake.as_deref().unwrap_or("it cannot be read");
                format!(
                    "the site file cannot be used: {why}. The server's error log shows what is meant; so does \
                     ./deploy.cgi check."
                )
            }
            Self::SecretFile(_) => {
                "the secret file is missing, empty or unreadable, so no delivery can be checked. Put the webhook's secret \
                 into it; the server's error log says which file is meant, and so does ./deploy.cgi check."
                    .to_owned()
            }
            Self::Checkout(_) => {
                "the key `repo` names no checkout that can be used, and where it is still to be made, the key `clone` has to \
                 say where it comes from. The server's error log says why; so does ./deploy.cgi check."
                    .to_owned()
            }
        }
    }
}

impl Refusal {
    fn status(&self) -> Status {
        match self {
            Self::Method => METHOD_NOT_ALLOWED,
            Self::Body(BadBody::TooLarge) => CONTENT_TOO_LARGE,
            Self::Body(BadBody::NoRoom) => SERVICE_UNAVAILABLE,
            Self::ContentEncoding | Self::ContentType => UNSUPPORTED_MEDIA_TYPE,
            Self::SignatureAbsent | Self::SignatureMalformed | Self::SignatureWrong => FORBIDDEN,
            Self::Head(_) | Self::Body(_) | Self::Event | Self::Id | Self::Payload(..) => {
                BAD_REQUEST
            }
        }
    }

    fn in_words(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Head(BadHead::QueryWords) => {
                "the address has a query without `=`; enter the Payload URL without one."
            }
            Self::Head(BadHead::Incomplete) => {
                "the web server did not say what was requested (REQUEST_METHOD, QUERY_STRING)."
            }
            Self::Method => "a delivery is a POST.",
            Self::Body(BadBody::TooLarge) => {
                "the body is larger than this site takes; the key `max_body` sets how much."
            }
            Self::Body(BadBody::UnknownLength) => "Content-Length is not a number.",
            Self::Body(BadBody::Short) => {
                "the body ended, or time was up, before all of it had come."
            }
            Self::Body(BadBody::Lost) => {
                "the body did not arrive: the web server handed over none of it, and did not say that it is empty."
            }
            Self::Body(BadBody::NoRoom) => {
                "there is no memory for the body; the host's limit may be too low."
            }
            Self::ContentEncoding => "the body is compressed; GitHub sends it as it is.",
            Self::Event => "the header X-GitHub-Event is missing or malformed.",
            Self::Id => "the header X-GitHub-Delivery is missing or malformed.",
            Self::SignatureAbsent => {
                "the delivery is not signed: X-Hub-Signature-256 is missing or empty. Enter the secret in the webhook's settings."
            }
            Self::SignatureMalformed => {
                "the signature is malformed: it has to be sha256= and 64 lower-case hex digits."
            }
            Self::SignatureWrong => {
                "the signature does not match. The secret in the webhook's settings and the one in this site's secret file \
                 have to be the same; a blank or a line end that was pasted with one of them is the usual cause."
            }
            Self::ContentType => {
                "the content type has to be application/json, or a form with one payload field."
            }
            Self::Payload(event, why) => {
                return format!(
                    "the body is not the JSON of the event {event}: {}.",
                    excerpt(why)
                )
                .into();
            }
        })
    }
}

/// For the case that we die of a fault of our own: an answer that needs nothing.
pub(crate) const LAST_RESORT: &str = "Status: 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n\r\nerror in deploy-cgi: it broke down; the server's error log says more.\n";
