//! What the box used, and which limits it met: read once, when the program has ended.

use std::fs::read_to_string;

use jitbox_guest::protocol::{PLACES, Usage};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use nix::sys::statvfs::{Statvfs, statvfs};
use nix::sys::time::TimeValLike;
use nix::unistd::getpid;

/// Where the box's own cgroup is, its namespace being private.
const CGROUP: &str = "/sys/fs/cgroup";

/// A version 1 limit that is none: the largest number of whole pages.
const UNLIMITED: u64 = 1 << 60;

/// What tmpfs keeps of a file besides its pages, roughly: an inode and a directory entry.
const INODE: u64 = 1 << 10;

/// Everything that can be known. `seen` is the most memory that the watch has found.
pub fn of_the_box(seen: u64) -> Usage {
    let mut usage = Usage { memory: seen, ..Usage::default() };
    if let Ok(children) = getrusage(UsageWho::RUSAGE_CHILDREN) {
        let cpu = children.user_time() + children.system_time();
        usage.cpu_ms = cpu.num_milliseconds().cast_unsigned();
        // In KiB (getrusage(2)).
        usage.memory = usage.memory.max(children.max_rss().cast_unsigned() << 10);
    }
    // Outside a box (tests) neither the cgroup nor the places are ours.
    if getpid().as_raw() == 1 {
        cgroup(&mut usage, |file| read_to_string(format!("{CGROUP}/{file}")).ok());
        usage.full = full();
    }
    usage
}

/// What the cgroup says, in version 2 or 1. A controller without a limit may not be ours alone:
/// a rootless engine on version 1 leaves boxes in the user's own cgroup.
fn cgroup(usage: &mut Usage, read: impl Fn(&str) -> Option<String>) {
    let field = |files: [&str; 2], name: &str| {
        let text = files.into_iter().find_map(&read)?;
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse::<u64>().ok();
        text.lines().find_map(value)
    };
    let number = |files: [&str; 2]| files.into_iter().find_map(&read)?.split_whitespace().next()?.parse::<u64>().ok();
    if number(["memory.max", "memory/memory.limit_in_bytes"]).is_some_and(|limit| limit < UNLIMITED) {
        let most = number(["memory.peak", "memory/memory.max_usage_in_bytes"]);
        usage.memory = most.unwrap_or(usage.memory);
        usage.out_of_memory = field(["memory.events", "memory/memory.oom_control"], "oom_kill").unwrap_or(0);
    }
    if number(["pids.max", "pids/pids.max"]).is_some() {
        usage.refused = field(["pids.events", "pids/pids.events"], "max").unwrap_or(0);
    }
    // "max" and -1 are no numbers.
    if number(["cpu.max", "cpu/cpu.cfs_quota_us"]).is_some() {
        let stat = ["cpu.stat", "cpu/cpu.stat"];
        usage.periods = field(stat, "nr_periods").unwrap_or(0);
        usage.throttled = field(stat, "nr_throttled").unwrap_or(0);
        // All processes, not only those that somebody has waited for.
        let all = field(["cpu.stat", ""], "usage_usec").map(|us| us / 1000);
        let all = all.or_else(|| number(["cpuacct/cpuacct.usage", ""]).map(|ns| ns / 1_000_000));
        usage.cpu_ms = all.unwrap_or(usage.cpu_ms);
    }
}

/// Which of the [`PLACES`] are full: less than a sixty-fourth is left, or no name for a file.
fn full() -> u8 {
    let is_full = |path: &&str| {
        in_memory(path).is_some_and(|fs| {
            fs.blocks() > 0 && fs.blocks_available() < fs.blocks() / 64 || fs.files() > 0 && fs.files_free() == 0
        })
    };
    let full = PLACES.iter().enumerate().filter(|(_, path)| is_full(path));
    full.fold(0, |bits, (bit, _)| bits | 1 << bit)
}

/// The memory that files in the [`PLACES`] take, in bytes.
pub fn of_files() -> u64 {
    let bytes = |fs: Statvfs| {
        let pages = fs.blocks().saturating_sub(fs.blocks_free()) * fs.fragment_size();
        pages + fs.files().saturating_sub(fs.files_free()) * INODE
    };
    PLACES.iter().filter_map(|path| in_memory(path)).map(bytes).sum()
}

fn in_memory(path: &str) -> Option<Statvfs> {
    statfs(path).ok().filter(|fs| fs.filesystem_type() == TMPFS_MAGIC)?;
    statvfs(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Usage {
        let mut usage = Usage { memory: 7, cpu_ms: 8, ..Usage::default() };
        cgroup(&mut usage, |file| files.iter().find(|(name, _)| *name == file).map(|(_, text)| (*text).to_owned()));
        usage
    }

    #[test]
    fn version_2() {
        let usage = read(&[
            ("memory.max", "536870912\n"),
            ("memory.peak", "1000\n"),
            ("memory.events", "low 0\nhigh 0\nmax 30\noom 2\noom_kill 1\noom_group_kill 0\n"),
            ("pids.max", "256\n"),
            ("pids.events", "max 12\n"),
            ("cpu.max", "200000 100000\n"),
            ("cpu.stat", "usage_usec 5000000\nuser_usec 1\nnr_periods 20\nnr_throttled 9\nthrottled_usec 3\n"),
        ]);
        let wanted =
            Usage { memory: 1000, cpu_ms: 5000, out_of_memory: 1, refused: 12, periods: 20, throttled: 9, full: 0 };
        assert_eq!(usage, wanted);
    }

    #[test]
    fn version_1() {
        let usage = read(&[
            ("memory/memory.limit_in_bytes", "536870912\n"),
            ("memory/memory.max_usage_in_bytes", "2000\n"),
            ("memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"),
            ("pids/pids.max", "99\n"),
            ("pids/pids.events", "max 1\n"),
            ("cpu/cpu.cfs_quota_us", "150000\n"),
            ("cpu/cpu.stat", "nr_periods 4\nnr_throttled 2\nthrottled_time 1\n"),
            ("cpuacct/cpuacct.usage", "6000000\n"),
        ]);
        let wanted = Usage { memory: 2000, cpu_ms: 6, out_of_memory: 3, refused: 1, periods: 4, throttled: 2, full: 0 };
        assert_eq!(usage, wanted);
    }

    #[test]
    fn what_is_not_limited_is_not_ours() {
        let usage = read(&[
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/memory.max_usage_in_bytes", "2000\n"),
            ("memory/memory.oom_control", "oom_kill 3\n"),
            ("pids.max", "max\n"),
            ("pids.events", "max 1\n"),
            ("cpu/cpu.cfs_quota_us", "-1\n"),
            ("cpu/cpu.stat", "nr_periods 4\nnr_throttled 2\n"),
            ("cpuacct/cpuacct.usage", "6000000\n"),
        ]);
        assert_eq!(usage, Usage { memory: 7, cpu_ms: 8, ..Usage::default() });
    }
}
