//! Registries that are the tests' own: they say what a test wants them to say.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

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
