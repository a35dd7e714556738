//! Real web servers on loopback, each with a configuration of its own that lasts one test. What
//! docs/servers.md says about a server is read out of it, so that what is tested is what it says.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

use crate::docs::block_with;
use crate::http::{Answer, Client, Protocol, Sent};
use crate::world::{Delivery, World, plain_folder, quoted, text, wait_until, write_executable};

const ATTEMPTS: usize = 5;
const START: Duration = Duration::from_mins(1);
/// Whom the servers run CGI programs as when the tests run as root.
const SERVER_USER: &str = "www-data";
/// Debian's suexec runs nothing outside.
const SUEXEC_ROOT: &str = "/var/www";
/// Where Debian keeps Apache's modules.
const MODULES: &str = "/usr/lib/apache2/modules";
/// The site file when it is not what the server starts.
const SITE_BESIDE: &str = "beside.cgi";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The event MPM with `mod_cgid`.
    ApacheEvent,
    /// The prefork MPM with `mod_cgi`.
    ApachePrefork,
    /// The same with suexec and a user of its own. Needs root.
    ApacheEventSuexec,
    ApachePreforkSuexec,
    /// `mod_proxy_fcgi` and fcgiwrap.
    ApacheProxy,
    /// `mod_fcgid`, which starts fcgiwrap itself.
    ApacheFcgid,
    /// Caddy and fcgiwrap.
    Caddy,
    /// Leaves `QUERY_STRING` out where there is no query.
    Civetweb,
    Lighttpd,
    /// `cgi.assign` names our program.
    LighttpdAssign,
    /// nginx and fcgiwrap.
    Nginx,
    /// The same with Debian's parameters, which have no `SCRIPT_FILENAME`.
    NginxStock,
    /// nginx and the plugin cgi of uwsgi.
    NginxUwsgi,
    Busybox,
    /// Its own helper for CGI, which speaks `FastCGI` to it.
    H2o,
    LighttpdHttp2,
    /// nginx and fcgiwrap.
    NginxHttp2,
    /// The event MPM with `mod_security` and its core rule set.
    ApacheModSecurity,
    /// PHP's own server and `deploy.php`.
    Php,
    /// nginx, php-cgi and `deploy.php`.
    NginxPhp,
}

impl Kind {
    fn is_suexec(self) -> bool {
        matches!(self, Kind::ApacheEventSuexec | Kind::ApachePreforkSuexec)
    }

    fn has_php(self) -> bool {
        matches!(self, Kind::Php | Kind::NginxPhp)
    }

    fn protocol(self) -> Protocol {
        match self {
            Kind::LighttpdHttp2 | Kind::NginxHttp2 => Protocol::Http2,
            _ => Protocol::Http1,
        }
    }
}

/// What the server starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// The site file in `cgi-bin`, as the pages have it.
    SiteFile,
    /// The same, switched on by a `.htaccess`.
    Htaccess,
    /// A link to it.
    Symlink,
    /// Our program; the server's configuration names the site.
    Binary,
    /// A shell script that names the site.
    Wrapper,
}

/// A running server; it ends when this is dropped.
pub(crate) struct Server {
    client: Client,
    daemons: Vec<Daemon>,
    target: String,
    _runtime: TempDir,
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn run(program: &str, words: &[&str]) {
    assert!(succeeds(program, words), "{program} {words:?}");
}

fn succeeds(program: &str, words: &[&str]) -> bool {
    let output = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .output();
    output.unwrap().status.success()
}

/// What a world has outside its own folder while a server works in it.
pub(crate) struct Handed {
    _program: TempDir,
    account: Option<Account>,
}

impl Handed {
    /// The home of the user that scripts run as under suexec.
    pub(crate) fn home(&self) -> &Path {
        self.account.as_ref().unwrap().home.path()
    }
}

/// Gives the parts of a world that a deploy writes to the user that the server runs as, and
/// the program a place that this user can reach.
pub(crate) fn hand_over(world: &mut World) -> Handed {
    hand_over_for(Kind::ApacheEvent, world)
}

/// The same for a server that may run scripts as somebody else.
pub(crate) fn hand_over_for(kind: Kind, world: &mut World) -> Handed {
    let folder = plain_folder();
    open(folder.path());
    open(&world.path(""));
    let copy = folder.path().join("deploy-cgi");
    copy_program(&world.program, &copy);
    let account = kind.is_suexec().then(Account::make);
    if let Some(account) = &account {
        account.take_in(&world.path("cgi-bin"));
    }
    world.set_program(copy);
    fs::create_dir(world.path("outside")).unwrap();
    if is_root() {
        let owner = account.as_ref().map_or(SERVER_USER, |user| &user.name);
        for part in [
            "checkout",
            "home",
            "secret.txt",
            "cgi-bin",
            "fake",
            "outside",
        ] {
            give(owner, &world.path(part));
        }
    }
    Handed {
        _program: folder,
        account,
    }
}

fn open(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// To a user and a group of the same name.
pub(crate) fn give(owner: &str, path: &Path) {
    let owner = format!("{owner}:{owner}");
    run("chown", &["-R", "-H", &owner, &text(path)]);
}

/// By a child, so that no other thread of the tests can have forked while it was open for
/// writing.
pub(crate) fn copy_program(program: &Path, to: &Path) {
    let program = fs::canonicalize(program).unwrap();
    run("cp", &[&text(&program), &text(to)]);
}

/// A user that is there for one test, with a home and a folder below `/var/www`.
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) home: TempDir,
    folder: TempDir,
}

/// Users are made and removed one at a time.
static USERS: Mutex<()> = Mutex::new(());

impl Account {
    pub(crate) fn make() -> Account {
        assert!(is_root(), "suexec needs root");
        fs::create_dir_all(SUEXEC_ROOT).unwrap();
        let home = plain_folder();
        open(home.path());
        let name = home.path().file_name().unwrap().to_str().unwrap();
        let name = name.to_ascii_lowercase();
        let words = [
            "--no-create-home",
            "--home-dir",
            &text(home.path()),
            "--shell",
            "/bin/sh",
            "--user-group",
            &name,
        ];
        // Other programs may be changing the list of users too.
        wait_until("a user", || {
            let _alone = USERS.lock().unwrap();
            succeeds("/usr/sbin/useradd", &words)
        });
        give(&name, home.path());
        let folder = tempfile::Builder::new()
            .prefix("deploy-cgi-")
            .tempdir_in(SUEXEC_ROOT)
            .unwrap();
        open(folder.path());
        Account { name, home, folder }
    }

    /// Moves a folder to where suexec starts scripts.
    fn take_in(&self, scripts: &Path) {
        fs::remove_dir_all(scripts).unwrap();
        let place = self.folder.path().join("cgi-bin");
        fs::create_dir(&place).unwrap();
        open(&place);
        symlink(place, scripts).unwrap();
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        // Not while a process of theirs is left: a worker that still tidies up.
        let remove = || {
            let _alone = USERS.lock().unwrap();
            succeeds("/usr/sbin/userdel", &[&self.name])
        };
        if thread::panicking() {
            let begin = Instant::now();
            while !remove() && begin.elapsed() < START {
                thread::sleep(Duration::from_millis(100));
            }
        } else {
            wait_until("the end of a user", remove);
        }
    }
}

impl Server {
    /// The site file of the world answers at `/cgi-bin/deploy.cgi`.
    pub(crate) fn start(kind: Kind, world: &World) -> Server {
        Server::start_by(kind, Route::SiteFile, world)
    }

    pub(crate) fn start_by(kind: Kind, route: Route, world: &World) -> Server {
        Server::start_with(kind, route, world, "")
    }

    /// An Apache with these lines in its configuration, too.
    pub(crate) fn start_apache_with(world: &World, more: &str) -> Server {
        Server::start_with(Kind::ApacheEvent, Route::SiteFile, world, more)
    }

    fn start_with(kind: Kind, route: Route, world: &World, more: &str) -> Server {
        lay(kind, route, world);
        let target = if kind.has_php() {
            "/deploy.php"
        } else {
            "/cgi-bin/deploy.cgi"
        };
        Server::started(world, target, kind.protocol(), |runtime, port| match kind {
            Kind::Lighttpd | Kind::LighttpdAssign | Kind::LighttpdHttp2 => {
                lighttpd(kind, route, world, runtime, port);
                vec![daemon(
                    "lighttpd",
                    &["-D", "-f", &configuration(runtime)],
                    runtime,
                )]
            }
            Kind::Nginx | Kind::NginxStock | Kind::NginxHttp2 => {
                vec![fcgiwrap(runtime), nginx(kind, route, world, runtime, port)]
            }
            Kind::NginxUwsgi => vec![
                uwsgi(world, runtime),
                nginx(kind, route, world, runtime, port),
            ],
            Kind::NginxPhp => vec![php_cgi(runtime), nginx(kind, route, world, runtime, port)],
            Kind::Php => vec![php(world, runtime, port)],
            Kind::H2o => vec![h2o(world, runtime, port)],
            Kind::Busybox => vec![busybox(route, world, runtime, port)],
            Kind::Civetweb => vec![civetweb(world, runtime, port)],
            Kind::Caddy => vec![fcgiwrap(runtime), caddy(world, runtime, port)],
            Kind::ApacheFcgid => {
                let folder = text(runtime);
                let site = apache_site(kind, route, world);
                let site = format!(
                    "{site}FcgidIPCDir {folder}\nFcgidProcessTableFile {folder}/processes\n"
                );
                vec![apache(kind, world, &site, runtime, port)]
            }
            Kind::ApacheProxy => {
                let site = apache_site(kind, route, world)
                    .replace("/run/fcgiwrap.socket", &text(&fcgiwrap_socket(runtime)));
                vec![fcgiwrap(runtime), apache(kind, world, &site, runtime, port)]
            }
            Kind::ApacheModSecurity => {
                let site = apache_site(kind, route, world);
                let rules = core_rule_set(world) + &block_with("SecRuleEngine Off");
                vec![apache(kind, world, &(site + &rules), runtime, port)]
            }
            Kind::ApacheEvent
            | Kind::ApachePrefork
            | Kind::ApacheEventSuexec
            | Kind::ApachePreforkSuexec => {
                let site = apache_site(kind, route, world) + more;
                vec![apache(kind, world, &site, runtime, port)]
            }
        })
    }

    /// An Apache that serves `~/public_html` of a user, with suexec, and lets `.htaccess` say
    /// what is run.
    pub(crate) fn start_shared_hosting(world: &World, account: &Account) -> Server {
        let home = text(account.home.path());
        let site = format!(
            "LoadModule userdir_module {MODULES}/mod_userdir.so\n\
             LoadModule alias_module {MODULES}/mod_alias.so\n\
             LoadModule suexec_module {MODULES}/mod_suexec.so\nUserDir public_html\n\
             <Directory {home}/public_html>\nAllowOverride FileInfo Options=ExecCGI\n\
             Require all granted\n</Directory>\n"
        );
        let target = format!("/~{}/cgi-bin/deploy.cgi", account.name);
        Server::started(world, &target, Protocol::Http1, |runtime, port| {
            vec![apache(Kind::ApacheEventSuexec, world, &site, runtime, port)]
        })
    }

    fn started(
        world: &World,
        target: &str,
        protocol: Protocol,
        start: impl Fn(&Path, u16) -> Vec<Daemon>,
    ) -> Server {
        fs::write(world.path("token.txt"), text(&world.path(""))).unwrap();
        for _ in 0..ATTEMPTS {
            // The kernel's choice; another program may take it before the server does.
            let port = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port();
            let runtime = plain_folder();
            fs::set_permissions(runtime.path(), fs::Permissions::from_mode(0o777)).unwrap();
            let mut server = Server {
                client: Client { port, protocol },
                daemons: start(runtime.path(), port),
                target: target.to_owned(),
                _runtime: runtime,
            };
            if server.has_started(world) {
                return server;
            }
        }
        panic!("no server at {target}");
    }

    fn has_started(&mut self, world: &World) -> bool {
        let begin = Instant::now();
        while begin.elapsed() < START {
            if self.daemons.iter_mut().any(Daemon::has_ended) {
                return false;
            }
            if TcpStream::connect(("127.0.0.1", self.client.port)).is_ok() {
                let token = self.at("GET", "/token.txt");
                return token.status == 200 && token.body == text(&world.path(""));
            }
            thread::sleep(Duration::from_millis(20));
        }
        false
    }

    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.client.port)
    }

    pub(crate) fn send(&self, delivery: &Delivery) -> Sent {
        self.send_with(delivery, &[])
    }

    /// The same with more headers, behind the others.
    pub(crate) fn send_with(&self, delivery: &Delivery, more: &[(&str, &str)]) -> Sent {
        let (mut headers, body) = delivery.as_http();
        let more = more.iter();
        headers.extend(more.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self.client.send("POST", &self.target, &headers, body)
    }

    /// The same with a body in pieces and without a length.
    pub(crate) fn send_in_pieces(&self, delivery: &Delivery) -> Sent {
        let (headers, body) = delivery.as_http();
        self.client.send_in_pieces(&self.target, &headers, body)
    }

    /// Announces the whole body, sends half of it and hangs up.
    pub(crate) fn send_half(&self, delivery: &Delivery) {
        let (headers, body) = delivery.as_http();
        self.client.send_half(&self.target, &headers, body);
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
        let target = format!("{}{query}", self.target);
        self.client.send(method, &target, headers, b"").answer()
    }

    /// What is at another address of the server.
    pub(crate) fn page(&self, target: &str) -> Answer {
        self.at("GET", target)
    }

    /// The answer to a method at another address.
    pub(crate) fn at(&self, method: &str, target: &str) -> Answer {
        self.client.send(method, target, &[], b"").answer()
    }
}

/// A process of a server's. Its children are in its process group.
struct Daemon {
    child: Child,
    /// How it is ended.
    end: End,
}

enum End {
    /// It sees to its children.
    Asked,
    /// Its children would live on.
    Group,
}

impl Daemon {
    fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.has_ended() {
            return;
        }
        let pid = Pid::from_child(&self.child);
        match self.end {
            End::Asked => kill_process(pid, Signal::TERM).unwrap(),
            End::Group => kill_process_group(pid, Signal::KILL).unwrap(),
        }
        let begin = Instant::now();
        while !self.has_ended() {
            if begin.elapsed() > START {
                drop(self.child.kill());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A program of a server's, about to be started.
fn command(program: &str, runtime: &Path) -> Command {
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(runtime.join("console.log"))
        .unwrap();
    let mut command = Command::new(installed(program));
    command
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
        .process_group(0);
    command
}

fn daemon(program: &str, words: &[&str], runtime: &Path) -> Daemon {
    Daemon {
        child: command(program, runtime).args(words).spawn().unwrap(),
        end: End::Asked,
    }
}

/// Servers live in `sbin`, which is not on everybody's PATH.
fn installed(program: &str) -> PathBuf {
    ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{program} is not installed: run ./tests/run"))
}

fn configuration(runtime: &Path) -> String {
    text(&runtime.join("server.conf"))
}

fn write_configuration(runtime: &Path, words: &str) {
    fs::write(configuration(runtime), words).unwrap();
}

/// Puts into `cgi-bin` what the server starts.
fn lay(kind: Kind, route: Route, world: &World) {
    let script = world.site_file();
    let beside = world.path(SITE_BESIDE);
    match route {
        Route::SiteFile => {
            if kind.has_php() {
                lay_php(world);
            }
            if kind == Kind::LighttpdAssign {
                // Nothing but the server's configuration makes a script of it.
                fs::set_permissions(&script, fs::Permissions::from_mode(0o644)).unwrap();
                let settings = format!("#!/nowhere\n{}", world.settings());
                fs::write(&script, settings).unwrap();
            }
        }
        Route::Htaccess => {
            let words = block_with("Options +ExecCGI\nAddHandler");
            fs::write(world.path("cgi-bin/.htaccess"), words).unwrap();
        }
        Route::Symlink => {
            move_file(&script, &beside);
            symlink(beside, script).unwrap();
        }
        Route::Binary => {
            move_file(&script, &beside);
            copy_program(&world.program, &script);
            give_like(&beside, &script);
        }
        Route::Wrapper => {
            move_file(&script, &beside);
            let words = block_with("#!/bin/sh\nDEPLOY_CGI_SITE=")
                .replace("/srv/blog.cgi", &format!("'{}'", text(&beside)))
                .replace("/usr/local/bin/deploy-cgi", &text(&world.program));
            write_executable(&script, &(words + "\n"));
            give_like(&beside, &script);
        }
    }
}

/// As a person does it with the command of docs/servers.md.
pub(crate) fn lay_php(world: &World) {
    let mut init = world.clean(&world.program);
    let printed = init.args(["init", "--php"]).arg(world.site_file()).output();
    fs::write(world.path("deploy.php"), printed.unwrap().stdout).unwrap();
}

/// Also to another disk.
pub(crate) fn move_file(from: &Path, to: &Path) {
    run("mv", &[&text(from), &text(to)]);
}

/// To the owner of another file.
fn give_like(other: &Path, path: &Path) {
    let owner = fs::metadata(other).unwrap();
    chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
}

/// A path as all configurations take it: in quotes.
fn name_of(path: &Path) -> String {
    quoted(&text(path))
}

fn apache_site(kind: Kind, route: Route, world: &World) -> String {
    let scripts = world.path("cgi-bin");
    let root = name_of(&world.path(""));
    let site = format!(
        "LoadModule alias_module {MODULES}/mod_alias.so\n\
         LoadModule env_module {MODULES}/mod_env.so\nDocumentRoot {root}\n"
    );
    let scripts_folder = name_of(&scripts);
    let words = if kind.is_suexec() {
        let owner = fs::metadata(world.site_file()).unwrap();
        let load = format!("LoadModule suexec_module {MODULES}/mod_suexec.so\n");
        load + &block_with("SuexecUserGroup me me")
            .replace("me me", &format!("#{} #{}", owner.uid(), owner.gid()))
            .replace(
                "/var/www/me/cgi-bin/",
                &name_of(&fs::canonicalize(&scripts).unwrap().join("")),
            )
            .replace(
                "/var/www/me/cgi-bin",
                &name_of(&fs::canonicalize(&scripts).unwrap()),
            )
    } else if route == Route::Htaccess {
        format!(
            "<Directory {scripts_folder}>\nAllowOverride FileInfo Options=ExecCGI\n</Directory>"
        )
    } else if kind == Kind::ApacheFcgid {
        let load = format!("LoadModule fcgid_module {MODULES}/mod_fcgid.so\n");
        load + &block_with("FcgidWrapper")
            .replace("/srv/www/cgi-bin/", &name_of(&scripts.join("")))
            .replace("/srv/www/cgi-bin", &scripts_folder)
    } else if kind == Kind::ApacheProxy {
        let modules = ["proxy", "proxy_fcgi"];
        let load =
            modules.map(|name| format!("LoadModule {name}_module {MODULES}/mod_{name}.so\n"));
        load.concat() + &block_with("ProxyFCGIBackendType GENERIC")
    } else if kind == Kind::ApachePrefork {
        block_with("ScriptAlias /cgi-bin/ /usr/lib/cgi-bin/")
            .replace("/usr/lib/cgi-bin/", &name_of(&scripts.join("")))
            .replace("/usr/lib/cgi-bin", &scripts_folder)
    } else {
        block_with("<Directory /var/www/html/cgi-bin>")
            .replace("/var/www/html/cgi-bin", &scripts_folder)
    };
    let variable = if route == Route::Binary {
        block_with("SetEnv DEPLOY_CGI_SITE")
            .replace("/srv/blog.cgi", &name_of(&world.path(SITE_BESIDE)))
    } else {
        String::new()
    };
    format!("{site}{words}\n{variable}\n")
}

/// `mod_security` as Debian recommends it and with all rules on, but for where it writes.
pub(crate) fn core_rule_set(world: &World) -> String {
    let folder = Path::new("/etc/modsecurity");
    let place = name_of(&world.path("outside"));
    let recommended = fs::read_to_string(folder.join("modsecurity.conf-recommended")).unwrap();
    let mut lines: Vec<String> = recommended
        .lines()
        .filter(|line| !line.starts_with("SecAudit"))
        .map(|line| match line.split(' ').next().unwrap() {
            name @ ("SecTmpDir" | "SecDataDir") => format!("{name} {place}"),
            _ => line.replace("unicode.mapping", &text(&folder.join("unicode.mapping"))),
        })
        .collect();
    lines.push("SecRuleEngine On\n".to_owned());
    let configuration = world.path("modsecurity.conf");
    fs::write(&configuration, lines.join("\n")).unwrap();
    format!(
        "LoadModule unique_id_module {MODULES}/mod_unique_id.so\n\
         LoadModule security2_module {MODULES}/mod_security2.so\nInclude {}\n\
         Include /usr/share/modsecurity-crs/owasp-crs.load\n",
        name_of(&configuration)
    )
}

fn apache(kind: Kind, world: &World, site: &str, runtime: &Path, port: u16) -> Daemon {
    let root = name_of(&world.path(""));
    let folder = text(runtime);
    let modules = match kind {
        Kind::ApachePrefork | Kind::ApachePreforkSuexec => format!(
            "LoadModule mpm_prefork_module {MODULES}/mod_mpm_prefork.so\n\
             LoadModule cgi_module {MODULES}/mod_cgi.so\n"
        ),
        _ => format!(
            "LoadModule mpm_event_module {MODULES}/mod_mpm_event.so\n\
             LoadModule cgid_module {MODULES}/mod_cgid.so\n\
             ScriptSock {folder}/cgisock\n"
        ),
    };
    let user = if is_root() {
        format!("User {SERVER_USER}\nGroup {SERVER_USER}\n")
    } else {
        String::new()
    };
    let words = format!(
        "ServerName 127.0.0.1\nListen 127.0.0.1:{port}\nPidFile {folder}/apache.pid\n\
         DefaultRuntimeDir {folder}\nErrorLog {folder}/error.log\nDocumentRoot {root}\n{user}{modules}\
         LoadModule authz_core_module {MODULES}/mod_authz_core.so\n\
         LoadModule mime_module {MODULES}/mod_mime.so\nTypesConfig /dev/null\n\
         LimitRequestFields 1000\n\
         <Directory {root}>\nRequire all granted\n</Directory>\n{site}"
    );
    write_configuration(runtime, &words);
    daemon(
        "apache2",
        &["-DFOREGROUND", "-f", &configuration(runtime)],
        runtime,
    )
}

fn lighttpd(kind: Kind, route: Route, world: &World, runtime: &Path, port: u16) {
    let folder = text(runtime);
    let user = if is_root() {
        format!("server.username = \"{SERVER_USER}\"\nserver.groupname = \"{SERVER_USER}\"\n")
    } else {
        String::new()
    };
    let mut site = if kind == Kind::LighttpdAssign {
        block_with("\".cgi\" => \"/usr/local/bin/deploy-cgi\"")
            .replace("/usr/local/bin/deploy-cgi", &text(&world.program))
    } else {
        block_with("\".cgi\" => \"\"")
    };
    site += "\n";
    site += &block_with("url.access-deny");
    if route == Route::Binary {
        site += "\n";
        site += &block_with("setenv.set-environment")
            .replace("/srv/blog.cgi", &text(&world.path(SITE_BESIDE)));
    }
    if kind == Kind::LighttpdHttp2 {
        site += "\nserver.feature-flags = ( \"server.h2proto\" => \"enable\", \"server.h2c\" => \"enable\" )";
    }
    let breakage_log = block_with("server.breakagelog").replace("/var/log/lighttpd", &folder);
    let words = format!(
        "server.modules = ()\nserver.document-root = {}\nserver.bind = \"127.0.0.1\"\n\
         server.port = {port}\nserver.errorlog = \"{folder}/error.log\"\n\
         {breakage_log}\nserver.upload-dirs = ( \"{folder}\" )\n{user}{site}\n",
        name_of(&world.path(""))
    );
    write_configuration(runtime, &words);
}

fn fcgiwrap_socket(runtime: &Path) -> PathBuf {
    runtime.join("fcgiwrap.socket")
}

/// As systemd starts it: the socket is its standard input.
fn fcgiwrap(runtime: &Path) -> Daemon {
    let socket = UnixListener::bind(fcgiwrap_socket(runtime)).unwrap();
    fs::set_permissions(fcgiwrap_socket(runtime), fs::Permissions::from_mode(0o666)).unwrap();
    let service = block_with("ExecStart=/usr/sbin/fcgiwrap");
    let line = service.lines().last().unwrap();
    let mut words = line.strip_prefix("ExecStart=").unwrap().split(' ');
    let program = Path::new(words.next().unwrap()).file_name().unwrap();
    let mut command = command(program.to_str().unwrap(), runtime);
    command.args(words).stdin(OwnedFd::from(socket));
    as_server(command, End::Group)
}

/// On Debian the user and the group have the same.
fn id_of(user: &str) -> u32 {
    let output = Command::new("id").args(["-u", user]).output().unwrap();
    let id = String::from_utf8(output.stdout).unwrap();
    id.trim_end().parse().unwrap()
}

fn nginx(kind: Kind, route: Route, world: &World, runtime: &Path, port: u16) -> Daemon {
    let folder = text(runtime);
    // The `include fastcgi_params` of docs/servers.md is beside the configuration.
    for parameters in ["fastcgi_params", "uwsgi_params"] {
        let packaged = Path::new("/etc/nginx").join(parameters);
        symlink(packaged, runtime.join(parameters)).unwrap();
    }
    let user = if is_root() {
        format!("user {SERVER_USER};\n")
    } else {
        String::new()
    };
    let location = match kind {
        Kind::NginxUwsgi => block_with("uwsgi_pass"),
        Kind::NginxPhp => block_with("php-fpm.sock"),
        _ => block_with("fastcgi_split_path_info ^(/cgi-bin"),
    };
    let http2 = match kind.protocol() {
        Protocol::Http1 => "",
        Protocol::Http2 => " http2",
    };
    // What docs/servers.md says may be left out.
    let is_left_out = |line: &str| {
        let named = ["SCRIPT_FILENAME", "split_path_info", "PATH_INFO"];
        kind == Kind::NginxStock && named.iter().any(|name| line.contains(name))
    };
    let mut lines: Vec<&str> = location.lines().filter(|line| !is_left_out(line)).collect();
    let variable = block_with("fastcgi_param DEPLOY_CGI_SITE")
        .replace("/srv/blog.cgi", &name_of(&world.path(SITE_BESIDE)));
    if route == Route::Binary {
        lines.insert(1, &variable);
    }
    let location = lines
        .join("\n")
        .replace("/usr/lib/cgi-bin/deploy.cgi", &name_of(&world.site_file()))
        .replace("/run/fcgiwrap.socket", &text(&fcgiwrap_socket(runtime)))
        .replace("/run/uwsgi-cgi.socket", &text(&uwsgi_socket(runtime)))
        .replace("/run/php/php-fpm.sock", &text(&php_socket(runtime)))
        .replace("/srv/www/deploy.php", &name_of(&world.path("deploy.php")));
    let git = block_with("location ~ /\\.git {");
    let temporary = ["client_body", "fastcgi", "proxy", "uwsgi", "scgi"];
    let temporary = temporary.map(|name| format!("{name}_temp_path {folder}/{name};\n"));
    let temporary = temporary.concat();
    let words = format!(
        "daemon off;\n{user}error_log {folder}/error.log info;\npid {folder}/nginx.pid;\n\
         events {{ worker_connections 512; }}\nhttp {{\naccess_log off;\n{temporary}\
         server {{\nlisten 127.0.0.1:{port}{http2};\nroot {};\n{location}\n{git}\n}}\n}}\n",
        name_of(&world.path(""))
    );
    write_configuration(runtime, &words);
    daemon("nginx", &["-c", &configuration(runtime)], runtime)
}

/// As the server's user.
fn as_server(mut command: Command, end: End) -> Daemon {
    if is_root() {
        let user = id_of(SERVER_USER);
        command.uid(user).gid(user);
    }
    Daemon {
        child: command.spawn().unwrap(),
        end,
    }
}

fn php(world: &World, runtime: &Path, port: u16) -> Daemon {
    let mut php = command("php", runtime);
    php.args(["-S", &format!("127.0.0.1:{port}"), "-t"])
        .arg(world.path(""));
    // It answers one request at a time else.
    php.env("PHP_CLI_SERVER_WORKERS", "4");
    as_server(php, End::Group)
}

fn php_socket(runtime: &Path) -> PathBuf {
    runtime.join("php.socket")
}

fn php_cgi(runtime: &Path) -> Daemon {
    let mut php = command("php-cgi", runtime);
    php.arg("-b").arg(php_socket(runtime));
    php.env("PHP_FCGI_CHILDREN", "4");
    let daemon = as_server(php, End::Group);
    wait_until("php-cgi", || php_socket(runtime).exists());
    daemon
}

fn h2o(world: &World, runtime: &Path, port: u16) -> Daemon {
    // Its helper takes a path apart where a blank is in it.
    let root = runtime.join("www");
    symlink(world.path(""), &root).unwrap();
    let mut words = block_with("fastcgi.spawn")
        .replace("port: 80", &format!("host: 127.0.0.1, port: {port}"))
        .replace("/srv/www", &text(&root));
    if !is_root() {
        words = words.replace("user: www-data\n", "");
    }
    write_configuration(runtime, &words);
    daemon("h2o", &["-c", &configuration(runtime)], runtime)
}

fn uwsgi_socket(runtime: &Path) -> PathBuf {
    runtime.join("uwsgi-cgi.socket")
}

fn uwsgi(world: &World, runtime: &Path) -> Daemon {
    let line = block_with("uwsgi --plugins cgi");
    let words = line.split_whitespace().skip(1).map(|word| {
        word.replace("/run/uwsgi-cgi.socket", &text(&uwsgi_socket(runtime)))
            .replace("/srv/www", &text(&world.path("")))
    });
    let mut command = command("uwsgi", runtime);
    command.args(words);
    let daemon = as_server(command, End::Asked);
    wait_until("uwsgi", || uwsgi_socket(runtime).exists());
    daemon
}

fn caddy(world: &World, runtime: &Path, port: u16) -> Daemon {
    let site = block_with("transport fastcgi")
        .replace(
            "example.org {",
            &format!("http://:{port} {{\nbind 127.0.0.1\nfile_server"),
        )
        .replace("/srv/www", &name_of(&world.path("")))
        .replace("/run/fcgiwrap.socket", &text(&fcgiwrap_socket(runtime)));
    write_configuration(runtime, &format!("{{\nadmin off\n}}\n{site}\n"));
    let configuration = configuration(runtime);
    let words = ["run", "--adapter", "caddyfile", "--config", &configuration];
    let mut command = command("caddy", runtime);
    // It keeps what it was told, and certificates.
    command.args(words).env("HOME", runtime);
    Daemon {
        child: command.spawn().unwrap(),
        // Asked, it would wait for its requests.
        end: End::Group,
    }
}

fn civetweb(world: &World, runtime: &Path, port: u16) -> Daemon {
    let mut line = block_with("civetweb -listening_ports");
    if !is_root() {
        line = line.replace(" -run_as_user www-data", "");
    }
    let (port, root) = (format!("127.0.0.1:{port}"), text(&world.path("")));
    let words: Vec<&str> = line
        .split_whitespace()
        .skip(1)
        .map(|word| match word.trim_matches('\'') {
            "8080" => &port,
            "/srv/www" => &root,
            other => other,
        })
        .collect();
    daemon("civetweb", &words, runtime)
}

fn busybox(route: Route, world: &World, runtime: &Path, port: u16) -> Daemon {
    let line = block_with("busybox httpd -u");
    let mut words: Vec<String> = line
        .split_whitespace()
        .skip(1)
        .map(|word| match word {
            "/srv/www" => text(&world.path("")),
            other => other.to_owned(),
        })
        .collect();
    if !is_root() {
        let user = words.iter().position(|word| word == "-u").unwrap();
        words.drain(user..user + 2);
    }
    words.extend([
        "-f".to_owned(),
        "-p".to_owned(),
        format!("127.0.0.1:{port}"),
    ]);
    let mut command = command("busybox", runtime);
    command.args(words);
    if route == Route::Binary {
        command.env("DEPLOY_CGI_SITE", world.path(SITE_BESIDE));
    }
    Daemon {
        child: command.spawn().unwrap(),
        end: End::Asked,
    }
}
