//! The one container that a box's image is made of: npm or uv resolve the tree in it, hand out the lock, and install it.
//! None of the packages' own code runs there. What is refused is ended with all that it has fetched; of the rest the
//! engine makes an image.

use std::time::Duration;

use super::lock::Lock;
use super::making::{Input, Making, unfinished};
use super::present::LOOK_LIMIT;
use super::template::guest;
use crate::engine::argv;
use crate::error::{Doing, Error, Result};
use crate::exec::{Cmd, Running};
use crate::policy::{self, Decided};
use crate::state::runs::{Ends, Run};
use crate::supervise;
use crate::supervise::keeper::Keeper;
use crate::supervise::strays;

/// How long npm or uv may take to resolve a tree, and to install it.
const INSTALL_LIMIT: Duration = Duration::from_secs(1200);

/// What it is called in logs.
const STEP: &str = "packages";

impl Making<'_> {
    /// The container that becomes the image.
    pub fn install_plan(&self) -> Decided {
        self.installing("make")
    }

    fn installing(&self, mode: &str) -> Decided {
        let with = (self.cache.as_deref(), !self.apt.is_empty());
        policy::installing((self.layout, self.engine), &self.base, with, self.script(mode))
    }

    /// Resolves the tree only: what there would be in a box that is made now.
    pub fn look(&self) -> Result<Lock> {
        let plan = policy::fetching(self.layout, self.engine, &self.base, self.script("look"));
        let mut step = Installation::start(self, plan, self.input(&self.asked(&[], "", "")))?;
        let lock = step.lock()?;
        step.ended()?;
        step.kept.take().into_iter().for_each(|(_, keeper)| keeper.finish());
        Ok(lock)
    }

    /// Starts to install what the tree is resolved to.
    pub fn install(&self) -> Result<Installation<'_>> {
        self.start("make", "")
    }

    /// The same where there is a box, which may be what comes of it: nothing is fetched before the tree is resolved.
    pub fn renew(&self) -> Result<Installation<'_>> {
        self.start("renew", "")
    }

    /// Starts to install what is known.
    pub fn reinstall(&self, known: &Lock) -> Result<Installation<'_>> {
        self.start("make", &known.text)
    }

    fn start(&self, mode: &str, known: &str) -> Result<Installation<'_>> {
        let (guest, apt) = (guest(self.engine.facts.architecture), self.apt.join(" "));
        Installation::start(self, self.installing(mode), self.input(&self.asked(guest, known, &apt)))
    }

    fn asked<'a>(&'a self, guest: &'a [u8], lock: &'a str, apt: &'a str) -> Input<'a> {
        let (wanted, constraints, archives) = (&self.wanted, &self.constraints, &self.archives);
        Input { guest, lock, apt, wanted, constraints, archives }
    }
}

/// A container in which a tree is resolved and installed. Dropped, it is ended and removed.
pub struct Installation<'a> {
    making: &'a Making<'a>,
    running: Option<Running>,
    /// Neither is there any more when the image has been made.
    kept: Option<(Run, Keeper)>,
}

impl<'a> Installation<'a> {
    /// Starts what `plan` says with `input`.
    pub(super) fn start(making: &'a Making<'a>, plan: Decided, input: Vec<u8>) -> Result<Self> {
        let run = Run::begin(making.layout, making.engine)?;
        policy::write_seccomp(making.layout, making.engine, &policy::NOT_RELAXED)?;
        let plan = plan.named(&run.name);
        let always = plan.plan().kept.map(|_| removal(making, &run)).into_iter().collect();
        let keeper = making.keeper(&run, always)?;
        let command = Cmd::engine(making.engine, argv::run(making.engine, plan.plan()));
        let running = command.with_environment(strays::mark(&run.name)).start_in_pieces(input)?;
        run.owns(running.leader(), Ends::WhenRemoved);
        Ok(Self { making, running: Some(running), kept: Some((run, keeper)) })
    }

    /// What the tree was resolved to.
    pub fn lock(&mut self) -> Result<Lock> {
        let Some(text) = self.piece(INSTALL_LIMIT)? else {
            return Err(self.why("can't resolve or install the package's dependencies"));
        };
        let text = String::from_utf8(text).doing(|| "the lock is not text".into())?;
        Lock::parse(self.making.ecosystem, text)
    }

    /// What the container said last, if it said anything, when all is installed.
    pub fn installed(&mut self) -> Result<Vec<u8>> {
        let said = self.piece(INSTALL_LIMIT)?.unwrap_or_default();
        self.ended()?;
        Ok(said)
    }

    /// Makes the image of what is installed, with these labels.
    pub fn finish(self, image: &str, labels: Vec<(String, String)>) -> Result<()> {
        self.end_as(image, labels, false)
    }

    /// Makes the image, and comes back when the container is gone: the image that it was started from can go then.
    pub(super) fn finish_and_remove(mut self, image: &str) -> Result<()> {
        self.installed()?;
        self.end_as(image, Vec::new(), true)
    }

    fn end_as(mut self, image: &str, labels: Vec<(String, String)>, waits: bool) -> Result<()> {
        let Some((run, keeper)) = self.kept.take() else { return Err(Error::failed("the image could not be made")) };
        let made = self.making.commit(&run, image, labels);
        if waits && made.is_ok() {
            let done = removal(self.making, &run).output(&[], LOOK_LIMIT);
            tracing::debug!("{}: {done:?}", run.name);
        }
        // In any case the keeper removes the container, and then the run's folder, while we go on.
        run.leave();
        made?;
        keeper.finish();
        Ok(())
    }

    fn piece(&self, limit: Duration) -> Result<Option<Vec<u8>>> {
        self.running.as_ref().map_or(Ok(None), |running| running.piece(limit))
    }

    /// Waits until the container has ended well.
    pub(super) fn ended(&mut self) -> Result<()> {
        match self.end()? {
            Some((status, words)) if !status.success() => {
                Err(unfinished("the packages could not be installed", status, &words))
            }
            _ => Ok(()),
        }
    }

    /// Why it came to nothing.
    fn why(&mut self, what: &str) -> Error {
        match self.end() {
            Ok(Some((status, words))) => unfinished(what, status, &words),
            Ok(None) => Error::failed(what),
            Err(e) => e,
        }
    }

    fn end(&mut self) -> Result<Option<(std::process::ExitStatus, Vec<u8>)>> {
        let Some(mut running) = self.running.take() else { return Ok(None) };
        let (status, words) = running.end(INSTALL_LIMIT)?;
        self.making.words.add(STEP, &words, &self.making.sources);
        if status.code().is_none() {
            // What the engine was asked for goes on without its client: the keeper sees to that.
            self.kept.take().into_iter().for_each(|(run, _)| run.leave());
        }
        Ok(Some((status, words)))
    }
}

/// What removes the container of a run that is kept.
fn removal(making: &Making<'_>, run: &Run) -> Cmd {
    Cmd::engine(making.engine, argv::remove_containers(making.engine, std::slice::from_ref(&run.name)))
}

impl Drop for Installation<'_> {
    fn drop(&mut self) {
        let Some((run, keeper)) = self.kept.take() else { return };
        for command in supervise::clearing(self.making.engine, &run.name) {
            let _ = command.output(&[], LOOK_LIMIT);
        }
        // Its client ends with the container.
        if let Some(mut running) = self.running.take() {
            let _ = running.end(LOOK_LIMIT);
        }
        keeper.finish();
        run.settled();
    }
}
