//! Launch lines: the argv that `npx` or `uvx` would get, and its parsed form.
//!
//! Parsing is pure. The scanners are strict and table-driven, because a wrong guess about
//! which word names the package would be a policy bypass.

pub mod npx;
pub mod option;
pub mod uvx;

use std::ffi::OsString;

use crate::error::Result;
use crate::package::PackageSpec;

/// Which tool's grammar the line follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Launcher {
    /// `npx` (npm 11 and 12).
    Npx,
    /// `uvx` (uv up to 0.13).
    Uvx,
}

impl Launcher {
    /// The tool's own name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Npx => "npx",
            Self::Uvx => "uvx",
        }
    }

    /// The name of our shim for it.
    pub fn shim(self) -> &'static str {
        match self {
            Self::Npx => "npx-safe",
            Self::Uvx => "uvx-safe",
        }
    }
}

/// What the line asks for besides a package: nothing is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Run a package.
    Run(Launch),
    /// `--help`.
    Help,
    /// `--version`.
    Version,
}

/// A parsed launch line that runs a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// Whose grammar it was written in.
    pub launcher: Launcher,
    /// What to install; the one that provides the command comes first. Never empty.
    pub packages: Vec<PackageSpec>,
    /// The command that the line names, or `None` for the package's own.
    pub command: Option<String>,
    /// The program's arguments, untouched.
    pub args: Vec<OsString>,
    /// `--python`: a version request such as `3.12`.
    pub python: Option<String>,
    /// `--registry` or `--default-index`: an index to use in place of the user's.
    pub registry: Option<String>,
    /// The line's own `--safe-*` options, which may only tighten.
    pub tighten: Tighten,
}

/// Our own options on a launch line. They can take rights away, never give any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tighten {
    /// `--safe-plan`: print the plan, run nothing.
    pub plan: bool,
    /// `--safe-ro`: no mount is writable.
    pub read_only: bool,
    /// `--safe-net=none`: no network at all.
    pub no_network: bool,
    /// `--safe-env=NAME` (repeatable): pass no variable but these.
    pub env: Option<Vec<String>>,
    /// `--safe-level=strict`.
    pub strict: bool,
}

/// Parses the arguments that `launcher` would get.
pub fn parse(launcher: Launcher, args: &[OsString]) -> Result<Request> {
    match launcher {
        Launcher::Npx => npx::parse(args),
        Launcher::Uvx => uvx::parse(args),
    }
}
