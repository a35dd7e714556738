//! Files that git-lfs keeps, and the pointers in their places.

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
fn may_have_attributes_below(index: &[u8]) -> bool {
    let has = |part: &[u8]| memchr_iter(part[0], index).any(|at| index[at..].starts_with(part));
    let is_shortened = index.get(4..8) == Some(&[0, 0, 0, 4]);
    has(BELOW) || has(b"link\0\0") || is_shortened && has(b"attributes\0")
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
        let index = files::read_if_there(&git_dir.join("index"))?;
        if !index.is_some_and(|index| may_have_attributes_below(&index)) {
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
            let mut index = vec![b'x'; 200];
            index[..8].copy_from_slice(&[b'D', b'I', b'R', b'C', 0, 0, 0, version]);
            index[at..][..name.len()].copy_from_slice(name);
            index
        };
        for at in [8, 100, 200 - BELOW.len()] {
            assert!(may_have_attributes_below(&index(2, at, BELOW)), "at {at}");
            let is_found = |version, name| may_have_attributes_below(&index(version, at, name));
            assert!(is_found(2, b"link\0\0"), "at {at}");
            assert!(is_found(4, b"attributes\0"), "at {at}");
            assert!(!is_found(2, b"attributes\0"), "at {at}");
        }
        assert!(!may_have_attributes_below(b""));
        let top = index(2, 8, b".gitattributes\0");
        assert!(!may_have_attributes_below(&top));
    }
}
