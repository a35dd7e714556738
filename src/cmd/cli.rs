//! The command line as clap sees it. Knows nothing else of the program, so that the man page and the completions can be
//! made from it when packaging.

use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};

/// Deploys a git checkout when GitHub delivers a push.
///
/// A site is a deploy.cgi file, executable, whose first line names this program. The web server starts it for each
/// delivery; a person runs it with a verb.
#[derive(Debug, Parser)]
#[command(
    name = "deploy-cgi",
    version,
    disable_help_subcommand = true,
    override_usage = "./deploy.cgi [VERB]\n       deploy-cgi [SITE] [VERB]\n       deploy-cgi init [OPTIONS] [SITE]"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
}

/// What a person can ask for.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Write a secret and a site file, and print what to enter at GitHub
    Init {
        /// The checkout to deploy; without it the one you are in, or the only one in your home
        #[arg(long, value_name = "DIR")]
        repo: Option<PathBuf>,
        /// Where the secret is kept, or is already; outside every web root
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
        /// The address of the site file on the web
        #[arg(long)]
        url: Option<String>,
        /// Print what would be written, and write nothing
        #[arg(long)]
        dry_run: bool,
        /// Print deploy.php for the site, where the host has PHP and no CGI; what init says goes to the error output
        #[arg(long)]
        php: bool,
        /// The site file to write; without it deploy.cgi in the cgi-bin that you have
        #[arg(value_name = "SITE")]
        site: Option<PathBuf>,
    },
    /// Look at every thing a deploy needs, and say what to do (what a site does without a verb)
    Check {
        /// Print JSON, for machines
        #[arg(long)]
        json: bool,
    },
    /// Deploy now, and serve what waits; also for cron
    Run {
        /// Although deploys are held
        #[arg(long)]
        anyway: bool,
    },
    /// Stop deploying: deliveries wait until `release`
    Hold {
        /// What those are told who push meanwhile
        #[arg(value_name = "WHY")]
        why: Option<String>,
    },
    /// Go on after `hold`: deploy now, and serve what waits
    Release,
    /// Tell what runs, what waits, and the last deploys; or the whole report of one delivery
    Status {
        /// Print JSON, for machines
        #[arg(long)]
        json: bool,
        /// How many deploys
        #[arg(short = 'n', value_name = "N", default_value_t = 10)]
        last: usize,
        /// Go on telling, every second
        #[arg(long, conflicts_with_all = ["json", "delivery"])]
        watch: bool,
        /// A delivery's id, as GitHub shows it
        #[arg(value_name = "DELIVERY")]
        delivery: Option<String>,
    },
    /// Print the signature headers for a body on standard input, to try the hook with curl
    Sign {
        /// Print the older X-Hub-Signature only
        #[arg(long)]
        sha1: bool,
    },
    /// Play one whole delivery in a temporary folder
    Demo,
}

/// The help text.
pub(crate) fn help() -> String {
    Cli::command().render_help().to_string()
}
