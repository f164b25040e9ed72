//! npm's install scripts, of packages that the user allowed them: they run when all has been fetched, in a container of
//! the box's own image like that in which wheels are built, with no network, no secrets and nothing of the host. What
//! they leave in their own package's folder is added to the image; nothing else comes out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::making::{Making, unfinished};
use super::template::SCRIPTS;
use crate::error::{Doing, Error, Result};
use crate::package::shown;
use crate::policy::{self, Decided};

/// Where they may write: no folder that is there, since older runc gives a tmpfs the mode of the folder that it covers.
const PLACE: &str = "/scripts";

/// How long all scripts of a box may take.
const LIMIT: Duration = Duration::from_secs(600);

/// What tells the scripts of installed packages, as an argument of `node -e`. Its own arguments: their folders.
pub const TELL: &str = r#"
const fs = require("node:fs");
const told = {};
for (const folder of process.argv.slice(1)) {
  try {
    const { scripts = {} } = JSON.parse(fs.readFileSync(`/app/${folder}/package.json`, "utf8"));
    told[folder] = ["preinstall", "install", "postinstall"].filter((s) => scripts[s]).map((s) => [s, `${scripts[s]}`]);
    // npm, "package.json", scripts: what is there without a word.
    const gyp = fs.existsSync(`/app/${folder}/binding.gyp`) && !scripts.preinstall && !scripts.install;
    if (gyp) told[folder].push(["install", "node-gyp rebuild"]);
  } catch {}
}
console.log(JSON.stringify(told));
"#;

/// Packages with install scripts, and what those do, as a person would type it.
pub type Told = BTreeMap<String, String>;

/// Reads what [`TELL`] said of `scripted`. What is for other systems has not been installed.
pub fn told(said: &[u8], scripted: &BTreeMap<String, Vec<String>>) -> Result<Told> {
    #[derive(Deserialize)]
    struct Script(String, String);
    let said: BTreeMap<String, Vec<Script>> =
        serde_json::from_slice(said).doing(|| "can't read the packages' scripts".into())?;
    let text = |folder: &String| {
        let scripts = said.get(folder).filter(|scripts| !scripts.is_empty())?;
        Some(scripts.iter().map(|Script(name, text)| format!("{name}: {}", shown(text))).collect::<Vec<_>>().join("; "))
    };
    let one = |(name, folders): (&String, &Vec<String>)| Some((name.clone(), folders.iter().find_map(text)?));
    Ok(scripted.iter().filter_map(one).collect())
}

impl Making<'_> {
    /// The container in which the scripts of `packages`, names with their folders, run.
    pub fn scripts_plan(&self, image: &str, packages: &BTreeMap<String, Vec<String>>) -> Decided {
        let mut words = ["sh", "-c", SCRIPTS, "sh"].map(str::to_owned).to_vec();
        words.extend(packages.values().flatten().cloned());
        words.push("--".to_owned());
        words.extend(packages.keys().cloned());
        policy::building(self.layout, self.engine, image, PLACE, words)
    }

    /// Runs the scripts of `packages` in a container of `image`: what they made, as an archive with nothing in it but
    /// files and links in the packages' own folders.
    pub fn scripts(&self, image: &str, packages: &BTreeMap<String, Vec<String>>) -> Result<Vec<u8>> {
        let done = self.step("install scripts", self.scripts_plan(image, packages), &[], LIMIT)?;
        if !done.status.success() {
            return Err(unfinished("the install scripts failed", done.status, &done.stderr)
                .because("they run without a network and without compilers"));
        }
        let folders: BTreeSet<&str> = packages.values().flatten().map(String::as_str).collect();
        cleaned(&done.stdout, &folders)
    }
}

/// What is in the archive that a package's code had a hand in.
enum Made {
    File { bytes: Vec<u8>, executable: bool },
    Link(PathBuf),
}

/// An archive of the same files, written by us: owned by root, in the given folders, and links that stay there.
fn cleaned(archive: &[u8], folders: &BTreeSet<&str>) -> Result<Vec<u8>> {
    let doing = || "can't read what the install scripts made".to_owned();
    let mut made = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries().doing(doing)? {
        let mut entry = entry.doing(doing)?;
        let path = entry.path().doing(doing)?.into_owned();
        let Some(folder) = folder_of(&path, folders) else {
            return Err(Error::failed(doing()).because(format!("`{}` is in no package's folder", path.display())));
        };
        let one = match entry.header().entry_type() {
            tar::EntryType::Regular => {
                let executable = entry.header().mode().doing(doing)? & 0o100 != 0;
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).doing(doing)?;
                Made::File { bytes, executable }
            }
            tar::EntryType::Symlink => match entry.link_name().doing(doing)? {
                Some(target) if stays(&path, &target, folder) => Made::Link(target.into_owned()),
                // It could lead anywhere in a box, where nothing is that the package could not name by itself; but a
                // later file below it would be written there.
                _ => continue,
            },
            kind => return Err(Error::failed(doing()).because(format!("`{}` is {kind:?}", path.display()))),
        };
        made.insert(path, one);
    }
    written(&made).doing(|| "can't keep what the install scripts made".to_owned())
}

fn written(made: &BTreeMap<PathBuf, Made>) -> std::io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    // Nothing is below a link.
    let below_link = |path: &Path| path.ancestors().skip(1).any(|above| matches!(made.get(above), Some(Made::Link(_))));
    for (path, one) in made.iter().filter(|(path, _)| !below_link(path)) {
        let mut header = tar::Header::new_gnu();
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        match one {
            Made::File { bytes, executable } => {
                header.set_size(bytes.len() as u64);
                header.set_mode(if *executable { 0o755 } else { 0o644 });
                builder.append_data(&mut header, path, &bytes[..])?;
            }
            Made::Link(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                header.set_mode(0o777);
                builder.append_link(&mut header, path, target)?;
            }
        }
    }
    builder.into_inner()
}

/// The package's folder that a plain path is in, and not in that of a package which it brings along.
fn folder_of<'a>(path: &Path, folders: &BTreeSet<&'a str>) -> Option<&'a str> {
    let folder = folders.iter().filter(|folder| path.starts_with(folder)).max_by_key(|folder| folder.len())?;
    let rest = path.strip_prefix(folder).ok()?;
    let plain = rest.components().all(|c| matches!(c, Component::Normal(word) if word != "node_modules"));
    (plain && rest.components().next().is_some()).then_some(folder)
}

/// Whether a link at `path` leads to somewhere in `folder`.
fn stays(path: &Path, target: &Path, folder: &str) -> bool {
    let mut at = path.parent().unwrap_or(path).to_owned();
    for component in target.components() {
        match component {
            Component::Normal(word) => at.push(word),
            Component::CurDir => {}
            Component::ParentDir if at.pop() && at.starts_with(folder) => {}
            _ => return false,
        }
    }
    at.starts_with(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, u8, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, kind, content) in entries {
            let mut header = tar::Header::new_gnu();
            // As a hostile one would: the name is written as it is.
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            header.set_mode(0o4755);
            header.set_uid(7);
            header.set_entry_type(tar::EntryType::new(*kind));
            let is_file = *kind == b'0';
            header.set_size(if is_file { content.len() as u64 } else { 0 });
            if !is_file {
                header.as_mut_bytes()[157..157 + content.len()].copy_from_slice(content.as_bytes());
            }
            header.set_cksum();
            builder.append(&header, if is_file { content.as_bytes() } else { &[] }).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn kept(entries: &[(&str, u8, &str)]) -> Result<Vec<(String, u32, u64)>> {
        let folders = ["node_modules/a", "node_modules/a/node_modules/b"].into_iter().collect();
        let bytes = cleaned(&archive(entries), &folders)?;
        let mut archive = tar::Archive::new(&bytes[..]);
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let header = entry.header();
            (entry.path().unwrap().display().to_string(), header.mode().unwrap(), header.uid().unwrap())
        });
        Ok(entries.collect())
    }

    #[test]
    fn only_the_packages_own_folders() {
        let made = kept(&[
            ("node_modules/a/x", b'0', "1"),
            ("node_modules/a/node_modules/b/y", b'0', "2"),
            ("node_modules/a/l", b'2', "deep/../x"),
            ("node_modules/a/out", b'2', "../c/x"),
            ("node_modules/a/root", b'2', "/etc"),
            ("node_modules/a/d", b'2', "deep"),
            ("node_modules/a/d/z", b'0', "3"),
        ]);
        let names: Vec<String> = made.as_ref().unwrap().iter().map(|(name, ..)| name.clone()).collect();
        assert_eq!(
            names,
            ["node_modules/a/d", "node_modules/a/l", "node_modules/a/node_modules/b/y", "node_modules/a/x"]
        );
        let (_, mode, uid) = &made.unwrap()[3];
        assert_eq!((*mode, *uid), (0o755, 0), "no set-user-ID, and root's");
        for path in
            ["node_modules/c/x", "node_modules/a/node_modules/c/x", "node_modules/a/../c", "/etc/x", "node_modules/a"]
        {
            assert!(kept(&[(path, b'0', "x")]).is_err(), "{path}");
        }
        assert!(kept(&[("node_modules/a/pipe", b'6', "")]).is_err());
    }

    #[test]
    fn what_scripts_there_are() {
        let scripted = [("a", vec!["node_modules/a"]), ("gone", vec!["node_modules/gone"])];
        let scripted =
            scripted.map(|(name, at)| (name.to_owned(), at.into_iter().map(str::to_owned).collect::<Vec<_>>())).into();
        let said = br#"{"node_modules/a":[["install","node x.js"],["postinstall","y"]]}"#;
        let told = told(said, &scripted).unwrap();
        assert_eq!(
            told.into_iter().collect::<Vec<_>>(),
            [("a".to_owned(), "install: node x.js; postinstall: y".to_owned())]
        );
    }
}
