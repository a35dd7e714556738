//! `status --link`: how to open the status page.

use anyhow::Result;

use super::status::state_of;
use super::{Done, print};
use crate::hook_address;
use crate::page::{BADGE, KEY};
use crate::site::{Site, StatusPage};

/// What is told of a site without a page.
const OFF: &str =
    "the status page is off. To turn it on, write one of these lines into the site file:

    status_page = \"secret-link\"    # for whoever has the key that is then shown here
    status_page = true             # for everybody
";

/// Prints the page's address, or what has to stand behind that of the webhook where GitHub has not told it yet.
pub(crate) fn link(site: &Site) -> Result<Done> {
    let (who, query) = match site.status_page {
        StatusPage::Off => {
            print(OFF)?;
            return Ok(Done::No);
        }
        StatusPage::Open => ("Everybody", String::new()),
        StatusPage::SecretLink => (
            "Whoever has this address",
            format!("?{KEY}={}", site.secrets()?.first().page_key()),
        ),
    };
    let address = match state_of(site)? {
        Some(state) => hook_address::read(&state)?,
        None => None,
    };
    let told = match address {
        Some(address) => {
            let page = address.without_query();
            format!(
                "{who} can open the status page:\n\n    {page}{query}\n\nA badge for a README:\n\n    \
                 [![deploy]({page}{BADGE}{query})]({page}{query})\n"
            )
        }
        None => format!(
            "{who} can open the status page. Its address is that of the webhook (the Payload URL):\n\n    \
             https://…{query}\n\nGitHub tells it in the ping: press Redeliver on that, and it is printed here.\n"
        ),
    };
    print(&told)?;
    Ok(Done::Yes)
}
