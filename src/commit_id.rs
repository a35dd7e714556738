//! The id of a commit: 40 or 64 hex digits in lower case, as git prints it. One that exists is right.

use std::ffi::OsStr;
use std::fmt::{Display, Formatter};

use serde::{Deserialize, Serialize};

/// How many digits are shown to a person.
const SHORT: usize = 7;

/// The id of a commit, in a repository of either format (SHA-1 or SHA-256).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct CommitId(String);

impl CommitId {
    /// Reads a whole id; `None` for anything else, such as an abbreviation.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (matches!(text.len(), 40 | 64) && text.bytes().all(is_digit)).then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The first digits, for a person.
    pub(crate) fn short(&self) -> &str {
        &self.0[..SHORT]
    }

    /// Whether it stands for no commit, as in the payload of a branch that was created or deleted.
    pub(crate) fn is_zero(&self) -> bool {
        self.0.bytes().all(|byte| byte == b'0')
    }

    /// The id of the same format that stands for no commit.
    pub(crate) fn zero(&self) -> Self {
        Self("0".repeat(self.0.len()))
    }
}

/// The short id of a commit, where there is one.
pub(crate) fn short(commit: Option<&CommitId>) -> &str {
    commit.map_or("-", CommitId::short)
}

/// From which commit to which; or the one that is there.
pub(crate) fn short_range(old: Option<&CommitId>, new: Option<&CommitId>) -> String {
    if old == new {
        short(new).to_owned()
    } else {
        format!("{}..{}", short(old), short(new))
    }
}

impl Display for CommitId {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<OsStr> for CommitId {
    fn as_ref(&self) -> &OsStr {
        self.0.as_ref()
    }
}

impl TryFrom<String> for CommitId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not the id of a commit")
    }
}

impl From<CommitId> for String {
    fn from(id: CommitId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_id_in_lower_case_is_one() {
        #[track_caller]
        fn check(text: &str, expected: bool) {
            assert_eq!(CommitId::parse(text).is_some(), expected, "{text}");
        }
        check(&"0123456789".repeat(4), true);
        check(&"0123456789abcdef".repeat(4), true);
        check(&"ABCDEF6789".repeat(4), false);
        check(&"a".repeat(39), false);
        check(&"a".repeat(41), false);
        check(&"ä".repeat(20), false);
        check("--upload-pack=x", false);
        check("", false);
    }

    #[test]
    fn an_id_is_shown_and_stored() {
        let id = CommitId::parse(&"1481a2de7b".repeat(4)).unwrap();
        assert_eq!((id.short(), id.is_zero()), ("1481a2d", false));
        assert!(id.zero().is_zero());
        let stored = serde_json::to_string(&id).unwrap();
        assert_eq!(stored, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<CommitId>(&stored).unwrap(), id);
        assert!(serde_json::from_str::<CommitId>("\"HEAD\"").is_err());
    }
}
