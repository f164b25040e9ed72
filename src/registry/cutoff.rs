//! Dates after which nothing is taken: npm's `before` and `min-release-age`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::settings::Remarks;
use crate::error::Error;

/// One of npm's two settings as a moment that compares as text with the ones in a registry's
/// answers (`2026-01-31T00:00:00.000Z`). Of the two npm takes `before`.
pub fn npm(before: Option<&str>, age: Option<&str>, remarks: &mut Remarks) -> Option<String> {
    let (setting, moment) = match (before, age) {
        (Some(text), _) => ("before", moment(text)),
        (None, Some(days)) => ("min-release-age", days_ago(days, SystemTime::now())),
        (None, None) => return None,
    };
    if moment.is_none() {
        let hint = "write `before` as 2026-01-31 or 2026-01-31T12:00:00Z, and `min-release-age` as a number of days";
        remarks.refusals.push(Error::refused(format!("npm's setting `{setting}` is not understood")).hint(hint));
    }
    moment
}

/// A date, or a moment in UTC.
fn moment(text: &str) -> Option<String> {
    let pattern = |pattern: &str| {
        let fits = |(c, p): (char, char)| if p == '0' { c.is_ascii_digit() } else { c == p };
        text.len() == pattern.len() && text.chars().zip(pattern.chars()).all(fits)
    };
    if pattern("0000-00-00") {
        return Some(format!("{text}T00:00:00.000Z"));
    }
    if pattern("0000-00-00T00:00:00Z") {
        return Some(format!("{}.000Z", text.trim_end_matches('Z')));
    }
    pattern("0000-00-00T00:00:00.000Z").then(|| text.to_owned())
}

fn days_ago(days: &str, now: SystemTime) -> Option<String> {
    let days: u64 = days.parse().ok()?;
    let now = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let then = now.saturating_sub(days.checked_mul(86_400)?);
    let (year, month, day) = civil(then / 86_400);
    let (hour, minute, second) = (then / 3600 % 24, then / 60 % 60, then % 60);
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000Z"))
}

/// Days since 1970-01-01 as a date (Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let mp = (5 * day_of_year + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day_of_year - (153 * mp + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_ages() {
        assert_eq!(moment("2026-01-31").unwrap(), "2026-01-31T00:00:00.000Z");
        assert_eq!(moment("2026-01-31T12:00:00Z").unwrap(), "2026-01-31T12:00:00.000Z");
        assert_eq!(moment("31 Jan 2026"), None);
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(days_ago("0", at(0)).unwrap(), "1970-01-01T00:00:00.000Z");
        assert_eq!(days_ago("1", at(951_868_800 + 3661)).unwrap(), "2000-02-29T01:01:01.000Z");
        assert_eq!(days_ago("7", at(1_767_225_600)).unwrap(), "2025-12-25T00:00:00.000Z");
        assert_eq!(days_ago("x", at(0)), None);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let mut remarks = Remarks::default();
        assert_eq!(npm(Some("yesterday"), None, &mut remarks), None);
        assert_eq!(remarks.refusals.len(), 1);
        assert_eq!(npm(None, None, &mut remarks), None);
        assert_eq!(remarks.refusals.len(), 1);
    }
}
