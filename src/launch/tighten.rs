//! Our own options on a launch line. A line comes from a client's configuration, often one
//! that somebody else wrote, so it may take rights away and never give any.

use super::Tighten;
use crate::error::{Error, Result};
use crate::package::shown;
use crate::policy::level::Level;

/// Each of them as it is typed, and what it does.
pub const OPTIONS: &[(&str, &str)] = &[
    ("--safe-plan", "print every step and run nothing"),
    ("--safe-net=none", "no network, whatever the settings say"),
    ("--safe-ro", "no mount is writable"),
    ("--safe-env=NAME", "pass no variable but this one (repeatable)"),
    ("--safe-level=strict", "take away everything that was not granted"),
    ("--safe-level=standard", "the default, where the settings say relaxed"),
];

/// So many variables that looking through them still takes no time.
const MOST: usize = 1000;
const ALL: &str =
    "`--safe-plan`, `--safe-ro`, `--safe-net=none`, `--safe-env=NAME` and `--safe-level=strict` (or `standard`)";

impl Tighten {
    /// Takes `word` if it is one of our options; an option of ours that does not exist or
    /// that would not tighten is an error.
    pub(super) fn take(&mut self, word: &str) -> Result<bool> {
        if !word.starts_with("--safe-") && word != "--safe" {
            return Ok(false);
        }
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        match (name, value) {
            ("--safe-plan", None) => self.plan = true,
            ("--safe-ro", None) => self.read_only = true,
            ("--safe-net", Some("none")) => self.no_network = true,
            ("--safe-level", Some("strict")) => self.level = Some(Level::Strict),
            // Next to a stricter one it says nothing.
            ("--safe-level", Some("standard")) => self.level = self.level.max(Some(Level::Standard)),
            ("--safe-env", Some(name)) if is_variable(name) => {
                let names = self.env.get_or_insert_default();
                if names.len() == MOST {
                    return Err(Error::usage(format!("`--safe-env` names more than {MOST} variables"))
                        .hint("name only those that the program needs"));
                }
                if !names.iter().any(|n| n == name) {
                    names.push(name.to_owned());
                }
            }
            // What was typed may be `NAME=secret`.
            ("--safe-env", _) => {
                return Err(Error::usage("`--safe-env` takes the name of one variable, without a value")
                    .hint("write `--safe-env=NAME`, once for each; the value comes from the environment"));
            }
            ("--safe-net", _) => {
                return Err(
                    widening(name).hint("write `--safe-net=none`, or let a package reach more with `jitbox allow`")
                );
            }
            ("--safe-level", _) => {
                return Err(
                    widening(name).hint("write `--safe-level=strict`, or set another level in your configuration")
                );
            }
            ("--safe-plan" | "--safe-ro", Some(_)) => {
                return Err(
                    Error::usage(format!("`{name}` takes no value")).hint(format!("write `{name}`, or leave it out"))
                );
            }
            _ => {
                return Err(
                    Error::usage(format!("there is no option `{}`", shown(name))).hint(format!("ours are {ALL}"))
                );
            }
        }
        Ok(true)
    }
}

fn widening(name: &str) -> Error {
    Error::refused(format!("`{name}` on a line may only take rights away"))
}

/// A name that a shell would take (POSIX, "Name").
pub(crate) fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn they_only_tighten() {
        let mut all = Tighten::default();
        for word in [
            "--safe-plan",
            "--safe-ro",
            "--safe-net=none",
            "--safe-env=A",
            "--safe-env=B_1",
            "--safe-env=A",
            "--safe-level=strict",
            "--safe-level=standard",
        ] {
            assert_eq!(all.take(word), Ok(true), "{word}");
        }
        assert!(all.plan && all.read_only && all.no_network);
        assert_eq!(all.level, Some(Level::Strict));
        assert_eq!(all.env.as_deref(), Some(["A".to_owned(), "B_1".to_owned()].as_slice()));
        assert_eq!(all.take("--port"), Ok(false));
        assert_eq!(all.take("-y"), Ok(false));
    }

    #[test]
    fn everything_else_is_an_error() {
        let mut none = Tighten::default();
        for (word, kind) in [
            ("--safe-net=open", Kind::Refused),
            ("--safe-net=public", Kind::Refused),
            ("--safe-net", Kind::Refused),
            ("--safe-level=relaxed", Kind::Refused),
            ("--safe-level=none", Kind::Refused),
            ("--safe-ro=false", Kind::Usage),
            ("--safe-plan=1", Kind::Usage),
            ("--safe-env", Kind::Usage),
            ("--safe-env=", Kind::Usage),
            ("--safe-env=A=secret", Kind::Usage),
            ("--safe-env=A,B", Kind::Usage),
            ("--safe-mount=/", Kind::Usage),
            ("--safe-", Kind::Usage),
            ("--safe", Kind::Usage),
        ] {
            let error = none.take(word).unwrap_err();
            assert_eq!(error.kind, kind, "{word}");
            assert!(!error.hints.is_empty());
            assert!(!format!("{error}").contains("secret"));
        }
        assert_eq!(none, Tighten::default());
    }
}
