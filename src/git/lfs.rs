//! Files that git-lfs keeps, and the pointers in their places.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use memchr::memchr_iter;

use super::WorkTree;
use super::checkout::common_dir;
use super::command::paths_in;
use crate::files;

/// How an index names a file of attributes below its top.
const BELOW: &[u8] = b"/.gitattributes\0";

/// How much of an index is looked at at a time, in bytes: it may be large.
const PIECE: usize = 64 << 10;

/// How a pointer begins that git-lfs keeps in place of a large file (its specification).
const LFS_POINTER: &[u8; 42] = b"version https://git-lfs.github.com/spec/v1";

/// Whether a file of a work tree is a pointer that git-lfs keeps in place of a large one.
fn is_pointer(folder: &Path, path: &Path) -> bool {
    let mut start = [0; LFS_POINTER.len()];
    let read = files::open_below(folder, path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *LFS_POINTER
}

/// Whether a file of attributes has git-lfs keep some files. Git itself passes a link by (gitattributes(5)).
fn says_lfs(folder: &Path, path: &Path) -> Result<bool> {
    let attributes = match files::read_below(folder, path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => {
            return Ok(false);
        }
        read => read.with_context(|| format!("cannot read {}", folder.join(path).display()))?,
    };
    let is_comment = |line: &[u8]| line.trim_ascii_start().starts_with(b"#");
    Ok(attributes.split(|&byte| byte == b'\n').any(|line| {
        !is_comment(line)
            && line
                .split(u8::is_ascii_whitespace)
                .any(|word| word == b"filter=lfs")
    }))
}

/// Whether an index may know a file of attributes below its top: one that is whole and has no path shortened
/// (gitformat-index(5)) names it.
fn may_have_attributes_below(mut index: impl Read) -> std::io::Result<bool> {
    let mut piece = Vec::with_capacity(PIECE);
    let mut is_shortened = None;
    loop {
        let kept = piece.len();
        let room = u64::try_from(PIECE - kept).unwrap_or_default();
        if index.by_ref().take(room).read_to_end(&mut piece)? == 0 {
            return Ok(false);
        }
        let is_shortened =
            *is_shortened.get_or_insert_with(|| piece.get(4..8) == Some(&[0, 0, 0, 4]));
        let has =
            |part: &[u8]| memchr_iter(part[0], &piece).any(|at| piece[at..].starts_with(part));
        if has(BELOW) || has(b"link\0\0") || is_shortened && has(b"attributes\0") {
            return Ok(true);
        }
        // One of them may be cut in two here.
        let end = piece.len().saturating_sub(BELOW.len() - 1);
        piece.drain(..end);
    }
}

impl WorkTree<'_> {
    /// The files of a work tree that are kept with git-lfs. No process is needed where no attributes say so.
    pub(crate) fn large_files(&self) -> Result<Vec<PathBuf>> {
        if !self.attributes_say_lfs()? {
            return Ok(Vec::new());
        }
        let list = self.reading("ls-files -z -- :(top,attr:filter=lfs)");
        Ok(paths_in(&list.ask("list the large files")?))
    }

    /// Whether a pointer is in the place of any of them.
    pub(crate) fn has_lfs_pointers(&self) -> Result<bool> {
        let files = self.large_files()?;
        Ok(files.iter().any(|file| is_pointer(&self.folder, file)))
    }

    fn attributes_say_lfs(&self) -> Result<bool> {
        let Some(git_dir) = self.git_dir()? else {
            return Ok(false);
        };
        if says_lfs(&self.folder, Path::new(".gitattributes"))?
            || says_lfs(&common_dir(&git_dir), Path::new("info/attributes"))?
        {
            return Ok(true);
        }
        let path = git_dir.join("index");
        let may_have = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            index => index.and_then(may_have_attributes_below),
        };
        if !may_have.with_context(|| format!("cannot read {}", path.display()))? {
            return Ok(false);
        }
        let list = self.reading("ls-files -z -- :(top,glob)**/.gitattributes");
        for path in paths_in(&list.ask("list the files with attributes")?) {
            if says_lfs(&self.folder, &path)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_below_the_top_are_found_wherever_an_index_names_them() {
        let index = |version: u8, at: usize, name: &[u8]| {
            let mut index = vec![b'x'; 3 * PIECE];
            index[..8].copy_from_slice(&[b'D', b'I', b'R', b'C', 0, 0, 0, version]);
            index[at..][..name.len()].copy_from_slice(name);
            index
        };
        let is_found = |index: &[u8]| may_have_attributes_below(index).unwrap();
        // Also where the end of a piece cuts them in two.
        for at in (PIECE - 20..PIECE + 20).chain([8, 2 * PIECE - 20, 3 * PIECE - 16]) {
            assert!(is_found(&index(2, at, BELOW)), "at {at}");
            assert!(is_found(&index(2, at, b"link\0\0")), "at {at}");
            assert!(is_found(&index(4, at, b"attributes\0")), "at {at}");
            assert!(!is_found(&index(2, at, b"attributes\0")), "at {at}");
        }
        assert!(!is_found(b""));
        assert!(!is_found(&index(2, 8, b".gitattributes\0")));
    }
}
