//! Every key, with what is accepted for it, and the table of a site file, read with a complaint for each mistake.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::{Mistake, Text};
use crate::cgi::Environment;
use crate::repository_name::RepositoryName;
use crate::user::User;

/// The keys a site file may have, in the order of deploy.cgi.example, and what each has to be.
pub(super) const KEYS: &[(&str, &str)] = &[
    ("repo", "the absolute path of the checkout"),
    (
        "secret_file",
        "the absolute path of the file with the secret",
    ),
    ("branch", "the name of a branch, such as \"main\""),
    ("repository", "\"owner/name\""),
    ("update", "\"fast-forward\" or \"reset\""),
    ("submodules", "\"recorded\", \"latest\" or \"skip\""),
    ("on_update", "a shell command"),
    ("on_failure", "a shell command"),
    ("clone", "the URL of the repository"),
    ("ssh_key", "the absolute path of a private key"),
    (
        "ssh_keys",
        "a table, such as ssh_keys = { \"me/posts\" = \"/home/me/.ssh/posts\" }",
    ),
    (
        "workflow",
        "the file of a workflow, such as \".github/workflows/ci.yml\"",
    ),
    (
        "only",
        "a list of patterns below the checkout, such as [\"site/**\"]",
    ),
    ("live", "an https address, such as \"https://example.org/\""),
    ("live_text", "a text that the page `live` has"),
    ("wait", "a time from \"0s\" to \"30s\", such as \"8s\""),
    ("timeout", "a time from \"1s\" to \"24h\", such as \"10m\""),
    (
        "max_body",
        "a size from \"1KiB\" to \"64MiB\", such as \"25MiB\"",
    ),
    (
        "path",
        "folders like those of PATH, absolute, with colons between them",
    ),
    ("env", "a table, such as env = { NAME = \"value\" }"),
    (
        "umask",
        "an octal number that leaves the owner everything, such as \"022\"",
    ),
];

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

/// What a key has to be.
pub(super) fn accepted(key: &str) -> Option<&'static str> {
    let known = KEYS.iter().find(|(name, _)| *name == key);
    known.map(|(_, accepted)| *accepted)
}

fn is_path(text: &str) -> bool {
    !text.contains('\0') && (text.starts_with("~/") || text.starts_with('/'))
}

/// The table of a site file, with what is needed to complain about it.
pub(super) struct Keys<'t> {
    text: Text<'t>,
    table: DeTable<'t>,
    env: &'t Environment,
}

impl<'t> Keys<'t> {
    pub(super) fn parse(
        file: &'t Path,
        text: &'t [u8],
        env: &'t Environment,
    ) -> Result<Self, Mistake> {
        let text = Text::new(file, text)?;
        let table = DeTable::parse(text.toml)
            .map_err(|error| text.syntax(&error))?
            .into_inner();
        let unknown = table.keys().find(|key| accepted(key.get_ref()).is_none());
        match unknown {
            Some(key) => Err(text.unknown_key(key)),
            None => Ok(Self { text, table, env }),
        }
    }

    /// The value of a key. `read` gives `None` for a text that is not accepted.
    pub(super) fn value<T>(
        &self,
        key: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Mistake> {
        let Some(value) = self.table.get(key) else {
            return Ok(None);
        };
        let read = value.get_ref().as_str().and_then(read);
        read.map(Some)
            .ok_or_else(|| self.text.value(value.span().start, key))
    }

    /// The texts of a list; none where the key is not there.
    pub(super) fn list<T>(
        &self,
        key: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, Mistake> {
        let Some(value) = self.table.get(key) else {
            return Ok(Vec::new());
        };
        let items = value.get_ref().as_array().map(|list| list.iter());
        let read = items.and_then(|mut items| {
            items.try_fold(Vec::new(), |mut read_ones, item| {
                read_ones.push(item.get_ref().as_str().and_then(&read)?);
                Some(read_ones)
            })
        });
        read.filter(|items| !items.is_empty())
            .ok_or_else(|| self.text.value(value.span().start, key))
    }

    /// A key that cannot be used together with the value of another one.
    pub(super) fn conflict(&self, key: &'static str, why: &str) -> Mistake {
        let at = self.table.get(key).map_or(0, |value| value.span().start);
        self.text.conflict(at, format!("`{key}` {why}"))
    }

    /// An absolute path, `~/` being the running user's home. No program is started to find that: a stranger's request
    /// comes here too.
    pub(super) fn path(&self, key: &'static str) -> Result<Option<PathBuf>, Mistake> {
        let path = self.value(key, |text| is_path(text).then(|| text.to_owned()))?;
        let at = self.table.get(key).map_or(0, |value| value.span().start);
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
        let Some(table) = self.table.get(KEY) else {
            return Ok(Vec::new());
        };
        let Some(entries) = table.get_ref().as_table() else {
            return Err(self.text.value(table.span().start, KEY));
        };
        let mut keys: Vec<(RepositoryName, PathBuf)> = Vec::new();
        for (name, value) in entries {
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
        let Some(table) = self.table.get("env") else {
            return Ok(Vec::new());
        };
        match table.get_ref().as_table() {
            Some(entries) => entries.iter().map(|entry| self.variable(entry)).collect(),
            None => Err(self.text.value(table.span().start, "env")),
        }
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
