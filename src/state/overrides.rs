//! What a person wants a box to be made with besides what its line says: kept with it and with its attempts.

use serde::{Deserialize, Serialize};

use crate::error::{Doing, Error, Result};
use crate::launch::Launch;
use crate::package::npm::NpmSpec;
use crate::package::pypi::{PypiRequest, PypiSpec};
use crate::package::{Ecosystem, PackageSpec};

/// The shortest name that a Debian package can have.
const SHORTEST: usize = 2;

/// What `jitbox build` was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Overrides {
    /// Debian packages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub apt: Vec<String>,
    /// The base image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// A version or range of Node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// A version or range of Python.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub python: Option<String>,
    /// Further packages, or versions of those that are there anyway, as their launcher takes them: `mcp<2`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<String>,
    /// PyPI: packages that are built from source, where they have no wheel.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sdist: Vec<String>,
}

impl Overrides {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These, and what `later` asks for besides or instead.
    #[must_use]
    pub fn and(&self, later: &Self) -> Self {
        let joined = |mine: &[String], theirs: &[String]| {
            let new = theirs.iter().filter(|text| !mine.contains(text));
            mine.iter().chain(new).cloned().collect()
        };
        Self {
            apt: joined(&self.apt, &later.apt),
            base: later.base.clone().or_else(|| self.base.clone()),
            node: later.node.clone().or_else(|| self.node.clone()),
            python: later.python.clone().or_else(|| self.python.clone()),
            with: joined(&self.with, &later.with),
            sdist: joined(&self.sdist, &later.sdist),
        }
    }

    /// Checks that they can be for packages of that kind.
    pub fn check(&self, ecosystem: Ecosystem) -> Result<()> {
        for name in &self.apt {
            // Debian Policy §5.6.7.
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b);
            let begins = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
            if name.len() < SHORTEST || !begins || !name.bytes().all(plain) {
                return Err(Error::usage(format!("`{name}` is no name of a Debian package")));
            }
        }
        let other = match ecosystem {
            Ecosystem::Npm if !self.sdist.is_empty() => Some("--sdist"),
            Ecosystem::Npm => self.python.as_ref().map(|_| "--python"),
            Ecosystem::Pypi => self.node.as_ref().map(|_| "--node"),
        };
        if let Some(option) = other {
            return Err(Error::usage(format!("`{option}` is not for packages of {ecosystem}")));
        }
        if let Some(node) = &self.node {
            nodejs_semver::Range::parse(node).doing(|| format!("`{node}` is no version of Node"))?;
        }
        self.sdists().and_then(|_| self.specs(ecosystem)).map(drop)
    }

    fn specs(&self, ecosystem: Ecosystem) -> Result<Vec<PackageSpec>> {
        let parse = |text: &String| match ecosystem {
            Ecosystem::Npm => NpmSpec::parse(text).map(PackageSpec::Npm),
            Ecosystem::Pypi => PypiSpec::parse_requirement(text).map(PackageSpec::Pypi),
        };
        self.with.iter().map(parse).collect()
    }

    /// The packages that are built from source.
    pub fn sdists(&self) -> Result<Vec<PypiSpec>> {
        let parse = |text: &String| {
            let spec = PypiSpec::parse_requirement(text)?;
            match spec.request {
                PypiRequest::Source(_) => Err(Error::usage(format!("`{text}` is not a package of an index"))
                    .hint("what is elsewhere is built with `--with`")),
                _ => Ok(spec),
            }
        };
        self.sdist.iter().map(parse).collect()
    }

    /// The line with what is asked for in packages and Python.
    pub fn applied_to(&self, launch: &Launch) -> Result<Launch> {
        let mut launch = launch.clone();
        launch.packages.extend(self.specs(launch.launcher.ecosystem())?);
        launch.python = self.python.clone().or(launch.python);
        Ok(launch)
    }

    /// As they are typed.
    pub fn options(&self) -> Vec<String> {
        let each = |name: &str, values: &[String]| -> Vec<String> {
            values.iter().flat_map(|value| [format!("--{name}"), value.clone()]).collect()
        };
        [("apt", &self.apt[..]), ("base", self.base.as_slice()), ("node", self.node.as_slice())]
            .into_iter()
            .chain([("python", self.python.as_slice()), ("with", &self.with[..]), ("sdist", &self.sdist[..])])
            .flat_map(|(name, values)| each(name, values))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apt(names: &[&str]) -> Overrides {
        Overrides { apt: names.iter().map(|name| (*name).to_owned()).collect(), ..Overrides::default() }
    }

    #[test]
    fn later_ones_add_and_replace() {
        let first = Overrides { python: Some("3.13".into()), ..apt(&["git"]) };
        let later = Overrides { python: Some("3.12".into()), with: vec!["mcp<2".into()], ..apt(&["git", "curl"]) };
        let both = first.and(&later);
        assert_eq!(both.options().join(" "), "--apt git --apt curl --python 3.12 --with mcp<2");
        assert_eq!(both.and(&Overrides::default()), both);
        assert!(!both.is_empty() && Overrides::default().is_empty());
    }

    #[test]
    fn what_can_not_be_is_refused() {
        for name in ["-y", "a", "libGL", "git curl", "git;id", "../x", ""] {
            assert!(apt(&[name]).check(Ecosystem::Npm).is_err(), "{name}");
        }
        assert!(apt(&["g++", "libgl1", "libstdc++6", "fonts-noto.x"]).check(Ecosystem::Npm).is_ok());
        let node = Overrides { node: Some("22".into()), ..Overrides::default() };
        assert!(node.check(Ecosystem::Npm).is_ok() && node.check(Ecosystem::Pypi).is_err());
        assert!(Overrides { node: Some("new".into()), ..node }.check(Ecosystem::Npm).is_err());
        let sdist = |text: &str| Overrides { sdist: vec![text.to_owned()], ..Overrides::default() };
        assert!(sdist("a==1.0").check(Ecosystem::Pypi).is_ok() && sdist("a").check(Ecosystem::Npm).is_err());
        assert!(sdist("a @ https://example.com/a.tar.gz").check(Ecosystem::Pypi).is_err());
        let with = Overrides { with: vec!["mcp<2".into()], ..Overrides::default() };
        assert!(with.check(Ecosystem::Pypi).is_ok());
        assert!(Overrides { with: vec!["mcp@@".into()], ..with }.check(Ecosystem::Npm).is_err());
    }
}
