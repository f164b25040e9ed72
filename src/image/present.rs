//! Which images an engine has, what is in them, and how it gets one.

use std::time::Duration;

use super::base::{MADE, chain_id};
use crate::engine::Engine;
use crate::engine::argv::{self, About};
use crate::error::{Doing, Error, Kind, Result};
use crate::exec::{Cmd, last_words};
use crate::registry::auth::Secret;

/// How long a base image may take to arrive.
const PULL_LIMIT: Duration = Duration::from_secs(900);
/// How long an engine may take for a look.
pub(super) const LOOK_LIMIT: Duration = Duration::from_secs(30);

/// Whether the engine has the image.
pub fn image_exists(engine: &Engine, image: &str) -> Result<bool> {
    Ok(ask(engine, image, About::Id)?.is_some())
}

/// The image's content, as its ChainID; `None` if it is not there.
pub fn content(engine: &Engine, image: &str) -> Result<Option<String>> {
    let Some(layers) = ask(engine, image, About::Layers)? else { return Ok(None) };
    let layers: Vec<String> = serde_json::from_slice(&layers).doing(|| format!("can't tell what is in `{image}`"))?;
    Ok(Some(chain_id(&layers)))
}

/// Under which digests its registry may have it, none if it comes of none; `None` if it is not there.
pub fn digests(engine: &Engine, image: &str) -> Result<Option<Vec<String>>> {
    let Some(names) = ask(engine, image, About::Digests)? else { return Ok(None) };
    let names: Option<Vec<String>> =
        serde_json::from_slice(&names).doing(|| format!("can't tell what `{image}` is"))?;
    let digest = |name: String| Some(name.split_once('@')?.1.to_owned());
    Ok(Some(names.unwrap_or_default().into_iter().filter_map(digest).collect()))
}

/// How many bytes it is, with what it is made of; `None` if it is not there, or the engine does not say.
pub fn size(engine: &Engine, image: &str) -> Result<Option<u64>> {
    let said = ask(engine, image, About::Size)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&said).trim().parse().ok())
}

/// Has the engine fetch the image. podman and nerdctl do it in their own client, which is otherwise given no proxy.
pub fn pull(engine: &Engine, image: &str, proxies: &[(&'static str, Secret)]) -> Result<()> {
    let proxies = proxies.iter().map(|(name, value)| (name.into(), value.expose().into())).collect();
    let command = Cmd::engine(engine, argv::pull(engine, image)).with_environment(proxies);
    let output = command.output(&[], PULL_LIMIT)?;
    if output.status.success() {
        return Ok(());
    }
    let error = Error::new(Kind::Network, format!("can't fetch the base image `{image}`"))
        .because(last_words(&output.stderr))
        .hint(format!("{} pull {image}", engine.kind.name()));
    Err(match MADE.iter().any(|(_, name)| *name == image) {
        true => error.hint("jitbox base make (of distribution packages, where no image registry can be reached)"),
        false => error,
    })
}

/// What the engine says about an image; `None` if it is not there.
fn ask(engine: &Engine, image: &str, about: About) -> Result<Option<Vec<u8>>> {
    let output = Cmd::engine(engine, argv::image(engine, image, about)).output(&[], LOOK_LIMIT)?;
    if output.status.success() {
        return Ok(Some(output.stdout));
    }
    let words = last_words(&output.stderr).to_lowercase();
    if ["no such", "not known", "not found", "unable to find"].iter().any(|said| words.contains(said)) {
        return Ok(None);
    }
    Err(Error::new(Kind::Engine, "the engine does not answer").because(words).hint("jitbox doctor"))
}
