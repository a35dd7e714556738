//! The manual pages, and the completions in real shells: what is typed, with a TAB behind it, and what the command is
//! then started with.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::{install, output, without_our_package};

const PROGRAM: &str = env!("CARGO_BIN_EXE_deploy-cgi");

/// A folder with the pages, and one in which a person types.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self {
            folder: TempDir::with_prefix("deploy-cgi-desk-").unwrap(),
        };
        fs::create_dir(desk.path("completions")).unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["run", "--quiet", "--locked", "--example", "pages", "--"]);
        cargo.arg(desk.path("")).arg("2026-01-31");
        output(without_our_package(&mut cargo).current_dir(env!("CARGO_MANIFEST_DIR")));
        for folder in ["bin", "here", "here/a folder", "here/www"] {
            fs::create_dir(desk.path(folder)).unwrap();
        }
        fs::write(desk.path("here/a key"), "").unwrap();
        let command = desk.path("command");
        fs::write(
            &command,
            "#!/bin/sh\n(printf '[%s]' \"$@\"; echo) >>\"$OUT\"\n",
        )
        .unwrap();
        for program in ["bin/deploy-cgi", "here/deploy.cgi", "here/www/deploy.cgi"] {
            install(&command, &desk.path(program));
        }
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", self.path("bin").display()),
            )
            .env("HOME", self.path(""))
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("TERM", "xterm")
            .env("OUT", self.path("out"))
            .current_dir(self.path("here"));
        command
    }

    /// Types lines in an interactive shell, and returns what the commands in them were started with.
    fn type_in(&self, shell: &str, lines: &[String]) -> Vec<String> {
        let mut script = self.command("script");
        let script = script.args(["-qec", shell, "/dev/null"]);
        script.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut typing = script.spawn().unwrap();
        let mut keys = typing.stdin.take().unwrap();
        for line in lines {
            writeln!(keys, "{line}").unwrap();
        }
        writeln!(keys, "exit").unwrap();
        drop(keys);
        let screen = typing.wait_with_output().unwrap().stdout;
        let out = fs::read_to_string(self.path("out"));
        assert!(out.is_ok(), "{}", String::from_utf8_lossy(&screen));
        out.unwrap().lines().map(str::to_owned).collect()
    }

    /// Types each word's beginning, and looks for the whole.
    fn check(&self, shell: &str) {
        let mut typed = Vec::new();
        let mut expected = Vec::new();
        for (start, whole) in cases() {
            typed.push(format!("{start}\t"));
            expected.push(whole);
        }
        let found = self.type_in(shell, &typed);
        // zsh ends a name whose value is to follow, and takes the slash of a folder away.
        let without_end = |word: &String| word.replace("=]", "]").replace("/]", "]");
        for ((typed, found), expected) in typed.iter().zip(&found).zip(&expected) {
            let (found, expected) = (without_end(found), without_end(expected));
            assert_eq!(found, expected, "{shell}: {typed:?}");
        }
        assert_eq!(found.len(), expected.len());
    }
}

/// The verbs that `--help` shows, and the long options of each.
fn verbs() -> Vec<(String, Vec<String>)> {
    let ask = |words: &[&str]| output(Command::new(PROGRAM).args(words).env_clear());
    let help = ask(&["--help"]);
    let (_, verbs) = help.split_once("Commands:\n").unwrap();
    let names = verbs.lines().take_while(|line| !line.is_empty());
    let names = names.map(|line| line.split_whitespace().next().unwrap().to_owned());
    let options = |verb: &str| {
        if verb == "help" {
            return Vec::new();
        }
        let help = ask(&[verb, "--help"]);
        let lines = help
            .lines()
            .filter(|line| line.trim_start().starts_with('-'));
        let long = lines.filter_map(|line| Some(format!("--{}", line.split_once("--")?.1)));
        long.map(|option| option.split([' ', '=']).next().unwrap().to_owned())
            .collect()
    };
    names.map(|verb| (verb.clone(), options(&verb))).collect()
}

/// The shortest beginning of a word that no other one has, of options those with two hyphens.
fn beginning<'w>(word: &'w str, all: &[String]) -> &'w str {
    let is_ours = |start: &&str| {
        let others = all.iter().filter(|other| *other != word);
        !others.into_iter().any(|other| other.starts_with(*start))
    };
    let shortest = if word.starts_with("--") { 3 } else { 1 };
    let starts = (shortest..=word.len()).map(|end| &word[..end]);
    starts.into_iter().find(is_ours).unwrap_or(word)
}

/// What is typed before the TAB, and what the command gets.
fn cases() -> Vec<(String, String)> {
    let verbs = verbs();
    assert!(verbs.len() > 6, "{verbs:?}");
    // Site files, where one may stand in the place of a verb.
    let there = ["deploy.cgi", "www/"].map(str::to_owned);
    let names = verbs.iter().map(|(name, _)| name.clone());
    let names: Vec<_> = names.chain(there).collect();
    let mut cases = Vec::new();
    for (verb, options) in &verbs {
        let start = beginning(verb, &names);
        cases.push((format!("./deploy.cgi {start}"), format!("[{verb}]")));
        cases.push((format!("deploy-cgi {start}"), format!("[{verb}]")));
        cases.push((
            format!("deploy-cgi www/deploy.cgi {start}"),
            format!("[www/deploy.cgi][{verb}]"),
        ));
        for option in options {
            let start = beginning(option, options);
            cases.push((
                format!("./deploy.cgi {verb} {start}"),
                format!("[{verb}][{option}]"),
            ));
        }
    }
    let mut more = |start: &str, whole: &str| cases.push((start.to_owned(), whole.to_owned()));
    more("deploy-cgi help sta", "[help][status]");
    more("deploy-cgi ww\tdep", "[www/deploy.cgi]");
    more("deploy-cgi init --repo a", "[init][--repo][a folder/]");
    more("deploy-cgi init --repo=a", "[init][--repo=a folder/]");
    more(
        "deploy-cgi init --ssh-key a\\ k",
        "[init][--ssh-key][a key]",
    );
    more(
        "deploy-cgi init --dry-run ww\tdep",
        "[init][--dry-run][www/deploy.cgi]",
    );
    cases
}

/// As the .deb has it: bash-completion loads the file of a command at the first TAB.
#[test]
#[ignore = "needs bash-completion and a pseudo-terminal: ./tests/run"]
fn bash_completes_every_verb_option_and_path_in_a_terminal() {
    let desk = Desk::new();
    let loaded = desk.path(".local/share/bash-completion/completions");
    fs::create_dir_all(&loaded).unwrap();
    for command in ["deploy-cgi", "deploy.cgi"] {
        fs::copy(
            desk.path("completions/deploy-cgi.bash"),
            loaded.join(command),
        )
        .unwrap();
    }
    let rc = ". /usr/share/bash-completion/bash_completion\n";
    fs::write(desk.path("rc"), rc).unwrap();
    desk.check("bash --rcfile ~/rc -i");
    // Where it is not there, the file is read at the start.
    fs::remove_file(desk.path("out")).unwrap();
    fs::write(desk.path("rc"), ". ~/completions/deploy-cgi.bash\n").unwrap();
    desk.check("bash --rcfile ~/rc -i");
}

#[test]
#[ignore = "needs zsh and a pseudo-terminal: ./tests/run"]
fn zsh_completes_every_verb_option_and_path_in_a_terminal() {
    let desk = Desk::new();
    let rc = "fpath=(~/completions $fpath)\nautoload -U compinit\ncompinit -u -D\n";
    fs::write(desk.path(".zshrc"), rc).unwrap();
    desk.check("zsh -d -i");
}

#[test]
#[ignore = "needs fish: ./tests/run"]
fn fish_completes_every_verb_option_and_path() {
    let desk = Desk::new();
    let config = desk.path("config/fish");
    fs::create_dir_all(&config).unwrap();
    fs::rename(desk.path("completions"), config.join("completions")).unwrap();
    fs::create_dir(config.join("conf.d")).unwrap();
    let of_site_files = config.join("completions/deploy.cgi.fish");
    fs::rename(of_site_files, config.join("conf.d/deploy.cgi.fish")).unwrap();
    for (start, whole) in cases() {
        // A TAB in the middle was answered.
        let start = start.replace("ww\t", "www/");
        let word = whole.rsplit('[').next().unwrap().trim_end_matches(']');
        let mut fish = desk.command("fish");
        let asked = fish.args(["-c", "complete -C \"$argv[1]\"", &start]);
        let found = output(asked);
        let found: Vec<_> = found
            .lines()
            .map(|line| line.split('\t').next().unwrap())
            .collect();
        assert!(found.contains(&word), "{start}: {found:?}");
        assert!(
            found.len() == 1 || word.ends_with('/'),
            "{start}: {found:?}"
        );
    }
}

#[test]
#[ignore = "needs man: ./tests/run"]
fn the_manual_pages_have_every_verb_and_every_key_and_no_mistake() {
    let desk = Desk::new();
    let read = |page: &str| {
        let man = Command::new("man")
            .args(["--warnings=w", "-l"])
            .arg(desk.path(page))
            .env("MANWIDTH", "100")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&man.stderr), "", "{page}");
        String::from_utf8(man.stdout).unwrap()
    };
    let program = read("deploy-cgi.1");
    for (verb, options) in verbs() {
        assert!(
            program.contains(&format!("\n   {verb}\n")),
            "{verb}: {program}"
        );
        for option in options.iter().filter(|option| *option != "--help") {
            assert!(program.contains(option.as_str()), "{verb} {option}");
        }
    }
    for told in [
        "SYNOPSIS\n       ./deploy.cgi [VERB]\n",
        "EXIT STATUS\n",
        "DEPLOY_CGI_SITE",
        "NO_COLOR",
        "status -n 20",
    ] {
        assert!(program.contains(told), "{told}: {program}");
    }
    let site = read("deploy.cgi.5");
    let example =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy.cgi.example"));
    let example = example.unwrap();
    let keys: Vec<_> = example
        .lines()
        .filter_map(|line| line.trim_start_matches("# ").split_once(" = "))
        .filter(|(key, _)| key.bytes().all(|c| c.is_ascii_lowercase() || c == b'_'))
        .collect();
    assert!(keys.len() > 10, "{keys:?}");
    for (key, _) in keys {
        assert!(
            site.contains(&format!("\n       {key} = ")),
            "{key}: {site}"
        );
    }
}
