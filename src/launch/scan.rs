//! The one scanner that the relatives of npx and uvx share: options up to the first word that is
//! none, by a table. It takes only what all parsers in question read in the same way: a value
//! after `=` or as the next word, one option in each word.

use std::ffi::{OsStr, OsString};

use super::option::{Arity, Effect, OptionRow, Table};
use super::{Launcher, Tighten, dashed, index, node, npx, text, uvx};
use crate::error::{Error, Result};
use crate::package::pypi::PypiName;
use crate::package::shown;

/// How one tool reads its options.
#[derive(Debug, Clone, Copy)]
pub struct Grammar {
    /// Whose options they are, for people.
    pub tool: &'static str,
    /// The tool's own table.
    pub own: Table,
    /// Another tool's table for all other names, and which of them it does not have.
    pub like: Option<(Table, &'static [&'static str])>,
    /// npm's parser reads it: switches have a `--no-…`, and take a `true` behind them.
    pub nopt: bool,
    /// Our own `--safe-*` may stand here.
    pub ours: bool,
}

/// What the options of a line said.
#[derive(Debug, Default)]
pub struct Said {
    pub packages: Vec<String>,
    pub with: Vec<String>,
    pub files: Vec<String>,
    pub from: Option<String>,
    pub python: Option<String>,
    pub registry: Option<String>,
    pub prerelease: bool,
    pub node_options: Option<String>,
    pub call: Option<String>,
    /// Options about a project of this machine, each with its value.
    pub local: Vec<(String, Option<String>)>,
    pub module: bool,
    pub tighten: Tighten,
    pub help: bool,
    pub version: bool,
}

/// Where the options ended.
#[derive(Debug, Clone, Copy)]
pub struct Stop<'a> {
    /// What follows them.
    pub words: &'a [OsString],
    /// They ended at a `--`, which is not among the words.
    pub dashes: bool,
}

impl Grammar {
    fn find(&self, name: &str) -> Option<&'static OptionRow> {
        let like = || self.like.filter(|(_, without)| !without.contains(&name)).and_then(|(table, _)| table.find(name));
        self.own.find(name).or_else(like)
    }

    /// The switch that a `--no-…` switches off.
    fn negated(&self, word: &str) -> Option<&'static OptionRow> {
        let row = self.find(&format!("--{}", word.strip_prefix("--no-")?))?;
        (self.nopt && row.arity == Arity::Switch).then_some(row)
    }

    /// Sorts out what else a word with dashes may have been meant to be.
    fn unknown(&self, name: &str) -> Error {
        let bare = name.trim_start_matches('-');
        if name.contains(char::is_whitespace) {
            let words: Vec<_> = name.split_whitespace().map(|w| format!("\"{}\"", shown(w))).collect();
            return Error::usage(format!("`{}` is one string", shown(name)))
                .hint(format!("write several: {}", words.join(", ")));
        }
        let apart: Vec<_> = bare.chars().map(|c| format!("-{c}")).collect();
        if !name.starts_with("--") && apart.len() > 1 && apart.iter().all(|o| self.find(o).is_some()) {
            return Error::usage(format!("`{}` is several options in one word", shown(name)))
                .hint(format!("write them apart: `{}`", apart.join(" ")));
        }
        let error = Error::usage(format!("{} has no option `{}`", self.tool, shown(name)));
        let near = self.own.nearest(name).or_else(|| self.like.and_then(|(table, _)| table.nearest(name)));
        let error = match near.filter(|near| self.find(near).is_some()) {
            Some(known) => error.hint(format!("did you mean `{known}`?")),
            None => error,
        };
        error.hint("options of the program itself come after the package")
    }
}

impl Said {
    /// Reads options up to the first word that is none.
    pub fn options<'a>(&mut self, grammar: &Grammar, mut rest: &'a [OsString]) -> Result<Stop<'a>> {
        while let Some((word, after)) = rest.split_first() {
            if word == "--" {
                return Ok(Stop { words: after, dashes: true });
            }
            if !dashed(word) {
                break;
            }
            let word = text(word)?;
            rest = if grammar.ours && self.tighten.take(word)? { after } else { self.option(grammar, word, after)? };
        }
        Ok(Stop { words: rest, dashes: false })
    }

    /// Reads one option and returns what comes after it and its value.
    fn option<'a>(&mut self, grammar: &Grammar, word: &'a str, after: &'a [OsString]) -> Result<&'a [OsString]> {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        let Some(row) = grammar.find(name) else {
            let row = grammar.negated(word).ok_or_else(|| grammar.unknown(name))?;
            self.switch(row, word, false)?;
            return no_literal(grammar, word, after);
        };
        if row.arity == Arity::Value {
            return self.valued(row, name, value, after);
        }
        let on = match value {
            None | Some("true") => true,
            Some(_) => false,
        };
        let may_have_one = row.arity == Arity::Switch && name.starts_with("--");
        if let Some(value) = value
            && !(may_have_one && ["true", "false"].contains(&value))
        {
            return Err(
                Error::usage(format!("`{name}` takes no value")).hint(format!("write `{name}` alone, or leave it out"))
            );
        }
        self.switch(row, name, on)?;
        if value.is_some() { Ok(after) } else { no_literal(grammar, name, after) }
    }

    fn switch(&mut self, row: &OptionRow, name: &str, on: bool) -> Result<()> {
        match row.effect {
            Effect::Help => self.help = on,
            Effect::Version => self.version = on,
            Effect::Prerelease => self.prerelease |= on,
            Effect::Local => self.local.push((name.to_owned(), None)),
            Effect::Module => self.module = on,
            Effect::Refused(refusal) => return Err(refusal.error(name)),
            Effect::RefusedOn(refusal) if on => return Err(refusal.error(name)),
            Effect::RefusedOff(refusal) if !on => return Err(refusal.error(name)),
            _ => {}
        }
        Ok(())
    }

    fn valued<'a>(
        &mut self,
        row: &OptionRow,
        name: &str,
        value: Option<&'a str>,
        after: &'a [OsString],
    ) -> Result<&'a [OsString]> {
        // Node's options all have dashes.
        let (value, after) = row.value_of(name, value, after, row.effect == Effect::NodeOptions)?;
        let value = text(value)?;
        match row.effect {
            Effect::Package => self.packages.push(value.to_owned()),
            Effect::With => self.with.push(value.to_owned()),
            Effect::Requirements => self.files.extend(uvx::requirement_files(name, value)?),
            Effect::From => once(name, &mut self.from, value.to_owned())?,
            Effect::Python => once(name, &mut self.python, value.to_owned())?,
            Effect::Registry => once(name, &mut self.registry, index::parse(name, value)?)?,
            Effect::Prerelease => self.prerelease |= uvx::prerelease(name, OsStr::new(value))?,
            Effect::Local => self.local.push((name.to_owned(), Some(value.to_owned()))),
            Effect::Call => once(name, &mut self.call, npx::shell_line(name, value)?)?,
            Effect::NodeOptions => once(name, &mut self.node_options, node::parse(name, value)?)?,
            Effect::Name => drop(PypiName::parse(value)?),
            Effect::Only(values, refusal) if !values.contains(&value) => return Err(refusal.error(name)),
            _ => {}
        }
        Ok(after)
    }
}

/// Some tools take the last of two, some refuse: so do we.
fn once(name: &str, slot: &mut Option<String>, value: String) -> Result<()> {
    if slot.replace(value).is_some() {
        return Err(Error::usage(format!("`{name}`, or another name of it, is given twice")).hint("give it once"));
    }
    Ok(())
}

/// nopt takes these for the value of the switch before them, even if they were meant as the package.
fn no_literal<'a>(grammar: &Grammar, name: &str, after: &'a [OsString]) -> Result<&'a [OsString]> {
    let literal = after.first().is_some_and(|next| ["true", "false", "null", "always"].iter().any(|l| next == l));
    if grammar.nopt && literal {
        return Err(Error::usage(format!("{} would take the word after `{name}` for its value", grammar.tool))
            .hint(format!("write `{name}=true`, or put `--` before the package")));
    }
    Ok(after)
}

impl Launcher {
    /// Every option that this tool has, by its names, with what it takes and means.
    pub fn options(self) -> Vec<(Vec<&'static str>, &'static OptionRow)> {
        use super::option::{npx, uvx};
        let (own, like) = match self.grammar() {
            Some(grammar) => (grammar.own, grammar.like),
            None if self == Self::Npx => (npx::TABLE, None),
            None => (uvx::TABLE, None),
        };
        let mut options: Vec<_> = own.rows().iter().map(|row| (row.names.to_vec(), row)).collect();
        if let Some((table, without)) = like {
            let here = |name: &&str| own.find(name).is_none() && !without.contains(name);
            options.extend(table.rows().iter().map(|row| (row.names.iter().copied().filter(here).collect(), row)));
        }
        options.retain(|(names, _)| !names.is_empty());
        options
    }

    /// How this tool reads its options; none for npx and uvx, which have scanners of their own.
    pub(super) fn grammar(self) -> Option<Grammar> {
        use super::option::{bunx, npm, npx, pipx, pnpm, uv, uvx, yarn};
        let (own, like, nopt) = match self {
            Self::Npx | Self::Uvx | Self::UvToolRun => return None,
            Self::NpmExec => (npm::TABLE, Some((npx::TABLE, npm::NOT_NPMS)), true),
            Self::PnpmDlx => (pnpm::TABLE, None, true),
            Self::YarnDlx => (yarn::TABLE, None, false),
            Self::Bunx => (bunx::TABLE, None, false),
            Self::UvRun => (uv::RUN, Some((uvx::TABLE, uv::NOT_RUNS)), false),
            Self::PipxRun => (pipx::TABLE, None, false),
        };
        Some(Grammar { tool: self.name(), own, like, nopt, ours: true })
    }
}
