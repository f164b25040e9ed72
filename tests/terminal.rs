//! The program on a terminal.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::pty::{Winsize, openpty};
use nix::sys::termios::{LocalFlags, Termios, tcgetattr};

use crate::Case;
use crate::support::home::{CARRIERS, COWSAY};
use crate::support::lane::nothing_left;
use crate::support::run::{Collecting, collect, wait};
use crate::support::{Home, Lane, PATIENCE, wait_for};
use crate::transparency::signal;

pub const CASES: &[Case] = &[
    Case::new("shows_output", shows_output),
    Case::new("takes_keys", takes_keys),
    Case::new("control_c", control_c),
    Case::new("resize", resize),
    Case::new("restored_after_term", |lane| restored_after(lane, 15)),
    Case::new("restored_after_kill", |lane| restored_after(lane, 9)),
];

/// A terminal of ours, and a program on it.
pub struct Screen {
    slave: OwnedFd,
    pub keys: File,
    shown: Collecting,
    before: Termios,
    child: Child,
}

impl Screen {
    pub fn start(command: &Command) -> Self {
        let size = Winsize { ws_row: 33, ws_col: 77, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).unwrap();
        // setsid(1) becomes the command: a session of its own, whose terminal this is.
        let mut on_it = Command::new("setsid");
        on_it.arg("--ctty").arg(command.get_program()).args(command.get_args()).env("TERM", "xterm");
        if let Some(dir) = command.get_current_dir() {
            on_it.current_dir(dir);
        }
        let copy = || Stdio::from(pty.slave.try_clone().unwrap());
        on_it.stdin(copy()).stdout(copy()).stderr(copy());
        let before = tcgetattr(&pty.slave).unwrap();
        let keys = File::from(pty.master);
        let shown = collect(keys.try_clone().unwrap());
        Self { slave: pty.slave, keys, shown, before, child: on_it.spawn().unwrap() }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.so_far()).into_owned()
    }

    /// Waits until `words` are on the screen.
    pub fn wait_for(&mut self, words: &str) {
        let deadline = std::time::Instant::now() + PATIENCE;
        while !self.text().contains(words) {
            assert!(std::time::Instant::now() < deadline, "`{words}` never came: {}", self.text());
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(&self.slave).unwrap().local_flags.contains(LocalFlags::ICANON)
    }

    fn is_restored(&self) -> bool {
        let now = tcgetattr(&self.slave).unwrap();
        (now.input_flags, now.output_flags, now.control_flags, now.local_flags, now.control_chars)
            == (
                self.before.input_flags,
                self.before.output_flags,
                self.before.control_flags,
                self.before.local_flags,
                self.before.control_chars,
            )
    }

    pub fn end(&mut self) -> ExitStatus {
        wait(&mut self.child, PATIENCE).unwrap_or_else(|| panic!("did not end: {}", self.text()))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Only a failed test comes here with a running program.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn both(lane: &'static Lane, what: impl Fn(&Home)) {
    for carrier in CARRIERS {
        what(&Home::warmed(lane, carrier, &[&COWSAY]));
    }
}

fn shows_output(lane: &'static Lane) {
    both(lane, |home| {
        let mut screen = Screen::start(&home.shim("npx-safe", ["-y", "cowsay", "hi"]));
        let status = screen.end();
        assert!(status.success(), "{status}: {}", screen.text());
        screen.wait_for("< hi >");
        assert!(screen.is_restored());
        nothing_left(lane, screen.child.id());
    });
}

fn takes_keys(lane: &'static Lane) {
    both(lane, |home| {
        let script = "console.log([process.stdin.isTTY, process.stdout.isTTY, process.stderr.isTTY, process.stdout.columns,
            process.stdout.rows].join(' ')); process.stdin.once('data', d => { console.log('<' + d + '>'); process.exit(4) })";
        let mut screen = Screen::start(&home.node(script, &[]));
        screen.wait_for("true true true 77 33");
        assert!(screen.is_raw());
        screen.keys.write_all(b"moo\r").unwrap();
        let status = screen.end();
        assert_eq!(status.code(), Some(4), "{}", screen.text());
        screen.wait_for("<moo");
        assert!(screen.is_restored());
    });
}

fn control_c(lane: &'static Lane) {
    both(lane, |home| {
        let mut screen = Screen::start(&home.node("console.log('up'); setInterval(() => {}, 1000)", &[]));
        screen.wait_for("up");
        screen.keys.write_all(b"\x03").unwrap();
        let status = screen.end();
        assert!(status.signal() == Some(2) || status.code() == Some(130), "{status}: {}", screen.text());
        assert!(screen.is_restored());
        nothing_left(lane, screen.child.id());
    });
}

fn resize(lane: &'static Lane) {
    both(lane, |home| {
        let script = "console.log('up'); process.stdout.on('resize', () =>
            { const now = process.stdout.columns + ' ' + process.stdout.rows; if (now === '91 31') console.log('now', now) })";
        let script = format!("{script}; process.stdin.once('data', () => process.exit())");
        let mut screen = Screen::start(&home.node(&script, &[]));
        screen.wait_for("up");
        let stdin = Stdio::from(screen.slave.try_clone().unwrap());
        assert!(Command::new("stty").args(["cols", "91", "rows", "31"]).stdin(stdin).status().unwrap().success());
        screen.wait_for("now 91 31");
        screen.keys.write_all(b"\r").unwrap();
        assert!(screen.end().success());
    });
}

fn restored_after(lane: &'static Lane, number: i32) {
    both(lane, |home| {
        let mut screen = Screen::start(&home.node("console.log('up'); setInterval(() => {}, 1000)", &[]));
        screen.wait_for("up");
        assert!(screen.is_raw());
        signal(screen.child.id(), number);
        let status = screen.end();
        // By SIGKILL we end as everybody does; by any other signal as the program did.
        let ended = status.code().or_else(|| status.signal().map(|n| 128 + n));
        assert_eq!(ended, Some(128 + number), "{status}");
        wait_for("the terminal's old mode", || screen.is_restored().then_some(()));
        nothing_left(lane, screen.child.id());
    });
}
