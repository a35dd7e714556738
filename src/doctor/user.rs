//! Who deploys, and who looks.

use super::Doctor;
use crate::redaction::line_of;
use crate::shell::quoted;
use crate::user::name_of;

const WHAT: &str = "user";

impl Doctor<'_> {
    pub(super) fn running_user(&mut self) {
        let user = self.user;
        let shown = user.shown();
        match (&user.home, user.owner_of_a_foreign_home()) {
            // Whoever owns a home says what git and ssh do in it.
            (Some(home), Some(owner)) => self.findings.problem(
                WHAT,
                format!(
                    "{shown}, whose home {} belongs to {}: what git and ssh are told there is not used",
                    line_of(home),
                    name_of(owner)
                ),
                format!("give the folder to {shown}; or to root; or give {shown} another home"),
                [format!("sudo chown {} {}", user.uid, quoted(home))],
            ),
            (Some(home), None) if user.has_an_open_home() => self.findings.problem(
                WHAT,
                format!(
                    "{shown}, at home in {}, where everybody can put files: what git and ssh are told there is not used",
                    line_of(home)
                ),
                format!("give {shown} another home, or close this one to others"),
                [],
            ),
            (Some(home), None) => {
                self.findings.ok(WHAT, format!("{shown}, at home in {}", line_of(home)));
            }
            (None, _) => self.findings.ok(WHAT, format!("{shown}, without a home folder")),
        }
    }
}
