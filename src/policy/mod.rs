//! What a run may do. Pure: facts go in, a [`Policy`] comes out, and only a policy makes a
//! container plan that can be executed ([`Decided`]).

pub mod age;
pub mod deny;
pub mod environment;
pub mod grant;
pub mod guard;
pub mod kept;
pub mod lacks;
pub mod level;
pub mod lines;
pub mod mounts;
pub mod named;
pub mod names;
pub mod paths;
pub mod reason;
pub mod seccomp;
pub mod secret;
pub mod sources;

#[cfg(test)]
mod properties;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jitbox_guest::protocol::{self, Watch};
use serde::Serialize;

use crate::config::{self, Config};
use crate::engine::Engine;
use crate::error::Result;
use crate::launch::Tighten;
use crate::plan::{CACHE, COMPILED, Limits, Mount, Network, RunPlan, STATE_DIR, Start, Tmpfs, User, Volume};
use crate::recipe::Recipe;
use crate::state::volumes::VolumeRecord;
use crate::state::{Layout, store};
use deny::Places;
use environment::Variable;
use grant::{Granted, Net, What};
use guard::Guards;
use level::Level;
use mounts::Mounted;
use paths::Found;
use reason::Reason;
use seccomp::Relaxation;
use secret::Secret;

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
    /// How much is given without a grant.
    pub level: Level,
    /// What the package was granted.
    pub granted: Vec<Granted>,
    /// How commands name the package.
    pub holder: &'a named::Named,
    /// Paths among the arguments that exist.
    pub paths: Vec<Found>,
    /// The working directory, if it can be looked at.
    pub here: Option<Found>,
    /// The user was asked just now whether the program may write there, and said yes.
    pub answer: bool,
    /// Places that no box gets.
    pub places: &'a Places,
    /// Looks for what has to be guarded in a folder.
    pub guards: &'a dyn Fn(&Path) -> Result<Guards, String>,
    /// Variables that the line itself sets; they are in the environment, too.
    pub named: &'a [(String, String)],
    /// The variables that logins of registries are made of.
    pub login_variables: BTreeSet<String>,
    /// The environment that we were given.
    pub environment: Vec<(OsString, OsString)>,
    /// What the package writes to its home is kept.
    pub keeps: bool,
    /// What the packages' recipes ask for.
    pub recipes: Vec<Recipe>,
    /// The working directory.
    pub cwd: &'a Path,
    /// The user's ids.
    pub ids: (u32, u32),
    /// The program gets a terminal.
    pub terminal: bool,
    /// How many processors there are.
    pub processors: usize,
}

/// What Debian's packages need to be installed, as root in a container: files of other owners, users of their own; and
/// to take all this away from whatever else is started.
const DEBIAN: [&str; 7] = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETGID", "SETUID", "SETPCAP"];

/// What most containers are: under the profile that every program gets.
pub const NOT_RELAXED: BTreeSet<Relaxation> = BTreeSet::new();

/// What a box is made of.
pub struct Parts<'a> {
    /// The image, by name.
    pub image: &'a str,
    /// The byte code of the box's program.
    pub compiled: Option<PathBuf>,
    /// The volume's name, if there is anything to keep.
    pub volume: &'a str,
}

/// What one run may do, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Policy {
    /// How much is given without a grant.
    pub level: Level,
    /// Which network it has.
    pub network: Network,
    /// Why.
    pub network_why: Reason,
    /// Host paths.
    pub mounts: Vec<Mounted>,
    /// Paths that stay outside, or can't be changed, each with the reason.
    pub not_mounted: Vec<(PathBuf, String)>,
    /// Places in writable folders that have to be there neither before nor after.
    #[serde(skip)]
    pub watched: Vec<PathBuf>,
    /// As whom it runs.
    pub user: User,
    /// How much it may use.
    pub limits: Limits,
    /// Why.
    pub limits_why: BTreeMap<&'static str, Reason>,
    /// Limits that the guest keeps because the engine can't; and it says if a network is missed.
    #[serde(skip)]
    pub watch: Watch,
    /// For how long its streams may be silent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<Duration>,
    /// What it writes to its home is kept.
    pub keeps: bool,
    /// File systems in memory.
    pub tmpfs: Vec<Tmpfs>,
    /// System calls that it may make besides those that every program may, as its recipe asks.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub relaxed: BTreeSet<Relaxation>,
    /// Names of the variables that it gets, and why.
    pub environment: BTreeMap<String, Reason>,
    /// Those of them whose values are kept elsewhere.
    #[serde(skip)]
    pub secrets: Vec<Secret>,
    /// Names of variables that were not passed on, though somebody may have meant them.
    pub held_back: Vec<String>,
    /// Where it starts.
    pub cwd: PathBuf,
    #[serde(skip)]
    values: Vec<Variable>,
}

impl Policy {
    /// The program's whole environment, as `NAME=value`.
    pub fn environment_block(&self) -> Vec<Vec<u8>> {
        use std::os::unix::ffi::OsStrExt;
        self.values.iter().map(|v| [v.name.as_bytes(), b"=", v.value.as_bytes()].concat()).collect()
    }

    /// The same with the values of its secrets, each of which `read` gets.
    pub fn with_secrets(mut self, read: impl Fn(&Secret) -> Result<OsString>) -> Result<Self> {
        for secret in std::mem::take(&mut self.secrets) {
            let why = self.environment.get(&secret.name).cloned().unwrap_or(Reason::Always);
            self.values.push(Variable { value: read(&secret)?, name: secret.name.into(), why });
        }
        Ok(self)
    }

    /// The host paths as they were when this was decided, for the guest to compare.
    pub fn seen(&self) -> Vec<protocol::Mounted> {
        use std::os::unix::ffi::OsStrExt;
        let seen = |mounted: &Mounted| protocol::Mounted {
            path: mounted.mount.target.as_os_str().as_bytes().to_vec(),
            device: mounted.id.device,
            inode: mounted.id.inode,
            writable: mounted.mount.writable,
        };
        self.mounts.iter().map(seen).collect()
    }

    /// The container for this run.
    pub fn decide(&self, layout: &Layout, engine: &Engine, parts: Parts<'_>) -> Decided {
        let compiled = parts.compiled.map(|source| Mount { source, target: COMPILED.into(), writable: false });
        let volume = self.keeps.then(|| Volume {
            name: parts.volume.to_owned(),
            target: STATE_DIR,
            writable: true,
            exec: false,
        });
        Decided(RunPlan {
            name: String::new(),
            image: parts.image.to_owned(),
            labels: Vec::new(),
            user: self.user,
            mounts: self.mounts.iter().map(|mounted| mounted.mount.clone()).chain(compiled).collect(),
            volume,
            tmpfs: self.tmpfs.clone(),
            limits: self.limits,
            network: self.network,
            kept: None,
            seccomp: seccomp_file(layout, engine, &self.relaxed),
            start: Start::Attached,
        })
    }
}

/// Decides what a run may do.
pub fn decide(asked: Asked<'_>) -> Policy {
    let relaxed = relaxed(&asked);
    let (network, network_why) = network(&asked);
    let mounts = mounts::decide(&asked);
    let user = mounts::user(&asked, &mounts);
    let passed = environment::decide(&asked, network, !mounts.mounts.is_empty(), &relaxed);
    let (limits, limits_why) = limits(&asked);
    let enforces = asked.engine.enforced();
    // The working directory is only there if it, or something below or above it, was mounted.
    let targets = || mounts.mounts.iter().map(|mounted| &mounted.mount.target);
    let holds = !enforces.cpus && limits.cpus < asked.processors as f64 && asked.engine.stops_boxes();
    let is_there = targets().any(|at| at.starts_with(asked.cwd) || asked.cwd.starts_with(at));
    Policy {
        level: asked.level,
        network,
        network_why,
        cwd: if is_there { asked.cwd.to_owned() } else { STATE_DIR.into() },
        user,
        limits,
        limits_why,
        idle: asked.config.limits.idle,
        watch: Watch {
            memory: if enforces.memory { 0 } else { limits.memory },
            pids: if enforces.pids { 0 } else { limits.pids },
            cpus: if holds { (limits.cpus * 1000.0) as u32 } else { 0 },
            network: network == Network::None,
        },
        keeps: asked.keeps,
        tmpfs: tmpfs(asked.engine, asked.config.limits.tmp, asked.keeps),
        relaxed,
        environment: passed.reasons(),
        secrets: passed.secrets.into_iter().map(|(secret, _)| secret).collect(),
        held_back: passed.held_back,
        values: passed.values,
        mounts: mounts.mounts,
        not_mounted: mounts.not_mounted,
        watched: mounts.watched,
    }
}

/// The first grant that `pick` has a use for.
fn granted<T>(asked: &Asked<'_>, pick: impl Fn(&What) -> Option<T>) -> Option<(T, Reason)> {
    let mut grants = asked.granted.iter().map(|granted| &granted.grant);
    grants.find_map(|grant| Some((pick(&grant.what)?, Reason::from(grant))))
}

fn network(asked: &Asked<'_>) -> (Network, Reason) {
    if asked.tighten.no_network {
        return (Network::None, Reason::Line);
    }
    let net = |what: &What| if let What::Net(net) = what { Some(*net) } else { None };
    match granted(asked, net) {
        Some((Net::Open, why)) => (Network::Engine, why),
        // There is nothing yet that could tell a public address from any other.
        Some((Net::None | Net::Public, why)) => (Network::None, why),
        None if asked.level < Level::Strict && asked.config.network == config::Network::Open => {
            (Network::Engine, Reason::Config)
        }
        None => (Network::None, Reason::Level(asked.level)),
    }
}

fn limits(asked: &Asked<'_>) -> (Limits, BTreeMap<&'static str, Reason>) {
    let (config, default) = (&asked.config.limits, config::Limits::default());
    let usual = |is_default: bool| if is_default { Reason::Always } else { Reason::Config };
    let memory = granted(asked, |what| if let What::Memory(n) = what { Some(*n) } else { None });
    let cpus = granted(asked, |what| if let What::Cpus(n) = what { Some(*n) } else { None });
    let pids = granted(asked, |what| if let What::Pids(n) = what { Some(*n) } else { None });
    let (memory, memory_why) = memory.unwrap_or_else(|| (config.memory, usual(config.memory == default.memory)));
    let (cpus, cpus_why) = cpus.unwrap_or_else(|| (config.cpus, usual(config.cpus == default.cpus)));
    let (pids, pids_why) = pids.unwrap_or_else(|| (config.pids, usual(config.pids == default.pids)));
    let limits = Limits {
        memory,
        // docker refuses more than there are.
        cpus: cpus.min(asked.processors as f64),
        pids: pids.into(),
        nofile: NOFILE,
        files: config.tmp,
    };
    (limits, BTreeMap::from([("memory", memory_why), ("cpus", cpus_why), ("pids", pids_why)]))
}

fn tmpfs(engine: &Engine, size: u64, volume: bool) -> Vec<Tmpfs> {
    let place = |target: &str, size| Tmpfs { target: target.to_owned(), size, exec: false };
    let mut all = vec![place("/tmp", size)];
    all.extend((!volume).then(|| place(STATE_DIR, size)));
    // Where the engine would otherwise make writable, executable, unlimited ones by itself.
    all.extend(engine.own_tmpfs().iter().map(|target| place(target, SMALL)));
    all
}

/// Where what fetches or builds may write. It is a folder of the images that come of it, too.
pub const WORK: &str = "/work";

/// The container that fetches: network, no mounts, no code of the packages.
pub fn fetching(layout: &Layout, engine: &Engine, image: &str, command: Vec<String>) -> Decided {
    let mut plan = bare(layout, engine, image);
    plan.tmpfs.push(Tmpfs {
        target: WORK.to_owned(),
        size: 1 << 30,
        // uv is here.
        exec: true,
    });
    plan.limits.memory = 2 << 30;
    plan.network = Network::Engine;
    plan.start = Start::Command(command);
    Decided(plan)
}

/// The container that builds a package from its source, which runs the package's own code: it
/// reaches nothing, can write in `place` only, and only what it says comes out.
pub fn building(layout: &Layout, engine: &Engine, image: &str, place: &str, command: Vec<String>) -> Decided {
    let Decided(mut plan) = fetching(layout, engine, image, command);
    plan.network = Network::None;
    plan.tmpfs.iter_mut().filter(|tmpfs| tmpfs.target == WORK).for_each(|tmpfs| place.clone_into(&mut tmpfs.target));
    Decided(plan)
}

/// The container that becomes a box's image, with Debian packages or without: of the packages' code it runs none.
/// What has been fetched before is in `cache`, a volume that nothing else is given: nor is this where Debian's packages
/// are installed, whose scripts run as root.
pub fn installing(
    (layout, engine): (&Layout, &Engine),
    base: &str,
    (cache, debian): (Option<&str>, bool),
    command: Vec<String>,
) -> Decided {
    let Decided(mut plan) = fetching(layout, engine, base, command);
    plan.volume = cache.filter(|_| !debian).map(|name| Volume {
        name: name.to_owned(),
        target: CACHE,
        writable: true,
        exec: false,
    });
    // The engine's own file system, and not one in memory, is where packages and what comes with them have room.
    plan.tmpfs.retain(|place| place.target == WORK);
    plan.kept = Some(if debian { &DEBIAN } else { &[] });
    plan.limits.cpus = 0.0;
    Decided(plan)
}

/// The container in which files are added to an image: it reaches nothing.
pub fn adding(layout: &Layout, engine: &Engine, image: &str, command: Vec<String>) -> Decided {
    let mut plan = bare(layout, engine, image);
    plan.tmpfs.clear();
    plan.kept = Some(&[]);
    plan.start = Start::Command(command);
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
    plan.volume = Some(Volume { name: volume.name.clone(), target: STATE_DIR, writable: false, exec: false });
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
        kept: None,
        seccomp: seccomp_file(layout, engine, &NOT_RELAXED),
        start: Start::Attached,
    }
}

/// The relaxations that are given. A recipe asks for them; whether it gets them is said by the level, which is the user's.
fn relaxed(asked: &Asked<'_>) -> BTreeSet<Relaxation> {
    let asked_for = asked.recipes.iter().flat_map(|recipe| recipe.relax.keys()).copied();
    asked_for.filter(|_| asked.level == Level::Relaxed).collect()
}

fn seccomp_file(layout: &Layout, engine: &Engine, relaxed: &BTreeSet<Relaxation>) -> PathBuf {
    layout.seccomp(&seccomp::hash(&seccomp::profile(engine.facts.architecture, relaxed)))
}

/// Writes the seccomp profile for the engine to read, once per content.
pub fn write_seccomp(layout: &Layout, engine: &Engine, relaxed: &BTreeSet<Relaxation>) -> Result<()> {
    let path = seccomp_file(layout, engine, relaxed);
    if path.exists() {
        return Ok(());
    }
    store::write_bytes(&path, seccomp::profile(engine.facts.architecture, relaxed).as_bytes())
}
