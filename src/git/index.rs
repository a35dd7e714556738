//! The index, and what differs from it: what `ls-files`, `ls-tree`, `status` and the raw form of a diff print, read in one
//! place.
//!
//! Must not know why somebody asks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::WorkTree;
use super::checkout::may_have_submodules;
use super::command::{Command, line, must, option, path_of, paths_in};
use crate::commit_id::CommitId;

/// Prints the index: mode, id, stage and path of each entry.
pub(super) const LIST_INDEX: &str = "ls-files -s -z --";

/// The same, with a letter before each entry: a small one where git takes a file for unchanged, and S where it takes the
/// index for the file.
const LIST_FLAGS: &str = "ls-files -v -s -z --";

/// No file has this name, in our folder below the git directory.
const NO_INDEX: &str = "deploy-cgi/no-index";

/// A path that differs between two commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) path: PathBuf,
    pub(crate) old: Option<Blob>,
    pub(crate) new: Option<Blob>,
}

/// A file's content in a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blob {
    pub(crate) id: String,
    pub(crate) kind: Kind,
}

/// Where a path is missing that a commit has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MissingFrom {
    /// Then no file of the work tree is looked at.
    Index,
    /// There, or in the index: another kind of thing may be in its place.
    WorkTree,
}

/// What an index has where a submodule was.
pub(crate) enum Indexed {
    Nothing,
    Submodule,
    /// These files, below it.
    Files(BTreeSet<PathBuf>),
}

/// What differs of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    Content,
    /// Only whether it may be run.
    Permissions,
    /// Only its line ends, and they would whatever is done here: git would store others than the repository has.
    LineEnds,
}

/// Tracked files that are not as HEAD has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Edits {
    /// Those that git sees.
    pub(crate) seen: Vec<PathBuf>,
    /// Those that git was told not to look at (git-update-index(1), `--assume-unchanged` and `--skip-worktree`).
    pub(crate) hidden: Vec<PathBuf>,
}

impl Edits {
    pub(crate) fn is_empty(&self) -> bool {
        self.seen.is_empty() && self.hidden.is_empty()
    }
}

/// An entry of the index or of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// How git looks at its file (git-ls-files(1), `-v`): `H`, or a small letter where it is taken for unchanged, or `S` where
    /// the index is taken for the file.
    flag: u8,
    kind: Kind,
    pub(super) id: String,
    pub(crate) path: PathBuf,
}

/// Reads what `ls-files -s -z` prints, with `-v` or without it, and `ls-tree -z`: a letter (`-v`), mode, type (`ls-tree`),
/// id, stage (`ls-files`), a tab, and the path (`show_ce` in git's builtin/ls-files.c, `show_tree` in builtin/ls-tree.c).
fn entries(listed: &[u8]) -> Vec<Entry> {
    let entry = |record: &[u8]| {
        let tab = record.iter().position(|&byte| byte == b'\t')?;
        let head = std::str::from_utf8(&record[..tab]).ok()?;
        let mut words = head.split(' ').peekable();
        let flag = words.next_if(|word| word.len() == 1);
        Some(Entry {
            flag: flag.map_or(b'H', |flag| flag.as_bytes()[0]),
            kind: Kind::of_mode(words.next()?)?,
            id: words
                .find(|word| CommitId::parse(word).is_some())?
                .to_owned(),
            path: path_of(&record[tab + 1..]),
        })
    };
    listed.split(|&byte| byte == 0).filter_map(entry).collect()
}

/// Reads the raw form of a diff with `-z`: `:oldmode newmode oldid newid status`, NUL, the path, NUL (git-diff-tree(1), "RAW
/// OUTPUT FORMAT").
fn raw_changes(listed: &[u8]) -> Result<Vec<Change>> {
    let mut fields = listed.split(|&byte| byte == 0);
    let mut changes = Vec::new();
    while let (Some(head), Some(path)) = (fields.next(), fields.next()) {
        let head = String::from_utf8_lossy(head);
        let mut head = head.trim_start_matches(':').split(' ');
        let (Some(old_mode), Some(new_mode), Some(old), Some(new)) =
            (head.next(), head.next(), head.next(), head.next())
        else {
            bail!("a diff of git's is not in the raw form");
        };
        let side = |mode: &str, id: &str| {
            let (kind, id) = (Kind::of_mode(mode)?, id.to_owned());
            Some(Blob { id, kind })
        };
        changes.push(Change {
            path: path_of(path),
            old: side(old_mode, old),
            new: side(new_mode, new),
        });
    }
    Ok(changes)
}

/// A line of `status --porcelain -z`, without renames: two letters, a blank, the path.
struct Status {
    letters: [u8; 2],
    path: PathBuf,
}

fn statuses(listed: &[u8]) -> Vec<Status> {
    let status = |record: &[u8]| match *record {
        [index, work_tree, b' ', ref path @ ..] => Some(Status {
            letters: [index, work_tree],
            path: path_of(path),
        }),
        _ => None,
    };
    listed.split(|&byte| byte == 0).filter_map(status).collect()
}

impl WorkTree<'_> {
    /// What the index has where a submodule was.
    pub(crate) fn indexed_at(&self, path: &Path) -> Result<Indexed> {
        let list = self.reading(LIST_INDEX).arg(option(":(top,literal)", path));
        let listed = entries(&list.ask("list the files")?);
        Ok(match listed.first() {
            None => Indexed::Nothing,
            Some(first) if first.kind == Kind::Gitlink => Indexed::Submodule,
            Some(_) => {
                let below = |entry: &Entry| entry.path.strip_prefix(path).map(Path::to_owned);
                Indexed::Files(listed.iter().flat_map(below).collect())
            }
        })
    }

    /// The index of a submodule, where its work tree is as HEAD says but for untracked files of these names and files that are
    /// gone. `None` where anything else is there, or may be: git was told not to look at some files.
    pub(crate) fn index_if_untouched(&self, but: &BTreeSet<PathBuf>) -> Result<Option<Vec<Entry>>> {
        let Some(git_dir) = self.git_dir()? else {
            return Ok(None);
        };
        let is_expected = |status: &Status| match &status.letters {
            b" D" => !but.is_empty(),
            b"??" | b"!!" => but.contains(&status.path),
            _ => false,
        };
        // Looked at where it is, whatever its repository says of where it should be.
        let here = self.git.work_tree_of(git_dir, &self.folder);
        let status = here.reading("status --porcelain -z --no-renames --ignored");
        let status = status.words("--untracked-files=all --ignore-submodules=all");
        let status = status.answer()?;
        if !status.end.is_good() || !statuses(&status.output).iter().all(is_expected) {
            return Ok(None);
        }
        let index = entries(&here.reading(LIST_FLAGS).ask("list the files")?);
        let is_looked_at = |entry: &Entry| match entry.flag {
            b'H' => true,
            b'S' => self.folder.join(&entry.path).symlink_metadata().is_err(),
            _ => false,
        };
        Ok(index.iter().all(is_looked_at).then_some(index))
    }

    /// The paths of all files and submodules of a commit.
    pub(crate) fn paths_of(&self, commit: &CommitId) -> Result<Vec<PathBuf>> {
        let list = self.reading("ls-tree -r -z --name-only").arg(commit);
        Ok(paths_in(&list.ask("list a commit")?))
    }

    fn entry_at(&self, commit: &str, path: &Path) -> Result<Option<Entry>> {
        let list = self.reading("ls-tree -z").arg(commit).arg("--").arg(path);
        Ok(entries(&list.ask("list a commit")?).pop())
    }

    /// Whether a commit has a file or a folder of files at a path: not nothing, and not a submodule.
    pub(crate) fn has_files_at(&self, commit: &CommitId, path: &Path) -> Result<bool> {
        let entry = self.entry_at(commit.as_str(), path)?;
        Ok(entry.is_some_and(|entry| entry.kind != Kind::Gitlink))
    }

    /// The commit of a submodule that a commit records at a path.
    pub(crate) fn gitlink_at(&self, commit: &str, path: &Path) -> Result<Option<CommitId>> {
        let entry = self.entry_at(commit, path)?;
        let gitlink = entry.filter(|entry| entry.kind == Kind::Gitlink);
        Ok(gitlink.and_then(|entry| CommitId::parse(&entry.id)))
    }

    /// The submodules in the index, where there may be any.
    pub(crate) fn gitlinks(&self) -> Result<Vec<Gitlink>> {
        if !may_have_submodules(&self.folder)? {
            return Ok(Vec::new());
        }
        let listed = self.reading(LIST_INDEX).ask("list the submodules")?;
        Ok(gitlinks_in(&listed))
    }

    /// What would change between two commits, submodules left out.
    pub(crate) fn changes(&self, old: &CommitId, new: &CommitId) -> Result<Vec<Change>> {
        let mut changes = raw_changes(&self.compare(old, new).ask("compare two commits")?)?;
        let is_gitlink = |side: &Blob| side.kind == Kind::Gitlink;
        changes.retain(|change| !change.old.iter().chain(&change.new).any(is_gitlink));
        Ok(changes)
    }

    /// The submodules that a commit records, where those of an older one are known. `None` where that is not here.
    pub(crate) fn gitlinks_after(
        &self,
        old: &CommitId,
        mut gitlinks: Vec<Gitlink>,
        new: &CommitId,
    ) -> Result<Option<Vec<Gitlink>>> {
        if old == new {
            return Ok(Some(gitlinks));
        }
        let compared = self.compare(old, new).here().answer()?;
        if !compared.end.is_good() {
            return Ok(None);
        }
        for Change { path, new, .. } in raw_changes(&compared.output)? {
            gitlinks.retain(|gitlink| gitlink.path != path);
            let commit = new.filter(|blob| blob.kind == Kind::Gitlink);
            let commit = commit.and_then(|blob| CommitId::parse(&blob.id));
            gitlinks.extend(commit.map(|commit| Gitlink { path, commit }));
        }
        gitlinks.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Some(gitlinks))
    }

    fn compare(&self, old: &CommitId, new: &CommitId) -> Command<'_> {
        // Git would read the whole index, and not need it: there is none by this name.
        let no_index = self.git.checkout.git_dir.join(NO_INDEX);
        let compare = self.reading("diff-tree -r -z --no-renames");
        let compare = compare.env("GIT_INDEX_FILE", no_index);
        compare.args([old, new]).arg("--")
    }

    /// Paths that a commit has and that are missing here. `None` where there is no such commit.
    pub(crate) fn missing(
        &self,
        commit: &CommitId,
        from: MissingFrom,
    ) -> Result<Option<Vec<PathBuf>>> {
        let list = self.reading("diff-index -z --name-only --no-renames --ignore-submodules=dirty");
        let list = match from {
            MissingFrom::Index => list.arg("--cached"),
            MissingFrom::WorkTree => list,
        };
        let listed = list.arg("--diff-filter=D").arg(commit).arg("--").answer()?;
        Ok(listed.end.is_good().then(|| paths_in(&listed.output)))
    }

    pub(crate) fn index_is(&self, commit: &CommitId) -> Result<bool> {
        let compare = self.reading("diff-index --cached --quiet --ignore-submodules");
        Ok(compare.arg(commit).arg("--").answer()?.end.is_good())
    }

    /// Tracked files that are not as HEAD has them, staged or not.
    pub(crate) fn edited(&self) -> Result<Vec<PathBuf>> {
        let status = self.reading("status --porcelain -z --no-renames --untracked-files=no");
        let status = status.arg("--ignore-submodules=all");
        let listed = statuses(&status.ask("look at the files")?).into_iter();
        Ok(listed.map(|status| status.path).collect())
    }

    /// How a tracked file differs from what HEAD has.
    pub(crate) fn difference(&self, path: &Path) -> Result<Difference> {
        let path = option(":(top,literal)", path);
        let is_same = |diff: &str| {
            let diff = self.reading(diff);
            let diff = diff.words("--quiet --no-ext-diff --no-textconv HEAD --");
            anyhow::Ok(diff.arg(&path).answer()?.end.is_good())
        };
        if is_same("-c core.fileMode=false diff")? {
            return Ok(if is_same("diff")? {
                Difference::Content
            } else {
                Difference::Permissions
            });
        }
        let list = self.reading("ls-files --eol --").arg(&path);
        let listed = line(&list.ask("list the files")?);
        // As in `i/crlf  w/crlf  attr/text eol=lf`: of what is `text`, git stores other line ends than these. It leaves them
        // alone where it is to find out by itself what is text.
        let (ends, attributes) = listed.split_once("attr/").unwrap_or_default();
        let is_text = attributes.starts_with("text ") || attributes.starts_with("text\t");
        let has_others = ends.starts_with("i/crlf") || ends.starts_with("i/mixed");
        if is_text && has_others && is_same("diff --ignore-cr-at-eol")? {
            return Ok(Difference::LineEnds);
        }
        Ok(Difference::Content)
    }

    /// Those of some tracked files whose changes git was told not to see: `assume-unchanged` (a small letter), or
    /// `skip-worktree` (an S).
    pub(crate) fn hidden_from_git(&self, paths: &[&str]) -> Result<Vec<String>> {
        let list = self.reading("--literal-pathspecs").words(LIST_FLAGS);
        let listed = entries(&list.args(paths).ask("list the files")?);
        let hidden = listed.iter().filter(|entry| entry.is_hidden());
        let names = hidden.filter_map(|entry| entry.path.to_str().map(str::to_owned));
        Ok(names.collect())
    }

    /// Tracked files that are not as HEAD has them, apart from those that differ and that git was told not to look at. A file
    /// that a sparse checkout leaves out does not differ.
    pub(crate) fn edits(&self) -> Result<Edits> {
        // At the same time, for what it costs.
        let listed = self.reading(LIST_FLAGS).begin()?;
        let seen = self.edited()?;
        let listed = must(self.git, "list the files", listed.end()?)?;
        let (mut hidden, mut hidden_if_changed) = (Vec::new(), Vec::new());
        let entries = entries(&listed).into_iter();
        for entry in entries.filter(|entry| entry.is_hidden() && !entry.is_submodule()) {
            match self.folder.join(&entry.path).symlink_metadata() {
                Err(_) if entry.flag == b'S' => {}
                Ok(there) if there.is_file() && entry.kind != Kind::Link => {
                    hidden_if_changed.push(entry);
                }
                Ok(_) | Err(_) => hidden.push(entry.path),
            }
        }
        let paths = hidden_if_changed.iter().map(|entry| entry.path.as_path());
        let ids = self.ids_of(&paths.collect::<Vec<_>>())?;
        let changed = hidden_if_changed.into_iter().zip(ids);
        let changed = changed.filter(|(entry, id)| entry.id != *id);
        hidden.extend(changed.map(|(entry, _)| entry.path));
        Ok(Edits { seen, hidden })
    }

    /// Untracked files, ignored ones too, at a path and below it.
    pub(crate) fn untracked_below(&self, path: &Path) -> Result<Vec<PathBuf>> {
        let list = self.reading("ls-files --others -z --");
        let listed = list.arg(option(":(top,literal)", path));
        Ok(paths_in(&listed.ask("list the files")?))
    }
}

impl Entry {
    pub(crate) fn is_submodule(&self) -> bool {
        self.kind == Kind::Gitlink
    }

    /// Whether git was told not to look at the file: `assume-unchanged` (a small letter), or `skip-worktree` (an S).
    fn is_hidden(&self) -> bool {
        self.flag == b'S' || self.flag.is_ascii_lowercase()
    }
}

/// The submodules in what `LIST_INDEX` prints.
pub(super) fn gitlinks_in(listed: &[u8]) -> Vec<Gitlink> {
    let gitlinks = entries(listed).into_iter().filter(Entry::is_submodule);
    let gitlink = |entry: Entry| {
        let (path, commit) = (entry.path, CommitId::parse(&entry.id)?);
        Some(Gitlink { path, commit })
    };
    gitlinks.filter_map(gitlink).collect()
}

/// A path that stands for a commit of another repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gitlink {
    pub(crate) path: PathBuf,
    pub(crate) commit: CommitId,
}

/// What a path is in a commit or in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Link,
    Gitlink,
    Folder,
}

impl Kind {
    /// By git's modes; `None` where there is nothing.
    fn of_mode(mode: &str) -> Option<Self> {
        match mode {
            "000000" => None,
            "040000" => Some(Self::Folder),
            "120000" => Some(Self::Link),
            "160000" => Some(Self::Gitlink),
            _ => Some(Self::File),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "1481a2de7b2a7d02428ad93446ab166be7793fbb";

    #[test]
    fn entries_are_read_in_each_form() {
        #[track_caller]
        fn check(listed: &str, expected: &[(char, Kind, &str)]) {
            let found = entries(listed.as_bytes());
            let found: Vec<_> = found
                .iter()
                .map(|entry| {
                    assert_eq!(entry.id, ID);
                    (
                        char::from(entry.flag),
                        entry.kind,
                        entry.path.to_str().unwrap(),
                    )
                })
                .collect();
            assert_eq!(found, expected);
        }
        check("", &[]);
        check(
            &format!("100644 {ID} 0\ta\tb\nc\x00160000 {ID} 0\tposts\0"),
            &[('H', Kind::File, "a\tb\nc"), ('H', Kind::Gitlink, "posts")],
        );
        check(
            &format!("h 100755 {ID} 0\trun\0S 120000 {ID} 2\tlink\0"),
            &[('h', Kind::File, "run"), ('S', Kind::Link, "link")],
        );
        check(
            &format!("040000 tree {ID}\tdir\x00160000 commit {ID}\tposts\0"),
            &[('H', Kind::Folder, "dir"), ('H', Kind::Gitlink, "posts")],
        );
    }

    #[test]
    fn the_raw_form_of_a_diff_is_read() {
        let zero = "0".repeat(40);
        let listed = format!(":100644 120000 {ID} {ID} T\0a b\0:160000 000000 {ID} {zero} D\0c\0");
        let changes = raw_changes(listed.as_bytes()).unwrap();
        let kinds: Vec<_> = changes
            .iter()
            .map(|change| {
                let kind = |side: &Option<Blob>| side.as_ref().map(|blob| blob.kind);
                (
                    change.path.to_str().unwrap(),
                    kind(&change.old),
                    kind(&change.new),
                )
            })
            .collect();
        assert_eq!(
            kinds,
            [
                ("a b", Some(Kind::File), Some(Kind::Link)),
                ("c", Some(Kind::Gitlink), None)
            ]
        );
        assert!(raw_changes(b":100644\0a\0").is_err());
    }
}
