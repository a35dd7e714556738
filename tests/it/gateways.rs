//! What servers and gateways hand over that are not Apache, lighttpd or nginx, and what they leave out.

use crate::world::World;

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
