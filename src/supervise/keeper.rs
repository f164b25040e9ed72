//! The keeper: a process of our own program that outlives a killed shim by a moment, to undo
//! what nobody else would. It is only started where something needs it: a terminal in raw mode,
//! or an engine whose detached containers are removed by nobody (nerdctl).
//!
//! It holds the reading end of a pipe whose writing end only the shim has, so it learns of the
//! shim's end however that comes about.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use serde::{Deserialize, Serialize};

use crate::engine::{Engine, argv};
use crate::error::{Doing, Error, Result};
use crate::exec::Cmd;

/// The name under which our program is the keeper.
pub const NAME: &str = "jitbox-keeper";

/// Written by the shim when it has put the terminal right itself.
const DONE: &str = "done";

/// How long the removal of a container may take.
const REMOVE_LIMIT: Duration = Duration::from_secs(30);

/// What is to be undone. Byte strings, because paths need not be UTF-8.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Task {
    terminal: bool,
    /// Program, arguments and environment that remove the container.
    remove: Option<(Vec<u8>, Vec<Vec<u8>>, Vec<(Vec<u8>, Vec<u8>)>)>,
    /// The run's folder.
    dir: Option<Vec<u8>>,
}

/// The shim's side: while it lives, nothing happens.
pub struct Keeper(File);

impl Keeper {
    /// Starts a keeper for a raw terminal, for a container that nobody else removes, or both.
    pub fn start(terminal: bool, container: Option<(&Engine, &str, &Path)>) -> Result<Self> {
        let mut task = Task {
            terminal,
            ..Task::default()
        };
        if let Some((engine, name, dir)) = container {
            let bytes = |s: &OsStr| s.as_bytes().to_vec();
            let args = argv::remove_containers(engine, &[name.to_owned()]);
            task.remove = Some((
                bytes(engine.program.as_os_str()),
                args.iter().map(|a| bytes(a)).collect(),
                engine.environment.iter().map(|(k, v)| (bytes(k), bytes(v))).collect(),
            ));
            task.dir = Some(bytes(dir.as_os_str()));
        }
        let doing = || "can't start the keeper".to_owned();
        let mut text = serde_json::to_vec(&task).doing(doing)?;
        text.push(b'\n');
        let (held, ours) = std::io::pipe().doing(doing)?;
        let mut ready = Cmd::new(&own_program()?, Vec::new(), Vec::new()).start_keeper(NAME, held.into())?;
        let mut ours = File::from(std::os::fd::OwnedFd::from(ours));
        ours.write_all(&text).doing(doing)?;
        // It has looked at the terminal before we change it.
        BufReader::new(&mut ready).read_line(&mut String::new()).doing(doing)?;
        Ok(Self(ours))
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
    let _ = nix::sys::signal::SigSet::all().thread_block();
    let mut lines = BufReader::new(std::io::stdin()).lines();
    let task = lines.next().transpose().ok().flatten().unwrap_or_default();
    let task: Task = serde_json::from_str(&task).doing(|| "no task".into())?;
    let terminal = task.terminal.then(saved_terminal).flatten();
    let _ = writeln!(std::io::stdout(), "ready");
    let done = lines.map_while(std::result::Result::ok).any(|line| line == DONE);
    if let (false, Some((file, saved))) = (done, terminal) {
        let _ = tcsetattr(&file, SetArg::TCSANOW, &saved);
    }
    if let Some((program, args, environment)) = task.remove {
        let text = OsString::from_vec;
        let command = Cmd::new(
            Path::new(&text(program)),
            args.into_iter().map(text).collect(),
            environment.into_iter().map(|(k, v)| (text(k), text(v))).collect(),
        );
        // Nothing to tell anybody; the next start sweeps what is left.
        let _ = command.output(&[], REMOVE_LIMIT);
    }
    if let Some(dir) = task.dir {
        let _ = std::fs::remove_dir_all(OsString::from_vec(dir));
    }
    Ok(())
}

fn saved_terminal() -> Option<(File, Termios)> {
    let file = File::options().read(true).write(true).open("/dev/tty").ok()?;
    let saved = tcgetattr(&file).ok()?;
    Some((file, saved))
}
