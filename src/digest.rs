//! Content hashes: the names of images and records.

use sha2::{Digest, Sha256};

/// The first 16 hexadecimal digits of the SHA-256 of `bytes`.
pub fn short(bytes: &[u8]) -> String {
    let mut text = full(bytes);
    text.truncate(16);
    text
}

/// The SHA-256 of `bytes`, in hexadecimal.
pub fn full(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
