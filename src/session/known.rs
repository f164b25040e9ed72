//! What is asked before packages become a box: whether the tree has known malware or vulnerabilities, and whether a
//! name on the line is nearly another one's.

use std::time::SystemTime;

use super::Session;
use super::resolve::Resolved;
use crate::error::{Error, Result};
use crate::image::lock::Lock;
use crate::image::tree::Tree;
use crate::launch::Launch;
use crate::package::{Ecosystem, PinnedPackage};
use crate::policy::level::Level;
use crate::policy::names;
use crate::registry::osv::{self, Answer, verdict};
use crate::state::{boxes, told};
use crate::ui;

impl Session<'_> {
    /// Says which names on the line look like another package's; refuses them at level strict.
    pub(super) fn check_names(&self, launch: &Launch) -> Result<()> {
        let said = names::check(&self.config, &launch.tighten, &launch.packages)?;
        said.iter().for_each(|line| ui::note(line));
        Ok(())
    }

    /// Refuses a tree with known malware, and at level strict one with bad vulnerabilities; says what else is known. That
    /// nobody can be asked is said once an hour, and stops nothing.
    pub(super) fn check_known(&self, launch: &Launch, locked: &Lock, packages: &[PinnedPackage]) -> Result<()> {
        let tree = Tree::read(launch.launcher.ecosystem(), &locked.text, packages)?;
        let (osv, registry) = (&self.config.packages.osv, launch.registry.as_deref());
        let hits = match osv::ask(osv, self.context, &self.settings, registry, &tree)? {
            Answer::Off => return Ok(()),
            Answer::Unreached(why) => {
                self.say_unasked(&why);
                return Ok(());
            }
            Answer::Known { hits, .. } => hits,
        };
        let level = Level::of(&self.config, &launch.tighten);
        let findings = verdict::findings(&hits);
        let said = verdict::judge(&findings, level, &self.config.packages.accept, &boxes::name_for(launch))?;
        said.iter().for_each(|line| ui::note(line));
        Ok(())
    }

    /// The same of what an index has only as source, before it is built.
    pub(super) fn check_builds(&self, launch: &Launch, resolved: &Resolved) -> Result<()> {
        let packages = resolved.builds.iter().filter_map(|(place, _)| resolved.packages.get(*place));
        let text: String = packages
            .filter_map(|package| Some((package.name(), package.version(), package.sdist()?)))
            .map(|(name, version, hash)| format!("{name}=={version} \\\n    --hash=sha256:{hash}\n"))
            .collect();
        if text.is_empty() {
            return Ok(());
        }
        self.check_known(launch, &Lock::parse(Ecosystem::Pypi, text)?, &resolved.packages)
    }

    fn say_unasked(&self, why: &Error) {
        if told::is_due(&self.layout, "osv", SystemTime::now()) {
            ui::note(&format!("nobody could be asked whether these packages are known malware: {why}"));
        }
    }
}
