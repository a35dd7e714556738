//! Who deploys, and who looks.

use super::Doctor;
use super::Health::Problem;
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
            (Some(home), Some(owner)) => {
                let (uid, owner) = (user.uid, name_of(owner));
                let (home, folder) = (line_of(home), quoted(home));
                finding!(self.findings, Problem, WHAT,
                    "{shown}, whose home {home} belongs to {owner}: what git and ssh are told there is not used";
                    "give the folder to {shown}; or to root; or give {shown} another home";
                    "sudo chown {uid} {folder}");
            }
            (Some(home), None) if user.has_an_open_home() => {
                let home = line_of(home);
                finding!(self.findings, Problem, WHAT,
                    "{shown}, at home in {home}, where everybody can put files: what git and ssh are told there is not used";
                    "give {shown} another home, or close this one to others");
            }
            (Some(home), None) => {
                let found = format!("{shown}, at home in {}", line_of(home));
                self.findings.ok(WHAT, found);
            }
            (None, _) => self
                .findings
                .ok(WHAT, format!("{shown}, without a home folder")),
        }
    }
}
