//! The grammar of `npx`.
//!
//! npx reads its line twice: `npx-cli.js` looks for the package and puts `--` before it, then
//! npm's parser (nopt) reads everything up to that `--`. The two disagree about many words, and
//! then npm takes options of the program for its own. We take exactly the lines about which both
//! agree, and refuse the others with a way to write them that is not ambiguous.

use std::ffi::{OsStr, OsString};

use super::option::npx::TABLE;
use super::option::{Arity, Effect, OptionRow};
use super::{Launch, Launcher, Request, Tighten, command_name, dashed, index, node, text, unknown_option};
use crate::error::{Error, Result};
use crate::package::npm::NpmSpec;
use crate::package::{PackageSpec, shown};

/// More options than this in one word are a mistake.
const MOST_LETTERS: usize = 16;

/// Parses what `npx` would get.
pub fn parse(args: &[OsString]) -> Result<Request> {
    let mut line = Line::default();
    let words = line.options(args)?;
    line.finish(words)
}

/// What the options said.
#[derive(Debug, Default)]
struct Line {
    packages: Vec<NpmSpec>,
    registry: Option<String>,
    node_options: Option<String>,
    call: Option<String>,
    tighten: Tighten,
    help: bool,
    version: bool,
}

impl Line {
    /// Reads options up to the first word that is none, and returns that word and the rest.
    fn options<'a>(&mut self, mut rest: &'a [OsString]) -> Result<&'a [OsString]> {
        while let Some((word, after)) = rest.split_first() {
            if word == "--" {
                return Ok(after);
            }
            if !dashed(word) {
                return Ok(rest);
            }
            let word = text(word)?;
            rest = if self.tighten.take(word)? { after } else { self.option(word, after)? };
        }
        Ok(rest)
    }

    /// Reads one option and returns what comes after it and its value.
    fn option<'a>(&mut self, word: &'a str, after: &'a [OsString]) -> Result<&'a [OsString]> {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        let Some((known, row)) = known(name) else {
            let switches = unseen(word).ok_or_else(|| unknown(name))?;
            for (name, row, on) in switches {
                self.switch(row, if on { name } else { word }, on)?;
            }
            return swallowed(word, after);
        };
        match row.arity {
            Arity::Flag if value.is_some() => Err(takes_nothing(name)),
            Arity::Flag => self.switch(row, name, true).map(|()| after),
            Arity::Switch => {
                let on = match value {
                    None => true,
                    // A shorthand's value becomes a word of its own.
                    Some("true") if known.starts_with("--") => true,
                    Some("false") if known.starts_with("--") => false,
                    // And nopt makes any other value one: the package, perhaps.
                    Some(_) => return Err(takes_nothing(name)),
                };
                self.switch(row, name, on).map(|()| after)
            }
            Arity::Value => {
                // Node's options all have dashes.
                let (value, after) = row.value_of(name, value, after, row.effect == Effect::NodeOptions)?;
                self.value(row, name, value).map(|()| after)
            }
        }
    }

    fn switch(&mut self, row: &OptionRow, name: &str, on: bool) -> Result<()> {
        match row.effect {
            Effect::Help => self.help = on,
            Effect::Version => self.version = on,
            Effect::Refused(refusal) => return Err(refusal.error(name)),
            Effect::RefusedOn(refusal) if on => return Err(refusal.error(name)),
            Effect::RefusedOff(refusal) if !on => return Err(refusal.error(name)),
            _ => {}
        }
        Ok(())
    }

    fn value(&mut self, row: &OptionRow, name: &str, value: &OsStr) -> Result<()> {
        match row.effect {
            Effect::Package => self.packages.push(NpmSpec::parse(text(value)?)?),
            // The last one wins (nopt).
            Effect::Registry => self.registry = Some(index::parse(name, text(value)?)?),
            Effect::Call => self.call = Some(shell_line(name, text(value)?)?),
            Effect::NodeOptions => self.node_options = Some(node::parse(name, text(value)?)?),
            Effect::Only(values, refusal) if !values.iter().any(|v| value == *v) => {
                return Err(refusal.error(name));
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(self, words: &[OsString]) -> Result<Request> {
        // npm prints its version before it thinks of help, and either before a package.
        if self.version {
            return Ok(Request::Version);
        }
        if self.help {
            return Ok(Request::Help);
        }
        let (packages, command, args) = match (words.split_first(), &self.call) {
            (words, Some(_)) => {
                refuse_beside_call("npx-safe", words.map(|(first, _)| first), self.packages.len())?;
                (self.packages, None, &[][..])
            }
            (None, None) => return Err(no_package(!self.packages.is_empty())),
            (Some((first, args)), None) if self.packages.is_empty() => {
                (vec![NpmSpec::parse(text(first)?)?], None, args)
            }
            (Some((first, args)), None) => (self.packages, Some(command_name(Launcher::Npx, first)?), args),
        };
        Ok(Request::Run(Launch {
            launcher: Launcher::Npx,
            packages: packages.into_iter().map(PackageSpec::Npm).collect(),
            files: Vec::new(),
            command,
            call: self.call,
            args: args.to_vec(),
            python: None,
            registry: self.registry,
            prerelease: false,
            node_options: self.node_options,
            tighten: self.tighten,
            environment: Vec::new(),
            local: None,
        }))
    }
}

/// The row of an option and its name there. Neither parser counts dashes: `-yes` is `--yes`.
fn known(name: &str) -> Option<(&'static str, &'static OptionRow)> {
    let key = name.trim_start_matches('-');
    TABLE.find_known(&format!("-{key}")).or_else(|| TABLE.find_known(&format!("--{key}")))
}

/// What words that `npx-cli.js` does not know as switches switch on or off: `--no-audit`, and
/// several letters in one word such as `-yq`.
fn unseen(word: &str) -> Option<Vec<(&'static str, &'static OptionRow, bool)>> {
    let key = word.trim_start_matches('-');
    if let Some((name, row)) = key.strip_prefix("no-").filter(|rest| !rest.starts_with('-')).and_then(known) {
        return (name.starts_with("--") && row.arity == Arity::Switch).then(|| vec![(name, row, false)]);
    }
    let letters = key.chars().map(|letter| {
        let (name, row) = TABLE.find_known(&format!("-{letter}"))?;
        (row.arity != Arity::Value).then_some((name, row, true))
    });
    (2..=MOST_LETTERS).contains(&key.len()).then(|| letters.collect())?
}

/// npx skips the word after one that it does not know, so it looks for the package behind the
/// package. That does no harm if another plain word or nothing follows.
fn swallowed<'a>(option: &str, words: &'a [OsString]) -> Result<&'a [OsString]> {
    if words.first().is_none_or(|next| dashed(next)) {
        return Ok(words);
    }
    // nopt takes these for the switch's own value.
    let literal = words.first().is_some_and(|w| ["true", "false", "null", "always"].iter().any(|l| w == l));
    if literal || words.get(1).is_some_and(|w| dashed(w)) {
        let option = shown(option);
        return Err(Error::refused(format!("after `{option}`, npx would take the program's options for its own"))
            .hint(format!("put `--` before the package: `npx-safe {option} -- pkg --option`")));
    }
    Ok(words)
}

fn takes_nothing(name: &str) -> Error {
    Error::usage(format!("`{name}` takes no value; npx would take it for the package"))
        .hint(format!("write `{name}` alone, or leave it out"))
}

/// The value of `-c`, which npm trims (`@npmcli/config/lib/parse-field.js`).
pub(super) fn shell_line(name: &str, value: &str) -> Result<String> {
    let line = value.trim();
    if line.is_empty() {
        return Err(Error::refused(format!("the line after `{name}` is empty; npx would start a shell"))
            .hint("write a command into it: `npx-safe -p pkg -c 'command arg…'`"));
    }
    // Before any shell sees it.
    if line.contains("${") {
        return Err(Error::refused("npm puts variables of this machine in for `${…}`, and none is taken from there")
            .hint("write `$NAME`, which the shell in the box reads"));
    }
    Ok(line.to_owned())
}

/// npm takes no command beside a line of shell (`lib/commands/exec.js`). Without packages it would run on what this
/// machine has.
pub(super) fn refuse_beside_call(tool: &str, first: Option<&OsString>, packages: usize) -> Result<()> {
    if let Some(first) = first {
        let first = first.to_string_lossy();
        return Err(Error::usage(format!("`{}` stands beside `-c`, which npm does not take", shown(&first)))
            .hint(format!("put it into the line: `{tool} --package=pkg -c 'command arg…'`")));
    }
    if packages == 0 {
        return Err(Error::refused("`-c` without packages runs what is installed on this machine")
            .hint(format!("name the packages: `{tool} --package=pkg -c 'command arg…'`")));
    }
    Ok(())
}

/// No package: npx would read its standard input into a shell.
fn no_package(named: bool) -> Error {
    if named {
        return Error::refused("there is no command after the packages; npx would start a shell")
            .hint("name the command: `npx-safe -p pkg command arg…`");
    }
    Error::refused("there is no package; npx would start a shell").hint("name a package: `npx-safe -y pkg arg…`")
}

/// Sorts out what else a word with dashes may have been meant to be.
fn unknown(name: &str) -> Error {
    let bare = name.trim_start_matches('-');
    if name.contains(char::is_whitespace) {
        let words: Vec<_> = name.split_whitespace().map(|w| format!("\"{}\"", shown(w))).collect();
        return Error::refused(format!("`{}` is one string; npx would start a shell", shown(name)))
            .hint(format!("write several: {}", words.join(", ")));
    }
    if bare.is_empty() {
        return Error::usage(format!("`{name}` is neither an option nor a package"))
            .hint("name a package: `npx-safe -y pkg arg…`");
    }
    if bare.starts_with('@') || bare.starts_with("//") {
        return Error::refused("registries of scopes and their tokens can't be set on a line")
            .hint("put the setting into ~/.npmrc, which is read for registries and tokens");
    }
    if bare.len() <= MOST_LETTERS && bare.chars().all(|c| TABLE.find(&format!("-{c}")).is_some()) {
        let apart: Vec<_> = bare.chars().map(|c| format!("-{c}")).collect();
        return Error::refused(format!("npx would take the package for the value of `{}`", shown(name)))
            .hint(format!("write the options apart: `{}`", shown(&apart.join(" "))));
    }
    // npm 11 expands these with a warning, npm 12 fails.
    if let Some(full) = TABLE.expanded(bare) {
        return Error::usage(format!("`{}` is not the whole name of an option", shown(name)))
            .hint(format!("write `{full}`"));
    }
    unknown_option(Launcher::Npx, name, TABLE)
}

#[cfg(test)]
#[path = "npx_tests.rs"]
mod tests;
