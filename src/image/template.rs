//! The build's files, as they stand in `templates/`: nothing is substituted in them.

use crate::engine::{Architecture, Builder};
use crate::package::Ecosystem;

/// Everything that a build of one ecosystem needs besides its lock.
pub struct Template {
    /// The Dockerfile.
    pub dockerfile: &'static str,
    /// The one step of the build.
    pub install: &'static str,
    /// What that step sources first.
    pub prepare: &'static str,
    /// What resolves the tree, in a container of the base image.
    pub lock: &'static str,
}

/// What builds a Python project, in a container of the base image.
pub const WHEEL: &str = include_str!("../../templates/pypi-wheel.sh");

/// What runs install scripts, in a container of the box's image.
pub const SCRIPTS: &str = include_str!("../../templates/npm-scripts.sh");

/// What adds to a box what its packages' install scripts made.
pub const SCRIPTED: &str = include_str!("../../templates/scripts.Dockerfile");

/// The template for an ecosystem and a builder.
pub fn template(ecosystem: Ecosystem, builder: Builder) -> Template {
    let classic = include_str!("../../templates/classic.Dockerfile");
    let (dockerfile, install, lock) = match ecosystem {
        Ecosystem::Npm => (
            include_str!("../../templates/npm.Dockerfile"),
            include_str!("../../templates/npm-install.sh"),
            include_str!("../../templates/npm-lock.sh"),
        ),
        Ecosystem::Pypi => (
            include_str!("../../templates/pypi.Dockerfile"),
            include_str!("../../templates/pypi-install.sh"),
            include_str!("../../templates/pypi-lock.sh"),
        ),
    };
    Template {
        dockerfile: if builder == Builder::Classic { classic } else { dockerfile },
        install,
        prepare: include_str!("../../templates/prepare.sh"),
        lock,
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
