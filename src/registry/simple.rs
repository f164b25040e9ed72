//! The pages of a Python index: which files there are, and what each needs. JSON (PEP 691), HTML
//! (PEP 503), and the older JSON of `/pypi/NAME/json`. No input or output here.

use std::collections::BTreeMap;
use std::str::FromStr;

use pep440_rs::Version;
use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, Result};

/// One file of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The version that its name says.
    pub version: Version,
    /// `requires-python`.
    pub requires_python: Option<String>,
    /// It was withdrawn.
    pub yanked: bool,
    /// The tags of a wheel; `None` for an sdist.
    pub wheel: Option<Wheel>,
    /// When it was published, if the index says so (PEP 700).
    pub published: Option<String>,
    /// Its address, perhaps relative to the page's.
    pub url: String,
    /// Its SHA-256, if the index says it.
    pub sha256: Option<String>,
}

/// What a wheel runs on (PEP 425).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wheel {
    python: Vec<String>,
    abi: Vec<String>,
    platform: Vec<String>,
}

impl Wheel {
    /// Whether it installs on CPython `minor` (such as `3.13`) on glibc Linux of `arch`.
    pub fn fits(&self, minor: &str, arch: &str) -> bool {
        let Some(wanted) = minor.strip_prefix("3.").and_then(|m| m.parse::<u32>().ok()) else {
            return false;
        };
        let platform = self
            .platform
            .iter()
            .any(|p| p == "any" || ((p.starts_with("manylinux") || p.starts_with("linux_")) && p.ends_with(arch)));
        platform && self.python.iter().any(|tag| self.tag_fits(tag, wanted))
    }

    /// Whether one of the wheel's Python tags covers CPython 3.`wanted`, with its ABI.
    fn tag_fits(&self, tag: &str, wanted: u32) -> bool {
        let abi = |name: &str| self.abi.iter().any(|a| a == name);
        let minor = |prefix: &str| tag.strip_prefix(prefix)?.parse::<u32>().ok();
        if tag == "py3" {
            return true;
        }
        if let Some(minor) = minor("py3") {
            return minor <= wanted;
        }
        // `cp313t` is the free-threaded ABI, which the images' Python does not have.
        minor("cp3").is_some_and(|minor| {
            (minor == wanted && abi(&format!("cp3{wanted}"))) || (minor <= wanted && (abi("abi3") || abi("none")))
        })
    }
}

#[derive(Deserialize)]
struct JsonPage {
    files: Vec<JsonFile>,
}

#[derive(Deserialize)]
struct JsonFile {
    filename: String,
    #[serde(default, rename = "requires-python")]
    requires_python: Option<String>,
    #[serde(default)]
    yanked: Value,
    #[serde(default, rename = "upload-time")]
    upload_time: Option<String>,
    #[serde(default)]
    url: String,
    #[serde(default)]
    hashes: Value,
}

#[derive(Deserialize)]
struct LegacyPage {
    releases: BTreeMap<String, Vec<LegacyFile>>,
}

#[derive(Deserialize)]
struct LegacyFile {
    filename: String,
    #[serde(default)]
    requires_python: Option<String>,
    #[serde(default)]
    yanked: bool,
    #[serde(default)]
    upload_time_iso_8601: Option<String>,
    #[serde(default)]
    url: String,
    #[serde(default)]
    digests: Value,
}

/// Reads a page in the form that its content type says.
pub fn parse(name: &str, content_type: &str, body: &[u8]) -> Result<Vec<File>> {
    if content_type.ends_with("json") { json(name, body) } else { Ok(html(name, &String::from_utf8_lossy(body))) }
}

fn json(name: &str, body: &[u8]) -> Result<Vec<File>> {
    let broken = |e| Error::failed(format!("the index's answer about {name} makes no sense")).because(e);
    let page: JsonPage = serde_json::from_slice(body).map_err(broken)?;
    let files = page.files.into_iter().filter_map(|file| {
        // PEP 592: `yanked` is false, true, or the reason.
        let yanked = !matches!(file.yanked, Value::Null | Value::Bool(false));
        let new = self::file(name, &file.filename, file.requires_python, yanked)?;
        Some(File { published: file.upload_time, url: file.url, sha256: sha256(&file.hashes), ..new })
    });
    Ok(files.collect())
}

fn sha256(hashes: &Value) -> Option<String> {
    hashes.get("sha256")?.as_str().map(str::to_owned)
}

/// Reads the answer of `/pypi/NAME/json`.
pub fn legacy(name: &str, body: &[u8]) -> Result<Vec<File>> {
    let broken = |e| Error::failed(format!("the index's answer about {name} makes no sense")).because(e);
    let page: LegacyPage = serde_json::from_slice(body).map_err(broken)?;
    let files = page.releases.into_values().flatten().filter_map(|f| {
        let new = file(name, &f.filename, f.requires_python, f.yanked)?;
        Some(File { published: f.upload_time_iso_8601, url: f.url, sha256: sha256(&f.digests), ..new })
    });
    Ok(files.collect())
}

/// The links of an HTML page. Index pages are flat lists of links, written by programs.
fn html(name: &str, page: &str) -> Vec<File> {
    let mut files = Vec::new();
    for link in page.split("<a").skip(1) {
        let Some((attributes, rest)) = split_tag(link) else {
            continue;
        };
        let text = rest.split('<').next().unwrap_or_default();
        let requires = attribute(attributes, "data-requires-python").filter(|r| !r.trim().is_empty());
        let yanked = attribute(attributes, "data-yanked").is_some();
        let published = attribute(attributes, "data-upload-time");
        let url = attribute(attributes, "href").unwrap_or_default();
        let sha256 = url.split_once("#sha256=").map(|(_, hash)| hash.to_owned());
        let new = file(name, unescape(text).trim(), requires, yanked);
        files.extend(new.map(|file| File { published, url, sha256, ..file }));
    }
    files
}

/// Splits behind the `>` that ends the tag, not one inside an attribute's value.
fn split_tag(link: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (at, c) in link.char_indices() {
        match (quote, c) {
            (None, '>') => return Some((&link[..at], &link[at + 1..])),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
    }
    None
}

fn attribute(attributes: &str, name: &str) -> Option<String> {
    let rest = attributes.split_once(name)?.1.trim_start();
    let Some(value) = rest.strip_prefix('=') else {
        return Some(String::new());
    };
    let value = value.trim_start();
    match value.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        Some(quote) => value[1..].split(quote).next().map(unescape),
        None => value.split_whitespace().next().map(unescape),
    }
}

fn unescape(text: &str) -> String {
    text.replace("&gt;", ">")
        .replace("&lt;", "<")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&#x27;", "'")
        .replace("&amp;", "&")
}

/// What a file's name says; `None` for what is neither a wheel nor an sdist of this project.
fn file(name: &str, filename: &str, requires_python: Option<String>, yanked: bool) -> Option<File> {
    let (version, wheel) = match filename.strip_suffix(".whl") {
        Some(stem) => wheel_name(stem)?,
        None => (sdist_version(name, filename)?, None),
    };
    let requires_python = requires_python.as_deref().map(super::shown);
    Some(File { version, requires_python, yanked, wheel, published: None, url: String::new(), sha256: None })
}

/// `name-version[-build]-python-abi-platform` (PEP 427).
pub(super) fn wheel_name(stem: &str) -> Option<(Version, Option<Wheel>)> {
    let parts: Vec<&str> = stem.split('-').collect();
    let &[python, abi, platform] = parts.last_chunk::<3>()?;
    let version = Version::from_str(parts.get(1)?).ok()?;
    let tags = |text: &str| text.split('.').map(str::to_owned).collect();
    let wheel = Wheel { python: tags(python), abi: tags(abi), platform: tags(platform) };
    (parts.len() >= 5).then_some((version, Some(wheel)))
}

/// `name-version.tar.gz` or `.zip`; older names may have dashes of their own.
fn sdist_version(name: &str, filename: &str) -> Option<Version> {
    let stem = [".tar.gz", ".zip", ".tar.bz2", ".tgz"].iter().find_map(|end| filename.strip_suffix(end))?;
    stem.match_indices('-')
        .filter(|(at, _)| normal(&stem[..*at]) == name)
        .find_map(|(at, _)| Version::from_str(&stem[at + 1..]).ok())
}

/// A project's name as indexes spell it (PEP 503).
fn normal(name: &str) -> String {
    name.split(['-', '_', '.']).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-").to_lowercase()
}

#[cfg(test)]
#[path = "simple_tests.rs"]
mod tests;
