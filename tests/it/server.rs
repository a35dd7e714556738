//! Real web servers on loopback, each with a configuration of its own that lasts one test.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::http::{self, Answer};
use crate::world::{Delivery, World, plain_folder, quoted, text};

const ATTEMPTS: usize = 5;
const START: Duration = Duration::from_secs(60);
/// Whom the servers run CGI programs as when the tests run as root.
const SERVER_USER: &str = "www-data";

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// The event MPM with `mod_cgid`.
    ApacheEvent,
    /// The prefork MPM with `mod_cgi`.
    ApachePrefork,
    Lighttpd,
}

/// A running server; it ends when this is dropped.
pub(crate) struct Server {
    port: u16,
    child: Child,
    _runtime: TempDir,
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn run(program: &str, words: &[&str]) {
    let status = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .status();
    assert!(status.unwrap().success(), "{program} {words:?}");
}

/// Gives the parts of a world that a deploy writes to the user that the server runs as, and
/// the program a place that this user can reach.
pub(crate) fn hand_over(world: &mut World) -> TempDir {
    let folder = plain_folder();
    let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    open(folder.path());
    open(&world.path(""));
    let copy = folder.path().join("deploy-cgi");
    run(
        "cp",
        &[
            &text(&fs::canonicalize(&world.program).unwrap()),
            &text(&copy),
        ],
    );
    world.program = copy;
    // Rewrites the site file too.
    world.key("wait", "\"30s\"");
    if is_root() {
        let owner = format!("{SERVER_USER}:{SERVER_USER}");
        for part in ["checkout", "home", "secret.txt", "cgi-bin", "fake"] {
            run("chown", &["-R", &owner, &text(&world.path(part))]);
        }
        let outside = world.path("outside");
        fs::create_dir(&outside).unwrap();
        run("chown", &[&owner, &text(&outside)]);
    } else {
        fs::create_dir(world.path("outside")).unwrap();
    }
    folder
}

impl Server {
    /// The site file of the world answers at `/cgi-bin/deploy.cgi`.
    pub(crate) fn start(kind: Kind, world: &World) -> Server {
        fs::write(world.path("token.txt"), text(&world.path(""))).unwrap();
        for _ in 0..ATTEMPTS {
            // The kernel's choice; another program may take it before the server does.
            let port = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port();
            if let Some(server) = Server::try_start(kind, world, port) {
                return server;
            }
        }
        panic!("{kind:?} does not start");
    }

    fn try_start(kind: Kind, world: &World, port: u16) -> Option<Server> {
        let runtime = plain_folder();
        fs::set_permissions(runtime.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let configuration = runtime.path().join("server.conf");
        let words = match kind {
            Kind::Lighttpd => lighttpd(world, runtime.path(), port),
            Kind::ApacheEvent | Kind::ApachePrefork => apache(kind, world, runtime.path(), port),
        };
        fs::write(&configuration, words).unwrap();
        let configuration = text(&configuration);
        let (program, arguments) = match kind {
            Kind::Lighttpd => ("lighttpd", ["-D", "-f", configuration.as_str()]),
            Kind::ApacheEvent | Kind::ApachePrefork => {
                ("apache2", ["-DFOREGROUND", "-f", configuration.as_str()])
            }
        };
        let log = fs::File::create(runtime.path().join("console.log")).unwrap();
        let child = Command::new(installed(program))
            .args(arguments)
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            // Apache ends its whole process group, which must not be that of the tests.
            .process_group(0)
            .spawn()
            .unwrap();
        let mut server = Server {
            port,
            child,
            _runtime: runtime,
        };
        server.has_started(world).then_some(server)
    }

    fn has_started(&mut self, world: &World) -> bool {
        let begin = Instant::now();
        while begin.elapsed() < START {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                let token = http::send(self.port, "GET", "/token.txt", &[], b"").answer();
                return token.status == 200 && token.body == text(&world.path(""));
            }
            thread::sleep(Duration::from_millis(20));
        }
        false
    }

    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn send(&self, delivery: &Delivery) -> http::Sent {
        let (headers, body) = delivery.as_http();
        http::send(self.port, "POST", "/cgi-bin/deploy.cgi", &headers, body)
    }

    pub(crate) fn post(&self, delivery: &Delivery) -> Answer {
        self.send(delivery).answer()
    }

    pub(crate) fn request(
        &self,
        method: &str,
        query: &str,
        headers: &[(String, String)],
    ) -> Answer {
        let target = format!("/cgi-bin/deploy.cgi{query}");
        http::send(self.port, method, &target, headers, b"").answer()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = Pid::from_child(&self.child);
        if self.child.try_wait().unwrap().is_none() {
            kill_process(pid, Signal::TERM).unwrap();
        }
        let begin = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            if begin.elapsed() > START {
                drop(self.child.kill());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Servers live in `sbin`, which is not on everybody's PATH.
fn installed(program: &str) -> PathBuf {
    ["/usr/sbin", "/usr/local/sbin", "/usr/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{program} is not installed: run ./tests/run"))
}

fn apache(kind: Kind, world: &World, runtime: &Path, port: u16) -> String {
    let modules = "/usr/lib/apache2/modules";
    let root = quoted(&text(&world.path("")));
    let scripts = quoted(&text(&world.path("cgi-bin")));
    let runtime = text(runtime);
    let kind = match kind {
        Kind::ApachePrefork => format!(
            "LoadModule mpm_prefork_module {modules}/mod_mpm_prefork.so\n\
             LoadModule cgi_module {modules}/mod_cgi.so\n"
        ),
        Kind::ApacheEvent | Kind::Lighttpd => format!(
            "LoadModule mpm_event_module {modules}/mod_mpm_event.so\n\
             LoadModule cgid_module {modules}/mod_cgid.so\n\
             ScriptSock {runtime}/cgisock\n"
        ),
    };
    let user = if is_root() {
        format!("User {SERVER_USER}\nGroup {SERVER_USER}\n")
    } else {
        String::new()
    };
    format!(
        "ServerName 127.0.0.1\nListen 127.0.0.1:{port}\nPidFile {runtime}/apache.pid\n\
         DefaultRuntimeDir {runtime}\nErrorLog {runtime}/error.log\nDocumentRoot {root}\n{user}{kind}\
         LoadModule authz_core_module {modules}/mod_authz_core.so\n\
         LoadModule mime_module {modules}/mod_mime.so\nTypesConfig /dev/null\n\
         <Directory {root}>\nRequire all granted\n</Directory>\n\
         <Directory {scripts}>\nOptions +ExecCGI\nAddHandler cgi-script .cgi\n</Directory>\n"
    )
}

fn lighttpd(world: &World, runtime: &Path, port: u16) -> String {
    let runtime = text(runtime);
    let user = if is_root() {
        format!("server.username = \"{SERVER_USER}\"\nserver.groupname = \"{SERVER_USER}\"\n")
    } else {
        String::new()
    };
    format!(
        "server.modules = ( \"mod_cgi\" )\nserver.document-root = {}\nserver.bind = \"127.0.0.1\"\n\
         server.port = {port}\nserver.errorlog = \"{runtime}/error.log\"\n\
         server.breakagelog = \"{runtime}/stderr.log\"\nserver.upload-dirs = ( \"{runtime}\" )\n{user}\
         $HTTP[\"url\"] =~ \"^/cgi-bin/\" {{ cgi.assign = ( \".cgi\" => \"\" ) }}\n",
        quoted(&text(&world.path("")))
    )
}
