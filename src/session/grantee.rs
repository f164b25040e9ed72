//! Whom a line's grants are for, and which of them count.

use std::path::{Path, PathBuf};

use url::Url;

use super::{Session, local, program};
use crate::error::{Error, Result};
use crate::launch::project::Local;
use crate::launch::{Launch, Tighten};
use crate::package::PackageSpec;
use crate::package::source::Source;
use crate::policy::grant::{self, Grant, What};
use crate::policy::named::Named;
use crate::registry::settings::Settings;
use crate::state::boxes::BoxRecord;
use crate::state::grants::{Grants, Holder};

/// The packages of a line, and the line itself.
#[derive(Debug, Clone)]
pub struct Grantee {
    /// Each package.
    pub packages: Vec<Holder>,
    /// The exact line; none if it is not text, which the file can't hold.
    pub line: Option<Holder>,
    /// The program is the first package's own. An interpreter, or what a dependency brings
    /// along, runs what the line's arguments say: there only the exact line counts.
    own_program: bool,
    /// The local project that the line runs something of.
    folder: Option<PathBuf>,
    /// How commands name it.
    pub named: Named,
}

impl Session<'_> {
    /// Whom the line's grants are for.
    pub fn grantee(&self, launch: &Launch, record: Option<&BoxRecord>) -> Result<Grantee> {
        Grantee::of(&self.settings, launch, record)
    }
}

/// The holder of a package's grants; `registry` is what a line names in place of the user's.
pub fn holder(settings: &Settings, spec: &PackageSpec, registry: Option<&str>) -> Result<Holder> {
    let from = match spec.source() {
        Some(Source::Typed(typed)) => return Err(Error::failed(format!("`{}` was not looked at", typed.text))),
        Some(Source::Local(package)) => return local::holder(Path::new(&package.path)),
        Some(source) => source.address().map(Url::to_string).unwrap_or_default(),
        None => settings.registry_of(spec.ecosystem(), spec.name(), registry)?,
    };
    Ok(Holder { package: format!("{}:{}", spec.ecosystem(), spec.name()), from, line: None })
}

/// A package as `jitbox allow` takes it.
pub(super) fn typed(spec: &PackageSpec) -> String {
    match spec.source() {
        Some(Source::Local(package)) => grant::local(&package.path),
        Some(_) => format!("{}:{spec}", spec.ecosystem()),
        None => format!("{}:{}", spec.ecosystem(), spec.name()),
    }
}

/// A line's packages, for what can't be granted to the line itself.
pub(super) fn by_packages(launch: &Launch) -> Named {
    let registry = launch.registry.iter().map(|url| format!("--registry={url}"));
    Named { packages: launch.packages.iter().map(typed).chain(registry).collect(), line: None }
}

/// The line in our own spelling, without what only tightens it.
fn line(launch: &Launch) -> Option<String> {
    let bare = Launch { tighten: Tighten::default(), ..launch.clone() };
    let words: Option<Vec<String>> = bare.line().into_iter().map(|word| word.into_string().ok()).collect();
    let shim = launch.launcher.shim().to_owned();
    Some(shell_words::join(std::iter::once(shim).chain(words?)))
}

impl Grantee {
    /// Whom a line's grants are for. Without its box, what the program is has to be guessed.
    pub fn of(settings: &Settings, launch: &Launch, record: Option<&BoxRecord>) -> Result<Self> {
        if let Some(local) = &launch.local {
            return Ok(Self::local(local));
        }
        let registry = launch.registry.as_deref();
        let packages: Result<Vec<Holder>> =
            launch.packages.iter().map(|spec| holder(settings, spec, registry)).collect();
        let packages = packages?;
        let own_program = !packages.is_empty() && program::is_own(launch, record);
        let text = line(launch);
        let all = |part: fn(&Holder) -> &str| packages.iter().map(part).collect::<Vec<_>>().join(" + ");
        let line = text.clone().map(|text| Holder {
            package: all(|holder| &holder.package),
            from: all(|holder| &holder.from),
            line: Some(text),
        });
        let named = if own_program { by_packages(launch) } else { Named { packages: Vec::new(), line: text } };
        Ok(Self { packages, line, own_program, folder: None, named })
    }

    /// The code of a folder. Its packages have no part in it: a grant of theirs is not for what uses them.
    fn local(local: &Local) -> Self {
        let holder = Holder::local(local.folder());
        let named = match local.own {
            true => Named { packages: vec![grant::local(&local.root)], line: None },
            false => Named { packages: Vec::new(), line: Some(local.line.clone()) },
        };
        Self {
            line: holder.clone().map(|holder| Holder { line: Some(local.line.clone()), ..holder }),
            packages: holder.into_iter().collect(),
            own_program: local.own,
            folder: Some(local.folder().to_owned()),
            named,
        }
    }

    /// The grants that count for the line. With several packages, what one of them was granted
    /// counts only if every other one was granted it, too: they all run in one box.
    pub fn grants(&self, all: &Grants) -> Vec<Grant> {
        let mut counting: Vec<Grant> = self.line.iter().flat_map(|line| all.of(line)).cloned().collect();
        if let (true, Some((first, others))) = (self.own_program, self.packages.split_first()) {
            let everybody = |grant: &&Grant| {
                others.iter().all(|other| all.of(other).iter().any(|theirs| theirs.what == grant.what))
            };
            counting.extend(all.of(first).iter().filter(everybody).cloned());
        } else if let Some(folder) = &self.folder {
            // Of the folder's own grants, the one that lets it be used at all.
            let reads = self.packages.iter().flat_map(|holder| all.of(holder)).find(|grant| grant.what.reads(folder));
            counting.extend(reads.map(|grant| Grant { what: What::Read(folder.clone()), ..grant.clone() }));
        }
        counting
    }

    /// Those whose grants the line's program has, and whom an answer is for.
    pub fn asked(&self) -> &[Holder] {
        if self.own_program && self.folder.is_none() { &self.packages } else { &[] }
    }
}
