//! What a run may do. Pure: facts go in, a [`Policy`] comes out, and only a policy makes a
//! container plan that can be executed ([`Decided`]).

pub mod environment;
pub mod kept;
pub mod paths;
pub mod seccomp;
pub mod sources;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jitbox_guest::protocol::Watch;
use serde::Serialize;

use crate::config::{self, Config};
use crate::engine::Engine;
use crate::error::Result;
use crate::launch::Tighten;
use crate::plan::{Limits, Mount, Network, RunPlan, STATE_DIR, Start, Tmpfs, User, Volume};
use crate::state::volumes::VolumeRecord;
use crate::state::{Layout, store};
use paths::Found;

/// Open files of each process.
const NOFILE: u64 = 4096;

/// The size of small places that must be writable but hold next to nothing.
const SMALL: u64 = 1 << 20;

/// A container plan that was decided by policy. There is no other way to make one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decided(RunPlan);

impl Decided {
    /// The plan.
    pub fn plan(&self) -> &RunPlan {
        &self.0
    }

    /// The same plan under this name, with the label that goes with it.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.0.name);
        self.0.labels.push((crate::engine::argv::RUN_LABEL.to_owned(), name.to_owned()));
        self
    }

    /// The same plan, started in this way.
    #[must_use]
    pub fn started(mut self, start: Start) -> Self {
        self.0.start = start;
        self
    }
}

/// The facts that a decision rests on.
pub struct Asked<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The user's settings.
    pub config: &'a Config,
    /// The line's own restrictions.
    pub tighten: &'a Tighten,
    /// The line's `--node-options`.
    pub node_options: Option<&'a str>,
    /// Paths among the arguments that exist.
    pub paths: Vec<Found>,
    /// Variables that the line itself sets; they are in the environment, too.
    pub named: &'a [(String, String)],
    /// The variables that logins of registries are made of.
    pub login_variables: BTreeSet<String>,
    /// The environment that we were given.
    pub environment: Vec<(OsString, OsString)>,
    /// The user's home directory.
    pub home: &'a Path,
    /// What the package writes to its home is kept.
    pub keeps: bool,
    /// Variables that the package's recipe sets.
    pub recipe_environment: Vec<(String, String)>,
    /// Our own files.
    pub data_dir: &'a Path,
    /// The working directory.
    pub cwd: &'a Path,
    /// The user's ids.
    pub ids: (u32, u32),
    /// The program gets a terminal.
    pub terminal: bool,
    /// How many processors there are.
    pub processors: usize,
}

/// What one run may do, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Policy {
    /// Which network it has.
    pub network: Network,
    /// Host paths.
    pub mounts: Vec<Mount>,
    /// Paths among the arguments that stay outside, each with the reason.
    pub not_mounted: Vec<(PathBuf, String)>,
    /// As whom it runs.
    pub user: User,
    /// How much it may use.
    pub limits: Limits,
    /// Limits that the guest keeps because the engine can't.
    #[serde(skip)]
    pub watch: Watch,
    /// For how long its streams may be silent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<Duration>,
    /// What it writes to its home is kept.
    pub keeps: bool,
    /// File systems in memory.
    pub tmpfs: Vec<Tmpfs>,
    /// Names of the variables that it gets.
    pub environment: BTreeSet<String>,
    /// Names of variables that were not passed on, though somebody may have meant them.
    pub held_back: Vec<String>,
    /// Where it starts.
    pub cwd: PathBuf,
    #[serde(skip)]
    values: Vec<(OsString, OsString)>,
}

impl Policy {
    /// The program's whole environment, as `NAME=value`.
    pub fn environment_block(&self) -> Vec<Vec<u8>> {
        use std::os::unix::ffi::OsStrExt;
        self.values.iter().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat()).collect()
    }

    /// The container for this run.
    /// The volume is called `volume`, if there is anything to keep.
    pub fn decide(&self, layout: &Layout, engine: &Engine, image: &str, volume: &str) -> Decided {
        let volume = self.keeps.then(|| Volume { name: volume.to_owned(), writable: true, exec: false });
        Decided(RunPlan {
            name: String::new(),
            image: image.to_owned(),
            labels: Vec::new(),
            user: self.user,
            mounts: self.mounts.clone(),
            volume,
            tmpfs: self.tmpfs.clone(),
            limits: self.limits,
            network: self.network,
            seccomp: seccomp_file(layout, engine),
            start: Start::Attached,
        })
    }
}

/// Decides what a run may do.
pub fn decide(asked: Asked<'_>) -> Policy {
    let network = match asked.config.network {
        config::Network::Open if !asked.tighten.no_network && !asked.tighten.strict => Network::Engine,
        _ => Network::None,
    };
    let (mounts, not_mounted) = paths::mounts(&asked);
    let user = user(&asked, !mounts.is_empty());
    let passed = environment::decide(&asked, network);
    let limits = limits(&asked);
    let enforces = asked.engine.enforced();
    // The working directory is only there if it, or something below it, was mounted.
    let below_cwd = mounts.iter().any(|m| m.target.starts_with(asked.cwd));
    Policy {
        network,
        cwd: if below_cwd { asked.cwd.to_owned() } else { STATE_DIR.into() },
        user,
        limits,
        idle: asked.config.limits.idle,
        watch: Watch {
            memory: if enforces.memory { 0 } else { limits.memory },
            pids: if enforces.pids { 0 } else { limits.pids },
        },
        keeps: asked.keeps,
        tmpfs: tmpfs(asked.engine, asked.config.limits.tmp, asked.keeps),
        environment: passed.values.iter().map(|(name, _)| name.to_string_lossy().into_owned()).collect(),
        held_back: passed.held_back,
        values: passed.values,
        mounts,
        not_mounted,
    }
}

/// Who the program is outside. Files that the user may read are readable inside only if it is
/// them; without mounts it is nobody at all.
fn user(asked: &Asked<'_>, mounts: bool) -> User {
    let (uid, gid) = asked.ids;
    if !mounts {
        User::Nobody
    } else if asked.engine.maps_user() {
        User::Mapped
    } else if !asked.engine.facts.rootless && uid != 0 {
        User::Caller { uid, gid }
    } else {
        // Never root, not even where it would be the caller.
        User::Nobody
    }
}

fn limits(asked: &Asked<'_>) -> Limits {
    let limits = &asked.config.limits;
    Limits {
        memory: limits.memory,
        // docker refuses more than there are.
        cpus: limits.cpus.min(asked.processors as f64),
        pids: limits.pids.into(),
        nofile: NOFILE,
        files: limits.tmp,
    }
}

fn tmpfs(engine: &Engine, size: u64, volume: bool) -> Vec<Tmpfs> {
    let place = |target: &str, size| Tmpfs { target: target.to_owned(), size, exec: false };
    let mut all = vec![place("/tmp", size)];
    all.extend((!volume).then(|| place(STATE_DIR, size)));
    // Where the engine would otherwise make writable, executable, unlimited ones by itself.
    all.extend(engine.own_tmpfs().iter().map(|target| place(target, SMALL)));
    all
}

/// The container that resolves a tree: network, no mounts, no code of the packages.
pub fn fetching(layout: &Layout, engine: &Engine, image: &str, command: Vec<String>) -> Decided {
    let mut plan = bare(layout, engine, image);
    plan.tmpfs.push(Tmpfs {
        target: "/work".to_owned(),
        size: 1 << 30,
        // uv may have to be installed here first.
        exec: true,
    });
    plan.limits.memory = 2 << 30;
    plan.network = Network::Engine;
    plan.start = Start::Command(command);
    Decided(plan)
}

/// The container that builds a package from its source, which runs the package's own code: it
/// reaches nothing, and only what it says comes out.
pub fn building(layout: &Layout, engine: &Engine, image: &str, command: Vec<String>) -> Decided {
    let Decided(mut plan) = fetching(layout, engine, image, command);
    plan.network = Network::None;
    Decided(plan)
}

/// The container that looks at a fresh image: it reaches nothing.
pub fn looking(layout: &Layout, engine: &Engine, image: &str) -> Decided {
    Decided(bare(layout, engine, image))
}

/// The container that reads what a package has kept.
pub fn reading(layout: &Layout, engine: &Engine, image: &str, volume: &VolumeRecord) -> Decided {
    let mut plan = bare(layout, engine, image);
    plan.tmpfs.retain(|place| place.target != STATE_DIR);
    plan.volume = Some(Volume { name: volume.name.clone(), writable: false, exec: false });
    plan.user = volume.user;
    Decided(plan)
}

fn bare(layout: &Layout, engine: &Engine, image: &str) -> RunPlan {
    RunPlan {
        name: String::new(),
        image: image.to_owned(),
        labels: Vec::new(),
        user: User::Nobody,
        mounts: Vec::new(),
        volume: None,
        tmpfs: tmpfs(engine, 64 << 20, false),
        limits: Limits { memory: 512 << 20, cpus: 1.0, pids: 512, nofile: NOFILE, files: 64 << 20 },
        network: Network::None,
        seccomp: seccomp_file(layout, engine),
        start: Start::Attached,
    }
}

fn seccomp_file(layout: &Layout, engine: &Engine) -> PathBuf {
    layout.seccomp(&seccomp::hash(&seccomp::profile(engine.facts.architecture)))
}

/// Writes the seccomp profile for the engine to read, once per content.
pub fn write_seccomp(layout: &Layout, engine: &Engine) -> Result<()> {
    let path = seccomp_file(layout, engine);
    if path.exists() {
        return Ok(());
    }
    store::write_bytes(&path, seccomp::profile(engine.facts.architecture).as_bytes())
}
