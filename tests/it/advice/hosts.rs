//! What the host gives git, and does not.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{Told, bring_about, failed, told};
use crate::docs::block_with;
use crate::person::{Person, free_port};
use crate::world::{Fault, Spoken, World, quoted, text};

#[test]
fn files_of_git_lfs_without_git_lfs() {
    let mut world = World::new();
    // All that is here but git-lfs.
    let bin = world.path("bin");
    fs::create_dir(&bin).unwrap();
    for program in fs::read_dir("/usr/bin").unwrap().flatten() {
        if program.file_name() != "git-lfs" {
            std::os::unix::fs::symlink(program.path(), bin.join(program.file_name())).unwrap();
        }
    }
    world.key("path", &quoted(bin.to_str().unwrap()));
    fs::write(
        world.path("home/.gitconfig"),
        "[filter \"lfs\"]\n\tclean = git-lfs clean -- %f\n\tsmudge = git-lfs smudge -- %f\n\
         \tprocess = git-lfs filter-process\n\trequired = true\n",
    )
    .unwrap();
    let seed = world.path("seed/site");
    fs::write(seed.join(".gitattributes"), "*.png filter=lfs\n").unwrap();
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    fs::write(seed.join("a.png"), pointer).unwrap();
    world.git(&seed, &["add", "."]);
    let commit = world.push("two");
    let reply = world.push_delivery(&commit).send();
    let told = told(
        &world,
        &reply,
        r"
the repository keeps files with git-lfs, which is not installed here
-> install it and switch it on, then press Redeliver:
$ apt-get install git-lfs
$ git lfs install
",
    );
    assert_eq!(told.commands.len(), 2);
}

#[test]
fn limits_of_the_host_that_cannot_be_had_here() {
    let mut all = String::new();
    for said in [
        "error: unable to write file index.html: No space left on device",
        "error: unable to write file index.html: Disk quota exceeded",
        "fatal: unable to open object pack directory: Too many open files",
        "error: cannot fork() for git-remote-https: Resource temporarily unavailable",
        "fatal: Out of memory, malloc failed (tried to allocate 1024 bytes)",
        "error: git-remote-https died of signal 9",
        "error: unable to create file index.html: Read-only file system",
        "fatal: unable to access '\\''http://h/n/'\\'': SSL certificate problem: certificate has expired",
        "fatal: unable to access '\\''http://h/n/'\\'': The requested URL returned error: 502",
        "error: unknown option `no-recurse-submodules",
        "fatal: remote error: access denied or repository not exported: /site",
        "fatal: the remote end hung up unexpectedly",
        "fatal: unable to create thread: Resource temporarily unavailable",
        "/usr/lib/git-core/git-sh-setup: 46: Cannot fork",
        "fatal: remote error: GitHub is temporarily limiting some unauthenticated downloads to protect the stability of the platform. Please retry later or authenticate.",
        "fatal: unable to access '\\''https://github.com/me/blog/'\\'': The requested URL returned error: 429",
        "fatal: unable to access '\\''https://github.com/me/blog/'\\'': error:0A00042E:SSL routines::tlsv1 alert protocol version",
        "ERROR: You'\\''re using an RSA key with SHA-1, which is no longer allowed. Please use a newer client or a different key type.",
        "Unable to negotiate with 127.0.0.1 port 22: no matching host key type found. Their offer: ssh-rsa",
        // Killed, as a host does it that is short of memory.
        "'; kill -9 $$; echo '",
    ] {
        let mut world = World::new();
        let commit = world.push("two");
        world.fake_git("pull", &Fault::Fail(said));
        let told = failed(&world.push_delivery(&commit).send());
        writeln!(all, "== {said}\n{}", told.plain(&world)).unwrap();
    }
    // It is printed where the user who runs the tests has no such folder.
    let all = all.replace("$ mkdir -p -m 700 <home>/.ssh\n", "");
    assert_eq!(all.trim(), LIMITS.trim(), "{all}");
}

const LIMITS: &str = r#"
== error: unable to write file index.html: No space left on device
the disk is full
-> free some space, then press Redeliver; what was half written is put right then. How much is used:
$ df -h '<world>/checkout'

== error: unable to write file index.html: Disk quota exceeded
the disk quota of <user> is used up
-> free some space or ask the host for more, then press Redeliver. What takes the most:
$ du -h -d 2 <home> | sort -h | tail

== fatal: unable to open object pack directory: Too many open files
the host's limit of open files was reached
-> press Redeliver when the host is less busy; ask the host for a higher limit (nofile) if it comes back

== error: cannot fork() for git-remote-https: Resource temporarily unavailable
the host's limit of processes of <user> was reached
-> let git use fewer, then press Redeliver; ask the host for a higher limit (NPROC) if it comes back:
$ git -C '<world>/checkout' config pack.threads 1

== fatal: Out of memory, malloc failed (tried to allocate 1024 bytes)
the host's limit of memory was reached
-> let git use less, then press Redeliver; ask the host for a higher limit if it comes back:
$ git -C '<world>/checkout' config pack.threads 1
$ git -C '<world>/checkout' config core.packedGitLimit 64m
$ git -C '<world>/checkout' config core.bigFileThreshold 16m

== error: git-remote-https died of signal 9
the host's limit of memory was reached
-> let git use less, then press Redeliver; ask the host for a higher limit if it comes back:
$ git -C '<world>/checkout' config pack.threads 1
$ git -C '<world>/checkout' config core.packedGitLimit 64m
$ git -C '<world>/checkout' config core.bigFileThreshold 16m

== error: unable to create file index.html: Read-only file system
the file system of <world>/checkout is read-only
-> the host has to mount it for writing (after an error of the disk it is often read-only until a check); then press Redeliver

== fatal: unable to access '\''http://h/n/'\'': SSL certificate problem: certificate has expired
the certificate of http://h/n is not trusted here (certificate has expired)
-> bring the host's certificates up to date; for a certificate of your own, name it with git's setting http.sslCAInfo. Then press Redeliver:
$ apt-get install --only-upgrade ca-certificates

== fatal: unable to access '\''http://h/n/'\'': The requested URL returned error: 502
http://h/n has trouble of its own
-> press Redeliver later; GitHub's state is at https://www.githubstatus.com

== error: unknown option `no-recurse-submodules
this git is too old, or its installation is not whole
-> install git 2.17 or newer, or name the folder of a newer one with the key `path` in <world>/cgi-bin/deploy.cgi. What is there:
$ git --version
$ git --exec-path

== fatal: remote error: access denied or repository not exported: /site
http://<origin>/me/site.git is not there, or <user> may not see it
-> correct the URL (git remote set-url). GitHub says "not found" also for a private repository without access; then use a deploy key. What is used now:
$ git -C '<world>/checkout' remote -v

== fatal: the remote end hung up unexpectedly
the connection to http://<origin>/me/site.git broke
-> press Redeliver

== fatal: unable to create thread: Resource temporarily unavailable
the host's limit of processes of <user> was reached
-> let git use fewer, then press Redeliver; ask the host for a higher limit (NPROC) if it comes back:
$ git -C '<world>/checkout' config pack.threads 1

== /usr/lib/git-core/git-sh-setup: 46: Cannot fork
the host's limit of processes of <user> was reached
-> let git use fewer, then press Redeliver; ask the host for a higher limit (NPROC) if it comes back:
$ git -C '<world>/checkout' config pack.threads 1

== fatal: remote error: GitHub is temporarily limiting some unauthenticated downloads to protect the stability of the platform. Please retry later or authenticate.
http://<origin>/me/site.git lets fewer through at the moment that show no login, and this host's address is one of many
-> press Redeliver later

== fatal: unable to access '\''https://github.com/me/blog/'\'': The requested URL returned error: 429
https://github.com/me/blog lets fewer through at the moment that show no login, and this host's address is one of many
-> press Redeliver later; or have a token sent at once (docs/troubleshooting.md, "GitHub limits anonymous downloads"); or let the checkout use a deploy key, enter what the `cat` line shows as a deploy key at https://github.com/me/blog/settings/keys/new, name it in <world>/cgi-bin/deploy.cgi (ssh_key = "<home>/.ssh/id_ed25519"), then press Redeliver:
$ ssh-keygen -q -t <id> -N '' -f <home>/.ssh/id_ed25519
$ cat <home>/.ssh/id_ed25519.pub
$ git -C '<world>/checkout' remote set-url origin git@github.com:me/blog.git

== fatal: unable to access '\''https://github.com/me/blog/'\'': error:0A00042E:SSL routines::tlsv1 alert protocol version
https://github.com/me/blog and this host's git have no version of TLS in common: one of them is old
-> name the folder of a newer git with the key `path`; or let the checkout use a deploy key, enter what the `cat` line shows as a deploy key at https://github.com/me/blog/settings/keys/new, name it in <world>/cgi-bin/deploy.cgi (ssh_key = "<home>/.ssh/id_ed25519"), then press Redeliver:
$ ssh-keygen -q -t <id> -N '' -f <home>/.ssh/id_ed25519
$ cat <home>/.ssh/id_ed25519.pub
$ git -C '<world>/checkout' remote set-url origin git@github.com:me/blog.git

== ERROR: You'\''re using an RSA key with SHA-1, which is no longer allowed. Please use a newer client or a different key type.
http://<origin>/me/site.git takes no RSA key with SHA-1 any more, as old programs for ssh use it
-> make a key of another kind, enter what the `cat` line shows as a deploy key at the host of http://<origin>/me/site.git, name it in <world>/cgi-bin/deploy.cgi (ssh_key = "<home>/.ssh/id_ed25519"), then press Redeliver:
$ ssh-keygen -q -t <id> -N '' -f <home>/.ssh/id_ed25519
$ cat <home>/.ssh/id_ed25519.pub

== Unable to negotiate with 127.0.0.1 port 22: no matching host key type found. Their offer: ssh-rsa
ssh here and http://<origin>/me/site.git have no host key type in common: there it is ssh-rsa
-> bring ssh up to date on the side that is old, then press Redeliver. Here:
$ apt-get install --only-upgrade openssh-client

== '; kill -9 $$; echo '
git was killed by signal 9
-> that is what a host's limit of memory or time does: press Redeliver when it is less busy, and ask the host for a higher limit if it comes back
"#;

#[test]
fn a_failure_that_nobody_knows_shows_gits_own_words() {
    let mut world = World::new();
    let commit = world.push("two");
    let said = "** WARNING: connection is not using a post-quantum key exchange algorithm.\nfatal: the sky fell";
    world.fake_git("pull", &Fault::Fail(said));
    let reply = world.push_delivery(&commit).send();
    reply.expect(500, "failed");
    reply.says("git said:\n  fatal: the sky fell");
    assert!(!reply.body.contains("What to do"), "{reply:?}");
}

/// A large file whose content is not at the server.
#[test]
fn a_large_file_that_git_lfs_cannot_fetch() {
    let world = World::new();
    let mut shell = world.shell_of_site();
    if !shell
        .args(["-c", "git lfs install --skip-repo"])
        .output()
        .unwrap()
        .status
        .success()
    {
        return;
    }
    bring_about(
        &world,
        "cd seed/site; echo '*.png filter=lfs' >.gitattributes
         printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%064d\\nsize 1\\n' 1 >a.png
         git add .; git commit -q -m Picture; git push -q origin main",
    );
    let commit = world.head_of("seed/site");
    world.git(
        &world.checkout(),
        &[
            "config",
            "lfs.url",
            &format!("http://127.0.0.1:{}", free_port()),
        ],
    );
    let told = failed(&world.push_delivery(&commit).send());
    assert!(told.cause.contains("connection refused"), "{}", told.cause);
    world.git(&world.checkout(), &["config", "--unset", "lfs.url"]);
    let told = failed(&world.push_delivery(&commit).send());
    assert!(
        told.cause
            .starts_with("git-lfs is here, but could not fetch a file: "),
        "{}",
        told.cause
    );
    assert!(
        told.words.contains("git lfs push --all origin"),
        "{}",
        told.words
    );
    bring_about(
        &world,
        "cd seed/site; git rm -q a.png; git commit -q -m 'No picture'; git push -q origin main",
    );
    let commit = world.head_of("seed/site");
    world.push_delivery(&commit).send().expect(200, "deployed");
}

#[test]
#[ignore = "needs root: ./tests/run"]
fn a_limit_of_processes() {
    for limit in [1, 2, 4] {
        let person = Person::new();
        let mut world = World::new();
        let commit = world.push("two");
        person.takes(&mut world);
        let site = text(&world.site_file());
        let line = format!("exec prlimit --nproc={limit} '{site}' run");
        let run = Spoken::from(person.shell(&line, &[]));
        run.expect_exit(1);
        let told = Told::parse(&run.stdout);
        assert_eq!(
            told.cause,
            format!(
                "the host's limit of processes of {} was reached",
                person.name
            ),
            "{run:?}"
        );
        told.typed(|command| person.shell(command, &[]));
        person.verb(&world, &["run"]).expect_exit(0);
        assert_eq!(world.head(), commit);
    }
}

#[test]
fn a_token_that_is_sent_at_once() {
    let world = World::new();
    let is_set = |block: &str, key: &str| {
        let mut shell = world.shell_of_site();
        assert!(
            shell.args(["-ec", block]).status().unwrap().success(),
            "{block}"
        );
        let ask = format!("git config --get-urlmatch {key} https://github.com/me/blog.git");
        let asked = world.shell_of_site().args(["-c", &ask]).output().unwrap();
        String::from_utf8(asked.stdout).unwrap()
    };
    let by_itself = is_set(&block_with("proactiveAuth"), "http.proactiveAuth");
    assert_eq!(by_itself, "basic\n");
    // `x-access-token:THE-TOKEN`.
    let header = is_set(&block_with("extraHeader"), "http.extraHeader");
    assert_eq!(
        header,
        "Authorization: Basic eC1hY2Nlc3MtdG9rZW46VEhFLVRPS0VO\n"
    );
    let file = world.path("home/.github-token").metadata().unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
}
