//! Signatures and payloads that others published, from a folder that is not part of this
//! repository: `DEPLOY_CGI_FACTS` names it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::world::{Delivery, World, quoted};

const FORM: &str = "application/x-www-form-urlencoded";

fn folder() -> PathBuf {
    let folder = std::env::var_os("DEPLOY_CGI_FACTS");
    PathBuf::from(
        folder.expect("DEPLOY_CGI_FACTS names the folder with vectors.tsv and payloads.tsv"),
    )
}

/// The lines of a table with a header line.
struct Table {
    names: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn read(path: &Path) -> Table {
        let text = fs::read_to_string(path).unwrap();
        let mut lines = text
            .lines()
            .map(|line| line.split('\t').map(str::to_owned).collect());
        Table {
            names: lines.next().unwrap(),
            rows: lines.collect(),
        }
    }

    fn cell<'t>(&self, row: &'t [String], name: &str) -> &'t str {
        let column = self.names.iter().position(|known| known == name).unwrap();
        &row[column]
    }
}

/// `\\ \t \n \r \xNN` and `(empty)`.
fn unescaped(cell: &str) -> Vec<u8> {
    if cell == "(empty)" {
        return Vec::new();
    }
    let mut bytes = Vec::new();
    let mut rest = cell.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next().unwrap() {
                b't' => b'\t',
                b'n' => b'\n',
                b'r' => b'\r',
                b'x' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    hex::decode(digits).unwrap()[0]
                }
                other => other,
            },
            other => other,
        });
    }
    bytes
}

fn file_can_hold(secret: &[u8]) -> bool {
    !secret.is_empty() && !secret.contains(&b'\n') && !secret.ends_with(b"\r")
}

#[test]
#[ignore = "needs DEPLOY_CGI_FACTS"]
fn published_signatures_are_judged_as_published() {
    let world = World::new();
    let table = Table::read(&folder().join("vectors.tsv"));
    let mut judged = 0;
    for row in &table.rows {
        let cell = |name| table.cell(row, name);
        let variable = match (cell("scope"), cell("header")) {
            ("header", "X-Hub-Signature-256") => "HTTP_X_HUB_SIGNATURE_256",
            ("header", "X-Hub-Signature") => "HTTP_X_HUB_SIGNATURE",
            _ => continue,
        };
        let secret = unescaped(cell("secret"));
        if !file_can_hold(&secret) {
            continue;
        }
        fs::write(world.path("secret.txt"), [&secret[..], b"\n"].concat()).unwrap();
        let body = match cell("body").strip_prefix("file:") {
            Some(name) => fs::read(folder().join(name)).unwrap(),
            None => unescaped(cell("body")),
        };
        let mut delivery = world.delivery("star", body).unsigned();
        if cell("header value") != "(absent)" {
            let value = String::from_utf8(unescaped(cell("header value"))).unwrap();
            delivery = delivery.var(variable, value);
        }
        let reply = delivery.send();
        match cell("expected") {
            // Whether it is also the JSON of an event is another question.
            "accept" => assert!(matches!(reply.status, 200 | 400), "{row:?}: {reply:?}"),
            "reject" => assert_eq!(reply.status, 403, "{row:?}: {reply:?}"),
            other => panic!("{other}"),
        }
        judged += 1;
    }
    assert!(judged >= 50, "only {judged} signatures were judged");
}

#[test]
#[ignore = "needs DEPLOY_CGI_FACTS"]
fn published_payloads_are_answered_as_their_event_says() {
    let mut world = World::new();
    let table = Table::read(&folder().join("payloads.tsv"));
    // Somebody is in line for good: a push that concerns the site leaves its ticket and starts
    // nothing, since no remote here has its commits.
    fs::create_dir_all(world.state("queue")).unwrap();
    let in_line = File::create(world.state("waiting")).unwrap();
    in_line.lock().unwrap();
    let mut concerned = 0;
    for row in &table.rows {
        let cell = |name| table.cell(row, name);
        let (event, repository) = (cell("event"), cell("repo_full_name"));
        let file = folder().join("payloads").join(cell("file"));
        let body = fs::read(&file).unwrap();
        let is_form = cell("content_type") == FORM;
        let body = if is_form { form_body(&body) } else { body };
        let deliver = |world: &World| {
            let mut delivery = world.delivery(event, body.clone());
            if is_form {
                delivery = delivery.var("CONTENT_TYPE", FORM);
            }
            if !comes_with_githubs_headers(event) {
                delivery = Delivery::without(delivery, "HTTP_X_GITHUB_EVENT");
            }
            let reply = delivery.send();
            (reply.status, reply.first_word().to_owned(), reply)
        };
        // A site that follows something else; whether a hook that was made elsewhere is well
        // is the doctor's to say.
        let of_another: &[(u16, &str)] = match event {
            _ if !comes_with_githubs_headers(event) => &[(400, "refused")],
            "ping" => &[(200, "pong"), (500, "pong")],
            "push" if repository == "-" => &[(400, "refused"), (200, "ignored")],
            _ => &[(200, "ignored")],
        };
        let (status, first_word, reply) = deliver(&world);
        let got = (status, first_word.as_str());
        assert!(of_another.contains(&got), "{row:?}: {reply:?}");

        if event == "ping" {
            // The site that it is about.
            if repository != "-" {
                world.key("repository", &quoted(repository));
            }
            // A hook that is no good to the site is told so.
            let expected = if delivers_pushes(&body) { 200 } else { 500 };
            let (status, first_word, reply) = deliver(&world);
            assert_eq!(
                (status, first_word.as_str()),
                (expected, "pong"),
                "{row:?}: {reply:?}"
            );
            let is_told = reply.body.contains("it does not deliver pushes");
            assert_eq!(is_told, expected == 500, "{row:?}: {reply:?}");
            world.key("repository", &quoted("me/site"));
        }
        let Some(branch) = cell("ref").strip_prefix("refs/heads/") else {
            continue;
        };
        if event != "push" || repository == "-" {
            continue;
        }
        // The same delivery for the site that it is about.
        world.key("repository", &quoted(repository));
        world.key("branch", &quoted(branch));
        let checkout = world.checkout();
        world.git(&checkout, &["checkout", "-q", "-B", branch]);
        let setting = |name: &str| format!("branch.{branch}.{name}");
        world.git(&checkout, &["config", &setting("remote"), "origin"]);
        world.git(&checkout, &["config", &setting("merge"), cell("ref")]);
        let tickets = world.tickets();
        let (status, first_word, reply) = deliver(&world);
        let is_deletion = cell("after").bytes().all(|digit| digit == b'0');
        let expected = if is_deletion {
            (200, "ignored")
        } else {
            (202, "queued")
        };
        assert_eq!(
            (status, first_word.as_str()),
            expected,
            "{row:?}: {reply:?}"
        );
        let more = usize::from(!is_deletion);
        assert_eq!(world.tickets(), tickets + more, "{row:?}");
        concerned += more;
        world.key("repository", &quoted("me/site"));
        world.key("branch", &quoted("main"));
        world.git(&world.checkout(), &["checkout", "-q", "main"]);
    }
    assert!(table.rows.len() >= 50, "{} payloads", table.rows.len());
    assert!(
        concerned >= 20,
        "only {concerned} pushes concerned their site"
    );
    fs::remove_dir_all(world.state("queue")).unwrap();
}

/// GitLab and Bitbucket name their events in headers of their own.
fn comes_with_githubs_headers(event: &str) -> bool {
    !matches!(event, "Push Hook" | "repo:push")
}

/// Whether the hook that a ping describes sends what this program waits for.
fn delivers_pushes(body: &[u8]) -> bool {
    let payload = form_urlencoded::parse(body).find(|(name, _)| name == "payload");
    let ping: serde_json::Value = match payload {
        Some((_, json)) => serde_json::from_str(&json).unwrap(),
        None => serde_json::from_slice(body).unwrap(),
    };
    match ping["hook"]["events"].as_array() {
        Some(events) => events.iter().any(|event| event == "push" || event == "*"),
        None => true,
    }
}

/// Form deliveries are kept with their headers around them.
fn form_body(file: &[u8]) -> Vec<u8> {
    let file: serde_json::Value = serde_json::from_slice(file).unwrap();
    file["body"].as_str().unwrap().as_bytes().to_vec()
}

/// The published runs for the site that each is about: one is of a push to its branch and succeeded.
#[test]
#[ignore = "needs DEPLOY_CGI_FACTS"]
fn published_workflow_runs_count_as_their_fields_say() {
    let table = Table::read(&folder().join("payloads.tsv"));
    let mut told = Vec::new();
    for row in &table.rows {
        let cell = |name| table.cell(row, name);
        if cell("event") != "workflow_run" {
            continue;
        }
        let file = cell("file");
        let body = fs::read(folder().join("payloads").join(file)).unwrap();
        let run: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let branch = run["workflow_run"]["head_branch"].as_str().unwrap();
        let path = run["workflow"]["path"].as_str().unwrap();
        let mut world = World::new();
        world.key("repository", &quoted(cell("repo_full_name")));
        world.key("branch", &quoted(branch));
        let workflow = path.starts_with(".github/").then_some(path);
        world.key("workflow", &quoted(workflow.unwrap_or("ci.yml")));
        let checkout = world.checkout();
        world.git(&checkout, &["checkout", "-q", "-B", branch]);
        let setting = |name: &str| format!("branch.{branch}.{name}");
        world.git(&checkout, &["config", &setting("remote"), "origin"]);
        let followed = format!("refs/heads/{branch}");
        world.git(&checkout, &["config", &setting("merge"), &followed]);
        let reply = world.delivery("workflow_run", body).send();
        reply.expect(200, "ignored");
        let why = reply.body.lines().next().unwrap();
        let why = why.split(": ").last().unwrap().trim_end_matches('.');
        told.push((
            file.trim_end_matches(".json").replace("-workflow_run", ""),
            why.to_owned(),
        ));
    }
    let other_event = |event| format!("it was started by {event}, and not a push");
    let expected = [
        (
            "goplayground-unknown-values",
            "this site waits for .github/workflows/ci.yml".into(),
        ),
        ("hub4j-dispatch-success", other_event("workflow_dispatch")),
        ("hub4j-fork-pr-success", "the commit is a fork's".into()),
        ("hub4j-pr-success", other_event("pull_request")),
        ("liatrio-pr-failure-attempt13", other_event("pull_request")),
        // It counts, and no branch here has its commit.
        (
            "liatrio-push-success-attempt10",
            "origin/main does not have this commit".into(),
        ),
        (
            "octokit-completed-success",
            other_event("repository_dispatch"),
        ),
        (
            "octokit-requested",
            "it is requested, and not completed".into(),
        ),
        (
            "octokit-requested-action_required",
            "it is requested, and not completed".into(),
        ),
        (
            "octokitnet-in_progress",
            "it is in_progress, and not completed".into(),
        ),
        (
            "pytorch-push-failure",
            "the newest one ended with failure; nothing was deployed yet".into(),
        ),
        (
            "quarkusbot-fork-main-action_required",
            "it is requested, and not completed".into(),
        ),
    ];
    told.sort();
    let told: Vec<_> = told
        .iter()
        .map(|(file, why)| (file.as_str(), why.clone()))
        .collect();
    assert_eq!(told, expected);
}
