//! A web server: git repositories that the test makes, and files. Wheels, too.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

/// It ends with the test's process; [`Web::stop`] makes it answer nothing any more.
pub struct Web {
    pub url: String,
    root: tempfile::TempDir,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    seen: Vec<String>,
    tokens: Vec<String>,
    stopped: bool,
}

impl Web {
    /// One on the loopback.
    pub fn start() -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST.into())
    }

    /// One at the address that this machine has for others, where a box with a network reaches it.
    pub fn start_outside() -> Self {
        Self::start_at(address())
    }

    fn start_at(address: IpAddr) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let root = tempfile::tempdir().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let (folder, shared) = (root.path().to_owned(), state.clone());
        std::thread::spawn(move || {
            // Some clients open more connections than they use.
            for stream in listener.incoming().flatten() {
                let (folder, shared) = (folder.clone(), shared.clone());
                std::thread::spawn(move || serve(stream, &folder, &shared));
            }
        });
        Self { url, root, state }
    }

    /// Serves `bytes` at `/name`.
    pub fn put(&self, name: &str, bytes: Vec<u8>) -> String {
        self.state.lock().unwrap().files.insert(format!("/{name}"), bytes);
        format!("{}/{name}", self.url)
    }

    /// A new repository, served at `/name`.
    pub fn repository(&self, name: &str) -> Repository {
        let dir = self.root.path().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        let repository = Repository { dir };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    /// The requests so far: method and path.
    pub fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().seen.clone()
    }

    /// The `Authorization` headers so far.
    pub fn tokens(&self) -> Vec<String> {
        self.state.lock().unwrap().tokens.clone()
    }

    pub fn stop(&self) {
        self.state.lock().unwrap().stopped = true;
    }
}

/// An address at which containers reach this machine: the test bed's, else the machine's own, which is where it would send a
/// packet from. None is sent.
pub fn address() -> IpAddr {
    let served = IpAddr::from([198, 51, 100, 1]);
    if UdpSocket::bind((served, 0)).is_ok() {
        return served;
    }
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("203.0.113.1:9").expect("this machine has no route anywhere");
    socket.local_addr().unwrap().ip()
}

/// A repository with its work tree.
pub struct Repository {
    dir: PathBuf,
}

impl Repository {
    /// Writes files (those below `bin/` are programs) and commits them; returns the commit.
    pub fn commit(&self, files: &[(&str, &str)]) -> String {
        use std::os::unix::fs::PermissionsExt;
        for (name, text) in files {
            let path = self.dir.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            let mode = if name.starts_with("bin/") { 0o755 } else { 0o644 };
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message=x"]);
        self.git(&["rev-parse", "HEAD"])
    }

    pub fn tag(&self, name: &str) {
        self.git(&["tag", "--annotate", "--message=x", name]);
    }

    /// A branch at the last commit.
    pub fn branch(&self, name: &str) {
        self.git(&["branch", name]);
    }

    /// The files of the last commit as a `.tar.gz` in the folder `top`.
    pub fn archive(&self, top: &str) -> Vec<u8> {
        let command = self.command(&["archive", "--format=tar.gz", &format!("--prefix={top}/"), "HEAD"]).output();
        let output = command.unwrap();
        assert!(output.status.success());
        output.stdout
    }

    fn git(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = git();
        command.arg("-C").arg(&self.dir).args(args);
        command
    }
}

/// git without anybody's settings.
fn git() -> Command {
    let mut command = Command::new("git");
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "t").env(format!("GIT_{who}_EMAIL"), "t@example.com");
    }
    command
}

fn serve(stream: TcpStream, root: &Path, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).unwrap_or(0) == 0 || header == "\r\n" {
            break;
        }
        let (name, value) = header.split_once(':').unwrap_or_default();
        match name.to_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "authorization" => state.lock().unwrap().tokens.push(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let words: Vec<&str> = line.split(' ').collect();
    let found = {
        let mut state = state.lock().unwrap();
        state.seen.push(format!("{} {}", words[0], words[1]));
        if state.stopped {
            return;
        }
        state.files.get(words[1].split('?').next().unwrap()).cloned()
    };
    let found = found.or_else(|| {
        if let Some(repository) = words[1].strip_suffix("/info/refs?service=git-upload-pack") {
            let refs = upload_pack(&root.join(&repository[1..]), &["--advertise-refs"], b"")?;
            return Some([b"001e# service=git-upload-pack\n0000", &refs[..]].concat());
        }
        upload_pack(&root.join(&words[1].strip_suffix("/git-upload-pack")?[1..]), &[], &body)
    });
    let (status, body) = found.map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
    // Image manifests say themselves what they are.
    let said = serde_json::from_slice::<serde_json::Value>(&body)
        .ok()
        .and_then(|body| body["mediaType"].as_str().map(str::to_owned));
    let kind = said.as_deref().unwrap_or(match body.first() {
        Some(b'{') => "application/json",
        Some(b'<') => "text/html",
        _ => "application/octet-stream",
    });
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let stream = reader.get_mut();
    let body = if words[0] == "HEAD" { &[] } else { &body[..] };
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

/// What git's own server says.
fn upload_pack(repository: &Path, options: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    if !repository.is_dir() {
        return None;
    }
    let mut command = git();
    command.args(["upload-pack", "--stateless-rpc"]).args(options).arg(repository);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    Some(child.wait_with_output().unwrap().stdout)
}

/// Makes wheels in a folder, as `wheel.py` describes them.
pub fn wheels_in(dir: &Path, wheels: &serde_json::Value) {
    let mut python = Command::new("python3");
    python.args(["-c", include_str!("wheel.py")]).current_dir(dir);
    super::run(python, wheels.to_string().as_bytes()).ok();
}
