//! Whether somebody in the box tried to reach a network where there is none but the loopback, as the kernel counts it.

use std::fs::read_to_string;
use std::time::{Duration, Instant};

/// How long after its start a program is asked about first; then after twice the time, up to the longest.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(8);

/// Looks now and then until it has found something.
pub struct Lookout {
    next: Instant,
    pause: Duration,
}

impl Lookout {
    pub fn new() -> Self {
        Self { next: Instant::now() + FIRST, pause: FIRST }
    }

    /// When to look next.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// Looks, if it is time or this is the `last` time.
    pub fn found(&mut self, last: bool) -> bool {
        if !last && Instant::now() < self.next {
            return false;
        }
        self.pause = LONGEST.min(self.pause * 2);
        self.next = Instant::now() + self.pause;
        let read = |path| read_to_string(path).unwrap_or_default();
        is_counted(&read("/proc/self/net/snmp"), &read("/proc/self/net/snmp6"))
    }
}

/// Packets that no route was found for, and datagrams to a port of the loopback that nobody has: without a resolv.conf
/// the C library asks there for every name (resolv.conf(5)).
fn is_counted(snmp: &str, snmp6: &str) -> bool {
    let mut lines = snmp.lines();
    // Each protocol has a line of names, and then one of numbers (proc_pid_net(5)).
    while let (Some(names), Some(numbers)) = (lines.next(), lines.next()) {
        let mut both = names.split(' ').zip(numbers.split(' '));
        let is_one = |(name, number): (&str, &str)| matches!(name, "OutNoRoutes" | "NoPorts") && number != "0";
        if both.any(is_one) {
            return true;
        }
    }
    snmp6.lines().any(|line| {
        let mut words = line.split_whitespace();
        matches!(words.next(), Some("Ip6OutNoRoutes" | "Udp6NoPorts")) && words.next().is_some_and(|n| n != "0")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNMP: &str = "Ip: Forwarding OutDiscards OutNoRoutes ReasmTimeout\nIp: 2 0 ROUTES 0\n\
        Icmp: InMsgs\nIcmp: 7\nUdp: InDatagrams NoPorts InErrors\nUdp: 9 PORTS 1\n";
    const SNMP6: &str =
        "Ip6InReceives                   \t3\nIp6OutNoRoutes                  \tROUTES\nUdp6NoPorts \tPORTS\n";

    #[test]
    fn what_was_sent_nowhere() {
        let filled = |text: &str, routes: &str, ports: &str| text.replace("ROUTES", routes).replace("PORTS", ports);
        let counted = |four: (&str, &str), six: (&str, &str)| {
            is_counted(&filled(SNMP, four.0, four.1), &filled(SNMP6, six.0, six.1))
        };
        let none = ("0", "0");
        assert!(!counted(none, none) && !is_counted("", ""));
        for some in [("2", "0"), ("0", "4")] {
            assert!(counted(some, none) && counted(none, some), "{some:?}");
        }
    }
}
