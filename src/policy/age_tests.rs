use proptest::prelude::*;

use super::*;
use crate::package::npm::NpmSpec;
use crate::package::pypi::PypiSpec;

const NOW: u64 = 1_767_225_600;
const TOLD: Told<'static> = Told { allow: "jitbox allow npm:p --young", name: "p" };

fn config(packages: &str) -> Config {
    toml::from_str(&format!("[packages]\n{packages}")).unwrap()
}

fn at_level(level: Level) -> Ages {
    Ages::new(Age::of(&Config::default(), level), SystemTime::UNIX_EPOCH + Duration::from_secs(NOW))
}

fn npm(version: &str) -> PinnedPackage {
    PinnedPackage::npm(&NpmName::parse("p").unwrap(), &nodejs_semver::Version::parse(version).unwrap())
}

fn pypi() -> PinnedPackage {
    PinnedPackage::pypi(&PypiName::parse("p").unwrap(), &"1.0".parse().unwrap(), &[])
}

fn granted() -> Reason {
    Reason::Grant { since: "2026-01-01".into(), reason: None }
}

fn tree(ages: Ages) -> Option<u64> {
    ages.tree().map(|cutoff| cutoff::seconds(&cutoff.moment).unwrap())
}

#[test]
fn ages_by_level_and_by_settings() {
    for (level, days, why) in [
        (Level::Relaxed, 1, "1 day old: the default at level relaxed"),
        (Level::Standard, 3, "3 days old: the default at level standard"),
        (Level::Strict, 7, "7 days old: the default at level strict"),
    ] {
        let cutoff = at_level(level).tree().unwrap();
        assert_eq!(cutoff::seconds(&cutoff.moment), Some(NOW - days * DAY));
        assert!(cutoff.why.ends_with(why), "{}", cutoff.why);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
        let of = |text: &str| Ages::new(Age::of(&config(text), level), now);
        let cutoff = of("age = \"36 hours\"").tree().unwrap();
        assert_eq!(cutoff::seconds(&cutoff.moment), Some(NOW - 36 * 3600));
        assert_eq!(cutoff.why, "releases have to be 36 hours old: config.toml");
        let off = of("age = \"0 days\"");
        assert!(off.bound(false).is_none() && off.tree().is_none());
    }
    // A clock that is before everything takes nothing.
    let early = Ages::new(Age::of(&Config::default(), Level::Standard), SystemTime::UNIX_EPOCH);
    assert_eq!(early.bound(false).unwrap().moment, "1970-01-01T00:00:00.000Z");
}

#[test]
fn the_users_own_setting_counts_if_it_is_older() {
    let cutoff = |moment: &str, why: &str| Some(Cutoff { moment: moment.into(), why: why.into() });
    let ages = || cutoff("2026-01-15T00:00:00.000Z", "age");
    for (ours, settings, want) in [
        (ages(), None, "age"),
        (ages(), Some("2026-01-20T00:00:00.000Z"), "age"),
        (ages(), Some("2026-01-10T00:00:00.000Z"), "npm's own setting"),
        (None, Some("2026-01-20T00:00:00.000Z"), "npm's own setting"),
    ] {
        assert_eq!(Cutoff::of(ours, settings, Ecosystem::Npm).unwrap().why, want);
    }
    assert_eq!(Cutoff::of(None, None, Ecosystem::Npm), None);
}

#[test]
fn a_young_release_is_refused_with_the_way_to_have_it() {
    let mut ages = at_level(Level::Standard);
    let young = Dated::Young { published: Some(NOW - 5 * 3600) };
    let error = ages.judge(&npm("1.2.3"), &young, None, &TOLD).unwrap_err();
    assert_eq!(error.kind, crate::error::Kind::Refused);
    assert_eq!(
        error.to_string(),
        "p@1.2.3 is too young: it was published 5 hours ago: releases have to be 3 days old: the default at level standard"
    );
    assert_eq!(error.hints[0], TOLD.allow);
    assert!(error.hints[1].contains("2026-01-03 19:01 UTC"), "{}", error.hints[1]);
    let error = ages.judge(&npm("1.2.3"), &Dated::Young { published: None }, None, &TOLD).unwrap_err();
    assert_eq!(error.hints, [TOLD.allow]);
}

#[test]
fn what_is_passed_over_is_said() {
    let mut ages = at_level(Level::Strict);
    let old = Dated::Old { passed_over: Some(("2.0.0".into(), Some(NOW - 2 * DAY))) };
    let note = ages.judge(&npm("1.2.3"), &old, None, &TOLD).unwrap().unwrap();
    for word in ["p@1.2.3 is taken", "2.0.0, 2 days old", "2026-01-06 00:01 UTC", TOLD.allow, "jitbox rm p"] {
        assert!(note.contains(word), "{word}: {note}");
    }
    assert_eq!(ages.judge(&npm("1.2.3"), &Dated::Old { passed_over: None }, None, &TOLD).unwrap(), None);
    assert_eq!(tree(ages), Some(NOW - 7 * DAY));
}

#[test]
fn the_tree_of_a_young_release_is_an_hour_younger_than_itself() {
    let mut ages = at_level(Level::Standard);
    let young = |published| Dated::Young { published: Some(published) };
    assert_eq!(ages.judge(&npm("1.2.3"), &young(NOW - 5 * 3600), Some(&granted()), &TOLD).unwrap(), None);
    // What came before it is covered by that.
    ages.judge(&npm("1.2.2"), &young(NOW - 9 * 3600), Some(&granted()), &TOLD).unwrap();
    let cutoff = ages.tree().unwrap();
    assert_eq!(cutoff::seconds(&cutoff.moment), Some(NOW - 4 * 3600));
    assert_eq!(cutoff.why, "an hour after p@1.2.3 was published: your grant of 2026-01-01");
}

#[test]
fn an_age_that_is_not_known() {
    for level in [Level::Relaxed, Level::Standard] {
        let mut ages = at_level(level);
        assert!(ages.judge(&npm("1.2.3"), &Dated::Unknown, None, &TOLD).unwrap().unwrap().contains("may be younger"));
        assert!(tree(ages).is_some(), "npm takes what has no time");
        let mut ages = at_level(level);
        ages.judge(&pypi(), &Dated::Unknown, None, &TOLD).unwrap().unwrap();
        assert_eq!(tree(ages), None, "and uv does not");
    }
    let mut ages = at_level(Level::Strict);
    let error = ages.judge(&pypi(), &Dated::Unknown, None, &TOLD).unwrap_err();
    assert!(error.kind == crate::error::Kind::Refused && error.hints == [TOLD.allow], "{error}");
    assert_eq!(ages.judge(&pypi(), &Dated::Unknown, Some(&granted()), &TOLD).unwrap(), None);
    assert_eq!(tree(ages), None);
}

#[test]
fn packages_that_the_settings_name() {
    let listed = config("young = [\"npm:@acme/*\", \"npm:tool\", \"pypi:Our_Tool\"]").packages.young;
    let has = |spec: &PackageSpec| listed.iter().any(|packages| packages.has(spec));
    let npm = |text: &str| has(&PackageSpec::Npm(NpmSpec::parse(text).unwrap()));
    let pypi = |text: &str| has(&PackageSpec::Pypi(PypiSpec::parse_command(text).unwrap()));
    assert!(npm("@acme/hello@1.0.0") && npm("tool") && npm("@acme/other@latest") && pypi("our-tool@1.0"));
    for text in ["@acme2/hello", "acme", "tools", "our-tool", "tool@o/r", "@acme/x@https://h.example/x.tgz"] {
        assert!(!npm(text), "{text}");
    }
    assert!(!pypi("tool") && !pypi("our-tool @ https://h.example/our_tool-1.0-py3-none-any.whl"));
}

#[test]
fn spans_for_people() {
    for (seconds, want) in [
        (0, "0 minutes"),
        (61, "1 minute"),
        (3600, "1 hour"),
        (DAY, "1 day"),
        (DAY + 3600, "25 hours"),
        (3 * DAY, "3 days"),
    ] {
        assert_eq!(spoken(seconds), want);
    }
}

proptest! {
    /// Whatever the releases of a box are: none that is too young gets in without a reason, and the tree's moment is
    /// the age's, or an hour after a release that had one.
    #[test]
    fn nothing_young_without_a_reason(
        releases in prop::collection::vec((0u64..NOW, any::<bool>()), 0..6),
        level in prop::sample::select(vec![Level::Relaxed, Level::Standard, Level::Strict]),
    ) {
        let mut ages = at_level(level);
        let moment = cutoff::seconds(ages.bound(false).unwrap().moment).unwrap();
        let mut newest = moment;
        for (published, may) in releases {
            let dated = if published < moment { Dated::Old { passed_over: None } } else { Dated::Young { published: Some(published) } };
            let why = granted();
            let judged = ages.judge(&npm("1.0.0"), &dated, may.then_some(&why), &TOLD);
            prop_assert_eq!(judged.is_ok(), may || published < moment);
            if judged.is_ok() && published >= moment {
                newest = newest.max(published + TOGETHER);
            }
        }
        prop_assert_eq!(tree(ages), Some(newest));
    }
}
