//! Content hashes: the names of images and records.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256, Sha512};

/// The first 16 hexadecimal digits of the SHA-256 of `bytes`.
pub fn short(bytes: &[u8]) -> String {
    let mut text = full(bytes);
    text.truncate(16);
    text
}

/// The SHA-256 of `bytes`, in hexadecimal.
pub fn full(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}

/// What a SHA-256 comes to, in hexadecimal.
pub fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-512 of `bytes` as npm writes it (W3C, "Subresource Integrity").
pub fn integrity(bytes: &[u8]) -> String {
    format!("sha512-{}", BASE64_STANDARD.encode(Sha512::digest(bytes)))
}
