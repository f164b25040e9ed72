//! Who could change a file behind the user's back. What we start and what widens our rules must
//! only be in the hands of the user and of root.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Doing, Error, Result};

/// The most that is read of a file with rules.
const MAX_BYTES: u64 = 1 << 20;

const GROUP_WRITES: u32 = 0o020;
const ALL_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;
const ROOT: u32 = 0;
/// Debian's group for /usr/local (Debian Policy, 9.1.2): on systems that still have it, its
/// members are root's equals there.
const DEBIAN_STAFF: u32 = 50;
/// The group of administrators on macOS, to which Homebrew opens its folders.
const MACOS_ADMIN: u32 = 80;

/// Why somebody other than user `uid` and root could change what `meta` describes.
pub fn changed_by_others(path: &Path, meta: &Metadata, uid: u32) -> Option<&'static str> {
    let mode = meta.mode();
    if mode & ALL_WRITE != 0 {
        return Some("everybody may write to it");
    }
    if mode & GROUP_WRITES != 0 && !harmless_group(path, meta, uid) {
        return Some("its group may write to it");
    }
    // On a Mac, programs belong to the administrator who installed them, for all users.
    let foreign = meta.uid() != ROOT && meta.uid() != uid && !cfg!(target_os = "macos");
    foreign.then_some("it belongs to another user")
}

/// The text of a file that can widen what a run may do; `None` if there is none. It has to be in
/// the hands of user `uid` alone.
pub fn read_rules(path: &Path, uid: u32) -> Result<Option<String>> {
    let mut file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(e) => return Err(e).doing(|| unusable(path)),
    };
    // The open file is asked, not its name, so that it can't be another one by now.
    let meta = file.metadata().doing(|| unusable(path))?;
    if !meta.is_file() {
        return Err(Error::refused(unusable(path)).because("it is not a file"));
    }
    if let Some(why) = changed_by_others(path, &meta, uid) {
        let command = format!("chown $(id -u) '{0}' && chmod go-w '{0}'", path.display());
        return Err(Error::refused(unusable(path)).because(why).hint(format!("read it, then: {command}")));
    }
    let mut text = String::new();
    file.by_ref().take(MAX_BYTES).read_to_string(&mut text).doing(|| unusable(path))?;
    Ok(Some(text))
}

/// What a project has that came from somewhere else, and that may also be what says where our
/// settings are.
const PROJECT: [&str; 9] = [".git", ".hg", ".svn", ".mcp.json", ".vscode", ".cursor", ".claude", ".gemini", ".codex"];

/// The project that a folder of settings is part of. A client takes environments for servers from
/// a project's own files: with `XDG_CONFIG_HOME` in one of them it would be the project that says
/// what its servers may do. What is at or above the user's real home is no project.
pub fn project_around(settings: &Path, home: Option<&Path>) -> Option<PathBuf> {
    let real = settings.canonicalize().ok()?;
    let is_own = |path: &Path| home.is_some_and(|home| path == home.join(".config/jitbox"));
    if is_own(settings) || is_own(&real) {
        return None;
    }
    let within = |path: &&Path| !home.is_some_and(|home| home.starts_with(path));
    let has_marks = |path: &&Path| PROJECT.iter().any(|mark| path.join(mark).symlink_metadata().is_ok());
    [settings, &real]
        .into_iter()
        .flat_map(|path| path.ancestors().take_while(within))
        .find(has_marks)
        .map(Path::to_owned)
}

/// What fails when such a file can't be used.
pub fn unusable(path: &Path) -> String {
    format!("can't use the settings in `{}`", path.display())
}

/// Groups that hold nobody but the user and administrators.
fn harmless_group(path: &Path, meta: &Metadata, uid: u32) -> bool {
    let gid = meta.gid();
    let system =
        cfg!(target_os = "linux") && gid == DEBIAN_STAFF && path.starts_with("/usr/local") && meta.uid() == ROOT;
    let admin = cfg!(target_os = "macos") && gid == MACOS_ADMIN;
    // A user's private group has the user's number (useradd(8), USERGROUPS_ENAB).
    gid == ROOT || (gid == uid && meta.uid() == uid) || system || admin
}

/// Why a program can't be trusted: it, its folder, or a folder on the way could be changed by
/// others. `path` may be a symbolic link; both ends are looked at.
pub fn untrusted_program(path: &Path, uid: u32) -> Option<String> {
    let real = match std::fs::canonicalize(path) {
        Ok(real) => real,
        Err(e) => return Some(format!("`{}` can't be looked at: {e}", path.display())),
    };
    if let Some(why) = unsafe_at(&real, uid, false) {
        return Some(why);
    }
    let ends = if real == path { vec![real.as_path()] } else { vec![real.as_path(), path] };
    ends.into_iter().find_map(|end| {
        let folders = end.ancestors().skip(1);
        // A sticky folder above is all right (nobody can rename what is in it); one that holds
        // the program itself is not: anybody could have put it there.
        folders.enumerate().find_map(|(up, folder)| unsafe_at(folder, uid, up > 0))
    })
}

/// The first program of this name in the folders of `path` and then in `more` that can be trusted. If there are only others:
/// the first of them, and why not. Relative folders would give the working directory a say.
pub fn search(
    name: &str,
    path: Option<&OsStr>,
    more: &[PathBuf],
    uid: u32,
) -> std::result::Result<Option<PathBuf>, (PathBuf, String)> {
    let dirs = path.map(|path| std::env::split_paths(path).collect::<Vec<_>>()).unwrap_or_default();
    let dirs = dirs.iter().chain(more).filter(|dir| dir.is_absolute());
    let Ok(path) = std::env::join_paths(dirs) else { return Ok(None) };
    let Ok(programs) = which::which_in_all(name, Some(path), "/") else { return Ok(None) };
    let mut refused = None;
    for program in programs {
        match untrusted_program(&program, uid) {
            None => return Ok(Some(program)),
            Some(why) => refused = refused.or(Some((program, why))),
        }
    }
    refused.map_or(Ok(None), Err)
}

fn unsafe_at(path: &Path, uid: u32, sticky_is_fine: bool) -> Option<String> {
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(e) => return Some(format!("`{}` can't be looked at: {e}", path.display())),
    };
    if sticky_is_fine && meta.mode() & STICKY != 0 {
        return None;
    }
    changed_by_others(path, &meta, uid).map(|why| format!("`{}`: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn settings_of_a_project_are_not_the_users() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for folder in
            ["home/.config/jitbox", "home/.git", "home/.vscode", "work/repo/.git", "work/repo/x/jitbox", "other/jitbox"]
        {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        std::os::unix::fs::symlink(root.join("work/repo/x/jitbox"), root.join("other/linked")).unwrap();
        let around = |settings: &str| project_around(&root.join(settings), Some(&root.join("home")));
        assert_eq!(around("home/.config/jitbox"), None);
        assert_eq!(around("other/jitbox"), None);
        assert_eq!(around("no/such/jitbox"), None);
        for settings in ["work/repo/x/jitbox", "other/linked"] {
            assert_eq!(around(settings), Some(root.join("work/repo")), "{settings}");
        }
    }

    #[test]
    fn programs_that_others_could_change() {
        let dir = tempfile::tempdir().unwrap();
        let uid = nix::unistd::getuid().as_raw();
        let bin = dir.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let program = bin.join("docker");
        fs::write(&program, "").unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        mode(&bin, 0o755);
        mode(&program, 0o755);
        assert_eq!(untrusted_program(&program, uid), None);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&program, &link).unwrap();
        mode(&program, 0o757);
        assert!(untrusted_program(&program, uid).unwrap().contains("everybody"));
        assert!(untrusted_program(&link, uid).unwrap().contains("everybody"));
        mode(&program, 0o755);
        mode(&bin, 0o1777);
        assert!(untrusted_program(&program, uid).unwrap().contains("everybody"));
        assert!(untrusted_program(&link, uid).unwrap().contains("everybody"));
        mode(&bin, 0o755);
        // Somebody else than the owner and root.
        if uid == 0 {
            std::os::unix::fs::chown(&program, Some(12345), None).unwrap();
            assert!(untrusted_program(&program, uid).unwrap().contains("another user"));
        }
    }
}
