//! Starts that are under way. The folder of one goes as soon as its box is sure to end by
//! itself; one whose owner died before that is swept by the next start.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Layout, private_dir};
use crate::engine::Engine;
use crate::error::{Doing, Result};

/// The file that says who owns a run.
const OWNER: &str = "owner.json";

/// The file that says which command line of the engine's belongs to it.
const CLIENT: &str = "client.json";

/// Who owns a run: a process is known by its id, its start time and the kernel it runs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    pid: u32,
    started: u64,
    boot_id: String,
    /// Which engine has the container: its program and endpoint.
    engine: String,
    /// The name of its container.
    name: String,
}

/// The engine's command line that a run is waiting for.
#[derive(Debug, Serialize, Deserialize)]
struct Client {
    pid: u32,
    started: u64,
    ends: Ends,
}

/// How the engine's command line comes to its end once its shim is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ends {
    /// By itself: the box sees that its link is broken.
    ByItself,
    /// When its container is removed. To stop it while the engine makes the container would
    /// leave one that nobody knows of.
    WhenRemoved,
}

/// The folder of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder(PathBuf);

impl Folder {
    /// The run's command line, if it is still there, and how it ends.
    pub fn client(&self) -> Option<(u32, Ends)> {
        let client: Client = serde_json::from_slice(&std::fs::read(self.0.join(CLIENT)).ok()?).ok()?;
        (start_time(client.pid) == Some(client.started)).then_some((client.pid, client.ends))
    }

    /// Makes sure that only one process at a time clears up after this run.
    pub fn claim(&self) -> Option<File> {
        let file = File::open(self.0.join(OWNER)).ok()?;
        file.try_lock().ok().map(|()| file)
    }

    /// Removes it: the run is forgotten.
    pub fn remove(&self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A run of ours. Its folder is removed when this is dropped.
#[derive(Debug)]
pub struct Run {
    /// Unique; also the container's name.
    pub name: String,
    folder: Folder,
}

impl Run {
    /// Registers a run on `engine`.
    pub fn begin(layout: &Layout, engine: &Engine) -> Result<Self> {
        let runs = layout.runs();
        private_dir(&runs)?;
        // The owner's number is in the folder's name, in case that is all there will ever be.
        let prefix = format!("{}-", std::process::id());
        let dir = tempfile::Builder::new().prefix(&prefix).rand_bytes(10).tempdir_in(&runs);
        let dir = dir.doing(|| format!("can't make a folder in `{}`", runs.display()))?.keep();
        let id = dir.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let name = format!("jitbox-{id}");
        let owner = Owner {
            pid: std::process::id(),
            started: start_time(std::process::id()).unwrap_or(0),
            boot_id: host_boot_id(),
            engine: engine_key(engine),
            name: name.clone(),
        };
        let run = Self { folder: Folder(dir), name };
        let text = serde_json::to_vec(&owner).doing(|| "can't write a record".into())?;
        // Not synced: it only has to outlive this process, not the machine.
        std::fs::write(run.folder.0.join(OWNER), text).doing(|| "can't register the run".into())?;
        Ok(run)
    }

    /// Where the link's socket is made.
    pub fn socket(&self) -> PathBuf {
        self.folder.0.join("link")
    }

    /// A file for what the engine's command line complains about; it has no name. Were it a pipe,
    /// the command line would be killed by its first word after our end (SIGPIPE, which the engines
    /// do not ignore), with half a container made.
    pub fn words(&self) -> Result<File> {
        tempfile::tempfile_in(&self.folder.0).doing(|| "can't make a file for the engine's words".into())
    }

    /// The run's folder.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// A new folder in it, for files that the engine's command line reads.
    pub fn folder_for(&self, what: &str) -> Result<PathBuf> {
        let dir = self.folder.0.join(what);
        private_dir(&dir).map(|()| dir)
    }

    /// Registers the engine's command line: whoever clears up after us has to know of it.
    pub fn owns(&self, pid: u32, ends: Ends) {
        let client = Client { pid, started: start_time(pid).unwrap_or(0), ends };
        // Not being able to costs nothing as long as nobody kills us.
        let _ = serde_json::to_vec(&client).map(|text| std::fs::write(self.folder.0.join(CLIENT), text));
    }

    /// Leaves the folder to somebody else.
    pub fn leave(self) {
        std::mem::forget(self);
    }

    /// Removes the folder: from here on nothing needs to be swept.
    pub fn settled(self) {
        drop(self);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.folder.remove();
    }
}

/// What a dead owner left.
#[derive(Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Its run's name.
    pub name: String,
    /// Its run's folder.
    pub folder: Folder,
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
            let Some(owner) = owner_of(&dir) else {
                // Its owner came no further than this, and has nothing else.
                if owner_in_name(&dir).is_none_or(|pid| start_time(pid).is_none()) {
                    let _ = std::fs::remove_dir_all(dir);
                }
                return None;
            };
            let alive = owner.boot_id == boot_id && start_time(owner.pid) == Some(owner.started);
            (!alive && owner.engine == key).then_some(Leftover { name: owner.name, folder: Folder(dir) })
        })
        .collect()
}

fn owner_of(dir: &Path) -> Option<Owner> {
    serde_json::from_slice(&std::fs::read(dir.join(OWNER)).ok()?).ok()
}

fn owner_in_name(dir: &Path) -> Option<u32> {
    dir.file_name()?.to_str()?.split_once('-')?.0.parse().ok()
}

/// One endpoint of one engine.
pub fn engine_key(engine: &Engine) -> String {
    let mut key = engine.program.to_string_lossy().into_owned();
    for word in &engine.endpoint {
        key.push(' ');
        key.push_str(&word.to_string_lossy());
    }
    key
}

/// When a living process was started, in clock ticks since boot (proc_pid_stat(5), field 22).
#[cfg(target_os = "linux")]
fn start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    // A dead one may wait for its parent for as long as that lives.
    let living = !matches!(fields.next()?, "Z" | "X");
    fields.nth(18)?.parse().ok().filter(|_| living)
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
    fn a_folder_names_its_owner() {
        assert_eq!(owner_in_name(Path::new("/runs/42-aBcDeFgHiJ")), Some(42));
        assert_eq!(owner_in_name(Path::new("/runs/aBcDeFgHiJ")), None);
    }

    #[test]
    fn start_time_is_that_of_the_process() {
        assert!(start_time(std::process::id()).is_some());
        assert_eq!(start_time(u32::MAX), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    #[expect(clippy::disallowed_methods, reason = "a child that nobody waits for is the point")]
    fn nobody_waits_for_the_dead() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        assert!(start_time(child.id()).is_some());
        // It stays a zombie until we wait for it.
        child.kill().unwrap();
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while start_time(child.id()).is_some() && std::time::Instant::now() < until {
            std::thread::yield_now();
        }
        assert!(Path::new(&format!("/proc/{}", child.id())).exists());
        assert_eq!(start_time(child.id()), None);
        child.wait().unwrap();
    }
}
