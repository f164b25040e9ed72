//! Building images: of a locked tree, and of what install scripts made of one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::lock::Lock;
use super::making::{LOOK_LIMIT, Making, image_exists, unfinished};
use super::template::{SCRIPTED, guest, template};
use crate::engine::Builder;
use crate::engine::argv::{self, HOME_LABEL};
use crate::error::{Doing, Error, Result};
use crate::exec::Cmd;
use crate::package::Ecosystem;
use crate::plan::BuildPlan;
use crate::state::private_dir;
use crate::state::runs::{Ends, Run};
use crate::{digest, supervise};

/// How long a build may take.
const BUILD_LIMIT: Duration = Duration::from_secs(1200);
/// How often an image is built whose name, or whose base image's, the engine loses.
const TRIES: usize = 3;

/// Writes a build's context into a folder.
type Fill<'a> = Box<dyn Fn(&Path) -> Result<()> + 'a>;

/// One image to be built.
struct Build<'a> {
    image: String,
    base: &'a str,
    labels: Vec<(String, String)>,
    context: Fill<'a>,
    /// Whether it needs a network, and secrets.
    fetches: bool,
}

impl Making<'_> {
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
        self.build_of(&self.fetching(lock))
    }

    /// The name of an image with `made`, an archive, on top of another.
    pub fn image_with(&self, image: &str, made: &[u8]) -> String {
        let all = [SCRIPTED.as_bytes(), b"\0", image.as_bytes(), b"\0", made].concat();
        format!("localhost/jitbox/{}:{}", self.name, digest::short(&all))
    }

    /// Builds that image, unless it is there already.
    pub fn build_with(&self, image: &str, made: &[u8]) -> Result<()> {
        let added = self.image_with(image, made);
        if image_exists(self.engine, &added)? {
            return Ok(());
        }
        self.build_of(&Build {
            image: added,
            base: image,
            labels: Vec::new(),
            context: Box::new(|dir| {
                put(&dir.join("Dockerfile"), SCRIPTED.as_bytes(), 0o644)?;
                put(&dir.join("scripts.tar"), made, 0o644)
            }),
            fetches: false,
        })
    }

    fn build_of(&self, build: &Build<'_>) -> Result<()> {
        for _ in 0..TRIES {
            if self.build_once(build)? {
                return Ok(());
            }
        }
        Err(Error::failed("the image could not be built")
            .because(format!("{} loses the name that it has, or its base", self.engine.kind.name()))
            .hint("start again when it has less to do"))
    }

    /// False if podman lost a name meanwhile. Several of its command lines share one list of images and each writes all
    /// of it: with 4.3, names that one gave were now and then gone when another had given one at the same time.
    fn build_once(&self, build: &Build<'_>) -> Result<bool> {
        let by_buildah = self.engine.facts.builder == Builder::Buildah;
        let run = Run::begin(self.layout, self.engine)?;
        let context = run.build_folder("context")?;
        (build.context)(&context)?;
        let secrets = if build.fetches { self.secrets(&run)? } else { None };
        let mut base = build.base.to_owned();
        if by_buildah {
            base = argv::build_base(&run.name);
            let command = Cmd::engine(self.engine, argv::tag(self.engine, build.base, &base));
            command.checked(command.output(&[], LOOK_LIMIT)?)?;
        }
        let plan = self.planned(build, &run.name, base.clone(), context, secrets.as_deref());
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
            return Ok(!by_buildah || image_exists(self.engine, &build.image)?);
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

    /// The build that fetches, as data.
    pub fn plan(&self, lock: &Lock) -> BuildPlan {
        self.planned(&self.fetching(lock), "RUN", self.base.clone(), "CONTEXT".into(), None)
    }

    fn fetching<'b>(&'b self, lock: &'b Lock) -> Build<'b> {
        Build {
            image: self.image(lock),
            base: &self.base,
            labels: labels(lock),
            context: Box::new(|dir| self.context(dir, lock)),
            fetches: true,
        }
    }

    fn planned(
        &self,
        build: &Build<'_>,
        run: &str,
        base: String,
        context: PathBuf,
        secrets: Option<&Path>,
    ) -> BuildPlan {
        let secret = |id: &str| secrets.map(|dir| (id.to_owned(), dir.join(id)));
        let mut args = vec![("BASE".into(), base), ("RUN".into(), run.to_owned())];
        args.extend(build.fetches.then(|| ("APT".into(), self.apt.join(" "))));
        BuildPlan {
            image: build.image.clone(),
            context,
            args,
            labels: build.labels.iter().cloned().chain([(HOME_LABEL.to_owned(), self.layout.id())]).collect(),
            secrets: ["npmrc", "netrc", "proxy"]
                .into_iter()
                .filter_map(secret)
                .filter(|(_, path)| path.exists())
                .collect(),
        }
    }

    /// Fills the build's context, a fresh folder, with generated files only.
    fn context(&self, dir: &Path, lock: &Lock) -> Result<()> {
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
        Ok(())
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

/// Where `programs.json` is in an image of PyPI packages.
pub const PROGRAMS: &str = "/jitbox/programs.json";

/// Reads the console scripts and the packages that they belong to.
pub fn parse_programs(bytes: &[u8]) -> Result<BTreeMap<String, Option<String>>> {
    let found: BTreeMap<String, String> =
        serde_json::from_slice(bytes).doing(|| "the image does not say what programs it has".into())?;
    Ok(found.into_iter().map(|(name, package)| (name, Some(package))).collect())
}
