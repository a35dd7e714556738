//! The file with the webhook's secrets, and what is wrong with them. None of them is ever shown.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::entrance::web_root;
use super::{Doctor, Finding};
use crate::diagnosis::Advice;
use crate::redaction::line_of;
use crate::shell::{as_user, give_to, quoted};
use crate::signature::{Secret, Secrets, Weakness};
use crate::user::User;

const WHAT: &str = "secret file";

impl Doctor<'_> {
    pub(super) fn secret_file(&mut self) {
        let file = &self.site.secret_file;
        let secrets = match self.site.secrets() {
            Ok(secrets) => secrets,
            Err(error) => {
                let advice = self.how_to_have_a_secret();
                self.problem(WHAT, format!("{error:#}"), advice);
                return;
            }
        };
        self.hidden.extend(
            secrets
                .iter()
                .map(|secret| String::from_utf8_lossy(secret.reveal()).into_owned()),
        );
        let before = self.findings.len();
        if let Some(root) = web_root(file, self.env) {
            self.warn(
                WHAT,
                format!(
                    "{} lies in {}, which the web server shows",
                    line_of(file),
                    line_of(root)
                ),
                Advice::words("keep it outside, and name the new place with the key `secret_file`"),
            );
        }
        self.findings.extend(examine(file, &secrets, self.user));
        if self.findings.len() == before {
            let count = secrets.iter().count();
            let plural = if count == 1 { "" } else { "s" };
            self.ok(WHAT, format!("{}, {count} secret{plural}", line_of(file)));
        }
    }

    fn how_to_have_a_secret(&self) -> Advice {
        let file = &self.site.secret_file;
        if file.exists() {
            return Advice::run(
                format!("let {} read it, one secret a line", self.user.shown()),
                [
                    give_to(self.user, file),
                    as_user(self.user, &format!("chmod 600 {}", quoted(file))),
                ],
            );
        }
        let mut commands = Vec::new();
        if let Some(folder) = file.parent().filter(|folder| !folder.exists()) {
            commands.push(format!("mkdir -p -m 700 {}", quoted(folder)));
        }
        commands.push(format!(
            "sh -c 'umask 077; od -An -N32 -tx1 /dev/urandom | tr -d \" \\n\" >\"$1\"' sh {}",
            quoted(file)
        ));
        commands.push(format!("cat {}", quoted(file)));
        let commands: Vec<String> = commands
            .iter()
            .map(|command| as_user(self.user, command))
            .collect();
        Advice::run("make one, and enter it in the webhook's settings", commands)
    }
}

/// What is wrong with the secrets in a file, and with the file.
fn examine(file: &Path, secrets: &Secrets, user: &User) -> Vec<Finding> {
    let weak = secrets.iter().find_map(Secret::weakness);
    let weak = weak.map(|weakness| is_weak(file, weakness));
    let all = [has_blanks(file, secrets, user), weak, is_open(file, user)];
    all.into_iter().flatten().collect()
}

fn has_blanks(file: &Path, secrets: &Secrets, user: &User) -> Option<Finding> {
    secrets.iter().any(Secret::has_blanks_around).then(|| {
        Finding::warning(
            WHAT,
            format!("{}: a secret begins or ends with a blank", line_of(file)),
            Advice::run(
                "blanks count: remove them, unless the webhook's secret has them too",
                [as_user(
                    user,
                    &format!("sed -i 's/^[ \\t]*//; s/[ \\t]*$//' {}", quoted(file)),
                )],
            ),
        )
    })
}

fn is_weak(file: &Path, weakness: Weakness) -> Finding {
    let what = match weakness {
        Weakness::Short => "is shorter than 16 characters",
        Weakness::OneCharacter => "is one character again and again",
        Weakness::Placeholder => "looks like the placeholder of an example",
    };
    Finding::warning(
        WHAT,
        format!(
            "{}: a secret {what}: whoever guesses it can have deploys made",
            line_of(file)
        ),
        Advice::words(
            "write a new one as a line of its own (`openssl rand -hex 32` prints one), enter it in the webhook's settings, \
             and then remove the old line",
        ),
    )
}

fn is_open(file: &Path, user: &User) -> Option<Finding> {
    let mode = file.metadata().map_or(0, |file| file.mode());
    (mode & 0o077 != 0).then(|| {
        Finding::warning(
            WHAT,
            format!(
                "{}: others on this host can read or write it",
                line_of(file)
            ),
            Advice::run(
                "close it",
                [as_user(user, &format!("chmod 600 {}", quoted(file)))],
            ),
        )
    })
}
