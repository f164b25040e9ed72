//! What a hostile package would try, from inside a box: one npm package and one PyPI package of
//! ours make every attempt of `probes.json`. Each attempt succeeds without a box (the controls),
//! and with any one guard taken away some attempt succeeds (the mutations).

mod fixture;
mod mutations;
mod outside;
mod table;

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Case;
use crate::support::{Carrier, Home, Lane, run};
pub use fixture::end;
pub use table::print;
use table::{Outcome, PROBES, Probe};

pub const CASES: &[Case] = &[
    Case::new("npm", |lane| denied(lane, Ecosystem::Npm)),
    Case::new("pypi", |lane| denied(lane, Ecosystem::Pypi)),
    // gVisor's kernel is another one.
    Case::new("system_calls", system_calls).on(|lane| !lane.is_gvisor()),
    Case::new("mutations", mutations::each).on(mutations::here),
    Case::new("seen_from_outside", outside::each).on(mutations::here),
    Case::new("image", outside::image).on(mutations::here),
    Case::new("nothing_is_pulled", outside::nothing_is_pulled).on(mutations::here),
];

pub const PLAIN: &[(&str, fn())] = &[
    ("abuse::the_table_is_whole", table::is_whole),
    ("abuse::controls_npm", || succeed_without_box(Ecosystem::Npm)),
    ("abuse::controls_pypi", || succeed_without_box(Ecosystem::Pypi)),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ecosystem {
    Npm,
    Pypi,
}

impl Ecosystem {
    pub const BOTH: [Self; 2] = [Self::Npm, Self::Pypi];
}

/// Small enough to be used up quickly.
const LIMITS: &str = "[limits]\nmemory = \"400m\"\npids = 64\ntmp = \"16m\"\n";

fn denied(lane: &'static Lane, ecosystem: Ecosystem) {
    let fixture = fixture::get();
    let home = Home::warmed(lane, Carrier::Chosen, &[fixture.line(ecosystem)]);
    home.configure(LIMITS);
    let probes: Vec<&Probe> = PROBES.iter().filter(|probe| probe.is_for(ecosystem)).collect();
    let mut outcomes = fixture.in_box(&home, ecosystem, &probes);
    if ecosystem == Ecosystem::Npm && !lane.is_gvisor() {
        // The other carrier has other descriptors: what succeeds on either has succeeded. Its
        // pipes are the box's own, which the program may open as it likes.
        drop(home);
        let home = Home::warmed(lane, Carrier::Stream, &[fixture.line(ecosystem)]);
        let of_the_link = |probe: &&&Probe| ["24", "45", "65"].iter().any(|number| probe.id.starts_with(number));
        let probes: Vec<&Probe> = probes.iter().filter(of_the_link).copied().collect();
        let again = fixture.in_box(&home, ecosystem, &probes);
        outcomes.extend(again.into_iter().filter(|(_, outcome)| !matches!(outcome, Outcome::Denied(_))));
    }
    table::judge(lane, ecosystem, outcomes);
    fixture.host.is_unharmed();
}

fn succeed_without_box(ecosystem: Ecosystem) {
    let fixture = fixture::get();
    let probes: Vec<&Probe> =
        PROBES.iter().filter(|probe| probe.is_for(ecosystem) && probe.mutation.is_none()).collect();
    let outcomes: BTreeMap<String, Outcome> = fixture.without_box(ecosystem, &probes);
    let bad: Vec<String> = probes
        .iter()
        .filter_map(|probe| match outcomes.get(&probe.id) {
            Some(Outcome::Succeeded(_)) => None,
            Some(Outcome::Denied(how)) if probe.lacks.contains(how) => None,
            other => Some(format!("{} {}: {other:?}", probe.id, probe.what)),
        })
        .collect();
    assert!(bad.is_empty(), "these prove nothing, since they fail without a box: {bad:#?}");
}

/// The filter answers each call with the error that programs expect.
fn system_calls(lane: &'static Lane) {
    let fixture = fixture::get();
    let home = Home::warmed(lane, Carrier::Chosen, &[fixture.line(Ecosystem::Npm)]);
    let url = fixture.line(Ecosystem::Npm).args[1];
    let script = "const { spawnSync } = require('child_process'); \
        spawnSync('/app/node_modules/jitbox-abuse/system-calls', { stdio: 'inherit' })";
    let done = run(home.shim("npx-safe", ["-y", "-p", url, "node", "-e", script]), b"").ok();
    let expected = include_str!("../probe/seccomp.expected");
    let text = done.text();
    assert_eq!(text.lines().count(), expected.lines().count(), "{text}");
    for (line, wanted) in text.lines().zip(expected.lines()) {
        // Docker before 23 has EPERM for whatever the profile does not spell out.
        let spelled_out = ["clone3", "execveat", "io_uring_setup"].iter().any(|name| wanted.starts_with(name));
        let old = lane.name == "docker" && !spelled_out && line == wanted.replace("ENOSYS", "EPERM");
        assert!(line == wanted || old, "{line}, not {wanted}");
    }
}
