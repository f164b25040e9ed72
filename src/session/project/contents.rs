//! What the files of a granted folder say: which packages, which versions of them, which Python.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc;
use pep440_rs::Version;

use super::{PYPROJECT, Reader};
use crate::error::{Doing, Error, Result};
use crate::image::base::{python_candidates, python_satisfies};
use crate::launch::project::Runs;
use crate::launch::python;
use crate::package::editable::Editable;
use crate::package::pypi::{PypiName, PypiRequest, PypiSpec};
use crate::package::pyproject::Pyproject;
use crate::package::uvlock::UvLock;
use crate::policy::paths::{self, Found};
use crate::registry::settings::Settings;

/// The most that is read of a project's own files.
const MAX_BYTES: u64 = 1 << 20;

/// The most that is read of a lock, which has every file of every package.
const MAX_LOCK: u64 = 16 << 20;

/// What a project, or a script, says of itself.
struct Says {
    /// The file that says it.
    file: PathBuf,
    /// Its lock, which need not be there.
    lock: PathBuf,
    of_script: bool,
    what: Pyproject,
}

/// What all of it comes to.
pub(super) struct Contents {
    pub(super) requirements: Vec<PypiSpec>,
    pub(super) constraints: String,
    pub(super) python: String,
    pub(super) editable: Option<Editable>,
    pub(super) prerelease: bool,
}

/// The error, about this file.
fn named(file: &Path) -> impl Fn(Error) -> Error {
    let file = file.to_string_lossy().escape_debug().to_string();
    move |e| Error {
        what: format!("`{file}` can't be used"),
        causes: std::iter::once(e.what).chain(e.causes).collect(),
        ..e
    }
}

impl Reader<'_> {
    /// Reads them.
    pub(super) fn contents(&self) -> Result<Contents> {
        let says = self.says()?;
        let Says { file, lock, what, .. } = &says;
        let has_lock = says.of_script || self.folders.is_project;
        let text = if has_lock { self.text(lock, MAX_LOCK)? } else { None };
        let locked = text.map(|text| UvLock::parse(&text)).transpose().map_err(named(lock))?;
        if let (Some(option), None, true) = (&self.options.needs_lock, &locked, has_lock) {
            return Err(Error::not_found(format!("`{option}` needs a lock, and there is no `{}`", lock.display()))
                .hint("make it: `uv lock`"));
        }
        self.refuse_settings(&says, locked.is_some())?;
        what.check(locked.is_some()).map_err(named(file))?;
        let python = self.python(what)?;
        let requirements = what.requirements(&self.options.wanted).map_err(named(file))?;
        let requirements = python::that_apply(requirements, Some(&python)).map_err(named(file))?;
        let (requirements, constraints) = match &locked {
            Some(locked) => {
                let whole = self.options.needs_lock.is_some();
                pinned(locked, requirements, &python, whole).map_err(named(lock))?
            }
            None => {
                let more = what.constraints().and_then(|more| python::that_apply(more, Some(&python)));
                let more = more.map_err(named(file))?;
                (requirements, more.iter().map(|spec| format!("{spec}\n")).collect())
            }
        };
        let editable = if self.options.wanted.only_groups.is_empty() && !says.of_script {
            let root = &self.folders.root;
            what.editable(&root.to_string_lossy(), root.join("src").is_dir()).map_err(named(file))?
        } else {
            None
        };
        Ok(Contents { requirements, constraints, python, editable, prerelease: what.prerelease() })
    }

    /// The head of the script, if it has one; else the project's own file, if there is one.
    fn says(&self) -> Result<Says> {
        if let Runs::Script(script) = &self.project.runs {
            let file = self.folders.start.join(script);
            let text = self.text(&file, MAX_BYTES)?;
            if let Some(what) =
                text.map(|text| Pyproject::of_script(&text)).transpose().map_err(named(&file))?.flatten()
            {
                let lock = PathBuf::from(format!("{}.lock", file.display()));
                return Ok(Says { file, lock, of_script: true, what });
            }
        }
        let (file, lock) = (self.folders.root.join(PYPROJECT), self.folders.root.join("uv.lock"));
        let text = if self.folders.is_project { self.text(&file, MAX_BYTES)? } else { None };
        let what = text.map(|text| Pyproject::parse(&text)).transpose().map_err(named(&file))?.unwrap_or_default();
        Ok(Says { file, lock, of_script: false, what })
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
            let root = self.folders.root.display();
            let error = Error::not_found(format!("no known python does for the project in `{root}`"));
            let error = requires.iter().fold(error, |e, requires| e.because(format!("it needs python {requires}")));
            let error = asked.iter().fold(error, |e, asked| e.because(format!("python {asked} is asked for")));
            error.hint("name another version: `--python 3.12`")
        })
    }

    /// What the nearest `.python-version` asks for, up to the project's folder.
    fn python_version(&self) -> Result<Option<String>> {
        let (root, start) = (&self.folders.root, &self.folders.start);
        let inside = start.ancestors().take_while(|folder| folder.starts_with(root));
        let outside = (!start.starts_with(root)).then_some(root.as_path());
        for folder in inside.chain(outside) {
            let file = folder.join(".python-version");
            let Some(text) = self.text(&file, MAX_BYTES)? else { continue };
            let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
            return line.map_or(Ok(None), python::parse).map_err(named(&file));
        }
        Ok(None)
    }

    /// Refuses what uv would find in the folder, or above it, and that says where packages come from or which versions
    /// are taken: settings, of which the nearest count, and a workspace.
    fn refuse_settings(&self, says: &Says, locked: bool) -> Result<()> {
        let as_project = self.folders.is_project && !says.of_script;
        let mut settled = false;
        for folder in self.folders.root.ancestors() {
            let (file, settings) = (folder.join(PYPROJECT), folder.join("uv.toml"));
            if !settled && settings.exists() {
                return Err(Error::refused("settings beside a project are not taken into account")
                    .hint("put what is for you to say into your own: ~/.config/uv/uv.toml"))
                .map_err(named(&settings));
            }
            let own = as_project && file == says.file;
            // What can't be read is nobody's settings.
            let read = || read(&file, MAX_BYTES).ok().flatten().and_then(|text| Pyproject::parse(&text).ok());
            let other = if own { None } else { read() };
            let Some(here) = (if own { Some(&says.what) } else { other.as_ref() }) else { continue };
            if as_project && here.is_workspace() {
                // Its root has a lock of its own; the others are not looked at.
                if own {
                    return Ok(());
                }
                return Err(Error::refused("the project may be part of the workspace there")
                    .because("whose lock and packages are not looked at")
                    .hint("run the published package: `uvx-safe pkg arg…`"))
                .map_err(named(&file));
            }
            if !settled && here.has_settings() {
                settled = true;
                if !own {
                    here.check(locked).map_err(named(&file))?;
                }
            }
        }
        Ok(())
    }

    /// A file of the folder; none if it is not there.
    fn text(&self, path: &Path, most: u64) -> Result<Option<String>> {
        if let Ok(found) = Found::at(&paths::plain(path))
            && !found.real.starts_with(&self.folders.root)
        {
            return Err(Error::refused("it leads out of the folder that was granted")
                .because(format!("to `{}`", found.real.display()))
                .hint("put the file itself there"))
            .map_err(named(path));
        }
        read(path, most)
    }
}

/// The requirements and the constraints that keep a lock's versions. `whole`: the lock has to have all of them.
fn pinned(locked: &UvLock, requirements: Vec<PypiSpec>, python: &str, whole: bool) -> Result<(Vec<PypiSpec>, String)> {
    let versions: BTreeMap<String, Version> = locked.versions(&[python.to_owned()])?;
    let lacks = |spec: &&PypiSpec| {
        let name = spec.name.as_ref().map(PypiName::as_str);
        !matches!(spec.request, PypiRequest::Source(_)) && !name.is_some_and(|name| versions.contains_key(name))
    };
    if let Some(missing) = requirements.iter().find(lacks).filter(|_| whole) {
        return Err(Error::refused(format!("it lacks {missing}, which the project wants"))
            .hint("bring it up to date: `uv lock`"));
    }
    let specs: Result<Vec<_>> = requirements.into_iter().map(|spec| locked.pinned(spec, &versions)).collect();
    Ok((specs?, versions.iter().map(|(name, version)| format!("{name}=={version}\n")).collect()))
}

/// The text of a file; none if it is not there.
fn read(path: &Path, most: u64) -> Result<Option<String>> {
    let no = |why: &str| Err(Error::refused(why).hint("put a plain file there")).map_err(named(path));
    // A pipe must not keep us waiting.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let opened = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.doing(|| format!("can't open `{}`", path.display()))?,
    };
    let unusable = || format!("can't read `{}`", path.display());
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
