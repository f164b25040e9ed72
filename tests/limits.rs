//! Programs that take all they can get: the box holds or ends, its neighbour goes on answering,
//! and one line says which limit was met.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Case;
use crate::confinement::enforces;
use crate::support::home::{CARRIERS, COWSAY};
use crate::support::lane::nothing_left;
use crate::support::run::{Collecting, collect, wait};
use crate::support::{Carrier, Home, Lane, PATIENCE, loading, run};

pub const CASES: &[Case] = &[
    Case::new("fork_bomb", fork_bomb),
    Case::new("memory_hog", memory_hog),
    Case::new("tmpfs_filler", tmpfs_filler),
    Case::new("log_flood", log_flood),
    Case::new("cpu_burner", cpu_burner),
    Case::new("too_much_memory", too_much_memory),
    Case::new("too_many_processes", too_many_processes),
    Case::new("silence", silence),
];

/// What a hog may use at most.
const SETTINGS: &str = "[limits]\nmemory = \"300m\"\npids = 64\ncpus = 1\ntmp = \"16m\"\n";

/// An answer that comes sooner than this is as good as at once, whatever the machine is at.
const AT_ONCE: Duration = Duration::from_millis(60);

/// How long an answer takes: the middle one of so many.
const ANSWERS: usize = 9;

/// A program in a box of its own, that answers each line with a hash that takes some time.
struct Neighbour {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Neighbour {
    fn start(home: &Home) -> Self {
        let script = "require('readline').createInterface(process.stdin).on('line', line =>
            console.log(require('crypto').pbkdf2Sync(line, 'salt', 20000, 16, 'sha256').toString('hex')))";
        let mut command = home.node(script, &[]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut neighbour = Self { child, stdin, stdout };
        neighbour.ask();
        neighbour
    }

    fn ask(&mut self) -> Duration {
        let start = Instant::now();
        self.stdin.write_all(b"hello\n").unwrap();
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        assert_eq!(line.trim().len(), 32, "no answer");
        start.elapsed()
    }

    /// The quicker ones of several answers, as long as `going` says so: other tests come and go, a hog stays.
    fn answers(&mut self, going: &mut dyn FnMut() -> bool) -> Option<Duration> {
        let mut times: Vec<Duration> = Vec::new();
        while times.len() < ANSWERS && going() {
            times.push(self.ask());
            std::thread::sleep(Duration::from_millis(20));
        }
        times.sort();
        times.get(times.len() / 4).copied()
    }

    fn end(mut self) {
        drop(self.stdin);
        assert!(wait(&mut self.child, PATIENCE).is_some());
    }
}

/// How a hog ended.
struct Hog {
    code: i32,
    stderr: String,
    /// What the log says of its end.
    end: Value,
}

impl Hog {
    /// What jitbox said about it: one line.
    fn line(&self) -> &str {
        let lines: Vec<&str> = self.stderr.lines().filter(|l| l.starts_with("npx-safe: ")).collect();
        let lines: Vec<&&str> = lines.iter().filter(|l| !l.contains("can't limit")).collect();
        assert_eq!(lines.len(), 1, "{}", self.stderr);
        lines[0]
    }
}

/// Runs a hog beside a neighbour, who has to go on answering.
fn beside(lane: &'static Lane, settings: &str, script: &str) -> Hog {
    let _alone = loading();
    let home = Home::warmed(lane, Carrier::Chosen, &[&COWSAY]);
    let mut neighbour = Neighbour::start(&home);
    let before = neighbour.answers(&mut || true).unwrap();
    home.configure(settings);
    let mut command = home.node(&format!("{script}; console.log('up')"), &[]);
    let mut hog = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = hog.id();
    let mut stdout = BufReader::new(hog.stdout.take().unwrap());
    let stderr: Collecting = collect(hog.stderr.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    let during = neighbour.answers(&mut || hog.try_wait().unwrap().is_none());
    let status = wait(&mut hog, PATIENCE).expect("the box neither ends nor is held");
    let log = run(home.shim("jitbox", ["logs", "--last", "1", "--json"]), b"").ok();
    let end = serde_json::from_slice::<Value>(&log.stdout).unwrap()[0].take();
    assert_eq!(end["event"], "end", "{end}");
    if let Some(during) = during {
        eprintln!("{}: a neighbour's answer: {before:?}, beside the hog {during:?}", lane.name);
        bearable(before, during);
    }
    neighbour.end();
    nothing_left(lane, pid);
    Hog { code: status.code().unwrap(), stderr: String::from_utf8_lossy(&stderr.take(PATIENCE)).into_owned(), end }
}

/// Fails the test if a neighbour has to wait for its answers.
fn bearable(before: Duration, during: Duration) {
    assert!(during <= before * 2 + AT_ONCE, "{before:?} became {during:?}");
}

/// Whether the engine itself keeps that limit.
fn engine_keeps(lane: &'static Lane, limit: &str) -> bool {
    let home = Home::warmed(lane, Carrier::Chosen, &[&COWSAY]);
    !lane.is_gvisor() && enforces(&home)[limit] == true
}

fn fork_bomb(lane: &'static Lane) {
    let hog = beside(
        lane,
        SETTINGS,
        "const { spawn } = require('child_process');
         setTimeout(() => process.exit(3), 4000);
         const again = () => spawn('sh', ['-c', 'bomb() { bomb & bomb; }; bomb'], { stdio: 'ignore' })
             .on('exit', again).on('error', () => setTimeout(again, 10));
         again()",
    );
    if lane.is_gvisor() && hog.code == 3 {
        // Held by a limit of the program's user, of whose refusals nobody hears; and its shell
        // gave up before anybody looked.
        return;
    }
    let line = hog.line();
    if engine_keeps(lane, "pids") {
        assert!(line.contains("no more than 64 processes") && line.contains("pids = 128 in"), "{line}");
    } else {
        assert_eq!(hog.code, 137, "{}", hog.stderr);
        // Where shared memory counts for each process the other limit may be met first.
        assert!(line.contains("ended for") && line.contains("[limits] "), "{line}");
    }
}

fn memory_hog(lane: &'static Lane) {
    let hog = beside(
        lane,
        SETTINGS,
        "const { spawn } = require('child_process');
         const grow = 'const all = []; for (;;) all.push(Buffer.alloc(8 << 20, 1))';
         setTimeout(() => process.exit(3), 4000);
         const again = () => spawn(process.execPath, ['-e', grow], { stdio: 'ignore' }).on('exit', again).on('error', () => {});
         again()",
    );
    let line = hog.line();
    assert!(line.contains("[limits] memory = \"600m\" in"), "{line}");
    if engine_keeps(lane, "memory") {
        assert!(line.contains("memory ran out at 300 MiB, and the kernel ended"), "{line}");
        assert!([3, 137].contains(&hog.code), "{}", hog.code);
    } else {
        assert!(line.contains("ended for using") && hog.code == 137, "{} {line}", hog.code);
    }
}

fn tmpfs_filler(lane: &'static Lane) {
    let hog = beside(
        lane,
        SETTINGS,
        "const fs = require('fs'); let n = 0;
         setTimeout(() => process.exit(3), 3000);
         const fill = () => { try { fs.writeFileSync('/tmp/f' + n++, Buffer.alloc(1 << 20)) } catch (e) { console.error(e.code) }
             setTimeout(fill, 20) }; fill()",
    );
    assert!(hog.stderr.contains("ENOSPC"), "{}", hog.stderr);
    assert_eq!(hog.code, 3);
    let line = hog.line();
    assert!(line.contains("/tmp was full") && line.contains("[limits] tmp = \"32m\" in"), "{line}");
}

fn cpu_burner(lane: &'static Lane) {
    let hog = beside(
        lane,
        // So little that they get it however busy the machine is.
        "[limits]\ncpus = 0.1\n",
        "const { spawn } = require('child_process');
         [1, 2, 3, 4].map(() => spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' }));
         setTimeout(() => process.exit(3), 12000)",
    );
    assert_eq!(hog.code, 3, "{}", hog.stderr);
    if lane.is_gvisor() {
        // Told to leave cgroups alone; and its boxes can't be stopped.
        return;
    }
    let line = hog.line();
    assert!(line.contains("the processors were used up") && line.contains("[limits] cpus = 0.2 in"), "{line}");
    // A tenth of the time, and what a start may take at once.
    let (used, seconds) = (hog.end["cpu_ms"].as_f64().unwrap() / 1000.0, hog.end["seconds"].as_f64().unwrap());
    eprintln!("{}: {used} s of processor time in {seconds:.1} s", lane.name);
    assert!(used < 0.1 * seconds + 1.0, "{}", hog.end);
}

/// Bytes of one flood.
const FLOOD: u64 = 1 << 30;

/// The most memory that a shim may have needed for it, in KiB.
const SHIM_KIB: u64 = 48 << 10;

fn log_flood(lane: &'static Lane) {
    let _alone = loading();
    let home = Home::warmed(lane, Carrier::Chosen, &[&COWSAY]);
    home.configure(SETTINGS);
    let mut neighbour = Neighbour::start(&home);
    let before = neighbour.answers(&mut || true).unwrap();
    let script = "const line = Buffer.alloc(1 << 20, 'x'); let n = 0; console.log('up');
        const more = () => { if (n++ < 1024) process.stderr.write(line, more); else process.stdin.on('data', () => process.exit(4)) }; more()";
    let mut command = home.node(script, &[]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut hog = command.spawn().unwrap();
    let pid = hog.id();
    let mut stdout = BufReader::new(hog.stdout.take().unwrap());
    let mut flood = hog.stderr.take().unwrap();
    let reader = std::thread::spawn(move || {
        let (mut buffer, mut count, mut rest) = (vec![0; 1 << 20], 0, Vec::new());
        while let Ok(n) = flood.read(&mut buffer) {
            if n == 0 {
                break;
            }
            let x = buffer[..n].iter().filter(|b| **b == b'x').count();
            count += x as u64;
            if x < n {
                rest.extend_from_slice(&buffer[..n]);
            }
        }
        (count, rest.len())
    });
    stdout.read_line(&mut String::new()).unwrap();
    let during = neighbour.answers(&mut || hog.try_wait().unwrap().is_none()).expect("the flood is still there");
    eprintln!("{}: a neighbour's answer: {before:?}, beside the flood {during:?}", lane.name);
    bearable(before, during);
    // No engine writes any of it down.
    let container = lane.container(pid);
    let log = lane.engine_says(&["inspect", "--format", "{{.HostConfig.LogConfig.Type}}", &container.name]);
    assert!(["none", ""].contains(&&*log), "logged by {log}");
    hog.stdin.take().unwrap().write_all(b"\n").unwrap();
    // The program reads its input when all is written.
    let high = loop {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let high =
            status.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        if hog.try_wait().unwrap().is_some() {
            break None;
        }
        if high.is_some_and(|kib| kib > SHIM_KIB) {
            break high;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(high, None, "KiB of memory in the shim");
    assert_eq!(wait(&mut hog, PATIENCE).and_then(|status| status.code()), Some(4));
    let (count, rest) = reader.join().unwrap();
    assert!(count >= FLOOD && rest < 2 << 20, "{count} bytes and {rest} others came out");
    neighbour.end();
    nothing_left(lane, pid);
}

fn too_much_memory(lane: &'static Lane) {
    for carrier in CARRIERS {
        let home = Home::warmed(lane, carrier, &[&COWSAY]);
        let script = "const all = []; let n = 0; const more = () =>
            { if (n++ < 32) { all.push(Buffer.alloc(32 << 20, 1)); setTimeout(more, 50) } else console.log('HAVE IT ALL') }; more()";
        let done = run(home.node(script, &[]), b"");
        assert_eq!(done.code(), 137, "{}\n{}", done.status, done.words());
        assert!(!done.text().contains("HAVE"));
        assert!(done.stderr.contains("[limits] memory = \"1g\" in "), "{}", done.stderr);
        nothing_left(lane, done.pid);
    }
}

fn too_many_processes(lane: &'static Lane) {
    let kept = engine_keeps(lane, "pids");
    let home = Home::warmed(lane, Carrier::Chosen, &[&COWSAY]);
    let script = "const { spawn } = require('child_process'); let failed = 0, n = 0;
        const more = () => { for (let i = 0; i < 20 && n < 400; i++, n++) spawn('sleep', ['60']).on('error', () => failed++);
            if (n < 400) setTimeout(more, 20); else setTimeout(() => { console.log('failed', failed); process.exit() }, 1500) }; more()";
    let done = run(home.node(script, &[]), b"");
    if kept {
        let failed = done.text().trim().strip_prefix("failed ").and_then(|n| n.parse::<u32>().ok());
        // Or the program itself did not survive being refused.
        assert!(failed.is_none_or(|n| n >= 100), "{}", done.words());
        assert!(failed.is_some() || !done.status.success(), "{}", done.words());
        assert!(done.stderr.contains("[limits] pids = 512 in "), "{}", done.stderr);
    } else {
        assert_eq!(done.code(), 137, "{}\n{}", done.status, done.words());
        // gVisor counts shared memory for each process: there the other limit may be met first.
        let limit = if lane.is_gvisor() { "[limits] " } else { "[limits] pids" };
        assert!(done.stderr.contains(limit), "{}", done.stderr);
    }
    nothing_left(lane, done.pid);
}

/// Silent streams end a program if the user wants that; each byte counts, in or out.
fn silence(lane: &'static Lane) {
    for carrier in CARRIERS {
        let home = Home::warmed(lane, carrier, &[&COWSAY]);
        home.configure("[limits]\nidle = \"3s\"\n");
        let script = "let n = 0; const t = setInterval(() => { if (n++ < 8) process.stderr.write('.'); }, 700)";
        let start = Instant::now();
        let mut command = home.node(script, &[]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let pid = child.id();
        let stderr = collect(child.stderr.take().unwrap());
        let status = wait(&mut child, PATIENCE);
        let said = String::from_utf8_lossy(&stderr.take(PATIENCE)).into_owned();
        assert_eq!(status.and_then(|s| s.code()), Some(143), "{said}");
        assert!(start.elapsed() > Duration::from_millis(8 * 700 + 2900), "{:?}", start.elapsed());
        assert!(said.contains("........") && said.contains("ended after 3 s without a byte"), "{said}");
        assert!(said.contains("[limits] idle in "), "{said}");
        nothing_left(lane, pid);
    }
}
