//! One line from its parsed form to its box: look it up, or make it.

use std::path::Path;
use std::time::Duration;

use jitbox_guest::protocol::{End, Launch as Program, Stdio, Watch};

use crate::config::Config;
use crate::context::Context;
use crate::engine::caps::Carrier;
use crate::engine::{Engine, detect};
use crate::error::{Error, Kind, Result};
use crate::image::base::Base;
use crate::image::build::{self, Making, Sources};
use crate::image::template::guest_id;
use crate::launch::Launch;
use crate::package::{Ecosystem, PackageSpec, PinnedPackage};
use crate::plan::STATE_DIR;
use crate::policy::{self, Asked, Policy, paths};
use crate::registry::http::Client;
use crate::registry::settings::{Proxies, Settings};
use crate::registry::trust::Trust;
use crate::registry::{npm, pypi};
use crate::state::boxes::{self, BoxRecord, Request};
use crate::state::{Layout, lock, runs};
use crate::supervise::{self, Job, Outcome};
use crate::{recipe, ui};

/// How much a program's list of executables may be.
const MAX_PROGRAMS: usize = 1 << 20;

/// The milliseconds that a program has between SIGTERM and the end once its link has dropped.
const GRACE: Duration = Duration::from_millis(2000);

/// What a line needs to know of its surroundings.
pub struct Session<'a> {
    /// The process's surroundings.
    pub context: &'a Context,
    /// The user's settings.
    pub config: Config,
    /// Our files.
    pub layout: Layout,
    /// The engine.
    pub engine: Engine,
}

/// What was decided on for a line that has no box yet.
pub struct Resolved {
    /// The packages, in the order of the line.
    pub packages: Vec<PinnedPackage>,
    /// The base image.
    pub base: Base,
    /// The program that the line means when it names no command.
    pub default_program: Option<String>,
}

impl<'a> Session<'a> {
    /// Reads the settings and finds the engine. With facts on disk this starts no process.
    pub fn open(context: &'a Context) -> Result<Self> {
        let config = Config::load(context)?;
        let layout = Layout::new(context);
        let engine = detect::find(context, &config, &layout)?;
        Ok(Self { context, config, layout, engine })
    }

    /// What the line asks for.
    pub fn request(&self, launch: &Launch) -> Request {
        Request::new(launch, self.engine.facts.architecture)
    }

    /// The line's box, made now if there is none.
    pub fn find_or_make(&self, launch: &Launch) -> Result<BoxRecord> {
        let request = self.request(launch);
        if let Some(record) = boxes::find(&self.layout, &request)? {
            return self.up_to_date(launch, record);
        }
        let waiting = || ui::note("waiting for another start that makes the same box");
        let _lock = lock::take(&self.layout.lock(&request.key()), waiting)?;
        // Whoever held the lock may have made it.
        if let Some(record) = boxes::find(&self.layout, &request)? {
            return Ok(record);
        }
        self.make(launch, request).map_err(|e| if e.kind == Kind::Network { self.offer_cached(e, launch) } else { e })
    }

    /// An image holds the guest of the jitbox that made it. After an upgrade it is made again,
    /// from the same lock.
    fn up_to_date(&self, launch: &Launch, record: BoxRecord) -> Result<BoxRecord> {
        if record.guest == guest_id(self.engine.facts.architecture) {
            return Ok(record);
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

    fn make(&self, launch: &Launch, request: Request) -> Result<BoxRecord> {
        let name = launch.packages.first().map_or("python", |spec| spec.name());
        let progress = ui::Progress::new(self.context.terminals.stderr, &format!("preparing {name}"));
        let sources = self.sources(launch)?;
        let resolved = self.resolve(launch, &sources)?;
        let making = self.making(launch, &resolved, sources)?;
        making.ensure_base(&progress)?;
        progress.phase("resolving dependencies");
        let locked = match (request.ecosystem, resolved.packages.is_empty()) {
            // `uvx python`: an environment without packages.
            (Ecosystem::Pypi, true) => crate::image::lock::Lock::parse(Ecosystem::Pypi, String::new())?,
            _ => making.lock()?,
        };
        progress.phase("building");
        making.build(&locked)?;
        let image = making.image(&locked);
        let mcp = is_server(name) || locked.has_mcp_sdk(request.ecosystem);
        let programs = match request.ecosystem {
            Ecosystem::Npm => locked.bins.iter().map(|bin| (bin.clone(), None)).collect(),
            Ecosystem::Pypi => {
                progress.phase("looking");
                build::parse_programs(&self.read_file(&image, build::PROGRAMS)?)?
            }
        };
        let record = BoxRecord::new(
            request,
            resolved.packages,
            image,
            making.base,
            making.apt,
            resolved.default_program,
            programs,
            mcp,
            (locked.packages, locked.text),
        );
        drop(progress);
        boxes::activate(&self.layout, &record)?;
        Ok(record)
    }

    /// Makes the image of a known box again, from its own lock.
    pub fn remake(&self, launch: &Launch, record: &BoxRecord) -> Result<()> {
        let _lock = lock::take(&self.layout.lock(&record.request.key()), || {})?;
        let progress = ui::Progress::new(self.context.terminals.stderr, &format!("preparing {} again", record.name()));
        let sources = self.sources(launch)?;
        let making = Making {
            engine: &self.engine,
            layout: &self.layout,
            ecosystem: record.request.ecosystem,
            base: record.base.clone(),
            apt: record.apt.clone(),
            wanted: wanted(record.request.ecosystem, &record.packages)?,
            name: image_word(launch),
            sources: sources.2,
        };
        making.ensure_base(&progress)?;
        progress.phase("building");
        let locked = crate::image::lock::Lock::parse(record.request.ecosystem, record.lock.clone())?;
        making.build(&locked)?;
        let image = making.image(&locked);
        let mut record = record.clone();
        record.image = image;
        guest_id(self.engine.facts.architecture).clone_into(&mut record.guest);
        boxes::activate(&self.layout, &record)
    }

    /// What a container that fetches needs to reach the user's registries.
    pub fn sources(&self, launch: &Launch) -> Result<(Settings, Trust, Sources)> {
        let settings = Settings::load(self.context);
        let trust = Trust::load(self.context, &settings)?;
        for note in settings.notes.iter().chain(&trust.notes) {
            ui::note(note);
        }
        let proxy = Proxies::from_env(&self.context.env).variables();
        let (public, secret) = match launch.launcher.ecosystem() {
            Ecosystem::Npm => {
                let npm = settings.npm.with_registry(launch.registry.as_deref())?;
                (npm.npmrc_public(), npm.npmrc_secret())
            }
            Ecosystem::Pypi => {
                let python = settings.python.with_default(launch.registry.as_deref())?;
                let variables = python.uv_public_env();
                let public = variables.iter().map(|(k, v)| format!("export {k}={}\n", shell_words::quote(v))).collect();
                (public, python.netrc_secret())
            }
        };
        let ca = trust.bundle_pem();
        Ok((settings, trust, Sources { public, secret, proxy, ca }))
    }

    /// Asks the registries: exact versions, and the base image that they need.
    pub fn resolve(&self, launch: &Launch, (settings, trust, _): &(Settings, Trust, Sources)) -> Result<Resolved> {
        let client = Client::new(trust);
        let names = &self.config.images;
        let registry = launch.registry.as_deref();
        let (mut packages, mut engines, mut requires) = (Vec::new(), Vec::new(), Vec::new());
        let (mut default_program, mut python) = (None, launch.python.clone());
        for (i, spec) in launch.packages.iter().enumerate() {
            match spec {
                PackageSpec::Npm(spec) => {
                    let release = npm::resolve(&client, settings, registry, spec)?;
                    if let Some(why) = &release.deprecated {
                        ui::note(&format!("{} is deprecated: {why}", release.pinned));
                    }
                    if i == 0 {
                        // A line that names its command shares the box with one that does not.
                        let default = npm::default_bin(&release);
                        default_program = if launch.command.is_none() { Some(default?) } else { default.ok() };
                    }
                    engines.extend(release.engines_node);
                    packages.push(release.pinned);
                }
                PackageSpec::Pypi(spec) => {
                    let release = pypi::resolve(&client, settings, registry, spec, launch.python.as_deref())?;
                    if i == 0 {
                        default_program = Some(spec.typed.clone());
                        python.get_or_insert(release.python);
                    }
                    requires.extend(release.requires_python);
                    packages.push(release.pinned);
                }
            }
        }
        let mut base = match launch.launcher.ecosystem() {
            Ecosystem::Npm => names.node(&engines)?,
            Ecosystem::Pypi => names.python(&requires, python.as_deref())?,
        };
        base.image = full_name(&base.image);
        Ok(Resolved { packages, base, default_program })
    }

    /// What is to be made for a resolved line.
    pub fn making(
        &self,
        launch: &Launch,
        resolved: &Resolved,
        sources: (Settings, Trust, Sources),
    ) -> Result<Making<'_>> {
        let mut apt = Vec::new();
        for package in &resolved.packages {
            apt.extend(recipe::for_package(package.ecosystem(), package.name())?.apt);
        }
        Ok(Making {
            engine: &self.engine,
            layout: &self.layout,
            ecosystem: launch.launcher.ecosystem(),
            base: resolved.base.image.clone(),
            apt,
            wanted: wanted(launch.launcher.ecosystem(), &resolved.packages)?,
            name: image_word(launch),
            sources: sources.2,
        })
    }

    /// Decides what the line may do.
    pub fn decide(&self, launch: &Launch) -> Policy {
        let context = self.context;
        policy::decide(Asked {
            engine: &self.engine,
            config: &self.config,
            tighten: &launch.tighten,
            paths: paths::look(&launch.args, &context.cwd),
            environment: context.env.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
            home: &context.home,
            data_dir: self.layout.root(),
            cwd: &context.cwd,
            ids: (context.uid, context.gid),
            terminal: context.terminals.all(),
            processors: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        })
    }

    /// Runs the line's program in its box, on our own standard streams.
    pub fn run(&self, launch: &Launch, record: &BoxRecord, policy: &Policy) -> Result<End> {
        policy::write_seccomp(&self.layout, &self.engine)?;
        let carrier = self.carrier();
        let outcome = match self.start(launch, record, policy, carrier) {
            Err(e) if e.kind == Kind::Engine => {
                // The image may be gone, or was never made on this engine: ask, and make it.
                match build::image_exists(&self.engine, &record.image) {
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
        Ok(outcome.end)
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
        let mut argv = vec![program(launch, record)?.into_bytes()];
        argv.extend(launch.args.iter().map(|arg| arg.as_bytes().to_vec()));
        supervise::run(Job {
            engine: &self.engine,
            layout: &self.layout,
            plan: policy.decide(&self.layout, &self.engine, &record.image),
            launch: Program {
                argv,
                env: policy.environment_block(),
                cwd: policy.cwd.as_os_str().as_bytes().to_vec(),
                stdio: Stdio::Framed,
                grace_ms: GRACE.as_millis() as u32,
                watch: policy.watch,
            },
            carrier,
            mcp: record.mcp,
            terminal: self.context.terminals.all(),
        })
    }

    /// Reads a file of an image, in a box like any other.
    fn read_file(&self, image: &str, path: &str) -> Result<Vec<u8>> {
        policy::write_seccomp(&self.layout, &self.engine)?;
        let job = Job {
            engine: &self.engine,
            layout: &self.layout,
            plan: policy::looking(&self.layout, &self.engine, image),
            launch: Program {
                argv: vec![b"/bin/cat".to_vec(), path.as_bytes().to_vec()],
                env: Vec::new(),
                cwd: STATE_DIR.as_bytes().to_vec(),
                stdio: Stdio::Framed,
                grace_ms: 0,
                watch: Watch::default(),
            },
            carrier: self.carrier(),
            mcp: false,
            terminal: false,
        };
        let (outcome, bytes) = supervise::capture(job, MAX_PROGRAMS)?;
        self.learn(&outcome);
        match outcome.end {
            End::Exited(0) => Ok(bytes),
            end => Err(Error::failed(format!("can't read `{path}` of the image")).because(format!("{end:?}"))),
        }
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

/// The program in the box that the line means.
pub fn program(launch: &Launch, record: &BoxRecord) -> Result<String> {
    let folder = match record.request.ecosystem {
        Ecosystem::Npm => "/app/node_modules/.bin",
        Ecosystem::Pypi => "/app/venv/bin",
    };
    let Some(name) = launch.command.as_ref().or(record.default_program.as_ref()) else {
        return Err(Error::usage("the line names no program"));
    };
    if record.programs.contains_key(name) {
        return Ok(format!("{folder}/{name}"));
    }
    // The interpreter itself is a program like any other, as on the PATH that npx and uvx make.
    let interpreter = match record.request.ecosystem {
        Ecosystem::Npm => name == "node",
        Ecosystem::Pypi => name.starts_with("python") && Path::new(name).components().count() == 1,
    };
    if interpreter {
        let real = if record.request.ecosystem == Ecosystem::Npm { "node".into() } else { format!("{folder}/python") };
        return Ok(real);
    }
    Err(no_such_program(launch, record, name))
}

fn no_such_program(launch: &Launch, record: &BoxRecord, name: &str) -> Error {
    let from = launch.packages.first().map_or_else(String::new, ToString::to_string);
    let error = Error::not_found(format!("no executable `{name}` is provided by `{from}`"));
    let provided: Vec<&str> = record
        .programs
        .iter()
        .filter(|(_, package)| {
            package.as_ref().is_none_or(|p| launch.packages.iter().any(|spec| same_project(spec.name(), p)))
        })
        .map(|(program, _)| program.as_str())
        .take(8)
        .collect();
    match (&provided[..], record.request.ecosystem) {
        ([], _) => error,
        (names, Ecosystem::Pypi) => names.iter().fold(error, |e, n| e.hint(format!("uvx-safe --from {from} {n}"))),
        (names, Ecosystem::Npm) => names.iter().fold(error, |e, n| e.hint(format!("npx-safe -y -p {from} {n}"))),
    }
}

/// Project names that differ in case and separators only are one (PEP 503).
fn same_project(a: &str, b: &str) -> bool {
    let plain = |s: &str| s.to_lowercase().replace(['_', '.'], "-");
    plain(a) == plain(b)
}

/// A name that says `mcp` as a word of its own is taken for an MCP server even if it brings its
/// own copy of the SDK.
fn is_server(name: &str) -> bool {
    name.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word.eq_ignore_ascii_case("mcp"))
}

/// What the lock step resolves.
fn wanted(ecosystem: Ecosystem, packages: &[PinnedPackage]) -> Result<String> {
    Ok(match ecosystem {
        Ecosystem::Npm => {
            let dependencies: serde_json::Map<String, serde_json::Value> =
                packages.iter().map(|p| (p.name().to_owned(), p.version().into())).collect();
            serde_json::json!({ "private": true, "dependencies": dependencies }).to_string()
        }
        Ecosystem::Pypi => packages.iter().map(|p| format!("{p}\n")).collect(),
    })
}

/// The first package's name as a component of an image's name (docker-tag(1): lower case,
/// digits, single separators).
fn image_word(launch: &Launch) -> String {
    let name = launch.packages.first().map_or("python", |spec| spec.name());
    let lower = name.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
    let joined = words.collect::<Vec<_>>().join("-");
    format!("{}-{joined}", launch.launcher.ecosystem())
}

/// An image's name with its registry, as docker would complete it: podman does not.
fn full_name(image: &str) -> String {
    match image.split_once('/') {
        None => format!("docker.io/library/{image}"),
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => image.to_owned(),
        Some(_) => format!("docker.io/{image}"),
    }
}
