//! The repository, git itself, and git-lfs.

use std::path::{Component, Path, PathBuf};

use super::{Advice, Diagnosis, Situation, found};
use crate::redaction::line_of;
use crate::shell::{as_root, quoted, word};

pub(super) fn lfs_missing(at: &Situation<'_>) -> Diagnosis {
    found(
        "the repository keeps files with git-lfs, which is not installed here",
        Advice::run(
            "install it and switch it on, then press Redeliver",
            install_lfs(at),
        ),
    )
}

fn install_lfs(at: &Situation<'_>) -> [String; 2] {
    [
        as_root(&at.user, "apt-get install git-lfs"),
        at.run("git lfs install"),
    ]
}

pub(super) fn lfs_failed(at: &Situation<'_>) -> Diagnosis {
    found(
        "git-lfs could not fetch a file",
        Advice::run(
            "try it by hand to see why (a login, a quota of LFS at GitHub), then press Redeliver",
            [at.git("lfs fetch")],
        ),
    )
}

pub(super) fn lfs_pointers(folder: &Path, at: &Situation<'_>) -> Diagnosis {
    found(
        format!(
            "pointers of git-lfs are in place of large files in {}",
            line_of(folder)
        ),
        Advice::run(
            "have git-lfs bring them, then press Redeliver",
            [at.git_in(folder, "lfs pull")],
        ),
    )
}

/// Without the filter, pointers are written in place of large files, and nothing fails.
pub(super) fn lfs_not_set_up(folder: &Path, at: &Situation<'_>) -> Diagnosis {
    let pull = at.git_in(folder, "lfs pull");
    found(
        "large files are kept with git-lfs, which is not set up here: pointers are in their places",
        Advice::run(
            "install it and switch it on, then press Redeliver",
            install_lfs(at).into_iter().chain([pull]),
        ),
    )
}

pub(super) fn git_too_old(at: &Situation<'_>) -> Diagnosis {
    found(
        "this git is too old, or its installation is not whole",
        Advice::run(
            format!(
                "install git 2.17 or newer, or name the folder of a newer one with the key `path` in {}. What is there",
                at.site_file()
            ),
            ["git --version", "git --exec-path"],
        ),
    )
}

pub(super) fn index_damaged(at: &Situation<'_>) -> Diagnosis {
    let index = at.git_dir().join("index");
    found(
        "git's index of the checkout is damaged, or a newer git wrote it",
        Advice::run(
            "have it made anew (files stay as they are), then press Redeliver",
            [
                at.run(format!(
                    "mv {} {}",
                    quoted(&index),
                    quoted(&index.with_extension("broken"))
                )),
                at.git("reset --quiet"),
            ],
        ),
    )
}

pub(super) fn damaged(at: &Situation<'_>) -> Diagnosis {
    let mut broken = at.folder().as_os_str().to_owned();
    broken.push(".broken");
    let broken = PathBuf::from(broken);
    // A login in the URL is masked; then git is asked for the URL as it is.
    let url = at.followed.url.to_string();
    let url = if url.contains("***@") {
        format!(
            "\"$(git -C {} remote get-url {})\"",
            quoted(&broken),
            word(&at.followed.remote)
        )
    } else {
        word(&url)
    };
    found(
        "the repository here is damaged",
        Advice::run(
            format!(
                "put a fresh clone in its place, then press Redeliver; what was here stays in {}",
                line_of(&broken)
            ),
            [
                at.run(format!("mv {} {}", quoted(at.folder()), quoted(&broken))),
                at.run(format!(
                    "git clone --recurse-submodules --branch {} {url} {}",
                    word(at.followed.remote_branch()),
                    quoted(at.folder())
                )),
            ],
        ),
    )
}

/// No repository, at a path that git makes of a work tree's folder and of what the `.git` file there says.
pub(super) fn none(path: Option<&Path>, at: &Situation<'_>) -> Diagnosis {
    let above = |part: &Component<'_>| *part == Component::ParentDir;
    let work_tree = path.map(|path| {
        let parts = path.components();
        parts.take_while(|part| !above(part)).collect::<PathBuf>()
    });
    let below = work_tree
        .as_ref()
        .and_then(|tree| tree.strip_prefix(at.folder()).ok());
    if let Some(submodule) = below.filter(|below| *below != Path::new("")) {
        return super::submodule::repository_lost(submodule, at);
    }
    found(
        format!("git finds no repository in {}", line_of(at.folder())),
        Advice::run(
            "look at what is there; a fresh clone in its place is the quickest cure",
            [format!("ls -la {}", quoted(at.git_dir()))],
        ),
    )
}
