//! The README, the pages in docs/ and deploy.cgi.example say what is so.
//!
//! A block marked `sh` runs as it stands in the project's folder. One marked `text` has names of your host in it: tests
//! run it with names of their own. Each block of each page is used by a test, or is in `NOT_RUN` with the reason.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::tidy::sources;
use crate::world::{Spoken, World, copy_executable, plain_folder, quoted, text, write_executable};

/// What a person reads.
const PAGES: &[&str] = &[
    "README.md",
    "CONTRIBUTING.md",
    "docs/deploys.md",
    "docs/private-repositories.md",
    "docs/security.md",
    "docs/servers.md",
    "docs/troubleshooting.md",
];

/// A README is read in one sitting.
const MAX_README_LINES: usize = 250;

/// Keys that are of no use alone, and what they need.
const NEEDS: &[(&str, &str)] = &[
    ("live_text", "live = \"https://example.org/\""),
    ("github_context", "github_token_file = \"/token.txt\""),
    ("github_api", "github_token_file = \"/token.txt\""),
];

/// Blocks that no test runs: words in them, and why not.
const NOT_RUN: &[(&str, &str)] = &[
    ("cargo build --release", "would build again what is tested"),
    (
        "ssh-keygen -t ed25519 -f blog",
        "asks a person for a passphrase",
    ),
    ("ssh-keygen -t ed25519 -N ''", "clones from github.com"),
    (
        "git -C ~/blog fetch origin",
        "asks a person for the login; the two files that it writes are tested",
    ),
    ("NOPASSWD", "would change what users of the host may do"),
    (
        "rustup target add",
        "needs another target of Rust; the workflow in .github builds it",
    ),
    (".ci/run", "would run these tests"),
    ("cargo test", "would run these tests, or for an hour"),
    ("./tests/run", "would run these tests"),
    ("cargo bench", "measures, and takes minutes"),
];

fn top(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(top(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A block between fences, with the word behind the opening one.
struct Block {
    page: &'static str,
    kind: String,
    text: String,
}

fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    for &page in PAGES {
        let all = read(page);
        let mut lines = all.lines();
        while let Some(line) = lines.next() {
            // In a list the whole block is indented.
            let indent = line.len() - line.trim_start().len();
            if let Some(kind) = line.trim_start().strip_prefix("```") {
                let block: Vec<&str> = lines
                    .by_ref()
                    .take_while(|line| !line.trim_start().starts_with("```"))
                    .map(|line| line.get(indent..).unwrap_or_default())
                    .collect();
                blocks.push(Block {
                    page,
                    kind: kind.trim().to_owned(),
                    text: block.join("\n"),
                });
            }
        }
    }
    blocks
}

/// The one block of all pages that has these words in it.
#[track_caller]
pub(crate) fn block_with(words: &str) -> String {
    let mut found = blocks();
    found.retain(|block| block.text.contains(words));
    let pages: Vec<_> = found.iter().map(|block| block.page).collect();
    assert_eq!(pages.len(), 1, "blocks with {words:?}: {pages:?}");
    found.remove(0).text
}

/// The keys that a site file sets, also those that it shows behind a `#`.
fn keys(example: &str) -> Vec<String> {
    let mut keys = Vec::new();
    for line in example.lines() {
        let line = line.trim_start_matches(['#', ' ']);
        if let Some((key, _)) = line.split_once(" = ") {
            let is_key = !key.is_empty()
                && key
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            if is_key && !keys.contains(&key.to_owned()) {
                keys.push(key.to_owned());
            }
        }
    }
    keys
}

/// The keys that the program knows: it lists them when it meets another one.
fn known_keys(world: &World) -> Vec<String> {
    let path = world.path("cgi-bin/unknown.cgi");
    world.write_site(&path, "no_such_key = 1\n");
    let said = world.verb_of(&path, &["check"]).all();
    let listed = said
        .split("the keys are ")
        .nth(1)
        .unwrap_or_else(|| panic!("{said}"));
    let listed = listed.lines().next().unwrap();
    listed
        .split(", ")
        .map(|key| key.trim_matches(['`', '.', ' ']).to_owned())
        .collect()
}

#[test]
fn the_example_is_a_site_file_that_deploys() {
    let world = World::new();
    let example = read("deploy.cgi.example");
    assert!(
        example.starts_with("#!/"),
        "it begins with the line for the kernel"
    );
    let mut settings = String::new();
    for line in example.lines().skip(1) {
        let path = match line.split_once(" = ").map(|(key, _)| key) {
            Some("repo") => world.checkout(),
            Some("secret_file") => world.path("secret.txt"),
            _ => {
                writeln!(settings, "{line}").unwrap();
                continue;
            }
        };
        let key = line.split(' ').next().unwrap();
        writeln!(settings, "{key} = {}", quoted(&text(&path))).unwrap();
    }
    // Before the first table, if there is one.
    let shield = format!("env = {}\n", world.shield(""));
    assert!(
        !settings
            .lines()
            .any(|line| line.starts_with("env") || line.starts_with("[env"))
    );
    world.write_site(&world.site_file(), &(shield + &settings));
    world.verb(&["check"]).expect_exit(0);
    let (commit, post) = world.push_with_post("two");
    world.push_delivery(&commit).send().expect(200, "deployed");
    assert_eq!((world.head(), world.submodule_head()), (commit, post));
}

#[test]
fn the_example_shows_every_key_and_each_of_them_parses() {
    let world = World::new();
    let example = read("deploy.cgi.example");
    let mut shown = keys(&example);
    let mut known = known_keys(&world);
    shown.sort();
    known.sort();
    assert_eq!(shown, known);
    // What stands behind a `#` is as right as what does not.
    for line in example.lines().filter(|line| line.starts_with('#')) {
        let line = line.trim_start_matches('#').trim_start();
        let Some((key, _)) = line.split_once(" = ") else {
            continue;
        };
        if !known.iter().any(|name| name == key) || matches!(key, "repo" | "secret_file") {
            continue;
        }
        let mut settings: String = world
            .settings()
            .lines()
            .filter(|line| !line.starts_with(key))
            .fold(String::new(), |all, line| all + line + "\n");
        writeln!(settings, "{line}").unwrap();
        for (_, needed) in NEEDS.iter().filter(|(name, _)| *name == key) {
            writeln!(settings, "{needed}").unwrap();
        }
        let path = world.path("cgi-bin/one.cgi");
        world.write_site(&path, &settings);
        let reply = world.delivery("star", "{}").through(&path).send();
        assert_eq!(
            (reply.status, reply.first_word()),
            (200, "ignored"),
            "{line}: {reply:?}"
        );
    }
}

#[test]
fn the_readme_explains_every_key() {
    let readme = read("README.md");
    for key in known_keys(&World::new()) {
        let mut rows = readme.lines().filter(|line| line.starts_with("| `"));
        let has_row = rows.any(|row| {
            let names = row.split(" | ").next().unwrap();
            names.contains(&format!("`{key}`"))
        });
        assert!(has_row, "{key} is not in the table of README.md");
    }
}

#[test]
fn the_usage_in_the_readme_is_what_the_program_prints() {
    let world = World::new();
    let help = Spoken::from(world.clean(&world.program).arg("-h").output().unwrap());
    help.expect_exit(0);
    let shown = block_with("Usage: ./deploy.cgi [VERB]");
    assert_eq!(shown.trim(), help.stdout.trim());
}

#[test]
fn the_two_commands_of_the_readme_work() {
    // Building again would take minutes: the program is here, and these tests are running.
    let commands = block_with("cargo run --release -- demo\n./tests/run");
    assert_eq!(commands.lines().count(), 2, "{commands}");
    let mode = fs::metadata(top("tests/run")).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0o111);
    let world = World::new();
    Spoken::from(world.clean(&world.program).arg("demo").output().unwrap()).expect_exit(0);
}

#[test]
fn the_readme_is_read_in_one_sitting() {
    let lines = read("README.md").lines().count();
    assert!(lines <= MAX_README_LINES, "{lines} lines");
}

#[test]
fn the_pages_name_the_oldest_rust_that_the_manifest_names() {
    let manifest = read("Cargo.toml");
    let rust = manifest.split("\nrust-version = \"").nth(1).unwrap();
    let rust = rust.split('"').next().unwrap();
    for page in ["README.md", "CONTRIBUTING.md"] {
        assert!(
            read(page).contains(rust),
            "{page} does not name Rust {rust}"
        );
    }
}

#[test]
fn every_page_is_known_here() {
    let pages = fs::read_dir(top("docs")).unwrap().map(|entry| {
        let name = entry.unwrap().file_name();
        format!("docs/{}", name.to_str().unwrap())
    });
    let known = PAGES.iter().filter(|page| page.starts_with("docs/"));
    assert_eq!(
        pages.collect::<BTreeSet<_>>(),
        known.map(|&page| page.to_owned()).collect()
    );
}

/// The address that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .collect::<String>();
    kept.replace(' ', "-")
}

#[test]
fn every_link_between_the_pages_leads_somewhere() {
    let mut links = 0;
    for page in PAGES {
        let folder = top(page).parent().unwrap().to_owned();
        let all = read(page);
        for target in all.split("](").skip(1) {
            let target = target.split(')').next().unwrap();
            if target.starts_with("https://") {
                continue;
            }
            links += 1;
            let (file, part) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() {
                top(page)
            } else {
                folder.join(file)
            };
            assert!(file.exists(), "{page}: {target}");
            if !part.is_empty() {
                let text = fs::read_to_string(&file).unwrap();
                let headings = text
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .map(|line| anchor(line.trim_start_matches('#').trim()));
                assert!(
                    headings.collect::<Vec<_>>().contains(&part.to_owned()),
                    "{page}: {target}"
                );
            }
        }
    }
    assert!(links > 20, "only {links} links were found");
}

/// Whoever reads an answer looks for its words here.
#[test]
fn the_words_that_troubleshooting_quotes_are_those_of_the_program() {
    let sources = sources("src").into_values().collect::<String>();
    // A text that goes over several lines goes on behind the blanks of the next.
    let said = sources
        .split("\\\n")
        .map(str::trim_start)
        .collect::<String>();
    let page = read("docs/troubleshooting.md");
    let mut quoted = 0;
    for row in page.lines() {
        let cells: Vec<&str> = row.split(" | ").collect();
        let &[_, word, meaning] = cells.as_slice() else {
            continue;
        };
        if !word.starts_with('`') {
            continue;
        }
        for words in meaning.split('"').skip(1).step_by(2) {
            quoted += 1;
            assert!(
                said.contains(words),
                "the program does not say {words:?}: {row}"
            );
        }
    }
    assert!(quoted > 10, "only {quoted} were found");
}

/// What the tests look for with `block_with`.
fn words_looked_for() -> Vec<String> {
    let mut words = Vec::new();
    for source in sources("tests/it").into_values() {
        for call in source.split("block_with(").skip(1) {
            let Some(literal) = call.trim_start().strip_prefix('"') else {
                continue;
            };
            let (mut text, mut chars) = (String::new(), literal.chars());
            while let Some(c) = chars.next().filter(|c| *c != '"') {
                match c {
                    '\\' => match chars.next().unwrap() {
                        'n' => text.push('\n'),
                        other => text.push(other),
                    },
                    c => text.push(c),
                }
            }
            words.push(text);
        }
    }
    words
}

#[test]
fn every_block_is_used_by_a_test_or_says_why_not() {
    let used = words_looked_for();
    let blocks = blocks();
    for block in &blocks {
        let is_used = used.iter().any(|words| block.text.contains(words))
            || NOT_RUN.iter().any(|(words, _)| block.text.contains(words));
        assert!(is_used, "{}, {}:\n{}", block.page, block.kind, block.text);
    }
    for (words, why) in NOT_RUN {
        assert!(
            blocks.iter().any(|block| block.text.contains(words)),
            "no page has {words:?}, which {why}"
        );
    }
}

#[test]
fn the_demos_output_in_the_readme_is_what_it_prints() {
    let world = World::new();
    let demo = Spoken::from(world.clean(&world.program).arg("demo").output().unwrap());
    let printed: Vec<String> = world
        .plain(&demo.stdout)
        .lines()
        .map(str::to_owned)
        .collect();
    let block = block_with("4. What deploy.cgi answers");
    // Ids, times and temporary names differ; the words do not.
    let words = |line: &str| -> Vec<String> {
        line.split_whitespace()
            .filter(|word| word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_alphabetic()))
            .map(str::to_owned)
            .collect()
    };
    let printed: Vec<Vec<String>> = printed.iter().map(|line| words(line)).collect();
    for line in world
        .plain(&block)
        .lines()
        .filter(|line| !line.starts_with("$ ") && line.trim() != "…")
    {
        assert!(
            printed.contains(&words(line)),
            "the demo does not print {line:?}:\n{}",
            demo.stdout
        );
    }
}

#[test]
fn the_interpreter_line_may_end_like_on_windows() {
    let world = World::new();
    // The kernel would look for a program with a carriage return in its name, so only the rest
    // of the file may have them.
    let settings = world.settings().replace('\n', "\r\n");
    let head = format!("#!{}\n", text(&world.program));
    write_executable(&world.site_file(), &(head + &settings));
    world.delivery("star", "{}").send().expect(200, "ignored");
}

/// A home in a folder without a blank, as all paths of the pages are, and words of theirs said for it.
struct Home {
    folder: tempfile::TempDir,
    world: World,
}

impl Home {
    fn new() -> Home {
        let (folder, world) = (plain_folder(), World::new());
        let home = Home { folder, world };
        fs::create_dir_all(home.path("bin")).unwrap();
        fs::create_dir_all(home.path("public_html/cgi-bin")).unwrap();
        copy_executable(&home.world.program, &home.path("bin/deploy-cgi"));
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The words with this home in them, and with the world's upstream.
    fn here(&self, words: &str) -> String {
        let url = self.world.origin.url("me/site.git");
        words
            .replace("https://github.com/me/blog.git", &url)
            .replace("/home/me", &text(self.folder.path()))
            .replace(
                "/usr/local/bin/deploy-cgi",
                &text(&self.path("bin/deploy-cgi")),
            )
            .replace("/srv/", &text(&self.path("srv/")))
            .replace("/etc/deploy-cgi", &text(&self.path("etc")))
    }

    fn run(&self, words: &str) -> Spoken {
        let mut shell = self.world.clean("/bin/sh");
        shell.env("HOME", self.folder.path());
        shell.current_dir(self.folder.path());
        Spoken::from(
            shell
                .args(["-e", "-c", &self.here(words)])
                .output()
                .unwrap(),
        )
    }

    /// Not a word of the pages, but the tests keep away from your own git configuration.
    fn shield(&self, site: &Path) {
        let written = fs::read_to_string(site).unwrap();
        let shield = format!("env = {}\n", self.world.shield(""));
        write_executable(site, &format!("{}\n{shield}", written.trim_end()));
    }

    /// A push is brought into this checkout.
    #[track_caller]
    fn deploys(&self, site: &Path, secret: &Path, checkout: &str) {
        let secret = fs::read_to_string(secret).unwrap();
        let commit = self.world.push("two");
        let delivery = self.world.push_delivery(&commit);
        let delivery = delivery.signed_with(secret.trim_end().as_bytes());
        delivery.through(site).send().expect(200, "deployed");
        let live = fs::read_to_string(self.path(checkout).join("index.html"));
        assert_eq!(live.unwrap(), "two");
    }
}

#[test]
fn the_five_steps_of_the_readme_make_a_site_that_deploys() {
    let home = Home::new();
    let secret = home.path(".config/deploy-cgi/secret.txt");
    fs::create_dir_all(secret.parent().unwrap()).unwrap();
    fs::write(&secret, "0123456789abcdefghijklmnopqrstuvwxyz0123").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let site = home.path("public_html/cgi-bin/deploy.cgi");
    write_executable(
        &site,
        &home.here(&block_with("clone = \"https://github.com/me/blog.git\"")),
    );
    home.shield(&site);
    let browser = home.world.delivery("star", "").through(&site).bare("GET");
    browser.send().expect(200, "ready");
    let ping = home.world.ping_delivery();
    let ping = ping.signed_with(b"0123456789abcdefghijklmnopqrstuvwxyz0123");
    ping.through(&site).send().expect(200, "pong");
    home.deploys(&site, &secret, "blog");
}

#[test]
fn the_three_commands_of_the_readme_make_a_site_that_deploys() {
    let home = Home::new();
    let (site, secret) = ("public_html/cgi-bin/deploy.cgi", "secret.txt");
    let block = block_with("bin/deploy-cgi init --url");
    let commands: Vec<&str> = block.lines().collect();
    let &[clone, init, check] = commands.as_slice() else {
        panic!("{commands:#?}");
    };
    home.run(clone).expect_exit(0);
    // What `init` finds in the home of whoever runs the tests is none of ours.
    let named = format!("init --repo ~/blog --secret-file ~/{secret} ~/{site} ");
    home.run(&init.replace("init ", &named)).expect_exit(0);
    home.shield(&home.path(site));
    home.run(check).expect_exit(0);
    home.deploys(&home.path(site), &home.path(secret), "blog");
}

#[test]
#[ignore = "needs php-cgi: ./tests/run"]
fn a_site_behind_php_is_made_by_one_command() {
    let home = Home::new();
    home.run(&block_with("me/blog.git /home/me/blog"))
        .expect_exit(0);
    let (site, secret) = ("deploy.cgi", "secret.txt");
    // What `init` finds in the home of whoever runs the tests is none of ours.
    let command = block_with("deploy-cgi init --php")
        .replace("--php", &format!("--php --secret-file ~/{secret}"))
        .replace("deploy-cgi init", "~/bin/deploy-cgi init");
    let init = home.run(&command);
    init.expect_exit(0);
    assert_eq!(init.stdout, "");
    init.says("Payload URL       https://example.org/deploy.php\n");
    home.shield(&home.path(site));
    let php = home.path("public_html/deploy.php");
    let expected = read("src/cmd/deploy.php").replace("/home/me/", &text(&home.path("")));
    assert_eq!(fs::read_to_string(&php).unwrap(), expected);
    let entrance = home.path("entrance");
    // php-cgi leaves the status out where it is 200.
    let start = format!(
        "SCRIPT_FILENAME={} REDIRECT_STATUS=1 exec php-cgi",
        text(&php)
    );
    let script = format!("#!/bin/sh\nprintf 'Status: 200 OK\\r\\n'\n{start}\n");
    write_executable(&entrance, &script);
    home.deploys(&entrance, &home.path(secret), "blog");
    // A site that is there is left as it is.
    let again = home.run(&command);
    again.expect_exit(0);
    assert_eq!(again.all(), "");
    assert_eq!(fs::read_to_string(&php).unwrap(), expected);
}

#[test]
#[ignore = "needs openssl: ./tests/run"]
fn the_files_by_hand_make_a_site_that_deploys() {
    let home = Home::new();
    home.run(&block_with("me/blog.git /home/me/blog"))
        .expect_exit(0);
    home.run(&block_with("openssl rand -hex 32 >~/.config"))
        .expect_exit(0);
    let secret = home.path(".config/deploy-cgi/secret.txt");
    let mode = fs::metadata(&secret).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let site = home.path("public_html/cgi-bin/deploy.cgi");
    write_executable(
        &site,
        &home.here(&block_with("repo = \"/home/me/blog\"\nsecret_file")),
    );
    home.shield(&site);
    home.world.verb_of(&site, &["check"]).expect_exit(0);
    home.deploys(&site, &secret, "blog");
}

#[test]
#[ignore = "needs openssl: ./tests/run"]
fn the_files_of_your_own_server_make_a_site_that_deploys() {
    let home = Home::new();
    // Whoever runs the tests takes the place of the server's user.
    let commands = block_with("sudo install -d -o www-data")
        .replace("sudo -u www-data ", "")
        .replace("sudo ", "")
        .replace("-o www-data ", "");
    home.run(&commands).expect_exit(0);
    let site = home.path("public_html/cgi-bin/deploy.cgi");
    write_executable(&site, &home.here(&block_with("repo = \"/srv/blog\"")));
    home.shield(&site);
    home.world.verb_of(&site, &["check"]).expect_exit(0);
    home.deploys(&site, &home.path("etc/secret.txt"), "srv/blog");
}

#[test]
fn the_readmes_cron_line_mails_only_what_failed() {
    let home = Home::new();
    let line = block_with("*/15 * * * *");
    let command = line.strip_prefix("*/15 * * * * ").unwrap();
    let site = home.path("public_html/cgi-bin/deploy.cgi");
    home.world.write_site(&site, &home.world.settings());
    let quiet = home.run(command);
    quiet.expect_exit(0);
    assert_eq!(quiet.all(), "");
    home.world
        .git(&home.world.checkout(), &["checkout", "-q", "--detach"]);
    let mail = home.run(command);
    assert!(mail.stdout.starts_with("failed at "), "{mail:?}");
}

#[test]
fn the_settings_shown_on_the_pages_are_taken() {
    let world = World::new();
    for settings in [
        block_with("clone = \"git@github.com:me/blog.git\""),
        block_with("env = { NODE_ENV"),
        block_with("ssh_keys = {"),
    ] {
        let path = world.path("cgi-bin/shown.cgi");
        let needed = world.settings();
        let needed = needed.lines().filter(|line| !line.starts_with("env"));
        world.write_site(
            &path,
            &(needed.collect::<Vec<_>>().join("\n") + "\n" + &settings),
        );
        let reply = world.delivery("star", "{}").through(&path).send();
        reply.expect(200, "ignored");
    }
}

#[test]
fn a_token_in_gits_files_opens_a_private_repository() {
    let world = World::new();
    let home = world.path("home");
    let login = block_with("https://me:THE-TOKEN@github.com")
        .replace("https://", "http://")
        .replace("THE-TOKEN", "s3cr3tt0ken")
        .replace("github.com", &world.origin.host());
    fs::write(home.join(".git-credentials"), login + "\n").unwrap();
    fs::write(home.join(".gitconfig"), block_with("[credential]")).unwrap();
    let url = world.origin.url("auth/me/site.git");
    world.git(&world.checkout(), &["remote", "set-url", "origin", &url]);
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "deployed");
    assert_eq!(world.head(), commit);
}

#[test]
#[ignore = "needs ssh: ./tests/run"]
fn each_submodule_gets_the_key_that_the_pages_give_it() {
    let world = World::new();
    let (ssh, git) = (world.path("ssh_config"), world.path("home/both.gitconfig"));
    fs::write(&ssh, block_with("Host github-posts")).unwrap();
    fs::write(&git, block_with("[url \"git@github-posts:me/posts.git\"]")).unwrap();
    for url in [
        "git@github.com:me/posts.git",
        "https://github.com/me/posts.git",
    ] {
        let mut asked = world.clean("git");
        let include = format!("include.path={}", text(&git));
        let asked = asked.args(["-c", &include, "ls-remote", "--get-url", url]);
        let spoken = Spoken::from(asked.output().unwrap());
        assert_eq!(spoken.stdout.trim_end(), "git@github-posts:me/posts.git");
    }
    for (host, key) in [("github.com", "blog"), ("github-posts", "posts")] {
        let mut asked = world.clean("ssh");
        let spoken = Spoken::from(
            asked
                .args(["-G", "-F", &text(&ssh), host])
                .output()
                .unwrap(),
        );
        let says = |line: &str| spoken.stdout.lines().any(|said| said == line);
        assert!(says("hostname github.com"), "{spoken:?}");
        assert!(says("identitiesonly yes"), "{spoken:?}");
        let keys = spoken
            .stdout
            .lines()
            .filter(|line| line.starts_with("identityfile "));
        assert_eq!(
            keys.collect::<Vec<_>>(),
            [format!("identityfile ~/.ssh/{key}")]
        );
    }
}
