//! Lines that run code of a local project: `uv --directory DIR run COMMAND`. They are understood, but nothing makes a
//! box of one: that takes a grant of the folder.

use std::ffi::OsString;

use super::Launcher;
use crate::package::pypi::PypiSpec;

/// What such a line asks for. It has no [`super::Launch`], so there is no way to run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Whose grammar it was written in.
    pub launcher: Launcher,
    /// Its folder as it was typed, or `None` for that of the working directory: `--project`, as seen from
    /// `--directory`.
    pub folder: Option<String>,
    /// Where it is started: `--directory`.
    pub directory: Option<String>,
    /// Other options about the project, each with its value.
    pub options: Vec<(String, Option<String>)>,
    /// Packages besides those of the project.
    pub with: Vec<PypiSpec>,
    /// Files that name more of those.
    pub files: Vec<String>,
    /// What is run.
    pub runs: Runs,
    /// The program's arguments, untouched.
    pub args: Vec<OsString>,
}

/// What of a project is run (uv, `RunCommand::from_args`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runs {
    /// A command of its environment, or a program at a path.
    Command(String),
    /// A file of Python.
    Script(String),
    /// A module of Python.
    Module(String),
}
