//! Housekeeping: what no line needs any more goes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::Session;
use super::images::{Gone, LIMIT, STILL_ENDING};
use crate::audit::{self, Event};
use crate::engine::argv;
use crate::error::Result;
use crate::exec::Cmd;
use crate::image::present;
use crate::registry::cutoff;
use crate::state::attempts::{self, Attempt};
use crate::state::boxes::{self, BoxRecord, Request};
use crate::state::{lock, store};

/// How long an attempt that came to nothing is kept to be read about.
const READABLE: Duration = Duration::from_hours(7 * 24);

/// What went, or would go.
#[derive(Debug, Default, Serialize)]
pub struct Pruned {
    /// Boxes that were not used for long, by name.
    pub boxes: Vec<String>,
    /// Attempts whose boxes nothing leads to.
    pub attempts: Vec<String>,
    /// Images of ours, by name.
    pub images: BTreeSet<String>,
    /// Volumes with what npm and uv have fetched.
    pub caches: BTreeSet<String>,
    /// Folders with what belonged to boxes that are gone.
    pub folders: Vec<PathBuf>,
    /// What could not be removed, and why.
    pub kept: BTreeSet<String>,
}

/// What is to go.
#[derive(Debug, Clone, Copy)]
pub struct Which {
    /// Boxes that were not used for so long, too.
    pub unused: Option<Duration>,
    /// Boxes that are more than so many bytes together, too: those that were used longest ago.
    pub most: Option<u64>,
    /// What npm and uv have fetched, too.
    pub cache: bool,
    /// Nothing does: it is only said.
    pub dry: bool,
}

impl Session<'_> {
    /// Removes what nothing leads to: what was made before the box that an active one took the place of, ended and old
    /// failed attempts, images and files that no box needs. What somebody is making right now is left alone; so is what
    /// packages keep.
    pub fn prune(&self, which: Which) -> Result<Pruned> {
        let now = SystemTime::now();
        let mut pruned = Pruned::default();
        let mut gone = Gone::default();
        let (records, all) = (boxes::all(&self.layout)?, attempts::all(&self.layout)?);
        let used = self.last_uses()?;
        let over = which.most.map(|most| self.over(most, &records, &used)).transpose()?.unwrap_or_default();
        let requests: BTreeMap<String, &Request> =
            records.iter().map(|r| &r.request).chain(all.iter().map(|a| &a.request)).map(|r| (r.key(), r)).collect();
        for (key, request) in requests {
            let Some(_lock) = lock::try_take(&self.layout.lock(&key))? else { continue };
            let active = boxes::find(&self.layout, request)?;
            let idle = |record: &BoxRecord| {
                let unused = now_since(now, last_use(record, &used));
                which.unused.is_some_and(|most| unused > most) || over.contains(&record.image)
            };
            let (going, active): (Option<BoxRecord>, _) =
                if active.as_ref().is_some_and(idle) { (active, None) } else { (None, active) };
            let old = self.needless(request, active.as_ref(), going.is_some(), now)?;
            let mut next = gone.clone();
            old.iter().for_each(|attempt| next.attempt(attempt));
            going.iter().for_each(|record| next.active(record));
            // Images first: whoever is killed in between leaves records, which the next one goes by.
            let of_attempts = old.iter().flat_map(Attempt::images).map(str::to_owned);
            let images = of_attempts.chain(going.iter().map(|record| record.image.clone())).collect();
            if !self.remove_images(images, &next, which, &mut pruned)? {
                continue;
            }
            gone = next;
            pruned.attempts.extend(old.iter().map(|attempt| format!("{} #{}", request.name(), attempt.number)));
            pruned.boxes.extend(going.iter().map(BoxRecord::name));
            if !which.dry {
                old.iter().try_for_each(|attempt| attempt.remove(&self.layout))?;
                going.iter().try_for_each(|record| boxes::forget(&self.layout, record))?;
            }
        }
        self.prune_folders(which, &mut pruned)?;
        for cache in if which.cache { self.caches()? } else { Vec::new() } {
            match if which.dry { Ok(()) } else { self.remove_cache(&cache)? } {
                Ok(()) => pruned.caches.insert(cache.name),
                Err(words) => pruned.kept.insert(format!("{}: {words}", cache.name)),
            };
        }
        // What is built after this is not among them.
        let list = Cmd::engine(&self.engine, argv::images_of(&self.engine, &self.layout.id()));
        let listed = list.checked(list.output(&[], LIMIT)?)?;
        let listed = String::from_utf8_lossy(&listed).lines().map(str::to_owned).collect();
        self.remove_images(listed, &gone, which, &mut pruned)?;
        Ok(pruned)
    }

    /// The attempts for a request that nothing leads to: all of them if its box goes.
    fn needless(
        &self,
        request: &Request,
        active: Option<&BoxRecord>,
        goes: bool,
        now: SystemTime,
    ) -> Result<Vec<Attempt>> {
        let all = attempts::of(&self.layout, request)?;
        let before = active.and_then(|active| attempts::before(&all, active)).map(|record| record.attempt);
        let kept = [active.map(|record| record.attempt), before];
        let is_needless = |attempt: &Attempt| {
            let readable = attempt.came_to_nothing() && now_since(now, attempt.started) <= READABLE;
            goes || !(kept.contains(&Some(attempt.number)) || readable)
        };
        Ok(all.iter().filter(|attempt| is_needless(attempt)).cloned().collect())
    }

    /// The images of the boxes that are too much, those that were used last being kept.
    fn over(&self, most: u64, records: &[BoxRecord], used: &BTreeMap<String, u64>) -> Result<BTreeSet<String>> {
        let mut by_use: Vec<&BoxRecord> = records.iter().collect();
        by_use.sort_by_key(|record| std::cmp::Reverse(last_use(record, used)));
        let (mut seen, mut over, mut all) = (BTreeSet::new(), BTreeSet::new(), 0);
        for record in by_use {
            // Two lines may have the same box.
            if seen.insert(&record.image) {
                all += self.size(record)?.unwrap_or_default();
                if all > most {
                    over.insert(record.image.clone());
                }
            }
        }
        Ok(over)
    }

    /// How many bytes a box's image has besides its base; `None` if it is not there.
    pub fn size(&self, record: &BoxRecord) -> Result<Option<u64>> {
        let (whole, base) = (present::size(&self.engine, &record.image)?, present::size(&self.engine, &record.base)?);
        Ok(whole.map(|whole| whole.saturating_sub(base.unwrap_or_default())))
    }

    /// When each image's box was started last, in seconds since 1970.
    fn last_uses(&self) -> Result<BTreeMap<String, u64>> {
        let mut last = BTreeMap::new();
        for entry in audit::entries(self.context)? {
            if let (Event::Start(start), Some(at)) = (entry.event, cutoff::seconds(&entry.time)) {
                last.insert(start.image, at);
            }
        }
        Ok(last)
    }

    /// Files that belong to boxes and attempts that are not there.
    fn prune_folders(&self, which: Which, pruned: &mut Pruned) -> Result<()> {
        if which.dry {
            return Ok(());
        }
        // In this order: what is made meanwhile is not among them.
        let entries = |dir| std::fs::read_dir(dir).into_iter().flatten().flatten().collect::<Vec<_>>();
        let (compiled, archives) = (entries(self.layout.compiled("")), entries(self.layout.archives("")));
        let (records, all) = (boxes::all(&self.layout)?, attempts::all(&self.layout)?);
        let of_attempts = all.iter().filter_map(|attempt| attempt.made.as_ref());
        let places: BTreeSet<String> = records.iter().chain(of_attempts).map(BoxRecord::place).collect();
        let keys: BTreeSet<String> =
            records.iter().map(|r| r.request.key()).chain(all.iter().map(|a| a.request.key())).collect();
        for (entries, known) in [(compiled, places), (archives, keys)] {
            for entry in entries {
                let name = entry.file_name().to_string_lossy().into_owned();
                // Whoever makes a box puts its files there before there is a record of it.
                let key = name.split('-').next().unwrap_or_default();
                if !known.contains(&name) && !lock::is_held(&self.layout.lock(key)) {
                    store::remove_folder(&entry.path())?;
                    pruned.folders.push(entry.path());
                }
            }
        }
        Ok(())
    }

    /// Removes those of `images` that no record needs but those of `gone`; false if one is in use.
    fn remove_images(&self, images: BTreeSet<String>, gone: &Gone, which: Which, pruned: &mut Pruned) -> Result<bool> {
        let needed = self.needed(gone)?;
        let mut free = true;
        for image in images.into_iter().filter(|image| !needed.contains(image) && !image.contains("<none>")) {
            let done = if which.dry { Ok(()) } else { self.remove_image(&image, STILL_ENDING)? };
            free &= done.is_ok();
            match done {
                Ok(()) => pruned.images.insert(image),
                Err(words) => pruned.kept.insert(format!("{image}: {words}")),
            };
        }
        Ok(free)
    }
}

/// In seconds since 1970.
fn last_use(record: &BoxRecord, used: &BTreeMap<String, u64>) -> u64 {
    used.get(&record.image).copied().unwrap_or_default().max(record.created)
}

fn now_since(now: SystemTime, then: u64) -> Duration {
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(then);
    now.duration_since(then).unwrap_or_default()
}
