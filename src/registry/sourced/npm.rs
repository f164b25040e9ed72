//! npm packages from repositories and archives.

use serde::Deserialize;
use serde_json::Value;

use super::{Archive, Content, Sourcing, advised, find, pack, unpack};
use crate::digest;
use crate::error::{Error, Kind, Result};
use crate::package::npm::{NpmName, NpmSpec};
use crate::package::source::{GitSource, Source};
use crate::package::{Ecosystem, PinnedPackage, shown};
use crate::registry::cutoff::Dated;
use crate::registry::npm::{Manifest, NpmRelease};
use crate::registry::pack::Entry;

/// Scripts with which packages are made before they can be used (npm, "Life cycle scripts").
const MAKING: [&str; 5] = ["prepare", "prepack", "build", "prepublish", "prepublishOnly"];

/// As much of `package.json` as no registry repeats.
#[derive(Deserialize)]
struct Own {
    #[serde(default)]
    name: Value,
    #[serde(default)]
    version: Value,
    #[serde(default)]
    scripts: Value,
}

/// What a source has.
pub struct Package {
    /// As a registry would describe it.
    pub release: NpmRelease,
    /// The file that npm installs.
    pub archive: Archive,
    /// What a person should know of it.
    pub note: Option<String>,
}

/// Fetches what a source has.
pub fn fetch(sourcing: &Sourcing<'_>, spec: &NpmSpec, source: &Source) -> Result<Package> {
    let fetched = sourcing.fetch(source, Ecosystem::Npm)?;
    let address = spec.to_string();
    let (entries, bytes) = match fetched.content {
        Content::Files(entries) => {
            let entries = below(entries, source);
            let bytes = pack(&entries, "package", false)?;
            (entries, bytes)
        }
        Content::Archive(bytes) => (unpack(&bytes, &address)?, bytes),
    };
    let found = describe(&entries, spec.name.as_ref(), &address).map_err(|e| {
        let e = advised(e, source, Kind::NotFound, "name the folder that has its package.json");
        advised(e, source, Kind::Refused, "make it there first: `npm install && npm run build`")
    })?;
    let archive = Archive { name: format!("{}.tgz", digest::short(&bytes)), bytes };
    let pinned = PinnedPackage::sourced(Ecosystem::Npm, found.name, found.version, &[], fetched.source);
    let note = found.script.filter(|_| matches!(source, Source::Git(_))).map(|script| {
        format!(
            "{}: its script `{script}` is not run; if a file is missing later, that would have made it",
            pinned.name()
        )
    });
    let release = NpmRelease {
        pinned: pinned.made_into(&archive.name),
        engines_node: found.manifest.engines_node().map(crate::registry::shown),
        first_bin: found.bins.first().map(|(name, _)| name.clone()),
        bins: found.bins.into_iter().collect(),
        deprecated: None,
        has_install_script: found.manifest.has_install_script,
        dated: Dated::Unasked,
        since: None,
    };
    Ok(Package { release, archive, note })
}

/// The files of the package: those of the folder that is named, if one is.
fn below(mut entries: Vec<Entry>, source: &Source) -> Vec<Entry> {
    let Source::Git(GitSource { subdirectory: Some(dir), .. }) = source else { return entries };
    let dir = format!("{dir}/");
    entries.retain_mut(|entry| match entry.path.strip_prefix(&dir) {
        Some(rest) => {
            entry.path = rest.to_owned();
            true
        }
        None => false,
    });
    entries
}

struct Found {
    name: String,
    version: String,
    manifest: Manifest,
    bins: Vec<(String, String)>,
    script: Option<&'static str>,
}

/// Reads `package.json`, and refuses what would have to be built first.
fn describe(entries: &[Entry], typed: Option<&NpmName>, address: &str) -> Result<Found> {
    let file = find(entries, "package.json").ok_or_else(|| {
        Error::not_found(format!("there is no npm package at {address}"))
            .because("it has no package.json at its top")
            .hint("if it is in a folder of the repository, name that: `#path:the/folder`")
    })?;
    let broken = |why: &dyn std::fmt::Display| {
        Error::failed(format!("the package.json of {address} can't be used")).because(why)
    };
    let json = file.data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&file.data);
    let own: Own = serde_json::from_slice(json).map_err(|e| broken(&e))?;
    let manifest: Manifest = serde_json::from_slice(json).map_err(|e| broken(&e))?;
    let name = match (own.name.as_str(), typed) {
        (Some(name), _) => NpmName::parse(name).map_err(|e| broken(&e))?,
        (None, Some(typed)) => typed.clone(),
        (None, None) => return Err(broken(&"it has no name").hint(format!("give it one: `name@{address}`"))),
    };
    let version = own.version.as_str().filter(|v| nodejs_semver::Version::parse(v).is_ok()).unwrap_or("0.0.0");
    let bins = manifest.bins(name.as_str());
    for (command, path) in &bins {
        let there = ["", ".js"].iter().any(|end| find(entries, &format!("{path}{end}")).is_some());
        if !there {
            return Err(not_built(name.as_str(), command, path, &own.scripts));
        }
    }
    let script = making_script(&own.scripts).map(|(script, _)| script);
    Ok(Found { name: name.as_str().to_owned(), version: version.to_owned(), manifest, bins, script })
}

/// The script that makes a package what it is, with what it does.
fn making_script(scripts: &Value) -> Option<(&'static str, &str)> {
    MAKING.iter().find_map(|script| Some((*script, scripts.get(script)?.as_str()?)))
}

fn not_built(name: &str, command: &str, path: &str, scripts: &Value) -> Error {
    let error = Error::refused(format!("{name} has to be built before it can be run")).because(format!(
        "the file of its command `{}` is not there: {}",
        shown(command),
        shown(path)
    ));
    let error = match making_script(scripts) {
        Some((script, line)) => {
            error.because(format!("its script `{script}` would make it (`{}`), and no scripts are run", shown(line)))
        }
        None => error,
    };
    // Whoever owns the name there need not be whose repository this is.
    error.hint(format!(
        "if its makers publish it, run that: see https://www.npmjs.com/package/{name}, then npx-safe {name}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::pack::EntryKind;

    fn package(json: &str, files: &[&str]) -> Vec<Entry> {
        let entry = |path: &str, data: &str| Entry { path: path.into(), kind: EntryKind::File, data: data.into() };
        let rest = files.iter().map(|path| entry(path, ""));
        std::iter::once(entry("package.json", json)).chain(rest).collect()
    }

    #[test]
    fn reads_the_package() {
        let json = r#"{"name":"@s/tool","version":"1.2.3","bin":"./cli.js","engines":{"node":">=20"}}"#;
        let found = describe(&package(json, &["cli.js"]), None, "o/r").unwrap();
        assert_eq!((found.name.as_str(), found.version.as_str()), ("@s/tool", "1.2.3"));
        assert_eq!(found.bins, [("tool".to_owned(), "cli.js".to_owned())]);
        assert_eq!(found.manifest.engines_node(), Some(">=20"));
    }

    #[test]
    fn what_is_not_built_is_refused_by_its_script() {
        let json = r#"{"name":"tool","bin":{"tool":"build/x.js"},"scripts":{"test":"x","prepare":"npm run build","build":"tsc"}}"#;
        let error = describe(&package(json, &["src/x.ts"]), None, "o/r").err().unwrap();
        assert_eq!(error.kind, Kind::Refused);
        let text = error.to_string();
        for word in ["tool", "build/x.js", "`prepare`", "npm run build"] {
            assert!(text.contains(word), "{text}");
        }
        assert!(describe(&package(json, &["build/x.js"]), None, "o/r").is_ok());
    }

    #[test]
    fn a_folder_of_a_repository() {
        let files = package("{}", &["a/package.json", "a/x/y.js", "ab/z.js"]);
        let source = |text: &str| match NpmSpec::parse(text).unwrap().request {
            crate::package::npm::NpmRequest::Source(source) => source,
            other => panic!("{other:?}"),
        };
        let names: Vec<_> = below(files.clone(), &source("o/r#path:a")).into_iter().map(|e| e.path).collect();
        assert_eq!(names, ["package.json", "x/y.js"]);
        assert_eq!(below(files.clone(), &source("o/r")), files);
    }

    #[test]
    fn what_is_no_package_is_said_so() {
        assert_eq!(describe(&[], None, "o/r").err().unwrap().kind, Kind::NotFound);
        assert!(describe(&package("[]", &[]), None, "o/r").is_err());
        assert!(describe(&package("{}", &[]), None, "o/r").is_err());
        let name = NpmName::parse("x").unwrap();
        assert_eq!(describe(&package("{}", &[]), Some(&name), "o/r").unwrap().name, "x");
        assert!(describe(&package(r#"{"name":"../evil"}"#, &[]), None, "o/r").is_err());
    }
}
