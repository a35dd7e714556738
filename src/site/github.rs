//! The keys for commit statuses: the file with GitHub's token, what the statuses are called, and where they go.

use std::fmt::{Debug, Formatter};
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};

use super::mistake::Mistake;
use super::table::Table;
use super::{read_small, value};
use crate::signature::{NoSecrets, Secrets};
use crate::web_address::WebAddress;

/// What the statuses are called, unless `github_context` says otherwise.
const DEFAULT_CONTEXT: &str = "deploy";

/// Where commit statuses are posted, and as whom.
#[derive(Debug)]
pub(crate) struct GitHub {
    pub(crate) token_file: PathBuf,
    /// The name that tells them from other statuses of a commit.
    pub(crate) context: String,
    /// What their addresses begin with; without it that depends on the remote.
    pub(crate) api: Option<WebAddress>,
}

/// A token for GitHub's API: printable ASCII without blanks. Never shown.
pub(crate) struct Token(String);

impl Debug for Token {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// The token itself, to be sent, and to be hidden in what is shown.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// Reads its file as that of the secret is read. The error is a predicate: the file is its subject.
    fn parse(file: &[u8]) -> Result<Self, &'static str> {
        const SEVERAL_LINES: &str = "has more than one line; leave the token in it";
        let secrets = Secrets::parse(file).map_err(|why| match why {
            NoSecrets::Empty => "is empty; write the token into it",
            NoSecrets::NulBytes => "has NUL bytes, as UTF-16 has; save it as plain text",
            NoSecrets::TooMany => SEVERAL_LINES,
        })?;
        if secrets.iter().count() > 1 {
            return Err(SEVERAL_LINES);
        }
        let token = secrets.first().reveal();
        if !token.iter().all(u8::is_ascii_graphic) {
            return Err("has a blank or another character in it that no token has; remove that");
        }
        Ok(Self(String::from_utf8_lossy(token).into_owned()))
    }
}

impl GitHub {
    pub(super) fn of(keys: &Table<'_>) -> Result<Option<Self>, Mistake> {
        const TOKEN_FILE: &str = "github_token_file";
        let context = keys.value("github_context", value::context)?;
        let api = keys.value("github_api", value::api)?;
        let token_file = keys.path(TOKEN_FILE)?;
        let others = [
            ("github_context", context.is_some()),
            ("github_api", api.is_some()),
        ];
        match (token_file, others.iter().find(|(_, is_set)| *is_set)) {
            (Some(token_file), _) => Ok(Some(Self {
                token_file,
                context: context.unwrap_or_else(|| DEFAULT_CONTEXT.to_owned()),
                api,
            })),
            (None, Some((key, _))) => {
                Err(keys.conflict(key, &format!("is of no use without `{TOKEN_FILE}`")))
            }
            (None, None) => Ok(None),
        }
    }

    /// The token. The error says what is wrong with the file, and what to do.
    pub(crate) fn token(&self) -> Result<Token> {
        let path = self.token_file.display();
        let text = read_small(&self.token_file)
            .with_context(|| format!("cannot read the token file {path}"))?;
        Token::parse(&text).map_err(|why| anyhow!("the token file {path} {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_alone_in_its_file_and_never_shown() {
        for (file, expected) in [
            (&b"github_pat_1"[..], Ok("github_pat_1")),
            (b"\xef\xbb\xbfgithub_pat_1\r\n", Ok("github_pat_1")),
            (b"\n\n", Err("is empty")),
            (b"a\nb\n", Err("has more than one line")),
            (
                b"1\n2\n3\n4\n5\n6\n7\n8\n9\n",
                Err("has more than one line"),
            ),
            (b"a b", Err("has a blank")),
            (b"a ", Err("has a blank")),
            (b"a\rb", Err("has a blank")),
            ("\u{e4}".as_bytes(), Err("has a blank")),
            (b"\xff\xfea\0", Err("has NUL bytes")),
        ] {
            let token = Token::parse(file);
            match (token, expected) {
                (Ok(token), Ok(expected)) => assert_eq!(token.reveal(), expected),
                (Err(why), Err(expected)) => assert!(why.starts_with(expected), "{why}"),
                other => panic!("{other:?}"),
            }
        }
        let token = Token::parse(b"hunter2").unwrap();
        assert_eq!(format!("{token:?}"), "Token(…)");
    }
}
