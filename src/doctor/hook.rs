//! What a ping says about the hook itself.

use super::{Finding, Health};
use crate::delivery::{Delivery, Form, Ping};
use crate::diagnosis::Advice;
use crate::redaction::excerpt;

/// What a ping says about the hook itself, beside what was found of the site.
pub(crate) fn of_ping(ping: &Ping, delivery: &Delivery, of_site: &[Finding]) -> Vec<Finding> {
    let ok = |what, found: &str| Finding::new(what, Health::Ok, found, None);
    let warning = |what, found: &str, words: &str| {
        Finding::new(what, Health::Warning, found, Some(Advice::words(words)))
    };
    let mut findings = Vec::new();
    if let Some(events) = &ping.events {
        findings.push(
            if events.iter().any(|event| event == "push" || event == "*") {
                ok("hook", "delivers pushes")
            } else {
                warning(
                    "hook",
                    "it does not deliver pushes",
                    "choose \"Just the push event\" in the webhook's settings",
                )
            },
        );
    }
    findings.push(match delivery.form {
        Form::Json => ok("content type", "application/json"),
        Form::Urlencoded => ok(
            "content type",
            "application/x-www-form-urlencoded (application/json is simpler; both work)",
        ),
    });
    if delivery.carries_secret {
        findings.push(warning(
            "secret",
            "GitHub sent it in the header X-Github-Encoded-Secret of this delivery; a log of the web server may have kept it",
            "change it: write a new one as a second line of the secret file, enter it in the webhook's settings, and \
             then remove the old line",
        ));
    }
    if ping.insecure_tls {
        findings.push(warning(
            "TLS",
            "GitHub does not check this server's certificate",
            "choose \"Enable SSL verification\" in the webhook's settings",
        ));
    }
    let is_ours = |finding: &&Finding| finding.what == "repository" && finding.state == Health::Ok;
    if let (Some(theirs), Some(ours)) = (&ping.repository, of_site.iter().find(is_ours))
        && !ours.said.cause.eq_ignore_ascii_case(theirs)
    {
        findings.push(warning(
            "hook",
            &format!(
                "it belongs to {}, and this site follows {}: its pushes will be ignored",
                excerpt(theirs),
                ours.said.cause
            ),
            "make the hook in the repository that this site follows, or set the key `repository`",
        ));
    }
    findings
}
