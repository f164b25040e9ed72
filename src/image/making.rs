//! What goes into a box, and what all steps of its making have in common.
//!
//! None of the packages' own code runs in [`super::install`]; [`super::wheel`] and [`super::scripts`] have the steps that
//! run some.

use std::time::Duration;

use super::template;
use super::words::{self, Words};
use crate::engine::{Engine, argv};
use crate::error::{Error, Kind, Result};
use crate::exec::{Cmd, last_words};
use crate::package::Ecosystem;
use crate::registry::auth::Secret;
use crate::registry::sourced::Archive;
use crate::state::Layout;
use crate::state::runs::Run;
use crate::supervise::keeper::{Keeper, Task};
use crate::supervise::strays;
use crate::{supervise, ui};

/// How long a base image may take to arrive.
const PULL_LIMIT: Duration = Duration::from_secs(900);
/// How long an engine may take for a look.
pub(super) const LOOK_LIMIT: Duration = Duration::from_secs(30);

/// Where packages come from, as files for the containers that fetch them.
pub struct Sources {
    /// npm's settings without secrets, or uv's as shell variables.
    pub public: String,
    /// The same with the user's tokens, or a netrc: only for what fetches.
    pub secret: Option<String>,
    /// Proxy variables. Their values may hold passwords.
    pub proxy: Vec<(&'static str, Secret)>,
    /// The certificate authorities that this host trusts.
    pub ca: Vec<u8>,
}

impl Sources {
    /// The proxy variables as shell text.
    pub(super) fn proxy_script(&self) -> String {
        let line = |(name, value): &(&str, Secret)| format!("export {name}={}\n", shell_words::quote(value.expose()));
        self.proxy.iter().map(line).collect()
    }
}

/// What our script is given besides where packages come from. Nothing is a file without anything in it.
#[derive(Default)]
pub(super) struct Input<'a> {
    pub(super) guest: &'a [u8],
    pub(super) lock: &'a str,
    pub(super) apt: &'a str,
    pub(super) wanted: &'a str,
    pub(super) constraints: &'a str,
    pub(super) archives: &'a [Archive],
}

/// One box to be made.
pub struct Making<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// Our files.
    pub layout: &'a Layout,
    /// npm or PyPI.
    pub ecosystem: Ecosystem,
    /// The base image's full name.
    pub base: String,
    /// Debian packages to add.
    pub apt: Vec<String>,
    /// `package.json`, or requirements.
    pub wanted: String,
    /// Versions that packages have if they are in the tree at all: requirements, for uv only.
    pub constraints: String,
    /// The word in the image's name.
    pub name: String,
    /// Where packages come from.
    pub sources: Sources,
    /// Files of packages that are in no registry.
    pub archives: Vec<Archive>,
    /// What is said meanwhile.
    pub words: Words,
}

impl Making<'_> {
    /// Brings the base image if it is not there.
    pub fn ensure_base(&self, progress: &ui::Progress) -> Result<()> {
        if image_exists(self.engine, &self.base)? {
            return Ok(());
        }
        progress.phase(&format!("fetching {}", self.base));
        // podman and nerdctl fetch in their own client, which is otherwise given no proxy.
        let proxy = self.sources.proxy.iter().map(|(name, value)| (name.into(), value.expose().into())).collect();
        let command = Cmd::engine(self.engine, argv::pull(self.engine, &self.base)).with_environment(proxy);
        let output = command.output(&[], PULL_LIMIT)?;
        if output.status.success() {
            return Ok(());
        }
        Err(Error::new(Kind::Network, format!("can't fetch the base image `{}`", self.base))
            .because(last_words(&output.stderr))
            .hint(format!("{} pull {}", self.engine.kind.name(), self.base)))
    }

    /// What runs our script for this ecosystem, to `make` a box or for less.
    pub(super) fn script(&self, mode: &str) -> Vec<String> {
        ["sh", "-c", template::install(self.ecosystem), "sh", mode].map(str::to_owned).to_vec()
    }

    /// What a container that fetches reads: what is wanted, the user's settings for it, and files to go with it.
    pub(super) fn input(&self, asked: &Input<'_>) -> Vec<u8> {
        let (secret, proxy) = (self.sources.secret.as_deref(), self.sources.proxy_script());
        let mut files =
            vec![asked.guest, &self.sources.ca, proxy.as_bytes(), asked.lock.as_bytes(), asked.apt.as_bytes()];
        files.push(asked.wanted.as_bytes());
        match self.ecosystem {
            Ecosystem::Npm => files.push(secret.unwrap_or(&self.sources.public).as_bytes()),
            Ecosystem::Pypi => {
                let public = self.sources.public.as_bytes();
                files.extend([asked.constraints.as_bytes(), public, secret.unwrap_or_default().as_bytes()]);
            }
        }
        let mut input = framed(&files);
        for archive in asked.archives {
            input.extend_from_slice(format!("{}\n", archive.name).as_bytes());
            input.extend(framed(&[&archive.bytes]));
        }
        input
    }

    /// What ends a run's container and clears up after it if we do not come to an end in good order, and does what is to
    /// be done then, `always`, in any case.
    pub(super) fn keeper(&self, run: &Run, always: Vec<Cmd>) -> Result<Keeper> {
        Keeper::start(&[Task {
            unless_done: supervise::clearing(self.engine, &run.name),
            always,
            folder: Some(run.folder().clone()),
            strays_of: Some(run.name.clone()),
            by_daemon: self.engine.makes_by_daemon(),
            ..Task::default()
        }])
    }

    /// Has `work` run a command that a keeper ends and clears up after if it, or we, do not come to an end in good order.
    pub(super) fn guarded(
        &self,
        step: &str,
        run: Run,
        command: Cmd,
        work: impl FnOnce(Cmd, &Run) -> Result<std::process::Output>,
    ) -> Result<std::process::Output> {
        let keeper = self.keeper(&run, Vec::new())?;
        let command = command.with_environment(strays::mark(&run.name));
        let output = work(command, &run);
        if let Ok(output) = &output {
            self.words.add(step, &output.stderr, &self.sources);
        }
        if output.as_ref().is_ok_and(|output| output.status.code().is_some()) {
            keeper.finish();
        } else {
            // What the engine was asked for goes on without its client.
            run.leave();
        }
        output
    }
}

/// Why a step came to nothing: its own words, and the signal if it was ended from outside.
pub(super) fn unfinished(what: &str, status: std::process::ExitStatus, words: &[u8]) -> Error {
    use std::os::unix::process::ExitStatusExt;
    let said = words::complaint(words);
    let error = Error::failed(what).because(match status.signal() {
        Some(signal) if said.is_empty() => format!("the engine's client was ended by signal {signal}"),
        Some(signal) => format!("the engine's client was ended by signal {signal}; {said}"),
        None => said,
    });
    match words::is_about_hashes(words) {
        true => error.hint("a registry sends another file than the one that was locked: nothing of it was taken"),
        false => error,
    }
}

/// Files as our scripts in containers take them: each with its length in front.
pub(super) fn framed(files: &[&[u8]]) -> Vec<u8> {
    let mut all = Vec::new();
    for file in files {
        all.extend_from_slice(format!("{}\n", file.len()).as_bytes());
        all.extend_from_slice(file);
    }
    all
}

/// Whether the engine has the image.
pub fn image_exists(engine: &Engine, image: &str) -> Result<bool> {
    let output = Cmd::engine(engine, argv::image_exists(engine, image)).output(&[], LOOK_LIMIT)?;
    if output.status.success() {
        return Ok(true);
    }
    let words = last_words(&output.stderr).to_lowercase();
    if words.contains("no such")
        || words.contains("not known")
        || words.contains("not found")
        || words.contains("unable to find")
    {
        return Ok(false);
    }
    Err(Error::new(Kind::Engine, "the engine does not answer").because(words).hint("jitbox doctor"))
}
