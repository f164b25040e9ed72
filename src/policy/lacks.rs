//! What a server does not have and could be given. Its tools fail for it in their own words, in which nobody finds a box.

use std::fmt;
use std::path::{Path, PathBuf};

use super::Policy;
use super::named::{Named, listed};
use super::reason::Reason;
use crate::launch::Tighten;
use crate::plan::Network;
use crate::ui;

/// One thing that a server does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// A network.
    Network,
    /// Any path of the user's.
    Files {
        /// It could be given some to change, and not just to read.
        to_change: bool,
    },
    /// To change a path that it can read.
    Change {
        /// The path as it is granted.
        source: PathBuf,
        /// The path as the line names it.
        target: PathBuf,
    },
}

/// By this it is known what was said.
impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network => f.write_str("network"),
            Self::Files { .. } => f.write_str("files"),
            Self::Change { source, .. } => write!(f, "change {}", source.display()),
        }
    }
}

/// What it lacks only because nobody said anything about it: what the line takes away no grant gives, and who grants a path
/// to be read has thought of it.
pub fn of(policy: &Policy, tighten: &Tighten) -> Vec<Lack> {
    let mut lacks = Vec::new();
    if policy.network == Network::None && matches!(policy.network_why, Reason::Level(_)) {
        lacks.push(Lack::Network);
    }
    // Of a path that stays outside it is said at every start, with the reason.
    let is_said = |path: &Path| policy.not_mounted.iter().any(|(said, _)| said == path);
    if policy.mounts.is_empty() {
        lacks.extend(policy.not_mounted.is_empty().then_some(Lack::Files { to_change: !tighten.read_only }));
    } else if !tighten.read_only && policy.mounts.iter().all(|mounted| !mounted.mount.writable) {
        let by_level = policy.mounts.iter().filter(|mounted| matches!(mounted.why, Reason::Level(_)));
        let unsaid = by_level.map(|mounted| &mounted.mount).filter(|mount| !is_said(&mount.target));
        lacks.extend(unsaid.map(|mount| Lack::Change { source: mount.source.clone(), target: mount.target.clone() }));
    }
    lacks
}

/// All of it in one line, with the command that gives it.
pub fn line(lacks: &[Lack], named: &Named) -> String {
    let (mut nothing, mut paths, mut options) = (Vec::new(), Vec::new(), Vec::new());
    for lack in lacks {
        match lack {
            Lack::Network => nothing.push("no network".to_owned()),
            Lack::Files { to_change } => {
                nothing.push("no files of yours".to_owned());
                options.push(("--read", Path::new("DIR")));
                options.extend(to_change.then_some(("--write", Path::new("DIR"))));
            }
            Lack::Change { source, target } => {
                paths.push(ui::plainly(target));
                options.push(("--write", &**source));
            }
        }
    }
    // What takes the most comes last.
    options.extend(lacks.contains(&Lack::Network).then_some(("--net", Path::new("open"))));
    let reaches = (!nothing.is_empty()).then(|| format!("reaches {}", listed(&nothing, "and")));
    let them = if paths.len() == 1 { "it" } else { "them" };
    let reads = (!paths.is_empty()).then(|| format!("can read {} and not change {them}", listed(&paths, "and")));
    let what: Vec<String> = reaches.into_iter().chain(reads).collect();
    let purpose = if options.contains(&("--read", Path::new("DIR"))) { "give some" } else { "let it" };
    let command = named.one_of(&options).map(|command| format!(" (to {purpose}: {command})"));
    format!("it {}{}", what.join(", and "), command.unwrap_or_default())
}

#[cfg(test)]
#[path = "lacks_tests.rs"]
mod tests;
