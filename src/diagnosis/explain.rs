//! A flat list of cases: what a cause means in a situation, and what to do. Those that take a closer look have it in the
//! file of their subject.

use super::{
    Cause, Diagnosis, Situation, aside, branch, git_in, host_key, remote, repository, ssh,
    submodule, work_tree,
};
use crate::process::End;
use crate::redaction::{excerpt, line_of, list};
use crate::shell::{quoted, word};

/// A cause in words.
#[expect(clippy::too_many_lines, reason = "it is a flat list of cases")]
pub(crate) fn explain(cause: &Cause, at: &Situation<'_>) -> Diagnosis {
    let (user, site_file, url) = (at.user(), at.site_file(), at.url());
    let (folder, git) = (quoted(at.folder()), at.git());
    // What a git says that goes through a link where a submodule belongs.
    if matches!(
        cause,
        Cause::SubmoduleCommitMissing(_) | Cause::SubmoduleNotFetched(_) | Cause::NoRepository(_)
    ) && let Some(link) = submodule::unseen_link(at)
    {
        return submodule::link_in_the_way(&link, at);
    }
    match cause {
        // ---- the host's limits
        Cause::DiskFull if has_no_inodes(at) => {
            tell!(at, "the disk takes no more files: all its inodes are used";
            "remove files that nobody needs, however small, then press Redeliver; what was half written is put right then. \
             How many there are";
            "df -i {folder}")
        }
        Cause::DiskFull => tell!(at, "the disk is full";
            "free some space, then press Redeliver; what was half written is put right then. How much is used";
            "df -h {folder}"),
        Cause::QuotaExceeded => {
            let home = quoted(&at.home());
            tell!(at, "the disk quota of {user} is used up";
                "free some space or ask the host for more, then press Redeliver. What takes the most";
                "du -h -d 2 {home} | sort -h | tail")
        }
        Cause::TooManyOpenFiles => tell!(at, "the host's limit of open files was reached";
            "press Redeliver when the host is less busy; ask the host for a higher limit (nofile) if it comes back"),
        Cause::TooManyProcesses => tell!(at, "the host's limit of processes of {user} was reached";
            "let git use fewer, then press Redeliver; ask the host for a higher limit (NPROC) if it comes back";
            ..[at.setting("pack.threads 1")]),
        Cause::OutOfMemory => tell!(at, "the host's limit of memory was reached";
            "let git use less, then press Redeliver; ask the host for a higher limit if it comes back";
            ..["pack.threads 1", "core.packedGitLimit 64m", "core.bigFileThreshold 16m"].map(|setting| at.setting(setting))),
        Cause::ReadOnlyFileSystem => {
            let folder = line_of(at.folder());
            tell!(at, "the file system of {folder} is read-only";
                "the host has to mount it for writing (after an error of the disk it is often read-only until a check); \
                 then press Redeliver")
        }
        Cause::NotWritable(path) => work_tree::not_writable(path.as_deref(), at),
        Cause::Ended(end @ End::Limit(limit)) => {
            let limit = humantime::format_duration(*limit);
            tell!(at, "git {end}";
                "if it needs longer than {limit}, raise `timeout` in {site_file}; then press Redeliver")
        }
        Cause::Ended(End::Signal(signal)) => tell!(at, "git was killed by signal {signal}";
            "that is what a host's limit of memory or time does: press Redeliver when it is less busy, and ask the host \
             for a higher limit if it comes back"),
        Cause::Ended(end @ (End::Exit(_) | End::Stopped)) => {
            Diagnosis::unexplained(format!("git ended with {end}"))
        }
        Cause::CommandFailed(end) => command_failed(*end, at),
        Cause::NotLive { why, has_earlier } => {
            let page = at.site.live.as_ref().map(ToString::to_string);
            at.advise(
                format!("deployed, but {} {why}", page.unwrap_or_default()),
                if *has_earlier {
                    "mend the site, then press Redeliver: it is asked again. Or bring back what was live before"
                } else {
                    "mend the site, then press Redeliver: it is asked again"
                },
                has_earlier.then(|| format!("{} back", quoted(&at.site.file))),
            )
        }
        Cause::Error(error) => Diagnosis::unexplained(error),

        // ---- ssh
        Cause::NoSsh => tell!(at, "{url} is reached by ssh, and there is no ssh here";
            "install it, or name its folder with the key `path` in {site_file}; then press Redeliver";
            "sudo apt-get install openssh-client"),
        Cause::NamelessUser(uid) => {
            let uid = line_of(uid);
            tell!(at, "ssh refuses to work for a user without a name: uid {uid} is not in /etc/passwd";
                "the host has to name that user; or use an https address for the remote")
        }
        Cause::HostKeyChanged(file) => host_key::changed(file.as_deref(), at),
        Cause::HostKeyUnknown => host_key::unknown(at),
        Cause::KeyTooOpen(key) => ssh::key_too_open(key, at),
        Cause::KeyIsPublic(key) => ssh::key_is_public(key, at),
        Cause::KeyDamaged(key) => ssh::key_damaged(key, at),
        Cause::KeyTooOld => ssh::key_too_old(at),
        Cause::SshTooOld { what, offer } => {
            let (what, offer) = (line_of(what), line_of(offer));
            tell!(at, "ssh here and {url} have no {what} in common: there it is {offer}";
                "bring ssh up to date on the side that is old, then press Redeliver. Here";
                "sudo apt-get install --only-upgrade openssh-client")
        }
        Cause::KeyUnreadable(key) => ssh::key_unreadable(key, at),
        Cause::KeyHasPassphrase(key) => ssh::key_has_passphrase(key, at),
        Cause::KeyRefused => ssh::key_refused(at),
        Cause::KeyOfAnother(repository) => ssh::new_key(
            &format!(
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
        Cause::HostNotResolved => {
            let host = word(url.host().unwrap_or_default());
            let spelled = at.where_the_url_is();
            tell!(at, "the name of the host of {url} cannot be resolved";
                "check the spelling ({spelled}), and the host's DNS; then press Redeliver";
                "getent hosts {host}")
        }
        Cause::CertificateUntrusted(why) => {
            let why = line_of(why);
            tell!(at, "the certificate of {url} is not trusted here ({why})";
                "bring the host's certificates up to date; for a certificate of your own, name it with git's setting \
                 http.sslCAInfo. Then press Redeliver";
                "sudo apt-get install --only-upgrade ca-certificates")
        }
        Cause::Throttled => remote::throttled(at),
        Cause::TlsTooOld => remote::tls_too_old(at),
        Cause::Unreachable => remote::unreachable(at),
        Cause::ServerTrouble => tell!(at, "{url} has trouble of its own";
            "press Redeliver later; GitHub's state is at https://www.githubstatus.com"),
        Cause::Disconnected => tell!(at, "the connection to {url} broke"; "press Redeliver"),
        Cause::DubiousOwnership(path) => remote::dubious_ownership(path, at),

        // ---- the branch
        Cause::NotFollowing(why) => branch::not_following(why, at),
        Cause::UpstreamNotKept => branch::upstream_not_kept(at),
        Cause::UpstreamGone => branch::upstream_gone(at),
        Cause::ClonedFromElsewhere(url) => remote::cloned_from_elsewhere(url, at),
        Cause::NoDefaultBranch => branch::no_default_branch(at),
        Cause::HeadIsNotUpstream => branch::head_is_not_upstream(at),
        Cause::Ahead(count) => branch::ahead(*count, at),
        Cause::Diverged => branch::diverged(at),
        Cause::PushedCommitMissing(id) => {
            let id = id.short();
            tell!(at, "the remote does not have the pushed commit {id}";
                "check that the hook and the checkout belong to the same repository, then press Redeliver")
        }

        Cause::NothingGreen(workflow) => {
            let (upstream, workflow) = (at.upstream(), excerpt(workflow));
            let site = quoted(&at.site.file);
            tell!(at, "no commit of {upstream} is known that {workflow} has succeeded for";
                "let the webhook send the event \"Workflow runs\", and run the workflow again; or deploy the newest commit \
                 once, whatever becomes of it";
                "{site} run --anyway")
        }

        // ---- the work tree
        Cause::WorkTreeElsewhere(there) => work_tree::elsewhere(there, at),
        Cause::FilesInTheWay(what, paths) => work_tree::files_in_the_way(*what, paths, at),
        Cause::HiddenEdits { folder, paths } => {
            let (place, files) = (line_of(folder), list(paths));
            tell!(at, "uncommitted changes that git was told not to look at are in the way in {place}: {files}";
                "let git look at them, then press Redeliver"; ..work_tree::see_again(folder, paths))
        }
        Cause::Unmerged => work_tree::unmerged(at),
        Cause::Locked(lock) => work_tree::locked(lock, at),
        Cause::Concurrent => {
            tell!(at, "another git was at work in this checkout at the same moment";
            "press Redeliver; let nothing but deploy-cgi pull here (cron, a panel)")
        }

        // ---- submodules
        Cause::SubmoduleBranchUnknown { branch, path } => {
            submodule::branch_unknown(branch, path, at)
        }
        Cause::LinkInTheWay(path) => submodule::link_in_the_way(path, at),
        Cause::FolderInTheWay(path) => submodule::in_the_way(
            path,
            |place| format!("files are in the way of the submodule {place}"),
            "move them away, then press Redeliver",
            at,
        ),
        Cause::SubmoduleRepositoryLost(path) => submodule::repository_lost(path, at),
        Cause::FileInPlaceOfSubmodule(path) => {
            let path = line_of(path);
            tell!(at, "a file or a link is where the submodule {path} belongs";
                "move it somewhere else, then press Redeliver")
        }
        Cause::IgnoredInTheWay { submodule, paths } => {
            let (submodule, paths) = (line_of(submodule), list(paths));
            tell!(at,
                "ignored files are in the way in the submodule {submodule}: {paths}. The main tree is new already";
                "move them somewhere else, then press Redeliver")
        }
        Cause::SubmoduleCommitMissing(id) => submodule::commit_missing(id.as_deref(), at),
        Cause::SubmoduleNotFetched(said) => submodule::not_fetched(said.as_deref(), at),
        Cause::ObjectRefused(why) => repository::object_refused(why.as_deref(), at),
        Cause::NotASubmodule(path) => submodule::not_a_submodule(path),
        Cause::SubmoduleFromPath => {
            tell!(at, "git does not clone a submodule from a path on this machine";
            "give the submodule a URL in .gitmodules where it is written, and push")
        }
        Cause::SubmoduleBecameFiles(path) => submodule::became_files(path, at),
        Cause::SubmodulesMissing => tell!(at,
            "git reported no error, but submodules are not where they belong";
            "look at them";
            "{git} submodule status --recursive"),

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
        Cause::LfsFailed(why) => {
            let why = why
                .as_ref()
                .map_or_else(String::new, |why| format!(": {}", line_of(why)));
            tell!(at, "git-lfs is here, but could not fetch a file{why}";
                "where a quota is used up, raise it at GitHub (Billing); where files are not there, push them from where they \
                 are (git lfs push --all origin); where a login is asked for, store it. Then press Redeliver. To try it here";
                "{git} lfs fetch")
        }
        Cause::LfsPointers(folder) => {
            let (place, git) = (line_of(folder), git_in(folder));
            tell!(at, "pointers of git-lfs are in place of large files in {place}";
                "have git-lfs bring them, then press Redeliver";
                "{git} lfs pull")
        }
        Cause::GitTooOld => tell!(at, "this git is too old, or its installation is not whole";
            "install git 2.17 or newer, or name the folder of a newer one with the key `path` in {site_file}. What is there";
            "git --version"; "git --exec-path"),
        Cause::IndexDamaged => {
            let index = at.git_dir().join("index");
            let (index, aside) = (quoted(&index), quoted(&aside(&index, ".broken")));
            tell!(at, "git's index of the checkout is damaged, or a newer git wrote it";
                "have it made anew (files stay as they are), then press Redeliver";
                "mv {index} {aside}"; "{git} reset --quiet")
        }
        Cause::RepositoryDamaged => repository::damaged(at),
        Cause::NoRepository(path) => repository::none(path.as_deref(), at),
    }
}

/// Whether a disk has room, but none for another file.
fn has_no_inodes(at: &Situation<'_>) -> bool {
    rustix::fs::statvfs(at.git_dir()).is_ok_and(|disk| disk.f_files > 0 && disk.f_favail == 0)
}

/// The person's own command. What it printed is below.
fn command_failed(end: End, at: &Situation<'_>) -> Diagnosis {
    let site_file = at.site_file();
    let how = match end {
        End::Limit(_) => format!("{end}"),
        End::Exit(_) | End::Signal(_) | End::Stopped => format!("ended with {end}"),
    };
    let mend = match end {
        End::Exit(127) => format!(
            "it names a program that is in none of the folders that are searched: write its whole path, or name its folder \
             with the key `path` in {site_file}"
        ),
        End::Exit(126) => {
            "it names a file that may not be run: make that executable (chmod +x)".into()
        }
        End::Limit(_) => format!(
            "if it needs longer, raise `timeout` in {site_file}; what is to go on running is started in the background, with &"
        ),
        End::Signal(_) => {
            "that is what a host's limit of memory or time does: have it use less".into()
        }
        End::Exit(_) | End::Stopped => "mend what it says below".into(),
    };
    tell!(at,
        "the command {how}; the new files are in place, the command is run again with the next deploy";
        "{mend}; then press Redeliver")
}
