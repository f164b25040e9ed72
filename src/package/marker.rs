//! Conditions behind a `;` (PEP 508, "Environment markers"), for the Pythons that a box may have.

use pep508_rs::{MarkerEnvironment, MarkerEnvironmentBuilder, MarkerTree, MarkerWarningKind};

use super::shown;
use crate::error::{Error, Result};

/// No real condition is longer, and the time that some take grows faster than they do.
const LONGEST: usize = 512;

/// Above all patch numbers of Python.
const PATCHES: u64 = 40;

/// A condition that can be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    tree: MarkerTree,
    /// For people.
    text: String,
}

impl Marker {
    /// Parses what follows the `;`. Only what means the same to everybody is taken: nothing that a parser warns about,
    /// and nothing that differs between two kernels.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let bad = |why: String| {
            Error::usage(format!("`{}` is not a condition", shown(text)))
                .because(why)
                .hint("write it as in `pkg; python_version < \"3.12\"`")
        };
        if text.len() > LONGEST {
            return Err(bad("it is too long".into()));
        }
        // The crate cuts words at bytes.
        if !text.is_ascii() {
            return Err(bad("it has letters that no condition has".into()));
        }
        let mut warning = None;
        let mut note = |_: MarkerWarningKind, message: String| warning = Some(message);
        let tree = MarkerTree::parse_reporter(text, &mut note)
            .map_err(|e| bad(e.message.to_string().lines().next().unwrap_or_default().to_owned()))?;
        if let Some(why) = warning {
            return Err(bad(why.lines().next().unwrap_or_default().to_owned()));
        }
        if ["platform_release", "platform_version", "platform.version"].iter().any(|name| text.contains(name)) {
            return Err(Error::refused(format!("`{}` is about the kernel, which a box does not choose", shown(text)))
                .hint("leave out the `;` and what follows it"));
        }
        Ok(Self { tree, text: text.to_owned() })
    }

    /// Whether the condition holds in every box with one of these Pythons (`3.12`), or in none; else it is refused.
    pub fn holds(&self, pythons: &[String]) -> Result<bool> {
        let environments = pythons.iter().flat_map(|minor| {
            ["x86_64", "aarch64"]
                .into_iter()
                .flat_map(move |machine| (0..PATCHES).filter_map(move |patch| environment(minor, patch, machine)))
        });
        let mut answers = environments.map(|environment| self.tree.evaluate(&environment, &[]));
        let first = answers.next();
        match first {
            Some(first) if answers.all(|answer| answer == first) => Ok(first),
            _ => Err(Error::refused(format!("`{}` depends on which Python the box gets", shown(&self.text)))
                .hint("name a version with two numbers that decides it: `--python 3.12`")
                .hint("or leave out the `;` and what follows it")),
        }
    }
}

/// A box: Linux, CPython.
fn environment(minor: &str, patch: u64, machine: &str) -> Option<MarkerEnvironment> {
    let full = format!("{minor}.{patch}");
    let builder = MarkerEnvironmentBuilder {
        implementation_name: "cpython",
        implementation_version: &full,
        os_name: "posix",
        platform_machine: machine,
        platform_python_implementation: "CPython",
        platform_release: "",
        platform_system: "Linux",
        platform_version: "",
        python_full_version: &full,
        python_version: minor,
        sys_platform: "linux",
    };
    builder.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(text: &str, pythons: &[&str]) -> Result<bool> {
        Marker::parse(text)?.holds(&pythons.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn conditions_that_can_be_checked() {
        for (text, pythons, want) in [
            ("python_version<\"3.12\"", &["3.11"][..], true),
            ("python_version < '3.12'", &["3.12"], false),
            ("python_version >= '3.9'", &["3.9", "3.10", "3.14"], true),
            ("python_full_version>='3.12.0'", &["3.12", "3.13"], true),
            ("'3.10' <= python_version", &["3.9"], false),
            ("python_version in '3.8 3.9'", &["3.9"], true),
            ("sys_platform == 'win32'", &["3.12"], false),
            ("sys_platform == 'linux' and os_name != 'nt'", &["3.12"], true),
            ("platform_system=='Darwin' or platform_python_implementation=='CPython'", &["3.12"], true),
            ("implementation_name == 'pypy' and (python_version < '4')", &["3.12"], false),
            ("extra == 'x'", &["3.12"], false),
            ("platform_machine != 'riscv64'", &["3.12"], true),
        ] {
            assert_eq!(holds(text, pythons), Ok(want), "{text} {pythons:?}");
        }
    }

    #[test]
    fn what_is_not_certain_is_refused() {
        for (text, pythons) in [
            ("python_version < '3.12'", &["3.11", "3.12"][..]),
            ("python_full_version >= '3.12.4'", &["3.12"]),
            ("platform_machine == 'x86_64'", &["3.12"]),
            ("platform_release >= '5'", &["3.12"]),
            ("python_version < '3.12'", &[]),
            ("python_version >= 'x'", &["3.12"]),
            ("os_name == sys_platform", &["3.12"]),
            ("'a' == 'b'", &["3.12"]),
            ("foo == 'x'", &["3.12"]),
            ("", &["3.12"]),
            ("python_version", &["3.12"]),
            ("extra == 'x.'", &["3.12"]),
            ("python_version>'3'\u{e9}", &["3.12"]),
        ] {
            let error = holds(text, pythons).expect_err(text);
            assert!(!error.hints.is_empty(), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in any::<String>()) {
            let _ = Marker::parse(&text);
        }

        #[test]
        fn never_panics_near_the_grammar(
            text in "((python_version|extra|os_name|sys_platform|'[a-z0-9. _-]{0,4}') ?(<|>|<=|==|!=|~=|===| in | not in ) ?'[a-z0-9. *_-]{0,5}'( and | or )?\\(?){0,3}"
        ) {
            if let Ok(marker) = Marker::parse(&text) {
                let _ = marker.holds(&["3.12".to_owned()]);
            }
        }
    }
}
