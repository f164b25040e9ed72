//! The caller's terminal, while the program in the box has one of its own.

use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread::JoinHandle;

use nix::pty::Winsize;
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

use super::stdio::{self, Streams};
use crate::error::{Doing, Error, Result};

nix::ioctl_read_bad!(tiocgwinsz, nix::libc::TIOCGWINSZ, Winsize);

/// The size of a terminal; 24 × 80 where it can't tell.
#[expect(unsafe_code, reason = "ioctl")]
pub fn size(terminal: &OwnedFd) -> (u16, u16) {
    let mut size = Winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one winsize (ioctl_tty(2)), which lives until the call returns.
    match unsafe { tiocgwinsz(terminal.as_raw_fd(), &mut size) } {
        Ok(_) if size.ws_row > 0 && size.ws_col > 0 => (size.ws_row, size.ws_col),
        _ => (24, 80),
    }
}

/// A terminal in raw mode: every key goes into the box, where the program's own terminal gives
/// it its meaning. Dropping it restores the terminal; if we are killed, the keeper does.
pub struct Terminal {
    fd: OwnedFd,
    saved: Termios,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    /// Sets raw mode.
    pub fn raw(stdin: &OwnedFd) -> Result<Self> {
        let doing = || "can't set the terminal up".to_owned();
        let fd = stdin.try_clone().doing(doing)?;
        let saved = tcgetattr(&fd).doing(doing)?;
        let mut raw = saved.clone();
        cfmakeraw(&mut raw);
        tcsetattr(&fd, SetArg::TCSADRAIN, &raw).doing(doing)?;
        Ok(Self { fd, saved, reader: None })
    }

    /// Connects our terminal with the program's, whose master the box has sent.
    pub fn attach(&mut self, master: OwnedFd, streams: &Streams) -> Result<()> {
        // It was asked for, but it comes from inside: nothing but a terminal is accepted.
        if !master.is_terminal() {
            return Err(Error::failed("the box broke the link's protocol and was ended").because("not a terminal"));
        }
        let doing = || "can't use the terminal".to_owned();
        let keys = File::from(streams.stdin.try_clone().doing(doing)?);
        let into = File::from(master.try_clone().doing(doing)?);
        // Not waited for: it may sit in a read that never returns.
        std::thread::spawn(move || stdio::copy(keys, into));
        let screen = File::from(streams.stdout.try_clone().doing(doing)?);
        let from = File::from(master);
        self.reader = Some(std::thread::spawn(move || stdio::copy(from, screen)));
        Ok(())
    }

    /// The thread that copies the program's output; it ends with the box.
    pub fn take_reader(&mut self) -> Option<JoinHandle<()>> {
        self.reader.take()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.fd, SetArg::TCSADRAIN, &self.saved);
    }
}
