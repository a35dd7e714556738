//! The page for a browser: `page.html`, filled. Whatever is put into it is escaped by its template.

use std::time::Duration;

use anyhow::Result;
use askama::Template;

use super::link::{GitHub, Links};
use super::overview::{Deploy, MOST_DEPLOYS, Overview, State};
use super::text::{OWED, held_afterwards, waiting};
use crate::commit_id::CommitId;
use crate::moment::Moment;

/// What the page may load and run: its own style, which this is the digest of, and nothing else. A test
/// says what the digest has to be.
pub(super) const POLICY: (&str, &str) =
    content_security_policy!("sha256-BADbZCCnCHlekhcVP1IaWZK39BXpajAMIEhCrSsz0OI=");

/// How often a page is loaded again while something happens, in seconds.
const REFRESH_SECONDS: u32 = 5;

/// The chart of durations, in its own units: from bar to bar, and the longest bar.
const BAR_STEP: usize = 10;
const BAR_WIDTH: usize = 7;
const CHART_WIDTH: usize = MOST_DEPLOYS * BAR_STEP;
const CHART_HEIGHT: u32 = 40;

#[derive(Template)]
#[template(path = "page.html", config = "src/page/askama.toml")]
struct Html<'o> {
    overview: &'o Overview,
    links: &'o Links,
    github: Option<GitHub>,
    headline: &'static str,
    title: String,
    bars: Vec<Bar>,
    longest: f64,
    now: Moment,
}

/// A bar of the chart, from the left.
struct Bar {
    x: usize,
    y: u32,
    height: u32,
    verdict: &'static str,
}

pub(super) fn page(overview: &Overview, links: &Links) -> Result<String> {
    let headline = headline(overview.state);
    let live = overview.live.as_ref().map(|live| live.commit.short());
    let title = [Some(headline), live, overview.branch.as_deref()];
    let seconds = overview.deploys.iter().map(|deploy| deploy.seconds);
    let longest = seconds.fold(0.0, f64::max);
    let page = Html {
        overview,
        links,
        github: overview.github.as_ref().map(GitHub::of),
        headline,
        title: title.into_iter().flatten().collect::<Vec<_>>().join(" · "),
        bars: bars(&overview.deploys, longest),
        longest,
        now: Moment::now(),
    };
    Ok(page.render()?)
}

/// The word that answers first.
fn headline(state: State) -> &'static str {
    match state {
        State::Running => "Deploying",
        State::Held => "Held",
        State::Waiting => "Waiting",
        State::Failed => "Failed",
        State::Deployed => "Live",
        State::Nothing => "No deploy yet",
    }
}

/// Oldest first, as one reads.
fn bars(deploys: &[Deploy], longest: f64) -> Vec<Bar> {
    let bar = |(place, deploy): (usize, &Deploy)| {
        let height = height_of(deploy.seconds, longest);
        Bar {
            x: place * BAR_STEP,
            y: CHART_HEIGHT - height,
            height,
            verdict: deploy.verdict.word(),
        }
    };
    deploys.iter().rev().enumerate().map(bar).collect()
}

/// The height of a bar: at least so much that it is seen.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and the height of the chart"
)]
fn height_of(seconds: f64, longest: f64) -> u32 {
    let part = if longest > 0.0 {
        seconds / longest
    } else {
        0.0
    };
    ((part * f64::from(CHART_HEIGHT)).round() as u32).clamp(2, CHART_HEIGHT)
}

impl Html<'_> {
    /// Where the page will say something else soon, and nobody wants it to stay: the address of one that stays.
    fn still(&self) -> Option<&str> {
        let will_change = matches!(self.overview.state, State::Running | State::Waiting);
        self.links.still.as_deref().filter(|_| will_change)
    }

    /// Where a commit is shown.
    fn commit(&self, commit: &CommitId) -> Option<String> {
        self.github.as_ref().map(|github| github.commit(commit))
    }

    /// Where what a deploy brought is shown.
    fn brought(&self, deploy: &Deploy) -> Option<String> {
        let github = self.github.as_ref()?;
        let new = deploy.new.as_ref()?;
        Some(match &deploy.old {
            Some(old) if old != new => github.between(old, new),
            Some(_) | None => github.commit(new),
        })
    }
}

impl Moment {
    /// How long ago, in the largest unit.
    fn ago(self) -> String {
        match in_words(self.age()) {
            Some(age) => format!("{age} ago"),
            None => "just now".to_owned(),
        }
    }

    /// How long it lasts already.
    fn lasts(self) -> String {
        let seconds = self.age().as_secs();
        in_words(self.age()).unwrap_or_else(|| format!("{seconds} s"))
    }
}

/// A time in its largest unit; none under a minute.
fn in_words(age: Duration) -> Option<String> {
    let minutes = age.as_secs() / 60;
    let (count, unit) = match minutes {
        0 => return None,
        1..60 => (minutes, "min"),
        60..2880 => (minutes / 60, "h"),
        _ => (minutes / 1440, "days"),
    };
    Some(format!("{count} {unit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_in_its_largest_unit() {
        for (seconds, expected) in [
            (59, None),
            (60, Some("1 min")),
            (3599, Some("59 min")),
            (3600, Some("1 h")),
            (172_799, Some("47 h")),
            (172_800, Some("2 days")),
        ] {
            let words = in_words(Duration::from_secs(seconds));
            assert_eq!(words.as_deref(), expected, "{seconds}");
        }
    }

    #[test]
    fn the_longest_deploy_has_the_highest_bar_and_each_is_seen() {
        assert_eq!(height_of(10.0, 10.0), 40);
        assert_eq!(height_of(5.0, 10.0), 20);
        assert_eq!(height_of(0.0, 10.0), 2);
        assert_eq!(height_of(0.0, 0.0), 2);
    }
}
