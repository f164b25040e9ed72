//! Names that people mean: for "did you mean", and for names that look like them ([`super::lookalike`]).

use crate::package::Ecosystem;

/// Nearer than this (Jaro-Winkler) a name counts as mistyped.
const NEAR: f64 = 0.9;

const NAMES: &str = include_str!("known.txt");

/// The names that are known.
pub fn names(ecosystem: Ecosystem) -> impl Iterator<Item = &'static str> {
    let mark = match ecosystem {
        Ecosystem::Npm => "npm ",
        Ecosystem::Pypi => "pypi ",
    };
    NAMES.lines().filter_map(move |line| line.strip_prefix(mark))
}

/// What to say about a package that does not exist.
pub fn hints(ecosystem: Ecosystem, name: &str) -> Vec<String> {
    let mut hints = Vec::new();
    if let Some(meant) = nearest(ecosystem, name) {
        hints.push(format!("did you mean {meant}?"));
    }
    let (other, shim, place) = match ecosystem {
        Ecosystem::Npm => (Ecosystem::Pypi, "uvx-safe", "PyPI"),
        Ecosystem::Pypi => (Ecosystem::Npm, "npx-safe", "npm"),
    };
    if names(other).any(|known| known == name) {
        hints.push(format!("{name} is on {place}: {shim} {name}"));
    }
    hints
}

/// The popular name that looks most like `name`, if one is near.
pub fn nearest(ecosystem: Ecosystem, name: &str) -> Option<&'static str> {
    // A forgotten scope is the commonest slip of all.
    let scoped = |known: &&str| known.rsplit_once('/').is_some_and(|(_, bare)| bare == name);
    if let Some(known) = names(ecosystem).find(scoped) {
        return Some(known);
    }
    names(ecosystem)
        .filter(|known| *known != name)
        .map(|known| (strsim::jaro_winkler(known, name), known))
        .filter(|(score, known)| *score >= NEAR && strsim::osa_distance(known, name) <= 3)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised() {
        let npm = |name| nearest(Ecosystem::Npm, name);
        assert_eq!(npm("@modelcontextprotocol/server-filesytem"), Some("@modelcontextprotocol/server-filesystem"));
        assert_eq!(npm("server-everything"), Some("@modelcontextprotocol/server-everything"));
        assert_eq!(npm("pretier"), Some("prettier"));
        assert_eq!(npm("zzz-something-else"), None);
        assert_eq!(nearest(Ecosystem::Pypi, "mcp-sever-time"), Some("mcp-server-time"));
    }

    #[test]
    fn the_wrong_registry_is_named() {
        let hints = hints(Ecosystem::Npm, "mcp-server-time");
        assert_eq!(hints, ["mcp-server-time is on PyPI: uvx-safe mcp-server-time"]);
    }
}
