//! What runs because of a world, and how it is ended.

use std::fs;

use memchr::memmem;
use rustix::process::{Pid, Signal, kill_process};

use super::world::{World, text, wait_until};

/// A process at work in a world, the server of its upstream not counted.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) words: Vec<String>,
}

impl Process {
    pub(crate) fn is_git(&self) -> bool {
        self.words
            .first()
            .is_some_and(|word| word.rsplit('/').next().unwrap().starts_with("git"))
    }

    pub(crate) fn is_worker(&self) -> bool {
        self.words.get(1).is_some_and(|word| word == "worker")
    }

    /// The one that the web server started.
    pub(crate) fn is_front(&self, world: &World) -> bool {
        self.words.get(1) == Some(&text(&world.site_file()))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // It may have ended by itself in the meantime.
        let _ = kill_process(Pid::from_raw(self.pid).unwrap(), signal);
    }
}

/// All that runs because of this world's deliveries: it has the world's folder in its environment or arguments.
pub(crate) fn processes(world: &World) -> Vec<Process> {
    let folder = text(&world.path(""));
    let folder = folder.trim_end_matches('/').as_bytes();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
        let has = |bytes: &[u8], word: &[u8]| memmem::find(bytes, word).is_some();
        let (words, environ) = (read("cmdline"), read("environ"));
        if pid == i32::try_from(std::process::id()).unwrap()
            || !(has(&words, folder) || has(&environ, folder))
            || has(&environ, b"GIT_PROJECT_ROOT=")
        {
            continue;
        }
        let words = words
            .split(|&byte| byte == 0)
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect();
        found.push(Process { pid, words });
    }
    found
}

/// Waits until nothing runs in a world.
#[track_caller]
pub(crate) fn wait_until_quiet(world: &World) {
    loop {
        let there = processes(world);
        if there.is_empty() {
            return;
        }
        // To go through all of /proc each time would take more of the processor than what is waited for.
        wait_until("the end of all processes", || {
            !there.iter().any(|known| is_alive(&known.pid.to_string()))
        });
    }
}

/// Whether a process is there and has not ended: one that nobody asked for its exit code yet
/// is a zombie.
pub(crate) fn is_alive(id: &str) -> bool {
    fs::read_to_string(format!("/proc/{id}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().starts_with(" Z"))
}

pub(crate) fn kill(id: &str) {
    let id = Pid::from_raw(id.parse().unwrap()).unwrap();
    kill_process(id, Signal::KILL).unwrap();
}

/// The session of a process: the sixth field of its stat, the fourth after the name.
pub(crate) fn session_of(id: &str) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let after = stat.rsplit(')').next()?;
    after.split_whitespace().nth(3).map(str::to_owned)
}

/// All processes of a session that are alive.
pub(crate) fn processes_of_session(session: &str) -> Vec<String> {
    let ids = fs::read_dir("/proc").unwrap().flatten();
    let ids = ids.filter_map(|entry| entry.file_name().into_string().ok());
    ids.filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|id| session_of(id).as_deref() == Some(session) && is_alive(id))
        .collect()
}

/// Kills all processes of a deploy: they have a session of their own.
pub(crate) fn kill_session_of(id: &str) {
    let session = session_of(id).expect("a process that is alive");
    assert_ne!(Some(&session), session_of("self").as_ref());
    // The worker first: it would go on with what it started.
    kill_if_there(&session);
    wait_until("the end of a session", || {
        let left = processes_of_session(&session);
        for id in &left {
            kill_if_there(id);
        }
        left.is_empty()
    });
}

/// Whether it was.
fn kill_if_there(id: &str) -> bool {
    let id = Pid::from_raw(id.parse().unwrap()).unwrap();
    kill_process(id, Signal::KILL).is_ok()
}
