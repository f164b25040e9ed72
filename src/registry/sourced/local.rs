//! Reading a package on this machine. A folder is read through descriptors and never through a link, so that a program
//! that may write into it can't have us read what is elsewhere.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag, open, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use sha2::{Digest, Sha256};

use super::{Content, MAX_ENTRIES, MAX_UNPACKED};
use crate::digest;
use crate::error::{Doing, Error, Result};
use crate::package::local::{LocalPackage, Sort};
use crate::policy::paths::{Found, Id};
use crate::registry::pack::{Entry, EntryKind};

/// Folders in folders.
const MAX_DEPTH: usize = 64;

/// What is installed or made there by others, and not the package's.
const NOT_ITS_OWN: [&str; 2] = ["node_modules", "__pycache__"];

/// Virtual environments (PEP 405) and caches (<https://bford.info/cachedir/>) have one of these in them.
const MARKS: [&str; 2] = ["pyvenv.cfg", "CACHEDIR.TAG"];

/// The SHA-256 of what is there now, if that is still what was looked at.
pub fn content(found: &Found, sort: Sort) -> Result<String> {
    let mut hash = Hash::default();
    read(&found.real, Some(found.id), sort, &mut |entry| hash.add(&entry))?;
    Ok(hash.text())
}

/// What is there, if it is still what was looked at.
pub(super) fn fetch(package: &LocalPackage) -> Result<Content> {
    let (mut hash, mut entries) = (Hash::default(), Vec::new());
    read(Path::new(&package.path), None, package.sort, &mut |entry| {
        hash.add(&entry);
        entries.push(entry);
    })?;
    if hash.text() != package.content {
        return Err(changed(Path::new(&package.path)));
    }
    Ok(match package.sort {
        Sort::Folder => Content::Files(entries),
        Sort::Archive => Content::Archive(entries.pop().map(|entry| entry.data).unwrap_or_default()),
    })
}

fn changed(path: &Path) -> Error {
    Error::failed(format!("`{}` changed while it was read", path.display())).hint("start it again")
}

#[derive(Default)]
struct Hash(Sha256);

impl Hash {
    fn add(&mut self, entry: &Entry) {
        for part in [entry.path.as_bytes(), &[entry.kind as u8], &entry.data] {
            self.0.update((part.len() as u64).to_be_bytes());
            self.0.update(part);
        }
    }

    fn text(self) -> String {
        digest::hex(self.0)
    }
}

fn read(path: &Path, id: Option<Id>, sort: Sort, visit: &mut dyn FnMut(Entry)) -> Result<()> {
    let doing = || format!("can't read `{}`", path.display());
    let kind = if sort == Sort::Folder { OFlag::O_DIRECTORY } else { OFlag::empty() };
    let opened = open(path, flags() | kind, Mode::empty()).doing(doing)?;
    let stat = fstat(&opened).doing(doing)?;
    if id.is_some_and(|id| id != Id { device: stat.st_dev as u64, inode: stat.st_ino }) {
        return Err(changed(path));
    }
    let mut reader = Reader { left: MAX_UNPACKED, entries: 0, visit };
    let done = match sort {
        Sort::Folder => reader.folder(opened, "", 0),
        Sort::Archive => reader.file(opened, String::new()),
    };
    done.map_err(|e| Error { what: doing(), causes: std::iter::once(e.what).chain(e.causes).collect(), ..e })
}

/// A pipe must not keep us waiting.
fn flags() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC
}

struct Reader<'a> {
    left: u64,
    entries: usize,
    visit: &'a mut dyn FnMut(Entry),
}

impl Reader<'_> {
    /// All files below, each folder's by their names.
    fn folder(&mut self, folder: OwnedFd, prefix: &str, depth: usize) -> Result<()> {
        let doing = || format!("`{prefix}`");
        if depth > MAX_DEPTH {
            return Err(Error::refused(format!("`{prefix}` is in more than {MAX_DEPTH} folders")));
        }
        let at = folder.try_clone().doing(doing)?;
        let mut names = Vec::new();
        for entry in Dir::from_fd(folder).doing(doing)?.iter() {
            let name = entry.doing(doing)?.file_name().to_bytes().to_vec();
            names.push(String::from_utf8(name).doing(|| format!("a name in `{prefix}` is not UTF-8"))?);
        }
        names.sort_unstable();
        // Hidden files are where keys, repositories and settings of tools are; the program gets none of them.
        names.retain(|name| !name.starts_with('.') && !NOT_ITS_OWN.contains(&name.as_str()));
        for name in names {
            let path = format!("{prefix}{name}");
            let stat = look(at.as_fd(), &name).doing(|| format!("`{path}`"))?;
            match sort_of(&stat) {
                SFlag::S_IFDIR => {
                    let inner = openat(&at, name.as_str(), flags() | OFlag::O_DIRECTORY, Mode::empty());
                    let inner = inner.doing(|| format!("`{path}`"))?;
                    if !MARKS.iter().any(|mark| look(inner.as_fd(), mark).is_ok()) {
                        self.folder(inner, &format!("{path}/"), depth + 1)?;
                    }
                }
                SFlag::S_IFREG => {
                    let file = openat(&at, name.as_str(), flags(), Mode::empty()).doing(|| format!("`{path}`"))?;
                    self.file(file, path)?;
                }
                SFlag::S_IFLNK => {
                    let data = readlinkat(&at, name.as_str()).doing(|| format!("`{path}`"))?;
                    self.add(Entry { path, kind: EntryKind::Link, data: data.as_bytes().to_vec() })?;
                }
                // Sockets, pipes and devices are nobody's source.
                _ => {}
            }
        }
        Ok(())
    }

    fn file(&mut self, file: OwnedFd, path: String) -> Result<()> {
        let doing = || format!("`{path}`");
        let stat = fstat(&file).doing(doing)?;
        if sort_of(&stat) != SFlag::S_IFREG {
            return Err(Error::refused(format!("`{path}` is not a file")));
        }
        let mut data = Vec::new();
        File::from(file).take(self.left + 1).read_to_end(&mut data).doing(doing)?;
        let program = stat.st_mode & 0o100 != 0;
        self.add(Entry { path, kind: if program { EntryKind::Program } else { EntryKind::File }, data })
    }

    fn add(&mut self, entry: Entry) -> Result<()> {
        self.entries += 1;
        let left = self.left.checked_sub(entry.data.len() as u64);
        self.left = left.filter(|_| self.entries <= MAX_ENTRIES).ok_or_else(|| {
            Error::refused(format!("it has more than {} MiB or {MAX_ENTRIES} files", MAX_UNPACKED >> 20))
                .hint("keep what does not belong to the package in another folder")
        })?;
        (self.visit)(entry);
        Ok(())
    }
}

fn look(folder: BorrowedFd<'_>, name: &str) -> nix::Result<FileStat> {
    fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW)
}

fn sort_of(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names = Vec::new();
        read(dir, None, Sort::Folder, &mut |entry| names.push(entry.path)).unwrap();
        names
    }

    fn now(path: &Path, sort: Sort) -> Result<String> {
        let found = Found { real: path.to_owned(), ..Found::at(path).unwrap() };
        content(&found, sort)
    }

    #[test]
    fn only_what_is_the_packages_own() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        for path in [
            "b.py",
            "a/c.py",
            ".env",
            ".git/config",
            "node_modules/x/y",
            "venv/pyvenv.cfg",
            "venv/z",
            "a/__pycache__/c",
        ] {
            let file = dir.join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, path).unwrap();
        }
        symlink("/etc/passwd", dir.join("link")).unwrap();
        assert_eq!(names(dir), ["a/c.py", "b.py", "link"]);
        let before = now(dir, Sort::Folder).unwrap();
        assert_eq!(now(dir, Sort::Folder).unwrap(), before);
        std::fs::write(dir.join(".env"), "other").unwrap();
        assert_eq!(now(dir, Sort::Folder).unwrap(), before, "what is left out says nothing");
        std::fs::write(dir.join("b.py"), "other").unwrap();
        assert_ne!(now(dir, Sort::Folder).unwrap(), before);
    }

    #[test]
    fn nothing_is_read_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("real")).unwrap();
        std::fs::write(dir.path().join("real/x.tgz"), "x").unwrap();
        symlink("real", dir.path().join("link")).unwrap();
        symlink("real/x.tgz", dir.path().join("x.tgz")).unwrap();
        assert!(now(&dir.path().join("link"), Sort::Folder).is_err());
        assert!(now(&dir.path().join("x.tgz"), Sort::Archive).is_err());
        assert!(now(&dir.path().join("real"), Sort::Archive).is_err());
        assert!(now(&dir.path().join("real/x.tgz"), Sort::Folder).is_err());
        let package = |content: String| LocalPackage {
            path: dir.path().join("real/x.tgz").to_str().unwrap().to_owned(),
            sort: Sort::Archive,
            content,
        };
        let hash = now(&dir.path().join("real/x.tgz"), Sort::Archive).unwrap();
        let mut found = Found::at(&dir.path().join("real")).unwrap();
        found.id.inode += 1;
        assert!(content(&found, Sort::Folder).is_err_and(|e| e.to_string().contains("changed")));
        assert!(matches!(fetch(&package(hash)).unwrap(), Content::Archive(bytes) if bytes == b"x"));
        assert!(fetch(&package("0".repeat(64))).is_err_and(|e| e.to_string().contains("changed")));
    }
}
