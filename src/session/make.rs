//! From a line without a box to its box: resolve, lock, build, record.

use std::str::FromStr;

use pep440_rs::Version;

use super::Session;
use crate::error::{Doing, Error, Kind, Result};
use crate::image::base::Base;
use crate::image::build::{self, Making, Sources};
use crate::image::lock::{Lock, NPM_ARCHIVES, PYPI_ARCHIVES};
use crate::image::template::guest_id;
use crate::launch::Launch;
use crate::package::editable::Editable;
use crate::package::npm::NpmRequest;
use crate::package::pypi::{PypiRequest, PypiSpec};
use crate::package::{Ecosystem, PackageSpec, PinnedPackage};
use crate::registry::http::Client;
use crate::registry::sourced::pypi::{Build, Make};
use crate::registry::sourced::{self, Archive, Sourcing};
use crate::registry::trust::Trust;
use crate::registry::{npm, npmrc, pypi};
use crate::state::boxes::{self, BoxRecord, Request};
use crate::state::lock;
use crate::{recipe, ui};

/// What was decided on for a line that has no box yet.
pub struct Resolved {
    /// The packages, in the order of the line.
    pub packages: Vec<PinnedPackage>,
    /// The base image.
    pub base: Base,
    /// The program that the line means when it names no command.
    pub default_program: Option<String>,
    /// Files of packages that are in no registry.
    pub archives: Vec<Archive>,
    /// Packages that have to be built first, by their place among the packages.
    pub builds: Vec<(usize, Build)>,
    /// What only the lock decides on: of a local project, whose dependencies have to fit together.
    pub open: Vec<PypiSpec>,
}

impl Resolved {
    /// What the lock step resolves.
    fn wanted(&self, ecosystem: Ecosystem) -> Result<String> {
        let open: String = self.open.iter().map(|spec| format!("{spec}\n")).collect();
        Ok(wanted(ecosystem, &self.packages)? + &open)
    }

    /// Takes the versions that were left open from the lock.
    fn settle(&mut self, locked: &Lock) -> Result<()> {
        for spec in std::mem::take(&mut self.open) {
            let Some(name) = &spec.name else { continue };
            let found = locked.packages.iter().find(|package| package.name == name.as_str());
            let version = found.and_then(|package| Version::from_str(&package.version).ok());
            let version = version.ok_or_else(|| Error::failed(format!("{} is not in the lock", name.as_str())))?;
            self.packages.push(PinnedPackage::pypi(name, &version, &spec.extras));
        }
        Ok(())
    }
}

impl Session<'_> {
    pub(super) fn make(&self, launch: &Launch, request: Request) -> Result<BoxRecord> {
        self.check_names(launch)?;
        let name = name_of(launch);
        let progress = ui::Progress::new(self.context.terminals.stderr, &format!("preparing {name}"));
        let sources = self.sources(launch)?;
        let mut resolved = self.resolve(launch, &sources.0)?;
        let mut making = self.making(launch, &mut resolved, sources.1)?;
        making.ensure_base(&progress)?;
        build_wheels(&mut making, &mut resolved, &progress)?;
        progress.phase("resolving dependencies");
        let locked = match (request.ecosystem, making.wanted.is_empty()) {
            // `uvx python`: an environment without packages.
            (Ecosystem::Pypi, true) => Lock::parse(Ecosystem::Pypi, String::new())?,
            _ => making.lock()?,
        };
        resolved.settle(&locked)?;
        self.check_known(launch, &locked, &resolved.packages)?;
        progress.phase("building");
        making.sources.secret = self.logins_to_fetch(launch, &locked)?;
        making.build(&locked).map_err(|e| self.name_withheld(e, launch, &locked))?;
        let image = making.image(&locked);
        let own_name = resolved.packages.first().map_or(name, PinnedPackage::name);
        let mcp = is_server(name) || is_server(own_name) || locked.has_mcp_sdk(request.ecosystem);
        let programs = match request.ecosystem {
            Ecosystem::Npm => locked.bins.iter().map(|bin| (bin.clone(), None)).collect(),
            Ecosystem::Pypi => {
                progress.phase("looking");
                build::parse_programs(&self.programs(&image)?)?
            }
        };
        let record = BoxRecord::new(
            request,
            resolved.packages,
            image,
            making.base.clone(),
            making.apt.clone(),
            resolved.default_program,
            programs,
            mcp,
            (locked.packages, locked.text),
        );
        progress.phase("compiling");
        self.compile(launch, &record);
        drop(progress);
        boxes::keep_archives(&self.layout, &record.request, &making.archives)?;
        boxes::activate(&self.layout, &record)?;
        if !record.request.contents.is_empty()
            && let Err(e) = self.remove_outdated(&record)
        {
            ui::note(&e.to_string());
        }
        Ok(record)
    }

    /// Makes the image of a known box again, from its own lock.
    pub fn remake(&self, launch: &Launch, record: &BoxRecord) -> Result<()> {
        let _lock = lock::take(&self.layout.lock(&record.request.key()), || {})?;
        let progress = ui::Progress::new(self.context.terminals.stderr, &format!("preparing {} again", record.name()));
        let sources = self.sources(launch)?;
        let locked = Lock::parse(record.request.ecosystem, record.lock.clone())?;
        self.check_known(launch, &locked, &record.packages)?;
        let secret = self.logins_to_fetch(launch, &locked)?;
        let making = Making {
            engine: &self.engine,
            layout: &self.layout,
            ecosystem: record.request.ecosystem,
            base: record.base.clone(),
            apt: recipe::apt(&record.packages)?,
            wanted: wanted(record.request.ecosystem, &record.packages)?,
            name: image_word(launch),
            sources: Sources { secret, ..sources.1 },
            archives: boxes::archives(&self.layout, record)?,
            constraints: String::new(),
        };
        making.ensure_base(&progress)?;
        progress.phase("building");
        making.build(&locked)?;
        let image = making.image(&locked);
        let mut record = record.clone();
        record.image = image;
        record.apt = making.apt;
        guest_id(self.engine.facts.architecture).clone_into(&mut record.guest);
        progress.phase("compiling");
        self.compile(launch, &record);
        boxes::activate(&self.layout, &record)
    }

    /// What a container that fetches needs to reach the user's registries.
    pub fn sources(&self, launch: &Launch) -> Result<(Trust, Sources)> {
        let (settings, ecosystem) = (&self.settings, launch.launcher.ecosystem());
        settings.check(ecosystem)?;
        settings.may_fetch(ecosystem)?;
        let trust = Trust::load(self.context, settings)?;
        for note in settings.notes(ecosystem).iter().chain(&trust.notes) {
            ui::note(note);
        }
        let (public, secret) = match ecosystem {
            Ecosystem::Npm => {
                let npm = settings.npm.with_registry(launch.registry.as_deref())?;
                (npm.npmrc_public(), npm.npmrc_secret(&npm.registries()))
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
        let proxies = match ecosystem {
            Ecosystem::Npm => &settings.npm.proxies,
            Ecosystem::Pypi => &settings.python.proxies,
        };
        let sources = Sources { public, secret, proxy: proxies.variables(), ca: trust.bundle_pem() };
        Ok((trust, sources))
    }

    /// The logins that fetching a locked tree needs: none for hosts that none of its files is
    /// at, and none at all for the public registry on a builder that could not keep them.
    fn logins_to_fetch(&self, launch: &Launch, locked: &Lock) -> Result<Option<String>> {
        let registry = launch.registry.as_deref();
        Ok(match launch.launcher.ecosystem() {
            Ecosystem::Npm => {
                let npm = self.settings.npm.with_registry(registry)?;
                let mut addresses = npm.sources_of(&locked.files);
                addresses.retain(|url| self.engine.builds_with_secrets() || !npmrc::is_public(url));
                npm.npmrc_secret(&addresses)
            }
            Ecosystem::Pypi => self.settings.python.with_default(registry)?.netrc_secret(),
        })
    }

    /// Says that a login was left out, which may be why a build without one came to nothing.
    fn name_withheld(&self, error: Error, launch: &Launch, locked: &Lock) -> Error {
        let npm = self.settings.npm.with_registry(launch.registry.as_deref());
        let withheld = npm.is_ok_and(|npm| npm.npmrc_secret(&npm.sources_of(&locked.files)).is_some());
        if error.kind == Kind::Refused || self.engine.builds_with_secrets() || !withheld {
            return error;
        }
        error.hint("if a package is private, its token could not be used: apt install docker-buildx")
    }

    /// Asks the registries: exact versions, and the base image that they need.
    pub fn resolve(&self, launch: &Launch, trust: &Trust) -> Result<Resolved> {
        let (settings, client) = (&self.settings, Client::new(trust));
        let names = &self.config.images;
        let registry = launch.registry.as_deref();
        let (mut packages, mut engines, mut requires) = (Vec::new(), Vec::new(), Vec::new());
        let asked = self.python(launch);
        let (mut default_program, mut python) = (None, asked.clone());
        let (mut archives, mut builds) = (Vec::new(), Vec::new());
        let sourcing = Sourcing::new(self.context, trust);
        let mut open = Vec::new();
        if let Some(editable) = launch.local.as_ref().and_then(|local| local.editable.as_ref()) {
            let (package, archive) = own(editable)?;
            packages.push(package);
            archives.push(archive);
        }
        for (i, spec) in launch.packages.iter().enumerate() {
            match spec {
                PackageSpec::Npm(spec) => {
                    let release = match &spec.request {
                        NpmRequest::Source(source) => {
                            let found = sourced::npm::fetch(&sourcing, spec, source)?;
                            found.note.iter().for_each(|note| ui::note(note));
                            archives.push(found.archive);
                            found.release
                        }
                        _ => npm::resolve(&client, settings, registry, spec)?,
                    };
                    if let Some(why) = &release.deprecated {
                        ui::note(&format!("{} is deprecated: {why}", release.pinned));
                    }
                    if i == 0 {
                        // A line that names its command shares the box with one that does not.
                        let default = npm::default_bin(&release);
                        let named = launch.command.is_some() || launch.call.is_some();
                        default_program = if named { default.ok() } else { Some(default?) };
                    }
                    engines.extend(release.engines_node);
                    packages.push(release.pinned);
                }
                PackageSpec::Pypi(spec)
                    if launch.local.is_some() && !matches!(spec.request, PypiRequest::Source(_)) =>
                {
                    open.push(spec.clone());
                }
                PackageSpec::Pypi(spec) => {
                    let release = match &spec.request {
                        PypiRequest::Source(source) => {
                            let found = sourced::pypi::fetch(&sourcing, spec, source, asked.as_deref())?;
                            match found.make {
                                Make::Wheel(archive) => archives.push(archive),
                                Make::Build(build) => builds.push((packages.len(), build)),
                            }
                            found.release
                        }
                        _ => pypi::resolve(&client, settings, registry, spec, asked.as_deref(), launch.prerelease)?,
                    };
                    if i == 0 && launch.local.is_none() {
                        // A source without a name runs what is called as the package calls itself.
                        let named = if spec.typed.is_empty() { release.pinned.name() } else { &spec.typed };
                        default_program = Some(named.to_owned());
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
        Ok(Resolved { packages, base, default_program, archives, builds, open })
    }

    /// What is to be made for a resolved line.
    pub fn making(&self, launch: &Launch, resolved: &mut Resolved, sources: Sources) -> Result<Making<'_>> {
        let mut apt = recipe::apt(&resolved.packages)?;
        for name in resolved.open.iter().filter_map(|spec| spec.name.as_ref()) {
            apt.extend(recipe::for_package(Ecosystem::Pypi, name.as_str())?.apt);
        }
        Ok(Making {
            engine: &self.engine,
            layout: &self.layout,
            ecosystem: launch.launcher.ecosystem(),
            base: resolved.base.image.clone(),
            apt,
            wanted: resolved.wanted(launch.launcher.ecosystem())?,
            constraints: launch.local.as_ref().map_or_else(String::new, |local| local.constraints.clone()),
            name: image_word(launch),
            sources,
            archives: std::mem::take(&mut resolved.archives),
        })
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
            let mut dependencies = serde_json::Map::new();
            for package in packages {
                let version = match package.archive() {
                    Some(archive) => format!("{NPM_ARCHIVES}{archive}"),
                    None => package.version().to_owned(),
                };
                let other = dependencies.insert(package.name().to_owned(), version.clone().into());
                if other.is_some_and(|other| other != *version) {
                    return Err(Error::refused(format!("{} is asked for twice, and not the same", package.name()))
                        .hint("name each package once"));
                }
            }
            serde_json::json!({ "private": true, "dependencies": dependencies }).to_string()
        }
        Ecosystem::Pypi => packages.iter().map(|package| requirement(package) + "\n").collect(),
    })
}

/// As uv reads it; what the box brings along by its file.
fn requirement(package: &PinnedPackage) -> String {
    let Some(archive) = package.archive() else { return package.to_string() };
    let name = package.with_extras();
    format!("{name} @ {PYPI_ARCHIVES}{archive}")
}

/// Builds what has to be built, so that all packages are there as files.
fn build_wheels(making: &mut Making<'_>, resolved: &mut Resolved, progress: &ui::Progress) -> Result<()> {
    for (place, build) in std::mem::take(&mut resolved.builds) {
        let Some(package) = resolved.packages.get_mut(place) else { continue };
        progress.phase(&format!("building {}", package.name()));
        let (name, bytes) = making.wheel(&build)?;
        let (pinned, archive) = sourced::pypi::built(&name, bytes, package)?;
        *package = pinned;
        making.archives.push(archive);
        making.wanted = resolved.wanted(making.ecosystem)?;
    }
    Ok(())
}

/// The name of the line's box, for people.
fn name_of(launch: &Launch) -> &str {
    let folder = launch.local.as_ref().and_then(|local| local.folder().file_name()).and_then(|name| name.to_str());
    folder.or(launch.packages.first().map(PackageSpec::name)).unwrap_or("python")
}

/// The wheel of a local project itself.
fn own(editable: &Editable) -> Result<(PinnedPackage, Archive)> {
    let version = Version::from_str(&editable.version).doing(|| format!("`{}` is no version", editable.version))?;
    let package = PinnedPackage::pypi(&editable.name, &version, &[]).made_into(&editable.file);
    Ok((package, Archive { name: editable.file.clone(), bytes: editable.bytes.clone() }))
}

/// The first package's name as a component of an image's name (docker-tag(1): lower case,
/// digits, single separators).
fn image_word(launch: &Launch) -> String {
    let lower = name_of(launch).to_lowercase();
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
