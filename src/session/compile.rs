//! V8's byte code of a box's program ([`crate::image::compiled`]): a box without it only starts slower. So whoever waits
//! for a program's first start does not wait for this, which is done while the program runs.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::{Session, program};
use crate::engine::caps::Carrier;
use crate::error::Result;
use crate::image::compiled::{self, DRIVER, FIRST_MESSAGE};
use crate::launch::Launch;
use crate::state::boxes::BoxRecord;
use crate::state::{private_dir, store};

/// How long a program may take to be compiled. What runs it gives it less; this is for one that
/// stops what runs it.
const LIMIT: Duration = Duration::from_secs(10);

/// A program that runs has so much time for its first answer before.
const AFTER: Duration = Duration::from_millis(1500);

/// For so long it is waited when an MCP server has ended: its client wants us gone.
const PATIENCE: Duration = Duration::from_secs(1);

/// A program that is compiled while it runs.
pub struct Compiling {
    ended: Sender<()>,
    done: Receiver<()>,
    dir: PathBuf,
    patience: Duration,
}

impl Compiling {
    /// The program has ended. What takes too long now is ended with us, and done beside the next one.
    pub fn finish(self) {
        drop(self.ended);
        if self.done.recv_timeout(self.patience) == Err(RecvTimeoutError::Timeout) {
            let _ = private_dir(&self.dir);
        }
    }
}

impl Session<'_> {
    /// The byte code of the line's program, where there is some that its box can read.
    pub fn compiled(&self, launch: &Launch, record: &BoxRecord, carrier: Carrier) -> Option<PathBuf> {
        let dir = self.layout.compiled(&record.place());
        let packaged = program::path(launch, record).is_ok_and(|path| program::is_packaged(&path));
        (carrier != Carrier::Stream && packaged && is_empty(&dir) == Some(false)).then_some(dir)
    }

    /// Removes a box's byte code; false if there is none.
    pub(super) fn forget_compiled(&self, record: &BoxRecord) -> bool {
        let dir = self.layout.compiled(&record.place());
        is_empty(&dir) == Some(false) && store::remove_folder(&dir).is_ok()
    }

    /// Has node compile the box's program. What goes wrong here, or is made to by the program, is no reason to have no
    /// box.
    pub(super) fn compile(&self, launch: &Launch, record: &BoxRecord) {
        let dir = self.layout.compiled(&record.place());
        let Some(path) = self.compilable(launch, record) else { return };
        let done = store::remove_folder(&dir).and_then(|()| self.compile_program(record, &path, &dir));
        tracing::debug!("byte code: {done:?}");
    }

    /// Has that done when the box's program runs: an empty folder says so. What another node has compiled is of no use.
    pub(super) fn compile_later(&self, launch: &Launch, record: &BoxRecord) {
        if self.compilable(launch, record).is_some() {
            let dir = self.layout.compiled(&record.place());
            let made = store::remove_folder(&dir).and_then(|()| private_dir(&dir));
            tracing::debug!("byte code, later: {made:?}");
        }
    }

    /// Does it, if it is to be done, beside the program that is about to run.
    pub fn compile_beside(&self, launch: &Launch, record: &BoxRecord) -> Option<Compiling> {
        let dir = self.layout.compiled(&record.place());
        if is_empty(&dir) != Some(true) {
            return None;
        }
        let ((ended, end), (tell, done)) = (channel::<()>(), channel::<()>());
        let patience = if record.mcp { PATIENCE } else { 2 * LIMIT };
        let beside = Compiling { ended, done, dir: dir.clone(), patience };
        let (context, launch, record) = (self.context.clone(), launch.clone(), record.clone());
        std::thread::spawn(move || {
            let _ = end.recv_timeout(AFTER);
            // Of several programs in one box, this is one's.
            if std::fs::remove_dir(&dir).is_ok()
                && let Ok(session) = Session::open(&context)
            {
                session.compile(&launch, &record);
            }
            drop(tell);
        });
        Some(beside)
    }

    /// The program that is to be compiled, if there is one.
    fn compilable(&self, launch: &Launch, record: &BoxRecord) -> Option<String> {
        program::path(launch, record).ok().filter(|path| program::is_packaged(path) && self.reads_compiled())
    }

    fn compile_program(&self, record: &BoxRecord, path: &str, dir: &Path) -> Result<()> {
        let message = if record.mcp { FIRST_MESSAGE } else { "" };
        let argv = ["node", "-e", DRIVER, path, message];
        let environment = ["PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/state", "TMPDIR=/tmp"];
        let archive = self.capture(&record.image, &argv, &environment, (compiled::MAX_BYTES, LIMIT))?;
        // A node before 22.1 writes none.
        if archive.is_empty() { Ok(()) } else { compiled::keep(&archive, dir) }
    }

    /// Whether a box of this engine can read files of ours, as far as is known: not on another
    /// kernel, and not where a security module labels files.
    fn reads_compiled(&self) -> bool {
        self.engine.facts.same_kernel != Some(false) && !Path::new("/sys/fs/selinux/enforce").exists()
    }
}

/// Whether there is nothing in a folder; `None` if there is no such folder.
fn is_empty(dir: &Path) -> Option<bool> {
    std::fs::read_dir(dir).ok().map(|mut entries| entries.next().is_none())
}
