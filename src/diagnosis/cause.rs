//! A flat table: why a step failed, and the messages of git and ssh that say so.
//!
//! It chooses words, never an action. The messages are English because git is made to speak English. A row says where in
//! git's source its messages are made and which versions make them: 2.17 is the oldest that is supported, and a row
//! without versions holds from there to 2.55. Further down stand the words of other programs that git runs.

use std::fmt::{Display, Formatter};
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use super::message::{find, lines};
use crate::commit_id::CommitId;
use crate::git::{GitFailed, NoUpstream};
use crate::process::End;

/// Why a step failed: found in what a command printed, or stated by whoever found it out otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    // ---- the host's limits
    DiskFull,
    QuotaExceeded,
    TooManyOpenFiles,
    TooManyProcesses,
    OutOfMemory,
    ReadOnlyFileSystem,
    /// Something may not be written; where the message names it, what.
    NotWritable(Option<PathBuf>),
    // ---- ssh
    NoSsh,
    NamelessUser(String),
    /// The host shows another key than the one in this file.
    HostKeyChanged(Option<PathBuf>),
    HostKeyUnknown,
    KeyTooOpen(PathBuf),
    KeyUnreadable(PathBuf),
    KeyHasPassphrase(PathBuf),
    KeyRefused,
    /// The key belongs to something else than this repository.
    KeyOfAnother(String),
    // ---- the remote
    LoginMissing,
    LoginRefused,
    RemoteNotFound,
    HostNotResolved,
    CertificateUntrusted(String),
    Unreachable,
    ServerTrouble,
    Disconnected,
    DubiousOwnership(PathBuf),
    // ---- the branch
    NotFollowing(NoUpstream),
    /// Git keeps nothing of the upstream to compare a pull with.
    UpstreamNotKept,
    UpstreamGone,
    /// After a pull that ended well.
    HeadIsNotUpstream,
    Ahead(u64),
    Diverged,
    PushedCommitMissing(CommitId),
    // ---- the work tree
    WorkTreeElsewhere(PathBuf),
    FilesInTheWay(InTheWay, Vec<String>),
    /// Edits that git was told not to look at, in a work tree that is to be reset.
    HiddenEdits {
        folder: PathBuf,
        paths: Vec<PathBuf>,
    },
    Unmerged,
    Locked(PathBuf),
    Concurrent,
    // ---- submodules
    SubmoduleBranchUnknown {
        branch: String,
        path: PathBuf,
    },
    LinkInTheWay(PathBuf),
    FolderInTheWay(PathBuf),
    /// Something else than a folder is where a submodule belongs.
    FileInPlaceOfSubmodule(PathBuf),
    /// Files that git ignores, and would write over.
    IgnoredInTheWay {
        submodule: PathBuf,
        paths: Vec<PathBuf>,
    },
    SubmoduleCommitMissing(Option<String>),
    NotASubmodule(PathBuf),
    SubmoduleRepositoryLost(PathBuf),
    SubmoduleFromPath,
    /// A submodule becomes plain files, and there is something of a person's in it.
    SubmoduleToBeReplaced(PathBuf),
    /// The same, where the files have come already.
    SubmoduleReplaced(PathBuf),
    /// Git ended well, and submodules are not where they belong.
    SubmodulesMissing,
    // ---- the repository, and what git needs
    LfsMissing,
    LfsFailed,
    /// Pointers of git-lfs are in place of large files in this work tree, and it is set up there.
    LfsPointers(PathBuf),
    /// The same, and it is not.
    LfsNotSetUp(PathBuf),
    GitTooOld,
    IndexDamaged,
    RepositoryDamaged,
    /// Git finds none, where the message names it at this path.
    NoRepository(Option<PathBuf>),
    // ---- what nobody can explain further
    Ended(End),
    CommandFailed(End),
    Error(String),
}

/// What git would have to write over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InTheWay {
    Edits,
    Untracked,
    Both,
}

/// An error whose cause is known where it comes up.
#[derive(Debug)]
pub(crate) struct Stated(pub(crate) Cause);

impl std::error::Error for Stated {}

impl Display for Stated {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "the deploy cannot go on: {:?}", self.0)
    }
}

/// One of these messages was printed → the cause, made of the message's fields and of all that was printed.
struct Row {
    messages: &'static [&'static str],
    cause: fn(&[&str], &str) -> Cause,
}

macro_rules! table {
    ($field:ident, $output:ident: $($($message:expr),+ => $cause:expr;)+) => {
        &[$(Row { messages: &[$($message),+], cause: |$field, $output| $cause }),+]
    };
}

/// From the particular to the general: the first row that fits answers.
#[expect(
    unused_variables,
    reason = "most messages need no more than to be there"
)]
const TABLE: &[Row] = table! { field, output:
    // ---- the host's limits
    // usage.c, `die_errno` and `error_errno`: the system's words end a message. csum-file.c, `flush`.
    "*: No space left on device",
    "*: No space left on device. Out of diskspace",
    "* write error. Out of diskspace" => Cause::DiskFull;
    "*: Disk quota exceeded" => Cause::QuotaExceeded;
    "*: Too many open files" => Cause::TooManyOpenFiles;
    // run-command.c, `start_command` and (from 2.20) `start_async`; index-pack.c; dash.
    "cannot fork() for *",
    "cannot create async thread: *",
    "unable to create thread: *",
    "sh: *: Cannot fork" => Cause::TooManyProcesses;
    // wrapper.c, `do_xmalloc`; git-zlib.c; run-command.c, `wait_or_whine`.
    "*: Cannot allocate memory",
    "Out of memory, *",
    "*: out of memory",
    "* died of signal 9" => Cause::OutOfMemory;
    "*: Read-only file system" => Cause::ReadOnlyFileSystem;

    // ---- ssh
    // OpenSSH: sshconnect.c, authfile.c, sshkey.c, sshconnect2.c, packet.c, ssh.c.
    "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @" =>
        Cause::HostKeyChanged(find(output, "Offending + key in *:+").map(|field| field[1].into()));
    "Host key verification failed." => Cause::HostKeyUnknown;
    "Permissions + for '*' are too open." => Cause::KeyTooOpen(field[1].into());
    "Load key \"*\": Permission denied" => Cause::KeyUnreadable(field[0].into());
    "+@+: Permission denied (*).",
    "Permission denied (*).",
    "Received disconnect from + port +: Too many authentication failures" => Cause::KeyRefused;
    "No user exists for uid +" => Cause::NamelessUser(field[0].into());
    // run-command.c, `start_command`; the shell that runs `GIT_SSH_COMMAND`.
    "cannot run ssh: No such file or directory",
    "ssh*: ssh: not found",
    "ssh*: ssh: command not found",
    "sh: *: ssh: not found",
    "sh: *ssh: command not found" => Cause::NoSsh;
    // GitHub, by ssh.
    "ERROR: Permission to + denied to *" => Cause::KeyOfAnother(field[0].into());

    // ---- the remote
    // prompt.c, `git_prompt`.
    "could not read Username for '*': *",
    "could not read Password for '*': *" => Cause::LoginMissing;
    // remote-curl.c, `discover_refs`, with libcurl's words behind the URL; so are those further down.
    "Authentication failed for '*'",
    "unable to access '*': The requested URL returned error: 403" => Cause::LoginRefused;
    // GitHub, by ssh; upload-pack.c; daemon.c, whose words pkt-line.c passes on.
    "repository '*' not found",
    "unable to access '*': The requested URL returned error: 404",
    "ERROR: Repository not found.",
    "'*' does not appear to be a git repository",
    "remote error: no such repository*",
    "remote error: access denied or repository not exported*" => Cause::RemoteNotFound;
    // OpenSSH; connect.c, `git_tcp_connect_sock`, with a large letter before 2.21.
    "unable to access '*': Could not resolve host: *",
    "unable to access '*': Could not resolve proxy: *",
    "ssh: Could not resolve hostname +: *",
    "unable to look up + (*",
    "Unable to look up + (*" => Cause::HostNotResolved;
    "unable to access '*': SSL certificate problem: *",
    "unable to access '*': server certificate verification failed*",
    "unable to access '*': SSL: no alternative certificate subject name matches*" =>
        Cause::CertificateUntrusted(field[1].trim_start_matches(['.', ' ']).into());
    "unable to access '*': Failed to connect to *",
    "unable to access '*': Could not connect to *",
    "unable to access '*': Couldn't connect to *",
    "unable to access '*': Connection timed out*",
    "unable to access '*': Operation timed out*",
    "unable to access '*': Operation too slow*",
    "unable to access '*': Recv failure: *",
    "unable to access '*': Send failure: *",
    "unable to connect to *",
    "ssh: connect to host + port +: *",
    "kex_exchange_identification: *",
    "ssh_exchange_identification: *",
    "Connection timed out during banner exchange",
    "Connection closed by *",
    "Connection reset by *" => Cause::Unreachable;
    "unable to access '*': The requested URL returned error: 429",
    "unable to access '*': The requested URL returned error: 5+" => Cause::ServerTrouble;
    // setup.c, `die_upon_dubious_ownership`: the second to 2.36, the first from 2.37.
    "detected dubious ownership in repository at '*'",
    "unsafe repository ('*' is owned by someone else)" => Cause::DubiousOwnership(field[0].into());

    // ---- the branch and the work tree
    // unpack-trees.c, `setup_unpack_trees_porcelain`.
    CHANGES_OVERWRITTEN,
    UNTRACKED_OVERWRITTEN,
    UNTRACKED_REMOVED,
    UNTRACKED_LOST => files_in_the_way(output);
    // builtin/merge.c, `cmd_merge`; builtin/pull.c, `cmd_pull`, from 2.33.
    "Not possible to fast-forward, aborting.",
    "Need to specify how to reconcile divergent branches.",
    "refusing to merge unrelated histories" => Cause::Diverged;
    // builtin/pull.c, `die_no_merge_candidates`; remote.c, `get_fetch_map`, with a large letter before 2.21.
    "from the remote, but no such ref was fetched.",
    "couldn't find remote ref *",
    "Couldn't find remote ref *" => Cause::UpstreamGone;
    // advice.c, `error_resolve_conflict` and `die_conclude_merge`; builtin/merge.c.
    "+ is not possible because you have unmerged files.",
    "You have not concluded your merge (MERGE_HEAD exists).",
    "You have not concluded your cherry-pick (CHERRY_PICK_HEAD exists)." => Cause::Unmerged;
    // lockfile.c, `unable_to_lock_message`; refs/files-backend.c, `lock_raw_ref`; config.c, `git_config_set_multivar_in_file`.
    "Unable to create '*.lock': File exists." => Cause::Locked(format!("{}.lock", field[0]).into());
    "cannot lock ref '+': Unable to create '*.lock': File exists." =>
        Cause::Locked(format!("{}.lock", field[1]).into());
    "could not lock config file *: File exists" => Cause::Locked(format!("{}.lock", field[0]).into());
    // refs/files-backend.c, `verify_lock`; builtin/pull.c; shallow.c, `check_shallow_file_for_update`.
    "cannot lock ref '+': is at + but expected +",
    "Cannot fast-forward to multiple branches.",
    "shallow file has changed since we read it" => Cause::Concurrent;

    // ---- submodules: git-submodule.sh to 2.37, builtin/submodule--helper.c since
    "Unable to find current origin/+ revision in submodule path '*'",
    "Unable to find refs/remotes/origin/+ revision in submodule path '*'" => Cause::SubmoduleBranchUnknown {
        branch: field[0].into(),
        path: field[1].into(),
    };
    // submodule.c, `validate_submodule_path`, from 2.39.4 and 2.45.1.
    "expected '*' in submodule path '*' not to be a symbolic link",
    "expected submodule path '*' not to be a symbolic link" => Cause::LinkInTheWay(field[0].into());
    // upload-pack.c, `receive_needs`; fetch-pack.c, `report_unmatched_refs`.
    "remote error: upload-pack: not our ref +",
    "Server does not allow request for unadvertised object +" =>
        Cause::SubmoduleCommitMissing(Some(field[0].into()));
    "Fetched in submodule path '*', but it did not contain +. Direct fetching of that commit failed." =>
        Cause::SubmoduleCommitMissing(Some(field[1].into()));
    "Unable to find current revision in submodule path '*'" => Cause::SubmoduleCommitMissing(None);
    // builtin/clone.c, `cmd_clone`.
    "destination path '*' already exists and is not an empty directory." => Cause::FolderInTheWay(field[0].into());
    "No url found for submodule path '*' in .gitmodules" => Cause::NotASubmodule(field[0].into());
    // From 2.19.
    "could not get a repository handle for submodule '*'" => Cause::SubmoduleRepositoryLost(field[0].into());
    // transport.c, `transport_check_allowed`.
    "transport 'file' not allowed" => Cause::SubmoduleFromPath;

    // ---- what git needs
    // convert.c, `filter_buffer_or_fd` and `apply_multi_file_filter`; the shell that runs filters; help.c.
    "external filter 'git-lfs *' failed",
    "external filter 'git-lfs *' failed +",
    "git-lfs *: git-lfs: not found",
    "git-lfs *: git-lfs: command not found",
    "git: 'lfs' is not a git command. See 'git --help'." => Cause::LfsMissing;
    // convert.c, `encode_to_worktree`; git-lfs.
    "*: smudge filter lfs failed",
    "Error downloading object: *" => Cause::LfsFailed;
    // parse-options.c, `parse_options`; help.c, `help_unknown_cmd`.
    "unknown option `*",
    "unknown switch `*",
    "git: '+' is not a git command. See 'git --help'." => Cause::GitTooOld;

    // ---- damage
    // read-cache.c, `verify_hdr`, `do_read_index`, `read_index_extension`.
    "index file corrupt",
    "*: index file smaller than expected",
    "bad index file sha1 signature",
    "bad signature 0x+",
    "unknown index entry format 0x+",
    "index uses + extension, which we do not understand" => Cause::IndexDamaged;
    // object-file.c; revision.c; unpack-trees.c; entry.c; builtin/fetch.c; git-zlib.c; builtin/fsck.c; packfile.c.
    "object file * is empty",
    "loose object + (stored in *) is corrupt",
    "packed object + (stored in *) is corrupt",
    "bad object *",
    "unable to read tree *",
    "unable to read sha1 file of * (+)",
    "* did not send all necessary objects",
    "inflate: data stream error (*)",
    "*: invalid sha1 pointer *",
    "packfile * cannot be accessed",
    "your current branch appears to be broken" => Cause::RepositoryDamaged;
    // setup.c, `setup_git_directory_gently`.
    "not a git repository: *" => Cause::NoRepository(Some(field[0].into()));
    "not a git repository (or any *" => Cause::NoRepository(None);

    // ---- whatever else breaks off, or may not be written
    // pkt-line.c, with a large letter before 2.22; index-pack.c; remote-curl.c; sideband.c, from 2.28.
    "the remote end hung up unexpectedly",
    "The remote end hung up unexpectedly",
    "early EOF",
    "RPC failed; *",
    "+: unexpected disconnect while reading sideband packet" => Cause::Disconnected;
    // object-file.c, `create_tmpfile`; entry.c; lockfile.c; the rest by `die_errno` and `error_errno`.
    "insufficient permission for adding an object to repository database *",
    "unable to unlink old '*': Permission denied",
    "unable to create file *: Permission denied",
    "Unable to create '*': Permission denied",
    "unable to create '*': Permission denied",
    "cannot open '*': Permission denied" =>
        Cause::NotWritable(Some(field[0].trim_end_matches('/').into()));
    "*: Permission denied",
    "*: Operation not permitted" => Cause::NotWritable(None);
};

const CHANGES_OVERWRITTEN: &str =
    "Your local changes to the following files would be overwritten by +:";
const UNTRACKED_OVERWRITTEN: &str =
    "The following untracked working tree files would be overwritten by +:";
const UNTRACKED_REMOVED: &str = "The following untracked working tree files would be removed by +:";
const UNTRACKED_LOST: &str =
    "Updating the following directories would lose untracked files in them:";

fn files_in_the_way(output: &str) -> Cause {
    let has = |message: &&str| find(output, message).is_some();
    let of_untracked = [UNTRACKED_OVERWRITTEN, UNTRACKED_REMOVED, UNTRACKED_LOST];
    // Git lists them, each behind a tab.
    let listed = lines(output).filter_map(|line| line.strip_prefix('\t'));
    let mut paths: Vec<String> = listed
        .map(|path| path.trim_end_matches('/').to_owned())
        .collect();
    paths.dedup();
    let what = match (has(&CHANGES_OVERWRITTEN), of_untracked.iter().any(has)) {
        (true, true) => InTheWay::Both,
        (false, true) => InTheWay::Untracked,
        (_, false) => InTheWay::Edits,
    };
    Cause::FilesInTheWay(what, paths)
}

impl Cause {
    /// What a command's output says; `None` where no message in it is known.
    pub(crate) fn of_output(said: &str) -> Option<Self> {
        TABLE.iter().find_map(|row| {
            let said_so = |message: &&str| find(said, message);
            let field = row.messages.iter().find_map(said_so)?;
            Some((row.cause)(&field, said))
        })
    }

    /// What an error of ours says, and what git printed where it is one of git's.
    pub(crate) fn of_error(error: &anyhow::Error) -> (Self, String) {
        let unknown = || Self::Error(format!("{error:#}"));
        if let Some(Stated(cause)) = error.downcast_ref::<Stated>() {
            return (cause.clone(), String::new());
        }
        if let Some(failed) = error.downcast_ref::<GitFailed>() {
            return match Self::of_output(&failed.printed) {
                Some(cause) => (cause, failed.printed.clone()),
                None => (unknown(), String::new()),
            };
        }
        let of_the_system = error
            .chain()
            .find_map(|error| error.downcast_ref::<io::Error>());
        let cause = match of_the_system.map(io::Error::kind) {
            Some(ErrorKind::StorageFull) => Self::DiskFull,
            Some(ErrorKind::QuotaExceeded) => Self::QuotaExceeded,
            Some(ErrorKind::OutOfMemory) => Self::OutOfMemory,
            Some(ErrorKind::ReadOnlyFilesystem) => Self::ReadOnlyFileSystem,
            _ => unknown(),
        };
        (cause, String::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! printed {
        ($($cause:expr => $($output:literal),+;)+) => {
            vec![$(($cause, &[$($output),+][..])),+]
        };
    }

    /// The causes, and what git, ssh and others print where they hold.
    #[expect(clippy::too_many_lines, reason = "it is a flat table")]
    fn printed() -> Vec<(Cause, &'static [&'static str])> {
        printed! {
            Cause::DiskFull =>
                "error: unable to write file index.html: No space left on device",
                "fatal: write error: No space left on device. Out of diskspace",
                "fatal: sha1 file '.git/index.lock' write error. Out of diskspace";
            Cause::QuotaExceeded =>
                "error: unable to write file index.html: Disk quota exceeded";
            Cause::TooManyOpenFiles =>
                "fatal: unable to open object pack directory: Too many open files";
            Cause::TooManyProcesses =>
                "error: cannot fork() for git-remote-https: Resource temporarily unavailable",
                "error: cannot create async thread: Resource temporarily unavailable",
                "fatal: unable to create thread: Resource temporarily unavailable",
                "sh: 1: Cannot fork";
            Cause::OutOfMemory =>
                "fatal: mmap failed: Cannot allocate memory",
                "fatal: Out of memory, malloc failed (tried to allocate 1024 bytes)",
                "fatal: inflate: out of memory",
                "error: git-remote-https died of signal 9";
            Cause::ReadOnlyFileSystem =>
                "error: unable to create file index.html: Read-only file system";
            Cause::HostKeyChanged(Some("/home/me/.ssh/known_hosts".into())) =>
                "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\nOffending ED25519 key in /home/me/.ssh/known_hosts:3\r\nHost key verification failed.\r";
            Cause::HostKeyUnknown =>
                "No ED25519 host key is known for h and you have requested strict checking.\r\nHost key verification failed.\r\nfatal: Could not read from remote repository.";
            Cause::KeyTooOpen("/home/me/.ssh/id".into()) =>
                "Permissions 0644 for '/home/me/.ssh/id' are too open.\r\ngit@h: Permission denied (publickey).\r";
            Cause::KeyUnreadable("/home/me/.ssh/id".into()) =>
                "Load key \"/home/me/.ssh/id\": Permission denied\r\ngit@h: Permission denied (publickey).\r";
            Cause::KeyRefused =>
                "git@github.com: Permission denied (publickey).\r\nfatal: Could not read from remote repository.",
                "Permission denied (publickey).",
                "Received disconnect from 1.2.3.4 port 22:2: Too many authentication failures\r";
            Cause::NamelessUser("12345".into()) =>
                "No user exists for uid 12345";
            Cause::NoSsh =>
                "error: cannot run ssh: No such file or directory",
                "ssh -oBatchMode=yes: 1: ssh: not found",
                "ssh -oBatchMode=yes: line 1: ssh: command not found",
                "sh: 1: ssh: not found",
                "sh: line 1: ssh: command not found";
            Cause::KeyOfAnother("o/n.git".into()) =>
                "ERROR: Permission to o/n.git denied to deploy key";
            Cause::LoginMissing =>
                "fatal: could not read Username for 'https://h': terminal prompts disabled",
                "fatal: could not read Password for 'https://me@h': terminal prompts disabled";
            Cause::LoginRefused =>
                "fatal: Authentication failed for 'https://h/o/n.git/'",
                "fatal: unable to access 'https://h/o/n.git/': The requested URL returned error: 403";
            Cause::RemoteNotFound =>
                "fatal: repository 'https://h/o/n.git/' not found",
                "fatal: unable to access 'https://h/o/n.git/': The requested URL returned error: 404",
                "ERROR: Repository not found.\nfatal: Could not read from remote repository.",
                "fatal: '/srv/n.git' does not appear to be a git repository",
                "fatal: remote error: no such repository: /o/n",
                "fatal: remote error: access denied or repository not exported: /o/n";
            Cause::HostNotResolved =>
                "fatal: unable to access 'https://h/n/': Could not resolve host: h",
                "fatal: unable to access 'https://h/n/': Could not resolve proxy: p",
                "ssh: Could not resolve hostname h: Name or service not known\r",
                "fatal: unable to look up h (port 9418) (Name or service not known)",
                "fatal: Unable to look up h (port 9418) (Name or service not known)";
            Cause::CertificateUntrusted("certificate has expired".into()) =>
                "fatal: unable to access 'https://h/n/': SSL certificate problem: certificate has expired";
            Cause::CertificateUntrusted("CAfile: none".into()) =>
                "fatal: unable to access 'https://h/n/': server certificate verification failed. CAfile: none";
            Cause::CertificateUntrusted("target host name 'h'".into()) =>
                "fatal: unable to access 'https://h/n/': SSL: no alternative certificate subject name matches target host name 'h'";
            Cause::Unreachable =>
                "fatal: unable to access 'https://h/n/': Failed to connect to h port 443 after 0 ms: Connection refused",
                "fatal: unable to access 'https://h/n/': Could not connect to server",
                "fatal: unable to access 'https://h/n/': Couldn't connect to server",
                "fatal: unable to access 'https://h/n/': Connection timed out after 300 ms",
                "fatal: unable to access 'https://h/n/': Operation timed out after 300 ms",
                "fatal: unable to access 'https://h/n/': Operation too slow. Less than 1000 bytes/sec",
                "fatal: unable to access 'https://h/n/': Recv failure: Connection reset by peer",
                "fatal: unable to access 'https://h/n/': Send failure: Broken pipe",
                "fatal: unable to connect to h:\nh[0: 127.0.0.1]: errno=Connection refused",
                "ssh: connect to host h port 22: Connection refused\r",
                "kex_exchange_identification: Connection closed by remote host\r",
                "ssh_exchange_identification: Connection closed by remote host\r",
                "Connection timed out during banner exchange\r",
                "Connection closed by 1.2.3.4 port 22\r",
                "Connection reset by 1.2.3.4 port 22\r";
            Cause::ServerTrouble =>
                "fatal: unable to access 'https://h/n/': The requested URL returned error: 429",
                "fatal: unable to access 'https://h/n/': The requested URL returned error: 502";
            Cause::DubiousOwnership("/w/site".into()) =>
                "fatal: detected dubious ownership in repository at '/w/site'",
                "fatal: unsafe repository ('/w/site' is owned by someone else)";
            Cause::Diverged =>
                "fatal: Not possible to fast-forward, aborting.",
                "fatal: Need to specify how to reconcile divergent branches.",
                "fatal: refusing to merge unrelated histories";
            Cause::UpstreamGone =>
                "Your configuration specifies to merge with the ref 'refs/heads/main'\nfrom the remote, but no such ref was fetched.",
                "fatal: couldn't find remote ref refs/heads/main",
                "fatal: Couldn't find remote ref main";
            Cause::Unmerged =>
                "error: Pulling is not possible because you have unmerged files.",
                "error: You have not concluded your merge (MERGE_HEAD exists).",
                "fatal: You have not concluded your cherry-pick (CHERRY_PICK_HEAD exists).";
            Cause::Locked("/w/.git/a.lock".into()) =>
                "fatal: Unable to create '/w/.git/a.lock': File exists.",
                "error: cannot lock ref 'refs/heads/main': Unable to create '/w/.git/a.lock': File exists.",
                "error: could not lock config file /w/.git/a: File exists";
            Cause::Concurrent =>
                "error: cannot lock ref 'refs/remotes/origin/main': is at 1a2b but expected 3c4d",
                "fatal: Cannot fast-forward to multiple branches.",
                "fatal: shallow file has changed since we read it";
            Cause::SubmoduleBranchUnknown { branch: "drafts".into(), path: "posts".into() } =>
                "Unable to find current origin/drafts revision in submodule path 'posts'",
                "fatal: Unable to find refs/remotes/origin/drafts revision in submodule path 'posts'";
            Cause::LinkInTheWay("lib".into()) =>
                "error: expected 'lib' in submodule path 'lib/a' not to be a symbolic link",
                "fatal: expected submodule path 'lib' not to be a symbolic link";
            Cause::SubmoduleCommitMissing(Some("1a2b".into())) =>
                "fatal: remote error: upload-pack: not our ref 1a2b",
                "error: Server does not allow request for unadvertised object 1a2b",
                "fatal: Fetched in submodule path 'posts', but it did not contain 1a2b. Direct fetching of that commit failed.";
            Cause::SubmoduleCommitMissing(None) =>
                "fatal: Unable to find current revision in submodule path 'lib/a'";
            Cause::FolderInTheWay("/w/posts".into()) =>
                "fatal: destination path '/w/posts' already exists and is not an empty directory.";
            Cause::NotASubmodule("inner".into()) =>
                "fatal: No url found for submodule path 'inner' in .gitmodules";
            Cause::SubmoduleRepositoryLost("posts".into()) =>
                "fatal: could not get a repository handle for submodule 'posts'";
            Cause::SubmoduleFromPath =>
                "fatal: transport 'file' not allowed";
            Cause::LfsMissing =>
                "error: external filter 'git-lfs filter-process' failed",
                "error: external filter 'git-lfs smudge -- a.png' failed 127",
                "git-lfs smudge -- 'a.png': 1: git-lfs: not found",
                "git-lfs filter-process: line 1: git-lfs: command not found",
                "git: 'lfs' is not a git command. See 'git --help'.";
            Cause::LfsFailed =>
                "fatal: a.png: smudge filter lfs failed",
                "Error downloading object: a.png (1234): Smudge error";
            Cause::GitTooOld =>
                "error: unknown option `no-recurse-submodules'",
                "error: unknown switch `z'",
                "git: 'switch' is not a git command. See 'git --help'.";
            Cause::IndexDamaged =>
                "fatal: index file corrupt",
                "fatal: .git/index: index file smaller than expected",
                "error: bad index file sha1 signature",
                "error: bad signature 0x00000000",
                "fatal: unknown index entry format 0x40000000",
                "error: index uses abcd extension, which we do not understand";
            Cause::RepositoryDamaged =>
                "error: object file .git/objects/1a/2b is empty",
                "fatal: loose object 1a2b (stored in .git/objects/1a/2b) is corrupt",
                "fatal: packed object 1a2b (stored in .git/objects/pack/p.pack) is corrupt",
                "fatal: bad object HEAD",
                "fatal: unable to read tree (1a2b)",
                "error: unable to read sha1 file of index.html (1a2b)",
                "error: http://h/n.git did not send all necessary objects",
                "error: inflate: data stream error (incorrect header check)",
                "error: HEAD: invalid sha1 pointer 1a2b",
                "fatal: packfile .git/objects/pack/p.pack cannot be accessed",
                "fatal: your current branch appears to be broken";
            Cause::NoRepository(Some("/w/posts/../.git/modules/posts".into())) =>
                "fatal: not a git repository: /w/posts/../.git/modules/posts";
            Cause::NoRepository(None) =>
                "fatal: not a git repository (or any of the parent directories): .git";
            Cause::Disconnected =>
                "fatal: the remote end hung up unexpectedly",
                "fatal: The remote end hung up unexpectedly",
                "fatal: early EOF",
                "error: RPC failed; curl 56 Recv failure",
                "fetch-pack: unexpected disconnect while reading sideband packet";
            Cause::NotWritable(Some("posts".into())) =>
                "error: insufficient permission for adding an object to repository database posts",
                "error: unable to unlink old 'posts': Permission denied",
                "error: unable to create file posts: Permission denied",
                "fatal: Unable to create 'posts': Permission denied",
                "error: unable to create 'posts': Permission denied",
                "error: cannot open 'posts': Permission denied";
            Cause::NotWritable(None) =>
                "error: could not write to .git/FETCH_HEAD: Permission denied",
                "fatal: chmod on .git/config.lock failed: Operation not permitted";
        }
    }

    #[test]
    fn what_is_printed_has_its_cause() {
        for (cause, outputs) in printed() {
            for output in outputs {
                assert_eq!(Cause::of_output(output), Some(cause.clone()), "{output}");
            }
        }
    }

    #[test]
    fn every_message_is_printed_somewhere() {
        // The messages with lists of files have a test of their own.
        let all = TABLE.iter().flat_map(|row| row.messages);
        for message in all.filter(|message| !message.ends_with(':')) {
            let has = |output: &&str| find(output, message).is_some();
            let is_printed = printed().iter().any(|(_, outputs)| outputs.iter().any(has));
            assert!(is_printed, "{message}");
        }
    }

    #[test]
    fn files_in_the_way_are_those_that_git_lists() {
        #[track_caller]
        fn check(output: &str, what: InTheWay, paths: &[&str]) {
            let paths = paths.iter().map(|path| (*path).to_owned()).collect();
            let cause = Cause::FilesInTheWay(what, paths);
            assert_eq!(Cause::of_output(output), Some(cause));
        }
        check(
            "error: Your local changes to the following files would be overwritten by merge:\n\ta b.html\n\tc\nPlease",
            InTheWay::Edits,
            &["a b.html", "c"],
        );
        check(
            "error: The following untracked working tree files would be overwritten by checkout:\n\tx\nPlease",
            InTheWay::Untracked,
            &["x"],
        );
        check(
            "error: The following untracked working tree files would be removed by merge:\n\tx\nPlease",
            InTheWay::Untracked,
            &["x"],
        );
        check(
            "error: Your local changes to the following files would be overwritten by merge:\n\tc\n\
             error: Updating the following directories would lose untracked files in them:\n\tdir/\n",
            InTheWay::Both,
            &["c", "dir"],
        );
    }

    #[test]
    fn what_is_not_known_has_no_cause() {
        for output in [
            "fatal: something new",
            "remote: fatal: Not possible to fast-forward, aborting.",
            "Submodule path 'Load key \"/etc\": Permission denied': checked out 'abc'",
            "warning: unable to access '/root/.config/git/attributes': Permission denied",
            "Cloning into 'REMOTE HOST IDENTIFICATION HAS CHANGED'...",
        ] {
            assert_eq!(Cause::of_output(output), None, "{output}");
        }
    }
}
