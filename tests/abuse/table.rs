//! The probes, what came of them, and the table of both.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{LazyLock, Mutex, PoisonError};

use serde::Deserialize;

use super::Ecosystem;
use crate::support::Lane;

/// One attempt; `docs/abuse.md` says what the fields mean.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    pub id: String,
    pub what: String,
    /// The verb and its words.
    #[serde(default)]
    pub r#try: Vec<String>,
    /// What the control does instead, where the same can't be there without a box.
    pub native: Option<Vec<String>>,
    /// What the control may find on a machine that does not have what is attempted.
    #[serde(default)]
    pub lacks: Vec<String>,
    /// The mutation that is its control, for what looks no different without a box.
    pub mutation: Option<String>,
    /// A start of its own, because the box may be ended for it.
    #[serde(default)]
    pub alone: bool,
    /// In a start that has this folder of the host mounted.
    pub mounted: Option<String>,
    /// For one ecosystem only.
    pub only: Option<Ecosystem>,
    /// That it succeeds is known; SECURITY.md says why under this name …
    pub limit: Option<String>,
    /// … on these lanes: names of theirs, `our kernel` (all but gvisor), `*` (all).
    #[serde(default)]
    pub on: Vec<String>,
    /// The test that shows it.
    pub elsewhere: Option<String>,
    /// Why there is nothing to attempt yet.
    pub not_yet: Option<String>,
}

impl Probe {
    pub fn is_for(&self, ecosystem: Ecosystem) -> bool {
        !self.r#try.is_empty() && self.only.is_none_or(|only| only == ecosystem)
    }

    /// Whether its success on this lane is a known limit.
    fn may_succeed(&self, lane: &str) -> bool {
        self.limit.is_some()
            && self.on.iter().any(|on| on == lane || on == "*" || (on == "our kernel" && lane != "gvisor"))
    }
}

/// All of them, in the order of the table.
pub static PROBES: LazyLock<Vec<Probe>> =
    LazyLock::new(|| serde_json::from_str(include_str!("probes.json")).expect("tests/abuse/probes.json"));

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Denied(String),
    Succeeded(String),
    /// The kernel of the box, or of this machine, does not have what is attempted.
    Absent,
    NoAnswer,
}

/// By lane and ecosystem, then by the probe's id.
type Results = BTreeMap<(String, Ecosystem), BTreeMap<String, Outcome>>;
static RESULTS: Mutex<Results> = Mutex::new(BTreeMap::new());

/// Keeps what came of a lane's attempts; fails for those that came to what they should not.
pub fn judge(lane: &Lane, ecosystem: Ecosystem, outcomes: BTreeMap<String, Outcome>) {
    let bad: Vec<String> = PROBES
        .iter()
        .filter(|probe| probe.is_for(ecosystem))
        .filter_map(|probe| {
            let outcome = outcomes.get(&probe.id).unwrap_or(&Outcome::NoAnswer);
            (mark(probe, &lane.name, outcome) == FAILED).then(|| format!("{} {}: {outcome:?}", probe.id, probe.what))
        })
        .collect();
    RESULTS.lock().unwrap_or_else(PoisonError::into_inner).insert((lane.name.clone(), ecosystem), outcomes);
    assert!(bad.is_empty(), "not denied, and not known: {bad:#?}");
}

const DENIED: char = '.';
const KNOWN: char = 'k';
const FAILED: char = 'F';

fn mark(probe: &Probe, lane: &str, outcome: &Outcome) -> char {
    match outcome {
        Outcome::Denied(_) => DENIED,
        Outcome::Succeeded(_) if probe.may_succeed(lane) => KNOWN,
        Outcome::Absent => '-',
        Outcome::Succeeded(_) | Outcome::NoAnswer => FAILED,
    }
}

/// The table, if anything was attempted: a row for each probe, a column for each lane with a
/// character for each ecosystem.
pub fn print() {
    let results = RESULTS.lock().unwrap_or_else(PoisonError::into_inner);
    if results.is_empty() {
        return;
    }
    let mut lanes: Vec<&str> = results.keys().map(|(lane, _)| lane.as_str()).collect();
    lanes.dedup();
    let mut text = String::from("\nabuse: . denied, k known limit (SECURITY.md), F FAILED, - not there; npm, PyPI\n");
    let heads: String = lanes.iter().map(|lane| format!(" {lane}")).collect();
    let _ = writeln!(text, "{:64}{heads}", "");
    for probe in PROBES.iter() {
        let _ = write!(text, "{:5}{:59}", probe.id, probe.what);
        if let Some(why) = probe.not_yet.as_ref().or(probe.elsewhere.as_ref()) {
            let _ = writeln!(text, " {}: {why}", if probe.not_yet.is_some() { "not yet" } else { "see" });
            continue;
        }
        for lane in &lanes {
            let cell: String = Ecosystem::BOTH
                .iter()
                .map(|ecosystem| match results.get(&((*lane).to_owned(), *ecosystem)) {
                    Some(outcomes) if probe.is_for(*ecosystem) => {
                        mark(probe, lane, outcomes.get(&probe.id).unwrap_or(&Outcome::NoAnswer))
                    }
                    _ => ' ',
                })
                .collect();
            let _ = write!(text, " {cell:width$}", width = lane.len());
        }
        text.push('\n');
    }
    let count = |wanted: char| {
        let rows = results.iter().flat_map(|((lane, ecosystem), outcomes)| {
            let tried = PROBES.iter().filter(|probe| probe.is_for(*ecosystem));
            tried.map(|probe| mark(probe, lane, outcomes.get(&probe.id).unwrap_or(&Outcome::NoAnswer)))
        });
        rows.filter(|mark| *mark == wanted).count()
    };
    let _ = writeln!(
        text,
        "abuse: {} attempts denied, {} known limits, {} FAILED",
        count(DENIED),
        count(KNOWN),
        count(FAILED)
    );
    eprint!("{text}");
}

/// Every probe says what it is, every reference leads somewhere, every limit is explained.
pub fn is_whole() {
    let trials: Vec<String> = crate::TOPICS
        .iter()
        .flat_map(|(topic, cases)| cases.iter().map(move |case| format!("{topic}::{}", case.name)))
        .collect();
    let security = include_str!("../../SECURITY.md");
    let mut seen = std::collections::BTreeSet::new();
    for probe in PROBES.iter() {
        assert!(seen.insert(&probe.id), "{} is there twice", probe.id);
        let ways = [!probe.r#try.is_empty(), probe.elsewhere.is_some(), probe.not_yet.is_some()];
        assert_eq!(ways.iter().filter(|way| **way).count(), 1, "{}", probe.id);
        if let Some(test) = &probe.elsewhere {
            assert!(test.starts_with("unit: ") || trials.contains(test), "{}: there is no test {test}", probe.id);
        }
        assert_eq!(probe.limit.is_some(), !probe.on.is_empty(), "{}", probe.id);
        if let Some(limit) = &probe.limit {
            assert!(security.contains(&format!("**{limit}**")), "SECURITY.md does not explain {limit}");
        }
        if let Some(mutation) = &probe.mutation {
            let notices = |m: &&super::mutations::Mutation| m.name == mutation && m.noticed_by.contains(&&*probe.id);
            assert!(super::mutations::MUTATIONS.iter().any(|m| notices(&m)), "{}", probe.id);
        }
    }
    let numbers: std::collections::BTreeSet<u32> =
        PROBES.iter().map(|p| p.id.trim_end_matches(|c: char| c.is_ascii_lowercase()).parse().unwrap()).collect();
    assert!((1..=72).all(|number| numbers.contains(&number)), "{numbers:?}");
}
