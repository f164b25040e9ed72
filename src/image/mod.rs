//! Images: what a box is made from.

pub mod base;
pub mod build;
pub mod changes;
pub mod compiled;
pub mod lock;
pub mod making;
pub mod sbom;
pub mod scripts;
pub mod template;
pub mod tree;
pub mod wheel;
pub mod words;
