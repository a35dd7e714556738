//! What a ping says about the hook itself.

use super::Doctor;
use super::Health::{Problem, Warning};
use crate::delivery::{Delivery, Form, Ping};
use crate::redaction::excerpt;

const HOOK: &str = "hook";

impl Doctor<'_> {
    pub(super) fn hook(&mut self, ping: &Ping, delivery: &Delivery) {
        let findings = &mut self.findings;
        let sends = |wanted: &str| {
            let events = ping.events.as_deref();
            events.is_none_or(|events| events.iter().any(|event| event == wanted || event == "*"))
        };
        if !sends("push") {
            finding!(findings, Problem, HOOK, "it does not deliver pushes";
                "choose \"Just the push event\" in the webhook's settings");
        } else if ping.events.is_some() {
            findings.ok(HOOK, "delivers pushes");
        }
        if let Some(workflow) = &self.site.workflow
            && !sends("workflow_run")
        {
            finding!(findings, Problem, HOOK, "it does not deliver workflow runs, and this site waits for {workflow}";
                "choose \"Let me select individual events\", \"Pushes\" and \"Workflow runs\" in the webhook's settings");
        }
        let form = match delivery.form {
            Form::Json => "application/json",
            Form::Urlencoded => {
                "application/x-www-form-urlencoded (application/json is simpler; both work)"
            }
        };
        findings.ok("content type", form);
        if delivery.carries_secret {
            finding!(findings, Warning, "secret",
                "GitHub sent it in the header X-Github-Encoded-Secret of this delivery; a log of the web server may have kept it";
                "change it: write a new one as a second line of the secret file, enter it in the webhook's settings, and \
                 then remove the old line");
        }
        if ping.insecure_tls {
            finding!(findings, Warning, "TLS", "GitHub does not check this server's certificate";
                "choose \"Enable SSL verification\" in the webhook's settings");
        }
        if let Some(theirs) = &ping.repository {
            self.repository_of_hook(theirs);
        }
    }

    fn repository_of_hook(&mut self, theirs: &str) {
        let Some(ours) = self.repositories.first() else {
            return;
        };
        let mut followed = self.repositories.iter();
        if followed.any(|followed| *followed == *theirs) {
            return;
        }
        let theirs = excerpt(theirs);
        finding!(self.findings, Problem, HOOK,
            "it belongs to {theirs}, and this site follows {ours}: its pushes will be ignored";
            "make the hook in the repository that this site follows; or, where that was renamed, set the key `repository`");
    }
}
