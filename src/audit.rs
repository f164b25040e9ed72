//! The log of what was run, what it was given, what was refused, and what it used:
//! `$XDG_STATE_HOME/jitbox/audit.jsonl`, one JSON object a line. Names of variables stand in it,
//! never their values, and of a line's arguments only how many there were.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use jitbox_guest::protocol::End;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::engine::Engine;
use crate::error::{Doing, Error, Kind, Result};
use crate::launch::Launch;
use crate::plan::Network;
use crate::policy::Policy;
use crate::registry::cutoff;
use crate::state::boxes::BoxRecord;
use crate::state::{Layout, private_dir};
use crate::supervise::Outcome;

/// A file that has grown to this is put aside; one such is kept.
const MOST: u64 = 4 << 20;

/// The longest line. What is longer loses its lists.
const LONGEST: usize = 32 << 10;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When, in UTC: `2026-01-31T12:00:00.000Z`.
    pub time: String,
    /// What belongs together.
    pub run: String,
    /// The box's name, as `jitbox ls` shows it; empty if it never came so far.
    pub package: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// A program is about to start.
    Start(Box<Start>),
    /// It has ended.
    End {
        /// Its exit code, if it returned one.
        exit: Option<u8>,
        /// The signal that ended it.
        signal: Option<i32>,
        /// Which limit it met, as it was said on standard error.
        limits: Option<String>,
        /// How long it took, with the start.
        seconds: f64,
        /// The most bytes of memory at a time; 0 if nobody knows.
        memory: u64,
        /// Milliseconds of processor time; 0 if nobody knows.
        cpu_ms: u64,
    },
    /// The line, or something that it needs, is not allowed.
    Refused {
        /// What, and why.
        what: String,
    },
    /// It could not be run.
    Failed {
        /// What, and why.
        what: String,
    },
}

/// What a program was started with.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Start {
    /// The exact packages.
    pub packages: Vec<String>,
    /// The command, if the line named one.
    pub command: Option<String>,
    /// How many arguments it got.
    pub arguments: usize,
    /// On which engine.
    pub engine: String,
    /// The image.
    pub image: String,
    /// `none`, or the engine's network.
    pub network: String,
    /// Host paths that it may read.
    pub read: Vec<PathBuf>,
    /// Host paths that it may change.
    pub write: Vec<PathBuf>,
    /// Its home is kept.
    pub keeps: bool,
    /// Names of its variables.
    pub environment: Vec<String>,
    /// Names of variables that were held back.
    pub held_back: Vec<String>,
    /// Host paths that stayed outside.
    pub not_mounted: Vec<PathBuf>,
    /// The lists were too long and were left out.
    pub cut: bool,
}

impl Start {
    fn of(launch: &Launch, record: &BoxRecord, policy: &Policy, engine: &Engine) -> Self {
        let paths = |writable| {
            policy.mounts.iter().filter(move |m| m.mount.writable == writable).map(|m| m.mount.source.clone())
        };
        Self {
            packages: record.packages.iter().map(ToString::to_string).collect(),
            command: launch.command.clone(),
            arguments: launch.args.len(),
            engine: engine.kind.name().to_owned(),
            image: record.image.clone(),
            network: if policy.network == Network::None { "none" } else { "engine" }.to_owned(),
            read: paths(false).collect(),
            write: paths(true).collect(),
            keeps: policy.keeps,
            environment: policy.environment.keys().cloned().collect(),
            held_back: policy.held_back.clone(),
            not_mounted: policy.not_mounted.iter().map(|(path, _)| path.clone()).collect(),
            cut: false,
        }
    }

    fn without_lists(&self) -> Self {
        let Self { command, arguments, engine, image, network, .. } = self.clone();
        Self { command, arguments, engine, image, network, cut: true, ..Self::default() }
    }
}

/// The log, and one run's part of it.
pub struct Log {
    path: PathBuf,
    run: String,
    package: String,
    since: Instant,
}

impl Log {
    /// The log, for something that happens now.
    pub fn new(context: &Context) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let run = format!("{}-{now}", std::process::id());
        Self { path: path(context), run, package: String::new(), since: Instant::now() }
    }

    /// Says which box it is about.
    pub fn about(&mut self, package: String) {
        self.package = package;
    }

    /// A program is about to start.
    pub fn start(&self, launch: &Launch, record: &BoxRecord, policy: &Policy, engine: &Engine) -> Result<()> {
        self.write(Event::Start(Box::new(Start::of(launch, record, policy, engine))))
    }

    /// It has ended, and `limits` is what was said about it.
    pub fn end(&self, outcome: &Outcome, limits: Option<String>) -> Result<()> {
        let (exit, signal) = match outcome.end {
            End::Exited(code) => (Some(code), None),
            End::Signaled(signal) => (None, Some(signal)),
            End::OverMemory(_) | End::OverPids(_) => (None, Some(nix::libc::SIGKILL)),
            End::NotStarted(_) | End::Changed(_) => (None, None),
        };
        let (memory, cpu_ms) = (outcome.usage.memory, outcome.usage.cpu_ms);
        self.write(Event::End { exit, signal, limits, seconds: self.since.elapsed().as_secs_f64(), memory, cpu_ms })
    }

    /// It came to nothing.
    pub fn failed(&self, error: &Error) -> Result<()> {
        let what = error.to_string();
        self.write(if error.kind == Kind::Refused { Event::Refused { what } } else { Event::Failed { what } })
    }

    fn write(&self, event: Event) -> Result<()> {
        let time = cutoff::at(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
        let entry =
            Entry { time: time.unwrap_or_default(), run: self.run.clone(), package: self.package.clone(), event };
        append(&self.path, &entry).doing(|| format!("can't write the log `{}`", self.path.display()))
    }
}

/// Where the log is.
pub fn path(context: &Context) -> PathBuf {
    Layout::new(context).log()
}

fn aside(path: &Path) -> PathBuf {
    path.with_extension("jsonl.1")
}

/// Everything in the log, the oldest first. Lines that can't be read are left out.
pub fn entries(context: &Context) -> Result<Vec<Entry>> {
    let path = path(context);
    let mut text = String::new();
    for file in [aside(&path), path] {
        match File::open(&file) {
            Ok(file) => file.take(2 * MOST).read_to_string(&mut text).map(drop),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(()),
            Err(e) => Err(e),
        }
        .doing(|| format!("can't read the log `{}`", file.display()))?;
    }
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// Appends a line with one write, which no other writer's can cut in two (open(2), O_APPEND).
fn append(path: &Path, entry: &Entry) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(entry)?;
    if line.len() >= LONGEST
        && let Event::Start(start) = &entry.event
    {
        let event = Event::Start(Box::new(start.without_lists()));
        line = serde_json::to_vec(&Entry { event, ..entry.clone() })?;
    }
    line.push(b'\n');
    let mut file = match open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            private_dir(path.parent().unwrap_or(path)).map_err(std::io::Error::other)?;
            open(path)?
        }
        opened => opened?,
    };
    if file.metadata()?.len() >= MOST && put_aside(path, &file)? {
        file = open(path)?;
    }
    file.write_all(&line)
}

fn open(path: &Path) -> std::io::Result<File> {
    File::options().create(true).append(true).mode(0o600).custom_flags(nix::libc::O_NOFOLLOW).open(path)
}

/// Puts the full file aside, unless somebody else is at it or has done it. Whoever still has it
/// open appends to it there.
fn put_aside(path: &Path, file: &File) -> std::io::Result<bool> {
    if file.try_lock().is_err() {
        return Ok(false);
    }
    let same =
        std::fs::symlink_metadata(path).is_ok_and(|now| file.metadata().is_ok_and(|ours| now.ino() == ours.ino()));
    if same {
        std::fs::rename(path, aside(path))?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn entry(run: &str) -> Entry {
        let event = Event::Refused { what: "w".into() };
        Entry { time: String::new(), run: run.into(), package: "p".into(), event }
    }

    fn context(home: &Path) -> Context {
        let mut context = Context::read();
        context.env = Default::default();
        context.home = home.to_owned();
        context
    }

    #[test]
    fn what_is_written_is_read_and_nobody_elses() {
        let home = tempfile::tempdir().unwrap();
        let context = context(home.path());
        assert_eq!(entries(&context).unwrap(), []);
        append(&path(&context), &entry("a")).unwrap();
        let start = Start { packages: vec!["cowsay@1.6.0".into()], arguments: 3, ..Start::default() };
        append(&path(&context), &Entry { event: Event::Start(Box::new(start)), ..entry("b") }).unwrap();
        std::fs::write(home.path().join("half"), "{").unwrap();
        let all = entries(&context).unwrap();
        assert_eq!(all[0], entry("a"));
        assert!(matches!(&all[1].event, Event::Start(start) if start.arguments == 3));
        let file = std::fs::metadata(path(&context)).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
        assert_eq!(path(&context).parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert!(path(&context).ends_with(".local/state/jitbox/audit.jsonl"));
    }

    #[test]
    fn a_full_file_is_put_aside_and_a_torn_line_is_left_out() {
        let home = tempfile::tempdir().unwrap();
        let context = context(home.path());
        append(&path(&context), &entry("a")).unwrap();
        let full = File::options().append(true).open(path(&context)).unwrap();
        (&full).write_all(b"{\"torn\n").unwrap();
        full.set_len(MOST).unwrap();
        (&full).write_all(b"\n").unwrap();
        append(&path(&context), &entry("b")).unwrap();
        assert!(aside(&path(&context)).exists());
        assert!(std::fs::metadata(path(&context)).unwrap().len() < 1000);
        let runs: Vec<String> = entries(&context).unwrap().into_iter().map(|entry| entry.run).collect();
        assert_eq!(runs, ["a", "b"]);
        // Somebody who still has the old file open puts nothing aside again.
        assert!(put_aside(&path(&context), &full).unwrap());
        assert!(path(&context).exists());
    }

    #[test]
    fn no_box_gets_it() {
        use crate::policy::deny::Places;
        use crate::policy::paths::Found;
        let home = tempfile::tempdir().unwrap();
        let mut context = context(&home.path().join("home"));
        // Not even where it is no place that is private anyway.
        context.env = [("XDG_STATE_HOME", home.path().join("elsewhere"))].into_iter().collect();
        append(&path(&context), &entry("a")).unwrap();
        let places = Places::look(&context.home, &Layout::new(&context).folders());
        for place in [path(&context), home.path().join("elsewhere/jitbox"), home.path().join("elsewhere")] {
            assert!(places.refusal(&Found::at(&place).unwrap()).is_some(), "{}", place.display());
        }
    }

    #[test]
    fn a_link_is_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let context = context(home.path());
        append(&path(&context), &entry("a")).unwrap();
        std::fs::remove_file(path(&context)).unwrap();
        std::os::unix::fs::symlink(home.path().join("other"), path(&context)).unwrap();
        assert!(append(&path(&context), &entry("b")).is_err());
        assert!(!home.path().join("other").exists());
    }

    #[test]
    fn endless_lists_are_cut() {
        let home = tempfile::tempdir().unwrap();
        let context = context(home.path());
        let start = Start { environment: vec!["N".repeat(100); 1000], engine: "podman".into(), ..Start::default() };
        append(&path(&context), &Entry { event: Event::Start(Box::new(start)), ..entry("b") }).unwrap();
        let all = entries(&context).unwrap();
        assert!(matches!(&all[0].event, Event::Start(s) if s.cut && s.environment.is_empty() && s.engine == "podman"));
    }

    #[test]
    fn a_line_costs_less_than_a_millisecond() {
        let home = tempfile::tempdir().unwrap();
        let context = context(home.path());
        let mut times: Vec<_> = (0..99)
            .map(|_| {
                let start = Instant::now();
                append(&path(&context), &entry("a")).unwrap();
                start.elapsed()
            })
            .collect();
        times.sort();
        assert!(times[49].as_micros() < 500, "two a start: {:?}", times[49]);
    }
}
