//! Packages: what a line asks for ([`PackageSpec`]) and what was decided on
//! ([`PinnedPackage`]). No input or output here.

pub mod npm;
pub mod pypi;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Error;

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

/// Ways to name a package that both tools know and we do not take: each is code that no
/// registry has a version, a date or a checksum for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnsupportedForm {
    /// A git repository, by URL, by host or as `owner/repo`.
    Git,
    /// An archive at a URL.
    Url,
    /// An archive on this machine.
    File,
    /// A folder on this machine.
    Directory,
    /// `npm:` and another package's name.
    Alias,
}

impl UnsupportedForm {
    /// The refusal of `text`, which has this form.
    fn refuse(self, text: &str) -> Error {
        let text = shown(text);
        let error = match self {
            Self::Git => Error::refused(format!("`{text}` names a git repository, which can't be run yet")),
            Self::Url => Error::refused(format!("`{text}` names an archive at a URL, which can't be run yet")),
            Self::File => Error::refused(format!("`{text}` names an archive on this machine, which can't be run yet")),
            Self::Directory => {
                Error::refused(format!("`{text}` names a folder on this machine, which can't be run yet"))
            }
            Self::Alias => {
                return Error::refused(format!("`{text}` gives a package another name, which can't be done yet"))
                    .hint("name the package itself, without `npm:`");
            }
        };
        error.hint("name a package of the registry, with or without a version: `pkg` or `pkg@1.2.3`")
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
            Ecosystem::Pypi if self.extras.is_empty() => {
                write!(f, "{}=={}", self.name, self.version)
            }
            Ecosystem::Pypi => write!(f, "{}[{}]=={}", self.name, self.extras.join(","), self.version),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(shown("git+https://me:secret@host/o/r@v1"), "git+https://…@host/o/r@v1");
        assert_eq!(shown("https://host/a@b"), "https://host/a@b");
        assert_eq!(shown("a\u{1b}[0m"), "a\\u{1b}[0m");
        assert!(shown(&"x".repeat(500)).len() < 100);
    }
}
