//! What runs in an image before it is a box, or beside one: in containers like that of any run,
//! which reach nothing and get nothing.

use std::time::Duration;

use jitbox_guest::protocol::{End, Launch as Program, Stdio, Watch};

use super::Session;
use crate::error::{Error, Result};
use crate::image::commit;
use crate::plan::STATE_DIR;
use crate::policy::{self, Decided};
use crate::supervise::{self, Job};

/// How much a program's list of executables may be.
const MAX_PROGRAMS: usize = 1 << 20;

/// How long looking may take, the container included.
const LOOK_LIMIT: Duration = Duration::from_secs(60);

impl Session<'_> {
    /// Reads which programs an image of PyPI packages has.
    pub(super) fn programs(&self, image: &str) -> Result<Vec<u8>> {
        self.look(image, &["/bin/cat", commit::PROGRAMS])
    }

    /// What a program of an image says.
    pub fn look(&self, image: &str, argv: &[&str]) -> Result<Vec<u8>> {
        self.capture(image, argv, &["PATH=/usr/local/bin:/usr/bin:/bin"], (MAX_PROGRAMS, LOOK_LIMIT))
    }

    pub(super) fn capture(
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
