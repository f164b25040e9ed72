//! What is done about what is known. Malware is always refused, bad vulnerabilities at level strict. Pure.

use std::collections::BTreeSet;

use cvss::Severity;

use super::entry::is_malware;
use super::{Asked, Hit};
use crate::error::{Error, Result};
use crate::policy::level::Level;
use crate::registry::shown;

/// One thing that is known against a package, under all its names.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The package.
    pub asked: Asked,
    /// Its names, the first of which is the one that OSV has it by.
    pub ids: Vec<String>,
    /// How bad it is, as far as that is known.
    pub severity: Option<Severity>,
    /// One line about it.
    pub summary: String,
    /// It is malware.
    pub is_malware: bool,
}

/// The findings, each once: OSV has many a vulnerability under several names. The worst come first.
pub fn findings(hits: &[Hit]) -> Vec<Finding> {
    let mut all: Vec<Finding> = Vec::new();
    for hit in hits {
        let mut ids: Vec<String> = vec![shown(&hit.id)];
        ids.extend(hit.entry.iter().flat_map(|entry| entry.names()).filter(|name| *name != hit.id).map(shown));
        let new = Finding {
            asked: hit.asked.clone(),
            is_malware: ids.iter().any(|id| is_malware(id)),
            severity: hit.entry.as_ref().and_then(super::Entry::severity),
            summary: hit.entry.as_ref().map(|entry| shown(&entry.summary)).unwrap_or_default(),
            ids,
        };
        let same = |known: &&mut Finding| known.asked == new.asked && known.ids.iter().any(|id| new.ids.contains(id));
        match all.iter_mut().find(same) {
            Some(known) => known.take(new),
            None => all.push(new),
        }
    }
    all.sort_by(|a, b| (b.is_malware, b.severity, &a.asked, &a.ids).cmp(&(a.is_malware, a.severity, &b.asked, &b.ids)));
    all
}

impl Finding {
    /// What another entry says of the same.
    fn take(&mut self, other: Self) {
        self.severity = self.severity.max(other.severity);
        self.is_malware |= other.is_malware;
        self.ids.extend(other.ids);
        let mut known = BTreeSet::new();
        self.ids.retain(|id| known.insert(id.clone()));
        if self.summary.is_empty() {
            self.summary = other.summary;
        }
    }

    /// Whether the user takes it. Malware can't be.
    pub fn is_accepted(&self, accepted: &[String]) -> bool {
        !self.is_malware && self.ids.iter().any(|id| accepted.contains(id))
    }

    /// How bad it is, in a word.
    pub fn word(&self) -> &'static str {
        match (self.is_malware, self.severity) {
            (true, _) => "malware",
            (false, Some(severity)) => severity.as_str(),
            (false, None) => "unrated",
        }
    }

    fn package(&self) -> String {
        format!("{}@{}", self.asked.name, self.asked.version)
    }
}

/// Where people read about an entry.
pub fn page(id: &str) -> String {
    format!("https://osv.dev/vulnerability/{id}")
}

/// Whether the box called `name` is made, and what is to be said about it.
pub fn judge(findings: &[Finding], level: Level, accepted: &[String], name: &str) -> Result<Option<String>> {
    if let Some(malware) = findings.iter().find(|finding| finding.is_malware) {
        return Err(refuse_malware(malware));
    }
    let left: Vec<&Finding> = findings.iter().filter(|finding| !finding.is_accepted(accepted)).collect();
    let bad = |finding: &&&Finding| finding.severity >= Some(Severity::High);
    if level == Level::Strict && left.iter().any(|finding| bad(&finding)) {
        return Err(refuse_bad(&left.iter().filter(bad).copied().collect::<Vec<_>>(), accepted));
    }
    let Some(worst) = left.first() else { return Ok(None) };
    let packages: BTreeSet<&Asked> = left.iter().map(|finding| &finding.asked).collect();
    Ok(Some(format!(
        "known vulnerabilities: {} in {}, the worst is {} ({}); jitbox lock --known {}",
        left.len(),
        counted(packages.len(), "package"),
        worst.word(),
        worst.package(),
        shell_words::quote(name),
    )))
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

fn refuse_malware(malware: &Finding) -> Error {
    let id = malware.ids.iter().find(|id| is_malware(id)).unwrap_or(&malware.ids[0]);
    Error::refused(format!("{} is known malware", malware.package()))
        .because(id)
        .hint(format!("read {}, and don't run it elsewhere either", page(id)))
        .hint(
            "take another version or another package; if it ever ran outside of a box, change the keys of that machine",
        )
        .hint("if that is a mistake: [packages] osv = \"off\" in jitbox's config.toml asks nobody, about any package")
}

fn refuse_bad(bad: &[&Finding], accepted: &[String]) -> Error {
    let worst = bad[0];
    let more = if bad.len() > 1 { format!(", and {} more", bad.len() - 1) } else { String::new() };
    let ids = accepted.iter().cloned().chain(bad.iter().map(|finding| finding.ids[0].clone()));
    let quoted: Vec<String> = ids.map(|id| format!("\"{id}\"")).collect();
    Error::refused(format!("at level strict nothing with a {} vulnerability is run", worst.word()))
        .because(format!("{} has {}{more}", worst.package(), worst.ids[0]))
        .hint(format!("read {}", page(&worst.ids[0])))
        .hint(format!("accept it in jitbox's config.toml: [packages] accept = [{}]", quoted.join(", ")))
        .hint("or choose another level")
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
