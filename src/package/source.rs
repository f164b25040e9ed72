//! Packages outside of registries: a commit of a git repository, an archive at a URL, or what is on this machine. Here
//! is what both ecosystems share; how a line spells them is each one's own.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

use super::local::{LocalPackage, TypedPath, last};
use super::{Ecosystem, shown};
use crate::error::{Error, Result};

/// Where a package is that no registry has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In a git repository.
    Git(GitSource),
    /// In an archive at this http or https address, which has no login in it.
    Archive(Url),
    /// At this path of this machine, where nobody has looked yet.
    Typed(TypedPath),
    /// On this machine.
    Local(LocalPackage),
}

/// A place in a git repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitSource {
    /// The repository's http or https address, which has no login in it.
    pub repository: Url,
    /// Which commit.
    pub reference: Reference,
    /// The folder of the package in it; never leads out of it.
    pub subdirectory: Option<String>,
}

/// Which commit of a repository is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// That of the default branch.
    Head,
    /// That of a branch or a tag.
    Name(String),
    /// Itself.
    Commit(Commit),
    /// That of the highest tag in a range of versions (npm's `semver:`).
    Range(String),
}

/// The full name of a commit. It can't be a branch, and not the beginning of a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Commit(String);

impl Commit {
    /// Takes all 40 hexadecimal digits and nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())).then(|| Self(text.to_ascii_lowercase()))
    }

    /// The 40 digits, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Commit {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| "not a whole commit".to_owned())
    }
}

impl From<Commit> for String {
    fn from(commit: Commit) -> Self {
        commit.0
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A source of which only one content is possible.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PinnedSource {
    /// One commit.
    Git {
        /// The repository's address.
        repository: Url,
        /// The commit.
        commit: Commit,
        /// The folder of the package in it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subdirectory: Option<String>,
    },
    /// One archive.
    Archive {
        /// Where it was.
        url: Url,
        /// What was there: `sha512-BASE64` as npm writes it, or `sha256:HEX` as pip does.
        hash: String,
    },
}

impl PinnedSource {
    /// As the ecosystem's package manager would write it.
    pub(super) fn text(&self, ecosystem: Ecosystem) -> String {
        match (self, ecosystem) {
            (Self::Git { repository, commit, subdirectory }, Ecosystem::Npm) => {
                let path = subdirectory.as_deref().map(|dir| format!("::path:{dir}")).unwrap_or_default();
                format!("git+{repository}#{commit}{path}")
            }
            (Self::Git { repository, commit, subdirectory }, Ecosystem::Pypi) => {
                let path = subdirectory.as_deref().map(|dir| format!("#subdirectory={dir}")).unwrap_or_default();
                format!("git+{repository}@{commit}{path}")
            }
            (Self::Archive { url, .. }, Ecosystem::Npm) => url.to_string(),
            (Self::Archive { url, hash }, Ecosystem::Pypi) => format!("{url}#{}", hash.replacen(':', "=", 1)),
        }
    }
}

impl Source {
    /// The repository's or the archive's address; none of what is on this machine.
    pub fn address(&self) -> Option<&Url> {
        match self {
            Self::Git(git) => Some(&git.repository),
            Self::Archive(url) => Some(url),
            Self::Typed(_) | Self::Local(_) => None,
        }
    }

    /// What people would call it while its own name is not known: the repository's or file's name.
    pub fn label(&self) -> &str {
        let last = match self {
            Self::Git(git) => last(git.repository.path()),
            Self::Archive(url) => last(url.path()),
            Self::Typed(typed) => last(&typed.path),
            Self::Local(local) => local.name(),
        };
        let label = last.strip_suffix(".git").unwrap_or(last);
        if label.is_empty() { "package" } else { label }
    }

    /// As npm would write it.
    pub(super) fn npm_text(&self) -> String {
        match self {
            Self::Archive(url) => url.to_string(),
            Self::Typed(typed) => typed.text.clone(),
            Self::Local(local) => local.path.clone(),
            Self::Git(git) => {
                let reference = match &git.reference {
                    Reference::Head => None,
                    Reference::Name(name) => Some(name.clone()),
                    Reference::Commit(commit) => Some(commit.to_string()),
                    Reference::Range(range) => Some(format!("semver:{range}")),
                };
                let path = git.subdirectory.as_deref().map(|dir| format!("path:{dir}"));
                let parts: Vec<String> = reference.into_iter().chain(path).collect();
                let mark = if parts.is_empty() { "" } else { "#" };
                format!("git+{}{mark}{}", git.repository, parts.join("::"))
            }
        }
    }

    /// As uv would write it.
    pub(super) fn pypi_text(&self) -> String {
        let Self::Git(git) = self else { return self.npm_text() };
        let path = git.subdirectory.as_deref().map(|dir| format!("#subdirectory={dir}")).unwrap_or_default();
        match &git.reference {
            Reference::Name(name) => format!("git+{}@{name}{path}", git.repository),
            Reference::Commit(commit) => format!("git+{}@{commit}{path}", git.repository),
            Reference::Head | Reference::Range(_) => format!("git+{}{path}", git.repository),
        }
    }
}

/// Reads an address that we can fetch from. `text` is what the line says, for the refusal.
pub(super) fn web_address(address: &str, text: &str) -> Result<Url> {
    let bad = |why: &str| Error::usage(format!("`{}` is not an address", shown(text))).because(why);
    let hint = "write it as https://host/path";
    let url = Url::parse(address).map_err(|e| bad(&e.to_string()).hint(hint))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(bad("it is neither http nor https").hint(hint));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::refused(format!("`{}` has a login in it", shown(text)))
            .because("it would be kept with the box")
            .hint("put the login into ~/.netrc, and leave it out of the address"));
    }
    if !is_as_typed(address, &url) {
        return Err(bad("its host is not written as it is read").hint(format!("write it as {url}")));
    }
    // The line's own text is shown to people and kept.
    if text.chars().any(char::is_control) {
        return Err(bad("it has control characters in it").hint(hint));
    }
    Ok(url)
}

/// Whether the host stands in the text as it is. The tools that read addresses disagree about `https:///host`, `\\` and
/// hosts in other spellings, and by the host npm tells a repository from an archive.
fn is_as_typed(address: &str, url: &Url) -> bool {
    let authority = address.split_once("://").map(|(_, rest)| rest.split(['/', '\\', '?', '#']).next().unwrap_or(rest));
    let typed = authority.unwrap_or_default().to_ascii_lowercase();
    let (host, port) = match typed.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
        Some((host, port)) => (host, Some(port)),
        None => (typed.as_str(), None),
    };
    let same_port =
        port.is_none_or(|port| url.port_or_known_default().map(|known| known.to_string()).as_deref() == Some(port));
    url.host_str() == Some(host) && same_port && !address.contains('\\')
}

/// A repository's address: also without a query, which git has no use for.
pub(super) fn repository(address: &str, text: &str) -> Result<Url> {
    let mut url = web_address(address, text)?;
    url.set_fragment(None);
    if url.query().is_some() || matches!(url.path(), "" | "/") {
        return Err(Error::usage(format!("`{}` does not name a git repository", shown(text)))
            .hint("write it as git+https://host/owner/repository"));
    }
    Ok(url)
}

/// A branch, a tag or a whole commit. `None` for nothing and for what git allows in no name
/// (git-check-ref-format(1)).
pub(super) fn reference(text: &str) -> Option<Reference> {
    if let Some(commit) = Commit::parse(text) {
        return Some(Reference::Commit(commit));
    }
    let forbidden = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[]\\@#%&".contains(c);
    let named = !text.is_empty() && !text.starts_with(['-', '/']) && !text.contains("..") && !text.contains(forbidden);
    named.then(|| Reference::Name(text.to_owned()))
}

/// A folder in a repository, without `.` and `..`.
pub(super) fn subdirectory(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let plain = |part: &&str| {
        *part != ".." && part.chars().all(|c| c.is_alphanumeric() || "._-+ ".contains(c)) && part.trim() == *part
    };
    (!parts.is_empty() && parts.iter().all(plain)).then(|| parts.join("/"))
}

/// The refusal of a repository on this machine.
pub(super) fn refuse_git_file(text: &str) -> Error {
    Error::refused(format!("`{}` is a git repository on this machine", shown(text)))
        .because("only repositories at http and https addresses can be read")
        .hint("name the folder itself: `./folder`")
}

/// The refusal of a repository that only ssh reaches.
pub(super) fn refuse_ssh(text: &str) -> Error {
    Error::refused(format!("`{}` is reached by ssh, whose keys no box is given", shown(text)))
        .hint("write git+https://host/owner/repository, with the login in ~/.netrc if it needs one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_whole() {
        let whole = "0123456789ABCDEF0123456789abcdef01234567";
        assert_eq!(Commit::parse(whole).unwrap().as_str(), whole.to_lowercase());
        for text in ["", "main", &whole[1..], "g123456789abcdef0123456789abcdef01234567"] {
            assert_eq!(Commit::parse(text), None, "{text}");
            let json = serde_json::to_string(text).unwrap();
            assert!(serde_json::from_str::<Commit>(&json).is_err(), "{text} from a record");
        }
    }

    #[test]
    fn hosts_are_written_as_they_are_read() {
        for address in
            ["https://h.example/x", "https://H.Example:443/x", "http://[::1]:8000/x", "https://127.0.0.1:8443"]
        {
            web_address(address, address).unwrap();
        }
        for address in [
            "https:///h.example/x",
            "https:/h.example/x",
            "https://h%2eexample/x",
            "https://h.example\\x",
            "http://127.1/x",
        ] {
            assert!(web_address(address, address).is_err(), "{address}");
        }
    }

    #[test]
    fn names_and_folders_stay_what_they_are() {
        assert_eq!(reference("feature/x-1.2"), Some(Reference::Name("feature/x-1.2".into())));
        for text in ["", "-x", "a b", "a..b", "a~1", "a^", "HEAD@{1}", "x:y", "a\u{1b}"] {
            assert_eq!(reference(text), None, "{text}");
        }
        assert_eq!(subdirectory("./servers/web-fetch/").as_deref(), Some("servers/web-fetch"));
        for text in ["", ".", "..", "a/../..", "a&b", "a\nb"] {
            assert_eq!(subdirectory(text), None, "{text}");
        }
    }
}
