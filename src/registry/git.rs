//! Git over HTTPS, as far as it takes to get one commit: which references there are, and the
//! commit's files (gitprotocol-http(5), gitprotocol-pack(5), protocol version 0).

use std::collections::BTreeMap;

use nodejs_semver::{Range, Version};
use url::Url;

use super::auth::Credentials;
use super::http::{Client, Get, host_of};
use super::pack::{self, Entry};
use super::settings::Proxies;
use super::shown;
use crate::error::{Error, Kind, Result};
use crate::package::Ecosystem;
use crate::package::source::{Commit, GitSource, Reference};

/// How to reach a repository's host.
pub struct Access<'a> {
    /// Fetches.
    pub client: &'a Client,
    /// The user's logins.
    pub credentials: &'a Credentials,
    /// The user's proxies.
    pub proxies: &'a Proxies,
}

impl Access<'_> {
    pub(super) fn get<'a>(&'a self, url: &'a Url, accept: &'a str) -> Get<'a> {
        Get { url, accept, credentials: self.credentials, proxies: self.proxies }
    }
}

/// Which commit `source` means now.
pub fn resolve(access: &Access<'_>, source: &GitSource, ecosystem: Ecosystem) -> Result<Commit> {
    if let Reference::Commit(commit) = &source.reference {
        return Ok(commit.clone());
    }
    let url = service_url(&source.repository, "info/refs?service=git-upload-pack")?;
    let answer = access
        .client
        .get(&access.get(&url, "application/x-git-upload-pack-advertisement"))
        .map_err(|error| explain(error, &source.repository))?;
    let refs = Refs::parse(&answer.body).ok_or_else(|| not_git(&source.repository))?;
    refs.find(&source.reference, ecosystem).ok_or_else(|| no_such(&refs, source))
}

/// The files of a commit. They are what the commit's name says: every hash is checked.
pub fn files(access: &Access<'_>, repository: &Url, commit: &Commit) -> Result<Vec<Entry>> {
    let url = service_url(repository, "git-upload-pack")?;
    let want = format!("want {commit} ofs-delta no-progress agent=jitbox\n");
    let body = [pkt_line(&want), pkt_line("deepen 1\n"), "0000".to_owned(), pkt_line("done\n")].concat();
    let get = access.get(&url, "application/x-git-upload-pack-result");
    let answer = access
        .client
        .post(&get, "application/x-git-upload-pack-request", body.as_bytes())
        .map_err(|error| explain(error, repository))?;
    let pack = pack_of(&answer.body).map_err(|why| {
        Error::failed(format!("{} does not give the commit {commit}", host_of(repository)))
            .because(shown(&why))
            .hint("name a branch or a tag: some servers give nothing else")
    })?;
    pack::files(pack, commit)
}

fn service_url(repository: &Url, service: &str) -> Result<Url> {
    let base = repository.as_str().trim_end_matches('/');
    Url::parse(&format!("{base}/{service}")).map_err(|e| Error::failed("can't make an address for git").because(e))
}

fn explain(error: Error, repository: &Url) -> Error {
    // Hosts do not tell private repositories from those that do not exist.
    match error.kind {
        Kind::NotFound | Kind::Refused => {
            let host = host_of(repository);
            Error::not_found(format!("there is no git repository at {repository}, or it is private"))
                .hint(format!("for a private one put a login for {host} into ~/.netrc"))
        }
        _ => error,
    }
}

fn not_git(repository: &Url) -> Error {
    Error::failed(format!("{repository} is not a git repository")).because("its answer is not git's")
}

fn no_such(refs: &Refs, source: &GitSource) -> Error {
    let repository = &source.repository;
    let names: Vec<&str> = refs.0.keys().filter_map(|name| name.strip_prefix("refs/heads/")).take(8).collect();
    match &source.reference {
        Reference::Name(name) => {
            let error = Error::not_found(format!("{repository} has neither a branch nor a tag `{}`", shown(name)))
                .hint(format!("some of its branches: {}", shown(&names.join(", "))));
            let abbreviated = name.len() >= 7 && name.bytes().all(|b| b.is_ascii_hexdigit());
            if abbreviated { error.hint("a commit is named by all of its 40 digits") } else { error }
        }
        Reference::Range(range) => {
            Error::not_found(format!("no tag of {repository} is a version in `{}`", shown(range)))
                .hint("leave out the `#semver:` to get the default branch")
        }
        Reference::Head | Reference::Commit(_) => Error::not_found(format!("{repository} has no commits")),
    }
}

/// A line with its length in front.
fn pkt_line(text: &str) -> String {
    format!("{:04x}{text}", text.len() + 4)
}

/// The next packet of `rest`: `Some(None)` is a flush.
fn next_packet<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let length = usize::from_str_radix(std::str::from_utf8(rest.get(..4)?).ok()?, 16).ok()?;
    if length == 0 {
        *rest = &rest[4..];
        return Some(None);
    }
    let packet = rest.get(4..length)?;
    *rest = &rest[length..];
    Some(Some(packet))
}

/// The pack in an answer: it follows the line that says that we have nothing in common.
fn pack_of(mut answer: &[u8]) -> std::result::Result<&[u8], String> {
    loop {
        match next_packet(&mut answer) {
            Some(Some(b"NAK\n" | b"NAK")) => return Ok(answer),
            Some(Some(words)) if words.starts_with(b"ERR ") => {
                return Err(String::from_utf8_lossy(&words[4..]).into_owned());
            }
            Some(_) => {}
            None => return Err("its answer is not git's".to_owned()),
        }
    }
}

/// References with the commits that they name; tags with what they are on.
struct Refs(BTreeMap<String, Commit>);

impl Refs {
    fn parse(mut body: &[u8]) -> Option<Self> {
        let mut refs = BTreeMap::new();
        let mut peeled = Vec::new();
        if !next_packet(&mut body)??.starts_with(b"# service=git-upload-pack") {
            return None;
        }
        let mut flushes = 0;
        while flushes < 2 {
            let Some(line) = next_packet(&mut body)? else {
                flushes += 1;
                continue;
            };
            let line = line.split(|b| *b == 0).next()?;
            let line = std::str::from_utf8(line).ok()?.trim_end_matches('\n');
            let (commit, name) = line.split_once(' ')?;
            let commit = Commit::parse(commit)?;
            match name.strip_suffix("^{}") {
                // An empty repository has a line only for what it can do.
                Some("capabilities") => {}
                Some(tag) => peeled.push((tag.to_owned(), commit)),
                None => drop(refs.insert(name.to_owned(), commit)),
            }
        }
        refs.extend(peeled);
        Some(Self(refs))
    }

    fn find(&self, reference: &Reference, ecosystem: Ecosystem) -> Option<Commit> {
        match reference {
            Reference::Head => self.0.get("HEAD").cloned(),
            Reference::Commit(commit) => Some(commit.clone()),
            Reference::Name(name) => self.named(name, ecosystem).cloned(),
            Reference::Range(range) => self.in_range(range).cloned(),
        }
    }

    /// Where a branch and a tag share a name, npm takes the tag (@npmcli/git, `lines-to-revs.js`)
    /// and uv the branch (uv, `GitReference::resolve`).
    fn named(&self, name: &str, ecosystem: Ecosystem) -> Option<&Commit> {
        let (tag, branch) = (format!("refs/tags/{name}"), format!("refs/heads/{name}"));
        let names = match ecosystem {
            Ecosystem::Npm if name.starts_with("pull/") => {
                vec![tag, format!("refs/{name}/head"), format!("refs/{name}")]
            }
            Ecosystem::Npm => vec![tag, format!("refs/{name}"), branch],
            Ecosystem::Pypi => vec![branch, tag],
        };
        let whole = Some(name).filter(|n| *n == "HEAD" || n.starts_with("refs/"));
        whole.into_iter().chain(names.iter().map(String::as_str)).find_map(|name| self.0.get(name))
    }

    /// The tag of a range: the one on the default branch if it is in it, else the highest
    /// (npm-pick-manifest, with the tags of `lines-to-revs.js`).
    fn in_range(&self, range: &str) -> Option<&Commit> {
        let range = Range::parse(range).ok()?;
        let versions: BTreeMap<Version, &Commit> = self
            .0
            .iter()
            .filter_map(|(name, commit)| Some((tagged_version(name.strip_prefix("refs/tags/")?)?, commit)))
            .collect();
        let latest = self.named("latest", Ecosystem::Npm).or(self.0.get("HEAD"));
        let fits = || versions.iter().filter(|(version, _)| version.satisfies(&range));
        let current = fits().rfind(|(_, commit)| Some(**commit) == latest);
        current.or_else(|| fits().next_back()).map(|(_, commit)| *commit)
    }
}

/// The version at the end of a tag's name: `v1.2.3`, `release-1.2.3-rc.1`.
fn tagged_version(tag: &str) -> Option<Version> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let is_version = |text: &str| {
        let mut rest = text;
        for part in 0..3 {
            let count = digits(rest);
            rest = &rest[count..];
            if count == 0 {
                return false;
            }
            if part < 2 {
                let Some(after) = rest.strip_prefix('.') else { return false };
                rest = after;
            }
        }
        rest.is_empty() || (rest.len() > 1 && rest.starts_with(['-', '+']))
    };
    let start = (0..tag.len()).find(|i| tag.is_char_boundary(*i) && is_version(&tag[*i..]))?;
    Version::parse(&tag[start..]).ok()
}

#[cfg(test)]
#[path = "git_tests.rs"]
mod tests;
