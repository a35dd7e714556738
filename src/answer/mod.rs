//! One request from beginning to end.
//!
//! Before a signature holds, an answer gives away no path, version, configuration or output of git.

mod concern;
mod response;
mod workflow;

use std::ffi::OsString;
use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::cgi::{self, BadHead, Body, Environment, Request, Response};
use crate::delivery::{Claims, Delivery, Event, Ping, Push, Refusal};
use crate::deploy::clone::{self, Stage};
use crate::deploy::unfinished_back;
use crate::doctor::{self, Health};
use crate::git::Handover;
use crate::history::{History, Record};
use crate::hold::Hold;
use crate::hook_address;
use crate::ignored::ignore;
use crate::last_good::LastGood;
use crate::page::{self, Shown};
use crate::queue::{EnqueueError, Origin, PushRequest, Queue, Ticket, now};
use crate::redaction::{escape, redact};
use crate::repository_name::RepositoryName;
use crate::signature::{Secret, Secrets};
use crate::site::{self, DEFAULT_MAX_BODY, Site, StatusPage};
use crate::state::StateFolder;
use crate::web_address::WebAddress;
use crate::worker::{Waited, Worker};
use concern::{Concern, Look};

pub(crate) use response::LAST_RESORT;

/// How long it may take to find out whether a push concerns us; and a ping, where a site does not wait.
const LOOK_LIMIT: Duration = Duration::from_secs(4);

/// The longest name of a repository that goes further, in bytes. GitHub's have 140.
const MAX_REPOSITORY_NAME: usize = 300;

/// An answer, and the line about it for the server's error log, where there is something to say.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) response: Response,
    pub(crate) log: Option<String>,
}

/// What is answered before a signature held: nobody has proved anything.
enum BeforeProof {
    /// A GET or HEAD: the site can be used, or it cannot.
    Shown(Shown),
    NotReady(Unusable),
    NotShown(anyhow::Error),
    Refused(Refusal),
    Unusable(Unusable),
}

/// What keeps a site from being used.
enum Unusable {
    NoSite,
    SiteFile(anyhow::Error),
    SecretFile(anyhow::Error),
    Checkout(anyhow::Error),
}

/// What a verified delivery is answered.
enum Answer {
    Pong {
        worst: Health,
        report: String,
    },
    Ignored(String),
    /// A workflow has to succeed first.
    Waiting(String),
    Pushed(PushResult),
    /// Ours or the host's fault.
    Error(anyhow::Error),
}

/// What becomes of a push.
enum PushResult {
    /// A deploy whose outcome is known, and what became of the same delivery before.
    Ended {
        record: Box<Record>,
        before: Option<Box<Record>>,
    },
    /// Without an outcome, and with this output.
    WorkerDied(String),
    Accepted {
        delivery: String,
        waited: Duration,
    },
    Queued,
    /// Deploys are held, and so many deliveries wait.
    Held(Hold, usize),
    NotQueued(String),
}

/// Answers the request in `env`, which began at `started`. `args` are all of this process, its name first.
pub(crate) fn answer(env: &Environment, args: &[OsString], started: Instant) -> Answered {
    let mut answered = decide(env, args, started);
    answered.response.head_only = env.variable("REQUEST_METHOD").once() == Some(b"HEAD");
    answered
}

fn decide(env: &Environment, args: &[OsString], started: Instant) -> Answered {
    let script = site::started_script();
    // Behind our name the kernel puts the script's.
    let of_the_kernel = if script.is_some() { 2 } else { 1 };
    let arguments = args.get(of_the_kernel..).unwrap_or_default();
    let file = script.or_else(|| site::named_by_the_server(env, arguments));
    let site = site_of(file, env);
    let body = Body::of(env, started);
    let max_body = site.as_ref().map_or(DEFAULT_MAX_BODY, |site| site.max_body);

    let request = match Request::read(env, arguments) {
        Ok(request) if request.method == b"POST" => request,
        other => {
            ignore(body.drain(max_body), "no body is asked for here");
            return without_a_delivery(other, site);
        }
    };
    let claims = match Claims::read(&request) {
        Ok(claims) => claims,
        Err(refusal) => {
            let first = body.drain(max_body).map_err(Refusal::Body).err();
            return BeforeProof::Refused(first.unwrap_or(refusal)).into();
        }
    };
    let (site, secrets) = match site.and_then(with_secrets) {
        Ok(usable) => usable,
        Err(unusable) => {
            return match body.drain(max_body) {
                Ok(()) => BeforeProof::Unusable(unusable).into(),
                Err(bad) => BeforeProof::Refused(Refusal::Body(bad)).into(),
            };
        }
    };
    match Delivery::verify(claims, &secrets, body, site.max_body) {
        Ok(delivery) => VerifiedRequest {
            site: &site,
            env,
            delivery: &delivery,
            started,
        }
        .answer()
        .without(&site.secret_words()),
        Err(refusal) => Answered {
            log: told_of_blanks(&refusal, &site, &secrets),
            ..BeforeProof::Refused(refusal).into()
        },
    }
}

fn site_of(file: Option<PathBuf>, env: &Environment) -> Result<Site, Unusable> {
    Site::read(&file.ok_or(Unusable::NoSite)?, env).map_err(Unusable::SiteFile)
}

fn with_secrets(site: Site) -> Result<(Site, Secrets), Unusable> {
    let secrets = site.secrets().map_err(Unusable::SecretFile)?;
    Ok((site, secrets))
}

/// The answer to what is no POST.
fn without_a_delivery(
    request: Result<Request<'_>, BadHead>,
    site: Result<Site, Unusable>,
) -> Answered {
    match request {
        Err(why) => BeforeProof::Refused(Refusal::Head(why)).into(),
        Ok(request) if matches!(request.method, b"GET" | b"HEAD") => match site.and_then(usable) {
            Ok((site, secrets)) => page::shown(&site, &secrets, &request)
                .map_or_else(BeforeProof::NotShown, BeforeProof::Shown)
                .into(),
            Err(unusable) => BeforeProof::NotReady(unusable).into(),
        },
        Ok(_) => BeforeProof::Refused(Refusal::Method).into(),
    }
}

/// A site that could take a delivery, as far as a stranger may make us look: git is not started.
fn usable(site: Site) -> Result<(Site, Secrets), Unusable> {
    let (site, secrets) = with_secrets(site)?;
    if !clone::is_due(&site) {
        clone::whole_of(&site).map_err(Unusable::Checkout)?;
    }
    Ok((site, secrets))
}

/// The usual cause of a wrong signature, for the server's error log.
fn told_of_blanks(refusal: &Refusal, site: &Site, secrets: &Secrets) -> Option<String> {
    let has_blanks = secrets.iter().any(Secret::has_blanks_around);
    (*refusal == Refusal::SignatureWrong && has_blanks).then(|| {
        format!(
            "error: a signature does not match, and in {} a secret begins or ends with a blank, which counts: remove it, \
             unless the webhook's secret has it too",
            site.secret_file.display()
        )
    })
}

impl From<BeforeProof> for Answered {
    fn from(answer: BeforeProof) -> Self {
        let log = match &answer {
            BeforeProof::NotReady(unusable) | BeforeProof::Unusable(unusable) => {
                Some(unusable.told_to_the_host())
            }
            BeforeProof::NotShown(error) => Some(format!("error: {error:#}")),
            BeforeProof::Shown(_) | BeforeProof::Refused(_) => None,
        };
        Self {
            response: answer.into_response(),
            log,
        }
    }
}

impl Unusable {
    /// For the server's error log, which the host's people read.
    fn told_to_the_host(&self) -> String {
        match self {
            Self::NoSite => {
                "error: no site file: begin it with #! and the path of deploy-cgi, or set DEPLOY_CGI_SITE".to_owned()
            }
            Self::SiteFile(error) | Self::SecretFile(error) | Self::Checkout(error) => {
                format!("error: {error:#}")
            }
        }
    }
}

impl Answer {
    /// What may be said after the signature held: all but secrets and credentials, and no control characters.
    fn without(self, secrets: &[String]) -> Answered {
        let log = match &self {
            Self::Error(error) => Some(format!("error: {error:#}")),
            Self::Pushed(PushResult::NotQueued(why) | PushResult::WorkerDied(why)) => {
                Some(format!("error: {why}"))
            }
            Self::Pong { .. }
            | Self::Ignored(_)
            | Self::Waiting(_)
            | Self::Pushed(
                PushResult::Ended { .. }
                | PushResult::Accepted { .. }
                | PushResult::Queued
                | PushResult::Held(..),
            ) => None,
        };
        let hide = |text: &str| escape(&redact(text, secrets.iter().map(String::as_str)));
        let mut response = self.into_response();
        response.body = hide(&response.body);
        Answered {
            response,
            log: log.map(|log| hide(&log)),
        }
    }
}

/// A deploy that a delivery asks for.
struct Owed {
    state: StateFolder,
    request: PushRequest,
    /// Git's configuration, as it was read to find out.
    config: Option<Handover>,
}

/// A delivery that GitHub sent, and the site it is for.
struct VerifiedRequest<'a> {
    site: &'a Site,
    env: &'a Environment,
    delivery: &'a Delivery,
    started: Instant,
}

impl VerifiedRequest<'_> {
    fn answer(&self) -> Answer {
        // Before anything is made: some servers start programs with a umask that takes the owner's rights, too.
        rustix::process::umask(self.site.umask);
        let answer = match &self.delivery.event {
            Event::Ping(ping) => self.ping(ping),
            Event::Push(push) => self.push(push),
            Event::WorkflowRun(run) => self.workflow_run(run),
            Event::Other(name) => self.ignore(format!("the event {name}: only a push is deployed")),
        };
        answer.unwrap_or_else(Answer::Error)
    }

    /// A ping is the doctor for a person with only a browser.
    fn ping(&self, ping: &Ping) -> Result<Answer> {
        // It makes the first checkout, too; how that went is in the report.
        if clone::is_due(self.site) && self.site.workflow.is_none() {
            let owed = Owed {
                state: self.open()?,
                request: self.push_request(&Push::default()),
                config: None,
            };
            let result = self.deploy(owed)?;
            if let PushResult::NotQueued(_) | PushResult::WorkerDied(_) = result {
                return Ok(Answer::Pushed(result));
            }
        }
        let opened = self.open();
        let until = self.started + self.site.wait.max(LOOK_LIMIT);
        let findings = doctor::examine(self.site, self.env, until, Some((ping, self.delivery)));
        let mut report = doctor::report(&findings);
        if let Ok(state) = opened {
            if let Some(address) = &ping.address {
                ignore(
                    hook_address::note(&state, address),
                    "only links are made of it",
                );
            }
            if let Some(last) = History::of(&state).last()? {
                let _ = write!(
                    report,
                    "\nThe last deploy, {}:\n\n{}",
                    last.time,
                    last.told()
                );
            }
            self.serve_what_waits(&state)?;
        }
        let worst = doctor::worst(&findings);
        Ok(Answer::Pong { worst, report })
    }

    fn push(&self, push: &Push) -> Result<Answer> {
        let owed = match self.owed_for(push)? {
            ControlFlow::Continue(owed) => owed,
            ControlFlow::Break(answer) => return Ok(answer),
        };
        let waits = self.waits_for_a_run(&owed.state, push)?;
        match waits.filter(|_| Hold::of(&owed.state).is_none()) {
            Some(waits) => {
                self.serve_what_waits(&owed.state)?;
                Ok(waits)
            }
            None => self.deploy(owed).map(Answer::Pushed),
        }
    }

    /// What is owed for a push that concerns this site; else its answer.
    fn owed_for(&self, push: &Push) -> Result<ControlFlow<Answer, Owed>> {
        let found = clone::stage_of(self.site)?;
        if let Stage::Begun(checkout) | Stage::Whole(checkout) = &found {
            StateFolder::examine(checkout, self.site)?;
        }
        let mut request = self.push_request(push);
        let until = self.started + LOOK_LIMIT;
        let Look { concern, config } = Look::of(self.site, self.env, push, &found, until)?;
        match concern {
            Concern::Ours => {}
            Concern::Submodule { path, new_default } => {
                request.submodule = Some(path);
                request.new_default = new_default;
            }
            Concern::Not(why) => return self.ignore(why).map(ControlFlow::Break),
        }
        // Only for what concerns us is anything made.
        let checkout = clone::checkout_of(self.site)?;
        Ok(match StateFolder::open(&checkout, self.site) {
            Ok(state) => {
                // By their exact names: nothing else of a delivery goes further.
                let known = LastGood::read(&state)?.unwrap_or_default().submodules;
                let named = push.paths.iter().filter(|path| known.contains_key(*path));
                request.moved = named.cloned().collect();
                ControlFlow::Continue(Owed {
                    state,
                    request,
                    config,
                })
            }
            Err(error) => {
                ControlFlow::Break(Answer::Pushed(PushResult::NotQueued(format!("{error:#}"))))
            }
        })
    }

    fn push_request(&self, push: &Push) -> PushRequest {
        let origin = self.site.github.as_ref().map(|_| Origin {
            repository: RepositoryName::parse(&push.repository)
                .filter(|_| push.repository.len() <= MAX_REPOSITORY_NAME),
            api: push.api.clone(),
            page: self.page_for_everybody(),
        });
        PushRequest {
            delivery: self.delivery.id.clone(),
            git_ref: push.git_ref.clone(),
            before: push.before.clone(),
            after: push.after.clone(),
            submodule: None,
            new_default: None,
            moved: Vec::new(),
            green: false,
            origin,
            received: now(),
            earlier: Vec::new(),
        }
    }

    /// The address of the status page, where nobody needs a key for it: as the sender calls it.
    fn page_for_everybody(&self) -> Option<WebAddress> {
        match self.site.status_page {
            StatusPage::Open => cgi::address(self.env).and_then(|text| WebAddress::parse(&text)),
            StatusPage::Off | StatusPage::SecretLink => None,
        }
    }

    /// Leaves a ticket, and sees to it that somebody serves it.
    fn deploy(&self, owed: Owed) -> Result<PushResult> {
        let (state, push) = (&owed.state, owed.request);
        let history = History::of(state);
        // An ornament of the answer, and no reason to refuse a push.
        let before = history.of_delivery(&self.delivery.id).unwrap_or_default();
        let queue = Queue::of(state);
        // From here the work survives our death.
        let ticket = match queue.enqueue(&push) {
            Ok(ticket) => ticket,
            Err(EnqueueError::Full) => {
                self.serve_what_waits(state)?;
                return Ok(PushResult::NotQueued(
                    "1000 deploys wait already and none was served: run ./deploy.cgi check on the server".into(),
                ));
            }
            Err(EnqueueError::Error(error)) => {
                return Ok(PushResult::NotQueued(format!("{error:#}")));
            }
        };
        if Hold::of(state).is_some() {
            queue.merge()?;
        }
        // Asked again: whoever has released them meanwhile found the line taken.
        if let Some(held) = held(state)? {
            self.serve_what_waits(state)?;
            return Ok(held);
        }
        let Some(place) = queue.try_line()? else {
            return Ok(PushResult::Queued);
        };
        let end = self.started + self.site.wait;
        let config = owed.config.as_ref();
        let worker = match Worker::start(self.site, self.env, place, Some(&ticket), config) {
            Ok(worker) => worker,
            Err(error) => return Ok(PushResult::WorkerDied(format!("{error:#}"))),
        };
        Ok(match worker.wait(end)? {
            Waited::TimedOut => PushResult::Accepted {
                delivery: push.delivery,
                waited: self.site.wait,
            },
            Waited::Ended { output } => match history.of_ticket(&ticket)? {
                Some(record) => PushResult::Ended {
                    record: Box::new(record),
                    before: before.map(Box::new),
                },
                None => match held(state)? {
                    Some(held) => held,
                    None => PushResult::WorkerDied(output.trim().to_owned()),
                },
            },
        })
    }

    /// Ignores the delivery itself; but any verified one that finds an unattended ticket starts a worker for it.
    fn ignore(&self, what: String) -> Result<Answer> {
        if let Ok(found) = clone::stage_of(self.site)
            && let Some(checkout) = found.checkout()
            && StateFolder::examine(&checkout, self.site).is_ok()
            && let Some(state) = StateFolder::existing(&checkout)
        {
            self.serve_what_waits(&state)?;
        }
        Ok(Answer::Ignored(what))
    }

    /// Starts a worker for tickets that nobody attends, or to finish a `back` that was killed.
    fn serve_what_waits(&self, state: &StateFolder) -> Result<()> {
        let queue = Queue::of(state);
        let is_held = Hold::of(state).is_some();
        if (unfinished_back::read(state)?.is_some() || (!is_held && !queue.is_empty()?))
            && let Some(place) = queue.try_line()?
        {
            Worker::start(self.site, self.env, place, None, None).map(drop)?;
        }
        Ok(())
    }

    fn open(&self) -> Result<StateFolder> {
        StateFolder::open(&clone::checkout_of(self.site)?, self.site)
    }
}

/// What becomes of a push while deploys are held.
fn held(state: &StateFolder) -> Result<Option<PushResult>> {
    let Some(hold) = Hold::of(state) else {
        return Ok(None);
    };
    let waiting = Queue::of(state)
        .list()?
        .iter()
        .flat_map(Ticket::serves)
        .count();
    Ok(Some(PushResult::Held(hold, waiting)))
}
