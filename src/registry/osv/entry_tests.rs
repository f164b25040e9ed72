use super::*;

fn entry(affected: &str) -> Entry {
    serde_json::from_str(&format!(r#"{{"id":"GHSA-x","modified":"2026-01-01T00:00:00Z","affected":{affected}}}"#))
        .unwrap()
}

/// One range of events for the package `a`.
fn range(kind: &str, events: &str) -> Entry {
    let ecosystem = if kind == "ECOSYSTEM" { "PyPI" } else { "npm" };
    entry(&format!(
        r#"[{{"package":{{"ecosystem":"{ecosystem}","name":"a"}},"ranges":[{{"type":"{kind}","events":{events}}}],"versions":null}}]"#
    ))
}

#[test]
fn ranges_are_read_as_the_format_says() {
    let npm = |events: &str, version: &str| range("SEMVER", events).affects(Ecosystem::Npm, "a", version);
    let fixed = r#"[{"introduced":"1.2.0"},{"fixed":"1.10.0"}]"#;
    for (version, affected) in
        [("1.1.9", false), ("1.2.0", true), ("1.9.9", true), ("1.10.0-rc.1", true), ("1.10.0", false), ("2.0.0", false)]
    {
        assert_eq!(npm(fixed, version), affected, "{version}");
    }
    let last = r#"[{"introduced":"0"},{"last_affected":"1.2.0"}]"#;
    for (version, affected) in [("0.0.1", true), ("1.2.0", true), ("1.2.1", false)] {
        assert_eq!(npm(last, version), affected, "{version}");
    }
    // Two stretches, out of order.
    let two = r#"[{"fixed":"2.1.0"},{"introduced":"2.0.0"},{"fixed":"1.1.0"},{"introduced":"0"}]"#;
    for (version, affected) in [("1.0.0", true), ("1.5.0", false), ("2.0.5", true), ("2.1.0", false)] {
        assert_eq!(npm(two, version), affected, "{version}");
    }
    assert!(npm(r#"[{"introduced":"0"}]"#, "99.0.0"), "malware mostly has no end");
    assert!(!range("GIT", r#"[{"introduced":"0"}]"#).affects(Ecosystem::Npm, "a", "1.0.0"));
}

#[test]
fn pythons_versions_are_compared_as_pythons() {
    let entry = range("ECOSYSTEM", r#"[{"introduced":"1.0"},{"fixed":"2.0"}]"#);
    for (version, affected) in [("1.0.0", true), ("1.0a1", false), ("2.0rc1", true), ("2.0.0", false), ("1!0.1", false)]
    {
        assert_eq!(entry.affects(Ecosystem::Pypi, "a", version), affected, "{version}");
    }
}

#[test]
fn only_the_package_that_is_meant() {
    let entry =
        entry(r#"[{"package":{"ecosystem":"npm","name":"a"},"versions":["1.0.0","2.0.0"]},{"versions":["3.0.0"]}]"#);
    assert!(entry.affects(Ecosystem::Npm, "a", "2.0.0") && !entry.affects(Ecosystem::Npm, "a", "3.0.0"));
    assert!(!entry.affects(Ecosystem::Npm, "b", "1.0.0") && !entry.affects(Ecosystem::Pypi, "a", "1.0.0"));
    // Python has many ways to write one version.
    let python = self::entry(r#"[{"package":{"ecosystem":"PyPI","name":"a"},"versions":["1.0"]}]"#);
    assert!(python.affects(Ecosystem::Pypi, "a", "1.0.0"));
}

#[test]
fn what_is_above_and_mended() {
    let entry = range("SEMVER", r#"[{"introduced":"0"},{"fixed":"1.10.0"},{"introduced":"2.0.0"},{"fixed":"2.3.0"}]"#);
    let mended = |version| entry.mended(Ecosystem::Npm, "a", version);
    assert_eq!(mended("1.2.0").as_deref(), Some("1.10.0"));
    assert_eq!(mended("2.0.0").as_deref(), Some("2.3.0"));
    assert_eq!(mended("3.0.0"), None);
}

#[test]
fn severities() {
    let of = |rest: &str| -> Option<Severity> {
        serde_json::from_str::<Entry>(&format!(r#"{{"id":"X","aliases":null,{rest}}}"#)).unwrap().severity()
    };
    let v3 = r#""severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]"#;
    assert_eq!(of(v3), Some(Severity::Critical));
    let v4 =
        r#""severity":[{"type":"CVSS_V4","score":"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:H/SC:N/SI:N/SA:N"}]"#;
    assert_eq!(of(v4), Some(Severity::High));
    assert_eq!(of(&format!(r#"{v3},"database_specific":{{"severity":"MODERATE"}}"#)), Some(Severity::Medium));
    assert_eq!(of(r#""severity":[{"type":"Ubuntu","score":"negligible"}]"#), None);
    let inner =
        r#""affected":[{"severity":[{"type":"CVSS_V3","score":"CVSS:3.0/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"}]}]"#;
    assert_eq!(of(inner), Some(Severity::Low));
    assert_eq!(of(r#""database_specific":"whatever""#), None);
}
