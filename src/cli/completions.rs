//! `jitbox completions SHELL`: what the tables say, in a shell's own words. One script serves
//! jitbox and both shims. Behind the package they complete files, as for any program.

use super::reference::{Choice, Place, places};

/// Shells that there are completions for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Shell {
    /// `. <(jitbox completions bash)`
    Bash,
    /// `jitbox completions zsh >"${fpath[1]}/_jitbox"`
    Zsh,
    /// `jitbox completions fish >~/.config/fish/completions/jitbox.fish`
    Fish,
}

const BASH: &str = include_str!("completions/jitbox.bash");
const ZSH: &str = include_str!("completions/jitbox.zsh");
const FISH: &str = include_str!("completions/jitbox.fish");

/// The script for a shell.
pub fn script(shell: Shell) -> String {
    let places = places();
    match shell {
        Shell::Bash => {
            let case =
                |place: &Place| format!("        {}) words={} ;;\n", quoted(&place.words), quoted(&words(place)));
            fill(BASH, &["_|_", &alternatives(&places), "_)_", &places.iter().map(case).collect::<String>()])
        }
        Shell::Zsh => {
            let case = |place: &Place| {
                let choices: String = place.choices.iter().map(|c| format!("            {}\n", described(c))).collect();
                format!(
                    "        ({})\n            choices=(\n{choices}            )\n            ;;\n",
                    quoted(&place.words)
                )
            };
            fill(ZSH, &["_|_", &alternatives(&places), "_)_", &places.iter().map(case).collect::<String>()])
        }
        Shell::Fish => {
            let paths: Vec<_> = inner(&places).iter().map(|words| fish_quoted(words)).collect();
            let lines: String = places.iter().flat_map(|place| place.choices.iter().map(|c| fish(place, c))).collect();
            fill(FISH, &["_|_", &paths.join(" "), "_)_", &lines])
        }
    }
}

/// Puts each second word where the one before it stands in the script.
fn fill(script: &str, parts: &[&str]) -> String {
    parts.chunks_exact(2).fold(script.to_owned(), |text, part| text.replace(part[0], part[1]))
}

fn words(place: &Place) -> String {
    place.choices.iter().map(|choice| choice.word.as_str()).collect::<Vec<_>>().join(" ")
}

/// The places that are reached by one more word.
fn inner(places: &[Place]) -> Vec<&str> {
    places.iter().map(|place| place.words.as_str()).filter(|words| words.contains(' ')).collect()
}

fn alternatives(places: &[Place]) -> String {
    inner(places).into_iter().map(quoted).collect::<Vec<_>>().join(" | ")
}

/// A word for bash and zsh (POSIX, "Single-Quotes").
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A choice for zsh's `_describe`.
fn described(choice: &Choice) -> String {
    let word = choice.word.replace('\\', "\\\\").replace(':', "\\:");
    if choice.about.is_empty() { quoted(&word) } else { quoted(&format!("{word}:{}", choice.about)) }
}

fn fish_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// One line of fish's.
fn fish(place: &Place, choice: &Choice) -> String {
    let program = place.words.split(' ').next().unwrap_or_default();
    let word = match (choice.word.strip_prefix("--"), choice.word.strip_prefix('-')) {
        (Some(long), _) if !long.contains('=') => format!("-l {}", fish_quoted(long)),
        (None, Some(short)) if short.len() == 1 => format!("-s {}", fish_quoted(short)),
        (None, Some(old)) => format!("-o {}", fish_quoted(old)),
        _ => format!("-a {}", fish_quoted(&choice.word)),
    };
    let value = if choice.takes { " -r" } else { "" };
    let about = if choice.about.is_empty() { String::new() } else { format!(" -d {}", fish_quoted(&choice.about)) };
    let condition = fish_quoted(&format!("__jitbox_at {}", place.words));
    format!("complete -c {program} -n {condition} {word}{value}{about}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_of_the_tables_is_there() {
        let (bash, zsh, fish) = (script(Shell::Bash), script(Shell::Zsh), script(Shell::Fish));
        for place in places() {
            let in_bash = bash.lines().find(|line| line.trim_start().starts_with(&format!("'{}') ", place.words)));
            let in_bash: Vec<&str> = in_bash.unwrap_or_else(|| panic!("{}", place.words)).split([' ', '\'']).collect();
            let (_, in_zsh) = zsh.split_once(&format!("('{}')\n", place.words)).unwrap();
            let in_zsh = in_zsh.split(";;").next().unwrap();
            for choice in &place.choices {
                let word = &choice.word;
                assert!(in_bash.contains(&word.as_str()), "{} {word}", place.words);
                assert!(
                    [':', '\''].iter().any(|end| in_zsh.contains(&format!(" '{word}{end}"))),
                    "{} {word}",
                    place.words
                );
                assert!(fish.contains(&super::fish(&place, choice)), "{} {word}", place.words);
            }
        }
    }

    #[test]
    fn the_tables_are_all_places() {
        use crate::launch::tool::TOOLS;
        let places = places();
        for tool in TOOLS {
            let words = if tool.program.ends_with("-safe") { tool.words() } else { format!("jitbox {}", tool.words()) };
            let place = places.iter().find(|place| place.words == words).unwrap_or_else(|| panic!("{words}"));
            for (names, _) in tool.launcher.options() {
                for name in names {
                    assert!(place.choices.iter().any(|choice| choice.word == name), "{words} {name}");
                }
            }
        }
    }

    #[test]
    fn quotes_are_quoted() {
        assert_eq!(quoted("npx's"), "'npx'\\''s'");
        assert_eq!(fish_quoted("npx's \\"), "'npx\\'s \\\\'");
        let choice = Choice { word: "--a:b".to_owned(), about: "isn't: so".to_owned(), takes: true };
        assert_eq!(described(&choice), "'--a\\:b:isn'\\''t: so'");
        let place = Place { words: "jitbox x".to_owned(), choices: Vec::new() };
        assert_eq!(
            fish(&place, &choice),
            "complete -c jitbox -n '__jitbox_at jitbox x' -l 'a:b' -r -d 'isn\\'t: so'\n"
        );
    }
}
