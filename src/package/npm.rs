//! npm package specs: `name`, `@scope/name`, `name@version|range|tag`.
//!
//! The grammar is npm-package-arg's. Other forms (git, tarball URLs, folders, aliases) are
//! refused by name.

use std::fmt;

/// An npm package name that npm itself would accept for a new or an old package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NpmName(String);

impl NpmName {
    /// The name, with its scope.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What follows the `@`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NpmRequest {
    /// Nothing: the `latest` tag.
    Any,
    /// One exact version.
    Version(nodejs_semver::Version),
    /// A range, as it was typed.
    Range(String),
    /// A dist-tag.
    Tag(String),
}

/// A name and what of it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NpmSpec {
    /// Which package.
    pub name: NpmName,
    /// Which of its versions.
    pub request: NpmRequest,
}

impl fmt::Display for NpmSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_str();
        match &self.request {
            NpmRequest::Any => f.write_str(name),
            NpmRequest::Version(v) => write!(f, "{name}@{v}"),
            NpmRequest::Range(r) | NpmRequest::Tag(r) => write!(f, "{name}@{r}"),
        }
    }
}
