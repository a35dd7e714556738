//! Death at any moment: one delivery later the site is what was pushed, and nothing of the person's is gone.
//!
//! Nothing in the program helps here. `strace` ends a process at its Nth call of a kind, and SIGKILL or SIGTERM ends one
//! found in /proc. `./tests/run` takes a sample; the whole of it takes long and is run by hand:
//!
//!     cargo test --test it long_walks:: -- --ignored --nocapture --test-threads 4

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::process::{Process, processes, wait_until_quiet};
use crate::tree::{Thing, Tree, differences, paths_below, tree_of};
use crate::world::{
    Delivery, Reply, World, is_marked, quoted, search_path, text, wait_until, write_executable,
};

/// Every system call after which something is different for those who come later.
const CALLS: &[&str] = &[
    "?open,openat",
    "fsync,fdatasync",
    "?rename,?renameat,?renameat2",
    "?unlink,unlinkat",
    "flock",
    "execve",
    "clone,?clone3,?fork,?vfork",
    "write",
    "?mkdir,mkdirat",
];

/// What a test does with numbers that should differ and yet be the same in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

/// A walk takes long: what it finds is told at once.
fn say(words: &str) {
    let mut stderr = std::io::stderr().lock();
    writeln!(stderr, "{words}").unwrap();
}

// ---- a site, a push to it, and how it must be afterwards ----

/// A site at one commit, and a push that changes much of it and brings a submodule.
struct Stage {
    world: World,
    commit: String,
    /// The body of the delivery.
    body: String,
    /// What differs from a fresh clone: the person's own.
    own: Tree,
}

/// A file that the push changes.
const CHANGED: &str = "d0/f0.txt";
/// One that it leaves alone.
const UNRELATED: &str = "d1/f1.txt";

fn lines(name: &str, version: usize, number: usize) -> String {
    let mut all = String::new();
    for line in 0..=(number * 7 % 150) {
        writeln!(all, "{name} version {version} line {line}").unwrap();
    }
    all
}

impl Stage {
    fn new(files: usize) -> Stage {
        let mut world = World::new();
        world.key("on_update", "\"echo $DEPLOY_NEW >> ../ran\"");
        let commit = Stage::plant(&world, files, 1);
        world.push_delivery(&commit).send().expect(200, "deployed");
        world.settle();
        wait_until_quiet(&world);
        // Then git's own tidying is part of what is killed.
        fs::remove_file(world.state("maintenance")).unwrap();
        copy(&world.checkout(), &world.path("before"));
        let commit = Stage::plant(&world, files, 2);
        let url = world.origin.url("me/site.git");
        let fresh = text(&world.path("fresh"));
        world.git(
            &world.path(""),
            &["clone", "-q", "--recursive", &url, &fresh],
        );
        Stage {
            body: world.payload(&commit).to_string(),
            world,
            commit,
            own: Tree::new(),
        }
    }

    /// Pushes the first or the second state of the site.
    fn plant(world: &World, files: usize, version: usize) -> String {
        let (site, posts) = (world.path("seed/site"), world.path("seed/posts"));
        for number in 0..files {
            let name = format!("d{}/f{number}.txt", number % 40);
            let path = site.join(&name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match (number % 20, version) {
                (_, 1) => fs::write(&path, lines(&name, 1, number)).unwrap(),
                (3, _) => fs::remove_file(&path).unwrap(),
                (5, _) => {
                    fs::remove_file(&path).unwrap();
                    fs::create_dir(&path).unwrap();
                    fs::write(path.join("inside.txt"), "was a file\n").unwrap();
                }
                (7, _) => fs::write(site.join(format!("d7/new{number}.txt")), &name).unwrap(),
                (9, _) => {
                    fs::remove_file(&path).unwrap();
                    symlink("../index.html", &path).unwrap();
                }
                (number_of_kind, _) if number_of_kind % 2 == 0 => {
                    fs::write(&path, lines(&name, 2, number + 3)).unwrap();
                }
                _ => {}
            }
            if number % 4 == 0 {
                fs::write(
                    posts.join(format!("post{number}.md")),
                    lines("post", version, number),
                )
                .unwrap();
            }
        }
        world.git(&posts, &["add", "-A"]);
        let post = world.push_to(
            "posts",
            "second.md",
            &format!("version {version}\n"),
            "Posts",
        );
        if version == 2 {
            let notes = text(&world.path("upstream/me/notes.git"));
            let upstream = text(&world.path("upstream/me/posts.git"));
            world.git(
                &world.path(""),
                &["clone", "-q", "--bare", &upstream, &notes],
            );
            let mut modules = fs::read_to_string(site.join(".gitmodules")).unwrap();
            modules.push_str("[submodule \"notes\"]\n\tpath = notes\n\turl = ../notes.git\n");
            fs::write(site.join(".gitmodules"), modules).unwrap();
            let link = format!("160000,{post},notes");
            world.git(&site, &["update-index", "--add", "--cacheinfo", &link]);
        }
        world.point_submodule_at(&post);
        world.git(&site, &["add", ".gitmodules"]);
        let folders: Vec<String> = (0..40.min(files))
            .map(|number| format!("d{number}"))
            .collect();
        let mut words = vec!["add", "-A"];
        words.extend(folders.iter().map(String::as_str));
        world.git(&site, &words);
        world.push(&format!("<h1>version {version}</h1>\n"))
    }

    /// Everything as it was before the push.
    fn restore(&mut self) {
        fs::remove_dir_all(self.world.checkout()).unwrap();
        copy(&self.world.path("before"), &self.world.checkout());
        drop(fs::remove_file(self.world.path("ran")));
        self.own.clear();
    }

    /// What a person has in a checkout that a deploy has no business with.
    fn make_own_changes(&mut self) {
        for (path, content) in [
            (UNRELATED, "edited on the host\n"),
            ("untracked.txt", "mine\n"),
            ("posts/first.md", "edited in a submodule\n"),
        ] {
            fs::write(self.world.checkout().join(path), content).unwrap();
            self.own.insert(path.into(), Thing::file(content));
        }
    }

    fn delivery(&self) -> Delivery {
        self.world.delivery("push", self.body.clone())
    }

    /// What is wrong after all.
    fn faults(&self, reply: &Reply) -> Vec<String> {
        let world = &self.world;
        let mut faults = Vec::new();
        if reply.status != 200 {
            faults.push(format!("the answer is {} {}", reply.status, reply.body));
        }
        if world.head() != self.commit {
            faults.push("HEAD is not what was pushed".to_owned());
        }
        // A submodule that is not at its commit has a sign in front of it.
        let submodules = ["submodule", "status", "--recursive"];
        let submodules = world.git(&world.checkout(), &submodules);
        if submodules.lines().count() != 2
            || submodules
                .lines()
                .any(|line| line.starts_with(['-', '+', 'U']))
        {
            faults.push(format!("submodules: {submodules}"));
        }
        let status = world.changes();
        let mut listed: Vec<&str> = status.lines().collect();
        listed.sort_unstable();
        let expected: &[&str] = if self.own.is_empty() {
            &[]
        } else {
            &[" M d1/f1.txt", " M posts", "?? untracked.txt"]
        };
        if listed != expected {
            faults.push(format!("git status: {listed:?}"));
        }
        let mut wanted = tree_of(&world.path("fresh"));
        wanted.extend(self.own.clone());
        let mut differing = differences(&tree_of(&world.checkout()), &wanted);
        differing.truncate(10);
        if !differing.is_empty() {
            faults.push(format!("not as in a fresh clone: {differing:#?}"));
        }
        if world.tickets() != 0 || is_marked(&world.state("running")) {
            faults.push("something still waits or runs".to_owned());
        }
        let ran = fs::read_to_string(world.path("ran")).unwrap_or_default();
        if ran.lines().last() != Some(&self.commit) {
            faults.push(format!("on_update ran for {ran:?}"));
        }
        let mut locks = paths_below(&world.path("checkout/.git"), |_| true);
        locks.retain(|path| path.extension().is_some_and(|end| end == "lock"));
        if !locks.is_empty() {
            faults.push(format!("left: {locks:?}"));
        }
        faults
    }

    /// One more delivery, and what is wrong after it.
    fn redeliver(&self) -> Vec<String> {
        let reply = self.delivery().send();
        self.world.settle();
        wait_until_quiet(&self.world);
        self.faults(&reply)
    }
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(status.unwrap().success());
}

// ---- a death at every system call ----

/// Which processes count their calls.
#[derive(Clone, Copy, Debug)]
enum Traced {
    /// The front, and with it all that it starts.
    Delivery,
    /// The worker, and all that it starts.
    Worker,
    /// One git that writes, and all that it starts.
    Git,
    /// The same; and when something of it died, its worker is killed too.
    GitAndWorker,
}

impl Stage {
    /// `strace`, up to the program that it starts.
    fn strace(&self, calls: &str, number: usize) -> String {
        format!(
            "strace -f -q -o '{}' -e trace={calls} -e inject={calls}:signal=KILL:when={number}",
            text(&self.world.path("fake/trace"))
        )
    }

    /// Puts a git in front of the real one that is traced where it writes, when `fake/inject` says how.
    fn trace_git(&mut self) {
        let folder = text(&self.world.path("fake"));
        let path = search_path();
        let script = format!(
            "#!/bin/sh\nPATH='{path}'\nfor word in \"$@\"; do\n  case $word in pull|submodule|checkout-index)\n    \
             if [ -r '{folder}/inject' ]; then . '{folder}/inject'; fi;;\n  esac\ndone\nexec git \"$@\"\n"
        );
        write_executable(&self.world.path("fake/git"), &script);
        self.world.key("path", &quoted(&format!("{folder}:{path}")));
    }

    /// A delivery in which the Nth such call of some process is its last one. Says whether there was one.
    fn dies_at(&self, traced: Traced, calls: &str, number: usize) -> bool {
        let strace = self.strace(calls, number);
        let trace = self.world.path("fake/trace");
        drop(fs::remove_file(&trace));
        match traced {
            Traced::Delivery => {
                let wrapper = self.world.path("cgi-bin/traced");
                let site = text(&self.world.site_file());
                write_executable(&wrapper, &format!("#!/bin/sh\nexec {strace} -- '{site}'\n"));
                let mut started = self.delivery().through(&wrapper).start();
                started.child.wait().unwrap();
            }
            Traced::Worker => {
                let in_line = File::create(self.world.state("waiting")).unwrap();
                in_line.lock().unwrap();
                self.delivery().send().expect(202, "queued");
                drop(in_line);
                let mut worker = self.world.clean("/bin/sh");
                worker.args(["-c", &format!("exec {strace} -- \"$@\""), "sh"]);
                worker.arg(&self.world.program);
                worker.arg("worker").arg(self.world.site_file());
                worker.stdout(Stdio::null()).stderr(Stdio::null());
                worker.status().unwrap();
            }
            Traced::Git | Traced::GitAndWorker => {
                let inject = self.world.path("fake/inject");
                let script = if matches!(traced, Traced::Git) {
                    format!("exec {strace} -A -- git \"$@\"\n")
                } else {
                    let died = format!("grep -q 'killed by SIGKILL' '{}'", text(&trace));
                    format!(
                        "{strace} -A -- git \"$@\"\ncode=$?\nif {died}; then kill -9 $PPID; fi\nexit $code\n"
                    )
                };
                fs::write(&inject, script).unwrap();
                let mut started = self.delivery().start();
                started.child.wait().unwrap();
                wait_until_quiet(&self.world);
                fs::remove_file(&inject).unwrap();
            }
        }
        wait_until_quiet(&self.world);
        let trace = fs::read(&trace).unwrap_or_default();
        String::from_utf8_lossy(&trace).contains("+++ killed by SIGKILL")
    }

    /// Goes through such numbers until nobody makes so many calls.
    fn walk(
        &mut self,
        traced: Traced,
        calls: &str,
        numbers: impl Iterator<Item = usize>,
    ) -> Walked {
        let mut walked = Walked::default();
        for number in numbers {
            self.restore();
            if !self.dies_at(traced, calls, number) {
                break;
            }
            walked.deaths += 1;
            let faults = self.redeliver();
            if !faults.is_empty() {
                let told = format!("{traced:?}, {calls} number {number}: {}", faults.join("; "));
                say(&told);
                walked.faults.push(told);
            }
        }
        walked
    }
}

#[derive(Debug, Default)]
struct Walked {
    deaths: usize,
    faults: Vec<String>,
}

#[track_caller]
fn walk(traced: Traced, files: usize, numbers: &(impl Iterator<Item = usize> + Clone)) {
    let mut stage = Stage::new(files);
    stage.trace_git();
    let mut all = Walked::default();
    for calls in CALLS {
        let walked = stage.walk(traced, calls, numbers.clone());
        // A kind of call that nobody makes would be a walk through nothing; git takes no locks of the kernel's.
        let is_made = *calls != "flock" || matches!(traced, Traced::Delivery | Traced::Worker);
        assert_eq!(walked.deaths > 0, is_made, "{traced:?}, {calls}");
        all.deaths += walked.deaths;
        all.faults.extend(walked.faults);
    }
    say(&format!("{traced:?}: {} deaths", all.deaths));
    assert!(all.faults.is_empty(), "{:#?}", all.faults);
}

#[test]
#[ignore = "needs strace: ./tests/run"]
fn a_delivery_that_dies_at_a_system_call_is_healed_by_the_next() {
    walk(Traced::Delivery, 24, &[1, 11].into_iter());
}

#[test]
#[ignore = "needs strace: ./tests/run"]
fn a_worker_that_dies_at_a_system_call_is_healed_by_the_next_delivery() {
    walk(Traced::Worker, 24, &[1, 12].into_iter());
}

#[test]
#[ignore = "needs strace: ./tests/run"]
fn a_git_that_dies_at_a_system_call_is_healed_by_the_next_delivery() {
    walk(Traced::Git, 24, &[1, 9].into_iter());
}

#[test]
#[ignore = "needs strace: ./tests/run"]
fn a_git_that_dies_at_a_system_call_together_with_its_worker_is_healed_by_the_next_delivery() {
    walk(Traced::GitAndWorker, 24, &[1, 6].into_iter());
}

// ---- a death at any moment ----

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Front,
    Worker,
    Git,
    WorkerAndGit,
    All,
}

const VICTIMS: &[Victim] = &[
    Victim::Worker,
    Victim::Git,
    Victim::WorkerAndGit,
    Victim::All,
    Victim::Front,
];

impl Victim {
    fn is(self, process: &Process, world: &World) -> bool {
        match self {
            Victim::Front => process.is_front(world),
            Victim::Worker => process.is_worker(),
            Victim::Git => process.is_git(),
            Victim::WorkerAndGit => process.is_worker() || process.is_git(),
            Victim::All => true,
        }
    }
}

impl Stage {
    /// How often a whole delivery can be looked at.
    fn looks(&mut self) -> usize {
        self.restore();
        let mut started = self.delivery().start();
        let mut looks = 0;
        while started.child.try_wait().unwrap().is_none() {
            processes(&self.world);
            looks += 1;
        }
        started.reply().expect(200, "deployed");
        wait_until_quiet(&self.world);
        looks
    }

    /// A delivery whose processes get a signal at the given look. Says whether there was still somebody.
    fn is_struck(&self, victim: Victim, signal: Signal, look: usize) -> bool {
        let mut started = self.delivery().start();
        let mut looks = 0;
        let struck = loop {
            let there = processes(&self.world);
            let mut victims = there
                .iter()
                .filter(|process| victim.is(process, &self.world))
                .peekable();
            if looks >= look && victims.peek().is_some() {
                victims.for_each(|process| process.signal(signal));
                break true;
            }
            if started.child.try_wait().unwrap().is_some() && there.is_empty() {
                break false;
            }
            looks += 1;
        };
        started.child.wait().unwrap();
        struck
    }
}

#[track_caller]
fn random_deaths(rounds: usize, seed: u64) {
    let mut stage = Stage::new(2000);
    let mut dice = Dice(seed);
    let looks = stage.looks();
    let mut faults = Vec::new();
    let mut deaths = 0;
    while deaths < rounds {
        stage.restore();
        stage.make_own_changes();
        let victim = VICTIMS[deaths % VICTIMS.len()];
        let mut told = format!("death {deaths} (seed {seed}):");
        // Whoever comes to the help of a dead run may die too.
        let in_a_row = [1, 1, 2, 3][dice.below(4)];
        let mut struck = 0;
        for _ in 0..in_a_row {
            let signal = [Signal::KILL, Signal::KILL, Signal::TERM][dice.below(3)];
            let look = dice.below(looks);
            if stage.is_struck(victim, signal, look) {
                write!(told, " {victim:?} {signal:?} at look {look} of {looks},").unwrap();
                struck += 1;
            }
        }
        if struck == 0 {
            continue;
        }
        deaths += struck;
        // What still runs may get in the way of the next delivery, or have ended before.
        if victim == Victim::Front || dice.below(2) == 0 {
            wait_until_quiet(&stage.world);
            told.push_str(" all quiet,");
        }
        let found = stage.redeliver();
        if !found.is_empty() {
            write!(told, " {}", found.join("; ")).unwrap();
            say(&told);
            faults.push(told);
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
#[ignore = "takes about a minute: ./tests/run"]
fn a_dozen_deaths_at_random_moments_are_each_healed_by_the_next_delivery() {
    random_deaths(12, 0x9e37_79b9_7f4a_7c15);
}

// ---- a death of the one that heals ----

/// The one that heals dies too, at the Nth call of its git, and so does its worker.
#[track_caller]
fn healers_die(all_calls: &[&str], numbers: &(impl Iterator<Item = usize> + Clone)) {
    let mut stage = Stage::new(60);
    stage.trace_git();
    let mut faults = Vec::new();
    for calls in all_calls {
        for number in numbers.clone() {
            stage.restore();
            stage.die_in_the_checkout();
            if !stage.dies_at(Traced::GitAndWorker, calls, number) {
                break;
            }
            let found = stage.redeliver();
            if !found.is_empty() {
                let told = format!("{calls} number {number}: {}", found.join("; "));
                say(&told);
                faults.push(told);
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
#[ignore = "needs strace: ./tests/run"]
fn a_healing_that_dies_is_healed_by_the_next_delivery() {
    // Between the opening of a file that is put back and the writing of it.
    healers_die(&["write"], &(1..=8));
    // In a fetch of a submodule, after the commit and before what is in it.
    healers_die(&["?mkdir,mkdirat"], &(9..=13));
}

// ---- all of it ----

mod long_walks {
    use super::{CALLS, Traced, healers_die, random_deaths, walk};

    #[test]
    #[ignore = "takes long: see the top of kills.rs"]
    fn a_git_that_dies_at_any_system_call_together_with_its_worker_is_healed_by_the_next_delivery()
    {
        walk(Traced::GitAndWorker, 24, &(1..));
    }

    #[test]
    #[ignore = "takes long: see the top of kills.rs"]
    fn a_delivery_that_dies_at_any_system_call_is_healed_by_the_next() {
        walk(Traced::Delivery, 24, &(1..));
    }

    #[test]
    #[ignore = "takes long: see the top of kills.rs"]
    fn a_worker_that_dies_at_any_system_call_is_healed_by_the_next_delivery() {
        walk(Traced::Worker, 24, &(1..));
    }

    #[test]
    #[ignore = "takes long: see the top of kills.rs"]
    fn a_git_that_dies_at_any_system_call_is_healed_by_the_next_delivery() {
        walk(Traced::Git, 24, &(1..));
    }

    #[test]
    #[ignore = "takes long: see the top of kills.rs"]
    fn two_hundred_deaths_at_random_moments_are_each_healed_by_the_next_delivery() {
        random_deaths(200, 0xd1b5_4a32_d192_ed03);
    }

    #[test]
    #[ignore = "takes long: see the top of kills.rs"]
    fn a_healing_that_dies_at_any_system_call_is_healed_by_the_next_delivery() {
        healers_die(CALLS, &(1..));
    }
}

// ---- what a person has done to a file that a push changes ----

impl Stage {
    /// The pull dies half-way through writing the files.
    fn die_in_the_checkout(&self) {
        let checkout = self.world.checkout();
        // What is fetched stays in one pack, so that whoever removes many files is the checkout.
        self.world
            .git(&checkout, &["config", "fetch.unpackLimit", "1"]);
        assert!(self.dies_at(Traced::GitAndWorker, "?unlink", 8));
        let changes = self.world.git(
            &self.world.checkout(),
            &["--no-optional-locks", "status", "--porcelain"],
        );
        assert!(!changes.is_empty(), "nothing is half-done");
    }

    #[track_caller]
    fn refuses(&self, path: &str, content: &str) {
        let reply = self.delivery().send();
        reply.expect(500, "failed");
        reply.says(path);
        self.world.settle();
        assert_eq!(self.world.read(&format!("checkout/{path}")), content);
    }

    /// The edit is gone by the person's own hand; then all is well.
    #[track_caller]
    fn converges_without(&self, folder: &str, path: &str) {
        let folder = self.world.path(folder);
        self.world.git(&folder, &["checkout", "--", path]);
        let faults = self.redeliver();
        assert!(faults.is_empty(), "{faults:#?}");
    }
}

#[track_caller]
fn outlives_every_death(content: &str) {
    let mut stage = Stage::new(60);
    stage.trace_git();
    for (victim, signal) in [
        (Victim::Worker, Signal::KILL),
        (Victim::WorkerAndGit, Signal::KILL),
        (Victim::Git, Signal::TERM),
        (Victim::All, Signal::KILL),
    ] {
        stage.restore();
        fs::write(stage.world.checkout().join(CHANGED), content).unwrap();
        for look in [1, 5, 15] {
            stage.is_struck(victim, signal, look);
        }
        wait_until_quiet(&stage.world);
        stage.refuses(CHANGED, content);
    }
    stage.converges_without("checkout", CHANGED);
}

#[test]
fn an_edit_in_the_way_outlives_every_death() {
    outlives_every_death("edited on the host\n");
}

#[test]
#[ignore = "many deploys: ./tests/run"]
fn an_emptied_file_in_the_way_outlives_every_death() {
    outlives_every_death("");
}

/// Files that the dead run had written already, was about to write, or never came to.
#[track_caller]
fn are_kept_and_named(numbers: &[usize]) {
    let mut stage = Stage::new(60);
    stage.trace_git();
    for number in numbers {
        stage.restore();
        stage.die_in_the_checkout();
        let path = format!("d{}/f{number}.txt", number % 40);
        fs::write(
            stage.world.checkout().join(&path),
            "edited after the death\n",
        )
        .unwrap();
        stage.refuses(&path, "edited after the death\n");
        stage.converges_without("checkout", &path);
    }
}

#[test]
fn an_edit_made_after_a_death_is_kept_and_named() {
    are_kept_and_named(&[0, 58]);
}

#[test]
#[ignore = "many deploys: ./tests/run"]
fn an_edit_of_any_file_made_after_a_death_is_kept_and_named() {
    are_kept_and_named(&[2, 20, 40]);
}

#[test]
fn an_edit_in_a_submodule_is_kept_and_named() {
    let mut stage = Stage::new(60);
    stage.trace_git();
    for content in ["edited on the host\n", ""] {
        stage.restore();
        fs::write(stage.world.checkout().join("posts/post0.md"), content).unwrap();
        stage.die_in_the_checkout();
        let reply = stage.delivery().send();
        reply.expect(500, "failed");
        reply.says("posts");
        stage.world.settle();
        assert_eq!(stage.world.read("checkout/posts/post0.md"), content);
        stage.converges_without("checkout/posts", "post0.md");
    }
}

// ---- what a dead run leaves running, or lying about ----

#[test]
fn what_a_dead_run_left_is_cleared_although_a_persons_git_was_at_work_in_between() {
    let mut stage = Stage::new(60);
    stage.trace_git();
    stage.restore();
    stage.die_in_the_checkout();
    assert!(stage.world.path("checkout/.git/index.lock").exists());
    // A git of a person's that takes its time, as a pager does.
    let mut persons = stage
        .world
        .clean("git")
        .args(["cat-file", "--batch"])
        .current_dir(stage.world.checkout())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let reply = stage.delivery().send();
    assert!(matches!(reply.status, 200 | 500), "{reply:?}");
    wait_until("the end of the worker", || {
        !processes(&stage.world).iter().any(Process::is_worker)
    });
    drop(persons.stdin.take());
    persons.wait().unwrap();
    let faults = stage.redeliver();
    assert!(faults.is_empty(), "{faults:#?}, after {reply:#?}");
}

/// Puts a git in front of the real one that writes down when it begins and ends, and hangs at one step, once,
/// when `fake/hang` is there.
pub(crate) fn watch_git(world: &mut World, hang_at: &str) {
    let folder = text(&world.path("fake"));
    let path = search_path();
    let script = format!(
        "#!/bin/sh\nPATH='{path}'\nfor word in \"$@\"; do\n  case $word in pull|submodule|checkout-index)\n    \
         case $(cat /proc/$(cat '{folder}/busy' || echo none)/stat) in\n      ''|*') Z '*) ;;\n      \
         *) echo overlap >>'{folder}/overlaps';;\n    esac\n    echo $$ >'{folder}/busy'\n    \
         if [ $word = {hang_at} ] && [ -e '{folder}/hang' ]; then\n      \
         trap '' TERM HUP\n      mv '{folder}/hang' '{folder}/held'; echo $$ >'{folder}/hung.new'\n      \
         mv '{folder}/hung.new' '{folder}/hung'\n      while [ -e '{folder}/held' ]; do sleep 0.02; done\n    fi\n    \
         git \"$@\"; code=$?\n    echo none >'{folder}/busy'; exit $code;;\n  esac\ndone\nexec git \"$@\"\n"
    );
    write_executable(&world.path("fake/git"), &script);
    world.key("path", &quoted(&format!("{folder}:{path}")));
}

/// A git that hangs for good, and that whoever started it left behind.
struct Orphan(Pid);

impl Orphan {
    /// Kills whoever is chosen, once git hangs.
    fn make(world: &World, is_victim: impl Fn(&Process) -> bool) -> Orphan {
        wait_until("the hanging git", || world.exists("fake/hung"));
        let git = Pid::from_raw(world.read("fake/hung").trim().parse().unwrap()).unwrap();
        let there = processes(world);
        let mut victims = there.iter().filter(|process| is_victim(process)).peekable();
        assert!(victims.peek().is_some(), "{there:?}");
        victims.for_each(|process| process.signal(Signal::KILL));
        Orphan(git)
    }

    #[track_caller]
    fn was_ended_in_time(&self, world: &World) {
        let is_there = processes(world)
            .iter()
            .any(|process| process.pid == self.0.as_raw_nonzero().get());
        assert!(!is_there, "it is still there");
        assert!(
            !world.exists("fake/overlaps"),
            "it was joined by another one"
        );
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL);
    }
}

#[test]
fn the_git_of_a_killed_worker_is_ended_and_never_joined_by_a_second_one() {
    let mut world = World::new();
    watch_git(&mut world, "pull");
    fs::write(world.path("fake/hang"), "").unwrap();
    let commit = world.push("two");
    let mut first = world.push_delivery(&commit).start();
    let orphan = Orphan::make(&world, Process::is_worker);
    first.child.wait().unwrap();
    let reply = world.push_delivery(&commit).send();
    orphan.was_ended_in_time(&world);
    reply.expect(200, "deployed");
    assert_eq!(world.head(), commit);
}

#[test]
fn the_git_of_a_killed_run_is_ended_and_never_joined_by_a_second_one() {
    let mut world = World::new();
    watch_git(&mut world, "pull");
    fs::write(world.path("fake/hang"), "").unwrap();
    let commit = world.push("two");
    let mut run = world.clean(world.site_file());
    let mut run = run.arg("run").stdout(Stdio::null()).spawn().unwrap();
    let its_own = i32::try_from(run.id()).unwrap();
    let orphan = Orphan::make(&world, |process| process.pid == its_own);
    run.wait().unwrap();
    let reply = world.push_delivery(&commit).send();
    orphan.was_ended_in_time(&world);
    reply.expect(200, "deployed");
    assert_eq!(world.head(), commit);
}

#[test]
fn the_git_of_a_worker_that_was_killed_while_it_healed_is_ended_too() {
    let mut stage = Stage::new(60);
    stage.trace_git();
    stage.restore();
    stage.die_in_the_checkout();
    watch_git(&mut stage.world, "checkout-index");
    fs::write(stage.world.path("fake/hang"), "").unwrap();
    let mut second = stage.delivery().start();
    let orphan = Orphan::make(&stage.world, Process::is_worker);
    second.child.wait().unwrap();
    let reply = stage.delivery().send();
    orphan.was_ended_in_time(&stage.world);
    stage.world.settle();
    let faults = stage.faults(&reply);
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_daemon_of_a_hook_is_warned_about_and_passed_by() {
    let world = World::new();
    let hook = world.path("checkout/.git/hooks/post-merge");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    let pids = text(&world.path("daemons"));
    write_executable(
        &hook,
        &format!("#!/bin/sh\nsleep 1000 & echo $! >>'{pids}'\n"),
    );
    let commit = world.push("two");
    world.push_delivery(&commit).send().expect(200, "deployed");
    for content in ["three", "four"] {
        let commit = world.push(content);
        let reply = world.push_delivery(&commit).send();
        reply.expect(200, "deployed");
        reply.says("a hook's daemon");
        assert_eq!(world.head(), commit);
    }
    world.settle();
    let daemons = world.read("daemons");
    assert_eq!(daemons.lines().count(), 3);
    for pid in daemons.lines() {
        // Still there: nobody ended it but us.
        kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
    }
}
