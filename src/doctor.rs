//! Every thing a deploy needs, each with ok, warning or problem, and for those what to do.
//!
//! Looks and never writes, so that it can be asked at any time. Needs neither a request nor a turn. What went wrong is
//! said in the words of the diagnosis, as the deploy would say it.

mod entrance;
mod secrets;

use std::fmt::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::fs::Access;
use serde::Serialize;

use crate::cgi::Environment;
use crate::clone;
use crate::delivery::{Delivery, Form, Ping};
use crate::deploy::MARKER;
use crate::diagnosis::{self, Advice, Diagnosis, Situation};
use crate::git::{Checkout, Config, Followed, Found, Git, Unfollowing};
use crate::history::History;
use crate::outcome::Verdict;
use crate::process::End;
use crate::queue::Queue;
use crate::redaction::{brief, escape, escape_line, redact};
use crate::remote_url::RemoteUrl;
use crate::shell::{as_root, as_user, give_to, quoted, word};
use crate::site::{Site, Submodules, Update, read_small};
use crate::state::StateFolder;
use crate::user::{User, name_of};

pub(crate) use entrance::{LONGEST_LINE, web_root};

/// How long looking at this host's own files may take, where nobody gives longer.
const LOCAL_LIMIT: Duration = Duration::from_secs(5);

/// Less than this is too little to ask a remote.
const LEAST_FOR_REMOTE: Duration = Duration::from_millis(300);

/// How many folders are looked at for whether git may write there.
const MOST_FOLDERS: usize = 5_000;

/// Less free space than this fails the next deploy, or one soon, in bytes.
const NO_SPACE: u64 = 1 << 20;
const LITTLE_SPACE: u64 = 100 << 20;

/// The oldest git that was tried.
const OLDEST_GIT: (u32, u32) = (2, 17);

/// How many files or folders are named.
const MOST_NAMED: usize = 10;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) what: &'static str,
    pub(crate) state: Health,
    /// What was found, in a sentence.
    pub(crate) found: String,
    /// What to do about it.
    pub(crate) advice: Option<Advice>,
}

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
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

    fn warning(what: &'static str, found: impl Into<String>, advice: Advice) -> Self {
        Self {
            what,
            state: Health::Warning,
            found: found.into(),
            advice: Some(advice),
        }
    }

    fn problem(what: &'static str, found: impl Into<String>, advice: Advice) -> Self {
        Self {
            what,
            state: Health::Problem,
            found: found.into(),
            advice: Some(advice),
        }
    }

    fn diagnosed(what: &'static str, state: Health, diagnosis: Diagnosis) -> Self {
        Self {
            what,
            state,
            found: diagnosis.cause,
            advice: Some(diagnosis.advice),
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

/// Examines a site whose file could be read, with the environment and as the user that would deploy it. What asks the
/// network ends at `until`.
pub(crate) fn examine(site: &Site, env: &Environment, until: Instant) -> Vec<Finding> {
    let user = User::running(env);
    let mut doctor = Doctor {
        site,
        env,
        user: &user,
        until,
        findings: entrance::examine(&site.file, &user, env),
        hidden: Vec::new(),
    };
    doctor.running_user();
    doctor.secret_file();
    doctor.checkout();
    let hidden = doctor.hidden;
    let shown = |text: &str| escape(&redact(text, hidden.iter().map(String::as_str)));
    let mut findings = doctor.findings;
    for finding in &mut findings {
        finding.found = shown(&finding.found);
        if let Some(advice) = &mut finding.advice {
            advice.words = shown(&advice.words);
            advice.commands = advice
                .commands
                .iter()
                .map(|command| shown(command))
                .collect();
        }
    }
    findings
}

/// What can be found of a site whose file cannot be read or understood.
pub(crate) fn unreadable(file: &Path, error: &anyhow::Error, env: &Environment) -> Vec<Finding> {
    let user = User::running(env);
    let mut findings = entrance::examine(file, &user, env);
    findings.retain(|finding| finding.state != Health::Ok);
    findings.push(Finding::error("site file", error));
    findings
}

/// What a ping says about the hook itself.
pub(crate) fn of_ping(ping: &Ping, delivery: &Delivery, of_site: &[Finding]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_subscribed =
        |events: &[String]| events.iter().any(|event| event == "push" || event == "*");
    match &ping.events {
        Some(events) if !is_subscribed(events) => findings.push(Finding::warning(
            "hook",
            "it does not deliver pushes",
            Advice::words("choose \"Just the push event\" in the webhook's settings"),
        )),
        Some(_) => findings.push(Finding::ok("hook", "delivers pushes")),
        None => {}
    }
    let content = match delivery.form {
        Form::Json => "application/json",
        Form::Urlencoded => {
            "application/x-www-form-urlencoded (application/json is simpler; both work)"
        }
    };
    findings.push(Finding::ok("content type", content));
    if delivery.carries_secret {
        findings.push(Finding::warning(
            "secret",
            "GitHub sent it in the header X-Github-Encoded-Secret of this delivery; a log of the web server may have kept it",
            Advice::words(
                "change it: write a new one as a second line of the secret file, enter it in the webhook's settings, and \
                 then remove the old line",
            ),
        ));
    }
    if ping.insecure_tls {
        findings.push(Finding::warning(
            "TLS",
            "GitHub does not check this server's certificate",
            Advice::words("choose \"Enable SSL verification\" in the webhook's settings"),
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
            Advice::words(
                "make the hook in the repository that this site follows, or set the key `repository`",
            ),
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

/// One examination.
struct Doctor<'d> {
    site: &'d Site,
    env: &'d Environment,
    user: &'d User,
    until: Instant,
    findings: Vec<Finding>,
    /// What must not be shown.
    hidden: Vec<String>,
}

impl Doctor<'_> {
    fn ok(&mut self, what: &'static str, found: impl Into<String>) {
        self.findings.push(Finding::ok(what, found));
    }

    fn warn(&mut self, what: &'static str, found: impl Into<String>, advice: Advice) {
        self.findings.push(Finding::warning(what, found, advice));
    }

    fn problem(&mut self, what: &'static str, found: impl Into<String>, advice: Advice) {
        self.findings.push(Finding::problem(what, found, advice));
    }

    fn running_user(&mut self) {
        let user = self.user;
        let home = user.home.as_ref().map_or_else(
            || "without a home folder".to_owned(),
            |home| format!("at home in {}", home.display()),
        );
        match user.home.as_ref().zip(user.owner_of_a_foreign_home()) {
            None => self.ok("user", format!("{}, {home}", user.shown())),
            Some((home, owner)) => self.findings.push(foreign_home(user, home, owner)),
        }
        let owner = self
            .site
            .repo
            .metadata()
            .map_or(user.uid, |repo| repo.uid());
        if !self.env.is_a_request() && owner != user.uid {
            self.warn(
                "user",
                format!(
                    "this speaks for {}; the checkout belongs to {}, whom the web server may run it as",
                    user.shown(),
                    name_of(owner)
                ),
                Advice::run(
                    "look as that user too, or press Redeliver on the ping at GitHub",
                    [format!(
                        "sudo -u {} {} check",
                        name_of(owner),
                        quoted(&self.site.file)
                    )],
                ),
            );
        }
    }

    fn secret_file(&mut self) {
        const WHAT: &str = "secret file";
        let file = &self.site.secret_file;
        let secrets = match self.site.secrets() {
            Ok(secrets) => secrets,
            Err(error) => {
                let advice = self.how_to_have_a_secret();
                self.problem(WHAT, format!("{error:#}"), advice);
                return;
            }
        };
        self.hidden.extend(
            secrets
                .iter()
                .map(|secret| String::from_utf8_lossy(secret.reveal()).into_owned()),
        );
        let before = self.findings.len();
        if let Some(root) = web_root(file, self.env) {
            self.warn(
                WHAT,
                format!(
                    "{} lies in {}, which the web server shows",
                    file.display(),
                    root.display()
                ),
                Advice::words("keep it outside, and name the new place with the key `secret_file`"),
            );
        }
        self.findings
            .extend(secrets::examine(file, &secrets, self.user));
        if self.findings.len() == before {
            let count = secrets.iter().count();
            let plural = if count == 1 { "" } else { "s" };
            self.ok(WHAT, format!("{}, {count} secret{plural}", file.display()));
        }
    }

    fn how_to_have_a_secret(&self) -> Advice {
        let file = &self.site.secret_file;
        if file.exists() {
            return Advice::run(
                format!("let {} read it, one secret a line", self.user.shown()),
                [
                    give_to(self.user, file),
                    as_user(self.user, &format!("chmod 600 {}", quoted(file))),
                ],
            );
        }
        let mut commands = Vec::new();
        if let Some(folder) = file.parent().filter(|folder| !folder.exists()) {
            commands.push(format!("mkdir -p -m 700 {}", quoted(folder)));
        }
        commands.push(format!(
            "sh -c 'umask 077; od -An -N32 -tx1 /dev/urandom | tr -d \" \\n\" >\"$1\"' sh {}",
            quoted(file)
        ));
        commands.push(format!("cat {}", quoted(file)));
        let commands: Vec<String> = commands
            .iter()
            .map(|command| as_user(self.user, command))
            .collect();
        Advice::run("make one, and enter it in the webhook's settings", commands)
    }

    fn checkout(&mut self) {
        const WHAT: &str = "checkout";
        let checkout = match Checkout::open(&self.site.repo) {
            Ok(checkout) => checkout,
            Err(_) if clone::is_due(self.site) => {
                self.warn(
                    WHAT,
                    format!("{} is not there yet", self.site.repo.display()),
                    Advice::words("the first push or ping clones it"),
                );
                return;
            }
            Err(error) => {
                self.findings.push(Finding::error(WHAT, &error));
                return;
            }
        };
        self.ok(WHAT, checkout.folder.display().to_string());
        self.write_access(&checkout);
        self.disk_space(&checkout);
        self.seen_from_the_web(&checkout);
        // The host's own files are looked at even where there is no time for the network.
        let until = self.until.max(Instant::now() + LOCAL_LIMIT);
        let git = Git::new(self.site, &checkout, self.env).and_then(|git| git.only_looking(until));
        match git {
            Ok(git) => self.git(&git),
            Err(error) => self.findings.push(Finding::error("git", &error)),
        }
        self.memory(&checkout);
    }

    fn git(&mut self, git: &Git<'_>) {
        match git.version() {
            Ok(version) => {
                let found = format!("{}, version {version}", git.program.display());
                if is_older(&version, OLDEST_GIT) {
                    self.warn(
                        "git",
                        found,
                        Advice::words("older than 2.17 was never tried; name a newer one's folder with the key `path`"),
                    );
                } else {
                    self.ok("git", found);
                }
            }
            Err(error) => {
                self.findings.push(Finding::error("git", &error));
                return;
            }
        }
        let config = match git.config() {
            Ok(config) => config,
            Err(error) => {
                self.findings.push(Finding::error("git", &error));
                return;
            }
        };
        self.hidden.extend(config.credentials());
        match git.writes_elsewhere(&config) {
            Ok(Some(there)) => {
                let found = diagnosis::written_elsewhere(&there, git.checkout, self.user);
                self.findings
                    .push(Finding::diagnosed("work tree", Health::Problem, found));
            }
            Ok(None) => {}
            Err(error) => self.findings.push(Finding::error("work tree", &error)),
        }
        let mut remote = None;
        match git.followed(self.site.branch.as_deref(), &config) {
            Ok(Ok(followed)) => {
                let at = Situation::of(self.site, git, self.env, &followed);
                self.followed(git, &config, &followed, &at);
                remote = Some((followed, at));
            }
            Ok(Err(unfollowing)) => self.unfollowing(git, &config, &unfollowing),
            Err(error) => self.findings.push(Finding::error("branch", &error)),
        }
        self.edits(git);
        self.submodules(git, &config);
        self.lfs(git, &config);
        // Last: it may take all the time that is left.
        if let Some((followed, at)) = remote {
            self.remote(git, &config, &followed, &at);
        }
    }

    fn unfollowing(&mut self, git: &Git<'_>, config: &Config, unfollowing: &Unfollowing) {
        let what = match unfollowing {
            Unfollowing::Detached | Unfollowing::OtherBranch { .. } => "branch",
            Unfollowing::NoUpstream { .. } | Unfollowing::LocalUpstream { .. } => "upstream",
        };
        let found = diagnosis::not_following(unfollowing, git.checkout, config, self.user);
        self.findings
            .push(Finding::diagnosed(what, Health::Problem, found));
    }

    fn followed(&mut self, git: &Git<'_>, config: &Config, followed: &Followed, at: &Situation) {
        const UPSTREAM: &str = "upstream";
        self.ok("branch", followed.branch.clone());
        match git.keeps_upstream(followed, config) {
            Ok(true) => self.ok(
                UPSTREAM,
                format!("{} at {}", followed.upstream_name(), followed.url),
            ),
            Ok(false) => self.findings.push(Finding::diagnosed(
                UPSTREAM,
                Health::Problem,
                diagnosis::not_kept(at, followed),
            )),
            Err(error) => self.findings.push(Finding::error(UPSTREAM, &error)),
        }
        let repository = self
            .site
            .repository
            .clone()
            .or_else(|| followed.url.repository().cloned());
        match repository {
            Some(repository) => self.ok("repository", repository.to_string()),
            None => self.warn(
                "repository",
                "the remote's URL names no owner and repository, so a push of any repository with this secret is taken",
                Advice::words("set the key `repository` to \"owner/name\""),
            ),
        }
        self.locks(at);
        self.commits(at);
        self.keys(config, followed, at);
    }

    /// Whether the branch could go forward, as far as the last fetch knows.
    fn commits(&mut self, at: &Situation) {
        let Some((ahead, behind)) = at.counts.filter(|(ahead, _)| *ahead > 0) else {
            return;
        };
        let found = if behind == 0 {
            diagnosis::ahead_by(at, ahead)
        } else {
            diagnosis::separate_ways(at)
        };
        self.findings.push(match self.site.update {
            Update::FastForward => Finding::diagnosed("commits", Health::Problem, found),
            Update::Reset => Finding::warning(
                "commits",
                found.cause,
                Advice::words(
                    "the next deploy gives them up, and keeps them first (update = \"reset\")",
                ),
            ),
        });
    }

    /// Files that were changed here.
    fn edits(&mut self, git: &Git<'_>) {
        const WHAT: &str = "work tree";
        let edited = match git.edited(&git.checkout.folder) {
            Ok(edited) => edited,
            Err(error) => {
                self.findings.push(Finding::error(WHAT, &error));
                return;
            }
        };
        if edited.is_empty() {
            self.ok(WHAT, "nothing was changed here");
            return;
        }
        let found = format!("changed here: {}", list(&edited));
        let advice = match self.site.update {
            Update::FastForward => Advice::run(
                "a push that changes them too will fail. To put them into a stash",
                [as_user(
                    self.user,
                    &format!("git -C {} stash push", quoted(&git.checkout.folder)),
                )],
            ),
            Update::Reset => Advice::words(
                "the next deploy makes them what was pushed, and keeps the changes first (update = \"reset\")",
            ),
        };
        self.warn(WHAT, found, advice);
    }

    /// Whether git could write what a pull writes.
    fn write_access(&mut self, checkout: &Checkout) {
        const WHAT: &str = "write access";
        let user = self.user;
        let owner = checkout
            .folder
            .metadata()
            .map_or(user.uid, |folder| folder.uid());
        let mut closed = None;
        let mut others = None;
        let mut folders = vec![checkout.folder.clone(), checkout.git_dir.clone()];
        let mut looked_at = 0;
        while let Some(folder) = folders.pop() {
            looked_at += 1;
            if looked_at > MOST_FOLDERS || closed.is_some() {
                break;
            }
            if rustix::fs::access(&folder, Access::WRITE_OK | Access::EXEC_OK).is_err() {
                closed = Some(folder);
                continue;
            }
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                let Ok(kind) = entry.file_type() else {
                    continue;
                };
                if kind.is_dir() && path != checkout.git_dir {
                    folders.push(path);
                } else if kind.is_file()
                    && others.is_none()
                    && entry.metadata().is_ok_and(|file| file.uid() != user.uid)
                {
                    others = Some(path);
                }
            }
        }
        let written = ["FETCH_HEAD", "logs/HEAD", "config"].map(|name| checkout.git_dir.join(name));
        let closed = closed.or_else(|| {
            written
                .into_iter()
                .find(|file| file.exists() && rustix::fs::access(file, Access::WRITE_OK).is_err())
        });
        let advice = Advice::run(
            format!("give the checkout to {}", user.shown()),
            [give_to(user, &checkout.folder)],
        );
        match (closed, others) {
            (Some(path), _) => self.problem(
                WHAT,
                format!(
                    "{} may not write in {}; the checkout belongs to {}",
                    user.shown(),
                    path.display(),
                    name_of(owner)
                ),
                advice,
            ),
            (None, Some(path)) => {
                let owner = path.metadata().map_or(owner, |file| file.uid());
                self.warn(
                    WHAT,
                    format!(
                        "{} belongs to {}, and {} deploys: files of two users get into each other's way",
                        path.display(),
                        name_of(owner),
                        user.shown()
                    ),
                    advice,
                );
            }
            (None, None) => self.ok(WHAT, "yes"),
        }
    }

    fn disk_space(&mut self, checkout: &Checkout) {
        const WHAT: &str = "disk";
        let Ok(disk) = rustix::fs::statvfs(&checkout.git_dir) else {
            return;
        };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let look = || {
            Advice::run(
                "free some space",
                [format!("df -h {}", quoted(&checkout.folder))],
            )
        };
        if disk.f_files > 0 && disk.f_favail == 0 {
            self.problem(WHAT, "no file can be made: all inodes are used", look());
        } else if free < NO_SPACE {
            self.problem(WHAT, "full", look());
        } else if free < LITTLE_SPACE {
            self.warn(WHAT, format!("{} MB are free", free >> 20), look());
        } else {
            self.ok(WHAT, "has space");
        }
    }

    /// Whether the web server shows the repository to the world.
    fn seen_from_the_web(&mut self, checkout: &Checkout) {
        let Some(root) = web_root(&checkout.git_dir, self.env) else {
            return;
        };
        let closed = checkout.git_dir.join(".htaccess");
        if says(&closed, &["denied", "Deny", "deny"])
            || checkout
                .folder
                .ancestors()
                .take_while(|folder| folder.starts_with(&root))
                .any(|folder| says(&folder.join(".htaccess"), &["git"]))
        {
            self.ok("web", "the repository is closed to the web by .htaccess");
            return;
        }
        self.warn(
            "web",
            format!(
                "{} lies in {}, which the web server shows: anybody may be able to read the repository",
                checkout.git_dir.display(),
                root.display()
            ),
            Advice::run(
                "close it, for Apache with the line below, for other servers in their configuration; then look whether \
                 .git/HEAD can still be read in a browser",
                [as_user(
                    self.user,
                    &format!("echo 'Require all denied' >{}", quoted(&closed)),
                )],
            ),
        );
    }

    /// Locks of git's that a killed one left.
    fn locks(&mut self, at: &Situation) {
        let marker = at.git_dir.join("deploy-cgi").join(MARKER).metadata();
        let began = marker.and_then(|file| file.modified()).ok();
        let remote_branch = at.upstream.as_str();
        let mut names = vec![
            "index.lock".to_owned(),
            "HEAD.lock".to_owned(),
            "ORIG_HEAD.lock".to_owned(),
            "config.lock".to_owned(),
            format!("refs/heads/{}.lock", at.branch),
            format!("refs/remotes/{remote_branch}.lock"),
        ];
        let modules = std::fs::read_dir(at.git_dir.join("modules"));
        names.extend(modules.into_iter().flatten().flatten().flat_map(|module| {
            let name = module.file_name().to_string_lossy().into_owned();
            ["index.lock", "HEAD.lock", "config.lock"].map(|lock| format!("modules/{name}/{lock}"))
        }));
        for lock in names.iter().map(|name| at.git_dir.join(name)) {
            let Ok(made) = lock.symlink_metadata().and_then(|lock| lock.modified()) else {
                continue;
            };
            // A deploy runs and made it, or the next one clears up after one that died.
            if began.is_none_or(|began| made < began) {
                self.findings.push(Finding::diagnosed(
                    "locks",
                    Health::Problem,
                    diagnosis::locked(at, &lock),
                ));
            }
        }
    }

    /// What ssh has for the remote.
    fn keys(&mut self, config: &Config, followed: &Followed, at: &Situation) {
        const WHAT: &str = "ssh key";
        let Some(host) = followed.url.host().filter(|_| followed.url.is_ssh()) else {
            if self.site.ssh_key.is_some() {
                self.warn(
                    WHAT,
                    format!(
                        "ssh_key is set, and the remote is not reached by ssh: {}",
                        at.url
                    ),
                    Advice::words(
                        "give the remote an ssh address (git remote set-url), or remove the key",
                    ),
                );
            }
            return;
        };
        if self.site.programs.find("ssh").is_none() {
            let missing = diagnosis::diagnose("cannot run ssh: No such file", at);
            self.findings
                .extend(missing.map(|found| Finding::diagnosed("ssh", Health::Problem, found)));
            return;
        }
        let by_others = self
            .site
            .env
            .iter()
            .any(|(name, _)| name == "GIT_SSH_COMMAND" || name == "GIT_SSH");
        if by_others && self.site.ssh_key.is_some() {
            self.warn(
                WHAT,
                "both ssh_key and env.GIT_SSH_COMMAND are set; the second one counts",
                Advice::words("remove one of them"),
            );
        } else if config.last("core.sshcommand").is_some() && self.site.ssh_key.is_none() {
            self.ok("ssh", "as core.sshCommand says");
        } else if host == "github.com" && !by_others {
            self.ok("host keys", "GitHub's are built in");
        }
        let there: Vec<&PathBuf> = at.offered.iter().filter(|key| key.exists()).collect();
        let for_want_of_a_key = || diagnosis::diagnose("Permission denied (publickey", at);
        if there.is_empty() {
            if self.site.ssh_key.is_none() && self.env.first("SSH_AUTH_SOCK").is_some() {
                self.ok(WHAT, "none; an ssh agent may have one");
            } else {
                let health = if self.site.ssh_key.is_some() {
                    Health::Problem
                } else {
                    Health::Warning
                };
                self.findings.extend(
                    for_want_of_a_key().map(|found| Finding::diagnosed(WHAT, health, found)),
                );
            }
            return;
        }
        for key in there {
            match read_small(key).map(|text| String::from_utf8_lossy(&text).into_owned()) {
                Err(_) => {
                    let said = format!("Load key \"{}\": Permission denied", key.display());
                    self.findings.extend(
                        diagnosis::diagnose(&said, at)
                            .map(|found| Finding::diagnosed(WHAT, Health::Problem, found)),
                    );
                }
                Ok(text) if diagnosis::has_passphrase(&text) => {
                    let found = diagnosis::passphrase(key, self.user);
                    let health = if self.env.first("SSH_AUTH_SOCK").is_some()
                        && self.site.ssh_key.is_none()
                    {
                        Health::Warning
                    } else {
                        Health::Problem
                    };
                    self.findings.push(Finding::diagnosed(WHAT, health, found));
                }
                Ok(_) if key.metadata().is_ok_and(|file| file.mode() & 0o077 != 0) => {
                    let said = format!("Permissions 0 for '{}' are too open", key.display());
                    self.findings.extend(
                        diagnosis::diagnose(&said, at)
                            .map(|found| Finding::diagnosed(WHAT, Health::Problem, found)),
                    );
                }
                Ok(_) => self.ok(WHAT, key.display().to_string()),
            }
        }
    }

    /// Whether the remote can be reached without a question, and has the branch.
    fn remote(&mut self, git: &Git<'_>, config: &Config, followed: &Followed, at: &Situation) {
        const WHAT: &str = "remote";
        let left = self.until.saturating_duration_since(Instant::now());
        if left < LEAST_FOR_REMOTE {
            self.ok(WHAT, "not asked: there is no time left for it");
            return;
        }
        let asked = match git.ask_remote(config, followed, left) {
            Ok(asked) => asked,
            Err(error) => {
                self.findings.push(Finding::error(WHAT, &error));
                return;
            }
        };
        match asked.end {
            End::Exit(0) => self.ok(WHAT, format!("can be reached, and has {}", followed.remote_branch())),
            End::Exit(2) => {
                let found = diagnosis::gone(at);
                self.findings
                    .push(Finding::diagnosed(WHAT, Health::Problem, found));
            }
            End::Limit(limit) => self.warn(
                WHAT,
                format!(
                    "{} has not answered within {:.1} s",
                    at.url,
                    limit.as_secs_f64()
                ),
                Advice::words(
                    "press Redeliver on the ping, or run check, to ask again; if it stays so, this host may not connect out",
                ),
            ),
            End::Exit(_) | End::Signal(_) | End::Stopped => {
                let said = String::from_utf8_lossy(&asked.output);
                let found = diagnosis::cut_short(asked.end, &self.site.file)
                    .or_else(|| diagnosis::diagnose(&said, at));
                self.findings.push(match found {
                    Some(found) => Finding::diagnosed(WHAT, Health::Problem, found),
                    None => Finding::problem(
                        WHAT,
                        format!("git ls-remote ended with {}: {}", asked.end, escape_line(said.trim())),
                        Advice::run(
                            "try it by hand",
                            [as_user(
                                self.user,
                                &format!(
                                    "git -C {} ls-remote {}",
                                    quoted(&git.checkout.folder),
                                    word(&followed.remote)
                                ),
                            )],
                        ),
                    ),
                });
            }
        }
    }

    fn submodules(&mut self, git: &Git<'_>, config: &Config) {
        const WHAT: &str = "submodules";
        let folder = &git.checkout.folder;
        if !folder.join(".gitmodules").exists() {
            return;
        }
        if self.site.submodules == Submodules::Skip {
            self.ok(WHAT, "left alone (submodules = \"skip\")");
            return;
        }
        let (there, modules) = match git
            .submodules()
            .and_then(|there| Ok((there, git.gitmodules(folder, None)?)))
        {
            Ok(found) => found,
            Err(error) => {
                self.findings.push(Finding::error(WHAT, &error));
                return;
            }
        };
        let before = self.findings.len();
        for (name, module) in &modules {
            let url = config
                .last(&format!("submodule.{name}.url"))
                .unwrap_or(&module.url);
            let url = &RemoteUrl::parse(url);
            let path = module.path.display();
            if module.url.is_empty() {
                self.problem(
                    WHAT,
                    format!("{path} has no URL in .gitmodules"),
                    Advice::words("give it one where the site is written, and push"),
                );
            } else if url.is_path() {
                self.warn(
                    WHAT,
                    format!(
                        "{path} comes from a path on this machine, which git does not clone from"
                    ),
                    Advice::words("give it a URL in .gitmodules where it is written, and push"),
                );
            } else if url.is_ssh()
                && url.host() == Some("github.com")
                && self.site.ssh_key.is_none()
                && git
                    .keys_offered(url, config)
                    .iter()
                    .all(|key| !key.exists())
            {
                self.warn(
                    WHAT,
                    format!(
                        "{path} is reached by ssh, and {} has no key: {}",
                        self.user.shown(),
                        url
                    ),
                    Advice::run(
                        "if it is public, use https for it",
                        [as_user(
                            self.user,
                            "git config --global url.https://github.com/.insteadOf git@github.com:",
                        )],
                    ),
                );
            }
        }
        let missing: Vec<PathBuf> = there
            .iter()
            .filter(|submodule| match self.site.submodules {
                Submodules::Recorded => !submodule.is_there(),
                Submodules::Latest | Submodules::Skip => !matches!(submodule.found, Found::At(_)),
            })
            .map(|submodule| submodule.path.clone())
            .collect();
        if self.findings.len() > before {
            return;
        }
        let count = there.len();
        if missing.is_empty() {
            self.ok(WHAT, format!("{count}, all there"));
        } else {
            self.ok(
                WHAT,
                format!("{count}; the next deploy brings {}", list(&missing)),
            );
        }
    }

    fn lfs(&mut self, git: &Git<'_>, config: &Config) {
        let (folder, is_on) = match self.large_files(git, config) {
            Ok(Some(found)) => found,
            Ok(None) => return,
            Err(error) => {
                self.findings.push(Finding::error("git-lfs", &error));
                return;
            }
        };
        let found = diagnosis::lfs_missing(self.user);
        if self.site.programs.find("git-lfs").is_none() {
            self.findings
                .push(Finding::diagnosed("git-lfs", Health::Problem, found));
        } else if is_on {
            self.ok("git-lfs", "there and switched on");
        } else {
            self.problem(
                "git-lfs",
                "there, but not switched on: its files stay pointers",
                Advice::run(
                    "switch it on, and have the files brought",
                    [
                        as_user(self.user, "git lfs install"),
                        as_user(self.user, &format!("git -C {} lfs pull", quoted(&folder))),
                    ],
                ),
            );
        }
    }

    /// A work tree whose files git-lfs keeps, and whether it is switched on there; one where it is not, if there is any.
    fn large_files(&self, git: &Git<'_>, config: &Config) -> Result<Option<(PathBuf, bool)>> {
        let top = &git.checkout.folder;
        let mut found =
            (!git.large_files(top)?.is_empty()).then(|| (top.clone(), config.has_lfs()));
        let submodules = match self.site.submodules {
            Submodules::Recorded | Submodules::Latest => git.submodules()?,
            Submodules::Skip => Vec::new(),
        };
        for folder in submodules.iter().map(|submodule| top.join(&submodule.path)) {
            if found.as_ref().is_none_or(|(_, is_on)| *is_on)
                && !git.large_files(&folder)?.is_empty()
            {
                let is_on = git.config_in(&folder)?.has_lfs();
                found = Some((folder, is_on));
            }
        }
        Ok(found)
    }

    /// What earlier deploys left: whose the folder is, what waits, how the last one ended.
    fn memory(&mut self, checkout: &Checkout) {
        const WHAT: &str = "state folder";
        let Some(state) = StateFolder::look(checkout) else {
            let path = checkout.git_dir.join("deploy-cgi");
            if path.symlink_metadata().is_ok() {
                let kept = path.with_extension("kept");
                self.problem(
                    WHAT,
                    format!("{} is no folder", path.display()),
                    Advice::run(
                        "move it away",
                        [as_user(
                            self.user,
                            &format!("mv {} {}", quoted(&path), quoted(&kept)),
                        )],
                    ),
                );
            }
            return;
        };
        if let Err(error) = StateFolder::examine(checkout, self.site) {
            self.findings.push(Finding::error(WHAT, &error));
        }
        if rustix::fs::access(state.path(""), Access::WRITE_OK | Access::EXEC_OK).is_err() {
            self.problem(
                WHAT,
                format!(
                    "{} may not write in {}",
                    self.user.shown(),
                    state.path("").display()
                ),
                Advice::run(
                    format!("give it to {}", self.user.shown()),
                    [give_to(self.user, &state.path(""))],
                ),
            );
            return;
        }
        let queue = Queue::of(&state);
        match (queue.list(), is_held(&state)) {
            (Err(error), _) => self.findings.push(Finding::error("queue", &error)),
            (Ok(waiting), _) if waiting.is_empty() => {}
            (Ok(waiting), true) => self.ok(
                "queue",
                format!("{} wait, and a deploy is running", waiting.len()),
            ),
            (Ok(waiting), false) => self.warn(
                "queue",
                format!("{} wait, and no deploy is running", waiting.len()),
                Advice::run(
                    "the next delivery serves them; or now",
                    [as_user(
                        self.user,
                        &format!("{} run", quoted(&self.site.file)),
                    )],
                ),
            ),
        }
        if self.env.is_a_request() {
            // The answer to a ping has the whole report below.
            return;
        }
        match History::of(&state).last() {
            Ok(Some(last)) => {
                const WHAT: &str = "last deploy";
                let headline = last.report.lines().next().unwrap_or_default();
                let found = format!("{}: {headline}", last.time);
                let mut deliveries = last.tickets.iter().rev();
                let delivery = deliveries.find_map(|served| served.delivery.as_deref());
                match (last.verdict, delivery) {
                    (Verdict::Deployed | Verdict::Unchanged, _) => self.ok(WHAT, found),
                    (Verdict::Failed, Some(delivery)) => {
                        let status = format!("{} status {delivery}", quoted(&self.site.file));
                        let status = as_user(self.user, &status);
                        self.warn(WHAT, found, Advice::run("to read all of it", [status]));
                    }
                    (Verdict::Failed, None) => {
                        let run = format!("{} run", quoted(&self.site.file));
                        let run = as_user(self.user, &run);
                        self.warn(WHAT, found, Advice::run("to try it again", [run]));
                    }
                }
            }
            Ok(None) => {}
            Err(error) => self.findings.push(Finding::error("history", &error)),
        }
    }
}

/// Whoever owns a home says what git and ssh do in it.
fn foreign_home(user: &User, home: &Path, owner: u32) -> Finding {
    let shown = user.shown();
    Finding::problem(
        "user",
        format!(
            "{shown}, whose home {} belongs to {}: what git and ssh are told there is not used",
            home.display(),
            name_of(owner)
        ),
        Advice::run(
            format!("give the folder to {shown}; or to root; or give {shown} another home"),
            [as_root(
                user,
                &format!("chown {} {}", user.uid, quoted(home)),
            )],
        ),
    )
}

/// Whether somebody deploys. Asked without making the lock's file.
fn is_held(state: &StateFolder) -> bool {
    state.path("turn").exists() && Queue::of(state).is_somebodys_turn().unwrap_or(false)
}

/// Whether a file that is not large has one of these words.
fn says(file: &Path, words: &[&str]) -> bool {
    read_small(file).is_ok_and(|text| {
        let text = String::from_utf8_lossy(&text);
        words.iter().any(|word| text.contains(word))
    })
}

fn is_older(version: &str, than: (u32, u32)) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) < than,
        _ => false,
    }
}

fn list(paths: &[PathBuf]) -> String {
    let mut named = paths
        .iter()
        .take(MOST_NAMED)
        .map(|path| escape_line(&path.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(", ");
    if paths.len() > MOST_NAMED {
        let _ = write!(named, " and {} more", paths.len() - MOST_NAMED);
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        #[track_caller]
        fn check(version: &str, expected: bool) {
            assert_eq!(is_older(version, OLDEST_GIT), expected, "{version}");
        }
        check("2.17.1", false);
        check("2.9.5", true);
        check("1.8.3.1", true);
        check("2.47.3", false);
        check("3.0.0-rc1", false);
        check("unknown", false);
    }
}
