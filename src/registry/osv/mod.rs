//! What is known against packages: malware and vulnerabilities, from OSV (<https://osv.dev>), or from a copy of
//! its entries on this machine.
//!
//! [`entry`] reads what it says, [`service`] asks it, [`folder`] looks it up here, [`verdict`] decides. Only packages
//! of the public registries are named to the service.

pub mod entry;
pub mod folder;
pub mod service;
pub mod verdict;

use std::time::Duration;

use super::settings::Settings;
use super::{npmrc, public};
use crate::config::known::Osv;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::image::tree::{Package, Tree};
use crate::package::Ecosystem;
use crate::registry::trust::Trust;
use entry::Entry;

/// How long a service may take to answer, all in all: nobody waits longer for a first start.
const LIMIT: Duration = Duration::from_secs(3);

/// One version of a package that is asked about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// Its name.
    pub name: String,
    /// Its exact version.
    pub version: String,
}

/// Something that is known against a package.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The package.
    pub asked: Asked,
    /// The entry's name.
    pub id: String,
    /// What it says, if that could be had.
    pub entry: Option<Entry>,
}

/// What came of asking.
#[derive(Debug)]
pub enum Answer {
    /// The user wants nobody to be asked.
    Off,
    /// Nobody answered.
    Unreached(Error),
    /// What is known against the packages.
    Known {
        /// All of it.
        hits: Vec<Hit>,
        /// How many packages were asked about.
        asked: usize,
    },
}

/// Asks about a tree's packages. `registry` is the line's own. Fails if the user's folder can't be used.
pub fn ask(osv: &Osv, context: &Context, settings: &Settings, registry: Option<&str>, tree: &Tree) -> Result<Answer> {
    let asked = |told: &dyn Fn(&Package) -> bool| -> Vec<Asked> {
        let of = |p: &Package| Asked { name: p.name.clone(), version: p.version.clone() };
        let mut all: Vec<Asked> = tree.packages.iter().filter(|p| !p.is_own && told(p)).map(of).collect();
        all.sort();
        all.dedup();
        all
    };
    match osv {
        Osv::Off => Ok(Answer::Off),
        Osv::Folder(folder) => {
            // Nobody is told anything.
            let asked = asked(&|_| true);
            let hits = folder::look(folder, tree.ecosystem, &asked)?;
            Ok(Answer::Known { hits, asked: asked.len() })
        }
        Osv::Service(url) => {
            let asked = asked(&|package| may_be_named(package, settings, tree.ecosystem, registry));
            let proxies = match tree.ecosystem {
                Ecosystem::Npm => &settings.npm.proxies,
                Ecosystem::Pypi => &settings.python.proxies,
            };
            let trust = Trust::load(context, settings)?;
            let service = service::Service { url, proxies, trust: &trust, limit: LIMIT };
            Ok(match service.ask(tree.ecosystem, &asked) {
                Ok(hits) => Answer::Known { hits, asked: asked.len() },
                Err(e) => Answer::Unreached(e),
            })
        }
    }
}

/// Whether a package is the public registry's: its lock says so, or, where that says nothing, there is no other
/// registry that it could be from.
fn may_be_named(package: &Package, settings: &Settings, ecosystem: Ecosystem, registry: Option<&str>) -> bool {
    if package.at.is_some() {
        return package.is_public();
    }
    match ecosystem {
        Ecosystem::Npm => {
            settings.npm.with_registry(registry).is_ok_and(|npm| npmrc::is_public(npm.registry_of(&package.name)))
        }
        Ecosystem::Pypi => settings
            .python
            .with_default(registry)
            .is_ok_and(|python| python.indexes().all(|index| public::is_registry(&index.url))),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
