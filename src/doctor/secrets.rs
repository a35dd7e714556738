//! The secrets of a site that can be read, and what is wrong with them. None of them is ever shown.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Finding;
use crate::diagnosis::Advice;
use crate::shell::{as_user, quoted};
use crate::signature::{Secret, Secrets, Weakness};
use crate::user::User;

const WHAT: &str = "secret file";

/// What is wrong with the secrets in a file, and with the file.
pub(super) fn examine(file: &Path, secrets: &Secrets, user: &User) -> Vec<Finding> {
    let weak = secrets.iter().find_map(Secret::weakness);
    let weak = weak.map(|weakness| is_weak(file, weakness));
    let all = [has_blanks(file, secrets, user), weak, is_open(file, user)];
    all.into_iter().flatten().collect()
}

fn has_blanks(file: &Path, secrets: &Secrets, user: &User) -> Option<Finding> {
    secrets.iter().any(Secret::has_blanks_around).then(|| {
        Finding::warning(
            WHAT,
            format!("{}: a secret begins or ends with a blank", file.display()),
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
            file.display()
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
                file.display()
            ),
            Advice::run(
                "close it",
                [as_user(user, &format!("chmod 600 {}", quoted(file)))],
            ),
        )
    })
}
