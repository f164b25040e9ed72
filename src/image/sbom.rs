//! A box's tree in the two formats that other programs read. The same box always gives the same document:
//! nothing of the time or of chance is in it. Pure.

mod cyclonedx;
mod purl;
mod spdx;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use url::Url;

use super::tree::{Package, Tree};
use crate::digest;
use crate::package::source::PinnedSource;
use crate::registry::{cutoff, public};
use crate::state::boxes::BoxRecord;

pub use purl::purl;

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// CycloneDX 1.6
    Cyclonedx,
    /// SPDX 2.3
    Spdx,
}

/// The document about a box with this tree, as JSON.
pub fn document(format: Format, record: &BoxRecord, tree: &Tree) -> Value {
    match format {
        Format::Cyclonedx => cyclonedx::document(record, tree),
        Format::Spdx => spdx::document(record, tree),
    }
}

/// A UUID made of the box (RFC 9562, version 8): its name, when it was made, and its lock.
fn uuid(record: &BoxRecord) -> String {
    let all = [record.name(), record.image.clone(), record.created.to_string(), record.lock.clone()];
    let hex = digest::full(all.join("\0").as_bytes());
    // The variant's two bits are 10.
    let variant = ["8", "9", "a", "b"][usize::from(hex.as_bytes()[16]) % 4];
    format!("{}-{}-8{}-{variant}{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

/// When the box was made, as `2026-01-31T12:00:00Z`.
fn created(record: &BoxRecord) -> String {
    let moment = cutoff::at(record.created).unwrap_or_default();
    format!("{}Z", moment.get(..19).unwrap_or("1970-01-01T00:00:00"))
}

/// A hash of a package's file.
struct Hash {
    /// `SHA-512`.
    algorithm: &'static str,
    /// In hexadecimal.
    value: String,
}

/// The hashes that the lock has: npm's in base64 with options behind (W3C, "Subresource Integrity"), uv's in
/// hexadecimal. What is neither is left out.
fn hashes(package: &Package) -> Vec<Hash> {
    let words = package.integrity.iter().flat_map(|text| text.split_whitespace());
    let read = |word: &str| {
        let (name, value) = match word.split_once(':') {
            Some((name, hex)) => (name, hex.to_ascii_lowercase()),
            None => {
                let (name, text) = word.split_once('-')?;
                let bytes = BASE64_STANDARD.decode(text.split('?').next()?).ok()?;
                (name, bytes.iter().map(|byte| format!("{byte:02x}")).collect())
            }
        };
        let (algorithm, digits) = match name {
            "sha1" => ("SHA-1", 40),
            "sha256" => ("SHA-256", 64),
            "sha384" => ("SHA-384", 96),
            "sha512" => ("SHA-512", 128),
            _ => return None,
        };
        let whole = value.len() == digits && value.bytes().all(|b| b.is_ascii_hexdigit());
        whole.then_some(Hash { algorithm, value })
    };
    words.filter_map(read).collect()
}

/// The address of a package's file, if anybody may know it. uv's lock has no files' addresses.
fn location(tree: &Tree, package: &Package) -> Option<String> {
    let told = |url: &&Url| public::is_told(url);
    match &package.source {
        Some(PinnedSource::Archive { url, .. }) => Some(url).filter(told).map(ToString::to_string),
        Some(PinnedSource::Git { repository, commit, .. }) => {
            Some(repository).filter(told).map(|url| format!("git+{url}@{commit}"))
        }
        None if tree.ecosystem == crate::package::Ecosystem::Npm => {
            package.at.as_ref().filter(told).map(ToString::to_string)
        }
        None => None,
    }
}

#[cfg(test)]
#[path = "sbom_tests.rs"]
mod tests;
