//! A site: the deploy.cgi file, parsed into a type that is right by construction.
//!
//! Must not know git, and reads nothing but the site file and the files with the secret and with GitHub's token.

mod github;
mod keys;
mod mistake;
mod table;
mod value;
mod which;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::fs::Mode;

use crate::cgi::Environment;
use crate::process::Programs;
use crate::remote_url::RemoteUrl;
use crate::repository_name::RepositoryName;
use crate::signature::{NoSecrets, Secrets};
use crate::web_address::WebAddress;
use table::Table;

pub(crate) use github::{GitHub, Token};
pub(crate) use mistake::Mistake;
pub(crate) use which::{named_by_the_server, started_script};

/// How long a delivery waits for its result, unless `wait` says otherwise: GitHub hangs up after 10 s.
const DEFAULT_WAIT: Duration = Duration::from_secs(8);

/// The limit of each step, unless `timeout` says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(10);

/// GitHub's cap on a payload, in bytes (GitHub's documentation, "Webhook events and payloads").
pub(crate) const DEFAULT_MAX_BODY: u64 = 25 << 20;

/// The largest site file and the largest secret file, in bytes.
const MAX_FILE: usize = 64 << 10;

/// The umask of a deploy, unless `umask` says otherwise.
const DEFAULT_UMASK: Mode = Mode::from_raw_mode(0o022);

/// Who runs which checkout how: one site file.
#[derive(Debug)]
pub(crate) struct Site {
    /// The site file itself, absolute.
    pub(crate) file: PathBuf,
    pub(crate) repo: PathBuf,
    pub(crate) secret_file: PathBuf,
    /// The local branch to deploy; without it the one that is checked out.
    pub(crate) branch: Option<String>,
    /// `owner/name`; without it what the remote's URL says.
    pub(crate) repository: Option<RepositoryName>,
    pub(crate) update: Update,
    pub(crate) submodules: Submodules,
    pub(crate) on_update: Option<String>,
    pub(crate) on_failure: Option<String>,
    /// Where the checkout is cloned from when there is none.
    pub(crate) clone: Option<RemoteUrl>,
    /// The private key for the remote.
    pub(crate) ssh_key: Option<PathBuf>,
    /// The private keys for single repositories of the remote's host.
    pub(crate) ssh_keys: Vec<(RepositoryName, PathBuf)>,
    /// The workflow that has to succeed for a commit before it is deployed: its file below the repository.
    pub(crate) workflow: Option<String>,
    /// Patterns of what `on_update` is run for; all where there are none.
    pub(crate) only: Vec<String>,
    /// The page that has to answer well after a deploy, and the text that it has to have.
    pub(crate) live: Option<WebAddress>,
    pub(crate) live_text: Option<String>,
    /// Where commit statuses are posted.
    pub(crate) github: Option<GitHub>,
    pub(crate) wait: Duration,
    pub(crate) timeout: Duration,
    /// In bytes.
    pub(crate) max_body: u64,
    pub(crate) programs: Programs,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) umask: Mode,
    pub(crate) status_page: StatusPage,
}

/// How the checkout is brought to what was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Update {
    /// Only forward, and never over a person's work.
    FastForward,
    /// Tracked files become those of the remote branch, whatever was here; what that removes is kept.
    Reset,
}

/// What is done about submodules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Submodules {
    /// They are brought to the commits that the checkout records.
    Recorded,
    /// They follow their own branches.
    Latest,
    /// They are left alone.
    Skip,
}

/// Who is shown the status page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StatusPage {
    Off,
    /// Whoever asks.
    Open,
    /// Whoever has the key that is made with the secret.
    SecretLink,
}

impl Site {
    /// Reads a site file. `~/` in it is the home of the user that `env` and the system name.
    pub(crate) fn read(file: &Path, env: &Environment) -> Result<Self> {
        let file =
            std::path::absolute(file).with_context(|| format!("cannot find {}", file.display()))?;
        let text = read_small(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Self::parse(file, &text, env)?)
    }

    /// The same site, as its file is now: who waited for a turn may have read it before it was mended.
    pub(crate) fn read_again(&self, env: &Environment) -> Result<Self> {
        let now = Self::read(&self.file, env)?;
        if now.repo != self.repo {
            bail!("{} names another checkout by now", self.file.display());
        }
        Ok(now)
    }

    fn parse(file: PathBuf, text: &[u8], env: &Environment) -> Result<Self, Mistake> {
        let keys = Table::parse(&file, text, env)?;
        let path = keys.value("path", value::folders)?;
        let workflow = keys.value("workflow", value::workflow)?;
        let submodules = keys
            .value("submodules", value::submodules)?
            .unwrap_or(Submodules::Recorded);
        let live = keys.value("live", WebAddress::parse)?;
        let live_text = keys.value("live_text", value::command)?;
        if live_text.is_some() && live.is_none() {
            return Err(keys.conflict("live_text", "has no page to be looked for in: set `live`"));
        }
        if workflow.is_some() && submodules == Submodules::Latest {
            let why =
                "cannot be used with `submodules = \"latest\"`: no workflow has seen those commits";
            return Err(keys.conflict("workflow", why));
        }
        Ok(Self {
            repo: keys.required_path("repo")?,
            secret_file: keys.required_path("secret_file")?,
            branch: keys.value("branch", value::branch)?,
            repository: keys.value("repository", RepositoryName::parse)?,
            update: keys
                .value("update", value::update)?
                .unwrap_or(Update::FastForward),
            submodules,
            on_update: keys.value("on_update", value::command)?,
            on_failure: keys.value("on_failure", value::command)?,
            clone: keys.value("clone", value::url)?,
            ssh_key: keys.path("ssh_key")?,
            ssh_keys: keys.ssh_keys()?,
            workflow,
            only: keys.list("only", value::pattern)?,
            live,
            live_text,
            github: GitHub::of(&keys)?,
            wait: keys.value("wait", value::wait)?.unwrap_or(DEFAULT_WAIT),
            timeout: keys
                .value("timeout", value::timeout)?
                .unwrap_or(DEFAULT_TIMEOUT),
            max_body: keys
                .value("max_body", value::max_body)?
                .unwrap_or(DEFAULT_MAX_BODY),
            programs: path.map_or_else(|| Programs::in_path(env.first("PATH")), Programs::exactly),
            env: keys.env()?,
            umask: keys.value("umask", value::umask)?.unwrap_or(DEFAULT_UMASK),
            status_page: keys
                .choice("status_page", value::status_page)?
                .unwrap_or(StatusPage::Off),
            file,
        })
    }

    /// Whether a repository has a key of its own.
    pub(crate) fn has_key_of(&self, url: &RemoteUrl) -> bool {
        let named = |name| self.ssh_keys.iter().any(|(own, _)| own == name);
        url.repository().is_some_and(named)
    }

    /// Every line of the secret file and of the token's, however many there are, so that it can be masked. Where a file cannot
    /// be read there is nothing of it that could be shown.
    pub(crate) fn secret_words(&self) -> Vec<String> {
        let token_file = self.github.as_ref().map(|github| &github.token_file);
        let mut words = Vec::new();
        for file in std::iter::once(&self.secret_file).chain(token_file) {
            let text = read_small(file).unwrap_or_default();
            let lines = text.split(|&byte| byte == b'\n');
            let lines = lines.map(|line| String::from_utf8_lossy(line).into_owned());
            words.extend(lines.map(|line| line.trim_matches(['\r', '\u{feff}']).to_owned()));
        }
        words.extend(self.clone.as_ref().and_then(RemoteUrl::credential));
        words.retain(|word| !word.is_empty());
        words
    }

    /// The secrets of the site. The error says what is wrong with the file, and what to do.
    pub(crate) fn secrets(&self) -> Result<Secrets> {
        let path = self.secret_file.display();
        let text = read_small(&self.secret_file)
            .with_context(|| format!("cannot read the secret file {path}"))?;
        Secrets::parse(&text).map_err(|why| {
            let why = match why {
                NoSecrets::Empty => "is empty; write the webhook's secret into it",
                NoSecrets::NulBytes => {
                    "has NUL bytes, as UTF-16 has; save it as plain text (UTF-8 or ASCII)"
                }
                NoSecrets::TooMany => "has more than 8 lines; leave the secrets in use",
            };
            anyhow!("the secret file {path} {why}")
        })
    }
}

/// Reads a file that nobody makes large, such as a setting, a secret or a key.
pub(crate) fn read_small(path: &Path) -> Result<Vec<u8>> {
    // Looked at before it is opened: to open a named pipe would take for ever.
    if !path.metadata()?.is_file() {
        bail!("not a file");
    }
    // Room for all of it, so that two calls read it: each refusal of a stranger's reads two such files.
    let mut text = Vec::with_capacity(MAX_FILE + 1);
    std::fs::File::open(path)?
        .take(MAX_FILE as u64 + 1)
        .read_to_end(&mut text)?;
    if text.len() > MAX_FILE {
        bail!("larger than 64 KiB");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Site, String> {
        let env = Environment::from_iter([("PATH".into(), "/host/bin".into())]);
        Site::parse("/w/deploy.cgi".into(), text.as_bytes(), &env)
            .map_err(|error| error.to_string())
    }

    const MINIMAL: &str =
        "#!/home/me/bin/deploy-cgi\nrepo = \"/home/me/blog\"\nsecret_file = \"/home/me/secret\"\n";

    #[test]
    fn two_keys_are_enough() {
        let site = parse(MINIMAL).unwrap();
        assert_eq!(site.repo, Path::new("/home/me/blog"));
        assert_eq!(
            (site.wait, site.timeout),
            (Duration::from_secs(8), Duration::from_mins(10))
        );
        assert_eq!(
            (site.max_body, site.umask),
            (25 * 1024 * 1024, DEFAULT_UMASK)
        );
        assert_eq!(site.submodules, Submodules::Recorded);
        assert_eq!(site.status_page, StatusPage::Off);
        assert!(
            site.programs
                .as_path()
                .to_str()
                .unwrap()
                .starts_with("/host/bin:/usr/local/bin:/usr/bin:/bin:")
        );
    }

    #[test]
    fn a_byte_order_mark_and_windows_line_ends_are_no_obstacle() {
        assert!(parse(&format!("\u{feff}{}", MINIMAL.replace('\n', "\r\n"))).is_ok());
    }

    #[test]
    fn every_key_is_read() {
        let site = parse(&format!(
            "{MINIMAL}branch = \"refs/heads/feature/x\"\nrepository = \"o/n.x\"\nsubmodules = \"skip\"\n\
             on_update = \"touch tmp/restart.txt\"\non_failure = \"mail me\"\nwait = \"500ms\"\ntimeout = \"1h 30m\"\nmax_body = \"1 MiB\"\n\
             path = \"/a:/b\"\numask = \"0027\"\n\
             ssh_keys = {{ \"me/blog\" = \"/k/blog\", \"me/posts\" = \"/k/posts\" }}\n[env]\nA_1 = \"x y\"\n"
        ))
        .unwrap();
        assert_eq!(site.branch.as_deref(), Some("feature/x"));
        assert!(site.repository.unwrap() == *"o/n.x");
        assert_eq!(site.submodules, Submodules::Skip);
        assert_eq!(
            (site.wait, site.timeout),
            (Duration::from_millis(500), Duration::from_mins(90))
        );
        assert_eq!((site.max_body, site.umask.as_raw_mode()), (1 << 20, 0o027));
        assert_eq!(site.programs.as_path(), "/a:/b");
        let keys = site.ssh_keys.iter();
        let keys: Vec<_> = keys
            .map(|(name, key)| format!("{name} {}", key.display()))
            .collect();
        assert_eq!(keys, ["me/blog /k/blog", "me/posts /k/posts"]);
        assert_eq!(site.env, [("A_1".to_owned(), "x y".to_owned())]);
        assert_eq!(site.on_update.as_deref(), Some("touch tmp/restart.txt"));
        assert_eq!(site.on_failure.as_deref(), Some("mail me"));
    }

    #[test]
    fn commit_statuses_need_a_token_alone() {
        let site = |more: &str| {
            let token = "github_token_file = \"/home/me/token\"";
            parse(&format!("{MINIMAL}{token}\n{more}\n"))
        };
        let github = site("").unwrap().github.unwrap();
        assert_eq!(github.token_file, Path::new("/home/me/token"));
        assert_eq!((&*github.context, github.api), ("deploy", None));
        let more =
            "github_context = \"deploy/example.org\"\ngithub_api = \"https://example.org/api/v3/\"";
        let github = site(more).unwrap().github.unwrap();
        let api = github.api.map(|api| api.to_string());
        assert_eq!(
            (&*github.context, api.as_deref()),
            ("deploy/example.org", Some("https://example.org/api/v3/"))
        );
        for wrong in [
            "github_context = \"\"",
            "github_context = \" a\"",
            "github_context = \"a\\nb\"",
            &format!("github_context = \"{}\"", "x".repeat(101)),
            "github_api = \"http://example.org\"",
            "github_api = \"example.org\"",
            "github_api = \"https://me:pass@example.org\"",
            "github_api = \"https://example.org/?a=b\"",
        ] {
            assert!(site(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_status_page_is_off_open_or_behind_a_secret_link() {
        for (value, expected) in [
            ("false", StatusPage::Off),
            ("true", StatusPage::Open),
            ("\"secret-link\"", StatusPage::SecretLink),
        ] {
            let site = parse(&format!("{MINIMAL}status_page = {value}\n")).unwrap();
            assert_eq!(site.status_page, expected, "{value}");
        }
    }

    #[track_caller]
    fn check_complaint(line: &str, expected: &str) {
        assert_eq!(
            parse(&format!("{MINIMAL}{line}\n")).unwrap_err(),
            format!("/w/deploy.cgi:{expected}")
        );
    }

    #[test]
    fn a_complaint_shows_the_line_and_what_is_accepted() {
        check_complaint(
            "umask = 22",
            "4: `umask = 22`: `umask` has to be an octal number that leaves the owner everything, such as \"022\"",
        );
        check_complaint(
            "umask = 022",
            "4: `umask = 022`: a value without quotes; `umask` has to be an octal number that leaves the owner everything, \
             such as \"022\"",
        );
        check_complaint(
            "\nwait = \"31s\"",
            "5: `wait = \"31s\"`: `wait` has to be a time from \"0s\" to \"30s\", such as \"8s\"",
        );
        check_complaint(
            "branch=main",
            "4: `branch = main`: a value without quotes; `branch` has to be the name of a branch, such as \"main\"",
        );
        check_complaint(
            "branch = “main”",
            "4: `branch = “main”`: curly quotes; write straight ones, as in \"text\"; `branch` has to be the name of a \
             branch, such as \"main\"",
        );
        check_complaint(
            "update = \"reset",
            "4: `update = \"reset`: a quote is missing; `update` has to be \"fast-forward\" or \"reset\"",
        );
        check_complaint(
            "update =",
            "4: `update = `: no value; `update` has to be \"fast-forward\" or \"reset\"",
        );
        check_complaint(
            "status_page = secret-link",
            "4: `status_page = secret-link`: a value without quotes; `status_page` has to be true, false or \"secret-link\"",
        );
        check_complaint(
            "update: \"reset\"",
            "4: `***`: no `=` in it; a line is a key, `=` and a value",
        );
        check_complaint(
            "repo = \"/x\"",
            "4: `repo = \"/x\"`: the key `repo` stands twice, in line 2 and here; remove one",
        );
        check_complaint(
            "submodules = \"latest\"\nworkflow = \"ci.yml\"",
            "5: `workflow = \"ci.yml\"`: `workflow` cannot be used with `submodules = \"latest\"`: no workflow has seen those commits",
        );
        check_complaint(
            "workflow = \"a/ci.yml\"",
            "4: `workflow = \"a/ci.yml\"`: `workflow` has to be the file of a workflow, such as \".github/workflows/ci.yml\"",
        );
        check_complaint(
            "brnch = \"main\"",
            "4: `brnch = ***`: unknown key `brnch`; did you mean `branch`?",
        );
        check_complaint(
            "cake = 1",
            "4: `cake = ***`: unknown key `cake`; the keys are repo, secret_file, branch, repository, update, submodules, \
             on_update, on_failure, clone, ssh_key, ssh_keys, workflow, only, live, live_text, github_token_file, \
             github_context, github_api, wait, timeout, max_body, path, env, umask, status_page",
        );
        check_complaint(
            "clone = https://me:hunter2@example.org/me/blog",
            "4: `clone = https://***@example.org/me/blog`: a value without quotes; `clone` has to be the URL of the repository",
        );
        check_complaint(
            "env = 1",
            "4: `env = ***`: `env` has to be a table, such as env = { NAME = \"value\" }",
        );
        check_complaint(
            "[env]\nNODE_ENV = production",
            "5: `NODE_ENV = ***`: a value without quotes",
        );
        check_complaint(
            "env = { A = b }",
            "4: `env = ***`: a value without quotes; `env` has to be a table, such as env = { NAME = \"value\" }",
        );
        check_complaint(
            "on_update = \"touch \"a b\"\"",
            "4: `on_update = \"touch \"a b\"\"`: something behind the value; where there are quotes in it, write ' around it",
        );
        check_complaint(
            "env = { A = 1 }",
            "4: `env = ***`: `env.A` has to be text in quotes",
        );
        check_complaint(
            "[env]\n\"a b\" = \"\"",
            "5: `***`: `env.a b` is no name of a variable",
        );
        check_complaint(
            "env = { GIT_DIR = \"/x\" }",
            "4: `env = ***`: `env.GIT_DIR` would point git at another repository; `repo` says which one",
        );
    }

    #[test]
    fn a_key_that_another_one_is_for_needs_that() {
        for (line, why) in [
            (
                "live_text = \"Welcome\"",
                "`live_text` has no page to be looked for in: set `live`",
            ),
            (
                "github_context = \"deploy\"",
                "`github_context` is of no use without `github_token_file`",
            ),
            (
                "github_api = \"https://example.org/api/v3\"",
                "`github_api` is of no use without `github_token_file`",
            ),
        ] {
            check_complaint(line, &format!("4: `{line}`: {why}"));
        }
    }

    #[test]
    fn a_key_that_is_missing_is_named() {
        assert_eq!(
            parse("repo = \"/r\"").unwrap_err(),
            "/w/deploy.cgi: the key `secret_file` is missing; it has to be the absolute path of the file with the secret"
        );
    }

    #[test]
    fn no_complaint_shows_what_may_be_the_secret() {
        for line in [
            "secret = hunter2",
            "secret = \"hunter2",
            "secret_file = [\"hunter2\"]",
            "secret_file = hunter2",
            "secret_file = “hunter2”",
            "secret_file = \"hunter2\"",
            "on_update = \"deploy --token=hunter2",
            "env = { TOKEN = hunter2 }",
            "[env]\nTOKEN = hunter2",
            "hunter2",
            "hunter2==",
            "= hunter2",
        ] {
            let complaint = parse(&format!("repo = \"/r\"\n{line}\n")).unwrap_err();
            assert!(complaint.starts_with("/w/deploy.cgi:"), "{complaint}");
            assert!(!complaint.contains("hunter2"), "{complaint}");
        }
    }

    #[test]
    fn a_stranger_learns_the_line_and_the_kind_of_mistake() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            let env = Environment::default();
            let mistake = Site::parse("/w/deploy.cgi".into(), text.as_bytes(), &env).unwrap_err();
            assert_eq!(mistake.for_a_stranger(), expected);
        }
        check("\nbrnch = \"x\"", "line 2: unknown key");
        check(
            "repo = \"/r\"\nsecret_file = \"/s\"\numask = 22",
            "line 3: a value that is not accepted",
        );
        check("umask = 022", "line 1: a value without quotes");
        check("branch = ‘x’", "line 1: curly quotes");
        check("branch = \"x", "line 1: a quote is missing");
        check("branch", "line 1: no `=`");
        check("branch =", "line 1: no value");
        check(
            "repo = \"/r\"\nrepo = \"/r\"",
            "line 2: a key that stands there already",
        );
        check("branch = \"a\" \"b\"", "line 1: something behind the value");
        check("branch = \"\\d\"", "line 1: not valid TOML");
        check("repo = \"/r\"", "the key `secret_file` is missing");
    }

    #[test]
    fn values_out_of_range_or_form_are_refused() {
        for line in [
            "wait = \"8\"",
            "wait = \"1M\"",
            "wait = \"1month\"",
            "timeout = \"0s\"",
            "timeout = \"1d\"",
            "timeout = 600",
            "max_body = \"65MiB\"",
            "max_body = \"25\"",
            "max_body = \"-1MiB\"",
            "umask = \"22\"",
            "umask = \"777\"",
            "umask = \"0o22\"",
            "umask = \"+22\"",
            "submodules = \"newest\"",
            "status_page = \"true\"",
            "status_page = 1",
            "status_page = \"secret\"",
            "branch = \"--upload-pack=x\"",
            "branch = \"a..b\"",
            "branch = \"x.lock/y\"",
            "branch = \"\"",
            "repository = \"owner\"",
            "repository = \"https://github.com/o/n\"",
            "path = \"bin:/usr/bin\"",
            "path = \"\"",
            "ssh_keys = \"/home/me/.ssh/posts\"",
            "ssh_keys = { posts = \"/home/me/.ssh/posts\" }",
            "ssh_keys = { \"me/posts\" = \".ssh/posts\" }",
            "ssh_keys = { \"me/posts\" = \"/a\", \"Me/Posts\" = \"/b\" }",
            "on_update = \" \"",
        ] {
            assert!(parse(&format!("{MINIMAL}{line}\n")).is_err(), "{line}");
        }
    }
}
