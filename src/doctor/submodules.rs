//! Submodules, and the files that git-lfs keeps.

use std::path::PathBuf;

use anyhow::Result;

use super::{Doctor, Finding, Health};
use crate::diagnosis::{Advice, Cause, Situation};
use crate::git::{Config, Found, Git, Module, Submodule};
use crate::redaction::{line_of, list};
use crate::remote_url::RemoteUrl;
use crate::shell::{as_user, quoted};
use crate::site::Submodules;

const WHAT: &str = "submodules";

impl Doctor<'_> {
    pub(super) fn submodules(&mut self, git: &Git<'_>, config: &Config) {
        let folder = &git.checkout.folder;
        if !folder.join(".gitmodules").exists() {
            return;
        }
        if self.site.submodules == Submodules::Skip {
            self.ok(WHAT, "left alone (submodules = \"skip\")");
            return;
        }
        let known = git
            .submodules()
            .and_then(|there| Ok((there, git.work_tree(folder).gitmodules(None)?)));
        let (there, modules) = match known {
            Ok(known) => known,
            Err(error) => {
                self.findings.push(Finding::error(WHAT, &error));
                return;
            }
        };
        let before = self.findings.len();
        for (name, module) in &modules {
            let url = config.last(&format!("submodule.{name}.url"));
            let url = RemoteUrl::parse(url.unwrap_or(&module.url));
            self.url(git, module, &url);
        }
        if self.findings.len() > before {
            return;
        }
        let is_missing = |submodule: &&Submodule| match self.site.submodules {
            Submodules::Recorded => !submodule.is_there(),
            Submodules::Latest | Submodules::Skip => !matches!(submodule.found, Found::At(_)),
        };
        let missing = there.iter().filter(is_missing);
        let missing: Vec<&PathBuf> = missing.map(|submodule| &submodule.path).collect();
        let count = there.len();
        if missing.is_empty() {
            self.ok(WHAT, format!("{count}, all there"));
        } else {
            self.ok(
                WHAT,
                format!("{count}; the next deploy brings {}", list(&missing)),
            );
        }
    }

    /// Whether git can clone a submodule from its URL.
    fn url(&mut self, git: &Git<'_>, module: &Module, url: &RemoteUrl) {
        let path = line_of(&module.path);
        let has_no_key = || {
            let keys = git.keys_offered(url);
            self.site.ssh_key.is_none() && keys.iter().all(|key| !key.exists())
        };
        if module.url.is_empty() {
            self.problem(
                WHAT,
                format!("{path} has no URL in .gitmodules"),
                Advice::words("give it one where the site is written, and push"),
            );
        } else if url.is_path() {
            self.warn(
                WHAT,
                format!("{path} comes from a path on this machine, which git does not clone from"),
                Advice::words("give it a URL in .gitmodules where it is written, and push"),
            );
        } else if url.is_ssh() && url.host() == Some("github.com") && has_no_key() {
            self.warn(
                WHAT,
                format!(
                    "{path} is reached by ssh, and {} has no key: {}",
                    self.user.shown(),
                    url
                ),
                Advice::run(
                    "if it is public, use https for it",
                    [as_user(
                        self.user,
                        "git config --global url.https://github.com/.insteadOf git@github.com:",
                    )],
                ),
            );
        }
    }

    pub(super) fn lfs(&mut self, git: &Git<'_>, config: &Config) {
        let (folder, is_on) = match self.large_files(git, config) {
            Ok(Some(found)) => found,
            Ok(None) => return,
            Err(error) => {
                self.findings.push(Finding::error("git-lfs", &error));
                return;
            }
        };
        if self.site.programs.find("git-lfs").is_none() {
            let at = Situation::new(self.site, git, self.env, None);
            self.cause("git-lfs", Health::Problem, &Cause::LfsMissing, &at);
        } else if is_on {
            self.ok("git-lfs", "there and switched on");
        } else {
            self.problem(
                "git-lfs",
                "there, but not switched on: its files stay pointers",
                Advice::run(
                    "switch it on, and have the files brought",
                    [
                        as_user(self.user, "git lfs install"),
                        as_user(self.user, &format!("git -C {} lfs pull", quoted(&folder))),
                    ],
                ),
            );
        }
    }

    /// A work tree whose files git-lfs keeps, and whether it is switched on there; one where it is not, if there is any.
    fn large_files(&self, git: &Git<'_>, config: &Config) -> Result<Option<(PathBuf, bool)>> {
        let top = &git.checkout.folder;
        let mut found = (!git.work_tree(top).large_files()?.is_empty())
            .then(|| (top.clone(), config.has_lfs()));
        let submodules = match self.site.submodules {
            Submodules::Recorded | Submodules::Latest => git.submodules()?,
            Submodules::Skip => Vec::new(),
        };
        for folder in submodules.iter().map(|submodule| top.join(&submodule.path)) {
            if found.as_ref().is_none_or(|(_, is_on)| *is_on)
                && !git.work_tree(&folder).large_files()?.is_empty()
            {
                let is_on = git.work_tree(&folder).read_config()?.has_lfs();
                found = Some((folder, is_on));
            }
        }
        Ok(found)
    }
}
