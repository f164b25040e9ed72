//! From a Python project's source to its wheel: the only step in the making of a box that runs
//! code of a package, and so the most confined one. What builds it is fetched first, as wheels, by
//! a container that runs none of it; then the build has no network, no secrets, nothing of the
//! host, and nothing but its own wheel to leave behind.

use std::time::Duration;

use super::making::{Input, Making, framed, unfinished};
use super::template::WHEEL;
use crate::engine::argv;
use crate::error::{Error, Result};
use crate::exec::Cmd;
use crate::policy::{self, Decided};
use crate::registry::sourced::pypi::Build;
use crate::state::runs::{Ends, Run};

/// How long fetching what builds a project may take.
const TOOLS_LIMIT: Duration = Duration::from_secs(300);
/// How long a build may take.
const WHEEL_LIMIT: Duration = Duration::from_secs(600);

impl Making<'_> {
    /// The container that fetches what builds a project.
    pub fn tools_plan(&self) -> Decided {
        policy::fetching(self.layout, self.engine, &self.base, self.script("tools"))
    }

    /// The container in which it is built.
    pub fn wheel_plan(&self) -> Decided {
        let words = ["sh", "-c", WHEEL].map(str::to_owned).to_vec();
        policy::building(self.layout, self.engine, &self.base, policy::WORK, words)
    }

    /// Builds a project: the wheel's name and content, as the project's own code gave them.
    pub fn wheel(&self, build: &Build) -> Result<(String, Vec<u8>)> {
        let input = self.input(&Input { wanted: &build.requires, ..Input::default() });
        let tools = self.step("build tools", self.tools_plan(), &input, TOOLS_LIMIT);
        let tools = tools.and_then(|done| match done.status.success() {
            true => Ok(done.stdout),
            false => Err(unfinished("can't fetch what builds the package", done.status, &done.stderr)),
        })?;
        let folder = build.subdirectory.as_deref().unwrap_or(".");
        let input = framed(&[&build.files, &tools, folder.as_bytes(), build.pretend.as_bytes()]);
        let done = self.step("wheel", self.wheel_plan(), &input, WHEEL_LIMIT)?;
        if !done.status.success() {
            return Err(unfinished("the package could not be built", done.status, &done.stderr)
                .hint("it is built without a network and without compilers; if PyPI has it, name it as PyPI does"));
        }
        let end = done.stdout.iter().position(|b| *b == b'\n');
        let (name, wheel) = end
            .and_then(|at| done.stdout.split_at_checked(at))
            .ok_or_else(|| Error::failed("the package could not be built").because("its build left no wheel behind"))?;
        Ok((String::from_utf8_lossy(name).into_owned(), wheel[1..].to_vec()))
    }

    pub(super) fn step(
        &self,
        step: &str,
        plan: Decided,
        input: &[u8],
        limit: Duration,
    ) -> Result<std::process::Output> {
        let run = Run::begin(self.layout, self.engine)?;
        policy::write_seccomp(self.layout, self.engine, &policy::NOT_RELAXED)?;
        let plan = plan.named(&run.name);
        let command = Cmd::engine(self.engine, argv::run(self.engine, plan.plan()));
        self.guarded(step, run, command, |command, run| {
            command.output_of(input, limit, |pid| run.owns(pid, Ends::WhenRemoved))
        })
    }
}
