//! The table of a site file, read with a complaint for each mistake.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::accepted;
use super::mistake::{Mistake, Text};
use crate::cgi::Environment;
use crate::repository_name::RepositoryName;
use crate::user::User;

/// Variables that would point git at another repository than `repo` (`git rev-parse --local-env-vars`).
const NOT_IN_ENV: &[&str] = &[
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

fn is_path(text: &str) -> bool {
    !text.contains('\0') && (text.starts_with("~/") || text.starts_with('/'))
}

/// The table of a site file, with what is needed to complain about it.
pub(super) struct Table<'t> {
    text: Text<'t>,
    entries: DeTable<'t>,
    env: &'t Environment,
}

impl<'t> Table<'t> {
    pub(super) fn parse(
        file: &'t Path,
        text: &'t [u8],
        env: &'t Environment,
    ) -> Result<Self, Mistake> {
        let text = Text::new(file, text)?;
        let entries = DeTable::parse(text.toml)
            .map_err(|error| text.syntax(&error))?
            .into_inner();
        let unknown = entries.keys().find(|key| accepted(key.get_ref()).is_none());
        match unknown {
            Some(key) => Err(text.unknown_key(key)),
            None => Ok(Self { text, entries, env }),
        }
    }

    /// The value of a key. `read` gives `None` for a text that is not accepted.
    pub(super) fn value<T>(
        &self,
        key: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Mistake> {
        self.choice(key, |value| value.as_str().and_then(&read))
    }

    /// The same for a value that need not be a text.
    pub(super) fn choice<'s, T>(
        &'s self,
        key: &'static str,
        read: impl Fn(&'s DeValue<'t>) -> Option<T>,
    ) -> Result<Option<T>, Mistake> {
        let Some(value) = self.entries.get(key) else {
            return Ok(None);
        };
        let read = read(value.get_ref());
        read.map(Some)
            .ok_or_else(|| self.text.value(value.span().start, key))
    }

    /// The texts of a list; none where the key is not there.
    pub(super) fn list<T>(
        &self,
        key: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, Mistake> {
        let items = self.choice(key, |value| {
            let items = value.as_array()?.iter();
            let items = items.map(|item| item.get_ref().as_str().and_then(&read));
            items
                .collect::<Option<Vec<_>>>()
                .filter(|items| !items.is_empty())
        })?;
        Ok(items.unwrap_or_default())
    }

    /// A key that cannot be used together with the value of another one.
    pub(super) fn conflict(&self, key: &'static str, why: &str) -> Mistake {
        let at = self.entries.get(key).map_or(0, |value| value.span().start);
        self.text.conflict(at, format!("`{key}` {why}"))
    }

    /// An absolute path, `~/` being the running user's home. No program is started to find that: a stranger's request
    /// comes here too.
    pub(super) fn path(&self, key: &'static str) -> Result<Option<PathBuf>, Mistake> {
        let path = self.value(key, |text| is_path(text).then(|| text.to_owned()))?;
        let at = self.entries.get(key).map_or(0, |value| value.span().start);
        path.map(|text| self.path_of(&text, at, key)).transpose()
    }

    fn path_of(&self, text: &str, at: usize, key: &str) -> Result<PathBuf, Mistake> {
        let Some(below) = text.strip_prefix("~/") else {
            return Ok(text.into());
        };
        match User::known(self.env).home {
            Some(home) => Ok(home.join(below)),
            None => Err(self.text.no_home(at, key)),
        }
    }

    /// The repositories and private keys of the key `ssh_keys`.
    pub(super) fn ssh_keys(&self) -> Result<Vec<(RepositoryName, PathBuf)>, Mistake> {
        const KEY: &str = "ssh_keys";
        let entries = self.choice(KEY, DeValue::as_table)?;
        let mut keys: Vec<(RepositoryName, PathBuf)> = Vec::new();
        for (name, value) in entries.into_iter().flatten() {
            let at = value.span().start;
            let refused = || self.text.value(at, KEY);
            let repository = RepositoryName::parse(name.get_ref()).ok_or_else(refused)?;
            let text = value.get_ref().as_str().filter(|text| is_path(text));
            let key = self.path_of(text.ok_or_else(refused)?, at, KEY)?;
            // Names differ in more than case.
            if keys.iter().any(|(known, _)| *known == repository) {
                return Err(refused());
            }
            keys.push((repository, key));
        }
        Ok(keys)
    }

    /// The path that is the value of a key that has to be there.
    pub(super) fn required_path(&self, key: &'static str) -> Result<PathBuf, Mistake> {
        self.path(key)?.ok_or_else(|| self.text.missing(key))
    }

    /// The variables of the key `env`.
    pub(super) fn env(&self) -> Result<Vec<(String, String)>, Mistake> {
        let entries = self.choice("env", DeValue::as_table)?;
        let entries = entries.into_iter().flatten();
        entries.map(|entry| self.variable(entry)).collect()
    }

    fn variable(
        &self,
        (name, value): (&Spanned<Cow<'_, str>>, &Spanned<DeValue<'_>>),
    ) -> Result<(String, String), Mistake> {
        let (at, name) = (name.span().start, name.get_ref());
        let is_name = !name.starts_with(|c: char| c.is_ascii_digit())
            && !name.is_empty()
            && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
        if !is_name {
            return Err(self.text.variable(at, name, "is no name of a variable"));
        }
        if NOT_IN_ENV.contains(&&**name) {
            let why = "would point git at another repository; `repo` says which one";
            return Err(self.text.variable(at, name, why));
        }
        match value.get_ref().as_str().filter(|text| !text.contains('\0')) {
            Some(text) => Ok((name.to_string(), text.to_owned())),
            None => Err(self
                .text
                .variable(value.span().start, name, "has to be text in quotes")),
        }
    }
}
