//! The same requests through every web server that has CGI: Apache, lighttpd, civetweb, busybox httpd, h2o, and nginx,
//! Apache and Caddy with fcgiwrap; over HTTP/2; and through PHP.
//!
//! Run by root, the servers start as root and answer as www-data, as on a host; run by
//! anybody else they answer as that person.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::docs::block_with;
use crate::http::Answer;
use crate::server::{
    Account, Kind, Route, Server, copy_program, core_rule_set, give, hand_over, hand_over_for,
    is_root, move_file,
};
use crate::world::{
    Delivery, Fault, NOWHERE, SECRET, Spoken, World, page_key, quoted, sha256_signature, text,
    wait_until, write_executable,
};

#[track_caller]
fn expect(answer: &Answer, status: u16, first_word: &str) {
    let got = (answer.status, answer.first_word());
    assert_eq!(got, (status, first_word), "{answer:#?}");
}

fn every_request_is_answered(kind: Kind) {
    let mut world = World::new();
    world.key("on_update", "\"env > ../outside/seen\"");
    let _handed = hand_over_for(kind, &mut world);
    let server = Server::start(kind, &world);

    expect(&server.request("GET", "", &[]), 200, "ready");
    let head = server.request("HEAD", "", &[]);
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    expect(&server.post(&world.ping_delivery()), 200, "pong");
    expect(&server.post(&world.delivery("star", "{}")), 200, "ignored");
    let unsigned = world.push_delivery(NOWHERE).unsigned();
    expect(&server.post(&unsigned), 403, "refused");
    let wrong = world.push_delivery(NOWHERE).signed_with(b"guess");
    expect(&server.post(&wrong), 403, "refused");
    for query in ["?check", "?run+--help", "?%2Fetc%2Fpasswd", "?a%3Db"] {
        expect(&server.request("GET", query, &[]), 400, "refused");
    }
    let answer = server.request("DELETE", "", &[]);
    // A server may start no program for a method that it does not know, as busybox 1.38, or keeps for itself, as civetweb:
    // it refuses it everywhere then.
    let elsewhere = server.at("DELETE", "/token.txt");
    if matches!(elsewhere.status, 400 | 401) {
        let refused = (elsewhere.status, &elsewhere.body);
        assert_eq!((answer.status, &answer.body), refused);
    } else {
        expect(&answer, 405, "refused");
        assert_eq!(answer.header("Allow"), Some("GET, HEAD, POST"));
    }
    assert!(!world.exists("outside/seen"));

    let (commit, post) = world.push_with_post("two");
    let answer = server.post(&world.push_delivery(&commit));
    expect(&answer, 200, "deployed");
    assert_eq!(
        answer.header("Content-Type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(answer.header("Cache-Control"), Some("no-store"));
    assert_eq!(
        (world.head(), world.submodule_head()),
        (commit.clone(), post)
    );
    assert_eq!(world.read("checkout/posts/second.md"), "two");
    assert_eq!(world.changes(), "");
    let seen = world.read("outside/seen");
    assert!(seen.contains(&format!("DEPLOY_NEW={commit}")), "{seen}");
    assert!(!seen.contains("HTTP_"), "{seen}");
    expect(
        &server.post(&world.push_delivery(&commit)),
        200,
        "unchanged",
    );

    let commit = world.push("three");
    let mut payload = world.payload(&commit);
    payload["commits"][0]["message"] = "x".repeat(20 * 1024 * 1024).into();
    let large = world.delivery("push", payload.to_string());
    expect(&server.post(&large), 200, "deployed");
    let large = large.signed_with(b"guess");
    expect(&server.post(&large), 403, "refused");
    assert_eq!(world.head(), commit);
}

/// What follows the script's name arrives with every server, but for those that docs/servers.md names.
fn the_page_and_what_is_below_it_are_shown(kind: Kind) {
    let mut world = World::new();
    world.key("status_page", "\"secret-link\"");
    let _handed = hand_over_for(kind, &mut world);
    let server = Server::start(kind, &world);
    let commit = world.push("two");
    expect(&server.post(&world.push_delivery(&commit)), 200, "deployed");
    world.settle();
    let key = page_key(SECRET);
    let browser = [("Accept".to_owned(), "text/html,*/*;q=0.8".to_owned())];
    let shown = |path: &str| server.request("GET", &format!("{path}?key={key}"), &browser);
    let page = shown("");
    assert_eq!(page.status, 200, "{page:#?}");
    assert!(
        page.body.contains("<h1 class=\"deployed\">Live</h1>"),
        "{page:#?}"
    );
    for (name, value) in [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Cache-Control", "no-store"),
        ("Referrer-Policy", "no-referrer"),
    ] {
        assert_eq!(page.header(name), Some(value));
    }
    let policy = page.header("Content-Security-Policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    expect(&server.request("GET", "?key=x", &browser), 200, "ready");
    let text = server.request("GET", &format!("?key={key}"), &[]);
    expect(&text, 200, "deployed");
    let json = shown("/status.json");
    let json: Value = serde_json::from_str(&json.body).unwrap();
    assert_eq!(json["live"]["commit"], commit);
    let badge = shown("/badge.svg");
    assert_eq!(badge.header("Content-Type"), Some("image/svg+xml"));
    assert_eq!(badge.header("Cache-Control"), Some("no-cache"));
    assert!(badge.body.contains("deployed"), "{badge:#?}");
    assert_eq!(shown("/other").status, 404);
    expect(&server.request("GET", "/other", &browser), 200, "ready");
}

fn what_is_not_ready_in_time_finishes_behind(kind: Kind) {
    let mut world = World::new();
    world.fake_git("pull", &Fault::Hold);
    let _handed = hand_over_for(kind, &mut world);
    world.key("wait", "\"200ms\"");
    let server = Server::start(kind, &world);
    let commit = world.push("two");
    expect(&server.post(&world.push_delivery(&commit)), 202, "accepted");
    assert_ne!(world.head(), commit);
    world.release();
    world.settle();
    assert_eq!(world.head(), commit);
}

fn a_client_that_hangs_up_does_not_stop_the_deploy(kind: Kind) {
    let mut world = World::new();
    world.key("on_update", "\"echo x >> ../outside/ran\"");
    world.fake_git("pull", &Fault::Hold);
    let _handed = hand_over_for(kind, &mut world);
    let server = Server::start(kind, &world);
    let commit = world.push("two");
    let sent = server.send(&world.push_delivery(&commit));
    world.wait_until_held();
    drop(sent);
    world.release();
    wait_until("on_update", || world.exists("outside/ran"));
    world.settle();
    assert_eq!(world.head(), commit);
    assert_eq!(world.history().len(), 1);
}

fn a_server_that_is_stopped_hard_does_not_stop_the_deploy(kind: Kind) {
    let mut world = World::new();
    world.key("on_update", "\"echo x >> ../outside/ran\"");
    world.fake_git("pull", &Fault::Hold);
    let _handed = hand_over_for(kind, &mut world);
    let server = Server::start(kind, &world);
    let commit = world.push("two");
    let _sent = server.send(&world.push_delivery(&commit));
    world.wait_until_held();
    // As `apachectl stop` ends it, or by SIGKILL to its process group.
    drop(server);
    assert_eq!(world.tickets(), 1, "the deploy is owed");
    world.release();
    wait_until("on_update", || world.exists("outside/ran"));
    world.settle();
    assert_eq!(world.head(), commit);
    assert_eq!(world.history().len(), 1);
}

#[test]
#[ignore = "needs lighttpd and curl: ./tests/run"]
fn the_readmes_requests_by_hand_are_answered() {
    let mut world = World::new();
    world.key("repository", "\"me/blog\"");
    let _program = hand_over(&mut world);
    let server = Server::start(Kind::Lighttpd, &world);
    let run = |block: &str| {
        let block = block.replace("https://example.org", &server.address());
        // As whom the site belongs to.
        let mut shell = if is_root() {
            let mut shell = world.clean("runuser");
            shell.args(["-u", "www-data", "--", "/bin/bash"]);
            shell
        } else {
            world.clean("/bin/bash")
        };
        shell
            .current_dir(world.path("cgi-bin"))
            .args(["-e", "-o", "pipefail", "-c", &block]);
        let spoken = Spoken::from(shell.output().unwrap());
        spoken.expect_exit(0);
        spoken.stdout
    };
    let pong = run(&block_with("curl -sS -H @- -H 'X-GitHub-Event: ping"));
    assert!(
        pong.starts_with("pong from deploy-cgi: a deploy would work"),
        "{pong}"
    );
    let commit = world.push("two");
    let deployed = run(&block_with("curl -sS -H @- -H 'X-GitHub-Event: push"));
    assert!(deployed.starts_with("deployed main"), "{deployed}");
    assert_eq!(world.head(), commit);
}

/// `Proxy:` becomes `HTTP_PROXY`, which programs obey; the rest is what git and shells would.
fn nothing_of_a_request_reaches_git_or_a_command(kind: Kind) {
    let mut world = World::new();
    world.fake_git("pull", &Fault::Note);
    world.key("on_update", "\"env > ../outside/seen\"");
    let _handed = hand_over_for(kind, &mut world);
    let server = Server::start(kind, &world);
    let commit = world.push("two");
    let more = [
        ("Proxy", "http://evil.example:1/"),
        ("Git-Dir", "evil"),
        ("GIT_DIR", "evil"),
        ("Authorization", "Bearer evil"),
        ("Cookie", "() { :; }; echo evil"),
        ("X-Forwarded-For", "evil"),
    ];
    let answer = server.send_with(&world.push_delivery(&commit), &more);
    expect(&answer.answer(), 200, "deployed");
    let of_requests = [
        "HTTP_", "GATEWAY_", "QUERY_", "REMOTE_", "SERVER_", "SCRIPT_", "REQUEST_",
    ];
    for seen in ["outside/seen", "fake/environment", "fake/arguments"] {
        let seen = world.read(seen);
        assert!(!seen.to_ascii_lowercase().contains("proxy"), "{seen}");
        assert!(!seen.contains("evil"), "{seen}");
        let foreign = |line: &str| of_requests.iter().any(|family| line.starts_with(family));
        assert!(!seen.lines().any(foreign), "{seen}");
    }
    assert!(
        world
            .read("fake/environment")
            .contains("GIT_TERMINAL_PROMPT=0")
    );
}

/// What the server makes of a header that came twice differs; that nothing is done unless all of
/// them are GitHub's does not.
fn a_header_that_comes_twice_lets_nobody_in(kind: Kind) {
    let mut world = World::new();
    world.key("on_update", "\"echo x >> ../outside/ran\"");
    let _handed = hand_over_for(kind, &mut world);
    let server = Server::start(kind, &world);
    let commit = world.push("two");
    let forged = sha256_signature(b"guess", b"{}");
    for name in ["X-Hub-Signature-256", "X_Hub_Signature_256"] {
        let unproved = world.push_delivery(&commit).signed_with(b"guess");
        let answer = server.send_with(&unproved, &[(name, &forged)]).answer();
        expect(&answer, 403, "refused");
    }
    let wrong = server.send_with(&world.ping_delivery(), &[("X-GitHub-Event", "push")]);
    let wrong = wrong.answer();
    assert!(matches!(wrong.status, 400), "{wrong:#?}");
    assert_eq!(wrong.first_word(), "refused");
    assert!(!world.exists("outside/ran"));
}

/// `mod_cgid` and fcgiwrap cut the answer of a program that did not read, now and then.
fn the_answer_to_a_large_body_always_arrives_whole(kind: Kind) {
    let mut world = World::new();
    let _handed = hand_over_for(kind, &mut world);
    world.key("max_body", "\"1MiB\"");
    let server = Server::start(kind, &world);
    for size in [1, 1000, 200_000, 3_000_000] {
        let body = || world.delivery("push", vec![b'x'; size]);
        for _ in 0..5 {
            let unsigned = server.post(&body().unsigned());
            let wrong = server.post(&body().signed_with(b"guess"));
            let compressed = server.send_with(&body(), &[("Content-Encoding", "gzip")]);
            let compressed = compressed.answer();
            let expected = if size > 1 << 20 {
                [413, 413, 413]
            } else {
                [403, 403, 415]
            };
            let got = [&unsigned, &wrong, &compressed].map(|answer| answer.status);
            assert_eq!(got, expected, "{size}");
            for answer in [unsigned, wrong, compressed] {
                assert_eq!(answer.first_word(), "refused", "{answer:#?}");
                assert!(answer.body.ends_with('\n'), "{answer:#?}");
            }
        }
    }
}

/// busybox cannot take a body in pieces: it hands over the pieces' frames with it, or none of it where they come later than
/// the head.
fn a_body_without_a_length_is_deployed_or_refused(kind: Kind) {
    let mut world = World::new();
    let _handed = hand_over_for(kind, &mut world);
    let server = Server::start(kind, &world);
    let commit = world.push("two");
    let sent = server.send_in_pieces(&world.push_delivery(&commit));
    if kind == Kind::LighttpdHttp2 {
        // An older one wants a length. That it says so with 411 does not always arrive.
        let is_taken = sent.bytes().starts_with(b"HTTP/2 200");
        assert_eq!(world.head() == commit, is_taken);
        return;
    }
    let answer = sent.answer();
    if kind == Kind::Busybox {
        assert!(matches!(answer.status, 400 | 403), "{answer:#?}");
        assert_eq!(answer.first_word(), "refused", "{answer:#?}");
        assert_ne!(world.head(), commit);
    } else {
        expect(&answer, 200, "deployed");
        assert_eq!(world.head(), commit);
    }
}

/// A client that leaves in the middle of its body.
fn half_a_body_does_nothing(kind: Kind) {
    let mut world = World::new();
    world.key("on_update", "\"echo x >> ../outside/ran\"");
    let _handed = hand_over_for(kind, &mut world);
    let server = Server::start(kind, &world);
    let commit = world.push("two");
    let before = world.head();
    let delivery = world.push_delivery(&commit);
    for _ in 0..3 {
        server.send_half(&delivery);
    }
    // They are all over when this one is.
    expect(&server.post(&world.ping_delivery()), 200, "pong");
    assert_eq!(world.head(), before);
    assert!(!world.exists("outside/ran"));
    assert_eq!(world.tickets(), 0);
}

/// The short form of the suite, for the ways in which a server can come to the program.
fn a_delivery_is_deployed_and_nothing_else_is(kind: Kind, route: Route) {
    let mut world = World::new();
    world.key("on_update", "\"echo x >> ../outside/ran\"");
    let _handed = hand_over_for(kind, &mut world);
    let server = Server::start_by(kind, route, &world);
    expect(&server.request("GET", "", &[]), 200, "ready");
    for query in [
        "?check",
        "?run",
        "?demo",
        "?--help",
        "?%2Fetc%2Fpasswd",
        "?a%3Db",
    ] {
        expect(&server.request("GET", query, &[]), 400, "refused");
    }
    for query in ["?a=b", "?run=1+%2Fetc%2Fpasswd", "?=+--help"] {
        expect(&server.request("GET", query, &[]), 200, "ready");
    }
    let commit = world.push("two");
    let unsigned = world.push_delivery(&commit).unsigned();
    expect(&server.post(&unsigned), 403, "refused");
    let wrong = world.push_delivery(&commit).signed_with(b"guess");
    expect(&server.post(&wrong), 403, "refused");
    assert!(!world.exists("outside/ran"));
    expect(&server.post(&world.push_delivery(&commit)), 200, "deployed");
    assert_eq!(world.head(), commit);
    assert_eq!(world.read("outside/ran"), "x\n");
    if route == Route::Symlink {
        // By either name it is the same site.
        let beside = world.path("beside.cgi");
        let redelivered = world.push_delivery(&commit).through(&beside).send();
        redelivered.expect(200, "unchanged");
    }
}

// ---- suexec ----

fn a_script_of_its_users_has_that_users_home(kind: Kind) {
    let mut world = World::new();
    world.key(
        "on_update",
        "\"(id -un; echo $HOME; echo $USER; pwd) > ../outside/seen\"",
    );
    let global = text(&world.path("home/.gitconfig"));
    let env = format!("{{ GIT_CONFIG_NOSYSTEM = \"1\", GIT_CONFIG_GLOBAL = \"{global}\" }}");
    world.key("env", &env);
    let handed = hand_over_for(kind, &mut world);
    let home = text(handed.home());
    let user = fs::metadata(handed.home()).unwrap();
    move_file(&world.path("secret.txt"), &handed.home().join("secret.txt"));
    world.key("secret_file", "\"~/secret.txt\"");
    let server = Server::start(kind, &world);
    let commit = world.push("two");
    expect(&server.post(&world.push_delivery(&commit)), 200, "deployed");
    let name = home.rsplit('/').next().unwrap().to_ascii_lowercase();
    let checkout = text(&world.checkout());
    assert_eq!(
        world.read("outside/seen"),
        format!("{name}\n{home}\n{name}\n{checkout}\n")
    );
    let written = fs::metadata(world.path("checkout/index.html")).unwrap();
    assert_eq!(owner(&written), owner(&user));
}

fn owner(file: &fs::Metadata) -> (u32, u32) {
    use std::os::unix::fs::MetadataExt;
    (file.uid(), file.gid())
}

/// suexec hands over 255 variables at most; what does not fit is left out.
fn a_flood_of_headers_decides_nothing(kind: Kind) {
    for route in [Route::SiteFile, Route::Binary] {
        let mut world = World::new();
        world.key("on_update", "\"echo x >> ../outside/ran\"");
        let _handed = hand_over_for(kind, &mut world);
        let server = Server::start_by(kind, route, &world);
        let commit = world.push("two");
        let before = world.head();
        let flood: Vec<(String, String)> = (0..400)
            .map(|number| (format!("X-Flood-{number}"), "x".to_owned()))
            .collect();
        for query in ["?%2Fetc%2Fpasswd", "?run", "?--help", "?demo"] {
            let answer = server.request("GET", query, &flood);
            expect(&answer, 400, "refused");
        }
        let flood: Vec<(&str, &str)> = flood
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let delivery = world.push_delivery(&commit);
        let answer = server.send_with(&delivery, &flood).answer();
        expect(&answer, 400, "refused");
        assert_eq!(world.head(), before);
        assert!(!world.exists("outside/ran"));
    }
}

/// One exact number of headers pushes the query out and leaves the method in.
fn no_number_of_headers_makes_a_request_of_a_query(kind: Kind) {
    let mut world = World::new();
    let _handed = hand_over_for(kind, &mut world);
    let server = Server::start(kind, &world);
    let mut said = Vec::new();
    for number in 200..=256 {
        let flood: Vec<(String, String)> = (0..number)
            .map(|number| (format!("X-Flood-{number}"), "x".to_owned()))
            .collect();
        let answer = server.request("GET", "?run", &flood);
        expect(&answer, 400, "refused");
        said.push(answer.body.contains("without `=`"));
    }
    // From the first number on that pushes it out, it is out.
    said.dedup();
    assert_eq!(said, [true, false]);
}

mod suexec {
    use super::{Kind, Route};

    #[test]
    #[ignore = "needs root and apache2-suexec-custom: ./tests/run"]
    fn a_script_of_its_users_has_that_users_home_with_mod_cgid() {
        super::a_script_of_its_users_has_that_users_home(Kind::ApacheEventSuexec);
    }

    #[test]
    #[ignore = "needs root and apache2-suexec-custom: ./tests/run"]
    fn a_script_of_its_users_has_that_users_home_with_mod_cgi() {
        super::a_script_of_its_users_has_that_users_home(Kind::ApachePreforkSuexec);
    }

    #[test]
    #[ignore = "needs root and apache2-suexec-custom: ./tests/run"]
    fn a_flood_of_headers_decides_nothing() {
        // The daemon of mod_cgid takes no such flood since Apache 2.4.69.
        super::a_flood_of_headers_decides_nothing(Kind::ApachePreforkSuexec);
    }

    #[test]
    #[ignore = "needs root and apache2-suexec-custom: ./tests/run"]
    fn no_number_of_headers_makes_a_request_of_a_query() {
        super::no_number_of_headers_makes_a_request_of_a_query(Kind::ApachePreforkSuexec);
    }

    #[test]
    #[ignore = "needs root and apache2-suexec-custom: ./tests/run"]
    fn a_wrapper_names_the_site() {
        super::a_delivery_is_deployed_and_nothing_else_is(
            Kind::ApachePreforkSuexec,
            Route::Wrapper,
        );
    }

    #[test]
    #[ignore = "needs root and apache2-suexec-custom: ./tests/run"]
    fn shared_hosting_works_as_the_readme_has_it() {
        super::shared_hosting_works_as_the_readme_has_it();
    }
}

fn shared_hosting_works_as_the_readme_has_it() {
    let world = World::new();
    let account = Account::make();
    let home = account.home.path();
    fs::set_permissions(world.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    for folder in ["bin", ".config/deploy-cgi", "public_html/cgi-bin"] {
        fs::create_dir_all(home.join(folder)).unwrap();
    }
    copy_program(&world.program, &home.join("bin/deploy-cgi"));
    let secret = home.join(".config/deploy-cgi/secret.txt");
    fs::write(&secret, "0123456789abcdefghijklmnopqrstuvwxyz0123\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let site = block_with("clone = \"https://github.com/me/blog.git\"")
        .replace(
            "https://github.com/me/blog.git",
            &world.origin.url("me/site.git"),
        )
        .replace("/home/me", &text(home));
    // Not a word of docs/servers.md, but the tests keep away from the host's git configuration.
    let site = format!("{site}\nwait = \"30s\"\nenv = {{ GIT_CONFIG_NOSYSTEM = \"1\" }}\n");
    let script = home.join("public_html/cgi-bin/deploy.cgi");
    write_executable(&script, &site);
    fs::write(
        home.join("public_html/cgi-bin/.htaccess"),
        block_with("Options +ExecCGI\nAddHandler"),
    )
    .unwrap();
    give(&account.name, home);
    let server = Server::start_shared_hosting(&world, &account);
    let signed =
        |delivery: Delivery| delivery.signed_with(b"0123456789abcdefghijklmnopqrstuvwxyz0123");

    expect(&server.request("GET", "", &[]), 200, "ready");
    let pong = server.post(&signed(world.ping_delivery()));
    expect(&pong, 200, "pong");
    let live = || fs::read_to_string(home.join("blog/index.html")).unwrap();
    assert_eq!(live(), "<h1>one</h1>\n");
    let commit = world.push("two");
    let answer = server.post(&signed(world.push_delivery(&commit)));
    expect(&answer, 200, "deployed");
    assert_eq!(live(), "two");

    // Without that line anybody could read all that was ever committed.
    let blog = format!("/~{}/blog", account.name);
    fs::rename(home.join("blog"), home.join("public_html/blog")).unwrap();
    assert_eq!(server.page(&format!("{blog}/.git/config")).status, 200);
    let closed = block_with("RedirectMatch 404");
    fs::write(home.join("public_html/.htaccess"), closed).unwrap();
    assert_eq!(server.page(&format!("{blog}/.git/config")).status, 404);
    assert_eq!(server.page(&format!("{blog}/index.html")).body, "two");
}

// ---- one server each ----

fn visitors_see_the_checkout_and_not_what_git_keeps(kind: Kind, status: u16) {
    let mut world = World::new();
    let _handed = hand_over(&mut world);
    let server = Server::start(kind, &world);
    assert_eq!(server.page("/checkout/index.html").status, 200);
    for path in [".git/config", ".git/HEAD", "posts/.git", ".gitmodules"] {
        let page = server.page(&format!("/checkout/{path}"));
        assert_eq!(page.status, status, "{path}: {page:#?}");
    }
}

#[test]
#[ignore = "needs lighttpd: ./tests/run"]
fn visitors_of_lighttpd_do_not_see_what_git_keeps() {
    visitors_see_the_checkout_and_not_what_git_keeps(Kind::Lighttpd, 403);
}

#[test]
#[ignore = "needs nginx and fcgiwrap: ./tests/run"]
fn visitors_of_nginx_do_not_see_what_git_keeps() {
    visitors_see_the_checkout_and_not_what_git_keeps(Kind::Nginx, 404);
}

#[test]
#[ignore = "needs nginx and fcgiwrap: ./tests/run"]
fn fcgiwrap_answers_others_while_one_deploy_runs() {
    let mut world = World::new();
    world.fake_git("pull", &Fault::Hold);
    let _handed = hand_over(&mut world);
    let server = Server::start(Kind::Nginx, &world);
    let commit = world.push("two");
    let first = server.send(&world.push_delivery(&commit));
    world.wait_until_held();
    expect(&server.request("GET", "", &[]), 200, "ready");
    world.release();
    expect(&first.answer(), 200, "deployed");
}

/// A push of as many commits as names of files are given, each with this message.
fn push_that_speaks_of(world: &World, commit: &str, message: &str, names: &[&str]) -> Value {
    let mut payload = world.payload(commit);
    let with_name = |name: &&str| json!({ "id": commit, "message": message, "added": [name], "removed": [], "modified": [] });
    payload["commits"] = names.iter().map(with_name).collect();
    payload
}

fn as_form(delivery: Delivery) -> Delivery {
    delivery.var("CONTENT_TYPE", "application/x-www-form-urlencoded")
}

#[test]
#[ignore = "needs libapache2-mod-security2 and modsecurity-crs: ./tests/run"]
fn apache_with_mod_security_refuses_pushes_unless_its_rules_are_off() {
    let mut world = World::new();
    let _handed = hand_over(&mut world);
    let commit = world.push("two");
    let push = |payload: &Value| world.delivery("push", payload.to_string());
    let form = |payload: &Value| {
        let pairs = [("payload", payload.to_string())];
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish();
        as_form(world.delivery("push", body))
    };
    let speaks_of =
        |message: &str, names: &[&str]| push_that_speaks_of(&world, &commit, message, names);
    let plain = speaks_of("A new page", &["index.html"]);
    let shell = speaks_of("Run `cat /etc/passwd | mail me`", &["a"]);
    let page = speaks_of("<script>alert(1)</script>", &["a"]);
    let php = speaks_of("<?php system($_GET['x']); ?>", &["a"]);
    let hidden = speaks_of("Redirect", &["public/.htaccess"]);
    let many = speaks_of("A new page", &["a"; 400]);
    let large = speaks_of(&"x".repeat(14 << 20), &["a"]);
    let of_a_form = speaks_of(&"x".repeat(200 << 10), &["a"]);
    let refused = [
        (push(&shell), 403),
        (form(&shell), 403),
        (push(&page), 403),
        (push(&php), 403),
        (push(&hidden), 403),
        (push(&many), 400),
        (form(&of_a_form), 413),
        (push(&large), 413),
    ];

    let rules = core_rule_set(&world);
    let server = Server::start_apache_with(&world, &rules);
    expect(&server.post(&world.ping_delivery()), 200, "pong");
    for (delivery, status) in &refused {
        let answer = server.post(delivery);
        assert_eq!(answer.status, *status, "{answer:#?}");
        assert!(answer.body.starts_with("<!DOCTYPE HTML"), "{answer:#?}");
    }
    assert_ne!(world.head(), commit);
    expect(&server.post(&push(&plain)), 200, "deployed");
    drop(server);

    let rules = rules + &block_with("SecRuleEngine Off");
    let server = Server::start_apache_with(&world, &rules);
    for (delivery, _) in &refused {
        expect(&server.post(delivery), 200, "unchanged");
    }
    let scan = server.page("/token.txt?x=/etc/passwd");
    assert_eq!(scan.status, 403, "the rest of the site stays as it was");
}

#[test]
#[ignore = "needs apache2: ./tests/run"]
fn apaches_limit_of_a_body_is_raised_beside_the_script() {
    let mut world = World::new();
    let _handed = hand_over(&mut world);
    let commit = world.push("two");
    let speaking = push_that_speaks_of(&world, &commit, &"x".repeat(20 << 20), &["a"]);
    let large = world.delivery("push", speaking.to_string());
    let limit = format!(
        "LimitRequestBody 1000\n<Directory {}>\nAllowOverride All\n</Directory>\n",
        quoted(&text(&world.path("cgi-bin")))
    );
    let server = Server::start_apache_with(&world, &limit);
    let answer = server.post(&large);
    assert_eq!(answer.status, 413, "{answer:#?}");
    assert!(answer.body.starts_with("<!DOCTYPE HTML"), "{answer:#?}");
    let raised = block_with("LimitRequestBody");
    fs::write(world.path("cgi-bin/.htaccess"), raised).unwrap();
    expect(&server.post(&large), 200, "deployed");
}

/// The length that it announces is that of the compressed body.
#[test]
#[ignore = "needs apache2 and gzip: ./tests/run"]
fn the_answer_to_a_body_that_apache_decompressed_arrives_whole() {
    let mut world = World::new();
    let _handed = hand_over(&mut world);
    let server = Server::start_apache_with(
        &world,
        "LoadModule deflate_module /usr/lib/apache2/modules/mod_deflate.so\n\
         <Location /cgi-bin>\nSetInputFilter DEFLATE\n</Location>\n",
    );
    let commit = world.push("two");
    expect(&server.post(&world.push_delivery(&commit)), 200, "deployed");
    // What inflates more than 200-fold is refused by Apache.
    let numbers = (0..400_000_u32).map(|number| number.wrapping_mul(0x9e37_79b9));
    let noise: Vec<u8> = numbers.flat_map(u32::to_le_bytes).collect();
    for body in [b"{}".as_slice(), &noise] {
        let plain = world.path("body");
        fs::write(&plain, body).unwrap();
        let mut gzip = world.clean("gzip");
        let compressed = gzip.arg("-c").arg(&plain).output().unwrap().stdout;
        let delivery = world.delivery("push", compressed);
        for _ in 0..10 {
            let sent = server.send_with(&delivery, &[("Content-Encoding", "gzip")]);
            let answer = sent.answer();
            expect(&answer, 415, "refused");
            assert!(answer.body.ends_with('\n'), "{answer:#?}");
        }
    }
}

macro_rules! through {
    ($($name:ident: $kind:expr, $needs:literal;)*) => {$(
        mod $name {
            use super::Kind;

            #[test]
            #[ignore = $needs]
            fn every_request_is_answered() {
                super::every_request_is_answered($kind);
            }

            #[test]
            #[ignore = $needs]
            fn the_page_and_what_is_below_it_are_shown() {
                super::the_page_and_what_is_below_it_are_shown($kind);
            }

            #[test]
            #[ignore = $needs]
            fn what_is_not_ready_in_time_finishes_behind() {
                super::what_is_not_ready_in_time_finishes_behind($kind);
            }

            #[test]
            #[ignore = $needs]
            fn a_client_that_hangs_up_does_not_stop_the_deploy() {
                super::a_client_that_hangs_up_does_not_stop_the_deploy($kind);
            }

            #[test]
            #[ignore = $needs]
            fn a_server_that_is_stopped_hard_does_not_stop_the_deploy() {
                super::a_server_that_is_stopped_hard_does_not_stop_the_deploy($kind);
            }

            #[test]
            #[ignore = $needs]
            fn nothing_of_a_request_reaches_git_or_a_command() {
                super::nothing_of_a_request_reaches_git_or_a_command($kind);
            }

            #[test]
            #[ignore = $needs]
            fn a_header_that_comes_twice_lets_nobody_in() {
                super::a_header_that_comes_twice_lets_nobody_in($kind);
            }

            #[test]
            #[ignore = $needs]
            fn the_answer_to_a_large_body_always_arrives_whole() {
                super::the_answer_to_a_large_body_always_arrives_whole($kind);
            }

            #[test]
            #[ignore = $needs]
            fn a_body_without_a_length_is_deployed_or_refused() {
                super::a_body_without_a_length_is_deployed_or_refused($kind);
            }

            #[test]
            #[ignore = $needs]
            fn half_a_body_does_nothing() {
                super::half_a_body_does_nothing($kind);
            }
        }
    )*};
}

through! {
    apache_event_with_mod_cgid: Kind::ApacheEvent, "needs apache2: ./tests/run";
    apache_prefork_with_mod_cgi: Kind::ApachePrefork, "needs apache2: ./tests/run";
    suexec_apache_event: Kind::ApacheEventSuexec,
        "needs root and apache2-suexec-custom: ./tests/run";
    suexec_apache_prefork: Kind::ApachePreforkSuexec,
        "needs root and apache2-suexec-custom: ./tests/run";
    apache_with_fcgiwrap: Kind::ApacheProxy, "needs apache2 and fcgiwrap: ./tests/run";
    apache_with_mod_fcgid: Kind::ApacheFcgid,
        "needs libapache2-mod-fcgid and fcgiwrap: ./tests/run";
    caddy_with_fcgiwrap: Kind::Caddy, "needs caddy and fcgiwrap: ./tests/run";
    civetweb: Kind::Civetweb, "needs civetweb: ./tests/run";
    lighttpd: Kind::Lighttpd, "needs lighttpd: ./tests/run";
    lighttpd_that_names_the_program: Kind::LighttpdAssign, "needs lighttpd: ./tests/run";
    nginx_with_fcgiwrap: Kind::Nginx, "needs nginx and fcgiwrap: ./tests/run";
    nginx_with_fcgiwrap_as_packaged: Kind::NginxStock, "needs nginx and fcgiwrap: ./tests/run";
    nginx_with_uwsgi: Kind::NginxUwsgi, "needs nginx and uwsgi-core: ./tests/run";
    busybox: Kind::Busybox, "needs busybox: ./tests/run";
    h2o: Kind::H2o, "needs h2o: ./tests/run";
    lighttpd_over_http2: Kind::LighttpdHttp2, "needs lighttpd and curl: ./tests/run";
    nginx_over_http2: Kind::NginxHttp2, "needs nginx, fcgiwrap and curl: ./tests/run";
    apache_with_mod_security: Kind::ApacheModSecurity,
        "needs libapache2-mod-security2 and modsecurity-crs: ./tests/run";
    php: Kind::Php, "needs php-cli: ./tests/run";
    nginx_with_php: Kind::NginxPhp, "needs nginx and php-cgi: ./tests/run";
}

macro_rules! by {
    ($($name:ident: $kind:expr, $route:expr, $needs:literal;)*) => {
        mod by {
            use super::{Kind, Route, a_delivery_is_deployed_and_nothing_else_is};
$(
            #[test]
            #[ignore = $needs]
            fn $name() {
                a_delivery_is_deployed_and_nothing_else_is($kind, $route);
            }
)*
        }
    };
}

by! {
    an_htaccess: Kind::ApacheEvent, Route::Htaccess, "needs apache2: ./tests/run";
    a_link_on_apache_event: Kind::ApacheEvent, Route::Symlink, "needs apache2: ./tests/run";
    a_link_on_apache_prefork: Kind::ApachePrefork, Route::Symlink, "needs apache2: ./tests/run";
    a_link_on_lighttpd: Kind::Lighttpd, Route::Symlink, "needs lighttpd: ./tests/run";
    a_link_on_nginx: Kind::Nginx, Route::Symlink, "needs nginx and fcgiwrap: ./tests/run";
    a_link_on_busybox: Kind::Busybox, Route::Symlink, "needs busybox: ./tests/run";
    the_binary_on_apache_event: Kind::ApacheEvent, Route::Binary, "needs apache2: ./tests/run";
    the_binary_on_apache_prefork: Kind::ApachePrefork, Route::Binary, "needs apache2: ./tests/run";
    the_binary_on_lighttpd: Kind::Lighttpd, Route::Binary, "needs lighttpd: ./tests/run";
    the_binary_on_nginx: Kind::Nginx, Route::Binary, "needs nginx and fcgiwrap: ./tests/run";
    the_binary_on_busybox: Kind::Busybox, Route::Binary, "needs busybox: ./tests/run";
    a_wrapper_on_apache_event: Kind::ApacheEvent, Route::Wrapper, "needs apache2: ./tests/run";
    a_wrapper_on_apache_prefork: Kind::ApachePrefork, Route::Wrapper, "needs apache2: ./tests/run";
    a_wrapper_on_lighttpd: Kind::Lighttpd, Route::Wrapper, "needs lighttpd: ./tests/run";
    a_wrapper_on_nginx: Kind::Nginx, Route::Wrapper, "needs nginx and fcgiwrap: ./tests/run";
    a_wrapper_on_busybox: Kind::Busybox, Route::Wrapper, "needs busybox: ./tests/run";
}
