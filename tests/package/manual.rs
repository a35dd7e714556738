//! The manual pages: deploy-cgi(1) from the definitions of the command line, deploy.cgi(5) from deploy.cgi.example.

use anyhow::{Context, Result};
use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};

use super::cli::{ENVIRONMENT, EXAMPLES, EXIT_CODES};

/// One page for all verbs.
pub(crate) fn of_the_program(command: &Command, date: &str) -> Result<Vec<u8>> {
    let man = Man::new(command.clone()).date(date).manual("User Commands");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    page.extend(synopsis(command)?.to_roff().into_bytes());
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    page.extend(b".SH VERBS\n");
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        page.extend(verb_section(verb)?);
    }
    page.extend(rest().to_roff().into_bytes());
    Ok(page)
}

fn synopsis(command: &Command) -> Result<Roff> {
    let usage = command.clone().render_usage().to_string();
    let lines = usage.strip_prefix("Usage:").context("no usage")?;
    let mut synopsis = Roff::new();
    synopsis.control("SH", ["SYNOPSIS"]);
    for (at, line) in lines.lines().enumerate() {
        if at > 0 {
            synopsis.control("br", []);
        }
        let (name, arguments) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        synopsis.text([bold(name), roman(format!(" {arguments}"))]);
    }
    Ok(synopsis)
}

/// What the verb does and its arguments, under a heading of its own.
fn verb_section(verb: &Command) -> Result<Vec<u8>> {
    let mut heading = Roff::new();
    heading.control("SS", [verb.get_name()]);
    let about = verb.get_long_about().or(verb.get_about());
    heading.text([roman(about.map(ToString::to_string).unwrap_or_default())]);
    let mut options = Vec::new();
    let mut verb = verb.clone();
    if verb.get_arguments().any(|arg| arg.get_id() == "help") {
        verb = verb.mut_arg("help", |help| help.hide(true));
    }
    Man::new(verb).render_options_section(&mut options)?;
    let options = String::from_utf8(options)?.replace(".SH OPTIONS\n", "");
    let mut section = heading.to_roff().into_bytes();
    section.extend(options.into_bytes());
    Ok(section)
}

/// What clap does not know.
fn rest() -> Roff {
    let mut rest = Roff::new();
    list(&mut rest, "EXAMPLES", EXAMPLES);
    list(&mut rest, "EXIT STATUS", EXIT_CODES);
    rest.text([roman(
        "Started by a web server: 0 once a response is written.",
    )]);
    list(&mut rest, "ENVIRONMENT", ENVIRONMENT);
    list(
        &mut rest,
        "FILES",
        &[
            (
                "deploy.cgi",
                "A site: TOML below its first line, executable.",
            ),
            (
                ".git/deploy-cgi",
                "In the checkout: what waits, what was deployed, and the locks.",
            ),
        ],
    );
    rest.control("SH", ["SEE ALSO"]);
    rest.text([
        bold("deploy.cgi"),
        roman("(5), "),
        bold("git-pull"),
        roman("(1), "),
        bold("git-submodule"),
        roman("(1). README.md, which comes with this page, has every step; docs/servers.md has what each web server needs."),
    ]);
    rest
}

/// Words, each with what it means.
fn list(page: &mut Roff, heading: &str, rows: &[(&str, &str)]) {
    page.control("SH", [heading]);
    for (word, meaning) in rows {
        page.control("TP", []);
        page.text([bold(*word)]);
        page.text([roman(*meaning)]);
    }
    page.control("PP", []);
}

/// What deploy.cgi.example explains, key by key.
pub(crate) fn of_the_site_file(example: &str, date: &str, version: &str) -> Result<Vec<u8>> {
    let mut page = Roff::new();
    page.control(
        "TH",
        [
            "deploy.cgi",
            "5",
            date,
            &format!("deploy-cgi {version}"),
            "File Formats",
        ],
    );
    page.control("SH", ["NAME"]);
    page.text([roman("deploy.cgi - a site of deploy-cgi")]);
    page.control("SH", ["DESCRIPTION"]);
    let mut blocks = example.split("\n\n");
    let first = blocks.next().context("deploy.cgi.example is empty")?;
    let (_, introduction) = first.split_once('\n').context("no line behind #!")?;
    for paragraph in comment(introduction).split("\n\n") {
        page.text([roman(paragraph.replace('\n', " "))]);
        page.control("PP", []);
    }
    page.text([roman("It begins like this:")]);
    page.control("PP", []);
    page.control("EX", []);
    page.text([roman(first.lines().next().unwrap_or_default())]);
    page.control("EE", []);
    page.control("SH", ["KEYS"]);
    for block in blocks.filter(|block| !block.trim().is_empty()) {
        let (keys, comments): (Vec<&str>, Vec<&str>) = block
            .lines()
            .partition(|line| key_and_value(line).is_some());
        for (at, (key, value)) in keys.into_iter().filter_map(key_and_value).enumerate() {
            page.control(if at == 0 { "TP" } else { "TQ" }, []);
            page.text([bold(key), roman(" = "), italic(value)]);
        }
        page.text([roman(comment(&comments.join("\n")).replace('\n', " "))]);
    }
    page.control("SH", ["SEE ALSO"]);
    page.text([bold("deploy-cgi"), roman("(1)")]);
    Ok(page.to_roff().into_bytes())
}

/// What a line sets, also where it is behind a `#`.
fn key_and_value(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.trim_start_matches("# ").split_once(" = ")?;
    let is_key = key.bytes().all(|c| c.is_ascii_lowercase() || c == b'_');
    is_key.then_some((key, value))
}

/// The text of a comment.
fn comment(lines: &str) -> String {
    let lines = lines
        .lines()
        .map(|line| line.trim_start_matches('#').trim());
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}
