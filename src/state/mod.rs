//! What is kept on disk, all of it under `$XDG_DATA_HOME/jitbox`:
//!
//! ```text
//! attempts/KEY/       the attempts to make one box: N.json, with its box, and N.log, what was said meanwhile
//! archives/KEY/       packages of one box that are in no registry, for making its image again
//! bases/KEY.json      what one base image of an engine was when it was last looked at
//! boxes/KEY.json      one box: what was asked for, its lock, its image, how to start it
//! caches/NAME.json    one volume of an engine, with what npm or uv have fetched
//! compiled/KEY/       the byte code of one box's program; of a later attempt's, compiled/KEY-N
//! engines/KEY.json    facts about one engine, valid as long as its fingerprint holds
//! runs/ID/            one start while it is under way: owner.json, client.json, the link's socket,
//!                     a client's files; in the runtime directory if there is one
//! locks/KEY           held while a box is built
//! tools/              what fetches packages, known by its hash
//! told/KEY.json       what was said about one box, and is not said again
//! told/KEY-newer.json when newer versions of it were looked for
//! told/KEY-registry.json when a registry was asked for a newer base image
//! told/KEY-base.json  when it was tried to make it of a newer base image
//! told/KEY-network.json when it was said that its program wants a network
//! told/KEY-lacks.json what was said that its program does not have
//! told/osv.json       when it was said that nobody can be asked about malware
//! volumes/NAME.json   one volume of an engine, in which a package keeps its files
//! seccomp/HASH.json   the seccomp profile, as a file for the engines to read
//! set-aside/          files that could not be read, for a person to look at
//! ```
//!
//! What the user granted is a setting and not a record: `$XDG_CONFIG_HOME/jitbox/grants.json`. The log
//! is in `$XDG_STATE_HOME/jitbox/audit.jsonl`.
//!
//! Every file is written to a temporary one beside it, synced and renamed. A file that can't be
//! read is set aside and made anew.

pub mod attempts;
pub mod bases;
pub mod boxes;
pub mod caches;
pub mod grants;
pub mod lock;
pub mod overrides;
pub mod runs;
pub mod store;
pub mod told;
pub mod volumes;

use std::path::{Path, PathBuf};

use crate::context::Context;
use crate::digest;
use crate::error::{Doing, Result};

/// Names every file and folder that we own. Nobody else joins our paths.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
    settings: PathBuf,
    state: PathBuf,
    runtime: Option<PathBuf>,
}

impl Layout {
    /// The layout for this user.
    pub fn new(context: &Context) -> Self {
        Self {
            root: context.data_dir(),
            settings: context.config_dir(),
            state: context.state_dir(),
            runtime: context.runtime_dir().map(|dir| dir.join("jitbox")),
        }
    }

    /// Where everything is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Stands for [`Layout::root`] where an engine shows it to others.
    pub fn id(&self) -> String {
        use std::os::unix::ffi::OsStrExt;
        digest::short(self.root.as_os_str().as_bytes())
    }

    /// Every folder that we keep something in: none of them is for a box.
    pub fn folders(&self) -> Vec<PathBuf> {
        [&self.root, &self.settings, &self.state].into_iter().chain(&self.runtime).cloned().collect()
    }

    /// The log of what was run.
    pub fn log(&self) -> PathBuf {
        self.state.join("audit.jsonl")
    }

    /// What the user granted.
    pub fn grants(&self) -> PathBuf {
        self.settings.join("grants.json")
    }

    /// The folder of boxes.
    pub fn boxes(&self) -> PathBuf {
        self.root.join("boxes")
    }

    /// One box's record.
    pub fn box_record(&self, key: &str) -> PathBuf {
        self.boxes().join(format!("{key}.json"))
    }

    /// What is known of one base image.
    pub fn base(&self, key: &str) -> PathBuf {
        self.root.join("bases").join(format!("{key}.json"))
    }

    /// The folder of a box's packages that are in no registry.
    pub fn archives(&self, key: &str) -> PathBuf {
        self.root.join("archives").join(key)
    }

    /// The folder of volumes with what npm and uv have fetched.
    pub fn caches(&self) -> PathBuf {
        self.root.join("caches")
    }

    /// One of them.
    pub fn cache(&self, name: &str) -> PathBuf {
        self.caches().join(format!("{name}.json"))
    }

    /// The folder of the byte code of a box's program, by its box's [`boxes::BoxRecord::place`].
    pub fn compiled(&self, place: &str) -> PathBuf {
        self.root.join("compiled").join(place)
    }

    /// The folder of all attempts.
    pub fn attempts(&self) -> PathBuf {
        self.root.join("attempts")
    }

    /// The folder of the attempts to make one box.
    pub fn attempts_for(&self, key: &str) -> PathBuf {
        self.attempts().join(key)
    }

    /// One attempt.
    pub fn attempt(&self, key: &str, number: u32) -> PathBuf {
        self.attempts_for(key).join(format!("{number}.json"))
    }

    /// What was said during one attempt.
    pub fn attempt_log(&self, key: &str, number: u32) -> PathBuf {
        self.attempts_for(key).join(format!("{number}.log"))
    }

    /// The facts of one engine.
    pub fn engine_facts(&self, key: &str) -> PathBuf {
        self.root.join("engines").join(format!("{key}.json"))
    }

    /// The folder of starts that are under way.
    ///
    /// Sockets live in it, whose paths are limited to 107 bytes (unix(7)): the short runtime
    /// directory is preferred to a home directory.
    pub fn runs(&self) -> PathBuf {
        self.runtime.as_deref().unwrap_or(&self.root).join("runs")
    }

    /// The folder of what fetches packages.
    pub fn tools(&self) -> PathBuf {
        self.root.join("tools")
    }

    /// One file of it.
    pub fn tool(&self, name: &str) -> PathBuf {
        self.tools().join(name)
    }

    /// What was said about a box.
    pub fn told(&self, key: &str) -> PathBuf {
        self.root.join("told").join(format!("{key}.json"))
    }

    /// The folder of volumes.
    pub fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    /// One volume's record.
    pub fn volume(&self, name: &str) -> PathBuf {
        self.volumes().join(format!("{name}.json"))
    }

    /// The lock that is held while the box is built.
    pub fn lock(&self, key: &str) -> PathBuf {
        self.root.join("locks").join(key)
    }

    /// The seccomp profile of that content.
    pub fn seccomp(&self, hash: &str) -> PathBuf {
        self.root.join("seccomp").join(format!("{hash}.json"))
    }

    fn set_aside(&self) -> PathBuf {
        self.root.join("set-aside")
    }
}

/// Makes `dir` and what is above it; `dir` itself is for this user alone.
pub fn private_dir(dir: &Path) -> Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.and_then(|()| std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)))
        .doing(|| format!("can't make the folder `{}`", dir.display()))
}
