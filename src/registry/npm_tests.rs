use proptest::prelude::*;

use super::*;
use crate::registry::testing::{self, Server, client, context};

fn packument(text: &str) -> Packument {
    Packument::parse(text.as_bytes(), "p").unwrap()
}

const PLAIN: Preference<'static> = Preference { tag: "latest", before: None, until: None };

fn picked(packument: &Packument, request: &NpmRequest) -> Option<String> {
    packument.pick("p", request, &PLAIN).ok().map(|(v, _)| v.to_string())
}

fn range(text: &str) -> NpmRequest {
    NpmRequest::Range(text.to_owned())
}

const SAMPLE: &str = r#"{
  "name": "p",
  "dist-tags": {"latest": "2.1.0", "next": "3.0.0-rc.1", "gone": "9.9.9"},
  "versions": {
    "1.0.0": {"bin": "cli.js"},
    "1.1.0": {"deprecated": false},
    "1.2.0": {"deprecated": "broken"},
    "2.0.0": {"engines": {"node": ">=18"}},
    "2.1.0": {"engines": {"node": ">=20"}, "bin": {"b": "./dist/b.js", "a": "dist/b.js"}},
    "2.2.0": {"engines": {"node": "<4"}},
    "2.3.0": {"engines": ["node"]},
    "3.0.0-rc.1": {"hasInstallScript": true},
    "not a version": {}
  }
}"#;

#[test]
fn versions_as_npm_picks_them() {
    let p = packument(SAMPLE);
    let pick = |r: &NpmRequest| picked(&p, r);
    assert_eq!(pick(&NpmRequest::Any).unwrap(), "2.1.0");
    assert_eq!(pick(&range("*")).unwrap(), "2.1.0");
    // `latest` goes before a higher version that satisfies the range as well.
    assert_eq!(pick(&range("^2")).unwrap(), "2.1.0");
    assert_eq!(pick(&range(">=2.2")).unwrap(), "2.3.0");
    // The deprecated 1.2.0 is passed over while there is a choice.
    assert_eq!(pick(&range("1.x")).unwrap(), "1.1.0");
    assert_eq!(pick(&range("~1.2.0")).unwrap(), "1.2.0");
    assert_eq!(pick(&range("2.2.x")).unwrap(), "2.2.0");
    // No pre-release unless it is asked for.
    assert_eq!(pick(&range(">2.3.0")), None);
    assert_eq!(pick(&range(">=3.0.0-rc.0")).unwrap(), "3.0.0-rc.1");
    assert_eq!(pick(&NpmRequest::Tag("next".into())).unwrap(), "3.0.0-rc.1");
    assert_eq!(pick(&NpmRequest::Tag("gone".into())), None);
    assert_eq!(pick(&NpmRequest::Tag("other".into())), None);
    let version = Version::parse("1.2.0").unwrap();
    assert_eq!(pick(&NpmRequest::Version(version)).unwrap(), "1.2.0");
    assert_eq!(pick(&NpmRequest::Version(Version::parse("1.2.1").unwrap())), None);
}

#[test]
fn a_latest_that_is_a_prerelease_or_deprecated() {
    let p = packument(r#"{"dist-tags":{"latest":"1.0.0-beta"},"versions":{"1.0.0-beta":{}}}"#);
    assert_eq!(picked(&p, &NpmRequest::Any).unwrap(), "1.0.0-beta");
    assert_eq!(picked(&p, &range(">=1")), None);
    let p = packument(r#"{"dist-tags":{"latest":"2.0.0"},"versions":{"1.0.0":{},"2.0.0":{"deprecated":"no"}}}"#);
    assert_eq!(picked(&p, &NpmRequest::Any).unwrap(), "1.0.0");
}

#[test]
fn the_tag_and_the_date_of_the_settings() {
    let p = packument(SAMPLE);
    let next = Preference { tag: "next", before: None, until: None };
    let pick = |request: &NpmRequest, prefer| p.pick("p", request, prefer).ok().map(|(v, _)| v.to_string());
    assert_eq!(pick(&NpmRequest::Any, &next).unwrap(), "3.0.0-rc.1");
    assert_eq!(pick(&range("^2"), &next).unwrap(), "2.3.0");
    let p = packument(
        r#"{"dist-tags":{"latest":"3.0.0"},"versions":{"1.0.0":{},"2.0.0":{},"3.0.0":{}},
            "time":{"created":"2020-01-01T00:00:00.000Z","1.0.0":"2020-01-01T00:00:00.000Z",
                    "2.0.0":"2021-01-01T00:00:00.000Z","3.0.0":"2022-01-01T00:00:00.000Z"}}"#,
    );
    let pick = |request: &NpmRequest, before| {
        let prefer = Preference { tag: "latest", before: Some(before), until: None };
        p.pick("p", request, &prefer).ok().map(|(v, _)| v.to_string())
    };
    let latest = NpmRequest::Tag("latest".into());
    assert_eq!(pick(&NpmRequest::Any, "2021-06-01T00:00:00.000Z").unwrap(), "2.0.0");
    assert_eq!(pick(&latest, "2021-06-01T00:00:00.000Z").unwrap(), "2.0.0");
    assert_eq!(pick(&latest, "2022-06-01T00:00:00.000Z").unwrap(), "3.0.0");
    assert_eq!(pick(&range(">=2"), "2020-06-01T00:00:00.000Z"), None);
    assert_eq!(pick(&NpmRequest::Version(Version::parse("3.0.0").unwrap()), "2021-06-01T00:00:00.000Z"), None);
}

const AGED: &str = r#"{"dist-tags":{"latest":"2.1.0","next":"3.0.0-rc.1"},
  "versions":{"1.0.0":{},"2.0.0":{},"2.1.0":{},"3.0.0-rc.1":{},"0.1.0":{}},
  "time":{"created":"2026-01-01T00:00:00.000Z","1.0.0":"2026-01-01T00:00:00.000Z",
          "2.0.0":"2026-01-10T00:00:00.631000+00:00","2.1.0":"2026-01-20T00:00:00+00:00",
          "3.0.0-rc.1":"2026-01-21T00:00:00.000Z"}}"#;

/// The version that is taken, and what is known of its age.
fn dated(packument: &Packument, request: &NpmRequest, moment: &str, any: bool) -> (String, Dated) {
    let bound = Some(Bound { moment, any });
    let ((version, _), dated) = packument.pick_dated("p", request, PLAIN, bound).unwrap();
    (version.to_string(), dated)
}

#[test]
fn the_newest_that_is_old_enough() {
    let p = packument(AGED);
    let latest = NpmRequest::Tag("latest".into());
    let exact = |text: &str| NpmRequest::Version(Version::parse(text).unwrap());
    let old = |version: &str, over: Option<(&str, &str)>| {
        let passed_over = over.map(|(version, at)| (version.to_owned(), cutoff::seconds(at)));
        (version.to_owned(), Dated::Old { passed_over })
    };
    let newest = Some(("2.1.0", "2026-01-20T00:00:00Z"));
    for request in [&NpmRequest::Any, &latest, &range("^2"), &range(">=1")] {
        assert_eq!(dated(&p, request, "2026-01-15T00:00:00.000Z", false), old("2.0.0", newest), "{request:?}");
        assert_eq!(dated(&p, request, "2026-02-01T00:00:00.000Z", false), old("2.1.0", None), "{request:?}");
        let young = Dated::Young { published: cutoff::seconds("2026-01-20T00:00:00Z") };
        assert_eq!(dated(&p, request, "2026-01-15T00:00:00.000Z", true), ("2.1.0".to_owned(), young), "{request:?}");
    }
    assert_eq!(p.since(), cutoff::seconds("2026-01-01T00:00:00Z"));
    // The moment itself is too late.
    assert_eq!(dated(&p, &latest, "2026-01-10T00:00:00.000Z", false).0, "1.0.0");
    assert_eq!(dated(&p, &latest, "2026-01-10T00:00:01.000Z", false).0, "2.0.0");
    assert_eq!(dated(&p, &exact("2.0.0"), "2026-01-15T00:00:00.000Z", false), old("2.0.0", None));
    for request in [&exact("2.1.0"), &range("~2.1.0")] {
        let young = Dated::Young { published: cutoff::seconds("2026-01-20T00:00:00Z") };
        assert_eq!(dated(&p, request, "2026-01-15T00:00:00.000Z", false), ("2.1.0".to_owned(), young));
    }
    // Of one it is not said when it was published, and of the others it is.
    let unknown = Dated::Young { published: None };
    assert_eq!(dated(&p, &exact("0.1.0"), "2027-01-01T00:00:00.000Z", false), ("0.1.0".to_owned(), unknown));
    let error =
        p.pick_dated("p", &exact("9.0.0"), PLAIN, Some(Bound { moment: "2026-01-15T00:00:00.000Z", any: false }));
    assert_eq!(error.err().unwrap().kind, Kind::NotFound);
}

#[test]
fn a_registry_without_times() {
    for times in ["", r#","time":{"created":"2026-01-01T00:00:00.000Z"}"#, r#","time":{"1.0.0":"Jan 2026"}"#] {
        let p = packument(&format!(r#"{{"dist-tags":{{"latest":"1.0.0"}},"versions":{{"1.0.0":{{}}}}{times}}}"#));
        for any in [false, true] {
            let found = dated(&p, &NpmRequest::Any, "2026-01-15T00:00:00.000Z", any);
            assert_eq!(found, ("1.0.0".to_owned(), Dated::Unknown), "{times}");
        }
    }
}

#[test]
fn the_users_own_moment_counts_beside_the_age() {
    let p = packument(AGED);
    let prefer = Preference { before: Some("2026-01-05T00:00:00.000Z"), ..PLAIN };
    for any in [false, true] {
        let bound = Some(Bound { moment: "2026-01-15T00:00:00.000Z", any });
        let ((version, _), dated) = p.pick_dated("p", &NpmRequest::Any, prefer, bound).unwrap();
        assert_eq!((version.to_string().as_str(), dated), ("1.0.0", Dated::Old { passed_over: None }));
    }
}

#[test]
fn only_the_long_form_has_times() {
    let server = Server::start(|_, _| testing::json(r#"{"name":"p","versions":{"1.0.0":{}}}"#));
    let settings = settings(&format!("registry={}", server.url));
    fetch(&client(), &settings, "p", true).unwrap();
    assert!(server.requests()[0].contains("accept: application/json\r\n"), "{:?}", server.requests());
}

#[test]
fn no_match_says_what_there_is() {
    let p = packument(SAMPLE);
    let error = p.pick("p", &range("^7"), &PLAIN).unwrap_err();
    assert_eq!(error.kind, Kind::NotFound);
    assert!(error.what.contains("`^7`") && error.hints[0].contains("2.1.0"));
    let empty = packument(r#"{"name":"p"}"#);
    assert!(empty.pick("p", &NpmRequest::Any, &PLAIN).unwrap_err().to_string().contains("no versions"));
    assert!(Packument::parse(br#"{"name":"q","versions":{}}"#, "p").is_err());
    assert!(Packument::parse(b"<html>", "p").is_err());
}

fn bins(package: &str, json: &str) -> (Vec<(String, String)>, Option<String>) {
    let manifest: Manifest = serde_json::from_str(&format!("{{\"bin\":{json}}}")).unwrap();
    let bins = manifest.bins(package);
    let first = bins.first().map(|(n, _)| n.clone());
    let picked = pick_bin(package, &bins.iter().cloned().collect(), first.as_deref());
    (bins, picked)
}

#[test]
fn the_default_executable_as_npx_picks_it() {
    let pick = |package, json| bins(package, json).1;
    assert_eq!(pick("@s/foo", "\"x.js\"").as_deref(), Some("foo"));
    assert_eq!(pick("foo", r#"{"bar":"x.js"}"#).as_deref(), Some("bar"));
    assert_eq!(pick("foo", r#"{"z":"./x.js","a":"x.js"}"#).as_deref(), Some("z"));
    assert_eq!(pick("@s/foo", r#"{"foo":"x.js","a":"y.js"}"#).as_deref(), Some("foo"));
    assert_eq!(pick("multi", r#"{"b":"x.js","a":"y.js"}"#), None);
    assert_eq!(pick("foo", "{}"), None);
    assert_eq!(pick("foo", "null"), None);
}

#[test]
fn executables_stay_in_their_directory() {
    let (bins, _) = bins(
        "p",
        r#"{"../../evil":"../../../etc/passwd","@s/ok":"./a/../b.js","..":"x","win\\x":"a\\b","n":7,"e":"./"}"#,
    );
    let expected = [("evil", "etc/passwd"), ("ok", "b.js"), ("x", "a/b")];
    let expected: Vec<_> = expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into();
    assert_eq!(bins, expected);
}

fn settings(npmrc: &str) -> NpmSettings {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join(".npmrc"), npmrc).unwrap();
    Settings::load(&context(home.path(), &[])).npm
}

#[test]
fn a_scoped_package_is_asked_for_where_its_scope_is() {
    let server = Server::start(|_, _| testing::json(r#"{"name":"@s/p","versions":{"1.0.0":{}}}"#));
    let host = server.url.trim_start_matches("http:");
    let settings =
        settings(&format!("registry=http://127.0.0.1:1/\n@s:registry={}/npm\n{host}/npm/:_authToken=T0\n", server.url));
    fetch(&client(), &settings, "@s/p", false).unwrap();
    let request = &server.requests()[0];
    assert!(request.starts_with("get /npm/@s%2fp http/1.1"), "{request}");
    assert!(request.contains("authorization: bearer t0"));
    assert!(request.contains("application/vnd.npm.install-v1+json"));
    assert!(request.contains("user-agent: jitbox/"));
}

#[test]
fn what_is_not_there_gets_a_hint() {
    let server = Server::start(|line, _| {
        let status = if line.contains("closed") { "401 Unauthorized" } else { "404 Not Found" };
        testing::answer(status, "", "{}")
    });
    let settings = settings(&format!("registry={}", server.url));
    let error = fetch(&client(), &settings, "pretier", false).unwrap_err();
    assert_eq!(error.kind, Kind::NotFound);
    assert_eq!(error.hints, ["did you mean prettier?"]);
    let error = fetch(&client(), &settings, "closed", false).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.hints[0].starts_with("npm login --registry=http://127.0.0.1"));
}

proptest! {
    /// Whatever the versions, what a range picks satisfies it, and nothing better was left.
    #[test]
    fn a_range_picks_the_best_that_satisfies(
        versions in prop::collection::btree_map((0u64..4, 0u64..4, 0u64..4), any::<bool>(), 1..20),
        latest in any::<prop::sample::Index>(),
        major in 0u64..4,
    ) {
        let keys: Vec<_> = versions.keys().copied().collect();
        let latest = Version::from(keys[latest.index(keys.len())]);
        let p = Packument {
            time: BTreeMap::new(),
            name: None,
            dist_tags: BTreeMap::from([("latest".to_owned(), latest.to_string())]),
            versions: versions.iter().map(|(v, old)| {
                let deprecated = if *old { Value::from("old") } else { Value::Null };
                (Version::from(*v).to_string(), Manifest { deprecated, ..Manifest::default() })
            }).collect(),
        };
        let wanted = Range::parse(format!("^{major}.1")).unwrap();
        let fits: Vec<(Version, bool)> = versions.iter()
            .map(|(v, old)| (Version::from(*v), *old))
            .filter(|(v, _)| v.satisfies(&wanted))
            .collect();
        match picked(&p, &range(&format!("^{major}.1"))) {
            None => prop_assert!(fits.is_empty()),
            Some(text) => {
                let version = Version::parse(&text).unwrap();
                let old = fits.iter().find(|(v, _)| *v == version).unwrap().1;
                let current: Vec<&Version> = fits.iter().filter(|(_, o)| !o).map(|(v, _)| v).collect();
                if current.contains(&&latest) {
                    prop_assert_eq!(version, latest);
                } else if current.is_empty() {
                    prop_assert_eq!(Some(&version), fits.iter().map(|(v, _)| v).max());
                } else {
                    prop_assert!(!old);
                    prop_assert_eq!(Some(&version), current.into_iter().max());
                }
            }
        }
    }
}

#[test]
fn what_a_registry_says_cannot_steer_a_terminal() {
    assert_eq!(shown("a\u{1b}[31m\r\nb  c\u{9b}"), "a [31m b c");
    assert_eq!(shown(&"x".repeat(9999)).len(), 300);
    assert!(bins("p", r#"{"a\u001b[0m":"x.js"}"#).0.is_empty());
}
