//! Our times as a person reads them, with the local one beside each.

use std::path::Path;
use std::time::Duration;

use crate::cgi::Environment;
use crate::moment::Moment;
use crate::process::{Programs, Run};
use crate::redaction::excerpt;

/// Prints local times. To know them one has to read the rules of all countries, which the host's own program does.
const LOCAL_TIMES: &str = r#"for at; do date -d "@$at" "+%H:%M %Z"; done"#;

/// How long that may take.
const LOCAL_TIMES_LIMIT: Duration = Duration::from_secs(2);

/// A time of ours as a person reads it, with the local one beside it.
pub(super) fn with_local_time(time: Moment, env: &Environment) -> String {
    let here = local_times([time].into_iter(), env).concat();
    let here = if here.is_empty() {
        here
    } else {
        format!(" ({here})")
    };
    format!("{} UTC{here}", time.utc())
}

/// The local times of times of ours; empty ones where they cannot be known.
pub(super) fn local_times(times: impl Iterator<Item = Moment>, env: &Environment) -> Vec<String> {
    let seconds: Vec<String> = times.map(|time| time.0.to_string()).collect();
    let programs = Programs::in_path(env.first("PATH"));
    let mut variables = vec![("PATH".into(), programs.as_path().to_owned())];
    variables.extend(env.first("TZ").map(|zone| ("TZ".into(), zone.to_owned())));
    let run = Run {
        env: variables,
        ..Run::new(Path::new("/bin/sh"), LOCAL_TIMES_LIMIT)
    };
    let args = ["-c", LOCAL_TIMES, "sh"].into_iter().map(str::to_owned);
    let asked = run.args(args.chain(seconds.iter().cloned())).output_apart();
    let output = asked.map(|asked| asked.output).unwrap_or_default();
    let lines = String::from_utf8_lossy(&output);
    let here: Vec<String> = lines.lines().map(excerpt).collect();
    if here.len() == seconds.len() {
        here
    } else {
        vec![String::new(); seconds.len()]
    }
}
