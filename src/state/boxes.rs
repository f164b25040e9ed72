//! Boxes on disk: a locked package with its image.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::overrides::Overrides;
use super::{Layout, attempts, store, told};
use crate::digest;
use crate::engine::Architecture;
use crate::error::{Error, Result};
use crate::image::lock::{Lock, Locked};
use crate::image::template::guest_id;
use crate::launch::Launch;
use crate::launch::project::Local;
use crate::package::source::Source;
use crate::package::{Ecosystem, PackageSpec, PinnedPackage};
use crate::policy::age::Cutoff;
use crate::policy::grant;
use crate::registry::sourced::Archive;

/// What a line asks for, as far as it decides which box it gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Where the packages come from.
    pub ecosystem: Ecosystem,
    /// The package specs, the one that provides the command first.
    pub packages: Vec<String>,
    /// The Python that was asked for.
    pub python: Option<String>,
    /// The registry that the line names.
    pub registry: Option<String>,
    /// A digest of the user's own settings of where packages come from, unless that is nowhere
    /// but the public registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<String>,
    /// Pre-releases count as other versions do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prerelease: bool,
    /// What the image is for.
    pub architecture: Architecture,
    /// The local project that the box is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<Folder>,
    /// What each package that is on this machine has, by its SHA-256.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contents: Vec<String>,
}

/// A local project, as far as it decides which box it gets: its code does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    /// Where it is.
    pub root: String,
    /// A digest of its own name and commands, and of the versions that its lock has.
    pub says: String,
}

impl From<&Local> for Folder {
    fn from(local: &Local) -> Self {
        let wheel = local.editable.iter().flat_map(|editable| editable.bytes.iter());
        let says: Vec<u8> = local.constraints.bytes().chain([0]).chain(wheel.copied()).collect();
        Self { root: local.root.clone(), says: digest::short(&says) }
    }
}

fn content(spec: &PackageSpec) -> Option<String> {
    match spec.source() {
        Some(Source::Local(package)) => Some(package.content.clone()),
        _ => None,
    }
}

impl Request {
    /// What `launch` asks for, with the user's own `sources` and the `python` that it comes to.
    pub fn new(launch: &Launch, sources: Option<String>, python: Option<String>, architecture: Architecture) -> Self {
        Self {
            ecosystem: launch.launcher.ecosystem(),
            packages: launch.packages.iter().map(ToString::to_string).collect(),
            python,
            registry: launch.registry.clone(),
            sources,
            prerelease: launch.prerelease,
            architecture,
            local: launch.local.as_ref().map(Folder::from),
            contents: launch.packages.iter().filter_map(content).collect(),
        }
    }

    /// Whether it asks for the same packages of this machine, when those had another content.
    pub fn has_other_contents(&self, other: &Self) -> bool {
        let same = Self { contents: other.contents.clone(), ..self.clone() };
        self.contents != other.contents && same == *other
    }

    /// The name that people know its box by.
    pub fn name(&self) -> String {
        match &self.local {
            Some(folder) => grant::local(&folder.root),
            None => name(&self.packages),
        }
    }

    /// The name of its record.
    pub fn key(&self) -> String {
        // A struct of strings always serialises.
        digest::short(&serde_json::to_vec(self).unwrap_or_default())
    }
}

/// The version of the record's format.
const FORMAT: u32 = 1;

/// A box: everything that a start needs to know without asking anybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoxRecord {
    format: u32,
    /// What was asked for.
    pub request: Request,
    /// What was decided on, in the order of the request.
    pub packages: Vec<PinnedPackage>,
    /// The image's name.
    pub image: String,
    /// The guest in the image: another version of jitbox has another one.
    #[serde(default)]
    pub guest: String,
    /// The base image's name.
    pub base: String,
    /// What was in it: its layers' ChainID.
    #[serde(default)]
    pub base_content: String,
    /// Debian packages in the image.
    pub apt: Vec<String>,
    /// The attempt that it came of; 0 if that was not kept.
    #[serde(default)]
    pub attempt: u32,
    /// What it was made with besides what the line says.
    #[serde(default, skip_serializing_if = "Overrides::is_empty")]
    pub overrides: Overrides,
    /// The command of the line that it was made for, if that named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The words in front of that line's arguments: `stdio`, or `server start`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verbs: Vec<String>,
    /// npm: packages whose install scripts ran when it was made.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub scripts: BTreeSet<String>,
    /// npm: packages with install scripts that did not run, and what those say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub not_run: BTreeMap<String, String>,
    /// The program that the line means when it names no command.
    pub default_program: Option<String>,
    /// Every executable, and the package that provides it where that is known.
    pub programs: BTreeMap<String, Option<String>>,
    /// It is an MCP server: it ends when its input ends.
    pub mcp: bool,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    /// From when on nothing was taken into the tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cutoff: Option<Cutoff>,
    /// The tree.
    pub tree: Vec<Locked>,
    /// The lock as the package manager wrote it.
    pub lock: String,
}

impl BoxRecord {
    /// A new record, made now.
    #[expect(clippy::too_many_arguments, reason = "a plain record")]
    pub fn new(
        request: Request,
        packages: Vec<PinnedPackage>,
        image: String,
        (base, base_content): (String, String),
        apt: Vec<String>,
        default_program: Option<String>,
        programs: BTreeMap<String, Option<String>>,
        mcp: bool,
        (tree, lock): (Vec<Locked>, String),
    ) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let guest = guest_id(request.architecture).to_owned();
        Self {
            format: FORMAT,
            request,
            packages,
            image,
            guest,
            base,
            base_content,
            apt,
            attempt: 0,
            overrides: Overrides::default(),
            command: None,
            verbs: Vec::new(),
            scripts: BTreeSet::new(),
            not_run: BTreeMap::new(),
            default_program,
            programs,
            mcp,
            created: now.as_secs(),
            cutoff: None,
            tree,
            lock,
        }
    }

    /// One of `packages` for tests, without anything in it.
    #[cfg(test)]
    pub fn sample(ecosystem: Ecosystem, packages: Vec<String>) -> Self {
        let request = Request {
            ecosystem,
            packages,
            python: None,
            registry: None,
            sources: None,
            prerelease: false,
            architecture: Architecture::X86_64,
            local: None,
            contents: Vec::new(),
        };
        let (image, base) = ("image".to_owned(), ("base".to_owned(), String::new()));
        let nothing = (Vec::new(), String::new());
        Self::new(request, Vec::new(), image, base, Vec::new(), None, BTreeMap::new(), false, nothing)
    }

    /// The name that people know it by.
    pub fn name(&self) -> String {
        self.request.name()
    }

    /// Whether a box of these would be the same.
    pub fn is_made_of(&self, packages: &[PinnedPackage], locked: &Lock) -> bool {
        self.packages == packages && self.lock == locked.text
    }

    /// The name of what is kept for this very box, and not for the one that takes its place.
    pub fn place(&self) -> String {
        match self.attempt {
            0 | 1 => self.request.key(),
            number => format!("{}-{number}", self.request.key()),
        }
    }
}

/// The name of the box that a line gets.
pub fn name_for(launch: &Launch) -> String {
    match &launch.local {
        Some(local) => grant::local(&local.root),
        None => name(&launch.packages),
    }
}

/// The name of a box of these packages.
fn name(packages: &[impl ToString]) -> String {
    packages.iter().map(ToString::to_string).collect::<Vec<_>>().join(" + ")
}

/// The record for a request, if there is a box and its record can be read.
pub fn find(layout: &Layout, request: &Request) -> Result<Option<BoxRecord>> {
    let found: Option<BoxRecord> = store::read(layout, &layout.box_record(&request.key()))?;
    Ok(found.filter(|record| record.format == FORMAT && record.request == *request))
}

/// Keeps the packages of a box that are in no registry: they may be gone from where they were,
/// and a wheel that is built again may be another one.
pub fn keep_archives(layout: &Layout, request: &Request, archives: &[Archive]) -> Result<()> {
    let dir = layout.archives(&request.key());
    archives.iter().try_for_each(|archive| store::write_bytes(&dir.join(&archive.name), &archive.bytes))
}

/// The packages that were kept for a box.
pub fn archives(layout: &Layout, record: &BoxRecord) -> Result<Vec<Archive>> {
    let dir = layout.archives(&record.request.key());
    let names = record.packages.iter().filter_map(PinnedPackage::archive);
    let read = |name: &str| {
        let bytes = std::fs::read(dir.join(name)).map_err(|e| {
            Error::failed(format!("`{}` can't be made again", record.name()))
                .because(format!("{name} is gone: {e}"))
                .hint(format!("jitbox rm {}", shell_words::quote(&record.name())))
        })?;
        Ok(Archive { name: name.to_owned(), bytes })
    };
    names.map(read).collect()
}

/// Makes `record` the box for its request.
pub fn activate(layout: &Layout, record: &BoxRecord) -> Result<()> {
    store::write(&layout.box_record(&record.request.key()), record)
}

/// The images of a box, and of the boxes that it took the place of.
pub fn images(layout: &Layout, record: &BoxRecord) -> Result<Vec<String>> {
    let attempts = attempts::of(layout, &record.request)?;
    let of_attempts = attempts.iter().flat_map(|attempt| attempt.images()).map(str::to_owned);
    let mut images: Vec<String> = of_attempts.chain([record.image.clone()]).collect();
    images.sort();
    images.dedup();
    Ok(images)
}

/// Forgets a box.
pub fn forget(layout: &Layout, record: &BoxRecord) -> Result<()> {
    store::remove(&layout.box_record(&record.request.key()))?;
    store::remove(&layout.told(&record.request.key()))?;
    store::remove(&layout.told(&told::newer(&record.request.key())))?;
    store::remove(&layout.told(&told::unreached(&record.request.key())))?;
    store::remove(&layout.told(&told::lacks(&record.request.key())))?;
    attempts::forget(layout, &record.request)?;
    store::remove_folder(&layout.compiled(&record.place()))?;
    store::remove_folder(&layout.archives(&record.request.key()))
}

/// All boxes, by name.
pub fn all(layout: &Layout) -> Result<Vec<BoxRecord>> {
    let mut boxes: Vec<BoxRecord> = store::all(layout, &layout.boxes(), "boxes")?;
    boxes.sort_by_key(BoxRecord::name);
    Ok(boxes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_from_before_releases_had_an_age() {
        let mut record = BoxRecord::sample(Ecosystem::Npm, vec!["p".to_owned()]);
        let read = |record: &BoxRecord| {
            let text = serde_json::to_string(record).unwrap();
            (text.contains("cutoff"), serde_json::from_str::<BoxRecord>(&text).unwrap())
        };
        assert_eq!(read(&record), (false, record.clone()));
        record.cutoff = Some(Cutoff { moment: "2026-01-31T00:00:00.000Z".into(), why: "why".into() });
        assert_eq!(read(&record), (true, record));
    }
}
