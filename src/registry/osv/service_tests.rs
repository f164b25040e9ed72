use std::path::Path;

use super::*;
use crate::registry::settings::Settings;
use crate::registry::testing::{Server, answer, context, json};

fn asked(name: &str) -> Asked {
    Asked { name: name.into(), version: "1.0.0".into() }
}

fn ask_within(url: &str, packages: &[Asked], limit: Duration) -> Result<Vec<Hit>> {
    let ctx = context(Path::new("/nonexistent"), &[]);
    let settings = Settings::load(&ctx);
    let trust = Trust::load(&ctx, &settings).unwrap();
    let url = Url::parse(&format!("{url}/")).unwrap();
    Service { url: &url, proxies: &settings.npm.proxies, trust: &trust, limit }.ask(Ecosystem::Npm, packages)
}

fn ask(url: &str, packages: &[Asked]) -> Result<Vec<Hit>> {
    ask_within(url, packages, Duration::from_secs(20))
}

#[test]
fn hits_come_with_their_entries() {
    let server = Server::start(|line, _| match line.split(' ').nth(1).unwrap() {
        "/v1/querybatch" => json(
            r#"{"results":[{},{"vulns":[{"id":"GHSA-1","modified":"2026-01-01T00:00:00Z"},{"id":"GHSA-back"}]},{"vulns":[{"id":"MAL-1"}]}]}"#,
        ),
        "/v1/vulns/GHSA-1" => json(r#"{"id":"GHSA-1","summary":"one"}"#),
        "/v1/vulns/GHSA-back" => json(r#"{"id":"GHSA-back","withdrawn":"2026-01-01T00:00:00Z"}"#),
        _ => answer("500 Trouble", "", ""),
    });
    let hits = ask(&server.url, &[asked("a"), asked("b"), asked("c")]).unwrap();
    let shown: Vec<String> =
        hits.iter().map(|hit| format!("{} {} {}", hit.asked.name, hit.id, hit.entry.is_some())).collect();
    // Of malware the name alone is enough.
    assert_eq!(shown, ["b GHSA-1 true", "c MAL-1 false"]);
    let posted = server.requests();
    assert!(posted[0].starts_with("post /v1/querybatch") && posted[0].contains("content-type: application/json"));
    assert!(posted.iter().all(|request| !request.contains("authorization")));
}

#[test]
fn the_question_is_osvs() {
    let packages = [asked("@a/b")];
    let question = Question { asked: &packages[0], page: Some("next".into()) };
    let wanted =
        r#"{"queries":[{"package":{"ecosystem":"PyPI","name":"@a/b"},"version":"1.0.0","page_token":"next"}]}"#;
    assert_eq!(batch(Ecosystem::Pypi, &[question]).to_string(), wanted);
}

#[test]
fn answers_of_several_pages_are_read_to_their_end() {
    let server = Server::start(|line, count| match (line.contains("querybatch"), count) {
        (true, 1) => json(r#"{"results":[{"vulns":[{"id":"A-1"}],"next_page_token":"x"},{}]}"#),
        (true, _) => json(r#"{"results":[{"vulns":[{"id":"A-2"}]}]}"#),
        _ => answer("404 Not Found", "", ""),
    });
    let hits = ask(&server.url, &[asked("a"), asked("b")]).unwrap();
    assert_eq!(hits.iter().map(|hit| hit.id.as_str()).collect::<Vec<_>>(), ["A-1", "A-2"]);
    // One that never ends is left.
    let server = Server::start(|_, _| json(r#"{"results":[{"next_page_token":"x"}]}"#));
    assert!(ask(&server.url, &[asked("a")]).unwrap().is_empty());
    assert_eq!(server.requests().len(), PAGES);
}

#[test]
fn many_packages_are_asked_about_in_parts() {
    let server = Server::start(|_, count| {
        let results = vec!["{}"; if count == 1 { MOST } else { 1 }].join(",");
        json(&format!(r#"{{"results":[{results}]}}"#))
    });
    let all: Vec<Asked> = (0..=MOST).map(|i| asked(&format!("p{i}"))).collect();
    assert!(ask(&server.url, &all).unwrap().is_empty());
    assert_eq!(server.requests().len(), 2);
    assert!(ask("http://127.0.0.1:1", &[]).unwrap().is_empty(), "without packages nobody is asked");
}

#[test]
fn what_makes_no_sense_is_no_answer() {
    for body in ["<html>", "{}", r#"{"results":[]}"#, r#"{"results":[{},{}]}"#] {
        let server = Server::start(move |_, _| json(body));
        assert!(ask(&server.url, &[asked("a")]).is_err(), "{body}");
    }
    let server = Server::start(|_, _| answer("503 Later", "", ""));
    assert!(ask(&server.url, &[asked("a")]).is_err());
    assert_eq!(server.requests().len(), 1, "nobody waits for a second try");
}

#[test]
fn it_takes_no_longer_than_it_may() {
    let server = Server::start(|line, _| {
        if line.contains("querybatch") {
            return json(r#"{"results":[{"vulns":[{"id":"A-1"},{"id":"A-2"}]}]}"#);
        }
        std::thread::sleep(Duration::from_secs(5));
        json("{}")
    });
    let start = Instant::now();
    let hits = ask_within(&server.url, &[asked("a")], Duration::from_millis(1500)).unwrap();
    assert_eq!(hits.len(), 2, "what was found is told without its entry");
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    let error = ask_within("http://127.0.0.1:1", &[asked("a")], Duration::ZERO).unwrap_err();
    assert_eq!(error.kind, Kind::Network);
}
