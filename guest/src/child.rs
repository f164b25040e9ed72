//! Starting the program.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use jitbox_guest::protocol::Launch;
use nix::pty::Winsize;
use nix::sys::signal::SigSet;
use nix::unistd::Pid;

/// The error number when a launch fails without one.
const EINVAL: i32 = 22;

/// Starts the program as the leader of a process group of its own.
pub fn start(launch: &Launch, stdio: [OwnedFd; 3]) -> Result<Pid, i32> {
    let mut command = command(launch, stdio);
    command.process_group(0);
    spawn(command)
}

/// Starts the program as the leader of a session whose controlling terminal is `terminal`.
#[expect(unsafe_code, reason = "a session and its terminal can only be made between fork and exec")]
pub fn start_on_terminal(launch: &Launch, terminal: OwnedFd) -> Result<Pid, i32> {
    let copy = || terminal.try_clone().map_err(|e| errno(&e));
    let mut command = command(launch, [copy()?, copy()?, terminal]);
    // SAFETY: setsid(2) and ioctl(2) are async-signal-safe, and nothing here allocates.
    unsafe {
        command.pre_exec(|| {
            nix::unistd::setsid()?;
            make_controlling(0)?;
            Ok(())
        });
    }
    spawn(command)
}

mod requests {
    nix::ioctl_write_int_bad!(tiocsctty, nix::libc::TIOCSCTTY);
    nix::ioctl_write_ptr_bad!(tiocswinsz, nix::libc::TIOCSWINSZ, nix::pty::Winsize);
}

#[expect(unsafe_code, reason = "ioctl")]
fn make_controlling(fd: i32) -> nix::Result<i32> {
    // SAFETY: TIOCSCTTY takes an integer (ioctl_tty(2)).
    unsafe { requests::tiocsctty(fd, 0) }
}

/// Gives the terminal a size.
#[expect(unsafe_code, reason = "ioctl")]
pub fn resize(terminal: &OwnedFd, rows: u16, columns: u16) {
    let size = window(rows, columns);
    // SAFETY: TIOCSWINSZ reads one winsize (ioctl_tty(2)), which lives until the call returns.
    // A failure leaves the old size, which harms nobody.
    let _ = unsafe { requests::tiocswinsz(terminal.as_raw_fd(), &size) };
}

/// A window of that size.
pub fn window(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

#[expect(unsafe_code, reason = "a signal mask can only be reset between fork and exec")]
#[expect(clippy::disallowed_methods, reason = "starting the program is what the guest is for")]
fn command(launch: &Launch, [stdin, stdout, stderr]: [OwnedFd; 3]) -> Command {
    let text = |bytes: &Vec<u8>| OsString::from_vec(bytes.clone());
    let mut command = Command::new(text(&launch.argv[0]));
    command.args(launch.argv[1..].iter().map(text));
    command.env_clear();
    for pair in &launch.env {
        let equals = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
        let value = pair.get(equals + 1..).unwrap_or_default();
        command.env(text(&pair[..equals].to_vec()), text(&value.to_vec()));
    }
    command.current_dir(text(&launch.cwd));
    command.stdin(Stdio::from(stdin)).stdout(Stdio::from(stdout)).stderr(Stdio::from(stderr));
    // What the guest blocks for its signalfd would stay blocked (execve(2)).
    // SAFETY: sigprocmask(2) is async-signal-safe, and nothing here allocates.
    unsafe {
        command.pre_exec(|| Ok(SigSet::empty().thread_set_mask()?));
    }
    command
}

/// The `Child` is dropped at once: the loop reaps by number, like everything else in the box.
fn spawn(mut command: Command) -> Result<Pid, i32> {
    let child = command.spawn().map_err(|e| errno(&e))?;
    Ok(Pid::from_raw(child.id().cast_signed()))
}

fn errno(e: &io::Error) -> i32 {
    e.raw_os_error().unwrap_or(EINVAL)
}
