//! What stays read-only inside of a writable folder: files that git, editors, shells and clients
//! run or believe, so that a program that may write in a project does not get to run outside.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::paths::Id;

/// Files and folders that are guarded wherever they are.
const NAMES: [&str; 17] = [
    ".vscode",
    ".idea",
    ".zed",
    ".devcontainer",
    ".mcp.json",
    ".claude",
    ".cursor",
    ".codex",
    ".gemini",
    ".windsurf",
    ".envrc",
    ".husky",
    ".gitmodules",
    ".gitconfig",
    ".pre-commit-config.yaml",
    ".lefthook.yml",
    ".bashrc",
];

/// The same inside of a git repository's own folder (gitrepository-layout(5)). `commondir` names
/// another folder whose settings count.
const GIT: [&str; 5] = ["hooks", "config", "config.worktree", "commondir", "modules"];

/// Folders that are looked into below the first one.
const MOST_FOLDERS: usize = 2000;
/// Each is a mount more, and up to two for the folders around it.
const MOST_GUARDS: usize = 64;
/// Nobody keeps a project of their own in there.
const SKIPPED: [&str; 3] = ["node_modules", ".git", ".venv"];

/// What has to be guarded in one folder; all paths are relative to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guards {
    /// What is there, and is mounted again: read-only, or just so that it can't be moved away.
    pub present: Vec<Guard>,
    /// What is not there. It can't be mounted, so it is looked for when the program has ended.
    pub absent: Vec<PathBuf>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// Where.
    pub path: PathBuf,
    /// Which file or folder.
    pub id: Id,
    /// Only its name is kept; what is in it may change.
    pub writable: bool,
}

/// Looks for what has to be guarded in `folder` and two levels below it. The error says why the
/// folder can't be made writable at all.
pub fn look(folder: &Path) -> Result<Guards, String> {
    let mut guards = Guards::default();
    let mut level = vec![PathBuf::new()];
    let mut looked_at = 0;
    for depth in 0..=2 {
        let mut next = Vec::new();
        for path in level {
            look_in(folder, &path, depth == 0, &mut guards)?;
            looked_at += 1;
            if depth < 2 && looked_at + next.len() < MOST_FOLDERS {
                next.extend(folders_in(folder, &path, MOST_FOLDERS - looked_at - next.len()));
            }
        }
        level = next;
    }
    if guards.present.len() > MOST_GUARDS {
        return Err("there are too many projects in it: grant the one that is meant".into());
    }
    pin_parents(folder, &mut guards)?;
    Ok(guards)
}

fn look_in(root: &Path, path: &Path, top: bool, guards: &mut Guards) -> Result<(), String> {
    for name in NAMES {
        guard(root, path.join(name), false, top, guards)?;
    }
    let git = path.join(".git");
    if std::fs::symlink_metadata(root.join(&git)).is_ok_and(|meta| meta.is_dir()) {
        // Else it could be moved away as a whole, and another put in its place.
        guard(root, git.clone(), true, top, guards)?;
        for name in GIT {
            guard(root, git.join(name), false, true, guards)?;
        }
    } else {
        // A file that says where the repository is.
        guard(root, git, false, top, guards)?;
    }
    let is = |name: &str| root.join(path).join(name).exists();
    if is("HEAD") && is("objects") && is("refs") {
        for name in GIT {
            guard(root, path.join(name), false, true, guards)?;
        }
    }
    Ok(())
}

/// Keeps the folders around what is guarded in their places, too: one that was moved away could be
/// made again with other contents.
fn pin_parents(root: &Path, guards: &mut Guards) -> Result<(), String> {
    let parents: BTreeSet<PathBuf> =
        guards.present.iter().flat_map(|guard| guard.path.ancestors().skip(1)).map(Path::to_owned).collect();
    for path in parents.into_iter().filter(|path| !path.as_os_str().is_empty()) {
        if !guards.present.iter().any(|guard| guard.path == path) {
            guard(root, path, true, false, guards)?;
        }
    }
    Ok(())
}

fn guard(root: &Path, path: PathBuf, writable: bool, watch: bool, guards: &mut Guards) -> Result<(), String> {
    match std::fs::symlink_metadata(root.join(&path)) {
        Ok(meta) if meta.is_symlink() => Err(format!("`{}` in it is a link, which can't be guarded", path.display())),
        Ok(meta) => {
            guards.present.push(Guard { path, id: Id::from(&meta), writable });
            Ok(())
        }
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            guards.absent.extend(watch.then_some(path));
            Ok(())
        }
        Err(e) => Err(format!("`{}` in it can't be looked at: {e}", path.display())),
    }
}

fn folders_in(root: &Path, path: &Path, most: usize) -> Vec<PathBuf> {
    // One that we can't read, the program can't either.
    let entries = std::fs::read_dir(root.join(path)).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|sort| sort.is_dir()));
    let names = folders.map(|entry| entry.file_name()).filter(|name| !SKIPPED.iter().any(|s| name == s));
    names.map(|name| path.join(name)).take(most).collect()
}

/// Whether a path is one of the guarded places, or inside of one.
pub fn covers(path: &Path) -> bool {
    let names: Vec<String> = path.components().map(|c| c.as_os_str().to_string_lossy().to_ascii_lowercase()).collect();
    let in_git = names.windows(2).any(|pair| pair[0] == ".git" && GIT.contains(&pair[1].as_str()));
    in_git || names.iter().any(|name| NAMES.contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for folder in
            [".git/hooks", ".git/objects", "sub/.vscode", "a/b/.claude", "a/b/c/.claude", "node_modules/.vscode"]
        {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        for file in [".git/config", ".envrc", "src.txt"] {
            std::fs::write(dir.path().join(file), "").unwrap();
        }
        dir
    }

    #[test]
    fn what_others_run_is_guarded() {
        let dir = project();
        let guards = look(dir.path()).unwrap();
        let mut present: Vec<_> = guards.present.iter().map(|g| (g.path.to_str().unwrap(), g.writable)).collect();
        present.sort_unstable();
        let want = [
            (".envrc", false),
            (".git", true),
            (".git/config", false),
            (".git/hooks", false),
            ("a", true),
            ("a/b", true),
            ("a/b/.claude", false),
            ("sub", true),
            ("sub/.vscode", false),
        ];
        assert_eq!(present, want);
        for absent in [".mcp.json", ".vscode", ".git/commondir"] {
            assert!(guards.absent.contains(&absent.into()), "{absent}");
        }
        let bare = look(&dir.path().join(".git")).unwrap();
        assert!(bare.present.is_empty(), "not a repository yet");
        std::fs::write(dir.path().join(".git/HEAD"), "").unwrap();
        std::fs::create_dir(dir.path().join(".git/refs")).unwrap();
        assert_eq!(look(&dir.path().join(".git")).unwrap().present.len(), 2);
    }

    #[test]
    fn what_can_not_be_guarded_is_not_writable() {
        let dir = project();
        std::os::unix::fs::symlink("/tmp", dir.path().join(".husky")).unwrap();
        assert!(look(dir.path()).unwrap_err().contains(".husky"));
        let many = tempfile::tempdir().unwrap();
        for i in 0..=MOST_GUARDS {
            std::fs::create_dir_all(many.path().join(format!("{i}/.vscode"))).unwrap();
        }
        assert!(look(many.path()).unwrap_err().contains("too many"));
    }

    #[test]
    fn guarded_places() {
        for path in ["/p/.vscode", "/p/.vscode/tasks.json", "/p/.git/hooks/x", "/p/.GIT/config", "/p/.Mcp.json"] {
            assert!(covers(Path::new(path)), "{path}");
        }
        for path in ["/p", "/p/.git", "/p/.git/objects", "/p/vscode", "/hooks", "/p/.mcp.json5"] {
            assert!(!covers(Path::new(path)), "{path}");
        }
    }
}
