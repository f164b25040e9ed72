//! jitbox runs npm and PyPI packages, MCP servers first, in hardened containers that are built
//! just in time, by driving docker, podman or nerdctl through their own command lines.
//!
//! The way through the code is one way: [`launch`] parses a line (pure) → [`registry`] and
//! [`state`] resolve it → [`policy`] decides (pure) → [`plan`] says every step as plain data →
//! [`supervise`] and [`image`] execute. Only [`context`] reads argv, environment and working
//! directory; only [`engine::argv`] spells engine flags; only [`exec`] spawns; only [`ui`] prints.

pub mod audit;
pub mod cli;
pub mod config;
pub mod context;
pub mod digest;
pub mod doctor;
pub mod ending;
pub mod engine;
pub mod error;
pub mod exec;
pub mod image;
pub mod launch;
pub mod package;
pub mod plan;
pub mod policy;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod power;
pub mod probe;
pub mod recipe;
pub mod registry;
pub mod session;
pub mod shim;
pub mod state;
pub mod supervise;
pub mod trust;
pub mod ui;
