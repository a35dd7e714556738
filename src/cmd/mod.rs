//! The verbs for a person: one file each, thin. Asks a room, prints, and turns the result into an exit code: 0 done,
//! 1 failed, 2 misused.

mod check;
pub(crate) mod cli;
mod demo;
mod hold;
mod init;
mod run;
mod sign;
mod status;

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;
use serde::Serialize;

use crate::cgi::Environment;
use crate::redaction;
use crate::site::{self, Site};
use crate::worker;
use cli::{Cli, Verb};
use init::{Entrance, Mode, Wishes};
use sign::Headers;

/// Runs the verb that the arguments name.
pub(crate) fn run(env: &Environment, args: &[OsString]) -> ExitCode {
    if args.get(1).is_some_and(|verb| verb == worker::VERB) {
        return match serve(env, &args[2..]) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                // Its front listens on the pipe.
                drop(print(&shown(&error)));
                ExitCode::FAILURE
            }
        };
    }
    let (site, rest) = site_and_rest(env, args);
    let name = OsString::from("deploy-cgi");
    match Cli::try_parse_from(std::iter::once(&name).chain(rest)) {
        Ok(cli) => exit(dispatch(env, site.as_deref(), &cli)),
        Err(usage) => {
            drop(usage.print());
            ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2))
        }
    }
}

/// Whether a verb did what it was asked.
pub(crate) enum Done {
    Yes,
    No,
    /// It was called wrongly, and has said how.
    Misused,
}

/// What a verb prints: text for a person, or one JSON value for a machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

impl From<&bool> for Format {
    /// As the option `--json` says.
    fn from(json: &bool) -> Self {
        if *json { Self::Json } else { Self::Text }
    }
}

fn dispatch(env: &Environment, site: Option<&Path>, cli: &Cli) -> Result<Done> {
    let site_file = match (&cli.verb, site) {
        (Some(Verb::Demo), _) => return demo::demo(env),
        (
            Some(Verb::Init {
                repo,
                secret_file,
                url,
                dry_run,
                php,
                site: named,
            }),
            _,
        ) => {
            return init::init(
                &Wishes {
                    repo: repo.as_deref(),
                    secret_file: secret_file.as_deref(),
                    url: url.as_deref(),
                    site: named.as_deref().or(site),
                    entrance: if *php { Entrance::Php } else { Entrance::Cgi },
                },
                if *dry_run { Mode::Dry } else { Mode::Write },
                env,
            );
        }
        (None, None) => {
            print(&cli::help())?;
            return Ok(Done::Yes);
        }
        (_, Some(site)) => site,
        (Some(_), None) => {
            complain(
                "which site? Give its file first, as in `deploy-cgi /path/to/deploy.cgi check`",
            );
            return Ok(Done::Misused);
        }
    };
    let read = || Site::read(site_file, env);
    match &cli.verb {
        Some(Verb::Sign { sha1: false }) => sign::sign(&read()?, Headers::Both),
        Some(Verb::Sign { sha1: true }) => sign::sign(&read()?, Headers::Sha1),
        Some(Verb::Run { anyway }) => run::run(&read()?, env, anyway.into()),
        Some(Verb::Hold { why }) => hold::hold(&read()?, env, why.as_deref().unwrap_or_default()),
        Some(Verb::Release) => hold::release(&read()?, env),
        Some(Verb::Status {
            json,
            last,
            watch: false,
            delivery,
        }) => status::status(&read()?, json.into(), *last, delivery.as_deref()),
        Some(Verb::Status { last, .. }) => status::watch(&read()?, *last),
        Some(Verb::Check { json }) => check::check(site_file, env, json.into()),
        None | Some(Verb::Demo | Verb::Init { .. }) => check::check(site_file, env, Format::Text),
    }
}

/// The site file and what is left of the arguments: the file the kernel started, whose path comes as the first
/// argument; else a first argument that names a file; else what `DEPLOY_CGI_SITE` names.
fn site_and_rest<'a>(env: &Environment, args: &'a [OsString]) -> (Option<PathBuf>, &'a [OsString]) {
    let rest = |from: usize| args.get(from..).unwrap_or_default();
    if let Some(script) = site::started_script() {
        return (Some(script), rest(2));
    }
    if let Some(first) = args.get(1)
        && (first.as_bytes().contains(&b'/') || first.as_bytes().ends_with(b".cgi"))
    {
        return (Some(Path::new(first).to_owned()), rest(2));
    }
    (env.first("DEPLOY_CGI_SITE").map(PathBuf::from), rest(1))
}

/// The worker's own verb: a site file, and perhaps the ticket that somebody waits for.
fn serve(env: &Environment, args: &[OsString]) -> Result<()> {
    let Some(file) = args.first() else {
        bail!("the worker was started without a site file")
    };
    let ticket = args.get(1).and_then(|ticket| ticket.to_str());
    worker::work(&Site::read(Path::new(file), env)?, env, ticket)
}

fn exit(done: Result<Done>) -> ExitCode {
    match done {
        Ok(Done::Yes) => ExitCode::SUCCESS,
        Ok(Done::No) => ExitCode::FAILURE,
        Ok(Done::Misused) => ExitCode::from(2),
        Err(error) => {
            complain(&shown(&error));
            ExitCode::FAILURE
        }
    }
}

fn complain(what: &str) {
    drop(writeln!(std::io::stderr(), "deploy-cgi: {what}"));
}

/// The whole chain of an error, fit to be shown.
fn shown(error: &anyhow::Error) -> String {
    redaction::escape(&redaction::redact(&format!("{error:#}"), []))
}

/// Prints for a person or a pipe. A reader that has left is no failure.
#[expect(clippy::disallowed_methods, reason = "what a person reads")]
pub(crate) fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Prints one JSON value on a line.
pub(crate) fn print_json(value: &impl Serialize) -> Result<()> {
    print(&format!("{}\n", serde_json::to_string(value)?))
}
