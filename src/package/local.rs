//! Packages on this machine: an archive or a folder that a line names by its path. Nothing is looked at here.

use super::shown;
use crate::error::{Error, Result};

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// An archive that the package manager can install.
    Archive,
    /// A folder with the package's source.
    Folder,
}

impl Sort {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Archive => "an archive",
            Self::Folder => "a folder",
        }
    }
}

/// A package's path as it was typed, which nobody has looked at: nothing can be run from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedPath {
    /// As it stands in the line.
    pub text: String,
    /// The path that it says, perhaps relative, perhaps with `~/` in front.
    pub path: String,
    /// What should be there.
    pub sort: Sort,
}

/// A package on this machine that was granted, with what it has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalPackage {
    /// Where it is, without links.
    pub path: String,
    /// What is there.
    pub sort: Sort,
    /// The SHA-256 of its files, in hexadecimal: another content is another package.
    pub content: String,
}

impl TypedPath {
    /// Reads a path or a `file:` address. `whole` is the whole spec, for the refusal.
    ///
    /// The tools read escapes, `#` and Windows' paths each in its own way; those are refused.
    pub(super) fn parse(text: &str, sort: Sort, whole: &str) -> Result<Self> {
        let refused = |why: &str| {
            Err(Error::refused(format!("`{}` names {} in a way that can't be read", shown(whole), sort.name()))
                .because(why)
                .hint("write its path: `./folder` or `/the/folder`"))
        };
        let drive = matches!(text.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
        if drive || text.contains('\\') {
            return refused("it is a path of Windows");
        }
        let path = match text.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("file:")) {
            None => text,
            Some(_) => {
                let rest = &text[5..];
                let path = rest.strip_prefix("//").unwrap_or(rest);
                // `file://host/x`, and npm's `file:/./x`.
                if (path.len() < rest.len() && !path.starts_with('/'))
                    || path.starts_with("/.")
                    || path.starts_with("/~")
                {
                    return refused("there is no path behind its `file:`");
                }
                path
            }
        };
        let strange = |c: char| c.is_control() || "%#?".contains(c);
        if path.trim() != path || path.is_empty() || path.contains(strange) {
            return refused("it has characters that stand for something else");
        }
        Ok(Self { text: text.to_owned(), path: path.to_owned(), sort })
    }
}

impl LocalPackage {
    /// The last part of its path.
    pub fn name(&self) -> &str {
        last(&self.path)
    }
}

/// The last part of a path.
pub(super) fn last(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_addresses() {
        for (text, path) in [
            ("./d", "./d"),
            ("/d e/f", "/d e/f"),
            ("~/d", "~/d"),
            ("file:d", "d"),
            ("file:../d", "../d"),
            ("file:/d", "/d"),
            ("FILE:///d", "/d"),
        ] {
            let typed = TypedPath::parse(text, Sort::Folder, text).unwrap();
            assert_eq!((typed.path.as_str(), typed.text.as_str()), (path, text));
        }
        for text in [
            "C:\\d",
            "C:d",
            ".\\d",
            "file:",
            "file://h/d",
            "file:/./d",
            "file:///~/d",
            "./a%20b",
            "./a#b",
            "./a\n",
            " /d",
        ] {
            let error = TypedPath::parse(text, Sort::Folder, text).unwrap_err();
            assert!(!error.hints.is_empty(), "{text}");
        }
    }
}
