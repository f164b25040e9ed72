//! What some packages need besides themselves, as data: `templates/recipes/`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::{Doing, Result};
use crate::package::{Ecosystem, PinnedPackage};
use crate::policy::seccomp::Relaxation;

/// One recipe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Whom it is for: `npm:NAME` or `pypi:NAME`.
    pub package: String,
    /// Debian packages that belong into the image.
    #[serde(default)]
    pub apt: Vec<String>,
    /// Variables that it gets unless somebody sets them.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// System calls that it needs besides those that every program may make, and the variables that it gets instead
    /// of the above where it may make them.
    #[serde(default)]
    pub relax: BTreeMap<Relaxation, BTreeMap<String, String>>,
}

const BUILT_IN: [&str; 3] = [
    include_str!("../templates/recipes/mcp-server-git.toml"),
    include_str!("../templates/recipes/playwright-mcp.toml"),
    include_str!("../templates/recipes/server-memory.toml"),
];

/// The recipe for a package of that name; one that asks for nothing if there is none.
pub(crate) fn for_package(ecosystem: Ecosystem, name: &str) -> Result<Recipe> {
    let wanted = format!("{ecosystem}:{name}");
    // Looked for at each start: only the one that is meant is read.
    for text in BUILT_IN.iter().filter(|text| text.contains(&wanted)) {
        let recipe: Recipe = toml::from_str(text).doing(|| "a built-in recipe is malformed".into())?;
        if recipe.package == wanted {
            return Ok(recipe);
        }
    }
    Ok(Recipe::default())
}

/// The recipes of those that a registry has. Elsewhere anybody may call their package so.
pub fn for_all(packages: &[PinnedPackage]) -> Result<Vec<Recipe>> {
    let of_registry = packages.iter().filter(|package| package.is_published());
    of_registry.map(|package| for_package(package.ecosystem(), package.name())).collect()
}

/// The Debian packages that belong into the image of these.
pub fn apt(packages: &[PinnedPackage]) -> Result<Vec<String>> {
    Ok(for_all(packages)?.into_iter().flat_map(|recipe| recipe.apt).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_recipe_can_be_read_and_names_plain_debian_packages() {
        for text in BUILT_IN {
            let recipe: Recipe = toml::from_str(text).unwrap();
            let plain = |name: &String| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
            assert!(recipe.apt.iter().all(plain), "{recipe:?}");
        }
        assert_eq!(for_package(Ecosystem::Pypi, "mcp-server-git").unwrap().apt, ["git"]);
        let memory = for_package(Ecosystem::Npm, "@modelcontextprotocol/server-memory").unwrap();
        assert_eq!(memory.env["MEMORY_FILE_PATH"], "/state/memory.jsonl");
        let playwright = for_package(Ecosystem::Npm, "@playwright/mcp").unwrap();
        assert!(playwright.relax[&Relaxation::Browser].keys().all(|name| playwright.env.contains_key(name)));
        assert_eq!(for_package(Ecosystem::Npm, "mcp-server-git").unwrap(), Recipe::default());
    }
}
