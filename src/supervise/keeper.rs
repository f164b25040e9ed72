//! The keeper: a process of our own program that outlives a killed shim by a moment, to undo
//! what nobody else would. It is only started where something needs it: a terminal in raw mode,
//! an engine whose detached containers are removed by nobody (nerdctl), or a build.
//!
//! It holds the reading end of a pipe whose writing end only the shim has, so it learns of the
//! shim's end however that comes about.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::error::{Doing, Error, Result};
use crate::exec::Cmd;

/// The name under which our program is the keeper.
pub const NAME: &str = "jitbox-keeper";

/// Written by the shim when it has put things right itself.
const DONE: &str = "done";

/// Written by the shim in front of the number of a process group that must not outlive it.
const GROUP: &str = "group ";

/// How long one command may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// What is to be undone.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Task {
    /// The terminal's mode, unless the shim did it.
    pub terminal: bool,
    /// Commands to run unless the shim ended in good order.
    pub unless_done: Vec<Cmd>,
    /// Commands to run in any case.
    pub always: Vec<Cmd>,
    /// A folder to remove in any case.
    pub dir: Option<PathBuf>,
}

/// The shim's side: while it lives, nothing happens.
pub struct Keeper(File);

impl Keeper {
    /// Starts a keeper.
    pub fn start(task: &Task) -> Result<Self> {
        let doing = || "can't start the keeper".to_owned();
        let mut text = serde_json::to_vec(task).doing(doing)?;
        text.push(b'\n');
        let (held, ours) = std::io::pipe().doing(doing)?;
        let ready = Cmd::new(&own_program()?, Vec::new(), Vec::new()).start_keeper(NAME, held.into())?;
        let mut ours = File::from(std::os::fd::OwnedFd::from(ours));
        ours.write_all(&text).doing(doing)?;
        // It has looked at the terminal before we change it.
        BufReader::new(ready).read_line(&mut String::new()).doing(doing)?;
        Ok(Self(ours))
    }

    /// Names a process group that must not outlive us.
    pub fn watch_group(&mut self, leader: u32) {
        let _ = writeln!(self.0, "{GROUP}{leader}");
    }

    /// All is in order again.
    pub fn finish(mut self) {
        let _ = writeln!(self.0, "{DONE}");
    }
}

/// The running program: by its open file where that can be named, so that an upgrade in the
/// meantime does not matter.
fn own_program() -> Result<PathBuf> {
    let open = Path::new("/proc/self/exe");
    if open.exists() {
        return Ok(open.to_owned());
    }
    std::env::current_exe().map_err(|e| Error::failed("can't find the running program").because(e))
}

/// The keeper's own life: reads its task, waits for the end of the pipe, undoes.
pub fn keep() -> Result<()> {
    // Ctrl-C and a closing terminal are for others; and the background may set a terminal only
    // with SIGTTOU blocked (tcsetattr(3)).
    let _ = SigSet::all().thread_block();
    let mut lines = BufReader::new(std::io::stdin()).lines().map_while(std::result::Result::ok);
    let task: Task = serde_json::from_str(&lines.next().unwrap_or_default()).doing(|| "no task".into())?;
    let terminal = task.terminal.then(saved_terminal).flatten();
    let _ = writeln!(std::io::stdout(), "ready");
    let (mut done, mut groups) = (false, Vec::new());
    for line in lines {
        done |= line == DONE;
        groups.extend(line.strip_prefix(GROUP).and_then(|n| n.parse().ok()).map(Pid::from_raw));
    }
    if !done {
        if let Some((file, saved)) = terminal {
            let _ = tcsetattr(&file, SetArg::TCSANOW, &saved);
        }
        groups.into_iter().for_each(end);
    }
    let undo = task.unless_done.iter().filter(|_| !done).chain(&task.always);
    for command in undo {
        // Nobody is left to be told; the next start sweeps what could not be removed.
        let _ = command.output(&[], COMMAND_LIMIT);
    }
    if let Some(dir) = task.dir {
        let _ = std::fs::remove_dir_all(dir);
    }
    Ok(())
}

/// Ends an engine's client: it may tidy up for a moment, and then it may not.
fn end(group: Pid) {
    let _ = killpg(group, Signal::SIGTERM);
    for _ in 0..30 {
        if killpg(group, None).is_err() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = killpg(group, Signal::SIGKILL);
}

fn saved_terminal() -> Option<(File, Termios)> {
    let file = File::options().read(true).write(true).open("/dev/tty").ok()?;
    let saved = tcgetattr(&file).ok()?;
    Some((file, saved))
}
