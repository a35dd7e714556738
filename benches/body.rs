//! The largest body GitHub sends, signed, a push to a branch the site does not follow: what a delivery costs besides its
//! deploy.
//!
//! `cargo bench --bench body -- [PAIRS] [file] [pipe] [memory] [digests]`
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark starts programs and prints figures"
)]

mod lab;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;

use lab::upstream::World;
use lab::{Args, Delivery, Lab, Pairs, Site, Spread, expect_answer, grouped, head};

/// GitHub's cap, in bytes.
const SIZE: usize = 25 << 20;

const PAIRS: usize = 30;

/// A sender's speed, in bytes per second.
const SPEED: f64 = 100e6;

const PIECE: usize = 64 << 10;

const WIDTH: usize = 24;

fn main() -> Result<()> {
    let args = Args::read();
    let pairs = args.number_or(PAIRS);
    let lab = Lab::new()?;
    lab.describe();
    let world = World::new(&lab, "site", 10, 0)?;
    let checkout = world.clone(&world.site.folder.display().to_string(), "checkout")?;
    let site = lab.site("deploy.cgi", &checkout, "")?;

    println!("a signed body of 25 MiB for another branch, spawn to exit");
    for (name, delivery) in [("JSON", json()), ("form", form())] {
        let body = lab.path(name);
        fs::write(&body, &delivery.body)?;
        if args.wants("file") {
            println!("{}", head("base: openssl dgst -hmac", WIDTH));
            let found = Pairs::run(
                pairs,
                Duration::MAX,
                || Ok(()),
                || openssl(&lab, &body),
                || from_file(&lab, &site, &delivery, &body),
            )?;
            println!(
                "{:<WIDTH$} {}",
                format!("{name}, from a file"),
                found.fields()
            );
        }
        if args.wants("pipe") {
            let times: Result<Vec<f64>> = (0..pairs.div_ceil(2))
                .map(|_| Ok(through_pipe(&lab, &site, &delivery)?.as_secs_f64() * 1e3))
                .collect();
            let times = Spread::of(times?.into_iter());
            println!(
                "{name}, through a pipe at 100 MB/s, last byte to exit: {:.1} ms [{:.1} .. {:.1}]",
                times.median, times.least, times.most
            );
        }
        if args.wants("memory") {
            let peak = lab::peak_kib(&lab, &lab.request(&site.file, &delivery), &body)?;
            match peak {
                Some(peak) => println!(
                    "{name}, peak memory: {} KiB, which is the body and {} KiB",
                    grouped(peak),
                    grouped(peak.saturating_sub(SIZE as u64 >> 10))
                ),
                None => println!("{name}, peak memory: /usr/bin/time is not installed, left out"),
            }
        }
    }
    if args.wants("digests") {
        digests(&lab);
    }
    Ok(())
}

/// Commits as a push has them, up to the cap.
fn payload(room: usize) -> Vec<u8> {
    let mut json = format!(
        "{{\"ref\":\"refs/heads/other\",\"before\":\"{}\",\"after\":\"{}\",\"repository\":{{\"full_name\":\"me/site\"}},\
         \"commits\":[",
        "1".repeat(40),
        "2".repeat(40)
    );
    let end = "{}],\"end\":\"";
    let mut number = 0;
    loop {
        let commit = format!(
            "{{\"id\":\"{number:040x}\",\"message\":\"Change number {number}\\n\\nWith \\\"words\\\" in it.\",\
             \"author\":{{\"name\":\"Me\",\"email\":\"me@example.org\"}},\"modified\":[\"pages/page{number}.html\"]}},"
        );
        if json.len() + commit.len() + end.len() + 2 > room {
            break;
        }
        json.push_str(&commit);
        number += 1;
    }
    json.push_str(end);
    let rest = room - json.len() - 2;
    json.extend(std::iter::repeat_n('x', rest));
    json.push_str("\"}");
    json.into_bytes()
}

fn json() -> Delivery {
    Delivery::json(payload(SIZE))
}

fn form() -> Delivery {
    let mut json = payload(SIZE * 2 / 3);
    let mut body = encoded(&json);
    while body.len() > SIZE {
        json = payload(json.len() / 100 * 99);
        body = encoded(&json);
    }
    let mut delivery = Delivery::json(body);
    delivery.content_type = "application/x-www-form-urlencoded";
    delivery
}

fn encoded(json: &[u8]) -> Vec<u8> {
    let mut body = b"payload=".to_vec();
    body.extend(form_urlencoded::byte_serialize(json).flat_map(str::bytes));
    body
}

fn from_file(lab: &Lab, site: &Site, delivery: &Delivery, body: &Path) -> Result<Duration> {
    let mut command = lab.request(&site.file, delivery);
    command.stdin(File::open(body)?);
    let (took, answer) = until_exit(&mut command)?;
    expect_answer(&answer, "200", "ignored")?;
    Ok(took)
}

fn openssl(lab: &Lab, body: &Path) -> Result<Duration> {
    let mut command = lab.clean("openssl");
    command
        .args(["dgst", "-sha256", "-hmac", lab::SECRET])
        .arg(body);
    Ok(until_exit(&mut command)?.0)
}

fn until_exit(command: &mut Command) -> Result<(Duration, Vec<u8>)> {
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let begin = Instant::now();
    let mut child = command.spawn().context("cannot start it")?;
    child.wait()?;
    let took = begin.elapsed();
    let mut answer = Vec::new();
    if let Some(mut out) = child.stdout.take() {
        out.read_to_end(&mut answer)?;
    }
    Ok((took, answer))
}

/// From the last byte that a sender of that speed wrote to the exit.
fn through_pipe(lab: &Lab, site: &Site, delivery: &Delivery) -> Result<Duration> {
    let mut child = lab
        .request(&site.file, delivery)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut input = child.stdin.take().context("no input")?;
    let begin = Instant::now();
    let mut sent = 0;
    for piece in delivery.body.chunks(PIECE) {
        #[expect(clippy::cast_precision_loss, reason = "25 MiB is exact")]
        let due = Duration::from_secs_f64(sent as f64 / SPEED);
        std::thread::sleep(due.saturating_sub(begin.elapsed()));
        input.write_all(piece)?;
        sent += piece.len();
    }
    let last = Instant::now();
    drop(input);
    child.wait()?;
    let took = last.elapsed();
    let mut answer = Vec::new();
    if let Some(mut out) = child.stdout.take() {
        out.read_to_end(&mut answer)?;
    }
    expect_answer(&answer, "200", "ignored")?;
    Ok(took)
}

/// The digests alone, as this profile builds them, against `openssl speed`.
fn digests(lab: &Lab) {
    let piece = vec![b'x'; PIECE];
    let speed = |digest: &dyn Fn()| {
        let best = (0..9)
            .map(|_| {
                let begin = Instant::now();
                digest();
                begin.elapsed()
            })
            .min()
            .unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "25 MiB is exact")]
        let bytes = SIZE as f64;
        bytes / best.as_secs_f64() / 1e6
    };
    let ours = [
        ("sha256", speed(&|| of_pieces::<Hmac<Sha256>>(&piece))),
        ("sha1", speed(&|| of_pieces::<Hmac<Sha1>>(&piece))),
    ];
    for (name, ours) in ours {
        let output = lab
            .clean("openssl")
            .args(["speed", "-mr", "-seconds", "1", "-bytes", "65536", "-evp"])
            .arg(name)
            .stderr(Stdio::null())
            .output();
        let theirs = output.ok().and_then(|output| {
            let text = lab::said(&output.stdout);
            let line = text.lines().find(|line| line.starts_with("+F:"))?;
            line.rsplit(':').next()?.trim().parse::<f64>().ok()
        });
        match theirs {
            Some(theirs) => println!(
                "HMAC with {name}: {ours:.0} MB/s, openssl speed {:.0} MB/s, ratio {:.3}",
                theirs / 1e6,
                ours / (theirs / 1e6)
            ),
            None => println!("HMAC with {name}: {ours:.0} MB/s; openssl speed is left out"),
        }
    }
}

/// As many bytes as the largest body has, over one piece, as `openssl speed` does it.
fn of_pieces<M: Mac + KeyInit>(piece: &[u8]) {
    if let Ok(mut mac) = M::new_from_slice(lab::SECRET.as_bytes()) {
        for _ in 0..SIZE / PIECE {
            mac.update(piece);
        }
        std::hint::black_box(mac.finalize().into_bytes());
    }
}
