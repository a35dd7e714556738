//! A webhook delivery: what its headers claim, the proof that GitHub sent it, and the event it carries.
//!
//! Must not know the checkout. Nothing of a body is looked at before its signature holds.

mod payload;

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::cgi::{BadBody, BadHead, Body, Request, Variable};
use crate::commit_id::CommitId;
use crate::signature::{Secrets, Signature, Verifier};
use crate::web_address::WebAddress;

/// The longest event name and delivery id that are taken.
const MAX_NAME_LENGTH: usize = 64;

/// What a caller got wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Head(BadHead),
    Method,
    Body(BadBody),
    ContentEncoding,
    Event,
    Id,
    SignatureAbsent,
    SignatureMalformed,
    SignatureWrong,
    ContentType,
    /// Signed, but not the JSON of its event: the event's name, and what is wrong.
    Payload(String, String),
}

/// What the head of a delivery says about it: all well-formed, nothing proved.
#[derive(Debug)]
pub(crate) struct Claims {
    event: String,
    id: String,
    signature: Signature,
    form: Option<Form>,
    carries_secret: bool,
}

/// How the JSON is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Urlencoded,
}

impl Claims {
    /// Reads the headers GitHub sends with a delivery.
    pub(crate) fn read(request: &Request<'_>) -> Result<Self, Refusal> {
        if request.has_coded_body() {
            return Err(Refusal::ContentEncoding);
        }
        let event = name(request.header("HTTP_X_GITHUB_EVENT"), b"_.-").ok_or(Refusal::Event)?;
        let id = name(request.header("HTTP_X_GITHUB_DELIVERY"), b"-").ok_or(Refusal::Id)?;
        // The older one only where the better one is not there at all.
        let signature = match (
            request.header("HTTP_X_HUB_SIGNATURE_256"),
            request.header("HTTP_X_HUB_SIGNATURE"),
        ) {
            (Variable::Absent, Variable::Absent) => return Err(Refusal::SignatureAbsent),
            // What Gitea sends where no secret is entered.
            (sha256, sha1)
                if sha256.once() == Some(b"sha256=")
                    || sha256 == Variable::Absent && sha1.once() == Some(b"sha1=") =>
            {
                return Err(Refusal::SignatureAbsent);
            }
            (Variable::Absent, sha1) => sha1.once().and_then(Signature::parse_sha1),
            (sha256, _) => sha256.once().and_then(Signature::parse_sha256),
        }
        .ok_or(Refusal::SignatureMalformed)?;
        Ok(Self {
            event,
            id,
            signature,
            form: form(request.content_type()),
            carries_secret: request.header("HTTP_X_GITHUB_ENCODED_SECRET") != Variable::Absent,
        })
    }
}

fn name(header: Variable<'_>, also: &[u8]) -> Option<String> {
    let value = header.once()?;
    let fine = (1..=MAX_NAME_LENGTH).contains(&value.len())
        && value
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || also.contains(byte));
    fine.then(|| String::from_utf8(value.to_vec()).ok())?
}

fn form(header: Variable<'_>) -> Option<Form> {
    let media_type = header
        .once()?
        .split(|&byte| byte == b';')
        .next()?
        .trim_ascii();
    if media_type.eq_ignore_ascii_case(b"application/json") {
        Some(Form::Json)
    } else if media_type.eq_ignore_ascii_case(b"application/x-www-form-urlencoded") {
        Some(Form::Urlencoded)
    } else {
        None
    }
}

/// A delivery that was signed with one of the site's secrets. Holding one is the proof.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) id: String,
    pub(crate) event: Event,
    pub(crate) form: Form,
    /// Whether it came with the secret itself in the header `X-Github-Encoded-Secret`, as some of GitHub's did in 2025
    /// and 2026. That is never looked at, and proves nothing.
    pub(crate) carries_secret: bool,
}

/// What happened at GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Ping(Ping),
    Push(Push),
    WorkflowRun(WorkflowRun),
    /// Any other event, by name.
    Other(String),
}

/// A hook introduces itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ping {
    /// `owner/name`; an organisation's or an app's hook has none.
    pub(crate) repository: Option<String>,
    /// The events the hook subscribes to, where it says so.
    pub(crate) events: Option<Vec<String>>,
    /// Whether GitHub is told not to check our certificate.
    pub(crate) insecure_tls: bool,
    /// Where the hook's deliveries go, where it says so.
    pub(crate) address: Option<WebAddress>,
}

/// A ref moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Push {
    /// The full ref, such as `refs/heads/main`.
    pub(crate) git_ref: String,
    /// Whether it is gone now. Told by the ids: Gitea sends no `deleted`, and its test delivery has zeros in both ids.
    pub(crate) deletion: bool,
    /// The commit it pointed to before, where it was there and the delivery names it.
    pub(crate) before: Option<CommitId>,
    /// The commit it points to now; none where the delivery names none.
    pub(crate) after: Option<CommitId>,
    /// Paths that its commits add or modify, as far as the delivery names them: a hint, and nothing else.
    pub(crate) paths: BTreeSet<String>,
    /// `owner/name`.
    pub(crate) repository: String,
    /// What addresses in the API of its forge begin with, as `statuses_url` has it.
    pub(crate) api: Option<WebAddress>,
}

/// A workflow of GitHub Actions ran (GitHub's documentation, "Webhook events and payloads", `workflow_run`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WorkflowRun {
    /// A re-run has the same id, and the next attempt.
    pub(crate) id: u64,
    pub(crate) attempt: u64,
    /// `requested`, `in_progress` or `completed`.
    pub(crate) action: String,
    /// How it ended, such as `success`.
    pub(crate) conclusion: Option<String>,
    /// What started it, such as `push`.
    pub(crate) event: String,
    /// The workflow's file below the repository. Not its name, nor the run's: those are free text.
    pub(crate) file: String,
    /// The short name of the branch, or of the tag.
    pub(crate) branch: Option<String>,
    pub(crate) commit: CommitId,
    /// `owner/name`.
    pub(crate) repository: String,
    /// What addresses in the API of its forge begin with.
    pub(crate) api: Option<WebAddress>,
    /// `owner/name` of where the commit is; none where that was a fork that is gone.
    pub(crate) head_repository: Option<String>,
}

impl Delivery {
    /// Takes the body, proves the signature over its raw bytes, and only then reads the event.
    pub(crate) fn verify(
        claims: Claims,
        secrets: &Secrets,
        body: Body,
        max_body: u64,
    ) -> Result<Self, Refusal> {
        let mut verifier = Verifier::new(secrets, claims.signature);
        let body = body
            .take(max_body, |piece| verifier.update(piece))
            .map_err(Refusal::Body)?;
        if !verifier.holds() {
            return Err(Refusal::SignatureWrong);
        }
        let form = claims.form.ok_or(Refusal::ContentType)?;
        let payload = match form {
            Form::Json => Cow::Borrowed(&*body),
            Form::Urlencoded => match payload_field(&body).ok_or(Refusal::ContentType)? {
                Cow::Borrowed(payload) => Cow::Borrowed(payload.as_bytes()),
                Cow::Owned(payload) => Cow::Owned(payload.into_bytes()),
            },
        };
        let event = Event::parse(&claims.event, &payload)
            .map_err(|why| Refusal::Payload(claims.event, why))?;
        Ok(Self {
            id: claims.id,
            event,
            form,
            carries_secret: claims.carries_secret,
        })
    }
}

/// The one `payload` field of a form. Two of them would leave it open which one is meant.
fn payload_field(form: &[u8]) -> Option<Cow<'_, str>> {
    let mut payloads = form_urlencoded::parse(form)
        .filter(|(name, _)| name == "payload")
        .map(|(_, value)| value);
    payloads.next().filter(|_| payloads.next().is_none())
}
