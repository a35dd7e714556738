//! Writes the manual pages and the completions, made from the command line's definitions and deploy.cgi.example: what the
//! packages have and the program does not carry.
//!
//! `cargo run --example pages -- FOLDER DATE`

#[path = "../../src/cmd/cli.rs"]
#[expect(
    dead_code,
    reason = "only the definitions are used, not what is parsed"
)]
mod cli;
mod completions;
mod manual;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::CommandFactory;

const EXAMPLE: &str = include_str!("../../deploy.cgi.example");

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, date] = args.as_slice() else {
        bail!("usage: pages FOLDER DATE");
    };
    let mut command = cli::Cli::command();
    command.build();
    let version = command.get_version().unwrap_or_default();
    let write = |name: &str, text: Vec<u8>| {
        let file = Path::new(folder).join(name);
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
    };
    write("deploy-cgi.1", manual::of_the_program(&command, date)?)?;
    write(
        "deploy.cgi.5",
        manual::of_the_site_file(EXAMPLE, date, version)?,
    )?;
    write(
        "completions/deploy-cgi.bash",
        completions::bash(&command).into(),
    )?;
    write("completions/_deploy-cgi", completions::zsh(&command).into())?;
    write(
        "completions/deploy-cgi.fish",
        completions::fish(&command).into(),
    )?;
    write(
        "completions/deploy.cgi.fish",
        completions::FISH_FOR_SITE_FILES.into(),
    )
}
