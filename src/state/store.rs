//! Reading and writing our files.

use std::io::{ErrorKind, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Layout, private_dir};
use crate::error::{Doing, Result};
use crate::ui;

/// Reads a record. `None` if there is none, or none that can be used: such a file is reported
/// and moved to the set-aside folder, so that what it described is made anew.
pub fn read<T: DeserializeOwned>(layout: &Layout, path: &Path) -> Result<Option<T>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).doing(|| format!("can't read `{}`", path.display())),
    };
    match serde_json::from_slice(&bytes) {
        Ok(value) => Ok(Some(value)),
        Err(e) => {
            set_aside(layout, path, &e.to_string());
            Ok(None)
        }
    }
}

fn set_aside(layout: &Layout, path: &Path, why: &str) {
    let dir = layout.set_aside();
    let name = path.file_name().unwrap_or_default();
    let moved = private_dir(&dir).is_ok() && std::fs::rename(path, dir.join(name)).is_ok();
    let fate = if moved { "set aside" } else { "ignored" };
    ui::note(&format!("`{}` can't be read ({why}): {fate}, made anew", path.display()));
}

/// All records in a folder. `what` they are is for the failure to say.
pub fn all<T: DeserializeOwned>(layout: &Layout, dir: &Path, what: &str) -> Result<Vec<T>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).doing(|| format!("can't list the {what}")),
    };
    let mut all = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()).filter(|p| p.extension().is_some_and(|e| e == "json")) {
        all.extend(read(layout, &path)?);
    }
    Ok(all)
}

/// Writes a record: temporary file beside it, sync, rename, sync of the folder, so that a crash
/// leaves the old one or the new one and never half of one.
pub fn write<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(value).doing(|| "can't write a record".into())?;
    bytes.push(b'\n');
    write_bytes(path, &bytes)
}

/// Writes a file in the same way.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    private_dir(dir)?;
    let written = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        std::fs::File::open(dir)?.sync_all()
    };
    written().doing(|| format!("can't write `{}`", path.display()))
}

/// Removes a file; one that is not there is as good as removed.
pub fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e).doing(|| format!("can't remove `{}`", path.display())),
        _ => Ok(()),
    }
}

/// Removes a folder with all that is in it; one that is not there is as good as removed.
pub fn remove_folder(dir: &Path) -> Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e).doing(|| format!("can't remove `{}`", dir.display())),
        _ => Ok(()),
    }
}
