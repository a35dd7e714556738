//! `demo`: one whole delivery in a temporary folder. Nothing is staged but the world around it: the site file is started
//! by its `#!` line, with a request in its environment, as a web server starts it.

use std::ffi::OsString;
use std::fmt::Write;
use std::fs::{self, DirBuilder, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use super::init::toml_string;
use super::status::state_of;
use super::{Done, print};
use crate::cgi::Environment;
use crate::process::{Programs, Run};
use crate::queue::Queue;
use crate::random::fill_with_random;
use crate::redaction::escape;
use crate::site::Site;

/// Where the world is built when `TMPDIR` names no folder that a `#!` line can hold.
const USUAL_TMP: &str = "/tmp";

/// The longest path behind `#!`, in bytes: Linux before 5.1 reads 127 bytes of that line, `#!` among them.
const MAX_INTERPRETER: usize = 120;

/// The name of our own program in that folder. Its real path may be too long, or hold a blank.
const PROGRAM: &str = "deploy-cgi";

/// The secret of the webhook. GitHub's documentation signs its example with it; no hook of a person's should.
const SECRET: &str = "It's a Secret to Everybody";

/// The id of the delivery: that of GitHub's documentation.
const DELIVERY: &str = "72d3162e-cc78-11e3-81ab-4c9367dc0958";

/// When everything was committed: the same commits have the same ids each time, as the README shows them.
const COMMITTED: &str = "2025-03-20T09:01:00Z";

/// How long one step may take, on a slow host too.
const LIMIT: Duration = Duration::from_mins(2);

/// Makes the repository `me/blog` with the submodule `me/posts` at their origin, the desk where a person works, and the
/// checkout that is deployed.
const PLANT: &str = r#"
mkdir home cgi-bin
git config --global user.name Me
git config --global user.email me@example.org
git config --global init.templateDir ''
git config --global protocol.file.allow always
for name in posts blog; do
    git init -q --bare "origin/me/$name.git"
    git init -q "desk/$name"
    # Older gits call it otherwise.
    git -C "origin/me/$name.git" symbolic-ref HEAD refs/heads/main
    git -C "desk/$name" symbolic-ref HEAD refs/heads/main
    git -C "desk/$name" remote add origin "$PWD/origin/me/$name.git"
done
cd desk/posts
echo 'It snows.' >winter.md
git add winter.md
git commit -q -m 'Write about winter'
git push -q origin HEAD:refs/heads/main
cd ../blog
echo '<h1>Winter</h1>' >index.html
git add index.html
git submodule --quiet add ../posts.git posts
git commit -q -m 'Begin a blog'
git push -q origin HEAD:refs/heads/main
cd ../..
git clone -q --recurse-submodules "$PWD/origin/me/blog.git" blog
"#;

/// The push that is delivered. Prints the commits before and after it, and what was pushed.
const PUSH: &str = r"
cd desk/blog
git rev-parse HEAD
cd posts
echo 'The snow is gone.' >spring.md
git add spring.md
git commit -q -m 'Write about spring'
git push -q origin HEAD:refs/heads/main
cd ..
echo '<h1>Spring</h1>' >index.html
git add index.html posts
git commit -q -m 'Show the post about spring'
git push -q origin HEAD:refs/heads/main
git rev-parse HEAD
git -C posts log -n1 --format='posts  %h %s'
git log -n1 --format='blog   %h %s'
";

/// Lists every file of the checkout and what is in it.
const LIST: &str = r#"
cd blog
find * -type f ! -name .git | sort | while read -r file; do
    printf '%-16s  %s\n' "$file" "$(cat "$file")"
done
"#;

/// What to do after it.
const NEXT: &str = "
That was the whole way, and nothing of it is left. For a site of your own, in a clone of your repository:

    deploy-cgi init --url https://example.org/cgi-bin/deploy.cgi

It writes a secret and a deploy.cgi, and prints what to enter at GitHub. Without a shell on the host it is two files by
hand: README.md has the five steps, docs/servers.md what each web server needs, deploy.cgi.example every key. With the key
status_page the address of deploy.cgi tells what status does, as a page for a browser and a badge for a README.
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
    path: OsString,
}

impl World {
    /// Makes the folder, and nothing in it yet.
    fn make(env: &Environment) -> Result<Self> {
        let programs = Programs::in_path(env.first("PATH"));
        if programs.find("git").is_none() {
            bail!(
                "the demo needs git, which was not found in {}",
                programs.as_path().display()
            );
        }
        let mut random = [0; 4];
        fill_with_random(&mut random)?;
        let name = format!("deploy-cgi-demo-{}", hex::encode(random));
        let fits = |folder: &PathBuf| {
            folder.is_absolute()
                && folder.join(PROGRAM).to_str().is_some_and(|text| {
                    text.len() <= MAX_INTERPRETER && !text.contains(char::is_whitespace)
                })
        };
        let folder = env
            .first("TMPDIR")
            .map(|tmp| Path::new(tmp).join(&name))
            .filter(fits)
            .unwrap_or_else(|| Path::new(USUAL_TMP).join(&name));
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
            path: programs.as_path().to_owned(),
        })
    }

    fn play(&self, env: &Environment) -> Result<Done> {
        print(&format!(
            "One delivery, in {}\n\n\
             1. The site: a checkout with a submodule, and its deploy.cgi\n\n",
            self.folder.display()
        ))?;
        self.shell(PLANT)?;
        let settings = self.write_site_file()?;
        print(&format!(
            "{}\n{}",
            indented(&settings),
            indented(&self.shell(LIST)?)
        ))?;

        print("\n2. A push: a post in the submodule, and a page that shows it\n\n")?;
        let printed = self.shell(PUSH)?;
        let [before, after, pushed] = printed.splitn(3, '\n').collect::<Vec<_>>()[..] else {
            bail!("git did not print the ids of the commits");
        };
        print(&indented(pushed))?;

        let body = format!(
            "{{\"ref\":\"refs/heads/main\",\"before\":\"{before}\",\"after\":\"{after}\",\
             \"repository\":{{\"full_name\":\"me/blog\"}}}}"
        );
        let site = Site::read(&self.site_file(), env)?;
        let headers = headers(&site, body.as_bytes())?;
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
            indented(&self.shell(LIST)?)
        ))?;
        print(&format!(
            "\n6. What ./deploy.cgi status tells\n\n{}",
            indented(&self.status(env)?)
        ))?;
        Ok(Done::Yes)
    }

    /// Writes the site file, and what it names. Returns its text.
    fn write_site_file(&self) -> Result<String> {
        let program = self.folder.join(PROGRAM);
        let secret = self.folder.join("secret.txt");
        let toml = |path: &Path| toml_string(&path.display().to_string());
        // The person's own configuration of git must not matter.
        let text = format!(
            "#!{}\nrepo = {}\nsecret_file = {}\non_update = \"mkdir -p tmp && echo again >tmp/restart.txt\"\nwait = \"30s\"\n\
             env = {{ HOME = {}, GIT_CONFIG_NOSYSTEM = \"1\" }}\n",
            program.display(),
            toml(&self.folder.join("blog")),
            toml(&secret),
            toml(&self.folder.join("home")),
        );
        let site_file = self.site_file();
        std::env::current_exe()
            .and_then(|ourselves| symlink(ourselves, &program))
            .and_then(|()| fs::write(&secret, SECRET))
            .and_then(|()| fs::write(&site_file, &text))
            .and_then(|()| fs::set_permissions(&site_file, Permissions::from_mode(0o755)))
            .with_context(|| format!("cannot write the site into {}", self.folder.display()))?;
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
        let run = Run {
            folder: Some(&self.folder.join("cgi-bin")),
            env: request,
            input: body.into(),
            ..Run::new(&site_file, LIMIT)
        };
        let ended = run
            .output_apart()
            .map_err(|error| self.not_started(error))?;
        Ok((shown_text(&ended.output), shown_text(&ended.errors)))
    }

    /// What the site file says as a person's command.
    fn status(&self, env: &Environment) -> Result<String> {
        let variables = ["PATH", "TZ"].into_iter();
        let variables = variables.filter_map(|name| Some((name.into(), env.first(name)?.into())));
        let site_file = self.site_file();
        let run = Run {
            env: variables.collect(),
            ..Run::new(&site_file, LIMIT)
        };
        output_of(run.args(["status"])).context("status")
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
        let Some(state) = state_of(&site)? else {
            return Ok(());
        };
        let queue = Queue::of(&state);
        queue.wait_in_line()?.take_turn(&queue)?.end()
    }

    /// Runs a script in the folder and returns what it prints.
    fn shell(&self, script: &str) -> Result<String> {
        let env = vec![
            ("PATH".into(), self.path.clone()),
            ("HOME".into(), self.folder.join("home").into()),
            ("GIT_CONFIG_NOSYSTEM".into(), "1".into()),
            ("GIT_TERMINAL_PROMPT".into(), "0".into()),
            ("GIT_AUTHOR_DATE".into(), COMMITTED.into()),
            ("GIT_COMMITTER_DATE".into(), COMMITTED.into()),
            ("LC_ALL".into(), "C".into()),
        ];
        let run = Run {
            folder: Some(&self.folder),
            env,
            ..Run::new(Path::new("/bin/sh"), LIMIT)
        };
        output_of(run.args(["-e", "-c", script])).context("the demo could not be prepared")
    }

    fn site_file(&self) -> PathBuf {
        self.folder.join("cgi-bin/deploy.cgi")
    }
}

/// Runs a program and returns what it prints.
fn output_of(run: Run<'_>) -> Result<String> {
    let ended = run.output_apart()?;
    if !ended.end.is_good() {
        let errors = shown_text(&ended.errors);
        bail!("{}: {}", ended.end, errors.trim_end());
    }
    Ok(shown_text(&ended.output))
}

/// The headers of GitHub's delivery of `body` to a site.
fn headers(site: &Site, body: &[u8]) -> Result<Vec<(&'static str, String)>> {
    let signed = site.secrets()?.first().sign(body);
    Ok(vec![
        ("Content-Type", "application/json".to_owned()),
        ("Content-Length", body.len().to_string()),
        ("User-Agent", "GitHub-Hookshot/demo".to_owned()),
        ("X-GitHub-Delivery", DELIVERY.to_owned()),
        ("X-GitHub-Event", "push".to_owned()),
        ("X-Hub-Signature", signed.sha1),
        ("X-Hub-Signature-256", signed.sha256),
    ])
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
