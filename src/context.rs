//! The process's surroundings, read once: argv, environment, working directory,
//! terminals, user. Nothing else in the crate asks the operating system for them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use crate::error::{Doing, Result};

/// The environment as it was at the start.
#[derive(Debug, Clone, Default)]
pub struct Env(BTreeMap<OsString, OsString>);

impl Env {
    /// The value of `name`, unless it is unset or empty.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str).filter(|v| !v.is_empty())
    }

    /// The value of `name` as text, unless it is unset, empty or not UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(OsStr::to_str)
    }

    /// All variables, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|(k, v)| (k.as_os_str(), v.as_os_str()))
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Env {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(iter: T) -> Self {
        Self(iter.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

/// Which of the three standard streams are terminals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terminals {
    /// Standard input is one.
    pub stdin: bool,
    /// Standard output is one.
    pub stdout: bool,
    /// Standard error is one.
    pub stderr: bool,
}

impl Terminals {
    /// All three are terminals: the program gets a pty of its own.
    pub fn all(self) -> bool {
        self.stdin && self.stdout && self.stderr
    }
}

/// Where the running program is.
pub fn own_path() -> Result<PathBuf> {
    std::env::current_exe().doing(|| "can't find the running program".into())
}

/// Everything that a command knows about where it runs.
#[derive(Debug, Clone)]
pub struct Context {
    /// The name that the program was called by.
    pub program: OsString,
    /// The arguments after the program's own name.
    pub args: Vec<OsString>,
    /// The environment.
    pub env: Env,
    /// The working directory, as the kernel names it.
    pub cwd: PathBuf,
    /// The user's home directory: `HOME`, else what the user database says.
    pub home: PathBuf,
    /// The real user id.
    pub uid: u32,
    /// The real group id.
    pub gid: u32,
    /// How many processes the user may have; none if there is no limit.
    pub process_limit: Option<u64>,
    /// Which standard streams are terminals.
    pub terminals: Terminals,
}

impl Context {
    /// Reads it all.
    #[expect(clippy::disallowed_methods, reason = "this is the one reader of the process's surroundings")]
    pub fn read() -> Self {
        let env: Env = std::env::vars_os().collect();
        let uid = nix::unistd::getuid();
        let home = env
            .get("HOME")
            .map(PathBuf::from)
            .filter(|h| h.is_absolute())
            .or_else(|| Some(nix::unistd::User::from_uid(uid).ok()??.dir))
            .unwrap_or_else(|| PathBuf::from("/"));
        let mut args = std::env::args_os();
        Self {
            program: args.next().unwrap_or_default(),
            args: args.collect(),
            cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            home,
            uid: uid.as_raw(),
            gid: nix::unistd::getgid().as_raw(),
            process_limit: process_limit(),
            terminals: Terminals {
                stdin: std::io::stdin().is_terminal(),
                stdout: std::io::stdout().is_terminal(),
                stderr: std::io::stderr().is_terminal(),
            },
            env,
        }
    }

    /// The same with these variables set, as a line with `env` in front has them. What says where
    /// our settings, our records and the engine are is not a line's to say.
    #[must_use]
    pub fn with(&self, variables: &[(String, String)]) -> Self {
        let mut context = self.clone();
        let theirs = variables.iter().filter(|(name, _)| !steers(name));
        context.env.0.extend(theirs.map(|(name, value)| (name.into(), value.into())));
        context
    }

    /// The same, started in another folder.
    #[must_use]
    pub fn moved(mut self, cwd: &Path) -> Self {
        cwd.clone_into(&mut self.cwd);
        self
    }

    /// The home directory that the user database says, whatever the environment does.
    pub fn own_home(&self) -> Option<PathBuf> {
        Some(nix::unistd::User::from_uid(self.uid.into()).ok()??.dir)
    }

    /// An XDG base directory: the variable if it is absolute, else `fallback` under the home
    /// directory (XDG Base Directory Specification: relative values are to be ignored).
    fn xdg(&self, variable: &str, fallback: &str) -> PathBuf {
        self.env
            .get(variable)
            .map(Path::new)
            .filter(|p| p.is_absolute())
            .map_or_else(|| self.home.join(fallback), Path::to_owned)
    }

    /// Where the user's settings for us are: `$XDG_CONFIG_HOME/jitbox`.
    pub fn config_dir(&self) -> PathBuf {
        self.config_home().join("jitbox")
    }

    /// Where the user's settings for all programs are: `$XDG_CONFIG_HOME`.
    pub fn config_home(&self) -> PathBuf {
        self.xdg("XDG_CONFIG_HOME", ".config")
    }

    /// Where our records are: `$XDG_DATA_HOME/jitbox`.
    pub fn data_dir(&self) -> PathBuf {
        self.xdg("XDG_DATA_HOME", ".local/share").join("jitbox")
    }

    /// Where our log is: `$XDG_STATE_HOME/jitbox`.
    pub fn state_dir(&self) -> PathBuf {
        self.xdg("XDG_STATE_HOME", ".local/state").join("jitbox")
    }

    /// The user's runtime directory. Clients that start servers with about six variables do
    /// not pass `XDG_RUNTIME_DIR`, so it is worked out from the user id when it is missing.
    pub fn runtime_dir(&self) -> Option<PathBuf> {
        self.env
            .get("XDG_RUNTIME_DIR")
            .map(PathBuf::from)
            .filter(|p| p.is_absolute() && p.is_dir())
            .or_else(|| Some(PathBuf::from(format!("/run/user/{}", self.uid))).filter(|p| p.is_dir()))
    }
}

/// Whether a variable decides which rules and which engine there are. None of them is for a
/// program, either.
fn steers(name: &str) -> bool {
    const PREFIXES: [&str; 8] =
        ["XDG_", "JITBOX_", "DOCKER_", "CONTAINER", "PODMAN_", "NERDCTL_", "BUILDKIT_", "DBUS_"];
    ["HOME", "PATH", "TMPDIR"].contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(target_os = "linux")]
fn process_limit() -> Option<u64> {
    use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NPROC).ok()?;
    (hard != RLIM_INFINITY).then_some(hard)
}

/// Elsewhere the engine's kernel is another one, whose limits are not ours.
#[cfg(not(target_os = "linux"))]
fn process_limit() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_does_not_say_which_rules_there_are() {
        let mut context = Context::read();
        context.env = [("XDG_CONFIG_HOME", "/mine")].into_iter().collect();
        let said = ["XDG_CONFIG_HOME", "JITBOX_ENGINE", "DOCKER_HOST", "CONTAINER_HOST", "HOME", "TOKEN"];
        let line: Vec<_> = said.iter().map(|name| (String::from(*name), "/theirs".to_owned())).collect();
        let with = context.with(&line);
        assert_eq!(with.config_dir(), Path::new("/mine/jitbox"));
        let theirs: Vec<&OsStr> =
            with.env.iter().filter(|(_, value)| *value == "/theirs").map(|(name, _)| name).collect();
        assert_eq!(theirs, ["TOKEN"]);
    }
}
