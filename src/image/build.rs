//! Making an image: resolve the whole tree to a lock, fetch it in a build, read what it offers.
//!
//! None of the packages' own code runs in any of these steps; [`super::wheel`] has the one that
//! runs some.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::lock::Lock;
use super::template::{guest, template};
use super::words::Words;
use crate::engine::argv;
use crate::engine::{Builder, Engine};
use crate::error::{Doing, Error, Kind, Result};
use crate::exec::{Cmd, last_words};
use crate::package::Ecosystem;
use crate::plan::BuildPlan;
use crate::policy::{self, Decided};
use crate::registry::auth::Secret;
use crate::registry::sourced::Archive;
use crate::state::runs::{Ends, Run};
use crate::state::{Layout, private_dir};
use crate::supervise::keeper::{Keeper, Task};
use crate::supervise::strays;
use crate::{digest, supervise, ui};

/// How long npm or uv may take to resolve a tree.
const LOCK_LIMIT: Duration = Duration::from_secs(300);
/// How long a build may take.
const BUILD_LIMIT: Duration = Duration::from_secs(1200);
/// How long a base image may take to arrive.
const PULL_LIMIT: Duration = Duration::from_secs(900);
/// How often an image is built whose name, or whose base image's, the engine loses.
const TRIES: usize = 3;
/// How long an engine may take for a look.
const LOOK_LIMIT: Duration = Duration::from_secs(30);

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
    fn proxy_script(&self) -> String {
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

    /// The image's name: everything that goes in decides it. (The certificate authorities do
    /// not: they only matter for fetching what the lock's hashes already fix.)
    pub fn image(&self, lock: &Lock) -> String {
        let t = template(self.ecosystem, self.engine.facts.builder);
        let mut all = Vec::new();
        let apt = self.apt.join(" ");
        let parts = [t.dockerfile, t.install, t.prepare, &self.base, &apt, &self.wanted, &lock.text];
        for part in parts.map(str::as_bytes).into_iter().chain([guest(self.engine.facts.architecture)]) {
            all.extend_from_slice(&(part.len() as u64).to_le_bytes());
            all.extend_from_slice(part);
        }
        format!("localhost/jitbox/{}:{}", self.name, digest::short(&all))
    }

    /// Builds the image, unless it is there already.
    pub fn build(&self, lock: &Lock) -> Result<()> {
        let image = self.image(lock);
        if image_exists(self.engine, &image)? {
            return Ok(());
        }
        if self.sources.secret.is_some() && !self.engine.builds_with_secrets() {
            return Err(Error::refused("this docker can't keep a registry's token out of the image")
                .because("it has only the classic builder, without build secrets")
                .hint("apt install docker-buildx, or set `engine = \"podman\"` in jitbox's config.toml"));
        }
        for _ in 0..TRIES {
            if self.build_once(lock, &image)? {
                return Ok(());
            }
        }
        Err(Error::failed("the image could not be built")
            .because(format!("{} loses the name that it has, or its base", self.engine.kind.name()))
            .hint("start again when it has less to do"))
    }

    /// False if podman lost a name meanwhile. Several of its command lines share one list of images and each writes all
    /// of it: with 4.3, names that one gave were now and then gone when another had given one at the same time.
    fn build_once(&self, lock: &Lock, image: &str) -> Result<bool> {
        let by_buildah = self.engine.facts.builder == Builder::Buildah;
        let run = Run::begin(self.layout, self.engine)?;
        let context = self.context(&run, lock)?;
        let secrets = self.secrets(&run)?;
        let mut base = self.base.clone();
        if by_buildah {
            base = argv::build_base(&run.name);
            let command = Cmd::engine(self.engine, argv::tag(self.engine, &self.base, &base));
            command.checked(command.output(&[], LOOK_LIMIT)?)?;
        }
        let plan = self.plan(lock, &run.name, base.clone(), &context, secrets.as_deref());
        let command = Cmd::engine(self.engine, argv::build(self.engine, &plan))
            .with_environment(argv::build_environment(self.engine));
        let name = run.name.clone();
        let output = self.guarded("image", run, command, |command, run| {
            command.output_into(run.words()?, BUILD_LIMIT, |pid| run.owns(pid, Ends::Stopped))
        })?;
        // Of a build, unlike of the other steps, there is nothing but words.
        self.words.add("image", &output.stdout, &self.sources);
        if output.status.success() {
            if by_buildah {
                Cmd::engine(self.engine, argv::remove_images(self.engine, &[base])).output(&[], LOOK_LIMIT)?;
            }
            return Ok(!by_buildah || image_exists(self.engine, image)?);
        }
        // One that was killed is the keeper's.
        if output.status.code().is_some() {
            let is_lost = by_buildah && !image_exists(self.engine, &base)?;
            for command in supervise::clearing(self.engine, &name) {
                command.output(&[], LOOK_LIMIT)?;
            }
            if is_lost {
                return Ok(false);
            }
        }
        Err(unfinished("the image could not be built", output.status, &output.stdout))
    }

    /// The build as data.
    pub fn plan(&self, lock: &Lock, run: &str, base: String, context: &Path, secrets: Option<&Path>) -> BuildPlan {
        let secret = |id: &str| secrets.map(|dir| (id.to_owned(), dir.join(id)));
        BuildPlan {
            image: self.image(lock),
            context: context.to_owned(),
            args: vec![("BASE".into(), base), ("APT".into(), self.apt.join(" ")), ("RUN".into(), run.to_owned())],
            labels: labels(lock),
            secrets: ["npmrc", "netrc", "proxy"]
                .into_iter()
                .filter_map(secret)
                .filter(|(_, path)| path.exists())
                .collect(),
        }
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

    /// The build's context: a fresh folder with generated files only.
    fn context(&self, run: &Run, lock: &Lock) -> Result<PathBuf> {
        let dir = run.build_folder("context")?;
        let t = template(self.ecosystem, self.engine.facts.builder);
        let (wanted, locked, public) = match self.ecosystem {
            Ecosystem::Npm => ("package.json", "package-lock.json", "npmrc"),
            Ecosystem::Pypi => ("requirements.in", "requirements.txt", "index"),
        };
        let files: [(&str, &[u8]); 8] = [
            ("Dockerfile", t.dockerfile.as_bytes()),
            ("install.sh", t.install.as_bytes()),
            ("prepare.sh", t.prepare.as_bytes()),
            ("guest", guest(self.engine.facts.architecture)),
            ("ca.pem", &self.sources.ca),
            (wanted, self.wanted.as_bytes()),
            (locked, lock.text.as_bytes()),
            (public, self.sources.public.as_bytes()),
        ];
        for (name, bytes) in files {
            put(&dir.join(name), bytes, if name == "guest" { 0o755 } else { 0o644 })?;
        }
        let archives = dir.join("archives");
        private_dir(&archives)?;
        for archive in &self.archives {
            put(&archives.join(&archive.name), &archive.bytes, 0o644)?;
        }
        Ok(dir)
    }

    /// A second folder for what must not be in the context.
    fn secrets(&self, run: &Run) -> Result<Option<PathBuf>> {
        if !self.engine.builds_with_secrets() || (self.sources.secret.is_none() && self.sources.proxy.is_empty()) {
            return Ok(None);
        }
        let dir = run.secrets_folder()?;
        let id = match self.ecosystem {
            Ecosystem::Npm => "npmrc",
            Ecosystem::Pypi => "netrc",
        };
        if let Some(secret) = &self.sources.secret {
            put(&dir.join(id), secret.as_bytes(), 0o600)?;
        }
        if !self.sources.proxy.is_empty() {
            put(&dir.join("proxy"), self.sources.proxy_script().as_bytes(), 0o600)?;
        }
        Ok(Some(dir))
    }
}

/// Why a step came to nothing: its own words, and the signal if it was ended from outside.
pub(super) fn unfinished(what: &str, status: std::process::ExitStatus, words: &[u8]) -> Error {
    use std::os::unix::process::ExitStatusExt;
    let words = last_words(words);
    Error::failed(what).because(match status.signal() {
        Some(signal) if words.is_empty() => format!("the engine's client was ended by signal {signal}"),
        Some(signal) => format!("the engine's client was ended by signal {signal}; {words}"),
        None => words,
    })
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

fn put(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, bytes)
        .and_then(|()| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)))
        .doing(|| format!("can't write `{}`", path.display()))
}

/// The lock in the image's labels: each package with its hashes, in pieces that every engine
/// take (containerd: 4096 bytes for a name and its value).
fn labels(lock: &Lock) -> Vec<(String, String)> {
    const PIECE: usize = 3800;
    let mut labels = vec![("io.jitbox.lock.sha256".to_owned(), digest::full(lock.text.as_bytes()))];
    let mut pieces = vec![String::new()];
    for package in &lock.packages {
        // npm has one hash for a package; a wheel's hashes are in the record.
        let hash = if package.integrity.len() == 1 { package.integrity[0].as_str() } else { "" };
        let entry = format!("{}@{} {hash};", package.name, package.version);
        if pieces.last().is_some_and(|piece| piece.len() + entry.len() > PIECE) {
            pieces.push(String::new());
        }
        if let Some(piece) = pieces.last_mut() {
            piece.push_str(&entry);
        }
    }
    labels.extend(pieces.into_iter().enumerate().map(|(i, piece)| (format!("io.jitbox.lock.{i}"), piece)));
    labels
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

/// Where `programs.json` is in an image of PyPI packages.
pub const PROGRAMS: &str = "/jitbox/programs.json";

/// Reads the console scripts and the packages that they belong to.
pub fn parse_programs(bytes: &[u8]) -> Result<BTreeMap<String, Option<String>>> {
    let found: BTreeMap<String, String> =
        serde_json::from_slice(bytes).doing(|| "the image does not say what programs it has".into())?;
    Ok(found.into_iter().map(|(name, package)| (name, Some(package))).collect())
}
