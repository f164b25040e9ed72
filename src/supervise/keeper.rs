//! The keeper: a process of our own program that outlives a killed shim by a moment, to undo
//! what nobody else would. It is only started where something needs it: a terminal in raw mode,
//! an engine whose detached containers are removed by nobody (nerdctl), or a build.
//!
//! It holds the reading end of a pipe whose writing end only the shim has, so it learns of the
//! shim's end however that comes about.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::error::{Doing, Error, Result};
use crate::exec::Cmd;
use crate::state::runs::{Ends, Folder};
use crate::supervise::strays;

/// The name under which our program is the keeper.
pub const NAME: &str = "jitbox-keeper";

/// Written by the shim when it has put things right itself.
const DONE: &str = "done";

/// How long one command may take. Nobody waits for it, and with dozens of starts at once an
/// engine's locks are long in coming.
const COMMAND_LIMIT: Duration = Duration::from_secs(120);

/// How often an engine may refuse before it is believed.
const REFUSALS: u32 = 2;

/// How long an engine's command line may take that ends by itself, or with its container.
const CLIENT_LIMIT: Duration = Duration::from_secs(20);

/// How long one that was stopped may tidy up.
const STOP_LIMIT: Duration = Duration::from_millis(1500);

/// How long a program may take to end once its link has dropped.
const GRACE_LIMIT: Duration = Duration::from_secs(3);

/// What a stopped command line had asked for goes on for a moment …
const AFTERMATH: Duration = Duration::from_secs(2);
/// … and where a daemon works on it, until the step that it is at is done: it may be storing a layer.
const DAEMONS_AFTERMATH: Duration = Duration::from_secs(5);

/// What is to be undone.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Task {
    /// The terminal's mode, unless the shim did it.
    pub terminal: bool,
    /// A command that returns when the box has ended, which it does by itself. Only asked if
    /// the shim did not end in good order.
    pub ended: Option<Cmd>,
    /// Commands to run unless the shim ended in good order.
    pub unless_done: Vec<Cmd>,
    /// Commands to run in any case.
    pub always: Vec<Cmd>,
    /// The run's folder, to be removed after that. Its command line is ended before.
    pub folder: Option<Folder>,
    /// A daemon does what its command line asked for.
    pub by_daemon: bool,
    /// The run's name, if its command line can leave processes.
    pub strays_of: Option<String>,
}

/// The shim's side: while it lives, nothing happens.
pub struct Keeper(File);

impl Keeper {
    /// Starts a keeper.
    pub fn start(tasks: &[Task]) -> Result<Self> {
        let doing = || "can't start the keeper".to_owned();
        let mut text = serde_json::to_vec(tasks).doing(doing)?;
        text.push(b'\n');
        let (held, ours) = std::io::pipe().doing(doing)?;
        let child = Cmd::own(Vec::new(), Vec::new())?.start_own(NAME, held.into())?;
        let ready = child.stdout.ok_or_else(|| Error::failed("the keeper has no standard output"))?;
        let mut ours = File::from(std::os::fd::OwnedFd::from(ours));
        ours.write_all(&text).doing(doing)?;
        // It has looked at the terminal before we change it.
        BufReader::new(ready).read_line(&mut String::new()).doing(doing)?;
        Ok(Self(ours))
    }

    /// Starts a keeper for what others left: it sets to work at once.
    pub fn undo(tasks: &[Task]) -> Result<()> {
        Self::start(tasks).map(drop)
    }

    /// All is in order again.
    pub fn finish(mut self) {
        let _ = writeln!(self.0, "{DONE}");
    }
}

/// The keeper's own life: reads its task, waits for the end of the pipe, undoes.
pub fn keep() -> Result<()> {
    // Ctrl-C and a closing terminal are for others; and the background may set a terminal only
    // with SIGTTOU blocked (tcsetattr(3)).
    let _ = SigSet::all().thread_block();
    let mut lines = BufReader::new(std::io::stdin()).lines().map_while(std::result::Result::ok);
    let tasks: Vec<Task> = serde_json::from_str(&lines.next().unwrap_or_default()).doing(|| "no task".into())?;
    let terminal = tasks.iter().any(|task| task.terminal).then(saved_terminal).flatten();
    let _ = writeln!(std::io::stdout(), "ready");
    let done = lines.any(|line| line == DONE);
    if !done && let Some((file, saved)) = terminal {
        let _ = tcsetattr(&file, SetArg::TCSANOW, &saved);
    }
    tasks.iter().for_each(|task| undo(task, done));
    Ok(())
}

fn undo(task: &Task, done: bool) {
    if done && task.always.is_empty() {
        return;
    }
    // Where nothing is registered any more, somebody else has done it all, or is about to.
    let claim = match &task.folder {
        Some(folder) => match folder.claim() {
            Some(claim) => Some(claim),
            None => return,
        },
        None => None,
    };
    // nerdctl's client removes the container itself: of two that do it at once, each can leave it
    // to the other, and both say that all is well.
    let stopped = task.folder.as_ref().is_some_and(|folder| end_client(folder, task));
    if !done && let Some(command) = &task.ended {
        let _ = command.output(&[], GRACE_LIMIT);
    }
    let commands: Vec<&Cmd> = task.unless_done.iter().filter(|_| !done).chain(&task.always).collect();
    let mut answered = commands.iter().all(|command| run(command));
    let strays = task.strays_of.as_ref().filter(|_| !done);
    // After the containers, of which they may be the monitors: without its monitor podman can't tell how one ended.
    strays.into_iter().for_each(|run| strays::end(run));
    if (stopped || strays.is_some()) && !commands.is_empty() {
        for pause in [Some(AFTERMATH), task.by_daemon.then_some(DAEMONS_AFTERMATH)].into_iter().flatten() {
            std::thread::sleep(pause);
            answered = commands.iter().all(|command| run(command));
        }
    }
    // Nobody is left to be told: what did not work is tried again by the next start, which
    // finds the folder.
    if answered && let Some(folder) = &task.folder {
        folder.remove();
    }
    drop(claim);
}

/// Runs a command whose refusal means that there is nothing to undo. False if the engine did
/// not get to it.
fn run(command: &Cmd) -> bool {
    for tries in 1..=20 {
        let Ok(output) = command.output(&[], COMMAND_LIMIT) else { return false };
        // docker prunes for one at a time.
        let busy = String::from_utf8_lossy(&output.stderr).contains("already running");
        // podman 5 gives up on a container whose monitor was killed, and removes it when it is asked again.
        if output.status.success() || (!busy && tries >= REFUSALS) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    false
}

/// Sees an engine's command line to its end. True if it had to be stopped.
fn end_client(folder: &Folder, task: &Task) -> bool {
    let Some((pid, ends)) = folder.client() else {
        return false;
    };
    let until = Instant::now() + CLIENT_LIMIT;
    while ends == Ends::WhenRemoved && folder.client().is_some() && Instant::now() < until {
        for command in &task.unless_done {
            run(command);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let gone = |limit: Duration| {
        let until = Instant::now() + limit;
        while folder.client().is_some() {
            if Instant::now() > until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    };
    if ends == Ends::ByItself && gone(CLIENT_LIMIT) {
        return false;
    }
    if folder.client().is_none() {
        return false;
    }
    let group = Pid::from_raw(pid.cast_signed());
    let _ = killpg(group, Signal::SIGTERM);
    if !gone(STOP_LIMIT) {
        let _ = killpg(group, Signal::SIGKILL);
    }
    true
}

fn saved_terminal() -> Option<(File, Termios)> {
    let file = File::options().read(true).write(true).open("/dev/tty").ok()?;
    let saved = tcgetattr(&file).ok()?;
    Some((file, saved))
}
