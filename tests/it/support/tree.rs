//! What lies in a folder, and how two work trees differ.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Everything below a folder, sorted; links are not followed, and folders that are not to be entered are only named.
pub(crate) fn paths_below(top: &Path, is_entered: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() && is_entered(&entry.path()) {
                folders.push(entry.path());
            }
            paths.push(entry.path());
        }
    }
    paths.sort();
    paths
}

/// What lies at a path of a work tree.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Thing {
    Folder,
    /// A repository; what is in it is not compared.
    Repository,
    Link(PathBuf),
    File {
        runs: bool,
        content: Vec<u8>,
    },
}

impl Thing {
    pub(crate) fn file(content: &str) -> Thing {
        Thing::File {
            runs: false,
            content: content.into(),
        }
    }
}

impl std::fmt::Debug for Thing {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Thing::Folder => write!(to, "a folder"),
            Thing::Repository => write!(to, "a repository"),
            Thing::Link(target) => write!(to, "-> {}", target.display()),
            Thing::File { runs, content } => {
                let mode = if *runs { "755" } else { "644" };
                write!(to, "{mode} {:?}", String::from_utf8_lossy(content))
            }
        }
    }
}

pub(crate) type Tree = BTreeMap<PathBuf, Thing>;

/// Everything below a folder, its own repository left out.
pub(crate) fn tree_of(top: &Path) -> Tree {
    let is_repository = |path: &Path| path.file_name().unwrap() == ".git";
    let mut tree = Tree::new();
    for path in paths_below(top, |path| !is_repository(path)) {
        let below = path.strip_prefix(top).unwrap().to_owned();
        let kind = path.symlink_metadata().unwrap();
        let thing = if below == Path::new(".git") {
            continue;
        } else if is_repository(&path) {
            Thing::Repository
        } else if kind.is_symlink() {
            Thing::Link(fs::read_link(&path).unwrap())
        } else if kind.is_dir() {
            Thing::Folder
        } else {
            Thing::File {
                runs: kind.permissions().mode() & 0o100 != 0,
                content: fs::read(&path).unwrap(),
            }
        };
        tree.insert(below, thing);
    }
    tree
}

/// The tree on disk is this one, and has what the person put there besides.
#[track_caller]
pub(crate) fn is_tree(found: &Tree, mut expected: Tree, mine: &[(&str, &str)]) {
    for (path, content) in mine {
        expected.insert(path.into(), Thing::file(content));
        for above in Path::new(path).ancestors().skip(1) {
            if !above.as_os_str().is_empty() {
                expected.insert(above.to_owned(), Thing::Folder);
            }
        }
    }
    let differs = differences(found, &expected);
    assert!(differs.is_empty(), "{differs:#?}");
}

/// Where two trees differ, one line for each path.
pub(crate) fn differences(found: &Tree, expected: &Tree) -> Vec<String> {
    let mut differs: Vec<String> = expected
        .keys()
        .chain(found.keys())
        .filter(|path| expected.get(*path) != found.get(*path))
        .map(|path| {
            let (wanted, got) = (expected.get(path), found.get(path));
            format!("{}: {got:?} and not {wanted:?}", path.display())
        })
        .collect();
    differs.sort();
    differs.dedup();
    differs
}
