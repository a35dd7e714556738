//! Deliveries that come all at once: how many deploys they cost, how long the slowest waits, and what the host has to
//! hold meanwhile.
//!
//! `cargo bench --bench burst -- [DELIVERIES] [direct] [lighttpd]`
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark starts programs and prints figures"
)]

mod lab;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use lab::origin::{self, Origin};
use lab::upstream::World;
use lab::{Args, Delivery, Lab, Site, Spread, grouped};

const DELIVERIES: usize = 200;

/// How often the processes are counted.
const LOOK: Duration = Duration::from_millis(10);

/// How long a server may take to start.
const START: Duration = Duration::from_secs(20);

fn main() -> Result<()> {
    origin::serve_if_asked()?;
    let args = Args::read();
    let count = args.number_or(DELIVERIES);
    let lab = Lab::new()?;
    lab.describe();
    // Workers leave their parent; they stay below this process, to be counted.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let origin = Origin::start(&lab)?;
    let mut world = World::new(&lab, "site", 1000, 1)?;
    let checkout = world.clone(&origin.url("me/site.git"), "checkout")?;
    let site = lab.site("deploy.cgi", &checkout, "repository = \"me/site\"\n")?;

    println!("{count} pushes delivered at once");
    if args.wants("direct") {
        let deliveries = pushes(&mut world, count)?;
        let found = measure(&site, &origin, None, &deliveries, |delivery| {
            direct(&lab, &site, delivery)
        })?;
        found.print("at the program");
        world.is_live_in(&checkout)?;
    }
    if args.wants("lighttpd") {
        match lab.finds("lighttpd") {
            Some(program) => {
                let server = Server::start(&lab, &program.display().to_string())?;
                let deliveries = pushes(&mut world, count)?;
                let found = measure(
                    &site,
                    &origin,
                    Some(server.child.id()),
                    &deliveries,
                    |delivery| post(server.port, delivery),
                )?;
                found.print("at lighttpd");
                world.is_live_in(&checkout)?;
            }
            None => println!("lighttpd is not installed, left out"),
        }
    }
    Ok(())
}

/// A push for each delivery, all of them at the upstream already.
fn pushes(world: &mut World<'_>, count: usize) -> Result<Vec<Delivery>> {
    (0..count)
        .map(|number| {
            world.push((number % 10 == 0).then_some(0))?;
            let mut delivery = Delivery::push("refs/heads/main", &world.site.tip, &world.modified);
            delivery.id = format!("72d3162e-cc78-11e3-81ab-{number:012}");
            Ok(delivery)
        })
        .collect()
}

struct Found {
    words: BTreeMap<String, usize>,
    times: Vec<f64>,
    all: Duration,
    deploys: usize,
    processes: usize,
    peak_kib: u64,
}

impl Found {
    fn print(&self, how: &str) {
        let answers = self
            .words
            .iter()
            .map(|(word, count)| format!("{count} {word}"))
            .collect::<Vec<_>>();
        let times = Spread::of(self.times.iter().copied());
        println!(
            "{how}: {} deploys; answers {}; from spawn to answer {:.0} ms [{:.0} .. {:.0}], all settled after {:.0} ms; \
             at most {} processes with {} KiB (proportional)",
            self.deploys,
            answers.join(", "),
            times.median,
            times.least,
            times.most,
            self.all.as_secs_f64() * 1e3,
            self.processes,
            grouped(self.peak_kib),
        );
    }
}

/// Delivers all at once. `server` is a process whose own memory is no concern of ours, but its children's is.
fn measure(
    site: &Site,
    origin: &Origin,
    server: Option<u32>,
    deliveries: &[Delivery],
    deliver: impl Fn(&Delivery) -> Result<String> + Sync,
) -> Result<Found> {
    let before = site.deploys();
    let ended = Arc::new(AtomicBool::new(false));
    let uninvolved: BTreeSet<u32> = [std::process::id(), origin.id()]
        .into_iter()
        .chain(server)
        .collect();
    let watch = {
        let (ended, origin) = (Arc::clone(&ended), origin.id());
        thread::spawn(move || {
            let mut peak = (0, 0);
            while !ended.load(Ordering::SeqCst) {
                let (processes, kib) = below(std::process::id(), origin, &uninvolved);
                peak = (peak.0.max(processes), peak.1.max(kib));
                thread::sleep(LOOK);
            }
            peak
        })
    };
    let begin = Instant::now();
    let answers: Vec<Result<(String, f64)>> = thread::scope(|scope| {
        let all: Vec<_> = deliveries
            .iter()
            .map(|delivery| {
                scope.spawn(|| {
                    let begin = Instant::now();
                    let answer = deliver(delivery)?;
                    Ok((answer, begin.elapsed().as_secs_f64() * 1e3))
                })
            })
            .collect();
        all.into_iter()
            .map(|one| one.join().unwrap_or_else(|_| bail!("a sender failed")))
            .collect()
    });
    site.settle()?;
    let all = begin.elapsed();
    ended.store(true, Ordering::SeqCst);
    let (processes, peak_kib) = watch.join().unwrap_or_default();
    let mut words = BTreeMap::new();
    let mut times = Vec::new();
    for answer in answers {
        let (text, time) = answer?;
        let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let word = body.split_whitespace().next().unwrap_or("nothing");
        if word == "error" || word == "nothing" {
            println!("answered: {}", body.lines().next().unwrap_or(&text));
        }
        *words.entry(word.to_owned()).or_default() += 1;
        times.push(time);
    }
    Ok(Found {
        words,
        times,
        all,
        deploys: site.deploys() - before,
        processes,
        peak_kib,
    })
}

/// Living processes below one, but not those of the origin, and their memory, shared pages divided by who shares them.
fn below(top: u32, origin: u32, uninvolved: &BTreeSet<u32>) -> (usize, u64) {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let mut fields = stat
            .rsplit_once(") ")
            .map_or("", |(_, fields)| fields)
            .split(' ');
        let (state, parent) = (fields.next(), fields.next());
        if state != Some("Z")
            && let Some(Ok(parent)) = parent.map(str::parse::<u32>)
        {
            parents.insert(id, parent);
        }
    }
    let counts = |id: u32| {
        let mut at = id;
        while let Some(&parent) = parents.get(&at) {
            if at == origin {
                return false;
            }
            if at == top {
                return true;
            }
            at = parent;
        }
        false
    };
    let ours: Vec<u32> = parents
        .keys()
        .copied()
        .filter(|id| !uninvolved.contains(id) && counts(*id))
        .collect();
    let memory = |id: &u32| {
        let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    (ours.len(), ours.iter().filter_map(memory).sum())
}

fn direct(lab: &Lab, site: &Site, delivery: &Delivery) -> Result<String> {
    let mut child = lab
        .request(&site.file, delivery)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(&delivery.body)?;
    }
    Ok(lab::said(&child.wait_with_output()?.stdout))
}

/// A lighttpd of our own; it ends when this is dropped.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(lab: &Lab, program: &str) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let configuration = lab.path("lighttpd.conf");
        fs::write(
            &configuration,
            format!(
                "server.modules = ( \"mod_cgi\" )\nserver.document-root = \"{root}\"\nserver.bind = \"127.0.0.1\"\n\
                 server.port = {port}\nserver.errorlog = \"{errors}\"\nserver.upload-dirs = ( \"{root}\" )\n\
                 server.max-connections = 1024\nserver.max-fds = 4096\ncgi.assign = ( \".cgi\" => \"\" )\n",
                root = lab.path("").display(),
                errors = lab.path("lighttpd.log").display(),
            ),
        )?;
        let mut command: Command = lab.clean(program);
        let child = command
            .args(["-D", "-f"])
            .arg(configuration)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Self { child, port };
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if begin.elapsed() > START {
                bail!("lighttpd does not start");
            }
            thread::sleep(LOOK);
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn post(port: u16, delivery: &Delivery) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).context("lighttpd does not listen")?;
    let head = format!(
        "POST /cgi-bin/deploy.cgi HTTP/1.1\r\nHost: www.example.org\r\nConnection: close\r\nContent-Type: {}\r\n\
         Content-Length: {}\r\nX-GitHub-Event: {}\r\nX-GitHub-Delivery: {}\r\nX-Hub-Signature-256: {}\r\n\r\n",
        delivery.content_type,
        delivery.body.len(),
        delivery.event,
        delivery.id,
        delivery.signature
    );
    stream.write_all(&[head.as_bytes(), &delivery.body].concat())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(lab::said(&answer))
}
