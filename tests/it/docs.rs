//! The README and deploy.cgi.example say what is so.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::world::{Spoken, World, plain_folder, quoted, text, write_executable};

fn top(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(top(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The blocks of a text between fences, with the word behind the opening one.
fn fenced(text: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        // In a list the whole block is indented.
        let indent = line.len() - line.trim_start().len();
        if let Some(kind) = line.trim_start().strip_prefix("```") {
            let block: Vec<&str> = lines
                .by_ref()
                .take_while(|line| !line.trim_start().starts_with("```"))
                .map(|line| line.get(indent..).unwrap_or_default())
                .collect();
            blocks.push((kind.trim().to_owned(), block.join("\n")));
        }
    }
    blocks
}

/// The one block of the README that has these words in it.
pub(crate) fn block_with(words: &str) -> String {
    let blocks = fenced(&read("README.md"))
        .into_iter()
        .map(|(_, block)| block);
    let found: Vec<String> = blocks.filter(|block| block.contains(words)).collect();
    assert!(!found.is_empty(), "no block of README.md has {words:?}");
    found.into_iter().next().unwrap()
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
        assert!(
            readme.contains(&format!("`{key}`")),
            "{key} is not in README.md"
        );
    }
}

#[test]
fn the_usage_in_the_readme_is_what_the_program_prints() {
    let world = World::new();
    let help = Spoken::from(world.clean(&world.program).arg("--help").output().unwrap());
    help.expect_exit(0);
    let readme = read("README.md");
    let shown = fenced(&readme)
        .into_iter()
        .any(|(_, block)| block.trim() == help.stdout.trim());
    assert!(shown, "README.md has no block with\n{}", help.stdout);
}

#[test]
fn the_two_commands_of_the_readme_work() {
    let readme = read("README.md");
    let commands: Vec<String> = fenced(&readme)
        .into_iter()
        .filter(|(kind, _)| matches!(kind.as_str(), "sh" | "console" | "bash"))
        .flat_map(|(_, block)| {
            block
                .lines()
                .map(|line| line.trim_start_matches("$ ").to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    // Building again would take minutes: the program is here, and these tests are running.
    for command in ["cargo run --release -- demo", "./tests/run"] {
        assert!(
            commands.iter().any(|line| line.starts_with(command)),
            "{command} is not in {commands:#?}"
        );
    }
    assert!(top("tests/run").exists());
    let world = World::new();
    Spoken::from(world.clean(&world.program).arg("demo").output().unwrap()).expect_exit(0);
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
    let readme = read("README.md");
    let block = fenced(&readme)
        .into_iter()
        .map(|(_, block)| block)
        .find(|block| block.contains("X-Hub-Signature-256") && block.contains("deployed"))
        .expect("a block with the demo's output");
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

#[test]
#[ignore = "needs openssl: ./tests/run"]
fn the_set_up_of_the_readme_makes_a_site_that_deploys() {
    let world = World::new();
    // As the README has it, `/home/me` has no blank in it.
    let folder = plain_folder();
    let home = text(folder.path());
    let here = |block: &str| {
        block
            .replace(
                "https://github.com/me/blog.git",
                &world.origin.url("me/site.git"),
            )
            .replace("/home/me/bin/deploy-cgi", &text(&world.program))
            .replace("/home/me", &home)
    };
    let run = |block: &str| {
        let mut shell = world.clean("/bin/sh");
        shell.env("HOME", &home).args(["-e", "-c", &here(block)]);
        let spoken = Spoken::from(shell.output().unwrap());
        spoken.expect_exit(0);
    };
    run(&block_with(
        "git clone --recurse-submodules https://github.com/me/blog.git /home/me/blog",
    ));
    run(&block_with("openssl rand -hex 32 >~/.config"));
    let secret_file = folder.path().join(".config/deploy-cgi/secret.txt");
    let mode = fs::metadata(&secret_file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let three_lines = block_with("repo = \"/home/me/blog\"");
    assert!(
        three_lines.starts_with("#!/home/me/bin/deploy-cgi\n"),
        "{three_lines}"
    );
    let site = world.path("cgi-bin/readme.cgi");
    // Not a word of the README's, but the tests keep away from your own git configuration.
    let shield = format!("\nenv = {}\n", world.shield(""));
    write_executable(&site, &(here(&three_lines) + &shield));
    world.verb_of(&site, &["check"]).expect_exit(0);
    let commit = world.push("two");
    let secret = fs::read_to_string(secret_file).unwrap();
    let delivery = world
        .push_delivery(&commit)
        .signed_with(secret.trim_end().as_bytes());
    delivery.through(&site).send().expect(200, "deployed");
    assert_eq!(
        fs::read_to_string(folder.path().join("blog/index.html")).unwrap(),
        "two"
    );
}
