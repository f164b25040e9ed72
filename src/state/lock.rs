//! One builder at a time: a lock file for each box.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::private_dir;
use crate::error::{Doing, Result};

/// Held until dropped. The kernel lets go of it when its owner dies, however it dies.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held for its lock")] File);

/// Whether somebody has the lock at `path`.
pub fn is_held(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Takes the lock at `path`. `waiting` is called once if somebody else has it.
pub fn take(path: &Path, waiting: impl FnOnce()) -> Result<Lock> {
    private_dir(path.parent().unwrap_or(Path::new("/")))?;
    let doing = || format!("can't lock `{}`", path.display());
    let file = File::options().create(true).truncate(false).write(true).open(path).doing(doing)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            waiting();
            file.lock().doing(doing)?;
        }
        Err(TryLockError::Error(e)) => return Err(e).doing(doing),
    }
    Ok(Lock(file))
}
