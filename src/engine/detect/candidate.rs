//! Finding an engine's program.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::endpoint::{self, Endpoint};
use super::{Machine, environment};
use crate::context::Context;
use crate::engine::{Engine, Facts, Kind};
use crate::error::{Error, Kind as Failure, Result};
use crate::trust;

/// How much of a program is read to see whether it is a script around another one.
const SCRIPT_BYTES: u64 = 4096;

/// A program that may be a usable engine.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub kind: Kind,
    pub program: PathBuf,
    pub endpoint: Endpoint,
    pub environment: Vec<(OsString, OsString)>,
    pub runtime: Option<String>,
    pub process_limit: Option<u64>,
    /// A `docker` that led to this podman.
    pub instead_of: Option<PathBuf>,
}

impl Candidate {
    /// The engine that this candidate is, now that its facts are known.
    pub fn engine(self, facts: Facts) -> Engine {
        Engine {
            kind: self.kind,
            program: self.program,
            endpoint: self.endpoint.args,
            environment: self.environment,
            runtime: self.runtime,
            process_limit: self.process_limit,
            facts,
        }
    }
}

/// Searches `kind`'s program, or takes the one that was named. `None`: there is none.
pub(super) fn of(
    context: &Context,
    machine: &Machine<'_>,
    kind: Kind,
    named: Option<&Path>,
    runtime: Option<&str>,
) -> Result<Option<Candidate>> {
    let found = match named {
        Some(program) => Some(trusted(program, context.uid).map(|()| program.to_owned())?),
        None => search(context, machine, kind)?,
    };
    let Some(program) = found else { return Ok(None) };
    let mut candidate = (kind, program, None);
    if matches!(kind, Kind::Docker) && is_podman(&candidate.1) {
        let docker = candidate.1;
        candidate = (Kind::Podman, podman_behind(context, machine, &docker)?, Some(docker));
    }
    let (kind, program, instead_of) = candidate;
    if matches!(kind, Kind::Nerdctl) && wraps(&program, &["limactl", "colima", "rdctl"]) {
        // Such a shell hands arguments to a shell in a virtual machine.
        let error = Error::new(
            Failure::Engine,
            format!("`{}` is a shell into a virtual machine, which can't be driven safely", program.display()),
        );
        return Err(error.hint("use its docker: set engine = \"docker\""));
    }
    make(context, machine, kind, program, instead_of, runtime).map(Some)
}

/// The podman candidate for a `docker` that turned out to be podman.
pub(super) fn podman_instead(context: &Context, machine: &Machine<'_>, docker: &Candidate) -> Result<Candidate> {
    let program = podman_behind(context, machine, &docker.program)?;
    make(context, machine, Kind::Podman, program, Some(docker.program.clone()), docker.runtime.as_deref())
}

fn make(
    context: &Context,
    machine: &Machine<'_>,
    kind: Kind,
    program: PathBuf,
    instead_of: Option<PathBuf>,
    runtime: Option<&str>,
) -> Result<Candidate> {
    let endpoint = match kind {
        Kind::Docker => endpoint::docker(context, machine)?,
        Kind::Podman => endpoint::podman(context)?,
        Kind::Nerdctl => endpoint::nerdctl(context),
    };
    Ok(Candidate {
        kind,
        environment: environment::of(context, kind, &program, &endpoint),
        program,
        endpoint,
        runtime: runtime.map(str::to_owned),
        process_limit: context.process_limit,
        instead_of,
    })
}

/// The first program of that name that can be trusted; if there are only others, why not.
fn search(context: &Context, machine: &Machine<'_>, kind: Kind) -> Result<Option<PathBuf>> {
    trust::search(kind.name(), context.env.get("PATH"), &machine.program_dirs, context.uid)
        .map_err(|(program, why)| not_started(&program, &why))
}

fn trusted(program: &Path, uid: u32) -> Result<()> {
    if !program.exists() {
        let missing = Error::new(crate::error::Kind::Engine, format!("`{}` is not there", program.display()));
        return Err(missing.hint("install it, or name another one: engine = \"/path/of/it\""));
    }
    match trust::untrusted_program(program, uid) {
        None => Ok(()),
        Some(why) => Err(not_started(program, &why)),
    }
}

fn not_started(program: &Path, why: &str) -> Error {
    Error::refused(format!("`{}` is not started", program.display()))
        .because(why)
        .hint("make it writable by its owner only, or name another one: engine = \"/path/of/it\"")
}

/// `docker` is podman in disguise: a link to it, or the script of the package podman-docker.
fn is_podman(docker: &Path) -> bool {
    let real = std::fs::canonicalize(docker).ok();
    let name = real.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
    name.is_some_and(|name| name == "podman" || name == "podman-remote") || wraps(docker, &["podman"])
}

/// `program` is a script that names one of `words`.
fn wraps(program: &Path, words: &[&str]) -> bool {
    let mut start = Vec::new();
    let read = std::fs::File::open(program).and_then(|file| file.take(SCRIPT_BYTES).read_to_end(&mut start));
    if read.is_err() || !start.starts_with(b"#!") {
        return false;
    }
    let text = String::from_utf8_lossy(&start);
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .any(|line| words.iter().any(|word| line.contains(word)))
}

fn podman_behind(context: &Context, machine: &Machine<'_>, docker: &Path) -> Result<PathBuf> {
    if let Some(podman) = search(context, machine, Kind::Podman)? {
        return Ok(podman);
    }
    let real = std::fs::canonicalize(docker).unwrap_or_else(|_| docker.to_owned());
    let mut magic = [0; 2];
    let script =
        std::fs::File::open(&real).and_then(|mut file| file.read_exact(&mut magic)).is_ok_and(|()| &magic == b"#!");
    if script {
        return Err(Error::new(
            Failure::Engine,
            format!("`{}` only calls podman, which is not there", docker.display()),
        )
        .hint("install podman"));
    }
    trusted(&real, context.uid).map(|()| real)
}
