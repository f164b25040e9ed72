use std::fmt::Write;
use std::str::FromStr;

use proptest::prelude::*;

use super::*;
use crate::registry::testing::{self, Server, client, context};

fn releases(files: &[(&str, &str, bool)]) -> BTreeMap<Version, Vec<File>> {
    let mut page = String::new();
    for (name, requires, yanked) in files {
        let yanked = if *yanked { "data-yanked=\"\"" } else { "" };
        let _ = write!(page, "<a data-requires-python=\"{requires}\" {yanked}>{name}</a>");
    }
    by_version(simple::parse("p", "text/html", page.as_bytes()).unwrap())
}

fn specifiers(text: &str) -> PypiRequest {
    PypiRequest::Specifiers(VersionSpecifiers::from_str(text).unwrap())
}

/// Version, Python, whether there is a wheel.
fn pick(
    releases: &BTreeMap<Version, Vec<File>>,
    request: &PypiRequest,
    python: Option<&str>,
) -> Option<(String, String, bool)> {
    let pythons = python_candidates(python).unwrap();
    let choice = choose(releases, request, &pythons, "x86_64", PLAIN)?;
    Some((choice.version.to_string(), choice.python, choice.has_wheel))
}

const PLAIN: Preference<'static> = Preference { prerelease: Prerelease::IfNecessary, newest: None, until: None };

fn some(version: &str, python: &str, wheel: bool) -> Option<(String, String, bool)> {
    Some((version.to_owned(), python.to_owned(), wheel))
}

#[test]
fn the_newest_that_is_neither_withdrawn_nor_a_prerelease() {
    let all = releases(&[
        ("p-1.0-py3-none-any.whl", ">=3.8", false),
        ("p-1.10-py3-none-any.whl", ">=3.8", false),
        ("p-1.9-py3-none-any.whl", ">=3.8", false),
        ("p-1.11-py3-none-any.whl", ">=3.8", true),
        ("p-2.0rc1-py3-none-any.whl", ">=3.8", false),
    ]);
    assert_eq!(pick(&all, &PypiRequest::Any, None), some("1.10", "3.13", true));
    assert_eq!(pick(&all, &PypiRequest::Latest, None), some("1.10", "3.13", true));
    assert_eq!(pick(&all, &specifiers("<1.10"), None), some("1.9", "3.13", true));
    assert_eq!(pick(&all, &specifiers(">=1.11"), None), None);
    assert_eq!(pick(&all, &specifiers("==1.11"), None), some("1.11", "3.13", true));
    assert_eq!(pick(&all, &specifiers(">=2.0rc0"), None), some("2.0rc1", "3.13", true));
}

#[test]
fn prereleases_when_there_is_nothing_else() {
    let all = releases(&[("p-0.1a1.tar.gz", "", false), ("p-0.1.dev2.tar.gz", "", false)]);
    assert_eq!(pick(&all, &PypiRequest::Any, None), some("0.1a1", "3.13", false));
}

#[test]
fn the_python_fits_the_release_or_the_release_the_python() {
    let all = releases(&[
        ("p-1.0-py3-none-any.whl", ">=3.8", false),
        ("p-2.0-cp312-cp312-manylinux_2_17_x86_64.whl", ">=3.12", false),
        ("p-2.0.tar.gz", ">=3.12", false),
        ("p-3.0-cp314-cp314-win_amd64.whl", ">=3.14", false),
        ("p-4.0-py3-none-any.whl", "<3.9", false),
    ]);
    // 3.13 would do, but only 3.12 has a wheel; 3.0 has nothing for Linux; 4.0 no known Python.
    assert_eq!(pick(&all, &PypiRequest::Any, None), some("2.0", "3.12", true));
    assert_eq!(pick(&all, &PypiRequest::Any, Some("3.13")), some("2.0", "3.13", false));
    assert_eq!(pick(&all, &PypiRequest::Any, Some("3.11")), some("1.0", "3.11", true));
    assert_eq!(pick(&all, &specifiers(">=2"), Some("3.11")), None);
}

#[test]
fn prereleases_as_the_settings_say() {
    let all = releases(&[("p-1.0-py3-none-any.whl", "", false), ("p-2.0rc1-py3-none-any.whl", "", false)]);
    let pythons = python_candidates(None).unwrap();
    let pick = |request: &PypiRequest, mode| {
        let prefer = Preference { prerelease: mode, newest: None, until: None };
        choose(&all, request, &pythons, "x86_64", prefer).map(|choice| choice.version.to_string())
    };
    assert_eq!(pick(&PypiRequest::Any, Prerelease::Allow).unwrap(), "2.0rc1");
    assert_eq!(pick(&specifiers(">=2.0rc1"), Prerelease::IfNecessary).unwrap(), "2.0rc1");
    assert_eq!(pick(&specifiers(">=2.0rc1"), Prerelease::Disallow), None);
}

fn settings(env: &[(&str, &str)]) -> PythonSettings {
    let home = tempfile::tempdir().unwrap();
    let mut env = env.to_vec();
    env.push(("PIP_CONFIG_FILE", "/dev/null"));
    Settings::load(&context(home.path(), &env)).python
}

const PAGE: &str = r#"{"name":"p","files":[{"filename":"p-1.0-py3-none-any.whl"}]}"#;

fn page(content_type: &str, body: &str) -> String {
    testing::answer("200 OK", &format!("content-type: {content_type}\r\n"), body)
}

#[test]
fn nothing_newer_than_the_settings_allow() {
    let mut all = releases(&[
        ("p-1.0-py3-none-any.whl", "", false),
        ("p-2.0-py3-none-any.whl", "", false),
        ("p-3.0-py3-none-any.whl", "", false),
    ]);
    for (files, day) in all.values_mut().zip(["10", "20"]) {
        files[0].published = Some(format!("2026-01-{day}T00:00:00.000Z"));
    }
    let pythons = python_candidates(None).unwrap();
    let pick = |newest| {
        let prefer = Preference { newest: Some(newest), ..PLAIN };
        choose(&all, &PypiRequest::Any, &pythons, "x86_64", prefer).map(|choice| choice.version.to_string())
    };
    assert_eq!(pick("2026-01-15T00:00:00.000Z").unwrap(), "1.0");
    // Of the third it is not known when it was published.
    assert_eq!(pick("2027-01-01T00:00:00.000Z").unwrap(), "2.0");
    assert_eq!(pick("2026-01-10T00:00:00.000Z"), None);
}

#[test]
fn the_newest_that_is_old_enough() {
    let mut all = releases(&[
        ("p-1.0-py3-none-any.whl", "", false),
        ("p-2.0-py3-none-any.whl", "", false),
        ("p-2.0.tar.gz", "", false),
        ("p-3.0rc1-py3-none-any.whl", "", false),
    ]);
    let at = |day: u32| format!("2026-01-{day}T12:00:00.123456Z");
    let pythons = python_candidates(None).unwrap();
    let pick = |all: &BTreeMap<Version, Vec<File>>, request: &PypiRequest, until: u32, any: bool| {
        let choice = |until: Option<&str>| choose(all, request, &pythons, "x86_64", Preference { until, ..PLAIN });
        let moment = format!("2026-01-{until}T00:00:00.000Z");
        let bound = Some(Bound { moment: &moment, any });
        let (choice, dated) = dated(all, choice(None).unwrap(), bound, |until| choice(Some(until)));
        (choice.version.to_string(), choice.has_wheel, dated)
    };
    let any_of = |all: &_, until, any| pick(all, &PypiRequest::Any, until, any);
    assert_eq!(any_of(&all, 15, false), ("2.0".to_owned(), true, Dated::Unknown));
    for (files, day) in all.values_mut().zip([10, 20, 30]) {
        files.iter_mut().for_each(|file| file.published = Some(at(day)));
    }
    let twentieth = cutoff::seconds(&at(20));
    let passed_over = |over| Dated::Old { passed_over: over };
    assert_eq!(any_of(&all, 15, false), ("1.0".to_owned(), true, passed_over(Some(("2.0".to_owned(), twentieth)))));
    assert_eq!(any_of(&all, 25, false), ("2.0".to_owned(), true, passed_over(None)));
    assert_eq!(any_of(&all, 15, true), ("2.0".to_owned(), true, Dated::Young { published: twentieth }));
    let exact = pick(&all, &specifiers("==2.0"), 15, false);
    assert_eq!(exact, ("2.0".to_owned(), true, Dated::Young { published: twentieth }));
    // A file that was added to an old release later is not taken.
    all.values_mut().nth(1).unwrap()[1].published = Some(at(10));
    assert_eq!(any_of(&all, 15, false), ("2.0".to_owned(), false, passed_over(None)));
}

#[test]
fn the_first_index_that_has_it() {
    let first = Server::start(|_, _| testing::answer("404 Not Found", "", ""));
    let second = Server::start(|_, _| page("application/vnd.pypi.simple.v1+json", PAGE));
    let with_login = second.url.replace("//", "//u:p@");
    let settings = settings(&[
        ("UV_INDEX", &format!("{}/simple {with_login}/corp/simple", first.url)),
        ("UV_DEFAULT_INDEX", "http://127.0.0.1:1/simple"),
    ]);
    let files = fetch(&client(), &settings, "p").unwrap();
    assert_eq!(files.len(), 1);
    assert!(first.requests()[0].starts_with("get /simple/p/ http"));
    let request = &second.requests()[0];
    assert!(request.starts_with("get /corp/simple/p/ http"));
    assert!(request.contains("authorization: basic"));
    assert!(request.contains("accept: application/vnd.pypi.simple.v1+json"));
}

#[test]
fn html_and_the_older_json_will_do() {
    let html = Server::start(|_, _| page("text/html", "<a href=x>p-1.0.tar.gz</a>"));
    let settings_of = |server: &Server| settings(&[("UV_DEFAULT_INDEX", &format!("{}/simple/", server.url))]);
    assert_eq!(fetch(&client(), &settings_of(&html), "p").unwrap().len(), 1);
    let old = Server::start(|line, _| {
        if line.contains("/pypi/p/json") {
            testing::json(r#"{"releases":{"1.0":[{"filename":"p-1.0.tar.gz"}]}}"#)
        } else {
            page("text/html", "nothing here")
        }
    });
    assert_eq!(fetch(&client(), &settings_of(&old), "p").unwrap().len(), 1);
}

#[test]
fn what_is_not_there_or_closed_gets_a_hint() {
    let server = Server::start(|line, _| {
        let status = if line.contains("closed") { "401 No" } else { "404 Not Found" };
        testing::answer(status, "", "")
    });
    let settings = settings(&[("UV_DEFAULT_INDEX", &server.url)]);
    let error = fetch(&client(), &settings, "mcp-sever-git").unwrap_err();
    assert_eq!(error.kind, Kind::NotFound);
    assert_eq!(error.hints, ["did you mean mcp-server-git?"]);
    let error = fetch(&client(), &settings, "closed").unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.hints[0].contains("~/.netrc"));
    let settings = self::settings(&[("UV_DEFAULT_INDEX", "http://127.0.0.1:1")]);
    let error = fetch(&client(), &settings, "p").unwrap_err();
    assert_eq!(error.kind, Kind::Network);
}

#[test]
fn a_file_is_the_one_with_its_hash() {
    let serving = |content: &'static str| {
        Server::start(move |line, _| match line.contains("/simple/p/") {
            true => page("text/html", "<a href=/files/p-1.0-py3-none-any.whl>p-1.0-py3-none-any.whl</a>"),
            false => page("application/octet-stream", content),
        })
    };
    let (without, swapped, right) = (Server::start(|_, _| page("text/html", "")), serving("swapped"), serving("right"));
    let settings = settings(&[
        ("UV_INDEX", &format!("{0}/simple {1}/simple", without.url, swapped.url)),
        ("UV_DEFAULT_INDEX", &format!("{}/simple", right.url)),
    ]);
    let found = file(&client(), &settings, "p", "p-1.0-py3-none-any.whl", &digest::full(b"right")).unwrap();
    assert_eq!(found, b"right");
    assert_eq!(swapped.requests().len(), 2);
}

proptest! {
    /// Whatever there is, the newest stable version that matches and is not withdrawn is taken.
    #[test]
    fn the_newest_that_matches(
        versions in prop::collection::btree_map((0u64..5, 0u64..12), any::<bool>(), 1..20),
        below in 0u64..6,
    ) {
        let names: Vec<(String, bool)> = versions.iter()
            .map(|((a, b), yanked)| (format!("p-{a}.{b}-py3-none-any.whl"), *yanked))
            .collect();
        let files: Vec<(&str, &str, bool)> =
            names.iter().map(|(n, y)| (n.as_str(), ">=3.8", *y)).collect();
        let expected = versions.iter()
            .filter(|((major, _), yanked)| *major < below && !**yanked)
            .map(|((a, b), _)| format!("{a}.{b}"))
            .next_back();
        let picked = pick(&releases(&files), &specifiers(&format!("<{below}")), None);
        prop_assert_eq!(picked.map(|p| p.0), expected);
    }
}
