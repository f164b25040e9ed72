//! Packages: what a line asks for ([`PackageSpec`]) and what was decided on
//! ([`PinnedPackage`]). No input or output here.

pub mod npm;
pub mod pypi;

use std::fmt;

use serde::{Deserialize, Serialize};

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

    /// The package's name in its registry's canonical form.
    pub fn name(&self) -> &str {
        match self {
            Self::Npm(spec) => spec.name.as_str(),
            Self::Pypi(spec) => spec.name.as_str(),
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

/// One package at one exact version. It cannot hold a range: the only ways to make one
/// take a version that parsed as such.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PinnedPackage {
    ecosystem: Ecosystem,
    name: String,
    version: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    extras: Vec<String>,
}

impl PinnedPackage {
    /// An npm package at `version`.
    pub fn npm(name: &npm::NpmName, version: &nodejs_semver::Version) -> Self {
        Self {
            ecosystem: Ecosystem::Npm,
            name: name.as_str().to_owned(),
            version: version.to_string(),
            extras: Vec::new(),
        }
    }

    /// A PyPI package at `version`, with `extras`.
    pub fn pypi(name: &pypi::PypiName, version: &pep440_rs::Version, extras: &[String]) -> Self {
        Self {
            ecosystem: Ecosystem::Pypi,
            name: name.as_str().to_owned(),
            version: version.to_string(),
            extras: extras.to_vec(),
        }
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

/// As its own package manager would write it: `name@1.2.3` or `name[extra]==1.2.3`.
impl fmt::Display for PinnedPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ecosystem {
            Ecosystem::Npm => write!(f, "{}@{}", self.name, self.version),
            Ecosystem::Pypi if self.extras.is_empty() => write!(f, "{}=={}", self.name, self.version),
            Ecosystem::Pypi => write!(f, "{}[{}]=={}", self.name, self.extras.join(","), self.version),
        }
    }
}
