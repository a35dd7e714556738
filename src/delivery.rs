//! A webhook delivery: what its headers claim, the proof that GitHub sent it, the event it carries, and the few fields
//! of the payload that are read (GitHub's documentation, "Webhook events and payloads").
//!
//! Must not know the checkout. Nothing of a body is looked at before its signature holds.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};

use crate::cgi::{BadBody, BadHead, Body, Request, Variable};
use crate::commit_id::CommitId;
use crate::signature::{Secrets, Signature, Verifier};

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
    /// Signed, but not the JSON of this event. The second part says what is wrong with it.
    Payload(Box<Event>, String),
}

impl Refusal {
    /// Whether this is what is answered where the body is wrong in itself too.
    pub(crate) fn comes_before_the_body(&self) -> bool {
        match self {
            Self::Head(_) | Self::Method => true,
            Self::Body(_)
            | Self::ContentEncoding
            | Self::Event
            | Self::Id
            | Self::SignatureAbsent
            | Self::SignatureMalformed
            | Self::SignatureWrong
            | Self::ContentType
            | Self::Payload(..) => false,
        }
    }
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
        match request.header("HTTP_CONTENT_ENCODING") {
            Variable::Absent => {}
            Variable::Once(coding)
                if coding.is_empty() || coding.eq_ignore_ascii_case(b"identity") => {}
            Variable::Once(_) | Variable::Several => return Err(Refusal::ContentEncoding),
        }
        let event = name(request.header("HTTP_X_GITHUB_EVENT"), b"_.-").ok_or(Refusal::Event)?;
        let id = name(request.header("HTTP_X_GITHUB_DELIVERY"), b"-").ok_or(Refusal::Id)?;
        let signature = match request.header("HTTP_X_HUB_SIGNATURE_256") {
            Variable::Once(header) => {
                Signature::parse_sha256(header).ok_or(Refusal::SignatureMalformed)?
            }
            Variable::Several => return Err(Refusal::SignatureMalformed),
            // Only where the better one is not there at all.
            Variable::Absent => match request.header("HTTP_X_HUB_SIGNATURE") {
                Variable::Once(header) => {
                    Signature::parse_sha1(header).ok_or(Refusal::SignatureMalformed)?
                }
                Variable::Several => return Err(Refusal::SignatureMalformed),
                Variable::Absent => return Err(Refusal::SignatureAbsent),
            },
        };
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
    /// `owner/name`.
    pub(crate) repository: String,
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
        let event = match form {
            Form::Json => Event::parse(claims.event, &body),
            Form::Urlencoded => {
                let payload = payload_field(&body).ok_or(Refusal::ContentType)?;
                Event::parse(claims.event, payload.as_bytes())
            }
        }?;
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

impl Event {
    fn parse(name: String, json: &[u8]) -> Result<Self, Refusal> {
        let wrong = |event: Self, why: &str| Err(Refusal::Payload(Box::new(event), why.to_owned()));
        // The parser looks only into the strings that it is to return.
        if std::str::from_utf8(json).is_err() {
            return wrong(Self::Other(name), "it is not UTF-8");
        }
        match name.as_str() {
            "ping" => match serde_json::from_slice::<Object<PingPayload<'_>>>(json) {
                Ok(Object(ping)) => Ok(Self::Ping(ping.into())),
                Err(error) => wrong(Self::Ping(Ping::default()), &error.to_string()),
            },
            "push" => match serde_json::from_slice::<Object<PushPayload<'_>>>(json) {
                Ok(Object(push)) => push
                    .try_into()
                    .map(Self::Push)
                    .or_else(|why| wrong(Self::Push(Push::default()), why)),
                Err(error) => wrong(Self::Push(Push::default()), &error.to_string()),
            },
            _ => match serde_json::from_slice::<Object<Nothing>>(json) {
                Ok(Object(Nothing {})) => Ok(Self::Other(name)),
                Err(error) => wrong(Self::Other(name), &error.to_string()),
            },
        }
    }

    /// The name GitHub gives it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Ping(_) => "ping",
            Self::Push(_) => "push",
            Self::Other(name) => name,
        }
    }
}

/// A JSON object. Serde would take an array for a struct too, field by field.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(ObjectVisitor(std::marker::PhantomData))
    }
}

#[derive(Deserialize)]
struct Nothing {}

#[derive(Deserialize)]
struct PushPayload<'a> {
    #[serde(borrow, rename = "ref")]
    git_ref: Cow<'a, str>,
    #[serde(borrow)]
    before: Option<Cow<'a, str>>,
    #[serde(borrow)]
    after: Cow<'a, str>,
    #[serde(borrow)]
    repository: Object<Repository<'a>>,
}

#[derive(Deserialize)]
struct Repository<'a> {
    #[serde(borrow)]
    full_name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    owner: Option<Object<Owner<'a>>>,
}

#[derive(Deserialize)]
struct Owner<'a> {
    #[serde(borrow)]
    login: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
}

impl Repository<'_> {
    /// `owner/name`; payloads older than `full_name` say it in two fields.
    fn full_name(&self) -> Option<String> {
        if let Some(full_name) = &self.full_name {
            return Some(full_name.to_string());
        }
        let owner = &self.owner.as_ref()?.0;
        let owner = owner.login.as_ref().or(owner.name.as_ref())?;
        Some(format!("{owner}/{}", self.name.as_ref()?))
    }
}

impl TryFrom<PushPayload<'_>> for Push {
    type Error = &'static str;

    fn try_from(push: PushPayload<'_>) -> Result<Self, Self::Error> {
        let id = |text: &str| CommitId::parse(text).ok_or("`before` or `after` is no commit id");
        let after = id(&push.after)?;
        let before = push.before.as_deref().map(id).transpose()?;
        let (gone, is_new) = (
            after.is_zero(),
            before.as_ref().is_some_and(CommitId::is_zero),
        );
        Ok(Self {
            deletion: gone && !is_new,
            before: before.filter(|_| !is_new),
            after: (!gone).then_some(after),
            repository: push
                .repository
                .0
                .full_name()
                .ok_or("`repository` has no `full_name`")?,
            git_ref: push.git_ref.into_owned(),
        })
    }
}

#[derive(Deserialize)]
struct PingPayload<'a> {
    // Every ping has these two, and no other event: a signature covers the body alone, and not the event's name.
    #[serde(borrow, rename = "zen")]
    _zen: Cow<'a, str>,
    #[serde(rename = "hook_id")]
    _hook_id: u64,
    #[serde(borrow)]
    repository: Option<Object<Repository<'a>>>,
    #[serde(borrow)]
    hook: Option<Object<Hook<'a>>>,
}

#[derive(Deserialize)]
struct Hook<'a> {
    #[serde(borrow)]
    events: Option<Vec<Cow<'a, str>>>,
    #[serde(borrow)]
    config: Option<Object<HookConfig<'a>>>,
}

#[derive(Deserialize)]
struct HookConfig<'a> {
    #[serde(borrow)]
    insecure_ssl: Option<InsecureSsl<'a>>,
}

/// `"0"` or `"1"`; a number in some deliveries.
#[derive(Deserialize)]
#[serde(untagged)]
enum InsecureSsl<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Number(u64),
}

impl From<PingPayload<'_>> for Ping {
    fn from(ping: PingPayload<'_>) -> Self {
        let hook = ping.hook.map(|Object(hook)| hook);
        let (events, config) = hook.map_or((None, None), |hook| (hook.events, hook.config));
        Self {
            repository: ping
                .repository
                .and_then(|Object(repository)| repository.full_name()),
            events: events.map(|events| events.into_iter().map(Cow::into_owned).collect()),
            insecure_tls: match config.and_then(|Object(config)| config.insecure_ssl) {
                Some(InsecureSsl::Text(text)) => text == "1",
                Some(InsecureSsl::Number(number)) => number == 1,
                None => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "1481a2de7b2a7d02428ad93446ab166be7793fbb";
    const ZERO: &str = "0000000000000000000000000000000000000000";

    fn push(before: &str, after: &str) -> Result<Event, Refusal> {
        let json = format!(
            r#"{{"ref":"refs/heads/main","before":"{before}","after":"{after}","repository":{{"full_name":"o/n"}},"x":[{{}}]}}"#
        );
        Event::parse("push".into(), json.as_bytes())
    }

    #[track_caller]
    fn check(before: &str, after: &str, deletion: bool, commit: Option<&str>) {
        let Ok(Event::Push(push)) = push(before, after) else {
            panic!("not a push")
        };
        let after = push.after.as_ref().map(CommitId::as_str);
        assert_eq!((push.deletion, after), (deletion, commit));
    }

    #[test]
    fn a_deletion_is_told_by_the_ids() {
        check(ID, ID, false, Some(ID));
        check(ZERO, ID, false, Some(ID));
        check(ID, ZERO, true, None);
        check(ZERO, ZERO, false, None);
        check(
            &"0".repeat(64),
            &"a".repeat(64),
            false,
            Some(&"a".repeat(64)),
        );
        check(&"a".repeat(64), &"0".repeat(64), true, None);
    }

    #[track_caller]
    fn check_no_payload(event: &str, json: &[u8]) {
        match Event::parse(event.into(), json) {
            Err(Refusal::Payload(parsed, _)) => assert_eq!(parsed.name(), event),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_not_the_json_of_its_event_is_refused() {
        for json in [
            &b""[..],
            b"[]",
            b"1",
            b"null",
            b"{",
            b"{}x",
            b"\xff",
            b"{\"zen\":\"\xff\"}",
            b"[\"refs/heads/main\",\"x\",\"y\",[\"o/n\"]]",
        ] {
            for event in ["ping", "push", "star"] {
                check_no_payload(event, json);
            }
        }
        let deep = format!("{{\"x\":{}{}}}", "[".repeat(200), "]".repeat(200));
        assert_eq!(
            Event::parse("star".into(), deep.as_bytes()).unwrap().name(),
            "star"
        );
        for json in [
            r#"{"ref":"refs/heads/main"}"#.to_owned(),
            format!(r#"{{"ref":1,"after":"{ID}","repository":{{"full_name":"o/n"}}}}"#),
            format!(r#"{{"ref":"\ud800","after":"{ID}","repository":{{"full_name":"o/n"}}}}"#),
            format!(r#"{{"ref":"a","ref":"b","after":"{ID}","repository":{{"full_name":"o/n"}}}}"#),
            format!(r#"{{"ref":"a","after":"{ID}","repository":["o/n"]}}"#),
            format!(r#"{{"ref":"a","after":"{ID}","repository":{{}}}}"#),
            r#"{"ref":"a","after":"--option","repository":{"full_name":"o/n"}}"#.to_owned(),
            format!(
                r#"{{"ref":"a","before":"x","after":"{ID}","repository":{{"full_name":"o/n"}}}}"#
            ),
            format!(
                r#"{{"ref":"a","after":"{}","repository":{{"full_name":"o/n"}}}}"#,
                ID.to_uppercase()
            ),
        ] {
            check_no_payload("push", json.as_bytes());
        }
    }

    #[test]
    fn a_ping_may_have_a_repository_an_organisation_or_neither() {
        #[track_caller]
        fn check(json: &str, expected: Ping) {
            assert_eq!(
                Event::parse("ping".into(), json.as_bytes()),
                Ok(Event::Ping(expected))
            );
        }
        for json in [
            "{}",
            r#"{"hook_id":1}"#,
            r#"{"zen":"z","hook_id":"1"}"#,
            r#"{"zen":"z","hook":{"events":["push"]}}"#,
            r#"{"ref":"refs/heads/main","after":"x","repository":{"full_name":"o/n"}}"#,
        ] {
            check_no_payload("ping", json.as_bytes());
        }
        check(
            r#"{"zen":"z","hook_id":1,"organization":{"login":"o"},"repository":null}"#,
            Ping::default(),
        );
        check(
            r#"{"zen":"z","hook_id":1,"repository":{"name":"n","owner":{"login":"o"}},"hook":{"events":["push"],"config":{"insecure_ssl":"1"}}}"#,
            Ping {
                repository: Some("o/n".into()),
                events: Some(vec!["push".into()]),
                insecure_tls: true,
            },
        );
    }

    #[test]
    fn a_form_has_one_payload() {
        #[track_caller]
        fn check(form: &str, expected: Option<&str>) {
            assert_eq!(payload_field(form.as_bytes()).as_deref(), expected);
        }
        check("payload=%7B%22a+b%22%3A%2B1%7D", Some("{\"a b\":+1}"));
        check("x=1&payload=%7B%7D&y", Some("{}"));
        check("payload=a%", Some("a%"));
        check("payload=%2%zz%%41%1", Some("%2%zz%A%1"));
        check("payload={}&payload={}", None);
        check("Payload={}", None);
        check("payload={}&%70ayload={}", None);
        check("&&%70ayload=a=b%3d&payload2", Some("a=b="));
        check("payload", Some(""));
        check("payload=%ff", Some("\u{fffd}"));
        check("", None);
    }
}
