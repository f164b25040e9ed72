//! Holding the box to its processors where the engine can't (rootless on cgroup v1, or without delegation): what used
//! more than its share of the time is stopped until it has not.

use std::fs::{read_dir, read_to_string};
use std::time::{Duration, Instant};

use jitbox_guest::protocol::Usage;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};

/// How long between two looks at a box that uses next to nothing, …
const SELDOM: Duration = Duration::from_millis(250);
/// … and at one that uses what it may.
const OFTEN: Duration = Duration::from_millis(20);

/// What can be saved up, in seconds of the box's share (a start needs more than that for a moment), …
const SAVED: f64 = 1.0;
/// … and what can be owed.
const OWED: f64 = 5.0;

/// The kernel's unit of processor time in proc_pid_stat(5): it is 1/100 s for every program (time(7), `USER_HZ`).
const TICKS: f64 = 100.0;

/// As long as a period of the kernel's own limit, in which what the box used is counted (cpu.stat, `nr_periods`).
const PERIOD: Duration = Duration::from_millis(100);

/// What the box may use, and has used.
pub struct Hold {
    share: Share,
    looked: Instant,
    next: Instant,
    /// While everything is stopped: those who had stopped themselves.
    stopped: Option<Vec<i32>>,
    /// When this period began, and whether the box was held in it.
    period: (Instant, bool),
    periods: u64,
    throttled: u64,
}

impl Hold {
    /// Holds the box to so many thousandths of a processor; 0: there is nothing to hold it to.
    pub fn to(thousandths: u32) -> Option<Self> {
        let now = Instant::now();
        let share = Share::of(f64::from(thousandths) / 1000.0);
        let hold =
            Self { share, looked: now, next: now, stopped: None, period: (now, false), periods: 0, throttled: 0 };
        // Outside a box (tests) there is more in /proc than ours.
        (thousandths > 0 && getpid().as_raw() == 1).then_some(hold)
    }

    /// When to look again.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// Looks what the box has used since the last time, and stops it or lets it go on.
    pub fn look(&mut self) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.release();
        let (ticks, stopped) = used();
        let spent = self.share.spend(ticks, now.saturating_duration_since(self.looked));
        self.looked = now;
        let owed = self.share.owed();
        if !owed.is_zero() {
            let _ = kill(Pid::from_raw(-1), Signal::SIGSTOP);
            self.stopped = Some(stopped);
            self.period.1 = true;
        }
        self.count(now, spent);
        self.next = now + if owed.is_zero() { self.share.interval() } else { owed };
    }

    /// Counts the periods in which something was done, as the kernel would.
    fn count(&mut self, now: Instant, spent: bool) {
        let (began, held) = self.period;
        let over = now.saturating_duration_since(began).as_millis() / PERIOD.as_millis();
        if over == 0 {
            return;
        }
        self.period = (now, self.stopped.is_some());
        if spent || held {
            self.periods += over as u64;
            self.throttled += if held { over as u64 } else { 0 };
        }
    }

    /// Lets everything go on that did not stop by itself.
    pub fn release(&mut self) {
        let Some(stopped) = self.stopped.take() else { return };
        let mut all: Vec<i32> = processes().filter(|pid| !stopped.contains(pid)).collect();
        // Children first: a shell that looks after one finds it running, and leaves it the terminal.
        all.sort_unstable_by(|a, b| b.cmp(a));
        for pid in all {
            let _ = kill(Pid::from_raw(pid), Signal::SIGCONT);
        }
    }

    /// Adds what was seen to what else is known at the end.
    pub fn tell(&self, usage: &mut Usage) {
        (usage.periods, usage.throttled) = (self.periods, self.throttled);
        usage.cpu_ms = usage.cpu_ms.max((self.share.ticks as f64 * 1000.0 / TICKS) as u64);
    }
}

/// A share of the processors' time.
struct Share {
    cpus: f64,
    /// Seconds of processor time that are left; less than nothing: owed.
    left: f64,
    /// What had been used when it was last looked at.
    ticks: u64,
}

impl Share {
    fn of(cpus: f64) -> Self {
        Self { cpus, left: cpus * SAVED, ticks: 0 }
    }

    /// `ticks` have been used in all, and `time` has gone by since the last time. Whether any are new.
    fn spend(&mut self, ticks: u64, time: Duration) -> bool {
        // What a process used whom nobody waits for is not known any more.
        let spent = ticks.saturating_sub(self.ticks);
        self.ticks = ticks;
        let left = self.left + time.as_secs_f64() * self.cpus - spent as f64 / TICKS;
        self.left = left.clamp(-self.cpus * OWED, self.cpus * SAVED);
        spent > 0
    }

    /// For how long nothing may be used.
    fn owed(&self) -> Duration {
        if self.left < 0.0 { Duration::from_secs_f64(-self.left / self.cpus) } else { Duration::ZERO }
    }

    fn interval(&self) -> Duration {
        if self.left < self.cpus * SAVED / 2.0 { OFTEN } else { SELDOM }
    }
}

fn processes() -> impl Iterator<Item = i32> {
    let names = read_dir("/proc").into_iter().flatten().flatten();
    names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|pid| *pid != 1)
}

/// Ticks that the box has used, and who in it has stopped.
fn used() -> (u64, Vec<i32>) {
    let stat = |pid: i32| of_process(&read_to_string(format!("/proc/{pid}/stat")).ok()?);
    // Those who are gone are in what their parents say of their children; of PID 1 only that is the box's.
    let mut ticks = stat(1).map_or(0, |(_, _, children)| children);
    let mut stopped = Vec::new();
    for pid in processes() {
        if let Some((state, own, children)) = stat(pid) {
            ticks += own + children;
            if matches!(state, 'T' | 't') {
                stopped.push(pid);
            }
        }
    }
    (ticks, stopped)
}

/// The state, the process's own ticks and those of its children that it has waited for. Its name, in
/// parentheses, may be anything.
fn of_process(stat: &str) -> Option<(char, u64, u64)> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // The first one here is field 3 of proc_pid_stat(5); 14 to 17 are the times.
    let time = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some((fields.first()?.chars().next()?, time(14)? + time(15)?, time(16)? + time(17)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_proc_5_documents() {
        let stat = "7 (a) b (c) T 1 7 7 0 -1 4194304 100 0 0 0 11 5 3 2 20 0 1 0 300 0 0";
        assert_eq!(of_process(stat), Some(('T', 16, 5)));
        assert_eq!(of_process("7 (a) T 1"), None);
        assert!(used().0 > 0);
    }

    /// A box on two processors that takes all that it gets, for a minute: seconds that it got.
    fn burner(cpus: f64) -> f64 {
        let (mut share, mut ticks, mut time) = (Share::of(cpus), 0.0, 0.0);
        let mut step = SELDOM;
        while time < 60.0 {
            ticks += 2.0 * TICKS * step.as_secs_f64();
            time += step.as_secs_f64();
            share.spend(ticks as u64, step);
            let owed = share.owed();
            time += owed.as_secs_f64();
            share.spend(ticks as u64, owed);
            step = share.interval();
        }
        ticks / TICKS
    }

    #[test]
    fn a_burner_gets_its_share() {
        for cpus in [0.1, 0.5, 1.0, 1.5] {
            let (got, share) = (burner(cpus), 60.0 * cpus);
            assert!((share * 0.98..share * 1.02 + cpus * SAVED + 0.5).contains(&got), "{cpus}: {got}");
        }
        assert!(burner(2.0) > 119.0);
    }

    #[test]
    fn a_start_is_not_held() {
        let mut share = Share::of(1.0);
        assert!(share.spend(80, Duration::from_millis(400)));
        assert_eq!(share.owed(), Duration::ZERO);
        assert_eq!(share.interval(), SELDOM);
        assert!(!share.spend(80, Duration::from_secs(9)));
        assert!(share.spend(10_000, OFTEN));
        assert_eq!(share.owed(), Duration::from_secs(5));
    }
}
