//! OSV's entries: what one says, and whether it is about a version
//! (<https://ossf.github.io/osv-schema/>, "Evaluation"). Pure.

use std::cmp::Ordering;
use std::str::FromStr;

use cvss::{Cvss, Severity};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::package::Ecosystem;

/// What the names of malware begin with (<https://github.com/ossf/malicious-packages>).
const MALWARE: &str = "MAL-";

/// Whether an entry of this name is about malware.
pub fn is_malware(id: &str) -> bool {
    id.starts_with(MALWARE)
}

/// OSV's word for an ecosystem.
pub fn ecosystem(ecosystem: Ecosystem) -> &'static str {
    match ecosystem {
        Ecosystem::Npm => "npm",
        Ecosystem::Pypi => "PyPI",
    }
}

/// One entry, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Entry {
    /// Its name.
    pub id: String,
    /// Other names of the same thing.
    #[serde(default, deserialize_with = "or_nothing")]
    pub aliases: Vec<String>,
    /// One line about it.
    #[serde(default, deserialize_with = "or_nothing")]
    pub summary: String,
    /// When it turned out to be wrong.
    withdrawn: Option<String>,
    #[serde(default, deserialize_with = "or_nothing")]
    severity: Vec<Score>,
    #[serde(default, deserialize_with = "or_nothing")]
    affected: Vec<Affected>,
    #[serde(default)]
    database_specific: Value,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Score {
    #[serde(default, deserialize_with = "or_nothing")]
    score: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Affected {
    package: Option<Named>,
    #[serde(default, deserialize_with = "or_nothing")]
    versions: Vec<String>,
    #[serde(default, deserialize_with = "or_nothing")]
    ranges: Vec<Range>,
    #[serde(default, deserialize_with = "or_nothing")]
    severity: Vec<Score>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Named {
    ecosystem: String,
    name: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Range {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "or_nothing")]
    events: Vec<Event>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Event {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
}

/// Some databases write `null` for a list that is empty.
fn or_nothing<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// A version that can be compared.
#[derive(PartialEq, PartialOrd)]
enum Version {
    Npm(nodejs_semver::Version),
    Pypi(pep440_rs::Version),
}

impl Version {
    fn parse(ecosystem: Ecosystem, text: &str) -> Option<Self> {
        match ecosystem {
            Ecosystem::Npm => crate::package::npm::parse_version(text).map(Self::Npm),
            Ecosystem::Pypi => pep440_rs::Version::from_str(text).ok().map(Self::Pypi),
        }
    }
}

impl Entry {
    /// Whether it was taken back.
    pub fn is_withdrawn(&self) -> bool {
        self.withdrawn.is_some()
    }

    /// Its name and all its others.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.id).chain(&self.aliases).map(String::as_str)
    }

    /// How bad it is: in its database's own word, else the worst of its scores. `None` if it does not say.
    pub fn severity(&self) -> Option<Severity> {
        let word = self.database_specific.get("severity").and_then(Value::as_str).unwrap_or_default();
        let own = match word.to_ascii_uppercase().as_str() {
            "CRITICAL" => Some(Severity::Critical),
            "HIGH" => Some(Severity::High),
            "MODERATE" | "MEDIUM" => Some(Severity::Medium),
            "LOW" => Some(Severity::Low),
            _ => None,
        };
        let scores = self.severity.iter().chain(self.affected.iter().flat_map(|affected| &affected.severity));
        own.or_else(|| scores.filter_map(|score| Cvss::from_str(&score.score).ok()).map(|cvss| cvss.severity()).max())
    }

    /// Whether it is about this version of this package.
    pub fn affects(&self, of: Ecosystem, name: &str, version: &str) -> bool {
        let parsed = Version::parse(of, version);
        self.about(of, name).any(|affected| {
            let same = |listed: &String| listed == version || parsed.is_some() && Version::parse(of, listed) == parsed;
            let within = |version: &Version| affected.ranges.iter().any(|range| range.has(of, version));
            affected.versions.iter().any(same) || parsed.as_ref().is_some_and(within)
        })
    }

    /// The lowest version above this one in which it is mended.
    pub fn mended(&self, of: Ecosystem, name: &str, version: &str) -> Option<String> {
        let version = Version::parse(of, version)?;
        let events = self.about(of, name).flat_map(|affected| &affected.ranges).flat_map(|range| &range.events);
        let fixed = events.filter_map(|event| event.fixed.as_ref());
        let above = fixed.filter_map(|text| Some((Version::parse(of, text)?, text))).filter(|(v, _)| *v > version);
        above.min_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal)).map(|(_, text)| text.clone())
    }

    fn about(&self, of: Ecosystem, name: &str) -> impl Iterator<Item = &Affected> {
        self.affected.iter().filter(move |affected| {
            affected.package.as_ref().is_some_and(|p| p.ecosystem == ecosystem(of) && p.name == name)
        })
    }
}

impl Range {
    /// The events in the order of their versions, up to this one, say whether it is affected. `0` is before
    /// all versions. Commits are no versions.
    fn has(&self, of: Ecosystem, version: &Version) -> bool {
        if self.kind == "GIT" {
            return false;
        }
        let mut passed: Vec<(Option<Version>, bool)> = Vec::new();
        for event in &self.events {
            let (text, starts) = match event {
                Event { introduced: Some(text), .. } if text == "0" => {
                    passed.push((None, true));
                    continue;
                }
                Event { introduced: Some(text), .. } => (text, true),
                Event { fixed: Some(text), .. } | Event { last_affected: Some(text), .. } => (text, false),
                _ => continue,
            };
            let Some(at) = Version::parse(of, text) else { continue };
            // What ends with a version ends behind it.
            let reached = if starts || event.fixed.is_some() { at <= *version } else { at < *version };
            if reached {
                passed.push((Some(at), starts));
            }
        }
        passed.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal));
        passed.last().is_some_and(|(_, starts)| *starts)
    }
}

#[cfg(test)]
#[path = "entry_tests.rs"]
mod tests;
