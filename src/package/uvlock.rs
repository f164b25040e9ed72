//! `uv.lock`: the versions that a project was locked to. Hashes are not taken from it: the box's own lock has those of
//! the same versions.

use std::collections::BTreeMap;
use std::str::FromStr;

use pep440_rs::{Version, VersionSpecifiers};
use serde::Deserialize;
use toml::{Table, Value};

use super::marker::Marker;
use super::pypi::{PypiName, PypiRequest, PypiSpec};
use super::shown;
use super::source::{Commit, Reference, Source};
use crate::error::{Error, Result};

/// A lock.
#[derive(Debug, Default, Deserialize)]
pub struct UvLock {
    #[serde(default, rename = "package")]
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Package {
    name: String,
    version: Option<String>,
    #[serde(default)]
    source: Table,
    #[serde(default)]
    resolution_markers: Vec<String>,
}

impl Package {
    /// Whether it is for boxes with this Python. One that is the same for all has no conditions.
    fn is_for(&self, pythons: &[String]) -> Result<bool> {
        let mut holds = self.resolution_markers.is_empty();
        for marker in &self.resolution_markers {
            holds |= Marker::parse(marker)?.holds(pythons)?;
        }
        Ok(holds)
    }
}

impl UvLock {
    /// Reads it.
    pub fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|e| Error::usage(e.message()).hint("make it again: `uv lock`"))
    }

    /// The version of each package that comes from a registry, for a box with one of these Pythons. One that has
    /// several versions of which none can be chosen is refused.
    pub fn versions(&self, pythons: &[String]) -> Result<BTreeMap<String, Version>> {
        let mut by_name: BTreeMap<String, Vec<&Package>> = BTreeMap::new();
        for package in self.packages.iter().filter(|package| package.source.contains_key("registry")) {
            by_name.entry(PypiName::parse(&package.name)?.as_str().to_owned()).or_default().push(package);
        }
        let mut versions = BTreeMap::new();
        for (name, mut packages) in by_name {
            if packages.len() > 1 {
                let fit: Result<Vec<bool>> = packages.iter().map(|package| package.is_for(pythons)).collect();
                let fit = fit?;
                packages = packages.into_iter().zip(fit).filter_map(|(package, fit)| fit.then_some(package)).collect();
            }
            let version = match packages[..] {
                [] => continue,
                [one] => one.version.as_deref().unwrap_or_default(),
                _ => {
                    return Err(Error::refused(format!("it has several versions of {name}, and doesn't say which"))
                        .hint("run it with another Python: `--python 3.12`"));
                }
            };
            let version = Version::from_str(version)
                .map_err(|_| Error::usage(format!("its version `{}` of {name} is none", shown(version))))?;
            versions.insert(name, version);
        }
        Ok(versions)
    }

    /// The requirement at the commit that it was locked to, if it is in a repository. Refused is a version that the
    /// requirement does not allow: then the lock is of another time than the project.
    pub fn pinned(&self, mut spec: PypiSpec, versions: &BTreeMap<String, Version>) -> Result<PypiSpec> {
        let Some(name) = spec.name.as_ref().map(|name| name.as_str().to_owned()) else { return Ok(spec) };
        match &mut spec.request {
            PypiRequest::Source(Source::Git(git)) => {
                let same = |package: &&Package| PypiName::parse(&package.name).is_ok_and(|n| n.as_str() == name);
                let locked = self.packages.iter().find(same).and_then(|package| package.source.get("git"));
                let commit = locked.and_then(Value::as_str).and_then(|address| address.rsplit_once('#'));
                if let Some(commit) = commit.and_then(|(_, commit)| Commit::parse(commit)) {
                    git.reference = Reference::Commit(commit);
                }
            }
            PypiRequest::Specifiers(specifiers) => check(&name, specifiers, versions)?,
            _ => {}
        }
        Ok(spec)
    }
}

fn check(name: &str, specifiers: &VersionSpecifiers, versions: &BTreeMap<String, Version>) -> Result<()> {
    match versions.get(name).filter(|version| !specifiers.contains(version)) {
        None => Ok(()),
        Some(version) => Err(Error::refused(format!("it has {name} {version}, and the project wants {specifiers}"))
            .hint("bring it up to date: `uv lock`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
version = 1
revision = 3
[[package]]
name = "Own"
version = "0.1"
source = { editable = "." }
[[package]]
name = "idna"
version = "3.6"
source = { registry = "https://pypi.org/simple" }
sdist = { url = "https://h.example/x.tar.gz", hash = "sha256:0" }
[[package]]
name = "two"
version = "1.0"
source = { registry = "https://pypi.org/simple" }
resolution-markers = ["python_full_version < '3.12'"]
[[package]]
name = "two"
version = "2.0"
source = { registry = "https://pypi.org/simple" }
resolution-markers = ["python_full_version >= '3.12' and sys_platform == 'win32'", "python_full_version >= '3.12' and sys_platform != 'win32'"]
[[package]]
name = "there"
version = "1"
source = { git = "https://h.example/o/r?rev=main#0123456789012345678901234567890123456789" }
"#;

    fn pythons(minor: &str) -> Vec<String> {
        vec![minor.to_owned()]
    }

    #[test]
    fn versions_of_a_python() {
        let lock = UvLock::parse(LOCK).unwrap();
        let all = |minor| {
            let versions = lock.versions(&pythons(minor)).unwrap();
            versions.iter().map(|(name, version)| format!("{name}=={version}")).collect::<Vec<_>>()
        };
        assert_eq!(all("3.13"), ["idna==3.6", "two==2.0"]);
        assert_eq!(all("3.11"), ["idna==3.6", "two==1.0"]);
    }

    #[test]
    fn what_does_not_say_one_version_is_refused() {
        let lock = UvLock::parse(&LOCK.replace("python_full_version < '3.12'", "sys_platform == 'linux'")).unwrap();
        assert!(lock.versions(&pythons("3.13")).is_err());
        for (from, to) in [("3.6", "3.6; x"), ("\"idna\"", "\"idna -r x\"")] {
            assert!(UvLock::parse(&LOCK.replace(from, to)).unwrap().versions(&pythons("3.13")).is_err(), "{to}");
        }
        assert!(UvLock::parse("package = 3").is_err());
    }

    #[test]
    fn what_is_required_is_what_was_locked() {
        let lock = UvLock::parse(LOCK).unwrap();
        let versions = lock.versions(&pythons("3.13")).unwrap();
        let pinned = |text: &str| {
            lock.pinned(PypiSpec::parse_requirement(text).unwrap(), &versions).map(|spec| spec.to_string())
        };
        assert_eq!(pinned("idna>=3").unwrap(), "idna>=3");
        assert_eq!(pinned("new>=3").unwrap(), "new>=3");
        let commit = "there @ git+https://h.example/o/r@0123456789012345678901234567890123456789";
        assert_eq!(pinned("there @ git+https://h.example/o/r@main").unwrap(), commit);
        assert!(pinned("idna>=4").unwrap_err().to_string().contains("3.6"));
    }
}
