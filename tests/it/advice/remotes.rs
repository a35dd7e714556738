//! The remote: logins, addresses, answers that do not come.

use super::{failed, fails, is_mended, set_url, told};
use crate::world::{World, text};

#[test]
fn a_private_remote_without_a_login() {
    let world = World::new();
    set_url(&world, &world.origin.url("auth/me/site.git"));
    fails(
        &world,
        &world.head(),
        r"
http://<origin>/auth/me/site.git is private or not there: it wants a login, and <user> has none stored
-> store the login for <user> (git asks for it once), then press Redeliver:
$ git config --global credential.helper store
$ git -C '<world>/checkout' fetch origin
",
    );
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
    fails(
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
