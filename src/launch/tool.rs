//! Which tool a line names by its first words, and what stands between those.

use std::ffi::OsString;

use super::option::{Table, uv};
use super::scan::{Grammar, Said};
use super::{Launcher, Request, dashed, node_tools, python_tools, uvx};
use crate::error::{Error, Result};
use crate::package::{Ecosystem, shown};

/// The words that a tool is called by.
#[derive(Debug, Clone, Copy)]
pub struct Tool {
    /// The program.
    pub program: &'static str,
    /// The words after it that make it run packages.
    pub verbs: &'static [&'static str],
    /// Whose grammar the rest follows.
    pub launcher: Launcher,
}

impl Tool {
    /// The words as they are typed.
    pub fn words(&self) -> String {
        std::iter::once(&self.program).chain(self.verbs).copied().collect::<Vec<_>>().join(" ")
    }
}

const fn tool(program: &'static str, verbs: &'static [&'static str], launcher: Launcher) -> Tool {
    Tool { program, verbs, launcher }
}

/// All of them.
pub const TOOLS: &[Tool] = &[
    tool("npx", &[], Launcher::Npx),
    tool("npx-safe", &[], Launcher::Npx),
    tool("uvx", &[], Launcher::Uvx),
    tool("uvx-safe", &[], Launcher::Uvx),
    tool("npm", &["exec"], Launcher::NpmExec),
    tool("npm", &["x"], Launcher::NpmExec),
    tool("pnpm", &["dlx"], Launcher::PnpmDlx),
    tool("pnpx", &[], Launcher::PnpmDlx),
    tool("yarn", &["dlx"], Launcher::YarnDlx),
    tool("bunx", &[], Launcher::Bunx),
    tool("bun", &["x"], Launcher::Bunx),
    tool("uv", &["tool", "run"], Launcher::UvToolRun),
    tool("uv", &["run"], Launcher::UvRun),
    tool("pipx", &["run"], Launcher::PipxRun),
];

/// What can be typed, for refusals.
pub const NAMES: &str = "`npx`, `uvx`, `npm exec`, `pnpm dlx`, `pnpx`, `yarn dlx`, `bunx`, `uv tool run`, `uv run --with` and \
                         `pipx run` are understood";

/// Whether a line of this program can be understood.
pub fn is_program(name: &str) -> bool {
    TOOLS.iter().any(|tool| tool.program == name)
}

/// The tool that is called by exactly these words.
pub fn by_words(words: &[&str]) -> Result<Launcher> {
    let same = |tool: &&Tool| words.split_first() == Some((&tool.program, tool.verbs));
    TOOLS.iter().find(same).map(|tool| tool.launcher).ok_or_else(|| unknown(&words.join(" ")))
}

/// Parses a line of `program`, which is one of [`TOOLS`].
pub(super) fn read(program: &str, words: &[OsString]) -> Result<(Launcher, Request)> {
    let tools = || TOOLS.iter().filter(|tool| tool.program == program);
    let Some(first) = tools().next() else {
        return Err(unknown(program));
    };
    if first.verbs.is_empty() {
        return super::parse(first.launcher, words).map(|request| (first.launcher, request));
    }
    let mut said = Said::default();
    let stop = said.options(&before(first), words)?;
    if said.version || said.help {
        return Ok((first.launcher, asked(&said)));
    }
    let named = tools().find_map(|tool| Some((tool.launcher, after_verbs(stop.words, tool.verbs)?)));
    match named {
        Some((launcher, rest)) if !stop.dashes => parse(launcher, said, rest).map(|request| (launcher, request)),
        _ => Err(unknown(&match stop.words.first() {
            Some(word) => format!("{program} {}", word.to_string_lossy()),
            None => program.to_owned(),
        })),
    }
}

/// What follows the verbs, if they are there.
fn after_verbs<'a>(words: &'a [OsString], verbs: &[&str]) -> Option<&'a [OsString]> {
    let (start, rest) = words.split_at_checked(verbs.len())?;
    start.iter().zip(verbs).all(|(word, verb)| word == verb).then_some(rest)
}

/// Options that may stand before the verbs.
fn before(tool: &Tool) -> Grammar {
    let own = if tool.program == "uv" { uv::GLOBAL } else { Table(&[]) };
    match tool.launcher.grammar() {
        // Their parsers do not mind where their options stand. That of bun does: there, `-p` would
        // be its `--print`.
        Some(same) if matches!(tool.launcher, Launcher::NpmExec | Launcher::PnpmDlx) => {
            Grammar { tool: tool.program, ours: false, ..same }
        }
        _ => Grammar { tool: tool.program, own, like: None, nopt: false, ours: false },
    }
}

fn asked(said: &Said) -> Request {
    if said.version { Request::Version } else { Request::Help }
}

/// Parses what follows the verbs of `launcher`.
pub(super) fn parse(launcher: Launcher, mut said: Said, words: &[OsString]) -> Result<Request> {
    let Some(grammar) = launcher.grammar() else {
        return as_uvx(launcher, &said, words);
    };
    let stop = said.options(&grammar, words)?;
    if said.version || said.help {
        return Ok(asked(&said));
    }
    match launcher.ecosystem() {
        Ecosystem::Npm => node_tools::finish(launcher, said, stop).map(Request::Run),
        Ecosystem::Pypi => python_tools::finish(launcher, said, stop),
    }
}

/// `uv tool run`: uvx is another name of it.
fn as_uvx(launcher: Launcher, said: &Said, words: &[OsString]) -> Result<Request> {
    // Before `tool run` they mean what they mean after it.
    if let Some((name, Some(value))) = said.local.first() {
        uvx::parse(&[name.into(), value.into()])?;
    }
    let mut request = uvx::parse(words)?;
    if let Request::Run(launch) = &mut request {
        launch.launcher = launcher;
    }
    Ok(request)
}

fn unknown(words: &str) -> Error {
    Error::usage(format!("`{}` is no launcher that is understood", shown(words))).hint(NAMES)
}

/// A line that was typed to us as `program words…`, as that program would get it: the `--` of
/// `jitbox npx -- -y pkg` is ours. Right before a package it is left alone, since every tool has
/// the same idea of it there.
pub fn typed(mut line: Vec<OsString>) -> Vec<OsString> {
    let Some((program, words)) = line.split_first() else { return line };
    let ours = TOOLS.iter().filter(|tool| program == tool.program).find_map(|tool| {
        let (dashes, rest) = after_verbs(words, tool.verbs)?.split_first()?;
        (dashes == "--" && rest.first().is_none_or(|next| dashed(next))).then_some(1 + tool.verbs.len())
    });
    if let Some(at) = ours {
        line.remove(at);
    }
    line
}

#[cfg(test)]
#[path = "tool_tests.rs"]
mod tests;
