//! The line that says what a launch says, in one spelling: parsing it gives the same launch.

use std::ffi::OsString;

use super::{Launch, Tighten, python};
use crate::package::pypi::PypiName;
use crate::package::{Ecosystem, PackageSpec};

impl Launch {
    /// The arguments for the ecosystem's shim that mean this launch.
    pub fn line(&self) -> Vec<OsString> {
        let mut words = self.tighten.words();
        match self.launcher.ecosystem() {
            Ecosystem::Npm => self.npx(&mut words),
            Ecosystem::Pypi => self.uvx(&mut words),
        }
        let mut line: Vec<OsString> = words.into_iter().map(OsString::from).collect();
        line.extend(self.args.iter().cloned());
        line
    }

    fn npx(&self, words: &mut Vec<String>) {
        words.push("--yes".to_owned());
        words.extend(self.registry.iter().map(|url| format!("--registry={url}")));
        words.extend(self.node_options.iter().map(|options| format!("--node-options={options}")));
        let mut packages = self.packages.iter().map(as_typed);
        match &self.command {
            Some(command) => {
                words.extend(packages.map(|spec| format!("--package={spec}")));
                words.extend(["--".to_owned(), command.clone()]);
            }
            None if self.call.is_some() => {
                words.extend(packages.map(|spec| format!("--package={spec}")));
                words.extend(self.call.iter().map(|line| format!("--call={line}")));
            }
            None => words.extend(["--".to_owned()].into_iter().chain(packages.next())),
        }
    }

    fn uvx(&self, words: &mut Vec<String>) {
        words.extend(self.registry.iter().map(|url| format!("--default-index={url}")));
        words.extend(self.python.iter().map(|version| format!("--python={version}")));
        if self.prerelease {
            words.push("--prerelease=allow".to_owned());
        }
        let mut packages: Vec<String> = self.packages.iter().map(as_typed).collect();
        // Nothing to take the command from, or what would be read otherwise there: then it is an
        // interpreter's environment, with packages.
        let bare = packages.first().is_none_or(|first| !can_follow_from(first));
        let word = match &self.command {
            Some(command) => {
                let from = if bare { "python".to_owned() } else { packages.remove(0) };
                words.push(format!("--from={from}"));
                command.clone()
            }
            None if packages.is_empty() => "python".to_owned(),
            None => package_word(packages.remove(0)),
        };
        words.extend(packages.into_iter().map(|spec| format!("--with={spec}")));
        words.extend(self.files.iter().map(|file| format!("--with-requirements={file}")));
        words.extend(["--".to_owned(), word]);
    }
}

/// The spec in its canonical spelling, but with the name as it was typed: uvx looks for an
/// executable of just that spelling.
fn as_typed(spec: &PackageSpec) -> String {
    match spec {
        PackageSpec::Pypi(pypi) => {
            let text = pypi.to_string();
            let name = pypi.name.as_ref().map_or("", PypiName::as_str);
            text.strip_prefix(name).map_or(text.clone(), |rest| format!("{}{rest}", pypi.typed))
        }
        PackageSpec::Npm(npm) => npm.to_string(),
    }
}

/// A package that is called like an interpreter is one only with a space before it (uv,
/// `PythonRequest::try_from_tool_name`, which does not trim).
fn package_word(spec: String) -> String {
    if matches!(python::interpreter(&spec), Ok(None)) { spec } else { format!(" {spec}") }
}

/// After `--from`, `python` is the interpreter, and `x.py` a mistake.
fn can_follow_from(spec: &str) -> bool {
    matches!(python::interpreter(spec), Ok(None)) && !spec.to_ascii_lowercase().ends_with(".py")
}

impl Tighten {
    fn words(&self) -> Vec<String> {
        let switches =
            [(self.plan, "--safe-plan"), (self.read_only, "--safe-ro"), (self.no_network, "--safe-net=none")];
        let on = switches.into_iter().filter(|(on, _)| *on).map(|(_, word)| word.to_owned());
        let level = self.level.iter().map(|level| format!("--safe-level={level}"));
        on.chain(level).chain(self.env.iter().flatten().map(|name| format!("--safe-env={name}"))).collect()
    }
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
