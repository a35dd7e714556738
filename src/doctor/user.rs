//! Who deploys, and who looks.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Doctor, Finding};
use crate::diagnosis::Advice;
use crate::redaction::line_of;
use crate::shell::{as_root, quoted};
use crate::user::{User, name_of};

impl Doctor<'_> {
    pub(super) fn running_user(&mut self) {
        let user = self.user;
        let home = user.home.as_ref().map_or_else(
            || "without a home folder".to_owned(),
            |home| format!("at home in {}", line_of(home)),
        );
        match user.home.as_ref().zip(user.owner_of_a_foreign_home()) {
            None if user.has_an_open_home() => self.problem(
                "user",
                format!("{}, {home}, where everybody can put files: what git and ssh are told there is not used", user.shown()),
                Advice::words(format!("give {} another home, or close this one to others", user.shown())),
            ),
            None => self.ok("user", format!("{}, {home}", user.shown())),
            Some((home, owner)) => self.findings.push(foreign_home(user, home, owner)),
        }
        let owner = self
            .site
            .repo
            .metadata()
            .map_or(user.uid, |repo| repo.uid());
        if !self.env.is_a_request() && owner != user.uid {
            self.warn(
                "user",
                format!(
                    "this speaks for {}; the checkout belongs to {}, whom the web server may run it as",
                    user.shown(),
                    name_of(owner)
                ),
                Advice::run(
                    "look as that user too, or press Redeliver on the ping at GitHub",
                    [format!(
                        "sudo -u {} {} check",
                        name_of(owner),
                        quoted(&self.site.file)
                    )],
                ),
            );
        }
    }
}

/// Whoever owns a home says what git and ssh do in it.
fn foreign_home(user: &User, home: &Path, owner: u32) -> Finding {
    let shown = user.shown();
    Finding::problem(
        "user",
        format!(
            "{shown}, whose home {} belongs to {}: what git and ssh are told there is not used",
            line_of(home),
            name_of(owner)
        ),
        Advice::run(
            format!("give the folder to {shown}; or to root; or give {shown} another home"),
            [as_root(
                user,
                &format!("chown {} {}", user.uid, quoted(home)),
            )],
        ),
    )
}
