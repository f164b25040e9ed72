//! Homes: data and settings folders of a test's own, with boxes that are made once.
//!
//! A box costs seconds to make, so each is made once per lane, in the lane's seed, and its record
//! is copied. What is learned about an engine depends on the folders' names (rootless podman
//! keeps its images below one of them), so homes are lent out, not made anew each time.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jitbox::context::Context;
use jitbox::digest;
use jitbox::engine::Architecture;
use jitbox::image::uv;
use jitbox::registry::http::Client;
use jitbox::registry::pypi;
use jitbox::registry::settings::Settings;
use jitbox::registry::trust::Trust;

use super::lane::{Lane, lanes, processes};
use super::run::{finish, run};

/// Which way the link goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// What jitbox chooses once it knows the engine's kernel.
    Chosen,
    /// Forced to go over the engine's attach stream.
    Stream,
}

pub const CARRIERS: [Carrier; 2] = [Carrier::Chosen, Carrier::Stream];

impl Carrier {
    /// What stands in the container's command.
    pub fn word(self, lane: &Lane) -> &'static str {
        match (self, lane.engine()) {
            (Self::Stream, _) => "stdio",
            // Another kernel.
            (Self::Chosen, _) if lane.is_gvisor() => "stdio",
            (Self::Chosen, "podman") => "fd",
            (Self::Chosen, _) => "socket",
        }
    }
}

/// A line that gets its box made: any that ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    pub shim: &'static str,
    pub args: &'static [&'static str],
}

/// Node and its cow.
pub const COWSAY: Line = Line { shim: "npx-safe", args: &["-y", "cowsay", "moo"] };
/// Python without any package.
pub const PYTHON: Line = Line { shim: "uvx-safe", args: &["python", "-c", ""] };

/// A test's own data and settings.
pub struct Home {
    pub lane: &'static Lane,
    pub dir: PathBuf,
    carrier: Carrier,
    /// Given back to the pool in the end.
    pooled: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A failed test is no reason for the others to fail.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Homes that nobody uses, by lane.
static POOL: Mutex<BTreeMap<&str, Vec<PathBuf>>> = Mutex::new(BTreeMap::new());

type Seeds = BTreeMap<(&'static str, Line), Arc<Mutex<Option<PathBuf>>>>;

/// Where each line's box was made.
static SEEDS: Mutex<Seeds> = Mutex::new(BTreeMap::new());

impl Home {
    /// Empty folders: nothing is known, nothing is made.
    pub fn empty(lane: &'static Lane) -> Self {
        let home = Self::bare(lane);
        std::fs::create_dir_all(home.data()).unwrap();
        std::os::unix::fs::symlink(tools(), home.data().join("tools")).unwrap();
        home.own(&home.dir);
        home
    }

    /// The same without uv, which the first box of a Python package fetches.
    fn bare(lane: &'static Lane) -> Self {
        let dir = tempfile::Builder::new().prefix("jitbox-test-").tempdir_in("/tmp").unwrap().keep();
        let home = Self { lane, dir, carrier: Carrier::Chosen, pooled: false };
        home.furnish();
        home
    }

    /// Whether somebody still clears up after a start from here.
    pub fn has_keepers(&self) -> bool {
        let is_keeper = |pid: &u32| {
            let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let cwd = std::fs::read_link(format!("/proc/{pid}/cwd"));
            command.starts_with(b"jitbox-keeper") && cwd.is_ok_and(|cwd| cwd.starts_with(&self.dir))
        };
        processes().iter().any(is_keeper)
    }

    /// Folders in which the engine is known and the boxes of `lines` are there.
    pub fn warmed(lane: &'static Lane, carrier: Carrier, lines: &[&Line]) -> Self {
        let seeds: Vec<PathBuf> = lines.iter().map(|line| seed(lane, line)).collect();
        let mut home = match lock(&POOL).get_mut(&*lane.name).and_then(Vec::pop) {
            Some(dir) => Self { lane, dir, carrier: Carrier::Chosen, pooled: true },
            None => Self::empty(lane),
        };
        home.pooled = true;
        for seed in &seeds {
            home.copy_boxes(seed);
        }
        if !home.data().join("engines").exists() {
            // The first start here: jitbox learns what engine this is, and whose kernel it has.
            let python = seed(lane, &PYTHON);
            home.copy_boxes(&python);
            run(home.shim(PYTHON.shim, PYTHON.args), b"").ok();
            if !lines.contains(&&PYTHON) {
                for box_file in std::fs::read_dir(python.join("data/jitbox/boxes")).unwrap().flatten() {
                    let _ = std::fs::remove_file(home.boxes().join(box_file.file_name()));
                }
            }
        }
        home.carrier = carrier;
        home
    }

    /// jitbox's own files.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data/jitbox")
    }

    pub fn boxes(&self) -> PathBuf {
        self.data().join("boxes")
    }

    /// The records of boxes.
    pub fn records(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.boxes()).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "json")).collect()
    }

    /// Writes `config.toml`. What it does not say, but every test's has: releases may be of every age, since the tests'
    /// own registries publish theirs now; nobody on the internet is asked about packages, now or later; and gvisor's runtime.
    pub fn configure(&self, text: &str) {
        let mut settings: toml::Table = text.parse().unwrap();
        let packages = settings.entry("packages").or_insert(toml::Table::new().into()).as_table_mut().unwrap();
        packages.entry("age").or_insert("0 days".into());
        self.settle(settings);
    }

    /// The same with the ages that jitbox has by itself.
    pub fn configure_ages(&self, text: &str) {
        self.settle(text.parse().unwrap());
    }

    fn settle(&self, mut settings: toml::Table) {
        let packages = settings.entry("packages").or_insert(toml::Table::new().into()).as_table_mut().unwrap();
        packages.entry("osv").or_insert("off".into());
        settings.entry("updates").or_insert("off".into());
        if self.lane.is_gvisor() {
            settings.entry("runtime").or_insert("/usr/local/bin/runsc-jitbox".into());
        }
        self.write("config/jitbox/config.toml", &settings.to_string());
    }

    /// Writes a file of the lane's user.
    pub fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        self.own(&self.dir);
        path
    }

    /// A folder for a program's files, at a path without anything special in it.
    pub fn folder(&self, name: &str) -> PathBuf {
        let dir = self.dir.join(name);
        std::fs::create_dir_all(&dir).unwrap();
        self.own(&dir);
        dir
    }

    /// One of our programs, run by the lane's user on these folders. The process that is
    /// started becomes the program.
    pub fn shim(&self, program: &str, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        self.shim_with(&[], program, args)
    }

    /// The same with more environment, as `NAME=value`.
    pub fn shim_with(
        &self,
        environment: &[&str],
        program: &str,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Command {
        let mut command = self.lane.command("env");
        command.arg(format!("XDG_DATA_HOME={}", self.dir.join("data").display()));
        command.arg(format!("XDG_CONFIG_HOME={}", self.dir.join("config").display()));
        command.arg(format!("XDG_STATE_HOME={}", self.dir.join("log").display()));
        if self.carrier == Carrier::Stream {
            command.arg("JITBOX_CARRIER=stream");
        }
        command.args(environment).arg(binary(program)).args(args);
        command.current_dir(&self.dir);
        command
    }

    /// The same behind `setup`, a shell line that root runs in a mount namespace for the program alone.
    pub fn shim_in(&self, setup: &str, command: &Command) -> Command {
        assert_eq!(self.lane.uid, 0, "only root can mount");
        let mut inside = self.lane.command("unshare");
        inside.args(["--mount", "sh", "-euc", &format!("{setup}\nexec \"$@\""), "sh"]);
        // All but what takes it to the lane.
        inside.args(command.get_args().skip_while(|word| *word != "--").skip(1)).current_dir(&self.dir);
        inside
    }

    /// `npx-safe -y -p cowsay node -e SCRIPT ARGS…`
    pub fn node(&self, script: &str, args: &[&str]) -> Command {
        self.shim("npx-safe", ["-y", "-p", "cowsay", "node", "-e", script].iter().chain(args))
    }

    fn furnish(&self) {
        for dir in ["data", "config"] {
            std::fs::create_dir_all(self.dir.join(dir)).unwrap();
        }
        if self.lane.engine() == "podman" && self.lane.is_rootless() {
            // Its images are below XDG_DATA_HOME unless it is told where they are.
            let graphroot = format!("{}/.local/share/containers/storage", self.lane.env["HOME"]);
            let text = format!("[storage]\ndriver = \"overlay\"\ngraphroot = \"{graphroot}\"\n");
            self.write("config/containers/storage.conf", &text);
        }
        self.configure("");
        self.own(&self.dir);
    }

    fn copy_boxes(&self, seed: &Path) {
        let from = seed.join("data/jitbox");
        for entry in std::fs::read_dir(from.join("boxes")).unwrap().flatten() {
            std::fs::create_dir_all(self.boxes()).unwrap();
            std::fs::copy(entry.path(), self.boxes().join(entry.file_name())).unwrap();
        }
        for compiled in [from.join("compiled")].iter().filter(|dir| dir.exists()) {
            let copied = Command::new("cp").arg("-a").args([compiled, &self.data()]).status().unwrap();
            assert!(copied.success());
        }
        self.own(&self.data());
    }

    /// The folders of boxes' byte code.
    pub fn compiled(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.data().join("compiled")).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    /// Gives `path` and all below it to the lane's user.
    pub fn own(&self, path: &Path) {
        if self.lane.uid != 0 {
            let _ = own(path, self.lane.uid, self.lane.gid);
        }
    }
}

fn own(path: &Path, uid: u32, gid: u32) -> std::io::Result<()> {
    std::os::unix::fs::lchown(path, Some(uid), Some(gid))?;
    if path.symlink_metadata()?.is_dir() {
        for entry in std::fs::read_dir(path)?.flatten() {
            // Something may be removed while we look.
            let _ = own(&entry.path(), uid, gid);
        }
    }
    Ok(())
}

impl Drop for Home {
    fn drop(&mut self) {
        // They clear up by the engine's settings that are here.
        let until = Instant::now() + Duration::from_secs(20);
        while self.has_keepers() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(50));
        }
        self.remove_volumes();
        if !self.pooled || std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.dir);
            return;
        }
        // Only what is known about the engine stays.
        for kept in [self.dir.clone(), self.data()] {
            for entry in std::fs::read_dir(kept).into_iter().flatten().flatten() {
                let path = entry.path();
                if ["data", "config", "engines", "jitbox", "containers", "tools"].iter().any(|n| path.ends_with(n)) {
                    continue;
                }
                let _ = std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path));
            }
        }
        let _ = std::fs::remove_dir_all(self.dir.join("config/jitbox"));
        self.configure("");
        lock(&POOL).entry(&self.lane.name).or_default().push(self.dir.clone());
    }
}

/// One of our programs.
pub fn binary(name: &str) -> &'static str {
    match name {
        "npx-safe" => env!("CARGO_BIN_EXE_npx-safe"),
        "uvx-safe" => env!("CARGO_BIN_EXE_uvx-safe"),
        "jitbox" => env!("CARGO_BIN_EXE_jitbox"),
        _ => panic!("`{name}` is none of our programs"),
    }
}

/// The folder in which the line's box was made.
fn seed(lane: &'static Lane, line: &Line) -> PathBuf {
    if lane.is_gvisor() {
        // The same engine and images, and its sandbox has no network to fetch anything.
        return seed(lanes().iter().find(|lane| lane.name == "podman5").unwrap(), line);
    }
    let slot = lock(&SEEDS).entry((&lane.name, *line)).or_default().clone();
    let mut made = lock(&slot);
    if let Some(dir) = &*made {
        return dir.clone();
    }
    let home = Home::bare(lane);
    // Some are fetched from a server of the tests'.
    let served = line.args.iter().any(|arg| arg.contains("//127.0.0.1:"));
    let direct: &[&str] = if served { &["NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1"] } else { &[] };
    let mut command = home.shim_with(direct, line.shim, line.args);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // What is done beside a first start has its time: no other start is to find it undone.
    let until = Instant::now() + Duration::from_secs(15);
    let is_settled = || match line.shim {
        "npx-safe" => home.compiled().iter().any(|dir| dir.read_dir().is_ok_and(|mut files| files.next().is_some())),
        _ => !home.records().is_empty(),
    };
    while child.try_wait().unwrap().is_none() && !is_settled() && (home.records().is_empty() || Instant::now() < until)
    {
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(child.stdin.take());
    let done = finish(child);
    let records = home.records();
    assert!(!records.is_empty(), "no box was made for {line:?} ({})\n{}", done.status, done.words());
    let dir = home.dir.clone();
    std::mem::forget(home);
    *made = Some(dir.clone());
    dir
}

/// Where uv is for all homes but the seeds: fetched once, and found there by the next run.
fn tools() -> &'static Path {
    static TOOLS: LazyLock<PathBuf> = LazyLock::new(|| {
        let context = Context::read();
        let architecture = if cfg!(target_arch = "x86_64") { Architecture::X86_64 } else { Architecture::Aarch64 };
        let (dir, wheel) = (Path::new(env!("CARGO_TARGET_TMPDIR")).join("tools"), uv::wheel(architecture));
        let path = dir.join(wheel.file);
        if std::fs::read(&path).is_ok_and(|bytes| digest::full(&bytes) == wheel.sha256) {
            return dir;
        }
        let settings = Settings::load(&context);
        let client = Client::for_archives(&Trust::load(&context, &settings).unwrap());
        let bytes = pypi::file(&client, &settings.python, uv::PROJECT, wheel.file, wheel.sha256).unwrap();
        std::fs::create_dir_all(&dir).unwrap();
        // Another run may be doing the same.
        let file = tempfile::NamedTempFile::new_in(&dir).unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
        file.persist(path).unwrap();
        dir
    });
    &TOOLS
}

/// Removes the seeds' boxes, with their images, and all folders.
pub fn clear_up() {
    let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
    for ((lane, _), slot) in std::mem::take(&mut *lock(&SEEDS)) {
        let Some(dir) = lock(&slot).take() else { continue };
        let Some(lane) = lanes().iter().find(|l| l.name == lane) else { continue };
        folders.insert(dir.clone());
        let home = Home { lane, dir, carrier: Carrier::Chosen, pooled: false };
        home.remove_boxes();
    }
    for dir in lock(&POOL).values().flatten().chain(&folders) {
        let _ = std::fs::remove_dir_all(dir);
    }
}

impl Home {
    /// The names of the volumes that packages have here.
    pub fn volumes(&self) -> Vec<String> {
        self.names("volumes")
    }

    /// The names of the volumes with what was fetched.
    pub fn caches(&self) -> Vec<String> {
        self.names("caches")
    }

    /// The records in one of our folders.
    fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.data().join(folder)).into_iter().flatten().flatten();
        entries.filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".json")?.to_owned())).collect()
    }

    /// The engine has no volume of a test's when it is over.
    fn remove_volumes(&self) {
        for name in [self.volumes(), self.caches()].concat() {
            // The container of a killed program may be in the way for a moment.
            for _ in 0..50 {
                let removed = self.lane.engine_command(&["volume", "rm", &name]).output();
                if removed.is_ok_and(|output| output.status.success()) {
                    break;
                }
                if self.lane.engine_says(&["volume", "inspect", &name]).is_empty() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(200));
            }
        }
    }

    /// What was said once may be said again.
    pub fn forget_told(&self) {
        let _ = std::fs::remove_dir_all(self.data().join("told"));
    }

    /// `jitbox rm` of every box, with its image.
    pub fn remove_boxes(&self) {
        let listed = run(self.shim("jitbox", ["ls", "--json"]), b"");
        let rows: Vec<serde_json::Value> = serde_json::from_slice(&listed.stdout).unwrap_or_default();
        let names: Vec<&str> = rows.iter().filter_map(|row| row["name"].as_str()).collect();
        if !names.is_empty() {
            let done = run(self.shim("jitbox", ["rm"].iter().chain(&names)), b"");
            if !done.status.success() || !done.stderr.is_empty() {
                eprintln!("{}: jitbox rm: {}", self.lane.name, done.words());
            }
        }
    }
}
