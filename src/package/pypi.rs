//! PyPI package specs: `name`, `name[extra]`, PEP 508 specifiers, `name@version`, `name@latest`.

use std::fmt;
use std::str::FromStr;

use pep440_rs::{Version, VersionSpecifier, VersionSpecifiers};
use pep508_rs::{ExtraName, PackageName};

use super::{UnsupportedForm, bounded, shown};
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
}

/// A project, its extras and which of its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PypiSpec {
    /// Which project.
    pub name: PypiName,
    /// The name as it was typed: uv looks for an executable of exactly this spelling.
    pub typed: String,
    /// Normalised, sorted extras.
    pub extras: Vec<String>,
    /// Which of its versions.
    pub request: PypiRequest,
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
        if let Some(form) = unsupported_form(text) {
            return Err(form.refuse(text));
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
        refuse_direct(text, typed, rest)?;
        if rest.contains(';') {
            return Err(Error::refused(format!("`{}` has a condition, which can't be checked here", shown(text)))
                .hint("leave out the `;` and what follows it"));
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
        Ok(Self { name: PypiName::parse(typed)?, typed: typed.to_owned(), extras, request })
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

/// What comes after name and extras: `@ URL`, or what only looks like `@version`.
fn refuse_direct(text: &str, typed: &str, rest: &str) -> Result<()> {
    let Some(target) = rest.strip_prefix('@') else {
        return Ok(());
    };
    if let Some(form) = unsupported_form(target.trim()) {
        return Err(form.refuse(text));
    }
    Err(Error::usage(format!("`{}` does not name a version", shown(text))).hint(format!(
        "write `{typed}==1.2.3` or `{typed}>=1.2`, or `{typed}@1.2.3` and `{typed}@latest` for the command itself"
    )))
}

fn malformed(text: &str, why: &str) -> Error {
    let error = Error::usage(format!("`{}` is not a requirement", shown(text))).because(why);
    error.hint("write `pkg`, `pkg[extra]`, `pkg==1.2.3` or `pkg>=1,<2`, and each package as a string of its own")
}

/// Which of the forms that we do not take `text` has, if any (uv,
/// `crates/uv-requirements-txt`, "unnamed requirements").
pub fn unsupported_form(text: &str) -> Option<UnsupportedForm> {
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("git+") || lower.starts_with("ssh://") || lower.starts_with("git://") {
        return Some(UnsupportedForm::Git);
    }
    // `name>=1 ; …` and `name @ https://…` start with a name; a URL with its scheme.
    let scheme = lower.split_once("://").map(|(scheme, _)| scheme);
    if scheme.is_some_and(|s| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+')) {
        return Some(match scheme {
            Some("file") if is_archive(&lower) => UnsupportedForm::File,
            Some("file") => UnsupportedForm::Directory,
            Some(s) if s.contains('+') => UnsupportedForm::Git,
            _ => UnsupportedForm::Url,
        });
    }
    let drive = matches!(text.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    let before_direct = text.split('@').next().unwrap_or(text);
    let path = drive
        || lower.starts_with("file:")
        || text.starts_with(['.', '/', '\\', '~'])
        || before_direct.contains(['/', '\\'])
        || is_archive(&lower) && !before_direct.contains(char::is_whitespace);
    path.then(|| if is_archive(&lower) { UnsupportedForm::File } else { UnsupportedForm::Directory })
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
        f.write_str(self.name.as_str())?;
        if !self.extras.is_empty() {
            write!(f, "[{}]", self.extras.join(","))?;
        }
        match &self.request {
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
