//! The checkout's folder: whose it is, whether there is space, and who sees it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::Access;

use super::Doctor;
use super::Health::{Problem, Unknown, Warning};
use super::entrance::web_root;
use crate::deploy::clone;
use crate::diagnosis::{Cause, owner_of};
use crate::git::{Checkout, Git, Upstream};
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
        let Some(checkout) = self.known(WHAT, clone::whole_of(self.site)) else {
            return;
        };
        self.findings.ok(WHAT, line_of(&checkout.folder));
        let git = Git::new(self.site, &checkout, self.env);
        let git = git.and_then(|git| git.only_looking(self.until));
        let git = self.known("git", git);
        if let Some(git) = &git {
            self.write_access(git);
        }
        self.disk_space(&checkout);
        self.seen_from_the_web(&checkout);
        if let Some(git) = &git
            && self.has_time_for("git")
        {
            self.git(git);
        }
        self.state_folder(&checkout);
    }

    /// Before the first checkout is whole: whether it could be made.
    fn before_the_clone(&mut self) {
        const WHAT: &str = "checkout";
        let repo = &self.site.repo;
        let (shown, user) = (line_of(repo), self.user);
        let begun = Checkout::begun(repo).ok();
        let state = begun.and_then(|begun| StateFolder::existing(&begun));
        if let Some(state) = &state {
            self.what_stops(state);
        }
        let last = state.and_then(|state| History::of(&state).last().ok().flatten());
        if let Some(last) = last.filter(|last| last.verdict == Verdict::Failed) {
            let why = last.report.lines().next().unwrap_or_default();
            let time = last.time;
            finding!(self.findings, Unknown, WHAT, "{shown} could not be cloned, {time}: {why}"; "mend that, then press Redeliver");
        } else {
            finding!(self.findings, Warning, WHAT, "{shown} is not there yet"; "the first push or ping clones it");
        }
        let above = repo.ancestors().find(|folder| folder.is_dir());
        let above = above.unwrap_or(Path::new("/"));
        if rustix::fs::access(above, Access::WRITE_OK | Access::EXEC_OK).is_err() {
            let (user, above, make) = (user.shown(), line_of(above), quoted(repo));
            let give = give_to(self.user, repo);
            finding!(self.findings, Problem, WHAT, "{user} may not make it in {above}"; "make it for that user";
                "sudo mkdir -p {make}"; "{give}");
        }
        // Git works beside what is to be made.
        let beside = Checkout {
            folder: above.to_owned(),
            git_dir: repo.join(".git"),
        };
        let git = Git::new(self.site, &beside, self.env);
        let git = git.and_then(|git| git.only_looking(self.until));
        let Some(git) = self.known("git", git) else {
            return;
        };
        if !self.has_time_for("git") || !self.version(&git) {
            return;
        }
        let url = self.site.clone.as_ref().map(|url| git.know_remote(url));
        let Some(url) = self.known("remote", url.transpose()).flatten() else {
            return;
        };
        let branch = self.site.branch.as_deref();
        let remote_ref = branch.map(|branch| format!("refs/heads/{branch}"));
        let followed = Upstream {
            remote_ref: remote_ref.unwrap_or_else(|| "HEAD".into()),
            ..Upstream::to_be_cloned(&url, branch)
        };
        let config = git.config().unwrap_or_default();
        let at = self.situation(&git, Some(&followed));
        self.ssh(&git, &config, &followed, &at);
        self.commit_status(&git, Some(&followed));
        self.remote(&git, &followed);
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
            self.findings.cause(Problem, WHAT, &cause, &at);
        } else if let Some(path) = of_another {
            let (owner, path, shown) = (owner_of(&path), line_of(&path), user.shown());
            let give = give_to(user, &checkout.folder);
            finding!(self.findings, Warning, WHAT,
                "{path} belongs to {owner}, and {shown} deploys: files of two users get into each other's way";
                "give the checkout to {shown}"; "{give}");
        } else {
            self.findings.ok(WHAT, "yes");
        }
    }

    fn disk_space(&mut self, checkout: &Checkout) {
        const WHAT: &str = "disk";
        let Ok(disk) = rustix::fs::statvfs(&checkout.git_dir) else {
            return;
        };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let folder = quoted(&checkout.folder);
        if disk.f_files > 0 && disk.f_favail == 0 {
            finding!(self.findings, Problem, WHAT, "no file can be made: all inodes are used"; "remove files that nobody needs";
                "df -i {folder}");
        } else if free < NO_SPACE {
            finding!(self.findings, Problem, WHAT, "full"; "free some space"; "df -h {folder}");
        } else if free < LITTLE_SPACE {
            let free = free >> 20;
            finding!(self.findings, Warning, WHAT, "{free} MB are free"; "free some space"; "df -h {folder}");
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
        let (git_dir, root, closed) = (line_of(&checkout.git_dir), line_of(&root), quoted(&closed));
        finding!(self.findings, Warning, WHAT,
            "{git_dir} lies in {root}, which the web server shows: anybody may be able to read the repository";
            "close it, for Apache with the line below, for other servers in their configuration; then look whether .git/HEAD \
             can still be read in a browser";
            "echo 'Require all denied' >{closed}");
    }
}

/// Whether a file that is not large has one of these words.
fn says(file: &Path, words: &[&str]) -> bool {
    let text = read_small(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    words.iter().any(|word| text.contains(word))
}
