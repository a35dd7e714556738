//! One request from beginning to end, and what it is answered with. The only place with HTTP status numbers.
//!
//! Before a signature holds, an answer gives away no path, version, configuration or output of git.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Write;
use std::time::Instant;

use anyhow::Result;

use crate::cgi::{BadBody, BadHead, Body, Environment, Request, Response, Status};
use crate::clone::{self, Stage};
use crate::delivery::{Claims, Delivery, Event, Ping, Push, Refusal};
use crate::doctor;
use crate::git::{Checkout, Config, Followed, Git, Source, SourceBranch, Unfollowing};
use crate::history::{History, Record};
use crate::outcome::Verdict;
use crate::queue::{NotLeft, Promise, Queue, now};
use crate::redaction::{escape, excerpt, redact};
use crate::remote_url::RemoteUrl;
use crate::repository_name::RepositoryName;
use crate::signature::{Secret, Secrets};
use crate::site::{self, MAX_BODY, NoHome, Site, Submodules};
use crate::state::StateFolder;
use crate::worker::{Heard, Worker};

const OK: Status = Status(200, "OK");
const ACCEPTED: Status = Status(202, "Accepted");
const BAD_REQUEST: Status = Status(400, "Bad Request");
const FORBIDDEN: Status = Status(403, "Forbidden");
const METHOD_NOT_ALLOWED: Status = Status(405, "Method Not Allowed");
const CONTENT_TOO_LARGE: Status = Status(413, "Content Too Large");
const UNSUPPORTED_MEDIA_TYPE: Status = Status(415, "Unsupported Media Type");
const INTERNAL_SERVER_ERROR: Status = Status(500, "Internal Server Error");
const SERVICE_UNAVAILABLE: Status = Status(503, "Service Unavailable");

/// The methods a 405 names.
const METHODS: &str = "GET, HEAD, POST";

/// An answer, and the line about it for the server's error log, where there is something to say.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) response: Response,
    pub(crate) log: Option<String>,
}

/// How a request ends.
enum Answer {
    /// A GET or HEAD: the site can be used, or it cannot.
    Ready(Result<(), ()>),
    Refused(Refusal),
    /// The site file or the secret file cannot be used. Said without a path: nobody has proved anything yet.
    Unusable(Unusable),
    Pong {
        healthy: bool,
        report: String,
    },
    Ignored(String),
    /// A deploy whose outcome is known, and what became of the same delivery before.
    Ended {
        record: Box<Record>,
        before: Option<Record>,
    },
    Died(String),
    Accepted {
        delivery: String,
        waited: std::time::Duration,
    },
    Queued,
    NoTicket(String),
    /// Ours or the host's fault, after the signature held.
    Error(anyhow::Error),
}

/// What keeps a site from being used.
enum Unusable {
    NoSite,
    SiteFile(anyhow::Error),
    SecretFile(anyhow::Error),
}

/// Answers the request in `env`, which began at `started`.
pub(crate) fn answer(
    env: &Environment,
    first_argument: Option<&OsStr>,
    started: Instant,
) -> Answered {
    let mut answered = decide(env, first_argument, started);
    answered.response.head_only = env.variable("REQUEST_METHOD").once() == Some(b"HEAD");
    answered
}

fn decide(env: &Environment, first_argument: Option<&OsStr>, started: Instant) -> Answered {
    let site = site::of_a_request(env, first_argument).ok_or(Unusable::NoSite);
    let site = site.and_then(|file| Site::of(file, env).map_err(Unusable::SiteFile));
    let body = Body::of(env, started);
    let max_body = site.as_ref().map_or(MAX_BODY, |site| site.max_body);

    let request = match Request::read(env) {
        Ok(request) => request,
        Err(why) => return refuse(Refusal::Head(why), body, max_body),
    };
    if matches!(request.method, b"GET" | b"HEAD") {
        // Whatever is wrong with its body, it is not looked at.
        match body.drain(max_body) {
            Ok(()) | Err(_) => {}
        }
        let ready = site.and_then(|site| usable(&site).map(drop));
        let log = ready.as_ref().err().map(Unusable::told_to_the_host);
        return Answer::Ready(ready.map_err(drop)).into_response(log);
    }
    if request.method != b"POST" {
        return refuse(Refusal::Method, body, max_body);
    }
    let claims = match Claims::read(&request) {
        Ok(claims) => claims,
        Err(refusal) => return refuse(refusal, body, max_body),
    };
    let (site, secrets) = match site.and_then(|site| {
        site.secrets()
            .map(|secrets| (site, secrets))
            .map_err(Unusable::SecretFile)
    }) {
        Ok(usable) => usable,
        Err(unusable) => {
            return match body.drain(max_body) {
                Ok(()) => {
                    let log = unusable.told_to_the_host();
                    Answer::Unusable(unusable).into_response(Some(log))
                }
                Err(bad) => Answer::Refused(Refusal::Body(bad)).into_response(None),
            };
        }
    };
    let delivery = match Delivery::verify(claims, &secrets, body, site.max_body) {
        Ok(delivery) => delivery,
        Err(refusal) => {
            let has_blanks = secrets.iter().any(Secret::has_blanks_around);
            let log = (refusal == Refusal::SignatureWrong && has_blanks).then(|| {
                format!(
                    "error: a signature does not match, and in {} a secret begins or ends with a blank, which counts: \
                     remove it, unless the webhook's secret has it too",
                    site.secret_file.display()
                )
            });
            return Answer::Refused(refusal).into_response(log);
        }
    };
    let answer = Proven {
        site: &site,
        env,
        delivery: &delivery,
        started,
    }
    .answer();
    let log = match &answer {
        Answer::Error(error) => Some(format!("error: {error:#}")),
        Answer::NoTicket(why) | Answer::Died(why) => Some(format!("error: {why}")),
        Answer::Ended { .. }
        | Answer::Accepted { .. }
        | Answer::Queued
        | Answer::Ignored(_)
        | Answer::Pong { .. }
        | Answer::Ready(_)
        | Answer::Refused(_)
        | Answer::Unusable(_) => None,
    };
    let mut answered = answer.into_response(log.map(|log| hide(&log, &secrets)));
    answered.response.body = hide(&answered.response.body, &secrets);
    answered
}

/// Refuses a request whose body nobody wants. A body that is wrong in itself may be the first thing to say.
fn refuse(refusal: Refusal, body: Body, max_body: u64) -> Answered {
    let refusal = match body.drain(max_body) {
        Ok(()) => refusal,
        Err(bad) => refusal.min(Refusal::Body(bad)),
    };
    Answer::Refused(refusal).into_response(None)
}

/// Whether a site could take a delivery, as far as a stranger may make us look: git is not started.
fn usable(site: &Site) -> Result<Secrets, Unusable> {
    let secrets = site.secrets().map_err(Unusable::SecretFile)?;
    if !clone::is_due(site) {
        Checkout::open(&site.repo).map_err(Unusable::SiteFile)?;
    }
    Ok(secrets)
}

impl Unusable {
    /// For the server's error log, which the host's people read.
    fn told_to_the_host(&self) -> String {
        match self {
            Self::NoSite => {
                "error: no site file: begin it with #! and the path of deploy-cgi, or set DEPLOY_CGI_SITE".to_owned()
            }
            Self::SiteFile(error) | Self::SecretFile(error) => format!("error: {error:#}"),
        }
    }

    /// For a stranger.
    fn told_to_the_world(&self) -> &'static str {
        match self {
            Self::NoSite => {
                "no site file was found. Begin deploy.cgi with a line of #! and the path of deploy-cgi; where the program \
                 itself lies in cgi-bin, set DEPLOY_CGI_SITE to the path of the site file."
            }
            Self::SiteFile(error) if error.is::<NoHome>() => {
                "a path in the site file begins with ~/, and the user that the web server runs it as has no home that is \
                 known here: write the path out, from the first /."
            }
            Self::SiteFile(_) => {
                "the site file cannot be used. Run ./deploy.cgi check on the server to see why; the server's error log \
                 says it too."
            }
            Self::SecretFile(_) => {
                "the secret file is missing, empty or unreadable, so no delivery can be checked. Put the webhook's secret \
                 into it; run ./deploy.cgi check on the server, or read its error log, to see which file is meant."
            }
        }
    }
}

/// A delivery that GitHub sent, and the site it is for.
struct Proven<'a> {
    site: &'a Site,
    env: &'a Environment,
    delivery: &'a Delivery,
    started: Instant,
}

impl Proven<'_> {
    fn answer(&self) -> Answer {
        let answer = match &self.delivery.event {
            Event::Ping(ping) => self.ping(ping),
            Event::Push(push) => self.push(push),
            Event::Other(name) => self.ignore(format!("the event {name}: only a push is deployed")),
        };
        answer.unwrap_or_else(Answer::Error)
    }

    /// A ping is the doctor for a person with only a browser.
    fn ping(&self, ping: &Ping) -> Result<Answer> {
        // It makes the first checkout, too; how that went is in the report.
        if clone::is_due(self.site) {
            let (_, state) = self.open()?;
            match self.deploy(&state, self.promise(&Push::default(), None))? {
                answer @ (Answer::NoTicket(_) | Answer::Died(_) | Answer::Error(_)) => {
                    return Ok(answer);
                }
                Answer::Ended { .. }
                | Answer::Accepted { .. }
                | Answer::Queued
                | Answer::Ignored(_)
                | Answer::Pong { .. }
                | Answer::Ready(_)
                | Answer::Refused(_)
                | Answer::Unusable(_) => {}
            }
        }
        let findings = doctor::examine(self.site, self.env, self.started + self.site.wait);
        let of_ping = doctor::of_ping(ping, self.delivery, &findings);
        let mut report = doctor::report(findings.iter().chain(&of_ping));
        if let Ok((_, state)) = self.open() {
            if let Some(last) = History::of(&state).last()? {
                let _ = write!(
                    report,
                    "\nThe last deploy, {}:\n\n{}",
                    last.time, last.report
                );
            }
            self.attend(&state)?;
        }
        let healthy = !findings
            .iter()
            .chain(&of_ping)
            .any(doctor::Finding::is_problem);
        Ok(Answer::Pong { healthy, report })
    }

    fn push(&self, push: &Push) -> Result<Answer> {
        let found = clone::look(self.site)?;
        if let Stage::Begun(checkout) | Stage::Whole(checkout) = &found {
            StateFolder::examine(checkout, self.site)?;
        }
        let submodule = match self.concern(push, &found)? {
            Concern::Ours => None,
            Concern::Submodule(path) => Some(path),
            Concern::Not(why) => return self.ignore(why),
        };
        // Only for what concerns us is anything made.
        let checkout = clone::checkout_of(self.site)?;
        let state = match StateFolder::open(&checkout, self.site) {
            Ok(state) => state,
            Err(error) => return Ok(Answer::NoTicket(format!("{error:#}"))),
        };
        self.deploy(&state, self.promise(push, submodule))
    }

    fn promise(&self, push: &Push, submodule: Option<String>) -> Promise {
        Promise {
            delivery: self.delivery.id.clone(),
            git_ref: push.git_ref.clone(),
            before: push.before.clone(),
            after: push.after.clone(),
            submodule,
            received: now(),
        }
    }

    /// Leaves a ticket, and sees to it that somebody serves it.
    fn deploy(&self, state: &StateFolder, promise: Promise) -> Result<Answer> {
        let history = History::of(state);
        let before = history.of_delivery(&self.delivery.id)?;
        let queue = Queue::of(state);
        // From here the work survives our death.
        let ticket = match queue.leave(&promise) {
            Ok(ticket) => ticket,
            Err(NotLeft::Full) => {
                self.attend(state)?;
                return Ok(Answer::NoTicket(
                    "1000 deploys wait already and none was served: run ./deploy.cgi check on the server".into(),
                ));
            }
            Err(NotLeft::Error(error)) => return Ok(Answer::NoTicket(format!("{error:#}"))),
        };
        let Some(place) = queue.try_line()? else {
            return Ok(Answer::Queued);
        };
        let end = self.started + self.site.wait;
        let worker = match Worker::start(self.site, self.env, place, Some(&ticket)) {
            Ok(worker) => worker,
            Err(error) => return Ok(Answer::Died(format!("{error:#}"))),
        };
        Ok(match worker.wait(end)? {
            Heard::StillRunning => Answer::Accepted {
                delivery: promise.delivery,
                waited: self.site.wait,
            },
            Heard::TheEnd(last_words) => match history.of_ticket(&ticket)? {
                Some(record) => Answer::Ended {
                    record: Box::new(record),
                    before,
                },
                None => Answer::Died(last_words.trim().to_owned()),
            },
        })
    }

    /// Whether and how a push concerns this site. Told by the ref, the ids and the repository only.
    fn concern(&self, push: &Push, found: &Stage) -> Result<Concern> {
        let branch = match pushed_branch(push) {
            Ok(branch) => branch,
            Err(why) => return Ok(Concern::Not(why)),
        };
        let checkout = match found {
            Stage::Whole(checkout) => checkout,
            // Then the site file alone says what is followed.
            Stage::Nothing | Stage::Begun(_) => {
                let of_url = self.site.clone.as_ref().and_then(RemoteUrl::repository);
                return Ok(match self.site.repository.as_ref().or(of_url) {
                    Some(ours) if *ours != *push.repository => {
                        Concern::Not(of_another_repository(push, ours))
                    }
                    Some(_) | None => concern_of_branch(push, branch, self.site.branch.as_deref()),
                });
            }
        };
        let git = Git::new(self.site, checkout, self.env)?;
        let config = git.config()?;
        let followed = git.followed(self.site.branch.as_deref(), &config)?;
        // Where the checkout follows nothing, the deploy will fail and say why; but its branch may still be known.
        let (known, named) = match &followed {
            Ok(followed) => (Some(followed.clone()), None),
            Err(Unfollowing::OtherBranch { wanted, .. }) => {
                (git.upstream(wanted, &config)?, Some(wanted.as_str()))
            }
            Err(Unfollowing::NoUpstream { branch } | Unfollowing::LocalUpstream { branch }) => {
                (None, Some(branch.as_str()))
            }
            Err(Unfollowing::Detached) => (None, None),
        };
        let of_url = known.as_ref().and_then(|known| known.url.repository());
        let repository = self.site.repository.as_ref().or(of_url);
        if repository.is_none_or(|ours| *ours != *push.repository) {
            let sources = git.submodules_from(&push.repository, &config, known.as_ref())?;
            if !sources.is_empty() {
                return self.concern_of_submodules(push, branch, &sources, &git, &config);
            }
            // Where the remote's URL names no repository, the secret alone has to say that the push is for us.
            if let Some(ours) = repository {
                return Ok(Concern::Not(of_another_repository(push, ours)));
            }
        }
        let ours = known.as_ref().map(Followed::remote_branch).or(named);
        Ok(concern_of_branch(push, branch, ours))
    }

    /// A push to the repository of submodules.
    fn concern_of_submodules(
        &self,
        push: &Push,
        branch: &str,
        sources: &[Source],
        git: &Git<'_>,
        config: &Config,
    ) -> Result<Concern> {
        let paths: Vec<_> = sources
            .iter()
            .map(|source| excerpt(&source.path.to_string_lossy()))
            .collect();
        let (are, follow) = match paths.len() {
            1 => ("submodule", "it follows"),
            _ => ("submodules", "they follow"),
        };
        let submodules = format!("the {are} {}", paths.join(", "));
        match self.site.submodules {
            Submodules::Skip => Ok(Concern::Not(format!(
                "the push to {}, {submodules}: this site leaves submodules alone (submodules = \"skip\")",
                excerpt(&push.repository)
            ))),
            Submodules::Recorded => Ok(Concern::Not(format!(
                "the push to {}, {submodules}: this site deploys the commit that its own repository records; set \
                 submodules = \"latest\" to follow the submodule itself",
                excerpt(&push.repository)
            ))),
            Submodules::Latest if push.deletion => Ok(Concern::Not(format!(
                "the deletion of a branch of {submodules}"
            ))),
            Submodules::Latest => {
                let mut followed = BTreeSet::new();
                for source in sources {
                    let ours = match &source.branch {
                        SourceBranch::Default(known) if known.as_deref() != Some(branch) => {
                            // The default may be another one by now.
                            git.ask_default_branch(&source.path, config)?
                        }
                        SourceBranch::Default(known) => known.clone(),
                        SourceBranch::Named(name) => Some(name.clone()),
                    };
                    match ours {
                        Some(ours) if ours != branch => {
                            followed.insert(excerpt(&ours));
                        }
                        Some(_) | None => {
                            return Ok(Concern::Submodule(
                                source.path.to_string_lossy().into_owned(),
                            ));
                        }
                    }
                }
                Ok(Concern::Not(format!(
                    "the push to {} of {submodules}: {follow} {}",
                    excerpt(branch),
                    followed.into_iter().collect::<Vec<_>>().join(", ")
                )))
            }
        }
    }

    /// Ignores the delivery itself; but any verified one that finds an unattended ticket starts a worker for it.
    fn ignore(&self, what: String) -> Result<Answer> {
        if let Ok(found) = clone::look(self.site)
            && let Some(checkout) = found.checkout()
            && StateFolder::examine(&checkout, self.site).is_ok()
            && let Some(state) = StateFolder::look(&checkout)
        {
            self.attend(&state)?;
        }
        Ok(Answer::Ignored(what))
    }

    fn attend(&self, state: &StateFolder) -> Result<()> {
        let queue = Queue::of(state);
        if !queue.is_empty()?
            && let Some(place) = queue.try_line()?
        {
            Worker::start(self.site, self.env, place, None).map(drop)?;
        }
        Ok(())
    }

    fn open(&self) -> Result<(Checkout, StateFolder)> {
        let checkout = clone::checkout_of(self.site)?;
        let state = StateFolder::open(&checkout, self.site)?;
        Ok((checkout, state))
    }
}

/// How a push concerns a checkout.
enum Concern {
    Ours,
    /// It is one of its submodules', at this path.
    Submodule(String),
    /// Not at all, because of this.
    Not(String),
}

/// The branch that was pushed, or why it is none.
fn pushed_branch(push: &Push) -> Result<&str, String> {
    push.git_ref.strip_prefix("refs/heads/").ok_or_else(|| {
        let what = if push.git_ref.starts_with("refs/tags/") {
            "a tag"
        } else {
            "not a branch"
        };
        format!(
            "the push of {}: that is {what}, and only branches are deployed",
            excerpt(&push.git_ref)
        )
    })
}

/// Whether a push to our repository is to the branch that is followed, where that is known.
fn concern_of_branch(push: &Push, branch: &str, ours: Option<&str>) -> Concern {
    if let Some(ours) = ours.filter(|ours| *ours != branch) {
        return Concern::Not(format!(
            "the push to {}: this site follows {}",
            excerpt(branch),
            excerpt(ours)
        ));
    }
    if push.deletion {
        return Concern::Not(format!(
            "the deletion of {}: there is nothing to deploy",
            excerpt(branch)
        ));
    }
    Concern::Ours
}

fn of_another_repository(push: &Push, ours: &RepositoryName) -> String {
    format!(
        "the push to the repository {}: this site follows {}",
        excerpt(&push.repository),
        excerpt(&ours.to_string())
    )
}

/// What may be said after the signature held: all but secrets and credentials, and no control characters.
fn hide(text: &str, secrets: &Secrets) -> String {
    let secrets: Vec<_> = secrets
        .iter()
        .map(|secret| String::from_utf8_lossy(secret.reveal()))
        .collect();
    escape(&redact(text, secrets.iter().map(AsRef::as_ref)))
}

impl Answer {
    /// The one table: what happened → status and words.
    fn into_response(self, log: Option<String>) -> Answered {
        let mut allow = None;
        let (status, body) = match self {
            Self::Ready(Ok(())) => (OK, "ready for deliveries. Enter this address as the Payload URL of a GitHub webhook (deploy-cgi).".to_owned()),
            Self::Ready(Err(())) => (
                INTERNAL_SERVER_ERROR,
                "ready: no. This site cannot deploy yet; run ./deploy.cgi check on the server, or read the server's error \
                 log (deploy-cgi)."
                    .to_owned(),
            ),
            Self::Refused(refusal) => {
                let (status, why) = refusal_in_words(&refusal);
                allow = (refusal == Refusal::Method).then_some(METHODS);
                (status, format!("refused by deploy-cgi: {why}"))
            }
            Self::Unusable(unusable) => {
                (INTERNAL_SERVER_ERROR, format!("error in deploy-cgi: {}", unusable.told_to_the_world()))
            }
            Self::Pong { healthy, report } => {
                let (status, word) = if healthy {
                    (OK, "a deploy would work")
                } else {
                    (INTERNAL_SERVER_ERROR, "a deploy would fail")
                };
                (status, format!("pong from deploy-cgi: {word}\n\n{report}"))
            }
            Self::Ignored(what) => (OK, format!("ignored {what}.")),
            Self::Ended { record, before } => {
                let status = match record.verdict {
                    Verdict::Deployed | Verdict::Unchanged => OK,
                    Verdict::Failed => INTERNAL_SERVER_ERROR,
                };
                let mut body = record.report;
                if let Some(before) = before {
                    let _ = write!(body, "\nThis delivery came before. What became of it, {}:\n\n{}", before.time, before.report);
                }
                (status, body)
            }
            Self::Died(last_words) => {
                let said = if last_words.is_empty() { "it left no word why".to_owned() } else { last_words };
                (
                    INTERNAL_SERVER_ERROR,
                    format!(
                        "failed at start: the deploy ended without an outcome: {said}\n\nWhat to do: press Redeliver. The \
                         deploy is still owed, and the next delivery does it."
                    ),
                )
            }
            Self::Accepted { delivery, waited } => {
                let state = if waited.is_zero() {
                    "the deploy has begun; this site does not wait for it".to_owned()
                } else {
                    let waited = humantime::format_duration(waited);
                    format!("the deploy is still running after {waited}, and goes on")
                };
                (
                    ACCEPTED,
                    format!(
                        "accepted by deploy-cgi: {state}.\n\nTo see how it ended: press Redeliver on this delivery, or \
                         on the ping; on the server: ./deploy.cgi status {delivery}"
                    ),
                )
            }
            Self::Queued => (
                ACCEPTED,
                "queued by deploy-cgi: another deploy is running, and the next one, already in line, includes this \
                 push.\n\nTo see how it ended: press Redeliver on this delivery, or on the ping."
                    .to_owned(),
            ),
            Self::NoTicket(why) => (
                SERVICE_UNAVAILABLE,
                format!(
                    "error in deploy-cgi: the deploy could not be queued, and was not begun: {why}\n\nWhat to do: mend \
                     that, then press Redeliver."
                ),
            ),
            Self::Error(error) => (INTERNAL_SERVER_ERROR, format!("error in deploy-cgi: {error:#}")),
        };
        Answered {
            response: Response {
                status,
                allow,
                body,
                head_only: false,
            },
            log,
        }
    }
}

fn refusal_in_words(refusal: &Refusal) -> (Status, String) {
    let text = |status: Status, why: &str| (status, why.to_owned());
    match refusal {
        Refusal::Head(BadHead::QueryWords) => text(
            BAD_REQUEST,
            "the address has a query without `=`; enter the Payload URL without one.",
        ),
        Refusal::Head(BadHead::Incomplete) => text(
            BAD_REQUEST,
            "the web server did not say what was requested (REQUEST_METHOD, QUERY_STRING).",
        ),
        Refusal::Method => text(METHOD_NOT_ALLOWED, "a delivery is a POST."),
        Refusal::Body(BadBody::TooLarge) => text(
            CONTENT_TOO_LARGE,
            "the body is larger than this site takes; the key `max_body` sets how much.",
        ),
        Refusal::Body(BadBody::UnknownLength) => {
            text(BAD_REQUEST, "Content-Length is not a number.")
        }
        Refusal::Body(BadBody::Short) => text(
            BAD_REQUEST,
            "the body ended, or time was up, before all of it had come.",
        ),
        Refusal::Body(BadBody::NoRoom) => text(
            SERVICE_UNAVAILABLE,
            "there is no memory for the body; the host's limit may be too low.",
        ),
        Refusal::ContentEncoding => text(
            UNSUPPORTED_MEDIA_TYPE,
            "the body is compressed; GitHub sends it as it is.",
        ),
        Refusal::Event => text(
            BAD_REQUEST,
            "the header X-GitHub-Event is missing or malformed.",
        ),
        Refusal::Id => text(
            BAD_REQUEST,
            "the header X-GitHub-Delivery is missing or malformed.",
        ),
        Refusal::SignatureAbsent => text(
            FORBIDDEN,
            "the delivery is not signed: X-Hub-Signature-256 is missing. Enter the secret in the webhook's settings.",
        ),
        Refusal::SignatureMalformed => text(
            FORBIDDEN,
            "the signature is malformed: it has to be sha256= and 64 lower-case hex digits.",
        ),
        Refusal::SignatureWrong => text(
            FORBIDDEN,
            "the signature does not match. The secret in the webhook's settings and the one in this site's secret file \
             have to be the same; a blank or a line end that was pasted with one of them is the usual cause.",
        ),
        Refusal::ContentType => text(
            UNSUPPORTED_MEDIA_TYPE,
            "the content type has to be application/json, or a form with one payload field.",
        ),
        Refusal::Payload(event, why) => (
            BAD_REQUEST,
            format!(
                "the body is not the JSON of the event {}: {}.",
                event.name(),
                excerpt(why)
            ),
        ),
    }
}

/// For the case that we die of a fault of our own: an answer that needs nothing.
pub(crate) const LAST_RESORT: &str = "Status: 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n\r\nerror in deploy-cgi: it broke down; the server's error log says more.\n";
