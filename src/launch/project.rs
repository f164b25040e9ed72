//! Lines that run code of a local project: `uv --directory DIR run COMMAND`. What such a line names is on this machine, so
//! it becomes a [`super::Launch`] only once the folder was looked at, and granted (`session::project`).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Launcher, Tighten};
use crate::error::{Error, Result};
use crate::package::editable::Editable;
use crate::package::pypi::PypiSpec;
use crate::package::pyproject::{Wanted, normal};

/// What such a line asks for. It has no [`super::Launch`], so there is no way to run it as it is.
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
    /// As [`super::Launch::python`].
    pub python: Option<String>,
    /// As [`super::Launch::registry`].
    pub registry: Option<String>,
    /// As [`super::Launch::prerelease`].
    pub prerelease: bool,
    /// As [`super::Launch::tighten`].
    pub tighten: Tighten,
    /// As [`super::Launch::environment`].
    pub environment: Vec<(String, String)>,
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

/// What a launch has of this machine: code of a folder that was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Local {
    /// The folder without links. It names whom grants are for, so it is text.
    pub root: String,
    /// The line in our own spelling.
    pub line: String,
    /// The program is code of the folder, with the folder's packages only. A dependency's command, or an interpreter,
    /// runs what the line's arguments say.
    pub own: bool,
    /// What makes the project's own packages and commands known in the box, if uv would install it.
    pub editable: Option<Editable>,
    /// Exact versions of the packages that `uv.lock` names, as constraints: one in each line.
    pub constraints: String,
}

impl Local {
    /// The folder.
    pub fn folder(&self) -> &Path {
        Path::new(&self.root)
    }
}

/// What the options of a line say about its project.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `--no-project`: as if there were no project.
    pub no_project: bool,
    /// Which dependencies are wanted.
    pub wanted: Wanted,
    /// The option that can't do without a lock: `--frozen` or `--locked`.
    pub needs_lock: Option<String>,
}

impl Project {
    /// Reads the options; some are about several projects at once, and refused.
    pub fn options(&self) -> Result<Options> {
        let mut options = Options::default();
        let wanted = &mut options.wanted;
        let mut dev = None;
        for (name, value) in &self.options {
            let value = value.as_deref().unwrap_or_default();
            match name.as_str() {
                "--no-project" => options.no_project = true,
                "--extra" => wanted.extras.push(normal(value)?),
                "--no-extra" => wanted.no_extras.push(normal(value)?),
                "--all-extras" => wanted.all_extras = true,
                "--group" => wanted.groups.push(normal(value)?),
                // The last of these two counts.
                "--dev" => dev = Some(true),
                "--no-dev" => dev = Some(false),
                "--no-group" => wanted.no_groups.push(normal(value)?),
                "--only-group" => wanted.only_groups.push(normal(value)?),
                "--only-dev" => wanted.only_groups.push("dev".to_owned()),
                "--all-groups" => wanted.all_groups = true,
                "--no-default-groups" => wanted.no_default_groups = true,
                "--frozen" | "--locked" => options.needs_lock = Some(name.clone()),
                "--package" | "--all-packages" => {
                    return Err(Error::refused(format!("`{name}` is about a workspace, and one project is run here"))
                        .hint("name the project's own folder: `uv --directory FOLDER run …`"));
                }
                // How files get into uv's environment makes no difference here, where each box has a new one.
                _ => {}
            }
        }
        match dev {
            Some(true) => wanted.groups.push("dev".to_owned()),
            Some(false) => wanted.no_groups.push("dev".to_owned()),
            None => {}
        }
        let more = !wanted.extras.is_empty() || wanted.all_extras || !wanted.groups.is_empty() || wanted.all_groups;
        if more && !wanted.only_groups.is_empty() {
            return Err(Error::usage("uv does not take `--only-group` or `--only-dev` with other groups and extras")
                .hint("leave one of them out"));
        }
        Ok(options)
    }

    /// The words after `uv run` that mean the same, started in `directory`, with the project looked for in `folder`, or
    /// with its script at `script`, wherever it is started. None if there is an argument that is no text.
    pub fn line(&self, directory: &Path, folder: Option<&Path>, script: Option<&Path>) -> Option<Vec<String>> {
        let mut words = Vec::new();
        if script.is_none() {
            words.push(format!("--directory={}", directory.to_str()?));
        }
        if let Some(folder) = folder {
            words.push(format!("--project={}", folder.to_str()?));
        }
        let options = self.options.iter().filter(|(name, _)| !SCRIPT.contains(&name.as_str()));
        words.extend(
            options.map(|(name, value)| value.as_ref().map_or_else(|| name.clone(), |value| format!("{name}={value}"))),
        );
        words.extend(self.with.iter().map(|spec| format!("--with={spec}")));
        words.extend(self.files.iter().map(|file| format!("--with-requirements={file}")));
        words.extend(self.registry.iter().map(|url| format!("--default-index={url}")));
        words.extend(self.python.iter().map(|version| format!("--python={version}")));
        words.extend(self.prerelease.then(|| "--prerelease=allow".to_owned()));
        let (option, name) = match &self.runs {
            Runs::Command(name) => (None, name),
            Runs::Script(name) => (Some("--script"), name),
            Runs::Module(name) => (Some("--module"), name),
        };
        words.extend(option.map(str::to_owned));
        words.extend(["--".to_owned(), script.map_or(Some(name.as_str()), Path::to_str)?.to_owned()]);
        for arg in &self.args {
            words.push(arg.to_str()?.to_owned());
        }
        Some(words)
    }

    /// Where it is started, as seen from `cwd`.
    pub fn start(&self, cwd: &Path) -> PathBuf {
        cwd.join(self.directory.as_deref().unwrap_or_default())
    }
}

/// Options that say that what is run is a script.
pub const SCRIPT: [&str; 3] = ["-s", "--script", "--gui-script"];
