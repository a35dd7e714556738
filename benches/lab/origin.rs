//! The upstream over HTTP, as the tests serve it, in a process of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;

use anyhow::{Context, Result};

use super::Lab;

#[path = "../../tests/it/support/origin.rs"]
mod server;

/// The first argument that makes a benchmark this server.
const VERB: &str = "serve-origin";

/// A running server; it ends when this is dropped.
pub struct Origin {
    child: Child,
    address: String,
}

/// Serves, if that is what this process was started for; it never returns then.
pub fn serve_if_asked() -> Result<()> {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() != Some(VERB) {
        return Ok(());
    }
    let root = args.next().context("no folder to serve")?;
    let origin = server::Origin::start()?;
    origin.serve(Path::new(&root), std::env::vars().collect());
    println!("{}", origin.host());
    loop {
        thread::park();
    }
}

impl Origin {
    pub fn start(lab: &Lab) -> Result<Self> {
        let mut child = lab
            .clean(std::env::current_exe()?)
            .arg(VERB)
            .arg(lab.path("upstream"))
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        BufReader::new(child.stdout.take().context("no output of the origin")?)
            .read_line(&mut address)?;
        Ok(Self {
            child,
            address: address.trim().to_owned(),
        })
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    pub fn host(&self) -> &str {
        &self.address
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
