//! What npm and uv have fetched, kept for the next box.

use super::Session;
use super::images::{LIMIT, STILL_ENDING, removed};
use crate::engine::argv::{self, HOME_LABEL};
use crate::error::Result;
use crate::exec::Cmd;
use crate::package::Ecosystem;
use crate::state::caches::{self, CacheRecord};
use crate::state::runs::engine_key;

impl Session<'_> {
    /// The volume with it, made once. Where none can be made, each box fetches all that it needs.
    pub(super) fn cache(&self, ecosystem: Ecosystem) -> Option<String> {
        let cache = self.cache_of(ecosystem);
        let made = || -> Result<()> {
            if caches::is_made(&self.layout, &cache) {
                return Ok(());
            }
            caches::record(&self.layout, &cache)?;
            let made = self.create_volume(&cache.name, (HOME_LABEL, &self.layout.id()));
            made.or_else(|error| caches::forget(&self.layout, &cache).and(Err(error)))
        };
        let made = made();
        tracing::debug!("{}: {made:?}", cache.name);
        made.ok().map(|()| cache.name)
    }

    /// What it is called.
    pub(super) fn cache_of(&self, ecosystem: Ecosystem) -> CacheRecord {
        caches::of(&self.layout, self.context.uid, &self.engine, ecosystem)
    }

    /// The volumes of this engine with it.
    pub(super) fn caches(&self) -> Result<Vec<CacheRecord>> {
        let all = caches::all(&self.layout)?;
        Ok(all.into_iter().filter(|cache| cache.engine == engine_key(&self.engine)).collect())
    }

    /// Removes one; if that fails, says in the engine's words why.
    pub(super) fn remove_cache(&self, cache: &CacheRecord) -> Result<Result<(), String>> {
        let command = |args| Cmd::engine(&self.engine, args);
        let is_there = command(argv::volume_exists(&self.engine, &cache.name)).output(&[], LIMIT)?;
        if is_there.status.success() {
            let remove = command(argv::remove_volume(&self.engine, &cache.name));
            if let Err(words) = removed(&remove, STILL_ENDING)? {
                return Ok(Err(words));
            }
        }
        caches::forget(&self.layout, cache)?;
        Ok(Ok(()))
    }
}
