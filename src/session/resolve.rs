//! Asks the registries: exact versions that are old enough, and the base image that they need.

use std::str::FromStr;
use std::time::SystemTime;

use pep440_rs::Version;

use super::Session;
use super::age::LineAges;
use super::make::wanted;
use crate::error::{Doing, Error, Result};
use crate::image::lock::Lock;
use crate::launch::Launch;
use crate::package::editable::Editable;
use crate::package::npm::{NpmRequest, NpmSpec};
use crate::package::pypi::{PypiRequest, PypiSpec};
use crate::package::{Ecosystem, PackageSpec, PinnedPackage};
use crate::policy::age::Cutoff;
use crate::registry::http::Client;
use crate::registry::npm::NpmRelease;
use crate::registry::pypi::{PypiRelease, Wishes};
use crate::registry::sourced::pypi::{Build, Make};
use crate::registry::sourced::{self, Archive, Sourcing};
use crate::registry::trust::Trust;
use crate::registry::{npm, pypi};
use crate::state::overrides::Overrides;
use crate::ui;

/// What was decided on for a line that has no box yet.
pub struct Resolved {
    /// The packages, in the order of the line.
    pub packages: Vec<PinnedPackage>,
    /// The base image's full name.
    pub base: String,
    /// The program that the line means when it names no command.
    pub default_program: Option<String>,
    /// Files of packages that are in no registry.
    pub archives: Vec<Archive>,
    /// Packages that have to be built first, by their place among the packages.
    pub builds: Vec<(usize, Build)>,
    /// What only the lock decides on: of a local project, whose dependencies have to fit together.
    pub open: Vec<PypiSpec>,
    /// From when on nothing is taken into its tree.
    pub cutoff: Option<Cutoff>,
    /// What is asked for besides the line, by recipes, too.
    pub overrides: Overrides,
}

impl Resolved {
    /// What the lock step resolves.
    pub(super) fn wanted(&self, ecosystem: Ecosystem) -> Result<String> {
        let open: String = self.open.iter().map(|spec| format!("{spec}\n")).collect();
        Ok(wanted(ecosystem, &self.packages)? + &open)
    }

    /// Takes the versions that were left open from the lock.
    pub(super) fn settle(&mut self, locked: &Lock) -> Result<()> {
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

/// What the packages of a line come to, one after the other.
struct Resolving<'a> {
    session: &'a Session<'a>,
    launch: &'a Launch,
    overrides: &'a Overrides,
    client: Client,
    sourcing: Sourcing<'a>,
    ages: LineAges<'a>,
    asked: Option<String>,
    /// `engines.node` of each.
    engines: Vec<String>,
    /// `requires-python` of each.
    requires: Vec<String>,
    python: Option<String>,
    packages: Vec<PinnedPackage>,
    default_program: Option<String>,
    archives: Vec<Archive>,
    builds: Vec<(usize, Build)>,
    open: Vec<PypiSpec>,
}

impl Session<'_> {
    /// Asks the registries: exact versions, and the base image that they need. Besides what is `asked` for, recipes are.
    pub fn resolve(&self, launch: &Launch, asked: &Overrides, trust: &Trust) -> Result<Resolved> {
        self.resolve_with(launch, &self.recipes.overrides(launch, asked)?, trust)
    }

    /// The same with just these overrides.
    pub(super) fn resolve_with(&self, launch: &Launch, overrides: &Overrides, trust: &Trust) -> Result<Resolved> {
        let launch = &overrides.applied_to(launch)?;
        let asked = self.python(launch);
        let mut all = Resolving {
            session: self,
            launch,
            overrides,
            client: Client::new(trust),
            sourcing: Sourcing::new(self.context, trust),
            ages: LineAges::new(self, launch, SystemTime::now())?,
            python: asked.clone(),
            asked,
            engines: overrides.node.iter().cloned().collect(),
            requires: Vec::new(),
            packages: Vec::new(),
            default_program: None,
            archives: Vec::new(),
            builds: Vec::new(),
            open: Vec::new(),
        };
        if let Some(editable) = launch.local.as_ref().and_then(|local| local.editable.as_ref()) {
            let (package, archive) = own(editable)?;
            all.packages.push(package);
            all.archives.push(archive);
        }
        for (i, spec) in launch.packages.iter().enumerate() {
            match spec {
                PackageSpec::Npm(npm) => all.npm(i == 0, spec, npm)?,
                PackageSpec::Pypi(pypi)
                    if launch.local.is_some() && !matches!(pypi.request, PypiRequest::Source(_)) =>
                {
                    all.open.push(pypi.clone());
                }
                PackageSpec::Pypi(pypi) => all.pypi(i == 0, spec, pypi)?,
            }
        }
        for spec in overrides.sdists()? {
            all.sdist(&spec)?;
        }
        all.resolved()
    }
}

impl Resolving<'_> {
    fn npm(&mut self, first: bool, spec: &PackageSpec, npm: &NpmSpec) -> Result<()> {
        let release = match &npm.request {
            NpmRequest::Source(source) => {
                let found = sourced::npm::fetch(&self.sourcing, npm, source)?;
                found.note.iter().for_each(|note| ui::note(note));
                self.archives.push(found.archive);
                found.release
            }
            _ => self.npm_release(spec, npm)?,
        };
        if let Some(why) = &release.deprecated {
            ui::note(&format!("{} is deprecated: {why}", release.pinned));
        }
        if first {
            // A line that names its command shares the box with one that does not.
            let default = npm::default_bin(&release);
            let named = self.launch.command.is_some() || self.launch.call.is_some();
            self.default_program = if named { default.ok() } else { Some(default?) };
        }
        self.engines.extend(release.engines_node);
        self.packages.push(release.pinned);
        Ok(())
    }

    fn npm_release(&mut self, spec: &PackageSpec, npm: &NpmSpec) -> Result<NpmRelease> {
        let (settings, registry) = (&self.session.settings, self.launch.registry.as_deref());
        let any = self.ages.any(spec)?;
        let release = npm::resolve(&self.client, settings, registry, npm, self.ages.bound(any.as_ref()))?;
        self.ages.judge(spec, &release.pinned, &release.dated, any.as_ref())?;
        self.ages.judge_name(spec, release.since, any.as_ref())?;
        Ok(release)
    }

    fn pypi(&mut self, first: bool, spec: &PackageSpec, pypi: &PypiSpec) -> Result<()> {
        let release = match &pypi.request {
            PypiRequest::Source(source) => {
                let found = sourced::pypi::fetch(&self.sourcing, pypi, source, self.asked.as_deref())?;
                match found.make {
                    Make::Wheel(archive) => self.archives.push(archive),
                    Make::Build(build) => self.builds.push((self.packages.len(), build)),
                }
                found.release
            }
            _ => self.pypi_release(spec, pypi)?,
        };
        if first && self.launch.local.is_none() {
            // A source without a name runs what is called as the package calls itself.
            let named = if pypi.typed.is_empty() { release.pinned.name() } else { &pypi.typed };
            self.default_program = Some(named.to_owned());
            self.python.get_or_insert(release.python);
        }
        self.requires.extend(release.requires_python);
        self.packages.push(release.pinned);
        Ok(())
    }

    fn pypi_release(&mut self, spec: &PackageSpec, pypi: &PypiSpec) -> Result<PypiRelease> {
        let launch = self.launch;
        let (index, python) = (launch.registry.as_deref(), self.asked.as_deref());
        let wishes = Wishes { index, python, prerelease: launch.prerelease };
        let any = self.ages.any(spec)?;
        let bound = self.ages.bound(any.as_ref());
        let release = pypi::resolve(&self.client, &self.session.settings, wishes, pypi, bound)?;
        self.ages.judge(spec, &release.pinned, &release.dated, any.as_ref())?;
        self.ages.judge_name(spec, release.since, any.as_ref())?;
        Ok(release)
    }

    /// A package of an index that is to be built if it has no wheel: one of the line's, or one that they need.
    fn sdist(&mut self, pypi: &PypiSpec) -> Result<()> {
        let release = self.pypi_release(&PackageSpec::Pypi(pypi.clone()), pypi)?;
        if release.has_wheel {
            ui::note(&format!("{} has a wheel, and is not built", release.pinned));
            return Ok(());
        }
        let (pinned, build) = sourced::pypi::fetch_sdist(&self.sourcing, pypi, &release)?;
        self.requires.extend(release.requires_python);
        let place = self.packages.iter().position(|package| package.name() == pinned.name());
        let place = place.unwrap_or(self.packages.len());
        match self.packages.get_mut(place) {
            Some(package) => *package = pinned,
            None => self.packages.push(pinned),
        }
        self.builds.push((place, build));
        Ok(())
    }

    fn resolved(self) -> Result<Resolved> {
        let names = &self.session.config.images;
        let base = match (&self.overrides.base, self.launch.launcher.ecosystem()) {
            (Some(image), _) => image.clone(),
            (None, Ecosystem::Npm) => names.node(&self.engines)?.image,
            (None, Ecosystem::Pypi) => names.python(&self.requires, self.python.as_deref())?.image,
        };
        Ok(Resolved {
            packages: self.packages,
            base: full_name(&base),
            default_program: self.default_program,
            archives: self.archives,
            builds: self.builds,
            open: self.open,
            cutoff: self.ages.cutoff(),
            overrides: self.overrides.clone(),
        })
    }
}

/// The wheel of a local project itself.
fn own(editable: &Editable) -> Result<(PinnedPackage, Archive)> {
    let version = Version::from_str(&editable.version).doing(|| format!("`{}` is no version", editable.version))?;
    let package = PinnedPackage::pypi(&editable.name, &version, &[]).made_into(&editable.file);
    Ok((package, Archive { name: editable.file.clone(), bytes: editable.bytes.clone() }))
}

/// An image's name with its registry, as docker would complete it: podman does not.
fn full_name(image: &str) -> String {
    match image.split_once('/') {
        None => format!("docker.io/library/{image}"),
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => image.to_owned(),
        Some(_) => format!("docker.io/{image}"),
    }
}
