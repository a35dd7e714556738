//! A delivery with a wrong signature, spawn to exit, against programs that do as little or as much: what a stranger can
//! make the host pay.
//!
//! `cargo bench --bench front -- [PAIRS] [c] [perl] [python] [counts]`
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark starts programs and prints figures"
)]

mod lab;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use lab::{Args, Delivery, Lab, Pairs, Spread, expect_answer, head, timed, under};

/// A push with a commit or two, in bytes.
const BODY: usize = 4500;

const PAIRS: usize = 500;

/// The floor: reads the body and prints a fixed answer.
const C: &str = r#"
#include <stdlib.h>
#include <unistd.h>
int main(void) {
    static char piece[65536];
    const char *length = getenv("CONTENT_LENGTH");
    long left = length ? atol(length) : 0;
    while (left > 0) {
        ssize_t got = read(0, piece, left < (long)sizeof piece ? left : (long)sizeof piece);
        if (got <= 0) break;
        left -= got;
    }
    static const char answer[] =
        "Status: 403 Forbidden\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nrefused: the signature is wrong\n";
    return write(1, answer, sizeof answer - 1) < 0;
}
"#;

/// What people write by hand, with what Perl brings along.
const PERL: &str = r#"#!/usr/bin/perl
use strict; use warnings;
use Digest::SHA qw(hmac_sha256_hex);
open(my $file, '<', '@SECRET@') or die; my $secret = <$file>; chomp $secret;
read(STDIN, my $body, $ENV{CONTENT_LENGTH});
if ('sha256=' . hmac_sha256_hex($body, $secret) ne ($ENV{HTTP_X_HUB_SIGNATURE_256} // '')) {
    print "Status: 403 Forbidden\r\nContent-Type: text/plain\r\n\r\nrefused\n"; exit;
}
print "Status: 200 OK\r\nContent-Type: text/plain\r\n\r\nfine\n";
"#;

/// Debian's libcgi-github-webhook-perl, as its manual says.
const PERL_MODULE: &str = r"#!/usr/bin/perl
use CGI::Github::Webhook;
open(my $file, '<', '@SECRET@') or die; my $secret = <$file>; chomp $secret;
my $hook = CGI::Github::Webhook->new(secret => $secret, trigger => '/bin/true', log => '/dev/null');
$hook->run();
";

const PYTHON: &str = r"#!/usr/bin/python3
import hashlib, hmac, json, os, sys
secret = open('@SECRET@', 'rb').read().rstrip(b'\n')
body = sys.stdin.buffer.read(int(os.environ['CONTENT_LENGTH']))
right = 'sha256=' + hmac.new(secret, body, hashlib.sha256).hexdigest()
if not hmac.compare_digest(right, os.environ.get('HTTP_X_HUB_SIGNATURE_256', '')):
    print('Status: 403 Forbidden\r\nContent-Type: text/plain\r\n\r\nrefused')
    sys.exit()
print('Status: 200 OK\r\nContent-Type: text/plain\r\n\r\nfine')
";

fn main() -> Result<()> {
    let args = Args::read();
    let lab = Lab::new()?;
    lab.describe();
    // The signature is looked at before anything of the checkout is.
    let site = lab.site("deploy.cgi", &lab.path("checkout"), "")?;
    let mut delivery = Delivery::push("refs/heads/main", &"2".repeat(40), &[]);
    delivery.body.resize(BODY, b' ');
    delivery.signature = format!("sha256={}", "0123456789abcdef".repeat(4));

    let c = lab.c_program("fixed-answer", C)?;
    let script = |name: &str, text: &str| -> Result<PathBuf> {
        let secret = lab.path("secret.txt").display().to_string();
        lab.script(name, &text.replace("@SECRET@", &secret))
    };
    let mut peers: Vec<(&str, &str, Option<PathBuf>)> = vec![("c", "static C", c.clone())];
    let perl = Path::new("/usr/bin/perl").exists();
    let perl_module = perl
        && lab
            .clean("/usr/bin/perl")
            .args(["-MCGI::Github::Webhook", "-e1"])
            .stderr(std::process::Stdio::null())
            .status()?
            .success();
    peers.push((
        "perl",
        "Perl, Digest::SHA",
        perl.then(|| script("peer.pl", PERL)).transpose()?,
    ));
    peers.push((
        "perl",
        "Perl, CGI::Github::Webhook",
        perl_module
            .then(|| script("module.pl", PERL_MODULE))
            .transpose()?,
    ));
    peers.push((
        "python",
        "Python",
        Path::new("/usr/bin/python3")
            .exists()
            .then(|| script("peer.py", PYTHON))
            .transpose()?,
    ));

    println!("a wrong signature over {BODY} bytes, spawn to exit; base is the peer");
    println!("{}", head("peer", 28));
    let ours = || -> Result<Duration> {
        let mut command = lab.request(&site.file, &delivery);
        let (took, answer) = timed(&mut command, &delivery.body)?;
        expect_answer(&answer, "403", "refused")?;
        Ok(took)
    };
    for (row, name, program) in &peers {
        if !args.wants(row) {
            continue;
        }
        let Some(program) = program else {
            println!("{name:<28} not installed, left out");
            continue;
        };
        let base = || -> Result<Duration> {
            let mut command = lab.request(program, &delivery);
            Ok(timed(&mut command, &delivery.body)?.0)
        };
        // An interpreter is slow enough for fewer.
        let pairs = if *row == "c" {
            args.number_or(PAIRS)
        } else {
            args.number_or(PAIRS).div_ceil(5)
        };
        for _ in 0..3 {
            base()?;
            ours()?;
        }
        let pairs = Pairs::run(pairs, Duration::MAX, || Ok(()), base, ours)?;
        println!("{name:<28} {}", pairs.fields());
    }
    if args.wants("counts") {
        counts(&lab, &delivery, &site.file, c.as_deref())?;
    }
    Ok(())
}

/// What is the same in every run.
fn counts(lab: &Lab, delivery: &Delivery, site: &Path, c: Option<&Path>) -> Result<()> {
    println!("\nthe same, counted");
    println!(
        "{:<12} {:>12} {:>12} {:>13}",
        "", "system calls", "page faults", "instructions"
    );
    for (name, program) in [("deploy-cgi", Some(site)), ("static C", c)] {
        let Some(program) = program else { continue };
        let command = || lab.request(program, delivery);
        let calls = count_calls(lab, &command(), &delivery.body)?;
        let mut faults = Vec::new();
        for _ in 0..21 {
            let before = lab::faults_of_children()?;
            timed(&mut command(), &delivery.body)?;
            faults.push(lab::faults_of_children()? - before);
        }
        let faults = Spread::of(
            faults
                .iter()
                .map(|&count| f64::from(u32::try_from(count).unwrap_or(u32::MAX))),
        );
        // Valgrind starts programs, not scripts.
        let mut command = command();
        if program == site {
            command = lab.request(&lab.path("deploy-cgi"), delivery);
            command.env("DEPLOY_CGI_SITE", site);
        }
        let instructions = count_instructions(lab, &command, &delivery.body)?;
        let shown = |count: Option<u64>| count.map_or("no tool".into(), lab::grouped);
        println!(
            "{name:<12} {:>12} {:>12} {:>13}",
            shown(calls),
            faults.median,
            shown(instructions)
        );
    }
    Ok(())
}

fn count_calls(lab: &Lab, command: &std::process::Command, body: &[u8]) -> Result<Option<u64>> {
    let Some(strace) = lab.finds("strace") else {
        return Ok(None);
    };
    let findings = lab.path("strace.txt");
    let mut traced = under(
        &strace.display().to_string(),
        &["-f", "-o", &findings.display().to_string()],
        command,
    );
    let trace = lab::metered(&mut traced, body, &findings)?;
    Ok(Some(lab::system_calls(&trace).len() as u64))
}

fn count_instructions(
    lab: &Lab,
    command: &std::process::Command,
    body: &[u8],
) -> Result<Option<u64>> {
    let Some(valgrind) = lab.finds("valgrind") else {
        return Ok(None);
    };
    let findings = lab.path("valgrind.txt");
    let mut traced = under(
        &valgrind.display().to_string(),
        &[
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
            &format!("--log-file={}", findings.display()),
        ],
        command,
    );
    let log = lab::metered(&mut traced, body, &findings)?;
    let collected = log
        .lines()
        .find_map(|line| line.split_once("Collected : "))
        .context("valgrind counted nothing")?;
    Ok(collected.1.trim().parse().ok())
}
