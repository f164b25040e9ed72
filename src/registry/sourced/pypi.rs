//! Python projects from repositories and archives.

use std::str::FromStr;

use pep440_rs::Version;
use toml::{Table, Value};

use super::{Archive, Content, Fetched, Sourcing, advised, find, pack, unpack};
use crate::digest;
use crate::error::{Error, Kind, Result};
use crate::image::base::{python_candidates, python_satisfies};
use crate::package::local::Sort;
use crate::package::pypi::{PypiName, PypiRequest, PypiSpec};
use crate::package::source::{PinnedSource, Source};
use crate::package::{Ecosystem, PinnedPackage, shown};
use crate::registry::cutoff::Dated;
use crate::registry::pack::Entry;
use crate::registry::pypi::PypiRelease;
use crate::registry::simple::wheel_name;

/// What pip builds with where a project does not say (PEP 518).
const SETUPTOOLS: &str = "setuptools>=40.8.0";

/// What a source has.
pub struct Project {
    /// As an index would describe it. The version is the wheel's; before that, what it says.
    pub release: PypiRelease,
    /// What becomes of it.
    pub make: Make,
}

/// How a project becomes a wheel.
pub enum Make {
    /// It is one.
    Wheel(Archive),
    /// It has to be built, in a box without a network.
    Build(Build),
}

/// A project to be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Its files, as a `.tar.gz` with everything in `src/`.
    pub files: Vec<u8>,
    /// The folder of the project in it.
    pub subdirectory: Option<String>,
    /// What builds it: requirements of an index, one a line.
    pub requires: String,
    /// A version for backends that ask git for one.
    pub pretend: String,
}

/// Fetches what a source has.
pub fn fetch(sourcing: &Sourcing<'_>, spec: &PypiSpec, source: &Source, python: Option<&str>) -> Result<Project> {
    let pythons = python_candidates(python)?;
    let address = spec.to_string();
    if let Some(name) = file_name(source) {
        if name.to_ascii_lowercase().ends_with(".whl") {
            let (file, pinned, python) = read_wheel(&name, spec, &pythons)?;
            let fetched = sourcing.fetch(source, Ecosystem::Pypi)?;
            let Content::Archive(bytes) = fetched.content else {
                return Err(Error::failed("a wheel is not a repository"));
            };
            let pinned = PinnedPackage::sourced(Ecosystem::Pypi, pinned.0, pinned.1, &spec.extras, fetched.source);
            let make = Make::Wheel(Archive { name: file.clone(), bytes });
            let pinned = pinned.made_into(&file);
            let release = PypiRelease {
                pinned,
                requires_python: None,
                has_wheel: true,
                python,
                sdist: None,
                dated: Dated::Unasked,
                since: None,
            };
            return Ok(Project { release, make });
        }
        if ![".tar.gz", ".tgz"].iter().any(|end| name.to_ascii_lowercase().ends_with(end)) {
            return Err(Error::refused(format!("`{}` is an archive that can't be read yet", shown(&name)))
                .hint("wheels and .tar.gz archives can be used"));
        }
    }
    let fetched = sourcing.fetch(source, Ecosystem::Pypi)?;
    let entries = match fetched.content {
        Content::Files(entries) => entries,
        Content::Archive(bytes) => unpack(&bytes, &address)?,
    };
    let subdirectory = match &fetched.source {
        PinnedSource::Git { subdirectory, .. } => subdirectory.clone(),
        PinnedSource::Archive { .. } => None,
    };
    let found = describe(&entries, subdirectory.as_deref(), spec.name.as_ref(), &address)
        .map_err(|e| advised(e, source, Kind::NotFound, "name the folder that has its pyproject.toml"))?;
    let python = pythons
        .iter()
        .find(|minor| found.requires_python.as_deref().is_none_or(|r| python_satisfies(minor, r)))
        .ok_or_else(|| {
            Error::not_found(format!("no known python satisfies {}", shown(&address)))
                .because(format!("it needs python {}", found.requires_python.clone().unwrap_or_default()))
        })?
        .clone();
    let pretend = match &fetched.source {
        PinnedSource::Git { commit, .. } => format!("0+g{}", &commit.as_str()[..12]),
        PinnedSource::Archive { hash, .. } => {
            format!("0+h{}", hash.chars().skip("sha256:".len()).take(12).collect::<String>())
        }
    };
    let files = pack(&entries, "src", true)?;
    let make = Make::Build(Build { files, subdirectory, requires: found.requires, pretend });
    let version = found.version.unwrap_or_else(|| "0".to_owned());
    let pinned = PinnedPackage::sourced(Ecosystem::Pypi, found.name, version, &spec.extras, fetched.source);
    let requires_python = found.requires_python;
    let (has_wheel, dated) = (false, Dated::Unasked);
    let release = PypiRelease { pinned, requires_python, has_wheel, python, sdist: None, dated, since: None };
    Ok(Project { release, make })
}

/// Fetches what an index has of a package only as its source. Its version is the index's, and not asked of anybody.
pub fn fetch_sdist(sourcing: &Sourcing<'_>, spec: &PypiSpec, release: &PypiRelease) -> Result<(PinnedPackage, Build)> {
    let name = release.pinned.to_string();
    let Some(sdist) = &release.sdist else {
        return Err(Error::refused(format!("{name} can't be built")).because("its index names no hash of its source"));
    };
    if !sdist.url.path().ends_with(".tar.gz") {
        return Err(Error::refused(format!("{name} can't be built")).because("its source is no .tar.gz archive"));
    }
    let Fetched { content: Content::Archive(bytes), .. } =
        sourcing.fetch(&Source::Archive(sdist.url.clone()), Ecosystem::Pypi)?
    else {
        return Err(Error::failed("an archive is not a repository"));
    };
    if !digest::full(&bytes).eq_ignore_ascii_case(&sdist.sha256) {
        return Err(Error::refused(format!("the source of {name} is not what its index says"))
            .because(format!("it has not the SHA-256 {}", shown(&sdist.sha256))));
    }
    let entries = unpack(&bytes, &name)?;
    let found = describe(&entries, None, spec.name.as_ref(), &name)?;
    let pretend = release.pinned.version().to_owned();
    let build = Build { files: pack(&entries, "src", true)?, subdirectory: None, requires: found.requires, pretend };
    Ok((release.pinned.clone().from_sdist(&sdist.sha256), build))
}

/// The name of an archive's file.
fn file_name(source: &Source) -> Option<String> {
    match source {
        Source::Archive(url) => {
            let name = url.path().rsplit('/').next().unwrap_or_default();
            Some(percent_encoding::percent_decode_str(name).decode_utf8_lossy().into_owned())
        }
        Source::Local(package) if package.sort == Sort::Archive => Some(package.name().to_owned()),
        _ => None,
    }
}

/// Name and version that a wheel's name says, for a file of our own with the same name; and a
/// Python that it fits.
fn read_wheel(name: &str, spec: &PypiSpec, pythons: &[String]) -> Result<(String, (String, String), String)> {
    let bad = || Error::usage(format!("`{}` is not the name of a wheel", shown(name)));
    let hint = "a wheel is called name-1.2.3-py3-none-any.whl";
    let (project, version, file) = wheel_parts(name).ok_or_else(|| bad().hint(hint))?;
    if spec.name.as_ref().is_some_and(|typed| *typed != project) {
        return Err(bad().because(format!("it is one of {}", project.as_str())).hint("leave out the name"));
    }
    let stem = &file[..file.len() - ".whl".len()];
    let wheel = wheel_name(stem).and_then(|(_, wheel)| wheel).ok_or_else(|| bad().hint(hint))?;
    let python = pythons.iter().find(|minor| wheel.fits(minor, std::env::consts::ARCH)).ok_or_else(|| {
        Error::not_found(format!("`{}` fits no known python on Linux", shown(name)))
            .hint("name a wheel for CPython and Linux, or for any")
    })?;
    Ok((file, (project.as_str().to_owned(), version.to_string()), python.clone()))
}

/// Project and version of a wheel by its name, if the name is plain.
pub fn wheel_parts(name: &str) -> Option<(PypiName, Version, String)> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._+!-".contains(&b);
    let stem = name.strip_suffix(".whl").filter(|stem| !stem.starts_with('-') && stem.bytes().all(plain))?;
    let parts: Vec<&str> = stem.split('-').collect();
    if !(5..=6).contains(&parts.len()) {
        return None;
    }
    Some((PypiName::parse(parts[0]).ok()?, Version::from_str(parts[1]).ok()?, name.to_owned()))
}

struct Found {
    name: String,
    version: Option<String>,
    requires_python: Option<String>,
    requires: String,
}

/// Reads what a project says of itself without running it.
fn describe(entries: &[Entry], subdirectory: Option<&str>, typed: Option<&PypiName>, address: &str) -> Result<Found> {
    let within = |file: &str| match subdirectory {
        Some(dir) => format!("{dir}/{file}"),
        None => file.to_owned(),
    };
    let text = |file: &str| find(entries, &within(file)).map(|entry| String::from_utf8_lossy(&entry.data).into_owned());
    let (pyproject, cfg) = (text("pyproject.toml"), text("setup.cfg"));
    if pyproject.is_none() && cfg.is_none() && text("setup.py").is_none() {
        return Err(Error::not_found(format!("there is no Python project at {address}"))
            .because("it has neither pyproject.toml nor setup.py")
            .hint("if it is in a folder of the repository, name that: `#subdirectory=path/to/folder`"));
    }
    let broken = |why: &dyn std::fmt::Display| {
        Error::failed(format!("the pyproject.toml of {address} can't be used")).because(why)
    };
    let table: Table = pyproject.unwrap_or_default().parse().map_err(|e| broken(&e))?;
    let at = |path: &[&str]| {
        path.iter()
            .try_fold(None, |found: Option<&Value>, key| match found {
                None => table.get(*key).map(Some),
                Some(value) => value.get(key).map(Some),
            })
            .flatten()
    };
    let words = |path: &[&str]| at(path).and_then(Value::as_str).map(str::to_owned);
    let own = words(&["project", "name"])
        .or_else(|| words(&["tool", "poetry", "name"]))
        .or_else(|| cfg_name(cfg.as_deref()?));
    let own = own.map(|name| PypiName::parse(&name).map_err(|e| broken(&e))).transpose()?;
    let name = match (own, typed) {
        (Some(own), Some(typed)) if own != *typed => {
            return Err(Error::not_found(format!("the project at {address} is not {}", typed.as_str()))
                .because(format!("it calls itself {}", own.as_str()))
                .hint(format!("write {} in its place, or leave the name out", own.as_str())));
        }
        (Some(name), _) => name,
        (None, Some(typed)) => typed.clone(),
        (None, None) => {
            return Err(Error::refused(format!("the project at {address} says its name only when it is built"))
                .hint(format!("say it yourself: \"name @ {address}\"")));
        }
    };
    Ok(Found {
        name: name.as_str().to_owned(),
        version: words(&["project", "version"]).filter(|v| Version::from_str(v).is_ok()),
        requires_python: words(&["project", "requires-python"]).map(|r| crate::registry::shown(&r)),
        requires: build_requires(at(&["build-system", "requires"]), address)?,
    })
}

/// `name = …` in the section `[metadata]`.
fn cfg_name(cfg: &str) -> Option<String> {
    let (_, metadata) = cfg.split_once("[metadata]")?;
    let lines = metadata.lines().take_while(|line| !line.starts_with('['));
    lines
        .filter_map(|line| line.split_once('='))
        .find(|(key, _)| key.trim() == "name")
        .map(|(_, v)| v.trim().to_owned())
}

/// What builds the project, as requirements that only an index can fulfil: a URL's code would be
/// built with a network.
fn build_requires(value: Option<&Value>, address: &str) -> Result<String> {
    let mut lines = match value {
        None => vec![SETUPTOOLS.to_owned()],
        Some(value) => {
            let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
            items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
    };
    for line in &lines {
        let (requirement, marker) = line.split_once(';').unwrap_or((line, ""));
        let plain = |c: char| c.is_ascii_alphanumeric() || " ._'\"<>=!()-".contains(c);
        let spec = PypiSpec::parse_requirement(requirement);
        let from_index = spec.is_ok_and(|spec| !matches!(spec.request, PypiRequest::Source(_)));
        if !from_index || !marker.chars().all(plain) || marker.contains("--") || line.contains(['\n', '\r']) {
            return Err(Error::refused(format!("{address} is built with something that is on no index"))
                .because(format!("`{}`", shown(line)))
                .hint("name the package as PyPI has it"));
        }
    }
    // Older setuptools asks for it only when it is run.
    if lines.iter().any(|line| line.starts_with("setuptools")) {
        lines.push("wheel".to_owned());
    }
    Ok(lines.into_iter().map(|line| format!("{line}\n")).collect())
}

/// The name of what was built, which must be a wheel of `project`.
pub fn built(name: &str, bytes: Vec<u8>, project: &PinnedPackage) -> Result<(PinnedPackage, Archive)> {
    let bad = || Error::failed(format!("{} was built into something else", project.name()));
    let (found, version, file) = wheel_parts(name).ok_or_else(|| bad().because(format!("`{}`", shown(name))))?;
    if found.as_str() != project.name() {
        return Err(bad()
            .because(format!("it calls itself {}", found.as_str()))
            .hint(format!("write that name in front: \"{} @ …\"", found.as_str())));
    }
    if bytes.is_empty() {
        return Err(bad().because("the wheel is empty"));
    }
    Ok((project.clone().at_version(&version.to_string()).made_into(&file), Archive { name: file, bytes }))
}

#[cfg(test)]
#[path = "pypi_tests.rs"]
mod tests;
