//! The first checkout, on hosts without a shell: a folder for tickets and locks at once, so that nothing is lost, and the
//! rest under the turn, in steps that can each be cut short and done again.
//!
//! Must not know requests or reports.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::git::{Checkout, Git};
use crate::heal::Healer;
use crate::process::Ended;
use crate::queue::fill_with_random;
use crate::site::Site;
use crate::state::StateFolder;

/// In the state folder until the first checkout is whole: then everything in the repository is of our making.
const UNFINISHED: &str = "cloning";

/// In the state folder: the remote in git's own format. A URL may hold a token, and what stands on a command line
/// every user of the host can read.
const ORIGIN: &str = "origin.config";

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
    let origin = origin_of(state, url)?;
    let (head, format) = match git.remote_head(&origin)? {
        Ok(found) => found,
        Err(ended) => return Ok(Cloned::Not(ended)),
    };
    let Some(branch) = site.branch.clone().or(head) else {
        bail!("the remote has no default branch; name one with the key `branch`")
    };
    let made = git.init(format)?;
    if !made.end.is_good() {
        return Ok(Cloned::Not(made));
    }
    let config_file = git.checkout.git_dir.join("config");
    let config_text = std::fs::read_to_string(&config_file)
        .with_context(|| format!("cannot read {}", config_file.display()))?;
    if !config_text.contains("[remote \"origin\"]") {
        let with_remote = format!("{config_text}{}", remote_section(url));
        let new = config_file.with_extension("new");
        std::fs::write(&new, with_remote)
            .and_then(|()| std::fs::rename(&new, &config_file))
            .with_context(|| format!("cannot write {}", config_file.display()))?;
    }
    let config = git.config()?;
    Healer::new(git, &config, SystemTime::UNIX_EPOCH).remove_locks()?;
    for step in [git.fetch_origin(&config)?, git.check_out(&config, &branch)?] {
        if !step.end.is_good() {
            return Ok(Cloned::Not(step));
        }
    }
    state.remove(ORIGIN)?;
    state.remove(UNFINISHED)?;
    Ok(Cloned::Whole)
}

fn origin_of(state: &StateFolder, url: &str) -> Result<PathBuf> {
    state.write(ORIGIN, remote_section(url).as_bytes())?;
    Ok(state.path(ORIGIN))
}

/// git-config(1), "Syntax".
fn remote_section(url: &str) -> String {
    let quoted = url.replace('\\', "\\\\").replace('"', "\\\"");
    format!(
        "[remote \"origin\"]\n\turl = \"{quoted}\"\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n"
    )
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
