//! The few fields of a payload that are read (GitHub's documentation, "Webhook events and payloads"), and the event that they
//! make.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Formatter;

use serde::de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{Event, Ping, Push, WorkflowRun};
use crate::commit_id::CommitId;
use crate::web_address::WebAddress;

/// The most paths that a push is known by, and the longest, in bytes: what a few repositories inside a repository need.
const MAX_PATHS: usize = 4096;
const MAX_PATH: usize = 255;

impl Event {
    /// Reads the JSON of the event with this name. The error says what is wrong with it.
    pub(super) fn parse(name: &str, json: &[u8]) -> Result<Self, String> {
        // The parser looks only into the strings that it is to return, and would take an array for a struct.
        if std::str::from_utf8(json).is_err() {
            return Err("it is not UTF-8".to_owned());
        }
        if json.trim_ascii_start().starts_with(b"[") {
            return Err("it is an array".to_owned());
        }
        match name {
            "ping" => read::<PingPayload>(json).map(|ping| Self::Ping(ping.into())),
            "push" => read::<PushPayload>(json)?.try_into().map(Self::Push),
            "workflow_run" => {
                let payload = read::<WorkflowRunPayload>(json)?;
                payload.try_into().map(Self::WorkflowRun)
            }
            _ => read(json).map(|Nothing {}| Self::Other(name.to_owned())),
        }
    }
}

fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, String> {
    serde_json::from_slice(json).map_err(|error| error.to_string())
}

#[derive(Deserialize)]
struct Nothing {}

#[derive(Deserialize)]
struct PushPayload {
    #[serde(rename = "ref")]
    git_ref: String,
    before: Option<String>,
    after: String,
    repository: Repository,
    #[serde(default)]
    commits: Paths,
}

/// The paths in `commits[].added` and `commits[].modified`. Whatever else stands there is passed by.
#[derive(Default)]
struct Paths(BTreeSet<String>);

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(commits: D) -> Result<Self, D::Error> {
        let mut paths = BTreeSet::new();
        let walk = Walk {
            paths: &mut paths,
            depth: 0,
        };
        walk.deserialize(commits)?;
        Ok(Self(paths))
    }
}

/// A walk through the list of commits: commits, a commit, one of its lists, a path.
struct Walk<'p> {
    paths: &'p mut BTreeSet<String>,
    depth: usize,
}

/// How deep the paths are.
const DEPTH_OF_PATHS: usize = 3;

impl Walk<'_> {
    fn inside(&mut self) -> Walk<'_> {
        Walk {
            paths: self.paths,
            depth: self.depth + 1,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        if self.depth > DEPTH_OF_PATHS || self.paths.len() >= MAX_PATHS {
            return IgnoredAny::deserialize(value).map(drop);
        }
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, path: &str) -> Result<(), E> {
        if self.depth == DEPTH_OF_PATHS && path.len() <= MAX_PATH {
            self.paths.insert(path.to_owned());
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(self.inside())?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<(), A::Error> {
        while let Some(name) = fields.next_key::<Cow<'_, str>>()? {
            match &*name {
                "added" | "modified" => fields.next_value_seed(self.inside())?,
                _ => fields.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Repository {
    full_name: Option<String>,
    name: Option<String>,
    owner: Option<Owner>,
    /// Nothing that is deployed depends on it, whatever it is.
    statuses_url: Option<Value>,
}

#[derive(Deserialize)]
struct Owner {
    login: Option<String>,
    name: Option<String>,
}

impl Repository {
    /// Whose event this is.
    fn required_name(self) -> Result<String, String> {
        let why = || "`repository` has no `full_name`".to_owned();
        self.full_name().ok_or_else(why)
    }

    /// `owner/name`; payloads older than `full_name` say it in two fields.
    fn full_name(self) -> Option<String> {
        self.full_name.or_else(|| {
            let owner = self.owner?;
            Some(format!("{}/{}", owner.login.or(owner.name)?, self.name?))
        })
    }

    /// What stands before `/repos/owner/name/statuses/{sha}` in `statuses_url`.
    fn api(&self) -> Option<WebAddress> {
        let url = self.statuses_url.as_ref()?.as_str()?;
        let url = url.strip_suffix("/statuses/{sha}")?;
        let (base, _) = url.rsplit_once("/repos/")?;
        let path = base.split_once("://")?.1;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:/[]".contains(c);
        let is_straight = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        WebAddress::parse(base).filter(|_| is_straight && path.chars().all(is_plain))
    }
}

impl TryFrom<PushPayload> for Push {
    type Error = String;

    fn try_from(push: PushPayload) -> Result<Self, Self::Error> {
        let id = |text: &str| CommitId::parse(text).ok_or("`before` or `after` is no commit id");
        let after = id(&push.after)?;
        let before = push.before.as_deref().map(id).transpose()?;
        let (gone, is_new) = (
            after.is_zero(),
            before.as_ref().is_some_and(CommitId::is_zero),
        );
        Ok(Self {
            deletion: gone && !is_new,
            before: before.filter(|_| !is_new),
            after: (!gone).then_some(after),
            api: push.repository.api(),
            repository: push.repository.required_name()?,
            git_ref: push.git_ref,
            paths: push.commits.0,
        })
    }
}

#[derive(Deserialize)]
struct WorkflowRunPayload {
    action: String,
    workflow_run: RunFields,
    workflow: Option<Workflow>,
    repository: Repository,
}

#[derive(Deserialize)]
struct RunFields {
    id: u64,
    run_attempt: Option<u64>,
    head_sha: String,
    head_branch: Option<String>,
    event: String,
    conclusion: Option<String>,
    path: Option<String>,
    head_repository: Option<Repository>,
}

#[derive(Deserialize)]
struct Workflow {
    path: Option<String>,
}

impl TryFrom<WorkflowRunPayload> for WorkflowRun {
    type Error = String;

    fn try_from(payload: WorkflowRunPayload) -> Result<Self, Self::Error> {
        let run = payload.workflow_run;
        let api = payload.repository.api();
        let repository = payload.repository.required_name()?;
        // Payloads of 2021 have it in one place only.
        let of_workflow = payload.workflow.and_then(|workflow| workflow.path);
        let file = run.path.or(of_workflow).unwrap_or_default();
        Ok(Self {
            id: run.id,
            attempt: run.run_attempt.unwrap_or(1),
            action: payload.action,
            conclusion: run.conclusion,
            event: run.event,
            file: workflow_file(&file, &repository).to_owned(),
            branch: run.head_branch,
            api,
            commit: CommitId::parse(&run.head_sha).ok_or("`head_sha` is no commit id")?,
            head_repository: run.head_repository.and_then(Repository::full_name),
            repository,
        })
    }
}

/// The file in what GitHub names a workflow by: `owner/name/` may stand before it, and `@` with a ref behind.
fn workflow_file<'p>(path: &'p str, repository: &str) -> &'p str {
    let file = path
        .get(..repository.len())
        .filter(|start| start.eq_ignore_ascii_case(repository))
        .and_then(|_| path[repository.len()..].strip_prefix('/'))
        .unwrap_or(path);
    let ends = [".yml@", ".yaml@"].into_iter();
    let end = ends.filter_map(|end| Some(file.find(end)? + end.len() - 1));
    &file[..end.min().unwrap_or(file.len())]
}

#[derive(Deserialize)]
struct PingPayload {
    // Every ping has these two, and no other event: a signature covers the body alone, and not the event's name.
    #[serde(rename = "zen")]
    _zen: String,
    #[serde(rename = "hook_id")]
    _hook_id: u64,
    repository: Option<Repository>,
    hook: Option<Hook>,
}

#[derive(Default, Deserialize)]
struct Hook {
    events: Option<Vec<String>>,
    config: Option<HookConfig>,
}

#[derive(Default, Deserialize)]
struct HookConfig {
    /// `"0"` or `"1"`; a number in some deliveries.
    insecure_ssl: Option<Value>,
    url: Option<Value>,
}

impl From<PingPayload> for Ping {
    fn from(ping: PingPayload) -> Self {
        let hook = ping.hook.unwrap_or_default();
        let config = hook.config.unwrap_or_default();
        let insecure = config.insecure_ssl;
        Self {
            repository: ping.repository.and_then(Repository::full_name),
            events: hook.events,
            insecure_tls: insecure.is_some_and(|value| value == "1" || value == 1),
            address: config.url.and_then(|url| WebAddress::parse(url.as_str()?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "1481a2de7b2a7d02428ad93446ab166be7793fbb";
    const ZERO: &str = "0000000000000000000000000000000000000000";

    #[test]
    fn a_deletion_is_told_by_the_ids() {
        let (long_id, long_zero) = ("a".repeat(64), "0".repeat(64));
        for (before, after, deletion, commit) in [
            (ID, ID, false, Some(ID)),
            (ZERO, ID, false, Some(ID)),
            (ID, ZERO, true, None),
            (ZERO, ZERO, false, None),
            (&long_zero, &long_id, false, Some(&*long_id)),
            (&long_id, &long_zero, true, None),
        ] {
            let json = format!(
                r#"{{"ref":"refs/heads/main","before":"{before}","after":"{after}","repository":{{"full_name":"o/n"}},"x":[{{}}]}}"#
            );
            let Ok(Event::Push(push)) = Event::parse("push", json.as_bytes()) else {
                panic!("not a push")
            };
            let after = push.after.as_ref().map(CommitId::as_str);
            assert_eq!((push.deletion, after), (deletion, commit));
        }
    }

    #[test]
    fn the_api_is_what_stands_before_the_repository() {
        for (url, expected) in [
            (
                "https://api.github.com/repos/o/n/statuses/{sha}",
                Some("https://api.github.com/"),
            ),
            (
                "https://h:8443/api/v3/repos/o/n/statuses/{sha}",
                Some("https://h:8443/api/v3"),
            ),
            (
                "http://127.0.0.1:80/repos/o/n/statuses/{sha}",
                Some("http://127.0.0.1:80/"),
            ),
            ("http://h/repos/o/n/statuses/{sha}", None),
            ("https://me:pass@h/repos/o/n/statuses/{sha}", None),
            ("https://h/a/../b/repos/o/n/statuses/{sha}", None),
            ("https://h//repos/o/n/statuses/{sha}", None),
            ("https://h/?x=/repos/o/n/statuses/{sha}", None),
            ("https://h/%2e%2e/repos/o/n/statuses/{sha}", None),
            (
                "https://h/\\nurl = file:///etc/passwd/repos/o/n/statuses/{sha}",
                None,
            ),
            ("file:///repos/o/n/statuses/{sha}", None),
            ("https://h/repos/o/n/statuses/", None),
            ("https://h/statuses/{sha}", None),
            ("", None),
        ] {
            let json = format!(
                r#"{{"ref":"refs/heads/main","after":"{ID}","repository":{{"full_name":"o/n","statuses_url":"{url}"}}}}"#
            );
            let Ok(Event::Push(push)) = Event::parse("push", json.as_bytes()) else {
                panic!("not a push")
            };
            let api = push.api.map(|api| api.to_string());
            assert_eq!(api.as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn what_only_statuses_need_refuses_no_push() {
        for url in ["7", "null", "[]", "{}", "true"] {
            let json = format!(
                r#"{{"ref":"refs/heads/main","after":"{ID}","repository":{{"full_name":"o/n","statuses_url":{url}}}}}"#
            );
            let Ok(Event::Push(push)) = Event::parse("push", json.as_bytes()) else {
                panic!("{url}: not a push")
            };
            assert_eq!(push.api, None, "{url}");
        }
    }

    #[test]
    fn the_file_of_a_workflow_is_found_in_every_form() {
        for (path, expected) in [
            (".github/workflows/ci.yml", ".github/workflows/ci.yml"),
            (
                "O/n/.github/workflows/ci.yml@main",
                ".github/workflows/ci.yml",
            ),
            (
                ".github/workflows/ci.yaml@refs/heads/a@b",
                ".github/workflows/ci.yaml",
            ),
            (
                ".github/workflows/a@b.yml@v1.yml@x",
                ".github/workflows/a@b.yml",
            ),
            (
                "o/other/.github/workflows/ci.yml",
                "o/other/.github/workflows/ci.yml",
            ),
            (
                "o/nn/.github/workflows/ci.yml",
                "o/nn/.github/workflows/ci.yml",
            ),
            (
                "dynamic/pages/pages-build-deployment",
                "dynamic/pages/pages-build-deployment",
            ),
            ("ö/n", "ö/n"),
            ("", ""),
        ] {
            assert_eq!(workflow_file(path, "o/n"), expected, "{path}");
        }
    }

    #[test]
    fn a_run_says_what_counts() {
        let json = |run: &str, workflow: &str| {
            format!(
                r#"{{"action":"completed","workflow_run":{{"id":7,"event":"push",{run}}},"workflow":{workflow},"repository":{{"full_name":"o/n"}}}}"#
            )
        };
        let parse = |json: &str| Event::parse("workflow_run", json.as_bytes());
        let run = WorkflowRun {
            id: 7,
            attempt: 1,
            action: "completed".into(),
            conclusion: None,
            event: "push".into(),
            file: "ci.yml".into(),
            branch: None,
            commit: CommitId::parse(ID).unwrap(),
            repository: "o/n".into(),
            api: None,
            head_repository: None,
        };
        let old =
            format!(r#""head_sha":"{ID}","head_branch":null,"head_repository":null,"name":null"#);
        let parsed = parse(&json(&old, r#"{"path":"ci.yml"}"#));
        assert_eq!(parsed, Ok(Event::WorkflowRun(run.clone())));
        let new = format!(
            r#""head_sha":"{ID}","head_branch":"main","run_attempt":2,"conclusion":"success","path":"o/n/ci.yml@main","head_repository":{{"full_name":"f/n"}}"#
        );
        let new_run = WorkflowRun {
            attempt: 2,
            conclusion: Some("success".into()),
            branch: Some("main".into()),
            head_repository: Some("f/n".into()),
            ..run
        };
        let parsed = parse(&json(&new, "null"));
        assert_eq!(parsed, Ok(Event::WorkflowRun(new_run)));
        for run in ["\"head_sha\":\"main\"", "\"head_sha\":null", "\"x\":1"] {
            assert!(parse(&json(run, "null")).is_err(), "{run}");
        }
    }

    #[test]
    fn a_ping_may_have_a_repository_an_organisation_or_neither() {
        for json in [
            "{}",
            r#"{"hook_id":1}"#,
            r#"{"zen":"z","hook_id":"1"}"#,
            r#"{"zen":"z","hook":{"events":["push"]}}"#,
            r#"{"ref":"refs/heads/main","after":"x","repository":{"full_name":"o/n"}}"#,
        ] {
            assert!(Event::parse("ping", json.as_bytes()).is_err(), "{json}");
        }
        let of_a_repository = Ping {
            repository: Some("o/n".into()),
            events: Some(vec!["push".into()]),
            insecure_tls: true,
            address: WebAddress::parse("https://example.org/cgi-bin/deploy.cgi"),
        };
        for (json, expected) in [
            (
                r#"{"zen":"z","hook_id":1,"organization":{"login":"o"},"repository":null}"#,
                Ping::default(),
            ),
            (
                r#"{"zen":"z","hook_id":1,"repository":{"name":"n","owner":{"login":"o"}},"hook":{"events":["push"],"config":{"insecure_ssl":"1","url":"https://example.org/cgi-bin/deploy.cgi"}}}"#,
                of_a_repository,
            ),
        ] {
            assert_eq!(
                Event::parse("ping", json.as_bytes()),
                Ok(Event::Ping(expected))
            );
        }
    }
}
