//! What is shown, for machines: one object, with whole ids and times in RFC 3339.

use anyhow::Result;

use super::overview::Overview;

pub(super) fn page(overview: &Overview) -> Result<String> {
    Ok(serde_json::to_string(overview)?)
}
