//! What is wrong with a site file, in two forms: for its owner with the line itself, and for anybody as the line's number
//! and the kind of mistake.

use std::borrow::Cow;
use std::fmt::{Display, Formatter};
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::keys::{KEYS, accepted};
use crate::redaction::{MASK, excerpt, line_of, redact};

/// How much like a known key an unknown one has to be, to be taken for it: 1 is the same.
const ALIKE: f64 = 0.8;

/// The longest word that is shown as the name of a key that is none, in bytes.
const MAX_NAME: usize = 32;

/// The quotes of word processors. TOML has none of them.
const CURLY_QUOTES: &[char] = &['“', '”', '„', '‟', '‘', '’', '‚', '«', '»', '″'];

/// A mistake in a site file.
#[derive(Debug)]
pub(crate) struct Mistake {
    file: PathBuf,
    line: Option<Line>,
    /// What kind it is. Nothing of the file is in it.
    kind: Cow<'static, str>,
    /// The mistake, and what is accepted.
    said: String,
}

#[derive(Debug)]
struct Line {
    number: usize,
    /// As it may be shown.
    text: String,
}

impl Mistake {
    /// The number of the line and the kind of mistake: nothing of the file, and no path.
    pub(crate) fn for_a_stranger(&self) -> String {
        match &self.line {
            Some(line) => format!("line {}: {}", line.number, self.kind),
            None => self.kind.to_string(),
        }
    }
}

/// As compilers say it, on one line.
impl Display for Mistake {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let file = line_of(&self.file);
        match &self.line {
            Some(line) => write!(f, "{file}:{}: `{}`: {}", line.number, line.text, self.said),
            None => write!(f, "{file}: {}", self.said),
        }
    }
}

impl std::error::Error for Mistake {}

/// The text of a site file.
pub(super) struct Text<'t> {
    file: &'t Path,
    /// Without a byte order mark.
    pub(super) toml: &'t str,
}

impl<'t> Text<'t> {
    pub(super) fn new(file: &'t Path, text: &'t [u8]) -> Result<Self, Mistake> {
        match std::str::from_utf8(text) {
            Ok(text) => Ok(Self {
                file,
                toml: text.strip_prefix('\u{feff}').unwrap_or(text),
            }),
            Err(_) => Err(Mistake {
                file: file.to_owned(),
                line: None,
                kind: "not UTF-8 text".into(),
                said: "not UTF-8 text; save the file as UTF-8".into(),
            }),
        }
    }

    /// What is no TOML. Never the parser's own display: it shows the line as it is, and with it perhaps a secret.
    pub(super) fn syntax(&self, error: &toml::de::Error) -> Mistake {
        let at = error.span().map_or(0, |span| span.start);
        let message = error.message();
        if message == "duplicate key" {
            return self.twice(at, error.span().map_or(at, |span| span.end));
        }
        let line = self.line(at);
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        let (key, value) = (key.trim(), value.trim());
        let has_to_be = match accepted(key) {
            Some(accepted) => format!("; `{key}` has to be {accepted}"),
            None => String::new(),
        };
        let is_bare = !value.starts_with(['"', '\'', '[', '{']);
        let is_curly = line.contains(CURLY_QUOTES);
        let (kind, more) = if is_curly {
            (
                "curly quotes",
                format!("; write straight ones, as in \"text\"{has_to_be}"),
            )
        } else if !line.contains('=') {
            (
                "no `=`",
                " in it; a line is a key, `=` and a value".to_owned(),
            )
        } else if value.is_empty() {
            ("no value", has_to_be)
        } else if is_bare || message.starts_with("string values must be quoted") {
            ("a value without quotes", has_to_be)
        } else if value.matches(['"', '\'']).count() % 2 == 1 {
            ("a quote is missing", has_to_be)
        } else if message.starts_with("unexpected key or value") {
            let cure = "; where there are quotes in it, write ' around it";
            ("something behind the value", cure.to_owned())
        } else {
            ("not valid TOML", format!(": {message}"))
        };
        self.mistake(at, kind, format!("{kind}{more}"))
    }

    /// A key that stands twice, the second time here.
    fn twice(&self, at: usize, end: usize) -> Mistake {
        let name = self.toml.get(at..end).unwrap_or_default();
        let is_first = |line: &str| {
            let line = line.trim_start_matches(['[', ' ', '\t']);
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.trim_start().starts_with(['=', ']', '.']))
        };
        let first = self.toml[..at].lines().position(is_first);
        let first = first.map_or_else(String::new, |line| format!("in line {} and ", line + 1));
        let said = format!(
            "the key `{}` stands twice, {first}here; remove one",
            excerpt(name)
        );
        self.mistake(at, "a key that stands there already", said)
    }

    pub(super) fn unknown_key(&self, key: &Spanned<Cow<'_, str>>) -> Mistake {
        let name = excerpt(key.get_ref());
        let alike = KEYS
            .iter()
            .map(|(known, _)| (strsim::jaro(known, &name), *known))
            .filter(|(alike, _)| *alike > ALIKE);
        let nearest = alike.max_by(|one, other| one.0.total_cmp(&other.0));
        let known = if let Some((_, nearest)) = nearest {
            format!("did you mean `{nearest}`?")
        } else {
            let names: Vec<_> = KEYS.iter().map(|(known, _)| *known).collect();
            format!("the keys are {}", names.join(", "))
        };
        let said = format!("unknown key `{name}`; {known}");
        // What its value is nobody knows: perhaps the secret.
        let line = format!("{name} = {MASK}");
        self.mistake_in(line, key.span().start, "unknown key", said)
    }

    /// A value that is not accepted.
    pub(super) fn value(&self, at: usize, key: &str) -> Mistake {
        let accepted = accepted(key).unwrap_or("something else");
        let said = format!("`{key}` has to be {accepted}");
        self.refused(at, said)
    }

    /// A variable in `env` that is not accepted.
    pub(super) fn variable(&self, at: usize, name: &str, why: &str) -> Mistake {
        self.refused(at, format!("`env.{}` {why}", excerpt(name)))
    }

    /// Two values that cannot be used together.
    pub(super) fn conflict(&self, at: usize, said: String) -> Mistake {
        self.mistake(at, "two keys that contradict each other", said)
    }

    fn refused(&self, at: usize, said: String) -> Mistake {
        self.mistake(at, "a value that is not accepted", said)
    }

    /// A path of a running user who has no home that is known without asking a program.
    pub(super) fn no_home(&self, at: usize, key: &str) -> Mistake {
        let why = "a path begins with `~/`, which is no folder here: the user that runs this is not in /etc/passwd and \
                   has no HOME of its own; write the path out, from the first /";
        self.mistake(at, why, format!("`{key}`: {why}"))
    }

    /// A key that has to be there.
    pub(super) fn missing(&self, key: &'static str) -> Mistake {
        let kind = format!("the key `{key}` is missing");
        let said = format!("{kind}; it has to be {}", accepted(key).unwrap_or_default());
        Mistake {
            file: self.file.to_owned(),
            line: None,
            kind: kind.into(),
            said,
        }
    }

    fn mistake(&self, at: usize, kind: &'static str, said: String) -> Mistake {
        self.mistake_in(shown(self.line(at)), at, kind, said)
    }

    fn mistake_in(&self, line: String, at: usize, kind: &'static str, said: String) -> Mistake {
        Mistake {
            file: self.file.to_owned(),
            line: Some(Line {
                number: self.before(at).matches('\n').count() + 1,
                text: line,
            }),
            kind: kind.into(),
            said,
        }
    }

    /// The line of a byte offset.
    fn line(&self, at: usize) -> &'t str {
        let start = self.before(at).rfind('\n').map_or(0, |end| end + 1);
        self.toml[start..].lines().next().unwrap_or_default()
    }

    fn before(&self, at: usize) -> &'t str {
        self.toml.get(..at).unwrap_or(self.toml)
    }
}

/// A line as it may be shown: where its value is none of a known key, or may be the secret itself, that is masked.
fn shown(line: &str) -> String {
    let Some((key, value)) = line.split_once('=') else {
        return MASK.to_owned();
    };
    let (key, value) = (key.trim(), value.trim());
    let is_path = value
        .trim_start_matches(|c| c == '"' || c == '\'' || CURLY_QUOTES.contains(&c))
        .starts_with(['/', '~']);
    // A secret may have a `=`, hardly with a blank on both sides.
    let is_name = line.contains(" = ")
        && key.len() <= MAX_NAME
        && key
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || b"_-".contains(&c));
    // Variables are nobody's business, and who takes a file's name for its content writes the secret there.
    let is_hidden = key == "env" || (key.ends_with("_file") && !is_path);
    let text = match accepted(key) {
        Some(_) if !is_hidden => format!("{key} = {value}"),
        Some(_) => format!("{key} = {MASK}"),
        None if is_name => format!("{key} = {MASK}"),
        None => MASK.to_owned(),
    };
    excerpt(&redact(&text, []))
}
