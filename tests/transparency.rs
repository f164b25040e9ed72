//! The program in the box can't tell the difference: bytes, streams, arguments, exit codes and
//! signals pass as with npx and uvx.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use crate::Case;
use crate::death::SERVER;
use crate::support::home::{CARRIERS, COWSAY, PYTHON};
use crate::support::lane::{lanes, nothing_left};
use crate::support::run::{collect, run_as_set, wait};
use crate::support::{Home, Lane, PATIENCE, run};

pub const CASES: &[Case] = &[
    Case::new("random_bytes", random_bytes),
    Case::new("stderr_apart", stderr_apart),
    Case::new("exit_codes", exit_codes),
    Case::new("deaths_by_signal", deaths_by_signal),
    Case::new("signals_reach_the_program", signals_reach_the_program),
    Case::new("stdin_kinds", stdin_kinds),
    // The shim's clock is the same everywhere; its carriers are not.
    Case::new("server_that_starts_slowly", server_that_starts_slowly)
        .on(|lane| lane.is_gvisor() || ["docker", "podman-rootless", "nerdctl"].contains(&&*lane.name)),
    Case::new("output_files", output_files),
    Case::new("arguments", arguments),
    Case::new("closed_pipe", closed_pipe),
    Case::new("python", python),
    Case::new("same_as_npx", same_as_npx).on(|lane| lane.name == lanes()[0].name),
];

/// Does `what` on both carriers.
fn both(lane: &'static Lane, what: impl Fn(&Home)) {
    for carrier in CARRIERS {
        what(&Home::warmed(lane, carrier, &[&COWSAY]));
    }
}

fn random_bytes(lane: &'static Lane) {
    use sha2::{Digest, Sha256};
    let mut sent = vec![0; 64 << 20];
    File::open("/dev/urandom").unwrap().read_exact(&mut sent).unwrap();
    let hash = Sha256::digest(&sent);
    both(lane, |home| {
        let done = run(home.node("process.stdin.pipe(process.stdout)", &[]), &sent).ok();
        assert_eq!(done.stdout.len(), sent.len());
        assert_eq!(Sha256::digest(&done.stdout), hash);
        nothing_left(lane, done.pid);
    });
}

fn stderr_apart(lane: &'static Lane) {
    both(lane, |home| {
        let script = "for (let i = 0; i < 1000; i++) { console.log('out'); console.error('err') }";
        let done = run(home.node(script, &[]), b"").ok();
        assert_eq!(done.text(), "out\n".repeat(1000));
        let (own, rest): (Vec<&str>, Vec<&str>) = done.stderr.lines().partition(|line| line.starts_with("npx-safe: "));
        assert_eq!(rest, vec!["err"; 1000]);
        assert!(own.len() <= 1, "{own:?}");
    });
}

fn exit_codes(lane: &'static Lane) {
    both(lane, |home| {
        for code in [0, 1, 7, 126, 127, 255] {
            run(home.node(&format!("process.exitCode = {code}"), &[]), b"").ended(code);
        }
    });
}

/// A line that ends by that signal.
fn suicide(signal: &str) -> String {
    format!("process.kill(process.pid, '{signal}'); setInterval(() => {{}}, 1000)")
}

const SIGNALS: [(&str, i32); 3] = [("SIGTERM", 15), ("SIGKILL", 9), ("SIGSEGV", 11)];

fn deaths_by_signal(lane: &'static Lane) {
    both(lane, |home| {
        for (name, number) in SIGNALS {
            let done = run(home.node(&suicide(name), &[]), b"");
            // npx dies by the signal itself or ends with 128 + n, as its shell pleases.
            assert_eq!(done.code(), 128 + number, "{name}: {}\n{}", done.status, done.words());
        }
    });
    // uv ends with 128 + n.
    let home = Home::warmed(lane, CARRIERS[0], &[&PYTHON]);
    for (name, number) in SIGNALS {
        let script = format!("import os, signal\nos.kill(os.getpid(), signal.{name})");
        run(home.shim("uvx-safe", ["python", "-c", &script]), b"").ended(128 + number);
    }
}

fn signals_reach_the_program(lane: &'static Lane) {
    both(lane, |home| {
        for (name, number) in [("SIGTERM", 15), ("SIGINT", 2), ("SIGHUP", 1), ("SIGUSR1", 10), ("SIGUSR2", 12)] {
            let script = format!(
                "process.on('{name}', () => process.exit(33)); console.log('up'); setInterval(() => {{}}, 1000)"
            );
            let mut command = home.node(&script, &[]);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let _stdin = child.stdin.take();
            let mut stdout = BufReader::new(child.stdout.take().unwrap());
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            assert_eq!(line, "up\n");
            signal(child.id(), number);
            let status = wait(&mut child, PATIENCE).unwrap();
            assert_eq!(status.code(), Some(33), "{name}: {status}");
        }
    });
}

/// Sends a signal to one of our own processes.
pub fn signal(pid: u32, number: i32) {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    kill(Pid::from_raw(pid.cast_signed()), Signal::try_from(number).unwrap()).unwrap();
}

/// Says how many bytes came in before the end.
const COUNT: &str = "let n = 0; process.stdin.on('data', d => n += d.length).on('end', () => console.log('got', n))";

fn stdin_kinds(lane: &'static Lane) {
    both(lane, |home| {
        let counted = |mut command: Command, stdin: Stdio, expected: usize| {
            command.stdin(stdin);
            let done = run_as_set(command).ok();
            assert_eq!(done.text(), format!("got {expected}\n"), "{}", done.words());
        };
        let script = ["-y", "-p", "cowsay", "node", "-e", COUNT];
        let closed = home.shim_with(&["sh", "-c", "exec \"$@\" <&-", "sh"], "npx-safe", script);
        counted(closed, Stdio::null(), 0);
        counted(home.node(COUNT, &[]), Stdio::null(), 0);
        let file = home.write("input", &"x".repeat(300_000));
        counted(home.node(COUNT, &[]), File::open(file).unwrap().into(), 300_000);
        let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
        std::io::Write::write_all(&mut &one, b"12345").unwrap();
        drop(one);
        counted(home.node(COUNT, &[]), std::os::fd::OwnedFd::from(other).into(), 5);
    });
}

/// What was asked before it began is answered, however long that takes.
fn server_that_starts_slowly(lane: &'static Lane) {
    const SLOW: &str = "setTimeout(() => { process.stdin.pipe(process.stdout); console.log('up') }, 2000)";
    let packages = SERVER.args.iter().take_while(|word| **word != "node");
    let args: Vec<&str> = packages.copied().chain(["node", "-e", SLOW]).collect();
    for carrier in CARRIERS {
        let home = Home::warmed(lane, carrier, &[&SERVER]);
        assert_eq!(run(home.shim(SERVER.shim, &args), b"asked\n").ok().text(), "up\nasked\n");
        let mut of_nothing = home.shim(SERVER.shim, &args);
        of_nothing.stdin(Stdio::null());
        assert_eq!(run_as_set(of_nothing).ok().text(), "up\n");
    }
}

fn output_files(lane: &'static Lane) {
    both(lane, |home| {
        let (out, err) = (home.write("out", ""), home.write("err", ""));
        let script = "process.stdout.write('o'.repeat(200000)); process.stderr.write('e'.repeat(200000))";
        let mut command = home.node(script, &[]);
        let open = |path| File::options().append(true).open(path).unwrap();
        command.stdin(Stdio::null()).stdout(open(&out)).stderr(open(&err));
        let status = wait(&mut command.spawn().unwrap(), PATIENCE).unwrap();
        let err = std::fs::read_to_string(&err).unwrap();
        assert!(status.success(), "{status}: {}", err.replace("ee", ""));
        assert_eq!(std::fs::read_to_string(&out).unwrap(), "o".repeat(200_000));
        assert!(err.ends_with(&"e".repeat(200_000)), "{} bytes", err.len());
    });
}

/// The program's own command line, as the kernel has it.
const CMDLINE: &str = "process.stdout.write(require('fs').readFileSync('/proc/self/cmdline'))";

fn awkward() -> Vec<OsString> {
    let mut words: Vec<OsString> =
        ["", " ", "two words", "'", "\"", "\\", "a\nb", "$x", "$(id)", "`id`", "{a,b}", "*", "--flag", "-y", "é", "@"]
            .map(OsString::from)
            .to_vec();
    words.push(OsStr::from_bytes(b"\xff\xfe\x01").to_owned());
    words.push("x".repeat(100_000).into());
    words
}

fn arguments(lane: &'static Lane) {
    both(lane, |home| {
        let mut command = home.node(CMDLINE, &["--"]);
        command.args(awkward());
        let done = run(command, b"").ok();
        let mut expected = b"--\0".to_vec();
        for word in awkward() {
            expected.extend_from_slice(word.as_bytes());
            expected.push(0);
        }
        assert!(done.stdout.ends_with(&expected), "{}", done.words());
    });
}

fn closed_pipe(lane: &'static Lane) {
    both(lane, |home| {
        let script = "const go = () => { while (process.stdout.write('y\\n'.repeat(500))); process.stdout.once('drain', go) }; go()";
        let mut command = home.node(script, &[]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let _stdin = child.stdin.take();
        let stderr = collect(child.stderr.take().unwrap());
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "y\n");
        // The pipe is closed by now.
        let (pid, status) = (child.id(), wait(&mut child, PATIENCE));
        let stderr = String::from_utf8_lossy(&stderr.take(PATIENCE)).into_owned();
        assert!(status.is_some_and(|s| !s.success()), "{status:?}\n{stderr}");
        assert!(stderr.contains("EPIPE"), "{stderr}");
        nothing_left(lane, pid);
    });
}

fn python(lane: &'static Lane) {
    for carrier in CARRIERS {
        let home = Home::warmed(lane, carrier, &[&PYTHON]);
        let script = "import sys; d = sys.stdin.buffer.read(); sys.stdout.buffer.write(d[::-1]); sys.exit(5)";
        let done = run(home.shim("uvx-safe", ["python", "-c", script]), b"abc\xff").ended(5);
        assert_eq!(done.stdout, b"\xffcba");
        let script = "import sys; sys.stdout.buffer.write(open('/proc/self/cmdline','rb').read())";
        let mut command = home.shim("uvx-safe", ["python", "-c", script]);
        command.args(awkward());
        let done = run(command, b"").ok();
        let expected: Vec<u8> = awkward().iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
        assert!(done.stdout.ends_with(&expected), "{}", done.words());
    }
}

/// The same lines on the real npx of this machine: same output, same end.
fn same_as_npx(lane: &'static Lane) {
    let here = Command::new("npx").arg("--version").output().is_ok_and(|o| o.status.success());
    if !here {
        assert!(std::env::var_os("CI").is_none(), "no npx on this machine");
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let home = Home::warmed(lane, CARRIERS[0], &[&COWSAY]);
    let mut scripts: Vec<String> = [0, 1, 7, 126, 127, 255].map(|code| format!("process.exit({code})")).to_vec();
    scripts.extend(["SIGTERM", "SIGKILL", "SIGSEGV", "SIGINT", "SIGHUP"].map(suicide));
    scripts.push("console.log('out'); console.error('err')".into());
    scripts.push("process.abort()".into());
    scripts.push("throw new Error('x')".into());
    for script in scripts {
        let words = ["-y", "-p", "cowsay", "node", "-e", &script];
        let mut real = Command::new("npx");
        real.args(words).env("npm_config_cache", cache.path()).env("npm_config_update_notifier", "false");
        real.current_dir(cache.path());
        let (theirs, ours) = (run(real, b""), run(home.shim("npx-safe", words), b""));
        // With dash as its shell npx ends with 128 + n, with bash by the signal itself.
        assert_eq!(ours.code(), theirs.code(), "{script}\nreal: {}\nours: {}", theirs.words(), ours.words());
        assert_eq!(ours.text(), theirs.text(), "{script}");
    }
}
