//! A registry that sends whoever wants a file to another host: the token stays at home.

use super::own::{Server, response};
use crate::support::npm::packed;
use crate::support::web::address;
use crate::support::{Home, Lane, run};

const TOKEN: &str = "acme-token-71c0d2";

/// The address by which containers know this machine, which is not the one of its own.
fn other_address(lane: &Lane) -> String {
    let (network, format) = match lane.engine() {
        "podman" => ("podman", "{{(index .Subnets 0).Gateway}}"),
        _ => ("bridge", "{{(index .IPAM.Config 0).Gateway}}"),
    };
    let found = lane.engine_says(&["network", "inspect", network, "--format", format]);
    assert!(found.parse::<std::net::IpAddr>().is_ok_and(|other| other != address()), "{found}");
    found
}

pub fn redirected_file(lane: &'static Lane) {
    let home = Home::empty(lane);
    let manifest = serde_json::json!({ "name": "@acme/moved", "version": "1.0.0", "bin": "cli.js" });
    let (file, integrity) = packed(&home, &manifest, "console.log('moved');");
    let elsewhere = Server::start(move |_| Box::new(move |_| response("200 OK\r\n", &file)));
    let target = format!("http://{}:{}/elsewhere.tgz", other_address(lane), elsewhere.port);
    let registry = Server::start(move |port| {
        Box::new(move |path| {
            if path.ends_with(".tgz") {
                return response(&format!("302 Found\r\nlocation: {target}\r\n"), b"");
            }
            let version = serde_json::json!({ "name": "@acme/moved", "version": "1.0.0", "bin": "cli.js", "dist": {
                "tarball": format!("http://{}:{port}/moved-1.0.0.tgz", address()), "integrity": integrity } });
            let all = serde_json::json!({ "name": "@acme/moved", "dist-tags": { "latest": "1.0.0" },
                "versions": { "1.0.0": version } });
            response("200 OK\r\ncontent-type: application/json\r\n", all.to_string().as_bytes())
        })
    });
    let host = format!("{}:{}", address(), registry.port);
    home.write("user/.npmrc", &format!("@acme:registry=http://{host}/\n//{host}/:_authToken={TOKEN}\n"));
    let own = format!("HOME={}", home.dir.join("user").display());
    let done = run(home.shim_with(&[&own, "NO_PROXY=*"], "npx-safe", ["-y", "@acme/moved"]), b"").ok();
    assert_eq!(done.text(), "moved\n");
    let has_token = |request: &String| request.contains(&format!("authorization: bearer {TOKEN}"));
    let (at_home, elsewhere) = (registry.requests(), elsewhere.requests());
    assert!(at_home.iter().any(|r| r.starts_with("get /moved-1.0.0.tgz") && has_token(r)), "{at_home:#?}");
    assert!(at_home.iter().all(has_token), "{at_home:#?}");
    assert!(!elsewhere.is_empty(), "nothing was fetched there");
    assert!(elsewhere.iter().all(|r| !r.contains("authorization") && !r.contains(TOKEN)), "{elsewhere:#?}");
    home.remove_boxes();
}
