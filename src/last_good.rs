//! What the last deploy that ended well left: HEAD and submodules, `on_update` included. A file of its own, so that one
//! that failed is tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::commit_id::CommitId;
use crate::git::{Checkout, Found, Gitlink, Submodule, gitmodules_text};
use crate::state::StateFolder;

const FILE: &str = "last-good";

/// The file with the last of them.
const GOOD_DEPLOYS: &str = "good-deploys";

/// How many there are.
const MAX_GOOD_DEPLOYS: usize = 10;

/// A state of the checkout, as a person who looks at the site would see it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastGood {
    pub(crate) head: Option<CommitId>,
    /// By path below the checkout, the commit of each submodule.
    #[serde(default)]
    pub(crate) submodules: BTreeMap<String, CommitId>,
    /// Digests of the .gitmodules files by the folder they are in, to see that a URL may have changed.
    #[serde(default)]
    gitmodules: BTreeMap<String, String>,
    /// Whether these are all that HEAD and they themselves record, each where it is recorded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_complete: bool,
    /// The submodules that were moved when any last was: they are likely to be moved again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) moved: Vec<String>,
    /// Whether this is what a person left, and not a deploy.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    by_a_person: bool,
}

impl LastGood {
    pub(crate) fn read(state: &StateFolder) -> Result<Option<Self>> {
        let Some(text) = state.read(FILE)? else {
            return Ok(None);
        };
        // One that can't be read says nothing: then everything is new.
        Ok(Some(serde_json::from_slice(&text).unwrap_or_default()))
    }

    pub(crate) fn write(&self, state: &StateFolder) -> Result<()> {
        // What a power failure may leave of it is the old one, or none: then on_update runs once more.
        state.write_unsynced(FILE, &serde_json::to_vec(self)?)
    }

    /// A commit, with its submodules wherever it records them.
    pub(crate) fn at(commit: CommitId) -> Self {
        Self {
            head: Some(commit),
            ..Self::default()
        }
    }

    pub(crate) fn of(
        checkout: &Checkout,
        head: Option<CommitId>,
        submodules: &[Submodule],
    ) -> Self {
        let top = Path::new("");
        let folders = submodules.iter().map(|submodule| submodule.path.as_path());
        let at = |submodule: &Submodule| match &submodule.found {
            Found::At(commit) => Some((key(&submodule.path), commit.clone())),
            Found::WithoutIndex(_) | Found::Nothing => None,
        };
        Self {
            head,
            submodules: submodules.iter().filter_map(at).collect(),
            gitmodules: std::iter::once(top)
                .chain(folders)
                .filter_map(|below| Some((key(below), gitmodules_digest(checkout, below)?)))
                .collect(),
            ..Self::default()
        }
    }

    /// The same, which came after `before`.
    pub(crate) fn after(mut self, before: &Self) -> Self {
        let submodules = self.submodules.iter();
        self.moved = submodules
            .filter(|(path, now)| before.submodules.get(*path).is_some_and(|old| old != *now))
            .map(|(path, _)| path.clone())
            .collect();
        if self.moved.is_empty() {
            self.moved.clone_from(&before.moved);
        }
        self
    }

    /// The same, where every submodule that is recorded is there.
    pub(crate) fn complete(self) -> Self {
        Self {
            is_complete: true,
            ..self
        }
    }

    /// The submodules that the commit of a work tree below the checkout records, where that is known.
    pub(crate) fn recorded_in(&self, below: &Path) -> Option<Vec<Gitlink>> {
        let is_inside = |path: &Path, folder: &Path| path != folder && path.starts_with(folder);
        let all = || {
            self.submodules
                .iter()
                .map(|(path, commit)| (Path::new(path), commit))
        };
        let direct = all().filter(|(path, _)| {
            let is_between = |other: &Path| is_inside(other, below) && is_inside(path, other);
            is_inside(path, below) && !all().any(|(other, _)| is_between(other))
        });
        let gitlink = |(path, commit): (&Path, &CommitId)| Gitlink {
            path: path.strip_prefix(below).unwrap_or(path).to_owned(),
            commit: commit.clone(),
        };
        self.is_complete.then(|| direct.map(gitlink).collect())
    }

    /// The same, before there was any deploy.
    pub(crate) fn left_by_a_person(self) -> Self {
        Self {
            by_a_person: true,
            ..self
        }
    }

    /// The commit that a deploy left a work tree below the checkout at.
    pub(crate) fn commit_left(&self, below: &Path) -> Option<&CommitId> {
        self.commit_of(below).filter(|_| !self.by_a_person)
    }

    /// The same, unless it is what a person left.
    pub(crate) fn of_a_deploy(&self) -> Option<&Self> {
        Some(self).filter(|_| !self.by_a_person)
    }

    /// The submodules that came, went or are at another commit than before, by path.
    pub(crate) fn moved_since<'s>(&'s self, before: &'s Self) -> impl Iterator<Item = &'s String> {
        let new = self.submodules.keys();
        let gone = before.submodules.keys();
        let gone = gone.filter(|path| !self.submodules.contains_key(*path));
        new.chain(gone)
            .filter(|path| self.submodules.get(*path) != before.submodules.get(*path))
    }

    /// Whether what `self` says is what is there; of submodules it may say nothing.
    pub(crate) fn is_part_of(&self, there: &Self) -> bool {
        let mut submodules = self.submodules.iter();
        self.head == there.head
            && submodules.all(|(path, commit)| there.submodules.get(path) == Some(commit))
    }

    /// Whether a person would see another site.
    pub(crate) fn differs_from(&self, other: &Self) -> bool {
        self.head != other.head || self.submodules != other.submodules
    }

    /// Whether the .gitmodules of a work tree below the checkout is not what it was.
    pub(crate) fn had_other_gitmodules(&self, checkout: &Checkout, below: &Path) -> bool {
        gitmodules_digest(checkout, below) != self.gitmodules.get(&key(below)).cloned()
    }

    /// The commit that a work tree below the checkout was at.
    pub(crate) fn commit_of(&self, below: &Path) -> Option<&CommitId> {
        if below.as_os_str().is_empty() {
            self.head.as_ref()
        } else {
            self.submodules.get(&key(below))
        }
    }
}

/// The last good deploys, oldest first, as `back` goes through them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct GoodDeploys(Vec<LastGood>);

impl GoodDeploys {
    pub(crate) fn read(state: &StateFolder) -> Result<Self> {
        // One that can't be read knows of nothing to go back to.
        Ok(state.json(GOOD_DEPLOYS)?.unwrap_or_default())
    }

    /// Adds what a deploy left, unless it is the last one already, and before the first one what was there.
    pub(crate) fn add(state: &StateFolder, before: &LastGood, now: &LastGood) -> Result<()> {
        let mut known = Self::read(state)?;
        if known.0.is_empty() && before.head.is_some() {
            known.0.push(before.clone());
        }
        if known.0.last().is_none_or(|last| last.differs_from(now)) {
            known.0.push(now.clone());
        }
        let too_many = known.0.len().saturating_sub(MAX_GOOD_DEPLOYS);
        known.0.drain(..too_many);
        state.write_unsynced(GOOD_DEPLOYS, &serde_json::to_vec(&known)?)
    }

    /// The last one before what is live; where that is none of them, the last one that was `older`.
    pub(crate) fn before(
        &self,
        live: &LastGood,
        older: impl Fn(&CommitId) -> Result<bool>,
    ) -> Result<Option<&LastGood>> {
        let is_other = |known: &&LastGood| known.differs_from(live);
        let at = self.0.iter().rposition(|known| !is_other(&known));
        let earlier = &self.0[..at.unwrap_or(self.0.len())];
        for known in earlier.iter().rev().filter(is_other) {
            if let Some(head) = &known.head
                && (at.is_some() || older(head)?)
            {
                return Ok(Some(known));
            }
        }
        Ok(None)
    }

    /// The commits of a work tree below the checkout that any of them had.
    pub(crate) fn commits_of(&self, below: &Path) -> BTreeSet<&CommitId> {
        let known = self.0.iter();
        known.filter_map(|good| good.commit_of(below)).collect()
    }
}

fn key(below: &Path) -> String {
    below.to_string_lossy().into_owned()
}

fn gitmodules_digest(checkout: &Checkout, below: &Path) -> Option<String> {
    let text = gitmodules_text(&checkout.folder.join(below))?;
    Some(hex::encode(Sha256::digest(text)))
}
