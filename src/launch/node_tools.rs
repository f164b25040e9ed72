//! What a line of npm's relatives runs: `npm exec`, `pnpm dlx`, `yarn dlx`, `bunx`.

use std::ffi::OsString;

use super::scan::{Said, Stop};
use super::{Launch, Launcher, command_name, dashed, npx, text};
use crate::error::{Error, Result};
use crate::package::npm::{NpmRequest, NpmSpec};
use crate::package::{PackageSpec, shown};

/// Commands that bunx installs a package of another name for.
const BUNX_ALIASES: &[(&str, &str)] = &[("tsc", "typescript"), ("claude", "@anthropic-ai/claude-code")];

/// The launch that the options and the words after them make.
pub(super) fn finish(launcher: Launcher, said: Said, stop: Stop<'_>) -> Result<Launch> {
    let words = if launcher == Launcher::NpmExec { for_npm(stop)? } else { stop.words.to_vec() };
    let Some((first, args)) = words.split_first().filter(|_| said.call.is_none()) else {
        return match said.call {
            Some(_) => call(launcher, said, words.first()),
            None => Err(no_package(launcher, !said.packages.is_empty())),
        };
    };
    if launcher == Launcher::Bunx && said.packages.len() > 1 {
        return Err(Error::usage("`--package` is given twice, and bunx installs one").hint("give it once"));
    }
    let (packages, command) = if said.packages.is_empty() {
        let word = text(first)?;
        // Yarn does not look what the only command of a package is called.
        let command = (launcher == Launcher::YarnDlx).then(|| unscoped(word).to_owned());
        (vec![package(launcher, word)?], command)
    } else {
        let packages: Result<_> = said.packages.iter().map(|word| package(launcher, word)).collect();
        (packages?, Some(command_name(launcher, first)?))
    };
    Ok(launch(launcher, said, packages, command, args))
}

fn launch(
    launcher: Launcher,
    said: Said,
    packages: Vec<NpmSpec>,
    command: Option<String>,
    args: &[OsString],
) -> Launch {
    Launch {
        launcher,
        packages: packages.into_iter().map(PackageSpec::Npm).collect(),
        files: Vec::new(),
        command,
        call: said.call,
        args: args.to_vec(),
        python: None,
        registry: said.registry,
        prerelease: said.prerelease,
        node_options: said.node_options,
        tighten: said.tighten,
        environment: Vec::new(),
        local: None,
    }
}

/// `npm exec -c`: only npm's table has it.
fn call(launcher: Launcher, said: Said, first: Option<&OsString>) -> Result<Launch> {
    npx::refuse_beside_call(launcher.name(), first, said.packages.len())?;
    let packages: Result<_> = said.packages.iter().map(|word| package(launcher, word)).collect();
    Ok(launch(launcher, said, packages?, None, &[]))
}

/// npm takes every option before a `--` for its own, even behind the package.
fn for_npm(stop: Stop<'_>) -> Result<Vec<OsString>> {
    if stop.dashes {
        return Ok(stop.words.to_vec());
    }
    let end = stop.words.iter().position(|word| word == "--").unwrap_or(stop.words.len());
    let (plain, rest) = stop.words.split_at(end);
    if let Some(option) = plain.iter().find(|word| dashed(word) && word.len() > 1) {
        let option = option.to_string_lossy();
        return Err(Error::refused(format!("npm would take `{}` for its own option", shown(&option)))
            .hint("put `--` before the package: `npm exec -- pkg --option`"));
    }
    Ok(plain.iter().chain(rest.get(1..).unwrap_or_default()).cloned().collect())
}

/// A package as the tool would look it up.
fn package(launcher: Launcher, word: &str) -> Result<NpmSpec> {
    let only =
        |special: bool| if special && launcher != Launcher::NpmExec { Err(own_rules(launcher, word)) } else { Ok(()) };
    only(is_special(word))?;
    let spec = NpmSpec::parse(word)?;
    only(matches!(spec.request, NpmRequest::Source(_)))?;
    let alias = BUNX_ALIASES.iter().find(|(name, _)| word.split('@').next() == Some(name));
    if let Some((name, package)) = alias.filter(|_| launcher == Launcher::Bunx) {
        return Err(Error::refused(format!("bunx installs `{package}` for `{name}`"))
            .hint(format!("write `bunx -p {package} {name}`")));
    }
    Ok(spec)
}

/// Whether it looks like a repository, an archive, a path or an address.
fn is_special(word: &str) -> bool {
    let bare = without_scope(word);
    bare.contains(['/', ':', '#', '\\']) || [".tgz", ".tar", ".tar.gz"].iter().any(|end| bare.ends_with(end))
}

/// The refusal of what only npm reads as npx does: the others have rules of their own for it, which are not understood here.
fn own_rules(launcher: Launcher, word: &str) -> Error {
    let (word, tool) = (shown(word), launcher.name());
    Error::refused(format!("`{word}` is no package of the registry, and {tool} has its own rules for such names"))
        .hint("name a package of the registry, with or without a version: `pkg` or `pkg@1.2.3`")
}

fn without_scope(word: &str) -> &str {
    word.strip_prefix('@').and_then(|scoped| scoped.split_once('/')).map_or(word, |(_, bare)| bare)
}

/// The name of a package of the registry, without its scope and version.
fn unscoped(word: &str) -> &str {
    without_scope(word).split('@').next().unwrap_or_default()
}

fn no_package(launcher: Launcher, named: bool) -> Error {
    let tool = launcher.name();
    if named {
        return Error::refused("there is no command after the packages")
            .hint(format!("name the command: `{tool} --package=pkg command arg…`"));
    }
    Error::refused("there is no package").hint(format!("name a package: `{tool} pkg arg…`"))
}
