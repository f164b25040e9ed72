//! The link's near end: a socket that can carry descriptors, or the engine's attach stream.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use jitbox_guest::protocol::{FromGuest, Inbox, Message, ToGuest};
use nix::cmsg_space;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// The descriptors of one launch.
pub const STDIO_FDS: usize = 3;

/// One end of the link. Every descriptor it holds is close-on-exec: the program never gets it.
pub enum Link {
    /// A Unix socket.
    Socket(UnixStream, Inbox, VecDeque<OwnedFd>),
    /// The engine's attach stream: in, out.
    Stdio(File, File, Inbox),
}

impl Link {
    /// The socket that the engine passed as descriptor `number`.
    #[expect(unsafe_code, reason = "an inherited descriptor has no owner yet")]
    pub fn inherited(number: RawFd) -> Result<Self, String> {
        // SAFETY: the number comes from our own command line; nothing else in this process,
        // which has just started, has opened or adopted it, and `fcntl` checks that it is open.
        let fd = unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(number) };
        fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))
            .map_err(|e| format!("no link on descriptor {number}: {e}"))?;
        Ok(Self::Socket(fd.into(), Inbox::default(), VecDeque::new()))
    }

    /// The socket at `path`.
    pub fn connect(path: &str) -> Result<Self, String> {
        let socket = UnixStream::connect(path).map_err(|e| format!("can't connect to the link: {e}"))?;
        Ok(Self::Socket(socket, Inbox::default(), VecDeque::new()))
    }

    /// Our own standard input and output.
    pub fn stdio() -> Result<Self, String> {
        let copy = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().map(File::from).map_err(|e| e.to_string());
        Ok(Self::Stdio(copy(std::io::stdin().as_fd())?, copy(std::io::stdout().as_fd())?, Inbox::default()))
    }

    /// Whether descriptors can be passed.
    pub fn passes_descriptors(&self) -> bool {
        matches!(self, Self::Socket(..))
    }

    /// What to wait on for messages.
    pub fn readable(&self) -> BorrowedFd<'_> {
        match self {
            Self::Socket(socket, ..) => socket.as_fd(),
            Self::Stdio(input, ..) => input.as_fd(),
        }
    }

    /// Reads once; false when the other side is gone.
    pub fn read(&mut self) -> bool {
        let mut buffer = [0; 64 << 10];
        match self {
            Self::Stdio(input, _, inbox) => match input.read(&mut buffer) {
                Ok(0) => false,
                Ok(n) => {
                    inbox.push(&buffer[..n]);
                    true
                }
                Err(e) => e.kind() == std::io::ErrorKind::Interrupted,
            },
            Self::Socket(socket, inbox, fds) => {
                let mut space = cmsg_space!([RawFd; STDIO_FDS]);
                let mut iov = [IoSliceMut::new(&mut buffer)];
                let flags = MsgFlags::MSG_CMSG_CLOEXEC;
                let received = match recvmsg::<()>(socket.as_raw_fd(), &mut iov, Some(&mut space), flags) {
                    Ok(received) => received,
                    Err(e) => return e == nix::errno::Errno::EINTR,
                };
                for message in received.cmsgs().into_iter().flatten() {
                    if let ControlMessageOwned::ScmRights(rights) = message {
                        fds.extend(rights.into_iter().map(adopt));
                    }
                }
                let n = received.bytes;
                inbox.push(&buffer[..n]);
                n > 0
            }
        }
    }

    /// Waits until the other side has read all and closed the link, but no longer than `limit`.
    /// An engine may drop what is still in its attach stream when the container ends (seen with
    /// podman 5.4 under load); a socket keeps it.
    pub fn wait_until_read(&mut self, limit: Duration) {
        let until = Instant::now() + limit;
        while let (Self::Stdio(input, ..), left) = (&*self, until.saturating_duration_since(Instant::now())) {
            let mut fds = [PollFd::new(input.as_fd(), PollFlags::POLLIN)];
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            match poll(&mut fds, timeout) {
                Ok(0) => return,
                Err(nix::errno::Errno::EINTR) => {}
                Err(_) => return,
                Ok(_) if self.read() => {}
                Ok(_) => return,
            }
        }
    }

    /// The next whole message that was read.
    pub fn take(&mut self) -> Result<Option<ToGuest>, String> {
        match self {
            Self::Socket(_, inbox, _) | Self::Stdio(_, _, inbox) => inbox.take().map_err(|e| e.to_string()),
        }
    }

    /// The three descriptors that came with the launch.
    pub fn take_stdio(&mut self) -> Option<[OwnedFd; STDIO_FDS]> {
        match self {
            Self::Socket(_, _, fds) => Some([fds.pop_front()?, fds.pop_front()?, fds.pop_front()?]),
            Self::Stdio(..) => None,
        }
    }

    /// Writes a message; false when the other side is gone.
    pub fn send(&mut self, message: &FromGuest) -> bool {
        let bytes = message.encode();
        match self {
            Self::Socket(socket, ..) => socket.write_all(&bytes).is_ok(),
            Self::Stdio(_, output, _) => output.write_all(&bytes).is_ok(),
        }
    }

    /// Writes a message together with a descriptor; false when that can't be done.
    pub fn send_with(&mut self, message: &FromGuest, fd: BorrowedFd<'_>) -> bool {
        let Self::Socket(socket, ..) = self else {
            return false;
        };
        let bytes = message.encode();
        let fds = [fd.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&fds)];
        // These messages are a few bytes: the socket takes them whole or not at all.
        sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(&bytes)], &rights, MsgFlags::empty(), None) == Ok(bytes.len())
    }
}

#[expect(unsafe_code, reason = "recvmsg hands over bare numbers")]
fn adopt(number: RawFd) -> OwnedFd {
    // SAFETY: the kernel has just made this descriptor for us (unix(7), SCM_RIGHTS).
    unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(number) }
}
