//! From nothing to the first push.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use super::{mode, plain, set_url};
use crate::http;
use crate::person::{Person, Served, as_root, free_port};
use crate::world::{Delivery, World, copy_executable, text};

#[test]
fn init_writes_a_secret_and_a_site_file_once() {
    let world = World::new();
    let site = world.path("cgi-bin/new.cgi");
    let secret = world.path("safe/secret.txt");
    let (site_name, secret_name, repo) = (text(&site), text(&secret), text(&world.checkout()));
    let words = [
        "init",
        "--repo",
        &repo,
        "--secret-file",
        &secret_name,
        "--url",
        "https://example.org/cgi-bin/new.cgi",
        &site_name,
    ];
    let mut dry = words.to_vec();
    dry.push("--dry-run");
    let spoken = world.verb_of(&world.program, &dry);
    spoken.expect_exit(0);
    assert!(!site.exists() && !secret.parent().unwrap().exists());
    let spoken = world.verb_of(&world.program, &words);
    spoken.expect_exit(0);
    let key = fs::read_to_string(&secret).unwrap();
    assert_eq!(key.trim().len(), 64);
    assert_eq!(
        fs::metadata(&secret).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(
        fs::metadata(&site).unwrap().permissions().mode() & 0o777,
        0o755
    );
    let told = plain(&world, &spoken.stdout.replace(key.trim(), "<secret>"));
    assert_eq!(told.trim(), r"
wrote <world>/safe/secret.txt
wrote <world>/cgi-bin/new.cgi

Enter at GitHub: your repository, under Settings, Webhooks, Add webhook

  Payload URL       https://example.org/cgi-bin/new.cgi
  Content type      application/json
  Secret            <secret>
  SSL verification  Enable SSL verification
  Which events      Just the push event
  Active            yes

Then:
    '<world>/cgi-bin/new.cgi' check

At GitHub, under Recent Deliveries, look at the answer to the ping: it says what is missing, or that a deploy would work. Then push something.
".trim(), "{told}");
    world.verb_of(&site, &["check"]).expect_exit(0);
    // Neither file is ever written again; the secret is used by a second site.
    let before = fs::read(&site).unwrap();
    let again = world.verb_of(&world.program, &words);
    again.expect_exit(1);
    again.says("nothing is overwritten");
    assert_eq!(fs::read(&site).unwrap(), before);
    assert_eq!(fs::read_to_string(&secret).unwrap(), key);
}

#[test]
fn init_says_what_it_cannot_find_out() {
    let world = World::new();
    let repo = text(&world.checkout());
    let site = text(&world.path("cgi-bin/new.cgi"));
    for (words, told) in [
        (
            &["init", "--dry-run", "--repo", "/nowhere", &site][..],
            "/nowhere",
        ),
        (
            &["init", "--repo", &repo, "/nowhere/deploy.cgi"],
            "/nowhere",
        ),
        (
            &["init", "--repo", &repo, "--url", "example.org", &site],
            "https://",
        ),
        (
            &[
                "init",
                "--repo",
                &repo,
                "--secret-file",
                "/srv/public_html/secret.txt",
                &site,
            ],
            "outside",
        ),
    ] {
        let spoken = world.verb_of(&world.program, words);
        spoken.expect_exit(2);
        spoken.says(told);
        assert!(!world.exists("cgi-bin/new.cgi"));
    }
    let blank = world.path("deploy-cgi");
    copy_executable(&world.program, &blank);
    let spoken = world.verb_of(&blank, &["init", "--repo", &repo, &site]);
    spoken.expect_exit(1);
    spoken.says("blank");
}

#[test]
fn a_second_site_is_named_after_its_address_and_shares_the_secret() {
    let world = World::new();
    let repo = text(&world.checkout());
    let secret = text(&world.path("safe/secret.txt"));
    let cgi_bin = text(&world.path("cgi-bin"));
    fs::remove_file(world.site_file()).unwrap();
    let init = |url: &str| {
        let words = [
            "init",
            "--repo",
            &repo,
            "--secret-file",
            &secret,
            "--url",
            url,
            &cgi_bin,
        ];
        world.verb_of(&world.program, &words)
    };
    let first = init("https://example.org/cgi-bin/deploy.cgi");
    first.expect_exit(0);
    assert!(!first.stdout.contains("shared"), "{first:?}");
    let again = init("https://example.org/cgi-bin/deploy.cgi");
    again.expect_exit(1);
    again.says("--url https://…/NAME.cgi");
    let second = init("https://example.org/cgi-bin/blog.cgi");
    second.expect_exit(0);
    second.says(&format!("wrote {cgi_bin}/blog.cgi"));
    second.says(&format!(
        "in {secret}: it is shared with every site that names this file"
    ));
    let secrets = [&first, &second].map(|said| {
        let line = said
            .stdout
            .lines()
            .find(|line| line.starts_with("  Secret "));
        line.unwrap().to_owned()
    });
    assert_eq!(secrets[0], secrets[1]);
}

#[test]
#[ignore = "needs ssh: ./tests/run"]
fn init_makes_a_key_and_says_where_to_enter_it() {
    let world = World::new();
    let repo = text(&world.checkout());
    set_url(&world, "https://github.com/me/blog.git");
    let site = text(&world.path("cgi-bin/new.cgi"));
    let key = text(&world.path("keys/blog"));
    let secret = text(&world.path("safe/secret.txt"));
    let init = |more: &[&str]| {
        let mut words = vec!["init", "--repo", &repo, "--secret-file", &secret];
        words.extend(more);
        words.push(&site);
        world.verb_of(&world.program, &words)
    };
    let dry = init(&["--ssh-key", &key, "--dry-run"]);
    dry.expect_exit(0);
    dry.says(&format!("would make a new key, {key}"));
    assert!(!world.exists("keys") && !world.exists("cgi-bin/new.cgi"));
    let made = init(&["--ssh-key", &key]);
    made.expect_exit(0);
    let public = world.read("keys/blog.pub");
    made.says("Enter at GitHub: https://github.com/me/blog/settings/keys/new");
    made.says(public.trim());
    for (path, mode) in [("keys", 0o700), ("keys/blog", 0o600)] {
        let found = fs::metadata(world.path(path)).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "{path}");
    }
    assert!(
        world
            .read("cgi-bin/new.cgi")
            .contains(&format!("\nssh_key = \"{key}\"\n"))
    );
    // The address for https is no use to a key. The printed line changes it.
    let mut commands = made
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("    "));
    let line = commands.next().unwrap();
    let shell = world.clean("sh").args(["-c", line]).status().unwrap();
    assert!(shell.success(), "{line}");
    let url = world.git(&world.checkout(), &["remote", "get-url", "origin"]);
    assert_eq!(url.trim(), "git@github.com:me/blog.git");
    // One that is there is used, and the public one is not taken for it.
    fs::remove_file(world.path("cgi-bin/new.cgi")).unwrap();
    let wrong = init(&["--ssh-key", &format!("{key}.pub")]);
    wrong.expect_exit(2);
    wrong.says("is the public key; name the private one");
    let used = init(&["--ssh-key", &key]);
    used.expect_exit(0);
    used.says(public.trim());
    assert!(!used.stdout.contains(&format!("wrote {key}")), "{used:?}");
    assert_eq!(world.read("keys/blog.pub"), public);
}

/// An Apache that starts scripts as the person they belong to.
fn suexec(person: &Person, runtime: &Path, port: u16) -> Served {
    let modules = "/usr/lib/apache2/modules";
    let root = text(&person.home.join("public_html"));
    let runtime = text(runtime);
    let configuration = format!(
        "ServerName 127.0.0.1\nListen 127.0.0.1:{port}\nPidFile {runtime}/apache.pid\n\
         DefaultRuntimeDir {runtime}\nErrorLog {runtime}/error.log\nUser www-data\nGroup www-data\n\
         LoadModule mpm_event_module {modules}/mod_mpm_event.so\n\
         LoadModule cgid_module {modules}/mod_cgid.so\nScriptSock {runtime}/cgisock\n\
         LoadModule authz_core_module {modules}/mod_authz_core.so\n\
         LoadModule mime_module {modules}/mod_mime.so\nTypesConfig /dev/null\n\
         LoadModule suexec_module {modules}/mod_suexec.so\n\
         <VirtualHost 127.0.0.1:{port}>\nDocumentRoot {root}\nSuexecUserGroup {0} {0}\n\
         <Directory {root}>\nRequire all granted\n</Directory>\n\
         <Directory {root}/cgi-bin>\nOptions +ExecCGI\nAddHandler cgi-script .cgi\n</Directory>\n</VirtualHost>\n",
        person.name
    );
    let file = format!("{runtime}/apache.conf");
    fs::write(&file, configuration).unwrap();
    let mut apache = as_root("/usr/sbin/apache2");
    apache.args(["-DFOREGROUND", "-f", &file]).current_dir("/");
    apache.process_group(0);
    Served::start(&mut apache, port)
}

#[test]
#[ignore = "needs apache2 with suexec and root: ./tests/run"]
fn three_commands_lead_from_nothing_to_the_first_push() {
    let folder = tempfile::Builder::new()
        .prefix("deploy-cgi-")
        .tempdir_in("/var/www")
        .unwrap();
    let person = Person::in_folder(folder);
    let world = World::new();
    mode(&world.path(""), 0o755);
    // What the host has made, and what was uploaded.
    person.does("mkdir -p bin public_html/cgi-bin");
    let program = person.home.join("bin/deploy-cgi");
    let uploaded = as_root("install")
        .args(["-m", "755", "-o", &person.name])
        .arg(fs::canonicalize(&world.program).unwrap())
        .arg(&program)
        .status();
    assert!(uploaded.unwrap().success());
    let port = free_port();
    let runtime = crate::world::plain_folder();
    mode(runtime.path(), 0o777);
    let _server = suexec(&person, runtime.path(), port);

    let url = format!("http://127.0.0.1:{port}/cgi-bin/deploy.cgi");
    let mut typed = 0;
    let mut on_host = |line: &str| {
        typed += 1;
        person.does(line)
    };
    on_host(&format!(
        "git clone -q --recurse-submodules {} blog",
        world.origin.url("me/site.git")
    ));
    let told = on_host(&format!("~/bin/deploy-cgi init --url {url}"));
    let check = on_host("public_html/cgi-bin/deploy.cgi check");
    assert!(check.ends_with("A deploy would work.\n"), "{check}");
    assert!(typed <= 6);

    // GitHub's form is filled in with what was printed.
    let field = |name: &str| {
        let line = told.lines().find_map(|line| line.trim().strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name}: {told}"))
            .trim()
            .to_owned()
    };
    assert_eq!(field("Payload URL"), url);
    assert_eq!(field("Content type"), "application/json");
    let secret = field("Secret");
    let send = |delivery: &Delivery| {
        let (headers, body) = delivery.as_http();
        let protocol = http::Protocol::Http1;
        let client = http::Client { port, protocol };
        client
            .send("POST", "/cgi-bin/deploy.cgi", &headers, body)
            .answer()
    };
    let ping = send(&world.ping_delivery().signed_with(secret.as_bytes()));
    assert_eq!(
        (ping.status, ping.first_word()),
        (200, "pong"),
        "{}",
        ping.body
    );
    assert!(
        ping.body.contains(&format!("{}, at home in", person.name)),
        "{}",
        ping.body
    );
    let commit = world.push("two");
    let push = send(&world.push_delivery(&commit).signed_with(secret.as_bytes()));
    assert_eq!(
        (push.status, push.first_word()),
        (200, "deployed"),
        "{}",
        push.body
    );
    let page = fs::read_to_string(person.home.join("blog/index.html")).unwrap();
    assert_eq!(page, "two");
}
