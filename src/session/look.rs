//! What runs in an image before it is a box, or beside one: in containers like that of any run,
//! which reach nothing and get nothing.

use std::path::Path;
use std::time::Duration;

use jitbox_guest::protocol::{End, Launch as Program, Stdio, Watch};

use super::{Session, program};
use crate::error::{Error, Result};
use crate::image::build;
use crate::image::compiled::{self, DRIVER, FIRST_MESSAGE};
use crate::launch::Launch;
use crate::plan::STATE_DIR;
use crate::policy::{self, Decided};
use crate::state::boxes::BoxRecord;
use crate::state::store;
use crate::supervise::{self, Job};

/// How much a program's list of executables may be.
const MAX_PROGRAMS: usize = 1 << 20;

/// How long looking may take, the container included.
const LOOK_LIMIT: Duration = Duration::from_secs(60);

/// How long a program may take to be compiled. What runs it gives it less; this is for one that
/// stops what runs it.
const COMPILE_LIMIT: Duration = Duration::from_secs(10);

impl Session<'_> {
    /// Reads which programs an image of PyPI packages has.
    pub(super) fn programs(&self, image: &str) -> Result<Vec<u8>> {
        self.look(image, &["/bin/cat", build::PROGRAMS])
    }

    /// What a program of an image says.
    pub fn look(&self, image: &str, argv: &[&str]) -> Result<Vec<u8>> {
        self.capture(image, argv, &["PATH=/usr/local/bin:/usr/bin:/bin"], (MAX_PROGRAMS, LOOK_LIMIT))
    }

    /// Has node compile the box's program. A box without byte code only starts slower, so what
    /// goes wrong here, or is made to by the program, is no reason to have no box.
    pub(super) fn compile(&self, launch: &Launch, record: &BoxRecord) {
        match program::path(launch, record) {
            Ok(path) if self.reads_compiled() && program::is_packaged(&path) => {
                self.compile_program(record, &path).unwrap_or_else(|e| tracing::debug!("no byte code: {e}"));
            }
            _ => {}
        }
    }

    fn compile_program(&self, record: &BoxRecord, path: &str) -> Result<()> {
        let dir = self.layout.compiled(&record.place());
        store::remove_folder(&dir)?;
        let message = if record.mcp { FIRST_MESSAGE } else { "" };
        let argv = ["node", "-e", DRIVER, path, message];
        let environment = ["PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/state", "TMPDIR=/tmp"];
        let archive = self.capture(&record.image, &argv, &environment, (compiled::MAX_BYTES, COMPILE_LIMIT))?;
        // A node before 22.1 writes none.
        if archive.is_empty() { Ok(()) } else { compiled::keep(&archive, &dir) }
    }

    /// Whether a box of this engine can read files of ours, as far as is known: not on another
    /// kernel, and not where a security module labels files.
    fn reads_compiled(&self) -> bool {
        self.engine.facts.same_kernel != Some(false) && !Path::new("/sys/fs/selinux/enforce").exists()
    }

    fn capture(
        &self,
        image: &str,
        argv: &[&str],
        env: &[&str],
        (most, patience): (usize, Duration),
    ) -> Result<Vec<u8>> {
        let plan = policy::looking(&self.layout, &self.engine, image);
        let (outcome, bytes) = supervise::capture(self.job(plan, argv, env)?, most, patience)?;
        self.learn(&outcome);
        match outcome.end {
            End::Exited(0) => Ok(bytes),
            end => Err(Error::failed(format!("`{}` failed in the image", argv[0])).because(format!("{end:?}"))),
        }
    }

    /// A program that gets nothing of the user's.
    pub(super) fn job(&self, plan: Decided, argv: &[&str], env: &[&str]) -> Result<Job<'_>> {
        policy::write_seccomp(&self.layout, &self.engine, &policy::NOT_RELAXED)?;
        let bytes = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect();
        let launch = Program {
            argv: bytes(argv),
            env: bytes(env),
            cwd: STATE_DIR.as_bytes().to_vec(),
            stdio: Stdio::Framed,
            grace_ms: 0,
            watch: Watch::default(),
            mounts: Vec::new(),
        };
        let (engine, layout, carrier) = (&self.engine, &self.layout, self.carrier());
        Ok(Job { engine, layout, plan, launch, carrier, mcp: false, terminal: false, idle: None, unreached: &|| {} })
    }
}
