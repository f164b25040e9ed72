//! What a project says of itself: `pyproject.toml`, and the head of a script (PEP 621, 735, 723). Pure; nothing of the
//! project runs, and what it adds to a box comes from a registry. What would change that is refused by its name.

mod installed;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::{Table, Value};

use super::pypi::{PypiName, PypiRequest, Requirement};
use super::shown;
use crate::error::{Error, Result};

/// Which dependencies of a project are wanted (uv, `DependencyGroups` and `ExtrasSpecification`). All names are normal.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// `--extra`.
    pub extras: Vec<String>,
    /// `--no-extra`.
    pub no_extras: Vec<String>,
    /// `--all-extras`.
    pub all_extras: bool,
    /// `--group`.
    pub groups: Vec<String>,
    /// `--no-group`.
    pub no_groups: Vec<String>,
    /// `--only-group`: these, and not the project itself.
    pub only_groups: Vec<String>,
    /// `--all-groups`.
    pub all_groups: bool,
    /// `--no-default-groups`.
    pub no_default_groups: bool,
}

/// A `pyproject.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Pyproject {
    project: Option<Project>,
    build_system: Option<BuildSystem>,
    dependency_groups: BTreeMap<String, Vec<Value>>,
    tool: Table,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Project {
    name: String,
    version: Option<String>,
    requires_python: Option<String>,
    dependencies: Vec<String>,
    optional_dependencies: BTreeMap<String, Vec<String>>,
    dynamic: Vec<String>,
    scripts: BTreeMap<String, String>,
    gui_scripts: BTreeMap<String, String>,
    entry_points: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct BuildSystem {
    build_backend: String,
}

/// The head of a script.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Head {
    dependencies: Vec<String>,
    requires_python: Option<String>,
    tool: Table,
}

/// A name of an extra or a group as it is compared (PEP 503, 685 and 735).
pub fn normal(name: &str) -> Result<String> {
    PypiName::parse(name).map(|name| name.as_str().to_owned())
}

fn malformed(e: &toml::de::Error) -> Error {
    Error::usage(e.message()).hint("correct it, until `uv lock` takes it")
}

/// What builds code that is not Python's, which only a real build makes importable.
const COMPILES: [&str; 4] = ["maturin", "mesonpy", "scikit_build_core", "py_build_cmake"];

/// What `tool.uv` can say without any effect on what is in a box, or that is taken into account.
#[rustfmt::skip]
const KNOWN: &[&str] = &[
    "add-bounds", "audit", "build-backend", "build-constraint-dependencies", "cache-dir", "cache-keys", "check-url",
    "compile-bytecode", "concurrent-builds", "concurrent-downloads", "concurrent-installs", "config-settings",
    "config-settings-package", "conflicts", "constraint-dependencies", "default-groups", "dependency-groups",
    "dev-dependencies", "environments", "extra-build-dependencies", "extra-build-variables", "index",
    "keyring-provider", "link-mode", "native-tls", "no-binary", "no-binary-package", "no-build", "no-build-isolation",
    "no-build-isolation-package", "no-build-package", "no-cache", "package", "pip", "prerelease", "preview",
    "preview-features", "publish-url", "python-downloads", "python-install-mirror", "python-preference",
    "pypy-install-mirror", "reinstall", "reinstall-package", "required-environments", "required-version", "sources",
    "system-certs", "trusted-publishing", "upgrade", "upgrade-package", "workspace",
];

/// What chooses versions; with a lock, the lock has them.
#[rustfmt::skip]
const VERSIONS: &[&str] = &[
    "dependency-metadata", "exclude-dependencies", "exclude-newer", "exclude-newer-package", "fork-strategy",
    "index-strategy", "override-dependencies", "resolution",
];

impl Pyproject {
    /// Reads it.
    pub fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|e| malformed(&e))
    }

    /// Reads the head of a script, if it has one (PEP 723): its dependencies take the place of a project's.
    pub fn of_script(text: &str) -> Result<Option<Self>> {
        let Some(text) = head(text) else { return Ok(None) };
        let head: Head = toml::from_str(&text).map_err(|e| malformed(&e))?;
        let project =
            Project { dependencies: head.dependencies, requires_python: head.requires_python, ..Project::default() };
        Ok(Some(Self { project: Some(project), tool: head.tool, ..Self::default() }))
    }

    /// Whether it is the root of a workspace, whose projects share a lock.
    pub fn is_workspace(&self) -> bool {
        self.uv("workspace").is_some()
    }

    /// Whether it has settings of uv's.
    pub fn has_settings(&self) -> bool {
        self.tool.contains_key("uv")
    }

    /// The versions of Python that will do.
    pub fn requires_python(&self) -> Option<&str> {
        self.project.as_ref()?.requires_python.as_deref()
    }

    /// Whether pre-releases count as other versions do.
    pub fn prerelease(&self) -> bool {
        self.uv("prerelease").and_then(Value::as_str) == Some("allow")
    }

    /// Refuses settings that would give the box other packages than the registry's newest that fit. `locked`: there
    /// is a lock, which has the versions.
    pub fn check(&self, locked: bool) -> Result<()> {
        let keys = self.tool.get("uv").and_then(Value::as_table).into_iter().flat_map(Table::keys);
        for key in keys.map(String::as_str).filter(|key| !KNOWN.contains(key)) {
            let refused = Error::refused(format!("`{}` in its `[tool.uv]` is not taken into account", shown(key)));
            match VERSIONS.contains(&key) {
                true if locked => {}
                true => return Err(refused.hint("make a lock, which is: `uv lock`")),
                false => return Err(refused.hint("leave it out")),
            }
        }
        let own = |index: &Value| index.get("explicit").and_then(Value::as_bool) != Some(true);
        if self.uv("index").and_then(Value::as_array).is_some_and(|all| all.iter().any(own)) {
            return Err(Error::refused(
                "its `[[tool.uv.index]]` says where packages come from, which is for you to say",
            )
            .hint("put the index into your own settings: ~/.config/uv/uv.toml"));
        }
        if !matches!(self.uv("prerelease").and_then(Value::as_str), None | Some("allow" | "if-necessary-or-explicit")) {
            return Err(Error::refused("its `prerelease` can only be `allow` or `if-necessary-or-explicit` here")
                .hint("leave it out"));
        }
        let mut dynamic = self.project.iter().flat_map(|project| &project.dynamic);
        if let Some(part) = dynamic.find(|part| ["dependencies", "optional-dependencies"].contains(&part.as_str())) {
            return Err(Error::refused(format!("its {part} are known only when its build backend runs"))
                .hint("write them into pyproject.toml"));
        }
        Ok(())
    }

    /// What it wants to have installed; conditions are not looked at yet.
    pub fn requirements(&self, wanted: &Wanted) -> Result<Vec<Requirement>> {
        let (mut texts, mut seen) = (Vec::new(), BTreeSet::new());
        if wanted.only_groups.is_empty() {
            texts.extend(self.project.iter().flat_map(|project| project.dependencies.clone()));
            for extra in self.extras(wanted)? {
                self.extra(&extra, &mut seen, &mut texts)?;
            }
        }
        for group in self.groups(wanted)? {
            self.group(&group, &mut Vec::new(), &mut texts)?;
        }
        let mut all: Vec<Requirement> = Vec::new();
        while !texts.is_empty() {
            for text in std::mem::take(&mut texts) {
                let requirement = Requirement::parse_remote(&text)?;
                if self.is_own(&requirement) {
                    // No extra is called so: once for all.
                    if seen.insert(String::new()) {
                        texts.extend(self.project.iter().flat_map(|project| project.dependencies.clone()));
                    }
                    requirement.spec.extras.iter().try_for_each(|extra| self.extra(extra, &mut seen, &mut texts))?;
                    continue;
                }
                let requirement = self.sourced(requirement)?;
                if !all.contains(&requirement) {
                    all.push(requirement);
                }
            }
        }
        Ok(all)
    }

    /// Whether it is the project itself, with extras perhaps: a registry may have another one of that name.
    fn is_own(&self, requirement: &Requirement) -> bool {
        let own = self.project.as_ref().and_then(|project| normal(&project.name).ok());
        own.is_some() && own.as_deref() == requirement.spec.name.as_ref().map(PypiName::as_str)
    }

    /// `constraint-dependencies`, as they are.
    pub fn constraints(&self) -> Result<Vec<Requirement>> {
        let list = self.uv("constraint-dependencies").and_then(Value::as_array).into_iter().flatten();
        list.map(|text| Requirement::parse_remote(text.as_str().unwrap_or_default())).collect()
    }

    fn uv(&self, key: &str) -> Option<&Value> {
        self.tool.get("uv")?.get(key)
    }

    fn extras(&self, wanted: &Wanted) -> Result<BTreeSet<String>> {
        let optional = self.project.iter().flat_map(|project| project.optional_dependencies.keys());
        let there = optional.map(|name| normal(name)).collect::<Result<BTreeSet<String>>>()?;
        if let Some(missing) = wanted.extras.iter().find(|extra| !there.contains(*extra)) {
            return Err(Error::usage(format!("the project has no extra `{}`", shown(missing))).hint("leave it out"));
        }
        let mut extras = if wanted.all_extras { there } else { wanted.extras.iter().cloned().collect() };
        extras.retain(|extra| !wanted.no_extras.contains(extra));
        Ok(extras)
    }

    /// Adds what an extra wants, once. That may be others of the same project: `project[other]`.
    fn extra(&self, extra: &str, seen: &mut BTreeSet<String>, texts: &mut Vec<String>) -> Result<()> {
        let Some(project) = &self.project else { return Ok(()) };
        if !seen.insert(extra.to_owned()) {
            return Ok(());
        }
        for (name, dependencies) in &project.optional_dependencies {
            if normal(name)? != extra {
                continue;
            }
            texts.extend(dependencies.iter().cloned());
        }
        Ok(())
    }

    /// The groups that uv would install: the default ones, `dev` unless it is said otherwise, and what the line says.
    fn groups(&self, wanted: &Wanted) -> Result<BTreeSet<String>> {
        let mut there = self.dependency_groups.keys().map(|name| normal(name)).collect::<Result<BTreeSet<_>>>()?;
        if self.uv("dev-dependencies").is_some() {
            there.insert("dev".to_owned());
        }
        let asked = wanted.groups.iter().chain(&wanted.only_groups);
        if let Some(missing) = asked.clone().find(|group| *group != "dev" && !there.contains(*group)) {
            return Err(Error::usage(format!("the project has no group `{}`", shown(missing))).hint("leave it out"));
        }
        let mut groups: BTreeSet<String> = asked.cloned().collect();
        if wanted.all_groups {
            groups.extend(there.iter().cloned());
        }
        if wanted.only_groups.is_empty() && !wanted.no_default_groups {
            match self.uv("default-groups") {
                None => groups.extend(["dev".to_owned()]),
                Some(Value::Array(names)) => {
                    for name in names {
                        groups.insert(normal(name.as_str().unwrap_or_default())?);
                    }
                }
                Some(_) => groups.extend(there.iter().cloned()),
            }
        }
        groups.retain(|group| there.contains(group) && !wanted.no_groups.contains(group));
        Ok(groups)
    }

    /// A group may include others (PEP 735).
    fn group(&self, group: &str, within: &mut Vec<String>, texts: &mut Vec<String>) -> Result<()> {
        if within.iter().any(|outer| outer == group) {
            return Err(Error::usage(format!("its group `{}` includes itself", shown(group))));
        }
        within.push(group.to_owned());
        for (name, items) in &self.dependency_groups {
            if normal(name)? != group {
                continue;
            }
            for item in items {
                match (item, item.get("include-group").and_then(Value::as_str)) {
                    (Value::String(text), _) => texts.push(text.clone()),
                    (_, Some(other)) => self.group(&normal(other)?, within, texts)?,
                    _ => return Err(Error::usage(format!("its group `{}` can't be read", shown(group)))),
                }
            }
        }
        if let (true, Some(Value::Array(items))) = (group == "dev", self.uv("dev-dependencies")) {
            texts.extend(items.iter().filter_map(Value::as_str).map(str::to_owned));
        }
        within.pop();
        Ok(())
    }

    /// The requirement, from where `tool.uv.sources` says: a repository or an archive, never this machine.
    fn sourced(&self, requirement: Requirement) -> Result<Requirement> {
        let (Some(sources), Some(name)) = (self.uv("sources").and_then(Value::as_table), &requirement.spec.name) else {
            return Ok(requirement);
        };
        let Some((_, source)) = sources.iter().find(|(key, _)| normal(key).is_ok_and(|key| key == name.as_str()))
        else {
            return Ok(requirement);
        };
        let Some(address) = address(source) else {
            let why = if source.get("path").is_some() || source.get("workspace").is_some() {
                "it is in another folder of this machine"
            } else if source.get("index").is_some() {
                "it comes from an index that the project names, and which index there is is for you to say"
            } else {
                "its source in `[tool.uv.sources]` is not understood"
            };
            return Err(Error::refused(format!("`{}` can't be had for a box", name.as_str()))
                .because(why)
                .hint("take it out of `[tool.uv.sources]` if a registry has it, or name its git repository there"));
        };
        let extras = &requirement.spec.extras;
        let extras = if extras.is_empty() { String::new() } else { format!("[{}]", extras.join(",")) };
        let spec = Requirement::parse_remote(&format!("{}{extras} @ {address}", name.as_str()))?.spec;
        debug_assert!(matches!(spec.request, PypiRequest::Source(_)));
        Ok(Requirement { spec, marker: requirement.marker })
    }
}

/// A git repository or an archive as a requirement names it (uv, "Dependency sources").
fn address(source: &Value) -> Option<String> {
    let table = source.as_table()?;
    let text = |key: &str| table.get(key).and_then(Value::as_str);
    let only = |keys: &[&str]| table.keys().all(|key| keys.contains(&key.as_str()));
    if let (Some(url), true) = (text("url"), only(&["url"])) {
        return Some(url.to_owned());
    }
    let url = text("git").filter(|_| only(&["git", "rev", "tag", "branch", "subdirectory"]))?;
    let reference = text("rev").or(text("tag")).or(text("branch")).map(|name| format!("@{name}"));
    let folder = text("subdirectory").map(|folder| format!("#subdirectory={folder}"));
    Some(format!("git+{url}{}{}", reference.unwrap_or_default(), folder.unwrap_or_default()))
}

/// The text of a script's head, without its `#`.
fn head(text: &str) -> Option<String> {
    let mut lines = text.lines().skip_while(|line| line.trim_end() != "# /// script").skip(1);
    let mut block: Vec<&str> = lines.by_ref().take_while(|line| *line == "#" || line.starts_with("# ")).collect();
    let end = block.iter().rposition(|line| line.trim_end() == "# ///")?;
    block.truncate(end);
    let bare = |line: &str| line.strip_prefix("# ").unwrap_or_default().to_owned() + "\n";
    Some(block.into_iter().map(bare).collect())
}

#[cfg(test)]
#[path = "pyproject_tests.rs"]
mod tests;
