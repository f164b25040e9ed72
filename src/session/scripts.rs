//! Install scripts: which ones the user allowed, and what a person is told of those that did not run.

use std::collections::{BTreeMap, BTreeSet};

use super::Session;
use super::grantee::by_packages;
use crate::error::Result;
use crate::image::commit;
use crate::image::install::Installation;
use crate::image::lock::Lock;
use crate::image::making::Making;
use crate::image::present::image_exists;
use crate::image::scripts::{self, TELL};
use crate::launch::Launch;
use crate::package::Ecosystem;
use crate::policy::grant::What;
use crate::state::attempts::Attempt;
use crate::state::boxes::BoxRecord;
use crate::state::told;
use crate::ui;

/// A box's image, and what became of its packages' scripts.
pub(super) struct Built {
    pub image: String,
    /// Those packages' scripts ran.
    pub scripts: BTreeSet<String>,
    /// Those did not; what they say.
    pub not_run: BTreeMap<String, String>,
    /// What an image of PyPI packages says of its programs.
    pub programs: Vec<u8>,
}

impl Session<'_> {
    /// The packages whose scripts may run in the line's box. With several packages on the line, each has to have been
    /// granted it: they all live in one box.
    pub fn may_run(&self, launch: &Launch) -> Result<BTreeSet<&str>> {
        if launch.launcher.ecosystem() != Ecosystem::Npm {
            return Ok(BTreeSet::new());
        }
        let granted = |holder| {
            self.grants.of(holder).iter().filter_map(|grant| match &grant.what {
                What::Scripts(name) => Some(name.as_str()),
                _ => None,
            })
        };
        let grantee = self.grantee(launch, None)?;
        let each = grantee.packages.iter().map(|holder| granted(holder).collect::<BTreeSet<&str>>());
        Ok(each.reduce(|all, one| &all & &one).unwrap_or_default())
    }

    /// The packages of a box whose scripts should have run in it.
    pub(super) fn scripts_of(&self, launch: &Launch, record: &BoxRecord) -> Result<BTreeSet<String>> {
        if record.scripts.is_empty() && record.not_run.is_empty() {
            return Ok(BTreeSet::new());
        }
        let mut may = self.may_run(launch)?;
        may.retain(|name| record.scripts.contains(*name) || record.not_run.contains_key(*name));
        Ok(may.into_iter().map(str::to_owned).collect())
    }

    /// Makes the image of a locked tree that is being installed, unless it is there, and runs the scripts that are allowed.
    pub(super) fn build(
        &self,
        launch: &Launch,
        (making, installation): (&Making<'_>, Option<Installation<'_>>),
        locked: &Lock,
        attempt: &mut Attempt,
        progress: &ui::Progress,
    ) -> Result<Built> {
        let image = making.image(locked);
        attempt.builds(&self.layout, image.clone())?;
        let programs = self.finish(installation, making, (&image, locked), progress)?;
        let with_scripts = match making.ecosystem {
            Ecosystem::Npm => Lock::scripted(&locked.text),
            Ecosystem::Pypi => BTreeMap::new(),
        };
        if with_scripts.is_empty() {
            return Ok(Built { image, scripts: BTreeSet::new(), not_run: BTreeMap::new(), programs });
        }
        progress.phase("looking");
        let folders = with_scripts.values().flatten().map(String::as_str);
        let argv: Vec<&str> = ["node", "-e", TELL].into_iter().chain(folders).collect();
        let mut not_run = scripts::told(&self.look(&image, &argv)?, &with_scripts)?;
        let may = self.may_run(launch)?;
        let runs: BTreeMap<String, Vec<String>> = with_scripts
            .into_iter()
            .filter(|(name, _)| may.contains(&**name) && not_run.remove(name).is_some())
            .collect();
        if runs.is_empty() {
            return Ok(Built { image, scripts: BTreeSet::new(), not_run, programs });
        }
        let scripts: BTreeSet<String> = runs.keys().cloned().collect();
        let names = scripts.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        progress.phase(&format!("running the install scripts of {names}"));
        let made = making.scripts(&image, &runs).map_err(|e| {
            let named = by_packages(launch);
            scripts.iter().filter_map(|name| named.scripts(name, "deny")).fold(e, |e, deny| e.hint(deny))
        })?;
        let added = making.image_with(&image, &made);
        attempt.builds(&self.layout, added.clone())?;
        making.add(&image, &made)?;
        Ok(Built { image: added, scripts, not_run, programs })
    }

    /// The image is that of everybody who has locked the same: if it is there, nothing is waited for.
    fn finish(
        &self,
        installation: Option<Installation<'_>>,
        making: &Making<'_>,
        (image, locked): (&str, &Lock),
        progress: &ui::Progress,
    ) -> Result<Vec<u8>> {
        if let Some(mut installation) = installation
            && !image_exists(&self.engine, image)?
        {
            let programs = installation.installed()?;
            progress.phase("making the image");
            installation.finish(image, commit::labels(locked))?;
            return Ok(programs);
        }
        if making.ecosystem == Ecosystem::Pypi { self.programs(image) } else { Ok(Vec::new()) }
    }

    /// What may be why a program of this box came to nothing: scripts that did not run. Said once of a box.
    pub fn missed_scripts(&self, launch: &Launch, record: &BoxRecord) -> Result<Vec<String>> {
        let names: Vec<String> = record.not_run.keys().map(|name| format!("scripts of {name}")).collect();
        if names.is_empty() || told::news(&self.layout, &record.request.key(), &names).is_empty() {
            return Ok(Vec::new());
        }
        let named = by_packages(launch);
        let line = |(name, text): (&String, &String)| {
            let allow =
                named.scripts(name, "allow").map(|command| format!(" (to let it: {command})")).unwrap_or_default();
            format!("{name} did not run its install script `{text}`{allow}")
        };
        Ok(record.not_run.iter().map(line).collect())
    }
}
