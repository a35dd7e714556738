//! `demo`: one whole delivery in a temporary folder. Nothing is staged but the world around it: the site file is started
//! by its `#!` line, with a request in its environment, as a web server starts it.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use super::init::toml_string;
use super::{Done, print};
use crate::cgi::Environment;
use crate::git::Checkout;
use crate::process::{Programs, Run};
use crate::queue::Queue;
use crate::redaction::escape;
use crate::signature::Secrets;
use crate::site::Site;
use crate::state::{StateFolder, fill_with_random};

/// Where the world is built when `TMPDIR` names no folder that a `#!` line can hold.
const USUAL_TMP: &str = "/tmp";

/// The longest path behind `#!`, in bytes: Linux before 5.1 reads 127 bytes of that line, `#!` among them.
const MAX_INTERPRETER: usize = 120;

/// The name of our own program in that folder. Its real path may be too long, or hold a blank.
const PROGRAM: &str = "deploy-cgi";

/// The secret of the webhook. GitHub's documentation signs its example with it; no hook of a person's should.
const SECRET: &[u8] = b"It's a Secret to Everybody";

/// The id of the delivery: that of GitHub's documentation.
const DELIVERY: &str = "72d3162e-cc78-11e3-81ab-4c9367dc0958";

/// When everything was committed: the same commits have the same ids each time, as the README shows them.
const COMMITTED: &str = "2025-03-20T09:01:00Z";

/// How long one step may take, on a slow host too.
const LIMIT: Duration = Duration::from_mins(2);

/// How long the worker may be in line before its turn.
const IN_LINE: Duration = Duration::from_secs(10);

/// How often that is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Configuration for git, in the place of the person's: a user, and leave to clone submodules from this machine.
const GIT_CONFIG: &str = "[user]\n\tname = Me\n\temail = me@example.org\n\
    [protocol \"file\"]\n\tallow = always\n[init]\n\ttemplateDir =\n";

/// What to do after it.
const NEXT: &str = "
That was the whole way, and nothing of it is left. For a site of your own:

  1. Write a deploy.cgi into cgi-bin: #! and the path of this program, repo, secret_file.
     Make it executable: chmod 755 deploy.cgi
  2. Let it look at everything that a deploy needs: ./deploy.cgi check
  3. At GitHub, under Settings, Webhooks, Add webhook: enter its address, the content type
     application/json, and the secret.

README.md has every step, docs/servers.md what each web server needs, deploy.cgi.example every key.
";

/// Plays the delivery, and clears up however it went.
pub(crate) fn demo(env: &Environment) -> Result<Done> {
    let world = World::make(env)?;
    let played = world.play(env);
    let cleared = world.clear(env);
    let done = played?;
    cleared?;
    if matches!(done, Done::Yes) {
        print(NEXT)?;
    }
    Ok(done)
}

/// The temporary folder with all that a delivery needs.
struct World {
    folder: PathBuf,
    git: PathBuf,
    path: OsString,
}

impl World {
    /// Makes the folder, and nothing in it yet.
    fn make(env: &Environment) -> Result<Self> {
        let programs = Programs::in_path(env.first("PATH"));
        let Some(git) = programs.find("git") else {
            bail!(
                "the demo needs git, which was not found in {}",
                programs.as_path().display()
            );
        };
        let mut random = [0; 4];
        fill_with_random(&mut random)?;
        let name = format!("deploy-cgi-demo-{}", hex::encode(random));
        let fits = |tmp: &Path| {
            let interpreter = tmp.join(&name).join(PROGRAM);
            let text = interpreter.to_str();
            tmp.is_absolute()
                && text.is_some_and(|text| {
                    text.len() <= MAX_INTERPRETER && !text.contains(char::is_whitespace)
                })
        };
        let folder = env
            .first("TMPDIR")
            .map(Path::new)
            .filter(|tmp| fits(tmp))
            .unwrap_or(Path::new(USUAL_TMP))
            .join(&name);
        DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .with_context(|| {
                format!(
                    "cannot make the folder {}; set TMPDIR to a folder of yours",
                    folder.display()
                )
            })?;
        Ok(Self {
            folder,
            git,
            path: programs.as_path().to_owned(),
        })
    }

    fn play(&self, env: &Environment) -> Result<Done> {
        print(&format!(
            "One delivery, in {}\n\n\
             1. The site: a checkout with a submodule, and its deploy.cgi\n\n",
            self.folder.display()
        ))?;
        self.plant()?;
        let settings = self.write_site_file()?;
        print(&format!(
            "{}\n{}",
            indented(&settings),
            indented(&self.deployed_files()?)
        ))?;

        print("\n2. A push: a post in the submodule, and a page that shows it\n\n")?;
        let (before, after) = self.push()?;
        for (name, folder) in [("posts", "blog/posts"), ("blog", "blog")] {
            let log = self.git(&self.desk(folder), &["log", "-n1", "--format=%h %s"])?;
            print(&indented(&format!("{name:<6} {log}")))?;
        }

        let body = format!(
            "{{\"ref\":\"refs/heads/main\",\"before\":\"{before}\",\"after\":\"{after}\",\
             \"repository\":{{\"full_name\":\"me/blog\"}}}}"
        );
        let headers = headers(body.as_bytes())?;
        let mut head = "POST /cgi-bin/deploy.cgi HTTP/1.1\n".to_owned();
        for (name, value) in &headers {
            let _ = writeln!(head, "{name}: {value}");
        }
        print(&format!(
            "\n3. What GitHub sends\n\n{}\n{}",
            indented(&head),
            indented(&body)
        ))?;

        print("\n4. What deploy.cgi answers\n\n")?;
        let (answer, complaints) = self.deliver(env, &headers, body.as_bytes())?;
        print(&indented(&answer))?;
        if !answer.starts_with("Status: 200 ") || !answer.contains("\n\ndeployed ") {
            print(&format!(
                "\nThat is not the answer it should be.\n{}",
                indented(&complaints)
            ))?;
            return Ok(Done::No);
        }

        print(&format!(
            "\n5. What is deployed\n\n{}",
            indented(&self.deployed_files()?)
        ))?;
        Ok(Done::Yes)
    }

    /// The repository `me/blog` with the submodule `me/posts` at their origin, and a checkout of it.
    fn plant(&self) -> Result<()> {
        for folder in ["home", "origin/me", "desk", "cgi-bin"] {
            let folder = self.folder.join(folder);
            fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        write(&self.folder.join("home/.gitconfig"), GIT_CONFIG, 0o600)?;
        for name in ["posts", "blog"] {
            let (desk, origin) = (self.desk(name), self.origin(name));
            self.git(&self.folder, &["init", "-q", "--bare", &origin])?;
            self.git(&self.folder, &["init", "-q", &shown(&desk)])?;
            for folder in [Path::new(&origin), &desk] {
                // Older gits call it otherwise.
                self.git(folder, &["symbolic-ref", "HEAD", "refs/heads/main"])?;
            }
            self.git(&desk, &["remote", "add", "origin", &origin])?;
        }
        let (posts, blog) = (self.desk("posts"), self.desk("blog"));
        write(&posts.join("winter.md"), "It snows.\n", 0o644)?;
        self.git(&posts, &["add", "winter.md"])?;
        self.commit_and_push(&posts, "Write about winter")?;
        write(&blog.join("index.html"), "<h1>Winter</h1>\n", 0o644)?;
        self.git(&blog, &["add", "index.html"])?;
        self.git(
            &blog,
            &["submodule", "--quiet", "add", "../posts.git", "posts"],
        )?;
        self.commit_and_push(&blog, "Begin a blog")?;
        let checkout = shown(&self.checkout());
        self.git(
            &self.folder,
            &[
                "clone",
                "-q",
                "--recurse-submodules",
                &self.origin("blog"),
                &checkout,
            ],
        )?;
        Ok(())
    }

    /// The push that is delivered. Returns the commits before and after it.
    fn push(&self) -> Result<(String, String)> {
        let blog = self.desk("blog");
        let posts = blog.join("posts");
        let before = self.git(&blog, &["rev-parse", "HEAD"])?;
        write(&posts.join("spring.md"), "The snow is gone.\n", 0o644)?;
        self.git(&posts, &["add", "spring.md"])?;
        self.commit_and_push(&posts, "Write about spring")?;
        write(&blog.join("index.html"), "<h1>Spring</h1>\n", 0o644)?;
        self.git(&blog, &["add", "index.html", "posts"])?;
        self.commit_and_push(&blog, "Show the post about spring")?;
        let after = self.git(&blog, &["rev-parse", "HEAD"])?;
        Ok((before.trim_end().to_owned(), after.trim_end().to_owned()))
    }

    fn commit_and_push(&self, folder: &Path, subject: &str) -> Result<()> {
        self.git(folder, &["commit", "-q", "-m", subject])?;
        self.git(folder, &["push", "-q", "origin", "HEAD:refs/heads/main"])
            .map(drop)
    }

    /// Writes the site file, and what it names. Returns its text.
    fn write_site_file(&self) -> Result<String> {
        let program = self.folder.join(PROGRAM);
        let ourselves = std::env::current_exe().context("cannot find our own executable")?;
        symlink(&ourselves, &program)
            .with_context(|| format!("cannot make the link {}", program.display()))?;
        let secret = self.folder.join("secret.txt");
        write(&secret, &String::from_utf8_lossy(SECRET), 0o600)?;
        // The person's own configuration of git must not matter.
        let text = format!(
            "#!{}\nrepo = {}\nsecret_file = {}\non_update = \"mkdir -p tmp && echo again >tmp/restart.txt\"\nwait = \"30s\"\n\
             env = {{ HOME = {}, GIT_CONFIG_NOSYSTEM = \"1\" }}\n",
            program.display(),
            toml_string(&shown(&self.checkout())),
            toml_string(&shown(&secret)),
            toml_string(&shown(&self.folder.join("home"))),
        );
        write(&self.site_file(), &text, 0o755)?;
        Ok(text)
    }

    /// Starts the site file as a web server does. Returns its answer, and what it told the server's error log.
    fn deliver(
        &self,
        env: &Environment,
        headers: &[(&str, String)],
        body: &[u8],
    ) -> Result<(String, String)> {
        let site_file = self.site_file();
        let mut request: Vec<(OsString, OsString)> = vec![
            ("GATEWAY_INTERFACE".into(), "CGI/1.1".into()),
            ("SERVER_PROTOCOL".into(), "HTTP/1.1".into()),
            ("SERVER_SOFTWARE".into(), "deploy-cgi-demo".into()),
            ("REQUEST_METHOD".into(), "POST".into()),
            ("SCRIPT_NAME".into(), "/cgi-bin/deploy.cgi".into()),
            ("SCRIPT_FILENAME".into(), site_file.clone().into()),
            ("QUERY_STRING".into(), OsString::new()),
        ];
        for (name, value) in headers {
            request.push((meta_variable(name).into(), value.into()));
        }
        if let Some(path) = env.first("PATH") {
            request.push(("PATH".into(), path.into()));
        }
        let ended = Run::new(&site_file, LIMIT)
            .folder(&self.folder.join("cgi-bin"))
            .env(request)
            .input(body)
            .output_apart()
            .map_err(|error| self.not_started(error))?;
        Ok((shown_text(&ended.output), shown_text(&ended.errors)))
    }

    fn not_started(&self, error: anyhow::Error) -> anyhow::Error {
        let is_forbidden = error
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == ErrorKind::PermissionDenied);
        if !is_forbidden {
            return error;
        }
        let tmp = self.folder.parent().unwrap_or(&self.folder);
        anyhow!(
            "no program may be started in {}: it is mounted noexec. Set TMPDIR to a folder where that is allowed, as in \
             `TMPDIR=$HOME deploy-cgi demo`",
            tmp.display()
        )
    }

    /// Waits for the end of the worker, which tidies up after its answer, and removes the folder.
    fn clear(&self, env: &Environment) -> Result<()> {
        let waited = self.wait_for_the_worker(env);
        fs::remove_dir_all(&self.folder)
            .with_context(|| format!("cannot remove {}; do that by hand", self.folder.display()))?;
        waited
    }

    fn wait_for_the_worker(&self, env: &Environment) -> Result<()> {
        if !self.site_file().exists() {
            return Ok(());
        }
        let site = Site::read(&self.site_file(), env)?;
        let checkout = Checkout::open(&site.repo)?;
        let Some(state) = StateFolder::existing(&checkout) else {
            return Ok(());
        };
        let queue = Queue::of(&state);
        let end = Instant::now() + IN_LINE;
        loop {
            if let Some(place) = queue.try_line()? {
                return place.take_turn(&queue)?.end();
            }
            if Instant::now() > end {
                bail!("the worker of the demo did not take its turn");
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Every file of the checkout and what is in it, as a person lists them.
    fn deployed_files(&self) -> Result<String> {
        let top = self.checkout();
        let mut paths = BTreeSet::new();
        let mut folders = vec![top.clone()];
        while let Some(folder) = folders.pop() {
            let entries = fs::read_dir(&folder)
                .with_context(|| format!("cannot list {}", folder.display()))?;
            for entry in entries {
                let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
                if entry.file_name().as_encoded_bytes().starts_with(b".git") {
                    continue;
                }
                if entry.path().is_dir() {
                    folders.push(entry.path());
                } else {
                    paths.insert(entry.path());
                }
            }
        }
        let mut list = String::new();
        for path in paths {
            let content = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let below = path.strip_prefix(&top).unwrap_or(&path);
            let _ = writeln!(list, "{:<16}  {}", below.display(), content.trim_end());
        }
        Ok(list)
    }

    /// Runs git and returns what it prints.
    fn git(&self, folder: &Path, args: &[&str]) -> Result<String> {
        let home = self.folder.join("home");
        let env: [(&str, &OsStr); 7] = [
            ("PATH", &self.path),
            ("HOME", home.as_os_str()),
            ("GIT_CONFIG_NOSYSTEM", OsStr::new("1")),
            ("GIT_TERMINAL_PROMPT", OsStr::new("0")),
            ("GIT_AUTHOR_DATE", OsStr::new(COMMITTED)),
            ("GIT_COMMITTER_DATE", OsStr::new(COMMITTED)),
            ("LC_ALL", OsStr::new("C")),
        ];
        let ended = Run::new(&self.git, LIMIT)
            .args(args)
            .folder(folder)
            .env(
                env.map(|(name, value)| (name.into(), value.into()))
                    .to_vec(),
            )
            .output_apart()?;
        if !ended.end.is_good() {
            bail!(
                "git {}: {}: {}",
                args.join(" "),
                ended.end,
                shown_text(&ended.errors).trim_end()
            );
        }
        Ok(shown_text(&ended.output))
    }

    /// The checkout that is deployed.
    fn checkout(&self) -> PathBuf {
        self.folder.join("blog")
    }

    /// Where a person works.
    fn desk(&self, name: &str) -> PathBuf {
        self.folder.join("desk").join(name)
    }

    fn origin(&self, name: &str) -> String {
        shown(&self.folder.join("origin/me").join(format!("{name}.git")))
    }

    fn site_file(&self) -> PathBuf {
        self.folder.join("cgi-bin/deploy.cgi")
    }
}

/// Writes a file that only we may change.
fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let written = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// The headers of GitHub's delivery of `body`.
fn headers(body: &[u8]) -> Result<Vec<(&'static str, String)>> {
    let Ok(secrets) = Secrets::parse(SECRET) else {
        bail!("the secret of the demo is none");
    };
    let mut headers = vec![
        ("Content-Type", "application/json".to_owned()),
        ("Content-Length", body.len().to_string()),
        ("User-Agent", "GitHub-Hookshot/demo".to_owned()),
        ("X-GitHub-Delivery", DELIVERY.to_owned()),
        ("X-GitHub-Event", "push".to_owned()),
    ];
    for signed in secrets.iter().map(|secret| secret.sign(body)) {
        headers.push(("X-Hub-Signature", signed.sha1));
        headers.push(("X-Hub-Signature-256", signed.sha256));
    }
    Ok(headers)
}

/// The name by which a program gets a header (RFC 3875 sections 4.1.2, 4.1.3 and 4.1.18).
fn meta_variable(header: &str) -> String {
    let name = header.to_ascii_uppercase().replace('-', "_");
    if name.starts_with("CONTENT_") {
        name
    } else {
        format!("HTTP_{name}")
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Output as text, with the line ends of this system and nothing that a terminal would obey.
fn shown_text(output: &[u8]) -> String {
    escape(&String::from_utf8_lossy(output).replace("\r\n", "\n"))
}

fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |mut all, line| {
        let line = format!("    {line}");
        let _ = writeln!(all, "{}", line.trim_end());
        all
    })
}
