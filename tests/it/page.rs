//! The status page: who is shown it, and how it is opened.

use crate::world::World;

#[test]
fn a_person_is_told_how_to_open_the_page() {
    let mut world = World::new();
    let off = world.verb(&["status", "--link"]);
    off.expect_exit(1);
    off.says("    status_page = true");
    world.key("status_page", "true");
    let open = world.verb(&["status", "--link"]);
    open.expect_exit(0);
    open.says("Everybody can open the status page");
    assert!(!open.stdout.contains("key="), "{open:?}");
    world.key("status_page", "\"secret-link\"");
    let link = world.verb(&["status", "--link"]);
    link.expect_exit(0);
    // Made with openssl, of the secret of all worlds.
    link.says("    ?key=972a57e570804c988c6d8eee182e71a0c809d7ec3c15192669e0e63e9f0297e7\n");
}
