//! What was fetched for one box is there for the next.

use serde_json::{Value, json};

use super::Case;
use super::support::lane::Lane;
use super::support::npm::Registry;
use super::support::{Carrier, Home, run};

pub const CASES: &[Case] = &[Case::new("npm", npm).on(Lane::fetches), Case::new("pypi", pypi).on(Lane::fetches)];

/// What `jitbox prune --cache` removed.
fn pruned(home: &Home) -> Vec<String> {
    let done = run(home.shim("jitbox", ["prune", "--cache", "--json"]), b"").ok();
    let said: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(said["kept"], json!([]));
    said["caches"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

fn npm(lane: &'static Lane) {
    const NAME: &str = "mcp-larder";
    let home = Home::warmed(lane, Carrier::Chosen, &[]);
    let mut registry = Registry::new();
    registry.publish(&home, json!({ "name": NAME, "version": "1.0.0" }), "console.log('there')");
    let fetched = |registry: &Registry| registry.web.requests().iter().filter(|one| one.ends_with(".tgz")).count();
    let made_again = || {
        registry.jitbox(&home, &["rm", NAME]).ok();
        assert_eq!(registry.start(&home, &[NAME]).ok().text(), "there\n");
        fetched(&registry)
    };
    assert_eq!(registry.start(&home, &[NAME]).ok().text(), "there\n");
    let first = fetched(&registry);
    assert!(first > 0);
    assert_eq!(made_again(), first);
    let caches = pruned(&home);
    assert!(caches.len() == 1 && caches[0].starts_with("jitbox-cache-npm-"), "{caches:?}");
    assert!(lane.engine_says(&["volume", "inspect", &caches[0]]).is_empty());
    assert!(made_again() > first);
    home.remove_boxes();
}

fn pypi(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[]);
    let start = || run(home.shim("uvx-safe", ["pycowsay", "moo"]), b"").ok();
    start();
    let caches = home.caches();
    assert!(caches.len() == 1 && caches[0].starts_with("jitbox-cache-pypi-"), "{caches:?}");
    let mount = format!("--mount=type=volume,src={},dst=/c", caches[0]);
    let find =
        ["run", "--rm", "--network=none", &mount, "python:3.13-slim-trixie", "find", "/c", "-name", "*.dist-info"];
    assert!(lane.engine_says(&find).contains("pycowsay"));
    run(home.shim("jitbox", ["rm", "pycowsay"]), b"").ok();
    start();
    assert_eq!(pruned(&home), caches);
    home.remove_boxes();
}
