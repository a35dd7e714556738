//! The checkout's folder: whose it is, whether there is space, and who sees it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::Access;

use super::entrance::web_root;
use super::{Doctor, Finding, LOCAL_LIMIT};
use crate::deploy::clone;
use crate::diagnosis::Advice;
use crate::git::{Checkout, Git};
use crate::redaction::line_of;
use crate::shell::{as_user, give_to, quoted};
use crate::site::read_small;
use crate::user::name_of;

/// How many folders are looked at for whether git may write there.
const MAX_FOLDERS: usize = 5_000;

/// Less free space than this fails the next deploy, or one soon, in bytes.
const NO_SPACE: u64 = 1 << 20;
const LITTLE_SPACE: u64 = 100 << 20;

impl Doctor<'_> {
    pub(super) fn checkout(&mut self) {
        const WHAT: &str = "checkout";
        let checkout = match Checkout::open(&self.site.repo) {
            Ok(checkout) => checkout,
            Err(_) if clone::is_due(self.site) => {
                self.warn(
                    WHAT,
                    format!("{} is not there yet", line_of(&self.site.repo)),
                    Advice::words("the first push or ping clones it"),
                );
                return;
            }
            Err(error) => {
                self.findings.push(Finding::error(WHAT, &error));
                return;
            }
        };
        self.ok(WHAT, line_of(&checkout.folder));
        self.write_access(&checkout);
        self.disk_space(&checkout);
        self.seen_from_the_web(&checkout);
        // The host's own files are looked at even where there is no time for the network.
        let until = self.until.max(Instant::now() + LOCAL_LIMIT);
        let git = Git::new(self.site, &checkout, self.env).and_then(|git| git.only_looking(until));
        match git {
            Ok(git) => self.git(&git),
            Err(error) => self.findings.push(Finding::error("git", &error)),
        }
        self.state_folder(&checkout);
    }

    /// Whether git could write what a pull writes.
    fn write_access(&mut self, checkout: &Checkout) {
        const WHAT: &str = "write access";
        let user = self.user;
        let owner = |path: &Path| name_of(path.metadata().map_or(user.uid, |file| file.uid()));
        let give = || {
            Advice::run(
                format!("give the checkout to {}", user.shown()),
                [give_to(user, &checkout.folder)],
            )
        };
        match others_than(user.uid, checkout) {
            Some(Others::Closed(path)) if is_closed_to_its_owner(&path, user.uid) => {
                self.problem(
                    WHAT,
                    format!("{} is closed to its owner, {}", line_of(&path), user.shown()),
                    Advice::run(
                        "open it",
                        [as_user(
                            user,
                            &format!("chmod -R u+rwX {}", quoted(&checkout.folder)),
                        )],
                    ),
                );
            }
            Some(Others::Closed(path)) => self.problem(
                WHAT,
                format!(
                    "{} may not write in {}; the checkout belongs to {}",
                    user.shown(),
                    line_of(&path),
                    owner(&checkout.folder)
                ),
                give(),
            ),
            Some(Others::File(path)) => self.warn(
                WHAT,
                format!(
                    "{} belongs to {}, and {} deploys: files of two users get into each other's way",
                    line_of(&path),
                    owner(&path),
                    user.shown()
                ),
                give(),
            ),
            None => self.ok(WHAT, "yes"),
        }
    }

    fn disk_space(&mut self, checkout: &Checkout) {
        const WHAT: &str = "disk";
        let Ok(disk) = rustix::fs::statvfs(&checkout.git_dir) else {
            return;
        };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let look = || {
            Advice::run(
                "free some space",
                [format!("df -h {}", quoted(&checkout.folder))],
            )
        };
        if disk.f_files > 0 && disk.f_favail == 0 {
            self.problem(WHAT, "no file can be made: all inodes are used", look());
        } else if free < NO_SPACE {
            self.problem(WHAT, "full", look());
        } else if free < LITTLE_SPACE {
            self.warn(WHAT, format!("{} MB are free", free >> 20), look());
        } else {
            self.ok(WHAT, "has space");
        }
    }

    /// Whether the web server shows the repository to the world.
    fn seen_from_the_web(&mut self, checkout: &Checkout) {
        let Some(root) = web_root(&checkout.git_dir, self.env) else {
            return;
        };
        let closed = checkout.git_dir.join(".htaccess");
        if says(&closed, &["denied", "Deny", "deny"])
            || checkout
                .folder
                .ancestors()
                .take_while(|folder| folder.starts_with(&root))
                .any(|folder| says(&folder.join(".htaccess"), &["git"]))
        {
            self.ok("web", "the repository is closed to the web by .htaccess");
            return;
        }
        self.warn(
            "web",
            format!(
                "{} lies in {}, which the web server shows: anybody may be able to read the repository",
                line_of(&checkout.git_dir),
                line_of(&root)
            ),
            Advice::run(
                "close it, for Apache with the line below, for other servers in their configuration; then look whether \
                 .git/HEAD can still be read in a browser",
                [as_user(
                    self.user,
                    &format!("echo 'Require all denied' >{}", quoted(&closed)),
                )],
            ),
        );
    }
}

/// Whether a file that is not large has one of these words.
fn says(file: &Path, words: &[&str]) -> bool {
    read_small(file).is_ok_and(|text| {
        let text = String::from_utf8_lossy(&text);
        words.iter().any(|word| text.contains(word))
    })
}

/// What is not a user's own in a checkout.
enum Others {
    /// A folder or a file of git's that may not be written.
    Closed(PathBuf),
    /// A file that belongs to somebody else.
    File(PathBuf),
}

/// Whether its mode, and not a disk that is read only, keeps its owner from writing there.
fn is_closed_to_its_owner(path: &Path, owner: u32) -> bool {
    path.metadata()
        .is_ok_and(|found| found.uid() == owner && found.mode() & 0o300 != 0o300)
}

fn others_than(uid: u32, checkout: &Checkout) -> Option<Others> {
    let mut file_of_another = None;
    let mut folders = vec![checkout.folder.clone(), checkout.git_dir.clone()];
    let mut looked_at = 0;
    while let Some(folder) = folders.pop() {
        looked_at += 1;
        if looked_at > MAX_FOLDERS {
            break;
        }
        if rustix::fs::access(&folder, Access::WRITE_OK | Access::EXEC_OK).is_err() {
            return Some(Others::Closed(folder));
        }
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() && path != checkout.git_dir {
                folders.push(path);
            } else if kind.is_file()
                && file_of_another.is_none()
                && entry.metadata().is_ok_and(|file| file.uid() != uid)
            {
                file_of_another = Some(path);
            }
        }
    }
    let written = ["FETCH_HEAD", "logs/HEAD", "config"].map(|name| checkout.git_dir.join(name));
    let is_closed =
        |file: &PathBuf| file.exists() && rustix::fs::access(file, Access::WRITE_OK).is_err();
    written
        .into_iter()
        .find(is_closed)
        .map(Others::Closed)
        .or(file_of_another.map(Others::File))
}
