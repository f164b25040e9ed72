//! The scripts that run in containers, as they stand in `templates/`: nothing is substituted in them.

use crate::engine::Architecture;
use crate::package::Ecosystem;

/// What builds a Python project, in a container of the base image.
pub const WHEEL: &str = include_str!("../../templates/pypi-wheel.sh");

/// What runs install scripts, in a container of the box's image.
pub const SCRIPTS: &str = include_str!("../../templates/npm-scripts.sh");

/// What adds to a box what its packages' install scripts made: an archive on standard input.
pub const ADD: &str = "tar -x -C /app --no-same-owner -f -";

/// What gives labels to an image where `commit` can't.
pub const LABEL: &str = include_str!("../../templates/label.Dockerfile");

/// What resolves a tree and installs it, in a container of the base image.
pub fn install(ecosystem: Ecosystem) -> &'static str {
    match ecosystem {
        Ecosystem::Npm => {
            concat!(include_str!("../../templates/prepare.sh"), include_str!("../../templates/npm.sh"))
        }
        Ecosystem::Pypi => {
            concat!(include_str!("../../templates/prepare.sh"), include_str!("../../templates/pypi.sh"))
        }
    }
}

/// The guest for an architecture.
pub fn guest(architecture: Architecture) -> &'static [u8] {
    match architecture {
        Architecture::X86_64 => include_bytes!(concat!(env!("OUT_DIR"), "/jitbox-guest-x86_64")),
        Architecture::Aarch64 => include_bytes!(concat!(env!("OUT_DIR"), "/jitbox-guest-aarch64")),
    }
}

/// Tells one guest from another without hashing half a megabyte at every start.
pub fn guest_id(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::X86_64 => env!("JITBOX_GUEST_X86_64"),
        Architecture::Aarch64 => env!("JITBOX_GUEST_AARCH64"),
    }
}
