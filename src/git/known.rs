//! What is known of the checkout's configuration while git is used, and what git is told because of it: logins apart from their
//! URLs, and URLs that go over ssh.

use std::rc::Rc;

use anyhow::Result;

use super::Git;
use super::config::{Config, config_section, quoted};
use super::login::{Logins, without_login};
use super::ssh::Ssh;
use crate::process;
use crate::remote_url::RemoteUrl;

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
        let section = config_section("remote", "origin");
        let text = format!("{section}\turl = {}\n", quoted(url.as_str()));
        let file = process::file_in_memory(text.as_bytes())?;
        self.remote.replace(Some(file));
        self.know(config)?;
        Ok(url)
    }

    /// Goes by a configuration from now on.
    pub(super) fn know(&self, config: Config) -> Result<Rc<Config>> {
        let logins = Logins::of(&config, self.clone.as_ref())?;
        self.logins.replace(logins);
        let config = Rc::new(config);
        self.config.replace(Some(Rc::clone(&config)));
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
        let rewrites = text.map(|text| process::file_in_memory(text.as_bytes()));
        self.rewrites.replace(rewrites.transpose()?);
        Ok(())
    }

    /// What was read of it, if anything was: before there is a repository there is nothing to read.
    pub(super) fn known_config(&self) -> Option<Rc<Config>> {
        self.config.borrow().clone()
    }
}
