//! What a program in a box can and can't do, seen from inside and from outside.

use std::process::{Child, Stdio};

use serde_json::Value;

use crate::Case;
use crate::support::home::{CARRIERS, COWSAY};
use crate::support::lane::{Container, nothing_left};
use crate::support::run::{Collecting, collect, wait};
use crate::support::{Carrier, Home, Lane, PATIENCE, run, wait_for};

pub const CASES: &[Case] = &[
    Case::new("process_inside", process_inside),
    Case::new("process_outside", process_outside).on(|lane| !lane.is_gvisor()),
    Case::new("files", files),
    Case::new("network", network),
    Case::new("network_missed", network_missed),
    Case::new("environment", environment),
    Case::new("secrets", secrets),
    Case::new("limits", limits).on(|lane| !lane.is_gvisor()),
    Case::new("one_honest_line", one_honest_line),
];

fn warmed(lane: &'static Lane) -> Home {
    Home::warmed(lane, Carrier::Chosen, &[&COWSAY])
}

/// A program that runs until it is ended.
pub struct Running {
    child: Child,
    pub container: Container,
    _stdin: std::process::ChildStdin,
    stdout: Collecting,
}

impl Running {
    pub fn start(home: &Home, environment: &[&str], script: &str) -> Self {
        let script = format!("{script}; console.log('up'); setInterval(() => {{}}, 1000)");
        let mut command = home.shim_with(environment, "npx-safe", ["-y", "-p", "cowsay", "node", "-e", &script]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = collect(child.stdout.take().unwrap());
        let stdin = child.stdin.take().unwrap();
        wait_for("the program", || String::from_utf8_lossy(&stdout.so_far()).contains("up\n").then_some(()));
        let container = home.lane.container(child.id());
        Self { child, container, _stdin: stdin, stdout }
    }

    pub fn end(mut self, lane: &Lane) -> String {
        crate::transparency::signal(self.child.id(), 15);
        let status = wait(&mut self.child, PATIENCE);
        assert!(status.is_some(), "did not end after SIGTERM");
        nothing_left(lane, self.child.id());
        String::from_utf8_lossy(&std::mem::replace(&mut self.stdout, collect(std::io::empty())).take(PATIENCE))
            .into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Only a failed test comes here with a running program.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A field of `/proc/<pid>/status`.
fn field<'a>(status: &'a str, name: &str) -> Vec<&'a str> {
    let line = status.lines().find(|line| line.starts_with(&format!("{name}:")));
    line.unwrap_or_else(|| panic!("no {name} in {status}")).split_whitespace().skip(1).collect()
}

const CAPABILITIES: [&str; 5] = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];

fn process_inside(lane: &'static Lane) {
    for carrier in CARRIERS {
        let home = Home::warmed(lane, carrier, &[&COWSAY]);
        let done =
            run(home.node("process.stdout.write(require('fs').readFileSync('/proc/self/status'))", &[]), b"").ok();
        let status = done.text();
        for id in field(&status, "Uid").into_iter().chain(field(&status, "Gid")) {
            assert_ne!(id, "0", "{status}");
        }
        for name in CAPABILITIES.iter().filter(|name| !(lane.is_gvisor() && **name == "CapAmb")) {
            assert_eq!(field(&status, name), ["0000000000000000"], "{name}");
        }
        if !lane.is_gvisor() {
            // Its kernel has neither line.
            assert_eq!(field(&status, "NoNewPrivs"), ["1"]);
            assert_eq!(field(&status, "Seccomp"), ["2"]);
        }
        let groups = field(&status, "Groups");
        assert!(groups.iter().all(|group| *group != "0"), "{status}");
    }
}

fn process_outside(lane: &'static Lane) {
    let home = warmed(lane);
    let running = Running::start(&home, &[], "");
    for pid in [running.container.pid, running.container.program()] {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        assert!(field(&status, "Uid").iter().chain(&field(&status, "Gid")).all(|id| *id != "0"), "{status}");
        for name in CAPABILITIES {
            assert_eq!(field(&status, name), ["0000000000000000"], "{name}");
        }
        assert_eq!(field(&status, "NoNewPrivs"), ["1"]);
        assert_eq!(field(&status, "Seccomp"), ["2"]);
        for namespace in ["mnt", "pid", "net", "ipc", "uts"] {
            let of = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/{namespace}")).unwrap();
            assert_ne!(of(&pid.to_string()), of("self"), "{namespace}");
        }
    }
    running.end(lane);
}

/// Tries to write in places and to execute from one; says what came of it.
const FILES: &str = r#"
const fs = require('fs'), { spawnSync } = require('child_process');
const said = {};
const attempt = (name, what) => { try { what(); said[name] = 'ok' } catch (e) { said[name] = e.code || String(e) } };
for (const dir of ['/', '/app', '/etc', '/jitbox', '/usr/bin', '/tmp', '/state', '/var/tmp', '/run', '/dev', '/dev/shm', '/proc/sys/kernel', '/sys']) {
    attempt('write ' + dir, () => { const at = dir + '/jitbox-probe'; fs.writeFileSync(at, 'x'); fs.unlinkSync(at) });
}
for (const dir of ['/tmp', '/state', '/var/tmp', '/run', '/dev/shm']) {
    attempt('exec ' + dir, () => {
        const at = dir + '/program';
        fs.writeFileSync(at, '#!/bin/sh\nexit 0\n'); fs.chmodSync(at, 0o755);
        const done = spawnSync(at); if (done.error) throw done.error;
    });
}
attempt('fill /tmp', () => { for (let i = 0; i < 200; i++) fs.writeFileSync('/tmp/big' + i, Buffer.alloc(1 << 20)) });
said.sockets = fs.readdirSync('/').filter(name => name.endsWith('.sock')).concat(fs.existsSync('/var/run/docker.sock') ? ['docker'] : []);
console.log(JSON.stringify(said));
"#;

fn files(lane: &'static Lane) {
    let home = warmed(lane);
    let done = run(home.node(FILES, &[]), b"").ok();
    let said: Value = serde_json::from_slice(&done.stdout).unwrap();
    for dir in ["/", "/app", "/etc", "/jitbox", "/usr/bin", "/proc/sys/kernel", "/sys"] {
        assert_ne!(said[format!("write {dir}")], "ok", "{said}");
    }
    for dir in ["/tmp", "/state"] {
        assert_eq!(said[format!("write {dir}")], "ok", "{said}");
    }
    // Whatever can be written can't be executed.
    for dir in ["/tmp", "/state", "/var/tmp", "/run", "/dev/shm"] {
        assert_ne!(said[format!("exec {dir}")], "ok", "{said}");
    }
    assert_eq!(said["fill /tmp"], "ENOSPC", "{said}");
    assert_eq!(said["sockets"], serde_json::json!([]));
}

fn network(lane: &'static Lane) {
    let home = warmed(lane);
    let script = "const fs = require('fs'), net = require('net'); console.log(fs.readFileSync('/proc/net/dev', 'latin1'));
        net.connect(53, '8.8.8.8').on('error', e => console.log('refused', e.code)).on('connect', () => console.log('CONNECTED'))
            .setTimeout(5000, () => { console.log('refused TIMEOUT'); process.exit() })";
    let text = run(home.node(script, &[]), b"").ok().text();
    let devices: Vec<&str> =
        text.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim()).collect();
    assert_eq!(devices, ["lo"], "{text}");
    assert!(text.contains("refused"), "{text}");
}

/// Whoever looks for a network where there is none is told of, while it runs, with the command that gives it one.
fn network_missed(lane: &'static Lane) {
    let home = warmed(lane);
    let start = |script: &str| {
        let mut command = home.shim("npx-safe", ["-y", "-p", "cowsay", "node", "-e", script]);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap();
        let said = collect(child.stderr.take().unwrap());
        (child, said)
    };
    // What was said until the program, whose input ends then, was gone.
    let end = |(mut child, said): (Child, Collecting)| {
        drop(child.stdin.take());
        assert!(wait(&mut child, PATIENCE).is_some_and(|status| status.success()));
        String::from_utf8_lossy(&said.take(PATIENCE)).into_owned()
    };
    let stays = |what: &str| format!("{what}; process.stdin.resume()");
    let by_name = stays("fetch('http://box.example').catch(() => {})");
    let by_number = "require('node:net').connect(9, '192.0.2.1').on('error', () => process.exit())";
    let word = "cowsay tried to reach a network, and its box has none";

    // The loopback is there.
    let own = "const s = require('node:net').createServer((c) => c.end()).listen(7777, '127.0.0.1', () => \
               require('node:net').connect(7777, '127.0.0.1').on('close', () => s.close()))";
    assert!(!end(start(own)).contains(word));

    let running = start(&by_name);
    wait_for("what the program misses", || String::from_utf8_lossy(&running.1.so_far()).contains(word).then_some(()));
    let said = end(running);
    assert_eq!(said.matches(word).count(), 1, "{said}");
    assert!(!end(start(by_number)).contains(word), "it was said a moment ago");
    if !lane.is_gvisor() {
        // gVisor counts datagrams only.
        home.forget_told();
        assert!(end(start(by_number)).contains(word), "one that ends at once");
    }
    home.forget_told();
    // What it says to type lets it.
    let allow = said.split_once("(to let it reach everything: jitbox ").and_then(|(_, rest)| rest.rsplit_once(')'));
    let mut words = shell_words::split(allow.unwrap_or_else(|| panic!("{said}")).0).unwrap();
    assert_eq!(words[..3], ["allow", "--net", "open"], "of this very line, since node is not cowsay's own command");
    run(home.shim("jitbox", &words), b"").ok();
    assert!(!end(start(&by_name)).contains(word), "it has one");
    words[0] = "deny".to_owned();
    run(home.shim("jitbox", &words), b"").ok();
}

fn environment(lane: &'static Lane) {
    let home = warmed(lane);
    let mut command = home.shim_with(
        &["MY_TOKEN=secret", "LD_PRELOAD=", "SSH_AUTH_SOCK=/x", "NODE_PATH=/x", "TZ=Europe/Berlin"],
        "npx-safe",
        ["-y", "-p", "cowsay", "node", "-p", "JSON.stringify(process.env)"],
    );
    command.stdin(Stdio::null());
    let done = run(command, b"").ok();
    let seen: serde_json::Map<String, Value> = serde_json::from_slice(&done.stdout).unwrap();
    let names: Vec<&str> =
        seen.keys().map(String::as_str).filter(|name| !name.to_lowercase().ends_with("_proxy")).collect();
    let mut names: Vec<&str> =
        names.into_iter().filter(|name| !name.starts_with("LC_") && !name.starts_with("LANG")).collect();
    names.sort_unstable();
    assert_eq!(names, ["HOME", "MY_TOKEN", "PATH", "TERM", "TMPDIR", "TZ"]);
    assert_eq!(seen["HOME"], "/state");
    assert_eq!(seen["MY_TOKEN"], "secret");
}

fn secrets(lane: &'static Lane) {
    for carrier in CARRIERS {
        let home = Home::warmed(lane, carrier, &[&COWSAY]);
        let secret = format!("s3cr3t-{}-{}", std::process::id(), carrier.word(lane));
        let running =
            Running::start(&home, &[&format!("MY_TOKEN={secret}")], "console.log('<' + process.env.MY_TOKEN + '>')");
        let inspected = lane.inspect(&running.container);
        assert!(inspected.contains(&running.container.name));
        assert!(!inspected.contains(&secret), "inspect shows it");
        for pid in crate::support::lane::processes() {
            let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words = String::from_utf8_lossy(&words).into_owned();
            assert!(!words.contains(&secret), "in the arguments of {pid}: {words}");
        }
        let kept = std::process::Command::new("grep").args(["-rlF", &secret]).arg(&home.dir).output().unwrap();
        assert!(kept.stdout.is_empty(), "{}", String::from_utf8_lossy(&kept.stdout));
        let kept =
            lane.command("sh").args(["-c", "grep -rlF \"$1\" \"$XDG_RUNTIME_DIR/jitbox\"", "sh", &secret]).output();
        assert!(kept.unwrap().stdout.is_empty());
        let said = running.end(lane);
        assert!(said.contains(&format!("<{secret}>")), "{said}");
    }
}

/// Which limits the engine itself keeps, as jitbox found out.
pub fn enforces(home: &Home) -> Value {
    let report: Value =
        serde_json::from_slice(&run(home.shim("jitbox", ["doctor", "--json"]), b"").ok().stdout).unwrap();
    report["chosen"]["facts"]["enforces"].clone()
}

/// A control file of the process's cgroup: of `controller` in version 1, or the unified one.
pub fn control(pid: u32, controller: &str, old: &str, new: &str) -> Option<String> {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let file = match controllers {
            "" => format!("/sys/fs/cgroup{path}/{new}"),
            list if list.split(',').any(|c| c == controller) => format!("/sys/fs/cgroup/{controller}{path}/{old}"),
            _ => continue,
        };
        if let Ok(text) = std::fs::read_to_string(file) {
            return Some(text.trim().to_owned());
        }
    }
    None
}

fn limits(lane: &'static Lane) {
    let home = warmed(lane);
    home.configure("[limits]\nmemory = \"300m\"\npids = 99\ncpus = 1.5\n");
    let enforces = enforces(&home);
    let running = Running::start(&home, &[], "");
    let pid = running.container.pid;
    if enforces["memory"] == true {
        assert_eq!(control(pid, "memory", "memory.limit_in_bytes", "memory.max").unwrap(), (300 << 20).to_string());
        if let Some(both) = control(pid, "memory", "memory.memsw.limit_in_bytes", "memory.swap.max") {
            assert!([(300 << 20).to_string(), "0".to_owned()].contains(&both), "swap: {both}");
        }
    }
    if enforces["pids"] == true {
        assert_eq!(control(pid, "pids", "pids.max", "pids.max").unwrap(), "99");
    }
    if enforces["cpus"] == true {
        let quota = control(pid, "cpu", "cpu.cfs_quota_us", "cpu.max").unwrap();
        assert_eq!(quota.split_whitespace().next(), Some("150000"));
    }
    let files = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let files = files.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert!(files.contains("4096"), "{files}");
    running.end(lane);
}

fn one_honest_line(lane: &'static Lane) {
    let home = warmed(lane);
    let enforces = enforces(&home);
    let done = run(home.node("", &[]), b"").ok();
    let all = ["memory", "pids", "cpus"].iter().all(|limit| enforces[*limit] == true);
    let lines: Vec<&str> = done.stderr.lines().collect();
    if all {
        assert!(lines.is_empty(), "{lines:?}");
    } else {
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("can't limit"), "{lines:?}");
    }
}
