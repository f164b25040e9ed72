//! One flag less at a time: with each that jitbox gives an engine taken away, some attempt
//! succeeds that is denied with it.
//!
//! The switch is not in jitbox. The settings name a program of the test's as the engine; it edits
//! the words of the command line and becomes the real engine. Whoever can do that to a user can
//! put any program in the engine's place.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::table::{Outcome, PROBES, Probe};
use super::{Ecosystem, LIMITS, fixture};
use crate::support::home::COWSAY;
use crate::support::{Carrier, Home, Lane};

/// A change of the command line.
pub struct Mutation {
    pub name: &'static str,
    /// An edit of each word, for sed; a word of which nothing is left is dropped.
    edit: &'static str,
    /// The attempts that succeed then, each of them.
    pub noticed_by: &'static [&'static str],
    /// The engines that get the flag.
    on: &'static [&'static str],
}

const MOUNT: &str = "mount: read-only";
const BOTH: &[&str] = &["docker", "podman"];

const fn drops(name: &'static str, edit: &'static str, noticed_by: &'static [&'static str]) -> Mutation {
    Mutation { name, edit, noticed_by, on: BOTH }
}

/// A flag that says what the engine does anyway, unless its own settings say otherwise, is not
/// taken away but turned into what such settings can say.
pub const MUTATIONS: &[Mutation] = &[
    drops("read-only", "s/^--read-only$//", &["3d"]),
    drops("capabilities", "s/^--cap-drop=ALL$//", &["20c"]),
    drops("no new privileges", "s/^--security-opt=no-new-privileges$//", &["20d", "21"]),
    drops("seccomp", "s/^--security-opt=seccomp=.*$//", &["28g", "63f"]),
    drops("seccomp (none at all)", "s/^(--security-opt=seccomp=).*$/\\1unconfined/", &["20e", "22", "25", "27", "68"]),
    // podman does not size what it does not make.
    drops("ipc namespace", "s/^--ipc=private$/--ipc=host/; s/^--shm-size=.*$//", &["30c", "30d"]),
    drops("shared memory", "s/^--shm-size=.*$//", &["48b"]),
    drops("cgroup namespace", "s/^--cgroupns=private$//", &["31e"]),
    drops("network", "s/^--network=none$//", &["32", "34"]),
    drops("network (the host's)", "s/^--network=none$/--network=host/", &["30e", "34b"]),
    drops("user", "s/^--user=.*$//", &["20", "20f"]),
    drops("processes", "s/^--pids-limit=.*$//", &["46"]),
    drops("memory", "s/^--memory(-swap)?=.*$//", &["47"]),
    drops("open files", "s/^(--ulimit=nofile)=.*$/\\1=8192:8192/", &["49"]),
    drops("core dumps", "s/^--ulimit=core=.*$//", &["49b"]),
    drops("tmpfs: noexec", "s/^(--tmpfs=.*),noexec,/\\1,exec,/", &["63", "63b", "63e"]),
    drops("tmpfs: nosuid", "s/^(--tmpfs=.*),nosuid,/\\1,suid,/", &["64"]),
    drops("tmpfs: nodev", "s/^(--tmpfs=.*),nodev,/\\1,dev,/", &["64b"]),
    drops("tmpfs: size", "s/^(--tmpfs=.*),size=[0-9]+,/\\1,/", &["48", "48c"]),
    drops("hostname", "s/^--hostname=.*$//", &["31"]),
    drops(MOUNT, "s/^(--mount=.*),ro=true$/\\1/", &["4d"]),
    Mutation { name: "host names", edit: "s/^--no-hosts$//", noticed_by: &["34c"], on: &["podman"] },
];

/// An old engine of each kind, with root's rights, so that it can do whatever it is told to.
pub fn here(lane: &Lane) -> bool {
    BOTH.contains(&&*lane.name)
}

/// A home whose engine is a program of ours.
pub struct Edited {
    pub home: Home,
    edit: PathBuf,
    settings: PathBuf,
}

impl Edited {
    pub fn new(lane: &'static Lane) -> Self {
        let fixture = fixture::get();
        let home = Home::warmed(lane, Carrier::Chosen, &[fixture.line(Ecosystem::Npm), &COWSAY]);
        let found = lane.command("sh").args(["-c", "command -v \"$1\"", "sh", lane.engine()]).output().unwrap();
        let real = String::from_utf8(found.stdout).unwrap();
        let (edit, settings) = (home.write("bin/edit", ""), home.write("bin/settings", ""));
        let script = format!(
            "#!/bin/sh\n\
             . {}\n\
             edited=$(printf '%s\\n' \"$@\" | sed -E -f {})\n\
             IFS='\n'\n\
             set -f\n\
             set -- $edited\n\
             exec {} \"$@\"\n",
            settings.display(),
            edit.display(),
            real.trim(),
        );
        let program = home.write(&format!("bin/{}", lane.engine()), &script);
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        home.configure(&format!("engine = \"{}\"\n{LIMITS}", program.display()));
        Self { home, edit, settings }
    }

    /// Variables that the engine's own settings give it (containers.conf(5), `[engine] env`), as a shell sets them.
    pub fn settings(&self, variables: &str) {
        std::fs::write(&self.settings, variables).unwrap();
    }

    pub fn set(&self, edit: &str) {
        std::fs::write(&self.edit, edit).unwrap();
    }
}

pub fn each(lane: &'static Lane) {
    let mutations: Vec<&Mutation> = MUTATIONS.iter().filter(|m| m.on.contains(&&*lane.name)).collect();
    let fixture = fixture::get();
    let edited = Edited::new(lane);
    let probes = |ids: &[&str]| -> Vec<&'static Probe> {
        ids.iter().map(|id| PROBES.iter().find(|probe| probe.id == **id).expect(id)).collect()
    };
    let attempt = |ids: &[&str]| fixture.in_box(&edited.home, Ecosystem::Npm, &probes(ids));
    // Through the same program, unedited.
    let mut all: Vec<&str> = mutations.iter().flat_map(|m| m.noticed_by).copied().collect();
    all.sort_unstable();
    all.dedup();
    let mut wrong: Vec<String> = Vec::new();
    let mut look = |what: &str, outcomes: BTreeMap<String, Outcome>, succeeds: bool| {
        for (id, outcome) in outcomes {
            // jitbox itself looks at what was mounted, and does not start the program then.
            let refused = what == MOUNT && outcome == Outcome::NoAnswer;
            if (refused || matches!(outcome, Outcome::Succeeded(_))) != succeeds {
                wrong.push(format!("{what}: {id} is {outcome:?}"));
            }
        }
    };
    look("unedited", attempt(&all), false);
    for mutation in mutations {
        edited.set(mutation.edit);
        look(mutation.name, attempt(mutation.noticed_by), true);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
