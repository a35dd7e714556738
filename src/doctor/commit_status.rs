//! What it takes to post commit statuses. GitHub is not asked: only posting one shows what a token may do, and how the last
//! one went is known.

use std::io::ErrorKind;

use super::Doctor;
use super::Health::Warning;
use super::secrets::let_read;
use crate::commit_status::Board;
use crate::curl;
use crate::git::{Git, Upstream};
use crate::redaction::line_of;
use crate::shell::quoted;
use crate::site::GitHub;
use crate::state::StateFolder;

const WHAT: &str = "commit status";

impl Doctor<'_> {
    pub(super) fn commit_status(&mut self, git: &Git<'_>, followed: Option<&Upstream>) {
        let Some(github) = &self.site.github else {
            return;
        };
        let before = self.findings.all.len();
        self.token_file(github);
        if self.site.programs.find(curl::PROGRAM).is_none() {
            finding!(self.findings, Warning, WHAT, "there is no curl here to post it";
                "install it, name its folder with the key `path`, or remove the key `github_token_file`";
                "sudo apt-get install curl");
        }
        if let Some(Upstream { url, .. }) = followed
            && !url.is_github()
            && github.api.is_none()
        {
            finding!(self.findings, Warning, WHAT, "the remote is not at GitHub: {url}";
                "nothing is posted unless deliveries name an API of the remote's host; set `github_api` to its address, such as \
                 \"https://github.example.org/api/v3\"");
        }
        let state = StateFolder::existing(git.checkout);
        let board = state.as_ref().and_then(|state| Board::of(self.site, state));
        let last = match board.map_or(Ok(None), |board| board.last_remark()) {
            Ok(last) => last,
            // No deploy fails for that.
            Err(error) => return self.not_remembered(&error, state.as_ref()),
        };
        match last {
            Some(last) if !last.is_posted => {
                let found = last.words;
                finding!(self.findings, Warning, WHAT, "{found}"; "mend that, then press Redeliver on that push: it is posted then");
            }
            Some(_) | None if self.findings.all.len() > before => {}
            Some(last) => {
                let found = last.words.trim_start_matches("commit status: ");
                self.findings.ok(WHAT, found);
            }
            None => {
                let found = format!("{} is posted after a deploy", line_of(&github.context));
                self.findings.ok(WHAT, found);
            }
        }
    }

    fn not_remembered(&mut self, error: &anyhow::Error, state: Option<&StateFolder>) {
        let remove = state.map(|state| format!("rm -rf {}", quoted(&Board::file(state))));
        self.findings.finding(
            Warning,
            WHAT,
            format!("{error:#}"),
            "what was posted is not known, and nothing more is posted: remove that, it is made anew",
            remove,
        );
    }

    fn token_file(&mut self, github: &GitHub) {
        let file = &github.token_file;
        match github.token() {
            Ok(token) => self.hidden.push(token.reveal().to_owned()),
            Err(error) => return self.no_token(github, &error),
        }
        self.warn_where_visitors_see(WHAT, file, "github_token_file");
        self.warn_where_others_may_open(WHAT, file);
    }

    fn no_token(&mut self, github: &GitHub, error: &anyhow::Error) {
        match error.downcast_ref().map(std::io::Error::kind) {
            Some(ErrorKind::NotFound) => {
                let file = quoted(&github.token_file);
                finding!(self.findings, Warning, WHAT, "{error:#}";
                    "make a fine-grained token at GitHub that covers the repository, with \"Commit statuses: Read and write\"; \
                     paste it, press Enter, then Ctrl-D";
                    "sh -c 'umask 077; mkdir -p \"${{1%/*}}\" && cat >\"$1\"' sh {file}");
            }
            Some(ErrorKind::PermissionDenied) => {
                let (user, open) = (self.user.shown(), let_read(self.user, &github.token_file));
                finding!(self.findings, Warning, WHAT, "{error:#}"; "it is closed to {user}: let that user read it"; "{open}");
            }
            // It says what is wrong with what is in it.
            Some(_) | None => {
                finding!(self.findings, Warning, WHAT, "{error:#}"; "write the token alone into it");
            }
        }
    }
}
