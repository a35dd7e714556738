//! The command line as clap sees it. Knows nothing else of the program, so that the man page and the completions can be
//! made from it when packaging.

use std::fmt::Write;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueHint};

/// Two lines that people type, and what they do.
pub(crate) const EXAMPLES: &[(&str, &str)] = &[
    (
        "deploy-cgi init --url https://example.org/cgi-bin/deploy.cgi",
        "Write the files of a site",
    ),
    ("./deploy.cgi status -n 20", "Show the last twenty deploys"),
];

/// The variables that the program looks at.
pub(crate) const ENVIRONMENT: &[(&str, &str)] = &[
    (
        "DEPLOY_CGI_SITE",
        "The site file, where neither the web server nor the first argument names one",
    ),
    ("NO_COLOR", "Where it is set, there are no colours"),
];

/// What the program's exit codes mean.
pub(crate) const EXIT_CODES: &[(&str, &str)] = &[
    ("0", "Done; for check: a deploy would work, or may fail"),
    ("1", "Failed; for check: a deploy would fail"),
    ("2", "Wrong use"),
];

/// Deploys a git checkout when GitHub delivers a push.
///
/// A site is a deploy.cgi file, executable, whose first line names this program. The web server starts it for each
/// delivery; a person runs it with a verb.
#[derive(Debug, Parser)]
#[command(
    name = "deploy-cgi",
    version,
    after_help = after_help(),
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
    Init(InitArgs),
    /// Look at every thing a deploy needs, and say what to do (what a site does without a verb)
    Check {
        /// Print JSON, for machines
        #[arg(long)]
        json: bool,
    },
    /// Deploy now, and serve what waits; also for cron
    Run {
        /// Although deploys are held, and whatever a workflow says of the newest commit
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
    /// Bring back the last good deploy before this one, or a commit of the branch; deploys are held then
    Back {
        /// The first 7 digits of its id, or more
        #[arg(value_name = "COMMIT", value_hint = ValueHint::Other)]
        commit: Option<String>,
    },
    /// Tell what runs, what waits, and the last deploys; or the whole report of one delivery
    Status(StatusArgs),
    /// Print the signature headers for a body on standard input, to try the hook with curl
    Sign {
        /// Print the older X-Hub-Signature only
        #[arg(long)]
        sha1: bool,
    },
    /// Play one whole delivery in a temporary folder
    Demo,
}

/// What is said of the site to be; the rest is found out.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The checkout to deploy; without it the one you are in, or the only one in your home
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) repo: Option<PathBuf>,
    /// Where the secret is kept, or is already; outside every web root
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) secret_file: Option<PathBuf>,
    /// The private key for the remote; made where it is not there
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) ssh_key: Option<PathBuf>,
    /// The address of the site file on the web
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// Print what would be written, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print deploy.php for the site, where the host has PHP and no CGI; what init says goes to the error output
    #[arg(long)]
    pub(crate) php: bool,
    /// The site file to write; without it one in the cgi-bin that you have, named as the address ends or deploy.cgi
    #[arg(value_name = "SITE", value_hint = ValueHint::FilePath)]
    pub(crate) site: Option<PathBuf>,
}

/// What is told.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Print JSON, for machines
    #[arg(long)]
    pub(crate) json: bool,
    /// How many deploys
    #[arg(short = 'n', value_name = "N", default_value_t = 10)]
    pub(crate) last: usize,
    /// Go on telling, every second
    #[arg(long, conflicts_with_all = ["json", "delivery"])]
    pub(crate) watch: bool,
    /// Print how to open the status page, with its key
    #[arg(long, conflicts_with_all = ["json", "last", "watch", "delivery"])]
    pub(crate) link: bool,
    /// A delivery's id, as GitHub shows it, or the beginning of one
    #[arg(value_name = "DELIVERY", value_hint = ValueHint::Other, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) delivery: Option<String>,
}

/// What clap does not know of.
fn after_help() -> String {
    let sections = [
        ("Examples", EXAMPLES),
        ("Environment", ENVIRONMENT),
        ("Exit codes", EXIT_CODES),
    ];
    let mut help = String::new();
    for (name, rows) in sections {
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let _ = writeln!(help, "{name}:");
        for (name, meaning) in rows {
            let _ = writeln!(help, "  {name:width$}  {meaning}");
        }
        help.push('\n');
    }
    help.truncate(help.trim_end().len());
    help
}

/// The help text.
pub(crate) fn help() -> clap::builder::StyledStr {
    Cli::command().render_help()
}
