//! Secrets by reference: where the value of a variable is kept. The value itself is in no file of
//! ours; it is read anew for each start, by the shim, and sent over the link.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Where a value is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Reference {
    /// In the desktop's secret service (Secret Service API, attributes `service` and `username`, as the Python
    /// keyring uses them), or in the keychain of macOS.
    Keyring {
        /// The service, or application.
        service: String,
        /// The account there.
        account: String,
    },
    /// In a file that only its owner can read.
    File(PathBuf),
    /// It is what a command prints; its words as a shell would split them, and no shell.
    Command(String),
}

/// A variable of the program's environment whose value is kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// Its name.
    pub name: String,
    /// Where its value is.
    pub from: Reference,
}

impl Reference {
    /// Reads it. What is wrong with it never repeats the text: it may be the secret itself.
    pub fn parse(text: &str) -> Result<Self, String> {
        const FORMS: &str = "like \"keyring:SERVICE/ACCOUNT\", \"file:/path\" or \"cmd:COMMAND\"";
        let wrong = || format!("a value is not kept; say where it is, {FORMS}");
        let (kind, rest) = text.split_once(':').ok_or_else(wrong)?;
        if rest.contains(char::is_control) {
            return Err(format!("a reference is one line, {FORMS}"));
        }
        match kind {
            "keyring" => match rest.split_once('/') {
                Some((service, account)) if !service.is_empty() && !account.is_empty() => {
                    Ok(Self::Keyring { service: service.into(), account: account.into() })
                }
                _ => Err(format!("`keyring:` names no service and account, {FORMS}")),
            },
            "file" if Path::new(rest).is_absolute() => Ok(Self::File(rest.into())),
            "file" => Err(format!("`file:` names no absolute path, {FORMS}")),
            "cmd" => match shell_words::split(rest) {
                Ok(words) if words.first().is_some_and(|program| !program.is_empty()) => Ok(Self::Command(rest.into())),
                _ => Err(format!("`cmd:` names no command, {FORMS}")),
            },
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keyring { service, account } => write!(f, "keyring:{service}/{account}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Command(text) => write!(f, "cmd:{text}"),
        }
    }
}

impl TryFrom<String> for Reference {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_as_they_are_written() {
        for text in
            ["keyring:acme/api/key", "file:/run/secrets/a b", "cmd:pass show 'a b'", "cmd:/opt/op read op://a/b"]
        {
            assert_eq!(Reference::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_none_is_not_repeated() {
        let secret = "hunter2";
        for text in [
            "",
            "{}",
            "sk-{}",
            "https://{}",
            "keyring:{}",
            "keyring:/{}",
            "keyring:{}/",
            "file:{}",
            "file:",
            "cmd:",
            "cmd:'{}",
        ] {
            let why = Reference::parse(&text.replace("{}", secret)).unwrap_err();
            assert!(!why.contains(secret) && why.contains("keyring:SERVICE/ACCOUNT"), "{text}: {why}");
        }
        assert!(Reference::parse("file:/a\nb").is_err());
    }
}
