//! The test bed's lanes: one engine each.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::wait_for;

/// Lanes that every full machine has. nerdctl is used where it is there.
const REQUIRED: [&str; 8] =
    ["docker", "docker-user", "docker-buildkit", "podman", "podman-rootless", "podman5", "podman5-rootless", "gvisor"];

/// What is different for an ordinary user of root's docker; the rest would be the lane docker once more.
const USERS_TOPICS: [&str; 6] = ["confinement", "grants", "secrets", "servers", "state", "terminal"];

/// One engine.
#[derive(Debug)]
pub struct Lane {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    /// Its environment, as `testbed run` makes it.
    pub env: BTreeMap<String, String>,
}

pub fn testbed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/testbed")
}

fn ask(args: &[&str]) -> String {
    let output = Command::new(testbed()).args(args).stdin(Stdio::null()).stderr(Stdio::null()).output();
    output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default()
}

/// The lanes that are up; asked once.
pub fn lanes() -> &'static [Lane] {
    static LANES: OnceLock<Vec<Lane>> = OnceLock::new();
    LANES.get_or_init(|| ask(&["lanes"]).lines().map(Lane::of).collect())
}

/// Lanes that have to be there and are not.
pub fn missing() -> Vec<&'static str> {
    let required = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if !required("CI") && !required("JITBOX_REQUIRE_LANES") {
        return Vec::new();
    }
    REQUIRED.into_iter().filter(|name| lanes().iter().all(|lane| lane.name != *name)).collect()
}

impl Lane {
    fn of(name: &str) -> Self {
        use std::os::unix::fs::MetadataExt;
        let uid = ask(&["uid", name]).trim().parse().unwrap();
        let env: BTreeMap<String, String> = ask(&["env", name])
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        // The lane's user owns its home directory.
        let gid = std::fs::metadata(&env["HOME"]).map_or(uid, |home| home.gid());
        Self { name: name.to_owned(), uid, gid, env }
    }

    /// Whether a topic's cases are worth their time here.
    pub fn runs(&self, topic: &str) -> bool {
        self.name != "docker-user" || USERS_TOPICS.contains(&topic)
    }

    pub fn is_rootless(&self) -> bool {
        self.name.ends_with("-rootless")
    }

    pub fn is_gvisor(&self) -> bool {
        self.name == "gvisor"
    }

    /// Whether packages are fetched under it: gvisor is podman5, whose runtime is for packages' code only.
    pub fn fetches(&self) -> bool {
        !self.is_gvisor()
    }

    /// docker, podman or nerdctl.
    pub fn engine(&self) -> &'static str {
        match &*self.name {
            name if name.starts_with("docker") => "docker",
            "nerdctl" => "nerdctl",
            _ => "podman",
        }
    }

    /// A command that is run as the lane's user, in its environment. The process that is
    /// started becomes `program`.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(testbed());
        command.args(["run", &self.name, "--"]).arg(program);
        command
    }

    /// A command of the engine.
    pub fn engine_command(&self, args: &[&str]) -> Command {
        let mut command = self.command(self.engine());
        command.args(args).stdin(Stdio::null());
        command
    }

    /// What a command of the engine says; empty if it fails.
    pub fn engine_says(&self, args: &[&str]) -> String {
        let output = self.engine_command(args).output().unwrap();
        if output.status.success() { String::from_utf8_lossy(&output.stdout).trim().to_owned() } else { String::new() }
    }

    /// The names of all images. podman's list fails while somebody else removes one of them.
    pub fn images(&self) -> Vec<String> {
        let listed = || {
            let output = self.engine_command(&["images", "--format", "{{.Repository}}:{{.Tag}}"]).output().unwrap();
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
        };
        super::wait_for("the list of images", listed).lines().map(str::to_owned).collect()
    }

    /// Where the lane's user has a program.
    pub fn shell_path(&self, program: &str) -> String {
        self.shell_says("command -v \"$1\"", &[program]).trim().to_owned()
    }

    fn shell_says(&self, script: &str, args: &[&str]) -> String {
        let output = self.command("sh").args(["-c", script, "sh"]).args(args).stdin(Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The container of the shim with this process id, once it is there.
    pub fn container(&self, shim: u32) -> Container {
        wait_for(&format!("the container of {shim}"), || self.find_container(shim))
    }

    /// The running container of the shim with this process id, if there is one.
    pub fn find_container(&self, shim: u32) -> Option<Container> {
        let name = self.containers(shim).into_iter().next()?;
        let pid: u32 = self.engine_says(&["inspect", "--format", "{{.State.Pid}}", &name]).parse().ok()?;
        let id = self.engine_says(&["inspect", "--format", "{{.Id}}", &name]);
        (pid > 0 && !id.is_empty()).then_some(Container { name, id, pid })
    }

    /// Names of the containers of the shim with this process id, in whatever state.
    pub fn containers(&self, shim: u32) -> Vec<String> {
        let prefix = format!("jitbox-{shim}-");
        let all = self.engine_says(&["ps", "--all", "--format", "{{.Names}}"]);
        all.lines().filter(|name| name.starts_with(&prefix)).map(str::to_owned).collect()
    }

    /// The engine's whole knowledge of a container.
    pub fn inspect(&self, container: &Container) -> String {
        self.engine_says(&["inspect", &container.name])
    }
}

/// A running container.
#[derive(Debug, Clone)]
pub struct Container {
    pub name: String,
    pub id: String,
    /// The host's number of its first process (with gvisor: of the sandbox).
    pub pid: u32,
}

impl Container {
    /// Which way the link goes: `fd`, `socket` or `stdio`, from the command of its first process.
    pub fn link(&self, lane: &Lane) -> String {
        let inspected = lane.inspect(self);
        let value: serde_json::Value = serde_json::from_str(&inspected).unwrap();
        let value = value.get(0).unwrap_or(&value);
        let words = |v: &serde_json::Value| -> Vec<String> {
            v.as_array().into_iter().flatten().filter_map(|w| w.as_str().map(str::to_owned)).collect()
        };
        let mut command = words(&value["Args"]);
        command.extend(words(&value["Config"]["Cmd"]));
        let known = |word: &&String| ["fd", "socket", "stdio"].contains(&word.as_str());
        command.iter().find(known).cloned().unwrap_or_else(|| panic!("no way of the link in {inspected}"))
    }

    /// The program's process, which the guest started, once it is there.
    pub fn program(&self) -> u32 {
        wait_for("the program", || children(self.pid).into_iter().next())
    }
}

/// The children of a process.
pub fn children(of: u32) -> Vec<u32> {
    processes().into_iter().filter(|pid| parent(*pid) == Some(of)).collect()
}

pub fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// All processes of this machine.
pub fn processes() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// What a start with this process id waits for: its processes and its container's, with their
/// states and where in the kernel they are.
pub fn below(shim: u32) -> Vec<String> {
    let read = |pid: u32, file: &str| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let text = |pid: u32, file: &str| String::from_utf8_lossy(&read(pid, file)).replace('\0', " ");
    let name = format!("jitbox-{shim}-");
    let mut found = vec![shim];
    let mut next = 0;
    while next < found.len() {
        found.extend(children(found[next]));
        next += 1;
    }
    found.extend(processes().into_iter().filter(|pid| text(*pid, "cmdline").contains(&name)));
    // A runtime with processes of its own knows the container by its number.
    let ids: Vec<String> = found.iter().filter_map(|pid| container_id(&text(*pid, "cmdline"))).collect();
    found.extend(processes().into_iter().filter(|pid| ids.iter().any(|id| text(*pid, "cmdline").contains(id))));
    found.sort_unstable();
    found.dedup();
    let state = |pid| text(pid, "stat").rsplit_once(')').map(|(_, rest)| rest.chars().take(2).collect::<String>());
    let command = |pid| text(pid, "cmdline").chars().take(160).collect::<String>();
    let tasks = |pid: u32| std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    let describe = |pid| {
        let (state, wchan) = (state(pid).unwrap_or_default(), text(pid, "wchan"));
        format!("{pid}{state} {wchan} ({} tasks) {}", tasks(pid), command(pid))
    };
    found.into_iter().map(describe).collect()
}

/// The container's number in the command line of a monitor.
fn container_id(command: &str) -> Option<String> {
    let is_id = |word: &&str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
    command.split(' ').find(is_id).map(str::to_owned)
}

/// Whether there is such a process that is more than a zombie.
pub fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !matches!(rest.trim().as_bytes().first(), Some(b'Z' | b'X') | None))
}

/// Everything that the start with this process id has left: containers, processes, mounts, run
/// folders, sockets. What is being removed right now counts; [`nothing_left`] waits for it.
pub fn leftovers(lane: &Lane, shim: u32) -> Vec<String> {
    let name = format!("jitbox-{shim}-");
    let mut found: Vec<String> = lane.containers(shim).into_iter().map(|c| format!("container {c}")).collect();
    for pid in processes().into_iter().filter(|pid| *pid != shim) {
        let read = |file| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        // A name in a command line: the engine's client, conmon, the keeper's commands. A cgroup:
        // whatever runs in the container.
        for file in ["cmdline", "cgroup"] {
            let text = String::from_utf8_lossy(&read(file)).replace('\0', " ");
            if text.contains(&name) && alive(pid) && !text.contains("inspect") {
                found.push(format!("process {pid} ({file} {})", text.trim()));
            }
        }
        let environment = read("environ");
        let marker = marker(shim);
        if environment.windows(marker.len()).any(|bytes| bytes == marker.as_bytes()) && alive(pid) {
            let text = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
            found.push(format!("process {pid} of the box ({text})"));
        }
    }
    // The lane's own view: files and mounts.
    let script = r#"
        for owner in "$XDG_RUNTIME_DIR"/jitbox/runs/*/owner.json /tmp/jitbox-test-*/data/jitbox/runs/*/owner.json; do
            if grep -qs "$1" "$owner"; then echo "run folder ${owner%/owner.json}"; fi
        done
        grep "$1" /proc/self/mountinfo | sed 's/^/mount /'
        grep "$1" /proc/net/unix | sed 's/^/socket /'
    "#;
    found.extend(lane.shell_says(script, &[&name]).lines().map(str::to_owned));
    found
}

/// Set in the environment of the program by a test that wants its processes to be found after
/// the container's end: the value that [`leftovers`] looks for.
pub fn marker(shim: u32) -> String {
    format!("JITBOX_TEST_OF={shim}")
}

/// Waits until the start with this process id has left nothing.
pub fn nothing_left(lane: &Lane, shim: u32) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let left = leftovers(lane, shim);
        if left.is_empty() {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "left behind: {left:#?}");
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}
