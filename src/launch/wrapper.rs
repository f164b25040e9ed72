//! What stands around a launcher's line in the configurations of clients: `cmd /c`, `bash -c`,
//! `env`, `mise exec`, and the launcher's path. None of these programs is ever started: a line is
//! taken out of them if they would not change it, and else refused.

use std::ffi::{OsStr, OsString};

use super::tighten::is_variable;
use super::{Launcher, Request, dashed, shell, text, tool};
use crate::error::{Error, Result};
use crate::package::shown;

/// A program that starts the line that follows it.
#[derive(Debug, Clone, Copy)]
pub struct Wrapper {
    /// Its names.
    pub programs: &'static [&'static str],
    /// The one form that is understood.
    pub form: &'static str,
    open: fn(&str, &[OsString], &mut Variables) -> Result<Vec<OsString>>,
}

/// Variables that a line sets.
pub(super) type Variables = Vec<(String, String)>;

/// All of them.
pub const WRAPPERS: &[Wrapper] = &[
    Wrapper { programs: &["bash", "sh", "zsh", "dash"], form: "bash -c \"npx …\"", open: shell::open },
    Wrapper { programs: &["env"], form: "env NAME=VALUE npx …", open: env },
    Wrapper { programs: &["cmd"], form: "cmd /c npx …", open: cmd },
    Wrapper { programs: &["mise"], form: "mise exec -- npx …", open: mise },
    Wrapper {
        programs: &["asdf", "fnm"],
        form: "asdf exec npx …",
        open: |program, words, _| after(program, "exec", words),
    },
    Wrapper { programs: &["volta"], form: "volta run npx …", open: |program, words, _| after(program, "run", words) },
    Wrapper { programs: &["corepack"], form: "corepack pnpm dlx …", open: corepack },
    Wrapper { programs: &["wsl"], form: "wsl npx …", open: wsl },
];

/// More of them inside of each other than anybody means.
const DEEPEST: usize = 4;

/// Variables that say how jitbox and the engine work, or where the settings are. They would count
/// for us and not for the package.
const STEERING: &[&str] = &["HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK"];
const STEERING_PREFIXES: &[&str] =
    &["JITBOX_", "XDG_", "LD_", "DYLD_", "DOCKER_", "CONTAINER", "PODMAN_", "NERDCTL_", "BUILDKIT_"];

/// Reads a whole line, from its program on.
pub(super) fn read(line: &[OsString]) -> Result<(Launcher, Request)> {
    let mut variables = Variables::new();
    let mut words = match line.split_first() {
        Some((first, rest)) => pulled_apart(text(first)?, rest)?.unwrap_or_else(|| line.to_vec()),
        None => Vec::new(),
    };
    for _ in 0..=DEEPEST {
        let Some((first, rest)) = words.split_first() else {
            return Err(Error::usage("there is no line to run").hint("write it after `--`: `jitbox run -- npx -y pkg`"));
        };
        let program = program(first)?;
        let Some(wrapper) = WRAPPERS.iter().find(|wrapper| wrapper.programs.contains(&program.as_str())) else {
            let (launcher, mut request) = tool::read(&program, rest)?;
            match &mut request {
                Request::Run(launch) => launch.environment = variables,
                Request::Local(project) => project.environment = variables,
                Request::Help | Request::Version => {}
            }
            return Ok((launcher, request));
        };
        words = (wrapper.open)(&program, rest, &mut variables)?;
    }
    Err(Error::refused(format!("more than {DEEPEST} programs stand around the line")).hint(PLAIN))
}

const PLAIN: &str = "write the line itself: `jitbox run -- npx -y pkg`";

/// Whether a program of this name, or at this path, may stand in front of a line.
pub fn is_program(word: &str) -> bool {
    program(OsStr::new(word))
        .is_ok_and(|name| tool::is_program(&name) || WRAPPERS.iter().any(|w| w.programs.contains(&name.as_str())))
}

/// The words of a line whose launcher stands in one string with words after it, as in configurations of clients that
/// give it to a shell or split it at spaces. `None` for a single word, or for a path with spaces in it.
fn pulled_apart(first: &str, rest: &[OsString]) -> Result<Option<Vec<OsString>>> {
    let trimmed = first.trim_start();
    if !trimmed.contains(char::is_whitespace) || !trimmed.split_whitespace().next().is_some_and(is_program) {
        return Ok(None);
    }
    let mut words = shell::plain_command("a shell", trimmed)?;
    for word in rest {
        // Some clients give these to the shell, too; others do not.
        if !shell::is_plain(&word.to_string_lossy()) {
            return Err(Error::refused(
                "the launcher stands in one string with words after it, and a shell would read the others as well",
            )
            .hint("write each word as a string of its own: \"npx\", \"-y\", \"pkg\""));
        }
        words.push(word.clone());
    }
    Ok(Some(words))
}

/// The name of a program: without an absolute path, and without what Windows adds.
fn program(word: &OsStr) -> Result<String> {
    let typed = text(word)?;
    let drive = typed.as_bytes().get(1..3).is_some_and(|at| at == b":\\" || at == b":/");
    // As clients that fill these in would have it.
    let home = ["~/", "$HOME/", "${HOME}/"].iter().any(|home| typed.starts_with(home));
    let name = typed.rsplit(['/', '\\']).next().unwrap_or(typed);
    if name.len() < typed.len() && !drive && !home && !typed.starts_with(['/', '\\']) {
        return Err(Error::refused(format!("`{}` is a program of this folder, which has no say here", shown(typed)))
            .hint("name the launcher alone: `npx …`"));
    }
    let lower = name.to_ascii_lowercase();
    let bare = [".cmd", ".exe", ".ps1", ".bat"].iter().find_map(|end| lower.strip_suffix(end));
    Ok(bare.filter(|bare| !bare.is_empty()).map_or_else(|| name.to_owned(), str::to_owned))
}

/// `env NAME=VALUE… line` (env(1)).
fn env(_: &str, words: &[OsString], variables: &mut Variables) -> Result<Vec<OsString>> {
    let mut rest = words.strip_prefix(&["--".into()]).unwrap_or(words);
    while let Some((word, after)) = rest.split_first() {
        if dashed(word) {
            return Err(Error::refused(format!("`env {}` is not understood", shown(&word.to_string_lossy())))
                .hint("leave its options out: nothing of this machine's environment reaches a package anyway"));
        }
        if !word.as_encoded_bytes().contains(&b'=') {
            break;
        }
        let (name, value) = text(word)?.split_once('=').unwrap_or_default();
        set(name, value, variables)?;
        rest = after;
    }
    Ok(rest.to_vec())
}

/// Takes one variable. Its value may be a secret and is never shown.
fn set(name: &str, value: &str, variables: &mut Variables) -> Result<()> {
    if !is_variable(name) || value.contains('\0') {
        return Err(Error::usage(format!("`{}=…` does not set a variable", shown(name)))
            .hint("a variable's name has letters, digits and `_`: `env NAME=VALUE npx …`"));
    }
    if STEERING.contains(&name) || STEERING_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return Err(Error::refused(format!("`{name}` steers jitbox and the engine, and a line may not"))
            .hint("leave it out, or set it in the environment that jitbox is started in"));
    }
    variables.retain(|(known, _)| known != name);
    // It says where this machine's programs are.
    if name != "PATH" {
        variables.push((name.to_owned(), value.to_owned()));
    }
    Ok(())
}

/// `cmd /c line`, with what cmd itself would act on refused.
fn cmd(_: &str, words: &[OsString], _: &mut Variables) -> Result<Vec<OsString>> {
    let mut rest = words;
    loop {
        let Some((word, after)) = rest.split_first() else {
            return Err(Error::refused("`cmd` alone is a shell").hint("write `cmd /c npx -y pkg`"));
        };
        rest = after;
        match text(word)?.to_ascii_lowercase().as_str() {
            "/c" => break,
            "/d" | "/s" | "/q" => {}
            // What a shell for Windows makes of `/c` when it takes it for a path.
            "c:/" | "c:\\" => {
                return Err(Error::usage("a shell made a path of the `/c` after `cmd`").hint("write `/c`"));
            }
            other => {
                return Err(Error::refused(format!("`cmd {}` is not understood", shown(other)))
                    .hint("write `cmd /c npx -y pkg`, or the line without `cmd /c`"));
            }
        }
    }
    for word in rest {
        if let Some(c) = word.to_string_lossy().chars().find(|c| "&|<>^%\"".contains(*c) || c.is_control()) {
            return Err(Error::refused(format!("`{}` means something to `cmd`", c.escape_debug()))
                .hint("write the line without `cmd /c`"));
        }
    }
    match rest {
        // The whole line in one string.
        [line] => Ok(text(line)?.split_whitespace().map(OsString::from).collect()),
        _ => Ok(rest.to_vec()),
    }
}

/// `asdf exec line`, which chooses the Node.js of this machine by a file of its folder.
fn after(program: &str, verb: &str, words: &[OsString]) -> Result<Vec<OsString>> {
    match words.split_first() {
        Some((first, line)) if first == verb && line.first().is_none_or(|word| !dashed(word)) => Ok(line.to_vec()),
        _ => Err(Error::refused(format!("of {program}, only `{program} {verb} npx …` without options is understood"))
            .hint("write the line itself: the image has its own Node.js or Python")),
    }
}

/// `corepack pnpm dlx …`: the package manager as it stands there.
fn corepack(_: &str, words: &[OsString], _: &mut Variables) -> Result<Vec<OsString>> {
    match words.first().and_then(|word| word.to_str()) {
        Some("npm" | "npx" | "pnpm" | "pnpx" | "yarn") => Ok(words.to_vec()),
        _ => Err(Error::refused(
            "of corepack, only `corepack pnpm dlx …` and the like, without a version, are understood",
        )
        .hint("write the line itself: `jitbox run -- pnpm dlx pkg`")),
    }
}

/// `wsl line`, which a shell in there reads, or `wsl --exec line`.
fn wsl(_: &str, words: &[OsString], _: &mut Variables) -> Result<Vec<OsString>> {
    let (exec, line) = match words.split_first() {
        Some((word, line)) if word == "-e" || word == "--exec" => (true, line),
        Some((word, line)) if word == "--" => (false, line),
        _ => (false, words),
    };
    if let Some(word) = line.first().filter(|word| dashed(word)) {
        return Err(Error::refused(format!("`wsl {}` is not understood", shown(&word.to_string_lossy()))).hint(PLAIN));
    }
    if let Some(word) = line.iter().find(|word| !exec && !shell::is_plain(&word.to_string_lossy())) {
        return Err(Error::refused(format!(
            "`{}` means something to the shell that wsl starts",
            shown(&word.to_string_lossy())
        ))
        .hint("write the line without wsl, or with `wsl --exec`"));
    }
    Ok(line.to_vec())
}

/// `mise exec -- line`, which has tools of mise's on its PATH.
fn mise(_: &str, words: &[OsString], _: &mut Variables) -> Result<Vec<OsString>> {
    let verb = words.first().is_some_and(|word| word == "exec" || word == "x");
    let Some(end) = words.iter().position(|word| word == "--").filter(|_| verb) else {
        return Err(
            Error::refused("of mise, only `mise exec -- …` is understood").hint("write `mise exec -- npx -y pkg`")
        );
    };
    for word in &words[1..end] {
        let word = text(word)?;
        if ["-y", "--yes", "-q", "--quiet", "--silent"].contains(&word) {
            continue;
        }
        let error = Error::refused(format!("`{}` after `mise exec` is not understood", shown(word)));
        return Err(match word.strip_prefix("node@") {
            Some(version) => {
                error.hint(format!("name it as a package: `npx -p node@{} -p pkg command`", shown(version)))
            }
            None => error.hint("leave it out: the image has its own Node.js or Python"),
        });
    }
    Ok(words[end + 1..].to_vec())
}

#[cfg(test)]
#[path = "wrapper_tests.rs"]
mod tests;
