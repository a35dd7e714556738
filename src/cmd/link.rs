//! `status --link`: how to open the status page.

use anyhow::Result;

use super::{Done, print};
use crate::site::{Site, StatusPage};

/// Prints what belongs to the address of the site file on the web, which only the web server knows.
pub(crate) fn link(site: &Site) -> Result<Done> {
    let opened = match site.status_page {
        StatusPage::Off => {
            print(
                "the status page is off. To turn it on, write one of these lines into the site file:\n\n    \
                 status_page = \"secret-link\"    # for whoever has the key that is then shown here\n    \
                 status_page = true             # for everybody\n",
            )?;
            return Ok(Done::No);
        }
        StatusPage::Open => "Everybody",
        StatusPage::SecretLink => "Whoever has its key",
    };
    let query = match site.status_page {
        StatusPage::SecretLink => format!("?key={}", site.secrets()?.first().page_key()),
        StatusPage::Off | StatusPage::Open => String::new(),
    };
    print(&format!(
        "{opened} can open the status page. Its address is that of the webhook (its Payload URL), with this behind it:\n\n    \
         {query}\n"
    ))?;
    Ok(Done::Yes)
}
