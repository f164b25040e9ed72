//! What the tests of this module share: a context without surroundings, and a loopback server
//! that answers as it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::http::{Client, Limits};
use super::settings::Settings;
use super::trust::Trust;
use crate::context::{Context, Terminals};

/// A context with this home directory and these variables only.
pub fn context(home: &Path, env: &[(&str, &str)]) -> Context {
    Context {
        program: "jitbox".into(),
        args: Vec::new(),
        env: env.iter().copied().collect(),
        cwd: home.to_owned(),
        home: home.to_owned(),
        uid: 1000,
        gid: 1000,
        process_limit: None,
        terminals: Terminals::default(),
    }
}

/// What the server was sent: the request line and headers, in lower case.
pub type Seen = Arc<Mutex<Vec<String>>>;

/// A server on a loopback port that answers with what `answer` makes of the request line.
pub struct Server {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// What it was sent.
    pub seen: Seen,
}

impl Server {
    /// Starts one; it ends with the test process.
    pub fn start(answer: impl Fn(&str, usize) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Seen::default();
        let record = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(stream, &record, &answer);
            }
        });
        Self { url, seen }
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, seen: &Seen, answer: &impl Fn(&str, usize) -> String) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let count = {
            let mut seen = seen.lock().unwrap();
            seen.push(head.to_lowercase());
            seen.len()
        };
        let line = head.lines().next().unwrap_or_default().to_owned();
        let text = answer(&line, count);
        let stream = reader.get_mut();
        let _ = stream.write_all(text.as_bytes());
        // A proxy goes on with what comes through the tunnel.
        if !(line.starts_with("CONNECT") && text.contains(" 200 ")) {
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read(&mut [0; 64]);
            return;
        }
    }
}

/// An answer with this status line, these header lines and this body.
pub fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

/// A 200 with JSON.
pub fn json(body: &str) -> String {
    answer("200 OK", "content-type: application/json\r\n", body)
}

/// A client that trusts this machine's authorities and loses no time.
pub fn client() -> Client {
    let ctx = context(Path::new("/nonexistent"), &[]);
    let trust = Trust::load(&ctx, &Settings::load(&ctx)).unwrap();
    let limits = Limits {
        connect: Duration::from_millis(500),
        total: Duration::from_millis(1500),
        pause: Duration::from_millis(1),
        longest_pause: Duration::from_secs(1),
        body: 10_000,
        ..Limits::default()
    };
    Client::with_limits(&trust, limits)
}
