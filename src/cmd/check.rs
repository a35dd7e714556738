//! `check`: the doctor, for a person at a terminal.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

use super::{Done, in_colours, print, print_json};
use crate::cgi::Environment;
use crate::doctor::{self, Finding, Health};
use crate::shell::each_block_once;
use crate::site::Site;

/// How long the remote may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is printed: text for a person, or one JSON value for a machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

/// Examines a site and prints what was found.
pub(crate) fn check(file: &Path, env: &Environment, format: Format) -> Result<Done> {
    let findings = match Site::read(file, env) {
        Ok(site) => doctor::examine(&site, env, Instant::now() + PATIENCE, None),
        Err(error) => doctor::unreadable(file, &error, env),
    };
    let worst = doctor::worst(&findings);
    let healthy = worst != Health::Problem;
    if format == Format::Json {
        print_json(&Examined {
            healthy,
            verdict: worst.verdict(),
            findings: findings.iter().map(Line::from).collect(),
        })?;
    } else {
        let report = in_colours(&each_block_once(&doctor::report(&findings)));
        print(&format!(
            "{report}\nA{}.\n",
            worst.verdict().trim_start_matches('a')
        ))?;
    }
    Ok(if healthy { Done::Yes } else { Done::No })
}

/// What `--json` prints.
#[derive(Serialize)]
struct Examined<'a> {
    healthy: bool,
    verdict: &'static str,
    findings: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    what: &'static str,
    state: Health,
    found: &'a str,
    advice: Option<&'a str>,
    commands: &'a [String],
}

impl<'a> From<&'a Finding> for Line<'a> {
    fn from(finding: &'a Finding) -> Self {
        let advice = finding.said.advice.as_ref();
        Self {
            what: finding.what,
            state: finding.state,
            found: &finding.said.cause,
            advice: advice.map(|advice| advice.words.as_str()),
            commands: advice.map_or(&[], |advice| &advice.commands),
        }
    }
}
