//! What a package keeps between runs: a volume of the engine.

use std::os::fd::OwnedFd;
use std::time::Duration;

use jitbox_guest::protocol::End;

use super::Session;
use crate::engine::argv::{self, STATE_LABEL};
use crate::error::{Error, Kind, Result};
use crate::exec::{Cmd, last_words};
use crate::plan::{STATE_DIR, User};
use crate::policy::{self, Policy};
use crate::state::boxes::BoxRecord;
use crate::state::volumes::{self, VolumeRecord};
use crate::supervise;

/// How long an engine may take to make a volume.
const VOLUME_LIMIT: Duration = Duration::from_secs(60);

impl Session<'_> {
    /// Where the box keeps its files if it runs as `user`.
    pub fn volume(&self, record: &BoxRecord, user: User) -> VolumeRecord {
        volumes::of(&self.layout, self.context.uid, &self.engine, record, user)
    }

    /// Makes the volume that the run needs, once.
    pub(super) fn make_volume(&self, record: &BoxRecord, policy: &Policy) -> Result<()> {
        let volume = self.volume(record, policy.user);
        if !policy.keeps || volumes::is_made(&self.layout, &volume) {
            return Ok(());
        }
        volumes::record(&self.layout, &volume)?;
        self.create_volume(&volume.name, (STATE_LABEL, &volume.package)).or_else(|failed| {
            volumes::forget(&self.layout, &volume)?;
            let error = Error::new(Kind::Engine, format!("no volume can be made for what `{}` keeps", volume.package));
            Err(error.because(failed.what).hint("jitbox doctor"))
        })
    }

    /// Makes a volume, unless it is there.
    pub(super) fn create_volume(&self, name: &str, label: (&str, &str)) -> Result<()> {
        let command = |args| Cmd::engine(&self.engine, args).output(&[], VOLUME_LIMIT);
        let made = command(argv::create_volume(&self.engine, name, label))?;
        // podman refuses to make one that is there.
        if made.status.success() || command(argv::volume_exists(&self.engine, name))?.status.success() {
            return Ok(());
        }
        Err(Error::new(Kind::Engine, last_words(&made.stderr)))
    }

    /// Writes what a package has kept to `target`, as a tar archive.
    pub fn archive(&self, record: &BoxRecord, volume: &VolumeRecord, target: OwnedFd) -> Result<End> {
        let plan = policy::reading(&self.layout, &self.engine, &record.image, volume);
        let argv = ["/bin/tar", "-C", STATE_DIR, "-cf", "-", "."];
        Ok(supervise::run_into(self.job(plan, &argv, &["PATH=/usr/bin:/bin"])?, target)?.end)
    }
}
