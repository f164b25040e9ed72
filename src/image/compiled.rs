//! V8's byte code of an npm package's program. node writes it by itself where it may, and starts
//! quicker for it (nodejs.org/api/module.html, "Module compile cache"); in a box nothing can be
//! written. So the program runs once when its box has been made, in a box like that of any run,
//! and what node wrote there is kept beside the box's record.

use std::path::{Component, Path};

use crate::error::{Doing, Error, Result};
use crate::state::{private_dir, store};

/// What runs the program, as an argument of `node -e`.
pub const DRIVER: &str = include_str!("../../templates/npm-compile.cjs");

/// What an MCP client says first (modelcontextprotocol.io, "Lifecycle").
pub const FIRST_MESSAGE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"jitbox","version":"0"}}}"#;

/// How much byte code is kept, as an archive: /tmp, where it is written, has no room for more.
pub const MAX_BYTES: usize = 64 << 20;

/// Puts what the box gave into `dir`, whole or not at all. The package's own code can have had a
/// hand in it: only files come out of it, with names as node gives them.
pub fn keep(archive: &[u8], dir: &Path) -> Result<()> {
    let doing = || format!("can't keep the package's byte code in `{}`", dir.display());
    let parent = dir.parent().unwrap_or(dir);
    private_dir(parent)?;
    let fresh = tempfile::tempdir_in(parent).doing(doing)?;
    unpack(archive, fresh.path())?;
    store::remove_folder(dir)?;
    // The box's user reads them: nothing in there is secret.
    readable(fresh.path(), 0o755).doing(doing)?;
    std::fs::rename(fresh.keep(), dir).doing(doing)
}

fn unpack(archive: &[u8], dir: &Path) -> Result<()> {
    let doing = || "can't read the package's byte code".to_owned();
    for entry in tar::Archive::new(archive).entries().doing(doing)? {
        let mut entry = entry.doing(doing)?;
        let path = entry.path().doing(doing)?.into_owned();
        let Some((folder, file)) = place(&path) else {
            return Err(Error::failed(doing()).because(format!("`{}` is no name of node's", path.display())));
        };
        let folder = dir.join(folder);
        if !folder.exists() {
            std::fs::create_dir(&folder).and_then(|()| readable(&folder, 0o755)).doing(doing)?;
        }
        match (entry.header().entry_type(), file) {
            (tar::EntryType::Directory, _) => {}
            (tar::EntryType::Regular, Some(file)) => {
                let path = folder.join(file);
                let mut out = std::fs::File::create_new(&path).doing(doing)?;
                std::io::copy(&mut entry, &mut out).doing(doing)?;
                readable(&path, 0o644).doing(doing)?;
            }
            (kind, _) => return Err(Error::failed(doing()).because(format!("`{}` is {kind:?}", path.display()))),
        }
    }
    Ok(())
}

/// `VERSION-ARCHITECTURE-HASH-USER/HASH`, and the folders on the way there.
fn place(path: &Path) -> Option<(&str, Option<&str>)> {
    let mut words = Vec::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(word) => words.push(word.to_str().filter(|word| {
                !word.starts_with('.') && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
            })?),
            _ => return None,
        }
    }
    match words[..] {
        [] => Some((".", None)),
        [folder] => Some((folder, None)),
        [folder, file] => Some((folder, Some(file))),
        _ => None,
    }
}

fn readable(path: &Path, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, tar::EntryType)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, kind) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_size(if *kind == tar::EntryType::Regular { 4 } else { 0 });
            if kind.is_symlink() {
                header.set_link_name("/etc/passwd").unwrap();
            }
            // Not `set_path`, which keeps `..` out.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            tar.append(&header, &b"code"[..header.size().unwrap() as usize]).unwrap();
        }
        tar.into_inner().unwrap()
    }

    const FILE: tar::EntryType = tar::EntryType::Regular;

    #[test]
    fn what_node_writes_is_kept_and_replaced() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("compiled/key");
        let folders = [("./", tar::EntryType::Directory), ("./v24-x64-1-65532/", tar::EntryType::Directory)];
        for name in ["./v24-x64-1-65532/0a1b2c", "./v24-x64-1-65532/ffff"] {
            keep(&archive(&[folders[0], folders[1], (name, FILE)]), &dir).unwrap();
            let files: Vec<_> = std::fs::read_dir(dir.join("v24-x64-1-65532")).unwrap().flatten().collect();
            assert_eq!(files.len(), 1);
            assert!(name.ends_with(files[0].file_name().to_str().unwrap()));
            assert_eq!(files[0].metadata().unwrap().permissions().mode() & 0o777, 0o644);
            assert_eq!(std::fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o755);
        }
        store::remove_folder(&dir).unwrap();
        assert_eq!(std::fs::read_dir(home.path().join("compiled")).unwrap().count(), 0);
    }

    #[test]
    fn nothing_else_is() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("compiled/key");
        for wrong in [
            ("../x", FILE),
            ("/etc/x", FILE),
            ("v/../../x", FILE),
            ("v/a/b", FILE),
            ("v/.x", FILE),
            ("v/x y", FILE),
            ("x", FILE),
            ("v/x", tar::EntryType::Symlink),
            ("v/x", tar::EntryType::Link),
            ("v/x", tar::EntryType::Char),
            ("v/x", tar::EntryType::Fifo),
        ] {
            assert!(keep(&archive(&[("v/ok", FILE), wrong]), &dir).is_err(), "{wrong:?}");
            assert!(!dir.exists());
            assert_eq!(std::fs::read_dir(home.path().join("compiled")).unwrap().count(), 0, "{wrong:?}");
        }
        assert!(
            keep(b"no archive at all, and longer than a header is: 512 bytes".repeat(20).as_slice(), &dir).is_err()
        );
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
    }
}
