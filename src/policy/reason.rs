//! Why a program has what it has.

use std::fmt;

use serde::{Serialize, Serializer};

use super::grant::Grant;
use super::level::Level;

/// The reason for one thing that a program has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Every box has it.
    Always,
    /// The level gives it.
    Level(Level),
    /// The user granted it.
    Grant {
        /// The day.
        since: String,
        /// In the user's words.
        reason: Option<String>,
    },
    /// config.toml says so.
    Config,
    /// The line itself says so.
    Line,
    /// The package's recipe says so.
    Recipe,
    /// The client's entry for the program, or its small environment.
    Client,
    /// The user was asked, and said yes.
    Answer,
    /// Inside of a writable place: what stands in it is run, or believed, outside of boxes.
    Guarded,
}

impl From<&Grant> for Reason {
    fn from(grant: &Grant) -> Self {
        Self::Grant { since: grant.since.clone(), reason: grant.reason.clone() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => f.write_str("every box has it"),
            Self::Level(level) => write!(f, "the default at level {level}"),
            Self::Grant { since, reason: None } => write!(f, "your grant of {since}"),
            Self::Grant { since, reason: Some(reason) } => write!(f, "your grant of {since}: {reason}"),
            Self::Config => f.write_str("config.toml"),
            Self::Recipe => f.write_str("the package's recipe"),
            Self::Line => f.write_str("the line itself"),
            Self::Client => f.write_str("the client's entry for it"),
            Self::Answer => f.write_str("your answer"),
            Self::Guarded => f.write_str("guarded: it is run or believed outside of boxes"),
        }
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
