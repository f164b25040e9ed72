//! What base images were when they were last looked at: `bases/KEY.json`, one for each name on each engine. A box that
//! was made of another content is made again when it starts next.

use serde::{Deserialize, Serialize};

use super::runs::engine_key;
use super::{Layout, store};
use crate::digest;
use crate::engine::Engine;
use crate::error::Result;
use crate::registry::cutoff::since_1970;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseRecord {
    /// Its name.
    pub image: String,
    /// The engine that has it: its program and endpoint.
    pub engine: String,
    /// What is in it: its layers' ChainID.
    pub content: String,
    /// Since when it was seen to be that, in seconds since 1970.
    pub since: u64,
}

/// What is known of one.
pub fn find(layout: &Layout, engine: &Engine, image: &str) -> Result<Option<BaseRecord>> {
    store::read(layout, &path(layout, engine, image))
}

/// Remembers what it is. Whether it was known as something else.
pub fn learn(layout: &Layout, engine: &Engine, image: &str, content: &str) -> Result<bool> {
    let known = find(layout, engine, image)?;
    if known.as_ref().is_some_and(|known| known.content == content) {
        return Ok(false);
    }
    let (image, content) = (image.to_owned(), content.to_owned());
    let now = since_1970(std::time::SystemTime::now());
    let record = BaseRecord { engine: engine_key(engine), image, content, since: now };
    store::write(&path(layout, engine, &record.image), &record)?;
    Ok(known.is_some())
}

fn path(layout: &Layout, engine: &Engine, image: &str) -> std::path::PathBuf {
    layout.base(&digest::short([&engine_key(engine), image].join("\0").as_bytes()))
}
