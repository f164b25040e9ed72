//! Git's packs (gitformat-pack(5)): the files of one commit out of what a server sent. The bytes
//! are anybody's; every size is limited and every object is known by its hash.

use std::collections::HashMap;
use std::io::Read;

use flate2::bufread::ZlibDecoder;
use sha1::{Digest, Sha1};

use crate::error::{Error, Result};
use crate::package::source::Commit;

/// All objects together, unpacked.
const MAX_BYTES: usize = 512 << 20;
/// Objects in a pack, and files in a commit.
const MAX_OBJECTS: u32 = 200_000;
/// Folders in folders.
const MAX_DEPTH: usize = 64;

/// A file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path, with slashes; never absolute, never with `..`.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// Its content, or what a link says.
    pub data: Vec<u8>,
}

/// What a file of a commit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A plain file.
    File,
    /// A file that can be executed.
    Program,
    /// A symbolic link.
    Link,
}

type Id = [u8; 20];

/// Types of objects as packs number them.
const COMMIT: u8 = 1;
const TREE: u8 = 2;
const BLOB: u8 = 3;
const TAG: u8 = 4;
const OFFSET_DELTA: u8 = 6;
const ID_DELTA: u8 = 7;

/// Reads the files of `commit` out of a pack.
pub fn files(pack: &[u8], commit: &Commit) -> Result<Vec<Entry>> {
    let objects = Objects::read(pack).map_err(broken)?;
    let wanted = id_of(commit.as_str()).ok_or_else(|| broken("a commit without a name"))?;
    let text = objects.get(&wanted, COMMIT).ok_or_else(|| broken("the commit is not in it"))?;
    let first = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let tree = first.strip_prefix(b"tree ").and_then(|hex| id_of(std::str::from_utf8(hex).ok()?));
    let tree = tree.ok_or_else(|| broken("the commit has no tree"))?;
    let mut found = Found { entries: Vec::new(), seen: 0, left: MAX_BYTES };
    objects.walk(&tree, "", 0, &mut found)?;
    Ok(found.entries)
}

fn id_of(hex: &str) -> Option<Id> {
    let mut id = [0; 20];
    if hex.len() != 40 || !hex.is_ascii() {
        return None;
    }
    for (i, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(id)
}

/// The objects of a pack.
struct Objects {
    all: Vec<(u8, Vec<u8>)>,
    by_id: HashMap<Id, usize>,
}

/// An object that is told by its difference from another.
struct Delta {
    base: Base,
    offset: usize,
    data: Vec<u8>,
}

enum Base {
    Offset(usize),
    Id(Id),
}

impl Objects {
    fn read(pack: &[u8]) -> std::result::Result<Self, &'static str> {
        let (body, sum) = pack.split_at_checked(pack.len().wrapping_sub(20)).ok_or("it is too short")?;
        if Sha1::digest(body).as_slice() != sum {
            return Err("it broke off, or was changed on its way");
        }
        let count = match body.get(..12) {
            Some([b'P', b'A', b'C', b'K', 0, 0, 0, 2, count @ ..]) => count,
            _ => return Err("it is no pack"),
        };
        let count = count.iter().fold(0, |sum: u32, byte| sum << 8 | u32::from(*byte));
        if count > MAX_OBJECTS {
            return Err("it has too many files");
        }
        let mut objects = Self { all: Vec::new(), by_id: HashMap::new() };
        let mut by_offset = HashMap::new();
        let mut deltas = Vec::new();
        let (mut at, mut left) = (12, MAX_BYTES);
        for _ in 0..count {
            let offset = at;
            let (kind, size) = header(body, &mut at).ok_or("an object has no beginning")?;
            let base = match kind {
                OFFSET_DELTA => {
                    let back = distance(body, &mut at).ok_or("a difference has no base")?;
                    Some(Base::Offset(offset.checked_sub(back).ok_or("a base is outside")?))
                }
                ID_DELTA => {
                    let id = body.get(at..at + 20).and_then(|id| id.try_into().ok()).ok_or("a base is outside")?;
                    at += 20;
                    Some(Base::Id(id))
                }
                COMMIT | TREE | BLOB | TAG => None,
                _ => return Err("an object of no known type"),
            };
            left = left.checked_sub(size).ok_or("it is too large")?;
            let data = inflate(body, &mut at, size)?;
            match base {
                Some(base) => deltas.push(Delta { base, offset, data }),
                None => drop(by_offset.insert(offset, objects.add(kind, data))),
            }
        }
        objects.resolve(deltas, by_offset, left)?;
        Ok(objects)
    }

    fn add(&mut self, kind: u8, data: Vec<u8>) -> usize {
        let word = match kind {
            COMMIT => "commit",
            TREE => "tree",
            BLOB => "blob",
            _ => "tag",
        };
        let mut hash = Sha1::new();
        hash.update(format!("{word} {}\0", data.len()));
        hash.update(&data);
        self.by_id.insert(hash.finalize().into(), self.all.len());
        self.all.push((kind, data));
        self.all.len() - 1
    }

    /// Makes whole objects of differences; a base may itself be one, and may come later.
    fn resolve(
        &mut self,
        mut deltas: Vec<Delta>,
        mut by_offset: HashMap<usize, usize>,
        mut left: usize,
    ) -> std::result::Result<(), &'static str> {
        while !deltas.is_empty() {
            let before = deltas.len();
            let mut waiting = Vec::new();
            for delta in deltas {
                let base = match delta.base {
                    Base::Offset(offset) => by_offset.get(&offset),
                    Base::Id(id) => self.by_id.get(&id),
                };
                let Some(&base) = base else {
                    waiting.push(delta);
                    continue;
                };
                let (kind, data) = &self.all[base];
                let (kind, data) = (*kind, apply(data, &delta.data, left).ok_or("a difference makes no sense")?);
                left -= data.len();
                by_offset.insert(delta.offset, self.add(kind, data));
            }
            if waiting.len() == before {
                return Err("the base of a difference is missing");
            }
            deltas = waiting;
        }
        Ok(())
    }

    fn get(&self, id: &Id, kind: u8) -> Option<&[u8]> {
        let (found, data) = &self.all[*self.by_id.get(id)?];
        (*found == kind).then_some(data)
    }

    /// Puts the files of `tree` into `found`.
    fn walk(&self, tree: &Id, above: &str, depth: usize, found: &mut Found) -> Result<()> {
        let mut rest = self.get(tree, TREE).ok_or_else(|| broken("a folder is missing"))?;
        if depth > MAX_DEPTH {
            return Err(broken("its folders have no end"));
        }
        while !rest.is_empty() {
            let (mode, name, id, after) = tree_entry(rest).ok_or_else(|| broken("a folder can't be read"))?;
            rest = after;
            // The same folder and the same file can be there any number of times.
            found.seen += 1;
            if found.seen > MAX_OBJECTS {
                return Err(broken("it has too many files"));
            }
            let path = format!("{above}{name}");
            let kind = match mode {
                b"40000" | b"040000" => {
                    self.walk(&id, &format!("{path}/"), depth + 1, found)?;
                    continue;
                }
                b"100755" => EntryKind::Program,
                b"120000" => EntryKind::Link,
                b"160000" => return Err(submodule(&path)),
                _ => EntryKind::File,
            };
            let data = self.get(&id, BLOB).ok_or_else(|| broken("a file is missing"))?;
            found.left = found.left.checked_sub(data.len()).ok_or_else(|| broken("it is too large"))?;
            found.entries.push(Entry { path, kind, data: data.to_vec() });
        }
        Ok(())
    }
}

/// What a walk has found.
struct Found {
    entries: Vec<Entry>,
    seen: u32,
    left: usize,
}

fn broken(why: &str) -> Error {
    Error::failed("the git repository's answer makes no sense").because(why)
}

fn submodule(path: &str) -> Error {
    Error::refused(format!("the repository has another one in it, at `{}`", super::shown(path)))
        .because("submodules can't be fetched yet")
        .hint("name the package as a registry has it")
}

/// Type and size of the next object.
fn header(body: &[u8], at: &mut usize) -> Option<(u8, usize)> {
    let mut byte = *body.get(*at)?;
    *at += 1;
    let kind = byte >> 4 & 7;
    let mut size = usize::from(byte & 15);
    let mut shift = 4;
    while byte & 0x80 != 0 {
        byte = *body.get(*at)?;
        *at += 1;
        size |= usize::from(byte & 0x7f).checked_shl(shift).filter(|_| shift < 40)?;
        shift += 7;
    }
    Some((kind, size))
}

/// How far back a base is.
fn distance(body: &[u8], at: &mut usize) -> Option<usize> {
    let mut byte = *body.get(*at)?;
    *at += 1;
    let mut back = usize::from(byte & 0x7f);
    while byte & 0x80 != 0 {
        byte = *body.get(*at)?;
        *at += 1;
        back = back.checked_add(1)?.checked_mul(128)?.checked_add(usize::from(byte & 0x7f))?;
    }
    (back > 0).then_some(back)
}

/// Unpacks the next object's content, which must have `size` bytes.
fn inflate(body: &[u8], at: &mut usize, size: usize) -> std::result::Result<Vec<u8>, &'static str> {
    let mut decoder = ZlibDecoder::new(body.get(*at..).unwrap_or_default());
    let mut data = Vec::new();
    let read = decoder.by_ref().take(size as u64 + 1).read_to_end(&mut data);
    if read.is_err() || data.len() != size {
        return Err("an object can't be unpacked");
    }
    *at += usize::try_from(decoder.total_in()).unwrap_or(usize::MAX);
    Ok(data)
}

/// The object that `delta` makes of `base`, at most `most` bytes.
fn apply(base: &[u8], mut delta: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut size = || {
        let (mut size, mut shift) = (0usize, 0);
        loop {
            let (byte, rest) = delta.split_first()?;
            delta = rest;
            size |= usize::from(byte & 0x7f).checked_shl(shift).filter(|_| shift < 40)?;
            shift += 7;
            if byte & 0x80 == 0 {
                return Some(size);
            }
        }
    };
    let (from, to) = (size()?, size()?);
    if from != base.len() || to > most {
        return None;
    }
    let mut made = Vec::new();
    while let Some((&op, mut rest)) = delta.split_first() {
        if op & 0x80 != 0 {
            let mut number = |bits: &[u8]| {
                let mut value = 0usize;
                for (i, bit) in bits.iter().enumerate() {
                    if op & bit != 0 {
                        let (byte, after) = rest.split_first()?;
                        rest = after;
                        value |= usize::from(*byte) << (8 * i);
                    }
                }
                Some(value)
            };
            let offset = number(&[1, 2, 4, 8])?;
            let length = match number(&[16, 32, 64])? {
                0 => 0x10000,
                length => length,
            };
            made.extend_from_slice(base.get(offset..offset.checked_add(length)?)?);
        } else if op != 0 {
            let (new, after) = rest.split_at_checked(op.into())?;
            made.extend_from_slice(new);
            rest = after;
        } else {
            return None;
        }
        if made.len() > to {
            return None;
        }
        delta = rest;
    }
    (made.len() == to).then_some(made)
}

/// Mode, name and object of a folder's first entry, and what follows it.
fn tree_entry(rest: &[u8]) -> Option<(&[u8], &str, Id, &[u8])> {
    let space = rest.iter().position(|b| *b == b' ')?;
    let end = rest.iter().position(|b| *b == 0)?;
    let name = std::str::from_utf8(rest.get(space + 1..end)?).ok()?;
    let id = rest.get(end + 1..end + 21)?.try_into().ok()?;
    let safe = !matches!(name, "" | "." | "..") && !name.contains('/') && !name.eq_ignore_ascii_case(".git");
    safe.then(|| (&rest[..space], name, id, &rest[end + 21..]))
}

#[cfg(test)]
#[path = "pack_tests.rs"]
mod tests;
