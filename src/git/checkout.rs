//! Folders: which is a work tree, where its git directory is, and what can be told of both without starting git.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::command::path_of;
use crate::commit_id::CommitId;
use crate::files;

/// In our folder below the git directory until the first checkout is whole: then everything in it is of our making.
pub(crate) const CLONING: &str = "cloning";

/// A folder that is known to be a work tree.
#[derive(Clone, Debug)]
pub(crate) struct Checkout {
    /// The work tree, as the kernel names it.
    pub(crate) folder: PathBuf,
    /// Its git directory: `.git`, or what a `.git` file points to.
    pub(crate) git_dir: PathBuf,
}

impl Checkout {
    /// Looks at a folder without starting a process.
    pub(crate) fn open(repo: &Path) -> Result<Self> {
        let folder = real(repo)?;
        let Some(git_dir) = git_dir_of(&folder)? else {
            if folder.join("HEAD").is_file() && folder.join("objects").is_dir() {
                bail!(
                    "{} is a bare repository without files; clone it to another folder and deploy that",
                    repo.display()
                );
            }
            bail!(
                "{} is no git checkout; clone the repository there first",
                repo.display()
            );
        };
        // It may be a link to a branch whose own file is gone into packed-refs.
        if git_dir.join("HEAD").symlink_metadata().is_err() {
            bail!(
                "{} is no git directory, or one we may not look into; clone the repository anew",
                git_dir.display()
            );
        }
        Ok(Self { folder, git_dir })
    }

    /// The beginning of a first checkout: a work tree whose repository is still to be made.
    pub(crate) fn begun(repo: &Path) -> Result<Self> {
        let folder = real(repo)?;
        let git_dir = folder.join(".git");
        Ok(Self { folder, git_dir })
    }

    /// Whether its first checkout has not ended well yet.
    pub(crate) fn is_being_cloned(&self) -> bool {
        let is_begun = self.git_dir.join("deploy-cgi").join(CLONING).exists();
        is_begun || !self.git_dir.exists()
    }

    /// Whether a git directory is inside ours, as those of submodules are.
    pub(crate) fn keeps(&self, git_dir: &Path) -> bool {
        let real = (git_dir.canonicalize(), self.git_dir.canonicalize());
        matches!(real, (Ok(git_dir), Ok(ours)) if git_dir.starts_with(&ours))
    }

    /// The folder that the work trees of one repository share, where there are or may be several.
    pub(crate) fn shared_with_work_trees(&self) -> Option<PathBuf> {
        let common = common_dir(&self.git_dir);
        (common != self.git_dir || common.join("worktrees").exists()).then_some(common)
    }

    /// What the file of a branch says, where it has one of its own.
    pub(crate) fn loose_ref(&self, branch: &str) -> Option<Vec<u8>> {
        std::fs::read(self.git_dir.join("refs/heads").join(branch)).ok()
    }

    /// The branch that is checked out, where HEAD says so plainly: `None` also for what only git can tell.
    pub(super) fn head_branch(&self) -> Option<String> {
        let head = std::fs::read_to_string(self.git_dir.join("HEAD")).ok()?;
        let branch = head.trim_end().strip_prefix("ref: refs/heads/")?;
        // What the reftable format writes there, for programs that look.
        (branch != ".invalid").then(|| branch.to_owned())
    }
}

fn real(repo: &Path) -> Result<PathBuf> {
    let folder = repo.canonicalize();
    folder.with_context(|| format!("cannot find the checkout {}", repo.display()))
}

/// The kind of ids a repository has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ObjectFormat {
    Sha1,
    Sha256,
}

/// The git directory of a work tree: the `.git` folder, or where a `.git` file points.
pub(crate) fn git_dir_of(folder: &Path) -> Result<Option<PathBuf>> {
    let dot_git = folder.join(".git");
    let found = match std::fs::metadata(&dot_git) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        found => found.with_context(|| format!("cannot look at {}", dot_git.display()))?,
    };
    if found.is_dir() {
        return Ok(Some(dot_git));
    }
    let what = || format!("cannot read {}", dot_git.display());
    let text = files::read_below(folder, Path::new(".git")).with_context(what)?;
    let Some(target) = text.strip_prefix(b"gitdir: ") else {
        bail!("{} is not what git writes there", dot_git.display());
    };
    let target = target.strip_suffix(b"\n").unwrap_or(target);
    Ok(Some(folder.join(OsStr::from_bytes(target))))
}

/// What the git directory of a linked worktree shares with the others; else it has all of its own.
pub(crate) fn common_dir(git_dir: &Path) -> PathBuf {
    match std::fs::read(git_dir.join("commondir")) {
        Ok(common) => git_dir.join(path_of(common.trim_ascii_end())),
        Err(_) => git_dir.to_owned(),
    }
}

/// Whether a folder has what git goes by: a HEAD that says something, and places for objects and refs.
pub(super) fn is_git_dir(folder: &Path) -> bool {
    let head = std::fs::read(folder.join("HEAD")).unwrap_or_default();
    let is_id = |text: &str| CommitId::parse(text).is_some();
    let says =
        head.starts_with(b"ref: ") || std::str::from_utf8(head.trim_ascii_end()).is_ok_and(is_id);
    says && folder.join("objects").is_dir() && folder.join("refs").is_dir()
}

/// A superproject has a .gitmodules file; in a sparse checkout it need not be on disk.
pub(crate) fn may_have_submodules(folder: &Path) -> Result<bool> {
    let path = folder.join(".gitmodules");
    let is_there = path.try_exists();
    if is_there.with_context(|| format!("cannot look at {}", path.display()))? {
        return Ok(true);
    }
    let git_dir = git_dir_of(folder)?;
    Ok(git_dir.is_some_and(|git_dir| git_dir.join("info/sparse-checkout").exists()))
}

/// Whether a work tree's history was cut off when it was cloned.
pub(crate) fn is_shallow(folder: &Path) -> Result<bool> {
    Ok(git_dir_of(folder)?.is_some_and(|git_dir| common_dir(&git_dir).join("shallow").exists()))
}

/// Whether a path below a folder leads through a symbolic link, or is one: then it may lead anywhere.
pub(super) fn passes_a_link(folder: &Path, path: &Path) -> bool {
    let mut on_the_way = path.ancestors().filter(|part| !part.as_os_str().is_empty());
    on_the_way.any(|part| folder.join(part).is_symlink())
}

/// The .gitmodules in a work tree. One that cannot be read has git say why, as soon as git needs it.
pub(crate) fn gitmodules_text(folder: &Path) -> Option<Vec<u8>> {
    files::read_below(folder, Path::new(".gitmodules")).ok()
}
