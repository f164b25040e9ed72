//! Volumes of an engine with what npm and uv have fetched, for the next box: `caches/NAME.json`. Only containers that
//! install packages are given one, and those run none of the packages' code.

use serde::{Deserialize, Serialize};

use super::runs::engine_key;
use super::{Layout, store};
use crate::digest;
use crate::engine::Engine;
use crate::error::Result;
use crate::package::Ecosystem;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheRecord {
    /// Its name on the engine.
    pub name: String,
    /// Which engine has it: its program and endpoint.
    pub engine: String,
}

/// The one for an ecosystem. Engines are shared: users (`uid`) and their data folders are told apart.
pub fn of(layout: &Layout, uid: u32, engine: &Engine, ecosystem: Ecosystem) -> CacheRecord {
    let engine = engine_key(engine);
    let whole = [layout.id(), uid.to_string(), engine.clone()].join("\0");
    CacheRecord { name: format!("jitbox-cache-{ecosystem}-{}", digest::short(whole.as_bytes())), engine }
}

/// Whether it has been made, as far as we know. No engine is asked.
pub fn is_made(layout: &Layout, cache: &CacheRecord) -> bool {
    layout.cache(&cache.name).exists()
}

/// Records one that is about to be made.
pub fn record(layout: &Layout, cache: &CacheRecord) -> Result<()> {
    store::write(&layout.cache(&cache.name), cache)
}

/// Forgets one.
pub fn forget(layout: &Layout, cache: &CacheRecord) -> Result<()> {
    store::remove(&layout.cache(&cache.name))
}

/// All that there are.
pub fn all(layout: &Layout) -> Result<Vec<CacheRecord>> {
    store::all(layout, &layout.caches(), "caches")
}
