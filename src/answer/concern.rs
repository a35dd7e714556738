//! Which pushes are this site's: those to the branch that it follows, and to those of its submodules.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::Result;

use crate::cgi::Environment;
use crate::delivery::Push;
use crate::deploy::clone::Stage;
use crate::git::{Git, Handover, NoUpstream, Source, Tracking, Upstream};
use crate::redaction::{excerpt, line_of};
use crate::remote_url::RemoteUrl;
use crate::repository_name::RepositoryName;
use crate::site::{Site, Submodules};

/// How a push concerns a checkout, and what was read to find out.
pub(super) struct Look {
    pub(super) concern: Concern,
    pub(super) config: Option<Handover>,
}

/// How a push concerns a checkout.
pub(super) enum Concern {
    Ours,
    /// It is one of its submodules', at this path. Where the remote's default branch is another one than is known here, it is
    /// named.
    Submodule {
        path: String,
        new_default: Option<String>,
    },
    /// Not at all, because of this.
    Not(String),
}

impl Look {
    /// Whether and how a push concerns this site. Told by the ref, the ids and the repository only.
    pub(super) fn of(
        site: &Site,
        env: &Environment,
        push: &Push,
        found: &Stage,
        until: Instant,
    ) -> Result<Self> {
        let branch = match pushed_branch(push) {
            Ok(branch) => branch,
            Err(why) => return Ok(Concern::Not(why).into()),
        };
        let checkout = match found {
            Stage::Whole(checkout) => checkout,
            // Then the site file alone says what is followed.
            Stage::Nothing | Stage::Begun(_) => {
                let of_url = site.clone.as_ref().and_then(RemoteUrl::repository);
                let concern = match site.repository.as_ref().or(of_url) {
                    Some(ours) if *ours != *push.repository => {
                        Concern::Not(of_another_repository(push, ours, site))
                    }
                    Some(_) | None => concern_of_branch(push, branch, site.branch.as_deref()),
                };
                return Ok(concern.into());
            }
        };
        let git = Git::new(site, checkout, env)?.only_looking(until)?;
        let reading = git.begin_reading();
        Ok(Self {
            concern: Concern::in_checkout(site, push, branch, &git)?,
            config: git.hand_over(&reading),
        })
    }
}

impl From<Concern> for Look {
    fn from(concern: Concern) -> Self {
        let config = None;
        Self { concern, config }
    }
}

impl Concern {
    /// The same, where there is a checkout.
    fn in_checkout(site: &Site, push: &Push, branch: &str, git: &Git<'_>) -> Result<Self> {
        let followed = git.tracking(site.branch.as_deref())?;
        // Where the checkout follows nothing, the deploy will fail and say why; but its branch may still be known.
        let (known, named) = match &followed {
            Tracking::Upstream(followed) => (Some(followed.clone()), None),
            Tracking::None(NoUpstream::OtherBranch { wanted, .. }) => {
                (git.upstream(wanted)?, Some(wanted.as_str()))
            }
            Tracking::None(
                NoUpstream::NotSet { branch } | NoUpstream::LocalUpstream { branch },
            ) => (None, Some(branch.as_str())),
            Tracking::None(NoUpstream::Detached) => (None, None),
        };
        let of_url = known.as_ref().and_then(|known| known.url.repository());
        let repository = site.repository.as_ref().or(of_url);
        if repository.is_none_or(|ours| *ours != *push.repository) {
            let sources = git.submodules_from(&push.repository)?;
            if !sources.is_empty() {
                return Self::of_submodules(site.submodules, push, branch, &sources, git);
            }
            // Where the remote's URL names no repository, the secret alone has to say that the push is for us.
            if let Some(ours) = repository {
                return Ok(Self::Not(of_another_repository(push, ours, site)));
            }
        }
        let ours = known.as_ref().map(Upstream::remote_branch).or(named);
        Ok(concern_of_branch(push, branch, ours))
    }

    /// A push to the repository of submodules.
    fn of_submodules(
        submodules: Submodules,
        push: &Push,
        branch: &str,
        sources: &[Source],
        git: &Git<'_>,
    ) -> Result<Self> {
        let paths: Vec<_> = sources
            .iter()
            .map(|source| excerpt(&source.path.to_string_lossy()))
            .collect();
        let (are, follow) = match paths.len() {
            1 => ("submodule", "it follows"),
            _ => ("submodules", "they follow"),
        };
        let named = format!("the {are} {}", paths.join(", "));
        let repository = excerpt(&push.repository);
        let why_not = match submodules {
            Submodules::Skip => {
                format!(
                    "the push to {repository}, {named}: this site leaves submodules alone (submodules = \"skip\")"
                )
            }
            Submodules::Recorded => format!(
                "the push to {repository}, {named}: this site deploys the commit that its own repository records; set \
                 submodules = \"latest\" to follow the submodule itself"
            ),
            Submodules::Latest if push.deletion => format!("the deletion of a branch of {named}"),
            Submodules::Latest => {
                let mut followed = BTreeSet::new();
                for source in sources {
                    match Self::of_source(source, branch, git)? {
                        Self::Not(ours) => followed.insert(ours),
                        concern => return Ok(concern),
                    };
                }
                let followed: Vec<_> = followed.into_iter().collect();
                let followed = followed.join(", ");
                format!(
                    "the push to {} of {named}: {follow} {followed}",
                    excerpt(branch)
                )
            }
        };
        Ok(Self::Not(why_not))
    }

    /// A push to a branch of one submodule. Where that follows another one, its name.
    fn of_source(source: &Source, branch: &str, git: &Git<'_>) -> Result<Self> {
        let mut new_default = None;
        let mut ours = source.branch.clone();
        if ours.is_none() {
            ours = git.submodule(&source.path).default_branch()?;
            // It may be another one by now.
            if ours.as_deref() != Some(branch) {
                new_default = git.ask_default_branch(&source.path)?;
                ours = new_default.clone().or(ours);
            }
        }
        Ok(match ours {
            Some(ours) if ours != branch => Self::Not(excerpt(&ours)),
            Some(_) | None => Self::Submodule {
                path: source.path.to_string_lossy().into_owned(),
                new_default,
            },
        })
    }
}

/// The branch that was pushed, or why it is none.
fn pushed_branch(push: &Push) -> Result<&str, String> {
    push.git_ref.strip_prefix("refs/heads/").ok_or_else(|| {
        let what = if push.git_ref.starts_with("refs/tags/") {
            "a tag"
        } else {
            "not a branch"
        };
        format!(
            "the push of {}: that is {what}, and only branches are deployed",
            excerpt(&push.git_ref)
        )
    })
}

/// Whether a push to our repository is to the branch that is followed, where that is known.
fn concern_of_branch(push: &Push, branch: &str, ours: Option<&str>) -> Concern {
    if let Some(ours) = ours.filter(|ours| *ours != branch) {
        return Concern::Not(format!(
            "the push to {}: this site follows {}",
            excerpt(branch),
            excerpt(ours)
        ));
    }
    if push.deletion {
        let followed = ours.map_or("", |_| ", which this site follows");
        return Concern::Not(format!(
            "the deletion of {}{followed}: what is live stays. Push that branch again, or name another one with the key \
             `branch`",
            excerpt(branch)
        ));
    }
    Concern::Ours
}

fn of_another_repository(push: &Push, ours: &RepositoryName, site: &Site) -> String {
    let (pushed, ours) = (excerpt(&push.repository), excerpt(&ours.to_string()));
    let why = match site.repository {
        Some(_) => "as its key `repository` says",
        None => "as its remote's URL says",
    };
    format!(
        "the push to the repository {pushed}: this site follows {ours}, {why}. If {ours} was renamed to {pushed}, set \
         repository = \"{pushed}\" in {}",
        line_of(&site.file)
    )
}
