//! A deploy has succeeded when the site answers.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use crate::docs::block_with;
use crate::world::{World, write_executable};

/// A site on the loopback address that gives its answers one after the other, and the last one for good.
struct Site {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Site {
    fn answering(answers: &[&str]) -> Site {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answers: Vec<String> = answers.iter().map(|&answer| answer.to_owned()).collect();
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut answers = answers.iter();
            let mut last = "";
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let head: Vec<String> = lines
                    .map_while(Result::ok)
                    .take_while(|line| !line.is_empty())
                    .collect();
                log.lock().unwrap().push(head.join("\n"));
                last = answers.next().map_or(last, String::as_str);
                let (head, body) = last.split_once('|').unwrap_or((last, ""));
                let head = head.replace('\n', "\r\n");
                let answer = format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n{body}");
                // Whoever asked may have left.
                let _left = stream.write_all(answer.as_bytes());
            }
        });
        Site { port, asked }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/page", self.port)
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn world_with(site: &Site) -> World {
    let mut world = World::new();
    world.key("live", &format!("\"{}\"", site.url()));
    world
}

#[test]
#[ignore = "needs curl: ./tests/run"]
fn a_site_that_answers_well_is_deployed_and_one_that_does_not_has_failed() {
    let site = Site::answering(&[
        "200 OK",
        "503 Service Unavailable|<h1>Down\u{1b}[2J for\nnow</h1>",
    ]);
    let mut world = world_with(&site);
    world.key("on_update", "\"echo x >>../ran\"");
    let first = world.push("two");
    let reply = world.push_delivery(&first).send();
    reply.expect(200, "deployed");
    reply.says("\nlive       0.");
    assert_eq!(site.asked(), 1);
    // Nothing new is not asked about.
    world.push_delivery(&first).send().expect(200, "unchanged");
    assert_eq!(site.asked(), 1);
    let second = world.push("three");
    let reply = world.push_delivery(&second).send();
    reply.expect(500, "failed");
    reply.says(&format!(
        "failed at live: deployed, but {} answers 503\n\nWhat to do: mend the site, then press Redeliver: it is asked \
         again. Or bring back what was live before:\n    ",
        site.url()
    ));
    reply.says("cgi-bin/deploy.cgi' back\n\nit said:\n  <h1>Down\\u{1b}[2J for now</h1>\n");
    assert!(
        site.asked() > 2,
        "asked again for a while: {}",
        site.asked()
    );
    assert_eq!(world.head(), second);
    let ran = world.read("ran").lines().count();
    world.push_delivery(&second).send().expect(500, "failed");
    assert_eq!(
        world.read("ran").lines().count(),
        ran + 1,
        "as on_update is run again"
    );
    // What was live before can be brought back, and is asked about, too.
    let back = world.verb(&["back"]);
    back.expect_exit(1);
    back.says("failed at live: deployed, but");
    assert_eq!(world.head(), first);
    world.key("live", "\"http://127.0.0.1:9/\"");
    let released = world.verb(&["release"]);
    released.says("does not answer: Failed to connect to 127.0.0.1 port 9");
}

#[test]
#[ignore = "needs curl: ./tests/run"]
fn a_site_may_need_a_moment_and_a_text_is_looked_for() {
    let site = Site::answering(&["503 No", "200 OK|not yet", "200 OK|Welcome to it"]);
    let mut world = world_with(&site);
    world.key("live_text", "\"Welcome\"");
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "deployed");
    assert_eq!(site.asked(), 3);
    world.key("live_text", "\"Never\"");
    let commit = world.push("three");
    let reply = world.push_delivery(&commit).send();
    reply.expect(500, "failed");
    reply.says("answers 200 without the text of `live_text`");
}

#[test]
#[ignore = "needs curl: ./tests/run"]
fn redirects_are_followed_on_the_same_host_only() {
    let site = Site::answering(&["301 Moved\nLocation: /other?a=b", "200 OK"]);
    let world = world_with(&site);
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "deployed");
    let asked = site.asked.lock().unwrap().clone();
    assert!(
        asked[1].starts_with("GET /other?a=b HTTP/1.1\n"),
        "{asked:?}"
    );
    for (location, told) in [
        (
            "https://www.example.org/",
            "redirects to https://www.example.org/, which is another host: let the key `live` name it",
        ),
        ("file:///etc/passwd", "redirects to file:///etc/passwd\n"),
        ("http://example.org/", "redirects to http://example.org/\n"),
        ("/page", "redirects again and again"),
    ] {
        let site = Site::answering(&[&format!("302 Found\nLocation: {location}")]);
        let world = world_with(&site);
        let commit = world.push("two");
        let reply = world.push_delivery(&commit).send();
        reply.expect(500, "failed");
        reply.says(told);
    }
}

#[test]
#[ignore = "needs curl: ./tests/run"]
fn a_page_without_end_is_read_at_its_beginning() {
    let long = format!("200 OK|Welcome{}", "x".repeat(3 << 20));
    let site = Site::answering(&[&long]);
    let mut world = world_with(&site);
    world.key("live_text", "\"Welcome\"");
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "deployed");
}

/// curl is started without its own settings, and with nothing on its command line that others need not see.
#[test]
fn curl_is_told_everything_on_its_standard_input() {
    let mut world = World::new();
    world.key("live", "\"https://example.org/a b?c=d\"");
    let folder = world.path("bin");
    std::fs::create_dir_all(&folder).unwrap();
    write_executable(
        &folder.join("curl"),
        "#!/bin/sh\ncd \"${0%/*}\"\nprintf '%s\\n' \"$@\" >arguments\ncat >options\nprintf 'HTTP/2 204 \\r\\n\\r\\n'\n",
    );
    let path = format!("{}:{}", folder.display(), crate::world::search_path());
    world.key("path", &crate::world::quoted(&path));
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "deployed");
    assert_eq!(world.read("bin/arguments"), "-q\n--config\n-\n");
    let options = world.read("bin/options");
    let max_time = options
        .lines()
        .find(|line| line.starts_with("max-time"))
        .unwrap();
    assert_eq!(
        options.replace(max_time, "max-time"),
        "silent\nshow-error\ninclude\nproto = \"=https\"\nmax-time\nurl = \"https://example.org/a%20b?c=d\"\n"
    );
}

#[test]
fn without_curl_check_says_so() {
    let mut world = World::new();
    let block = block_with("live = ");
    let (live, text) = block.trim().split_once('\n').unwrap();
    world.key("live", live.strip_prefix("live = ").unwrap());
    world.key("live_text", text.strip_prefix("live_text = ").unwrap());
    let git = crate::world::search_path();
    let folder = world.path("only-git");
    std::fs::create_dir_all(&folder).unwrap();
    for program in ["git", "ssh"] {
        let found = std::env::split_paths(&git)
            .map(|folder| folder.join(program))
            .find(|path| path.exists());
        if let Some(found) = found {
            std::os::unix::fs::symlink(found, folder.join(program)).unwrap();
        }
    }
    world.key("path", &crate::world::quoted(&folder.display().to_string()));
    let check = world.verb(&["check"]);
    check.expect_exit(1);
    check.says("PROBLEM  live          there is no curl here to ask it");
    world.key("path", &crate::world::quoted(&git));
    world.key("live", "\"http://example.org/\"");
    world
        .verb(&["check"])
        .says("`live` has to be an https address");
}
