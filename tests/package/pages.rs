//! Writes the man page and the completions, made from the command line's definitions: what the packages have and the
//! program does not carry.
//!
//! `cargo run --example pages -- FOLDER DATE`

#[path = "../../src/cmd/cli.rs"]
#[expect(
    dead_code,
    reason = "only the definitions are used, not what is parsed"
)]
mod cli;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};

const NAME: &str = "deploy-cgi";

/// What people call their site files, whose verbs are the same.
const SITE_FILE: &str = "deploy.cgi";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, date] = args.as_slice() else {
        bail!("usage: pages FOLDER DATE");
    };
    let write = |name: &str, text: Vec<u8>| {
        let file = Path::new(folder).join(name);
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
    };
    write("deploy-cgi.1", man_page(date)?)?;
    write("completions/deploy-cgi.bash", completions(Shell::Bash)?)?;
    write("completions/_deploy-cgi", completions(Shell::Zsh)?)?;
    write("completions/deploy-cgi.fish", completions(Shell::Fish)?)
}

/// One page for all verbs.
fn man_page(date: &str) -> Result<Vec<u8>> {
    let mut command = cli::Cli::command();
    command.build();
    let man = Man::new(command.clone()).date(date).manual("User Commands");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    page.extend(b".SH VERBS\n");
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        page.extend(verb_section(verb)?);
    }
    page.extend(rest().render().into_bytes());
    Ok(page)
}

/// What the verb does and its arguments, under a heading of its own.
fn verb_section(verb: &Command) -> Result<Vec<u8>> {
    let mut heading = Roff::new();
    heading.control("SS", [verb.get_name()]);
    let about = verb.get_long_about().or(verb.get_about());
    heading.text([roman(about.map(ToString::to_string).unwrap_or_default())]);
    let mut options = Vec::new();
    let verb = verb.clone().mut_arg("help", |help| help.hide(true));
    Man::new(verb).render_options_section(&mut options)?;
    let options = String::from_utf8(options)?.replace(".SH OPTIONS\n", "");
    let mut section = heading.to_roff().into_bytes();
    section.extend(options.into_bytes());
    Ok(section)
}

/// What clap does not know.
fn rest() -> Roff {
    let mut rest = Roff::new();
    rest.control("SH", ["EXIT STATUS"]);
    rest.text([roman(
        "0 when it is done (for check: when a deploy would work), 1 when it failed, 2 when it was called wrongly. \
         Started by a web server: 0 once a response is written.",
    )]);
    rest.control("SH", ["ENVIRONMENT"]);
    rest.control("TP", []);
    rest.text([bold("DEPLOY_CGI_SITE")]);
    rest.text([roman(
        "The site file, where neither the web server nor the first argument names one.",
    )]);
    rest.control("SH", ["FILES"]);
    rest.control("TP", []);
    rest.text([italic("deploy.cgi")]);
    rest.text([roman(
        "A site: TOML below its first line, executable. deploy.cgi.example has every key.",
    )]);
    rest.control("TP", []);
    rest.text([italic(".git/deploy-cgi")]);
    rest.text([roman(
        "In the checkout: what waits, what was deployed, and the locks.",
    )]);
    rest.control("SH", ["SEE ALSO"]);
    rest.text([
        bold("git-pull"),
        roman("(1), "),
        bold("git-submodule"),
        roman("(1). README.md, which comes with this page, has every step; docs/servers.md has what each web server needs."),
    ]);
    rest
}

/// For the program, and for site files of the usual name.
fn completions(shell: Shell) -> Result<Vec<u8>> {
    let mut script = Vec::new();
    generate(shell, &mut cli::Cli::command(), NAME, &mut script);
    let script = String::from_utf8(script)?;
    let script = match shell {
        Shell::Bash => script.replace(
            &format!("-o default {NAME}\n"),
            &format!("-o default {NAME} {SITE_FILE}\n"),
        ),
        Shell::Zsh => script.replacen(
            &format!("#compdef {NAME}\n"),
            &format!("#compdef {NAME} {SITE_FILE}\n"),
            1,
        ),
        _ => format!("{script}complete -c {SITE_FILE} -w {NAME}\n"),
    };
    Ok(script.into_bytes())
}
