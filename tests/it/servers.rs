//! The same requests through every web server that has CGI: Apache, lighttpd, civetweb, busybox httpd, and nginx,
//! Apache and Caddy with fcgiwrap.
//!
//! Run by root, the servers start as root and answer as www-data, as on a host; run by
//! anybody else they answer as that person.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::docs::block_with;
use crate::http::Answer;
use crate::server::{
    Account, Kind, Route, Server, copy_program, give, hand_over, hand_over_for, move_file,
};
use crate::world::{
    Delivery, Fault, NOWHERE, Spoken, World, sha256_signature, text, wait_until, write_executable,
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
        let mut shell = world.clean("/bin/bash");
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

/// busybox cannot take a body in pieces: it hands over the pieces' frames with it.
fn a_body_without_a_length_is_deployed_or_refused(kind: Kind) {
    let mut world = World::new();
    let _handed = hand_over_for(kind, &mut world);
    let server = Server::start(kind, &world);
    let commit = world.push("two");
    let answer = server
        .send_in_pieces(&world.push_delivery(&commit))
        .answer();
    if kind == Kind::Busybox {
        expect(&answer, 403, "refused");
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
