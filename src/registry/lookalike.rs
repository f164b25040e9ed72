//! Names that look like a well-known one and are another's: a slip of the finger, or a trap that waits for one. Pure.
//!
//! A name is compared word by word, since most share their words: `mcp-server-git` and `mcp-server-gist` are two
//! packages, `mcp-server-gitt` and `mcp-sever-git` are none that anybody means.

use super::known::names;
use crate::package::Ecosystem;

/// The letters that the longer of two words needs for one of them to be wrong, and for two.
const ONE: usize = 6;
const TWO: usize = 10;

/// The well-known names that a scope needs for each of them to be known without it.
const MANY: usize = 3;

/// The letters that a name needs, apart from what divides it, to be known without its divisions or scope.
const LONG: usize = 10;

/// The well-known package that `name` looks like. `None` for itself, and for a name that is only near.
pub fn of(ecosystem: Ecosystem, name: &str) -> Option<&'static str> {
    if names(ecosystem).any(|known| known == name) {
        return None;
    }
    let scope = scope(name);
    // Who has a scope has all the names in it.
    if scope.is_some() && names(ecosystem).any(|known| self::scope(known) == scope) {
        return None;
    }
    let is_near = |known: &&str| is_like(name, known) || is_without_scope(ecosystem, name, known);
    names(ecosystem).filter(is_near).min_by_key(|known| strsim::osa_distance(name, known))
}

fn scope(name: &str) -> Option<&str> {
    Some(name.strip_prefix('@')?.split_once('/')?.0)
}

/// What is behind the scope.
fn bare(name: &str) -> &str {
    name.split_once('/').map_or(name, |(_, bare)| bare)
}

fn is_like(name: &str, known: &str) -> bool {
    let (letters, wanted) = (letters(name), letters(known));
    if letters == wanted && wanted.len() >= LONG {
        return true;
    }
    match (scope(name), scope(known)) {
        (Some(scope), Some(meant)) => words_are_like(scope, meant),
        (None, None) => words_are_like(name, known),
        _ => false,
    }
}

/// Whether a scope with many well-known names was forgotten: what else is called `server-filesystem` is somebody's trap,
/// where `airtable-mcp-server` is just another one.
fn is_without_scope(ecosystem: Ecosystem, name: &str, known: &str) -> bool {
    let is_same = scope(known).is_some() && name == bare(known) && letters(name).len() >= LONG && name.contains('-');
    is_same && names(ecosystem).filter(|other| scope(other) == scope(known)).count() >= MANY
}

fn letters(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn words(name: &str) -> Vec<&str> {
    name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect()
}

/// Whether all words but one are the same, and that one has a slip in it.
fn words_are_like(name: &str, known: &str) -> bool {
    let (words, wanted) = (words(name), words(known));
    if words.len() != wanted.len() {
        return false;
    }
    let others: Vec<_> = words.into_iter().zip(wanted).filter(|(word, wanted)| word != wanted).collect();
    matches!(others[..], [(word, wanted)] if is_slip(word, wanted))
}

/// Letters that are missing, too many, wrong or in each other's place. In a short word only one that was typed twice,
/// or two that changed places: other words are as near as that.
fn is_slip(word: &str, wanted: &str) -> bool {
    let longer = word.len().max(wanted.len());
    match strsim::osa_distance(word, wanted) {
        1 if longer >= ONE => true,
        1 => once(word) == once(wanted) || is_swapped(word, wanted),
        2 => longer >= TWO,
        _ => false,
    }
}

/// The word without its letters' repetitions.
fn once(word: &str) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    letters.dedup();
    letters.into_iter().collect()
}

fn is_swapped(word: &str, wanted: &str) -> bool {
    let sorted = |word: &str| {
        let mut letters: Vec<char> = word.chars().collect();
        letters.sort_unstable();
        letters
    };
    sorted(word) == sorted(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_and_traps() {
        for (name, like) in [
            ("modelcontextprotocol-server-filesystem", "@modelcontextprotocol/server-filesystem"),
            ("@modelcontextprotocal/server-filesystem", "@modelcontextprotocol/server-filesystem"),
            ("@modelcontextprotocl/server-memory", "@modelcontextprotocol/"),
            ("server-sequential-thinking", "@modelcontextprotocol/server-sequential-thinking"),
            ("@playwrigth/mcp", "@playwright/mcp"),
            ("firecrawlmcp", "firecrawl-mcp"),
            ("mcp-remotee", "mcp-remote"),
            ("prettierr", "prettier"),
            ("viet", "vite"),
        ] {
            let found = of(Ecosystem::Npm, name);
            assert!(found.is_some_and(|found| found.starts_with(like)), "{name}: {found:?}");
        }
        for (name, like) in [
            ("mcp-server-fetchh", "mcp-server-fetch"),
            ("mcp-sever-git", "mcp-server-git"),
            ("mcp-server-gitt", "mcp-server-git"),
            ("mcp-server-tiem", "mcp-server-time"),
            ("mcpserver-fetch", "mcp-server-fetch"),
            ("mcp-atlasian", "mcp-atlassian"),
        ] {
            assert_eq!(of(Ecosystem::Pypi, name), Some(like), "{name}");
        }
    }

    #[test]
    fn names_of_their_own() {
        for name in [
            "@modelcontextprotocol/server-filesytem",
            "@someone/server-filesystem",
            "@someone/mcp-remote",
            "mcp-server-gist",
            "mcp",
            "tsc",
            "airtable-mcp-server",
            "my-own-thing",
        ] {
            assert_eq!(of(Ecosystem::Npm, name), None, "{name}");
        }
        for name in ["mssql-mcp-server", "mcp-server-tidb", "mcp-server-git2", "mcp-server-fetcher", "blac"] {
            assert_eq!(of(Ecosystem::Pypi, name), None, "{name}");
        }
    }

    #[test]
    fn no_well_known_name_looks_like_another() {
        for ecosystem in [Ecosystem::Npm, Ecosystem::Pypi] {
            assert!(names(ecosystem).count() > 50);
            for name in names(ecosystem) {
                assert_eq!(of(ecosystem, name), None);
                let others: Vec<_> = names(ecosystem).filter(|known| *known != name && is_like(name, known)).collect();
                let scoped = |other: &&&str| scope(name).is_some() && scope(name) == scope(other);
                assert!(others.iter().all(|other| scoped(&other)), "{name}: {others:?}");
            }
        }
    }
}
