//! Properties of the whole decision, over made-up lines, environments, folders, settings and
//! grants: only what the user said widens anything. (What a package says about itself is no part
//! of [`Asked`]: it can't widen anything by its type.)

use std::ffi::OsStr;

use proptest::prelude::*;

use super::grant::Grant;
use super::guard::Guard;
use super::named::Named;
use super::paths::{Id, Sort};
use super::secret::Reference;
use super::*;
use crate::config::{EnvConfig, Network as Configured};
use crate::engine::Kind;
use crate::engine::argv::tests::engine;
use crate::package::Ecosystem;
use crate::plan::Mount;
use crate::recipe::Recipes;

/// Everything that a decision depends on, by value.
#[derive(Debug, Clone)]
pub struct World {
    pub engine: usize,
    pub uid: u32,
    pub level: Level,
    pub open: bool,
    pub pass: Vec<String>,
    pub grants: Vec<What>,
    pub tighten: Tighten,
    pub paths: Vec<Found>,
    pub cwd: String,
    pub environment: Vec<String>,
    pub named: Vec<String>,
}

/// Places of the made-up machine: some are private, and the last ones lead to others.
const REAL: [&str; 10] = [
    "/home/u/work",
    "/home/u/work/sub",
    "/home/u/work/.vscode",
    "/home/u/other",
    "/srv/data",
    "/srv",
    "/home/u/.ssh",
    "/home/u/.SSH/id",
    "/etc/passwd",
    "/home/u",
];
const NAMES: [&str; 13] = [
    "NODE_OPTIONS",
    "TOKEN",
    "OTHER",
    "PATH",
    "HOME",
    "LD_PRELOAD",
    "TZ",
    "SSH_AUTH_SOCK",
    "npm_config_x",
    "LOGIN",
    "SHLVL",
    "JITBOX_ENGINE",
    "NODE_PATH",
];

pub fn found(asked: &str, real: &str) -> Found {
    let at = REAL.iter().position(|path| *path == real).unwrap_or(99) as u64;
    Found {
        asked: asked.into(),
        real: real.into(),
        id: Id { device: 1, inode: at },
        above: Vec::new(),
        inner: Vec::new(),
        // One of them is root's.
        owner: if real == "/srv/data" { (0, 0) } else { (1000 + (at % 2) as u32, 100) },
        sort: if real == "/etc/passwd" { Sort::File } else { Sort::Folder },
    }
}

fn some_path() -> impl Strategy<Value = &'static str> {
    prop::sample::select(REAL.to_vec())
}

fn some_names() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(prop::sample::select(NAMES.to_vec()).prop_map(str::to_owned), 0..6)
}

fn some_grant() -> impl Strategy<Value = What> {
    prop_oneof![
        some_path().prop_map(|p| What::Read(p.into())),
        some_path().prop_map(|p| What::Write(p.into())),
        some_path().prop_map(|p| What::Work(p.into())),
        prop::sample::select(NAMES.to_vec()).prop_map(|name| What::Env(name.to_owned())),
        prop::sample::select(NAMES.to_vec()).prop_map(|name| {
            What::Secret(Secret { name: name.to_owned(), from: Reference::File("/nowhere".into()) })
        }),
        prop::sample::select(vec![Net::None, Net::Public, Net::Open]).prop_map(What::Net),
        Just(What::Memory(1 << 30)),
        Just(What::Young),
        Just(What::Refused),
    ]
}

fn some_level() -> impl Strategy<Value = Level> {
    prop::sample::select(vec![Level::Relaxed, Level::Standard, Level::Strict])
}

fn some_tighten() -> impl Strategy<Value = Tighten> {
    let level = prop::option::of(prop::sample::select(vec![Level::Standard, Level::Strict]));
    (any::<bool>(), any::<bool>(), level, prop::option::of(some_names()))
        .prop_map(|(read_only, no_network, level, env)| Tighten { plan: false, read_only, no_network, env, level })
}

pub fn some_world() -> impl Strategy<Value = World> {
    // A path is named as it is, or by a link beside or inside of what else is named.
    let link = prop_oneof![Just(None), Just(Some("/home/u/work/link")), Just(Some("/tmp/link"))];
    let path = (some_path(), link).prop_map(|(real, link)| found(link.unwrap_or(real), real));
    let machine = (0..4usize, prop::sample::select(vec![0u32, 1000]), some_level(), any::<bool>(), some_names());
    let line = (some_tighten(), prop::collection::vec(path, 0..4), some_path(), some_names(), some_names());
    (machine, prop::collection::vec(some_grant(), 0..5), line).prop_map(
        |((engine, uid, level, open, pass), grants, (tighten, mut paths, cwd, environment, named))| {
            // One name leads to one place.
            paths.sort_by(|a: &Found, b| a.asked.cmp(&b.asked));
            paths.dedup_by(|a, b| a.asked == b.asked);
            World { engine, uid, level, open, pass, grants, tighten, paths, cwd: cwd.to_owned(), environment, named }
        },
    )
}

fn places() -> &'static Places {
    static PLACES: std::sync::OnceLock<Places> = std::sync::OnceLock::new();
    PLACES.get_or_init(|| Places::look(Path::new("/home/u"), &["/home/u/.config/jitbox".into()]))
}

/// Which asks for a relaxation.
fn recipe() -> Recipe {
    Recipes::default().of(Ecosystem::Npm, "@playwright/mcp").unwrap()
}

/// Every writable folder has a `.git` and a `.vscode`.
fn guards(_: &Path) -> Result<Guards, String> {
    let guard = |path: &str, inode, writable| Guard { path: path.into(), id: Id { device: 2, inode }, writable };
    Ok(Guards {
        present: vec![guard(".git", 1, true), guard(".git/hooks", 2, false), guard(".vscode", 3, false)],
        absent: Vec::new(),
    })
}

impl World {
    pub fn decide(&self) -> Policy {
        let engines = [
            engine(Kind::Podman, true),
            engine(Kind::Podman, false),
            engine(Kind::Docker, false),
            engine(Kind::Docker, true),
        ];
        let network = if self.open { Configured::Open } else { Configured::None };
        let env = EnvConfig { pass: self.pass.clone() };
        let config = Config { network, env, level: self.level, ..Config::default() };
        let named: Vec<_> = self.named.iter().map(|name| (name.clone(), "value".to_owned())).collect();
        let granted = self.grants.iter().map(|what| {
            let found = match what {
                What::Read(path) | What::Write(path) | What::Work(path) => path.to_str().map(|path| found(path, path)),
                _ => None,
            };
            Granted { grant: Grant { what: what.clone(), since: "2026-01-31".into(), reason: None }, found }
        });
        let all = self.environment.iter().chain(&self.named);
        decide(Asked {
            engine: &engines[self.engine],
            config: &config,
            tighten: &self.tighten,
            node_options: None,
            level: Level::of(&config, &self.tighten),
            granted: granted.collect(),
            holder: &Named::default(),
            paths: self.paths.clone(),
            here: Some(found(&self.cwd, &self.cwd)),
            answer: false,
            places: places(),
            guards: &guards,
            named: &named,
            login_variables: ["LOGIN".to_owned()].into(),
            keeps: false,
            recipes: vec![recipe()],
            environment: all.map(|name| (name.into(), "value".into())).collect(),
            cwd: Path::new(&self.cwd),
            ids: (self.uid, self.uid),
            terminal: false,
            processors: 8,
        })
    }

    fn level(&self) -> Level {
        self.level.max(self.tighten.level.unwrap_or(Level::Relaxed))
    }

    fn granted(&self, pick: impl Fn(&What) -> bool) -> bool {
        self.grants.iter().any(pick)
    }

    /// Whether the user said that this may be changed, or read.
    fn may(&self, path: &Path, write: bool) -> bool {
        self.granted(|what| match what {
            What::Write(granted) => path.starts_with(granted),
            What::Work(granted) => path.starts_with(granted) && Path::new(&self.cwd).starts_with(granted),
            What::Read(granted) => !write && path.starts_with(granted),
            _ => false,
        })
    }

    fn is_named(&self, path: &Path) -> bool {
        self.paths.iter().any(|found| found.real == path)
    }
}

/// Mounts of one policy that another does not have, or that can be changed only in the first.
fn more(one: &Policy, other: &Policy) -> Vec<PathBuf> {
    let has = |mounted: &&Mounted| {
        let (path, write) = (&mounted.mount.source, mounted.mount.writable);
        !other.mounts.iter().any(|m| {
            path.starts_with(&m.mount.source) && (m.mount.writable || !write || mounted.why == Reason::Guarded)
        })
    };
    one.mounts.iter().filter(has).map(|mounted| mounted.mount.source.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_the_user_widens(world in some_world()) {
        let policy = world.decide();
        let level = world.level();
        if policy.network == Network::Engine {
            let by_config = world.open && level < Level::Strict && !world.granted(|what| matches!(what, What::Net(_)));
            prop_assert!(by_config || world.granted(|what| *what == What::Net(Net::Open)));
            prop_assert!(!world.tighten.no_network);
        }
        for mounted in &policy.mounts {
            let Mount { source, writable, .. } = &mounted.mount;
            prop_assert!(places().refusal(&found(&source.to_string_lossy(), &source.to_string_lossy())).is_none(), "{mounted:?}");
            if mounted.why == Reason::Guarded {
                let around = |m: &&Mounted| m.mount.writable && source.starts_with(&m.mount.source);
                prop_assert!(policy.mounts.iter().any(|m| m != mounted && around(&m)), "{mounted:?}");
            } else if *writable {
                prop_assert!(!world.tighten.read_only && policy.user != User::Nobody);
                let relaxed = level == Level::Relaxed && world.is_named(source);
                prop_assert!(relaxed || world.may(source, true), "{mounted:?}");
            } else {
                let by_level = level < Level::Strict && world.is_named(source);
                let here = level == Level::Relaxed && *source == Path::new(&world.cwd);
                prop_assert!(by_level || here || world.may(source, false), "{mounted:?}");
            }
        }
        for Variable { name, why, .. } in policy.values.iter().filter(|v| v.value == "value") {
            let name = name.to_str().unwrap_or_default();
            let said = world.pass.iter().any(|n| n == name) || world.granted(|what| *what == What::Env(name.to_owned()));
            let client = level < Level::Strict && ["TOKEN", "OTHER"].contains(&name);
            // Code of the environment's own, where there is nothing that it could use.
            let client = client || (level < Level::Strict && name == "NODE_OPTIONS" && !world.granted(What::counts_in_runs));
            prop_assert!(said || client || name == "TZ", "{name}: {why}");
            prop_assert!(!["PATH", "HOME", "LD_PRELOAD", "NODE_PATH"].contains(&name));
            prop_assert!(name == "TZ" || world.tighten.env.as_ref().is_none_or(|names| names.iter().any(|n| n == name)));
        }
        for secret in &policy.secrets {
            let name = &secret.name;
            prop_assert!(world.granted(|what| *what == What::Secret(secret.clone())));
            prop_assert!(!["PATH", "HOME", "LD_PRELOAD", "NODE_PATH"].contains(&&**name));
            prop_assert!(world.tighten.env.as_ref().is_none_or(|names| names.contains(name)));
            prop_assert!(policy.values.iter().all(|v| v.name != **name || v.why == Reason::Always), "{name} twice");
        }
        prop_assert_eq!(!policy.relaxed.is_empty(), level == Level::Relaxed);
        let sandbox = policy.values.iter().find(|v| v.name == "PLAYWRIGHT_MCP_SANDBOX").map(|v| &*v.value);
        prop_assert_eq!(sandbox, Some(OsStr::new(if policy.relaxed.is_empty() { "false" } else { "true" })));
        let memory = if world.granted(|what| *what == What::Memory(1 << 30)) { 1 << 30 } else { 512 << 20 };
        prop_assert_eq!(policy.limits.memory, memory);
        let root = matches!(policy.user, User::Caller { uid: 0, .. });
        prop_assert!(!root);
    }

    /// Guarded places inside of what can be changed can't be changed, unless they were granted.
    #[test]
    fn guarded_places_are_kept(world in some_world()) {
        let policy = world.decide();
        for outer in policy.mounts.iter().filter(|m| m.mount.writable && m.why != Reason::Guarded) {
            for place in [".git/hooks", ".vscode"] {
                let at = outer.mount.target.join(place);
                let inner = policy.mounts.iter().find(|m| m.mount.target == at);
                let meant = world.granted(|what| matches!(what, What::Write(p) | What::Work(p) if *p == outer.mount.source.join(place)));
                prop_assert!(inner.is_some_and(|m| !m.mount.writable || meant), "{outer:?} {inner:?}");
            }
        }
    }

    /// Whatever a line says about itself, it gets no more than the same line without it; and
    /// without any grant nobody gets more than with all of them.
    #[test]
    fn tightening_tightens(world in some_world()) {
        let policy = world.decide();
        let plain = World { tighten: Tighten::default(), ..world.clone() }.decide();
        prop_assert_eq!(more(&policy, &plain), Vec::<PathBuf>::new());
        prop_assert!(policy.network == Network::None || plain.network == policy.network);
        prop_assert!(policy.environment.keys().all(|name| plain.environment.contains_key(name) || name.starts_with("GIT_CONFIG")));
        let ungranted = World { grants: Vec::new(), open: false, ..world.clone() }.decide();
        prop_assert_eq!(ungranted.network, Network::None);
        if world.level() > Level::Relaxed {
            prop_assert!(!ungranted.mounts.iter().any(|mounted| mounted.mount.writable));
        }
    }
}

/// A program that root starts can change the files of one owner only. Which one is for the user's grants to say: a line
/// that names a folder of somebody else's must not take the place, nor free it by asking for less.
#[test]
fn the_owner_of_what_was_granted_comes_first() {
    for tighten in [Tighten::default(), Tighten { level: Some(Level::Standard), ..Tighten::default() }] {
        let world = World {
            engine: 1,
            uid: 0,
            level: Level::Relaxed,
            open: false,
            pass: Vec::new(),
            // The home itself stays outside, so nothing but the path inside claims what this gives.
            grants: vec![What::Write("/home/u".into())],
            tighten,
            paths: vec![found("/srv", "/srv"), found("/home/u/work", "/home/u/work")],
            cwd: "/home/u/work".to_owned(),
            environment: Vec::new(),
            named: Vec::new(),
        };
        let changed = world.decide().mounts.into_iter().filter(|m| m.mount.writable && m.why != Reason::Guarded);
        assert_eq!(changed.map(|m| m.mount.source).collect::<Vec<_>>(), [Path::new("/home/u/work")]);
    }
}
