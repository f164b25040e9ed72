//! What will be done, as plain data: every step of a start, printable before anything runs.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The user that the program runs as where no host file is mounted: an id that owns nothing
/// anywhere ("nonroot" in the distroless images).
pub const BOX_ID: u32 = 65532;

/// The program's home and working directory.
pub const STATE_DIR: &str = "/state";

/// Where the guest is in every image.
pub const GUEST: &str = "/jitbox/guest";

/// Where the byte code of the box's program is.
pub const COMPILED: &str = "/jitbox/v8";

/// Where a bind-mounted link is.
pub const LINK_SOCKET: &str = "/jitbox/link";

/// As whom the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum User {
    /// [`BOX_ID`].
    Nobody,
    /// [`BOX_ID`], which is the caller outside: mounted files are theirs.
    Mapped,
    /// The caller's own ids.
    Caller {
        /// User id.
        uid: u32,
        /// Group id.
        gid: u32,
    },
}

/// Which network the box has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Nothing but a loopback of its own.
    None,
    /// What the engine gives by default.
    Engine,
}

/// A path of the host at the same path in the box.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// The path on the host, without symbolic links.
    pub source: PathBuf,
    /// The path in the box.
    pub target: PathBuf,
    /// Whether the program may write there.
    pub writable: bool,
}

/// Where what npm and uv have fetched is, for the containers that install.
pub const CACHE: &str = "/jitbox-cache";

/// A volume of the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub target: &'static str,
    /// Whether the program may write there.
    pub writable: bool,
    /// Whether programs may be executed from it.
    pub exec: bool,
}

/// A file system in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tmpfs {
    /// Where.
    pub target: String,
    /// How large, in bytes.
    pub size: u64,
    /// Whether programs may be executed from it.
    pub exec: bool,
}

/// How much the box may use.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Limits {
    /// Bytes of memory; there is no swap on top.
    pub memory: u64,
    /// Processors; 0 for all that there are.
    pub cpus: f64,
    /// Processes and threads.
    pub pids: u64,
    /// Open files of each process.
    pub nofile: u64,
    /// Bytes of files in each place that is in memory and may hold some, /dev/shm too.
    pub files: u64,
}

/// How the container is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// Detached, the guest on an inherited descriptor.
    Descriptor,
    /// Detached, the guest on this socket.
    Socket(PathBuf),
    /// Attached, the guest on the attach stream.
    Attached,
    /// Attached, this command instead of the guest: for base images, which have none.
    Command(Vec<String>),
}

/// One container.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunPlan {
    /// Its unique name.
    pub name: String,
    /// The image, by name.
    pub image: String,
    /// Labels that say whose it is.
    pub labels: Vec<(String, String)>,
    /// As whom.
    pub user: User,
    /// Host paths.
    pub mounts: Vec<Mount>,
    /// What the program keeps between runs; what npm and uv have fetched, where packages are installed.
    pub volume: Option<Volume>,
    /// File systems in memory; all else is read-only.
    pub tmpfs: Vec<Tmpfs>,
    /// How much.
    pub limits: Limits,
    /// Which network.
    pub network: Network,
    /// If the container stays when it has ended, for an image to be made of it: it can write to the image's own files, and
    /// runs as their owner, root, with nothing but these capabilities (capabilities(7), without `CAP_`).
    pub kept: Option<&'static [&'static str]>,
    /// The seccomp profile, as a file.
    pub seccomp: PathBuf,
    /// How.
    pub start: Start,
}

/// One image, of what a container has left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CommitPlan {
    /// The container's name.
    pub container: String,
    /// The image's name.
    pub image: String,
    /// The image's labels. Neither names nor values have spaces, quotes, backslashes or `$`.
    pub labels: Vec<(String, String)>,
}

/// The same image as another, with labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LabelPlan {
    /// The other image's name.
    pub base: String,
    /// The image's name.
    pub image: String,
    /// A folder with nothing but the Dockerfile.
    pub context: PathBuf,
    /// The labels.
    pub labels: Vec<(String, String)>,
}
