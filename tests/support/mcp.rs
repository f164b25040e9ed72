//! An MCP client over pipes, as small as can be.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::PATIENCE;
use super::run::{Collecting, Done, collect, wait};

/// A server and the pipes to it.
pub struct Client {
    pub child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    stderr: Collecting,
    next: u64,
    seen: String,
    /// It says other things than messages, too, as some do.
    pub noisy: bool,
}

impl Client {
    /// Starts the server.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        let stderr = collect(child.stderr.take().unwrap());
        Self { stdin: child.stdin.take(), child, lines, stderr, next: 1, seen: String::new(), noisy: false }
    }

    /// The process that was started.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn send(&mut self, message: &Value) {
        let stdin = self.stdin.as_mut().unwrap();
        writeln!(stdin, "{message}").unwrap();
        stdin.flush().unwrap();
    }

    /// Asks, and waits for the answer.
    #[track_caller]
    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        let message = self.ask_anyway(method, params);
        assert!(message.get("error").is_none(), "{method} failed: {message}");
        message["result"].clone()
    }

    /// The same of what may fail; the server's own requests are answered with a refusal.
    #[track_caller]
    pub fn ask_anyway(&mut self, method: &str, params: Value) -> Value {
        let id = self.next;
        self.next += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                let stderr = String::from_utf8_lossy(&self.stderr.so_far()).into_owned();
                panic!("no answer to {method}; so far: {}\nstderr: {stderr}", self.seen);
            };
            if self.noisy && !line.starts_with('{') {
                continue;
            }
            let message: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("not JSON ({e}): {line}"));
            self.seen.push_str(&line);
            if message["id"] == id && message.get("method").is_none() {
                return message;
            }
            if message.get("method").is_some() && message.get("id").is_some() {
                let refusal = json!({ "code": -32601, "message": "not here" });
                self.send(&json!({ "jsonrpc": "2.0", "id": message["id"], "error": refusal }));
            }
        }
    }

    /// The handshake; returns the server's answer.
    #[track_caller]
    pub fn initialize(&mut self) -> Value {
        let info = json!({ "name": "jitbox-tests", "version": "0" });
        let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info });
        let answer = self.ask("initialize", params);
        self.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        answer
    }

    /// The names of all tools, sorted.
    #[track_caller]
    pub fn tools(&mut self) -> Vec<String> {
        let answer = self.ask("tools/list", json!({}));
        let tools = answer["tools"].as_array().unwrap().iter();
        let mut names: Vec<String> = tools.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    /// Calls a tool; returns the text of its answer.
    #[track_caller]
    pub fn call(&mut self, tool: &str, arguments: Value) -> String {
        let answer = self.ask("tools/call", json!({ "name": tool, "arguments": arguments }));
        let parts = answer["content"].as_array().unwrap().iter();
        parts.filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
    }

    /// Ends the server's input and waits for its end.
    #[track_caller]
    pub fn finish(mut self) -> Done {
        self.stdin = None;
        let status = wait(&mut self.child, PATIENCE);
        let pid = self.child.id();
        let stdout = self.lines.try_iter().collect::<Vec<_>>().join("\n").into_bytes();
        let stderr = std::mem::replace(&mut self.stderr, collect(std::io::empty()));
        let stderr = String::from_utf8_lossy(&stderr.take(Duration::from_secs(10))).into_owned();
        let status = status.unwrap_or_else(|| panic!("the server did not end: {stderr}"));
        Done { pid, status, stdout, stderr }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Only a failed test comes here with a running server.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
