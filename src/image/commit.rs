//! From what a container has left to an image with a name and labels.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use super::install::Installation;
use super::lock::Lock;
use super::making::{Making, unfinished};
use super::present::{LOOK_LIMIT, image_exists};
use super::template::{self, ADD, LABEL, guest};
use super::{storage, uv};
use crate::digest;
use crate::engine::argv::{self, HOME_LABEL, RUN_LABEL};
use crate::error::{Doing, Error, Result};
use crate::exec::Cmd;
use crate::package::Ecosystem;
use crate::plan::{CommitPlan, LabelPlan};
use crate::policy;
use crate::state::runs::{Ends, Run};
use crate::supervise::strays;

/// How long an engine may take to make an image.
const COMMIT_LIMIT: Duration = Duration::from_secs(600);
/// How often an image is made whose name the engine loses.
const TRIES: usize = 3;

impl Making<'_> {
    /// The image's name: everything that goes in decides it. (The certificate authorities do not: they only matter for
    /// fetching what the lock's hashes already fix.)
    pub fn image(&self, lock: &Lock) -> String {
        let mut all = Vec::new();
        let apt = self.apt.join(" ");
        let tool = if self.ecosystem == Ecosystem::Pypi { uv::VERSION } else { "" };
        let parts =
            [template::install(self.ecosystem), tool, &self.base, &self.base_content, &apt, &self.wanted, &lock.text];
        for part in parts.map(str::as_bytes).into_iter().chain([guest(self.engine.facts.architecture)]) {
            all.extend_from_slice(&(part.len() as u64).to_le_bytes());
            all.extend_from_slice(part);
        }
        format!("localhost/jitbox/{}:{}", self.name, digest::short(&all))
    }

    /// The name of an image with `made`, an archive, on top of another.
    pub fn image_with(&self, image: &str, made: &[u8]) -> String {
        let all = [ADD.as_bytes(), b"\0", image.as_bytes(), b"\0", made].concat();
        format!("localhost/jitbox/{}:{}", self.name, digest::short(&all))
    }

    /// Makes that image, unless it is there already.
    pub fn add(&self, image: &str, made: &[u8]) -> Result<()> {
        let added = self.image_with(image, made);
        if image_exists(self.engine, &added)? {
            return Ok(());
        }
        let words = ["sh", "-c", ADD].map(str::to_owned).to_vec();
        let plan = policy::adding(self.layout, self.engine, image, words);
        Installation::start(self, plan, made.to_vec())?.finish_and_remove(&added)
    }

    /// How the image is made of a container, as data.
    pub fn commit_plan(&self, container: &str, image: &str, labels: Vec<(String, String)>) -> CommitPlan {
        let own = [(HOME_LABEL.to_owned(), self.layout.id()), (RUN_LABEL.to_owned(), container.to_owned())];
        let labels = own.into_iter().chain(labels).collect();
        CommitPlan { container: container.to_owned(), image: image.to_owned(), labels }
    }

    /// Makes an image of the container of `run`.
    pub(super) fn commit(&self, run: &Run, image: &str, labels: Vec<(String, String)>) -> Result<()> {
        let mut plan = self.commit_plan(&run.name, image, labels);
        let labels = (!self.engine.commits_labels()).then(|| std::mem::take(&mut plan.labels));
        if labels.is_some() {
            plan.image = argv::unlabelled(&run.name);
        }
        // Several of podman's command lines share one list of images, and each writes all of it: with 4.3, names that
        // one gave were now and then gone when another had given one at the same time.
        for _ in 0..TRIES {
            self.make(run, argv::commit(self.engine, &plan), Vec::new())?;
            if self.engine.makes_by_daemon() || image_exists(self.engine, &plan.image)? {
                return labels.map_or(Ok(()), |labels| self.label(run, image, labels));
            }
        }
        Err(Error::failed("the image could not be made")
            .because(format!("{} loses the name that it has", self.engine.kind.name()))
            .hint("start again when it has less to do"))
    }

    /// The same image with labels, and under its own name.
    fn label(&self, run: &Run, image: &str, labels: Vec<(String, String)>) -> Result<()> {
        let context = run.folder_for("context")?;
        let file = context.join("Dockerfile");
        std::fs::write(&file, LABEL).doing(|| format!("can't write `{}`", file.display()))?;
        let base = argv::unlabelled(&run.name);
        let plan = LabelPlan { base: base.clone(), image: image.to_owned(), context, labels };
        self.make(run, argv::label(self.engine, &plan), Vec::new())?;
        let command = Cmd::engine(self.engine, argv::remove_images(self.engine, &[base]));
        command.checked(command.output(&[], LOOK_LIMIT)?).map(drop)
    }

    fn make(&self, run: &Run, args: Vec<OsString>, more: Vec<(OsString, OsString)>) -> Result<()> {
        let is_first = more.is_empty();
        let command = Cmd::engine(self.engine, args.clone()).with_environment(strays::mark(&run.name));
        let command = command.with_environment(more);
        // It comes to its end by itself, and soon; stopped in the middle, podman leaves half an image.
        let output = command.output_into(run.words()?, COMMIT_LIMIT, |pid| run.owns(pid, Ends::ByItself))?;
        if output.status.success() {
            return Ok(());
        }
        if is_first && storage::is_why(&output.stdout) {
            return self.make(run, args, storage::environment(self.engine, run)?);
        }
        self.words.add("image", &output.stdout, &self.sources);
        Err(unfinished("the image could not be made", output.status, &output.stdout))
    }
}

/// The lock in the image's labels: each package with its hashes, in pieces that every engine takes (containerd: 4096
/// bytes for a name and its value), and without anything that a Dockerfile's `LABEL` would read otherwise.
pub fn labels(lock: &Lock) -> Vec<(String, String)> {
    const PIECE: usize = 3800;
    let mut labels = vec![("io.jitbox.lock.sha256".to_owned(), digest::full(lock.text.as_bytes()))];
    let mut pieces = vec![String::new()];
    for package in &lock.packages {
        // npm has one hash for a package; a wheel's hashes are in the record.
        let hash = if package.integrity.len() == 1 { package.integrity[0].as_str() } else { "" };
        let mut entry = format!("{}@{}={hash};", package.name, package.version);
        entry.retain(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\' | '$'));
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
