//! The only place that starts processes.
//!
//! One type holds the program, its arguments and its whole environment, so that what is shown
//! and what is run cannot differ. Environment values are never shown.

mod running;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::context::own_path;
use crate::engine::Engine;
use crate::error::{Doing, Error, Kind, Result};

pub use running::Running;

/// How much of a program's complaints is kept.
const MAX_OUTPUT: usize = 64 << 10;

/// How much a command may say; the largest that is asked for is a wheel.
const MAX_ANSWER: u64 = 400 << 20;

/// The number under which an inherited link is known inside.
pub const LINK_FD: RawFd = 3;

/// A command that can be shown and run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cmd {
    program: PathBuf,
    args: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

impl Cmd {
    /// A command of `engine`'s; `args` come from [`crate::engine::argv`].
    pub fn engine(engine: &Engine, args: Vec<OsString>) -> Self {
        Self { program: engine.program.clone(), args, environment: engine.environment.clone() }
    }

    /// Any other program, with this environment and nothing else.
    pub fn new(program: &Path, args: Vec<OsString>, environment: Vec<(OsString, OsString)>) -> Self {
        Self { program: program.to_owned(), args, environment }
    }

    /// The running program itself: by its open file where that can be named, so that an upgrade in the meantime does
    /// not matter.
    pub fn own(args: Vec<OsString>, environment: Vec<(OsString, OsString)>) -> Result<Self> {
        let open = Path::new("/proc/self/exe");
        let program = if open.exists() { open.to_owned() } else { own_path()? };
        Ok(Self::new(&program, args, environment))
    }

    /// The command as a person would type it.
    pub fn show(&self) -> String {
        let words = std::iter::once(self.program.as_os_str()).chain(self.args.iter().map(OsString::as_os_str));
        shell_words::join(words.map(OsStr::to_string_lossy))
    }

    /// The program and its arguments.
    pub fn argv(&self) -> Vec<String> {
        let words = std::iter::once(self.program.as_os_str()).chain(self.args.iter().map(OsString::as_os_str));
        words.map(|w| w.to_string_lossy().into_owned()).collect()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that spawns")]
    fn command(&self) -> Command {
        tracing::debug!(command = self.show(), "start");
        let mut command = Command::new(&self.program);
        command.args(&self.args).env_clear().envs(self.environment.iter().cloned());
        // A group of its own: a terminal's Ctrl-C is for the program in the box, which gets it
        // over the link; the engine's client must not react to it by itself.
        command.process_group(0);
        command
    }

    /// Starts it with nothing on its standard streams but `words` for its complaints, and with
    /// `link` as descriptor [`LINK_FD`] if there is one.
    pub fn start_quiet(&self, link: Option<OwnedFd>, words: Stdio) -> Result<tokio::process::Child> {
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(words);
        if let Some(link) = link {
            pass_as(&mut command, link, LINK_FD);
        }
        self.spawned(tokio::process::Command::from(command).spawn())
    }

    /// Starts it with pipes on all its standard streams.
    pub fn start_piped(&self) -> Result<tokio::process::Child> {
        let mut command = self.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.spawned(tokio::process::Command::from(command).spawn())
    }

    /// Starts it under `name`, with `held` as its standard input and a pipe as its standard output.
    pub fn start_own(&self, name: &str, held: OwnedFd) -> Result<std::process::Child> {
        let mut command = self.command();
        command.arg0(name);
        command.stdin(Stdio::from(held)).stdout(Stdio::piped()).stderr(Stdio::null());
        self.spawned(command.spawn())
    }

    /// The same command with more environment.
    #[must_use]
    pub fn with_environment(mut self, more: Vec<(OsString, OsString)>) -> Self {
        self.environment.extend(more);
        self
    }

    /// Runs it to its end within `limit`, with `input` on its standard input.
    pub fn output(&self, input: &[u8], limit: Duration) -> Result<Output> {
        self.output_of(input, limit, |_| {})
    }

    /// The same; `started` learns the number of its process group.
    pub fn output_of(&self, input: &[u8], limit: Duration, started: impl FnOnce(u32)) -> Result<Output> {
        runtime()?.block_on(async {
            let run = self.collect(input, started);
            tokio::time::timeout(limit, run).await.unwrap_or_else(|_| Err(self.late(limit)))
        })
    }

    /// The same without input, and with `words` for all that it says: a file goes on taking it when nobody is left to
    /// read a pipe, whose end would kill a client (SIGPIPE) wherever it is at. All of it is in the output's `stdout`.
    pub fn output_into(&self, mut words: File, limit: Duration, started: impl FnOnce(u32)) -> Result<Output> {
        use std::io::{Read, Seek};
        let doing = || format!("can't read what `{}` says", self.show());
        let mut command = tokio::process::Command::from(self.command());
        command.stdin(Stdio::null()).kill_on_drop(true);
        command.stdout(words.try_clone().doing(doing)?).stderr(words.try_clone().doing(doing)?);
        with_signals(&mut command);
        let status = runtime()?.block_on(async {
            let mut child = self.spawned(command.spawn())?;
            if let Some(leader) = child.id() {
                started(leader);
            }
            tokio::time::timeout(limit, child.wait()).await.map_err(|_| self.late(limit))?.doing(doing)
        })?;
        let mut stdout = Vec::new();
        words.rewind().and_then(|()| words.take(MAX_ANSWER).read_to_end(&mut stdout)).doing(doing)?;
        Ok(Output { status, stdout, stderr: Vec::new() })
    }

    fn late(&self, limit: Duration) -> Error {
        Error::failed(format!("`{}` did not answer within {} s", self.show(), limit.as_secs()))
    }

    async fn collect(&self, input: &[u8], started: impl FnOnce(u32)) -> Result<Output> {
        use tokio::io::AsyncWriteExt;
        let mut command = tokio::process::Command::from(self.command());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        with_signals(&mut command);
        let mut child = self.spawned(command.spawn())?;
        if let Some(leader) = child.id() {
            started(leader);
        }
        let stdin = child.stdin.take();
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A program that does not read its input says why by itself.
                let _ = stdin.write_all(input).await;
            }
        };
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let (stdout, stderr, ()) = tokio::join!(limited(out), limited(err), feed);
        let (stdout, stderr) = stdout
            .and_then(|out| Ok((out, stderr?)))
            .map_err(|e| Error::failed(format!("can't read what `{}` says", self.show())).because(e))?;
        let status = child.wait().await;
        let status = status.map_err(|e| Error::failed(format!("can't wait for `{}`", self.show())).because(e))?;
        Ok(Output { status, stdout, stderr })
    }

    /// Its standard output if it succeeded; anything else is an error with its last words.
    pub fn checked(&self, output: Output) -> Result<Vec<u8>> {
        if output.status.success() {
            return Ok(output.stdout);
        }
        let what = format!("`{}` failed ({})", self.show(), output.status);
        Err(Error::failed(what).because(last_words(&output.stderr)))
    }

    fn spawned<T>(&self, result: std::io::Result<T>) -> Result<T> {
        result.map_err(|e| Error::new(Kind::Engine, format!("can't start `{}`", self.program.display())).because(e))
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|e| Error::failed("can't wait for a command").because(e))
}

/// All that comes, unless it is endless: some of the commands run code that nobody has read.
async fn limited(from: Option<impl tokio::io::AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    use tokio::io::AsyncReadExt;
    let mut bytes = Vec::new();
    if let Some(from) = from {
        from.take(MAX_ANSWER + 1).read_to_end(&mut bytes).await?;
    }
    if bytes.len() as u64 > MAX_ANSWER { Err(std::io::Error::other("it does not end")) } else { Ok(bytes) }
}

/// The end of what a program complained about, as one readable line.
pub fn last_words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(&stderr[stderr.len().saturating_sub(MAX_OUTPUT)..]);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    lines[lines.len().saturating_sub(4)..].join("; ")
}

/// Lets the child get signals even where its parent, a keeper, has blocked them: a command that
/// can't be told to end is a nuisance to whoever shuts the machine down.
#[expect(unsafe_code, reason = "the mask is inherited; it can only be changed between fork and exec")]
fn with_signals(command: &mut tokio::process::Command) {
    // SAFETY: pthread_sigmask(3) is async-signal-safe.
    unsafe {
        command.pre_exec(|| nix::sys::signal::SigSet::empty().thread_set_mask().map_err(std::io::Error::from));
    }
}

/// Gives the child `fd` under `number`.
#[expect(unsafe_code, reason = "a descriptor can only be given a number between fork and exec")]
fn pass_as(command: &mut Command, fd: OwnedFd, number: RawFd) {
    // SAFETY: dup2(2) and fcntl(2) are async-signal-safe. The closure owns the descriptor until
    // the command is dropped, and `number` names nothing else in the child: its standard
    // streams are 0 to 2 and all other descriptors are close-on-exec.
    unsafe {
        command.pre_exec(move || {
            let result = if fd.as_raw_fd() == number {
                nix::libc::fcntl(number, nix::libc::F_SETFD, 0)
            } else {
                nix::libc::dup2(fd.as_raw_fd(), number)
            };
            if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
        });
    }
}
