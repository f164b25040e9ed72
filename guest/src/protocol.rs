//! The link's messages, for both carriers.
//!
//! A message is a little-endian `u32` length, then that many bytes: one type byte and the
//! body. Both sides bound the length before they allocate anything: what comes out of a box is
//! untrusted, and so is a guest's reading of a host that it was not built with.

use std::fmt;

/// Both sides must be of one version; the image holds the guest that its shim was built with.
pub const VERSION: u16 = 4;

/// The longest message into the box. A launch carries argv and environment, which Linux itself
/// bounds at a quarter of the stack limit (execve(2)), 2 MiB by default.
pub const MAX_TO_GUEST: usize = 4 << 20;

/// The longest message out of the box.
pub const MAX_FROM_GUEST: usize = MAX_DATA + 64;

/// The most bytes of a stream in one message.
pub const MAX_DATA: usize = 64 << 10;

/// How many bytes of one stream may be under way before the reader has taken them.
pub const WINDOW: u32 = 256 << 10;

/// One of the program's standard streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard input, into the box.
    Stdin = 0,
    /// Standard output, or both directions of the terminal.
    Stdout = 1,
    /// Standard error.
    Stderr = 2,
}

/// How the program's standard streams are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdio {
    /// The three descriptors that come with the launch (carrier `local`).
    Passed,
    /// Pipes whose bytes travel as [`FromGuest::Data`] and [`ToGuest::Data`] (carrier `stream`).
    Framed,
    /// A terminal of this many rows and columns. Its master goes out as a descriptor when the
    /// carrier can pass one, else its bytes travel as data.
    Terminal {
        /// Lines.
        rows: u16,
        /// Columns.
        columns: u16,
    },
}

/// What the guest watches: limits because the engine can't enforce them. Zero: not watched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Watch {
    /// Bytes of memory of all processes together.
    pub memory: u64,
    /// Number of processes and threads.
    pub pids: u64,
    /// Thousandths of a processor.
    pub cpus: u32,
    /// Whether somebody tries to reach a network: there is none.
    pub network: bool,
}

/// A host path in the box, and what the shim saw there when it was decided that the program gets
/// it. Names can be made to lead elsewhere before the engine mounts them; this can't.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// Where it is in the box.
    pub path: Vec<u8>,
    /// The file system's number (stat(2), `st_dev`).
    pub device: u64,
    /// The inode's number.
    pub inode: u64,
    /// It may be changed.
    pub writable: bool,
}

impl Watch {
    /// Whether there is a limit whose breaking ends the program.
    pub fn ends(self) -> bool {
        self.memory > 0 || self.pids > 0
    }
}

/// What to start, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The program and its arguments.
    pub argv: Vec<Vec<u8>>,
    /// The whole environment, as `NAME=value`.
    pub env: Vec<Vec<u8>>,
    /// The working directory.
    pub cwd: Vec<u8>,
    /// The standard streams.
    pub stdio: Stdio,
    /// Milliseconds between SIGTERM and the end once the link has dropped.
    pub grace_ms: u32,
    /// Limits that the guest has to keep itself.
    pub watch: Watch,
    /// Host paths that have to be what they were, or nothing is started.
    pub mounts: Vec<Mounted>,
}

/// From the shim into the box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToGuest {
    /// Start the program. Comes once, first.
    Launch(Launch),
    /// Send this signal to the program's process group.
    Signal(i32),
    /// The terminal has a new size.
    Resize {
        /// Lines.
        rows: u16,
        /// Columns.
        columns: u16,
    },
    /// Bytes for standard input.
    Data(Vec<u8>),
    /// Standard input ends.
    Eof,
    /// This many more bytes of that stream may be sent.
    Credit(Stream, u32),
    /// Nobody reads that stream any more.
    Close(Stream),
}

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It returned this status.
    Exited(u8),
    /// This signal killed it.
    Signaled(i32),
    /// It could not be started; the error number of execve(2).
    NotStarted(i32),
    /// It used more memory than it may, in bytes.
    OverMemory(u64),
    /// It had more processes than it may.
    OverPids(u64),
    /// It was not started: this one of [`Launch::mounts`] is another file or folder, or can be
    /// changed and must not be.
    Changed(u64),
}

/// Where a box can write into memory: [`Usage::full`] names them by their place here.
pub const PLACES: [&str; 5] = ["/tmp", "/state", "/dev/shm", "/var/tmp", "/run"];

/// What the box used, and how often it met its limits. What can't be known is zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The most bytes of memory at a time: of the whole box where its cgroup tells, else of its
    /// largest process.
    pub memory: u64,
    /// Milliseconds of processor time.
    pub cpu_ms: u64,
    /// How many processes the kernel ended because memory was used up.
    pub out_of_memory: u64,
    /// How often a process or thread was refused.
    pub refused: u64,
    /// Periods (of 100 ms, unless the engine says otherwise) with something to run …
    pub periods: u64,
    /// … and those of them in which the processor time was used up.
    pub throttled: u64,
    /// Which of [`PLACES`] were full in the end, the first being bit 0.
    pub full: u8,
}

/// Out of the box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromGuest {
    /// The first message: who speaks, and in which running kernel
    /// (`/proc/sys/kernel/random/boot_id`; empty if there is none).
    Hello {
        /// The guest's [`VERSION`].
        version: u16,
        /// The kernel's boot id.
        boot_id: String,
    },
    /// The program runs. With [`Stdio::Terminal`] on a carrier that passes descriptors, the
    /// terminal's master comes with this message.
    Started,
    /// Bytes of standard output or standard error.
    Data(Stream, Vec<u8>),
    /// That stream ends.
    Eof(Stream),
    /// This many more bytes of standard input may be sent.
    Credit(u32),
    /// Somebody in the box tried to reach a network. Sent once, and only if it is watched.
    Unreached,
    /// The program is gone, and all else in the box with it. The last message.
    End(End, Usage),
}

/// Why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// Longer than this side accepts.
    TooLong(usize),
    /// Not a type that this side receives, or not its body.
    Body(u8),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(n) => write!(f, "a message of {n} bytes on the link"),
            Self::Body(t) => write!(f, "a malformed message of type {t} on the link"),
        }
    }
}

impl std::error::Error for Malformed {}

/// A message that can be written and read back.
pub trait Message: Sized {
    /// The longest that a reader of this direction accepts.
    const MAX: usize;
    /// The type byte and the body.
    fn body(&self, out: &mut Writer);
    /// Reads a body of type `kind`; `None` if it is not one.
    fn parse(kind: u8, body: &mut Reader<'_>) -> Option<Self>;

    /// The whole frame, its length in front.
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer(vec![0; 4]);
        self.body(&mut out);
        let length = (out.0.len() - 4) as u32;
        out.0[..4].copy_from_slice(&length.to_le_bytes());
        out.0
    }
}

/// Collects bytes and cuts them into messages.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    taken: usize,
}

impl Inbox {
    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.taken == self.bytes.len() {
            self.bytes.clear();
            self.taken = 0;
        } else if self.taken > MAX_DATA {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message, if there is one.
    pub fn take<M: Message>(&mut self) -> Result<Option<M>, Malformed> {
        let rest = &self.bytes[self.taken..];
        let Some((head, rest)) = rest.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*head) as usize;
        if length == 0 || length > M::MAX {
            return Err(Malformed::TooLong(length));
        }
        let Some(body) = rest.get(..length) else {
            return Ok(None);
        };
        let mut reader = Reader(&body[1..]);
        let message = M::parse(body[0], &mut reader).filter(|_| reader.0.is_empty());
        let message = message.ok_or(Malformed::Body(body[0]))?;
        self.taken += 4 + length;
        Ok(Some(message))
    }
}

/// Appends values to a frame.
pub struct Writer(Vec<u8>);

impl Writer {
    fn u8(&mut self, v: u8) {
        self.0.push(v);
    }
    fn u16(&mut self, v: u16) {
        self.0.extend_from_slice(&v.to_le_bytes());
    }
    fn u32(&mut self, v: u32) {
        self.0.extend_from_slice(&v.to_le_bytes());
    }
    fn u64(&mut self, v: u64) {
        self.0.extend_from_slice(&v.to_le_bytes());
    }
    fn bytes(&mut self, v: &[u8]) {
        self.u32(v.len() as u32);
        self.0.extend_from_slice(v);
    }
    fn list(&mut self, v: &[Vec<u8>]) {
        self.u32(v.len() as u32);
        for item in v {
            self.bytes(item);
        }
    }
}

/// Takes values off a frame; every taking is checked against what is there.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }
    fn u8(&mut self) -> Option<u8> {
        self.chunk::<1>().map(|[b]| b)
    }
    fn u16(&mut self) -> Option<u16> {
        self.chunk().map(u16::from_le_bytes)
    }
    fn u32(&mut self) -> Option<u32> {
        self.chunk().map(u32::from_le_bytes)
    }
    fn u64(&mut self) -> Option<u64> {
        self.chunk().map(u64::from_le_bytes)
    }
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()? as usize;
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }
    fn list(&mut self) -> Option<Vec<Vec<u8>>> {
        let count = self.u32()?;
        // Each item takes at least its length: an honest count can't be larger.
        if count as usize > self.0.len() / 4 {
            return None;
        }
        (0..count).map(|_| self.bytes().map(<[u8]>::to_vec)).collect()
    }
    fn mounts(&mut self) -> Option<Vec<Mounted>> {
        let count = self.u32()?;
        // Each takes at least its numbers.
        if count as usize > self.0.len() / 21 {
            return None;
        }
        let one = |_| {
            let path = self.bytes()?.to_vec();
            Some(Mounted { path, device: self.u64()?, inode: self.u64()?, writable: self.u8()? != 0 })
        };
        (0..count).map(one).collect()
    }
    fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0).to_vec()
    }
    fn stream(&mut self) -> Option<Stream> {
        match self.u8()? {
            0 => Some(Stream::Stdin),
            1 => Some(Stream::Stdout),
            2 => Some(Stream::Stderr),
            _ => None,
        }
    }
    fn output(&mut self) -> Option<Stream> {
        self.stream().filter(|s| *s != Stream::Stdin)
    }
}

impl Message for ToGuest {
    const MAX: usize = MAX_TO_GUEST;

    fn body(&self, out: &mut Writer) {
        match self {
            Self::Launch(launch) => {
                out.u8(1);
                out.list(&launch.argv);
                out.list(&launch.env);
                out.bytes(&launch.cwd);
                match launch.stdio {
                    Stdio::Passed => out.u8(0),
                    Stdio::Framed => out.u8(1),
                    Stdio::Terminal { rows, columns } => {
                        out.u8(2);
                        out.u16(rows);
                        out.u16(columns);
                    }
                }
                out.u32(launch.grace_ms);
                out.u64(launch.watch.memory);
                out.u64(launch.watch.pids);
                out.u32(launch.watch.cpus);
                out.u8(launch.watch.network.into());
                out.u32(launch.mounts.len() as u32);
                for mount in &launch.mounts {
                    out.bytes(&mount.path);
                    out.u64(mount.device);
                    out.u64(mount.inode);
                    out.u8(mount.writable.into());
                }
            }
            Self::Signal(signal) => {
                out.u8(2);
                out.u32(*signal as u32);
            }
            Self::Resize { rows, columns } => {
                out.u8(3);
                out.u16(*rows);
                out.u16(*columns);
            }
            Self::Data(bytes) => {
                out.u8(4);
                out.0.extend_from_slice(bytes);
            }
            Self::Eof => out.u8(5),
            Self::Credit(stream, n) => {
                out.u8(6);
                out.u8(*stream as u8);
                out.u32(*n);
            }
            Self::Close(stream) => {
                out.u8(7);
                out.u8(*stream as u8);
            }
        }
    }

    fn parse(kind: u8, body: &mut Reader<'_>) -> Option<Self> {
        Some(match kind {
            1 => Self::Launch(Launch {
                argv: body.list().filter(|argv| !argv.is_empty())?,
                env: body.list()?,
                cwd: body.bytes()?.to_vec(),
                stdio: match body.u8()? {
                    0 => Stdio::Passed,
                    1 => Stdio::Framed,
                    2 => Stdio::Terminal { rows: body.u16()?, columns: body.u16()? },
                    _ => return None,
                },
                grace_ms: body.u32()?,
                watch: Watch { memory: body.u64()?, pids: body.u64()?, cpus: body.u32()?, network: body.u8()? != 0 },
                mounts: body.mounts()?,
            }),
            2 => Self::Signal(body.u32()? as i32),
            3 => Self::Resize { rows: body.u16()?, columns: body.u16()? },
            4 => Self::Data(body.rest()),
            5 => Self::Eof,
            6 => Self::Credit(body.output()?, body.u32()?),
            7 => Self::Close(body.output()?),
            _ => return None,
        })
    }
}

impl Message for FromGuest {
    const MAX: usize = MAX_FROM_GUEST;

    fn body(&self, out: &mut Writer) {
        match self {
            Self::Hello { version, boot_id } => {
                out.u8(0x81);
                out.u16(*version);
                out.bytes(boot_id.as_bytes());
            }
            Self::Started => out.u8(0x82),
            Self::Data(stream, bytes) => {
                out.u8(0x83);
                out.u8(*stream as u8);
                out.0.extend_from_slice(bytes);
            }
            Self::Eof(stream) => {
                out.u8(0x84);
                out.u8(*stream as u8);
            }
            Self::Credit(n) => {
                out.u8(0x85);
                out.u32(*n);
            }
            Self::Unreached => out.u8(0x87),
            Self::End(end, usage) => {
                out.u8(0x86);
                let (kind, value) = match *end {
                    End::Exited(code) => (0, u64::from(code)),
                    End::Signaled(signal) => (1, signal as u64),
                    End::NotStarted(errno) => (2, errno as u64),
                    End::OverMemory(bytes) => (3, bytes),
                    End::OverPids(count) => (4, count),
                    End::Changed(which) => (5, which),
                };
                out.u8(kind);
                out.u64(value);
                let Usage { memory, cpu_ms, out_of_memory, refused, periods, throttled, full } = *usage;
                for number in [memory, cpu_ms, out_of_memory, refused, periods, throttled] {
                    out.u64(number);
                }
                out.u8(full);
            }
        }
    }

    fn parse(kind: u8, body: &mut Reader<'_>) -> Option<Self> {
        Some(match kind {
            0x81 => Self::Hello { version: body.u16()?, boot_id: String::from_utf8(body.bytes()?.to_vec()).ok()? },
            0x82 => Self::Started,
            0x83 => Self::Data(body.output()?, body.rest()),
            0x84 => Self::Eof(body.output()?),
            0x85 => Self::Credit(body.u32()?),
            0x86 => {
                let end = match (body.u8()?, body.u64()?) {
                    (0, code) => End::Exited(u8::try_from(code).ok()?),
                    (1, signal) => End::Signaled(i32::try_from(signal).ok()?),
                    (2, errno) => End::NotStarted(i32::try_from(errno).ok()?),
                    (3, bytes) => End::OverMemory(bytes),
                    (4, count) => End::OverPids(count),
                    (5, which) => End::Changed(which),
                    _ => return None,
                };
                let usage = Usage {
                    memory: body.u64()?,
                    cpu_ms: body.u64()?,
                    out_of_memory: body.u64()?,
                    refused: body.u64()?,
                    periods: body.u64()?,
                    throttled: body.u64()?,
                    full: body.u8().filter(|full| full >> PLACES.len() == 0)?,
                };
                Self::End(end, usage)
            }
            0x87 => Self::Unreached,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USAGE: Usage =
        Usage { memory: 1 << 40, cpu_ms: 2, out_of_memory: 3, refused: 4, periods: 5, throttled: 6, full: 0b11111 };

    fn launch() -> Launch {
        Launch {
            argv: vec![b"/bin/x".to_vec(), b"".to_vec(), b"\xff\n".to_vec()],
            env: vec![b"A=b".to_vec()],
            cwd: b"/state".to_vec(),
            stdio: Stdio::Terminal { rows: 24, columns: 80 },
            grace_ms: 2000,
            watch: Watch { memory: 1, pids: 2, cpus: 3, network: true },
            mounts: vec![Mounted { path: b"/x".to_vec(), device: 1, inode: u64::MAX, writable: true }],
        }
    }

    fn both_ways<M: Message + PartialEq + fmt::Debug>(message: M) {
        let bytes = message.encode();
        for cut in 0..bytes.len() {
            let mut inbox = Inbox::default();
            inbox.push(&bytes[..cut]);
            assert_eq!(inbox.take::<M>(), Ok(None));
            inbox.push(&bytes[cut..]);
            assert_eq!(inbox.take::<M>().expect("whole").as_ref(), Some(&message));
            assert_eq!(inbox.take::<M>(), Ok(None));
        }
    }

    #[test]
    fn every_message_survives_any_cut() {
        both_ways(ToGuest::Launch(launch()));
        both_ways(ToGuest::Signal(15));
        both_ways(ToGuest::Resize { rows: 1, columns: 2 });
        both_ways(ToGuest::Data(vec![0, 255, 10]));
        both_ways(ToGuest::Eof);
        both_ways(ToGuest::Credit(Stream::Stderr, 7));
        both_ways(ToGuest::Close(Stream::Stdout));
        both_ways(FromGuest::Hello { version: 1, boot_id: "x".into() });
        both_ways(FromGuest::Started);
        both_ways(FromGuest::Data(Stream::Stdout, b"y".to_vec()));
        both_ways(FromGuest::Eof(Stream::Stderr));
        both_ways(FromGuest::Credit(9));
        both_ways(FromGuest::Unreached);
        for end in [
            End::Exited(255),
            End::Signaled(9),
            End::NotStarted(2),
            End::OverMemory(1 << 40),
            End::OverPids(3),
            End::Changed(7),
        ] {
            both_ways(FromGuest::End(end, USAGE));
        }
    }

    #[test]
    fn refuses_what_is_too_long_before_reading_it() {
        let mut inbox = Inbox::default();
        inbox.push(&u32::MAX.to_le_bytes());
        assert_eq!(inbox.take::<FromGuest>(), Err(Malformed::TooLong(u32::MAX as usize)));
        let mut inbox = Inbox::default();
        inbox.push(&0u32.to_le_bytes());
        assert!(inbox.take::<FromGuest>().is_err());
    }

    #[test]
    fn refuses_other_types_bodies_and_trailing_bytes() {
        for frame in [
            &[1, 0, 0, 0, 1][..],                            // a launch is not for the shim
            &[2, 0, 0, 0, 0x82, 0],                          // trailing byte
            &[2, 0, 0, 0, 0x84, 0],                          // end of a stream that only goes in
            &[2, 0, 0, 0, 0x84, 3],                          // no such stream
            &[10, 0, 0, 0, 0x86, 0, 0, 1, 0, 0, 0, 0, 0, 0], // no usage
            &ending(256, 0),                                 // no such status
            &ending(0, 1 << 5),                              // no such place
        ] {
            let mut inbox = Inbox::default();
            inbox.push(frame);
            assert_eq!(inbox.take::<FromGuest>(), Err(Malformed::Body(frame[4])), "{frame:?}");
        }
    }

    /// The frame of a program's end with this status, and with these places full.
    fn ending(status: u64, full: u8) -> Vec<u8> {
        let mut frame = FromGuest::End(End::Exited(0), USAGE).encode();
        frame[6..14].copy_from_slice(&status.to_le_bytes());
        *frame.last_mut().expect("not empty") = full;
        frame
    }

    #[test]
    fn a_false_count_allocates_nothing() {
        let mut frame = vec![5, 0, 0, 0, 1];
        frame.extend_from_slice(&u32::MAX.to_le_bytes());
        let mut inbox = Inbox::default();
        inbox.push(&frame);
        assert_eq!(inbox.take::<ToGuest>(), Err(Malformed::Body(1)));
    }
}
