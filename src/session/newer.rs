//! Whether something newer than a box is out: asked once a day. By default it is only said, beside a program that runs,
//! by a process of its own, so that neither a start nor the memory of the shim has to do with it.

use std::io::{BufRead, BufReader, PipeWriter, Read};
use std::time::{Duration, SystemTime};

use nodejs_semver::Version as NpmVersion;
use pep440_rs::Version as PypiVersion;

use super::Session;
use super::bases::There;
use super::update::{How, launch_of};
use crate::config::Updates;
use crate::context::Context;
use crate::error::Result;
use crate::exec::Cmd;
use crate::launch::Launch;
use crate::package::{Ecosystem, PackageSpec, PinnedPackage};
use crate::state::boxes::{self, BoxRecord};
use crate::state::overrides::Overrides;
use crate::state::told;
use crate::ui;

/// The name under which our program looks for newer versions.
pub const NAME: &str = "jitbox-newer";

/// How often that is done for one box.
pub(super) const DAY: Duration = Duration::from_hours(24);

/// For how long a program runs before: its own start comes first.
const AFTER: Duration = Duration::from_secs(5);

impl Session<'_> {
    /// Looks for newer versions of a line's box while its program runs, and says which there are. What looks ends
    /// when the pipe is closed. That it can't be looked for is no reason to run nothing.
    pub fn look_out(&self, launch: &Launch, record: &BoxRecord) -> Option<PipeWriter> {
        let of_registries = launch.local.is_none() && launch.packages.iter().all(|spec| spec.source().is_none());
        let is_open = of_registries && !launch.packages.iter().all(PackageSpec::is_exact);
        // A line of ours would be in the middle of a terminal's.
        let may = self.config.updates == Updates::Say && is_open && !self.context.terminals.all();
        if !may || !self.is_due(record) {
            return None;
        }
        let (held, ours) = std::io::pipe().ok()?;
        let environment = self.context.env.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let key = record.request.key().into();
        let mut child = Cmd::own(vec![key], environment).ok()?.start_own(NAME, held.into()).ok()?;
        std::thread::spawn(move || {
            let said =
                child.stdout.take().map(|stdout| BufReader::new(stdout).lines().map_while(std::result::Result::ok));
            said.into_iter().flatten().for_each(|line| ui::note(&line));
            let _ = child.wait();
        });
        Some(ours)
    }

    /// Takes what is newer, where the user wants that at the first start of a day. What can't be taken is said, and the
    /// box stays.
    pub(super) fn newest(&self, record: BoxRecord) -> Result<BoxRecord> {
        let is_local = record.request.local.is_some() || !record.request.contents.is_empty();
        if self.config.updates != Updates::Take || is_local || !self.is_due(&record) {
            return Ok(record);
        }
        told::mark(&self.layout, &told::newer(&record.request.key()), SystemTime::now());
        match self.update(&record, How { check: false, accept: false }) {
            Ok(Some(update)) => {
                let name = shell_words::quote(&update.name);
                ui::note(&format!(
                    "{name} is a newer one from here on (what it was: jitbox attempts {name}; back: jitbox rollback {name})"
                ));
            }
            Ok(None) => {}
            Err(e) => ui::failure(&e),
        }
        Ok(boxes::find(&self.layout, &record.request)?.unwrap_or(record))
    }

    fn is_due(&self, record: &BoxRecord) -> bool {
        let now = SystemTime::now();
        let made = SystemTime::UNIX_EPOCH + Duration::from_secs(record.created);
        let is_new = now.duration_since(made).is_ok_and(|age| age < DAY);
        !is_new && !told::lately(&self.layout, &told::newer(&record.request.key()), DAY, now)
    }

    /// The packages that the line of a box names of which newer versions would be taken now.
    fn newer(&self, record: &BoxRecord) -> Result<Vec<(PinnedPackage, PinnedPackage)>> {
        let launch = launch_of(record)?;
        if self.request(&launch)? != record.request {
            return Ok(Vec::new());
        }
        let (trust, _) = self.sources(&launch)?;
        // What is built from source is only fetched when it is.
        let overrides = self.recipes.overrides(&launch, &record.overrides)?;
        let overrides = Overrides { sdist: Vec::new(), ..overrides };
        let resolved = self.resolve_with(&launch, &overrides, &trust)?;
        let both = record.packages.iter().zip(resolved.packages);
        Ok(both.filter(|(old, new)| is_newer(old, new)).map(|(old, new)| (old.clone(), new)).collect())
    }
}

fn is_newer(old: &PinnedPackage, new: &PinnedPackage) -> bool {
    fn above<V: PartialOrd>(parse: impl Fn(&str) -> Option<V>, old: &str, new: &str) -> bool {
        parse(old).zip(parse(new)).is_some_and(|(old, new)| new > old)
    }
    let (from, to) = (old.version(), new.version());
    old.name() == new.name()
        && match old.ecosystem() {
            Ecosystem::Npm => above(|text| NpmVersion::parse(text).ok(), from, to),
            Ecosystem::Pypi => above(|text| text.parse::<PypiVersion>().ok(), from, to),
        }
}

/// The life of the process that looks: it is told the key of a box, and ends when nobody hears it any more.
pub fn look(context: &Context) -> Result<()> {
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = ended.send(());
    });
    if end.recv_timeout(AFTER).is_ok() {
        return Ok(());
    }
    let session = Session::open(context)?;
    let key = context.args.first().and_then(|key| key.to_str()).unwrap_or_default();
    let Some(record) = boxes::all(&session.layout)?.into_iter().find(|record| record.request.key() == key) else {
        return Ok(());
    };
    // Two programs of one box may run.
    if !session.is_due(&record) {
        return Ok(());
    }
    told::mark(&session.layout, &told::newer(key), SystemTime::now());
    let newer = session.newer(&record)?;
    let list = newer.iter().map(|(old, new)| format!("{} {} → {}", new.name(), old.version(), new.version()));
    let list = list.collect::<Vec<_>>().join(", ");
    if !list.is_empty() {
        let name = record.name();
        let name = shell_words::quote(&name);
        ui::answer(&format!(
            "newer: {list} (what is different: jitbox update --check {name}; to take it: jitbox update {name})"
        ));
    }
    let base = session.newer_base(&record.base);
    tracing::debug!("{}: {base:?}", record.base);
    if let Ok(Some(There::Other)) = base {
        let pull = format!("jitbox base pull {}", shell_words::quote(&record.base));
        ui::answer(&format!("newer: the base image {} (to take it: {pull})", record.base));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::npm::NpmName;
    use crate::package::pypi::PypiName;

    #[test]
    fn only_what_is_above_is_newer() {
        let npm = |version: &str| PinnedPackage::npm(&NpmName::parse("a").unwrap(), &version.parse().unwrap());
        let pypi = |version: &str| PinnedPackage::pypi(&PypiName::parse("a").unwrap(), &version.parse().unwrap(), &[]);
        assert!(is_newer(&npm("1.9.0"), &npm("1.10.0")) && is_newer(&pypi("1.9"), &pypi("1.10rc1")));
        for (old, new) in [("1.0.0", "1.0.0"), ("1.10.0", "1.9.0"), ("1.0.0", "1.0.0-rc.1")] {
            assert!(!is_newer(&npm(old), &npm(new)), "{old} {new}");
        }
        assert!(!is_newer(&pypi("1.10"), &pypi("1.9")));
    }
}
