//! Where things are, or are to be: what the person named, else what there is one of.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::Misuse;
use crate::cgi::Environment;
use crate::doctor::web_root;
use crate::git::git_dir_of;
use crate::shell::quoted;
use crate::user::User;

/// Where scripts are in a home on shared hosts.
const CGI_BINS: &[&str] = &[
    "public_html/cgi-bin",
    "www/cgi-bin",
    "htdocs/cgi-bin",
    "cgi-bin",
];

/// The name of a site file, where no address names another.
pub(super) const SITE: &str = "deploy.cgi";

/// The secret's place in a home, and on a host whose web server has none.
const SECRET_AT_HOME: &str = ".config/deploy-cgi/secret.txt";
const SECRET_OF_THE_HOST: &str = "/etc/deploy-cgi/secret.txt";

/// The site file: the one that is named, or one in the folder that is named or found.
pub(super) fn place_of_site(
    named: Option<&Path>,
    url: Option<&str>,
    user: &User,
) -> Result<PathBuf> {
    let name = url.and_then(name_in).unwrap_or(SITE);
    let site = match named {
        Some(site) => site_file_at(site, name),
        None => a_cgi_bin(user)?.join(name),
    };
    let site = absolute(&site)?;
    if site.symlink_metadata().is_ok() {
        bail!(
            "{} is there already, and nothing is overwritten; look at it with\n    {} check\nA second site has a file of \
             its own: name it, or say its address with --url https://…/NAME.cgi",
            site.display(),
            quoted(&site)
        );
    }
    let folder = site.parent().unwrap_or(&site);
    if !folder.is_dir() {
        bail!(Misuse(format!(
            "there is no folder {}; name one that the web server runs scripts in",
            folder.display()
        )));
    }
    Ok(site)
}

/// The site file that somebody named, perhaps by its folder.
pub(super) fn site_file_at(named: &Path, name: &str) -> PathBuf {
    if named.is_dir() {
        named.join(name)
    } else {
        named.to_owned()
    }
}

/// The name of the site file in its address.
fn name_in(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let (_, name) = rest.rsplit_once('/')?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_script = Path::new(name).extension().is_some_and(|end| end == "cgi");
    (is_script && name.chars().all(is_plain)).then_some(name)
}

pub(super) fn place_of_secret(named: Option<&Path>, reader: u32, user: &User) -> Result<PathBuf> {
    match (named, &user.home) {
        (Some(file), _) => absolute(file),
        (None, Some(home)) if reader == user.uid && user.logs_in => Ok(home.join(SECRET_AT_HOME)),
        (None, _) if user.uid == 0 => Ok(SECRET_OF_THE_HOST.into()),
        (None, Some(home)) => Ok(home.join(SECRET_AT_HOME)),
        (None, None) => bail!(Misuse(format!(
            "{} has no home folder; name a place for the secret with --secret-file",
            user.shown()
        ))),
    }
}

pub(super) fn ensure_not_on_the_web(file: &Path, option: &str, env: &Environment) -> Result<()> {
    match web_root(file, env) {
        None => Ok(()),
        Some(root) => bail!(Misuse(format!(
            "{} lies in {}, which the web server shows to anybody; name a place outside with {option}",
            file.display(),
            root.display()
        ))),
    }
}

/// The folder for scripts: the one we are in, or the one in the home.
fn a_cgi_bin(user: &User) -> Result<PathBuf> {
    let here = std::env::current_dir().context("cannot find the folder we are in")?;
    if here.file_name().is_some_and(|name| name == "cgi-bin") {
        return Ok(here);
    }
    let at_home = CGI_BINS.iter();
    let at_home = at_home.filter_map(|folder| Some(user.home.as_ref()?.join(folder)));
    let at_home: Vec<PathBuf> = at_home.filter(|folder| folder.is_dir()).collect();
    let named = match at_home.as_slice() {
        [only] => return Ok(only.clone()),
        [] => "There is no cgi-bin in your home; name the site file, as in\n    deploy-cgi init /usr/lib/cgi-bin/deploy.cgi"
            .to_owned(),
        several => format!(
            "There are several folders for scripts; name one of\n    {}",
            lines(several.iter().map(|folder| folder.join(SITE)))
        ),
    };
    bail!(Misuse(format!("which file? {named}")))
}

/// The checkout we are in, or the only one in the home.
pub(super) fn a_checkout(user: &User) -> Result<PathBuf> {
    let here = std::env::current_dir().context("cannot find the folder we are in")?;
    let is_checkout = |folder: &Path| git_dir_of(folder).is_ok_and(|found| found.is_some());
    if let Some(around) = here.ancestors().find(|folder| is_checkout(folder)) {
        return Ok(around.to_owned());
    }
    let entries = user.home.iter().flat_map(std::fs::read_dir);
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .flatten()
        .filter(|entry| !entry.file_name().as_bytes().starts_with(b"."))
        .map(|entry| entry.path())
        .filter(|folder| is_checkout(folder))
        .collect();
    found.sort();
    let named = match found.as_slice() {
        [only] => return Ok(only.clone()),
        [] => "There is none here nor in your home; clone the repository, and name it with --repo"
            .to_owned(),
        several => format!(
            "Name it with --repo; there are\n    {}",
            lines(several.iter().cloned())
        ),
    };
    bail!(Misuse(format!("which checkout? {named}")))
}

fn lines(paths: impl Iterator<Item = PathBuf>) -> String {
    paths
        .map(|path| path.display().to_string())
        .collect::<Vec<_>>()
        .join("\n    ")
}

pub(super) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("cannot find {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_the_site_file() {
        #[track_caller]
        fn check(url: &str, expected: Option<&str>) {
            assert_eq!(name_in(url), expected, "{url}");
        }
        check("https://example.org/cgi-bin/blog.cgi", Some("blog.cgi"));
        check("https://example.org/deploy", None);
        check("https://example.cgi", None);
        check("https://example.org/.cgi", None);
        check("https://example.org/a%20b.cgi", None);
    }
}
