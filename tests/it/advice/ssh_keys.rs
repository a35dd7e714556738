//! A key for each repository, with an sshd that takes it for that one only, as GitHub does.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use super::Told;
use crate::docs::block_with;
use crate::person::{Person, Sshd};
use crate::world::{World, payload_after, quoted, search_path, text, write_executable};

/// What ssh calls the sshd of a test.
const FORGE: &str = "forge.test";

/// A person, and an sshd that answers as `FORGE` and by other names.
struct Forge {
    person: Person,
    sshd: Sshd,
    world: World,
}

impl Forge {
    /// With a key for each of the repositories, in the person's `.ssh` under the name of it.
    fn new(world: World, hosts: &[&str]) -> Forge {
        let person = Person::new();
        let sshd = Sshd::start(&person);
        let home = text(&person.home);
        // What the session is started with, whatever was asked for.
        let only = format!(
            "#!/bin/sh\nPATH='{}'\necho \"$1 $SSH_ORIGINAL_COMMAND\" >>'{home}/asked'\n\
             case $(echo \"$SSH_ORIGINAL_COMMAND\" | tr A-Z a-z) in\n\
             \"git-upload-pack 'me/$1'\" | \"git-upload-pack 'me/$1.git'\")\n    \
             exec git-upload-pack '{}'/\"$1.git\" ;;\nesac\n\
             echo 'ERROR: Repository not found.' >&2\nexit 1\n",
            search_path(),
            text(&world.path("upstream/me")),
        );
        write_executable(&person.home.join("only"), &only);
        person.does("mkdir -p -m 700 .ssh");
        for host in hosts {
            person.does(&format!(
                "printf 'Host {host}\\n HostName 127.0.0.1\\n Port {}\\n HostKeyAlias {FORGE}\\n' >>.ssh/config",
                sshd.port
            ));
        }
        let forge = Forge {
            person,
            sshd,
            world,
        };
        forge.knows(FORGE);
        for name in ["site", "posts", "lib"] {
            let key = format!("ssh-keygen -q -t ed25519 -N '' -f .ssh/{name}; cat .ssh/{name}.pub");
            forge.enters(name, &forge.person.does(&key));
        }
        forge
    }

    /// Takes a key for a repository.
    fn enters(&self, name: &str, public: &str) {
        let (home, public) = (text(&self.person.home), public.trim());
        self.person.does(&format!(
            "echo 'restrict,command=\"{home}/only {name}\" {public}' >>.ssh/authorized_keys"
        ));
    }

    fn knows(&self, host: &str) {
        let (_, key) = {
            let line = self.sshd.host_key();
            let (name, key) = line.split_once(' ').unwrap();
            (name.to_owned(), key.to_owned())
        };
        self.person
            .does(&format!("echo '{host} {key}' >>.ssh/known_hosts"));
    }

    fn key(&self, name: &str) -> String {
        text(&self.person.home.join(".ssh").join(name))
    }

    /// An address of the world's upstream for ssh.
    fn at(&self, host: &str, name: &str) -> String {
        format!("{}@{host}:me/{name}.git", self.person.name)
    }

    /// The site has these submodules, by path and URL, all at the commit of `posts`. Returns the commit.
    fn push_submodules(&self, seed: &str, modules: &[(&str, &str)]) -> String {
        let folder = self.world.path("seed").join(seed);
        let commit = self.world.head_of("seed/posts");
        let mut words = String::new();
        for (path, url) in modules {
            write!(
                words,
                "[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n"
            )
            .unwrap();
            let link = format!("160000,{commit},{path}");
            self.world
                .git(&folder, &["update-index", "--add", "--cacheinfo", &link]);
        }
        let subject = format!("Point to {}", modules.len());
        self.world.push_to(seed, ".gitmodules", &words, &subject)
    }

    fn takes(&mut self) {
        self.person.takes(&mut self.world);
    }

    #[track_caller]
    fn deploys(&self, commit: &str) {
        let push = payload_after(commit, commit).to_string();
        let push = self.world.delivery("push", push);
        let push = push.through(&self.person.server(&self.world));
        push.send().expect(200, "deployed");
        self.world.settle();
        assert_eq!(self.world.head(), commit);
        self.person.verb(&self.world, &["check"]).expect_exit(0);
    }

    /// Which key was offered for what, as the sshd has seen it.
    fn asked(&self) -> BTreeSet<String> {
        let asked = fs::read_to_string(self.person.home.join("asked")).unwrap();
        asked
            .lines()
            .map(|line| line.replace("git-upload-pack ", ""))
            .collect()
    }
}

/// As people meet it who gave the checkout a deploy key, and have a private submodule.
#[test]
#[ignore = "needs sshd and root: ./tests/run"]
fn a_submodule_that_the_key_of_the_checkout_does_not_open() {
    let mut forge = Forge::new(World::new(), &[FORGE]);
    forge.person.does("rm .ssh/posts .ssh/posts.pub");
    forge.world.push_to("posts", "second.md", "two", "A post");
    let commit = forge.push_submodules("site", &[("posts", "../posts.git")]);
    let remote = forge.at(FORGE, "site");
    let checkout = forge.world.checkout();
    let set_url = ["remote", "set-url", "origin", &remote];
    forge.world.git(&checkout, &set_url);
    let key = quoted(&forge.key("site"));
    forge.world.key("ssh_key", &key);
    forge.takes();
    let run = forge.person.verb(&forge.world, &["run"]);
    run.expect_exit(1);
    let told = Told::parse(&run.stdout);
    let plain = told.text().replace(&text(&forge.person.home), "<home>");
    let plain = forge
        .world
        .plain(&plain.replace(&forge.person.name, "<person>"));
    assert_eq!(
        plain.trim(),
        r#"
<person>@forge.test:me/posts.git, the remote of the submodule posts, is not there, or <person> may not see it. The main tree is new already; not at the recorded commit: posts
-> if .gitmodules has a wrong URL, mend it there and push. GitHub says "not found" also for a private repository without access: then make a key for it, enter what the `cat` line shows as a deploy key at the host of <person>@forge.test:me/posts.git, name it in <world>/cgi-bin/deploy.cgi (ssh_keys = { "me/posts" = "<home>/.ssh/posts" }), then press Redeliver:
$ ssh-keygen -q -t <id> -N '' -f <home>/.ssh/posts
$ cat <home>/.ssh/posts.pub
"#
        .trim(),
        "{plain}"
    );
    let does = |_, line: &String| forge.person.does(line);
    let public = told.commands.iter().fold(String::new(), does);
    forge.enters("posts", &public);
    let (_, table) = told.words.split_once("(ssh_keys = ").unwrap();
    let (table, _) = table.split_once(')').unwrap();
    forge.world.key("ssh_keys", table);
    forge.person.owns(&forge.world.path("cgi-bin"));
    forge.deploys(&commit);
}

fn set(lines: &[&str]) -> BTreeSet<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

/// Three levels, with names in another case, two of which are reached by https, and one that is public elsewhere.
#[test]
#[ignore = "needs sshd and root: ./tests/run"]
fn each_repository_is_brought_with_its_own_key() {
    let mut forge = Forge::new(World::new(), &[FORGE]);
    // A connection that was opened with one key must not serve for another.
    forge.person.does(
        "printf ' ControlMaster auto\\n ControlPath ~/.ssh/shared\\n ControlPersist 60\\n' >>.ssh/config",
    );
    let lib = text(&forge.world.path("upstream/me/lib.git"));
    let posts = text(&forge.world.path("seed/posts"));
    let bare = ["clone", "-q", "--bare", &posts, &lib];
    forge.world.git(&forge.world.path(""), &bare);
    forge.push_submodules("posts", &[("lib", "https://FORGE.test/ME/Lib")]);
    let public = forge.world.origin.url("me/posts.git");
    let commit = forge.push_submodules(
        "site",
        &[
            ("posts", "https://forge.test/Me/Posts.git"),
            ("again", "../posts.git"),
            ("public", &public),
        ],
    );
    fs::remove_dir_all(forge.world.checkout()).unwrap();
    fs::create_dir(forge.world.checkout()).unwrap();
    let clone = quoted(&forge.at(FORGE, "site"));
    forge.world.key("clone", &clone);
    let table = format!(
        "{{ \"Me/Site\" = {}, \"me/posts\" = {}, \"me/lib\" = {} }}",
        quoted(&forge.key("site")),
        quoted(&forge.key("posts")),
        quoted(&forge.key("lib"))
    );
    forge.world.key("ssh_keys", &table);
    forge.takes();
    forge.deploys(&commit);
    for file in ["posts/first.md", "posts/lib/first.md", "again/first.md"] {
        assert!(forge.world.exists(&format!("checkout/{file}")), "{file}");
    }
    assert_eq!(
        forge.asked(),
        set(&[
            "site 'me/site.git'",
            "posts 'Me/Posts.git'",
            "posts 'me/posts.git'",
            "lib 'ME/Lib'",
        ])
    );

    // The doctor sees what is missing.
    fs::remove_file(forge.key("posts")).unwrap();
    let check = forge.person.verb(&forge.world, &["check"]);
    check.expect_exit(1);
    check.says(&format!("there is no {} for me/posts", forge.key("posts")));
}

#[test]
#[ignore = "needs sshd and root: ./tests/run"]
fn the_key_of_the_remote_is_not_offered_to_other_hosts() {
    let mut forge = Forge::new(World::new(), &[FORGE, "other.test"]);
    forge.world.push_to("posts", "second.md", "two", "A post");
    let other = forge.at("other.test", "posts");
    let commit = forge.push_submodules("site", &[("posts", &other)]);
    let remote = forge.at(FORGE, "site");
    let checkout = forge.world.checkout();
    let set_url = ["remote", "set-url", "origin", &remote];
    forge.world.git(&checkout, &set_url);
    let key = quoted(&forge.key("site"));
    forge.world.key("ssh_key", &key);
    // What ssh finds itself, for all other hosts.
    forge.person.does("cp -p .ssh/posts .ssh/id_ed25519");
    forge.takes();
    forge.deploys(&commit);
    let asked = forge.asked();
    assert_eq!(asked, set(&["site 'me/site.git'", "posts 'me/posts.git'"]));
}

/// With the two files of docs/private-repositories.md.
#[test]
#[ignore = "needs sshd and root: ./tests/run"]
fn a_name_for_the_host_for_each_submodule_brings_it_with_its_key() {
    let mut forge = Forge::new(World::new(), &[]);
    forge.knows("github.com");
    let here = format!(
        "    HostName 127.0.0.1\n    Port {}\n    HostKeyAlias github.com\n    IdentityFile",
        forge.sshd.port
    );
    let config = block_with("Host github-posts")
        .replace("    HostName github.com\n", "")
        .replace("    IdentityFile", &here)
        .replace("~/.ssh/blog", "~/.ssh/site");
    fs::write(forge.person.home.join(".ssh/config"), config).unwrap();
    let rewrites = block_with("[url \"git@github-posts:me/posts.git\"]")
        .replace("git@", &format!("{}@", forge.person.name));
    fs::write(forge.world.path("home/.gitconfig"), rewrites).unwrap();
    forge.world.push_to("posts", "second.md", "two", "A post");
    let commit = forge.push_submodules("site", &[("posts", "https://github.com/me/posts.git")]);
    let remote = forge.at("github.com", "site");
    let checkout = forge.world.checkout();
    let set_url = ["remote", "set-url", "origin", &remote];
    forge.world.git(&checkout, &set_url);
    forge.takes();
    forge.person.owns(&forge.person.home);
    forge.deploys(&commit);
    let asked = forge.asked();
    assert_eq!(asked, set(&["site 'me/site.git'", "posts 'me/posts.git'"]));
}

/// From the first ping on, for people without a shell: the remote and the submodule have addresses for https.
#[test]
fn addresses_for_https_go_over_ssh_where_their_repository_has_a_key() {
    let mut world = World::new();
    let fake = world.path("fake");
    let ssh = format!(
        "#!/bin/sh\nprintf '<%s>' \"$@\" >>'{0}/asked'; echo >>'{0}/asked'\n\
         for word; do command=$word; done\nrepository=${{command#*\\'}}; repository=${{repository%\\'}}\n\
         exec git-upload-pack '{1}'/\"${{repository%.git}}.git\"\n",
        text(&fake),
        text(&world.path("upstream")),
    );
    write_executable(&fake.join("ssh"), &ssh);
    world.key(
        "path",
        &quoted(&format!("{}:{}", text(&fake), search_path())),
    );
    let commit = world.push_to(
        "site",
        ".gitmodules",
        "[submodule \"posts\"]\n\tpath = posts\n\turl = ../posts.git\n",
        "Point beside",
    );
    fs::remove_dir_all(world.checkout()).unwrap();
    world.key("clone", "\"https://Forge.test/me/site\"");
    world.key(
        "ssh_keys",
        "{ \"ME/site\" = \"/keys/site\", \"me/posts\" = \"/keys/my posts\" }",
    );
    world
        .delivery("push", payload_after(&commit, &commit).to_string())
        .send()
        .expect(200, "deployed");
    world.settle();
    assert_eq!(world.read("checkout/posts/first.md"), "the first post\n");
    let asked = world.read("fake/asked");
    for line in asked.lines() {
        let (key, repository) = if line.contains("site") {
            ("/keys/site", "'me/site'")
        } else {
            ("/keys/my posts", "'me/posts.git'")
        };
        assert!(line.contains("<-oIdentitiesOnly=yes>"), "{line}");
        assert_eq!(line.matches("<-oIdentityFile=").count(), 1, "{line}");
        assert!(
            line.contains(&format!("<-oIdentityFile=\"{key}\">")),
            "{line}"
        );
        let end = format!("<git@Forge.test><git-upload-pack {repository}>");
        assert!(line.ends_with(&end), "{line}");
    }
    assert!(asked.contains("posts") && asked.contains("site"), "{asked}");
}
