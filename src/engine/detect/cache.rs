//! What is remembered about engines. A start asks the file system whether anything could have
//! changed, and no process.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::candidate::Candidate;
use super::{endpoint, environment, hex};
use crate::context::Context;
use crate::engine::{Engine, Facts, Kind};
use crate::error::Result;
use crate::state::{Layout, store};

/// How long facts are believed, if nothing changes that we can see.
const BELIEVED: Duration = Duration::from_secs(24 * 3600);

/// One engine's record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    /// State of everything that the facts depend on.
    pub fingerprint: Vec<String>,
    /// What was learned; nothing, if the engine could not be used.
    pub facts: Option<Facts>,
    /// It calls itself docker and is podman.
    #[serde(default)]
    pub is_podman: bool,
}

/// What is remembered about `candidate`.
pub(super) enum Memory {
    /// It holds.
    Holds(Record),
    /// It is too old; the kernel that its boxes had is still the same.
    Aged(Option<bool>),
    /// Nothing.
    Nothing,
}

/// Looks `candidate` up.
pub(super) fn recall(layout: &Layout, candidate: &Candidate, fingerprint: &[String]) -> Memory {
    let path = layout.engine_facts(&key_of(candidate));
    // A record that can't be read is learned again.
    let Ok(Some(record)) = store::read::<Record>(layout, &path) else { return Memory::Nothing };
    if record.fingerprint != fingerprint {
        return Memory::Nothing;
    }
    let age = std::fs::metadata(&path).and_then(|meta| meta.modified()).ok().and_then(|time| time.elapsed().ok());
    match age {
        Some(age) if age < BELIEVED => Memory::Holds(record),
        _ => Memory::Aged(record.facts.and_then(|facts| facts.same_kernel)),
    }
}

/// Remembers `record`. Without a place to write to, every start learns it anew.
pub(super) fn remember(layout: &Layout, candidate: &Candidate, record: &Record) {
    let _ = store::write(&layout.engine_facts(&key_of(candidate)), record);
}

/// Notes something that was learned about `engine`.
pub(super) fn note(layout: &Layout, engine: &Engine, learn: impl FnOnce(&mut Facts)) -> Result<()> {
    let path = layout.engine_facts(&key_of_engine(engine));
    let Some(mut record) = store::read::<Record>(layout, &path)? else { return Ok(()) };
    let Some(facts) = record.facts.as_mut() else { return Ok(()) };
    let before = facts.clone();
    learn(facts);
    if *facts == before { Ok(()) } else { store::write(&path, &record) }
}

/// Forgets `engine`.
pub(super) fn forget(layout: &Layout, engine: &Engine) -> Result<()> {
    store::remove(&layout.engine_facts(&key_of_engine(engine)))
}

/// The name of a candidate's record.
pub(super) fn key_of(candidate: &Candidate) -> String {
    let Candidate { kind, program, endpoint, environment, runtime, .. } = candidate;
    key(*kind, program, &endpoint.args, environment, runtime.as_deref())
}

fn key_of_engine(engine: &Engine) -> String {
    key(engine.kind, &engine.program, &engine.endpoint, &engine.environment, engine.runtime.as_deref())
}

fn key(
    kind: Kind,
    program: &Path,
    endpoint: &[std::ffi::OsString],
    environment: &[(std::ffi::OsString, std::ffi::OsString)],
    runtime: Option<&str>,
) -> String {
    let relevant: Vec<_> = environment.iter().filter(|(name, _)| environment::matters(name)).collect();
    // Debug output quotes, so no two lists look alike.
    let identity = format!("{program:?} {endpoint:?} {relevant:?} {runtime:?}");
    format!("{}-{}", kind.name(), &hex(identity.as_bytes())[..16])
}

/// The state of everything that facts about `candidate` depend on.
pub(super) fn fingerprint(context: &Context, candidate: &Candidate) -> Vec<String> {
    let real = std::fs::canonicalize(&candidate.program).unwrap_or_else(|_| candidate.program.clone());
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let mut list = vec![
        concat!("jitbox ", env!("CARGO_PKG_VERSION")).to_owned(),
        format!("boot {}", boot.trim()),
        format!("uid {}", context.uid),
        state(&real),
    ];
    list.extend(candidate.endpoint.socket.iter().chain(&candidate.endpoint.watch).map(|path| state(path)));
    list.extend(settings(context, candidate.kind).iter().map(|path| state(path)));
    list
}

/// Files and folders whose change can change an engine.
fn settings(context: &Context, kind: Kind) -> Vec<PathBuf> {
    match kind {
        Kind::Podman => {
            let own = endpoint::config_home(context).join("containers");
            let dirs = [own, "/etc/containers".into(), "/usr/share/containers".into()];
            dirs.iter()
                .flat_map(|dir| ["containers.conf", "containers.conf.d", "storage.conf"].map(|name| dir.join(name)))
                .collect()
        }
        Kind::Docker | Kind::Nerdctl => Vec::new(),
    }
}

/// One path's state, in words. The times of a socket that is in use don't change, those of a
/// new one do.
fn state(path: &Path) -> String {
    let shown = path.display();
    match std::fs::metadata(path) {
        Ok(m) if m.file_type().is_socket() => {
            format!("{shown} {} {} {}.{}", m.dev(), m.ino(), m.ctime(), m.ctime_nsec())
        }
        Ok(m) => format!("{shown} {} {} {}.{} {}", m.dev(), m.ino(), m.mtime(), m.mtime_nsec(), m.len()),
        Err(_) => format!("{shown} absent"),
    }
}
