//! Packs that git made of one commit: `git rev-list --objects HEAD | git pack-objects --stdout`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;

use super::*;

/// With `--delta-base-offset`.
const BY_OFFSET: &str = "\
    UEFDSwAAAAIAAAAKmgh4nI3KUQqDMAyA4feeIu+CpLYxLQzZVbI2MsHaIRl4/HmE/Y8fv52qgCySSgqTYiShHDP58CKKvpY1B165UOUsTr727i \
    cYPOypl7TPrmPpbQFPzCnMCREGvHO3ts1M/5pdP9T9AOI9JzGvB3icMzQwMDMxUUjUK6koYZivOPnyu9e2dxLWfVPd1XbbxHuB8kMTAyBQSMrM \
    YzB8sfCnKt9c+3usZgcaOhOXaW5OXA+RTUlNLWDQivj87aX55LiczS/+KHIs8eOZKxtoCDE9NbegpJLh2dxHszddvObs3a25rjzqxqEnPcETAQ \
    SpNou/iAF4nJ3Vyw3CQAxF0T1VuARsh18BLJAQPURgJyONZqQQ+gdKyF1bd3f0XEsLUekpo2SpIes8rlLeUnubJFr/TLNkX37nV8mMJdozdvVf \
    GaocVQOqDqg6ouqEqjOqLqjSPcuYDmU8lPlQBkSZEGVElBlRhkQ3K7nfHlcxpsTghjAlxpQYU2JMiTElxpQYU2JsS5wpcabE4athSpwpcabEmR \
    JnSpwpcaZk2KzkC0jS7JPgAYAxeJzrF+wX3MDDMnkDI+tmQZY6FgArOQSUrwF4nDM0MDA3NVUoKs1jcExmzvuVutfLbV6pUrpnP+Mrs6UxAJnS \
    Cv+yAXicU1bUT8rM0y/O4EpNzshXyMjkAgAxVgVbrQN4nDMxAAKF1CIGZq/FzJEJnLk71nnssUjQXLzghMdjQyOwbE5mXjbDjc2an+97xFf5qx \
    8+rzFt9/GYoNZWAImIGAehAnicMzQwMDMxUUjSK6koYah0YrY/fWGBrVrEnHlXFzG/4bzpMR8AsewMnDh4nNPT00/UK6koAQAJMQJ7MHicAwAA \
    AAAButTgxjwBzckTev1xbl2MwTOqe9w=";

/// Without.
const BY_ID: &str = "\
    UEFDSwAAAAIAAAAKmgh4nI3KUQqDMAyA4feeIu+CpLYxLQzZVbI2MsHaIRl4/HmE/Y8fv52qgCySSgqTYiShHDP58CKKvpY1B165UOUsTr727i \
    cYPOypl7TPrmPpbQFPzCnMCREGvHO3ts1M/5pdP9T9AOI9JzGvB3icMzQwMDMxUUjUK6koYZivOPnyu9e2dxLWfVPd1XbbxHuB8kMTAyBQSMrM \
    YzB8sfCnKt9c+3usZgcaOhOXaW5OXA+RTUlNLWDQivj87aX55LiczS/+KHIs8eOZKxtoCDE9NbegpJLh2dxHszddvObs3a25rjzqxqEnPcETAQ \
    SpNou/iAF4nJ3Vyw3CQAxF0T1VuARsh18BLJAQPURgJyONZqQQ+gdKyF1bd3f0XEsLUekpo2SpIes8rlLeUnubJFr/TLNkX37nV8mMJdozdvVf \
    GaocVQOqDqg6ouqEqjOqLqjSPcuYDmU8lPlQBkSZEGVElBlRhkQ3K7nfHlcxpsTghjAlxpQYU2JMiTElxpQYU2JsS5wpcabE4athSpwpcabEmR \
    JnSpwpcaZk2KzkC0jS7JPwAXlCAz/L0KA9JlicntWiA+wJ2UifeJzrF+wX3MDDMnkDI+tmQZY6FgArOQSUrwF4nDM0MDA3NVUoKs1jcExmzvuV \
    utfLbV6pUrpnP+Mrs6UxAJnSCv+yAXicU1bUT8rM0y/O4EpNzshXyMjkAgAxVgVbrQN4nDMxAAKF1CIGZq/FzJEJnLk71nnssUjQXLzghMdjQy \
    OwbE5mXjbDjc2an+97xFf5qx8+rzFt9/GYoNZWAImIGAehAnicMzQwMDMxUUjSK6koYah0YrY/fWGBrVrEnHlXFzG/4bzpMR8AsewMnDh4nNPT \
    00/UK6koAQAJMQJ7MHicAwAAAAABmQczBYWA8Im77+6Ox8K2KdlQoOE=";

/// The commit in both.
const COMMIT_ID: &str = "53bffcaf91e12bdc8714a8ae37a56cf9e0533f08";

fn pack(text: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(text.replace(char::is_whitespace, "")).unwrap()
}

fn commit() -> Commit {
    Commit::parse(COMMIT_ID).unwrap()
}

#[test]
fn the_files_of_a_commit() {
    let entries = files(&pack(BY_OFFSET), &commit()).unwrap();
    let seen: Vec<_> = entries.iter().map(|e| (e.path.as_str(), e.kind)).collect();
    assert_eq!(
        seen,
        [
            ("a.txt", EntryKind::File),
            ("bin/run", EntryKind::Program),
            ("deep/er/b.txt", EntryKind::File),
            ("deep/link", EntryKind::Link),
            ("empty", EntryKind::File),
        ]
    );
    let lines = |i: usize| String::from_utf8(entries[i].data.clone()).unwrap();
    assert_eq!(lines(0).lines().count(), 40);
    assert_eq!(lines(2), lines(0).replace("line 20 ", "LINE 20 "), "one of them is a difference from the other");
    assert_eq!((lines(1).as_str(), lines(3).as_str(), lines(4).as_str()), ("#!/bin/sh\necho hi\n", "../a.txt", ""));
    assert_eq!(files(&pack(BY_ID), &commit()).unwrap(), entries);
}

#[test]
fn what_is_not_the_commit_is_refused() {
    let whole = pack(BY_OFFSET);
    assert!(files(&whole, &Commit::parse(&"0".repeat(40)).unwrap()).is_err());
    // A blob by its name is no commit.
    assert!(files(&whole, &Commit::parse("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391").unwrap()).is_err());
    for bad in [&whole[..whole.len() - 1], &whole[..19], &[], b"<html>"] {
        assert!(files(bad, &commit()).is_err());
    }
}

/// A pack of whole objects.
fn made(objects: &[(u8, Vec<u8>)]) -> Vec<u8> {
    use std::io::Write;
    let mut pack = b"PACK\0\0\0\x02".to_vec();
    pack.extend_from_slice(&u32::try_from(objects.len()).unwrap().to_be_bytes());
    for (kind, data) in objects {
        let mut size = data.len() >> 4;
        let more = |size: usize| if size > 0 { 0x80 } else { 0 };
        pack.push(kind << 4 | (data.len() & 15) as u8 | more(size));
        while size > 0 {
            pack.push((size & 0x7f) as u8 | more(size >> 7));
            size >>= 7;
        }
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(data).unwrap();
        pack.extend(zlib.finish().unwrap());
    }
    let sum = Sha1::digest(&pack);
    pack.extend_from_slice(&sum);
    pack
}

fn id(word: &str, data: &[u8]) -> Id {
    let mut hash = Sha1::new();
    hash.update(format!("{word} {}\0", data.len()));
    hash.update(data);
    hash.finalize().into()
}

fn hex(id: &Id) -> String {
    id.iter().map(|b| format!("{b:02x}")).collect()
}

/// What becomes of a commit whose top folder is the last of `trees`, with these files.
fn walked(trees: &[Vec<u8>], blobs: &[Vec<u8>]) -> Result<Vec<Entry>> {
    let text = format!("tree {}\n\nx", hex(&id("tree", trees.last().unwrap())));
    let mut objects: Vec<_> = trees.iter().map(|tree| (TREE, tree.clone())).collect();
    objects.extend(blobs.iter().map(|blob| (BLOB, blob.clone())));
    objects.push((COMMIT, text.clone().into_bytes()));
    files(&made(&objects), &Commit::parse(&hex(&id("commit", text.as_bytes()))).unwrap())
}

fn line(mode: &str, name: &str, id: &Id) -> Vec<u8> {
    [format!("{mode} {name}\0").as_bytes(), id].concat()
}

#[test]
fn names_never_lead_out() {
    let blob = b"x".to_vec();
    let of = |name: &str| walked(&[line("100644", name, &id("blob", &blob))], std::slice::from_ref(&blob));
    assert_eq!(of("fine").unwrap().len(), 1);
    for name in ["..", ".", "", "a/b", "/etc", ".git", ".GIT"] {
        assert!(of(name).is_err(), "{name}");
    }
}

#[test]
fn small_packs_of_endless_trees_are_refused() {
    // Each folder has the one below it twice: 2^40 folders in forty objects.
    let mut trees = vec![Vec::new()];
    for _ in 0..40 {
        let below = id("tree", trees.last().unwrap());
        trees.push([line("40000", "a", &below), line("40000", "b", &below)].concat());
    }
    assert!(walked(&trees, &[]).unwrap_err().to_string().contains("too many"));
    // One large file under many names.
    let blob = vec![0; 4 << 20];
    let tree = (0..200).flat_map(|i| line("100644", &format!("{i:04}"), &id("blob", &blob))).collect();
    assert!(walked(&[tree], &[blob]).unwrap_err().to_string().contains("too large"));
    let error = walked(&[line("160000", "vendor", &[7; 20])], &[]).unwrap_err();
    assert_eq!(error.kind, crate::error::Kind::Refused);
    assert!(error.to_string().contains("`vendor`"), "{error}");
}

proptest! {
    #[test]
    fn never_panics(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), ofs in any::<bool>()) {
        let mut bytes = pack(if ofs { BY_OFFSET } else { BY_ID });
        let end = bytes.len() - 20;
        for (at, value) in changes {
            bytes[at.index(end)] = value;
        }
        // What is behind the checksum is tried, too.
        let sum = Sha1::digest(&bytes[..end]);
        bytes[end..].copy_from_slice(&sum);
        let _ = files(&bytes, &commit());
    }
}
