//! Starts that are under way. The folder of one goes as soon as its box is sure to end by
//! itself; one whose owner died before that is swept by the next start.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Layout, private_dir};
use crate::engine::Engine;
use crate::error::{Doing, Result};

/// Who owns a run: a process is known by its id, its start time and the kernel it runs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    pid: u32,
    started: u64,
    boot_id: String,
    /// Which engine has the container: its program and endpoint.
    engine: String,
    /// The name of its container, and the stem of a build's names.
    name: String,
}

/// A run of ours. Its folder is removed when this is dropped.
#[derive(Debug)]
pub struct Run {
    /// Unique; also the container's name.
    pub name: String,
    dir: PathBuf,
}

impl Run {
    /// Registers a run on `engine`.
    pub fn begin(layout: &Layout, engine: &Engine) -> Result<Self> {
        let runs = layout.runs();
        private_dir(&runs)?;
        let dir = tempfile::Builder::new().prefix("").rand_bytes(10).tempdir_in(&runs);
        let dir = dir.doing(|| format!("can't make a folder in `{}`", runs.display()))?.keep();
        let id = dir.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let name = format!("jitbox-{}-{id}", std::process::id());
        let owner = Owner {
            pid: std::process::id(),
            started: start_time(std::process::id()).unwrap_or(0),
            boot_id: host_boot_id(),
            engine: engine_key(engine),
            name: name.clone(),
        };
        let run = Self { name, dir };
        let text = serde_json::to_vec(&owner).doing(|| "can't write a record".into())?;
        // Not synced: it only has to outlive this process, not the machine.
        std::fs::write(run.dir.join("owner.json"), text).doing(|| "can't register the run".into())?;
        Ok(run)
    }

    /// Where the link's socket is made.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("link")
    }

    /// The run's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Removes the folder: from here on nothing needs to be swept.
    pub fn settled(self) {
        drop(self);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // What can't be removed now is swept later.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// What a dead owner left.
#[derive(Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Its run's name.
    pub name: String,
    dir: PathBuf,
}

impl Leftover {
    /// Forgets it, once its container is gone.
    pub fn cleared(self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// What dead owners left on `engine`. Reads one folder, which is empty in the normal case.
pub fn leftovers(layout: &Layout, engine: &Engine) -> Vec<Leftover> {
    let Ok(entries) = std::fs::read_dir(layout.runs()) else {
        return Vec::new();
    };
    let key = engine_key(engine);
    let boot_id = host_boot_id();
    entries
        .flatten()
        .filter_map(|entry| {
            let dir = entry.path();
            let owner: Owner = serde_json::from_slice(&std::fs::read(dir.join("owner.json")).ok()?).ok()?;
            let alive = owner.boot_id == boot_id && start_time(owner.pid) == Some(owner.started);
            (!alive && owner.engine == key).then_some(Leftover { name: owner.name, dir })
        })
        .collect()
}

/// One endpoint of one engine.
fn engine_key(engine: &Engine) -> String {
    let mut key = engine.program.to_string_lossy().into_owned();
    for word in &engine.endpoint {
        key.push(' ');
        key.push_str(&word.to_string_lossy());
    }
    key
}

/// When a process was started, in clock ticks since boot (proc_pid_stat(5), field 22).
#[cfg(target_os = "linux")]
fn start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold anything.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// Without /proc: alive or not is all that can be told.
#[cfg(not(target_os = "linux"))]
fn start_time(pid: u32) -> Option<u64> {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).ok()?);
    nix::sys::signal::kill(pid, None).ok().map(|()| 0)
}

/// The running kernel's boot id; empty where there is none.
pub fn host_boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_time_is_that_of_the_process() {
        assert!(start_time(std::process::id()).is_some());
        assert_eq!(start_time(u32::MAX), None);
    }
}
