//! What uv would install of a project itself.

use std::str::FromStr;

use pep440_rs::Version;
use toml::Value;

use super::{COMPILES, Pyproject};
use crate::error::{Error, Result};
use crate::package::editable::{Editable, Entry};
use crate::package::pypi::PypiName;
use crate::package::shown;

/// For a version that only a build would tell.
const NO_VERSION: &str = "0+local";

impl Pyproject {
    /// What uv would install of the project in `root` itself, so that its code is found and its commands are there;
    /// none if it would not. `has_src`: there is a folder `src`.
    pub fn editable(&self, root: &str, has_src: bool) -> Result<Option<Editable>> {
        let packaged = self.uv("package").and_then(Value::as_bool).unwrap_or(self.build_system.is_some());
        let Some(project) = self.project.as_ref().filter(|_| packaged) else { return Ok(None) };
        let backend = self.build_system.as_ref().map(|system| system.build_backend.as_str()).unwrap_or_default();
        if COMPILES.iter().any(|name| backend.split('.').next() == Some(name)) {
            return Err(Error::refused(format!("it is built by {}, which compiles code", shown(backend)))
                .because("nothing of a local project is built")
                .hint("run the published package: `uvx-safe pkg arg…`"));
        }
        let version = match &project.version {
            Some(version) => Version::from_str(version)
                .map_err(|_| Error::usage(format!("its version `{}` is none", shown(version))))?
                .to_string(),
            None => NO_VERSION.to_owned(),
        };
        let mut entries = Vec::new();
        let groups = [("console_scripts", &project.scripts), ("gui_scripts", &project.gui_scripts)];
        let others = project.entry_points.iter().map(|(group, all)| (group.as_str(), all));
        for (group, all) in groups.into_iter().chain(others) {
            for (name, object) in all {
                entries.push(Entry::new(group, name, object)?);
            }
        }
        let name = PypiName::parse(&project.name)?;
        Editable::new(&name, &version, entries, self.roots(root, has_src)).map(Some)
    }

    /// The folders that its packages are in: what the settings of the usual build backends say, `src`, and the
    /// folder itself. They come after all else that Python looks at, so one too many does no harm.
    fn roots(&self, root: &str, has_src: bool) -> Vec<String> {
        let at = |path: &[&str]| {
            let (first, rest) = path.split_first()?;
            rest.iter().try_fold(self.tool.get(*first)?, |value, key| value.get(*key))
        };
        let texts = |value: Option<&Value>| -> Vec<String> {
            let list = value.and_then(Value::as_array).into_iter().flatten();
            list.chain(value).filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let wheel = at(&["hatch", "build", "targets", "wheel", "packages"]);
        // A package's parent.
        let above = |path: String| path.rsplit_once('/').map(|(parent, _)| parent.to_owned());
        let mut named: Vec<String> = texts(wheel).into_iter().filter_map(above).collect();
        named.extend(texts(at(&["setuptools", "packages", "find", "where"])));
        named.extend(texts(at(&["setuptools", "package-dir", ""])));
        named.extend(texts(at(&["uv", "build-backend", "module-root"])));
        named.extend(texts(at(&["pdm", "build", "package-dir"])));
        let poetry = at(&["poetry", "packages"]).and_then(Value::as_array).into_iter().flatten();
        named.extend(poetry.filter_map(|package| package.get("from")?.as_str()).map(str::to_owned));
        named.extend(has_src.then(|| "src".to_owned()));
        let mut roots: Vec<String> = Vec::new();
        for folder in named.iter().map(|folder| folder.trim_matches('/')).chain([""]) {
            let parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
            let plain = !parts.iter().any(|part| *part == ".." || part.contains(char::is_control));
            let path = [&[root][..], &parts].concat().join("/");
            if plain && !roots.contains(&path) {
                roots.push(path);
            }
        }
        roots
    }
}
