//! A registry that sends whoever wants a file to another host: the token stays at home.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use crate::support::web::address;
use crate::support::{Home, Lane, run};

const TOKEN: &str = "acme-token-71c0d2";

/// What a server was sent, and what it answers to a path.
struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

type Answer = Box<dyn Fn(&str) -> Vec<u8> + Send>;

impl Server {
    /// Starts one on all of this machine's addresses; it ends with the test process.
    fn start(answer: impl FnOnce(u16) -> Answer) -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (record, answer) = (seen.clone(), answer(port));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(&stream);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|n| n > 0) {}
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                record.lock().unwrap().push(head.to_lowercase());
                let _ = (&stream).write_all(&answer(&path));
            }
        });
        Self { port, seen }
    }

    fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn response(head: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {head}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

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

/// The file of `@acme/moved`, and what `npm pack` says about it.
fn packed(home: &Home) -> (Vec<u8>, String) {
    let manifest = r#"{"name":"@acme/moved","version":"1.0.0","bin":"cli.js"}"#;
    let dir: PathBuf = home.write("moved/package.json", manifest).parent().unwrap().to_owned();
    home.write("moved/cli.js", "#!/usr/bin/env node\nconsole.log('moved');\n");
    let mut npm = Command::new("npm");
    npm.args(["pack", "--json", "--cache"]).arg(home.dir.join("cache")).current_dir(&dir);
    let said: serde_json::Value = serde_json::from_slice(&run(npm, b"").ok().stdout).unwrap();
    let entry = said.get(0).or_else(|| said.get("@acme/moved")).unwrap();
    let file = dir.join(entry["filename"].as_str().unwrap());
    (std::fs::read(file).unwrap(), entry["integrity"].as_str().unwrap().to_owned())
}

pub fn redirected_file(lane: &'static Lane) {
    let home = Home::empty(lane);
    let (file, integrity) = packed(&home);
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
