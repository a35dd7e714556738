//! A site: the deploy.cgi file, parsed into a type that is right by construction. Every key, default and complaint.
//!
//! Must not know git, and reads nothing but the site file and the secret file.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::fs::Mode;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::cgi::{self, Environment, Variable};
use crate::process::Programs;
use crate::remote_url::RemoteUrl;
use crate::repository_name::RepositoryName;
use crate::signature::{NoSecrets, Secrets};
use crate::user::User;

/// How long a delivery waits for its result, unless `wait` says otherwise: GitHub hangs up after 10 s.
const DEFAULT_WAIT: Duration = Duration::from_secs(8);

/// The longest `wait`: GitHub Enterprise Server hangs up after 30 s.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// The limit of each step, unless `timeout` says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(10);

/// The longest `timeout`.
const MAX_TIMEOUT: Duration = Duration::from_hours(24);

/// GitHub's cap on a payload, in bytes (GitHub's documentation, "Webhook events and payloads").
pub(crate) const DEFAULT_MAX_BODY: u64 = 25 << 20;

/// The largest `max_body`: more than this is never taken from standard input, in bytes.
const MAX_BODY: u64 = 64 << 20;

/// The largest site file and the largest secret file, in bytes.
const MAX_FILE: usize = 64 << 10;

/// The umask of a deploy, unless `umask` says otherwise.
const DEFAULT_UMASK: Mode = Mode::from_raw_mode(0o022);

/// The keys a site file may have, in the order of deploy.cgi.example.
const KEYS: &[&str] = &[
    "repo",
    "secret_file",
    "branch",
    "repository",
    "update",
    "submodules",
    "on_update",
    "on_failure",
    "clone",
    "ssh_key",
    "wait",
    "timeout",
    "max_body",
    "path",
    "env",
    "umask",
];

/// Variables that would point git at another repository than `repo` (`git rev-parse --local-env-vars`).
const NOT_IN_ENV: &[&str] = &[
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

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
    pub(crate) wait: Duration,
    pub(crate) timeout: Duration,
    /// In bytes.
    pub(crate) max_body: u64,
    pub(crate) programs: Programs,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) umask: Mode,
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

/// A path of a site file begins with `~/`, and the running user has no home that is known without asking a program.
#[derive(Debug)]
pub(crate) struct NoHome;

impl std::fmt::Display for NoHome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "`~/` is no folder here: the user that runs this is not in /etc/passwd and has no HOME of its own; write \
             the path out, from the first /",
        )
    }
}

impl std::error::Error for NoHome {}

/// The site file of a request that no script was started for, if there is one: `DEPLOY_CGI_SITE`; else the first
/// argument, but only where the server itself named the same file as the script, it is not our own executable, and the
/// query cannot have become arguments (RFC 3875 section 4.4).
pub(crate) fn named_by_the_server(env: &Environment, arguments: &[OsString]) -> Option<PathBuf> {
    match env.variable("DEPLOY_CGI_SITE") {
        Variable::Once(site) => return Some(PathBuf::from(OsStr::from_bytes(site))),
        Variable::Several => return None,
        Variable::Absent => {}
    }
    if cgi::is_search_words(env.variable("QUERY_STRING").once()?) {
        return None;
    }
    let identity = |path: &Path| path.metadata().ok().map(|file| (file.dev(), file.ino()));
    let argument = Path::new(arguments.first()?);
    let named = identity(argument)?;
    let script = identity(Path::new(OsStr::from_bytes(
        env.variable("SCRIPT_FILENAME").once()?,
    )))?;
    let ourselves = std::env::current_exe()
        .ok()
        .and_then(|path| identity(&path))?;
    (named == script && named != ourselves).then(|| argument.to_owned())
}

/// The file the kernel started, when it is a script that names us as its interpreter (execve(2), `AT_EXECFN`).
#[cfg(target_os = "linux")]
pub(crate) fn started_script() -> Option<PathBuf> {
    let path = Path::new(OsStr::from_bytes(rustix::param::linux_execfn().to_bytes()));
    let mut start = [0; 2];
    std::fs::File::open(path)
        .ok()?
        .read_exact(&mut start)
        .ok()?;
    (start == *b"#!").then(|| path.to_owned())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn started_script() -> Option<PathBuf> {
    None
}

impl Site {
    /// Reads a site file. `~/` in it is the home of the user that `env` and the system name.
    pub(crate) fn read(file: &Path, env: &Environment) -> Result<Self> {
        let file =
            std::path::absolute(file).with_context(|| format!("cannot find {}", file.display()))?;
        let text = read_small(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let Ok(text) = std::str::from_utf8(&text) else {
            bail!("{}: not UTF-8 text; save the file as UTF-8", file.display());
        };
        Self::parse(file, text, env)
    }

    #[expect(clippy::too_many_lines, reason = "one key after the other")]
    fn parse(file: PathBuf, text: &str, env: &Environment) -> Result<Self> {
        let unmarked = text.strip_prefix('\u{feff}').unwrap_or(text);
        let table = match DeTable::parse(unmarked) {
            Ok(table) => table.into_inner(),
            // The parser's own display shows the line, and with it perhaps a secret.
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                bail!(
                    "{}: not valid TOML: {}",
                    place(&file, unmarked, at),
                    error.message()
                );
            }
        };
        let keys = Keys {
            file: &file,
            text: unmarked,
            table: &table,
            env,
        };
        keys.ensure_all_known()?;
        let on_update = keys.command("on_update")?;
        let on_failure = keys.command("on_failure")?;
        let path = keys.optional(
            "path",
            "folders like those of PATH, absolute, with colons between them",
            |text| {
                let all_absolute = !text.is_empty()
                    && std::env::split_paths(text).all(|folder| folder.is_absolute());
                all_absolute.then(|| OsString::from(text))
            },
        )?;
        Ok(Self {
            repo: keys.required_path("repo", "the absolute path of the checkout")?,
            secret_file: keys.required_path(
                "secret_file",
                "the absolute path of the file with the secret",
            )?,
            branch: keys.optional("branch", "the name of a branch, such as \"main\"", |text| {
                let name = text.strip_prefix("refs/heads/").unwrap_or(text);
                is_branch_name(name).then(|| name.to_owned())
            })?,
            repository: keys.optional("repository", "\"owner/name\"", RepositoryName::parse)?,
            update: keys
                .optional(
                    "update",
                    "\"fast-forward\" or \"reset\"",
                    |text| match text {
                        "fast-forward" => Some(Update::FastForward),
                        "reset" => Some(Update::Reset),
                        _ => None,
                    },
                )?
                .unwrap_or(Update::FastForward),
            submodules: keys
                .optional(
                    "submodules",
                    "\"recorded\", \"latest\" or \"skip\"",
                    |text| match text {
                        "recorded" => Some(Submodules::Recorded),
                        "latest" => Some(Submodules::Latest),
                        "skip" => Some(Submodules::Skip),
                        _ => None,
                    },
                )?
                .unwrap_or(Submodules::Recorded),
            on_update,
            on_failure,
            clone: keys.optional("clone", "the URL of the repository", |text| {
                let is_url =
                    !text.is_empty() && !text.starts_with('-') && !text.contains(char::is_control);
                is_url.then(|| RemoteUrl::parse(text))
            })?,
            ssh_key: keys.path("ssh_key", "the absolute path of a private key")?,
            wait: keys
                .optional(
                    "wait",
                    "a time from \"0s\" to \"30s\", such as \"8s\"",
                    |text| duration(text).filter(|wait| *wait <= MAX_WAIT),
                )?
                .unwrap_or(DEFAULT_WAIT),
            timeout: keys
                .optional(
                    "timeout",
                    "a time from \"1s\" to \"24h\", such as \"10m\"",
                    |text| {
                        duration(text)
                            .filter(|limit| (Duration::from_secs(1)..=MAX_TIMEOUT).contains(limit))
                    },
                )?
                .unwrap_or(DEFAULT_TIMEOUT),
            max_body: keys
                .optional(
                    "max_body",
                    "a size from \"1KiB\" to \"64MiB\", such as \"25MiB\"",
                    |text| size(text).filter(|size| (1024..=MAX_BODY).contains(size)),
                )?
                .unwrap_or(DEFAULT_MAX_BODY),
            programs: path.map_or_else(|| Programs::in_path(env.first("PATH")), Programs::exactly),
            env: keys.env()?,
            umask: keys
                .optional(
                    "umask",
                    "an octal number that leaves the owner everything, such as \"022\"",
                    |text| {
                        let octal = (3..=4).contains(&text.len())
                            && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
                        u32::from_str_radix(text, 8)
                            .ok()
                            .filter(|umask| octal && umask & !0o077 == 0)
                            .map(Mode::from_raw_mode)
                    },
                )?
                .unwrap_or(DEFAULT_UMASK),
            file,
        })
    }

    /// Every line of the secret file, however many there are, so that it can be masked. Where the file cannot be read there
    /// is nothing of it that could be shown.
    pub(crate) fn secret_words(&self) -> Vec<String> {
        let text = read_small(&self.secret_file).unwrap_or_default();
        let lines = text
            .split(|&byte| byte == b'\n')
            .map(|line| String::from_utf8_lossy(line));
        let words = lines.map(|line| line.trim_matches(['\r', '\u{feff}']).to_owned());
        let words = words.filter(|word| !word.is_empty());
        let login = self.clone.as_ref().map(RemoteUrl::credentials);
        words.chain(login.unwrap_or_default()).collect()
    }

    /// The secrets of the site. The error says what is wrong with the file, and what to do.
    pub(crate) fn secrets(&self) -> Result<Secrets> {
        let path = self.secret_file.display();
        let text = read_small(&self.secret_file)
            .with_context(|| format!("cannot read the secret file {path}"))?;
        match Secrets::parse(&text) {
            Ok(secrets) => Ok(secrets),
            Err(NoSecrets::Empty) => {
                bail!("the secret file {path} is empty; write the webhook's secret into it")
            }
            Err(NoSecrets::NulBytes) => {
                bail!(
                    "the secret file {path} has NUL bytes, as UTF-16 has; save it as plain text (UTF-8 or ASCII)"
                )
            }
            Err(NoSecrets::TooMany) => {
                bail!("the secret file {path} has more than 8 lines; leave the secrets in use")
            }
        }
    }
}

/// The table of a site file, with what is needed to complain about it.
struct Keys<'t> {
    file: &'t Path,
    text: &'t str,
    table: &'t DeTable<'t>,
    env: &'t Environment,
}

impl Keys<'_> {
    fn ensure_all_known(&self) -> Result<()> {
        for key in self.table.keys() {
            if !KEYS.contains(&&**key.get_ref()) {
                bail!(
                    "{}: unknown key `{}`; the keys are {}",
                    self.place(key.span().start),
                    key.get_ref().escape_default(),
                    KEYS.join(", ")
                );
            }
        }
        Ok(())
    }

    /// The path that is the value of a key that has to be there.
    fn required_path(&self, key: &str, accepted: &str) -> Result<PathBuf> {
        match self.path(key, accepted)? {
            Some(path) => Ok(path),
            None => bail!(
                "{}: the key `{key}` is missing; it has to be {accepted}",
                self.file.display()
            ),
        }
    }

    /// The value of a key. `read` gives `None` for a text that is not `accepted`.
    fn optional<T>(
        &self,
        key: &str,
        accepted: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.table.get(key) else {
            return Ok(None);
        };
        match value.get_ref().as_str().and_then(read) {
            Some(value) => Ok(Some(value)),
            // What stands there is not repeated: it may be a secret in the wrong place.
            None => bail!(
                "{}: `{key}` has to be {accepted}",
                self.place(value.span().start)
            ),
        }
    }

    fn command(&self, key: &str) -> Result<Option<String>> {
        self.optional(key, "a shell command", |text| {
            (!text.trim().is_empty() && !text.contains('\0')).then(|| text.to_owned())
        })
    }

    fn env(&self) -> Result<Vec<(String, String)>> {
        let Some(table) = self.table.get("env") else {
            return Ok(Vec::new());
        };
        let Some(entries) = table.get_ref().as_table() else {
            bail!(
                "{}: `env` has to be a table, such as env = {{ NAME = \"value\" }}",
                self.place(table.span().start)
            );
        };
        entries
            .iter()
            .map(|(name, value)| self.env_entry(name, value))
            .collect()
    }

    fn env_entry(
        &self,
        name: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(String, String)> {
        let shown = name.get_ref().escape_default();
        let well_formed = name
            .get_ref()
            .bytes()
            .enumerate()
            .all(|(at, byte)| match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'_' => true,
                b'0'..=b'9' => at > 0,
                _ => false,
            });
        if !well_formed || name.get_ref().is_empty() {
            bail!(
                "{}: `env.{shown}` is no name of a variable",
                self.place(name.span().start)
            );
        }
        if NOT_IN_ENV.contains(&&**name.get_ref()) {
            bail!(
                "{}: `env.{shown}` would point git at another repository; `repo` says which one",
                self.place(name.span().start)
            );
        }
        match value.get_ref().as_str().filter(|text| !text.contains('\0')) {
            Some(text) => Ok((name.get_ref().to_string(), text.to_owned())),
            None => bail!(
                "{}: `env.{shown}` has to be text in quotes",
                self.place(value.span().start)
            ),
        }
    }

    /// An absolute path, `~/` being the running user's home. No program is started to find that: a stranger's request
    /// comes here too.
    fn path(&self, key: &str, accepted: &str) -> Result<Option<PathBuf>> {
        let text = self.optional(key, accepted, |text| {
            let is_path = !text.contains('\0') && (text.starts_with("~/") || text.starts_with('/'));
            is_path.then(|| text.to_owned())
        })?;
        let Some(text) = text else {
            return Ok(None);
        };
        let Some(below) = text.strip_prefix("~/") else {
            return Ok(Some(text.into()));
        };
        match User::known(self.env).home {
            Some(home) => Ok(Some(home.join(below))),
            None => Err(NoHome).with_context(|| format!("{}: `{key}`", self.file.display())),
        }
    }

    fn place(&self, at: usize) -> String {
        place(self.file, self.text, at)
    }
}

/// `file:line`, of a byte offset.
fn place(file: &Path, text: &str, at: usize) -> String {
    let line = text
        .as_bytes()
        .iter()
        .take(at)
        .filter(|&&byte| byte == b'\n')
        .count()
        + 1;
    format!("{}:{line}", file.display())
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

/// A duration such as `8s`, `500ms`, `10m` or `1h 30m`. Months and years are refused: `1M` would be a month.
fn duration(text: &str) -> Option<Duration> {
    let units = [
        "ms", "s", "sec", "secs", "m", "min", "mins", "h", "hour", "hours",
    ];
    let known = text
        .split(|c: char| c.is_ascii_digit() || c.is_whitespace())
        .filter(|unit| !unit.is_empty())
        .all(|unit| units.contains(&unit));
    known.then(|| humantime::parse_duration(text).ok())?
}

/// A size in bytes: a number with B, KB, KiB, MB or MiB.
fn size(text: &str) -> Option<u64> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let factor = match text[unit..].trim_start() {
        "B" => 1,
        "KB" => 1_000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        _ => return None,
    };
    text[..unit].parse::<u64>().ok()?.checked_mul(factor)
}

/// Whether git would take this as a branch name (git-check-ref-format(1)); never an option.
fn is_branch_name(name: &str) -> bool {
    !name.is_empty()
        && name != "@"
        && name != "HEAD"
        && !name.starts_with('-')
        && !name.ends_with('.')
        && !name.contains("..")
        && !name.contains("@{")
        && !name.contains(|c: char| c.is_control() || " ~^:?*[\\".contains(c))
        && name
            .split('/')
            .all(|part| !part.is_empty() && !part.starts_with('.') && !has_lock_ending(part))
}

fn has_lock_ending(part: &str) -> bool {
    part.as_bytes().ends_with(b".lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Site, String> {
        let env = Environment::from_iter([("PATH".into(), "/host/bin".into())]);
        Site::parse("/w/deploy.cgi".into(), text, &env).map_err(|error| format!("{error:#}"))
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
             path = \"/a:/b\"\numask = \"0027\"\n[env]\nA_1 = \"x y\"\n"
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
        assert_eq!(site.env, [("A_1".to_owned(), "x y".to_owned())]);
        assert_eq!(site.on_update.as_deref(), Some("touch tmp/restart.txt"));
        assert_eq!(site.on_failure.as_deref(), Some("mail me"));
    }

    #[track_caller]
    fn check_complaint(line: &str, expected: &str) {
        assert_eq!(parse(&format!("{MINIMAL}{line}\n")).unwrap_err(), expected);
    }

    #[test]
    fn a_complaint_names_file_line_key_and_what_is_accepted() {
        check_complaint(
            "umask = 22",
            "/w/deploy.cgi:4: `umask` has to be an octal number that leaves the owner everything, such as \"022\"",
        );
        check_complaint(
            "\nwait = \"31s\"",
            "/w/deploy.cgi:5: `wait` has to be a time from \"0s\" to \"30s\", such as \"8s\"",
        );
        check_complaint(
            "env = 1",
            "/w/deploy.cgi:4: `env` has to be a table, such as env = { NAME = \"value\" }",
        );
        check_complaint(
            "env = { A = 1 }",
            "/w/deploy.cgi:4: `env.A` has to be text in quotes",
        );
        check_complaint(
            "[env]\n\"a b\" = \"\"",
            "/w/deploy.cgi:5: `env.a b` is no name of a variable",
        );
        check_complaint(
            "env = { GIT_DIR = \"/x\" }",
            "/w/deploy.cgi:4: `env.GIT_DIR` would point git at another repository; `repo` says which one",
        );
        assert_eq!(
            parse("repo = \"/r\"").unwrap_err(),
            "/w/deploy.cgi: the key `secret_file` is missing; it has to be the absolute path of the file with the secret"
        );
        assert_eq!(
            parse("repo = \"r\"\nsecret_file = \"/s\"").unwrap_err(),
            "/w/deploy.cgi:1: `repo` has to be the absolute path of the checkout"
        );
        let unknown = parse(&format!("{MINIMAL}secret = \"hunter2\"\n")).unwrap_err();
        assert!(
            unknown.starts_with(
                "/w/deploy.cgi:4: unknown key `secret`; the keys are repo, secret_file, "
            ),
            "{unknown}"
        );
    }

    #[test]
    fn no_complaint_repeats_what_stands_in_the_file() {
        for line in [
            "secret = hunter2",
            "secret = \"hunter2",
            "secret_file = [\"hunter2\"]",
            "branch = 'hunter2~'",
            "hunter2",
            "= hunter2",
        ] {
            let complaint = parse(&format!("{MINIMAL}{line}\n")).unwrap_err();
            assert!(complaint.starts_with("/w/deploy.cgi:"), "{complaint}");
            assert!(!complaint.contains("hunter2"), "{complaint}");
        }
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
            "branch = \"--upload-pack=x\"",
            "branch = \"a..b\"",
            "branch = \"x.lock/y\"",
            "branch = \"\"",
            "repository = \"owner\"",
            "repository = \"https://github.com/o/n\"",
            "path = \"bin:/usr/bin\"",
            "path = \"\"",
            "on_update = \" \"",
        ] {
            assert!(parse(&format!("{MINIMAL}{line}\n")).is_err(), "{line}");
        }
    }
}
