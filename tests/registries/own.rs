//! Registries that are the tests' own: they say what a test wants them to say.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::support::{Home, run};

/// What a server was sent, and what it answers to a path.
pub struct Server {
    pub port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

pub type Answer = Box<dyn Fn(&str) -> Vec<u8> + Send>;

impl Server {
    /// Starts one on all of this machine's addresses; it ends with the test process.
    pub fn start(answer: impl FnOnce(u16) -> Answer) -> Self {
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

    pub fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

pub fn response(head: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {head}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// The file of an npm package with one command, and what `npm pack` says about it.
pub fn packed(home: &Home, manifest: &Value, script: &str) -> (Vec<u8>, String) {
    let name =
        format!("{}-{}", manifest["name"].as_str().unwrap().replace('/', "-"), manifest["version"].as_str().unwrap());
    let file = home.write(&format!("packed/{name}/package.json"), &manifest.to_string());
    let dir: PathBuf = file.parent().unwrap().to_owned();
    home.write(&format!("packed/{name}/cli.js"), &format!("#!/usr/bin/env node\n{script}\n"));
    let mut npm = Command::new("npm");
    npm.args(["pack", "--json", "--cache"]).arg(home.dir.join("cache")).current_dir(&dir);
    let said: Value = serde_json::from_slice(&run(npm, b"").ok().stdout).unwrap();
    let entry = said.get(0).or_else(|| said.get(manifest["name"].as_str().unwrap())).unwrap();
    let file = dir.join(entry["filename"].as_str().unwrap());
    (std::fs::read(file).unwrap(), entry["integrity"].as_str().unwrap().to_owned())
}
