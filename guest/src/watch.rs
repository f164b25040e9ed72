//! Keeping limits that the engine could not set: rootless engines on cgroup v1, or without
//! delegation, run a box without any.

use std::time::Duration;

use jitbox_guest::protocol::{End, Watch};

use crate::usage;

/// How long between two looks.
pub const INTERVAL: Duration = Duration::from_millis(250);

/// What a look has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Bytes of all processes, and of the files that are in memory.
    pub memory: u64,
    /// Processes and threads.
    pub tasks: u64,
}

/// Looks at everything in the box.
pub fn look() -> Seen {
    let mut seen = Seen { memory: usage::of_files(), tasks: 0 };
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().filter(|n| n.bytes().all(|b| b.is_ascii_digit())) else {
            continue;
        };
        if pid == "1" {
            continue;
        }
        if let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) {
            let (bytes, threads) = of_process(&status);
            seen.memory += bytes;
            seen.tasks += threads;
        }
    }
    seen
}

impl Seen {
    /// Which limit is broken.
    pub fn over(self, watch: Watch) -> Option<End> {
        if watch.memory > 0 && self.memory > watch.memory {
            Some(End::OverMemory(self.memory))
        } else if watch.pids > 0 && self.tasks > watch.pids {
            Some(End::OverPids(self.tasks))
        } else {
            None
        }
    }
}

/// Bytes that are the process's own (anonymous and shared memory; mapped files can be dropped
/// by the kernel at any time and are not counted by a cgroup in the same way), and its threads.
fn of_process(status: &str) -> (u64, u64) {
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|number| number.parse::<u64>().ok())
    };
    // gVisor only knows the sum.
    let own = field("RssAnon:").map(|anonymous| anonymous + field("RssShmem:").unwrap_or(0));
    let kib = own.or_else(|| field("VmRSS:")).unwrap_or(0);
    (kib * 1024, field("Threads:").unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_proc_5_documents() {
        let status = "Name:\tnode\nThreads:\t11\nRssAnon:\t    2048 kB\nRssFile:\t 9999 kB\nRssShmem:\t1024 kB\n";
        assert_eq!(of_process(status), (3 << 20, 11));
        assert_eq!(of_process("Name:\tkthread\n"), (0, 0));
    }

    #[test]
    fn names_the_broken_limit() {
        let seen = Seen { memory: 5, tasks: 2 };
        assert_eq!(seen.over(Watch::default()), None);
        assert_eq!(seen.over(Watch { memory: 5, pids: 2, ..Watch::default() }), None);
        assert_eq!(seen.over(Watch { memory: 4, pids: 1, ..Watch::default() }), Some(End::OverMemory(5)));
        assert_eq!(seen.over(Watch { pids: 1, ..Watch::default() }), Some(End::OverPids(2)));
    }

    #[test]
    fn finds_this_process() {
        let seen = look();
        assert!(seen.memory > 0 && seen.tasks > 0, "{seen:?}");
    }
}
