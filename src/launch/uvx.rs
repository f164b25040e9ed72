//! The grammar of `uvx`: plain clap. Options end at the first word that is none.

use std::ffi::{OsStr, OsString};

use super::option::uvx::{self as options, TABLE};
use super::option::{Arity, Effect, OptionRow};
use super::{
    Launch, Launcher, Request, Tighten, command_name, dashed, index, python, requirements, text, unknown_option,
};
use crate::error::{Error, Result};
use crate::package::pypi::{PypiName, PypiSpec, Requirement};
use crate::package::{PackageSpec, shown};

/// Parses what `uvx` would get.
pub fn parse(args: &[OsString]) -> Result<Request> {
    let mut line = Line::default();
    let mut rest = args;
    while let Some((word, after)) = rest.split_first() {
        if word == "--" {
            rest = after;
            break;
        }
        if !dashed(word) {
            break;
        }
        let word = text(word)?;
        if line.tighten.take(word)? {
            rest = after;
            continue;
        }
        match line.option(word, after)? {
            Step::Go(after) => rest = after,
            // clap acts on these at once, whatever follows.
            Step::Stop(request) => return Ok(request),
        }
    }
    line.finish(rest).map(Request::Run)
}

/// What to do after an option.
#[expect(clippy::large_enum_variant, reason = "a process reads one line")]
enum Step<'a> {
    Go(&'a [OsString]),
    Stop(Request),
}

/// What the options said.
#[derive(Debug, Default)]
struct Line {
    from: Option<String>,
    with: Vec<Requirement>,
    files: Vec<String>,
    python: Option<Option<String>>,
    registry: Option<String>,
    prerelease: bool,
    seen: Vec<&'static str>,
    tighten: Tighten,
}

impl Line {
    fn option<'a>(&mut self, word: &'a str, after: &'a [OsString]) -> Result<Step<'a>> {
        if !word.starts_with("--") {
            return self.cluster(word, after);
        }
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        let row = TABLE.find(name).ok_or_else(|| unknown(name))?;
        self.see(row, name)?;
        if row.arity == Arity::Value {
            return self.with_value(row, name, value, after).map(Step::Go);
        }
        if value.is_some() {
            return Err(Error::usage(format!("`{name}` takes no value")).hint(format!("write `{name}` alone")));
        }
        Ok(self.flag(row, name)?.map_or(Step::Go(after), Step::Stop))
    }

    /// Short options: several flags in one word, or one with its value: `-qn`, `-p3.12`, `-p=3.12`.
    fn cluster<'a>(&mut self, word: &'a str, after: &'a [OsString]) -> Result<Step<'a>> {
        let mut letters = word.char_indices().skip(1);
        if word.len() == 1 {
            return Err(unknown(word));
        }
        // `-with x` would install a package `ith` for clap, which nobody means.
        let long = format!("-{}", word.split('=').next().unwrap_or(word));
        if long.len() > 3 && TABLE.find(&long).is_some() {
            return Err(Error::usage(format!("`{}` needs a second `-`", shown(word))).hint(format!("write `{long}`")));
        }
        while let Some((_, letter)) = letters.next() {
            let name = format!("-{letter}");
            let row = TABLE.find(&name).ok_or_else(|| unknown(&name))?;
            self.see(row, &name)?;
            if row.arity == Arity::Value {
                let rest = letters.next().map(|(i, _)| &word[i..]);
                let value = rest.map(|v| v.strip_prefix('=').unwrap_or(v));
                return self.with_value(row, &name, value, after).map(Step::Go);
            }
            if let Some(request) = self.flag(row, &name)? {
                return Ok(Step::Stop(request));
            }
        }
        Ok(Step::Go(after))
    }

    /// uv takes most options once, and some not together.
    fn see(&mut self, row: &OptionRow, name: &str) -> Result<()> {
        let Some(name) = row.names.iter().copied().find(|known| *known == name).map(options::canonical) else {
            return Ok(());
        };
        if self.seen.contains(&name) {
            return if options::repeatable(name) { Ok(()) } else { Err(twice(name)) };
        }
        if let Some(other) = options::conflict(name, &self.seen) {
            return Err(Error::usage(format!("uvx does not take `{other}` and `{name}` together"))
                .hint("leave one of them out"));
        }
        self.seen.push(name);
        Ok(())
    }

    fn flag(&mut self, row: &OptionRow, name: &str) -> Result<Option<Request>> {
        match row.effect {
            Effect::Help => Ok(Some(Request::Help)),
            Effect::Version => Ok(Some(Request::Version)),
            Effect::Refused(refusal) | Effect::RefusedOn(refusal) => Err(refusal.error(name)),
            Effect::Prerelease => {
                self.prerelease = true;
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    fn with_value<'a>(
        &mut self,
        row: &OptionRow,
        name: &str,
        value: Option<&'a str>,
        after: &'a [OsString],
    ) -> Result<&'a [OsString]> {
        let (value, after) = row.value_of(name, value, after, true)?;
        match row.effect {
            Effect::From => once(name, &mut self.from, text(value)?.to_owned())?,
            Effect::Python => once(name, &mut self.python, python::parse(text(value)?)?)?,
            Effect::Registry => once(name, &mut self.registry, index::parse(name, text(value)?)?)?,
            Effect::With => {
                for requirement in split_with(text(value)?) {
                    self.with.push(Requirement::parse(requirement)?);
                }
            }
            Effect::Requirements => self.files.extend(requirement_files(name, text(value)?)?),
            Effect::Prerelease => self.prerelease |= prerelease(name, value)?,
            Effect::Name => drop(PypiName::parse(text(value)?)?),
            Effect::Only(values, refusal) if !values.iter().any(|v| value == *v) => {
                return Err(refusal.error(name));
            }
            _ => {}
        }
        Ok(after)
    }

    fn finish(self, words: &[OsString]) -> Result<Launch> {
        let Some((first, args)) = words.split_first() else {
            return Err(no_command(self.from.is_some()));
        };
        let (source, command) = match &self.from {
            Some(from) => (from.as_str(), Some(first)),
            None => (text(first)?, None),
        };
        refuse_script(source, command)?;
        let asked = self.python.flatten();
        let (package, python) = match python::interpreter(source)? {
            Some(version) => (None, one_version(asked, version)?),
            None => (Some(Requirement::parse_command(source)?), asked),
        };
        let package = package.map(|package| needed(package, python.as_deref())).transpose()?;
        let with = python::that_apply(self.with, python.as_deref())?;
        let command = match command {
            Some(word) => Some(executable(word)?),
            None => package.is_none().then(|| "python".to_owned()),
        };
        Ok(Launch {
            launcher: Launcher::Uvx,
            packages: package.into_iter().chain(with).map(PackageSpec::Pypi).collect(),
            files: self.files,
            command,
            call: None,
            args: args.to_vec(),
            python,
            registry: self.registry,
            prerelease: self.prerelease,
            node_options: None,
            tighten: self.tighten,
            environment: Vec::new(),
            local: None,
        })
    }
}

/// The package that has the command; where its condition does not hold, uvx installs nothing.
fn needed(package: Requirement, python: Option<&str>) -> Result<PypiSpec> {
    let name = package.spec.to_string();
    let mut left = python::that_apply(vec![package], python)?;
    left.pop().ok_or_else(|| {
        Error::refused(format!("by its condition `{}` is not for a box", shown(&name)))
            .hint("leave out the `;` and what follows it")
    })
}

/// clap refuses a single-valued option that is given twice, and so do we.
fn once<T>(name: &str, slot: &mut Option<T>, value: T) -> Result<()> {
    if slot.replace(value).is_some() { Err(twice(name)) } else { Ok(()) }
}

fn twice(name: &str) -> Error {
    Error::usage(format!("`{name}`, or another name of it, is given twice")).hint("give it once")
}

/// Whether the value of `--prerelease` lets pre-releases count as other versions do.
pub(super) fn prerelease(name: &str, value: &OsStr) -> Result<bool> {
    match value.to_str() {
        Some("allow") => Ok(true),
        // What uv does anyway.
        Some("if-necessary-or-explicit") => Ok(false),
        _ => Err(Error::refused(format!("`{name}` can only be `allow` or `if-necessary-or-explicit` here"))
            .hint("leave it out, and name a pre-release itself: `uvx-safe pkg@2.0rc1`")),
    }
}

/// `--python 3.11` and `python@3.12` can't both be meant (uv: "Received multiple Python version requests").
fn one_version(asked: Option<String>, named: Option<String>) -> Result<Option<String>> {
    match (asked, named) {
        (Some(asked), Some(named)) if asked != named => {
            Err(Error::usage(format!("two versions of Python are asked for: {asked} and {named}"))
                .hint("leave one out"))
        }
        (asked, named) => Ok(asked.or(named)),
    }
}

/// Splits the value of `--with` at commas, but not inside `[…]` and not before a comparison, as
/// in `mcp>=1,<2` (uv, `crates/uv-cli/src/comma.rs`).
pub(super) fn split_with(value: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0usize, 0);
    for (i, c) in value.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                if value[i + 1..].trim_start().starts_with(['!', '=', '<', '>', '~']) {
                    continue;
                }
                parts.push(&value[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&value[start..]);
    parts.into_iter().map(str::trim).filter(|p| !p.is_empty()).collect()
}

/// The value of `--with-requirements`: files with commas between them.
pub(super) fn requirement_files(name: &str, value: &str) -> Result<Vec<String>> {
    let files: Vec<String> = value.split(',').map(str::to_owned).collect();
    for file in &files {
        let what = if file.trim().is_empty() { Some("no file") } else { requirements::other_format(file) };
        if let Some(what) = what {
            return Err(Error::refused(format!(
                "`{name}` names {what}, and only files of plain requirements are read"
            ))
            .hint("name the packages themselves: `--with pkg==1.2 --with other`"));
        }
    }
    Ok(files)
}

/// The command that goes with `--from`. What Windows calls `x.exe` is `x` in the container.
pub(super) fn executable(word: &OsStr) -> Result<String> {
    let name = command_name(Launcher::Uvx, word)?;
    let bare = name.trim_end_matches(".exe");
    Ok(if bare.is_empty() { name } else { bare.to_owned() })
}

/// uvx takes `x.py` for a script that somebody wants to run, even if there is a package of that
/// name, as COMMAND and after `--from`.
fn refuse_script(word: &str, command: Option<&OsString>) -> Result<()> {
    if word.len() <= 3 || !word.to_ascii_lowercase().ends_with(".py") {
        return Ok(());
    }
    let error = Error::refused(format!("`{}` looks like a Python script, which uvx does not run", shown(word)));
    let command = command.and_then(|c| c.to_str()).unwrap_or(word);
    Err(match PypiName::parse(word) {
        Ok(name) => {
            error.hint(format!("if you mean the package, write `uvx-safe --from {} {}`", name.as_str(), shown(command)))
        }
        Err(_) => error.hint("name a package; `uv run` runs scripts"),
    })
}

fn no_command(from: bool) -> Error {
    if from {
        return Error::usage("there is no command after `--from`").hint("name it: `uvx-safe --from pkg command arg…`");
    }
    Error::usage("there is no command").hint("name a package: `uvx-safe pkg arg…`")
}

fn unknown(name: &str) -> Error {
    if name.contains(char::is_whitespace) {
        let words: Vec<_> = name.split_whitespace().map(|w| format!("\"{}\"", shown(w))).collect();
        return Error::usage(format!("`{}` is one string", shown(name)))
            .hint(format!("write several: {}", words.join(", ")));
    }
    unknown_option(Launcher::Uvx, name, TABLE)
}

#[cfg(test)]
#[path = "uvx_tests.rs"]
mod tests;
