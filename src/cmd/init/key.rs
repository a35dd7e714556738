//! The private key for a remote: the one that is there, or a new one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};

use super::places::{absolute, ensure_not_on_the_web};
use super::{Misuse, give, make_folder_for};
use crate::cgi::Environment;
use crate::process::{Programs, Run};
use crate::redaction::escape_line;

/// How long ssh-keygen may take.
const KEYGEN_LIMIT: Duration = Duration::from_secs(30);

/// A private key for the remote.
pub(super) struct Key {
    pub(super) file: PathBuf,
    /// What to enter at GitHub, where the key is there already.
    pub(super) public: Option<String>,
    keygen: PathBuf,
}

impl Key {
    pub(super) fn at(file: &Path, env: &Environment) -> Result<Self> {
        let file = absolute(file)?;
        if file.extension().is_some_and(|end| end == "pub") {
            bail!(Misuse(format!(
                "{} is the public key; name the private one, without .pub",
                file.display()
            )));
        }
        ensure_not_on_the_web(&file, "--ssh-key", env)?;
        let programs = Programs::in_path(env.first("PATH"));
        let Some(keygen) = programs.find("ssh-keygen") else {
            bail!(
                "there is no ssh-keygen in {}; install ssh",
                programs.as_path().display()
            );
        };
        let mut key = Self {
            file,
            public: None,
            keygen,
        };
        if key.file.symlink_metadata().is_ok() {
            key.read()?;
        }
        Ok(key)
    }

    /// Reads the public part of the key that is there.
    fn read(&mut self) -> Result<()> {
        let keygen = Run::new(&self.keygen, KEYGEN_LIMIT).args(["-y", "-P", "", "-f"]);
        let asked = keygen.arg(&self.file).output_apart()?;
        if !asked.end.is_good() {
            bail!(
                "{} is no private key that can be used without a passphrase: {}",
                self.file.display(),
                escape_line(String::from_utf8_lossy(&asked.errors).trim())
            );
        }
        let public = String::from_utf8_lossy(&asked.output);
        self.public = Some(escape_line(public.trim()));
        Ok(())
    }

    /// Makes one, for `reader`.
    pub(super) fn make(&mut self, reader: (u32, u32)) -> Result<()> {
        make_folder_for(&self.file, reader)?;
        let keygen = Run::new(&self.keygen, KEYGEN_LIMIT);
        let keygen = keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "deploy-cgi", "-f"]);
        let made = keygen.arg(&self.file).output_together()?;
        if !made.end.is_good() {
            bail!(
                "cannot make the key {}: {}",
                self.file.display(),
                escape_line(String::from_utf8_lossy(&made.output).trim())
            );
        }
        self.read()?;
        give(&self.file, reader)?;
        give(&self.file.with_added_extension("pub"), reader)
    }
}
