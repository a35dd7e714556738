//! What a ping says about the hook itself.

use super::{Finding, Health};
use crate::delivery::{Delivery, Form, Ping};
use crate::diagnosis::Advice;
use crate::redaction::excerpt;

/// What a ping says about the hook itself.
pub(crate) fn of_ping(ping: &Ping, delivery: &Delivery, of_site: &[Finding]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_subscribed =
        |events: &[String]| events.iter().any(|event| event == "push" || event == "*");
    match &ping.events {
        Some(events) if !is_subscribed(events) => findings.push(Finding::warning(
            "hook",
            "it does not deliver pushes",
            Advice::words("choose \"Just the push event\" in the webhook's settings"),
        )),
        Some(_) => findings.push(Finding::ok("hook", "delivers pushes")),
        None => {}
    }
    let content = match delivery.form {
        Form::Json => "application/json",
        Form::Urlencoded => {
            "application/x-www-form-urlencoded (application/json is simpler; both work)"
        }
    };
    findings.push(Finding::ok("content type", content));
    if delivery.carries_secret {
        findings.push(Finding::warning(
            "secret",
            "GitHub sent it in the header X-Github-Encoded-Secret of this delivery; a log of the web server may have kept it",
            Advice::words(
                "change it: write a new one as a second line of the secret file, enter it in the webhook's settings, and \
                 then remove the old line",
            ),
        ));
    }
    if ping.insecure_tls {
        findings.push(Finding::warning(
            "TLS",
            "GitHub does not check this server's certificate",
            Advice::words("choose \"Enable SSL verification\" in the webhook's settings"),
        ));
    }
    let ours = of_site
        .iter()
        .find(|finding| finding.what == "repository" && finding.state == Health::Ok);
    if let (Some(theirs), Some(ours)) = (&ping.repository, ours)
        && !ours.found.eq_ignore_ascii_case(theirs)
    {
        findings.push(Finding::warning(
            "hook",
            format!(
                "it belongs to {}, and this site follows {}: its pushes will be ignored",
                excerpt(theirs),
                ours.found
            ),
            Advice::words(
                "make the hook in the repository that this site follows, or set the key `repository`",
            ),
        ));
    }
    findings
}
