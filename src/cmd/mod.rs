//! The verbs for a person: one file each, thin. Asks a room, prints, and turns the result into an exit code: 0 done,
//! 1 failed, 2 misused.

mod back;
mod check;
pub(crate) mod cli;
mod demo;
mod hold;
mod init;
mod link;
mod local_time;
mod run;
mod sign;
mod status;

use std::ffi::OsString;
use std::fmt::{Display, Formatter};
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;
use clap::builder::styling::AnsiColor;
use serde::Serialize;

use crate::cgi::Environment;
use crate::redaction;
use crate::shell::{quoted, word};
use crate::site::{self, Site};
use crate::user::{User, name_of};
use crate::worker;
use check::Format;
use cli::{Cli, Verb};
use run::Passing;
use sign::Headers;

/// Runs the verb that the arguments name.
pub(crate) fn run(env: &Environment, args: &[OsString]) -> ExitCode {
    if args.get(1).is_some_and(|verb| verb == worker::VERB) {
        return match serve(env, &args[2..]) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) if error.is::<Misuse>() => exit(Err(error)),
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
        Ok(cli) => exit(dispatch(env, site.as_deref(), &cli, rest)),
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

/// A verb that was called wrongly, and how it is called.
#[derive(Debug)]
pub(crate) struct Misuse(pub(crate) String);

impl Display for Misuse {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misuse {}

fn dispatch(env: &Environment, site: Option<&Path>, cli: &Cli, words: &[OsString]) -> Result<Done> {
    match (&cli.verb, site) {
        (Some(Verb::Demo), _) => return demo::demo(env),
        (Some(Verb::Init(args)), _) => return init::init(args, site, env),
        (None, None) => {
            print(&cli::help().ansi().to_string())?;
            return Ok(Done::Yes);
        }
        _ => {}
    }
    let Some(file) = site else {
        bail!(Misuse(
            "which site? Give its file first, as in `deploy-cgi /path/to/deploy.cgi check`".into()
        ));
    };
    // One that may not be looked at is there.
    let is_there = !file.is_dir() && file.try_exists().unwrap_or(true);
    if !is_there {
        bail!(Misuse(format!("there is no site file {}", file.display())));
    }
    // Printed commands run from any folder.
    let file = &std::path::absolute(file)?;
    ensure_owner(file, env, cli.verb.as_ref(), words)?;
    let read = || Site::read(file, env);
    match &cli.verb {
        Some(Verb::Sign { sha1: false }) => sign::sign(&read()?, Headers::Both),
        Some(Verb::Sign { sha1: true }) => sign::sign(&read()?, Headers::Sha1),
        Some(Verb::Run { anyway: false }) => run::run(&read()?, env, Passing::Nothing),
        Some(Verb::Run { anyway: true }) => run::run(&read()?, env, Passing::All),
        Some(Verb::Hold { why }) => hold::hold(&read()?, why.as_deref().unwrap_or_default()),
        Some(Verb::Back { commit }) => back::back(&read()?, env, commit.as_deref()),
        Some(Verb::Release) => hold::release(&read()?, env),
        Some(Verb::Status(args)) if args.link => link::link(&read()?),
        Some(Verb::Status(args)) => status::status(&read()?, args, env),
        Some(Verb::Check { json: true }) => check::check(file, env, Format::Json),
        Some(Verb::Check { json: false } | Verb::Demo | Verb::Init(_)) | None => {
            check::check(file, env, Format::Text)
        }
    }
}

/// A site is looked after by the user who owns its checkout, or the folder where that is to be: another one cannot tell how
/// it is, and files of another's would break the next delivery.
fn ensure_owner(
    file: &Path,
    env: &Environment,
    verb: Option<&Verb>,
    words: &[OsString],
) -> Result<()> {
    let is_closed = |error: &std::io::Error| error.kind() == ErrorKind::PermissionDenied;
    let writes = matches!(
        verb,
        Some(Verb::Run { .. } | Verb::Hold { .. } | Verb::Release | Verb::Back { .. })
    );
    let mut there = match Site::read(file, env) {
        Ok(site) => site.repo,
        Err(error) if error.downcast_ref().is_some_and(is_closed) => file.to_owned(),
        // Whoever reads it next says why.
        Err(_) => return Ok(()),
    };
    let owner = loop {
        match there.metadata() {
            Ok(found) => break found.uid(),
            Err(error) if (writes || is_closed(&error)) && there.pop() => {}
            Err(_) => return Ok(()),
        }
    };
    let user = User::running(env);
    if owner == user.uid {
        return Ok(());
    }
    let owner = name_of(owner);
    let words = words.iter().map(|text| word(&text.to_string_lossy()));
    let words: Vec<String> = words.collect();
    let words = if words.is_empty() {
        "check".to_owned()
    } else {
        words.join(" ")
    };
    bail!(
        "{} belongs to {owner}, and you are {}, whose files would be in the way of the next delivery. Run it as the owner:\n    \
         sudo -u {} {} {words}",
        there.display(),
        user.shown(),
        word(&owner),
        quoted(file)
    )
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
        bail!(Misuse("the worker was started without a site file".into()))
    };
    let ticket = args.get(1).and_then(|ticket| ticket.to_str());
    worker::work(&Site::read(Path::new(file), env)?, env, ticket)
}

fn exit(done: Result<Done>) -> ExitCode {
    match done {
        Ok(Done::Yes) => ExitCode::SUCCESS,
        Ok(Done::No) => ExitCode::FAILURE,
        Err(error) => {
            complain(&shown(&error));
            ExitCode::from(if error.is::<Misuse>() { 2 } else { 1 })
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

/// Prints for a person or a pipe, which sees no colours. A reader that has left is no failure.
#[expect(clippy::disallowed_methods, reason = "what a person reads")]
pub(crate) fn print(text: &str) -> Result<()> {
    match anstream::AutoStream::auto(std::io::stdout()).write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A word that says how it went, in its colour.
pub(crate) fn coloured(word: &str) -> String {
    let colour = match word {
        "ok" | "deployed" => AnsiColor::Green,
        "warning" => AnsiColor::Yellow,
        "PROBLEM" | "failed" => AnsiColor::Red,
        _ => return word.to_owned(),
    };
    let style = colour.on_default();
    format!("{style}{word}{style:#}")
}

/// A report, with the words that lines begin with in their colours.
pub(crate) fn in_colours(report: &str) -> String {
    let coloured = report.split_inclusive('\n').map(|line| {
        let word = line.split([' ', '\n']).next().unwrap_or(line);
        coloured(word) + &line[word.len()..]
    });
    coloured.collect()
}

/// Prints one JSON value on a line.
pub(crate) fn print_json(value: &impl Serialize) -> Result<()> {
    print(&format!("{}\n", serde_json::to_string(value)?))
}
