//! From a line without a box to its box: resolve, lock, build, record.

use std::ffi::OsString;

use super::resolve::Resolved;
use super::scripts::Built;
use super::{Session, age};
use crate::error::{Error, Result};
use crate::image::commit;
use crate::image::diagnosis::{Diagnosis, diagnose};
use crate::image::lock::{Lock, NPM_ARCHIVES, PYPI_ARCHIVES};
use crate::image::making::{Making, Sources};
use crate::image::present::image_exists;
use crate::image::template::guest_id;
use crate::image::words::Words;
use crate::launch::Launch;
use crate::package::{Ecosystem, PackageSpec, PinnedPackage};
use crate::registry::trust::Trust;
use crate::state::attempts::{Attempt, Phase, Why};
use crate::state::boxes::{self, BoxRecord, Request};
use crate::state::lock;
use crate::state::overrides::Overrides;
use crate::ui;

/// How long a word is at most that chooses what a program does, and how many there are.
const LONGEST_VERB: usize = 20;
const MOST_VERBS: usize = 2;

impl Session<'_> {
    /// Makes a box in an attempt of which a record stays. Whoever holds the request's lock may; the box is not the
    /// line's yet. `None` if it would be the one that there is.
    pub(super) fn make(
        &self,
        launch: &Launch,
        (request, overrides): (&Request, &Overrides),
        why: Why,
    ) -> Result<Option<(Attempt, BoxRecord)>> {
        self.check_names(launch)?;
        let progress = ui::Progress::new(self.context.terminals.stderr, &doing(why, name_of(launch)));
        let sources = self.sources(launch)?;
        let mut resolved = self.resolve(launch, overrides, &sources.0)?;
        let mut making = self.making(launch, &mut resolved, sources.1)?;
        let active = boxes::find(&self.layout, request)?;
        self.clear(request, active.as_ref());
        let mut attempt = Attempt::begin(&self.layout, (request, overrides), why, active.as_ref())?;
        let made =
            self.carry_out(launch, (&mut attempt, &sources.0), (&mut making, resolved, active.as_ref()), &progress);
        let made = match made {
            Ok(Some(record)) => Ok(record),
            Ok(None) => {
                attempt.remove(&self.layout)?;
                return Ok(None);
            }
            Err(e) => Err(e),
        };
        let made = made.map(|mut record| {
            record.attempt = attempt.number;
            // Of a name that was typed otherwise than the package calls itself only the first line knew.
            let program = active.and_then(|active| active.default_program);
            record.default_program =
                program.filter(|name| record.programs.contains_key(name)).or(record.default_program);
            match why {
                Why::FirstStart => self.compile_later(launch, &record),
                Why::Update | Why::Build => self.compile(launch, &record),
            }
            record
        });
        let phases = progress.took().into_iter().map(|(name, took)| Phase { name, ms: took.as_millis() as u64 });
        let log = making.words.all();
        attempt.end(&self.layout, phases.collect(), &log, &made)?;
        Ok(Some((attempt, made.map_err(|e| explained(e, &log, request))?)))
    }

    /// What the tree would be resolved to now.
    pub(super) fn look_at_tree(
        &self,
        launch: &Launch,
        (making, resolved): (&mut Making<'_>, &mut Resolved),
        trust: &Trust,
        progress: &ui::Progress,
    ) -> Result<Lock> {
        self.check_builds(launch, resolved)?;
        self.prepare((making, resolved), trust, progress)?;
        progress.phase("resolving dependencies");
        let locked = making.look().map_err(|e| age::explain(e, launch, resolved.cutoff.as_ref()))?;
        resolved.settle(&locked)?;
        Ok(locked)
    }

    /// `None` if it came to what `active` is already.
    fn carry_out(
        &self,
        launch: &Launch,
        (attempt, trust): (&mut Attempt, &Trust),
        (making, mut resolved, active): (&mut Making<'_>, Resolved, Option<&BoxRecord>),
        progress: &ui::Progress,
    ) -> Result<Option<BoxRecord>> {
        let name = name_of(launch);
        self.check_builds(launch, &resolved)?;
        self.prepare((making, &mut resolved), trust, progress)?;
        progress.phase("installing");
        let mut installation = if active.is_some() { making.renew() } else { making.install() }?;
        let locked = installation.lock().map_err(|e| age::explain(e, launch, resolved.cutoff.as_ref()))?;
        resolved.settle(&locked)?;
        if let Some(active) = active
            && active.is_made_of(&resolved.packages, &locked)
            && (&active.base, &active.base_content) == (&making.base, &making.base_content)
            && (&active.apt, &active.overrides) == (&making.apt, &attempt.overrides)
            && active.scripts == self.scripts_of(launch, active)?
        {
            return Ok(None);
        }
        // What is refused is thrown away with the container, which may still be at work.
        self.check_known(launch, &locked, &resolved.packages)?;
        let Built { image, scripts, not_run, programs } =
            self.build(launch, (making, Some(installation)), &locked, attempt, progress)?;
        let request = &attempt.request;
        let own_name = resolved.packages.first().map_or(name, PinnedPackage::name);
        let mcp = is_server(name) || is_server(own_name) || locked.has_mcp_sdk(request.ecosystem);
        let programs = match request.ecosystem {
            Ecosystem::Npm => locked.bins.iter().map(|bin| (bin.clone(), None)).collect(),
            Ecosystem::Pypi => commit::parse_programs(&programs)?,
        };
        let mut record = BoxRecord::new(
            request.clone(),
            resolved.packages,
            image,
            (making.base.clone(), making.base_content.clone()),
            making.apt.clone(),
            resolved.default_program,
            programs,
            mcp,
            (locked.packages, locked.text),
        );
        (record.cutoff, record.overrides) = (resolved.cutoff, attempt.overrides.clone());
        (record.scripts, record.not_run) = (scripts, not_run);
        (record.command, record.verbs) = (launch.command.clone(), verbs(launch));
        boxes::keep_archives(&self.layout, request, &making.archives)?;
        Ok(Some(record))
    }

    /// Makes the image of a known box again, from its own lock.
    pub fn remake(&self, launch: &Launch, record: &BoxRecord) -> Result<()> {
        let _lock = lock::take(&self.layout.lock(&record.request.key()), || {})?;
        let again = format!("{} again", record.name());
        let progress = ui::Progress::new(self.context.terminals.stderr, &doing(Why::FirstStart, &again));
        let sources = self.sources(launch)?;
        let locked = Lock::parse(record.request.ecosystem, record.lock.clone())?;
        self.check_known(launch, &locked, &record.packages)?;
        let mut making = Making {
            engine: &self.engine,
            layout: &self.layout,
            ecosystem: record.request.ecosystem,
            base: record.base.clone(),
            base_content: String::new(),
            apt: self.recipes.apt(&record.packages, &record.overrides)?,
            wanted: wanted(record.request.ecosystem, &record.packages)?,
            name: image_word(launch),
            sources: sources.1,
            archives: boxes::archives(&self.layout, record)?,
            constraints: String::new(),
            cache: None,
            uv: Vec::new(),
            words: Words::default(),
        };
        making.ensure_base(&progress)?;
        let is_there = image_exists(&self.engine, &making.image(&locked))?;
        if !is_there {
            self.bring_tools(&mut making, &sources.0, &progress)?;
        }
        let mut attempt = Attempt::of_box(&self.layout, record)?;
        let mut record = record.clone();
        progress.phase("installing");
        let installation = if is_there { Ok(None) } else { making.reinstall(&locked).map(Some) };
        let built = installation
            .and_then(|installation| self.build(launch, (&making, installation), &locked, &mut attempt, &progress));
        let log = making.words.all();
        attempt.keep_log(&self.layout, &log)?;
        Built { image: record.image, scripts: record.scripts, not_run: record.not_run, .. } =
            built.map_err(|e| explained(e, &log, &record.request))?;
        (record.apt, record.base_content) = (making.apt, making.base_content);
        guest_id(self.engine.facts.architecture).clone_into(&mut record.guest);
        self.compile_later(launch, &record);
        attempt.made_again(&self.layout, &record)?;
        boxes::activate(&self.layout, &record)?;
        self.clear_steps(&attempt);
        Ok(())
    }

    /// What a container that fetches needs to reach the user's registries.
    pub fn sources(&self, launch: &Launch) -> Result<(Trust, Sources)> {
        let (settings, ecosystem) = (&self.settings, launch.launcher.ecosystem());
        settings.check(ecosystem)?;
        settings.may_fetch(ecosystem)?;
        let trust = Trust::load(self.context, settings)?;
        for note in settings.notes(ecosystem).iter().chain(&trust.notes) {
            ui::note(note);
        }
        let (public, secret) = self.tools_settings(launch, None)?;
        let proxies = match ecosystem {
            Ecosystem::Npm => &settings.npm.proxies,
            Ecosystem::Pypi => &settings.python.proxies,
        };
        let sources = Sources { public, secret, proxy: proxies.variables(), ca: trust.bundle_pem() };
        Ok((trust, sources))
    }

    /// npm's or uv's settings, without and with logins: the user's own, and nothing that was published after `moment`.
    fn tools_settings(&self, launch: &Launch, moment: Option<&str>) -> Result<(String, Option<String>)> {
        let registry = launch.registry.as_deref();
        Ok(match launch.launcher.ecosystem() {
            Ecosystem::Npm => {
                let npm = self.settings.npm.with_registry(registry)?.until(moment);
                (npm.npmrc_public(), npm.npmrc_secret(&npm.registries()))
            }
            Ecosystem::Pypi => {
                let python = self.settings.python.with_default(registry)?.until(moment);
                let variables = python.uv_public_env();
                let mut public: String =
                    variables.iter().map(|(k, v)| format!("export {k}={}\n", shell_words::quote(v))).collect();
                if launch.prerelease {
                    public.push_str("export UV_PRERELEASE=allow\n");
                }
                (public, python.netrc_secret())
            }
        })
    }

    /// What is to be made for a resolved line.
    pub fn making(&self, launch: &Launch, resolved: &mut Resolved, sources: Sources) -> Result<Making<'_>> {
        let (public, secret) = self.tools_settings(launch, resolved.cutoff.as_ref().map(|cutoff| &*cutoff.moment))?;
        Ok(Making {
            engine: &self.engine,
            layout: &self.layout,
            ecosystem: launch.launcher.ecosystem(),
            base: resolved.base.clone(),
            base_content: String::new(),
            apt: self.recipes.apt(&resolved.packages, &resolved.overrides)?,
            wanted: resolved.wanted(launch.launcher.ecosystem())?,
            constraints: launch.local.as_ref().map_or_else(String::new, |local| local.constraints.clone()),
            name: image_word(launch),
            sources: Sources { public, secret, ..sources },
            archives: std::mem::take(&mut resolved.archives),
            cache: Some(self.cache_of(launch.launcher.ecosystem()).name),
            uv: Vec::new(),
            words: Words::default(),
        })
    }
}

/// A name that says `mcp` as a word of its own is taken for an MCP server even if it brings its
/// own copy of the SDK.
fn is_server(name: &str) -> bool {
    name.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word.eq_ignore_ascii_case("mcp"))
}

/// What the lock step resolves.
pub(super) fn wanted(ecosystem: Ecosystem, packages: &[PinnedPackage]) -> Result<String> {
    Ok(match ecosystem {
        Ecosystem::Npm => {
            let mut dependencies = serde_json::Map::new();
            for package in packages {
                let version = match package.archive() {
                    Some(archive) => format!("{NPM_ARCHIVES}{archive}"),
                    None => package.version().to_owned(),
                };
                let other = dependencies.insert(package.name().to_owned(), version.clone().into());
                if other.is_some_and(|other| other != *version) {
                    return Err(Error::refused(format!("{} is asked for twice, and not the same", package.name()))
                        .hint("name each package once"));
                }
            }
            serde_json::json!({ "private": true, "dependencies": dependencies }).to_string()
        }
        Ecosystem::Pypi => packages.iter().map(|package| requirement(package) + "\n").collect(),
    })
}

/// As uv reads it; what the box brings along by its file.
fn requirement(package: &PinnedPackage) -> String {
    let Some(archive) = package.archive() else { return package.to_string() };
    let name = package.with_extras();
    format!("{name} @ {PYPI_ARCHIVES}{archive}")
}

/// Says where more was said, if anything was, and what might help.
fn explained(error: Error, log: &[u8], request: &Request) -> Error {
    let found = diagnosed(&error, log, request);
    let error = match found {
        Some(found) => error.because(&found.why).hint(found.command(&request.name())),
        None => error,
    };
    match log.is_empty() {
        true => error,
        false => error.hint(format!("jitbox log {}", shell_words::quote(&request.name()))),
    }
}

/// What is known of why a box could not be made.
pub(super) fn diagnosed(error: &Error, log: &[u8], request: &Request) -> Option<Diagnosis> {
    let said = format!("{error}\n{}", String::from_utf8_lossy(log));
    // What is read anew at each start is not built by name.
    let is_built = request.local.is_none() && request.contents.is_empty();
    diagnose(request.ecosystem, &said, &[]).filter(|_| is_built)
}

/// What is shown while a box is made.
fn doing(why: Why, name: &str) -> String {
    match why {
        Why::FirstStart => format!("preparing {name} (first start only)"),
        Why::Update => format!("updating {name}"),
        Why::Build => format!("building {name}"),
    }
}

/// The words that choose what a program with several modes does: those in front of the line's arguments that are
/// nothing but lower-case letters and dashes. Neither a path nor a key looks like that.
fn verbs(launch: &Launch) -> Vec<String> {
    let word = |arg: &OsString| {
        let text = arg.to_str()?;
        let plain = text.len() <= LONGEST_VERB && text.starts_with(|c: char| c.is_ascii_lowercase());
        let plain = plain && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        plain.then(|| text.to_owned())
    };
    launch.args.iter().map_while(word).take(MOST_VERBS).collect()
}

/// The name of the line's box, for people.
fn name_of(launch: &Launch) -> &str {
    let folder = launch.local.as_ref().and_then(|local| local.folder().file_name()).and_then(|name| name.to_str());
    folder.or(launch.packages.first().map(PackageSpec::name)).unwrap_or("python")
}

/// The first package's name as a component of an image's name (docker-tag(1): lower case,
/// digits, single separators).
fn image_word(launch: &Launch) -> String {
    let lower = name_of(launch).to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
    let joined = words.collect::<Vec<_>>().join("-");
    format!("{}-{joined}", launch.launcher.ecosystem())
}
