//! Paths among a program's arguments: which of them it gets to see.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::Asked;
use crate::plan::Mount;

/// An argument that names something that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The path as the program will use it, made absolute.
    pub asked: PathBuf,
    /// What it really is, without symbolic links.
    pub real: PathBuf,
}

/// Looks for paths among the arguments: absolute ones, and those that start with `.` or `..`.
/// Anything else may be a path by accident only.
pub fn look(args: &[OsString], cwd: &Path) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for arg in args {
        let path = Path::new(arg);
        let named =
            matches!(path.components().next(), Some(Component::RootDir | Component::CurDir | Component::ParentDir));
        if !named || arg.as_bytes().contains(&b'\n') {
            continue;
        }
        let asked = plain(&cwd.join(path));
        if let Ok(real) = asked.canonicalize()
            && !found.iter().any(|f| f.asked == asked)
        {
            found.push(Found { asked, real });
        }
    }
    found
}

/// Without `.` and `..`; those of the path as it was typed, not of what links mean.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// Whole trees that no program gets: the system's own, and where keys are kept.
const SYSTEM: [&str; 10] =
    ["/etc", "/proc", "/sys", "/dev", "/run", "/var/run", "/var/lib", "/boot", "/root", "/jitbox"];

/// Below the home directory.
const PRIVATE: [&str; 26] = [
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".config",
    ".kube",
    ".docker",
    ".npmrc",
    ".pypirc",
    ".netrc",
    ".git-credentials",
    ".local/share/keyrings",
    ".local/share/containers",
    ".password-store",
    ".mozilla",
    ".claude",
    ".claude.json",
    ".cursor",
    ".codex",
    ".gemini",
    ".bashrc",
    ".profile",
    ".zshrc",
    "Library/Keychains",
    "Library/Application Support",
    ".local/bin",
];

/// Splits the paths into what is mounted, read-only, and what is not, with the reason.
pub fn mounts(asked: &Asked<'_>) -> (Vec<Mount>, Vec<(PathBuf, String)>) {
    let (mut mounts, mut refused) = (Vec::new(), Vec::new());
    for found in &asked.paths {
        match refusal(found, asked.home, asked.data_dir) {
            Some(why) => refused.push((found.asked.clone(), why)),
            None => mounts.push(Mount { source: found.real.clone(), target: found.asked.clone(), writable: false }),
        }
    }
    // What lies inside another mount is there already.
    let outer: Vec<PathBuf> = mounts.iter().map(|m: &Mount| m.target.clone()).collect();
    mounts.retain(|m| !outer.iter().any(|o| m.target != *o && m.target.starts_with(o)));
    (mounts, refused)
}

/// Why a file that a line names is not read: what no program gets has no say, either.
pub fn kept_out(asked: &Path, real: &Path, home: &Path, data_dir: &Path) -> Option<String> {
    refusal(&Found { asked: plain(asked), real: real.to_owned() }, home, data_dir)
}

fn refusal(found: &Found, home: &Path, data_dir: &Path) -> Option<String> {
    let home_real = home.canonicalize().unwrap_or_else(|_| home.to_owned());
    for path in [&found.asked, &found.real] {
        let below_home = path.starts_with(home) || path.starts_with(&home_real);
        let whole = Path::new("/") == path || *path == home || *path == home_real || home.starts_with(path);
        if whole {
            return Some("it holds the home directory".into());
        }
        if path.starts_with(data_dir) || data_dir.starts_with(path) {
            return Some("it holds jitbox's own files".into());
        }
        let private = PRIVATE.iter().any(|p| {
            [home, &home_real].iter().any(|home| {
                let private = home.join(p);
                path.starts_with(&private) || private.starts_with(path)
            })
        });
        if private {
            return Some("keys and settings are kept there".into());
        }
        if !below_home && let Some(system) = SYSTEM.iter().find(|s| path.starts_with(s)) {
            return Some(format!("`{system}` is the system's"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &str) -> bool {
        let found = Found { asked: path.into(), real: path.into() };
        refusal(&found, Path::new("/home/u"), Path::new("/home/u/.local/share/jitbox")).is_some()
    }

    #[test]
    fn keys_settings_and_the_system_stay_outside() {
        for path in ["/", "/home", "/home/u", "/home/u/.ssh", "/home/u/.ssh/id", "/home/u/.config/x", "/etc/passwd"] {
            assert!(refused(path), "{path}");
        }
        for path in ["/home/u/.local", "/home/u/.local/share/jitbox/boxes", "/run/user/1/bus", "/proc/1"] {
            assert!(refused(path), "{path}");
        }
        for path in ["/home/u/work", "/srv/data", "/tmp/x", "/home/u/.sshx", "/work"] {
            assert!(!refused(path), "{path}");
        }
    }

    #[test]
    fn a_link_to_a_refused_place_is_refused() {
        let found = Found { asked: "/tmp/innocent".into(), real: "/home/u/.ssh".into() };
        assert!(refusal(&found, Path::new("/home/u"), Path::new("/d")).is_some());
    }

    #[test]
    fn only_plain_paths_are_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("build")).unwrap();
        let args: Vec<OsString> = ["build", "./build", "--dir=/tmp", "/does/not/exist", "."].map(Into::into).to_vec();
        let found = look(&args, dir.path());
        let asked: Vec<_> = found.iter().map(|f| f.asked.strip_prefix(dir.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(asked, ["build", ""]);
    }
}
