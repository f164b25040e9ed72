//! `jitbox man`: the manual page, from the tables that parse the lines.

use std::collections::BTreeMap;

use super::reference::meaning;
use crate::launch::option::Effect;
use crate::launch::tool::TOOLS;
use crate::launch::wrapper::WRAPPERS;
use crate::launch::{Launcher, tighten};

/// The page, in man(7)'s language.
pub fn page() -> String {
    let mut page = Page(String::new());
    page.0.push_str(&format!(".TH JITBOX 1 \"\" \"jitbox {}\"\n", env!("CARGO_PKG_VERSION")));
    page.section("NAME");
    page.text("jitbox, npx-safe, uvx-safe - run npm and PyPI packages in hardened containers");
    page.section("SYNOPSIS");
    for line in [
        "npx-safe [OPTIONS] PACKAGE [ARGUMENTS]",
        "uvx-safe [OPTIONS] PACKAGE [ARGUMENTS]",
        "jitbox COMMAND",
        "jitbox LAUNCHER LINE",
    ] {
        page.text(line);
        page.0.push_str(".br\n");
    }
    page.section("DESCRIPTION");
    page.text(
        "The shims take the line that npx and uvx would take and run its package in a container that is built just in \
         time, hardened, and gone when the program ends. A line that is not understood exactly is refused.",
    );
    page.section("COMMANDS");
    for (words, command) in super::commands() {
        let text = command.get_about().map(ToString::to_string).unwrap_or_default();
        page.entry(&words, &text);
        for argument in command.get_arguments() {
            if let Some(long) = argument.get_long() {
                let text = argument.get_help().map(ToString::to_string).unwrap_or_default();
                page.entry(&format!("{words} --{long}"), &text);
            }
        }
    }
    page.section("OPTIONS OF JITBOX ON A LINE");
    for (word, about) in tighten::OPTIONS {
        page.entry(word, about);
    }
    page.section("LAUNCHERS");
    for (launcher, words) in launchers() {
        page.0.push_str(&format!(".SS {}\n", escaped(&words)));
        options(&mut page, launcher);
    }
    page.section("WHOLE LINES");
    page.text("After jitbox run --, these may stand around a line. None of them is started.");
    for wrapper in WRAPPERS {
        page.entry(wrapper.form, &format!("Also: {}.", wrapper.programs.join(", ")));
    }
    page.section("EXIT STATUS");
    page.text("The program's own; 128 and the signal's number if one ended it.");
    page.entry("125", "jitbox failed: no engine, no network, or the like");
    page.entry("126", "the line was refused");
    page.entry("127", "there is no such package, version or command");
    page.section("FILES");
    page.entry("~/.config/jitbox/config.toml", "settings, all of them optional");
    page.entry("~/.config/jitbox/grants.json", "what packages are allowed: jitbox allow, deny and grants");
    page.0
}

/// Each grammar once, with all the words that it is typed as.
fn launchers() -> Vec<(Launcher, String)> {
    let mut all: Vec<(Launcher, String)> = Vec::new();
    for tool in TOOLS {
        match all.iter_mut().find(|(launcher, _)| *launcher == tool.launcher) {
            Some((_, words)) => *words = format!("{words}, {}", tool.words()),
            None => all.push((tool.launcher, tool.words())),
        }
    }
    all
}

/// The options with a meaning and the refused ones each, the harmless ones together.
fn options(page: &mut Page, launcher: Launcher) {
    let mut same: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut order = Vec::new();
    for (names, row) in launcher.options() {
        let text = match row.effect {
            Effect::Refused(r) | Effect::RefusedOn(r) | Effect::RefusedOff(r) => {
                format!("{}; {}", meaning(row), r.hint)
            }
            _ => meaning(row),
        };
        let all = same.entry(text.clone()).or_default();
        if all.is_empty() {
            order.push(text);
        }
        all.extend(names.into_iter().map(str::to_owned));
    }
    for text in order {
        page.entry(&same[&text].join(", "), &text);
    }
}

struct Page(String);

impl Page {
    fn section(&mut self, name: &str) {
        self.0.push_str(&format!(".SH {}\n", escaped(name)));
    }

    fn text(&mut self, text: &str) {
        self.0.push_str(&escaped(text));
        self.0.push('\n');
    }

    fn entry(&mut self, what: &str, about: &str) {
        self.0.push_str(&format!(".TP\n\\fB{}\\fR\n", escaped(what)));
        self.text(if about.is_empty() { "see above" } else { about });
    }
}

/// Text that troff takes as it stands (groff(7), "Escape sequences"): dashes that can be copied,
/// and no request or escape by accident.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '…' => out.push_str("..."),
            '\n' => out.push(' '),
            _ => out.push(c),
        }
    }
    if out.starts_with(['.', '\'']) { format!("\\&{out}") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_of_the_tables_is_there() {
        let page = page();
        for tool in TOOLS {
            let (_, part) = page.split_once(&format!(".SS {}", escaped(&launchers_words(tool.launcher)))).unwrap();
            let part = part.split("\n.S").next().unwrap();
            for (names, _) in tool.launcher.options() {
                for name in names {
                    let name = escaped(name);
                    let whole = |at: usize| {
                        part[at + name.len()..].starts_with([',', '\\']) && !part[at + name.len()..].starts_with("\\-")
                    };
                    let found = part.match_indices(&name).any(|(at, _)| whole(at) && part[..at].ends_with([' ', 'B']));
                    assert!(found, "{} {name}", tool.words());
                }
            }
        }
        for (word, _) in tighten::OPTIONS {
            assert!(page.contains(&escaped(word)), "{word}");
        }
        for command in super::super::command().get_subcommands() {
            assert!(page.contains(&format!("jitbox {}", command.get_name())));
        }
    }

    fn launchers_words(launcher: Launcher) -> String {
        launchers().into_iter().find(|(l, _)| *l == launcher).unwrap().1
    }

    #[test]
    fn nothing_is_a_request_by_accident() {
        assert_eq!(escaped(".so x"), "\\&.so x");
        assert_eq!(escaped("'x"), "\\&'x");
        assert_eq!(escaped("a\\b --c"), "a\\eb \\-\\-c");
        for line in page().lines() {
            let request = [".TH ", ".SH ", ".SS ", ".TP", ".br"].iter().any(|r| line.starts_with(r));
            assert!(request || !line.starts_with(['.', '\'']), "{line}");
        }
    }
}
