use super::*;
use crate::error::Kind;

fn asked(name: &str, version: &str) -> Asked {
    Asked { name: name.into(), version: version.into() }
}

/// Entries as OSV publishes them, shortened.
const MALWARE: &str = r#"{"modified":"2025-05-13T04:21:58Z","published":"2025-05-13T04:21:58Z","schema_version":"1.5.0",
  "id":"MAL-2025-4000","summary":"Malicious code in evil-mcp (npm)","details":"---\n_-= Per source details =-_",
  "affected":[{"package":{"ecosystem":"npm","name":"evil-mcp"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],
    "database_specific":{"cwes":[{"cweId":"CWE-506","name":"Embedded Malicious Code"}]}}],
  "references":[],"credits":[{"name":"x","type":"FINDER"}],"database_specific":{"malicious-packages-origins":[]}}"#;
const ADVISORY: &str = r#"{"id":"GHSA-93q8-gq69-wqmw","aliases":["CVE-2021-3807"],"modified":"2023-11-08T04:05:00Z",
  "summary":"Inefficient Regular Expression Complexity in chalk/ansi-regex",
  "affected":[{"package":{"name":"ansi-regex","ecosystem":"npm","purl":"pkg:npm/ansi-regex"},
    "ranges":[{"type":"SEMVER","events":[{"introduced":"3.0.0"},{"fixed":"3.0.1"}]}]}],
  "severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}]}"#;

fn ids(hits: &[Hit]) -> Vec<String> {
    hits.iter().map(|hit| format!("{} {} {}", hit.asked.name, hit.asked.version, hit.id)).collect()
}

#[test]
fn entries_are_found_by_package_and_version() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("MAL-2025-4000.json"), MALWARE).unwrap();
    std::fs::write(dir.path().join("GHSA-93q8-gq69-wqmw.json"), ADVISORY).unwrap();
    std::fs::write(
        dir.path().join("GHSA-taken-back.json"),
        ADVISORY.replacen('{', r#"{"withdrawn":"2024-01-01T00:00:00Z","#, 1),
    )
    .unwrap();
    std::fs::write(dir.path().join("broken.json"), "{").unwrap();
    std::fs::write(dir.path().join("README.md"), "# not one").unwrap();
    let all = [
        asked("ansi-regex", "3.0.0"),
        asked("ansi-regex", "3.0.1"),
        asked("evil-mcp", "7.0.0"),
        asked("fine", "1.0.0"),
    ];
    let hits = look(dir.path(), Ecosystem::Npm, &all).unwrap();
    assert_eq!(ids(&hits), ["ansi-regex 3.0.0 GHSA-93q8-gq69-wqmw", "evil-mcp 7.0.0 MAL-2025-4000"]);
    assert_eq!(hits[0].entry.as_ref().unwrap().severity(), Some(cvss::Severity::High));
    assert!(look(dir.path(), Ecosystem::Pypi, &all).unwrap().is_empty());
}

#[test]
fn both_ecosystems_may_lie_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    for (folder, entry) in
        [("npm", MALWARE.to_owned()), ("PyPI", MALWARE.replace("\"npm\"", "\"PyPI\"").replace("SEMVER", "ECOSYSTEM"))]
    {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
        std::fs::write(dir.path().join(folder).join("MAL-2025-4000.json"), entry).unwrap();
    }
    for of in [Ecosystem::Npm, Ecosystem::Pypi] {
        let hits = look(dir.path(), of, &[asked("evil-mcp", "1.0")]).unwrap();
        // npm has no version of two numbers.
        assert_eq!(hits.len(), usize::from(of == Ecosystem::Pypi), "{of}");
        assert_eq!(look(dir.path(), of, &[asked("evil-mcp", "1.0.0")]).unwrap().len(), 1, "{of}");
    }
}

#[test]
fn a_folder_without_entries_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().to_owned(), dir.path().join("not-there")] {
        let error = look(&path, Ecosystem::Npm, &[]).unwrap_err();
        assert_eq!(error.kind, Kind::Refused);
        assert!(error.hints.iter().any(|hint| hint.contains("[packages]")), "{error}");
    }
    std::fs::write(dir.path().join("x.json"), "[]").unwrap();
    assert!(look(dir.path(), Ecosystem::Npm, &[]).is_err());
}
