//! Paths as they are on this machine: what a name leads to, and where that is. The only part of
//! policy that looks; it decides nothing.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

/// What tells one file or folder from all others, under whatever name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// The file system.
    pub device: u64,
    /// The inode.
    pub inode: u64,
}

impl From<&Metadata> for Id {
    fn from(meta: &Metadata) -> Self {
        Self { device: meta.dev(), inode: meta.ino() }
    }
}

/// What a path leads to, if it leads anywhere.
pub fn id_of(path: &Path) -> Option<Id> {
    std::fs::metadata(path).ok().as_ref().map(Id::from)
}

/// What something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// A folder.
    Folder,
    /// A file.
    File,
    /// A socket, a pipe or a device: somebody else is at its other end.
    Other,
}

/// A path that leads somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The path as the program will use it, made absolute.
    pub asked: PathBuf,
    /// What it really is, without symbolic links.
    pub real: PathBuf,
    /// Which file or folder that is.
    pub id: Id,
    /// The folders above it.
    pub above: Vec<Id>,
    /// Other file systems, and other places of this one, that are mounted below it: a box that
    /// gets the one gets the others.
    pub inner: Vec<Id>,
    /// Its owner and its group.
    pub owner: (u32, u32),
    /// What it is.
    pub sort: Sort,
}

impl Found {
    /// Looks at what is at `asked`, an absolute path, now: its real path and its number are
    /// those of one and the same thing, whoever changes links meanwhile.
    pub fn at(asked: &Path) -> io::Result<Self> {
        let (real, meta) = opened(asked)?;
        let kind = meta.file_type();
        let other = kind.is_socket() || kind.is_fifo() || kind.is_block_device() || kind.is_char_device();
        let sort = match () {
            () if other => Sort::Other,
            () if meta.is_dir() => Sort::Folder,
            () => Sort::File,
        };
        Ok(Self {
            id: Id::from(&meta),
            above: real.ancestors().skip(1).filter_map(id_of).collect(),
            inner: if sort == Sort::Folder { mounted_below(&real) } else { Vec::new() },
            owner: (meta.uid(), meta.gid()),
            sort,
            asked: asked.to_owned(),
            real,
        })
    }
}

#[cfg(target_os = "linux")]
fn opened(path: &Path) -> io::Result<(PathBuf, Metadata)> {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::OpenOptionsExt;
    // Opened for nothing but to know what it is (open(2), O_PATH): no permission is needed, and
    // no pipe or device notices.
    let file = File::options().read(true).custom_flags(nix::libc::O_PATH).open(path)?;
    let meta = file.metadata()?;
    let real = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    // A name that is gone, or of another mount namespace, leads elsewhere or nowhere.
    if id_of(&real) != Some(Id::from(&meta)) {
        return Err(io::Error::from(io::ErrorKind::NotFound));
    }
    Ok((real, meta))
}

#[cfg(not(target_os = "linux"))]
fn opened(path: &Path) -> io::Result<(PathBuf, Metadata)> {
    let real = path.canonicalize()?;
    let meta = File::open(&real)?.metadata()?;
    Ok((real, meta))
}

/// What is mounted below a folder (proc_pid_mountinfo(5), the fifth field).
fn mounted_below(folder: &Path) -> Vec<Id> {
    let table = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    let points = table.split(|b| *b == b'\n').filter_map(|line| line.split(|b| *b == b' ').nth(4));
    let paths = points.map(|point| PathBuf::from(std::ffi::OsStr::from_bytes(&unescaped(point))));
    paths.filter(|path| path != folder && path.starts_with(folder)).filter_map(|path| id_of(&path)).collect()
}

/// A path there has spaces and the like as `\040`.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|d| *first == b'\\' && d.iter().all(|b| (b'0'..=b'7').contains(b)));
        match digits {
            Some(digits) => {
                out.push(digits.iter().fold(0u8, |n, digit| n.wrapping_mul(8).wrapping_add(digit - b'0')));
                rest = &after[3..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
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
        if !found.iter().any(|f| f.asked == asked)
            && let Ok(one) = Found::at(&asked)
        {
            found.push(one);
        }
    }
    found
}

/// Without `.` and `..`; those of the path as it was typed, not of what links mean.
pub fn plain(path: &Path) -> PathBuf {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_are_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("build")).unwrap();
        let args: Vec<OsString> = ["build", "./build", "--dir=/tmp", "/does/not/exist", "."].map(Into::into).to_vec();
        let found = look(&args, dir.path());
        let asked: Vec<_> = found.iter().map(|f| f.asked.strip_prefix(dir.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(asked, ["build", ""]);
    }

    #[test]
    fn a_path_is_what_it_leads_to() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("real")).unwrap();
        std::fs::write(at("real/file"), "x").unwrap();
        std::os::unix::fs::symlink(at("real"), at("link")).unwrap();
        let found = Found::at(&at("link/file")).unwrap();
        assert_eq!(found.real, at("real/file").canonicalize().unwrap());
        assert_eq!((found.sort, found.id), (Sort::File, id_of(&at("real/file")).unwrap()));
        assert_eq!(found.above.first().copied(), id_of(&at("real")));
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        assert_eq!(Found::at(&at("socket")).unwrap().sort, Sort::Other);
        assert_eq!(Found::at(Path::new("/dev/null")).unwrap().sort, Sort::Other);
        assert!(Found::at(&at("nothing")).is_err());
    }

    #[test]
    fn mountinfo_is_unescaped() {
        assert_eq!(unescaped(b"/a\\040b\\134c\\"), b"/a b\\c\\");
    }
}
