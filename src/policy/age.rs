//! How old a release has to be before it is taken. Packages that were taken over to spread something were found out
//! within hours, so what is some days old has nearly always been looked at by somebody.
//!
//! Pure: the clock is an argument. The age becomes a moment once, when a box is made, and counts for its whole tree.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::level::Level;
use super::reason::Reason;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::package::npm::NpmName;
use crate::package::pypi::PypiName;
use crate::package::{Ecosystem, PackageSpec, PinnedPackage};
use crate::registry::cutoff::{self, Bound, Dated};

pub(super) const DAY: u64 = 86_400;

/// What is published together with a package comes within this time, in seconds.
const TOGETHER: u64 = 3600;

/// An age in config.toml, as uv writes it: `7 days`, `24 hours`; none is `0 days`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Least(Duration);

impl TryFrom<String> for Least {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let seconds = cutoff::age(&text);
        let wrong = || format!("`{text}` is not an age: like \"3 days\" or \"12 hours\"; \"0 days\" is none");
        seconds.map(|seconds| Self(Duration::from_secs(seconds))).ok_or_else(wrong)
    }
}

/// Packages in config.toml: one, `npm:NAME` or `pypi:NAME`, or all of a scope of npm's, `npm:@scope/*`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Packages {
    ecosystem: Ecosystem,
    name: String,
    /// The name is a scope's, with its slash.
    all: bool,
}

impl TryFrom<String> for Packages {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // A star is allowed in old names of npm's; here it is for all of a scope.
        let npm = text.strip_prefix("npm:").map(|name| match name.strip_suffix("/*") {
            Some(scope) if !scope.contains('*') => {
                NpmName::parse(&format!("{scope}/x")).map(|_| (Ecosystem::Npm, format!("{scope}/"), true))
            }
            None if !name.contains('*') => {
                NpmName::parse(name).map(|name| (Ecosystem::Npm, name.as_str().to_owned(), false))
            }
            _ => Err(Error::usage("a star in a name")),
        });
        let pypi = || {
            let name = PypiName::parse(text.strip_prefix("pypi:")?);
            Some(name.map(|name| (Ecosystem::Pypi, name.as_str().to_owned(), false)))
        };
        match npm.or_else(pypi) {
            Some(Ok((ecosystem, name, all))) => Ok(Self { ecosystem, name, all }),
            _ => Err(format!("`{text}` is not a package: like \"npm:NAME\", \"npm:@scope/*\" or \"pypi:NAME\"")),
        }
    }
}

impl Packages {
    /// Whether it is one of them, if it comes from where the user's settings say.
    pub fn has(&self, spec: &PackageSpec) -> bool {
        let name = spec.name();
        let same = if self.all { name.starts_with(&self.name) } else { name == self.name };
        same && spec.ecosystem() == self.ecosystem && spec.source().is_none()
    }
}

/// The least age, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Age {
    seconds: u64,
    why: Reason,
    /// What can't be compared with it is refused.
    strict: bool,
}

impl Age {
    /// The one that counts at `level`.
    pub fn of(config: &Config, level: Level) -> Self {
        let days = match level {
            Level::Relaxed => 1,
            Level::Standard => 3,
            Level::Strict => 7,
        };
        let (seconds, why) = match config.packages.age {
            Some(Least(age)) => (age.as_secs(), Reason::Config),
            None => (days * DAY, Reason::Level(level)),
        };
        Self { seconds, why, strict: level == Level::Strict }
    }

    /// The moment from which on releases are too young; none where every age will do.
    fn moment(&self, now: u64) -> Option<String> {
        if self.seconds == 0 { None } else { cutoff::at(now.saturating_sub(self.seconds)) }
    }
}

/// As in `releases have to be 3 days old: the default at level standard`.
impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "releases have to be {} old: {}", spoken(self.seconds), self.why)
    }
}

/// Nothing that was published from a moment on goes into a box.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cutoff {
    /// The moment, as in a registry's answers.
    pub moment: String,
    /// Why this one, for people.
    pub why: String,
}

impl Cutoff {
    /// The older one of what the age comes to and what the user's own settings say.
    pub fn of(tree: Option<Self>, settings: Option<&str>, ecosystem: Ecosystem) -> Option<Self> {
        let why = match ecosystem {
            Ecosystem::Npm => "npm's own setting",
            Ecosystem::Pypi => "uv's setting `exclude-newer`",
        };
        match (tree, settings) {
            (Some(tree), Some(moment)) if tree.moment.as_str() <= moment => Some(tree),
            (tree, None) => tree,
            (_, Some(moment)) => Some(Self { moment: moment.to_owned(), why: why.to_owned() }),
        }
    }
}

/// How a person is told about a release.
pub struct Told<'a> {
    /// The command that allows releases of any age.
    pub allow: &'a str,
    /// The box's name.
    pub name: &'a str,
}

/// The releases of one box, judged one after the other.
pub struct Ages {
    age: Age,
    now: u64,
    moment: Option<String>,
    tree: Option<Cutoff>,
    is_open: bool,
}

impl Ages {
    /// The age becomes a moment.
    pub fn new(age: Age, now: SystemTime) -> Self {
        let now = cutoff::since_1970(now);
        let moment = age.moment(now);
        let tree = moment.clone().map(|moment| Cutoff { moment, why: age.to_string() });
        Self { age, now, moment, tree, is_open: false }
    }

    /// In seconds since 1970.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// What a registry is asked for; `any`: releases of every age will do.
    pub fn bound(&self, any: bool) -> Option<Bound<'_>> {
        self.moment.as_deref().map(|moment| Bound { moment, any })
    }

    /// Refuses a release that is too young, unless every age will do, which has a reason. Else what a person should
    /// know.
    pub fn judge(
        &mut self,
        release: &PinnedPackage,
        dated: &Dated,
        any: Option<&Reason>,
        told: &Told<'_>,
    ) -> Result<Option<String>> {
        match (dated, any) {
            (Dated::Unasked | Dated::Old { passed_over: None }, _) => Ok(None),
            (Dated::Old { passed_over: Some((version, published)) }, _) => {
                Ok(Some(self.passed_over(release, version, *published, told)))
            }
            (Dated::Young { published }, Some(why)) => {
                published.iter().for_each(|published| self.extend(release, *published, why));
                Ok(None)
            }
            (Dated::Young { published }, None) => Err(self.too_young(release, *published, told)),
            (Dated::Unknown, None) if self.age.strict => {
                Err(Error::refused(format!("it can't be known how old {release} is"))
                    .because("its registry does not say when anything was published")
                    .because(&self.age)
                    .hint(told.allow))
            }
            (Dated::Unknown, any) => {
                // uv takes a file of which it is not known for one that is too new; npm takes it.
                self.is_open |= release.ecosystem() == Ecosystem::Pypi;
                let note = || {
                    format!(
                        "its registry does not say when {release} was published: it may be younger than {}",
                        self.least()
                    )
                };
                Ok(any.is_none().then(note))
            }
        }
    }

    /// What is in no registry has no moment: if every age will do for it, nothing is known of its tree.
    pub fn open(&mut self) {
        self.is_open = true;
    }

    /// From when on nothing is taken into the box.
    pub fn tree(self) -> Option<Cutoff> {
        self.tree.filter(|_| !self.is_open)
    }

    fn least(&self) -> String {
        spoken(self.age.seconds)
    }

    /// What a young release needs was often published together with it, and nothing that came later.
    fn extend(&mut self, release: &PinnedPackage, published: u64, why: &Reason) {
        let Some(tree) = &mut self.tree else { return };
        let together = cutoff::at(published.saturating_add(TOGETHER)).filter(|moment| *moment > tree.moment);
        if let Some(moment) = together {
            *tree = Cutoff { moment, why: format!("an hour after {release} was published: {why}") };
        }
    }

    fn too_young(&self, release: &PinnedPackage, published: Option<u64>, told: &Told<'_>) -> Error {
        let how = match published {
            Some(published) => format!("it was published {} ago", spoken(self.now.saturating_sub(published))),
            None => "its registry does not say when it was published, and does so of others".to_owned(),
        };
        let error = Error::refused(format!("{release} is too young")).because(how).because(&self.age).hint(told.allow);
        match self.from(published) {
            Some(moment) => error.hint(format!("or wait: it is old enough from {moment} on")),
            None => error,
        }
    }

    fn passed_over(&self, taken: &PinnedPackage, version: &str, published: Option<u64>, told: &Told<'_>) -> String {
        let until = self.from(published).map(|moment| format!("; it will be old enough on {moment}"));
        let old = published.map(|published| format!(", {} old,", spoken(self.now.saturating_sub(published))));
        format!(
            "{taken} is taken: {version}{} is too young{} (to have it now: jitbox rm {}; {})",
            old.unwrap_or_default(),
            until.unwrap_or_default(),
            shell_words::quote(told.name),
            told.allow,
        )
    }

    /// When what was published then is old enough, as `2026-01-31 12:00 UTC`.
    fn from(&self, published: Option<u64>) -> Option<String> {
        // What is left of a minute is not lost.
        let moment = cutoff::at(published?.saturating_add(self.age.seconds + 60))?;
        Some(format!("{} {} UTC", moment.get(..10)?, moment.get(11..16)?))
    }
}

/// A span of time for people.
pub(super) fn spoken(seconds: u64) -> String {
    let (number, unit) = match seconds {
        0..3600 => (seconds / 60, "minute"),
        3600..172_800 if seconds != DAY => (seconds / 3600, "hour"),
        _ => (seconds / DAY, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
#[path = "age_tests.rs"]
mod tests;
