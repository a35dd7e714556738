//! deploy.php: what the web server starts in place of the site file, on a host that has PHP and no CGI.

use std::path::Path;

use anyhow::{Result, bail};

use super::places::{SITE, absolute, site_file_at};

/// As the packages have it, and the path in it that stands for the site file's.
const DEPLOY_PHP: &str = include_str!("../deploy.php");
const SITE_IN_PHP: &str = "'/home/me/deploy.cgi'";

/// deploy.php for a site file; without one as the packages have it.
pub(super) fn deploy_php(site: Option<&Path>) -> Result<String> {
    let Some(site) = site else {
        return Ok(DEPLOY_PHP.to_owned());
    };
    let site = absolute(&site_file_at(site, SITE))?;
    let Some(path) = site.to_str() else {
        bail!("the path of the site file is not UTF-8; use another name");
    };
    let path = path.replace('\\', "\\\\").replace('\'', "\\'");
    Ok(DEPLOY_PHP.replacen(SITE_IN_PHP, &format!("'{path}'"), 1))
}
