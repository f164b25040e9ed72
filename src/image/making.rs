//! What goes into a box, and the steps before its image is built: the base image, and the tree resolved to a lock.
//!
//! None of the packages' own code runs in any of these steps, nor in those of [`super::build`]; [`super::wheel`] and
//! [`super::scripts`] have the ones that run some.

use std::time::Duration;

use super::lock::Lock;
use super::template::template;
use super::words::{self, Words};
use crate::engine::{Engine, argv};
use crate::error::{Doing, Error, Kind, Result};
use crate::exec::{Cmd, last_words};
use crate::package::Ecosystem;
use crate::policy::{self, Decided};
use crate::registry::auth::Secret;
use crate::registry::sourced::Archive;
use crate::state::Layout;
use crate::state::runs::{Ends, Run};
use crate::supervise::keeper::{Keeper, Task};
use crate::supervise::strays;
use crate::{supervise, ui};

/// How long npm or uv may take to resolve a tree.
const LOCK_LIMIT: Duration = Duration::from_secs(300);
/// How long a base image may take to arrive.
const PULL_LIMIT: Duration = Duration::from_secs(900);
/// How long an engine may take for a look.
pub(super) const LOOK_LIMIT: Duration = Duration::from_secs(30);

/// Where packages come from, as files for the containers that fetch them.
pub struct Sources {
    /// npm's settings without secrets, or uv's as shell variables.
    pub public: String,
    /// The same with the user's tokens, or a netrc: only for the two steps that fetch.
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

    /// The container in which the tree is resolved.
    pub fn lock_plan(&self) -> Decided {
        let script = template(self.ecosystem, self.engine.facts.builder).lock;
        policy::fetching(self.layout, self.engine, &self.base, vec!["sh".into(), "-c".into(), script.into()])
    }

    /// Resolves the tree: npm or uv in a hardened container of the base image, with the network
    /// and the registry's secrets, and without any package's code.
    pub fn lock(&self) -> Result<Lock> {
        let run = Run::begin(self.layout, self.engine)?;
        let plan = self.lock_plan().named(&run.name);
        let input = self.input(&self.wanted, &self.constraints, &self.archives);
        policy::write_seccomp(self.layout, self.engine, &policy::NOT_RELAXED)?;
        let command = Cmd::engine(self.engine, argv::run(self.engine, plan.plan()));
        let output = self.guarded("dependencies", run, command, |command, run| {
            command.output_of(&input, LOCK_LIMIT, |pid| run.owns(pid, Ends::WhenRemoved))
        })?;
        if !output.status.success() {
            return Err(unfinished("can't resolve the package's dependencies", output.status, &output.stderr));
        }
        let text = String::from_utf8(output.stdout).doing(|| "the lock is not text".into())?;
        Lock::parse(self.ecosystem, text)
    }

    /// What a container that fetches reads: what is wanted, the user's settings for it, and files
    /// to go with it.
    pub(super) fn input(&self, wanted: &str, constraints: &str, archives: &[Archive]) -> Vec<u8> {
        let secret = self.sources.secret.as_deref();
        let mut files = vec![wanted.as_bytes()];
        match self.ecosystem {
            Ecosystem::Npm => files.push(secret.unwrap_or(&self.sources.public).as_bytes()),
            Ecosystem::Pypi => {
                let public = self.sources.public.as_bytes();
                files.extend([constraints.as_bytes(), public, secret.unwrap_or_default().as_bytes()]);
            }
        }
        let proxy = self.sources.proxy_script();
        files.extend([&self.sources.ca[..], proxy.as_bytes()]);
        let mut input = framed(&files);
        for archive in archives {
            input.extend_from_slice(format!("{}\n", archive.name).as_bytes());
            input.extend(framed(&[&archive.bytes]));
        }
        input
    }

    /// Has `work` run a command that a keeper ends and clears up after if it, or we, do not come to an end in good order.
    pub(super) fn guarded(
        &self,
        step: &str,
        run: Run,
        command: Cmd,
        work: impl FnOnce(Cmd, &Run) -> Result<std::process::Output>,
    ) -> Result<std::process::Output> {
        let keeper = Keeper::start(&[Task {
            unless_done: supervise::clearing(self.engine, &run.name),
            folders: Some(run.folders().clone()),
            strays_of: Some(run.name.clone()),
            by_daemon: self.engine.builds_by_daemon(),
            ..Task::default()
        }])?;
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
