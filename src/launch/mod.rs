//! Launch lines: the argv that `npx`, `uvx` or one of their relatives would get, and its parsed form.
//!
//! Parsing is pure. The scanners are strict and table-driven, because a wrong guess about
//! which word names the package would be a policy bypass.

mod index;
mod line;
mod node;
mod node_tools;
pub mod npx;
pub mod option;
pub mod project;
pub(crate) mod python;
mod python_tools;
pub mod requirements;
mod scan;
mod shell;
pub mod tighten;
pub mod tool;
pub mod uvx;
pub mod wrapper;

use std::ffi::{OsStr, OsString};

use crate::error::{Error, Result};
use crate::package::{Ecosystem, PackageSpec, shown};
use crate::policy::level::Level;
use option::Table;
use project::{Local, Project};

/// Which tool's grammar the line follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Launcher {
    /// `npx` (npm 11 and 12).
    Npx,
    /// `uvx` (uv up to 0.13).
    Uvx,
    /// `npm exec`, `npm x` (npm 11).
    NpmExec,
    /// `pnpm dlx`, `pnpx` (pnpm 10 to 12).
    PnpmDlx,
    /// `yarn dlx` (Yarn 4).
    YarnDlx,
    /// `bunx`, `bun x` (Bun 1.4).
    Bunx,
    /// `uv tool run`: the same as `uvx`.
    UvToolRun,
    /// `uv run --with` (uv up to 0.13).
    UvRun,
    /// `pipx run` (pipx 1.18).
    PipxRun,
}

impl Launcher {
    /// The tool's own name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Npx => "npx",
            Self::Uvx => "uvx",
            Self::NpmExec => "npm exec",
            Self::PnpmDlx => "pnpm dlx",
            Self::YarnDlx => "yarn dlx",
            Self::Bunx => "bunx",
            Self::UvToolRun => "uv tool run",
            Self::UvRun => "uv run",
            Self::PipxRun => "pipx run",
        }
    }

    /// Where its packages come from.
    pub fn ecosystem(self) -> Ecosystem {
        match self {
            Self::Npx | Self::NpmExec | Self::PnpmDlx | Self::YarnDlx | Self::Bunx => Ecosystem::Npm,
            Self::Uvx | Self::UvToolRun | Self::UvRun | Self::PipxRun => Ecosystem::Pypi,
        }
    }

    /// The name of our shim for its packages.
    pub fn shim(self) -> &'static str {
        match self.ecosystem() {
            Ecosystem::Npm => "npx-safe",
            Ecosystem::Pypi => "uvx-safe",
        }
    }

    /// What stands in front of a line of it: the shim if it has one of its own.
    pub fn program(self) -> String {
        match self {
            Self::Npx | Self::Uvx => self.shim().to_owned(),
            _ => format!("jitbox {}", self.name()),
        }
    }
}

/// What the line asks for besides a package: nothing is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Run a package.
    Run(Launch),
    /// Run code of a folder of this machine.
    Local(Project),
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
    /// What to install; the one that provides the command comes first. Empty only for
    /// `uvx python`, which runs the interpreter with just the `--with` packages (none, here).
    pub packages: Vec<PackageSpec>,
    /// Files of requirements, as typed: their packages have to be added before anything is looked up.
    pub files: Vec<String>,
    /// The command that the line names, or `None` for the first package's own: by npm's rule
    /// for `bin`, or in uvx's case the executable spelled as [`crate::package::pypi::PypiSpec::typed`].
    pub command: Option<String>,
    /// `-c`: a line for `sh -c`, in place of a command and its arguments. Never empty.
    pub call: Option<String>,
    /// The program's arguments, untouched.
    pub args: Vec<OsString>,
    /// `--python`, or the `3.12` of `uvx python@3.12`: a version such as `3.12`, or PEP 440
    /// specifiers such as `>=3.11`. Never a path, always CPython.
    pub python: Option<String>,
    /// `--registry` or `--default-index`: an index to use in place of the user's. An http or
    /// https URL without credentials.
    pub registry: Option<String>,
    /// `--prerelease=allow`: pre-releases count as other versions do, for the dependencies too.
    pub prerelease: bool,
    /// `--node-options`: what the program gets as `NODE_OPTIONS`; nothing in it loads a file or
    /// opens a port.
    pub node_options: Option<String>,
    /// The line's own `--safe-*` options, which may only tighten.
    pub tighten: Tighten,
    /// Variables that the line itself sets (`env NAME=VALUE npx …`). They are treated as if the
    /// client had set them.
    pub environment: Vec<(String, String)>,
    /// What it has of this machine; no parser gives a launch any.
    pub local: Option<Local>,
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
    /// `--safe-level=LEVEL`: it counts where it is stricter than the user's own.
    pub level: Option<Level>,
}

/// Parses the arguments that `launcher` would get.
pub fn parse(launcher: Launcher, args: &[OsString]) -> Result<Request> {
    match launcher {
        Launcher::Npx => npx::parse(args),
        Launcher::Uvx => uvx::parse(args),
        other => tool::parse(other, scan::Said::default(), args),
    }
}

/// Parses a whole line as a client's configuration has it: the launcher with its path, perhaps
/// inside of wrappers such as `env` or `cmd /c`, and its arguments.
pub fn parse_line(line: &[OsString]) -> Result<(Launcher, Request)> {
    wrapper::read(line)
}

/// The words of a line before the program's arguments are text; paths and the like that are
/// not UTF-8 may only stand after the package.
fn text(word: &OsStr) -> Result<&str> {
    word.to_str().ok_or_else(|| {
        Error::usage(format!("`{}` is not UTF-8", shown(&word.to_string_lossy())))
            .hint("only the program's own arguments, after the package, may be anything")
    })
}

/// Whether a tool would take the word for an option.
fn dashed(word: &OsStr) -> bool {
    word.as_encoded_bytes().starts_with(b"-")
}

/// The error for an option that stands in no table.
fn unknown_option(launcher: Launcher, name: &str, table: Table) -> Error {
    let error = Error::usage(format!("{} has no option `{}`", launcher.name(), shown(name)));
    let error = match table.nearest(name) {
        Some(known) => error.hint(format!("did you mean `{known}`?")),
        None => error,
    };
    error.hint(format!("options of the program itself come after the package: `{} pkg --option`", launcher.shim()))
}

/// The error for a value option without one, or with one that the tool would read differently.
fn no_value(name: &str) -> Error {
    Error::usage(format!("`{name}` needs a value that does not start with `-`")).hint(format!("write `{name}=VALUE`"))
}

/// Checks the name of a command that `--package` or `--from` goes with.
pub(crate) fn command_name(launcher: Launcher, word: &OsStr) -> Result<String> {
    let name = text(word)?;
    let why = if name.is_empty() {
        "it is empty"
    } else if name.starts_with('-') {
        "it starts with `-`"
    } else if name.contains(['/', '\\']) {
        "it is a path, and a command of the package is looked up by its name"
    } else if name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        "it has spaces in it; each argument is a string of its own"
    } else {
        return Ok(name.to_owned());
    };
    let option = match launcher.ecosystem() {
        Ecosystem::Npm => "-p",
        Ecosystem::Pypi => "--from",
    };
    Err(Error::usage(format!("`{}` can't be the command", shown(name)))
        .because(why)
        .hint(format!("write `{} {option} pkg command arg…`", launcher.shim())))
}
