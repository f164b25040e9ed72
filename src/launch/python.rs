//! Requests for a Python version (uv, "Requesting a version", `PythonRequest::parse`).

use std::str::FromStr;

use pep440_rs::{Version, VersionSpecifiers};

use crate::error::{Error, Result};
use crate::image::base;
use crate::package::pypi::{PypiSpec, Requirement};
use crate::package::shown;

/// The names of CPython that may stand in front of a version; longest first.
const CPYTHON: &[&str] = &["cpython", "python", "cp"];
/// Interpreters that uv knows and we have no image of.
const OTHERS: &[&str] = &["pypy", "graalpy", "pyodide"];
const HINT: &str = "name a version of CPython, such as `3.12` or `>=3.11`";

/// Takes the value of `--python`: `3.12`, `3.12.4`, `312`, `>=3.11,<3.13`, each perhaps with
/// `python` in front. `None` if it asks for no version at all (`--python python`).
pub fn parse(value: &str) -> Result<Option<String>> {
    let value = value.trim();
    let lower = value.to_ascii_lowercase();
    refuse_other(&lower, value)?;
    for name in CPYTHON {
        if let Some(rest) = lower.strip_prefix(name) {
            let rest = rest.strip_prefix(['@', '-']).unwrap_or(rest);
            return if rest.is_empty() { Ok(None) } else { version(rest, value).map(Some) };
        }
    }
    version(&lower, value).map(Some)
}

/// Takes the COMMAND or `--from` of uvx if it names an interpreter: `python`, `python3.11`,
/// `python311`, `python@3.12`, `cpython@3.12`, `python>=3.11`. `None` if it is a package, as
/// `python-dotenv` is; `Some(None)` if no version is named.
pub fn interpreter(word: &str) -> Result<Option<Option<String>>> {
    let lower = word.to_ascii_lowercase();
    if OTHERS.iter().any(|o| is_named(&lower, o)) {
        refuse_other(&lower, word)?;
    }
    // `cp311` is a package here, other than after `--python`.
    for name in ["cpython", "python"] {
        let Some(rest) = lower.strip_prefix(name) else {
            continue;
        };
        return match rest.strip_prefix('@') {
            None if rest.is_empty() => Ok(Some(None)),
            Some(rest) => version(rest, word).map(Some).map(Some),
            None if is_named(&lower, name) => version(rest, word).map(Some).map(Some),
            None => Ok(None),
        };
    }
    Ok(None)
}

/// Whether the word is the interpreter's name, alone or with a version behind it. `python3-saml` is a package.
fn is_named(lower: &str, name: &str) -> bool {
    lower.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('@') || is_version(rest))
}

/// Whether uv may take it for a version: `3.12`, `>=3.12`, and with a variant `3.13t` or `3.13+debug`.
fn is_version(rest: &str) -> bool {
    let bare = rest.split('+').next().unwrap_or(rest).trim_end_matches(['t', 'd']);
    Version::from_str(bare).is_ok() || VersionSpecifiers::from_str(rest).is_ok()
}

fn refuse_other(lower: &str, typed: &str) -> Result<()> {
    if OTHERS.iter().any(|o| lower.starts_with(o)) {
        return Err(Error::refused(format!("`{}` is not CPython, and there are only images of CPython", shown(typed)))
            .hint(HINT));
    }
    Ok(())
}

/// `3`, `3.12`, `3.12.4`, `312` (which uv reads as 3.12), or specifiers.
fn version(text: &str, typed: &str) -> Result<String> {
    let bad = || Error::usage(format!("`{}` does not name a Python version", shown(typed))).hint(HINT);
    if text.starts_with(['<', '>', '=', '!', '~']) {
        return VersionSpecifiers::from_str(text).map(|s| s.to_string().replace(' ', "")).map_err(|_| bad());
    }
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit() || b == b'.') || text.len() > 16 {
        return Err(bad());
    }
    let spread = match text.split_at(1) {
        (major, minor) if !minor.is_empty() && !text.contains('.') => format!("{major}.{minor}"),
        _ => text.to_owned(),
    };
    let version = Version::from_str(&spread).map_err(|_| bad())?;
    match version.release() {
        [3] | [3, _] | [3, _, _] => Ok(version.to_string()),
        _ => Err(bad()),
    }
}

/// The requirements whose conditions hold in the line's box. `asked` is the Python that the line asks for; without one
/// a condition has to have one answer for all.
pub fn that_apply(requirements: Vec<Requirement>, asked: Option<&str>) -> Result<Vec<PypiSpec>> {
    let pythons = || match asked {
        Some(asked) => base::python_candidates(Some(asked)),
        // The user's own settings may name any.
        None => Ok((7..20).map(|minor| format!("3.{minor}")).collect()),
    };
    let mut specs = Vec::new();
    for Requirement { spec, marker } in requirements {
        if marker.map_or(Ok(true), |marker| marker.holds(&pythons()?))? {
            specs.push(spec);
        }
    }
    Ok(specs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_python() {
        for (typed, want) in [
            ("3.12", Some("3.12")),
            (" 3.11", Some("3.11")),
            ("3", Some("3")),
            ("3.12.4", Some("3.12.4")),
            ("312", Some("3.12")),
            ("python3.11", Some("3.11")),
            ("python311", Some("3.11")),
            ("python@3.11", Some("3.11")),
            ("cpython-3.11", Some("3.11")),
            ("cp311", Some("3.11")),
            (">=3.11", Some(">=3.11")),
            (">=3.11, <3.13", Some(">=3.11,<3.13")),
            ("==3.11.*", Some("==3.11.*")),
            ("python", None),
            ("cpython", None),
        ] {
            assert_eq!(parse(typed), Ok(want.map(str::to_owned)), "{typed}");
        }
        for typed in [
            "",
            "pypy",
            "pypy@3.10",
            "/usr/bin/python3",
            "./venv",
            "3.13t",
            "2.7",
            "3.11-dev",
            "latest",
            "foo",
            "python@",
            "3..1",
            "3.12.4.5",
            ">=",
            "99999999999999999999999",
            "cpython-3.11-linux-x86_64-gnu",
        ] {
            let parsed = parse(typed);
            assert!(parsed.is_err() || typed == "python@", "{typed}: {parsed:?}");
        }
    }

    #[test]
    fn commands_that_are_interpreters() {
        for (word, want) in [
            ("python", Some(None)),
            ("Python3.11", Some(Some("3.11"))),
            ("python311", Some(Some("3.11"))),
            ("python@3.12", Some(Some("3.12"))),
            ("cpython@3.11", Some(Some("3.11"))),
            ("cpython", Some(None)),
            ("python>=3.11", Some(Some(">=3.11"))),
            ("python@>=3.11", Some(Some(">=3.11"))),
            ("python-dotenv", None),
            ("python3-saml", None),
            ("python3_openid", None),
            ("pypy3-tools", None),
            ("pythonw", None),
            ("python_x", None),
            ("cp311", None),
            ("pypy-tools", None),
            ("ruff", None),
        ] {
            let want = want.map(|v: Option<&str>| v.map(str::to_owned));
            assert_eq!(interpreter(word), Ok(want), "{word}");
        }
        for word in [
            "python@foo",
            "python@latest",
            "python@",
            "pypy@3.10",
            "pypy",
            "pypy310",
            "python2.7",
            "python3.13t",
            "python3.14-dev",
        ] {
            assert!(interpreter(word).is_err(), "{word}");
        }
    }
}
