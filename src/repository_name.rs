//! What GitHub calls the full name of a repository: `owner/name`.

use std::fmt::{Display, Formatter};

use serde::{Deserialize, Serialize};

/// `owner/name`. Equal without regard to case, as at GitHub.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct RepositoryName(String);

impl RepositoryName {
    /// Reads a full name; `None` where it has not just the two parts.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (owner, name) = text.split_once('/')?;
        let is_part = |part: &str| {
            !part.is_empty()
                && !part.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control())
        };
        (is_part(owner) && is_part(name)).then(|| Self(text.to_owned()))
    }

    /// The part before the name.
    pub(crate) fn owner(&self) -> &str {
        self.0.split_once('/').map_or("", |(owner, _)| owner)
    }

    /// The part behind the owner.
    pub(crate) fn name(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(_, name)| name)
    }
}

impl TryFrom<String> for RepositoryName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not `owner/name`")
    }
}

impl From<RepositoryName> for String {
    fn from(name: RepositoryName) -> Self {
        name.0
    }
}

impl Display for RepositoryName {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq for RepositoryName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for RepositoryName {}

/// What others call a repository may be anything.
impl PartialEq<str> for RepositoryName {
    fn eq(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_name_has_an_owner_and_a_name() {
        #[track_caller]
        fn check(text: &str, expected: bool) {
            assert_eq!(RepositoryName::parse(text).is_some(), expected, "{text}");
        }
        check("o/n.x", true);
        check("o/.github", true);
        check("~me/n", true);
        check("owner", false);
        check("o/", false);
        check("/n", false);
        check("o/n/x", false);
        check("o/n\nx", false);
        check("https://github.com/o/n", false);
    }

    #[test]
    fn case_makes_no_other_repository() {
        let name = |text| RepositoryName::parse(text).unwrap();
        assert_eq!(name("Me/Blog"), name("me/blog"));
        assert_ne!(name("me/blog"), name("me/blogs"));
        assert!(name("me/blog") == *"ME/blog" && name("me/blog") != *"me");
        assert_eq!(name("Me/Blog").to_string(), "Me/Blog");
    }
}
