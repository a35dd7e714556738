//! `check`: the doctor, for a person at a terminal.

use std::path::Path;

use anyhow::Result;
use serde_json::json;

use super::{Done, print};
use crate::cgi::Environment;
use crate::doctor::{self, Finding, Health};
use crate::site::Site;

/// Examines a site and prints what was found.
pub(crate) fn check(file: &Path, env: &Environment, json: bool) -> Result<Done> {
    let findings = match Site::read(file, env) {
        Ok(site) => doctor::examine(&site, env),
        Err(error) => vec![doctor::unreadable(&error)],
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
    json!({ "what": finding.what, "state": state, "found": finding.found, "advice": finding.advice })
}
