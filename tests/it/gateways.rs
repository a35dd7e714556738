//! What servers and gateways hand over that are not Apache, lighttpd or nginx, and what they leave out.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::hostile::{Twice, fed_by};
use crate::person::Person;
use crate::server::lay_php;
use crate::world::{Delivery, Spoken, World, quoted, text, wait_until, write_executable};

#[test]
fn a_query_that_is_left_out_is_an_empty_one() {
    let world = World::new();
    let star = || world.delivery("star", "{}").without("QUERY_STRING");
    star().send().expect(200, "ignored");
    let page = || star().bare("GET");
    page().send().expect(200, "ready");
    let uri = |uri: &str| page().var("REQUEST_URI", uri).send();
    uri("/cgi-bin/deploy.cgi").expect(200, "ready");
    // It was pushed out by a flood of headers, and is still to be seen.
    uri("/cgi-bin/deploy.cgi?check").expect(400, "refused");
    page().arguments(&["check"]).send().expect(400, "refused");
    let program = world.program.clone();
    let direct = || {
        let page = page().through(&program);
        page.var("DEPLOY_CGI_SITE", world.site_file())
    };
    direct().send().expect(200, "ready");
    direct().arguments(&["check"]).send().expect(400, "refused");
}

#[test]
fn a_length_may_stand_twice_or_be_left_to_the_end_of_the_input() {
    let world = World::new();
    let star = || world.delivery("star", "{}");
    let twice = |length: &str| {
        let entry = format!("CONTENT_LENGTH={length}");
        let twice = Twice::new(&world);
        twice.more(star(), &world.site_file(), &[&entry]).send()
    };
    twice("2").expect(200, "ignored");
    twice("1").expect(400, "refused");
    let to_the_end = |delivery: Delivery| delivery.var("CONTENT_LENGTH", "-1").send();
    to_the_end(star()).expect(200, "ignored");
    to_the_end(star().signed_with(b"guess")).expect(403, "refused");
}

#[test]
fn the_type_of_a_body_may_come_as_any_other_header() {
    let world = World::new();
    let star = |value: &str| {
        let delivery = world.delivery("star", "{}").without("CONTENT_TYPE");
        delivery.var("HTTP_CONTENT_TYPE", value)
    };
    star("application/json").send().expect(200, "ignored");
    star("text/plain").send().expect(415, "refused");
    // The server's own word comes first.
    let both = star("text/plain").var("CONTENT_TYPE", "application/json");
    both.send().expect(200, "ignored");
}

#[test]
fn a_body_that_was_lost_is_not_called_a_wrong_signature() {
    let world = World::new();
    let star = || world.delivery("star", "{}");
    let nothing = || world.delivery("star", "").signed_with(b"guess");
    for lost in [
        star().without("CONTENT_LENGTH"),
        star().var("CONTENT_LENGTH", ""),
        nothing().var("CONTENT_LENGTH", "2"),
        nothing().var("CONTENT_LENGTH", "-1"),
        nothing()
            .var("CONTENT_LENGTH", "")
            .var("HTTP_TRANSFER_ENCODING", "chunked"),
    ] {
        let reply = lost.send();
        reply.expect(400, "refused");
        reply.says("the body did not arrive");
    }
    let empty = nothing().send();
    empty.expect(403, "refused");
    empty.says("the signature does not match");
}

/// Apache's input filter DEFLATE hands over more than it announces, and cuts the answer of a program that leaves it.
#[test]
fn of_a_body_that_the_server_decompressed_all_is_taken() {
    let world = World::new();
    let compressed = || {
        let star = world.delivery("star", "{}");
        star.var("HTTP_CONTENT_ENCODING", "gzip")
    };
    let feed = "head -c 3000000 /dev/zero >body; { \"$1\"; wc -c >left; } <body";
    let announced = compressed().var("CONTENT_LENGTH", "3000");
    let reply = fed_by(&world, announced, "cgi-bin/feeder", feed).send();
    reply.expect(415, "refused");
    assert_eq!(world.read("cgi-bin/left").trim(), "0");
    // uwsgi never ends the input.
    let reply = compressed().input_stays_open().send();
    reply.expect(415, "refused");
}

/// As `mod_fcgid` and spawn-fcgi start a program: the socket where requests are to be accepted, and no variable of CGI.
#[test]
fn a_start_as_fastcgi_is_told_in_one_line() {
    let world = World::new();
    for program in [world.site_file(), world.program.clone()] {
        let socket = UnixListener::bind(world.path("socket")).unwrap();
        let mut command = world.clean(&program);
        let output = command.stdin(OwnedFd::from(socket)).output().unwrap();
        fs::remove_file(world.path("socket")).unwrap();
        let spoken = Spoken::from(output);
        spoken.expect_exit(1);
        assert_eq!(spoken.stdout, "");
        assert!(
            spoken
                .stderr
                .starts_with("deploy-cgi: this is CGI, not FastCGI: ")
        );
        assert_eq!(spoken.stderr.lines().count(), 1);
    }
    // A terminal may be a socket too, that of a connection.
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut command = world.clean(world.site_file());
    let output = command.stdin(OwnedFd::from(theirs)).output().unwrap();
    drop(ours);
    Spoken::from(output).says("A deploy would work.");
}

/// A script that starts the world's site file as a person, under a umask of the server's.
fn under_umask(umask: &str, person: &Person, world: &World) -> PathBuf {
    let script = world.path("server");
    let (name, site) = (&person.name, text(&world.site_file()));
    let start = format!("umask {umask}; exec \"$0\"");
    let line = format!("#!/bin/sh\nexec runuser -u {name} -- /bin/sh -c '{start}' '{site}'\n");
    write_executable(&script, &line);
    script
}

/// What `deploy.php` answers to a GET, where the site file is this program.
fn php_answers(world: &World, options: &[&str], site: &str) -> String {
    write_executable(&world.site_file(), site);
    lay_php(world);
    let mut php = world.clean("php-cgi");
    php.args(options).envs([
        ("REDIRECT_STATUS", "200"),
        ("REQUEST_METHOD", "GET"),
        ("SCRIPT_FILENAME", &text(&world.path("deploy.php"))),
        ("SCRIPT_NAME", "/deploy.php"),
        ("PATH_INFO", "/status.json"),
        ("QUERY_STRING", "key=a%20b"),
        ("HTTP_X_GITHUB_EVENT", "ping"),
        ("OF_THE_HOST", "x"),
    ]);
    let output = php.output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs php-cgi: ./tests/run"]
fn php_hands_over_a_request_and_its_answer() {
    let world = World::new();
    let site = "#!/bin/sh\nprintf 'Status: 403 Forbidden\\r\\nAllow: GET\\r\\nCache-Control: no-store\\r\\n'\n\
                printf 'Content-Type: text/plain; charset=utf-8\\r\\n\\r\\n'\n\
                echo $# $GATEWAY_INTERFACE $PATH_INFO $QUERY_STRING $HTTP_X_GITHUB_EVENT $OF_THE_HOST; printf 'a\\r\\n\\r\\nb'\n";
    let expected = "Status: 403 Forbidden\r\nAllow: GET\r\nCache-Control: no-store\r\n\
                    Content-Type: text/plain; charset=utf-8\r\n\r\n\
                    0 CGI/1.1 /status.json key=a%20b ping\na\r\n\r\nb";
    assert_eq!(php_answers(&world, &[], site), expected);
}

#[test]
#[ignore = "needs php-cgi: ./tests/run"]
fn php_that_cannot_start_the_site_says_so_and_nothing_else() {
    let world = World::new();
    let error = |line: &str| {
        format!(
            "Status: 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Cache-Control: no-store\r\n\r\nerror: {line}\n"
        )
    };
    let shown = ["-d", "display_errors=1"];
    let off = [
        "-d",
        "display_errors=1",
        "-d",
        "disable_functions=proc_open",
    ];
    let site = "#!/bin/sh\nexit\n";
    assert_eq!(
        php_answers(&world, &off, site),
        error("proc_open is switched off in this PHP")
    );
    let expected = error("PHP could not start deploy.cgi");
    for site in [site, "#!/no/such/program\n", "#!/bin/sh\necho no head\n"] {
        assert_eq!(php_answers(&world, &shown, site), expected, "{site}");
    }
}

mod by_root {
    use super::*;

    fn deploys_whatever_the_umask(world: &World, person: &Person) {
        for umask in ["0117", "0777", "0"] {
            let server = under_umask(umask, person, world);
            let commit = world.push(umask);
            let push = || world.push_delivery(&commit).through(&server);
            push().send().expect(200, "deployed");
            world.settle();
            let page = fs::metadata(world.path("checkout/index.html")).unwrap();
            assert_eq!(page.mode() & 0o777, 0o644, "{umask}");
            push().send().expect(200, "unchanged");
            let ping = world.ping_delivery().through(&server).send();
            ping.expect(200, "pong");
        }
        let commit = world.push("four");
        let push = world.push_delivery(&commit);
        push.through(&person.server(world))
            .send()
            .expect(200, "deployed");
        world.settle();
    }

    #[test]
    #[ignore = "needs root: ./tests/run"]
    fn the_umask_of_a_server_is_nothing_to_a_deploy() {
        let mut world = World::new();
        let person = Person::new();
        person.takes(&mut world);
        deploys_whatever_the_umask(&world, &person);
    }

    #[test]
    #[ignore = "needs root: ./tests/run"]
    fn the_umask_of_a_server_is_nothing_to_a_first_checkout() {
        let mut world = World::new();
        let person = Person::new();
        fs::remove_dir_all(world.checkout()).unwrap();
        fs::create_dir(world.checkout()).unwrap();
        world.key("clone", &quoted(&world.origin.url("me/site.git")));
        person.takes(&mut world);
        let server = under_umask("0777", &person, &world);
        let ping = world.ping_delivery().through(&server).send();
        ping.expect(200, "pong");
        deploys_whatever_the_umask(&world, &person);
    }

    #[test]
    #[ignore = "needs root: ./tests/run"]
    fn a_state_folder_that_its_owner_cannot_enter_is_mended() {
        let mut world = World::new();
        let person = Person::new();
        person.takes(&mut world);
        let server = person.server(&world);
        let push = |content: &str| {
            let delivery = world.push_delivery(&world.push(content));
            delivery.through(&server).send().expect(200, "deployed");
            world.settle();
        };
        push("two");
        for mode in [0o660, 0o000] {
            let close = |folder: &Path| {
                let closed = fs::Permissions::from_mode(mode);
                fs::set_permissions(folder, closed).unwrap();
            };
            let state = world.state("");
            close(&state);
            let star = world.delivery("star", "{}");
            star.through(&server).send().expect(200, "ignored");
            close(&state);
            let ping = world.ping_delivery();
            ping.through(&server).send().expect(200, "pong");
            let queue = world.state("queue");
            for delivery in [world.delivery("star", "{}"), world.ping_delivery()] {
                // A deploy that is owed, which no push leaves again.
                fs::write(queue.join("owed"), "").unwrap();
                person.owns(&queue);
                close(&queue);
                let reply = delivery.through(&server).send();
                assert_eq!(reply.status, 200, "{reply:#?}");
                wait_until("the deploy that is owed", || !queue.join("owed").exists());
                world.settle();
            }
            close(&queue);
            close(&state);
            push(&mode.to_string());
            // What is the person's is theirs to open.
            close(&world.path("checkout/posts"));
            let check = person.verb(&world, &["check"]);
            check.expect_exit(1);
            let mut lines = check.stdout.lines();
            let open = lines.find(|line| line.starts_with("    ") && line.contains("chmod"));
            person.does(open.unwrap());
            person.verb(&world, &["check"]).expect_exit(0);
        }
    }

    /// A script that starts the world's site file after these commands, in mounts of its own.
    fn after(mounts: &str, world: &World) -> PathBuf {
        let script = world.path("server");
        let start = format!("{mounts} && exec \"$0\"");
        let site = text(&world.site_file());
        let line = format!("#!/bin/sh\nexec unshare --mount /bin/sh -c '{start}' '{site}'\n");
        write_executable(&script, &line);
        script
    }

    #[test]
    #[ignore = "needs root: ./tests/run"]
    fn in_a_container_without_proc_a_push_is_deployed() {
        let world = World::new();
        let commit = world.push("two");
        let push = world.push_delivery(&commit);
        push.through(&after("mount -t tmpfs none /proc", &world))
            .send()
            .expect(200, "deployed");
        world.settle();
        assert_eq!(world.head(), commit);
    }

    #[test]
    #[ignore = "needs root: ./tests/run"]
    fn in_a_container_without_dev_null_that_is_what_is_missing() {
        let world = World::new();
        // The world may be in /dev/shm.
        let mounts = "exec 9</dev/shm && mount -t tmpfs none /dev && mkdir /dev/shm && \
                      mount -c --bind /proc/self/fd/9 /dev/shm && exec 9<&-";
        let server = after(mounts, &world);
        let push = world.push_delivery(&world.push("two"));
        for delivery in [push, world.ping_delivery()] {
            let reply = delivery.through(&server).send();
            assert_eq!(reply.status, 500, "{reply:#?}");
            reply.says("cannot open /dev/null");
            assert!(!reply.body.contains("install git"), "{reply:#?}");
        }
    }
}
