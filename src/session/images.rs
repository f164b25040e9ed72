//! Which images are still for something, and how the others go.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::Session;
use crate::engine::argv;
use crate::error::Result;
use crate::exec::{Cmd, last_words};
use crate::image::present::image_exists;
use crate::state::attempts::{self, Attempt, Outcome};
use crate::state::boxes::{self, BoxRecord, Request};
use crate::ui;

/// How long an engine may take to remove an image.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// How long the container of a program that has ended may be in the way.
pub const STILL_ENDING: Duration = Duration::from_secs(5);

/// Records that are about to go, or whose images are: nothing is needed because of them.
#[derive(Clone, Default)]
pub(super) struct Gone {
    boxes: BTreeSet<String>,
    attempts: BTreeSet<(String, u32)>,
}

impl Gone {
    pub(super) fn attempt(&mut self, attempt: &Attempt) {
        self.attempts.insert((attempt.request.key(), attempt.number));
    }

    pub(super) fn active(&mut self, record: &BoxRecord) {
        self.boxes.insert(record.request.key());
    }
}

impl Session<'_> {
    /// Forgets a box and what came before it, with their images. What can't be removed is said.
    pub fn discard(&self, record: &BoxRecord) -> Result<()> {
        let images = boxes::images(&self.layout, record)?;
        boxes::forget(&self.layout, record)?;
        let needed = self.needed(&Gone::default())?;
        for image in images.iter().filter(|image| !needed.contains(*image)) {
            if let Err(words) = self.remove_image(image, STILL_ENDING)? {
                ui::note(&format!("the image `{image}` stays: {words}"));
            }
        }
        Ok(())
    }

    /// Removes the boxes of older contents than those of `newest` and the one before: of a package on this machine that
    /// has been edited since. One whose image is in use stays until the next time.
    pub(super) fn remove_outdated(&self, newest: &BoxRecord) -> Result<()> {
        let all = boxes::all(&self.layout)?;
        let mut older: Vec<&BoxRecord> =
            all.iter().filter(|record| record.request.has_other_contents(&newest.request)).collect();
        older.sort_by_key(|record| std::cmp::Reverse(record.created));
        for record in older.into_iter().skip(1) {
            let shared = all.iter().any(|other| other.image == record.image && other.request != record.request);
            if shared || self.remove_image(&record.image, Duration::ZERO)?.is_ok() {
                boxes::forget(&self.layout, record)?;
            }
        }
        Ok(())
    }

    /// Makes a box that passed the line's, and removes what is needless then. Whoever holds the line's lock may.
    pub(super) fn put_in_use(&self, mut attempt: Attempt, record: &BoxRecord) -> Result<()> {
        attempt.pass(&self.layout)?;
        boxes::activate(&self.layout, record)?;
        self.trim(record);
        self.clear_steps(&attempt);
        Ok(())
    }

    /// Forgets what was made for a line before the box that `active` took the place of, boxes that were not taken, and
    /// attempts that were ended from outside, with their images. Whoever holds the line's lock may.
    pub(super) fn trim(&self, active: &BoxRecord) {
        self.forget_attempts(&active.request, Some(active), |_| true);
    }

    /// Forgets attempts for a line that were ended from outside, with their images. Whoever holds the line's lock may.
    pub(super) fn clear(&self, request: &Request, active: Option<&BoxRecord>) {
        self.forget_attempts(request, active, |attempt| attempt.outcome == Outcome::UnderWay);
    }

    /// What is in use, or can't be removed, stays until the next time.
    fn forget_attempts(&self, request: &Request, active: Option<&BoxRecord>, which: fn(&Attempt) -> bool) {
        if let Err(e) = self.try_to_forget(request, active, which) {
            ui::note(&e.to_string());
        }
    }

    fn try_to_forget(&self, request: &Request, active: Option<&BoxRecord>, which: fn(&Attempt) -> bool) -> Result<()> {
        let attempts = attempts::of(&self.layout, request)?;
        let before = active.and_then(|active| attempts::before(&attempts, active));
        let kept: Vec<u32> = [active, before].into_iter().flatten().map(|record| record.attempt).collect();
        let old = attempts.iter().filter(|attempt| which(attempt) && !kept.contains(&attempt.number));
        let old: Vec<&Attempt> = old.collect();
        let mut gone = Gone::default();
        old.iter().for_each(|attempt| gone.attempt(attempt));
        let needed = self.needed(&gone)?;
        for attempt in old {
            let mut gone = true;
            for image in attempt.images().into_iter().filter(|image| !needed.contains(*image)) {
                gone &= self.remove_image(image, Duration::ZERO)?.is_ok();
            }
            if gone && !attempt.came_to_nothing() {
                attempt.remove(&self.layout)?;
            }
        }
        Ok(())
    }

    /// Removes the images that `attempt`, whose box is active, built on the way to its box's. What stays, `jitbox prune`
    /// finds.
    pub(super) fn clear_steps(&self, attempt: &Attempt) {
        let mut gone = Gone::default();
        gone.attempt(attempt);
        let Ok(needed) = self.needed(&gone) else { return };
        for image in attempt.images().into_iter().filter(|image| !needed.contains(*image)) {
            let done = self.remove_image(image, Duration::ZERO);
            tracing::debug!("{image}, a step on the way: {done:?}");
        }
    }

    /// The images of all boxes and attempts but those of `gone`.
    pub(super) fn needed(&self, gone: &Gone) -> Result<BTreeSet<String>> {
        let (records, attempts) = (boxes::all(&self.layout)?, attempts::all(&self.layout)?);
        let records = records.into_iter().filter(|record| !gone.boxes.contains(&record.request.key()));
        let attempts = attempts.iter().filter(|a| !gone.attempts.contains(&(a.request.key(), a.number)));
        let of_attempts = attempts.flat_map(Attempt::images).map(str::to_owned);
        Ok(records.map(|record| record.image).chain(of_attempts).collect())
    }

    /// Removes an image if it is there; if that fails, says in the engine's words why. The engine may still be busy with
    /// the container of a program that has just ended: for so long it is asked again.
    pub(super) fn remove_image(&self, image: &str, patience: Duration) -> Result<Result<(), String>> {
        if !image_exists(&self.engine, image)? {
            return Ok(Ok(()));
        }
        removed(&Cmd::engine(&self.engine, argv::remove_images(&self.engine, &[image.to_owned()])), patience)
    }
}

/// Runs a command that removes something.
pub fn removed(command: &Cmd, patience: Duration) -> Result<Result<(), String>> {
    let until = Instant::now() + patience;
    loop {
        let output = command.output(&[], LIMIT)?;
        if output.status.success() {
            return Ok(Ok(()));
        }
        let words = last_words(&output.stderr);
        // docker: "container X is using its referenced image"; podman: "image is in use by a
        // container"; nerdctl: "image is being used by running container X".
        let in_use = ["using", "in use", "used by"].iter().any(|said| words.contains(said));
        if !in_use || Instant::now() > until {
            return Ok(Err(words));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
