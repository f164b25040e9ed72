//! Executing a start: the engine makes the box, the link carries everything else, and this
//! process stays as the program's parent until it ends.

pub mod keeper;
mod link;
mod signals;
mod start;
mod stdio;
pub mod strays;
mod terminal;

use std::io::{PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use jitbox_guest::protocol::{End, FromGuest, Launch, MAX_DATA, Stdio, Stream, ToGuest, Usage, WINDOW};
use nix::libc;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::engine::Engine;
use crate::engine::caps::Carrier;
use crate::error::{Error, Kind, Result};
use crate::policy::Decided;
use crate::policy::paths::{Id, id_of};
use crate::state::{Layout, runs};
use keeper::Keeper;
use link::{Receiver, Sender};
pub use start::clearing;
use stdio::{Streams, Writer};
use terminal::Terminal;

/// An MCP server has this long between the end of its input and SIGTERM …
const EOF_TERM: Duration = Duration::from_millis(1100);
/// … or this long, if its input had ended before it began: whoever asks like that, as in
/// `printf … | npx-safe …`, is no client that went away, but waits for what a slow start may delay …
const ASKED_AT_ONCE: Duration = Duration::from_secs(30);
/// … and this long until SIGKILL: clients send a SIGTERM of their own after 2 s.
const EOF_KILL: Duration = Duration::from_millis(1700);
/// An MCP server has this long between SIGTERM, SIGINT or SIGHUP and SIGKILL.
const TERM_KILL: Duration = Duration::from_millis(750);
/// A box that does not even answer SIGKILL is removed by the engine after this.
const KILL_REMOVE: Duration = Duration::from_secs(2);

/// What to start and how to treat it.
pub struct Job<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// Our files.
    pub layout: &'a Layout,
    /// The container; its name and way of starting are filled in here.
    pub plan: Decided,
    /// The program; its standard streams are filled in here.
    pub launch: Launch,
    /// Which way the link goes.
    pub carrier: Carrier,
    /// It is an MCP server: it ends when its input ends.
    pub mcp: bool,
    /// It gets a terminal of its own.
    pub terminal: bool,
    /// It is ended when its streams have been silent for so long. Not on a terminal.
    pub idle: Option<Duration>,
    /// Is done when somebody in the box tried to reach a network, and there is none.
    pub unreached: &'a dyn Fn(),
}

/// How a start went.
#[derive(Debug)]
pub struct Outcome {
    /// How the program ended.
    pub end: End,
    /// What it used.
    pub usage: Usage,
    /// It was ended because its streams were silent.
    pub idle: bool,
    /// The boot id of the kernel that it ran in.
    pub boot_id: String,
}

/// Starts the box on our own standard streams and stays until it ends.
pub fn run(job: Job<'_>) -> Result<Outcome> {
    on_runtime(async {
        let streams = Streams::inherited()?;
        Supervisor::start(job, streams).await?.stay().await
    })
}

/// Starts the box with nothing on its input, and `output` as its output.
pub fn run_into(job: Job<'_>, output: OwnedFd) -> Result<Outcome> {
    on_runtime(async {
        let own = Streams::inherited()?;
        let null = std::fs::File::open("/dev/null").map_err(|e| Error::failed("can't read nothing").because(e))?;
        Supervisor::start(job, Streams { stdin: null.into(), stdout: output, ..own }).await?.stay().await
    })
}

/// How much is kept of what a program says on its standard error: the end of it.
const SAID: usize = 64 << 10;

/// How it went with a program that was talked to.
pub struct Talked<T> {
    /// How the box ended; none if it took too long, and was ended.
    pub outcome: Option<Outcome>,
    /// What came of the talk.
    pub talk: T,
    /// The last that the program said on its standard error.
    pub said: Vec<u8>,
}

/// Starts the box with nothing on its input, and collects at most `limit` bytes of its output. It
/// is ended if it takes longer than `patience`.
pub fn capture(job: Job<'_>, limit: usize, patience: Duration) -> Result<(Outcome, Vec<u8>)> {
    use std::io::Read;
    let talked = converse(job, patience, move |input, output| {
        drop(input);
        let mut bytes = Vec::new();
        let _ = output.take(limit as u64).read_to_end(&mut bytes);
        bytes
    })?;
    let late = || Error::failed(format!("the box did not end within {} s", patience.as_secs()));
    Ok((talked.outcome.ok_or_else(late)?, talked.talk))
}

/// Starts the box and has `talk` write its input and read its output. It is ended if it takes longer than `patience`;
/// both ends are closed then.
pub fn converse<T: Default + Send + 'static>(
    job: Job<'_>,
    patience: Duration,
    talk: impl FnOnce(PipeWriter, PipeReader) -> T + Send + 'static,
) -> Result<Talked<T>> {
    on_runtime(async {
        let doing = |e: std::io::Error| Error::failed("can't make a pipe").because(e);
        let (stdin, input) = std::io::pipe().map_err(doing)?;
        let (output, stdout) = std::io::pipe().map_err(doing)?;
        let (words, stderr) = std::io::pipe().map_err(doing)?;
        let streams = Streams { stdin: stdin.into(), stdout: stdout.into(), stderr: stderr.into() };
        let talker = std::thread::spawn(move || talk(input, output));
        let listener = std::thread::spawn(move || last_of(words));
        let supervisor = Supervisor::start(job, streams).await?;
        let outcome = tokio::time::timeout(patience, supervisor.stay()).await.ok().transpose()?;
        let (talk, said) = (talker.join().unwrap_or_default(), listener.join().unwrap_or_default());
        Ok(Talked { outcome, talk, said })
    })
}

fn last_of(mut words: PipeReader) -> Vec<u8> {
    use std::io::Read;
    let (mut said, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(n @ 1..) = words.read(&mut buffer) {
        said.extend_from_slice(&buffer[..n]);
        said.drain(..said.len().saturating_sub(SAID));
    }
    said
}

fn on_runtime<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Error::failed("can't start supervising").because(e))?;
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

struct Supervisor<'a> {
    engine: &'a Engine,
    name: String,
    sender: Sender,
    receiver: Receiver,
    signals: signals::Signals,
    mcp: bool,
    /// For how long its streams may be silent, until that was too long.
    idle: Option<Duration>,
    silenced: bool,
    last_byte: Instant,
    boot_id: String,
    unreached: &'a dyn Fn(),
    /// That has happened, and is to be told when the terminal is as it was.
    missed: bool,
    streams: Streams,
    /// Chunks of our input, on the stream carrier.
    input: Option<mpsc::Receiver<Vec<u8>>>,
    credit: u32,
    /// Tells when an input that was handed over has ended.
    ended: Option<mpsc::Receiver<()>>,
    input_has_ended: bool,
    /// The input had ended before the program began.
    asked_at_once: bool,
    outputs: [Option<Writer>; 2],
    /// Threads that copy output, on the local carrier.
    copies: Vec<std::thread::JoinHandle<()>>,
    terminal: Option<Terminal>,
    /// When to do the next, harder thing to a program that does not end.
    due: Option<(Instant, Harder)>,
    client: start::Client,
    keeper: Option<Keeper>,
    /// The program gets our own descriptors.
    passed: bool,
    /// An input that we have to copy, until the program runs.
    waiting_input: Option<stdio::Input>,
    /// The program has been started.
    begun: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Harder {
    Term,
    Kill,
    Remove,
}

impl<'a> Supervisor<'a> {
    async fn start(mut job: Job<'a>, streams: Streams) -> Result<Self> {
        // Signals count from here on: one that comes while the engine starts the box is
        // delivered as soon as there is somebody to get it.
        let signals = signals::Signals::new()?;
        let idle = job.idle.filter(|_| !job.terminal);
        // Whoever is to hear silence has to have the bytes pass through its hands.
        let passed = matches!(job.carrier, Carrier::Local(_)) && idle.is_none();
        let started = start::start(&mut job).await?;
        let mut supervisor = Self {
            engine: job.engine,
            name: started.name,
            sender: started.sender,
            receiver: started.receiver,
            signals,
            mcp: job.mcp,
            idle,
            silenced: false,
            last_byte: Instant::now(),
            boot_id: started.boot_id,
            unreached: job.unreached,
            missed: false,
            input: None,
            credit: WINDOW,
            ended: None,
            input_has_ended: false,
            asked_at_once: false,
            outputs: [None, None],
            copies: Vec::new(),
            terminal: None,
            due: None,
            client: started.client,
            keeper: started.keeper,
            passed,
            waiting_input: None,
            begun: false,
            streams,
        };
        supervisor.check_mounts(&mut job)?;
        supervisor.launch(job.launch, job.terminal)?;
        Ok(supervisor)
    }

    /// The guest compares what is mounted with what was looked at, where the two have numbers
    /// from one kernel. From another one, only a name that leads elsewhere by now is noticed.
    fn check_mounts(&self, job: &mut Job<'_>) -> Result<()> {
        if self.boot_id == runs::host_boot_id() && !self.boot_id.is_empty() {
            return Ok(());
        }
        let seen = std::mem::take(&mut job.launch.mounts);
        let sources = job.plan.plan().mounts.iter().map(|mount| &mount.source);
        let changed = sources
            .zip(seen)
            .find(|(source, seen)| id_of(source) != Some(Id { device: seen.device, inode: seen.inode }));
        changed.map_or(Ok(()), |(source, _)| Err(exchanged(source)))
    }

    fn launch(&mut self, mut launch: Launch, terminal: bool) -> Result<()> {
        let passed = self.passed;
        if terminal {
            let (rows, columns) = terminal::size(&self.streams.stdout);
            launch.stdio = Stdio::Terminal { rows, columns };
            self.terminal = Some(Terminal::raw(&self.streams.stdin)?);
        } else {
            launch.stdio = if passed { Stdio::Passed } else { Stdio::Framed };
        }
        let mut fds = Vec::new();
        if passed && !terminal {
            let handed = stdio::hand_over(&self.streams)?;
            fds = handed.fds;
            self.copies = handed.outputs;
            self.waiting_input = handed.input;
        }
        if self.mcp && !terminal {
            self.ended = Some(stdio::watch_for_end(&self.streams.stdin)?);
        }
        if !passed {
            self.input = Some(stdio::read_chunks(&self.streams.stdin)?);
            self.outputs = [
                Some(Writer::new(&self.streams.stdout, Stream::Stdout, self.sender.clone())?),
                Some(Writer::new(&self.streams.stderr, Stream::Stderr, self.sender.clone())?),
            ];
        }
        self.sender.send_with(&ToGuest::Launch(launch), fds);
        Ok(())
    }

    async fn stay(mut self) -> Result<Outcome> {
        // Whatever an engine loses on the way: a box that never starts its program is none.
        let started_by = Instant::now() + start::START_LIMIT;
        let end = loop {
            let silent = self.idle.map(|idle| self.last_byte + idle);
            let due = self.due.map_or_else(|| Instant::now() + Duration::from_secs(3600), |(at, _)| at);
            tokio::select! {
                message = self.receiver.receive() => match message? {
                    Some(message) => if let Some(end) = self.hear(message)? {
                        break Some(end);
                    },
                    None => break None,
                },
                signal = self.signals.next() => self.signal(signal),
                Some(chunk) = next_of(&mut self.input), if self.credit >= MAX_DATA as u32 => self.feed(chunk),
                Some(()) = next_of(&mut self.ended) => self.input_ended(),
                () = sleep_until(due), if self.due.is_some() => self.harder().await?,
                () = sleep_until(started_by), if !self.begun => {
                    start::remove(self.engine, &self.name).await;
                    return Err(start::slow());
                }
                () = sleep_until(silent.unwrap_or(due)), if silent.is_some() => self.fall_silent(),
            }
        };
        let Some((end, usage)) = end else {
            return Err(self.lost().await);
        };
        if self.input.is_none() {
            // The last of the terminal's output comes from a thread, which ends with the box.
            self.copies.extend(self.terminal.as_mut().and_then(Terminal::take_reader));
        }
        for copy in self.copies.drain(..) {
            let _ = copy.join();
        }
        for writer in self.outputs.iter_mut().filter_map(Option::take) {
            writer.finish();
        }
        drop(self.terminal.take());
        if self.missed {
            (self.unreached)();
        }
        if let Some(keeper) = self.keeper.take() {
            keeper.finish();
        }
        Ok(Outcome { end, usage, idle: self.silenced, boot_id: self.boot_id })
    }

    /// What the box says.
    fn hear(&mut self, message: FromGuest) -> Result<Option<(End, Usage)>> {
        let broken = || Error::failed("the box broke the link's protocol and was ended");
        match message {
            FromGuest::Started => {
                self.begun = true;
                self.asked_at_once = stdio::writer_is_gone(&self.streams.stdin);
                if self.input_has_ended {
                    self.due_for_input();
                }
                self.waiting_input.take().into_iter().for_each(stdio::Input::copy);
                let master = self.receiver.take_descriptor();
                match (&mut self.terminal, master) {
                    (Some(terminal), Some(master)) => terminal.attach(master, &self.streams)?,
                    (Some(_), None) if self.passed => {
                        return Err(Error::new(Kind::Engine, "the box could not pass its terminal out"));
                    }
                    _ => {}
                }
            }
            FromGuest::Data(stream, bytes) => {
                self.last_byte = Instant::now();
                let writer = self.outputs[stream as usize - 1].as_ref().ok_or_else(broken)?;
                if bytes.is_empty() || !writer.write(bytes) {
                    return Err(broken().because("more output than it had credit for"));
                }
            }
            // The writer goes on until its queue is empty.
            FromGuest::Eof(_) => {}
            FromGuest::Credit(n) => self.credit = self.credit.saturating_add(n).min(WINDOW),
            FromGuest::Unreached if self.terminal.is_some() => self.missed = true,
            FromGuest::Unreached => (self.unreached)(),
            FromGuest::End(end, usage) => return Ok(Some((end, usage))),
            FromGuest::Hello { .. } => return Err(broken()),
        }
        Ok(None)
    }

    fn signal(&mut self, signal: i32) {
        if signal == libc::SIGWINCH {
            if self.terminal.is_some() {
                let (rows, columns) = terminal::size(&self.streams.stdout);
                self.sender.send(&ToGuest::Resize { rows, columns });
            }
            return;
        }
        self.sender.send(&ToGuest::Signal(signal));
        let ends = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP].contains(&signal);
        if self.mcp && ends {
            self.due_in(TERM_KILL, Harder::Kill);
        }
    }

    fn feed(&mut self, chunk: Vec<u8>) {
        self.last_byte = Instant::now();
        if chunk.is_empty() {
            self.input = None;
            self.sender.send(&ToGuest::Eof);
            self.input_ended();
        } else {
            self.credit -= chunk.len() as u32;
            self.sender.send(&ToGuest::Data(chunk));
        }
    }

    /// An MCP server without input has nobody to serve; a plain command may work on for hours.
    fn input_ended(&mut self) {
        self.ended = None;
        if self.mcp && self.terminal.is_none() && !std::mem::replace(&mut self.input_has_ended, true) && self.begun {
            self.due_for_input();
        }
    }

    fn due_for_input(&mut self) {
        self.due_in(if self.asked_at_once { ASKED_AT_ONCE } else { EOF_TERM }, Harder::Term);
    }

    /// Nothing has come or gone for too long.
    fn fall_silent(&mut self) {
        self.idle = None;
        self.silenced = true;
        self.due_in(Duration::ZERO, Harder::Term);
    }

    /// The sooner of two reasons counts.
    fn due_in(&mut self, wait: Duration, harder: Harder) {
        let at = Instant::now() + wait;
        if self.due.is_none_or(|(due, _)| at < due) {
            self.due = Some((at, harder));
        }
    }

    async fn harder(&mut self) -> Result<()> {
        match self.due.take() {
            Some((_, Harder::Term)) => {
                self.sender.send(&ToGuest::Signal(libc::SIGTERM));
                self.due_in(EOF_KILL - EOF_TERM, Harder::Kill);
            }
            Some((_, Harder::Kill)) => {
                self.sender.send(&ToGuest::Signal(libc::SIGKILL));
                self.due_in(KILL_REMOVE, Harder::Remove);
            }
            Some((_, Harder::Remove)) => {
                start::remove(self.engine, &self.name).await;
                return Err(Error::failed("the box did not end and was removed"));
            }
            None => {}
        }
        Ok(())
    }

    /// The link is gone without a word of how the program ended.
    async fn lost(mut self) -> Error {
        drop(self.terminal.take());
        let words = self.client.last_words().await;
        start::remove(self.engine, &self.name).await;
        // Before the program runs it is the engine that failed: another way may be tried.
        let error = match self.begun {
            true => Error::failed("the box was ended from outside"),
            false => Error::new(Kind::Engine, "the box was gone before the program started"),
        };
        let error = if words.is_empty() { error } else { error.because(words) };
        error.hint("jitbox doctor")
    }
}

/// The failure when a path was not what it had been when it was decided that the program gets it.
pub fn exchanged(path: &Path) -> Error {
    Error::refused(format!("`{}` became something else while the box was started", path.display()))
        .because("somebody exchanged it, or its name")
        .hint("nothing was run; look who can write in the folder above it, and start again")
}

/// The next item, or never.
async fn next_of<T>(channel: &mut Option<mpsc::Receiver<T>>) -> Option<T> {
    match channel {
        Some(channel) => channel.recv().await,
        None => std::future::pending().await,
    }
}
