//! The status page: who is shown it, what it says in each of its forms, and what it never says.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::docs::block_with;
use crate::hostile::Twice;
use crate::server::is_root;
use crate::tree::paths_below;
use crate::world::{
    DELIVERY, Delivery, Fault, Reply, SECRET, World, page_key, quoted, text, wait_until,
};

/// What a browser sends.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";

const READY: &str = "200 OK\nready for deliveries. Enter this address as the Payload URL of a GitHub webhook (deploy-cgi).\n";
const NO_SUCH_PAGE: &str = "404 Not Found\nrefused by deploy-cgi: there is no such page below the address of deploy.cgi.\n";

/// What every form of the page says of itself besides.
const SHIELD: &str =
    "X-Content-Type-Options: nosniff\nX-Robots-Tag: noindex\nReferrer-Policy: no-referrer\n";
const NOTHING_LOADED: &str = "Content-Security-Policy: default-src 'none'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'\n";

/// A site that shows its page to everybody.
fn open_world() -> World {
    world_with(&block_with("status_page = true"))
}

fn world_with(setting: &str) -> World {
    let mut world = World::new();
    let (key, value) = setting.split_once(" = ").unwrap();
    world.key(key, value);
    world
}

fn get(world: &World, path: &str, accept: &str) -> Delivery {
    let get = world.delivery("", "").bare("GET");
    get.var("PATH_INFO", path).var("HTTP_ACCEPT", accept)
}

fn page(world: &World) -> String {
    let reply = get(world, "", BROWSER).send();
    assert_eq!(reply.status, 200, "{reply:#?}");
    reply.body
}

fn text_page(world: &World) -> String {
    get(world, "", "*/*").send().body
}

fn json_page(world: &World) -> Value {
    serde_json::from_str(&get(world, "/status.json", "*/*").send().body).unwrap()
}

fn badge(world: &World) -> String {
    let image = get(world, "/badge.svg", "image/*").send().body;
    let title = image.split("<title>").nth(1).unwrap();
    title.split("</title>").next().unwrap().to_owned()
}

/// Pushes a commit and waits for its deploy.
fn deploy(world: &World, content: &str) -> String {
    let commit = world.push(content);
    world.push_delivery(&commit).send().expect(200, "deployed");
    world.settle();
    commit
}

/// The head of an answer, without the length.
fn head(reply: &Reply) -> String {
    let fields = reply
        .headers
        .iter()
        .filter(|(name, _)| name != "Content-Length");
    fields.fold(String::new(), |all, (name, value)| {
        all + name + ": " + value + "\n"
    })
}

#[test]
fn a_person_is_told_how_to_open_the_page() {
    let mut world = World::new();
    let off = world.verb(&["status", "--link"]);
    off.expect_exit(1);
    off.says("    status_page = true");
    world.key("status_page", "true");
    world
        .verb(&["check"])
        .says("ok       status page   everybody who opens");
    let open = world.verb(&["status", "--link"]);
    open.expect_exit(0);
    open.says("Everybody can open the status page. Its address is that of the webhook (the Payload URL):\n\n    https://…\n\n");
    world.key("status_page", "\"secret-link\"");
    world
        .verb(&["check"])
        .says("ok       status page   whoever has the key");
    let link = world.verb(&["status", "--link"]);
    link.expect_exit(0);
    let query = format!("?key={}", page_key(SECRET));
    link.says(&format!("\n    https://…{query}\n"));
    // GitHub says in a ping where it calls. Whoever else calls may name any host.
    let ping = |url: Value| {
        let hook = json!({ "config": { "url": url } });
        let body = json!({ "zen": "z", "hook_id": 1, "hook": hook });
        let ping = world.delivery("ping", body.to_string());
        ping.var("HTTP_HOST", "elsewhere.invalid")
    };
    let page = "https://www.example.org/cgi-bin/deploy.cgi";
    ping(format!("{page}?a=b").into())
        .send()
        .expect(200, "pong");
    ping("http://insecure.invalid/".into())
        .send()
        .expect(200, "pong");
    ping(1.into()).send().expect(200, "pong");
    ping("https://elsewhere.invalid/".into())
        .unsigned()
        .send()
        .expect(403, "refused");
    assert_eq!(
        world.verb(&["status", "--link"]).stdout,
        format!(
            "Whoever has this address can open the status page:\n\n    {page}{query}\n\nA badge for a README:\n\n    \
             [![deploy]({page}/badge.svg{query})]({page}{query})\n"
        )
    );
    world.key("status_page", "true");
    let open = world.verb(&["status", "--link"]);
    assert!(!open.stdout.contains("key="), "{open:?}");
    open.says(&format!(
        "Everybody can open the status page:\n\n    {page}\n\n"
    ));
}

#[test]
fn where_the_page_is_off_every_address_says_ready_and_no_more() {
    let mut world = World::new();
    deploy(&world, "two");
    for value in ["false", "\"secret-link\""] {
        world.key("status_page", value);
        let plain = world.delivery("", "").bare("GET").send();
        assert_eq!(plain.whole(&world), READY);
        for (path, query) in [
            ("", ""),
            ("/", ""),
            ("/status.json", "key="),
            ("/badge.svg", "key=0"),
            ("/../x", "a=b&key=%00"),
        ] {
            let asked = get(&world, path, BROWSER).var("QUERY_STRING", query);
            let reply = asked.send();
            assert_eq!(
                (
                    reply.status,
                    &reply.body,
                    &reply.headers,
                    reply.stderr.as_str()
                ),
                (200, &plain.body, &plain.headers, ""),
                "{value} {path} {query}"
            );
        }
    }
    // A key of a file that shows nothing opens nothing.
    world.key("status_page", "false");
    let query = format!("key={}", page_key(SECRET));
    let asked = get(&world, "", BROWSER).var("QUERY_STRING", query);
    assert_eq!(asked.send().whole(&world), READY);
}

#[test]
fn each_form_has_its_address_and_its_head() {
    let world = open_world();
    let first = world.head();
    let commit = deploy(&world, "two");
    let html = get(&world, "", BROWSER).send();
    assert!(html.body.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
    let style = html.body.split("<style>").nth(1).unwrap();
    let digest = Sha256::digest(style.split("</style>").next().unwrap());
    let mut base64 = world.clean("base64");
    let base64 = base64.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut encoder = base64.spawn().unwrap();
    encoder.stdin.take().unwrap().write_all(&digest).unwrap();
    let digest = String::from_utf8(encoder.wait_with_output().unwrap().stdout).unwrap();
    let policy = NOTHING_LOADED.replace(
        "; base",
        &format!("; style-src 'sha256-{}'; base", digest.trim_end()),
    );
    assert_eq!(
        head(&html),
        format!(
            "Content-Type: text/html; charset=utf-8\nCache-Control: no-store\n{SHIELD}{policy}Vary: Accept\n"
        )
    );
    let plain = get(&world, "", "*/*").send();
    assert_eq!(
        head(&plain),
        format!(
            "Content-Type: text/plain; charset=utf-8\nCache-Control: no-store\n{SHIELD}{NOTHING_LOADED}Vary: Accept\n"
        )
    );
    let rows = plain.body.split_once("\n\n").unwrap();
    let time = json_page(&world)["deploys"][0]["time"]
        .as_str()
        .unwrap()
        .to_owned();
    let time = time.replace('T', " ").replace('Z', "");
    assert_eq!(
        rows.0,
        format!(
            "deployed: the last deploy of main ended well\nlive: {}, since {time} UTC: Say two\nnothing waits",
            &commit[..7]
        )
    );
    let row = rows.1.lines().nth(1).unwrap();
    let commits = format!("{}..{}", &first[..7], &commit[..7]);
    assert!(
        row.starts_with(&format!("{time}  deployed   {commits}  ")),
        "{row}"
    );
    assert!(row.ends_with("  Say two"), "{row}");
    let json = get(&world, "/status.json", BROWSER).send();
    assert_eq!(
        head(&json),
        format!(
            "Content-Type: application/json\nCache-Control: no-store\n{SHIELD}{NOTHING_LOADED}"
        )
    );
    let image = get(&world, "/badge.svg", "image/*").send();
    assert_eq!(
        head(&image),
        format!("Content-Type: image/svg+xml\nCache-Control: no-cache\n{SHIELD}{NOTHING_LOADED}")
    );
    assert!(
        image
            .body
            .starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width=")
    );
    for path in [
        "/",
        "/status.json/",
        "//badge.svg",
        "/STATUS.JSON",
        "/../secret.txt",
        "/\u{fffd}",
        "x",
    ] {
        let reply = get(&world, path, BROWSER).send();
        assert_eq!(reply.whole(&world), NO_SUCH_PAGE, "{path}");
    }
    let twice = Twice::new(&world);
    let several = twice.more(
        get(&world, "/badge.svg", BROWSER),
        &world.site_file(),
        &["PATH_INFO="],
    );
    assert_eq!(several.send().whole(&world), NO_SUCH_PAGE);
}

#[test]
fn a_head_is_the_head_of_what_a_get_shows() {
    let world = open_world();
    deploy(&world, "two");
    for (path, accept) in [
        ("", BROWSER),
        ("", "*/*"),
        ("/status.json", ""),
        ("/badge.svg", ""),
        ("/x", ""),
    ] {
        let whole = get(&world, path, accept).send();
        // Nobody's copy is taken for new: each answer is whole.
        let cached = get(&world, path, accept)
            .var("HTTP_IF_NONE_MATCH", "*")
            .send();
        let head = get(&world, path, accept).method("HEAD").send();
        assert_eq!(
            (head.status, &head.headers, head.body.as_str()),
            (whole.status, &whole.headers, "")
        );
        assert_eq!(
            (cached.status, &cached.headers),
            (whole.status, &whole.headers)
        );
    }
}

#[test]
fn a_post_is_a_delivery_whatever_the_page_is() {
    let world = open_world();
    let commit = world.push("two");
    let push = world.push_delivery(&commit).var("PATH_INFO", "/badge.svg");
    push.send().expect(200, "deployed");
    let unsigned = world.push_delivery(&commit).unsigned();
    unsigned
        .var("HTTP_ACCEPT", BROWSER)
        .send()
        .expect(403, "refused");
    let method = world.push_delivery(&commit).method("DELETE").send();
    method.expect(405, "refused");
    let words = get(&world, "", BROWSER).var("QUERY_STRING", "status");
    words.send().expect(400, "refused");
}

#[test]
fn a_secret_link_opens_with_the_key_of_each_secret_and_with_no_other() {
    let mut world = World::new();
    deploy(&world, "two");
    world.key("status_page", "\"secret-link\"");
    let asked = |path: &str, query: &str| {
        let asked = get(&world, path, BROWSER).var("QUERY_STRING", query).send();
        (
            asked.status,
            asked.body.split([' ', '\n']).next().unwrap().to_owned(),
        )
    };
    let (ready, shown) = ((200, "ready".to_owned()), (200, "<!DOCTYPE".to_owned()));
    let old = page_key(SECRET);
    let encoded = format!("%{:02x}{}", old.as_bytes()[0], &old[1..]);
    for query in [
        format!("key={old}"),
        format!("utm=x&key={old}&a"),
        format!("key={encoded}"),
        format!("a={}&key={old}", "x".repeat(100_000)),
    ] {
        assert_eq!(asked("", &query), shown, "{query:.200}");
    }
    let other = if old.starts_with('0') { '1' } else { '0' };
    for query in [
        "key=".to_owned(),
        format!("key={old}&key={old}"),
        format!("key={}&key={old}", "0".repeat(64)),
        format!("key={other}{}", &old[1..]),
        format!("key={}", old.to_uppercase()),
        format!("key={old}0"),
        format!("key={old}%00"),
        format!("KEY={old}"),
        format!("key={}", page_key("another")),
        format!("key={SECRET}"),
        format!("key={}", "0".repeat(100_000)),
    ] {
        assert_eq!(asked("", &query), ready, "{query:.200}");
    }
    let badge = asked("/badge.svg", &format!("key={old}"));
    assert_eq!(badge, (200, "<svg".to_owned()));
    let none = asked("/x", &format!("key={old}"));
    assert_eq!(none, (404, "refused".to_owned()));
    // The secret is changed without a gap.
    fs::write(
        world.path("secret.txt"),
        format!("a new secret\n{SECRET}\n"),
    )
    .unwrap();
    let new = page_key("a new secret");
    world.verb(&["status", "--link"]).says(&new);
    for key in [&old, &new] {
        assert_eq!(asked("", &format!("key={key}")), shown);
    }
    fs::write(world.path("secret.txt"), "a new secret\n").unwrap();
    assert_eq!(asked("", &format!("key={old}")), ready);
    // What the page links to below it has the key, too, and nothing that others are told has it.
    let page = get(&world, "", BROWSER)
        .var("QUERY_STRING", format!("key={new}"))
        .send();
    for form in ["status.json", "badge.svg"] {
        page.says(&format!("href=\"./deploy.cgi/{form}?key={new}\""));
    }
    assert_eq!(page.body.matches(&new).count(), 2, "{}", page.body);
}

#[test]
fn the_key_of_the_page_is_no_signature_of_a_delivery() {
    let world = world_with(&block_with("status_page = \"secret-link\""));
    for (event, kind) in [
        ("push", "application/json"),
        ("ping", "application/json"),
        ("star", "application/json"),
        ("push", "application/x-www-form-urlencoded"),
    ] {
        let body = "deploy-cgi status page";
        let reply = world.delivery(event, body).var("CONTENT_TYPE", kind).send();
        assert!((400..500).contains(&reply.status), "{reply:#?}");
        reply.expect(reply.status, "refused");
    }
}

#[test]
fn a_page_says_how_a_site_stands_in_every_state() {
    let mut world = open_world();
    let first = world.head();
    assert_eq!(badge(&world), "deploy: nothing yet");
    assert!(page(&world).contains("<h1 class=\"nothing\">No deploy yet</h1>"));
    assert_eq!(
        text_page(&world),
        "nothing yet: no deploy has ended\nnothing waits\n"
    );

    let commit = deploy(&world, "two");
    let short = &commit[..7];
    assert_eq!(badge(&world), format!("deploy: deployed {short}"));
    let deployed = page(&world);
    assert!(
        deployed.contains("<h1 class=\"deployed\">Live</h1>\n<p class=\"subject\">Say two</p>")
    );
    assert!(deployed.contains(&format!("<title>Live · {short} · main</title>")));
    assert!(!deployed.contains("http-equiv"));

    world
        .verb(&["hold", "the <b>database</b> moves"])
        .expect_exit(0);
    let next = world.push("three");
    world.push_delivery(&next).send().expect(200, "held");
    assert_eq!(badge(&world), format!("deploy: held {short}"));
    let held = page(&world);
    assert!(held.contains("<h1 class=\"held\">Held</h1>\n<p class=\"subject\">the &#60;b&#62;database&#60;/b&#62; moves</p>"), "{held}");
    assert!(held.contains("<p class=\"facts\">1 delivery waits</p>"));
    assert!(
        !held.contains("http-equiv"),
        "it would be loaded again for days"
    );
    assert!(text_page(&world).contains(" UTC: the <b>database</b> moves\n"));

    // Deliveries wait, and nobody attends to them.
    fs::remove_file(world.state("hold")).unwrap();
    assert_eq!(badge(&world), format!("deploy: waiting {short}"));
    let waiting = page(&world);
    assert!(waiting.contains("<h1 class=\"waiting\">Waiting</h1>"));
    assert!(waiting.contains("<meta http-equiv=\"refresh\" content=\"5\">"));
    let stop = "<a href=\"./deploy.cgi?reload=no\">stop that</a>";
    assert!(waiting.contains(stop), "{waiting}");
    let still = get(&world, "", BROWSER).var("QUERY_STRING", "reload=no");
    let still = still.send().body;
    assert!(
        !still.contains("http-equiv") && !still.contains(stop),
        "{still}"
    );

    world.fake_git("pull", &Fault::Hold);
    world.key("on_update", "\"exit 3\"");
    let started = world.push_delivery(&next).start();
    world.wait_until_held();
    let (image, running, words, json) = (
        badge(&world),
        page(&world),
        text_page(&world),
        json_page(&world),
    );
    world.release();
    started.reply().expect(500, "failed");
    world.settle();
    assert_eq!(image, format!("deploy: running {short}"));
    assert!(running.contains("<h1 class=\"running\">Deploying</h1>\n<p class=\"subject\">at the step pull, for <time "), "{running}");
    assert!(running.contains("<meta http-equiv=\"refresh\" content=\"5\">"));
    assert!(
        words.starts_with("running: a deploy is at the step pull, since "),
        "{words}"
    );
    assert_eq!(
        (&json["state"], &json["running"]["step"]),
        (&"running".into(), &"pull".into())
    );

    assert_eq!(badge(&world), format!("deploy: failed {short}"));
    let failed = page(&world);
    assert!(
        failed.contains(
            "<h1 class=\"failed\">Failed</h1>\n<p class=\"subject\">at the step on_update, "
        ),
        "{failed}"
    );
    assert!(failed.contains(&format!("The last good deploy: <code>{short}</code>")));
    assert!(
        text_page(&world)
            .starts_with("failed: the last deploy of main failed at the step on_update\n")
    );
    assert!(text_page(&world).contains("\n  at on_update\n"));

    world.key("on_update", "\"exit 0\"");
    world.push_delivery(&next).send().expect(200, "deployed");
    world.settle();
    world.verb(&["back"]).expect_exit(0);
    world.verb(&["release"]).expect_exit(0);
    let verdicts = json_page(&world);
    let verdicts = verdicts["deploys"].as_array().unwrap().iter();
    let verdicts: Vec<_> = verdicts
        .map(|deploy| deploy["verdict"].as_str().unwrap())
        .collect();
    assert_eq!(
        verdicts,
        ["deployed", "back", "deployed", "failed", "deployed"]
    );
    assert_ne!(first, world.head());
}

#[test]
fn the_json_has_whole_ids_and_the_documented_shape() {
    let world = open_world();
    let first = world.head();
    let none = json_page(&world);
    assert_eq!(
        none,
        json!({
            "state": "nothing", "branch": null, "live": null, "running": null, "held": null,
            "waiting": 0, "workflow": null, "deploys": [],
        })
    );
    let commit = deploy(&world, "two");
    let mut shown = json_page(&world);
    let deploy = &mut shown["deploys"][0];
    let time = deploy["time"].take();
    assert!(humantime::parse_rfc3339(time.as_str().unwrap()).is_ok());
    assert!(deploy["seconds"].take().is_f64());
    assert_eq!(
        shown,
        json!({
            "state": "deployed", "branch": "main",
            "live": { "commit": commit, "since": time, "subject": "Say two" },
            "running": null, "held": null, "waiting": 0, "workflow": null,
            "deploys": [{
                "time": null, "verdict": "deployed", "step": null, "branch": "main",
                "old": first, "new": commit, "subject": "Say two", "seconds": null,
            }],
        })
    );
}

#[test]
fn where_a_workflow_has_to_succeed_first_the_page_says_what_is_green() {
    let mut world = open_world();
    world.key("workflow", "\"ci.yml\"");
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "waiting");
    let workflow = &json_page(&world)["workflow"];
    assert_eq!(
        (&workflow["green"], &workflow["pushed"]),
        (&Value::Null, &commit.as_str().into())
    );
    assert!(page(&world).contains(&format!(
        "The newest commit that was pushed: <code>{}</code>.",
        &commit[..7]
    )));
    let words = format!(
        "the newest green commit is -, the newest pushed one {}\n",
        &commit[..7]
    );
    assert!(text_page(&world).contains(&words));
}

#[test]
fn the_badge_of_the_pages_is_where_they_say() {
    let world = open_world();
    let markdown = block_with("badge.svg");
    let mut addresses = markdown
        .split("https://example.org/cgi-bin/deploy.cgi")
        .skip(1);
    let below = addresses.next().unwrap().split(')').next().unwrap();
    let image = get(&world, below, "image/*").send();
    assert_eq!(image.header("Content-Type"), Some("image/svg+xml"));
    assert!(addresses.next().unwrap().starts_with(')'), "{markdown}");
}

/// Everything that a stranger is shown.
fn all_that_is_shown(world: &World) -> String {
    let forms = [
        ("", BROWSER),
        ("", "*/*"),
        ("/status.json", ""),
        ("/badge.svg", ""),
        ("/x", ""),
    ];
    forms.iter().fold(String::new(), |mut all, (path, accept)| {
        let reply = get(world, path, accept).send();
        write!(all, "{}{}{}", head(&reply), reply.body, reply.stderr).unwrap();
        all
    })
}

#[test]
fn no_form_tells_a_path_a_secret_a_delivery_or_a_name() {
    let mut world = open_world();
    world.key(
        "on_update",
        &quoted("pwd; id; git log -1; cat ../secret.txt; exit 3"),
    );
    world.key("on_failure", "\"exit 3\"");
    let seed = world.path("seed/site");
    world.git(&seed, &["config", "user.name", "Jane Author"]);
    world.git(&seed, &["config", "user.email", "jane@example.org"]);
    let commit = world.push_to(
        "site",
        "private-name.html",
        "x",
        &format!("Say it with {SECRET} and https://me:hunter2@example.org/"),
    );
    world.push_delivery(&commit).send().expect(500, "failed");
    world.settle();
    world
        .verb(&["hold", &format!("because of {SECRET}")])
        .expect_exit(0);
    world.push_delivery(&commit).send().expect(200, "held");
    let shown = all_that_is_shown(&world);
    assert!(shown.contains("Say it with"), "{shown}");
    for hidden in [
        "hunter2",
        SECRET,
        &DELIVERY[..8],
        "private-name",
        "www-data",
        "/tmp",
        "secret.txt",
        "checkout",
        "upstream",
        "127.0.0.1",
        "posts",
        "Jane Author",
        "jane@",
        "uid=",
        "git said",
        "on_failure",
        &text(&world.path("")),
        env!("CARGO_PKG_VERSION"),
    ] {
        let at = shown.find(hidden);
        assert_eq!(at.map(|at| &shown[at..]), None, "{hidden}");
    }
    world.verb(&["release"]).expect_exit(1);
}

#[test]
fn a_hostile_subject_is_shown_as_text_on_one_line() {
    let world = open_world();
    let subject =
        "</p><script>alert(\"1\")</script> & 'x' {{ y }} \u{202e}\u{200b}\u{61c}\u{1b}[2J é🚀";
    let commit = world.push_to("site", "index.html", "two", subject);
    world.push_delivery(&commit).send().expect(200, "deployed");
    world.settle();
    let shown = page(&world);
    let escaped = "&#60;/p&#62;&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62; &#38; &#39;x&#39; {{ y }} \
                   \\u{202e}\\u{200b}\\u{61c}\\u{1b}[2J é🚀";
    assert!(
        shown.contains(&format!("<p class=\"subject\">{escaped}</p>")),
        "{shown}"
    );
    assert!(!shown.contains("<script"), "{shown}");
    let words =
        "</p><script>alert(\"1\")</script> & 'x' {{ y }} \\u{202e}\\u{200b}\\u{61c}\\u{1b}[2J é🚀";
    assert!(text_page(&world).contains(&format!(": {words}\n")));
    assert_eq!(json_page(&world)["live"]["subject"], words);
}

#[test]
fn commits_are_links_where_the_remote_is_at_github() {
    let mut world = open_world();
    let first = world.head();
    let commit = deploy(&world, "two");
    assert!(!page(&world).contains("https://"));
    // GitHub is not asked: the pull fails before.
    let url = "https://me@github.com/me/site.git";
    world.git(&world.checkout(), &["remote", "set-url", "origin", url]);
    world.fake_git("pull", &Fault::Fail("fatal: no"));
    let next = world.push("three");
    world.push_delivery(&next).send().expect(500, "failed");
    world.settle();
    let shown = page(&world);
    let (short, range) = (&commit[..7], format!("{}..{}", &first[..7], &commit[..7]));
    for link in [
        "<a href=\"https://github.com/me/site\">me/site</a>".to_owned(),
        format!("<a href=\"https://github.com/me/site/commit/{commit}\">{short}</a>"),
        format!("<a href=\"https://github.com/me/site/compare/{first}...{commit}\">{range}</a>"),
    ] {
        assert!(shown.contains(&link), "{link}: {shown}");
    }
    assert!(!all_that_is_shown(&world).contains("me@"));
}

#[test]
fn a_hold_that_comes_during_a_deploy_is_shown_beside_it() {
    let mut world = open_world();
    world.fake_git("pull", &Fault::Hold);
    let commit = world.push("two");
    let deploying = world.push_delivery(&commit).start();
    world.wait_until_held();
    world.verb(&["hold", "<b>moving"]).expect_exit(0);
    let text = text_page(&world);
    assert!(text.starts_with("running: "), "{text}");
    assert!(text.contains("\nheld after that: <b>moving\n"), "{text}");
    let shown = page(&world);
    assert!(shown.contains(">Deploying</h1>"), "{shown}");
    assert!(
        shown.contains("<p class=\"facts\">held after that: &#60;b&#62;moving</p>"),
        "{shown}"
    );
    world.release();
    deploying.reply().expect(200, "deployed");
    assert!(!text_page(&world).contains("held after that"));
    world.verb(&["release"]).expect_exit(0);
}

#[test]
fn a_remote_that_left_github_has_no_links_there_any_more() {
    let mut world = open_world();
    let (checkout, bare) = (world.checkout(), world.path("upstream/me/site.git"));
    let remote = |world: &World, url: &str| {
        world.git(&checkout, &["remote", "set-url", "origin", url]);
    };
    remote(&world, "https://github.com/me/site.git");
    world.fake_git("pull", &Fault::Fail("fatal: no"));
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(500, "failed");
    assert!(page(&world).contains("https://github.com/me/site"));
    world.fake_git("no step", &Fault::Note);
    remote(&world, &text(&bare));
    world.push_delivery(&commit).send().expect(200, "deployed");
    world.settle();
    assert!(!page(&world).contains("https://"), "{}", page(&world));
}

#[test]
fn a_token_and_the_password_of_a_remote_are_masked_as_the_secret_is() {
    let mut world = open_world();
    fs::write(world.path("token.txt"), "0123-token-of-github\n").unwrap();
    world.key(
        "github_token_file",
        &quoted(&text(&world.path("token.txt"))),
    );
    world.key("clone", "\"https://me:pass-word@example.org/me/site.git\"");
    deploy(&world, "two");
    let reason = format!("{SECRET} 0123-token-of-github pass-word");
    world.verb(&["hold", &reason]).expect_exit(0);
    assert_eq!(json_page(&world)["held"]["reason"], "*** *** ***");
    let held = world.push_delivery(&world.head()).send();
    held.says(": *** *** ***. ");
    world.verb(&["release"]).expect_exit(0);
}

#[test]
fn a_site_that_cannot_be_used_says_no_more_than_without_a_page() {
    let mut world = World::new();
    deploy(&world, "two");
    let broken = |world: &World| {
        let secret = world.read("secret.txt");
        fs::write(world.path("secret.txt"), "").unwrap();
        let no_secret = get(world, "/status.json", BROWSER).send().whole(world);
        fs::write(world.path("secret.txt"), secret).unwrap();
        let aside = world.path("aside");
        fs::rename(world.checkout(), &aside).unwrap();
        let no_checkout = get(world, "", BROWSER).send().whole(world);
        fs::rename(aside, world.checkout()).unwrap();
        (no_secret, no_checkout)
    };
    let off = broken(&world);
    assert!(
        off.0.starts_with("500 ") && off.1.starts_with("500 "),
        "{off:?}"
    );
    world.key("status_page", "true");
    assert_eq!(broken(&world), off);
}

#[test]
fn a_history_that_is_torn_or_hostile_is_shown_as_far_as_it_can_be_read() {
    let world = open_world();
    let commit = deploy(&world, "two");
    let file = world.state("history.jsonl");
    let line = fs::read_to_string(&file).unwrap();
    let good: Value = serde_json::from_str(&line).unwrap();
    let with = |changes: &[(&str, Value)]| {
        let mut record = good.clone();
        for (name, value) in changes {
            record[name] = value.clone();
        }
        record.to_string()
    };
    let mut lines = vec![
        "{\"time\":\"2026".to_owned(),
        "\0\0\0".to_owned(),
        "[".repeat(100_000),
        with(&[("time", "<b>now</b>".into())]),
        with(&[("verdict", "<b>".into())]),
        with(&[("new", "<b>".into())]),
        json!({ "about": { "time": good["time"], "ticket": null }, "remark": "no deploy" })
            .to_string(),
        with(&[
            ("time", "2026-01-01T00:00:00.5Z".into()),
            ("branch", "<b>\n\u{202e}".into()),
            ("subject", "<b>\n".into()),
            ("github", "../<b>?#/x".into()),
            ("seconds", 1e300.into()),
        ]),
        with(&[("seconds", (-1.0).into()), ("old", Value::Null)]),
        with(&[
            ("new", Value::Null),
            ("github", "\"><b>/x".into()),
            ("subject", "x".repeat(100_000).into()),
        ]),
    ];
    lines.push("{\"time\":\"2026".to_owned());
    fs::write(&file, lines.join("\n")).unwrap();
    let shown = page(&world);
    assert!(!shown.contains("<b>"), "{shown}");
    assert_eq!(shown.matches("<tr role=\"row\">").count(), 1 + 3, "{shown}");
    assert!(shown.contains(&commit[..7]));
    assert!(shown.contains("1000000.00 s"), "{shown}");
    assert!(
        shown.contains("href=\"https://github.com/%22%3E%3Cb%3E/x\""),
        "{shown}"
    );
    assert_eq!(text_page(&world).lines().count(), 3 + 2 + 3);
    assert_eq!(json_page(&world)["deploys"].as_array().unwrap().len(), 3);
    assert_eq!(badge(&world), format!("deploy: deployed {}", &commit[..7]));
}

#[test]
fn the_last_thirty_deploys_are_found_in_a_large_history() {
    let world = open_world();
    deploy(&world, "two");
    let file = world.state("history.jsonl");
    let good: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let record = |number: usize, report: &str| {
        let mut record = good.clone();
        record["subject"] = format!("subject {number}.").into();
        record["report"] = report.into();
        record.to_string() + "\n"
    };
    let long = "x".repeat(20_000);
    let older: String = (0..50).map(|number| record(number, &long)).collect();
    let newer: String = (50..65).map(|number| record(number, &long)).collect();
    fs::write(world.state("history.1.jsonl"), older).unwrap();
    // What is no record of a deploy hides none.
    let noise = "{}\n".repeat(300_000);
    fs::write(&file, format!("{newer}{noise}")).unwrap();
    let deploys = json_page(&world);
    let subjects = deploys["deploys"].as_array().unwrap().iter();
    let subjects: Vec<_> = subjects
        .map(|deploy| deploy["subject"].as_str().unwrap().to_owned())
        .collect();
    let expected: Vec<_> = (35..65)
        .rev()
        .map(|number| format!("subject {number}."))
        .collect();
    assert_eq!(subjects, expected);
}

#[test]
fn what_cannot_be_read_is_told_to_the_host_and_not_to_the_world() {
    let world = open_world();
    deploy(&world, "two");
    let file = world.state("history.jsonl");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let reply = get(&world, "", BROWSER).send();
    assert_eq!(reply.status, 500, "{reply:#?}");
    assert_eq!(
        reply.body,
        "error in deploy-cgi: what was deployed cannot be read. The server's error log says why; so does ./deploy.cgi \
         status.\n"
    );
    assert!(reply.stderr.contains("history.jsonl"), "{reply:#?}");
    // Deliveries are not the page's business.
    assert_eq!(get(&world, "/x", BROWSER).send().status, 404);
    if is_root() {
        return;
    }
    fs::remove_dir(&file).unwrap();
    let state = world.state("");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o000)).unwrap();
    let closed = get(&world, "", BROWSER).send();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(closed.status, 500, "{closed:#?}");
}

#[test]
fn to_look_starts_nothing_and_writes_nothing() {
    let mut world = open_world();
    deploy(&world, "two");
    world.fake_git("rev-parse", &Fault::Note);
    let things = || {
        let paths = paths_below(&world.checkout(), |_| true);
        let looked = paths.iter().map(|path| {
            let found = fs::symlink_metadata(path).unwrap();
            (path.clone(), found.modified().unwrap(), found.len())
        });
        looked.collect::<Vec<_>>()
    };
    let before = things();
    all_that_is_shown(&world);
    assert_eq!(things(), before);
    fs::remove_dir_all(world.state("")).unwrap();
    let before = things();
    assert!(all_that_is_shown(&world).contains("No deploy yet"));
    assert_eq!(things(), before);
    assert!(!world.exists("fake/arguments"));
}

#[test]
fn a_first_checkout_that_is_being_made_is_shown() {
    let mut world = open_world();
    let commit = world.push("two");
    let payload = world.payload(&commit).to_string();
    fs::remove_dir_all(world.checkout()).unwrap();
    world.key("clone", &quoted(&world.origin.url("me/site.git")));
    assert_eq!(badge(&world), "deploy: nothing yet");
    world.fake_git("fetch", &Fault::Hold);
    let started = world.delivery("push", payload).start();
    world.wait_until_held();
    let shown = (badge(&world), json_page(&world));
    world.release();
    started.reply().expect(200, "deployed");
    wait_until("the end of the deploy", || {
        badge(&world) == format!("deploy: deployed {}", &commit[..7])
    });
    assert_eq!(shown.0, "deploy: running");
    assert_eq!(shown.1["running"]["step"], "clone");
}
