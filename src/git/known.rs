//! What is known of the checkout's configuration while git is used, and what git is told because of it: logins apart from their
//! URLs, and URLs that go over ssh.

use std::rc::Rc;

use anyhow::Result;

use super::Git;
use super::config::{Config, setting};
use super::login::{logins_of, without_login};
use super::ssh::Ssh;
use crate::process::FileInMemory;
use crate::remote_url::RemoteUrl;

/// What was last read of the checkout's configuration, and what git is told because of it.
#[derive(Default)]
pub(super) struct Known {
    config: Option<Rc<Config>>,
    /// The logins of its remotes.
    logins: Option<FileInMemory>,
    /// The URLs that go over ssh, since their repositories have keys of their own.
    rewrites: Option<FileInMemory>,
    /// A remote that is in no repository yet.
    remote: Option<FileInMemory>,
}

impl Known {
    /// Configuration for git.
    pub(super) fn files(&self) -> impl Iterator<Item = &FileInMemory> {
        let files = [&self.logins, &self.rewrites, &self.remote];
        files.into_iter().flatten()
    }
}

impl Git<'_> {
    /// The configuration of the checkout, read once. One process answers what would take one for each question.
    pub(crate) fn config(&self) -> Result<Rc<Config>> {
        match self.known_config() {
            Some(known) => Ok(known),
            None => self.read_config(),
        }
    }

    /// The same, read anew.
    pub(crate) fn read_config(&self) -> Result<Rc<Config>> {
        self.know(self.top().read_config()?)
    }

    /// Knows a remote that is in no repository yet, as `origin`: on a command line its URL would show what may be a token.
    /// Returns its URL, without its login.
    pub(crate) fn know_remote(&self, url: &RemoteUrl) -> Result<RemoteUrl> {
        let url = without_login(url)?;
        let mut config = self.top().read_config()?;
        config.add_origin(&url);
        let file = FileInMemory::with(&setting("remote", "origin", "url", url.as_str()))?;
        self.known.borrow_mut().remote = Some(file);
        self.know(config)?;
        Ok(url)
    }

    /// Goes by a configuration from now on.
    pub(super) fn know(&self, config: Config) -> Result<Rc<Config>> {
        self.known.borrow_mut().logins = logins_of(&config, self.clone.as_ref())?;
        let config = Rc::new(config);
        self.known.borrow_mut().config = Some(Rc::clone(&config));
        self.rewrite_urls()?;
        Ok(config)
    }

    /// Lets URLs for https go over ssh where their repositories have keys of their own, as far as the URLs are known now.
    pub(super) fn rewrite_urls(&self) -> Result<()> {
        let Ssh::WithKeys(keys) = &self.ssh else {
            return Ok(());
        };
        let config = self.known_config().unwrap_or_default();
        let remote = config.a_remote_url().or_else(|| self.clone.clone());
        let text = remote.map(|remote| keys.rewrites(&remote, &self.checkout.folder));
        let text = text.filter(|text| !text.is_empty());
        let rewrites = text.map(|text| FileInMemory::with(&text)).transpose()?;
        self.known.borrow_mut().rewrites = rewrites;
        Ok(())
    }

    /// What was read of it, if anything was: before there is a repository there is nothing to read.
    pub(super) fn known_config(&self) -> Option<Rc<Config>> {
        self.known.borrow().config.clone()
    }
}
