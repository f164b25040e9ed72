//! A line about a local project becomes a launch: its folder is looked at, has to be granted, and says which packages go
//! into the box. Nothing of it runs here, and nothing in it can give it more than packages of a registry.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc;
use pep440_rs::Version;

use crate::context::Context;
use crate::error::{Doing, Error, Result};
use crate::image::base::{python_candidates, python_satisfies};
use crate::launch::project::{Local, Options, Project, Runs};
use crate::launch::{Launch, Launcher, command_name, python};
use crate::package::editable::Editable;
use crate::package::pypi::PypiSpec;
use crate::package::pyproject::Pyproject;
use crate::package::uvlock::UvLock;
use crate::package::{PackageSpec, shown};
use crate::policy;
use crate::policy::deny::Places;
use crate::policy::paths::{self, Found, Sort};
use crate::registry::settings::Settings;
use crate::state::Layout;
use crate::state::grants::{Grants, Holder};

/// The most that is read of a project's own files.
const MAX_BYTES: u64 = 1 << 20;

/// The most that is read of a lock, which has every file of every package.
const MAX_LOCK: u64 = 16 << 20;

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
    let layout = Layout::new(context);
    let holder = holder(&folders.root)?;
    let found = Found::at(&folders.root).doing(|| format!("can't look at `{}`", folders.root.display()))?;
    if let Some(why) = Places::look(&context.home, &layout.folders()).refusal(&found) {
        return Err(Error::refused(format!("code of `{}` can't be run", folders.root.display()))
            .because(why)
            .hint("move the project to a folder of its own"));
    }
    if !Grants::load(&layout, context.uid)?.runs(&holder, &folders.root) {
        return Err(policy::lines::refuse_project(project, &folders.root));
    }
    let moved = context.with(&project.environment).moved(&folders.start);
    let launch = Reader { context: &moved, project, options, folders }.launch(holder)?;
    Ok((moved, launch))
}

/// Whom an exact line's grants are for.
pub fn line_holder(context: &Context, project: &Project) -> Result<Holder> {
    let folders = Folders::look(context, project, &project.options()?)?;
    Ok(Holder { line: Some(folders.line), ..holder(&folders.root)? })
}

fn holder(root: &Path) -> Result<Holder> {
    Holder::local(root).ok_or_else(|| {
        Error::refused(format!("`{}` is not UTF-8, so nothing can be granted to it", root.display()))
            .hint("give the folder another name")
    })
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
        }
        let words = project.line(&start, asked.as_deref()).ok_or_else(|| {
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

/// What its files come to.
struct Contents {
    requirements: Vec<PypiSpec>,
    constraints: String,
    python: String,
    editable: Option<Editable>,
    prerelease: bool,
}

impl Reader<'_> {
    fn launch(self, holder: Holder) -> Result<Launch> {
        let contents = self.contents()?;
        let (command, args, own) = self.program(contents.editable.as_ref())?;
        let project = self.project;
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

    fn contents(&self) -> Result<Contents> {
        let named = |file: &Path| {
            let file = file.to_string_lossy().into_owned();
            move |e: Error| Error {
                what: format!("`{}` can't be used", file.escape_debug()),
                causes: std::iter::once(e.what).chain(e.causes).collect(),
                ..e
            }
        };
        let script = match &self.project.runs {
            Runs::Script(script) => Some(self.folders.start.join(script)),
            _ => None,
        };
        let head = match &script {
            Some(path) => self.text(path, MAX_BYTES)?.map(|text| Pyproject::of_script(&text)),
            None => None,
        };
        let head = head.transpose().map_err(named(script.as_deref().unwrap_or(Path::new(""))))?.flatten();
        let of_script = head.is_some();
        let (file, lock) = match (&script, of_script) {
            (Some(path), true) => (path.clone(), PathBuf::from(format!("{}.lock", path.display()))),
            _ => (self.folders.root.join(PYPROJECT), self.folders.root.join("uv.lock")),
        };
        let says = match head {
            Some(head) => head,
            None if self.folders.is_project => match self.text(&file, MAX_BYTES)? {
                Some(text) => Pyproject::parse(&text).map_err(named(&file))?,
                None => return Err(Error::not_found(format!("`{}` is gone", file.display()))),
            },
            None => Pyproject::default(),
        };
        let locked = match of_script || self.folders.is_project {
            true => self.text(&lock, MAX_LOCK)?.map(|text| UvLock::parse(&text)).transpose().map_err(named(&lock))?,
            false => None,
        };
        if self.folders.is_project && !of_script {
            self.refuse_settings(&says)?;
        }
        match (&self.options.needs_lock, &locked) {
            (Some(option), None) if of_script || self.folders.is_project => {
                return Err(Error::not_found(format!("`{option}` needs a lock, and there is no `{}`", lock.display()))
                    .hint("make it: `uv lock`"));
            }
            _ => {}
        }
        says.check(locked.is_some()).map_err(named(&file))?;
        let python = self.python(&says)?;
        self.packages(&says, locked.as_ref(), &python, of_script).map_err(named(if locked.is_some() {
            &lock
        } else {
            &file
        }))
    }

    fn packages(&self, says: &Pyproject, lock: Option<&UvLock>, python: &str, of_script: bool) -> Result<Contents> {
        let versions: BTreeMap<String, Version> = match lock {
            Some(lock) => lock.versions(&[python.to_owned()])?,
            None => BTreeMap::new(),
        };
        let mut requirements = Vec::new();
        for spec in python::that_apply(says.requirements(&self.options.wanted)?, Some(python))? {
            requirements.push(match lock {
                Some(lock) => lock.pinned(spec, &versions)?,
                None => spec,
            });
        }
        let mut constraints: String = versions.iter().map(|(name, version)| format!("{name}=={version}\n")).collect();
        if lock.is_none() {
            let more = python::that_apply(says.constraints()?, Some(python))?;
            constraints.extend(more.iter().map(|spec| format!("{spec}\n")));
        }
        let root = self.folders.root.to_str().unwrap_or_default();
        let wanted = self.options.wanted.only_groups.is_empty() && !of_script;
        let editable = if wanted { says.editable(root, self.folders.root.join("src").is_dir())? } else { None };
        Ok(Contents { requirements, constraints, python: python.to_owned(), editable, prerelease: says.prerelease() })
    }

    /// The one Python that the box gets, so that conditions have one answer: of what the line, the user's settings or a
    /// `.python-version` ask for, the first that the project can do with.
    fn python(&self, says: &Pyproject) -> Result<String> {
        let settings = || Settings::load(self.context).python.python;
        let asked = match self.project.python.clone().or_else(settings) {
            Some(asked) => Some(asked),
            None => self.python_version()?,
        };
        let requires = says.requires_python();
        let fits = |minor: &String| requires.is_none_or(|requires| python_satisfies(minor, requires));
        python_candidates(asked.as_deref())?.into_iter().find(fits).ok_or_else(|| {
            let error =
                Error::not_found(format!("no known python does for the project in `{}`", self.folders.root.display()));
            let error = requires.iter().fold(error, |e, requires| e.because(format!("it needs python {requires}")));
            asked
                .iter()
                .fold(error, |e, asked| e.because(format!("python {asked} is asked for")))
                .hint("name another version: `--python 3.12`")
        })
    }

    /// What the nearest `.python-version` asks for, up to the project's folder.
    fn python_version(&self) -> Result<Option<String>> {
        let start = &self.folders.start;
        let inside = start.ancestors().take_while(|folder| folder.starts_with(&self.folders.root));
        let mut folders: Vec<&Path> = inside.collect();
        if folders.is_empty() {
            folders.push(&self.folders.root);
        }
        for folder in folders {
            let file = folder.join(".python-version");
            let Some(text) = self.text(&file, MAX_BYTES)? else { continue };
            let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
            return line.map_or(Ok(None), python::parse).map_err(|e| e.because(format!("`{}`", file.display())));
        }
        Ok(None)
    }

    /// Settings beside the project that say where packages come from, or which versions are taken.
    fn refuse_settings(&self, says: &Pyproject) -> Result<()> {
        let root = &self.folders.root;
        if root.join("uv.toml").exists() {
            return Err(Error::refused(format!(
                "the settings in `{}` are not taken into account",
                root.join("uv.toml").display()
            ))
            .hint("put what is for you to say into your own: ~/.config/uv/uv.toml"));
        }
        if says.is_workspace() {
            return Ok(());
        }
        for folder in root.ancestors().skip(1) {
            let file = folder.join(PYPROJECT);
            // What can't be read can't be anybody's workspace.
            let text = Self::read(&file, MAX_BYTES).ok().flatten();
            if text.is_some_and(|text| Pyproject::parse(&text).is_ok_and(|above| above.is_workspace())) {
                return Err(Error::refused(format!(
                    "`{}` may be part of the workspace in `{}`",
                    root.display(),
                    folder.display()
                ))
                .because("a workspace's lock and packages are not looked at")
                .hint("run the published package: `uvx-safe pkg arg…`"));
            }
        }
        Ok(())
    }

    /// The command in the box, its arguments, and whether it is code of the folder.
    fn program(&self, editable: Option<&Editable>) -> Result<(String, Vec<std::ffi::OsString>, bool)> {
        let (folders, args) = (&self.folders, &self.project.args);
        let python = |words: &[&str]| {
            let words = words.iter().map(std::ffi::OsString::from);
            ("python".to_owned(), words.chain(args.iter().cloned()).collect())
        };
        let in_root = |path: &Path| Found::at(&paths::plain(path)).is_ok_and(|at| at.real.starts_with(&folders.root));
        let is_module = |name: &str| {
            let roots = editable.iter().flat_map(|editable| editable.roots.iter().map(Path::new));
            let path: PathBuf = name.split('.').collect();
            roots.chain([folders.start.as_path()]).any(|root| {
                let at = root.join(&path);
                in_root(&at.with_extension("py")) || in_root(&at)
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

    /// A file of the folder; none if it is not there.
    fn text(&self, path: &Path, most: u64) -> Result<Option<String>> {
        if let Ok(found) = Found::at(&paths::plain(path))
            && !found.real.starts_with(&self.folders.root)
        {
            return Err(Error::refused(format!("`{}` leads out of the folder that was granted", path.display()))
                .because(format!("to `{}`", found.real.display()))
                .hint("put the file itself there"));
        }
        Self::read(path, most)
    }

    fn read(path: &Path, most: u64) -> Result<Option<String>> {
        let unusable = || format!("can't use `{}`", path.display());
        let no = |why: &str| Err(Error::refused(unusable()).because(why).hint("put a plain file there"));
        // A pipe must not keep us waiting.
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let opened = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            opened => opened.doing(unusable)?,
        };
        if !opened.metadata().doing(unusable)?.is_file() {
            return no("it is not a file");
        }
        let mut bytes = Vec::new();
        opened.take(most + 1).read_to_end(&mut bytes).doing(unusable)?;
        if bytes.len() as u64 > most {
            return no("it is too large");
        }
        String::from_utf8(bytes).map(Some).or_else(|_| no("it is not UTF-8"))
    }
}
