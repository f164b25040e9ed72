//! What belongs to one start, noted down while it lives, so that its end can be told from its
//! mere loss.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::support::Lane;
use crate::support::lane::leftovers;
use crate::support::lane::{Container, alive, children, processes};

/// How long after a death anything may still be there.
pub const LIMIT: Duration = Duration::from_secs(10);

pub struct Traces {
    shim: u32,
    /// The shim, what it started, and what runs in the box or for it.
    processes: Vec<(u32, String)>,
    /// Those of them that are in the box.
    inside: BTreeSet<u32>,
    /// Words that stand in mounts and command lines of this container and of no other.
    words: Vec<String>,
}

/// When it was over.
pub struct Gone {
    /// The box's own processes. An engine may take its time to notice.
    pub inside: Duration,
    pub processes: Duration,
    pub all: Duration,
}

impl Traces {
    pub fn of(shim: u32, container: &Container) -> Self {
        let mut words = vec![container.id.clone()];
        let mounts = read(container.pid, "mountinfo");
        let upper = mounts.split([',', ' ']).find_map(|word| word.strip_prefix("upperdir="));
        words.extend(upper.map(str::to_owned));
        let inside = tree(container.pid);
        let mut found = tree(shim);
        found.extend(&inside);
        found.extend(processes().into_iter().filter(|pid| read(*pid, "cmdline").contains(&container.id)));
        let processes = found.into_iter().filter_map(|pid| Some((pid, started(pid)?))).collect();
        Self { shim, processes, inside, words }
    }

    /// Waits until nothing is left of it; panics when that takes longer than [`LIMIT`].
    #[track_caller]
    pub fn gone(&self, lane: &Lane) -> Gone {
        let begun = Instant::now();
        let (mut inside, mut processes) = (None, None);
        loop {
            let alive = self.alive();
            if alive.iter().all(|(pid, _)| !self.inside.contains(pid)) {
                inside.get_or_insert_with(|| begun.elapsed());
            }
            let mut left: Vec<String> = alive.into_iter().map(|(pid, command)| format!("{pid}: {command}")).collect();
            if left.is_empty() {
                processes.get_or_insert_with(|| begun.elapsed());
                left = leftovers(lane, self.shim);
                left.extend(self.mounts());
                if let (true, Some(inside), Some(processes)) = (left.is_empty(), inside, processes) {
                    return Gone { inside, processes, all: begun.elapsed() };
                }
            }
            assert!(begun.elapsed() < LIMIT, "left behind after {LIMIT:?}: {left:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn alive(&self) -> Vec<(u32, String)> {
        let same = |(pid, start): &&(u32, String)| alive(*pid) && started(*pid).as_ref() == Some(start);
        self.processes.iter().filter(same).map(|(pid, _)| (*pid, read(*pid, "cmdline"))).collect()
    }

    /// In any mount namespace of this machine.
    fn mounts(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for pid in processes() {
            let Ok(space) = std::fs::read_link(format!("/proc/{pid}/ns/mnt")) else { continue };
            if seen.insert(space) {
                let mounts = read(pid, "mountinfo");
                let ours = mounts.lines().filter(|line| self.words.iter().any(|word| line.contains(word)));
                found.extend(ours.map(|line| format!("mount seen by {pid}: {line}")));
            }
        }
        found
    }
}

/// A process and all below it.
fn tree(root: u32) -> BTreeSet<u32> {
    let (mut found, mut open) = (BTreeSet::new(), vec![root]);
    while let Some(pid) = open.pop() {
        found.insert(pid);
        open.extend(children(pid));
    }
    found
}

pub fn read(pid: u32, file: &str) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

/// When a process was started: its number alone may be somebody else's next.
fn started(pid: u32) -> Option<String> {
    Some(read(pid, "stat").rsplit_once(')')?.1.split_whitespace().nth(19)?.to_owned())
}
