//! Base images: which are in use, what is in them now, and which boxes were made of what they were before.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::Session;
use super::newer::DAY;
use crate::engine::argv;
use crate::error::{Error, Result};
use crate::exec::Cmd;
use crate::image::base::MADE;
use crate::image::present;
use crate::launch::Launch;
use crate::registry::http::Client;
use crate::registry::oci;
use crate::registry::trust::Trust;
use crate::state::boxes::{self, BoxRecord};
use crate::state::{bases, told};
use crate::ui;

/// How long an engine may take to read images from a file.
const LOAD_LIMIT: Duration = Duration::from_secs(600);
/// How long making images may take: it fetches some hundred packages.
const MAKE_LIMIT: Duration = Duration::from_secs(1800);

/// What makes base images of distribution packages.
const MAKE: &str = include_str!("../../scripts/base-images");

/// A base image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Base {
    /// Its name.
    pub image: String,
    /// What is in it: its layers' ChainID; none if it is not there.
    pub content: Option<String>,
    /// Since when it was seen to be that, in seconds since 1970.
    pub since: Option<u64>,
    /// The boxes that were made of it.
    pub boxes: Vec<String>,
    /// Those that were made of what it was before: they are made again when they start next.
    pub outdated: Vec<String>,
}

/// What a registry has, beside what is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum There {
    /// The same.
    Same,
    /// Another one.
    Other,
    /// Something; here is nothing.
    Missing,
    /// Something; what is here comes of no registry.
    Own,
}

impl Session<'_> {
    /// The base images that boxes are made of, and those that the next ones would be. What is in them is looked at now.
    pub fn bases(&self) -> Result<Vec<Base>> {
        let records = boxes::all(&self.layout)?;
        let images = &self.config.images;
        let next = [images.node(&[])?.image, images.python(&[], None)?.image];
        let names: BTreeSet<&String> = records.iter().map(|record| &record.base).chain(&next).collect();
        names.into_iter().map(|image| self.base(image, &records)).collect()
    }

    /// One of them.
    fn base(&self, image: &str, records: &[BoxRecord]) -> Result<Base> {
        let content = present::content(&self.engine, image)?;
        if let Some(content) = &content {
            bases::learn(&self.layout, &self.engine, image, content)?;
        }
        let known = bases::find(&self.layout, &self.engine, image)?.filter(|_| content.is_some());
        let of_it: Vec<&BoxRecord> = records.iter().filter(|record| record.base == image).collect();
        let outdated = of_it.iter().filter(|record| content.as_ref().is_some_and(|now| is_other(record, now)));
        Ok(Base {
            outdated: outdated.map(|record| record.name()).collect(),
            boxes: of_it.iter().map(|record| record.name()).collect(),
            image: image.to_owned(),
            since: known.map(|known| known.since),
            content,
        })
    }

    /// Has the engine fetch a base image anew. Whether it is another one now.
    pub fn pull_base(&self, image: &str) -> Result<(Base, bool)> {
        let before = present::content(&self.engine, image)?;
        present::pull(&self.engine, image, &self.settings.npm.proxies.variables())?;
        let base = self.base(image, &boxes::all(&self.layout)?)?;
        let is_other = base.content != before;
        Ok((base, is_other))
    }

    /// Asks its registry whether there is another one under its name.
    pub fn check_base(&self, image: &str) -> Result<There> {
        let trust = Trust::load(self.context, &self.settings)?;
        let there = oci::digest(&Client::new(&trust), &self.settings.npm.proxies, image)?;
        Ok(match present::digests(&self.engine, image)? {
            None => There::Missing,
            Some(here) if here.is_empty() => There::Own,
            Some(here) if here.contains(&there) => There::Same,
            Some(_) => There::Other,
        })
    }

    /// Looks at a base image that somebody may have fetched by hand, and once a day asks its registry for a newer one.
    pub(super) fn newer_base(&self, image: &str) -> Result<Option<There>> {
        if let Some(content) = present::content(&self.engine, image)? {
            bases::learn(&self.layout, &self.engine, image, &content)?;
        }
        let (asked, now) = (told::base_of_registry(image), SystemTime::now());
        if told::lately(&self.layout, &asked, DAY, now) {
            return Ok(None);
        }
        told::mark(&self.layout, &asked, now);
        self.check_base(image).map(Some)
    }

    /// Makes base images of distribution packages, where no registry for images can be reached, and has the engine read
    /// them: their names, as the engine says them.
    pub fn make_bases(&self) -> Result<Vec<Base>> {
        let progress = ui::Progress::new(self.context.terminals.stderr, "making base images");
        let doing = "the base images could not be made";
        let folder = tempfile::tempdir().map_err(|e| Error::failed(doing).because(e))?;
        let words = ["-c", MAKE, "base-images", "make"].map(std::ffi::OsString::from);
        let args = words.into_iter().chain([folder.path().into()]).collect();
        let environment = self.context.env.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        progress.phase("fetching packages (some minutes)");
        let output = Cmd::new(Path::new("/bin/bash"), args, environment).output(&[], MAKE_LIMIT)?;
        if !output.status.success() {
            return Err(Error::failed(doing).because(crate::exec::last_words(&output.stderr)).hint(
                "needed are npm, mmdebstrap, and for others than root uidmap: apt-get install mmdebstrap uidmap",
            ));
        }
        for (file, _) in MADE {
            progress.phase(&format!("loading {file}"));
            let command = Cmd::engine(&self.engine, argv::load(&self.engine, &folder.path().join(file)));
            command.checked(command.output(&[], LOAD_LIMIT)?)?;
        }
        self.bases()
    }

    /// Whether a box's base image was seen to be another one since.
    pub(super) fn has_other_base(&self, record: &BoxRecord) -> Result<bool> {
        let known = bases::find(&self.layout, &self.engine, &record.base)?;
        Ok(known.is_some_and(|known| is_other(record, &known.content)))
    }

    /// Makes a box of another base image. What fails is not tried again within an hour: there is a box, which does.
    pub(super) fn rebase(&self, launch: &Launch, record: BoxRecord) -> Result<BoxRecord> {
        if !told::is_due(&self.layout, &told::base(&record.request.key()), SystemTime::now()) {
            return Ok(record);
        }
        if let Err(error) = self.remake(launch, &record) {
            ui::failure(&error);
            ui::note(&format!("its base image, {}, is a newer one; what is there is started", record.base));
        }
        Ok(boxes::find(&self.layout, &record.request)?.unwrap_or(record))
    }
}

/// Whether a box was made of something else. What was made before that was remembered is not asked.
fn is_other(record: &BoxRecord, now: &str) -> bool {
    !record.base_content.is_empty() && record.base_content != now
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_has_the_names_that_boxes_ask_for() {
        let list = |name: &str| {
            let line = MAKE.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            let words = line.trim_matches(['=', '(', ')']).split(' ');
            words.map(|word| word.trim_start_matches("docker.io/library/").to_owned()).collect::<Vec<_>>()
        };
        let made: Vec<(String, String)> = list("files").into_iter().zip(list("names")).collect();
        assert_eq!(made, MADE.map(|(file, name)| (file.to_owned(), name.to_owned())));
        let asked = crate::config::Images::default();
        assert_eq!([asked.node(&[]).unwrap().image, asked.python(&[], None).unwrap().image], [MADE[0].1, MADE[2].1]);
    }
}
