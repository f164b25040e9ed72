//! Whether the engine mounted what the shim had looked at. Between the two anybody who may write
//! in a folder above can put a link in its place; what is mounted now, nobody can exchange.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use jitbox_guest::protocol::Mounted;
use nix::sys::statvfs::{FsFlags, statvfs};

/// The first that is not as it should be.
pub fn changed(mounts: &[Mounted]) -> Option<u64> {
    mounts.iter().position(|mount| !is_as_seen(mount)).map(|at| at as u64)
}

fn is_as_seen(mount: &Mounted) -> bool {
    let path = Path::new(OsStr::from_bytes(&mount.path));
    // What can't be looked at is not what was looked at.
    let same = path.metadata().is_ok_and(|meta| (meta.dev(), meta.ino()) == (mount.device, mount.inode));
    let read_only = || statvfs(path).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_RDONLY));
    same && (mount.writable || read_only())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_folder_shows() {
        let seen = |path: &str| {
            let meta = Path::new(path).metadata().expect("is there");
            Mounted { path: path.into(), device: meta.dev(), inode: meta.ino(), writable: true }
        };
        let (root, tmp) = (seen("/"), seen("/tmp"));
        assert_eq!(changed(&[root.clone(), tmp.clone()]), None);
        let swapped = Mounted { path: b"/".to_vec(), ..tmp };
        assert_eq!(changed(&[root, swapped.clone()]), Some(1));
        assert_eq!(changed(&[Mounted { path: b"/no/such/place".to_vec(), ..swapped }]), Some(0));
        // The file system of the kernel's own settings is writable here.
        assert_eq!(changed(&[Mounted { writable: false, ..seen("/dev") }]), Some(0));
    }
}
