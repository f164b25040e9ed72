//! uv, which resolves and installs what PyPI has: one version, the same for every box, known by the hash of its wheel.
//! It is fetched once, kept on this machine, and handed to the containers that need it: no base image has to have it,
//! and nobody who publishes another uv gets it run.

use crate::digest;
use crate::engine::Architecture;
use crate::error::Result;
use crate::state::{Layout, store};

/// The project on PyPI.
pub const PROJECT: &str = "uv";

/// Its version.
pub const VERSION: &str = "0.13.7";

/// A wheel of uv's. Those for musl are linked statically, and run on any base image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wheel {
    /// The file's name.
    pub file: &'static str,
    /// Its SHA-256, as PyPI has it.
    pub sha256: &'static str,
}

/// The one for an architecture.
pub const fn wheel(architecture: Architecture) -> Wheel {
    match architecture {
        Architecture::X86_64 => Wheel {
            file: "uv-0.13.7-py3-none-musllinux_1_1_x86_64.whl",
            sha256: "8b8ac028ae4ebb2a3f9d04907c61794f2cf8d7a7002bfbb4019a3dee28351fb2",
        },
        Architecture::Aarch64 => Wheel {
            file: "uv-0.13.7-py3-none-manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64.whl",
            sha256: "a90f5d95716ab83091f0f73a8e7ec64e557abf2a28537fcd719b2ac88e6f725a",
        },
    }
}

impl Wheel {
    /// What is kept of it. Anything else under its name is as good as nothing.
    pub fn kept(&self, layout: &Layout) -> Option<Vec<u8>> {
        std::fs::read(layout.tool(self.file)).ok().filter(|bytes| digest::full(bytes) == self.sha256)
    }

    /// Keeps it, and none of another version.
    pub fn keep(&self, layout: &Layout, bytes: &[u8]) -> Result<()> {
        store::remove_folder(&layout.tools())?;
        store::write_bytes(&layout.tool(self.file), bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::testing::context;

    #[test]
    fn a_kept_wheel_is_what_its_hash_says() {
        let home = tempfile::tempdir().unwrap();
        let layout = Layout::new(&context(home.path(), &[]));
        let wheel =
            Wheel { file: "uv-1.whl", sha256: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" };
        assert_eq!(wheel.kept(&layout), None);
        Wheel { file: "uv-0.whl", ..wheel }.keep(&layout, b"old").unwrap();
        wheel.keep(&layout, b"hello").unwrap();
        assert_eq!(wheel.kept(&layout).as_deref(), Some(&b"hello"[..]));
        assert!(!layout.tool("uv-0.whl").exists());
        wheel.keep(&layout, b"hello, you").unwrap();
        assert_eq!(wheel.kept(&layout), None);
    }

    #[test]
    fn wheels_are_of_that_version() {
        for (architecture, arch) in [(Architecture::X86_64, "x86_64"), (Architecture::Aarch64, "aarch64")] {
            let wheel = wheel(architecture);
            assert!(wheel.file.starts_with(&format!("{PROJECT}-{VERSION}-py3-none-")), "{}", wheel.file);
            assert!(
                wheel.file.contains("musllinux") && wheel.file.ends_with(&format!("_{arch}.whl")),
                "{}",
                wheel.file
            );
            assert_eq!(wheel.sha256.len(), 64);
        }
    }
}
