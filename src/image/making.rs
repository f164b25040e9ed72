//! What goes into a box, and what all steps of its making have in common.
//!
//! None of the packages' own code runs in [`super::install`]; [`super::wheel`] and [`super::scripts`] have the steps that
//! run some.

use super::words::{self, Words};
use super::{present, template};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::exec::Cmd;
use crate::package::Ecosystem;
use crate::registry::auth::Secret;
use crate::registry::sourced::Archive;
use crate::state::runs::Run;
use crate::state::{Layout, bases};
use crate::supervise::keeper::{Keeper, Task};
use crate::supervise::strays;
use crate::{supervise, ui};

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
    /// What is in it, once it was looked at: its layers' ChainID.
    pub base_content: String,
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
    /// The volume with what was fetched before, if there is one.
    pub cache: Option<String>,
    /// uv's wheel; nothing for npm.
    pub uv: Vec<u8>,
    /// What is said meanwhile.
    pub words: Words,
}

impl Making<'_> {
    /// Brings the base image if it is not there, and looks what is in it.
    pub fn ensure_base(&mut self, progress: &ui::Progress) -> Result<()> {
        let mut content = present::content(self.engine, &self.base)?;
        if content.is_none() {
            progress.phase(&format!("fetching {}", self.base));
            present::pull(self.engine, &self.base, &self.sources.proxy)?;
            content = present::content(self.engine, &self.base)?;
        }
        self.base_content =
            content.ok_or_else(|| Error::failed(format!("`{}` was fetched and is not there", self.base)))?;
        bases::learn(self.layout, self.engine, &self.base, &self.base_content).map(drop)
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
                let secret = secret.unwrap_or_default().as_bytes();
                files.extend([asked.constraints.as_bytes(), public, secret, &self.uv]);
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
