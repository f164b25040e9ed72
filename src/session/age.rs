//! The age of a line's releases: what the user lets be of every age, and what is said of the rest.

use std::path::Path;
use std::time::SystemTime;

use super::Session;
use super::grantee::{self, typed};
use crate::error::{Error, Kind, Result};
use crate::launch::Launch;
use crate::package::{PackageSpec, PinnedPackage};
use crate::policy::age::{Age, Ages, Cutoff, Told};
use crate::policy::grant::{self, What};
use crate::policy::level::Level;
use crate::policy::named::Named;
use crate::policy::names;
use crate::policy::reason::Reason;
use crate::registry::cutoff::{Bound, Dated};
use crate::state::boxes;
use crate::state::grants::Holder;
use crate::ui;

/// The ages of a line's releases.
pub struct LineAges<'a> {
    session: &'a Session<'a>,
    launch: &'a Launch,
    ages: Ages,
}

impl<'a> LineAges<'a> {
    /// Each package that is in no registry has no age; if it was granted every one, so has all that it needs.
    pub fn new(session: &'a Session<'a>, launch: &'a Launch, now: SystemTime) -> Result<Self> {
        let age = Age::of(&session.config, Level::of(&session.config, &launch.tighten));
        let mut new = Self { session, launch, ages: Ages::new(age, now) };
        let folder = launch.local.as_ref().and_then(|local| Holder::local(Path::new(&local.root)));
        let mut holders: Vec<Holder> = folder.into_iter().collect();
        for spec in launch.packages.iter().filter(|spec| spec.source().is_some()) {
            holders.push(grantee::holder(&session.settings, spec, None)?);
        }
        if holders.iter().any(|holder| new.granted(holder).is_some()) {
            new.ages.open();
        }
        Ok(new)
    }

    fn granted(&self, holder: &Holder) -> Option<Reason> {
        self.session.grants.of(holder).iter().find(|grant| grant.what == What::Young).map(Reason::from)
    }

    /// Why a package's releases may be of every age, if they may. What config.toml names is the user's own registries':
    /// not what a line names in their place.
    pub fn any(&self, spec: &PackageSpec) -> Result<Option<Reason>> {
        let registry = self.launch.registry.as_deref();
        let listed = || self.session.config.packages.young.iter().any(|packages| packages.has(spec));
        let granted = self.granted(&grantee::holder(&self.session.settings, spec, registry)?);
        Ok(granted.or_else(|| (registry.is_none() && listed()).then_some(Reason::Config)))
    }

    /// What a registry is asked for.
    pub fn bound(&self, any: Option<&Reason>) -> Option<Bound<'_>> {
        self.ages.bound(any.is_some())
    }

    /// Refuses a release that is too young; says what a person should know.
    pub fn judge(
        &mut self,
        spec: &PackageSpec,
        release: &PinnedPackage,
        dated: &Dated,
        any: Option<&Reason>,
    ) -> Result<()> {
        let registry = self.launch.registry.iter().map(|url| format!("--registry={url}"));
        let named = Named { packages: std::iter::once(typed(spec)).chain(registry).collect(), line: None };
        let told = Told { allow: &named.young().unwrap_or_default(), name: &boxes::name_for(self.launch) };
        self.ages.judge(release, dated, any, &told)?.iter().for_each(|note| ui::note(note));
        Ok(())
    }

    /// The same of a package's name, whose first release was published at `since`. Whoever takes releases of every age
    /// takes new names, too.
    pub fn judge_name(&self, spec: &PackageSpec, since: Option<u64>, any: Option<&Reason>) -> Result<()> {
        let (Some(since), Some(_), None) = (since, self.bound(any), any) else { return Ok(()) };
        let (config, tighten) = (&self.session.config, &self.launch.tighten);
        names::check_age(config, tighten, spec, (since, self.ages.now()))?.iter().for_each(|note| ui::note(note));
        Ok(())
    }

    /// From when on nothing is taken into the line's tree.
    pub fn cutoff(self) -> Option<Cutoff> {
        let (settings, ecosystem) = (&self.session.settings, self.launch.launcher.ecosystem());
        Cutoff::of(self.ages.tree(), settings.newest(ecosystem), ecosystem)
    }
}

/// Says that the age may be why a tree could not be resolved.
pub fn explain(error: Error, launch: &Launch, cutoff: Option<&Cutoff>) -> Error {
    let said = error.causes.join(" ").to_lowercase();
    let about_versions = ["date before", "etarget", "exclude-newer", "no version", "unsatisfiable", "no solution"];
    let Some(cutoff) = cutoff.filter(|_| error.kind == Kind::Failed && about_versions.iter().any(|w| said.contains(w)))
    else {
        return error;
    };
    let error = error.hint(format!("nothing from {} on was taken ({})", cutoff.moment, cutoff.why));
    // What has no age of its own is granted that of what it needs.
    let of_folder = launch.local.iter().map(|local| grant_of(grant::local(&local.root)));
    let of_sources = launch.packages.iter().filter(|spec| spec.source().is_some()).map(|spec| grant_of(typed(spec)));
    match of_folder.chain(of_sources).flatten().next() {
        Some(command) => error.hint(command),
        None => error.hint("`[packages] age` in jitbox's config.toml sets another age"),
    }
}

fn grant_of(package: String) -> Option<String> {
    Named { packages: vec![package], line: None }.young()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::{Launcher, Request, parse};

    #[test]
    fn a_tree_that_the_age_leaves_nothing_of() {
        let launch = |launcher, spec: &str| match parse(launcher, &["-y", spec].map(Into::into)).unwrap() {
            Request::Run(launch) => launch,
            _ => panic!("it is a line"),
        };
        let cutoff = Cutoff { moment: "2026-01-31T00:00:00.000Z".into(), why: "why".into() };
        let failed = |why: &str| Error::failed("can't resolve").because(why);
        let npm = "npm error notarget No matching version found for d@1.0.0 with a date before 1/31/2026";
        let plain = launch(Launcher::Npx, "p");
        let error = explain(failed(npm), &plain, Some(&cutoff));
        assert!(error.hints[0].contains("2026-01-31") && error.hints[1].contains("[packages] age"), "{error:?}");
        let sourced = explain(failed(npm), &launch(Launcher::Npx, "o/r"), Some(&cutoff));
        let command = &sourced.hints[1];
        assert!(
            command.starts_with("jitbox allow ") && command.contains("o/r") && command.ends_with(" --young"),
            "{command}"
        );
        assert!(explain(failed("the network is down"), &plain, Some(&cutoff)).hints.is_empty());
        assert!(explain(failed(npm), &plain, None).hints.is_empty());
    }
}
