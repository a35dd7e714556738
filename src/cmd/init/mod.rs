//! `init`: a secret, a site file and perhaps a key, and what to enter at GitHub. Asks nothing that can be found out,
//! overwrites nothing.

mod key;
mod php;
mod places;

use std::fmt::Write as _;
use std::fs::{DirBuilder, File, Permissions};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::cli::InitArgs;
use super::{Done, Misuse, print};
use crate::cgi::Environment;
use crate::doctor::MAX_LINE;
use crate::git::{Checkout, git_dir_of};
use crate::random::fill_with_random;
use crate::remote_url::RemoteUrl;
use crate::shell::{quoted, word};
use crate::signature::Secrets;
use crate::site::read_small;
use crate::user::{User, name_of};
use key::Key;
use places::{
    SITE, a_checkout, absolute, ensure_not_on_the_web, place_of_secret, place_of_site, site_file_at,
};

/// How many random bytes a secret is made of.
const SECRET_BYTES: usize = 32;

/// What is to be written.
struct Plan {
    site: PathBuf,
    text: String,
    repo: PathBuf,
    secret_file: PathBuf,
    secret: Secret,
    key: Option<Key>,
    /// Who is to read the secret: uid and gid.
    reader: (u32, u32),
}

enum Secret {
    There(String),
    New(String),
}

/// Writes what a site needs, or with `--dry-run` says what that would be. `called` is the site file that was named as that
/// of other verbs is.
pub(crate) fn init(args: &InitArgs, called: Option<&Path>, env: &Environment) -> Result<Done> {
    let named = args.site.as_deref().or(called);
    if args.php && !names_something_new(args, named) {
        print(&php::deploy_php(named)?)?;
        return Ok(Done::Yes);
    }
    let user = User::running(env);
    let mut plan = Plan::make(args, named, &user, env)?;
    let mut text = if args.dry_run {
        plan.in_words()
    } else {
        plan.carry_out(&user)?
    };
    text.push_str(&plan.what_to_enter(args));
    text.push_str(&plan.what_next(&user));
    if args.php {
        drop(std::io::stderr().write_all(text.as_bytes()));
        print(&php::deploy_php(Some(&plan.site))?)?;
    } else {
        print(&text)?;
    }
    Ok(Done::Yes)
}

/// Whether there is more to do than to print deploy.php.
fn names_something_new(args: &InitArgs, named: Option<&Path>) -> bool {
    match named {
        Some(site) => site_file_at(site, SITE).symlink_metadata().is_err(),
        None => args.repo.is_some() || args.secret_file.is_some(),
    }
}

impl Plan {
    fn make(args: &InitArgs, named: Option<&Path>, user: &User, env: &Environment) -> Result<Self> {
        if let Some(url) = &args.url {
            ensure_payload_url(url)?;
        }
        let site = place_of_site(named, args.url.as_deref(), user)?;
        let repo = match &args.repo {
            Some(repo) => absolute(repo)?,
            None => a_checkout(user)?,
        };
        let checkout = Checkout::open(&repo).map_err(|error| Misuse(format!("{error:#}")))?;
        let owner = checkout
            .folder
            .metadata()
            .with_context(|| format!("cannot look at {}", repo.display()))?;
        if owner.uid() != user.uid && user.uid != 0 {
            bail!(
                "{} belongs to {}, and you are {}; run this as its owner:\n    sudo -u {} deploy-cgi init --repo {} {}",
                repo.display(),
                name_of(owner.uid()),
                user.shown(),
                word(&name_of(owner.uid())),
                quoted(&repo),
                quoted(&site)
            );
        }
        let secret_file = place_of_secret(args.secret_file.as_deref(), owner.uid(), user)?;
        ensure_not_on_the_web(&secret_file, "--secret-file", env)?;
        let key = args.ssh_key.as_deref().map(|file| Key::at(file, env));
        let key = key.transpose()?;
        let mut keys = vec![("repo", repo.as_path()), ("secret_file", &secret_file)];
        keys.extend(key.as_ref().map(|key| ("ssh_key", key.file.as_path())));
        Ok(Self {
            text: site_file(&program()?, &keys)?,
            secret: secret_in(&secret_file)?,
            reader: (owner.uid(), owner.gid()),
            key,
            site,
            repo,
            secret_file,
        })
    }

    /// What would be written.
    fn in_words(&self) -> String {
        let mut text = String::new();
        if let Secret::New(_) = self.secret {
            let _ = writeln!(
                text,
                "would write a new secret to {}",
                self.secret_file.display()
            );
        }
        if let Some(Key {
            file, public: None, ..
        }) = &self.key
        {
            let _ = writeln!(text, "would make a new key, {}", file.display());
        }
        let _ = writeln!(text, "would write {}:\n", self.site.display());
        for line in self.text.lines() {
            let _ = writeln!(text, "  {line}");
        }
        text
    }

    /// Writes it. Returns what was written.
    fn carry_out(&mut self, user: &User) -> Result<String> {
        let mut text = String::new();
        if let Secret::New(secret) = &self.secret {
            write_secret(&self.secret_file, secret, self.reader)?;
            let _ = writeln!(text, "wrote {}", self.secret_file.display());
        }
        if let Some(key) = &mut self.key
            && key.public.is_none()
        {
            key.make(self.reader)?;
            let _ = writeln!(text, "wrote {}", key.file.display());
        }
        write_site(self, user)?;
        let _ = writeln!(text, "wrote {}", self.site.display());
        Ok(text)
    }

    fn what_to_enter(&self, args: &InitArgs) -> String {
        let remote = remote_of(&self.repo);
        let repository = remote.as_ref().and_then(RemoteUrl::repository);
        let page = |page: &str, where_it_is: &str| {
            repository.map_or_else(
                || format!("your repository, under Settings, {where_it_is}"),
                |repository| format!("https://github.com/{repository}/settings/{page}/new"),
            )
        };
        let mut text = String::new();
        if let Some(key) = &self.key {
            let _ = write!(
                text,
                "\nEnter at GitHub: {}\n\n  Title               deploy-cgi\n  Key                 {}\n  \
                 Allow write access  no\n",
                page("keys", "Deploy keys, Add deploy key"),
                key.public.as_deref().unwrap_or("(the new one)")
            );
        }
        let url = args.url.clone().unwrap_or_else(|| self.address(args));
        let secret = match &self.secret {
            Secret::New(_) if args.dry_run => "(the new one)",
            Secret::New(secret) | Secret::There(secret) => secret,
        };
        let _ = write!(
            text,
            "\nEnter at GitHub: {}\n\n  Payload URL       {url}\n  Content type      application/json\n  \
             Secret            {secret}\n  SSL verification  Enable SSL verification\n  \
             Which events      Just the push event\n  Active            yes\n",
            page("hooks", "Webhooks, Add webhook")
        );
        if let Secret::There(_) = self.secret {
            let _ = write!(
                text,
                "\nThe secret was there already, in {}: it is shared with every site that names this file. For one of its \
                 own, remove {} and run this again with --secret-file and another place.\n",
                self.secret_file.display(),
                self.site.display()
            );
        }
        text
    }

    fn what_next(&self, user: &User) -> String {
        let as_reader = if self.reader.0 == user.uid {
            String::new()
        } else {
            format!("sudo -u {} ", word(&name_of(self.reader.0)))
        };
        let remote = self.key.as_ref().and_then(|_| remote_of(&self.repo));
        let for_ssh = remote.and_then(|remote| remote.for_ssh());
        let set_url = for_ssh.map(|url| {
            format!(
                "{as_reader}git -C {} remote set-url origin {}",
                quoted(&self.repo),
                word(&url)
            )
        });
        let check = format!("{as_reader}{} check", quoted(&self.site));
        let mut text = "\nThen:\n".to_owned();
        for command in set_url.into_iter().chain([check]) {
            let _ = writeln!(text, "    {command}");
        }
        text.push_str(
            "\nAt GitHub, under Recent Deliveries, look at the answer to the ping: it says what is missing, or that a deploy \
             would work. Then push something.\n",
        );
        text
    }

    /// The address as far as the path tells it.
    fn address(&self, args: &InitArgs) -> String {
        let path = if args.php {
            "/public_html/deploy.php".into()
        } else {
            self.site.to_string_lossy()
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

fn site_file(program: &Path, keys: &[(&str, &Path)]) -> Result<String> {
    let in_utf8 = |path: &Path| match path.to_str() {
        Some(path) => Ok(path.to_owned()),
        None => bail!("a path is not UTF-8, and a site file is; use other names"),
    };
    let mut text = format!("#!{}\n", in_utf8(program)?);
    for (key, path) in keys {
        let _ = writeln!(text, "{key} = {}", toml_string(&in_utf8(path)?));
    }
    Ok(text)
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
        let Ok(secrets) = Secrets::parse(&text) else {
            bail!(
                "{} is there already, and there is no secret in it; remove it, and run init again",
                file.display()
            );
        };
        let first = String::from_utf8_lossy(secrets.first().reveal());
        return Ok(Secret::There(first.into_owned()));
    }
    let mut random = [0; SECRET_BYTES];
    fill_with_random(&mut random)?;
    Ok(Secret::New(hex::encode(random)))
}

fn write_secret(file: &Path, secret: &str, reader: (u32, u32)) -> Result<()> {
    make_folder_for(file, reader)?;
    write_new(file, 0o600, &format!("{secret}\n"))?;
    give(file, reader)
}

/// Makes a file of this mode, whatever the umask of a shell leaves of it: the web server has to read and run the site.
fn write_new(file: &Path, mode: u32, text: &str) -> Result<()> {
    let write = || {
        let mut options = File::options();
        let mut new = options.write(true).create_new(true).mode(mode).open(file)?;
        new.set_permissions(Permissions::from_mode(mode))?;
        new.write_all(text.as_bytes())?;
        new.sync_all()
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

/// Makes the folder that nobody but the reader of a file may enter, where it is not there.
fn make_folder_for(file: &Path, reader: (u32, u32)) -> Result<()> {
    let Some(folder) = file.parent().filter(|folder| !folder.exists()) else {
        return Ok(());
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    give(folder, reader)
}

fn write_site(plan: &Plan, user: &User) -> Result<()> {
    write_new(&plan.site, 0o755, &plan.text)?;
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

/// The remote at GitHub, as the checkout's own configuration names it.
fn remote_of(repo: &Path) -> Option<RemoteUrl> {
    let config = read_small(&git_dir_of(repo).ok()??.join("config")).ok()?;
    let config = String::from_utf8_lossy(&config);
    config
        .lines()
        .filter_map(|line| line.trim().strip_prefix("url"))
        .filter_map(|rest| rest.trim_start().strip_prefix('='))
        .map(|url| RemoteUrl::parse(url.trim()))
        .find(RemoteUrl::is_github)
}

fn ensure_payload_url(url: &str) -> Result<()> {
    if !url.starts_with("https://") && !url.starts_with("http://") {
        bail!(Misuse(
            "--url has to begin with https:// (or http://)".into()
        ));
    }
    if url.contains('?') || url.contains(char::is_whitespace) {
        bail!(Misuse(
            "--url has to be without a `?` and what follows it, and without blanks".into()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_file_is_toml_below_its_first_line() {
        let text = site_file(
            Path::new("/home/me/bin/deploy-cgi"),
            &[
                ("repo", Path::new("/home/me/my \"blog\"")),
                ("secret_file", Path::new("/home/me/s")),
            ],
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
