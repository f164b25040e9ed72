//! Files of requirements (`--with-requirements`): plain requirements, one in each line. What else pip and uv read there
//! (options, other files, hashes, variables) is refused by name.

use crate::error::{Error, Result};
use crate::package::pypi::{PypiRequest, Requirement};
use crate::package::shown;
use crate::package::source::{Reference, Source};

/// Each is looked up by itself.
const MOST: usize = 256;

/// Whether uv would read a file of this name as something else than requirements (`RequirementsSource::from_requirements_file`),
/// or take it from elsewhere; says as what.
pub fn other_format(path: &str) -> Option<&'static str> {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    if path == "-" {
        Some("standard input, which is the program's")
    } else if path.contains("://") {
        Some("an address")
    } else if name.ends_with(".toml") || name.ends_with(".cfg") || name.ends_with(".lock") {
        Some("a project's own file")
    } else if name.ends_with(".py") || name.ends_with(".pyw") {
        Some("a script")
    } else {
        None
    }
}

/// Parses the text of a file. Errors name the line by its number.
pub fn parse(text: &str) -> Result<Vec<Requirement>> {
    let mut all = Vec::new();
    for (number, line) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate() {
        let line = without_comment(line).trim();
        if line.is_empty() {
            continue;
        }
        all.push(one(line).map_err(|e| e.because(format!("line {}", number + 1)))?);
        if all.len() > MOST {
            return Err(Error::refused(format!("there are more than {MOST} requirements")).hint(LESS));
        }
    }
    Ok(all)
}

const LESS: &str = "name the packages that are needed themselves; what those need is found by itself";
const PLAIN: &str = "write plain requirements, one in each line: `pkg`, `pkg==1.2.3`, `pkg[extra]>=1,<2`";

/// A `#` starts a comment at the start of a line and after a space (pip, "Requirements File Format").
fn without_comment(line: &str) -> &str {
    let mut marks = line.match_indices('#').map(|(at, _)| at);
    marks.find(|at| *at == 0 || line[..*at].ends_with(char::is_whitespace)).map_or(line, |at| &line[..at])
}

fn one(line: &str) -> Result<Requirement> {
    let refused =
        |what: String| Err(Error::refused(format!("{what} can't stand in a file of requirements here")).hint(PLAIN));
    let option = line.split_whitespace().find(|word| word.starts_with('-'));
    if let Some(option) = option {
        return refused(format!("`{}`", shown(option.split('=').next().unwrap_or(option))));
    }
    if line.ends_with('\\') {
        return refused("a `\\` at the end of a line".to_owned());
    }
    if line.contains("${") {
        return refused("a variable".to_owned());
    }
    let requirement = Requirement::parse_remote(line)?;
    match &requirement.spec.request {
        PypiRequest::Source(Source::Git(git)) if matches!(git.reference, Reference::Commit(_)) => Ok(requirement),
        PypiRequest::Source(_) => refused(format!("`{}`, which names no one commit,", shown(line))),
        _ => Ok(requirement),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_requirements() {
        let text = "\u{feff}# tools\r\nRuff\n\n  black[jupyter]>=24,<25 # why\nmcp==1.2.3 ; python_version > '3'\n\
                    a @ git+https://h.example/o/r@0123456789012345678901234567890123456789\nb @ git+https://h.example/o/r@0123456789012345678901234567890123456789#subdirectory=d\n#end";
        let all = parse(text).unwrap();
        let names: Vec<_> = all.iter().map(|one| one.spec.to_string()).collect();
        assert_eq!(names[..3], ["ruff", "black[jupyter]>=24,<25", "mcp==1.2.3"]);
        assert!(names[4].ends_with("#subdirectory=d") && all[2].marker.is_some(), "{names:?}");
        assert_eq!(parse("").unwrap(), []);
    }

    #[test]
    fn all_else_is_refused_by_its_line() {
        for (line, says) in [
            ("-r other.txt", "`-r`"),
            ("-e .", "`-e`"),
            ("--index-url https://h.example/simple", "`--index-url`"),
            ("--index-url=https://u:secret@h.example/simple", "`--index-url`"),
            ("pkg==1 --hash=sha256:00", "`--hash`"),
            ("pkg==1 \\", "at the end of a line"),
            ("pkg==${VERSION}", "a variable"),
            ("./pkg", "somewhere else on this machine"),
            ("pkg.whl", "somewhere else on this machine"),
            ("pkg @ file:///pkg.whl", "somewhere else on this machine"),
            ("https://h.example/pkg.whl", "no one commit"),
            ("git+https://h.example/o/r@main", "no one commit"),
            ("root:x:0:0:root:/root:/bin/sh", "somewhere else on this machine"),
            ("root:x:0:0", "not a requirement"),
            ("pkg; nonsense", "not a condition"),
            ("a b", "not a requirement"),
        ] {
            let error = parse(&format!("ruff\n{line}\n")).unwrap_err();
            let text = format!("{error:?}");
            assert!(text.contains(says) && text.contains("line 2") && !error.hints.is_empty(), "{line}: {text}");
            assert!(!text.contains("secret"), "{text}");
        }
        assert!(parse(&"a\n".repeat(300)).is_err());
    }

    #[test]
    fn names_of_other_formats() {
        for name in ["-", "https://h.example/r.txt", "pyproject.toml", "d/setup.cfg", "x.py", "pylock.toml", "uv.lock"]
        {
            assert!(other_format(name).is_some(), "{name}");
        }
        for name in ["requirements.txt", "d/requirements.in", "requirements", "toml"] {
            assert_eq!(other_format(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
