//! What is known against packages, and what is in a box. The service is the test's own, on the loopback.

use serde_json::Value;

use crate::Case;
use crate::servers::TIME;
use crate::support::home::COWSAY;
use crate::support::web::Web;
use crate::support::{Carrier, Done, Home, Lane, run, wait_for};

pub const CASES: &[Case] = &[
    Case::new("malware", malware).on(here),
    Case::new("vulnerabilities", vulnerabilities).on(here),
    Case::new("nobody_there", nobody_there).on(here),
    Case::new("look_alike", look_alike).on(Lane::fetches),
    Case::new("lock", lock).on(here),
];

/// All of it happens on the host, before an engine has a say.
fn here(lane: &Lane) -> bool {
    lane.name == "podman"
}

/// A tree of two packages. No other test has a box of it, or of the other two: images are one engine's.
const ODD: &str = "is-odd@3.0.0";
/// What it needs.
const NUMBER: &str = "is-number@6.0.0";
const PAD: &str = "left-pad@1.2.0";
const BATCH: &str = "v1/querybatch";

fn start(home: &Home, package: &str, more: &[&str]) -> Done {
    let line = [more, &["-y", "-p", package, "node", "-e", "console.log('RAN')"]].concat();
    let done = run(home.shim_with(&["NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1"], "npx-safe", line), b"");
    wait_for("the container's end", || home.lane.containers(done.pid).is_empty().then_some(()));
    done
}

fn ask(home: &Home, url: &str, more: &str) {
    home.configure(&format!("[packages]\nosv = \"{url}\"\n{more}"));
}

/// What the service says of is-number, and nothing of so many others behind it.
fn says(web: &Web, ids: &[&str], others: usize) {
    let vulns: Vec<Value> = ids.iter().map(|id| serde_json::json!({ "id": id })).collect();
    let results = [vec![serde_json::json!({ "vulns": vulns })], vec![serde_json::json!({}); others]].concat();
    web.put(BATCH, serde_json::json!({ "results": results }).to_string().into());
}

fn images(home: &Home) -> bool {
    home.lane.images().iter().any(|image| image.contains("jitbox/npm-is-odd:"))
}

/// Whatever the level and the settings say: it is not even built.
fn malware(lane: &'static Lane) {
    let web = Web::start();
    let home = Home::empty(lane);
    ask(&home, &web.url, "accept = [\"GHSA-1\"]\n");
    says(&web, &["GHSA-1", "MAL-2026-4711"], 1);
    for level in [&[][..], &["--safe-level=strict"]] {
        let done = start(&home, ODD, level).ended(126);
        assert!(done.stderr.contains("is-number@6.0.0 is known malware: MAL-2026-4711"), "{}", done.stderr);
        assert!(done.stderr.contains("osv = \"off\""), "{}", done.stderr);
        assert!(!done.text().contains("RAN") && home.records().is_empty() && !images(&home));
    }
    assert!(web.requests().iter().any(|request| request == "POST /v1/querybatch"), "{:?}", web.requests());
    // The same of a Python package: its lock says that it is the public index's.
    says(&web, &["MAL-2026-4711"], 0);
    let line = home.shim_with(&["NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1"], "uvx-safe", ["pycowsay", "hi"]);
    let done = run(line, b"").ended(126);
    assert!(
        done.stderr.contains("pycowsay@") && done.stderr.contains("is known malware") && home.records().is_empty(),
        "{}",
        done.stderr
    );
    // And of what an index has only as source: before that is built.
    let jitbox =
        |args: &[&str]| run(home.shim_with(&["NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1"], "jitbox", args), b"");
    let done = jitbox(&["build", "pypi:sgmllib3k", "--sdist", "sgmllib3k"]).ended(1);
    assert!(done.stderr.contains("sgmllib3k@1.0.0 is known malware") && home.records().is_empty(), "{}", done.stderr);
    let attempts: Value = serde_json::from_str(&jitbox(&["attempts", "--json", "sgmllib3k"]).ok().text()).unwrap();
    let phases: Vec<&str> =
        attempts[0]["phases"].as_array().unwrap().iter().filter_map(|p| p["name"].as_str()).collect();
    assert_eq!((attempts[0]["outcome"]["kind"].as_str(), phases), (Some("failed"), vec!["resolving"]));
    // Without that answer the same line runs, and without anybody who is asked.
    says(&web, &[], 1);
    let done = start(&home, ODD, &[]).ok();
    assert!(done.text().contains("RAN") && !done.stderr.contains("known"), "{}", done.words());
    assert!(images(&home));
    // A start with a box asks nobody.
    let asked = web.requests().len();
    start(&home, ODD, &[]).ok();
    assert_eq!(web.requests().len(), asked);
    home.remove_boxes();
}

fn vulnerabilities(lane: &'static Lane) {
    let web = Web::start();
    let home = Home::empty(lane);
    let entry = serde_json::json!({
        "id": "GHSA-aaaa-bbbb-cccc", "aliases": ["CVE-2026-1"], "summary": "It counts wrongly",
        "affected": [{ "package": { "ecosystem": "npm", "name": "is-number" },
            "ranges": [{ "type": "SEMVER", "events": [{ "introduced": "0" }, { "fixed": "7.0.0" }] }] }],
        "database_specific": { "severity": "HIGH" },
    });
    web.put("v1/vulns/GHSA-aaaa-bbbb-cccc", entry.to_string().into());
    says(&web, &["GHSA-aaaa-bbbb-cccc"], 0);
    ask(&home, &web.url, "");
    let done = start(&home, NUMBER, &["--safe-level=strict"]).ended(126);
    assert!(
        done.stderr.contains("is-number@6.0.0 has GHSA-aaaa-bbbb-cccc") && home.records().is_empty(),
        "{}",
        done.stderr
    );
    // What it says to write is what lets it through.
    let hint = done.stderr.lines().find(|line| line.contains("accept = ")).unwrap();
    ask(&home, &web.url, &format!("{}\n", &hint[hint.find("accept = ").unwrap()..]));
    let done = start(&home, NUMBER, &["--safe-level=strict"]).ok();
    assert!(done.text().contains("RAN") && !done.stderr.contains("known"), "{}", done.words());
    home.remove_boxes();
    ask(&home, &web.url, "");
    let done = start(&home, NUMBER, &[]).ok();
    let line = done.stderr.lines().find(|line| line.contains("known vulnerabilities")).unwrap();
    assert!(line.contains("1 in 1 package, the worst is high (is-number@6.0.0)"), "{line}");
    // And the command that it names shows it.
    let command = line.split("jitbox ").last().unwrap();
    let words = shell_words::split(command).unwrap();
    let shown = run(home.shim_with(&["NO_PROXY=127.0.0.1"], "jitbox", &words), b"").ok().text();
    for said in ["high", "is-number 6.0.0", "It counts wrongly", "mended in 7.0.0", "CVE-2026-1"] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    home.remove_boxes();
}

/// It stops nothing, and is said once an hour.
fn nobody_there(lane: &'static Lane) {
    let home = Home::empty(lane);
    ask(&home, "http://127.0.0.1:1", "");
    let done = start(&home, PAD, &[]).ok();
    assert!(done.text().contains("RAN"));
    assert_eq!(done.stderr.matches("nobody could be asked").count(), 1, "{}", done.stderr);
    home.remove_boxes();
    let done = start(&home, PAD, &[]).ok();
    assert!(done.text().contains("RAN") && !done.stderr.contains("asked"), "{}", done.words());
    home.remove_boxes();
    // A folder that is not there is the user's mistake.
    ask(&home, "/no/such/folder", "");
    let done = start(&home, PAD, &[]).ended(126);
    assert!(done.stderr.contains("/no/such/folder") && home.records().is_empty(), "{}", done.stderr);
}

fn look_alike(lane: &'static Lane) {
    let home = Home::empty(lane);
    let line = |more: &[&str]| run(home.shim("npx-safe", [more, &["-y", "mcp-remotte"]].concat()), b"");
    let done = line(&["--safe-level=strict"]).ended(126);
    assert!(done.stderr.contains("mcp-remotte looks like mcp-remote, which is another package"), "{}", done.stderr);
    assert!(done.stderr.contains("accept = [\"npm:mcp-remotte\"]"), "{}", done.stderr);
    // Elsewhere it is only said, and the registry is asked; whether it has one is its own affair.
    assert!(line(&[]).stderr.contains("looks like mcp-remote"));
    home.configure("[packages]\naccept = [\"npm:mcp-remotte\"]\n");
    assert!(!line(&["--safe-level=strict"]).stderr.contains("looks like"));
    home.remove_boxes();
}

fn lock(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&COWSAY, &TIME]);
    let print = |args: &[&str]| run(home.shim("jitbox", [&["lock"], args].concat()), b"");
    let text = print(&["cowsay"]).ok().text();
    assert!(text.starts_with("cowsay ") && text.lines().count() > 10, "{text}");
    assert!(text.lines().all(|line| line.split_whitespace().count() == 3 && line.contains(" sha512-")), "{text}");
    let json = |args: &[&str]| -> Value { serde_json::from_slice(&print(args).ok().stdout).unwrap() };
    let packages = json(&["--json", "cowsay"])[0]["packages"].as_array().unwrap().clone();
    assert_eq!((packages.len(), packages[0]["direct"].as_bool()), (text.lines().count(), Some(true)));
    assert!(!packages[0]["needs"].as_array().unwrap().is_empty());
    let (cyclonedx, spdx) = (json(&["--sbom", "cyclonedx", "cowsay"]), json(&["--sbom", "spdx", "cowsay"]));
    assert_eq!(cyclonedx["components"].as_array().unwrap().len(), packages.len());
    assert_eq!(spdx["packages"].as_array().unwrap().len(), packages.len() + 1, "and the box itself");
    assert_eq!(cyclonedx, json(&["--sbom", "cyclonedx", "cowsay"]), "the same at every time");
    // uv's lock says who needs a package, and of which index it is.
    let python = json(&["--json", "mcp-server-time"])[0]["packages"].as_array().unwrap().clone();
    let needed =
        |name: &str| python.iter().filter(|p| p["needs"].to_string().contains(&format!("pkg:pypi/{name}@"))).count();
    assert!(
        python[0]["name"] == "mcp-server-time" && needed("mcp") == 1 && needed("typing-extensions") > 1,
        "{python:?}"
    );
    let done = print(&["no-such-box"]).ended(1);
    assert!(done.stderr.contains("no-such-box") && done.stderr.contains("jitbox ls"), "{}", done.stderr);
    let done = print(&["--known", "cowsay"]).ended(2);
    assert!(done.stderr.contains("osv = \"off\""), "{}", done.stderr);
}
