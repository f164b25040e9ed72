//! Images: what a box is made from.

pub mod base;
pub mod changes;
pub mod commit;
pub mod compiled;
pub mod diagnosis;
pub mod install;
pub mod lock;
pub mod making;
pub mod present;
pub mod sbom;
pub mod scripts;
mod storage;
pub mod template;
pub mod tree;
pub mod uv;
pub mod wheel;
pub mod words;
