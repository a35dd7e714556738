//! The address at which GitHub calls, as a ping says it, which GitHub signed: from a request itself it cannot be known,
//! since whoever calls chooses the host's name.

use anyhow::Result;

use crate::state::StateFolder;
use crate::web_address::WebAddress;

const FILE: &str = "hook";

/// Remembers it.
pub(crate) fn note(state: &StateFolder, address: &WebAddress) -> Result<()> {
    if read(state)?.as_ref() == Some(address) {
        return Ok(());
    }
    state.write_unsynced(FILE, address.to_string().as_bytes())
}

/// The last one that was told, if any was.
pub(crate) fn read(state: &StateFolder) -> Result<Option<WebAddress>> {
    let text = state.read(FILE)?;
    Ok(text.and_then(|text| WebAddress::parse(std::str::from_utf8(&text).ok()?)))
}
