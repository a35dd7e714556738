//! Every thing a deploy needs, each with ok, warning or problem, and for those what to do.
//!
//! Looks and never writes, so that it can be asked at any time. Needs neither a request nor a turn.

use std::fmt::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::Access;

use crate::cgi::Environment;
use crate::clone;
use crate::delivery::{Form, Ping};
use crate::diagnosis::quoted;
use crate::git::{Checkout, Git, Unfollowing};
use crate::home::{User, name_of};
use crate::redaction::{brief, escape, redact};
use crate::signature::Secrets;
use crate::site::Site;
use crate::state::StateFolder;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) what: &'static str,
    pub(crate) state: Health,
    /// What was found, in a sentence.
    pub(crate) found: String,
    /// What to do about it.
    pub(crate) advice: Option<String>,
}

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Ok,
    /// A deploy works, but somebody should know.
    Warning,
    /// A deploy would fail.
    Problem,
}

impl Finding {
    fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self {
            what,
            state: Health::Ok,
            found: found.into(),
            advice: None,
        }
    }

    fn warning(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            what,
            state: Health::Warning,
            found: found.into(),
            advice: Some(advice.into()),
        }
    }

    fn problem(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            what,
            state: Health::Problem,
            found: found.into(),
            advice: Some(advice.into()),
        }
    }

    /// An error of ours, whose chain says what to do where there is something.
    fn error(what: &'static str, error: &anyhow::Error) -> Self {
        Self {
            what,
            state: Health::Problem,
            found: format!("{error:#}"),
            advice: None,
        }
    }

    pub(crate) fn is_problem(&self) -> bool {
        self.state == Health::Problem
    }
}

/// Examines a site whose file could be read, with the environment and as the user that would deploy it.
pub(crate) fn examine(site: &Site, env: &Environment) -> Vec<Finding> {
    let user = User::running(env);
    let mut findings = vec![
        Finding::ok("site file", site.file.display().to_string()),
        running_user(&user),
    ];
    let mut hidden = Vec::new();
    match site.secrets() {
        Ok(secrets) => {
            hidden.extend(
                secrets
                    .iter()
                    .map(|secret| String::from_utf8_lossy(secret.reveal()).into_owned()),
            );
            findings.push(secret_file(site, &secrets));
        }
        Err(error) => findings.push(Finding::error("secret file", &error)),
    }
    match Checkout::open(&site.repo) {
        Ok(checkout) => {
            findings.push(Finding::ok(
                "checkout",
                checkout.folder.display().to_string(),
            ));
            findings.extend(write_access(&checkout, &user));
            if let Err(error) = StateFolder::examine(&checkout, site) {
                findings.push(Finding::error("state folder", &error));
            }
            match Git::new(site, &checkout, env) {
                Ok(git) => {
                    findings.push(Finding::ok("git", git.program.display().to_string()));
                    findings.extend(branch_and_upstream(site, &git, &mut hidden));
                }
                Err(error) => findings.push(Finding::error("git", &error)),
            }
        }
        Err(_) if clone::is_due(site) => findings.push(Finding::warning(
            "checkout",
            format!("{} is not there yet", site.repo.display()),
            "the first push or ping clones it",
        )),
        Err(error) => findings.push(Finding::error("checkout", &error)),
    }
    let shown = |text: &str| escape(&redact(text, hidden.iter().map(String::as_str)));
    for finding in &mut findings {
        finding.found = shown(&finding.found);
        finding.advice = finding.advice.as_deref().map(shown);
    }
    findings
}

/// What a ping says about the hook itself.
pub(crate) fn of_ping(ping: &Ping, form: Form, of_site: &[Finding]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_subscribed =
        |events: &[String]| events.iter().any(|event| event == "push" || event == "*");
    match &ping.events {
        Some(events) if !is_subscribed(events) => findings.push(Finding::warning(
            "hook",
            "it does not deliver pushes",
            "choose \"Just the push event\" in the webhook's settings",
        )),
        Some(_) => findings.push(Finding::ok("hook", "delivers pushes")),
        None => {}
    }
    let content = match form {
        Form::Json => "application/json",
        Form::Urlencoded => {
            "application/x-www-form-urlencoded (application/json is simpler; both work)"
        }
    };
    findings.push(Finding::ok("content type", content));
    if ping.insecure_tls {
        findings.push(Finding::warning(
            "TLS",
            "GitHub does not check this server's certificate",
            "choose \"Enable SSL verification\" in the webhook's settings",
        ));
    }
    let ours = of_site
        .iter()
        .find(|finding| finding.what == "repository" && finding.state == Health::Ok);
    if let (Some(theirs), Some(ours)) = (&ping.repository, ours)
        && !ours.found.eq_ignore_ascii_case(theirs)
    {
        findings.push(Finding::warning(
            "hook",
            format!(
                "it belongs to {}, and this site follows {}: its pushes will be ignored",
                brief(theirs),
                ours.found
            ),
            "make the hook in the repository that this site follows, or set the key `repository`",
        ));
    }
    findings
}

/// The findings as lines, for a person.
pub(crate) fn report<'f>(findings: impl IntoIterator<Item = &'f Finding>) -> String {
    let mut report = String::new();
    for finding in findings {
        let state = match finding.state {
            Health::Ok => "ok",
            Health::Warning => "warning",
            Health::Problem => "PROBLEM",
        };
        let _ = writeln!(report, "{state:<8} {:<13} {}", finding.what, finding.found);
        if let Some(advice) = &finding.advice {
            let _ = writeln!(report, "{:<8} {:<13} -> {advice}", "", "");
        }
    }
    report
}

fn running_user(user: &User) -> Finding {
    let home = user.home.as_ref().map_or_else(
        || "without a home folder".to_owned(),
        |home| format!("at home in {}", home.display()),
    );
    Finding::ok("user", format!("{}, {home}", user.shown()))
}

fn secret_file(site: &Site, secrets: &Secrets) -> Finding {
    const WHAT: &str = "secret file";
    let path = site.secret_file.display();
    let is_padded = |secret: &[u8]| secret.trim_ascii().len() != secret.len();
    if secrets.iter().any(|secret| is_padded(secret.reveal())) {
        return Finding::warning(
            WHAT,
            format!("{path}: a secret begins or ends with a blank"),
            "blanks count: remove them, unless the webhook's secret has them too",
        );
    }
    let open_to = site
        .secret_file
        .metadata()
        .map_or(0, |file| file.mode() & 0o077);
    if open_to != 0 {
        return Finding::warning(
            WHAT,
            format!("{path}: others on this host can read or write it"),
            format!("chmod 600 {}", quoted(&site.secret_file)),
        );
    }
    let count = secrets.iter().count();
    Finding::ok(
        WHAT,
        format!(
            "{path}, {count} secret{}",
            if count == 1 { "" } else { "s" }
        ),
    )
}

/// Whether git could write what a pull writes.
fn write_access(checkout: &Checkout, user: &User) -> Vec<Finding> {
    const WHAT: &str = "write access";
    let wanted = [
        checkout.folder.clone(),
        checkout.git_dir.clone(),
        checkout.git_dir.join("objects"),
        checkout.git_dir.join("refs"),
    ];
    let closed: Vec<&Path> = wanted
        .iter()
        .map(std::path::PathBuf::as_path)
        .filter(|path| {
            path.exists() && rustix::fs::access(*path, Access::WRITE_OK | Access::EXEC_OK).is_err()
        })
        .collect();
    let owner = checkout
        .folder
        .metadata()
        .map_or(user.uid, |folder| folder.uid());
    if let Some(path) = closed.first() {
        return vec![Finding::problem(
            WHAT,
            format!(
                "{} may not write in {}, which belongs to {}",
                user.shown(),
                path.display(),
                name_of(owner)
            ),
            format!(
                "sudo chown -R {} {}",
                user.shown(),
                quoted(&checkout.folder)
            ),
        )];
    }
    if owner != user.uid {
        return vec![Finding::warning(
            WHAT,
            format!(
                "the checkout belongs to {}, and {} deploys it",
                name_of(owner),
                user.shown()
            ),
            "files of two users get into each other's way; let one user own and deploy it",
        )];
    }
    vec![Finding::ok(WHAT, "yes")]
}

fn branch_and_upstream(site: &Site, git: &Git<'_>, hidden: &mut Vec<String>) -> Vec<Finding> {
    let folder = quoted(&git.checkout.folder);
    let config = match git.config() {
        Ok(config) => config,
        Err(error) => return vec![Finding::error("branch", &error)],
    };
    hidden.extend(config.credentials());
    match git.followed(site.branch.as_deref(), &config) {
        Ok(Ok(followed)) => {
            let repository = site
                .repository
                .clone()
                .or_else(|| followed.repository.clone());
            let mut findings = vec![
                Finding::ok("branch", followed.branch.clone()),
                Finding::ok(
                    "upstream",
                    format!("{} at {}", followed.upstream_name(), followed.url),
                ),
            ];
            findings.push(match repository {
                Some(repository) => Finding::ok("repository", repository),
                None => Finding::warning(
                    "repository",
                    "the remote's URL names no owner and repository, so a push of any repository with this secret is taken",
                    "set the key `repository` to \"owner/name\"",
                ),
            });
            findings
        }
        Ok(Err(Unfollowing::Detached)) => vec![Finding::problem(
            "branch",
            "no branch is checked out (HEAD is detached)",
            format!("git -C {folder} switch main"),
        )],
        Ok(Err(Unfollowing::OtherBranch { wanted, found })) => vec![Finding::problem(
            "branch",
            format!(
                "the site's branch is {wanted}, but {} is checked out",
                found.as_deref().unwrap_or("none")
            ),
            format!("git -C {folder} switch {wanted}"),
        )],
        Ok(Err(Unfollowing::NoUpstream { branch })) => vec![Finding::problem(
            "upstream",
            format!("{branch} has no upstream to pull from"),
            format!("git -C {folder} branch --set-upstream-to=origin/{branch} {branch}"),
        )],
        Err(error) => vec![Finding::error("branch", &error)],
    }
}

/// The one finding about a site file that cannot be read.
pub(crate) fn unreadable(error: &anyhow::Error) -> Finding {
    Finding::error("site file", error)
}
