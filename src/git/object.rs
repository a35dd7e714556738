//! Objects: whether a repository has one, the id that a file would have, and what git writes of one.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Result, bail};

use super::WorkTree;
use super::command::{line, option};
use crate::commit_id::CommitId;

/// How many paths a command is given at most: a path has 4096 bytes, and a command line may have two million.
const MAX_ARGUMENTS: usize = 256;

/// Whether `whole` begins with all of `start`.
pub(crate) fn begins_with(mut whole: impl Read, mut start: impl Read) -> std::io::Result<bool> {
    let (mut a, mut b) = ([0; 16 << 10], [0; 16 << 10]);
    loop {
        let read = start.read(&mut a)?;
        if read == 0 {
            return Ok(true);
        }
        match whole.read_exact(&mut b[..read]) {
            Ok(()) if a[..read] == b[..read] => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

impl WorkTree<'_> {
    /// Whether a repository has a commit.
    pub(crate) fn has_commit(&self, commit: &CommitId) -> Result<bool> {
        // What has just been fetched is mostly a file of its own, which shows without git.
        if let (Some(git_dir), Some((start, rest))) =
            (self.git_dir()?, commit.as_str().split_at_checked(2))
            && git_dir.join("objects").join(start).join(rest).is_file()
        {
            return Ok(true);
        }
        let look = self
            .reading("cat-file -e")
            .arg(format!("{commit}^{{commit}}"));
        Ok(look.here().answer()?.end.is_good())
    }

    /// The ids that the files at these paths would have as blobs. Given to it one a line, not each name would be taken.
    pub(crate) fn ids_of(&self, paths: &[&Path]) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        for some in paths.chunks(MAX_ARGUMENTS) {
            let hash = self.reading("hash-object --").args(some);
            let printed = hash.ask("look at the files")?;
            ids.extend(line(&printed).lines().map(str::to_owned));
        }
        Ok(ids)
    }

    /// A blob as it would be written to `path`, in a file of its own.
    pub(crate) fn written_form(&self, id: &str, path: &Path) -> Result<File> {
        let write = self.reading("cat-file --filters");
        let write = write.arg(option("--path=", path)).arg(id);
        let (end, file) = write.run.output_in_file()?;
        if !end.is_good() {
            bail!("git cat-file ended with {end}");
        }
        Ok(file)
    }

    /// Writes files anew as the index has them.
    pub(crate) fn write_out(&self, paths: &[&Path]) -> Result<()> {
        let list: Vec<u8> = paths
            .iter()
            .flat_map(|path| [path.as_os_str().as_bytes(), b"\0"].concat())
            .collect();
        let mut write = self.writing("checkout-index -f -z --stdin");
        write.run.input = (&list).into();
        write.write_or_fail("put files back")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_told_from_anything_else() {
        #[track_caller]
        fn check(whole: &str, start: &str, expected: bool) {
            assert_eq!(
                begins_with(whole.as_bytes(), start.as_bytes()).unwrap(),
                expected
            );
        }
        check("abc", "", true);
        check("abc", "ab", true);
        check("abc", "abc", true);
        check("abc", "abcd", false);
        check("abc", "b", false);
        check("", "a", false);
    }
}
