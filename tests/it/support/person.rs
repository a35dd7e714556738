//! A user of the host's, made for one test and removed after it, and what runs beside: an ssh
//! server, an Apache that starts scripts as their owner. Needs root, or a sudo that does not ask.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::world::{Spoken, World, plain_folder, search_path, text, wait_until, write_executable};

/// A command that is run by root.
pub(crate) fn as_root(program: &str) -> Command {
    let mut command;
    if rustix::process::geteuid().is_root() {
        command = Command::new(program);
    } else {
        command = Command::new("sudo");
        command.args(["-n", program]);
    }
    let path = format!("{}:/usr/local/sbin:/usr/sbin:/sbin", search_path());
    command.env_clear().env("PATH", path).env("LC_ALL", "C");
    command.stdin(Stdio::null());
    command
}

#[track_caller]
fn root_does(program: &str, words: &[&str]) {
    let output = as_root(program).args(words).output().unwrap();
    assert!(output.status.success(), "{program} {words:?}: {output:?}");
}

pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) home: PathBuf,
    folder: TempDir,
}

impl Person {
    pub(crate) fn new() -> Person {
        Person::in_folder(plain_folder())
    }

    /// At home in a folder of its own.
    pub(crate) fn in_folder(folder: TempDir) -> Person {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let name = format!("dcgi{}x{number}", std::process::id());
        let home = folder.path().join("home");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let words = ["--no-create-home", "--shell", "/bin/sh", "--password", "*"];
        let output = as_root("useradd")
            .args(words)
            .arg("--home-dir")
            .arg(&home)
            .arg(&name)
            .output();
        let output = output.unwrap();
        assert!(output.status.success(), "useradd: {output:?}");
        root_does("mkdir", &["-m", "755", &text(&home)]);
        let person = Person { name, home, folder };
        person.owns(&person.home);
        person
    }

    pub(crate) fn owns(&self, path: &Path) {
        let owner = format!("{0}:{0}", self.name);
        root_does("chown", &["-R", &owner, &text(path)]);
    }

    /// Puts the program where this user can reach it, and hands over what a deploy writes.
    pub(crate) fn takes(&self, world: &mut World) {
        let copy = self.folder.path().join("deploy-cgi");
        let program = fs::canonicalize(&world.program).unwrap();
        root_does("install", &["-m", "755", &text(&program), &text(&copy)]);
        world.set_program(copy);
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(world.path(""), open).unwrap();
        for part in ["checkout", "home", "secret.txt", "cgi-bin", "upstream"] {
            self.owns(&world.path(part));
        }
    }

    /// A program as this user, in an environment as after a login.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = as_root("runuser");
        command
            .args(["-u", &self.name, "--", "env", "-i", "-C"])
            .arg(&self.home);
        command.arg(format!("HOME={}", text(&self.home)));
        command.arg(format!("PATH={}", search_path()));
        command.arg("LC_ALL=C").arg(program);
        command
    }

    #[track_caller]
    pub(crate) fn does(&self, line: &str) -> String {
        let output = self.shell(line, &[]);
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn shell(&self, line: &str, variables: &[(&str, &str)]) -> Output {
        // What begins with sudo is for who may do that.
        if let Some(rest) = line.strip_prefix("sudo ") {
            return as_root("sh").args(["-c", rest]).output().unwrap();
        }
        let mut shell = self.command("env");
        shell.args(
            variables
                .iter()
                .map(|(name, value)| format!("{name}={value}")),
        );
        shell.args(["sh", "-c", line]).output().unwrap()
    }

    /// A script that starts the world's site file as this user, as a server of the person's own does.
    pub(crate) fn server(&self, world: &World) -> PathBuf {
        let is_root = rustix::process::geteuid().is_root();
        let root = if is_root { "" } else { "sudo -n -E " };
        let script = world.path("server");
        let (name, site) = (&self.name, text(&world.site_file()));
        let line = format!("#!/bin/sh\nexec {root}runuser -u {name} -- '{site}'\n");
        write_executable(&script, &line);
        script
    }

    /// A verb of the world's site.
    pub(crate) fn verb(&self, world: &World, words: &[&str]) -> Spoken {
        Spoken::from(
            self.command(world.site_file())
                .args(words)
                .output()
                .unwrap(),
        )
    }

    /// A person's own key pair.
    pub(crate) fn makes_key(&self, options: &str) -> PathBuf {
        let key = self.home.join(".ssh/id_ed25519");
        self.does("mkdir -p -m 700 .ssh");
        self.does(&format!(
            "ssh-keygen -q -t ed25519 {options} -f '{}'",
            text(&key)
        ));
        key
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let is_removed = || {
            let removed = as_root("userdel").arg(&self.name).output();
            removed.is_ok_and(|removed| removed.status.success())
        };
        if std::thread::panicking() {
            is_removed();
        } else {
            // A session of sshd's may take a moment to end.
            wait_until("the end of the person's processes", is_removed);
        }
        drop(as_root("rm").arg("-rf").arg(&self.home).output());
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// An ssh server on loopback that lets one person in, by the keys in `~/.ssh/authorized_keys`.
pub(crate) struct Sshd {
    pub(crate) port: u16,
    server: Served,
    pub(crate) folder: TempDir,
}

impl Sshd {
    pub(crate) fn start(person: &Person) -> Sshd {
        let folder = plain_folder();
        let key = folder.path().join("host_key");
        let words = ["-q", "-t", "ed25519", "-N", "", "-f"];
        let made = Command::new("ssh-keygen").args(words).arg(&key).status();
        assert!(made.unwrap().success());
        root_does("mkdir", &["-p", "-m", "755", "/run/sshd"]);
        let port = free_port();
        let config = folder.path().join("sshd_config");
        let keys = text(&person.home.join(".ssh/authorized_keys"));
        let words = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nPidFile none\nAuthorizedKeysFile {keys}\n\
             StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n\
             AllowUsers {}\n",
            text(&key),
            person.name
        );
        fs::write(&config, &words).unwrap();
        // Since OpenSSH 9.8 who fails often is kept out for a while; older ones do not know the word.
        let mut knows = as_root("/usr/sbin/sshd");
        knows
            .args(["-T", "-o", "PerSourcePenalties=no", "-f"])
            .arg(&config);
        if knows.output().unwrap().status.success() {
            fs::write(&config, words + "PerSourcePenalties no\n").unwrap();
        }
        let mut sshd = as_root("/usr/sbin/sshd");
        sshd.args(["-D", "-e", "-f"]).arg(&config);
        let server = Served::start(&mut sshd, port);
        Sshd {
            port,
            server,
            folder,
        }
    }

    /// The URL of a bare repository of the world's.
    pub(crate) fn url(&self, person: &Person, world: &World, name: &str) -> String {
        // Blanks are as they are in such a URL.
        let path = text(&world.path("upstream").join(name));
        format!("ssh://{}@127.0.0.1:{}{path}", person.name, self.port)
    }

    /// As `known_hosts` has it.
    pub(crate) fn host_key(&self) -> String {
        let key = fs::read_to_string(self.folder.path().join("host_key.pub")).unwrap();
        format!("[127.0.0.1]:{} {}", self.port, key.trim())
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.server.child.try_wait().unwrap().is_none()
    }
}

/// A server that was started for a test; it ends when this is dropped.
pub(crate) struct Served {
    child: Child,
}

impl Served {
    pub(crate) fn start(command: &mut Command, port: u16) -> Served {
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut served = Served { child };
        wait_until("the server", || {
            assert!(
                served.child.try_wait().unwrap().is_none(),
                "the server has ended"
            );
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        served
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let id = self.child.id().to_string();
        drop(as_root("kill").arg(id).output());
        drop(self.child.wait());
    }
}
