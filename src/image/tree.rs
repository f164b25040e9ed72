//! A box's tree, read from the lock that npm or uv wrote: every package with where it is from, and what it
//! needs. Pure.

use std::collections::BTreeMap;

use url::Url;

use super::lock::{Lock, PackageLock};
use crate::error::Result;
use crate::package::source::PinnedSource;
use crate::package::{Ecosystem, PinnedPackage};
use crate::registry::public;

/// A whole tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// Where its packages come from.
    pub ecosystem: Ecosystem,
    /// Each package once: those that the line names first, then by name and version.
    pub packages: Vec<Package>,
    /// Whether the lock says what the packages need. uv's did not, before its comments were kept.
    pub says_needs: bool,
}

/// One package of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its exact version.
    pub version: String,
    /// Its files' hashes, as the lock has them.
    pub integrity: Vec<String>,
    /// The address of its file (npm) or of its index (uv), if the lock has one.
    pub at: Option<Url>,
    /// The line names it.
    pub is_direct: bool,
    /// It is a file that the box brings along, and no registry's.
    pub is_own: bool,
    /// Where that file was made from.
    pub source: Option<PinnedSource>,
    /// The places in the tree of what it needs.
    pub needs: Vec<usize>,
}

impl Package {
    /// Whether it is known to be the public registry's: only then everybody may know that it is used here.
    pub fn is_public(&self) -> bool {
        !self.is_own && self.at.as_ref().is_some_and(public::is_registry)
    }
}

/// A package as its lock has it, with the names or places of what it needs.
struct Found {
    package: Package,
    needs: Vec<usize>,
}

impl Tree {
    /// Reads the `lock` of a box of these packages. Fails as [`Lock::parse`] does.
    pub fn read(ecosystem: Ecosystem, lock: &str, direct: &[PinnedPackage]) -> Result<Self> {
        let packages = Lock::parse(ecosystem, lock.to_owned())?.packages;
        let blank = packages.into_iter().map(|locked| Found {
            package: Package {
                name: locked.name,
                version: locked.version,
                integrity: locked.integrity,
                at: None,
                is_direct: false,
                is_own: false,
                source: None,
                needs: Vec::new(),
            },
            needs: Vec::new(),
        });
        let mut found: Vec<Found> = blank.collect();
        let says_needs = match ecosystem {
            Ecosystem::Npm => npm(lock, &mut found, direct),
            Ecosystem::Pypi => uv(lock, &mut found, direct),
        };
        Ok(Self { ecosystem, packages: merged(found), says_needs })
    }
}

/// What the line says about a package that it names.
fn named(package: &mut Package, direct: &[PinnedPackage]) {
    let pinned = direct.iter().find(|pinned| pinned.name() == package.name);
    package.is_direct = pinned.is_some();
    package.source = pinned.and_then(PinnedPackage::source).cloned();
}

/// package-lock.json: `found` is in the order of its places.
fn npm(text: &str, found: &mut [Found], direct: &[PinnedPackage]) -> bool {
    let Ok(lock) = serde_json::from_str::<PackageLock>(text) else { return false };
    let entries: Vec<_> = lock.packages.iter().filter(|(place, _)| place.contains("node_modules/")).collect();
    let places: BTreeMap<&str, usize> = entries.iter().enumerate().map(|(i, (place, _))| (place.as_str(), i)).collect();
    for ((place, entry), found) in entries.iter().zip(found.iter_mut()) {
        let names = [&entry.dependencies, &entry.optional_dependencies, &entry.peer_dependencies];
        found.needs = names.into_iter().flat_map(BTreeMap::keys).filter_map(|n| nearest(&places, place, n)).collect();
        found.package.is_own = entry.resolved.as_ref().is_some_and(|at| at.starts_with("file:"));
        found.package.at = entry.resolved.as_deref().and_then(|at| Url::parse(at).ok()).filter(Url::has_host);
        if place.strip_prefix("node_modules/") == Some(&found.package.name) {
            named(&mut found.package, direct);
        }
    }
    true
}

/// Where node finds `name` from `place`: in its own folder of modules, else in those around it.
fn nearest(places: &BTreeMap<&str, usize>, place: &str, name: &str) -> Option<usize> {
    let mut around = Some(place);
    while let Some(folder) = around {
        let inner = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        if let Some(found) = places.get(format!("{inner}node_modules/{name}").as_str()) {
            return Some(*found);
        }
        around = (!folder.is_empty()).then(|| folder.rsplit_once("node_modules/").map_or("", |(up, _)| up));
        around = around.map(|up| up.trim_end_matches('/'));
    }
    None
}

/// uv's requirements: `found` is in their order. Behind each stands who needs it (`# via a`, or `# via` and one
/// name a line), and from where it is (`# from https://…`).
fn uv(text: &str, found: &mut [Found], direct: &[PinnedPackage]) -> bool {
    let (mut place, mut via) = (None, Vec::new());
    for line in text.lines() {
        let Some(comment) = line.trim_start().strip_prefix('#') else {
            if !line.trim().is_empty() && !line.trim_start().starts_with('-') {
                let next = place.map_or(0, |place| place + 1);
                place = Some(next);
                if let Some(found) = found.get_mut(next) {
                    let of_index = |p: &PinnedPackage| p.sdist().is_some() && p.name() == found.package.name;
                    found.package.is_own = line.contains(" @ ") && !direct.iter().any(of_index);
                    named(&mut found.package, direct);
                }
            }
            continue;
        };
        let Some((place, found)) = place.and_then(|place| Some((place, found.get_mut(place)?))) else { continue };
        if let Some(name) = comment.strip_prefix("   ").or(comment.strip_prefix(" via ")) {
            via.push((place, name.trim().to_owned()));
        } else if let Some(at) = comment.strip_prefix(" from ") {
            found.package.at = Url::parse(at.trim()).ok();
        }
    }
    let by_name: BTreeMap<String, usize> =
        found.iter().enumerate().map(|(i, found)| (found.package.name.clone(), i)).collect();
    for (needed, by) in &via {
        let by = by.split('[').next().and_then(|name| by_name.get(name));
        if let Some(by) = by.and_then(|by| found.get_mut(*by)) {
            by.needs.push(*needed);
        }
    }
    !via.is_empty() || found.is_empty()
}

/// Each package once, however often npm has put it into folders, and in the tree's order.
fn merged(found: Vec<Found>) -> Vec<Package> {
    let key = |p: &Package| (!p.is_direct, p.name.clone(), p.version.clone(), p.integrity.clone(), p.at.clone());
    // What the line names may be in the tree a second time, elsewhere.
    let mut keys: Vec<_> = found.iter().map(|found| key(&found.package)).collect();
    let direct: Vec<_> = keys.iter().filter(|key| !key.0).cloned().collect();
    for other in &mut keys {
        other.0 = !direct.iter().any(|d| (&d.1, &d.2, &d.3, &d.4) == (&other.1, &other.2, &other.3, &other.4));
    }
    let mut order = keys.clone();
    order.sort();
    order.dedup();
    let place = |i: usize| order.binary_search(&keys[i]).unwrap_or_default();
    let mut packages: BTreeMap<usize, Package> = BTreeMap::new();
    for (i, found) in found.iter().enumerate() {
        let package = packages.entry(place(i)).or_insert_with(|| found.package.clone());
        package.needs.extend(found.needs.iter().map(|needed| place(*needed)));
        package.is_direct |= found.package.is_direct;
        package.source = package.source.take().or_else(|| found.package.source.clone());
    }
    for (own, package) in &mut packages {
        // Two folders may hold one package, which would then seem to need itself.
        package.needs.retain(|needed| needed != own);
        package.needs.sort_unstable();
        package.needs.dedup();
    }
    packages.into_values().collect()
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
