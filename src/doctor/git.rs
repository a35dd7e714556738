//! Git: the program, its configuration, and what the checkout follows.

use super::{Doctor, Finding, Health};
use crate::diagnosis::{Advice, Cause, Situation};
use crate::git::{Config, Git, NoUpstream, Tracking, Upstream, has_lost_its_login};
use crate::redaction::{line_of, list};
use crate::shell::{as_user, quoted};
use crate::site::Update;

/// The oldest git that was tried.
const OLDEST_GIT: (u32, u32) = (2, 17);

impl Doctor<'_> {
    pub(super) fn git(&mut self, git: &Git<'_>) {
        let known = self
            .program(git)
            .and_then(|()| git.config().map_err(|error| Finding::error("git", &error)));
        let config = match known {
            Ok(config) => config,
            Err(finding) => {
                self.findings.push(finding);
                return;
            }
        };
        self.hidden.extend(config.credentials());
        let nowhere = Situation::new(self.site, git, self.env, None);
        match git.writes_elsewhere() {
            Ok(Some(there)) => {
                self.cause(
                    "work tree",
                    Health::Problem,
                    &Cause::WorkTreeElsewhere(there),
                    &nowhere,
                );
            }
            Ok(None) => {}
            Err(error) => self.findings.push(Finding::error("work tree", &error)),
        }
        let followed = git.tracking(self.site.branch.as_deref());
        match &followed {
            Ok(Tracking::Upstream(followed)) => {
                let at = Situation::new(self.site, git, self.env, Some(followed));
                self.followed(git, &config, followed, &at);
            }
            Ok(Tracking::None(unfollowing)) => {
                let what = match unfollowing {
                    NoUpstream::Detached | NoUpstream::OtherBranch { .. } => "branch",
                    NoUpstream::NotSet { .. } | NoUpstream::LocalUpstream { .. } => "upstream",
                };
                let cause = Cause::NotFollowing(unfollowing.clone());
                self.cause(what, Health::Problem, &cause, &nowhere);
            }
            Err(error) => self.findings.push(Finding::error("branch", error)),
        }
        self.edits(git);
        self.submodules(git, &config);
        self.lfs(git, &config);
        // Last: it may take all the time that is left.
        if let Ok(Tracking::Upstream(followed)) = &followed {
            self.remote(git, followed);
        }
    }

    fn program(&mut self, git: &Git<'_>) -> Result<(), Finding> {
        let version = git
            .version()
            .map_err(|error| Finding::error("git", &error))?;
        let found = format!("{}, version {version}", line_of(&git.program));
        if is_older(&version, OLDEST_GIT) {
            self.warn(
                "git",
                found,
                Advice::words(
                    "older than 2.17 was never tried; name a newer one's folder with the key `path`",
                ),
            );
        } else {
            self.ok("git", found);
        }
        Ok(())
    }

    fn followed(
        &mut self,
        git: &Git<'_>,
        config: &Config,
        followed: &Upstream,
        at: &Situation<'_>,
    ) {
        const UPSTREAM: &str = "upstream";
        self.ok("branch", line_of(&followed.branch));
        let with_login = match &self.site.clone {
            Some(clone) if clone.login().is_some() => Some("clone"),
            _ if has_lost_its_login(&followed.url) || followed.url.credentials().is_empty() => None,
            _ => Some(followed.remote.as_str()),
        };
        if let Some(with_login) = with_login {
            self.warn(
                "remote",
                format!(
                    "the URL of {} has a login in it: who reads it there can do all that the login is good for",
                    line_of(with_login)
                ),
                Advice::words(
                    "use a deploy key in its place: it opens this repository alone, and is named with the key `ssh_key`",
                ),
            );
        }
        match git.keeps_upstream(followed) {
            Ok(true) => self.ok(
                UPSTREAM,
                format!("{} at {}", line_of(followed.upstream_name()), followed.url),
            ),
            Ok(false) => self.cause(UPSTREAM, Health::Problem, &Cause::UpstreamNotKept, at),
            Err(error) => self.findings.push(Finding::error(UPSTREAM, &error)),
        }
        let repository = self.site.repository.as_ref().or(followed.url.repository());
        match repository {
            Some(repository) => self.ok("repository", repository.to_string()),
            None => self.warn(
                "repository",
                "the remote's URL names no owner and repository, so a push of any repository with this secret is taken",
                Advice::words("set the key `repository` to \"owner/name\""),
            ),
        }
        self.locks(followed, at);
        self.commits(git, followed, at);
        self.keys(git, config, followed, at);
    }

    /// Whether the branch could go forward, as far as the last fetch knows.
    fn commits(&mut self, git: &Git<'_>, followed: &Upstream, at: &Situation<'_>) {
        let counts = git.ahead_and_behind(&followed.branch).ok().flatten();
        let cause = match counts {
            None | Some((0, _)) => return,
            Some((ahead, 0)) => Cause::Ahead(ahead),
            Some(_) => Cause::Diverged,
        };
        match self.site.update {
            Update::FastForward => self.cause("commits", Health::Problem, &cause, at),
            Update::Reset => {
                self.cause("commits", Health::Warning, &cause, at);
                let advice =
                    "the next deploy gives them up, and keeps them first (update = \"reset\")";
                if let Some(finding) = self.findings.last_mut() {
                    finding.advice = Some(Advice::words(advice));
                }
            }
        }
    }

    /// Uncommitted changes.
    fn edits(&mut self, git: &Git<'_>) {
        const WHAT: &str = "work tree";
        let edited = match git.top().edited() {
            Ok(edited) => edited,
            Err(error) => {
                self.findings.push(Finding::error(WHAT, &error));
                return;
            }
        };
        if edited.is_empty() {
            self.ok(WHAT, "no uncommitted changes");
            return;
        }
        let found = format!("uncommitted changes: {}", list(&edited));
        let advice = match self.site.update {
            Update::FastForward => Advice::run(
                "a push that changes them too will fail. To put them into a stash",
                [as_user(
                    self.user,
                    &format!("git -C {} stash push", quoted(&git.checkout.folder)),
                )],
            ),
            Update::Reset => Advice::words(
                "the next deploy makes them what was pushed, and keeps the changes first (update = \"reset\")",
            ),
        };
        self.warn(WHAT, found, advice);
    }
}

fn is_older(version: &str, than: (u32, u32)) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) < than,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        #[track_caller]
        fn check(version: &str, expected: bool) {
            assert_eq!(is_older(version, OLDEST_GIT), expected, "{version}");
        }
        check("2.17.1", false);
        check("2.9.5", true);
        check("1.8.3.1", true);
        check("2.47.3", false);
        check("3.0.0-rc1", false);
        check("unknown", false);
    }
}
