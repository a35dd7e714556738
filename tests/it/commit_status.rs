//! Commit statuses: what GitHub is sent, when, and what becomes known of that.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::docs::block_with;
use crate::process::{kill, processes, wait_until_quiet};
use crate::tree::paths_below;
use crate::world::{
    DELIVERY, Fault, World, quoted, search_path, text, wait_until, write_executable,
};

const TOKEN: &str = "github_pat_11ABCDEFG0123456789_abcdefghijkl";

/// An answer that never comes.
const HANG: &str = "hang";

/// The request arrives, and the connection is cut.
const DROP: &str = "drop";

const CREATED: &str = "201 Created\n|{\"id\":1,\"state\":\"success\"}";

#[derive(Clone, Debug, PartialEq)]
struct Request {
    line: String,
    headers: Vec<String>,
    body: Value,
}

/// An API on the loopback address that gives its answers one after the other, and then takes whatever comes.
struct Api {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    answers: Arc<Mutex<VecDeque<String>>>,
    hung: Arc<Mutex<Vec<TcpStream>>>,
}

impl Api {
    fn answering(answers: &[&str]) -> Api {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let api = Api {
            port: listener.local_addr().unwrap().port(),
            requests: Arc::default(),
            answers: Arc::new(Mutex::new(answers.iter().map(|&a| a.to_owned()).collect())),
            hung: Arc::default(),
        };
        let (requests, answers) = (Arc::clone(&api.requests), Arc::clone(&api.answers));
        let hung = Arc::clone(&api.hung);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = read(&stream) else {
                    continue;
                };
                let answer = answers.lock().unwrap().pop_front();
                let answer = answer.unwrap_or_else(|| CREATED.to_owned());
                if answer == DROP {
                    requests.lock().unwrap().push(request);
                    continue;
                }
                if answer == HANG {
                    hung.lock().unwrap().push(stream);
                    requests.lock().unwrap().push(request);
                    continue;
                }
                requests.lock().unwrap().push(request);
                let (head, body) = answer.split_once('|').unwrap_or((&answer, ""));
                let head = head.trim_end().replace('\n', "\r\n");
                let answer = format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n{body}");
                // Whoever asked may have left.
                let _left = stream.write_all(answer.as_bytes());
            }
        });
        api
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The states that were sent, and of which commits.
    fn states(&self) -> Vec<(String, String)> {
        let requests = self.requests();
        let state = |request: &Request| {
            let path = request.line.split(' ').nth(1).unwrap();
            let commit = path.rsplit('/').next().unwrap().to_owned();
            (request.body["state"].as_str().unwrap().to_owned(), commit)
        };
        requests.iter().map(state).collect()
    }

    #[track_caller]
    fn expect_states(&self, expected: &[(&str, &str)]) {
        let states = self.states();
        let states: Vec<_> = states
            .iter()
            .map(|(a, b)| (a.as_str(), b.as_str()))
            .collect();
        assert_eq!(states, expected);
    }

    /// Answers whoever still waits for an answer.
    fn let_go(&self) {
        for mut stream in self.hung.lock().unwrap().drain(..) {
            let answer = "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}";
            let _left = stream.write_all(answer.as_bytes());
            let _left = stream.shutdown(Shutdown::Both);
        }
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let line = head.first()?.clone();
    let headers = head.split_off(1);
    let length = headers.iter().find_map(|header| {
        let (name, value) = header.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.parse().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        line,
        headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    })
}

fn token_file(world: &World) -> std::path::PathBuf {
    world.path("token.txt")
}

/// A world that posts its statuses, wherever its deliveries say.
fn world_with_a_token() -> World {
    let mut world = World::new();
    fs::write(token_file(&world), format!("{TOKEN}\n")).unwrap();
    fs::set_permissions(token_file(&world), fs::Permissions::from_mode(0o600)).unwrap();
    let file = quoted(&text(&token_file(&world)));
    world.key("github_token_file", &file);
    world
}

fn world_of(api: &Api) -> World {
    let mut world = world_with_a_token();
    world.key("github_api", &quoted(&api.url()));
    world
}

/// Waits until nothing more is sent.
#[track_caller]
fn quiet(world: &World) {
    world.settle();
    wait_until_quiet(world);
}

/// What became known of the newest deploy.
#[track_caller]
fn remarks(world: &World) -> Vec<String> {
    quiet(world);
    let all: Value = serde_json::from_str(&world.verb(&["status", "--json"]).stdout).unwrap();
    let remarks = all["deploys"][0]["remarks"].as_array().cloned();
    let remarks = remarks.unwrap_or_default().into_iter();
    remarks
        .map(|words| words.as_str().unwrap().to_owned())
        .collect()
}

#[track_caller]
fn deploy(world: &World, content: &str) -> String {
    let commit = world.push(content);
    world.push_delivery(&commit).send().expect(200, "deployed");
    commit
}

#[test]
#[ignore = "needs curl: ./tests/run"]
fn a_deploy_is_posted_once_and_everybody_who_asks_is_told() {
    let api = Api::answering(&[]);
    let mut world = world_of(&api);
    world.key("live", "\"https://example.org/\"");
    world.key("live", &quoted(&format!("{}/live", api.url())));
    world.key("github_context", "\"deploy/example.org\"");
    let before = world.head();
    let commit = world.push("two");
    // The site answers well, too: it is the same server here, asked first.
    world.push_delivery(&commit).send().expect(200, "deployed");
    let posted = format!("commit status: posted success for {}", &commit[..7]);
    assert_eq!(remarks(&world), [posted.as_str()]);
    let requests = api.requests();
    assert_eq!(requests[0].line, "GET /live HTTP/1.1");
    let [_, posting] = requests.as_slice() else {
        panic!("{requests:#?}")
    };
    assert_eq!(
        posting.line,
        format!("POST /repos/me/site/statuses/{commit} HTTP/1.1")
    );
    let mut headers = posting.headers.clone();
    headers.retain(|header| !header.starts_with("User-Agent: curl/"));
    headers.retain(|header| !header.starts_with("Content-Length: "));
    headers.sort();
    let host = format!("Host: 127.0.0.1:{}", api.port);
    assert_eq!(
        headers,
        [
            "Accept: application/vnd.github+json",
            &format!("Authorization: Bearer {TOKEN}"),
            "Content-Type: application/json",
            &host,
            "X-GitHub-Api-Version: 2022-11-28",
        ]
    );
    assert_eq!(
        posting.body,
        json!({
            "state": "success",
            "description": format!("deployed main {}..{}, 1 commit", &before[..7], &commit[..7]),
            "context": "deploy/example.org",
            "target_url": format!("{}/live", api.url()),
        })
    );
    let later = format!("\nlater: {posted}\n");
    world.verb(&["status", DELIVERY]).says(&later);
    world.verb(&["check"]).says(&format!(
        "ok       commit status posted success for {}",
        &commit[..7]
    ));
    world.ping_delivery().send().says(&later);
    let again = world.push_delivery(&commit).send();
    again.expect(200, "unchanged");
    again.says(&later);
    quiet(&world);
    assert_eq!(api.requests().len(), 2, "the same is not posted again");
    assert!(remarks(&world).is_empty());
}

#[test]
#[ignore = "needs curl: ./tests/run"]
fn another_outcome_of_the_same_commit_is_posted() {
    let api = Api::answering(&[]);
    let mut world = world_of(&api);
    world.key("on_update", "\"exit 3\"");
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(500, "failed");
    quiet(&world);
    world.push_delivery(&commit).send().expect(500, "failed");
    quiet(&world);
    world.key("on_update", "\"true\"");
    world.push_delivery(&commit).send().expect(200, "deployed");
    quiet(&world);
    // What a push cannot mend is the host's own fault.
    world.git(&world.checkout(), &["checkout", "-q", "--detach"]);
    world.push_delivery(&commit).send().expect(500, "failed");
    quiet(&world);
    api.expect_states(&[
        ("failure", &commit),
        ("success", &commit),
        ("error", &commit),
    ]);
    let [failure, _, error] = &api.requests()[..] else {
        panic!()
    };
    assert_eq!(
        failure.body,
        json!({
            "state": "failure",
            "description": "failed at on_update: the command ended with exit code 3; the new files are in place, the \
                            command is run again with the next deploy",
            "context": "deploy",
        })
    );
    let said = error.body["description"].as_str().unwrap();
    assert!(
        said.starts_with("failed at start: ") && said.len() <= 140,
        "{said}"
    );
    world.git(&world.checkout(), &["checkout", "-q", "main"]);
}

#[test]
#[ignore = "needs curl: ./tests/run"]
fn what_takes_longer_than_the_wait_is_pending_and_that_has_ended_before_the_end_is_posted() {
    let api = Api::answering(&[HANG]);
    let mut world = world_of(&api);
    world.key("wait", "\"0s\"");
    world.fake_git("pull", &Fault::Hold);
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(202, "accepted");
    world.wait_until_held();
    wait_until("the pending status", || !api.requests().is_empty());
    world.release();
    wait_until("the outcome", || !world.history().is_empty());
    world.settle();
    api.expect_states(&[("pending", &commit)]);
    let pending = api.requests()[0].body.clone();
    assert_eq!(
        pending,
        json!({ "state": "pending", "description": "the deploy is running", "context": "deploy" })
    );
    api.let_go();
    quiet(&world);
    api.expect_states(&[("pending", &commit), ("success", &commit)]);
    // With a longer wait the result comes first.
    world.key("wait", "\"30s\"");
    let second = deploy(&world, "three");
    quiet(&world);
    assert_eq!(api.states()[2..], [("success".to_owned(), second)]);
}

#[test]
#[ignore = "needs curl: ./tests/run"]
fn several_are_pending_at_once_and_none_of_a_killed_worker_arrives_last() {
    let api = Api::answering(&[HANG]);
    let mut world = world_of(&api);
    world.key("wait", "\"0s\"");
    world.fake_git("pull", &Fault::Hold);
    let commits = ["two", "three", "four"].map(|content| {
        let commit = world.push(content);
        let status = world.push_delivery(&commit).send().status;
        assert_eq!(status, 202);
        commit
    });
    let [first, second, third] = &commits;
    wait_until("the pending status", || !api.requests().is_empty());
    let (git, worker) = world.held();
    kill(&worker);
    kill(&git);
    // The next in line serves all three. While curl posts for the dead one, nobody else does.
    let held = || fs::read_to_string(world.path("fake/reached")).unwrap_or_default();
    wait_until("the next deploy", || held().lines().count() == 2);
    api.expect_states(&[("pending", first)]);
    api.let_go();
    world.release();
    quiet(&world);
    let states = api.states();
    let of = |commit: &String| {
        let states = states.iter().filter(|(_, of)| of == commit);
        states.map(|(state, _)| state.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(of(first), ["pending", "success"], "{states:?}");
    for commit in [second, third] {
        assert_eq!(of(commit).last(), Some(&"success"), "{states:?}");
    }
}

#[test]
#[ignore = "needs curl: ./tests/run"]
fn all_that_take_long_are_pending() {
    let api = Api::answering(&[]);
    let mut world = world_of(&api);
    world.key("wait", "\"0s\"");
    // Somebody deploys, and nobody can post: so these three are served together.
    fs::create_dir_all(world.state("queue")).unwrap();
    let turn = fs::File::create(world.state("turn")).unwrap();
    turn.lock().unwrap();
    let mut commits = ["two", "three", "four"].map(|content| {
        let commit = world.push(content);
        let status = world.push_delivery(&commit).send().status;
        assert_eq!(status, 202);
        commit
    });
    drop(turn);
    quiet(&world);
    commits.reverse();
    let all = ["pending", "success"]
        .map(|state| commits.each_ref().map(|commit| (state, commit.as_str())));
    api.expect_states(&all.concat());
}

#[test]
#[ignore = "needs curl: ./tests/run"]
fn no_deploy_waits_for_an_api_that_hangs_and_a_later_outcome_is_posted_last() {
    let api = Api::answering(&[HANG]);
    let world = world_of(&api);
    let first = deploy(&world, "two");
    wait_until("the first status", || !api.requests().is_empty());
    // Nobody has let go of the first one: this is deployed all the same, and the same commit brought again, too.
    let second = deploy(&world, "three");
    world.push_delivery(&first).send().expect(200, "unchanged");
    assert_eq!(api.requests().len(), 1);
    api.let_go();
    quiet(&world);
    let states = api.states();
    assert_eq!(states.len(), 2, "{states:?}");
    assert_eq!(states[1], ("success".to_owned(), second));
}

#[test]
#[ignore = "needs curl: ./tests/run"]
fn an_api_that_never_answers_is_given_up() {
    let api = Api::answering(&[HANG]);
    let world = world_of(&api);
    let commit = deploy(&world, "two");
    let [remark] = &remarks(&world)[..] else {
        panic!()
    };
    let begins = format!(
        "commit status of {} was not posted: {}/repos/me/site/statuses/{commit} does not answer: Operation timed out",
        &commit[..7],
        api.url()
    );
    assert!(remark.starts_with(&begins), "{remark}");
    // A redelivery tries again.
    world.push_delivery(&commit).send().expect(200, "unchanged");
    quiet(&world);
    api.expect_states(&[("success", &commit), ("success", &commit)]);
}

/// GitHub may show what was sent and not answered: then what it showed before is no reason to send nothing.
#[test]
#[ignore = "needs curl: ./tests/run"]
fn what_may_have_arrived_is_posted_over() {
    let api = Api::answering(&[CREATED, DROP]);
    let world = world_of(&api);
    let commit = deploy(&world, "two");
    quiet(&world);
    world.git(&world.checkout(), &["checkout", "-q", "--detach"]);
    world.push_delivery(&commit).send().expect(500, "failed");
    assert!(remarks(&world)[0].contains("does not answer: Empty reply from server"));
    world.git(&world.checkout(), &["checkout", "-q", "main"]);
    world.push_delivery(&commit).send().expect(200, "unchanged");
    quiet(&world);
    api.expect_states(&[
        ("success", &commit),
        ("error", &commit),
        ("success", &commit),
    ]);
}

/// A curl first on `path` that writes down what it is told, and then is the real one.
fn recording_curl(world: &mut World) {
    let folder = world.path("spy");
    fs::create_dir_all(&folder).unwrap();
    let path = search_path();
    let mut places = path.split(':').map(|folder| Path::new(folder).join("curl"));
    let real = places.find(|curl| curl.exists()).expect("curl");
    write_executable(
        &folder.join("curl"),
        &format!(
            "#!/bin/sh\nhere=\"${{0%/*}}\"\nprintf '%s\\n' \"$@\" >>\"$here/arguments\"\n\
             /usr/bin/env >>\"$here/environment\"\n/usr/bin/tee -a \"$here/options\" | '{}' \"$@\"\n",
            text(&real)
        ),
    );
    let path = format!("{}:{}", text(&folder), search_path());
    world.key("path", &quoted(&path));
}

#[test]
#[ignore = "needs curl: ./tests/run"]
fn the_token_is_on_no_command_line_and_in_no_output_or_file_but_its_own() {
    let echoed = format!("401 Unauthorized\n|{{\"message\":\"Bad credentials: {TOKEN}\"}}");
    let api = Api::answering(&[
        &echoed,
        &format!("302 Found\nLocation: https://evil.example/{TOKEN}"),
    ]);
    let mut world = world_of(&api);
    recording_curl(&mut world);
    world.key("on_update", "\"cat ../token.txt; exit 3\"");
    let commit = world.push("two");
    let failed = world.push_delivery(&commit).send();
    failed.expect(500, "failed");
    quiet(&world);
    let again = world.push_delivery(&commit).send();
    quiet(&world);
    let mut said = vec![failed.body, again.body, world.ping_delivery().send().body];
    for words in [
        &["status", DELIVERY][..],
        &["check"],
        &["status", "--json"],
        &["run"],
    ] {
        said.push(world.verb(words).all());
    }
    quiet(&world);
    let told = &said[5];
    assert!(
        told.contains("Bad credentials: ***") && told.contains("evil.example/***"),
        "{told}"
    );
    for said in said {
        assert!(!said.contains(TOKEN), "{said}");
    }
    assert!(world.read("spy/options").contains(TOKEN), "it was sent");
    assert_eq!(
        world
            .read("spy/arguments")
            .lines()
            .collect::<std::collections::BTreeSet<_>>(),
        ["-q", "--config", "-"].into()
    );
    // The log of what the person's own command printed is that: see docs/security.md.
    let its_own = [
        "token.txt",
        "spy/options",
        "checkout/.git/deploy-cgi/on_update.log",
    ];
    let its_own = its_own.map(|name| world.path(name));
    for file in paths_below(&world.path(""), |_| true) {
        let is_other = file.is_file() && !its_own.contains(&file);
        let found = is_other && fs::read(&file).is_ok_and(|bytes| has(&bytes, TOKEN.as_bytes()));
        assert!(!found, "{}", file.display());
    }
}

fn has(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|part| part == word)
}

#[test]
#[ignore = "needs curl: ./tests/run"]
fn what_github_answers_is_explained() {
    for (answer, expected) in [
        (
            "401 Unauthorized\n|{\"message\":\"Bad credentials\"}",
            "401 \"Bad credentials\": the token is wrong, has expired or was revoked: write a new one into `github_token_file`",
        ),
        (
            "403 Forbidden\nX-Accepted-GitHub-Permissions: statuses=write\n|{\"message\":\"Resource not accessible by \
             personal access token\"}",
            "403 \"Resource not accessible by personal access token\": the token may not do that: give it the repository \
             permission \"Commit statuses: Read and write\" (a classic token: `repo:status`) (asked for: statuses=write)",
        ),
        (
            "403 Forbidden\nretry-after: 61\n|{\"message\":\"You have exceeded a secondary rate limit.\"}",
            "403 \"You have exceeded a secondary rate limit.\": GitHub limits how much is asked for: press Redeliver in 2 min",
        ),
        (
            "429 Too Many Requests\nx-ratelimit-remaining: 0\nx-ratelimit-reset: 1\n|",
            "429: GitHub limits how much is asked for: press Redeliver in 1 min",
        ),
        (
            "404 Not Found\n|{\"message\":\"Not Found\"}",
            "404 \"Not Found\": there is no such repository, or not for this token",
        ),
        (
            "422 No\n|{\"message\":\"No commit found for SHA: 1\"}",
            "422 \"No commit found for SHA: 1\": the repository does not have this commit (any more)",
        ),
        (
            "422 No\n|{\"message\":\"Validation Failed\",\"errors\":[{\"message\":\"This SHA and context has reached the \
             maximum number of statuses.\"}]}",
            "422 \"Validation Failed: This SHA and context has reached the maximum number of statuses.\": a commit takes \
             1000 statuses of a name",
        ),
        (
            "422 No\n|{\"message\":\"Validation Failed\",\"errors\":[{\"field\":\"description\",\"message\":\"description is \
             too long (maximum is 140 characters)\"}]}",
            "422 \"Validation Failed: description is too long (maximum is 140 characters)\": a text is too long",
        ),
        (
            "422 No\n|{\"message\":\"Invalid\",\"errors\":[\"a word\", 1, {\"message\":[]}, {\"message\":\"another\"}]}",
            "422 \"Invalid: a word: another\": the commit is not there",
        ),
        (
            "422 No\n|{\"message\":\"Invalid\",\"errors\":\"a word\"}",
            "422 \"Invalid: a word\": the commit is not there",
        ),
        (
            "422 No\n|{\"message\":\"sha must be a 40 character SHA1\"}",
            "422 \"sha must be a 40 character SHA1\": GitHub takes",
        ),
        (
            "500 No\n|<html>\u{1b}[2J",
            "500: GitHub has trouble of its own: press Redeliver later",
        ),
        (
            "200 OK\n|<html>",
            "200: GitHub makes a status with 201; is http://127.0.0.1:",
        ),
        (
            "400 No\n|{\"message\":\"a \u{202e}\\u001b[2J\\nb\"}",
            "400 \"a \\u{202e}\\u{1b}[2J\\nb\": GitHub makes",
        ),
    ] {
        let api = Api::answering(&[answer]);
        let world = world_of(&api);
        let commit = deploy(&world, "two");
        let [remark] = &remarks(&world)[..] else {
            panic!("{answer}")
        };
        let begins = format!(
            "commit status of {} was not posted: {expected}",
            &commit[..7]
        );
        assert!(remark.starts_with(&begins), "{remark}\n{begins}");
        let check = world.verb(&["check"]);
        check.expect_exit(0);
        check.says(&format!("warning  commit status {remark}"));
    }
}

#[test]
#[ignore = "needs curl: ./tests/run"]
fn an_answer_without_end_is_read_at_its_beginning() {
    let much = format!("500 No\n|{}", "x".repeat(10 << 20));
    let api = Api::answering(&[&much]);
    let world = world_of(&api);
    deploy(&world, "two");
    let remarks = remarks(&world);
    assert!(
        remarks[0].contains("was not posted: 500: GitHub has"),
        "{remarks:?}"
    );
    let size = fs::metadata(world.state("history.jsonl")).unwrap().len();
    assert!(size < 4096, "{size}");
}

#[test]
#[ignore = "needs curl: ./tests/run"]
fn a_redirect_is_followed_as_a_post_and_never_to_another_host() {
    let api = Api::answering(&[
        "307 Moved\nLocation: /repositories/1/statuses/x?a=b",
        "301 Moved\nLocation: y",
    ]);
    let world = world_of(&api);
    let commit = deploy(&world, "two");
    quiet(&world);
    let requests = api.requests();
    let lines: Vec<_> = requests
        .iter()
        .map(|request| request.line.as_str())
        .collect();
    assert_eq!(
        lines,
        [
            &format!("POST /repos/me/site/statuses/{commit} HTTP/1.1"),
            "POST /repositories/1/statuses/x?a=b HTTP/1.1",
            "POST /repositories/1/statuses/y HTTP/1.1",
        ]
    );
    assert!(
        requests
            .iter()
            .all(|request| request.body == requests[0].body)
    );

    let other = Api::answering(&[]);
    let elsewhere = format!("http://localhost:{}/x", other.port);
    let another_port = format!("http://127.0.0.1:{}/x", other.port);
    for (location, told) in [
        (elsewhere.as_str(), elsewhere.as_str()),
        (another_port.as_str(), another_port.as_str()),
        (
            "https://api.github.com.evil.example/",
            "https://api.github.com.evil.example/",
        ),
        ("file:///etc/passwd", "file:///etc/passwd"),
        ("//localhost/x\u{1b}", "//localhost/x\\u{1b}"),
    ] {
        let api = Api::answering(&[&format!("308 Moved\nLocation: {location}")]);
        let world = world_of(&api);
        deploy(&world, "two");
        let said = format!(
            "was not posted: 308, a redirect to {told}: the token is not sent to another server; name it with the key `github_api`"
        );
        let remarks = remarks(&world);
        assert!(remarks[0].ends_with(&said), "{remarks:?}");
        assert_eq!((api.requests().len(), other.requests().len()), (1, 0));
    }
    let round = "301 Moved\nLocation: /again";
    let api = Api::answering(&[round; 9]);
    let world = world_of(&api);
    deploy(&world, "two");
    let remarks = remarks(&world);
    assert!(
        remarks[0].ends_with("/again redirects again and again"),
        "{remarks:?}"
    );
    assert_eq!(api.requests().len(), 4);
}

fn payload_of(world: &World, commit: &str, repository: &str, statuses_url: &str) -> Value {
    let mut payload = world.payload(commit);
    payload["repository"]["full_name"] = repository.into();
    payload["repository"]["statuses_url"] = statuses_url.into();
    payload
}

#[test]
#[ignore = "needs curl: ./tests/run"]
fn an_address_in_a_delivery_counts_only_at_the_hosts_that_are_expected() {
    let api = Api::answering(&[]);
    let world = world_with_a_token();
    let check = world.verb(&["check"]);
    check.expect_exit(0);
    check.says("warning  commit status the remote is not at GitHub: http://127.0.0.1:");
    for url in [
        format!(
            "http://localhost:{}/repos/me/site/statuses/{{sha}}",
            api.port
        ),
        format!(
            "http://127.0.0.1:{}/../x/repos/me/site/statuses/{{sha}}",
            api.port
        ),
        format!(
            "http://me:pass@127.0.0.1:{}/repos/me/site/statuses/{{sha}}",
            api.port
        ),
        format!(
            "http://127.0.0.1:{}/\"\noutput = \"/tmp/x/repos/me/site/statuses/{{sha}}",
            api.port
        ),
        String::new(),
    ] {
        let commit = world.push(&url);
        let payload = payload_of(&world, &commit, "me/site", &url);
        world
            .delivery("push", payload.to_string())
            .send()
            .expect(200, "deployed");
        let told = format!(
            "commit status of {} was not posted: the remote is not at GitHub, and the delivery names no API of the \
             remote's host: set `github_api`",
            &commit[..7]
        );
        assert_eq!(remarks(&world), [told]);
    }
    assert!(api.requests().is_empty());
    // As GitHub Enterprise Server names it.
    let url = format!("{}/api/v3/repos/ME/Site/statuses/{{sha}}", api.url());
    let commit = world.push("two");
    let payload = payload_of(&world, &commit, "ME/Site", &url);
    world
        .delivery("push", payload.to_string())
        .send()
        .expect(200, "deployed");
    quiet(&world);
    let line = format!("POST /api/v3/repos/me/site/statuses/{commit} HTTP/1.1");
    assert_eq!(api.requests()[0].line, line);
}

#[test]
#[ignore = "needs curl: ./tests/run"]
fn words_of_others_stay_where_they_belong() {
    let api = Api::answering(&[]);
    let mut world = world_of(&api);
    recording_curl(&mut world);
    world.key("github_context", r#"'a "b" \n url = "x" #'"#);
    // A remote that names no repository: what the delivery says has to do.
    let bare = text(&world.path("upstream/me/site.git"));
    world.git(&world.checkout(), &["remote", "set-url", "origin", &bare]);
    for (name, path) in [
        (
            "e\"vil/na\\me?x#y%2f",
            "/repos/e%22vil/na%5Cme%3Fx%23y%252f/statuses/",
        ),
        (
            "ö/\u{202e}&;$(id)",
            "/repos/%C3%B6/%E2%80%AE%26%3B%24%28id%29/statuses/",
        ),
    ] {
        let commit = world.push(name);
        let payload = payload_of(&world, &commit, name, "");
        world
            .delivery("push", payload.to_string())
            .send()
            .expect(200, "deployed");
        quiet(&world);
        let request = api.requests().pop().unwrap();
        assert_eq!(request.line, format!("POST {path}{commit} HTTP/1.1"));
        assert_eq!(request.body["context"], r#"a "b" \n url = "x" #"#);
    }
    let sent = api.requests().len();
    for name in [
        "../..",
        "a/.",
        "a\nb/c",
        "a/b/c",
        &format!("a/{}", "x".repeat(400)),
    ] {
        let commit = world.push(name);
        let payload = payload_of(&world, &commit, name, "");
        world
            .delivery("push", payload.to_string())
            .send()
            .expect(200, "deployed");
        assert!(remarks(&world)[0].contains("was not posted"), "{name}");
    }
    assert_eq!(api.requests().len(), sent);
    let options = world.read("spy/options");
    let names = options.lines().map(|line| line.split(' ').next().unwrap());
    let names: std::collections::BTreeSet<_> = names.collect();
    let known = [
        "silent",
        "show-error",
        "include",
        "proto",
        "max-time",
        "url",
        "header",
        "data-raw",
        "path-as-is",
    ];
    assert_eq!(names, known.into(), "{options}");
}

#[test]
#[ignore = "needs curl: ./tests/run"]
fn the_page_that_everybody_may_see_is_linked_and_one_with_a_key_is_not() {
    let api = Api::answering(&[]);
    let mut world = world_of(&api);
    world.key("live", &quoted(&format!("{}/live", api.url())));
    let live = format!("{}/live", api.url());
    let page = "https://www.example.org/cgi-bin/deploy.cgi";
    for (setting, changes, expected) in [
        ("true", &[("HTTPS", "on")][..], page),
        ("true", &[("HTTP_X_FORWARDED_PROTO", "https")], page),
        (
            "true",
            &[("REQUEST_SCHEME", "https"), ("HTTP_HOST", "h:8443")],
            "https://h:8443/cgi-bin/deploy.cgi",
        ),
        // Nobody may be sent to where no address is.
        ("true", &[("HTTPS", "off")], &live),
        ("true", &[("HTTPS", "on"), ("HTTP_HOST", "a\"b")], &live),
        (
            "true",
            &[("HTTPS", "on"), ("HTTP_HOST", "me@evil.example")],
            &live,
        ),
        (
            "true",
            &[("HTTPS", "on"), ("HTTP_HOST", "evil.example/x?")],
            &live,
        ),
        ("\"secret-link\"", &[("HTTPS", "on")], &live),
        ("false", &[("HTTPS", "on")], &live),
    ] {
        world.key("status_page", setting);
        let commit = world.push(&format!("{setting} {changes:?}"));
        let delivery = world.push_delivery(&commit);
        let delivery = changes
            .iter()
            .fold(delivery, |d, (name, value)| d.var(name, value));
        delivery.send().expect(200, "deployed");
        quiet(&world);
        let request = api.requests().pop().unwrap();
        assert_eq!(
            request.body["target_url"], *expected,
            "{setting} {changes:?}"
        );
    }
    // What GitHub has signed counts more than what a request is addressed to.
    let ping = json!({"zen": "z", "hook_id": 1, "hook": {"config": {"url": "https://told.example/d.cgi?a=b"}}});
    world.delivery("ping", ping.to_string()).send();
    world.key("status_page", "true");
    let commit = world.push("told");
    let delivery = world.push_delivery(&commit).var("HTTPS", "on");
    delivery.send().expect(200, "deployed");
    quiet(&world);
    let request = api.requests().pop().unwrap();
    assert_eq!(request.body["target_url"], "https://told.example/d.cgi");
}

#[test]
#[ignore = "needs curl: ./tests/run"]
fn of_many_pushes_the_newest_ten_are_posted_each_commit_once() {
    let api = Api::answering(&[]);
    let mut world = world_of(&api);
    world.fake_git("pull", &Fault::Hold);
    world.key("wait", "\"0s\"");
    let first = world.push("first");
    world.push_delivery(&first).send().expect(202, "accepted");
    world.wait_until_held();
    wait_until("the pending status", || !api.requests().is_empty());
    world.key("wait", "\"30s\"");
    let mut commits = Vec::new();
    let begun = world.push("0");
    let started = world.push_delivery(&begun).start();
    wait_until("the next in line", || world.tickets() == 2);
    for content in 1..=12 {
        let commit = world.push(&content.to_string());
        world.push_delivery(&commit).send().expect(202, "queued");
        commits.push(commit);
    }
    // The newest came twice: that is one of the ten.
    let newest = commits.last().unwrap().clone();
    world.push_delivery(&newest).send().expect(202, "queued");
    world.release();
    started.reply().expect(200, "unchanged");
    quiet(&world);
    let mut states = api.states();
    states.sort();
    let mut expected = vec![("pending".to_owned(), first.clone())];
    expected.extend(
        commits[3..]
            .iter()
            .map(|commit| ("success".to_owned(), commit.clone())),
    );
    expected.push(("success".to_owned(), first));
    expected.sort();
    assert_eq!(states, expected);
}

#[test]
#[ignore = "needs curl: ./tests/run"]
fn what_was_not_deployed_is_not_posted_and_what_was_withdrawn_is_an_error() {
    let api = Api::answering(&[]);
    let mut world = world_of(&api);
    let first = deploy(&world, "two");
    let second = deploy(&world, "three");
    quiet(&world);
    let sent = api.requests().len();
    world.verb(&["back"]).expect_exit(0);
    world.push_delivery(&second).send().expect(200, "held");
    let mut gone = world.payload(&second);
    gone["after"] = "0".repeat(40).into();
    world
        .delivery("push", gone.to_string())
        .send()
        .expect(200, "ignored");
    let tag = json!({"ref": "refs/tags/v1", "before": "0".repeat(40), "after": second,
        "repository": {"full_name": "me/site"}});
    world
        .delivery("push", tag.to_string())
        .send()
        .expect(200, "ignored");
    wait_until_quiet(&world);
    assert_eq!(api.requests().len(), sent);
    // What was held is served, and posted: success is known of it already.
    world.verb(&["release"]).expect_exit(0);
    quiet(&world);
    assert_eq!(api.requests().len(), sent);

    world.git(&world.path("seed/site"), &["reset", "-q", "--hard", &first]);
    world.key("update", "\"reset\"");
    let third = world.commit("site", "other.html", "x", "Instead");
    world.force_push();
    world.push_delivery(&third).send().expect(200, "deployed");
    world.push_delivery(&second).send().expect(200, "unchanged");
    quiet(&world);
    let request = api.requests().pop().unwrap();
    assert_eq!(
        (&request.body["state"], &request.body["description"]),
        (
            &json!("error"),
            &json!(format!(
                "the pushed commit {} is not in the branch: a later push withdrew it",
                &second[..7]
            ))
        )
    );
}

#[test]
#[ignore = "needs curl: ./tests/run"]
fn neither_a_submodules_commit_nor_one_that_waits_for_its_workflow_is_posted() {
    let api = Api::answering(&[]);
    let mut world = world_of(&api);
    world.key("submodules", "\"latest\"");
    let post = world.push_to("posts", "second.md", "x", "A post");
    let payload = payload_of(&world, &post, "me/posts", "");
    world
        .delivery("push", payload.to_string())
        .send()
        .expect(200, "deployed");
    quiet(&world);
    assert!(api.requests().is_empty());

    world.key("submodules", "\"recorded\"");
    world.key("workflow", "\".github/workflows/ci.yml\"");
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "waiting");
    // One that came while deploys were held is served with the next deploy, and still waits.
    world.verb(&["hold"]).expect_exit(0);
    let later = world.push("three");
    world.push_delivery(&later).send().expect(200, "held");
    world.verb(&["release"]);
    quiet(&world);
    assert!(api.requests().is_empty(), "{:?}", api.requests());
    let run = json!({
        "action": "completed",
        "workflow_run": {
            "id": 1, "run_attempt": 1, "head_branch": "main", "head_sha": commit, "event": "push",
            "path": ".github/workflows/ci.yml", "conclusion": "success",
            "head_repository": { "full_name": "me/site" }
        },
        "repository": { "full_name": "me/site" }
    });
    world
        .delivery("workflow_run", run.to_string())
        .send()
        .expect(200, "deployed");
    quiet(&world);
    api.expect_states(&[("success", &commit)]);
}

#[test]
#[ignore = "needs curl: ./tests/run"]
fn what_a_killed_worker_owes_is_posted_by_the_next_deploy() {
    let api = Api::answering(&[HANG]);
    let world = world_of(&api);
    let first = deploy(&world, "two");
    wait_until("the first status", || !api.requests().is_empty());
    for process in processes(&world)
        .iter()
        .filter(|process| process.is_worker())
    {
        process.signal(Signal::KILL);
    }
    api.let_go();
    wait_until_quiet(&world);
    let second = deploy(&world, "three");
    quiet(&world);
    api.expect_states(&[
        ("success", &first),
        ("success", &first),
        ("success", &second),
    ]);
    world.verb(&["status", DELIVERY]).says("posted success for");
    // What it tells belongs to the deploy that owed it.
    let all: Value = serde_json::from_str(&world.verb(&["status", "--json"]).stdout).unwrap();
    for (deploy, commit) in [(1, &first), (0, &second)] {
        let posted = format!("commit status: posted success for {}", &commit[..7]);
        assert_eq!(all["deploys"][deploy]["remarks"], json!([posted]));
    }
}

/// Of two commits that were posted the first has failed since, and whether GitHub knows that nobody hears.
struct Failing {
    api: Api,
    world: World,
    first: String,
    second: String,
}

fn a_failure_is_being_posted() -> Failing {
    // The second answer is the one to the failure of another commit.
    let api = Api::answering(&[CREATED, CREATED, HANG]);
    let mut world = world_of(&api);
    let first = deploy(&world, "two");
    quiet(&world);
    world.key("on_update", "\"false\"");
    let second = world.push("three");
    world.push_delivery(&second).send().expect(500, "failed");
    quiet(&world);
    // The first commit is served by a deploy that fails.
    world.push_delivery(&first).send().expect(500, "failed");
    wait_until("the status of the failure", || api.requests().len() == 3);
    Failing {
        api,
        world,
        first,
        second,
    }
}

#[test]
#[ignore = "needs curl: ./tests/run"]
fn what_may_have_been_posted_is_posted_over() {
    let Failing {
        api,
        mut world,
        first,
        second,
    } = a_failure_is_being_posted();
    for process in processes(&world)
        .iter()
        .filter(|process| process.is_worker())
    {
        process.signal(Signal::KILL);
    }
    api.let_go();
    wait_until_quiet(&world);
    world.key("on_update", "\"true\"");
    world.push_delivery(&first).send().expect(200, "deployed");
    quiet(&world);
    api.expect_states(&[
        ("success", &first),
        ("failure", &second),
        ("failure", &first),
        ("success", &first),
    ]);
    // Once that has arrived it is not posted again.
    world.push_delivery(&first).send().expect(200, "unchanged");
    quiet(&world);
    assert_eq!(api.requests().len(), 4);
}

#[test]
#[ignore = "needs curl: ./tests/run"]
fn a_status_that_comes_while_an_older_one_is_posted_is_posted_after_it() {
    let Failing {
        api,
        mut world,
        first,
        ..
    } = a_failure_is_being_posted();
    world.key("on_update", "\"true\"");
    world.push_delivery(&first).send().expect(200, "deployed");
    api.let_go();
    quiet(&world);
    assert_eq!(api.states().pop().unwrap(), ("success".to_owned(), first));
}

#[test]
fn what_cannot_be_remembered_is_told() {
    let mut world = world_with_a_token();
    world.key("github_api", "\"http://127.0.0.1:9\"");
    deploy(&world, "two");
    quiet(&world);
    let file = world.state("commit-statuses");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    deploy(&world, "three");
    let remarks = remarks(&world);
    let told = format!(
        "commit statuses were not posted: cannot read {}",
        file.display()
    );
    assert!(remarks[0].starts_with(&told), "{remarks:?}");
    // No deploy fails for that.
    world.ping_delivery().send().expect(200, "pong");
    let check = world.verb(&["check"]);
    check.expect_exit(0);
    check.says("warning  commit status cannot read");
    let remove = check.stdout.lines().find(|line| line.contains("rm -rf "));
    let mut shell = world.shell_of_site();
    let removed = shell.args(["-c", remove.unwrap().trim()]).status();
    assert!(removed.unwrap().success());
    deploy(&world, "four");
    quiet(&world);
    assert!(file.is_file());
}

#[test]
fn what_is_missing_is_told_by_check_and_changes_no_deploy() {
    let mut world = world_with_a_token();
    world.key("github_api", "\"http://127.0.0.1:9\"");
    let file = token_file(&world);
    let shown = file.display();
    let write = |text: &[u8]| fs::write(&file, text).unwrap();
    for (text, told) in [
        (&b"\n"[..], "is empty; write the token into it"),
        (
            b"two words\n",
            "has a blank or another character in it that no token has; remove that",
        ),
        (
            b"one\ntwo\n",
            "has more than one line; leave the token in it",
        ),
        (
            b"\xff\xfeo\0n\0",
            "has NUL bytes, as UTF-16 has; save it as plain text",
        ),
    ] {
        write(text);
        let check = world.verb(&["check"]);
        check.expect_exit(0);
        check.says(&format!(
            "warning  commit status the token file {shown} {told}"
        ));
    }
    fs::write(&file, TOKEN).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let check = world.verb(&["check"]);
    check.says("others on this host can read or write it");
    let close = check.stdout.lines().find(|line| line.contains("chmod 600"));
    world
        .shell_of_site()
        .args(["-c", close.unwrap().trim()])
        .status()
        .unwrap();
    world
        .verb(&["check"])
        .says("ok       commit status deploy is posted after a deploy");
    // A pipe is never waited for.
    fs::remove_file(&file).unwrap();
    let fifo = Command::new("mkfifo").arg(&file).status().unwrap();
    assert!(fifo.success());
    world
        .verb(&["check"])
        .says(&format!("cannot read the token file {shown}: not a file"));
    deploy(&world, "two");
    let remarks = remarks(&world);
    let told = format!("was not posted: cannot read the token file {shown}: not a file");
    assert!(remarks[0].contains(&told), "{remarks:?}");
    fs::remove_file(&file).unwrap();
    let check = world.verb(&["check"]);
    check.says("No such file or directory");
    let make = check
        .stdout
        .lines()
        .find(|line| line.contains("umask 077; mkdir"));
    let mut shell = world.shell_of_site();
    shell.args(["-c", &format!("echo '{TOKEN}' | {}", make.unwrap().trim())]);
    assert!(shell.status().unwrap().success());
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(fs::read_to_string(&file).unwrap().trim(), TOKEN);

    let only_git = world.path("only-git");
    fs::create_dir_all(&only_git).unwrap();
    for program in ["git", "ssh"] {
        let found = std::env::split_paths(&search_path())
            .map(|folder| folder.join(program))
            .find(|path| path.exists());
        if let Some(found) = found {
            std::os::unix::fs::symlink(found, only_git.join(program)).unwrap();
        }
    }
    world.key("path", &quoted(&text(&only_git)));
    world
        .verb(&["check"])
        .says("there is no curl here to post it");
    deploy(&world, "three");
    let remarks = self::remarks(&world);
    assert!(
        remarks[0].contains("was not posted: there is no curl here"),
        "{remarks:?}"
    );
}

#[test]
#[ignore = "needs curl: ./tests/run"]
fn the_page_has_the_keys() {
    let api = Api::answering(&[]);
    let mut world = World::new();
    let file = world.path("home/.config/deploy-cgi/github-token.txt");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let write = block_with("cat >~/.config/deploy-cgi/github-token.txt");
    let mut shell = world.shell_of_site();
    shell.args(["-c", &format!("echo '{TOKEN}' | {}", write.trim())]);
    assert!(shell.status().unwrap().success());
    let block = block_with("github_token_file = ");
    let (token_file, context) = block.trim().split_once('\n').unwrap();
    let named = "github_token_file = \"/home/me/.config/deploy-cgi/github-token.txt\"";
    assert_eq!(token_file, named);
    world.key("github_token_file", &quoted(&text(&file)));
    world.key(
        "github_context",
        context.strip_prefix("github_context = ").unwrap(),
    );
    world.key("github_api", &quoted(&api.url()));
    let commit = deploy(&world, "two");
    quiet(&world);
    api.expect_states(&[("success", &commit)]);
    assert_eq!(api.requests()[0].body["context"], "deploy/example.org");
}
