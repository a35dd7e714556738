//! `check`: the doctor, for a person at a terminal.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use super::{Done, print};
use crate::cgi::Environment;
use crate::doctor::{self, Finding, Health};
use crate::site::Site;

/// How long the remote may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Examines a site and prints what was found.
pub(crate) fn check(file: &Path, env: &Environment, json: bool) -> Result<Done> {
    let findings = match Site::read(file, env) {
        Ok(site) => doctor::examine(&site, env, Instant::now() + PATIENCE),
        Err(error) => doctor::unreadable(file, &error, env),
    };
    let healthy = !findings.iter().any(Finding::is_problem);
    if json {
        let all: Vec<_> = findings.iter().map(as_json).collect();
        print(&format!(
            "{}\n",
            json!({ "healthy": healthy, "findings": all })
        ))?;
    } else {
        let verdict = if healthy {
            "A deploy would work."
        } else {
            "A deploy would fail."
        };
        print(&format!("{}\n{verdict}\n", doctor::report(&findings)))?;
    }
    Ok(if healthy { Done::Yes } else { Done::No })
}

fn as_json(finding: &Finding) -> serde_json::Value {
    let state = match finding.state {
        Health::Ok => "ok",
        Health::Warning => "warning",
        Health::Problem => "problem",
    };
    let words = finding.advice.as_ref().map(|advice| advice.words.as_str());
    let commands = finding
        .advice
        .as_ref()
        .map_or(&[][..], |advice| advice.commands.as_slice());
    json!({
        "what": finding.what,
        "state": state,
        "found": finding.found,
        "advice": words,
        "commands": commands,
    })
}
