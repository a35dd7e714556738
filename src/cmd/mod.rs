//! The verbs for a person: one file each, thin. Asks a room, prints, and turns the result into an exit code: 0 done,
//! 1 failed, 2 misused.

mod check;
pub(crate) mod cli;
mod demo;
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

use crate::cgi::Environment;
use crate::redaction;
use crate::site::{self, Site};
use crate::worker;
use cli::{Cli, Verb};

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
}

fn dispatch(env: &Environment, site: Option<&Path>, cli: &Cli) -> Result<Done> {
    let site_file = || match site {
        Some(site) => Ok(site),
        None => {
            bail!("which site? Give its file first, as in `deploy-cgi /path/to/deploy.cgi check`")
        }
    };
    match &cli.verb {
        Some(Verb::Demo) => demo::demo(env),
        Some(Verb::Sign { sha1 }) => sign::sign(&Site::read(site_file()?, env)?, *sha1),
        Some(Verb::Run) => run::run(&Site::read(site_file()?, env)?, env),
        Some(Verb::Status {
            json,
            last,
            delivery,
        }) => status::status(
            &Site::read(site_file()?, env)?,
            *json,
            *last,
            delivery.as_deref(),
        ),
        Some(Verb::Check { json }) => check::check(site_file()?, env, *json),
        None if site.is_some() => check::check(site_file()?, env, false),
        None => {
            print(&cli::help())?;
            Ok(Done::Yes)
        }
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
        Err(error) => {
            drop(writeln!(std::io::stderr(), "deploy-cgi: {}", shown(&error)));
            ExitCode::FAILURE
        }
    }
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
