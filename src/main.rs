//! deploy-cgi: a CGI program that deploys a git checkout when GitHub delivers a push.
//!
//! The map, from the ground up: a room knows only those above it in this table.
//!
//! | room | what lives there |
//! | --- | --- |
//! | [`ignored`] | errors that are meant to be ignored |
//! | [`commit_id`], [`repository_name`], [`moment`] | values that are right once they exist |
//! | [`random`], [`files`] | random bytes; one bounded read that follows no link, one durable write |
//! | [`redaction`] | what text from outside looks like when it is shown |
//! | [`signature`] | secrets and the signatures made with them |
//! | [`cgi`] | the request's environment, head and body; the response; RFC 3875 |
//! | [`process`] | the only place that starts a process |
//! | [`remote_url`] | the URL of a remote, shown without its login |
//! | [`web_address`] | the address of a page |
//! | [`user`] | who we run as, their home, and the environment of what we start |
//! | [`delivery`] | a webhook delivery, and the proof that GitHub sent it |
//! | [`shell`] | words and commands that reports print, fit to be pasted |
//! | [`site`] | the deploy.cgi file |
//! | [`git`] | the git commands we use, a method each, and what git is told |
//! | [`diagnosis`] | why a step failed, and what to do about it |
//! | [`state`] | the folder `<git dir>/deploy-cgi` |
//! | [`hook_address`] | at which address GitHub calls |
//! | [`outcome`] | how a deploy can end, and its report |
//! | [`queue`] | tickets, and whose turn it is |
//! | [`green`] | which commits a workflow has passed |
//! | [`hold`] | whether deploys are held |
//! | [`curl`] | the only place that asks the web for something |
//! | [`live`] | whether visitors see the site |
//! | [`history`] | what happened and when |
//! | [`commit_status`] | what GitHub shows beside a commit |
//! | [`last_good`] | what the last good deploy left |
//! | [`backup`] | keeping what a reset removes |
//! | [`deploy`] | one turn: prepare, pull, submodules, verify, `on_update`, record |
//! | [`doctor`] | every thing a deploy needs, examined |
//! | [`worker`] | the deploy outside the request |
//! | [`page`] | the status page, as a page, text, JSON and a badge |
//! | [`answer`] | one request from beginning to end |
//! | [`cmd`] | the verbs for a person |
//!
//! A delivery starts two processes of this program. The front is what the web server started: it proves the signature,
//! leaves a ticket in the queue, starts a worker and waits for it as long as GitHub waits for us. The worker deploys,
//! in a session of its own, and outlives the front when it has to.

mod answer;
mod backup;
mod cgi;
mod cmd;
mod commit_id;
mod commit_status;
mod curl;
mod delivery;
mod deploy;
mod diagnosis;
mod doctor;
mod files;
mod git;
mod green;
mod history;
mod hold;
mod hook_address;
mod ignored;
mod last_good;
mod live;
mod moment;
mod outcome;
mod page;
mod process;
mod queue;
mod random;
mod redaction;
mod remote_url;
mod repository_name;
mod shell;
mod signature;
mod site;
mod state;
mod user;
mod web_address;
mod worker;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use crate::cgi::Environment;
use crate::ignored::ignore;

/// For the server's error log, where `mod_fcgid` or spawn-fcgi started us.
const STARTED_AS_FASTCGI: &str = "this is CGI, not FastCGI: let the server start it as a CGI program (Apache: `AddHandler \
     cgi-script .cgi`), or start fcgiwrap in its place (mod_fcgid: `FcgidWrapper /usr/sbin/fcgiwrap .cgi`)";

fn main() -> ExitCode {
    let started = Instant::now();
    let env = Environment::of_this_process();
    let args: Vec<OsString> = std::env::args_os().collect();
    if env.is_a_request() {
        respond(&env, &args, started)
    } else if cgi::is_fastcgi() {
        let told = writeln!(std::io::stderr(), "deploy-cgi: {STARTED_AS_FASTCGI}");
        ignore(told, "there is nobody else to tell");
        ExitCode::FAILURE
    } else {
        cmd::run(&env, &args)
    }
}

/// A web server called: whatever happens, there is one answer, and no argument is a command.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that writes a response"
)]
fn respond(env: &Environment, args: &[OsString], started: Instant) -> ExitCode {
    std::panic::set_hook(Box::new(|fault| {
        let answered = std::io::stdout().write_all(answer::LAST_RESORT.as_bytes());
        ignore(
            answered,
            "the server sees to it that nobody waits for an answer",
        );
        let logged = writeln!(std::io::stderr(), "deploy-cgi: fault: {fault}");
        ignore(logged, "there is nobody else to tell");
    }));
    let answered = answer::answer(env, args, started);
    if let Some(log) = answered.log {
        let line = redaction::escape_line(&log);
        let logged = writeln!(std::io::stderr(), "deploy-cgi: {line}");
        ignore(logged, "there is nobody else to tell");
    }
    let written = answered.response.write(std::io::stdout());
    ignore(written, "a client that has left is no failure of ours");
    ExitCode::SUCCESS
}
