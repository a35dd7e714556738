//! The repository, and git-lfs.

use std::path::{Component, Path, PathBuf};

use super::{Diagnosis, Situation, aside, git_in, submodule};
use crate::redaction::line_of;
use crate::shell::{quoted, word};

/// Without the filter, pointers are written in place of large files, and nothing fails: then they are in this folder.
pub(super) fn install_lfs(cause: &str, pointers: Option<&Path>, at: &Situation<'_>) -> Diagnosis {
    let install = ["sudo apt-get install git-lfs", "git lfs install"].map(str::to_owned);
    let pull = pointers.map(|folder| format!("{} lfs pull", git_in(folder)));
    tell!(at, "{cause}"; "install it and switch it on, then press Redeliver"; ..install.into_iter().chain(pull))
}

pub(super) fn damaged(at: &Situation<'_>) -> Diagnosis {
    let (folder, broken) = (quoted(at.folder()), aside(at.folder(), ".broken"));
    // A login in the URL is masked; then git is asked for the URL as it is.
    let mut url = word(&at.followed.url.to_string());
    if url.contains("***@") {
        let remote = word(&at.followed.remote);
        url = format!("\"$({} remote get-url {remote})\"", git_in(&broken));
    }
    let (branch, kept) = (word(at.followed.remote_branch()), line_of(&broken));
    let broken = quoted(&broken);
    tell!(at, "the repository here is damaged";
        "put a fresh clone in its place, then press Redeliver; what was here stays in {kept}";
        "mv -T {folder} {broken}"; "git clone --recurse-submodules --branch {branch} {url} {folder}")
}

/// No repository, at a path that git makes of a work tree's folder and of what the `.git` file there says.
pub(super) fn none(path: Option<&Path>, at: &Situation<'_>) -> Diagnosis {
    let parts = path.into_iter().flat_map(Path::components);
    let work_tree: PathBuf = parts
        .take_while(|part| *part != Component::ParentDir)
        .collect();
    if work_tree != at.folder() && work_tree.starts_with(at.folder()) {
        return submodule::repository_lost(&work_tree, at);
    }
    let (folder, git_dir) = (line_of(at.folder()), quoted(at.git_dir()));
    tell!(at, "git finds no repository in {folder}";
        "look at what is there; a fresh clone in its place is the quickest cure";
        "ls -la {git_dir}")
}

/// Git was told to look at what it fetches. One kind of fault can be let pass.
pub(super) fn object_refused(why: Option<&[String]>, at: &Situation<'_>) -> Diagnosis {
    let cause =
        "git refuses what the remote sends, since it was told to check it (transfer.fsckObjects)";
    let is_name = |kind: &String| kind.bytes().all(|c| c.is_ascii_alphanumeric());
    let Some([id, kind, fault]) = why.filter(|why| why.get(1).is_some_and(is_name)) else {
        return tell!(at, "{cause}"; "look at what git said, and mend it where the repository is written");
    };
    let (id, fault) = (line_of(id.get(..7).unwrap_or(id)), line_of(fault));
    tell!(at, "{cause}: {fault} in the object {id}";
        "if you know why that is so (old history often is), have git let this kind of fault pass; then press Redeliver";
        ..[at.setting(&format!("fetch.fsck.{kind} ignore"))])
}
