//! Running a command to its end, within a time limit.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::lane;

/// How a command ended.
#[derive(Debug)]
pub struct Done {
    pub pid: u32,
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Done {
    /// The exit code; 128 + n after signal n.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Fails the test unless the command succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.ended(0)
    }

    /// Fails the test unless the command ended with this exit code.
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        let got = self.status.code();
        assert!(got == Some(code), "ended with {} instead of {code}\n{}", self.status, self.words());
        self
    }

    /// What it said, for messages.
    pub fn words(&self) -> String {
        let stdout = String::from_utf8_lossy(&self.stdout[..self.stdout.len().min(4000)]);
        format!("--- stdout\n{stdout}\n--- stderr\n{}\n---", self.stderr)
    }
}

/// Runs `command` with `input` on its standard input, all streams being pipes.
#[track_caller]
pub fn run(mut command: Command, input: &[u8]) -> Done {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A program need not read its input.
    std::thread::spawn(move || drop(stdin.write_all(&input)));
    finish(child)
}

/// Runs `command`, whose standard input the caller has set, and collects the piped rest.
#[track_caller]
pub fn run_as_set(mut command: Command) -> Done {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command.spawn().unwrap())
}

/// Waits for `child` and collects what it says.
#[track_caller]
pub fn finish(mut child: Child) -> Done {
    let pid = child.id();
    let stdout = child.stdout.take().map(collect);
    let stderr = child.stderr.take().map(collect);
    let status = ended(&mut child, super::PATIENCE);
    let still = if status.is_none() { lane::below(pid) } else { vec![] };
    if status.is_none() {
        kill(&mut child);
    }
    // Whoever else holds the pipes' ends gets little time: the program's end is their end.
    let join = |reader: Option<Collecting>| reader.map(|r| r.take(Duration::from_secs(10))).unwrap_or_default();
    let (stdout, stderr) = (join(stdout), join(stderr));
    let done =
        Done { pid, status: status.unwrap_or_default(), stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() };
    let seconds = super::PATIENCE.as_secs();
    assert!(status.is_some(), "did not end within {seconds} s: {still:#?}\n{}", done.words());
    done
}

/// Waits for `child`; kills it, by its number, when it takes too long.
pub fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let status = ended(child, limit);
    if status.is_none() {
        kill(child);
    }
    status
}

fn ended(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

fn kill(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// A stream that is being read to its end.
pub struct Collecting {
    bytes: std::sync::Arc<std::sync::Mutex<Vec<u8>>>,
    ended: std::sync::mpsc::Receiver<()>,
}

/// Starts reading a stream.
pub fn collect(mut stream: impl Read + Send + 'static) -> Collecting {
    let bytes = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let (tell, ended) = std::sync::mpsc::channel();
    let into = bytes.clone();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(n) = stream.read(&mut buffer) {
            if n == 0 {
                break;
            }
            into.lock().unwrap().extend_from_slice(&buffer[..n]);
        }
        let _ = tell.send(());
    });
    Collecting { bytes, ended }
}

impl Collecting {
    /// What has come so far.
    pub fn so_far(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }

    /// All of it, or what came within `limit`.
    pub fn take(self, limit: Duration) -> Vec<u8> {
        let _ = self.ended.recv_timeout(limit);
        std::mem::take(&mut *self.bytes.lock().unwrap())
    }
}
