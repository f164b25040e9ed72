//! One line from its parsed form to the end of its program: look its box up or make it, decide,
//! run.

mod age;
pub mod bases;
pub mod build;
mod cache;
pub mod compile;
pub mod grantee;
pub mod images;
mod kept;
mod known;
pub mod local;
mod look;
mod make;
pub mod newer;
mod prepare;
mod probe;
mod program;
pub mod project;
pub mod prune;
mod question;
mod requirements;
mod resolve;
mod scripts;
mod secrets;
pub mod update;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use jitbox_guest::protocol::{Launch as Program, Stdio};

use crate::config::Config;
use crate::context::Context;
use crate::engine::caps::Carrier;
use crate::engine::{Engine, detect};
use crate::error::{Error, Kind, Result};
use crate::image::present;
use crate::image::template::guest_id;
use crate::launch::{Launch, Launcher};
use crate::package::{Ecosystem, PackageSpec, PinnedPackage};
use crate::plan::COMPILED;
use crate::policy::deny::Places;
use crate::policy::grant::{Granted, What};
use crate::policy::level::Level;
use crate::policy::paths::Found;
use crate::policy::{self, Asked, Parts, Policy, guard, paths};
use crate::recipe::Recipes;
use crate::registry::settings::Settings;
use crate::state::attempts::Why;
use crate::state::boxes::{self, BoxRecord, Request};
use crate::state::grants::Grants;
use crate::state::overrides::Overrides;
use crate::state::{Layout, lock, runs, told};
use crate::supervise::{self, Job, Outcome};
use crate::ui;

/// The milliseconds that a program has between SIGTERM and the end once its link has dropped.
const GRACE: Duration = Duration::from_millis(2000);

/// What a line needs to know of its surroundings.
pub struct Session<'a> {
    /// The process's surroundings.
    pub context: &'a Context,
    /// The user's settings.
    pub config: Config,
    /// What the user granted.
    pub grants: Grants,
    /// What packages need besides themselves.
    pub recipes: Recipes,
    /// Our files.
    pub layout: Layout,
    /// The engine.
    pub engine: Engine,
    /// Where the user gets packages from.
    pub settings: Settings,
}

/// The line with what its files and paths say: what is on this machine has a part in which box it gets.
pub fn complete<'a>(context: &Context, launch: &'a Launch) -> Result<Cow<'a, Launch>> {
    local::complete(context, requirements::complete(context, launch)?)
}

impl<'a> Session<'a> {
    /// Reads the settings and finds the engine. With facts on disk this starts no process.
    pub fn open(context: &'a Context) -> Result<Self> {
        let config = Config::load(context)?;
        let layout = Layout::new(context);
        let engine = detect::find(context, &config, &layout)?;
        let grants = Grants::load(&layout, context.uid)?;
        let recipes = Recipes::load(context)?;
        Ok(Self { context, config, grants, recipes, layout, engine, settings: Settings::load(context) })
    }

    /// What the line asks for, here and with the user's settings.
    pub fn request(&self, launch: &Launch) -> Result<Request> {
        if !launch.files.is_empty() {
            return Err(Error::failed("the line's files of requirements were not read"));
        }
        let ecosystem = launch.launcher.ecosystem();
        self.settings.check(ecosystem)?;
        let sources = self.settings.sources(ecosystem, launch.registry.as_deref())?;
        Ok(Request::new(launch, sources, self.python(launch), self.engine.facts.architecture))
    }

    /// The Python that the line, else the user's settings, ask for.
    fn python(&self, launch: &Launch) -> Option<String> {
        let chosen = || self.settings.python.python.clone();
        let of_uv = matches!(launch.launcher, Launcher::Uvx | Launcher::UvToolRun | Launcher::UvRun);
        launch.python.clone().or_else(|| if of_uv { chosen() } else { None })
    }

    /// The line's box, made now if there is none.
    pub fn find_or_make(&self, launch: &Launch) -> Result<BoxRecord> {
        policy::lines::check(&self.config, launch)?;
        let request = self.request(launch)?;
        if let Some(record) = boxes::find(&self.layout, &request)? {
            let record = self.newest(record)?;
            return self.up_to_date(launch, record);
        }
        let waiting = || ui::note("waiting for another start that makes the same box");
        let _lock = lock::take(&self.layout.lock(&request.key()), waiting)?;
        // Whoever held the lock may have made it.
        if let Some(record) = boxes::find(&self.layout, &request)? {
            return Ok(record);
        }
        let made = self.make(launch, (&request, &Overrides::default()), Why::FirstStart);
        let made = made.map_err(|e| if e.kind == Kind::Network { self.offer_cached(e, launch) } else { e })?;
        let Some((attempt, record)) = made else {
            return Err(Error::failed("there is a box, and it was not found"));
        };
        self.put_in_use(attempt, &record)?;
        if !record.request.contents.is_empty()
            && let Err(e) = self.remove_outdated(&record)
        {
            ui::note(&e.to_string());
        }
        Ok(record)
    }

    /// An image holds the guest of the jitbox that made it, what its recipes asked for, and what install scripts made.
    /// After an upgrade, or with other scripts allowed, it is made again, from the same lock; also when its base image is
    /// known to be another one.
    fn up_to_date(&self, launch: &Launch, record: BoxRecord) -> Result<BoxRecord> {
        let is_current = record.guest == guest_id(self.engine.facts.architecture);
        if is_current
            && record.apt == self.recipes.apt(&record.packages, &record.overrides)?
            && record.scripts == self.scripts_of(launch, &record)?
        {
            return if self.has_other_base(&record)? { self.rebase(launch, record) } else { Ok(record) };
        }
        self.remake(launch, &record)?;
        Ok(boxes::find(&self.layout, &record.request)?.unwrap_or(record))
    }

    /// Without a network only what is here can be run: names it.
    fn offer_cached(&self, error: Error, launch: &Launch) -> Error {
        let (ecosystem, shim) = (launch.launcher.ecosystem(), launch.launcher.shim());
        let wanted = launch.packages.first().map(|spec| spec.name());
        let boxes = boxes::all(&self.layout).unwrap_or_default();
        let same = boxes.iter().filter(|record| {
            record.request.ecosystem == ecosystem && record.packages.first().map(PinnedPackage::name) == wanted
        });
        same.fold(error, |e, record| e.hint(format!("{shim} {} works without a network", record.name())))
    }

    /// The variables that the user's logins for the line's packages are made of. (uv's have
    /// names by which they are known.)
    fn login_variables(&self, launch: &Launch) -> BTreeSet<String> {
        let npm = self.settings.npm.with_registry(launch.registry.as_deref());
        let names = launch.packages.iter().filter(|spec| spec.ecosystem() == Ecosystem::Npm).map(PackageSpec::name);
        npm.map(|npm| npm.login_variables(names)).unwrap_or_default()
    }

    /// Decides what the line may do. `answer` is what the user said about the working directory.
    pub fn decide(&self, launch: &Launch, record: Option<&BoxRecord>, answer: bool) -> Result<Policy> {
        let context = self.context;
        let grantee = self.grantee(launch, record)?;
        let level = Level::of(&self.config, &launch.tighten);
        let looked_at = |grant: policy::grant::Grant| {
            let found = match &grant.what {
                What::Read(path) | What::Write(path) | What::Work(path) => Found::at(path).ok(),
                _ => None,
            };
            Granted { grant, found }
        };
        let granted: Vec<Granted> = grantee.grants(&self.grants).into_iter().map(looked_at).collect();
        let paths = paths::look(&launch.args, &context.cwd);
        let named = !paths.is_empty() || granted.iter().any(|granted| granted.found.is_some());
        let looks = named || answer || level == Level::Relaxed;
        let packages = record.map(|record| &record.packages[..]).unwrap_or_default();
        let server = record.is_some_and(|record| record.mcp);
        Ok(policy::decide(Asked {
            keeps: policy::kept::kept(&self.config, level, packages, launch.local.is_some(), server),
            recipes: self.recipes.of_all(packages)?,
            engine: &self.engine,
            config: &self.config,
            tighten: &launch.tighten,
            level,
            granted,
            holder: &grantee.named,
            named: &launch.environment,
            node_options: launch.node_options.as_deref(),
            paths,
            here: if looks { Found::at(&context.cwd).ok() } else { None },
            answer,
            // Most lines name no path, and then nobody has to look where nothing may be.
            places: &if looks { self.places() } else { Places::default() },
            guards: &guard::look,
            login_variables: self.login_variables(launch),
            environment: context.env.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            cwd: &context.cwd,
            ids: (context.uid, context.gid),
            terminal: context.terminals.all(),
            processors: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        }))
    }

    /// Places that no box gets.
    fn places(&self) -> Places {
        Places::look(&self.context.home, &self.layout.folders())
    }

    /// Runs the line's program in its box, on our own standard streams.
    pub fn run(&self, launch: &Launch, record: &BoxRecord, policy: &Policy) -> Result<Outcome> {
        let policy = &self.with_secrets(policy)?;
        policy::write_seccomp(&self.layout, &self.engine, &policy.relaxed)?;
        self.make_volume(record, policy)?;
        let carrier = self.carrier();
        let outcome = match self.start(launch, record, policy, carrier) {
            Err(e) if self.engine.lacks_runtime(&e.to_string()) => return Err(self.no_runtime(&e)),
            Err(e) if e.kind == Kind::Engine => {
                // The image may be gone, or was never made on this engine: ask, and make it.
                match present::image_exists(&self.engine, &record.image) {
                    // An engine on a home directory that root can't read has no use for what is there.
                    Ok(true) if self.forget_compiled(record) => return self.run(launch, record, policy),
                    Ok(true) if carrier != Carrier::Stream => self.start_without_local(launch, record, policy, e)?,
                    Ok(false) => {
                        self.remake(launch, record)?;
                        let again = boxes::find(&self.layout, &record.request)?;
                        self.start(launch, again.as_ref().unwrap_or(record), policy, carrier)?
                    }
                    _ => return Err(self.diagnose(e)),
                }
            }
            outcome => outcome?,
        };
        self.learn(&outcome);
        Ok(outcome)
    }

    /// The runtime is the user's wish to be held in better: nothing runs without it.
    fn no_runtime(&self, failed: &Error) -> Error {
        let name = self.engine.runtime.as_deref().unwrap_or_default();
        let kind = self.engine.kind.name();
        let error = Error::refused(format!("`runtime = \"{name}\"` in config.toml: this {kind} has no such runtime"));
        error
            .because(failed)
            .hint(format!("install it and make it known to {kind}, or take the line out of config.toml"))
            .hint("`jitbox doctor` says which are here")
    }

    /// What is believed about the engine may be wrong: it is asked anew, and a dead one says
    /// better what to type than the failed start did.
    fn diagnose(&self, failed: Error) -> Error {
        let asked = detect::forget(&self.layout, &self.engine)
            .and_then(|()| detect::find(self.context, &self.config, &self.layout));
        asked.err().unwrap_or(failed)
    }

    /// A security module may forbid a box to use our socket or our pipes, which shows before
    /// the program starts: the engine's own stream then works, now and from now on.
    fn start_without_local(
        &self,
        launch: &Launch,
        record: &BoxRecord,
        policy: &Policy,
        failed: Error,
    ) -> Result<Outcome> {
        let outcome = self.start(launch, record, policy, Carrier::Stream).map_err(|_| self.diagnose(failed))?;
        // Not being able to remember it only costs the next start the same detour.
        let _ = detect::learn_local_refused(&self.layout, &self.engine);
        Ok(outcome)
    }

    fn start(&self, launch: &Launch, record: &BoxRecord, policy: &Policy, carrier: Carrier) -> Result<Outcome> {
        use std::os::unix::ffi::OsStrExt;
        let compiled = self.compiled(launch, record, carrier);
        let volume = self.volume(record, policy.user);
        let mut env = policy.environment_block();
        if compiled.is_some() && !policy.environment.contains_key("NODE_COMPILE_CACHE") {
            env.push(format!("NODE_COMPILE_CACHE={COMPILED}").into_bytes());
        }
        let mut argv = program::start(launch, record)?;
        argv.extend(launch.args.iter().map(|arg| arg.as_bytes().to_vec()));
        let parts = Parts { image: &record.image, compiled, volume: &volume.name };
        supervise::run(Job {
            engine: &self.engine,
            layout: &self.layout,
            plan: policy.decide(&self.layout, &self.engine, parts),
            launch: Program {
                argv,
                env,
                cwd: policy.cwd.as_os_str().as_bytes().to_vec(),
                stdio: Stdio::Framed,
                grace_ms: GRACE.as_millis() as u32,
                watch: policy.watch,
                mounts: policy.seen(),
            },
            carrier,
            mcp: record.mcp,
            terminal: self.context.terminals.all(),
            idle: policy.idle,
            unreached: &|| self.say_unreached(launch, record),
        })
    }

    /// Says that a program wants a network and has none, at most once an hour for each box.
    fn say_unreached(&self, launch: &Launch, record: &BoxRecord) {
        if !told::is_due(&self.layout, &told::unreached(&record.request.key()), SystemTime::now()) {
            return;
        }
        let command = self.grantee(launch, Some(record)).ok();
        let command = command.and_then(|grantee| grantee.named.command("--net", Path::new("open")));
        let allow = command.map(|command| format!(" (to let it reach everything: {command})")).unwrap_or_default();
        ui::note(&format!("{} tried to reach a network, and its box has none{allow}", record.name()));
    }

    /// Which way the link goes.
    pub fn carrier(&self) -> Carrier {
        if self.context.env.text("JITBOX_CARRIER") == Some("stream") {
            return Carrier::Stream;
        }
        self.engine.carrier()
    }

    /// Remembers whether the engine's boxes share our kernel.
    fn learn(&self, outcome: &Outcome) {
        let host = runs::host_boot_id();
        let same = !host.is_empty() && host == outcome.boot_id;
        if self.engine.facts.same_kernel != Some(same) {
            // Not being able to remember it only costs the next start some milliseconds.
            let _ = detect::learn_same_kernel(&self.layout, &self.engine, same);
        }
    }
}
