//! Submodules, and the files that git-lfs keeps.

use std::path::PathBuf;

use anyhow::Result;

use super::Health::{Problem, Warning};
use super::{Doctor, Health};
use crate::diagnosis::Cause;
use crate::git::{Config, Git, Module};
use crate::redaction::{line_of, list};
use crate::remote_url::RemoteUrl;
use crate::shell::git_config;
use crate::site::Submodules;

const WHAT: &str = "submodules";
const LFS: &str = "git-lfs";

impl Doctor<'_> {
    pub(super) fn submodules(&mut self, git: &Git<'_>, config: &Config) {
        if !git.checkout.folder.join(".gitmodules").exists() {
            return;
        }
        if self.site.submodules == Submodules::Skip {
            return self.findings.ok(WHAT, "left alone (submodules = \"skip\")");
        }
        let Some(there) = self.known(WHAT, git.submodules()) else {
            return;
        };
        let Some(modules) = self.known(WHAT, git.top().gitmodules(None)) else {
            return;
        };
        let mode = self.site.submodules;
        let missing = there.iter().filter(|submodule| !submodule.is_there(mode));
        let missing: Vec<&PathBuf> = missing.map(|submodule| &submodule.path).collect();
        let before = self.findings.all.len();
        for (name, module) in &modules {
            let url = config.last(&format!("submodule.{name}.url"));
            let url = RemoteUrl::parse(url.unwrap_or(&module.url));
            let state = if missing.contains(&&module.path) {
                Problem
            } else {
                Warning
            };
            self.url(git, config, module, &url, state);
            if mode == Submodules::Latest && !self.repositories.is_empty() {
                self.repositories.extend(url.repository().cloned());
            }
        }
        if self.findings.all.len() > before {
            return;
        }
        let state = if missing.is_empty() {
            ", all there".to_owned()
        } else {
            format!("; the next deploy brings {}", list(&missing))
        };
        self.findings.ok(WHAT, format!("{}{state}", there.len()));
    }

    /// Whether git can clone a submodule from its URL. Where it cannot, that is a warning as long as the submodule is there.
    fn url(
        &mut self,
        git: &Git<'_>,
        config: &Config,
        module: &Module,
        url: &RemoteUrl,
        state: Health,
    ) {
        let path = line_of(&module.path);
        let has_no_key = || {
            // Somebody has said already what is to be used in place of what.
            let keys = git.keys_offered(url);
            !config.has_url_rewrites()
                && self.site.ssh_key.is_none()
                && keys.iter().all(|key| !key.exists())
        };
        if module.url.is_empty() {
            finding!(self.findings, state, WHAT, "{path} has no URL in .gitmodules";
                "give it one where the site is written, and push");
        } else if url.is_path() {
            finding!(self.findings, state, WHAT, "{path} comes from a path on this machine, which git does not clone from";
                "give it a URL in .gitmodules where it is written, and push");
        } else if url.is_ssh() && url.host() == Some("github.com") && has_no_key() {
            let use_https = git_config(
                self.user,
                "url.https://github.com/.insteadOf git@github.com:",
            );
            let user = self.user.shown();
            finding!(self.findings, state, WHAT, "{path} is reached by ssh, and {user} has no key: {url}";
                "if it is public, use https for it"; "{use_https}");
        }
    }

    pub(super) fn lfs(&mut self, git: &Git<'_>) {
        let found = self.known(LFS, self.large_files(git));
        let Some(found) = found.filter(|found| !found.is_empty()) else {
            return;
        };
        let cause = match found.into_iter().find(|tree| !tree.is_switched_on) {
            _ if self.site.programs.find(LFS).is_none() => Cause::LfsMissing,
            Some(tree) => Cause::LfsNotSetUp(tree.folder),
            None => return self.findings.ok(LFS, "there and switched on"),
        };
        let at = self.situation(git, None);
        self.findings.cause(Problem, LFS, &cause, &at);
    }

    fn large_files(&self, git: &Git<'_>) -> Result<Vec<LargeFiles>> {
        let mut paths = vec![PathBuf::new()];
        if self.site.submodules != Submodules::Skip {
            let submodules = git.submodules()?.into_iter();
            paths.extend(submodules.map(|submodule| submodule.path));
        }
        let mut found = Vec::new();
        for path in paths {
            let tree = git.submodule(&path);
            if !tree.large_files()?.is_empty() {
                found.push(LargeFiles {
                    is_switched_on: tree.read_config()?.has_lfs(),
                    folder: tree.folder,
                });
            }
        }
        Ok(found)
    }
}

/// A work tree whose files git-lfs keeps, and whether it is switched on there.
struct LargeFiles {
    folder: PathBuf,
    is_switched_on: bool,
}
