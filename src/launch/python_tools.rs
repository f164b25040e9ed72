//! What a line of uvx's relatives runs: `uv run --with` and `pipx run`.

use std::ffi::{OsStr, OsString};

use super::project::{Project, Runs, SCRIPT};
use super::scan::{Said, Stop};
use super::{Launch, Launcher, Request, command_name, python, text, uvx};
use crate::error::{Error, Result};
use crate::package::pypi::{PypiName, PypiSpec, Requirement};
use crate::package::{PackageSpec, shown};

/// What the options and the words after them make.
pub(super) fn finish(launcher: Launcher, said: Said, stop: Stop<'_>) -> Result<Request> {
    let Some((first, args)) = stop.words.split_first() else {
        return Err(Error::usage("there is no command").hint(format!("name it: `{}`", usage(launcher))));
    };
    let python = match &said.python {
        // pipx looks for an interpreter of that name.
        Some(range) if launcher == Launcher::PipxRun && range.trim().starts_with(['<', '>', '=', '!', '~']) => {
            return Err(Error::usage(format!("`{}` is no version of Python for pipx", shown(range)))
                .hint("name one version: `--python 3.12`"));
        }
        Some(value) => python::parse(value)?,
        None => None,
    };
    if launcher == Launcher::UvRun && is_local(&said, first)? {
        return project(said, text(first)?, args, python.as_deref()).map(Request::Local);
    }
    let (packages, command) = match launcher {
        Launcher::PipxRun => pipx(&said, first)?,
        _ => uv_run(&said, first, python.as_deref())?,
    };
    let module = said.module.then(|| [OsString::from("-m"), first.clone()]);
    Ok(Request::Run(Launch {
        launcher,
        packages: packages.into_iter().map(PackageSpec::Pypi).collect(),
        files: said.files,
        command,
        call: None,
        args: module.into_iter().flatten().chain(args.iter().cloned()).collect(),
        python,
        registry: said.registry,
        prerelease: said.prerelease,
        node_options: said.node_options,
        tighten: said.tighten,
        environment: Vec::new(),
        local: None,
    }))
}

/// Whether a line of `uv run` is about code of a folder: by its options, by what it runs, or because it names no
/// package.
fn is_local(said: &Said, first: &OsStr) -> Result<bool> {
    let name = text(first)?;
    refuse_input(name)?;
    let path = !said.module && (is_script(name) || name.contains(['/', '\\']));
    let project = said.local.iter().any(|(name, _)| name != "--no-project");
    Ok(path || (said.with.is_empty() && said.files.is_empty()) || project)
}

fn project(mut said: Said, first: &str, args: &[OsString], python: Option<&str>) -> Result<Project> {
    let script = said.local.iter().any(|(name, _)| SCRIPT.contains(&name.as_str()));
    let name = first.to_owned();
    let runs = match (said.module, script || is_script(first)) {
        (true, false) => Runs::Module(name),
        (true, true) if script => {
            return Err(Error::usage("uv does not take a script and `-m` together").hint("leave one of them out"));
        }
        (true, true) => Runs::Module(name),
        (false, true) => Runs::Script(name),
        (false, false) => Runs::Command(name),
    };
    let mut take = |wanted: &str| {
        let all = said.local.iter().filter(|(name, _)| name == wanted).count();
        if all > 1 {
            return Err(Error::usage(format!("`{wanted}` is given twice")).hint("give it once"));
        }
        let at = said.local.iter().position(|(name, _)| name == wanted);
        Ok(at.and_then(|at| said.local.remove(at).1))
    };
    let (directory, folder) = (take("--directory")?, take("--project")?);
    Ok(Project {
        launcher: Launcher::UvRun,
        folder,
        directory,
        with: requirements(&said.with, python)?,
        files: said.files,
        options: said.local,
        runs,
        args: args.to_vec(),
        python: python.map(str::to_owned),
        registry: said.registry,
        prerelease: said.prerelease,
        tighten: said.tighten,
        environment: Vec::new(),
    })
}

fn requirements(values: &[String], python: Option<&str>) -> Result<Vec<PypiSpec>> {
    let all: Result<_> = values.iter().flat_map(|value| uvx::split_with(value)).map(Requirement::parse).collect();
    python::that_apply(all?, python)
}

type Packages = (Vec<PypiSpec>, Option<String>);

/// The command is looked for in all packages; the one that is called like it has to be the first.
fn uv_run(said: &Said, first: &OsStr, python: Option<&str>) -> Result<Packages> {
    let command = if said.module { "python".to_owned() } else { uvx::executable(first)? };
    let mut packages = requirements(&said.with, python)?;
    let name = PypiName::parse(&command).ok();
    if let Some(at) = packages.iter().position(|package| name.is_some() && PypiName::parse(&package.typed).ok() == name)
    {
        packages[..=at].rotate_right(1);
    }
    Ok((packages, Some(command)))
}

/// `app` names the package and its executable; with `--spec` it is the executable alone.
fn pipx(said: &Said, first: &OsStr) -> Result<Packages> {
    let app = PypiSpec::parse_requirement(text(first)?)?;
    let (package, command) = match &said.from {
        Some(spec) => (PypiSpec::parse_requirement(spec)?, Some(uvx::executable(OsStr::new(&app.typed))?)),
        None => {
            refuse_file(first)?;
            (app, None)
        }
    };
    let with: Result<Vec<_>> = said.with.iter().map(|value| PypiSpec::parse_requirement(value)).collect();
    Ok((std::iter::once(package).chain(with?).collect(), command))
}

/// Both run Python files.
fn is_script(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    [".py", ".pyw", ".pyc", ".pyz"].iter().any(|end| lower.ends_with(end))
}

/// Code from an address, or (with `uv run`) from standard input.
fn refuse_input(name: &str) -> Result<()> {
    if name == "-" || name.contains("://") { Err(no_package(name)) } else { Ok(()) }
}

fn no_package(name: &str) -> Error {
    Error::refused(format!("`{}` is a script, and only published packages are run", shown(name)))
        .hint("name a package's command: `uvx-safe pkg arg…`")
}

/// What pipx would take for a file.
fn refuse_file(word: &OsStr) -> Result<()> {
    let name = text(word)?;
    refuse_input(name)?;
    if is_script(name) {
        return Err(no_package(name));
    }
    // A path, perhaps; says so in the same words as for the others.
    if name.contains(['/', '\\']) {
        command_name(Launcher::UvRun, word)?;
    }
    Ok(())
}

fn usage(launcher: Launcher) -> &'static str {
    match launcher {
        Launcher::PipxRun => "pipx run app arg…",
        _ => "uv run --with pkg command arg…",
    }
}
