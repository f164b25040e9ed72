//! What an editable installation leaves in an environment: a wheel with a project's name, version and commands, and a
//! `.pth` file that leads to its folder (PEP 660). The code itself is not in it, so it is the same for as long as the
//! project says the same of itself.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use flate2::Crc;
use sha2::{Digest, Sha256};

use super::pypi::PypiName;
use super::shown;
use crate::error::{Error, Result};

/// A wheel of our own making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Editable {
    /// The project.
    pub name: PypiName,
    /// Its version.
    pub version: String,
    /// The commands that it brings along.
    pub commands: Vec<String>,
    /// The folders that its packages are in.
    pub roots: Vec<String>,
    /// The wheel's file name.
    pub file: String,
    /// The wheel.
    pub bytes: Vec<u8>,
}

/// An entry point of a project (PyPA, "Entry points specification").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    group: String,
    name: String,
    object: String,
}

impl Entry {
    /// Checks that it is one line of text, and can be no other line of the file that it is written to.
    pub fn new(group: &str, name: &str, object: &str) -> Result<Self> {
        let word = |text: &str, more: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "._-".contains(c) || more.contains(c))
        };
        if !word(group, "") || !word(name, "") || !word(object, ":[], ") {
            return Err(Error::usage(format!("its entry point `{} = {}` can't be read", shown(name), shown(object))));
        }
        Ok(Self { group: group.to_owned(), name: name.to_owned(), object: object.to_owned() })
    }
}

impl Editable {
    /// Makes it; the same always makes the same bytes. Fails if a root can't stand in a `.pth` file.
    pub fn new(name: &PypiName, version: &str, entries: Vec<Entry>, roots: Vec<String>) -> Result<Self> {
        // A line that starts with `import` is run (site, in Python's library); these all start with `/`.
        if let Some(root) = roots.iter().find(|root| !root.starts_with('/') || root.contains(['\n', '\r'])) {
            return Err(Error::refused(format!("`{}` can't be on Python's path", shown(root))));
        }
        let word = name.as_str().replace('-', "_");
        let info = format!("{word}-{version}.dist-info");
        let mut points = String::new();
        for (at, entry) in entries.iter().enumerate() {
            if at == 0 || entries[at - 1].group != entry.group {
                points.push_str(&format!("[{}]\n", entry.group));
            }
            points.push_str(&format!("{} = {}\n", entry.name, entry.object));
        }
        let metadata = format!("Metadata-Version: 2.1\nName: {}\nVersion: {version}\n", name.as_str());
        let wheel = "Wheel-Version: 1.0\nGenerator: jitbox\nRoot-Is-Purelib: true\nTag: py3-none-any\n".to_owned();
        let mut files = vec![
            (format!("_{word}.pth"), roots.iter().map(|root| format!("{root}\n")).collect()),
            (format!("{info}/METADATA"), metadata),
            (format!("{info}/WHEEL"), wheel),
            (format!("{info}/entry_points.txt"), points),
        ];
        let mut record = String::new();
        for (path, text) in &files {
            let hash = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(text));
            record.push_str(&format!("{path},sha256={hash},{}\n", text.len()));
        }
        record.push_str(&format!("{info}/RECORD,,\n"));
        files.push((format!("{info}/RECORD"), record));
        let is_command = |entry: &&Entry| ["console_scripts", "gui_scripts"].contains(&entry.group.as_str());
        Ok(Self {
            name: name.clone(),
            version: version.to_owned(),
            commands: entries.iter().filter(is_command).map(|entry| entry.name.clone()).collect(),
            roots,
            file: format!("{word}-{version}-py3-none-any.whl"),
            bytes: zipped(&files),
        })
    }
}

/// An archive without compression (PKWARE's APPNOTE, 4.3): the few hundred bytes of these files need no crate for it.
fn zipped(files: &[(String, String)]) -> Vec<u8> {
    let (mut body, mut directory) = (Vec::new(), Vec::new());
    for (name, text) in files {
        let offset = body.len() as u32;
        let mut crc = Crc::new();
        crc.update(text.as_bytes());
        let mut header = Vec::new();
        // Version, flags, method, time, the first of January 1980.
        [20_u16, 0, 0, 0, 0x21].iter().for_each(|n| header.extend(n.to_le_bytes()));
        [crc.sum(), text.len() as u32, text.len() as u32].iter().for_each(|n| header.extend(n.to_le_bytes()));
        [name.len() as u16, 0].iter().for_each(|n| header.extend(n.to_le_bytes()));
        body.extend(*b"PK\x03\x04");
        body.extend(&header);
        body.extend(name.bytes().chain(text.bytes()));
        directory.extend(*b"PK\x01\x02\x14\x03");
        directory.extend(&header);
        // Comment, disk, inner attributes; a plain file.
        directory.extend([0; 6]);
        directory.extend((0o100_644_u32 << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(name.bytes());
    }
    let (start, size, count) = (body.len() as u32, directory.len() as u32, files.len() as u16);
    body.extend(directory);
    body.extend(*b"PK\x05\x06\0\0\0\0");
    [count, count].iter().for_each(|n| body.extend(n.to_le_bytes()));
    [size, start].iter().for_each(|n| body.extend(n.to_le_bytes()));
    body.extend([0; 2]);
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_it() {
        let entry = |name: &str| Entry::new("console_scripts", name, "a_b.server:main").unwrap();
        let name = PypiName::parse("A.b").unwrap();
        let made = Editable::new(&name, "1.5", vec![entry("run"), entry("run-2")], vec!["/d/src".into()]).unwrap();
        assert_eq!((made.file.as_str(), made.commands.len()), ("a_b-1.5-py3-none-any.whl", 2));
        let text = String::from_utf8_lossy(&made.bytes);
        for part in [
            "_a_b.pth/d/src\n",
            "a_b-1.5.dist-info/METADATAMetadata-Version: 2.1\nName: a-b\nVersion: 1.5\n",
            "[console_scripts]\nrun = a_b.server:main\nrun-2 = a_b.server:main\n",
            "\na_b-1.5.dist-info/RECORD,,\n",
        ] {
            assert!(text.contains(part), "{part:?}: {text}");
        }
    }

    #[test]
    fn nothing_writes_another_line() {
        for (name, object) in [("a\nb", "c:d"), ("a", "c:d\n[x]"), ("", "c:d"), ("a = b", "c:d"), ("a", "")] {
            assert!(Entry::new("console_scripts", name, object).is_err(), "{name:?} {object:?}");
        }
        let name = PypiName::parse("a").unwrap();
        for root in ["import os", "/a\nimport os", ""] {
            assert!(Editable::new(&name, "1", Vec::new(), vec![root.into()]).is_err(), "{root}");
        }
    }
}
