//! The caller's standard streams, and how they reach the program.
//!
//! On the local carrier pipes and sockets are handed over as they are. A regular file, a
//! directory, a device or a terminal never is: through `/proc` it could be reopened with other
//! rights, and a directory walked. For those a thread of ours copies through a pipe.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jitbox_guest::protocol::{MAX_DATA, Stream, ToGuest, WINDOW};
use nix::sys::stat::{SFlag, fstat};
use tokio::sync::mpsc;

use super::link::Sender;
use crate::error::{Doing, Result};

/// Our own standard streams, or what stands in their place.
pub struct Streams {
    /// What the program reads.
    pub stdin: OwnedFd,
    /// Where its output goes.
    pub stdout: OwnedFd,
    /// Where its complaints go.
    pub stderr: OwnedFd,
}

impl Streams {
    /// The process's own. One that is closed is replaced by `/dev/null`.
    pub fn inherited() -> Result<Self> {
        let copy = |fd: BorrowedFd<'_>| {
            let copied = fd.try_clone_to_owned();
            copied.or_else(|_| File::options().read(true).write(true).open("/dev/null").map(OwnedFd::from))
        };
        let copies = || -> io::Result<Self> {
            Ok(Self {
                stdin: copy(io::stdin().as_fd())?,
                stdout: copy(io::stdout().as_fd())?,
                stderr: copy(io::stderr().as_fd())?,
            })
        };
        copies().doing(|| "can't use the standard streams".into())
    }
}

/// The program's ends of its standard streams, and the threads that copy for it.
pub struct Handed {
    /// What goes with the launch.
    pub fds: Vec<OwnedFd>,
    /// An input that has to be copied, from when the program runs: before that another way may
    /// have to be tried, and nothing of it may be lost.
    pub input: Option<Input>,
    /// Threads that end when the program's output has been copied.
    pub outputs: Vec<JoinHandle<()>>,
}

/// An input and the pipe that it goes into.
pub struct Input {
    from: File,
    to: File,
}

impl Input {
    /// Starts copying. Not waited for: it may sit in a read that never returns.
    pub fn copy(self) {
        std::thread::spawn(move || copy(self.from, self.to));
    }
}

/// Makes the three descriptors that the program gets.
pub fn hand_over(streams: &Streams) -> Result<Handed> {
    let doing = || "can't make a pipe".to_owned();
    let mut outputs = Vec::new();
    let mut input = None;
    let stdin = if passable(streams.stdin.as_fd()) {
        streams.stdin.try_clone().doing(doing)?
    } else {
        let (theirs, to) = pipe().doing(doing)?;
        input = Some(Input { from: File::from(streams.stdin.try_clone().doing(doing)?), to });
        OwnedFd::from(theirs)
    };
    let mut output = |stream: &OwnedFd| -> Result<OwnedFd> {
        if passable(stream.as_fd()) {
            return stream.try_clone().doing(doing);
        }
        let (ours, theirs) = pipe().doing(doing)?;
        let to = File::from(stream.try_clone().doing(doing)?);
        outputs.push(std::thread::spawn(move || copy(ours, to)));
        Ok(theirs.into())
    };
    let stdout = output(&streams.stdout)?;
    let stderr = output(&streams.stderr)?;
    Ok(Handed { fds: vec![stdin, stdout, stderr], input, outputs })
}

fn passable(fd: BorrowedFd<'_>) -> bool {
    fstat(fd).is_ok_and(|stat| {
        let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
        kind == SFlag::S_IFIFO || kind == SFlag::S_IFSOCK
    })
}

fn pipe() -> io::Result<(File, File)> {
    #[cfg(target_os = "linux")]
    let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    #[cfg(not(target_os = "linux"))]
    let (read, write) = io::pipe().map(|(r, w)| (OwnedFd::from(r), OwnedFd::from(w)))?;
    Ok((read.into(), write.into()))
}

/// Copies until either side ends; then both are closed, which the other end sees.
pub fn copy(mut from: File, mut to: File) {
    let _ = io::copy(&mut from, &mut to);
}

/// Whether nobody is at the writing side: what is there to be read has been asked already.
pub fn writer_is_gone(stdin: &OwnedFd) -> bool {
    use nix::poll::{PollFd, PollTimeout, poll};
    let mut fds = [PollFd::new(stdin.as_fd(), closed())];
    !passable(stdin.as_fd()) || poll(&mut fds, PollTimeout::ZERO).is_ok_and(|n| n > 0)
}

/// POLLHUP always comes by itself; POLLRDHUP, of Linux alone, is a socket's half-close (poll(2)).
fn closed() -> nix::poll::PollFlags {
    #[cfg(target_os = "linux")]
    return nix::poll::PollFlags::from_bits_retain(nix::libc::POLLRDHUP);
    #[cfg(not(target_os = "linux"))]
    nix::poll::PollFlags::empty()
}

/// A program that has just been started may take this long to read what was written before its
/// input ended (`printf … | npx-safe …`). One that does not read at all is no reason to stay.
#[cfg(target_os = "linux")]
const STARTING: Duration = Duration::from_secs(6);

/// Tells when the writing side of a stream is closed and all is read. Never reads: what is in
/// there is the program's.
#[cfg(target_os = "linux")]
pub fn watch_for_end(stdin: &OwnedFd) -> Result<mpsc::Receiver<()>> {
    use nix::poll::{PollFd, PollTimeout, poll};
    let fd = stdin.try_clone().doing(|| "can't watch standard input".into())?;
    let (tell, ended) = mpsc::channel(1);
    let started = Instant::now();
    std::thread::spawn(move || {
        let mut fds = [PollFd::new(fd.as_fd(), closed())];
        while let Err(nix::Error::EINTR) = poll(&mut fds, PollTimeout::NONE) {}
        while unread(&fd) > 0 && started.elapsed() < STARTING {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = tell.blocking_send(());
    });
    Ok(ended)
}

/// There is no local carrier on other systems: their engines run in another kernel.
#[cfg(not(target_os = "linux"))]
pub fn watch_for_end(_stdin: &OwnedFd) -> Result<mpsc::Receiver<()>> {
    Ok(mpsc::channel(1).1)
}

#[cfg(target_os = "linux")]
nix::ioctl_read_bad!(fionread, nix::libc::FIONREAD, nix::libc::c_int);

/// How many bytes the program has not read yet.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "ioctl")]
fn unread(fd: &OwnedFd) -> i32 {
    use std::os::fd::AsRawFd;
    let mut count = 0;
    // SAFETY: FIONREAD writes one int (ioctl_tty(2)), which lives until the call returns.
    match unsafe { fionread(fd.as_raw_fd(), &mut count) } {
        Ok(_) => count,
        Err(_) => 0,
    }
}

/// Reads a stream on a thread, a message's worth at a time. An empty chunk is the end.
pub fn read_chunks(stream: &OwnedFd) -> Result<mpsc::Receiver<Vec<u8>>> {
    let mut file = File::from(stream.try_clone().doing(|| "can't read standard input".into())?);
    let (tell, chunks) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut buffer = vec![0; MAX_DATA];
        loop {
            let n = match file.read(&mut buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                // An unreadable stream is an ended one, as it would be for the program.
                read => read.unwrap_or(0),
            };
            if tell.blocking_send(buffer[..n].to_vec()).is_err() || n == 0 {
                return;
            }
        }
    });
    Ok(chunks)
}

/// Writes what the program says on a thread, and gives the box credit for what is written.
pub struct Writer {
    chunks: std::sync::mpsc::Sender<Vec<u8>>,
    queued: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Starts writing `from` to `stream`.
    pub fn new(stream: &OwnedFd, from: Stream, link: Sender) -> Result<Self> {
        let mut file = File::from(stream.try_clone().doing(|| "can't write the output".into())?);
        let (tell, chunks) = std::sync::mpsc::channel::<Vec<u8>>();
        let queued = Arc::new(AtomicUsize::new(0));
        let left = queued.clone();
        let thread = std::thread::spawn(move || {
            while let Ok(chunk) = chunks.recv() {
                if file.write_all(&chunk).is_err() {
                    // Nobody listens any more: the program is to see that, as with a pipe.
                    link.send(&ToGuest::Close(from));
                    return;
                }
                left.fetch_sub(chunk.len(), Ordering::Relaxed);
                link.send(&ToGuest::Credit(from, chunk.len() as u32));
            }
        });
        Ok(Self { chunks: tell, queued, thread })
    }

    /// Queues a chunk. False if the box sent more than it had credit for.
    pub fn write(&self, chunk: Vec<u8>) -> bool {
        let queued = self.queued.fetch_add(chunk.len(), Ordering::Relaxed) + chunk.len();
        // After a failed write nothing is taken any more, and what was on its way is dropped.
        self.chunks.send(chunk).is_err() || queued <= WINDOW as usize
    }

    /// Waits until everything is written.
    pub fn finish(self) {
        drop(self.chunks);
        let _ = self.thread.join();
    }
}
