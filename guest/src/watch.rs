//! Keeping limits that the engine could not set: rootless engines on cgroup v1, or without
//! delegation, run a box without any.

use jitbox_guest::protocol::{End, Watch};

/// Milliseconds between two looks.
pub const INTERVAL_MS: u16 = 250;

/// Looks at everything in the box; says which limit is broken.
pub fn look(watch: Watch) -> Option<End> {
    let (mut memory, mut tasks) = (0, 0);
    for entry in std::fs::read_dir("/proc").ok()?.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().filter(|n| n.bytes().all(|b| b.is_ascii_digit())) else {
            continue;
        };
        if pid == "1" {
            continue;
        }
        if let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) {
            let (bytes, threads) = usage(&status);
            memory += bytes;
            tasks += threads;
        }
    }
    if watch.memory > 0 && memory > watch.memory {
        Some(End::OverMemory(memory))
    } else if watch.pids > 0 && tasks > watch.pids {
        Some(End::OverPids(tasks))
    } else {
        None
    }
}

/// Bytes that are the process's own (anonymous and shared memory; mapped files can be dropped
/// by the kernel at any time and are not counted by a cgroup in the same way), and its threads.
fn usage(status: &str) -> (u64, u64) {
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
        assert_eq!(usage(status), (3 << 20, 11));
        assert_eq!(usage("Name:\tkthread\n"), (0, 0));
    }

    #[test]
    fn names_the_broken_limit() {
        assert_eq!(look(Watch { memory: 0, pids: 0 }), None);
        assert!(matches!(look(Watch { memory: 1, pids: 0 }), Some(End::OverMemory(n)) if n > 1));
        assert!(matches!(look(Watch { memory: 0, pids: 1 }), Some(End::OverPids(n)) if n > 1));
    }
}
