//! Where programs are.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// Where programs are looked for after the host's own PATH: lighttpd passes none at all, and cPanel keeps its git out of
/// the usual folders.
const USUAL_FOLDERS: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/cpanel/3rdparty/bin:/usr/local/cpanel/3rdparty/lib/path-bin:/opt/local/bin";

/// The folders where programs are looked for, in order.
#[derive(Clone, Debug)]
pub(crate) struct Programs(OsString);

impl Programs {
    /// Exactly these folders.
    pub(crate) fn exactly(path: impl Into<OsString>) -> Self {
        Self(path.into())
    }

    /// The host's PATH, then the usual folders.
    pub(crate) fn in_path(path: Option<&OsStr>) -> Self {
        let mut all = path.unwrap_or_default().to_owned();
        if !all.is_empty() {
            all.push(":");
        }
        all.push(USUAL_FOLDERS);
        Self(all)
    }

    /// As the value of PATH.
    pub(crate) fn as_path(&self) -> &OsStr {
        &self.0
    }

    /// The absolute path of a program, if one of the folders has it. Relative folders are passed by: what they name
    /// depends on where the server started us.
    pub(crate) fn find(&self, name: &str) -> Option<PathBuf> {
        std::env::split_paths(&self.0)
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join(name))
            .find(|path| {
                path.metadata()
                    .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_in_order_and_only_by_absolute_folders() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sh");
        std::fs::write(&path, "").unwrap();
        let programs = Programs::exactly(format!(".:{}:/bin", folder.path().display()));
        assert_eq!(
            programs.find("sh"),
            Some(PathBuf::from("/bin/sh")),
            "not executable yet"
        );
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(programs.find("sh"), Some(path));
        assert_eq!(programs.find("no such program"), None);
    }
}
