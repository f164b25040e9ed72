//! PyPI: from a spec to one exact version and a Python for it.
//!
//! The rules are uv's (<https://docs.astral.sh/uv/concepts/resolution/>): the newest version that
//! matches and has files for a Python that we know; pre-releases only if the specifiers name one
//! or there is nothing else; withdrawn ones only if the version is pinned exactly.

use std::collections::{BTreeMap, BTreeSet};

use pep440_rs::{Operator, Version, VersionSpecifiers};
use url::Url;

use super::cutoff::{self, Bound, Dated};
use super::http::{Client, Get, host_of, see};
use super::known;
use super::python::{DEFAULT_INDEX, Index, Prerelease, PythonSettings};
use super::settings::Settings;
use super::simple::{self, File};
use crate::digest;
use crate::error::{Doing, Error, Kind, Result};
use crate::image::base::{python_candidates, python_satisfies};
use crate::package::pypi::{PypiRequest, PypiSpec};
use crate::package::{Ecosystem, PinnedPackage};

/// JSON first (PEP 691), else HTML.
const ACCEPT: &str = "application/vnd.pypi.simple.v1+json, \
                      application/vnd.pypi.simple.v1+html; q=0.2, text/html; q=0.01";

/// One version of a project, with what its index says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PypiRelease {
    /// Name, exact version and extras.
    pub pinned: PinnedPackage,
    /// `requires-python`: specifiers, perhaps malformed ones.
    pub requires_python: Option<String>,
    /// There is a wheel for [`Self::python`]: nothing has to be built for the project itself.
    pub has_wheel: bool,
    /// The Python to run it with, such as `3.13`: the one that was asked for, else the first that
    /// satisfies it and has a wheel, else the first that satisfies it.
    pub python: String,
    /// Whether it is old enough.
    pub dated: Dated,
    /// Without a wheel, what there is instead.
    pub sdist: Option<Sdist>,
    /// When the name's first file was published, of those that are there, in seconds since 1970; none if its index does
    /// not say.
    pub since: Option<u64>,
}

/// A source distribution, as its index names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sdist {
    /// Where it is.
    pub url: Url,
    /// Its SHA-256.
    pub sha256: String,
}

/// What a line itself says about the choice.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes<'a> {
    /// The index (`--default-index`).
    pub index: Option<&'a str>,
    /// The Python (`--python`).
    pub python: Option<&'a str>,
    /// Pre-releases are taken as any other version.
    pub prerelease: bool,
}

/// Decides on one version of what `spec` names. With a `bound` the release says whether it is old enough.
pub fn resolve(
    client: &Client,
    settings: &Settings,
    wishes: Wishes<'_>,
    spec: &PypiSpec,
    bound: Option<Bound<'_>>,
) -> Result<PypiRelease> {
    let settings = settings.python.with_default(wishes.index)?;
    let pythons = python_candidates(wishes.python)?;
    let Some(known) = &spec.name else {
        return Err(Error::failed("a package without a name is on no index"));
    };
    let name = known.as_str();
    let files = fetch(client, &settings, name)?;
    let releases = by_version(files);
    let prerelease = if wishes.prerelease { Prerelease::Allow } else { settings.prerelease };
    let prefer = Preference { prerelease, newest: settings.newest.as_deref(), until: None };
    let pick = |until: Option<&str>| {
        choose(&releases, &spec.request, &pythons, std::env::consts::ARCH, Preference { until, ..prefer })
    };
    let free = pick(None).ok_or_else(|| no_match(&releases, spec, wishes.python, prefer))?;
    let (choice, dated) = dated(&releases, free, bound, |until| pick(Some(until)));
    Ok(PypiRelease {
        pinned: PinnedPackage::pypi(known, choice.version, &spec.extras),
        requires_python: choice.requires_python,
        has_wheel: choice.has_wheel,
        python: choice.python,
        sdist: if choice.has_wheel { None } else { sdist(choice.file) },
        dated,
        since: releases.values().flatten().filter_map(published).min(),
    })
}

/// `free`, which fits at any age, or what is taken in its place, with what is known of its age.
fn dated<'a>(
    releases: &BTreeMap<Version, Vec<File>>,
    free: Choice<'a>,
    bound: Option<Bound<'_>>,
    pick: impl FnOnce(&str) -> Option<Choice<'a>>,
) -> (Choice<'a>, Dated) {
    let Some(bound) = bound else { return (free, Dated::Unasked) };
    if releases.values().flatten().all(|file| published(file).is_none()) {
        return (free, Dated::Unknown);
    }
    cutoff::by_age(bound, free, pick, |choice| (choice.version.to_string(), published(choice.file)))
}

/// Where a file is that has to be built. One without a hash could be any.
fn sdist(file: &File) -> Option<Sdist> {
    let mut url = Url::parse(&file.url).ok()?;
    url.set_fragment(None);
    Some(Sdist { url, sha256: file.sha256.clone()? })
}

fn published(file: &File) -> Option<u64> {
    file.published.as_deref().and_then(cutoff::seconds)
}

/// The files of a project, from the first index that has it.
fn fetch(client: &Client, settings: &PythonSettings, name: &str) -> Result<Vec<File>> {
    for index in settings.indexes() {
        match fetch_from(client, settings, index, name) {
            Ok(files) => return Ok(files),
            Err(error) if error.kind == Kind::NotFound => {}
            Err(error) if error.kind == Kind::Refused => {
                let host = host_of(&index.url);
                return Err(error.hint(format!("add a login for {host} to ~/.netrc")));
            }
            Err(error) => return Err(error),
        }
    }
    let hosts: BTreeSet<String> = settings.indexes().map(|i| host_of(&i.url)).collect();
    let hosts: Vec<String> = hosts.into_iter().collect();
    let hosts = hosts.join(" or ");
    let mut error = Error::not_found(format!("there is no python package {name} at {hosts}"));
    error.hints = known::hints(Ecosystem::Pypi, name);
    Err(error)
}

/// The file of a project that has this name and this SHA-256, from the first index that has it: of the user's own, then
/// PyPI.
pub fn file(client: &Client, settings: &PythonSettings, project: &str, name: &str, sha256: &str) -> Result<Vec<u8>> {
    let public = Index { name: None, url: Url::parse(DEFAULT_INDEX).doing(|| "can't name PyPI".into())? };
    let mut why = Error::not_found(format!("{project} is on no index"));
    for index in settings.indexes().chain([&public]) {
        match file_from(client, settings, (index, project), name) {
            Ok(bytes) if digest::full(&bytes) == sha256 => return Ok(bytes),
            Ok(_) => why = Error::refused(format!("{} has another `{name}`", host_of(&index.url))),
            Err(error) => why = error,
        }
    }
    Err(why)
}

fn file_from(
    client: &Client,
    settings: &PythonSettings,
    (index, project): (&Index, &str),
    name: &str,
) -> Result<Vec<u8>> {
    let files = fetch_from(client, settings, index, project)?;
    let addresses = files.iter().filter_map(|file| Url::parse(&file.url).ok());
    let mut found = addresses.filter(|url| url.path().rsplit('/').next() == Some(name));
    let url = found.next().ok_or_else(|| Error::not_found(format!("{} has no `{name}`", host_of(&index.url))))?;
    let (credentials, proxies) = (&settings.credentials, &settings.proxies);
    Ok(client.get(&Get { url: &url, accept: "*/*", credentials, proxies })?.body)
}

fn fetch_from(client: &Client, settings: &PythonSettings, index: &Index, name: &str) -> Result<Vec<File>> {
    let get = |url: &Url, accept: &str| {
        client.get(&Get { url, accept, credentials: &settings.credentials, proxies: &settings.proxies })
    };
    let url = project_url(&index.url, &format!("{name}/"))?;
    let answer = get(&url, ACCEPT)?;
    let files = simple::parse(name, &answer.content_type, &answer.body).map_err(|error| see(error, &url));
    let files = files.map(|mut files| {
        files.iter_mut().for_each(|file| file.url = url.join(&file.url).map_or_else(|_| String::new(), String::from));
        files
    });
    if files.as_ref().is_ok_and(|files| !files.is_empty()) {
        return files;
    }
    // A page without files: some servers have the older JSON beside it.
    let Some(legacy) = legacy_url(&index.url, name) else {
        return files;
    };
    match get(&legacy, "application/json") {
        Ok(answer) => simple::legacy(name, &answer.body).or(files),
        Err(_) => files,
    }
}

fn project_url(index: &Url, path: &str) -> Result<Url> {
    let mut base = index.clone();
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", index.path()));
    }
    base.join(path).map_err(|e| Error::failed("can't make an address for the package").because(e))
}

/// `…/pypi/NAME/json` next to `…/simple`.
fn legacy_url(index: &Url, name: &str) -> Option<Url> {
    let parent = index.path().trim_end_matches('/').strip_suffix("simple")?;
    let mut url = index.clone();
    url.set_path(&format!("{parent}pypi/{name}/json"));
    Some(url)
}

fn by_version(files: Vec<File>) -> BTreeMap<Version, Vec<File>> {
    let mut releases: BTreeMap<Version, Vec<File>> = BTreeMap::new();
    for file in files {
        releases.entry(file.version.clone()).or_default().push(file);
    }
    releases
}

/// What uv's settings say about the choice.
#[derive(Debug, Clone, Copy)]
struct Preference<'a> {
    prerelease: Prerelease,
    /// Nothing that was published then or later, or of which it is not known.
    newest: Option<&'a str>,
    /// The same.
    until: Option<&'a str>,
}

impl Preference<'_> {
    fn in_time(&self, file: &File) -> bool {
        let published = file.published.as_deref().unwrap_or_default();
        [self.newest, self.until].into_iter().flatten().all(|moment| cutoff::is_before(published, moment))
    }
}

struct Choice<'a> {
    version: &'a Version,
    file: &'a File,
    requires_python: Option<String>,
    has_wheel: bool,
    python: String,
}

fn choose<'a>(
    releases: &'a BTreeMap<Version, Vec<File>>,
    request: &PypiRequest,
    pythons: &[String],
    arch: &str,
    prefer: Preference<'_>,
) -> Option<Choice<'a>> {
    let any = VersionSpecifiers::empty();
    let specifiers = match request {
        PypiRequest::Any | PypiRequest::Latest | PypiRequest::Source(_) => &any,
        PypiRequest::Specifiers(specifiers) => specifiers,
    };
    let named = specifiers.iter().any(pep440_rs::VersionSpecifier::any_prerelease);
    let only = !releases.keys().any(Version::is_stable);
    releases
        .iter()
        .rev()
        .filter(|(version, _)| specifiers.contains(version))
        .filter(|(version, _)| match prefer.prerelease {
            Prerelease::Allow => true,
            Prerelease::IfNecessary => named || only || !version.any_prerelease(),
            Prerelease::Disallow => !version.any_prerelease(),
        })
        .find_map(|(version, files)| {
            let pinned = is_pinned(specifiers, version);
            let files: Vec<&File> = files.iter().filter(|f| (pinned || !f.yanked) && prefer.in_time(f)).collect();
            for_python(version, &files, pythons, arch)
        })
}

/// `==1.2` names just this version (PEP 592: then a withdrawn file may be used).
fn is_pinned(specifiers: &VersionSpecifiers, version: &Version) -> bool {
    let exact = |o: &Operator| matches!(o, Operator::Equal | Operator::ExactEqual);
    specifiers.iter().any(|s| exact(s.operator()) && s.version() == version)
}

fn for_python<'a>(version: &'a Version, files: &[&'a File], pythons: &[String], arch: &str) -> Option<Choice<'a>> {
    let satisfied =
        |file: &File, python: &str| file.requires_python.as_deref().is_none_or(|r| python_satisfies(python, r));
    let wheel = |python: &String| {
        let fits = |f: &&&File| f.wheel.as_ref().is_some_and(|w| w.fits(python, arch));
        files.iter().find(|f| fits(f) && satisfied(f, python))
    };
    let sdist = |python: &String| files.iter().find(|f| f.wheel.is_none() && satisfied(f, python));
    let found = pythons
        .iter()
        .find_map(|python| Some((python, wheel(python)?, true)))
        .or_else(|| pythons.iter().find_map(|python| Some((python, sdist(python)?, false))))?;
    let (python, file, has_wheel) = found;
    let requires_python = file.requires_python.clone();
    Some(Choice { version, file, requires_python, has_wheel, python: python.clone() })
}

fn no_match(
    releases: &BTreeMap<Version, Vec<File>>,
    spec: &PypiSpec,
    python: Option<&str>,
    prefer: Preference<'_>,
) -> Error {
    let name = spec.name.as_ref().map_or("", |name| name.as_str());
    let stable = releases.iter().rev().find(|(v, _)| v.is_stable());
    let Some((newest, files)) = stable.or(releases.iter().next_back()) else {
        return Error::not_found(format!("the python package {name} has no files"));
    };
    let any = VersionSpecifiers::empty();
    let specifiers = match &spec.request {
        PypiRequest::Specifiers(specifiers) => specifiers,
        _ => &any,
    };
    let matching = || releases.iter().filter(|(v, _)| specifiers.contains(v));
    let why = if matching().next().is_none() {
        format!("none matches `{specifiers}`")
    } else if matching().flat_map(|(_, files)| files).all(|f| f.yanked) {
        "its authors have withdrawn them".to_owned()
    } else if let (Some(newest), None) = (prefer.newest, matching().flat_map(|(_, f)| f).find(|f| prefer.in_time(f))) {
        format!("uv's setting `exclude-newer` allows nothing from {newest} on")
    } else if let Some(python) = python {
        format!("none has files for python {python}")
    } else if let Some(requires) = files.iter().find_map(|f| f.requires_python.as_ref()) {
        format!("{newest} needs python {requires}")
    } else {
        "none has files for Linux".to_owned()
    };
    Error::not_found(format!("no version of {name} can be used"))
        .because(why)
        .hint(format!("the newest version is {newest}"))
}

#[cfg(test)]
#[path = "pypi_tests.rs"]
mod tests;
