//! How commands name whom a grant is for.

use std::path::Path;

use super::grant::{SCRIPTS, YOUNG};

/// The longest line that is shown in a command.
const MAX_LINE: usize = 500;

/// How commands name whom a grant is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// Packages, and the options that say where they are from.
    pub packages: Vec<String>,
    /// The exact line in their place.
    pub line: Option<String>,
}

impl Named {
    /// The command that allows one thing; none if nobody can be named.
    pub fn command(&self, option: &str, value: &Path) -> Option<String> {
        self.spelled(&[option, typed(value)?])
    }

    /// The command that allows releases of every age.
    pub fn young(&self) -> Option<String> {
        self.spelled(&[YOUNG])
    }

    /// The command that allows a package's install scripts, or (`deny`) takes that back.
    pub fn scripts(&self, name: &str, verb: &str) -> Option<String> {
        Some(self.spelled(&[SCRIPTS, name])?.replacen("allow", verb, 1))
    }

    /// The command with each of these options, of which one is to be typed: `jitbox allow npm:a --read DIR or --net open`.
    /// What can't be typed is left out.
    pub fn one_of(&self, options: &[(&str, &Path)]) -> Option<String> {
        let typed = options.iter().filter_map(|(option, value)| Some(shell_words::join([option, typed(value)?])));
        let typed: Vec<String> = typed.collect();
        if typed.is_empty() { None } else { self.around(&listed(&typed, "or")) }
    }

    fn spelled(&self, options: &[&str]) -> Option<String> {
        self.around(&shell_words::join(options))
    }

    fn around(&self, options: &str) -> Option<String> {
        let words = ["jitbox", "allow"].into_iter().chain(self.packages.iter().map(String::as_str));
        let text = format!("{} {options}", shell_words::join(words));
        match &self.line {
            // A whole script, perhaps: nobody would type it, and nobody wants to read it.
            Some(line) if line.len() > MAX_LINE || line.contains(char::is_control) => Some(format!("{text} -- LINE")),
            Some(line) => Some(format!("{text} -- {line}")),
            None if self.packages.is_empty() => None,
            None => Some(text),
        }
    }

    /// The same behind a reason.
    pub fn allow(&self, option: &str, value: &Path) -> String {
        self.command(option, value).map_or_else(String::new, |command| format!(" (to allow it: {command})"))
    }
}

/// A path as it is typed: one that is not UTF-8 can't be kept in the file of grants, and one that a terminal would obey
/// is nothing to be shown.
fn typed(path: &Path) -> Option<&str> {
    path.to_str().filter(|text| !text.contains(char::is_control))
}

/// `a, b or c`.
pub fn listed(items: &[String], last: &str) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [all @ .., end] => format!("{} {last} {end}", all.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_several_options() {
        let of = |packages: &[&str], line: Option<&str>, options: &[(&str, &str)]| {
            let packages = packages.iter().map(|name| (*name).to_owned()).collect();
            let options: Vec<_> = options.iter().map(|(option, value)| (*option, Path::new(*value))).collect();
            Named { packages, line: line.map(str::to_owned) }.one_of(&options)
        };
        let all = [("--read", "DIR"), ("--write", "/a b"), ("--net", "open")];
        for (packages, line, options, want) in [
            (&["npm:a"][..], None, &all[2..], Some("jitbox allow npm:a --net open")),
            (&["npm:a"], None, &all[1..], Some("jitbox allow npm:a --write '/a b' or --net open")),
            (
                &["npm:a", "npm:b"],
                None,
                &all,
                Some("jitbox allow npm:a npm:b --read DIR, --write '/a b' or --net open"),
            ),
            (&[], Some("npx-safe -p a node b"), &all[..1], Some("jitbox allow --read DIR -- npx-safe -p a node b")),
            (&["npm:a"], None, &[("--write", "/a\x1b"), all[2]], Some("jitbox allow npm:a --net open")),
            (&["npm:a"], None, &[("--write", "/a\x1b")], None),
            (&[], None, &all, None),
        ] {
            assert_eq!(of(packages, line, options).as_deref(), want, "{packages:?} {options:?}");
        }
    }
}
