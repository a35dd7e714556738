//! The checkout's folder: whose it is, whether there is space, and who sees it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Instant;

use rustix::fs::Access;

use super::entrance::web_root;
use super::{Doctor, Health, LOCAL_LIMIT};
use crate::deploy::clone;
use crate::diagnosis::{Cause, owner_of};
use crate::git::{Checkout, Git};
use crate::history::History;
use crate::outcome::Verdict;
use crate::redaction::line_of;
use crate::shell::{give_to, quoted};
use crate::site::read_small;
use crate::state::StateFolder;

/// How many folders are looked at for whether git may write there.
const MAX_FOLDERS: usize = 5_000;

/// Less free space than this fails the next deploy, or one soon, in bytes.
const NO_SPACE: u64 = 1 << 20;
const LITTLE_SPACE: u64 = 100 << 20;

impl Doctor<'_> {
    pub(super) fn checkout(&mut self) {
        const WHAT: &str = "checkout";
        if clone::is_due(self.site) {
            return self.before_the_clone();
        }
        let Some(checkout) = self.findings.known(WHAT, clone::whole_of(self.site)) else {
            return;
        };
        self.findings.ok(WHAT, line_of(&checkout.folder));
        // The host's own files are looked at even where there is no time for the network.
        let until = self.until.max(Instant::now() + LOCAL_LIMIT);
        let git = Git::new(self.site, &checkout, self.env).and_then(|git| git.only_looking(until));
        let git = self.findings.known("git", git);
        if let Some(git) = &git {
            self.write_access(git);
        }
        self.disk_space(&checkout);
        self.seen_from_the_web(&checkout);
        if let Some(git) = &git {
            self.git(git);
        }
        self.state_folder(&checkout);
    }

    /// Before the first checkout is whole. Why an attempt to make it failed, its report says.
    fn before_the_clone(&mut self) {
        const WHAT: &str = "checkout";
        let repo = line_of(&self.site.repo);
        let begun = Checkout::begun(&self.site.repo).ok();
        let state = begun.and_then(|begun| StateFolder::existing(&begun));
        let last = state.and_then(|state| History::of(&state).last().ok().flatten());
        if let Some(last) = last.filter(|last| last.verdict == Verdict::Failed) {
            let why = last.report.lines().next().unwrap_or_default();
            let found = format!("{repo} could not be cloned, {}: {why}", last.time);
            let words = "mend that, then press Redeliver";
            self.findings.problem(WHAT, found, words, []);
        } else {
            let found = format!("{repo} is not there yet");
            let words = "the first push or ping clones it";
            self.findings.warn(WHAT, found, words, []);
        }
    }

    /// Whether git could write what a pull writes, and whether all files are the user's own.
    fn write_access(&mut self, git: &Git<'_>) {
        const WHAT: &str = "write access";
        let (user, checkout) = (self.user, git.checkout);
        let is_closed = |path: &Path, how| rustix::fs::access(path, how).is_err();
        let written = ["FETCH_HEAD", "logs/HEAD", "config"].map(|name| checkout.git_dir.join(name));
        let mut closed = written
            .into_iter()
            .find(|file| file.exists() && is_closed(file, Access::WRITE_OK));
        let mut of_another = None;
        let mut folders = vec![checkout.folder.clone(), checkout.git_dir.clone()];
        for _ in 0..MAX_FOLDERS {
            let Some(folder) = folders.pop() else { break };
            if is_closed(&folder, Access::WRITE_OK | Access::EXEC_OK) {
                closed = Some(folder);
                break;
            }
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let Ok(file) = entry.metadata() else { continue };
                if file.is_dir() && entry.path() != checkout.git_dir {
                    folders.push(entry.path());
                } else if file.is_file() && file.uid() != user.uid {
                    of_another.get_or_insert_with(|| entry.path());
                }
            }
        }
        if let Some(path) = closed {
            let cause = Cause::NotWritable(Some(path));
            let at = self.situation(git, None);
            self.findings.cause(WHAT, Health::Problem, &cause, &at);
        } else if let Some(path) = of_another {
            let shown = user.shown();
            self.findings.warn(
                WHAT,
                format!(
                    "{} belongs to {}, and {shown} deploys: files of two users get into each other's way",
                    line_of(&path),
                    owner_of(&path)
                ),
                format!("give the checkout to {shown}"),
                [give_to(user, &checkout.folder)],
            );
        } else {
            self.findings.ok(WHAT, "yes");
        }
    }

    fn disk_space(&mut self, checkout: &Checkout) {
        const WHAT: &str = "disk";
        const WORDS: &str = "free some space";
        let Ok(disk) = rustix::fs::statvfs(&checkout.git_dir) else {
            return;
        };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let look = [format!("df -h {}", quoted(&checkout.folder))];
        if disk.f_files > 0 && disk.f_favail == 0 {
            let found = "no file can be made: all inodes are used";
            let look = [format!("df -i {}", quoted(&checkout.folder))];
            self.findings
                .problem(WHAT, found, "remove files that nobody needs", look);
        } else if free < NO_SPACE {
            self.findings.problem(WHAT, "full", WORDS, look);
        } else if free < LITTLE_SPACE {
            let found = format!("{} MB are free", free >> 20);
            self.findings.warn(WHAT, found, WORDS, look);
        } else {
            self.findings.ok(WHAT, "has space");
        }
    }

    /// Whether the web server shows the repository to the world.
    fn seen_from_the_web(&mut self, checkout: &Checkout) {
        const WHAT: &str = "web";
        let Some(root) = web_root(&checkout.git_dir, self.env) else {
            return;
        };
        let closed = checkout.git_dir.join(".htaccess");
        let folders = checkout.folder.ancestors();
        let mut above = folders.take_while(|folder| folder.starts_with(&root));
        if says(&closed, &["denied", "Deny", "deny"])
            || above.any(|folder| says(&folder.join(".htaccess"), &["git"]))
        {
            return self
                .findings
                .ok(WHAT, "the repository is closed to the web by .htaccess");
        }
        self.findings.warn(
            WHAT,
            format!(
                "{} lies in {}, which the web server shows: anybody may be able to read the repository",
                line_of(&checkout.git_dir),
                line_of(&root)
            ),
            "close it, for Apache with the line below, for other servers in their configuration; then look whether \
             .git/HEAD can still be read in a browser",
            [format!("echo 'Require all denied' >{}", quoted(&closed))],
        );
    }
}

/// Whether a file that is not large has one of these words.
fn says(file: &Path, words: &[&str]) -> bool {
    let text = read_small(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    words.iter().any(|word| text.contains(word))
}
