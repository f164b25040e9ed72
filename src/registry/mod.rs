//! Registries: what versions there are, and what each needs.
//!
//! [`settings`] reads what the user configured, [`trust`] which certificates hold, [`http`]
//! fetches, [`npm`] and [`pypi`] decide on one version. The working directory has no say.

pub mod auth;
pub mod http;
pub mod known;
pub mod netrc;
pub mod npm;
pub mod npmrc;
pub mod pypi;
pub mod python;
pub mod settings;
pub mod simple;
#[cfg(test)]
mod testing;
pub mod trust;
