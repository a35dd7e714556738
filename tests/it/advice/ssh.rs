//! Keys and host keys of ssh.

use std::fs;
use std::path::Path;

use super::{Told, mode, set_url};
use crate::person::{Person, Sshd, as_root};
use crate::world::{World, plain_folder, quoted, text};

/// A person who deploys a world by ssh from this host, with a key that the server takes.
struct OverSsh {
    world: World,
    person: Person,
    sshd: Sshd,
    commit: String,
}

impl OverSsh {
    fn new() -> OverSsh {
        let person = Person::new();
        let mut world = World::new();
        let commit = world.push("two");
        let sshd = Sshd::start(&person);
        set_url(&world, &sshd.url(&person, &world, "me/site.git"));
        person.takes(&mut world);
        OverSsh {
            world,
            person,
            sshd,
            commit,
        }
    }

    fn knows_the_host(&self) {
        self.person.does(&format!(
            "mkdir -p -m 700 .ssh; echo '{}' >>.ssh/known_hosts",
            self.sshd.host_key()
        ));
    }

    fn authorizes(&self, public: &str) {
        self.person
            .does(&format!("echo '{}' >>.ssh/authorized_keys", public.trim()));
    }

    fn plain(&self, words: &str) -> String {
        let words = words
            .replace(&text(&self.person.home), "<home>")
            .replace(&self.person.name, "<person>")
            .replace(&self.sshd.port.to_string(), "<port>");
        self.world.plain(&words)
    }

    /// The deploy fails and says this.
    #[track_caller]
    fn tells(&self, expected: &str) -> Told {
        let run = self.person.verb(&self.world, &["run"]);
        run.expect_exit(1);
        let told = Told::parse(&run.stdout);
        let got = self.plain(&told.text());
        assert_eq!(got.trim(), expected.trim(), "{got}");
        self.person.verb(&self.world, &["check"]).expect_exit(1);
        told
    }

    /// The deploy fails and says this, and the doctor says the same.
    #[track_caller]
    fn fails(&self, expected: &str) -> Told {
        let told = self.tells(expected);
        self.person.verb(&self.world, &["check"]).says(&told.cause);
        told
    }

    /// The deploy and the doctor say this; the commands are typed as they stand; then it is deployed.
    #[track_caller]
    fn is_mended(&mut self, expected: &str) {
        let told = self.fails(expected);
        self.obeys(&told, &[]);
        self.is_deployed();
    }

    /// Types the commands, and returns what the last one prints.
    #[track_caller]
    fn obeys(&self, told: &Told, variables: &[(&str, &str)]) -> String {
        told.typed(|command| self.person.shell(command, variables))
    }

    #[track_caller]
    fn is_deployed(&mut self) {
        let run = self.person.verb(&self.world, &["run"]);
        run.expect_exit(0);
        assert!(self.sshd.is_running());
        let check = self.person.verb(&self.world, &["check"]);
        check.expect_exit(0);
        assert_eq!(self.world.head(), self.commit);
    }
}

#[test]
#[ignore = "needs sshd and root: ./tests/run"]
fn a_host_key_that_is_not_known() {
    let mut over = OverSsh::new();
    let key = over.person.makes_key("-N ''");
    over.authorizes(&fs::read_to_string(key.with_extension("pub")).unwrap());
    over.is_mended(r"
ssh does not know the host key of ssh://<person>@127.0.0.1:<port><world>/upstream/me/site.git: it is not in <home>/.ssh/known_hosts of <person>
-> get the key, compare its fingerprint with the one that the host publishes, and only then accept it with the last line; then press Redeliver:
$ mkdir -p -m 700 <home>/.ssh
$ ssh-keyscan -p <port> 127.0.0.1 ><home>/.ssh/known_hosts.new
$ ssh-keygen -l -f <home>/.ssh/known_hosts.new
$ cat <home>/.ssh/known_hosts.new >><home>/.ssh/known_hosts
");
}

#[test]
#[ignore = "needs sshd and root: ./tests/run"]
fn a_host_key_that_has_changed() {
    let mut over = OverSsh::new();
    let key = over.person.makes_key("-N ''");
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    over.authorizes(&public);
    let port = over.sshd.port;
    over.person.does(&format!(
        "echo '[127.0.0.1]:{port} {}' >>.ssh/known_hosts",
        public.trim()
    ));
    over.is_mended(r"
ssh://<person>@127.0.0.1:<port><world>/upstream/me/site.git shows another host key than the one that is in <home>/.ssh/known_hosts: it has a new one, or somebody stands between
-> compare the fingerprint of the new key with the one that the host publishes. Only if they are the same, forget the old key and accept the new one with the last two lines; then press Redeliver:
$ mkdir -p -m 700 <home>/.ssh
$ ssh-keyscan -p <port> 127.0.0.1 ><home>/.ssh/known_hosts.new
$ ssh-keygen -l -f <home>/.ssh/known_hosts.new
$ ssh-keygen -R '[127.0.0.1]:<port>' -f <home>/.ssh/known_hosts
$ cat <home>/.ssh/known_hosts.new >><home>/.ssh/known_hosts
");
}

#[test]
#[ignore = "needs sshd and root: ./tests/run"]
fn another_host_key_than_githubs() {
    let over = OverSsh::new();
    over.person.makes_key("-N ''");
    let port = over.sshd.port;
    over.person.does(&format!(
        "printf 'Host github.com\\n HostName 127.0.0.1\\n Port {port}\\n HostKeyAlias github.com\\n' >.ssh/config"
    ));
    over.person.does(&format!(
        "git -C '{}' remote set-url origin git@github.com:me/site.git",
        text(&over.world.checkout())
    ));
    let told = over.fails(r"
git@github.com:me/site.git shows another host key than the one that is in <world>/checkout/.git/deploy-cgi/known_hosts: it has a new one, or somebody stands between
-> do not go on before you have compared: the keys of GitHub that are built into deploy-cgi are in that file, and GitHub publishes its fingerprints at https://docs.github.com/authentication/keeping-your-account-and-data-secure/githubs-ssh-key-fingerprints. If GitHub has a new key, a newer deploy-cgi has it too
");
    assert!(told.commands.is_empty());
}

#[test]
#[ignore = "needs sshd and root: ./tests/run"]
fn a_key_that_the_remote_does_not_know() {
    let mut over = OverSsh::new();
    over.person.makes_key("-N ''");
    over.knows_the_host();
    let told = over.fails(r"
ssh://<person>@127.0.0.1:<port><world>/upstream/me/site.git does not accept the key that <person> offers: <home>/.ssh/id_ed25519
-> enter its public half as a deploy key at the host of ssh://<person>@127.0.0.1:<port><world>/upstream/me/site.git, then press Redeliver. The public half:
$ ssh-keygen -y -f <home>/.ssh/id_ed25519
");
    let public = over.obeys(&told, &[]);
    over.authorizes(&public);
    over.is_deployed();
}

#[test]
#[ignore = "needs sshd and root: ./tests/run"]
fn no_key_at_all() {
    let mut over = OverSsh::new();
    over.knows_the_host();
    let key = over.person.home.join("my keys/blog");
    over.world.key("ssh_key", &quoted(&text(&key)));
    over.person.owns(&over.world.path("cgi-bin"));
    let told = over.fails(r"
ssh://<person>@127.0.0.1:<port><world>/upstream/me/site.git wants a key, and <person> has none that ssh would take: there is no <home>/my keys/blog
-> make one, enter what the `cat` line shows as a deploy key at the host of ssh://<person>@127.0.0.1:<port><world>/upstream/me/site.git, then press Redeliver:
$ mkdir -p -m 700 '<home>/my keys'
$ ssh-keygen -q -t <id> -N '' -f '<home>/my keys/blog'
$ cat '<home>/my keys/blog.pub'
");
    let public = over.obeys(&told, &[]);
    over.authorizes(&public);
    over.is_deployed();
}

#[test]
#[ignore = "needs sshd and root: ./tests/run"]
fn a_key_that_others_can_read() {
    let mut over = OverSsh::new();
    let key = over.person.makes_key("-N ''");
    over.authorizes(&fs::read_to_string(key.with_extension("pub")).unwrap());
    over.knows_the_host();
    over.person.does("chmod 644 .ssh/id_ed25519");
    over.is_mended(
        r"
ssh ignores the key <home>/.ssh/id_ed25519: others can read it
-> close it, then press Redeliver:
$ chmod 600 <home>/.ssh/id_ed25519
",
    );
}

#[test]
#[ignore = "needs sshd and root: ./tests/run"]
fn a_key_with_a_passphrase() {
    let mut over = OverSsh::new();
    let key = over.person.makes_key("-N 'open sesame'");
    over.authorizes(&fs::read_to_string(key.with_extension("pub")).unwrap());
    over.knows_the_host();
    let told = over.fails(
        r"
the key <home>/.ssh/id_ed25519 has a passphrase, and nobody is there to type it
-> take the passphrase away (the file stays readable by its owner only):
$ ssh-keygen -p -N '' -f <home>/.ssh/id_ed25519
",
    );
    // Somebody is there now to type it.
    over.person
        .does("printf '#!/bin/sh\\necho open sesame\\n' >askpass; chmod 755 askpass");
    let askpass = text(&over.person.home.join("askpass"));
    over.obeys(
        &told,
        &[("SSH_ASKPASS", &askpass), ("SSH_ASKPASS_REQUIRE", "force")],
    );
    over.is_deployed();
}

#[test]
#[ignore = "needs sshd and root: ./tests/run"]
fn a_git_folder_of_another_users() {
    let mut over = OverSsh::new();
    let key = over.person.makes_key("-N ''");
    over.authorizes(&fs::read_to_string(key.with_extension("pub")).unwrap());
    over.knows_the_host();
    over.person.verb(&over.world, &["run"]).expect_exit(0);
    over.world.git(
        &over.world.path("seed/site"),
        &["config", "safe.directory", "*"],
    );
    over.commit = over.world.push("three");
    let objects = text(&over.world.path("checkout/.git/objects"));
    as_root("chown")
        .args(["-R", "root", &objects])
        .status()
        .unwrap();
    let told = over.tells(
        r"
<person> may not write in <world>/checkout/.git/objects, which belongs to root
-> give the checkout to <person>, then press Redeliver:
$ sudo chown -R <person> '<world>/checkout'
",
    );
    over.obeys(&told, &[]);
    over.is_deployed();
}

#[test]
#[ignore = "needs sshd and root: ./tests/run"]
fn a_file_of_another_users_in_the_work_tree() {
    let mut over = OverSsh::new();
    let key = over.person.makes_key("-N ''");
    over.authorizes(&fs::read_to_string(key.with_extension("pub")).unwrap());
    over.knows_the_host();
    over.person.verb(&over.world, &["run"]).expect_exit(0);
    fs::create_dir_all(over.world.path("seed/site/pages")).unwrap();
    over.commit = over
        .world
        .push_to("site", "pages/one.html", "one", "A page");
    over.person.verb(&over.world, &["run"]).expect_exit(0);
    over.commit = over
        .world
        .push_to("site", "pages/one.html", "two", "A page");
    let pages = text(&over.world.path("checkout/pages"));
    as_root("chown")
        .args(["-R", "root", &pages])
        .status()
        .unwrap();
    let told = over.tells(
        r"
<person> may not write in <world>/checkout/pages/one.html, which belongs to root
-> give the checkout to <person>, then press Redeliver:
$ sudo chown -R <person> '<world>/checkout'
",
    );
    over.obeys(&told, &[]);
    over.is_deployed();
}

#[test]
#[ignore = "needs root: ./tests/run"]
fn a_folder_of_the_users_own_that_is_closed() {
    for folder in ["pages", ".git/refs/remotes/origin", ".git/objects", ".git"] {
        let mut over = OverSsh::new();
        let url = over.world.origin.url("me/site.git");
        set_url(&over.world, &url);
        over.person.owns(&over.world.checkout());
        fs::create_dir_all(over.world.path("seed/site/pages")).unwrap();
        over.world
            .push_to("site", "pages/one.html", "one", "A page");
        over.person.verb(&over.world, &["run"]).expect_exit(0);
        over.commit = over
            .world
            .push_to("site", "pages/one.html", "two", "A page");
        let checkout = text(&over.world.checkout());
        over.person
            .does(&format!("chmod a-w '{checkout}'/{folder}"));
        let run = over.person.verb(&over.world, &["run"]);
        run.expect_exit(1);
        let told = Told::parse(&run.stdout);
        assert!(
            told.cause
                .ends_with(&format!(" is closed to its owner, {}", over.person.name)),
            "{run:?}"
        );
        assert_eq!(told.commands, [format!("chmod -R u+rwX '{checkout}'")]);
        over.obeys(&told, &[]);
        over.is_deployed();
    }
}

/// Files of the host's that advice makes, as they were.
struct HostFiles {
    known_hosts: Option<Vec<u8>>,
    had_folder: bool,
}

const KNOWN_HOSTS: &str = "/etc/ssh/ssh_known_hosts";
const FOLDER_OF_THE_HOST: &str = "/etc/deploy-cgi";

impl HostFiles {
    fn kept() -> HostFiles {
        HostFiles {
            known_hosts: fs::read(KNOWN_HOSTS).ok(),
            had_folder: Path::new(FOLDER_OF_THE_HOST).exists(),
        }
    }
}

impl Drop for HostFiles {
    fn drop(&mut self) {
        let mut shell = as_root("sh");
        let forget = match &self.known_hosts {
            Some(_) => "cat >\"$1\"; rm -f \"$1.new\" \"$1.old\"",
            None => "rm -f \"$1\" \"$1.new\" \"$1.old\"",
        };
        let all = if self.had_folder {
            forget.to_owned()
        } else {
            format!("{forget}; rm -rf {FOLDER_OF_THE_HOST}")
        };
        let input = plain_folder();
        let input = input.path().join("input");
        drop(fs::write(
            &input,
            self.known_hosts.as_deref().unwrap_or_default(),
        ));
        if let Ok(input) = fs::File::open(&input) {
            shell.stdin(input);
        }
        drop(shell.args(["-c", &all, "sh", KNOWN_HOSTS]).output());
    }
}

#[test]
#[ignore = "needs sshd and root: ./tests/run"]
fn a_home_that_is_not_the_users_own() {
    let mut over = OverSsh::new();
    let _kept = HostFiles::kept();
    over.person.does("mkdir -m 700 .ssh");
    let home = text(&over.person.home);
    as_root("chown").args(["root", &home]).status().unwrap();
    let told = over.fails(
        r"
ssh does not know the host key of ssh://<person>@127.0.0.1:<port><world>/upstream/me/site.git: it is not in /etc/ssh/ssh_known_hosts
-> get the key, compare its fingerprint with the one that the host publishes, and only then accept it with the last line; then press Redeliver:
$ sudo sh -c 'umask 022; ssh-keyscan -p <port> 127.0.0.1 >/etc/ssh/ssh_known_hosts.new'
$ ssh-keygen -l -f /etc/ssh/ssh_known_hosts.new
$ sudo sh -c 'umask 022; cat /etc/ssh/ssh_known_hosts.new >>/etc/ssh/ssh_known_hosts'
",
    );
    over.obeys(&told, &[]);
    let told = over.fails(
        r#"
ssh://<person>@127.0.0.1:<port><world>/upstream/me/site.git wants a key, and <person> has none that ssh would take
-> make one, enter what the `cat` line shows as a deploy key at the host of ssh://<person>@127.0.0.1:<port><world>/upstream/me/site.git, name it in <world>/cgi-bin/deploy.cgi (ssh_key = "/etc/deploy-cgi/deploy"), then press Redeliver:
$ sudo install -d -m 700 -o <person> /etc/deploy-cgi
$ ssh-keygen -q -t <id> -N '' -f /etc/deploy-cgi/deploy
$ cat /etc/deploy-cgi/deploy.pub
"#,
    );
    let check = over.person.verb(&over.world, &["check"]).stdout;
    assert_eq!(check.matches("ssh-keygen -q").count(), 1, "{check}");
    let public = over.obeys(&told, &[]);
    over.authorizes(&public);
    over.world.key("ssh_key", &quoted("/etc/deploy-cgi/deploy"));
    over.person.owns(&over.world.path("cgi-bin"));
    over.is_deployed();
}

#[test]
#[ignore = "needs sshd and root: ./tests/run"]
fn the_public_half_of_a_key() {
    let mut over = OverSsh::new();
    let key = over.person.makes_key("-N ''");
    over.authorizes(&fs::read_to_string(key.with_extension("pub")).unwrap());
    over.knows_the_host();
    over.world
        .key("ssh_key", &quoted(&text(&key.with_extension("pub"))));
    over.person.owns(&over.world.path("cgi-bin"));
    let told = over.fails(
        r#"
<home>/.ssh/id_ed25519.pub is the public half of a key, which is for GitHub; ssh needs the private one
-> name it in <world>/cgi-bin/deploy.cgi: ssh_key = "<home>/.ssh/id_ed25519"; then press Redeliver
"#,
    );
    assert!(told.commands.is_empty());
    over.world.key("ssh_key", &quoted(&text(&key)));
    over.person.owns(&over.world.path("cgi-bin"));
    over.is_deployed();
}

#[test]
#[ignore = "needs sshd and root: ./tests/run"]
fn a_key_that_nobody_uses() {
    let mut over = OverSsh::new();
    let key = over.person.makes_key("-N ''");
    over.authorizes(&fs::read_to_string(key.with_extension("pub")).unwrap());
    over.knows_the_host();
    over.person
        .does("cd .ssh; mv id_ed25519 blog; mv id_ed25519.pub blog.pub");
    over.fails(
        r#"
ssh://<person>@127.0.0.1:<port><world>/upstream/me/site.git wants a key, and <person> has none that ssh would take; but there is <home>/.ssh/blog
-> if that is the one, name it in <world>/cgi-bin/deploy.cgi: ssh_key = "<home>/.ssh/blog"; then press Redeliver
"#,
    );
    over.world
        .key("ssh_key", &quoted(&text(&key.with_file_name("blog"))));
    over.person.owns(&over.world.path("cgi-bin"));
    over.is_deployed();
}

#[test]
#[ignore = "needs sshd and root: ./tests/run"]
fn a_key_that_came_with_the_line_ends_of_windows() {
    let mut over = OverSsh::new();
    let key = over.person.makes_key("-N ''");
    over.authorizes(&fs::read_to_string(key.with_extension("pub")).unwrap());
    over.knows_the_host();
    over.person.does("sed -i 's/$/\\r/' .ssh/id_ed25519");
    let told = over.tells(
        r"
<home>/.ssh/id_ed25519 is no private key that ssh can read: it was changed on its way here
-> bring it here once more, in binary mode, as it was made; where its lines only end as on Windows, mend them. Then press Redeliver:
$ sed -i 's/\r$//' <home>/.ssh/id_ed25519
",
    );
    over.obeys(&told, &[]);
    over.is_deployed();
}

#[test]
#[ignore = "needs root: ./tests/run"]
fn a_verb_of_another_users_prints_the_line_for_the_owner_and_nothing_else() {
    let person = Person::new();
    let mut world = World::new();
    person.takes(&mut world);
    let commit = world.push("two");
    let site = text(&world.site_file());
    let as_them = |bits: u32| {
        mode(&world.checkout(), bits);
        for words in [
            &["check"][..],
            &[],
            &["check", "--json"],
            &["status"],
            &["sign"],
            &["run"],
        ] {
            let spoken = world.verb(words);
            spoken.expect_exit(1);
            assert_eq!(spoken.stdout, "", "{words:?}");
            let typed = if words.is_empty() {
                "check".to_owned()
            } else {
                words.join(" ")
            };
            let told = format!(
                "deploy-cgi: {} belongs to {name}, and you are root, whose files would be in the way of the next \
                 delivery. Run it as the owner:\n    sudo -u {name} '{site}' {typed}\n",
                text(&world.checkout()),
                name = person.name,
            );
            assert_eq!(spoken.stderr, told);
        }
    };
    as_them(0o755);
    as_them(0o700);
    // Who may not even read the site file.
    mode(&world.site_file(), 0o700);
    let check = as_root("runuser")
        .args(["-u", "nobody", "--"])
        .arg(&world.program)
        .args([&site, "check"])
        .output()
        .unwrap();
    let told = String::from_utf8(check.stderr).unwrap();
    assert!(
        told.contains(&format!("sudo -u {} '{site}' check\n", person.name)),
        "{told}"
    );
    assert_eq!((told.lines().count(), check.stdout.len()), (2, 0));
    person.verb(&world, &["check"]).expect_exit(0);
    person.verb(&world, &["run"]).expect_exit(0);
    assert_eq!(world.head(), commit);
}
