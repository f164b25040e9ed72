//! npm package specs: `name`, `@scope/name`, `name@version|range|tag`, git repositories, archives
//! at URLs, and aliases.
//!
//! The grammar is npm-package-arg's.

use std::fmt;

use percent_encoding::percent_decode_str;

use super::local::{Sort, TypedPath};
use super::source::{self, GitSource, Reference, Source};
use super::{bounded, hosted, shown};
use crate::error::{Error, Result};

/// No name in the registry is longer (validate-npm-package-name, "name can no longer contain
/// more than 214 characters").
const MAX_NAME: usize = 214;

/// An npm package name that npm itself would accept for a new or an old package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NpmName(String);

impl NpmName {
    /// Checks a name by the rules of validate-npm-package-name for old packages: capital
    /// letters and `~'!()*` are allowed, because packages of those times are still there.
    /// Stricter in what could be mistaken for a path.
    pub fn parse(text: &str) -> Result<Self> {
        let bare = match text.strip_prefix('@') {
            None => text,
            Some(scoped) => {
                let (scope, bare) =
                    scoped.split_once('/').ok_or_else(|| invalid(text, "a scope is followed by `/` and a name"))?;
                check_part(text, scope)?;
                bare
            }
        };
        check_part(text, bare)?;
        if text.len() > MAX_NAME {
            return Err(invalid(text, "it is longer than 214 characters"));
        }
        if text.starts_with('_') {
            return Err(invalid(text, "it starts with `_`"));
        }
        let lower = bare.to_ascii_lowercase();
        if lower == "node_modules" || lower == "favicon.ico" {
            return Err(invalid(text, "npm reserves it"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name, with its scope.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The scope, with its `@`.
    pub fn scope(&self) -> Option<&str> {
        self.0.split_once('/').map(|(scope, _)| scope)
    }

    /// The name without its scope: what a command of this package is called by default.
    pub fn unscoped(&self) -> &str {
        self.0.split_once('/').map_or(self.0.as_str(), |(_, bare)| bare)
    }
}

/// One side of the `/`: not empty, no dot or hyphen in front, and nothing that
/// `encodeURIComponent` would change.
fn check_part(text: &str, part: &str) -> Result<()> {
    if part.is_empty() {
        return Err(invalid(text, "it is empty"));
    }
    if part.starts_with(['.', '-']) {
        return Err(invalid(text, "it starts with `.` or `-`"));
    }
    match part.chars().find(|&c| !is_url_safe(c)) {
        Some(c) => Err(invalid(text, &format!("`{}` can't be part of it", c.escape_debug()))),
        None => Ok(()),
    }
}

/// What `encodeURIComponent` leaves alone (ECMA-262, "URI Handling Functions").
fn is_url_safe(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.!~*'()".contains(c)
}

fn invalid(text: &str, why: &str) -> Error {
    let error = Error::usage(format!("`{}` is not a package name", shown(text))).because(why);
    if text.trim().contains(char::is_whitespace) {
        error.hint("write several arguments as several strings: \"pkg\", \"arg\"")
    } else if text.starts_with(['\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}', '\u{2212}']) {
        error.hint("its first character is a dash but not the hyphen `-`; type `-` in its place")
    } else {
        error.hint("name a package as the registry does: `pkg` or `@scope/pkg`")
    }
}

/// What follows the `@`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NpmRequest {
    /// Nothing: the `latest` tag.
    Any,
    /// One exact version.
    Version(nodejs_semver::Version),
    /// A range, as it was typed.
    Range(String),
    /// A dist-tag.
    Tag(String),
    /// What is there instead of in a registry.
    Source(Source),
}

/// A name and what of it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NpmSpec {
    /// Which package. `None` only for a source, whose own name counts.
    pub name: Option<NpmName>,
    /// Which of its versions.
    pub request: NpmRequest,
}

impl NpmSpec {
    /// Parses a name, perhaps with `@version`, `@range` or `@tag`, or a source, perhaps with
    /// `name@` before it (npm-package-arg 13). An alias is read as the package that it stands
    /// for: only the folder's name would differ.
    pub fn parse(text: &str) -> Result<Self> {
        bounded(text)?;
        let (name, typed) = split(text);
        let form = form_of(typed);
        // Without a form it would be a tag of no package, which npm refuses.
        if name.is_none() && form.is_none() {
            return Err(invalid(text, "it is neither a name nor a path"));
        }
        let parse_name = || name.map(NpmName::parse).transpose();
        match form {
            Some(Form::Local(sort)) => {
                let typed = TypedPath::parse(typed, sort, text)?;
                Ok(Self { name: parse_name()?, request: NpmRequest::Source(Source::Typed(typed)) })
            }
            Some(Form::Alias) => {
                parse_name()?;
                let target = &typed["npm:".len()..];
                match form_of(split(target).1) {
                    None if !target.is_empty() => Self::parse(target),
                    _ => Err(not_an_alias(text)),
                }
            }
            Some(Form::Web) => Ok(Self { name: parse_name()?, request: NpmRequest::Source(source(typed, text)?) }),
            None => Ok(Self { name: parse_name()?, request: parse_request(typed, text)? }),
        }
    }
}

fn not_an_alias(text: &str) -> Error {
    Error::usage(format!("`{}` is not an alias", shown(text)))
        .because("`npm:` is followed by a package of the registry")
        .hint("write `npm:pkg@1.2.3`, or leave out the `npm:`")
}

/// The name, if there is one, and what stands where a version would.
fn split(text: &str) -> (Option<&str>, &str) {
    let end = name_end(text);
    let name = &text[..end.unwrap_or(text.len())];
    let unnamed = is_url(text)
        || is_scp(text)
        || (!name.starts_with('@') && (name.contains(['/', '\\']) || is_archive(name)))
        || (end.is_none() && is_path(text));
    match end {
        _ if unnamed => (None, text),
        Some(at) => (Some(name), text[at + 1..].trim()),
        None => (Some(name), ""),
    }
}

/// Where the `@` after the name is; one in front belongs to a scope.
fn name_end(text: &str) -> Option<usize> {
    text.char_indices().skip(1).find(|&(_, c)| c == '@').map(|(i, _)| i)
}

/// Tells versions, ranges and tags apart, in npm's order.
fn parse_request(typed: &str, text: &str) -> Result<NpmRequest> {
    let typed = typed.trim();
    if typed.is_empty() {
        return Ok(NpmRequest::Any);
    }
    if let Some(version) = parse_version(typed) {
        return Ok(NpmRequest::Version(version));
    }
    let malformed = || Error::usage(format!("`{}` does not name a version, a range or a tag", shown(text)));
    // npm reads `1.2.3beta` and `01.2.3` as versions in its loose mode, so they are neither
    // ranges nor tags. Nothing is published as such.
    if is_nearly_version(typed) {
        return Err(malformed().hint("write the version in full, as in `pkg@1.2.3-beta.1`"));
    }
    if nodejs_semver::Range::parse(typed).is_ok() {
        return Ok(NpmRequest::Range(typed.to_owned()));
    }
    // With a `*` npm may still see a range that the crate does not (`1.2.03*`).
    if typed.chars().all(is_url_safe) && !typed.contains('*') {
        return Ok(NpmRequest::Tag(typed.to_owned()));
    }
    Err(malformed().hint("write `pkg@1.2.3`, `pkg@^1.2` or `pkg@latest`, and arguments as strings of their own"))
}

/// `1.2.3`, `v1.2.3`, `=1.2.3`. The crate is content with a version at the start of the text
/// (`1.0.0 - 2.0.0` would be 1.0.0), so the whole of it is checked here first.
pub(crate) fn parse_version(typed: &str) -> Option<nodejs_semver::Version> {
    let bare = typed.strip_prefix('=').unwrap_or(typed);
    let bare = bare.strip_prefix('v').unwrap_or(bare);
    is_version(bare).then(|| nodejs_semver::Version::parse(bare).ok())?
}

/// One word that starts as a version does.
fn is_nearly_version(typed: &str) -> bool {
    let bare = typed.trim_start_matches(['=', 'v', ' ']);
    bare.chars().all(|c| c.is_ascii_alphanumeric() || ".+-".contains(c)) && nodejs_semver::Version::parse(bare).is_ok()
}

/// The grammar of Semantic Versioning 2.0.0.
fn is_version(text: &str) -> bool {
    let number = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) && (part.len() == 1 || !part.starts_with('0'))
    };
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let (text, build) = text.split_once('+').unwrap_or((text, "0"));
    let (core, pre) = text.split_once('-').unwrap_or((text, "0"));
    core.split('.').count() == 3
        && core.split('.').all(number)
        && build.split('.').all(word)
        && pre.split('.').all(|part| word(part) && (number(part) || part.bytes().any(|b| !b.is_ascii_digit())))
}

/// What a spec is that is neither version, range nor tag.
enum Form {
    /// On this machine.
    Local(Sort),
    /// Another package of the registry.
    Alias,
    /// A repository or an archive at a URL.
    Web,
}

/// The form of what stands where a version would; the order of the questions is
/// npm-package-arg's (`npa.js`).
fn form_of(spec: &str) -> Option<Form> {
    let lower = spec.to_ascii_lowercase();
    let local = if is_archive(spec) { Sort::Archive } else { Sort::Folder };
    if lower.starts_with("file:") || is_path(spec) {
        return Some(Form::Local(local));
    }
    if lower.starts_with("npm:") {
        return Some(Form::Alias);
    }
    if hosted::read(spec).is_some() || is_url(spec) || is_scp(spec) {
        return Some(Form::Web);
    }
    (spec.contains(['/', '\\']) || is_archive(spec)).then_some(Form::Local(local))
}

/// Reads a repository or an archive's address. `text` is the whole spec.
fn source(spec: &str, text: &str) -> Result<Source> {
    if let Some(known) = hosted::read(spec) {
        if known.login {
            // Says what is wrong with it.
            source::web_address(&spec[spec.find("https:").unwrap_or(0)..], text)?;
            return Err(source::refuse_ssh(text));
        }
        let repository = known.repository.ok_or_else(|| {
            Error::usage(format!("`{}` does not name a git repository", shown(text)))
                .hint("write it as github:owner/repository")
        })?;
        return git(&repository, &known.committish, text);
    }
    let (body, hash) = spec.split_once('#').unwrap_or((spec, ""));
    let scheme = body.split(':').next().unwrap_or_default().to_ascii_lowercase();
    match scheme.as_str() {
        "http" | "https" => {
            let mut url = source::web_address(spec, text)?;
            url.set_fragment(None);
            // A host that npm knows, in a spelling that hides it.
            if hosted::read(url.as_str()).is_some() {
                return Err(Error::usage(format!("`{}` may name an archive or a repository", shown(text)))
                    .hint(format!("for the repository write git+{url}")));
            }
            Ok(Source::Archive(url))
        }
        "git+http" | "git+https" => git(&body["git+".len()..], hash, text),
        "git+file" => Err(source::refuse_git_file(text)),
        "git" => Err(Error::refused(format!("`{}` uses git's own protocol, which protects nothing", shown(text)))
            .hint("write git+https://host/owner/repository")),
        scheme if scheme.ends_with("ssh") || is_scp(spec) => Err(source::refuse_ssh(text)),
        _ => Err(Error::usage(format!("`{}` is an address that npm knows no way to", shown(text)))
            .hint("write an address with https://, or a package of the registry")),
    }
}

/// A repository with what follows its `#` (npa.js, `setGitAttrs`).
fn git(repository: &str, committish: &str, text: &str) -> Result<Source> {
    let bad = || Error::usage(format!("`{}` does not name a commit", shown(text)));
    let hint = "after the `#` comes a branch, a tag, all 40 digits of a commit, or `semver:^1.2`";
    let (mut reference, mut subdirectory) = (Reference::Head, None);
    for part in committish.split("::").filter(|_| !committish.is_empty()) {
        let one = match part.split_once(':') {
            None => source::reference(part).ok_or_else(|| bad().hint(hint))?,
            Some(("semver", range)) => {
                semver(range).ok_or_else(|| bad().because("what follows `semver:` is not a range").hint(hint))?
            }
            Some(("path", dir)) => {
                let dir = source::subdirectory(dir).ok_or_else(|| {
                    bad()
                        .because("what follows `path:` is not a folder of the repository")
                        .hint("write `#path:the/folder`")
                })?;
                if subdirectory.replace(dir).is_some() {
                    return Err(bad().because("it names two folders").hint("write `#path:the/folder`"));
                }
                continue;
            }
            Some((key, _)) => return Err(bad().because(format!("`{}` has no meaning in it", shown(key))).hint(hint)),
        };
        if reference != Reference::Head {
            return Err(bad().because("it names two").hint(hint));
        }
        reference = one;
    }
    Ok(Source::Git(GitSource { repository: source::repository(repository, text)?, reference, subdirectory }))
}

/// What follows `semver:`.
fn semver(range: &str) -> Option<Reference> {
    let range = percent_decode_str(range).decode_utf8().ok()?;
    let range = range.trim();
    let plain = !range.is_empty() && !range.contains(['#', ':']) && nodejs_semver::Range::parse(range).is_ok();
    plain.then(|| Reference::Range(range.to_owned()))
}

/// npa.js `isURL`: `^(?:git[+])?[a-z]+:`.
fn is_url(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once(':') else {
        return false;
    };
    let lower = scheme.to_ascii_lowercase();
    let bare = lower.strip_prefix("git+").unwrap_or(&lower);
    !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_lowercase())
}

/// npa.js `isGit`: `user@host.tld:path`.
fn is_scp(text: &str) -> bool {
    let Some((user, rest)) = text.split_once('@') else {
        return false;
    };
    let Some((host, path)) = rest.split_once(':') else {
        return false;
    };
    let dotted = host.split_once('.').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty());
    !user.is_empty() && dotted && !path.is_empty()
}

/// npa.js `isPosixFile` and `isWindowsFile`, whichever system this is.
fn is_path(text: &str) -> bool {
    let drive = matches!(text.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    drive || text.starts_with(['.', '/', '\\']) || text.starts_with("~/")
}

/// npa.js `isFileType`.
fn is_archive(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    [".tgz", ".tar.gz", ".tar"].iter().any(|end| lower.ends_with(end))
}

impl fmt::Display for NpmSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            f.write_str(name.as_str())?;
        }
        let at = if self.name.is_some() { "@" } else { "" };
        match &self.request {
            NpmRequest::Any => Ok(()),
            NpmRequest::Version(v) => write!(f, "{at}{v}"),
            NpmRequest::Range(r) | NpmRequest::Tag(r) => write!(f, "{at}{r}"),
            NpmRequest::Source(source) => write!(f, "{at}{}", source.npm_text()),
        }
    }
}

#[cfg(test)]
#[path = "npm_tests.rs"]
mod tests;
