//! What a deploy brings the branch to.

use crate::last_good::LastGood;
use crate::site::Site;

/// What a deploy brings the branch to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Aim<'a> {
    /// What the remote's branch has.
    Tip,
    /// The newest commit of that which this workflow has passed.
    Green(&'a str),
    /// What was there before, whatever the remote has.
    Back(&'a LastGood),
}

impl<'a> Aim<'a> {
    /// What a site's deliveries are deployed to.
    pub(crate) fn of(site: &'a Site) -> Self {
        site.workflow.as_deref().map_or(Self::Tip, Self::Green)
    }

    pub(super) fn is_back(self) -> bool {
        matches!(self, Self::Back(_))
    }
}
