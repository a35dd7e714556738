//! The file with the webhook's secrets, and what is wrong with them. None of them is ever shown.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Access, access};

use super::Doctor;
use super::Health::{Problem, Warning};
use super::entrance::web_root;
use crate::redaction::line_of;
use crate::shell::{give_to, quoted};
use crate::signature::Secret;
use crate::user::User;

const WHAT: &str = "secret file";

impl Doctor<'_> {
    pub(super) fn secret_file(&mut self) {
        let file = &self.site.secret_file;
        let (shown, path) = (line_of(file), quoted(file));
        let secrets = match self.site.secrets() {
            Ok(secrets) => secrets,
            Err(error) => return self.no_secret(&error),
        };
        let text = |secret: &Secret| String::from_utf8_lossy(secret.reveal()).into_owned();
        self.hidden.extend(secrets.iter().map(text));
        let before = self.findings.all.len();
        self.warn_where_visitors_see(WHAT, file, "secret_file");
        if secrets.iter().any(Secret::has_blanks_around) {
            finding!(self.findings, Warning, WHAT, "{shown}: a secret begins or ends with a blank";
                "blanks count: remove them, unless the webhook's secret has them too";
                "sed -i 's/^[ \\t]*//; s/[ \\t]*$//' {path}");
        }
        if let Some(what) = secrets.iter().find_map(Secret::weakness) {
            finding!(self.findings, Warning, WHAT, "{shown}: a secret {what}: whoever guesses it can have deploys made";
                "write a new one as a line of its own (`openssl rand -hex 32` prints one), enter it in the webhook's \
                 settings, and then remove the old line");
        }
        self.warn_where_others_may_open(WHAT, file);
        if self.findings.all.len() == before {
            let count = secrets.iter().count();
            let plural = if count == 1 { "" } else { "s" };
            self.findings
                .ok(WHAT, format!("{shown}, {count} secret{plural}"));
        }
    }

    /// A file that is named with this key, and that the web server shows.
    pub(super) fn warn_where_visitors_see(&mut self, what: &'static str, file: &Path, key: &str) {
        if let Some(root) = web_root(file, self.env) {
            let (file, root) = (line_of(file), line_of(root));
            finding!(self.findings, Warning, what, "{file} lies in {root}, which the web server shows";
                "keep it outside, and name the new place with the key `{key}`");
        }
    }

    /// A file that others on this host may open.
    pub(super) fn warn_where_others_may_open(&mut self, what: &'static str, file: &Path) {
        if file.metadata().is_ok_and(|file| file.mode() & 0o077 != 0) {
            let found = format!(
                "{}: others on this host can read or write it",
                line_of(file)
            );
            let close = close(self.user, file);
            self.findings
                .finding(Warning, what, found, "close it", close);
        }
    }

    fn no_secret(&mut self, error: &anyhow::Error) {
        let file = &self.site.secret_file;
        match error.downcast_ref().map(std::io::Error::kind) {
            Some(ErrorKind::NotFound) => {
                let path = quoted(file);
                let folder = file.parent().filter(|folder| !folder.exists());
                let folder = folder.map(|folder| format!("mkdir -p -m 700 {}", quoted(folder)));
                let make = format!(
                    "sh -c 'umask 077; od -An -N32 -tx1 /dev/urandom | tr -d \" \\n\" >\"$1\"' sh {path}"
                );
                let commands = folder.into_iter().chain([make, format!("cat {path}")]);
                let words = "make one, and enter it in the webhook's settings";
                self.findings
                    .finding(Problem, WHAT, format!("{error:#}"), words, commands);
            }
            Some(ErrorKind::PermissionDenied) => {
                let (user, open) = (self.user.shown(), let_read(self.user, file));
                finding!(self.findings, Problem, WHAT, "{error:#}"; "it is closed to {user}: let that user read it"; "{open}");
            }
            // It says what is wrong with what is in it.
            Some(_) | None => self.findings.error(Problem, WHAT, error),
        }
    }
}

/// The command that lets a user read a file that is closed to them.
pub(super) fn let_read(user: &User, file: &Path) -> String {
    let is_closed = |folder: &&Path| access(*folder, Access::EXEC_OK).is_err();
    match file.ancestors().skip(1).filter(is_closed).last() {
        Some(folder) => format!("sudo chmod o+x {}", quoted(folder)),
        None => give_to(user, file),
    }
}

/// The commands that close a file to others: only its owner can.
fn close(user: &User, file: &Path) -> Vec<String> {
    let is_another_users = file.metadata().is_ok_and(|found| found.uid() != user.uid);
    let give = is_another_users.then(|| give_to(user, file));
    let close = format!("chmod 600 {}", quoted(file));
    give.into_iter().chain([close]).collect()
}
