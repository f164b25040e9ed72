//! A line about a local project becomes a launch: its folder is looked at, has to be granted, and says which packages go
//! into the box. Nothing of it runs here, and nothing in it can give it more than packages of a registry.

mod contents;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::local;
use crate::context::Context;
use crate::error::{Doing, Error, Result};
use crate::launch::project::{Local, Options, Project, Runs};
use crate::launch::{Launch, Launcher, command_name, python};
use crate::package::editable::Editable;
use crate::package::{PackageSpec, shown};
use crate::policy::paths::{self, Found, Sort};
use crate::state::grants::Holder;

const PYPROJECT: &str = "pyproject.toml";

/// The folders of a line, without links.
struct Folders {
    /// What is granted: the project's; without one that of `--directory`, or where the script is.
    root: PathBuf,
    /// Where the program starts.
    start: PathBuf,
    /// There is a `pyproject.toml` in it that counts.
    is_project: bool,
    /// The line in our own spelling.
    line: String,
}

/// The launch that a line about a project comes to, and its surroundings: the working directory is what
/// `--directory` says. Refused unless the folder was granted.
pub fn open(context: &Context, project: &Project) -> Result<(Context, Launch)> {
    let options = project.options()?;
    let folders = Folders::look(context, project, &options)?;
    let found = Found::at(&folders.root).doing(|| format!("can't look at `{}`", folders.root.display()))?;
    local::check(context, project.launcher, &found)?;
    let holder = local::holder(&folders.root)?;
    let moved = context.with(&project.environment).moved(&folders.start);
    let launch = Reader { context: &moved, project, options, folders }.launch(holder)?;
    Ok((moved, launch))
}

/// Whom an exact line's grants are for.
pub fn line_holder(context: &Context, project: &Project) -> Result<Holder> {
    let folders = Folders::look(context, project, &project.options()?)?;
    Ok(Holder { line: Some(folders.line), ..local::holder(&folders.root)? })
}

fn folder(path: &Path) -> Result<PathBuf> {
    let no =
        || Error::not_found(format!("`{}` is not a folder", path.display())).hint("check the line's `--directory`");
    let found = Found::at(&paths::plain(path)).map_err(|e| no().because(e))?;
    if found.sort == Sort::Folder { Ok(found.real) } else { Err(no()) }
}

impl Folders {
    /// The project is that of the nearest folder with a `pyproject.toml`, from `--project` or the working directory on;
    /// where a script is does not matter (uv, `VirtualProject::discover`).
    fn look(context: &Context, project: &Project, options: &Options) -> Result<Self> {
        let start = folder(&project.start(&context.cwd))?;
        let asked = project.folder.as_ref().map(|path| folder(&start.join(path))).transpose()?;
        let mut around = asked.as_ref().unwrap_or(&start).ancestors().filter(|_| !options.no_project);
        let of_project = around.find(|folder| folder.join(PYPROJECT).is_file()).map(Path::to_owned);
        let is_project = of_project.is_some();
        let mut root = of_project.unwrap_or_else(|| start.clone());
        let mut elsewhere = None;
        if let Runs::Script(script) = &project.runs
            && let Ok(found) = Found::at(&paths::plain(&start.join(script)))
            && (!found.real.starts_with(&root) || (!is_project && project.directory.is_none()))
        {
            if is_project {
                return Err(Error::refused(format!("`{}` is not in the project's folder", shown(script)))
                    .because(format!("the project is in `{}`", root.display()))
                    .hint("name the script's own folder: `uv --directory FOLDER run script.py`"));
            }
            root = found.real.parent().unwrap_or(&root).to_owned();
            elsewhere = Some(found.real);
        }
        let words = project.line(&start, asked.as_deref(), elsewhere.as_deref()).ok_or_else(|| {
            Error::refused("a line with bytes that are no text can't be told from others").hint("write it in UTF-8")
        })?;
        let line = shell_words::join(["uv", "run"].map(str::to_owned).into_iter().chain(words));
        Ok(Self { root, start, is_project, line })
    }
}

/// A folder that may be read.
struct Reader<'a> {
    context: &'a Context,
    project: &'a Project,
    options: Options,
    folders: Folders,
}

impl Reader<'_> {
    fn launch(self, holder: Holder) -> Result<Launch> {
        let contents = self.contents()?;
        let (command, args, own) = self.program(contents.editable.as_ref())?;
        let project = self.project;
        // Packages of the line's own, and an index of its own, are no part of what was granted.
        let own = own && project.with.is_empty() && project.files.is_empty() && project.registry.is_none();
        let packages = contents.requirements.into_iter().chain(project.with.iter().cloned());
        Ok(Launch {
            launcher: Launcher::UvRun,
            packages: packages.map(PackageSpec::Pypi).collect(),
            files: project.files.clone(),
            command: Some(command),
            call: None,
            args,
            python: Some(contents.python),
            registry: project.registry.clone(),
            prerelease: project.prerelease || contents.prerelease,
            node_options: None,
            tighten: project.tighten.clone(),
            environment: project.environment.clone(),
            local: Some(Local {
                root: holder.folder().unwrap_or_default().to_owned(),
                line: self.folders.line,
                own,
                editable: contents.editable,
                constraints: contents.constraints,
            }),
        })
    }

    /// The command in the box, its arguments, and whether it is code of the folder.
    fn program(&self, editable: Option<&Editable>) -> Result<(String, Vec<OsString>, bool)> {
        let (folders, args) = (&self.folders, &self.project.args);
        let python = |words: &[&str]| {
            let words = words.iter().map(OsString::from);
            ("python".to_owned(), words.chain(args.iter().cloned()).collect())
        };
        let in_root = |path: &Path| Found::at(&paths::plain(path)).is_ok_and(|at| at.real.starts_with(&folders.root));
        let is_module = |name: &str| {
            let roots = editable.iter().flat_map(|editable| editable.roots.iter().map(Path::new));
            let path: PathBuf = name.split('.').collect();
            roots.chain([folders.start.as_path()]).any(|root| {
                let at = root.join(&path);
                in_root(&at.with_extension("py")) || in_root(&at.join("__main__.py"))
            })
        };
        let (name, module) = match &self.project.runs {
            Runs::Script(script) => {
                // As it was typed, if it is there in the box.
                let path = folders.start.join(script);
                let there = folders.start.starts_with(&folders.root);
                let word = if there { script.clone() } else { path.to_string_lossy().into_owned() };
                let (command, args) = python(&[&word]);
                return Ok((command, args, in_root(&path)));
            }
            Runs::Module(name) => (name, true),
            Runs::Command(name) => (name, false),
        };
        if module {
            let (command, args) = python(&["-m", name]);
            return Ok((command, args, is_module(name)));
        }
        if !name.contains('/') && in_root(&folders.start.join(name).join("__main__.py")) {
            let (command, args) = python(&[name]);
            return Ok((command, args, true));
        }
        let name = command_name(Launcher::UvRun, name.as_ref()).map_err(|e| {
            Error::refused(e.what)
                .because("of a folder only Python's programs are run")
                .hint("run a script or a module of it: `uv run script.py`, `uv run -m module`")
        })?;
        let name = name.strip_suffix(".exe").filter(|bare| !bare.is_empty()).unwrap_or(&name).to_owned();
        let first = |at: usize| args.get(at).and_then(|arg| arg.to_str());
        let own = match (python::interpreter(&name), first(0)) {
            (Ok(Some(_)), Some("-m")) => first(1).is_some_and(is_module),
            (Ok(Some(_)), Some(file)) => !file.starts_with('-') && in_root(&folders.start.join(file)),
            (Ok(Some(_)), None) => false,
            _ => editable.is_some_and(|editable| editable.commands.contains(&name)),
        };
        Ok((name, args.clone(), own))
    }
}

#[cfg(test)]
mod tests;
