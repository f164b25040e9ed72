//! What a person is told of a run that met a limit: which one, and what to set for more. One line.

use std::path::Path;
use std::time::Duration;

use jitbox_guest::protocol::{End, PLACES, Usage};

use crate::plan::Limits;
use crate::supervise::Outcome;

/// Fewer periods without processor time than this (of 100 ms each) are not worth a word, …
const THROTTLED: u64 = 50;
/// … nor is less than every second one of them.
const OF_PERIODS: u64 = 2;

/// The line for a run with these limits; none if it met none. `settings` is the user's file.
pub fn line(outcome: &Outcome, limits: &Limits, idle: Option<Duration>, settings: &Path) -> Option<String> {
    let met = met(outcome, limits, idle);
    let what: Vec<&str> = met.iter().map(|(what, _)| what.as_str()).collect();
    let more: Vec<&str> = met.iter().filter_map(|(_, more)| more.as_deref()).collect();
    match (what.join("; "), more.join(", ")) {
        (what, _) if what.is_empty() => None,
        (what, more) if more.is_empty() => Some(what),
        (what, more) => Some(format!("{what} (for more: [limits] {more} in {})", settings.display())),
    }
}

/// Each limit that was met, in words, and what to set.
fn met(outcome: &Outcome, limits: &Limits, idle: Option<Duration>) -> Vec<(String, Option<String>)> {
    let usage = &outcome.usage;
    let memory = limits.memory >> 20;
    let more_memory = Some(format!("memory = \"{}\"", size(limits.memory.saturating_mul(2))));
    let more_pids = Some(format!("pids = {}", limits.pids.saturating_mul(2)));
    let mut met = Vec::new();
    if let (true, Some(idle)) = (outcome.idle, idle) {
        met.push((format!("ended after {} without a byte in or out", span(idle)), Some("idle".into())));
    }
    match outcome.end {
        End::OverMemory(bytes) => {
            met.push((format!("ended for using {} MiB of memory, {memory} being the limit", bytes >> 20), more_memory));
        }
        End::OverPids(count) => {
            let what = format!("ended for having {count} processes and threads, {} being the limit", limits.pids);
            met.push((what, more_pids));
        }
        _ => {
            if usage.out_of_memory > 0 {
                let what = format!("memory ran out at {memory} MiB, and the kernel ended {}", usage.out_of_memory);
                let processes = if usage.out_of_memory == 1 { "process" } else { "processes" };
                met.push((format!("{what} {processes}"), more_memory));
            }
            if usage.refused > 0 {
                let what = format!("no more than {} processes and threads were allowed", limits.pids);
                met.push((what, more_pids));
            }
        }
    }
    met.extend(full(usage, limits.files));
    if usage.throttled >= THROTTLED && usage.throttled.saturating_mul(OF_PERIODS) >= usage.periods {
        let percent = usage.throttled.saturating_mul(100) / usage.periods.max(1);
        let what = format!("the processors were used up in {percent} % of the time");
        met.push((what, Some(format!("cpus = {}", limits.cpus * 2.0))));
    }
    met
}

/// Places in memory that were full. The smallest ones are of a fixed size.
fn full(usage: &Usage, files: u64) -> Option<(String, Option<String>)> {
    let is_full = |(bit, _): &(usize, &&str)| usage.full & (1 << bit) != 0;
    let full: Vec<&str> = PLACES.iter().enumerate().filter(is_full).map(|(_, path)| *path).collect();
    let sized = full.iter().any(|path| ["/tmp", "/state", "/dev/shm"].contains(path));
    let more = sized.then(|| format!("tmp = \"{}\"", size(files.saturating_mul(2))));
    let are = if full.len() == 1 { "was" } else { "were" };
    (!full.is_empty()).then(|| (format!("{} {are} full", full.join(" and ")), more))
}

/// A size as the settings take it.
fn size(bytes: u64) -> String {
    [(30, "g"), (20, "m"), (10, "k")]
        .into_iter()
        .find(|(shift, _)| bytes > 0 && bytes.trailing_zeros() >= *shift)
        .map_or_else(|| bytes.to_string(), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match () {
        () if seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        () if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        () => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(end: End, usage: Usage, idle: bool) -> Option<String> {
        let limits = Limits { memory: 512 << 20, cpus: 2.0, pids: 256, nofile: 4096, files: 64 << 20 };
        let outcome = Outcome { end, usage, idle, boot_id: String::new() };
        line(&outcome, &limits, Some(Duration::from_secs(1800)), Path::new("/c/config.toml"))
    }

    #[test]
    fn nothing_met_nothing_said() {
        assert_eq!(said(End::Exited(0), Usage { memory: 1 << 29, cpu_ms: 1 << 40, ..Usage::default() }, false), None);
        // A burst at the start is what the limit is for.
        assert_eq!(said(End::Exited(0), Usage { periods: 40, throttled: 40, ..Usage::default() }, false), None);
        assert_eq!(said(End::Exited(0), Usage { periods: 9000, throttled: 60, ..Usage::default() }, false), None);
    }

    #[test]
    fn each_limit_names_itself_and_what_to_set() {
        let of = |usage| said(End::Exited(1), usage, false).unwrap();
        let memory = of(Usage { out_of_memory: 1, ..Usage::default() });
        assert_eq!(
            memory,
            "memory ran out at 512 MiB, and the kernel ended 1 process (for more: [limits] memory = \"1g\" in /c/config.toml)"
        );
        assert!(of(Usage { refused: 3, ..Usage::default() }).contains("256 processes"));
        assert!(of(Usage { refused: 3, ..Usage::default() }).contains("[limits] pids = 512 in"));
        let full = of(Usage { full: 0b101, ..Usage::default() });
        assert!(full.starts_with("/tmp and /dev/shm were full") && full.contains("tmp = \"128m\""), "{full}");
        assert_eq!(of(Usage { full: 0b10000, ..Usage::default() }), "/run was full");
        let busy = of(Usage { periods: 100, throttled: 90, ..Usage::default() });
        assert!(busy.contains("90 %") && busy.contains("cpus = 4"), "{busy}");
        let both = of(Usage { refused: 3, out_of_memory: 2, ..Usage::default() });
        assert!(both.contains("; ") && both.contains("memory = \"1g\", pids = 512"), "{both}");
        assert!(!both.contains('\n'));
    }

    #[test]
    fn what_the_guest_ended_says_so() {
        let over = said(End::OverMemory(600 << 20), Usage::default(), false).unwrap();
        assert!(over.contains("600 MiB of memory, 512") && over.contains("[limits] memory"), "{over}");
        let over = said(End::OverPids(300), Usage { refused: 9, ..Usage::default() }, false).unwrap();
        assert!(over.contains("300 processes") && !over.contains("no more than"), "{over}");
        let idle = said(End::Signaled(15), Usage::default(), true).unwrap();
        assert!(idle.contains("30 min") && idle.contains("[limits] idle"), "{idle}");
    }

    #[test]
    fn sizes_are_as_the_settings_take_them() {
        for (bytes, text) in [(1 << 30, "1g"), (96 << 20, "96m"), (3 << 10, "3k"), (1000, "1000")] {
            assert_eq!(size(bytes), text);
            assert_eq!(crate::config::parse_bytes(text), Some(bytes));
        }
    }
}
