//! Packages: what a line asks for ([`PackageSpec`]) and what was decided on
//! ([`PinnedPackage`]). No input or output here.

pub mod editable;
mod hosted;
pub mod local;
pub mod marker;
pub mod npm;
pub mod pypi;
pub mod pyproject;
pub mod source;
pub mod uvlock;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use source::{PinnedSource, Source};

/// Where a package comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ecosystem {
    /// npm.
    Npm,
    /// The Python package index.
    Pypi,
}

impl fmt::Display for Ecosystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Npm => "npm",
            Self::Pypi => "pypi",
        })
    }
}

/// No name with a version, a range or a URL is longer than this; the time that some ranges take grows faster than they do.
const MAX_SPEC: usize = 2048;

/// Refuses what is too long to name a package.
fn bounded(text: &str) -> crate::error::Result<()> {
    if text.len() <= MAX_SPEC {
        return Ok(());
    }
    Err(Error::usage(format!("`{}` is too long to name a package", shown(text)))
        .hint("name a package of the registry, with or without a version: `pkg` or `pkg@1.2.3`"))
}

/// Text from a line for an error: no control characters, no password of a URL, not endless.
pub(crate) fn shown(text: &str) -> String {
    let mut text = text.to_owned();
    // `scheme://user:password@host`: nothing before the last `@` of the authority is shown.
    if let Some(start) = text.find("://").map(|i| i + 3) {
        let end = text[start..].find(['/', '?', '#']).map_or(text.len(), |i| start + i);
        if let Some(at) = text[start..end].rfind('@') {
            text.replace_range(start..=start + at, "…@");
        }
    }
    let mut out: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().nth(80).is_some() {
        out.push('…');
    }
    out
}

/// A package as a line names it: a name, and perhaps a version, tag, range or extras.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackageSpec {
    /// An npm package.
    Npm(npm::NpmSpec),
    /// A PyPI package.
    Pypi(pypi::PypiSpec),
}

impl PackageSpec {
    /// Where it comes from.
    pub fn ecosystem(&self) -> Ecosystem {
        match self {
            Self::Npm(_) => Ecosystem::Npm,
            Self::Pypi(_) => Ecosystem::Pypi,
        }
    }

    /// The package's name in its registry's canonical form; for a source that the line gives no
    /// name, that of the repository or file.
    pub fn name(&self) -> &str {
        let name = match self {
            Self::Npm(spec) => spec.name.as_ref().map(npm::NpmName::as_str),
            Self::Pypi(spec) => spec.name.as_ref().map(pypi::PypiName::as_str),
        };
        name.or(self.source().map(Source::label)).unwrap_or_default()
    }

    /// Where it is, if not in a registry.
    pub fn source(&self) -> Option<&Source> {
        match self {
            Self::Npm(npm::NpmSpec { request: npm::NpmRequest::Source(source), .. })
            | Self::Pypi(pypi::PypiSpec { request: pypi::PypiRequest::Source(source), .. }) => Some(source),
            _ => None,
        }
    }

    /// Whether it names one version of its registry, which nothing newer takes the place of.
    pub fn is_exact(&self) -> bool {
        use pep440_rs::Operator::{Equal, ExactEqual};
        match self {
            Self::Npm(spec) => matches!(spec.request, npm::NpmRequest::Version(_)),
            Self::Pypi(spec) => match &spec.request {
                pypi::PypiRequest::Specifiers(all) => {
                    all.iter().any(|one| matches!(one.operator(), Equal | ExactEqual))
                }
                _ => false,
            },
        }
    }

    /// The same, to be replaced by what was found there.
    pub fn source_mut(&mut self) -> Option<&mut Source> {
        match self {
            Self::Npm(npm::NpmSpec { request: npm::NpmRequest::Source(source), .. })
            | Self::Pypi(pypi::PypiSpec { request: pypi::PypiRequest::Source(source), .. }) => Some(source),
            _ => None,
        }
    }
}

/// The canonical text of the spec, for records and for people.
impl fmt::Display for PackageSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Npm(spec) => spec.fmt(f),
            Self::Pypi(spec) => spec.fmt(f),
        }
    }
}

/// One package at one exact version. It cannot hold a range or a branch: the only ways to make
/// one take a version that parsed as such, a whole commit, or the hash of an archive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PinnedPackage {
    ecosystem: Ecosystem,
    name: String,
    version: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    extras: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<PinnedSource>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    archive: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sdist: Option<String>,
}

impl PinnedPackage {
    /// An npm package at `version`.
    pub fn npm(name: &npm::NpmName, version: &nodejs_semver::Version) -> Self {
        Self {
            ecosystem: Ecosystem::Npm,
            name: name.as_str().to_owned(),
            version: version.to_string(),
            extras: Vec::new(),
            source: None,
            archive: None,
            sdist: None,
        }
    }

    /// A PyPI package at `version`, with `extras`.
    pub fn pypi(name: &pypi::PypiName, version: &pep440_rs::Version, extras: &[String]) -> Self {
        Self {
            ecosystem: Ecosystem::Pypi,
            name: name.as_str().to_owned(),
            version: version.to_string(),
            extras: extras.to_vec(),
            source: None,
            archive: None,
            sdist: None,
        }
    }

    /// What `source` has, which calls itself `name` and says that it is `version`.
    pub fn sourced(
        ecosystem: Ecosystem,
        name: String,
        version: String,
        extras: &[String],
        source: PinnedSource,
    ) -> Self {
        Self { ecosystem, name, version, extras: extras.to_vec(), source: Some(source), archive: None, sdist: None }
    }

    /// `name` or `name[extra]`.
    pub fn with_extras(&self) -> String {
        if self.extras.is_empty() { self.name.clone() } else { format!("{}[{}]", self.name, self.extras.join(",")) }
    }

    /// The same, with the name of the file that was made of its source.
    #[must_use]
    pub fn made_into(mut self, archive: &str) -> Self {
        self.archive = Some(archive.to_owned());
        self
    }

    /// The same, built from what its index has of it as source, by its SHA-256.
    #[must_use]
    pub fn from_sdist(mut self, sha256: &str) -> Self {
        self.sdist = Some(sha256.to_owned());
        self
    }

    /// The SHA-256 of the index's source that it was built from.
    pub fn sdist(&self) -> Option<&str> {
        self.sdist.as_deref()
    }

    /// The same, at the version that only building it told.
    #[must_use]
    pub fn at_version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// The file that was made of its source.
    pub fn archive(&self) -> Option<&str> {
        self.archive.as_deref()
    }

    /// Where it is, if not in a registry.
    pub fn source(&self) -> Option<&PinnedSource> {
        self.source.as_ref()
    }

    /// Whether it is a registry's. A name is only a registry's to give: elsewhere anybody may call their package so.
    pub fn is_published(&self) -> bool {
        self.source.is_none() && (self.archive.is_none() || self.sdist.is_some())
    }

    /// Where it comes from.
    pub fn ecosystem(&self) -> Ecosystem {
        self.ecosystem
    }

    /// Its name in its registry's canonical form.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its exact version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The extras that were asked for.
    pub fn extras(&self) -> &[String] {
        &self.extras
    }
}

/// As its own package manager would write it: `name@1.2.3` or `name[extra]==1.2.3`, and with a
/// source `name@git+https://…#COMMIT` or `name[extra] @ git+https://…@COMMIT`.
impl fmt::Display for PinnedPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_extras())?;
        match (&self.source, self.ecosystem) {
            (None, Ecosystem::Npm) => write!(f, "@{}", self.version),
            (None, Ecosystem::Pypi) => write!(f, "=={}", self.version),
            (Some(source), Ecosystem::Npm) => write!(f, "@{}", source.text(Ecosystem::Npm)),
            (Some(source), Ecosystem::Pypi) => write!(f, " @ {}", source.text(Ecosystem::Pypi)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_versions() {
        let npm = |text: &str| PackageSpec::Npm(npm::NpmSpec::parse(text).unwrap()).is_exact();
        let pypi = |text: &str| PackageSpec::Pypi(pypi::PypiSpec::parse_command(text).unwrap()).is_exact();
        assert!(npm("a@1.2.3") && pypi("a@1.2") && pypi("a==1.2"));
        for open in ["a", "a@latest", "a@^1.2.3", "a@1.2"] {
            assert!(!npm(open), "{open}");
        }
        for open in ["a", "a@latest", "a>=1.2", "a==1.*"] {
            assert!(!pypi(open), "{open}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(shown("git+https://me:secret@host/o/r@v1"), "git+https://…@host/o/r@v1");
        assert_eq!(shown("https://host/a@b"), "https://host/a@b");
        assert_eq!(shown("a\u{1b}[0m"), "a\\u{1b}[0m");
        assert!(shown(&"x".repeat(500)).len() < 100);
    }
}
