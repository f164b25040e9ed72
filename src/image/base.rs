//! Which base image a package needs: the newest default interpreter unless the package, or the
//! line, asks for another. No input or output here.

use std::str::FromStr;

use nodejs_semver::{Range, Version as NodeVersion};
use pep440_rs::{Version, VersionSpecifiers};

use crate::config::Images;
use crate::digest;
use crate::error::{Error, Result};

/// The Node majors that we know images for, the preferred one first.
pub const NODE: [u64; 3] = [24, 22, 20];

/// The Python versions that we know images for, the preferred one first. 3.14 comes late because
/// many packages have no wheels for it yet.
pub const PYTHON: [&str; 5] = ["3.13", "3.12", "3.11", "3.14", "3.10"];

/// A patch number above all real ones: an image named after a major or minor version holds its
/// newest patch, so lower bounds inside it hold.
const NEWEST: u64 = 999;

/// What `jitbox base make` makes of distribution packages: a file for each, and its name.
pub const MADE: [(&str, &str); 3] = [
    ("node24.tar", "node:24-trixie-slim"),
    ("node22.tar", "node:22-trixie-slim"),
    ("python.tar", "python:3.13-slim-trixie"),
];

/// A base image and the interpreter in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// The image's name, without a registry host.
    pub image: String,
    /// The interpreter's version as the image's name has it.
    pub version: String,
}

impl Images {
    /// The first Node that satisfies every `engines.node` range. Ranges that do not parse have no
    /// say, as with npm, which only warns about engines.
    pub fn node(&self, engines: &[String]) -> Result<Base> {
        NODE.into_iter()
            .find(|major| engines.iter().all(|range| node_satisfies(*major, range)))
            .map(|major| base(&self.node, &major.to_string()))
            .ok_or_else(|| {
                Error::not_found("no known node version satisfies the package")
                    .because(format!("it needs node {}", engines.join(" and ")))
                    .hint(format!("known versions: {}", NODE.map(|m| m.to_string()).join(", ")))
            })
    }

    /// The Python that was asked for, else the first that satisfies every `requires-python`.
    pub fn python(&self, requires: &[String], asked: Option<&str>) -> Result<Base> {
        let candidates = python_candidates(asked)?;
        candidates
            .iter()
            .find(|minor| requires.iter().all(|r| python_satisfies(minor, r)))
            .map(|minor| base(&self.python, minor))
            .ok_or_else(|| no_python(&candidates, requires, asked))
    }
}

fn base(name: &str, version: &str) -> Base {
    Base { image: name.replace("{version}", version), version: version.to_owned() }
}

fn no_python(candidates: &[String], requires: &[String], asked: Option<&str>) -> Error {
    let needs = format!("it needs python {}", requires.join(" and "));
    match asked {
        Some(asked) => Error::not_found(format!("python {asked} does not satisfy the package"))
            .because(needs)
            .hint("leave out --python to have one chosen"),
        None => Error::not_found("no known python version satisfies the package")
            .because(needs)
            .hint(format!("known versions: {}", candidates.join(", "))),
    }
}

/// The ChainID of an image's layers, which says what is in it and is the same on every engine (OCI image specification,
/// "Layer ChainID").
pub fn chain_id(layers: &[String]) -> String {
    let mut layers = layers.iter();
    let first = layers.next().cloned().unwrap_or_default();
    layers.fold(first, |chain, layer| format!("sha256:{}", digest::full(format!("{chain} {layer}").as_bytes())))
}

/// Whether Node `major` satisfies an `engines.node` range; a malformed range always holds.
pub fn node_satisfies(major: u64, range: &str) -> bool {
    let Ok(range) = Range::parse(range) else {
        return true;
    };
    range.satisfies(&NodeVersion::from((major, NEWEST, NEWEST)))
}

/// Whether Python `minor` (such as `3.13`) satisfies a `requires-python`; a malformed one
/// always holds, as with pip.
pub fn python_satisfies(minor: &str, requires: &str) -> bool {
    let Ok(specifiers) = VersionSpecifiers::from_str(requires) else {
        return true;
    };
    let Ok(version) = Version::from_str(&format!("{minor}.{NEWEST}")) else {
        return false;
    };
    specifiers.contains(&version)
}

/// The Python versions that a request leaves, the preferred one first. Understood are uv's forms
/// that can name an image: `3.12`, `3.12.4` (as 3.12), `3`, `python3.12`, `cpython@3.12`,
/// `>=3.11,<3.13` (<https://docs.astral.sh/uv/concepts/python-versions/>).
pub fn python_candidates(asked: Option<&str>) -> Result<Vec<String>> {
    let known = || PYTHON.iter().map(|v| (*v).to_owned());
    let Some(asked) = asked.map(str::trim) else {
        return Ok(known().collect());
    };
    let version = ["cpython", "python"]
        .iter()
        .find_map(|prefix| asked.strip_prefix(prefix))
        .map_or(asked, |rest| rest.trim_start_matches(['@', '-']));
    if version.is_empty() || version == "3" {
        return Ok(known().collect());
    }
    if let Some(minor) = minor_of(version) {
        return Ok(vec![minor]);
    }
    let specifiers = VersionSpecifiers::from_str(version).map_err(|_| {
        Error::usage(format!("`{asked}` names no python that an image can provide"))
            .hint("give a CPython version such as 3.12")
    })?;
    let left: Vec<String> = known().filter(|minor| python_satisfies(minor, &specifiers.to_string())).collect();
    if left.is_empty() {
        return Err(Error::not_found(format!("no known python version satisfies `{asked}`"))
            .hint(format!("known versions: {}", PYTHON.join(", "))));
    }
    Ok(left)
}

/// `3.12` of `3.12` or `3.12.4`. Digits only: what comes out is part of an image's name.
fn minor_of(version: &str) -> Option<String> {
    let mut parts = version.split('.');
    let (major, minor) = (parts.next()?, parts.next()?);
    let patch = parts.next();
    let number = |s: &str| !s.is_empty() && s.len() <= 4 && s.bytes().all(|b| b.is_ascii_digit());
    let whole = major == "3" && number(minor) && patch.is_none_or(number) && parts.next().is_none();
    whole.then(|| format!("{major}.{minor}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn texts(of: &[&str]) -> Vec<String> {
        of.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn node_prefers_the_default_and_honours_every_range() {
        let names = Images::default();
        let pick = |e: &[&str]| names.node(&texts(e)).unwrap().image;
        assert_eq!(pick(&[]), "node:24-trixie-slim");
        assert_eq!(pick(&[">=18"]), "node:24-trixie-slim");
        assert_eq!(pick(&[">= 18.0.0 <23"]), "node:22-trixie-slim");
        assert_eq!(pick(&[">=18", "^20.19.0 || ^22.12.0"]), "node:22-trixie-slim");
        assert_eq!(pick(&["^20"]), "node:20-trixie-slim");
        assert_eq!(pick(&["node is nice", ">=20"]), "node:24-trixie-slim");
    }

    #[test]
    fn node_says_what_it_needs_when_nothing_fits() {
        let error = Images::default().node(&texts(&["<10"])).unwrap_err();
        assert_eq!(error.kind, Kind::NotFound);
        assert!(error.to_string().contains("<10"));
    }

    #[test]
    fn python_prefers_the_default_and_honours_requires() {
        let names = Images::default();
        let pick = |r: &[&str], asked| names.python(&texts(r), asked).map(|b| b.version);
        assert_eq!(pick(&[], None).unwrap(), "3.13");
        assert_eq!(pick(&[">=3.10"], None).unwrap(), "3.13");
        assert_eq!(pick(&[">=3.10,<3.13"], None).unwrap(), "3.12");
        assert_eq!(pick(&[">=3.14"], None).unwrap(), "3.14");
        assert_eq!(pick(&["nonsense"], None).unwrap(), "3.13");
        assert_eq!(pick(&[">=3.10"], Some("3.11")).unwrap(), "3.11");
        assert_eq!(pick(&[], Some("python3.12.4")).unwrap(), "3.12");
        assert_eq!(pick(&[], Some("cpython@3.10")).unwrap(), "3.10");
        assert_eq!(pick(&[], Some(">=3.11,<3.13")).unwrap(), "3.12");
        assert_eq!(pick(&[], Some("3.9")).unwrap(), "3.9");
        assert!(pick(&[">=3.10"], Some("3.9")).is_err());
        assert!(pick(&["<3"], None).is_err());
    }

    #[test]
    fn a_request_cannot_write_into_the_image_name() {
        for asked in ["pypy@3.10", "3.13t", "/usr/bin/python3", "3.12/evil", "3.12 --x", "2.7", "3.x"] {
            assert!(Images::default().python(&[], Some(asked)).is_err(), "{asked}");
        }
    }

    #[test]
    fn a_chain_id_is_that_of_the_specification() {
        let layers = texts(&["sha256:a", "sha256:b", "sha256:c"]);
        let of = |text: &str| format!("sha256:{}", digest::full(text.as_bytes()));
        assert_eq!(chain_id(&layers[..1]), "sha256:a");
        assert_eq!(chain_id(&layers[..2]), of("sha256:a sha256:b"));
        assert_eq!(chain_id(&layers), of(&format!("{} sha256:c", of("sha256:a sha256:b"))));
        assert_eq!(chain_id(&[]), "");
    }

    #[test]
    fn names_are_configurable() {
        let names = Images { node: "mirror/node:{version}".to_owned(), ..Images::default() };
        assert_eq!(names.node(&[]).unwrap().image, "mirror/node:24");
    }
}
