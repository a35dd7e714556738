//! Addresses that the page links to, built of parts.

use percent_encoding::percent_encode;

use super::{BADGE, JSON, KEY};
use crate::cgi::Request;
use crate::commit_id::CommitId;
use crate::redaction::excerpt;
use crate::repository_name::RepositoryName;
use crate::web_address::NOT_IN_A_PART;

/// The other forms of the page, and the page as it stays. They are named from the folder of the script, so that no word of
/// the request chooses a host.
pub(super) struct Links {
    pub(super) json: Option<String>,
    pub(super) badge: Option<String>,
    /// The page that is not loaded again by itself, where this is not it.
    pub(super) still: Option<String>,
}

/// The parameter of the page that is not loaded again, with its value.
const STILL: &str = "reload=no";

impl Links {
    /// The links for who asked so, with the key they have.
    pub(super) fn of(request: &Request<'_>, key: Option<&str>) -> Self {
        let to = |form: &str, parameter: Option<&str>| {
            let script = percent_encode(request.last_part_of_script()?, NOT_IN_A_PART);
            let key = key.map(|key| format!("{KEY}={key}"));
            let query: Vec<&str> = key.as_deref().into_iter().chain(parameter).collect();
            let mark = if query.is_empty() { "" } else { "?" };
            Some(format!("./{script}{form}{mark}{}", query.join("&")))
        };
        let is_still = request.query.split(|&byte| byte == b'&');
        let is_still = is_still.into_iter().any(|pair| pair == STILL.as_bytes());
        Self {
            json: to(JSON, None),
            badge: to(BADGE, None),
            still: to("", Some(STILL)).filter(|_| !is_still),
        }
    }
}

/// The pages of a repository at GitHub.
pub(super) struct GitHub {
    pub(super) name: String,
    pub(super) address: String,
}

impl GitHub {
    pub(super) fn of(repository: &RepositoryName) -> Self {
        let part = |text: &str| percent_encode(text.as_bytes(), NOT_IN_A_PART).to_string();
        let (owner, name) = (part(repository.owner()), part(repository.name()));
        Self {
            address: format!("https://github.com/{owner}/{name}"),
            name: excerpt(&repository.to_string()),
        }
    }

    pub(super) fn commit(&self, commit: &CommitId) -> String {
        format!("{}/commit/{commit}", self.address)
    }

    pub(super) fn between(&self, old: &CommitId, new: &CommitId) -> String {
        format!("{}/compare/{old}...{new}", self.address)
    }
}
