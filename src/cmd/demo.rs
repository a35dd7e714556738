//! `demo`: one whole delivery in a temporary folder.

use anyhow::Result;

use super::Done;
use crate::cgi::Environment;

pub(crate) fn demo(_env: &Environment) -> Result<Done> {
    Ok(Done::No)
}
