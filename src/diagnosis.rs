//! What git, ssh and the system said, and what it means here: one table. It chooses words, never an action.
//!
//! The phrases are English because git is made to speak English. What is not in the table is shown as it was said.

use std::fmt::Write;
use std::path::Path;

use crate::redaction::escape_line;

/// How many files are named in advice.
const MOST_FILES: usize = 10;

/// Where and as whom it went wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) git_dir: &'a Path,
    pub(crate) branch: &'a str,
    /// The upstream as a person writes it, such as `origin/main`.
    pub(crate) upstream: &'a str,
    /// The remote's URL, without credentials.
    pub(crate) url: &'a str,
    pub(crate) user: &'a str,
    pub(crate) home: &'a str,
}

/// What it means, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Diagnosis {
    pub(crate) cause: String,
    pub(crate) advice: Option<String>,
}

/// Finds what a failed command's output means.
#[expect(clippy::too_many_lines, reason = "one table")]
pub(crate) fn diagnose(said: &str, at: &Situation<'_>) -> Option<Diagnosis> {
    let has = |phrase: &str| said.contains(phrase);
    let Situation {
        branch,
        upstream,
        url,
        user,
        home,
        ..
    } = at;
    let (folder, git_dir) = (quoted(at.folder), quoted(at.git_dir));
    let found = |cause: String, advice: String| {
        Some(Diagnosis {
            cause,
            advice: Some(advice),
        })
    };

    if has("No space left on device") || has("Disk quota exceeded") {
        return found(
            "the disk is full, or your quota is used up".into(),
            "free some space (`df -h`, `quota -s`), then press Redeliver; what was half written is put right then".into(),
        );
    }
    if has("Host key verification failed") || has("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        let changed = has("REMOTE HOST IDENTIFICATION HAS CHANGED");
        let cause = if changed {
            format!("the host key of {url} is not the one that {user} knows")
        } else {
            format!("ssh does not know the host key of {url}: {user} has never accepted it")
        };
        return found(
            cause,
            format!(
                "compare the key with the fingerprints the host publishes (GitHub: \
                 https://docs.github.com/authentication/keeping-your-account-and-data-secure/githubs-ssh-key-fingerprints), \
                 then put it into {home}/.ssh/known_hosts of {user}"
            ),
        );
    }
    if has("Permission denied (publickey") {
        return found(
            format!("{url} does not accept a key of {user}"),
            format!(
                "make a key as {user} (`ssh-keygen -t ed25519 -N '' -f {home}/.ssh/id_ed25519`) and add its .pub file as a \
                 deploy key of the repository"
            ),
        );
    }
    if has("could not read Username")
        || has("could not read Password")
        || has("terminal prompts disabled")
    {
        return found(
            format!("{url} wants a login, and {user} has none stored"),
            format!(
                "for a private repository use a deploy key: `git -C {folder} remote set-url origin git@github.com:OWNER/NAME.git`"
            ),
        );
    }
    if has("Authentication failed") || has("Invalid username or") {
        return found(
            format!("{url} refuses the stored login"),
            "put a login that works into the credential store, or use a deploy key".into(),
        );
    }
    if has("Repository not found")
        || has("repository '") && has("' not found")
        || has("does not appear to be a git repository")
    {
        return found(
            format!("{url} is not there, or {user} may not see it"),
            "check the URL (`git remote -v`); GitHub says \"not found\" for a private repository without access, too".into(),
        );
    }
    if has("Could not resolve host")
        || has("Temporary failure in name resolution")
        || has("Name or service not known")
    {
        return found(
            format!("the name of {url} cannot be resolved"),
            "check the host's DNS, then press Redeliver".into(),
        );
    }
    if has("Connection refused")
        || has("Connection timed out")
        || has("Failed to connect")
        || has("Could not connect")
        || has("Network is unreachable")
        || has("Operation too slow")
        || has("Connection reset")
    {
        return found(
            format!("{url} cannot be reached"),
            "check that this host may connect out (port 443 for https, 22 for ssh), then press Redeliver".into(),
        );
    }
    if has("SSL certificate problem") || has("server certificate verification failed") {
        return found(
            format!("the certificate of {url} is not trusted here"),
            "update the host's CA certificates (ca-certificates), or name yours with http.sslCAInfo".into(),
        );
    }
    if has("dubious ownership") || has("unsafe repository") {
        return found(
            format!(
                "the checkout belongs to another user than {user}, and this git does not trust it"
            ),
            format!("give it to {user} (`sudo chown -R {user} {folder}`)"),
        );
    }
    if has("would be overwritten by") {
        let files = tab_indented(said);
        return found(
            format!("files that were changed here are in the way: {files}"),
            format!(
                "keep them (`git -C {folder} stash --include-untracked`) or throw them away (`git -C {folder} checkout -- FILE`, \
                 or remove the file where git does not know it), then press Redeliver"
            ),
        );
    }
    if has("would lose untracked files in them") {
        return found(
            format!(
                "folders with files that git does not know are in the way: {}",
                tab_indented(said)
            ),
            "move those files away, then press Redeliver".into(),
        );
    }
    if has("Not possible to fast-forward")
        || has("Need to specify how to reconcile")
        || has("refusing to merge unrelated histories")
    {
        return found(
            format!(
                "{branch} here and {upstream} have gone separate ways: commits were made here, or {upstream} was rewritten"
            ),
            format!(
                "to make this checkout what was pushed, dropping its own commits: \
                 `git -C {folder} fetch && git -C {folder} reset --hard {upstream}`"
            ),
        );
    }
    if has("such ref was fetched") || has("couldn't find remote ref") {
        return found(
            format!("{upstream} no longer exists at {url}"),
            format!(
                "follow another branch: `git -C {folder} branch --set-upstream-to=origin/BRANCH {branch}`"
            ),
        );
    }
    if has("Pulling is not possible because you have unmerged files")
        || has("You have not concluded your merge")
    {
        return found(
            "a merge that somebody began here is not finished".into(),
            format!("finish it, or give it up with `git -C {folder} merge --abort`"),
        );
    }
    if has(".lock': File exists") {
        return found(
            "a lock file is in the way: another git is at work in this checkout, or one was killed"
                .into(),
            format!(
                "when no git runs there any more, remove it (`find {git_dir} -name '*.lock'` shows it), then press Redeliver"
            ),
        );
    }
    if has("not our ref")
        || has("did not contain")
        || has("Unable to find current revision")
        || has("unadvertised object")
    {
        return found(
            "a commit that the checkout records for a submodule is not at the submodule's remote".into(),
            "push the submodule too (`git push --recurse-submodules=on-demand`), then press Redeliver".into(),
        );
    }
    if has("already exists and is not an empty directory") {
        return found(
            "files are in the way of a new submodule".into(),
            "move them away, then press Redeliver".into(),
        );
    }
    if has("No url found for submodule path") {
        return found(
            "a repository was committed inside the repository without being a submodule".into(),
            "remove it from the repository (`git rm --cached PATH`) or add it with `git submodule add`, then push".into(),
        );
    }
    if has("transport 'file' not allowed") {
        return found(
            "git does not clone submodules from a path on this machine".into(),
            "use a URL for the submodule, or allow it: `git config --global protocol.file.allow always`".into(),
        );
    }
    if has("cannot fork")
        || has("Resource temporarily unavailable")
        || has("unable to create thread")
        || has("Cannot allocate memory")
    {
        return found(
            "the host's limit of processes or memory was reached".into(),
            "press Redeliver when the host is less busy; ask the host for a higher limit (NPROC, memory) if it comes back".into(),
        );
    }
    if has("object file") && has("is empty")
        || has("bad object")
        || has("loose object") && has("is corrupt")
        || has("index file corrupt")
    {
        return found(
            "the repository here is damaged".into(),
            format!(
                "look at it with `git -C {folder} fsck`; a fresh clone in its place is the quickest cure"
            ),
        );
    }
    if has("Permission denied") || has("insufficient permission") || has("Read-only file system") {
        return found(
            format!("{user} may not write in the checkout"),
            format!("give the checkout to {user}: `sudo chown -R {user} {folder}`"),
        );
    }
    None
}

/// The paths that git lists, each behind a tab.
fn tab_indented(said: &str) -> String {
    let all: Vec<_> = said
        .lines()
        .filter_map(|line| line.strip_prefix('\t'))
        .map(escape_line)
        .collect();
    let mut files = all
        .iter()
        .take(MOST_FILES)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    if all.len() > MOST_FILES {
        let _ = write!(files, " and {} more", all.len() - MOST_FILES);
    }
    files
}

/// A path as a shell takes it.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Situation<'static> {
        Situation {
            folder: Path::new("/w/my site"),
            git_dir: Path::new("/w/my site/.git"),
            branch: "main",
            upstream: "origin/main",
            url: "https://h/o/n.git",
            user: "me",
            home: "/home/me",
        }
    }

    #[test]
    fn files_in_the_way_are_named() {
        let said = "error: Your local changes to the following files would be overwritten by merge:\n\ta.html\n\tb\u{1b}.css\nPlease commit";
        let diagnosis = diagnose(said, &at()).unwrap();
        assert_eq!(
            diagnosis.cause,
            "files that were changed here are in the way: a.html, b\\u{1b}.css"
        );
        assert!(
            diagnosis
                .advice
                .unwrap()
                .contains("git -C '/w/my site' stash")
        );
    }

    #[test]
    fn what_is_not_known_gets_no_advice() {
        assert_eq!(diagnose("fatal: something new", &at()), None);
    }

    #[test]
    fn a_path_is_quoted_for_a_shell() {
        assert_eq!(quoted(Path::new("/a/b-c.d")), "/a/b-c.d");
        assert_eq!(quoted(Path::new("/a b/c'd")), "'/a b/c'\\''d'");
    }
}
