//! PyPI package specs: `name`, `name[extra]`, PEP 508 specifiers, `name@version`, `name@latest`,
//! and git repositories and archives at URLs, with or without `name @` before them.

use std::fmt;
use std::str::FromStr;

use pep440_rs::{Version, VersionSpecifier, VersionSpecifiers};
use pep508_rs::{ExtraName, PackageName};

use super::local::{Sort, TypedPath};
use super::marker::Marker;
use super::source::{self, GitSource, Reference, Source};
use super::{bounded, shown};
use crate::error::{Error, Result};

/// A project name in its normalised form (PEP 503).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PypiName(String);

impl PypiName {
    /// Checks a name by PEP 508's grammar and normalises it by PEP 503's rule.
    pub fn parse(text: &str) -> Result<Self> {
        // The crate lets an empty name pass.
        if text.is_empty() {
            return Err(invalid_name(text));
        }
        PackageName::from_str(text).map(|name| Self(name.to_string())).map_err(|_| invalid_name(text))
    }

    /// The normalised name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn invalid_name(text: &str) -> Error {
    let error = Error::usage(format!("`{}` is not a package name", shown(text)));
    if text.trim().contains(char::is_whitespace) {
        error.hint("write several arguments as several strings: \"pkg\", \"arg\"")
    } else {
        error.hint("a name has letters, digits and `.`, `_` or `-` between them: `mcp-server-fetch`")
    }
}

/// Which versions are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PypiRequest {
    /// Nothing said: the newest release.
    Any,
    /// `@latest`: the newest release, asked for by name.
    Latest,
    /// PEP 440 specifiers; `name@1.2` is `==1.2`.
    Specifiers(VersionSpecifiers),
    /// What is there instead of on an index.
    Source(Source),
}

/// A project, its extras and which of its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PypiSpec {
    /// Which project. `None` only for a source, whose own name counts.
    pub name: Option<PypiName>,
    /// The name as it was typed: uv looks for an executable of exactly this spelling. Empty if
    /// there is no name.
    pub typed: String,
    /// Normalised, sorted extras.
    pub extras: Vec<String>,
    /// Which of its versions.
    pub request: PypiRequest,
}

/// A requirement, perhaps with a condition behind a `;`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// What is required.
    pub spec: PypiSpec,
    /// When.
    pub marker: Option<Marker>,
}

impl Requirement {
    /// Parses what uvx takes as COMMAND and after `--from`.
    pub fn parse_command(text: &str) -> Result<Self> {
        match split_marker(text) {
            (_, Some(_)) => Self::parse(text),
            (bare, None) => Ok(Self { spec: PypiSpec::parse_command(bare)?, marker: None }),
        }
    }

    /// Parses a PEP 508 requirement.
    pub fn parse(text: &str) -> Result<Self> {
        bounded(text)?;
        let (bare, marker) = split_marker(text);
        let spec = PypiSpec::parse_requirement(bare)?;
        Ok(Self { spec, marker: marker.map(Marker::parse).transpose()? })
    }

    /// Parses one that a file names: what is on this machine is for the line itself to name.
    pub fn parse_remote(text: &str) -> Result<Self> {
        let requirement = Self::parse(text)?;
        match requirement.spec.request {
            PypiRequest::Source(Source::Typed(_)) => {
                Err(Error::refused(format!("`{}` is somewhere else on this machine", shown(text)))
                    .hint("name a package of the registry, as `pkg` or `pkg==1.2.3`, or a git repository"))
            }
            _ => Ok(requirement),
        }
    }
}

/// Splits off what follows the `;`; one that no space is before may be part of an address.
fn split_marker(text: &str) -> (&str, Option<&str>) {
    let address = text.contains("://") || text.contains('@');
    let mut ends = text.match_indices(';').filter(|(at, _)| !address || text[..*at].ends_with(char::is_whitespace));
    match ends.next() {
        Some((at, _)) => (text[..at].trim_end(), Some(&text[at + 1..])),
        None => (text, None),
    }
}

impl PypiSpec {
    /// Parses what uvx takes as COMMAND and after `--from`: `name@version`, `name@latest`, or a
    /// PEP 508 requirement (uv, `crates/uv/src/commands/tool/mod.rs`, `Target::parse`).
    pub fn parse_command(text: &str) -> Result<Self> {
        bounded(text)?;
        if let Some((left, version)) = text.split_once('@') {
            let request = if version == "latest" {
                Some(PypiRequest::Latest)
            } else {
                Version::from_str(version)
                    .ok()
                    .map(|v| PypiRequest::Specifiers(VersionSpecifier::equals_version(v).into()))
            };
            if let (Some(request), Some((typed, extras))) = (request, split_name(left)) {
                return Self::new(typed, extras, request);
            }
        }
        Self::parse_requirement(text)
    }

    /// Parses a PEP 508 requirement, which is what uvx takes after `--with`; there `name@1.2`
    /// would be a file.
    pub fn parse_requirement(text: &str) -> Result<Self> {
        let text = text.trim();
        bounded(text)?;
        if let Some(source) = read_source(text, text)? {
            return Self::new("", source.extras, PypiRequest::Source(source.source));
        }
        let name_end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c))).unwrap_or(text.len());
        let (typed, rest) = text.split_at(name_end);
        PypiName::parse(typed).map_err(|_| invalid_name(text))?;
        // pep508_rs panics on extras such as `[x.]`, so only names and specifiers are left to
        // the crates.
        let (extras, rest) = match rest.trim_start().strip_prefix('[') {
            None => (Vec::new(), rest),
            Some(inner) => inner
                .split_once(']')
                .and_then(|(extras, rest)| Some((parse_extras(extras)?, rest)))
                .ok_or_else(|| malformed(text, "its extras can't be read"))?,
        };
        let rest = rest.trim();
        if let Some(target) = rest.strip_prefix('@') {
            let Some(found) = read_source(target.trim(), text)? else {
                return Err(no_version(text, typed));
            };
            if !found.extras.is_empty() {
                return Err(malformed(text, "its extras stand at the wrong end"));
            }
            return Self::new(typed, extras, PypiRequest::Source(found.source));
        }
        if rest.contains(';') {
            return Err(refuse_marker(text));
        }
        // PEP 508 allows parentheses around the versions.
        let inner = rest.strip_prefix('(').and_then(|r| r.strip_suffix(')'));
        let specifiers = VersionSpecifiers::from_str(inner.unwrap_or(rest).trim())
            .map_err(|_| malformed(text, "its versions can't be read"))?;
        let request = if specifiers.is_empty() { PypiRequest::Any } else { PypiRequest::Specifiers(specifiers) };
        Self::new(typed, extras, request)
    }

    fn new(typed: &str, mut extras: Vec<String>, request: PypiRequest) -> Result<Self> {
        extras.sort();
        extras.dedup();
        let name = if typed.is_empty() { None } else { Some(PypiName::parse(typed)?) };
        Ok(Self { name, typed: typed.to_owned(), extras, request })
    }
}

/// `name` or `name[extra,…]`.
fn split_name(left: &str) -> Option<(&str, Vec<String>)> {
    let (name, extras) = match left.split_once('[') {
        None => (left, Vec::new()),
        Some((name, inner)) => (name, parse_extras(inner.strip_suffix(']')?)?),
    };
    PypiName::parse(name).ok()?;
    Some((name, extras))
}

fn parse_extras(inner: &str) -> Option<Vec<String>> {
    if inner.trim().is_empty() {
        return Some(Vec::new());
    }
    inner
        .split(',')
        .map(|extra| Some(extra.trim()).filter(|e| !e.is_empty()))
        .map(|extra| Some(ExtraName::from_str(extra?).ok()?.to_string()))
        .collect()
}

/// What only looks like `@version`.
fn no_version(text: &str, typed: &str) -> Error {
    Error::usage(format!("`{}` does not name a version", shown(text))).hint(format!(
        "write `{typed}==1.2.3` or `{typed}>=1.2`, or `{typed}@1.2.3` and `{typed}@latest` for the command itself"
    ))
}

fn malformed(text: &str, why: &str) -> Error {
    let error = Error::usage(format!("`{}` is not a requirement", shown(text))).because(why);
    error.hint("write `pkg`, `pkg[extra]`, `pkg==1.2.3` or `pkg>=1,<2`, and each package as a string of its own")
}

/// A source, and the extras that stand behind it.
struct Sourced {
    source: Source,
    extras: Vec<String>,
}

/// Reads `spec` if it has the form of an address or a path (uv, `crates/uv-requirements-txt`,
/// "unnamed requirements"). `text` is the whole requirement.
fn read_source(spec: &str, text: &str) -> Result<Option<Sourced>> {
    let lower = spec.to_ascii_lowercase();
    let scheme = lower.split_once("://").map(|(scheme, _)| scheme);
    // `name>=1 ; …` and `name @ https://…` start with a name; an address with its scheme.
    let scheme = scheme.filter(|s| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+'));
    let Some(scheme) = scheme else {
        return match local_sort(spec, &lower) {
            Some(sort) => local(spec, sort, text).map(Some),
            None if lower.starts_with("git+") && spec.contains('@') => Err(source::refuse_ssh(text)),
            None if lower.starts_with("git+") => {
                Err(Error::usage(format!("`{}` does not name a git repository", shown(text)))
                    .hint("write it as git+https://host/owner/repository"))
            }
            None => Ok(None),
        };
    };
    // uv knows its schemes in lower case; all else is a path to it.
    if !spec.starts_with(scheme) {
        return Err(malformed(text, "its scheme has capital letters, which make it a path for uv"));
    }
    if scheme == "file" {
        let sort = if is_archive(&lower) { Sort::Archive } else { Sort::Folder };
        return local(spec, sort, text).map(Some);
    }
    if let Some((_, marker)) = spec.split_once(char::is_whitespace) {
        return Err(match marker.trim_start().strip_prefix(';') {
            Some(_) => refuse_marker(text),
            None => malformed(text, "there is a space in its address"),
        });
    }
    let (spec, extras) = extras_behind(spec, text)?;
    let source = match scheme {
        "http" | "https" => archive(spec, text)?,
        "git+http" | "git+https" => git(&spec["git+".len()..], text)?,
        "git+file" => return Err(source::refuse_git_file(text)),
        "git+ssh" | "ssh" => return Err(source::refuse_ssh(text)),
        _ => {
            return Err(Error::usage(format!("`{}` is an address that uv knows no way to", shown(text)))
                .hint("write git+https://host/owner/repository for a git repository"));
        }
    };
    Ok(Some(Sourced { source, extras }))
}

/// Splits the extras off that stand behind an address or a path.
fn extras_behind<'a>(spec: &'a str, text: &str) -> Result<(&'a str, Vec<String>)> {
    match spec.strip_suffix(']').and_then(|s| s.rsplit_once('[')) {
        Some((spec, inner)) => {
            Ok((spec, parse_extras(inner).ok_or_else(|| malformed(text, "its extras can't be read"))?))
        }
        None => Ok((spec, Vec::new())),
    }
}

/// What is on this machine, perhaps with extras behind it.
fn local(spec: &str, sort: Sort, text: &str) -> Result<Sourced> {
    let (path, extras) = extras_behind(spec, text)?;
    // uv has no `~`, reads brackets and semicolons as parts of a requirement, and splits `--with` at commas.
    if path.starts_with('~') || path.contains(['[', ']', ';', ',']) {
        return Err(malformed(text, "it has characters that stand for something else")
            .hint("write the whole path: `/the/folder`"));
    }
    Ok(Sourced { source: Source::Typed(TypedPath::parse(path, sort, text)?), extras })
}

/// A wheel or a source distribution at an address.
fn archive(spec: &str, text: &str) -> Result<Source> {
    let mut url = source::web_address(spec, text)?;
    url.set_fragment(None);
    if !is_archive(&url.path().to_ascii_lowercase()) {
        return Err(Error::usage(format!("`{}` names neither a wheel nor a source distribution", shown(text)))
            .hint(format!("for a git repository write git+{url}")));
    }
    if spec.contains('#') {
        return Err(Error::refused(format!("`{}` has something behind a `#`", shown(text)))
            .because("hashes and folders of an archive can't be taken into account yet")
            .hint("leave out the `#` and what follows it"));
    }
    Ok(Source::Archive(url))
}

/// `host/path[.git][@ref][#subdirectory=dir]` (uv, `GitUrl::try_from` and `parse_subdirectory`).
fn git(address: &str, text: &str) -> Result<Source> {
    let (body, fragment) = address.split_once('#').unwrap_or((address, ""));
    let mut subdirectory = None;
    for pair in fragment.split('&').filter(|pair| !pair.is_empty()) {
        let dir = pair.strip_prefix("subdirectory=").ok_or_else(|| {
            Error::refused(format!("`{}` has something behind the `#` that we don't know", shown(text)))
                .hint("only `#subdirectory=folder` can stand there; a name stands in front: `name @ git+https://…`")
        })?;
        let dir = source::subdirectory(dir).ok_or_else(|| {
            Error::usage(format!("`{}` does not name a folder of the repository", shown(text)))
                .hint("write `#subdirectory=path/to/folder`")
        })?;
        if subdirectory.replace(dir).is_some() {
            return Err(malformed(text, "it names two folders"));
        }
    }
    let mut repository = source::repository(body, text)?;
    let mut reference = Reference::Head;
    let path = repository.path().to_owned();
    if let Some((path, named)) = path.rsplit_once('@') {
        reference = source::reference(named).ok_or_else(|| {
            Error::usage(format!("`{}` does not name a commit", shown(text)))
                .hint("after the `@` comes a branch, a tag, or all 40 digits of a commit")
        })?;
        repository.set_path(path);
    }
    Ok(Source::Git(GitSource { repository, reference, subdirectory }))
}

fn refuse_marker(text: &str) -> Error {
    Error::refused(format!("`{}` has a condition, which is not understood there", shown(text)))
        .hint("leave out the `;` and what follows it")
}

/// What a path on this machine leads to by its name; none if it is no path.
fn local_sort(text: &str, lower: &str) -> Option<Sort> {
    let drive = matches!(text.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    let before_direct = text.split('@').next().unwrap_or(text);
    let path = drive
        || lower.starts_with("file:")
        || text.starts_with(['.', '/', '\\', '~'])
        || before_direct.contains(['/', '\\'])
        || is_archive(lower) && !before_direct.contains(char::is_whitespace);
    path.then(|| if is_archive(lower) { Sort::Archive } else { Sort::Folder })
}

/// The suffixes of wheels and source distributions.
fn is_archive(lower: &str) -> bool {
    let path = lower.split(['[', '#']).next().unwrap_or(lower);
    [".whl", ".zip", ".tgz", ".tar", ".tbz", ".txz", ".tlz"].iter().any(|e| path.ends_with(e))
        || [".gz", ".bz2", ".xz", ".lz", ".lzma", ".zst"]
            .iter()
            .any(|e| path.strip_suffix(e).is_some_and(|p| p.ends_with(".tar")))
}

impl fmt::Display for PypiSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extras = if self.extras.is_empty() { String::new() } else { format!("[{}]", self.extras.join(",")) };
        if let Some(name) = &self.name {
            write!(f, "{}{extras}", name.as_str())?;
        }
        match &self.request {
            PypiRequest::Source(source) if self.name.is_some() => write!(f, " @ {}", source.pypi_text()),
            PypiRequest::Source(source) => write!(f, "{}{extras}", source.pypi_text()),
            PypiRequest::Any => Ok(()),
            PypiRequest::Latest => f.write_str("@latest"),
            PypiRequest::Specifiers(s) => {
                let text = s.to_string();
                write!(f, "{}", text.replace(' ', ""))
            }
        }
    }
}

#[cfg(test)]
#[path = "pypi_tests.rs"]
mod tests;
