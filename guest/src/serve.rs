//! The guest's one loop.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use jitbox_guest::protocol::{End, FromGuest, Launch, MAX_DATA, Stdio, Stream, ToGuest, Usage, VERSION, WINDOW, Watch};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, pipe2};

use crate::child;
use crate::hold::Hold;
use crate::link::Link;
use crate::network::Lookout;
use crate::{mounts, usage, watch};

/// How long the other side may take to read how the program ended.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Signals that somebody outside may send to the box's PID 1; they are the program's.
const FORWARDED: [Signal; 6] =
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGUSR2];

/// Receives the launch and sees it through. Returns the status that the engine is to see.
pub fn serve(mut link: Link) -> Result<u8, String> {
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGCHLD);
    FORWARDED.iter().for_each(|signal| mask.add(*signal));
    mask.thread_block().map_err(|e| format!("can't block signals: {e}"))?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .map_err(|e| format!("can't receive signals: {e}"))?;
    // Orphans come to PID 1 by themselves; outside a PID namespace (tests) they have to be asked for.
    let _ = nix::sys::prctl::set_child_subreaper(true);

    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    link.send(&FromGuest::Hello { version: VERSION, boot_id: boot_id.trim().to_owned() });
    let Some(launch) = receive_launch(&mut link)? else {
        return Ok(0);
    };
    if let Some(which) = mounts::changed(&launch.mounts) {
        link.send(&FromGuest::End(End::Changed(which), Usage::default()));
        link.wait_until_read(LAST_WORDS);
        return Ok(126);
    }
    match Program::start(&mut link, &launch)? {
        Ok(program) => program.run(link, &signals),
        Err(errno) => {
            link.send(&FromGuest::End(End::NotStarted(errno), Usage::default()));
            link.wait_until_read(LAST_WORDS);
            Ok(127)
        }
    }
}

fn receive_launch(link: &mut Link) -> Result<Option<Launch>, String> {
    loop {
        match link.take()? {
            Some(ToGuest::Launch(launch)) => return Ok(Some(launch)),
            Some(_) => return Err("the first message is not a launch".into()),
            None if link.read() => {}
            None => return Ok(None),
        }
    }
}

/// A running program and the ends of its pipes that we hold.
struct Program {
    leader: Pid,
    terminal: Option<OwnedFd>,
    input: Option<File>,
    /// Bytes for the program that its pipe had no room for.
    pending: Vec<u8>,
    /// No more input will come: close when `pending` is written.
    closing: bool,
    outputs: [Option<(Stream, File, u32)>; 2],
    watch: Watch,
    /// When to look whether the limits are kept.
    next_look: Instant,
    /// Keeps the box to its processors.
    hold: Option<Hold>,
    /// Looks whether somebody tries to reach a network, until somebody did.
    lookout: Option<Lookout>,
    /// The most memory that a look has found.
    most_memory: u64,
    grace: Duration,
    /// The leader's end, once it has been reaped.
    end: Option<End>,
    /// When everything is ended because the link dropped.
    deadline: Option<Instant>,
}

impl Program {
    fn start(link: &mut Link, launch: &Launch) -> Result<Result<Self, i32>, String> {
        let os = |e: nix::Error| format!("can't make a pipe: {e}");
        let mut program = Self {
            leader: Pid::from_raw(0),
            terminal: None,
            input: None,
            pending: Vec::new(),
            closing: false,
            outputs: [None, None],
            watch: launch.watch,
            next_look: Instant::now(),
            hold: Hold::to(launch.watch.cpus),
            lookout: launch.watch.network.then(Lookout::new),
            most_memory: 0,
            grace: Duration::from_millis(launch.grace_ms.into()),
            end: None,
            deadline: None,
        };
        let mut master_out = None;
        let started = match launch.stdio {
            Stdio::Passed => {
                let fds = link.take_stdio().ok_or("a launch without its descriptors")?;
                child::start(launch, fds)
            }
            Stdio::Framed => {
                let (stdin, ours) = pipe2(OFlag::O_CLOEXEC).map_err(os)?;
                let (out, stdout) = pipe2(OFlag::O_CLOEXEC).map_err(os)?;
                let (err, stderr) = pipe2(OFlag::O_CLOEXEC).map_err(os)?;
                program.input = Some(nonblocking(ours)?);
                program.outputs = [
                    Some((Stream::Stdout, nonblocking(out)?, WINDOW)),
                    Some((Stream::Stderr, nonblocking(err)?, WINDOW)),
                ];
                child::start(launch, [stdin, stdout, stderr])
            }
            Stdio::Terminal { rows, columns } => {
                let size = child::window(rows, columns);
                let pty = nix::pty::openpty(&size, None).map_err(|e| format!("can't make a terminal: {e}"))?;
                for end in [&pty.master, &pty.slave] {
                    fcntl(end, FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC)).map_err(os)?;
                }
                let copy = || pty.master.try_clone().map_err(|e| e.to_string());
                if link.passes_descriptors() {
                    master_out = Some(copy()?);
                } else {
                    program.input = Some(nonblocking(copy()?)?);
                    program.outputs[0] = Some((Stream::Stdout, nonblocking(copy()?)?, WINDOW));
                }
                let started = child::start_on_terminal(launch, pty.slave);
                program.terminal = Some(pty.master);
                started
            }
        };
        program.leader = match started {
            Ok(leader) => leader,
            Err(errno) => return Ok(Err(errno)),
        };
        match master_out {
            Some(master) => link.send_with(&FromGuest::Started, master.as_fd()),
            None => link.send(&FromGuest::Started),
        };
        Ok(Ok(program))
    }

    fn run(mut self, mut link: Link, signals: &SignalFd) -> Result<u8, String> {
        loop {
            self.reap();
            if self.end.is_some() && (self.deadline.is_some() || self.outputs.iter().all(Option::is_none)) {
                break;
            }
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.kill_everything();
                break;
            }
            // Before waiting: what came in one piece with the launch is in our hands already.
            while let Some(message) = link.take()? {
                self.obey(message);
            }
            self.feed(&mut link);
            let ready = self.wait(&link, signals)?;
            if ready.signals {
                self.forward(signals);
            }
            if ready.link && !link.read() {
                self.link_dropped();
            }
            self.collect(&mut link, ready.outputs);
            self.look();
            if let Some(hold) = &mut self.hold {
                hold.look();
            }
            self.look_out(&mut link, false);
        }
        self.look_out(&mut link, true);
        let end = self.end.unwrap_or(End::Signaled(Signal::SIGKILL as i32));
        let mut used = usage::of_the_box(self.most_memory);
        if let Some(hold) = &self.hold {
            hold.tell(&mut used);
        }
        link.send(&FromGuest::End(end, used));
        link.wait_until_read(LAST_WORDS);
        Ok(match end {
            End::Exited(code) => code,
            End::Signaled(signal) => 128u8.wrapping_add(signal as u8),
            End::NotStarted(_) => 127,
            End::Changed(_) => 126,
            End::OverMemory(_) | End::OverPids(_) => 137,
        })
    }

    /// Reaps whatever has ended. With its leader gone the box is over: what is left is killed,
    /// so that nobody keeps the output pipes open.
    fn reap(&mut self) {
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            let (pid, end) = match status {
                WaitStatus::Exited(pid, code) => (pid, End::Exited(code as u8)),
                WaitStatus::Signaled(pid, signal, _) => (pid, End::Signaled(signal as i32)),
                WaitStatus::StillAlive => break,
                _ => continue,
            };
            if pid == self.leader {
                self.end.get_or_insert(end);
                self.kill_everything();
            }
        }
    }

    /// Looks whether the limits are kept that only we keep; a look reads all of /proc.
    fn look(&mut self) {
        if self.end.is_some() || !self.watch.ends() || Instant::now() < self.next_look {
            return;
        }
        self.next_look = Instant::now() + watch::INTERVAL;
        let seen = watch::look();
        self.most_memory = self.most_memory.max(seen.memory);
        if let Some(over) = seen.over(self.watch) {
            self.kill_everything();
            self.end = Some(over);
        }
    }

    fn look_out(&mut self, link: &mut Link, last: bool) {
        if self.lookout.as_mut().is_some_and(|lookout| lookout.found(last)) {
            self.lookout = None;
            link.send(&FromGuest::Unreached);
        }
    }

    fn kill_everything(&self) {
        if getpid().as_raw() == 1 {
            let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
        } else {
            let _ = killpg(self.leader, Signal::SIGKILL);
        }
    }

    fn link_dropped(&mut self) {
        if self.deadline.is_none() {
            self.deadline = Some(Instant::now() + self.grace);
            self.signal(Signal::SIGTERM);
            // A stopped program can't act on SIGTERM.
            if let Some(mut hold) = self.hold.take() {
                hold.release();
            }
            self.signal(Signal::SIGCONT);
        }
    }

    fn signal(&self, signal: Signal) {
        if self.end.is_none() {
            let _ = killpg(self.leader, signal);
        }
    }

    fn forward(&self, signals: &SignalFd) {
        while let Ok(Some(info)) = signals.read_signal() {
            match Signal::try_from(info.ssi_signo as i32) {
                Ok(signal) if signal != Signal::SIGCHLD => self.signal(signal),
                _ => {}
            }
        }
    }

    fn obey(&mut self, message: ToGuest) {
        match message {
            ToGuest::Signal(number) => {
                if let Ok(signal) = Signal::try_from(number) {
                    self.signal(signal);
                }
            }
            ToGuest::Resize { rows, columns } => {
                if let Some(terminal) = &self.terminal {
                    child::resize(terminal, rows, columns);
                    // Linux says so itself (ioctl_tty(2)) and merges the two; gVisor does not.
                    self.signal(Signal::SIGWINCH);
                }
            }
            ToGuest::Data(bytes) if self.input.is_some() => self.pending.extend_from_slice(&bytes),
            ToGuest::Eof => self.closing = true,
            ToGuest::Credit(stream, n) => {
                for (_, _, credit) in self.outputs.iter_mut().flatten().filter(|(s, ..)| *s == stream) {
                    *credit = credit.saturating_add(n);
                }
            }
            ToGuest::Close(stream) => {
                for slot in &mut self.outputs {
                    slot.take_if(|(s, ..)| *s == stream);
                }
            }
            ToGuest::Data(_) | ToGuest::Launch(_) => {}
        }
    }

    /// Gives the program its input, as far as its pipe takes it.
    fn feed(&mut self, link: &mut Link) {
        let Some(input) = &mut self.input else {
            return;
        };
        let mut written = 0;
        let mut broken = false;
        while written < self.pending.len() {
            match input.write(&self.pending[written..]) {
                Ok(n) => written += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => {
                    broken = e.kind() != ErrorKind::WouldBlock;
                    break;
                }
            }
        }
        self.pending.drain(..written);
        if broken {
            // Nobody reads: what is still coming is thrown away, as a closed pipe would.
            written += std::mem::take(&mut self.pending).len();
        }
        if written > 0 {
            link.send(&FromGuest::Credit(written as u32));
        }
        if broken || (self.closing && self.pending.is_empty()) {
            self.input = None;
        }
    }

    /// Sends what the program has written, as far as there is credit.
    fn collect(&mut self, link: &mut Link, ready: [bool; 2]) {
        for (slot, ready) in self.outputs.iter_mut().zip(ready) {
            let Some((stream, file, credit)) = slot else {
                continue;
            };
            if !ready || *credit == 0 {
                continue;
            }
            let mut buffer = [0; MAX_DATA];
            let room = MAX_DATA.min(*credit as usize);
            match file.read(&mut buffer[..room]) {
                Ok(n) if n > 0 => {
                    *credit -= n as u32;
                    link.send(&FromGuest::Data(*stream, buffer[..n].to_vec()));
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                // End of file; a terminal whose last process is gone says EIO (pty(7)).
                _ => {
                    link.send(&FromGuest::Eof(*stream));
                    *slot = None;
                }
            }
        }
    }

    fn wait(&self, link: &Link, signals: &SignalFd) -> Result<Ready, String> {
        let mut fds = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        let mut link_at = None;
        if self.deadline.is_none() {
            link_at = Some(fds.len());
            fds.push(PollFd::new(link.readable(), PollFlags::POLLIN));
        }
        let mut outputs_at = [None, None];
        for (slot, at) in self.outputs.iter().zip(&mut outputs_at) {
            if let Some((_, file, credit)) = slot
                && *credit > 0
            {
                *at = Some(fds.len());
                fds.push(PollFd::new(file.as_fd(), PollFlags::POLLIN));
            }
        }
        if let Some(input) = &self.input
            && !self.pending.is_empty()
        {
            fds.push(PollFd::new(input.as_fd(), PollFlags::POLLOUT));
        }
        match poll(&mut fds, self.timeout()) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(e) => return Err(format!("can't wait: {e}")),
        }
        let at = |index: Option<usize>| index.is_some_and(|i| fds[i].any().unwrap_or(false));
        Ok(Ready { signals: at(Some(0)), link: at(link_at), outputs: outputs_at.map(at) })
    }

    fn timeout(&self) -> PollTimeout {
        let look = self.watch.ends().then_some(self.next_look);
        let hold = self.hold.as_ref().map(Hold::next);
        let look_out = self.lookout.as_ref().map(Lookout::next);
        let next = self.deadline.or_else(|| [look, hold, look_out].into_iter().flatten().min());
        next.map_or(PollTimeout::NONE, |next| {
            let left = next.saturating_duration_since(Instant::now());
            PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX)
        })
    }
}

/// What poll(2) found.
struct Ready {
    signals: bool,
    link: bool,
    outputs: [bool; 2],
}

/// Only our own end of a pipe is changed: each end is an open file description of its own.
fn nonblocking(fd: OwnedFd) -> Result<File, String> {
    fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(|e| format!("can't set O_NONBLOCK: {e}"))?;
    Ok(File::from(fd))
}
