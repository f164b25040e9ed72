//! From a plan to a box whose guest has said hello.

use std::cell::RefCell;
use std::fs::{File, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use jitbox_guest::protocol::{FromGuest, VERSION};
use tokio::io::AsyncReadExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::process::Child;
use tokio::time::{Instant, timeout, timeout_at};

use super::Job;
use super::keeper::{Keeper, Task};
use super::link::{self, Receiver, Sender};
use crate::engine::caps::{Carrier, Reach};
use crate::engine::{Engine, argv};
use crate::error::{Doing, Error, Kind, Result};
use crate::exec::{Cmd, last_words};
use crate::plan::Start;
use crate::state::runs::{self, Ends, Leftover, Run};

/// How long an engine may take to start a box: a VM that sleeps wakes up in 5 to 15 s.
pub const START_LIMIT: Duration = Duration::from_secs(60);

/// How long an engine may take to remove a container.
const REMOVE_LIMIT: Duration = Duration::from_secs(20);

/// How much of the engine's complaints is kept.
const MAX_WORDS: usize = 64 << 10;

/// A box that has said hello.
pub struct Started {
    pub name: String,
    pub sender: Sender,
    pub receiver: Receiver,
    pub boot_id: String,
    pub client: Client,
    pub keeper: Option<Keeper>,
}

/// The engine's command line while it runs, and what it complained about.
pub struct Client {
    child: Option<Child>,
    words: Words,
}

enum Words {
    /// Of one that goes on without us.
    Written(File),
    /// Of one that is the link's carrier, and ends with it.
    Heard(Rc<RefCell<Vec<u8>>>),
}

impl Words {
    fn last(&self) -> String {
        match self {
            Self::Written(file) => {
                let mut bytes = vec![0; MAX_WORDS];
                let length = file.read_at(&mut bytes, 0).unwrap_or(0);
                last_words(&bytes[..length])
            }
            Self::Heard(bytes) => last_words(&bytes.borrow()),
        }
    }
}

impl Client {
    /// Starts one that the link does not go through.
    fn start(run: &Run, command: &Cmd, link: Option<OwnedFd>) -> Result<Self> {
        let words = run.words()?;
        let theirs = words.try_clone().doing(|| "can't start the engine".into())?;
        let child = command.start_quiet(link, theirs.into())?;
        own(run, &child);
        Ok(Self { child: Some(child), words: Words::Written(words) })
    }

    fn carrier(mut child: Child) -> Self {
        let words = Rc::new(RefCell::new(Vec::new()));
        if let Some(mut stderr) = child.stderr.take() {
            let words = words.clone();
            tokio::task::spawn_local(async move {
                let mut buffer = [0; 4096];
                while let Ok(n) = stderr.read(&mut buffer).await {
                    if n == 0 {
                        break;
                    }
                    if words.borrow().len() < MAX_WORDS {
                        words.borrow_mut().extend_from_slice(&buffer[..n]);
                    }
                }
            });
        }
        Self { child: Some(child), words: Words::Heard(words) }
    }

    /// What the engine complained about, once it has had a moment to do so.
    pub async fn last_words(&mut self) -> String {
        if let Some(child) = &mut self.child {
            let _ = timeout(Duration::from_millis(500), child.wait()).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.words.last()
    }

    /// The box runs: a client that is not its carrier ends by itself and is only reaped.
    fn detach(&mut self) {
        if let Some(mut child) = self.child.take() {
            tokio::task::spawn_local(async move {
                let _ = child.wait().await;
            });
        }
    }

    /// Returns when the client has failed: a detached one is expected to end well.
    async fn failure(&mut self) -> Error {
        let Some(child) = &mut self.child else {
            return std::future::pending().await;
        };
        match child.wait().await {
            Ok(status) if status.success() => std::future::pending().await,
            _ => Error::new(Kind::Engine, "the engine could not start the box").because(self.last_words().await),
        }
    }
}

/// Starts the container and waits for its guest.
pub async fn start(job: &mut Job<'_>) -> Result<Started> {
    let run = Run::begin(job.layout, job.engine)?;
    sweep(job);
    job.plan = job.plan.clone().named(&run.name);
    let abandoned = job.carrier != Carrier::Stream && !job.engine.removes_detached();
    let abandoned = abandoned || (job.carrier == Carrier::Stream && !job.engine.removes_without_client());
    let keeper = if job.terminal || abandoned {
        let mut task = Task { terminal: job.terminal, ..Task::default() };
        if abandoned {
            let names = [run.name.clone()];
            task.ended = Some(Cmd::engine(job.engine, argv::wait(job.engine, &run.name)));
            task.always.push(Cmd::engine(job.engine, argv::remove_containers(job.engine, &names)));
            task.folder = Some(run.folder().clone());
        }
        Some(Keeper::start(&[task])?)
    } else {
        None
    };
    let deadline = Instant::now() + START_LIMIT;
    let connecting = connect(job, &run);
    let connected = timeout_at(deadline, connecting).await.unwrap_or_else(|_| Err(slow()));
    let greeted = match connected {
        Ok((sender, receiver, client)) => greet(sender, receiver, client, deadline).await,
        Err(e) => Err(e),
    };
    let (sender, receiver, mut client, boot_id) = match greeted {
        Ok(parts) => parts,
        Err(e) => {
            remove(job.engine, &run.name).await;
            if abandoned {
                run.leave();
            }
            return Err(e);
        }
    };
    let name = run.name.clone();
    if job.carrier != Carrier::Stream {
        client.detach();
    }
    if abandoned {
        // The keeper removes the folder together with the container.
        run.leave();
    } else {
        run.settled();
    }
    Ok(Started { name, sender, receiver, boot_id, client, keeper })
}

pub fn slow() -> Error {
    let why = format!("no answer within {} s", START_LIMIT.as_secs());
    Error::new(Kind::Engine, "the engine did not start the box").because(why).hint("jitbox doctor")
}

async fn connect(job: &Job<'_>, run: &Run) -> Result<(Sender, Receiver, Client)> {
    match job.carrier {
        Carrier::Stream => {
            let plan = job.plan.clone().started(Start::Attached);
            let mut child = Cmd::engine(job.engine, argv::run(job.engine, plan.plan())).start_piped()?;
            own(run, &child);
            let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
                return Err(Error::failed("the engine's streams are missing"));
            };
            let (sender, receiver) = link::over_attach(stdin, stdout);
            Ok((sender, receiver, Client::carrier(child)))
        }
        Carrier::Local(Reach::Descriptor) => {
            let plan = job.plan.clone().started(Start::Descriptor);
            let (ours, theirs) = UnixStream::pair().doing(|| "can't make the link".into())?;
            let theirs = theirs.into_std().doing(|| "can't make the link".into())?;
            theirs.set_nonblocking(false).doing(|| "can't make the link".into())?;
            let command = Cmd::engine(job.engine, argv::run(job.engine, plan.plan()));
            let client = Client::start(run, &command, Some(OwnedFd::from(theirs)))?;
            let (sender, receiver) = link::over_socket(ours);
            Ok((sender, receiver, client))
        }
        Carrier::Local(Reach::Mount) => {
            let path = run.socket();
            let listener = UnixListener::bind(&path).doing(|| "can't make the link".into())?;
            // The box's user is nobody outside; the folder above is closed to everybody but us.
            std::fs::set_permissions(&path, Permissions::from_mode(0o666)).doing(|| "can't make the link".into())?;
            let plan = job.plan.clone().started(Start::Socket(path));
            let command = Cmd::engine(job.engine, argv::run(job.engine, plan.plan()));
            let mut client = Client::start(run, &command, None)?;
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted.doing(|| "can't make the link".into())?,
                failure = client.failure() => return Err(failure),
            };
            // One guest, once: the listener closes here.
            drop(listener);
            let (sender, receiver) = link::over_socket(accepted.0);
            Ok((sender, receiver, client))
        }
    }
}

fn own(run: &Run, child: &Child) {
    if let Some(pid) = child.id() {
        run.owns(pid, Ends::ByItself);
    }
}

async fn greet(
    sender: Sender,
    mut receiver: Receiver,
    mut client: Client,
    deadline: Instant,
) -> Result<(Sender, Receiver, Client, String)> {
    let hello = tokio::select! {
        hello = timeout_at(deadline, receiver.receive()) => hello.unwrap_or_else(|_| Err(slow()))?,
        failure = client.failure() => return Err(failure),
    };
    match hello {
        Some(FromGuest::Hello { version, boot_id }) if version == VERSION => {
            tracing::debug!("the link is up");
            Ok((sender, receiver, client, boot_id))
        }
        Some(_) => Err(Error::failed("the box speaks another version of the link")),
        None => Err(Error::new(Kind::Engine, "the engine could not start the box").because(client.last_words().await)),
    }
}

/// Has removed what starts and builds of dead owners left. A keeper does it, which may take
/// longer than the program that is about to start.
fn sweep(job: &Job<'_>) {
    let undo = |leftover: Leftover| Task {
        unless_done: clearing(job.engine, &leftover.name),
        strays_of: Some(leftover.name),
        by_daemon: job.engine.makes_by_daemon(),
        folder: Some(leftover.folder),
        ..Task::default()
    };
    let tasks: Vec<_> = runs::leftovers(job.layout, job.engine).into_iter().map(undo).collect();
    if !tasks.is_empty() {
        // What can't be done now is done by the start after this one.
        let _ = Keeper::undo(&tasks);
    }
}

/// Commands that remove everything that a run can have left.
pub fn clearing(engine: &Engine, run: &str) -> Vec<Cmd> {
    argv::clear(engine, run).into_iter().map(|args| Cmd::engine(engine, args)).collect()
}

/// Ends and removes a container; one that is not there is as good as removed.
pub async fn remove(engine: &Engine, name: &str) {
    run_out(&Cmd::engine(engine, argv::remove_containers(engine, &[name.to_owned()]))).await;
}

/// Runs a command whose failure changes nothing for us.
async fn run_out(command: &Cmd) {
    if let Ok(mut child) = command.start_quiet(None, Stdio::null()) {
        let _ = timeout(REMOVE_LIMIT, child.wait()).await;
    }
}
