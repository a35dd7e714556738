//! A throwaway world for one test, and deliveries into it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::iter;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use rustix::fs::{StatVfs, StatVfsMountFlags, statvfs};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::Sha256;
use tempfile::TempDir;

use crate::http::first_word;
use crate::origin::Origin;
use crate::process::wait_until_quiet;

pub(crate) const SECRET: &str = "It's a Secret to Everybody";
pub(crate) const ZERO: &str = "0000000000000000000000000000000000000000";
/// An id that no repository of a test has.
pub(crate) const NOWHERE: &str = "1234567890123456789012345678901234567890";
pub(crate) const DELIVERY: &str = "72d3162e-cc78-11e3-81ab-4c9367dc0958";

/// The headers that stand in every answer.
const IN_EVERY_ANSWER: &[(&str, &str)] = &[
    ("Content-Type", "text/plain; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
];

const BINARY: &str = env!("CARGO_BIN_EXE_deploy-cgi");
/// Past this a test has hung. Generous: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(90);
/// Many times what worlds take that are there at once.
const MIN_ROOM_BYTES: u64 = 1 << 30;
/// A `#!` line holds 255 bytes.
const MAX_INTERPRETER_BYTES: usize = 200;

/// Asks again and again until the sign is there.
#[track_caller]
pub(crate) fn wait_until(sign: &str, mut is_there: impl FnMut() -> bool) {
    assert!(holds_in_time(&mut is_there), "waited too long for: {sign}");
}

fn holds_in_time(is_there: &mut impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    loop {
        if is_there() {
            return true;
        }
        if begin.elapsed() > PATIENCE {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// A TOML string, in quotes.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// Written by a child, so that no other thread of the tests can have forked while it was open
/// for writing: starting it would then fail with "Text file busy".
pub(crate) fn write_executable(path: &Path, text: &str) {
    let mut tee = Command::new("tee");
    let tee = tee.arg(path).stdin(Stdio::piped()).stdout(Stdio::null());
    feed(tee, text.as_bytes());
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs a command that reads these bytes from its standard input.
fn feed(command: &mut Command, bytes: &[u8]) {
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(bytes).unwrap();
    drop(input);
    assert!(child.wait().unwrap().success());
}

/// Copies one, by a child for the same reason.
pub(crate) fn copy_executable(from: &Path, to: &Path) {
    let mut copy = Command::new("cp");
    let copied = copy.arg("-p").args([from, to]).status().unwrap();
    assert!(copied.success());
}

/// The folders where programs are looked for, as the tests themselves got them.
pub(crate) fn search_path() -> String {
    std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".to_owned())
}

/// Where a program lies that is named as on a command line.
fn found(program: &Path) -> PathBuf {
    let path = search_path();
    let mut places = path
        .split(':')
        .map(|folder| Path::new(folder).join(program));
    let found = places.find(|place| place.exists());
    found.unwrap_or_else(|| program.to_owned())
}

fn real_git() -> String {
    text(&found(Path::new("git")))
}

pub(crate) fn sha256_signature(secret: &[u8], body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// The key of the status page, made with a secret.
pub(crate) fn page_key(secret: &str) -> String {
    let signature = sha256_signature(secret.as_bytes(), b"deploy-cgi status page");
    signature.strip_prefix("sha256=").unwrap().to_owned()
}

pub(crate) fn sha1_signature(secret: &[u8], body: &[u8]) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).unwrap();
    mac.update(body);
    format!("sha1={}", hex::encode(mac.finalize().into_bytes()))
}

/// What the fake git does when it is called for the chosen step.
pub(crate) enum Fault {
    /// Says something and exits with 1.
    Fail(&'static str),
    /// Never ends, and has a child that never ends either. Both write down their ids.
    Hang,
    /// Waits until the test lets it go on ([`World::release`]).
    Hold,
    /// Writes down its environment and arguments and goes on.
    Note,
}

/// An upstream's address, and the files of a world that has its upstream there. A world takes one that no other uses:
/// it is made once, however many tests follow each other, and copied for each.
struct Template {
    origin: Arc<Origin>,
    archive: Vec<u8>,
}

static TEMPLATES: Mutex<Vec<Template>> = Mutex::new(Vec::new());

pub(crate) struct World {
    pub(crate) origin: Arc<Origin>,
    /// The interpreter of the site file.
    pub(crate) program: PathBuf,
    keys: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    folder: TempDir,
    _plain_folder: Option<TempDir>,
    /// What it is a copy of.
    template: Option<Template>,
}

impl World {
    /// An upstream `me/site` with the submodule `posts` (`me/posts`), both at their first
    /// commit, and a checkout of it.
    pub(crate) fn new() -> World {
        let free = lock(&TEMPLATES).pop();
        let template = free.unwrap_or_else(Template::make);
        let mut world = World::empty(Arc::clone(&template.origin));
        world.unpack(&template.archive);
        world.template = Some(template);
        world.write_site_file();
        world
    }

    /// The same where submodules follow their own branches.
    pub(crate) fn latest() -> World {
        let mut world = World::new();
        world.key("submodules", "\"latest\"");
        world
    }

    fn empty(origin: Arc<Origin>) -> World {
        let folder = TempDir::with_prefix_in("deploy cgi ", place()).unwrap();
        let root = folder.path();
        let environment = vec![
            ("PATH".to_owned(), search_path()),
            ("HOME".to_owned(), text(&root.join("me"))),
            (
                "GIT_CONFIG_GLOBAL".to_owned(),
                text(&root.join("me/.gitconfig")),
            ),
            ("GIT_CONFIG_NOSYSTEM".to_owned(), "1".to_owned()),
            ("LC_ALL".to_owned(), "C".to_owned()),
        ];
        origin.serve(&root.join("upstream"), environment.clone());
        let (program, plain_folder) = interpreter();
        World {
            origin,
            program,
            keys: Vec::new(),
            environment,
            folder,
            _plain_folder: plain_folder,
            template: None,
        }
    }

    /// Everything in the folder.
    fn pack(&self) -> Vec<u8> {
        let mut tar = self.clean("tar");
        let packed = tar.args(["--format=posix", "-cf", "-", "."]).output();
        let packed = packed.unwrap();
        assert!(packed.status.success(), "{packed:?}");
        packed.stdout
    }

    fn unpack(&self, archive: &[u8]) {
        let mut tar = self.clean("tar");
        feed(tar.args(["-xpf", "-"]).stdin(Stdio::piped()), archive);
        // The files are not those that git saw when it wrote the index.
        for folder in ["checkout/posts", "checkout"] {
            self.git(&self.path(folder), &["update-index", "--refresh"]);
        }
    }

    fn plant(&self) {
        for name in ["upstream/me", "seed", "me", "home", "cgi-bin", "fake"] {
            fs::create_dir_all(self.path(name)).unwrap();
        }
        let mine = "[user]\n\tname = Me\n\temail = me@example.org\n[init]\n\tdefaultBranch = main\n\
                    \ttemplateDir =\n[safe]\n\tdirectory = *\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n";
        fs::write(self.path("me/.gitconfig"), mine).unwrap();
        fs::write(self.path("home/.gitconfig"), "").unwrap();
        let secret = self.path("secret.txt");
        fs::write(&secret, format!("{SECRET}\n")).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        for name in ["posts", "site"] {
            let bare = self.path(&format!("upstream/me/{name}.git"));
            let seed = self.path(&format!("seed/{name}"));
            self.git(&self.path(""), &["init", "-q", "--bare", &text(&bare)]);
            self.git(&self.path(""), &["init", "-q", &text(&seed)]);
            // Relative: it is right in every copy.
            let url = format!("../../upstream/me/{name}.git");
            self.git(&seed, &["remote", "add", "origin", &url]);
        }
        self.push_to("posts", "first.md", "the first post\n", "The first post");
        let modules = format!(
            "[submodule \"posts\"]\n\tpath = posts\n\turl = {}\n",
            self.origin.url("me/posts.git")
        );
        fs::write(self.path("seed/site/.gitmodules"), modules).unwrap();
        self.git(&self.path("seed/site"), &["add", ".gitmodules"]);
        self.point_submodule_at(&self.head_of("seed/posts"));
        self.push_to("site", "index.html", "<h1>one</h1>\n", "The first page");
        let url = self.origin.url("me/site.git");
        let checkout = text(&self.checkout());
        self.git(
            &self.path(""),
            &["clone", "-q", "--recursive", &url, &checkout],
        );
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn checkout(&self) -> PathBuf {
        self.path("checkout")
    }

    pub(crate) fn state(&self, name: &str) -> PathBuf {
        self.path("checkout/.git/deploy-cgi").join(name)
    }

    pub(crate) fn site_file(&self) -> PathBuf {
        self.path("cgi-bin/deploy.cgi")
    }

    /// Names another program in the `#!` line.
    pub(crate) fn set_program(&mut self, program: PathBuf) {
        self.program = program;
        self.write_site_file();
    }

    /// Sets a key of the site file to a TOML value.
    pub(crate) fn key(&mut self, name: &str, value: &str) {
        self.keys.retain(|(known, _)| known != name);
        self.keys.push((name.to_owned(), value.to_owned()));
        self.write_site_file();
    }

    /// The text below the `#!` line.
    pub(crate) fn settings(&self) -> String {
        let mut keys = BTreeMap::from([
            ("repo", quoted(&text(&self.checkout()))),
            ("secret_file", quoted(&text(&self.path("secret.txt")))),
            ("env", self.shield("")),
            // A busy machine is no reason for another answer.
            ("wait", quoted("30s")),
        ]);
        for (name, value) in &self.keys {
            keys.insert(name, value.clone());
        }
        keys.iter().fold(String::new(), |mut all, (name, value)| {
            writeln!(all, "{name} = {value}").unwrap();
            all
        })
    }

    /// The `env` table that keeps a deploy away from the git configuration of whoever runs
    /// the tests. `more` begins with a comma.
    pub(crate) fn shield(&self, more: &str) -> String {
        let home = quoted(&text(&self.path("home")));
        let global = quoted(&text(&self.path("home/.gitconfig")));
        format!(
            "{{ HOME = {home}, GIT_CONFIG_NOSYSTEM = \"1\", GIT_CONFIG_GLOBAL = {global}{more} }}"
        )
    }

    fn write_site_file(&self) {
        self.write_site(&self.site_file(), &self.settings());
    }

    pub(crate) fn write_site(&self, path: &Path, settings: &str) {
        write_executable(path, &format!("#!{}\n{settings}", text(&self.program)));
    }

    // ---- git, as the person who writes the site ----

    pub(crate) fn clean(&self, program: impl AsRef<OsStr>) -> Command {
        // By its path: to have it looked for in the PATH of its own environment takes a fork, which copies the tables of all
        // memory that the tests have.
        let mut command = Command::new(found(Path::new(program.as_ref())));
        command.env_clear().envs(self.environment.iter().cloned());
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// The shell of the user whom the site belongs to.
    pub(crate) fn shell_of_site(&self) -> Command {
        let mut shell = self.clean("/bin/sh");
        let home = self.path("home");
        shell.env("GIT_CONFIG_GLOBAL", home.join(".gitconfig"));
        shell.env("HOME", home);
        shell
    }

    pub(crate) fn git(&self, folder: &Path, words: &[&str]) -> String {
        let output = self
            .clean("git")
            .arg("-C")
            .arg(folder)
            .args(words)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "git {words:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    }

    pub(crate) fn head_of(&self, folder: &str) -> String {
        let folder = self.path(folder);
        let plain = plain_head(&folder);
        plain.unwrap_or_else(|| self.git(&folder, &["rev-parse", "HEAD"]))
    }

    /// The commit that is live.
    pub(crate) fn head(&self) -> String {
        self.head_of("checkout")
    }

    pub(crate) fn submodule_head(&self) -> String {
        self.head_of("checkout/posts")
    }

    /// What `git status` finds, one line for each path.
    pub(crate) fn changes(&self) -> String {
        self.git(&self.checkout(), &["status", "--porcelain"])
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// Commits a file in the seed and whatever was staged before; returns the commit.
    pub(crate) fn commit(&self, seed: &str, file: &str, content: &str, subject: &str) -> String {
        let folder = self.path("seed").join(seed);
        fs::write(folder.join(file), content).unwrap();
        self.git(&folder, &["add", file]);
        self.git(&folder, &["commit", "-q", "-m", subject]);
        self.head_of(&format!("seed/{seed}"))
    }

    pub(crate) fn push_to(&self, seed: &str, file: &str, content: &str, subject: &str) -> String {
        let commit = self.commit(seed, file, content, subject);
        self.publish(seed, &commit, "main");
        commit
    }

    /// Pushes a branch of a seed that this commit was just made on.
    pub(crate) fn publish(&self, seed: &str, commit: &str, branch: &str) {
        if self.pass_on(seed, commit).is_none() {
            let folder = self.path("seed").join(seed);
            self.git(&folder, &["push", "-q", "origin", branch]);
        }
    }

    /// What `git push` does with eight processes, where nothing is packed and `main` goes forward by one commit.
    fn pass_on(&self, seed: &str, commit: &str) -> Option<()> {
        let folder = self.path("seed").join(seed);
        let (mine, bare) = (
            folder.join(".git"),
            self.path(&format!("upstream/me/{seed}.git")),
        );
        let upstream = format!("url = ../../upstream/me/{seed}.git\n");
        let config = fs::read_to_string(mine.join("config")).ok()?;
        if !config.contains(&upstream) || line_of(&mine.join("HEAD"))? != "ref: refs/heads/main" {
            return None;
        }
        let before = line_of(&bare.join("refs/heads/main"))?;
        let range = format!("{before}..{commit}");
        let words = ["rev-list", "--objects", "--no-object-names", "--parents"];
        let new = self.git(&folder, &[&words[..], &[&range]].concat());
        let (first, objects) = new.split_once('\n')?;
        if first != format!("{commit} {before}") {
            return None;
        }
        for id in iter::once(commit).chain(objects.lines()) {
            let name = format!("objects/{}/{}", &id[..2], &id[2..]);
            let to = bare.join(&name);
            if !to.exists() {
                fs::create_dir_all(to.parent()?).ok()?;
                fs::copy(mine.join(&name), to).ok()?;
            }
        }
        for main in [
            bare.join("refs/heads/main"),
            mine.join("refs/remotes/origin/main"),
        ] {
            let lock = main.with_extension("lock");
            fs::write(&lock, format!("{commit}\n")).ok()?;
            fs::rename(lock, main).ok()?;
        }
        Some(())
    }

    /// A new commit of the site; returns its id.
    pub(crate) fn push(&self, content: &str) -> String {
        let subject = format!("Say {}", content.trim());
        self.push_to("site", "index.html", content, &subject)
    }

    /// Commits a file on the host, in the checkout or a submodule of it.
    pub(crate) fn commit_locally(&self, folder: &Path, file: &str, content: &str) {
        fs::write(folder.join(file), content).unwrap();
        self.git(folder, &["add", file]);
        self.git(folder, &["commit", "-q", "-m", "Mine"]);
    }

    pub(crate) fn force_push(&self) {
        self.git(
            &self.path("seed/site"),
            &["push", "-q", "--force", "origin", "main"],
        );
    }

    pub(crate) fn point_submodule_at(&self, commit: &str) {
        let link = format!("160000,{commit},posts");
        self.git(
            &self.path("seed/site"),
            &["update-index", "--add", "--cacheinfo", &link],
        );
    }

    /// A new post and a site that records it; returns both commits, the site's first.
    pub(crate) fn push_with_post(&self, content: &str) -> (String, String) {
        let post = self.push_to("posts", "second.md", content, "A post");
        self.point_submodule_at(&post);
        (self.push(&format!("with {content}")), post)
    }

    // ---- faults ----

    /// Puts a git in front of the real one that does something at one step: at the calls that
    /// have `step` among their arguments.
    pub(crate) fn fake_git(&mut self, step: &str, fault: &Fault) {
        let folder = self.path("fake");
        let real = real_git();
        let action = match fault {
            Fault::Fail(says) => format!("echo '{says}' >&2; exit 1"),
            Fault::Hang => {
                "sleep 1000 & echo $$ $! >hung.new; mv hung.new hung; wait; wait".to_owned()
            }
            Fault::Hold => {
                "echo $$ $PPID >>reached; while [ ! -e release ]; do sleep 0.05; done".to_owned()
            }
            Fault::Note => "printf '%s\\n' \"$@\" >arguments; env >environment".to_owned(),
        };
        let script = format!(
            "#!/bin/sh\nhere=$PWD\nfor word in \"$@\"; do\n  if [ \"$word\" = '{step}' ]; then\n    \
             cd '{}' || exit 99\n    {action}\n    cd \"$here\"\n    break\n  fi\ndone\nexec '{}' \"$@\"\n",
            text(&folder),
            real
        );
        write_executable(&folder.join("git"), &script);
        let path = format!("{}:{}", text(&folder), search_path());
        self.key("path", &quoted(&path));
    }

    /// Waits until the held step has begun.
    pub(crate) fn wait_until_held(&self) {
        wait_until("the held git", || self.exists("fake/reached"));
    }

    /// The held git and its parent, by their ids.
    pub(crate) fn held(&self) -> (String, String) {
        let read = || fs::read_to_string(self.path("fake/reached")).unwrap_or_default();
        wait_until("the ids of the held git", || read().ends_with('\n'));
        let ids = read();
        let (git, parent) = ids.lines().next().unwrap().split_once(' ').unwrap();
        (git.to_owned(), parent.to_owned())
    }

    /// Lets the held step go on, and all that come.
    pub(crate) fn release(&self) {
        fs::write(self.path("fake/release"), "").unwrap();
    }

    // ---- what the program keeps ----

    pub(crate) fn tickets(&self) -> usize {
        fs::read_dir(self.state("queue")).map_or(0, |entries| entries.filter(is_ticket).count())
    }

    fn is_settled(&self) -> bool {
        self.tickets() == 0 && !is_marked(&self.state("running")) && !self.is_somebodys_turn()
    }

    /// A shared lock, and only for a moment: whoever takes the turn waits for it.
    fn is_somebodys_turn(&self) -> bool {
        let turn = File::open(self.state("turn"));
        turn.is_ok_and(|turn| turn.try_lock_shared().is_err())
    }

    /// Waits until nothing waits and nothing runs.
    #[track_caller]
    pub(crate) fn settle(&self) {
        wait_until("the end of the deploys", || self.is_settled());
    }

    /// The lines of the history.
    pub(crate) fn history(&self) -> Vec<Value> {
        fs::read_to_string(self.state("history.jsonl"))
            .unwrap_or_default()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    // ---- deliveries ----

    /// What GitHub says when `after` was pushed to `main`.
    pub(crate) fn payload(&self, after: &str) -> Value {
        payload_after(&self.head(), after)
    }

    pub(crate) fn delivery(&self, event: &str, body: impl Into<Vec<u8>>) -> Delivery {
        Delivery {
            program: self.site_file(),
            arguments: Vec::new(),
            body: body.into(),
            signed: Signed::Sha256(SECRET.as_bytes().to_vec()),
            changes: Vec::new(),
            input: Input::Ends,
            event: event.to_owned(),
        }
    }

    pub(crate) fn push_delivery(&self, after: &str) -> Delivery {
        self.delivery("push", self.payload(after).to_string())
    }

    pub(crate) fn ping_delivery(&self) -> Delivery {
        let body = json!({
            "zen": "Keep it logically awesome.",
            "hook_id": 1,
            "hook": { "type": "Repository", "id": 1, "active": true, "events": ["push"] },
            "repository": { "full_name": "me/site" }
        });
        self.delivery("ping", body.to_string())
    }

    /// Runs the site file as a person does.
    pub(crate) fn verb(&self, words: &[&str]) -> Spoken {
        self.verb_of(&self.site_file(), words)
    }

    pub(crate) fn verb_of(&self, program: &Path, words: &[&str]) -> Spoken {
        let output = self.clean(program).args(words).output().unwrap();
        Spoken::from(output)
    }

    /// Text with everything that differs from world to world taken out: paths, ports, commit
    /// ids, durations.
    pub(crate) fn plain(&self, words: &str) -> String {
        let known = [
            (self.origin.host(), "<origin>"),
            (text(self.folder.path()), "<world>"),
            (text(&self.program), "<program>"),
            (real_git(), "<git>"),
            (env!("CARGO_PKG_VERSION").to_owned(), "<version>"),
        ];
        let mut words = words.to_owned();
        for (varying, name) in known {
            words = words.replace(&varying, name);
        }
        let mut plain = String::new();
        let mut rest = words.as_str();
        while let Some(first) = rest.chars().next() {
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = if is_word(first) {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else {
                first.len_utf8()
            };
            let word = &rest[..end];
            plain.push_str(if is_id(word) { "<id>" } else { word });
            rest = &rest[end..];
        }
        plain_durations(&plain_dates(&plain))
    }
}

impl Template {
    fn make() -> Template {
        let world = World::empty(Arc::new(Origin::start().unwrap()));
        world.plant();
        let (origin, archive) = (Arc::clone(&world.origin), world.pack());
        Template { origin, archive }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for World {
    fn drop(&mut self) {
        // A deploy that still runs would write into a folder that goes away.
        drop(fs::write(self.path("fake/release"), ""));
        if thread::panicking() {
            return;
        }
        self.settle();
        wait_until_quiet(self);
        lock(&TEMPLATES).extend(self.template.take());
    }
}

/// The payload of a push, as GitHub says it.
pub(crate) fn payload_after(before: &str, after: &str) -> Value {
    json!({
        "ref": "refs/heads/main",
        "before": before,
        "after": after,
        "created": false,
        "deleted": false,
        "forced": false,
        "base_ref": null,
        "repository": {
            "id": 1, "name": "site", "full_name": "me/site",
            "clone_url": "https://github.com/me/site.git", "default_branch": "main"
        },
        "pusher": { "name": "me", "email": "me@example.org" },
        "commits": [{ "id": after, "message": "A subject from the payload" }],
        "head_commit": { "id": after, "message": "A subject from the payload" }
    })
}

/// A path as text: all paths of the tests are.
pub(crate) fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Where worlds are made: in memory where there is room and programs may run, for ext4 takes as long for the files of a
/// world as all processes of a deploy do. TMPDIR says otherwise.
fn place() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let serves = |of: StatVfs| {
        !of.f_flag.contains(StatVfsMountFlags::NOEXEC)
            && of.f_bavail * of.f_frsize >= MIN_ROOM_BYTES
    };
    if std::env::var_os("TMPDIR").is_none() && statvfs(memory).is_ok_and(serves) {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    }
}

/// The binary as a `#!` line can name it.
fn interpreter() -> (PathBuf, Option<TempDir>) {
    let fits = |path: &Path| {
        let bytes = path.as_os_str().as_bytes();
        bytes.len() <= MAX_INTERPRETER_BYTES && !bytes.iter().any(u8::is_ascii_whitespace)
    };
    let binary = PathBuf::from(BINARY);
    if fits(&binary) {
        return (binary, None);
    }
    let folder = plain_folder();
    let link = folder.path().join("deploy-cgi");
    symlink(binary, &link).unwrap();
    assert!(fits(&link));
    (link, Some(folder))
}

/// A folder whose path is short and has no space in it.
pub(crate) fn plain_folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("deploy-cgi-")
        .tempdir_in("/tmp")
        .unwrap()
}

fn line_of(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    Some(text.trim_end().to_owned())
}

/// The commit of a work tree, where it is written down in a file of its own.
fn plain_head(folder: &Path) -> Option<String> {
    let own = folder.join(".git");
    let git_dir = match line_of(&own) {
        Some(elsewhere) => folder.join(elsewhere.strip_prefix("gitdir: ")?),
        None => own,
    };
    let head = line_of(&git_dir.join("HEAD"))?;
    let commit = match head.strip_prefix("ref: ") {
        Some(name) => line_of(&git_dir.join(name))?,
        None => head,
    };
    is_id(&commit).then_some(commit)
}

/// A file that is still being written begins with a dot.
fn is_ticket(entry: &std::io::Result<fs::DirEntry>) -> bool {
    let entry = entry.as_ref().unwrap();
    !entry.file_name().as_bytes().starts_with(b".")
}

/// A commit id, whole or short.
fn is_id(word: &str) -> bool {
    (7..=64).contains(&word.len()) && word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// `2026-11-25T18:41:59Z` becomes `<date>`.
fn plain_dates(words: &str) -> String {
    let form = "dddd-dd-ddTdd:dd:ddZ";
    let is_date = |word: &str| {
        let fits = |(c, form): (char, char)| {
            if form == 'd' {
                c.is_ascii_digit()
            } else {
                c == form
            }
        };
        word.chars().count() == form.len() && word.chars().zip(form.chars()).all(fits)
    };
    let mut plain = String::new();
    let mut rest = words;
    while let Some(first) = rest.chars().next() {
        let date = rest.get(..form.len()).is_some_and(is_date);
        let end = if date { form.len() } else { first.len_utf8() };
        plain.push_str(if date { "<date>" } else { &rest[..end] });
        rest = &rest[end..];
    }
    plain
}

/// `1.2 s`, `12 ms`, `0.34s` become `<time>`.
fn plain_durations(words: &str) -> String {
    let mut plain = String::new();
    let mut rest = words;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let after_word = rest[..start].ends_with(|c: char| c.is_ascii_alphanumeric());
        let digits = rest[start..]
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len() - start);
        let end = start + digits;
        let unit = rest[end..].strip_prefix(' ').unwrap_or(&rest[end..]);
        let found = ["ms", "s"].into_iter().find(|name| {
            unit.strip_prefix(name)
                .is_some_and(|next| !next.starts_with(|c: char| c.is_ascii_alphanumeric()))
        });
        plain.push_str(&rest[..start]);
        match found {
            Some(name) if !after_word => {
                plain.push_str("<time>");
                rest = unit.strip_prefix(name).unwrap();
            }
            _ => {
                plain.push_str(&rest[start..end]);
                rest = &rest[end..];
            }
        }
    }
    plain + rest
}

#[derive(Clone)]
enum Signed {
    Sha256(Vec<u8>),
    Sha1(Vec<u8>),
    Not,
}

#[derive(Clone)]
enum Input {
    Ends,
    /// The server keeps the pipe open after the body.
    StaysOpen,
}

/// A request on its way. Each method changes one thing of a good one.
#[derive(Clone)]
pub(crate) struct Delivery {
    program: PathBuf,
    arguments: Vec<OsString>,
    body: Vec<u8>,
    signed: Signed,
    changes: Vec<(String, Option<OsString>)>,
    input: Input,
    event: String,
}

impl Delivery {
    /// Sets a CGI variable.
    pub(crate) fn var(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let value = Some(value.as_ref().to_owned());
        self.changes.push((name.to_owned(), value));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.changes.push((name.to_owned(), None));
        self
    }

    pub(crate) fn method(self, method: &str) -> Self {
        self.var("REQUEST_METHOD", method)
    }

    /// A request for a page: no body, none of GitHub's headers.
    pub(crate) fn bare(mut self, method: &str) -> Self {
        self.body.clear();
        self.unsigned()
            .method(method)
            .without("CONTENT_LENGTH")
            .without("CONTENT_TYPE")
            .without("HTTP_X_GITHUB_EVENT")
            .without("HTTP_X_GITHUB_DELIVERY")
    }

    pub(crate) fn arguments(mut self, words: &[&str]) -> Self {
        self.arguments = words.iter().map(OsString::from).collect();
        self
    }

    pub(crate) fn signed_with(mut self, secret: &[u8]) -> Self {
        self.signed = Signed::Sha256(secret.to_vec());
        self
    }

    pub(crate) fn signed_by_sha1(mut self, secret: &[u8]) -> Self {
        self.signed = Signed::Sha1(secret.to_vec());
        self
    }

    pub(crate) fn unsigned(mut self) -> Self {
        self.signed = Signed::Not;
        self
    }

    pub(crate) fn input_stays_open(mut self) -> Self {
        self.input = Input::StaysOpen;
        self
    }

    pub(crate) fn through(mut self, program: &Path) -> Self {
        program.clone_into(&mut self.program);
        self
    }

    /// The headers of GitHub's as an HTTP client sends them, and the body.
    pub(crate) fn as_http(&self) -> (Vec<(String, String)>, &[u8]) {
        let mut headers = vec![
            (
                "User-Agent".to_owned(),
                "GitHub-Hookshot/044aadd".to_owned(),
            ),
            ("Accept".to_owned(), "*/*".to_owned()),
        ];
        for (name, value) in self.variables() {
            let value = value.into_string().unwrap();
            let name = match name.strip_prefix("HTTP_") {
                Some(name) if name.starts_with('X') => name.replace('_', "-"),
                _ if name == "CONTENT_TYPE" => "Content-Type".to_owned(),
                _ => continue,
            };
            headers.push((name, value));
        }
        (headers, &self.body)
    }

    fn variables(&self) -> BTreeMap<String, OsString> {
        let mut all: BTreeMap<String, OsString> = [
            ("PATH", search_path()),
            ("GATEWAY_INTERFACE", "CGI/1.1".to_owned()),
            ("SERVER_PROTOCOL", "HTTP/1.1".to_owned()),
            ("SERVER_SOFTWARE", "test".to_owned()),
            ("REQUEST_METHOD", "POST".to_owned()),
            ("QUERY_STRING", String::new()),
            ("SCRIPT_NAME", "/cgi-bin/deploy.cgi".to_owned()),
            ("SCRIPT_FILENAME", text(&self.program)),
            ("CONTENT_TYPE", "application/json".to_owned()),
            ("CONTENT_LENGTH", self.body.len().to_string()),
            ("HTTP_HOST", "www.example.org".to_owned()),
            ("HTTP_USER_AGENT", "GitHub-Hookshot/044aadd".to_owned()),
            ("HTTP_ACCEPT", "*/*".to_owned()),
            ("HTTP_X_GITHUB_EVENT", self.event.clone()),
            ("HTTP_X_GITHUB_DELIVERY", DELIVERY.to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), OsString::from(value)))
        .collect();
        let (name, value) = match &self.signed {
            Signed::Sha256(secret) => (
                "HTTP_X_HUB_SIGNATURE_256",
                sha256_signature(secret, &self.body),
            ),
            Signed::Sha1(secret) => ("HTTP_X_HUB_SIGNATURE", sha1_signature(secret, &self.body)),
            Signed::Not => ("HTTP_ACCEPT", "*/*".to_owned()),
        };
        all.insert(name.to_owned(), value.into());
        for (name, value) in &self.changes {
            match value {
                Some(value) => all.insert(name.clone(), value.clone()),
                None => all.remove(name),
            };
        }
        all
    }

    /// Starts the program as a web server does and gives it the body.
    pub(crate) fn start(self) -> Started {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .envs(self.variables())
            .current_dir(self.program.parent().unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.program.display()));
        let mut input = child.stdin.take().unwrap();
        let (body, keeps) = (self.body, matches!(self.input, Input::StaysOpen));
        let writer = thread::spawn(move || {
            // A program may answer without having read everything.
            drop(input.write_all(&body));
            keeps.then_some(input)
        });
        Started {
            stdout: reader(child.stdout.take().unwrap()),
            stderr: reader(child.stderr.take().unwrap()),
            writer,
            child,
        }
    }

    #[track_caller]
    pub(crate) fn send(self) -> Reply {
        self.start().reply()
    }
}

fn reader(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// A request that is being served.
pub(crate) struct Started {
    pub(crate) child: Child,
    writer: JoinHandle<Option<std::process::ChildStdin>>,
    stdout: JoinHandle<Vec<u8>>,
    stderr: JoinHandle<Vec<u8>>,
}

impl Started {
    /// The answer, when the program has ended and its output with it: a child that kept it
    /// open would keep the web server waiting.
    #[track_caller]
    pub(crate) fn reply(mut self) -> Reply {
        let child = &mut self.child;
        let mut status = None;
        let mut ended = || {
            status = status.or(child.try_wait().unwrap());
            status.is_some() && self.stdout.is_finished() && self.stderr.is_finished()
        };
        if !holds_in_time(&mut ended) {
            drop(self.child.kill());
            panic!("no answer, or something keeps the answer open");
        }
        let exit = status.unwrap().code();
        drop(self.writer.join().unwrap());
        let stdout = self.stdout.join().unwrap();
        let stderr = String::from_utf8(self.stderr.join().unwrap()).unwrap();
        Reply::parse(&stdout, stderr, exit)
    }
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) stderr: String,
    pub(crate) exit: Option<i32>,
    reason: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Reply {
    #[track_caller]
    fn parse(bytes: &[u8], stderr: String, exit: Option<i32>) -> Reply {
        let all = || format!("{:?}, stderr {stderr:?}", String::from_utf8_lossy(bytes));
        let head_end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let head_end = head_end.unwrap_or_else(|| panic!("no header: {}", all()));
        let head = std::str::from_utf8(&bytes[..head_end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("Status: "));
        let status = status.unwrap_or_else(|| panic!("`Status: ` is not the beginning: {}", all()));
        let (status, reason) = status.split_once(' ').expect("a reason after the status");
        assert_eq!(status.len(), 3, "{}", all());
        let headers = lines
            .map(|line| {
                line.split_once(": ")
                    .unwrap_or_else(|| panic!("{line}: {}", all()))
            })
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let body = String::from_utf8(bytes[head_end + 4..].to_vec()).unwrap();
        let ends_well = body.is_empty() || body.ends_with('\n');
        assert!(ends_well, "the body ends with a newline: {}", all());
        Reply {
            status: status.parse().unwrap(),
            body,
            reason: reason.to_owned(),
            headers,
            stderr,
            exit,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn first_word(&self) -> &str {
        first_word(&self.body)
    }

    /// Everything that came back, as one text to compare. What all answers have in common, and
    /// the length, are checked here and not shown.
    #[track_caller]
    pub(crate) fn whole(&self, world: &World) -> String {
        let mut all = format!("{} {}\n", self.status, self.reason);
        for (name, value) in IN_EVERY_ANSWER {
            assert_eq!(self.header(name), Some(*value), "{self:#?}");
        }
        // The answer to HEAD announces the length of what it leaves out.
        let length = self.body.len().to_string();
        let announced = self.header("Content-Length").expect("a length");
        assert!(self.body.is_empty() || announced == length, "{self:#?}");
        for (name, value) in &self.headers {
            let usual = IN_EVERY_ANSWER.iter().any(|(known, _)| known == name);
            if !usual && name != "Content-Length" {
                writeln!(all, "{name}: {value}").unwrap();
            }
        }
        all += &world.plain(&self.body);
        if !self.stderr.is_empty() {
            write!(all, "stderr: {}", world.plain(&self.stderr)).unwrap();
        }
        if self.exit != Some(0) {
            writeln!(all, "exit: {:?}", self.exit).unwrap();
        }
        all
    }

    /// For the tests that look at what was done more than at the words.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16, first_word: &str) {
        let (got, exit) = ((self.status, self.first_word()), self.exit);
        assert_eq!(got, (status, first_word), "{self:#?}");
        assert_eq!(exit, Some(0), "{self:#?}");
    }

    #[track_caller]
    pub(crate) fn says(&self, words: &str) {
        assert!(self.body.contains(words), "{words:?} is not in {self:#?}");
    }
}

/// What a verb printed.
#[derive(Debug)]
pub(crate) struct Spoken {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) exit: Option<i32>,
}

impl From<Output> for Spoken {
    fn from(output: Output) -> Spoken {
        Spoken {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            exit: output.status.code(),
        }
    }
}

impl Spoken {
    pub(crate) fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    #[track_caller]
    pub(crate) fn expect_exit(&self, exit: i32) {
        assert_eq!(self.exit, Some(exit), "{self:#?}");
    }

    #[track_caller]
    pub(crate) fn says(&self, words: &str) {
        assert!(self.all().contains(words), "{words:?} is not in {self:#?}");
    }
}

/// Whether a marker says that a deploy has not ended: what is there no more is `null`.
pub(crate) fn is_marked(marker: &Path) -> bool {
    fs::read_to_string(marker).is_ok_and(|text| text.trim_end() != "null")
}
