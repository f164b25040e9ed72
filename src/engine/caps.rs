//! What an engine can do. Each answer names where it comes from; everything that differs
//! between engines and is not a spelling is asked here.

use super::{Enforces, Engine, Kind};

/// How the link reaches into the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// A Unix socket that passes descriptors: the program gets the caller's own pipes.
    Local(Reach),
    /// Framed over the engine's attach stream: works into any kernel.
    Stream,
}

/// How a local link's socket gets into the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The engine passes an open descriptor on.
    Descriptor,
    /// The socket is bind-mounted.
    Mount,
}

impl Kind {
    /// All of them, in the order in which they are preferred.
    pub const ALL: [Self; 3] = [Self::Podman, Self::Docker, Self::Nerdctl];

    /// The kind whose program has that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl Engine {
    /// The best carrier for this engine. Descriptors only make sense inside one kernel, which
    /// is believed only once a box has shown it (its boot id is ours).
    pub fn carrier(&self) -> Carrier {
        if self.facts.remote || self.facts.local_refused || self.facts.same_kernel != Some(true) {
            return Carrier::Stream;
        }
        Carrier::Local(match self.kind {
            // podman-run(1), --preserve-fds: local podman only. conmon hands the descriptor on.
            Kind::Podman => Reach::Descriptor,
            Kind::Docker | Kind::Nerdctl => Reach::Mount,
        })
    }

    /// A detached container is removed by the engine itself when it ends. nerdctl refuses
    /// `-d --rm`: its removal is the client's work.
    pub fn removes_detached(&self) -> bool {
        !matches!(self.kind, Kind::Nerdctl)
    }

    /// A container is removed even if the client that started it attached is killed: docker's
    /// daemon and podman's conmon do it, nerdctl's client does it itself.
    pub fn removes_without_client(&self) -> bool {
        !matches!(self.kind, Kind::Nerdctl)
    }

    /// A daemon makes images, and goes on when its command line is gone.
    pub fn makes_by_daemon(&self) -> bool {
        !matches!(self.kind, Kind::Podman)
    }

    /// An image that is made of a container can be given labels. nerdctl's `commit` changes nothing but the entry point
    /// and the command ("unknown change directive", 2.3).
    pub fn commits_labels(&self) -> bool {
        !matches!(self.kind, Kind::Nerdctl)
    }

    /// The user running us can be mapped to the box's user, so that mounted files are theirs
    /// (podman-run(1), --userns=keep-id:uid=,gid=; podman 4.3).
    pub fn maps_user(&self) -> bool {
        matches!(self.kind, Kind::Podman) && self.facts.rootless
    }

    /// Which limits hold without our help. What another runtime makes of them is not known:
    /// gVisor can be told to ignore them all.
    pub fn enforced(&self) -> Enforces {
        if self.runtime.is_some() {
            return Enforces { memory: false, pids: false, cpus: false };
        }
        self.facts.enforces
    }

    /// Whether a box can be stopped for a moment by our own process in it, and nobody is the worse for it. gVisor hangs up
    /// (SIGHUP) a process group when one of its processes ends while others are stopped, where Linux does not (seen with
    /// runsc 20240729).
    pub fn stops_boxes(&self) -> bool {
        self.runtime.is_none()
    }

    /// A limit on a user's processes (getrlimit(2), RLIMIT_NPROC) is one on the box's: it has a
    /// kernel of its own. On ours all boxes of a rootless engine are one user's.
    pub fn counts_processes_alone(&self) -> bool {
        self.runtime.is_some() && self.facts.same_kernel == Some(false)
    }

    /// Whether `words` of this engine say that it has no such OCI runtime as the user's. docker
    /// 20.10: "Unknown runtime specified"; later: "unknown or invalid runtime name"; podman: "OCI
    /// runtime "x" not found", "no valid executable found for OCI runtime"; nerdctl: "failed to
    /// resolve runtime path".
    pub fn lacks_runtime(&self, words: &str) -> bool {
        let said = |text: &str| words.to_ascii_lowercase().contains(text);
        self.runtime.as_ref().is_some_and(|name| {
            said("unknown runtime")
                || said("unknown or invalid runtime")
                || said("no valid executable found for oci runtime")
                || said("failed to resolve runtime path")
                || said(&format!("oci runtime \"{}\" not found", name.to_ascii_lowercase()))
        })
    }

    /// The engine itself says that it enforces all limits.
    pub fn enforces_all(&self) -> bool {
        let e = self.facts.enforces;
        e.memory && e.pids && e.cpus
    }

    /// Places where the engine makes writable, executable file systems of its own in a
    /// read-only container (podman-run(1), --read-only-tmpfs).
    pub fn own_tmpfs(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Podman => &["/run", "/var/tmp"],
            Kind::Docker | Kind::Nerdctl => &[],
        }
    }
}
