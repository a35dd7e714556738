//! The same requests through real Apache and real lighttpd.
//!
//! Run by root, the servers start as root and answer as www-data, as on a host; run by
//! anybody else they answer as that person.

use crate::docs::block_with;
use crate::http::Answer;
use crate::server::{Kind, Server, hand_over};
use crate::world::{Fault, NOWHERE, Spoken, World, wait_until};

#[track_caller]
fn expect(answer: &Answer, status: u16, first_word: &str) {
    let got = (answer.status, answer.first_word());
    assert_eq!(got, (status, first_word), "{answer:#?}");
}

fn every_request_is_answered(kind: Kind) {
    let mut world = World::new();
    world.key("on_update", "\"env > ../outside/seen\"");
    let _program = hand_over(&mut world);
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
    expect(&answer, 405, "refused");
    assert_eq!(answer.header("Allow"), Some("GET, HEAD, POST"));
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
    let _program = hand_over(&mut world);
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
    let _program = hand_over(&mut world);
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
        }
    )*};
}

through! {
    apache_event_with_mod_cgid: Kind::ApacheEvent, "needs apache2: ./tests/run";
    apache_prefork_with_mod_cgi: Kind::ApachePrefork, "needs apache2: ./tests/run";
    lighttpd: Kind::Lighttpd, "needs lighttpd: ./tests/run";
}
