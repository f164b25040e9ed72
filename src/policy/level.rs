//! Levels: how much a package gets that nobody granted by name. The hardening is the same at all
//! of them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::launch::Tighten;

/// How much is given without a grant. A later one is stricter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Paths among the arguments can be changed, and the working directory can be read.
    Relaxed,
    /// Paths among the arguments can be read.
    #[default]
    Standard,
    /// Nothing but what is granted.
    Strict,
}

impl Level {
    /// The one for a run: the user's, or the line's own if that is stricter.
    pub fn of(config: &Config, tighten: &Tighten) -> Self {
        config.level.max(tighten.level.unwrap_or(Self::Relaxed))
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relaxed => "relaxed",
            Self::Standard => "standard",
            Self::Strict => "strict",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
