//! `init`: a secret and a site file, and what to enter at GitHub. Asks nothing that can be found out, overwrites nothing.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{DirBuilder, File};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::{Done, print};
use crate::cgi::Environment;
use crate::doctor::{MAX_LINE, web_root};
use crate::git::{Checkout, git_dir_of};
use crate::random::fill_with_random;
use crate::remote_url::RemoteUrl;
use crate::repository_name::RepositoryName;
use crate::shell::{quoted, word};
use crate::signature::Secrets;
use crate::site::read_small;
use crate::user::{User, name_of};

/// How many random bytes a secret is made of.
const SECRET_BYTES: usize = 32;

/// Where scripts are in a home on shared hosts.
const CGI_BINS: &[&str] = &[
    "public_html/cgi-bin",
    "www/cgi-bin",
    "htdocs/cgi-bin",
    "cgi-bin",
];

/// The secret's place in a home, and on a host whose web server has none.
const SECRET_AT_HOME: &str = ".config/deploy-cgi/secret.txt";
const SECRET_OF_THE_HOST: &str = "/etc/deploy-cgi/secret.txt";

/// What the person has said; the rest is found out.
pub(crate) struct Wishes<'w> {
    pub(crate) repo: Option<&'w Path>,
    pub(crate) secret_file: Option<&'w Path>,
    pub(crate) url: Option<&'w str>,
    pub(crate) site: Option<&'w Path>,
    pub(crate) entrance: Entrance,
}

/// What the web server starts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// The site file.
    Cgi,
    /// deploy.php, which starts the site file.
    Php,
}

/// deploy.php, and the path in it that stands for the site file's.
const DEPLOY_PHP: &str = include_str!("deploy.php");
const SITE_IN_PHP: &str = "'/home/me/deploy.cgi'";

/// Whether anything is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    Dry,
}

/// What is to be written.
struct Plan {
    site: PathBuf,
    text: String,
    repo: PathBuf,
    secret_file: PathBuf,
    secret: Secret,
    /// Who is to read the secret: uid and gid.
    reader: (u32, u32),
}

enum Secret {
    There(String),
    New(String),
}

/// Writes what a site needs, or with `Mode::Dry` says what that would be.
pub(crate) fn init(wishes: &Wishes<'_>, mode: Mode, env: &Environment) -> Result<Done> {
    if wishes.entrance == Entrance::Php && !wishes.name_something_new() {
        print(&deploy_php(wishes.site)?)?;
        return Ok(Done::Yes);
    }
    let user = User::running(env);
    let plan = Plan::make(wishes, &user, env)?;
    let mut text = String::new();
    match mode {
        Mode::Dry => {
            if let Secret::New(_) = plan.secret {
                let _ = writeln!(
                    text,
                    "would write a new secret to {}",
                    plan.secret_file.display()
                );
            }
            let _ = writeln!(text, "would write {}:\n", plan.site.display());
            for line in plan.text.lines() {
                let _ = writeln!(text, "  {line}");
            }
        }
        Mode::Write => {
            if let Secret::New(secret) = &plan.secret {
                write_secret(&plan, secret)?;
                let _ = writeln!(text, "wrote {}", plan.secret_file.display());
            }
            write_site(&plan, &user)?;
            let _ = writeln!(text, "wrote {}", plan.site.display());
        }
    }
    text.push_str(&plan.what_to_enter(wishes, mode));
    text.push_str(&plan.what_next(&user));
    match wishes.entrance {
        Entrance::Cgi => print(&text)?,
        Entrance::Php => {
            drop(std::io::stderr().write_all(text.as_bytes()));
            print(&deploy_php(Some(&plan.site))?)?;
        }
    }
    Ok(Done::Yes)
}

impl Wishes<'_> {
    /// Whether there is more to do than to print deploy.php.
    fn name_something_new(&self) -> bool {
        match self.site {
            Some(site) => site_file_at(site).symlink_metadata().is_err(),
            None => self.repo.is_some() || self.secret_file.is_some(),
        }
    }
}

/// deploy.php for a site file; without one as the packages have it.
fn deploy_php(site: Option<&Path>) -> Result<String> {
    let Some(site) = site else {
        return Ok(DEPLOY_PHP.to_owned());
    };
    let site = absolute(&site_file_at(site))?;
    let Some(path) = site.to_str() else {
        bail!("the path of the site file is not UTF-8; use another name");
    };
    let path = path.replace('\\', "\\\\").replace('\'', "\\'");
    Ok(DEPLOY_PHP.replacen(SITE_IN_PHP, &format!("'{path}'"), 1))
}

/// The site file that somebody named, perhaps by its folder.
fn site_file_at(named: &Path) -> PathBuf {
    if named.is_dir() {
        named.join("deploy.cgi")
    } else {
        named.to_owned()
    }
}

impl Plan {
    fn make(wishes: &Wishes<'_>, user: &User, env: &Environment) -> Result<Self> {
        let site = match wishes.site {
            Some(site) => site_file_at(site),
            None => a_cgi_bin(user)?.join("deploy.cgi"),
        };
        let site = absolute(&site)?;
        if site.symlink_metadata().is_ok() {
            bail!(
                "{} is there already, and nothing is overwritten; look at it with\n  {} check",
                site.display(),
                quoted(&site)
            );
        }
        let folder = site.parent().unwrap_or(&site);
        if !folder.is_dir() {
            bail!(
                "there is no folder {}; name one that the web server runs scripts in",
                folder.display()
            );
        }
        let repo = match wishes.repo {
            Some(repo) => absolute(repo)?,
            None => a_checkout(user)?,
        };
        let checkout = Checkout::open(&repo)?;
        let owner = checkout
            .folder
            .metadata()
            .with_context(|| format!("cannot look at {}", repo.display()))?;
        if owner.uid() != user.uid && user.uid != 0 {
            bail!(
                "{} belongs to {}, and you are {}; run this as its owner:\n  sudo -u {} deploy-cgi init --repo {} {}",
                repo.display(),
                name_of(owner.uid()),
                user.shown(),
                word(&name_of(owner.uid())),
                quoted(&repo),
                quoted(&site)
            );
        }
        let secret_file = match (wishes.secret_file, &user.home) {
            (Some(file), _) => absolute(file)?,
            (None, Some(home)) if owner.uid() == user.uid && user.logs_in => {
                home.join(SECRET_AT_HOME)
            }
            (None, _) if user.uid == 0 => SECRET_OF_THE_HOST.into(),
            (None, Some(home)) => home.join(SECRET_AT_HOME),
            (None, None) => bail!(
                "{} has no home folder; name a place for the secret with --secret-file",
                user.shown()
            ),
        };
        if let Some(root) = web_root(&secret_file, env) {
            bail!(
                "{} lies in {}, which the web server shows to anybody; name a place outside with --secret-file",
                secret_file.display(),
                root.display()
            );
        }
        if let Some(url) = wishes.url {
            ensure_payload_url(url)?;
        }
        Ok(Self {
            text: site_file(&program()?, &repo, &secret_file)?,
            secret: secret_in(&secret_file)?,
            reader: (owner.uid(), owner.gid()),
            site,
            repo,
            secret_file,
        })
    }

    fn what_to_enter(&self, wishes: &Wishes<'_>, mode: Mode) -> String {
        let repository = repository_of(&self.repo);
        let page = repository.map_or_else(
            || "your repository, under Settings, Webhooks, Add webhook".to_owned(),
            |repository| format!("https://github.com/{repository}/settings/hooks/new"),
        );
        let url = wishes.url.map(str::to_owned);
        let url = url.unwrap_or_else(|| self.address(wishes.entrance));
        let secret = match (&self.secret, mode) {
            (Secret::There(secret), _) | (Secret::New(secret), Mode::Write) => secret.as_str(),
            (Secret::New(_), Mode::Dry) => "(the new one)",
        };
        format!(
            "\nEnter at GitHub: {page}\n\n  Payload URL       {url}\n  Content type      application/json\n  \
             Secret            {secret}\n  SSL verification  Enable SSL verification\n  \
             Which events      Just the push event\n  Active            yes\n"
        )
    }

    fn what_next(&self, user: &User) -> String {
        let as_reader = if self.reader.0 == user.uid {
            String::new()
        } else {
            format!("sudo -u {} ", word(&name_of(self.reader.0)))
        };
        format!(
            "\nThen:\n\n  1. {as_reader}{} check\n  2. At GitHub, under Recent Deliveries, look at the answer to the ping: \
             it says what is missing, or that a deploy would work\n  3. Push something\n",
            quoted(&self.site)
        )
    }

    /// The address as far as the path tells it.
    fn address(&self, entrance: Entrance) -> String {
        let path = match entrance {
            Entrance::Cgi => self.site.to_string_lossy(),
            Entrance::Php => "/public_html/deploy.php".into(),
        };
        let below = ["/public_html/", "/htdocs/", "/httpdocs/", "/var/www/html/"]
            .iter()
            .find_map(|root| path.split_once(root).map(|(_, below)| below.to_owned()))
            .unwrap_or_else(|| {
                let name = self.site.file_name().unwrap_or_default().to_string_lossy();
                format!("cgi-bin/{name}")
            });
        format!("https://YOUR-DOMAIN/{below}  (your own domain, exactly as the browser shows it)")
    }
}

/// Our own path, as a `#!` line can hold it.
fn program() -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot find our own executable")?;
    let bytes = program.as_os_str().as_bytes();
    let move_it = "move the program, for example to ~/bin/deploy-cgi, and run init from there";
    if bytes.iter().any(u8::is_ascii_whitespace) {
        bail!(
            "{} has a blank in its path, and the #! line of a script cannot hold that; {move_it}",
            program.display()
        );
    }
    if bytes.len() + 2 > MAX_LINE {
        bail!(
            "the path {} is longer than the #! line of a script can be ({MAX_LINE} bytes); {move_it}",
            program.display()
        );
    }
    if bytes.ends_with(b" (deleted)") {
        bail!("the program was removed or replaced while it runs; run init again");
    }
    Ok(program)
}

fn site_file(program: &Path, repo: &Path, secret_file: &Path) -> Result<String> {
    let (Some(program), Some(repo), Some(secret_file)) =
        (program.to_str(), repo.to_str(), secret_file.to_str())
    else {
        bail!("a path is not UTF-8, and a site file is; use other names");
    };
    Ok(format!(
        "#!{program}\nrepo = {}\nsecret_file = {}\n",
        toml_string(repo),
        toml_string(secret_file)
    ))
}

/// A basic string (TOML v1.0, "String").
pub(super) fn toml_string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// The secret that is there, which is kept, or a new one.
fn secret_in(file: &Path) -> Result<Secret> {
    if file.symlink_metadata().is_ok() {
        let text = read_small(file).with_context(|| format!("cannot read {}", file.display()))?;
        let secrets = Secrets::parse(&text);
        let first = secrets
            .as_ref()
            .ok()
            .and_then(|secrets| secrets.iter().next());
        let Some(first) = first else {
            bail!(
                "{} is there already, and there is no secret in it; remove it, and run init again",
                file.display()
            );
        };
        return Ok(Secret::There(
            String::from_utf8_lossy(first.reveal()).into_owned(),
        ));
    }
    let mut random = [0; SECRET_BYTES];
    fill_with_random(&mut random)?;
    Ok(Secret::New(hex::encode(random)))
}

fn write_secret(plan: &Plan, secret: &str) -> Result<()> {
    let file = &plan.secret_file;
    let what = || format!("cannot write {}", file.display());
    if let Some(folder) = file.parent().filter(|folder| !folder.exists()) {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(what)?;
        give(folder, plan.reader)?;
    }
    let mut new = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .with_context(what)?;
    new.write_all(format!("{secret}\n").as_bytes())
        .and_then(|()| new.sync_all())
        .with_context(what)?;
    give(file, plan.reader)
}

fn write_site(plan: &Plan, user: &User) -> Result<()> {
    let what = || format!("cannot write {}", plan.site.display());
    let mut new = File::options()
        .write(true)
        .create_new(true)
        .mode(0o755)
        .open(&plan.site)
        .with_context(what)?;
    new.write_all(plan.text.as_bytes()).with_context(what)?;
    // Not what the umask of a shell leaves of it: the web server has to read and run it.
    new.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .with_context(what)?;
    // suexec wants script and folder to have one owner.
    let folder = plan.site.parent().and_then(|folder| folder.metadata().ok());
    match folder {
        Some(folder) if user.uid == 0 => give(&plan.site, (folder.uid(), folder.gid())),
        Some(_) | None => Ok(()),
    }
}

/// Root writes for others.
fn give(path: &Path, (uid, gid): (u32, u32)) -> Result<()> {
    if rustix::process::geteuid().as_raw() == uid {
        return Ok(());
    }
    std::os::unix::fs::chown(path, Some(uid), Some(gid))
        .with_context(|| format!("cannot give {} to {}", path.display(), name_of(uid)))
}

/// The folder for scripts: the one we are in, or the one in the home.
fn a_cgi_bin(user: &User) -> Result<PathBuf> {
    let here = std::env::current_dir().context("cannot find the folder we are in")?;
    if here.file_name().is_some_and(|name| name == "cgi-bin") {
        return Ok(here);
    }
    let at_home = user.home.iter().flat_map(|home| {
        CGI_BINS
            .iter()
            .map(move |folder| home.join(folder))
            .filter(|folder| folder.is_dir())
    });
    match at_home.collect::<Vec<_>>().as_slice() {
        [only] => Ok(only.clone()),
        [] => bail!(
            "which file? There is no cgi-bin in your home; name the site file, as in\n  deploy-cgi init /usr/lib/cgi-bin/deploy.cgi"
        ),
        several => bail!(
            "which file? There are several folders for scripts; name one of\n  {}",
            lines(several.iter().map(|folder| folder.join("deploy.cgi")))
        ),
    }
}

/// The checkout we are in, or the only one in the home.
fn a_checkout(user: &User) -> Result<PathBuf> {
    let here = std::env::current_dir().context("cannot find the folder we are in")?;
    let is_checkout = |folder: &Path| git_dir_of(folder).is_ok_and(|found| found.is_some());
    if let Some(around) = here.ancestors().find(|folder| is_checkout(folder)) {
        return Ok(around.to_owned());
    }
    let mut found = BTreeSet::new();
    if let Some(home) = &user.home {
        let entries = std::fs::read_dir(home).into_iter().flatten().flatten();
        found.extend(
            entries
                .filter(|entry| !entry.file_name().as_bytes().starts_with(b"."))
                .map(|entry| entry.path())
                .filter(|folder| is_checkout(folder)),
        );
    }
    let Some(first) = found.pop_first() else {
        bail!(
            "which checkout? There is none here nor in your home; clone the repository, and name it with --repo"
        );
    };
    if !found.is_empty() {
        bail!(
            "which checkout? Name it with --repo; there are\n  {}",
            lines(std::iter::once(first).chain(found))
        );
    }
    Ok(first)
}

fn lines(paths: impl Iterator<Item = PathBuf>) -> String {
    paths
        .map(|path| path.display().to_string())
        .collect::<Vec<_>>()
        .join("\n  ")
}

/// `owner/name` at GitHub, as the checkout's own configuration says it.
fn repository_of(repo: &Path) -> Option<RepositoryName> {
    let config = read_small(&git_dir_of(repo).ok()??.join("config")).ok()?;
    let config = String::from_utf8_lossy(&config);
    config
        .lines()
        .filter_map(|line| line.trim().strip_prefix("url"))
        .filter_map(|rest| rest.trim_start().strip_prefix('='))
        .map(|url| RemoteUrl::parse(url.trim()))
        .find(RemoteUrl::is_github)
        .and_then(|url| url.repository().cloned())
}

fn ensure_payload_url(url: &str) -> Result<()> {
    if !url.starts_with("https://") && !url.starts_with("http://") {
        bail!("--url has to begin with https:// (or http://)");
    }
    if url.contains('?') || url.contains(char::is_whitespace) {
        bail!("--url has to be without a `?` and what follows it, and without blanks");
    }
    Ok(())
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("cannot find {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_file_is_toml_below_its_first_line() {
        let text = site_file(
            Path::new("/home/me/bin/deploy-cgi"),
            Path::new("/home/me/my \"blog\""),
            Path::new("/home/me/s"),
        );
        assert_eq!(
            text.unwrap(),
            "#!/home/me/bin/deploy-cgi\nrepo = \"/home/me/my \\\"blog\\\"\"\nsecret_file = \"/home/me/s\"\n"
        );
    }

    #[test]
    fn an_address_is_taken_as_github_needs_it() {
        #[track_caller]
        fn check(url: &str, expected: bool) {
            assert_eq!(ensure_payload_url(url).is_ok(), expected, "{url}");
        }
        check("https://example.org/cgi-bin/deploy.cgi", true);
        check("http://example.org/x", true);
        check("example.org/x", false);
        check("https://example.org/x?y", false);
        check("https://example.org/x y", false);
    }
}
