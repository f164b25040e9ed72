//! Finds the engine to use.
//!
//! The order: the user's settings, `JITBOX_ENGINE`, docker if `DOCKER_HOST` or `DOCKER_CONTEXT`
//! is set, podman if `CONTAINER_HOST` or `CONTAINER_CONNECTION` is set, else the first of podman,
//! docker and nerdctl that is there and answers.
//!
//! What was learned is remembered ([`cache`]). A start that finds its engine remembered asks the
//! file system only; whether the engine is alive shows when it is used ([`forget`]).

mod cache;
mod candidate;
mod choice;
mod endpoint;
mod environment;
mod probe;
#[cfg(test)]
mod tests;
mod trouble;

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use sha2::{Digest, Sha256};

use self::cache::{Memory, Record};
use self::candidate::Candidate;
pub use self::choice::Why;
use self::choice::wanted;
use self::probe::Probed;
use crate::config::Config;
use crate::context::Context;
use crate::engine::{Engine, Facts, Kind};
use crate::error::{Error, Result};
use crate::exec::Cmd;
use crate::state::{Layout, lock};

/// A virtual machine that has to wake up first takes its time.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where programs often are that small environments don't have on their path.
const PROGRAM_DIRS: [&str; 9] = [
    "/usr/local/bin",
    "/usr/bin",
    "/bin",
    "/opt/homebrew/bin",
    "/opt/local/bin",
    "/opt/podman/bin",
    "/snap/bin",
    "/Applications/Docker.app/Contents/Resources/bin",
    "/Applications/OrbStack.app/Contents/MacOS/xbin",
];
/// The same, under the home directory.
const HOME_PROGRAM_DIRS: [&str; 3] = [".docker/bin", ".rd/bin", ".orbstack/bin"];

/// What detection asks of the machine; tests put their own in its place.
struct Machine<'a> {
    program_dirs: Vec<PathBuf>,
    docker_socket: PathBuf,
    run: &'a dyn Fn(&Cmd) -> Result<Output>,
}

impl Machine<'_> {
    fn this(context: &Context) -> Self {
        let home = HOME_PROGRAM_DIRS.iter().map(|dir| context.home.join(dir));
        Self {
            program_dirs: PROGRAM_DIRS.iter().map(PathBuf::from).chain(home).collect(),
            docker_socket: "/var/run/docker.sock".into(),
            run: &|cmd| cmd.output(&[], PATIENCE),
        }
    }
}

/// One engine, as looked at by [`survey`].
#[derive(Debug)]
pub struct Found {
    /// Its kind.
    pub kind: Kind,
    /// Its program, if there is one.
    pub program: Option<PathBuf>,
    /// The options that pin its endpoint.
    pub endpoint: Vec<std::ffi::OsString>,
    /// It is driven because this `docker` is podman.
    pub instead_of: Option<PathBuf>,
    /// There is no program of that name.
    pub missing: bool,
    /// The engine, or why it can't be used.
    pub engine: Result<Engine>,
}

/// Every kind of engine on this machine.
#[derive(Debug)]
pub struct Survey {
    /// All of them, in the order of preference.
    pub found: Vec<Found>,
    /// Which of them is used.
    pub chosen: Option<usize>,
    /// What decided.
    pub why: Why,
    /// The kinds that may be used, in order.
    pub wanted: Vec<Kind>,
}

/// Finds the engine to use.
pub fn find(context: &Context, config: &Config, layout: &Layout) -> Result<Engine> {
    find_on(&Machine::this(context), context, config, layout)
}

/// Looks at every engine, asking each of them anew.
pub fn survey(context: &Context, config: &Config, layout: &Layout) -> Result<Survey> {
    survey_on(&Machine::this(context), context, config, layout)
}

/// Remembers whether `engine`'s boxes share our kernel, as a box has shown.
pub fn learn_same_kernel(layout: &Layout, engine: &Engine, same: bool) -> Result<()> {
    cache::note(layout, engine, |facts| facts.same_kernel = Some(same))
}

/// Remembers that a local link did not reach into `engine`'s boxes.
pub fn learn_local_refused(layout: &Layout, engine: &Engine) -> Result<()> {
    cache::note(layout, engine, |facts| facts.local_refused = true)
}

/// Forgets what is known about `engine`: for when it could not be reached.
pub fn forget(layout: &Layout, engine: &Engine) -> Result<()> {
    cache::forget(layout, engine)
}

fn find_on(machine: &Machine<'_>, context: &Context, config: &Config, layout: &Layout) -> Result<Engine> {
    let search = Search { machine, context, config, layout };
    let wanted = wanted(context, config)?;
    let mut failures = Vec::new();
    let mut passed_over: Vec<Candidate> = Vec::new();
    for &kind in &wanted.kinds {
        match search.candidate(kind, wanted.program.as_deref()) {
            Ok(Some(candidate)) => match search.attempt(candidate, true) {
                Attempt::Usable(engine) => return Ok(*engine),
                Attempt::Failed(error) => failures.push(error),
                Attempt::PassedOver(candidate) => passed_over.push(*candidate),
            },
            Ok(None) => {}
            Err(error) => failures.push(error),
        }
    }
    // That an engine did not work only counts as long as another one does.
    for candidate in passed_over {
        match search.attempt(candidate, false) {
            Attempt::Usable(engine) => return Ok(*engine),
            Attempt::Failed(error) => failures.push(error),
            Attempt::PassedOver(_) => {}
        }
    }
    Err(match failures.len() {
        0 => trouble::nothing_found(&wanted.kinds),
        1 => failures.remove(0),
        _ => trouble::none_usable(failures),
    })
}

fn survey_on(machine: &Machine<'_>, context: &Context, config: &Config, layout: &Layout) -> Result<Survey> {
    let search = Search { machine, context, config, layout };
    let wanted = wanted(context, config)?;
    let mut found: Vec<Found> = Vec::new();
    for kind in Kind::ALL {
        let named = wanted.program.as_deref().filter(|_| wanted.kinds == [kind]);
        found.push(match search.candidate(kind, named) {
            Ok(Some(candidate)) => search.look(kind, candidate),
            Ok(None) => Found { missing: true, ..Found::without_program(kind, trouble::nothing_found(&[kind])) },
            Err(error) => Found::without_program(kind, error),
        });
    }
    let usable = |kind: &Kind| found.iter().position(|f| f.kind == *kind && f.engine.is_ok());
    let chosen = wanted.kinds.iter().find_map(usable);
    Ok(Survey { found, chosen, why: wanted.why, wanted: wanted.kinds })
}

impl Found {
    fn without_program(kind: Kind, error: Error) -> Self {
        Self { kind, program: None, endpoint: Vec::new(), instead_of: None, missing: false, engine: Err(error) }
    }
}

struct Search<'a> {
    machine: &'a Machine<'a>,
    context: &'a Context,
    config: &'a Config,
    layout: &'a Layout,
}

enum Attempt {
    Usable(Box<Engine>),
    Failed(Error),
    /// It did not work the last time, and nothing has changed since.
    PassedOver(Box<Candidate>),
}

impl Search<'_> {
    fn candidate(&self, kind: Kind, named: Option<&Path>) -> Result<Option<Candidate>> {
        candidate::of(self.context, self.machine, kind, named, self.config.runtime.as_deref())
    }

    /// Uses what is remembered about `candidate`, else asks it.
    fn attempt(&self, candidate: Candidate, pass_over: bool) -> Attempt {
        let fingerprint = cache::fingerprint(self.context, &candidate);
        let mut same_kernel = None;
        match cache::recall(self.layout, &candidate, &fingerprint) {
            Memory::Holds(Record { is_podman: true, .. }) => {
                return match candidate::podman_instead(self.context, self.machine, &candidate) {
                    Ok(podman) => self.attempt(podman, pass_over),
                    Err(error) => Attempt::Failed(error),
                };
            }
            Memory::Holds(Record { facts: Some(facts), .. }) => {
                return Attempt::Usable(Box::new(candidate.engine(facts)));
            }
            Memory::Holds(_) if pass_over => return Attempt::PassedOver(Box::new(candidate)),
            Memory::Aged(same) => same_kernel = same,
            Memory::Holds(_) | Memory::Nothing => {}
        }
        // Many first starts at once ask once: an engine that is asked by all of them at a time may
        // not answer any in time.
        let _asking = lock::take(&self.layout.lock("engines"), || {}).ok();
        if let Memory::Holds(Record { facts: Some(facts), .. }) = cache::recall(self.layout, &candidate, &fingerprint) {
            return Attempt::Usable(Box::new(candidate.engine(facts)));
        }
        match self.ask(candidate, fingerprint, same_kernel) {
            Ok((candidate, facts)) => Attempt::Usable(Box::new(candidate.engine(facts))),
            Err(error) => Attempt::Failed(error),
        }
    }

    /// Asks `candidate`, follows a docker that is podman, and remembers the answer.
    fn ask(
        &self,
        candidate: Candidate,
        fingerprint: Vec<String>,
        same_kernel: Option<bool>,
    ) -> Result<(Candidate, Facts)> {
        let probed = probe::probe(self.machine, &candidate);
        let mut record = Record { fingerprint, facts: None, is_podman: matches!(probed, Ok(Probed::Podman)) };
        if let Ok(Probed::Usable(facts)) = &probed {
            record.facts = Some(Facts { same_kernel, ..facts.clone() });
        }
        cache::remember(self.layout, &candidate, &record);
        match (probed?, record.facts) {
            (Probed::Usable(_), Some(facts)) => Ok((candidate, facts)),
            _ => {
                let podman = candidate::podman_instead(self.context, self.machine, &candidate)?;
                let fingerprint = cache::fingerprint(self.context, &podman);
                self.ask(podman, fingerprint, None)
            }
        }
    }

    /// Asks `candidate` whatever is remembered; only whether its kernel is ours is kept.
    fn look(&self, kind: Kind, candidate: Candidate) -> Found {
        let fingerprint = cache::fingerprint(self.context, &candidate);
        let same_kernel = match cache::recall(self.layout, &candidate, &fingerprint) {
            Memory::Holds(record) => record.facts.and_then(|facts| facts.same_kernel),
            Memory::Aged(same) => same,
            Memory::Nothing => None,
        };
        let mut found = Found {
            kind,
            program: Some(candidate.program.clone()),
            endpoint: candidate.endpoint.args.clone(),
            instead_of: candidate.instead_of.clone(),
            missing: false,
            engine: Err(Error::failed("not asked")),
        };
        found.engine = self.ask(candidate, fingerprint, same_kernel).map(|(candidate, facts)| {
            found.program = Some(candidate.program.clone());
            found.endpoint.clone_from(&candidate.endpoint.args);
            found.instead_of.clone_from(&candidate.instead_of);
            candidate.engine(facts)
        });
        found
    }
}

/// The SHA-256 of `bytes`, in hex.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
