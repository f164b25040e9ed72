//! What has to be there before packages can be resolved or installed: a base image, uv, and as files what is built first.

use super::Session;
use super::resolve::Resolved;
use crate::engine::Architecture;
use crate::error::Result;
use crate::image::making::Making;
use crate::image::uv::{self, PROJECT, VERSION};
use crate::package::Ecosystem;
use crate::registry::http::Client;
use crate::registry::trust::Trust;
use crate::registry::{pypi, sourced};
use crate::ui;

impl Session<'_> {
    /// Brings what a container that fetches needs for `resolved`.
    pub(super) fn prepare(
        &self,
        (making, resolved): (&mut Making<'_>, &mut Resolved),
        trust: &Trust,
        progress: &ui::Progress,
    ) -> Result<()> {
        making.ensure_base(progress)?;
        self.bring_tools(making, trust, progress)?;
        for (place, build) in std::mem::take(&mut resolved.builds) {
            let Some(package) = resolved.packages.get_mut(place) else { continue };
            progress.phase(&format!("building {}", package.name()));
            let (name, bytes) = making.wheel(&build)?;
            let (pinned, archive) = sourced::pypi::built(&name, bytes, package)?;
            *package = pinned;
            making.archives.push(archive);
            making.wanted = resolved.wanted(making.ecosystem)?;
        }
        Ok(())
    }

    /// Brings what was fetched before, and uv where packages are PyPI's.
    pub(super) fn bring_tools(&self, making: &mut Making<'_>, trust: &Trust, progress: &ui::Progress) -> Result<()> {
        making.cache = self.cache(making.ecosystem);
        if making.ecosystem == Ecosystem::Pypi {
            making.uv = self.uv(self.engine.facts.architecture, trust, progress)?;
        }
        Ok(())
    }

    /// uv's wheel: as it is kept, or from an index.
    fn uv(&self, architecture: Architecture, trust: &Trust, progress: &ui::Progress) -> Result<Vec<u8>> {
        let wheel = uv::wheel(architecture);
        if let Some(kept) = wheel.kept(&self.layout) {
            return Ok(kept);
        }
        progress.phase(&format!("fetching {PROJECT} {VERSION}"));
        let client = Client::for_archives(trust);
        let fetched = pypi::file(&client, &self.settings.python, PROJECT, wheel.file, wheel.sha256);
        let bytes =
            fetched.map_err(|error| {
                error
                    .because(format!("{PROJECT} {VERSION}, which installs what PyPI has, can't be fetched"))
                    .hint(format!("put {} of PyPI's into {}", wheel.file, self.layout.tools().display()))
            })?;
        wheel.keep(&self.layout, &bytes)?;
        Ok(bytes)
    }
}
