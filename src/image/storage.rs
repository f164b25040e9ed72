//! A quirk of podman's before 5: where a user's `storage.conf` says where images are (`graphroot`) and not where podman
//! keeps what is running (`runroot`), which has a default, `commit` alone refuses ("runroot must be set"; seen with 4.3,
//! rootless). It gets the same file with that default in it, under another name: in such a one, another setting says where
//! a user's images are.

use std::ffi::OsString;
use std::time::Duration;

use crate::engine::{Engine, argv};
use crate::error::{Doing, Error, Result};
use crate::exec::Cmd;
use crate::state::runs::Run;
use crate::state::store;

/// How long podman may take to say where its files are.
const LIMIT: Duration = Duration::from_secs(30);

/// What podman says of it.
const COMPLAINT: &[u8] = b"runroot must be set";

/// Whether that is why a command failed.
pub(super) fn is_why(words: &[u8]) -> bool {
    words.windows(COMPLAINT.len()).any(|part| part == COMPLAINT)
}

/// The environment with which the command succeeds.
pub(super) fn environment(engine: &Engine, run: &Run) -> Result<Vec<(OsString, OsString)>> {
    let command = Cmd::engine(engine, argv::storage(engine));
    let said = String::from_utf8_lossy(&command.checked(command.output(&[], LIMIT)?)?).into_owned();
    let mut lines = said.lines();
    let (Some(file), Some(runroot), Some(graphroot)) = (lines.next(), lines.next(), lines.next()) else {
        return Err(Error::failed("podman does not say where its files are"));
    };
    let text = std::fs::read_to_string(file).doing(|| format!("can't read `{file}`"))?;
    let ours = run.folder_for("storage")?.join("storage.conf");
    store::write_bytes(&ours, completed(&text, runroot, graphroot)?.as_bytes())?;
    Ok(vec![("CONTAINERS_STORAGE_CONF".into(), ours.into())])
}

fn completed(text: &str, runroot: &str, graphroot: &str) -> Result<String> {
    let doing = || "can't read podman's storage.conf".to_owned();
    let mut all: toml::Table = text.parse().doing(doing)?;
    let storage = all.entry("storage").or_insert_with(|| toml::Table::new().into());
    if let Some(storage) = storage.as_table_mut() {
        storage.insert("runroot".to_owned(), runroot.into());
        storage.insert("rootless_storage_path".to_owned(), graphroot.into());
    }
    toml::to_string(&all).doing(doing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_what_is_missing_is_added() {
        let text = "[storage]\ndriver = \"overlay\"\ngraphroot = \"/data/x\"\n[storage.options]\nsize = \"\"\n";
        let table: toml::Table = completed(text, "/run/x", "/data/x").unwrap().parse().unwrap();
        let mut expected: toml::Table = text.parse().unwrap();
        let storage = expected["storage"].as_table_mut().unwrap();
        storage.insert("runroot".into(), "/run/x".into());
        storage.insert("rootless_storage_path".into(), "/data/x".into());
        assert_eq!(table, expected);
        assert!(completed("[storage", "", "").is_err());
    }
}
