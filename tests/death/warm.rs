//! What a warm start needs: one call of the engine, and nothing from the network.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use super::SERVER;
use crate::support::lane::testbed;
use crate::support::run::finish;
use crate::support::{Carrier, Home, Lane, run};

/// Nobody listens there.
const NOWHERE: [&str; 2] = ["HTTPS_PROXY=http://127.0.0.1:9", "HTTP_PROXY=http://127.0.0.1:9"];

/// In a network namespace that has nothing but a loopback device that is down.
pub fn without_network(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&SERVER]);
    let command = home.shim(SERVER.shim, SERVER.args);
    let mut cut = Command::new(testbed());
    cut.args(["run", &lane.name, "--", "unshare", "--net"]);
    cut.args(command.get_args().skip_while(|word| *word != "--").skip(1)).current_dir(&home.dir);
    assert_eq!(run(cut, b"").ok().text(), "moo\n");
}

/// Counted in the system calls of the shim and all that it starts.
pub fn one_call(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&SERVER]);
    // The first start makes the volume for what the server keeps.
    run(home.shim(SERVER.shim, SERVER.args), b"").ok();
    let command = home.shim_with(&NOWHERE, SERVER.shim, SERVER.args);
    let log = home.dir.join("calls");
    let mut traced = Command::new("strace");
    traced.args([
        "--follow-forks",
        "--quiet=all",
        "--string-limit=200",
        "--trace=connect,execve,fork,vfork,clone,clone3",
    ]);
    traced.arg("--output").arg(&log).arg("--").arg(command.get_program()).args(command.get_args());
    traced.current_dir(&home.dir).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Its input stays open: it is slow enough to be ended for its end.
    assert_eq!(finish(traced.spawn().unwrap()).ok().text(), "moo\n");

    let calls = Calls::read(&std::fs::read_to_string(&log).unwrap());
    let keepers = usize::from(lane.engine() == "nerdctl");
    let (ours, engines): (Vec<_>, Vec<_>) = calls.programs.iter().partition(|p| p.contains("/proc/self/exe"));
    assert_eq!(engines.len(), 1, "{:#?}", calls.programs);
    // Another one may clear up after somebody else.
    assert!(ours.len() >= keepers, "{:#?}", calls.programs);
    assert!(engines[0].contains(&format!("/{}\"", lane.engine())), "{engines:?}");
    assert!(calls.internet.is_empty(), "{:#?}", calls.internet);
}

/// What the shim itself did.
#[derive(Default)]
struct Calls {
    /// Programs that its children became; once for each child.
    programs: Vec<String>,
    /// Connections that it tried to make over the network.
    internet: Vec<String>,
}

impl Calls {
    fn read(log: &str) -> Self {
        let mut calls = Self::default();
        let mut threads: BTreeSet<&str> = BTreeSet::new();
        let mut children: BTreeSet<&str> = BTreeSet::new();
        let mut programs: BTreeMap<&str, &str> = BTreeMap::new();
        let mut unfinished: BTreeMap<&str, &str> = BTreeMap::new();
        for line in log.lines() {
            let Some((pid, call)) = line.split_once(' ') else { continue };
            let call = call.trim();
            if call.starts_with("execve(\"") && call.contains("/npx-safe\", [") {
                // The test bed becomes the shim.
                threads.insert(pid);
            }
            if call.starts_with("execve(") {
                // It may come before we see the fork's result.
                programs.entry(pid).or_insert(call);
            }
            if !threads.contains(pid) {
                continue;
            }
            if call.contains("sa_family=AF_INET") {
                calls.internet.push(call.to_owned());
            }
            if call.contains("<unfinished") {
                unfinished.insert(pid, call);
                continue;
            }
            let begun = if call.starts_with("<...") { unfinished.remove(pid).unwrap_or_default() } else { call };
            let forks = ["fork(", "vfork(", "clone(", "clone3("].iter().any(|name| begun.starts_with(name));
            if let Some((_, result)) = call.rsplit_once("= ").filter(|_| forks) {
                let new = result.split_whitespace().next().unwrap_or_default();
                if begun.contains("CLONE_THREAD") {
                    threads.insert(new)
                } else {
                    children.insert(new)
                };
            }
        }
        calls.programs = children.iter().filter_map(|pid| programs.get(pid)).map(|call| (*call).to_owned()).collect();
        calls
    }
}
