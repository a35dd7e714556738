//! A time, to the second, in the one form that we write and print: RFC 3339 in UTC.

use std::fmt::{Display, Formatter};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The last second of the year 9999, which the form ends with.
const MAX_SECONDS: u64 = 253_402_300_799;

/// In seconds since 1970. What is later than the form has is shown as its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Moment(pub(crate) u64);

impl Moment {
    pub(crate) fn now() -> Self {
        SystemTime::now().into()
    }

    /// For a person.
    pub(crate) fn utc(self) -> String {
        self.to_string().replace('T', " ").replace('Z', "")
    }

    /// How long ago it was.
    pub(crate) fn age(self) -> Duration {
        Duration::from_secs(Self::now().0.saturating_sub(self.0))
    }
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH);
        Self(since.map_or(0, |since| since.as_secs()))
    }
}

impl Display for Moment {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let time = UNIX_EPOCH + Duration::from_secs(self.0.min(MAX_SECONDS));
        humantime::format_rfc3339_seconds(time).fmt(f)
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        moment.to_string()
    }
}

impl TryFrom<String> for Moment {
    type Error = humantime::TimestampError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        humantime::parse_rfc3339(&text).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_has_no_form_is_the_nearest_that_has() {
        let shown = |seconds: i64| {
            let since = Duration::from_secs(seconds.unsigned_abs());
            let time = if seconds < 0 {
                UNIX_EPOCH - since
            } else {
                UNIX_EPOCH + since
            };
            Moment::from(time).to_string()
        };
        assert_eq!(shown(-1), "1970-01-01T00:00:00Z");
        assert_eq!(shown(1_795_834_800), "2026-11-28T03:00:00Z");
        assert_eq!(shown(300_000_000_000), "9999-12-31T23:59:59Z");
    }
}
