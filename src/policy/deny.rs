//! Places that no box gets, whoever grants them: the system's own, and where keys, sessions and
//! the rules of other programs are kept.
//!
//! A place is known by its path, in whatever case it is spelled, and by the number of its inode,
//! so that another name of it (a bind mount, a folder that is joined with another) is it, too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::paths::{Found, Id, Sort, id_of};

/// The system's own.
const SYSTEM: [&str; 13] = [
    "/etc",
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/var/run",
    "/var/lib",
    "/boot",
    "/root",
    "/jitbox",
    "/private/etc",
    "/private/var/run",
    "/Library/Keychains",
];

/// Below the home directory.
const PRIVATE: [&str; 46] = [
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".config",
    ".kube",
    ".docker",
    ".npmrc",
    ".npm",
    ".pypirc",
    ".netrc",
    ".git-credentials",
    ".gitconfig",
    ".local/share/keyrings",
    ".local/share/containers",
    ".local/share/applications",
    ".local/bin",
    ".password-store",
    ".mozilla",
    ".thunderbird",
    ".var",
    ".cargo/credentials.toml",
    ".cache/uv",
    ".cache/pip",
    ".terraform.d",
    ".vault-token",
    ".claude",
    ".claude.json",
    ".cursor",
    ".codex",
    ".gemini",
    ".vscode",
    ".vscode-server",
    ".mcp-auth",
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_logout",
    ".bash_history",
    ".profile",
    ".zshrc",
    ".zprofile",
    ".zshenv",
    ".zsh_history",
    "Library/Keychains",
    "Library/Application Support",
];

const HOME: &str = "it holds the home directory";
const OURS: &str = "jitbox's own files are there";
const KEYS: &str = "keys and settings are kept there";

/// Where they are on this machine.
#[derive(Debug, Clone, Default)]
pub struct Places {
    homes: Vec<PathBuf>,
    ours: Vec<PathBuf>,
    /// Each place that is there, by its inode.
    ids: BTreeMap<Id, String>,
    /// The folders above them, which hold them.
    above: BTreeMap<Id, &'static str>,
    system: BTreeMap<Id, &'static str>,
    home_ids: Vec<Id>,
}

impl Places {
    /// Looks for them: `home` is the user's, and `ours` our own folders.
    pub fn look(home: &Path, ours: &[PathBuf]) -> Self {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let both = |path: &Path| {
            let real = real(path);
            if real == path { vec![real] } else { vec![path.to_owned(), real] }
        };
        let mut places =
            Self { homes: both(home), ours: ours.iter().flat_map(|path| both(path)).collect(), ..Self::default() };
        places.home_ids = places.homes.iter().filter_map(|home| id_of(home)).collect();
        for home in places.homes.clone() {
            PRIVATE.iter().for_each(|name| places.add(&home.join(name), KEYS));
            places.add_above(&home, HOME);
            places.above.extend(id_of(&home).map(|id| (id, HOME)));
        }
        for path in places.ours.clone() {
            places.add(&path, OURS);
        }
        places.system = SYSTEM.iter().filter_map(|path| Some((id_of(Path::new(path))?, *path))).collect();
        places
    }

    fn add(&mut self, path: &Path, why: &'static str) {
        if let Some(id) = id_of(path) {
            self.ids.entry(id).or_insert_with(|| why.to_owned());
        }
        self.add_above(path, why);
    }

    fn add_above(&mut self, path: &Path, why: &'static str) {
        for folder in path.ancestors().skip(1) {
            self.above.extend(id_of(folder).map(|id| (id, why)));
        }
    }

    /// Why no box gets this path.
    pub fn refusal(&self, found: &Found) -> Option<String> {
        if found.sort == Sort::Other {
            return Some("it is neither a file nor a folder".into());
        }
        let by_path = [&found.asked, &found.real].into_iter().find_map(|path| self.by_path(path));
        by_path.or_else(|| self.by_id(found))
    }

    fn by_path(&self, path: &Path) -> Option<String> {
        let path = folded(path);
        let within = |place: &Path| path.starts_with(folded(place));
        let holds = |place: &Path| folded(place).starts_with(&path);
        if path == Path::new("/") || self.homes.iter().any(|home| holds(home)) {
            return Some(HOME.into());
        }
        if self.ours.iter().any(|place| within(place) || holds(place)) {
            return Some(OURS.into());
        }
        let private = |home: &PathBuf| PRIVATE.iter().map(|name| home.join(name)).any(|p| within(&p) || holds(&p));
        if self.homes.iter().any(private) {
            return Some(KEYS.into());
        }
        let below_home = self.homes.iter().any(|home| within(home));
        let mut system = SYSTEM.iter().filter(|place| within(Path::new(place)) || holds(Path::new(place)));
        system.find(|place| !(below_home && self.is_home_in(place))).map(|place| format!("`{place}` is the system's"))
    }

    /// A home may be in the system's: root's is, and those of services.
    fn is_home_in(&self, place: &str) -> bool {
        self.homes.iter().any(|home| home.starts_with(place))
    }

    fn by_id(&self, found: &Found) -> Option<String> {
        let chain = || found.above.iter().chain([&found.id]);
        let place = chain().chain(&found.inner).find_map(|id| self.ids.get(id));
        let holds = || [&found.id].into_iter().chain(&found.inner).find_map(|id| self.above.get(id));
        if let Some(why) = place.map(String::as_str).or_else(|| holds().copied()) {
            return Some(why.to_owned());
        }
        let below_home = chain().any(|id| self.home_ids.contains(id));
        let mut system = chain().filter_map(|id| self.system.get(id));
        system.find(|place| !(below_home && self.is_home_in(place))).map(|place| format!("`{place}` is the system's"))
    }
}

/// In one case: on a file system that does not tell cases apart, `.SSH` is `.ssh`.
fn folded(path: &Path) -> PathBuf {
    PathBuf::from(path.as_os_str().to_ascii_lowercase())
}

#[cfg(test)]
#[path = "deny_tests.rs"]
mod tests;
