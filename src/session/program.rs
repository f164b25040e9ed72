//! Which of a box's programs a line means.

use std::path::Path;

use crate::error::{Error, Result};
use crate::image::lock::Lock;
use crate::launch::Launch;
use crate::package::Ecosystem;
use crate::state::boxes::BoxRecord;

const NPM_PROGRAMS: &str = "/app/node_modules/.bin";

/// Whether it is a package's own, which V8 may have compiled.
pub fn is_packaged(path: &str) -> bool {
    path.starts_with(NPM_PROGRAMS)
}

/// What the box starts, before the line's arguments: a program, or a shell with the line of `-c`.
pub fn start(launch: &Launch, record: &BoxRecord) -> Result<Vec<Vec<u8>>> {
    match &launch.call {
        Some(line) => Ok(vec![b"sh".to_vec(), b"-c".to_vec(), line.clone().into_bytes()]),
        None => Ok(vec![path(launch, record)?.into_bytes()]),
    }
}

/// Whether the line's program is the first package's own, and not an interpreter's or a
/// dependency's. Without a box every command but an interpreter passes for its own.
pub fn is_own(launch: &Launch, record: Option<&BoxRecord>) -> bool {
    let ecosystem = launch.launcher.ecosystem();
    if let Some(local) = &launch.local {
        return local.own;
    }
    if launch.call.is_some() {
        // The line's own shell, whatever it starts.
        return false;
    }
    let Some(name) = &launch.command else { return true };
    let Some(record) = record else { return !is_interpreter(ecosystem, name) };
    let Some(package) = record.packages.first() else { return false };
    match record.programs.get(name) {
        _ if record.default_program.as_ref() == Some(name) => true,
        Some(Some(owner)) => same_project(package.name(), owner),
        Some(None) => Lock::own_bins(&record.lock, package.name()).contains(name),
        None => false,
    }
}

fn is_interpreter(ecosystem: Ecosystem, name: &str) -> bool {
    match ecosystem {
        Ecosystem::Npm => name == "node",
        Ecosystem::Pypi => name.starts_with("python") && Path::new(name).components().count() == 1,
    }
}

/// The program in the box that the line means.
pub fn path(launch: &Launch, record: &BoxRecord) -> Result<String> {
    let folder = match record.request.ecosystem {
        Ecosystem::Npm => NPM_PROGRAMS,
        Ecosystem::Pypi => "/app/venv/bin",
    };
    let Some(name) = launch.command.as_ref().or(record.default_program.as_ref()) else {
        return Err(Error::usage("the line names no program"));
    };
    if record.programs.contains_key(name) {
        return Ok(format!("{folder}/{name}"));
    }
    // The interpreter itself is a program like any other, as on the PATH that npx and uvx make.
    if is_interpreter(record.request.ecosystem, name) {
        let real = if record.request.ecosystem == Ecosystem::Npm { "node".into() } else { format!("{folder}/python") };
        return Ok(real);
    }
    Err(no_such_program(launch, record, name))
}

fn no_such_program(launch: &Launch, record: &BoxRecord, name: &str) -> Error {
    if let Some(local) = &launch.local {
        return Error::not_found(format!("the project in `{}` has no command `{name}`", local.root))
            .because("neither itself nor a package that it depends on brings it along")
            .hint("run a script or a module of it: `uv run script.py`, `uv run -m module`");
    }
    let from = launch.packages.first().map_or_else(String::new, ToString::to_string);
    let error = Error::not_found(format!("no executable `{name}` is provided by `{from}`"));
    let provided: Vec<&str> = record
        .programs
        .iter()
        .filter(|(_, package)| {
            package.as_ref().is_none_or(|p| record.packages.iter().any(|pinned| same_project(pinned.name(), p)))
        })
        .map(|(program, _)| program.as_str())
        .take(8)
        .collect();
    let from = shell_words::quote(&from).into_owned();
    match (&provided[..], record.request.ecosystem) {
        ([], _) => error,
        (names, Ecosystem::Pypi) => names.iter().fold(error, |e, n| e.hint(format!("uvx-safe --from {from} {n}"))),
        (names, Ecosystem::Npm) => names.iter().fold(error, |e, n| e.hint(format!("npx-safe -y -p {from} {n}"))),
    }
}

/// Project names that differ in case and separators only are one (PEP 503).
fn same_project(a: &str, b: &str) -> bool {
    let plain = |s: &str| s.to_lowercase().replace(['_', '.'], "-");
    plain(a) == plain(b)
}
