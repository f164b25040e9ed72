//! What a line of uvx's relatives runs: `uv run --with` and `pipx run`.

use std::ffi::OsStr;

use super::scan::{Said, Stop};
use super::{Launch, Launcher, command_name, python, text, uvx};
use crate::error::{Error, Result};
use crate::package::pypi::{PypiName, PypiSpec};
use crate::package::{PackageSpec, shown};

/// The launch that the options and the words after them make.
pub(super) fn finish(launcher: Launcher, said: Said, stop: Stop<'_>) -> Result<Launch> {
    let Some((first, args)) = stop.words.split_first() else {
        return Err(Error::usage("there is no command").hint(format!("name it: `{}`", usage(launcher))));
    };
    let (packages, command) = match launcher {
        Launcher::PipxRun => pipx(&said, first)?,
        _ => uv_run(&said, first)?,
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
    Ok(Launch {
        launcher,
        packages: packages.into_iter().map(PackageSpec::Pypi).collect(),
        command,
        call: None,
        args: args.to_vec(),
        python,
        registry: said.registry,
        prerelease: said.prerelease,
        node_options: said.node_options,
        tighten: said.tighten,
        environment: Vec::new(),
    })
}

type Packages = (Vec<PypiSpec>, Option<String>);

/// The command is looked for in all packages; the one that is called like it has to be the first.
fn uv_run(said: &Said, first: &OsStr) -> Result<Packages> {
    refuse_file(first)?;
    if said.with.is_empty() {
        return Err(Error::refused(
            "without `--with`, `uv run` runs code of the folder that it is in, which has no say here",
        )
        .hint(format!("name the published package: `{}`, or `uvx-safe pkg arg…`", usage(Launcher::UvRun))));
    }
    let command = uvx::executable(first)?;
    let mut packages = Vec::new();
    for requirement in said.with.iter().flat_map(|value| uvx::split_with(value)) {
        packages.push(PypiSpec::parse_requirement(requirement)?);
    }
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

/// Both run Python files, and `uv run` what comes over standard input.
fn refuse_file(word: &OsStr) -> Result<()> {
    let name = text(word)?;
    let lower = name.to_ascii_lowercase();
    let file = [".py", ".pyw", ".pyc", ".pyz"].iter().any(|end| lower.ends_with(end));
    if name == "-" || file || name.contains("://") {
        return Err(Error::refused(format!("`{}` is a script, and only published packages are run", shown(name)))
            .hint("name a package's command: `uvx-safe pkg arg…`"));
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
