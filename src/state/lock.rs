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

/// Takes the lock at `path`, unless somebody else has it.
pub fn try_take(path: &Path) -> Result<Option<Lock>> {
    match open(path)? {
        (file, Ok(())) => Ok(Some(Lock(file))),
        (_, Err(TryLockError::WouldBlock)) => Ok(None),
        (_, Err(TryLockError::Error(e))) => Err(e).doing(|| doing(path)),
    }
}

/// Takes the lock at `path`. `waiting` is called once if somebody else has it.
pub fn take(path: &Path, waiting: impl FnOnce()) -> Result<Lock> {
    let (file, tried) = open(path)?;
    match tried {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            waiting();
            file.lock().doing(|| doing(path))?;
        }
        Err(TryLockError::Error(e)) => return Err(e).doing(|| doing(path)),
    }
    Ok(Lock(file))
}

fn open(path: &Path) -> Result<(File, std::result::Result<(), TryLockError>)> {
    private_dir(path.parent().unwrap_or(Path::new("/")))?;
    let file = File::options().create(true).truncate(false).write(true).open(path).doing(|| doing(path))?;
    let tried = file.try_lock();
    Ok((file, tried))
}

fn doing(path: &Path) -> String {
    format!("can't lock `{}`", path.display())
}
