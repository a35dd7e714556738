//! The first checkout, on hosts without a shell: a folder for tickets and locks at once, so that nothing is lost, and the
//! rest under the turn, in steps that can each be cut short and done again.
//!
//! Must not know requests or reports.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::git::{Checkout, Config, Format, Git};
use crate::heal::Healer;
use crate::process::Ended;
use crate::site::Site;
use crate::state::StateFolder;
use crate::state::fill_with_random;

/// In the state folder until the first checkout is whole: then everything in the repository is of our making.
const UNFINISHED: &str = "cloning";

/// Begins the remote's section in git's configuration, which is the last one until there is a branch.
const REMOTE: &str = "[remote \"origin\"]\n";

/// How the first checkout went.
pub(crate) enum Cloned {
    Whole,
    /// This command failed.
    Not(Ended),
}

/// The checkout of a site; where there is none yet and the site says where it comes from, the beginning of one.
pub(crate) fn checkout_of(site: &Site) -> Result<Checkout> {
    if site.clone.is_some() && is_nothing(&site.repo) {
        begin(&site.repo)?;
    }
    if is_unfinished(&site.repo) {
        return Checkout::begun(&site.repo);
    }
    Checkout::open(&site.repo)
}

/// Whether the first checkout of a site is still to be made.
pub(crate) fn is_due(site: &Site) -> bool {
    site.clone.is_some() && (is_nothing(&site.repo) || is_unfinished(&site.repo))
}

fn is_unfinished(repo: &Path) -> bool {
    repo.join(".git/deploy-cgi").join(UNFINISHED).exists()
}

/// Not there, or an empty folder. Anything else is somebody's.
fn is_nothing(repo: &Path) -> bool {
    match std::fs::read_dir(repo) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// Makes the folder for tickets and locks, at one stroke: under another name, then renamed into place.
fn begin(repo: &Path) -> Result<()> {
    let what = || format!("cannot make the folder {}", repo.display());
    let Some((above, name)) = repo.parent().zip(repo.file_name()) else {
        bail!("{} cannot be a checkout; name a folder", repo.display())
    };
    std::fs::create_dir_all(above).with_context(what)?;
    let mut random = [0; 8];
    fill_with_random(&mut random)?;
    let mut new = std::ffi::OsString::from(".");
    new.push(name);
    new.push(format!(".new-{}", hex::encode(random)));
    let new = above.join(new);
    std::fs::create_dir_all(new.join(".git")).with_context(what)?;
    let state = new.join(".git/deploy-cgi");
    DirBuilder::new()
        .mode(0o700)
        .create(&state)
        .with_context(what)?;
    std::fs::write(state.join(UNFINISHED), b"").with_context(what)?;
    let renamed = std::fs::rename(&new, repo);
    if renamed.is_err() {
        std::fs::remove_dir_all(&new).with_context(what)?;
    }
    // Another delivery may have been quicker.
    if is_unfinished(repo) {
        Ok(())
    } else {
        renamed.with_context(what)
    }
}

/// Does what is left to do of a first checkout: repository, remote, fetch, branch. Each step can be done again.
pub(crate) fn finish(site: &Site, git: &Git<'_>, state: &StateFolder) -> Result<Cloned> {
    let Some(url) = &site.clone else {
        bail!("the first checkout was not finished, and the key `clone` is gone; set it again")
    };
    // Before anything that may meet one.
    Healer::new(git, &Config::default(), SystemTime::UNIX_EPOCH).remove_locks()?;
    if let Some(ended) = make_repository(git, url, Format::Sha1)? {
        return Ok(Cloned::Not(ended));
    }
    let mut config = git.config()?;
    let (head, format) = match git.remote_head(&config)? {
        Ok(found) => found,
        Err(ended) => return Ok(Cloned::Not(ended)),
    };
    if format != config.format() {
        // Nothing is in it yet: the two formats do not mix.
        clear(&git.checkout.git_dir)?;
        if let Some(ended) = make_repository(git, url, format)? {
            return Ok(Cloned::Not(ended));
        }
        config = git.config()?;
    }
    let Some(branch) = site.branch.clone().or(head) else {
        bail!("the remote has no default branch; name one with the key `branch`")
    };
    let fetched = git.fetch_origin(&config)?;
    if !fetched.end.is_good() {
        return Ok(Cloned::Not(fetched));
    }
    let checked_out = git.check_out(&config, &branch)?;
    if !checked_out.end.is_good() {
        return Ok(Cloned::Not(checked_out));
    }
    state.remove(UNFINISHED)?;
    Ok(Cloned::Whole)
}

/// `git init`, and the remote. Its URL is written and not given to `git config`: it may hold a token, and what stands
/// on a command line every user of the host can read. Returns the command that failed, if one did.
fn make_repository(git: &Git<'_>, url: &str, format: Format) -> Result<Option<Ended>> {
    let made = git.init(format)?;
    if !made.end.is_good() {
        return Ok(Some(made));
    }
    let file = git.checkout.git_dir.join("config");
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("cannot read {}", file.display()))?;
    let own = text.split(REMOTE).next().unwrap_or(&text);
    let new = file.with_extension("new");
    std::fs::write(&new, format!("{own}{}", remote_section(url)))
        .and_then(|()| std::fs::rename(&new, &file))
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(None)
}

/// Empties the git directory of a first checkout, but for our own folder.
fn clear(git_dir: &Path) -> Result<()> {
    let what = || format!("cannot empty {}", git_dir.display());
    for entry in std::fs::read_dir(git_dir).with_context(what)? {
        let entry = entry.with_context(what)?;
        if entry.file_name() == "deploy-cgi" {
            continue;
        }
        let kind = entry.file_type().with_context(what)?;
        if kind.is_dir() {
            std::fs::remove_dir_all(entry.path())
        } else {
            std::fs::remove_file(entry.path())
        }
        .with_context(what)?;
    }
    Ok(())
}

/// git-config(1), "Syntax".
fn remote_section(url: &str) -> String {
    let quoted = url.replace('\\', "\\\\").replace('"', "\\\"");
    format!("{REMOTE}\turl = \"{quoted}\"\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_a_folder_that_is_not_there_or_empty() {
        let folder = tempfile::tempdir().unwrap();
        let repo = folder.path().join("a/site");
        assert!(is_nothing(&repo));
        begin(&repo).unwrap();
        assert!(!is_nothing(&repo) && is_unfinished(&repo));
        begin(&repo).unwrap();
        assert_eq!(
            std::fs::read_dir(folder.path().join("a")).unwrap().count(),
            1,
            "nothing is left beside it"
        );
    }

    #[test]
    fn a_folder_of_somebodys_is_never_taken() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("index.html"), "mine").unwrap();
        assert!(!is_nothing(folder.path()));
        assert!(begin(folder.path()).is_err());
        assert_eq!(
            std::fs::read(folder.path().join("index.html")).unwrap(),
            b"mine"
        );
    }

    #[test]
    fn a_url_is_written_as_git_reads_it() {
        assert!(remote_section("https://a\"b\\c").contains("\turl = \"https://a\\\"b\\\\c\"\n"));
    }
}
