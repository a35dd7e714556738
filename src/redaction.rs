//! What text from outside looks like when it is shown, stored or sent: credentials masked, control characters escaped.
//!
//! Git prints credentials in many places (`Submodule … registered`, `clone of … failed`, `could not read Password`), so
//! nothing that came from a command is shown without passing here.

use std::ffi::OsStr;
use std::ops::Range;

/// What stands where a credential was.
pub(crate) const MASK: &str = "***";

/// The most characters that an excerpt has.
const MAX_EXCERPT: usize = 200;

/// How many of a list are named.
const MAX_NAMED: usize = 10;

/// Prefixes of the tokens GitHub gives out (GitHub's documentation, "GitHub's token formats"), and GitLab's.
const TOKEN_PREFIXES: &[&str] = &[
    "github_pat_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "ghv1_",
    "glpat-",
    "gldt-",
    "glrt-",
];

/// How long what follows such a prefix is at least.
const MIN_TOKEN: usize = 16;

/// Query parameters and header words that carry a credential, in lower case.
const CREDENTIAL_NAMES: &[&str] = &[
    "access_token=",
    "auth_token=",
    "private_token=",
    "client_secret=",
    "password=",
    "passwd=",
    "token=",
];

/// Masks credentials: user info in URLs, tokens by their form, and every one of `known` literally.
pub(crate) fn redact<'k>(text: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    let mut text = text.to_owned();
    for secret in known {
        // A secret of one or two characters would mask half of every word; it hides nothing either.
        if secret.len() > 2 && text.contains(secret) {
            text = text.replace(secret, MASK);
        }
    }
    mask_tokens(&mask_named(&mask_scp_logins(&mask_user_info(&text))))
}

/// The credential in a URL as git keeps it: the password of `scheme://user:password@host` or `user:password@host:path`, so that it can be
/// masked wherever else it turns up. An ssh login name, as in `ssh://git@host`, is none.
pub(crate) fn credential_in(url: &str) -> Option<String> {
    let credential = match url.split_once("://") {
        Some((scheme, rest)) => {
            let authority = rest.split(['/', '?', '#']).next()?;
            let (user_info, _) = authority.rsplit_once('@')?;
            match user_info.split_once(':') {
                Some((_, password)) => password,
                None if scheme.starts_with("http") => user_info,
                None => "",
            }
        }
        None => scp_login(url)?.split_once(':')?.1,
    };
    (!credential.is_empty()).then(|| credential.to_owned())
}

/// Escapes control characters, the ones that turn the direction of text, and those that nobody sees, so that a commit
/// subject cannot play with the screen it is shown on. Line ends and tabs stay, and the joiners that scripts and emoji need.
pub(crate) fn escape(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => shown.push(c),
            '\u{ad}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}' => {
                shown.extend(c.escape_unicode());
            }
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

/// The beginning of a text that somebody else chose, on one line: a ref may be 10 MB long.
pub(crate) fn excerpt(text: &str) -> String {
    let mut chars = text.chars();
    let start: String = chars.by_ref().take(MAX_EXCERPT).collect();
    let mut shown = escape_line(&start);
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

/// `escape` for what has to stay on one line.
pub(crate) fn escape_line(text: &str) -> String {
    escape(text).replace('\n', "\\n").replace('\t', "\\t")
}

/// A path or a name that somebody else may have chosen, on one line.
pub(crate) fn line_of(name: impl AsRef<OsStr>) -> String {
    escape_line(&name.as_ref().to_string_lossy())
}

/// Paths on one line: the first ten, and how many more there are.
pub(crate) fn list<P: AsRef<OsStr>>(paths: impl IntoIterator<Item = P>) -> String {
    let mut paths = paths.into_iter();
    let named: Vec<String> = paths.by_ref().take(MAX_NAMED).map(line_of).collect();
    let named = named.join(", ");
    match paths.count() {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// Puts the mask in place of each part that `next` finds in what is left of a text.
fn mask(text: &str, next: impl Fn(&str) -> Option<Range<usize>>) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = next(rest) {
        masked.push_str(&rest[..found.start]);
        masked.push_str(MASK);
        rest = &rest[found.end..];
    }
    masked + rest
}

/// `scheme://anything@` becomes `scheme://***@`, up to the last `@` before a blank: a password may hold an unescaped `@`
/// or `/`, which git then reads as part of host or path and prints, or a quote.
fn mask_user_info(text: &str) -> String {
    mask(text, |rest| {
        rest.match_indices("://").find_map(|(at, scheme)| {
            let start = at + scheme.len();
            let word = rest[start..].split(|c: char| c.is_whitespace() || c.is_control());
            let end = start + word.take(1).find_map(|word| word.rfind('@'))?;
            let is_mere_user = rest[..at].ends_with("ssh") && is_user_name(&rest[start..end]);
            (!is_mere_user).then_some(start..end)
        })
    })
}

/// Whether it is the name of a user, as Unix has them: as whom ssh logs in is no secret.
fn is_user_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

/// `user:password@host:path` becomes `***@host:path`. Git takes no password there, but people write one.
fn mask_scp_logins(text: &str) -> String {
    let is_around = |c: char| c.is_whitespace() || c.is_control() || "'\"()<>".contains(c);
    text.split_inclusive(is_around)
        .map(|word| match scp_login(word.trim_end_matches(is_around)) {
            Some(login) => format!("{MASK}{}", &word[login.len()..]),
            None => word.to_owned(),
        })
        .collect()
}

/// The `user:password` of `user:password@host:path`.
pub(crate) fn scp_login(word: &str) -> Option<&str> {
    let (login, place) = word.rsplit_once('@')?;
    let (user, password) = login.split_once(':')?;
    let (host, _) = place.split_once(':')?;
    let is_name = |name: &str| !name.is_empty() && !name.contains('/');
    (is_name(user) && is_name(host) && !password.is_empty() && !password.starts_with("//"))
        .then_some(login)
}

/// `access_token=…` and its like, and what follows `Authorization:`.
fn mask_named(text: &str) -> String {
    const HEADER: &str = "authorization:";
    let ends_value = |c: char| c.is_whitespace() || "&'\"#;".contains(c);
    let ends_header = |c: char| "\n'\"".contains(c);
    mask(text, |rest| {
        // ASCII only, so that offsets in both stay the same.
        let lower = rest.to_ascii_lowercase();
        let of_name = |name: &str| {
            lower.match_indices(name).find_map(|(at, _)| {
                let start = at + name.len();
                let value = &rest[start..];
                let end = match name {
                    HEADER => value.find(ends_header),
                    _ => value.find(ends_value),
                };
                let end = start + end.unwrap_or(value.len());
                (end > start).then_some(start..end)
            })
        };
        let names = CREDENTIAL_NAMES.iter().chain([&HEADER]);
        let found = names.filter_map(|name| of_name(name));
        found.min_by_key(|found| found.start)
    })
}

/// A token by its form, wherever it stands. Words such as a branch called `ghp_test` stay readable: a token is long.
fn mask_tokens(text: &str) -> String {
    let is_of_token = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    mask(text, |rest| {
        let of_prefix = |prefix: &&str| {
            rest.match_indices(*prefix).find_map(|(at, _)| {
                let start = at + prefix.len();
                let token = &rest[start..];
                let length = token.find(|c| !is_of_token(c)).unwrap_or(token.len());
                (length >= MIN_TOKEN).then_some(start..start + length)
            })
        };
        let found = TOKEN_PREFIXES.iter().filter_map(of_prefix);
        found.min_by_key(|found| found.start)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(redact(text, ["s3cret", "ab"]), expected);
    }

    #[test]
    fn credentials_are_masked_wherever_git_prints_them() {
        check(
            "Submodule 's' (https://me:tok@host/o/n.git) registered",
            "Submodule 's' (https://***@host/o/n.git) registered",
        );
        check(
            "clone of 'http://tok@host/n' into",
            "clone of 'http://***@host/n' into",
        );
        check(
            "'http://u:to/k@en@host/n/': Could not",
            "'http://***@host/n/': Could not",
        );
        check(
            "https://u:p%40ss@h/ and ssh://git@h/",
            "https://***@h/ and ssh://git@h/",
        );
        check("'https://u:p'a\"s<s>@h/' failed", "'https://***@h/' failed");
        check("git@github.com:o/n.git", "git@github.com:o/n.git");
        check("'me:p@ss/w@host:o/n.git'", "'***@host:o/n.git'");
        check("at 12:30 me@host: no", "at 12:30 me@host: no");
        check(
            "https://h/n?access_token=abc&x=1",
            "https://h/n?access_token=***&x=1",
        );
        check("Authorization: Basic dTpw\nnext", "Authorization:***\nnext");
        check("key s3cret ab", "key *** ab");
        check(
            "token ghp_abcdefghijklmnopqrst0123456789ABCDEF!",
            "token ghp_***!",
        );
        check("github_pat_11ABCDEFG0abcdefghijkl_x", "github_pat_***");
        check("branch ghp_test", "branch ghp_test");
        check("ünïcödé https://ü:ä@ö/", "ünïcödé https://***@ö/");
        check("", "");
    }

    #[test]
    fn a_urls_credentials_are_known() {
        #[track_caller]
        fn check(url: &str, expected: Option<&str>) {
            assert_eq!(credential_in(url).as_deref(), expected);
        }
        check("https://me:tok@host/o/n.git", Some("tok"));
        check("https://tok@host/o/n.git", Some("tok"));
        check("ssh://git@host/o/n.git", None);
        check("git@host:o/n.git", None);
        check("me:tok@host:o/n.git", Some("tok"));
        check("https://host/o/n@2.git", None);
        check("https://:@host/", None);
    }

    #[test]
    fn control_characters_are_shown_not_obeyed() {
        assert_eq!(
            escape("a\x1b[31mb\r\u{202e}c\n\td\u{85}é🚀"),
            "a\\u{1b}[31mb\\r\\u{202e}c\n\td\\u{85}é🚀"
        );
        assert_eq!(
            escape("\u{200b}\u{2028}\u{61c}\u{2060}👩\u{200d}🚀"),
            "\\u{200b}\\u{2028}\\u{61c}\\u{2060}👩\u{200d}🚀"
        );
        assert_eq!(
            escape("\u{ad}\u{180e}\u{3164}\u{e0041}❤\u{fe0f}"),
            "\\u{ad}\\u{180e}\\u{3164}\\u{e0041}❤\u{fe0f}"
        );
        assert_eq!(escape_line("a\nb\tc"), "a\\nb\\tc");
        assert_eq!(excerpt("a\nb"), "a\\nb");
        assert_eq!(excerpt(&"ä".repeat(201)), format!("{}…", "ä".repeat(200)));
    }

    #[test]
    fn ten_of_a_list_are_named() {
        let names: Vec<String> = (0..12).map(|number| format!("f\n{number}")).collect();
        let shown = list(&names);
        assert!(shown.starts_with("f\\n0, "), "{shown}");
        assert!(shown.ends_with("f\\n9 and 2 more"), "{shown}");
        assert_eq!(list(&names[..1]), "f\\n0");
    }
}
