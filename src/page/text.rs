//! What is shown, for a client that reads text.

use std::fmt::Write;

use super::overview::{Overview, State};
use crate::commit_id::short;

/// Why deliveries wait where nobody deploys.
pub(super) const OWED: &str = "no deploy is running, and one is owed";

pub(super) fn page(overview: &Overview) -> String {
    let mut text = format!("{}: ", overview.state.word());
    text.push_str(&sentence(overview));
    text.push('\n');
    if let Some(live) = &overview.live {
        let _ = write!(text, "live: {}", live.commit.short());
        if let Some(since) = live.since {
            let _ = write!(text, ", since {} UTC", since.utc());
        }
        if let Some(subject) = &live.subject {
            let _ = write!(text, ": {subject}");
        }
        text.push('\n');
    }
    if let Some(workflow) = &overview.workflow {
        let green = short(workflow.green.as_ref());
        let pushed = short(workflow.pushed.as_ref());
        let _ = writeln!(
            text,
            "the newest green commit is {green}, the newest pushed one {pushed}"
        );
    }
    if let Some(held) = held_afterwards(overview) {
        let _ = writeln!(text, "{held}");
    }
    let _ = writeln!(text, "{}", waiting(overview.waiting));
    table(overview, &mut text);
    text
}

/// What waits, in words.
pub(super) fn waiting(count: usize) -> String {
    match count {
        0 => "nothing waits".to_owned(),
        1 => "1 delivery waits".to_owned(),
        several => format!("{several} deliveries wait"),
    }
}

/// That deploys are held, where one still runs.
pub(super) fn held_afterwards(overview: &Overview) -> Option<String> {
    overview.running.as_ref()?;
    let held = overview.held.as_ref()?;
    Some(format!("held after that{}", held.why()))
}

fn sentence(overview: &Overview) -> String {
    let branch = overview.branch.as_deref().unwrap_or("the checkout");
    match overview.state {
        State::Running => overview
            .running
            .as_ref()
            .map_or_else(String::new, |running| {
                let (step, since) = (running.step.name(), running.since.utc());
                format!("a deploy is at the step {step}, since {since} UTC")
            }),
        State::Held => overview.held.as_ref().map_or_else(String::new, |held| {
            let (since, why) = (held.since.utc(), held.why());
            format!("deploys have been held since {since} UTC{why}")
        }),
        State::Waiting => OWED.to_owned(),
        State::Failed => match overview.failed().and_then(|deploy| deploy.step) {
            Some(step) => format!(
                "the last deploy of {branch} failed at the step {}",
                step.name()
            ),
            None => format!("the last deploy of {branch} failed"),
        },
        State::Deployed => format!("the last deploy of {branch} ended well"),
        State::Nothing => "no deploy has ended".to_owned(),
    }
}

fn table(overview: &Overview, text: &mut String) {
    if overview.deploys.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\n{:<19}  {:<9}  {:<16}  {:>7}  subject",
        "time (UTC)", "verdict", "commits", "seconds"
    );
    for deploy in &overview.deploys {
        let row = format!(
            "{:<19}  {:<9}  {:<16}  {:>7.2}  {}",
            deploy.time.utc(),
            deploy.verdict.word(),
            deploy.commits(),
            deploy.seconds,
            deploy.subject.as_deref().unwrap_or_default()
        );
        let _ = writeln!(text, "{}", row.trim_end());
        if let Some(step) = deploy.step {
            let _ = writeln!(text, "  at {}", step.name());
        }
    }
}
