//! The status page in a real browser, from real servers.

use std::fs;

use serde_json::Value;

use crate::server::{Kind, Server, hand_over_for};
use crate::world::{SECRET, World, page_key, write_executable};

/// A subject that would run a script, load a picture and turn the direction of the text.
const HOSTILE: &str = "<script src=\"http://elsewhere.invalid/x.js\"></script>\
     <img src=http://elsewhere.invalid/x.png onerror=console.error(1)> \u{202e}x";

/// What a browser made of a page.
#[derive(Debug)]
struct Seen {
    /// The page as it understood it.
    dom: String,
    /// What it complained about, and what the page printed.
    console: Vec<String>,
    /// The addresses that it asked for the page's sake: its maker's own it asks besides.
    asked: Vec<String>,
}

fn look(world: &World, address: &str) -> Seen {
    let log = world.path("net-log.json");
    let mut browser = world.clean("timeout");
    browser.args([
        "60",
        "chromium",
        "--headless",
        "--disable-gpu",
        "--no-first-run",
    ]);
    // It is started as root, too, and in containers.
    browser.arg("--no-sandbox");
    browser.arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1");
    browser.args(["--disable-background-networking", "--enable-logging=stderr"]);
    browser.arg(format!(
        "--user-data-dir={}",
        world.path("browser").display()
    ));
    browser.arg(format!("--log-net-log={}", log.display()));
    let output = browser.args(["--dump-dom", address]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    let console = said.lines().filter(|line| line.contains("CONSOLE"));
    let log: Value = serde_json::from_slice(&fs::read(log).unwrap()).unwrap();
    let events = log["events"].as_array().unwrap().iter();
    let asked = events.map(|event| &event["params"]).filter(|params| {
        let page = params["network_isolation_key"].as_str();
        page.is_some_and(|page| page.starts_with("http://127.0.0.1 "))
    });
    let asked = asked.filter_map(|params| params["url"].as_str());
    Seen {
        dom: String::from_utf8(output.stdout).unwrap(),
        console: console.map(str::to_owned).collect(),
        asked: asked.map(str::to_owned).collect(),
    }
}

fn the_page_is_shown_and_asks_for_nothing_else(kind: Kind) {
    let mut world = World::new();
    world.key("status_page", "\"secret-link\"");
    let control = "#!/bin/sh\nprintf 'Content-Type: text/html\\r\\n\\r\\n'\n\
                   echo '<img src=\"http://elsewhere.invalid/\"><script>console.error(\"heard\")</script>'\n";
    write_executable(&world.path("cgi-bin/control.cgi"), control);
    let _handed = hand_over_for(kind, &mut world);
    let server = Server::start(kind, &world);
    let commit = world.push_to("site", "index.html", "two", HOSTILE);
    let answer = server.post(&world.push_delivery(&commit));
    assert_eq!(answer.status, 200, "{answer:#?}");
    world.settle();

    // What is listened for can be heard.
    let control = look(&world, &format!("{}/cgi-bin/control.cgi", server.address()));
    assert!(
        control.console.iter().any(|line| line.contains("heard")),
        "{control:#?}"
    );
    assert!(
        control
            .asked
            .iter()
            .any(|url| url.contains("elsewhere.invalid")),
        "{control:#?}"
    );

    let address = format!(
        "{}/cgi-bin/deploy.cgi?key={}",
        server.address(),
        page_key(SECRET)
    );
    let page = look(&world, &address);
    assert_eq!(
        (page.console.as_slice(), page.asked.as_slice()),
        ([].as_slice(), [address].as_slice())
    );
    assert!(
        page.dom.contains("<h1 class=\"deployed\">Live</h1>"),
        "{}",
        page.dom
    );
    let shown = "&lt;script src=\"http://elsewhere.invalid/x.js\"&gt;&lt;/script&gt;&lt;img \
                 src=http://elsewhere.invalid/x.png onerror=console.error(1)&gt; \\u{202e}x</p>";
    assert!(page.dom.contains(shown), "{}", page.dom);
    assert!(
        !page.dom.contains("<script") && !page.dom.contains("<img"),
        "{}",
        page.dom
    );
}

#[test]
#[ignore = "needs chromium and lighttpd: ./tests/run"]
fn the_page_is_shown_by_lighttpd() {
    the_page_is_shown_and_asks_for_nothing_else(Kind::Lighttpd);
}

#[test]
#[ignore = "needs chromium and apache2: ./tests/run"]
fn the_page_is_shown_by_apache() {
    the_page_is_shown_and_asks_for_nothing_else(Kind::ApacheEvent);
}
