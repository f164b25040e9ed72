//! Container engines: which one is here, what it can do, and how its command line is spelled.
//!
//! The rest of the crate asks an [`Engine`] questions ([`caps`]) and hands it plans; it never
//! asks which engine it is.

pub mod argv;
pub mod caps;
pub mod detect;

use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The three command lines that we speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Docker Engine, Docker Desktop, OrbStack, Colima, Rancher Desktop.
    Docker,
    /// Podman, local or `podman machine`.
    Podman,
    /// nerdctl, version 2 or later.
    Nerdctl,
}

impl Kind {
    /// The program's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Nerdctl => "nerdctl",
        }
    }
}

/// The instruction sets that we have a guest for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// `amd64`.
    X86_64,
    /// `arm64`.
    Aarch64,
}

/// Which limits the engine really enforces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enforces {
    /// `--memory`.
    pub memory: bool,
    /// `--pids-limit`.
    pub pids: bool,
    /// `--cpus`.
    pub cpus: bool,
}

/// What was learned about an engine. Kept on disk as long as its fingerprint holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The version of what runs the containers.
    pub version: String,
    /// What it calls itself, when that is more than its kind: `Docker Desktop`, `OrbStack`, …
    pub product: Option<String>,
    /// It runs without root's rights.
    pub rootless: bool,
    /// Its containers run on another machine or in a VM: host paths and sockets mean nothing there.
    pub remote: bool,
    /// Which limits hold.
    pub enforces: Enforces,
    /// What it runs.
    pub architecture: Architecture,
    /// SELinux labels its containers.
    pub selinux: bool,
    /// Whether its containers share our kernel, once one has told us its boot id.
    pub same_kernel: Option<bool>,
    /// A local link was tried and did not reach into a box: a security module forbids it.
    #[serde(default)]
    pub local_refused: bool,
}

/// An engine that can be used.
#[derive(Debug, Clone)]
pub struct Engine {
    /// Which command line it has.
    pub kind: Kind,
    /// The program, as an absolute path.
    pub program: PathBuf,
    /// Options in front of every subcommand that pin the endpoint (`--host`, `--context`), so
    /// that a later switch can't send a hardened run to another daemon.
    pub endpoint: Vec<OsString>,
    /// The whole environment of its command line; nothing else is passed on.
    pub environment: Vec<(OsString, OsString)>,
    /// The OCI runtime to use, if the user chose one.
    pub runtime: Option<String>,
    /// How many processes the user may have (getrlimit(2)); none if there is no limit.
    pub process_limit: Option<u64>,
    /// What is known about it.
    pub facts: Facts,
}
