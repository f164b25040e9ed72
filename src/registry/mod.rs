//! Registries: what versions there are, and what each needs.
//!
//! [`settings`] reads what the user configured, [`trust`] which certificates hold, [`http`]
//! fetches, [`npm`] and [`pypi`] decide on one version, [`sourced`] on one commit or archive of
//! what is in no registry. The working directory has no say.

pub mod auth;
pub mod cutoff;
pub mod git;
pub mod http;
pub mod known;
pub mod lookalike;
pub mod netrc;
pub mod npm;
pub mod npmrc;
mod npmrc_text;
pub mod oci;
pub mod osv;
pub mod pack;
pub mod public;
pub mod pypi;
pub mod python;
pub mod settings;
pub mod simple;
pub mod sourced;
#[cfg(test)]
pub(crate) mod testing;
pub mod trust;
mod unhonoured;
mod uv;

/// The longest text of a registry that is kept for people.
const MAX_TEXT: usize = 300;

/// A registry's words as they may be shown: one line without control characters, which a terminal
/// would obey, and not endless.
fn shown(text: &str) -> String {
    text.split(|c: char| c.is_control() || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(MAX_TEXT)
        .collect()
}
