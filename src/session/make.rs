//! From a line without a box to its box: resolve, lock, build, record.

use jitbox_guest::protocol::{End, Launch as Program, Stdio, Watch};

use super::Session;
use crate::error::{Error, Result};
use crate::image::base::Base;
use crate::image::build::{self, Making, Sources};
use crate::image::lock::Lock;
use crate::image::template::guest_id;
use crate::launch::Launch;
use crate::package::{Ecosystem, PackageSpec, PinnedPackage};
use crate::plan::STATE_DIR;
use crate::registry::http::Client;
use crate::registry::settings::{Proxies, Settings};
use crate::registry::trust::Trust;
use crate::registry::{npm, pypi};
use crate::state::boxes::{self, BoxRecord, Request};
use crate::state::lock;
use crate::supervise::{self, Job};
use crate::{policy, recipe, ui};

/// How much a program's list of executables may be.
const MAX_PROGRAMS: usize = 1 << 20;

/// What was decided on for a line that has no box yet.
pub struct Resolved {
    /// The packages, in the order of the line.
    pub packages: Vec<PinnedPackage>,
    /// The base image.
    pub base: Base,
    /// The program that the line means when it names no command.
    pub default_program: Option<String>,
}

impl Session<'_> {
    pub(super) fn make(&self, launch: &Launch, request: Request) -> Result<BoxRecord> {
        let name = launch.packages.first().map_or("python", |spec| spec.name());
        let progress = ui::Progress::new(self.context.terminals.stderr, &format!("preparing {name}"));
        let sources = self.sources(launch)?;
        let resolved = self.resolve(launch, &sources)?;
        let making = self.making(launch, &resolved, sources)?;
        making.ensure_base(&progress)?;
        progress.phase("resolving dependencies");
        let locked = match (request.ecosystem, resolved.packages.is_empty()) {
            // `uvx python`: an environment without packages.
            (Ecosystem::Pypi, true) => Lock::parse(Ecosystem::Pypi, String::new())?,
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
        let locked = Lock::parse(record.request.ecosystem, record.lock.clone())?;
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
                let mut public: String =
                    variables.iter().map(|(k, v)| format!("export {k}={}\n", shell_words::quote(v))).collect();
                if launch.prerelease {
                    public.push_str("export UV_PRERELEASE=allow\n");
                }
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
                    let python_asked = launch.python.as_deref();
                    let release = pypi::resolve(&client, settings, registry, spec, python_asked, launch.prerelease)?;
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
