//! Newer versions for a box, and the way back.

use std::ffi::OsString;

use serde::Serialize;

use super::Session;
use super::grantee::by_packages;
use super::probe::Unanswered;
use crate::error::{Error, Result};
use crate::image::changes::{Moved, moved};
use crate::image::diagnosis::{Diagnosis, diagnose};
use crate::image::lock::Lock;
use crate::image::present::image_exists;
use crate::launch::{Launch, Launcher, Tighten};
use crate::package::npm::NpmSpec;
use crate::package::pypi::PypiSpec;
use crate::package::{Ecosystem, PackageSpec};
use crate::policy::level::Level;
use crate::probe::{self, Answers, Changed};
use crate::state::attempts::{self, Attempt, Why};
use crate::state::boxes::{self, BoxRecord, Request};
use crate::state::lock;
use crate::ui;

/// What is different in a newer box.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Update {
    /// The box's name.
    pub name: String,
    /// The attempt that it came of, if there was one.
    pub attempt: Option<u32>,
    /// The packages that the line names, as they were and as they are.
    pub packages: Vec<Moved>,
    /// All others of the tree.
    pub dependencies: Vec<Moved>,
    /// Packages with scripts that the box had not, and that are not allowed: they do not run.
    pub scripts: Vec<String>,
    /// What the server offers now and did not, or otherwise.
    pub offers: Vec<Changed>,
    /// Why what it offers could not be compared.
    pub not_asked: Option<String>,
}

impl Update {
    fn between(old: &BoxRecord, new: &BoxRecord) -> Self {
        let named = |name: &str| new.packages.iter().any(|package| package.name() == name);
        let (packages, dependencies) = moved(&old.tree, &new.tree).into_iter().partition(|moved| named(&moved.name));
        let had = Lock::scripted(&old.lock);
        let is_new = |name: &String| !had.contains_key(name) && !new.scripts.contains(name);
        let scripts = Lock::scripted(&new.lock).into_keys().filter(is_new).collect();
        let (offers, not_asked, attempt) = (Vec::new(), None, Some(new.attempt));
        Self { name: new.name(), attempt, packages, dependencies, scripts, offers, not_asked }
    }
}

/// How an update is to be made.
#[derive(Debug, Clone, Copy)]
pub struct How {
    /// Only says what there is.
    pub check: bool,
    /// At level strict: takes it though the server offers something else now.
    pub accept: bool,
}

/// A box that was made and is not taken.
pub(super) struct NotTaken {
    /// Why not.
    pub(super) error: Error,
    /// What is known of that.
    pub(super) diagnosis: Option<Box<Diagnosis>>,
    /// What its server said.
    pub(super) said: Vec<u8>,
}

impl From<Error> for NotTaken {
    fn from(error: Error) -> Self {
        Self { error, diagnosis: None, said: Vec::new() }
    }
}

impl Session<'_> {
    /// Makes a newer box and takes it, if there is something newer and it passes; `None` if there is nothing.
    pub fn update(&self, record: &BoxRecord, how: How) -> Result<Option<Update>> {
        let launch = launch_of(record)?;
        let request = self.request(&launch)?;
        if request != record.request {
            return Err(Error::refused(format!("`{}` would be another box now", record.name()))
                .because("your settings of where packages come from, or of Python, have changed")
                .hint("start its line again, and remove this one: jitbox ls"));
        }
        let waiting = || ui::note("waiting for somebody else who makes the same box");
        let _lock = lock::take(&self.layout.lock(&request.key()), waiting)?;
        let Some(active) = boxes::find(&self.layout, &request)? else {
            return Err(Error::not_found(format!("`{}` is gone", record.name())).hint("jitbox ls"));
        };
        if how.check {
            return self.look_for_newer(&launch, &active);
        }
        let Some((attempt, new)) = self.make(&launch, (&request, &active.overrides), Why::Update)? else {
            return Ok(None);
        };
        let judged = self.judge(&launch, (&active, &new), how);
        let update = match judged {
            Ok(update) => update,
            Err(failed) => {
                self.set_aside(attempt, Some(&active), &failed)?;
                return Err(failed.error);
            }
        };
        self.put_in_use(attempt, &new)?;
        Ok(Some(update))
    }

    /// Keeps a box that is not taken as an attempt to be read about, with what its server said.
    pub(super) fn set_aside(&self, attempt: Attempt, active: Option<&BoxRecord>, failed: &NotTaken) -> Result<()> {
        if !failed.said.is_empty() {
            let log = [&attempt.log(&self.layout)[..], b"== asking the server\n", &failed.said].concat();
            attempt.keep_log(&self.layout, &log)?;
        }
        attempt.reject(&self.layout, &failed.error)?;
        active.into_iter().for_each(|active| self.trim(active));
        Ok(())
    }

    /// Asks the registries only.
    fn look_for_newer(&self, launch: &Launch, active: &BoxRecord) -> Result<Option<Update>> {
        let progress = ui::Progress::new(self.context.terminals.stderr, &format!("looking at {}", active.name()));
        let sources = self.sources(launch)?;
        let mut resolved = self.resolve(launch, &active.overrides, &sources.0)?;
        let mut making = self.making(launch, &mut resolved, sources.1)?;
        let locked = self.look_at_tree(launch, (&mut making, &mut resolved), &sources.0, &progress)?;
        if active.is_made_of(&resolved.packages, &locked) {
            return Ok(None);
        }
        let mut new = active.clone();
        (new.packages, new.tree, new.lock) = (resolved.packages, locked.packages, locked.text);
        Ok(Some(Update { attempt: None, ..Update::between(active, &new) }))
    }

    /// Compares what both versions of a server offer. A newer one that does not answer where the older one did is not taken.
    fn judge(&self, launch: &Launch, (active, new): (&BoxRecord, &BoxRecord), how: How) -> Result<Update, NotTaken> {
        let mut update = Update::between(active, new);
        if !new.mcp {
            return Ok(update);
        }
        let before = self.answers(launch, active)?;
        let after = self.answers(launch, new)?;
        match (before, after) {
            (Ok(before), Ok(after)) => update.offers = probe::changes(&before, &after),
            (Err(_), Ok(_)) => update.not_asked = Some("the box that was in use did not answer".to_owned()),
            (Err(_), Err(why)) => update.not_asked = Some(why.to_string()),
            (Ok(_), Err(why)) => return Err(self.unanswered(launch, Some(active), new, &why)),
        }
        self.check_offers(new, &update.offers, how.accept, "update")?;
        Ok(update)
    }

    /// At level strict, a server that offers something else is only taken if that is wanted.
    pub(super) fn check_offers(&self, new: &BoxRecord, offers: &[Changed], accepted: bool, verb: &str) -> Result<()> {
        let strict = Level::of(&self.config, &Tighten::default()) == Level::Strict;
        if !strict || accepted || offers.is_empty() {
            return Ok(());
        }
        let changed: Vec<&str> = offers.iter().map(|changed| changed.name.as_str()).collect();
        Err(Error::refused(format!("the newer `{}` offers something else", new.name()))
            .because(format!("another {}, at level strict", changed.join(", ")))
            .hint(format!("jitbox {verb} --accept {}", shell_words::quote(&new.name()))))
    }

    /// Why a box is not taken whose server does not answer.
    pub(super) fn unanswered(
        &self,
        launch: &Launch,
        active: Option<&BoxRecord>,
        new: &BoxRecord,
        why: &Unanswered,
    ) -> NotTaken {
        let name = new.name();
        let other = active.filter(|active| active.attempt != new.attempt);
        let what = match active.is_some() && other.is_none() {
            true => format!("the box of `{name}` does not answer"),
            false => format!("the new box of `{name}` does not answer, and was not taken"),
        };
        let mut error = Error::failed(what).because(why);
        let diagnosis = diagnose(new.request.ecosystem, &String::from_utf8_lossy(&why.said), &new.tree);
        if let Some(found) = &diagnosis {
            error = error.because(&found.why).hint(found.command(&name));
        }
        let named = by_packages(launch);
        let had = |name: &String| other.is_some_and(|other| other.not_run.contains_key(name));
        let missing = new.not_run.keys().filter(|name| !had(name));
        let error = missing.filter_map(|name| named.scripts(name, "allow")).fold(error, Error::hint);
        let error = error.hint(format!("jitbox attempts {}", shell_words::quote(&name)));
        NotTaken { error, diagnosis: diagnosis.map(Box::new), said: why.said.clone() }
    }

    pub(super) fn answers(&self, launch: &Launch, record: &BoxRecord) -> Result<Result<Answers, Unanswered>> {
        if !image_exists(&self.engine, &record.image)? {
            return Ok(Err("its image is gone".to_owned().into()));
        }
        self.probe(launch, record)
    }

    /// What the box's server offers, asked now.
    pub fn offered(&self, record: &BoxRecord) -> Result<Result<Answers, Unanswered>> {
        self.answers(&launch_of(record)?, record)
    }

    /// Takes the box of an earlier attempt again: `number`, or the one that the active box took the place of.
    pub fn roll_back(&self, record: &BoxRecord, number: Option<u32>) -> Result<BoxRecord> {
        let _lock = lock::take(&self.layout.lock(&record.request.key()), || {})?;
        let active = boxes::find(&self.layout, &record.request)?.unwrap_or_else(|| record.clone());
        let attempts = attempts::of(&self.layout, &record.request)?;
        let found = match number {
            Some(number) => attempts::passed(&attempts, number),
            None => attempts::before(&attempts, &active),
        };
        let Some(found) = found else {
            let what = match number {
                Some(number) => format!("there is no box of attempt {number} of `{}`", record.name()),
                None => format!("there is nothing before the box of `{}`", record.name()),
            };
            return Err(Error::not_found(what).hint(format!("jitbox attempts {}", shell_words::quote(&record.name()))));
        };
        if !image_exists(&self.engine, &found.image)? {
            ui::note("its image is gone: the next start makes it again from its lock");
        }
        boxes::activate(&self.layout, found)?;
        Ok(found.clone())
    }
}

/// The line that the box was made for, without its arguments.
pub fn launch_of(record: &BoxRecord) -> Result<Launch> {
    let launch = launch_for(&record.request)?;
    let args = record.verbs.iter().map(OsString::from).collect();
    Ok(Launch { command: record.command.clone(), args, ..launch })
}

/// A line that asks for the same, and no more.
pub fn launch_for(request: &Request) -> Result<Launch> {
    if request.local.is_some() || !request.contents.is_empty() {
        return Err(Error::refused(format!("`{}` is of a folder of this machine", request.name()))
            .because("that is read at each start")
            .hint(format!(
                "jitbox rm {}, and its next start asks for the newest",
                shell_words::quote(&request.name())
            )));
    }
    let parse = |text: &String| match request.ecosystem {
        Ecosystem::Npm => NpmSpec::parse(text).map(PackageSpec::Npm),
        Ecosystem::Pypi => PypiSpec::parse_command(text).map(PackageSpec::Pypi),
    };
    Ok(Launch {
        launcher: match request.ecosystem {
            Ecosystem::Npm => Launcher::Npx,
            Ecosystem::Pypi => Launcher::Uvx,
        },
        packages: request.packages.iter().map(parse).collect::<Result<_>>()?,
        files: Vec::new(),
        command: None,
        call: None,
        args: Vec::new(),
        python: request.python.clone(),
        registry: request.registry.clone(),
        prerelease: request.prerelease,
        node_options: None,
        tighten: Tighten::default(),
        environment: Vec::new(),
        local: None,
    })
}
