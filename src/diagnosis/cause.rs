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
use crate::git::{Config, GitFailed, NoUpstream};
use crate::process::End;
use crate::remote_url::RemoteUrl;
use crate::site::Site;

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
    /// No key in a form that ssh knows.
    KeyDamaged(PathBuf),
    /// The half that is for the other side.
    KeyIsPublic(PathBuf),
    KeyRefused,
    /// RSA with SHA-1.
    KeyTooOld,
    /// The two sides share no algorithm of this kind; the host has these.
    SshTooOld {
        what: String,
        offer: String,
    },
    /// The key belongs to something else than this repository.
    KeyOfAnother(String),
    // ---- the remote
    LoginMissing,
    LoginRefused,
    RemoteNotFound,
    HostNotResolved,
    CertificateUntrusted(String),
    Unreachable,
    /// GitHub lets fewer through that show no login.
    Throttled,
    TlsTooOld,
    ServerTrouble,
    Disconnected,
    DubiousOwnership(PathBuf),
    // ---- the branch
    NotFollowing(NoUpstream),
    /// Git keeps nothing of the upstream to compare a pull with.
    UpstreamNotKept,
    UpstreamGone,
    /// The checkout was cloned from this URL, and not from the one that the key `clone` has now.
    ClonedFromElsewhere(String),
    /// The remote does not say which branch is to be cloned.
    NoDefaultBranch,
    /// After a pull that ended well.
    HeadIsNotUpstream,
    Ahead(u64),
    Diverged,
    PushedCommitMissing(CommitId),
    /// This workflow is not known to have succeeded for any commit of the branch.
    NothingGreen(String),
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
    /// For another reason than the known ones; what git said last.
    SubmoduleNotFetched(Option<String>),
    /// An object that git was told to refuse where something is wrong with it: its id, the kind of fault, and what that is.
    ObjectRefused(Option<Vec<String>>),
    NotASubmodule(PathBuf),
    SubmoduleRepositoryLost(PathBuf),
    SubmoduleFromPath,
    /// A submodule becomes plain files, and there is something of a person's in it.
    SubmoduleBecameFiles(PathBuf),
    /// Git ended well, and submodules are not where they belong.
    SubmodulesMissing,
    // ---- the repository, and what git needs
    LfsMissing,
    /// With what git-lfs said of it.
    LfsFailed(Option<String>),
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
    /// The page of the key `live`; and whether an earlier good deploy is known.
    NotLive {
        why: String,
        has_earlier: bool,
    },
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
    "*. Out of diskspace" => Cause::DiskFull;
    "*: Disk quota exceeded" => Cause::QuotaExceeded;
    "*: Too many open files" => Cause::TooManyOpenFiles;
    // run-command.c, `start_command` and (from 2.20) `start_async`; fetch-pack.c; index-pack.c; preload-index.c; libcurl.
    "cannot fork() for *",
    "fetch-pack: unable to fork off *",
    "cannot create async thread: *",
    "unable to create thread: *",
    "unable to create threaded lstat*",
    "unable to access '*': getaddrinfo() thread failed to start",
    // dash, busybox and bash, in git's scripts too; the system's words for it.
    "+: +: Cannot fork",
    "+: can't fork: *",
    "+: fork: *",
    "+: line +: fork: *",
    "*: Resource temporarily unavailable" => Cause::TooManyProcesses;
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
    "Load key \"*\": *" => Cause::KeyDamaged(field[0].into());
    // And GitHub's words, where it was asked with such a key.
    "sign_and_send_pubkey: no mutual signature supported",
    "ERROR: You're using an RSA key with SHA-1, which is no longer allowed. *" => Cause::KeyTooOld;
    "Unable to negotiate with + port +: no matching * found. Their offer: *" => Cause::SshTooOld {
        what: field[2].into(),
        offer: field[3].into(),
    };
    "+@+: Permission denied (*).",
    "Permission denied (*).",
    "Received disconnect from + port +: Too many authentication failures" => Cause::KeyRefused;
    "No user exists for uid +" => Cause::NamelessUser(field[0].into());
    // run-command.c, `start_command`; the shell that runs `GIT_SSH_COMMAND`.
    "cannot run ssh: No such file or directory",
    "ssh*: ssh: *not found",
    "sh: *: ssh: *not found" => Cause::NoSsh;
    // GitHub, by ssh.
    "ERROR: Permission to + denied to *" => Cause::KeyOfAnother(field[0].into());

    // ---- the remote
    // GitHub to who shows no login: upload-pack's words; what git says behind a 401 in the midst of it (fetch-pack.c,
    // `receive_shallow_info`, from 2.18); remote-curl.c, the last from 2.54.
    "remote error: GitHub is temporarily limiting some unauthenticated downloads*",
    "expected flush after ref listing",
    "unable to access '*': The requested URL returned error: 429",
    "RPC failed; HTTP 429 *",
    "rate limited by '*', please try again *" => Cause::Throttled;
    // prompt.c, `git_prompt`.
    "could not read + for '*': *" => Cause::LoginMissing;
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
    // OpenSSH; connect.c, `git_tcp_connect_sock`, with a large letter before 2.19.
    "unable to access '*': Could not resolve +: *",
    "ssh: Could not resolve hostname +: *",
    "unable to look up + (*",
    "Unable to look up + (*" => Cause::HostNotResolved;
    "unable to access '*': SSL certificate problem: *",
    "unable to access '*': server certificate verification failed. *",
    "unable to access '*': SSL: no alternative certificate subject name matches *" =>
        Cause::CertificateUntrusted(field[1].into());
    // OpenSSL, GnuTLS, NSS.
    "unable to access '*': *alert protocol version*",
    "unable to access '*': *unsupported protocol*",
    "unable to access '*': gnutls_handshake() failed: *fatal alert*" => Cause::TlsTooOld;
    "unable to access '*': The requested URL returned error: +" => Cause::ServerTrouble;
    // Whatever else libcurl says of a URL.
    "unable to access '+://*': *",
    "unable to connect to *",
    "ssh: connect to host + port +: *",
    "+_exchange_identification: *",
    "Connection timed out during banner exchange",
    "Connection + by *" => Cause::Unreachable;
    // setup.c, `die_upon_dubious_ownership`: the first from 2.36.2 and 2.37.1, the second before, from 2.35.2; and in
    // releases of older versions that were mended.
    "detected dubious ownership in repository at '*'",
    "unsafe repository ('*' is owned by someone else)" => Cause::DubiousOwnership(field[0].into());

    // ---- the branch and the work tree
    // unpack-trees.c, `setup_unpack_trees_porcelain`.
    EDITED,
    UNTRACKED,
    UNTRACKED_BELOW => files_in_the_way(output);
    // builtin/merge.c, `cmd_merge`; builtin/pull.c, `cmd_pull`, from 2.33.1.
    "Not possible to fast-forward, aborting.",
    "Need to specify how to reconcile divergent branches.",
    "refusing to merge unrelated histories" => Cause::Diverged;
    // builtin/pull.c, `die_no_merge_candidates`; remote.c, `get_fetch_map`, with a large letter before 2.21.
    "from the remote, but no such ref was fetched.",
    "couldn't find remote ref *",
    "Couldn't find remote ref *" => Cause::UpstreamGone;
    // advice.c, `error_resolve_conflict` and `die_conclude_merge`; builtin/merge.c.
    "+ is not possible because you have unmerged files.",
    "You have not concluded your + (+ exists)." => Cause::Unmerged;
    // lockfile.c, `unable_to_lock_message`; refs/files-backend.c, `lock_raw_ref`; config.c, `git_config_set_multivar_in_file`.
    "Unable to create '*.lock': File exists." => Cause::Locked(format!("{}.lock", field[0]).into());
    "cannot lock ref '+': Unable to create '*.lock': File exists." =>
        Cause::Locked(format!("{}.lock", field[1]).into());
    "could not lock config file *: File exists" => Cause::Locked(format!("{}.lock", field[0]).into());
    // refs/files-backend.c, `verify_lock`; builtin/pull.c, from 2.33.1; shallow.c, `check_shallow_file_for_update`.
    "cannot lock ref '+': is at + but expected +",
    "Cannot fast-forward to multiple branches.",
    "shallow file has changed since we read it" => Cause::Concurrent;

    // ---- submodules: git-submodule.sh to 2.37, builtin/submodule--helper.c since
    "Unable to find current origin/+ revision in submodule path '*'",
    "Unable to find refs/remotes/origin/+ revision in submodule path '*'" => Cause::SubmoduleBranchUnknown {
        branch: field[0].into(),
        path: field[1].into(),
    };
    // submodule.c, `validate_submodule_path`, from 2.45.1, and from 2.39.4 in the releases before it.
    "expected '*' in submodule path '*' not to be a symbolic link",
    "expected submodule path '*' not to be a symbolic link" => Cause::LinkInTheWay(field[0].into());
    // upload-pack.c, `receive_needs`; fetch-pack.c, `report_unmatched_refs`.
    "remote error: upload-pack: not our ref +",
    "Server does not allow request for unadvertised object +" =>
        Cause::SubmoduleCommitMissing(Some(field[0].into()));
    // unpack-objects.c; index-pack.c, `do_fsck_object`; the second only in 2.17.0.
    "fsck error in packed object",
    "Error in object" => Cause::ObjectRefused(
        find(output, "object +: +: *").map(|field| field.into_iter().map(str::to_owned).collect()),
    );
    // builtin/clone.c, `cmd_clone`.
    "destination path '*' already exists and is not an empty directory." => Cause::FolderInTheWay(field[0].into());
    "No url found for submodule path '*' in .gitmodules" => Cause::NotASubmodule(field[0].into());
    // From 2.20.
    "could not get a repository handle for submodule '*'" => Cause::SubmoduleRepositoryLost(field[0].into());
    // transport.c, `transport_check_allowed`.
    "transport 'file' not allowed" => Cause::SubmoduleFromPath;

    // ---- what git needs
    // The shell that runs filters; help.c.
    "git-lfs *: git-lfs: *not found",
    "sh: *: git-lfs: *not found",
    "git: 'lfs' is not a git command. See 'git --help'." => Cause::LfsMissing;
    // convert.c, `filter_buffer_or_fd`, `apply_multi_file_filter`, `encode_to_worktree`; git-lfs.
    "Error downloading object: *",
    "external filter 'git-lfs *' failed*",
    "*: smudge filter lfs failed" => Cause::LfsFailed(
        find(output, "batch response: *").or_else(|| find(output, "Error downloading object: *: Smudge error: *"))
            .and_then(|field| field.last().map(|why| (*why).to_owned())),
    );
    // parse-options.c, `parse_options`; help.c, `help_unknown_cmd`.
    "unknown + `*",
    "git: '+' is not a git command. See 'git --help'." => Cause::GitTooOld;

    // ---- damage
    // read-cache.c, `verify_hdr`, `do_read_index`, `read_index_extension`; two say it with fewer words before 2.21.
    "index file corrupt",
    "*: index file smaller than expected",
    "index file smaller than expected",
    "bad index file sha1 signature",
    "bad signature 0x+",
    "unknown index entry format 0x+",
    "Unknown index entry format +",
    "index uses + extension, which we do not understand" => Cause::IndexDamaged;
    // object-file.c; revision.c; unpack-trees.c; entry.c; builtin/fetch.c; git-zlib.c; builtin/fsck.c; packfile.c.
    "object file * is empty",
    "+ object + (stored in *) is corrupt",
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
    // pkt-line.c, with a large letter before 2.19; index-pack.c; remote-curl.c; sideband.c, from 2.30.
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

    // ---- submodules, whose fetch failed for none of these reasons
    // The commit is missed only where the fetch before went well.
    "Unable to fetch in submodule path '*'; trying to directly fetch +:",
    "Unable to fetch in submodule path '*'",
    "clone of '*' into submodule path '*' failed" => Cause::SubmoduleNotFetched(last_message(output));
    "Fetched in submodule path '*', but it did not contain +. Direct fetching of that commit failed." =>
        Cause::SubmoduleCommitMissing(Some(field[1].into()));
    "Unable to find current revision in submodule path '*'" => Cause::SubmoduleCommitMissing(None);
};

const EDITED: &str = "Your local changes to the following files would be overwritten by +:";
const UNTRACKED: &str = "The following untracked working tree files would be + by +:";
const UNTRACKED_BELOW: &str =
    "Updating the following directories would lose untracked files in them:";

/// What is said of a submodule, and in which field its path is.
pub(super) const SUBMODULES: [(&str, usize); 4] = [
    ("Unable to * in submodule path '*'", 1),
    (
        "Unable to fetch in submodule path '*'; trying to directly fetch +:",
        0,
    ),
    (
        "Fetched in submodule path '*', but it did not contain +. Direct fetching of that commit failed.",
        0,
    ),
    ("clone of '*' into submodule path '*' failed", 1),
];

/// What is said of a URL, and in which field it is.
pub(super) const URLS: [(&str, usize); 4] = [
    ("clone of '*' into submodule path '*' failed", 0),
    ("unable to access '*': *", 0),
    ("repository '*' not found", 0),
    ("Authentication failed for '*'", 0),
];

/// The last message of git's own before it goes on to a submodule's commit.
fn last_message(output: &str) -> Option<String> {
    let mut before =
        lines(output).take_while(|line| !line.starts_with("Unable to fetch in submodule"));
    let is_one = |line: &&str| line.starts_with("fatal: ") || line.starts_with("error: ");
    before.by_ref().filter(is_one).last().map(str::to_owned)
}

fn files_in_the_way(output: &str) -> Cause {
    let has = |message| find(output, message).is_some();
    // Git lists them, each behind a tab.
    let listed = lines(output).filter_map(|line| line.strip_prefix('\t'));
    let mut paths: Vec<String> = listed
        .map(|path| path.trim_end_matches('/').to_owned())
        .collect();
    paths.dedup();
    let what = match (has(EDITED), has(UNTRACKED) || has(UNTRACKED_BELOW)) {
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

    /// Whether the checkout comes from where the key `clone` says.
    pub(crate) fn of_clone_key(site: &Site, config: &Config) -> Option<Self> {
        let url = RemoteUrl::parse(config.last("remote.origin.url")?);
        let is_other = !site.clone.as_ref()?.is_same_as(&url);
        is_other.then(|| Self::ClonedFromElsewhere(url.to_string()))
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
        let of_the_system = error.chain().find_map(|error| error.downcast_ref());
        let cause = match of_the_system.map(io::Error::kind) {
            Some(ErrorKind::StorageFull) => Self::DiskFull,
            Some(ErrorKind::QuotaExceeded) => Self::QuotaExceeded,
            Some(ErrorKind::OutOfMemory) => Self::OutOfMemory,
            // What the kernel says when no process may be started.
            Some(ErrorKind::WouldBlock) => Self::TooManyProcesses,
            Some(ErrorKind::ReadOnlyFilesystem) => Self::ReadOnlyFileSystem,
            _ => unknown(),
        };
        (cause, String::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::message::fields;

    #[test]
    fn every_message_has_its_cause() {
        for row in TABLE {
            for message in row.messages {
                let printed = format!("fatal: {}", message.replace('*', "a name"));
                let printed = printed.replace('+', "word");
                let caught = fields(&printed, message).unwrap();
                let cause = (row.cause)(&caught, &printed);
                assert_eq!(Cause::of_output(&printed), Some(cause), "{message}");
            }
        }
    }

    /// What is printed, its lines divided by `\`, and the cause.
    const FOUND: &str = r#"
sh: 1: Cannot fork => TooManyProcesses
ssh -oBatchMode=yes: 1: ssh: not found => NoSsh
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\Offending ED25519 key in /me/known_hosts:3\Host key verification failed. => HostKeyChanged(Some("/me/known_hosts"))
No ED25519 host key is known for h and you have requested strict checking.\Host key verification failed. => HostKeyUnknown
Load key "/me/.ssh/id": Permission denied\git@h: Permission denied (publickey). => KeyUnreadable("/me/.ssh/id")
ERROR: Permission to o/n.git denied to deploy key => KeyOfAnother("o/n.git")
No user exists for uid 12345 => NamelessUser("12345")
fatal: unable to access 'https://h/n/': server certificate verification failed. CAfile: none => CertificateUntrusted("CAfile: none")
fatal: unable to access 'https://h/n/': Failed to connect to h port 443 after 0 ms: No route => Unreachable
fatal: unable to access 'https://h/n/': The requested URL returned error: 502 => ServerTrouble
fatal: unsafe repository ('/w' is owned by someone else) => DubiousOwnership("/w")
error: cannot lock ref 'refs/heads/main': Unable to create '/w/a.lock': File exists. => Locked("/w/a.lock")
error: could not lock config file /w/a: File exists => Locked("/w/a.lock")
Unable to find current origin/drafts revision in submodule path 'posts' => SubmoduleBranchUnknown { branch: "drafts", path: "posts" }
error: expected 'lib' in submodule path 'lib/a' not to be a symbolic link => LinkInTheWay("lib")
fatal: Fetched in submodule path 'posts', but it did not contain 1a2b. Direct fetching of that commit failed. => SubmoduleCommitMissing(Some("1a2b"))
git-lfs smudge -- 'a.png': 1: git-lfs: not found => LfsMissing
fatal: not a git repository: /w/in/../.git => NoRepository(Some("/w/in/../.git"))
Error downloading object: a.png (1a2b): Smudge error: Error downloading a.png: batch response: over quota\\error: external filter 'git-lfs filter-process' failed => LfsFailed(Some("Error downloading a.png: batch response: over quota"))
batch response: not found\\error: external filter 'git-lfs smudge -- %f' failed 2 => LfsFailed(Some("not found"))
/usr/lib/git-core/git-submodule: 12: Cannot fork => TooManyProcesses
/bin/sh: fork: retry: Resource temporarily unavailable => TooManyProcesses
fatal: unable to create threaded lstat: Resource temporarily unavailable => TooManyProcesses
fatal: could not read Username for 'https://github.com': terminal prompts disabled\\fatal: expected flush after ref listing => Throttled
error: RPC failed; HTTP 429 curl 22 The requested URL returned error: 429\\fatal: expected 'packfile' => Throttled
fatal: unable to access 'https://h/n/': error:0A00042E:SSL routines::tlsv1 alert protocol version => TlsTooOld
error: object 1a2b: missingSpaceBeforeDate: invalid author\\fatal: fsck error in packed object => ObjectRefused(Some(["1a2b", "missingSpaceBeforeDate", "invalid author"]))
fatal: something new\\Unable to fetch in submodule path 'posts'; trying to directly fetch 1a2b:\\fatal: Fetched in submodule path 'posts', but it did not contain 1a2b. Direct fetching of that commit failed. => SubmoduleNotFetched(Some("fatal: something new"))
** WARNING: connection is not using a post-quantum key exchange algorithm.\\git@h: Permission denied (publickey). => KeyRefused
Unable to negotiate with 127.0.0.1 port 22: no matching host key type found. Their offer: ssh-rsa => SshTooOld { what: "host key type", offer: "ssh-rsa" }
ERROR: You're using an RSA key with SHA-1, which is no longer allowed. Please use a newer client or a different key type. => KeyTooOld
error: unable to unlink old 'posts': Permission denied => NotWritable(Some("posts"))
error: Your local changes to the following files would be overwritten by merge:\	a b.html\	c\Please => FilesInTheWay(Edits, ["a b.html", "c"])
error: The following untracked working tree files would be removed by checkout:\	x\Please => FilesInTheWay(Untracked, ["x"])
error: Your local changes to the following files would be overwritten by merge:\	c\error: Updating the following directories would lose untracked files in them:\	dir/\ => FilesInTheWay(Both, ["c", "dir"])
"#;

    #[test]
    fn a_cause_has_what_the_message_names() {
        for line in FOUND.trim().lines() {
            let (output, expected) = line.split_once(" => ").unwrap();
            for end in ["\n", "\r\n"] {
                let output = output.replace('\\', end);
                let cause = Cause::of_output(&output).map(|cause| format!("{cause:?}"));
                assert_eq!(cause.as_deref(), Some(expected), "{output}");
            }
        }
    }

    #[test]
    fn what_is_not_known_has_no_cause() {
        for output in [
            "fatal: something new",
            "remote: fatal: Not possible to fast-forward, aborting.",
            "Submodule path 'Load key \"/etc\": Permission denied': checked out 'abc'",
            "warning: unable to access '/root/.config/git/attributes': Permission denied",
            "** WARNING: connection is not using a post-quantum key exchange algorithm.",
            "Cloning into 'REMOTE HOST IDENTIFICATION HAS CHANGED'...",
        ] {
            assert_eq!(Cause::of_output(output), None, "{output}");
        }
    }
}
