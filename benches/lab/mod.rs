//! What the benchmarks share: a sandbox, a site in it, signed deliveries to it, and runs in pairs.
//!
//! Everything is built in a temporary folder (`TMPDIR` chooses the disk), with a home and a git configuration of its own.
//! Nothing here says what is fast enough: times are printed, never judged.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each benchmark is a program of its own and uses a part of this"
)]

pub mod origin;
pub mod proxy;
pub mod race;
pub mod upstream;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tempfile::TempDir;

pub const SECRET: &str = "a secret that only this benchmark knows";

/// What a pipe holds; less than this can be written before anybody reads.
const PIPE: usize = 64 << 10;

/// How long a deploy may take to be over after its answer, before the benchmark gives up.
const PATIENCE: Duration = Duration::from_mins(2);

/// The arguments of a benchmark: the rows to run, and one number.
pub struct Args {
    words: Vec<String>,
    number: Option<usize>,
}

impl Args {
    /// Cargo adds `--bench` of its own.
    pub fn read() -> Self {
        let all: Vec<String> = std::env::args().skip(1).collect();
        Self {
            number: all.iter().find_map(|arg| arg.parse().ok()),
            words: all
                .into_iter()
                .filter(|arg| !arg.starts_with("--") && arg.parse::<usize>().is_err())
                .collect(),
        }
    }

    /// Whether a row was asked for; without any word, all were.
    pub fn wants(&self, row: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| word == row)
    }

    pub fn number_or(&self, usual: usize) -> usize {
        self.number.unwrap_or(usual)
    }
}

/// A sandbox that goes away at the end.
pub struct Lab {
    folder: TempDir,
    path: String,
}

/// A site file and the checkout it deploys.
pub struct Site {
    pub file: PathBuf,
    pub checkout: PathBuf,
}

impl Lab {
    pub fn new() -> Result<Self> {
        let folder = TempDir::with_prefix("deploy-cgi-bench-").context("no temporary folder")?;
        let lab = Self {
            folder,
            path: std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".into()),
        };
        for name in ["home", "cgi-bin", "upstream/me"] {
            fs::create_dir_all(lab.path(name))?;
        }
        let config = "[user]\n\tname = Me\n\temail = me@example.org\n[init]\n\tdefaultBranch = main\n\ttemplateDir =\n\
                      [protocol \"file\"]\n\tallow = always\n[safe]\n\tdirectory = *\n";
        fs::write(lab.path("home/gitconfig"), config)?;
        fs::write(lab.path("secret.txt"), SECRET)?;
        // As an installation puts it: a linker's own output lies in the page cache in smaller pieces and starts slower.
        // And a `#!` line has no room for blanks or a long path.
        fs::copy(env!("CARGO_BIN_EXE_deploy-cgi"), lab.path("deploy-cgi"))?;
        Ok(lab)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A program in a clean environment, as a person in the sandbox would start it.
    pub fn clean(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", self.path("home"))
            .env("GIT_CONFIG_GLOBAL", self.path("home/gitconfig"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        command
    }

    /// What a git command prints.
    pub fn git(&self, folder: &Path, words: &[&str]) -> Result<String> {
        let output = self
            .clean("git")
            .arg("-C")
            .arg(folder)
            .args(words)
            .output()?;
        if !output.status.success() {
            bail!("git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }

    /// Writes a site file; `more` are further lines of it.
    pub fn site(&self, name: &str, checkout: &Path, more: &str) -> Result<Site> {
        let file = self.path("cgi-bin").join(name);
        let home = self.path("home");
        let quoted = |path: &Path| format!("\"{}\"", path.display());
        let text = format!(
            "#!{program}\nrepo = {repo}\nsecret_file = {secret}\nwait = \"30s\"\n{more}\
             env = {{ HOME = {home}, GIT_CONFIG_NOSYSTEM = \"1\", GIT_CONFIG_GLOBAL = {config} }}\n",
            program = self.path("deploy-cgi").display(),
            repo = quoted(checkout),
            secret = quoted(&self.path("secret.txt")),
            home = quoted(&home),
            config = quoted(&home.join("gitconfig")),
        );
        fs::write(&file, text)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
        Ok(Site {
            file,
            checkout: checkout.to_owned(),
        })
    }

    /// Any program, started as a web server starts a CGI program that has to answer a delivery.
    pub fn request(&self, program: &Path, delivery: &Delivery) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", &self.path)
            .envs(delivery.variables(program));
        command
    }

    /// Whether a program is in the PATH.
    pub fn finds(&self, program: &str) -> Option<PathBuf> {
        std::env::split_paths(&self.path)
            .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
            .map(|folder| folder.join(program))
            .find(|path| path.is_file())
    }

    /// Builds a small static C program; `None` where there is no C compiler that can.
    pub fn c_program(&self, name: &str, source: &str) -> Result<Option<PathBuf>> {
        let (text, program) = (self.path(&format!("{name}.c")), self.path(name));
        let linked = self.path(&format!("{name}.linked"));
        fs::write(&text, source)?;
        let built = self
            .clean("cc")
            .args(["-O2", "-static", "-o"])
            .args([&linked, &text])
            .stderr(Stdio::null())
            .status();
        if !built.is_ok_and(|status| status.success()) {
            return Ok(None);
        }
        // Like the program it is compared with.
        fs::copy(linked, &program)?;
        Ok(Some(program))
    }

    /// Writes an executable script.
    pub fn script(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }

    /// Says on what the figures were taken.
    pub fn describe(&self) {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpu
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or("an unknown processor", |(_, name)| name);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let git = self
            .clean("git")
            .arg("--version")
            .output()
            .map_or_else(|_| "no git".into(), |output| said(&output.stdout));
        let size = fs::metadata(env!("CARGO_BIN_EXE_deploy-cgi")).map_or(0, |file| file.len());
        println!(
            "{cpu}, {cores} cores, Linux {}, {git}, temporary folder on {}; deploy-cgi {} of {} bytes\n",
            kernel.trim_end(),
            self.file_system(),
            env!("CARGO_PKG_VERSION"),
            grouped(size),
        );
    }

    fn file_system(&self) -> String {
        match rustix::fs::statfs(self.folder.path()).map(|found| found.f_type.cast_unsigned()) {
            Ok(0xEF53) => "ext4".into(),
            Ok(0x0102_1994) => "tmpfs".into(),
            Ok(0x5846_5342) => "xfs".into(),
            Ok(0x9123_683E) => "btrfs".into(),
            Ok(0x794C_7630) => "overlayfs".into(),
            Ok(other) => format!("file system {other:#x}"),
            Err(_) => "an unknown file system".into(),
        }
    }
}

impl Site {
    /// Waits until the deploy is over whose answer has been heard: nothing waits and nobody has the turn.
    pub fn settle(&self) -> Result<()> {
        let state = self.checkout.join(".git/deploy-cgi");
        let begin = Instant::now();
        loop {
            let waits =
                fs::read_dir(state.join("queue")).is_ok_and(|mut queue| queue.next().is_some());
            let works =
                File::open(state.join("turn")).is_ok_and(|turn| turn.try_lock_shared().is_err());
            if !waits && !works {
                return Ok(());
            }
            if begin.elapsed() > PATIENCE {
                bail!("the deploy of {} does not end", self.checkout.display());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// How many deploys the history tells of.
    pub fn deploys(&self) -> usize {
        fs::read_to_string(self.checkout.join(".git/deploy-cgi/history.jsonl"))
            .map_or(0, |history| history.lines().count())
    }
}

/// A delivery as GitHub sends it.
pub struct Delivery {
    pub event: &'static str,
    pub id: String,
    pub content_type: &'static str,
    pub signature: String,
    pub body: Vec<u8>,
}

impl Delivery {
    /// A push of `after` to `git_ref`, signed; its commit modifies these paths.
    pub fn push(git_ref: &str, after: &str, modified: &[String]) -> Self {
        let body = format!(
            "{{\"ref\":\"{git_ref}\",\"before\":\"{before}\",\"after\":\"{after}\",\"created\":false,\"deleted\":false,\
             \"forced\":false,\"repository\":{{\"id\":1,\"name\":\"site\",\"full_name\":\"me/site\"}},\
             \"pusher\":{{\"name\":\"me\"}},\"commits\":[{{\"id\":\"{after}\",\"message\":\"a\",\
             \"added\":[],\"removed\":[],\"modified\":{modified:?}}}]}}",
            before = "1".repeat(40),
        );
        Self::json(body.into_bytes())
    }

    /// A signed push with this JSON.
    pub fn json(body: Vec<u8>) -> Self {
        Self {
            event: "push",
            id: "72d3162e-cc78-11e3-81ab-4c9367dc0958".into(),
            content_type: "application/json",
            signature: sign(&body),
            body,
        }
    }

    pub fn variables(&self, program: &Path) -> Vec<(&'static str, String)> {
        vec![
            ("GATEWAY_INTERFACE", "CGI/1.1".into()),
            ("SERVER_PROTOCOL", "HTTP/1.1".into()),
            ("SERVER_SOFTWARE", "bench".into()),
            ("SERVER_NAME", "www.example.org".into()),
            ("SERVER_PORT", "80".into()),
            ("REMOTE_ADDR", "127.0.0.1".into()),
            ("REQUEST_METHOD", "POST".into()),
            ("REQUEST_URI", "/cgi-bin/deploy.cgi".into()),
            ("QUERY_STRING", String::new()),
            ("SCRIPT_NAME", "/cgi-bin/deploy.cgi".into()),
            ("SCRIPT_FILENAME", program.display().to_string()),
            ("CONTENT_TYPE", self.content_type.into()),
            ("CONTENT_LENGTH", self.body.len().to_string()),
            ("HTTP_HOST", "www.example.org".into()),
            ("HTTP_USER_AGENT", "GitHub-Hookshot/044aadd".into()),
            ("HTTP_ACCEPT", "*/*".into()),
            ("HTTP_X_GITHUB_EVENT", self.event.into()),
            ("HTTP_X_GITHUB_DELIVERY", self.id.clone()),
            ("HTTP_X_HUB_SIGNATURE_256", self.signature.clone()),
        ]
    }
}

/// The value of `X-Hub-Signature-256`.
pub fn sign(body: &[u8]) -> String {
    match Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()) {
        Ok(mut mac) => {
            mac.update(body);
            format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
        }
        Err(_) => unreachable!("HMAC takes a key of any length"),
    }
}

/// Spawn to exit, with a small body that is already in the pipe, as it is when a server starts a program.
pub fn timed(command: &mut Command, body: &[u8]) -> Result<(Duration, Vec<u8>)> {
    if body.len() > PIPE {
        bail!("a body of {} bytes does not fit into a pipe", body.len());
    }
    let (reader, mut writer) = std::io::pipe()?;
    writer.write_all(body)?;
    drop(writer);
    let (mut answer, out) = std::io::pipe()?;
    command.stdin(reader).stdout(out).stderr(Stdio::null());
    let begin = Instant::now();
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    child.wait()?;
    let took = begin.elapsed();
    // Our copies of its ends would keep the pipe open.
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut text = Vec::new();
    answer.read_to_end(&mut text)?;
    Ok((took, text))
}

/// Fails unless an answer begins as it has to: what is fast and wrong is not measured.
pub fn expect_answer(answer: &[u8], status: &str, word: &str) -> Result<()> {
    let text = String::from_utf8_lossy(answer);
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    if text.starts_with(&format!("Status: {status}")) && body.starts_with(word) {
        return Ok(());
    }
    bail!("expected {status} and {word}, and was answered:\n{text}")
}

/// Runs in pairs, one of each in turn, so that the weather is the same for both.
#[derive(Default)]
pub struct Pairs {
    base: Vec<Duration>,
    ours: Vec<Duration>,
}

/// A median with its extremes.
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Pairs {
    /// At most `count` pairs, and no new one after `limit`. Every other pair begins with the second.
    pub fn run(
        count: usize,
        limit: Duration,
        mut before: impl FnMut() -> Result<()>,
        mut base: impl FnMut() -> Result<Duration>,
        mut ours: impl FnMut() -> Result<Duration>,
    ) -> Result<Self> {
        let mut pairs = Self::default();
        let begin = Instant::now();
        for round in 0..count {
            if round > 2 && begin.elapsed() > limit {
                break;
            }
            before()?;
            if round % 2 == 0 {
                pairs.base.push(base()?);
                pairs.ours.push(ours()?);
            } else {
                pairs.ours.push(ours()?);
                pairs.base.push(base()?);
            }
        }
        Ok(pairs)
    }

    pub fn len(&self) -> usize {
        self.base.len()
    }

    pub fn ratio(&self) -> Spread {
        Spread::of(
            self.base
                .iter()
                .zip(&self.ours)
                .map(|(base, ours)| ours.as_secs_f64() / base.as_secs_f64()),
        )
    }

    /// In milliseconds.
    pub fn base(&self) -> Spread {
        Spread::of(self.base.iter().map(|time| time.as_secs_f64() * 1e3))
    }

    /// In milliseconds.
    pub fn ours(&self) -> Spread {
        Spread::of(self.ours.iter().map(|time| time.as_secs_f64() * 1e3))
    }

    /// The fields of a row: pairs, both times, their ratio.
    pub fn fields(&self) -> String {
        let (base, ours, ratio) = (self.base(), self.ours(), self.ratio());
        format!(
            "{:>5} {:>9.3} {:>9.3} {:>7.3}  [{:.3} .. {:.3}]  {:>7.3}",
            self.len(),
            base.median,
            ours.median,
            ratio.median,
            ratio.least,
            ratio.most,
            ours.median / base.median,
        )
    }
}

/// The head over the fields of [`Pairs::fields`].
pub fn head(of: &str, width: usize) -> String {
    format!(
        "{of:<width$} {:>5} {:>9} {:>9} {:>7}  [least .. most]  medians'",
        "pairs", "base ms", "ours ms", "ratio"
    )
}

impl Spread {
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut all: Vec<f64> = values.collect();
        all.sort_by(f64::total_cmp);
        let at = |index: usize| all.get(index).copied().unwrap_or(f64::NAN);
        let half = all.len() / 2;
        let median = if all.len().is_multiple_of(2) && half > 0 {
            f64::midpoint(at(half - 1), at(half))
        } else {
            at(half)
        };
        Self {
            median,
            least: at(0),
            most: at(all.len().saturating_sub(1)),
        }
    }
}

/// Starts a command under a tracer or meter that writes its findings to a file, and returns those.
pub fn metered(command: &mut Command, body: &[u8], findings: &Path) -> Result<String> {
    let (_, _) = timed(command, body)?;
    fs::read_to_string(findings).with_context(|| format!("no {}", findings.display()))
}

/// The command as `program` and its words would run it, in the same environment.
pub fn under(program: &str, words: &[&str], command: &Command) -> Command {
    let mut outer = Command::new(program);
    outer
        .args(words)
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    outer
}

/// What of a trace by `strace -f` counts as a system call, by its name.
pub fn system_calls(trace: &str) -> Vec<&str> {
    trace
        .lines()
        .filter_map(|line| {
            let call = line
                .split_once(' ')
                .map_or(line, |(_, call)| call.trim_start());
            let (name, _) = call.split_once('(')?;
            let is_name = !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            is_name.then_some(name)
        })
        .collect()
}

/// The peak of a command's memory in KiB, as `/usr/bin/time` sees it; `None` where that is not installed.
pub fn peak_kib(lab: &Lab, command: &Command, body: &Path) -> Result<Option<u64>> {
    let Some(time) = lab.finds("time") else {
        return Ok(None);
    };
    let findings = lab.path("time.txt");
    let words = ["-q", "-f", "%M", "-o", &findings.display().to_string()].map(str::to_owned);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let status = under(&time.display().to_string(), &words, command)
        .stdin(File::open(body)?)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if !status.success() {
        bail!("{} ended with {status}", time.display());
    }
    Ok(fs::read_to_string(findings)?.trim().parse().ok())
}

/// Page faults of children that have been waited for, of this process (proc(5): cminflt).
pub fn faults_of_children() -> Result<u64> {
    let stat = fs::read_to_string("/proc/self/stat").context("no /proc")?;
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    // The fields after the name: state is the third of all, cminflt the eleventh.
    fields
        .split(' ')
        .nth(8)
        .and_then(|count| count.parse().ok())
        .context("/proc/self/stat is not as proc(5) says")
}

pub fn said(output: &[u8]) -> String {
    String::from_utf8_lossy(output).trim().to_owned()
}

/// A number with its thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}
