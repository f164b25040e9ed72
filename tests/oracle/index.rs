//! A package index on this machine that has every package, and notes what it is asked for.
//!
//! Each line has an index of its own at `/NUMBER/simple/`, so that lines can be asked about at once and uv's cache of one
//! says nothing about another.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::zip;

/// The versions that every package has.
pub const VERSIONS: &[&str] = &["0.9", "1.0", "1.2", "1.2.3", "1.10", "2.0", "2.1rc1"];

/// What was asked for: names, each with the version that was chosen if one was.
pub type Asked = BTreeMap<String, Option<String>>;

pub struct Index {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    ended: AtomicBool,
    asked: Mutex<HashMap<String, Asked>>,
    /// The command that the packages of an index have. Without one they have no files, and nothing can be installed.
    commands: Mutex<HashMap<String, String>>,
}

impl Index {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, shared) = (listener.local_addr().unwrap(), Arc::new(Shared::default()));
        let all = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if all.ended.load(Ordering::Relaxed) {
                    return;
                }
                let all = Arc::clone(&all);
                // A client that goes away is no trouble of ours.
                std::thread::spawn(move || drop(serve(&stream, &all)));
            }
        });
        Self { address, shared }
    }

    /// The address of the index of this name.
    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}/simple", self.address)
    }

    /// Gives the packages of an index a command that writes its arguments.
    pub fn offer(&self, name: &str, command: &str) {
        self.shared.commands.lock().unwrap().insert(name.to_owned(), command.to_owned());
    }

    /// What the index of this name was asked for.
    pub fn asked(&self, name: &str) -> Asked {
        self.shared.asked.lock().unwrap().get(name).cloned().unwrap_or_default()
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
    }
}

fn serve(stream: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    while lines.next().transpose()?.is_some_and(|header| !header.is_empty()) {}
    let path = request.split(' ').nth(1).unwrap_or_default().trim_matches('/');
    let (kind, body) = match path.split('/').collect::<Vec<_>>()[..] {
        [index, "simple", package] => ("text/html", shared.page(index, package).into_bytes()),
        [index, "files", file] => ("application/octet-stream", shared.file(index, file)),
        _ => ("", Vec::new()),
    };
    let status = if body.is_empty() { "404 Not Found" } else { "200 OK" };
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n", body.len())?;
    stream.write_all(b"Connection: close\r\n\r\n")?;
    stream.write_all(&body)
}

impl Shared {
    fn page(&self, index: &str, package: &str) -> String {
        self.asked.lock().unwrap().entry(index.to_owned()).or_default().entry(package.to_owned()).or_default();
        let link = |version: &&str| {
            let file = format!("{}-{version}-py3-none-any.whl", package.replace('-', "_"));
            format!("<a href=\"/{index}/files/{file}\" data-core-metadata=\"true\">{file}</a><br/>\n")
        };
        format!("<!DOCTYPE html><html><body>\n{}</body></html>\n", VERSIONS.iter().map(link).collect::<String>())
    }

    /// A wheel, or what is known of it.
    fn file(&self, index: &str, file: &str) -> Vec<u8> {
        let mut parts = file.split('-');
        let (Some(name), Some(version)) = (parts.next(), parts.next()) else { return Vec::new() };
        let package = name.replace('_', "-");
        let extras: String = ["x", "y", "a", "b"].iter().map(|extra| format!("Provides-Extra: {extra}\n")).collect();
        let metadata = format!("Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n{extras}");
        if file.ends_with(".metadata") {
            let mut asked = self.asked.lock().unwrap();
            asked.entry(index.to_owned()).or_default().insert(package, Some(version.to_owned()));
            return metadata.into_bytes();
        }
        let Some(command) = self.commands.lock().unwrap().get(index).cloned() else { return Vec::new() };
        let info = format!("{name}-{version}.dist-info");
        let mut files = vec![
            (format!("{name}-{version}.data/scripts/{command}"), "#!/bin/sh\nprintf '%s\\0' run \"$@\"\n".to_owned()),
            (format!("{info}/METADATA"), metadata),
            (
                format!("{info}/WHEEL"),
                "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n".to_owned(),
            ),
        ];
        let record =
            files.iter().map(|(name, _)| format!("{name},,\n")).collect::<String>() + &format!("{info}/RECORD,,\n");
        files.push((format!("{info}/RECORD"), record));
        zip::archive(&files)
    }
}
