//! The host's end of the link.
//!
//! What comes in is from inside the box and untrusted: every message is bounded, and a
//! descriptor is only kept when one was asked for.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use jitbox_guest::protocol::{FromGuest, Inbox, Message, ToGuest};
use nix::cmsg_space;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::mpsc;

use crate::error::{Error, Result};

/// Messages on their way into the box. Cloned to whoever has something to say.
#[derive(Clone)]
pub struct Sender(mpsc::UnboundedSender<(Vec<u8>, Vec<OwnedFd>)>);

impl Sender {
    /// Sends a message. One that the box is no longer there for is dropped: its end is noticed
    /// by the receiving side.
    pub fn send(&self, message: &ToGuest) {
        self.send_with(message, Vec::new());
    }

    /// Sends a message together with descriptors.
    pub fn send_with(&self, message: &ToGuest, fds: Vec<OwnedFd>) {
        let _ = self.0.send((message.encode(), fds));
    }
}

enum Source {
    Socket(Arc<UnixStream>),
    Attach(ChildStdout),
}

/// Messages out of the box.
pub struct Receiver {
    source: Source,
    inbox: Inbox,
    fds: Vec<OwnedFd>,
}

/// Opens both directions over a socket that can pass descriptors.
pub fn over_socket(socket: UnixStream) -> (Sender, Receiver) {
    let socket = Arc::new(socket);
    let (sender, mut queue) = mpsc::unbounded_channel::<(Vec<u8>, Vec<OwnedFd>)>();
    let out = socket.clone();
    tokio::task::spawn_local(async move {
        while let Some((bytes, fds)) = queue.recv().await {
            if write_with(&out, &bytes, &fds).await.is_err() {
                break;
            }
        }
    });
    (Sender(sender), Receiver::new(Source::Socket(socket)))
}

/// Opens both directions over an engine's attach stream.
pub fn over_attach(mut stdin: ChildStdin, stdout: ChildStdout) -> (Sender, Receiver) {
    let (sender, mut queue) = mpsc::unbounded_channel::<(Vec<u8>, Vec<OwnedFd>)>();
    tokio::task::spawn_local(async move {
        while let Some((bytes, _)) = queue.recv().await {
            if stdin.write_all(&bytes).await.is_err() {
                break;
            }
        }
    });
    (Sender(sender), Receiver::new(Source::Attach(stdout)))
}

/// Writes all of `bytes`; the descriptors travel with the first of them.
async fn write_with(socket: &UnixStream, bytes: &[u8], fds: &[OwnedFd]) -> io::Result<()> {
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let mut written = 0;
    while written < bytes.len() {
        socket.writable().await?;
        let rights = [ControlMessage::ScmRights(&raw)];
        let control = if written == 0 && !raw.is_empty() { &rights[..] } else { &[] };
        let sent = socket.try_io(Interest::WRITABLE, || {
            let iov = [IoSlice::new(&bytes[written..])];
            Ok(sendmsg::<()>(socket.as_raw_fd(), &iov, control, MsgFlags::empty(), None)?)
        });
        match sent {
            Ok(n) => written += n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

impl Receiver {
    fn new(source: Source) -> Self {
        Self { source, inbox: Inbox::default(), fds: Vec::new() }
    }

    /// The next message; `None` when the box is gone. Dropping the future loses nothing.
    pub async fn receive(&mut self) -> Result<Option<FromGuest>> {
        loop {
            let message = self
                .inbox
                .take()
                .map_err(|e| Error::failed("the box broke the link's protocol and was ended").because(e))?;
            if message.is_some() {
                return Ok(message);
            }
            // A broken connection is the same as an ended one: the box is gone.
            if self.fill().await.unwrap_or(0) == 0 {
                return Ok(None);
            }
        }
    }

    /// The descriptor that came with the last message, if there was exactly one.
    pub fn take_descriptor(&mut self) -> Option<OwnedFd> {
        let mut fds = std::mem::take(&mut self.fds);
        if fds.len() == 1 { fds.pop() } else { None }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 16 << 10];
        match &mut self.source {
            Source::Attach(stdout) => {
                let n = stdout.read(&mut buffer).await?;
                self.inbox.push(&buffer[..n]);
                Ok(n)
            }
            Source::Socket(socket) => loop {
                socket.readable().await?;
                let fds = &mut self.fds;
                let received = socket.try_io(Interest::READABLE, || receive_once(socket.as_raw_fd(), &mut buffer, fds));
                match received {
                    Ok(n) => {
                        self.inbox.push(&buffer[..n]);
                        return Ok(n);
                    }
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                    Err(e) => return Err(e),
                }
            },
        }
    }
}

#[expect(unsafe_code, reason = "recvmsg hands over bare numbers")]
fn receive_once(socket: RawFd, buffer: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
    // Room for one descriptor: the kernel closes any other itself.
    let mut space = cmsg_space!([RawFd; 1]);
    let mut iov = [IoSliceMut::new(buffer)];
    #[cfg(target_os = "linux")]
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    let flags = MsgFlags::empty();
    let received = recvmsg::<()>(socket, &mut iov, Some(&mut space), flags)?;
    for message in received.cmsgs().into_iter().flatten() {
        if let ControlMessageOwned::ScmRights(rights) = message {
            // SAFETY: the kernel has just made these descriptors for us (unix(7), SCM_RIGHTS).
            fds.extend(rights.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    Ok(received.bytes)
}
