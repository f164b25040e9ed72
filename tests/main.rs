//! The integration tests: jitbox on real engines.
//!
//! There is one trial per case and lane, named `lane::topic::case`; lanes are what
//! `scripts/testbed lanes` prints. `cargo test --test jitbox -- docker::` runs one lane's.
//! Where lanes have to be there (CI, or `JITBOX_REQUIRE_LANES=1`), a missing one is a failure.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::exit,
    clippy::too_many_lines,
    missing_docs,
    reason = "tests start processes, look at the machine, and fail by panicking"
)]

mod abuse;
mod bases;
mod build;
mod cache;
mod cli;
mod confinement;
mod death;
mod development;
mod grants;
mod guest;
mod known;
mod launchers;
mod limits;
mod local;
mod oracle;
mod poison;
mod projects;
mod registries;
mod scripts;
mod secrets;
mod servers;
mod sources;
mod state;
mod support;
mod terminal;
mod transparency;
mod trouble;
mod updates;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};

use support::Lane;
use support::lane::{lanes, missing};

/// One test, to be run on every lane that it is for.
pub struct Case {
    pub name: &'static str,
    pub run: fn(&'static Lane),
    /// On which lanes it makes sense.
    pub on: fn(&Lane) -> bool,
    /// Only when it is asked for (`--ignored`).
    pub by_hand: bool,
}

impl Case {
    pub const fn new(name: &'static str, run: fn(&'static Lane)) -> Self {
        Self { name, run, on: |_| true, by_hand: false }
    }

    pub const fn by_hand(mut self) -> Self {
        self.by_hand = true;
        self
    }

    pub const fn on(mut self, on: fn(&Lane) -> bool) -> Self {
        self.on = on;
        self
    }
}

/// Every topic, with its cases.
const TOPICS: &[(&str, &[Case])] = &[
    ("abuse", abuse::CASES),
    ("bases", bases::CASES),
    ("build", build::CASES),
    ("cache", cache::CASES),
    ("death", death::CASES),
    ("servers", servers::CASES),
    ("sources", sources::CASES),
    ("transparency", transparency::CASES),
    ("trouble", trouble::CASES),
    ("updates", updates::CASES),
    ("terminal", terminal::CASES),
    ("confinement", confinement::CASES),
    ("grants", grants::CASES),
    ("known", known::CASES),
    ("limits", limits::CASES),
    ("local", local::CASES),
    ("scripts", scripts::CASES),
    ("secrets", secrets::CASES),
    ("state", state::CASES),
    ("cli", cli::CASES),
    ("development", development::CASES),
    ("launchers", launchers::CASES),
    ("poison", poison::CASES),
    ("projects", projects::CASES),
    ("registries", registries::CASES),
];

/// Tests that need no engine, `topic::case`.
type Plain = (&'static str, fn());
const PLAIN: &[&[Plain]] = &[abuse::PLAIN, cli::PLAIN, grants::PLAIN, guest::PLAIN, launchers::PLAIN, oracle::PLAIN];

/// How long each trial took that went well.
static TOOK: Mutex<Vec<(Duration, String)>> = Mutex::new(Vec::new());

fn main() -> std::process::ExitCode {
    // In one line, so that whoever keeps a few lines of a long log has it.
    std::panic::set_hook(Box::new(|panic| {
        let words = panic.payload_as_str().unwrap_or("no words").replace('\n', "\\n");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        eprintln!("panicked at {place}: {words}");
    }));
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(3);
    let mut trials = vec![Trial::test("lanes::all_there", all_there)];
    for (name, run) in PLAIN.iter().copied().flatten() {
        trials.push(Trial::test(*name, move || {
            run();
            Ok(())
        }));
    }
    for lane in lanes() {
        for (topic, cases) in TOPICS.iter().filter(|(topic, _)| lane.runs(topic)) {
            for case in cases.iter().filter(|case| (case.on)(lane)) {
                let name = format!("{}::{topic}::{}", lane.name, case.name);
                let trial = Trial::test(name.clone(), move || {
                    let begun = Instant::now();
                    (case.run)(lane);
                    TOOK.lock().unwrap().push((begun.elapsed(), name));
                    Ok(())
                });
                trials.push(trial.with_ignored_flag(case.by_hand));
            }
        }
    }
    let leftovers = || [orphans(), mounts()].concat();
    let before = leftovers();
    let conclusion: Conclusion = libtest_mimic::run(&arguments, trials);
    support::home::clear_up();
    registries::end();
    abuse::print();
    abuse::end();
    print_times();
    let new: Vec<String> = leftovers().into_iter().filter(|one| !before.contains(one)).collect();
    if !new.is_empty() {
        eprintln!("left behind by some test: {new:#?}");
        return std::process::ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

/// Where the time of many trials went, topic by topic and lane by lane. They ran beside each other: the sums are more than
/// the whole took.
fn print_times() {
    let took = TOOK.lock().unwrap();
    if took.len() < 100 {
        return;
    }
    for part in [0, 1] {
        let mut sums = BTreeMap::<&str, Duration>::new();
        for (time, name) in took.iter() {
            *sums.entry(name.split("::").nth(part).unwrap()).or_default() += *time;
        }
        let mut sums: Vec<(&str, Duration)> = sums.into_iter().collect();
        sums.sort_by_key(|(_, sum)| std::cmp::Reverse(*sum));
        let sums: Vec<String> = sums.iter().map(|(name, sum)| format!("{name} {:.0}", sum.as_secs_f32())).collect();
        eprintln!("seconds: {}", sums.join(", "));
    }
    let mut slowest: Vec<&(Duration, String)> = took.iter().collect();
    slowest.sort_by(|one, other| other.cmp(one));
    for (time, name) in slowest.iter().take(40) {
        eprintln!("{:6.1} s {name}", time.as_secs_f32());
    }
}

/// Containers that were made and never started, by engines whose client was killed meanwhile:
/// the runtime's process waits for ever, and nothing in it says whose it is.
fn orphans() -> Vec<String> {
    let is_orphan = |pid: &u32| {
        let command = death::command(*pid);
        let runtime = command.starts_with("runc init") || command.contains("crun create ");
        runtime && support::lane::parent(*pid) == Some(1)
    };
    support::lane::processes()
        .into_iter()
        .filter(is_orphan)
        .map(|pid| format!("{pid} {}", death::command(pid)))
        .collect()
}

/// Mounts below the folder for temporary files, where nerdctl looks into an image before it runs it.
fn mounts() -> Vec<String> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let below = format!(" {}/", std::env::temp_dir().display());
    mounts.lines().filter(|mount| mount.contains(&below)).map(str::to_owned).collect()
}

/// Every lane that this machine is meant to have is up.
fn all_there() -> Result<(), Failed> {
    match missing() {
        names if names.is_empty() => Ok(()),
        names => Err(format!("not up: {} (scripts/testbed up)", names.join(" ")).into()),
    }
}
