use super::*;
use crate::error::Kind;

fn hit(name: &str, id: &str, aliases: &[&str], severity: &str) -> Hit {
    let entry = serde_json::json!({
        "id": id, "aliases": aliases, "summary": format!("about\u{1b}[2J {id}"), "database_specific": { "severity": severity },
    });
    let asked = Asked { name: name.into(), version: "1.0.0".into() };
    Hit { asked, id: id.into(), entry: Some(serde_json::from_value(entry).unwrap()) }
}

fn judged(hits: &[Hit], level: Level, accepted: &[&str]) -> Result<Option<String>> {
    let accepted: Vec<String> = accepted.iter().map(|id| (*id).to_owned()).collect();
    judge(&findings(hits), level, &accepted, "my box")
}

#[test]
fn one_thing_under_several_names_is_one() {
    let hits = [
        hit("a", "PYSEC-1", &["CVE-1"], ""),
        hit("a", "GHSA-1", &["CVE-1"], "HIGH"),
        hit("b", "GHSA-1", &["CVE-1"], "HIGH"),
        hit("b", "GHSA-2", &[], "LOW"),
    ];
    let found = findings(&hits);
    let shown: Vec<String> =
        found.iter().map(|f| format!("{} {} {}", f.asked.name, f.ids.join(","), f.word())).collect();
    assert_eq!(shown, ["a PYSEC-1,CVE-1,GHSA-1 high", "b GHSA-1,CVE-1 high", "b GHSA-2 low"]);
    assert!(!found[0].summary.contains('\u{1b}'), "nothing that a terminal obeys");
}

#[test]
fn nothing_known_is_not_worth_a_word() {
    for level in [Level::Relaxed, Level::Standard, Level::Strict] {
        assert_eq!(judged(&[], level, &[]).unwrap(), None);
    }
}

#[test]
fn vulnerabilities_are_said_and_refused_at_strict_if_they_are_bad() {
    let hits =
        [hit("a", "GHSA-1", &["CVE-1"], "CRITICAL"), hit("a", "GHSA-2", &[], "LOW"), hit("b", "GHSA-3", &[], "HIGH")];
    for level in [Level::Relaxed, Level::Standard] {
        assert_eq!(
            judged(&hits, level, &[]).unwrap().unwrap(),
            "known vulnerabilities: 3 in 2 packages, the worst is critical (a@1.0.0); jitbox lock --known 'my box'"
        );
    }
    let error = judged(&hits, Level::Strict, &["CVE-0-1"]).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.to_string().contains("a@1.0.0 has GHSA-1, and 1 more"), "{error}");
    // What it says to write is what lets it through.
    let setting = error.hints[1].split_once(": ").unwrap().1.replacen(' ', "\n", 1);
    let config: crate::config::Config = toml::from_str(&setting).unwrap();
    assert_eq!(config.packages.accept, ["CVE-0-1", "GHSA-1", "GHSA-3"]);
    let line = judge(&findings(&hits), Level::Strict, &config.packages.accept, "x").unwrap().unwrap();
    assert!(line.contains("1 in 1 package, the worst is low"), "{line}");
    // By another of its names, too.
    let left = judged(&hits, Level::Strict, &["CVE-1", "GHSA-2", "GHSA-3"]).unwrap();
    assert_eq!(left, None);
}

#[test]
fn what_nobody_rated_is_said_and_not_refused() {
    let mut unread = hit("a", "GHSA-1", &[], "");
    unread.entry = None;
    let line = judged(&[unread], Level::Strict, &[]).unwrap().unwrap();
    assert!(line.contains("the worst is unrated"), "{line}");
}

#[test]
fn malware_is_refused_whatever_is_accepted() {
    let mut bare = hit("a", "MAL-2026-1", &[], "");
    bare.entry = None;
    let by_alias = hit("a", "GHSA-1", &["MAL-2026-1"], "LOW");
    for malware in [bare, by_alias] {
        for level in [Level::Relaxed, Level::Standard, Level::Strict] {
            let hits = [hit("b", "GHSA-9", &[], "CRITICAL"), malware.clone()];
            let error = judged(&hits, level, &["MAL-2026-1", "GHSA-1"]).unwrap_err();
            assert_eq!(error.kind, Kind::Refused);
            assert_eq!(error.to_string(), "a@1.0.0 is known malware: MAL-2026-1");
            assert!(error.hints.iter().any(|hint| hint.contains("osv = \"off\"")), "{:?}", error.hints);
        }
    }
}
