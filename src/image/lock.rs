//! The lock: every package of the tree with its exact version and the hashes of its files.
//! Pure; the text is what npm or uv wrote.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::package::Ecosystem;

/// How a lock names a file that is in no registry and that the box brings along: for npm, below
/// the folder of `package.json`; for uv, as the folder's whole name.
pub const NPM_ARCHIVES: &str = "file:archives/";
/// The same for PyPI.
pub const PYPI_ARCHIVES: &str = "file:///work/archives/";

/// One package of the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locked {
    /// Its name.
    pub name: String,
    /// Its exact version.
    pub version: String,
    /// Its files' hashes: one for npm, one per wheel for PyPI.
    pub integrity: Vec<String>,
}

/// A whole tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// As the package manager wrote it, and as it will read it again.
    pub text: String,
    /// What it says.
    pub packages: Vec<Locked>,
    /// npm: the executables that end up in `node_modules/.bin`.
    pub bins: Vec<String>,
    /// npm: the addresses of the packages' files.
    pub files: Vec<String>,
}

impl Lock {
    /// Reads a lock. Anything that has no hash, or does not come from a registry, is refused:
    /// it could change between now and the build.
    pub fn parse(ecosystem: Ecosystem, text: String) -> Result<Self> {
        match ecosystem {
            Ecosystem::Npm => npm(text),
            Ecosystem::Pypi => requirements(text),
        }
    }

    /// npm: the executables of one package at the top of the tree; none if `text` is no lock.
    pub fn own_bins(text: &str, name: &str) -> Vec<String> {
        let lock = serde_json::from_str::<PackageLock>(text).ok();
        let entry = lock.and_then(|mut lock| lock.packages.remove(&format!("node_modules/{name}")));
        entry.map(|entry| bins_of(entry.bin, name)).unwrap_or_default()
    }

    /// npm: the packages with scripts that npm would run when it installs them, each with the folders that it is in; none
    /// if `text` is no lock.
    pub fn scripted(text: &str) -> BTreeMap<String, Vec<String>> {
        let lock = serde_json::from_str::<PackageLock>(text).ok();
        let mut scripted = BTreeMap::<String, Vec<String>>::new();
        for (path, entry) in lock.into_iter().flat_map(|lock| lock.packages) {
            if let (true, Some((_, name))) = (entry.has_install_script, path.rsplit_once("node_modules/")) {
                scripted.entry(name.to_owned()).or_default().push(path);
            }
        }
        scripted
    }

    /// Whether some package of the tree is an MCP SDK: whatever depends on one is taken for a
    /// server, which ends when its input ends.
    pub fn has_mcp_sdk(&self, ecosystem: Ecosystem) -> bool {
        self.packages.iter().any(|package| match ecosystem {
            Ecosystem::Npm => package.name.starts_with("@modelcontextprotocol/") || package.name == "fastmcp",
            Ecosystem::Pypi => package.name == "mcp" || package.name == "fastmcp",
        })
    }
}

/// package-lock.json, version 3 (docs.npmjs.com, "package-lock.json"): each package by its place.
#[derive(Deserialize)]
pub(super) struct PackageLock {
    pub(super) packages: BTreeMap<String, Entry>,
}

/// What it says of one package.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    name: Option<String>,
    version: Option<String>,
    pub(super) resolved: Option<String>,
    integrity: Option<String>,
    #[serde(default)]
    pub(super) dependencies: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) optional_dependencies: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) peer_dependencies: BTreeMap<String, String>,
    bin: Option<serde_json::Value>,
    #[serde(default)]
    link: bool,
    #[serde(default)]
    in_bundle: bool,
    #[serde(default)]
    has_install_script: bool,
}

fn npm(text: String) -> Result<Lock> {
    let malformed = |why: String| Error::failed("npm wrote a lock that can't be used").because(why);
    let lock: PackageLock = serde_json::from_str(&text).map_err(|e| malformed(e.to_string()))?;
    let mut packages = Vec::new();
    let (mut bins, mut files) = (Vec::new(), Vec::new());
    for (path, entry) in lock.packages {
        let Some((above, folder)) = path.rsplit_once("node_modules/") else {
            continue;
        };
        let name = entry.name.unwrap_or_else(|| folder.to_owned());
        let refused = |why: &str| {
            Error::refused(format!("`{name}` in the tree {why}"))
                .hint("only packages from a registry, with a hash, can be installed")
        };
        if entry.link {
            return Err(refused("is a link to a folder"));
        }
        let ours = |url: &str| url.strip_prefix(NPM_ARCHIVES).is_some_and(|name| !name.contains('/'));
        let from_registry = entry.resolved.as_deref().is_none_or(|url| url.starts_with("http") || ours(url));
        if !from_registry {
            return Err(refused("does not come from a registry"));
        }
        // A bundled package is inside its parent's file, whose hash covers it.
        let integrity = match entry.integrity {
            Some(integrity) => vec![integrity],
            None if entry.in_bundle => Vec::new(),
            None => return Err(refused("has no hash")),
        };
        files.extend(entry.resolved.filter(|url| url.starts_with("http")));
        if above.is_empty() {
            bins.extend(bins_of(entry.bin, folder));
        }
        packages.push(Locked {
            name,
            version: entry.version.ok_or_else(|| malformed(format!("no version at {path}")))?,
            integrity,
        });
    }
    bins.retain(|bin| !bin.contains('/') && !bin.is_empty());
    bins.sort();
    bins.dedup();
    Ok(Lock { text, packages, bins, files })
}

/// What a package's `bin` comes to.
fn bins_of(bin: Option<serde_json::Value>, folder: &str) -> Vec<String> {
    match bin {
        Some(serde_json::Value::Object(map)) => map.into_iter().map(|(name, _)| name).collect(),
        Some(_) => vec![folder.rsplit('/').next().unwrap_or(folder).to_owned()],
        None => Vec::new(),
    }
}

/// requirements.txt with hashes, as `uv pip compile --generate-hashes` writes it.
fn requirements(text: String) -> Result<Lock> {
    let mut packages: Vec<Locked> = Vec::new();
    for line in text.lines().map(|l| l.trim().trim_end_matches('\\').trim()) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(hash) = line.strip_prefix("--hash=") {
            match packages.last_mut() {
                Some(package) => package.integrity.push(hash.to_owned()),
                None => {
                    return Err(Error::failed("uv wrote a lock that can't be used").because("a hash without a package"));
                }
            }
            continue;
        }
        if line.starts_with('-') {
            continue;
        }
        let requirement = line.split(';').next().unwrap_or(line).trim();
        let Some((name, version)) = requirement.split_once("==").or_else(|| our_wheel(requirement)) else {
            return Err(Error::refused(format!("`{requirement}` in the tree does not come from a registry"))
                .hint("only packages from a registry, with a hash, can be installed"));
        };
        packages.push(Locked {
            name: name.split('[').next().unwrap_or(name).trim().to_owned(),
            version: version.trim().to_owned(),
            integrity: Vec::new(),
        });
    }
    if let Some(bare) = packages.iter().find(|p| p.integrity.is_empty()) {
        return Err(Error::refused(format!("`{}` in the tree has no hash", bare.name)));
    }
    Ok(Lock { text, packages, bins: Vec::new(), files: Vec::new() })
}

/// `name @ file:///work/archives/name-1.2-….whl`: a wheel that the box brings along.
fn our_wheel(requirement: &str) -> Option<(&str, &str)> {
    let (name, address) = requirement.split_once(" @ ")?;
    let file = address.trim().strip_prefix(PYPI_ARCHIVES).filter(|file| !file.contains(['/', '#', '%']))?;
    Some((name, file.split('-').nth(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NPM: &str = r#"{"lockfileVersion":3,"packages":{
        "":{"dependencies":{"a":"1.0.0"}},
        "node_modules/a":{"version":"1.0.0","resolved":"https://r.example/a.tgz","integrity":"sha512-x","bin":{"a":"a.js","a2":"b.js"}},
        "node_modules/@s/b":{"version":"2.0.0","integrity":"sha512-y","bin":"x.js"},
        "node_modules/a/node_modules/c":{"version":"3.0.0","integrity":"sha512-z","bin":{"c":"c.js"}}}}"#;

    #[test]
    fn reads_the_tree_and_the_executables_of_npm() {
        let lock = Lock::parse(Ecosystem::Npm, NPM.into()).unwrap();
        let names: Vec<_> = lock.packages.iter().map(|p| (p.name.as_str(), p.version.as_str())).collect();
        assert_eq!(names, [("@s/b", "2.0.0"), ("a", "1.0.0"), ("c", "3.0.0")]);
        assert_eq!(lock.bins, ["a", "a2", "b"], "only the outermost node_modules has a .bin on PATH");
        assert_eq!(lock.files, ["https://r.example/a.tgz"]);
        assert!(!lock.has_mcp_sdk(Ecosystem::Npm));
    }

    #[test]
    fn refuses_what_could_change_before_the_build() {
        for entry in [
            r#"{"version":"1.0.0","resolved":"git+ssh://git@h/x.git#abc","integrity":"sha512-x"}"#,
            r#"{"version":"1.0.0","resolved":"https://r.example/a.tgz"}"#,
            r#"{"link":true,"resolved":"../x"}"#,
            r#"{"version":"1.0.0","resolved":"file:archives/0.tgz"}"#,
            r#"{"version":"1.0.0","resolved":"file:archives/../0.tgz","integrity":"sha512-x"}"#,
            r#"{"version":"1.0.0","resolved":"file:x.tgz","integrity":"sha512-x"}"#,
        ] {
            let text = format!(r#"{{"packages":{{"node_modules/a":{entry}}}}}"#);
            let error = Lock::parse(Ecosystem::Npm, text).unwrap_err();
            assert_eq!(error.kind, crate::error::Kind::Refused, "{entry}");
        }
        for text in [
            "a @ https://r.example/a.whl \\\n    --hash=sha256:0\n",
            "a @ file:///etc/a-1-py3-none-any.whl \\\n    --hash=sha256:0\n",
            "a @ file:///work/archives/../a-1-py3-none-any.whl \\\n    --hash=sha256:0\n",
            "a @ file:///work/archives/a-1-py3-none-any.whl\n",
            "a==1\n",
        ] {
            let error = Lock::parse(Ecosystem::Pypi, text.into()).unwrap_err();
            assert_eq!(error.kind, crate::error::Kind::Refused, "{text}");
        }
    }

    #[test]
    fn reads_what_the_box_brings_along() {
        let entry = r#"{"version":"1.0.0","resolved":"file:archives/0.tgz","integrity":"sha512-x","bin":{"a":"a.js"}}"#;
        let lock = Lock::parse(Ecosystem::Npm, format!(r#"{{"packages":{{"node_modules/a":{entry}}}}}"#)).unwrap();
        assert_eq!((lock.packages[0].name.as_str(), lock.bins[0].as_str()), ("a", "a"));
        let text = "a[x] @ file:///work/archives/a-1.5-py3-none-any.whl \\\n    --hash=sha256:0\nb==2 \\\n    --hash=sha256:1\n";
        let lock = Lock::parse(Ecosystem::Pypi, text.into()).unwrap();
        let found: Vec<_> = lock.packages.iter().map(|p| (p.name.as_str(), p.version.as_str())).collect();
        assert_eq!(found, [("a", "1.5"), ("b", "2")]);
    }

    #[test]
    fn reads_requirements_with_hashes() {
        let text = "mcp[cli]==1.2 ; python_version >= '3' \\\n    --hash=sha256:1 \\\n    --hash=sha256:2\nb==3 \\\n    --hash=sha256:4\n";
        let lock = Lock::parse(Ecosystem::Pypi, text.into()).unwrap();
        assert_eq!(lock.packages.len(), 2);
        assert_eq!(lock.packages[0].integrity, ["sha256:1", "sha256:2"]);
        assert!(lock.has_mcp_sdk(Ecosystem::Pypi));
    }
}
