//! What some packages need besides themselves, as data: those that come with us (`templates/recipes/`) and the user's own
//! (`recipes/` beside config.toml), which take the place of ours.
//!
//! ```toml
//! package = "pypi:some-server"
//!
//! [build]                # what `jitbox build` would be asked for
//! apt = ["git"]
//! python = "3.12"
//! with = ["mcp<2"]
//!
//! [env]                  # variables that it gets unless somebody sets them
//! SOME_SERVER_DIR = "/state"
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::malformed;
use crate::context::Context;
use crate::error::{Doing, Error, Result};
use crate::launch::Launch;
use crate::launch::tighten::is_variable;
use crate::package::npm::{NpmRequest, NpmSpec};
use crate::package::pypi::{PypiRequest, PypiSpec};
use crate::package::{Ecosystem, PackageSpec, PinnedPackage};
use crate::policy::seccomp::Relaxation;
use crate::state::overrides::Overrides;
use crate::trust;

/// One recipe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Whom it is for: `npm:NAME` or `pypi:NAME`.
    pub package: String,
    /// What its box is made with besides the package.
    #[serde(default, skip_serializing_if = "Overrides::is_empty")]
    pub build: Overrides,
    /// Variables that it gets unless somebody sets them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// System calls that it needs besides those that every program may make, and the variables that it gets instead
    /// of the above where it may make them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub relax: BTreeMap<Relaxation, BTreeMap<String, String>>,
}

const BUILT_IN: [&str; 3] = [
    include_str!("../templates/recipes/mcp-server-git.toml"),
    include_str!("../templates/recipes/playwright-mcp.toml"),
    include_str!("../templates/recipes/server-memory.toml"),
];

impl Recipe {
    /// Reads one; the reason says the line.
    fn parse(text: &str) -> Result<Self, String> {
        let recipe: Self = toml::from_str(text).map_err(|e| malformed(text, &e))?;
        let ecosystem = recipe.ecosystem()?;
        recipe.build.check(ecosystem).map_err(|e| e.to_string())?;
        let all = recipe.env.keys().chain(recipe.relax.values().flat_map(BTreeMap::keys));
        match all.into_iter().find(|name| !is_variable(name)) {
            Some(name) => Err(format!("`{name}` is no name of a variable")),
            None => Ok(recipe),
        }
    }

    /// The kind of its package, whose name has to be one.
    fn ecosystem(&self) -> Result<Ecosystem, String> {
        let is_plain = |spec: Result<PackageSpec>, name: &str| spec.is_ok_and(|spec| spec.name() == name);
        let package = &*self.package;
        if let Some(name) = package.strip_prefix("npm:")
            && is_plain(NpmSpec::parse(name).map(PackageSpec::Npm), name)
        {
            return Ok(Ecosystem::Npm);
        }
        if let Some(name) = package.strip_prefix("pypi:")
            && is_plain(PypiSpec::parse_requirement(name).map(PackageSpec::Pypi), name)
        {
            return Ok(Ecosystem::Pypi);
        }
        Err(format!("`package = \"{package}\"`: a package is `npm:NAME` or `pypi:NAME`, as its registry has it"))
    }
}

/// All recipes that there are.
#[derive(Debug, Default)]
pub struct Recipes {
    /// The user's own files.
    own: Vec<(PathBuf, String)>,
}

impl Recipes {
    /// Where the user's are.
    pub fn folder(context: &Context) -> PathBuf {
        context.config_dir().join("recipes")
    }

    /// Reads the user's own. They widen what a package gets, so they have to be in the user's hands alone.
    pub fn load(context: &Context) -> Result<Self> {
        let folder = Self::folder(context);
        let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(Self::default()) };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        paths.sort();
        let mut own = Vec::new();
        for path in paths {
            if let Some(text) = trust::read_rules(&path, context.uid)? {
                own.push((path, text));
            }
        }
        Ok(Self { own })
    }

    /// The recipe for a package of that name, and the user's file that it is from; one that asks for nothing if there is none.
    fn found(&self, ecosystem: Ecosystem, name: &str) -> Result<(Recipe, Option<&Path>)> {
        let wanted = format!("{ecosystem}:{name}");
        // Looked for at each start: only the one that is meant is read.
        for (path, text) in self.own.iter().filter(|(_, text)| text.contains(&wanted)) {
            let recipe = Recipe::parse(text).map_err(|why| Error::refused(trust::unusable(path)).because(why))?;
            if recipe.package == wanted {
                return Ok((recipe, Some(path)));
            }
        }
        for text in BUILT_IN.iter().filter(|text| text.contains(&wanted)) {
            let recipe = Recipe::parse(text).doing(|| "a built-in recipe is malformed".into())?;
            if recipe.package == wanted {
                return Ok((recipe, None));
            }
        }
        Ok((Recipe::default(), None))
    }

    /// The recipe for a package of that name; one that asks for nothing if there is none.
    pub fn of(&self, ecosystem: Ecosystem, name: &str) -> Result<Recipe> {
        self.found(ecosystem, name).map(|(recipe, _)| recipe)
    }

    /// The recipes of those that a registry has. Elsewhere anybody may call their package so.
    pub fn of_all(&self, packages: &[PinnedPackage]) -> Result<Vec<Recipe>> {
        let of_registry = packages.iter().filter(|package| package.is_published());
        of_registry.map(|package| self.of(package.ecosystem(), package.name())).collect()
    }

    /// What a line's packages are made with by their recipes, and what is asked for besides.
    pub fn overrides(&self, launch: &Launch, asked: &Overrides) -> Result<Overrides> {
        let mut all = Overrides::default();
        for spec in &launch.packages {
            let is_published = match spec {
                PackageSpec::Npm(npm) => !matches!(npm.request, NpmRequest::Source(_)),
                PackageSpec::Pypi(pypi) => !matches!(pypi.request, PypiRequest::Source(_)),
            };
            if is_published {
                all = all.and(&self.of(spec.ecosystem(), spec.name())?.build);
            }
        }
        Ok(all.and(asked))
    }

    /// The Debian packages that belong into an image of these, with what is asked for besides.
    pub fn apt(&self, packages: &[PinnedPackage], asked: &Overrides) -> Result<Vec<String>> {
        let recipes = self.of_all(packages)?.into_iter();
        let all = recipes.flat_map(|recipe| recipe.build.apt).collect();
        Ok(Overrides { apt: all, ..Overrides::default() }.and(asked).apt)
    }

    /// Each of them, with the user's file that it is from, or why that can't be used.
    pub fn all(&self) -> Vec<(Option<&Path>, Result<Recipe, String>)> {
        let own = self.own.iter().map(|(path, text)| (Some(&**path), Recipe::parse(text)));
        let taken: Vec<String> = own.clone().filter_map(|(_, recipe)| Some(recipe.ok()?.package)).collect();
        let ours = BUILT_IN.iter().map(|text| (None, Recipe::parse(text)));
        let ours = ours.filter(|(_, recipe)| recipe.as_ref().is_ok_and(|recipe| !taken.contains(&recipe.package)));
        own.chain(ours).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(texts: &[&str]) -> Recipes {
        let file = |(i, text): (usize, &&str)| (PathBuf::from(format!("/recipes/{i}.toml")), (*text).to_owned());
        Recipes { own: texts.iter().enumerate().map(file).collect() }
    }

    #[test]
    fn every_built_in_recipe_can_be_read_and_is_found() {
        let all = Recipes::default();
        assert!(BUILT_IN.iter().all(|text| Recipe::parse(text).is_ok()));
        assert_eq!(all.of(Ecosystem::Pypi, "mcp-server-git").unwrap().build.apt, ["git"]);
        let memory = all.of(Ecosystem::Npm, "@modelcontextprotocol/server-memory").unwrap();
        assert_eq!(memory.env["MEMORY_FILE_PATH"], "/state/memory.jsonl");
        let playwright = all.of(Ecosystem::Npm, "@playwright/mcp").unwrap();
        assert!(playwright.relax[&Relaxation::Browser].keys().all(|name| playwright.env.contains_key(name)));
        assert_eq!(all.of(Ecosystem::Npm, "mcp-server-git").unwrap(), Recipe::default());
    }

    #[test]
    fn the_users_own_take_the_place_of_ours() {
        let all = own(&["package = \"pypi:mcp-server-git\"\n[build]\npython = \"3.12\"", "nonsense"]);
        let recipe = all.of(Ecosystem::Pypi, "mcp-server-git").unwrap();
        assert_eq!((recipe.build.apt.len(), recipe.build.python.as_deref()), (0, Some("3.12")));
        // What can't be read concerns nobody whom it does not name.
        assert!(all.of(Ecosystem::Npm, "cowsay").is_ok());
        assert_eq!(all.all().len(), 2 + BUILT_IN.len() - 1);
        assert_eq!(all.all().iter().filter(|(_, recipe)| recipe.is_err()).count(), 1);
    }

    #[test]
    fn a_recipe_is_refused_with_its_reason() {
        let why = |text: &str| own(&[&format!("package = \"npm:x\"\n{text}")]).of(Ecosystem::Npm, "x").unwrap_err();
        for (text, said) in [
            ("colour = 1", "line 2: unknown field `colour`"),
            ("[build]\nargs = []", "line 3: unknown field `args`"),
            ("[build]\napt = [\"git; rm -rf /\"]", "no name of a Debian package"),
            ("[build]\npython = \"3.12\"", "`--python` is not for packages of npm"),
            ("[env]\n\"A=B\" = \"\"", "`A=B` is no name of a variable"),
        ] {
            assert!(why(text).to_string().contains(said), "{text}: {}", why(text));
        }
        for name in ["x", "npm:", "npm:x@1", "pypi:x>=2", "npm:https://x.example/x.tgz", "cargo:x", "pypi:Some_Server"]
        {
            assert!(Recipe::parse(&format!("package = \"{name}\"")).is_err(), "{name}");
        }
    }
}
