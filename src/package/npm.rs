//! npm package specs: `name`, `@scope/name`, `name@version|range|tag`.
//!
//! The grammar is npm-package-arg's. Other forms (git, tarball URLs, folders, aliases) are
//! refused by name.

use std::fmt;

use super::{UnsupportedForm, bounded, shown};
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
}

/// A name and what of it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NpmSpec {
    /// Which package.
    pub name: NpmName,
    /// Which of its versions.
    pub request: NpmRequest,
}

impl NpmSpec {
    /// Parses `name`, `@scope/name` and either with `@version`, `@range` or `@tag`
    /// (npm-package-arg 13).
    pub fn parse(text: &str) -> Result<Self> {
        bounded(text)?;
        if let Some(form) = unsupported_form(text) {
            return Err(form.refuse(text));
        }
        let (name, request) = match name_end(text) {
            Some(at) => (&text[..at], &text[at + 1..]),
            None => (text, ""),
        };
        Ok(Self { name: NpmName::parse(name)?, request: parse_request(request, text)? })
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

/// Which of the forms that we do not take `text` has, if any; the order of the questions is
/// npm-package-arg's (`npa.js`).
pub fn unsupported_form(text: &str) -> Option<UnsupportedForm> {
    let end = name_end(text);
    let name = &text[..end.unwrap_or(text.len())];
    let unnamed = is_url(text)
        || is_scp(text)
        || (!name.starts_with('@') && (name.contains(['/', '\\']) || is_archive(name)))
        || (end.is_none() && is_path(text));
    if unnamed {
        // Without a form it would be a tag of no package, which npm refuses.
        return form_of(text).or(Some(UnsupportedForm::File));
    }
    form_of(text[end? + 1..].trim())
}

/// The form of what stands where a version would.
fn form_of(spec: &str) -> Option<UnsupportedForm> {
    let lower = spec.to_ascii_lowercase();
    let file_or_folder = if is_archive(spec) { UnsupportedForm::File } else { UnsupportedForm::Directory };
    if lower.starts_with("file:") || is_path(spec) {
        return Some(file_or_folder);
    }
    if lower.starts_with("npm:") {
        return Some(UnsupportedForm::Alias);
    }
    if is_shorthand(spec) || is_scp(spec) {
        return Some(UnsupportedForm::Git);
    }
    if is_url(spec) {
        let plain = lower.starts_with("http://") || lower.starts_with("https://");
        return Some(if plain && !is_git_host(&lower) { UnsupportedForm::Url } else { UnsupportedForm::Git });
    }
    (spec.contains(['/', '\\']) || is_archive(spec)).then_some(file_or_folder)
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

/// `owner/repo`, perhaps with `#ref` (hosted-git-info, "isGitHubShorthand").
fn is_shorthand(text: &str) -> bool {
    let path = text.split('#').next().unwrap_or(text);
    path.split_once('/').is_some_and(|(owner, repo)| {
        !owner.is_empty()
            && !repo.is_empty()
            && !repo.contains('/')
            && !path.contains([':', '@', '\\'])
            && !path.contains(char::is_whitespace)
    })
}

/// The hosts that hosted-git-info turns into git even in a plain URL.
fn is_git_host(lower: &str) -> bool {
    let after = lower.split_once("://").map_or("", |(_, rest)| rest);
    let authority = after.split(['/', '?', '#']).next().unwrap_or("");
    let host = authority.rsplit('@').next().unwrap_or("");
    let host = host.strip_prefix("www.").unwrap_or(host);
    ["github.com", "gitlab.com", "bitbucket.org", "gist.github.com", "git.sr.ht"].contains(&host)
}

impl fmt::Display for NpmSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_str();
        match &self.request {
            NpmRequest::Any => f.write_str(name),
            NpmRequest::Version(v) => write!(f, "{name}@{v}"),
            NpmRequest::Range(r) | NpmRequest::Tag(r) => write!(f, "{name}@{r}"),
        }
    }
}

#[cfg(test)]
#[path = "npm_tests.rs"]
mod tests;
