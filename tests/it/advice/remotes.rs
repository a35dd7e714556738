//! The remote: logins, addresses, answers that do not come.

use super::{Told, bring_about, failed, fails, is_mended, set_url, told};
use crate::world::{World, ZERO, payload_after, quoted, text, write_executable};

#[test]
fn a_private_remote_without_a_login() {
    let world = World::new();
    set_url(&world, &world.origin.url("auth/me/site.git"));
    let told = fails(
        &world,
        &world.head(),
        r"
http://<origin>/auth/me/site.git is private or not there: it wants a login, and <user> has none stored
-> store the login for <user> (git asks for it once), then press Redeliver:
$ git config --global credential.helper store
$ git -C '<world>/checkout' fetch origin
",
    );
    logs_in(&world, &told);
}

/// Types the commands, and the login where git asks for it; then the push is deployed.
fn logs_in(world: &World, told: &Told) {
    write_executable(
        &world.path("askpass"),
        "#!/bin/sh\ncase $1 in User*) echo me ;; *) echo s3cr3tt0ken ;; esac\n",
    );
    told.typed(|command| {
        let mut shell = world.shell_of_site();
        shell.env("GIT_ASKPASS", world.path("askpass"));
        shell.args(["-c", command]).output().unwrap()
    });
    let commit = world.push("mended");
    world.push_delivery(&commit).send().expect(200, "deployed");
}

#[test]
fn a_login_that_is_refused() {
    let world = World::new();
    set_url(
        &world,
        &world
            .origin
            .url_with_login("me:n0-such-login", "auth/me/site.git"),
    );
    let told = fails(
        &world,
        &world.head(),
        r"
http://***@<origin>/auth/me/site.git refuses the login that stands in the remote's URL: it is not the right one, or has expired
-> take it out, and let git store a new one (it asks once); or use a deploy key. Then press Redeliver:
$ git -C '<world>/checkout' remote set-url origin http://<origin>/auth/me/site.git
$ git config --global credential.helper store
$ git -C '<world>/checkout' fetch origin
",
    );
    logs_in(&world, &told);
}

#[test]
fn a_remote_that_is_not_there() {
    let world = World::new();
    set_url(&world, &world.origin.url("me/site-is-gone.git"));
    let commit = world.head();
    let mut payload = world.payload(&commit);
    payload["repository"]["full_name"] = "me/site-is-gone".into();
    let reply = world.delivery("push", payload.to_string()).send();
    told(
        &world,
        &reply,
        r#"
http://<origin>/me/site-is-gone.git is not there, or <user> may not see it
-> correct the URL (git remote set-url). GitHub says "not found" also for a private repository without access; then use a deploy key. What is used now:
$ git -C '<world>/checkout' remote -v
"#,
    );
}

#[test]
fn a_host_that_has_no_address() {
    let world = World::new();
    set_url(&world, "http://host.invalid/me/site.git");
    fails(
        &world,
        &world.head(),
        r"
the name of the host of http://host.invalid/me/site.git cannot be resolved
-> check the spelling (git remote set-url), and the host's DNS; then press Redeliver:
$ getent hosts host.invalid
",
    );
}

#[test]
fn a_host_that_refuses_the_connection() {
    let world = World::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    set_url(&world, &format!("http://127.0.0.1:{port}/me/site.git"));
    let told = failed(&world.push_delivery(&world.head()).send());
    assert_eq!(
        (told.cause, told.words),
        (
            format!("http://127.0.0.1:{port}/me/site.git cannot be reached from here"),
            format!(
                "press Redeliver once it is up. Some hosts let nothing out: ask for outgoing port {port}"
            )
        )
    );
}

#[test]
fn a_remote_that_does_not_answer_in_time() {
    let mut world = World::new();
    world.key("timeout", "\"1s\"");
    set_url(&world, &world.origin.url("hang/me/site.git"));
    fails(
        &world,
        &world.head(),
        r"
git ended after its limit of <time>
-> if it needs longer than <time>, raise `timeout` in <world>/cgi-bin/deploy.cgi; then press Redeliver
",
    );
}

#[test]
fn a_remote_on_this_host_that_belongs_to_somebody_else() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let world = World::new();
    let bare = world.path("upstream/me/site.git");
    std::os::unix::fs::chown(&bare, Some(12345), Some(12345)).unwrap();
    set_url(&world, &text(&bare));
    let commit = world.push("two");
    // git 2.30 and 2.55 read such a repository, those between do not.
    let mut reading = world.shell_of_site();
    let reading = reading
        .args(["-c", "git ls-remote \"$1\"", "sh"])
        .arg(&bare);
    if reading.output().unwrap().status.success() {
        world.push_delivery(&commit).send().expect(200, "deployed");
        return;
    }
    is_mended(
        &world,
        &commit,
        r"
the remote <world>/upstream/me/site.git belongs to uid 12345, so git does not trust it when <user> reads it
-> let <user> trust it, then press Redeliver:
$ git config --global --add safe.directory '<world>/upstream/me/site.git'
",
    );
}

#[test]
fn a_remote_that_is_reached_by_gits_own_protocol() {
    let world = World::new();
    let port = crate::person::free_port();
    set_url(&world, &format!("git://127.0.0.1:{port}/me/site.git"));
    let told = failed(&world.push_delivery(&world.head()).send());
    assert!(
        told.cause
            .ends_with("hardly any host speaks git:// any more, GitHub does not"),
        "{}",
        told.cause
    );
    let host = format!("127.0.0.1:{port}");
    assert_eq!(
        told.commands,
        [format!(
            "git config --global url.https://{host}/.insteadOf git://{host}/"
        )]
    );
}

#[test]
fn a_push_from_a_repository_that_was_renamed() {
    let mut world = World::new();
    let commit = world.push("two");
    let renamed = |world: &World| {
        let mut payload = world.payload(&commit);
        payload["repository"]["full_name"] = "me/new-site".into();
        world.delivery("push", payload.to_string()).send()
    };
    assert_eq!(
        renamed(&world).whole(&world),
        "200 OK\nignored the push to the repository me/new-site: this site follows me/site, as its remote's URL says. If me/site \
         was renamed to me/new-site, set repository = \"me/new-site\" in <world>/cgi-bin/deploy.cgi.\n"
    );
    world.key("repository", "\"me/new-site\"");
    renamed(&world).expect(200, "deployed");
    world
        .push_delivery(&commit)
        .send()
        .says("follows me/new-site, as its key `repository` says.");
}

#[test]
fn the_deletion_of_the_branch_that_is_followed() {
    let world = World::new();
    let mut payload = world.payload(ZERO);
    payload["deleted"] = true.into();
    let reply = world.delivery("push", payload.to_string()).send();
    assert_eq!(
        reply.whole(&world),
        "200 OK\nignored the deletion of main, which this site follows: what is live stays. Push that branch again, or name \
         another one with the key `branch`.\n"
    );
}

#[test]
fn a_delivery_of_giteas_without_a_secret() {
    let world = World::new();
    for (name, other) in [
        ("HTTP_X_HUB_SIGNATURE_256", "HTTP_X_HUB_SIGNATURE"),
        ("HTTP_X_HUB_SIGNATURE", "HTTP_X_HUB_SIGNATURE_256"),
    ] {
        let empty = if name.ends_with("256") {
            "sha256="
        } else {
            "sha1="
        };
        let delivery = world.push_delivery(&world.head()).unsigned();
        let reply = delivery.var(name, empty).without(other).send();
        reply.expect(403, "refused");
        reply.says("the delivery is not signed: ");
        reply.says("Enter the secret in the webhook's settings.");
    }
}

#[test]
fn a_clone_key_that_names_another_remote_than_the_checkout_has() {
    let mut world = World::new();
    let moved = world.origin.url("me/moved.git");
    bring_about(&world, "cp -r upstream/me/site.git upstream/me/moved.git");
    world.key("clone", &quoted(&moved));
    world.key("repository", "\"me/site\"");
    let words = "the checkout comes from http://<origin>/me/site.git and is pulled from there, although the key `clone` says \
                 http://<origin>/me/moved.git";
    let commit = world.push("two");
    let reply = world.push_delivery(&commit).send();
    reply.expect(200, "deployed");
    let told = world.plain(&reply.body);
    assert!(
        told.contains(&format!("note: {words}: if the key is right")),
        "{told}"
    );
    let check = world.verb(&["check"]);
    assert!(world.plain(&check.stdout).contains(words), "{check:?}");
    for command in check
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("    git "))
    {
        bring_about(&world, &format!("git {command}"));
    }
    bring_about(
        &world,
        "git -C seed/site push -q ../../upstream/me/moved.git main",
    );
    let reply = world.push_delivery(&commit).send();
    reply.expect(200, "unchanged");
    let (now, _) = reply.body.split_once("This delivery came before.").unwrap();
    assert!(!now.contains("note: "), "{reply:#?}");
}

#[test]
fn a_folder_with_files_where_the_first_checkout_is_to_be() {
    let mut world = World::new();
    world.key("clone", &quoted(&world.origin.url("me/site.git")));
    bring_about(
        &world,
        "rm -rf checkout; mkdir checkout; echo mine >checkout/mine.html",
    );
    let push = || {
        let payload = payload_after(ZERO, &world.head_of("seed/site"));
        world.delivery("push", payload.to_string()).send()
    };
    let reply = push();
    reply.expect(500, "error");
    reply.says("has files in it and is no git checkout, so that nothing is cloned there: empty it, or name another folder");
    bring_about(&world, "rm checkout/mine.html");
    push().expect(200, "deployed");
}
