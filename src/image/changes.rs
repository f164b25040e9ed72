//! How one locked tree differs from another.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::lock::Locked;

/// A package whose versions are others. A tree can have several of one package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// Its name.
    pub name: String,
    /// Its versions before; none if it is new.
    pub from: Vec<String>,
    /// Its versions now; none if it is gone.
    pub to: Vec<String>,
}

/// All of them, by name. The same version with another hash is another one: `1.2.3 (another content)`.
pub fn moved(old: &[Locked], new: &[Locked]) -> Vec<Moved> {
    let (before, after) = (by_name(old), by_name(new));
    let names: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let none = BTreeMap::new();
    let compared = names.into_iter().filter_map(|name| {
        let (from, to) = (before.get(name).unwrap_or(&none), after.get(name).unwrap_or(&none));
        if from == to {
            return None;
        }
        let swapped = |version: &str| from.get(version).is_some_and(|was| to.get(version).is_some_and(|is| was != is));
        let shown = |version: &&str| match swapped(version) {
            true => format!("{version} (another content)"),
            false => (*version).to_owned(),
        };
        Some(Moved {
            name: name.to_owned(),
            from: from.keys().map(|version| (*version).to_owned()).collect(),
            to: to.keys().map(shown).collect(),
        })
    });
    compared.collect()
}

/// Each package's versions, with their hashes.
fn by_name(tree: &[Locked]) -> BTreeMap<&str, BTreeMap<&str, BTreeSet<&str>>> {
    let mut all: BTreeMap<&str, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    for package in tree {
        let hashes = package.integrity.iter().map(String::as_str);
        all.entry(&package.name).or_default().entry(&package.version).or_default().extend(hashes);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(packages: &[(&str, &str, &str)]) -> Vec<Locked> {
        let locked = |(name, version, hash): &(&str, &str, &str)| Locked {
            name: (*name).to_owned(),
            version: (*version).to_owned(),
            integrity: vec![(*hash).to_owned()],
        };
        packages.iter().map(locked).collect()
    }

    #[test]
    fn new_gone_newer_and_swapped() {
        let old = tree(&[("a", "1", "h"), ("b", "1", "h"), ("b", "2", "h"), ("c", "1", "h"), ("d", "1", "h")]);
        let new = tree(&[("a", "1", "h"), ("b", "2", "h"), ("b", "3", "h"), ("d", "1", "other"), ("e", "1", "h")]);
        let said: Vec<String> = moved(&old, &new)
            .into_iter()
            .map(|moved| format!("{}: {} -> {}", moved.name, moved.from.join("+"), moved.to.join("+")))
            .collect();
        assert_eq!(said, ["b: 1+2 -> 2+3", "c: 1 -> ", "d: 1 -> 1 (another content)", "e:  -> 1"]);
        assert_eq!(moved(&old, &old), []);
        // uv lists a file for each platform, in any order.
        let reversed: Vec<Locked> = old.iter().rev().cloned().collect();
        assert_eq!(moved(&old, &reversed), []);
    }
}
