//! Locks of git's that a killed one left.

use super::{Doctor, Health};
use crate::deploy::MARKER;
use crate::diagnosis::{Cause, Situation};
use crate::git::Upstream;

impl Doctor<'_> {
    pub(super) fn locks(&mut self, followed: &Upstream, at: &Situation<'_>) {
        let git_dir = at.git_dir();
        let marker = git_dir.join("deploy-cgi").join(MARKER).metadata();
        let began = marker.and_then(|file| file.modified()).ok();
        let mut names = vec![
            "index.lock".to_owned(),
            "HEAD.lock".to_owned(),
            "ORIG_HEAD.lock".to_owned(),
            "config.lock".to_owned(),
            format!("refs/heads/{}.lock", followed.branch),
            format!("refs/remotes/{}.lock", followed.upstream_name()),
        ];
        let modules = std::fs::read_dir(git_dir.join("modules"));
        names.extend(modules.into_iter().flatten().flatten().flat_map(|module| {
            let name = module.file_name().to_string_lossy().into_owned();
            ["index.lock", "HEAD.lock", "config.lock"].map(|lock| format!("modules/{name}/{lock}"))
        }));
        for lock in names.iter().map(|name| git_dir.join(name)) {
            let Ok(made) = lock.symlink_metadata().and_then(|lock| lock.modified()) else {
                continue;
            };
            // A deploy runs and made it, or the next one clears up after one that died.
            if began.is_none_or(|began| made < began) {
                self.cause("locks", Health::Problem, &Cause::Locked(lock), at);
            }
        }
    }
}
