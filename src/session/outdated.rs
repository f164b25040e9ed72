//! Boxes of a package on this machine that has been edited since. The last one stays, for whoever goes back by one step.

use std::time::Duration;

use super::Session;
use crate::engine::argv;
use crate::error::Result;
use crate::exec::Cmd;
use crate::image::build::image_exists;
use crate::state::boxes::{self, BoxRecord};

/// How long an engine may take to remove an image.
const LIMIT: Duration = Duration::from_secs(60);

impl Session<'_> {
    /// Removes the boxes of older contents than those of `newest` and the one before. One whose image is in use stays
    /// until the next time.
    pub(super) fn remove_outdated(&self, newest: &BoxRecord) -> Result<()> {
        let all = boxes::all(&self.layout)?;
        let mut older: Vec<&BoxRecord> =
            all.iter().filter(|record| record.request.has_other_contents(&newest.request)).collect();
        older.sort_by_key(|record| std::cmp::Reverse(record.created));
        for record in older.into_iter().skip(1) {
            let shared = all.iter().any(|other| other.image == record.image && other.request != record.request);
            if shared || self.remove_image(&record.image)? {
                boxes::forget(&self.layout, record)?;
            }
        }
        Ok(())
    }

    fn remove_image(&self, image: &str) -> Result<bool> {
        let command = Cmd::engine(&self.engine, argv::remove_images(&self.engine, &[image.to_owned()]));
        Ok(command.output(&[], LIMIT)?.status.success() || !image_exists(&self.engine, image)?)
    }
}
