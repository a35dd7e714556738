//! A flat list of cases: what a cause means in a situation, and what to do. Those that take a closer look have it in the
//! file of their subject.

use super::{
    Cause, Diagnosis, Situation, branch, git_in, remote, repository, ssh, submodule, work_tree,
};
use crate::process::End;
use crate::redaction::{line_of, list};
use crate::shell::{give_to, quoted, word};

/// A cause in words.
#[expect(clippy::too_many_lines, reason = "it is a flat list of cases")]
pub(crate) fn explain(cause: &Cause, at: &Situation<'_>) -> Diagnosis {
    let (user, site_file) = (at.user(), at.site_file());
    let (folder, git) = (quoted(at.folder()), at.git());
    match cause {
        // ---- the host's limits
        Cause::DiskFull => at.advise(
            "the disk is full",
            "free some space, then press Redeliver; what was half written is put right then. How much is used",
            [format!("df -h {folder}")],
        ),
        Cause::QuotaExceeded => at.advise(
            format!("the disk quota of {user} is used up"),
            "free some space or ask the host for more, then press Redeliver. What takes the most",
            [format!("du -h -d 2 {} | sort -h | tail", quoted(&at.home()))],
        ),
        Cause::TooManyOpenFiles => at.advise(
            "the host's limit of open files was reached",
            "press Redeliver when the host is less busy; ask the host for a higher limit (nofile) if it comes back",
            [],
        ),
        Cause::TooManyProcesses => at.advise(
            format!("the host's limit of processes of {user} was reached"),
            "press Redeliver when the host is less busy; ask the host for a higher limit (NPROC) if it comes back",
            [],
        ),
        Cause::OutOfMemory => at.advise(
            "the host's limit of memory was reached",
            "let git use less, then press Redeliver; ask the host for a higher limit if it comes back",
            ["pack.threads 1", "core.packedGitLimit 64m", "core.bigFileThreshold 16m"]
                .map(|setting| format!("{git} config {setting}")),
        ),
        Cause::ReadOnlyFileSystem => at.advise(
            format!("the file system of {} is read-only", line_of(at.folder())),
            "the host has to mount it for writing (after an error of the disk it is often read-only until a check); then press Redeliver",
            [],
        ),
        Cause::NotWritable(path) => work_tree::not_writable(path.as_deref(), at),
        Cause::Ended(end @ End::Limit(limit)) => at.advise(
            format!("git {end}"),
            format!(
                "if it needs longer than {}, raise `timeout` in {site_file}; then press Redeliver",
                humantime::format_duration(*limit)
            ),
            [],
        ),
        Cause::Ended(End::Signal(signal)) => at.advise(
            format!("git was killed by signal {signal}"),
            "that is what a host's limit of memory or time does: press Redeliver when it is less busy, and ask the host \
             for a higher limit if it comes back",
            [],
        ),
        Cause::Ended(end @ (End::Exit(_) | End::Stopped)) => {
            Diagnosis::unexplained(format!("git ended with {end}"))
        }
        Cause::CommandFailed(end) => Diagnosis::unexplained(format!(
            "the command ended with {end}; the new files are in place, the command is run again with the next deploy"
        )),
        Cause::Error(error) => Diagnosis::unexplained(error),

        // ---- ssh
        Cause::NoSsh => at.advise(
            format!("{} is reached by ssh, and there is no ssh here", at.url()),
            format!("install it, or name its folder with the key `path` in {site_file}; then press Redeliver"),
            ["sudo apt-get install openssh-client".into()],
        ),
        Cause::NamelessUser(uid) => at.advise(
            format!("ssh refuses to work for a user without a name: uid {} is not in /etc/passwd", line_of(uid)),
            "the host has to name that user; or use an https address for the remote",
            [],
        ),
        Cause::HostKeyChanged(file) => ssh::host_key_changed(file.as_deref(), at),
        Cause::HostKeyUnknown => ssh::host_key_unknown(at),
        Cause::KeyTooOpen(key) => at.advise(
            format!("ssh ignores the key {}: others can read it", line_of(key)),
            "close it, then press Redeliver",
            at.own_key(key).map(|key| format!("chmod 600 {}", quoted(&key))),
        ),
        Cause::KeyUnreadable(key) => at.advise(
            format!("{user} may not read the key {}", line_of(key)),
            format!("give it to {user}, then press Redeliver"),
            at.own_key(key).into_iter().flat_map(|key| {
                [give_to(&at.user, &key), format!("chmod 600 {}", quoted(&key))]
            }),
        ),
        Cause::KeyHasPassphrase(key) => ssh::key_has_passphrase(key, at),
        Cause::KeyRefused => ssh::key_refused(at),
        Cause::KeyOfAnother(repository) => ssh::new_key(
            format!(
                "GitHub knows the key, but as the key of something else: it may not read {}",
                line_of(repository)
            ),
            "a deploy key belongs to one repository; make one of its own",
            None,
            at,
        ),

        // ---- the remote
        Cause::LoginMissing => remote::login_missing(at),
        Cause::LoginRefused => remote::login_refused(at),
        Cause::RemoteNotFound => remote::not_found(at),
        Cause::HostNotResolved => at.advise(
            format!("the name of the host of {} cannot be resolved", at.url()),
            "check the spelling, and the host's DNS; then press Redeliver",
            [format!("getent hosts {}", word(at.url().host().unwrap_or_default()))],
        ),
        Cause::CertificateUntrusted(why) => at.advise(
            format!("the certificate of {} is not trusted here ({})", at.url(), line_of(why)),
            "bring the host's certificates up to date; for a certificate of your own, name it with git's setting \
             http.sslCAInfo. Then press Redeliver",
            ["sudo apt-get install --only-upgrade ca-certificates".into()],
        ),
        Cause::Unreachable => remote::unreachable(at),
        Cause::ServerTrouble => at.advise(
            format!("{} has trouble of its own", at.url()),
            "press Redeliver later; GitHub's state is at https://www.githubstatus.com",
            [],
        ),
        Cause::Disconnected => at.advise(
            format!("the connection to {} broke", at.url()),
            "press Redeliver",
            [],
        ),
        Cause::DubiousOwnership(path) => remote::dubious_ownership(path, at),

        // ---- the branch
        Cause::NotFollowing(why) => branch::not_following(why, at),
        Cause::UpstreamNotKept => branch::upstream_not_kept(at),
        Cause::UpstreamGone => at.advise(
            format!("{} is no longer at {}", at.upstream(), at.followed.url),
            "push it again, or follow another branch with git switch. Which there are",
            [format!("{git} ls-remote --heads {}", word(&at.followed.remote))],
        ),
        Cause::HeadIsNotUpstream => branch::head_is_not_upstream(at),
        Cause::Ahead(count) => branch::ahead(*count, at),
        Cause::Diverged => branch::diverged(at),
        Cause::PushedCommitMissing(id) => at.advise(
            format!("the remote does not have the pushed commit {}", id.short()),
            "check that the hook and the checkout belong to the same repository, then press Redeliver",
            [],
        ),

        // ---- the work tree
        Cause::WorkTreeElsewhere(there) => work_tree::elsewhere(there, at),
        Cause::FilesInTheWay(what, paths) => work_tree::files_in_the_way(*what, paths, at),
        Cause::HiddenEdits { folder, paths } => at.advise(
            format!(
                "uncommitted changes that git was told not to look at are in the way in {}: {}",
                line_of(folder),
                list(paths)
            ),
            "let git look at them, then press Redeliver",
            work_tree::see_again(folder, paths),
        ),
        Cause::Unmerged => work_tree::unmerged(at),
        Cause::Locked(lock) => work_tree::locked(lock, at),
        Cause::Concurrent => at.advise(
            "another git was at work in this checkout at the same moment",
            "press Redeliver; let nothing but deploy-cgi pull here (cron, a panel)",
            [],
        ),

        // ---- submodules
        Cause::SubmoduleBranchUnknown { branch, path } => submodule::branch_unknown(branch, path, at),
        Cause::LinkInTheWay(path) => submodule::in_the_way(
            path,
            |place| format!("a symbolic link is in the way of a submodule: {place}"),
            "move it away, then press Redeliver",
            at,
        ),
        Cause::FolderInTheWay(path) => submodule::in_the_way(
            path,
            |place| format!("files are in the way of the submodule {place}"),
            "move them away, then press Redeliver",
            at,
        ),
        Cause::SubmoduleRepositoryLost(path) => submodule::repository_lost(path, at),
        Cause::FileInPlaceOfSubmodule(path) => at.advise(
            format!("a file or a link is where the submodule {} belongs", line_of(path)),
            "move it somewhere else, then press Redeliver",
            [],
        ),
        Cause::IgnoredInTheWay { submodule, paths } => at.advise(
            format!(
                "ignored files are in the way in the submodule {}: {}. The main tree is new already",
                line_of(submodule),
                list(paths)
            ),
            "move them somewhere else, then press Redeliver",
            [],
        ),
        Cause::SubmoduleCommitMissing(id) => submodule::commit_missing(id.as_deref(), at),
        Cause::NotASubmodule(path) => submodule::not_a_submodule(path),
        Cause::SubmoduleFromPath => at.advise(
            "git does not clone a submodule from a path on this machine",
            "give the submodule a URL in .gitmodules where it is written, and push",
            [],
        ),
        Cause::SubmoduleBecameFiles(path) => submodule::became_files(path, at),
        Cause::SubmodulesMissing => at.advise(
            "git reported no error, but submodules are not where they belong",
            "look at them",
            [format!("{git} submodule status --recursive")],
        ),

        // ---- the repository, and what git needs
        Cause::LfsMissing => repository::install_lfs(
            "the repository keeps files with git-lfs, which is not installed here",
            None,
            at,
        ),
        Cause::LfsNotSetUp(folder) => repository::install_lfs(
            "large files are kept with git-lfs, which is not set up here: pointers are in their places",
            Some(folder),
            at,
        ),
        Cause::LfsFailed => at.advise(
            "git-lfs could not fetch a file",
            "try it by hand to see why (a login, a quota of LFS at GitHub), then press Redeliver",
            [format!("{git} lfs fetch")],
        ),
        Cause::LfsPointers(folder) => at.advise(
            format!("pointers of git-lfs are in place of large files in {}", line_of(folder)),
            "have git-lfs bring them, then press Redeliver",
            [format!("{} lfs pull", git_in(folder))],
        ),
        Cause::GitTooOld => at.advise(
            "this git is too old, or its installation is not whole",
            format!(
                "install git 2.17 or newer, or name the folder of a newer one with the key `path` in {site_file}. What is there"
            ),
            ["git --version".into(), "git --exec-path".into()],
        ),
        Cause::IndexDamaged => {
            let index = at.git_dir().join("index");
            at.advise(
                "git's index of the checkout is damaged, or a newer git wrote it",
                "have it made anew (files stay as they are), then press Redeliver",
                [
                    format!("mv {} {}", quoted(&index), quoted(&index.with_extension("broken"))),
                    format!("{git} reset --quiet"),
                ],
            )
        }
        Cause::RepositoryDamaged => repository::damaged(at),
        Cause::NoRepository(path) => repository::none(path.as_deref(), at),
    }
}
