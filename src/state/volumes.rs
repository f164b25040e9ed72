//! Volumes of an engine in which packages keep their files between runs: `volumes/NAME.json`.
//!
//! A volume belongs to a package, whatever its version, and to the user that it runs as: what one
//! user has written another may not read. Its record is written before the volume is made, so
//! that none is ever without one.

use serde::{Deserialize, Serialize};

use super::boxes::BoxRecord;
use super::runs::engine_key;
use super::{Layout, store};
use crate::digest;
use crate::engine::Engine;
use crate::error::Result;
use crate::plan::User;

/// One volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeRecord {
    /// Its name on the engine.
    pub name: String,
    /// Whose it is: what boxes of one package have in common.
    pub identity: String,
    /// The name of the box that it was made for.
    pub package: String,
    /// As whom the package runs.
    pub user: User,
    /// Which engine has it: its program and endpoint.
    pub engine: String,
}

impl VolumeRecord {
    /// Whether `engine` has it.
    pub fn is_on(&self, engine: &Engine) -> bool {
        self.engine == engine_key(engine)
    }
}

/// What boxes of one package have in common: where it comes from and its name, but no version.
pub fn identity(record: &BoxRecord) -> String {
    let names = record.request.packages.iter().zip(&record.packages).map(|(spec, pinned)| {
        // A name is only a registry's to give.
        if pinned.is_published() { pinned.name() } else { spec }
    });
    let request = &record.request;
    let names: Vec<&str> = match &request.local {
        Some(folder) => vec![&folder.root],
        None => names.collect(),
    };
    let whole = (request.ecosystem, names, &request.registry, &request.sources);
    digest::short(&serde_json::to_vec(&whole).unwrap_or_default())
}

/// The volume for a box that runs as `user`. Engines are shared: users (`uid`) and their data
/// folders are told apart.
pub fn of(layout: &Layout, uid: u32, engine: &Engine, record: &BoxRecord, user: User) -> VolumeRecord {
    use std::os::unix::ffi::OsStrExt;
    let identity = identity(record);
    let (uid, engine) = (uid.to_string(), engine_key(engine));
    let whole = [layout.root().as_os_str().as_bytes(), uid.as_bytes(), engine.as_bytes(), identity.as_bytes()].join(&0);
    let whose = match user {
        User::Nobody => String::new(),
        User::Mapped => "-mapped".to_owned(),
        User::Caller { uid, .. } => format!("-{uid}"),
    };
    VolumeRecord {
        name: format!("jitbox-state-{}{whose}", digest::short(&whole)),
        identity,
        package: record.name(),
        user,
        engine,
    }
}

/// Whether the volume has been made, as far as we know. No engine is asked.
pub fn is_made(layout: &Layout, volume: &VolumeRecord) -> bool {
    layout.volume(&volume.name).exists()
}

/// Records a volume that is about to be made.
pub fn record(layout: &Layout, volume: &VolumeRecord) -> Result<()> {
    store::write(&layout.volume(&volume.name), volume)
}

/// Forgets a volume.
pub fn forget(layout: &Layout, volume: &VolumeRecord) -> Result<()> {
    store::remove(&layout.volume(&volume.name))
}

/// All volumes, by the names of their packages.
pub fn all(layout: &Layout) -> Result<Vec<VolumeRecord>> {
    let mut all: Vec<VolumeRecord> = store::all(layout, &layout.volumes(), "volumes")?;
    all.sort_by(|a, b| (&a.package, &a.name).cmp(&(&b.package, &b.name)));
    Ok(all)
}
