//! `jitbox build`: a line's box made with something besides what the line says, in as many attempts as that takes.

use serde::Serialize;

use super::Session;
use super::make::diagnosed;
use super::update::NotTaken;
use crate::error::{Error, Result};
use crate::launch::Launch;
use crate::probe::{self, Changed};
use crate::state::attempts::{self, Attempt, Outcome, Why};
use crate::state::boxes::{self, BoxRecord, Request};
use crate::state::lock;
use crate::state::overrides::Overrides;
use crate::ui;

/// How many attempts follow one that failed.
const MOST: usize = 3;

/// How a box is to be built.
#[derive(Debug, Clone, Default)]
pub struct How {
    /// What is asked for besides what the last attempt was.
    pub overrides: Overrides,
    /// Begin with the line alone, and not with what the last attempt was asked for.
    pub afresh: bool,
    /// Where it is known why an attempt failed, make the next one.
    pub fix: bool,
    /// Take a server that does not answer, or at level strict offers something else.
    pub accept: bool,
}

/// An attempt that failed, and what the next one did about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tried {
    /// Its number.
    pub attempt: u32,
    /// Why it failed.
    pub why: String,
    /// The options that were added.
    pub added: Vec<String>,
}

/// A box that was built and taken.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Build {
    /// The box's name.
    pub name: String,
    /// The attempt that it came of.
    pub attempt: u32,
    /// The packages, pinned.
    pub packages: Vec<String>,
    /// The base image.
    pub base: String,
    /// Debian packages in it.
    pub apt: Vec<String>,
    /// What it was made with besides what its line says.
    pub overrides: Overrides,
    /// How many tools its server has, if it was asked and answered.
    pub tools: Option<usize>,
    /// What its server offers that the one before did not, or otherwise.
    pub offers: Vec<Changed>,
    /// Why the server was not asked, or what it did not answer.
    pub not_asked: Option<String>,
    /// What failed before.
    pub tried: Vec<Tried>,
}

impl Session<'_> {
    /// Makes the line's box, and takes it if it passes; `None` if it is what there is.
    pub fn build_anew(&self, launch: &Launch, how: &How) -> Result<Option<Build>> {
        let request = self.request(launch)?;
        let waiting = || ui::note("waiting for somebody else who makes the same box");
        let _lock = lock::take(&self.layout.lock(&request.key()), waiting)?;
        let active = boxes::find(&self.layout, &request)?;
        let last = attempts::of(&self.layout, &request)?.pop().filter(|_| !how.afresh);
        let before = last.map(|attempt| attempt.overrides).unwrap_or_default();
        let mut overrides = before.and(&how.overrides);
        overrides.check(request.ecosystem)?;
        let mut tried = Vec::new();
        loop {
            let NotTaken { error, diagnosis, .. } =
                match self.build_once(launch, (&request, &overrides), active.as_ref(), how) {
                    Ok(built) => return Ok(built.map(|built| Build { tried, ..built })),
                    Err(failed) => failed,
                };
            let fixable = diagnosis.filter(|found| how.fix && found.is_harmless() && tried.len() < MOST);
            let next = fixable.map(|found| (overrides.and(&found.remedy), found));
            let Some((next, found)) = next.filter(|(next, _)| *next != overrides) else {
                return Err(without(error, &before, &request));
            };
            let added = found.remedy.options();
            ui::note(&format!("{}: once more with {}", found.why, shell_words::join(&added)));
            let attempt = attempts::of(&self.layout, &request)?.last().map_or(0, |attempt| attempt.number);
            tried.push(Tried { attempt, why: found.why, added });
            overrides = next;
        }
    }

    fn build_once(
        &self,
        launch: &Launch,
        (request, overrides): (&Request, &Overrides),
        active: Option<&BoxRecord>,
        how: &How,
    ) -> Result<Option<Build>, NotTaken> {
        let made = self.make(launch, (request, overrides), Why::Build);
        let Some((attempt, record)) = made.map_err(|error| self.not_made(error, request))? else {
            // There is nothing else to be made, but what there is may not do.
            if let Some(active) = active.filter(|_| how.fix) {
                self.judge_built(launch, Some(active), active, how)?;
            }
            return Ok(None);
        };
        match self.judge_built(launch, active, &record, how) {
            Ok(built) => {
                self.put_in_use(attempt, &record)?;
                Ok(Some(built))
            }
            Err(failed) => {
                self.set_aside(attempt, active, &failed)?;
                Err(failed)
            }
        }
    }

    fn not_made(&self, error: Error, request: &Request) -> NotTaken {
        let last = attempts::of(&self.layout, request).ok().and_then(|mut all| all.pop());
        // What failed before there was an attempt has nothing to do with the one before.
        let words = error.to_string();
        let is_its = |attempt: &Attempt| matches!(&attempt.outcome, Outcome::Failed { why } if words.starts_with(why));
        let log = last.filter(is_its).map(|attempt| attempt.log(&self.layout)).unwrap_or_default();
        let diagnosis = diagnosed(&error, &log, request).map(Box::new);
        NotTaken { error, diagnosis, said: Vec::new() }
    }

    /// A server has to answer; what it offers is compared with what the one before did.
    fn judge_built(
        &self,
        launch: &Launch,
        active: Option<&BoxRecord>,
        new: &BoxRecord,
        how: &How,
    ) -> Result<Build, NotTaken> {
        let mut built = Build {
            name: new.name(),
            attempt: new.attempt,
            packages: new.packages.iter().map(ToString::to_string).collect(),
            base: new.base.clone(),
            apt: new.apt.clone(),
            overrides: new.overrides.clone(),
            tools: None,
            offers: Vec::new(),
            not_asked: None,
            tried: Vec::new(),
        };
        if !new.mcp {
            built.not_asked = Some("it is no MCP server".to_owned());
            return Ok(built);
        }
        match self.answers(launch, new)? {
            Ok(after) => {
                built.tools = Some(after.tools.len());
                let other = active.filter(|active| active.attempt != new.attempt);
                if let Some(Ok(before)) = other.map(|other| self.answers(launch, other)).transpose()? {
                    built.offers = probe::changes(&before, &after);
                }
            }
            Err(why) if how.accept => built.not_asked = Some(why.to_string()),
            Err(why) => {
                let mut failed = self.unanswered(launch, active, new, &why);
                let accept = format!("jitbox build --accept {}", shell_words::quote(&new.name()));
                failed.error = failed.error.hint(format!("{accept} takes it all the same"));
                return Err(failed);
            }
        }
        self.check_offers(new, &built.offers, how.accept, "build")?;
        Ok(built)
    }
}

/// Says how to be rid of what the attempt before was asked for, which may be what fails.
fn without(error: Error, before: &Overrides, request: &Request) -> Error {
    if before.is_empty() {
        return error;
    }
    let name = request.name();
    error.hint(format!(
        "jitbox build {} --afresh … (without {})",
        shell_words::quote(&name),
        shell_words::join(before.options())
    ))
}
