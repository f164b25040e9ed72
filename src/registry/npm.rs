//! npm: from a spec to one exact version.
//!
//! The rules are npm-pick-manifest's (<https://github.com/npm/npm-pick-manifest>) for the version
//! and libnpmexec's `get-bin-from-manifest.js` for the executable.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use nodejs_semver::{Range, Version};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::cutoff::{self, Bound, Dated};
use super::http::{Client, Get, see};
use super::known;
use super::npmrc::NpmSettings;
use super::settings::Settings;
use super::shown;
use crate::error::{Error, Kind, Result};
use crate::image::base;
use crate::package::npm::{NpmRequest, NpmSpec, parse_version};
use crate::package::{Ecosystem, PinnedPackage};

/// The short form of package metadata, with a fall-back for registries that have only the long
/// one (<https://github.com/npm/registry/blob/main/docs/responses/package-metadata.md>).
const ACCEPT: &str = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*";

/// The long form: only it has the times of publication.
const ACCEPT_LONG: &str = "application/json";

/// One version of a package, with what its registry says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NpmRelease {
    /// Name and exact version.
    pub pinned: PinnedPackage,
    /// `engines.node`: a range, perhaps a malformed one.
    pub engines_node: Option<String>,
    /// The executables: name to file.
    pub bins: BTreeMap<String, String>,
    /// Why it should not be used any more.
    pub deprecated: Option<String>,
    /// It has scripts that npm would run at installation.
    pub has_install_script: bool,
    /// Whether it is old enough.
    pub dated: Dated,
    /// When the name's first release was published, in seconds since 1970; none if nobody asked for times, or its
    /// registry does not say.
    pub since: Option<u64>,
    /// The name that stands first in the manifest; matters when all names mean one file.
    pub(super) first_bin: Option<String>,
}

/// Decides on one version of what `spec` names. `registry` is the line's own (`--registry`). With a `bound` the release
/// says whether it is old enough.
pub fn resolve(
    client: &Client,
    settings: &Settings,
    registry: Option<&str>,
    spec: &NpmSpec,
    bound: Option<Bound<'_>>,
) -> Result<NpmRelease> {
    let settings = settings.npm.with_registry(registry)?;
    let NpmSpec { name: Some(known), request } = spec else {
        return Err(Error::failed("a package without a name is in no registry"));
    };
    let name = known.as_str();
    let packument = fetch(client, &settings, name, bound.is_some())?;
    let ((version, manifest), dated) = packument.pick_dated(name, request, Preference::of(&settings), bound)?;
    let bins = manifest.bins(name);
    Ok(NpmRelease {
        pinned: PinnedPackage::npm(known, &version),
        engines_node: manifest.engines_node().map(shown),
        first_bin: bins.first().map(|(name, _)| name.clone()),
        bins: bins.into_iter().collect(),
        deprecated: manifest.deprecated().map(shown),
        has_install_script: manifest.has_install_script,
        dated,
        since: packument.since(),
    })
}

fn fetch(client: &Client, settings: &NpmSettings, name: &str, with_times: bool) -> Result<Packument> {
    let registry = settings.registry_of(name);
    let url = packument_url(registry, name)?;
    let answer = client
        .get(&Get {
            url: &url,
            accept: if with_times || settings.before.is_some() { ACCEPT_LONG } else { ACCEPT },
            credentials: &settings.credentials,
            proxies: &settings.proxies,
        })
        .map_err(|error| explain(error, name, registry))?;
    Packument::parse(&answer.body, name).map_err(|error| see(error, &url))
}

/// The executable that npx runs when the line names none: the only one, or the first of several
/// names for one file, or the one named like the package.
pub fn default_bin(release: &NpmRelease) -> Result<String> {
    let package = release.pinned.name();
    pick_bin(package, &release.bins, release.first_bin.as_deref()).ok_or_else(|| {
        let error = Error::not_found(format!("could not determine executable to run for {package}"));
        if release.bins.is_empty() {
            return error.because("it has no executables").hint("it may be a library, which can only be imported");
        }
        let names: Vec<&str> = release.bins.keys().map(String::as_str).collect();
        error
            .because(format!("it has several executables: {}", names.join(", ")))
            .hint(format!("npx-safe --package={package} {}", names[0]))
    })
}

fn pick_bin(package: &str, bins: &BTreeMap<String, String>, first: Option<&str>) -> Option<String> {
    let mut files = bins.values();
    let file = files.next()?;
    if files.all(|other| other == file) {
        return first.or(bins.keys().next().map(String::as_str)).map(str::to_owned);
    }
    let name = unscoped(package);
    bins.contains_key(name).then(|| name.to_owned())
}

fn unscoped(package: &str) -> &str {
    match package.strip_prefix('@').and_then(|p| p.split_once('/')) {
        Some((_, name)) => name,
        None => package,
    }
}

/// npm escapes the slash of a scoped name, and registries count on it.
fn packument_url(registry: &Url, name: &str) -> Result<Url> {
    registry
        .join(&format!("./{}", name.replace('/', "%2f")))
        .map_err(|e| Error::failed("can't make an address for the package").because(e))
}

fn explain(error: Error, name: &str, registry: &Url) -> Error {
    match error.kind {
        Kind::NotFound => {
            let host = super::http::host_of(registry);
            let mut new = Error::not_found(format!("there is no npm package {name} at {host}"));
            new.hints = known::hints(Ecosystem::Npm, name);
            if name.starts_with('@') {
                new = new.hint(format!("if it is private: npm login --registry={registry}"));
            }
            new
        }
        Kind::Refused => error.hint(format!("npm login --registry={registry}")),
        _ => error,
    }
}

/// A package's metadata, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Packument {
    #[serde(default)]
    name: Option<String>,
    #[serde(default, rename = "dist-tags")]
    dist_tags: BTreeMap<String, String>,
    #[serde(default)]
    versions: BTreeMap<String, Manifest>,
    #[serde(default)]
    time: BTreeMap<String, Value>,
}

/// What npm's settings say about the choice.
#[derive(Debug, Clone, Copy)]
struct Preference<'a> {
    /// What a package without a version means.
    tag: &'a str,
    /// Nothing that was published later.
    before: Option<&'a str>,
    /// The same, of which it has to be known.
    until: Option<&'a str>,
}

impl<'a> Preference<'a> {
    fn of(settings: &'a NpmSettings) -> Self {
        Self { tag: settings.tag.as_deref().unwrap_or("latest"), before: settings.before.as_deref(), until: None }
    }
}

/// One version's metadata. Old packages have all sorts of types in it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Manifest {
    #[serde(default)]
    deprecated: Value,
    #[serde(default)]
    engines: Value,
    #[serde(default)]
    bin: Value,
    #[serde(default, rename = "hasInstallScript")]
    pub(super) has_install_script: bool,
}

impl Manifest {
    fn deprecated(&self) -> Option<&str> {
        match &self.deprecated {
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(text),
            Value::Bool(true) => Some("no reason given"),
            _ => None,
        }
    }

    pub(super) fn engines_node(&self) -> Option<&str> {
        self.engines.get("node")?.as_str()
    }

    /// Some Node that we know satisfies it (npm asks the one that it runs on).
    fn engine_ok(&self) -> bool {
        self.engines_node().is_none_or(|range| base::NODE.iter().any(|major| base::node_satisfies(*major, range)))
    }

    /// The executables in their order, with names that cannot leave the directory
    /// (npm-normalize-package-bin).
    pub(super) fn bins(&self, package: &str) -> Vec<(String, String)> {
        let given: Vec<(&str, &str)> = match &self.bin {
            Value::String(file) => vec![(unscoped(package), file)],
            Value::Object(map) => map.iter().filter_map(|(name, file)| Some((name.as_str(), file.as_str()?))).collect(),
            _ => Vec::new(),
        };
        given
            .into_iter()
            .filter_map(|(name, file)| {
                let name = name.rsplit(['/', '\\', ':']).next()?;
                let parts = file.split(['/', '\\']).filter(|p| !matches!(*p, "" | "."));
                let file = parts.fold(Vec::new(), |mut path, part| {
                    if part == ".." {
                        path.pop();
                    } else {
                        path.push(part);
                    }
                    path
                });
                let usable = !matches!(name, "" | "." | "..") && !file.is_empty() && !name.contains(char::is_control);
                usable.then(|| (name.to_owned(), file.join("/")))
            })
            .collect()
    }
}

impl Packument {
    fn parse(body: &[u8], name: &str) -> Result<Self> {
        let broken = || Error::failed(format!("the registry's answer about {name} makes no sense"));
        let new: Self = serde_json::from_slice(body).map_err(|e| broken().because(e))?;
        match &new.name {
            Some(other) if other != name => Err(broken().because("it is about another package")),
            _ => Ok(new),
        }
    }

    fn pick(&self, name: &str, request: &NpmRequest, prefer: &Preference<'_>) -> Result<(Version, &Manifest)> {
        if self.versions.is_empty() {
            let mut error = Error::not_found(format!("the npm package {name} has no versions any more"));
            error.hints = known::hints(Ecosystem::Npm, name);
            return Err(error);
        }
        let (picked, wanted) = match request {
            NpmRequest::Any => (self.best("*", prefer), "*".to_owned()),
            NpmRequest::Range(range) => (self.best(range, prefer), range.clone()),
            NpmRequest::Version(version) => (self.exact(version, prefer), version.to_string()),
            NpmRequest::Tag(tag) => (self.tagged(tag, prefer), tag.clone()),
            NpmRequest::Source(source) => (None, source.label().to_owned()),
        };
        picked.ok_or_else(|| self.no_match(name, &wanted, prefer))
    }

    /// The same with what is known of its age.
    fn pick_dated(
        &self,
        name: &str,
        request: &NpmRequest,
        prefer: Preference<'_>,
        bound: Option<Bound<'_>>,
    ) -> Result<((Version, &Manifest), Dated)> {
        let free = self.pick(name, request, &prefer)?;
        let Some(bound) = bound else { return Ok((free, Dated::Unasked)) };
        if !self.versions.keys().any(|version| self.published(version).is_some()) {
            return Ok((free, Dated::Unknown));
        }
        let pick = |until: &str| self.pick(name, request, &Preference { until: Some(until), ..prefer }).ok();
        Ok(cutoff::by_age(bound, free, pick, |(version, _)| {
            (version.to_string(), self.published(&version.to_string()).and_then(cutoff::seconds))
        }))
    }

    /// When the first of all that is known was published. Removed versions keep their times, and so does the name
    /// itself, as `created`.
    fn since(&self) -> Option<u64> {
        let times = self.time.iter().filter(|(what, _)| *what != "modified").filter_map(|(_, time)| time.as_str());
        times.filter_map(cutoff::seconds).min()
    }

    /// When a version was published, if that can be understood.
    fn published(&self, version: &str) -> Option<&str> {
        self.time.get(version).and_then(Value::as_str).filter(|text| cutoff::seconds(text).is_some())
    }

    fn no_match(&self, name: &str, wanted: &str, prefer: &Preference<'_>) -> Error {
        let latest = self.dist_tags.get("latest").map_or_else(|| "none".to_owned(), |v| shown(v));
        let mut error = Error::not_found(format!("no version of {name} matches `{wanted}`"));
        if let Some(before) = prefer.before {
            error = error.because(format!("npm's settings allow nothing newer than {before}"));
        }
        let tags: Vec<&str> = self.dist_tags.keys().map(String::as_str).take(8).collect();
        error.hint(format!("the latest is {latest}; its tags are {}", shown(&tags.join(", "))))
    }

    /// Whether a version is old enough. For `before`, as for npm, one whose age is not known is.
    fn in_time(&self, version: &str, prefer: &Preference<'_>) -> bool {
        let published = self.published(version);
        let is_before = |moment| published.is_some_and(|published| cutoff::is_before(published, moment));
        prefer.before.is_none_or(|before| !self.time.contains_key(version) || is_before(before))
            && prefer.until.is_none_or(is_before)
    }

    fn exact(&self, version: &Version, prefer: &Preference<'_>) -> Option<(Version, &Manifest)> {
        let same = |text: &str| parse_version(text).is_some_and(|v| v == *version);
        let text = version.to_string();
        let (text, manifest) =
            self.versions.get_key_value(&text).or_else(|| self.versions.iter().find(|(text, _)| same(text)))?;
        self.in_time(text, prefer).then_some((parse_version(text)?, manifest))
    }

    /// What the tag names; if that is too new, the best that is not above it.
    fn tagged(&self, tag: &str, prefer: &Preference<'_>) -> Option<(Version, &Manifest)> {
        let text = self.dist_tags.get(tag)?;
        if !self.in_time(text, prefer) {
            return self.best(&format!("<={text}"), prefer);
        }
        Some((parse_version(text)?, self.versions.get(text)?))
    }

    /// The preferred tag's version if it satisfies the range and nothing speaks against it; else
    /// the highest version of those that neither are deprecated nor need another Node, then of
    /// those that need none, then of those that are not deprecated, then of all.
    fn best(&self, range: &str, prefer: &Preference<'_>) -> Option<(Version, &Manifest)> {
        let any = range == "*";
        let range = Range::parse(range).ok()?;
        if let Some(text) = self.dist_tags.get(prefer.tag).filter(|text| self.in_time(text, prefer))
            && let (Some(version), Some(manifest)) = (parse_version(text), self.versions.get(text))
            && (any || version.satisfies(&range))
            && manifest.engine_ok()
            && manifest.deprecated().is_none()
        {
            return Some((version, manifest));
        }
        self.versions
            .iter()
            .filter(|(text, _)| self.in_time(text, prefer))
            .filter_map(|(text, manifest)| Some((parse_version(text)?, manifest)))
            .filter(|(version, _)| version.satisfies(&range))
            .min_by_key(|(version, manifest)| {
                let (current, engine) = (manifest.deprecated().is_none(), manifest.engine_ok());
                Reverse((current && engine, engine, current, version.clone()))
            })
    }
}

#[cfg(test)]
#[path = "npm_tests.rs"]
mod tests;
