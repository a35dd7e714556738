//! The repositories that are pushed to: commits made straight into bare repositories, one process each.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use super::Lab;

/// A bare repository `me/NAME.git` below the upstream.
pub struct Upstream<'l> {
    lab: &'l Lab,
    pub folder: PathBuf,
    commits: usize,
    /// Its newest commit.
    pub tip: String,
}

/// What a commit writes.
pub enum Put<'t> {
    Text(&'t str),
    /// The commit of a submodule.
    Link(&'t str),
}

impl<'l> Upstream<'l> {
    pub fn new(lab: &'l Lab, name: &str) -> Result<Self> {
        let folder = lab.path("upstream/me").join(format!("{name}.git"));
        lab.git(
            &lab.path("upstream"),
            &["init", "-q", "--bare", &folder.display().to_string()],
        )?;
        Ok(Self {
            lab,
            folder,
            commits: 0,
            tip: String::new(),
        })
    }

    /// Adds a commit to `main`.
    pub fn commit(&mut self, files: &[(String, Put<'_>)]) -> Result<()> {
        self.commits += 1;
        let subject = format!("Change number {}", self.commits);
        let mut text = format!(
            "commit refs/heads/main\nmark :1\ncommitter Me <me@example.org> {} +0000\ndata {}\n{subject}\n",
            1_700_000_000 + self.commits,
            subject.len(),
        );
        if self.commits > 1 {
            text.push_str("from refs/heads/main^0\n");
        }
        for (path, put) in files {
            match put {
                Put::Text(content) => write!(
                    text,
                    "M 100644 inline {path}\ndata {}\n{content}\n",
                    content.len()
                )?,
                Put::Link(commit) => writeln!(text, "M 160000 {commit} {path}")?,
            }
        }
        let marks = self.lab.path("marks");
        let mut child = self
            .lab
            .clean("git")
            .arg("-C")
            .arg(&self.folder)
            .args(["fast-import", "--quiet"])
            .arg(format!("--export-marks={}", marks.display()))
            .stdin(Stdio::piped())
            .spawn()?;
        child
            .stdin
            .take()
            .context("no input of git fast-import")?
            .write_all(text.as_bytes())?;
        let status = child.wait()?;
        if !status.success() {
            bail!("git fast-import ended with {status}");
        }
        let marks = fs::read_to_string(marks)?;
        let tip = marks.trim().strip_prefix(":1 ");
        tip.context("git fast-import left no mark")?
            .clone_into(&mut self.tip);
        Ok(())
    }
}

/// A superproject with submodules, and checkouts of it.
pub struct World<'l> {
    lab: &'l Lab,
    pub site: Upstream<'l>,
    submodules: Vec<Upstream<'l>>,
    rounds: usize,
    /// The submodules that the last push moved, by path.
    pub modified: Vec<String>,
}

impl<'l> World<'l> {
    /// `name` keeps the repositories of one world apart from another's.
    pub fn new(lab: &'l Lab, name: &str, files: usize, submodules: usize) -> Result<Self> {
        let mut world = Self {
            lab,
            site: Upstream::new(lab, name)?,
            submodules: (0..submodules)
                .map(|index| Upstream::new(lab, &format!("{name}-sub{index}")))
                .collect::<Result<_>>()?,
            rounds: 0,
            modified: Vec::new(),
        };
        for submodule in &mut world.submodules {
            let hundred: Vec<_> = (0..100)
                .map(|file| (format!("post{file}.md"), Put::Text("a post\n")))
                .collect();
            submodule.commit(&hundred)?;
        }
        let mut gitmodules = String::new();
        for index in 0..submodules {
            write!(
                gitmodules,
                "[submodule \"sub{index}\"]\n\tpath = sub{index}\n\turl = ../{name}-sub{index}.git\n"
            )?;
        }
        let contents: Vec<String> = (0..files).map(|file| format!("page {file}\n")).collect();
        let mut first: Vec<_> = contents
            .iter()
            .enumerate()
            .map(|(file, content)| {
                (
                    format!("pages/{}/page{file}.html", file / 100),
                    Put::Text(content),
                )
            })
            .collect();
        if submodules > 0 {
            first.push((".gitmodules".into(), Put::Text(&gitmodules)));
        }
        for (index, submodule) in world.submodules.iter().enumerate() {
            first.push((format!("sub{index}"), Put::Link(&submodule.tip)));
        }
        world.site.commit(&first)?;
        Ok(world)
    }

    /// A push: one commit of the site, and one in each of these submodules.
    pub fn push(&mut self, moved: impl IntoIterator<Item = usize>) -> Result<()> {
        self.rounds += 1;
        let moved: Vec<usize> = moved.into_iter().collect();
        let content = format!("round {}\n", self.rounds);
        let mut files = vec![("index.html".into(), Put::Text(content.as_str()))];
        self.modified.clear();
        for index in &moved {
            let submodule = &mut self.submodules[*index];
            submodule.commit(&[("newest.md".into(), Put::Text(&content))])?;
            self.modified.push(format!("sub{index}"));
        }
        for (path, index) in self.modified.iter().zip(&moved) {
            files.push((path.clone(), Put::Link(&self.submodules[*index].tip)));
        }
        self.site.commit(&files)
    }

    /// A checkout with its submodules, from a URL or a path.
    pub fn clone(&self, from: &str, to: &str) -> Result<PathBuf> {
        let folder = self.lab.path(to);
        let place = folder.display().to_string();
        self.lab.git(
            &self.lab.path(""),
            &["clone", "-q", "--recursive", "--jobs", "4", from, &place],
        )?;
        Ok(folder)
    }

    /// Fails unless a checkout is at the newest commit and clean.
    pub fn is_live_in(&self, folder: &std::path::Path) -> Result<()> {
        let head = self.lab.git(folder, &["rev-parse", "HEAD"])?;
        let status = self.lab.git(folder, &["status", "--porcelain"])?;
        if head != self.site.tip || !status.is_empty() {
            bail!("{} is not at {}: {status}", folder.display(), self.site.tip);
        }
        Ok(())
    }
}
