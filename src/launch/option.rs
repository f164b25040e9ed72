//! The table of options that all scanners read.
//!
//! Every option that npm 11 or uv 0.13 knows stands in a table, because only the table says
//! whether the next word is an option's value or the package. What is not in it is refused.

pub mod bunx;
pub mod npm;
pub mod npx;
pub mod pipx;
pub mod pnpm;
pub mod uv;
pub mod uvx;
pub mod yarn;

use std::ffi::{OsStr, OsString};

use super::{dashed, no_value};
use crate::error::{Error, Result};

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arity {
    /// Nothing, and it can't be negated: every switch of uv, and npm's shorthands, whose `=value`
    /// npm would make a word of its own (`npx -y=true pkg` runs a package named `true`).
    Flag,
    /// An npm switch: alone, as `=true` or `=false`, or as `--no-…`.
    Switch,
    /// A value, after `=` or as the next word.
    Value,
}

/// Why an option is refused, and what to do instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Continues a sentence that starts with the option's name.
    pub why: &'static str,
    /// What to do instead.
    pub hint: &'static str,
}

/// What an option means to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: it can't change what is run, or only in a way that we do anyway.
    Harmless,
    /// `--package`: a package to install.
    Package,
    /// `--from`: the package that has the command.
    From,
    /// `--with`: one or more packages besides.
    With,
    /// `--with-requirements`: files that name packages.
    Requirements,
    /// `--python`: which Python.
    Python,
    /// `--registry`, `--default-index`, `--index-url`: where to look packages up.
    Registry,
    /// `--prerelease`: whether pre-releases count.
    Prerelease,
    /// The line is about code of a folder of this machine (`uv run --directory`).
    Local,
    /// `-m` of uv run: the command is a module of Python.
    Module,
    /// `--call`: a line of shell to run.
    Call,
    /// `--node-options`: options of Node itself.
    NodeOptions,
    /// The name of a package; nothing else about it matters, but the tool fails on other values.
    Name,
    /// `--help`.
    Help,
    /// `--version`.
    Version,
    /// Has no meaning here, or one that would not be true.
    Refused(Refusal),
    /// A switch that is refused when it is on; off is what we do anyway.
    RefusedOn(Refusal),
    /// A switch that is refused when it is off; on is what we do anyway.
    RefusedOff(Refusal),
    /// Only these values change nothing.
    Only(&'static [&'static str], Refusal),
}

/// One row: options that are taken the same way and mean the same to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionRow {
    /// Long and short names, each with its dashes.
    pub names: &'static [&'static str],
    /// What they take.
    pub arity: Arity,
    /// What they mean.
    pub effect: Effect,
}

impl OptionRow {
    /// The option's value, `joined` to it or the next word, and what comes after that. The tools'
    /// parsers have their own ideas about empty values and those with dashes: a word with a dash is
    /// none, and after a `=` it is one only if `dashes` says that they agree on it there.
    pub(super) fn value_of<'a>(
        &self,
        name: &str,
        joined: Option<&'a str>,
        after: &'a [OsString],
        dashes: bool,
    ) -> Result<(&'a OsStr, &'a [OsString])> {
        // Refuse by name first: "needs a value" would send people the wrong way.
        if let Effect::Refused(refusal) = self.effect {
            return Err(refusal.error(name));
        }
        let (value, after) = match (joined, after.split_first()) {
            (Some(value), _) => (OsStr::new(value), after),
            (None, Some((next, after))) => (next.as_os_str(), after),
            (None, None) => return Err(no_value(name)),
        };
        let fits = !value.is_empty() && (!dashed(value) || (dashes && joined.is_some()));
        if fits { Ok((value, after)) } else { Err(no_value(name)) }
    }
}

/// Options that take nothing and can't be negated.
pub(super) const fn flag(names: &'static [&'static str], effect: Effect) -> OptionRow {
    OptionRow { names, arity: Arity::Flag, effect }
}

/// npm's switches.
pub(super) const fn switch(names: &'static [&'static str], effect: Effect) -> OptionRow {
    OptionRow { names, arity: Arity::Switch, effect }
}

/// Options that take a value.
pub(super) const fn value(names: &'static [&'static str], effect: Effect) -> OptionRow {
    OptionRow { names, arity: Arity::Value, effect }
}

/// [`Effect::Refused`], for the tables.
pub(super) const fn refused(why: &'static str, hint: &'static str) -> Effect {
    Effect::Refused(Refusal { why, hint })
}

/// [`Effect::RefusedOn`], for the tables.
pub(super) const fn refused_on(why: &'static str, hint: &'static str) -> Effect {
    Effect::RefusedOn(Refusal { why, hint })
}

/// [`Effect::RefusedOff`], for the tables.
pub(super) const fn refused_off(why: &'static str, hint: &'static str) -> Effect {
    Effect::RefusedOff(Refusal { why, hint })
}

/// [`Effect::Only`], for the tables.
pub(super) const fn only(values: &'static [&'static str], why: &'static str, hint: &'static str) -> Effect {
    Effect::Only(values, Refusal { why, hint })
}

impl Refusal {
    /// The error for the option that was typed as `name`.
    pub fn error(self, name: &str) -> Error {
        Error::refused(format!("`{name}` {}", self.why)).hint(self.hint)
    }
}

/// All the options of one tool.
#[derive(Debug, Clone, Copy)]
pub struct Table(pub(super) &'static [OptionRow]);

impl Table {
    /// The row that has exactly this name; abbreviations are not options.
    pub fn find(self, name: &str) -> Option<&'static OptionRow> {
        self.0.iter().find(|row| row.names.contains(&name))
    }

    /// All rows.
    pub fn rows(self) -> &'static [OptionRow] {
        self.0
    }

    /// The row that has exactly this name, and the name.
    pub fn find_known(self, name: &str) -> Option<(&'static str, &'static OptionRow)> {
        let row = self.find(name)?;
        row.names.iter().find(|known| **known == name).map(|known| (*known, row))
    }

    /// The one long name that starts with these letters.
    pub fn expanded(self, letters: &str) -> Option<&'static str> {
        let mut names = self.names().filter(|name| name.strip_prefix("--").is_some_and(|n| n.starts_with(letters)));
        names.next().filter(|_| names.next().is_none())
    }

    /// All names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.0.iter().flat_map(|row| row.names.iter().copied())
    }

    /// What was probably meant by a name that is not in the table.
    pub fn nearest(self, name: &str) -> Option<&'static str> {
        let bare = name.trim_start_matches('-');
        // No name is longer, and comparing takes the time of both lengths multiplied.
        if bare.len() < 3 || bare.len() > 48 {
            return None;
        }
        self.names()
            // The distance is at least the difference of the lengths.
            .filter(|known| known.starts_with("--") && known.len().abs_diff(bare.len() + 2) <= 2)
            .map(|known| (strsim::damerau_levenshtein(bare, known.trim_start_matches('-')), known))
            .filter(|&(distance, _)| distance <= 2 && distance * 3 <= bare.len())
            .min()
            .map(|(_, known)| known)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const TABLES: [Table; 9] =
        [npx::TABLE, uvx::TABLE, npm::TABLE, pnpm::TABLE, yarn::TABLE, bunx::TABLE, uv::RUN, uv::GLOBAL, pipx::TABLE];

    #[test]
    fn names_are_unique_and_have_dashes() {
        for table in TABLES {
            let mut seen = HashSet::new();
            for name in table.names() {
                assert!(seen.insert(name), "{name} stands twice");
                assert!(name.starts_with('-') && !name.starts_with("--no-no-"), "{name}");
                assert!(!name.contains(['=', ' ']), "{name}");
            }
        }
    }

    #[test]
    fn only_values_can_be_limited_and_only_switches_can_be_off() {
        for row in TABLES.iter().flat_map(|table| table.0) {
            match row.effect {
                Effect::Only(..)
                | Effect::Package
                | Effect::From
                | Effect::With
                | Effect::Python
                | Effect::Registry
                | Effect::Call
                | Effect::Requirements
                | Effect::NodeOptions
                | Effect::Name => {
                    assert_eq!(row.arity, Arity::Value, "{:?}", row.names);
                }
                Effect::RefusedOn(_) | Effect::RefusedOff(_) => {
                    assert_ne!(row.arity, Arity::Value, "{:?}", row.names)
                }
                _ => {}
            }
        }
    }

    #[test]
    fn refusals_are_written_as_the_others_are() {
        for row in TABLES.iter().flat_map(|table| table.0) {
            if let Effect::Refused(r) | Effect::RefusedOn(r) | Effect::RefusedOff(r) | Effect::Only(_, r) = row.effect {
                assert!(!r.why.ends_with('.') && !r.hint.ends_with('.') && !r.hint.is_empty(), "{r:?}");
            }
        }
    }

    #[test]
    fn near_misses_are_named() {
        assert_eq!(npx::TABLE.nearest("--pacakge"), Some("--package"));
        assert_eq!(uvx::TABLE.nearest("--form"), Some("--from"));
        assert_eq!(npx::TABLE.nearest("--port"), None);
        assert_eq!(npx::TABLE.nearest("-x"), None);
    }
}
