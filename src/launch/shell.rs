//! `bash -c "line"`: one plain command, which every shell reads in the same way. Anything that a
//! shell would act on is refused.

use std::ffi::OsString;

use super::wrapper::Variables;
use super::{dashed, text};
use crate::error::{Error, Result};
use crate::package::shown;

/// Takes the line out of `bash -c "line"` or `sh -lc "line"`.
pub(super) fn open(shell: &str, words: &[OsString], _: &mut Variables) -> Result<Vec<OsString>> {
    let form = format!("write `{shell} -c \"npx -y pkg\"`, or the line without the shell: `jitbox run -- npx -y pkg`");
    let mut rest = words;
    let mut command = false;
    while let Some((word, after)) = rest.split_first().filter(|(word, _)| dashed(word)) {
        let word = text(word)?;
        // Of the letters, only these change nothing about one plain command.
        let letters = word.strip_prefix('-').filter(|l| !l.is_empty() && l.chars().all(|c| "cleu".contains(c)));
        if word != "--login" && letters.is_none() {
            return Err(Error::refused(format!("`{shell} {}` is not understood", shown(word))).hint(form));
        }
        command |= letters.is_some_and(|letters| letters.contains('c'));
        rest = after;
    }
    match rest {
        [line] if command => plain_command(shell, text(line)?),
        [_, more, ..] if command => {
            let more = more.to_string_lossy();
            Err(Error::refused(format!("`{}` after the line is not part of it for {shell}", shown(&more))).hint(form))
        }
        _ => Err(Error::refused(format!("`{shell}` without `-c` and a line is a shell")).hint(form)),
    }
}

/// Whether every shell takes the word for itself.
pub(super) fn is_plain(word: &str) -> bool {
    !word.is_empty() && acted_on(word).is_none() && !word.contains(['\'', '"', '\\', ' ', '\t'])
}

pub(super) fn plain_command(shell: &str, line: &str) -> Result<Vec<OsString>> {
    let without = format!("write the line without {shell}, each argument as a string of its own");
    if let Some(c) = acted_on(line) {
        return Err(Error::refused(format!(
            "`{}` in the line is for {shell}, and no shell is started",
            c.escape_debug()
        ))
        .hint(format!("{without}, or put it in single quotes if it is meant as it stands")));
    }
    let words = shell_words::split(line).map_err(|_| {
        Error::usage(format!("a quote in the line after `{shell} -c` is not closed")).hint(without.clone())
    })?;
    let words = match words.split_first() {
        Some((exec, rest)) if exec == "exec" && rest.first().is_some_and(|next| !next.starts_with('-')) => {
            rest.to_vec()
        }
        _ => words,
    };
    let Some(first) = words.first() else {
        return Err(Error::refused(format!("the line after `{shell} -c` is empty")).hint(without));
    };
    if first.contains('=') {
        return Err(Error::refused("the line sets variables before its command")
            .hint(format!("set them with env: `{shell} -c \"env NAME=VALUE npx …\"`")));
    }
    Ok(words.into_iter().map(OsString::from).collect())
}

/// The first character that some shell would act on (POSIX, "Shell Command Language", "Quoting"
/// and "Token Recognition"; bash and zsh for braces and `!`).
fn acted_on(line: &str) -> Option<char> {
    let mut chars = line.chars();
    let mut start = true;
    while let Some(c) = chars.next() {
        match c {
            '\'' => while chars.next().is_some_and(|c| c != '\'') {},
            '"' => {
                while let Some(c) = chars.next().filter(|&c| c != '"') {
                    match c {
                        '$' | '`' => return Some(c),
                        '\\' => {
                            chars.next();
                        }
                        _ => {}
                    }
                }
            }
            '\\' => match chars.next() {
                Some(c) if !c.is_control() => {}
                _ => return Some(c),
            },
            ';' | '|' | '&' | '$' | '`' | '<' | '>' | '*' | '?' | '[' | ']' | '{' | '}' | '(' | ')' | '~' | '#'
            | '!' => {
                return Some(c);
            }
            // zsh looks for a command of that name.
            '=' if start => return Some(c),
            '\t' => {}
            _ if c.is_control() => return Some(c),
            _ => {}
        }
        start = c == ' ' || c == '\t';
    }
    None
}

#[cfg(test)]
#[path = "shell_tests.rs"]
mod tests;
