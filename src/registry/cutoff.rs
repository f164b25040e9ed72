//! Moments after which nothing is taken: npm's `before` and `min-release-age`, uv's `exclude-newer`, and what the least
//! age of releases comes to.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::settings::Remarks;
use crate::error::Error;

const DATE: &str = "0000-00-00";
const DAY: u64 = 86_400;

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

/// uv's `exclude-newer` as such a moment. A day counts to its end, here in UTC, and an age may be
/// written `7 days`, `24 hours`, `P7D` or `PT24H`
/// (<https://docs.astral.sh/uv/reference/settings/#exclude-newer>).
pub fn uv(text: &str, shown: &str, remarks: &mut Remarks) -> Option<String> {
    let found = match moment(text) {
        Some(day) if text.len() == DATE.len() => seconds_of(&day).and_then(|start| at(start + DAY)),
        Some(moment) => Some(moment),
        None => age(text).and_then(|age| at(since_1970(SystemTime::now()).saturating_sub(age))),
    };
    if found.is_none() {
        let hint = "write it as 2026-01-31, 2026-01-31T12:00:00Z, `7 days` or `24 hours`";
        remarks.refusals.push(Error::refused(format!("{shown} is not understood")).hint(hint));
    }
    found
}

/// What the least age of releases comes to for one package.
#[derive(Debug, Clone, Copy)]
pub struct Bound<'a> {
    /// What was published from then on is too young.
    pub moment: &'a str,
    /// And it is taken all the same.
    pub any: bool,
}

/// What is known of a release's age.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Dated {
    /// Nobody asked, or it is in no registry.
    #[default]
    Unasked,
    /// Its registry does not say of any release when it was published.
    Unknown,
    /// It is old enough.
    Old {
        /// What would have been taken if it were, with its moment.
        passed_over: Option<(String, Option<u64>)>,
    },
    /// It is too young, and so is all else that fits, or every age was asked for.
    Young {
        /// When it was published, in seconds since 1970; none if that is said of others only.
        published: Option<u64>,
    },
}

/// Takes `free`, which fits at any age, or what `pick` has in its place that was published before a moment. `about` says
/// which version something is, and when it was published.
pub fn by_age<T>(
    bound: Bound<'_>,
    free: T,
    pick: impl FnOnce(&str) -> Option<T>,
    about: impl Fn(&T) -> (String, Option<u64>),
) -> (T, Dated) {
    let (version, published) = about(&free);
    let is_old = published.zip(seconds(bound.moment)).is_some_and(|(published, moment)| published < moment);
    match if bound.any || is_old { None } else { pick(bound.moment) } {
        Some(older) => {
            let passed_over = (about(&older).0 != version).then_some((version, published));
            (older, Dated::Old { passed_over })
        }
        None if is_old => (free, Dated::Old { passed_over: None }),
        None => (free, Dated::Young { published }),
    }
}

/// The older one of two moments, of which there need not be any.
pub fn older(one: Option<String>, other: Option<&str>) -> Option<String> {
    match (one, other) {
        (Some(one), Some(other)) if one.as_str() <= other => Some(one),
        (one, None) => one,
        (_, Some(other)) => Some(other.to_owned()),
    }
}

/// Whether `published` is a moment before `newest`.
pub fn is_before(published: &str, newest: &str) -> bool {
    seconds(published).zip(seconds(newest)).is_some_and(|(published, newest)| published < newest)
}

/// A moment of a registry's answers in seconds since 1970; none if it is not one in UTC.
pub fn seconds(text: &str) -> Option<u64> {
    let is_utc = text.ends_with('Z') || text.ends_with("+00:00");
    let text = text.get(..19).filter(|_| is_utc).and_then(|digits| moment(&format!("{digits}Z")))?;
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u64>().ok();
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    // A leap second.
    let is_time = hour < 24 && minute < 60 && second <= 60;
    Some(seconds_of(&text).filter(|_| is_time)? + hour * 3600 + minute * 60 + second)
}

/// An age in seconds, written `7 days`, `24 hours`, `P7D` or `PT24H`.
pub fn age(text: &str) -> Option<u64> {
    let lower = text.trim().to_lowercase();
    let (number, unit) = match lower.strip_prefix('p') {
        Some(iso) => {
            let hours = iso.strip_prefix('t').and_then(|t| t.strip_suffix('h')).map(|n| (n, "h"));
            let days = || iso.strip_suffix('d').map(|n| (n, "d"));
            hours.or_else(days).or_else(|| iso.strip_suffix('w').map(|n| (n, "w")))?
        }
        None => {
            let end = lower.find(|c: char| !c.is_ascii_digit())?;
            (&lower[..end], lower[end..].trim())
        }
    };
    let unit = match unit {
        "h" | "hr" | "hrs" | "hour" | "hours" => 3600,
        "d" | "day" | "days" => DAY,
        "w" | "wk" | "wks" | "week" | "weeks" => 7 * DAY,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// A date, or a moment in UTC.
fn moment(text: &str) -> Option<String> {
    let pattern = |pattern: &str| {
        let fits = |(c, p): (char, char)| if p == '0' { c.is_ascii_digit() } else { c == p };
        text.len() == pattern.len() && text.chars().zip(pattern.chars()).all(fits)
    };
    if pattern(DATE) {
        return Some(format!("{text}T00:00:00.000Z"));
    }
    if pattern("0000-00-00T00:00:00Z") {
        return Some(format!("{}.000Z", text.trim_end_matches('Z')));
    }
    pattern("0000-00-00T00:00:00.000Z").then(|| text.to_owned())
}

fn days_ago(days: &str, now: SystemTime) -> Option<String> {
    let days: u64 = days.parse().ok()?;
    at(since_1970(now).saturating_sub(days.checked_mul(DAY)?))
}

/// A moment in seconds since 1970.
pub fn since_1970(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

/// The day of a moment, as `2026-01-31`.
pub fn day(moment: SystemTime) -> String {
    at(since_1970(moment)).map(|text| text[..10].to_owned()).unwrap_or_default()
}

/// A moment in seconds since 1970, as it stands in a registry's answers.
pub fn at(then: u64) -> Option<String> {
    let (year, month, day) = civil(then / DAY);
    let (hour, minute, second) = (then / 3600 % 24, then / 60 % 60, then % 60);
    (year < 10_000).then(|| format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000Z"))
}

/// The first second of a moment's day, since 1970: [`civil`] the other way round.
fn seconds_of(day: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| day.get(range)?.parse::<u64>().ok();
    let (year, month, date) = (number(0..4)?, number(5..7)?, number(8..10)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&date) {
        return None;
    }
    // A year of this reckoning starts in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * month + 2) / 5 + date - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some((era * 146_097 + day_of_era - 719_468) * DAY)
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
    use proptest::prelude::*;

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
        assert_eq!(day(at(1_767_225_599)), "2025-12-31");
    }

    #[test]
    fn uvs_dates_and_ages() {
        let said = |text: &str| {
            let mut remarks = Remarks::default();
            let moment = uv(text, "`x`", &mut remarks);
            assert_eq!(moment.is_none(), remarks.refusals.len() == 1, "{text}");
            moment
        };
        assert_eq!(said("2026-01-31").unwrap(), "2026-02-01T00:00:00.000Z");
        assert_eq!(said("2024-02-28").unwrap(), "2024-02-29T00:00:00.000Z");
        assert_eq!(said("1999-12-31").unwrap(), "2000-01-01T00:00:00.000Z");
        assert_eq!(said("2026-01-31T12:00:00Z").unwrap(), "2026-01-31T12:00:00.000Z");
        for text in ["7 days", "7d", "1 week", "P7D", "P1W", "PT24H", "24 hours"] {
            assert!(said(text).is_some_and(|moment| moment.starts_with("20")), "{text}");
        }
        for text in
            ["", "yesterday", "2026-13-01", "0000-00-00", "7 months", "P1M", "-1 days", "99999999999999999 weeks"]
        {
            assert_eq!(said(text), None, "{text}");
        }
        assert_eq!((age("2 weeks"), age("PT3H")), (Some(14 * DAY), Some(3 * 3600)));
    }

    #[test]
    fn before_is_a_matter_of_seconds() {
        let newest = "2026-02-01T00:00:00.000Z";
        assert!(is_before("2026-01-31T23:59:59.999999Z", newest) && is_before("2026-01-31T23:59:59Z", newest));
        assert!(!is_before("2026-02-01T00:00:00.000001Z", newest) && !is_before("2026-02-01T00:00:00Z", newest));
        assert!(is_before("2026-01-31T23:59:59.5+00:00", newest) && !is_before("2026-01-31T23:59:59+02:00", newest));
        assert!(!is_before("2025-01-01", newest) && !is_before("", newest));
    }

    #[test]
    fn moments_of_registries() {
        // npm's own, two of a mirror's, PyPI's.
        for text in [
            "2026-01-31T12:00:01.631Z",
            "2026-01-31T12:00:01.631000+00:00",
            "2026-01-31T12:00:01+00:00",
            "2026-01-31T12:00:01Z",
        ] {
            assert_eq!(seconds(text).and_then(at).as_deref(), Some("2026-01-31T12:00:01.000Z"), "{text}");
        }
        for text in ["", "2026-01-31", "2026-01-31T12:00:01", "2026-01-31T12:00:01+01:00", "2026-01-31T99:00:00Z", "é"]
        {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn the_older_of_two() {
        let (one, two) = ("2026-01-31T00:00:00.000Z", "2026-02-01T00:00:00.000Z");
        for (a, b) in [(one, two), (two, one), (one, one)] {
            assert_eq!(older(Some(a.into()), Some(b)).as_deref(), Some(one));
        }
        assert_eq!(older(Some(two.into()), None).as_deref(), Some(two));
        assert_eq!((older(None, Some(two)).as_deref(), older(None, None)), (Some(two), None));
    }

    proptest! {
        /// What is taken is old enough or said to be too young; if anything that fits is old enough, it is taken.
        #[test]
        fn nothing_young_passes_for_old(
            releases in prop::collection::vec((0u64..20, prop::option::of(0u64..100)), 1..12), moment in 0u64..100, any in any::<bool>(),
        ) {
            let text = at(moment).unwrap();
            let newest = |until: Option<&str>| {
                let in_time = |at: Option<u64>| until.is_none_or(|until| at.zip(seconds(until)).is_some_and(|(at, until)| at < until));
                releases.iter().filter(|(_, at)| in_time(*at)).max_by_key(|(version, _)| *version).copied()
            };
            let about = |(version, published): &(u64, Option<u64>)| (version.to_string(), *published);
            let free = newest(None).unwrap();
            let (taken, dated) = by_age(Bound { moment: &text, any }, free, |until| newest(Some(until)), about);
            let is_old = |(_, published): (u64, Option<u64>)| published.is_some_and(|published| published < moment);
            match dated {
                Dated::Old { passed_over } => {
                    prop_assert!(is_old(taken));
                    prop_assert_eq!(passed_over, (taken.0 != free.0).then(|| about(&free)));
                    prop_assert!(!any || taken == free);
                }
                Dated::Young { published } => {
                    prop_assert!(!is_old(taken) && taken == free && published == taken.1);
                    prop_assert!(any || !releases.iter().any(|release| is_old(*release)));
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
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
