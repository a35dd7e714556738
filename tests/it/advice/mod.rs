//! Every failure is a sentence with its fix: each test provokes one for real and compares what
//! is told. Where it can be mended on the host, the printed commands are run as they stand, and
//! then the deploy succeeds.

mod branches;
mod doctor;
mod files;
mod hosts;
mod init;
mod remotes;
mod repositories;
mod ssh;
mod ssh_keys;
mod submodules;
mod verbs;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::process::wait_until_quiet;
use crate::world::{Reply, World};

/// What a failed deploy says: why, and what to do.
struct Told {
    cause: String,
    words: String,
    commands: Vec<String>,
}

impl Told {
    /// Out of a report.
    #[track_caller]
    fn parse(report: &str) -> Told {
        let (head, rest) = report
            .split_once("\n\nWhat to do: ")
            .unwrap_or_else(|| panic!("no advice: {report}"));
        let advice = rest.split("\n\n").next().unwrap();
        let mut lines = advice.lines();
        let words = lines.next().unwrap().to_owned();
        let cause = head.split_once(": ").map_or(head, |(_, cause)| cause);
        Told {
            cause: cause.to_owned(),
            words,
            commands: lines
                .map(|line| line.strip_prefix("    ").unwrap_or(line).to_owned())
                .collect(),
        }
    }

    /// As one text to compare, with what differs from host to host taken out.
    fn plain(&self, world: &World) -> String {
        plain(world, &self.text().replace("$ sudo ", "$ "))
    }

    fn text(&self) -> String {
        let mut all = format!("{}\n-> {}\n", self.cause, self.words);
        for command in &self.commands {
            writeln!(all, "$ {command}").unwrap();
        }
        all
    }

    /// The commands are typed, one after the other, as they stand. Returns what the last one prints.
    #[track_caller]
    fn typed(&self, shell: impl Fn(&str) -> Output) -> String {
        let mut last = String::new();
        for command in &self.commands {
            let output = shell(command);
            assert!(output.status.success(), "{command}: {output:?}");
            last = String::from_utf8(output.stdout).unwrap();
        }
        last
    }

    /// The same by the user whom the site belongs to.
    #[track_caller]
    fn obey(&self, world: &World) {
        self.typed(|command| {
            world
                .shell_of_site()
                .args(["-c", command])
                .output()
                .unwrap()
        });
    }
}

fn plain(world: &World, words: &str) -> String {
    let id = |option: &str| {
        let output = Command::new("id").arg(option).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let user = id("-un");
    let home = fs::read_to_string("/etc/passwd")
        .unwrap()
        .lines()
        .find_map(|line| {
            let fields: Vec<_> = line.split(':').collect();
            (fields[0] == user).then(|| fields[5].to_owned())
        })
        .unwrap_or_default();
    // The world and the program may lie below the home.
    let words = world.plain(words);
    words
        .replace(&format!("{home}/"), "<home>/")
        .replace(&format!(" {home} "), " <home> ")
        .replace(&format!(" {home}\n"), " <home>\n")
        .replace(&format!(" {user} "), " <user> ")
        .replace(&format!(" {user},"), " <user>,")
        .replace(&format!(" {user}\n"), " <user>\n")
}

/// What somebody types, in the folder of the world.
#[track_caller]
fn bring_about(world: &World, commands: &str) {
    let mut shell = world.clean("/bin/sh");
    let output = shell.args(["-ec", commands]).output().unwrap();
    assert!(output.status.success(), "{commands}: {output:?}");
}

#[track_caller]
fn failed(reply: &Reply) -> Told {
    reply.expect(500, "failed");
    Told::parse(&reply.body)
}

#[track_caller]
fn told(world: &World, reply: &Reply, expected: &str) -> Told {
    let told = failed(reply);
    let got = told.plain(world);
    assert_eq!(got.trim(), expected.trim(), "{got}");
    told
}

/// A push fails and says this.
#[track_caller]
fn fails(world: &World, commit: &str, expected: &str) -> Told {
    told(world, &world.push_delivery(commit).send(), expected)
}

/// The form of these tests: a push fails and says this; what it says is done; then the push is deployed. `bring_about` has
/// made it so before.
#[track_caller]
fn is_mended(world: &World, commit: &str, expected: &str) {
    fails(world, commit, expected).obey(world);
    // A worker that is about to end would take the next push, and the answer would say so.
    wait_until_quiet(world);
    let reply = world.push_delivery(commit).send();
    reply.expect(200, "deployed");
    assert_eq!(world.head(), commit, "{reply:#?}");
}

fn set_url(world: &World, url: &str) {
    world.git(&world.checkout(), &["remote", "set-url", "origin", url]);
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
