//! The environment of an engine's command line: a short list of what it needs, so that nothing
//! in the user's own reaches it. What is kept out on purpose: variables that flip the daemon
//! (`DOCKER_HOST`, `CONTAINER_HOST`: the endpoint is pinned by options), proxies and tokens
//! (engines put some of them into containers), `LISTEN_FDS`, `NOTIFY_SOCKET`, `INVOCATION_ID`
//! (podman passes them on), `PODMAN_USERNS`, `DOCKER_DEFAULT_PLATFORM`, `BUILDX_BUILDER`,
//! `CONTAINERS_CONF` (they change what a hardened line means).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::endpoint::Endpoint;
use crate::context::Context;
use crate::engine::Kind;
use crate::trust;

/// Where engines look for their own helpers.
const SYSTEM_PATH: [&str; 5] = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"];
/// Folders: kept if they are absolute.
const FOLDERS: [&str; 3] = ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "TMPDIR"];

/// What an engine of `kind` gets besides.
fn own(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Docker => &["DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"],
        Kind::Podman => &["CONTAINER_SSHKEY"],
        Kind::Nerdctl => &["NERDCTL_TOML", "CONTAINERD_ADDRESS", "BUILDKIT_HOST"],
    }
}

/// Whether the variable decides what an engine is and does, so that what is known about the
/// engine only holds for its value.
pub(super) fn matters(name: &OsStr) -> bool {
    let list = ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"];
    list.iter().chain(Kind::ALL.iter().flat_map(|&kind| own(kind))).any(|n| name == OsStr::new(n))
}

/// The whole environment for `kind`'s command line at `program`.
pub(super) fn of(context: &Context, kind: Kind, program: &Path, endpoint: &Endpoint) -> Vec<(OsString, OsString)> {
    let mut list: Vec<(OsString, OsString)> = Vec::new();
    let mut set = |name: &str, value: OsString| list.push((name.into(), value));
    let user = user(context);
    set("PATH", path(context, program));
    set("HOME", context.home.clone().into());
    for name in ["USER", "LOGNAME"] {
        if let Some(value) = context.env.get(name).map(OsStr::to_owned).or_else(|| user.clone()) {
            set(name, value);
        }
    }
    let runtime = context.runtime_dir();
    if let Some(dir) = &runtime {
        set("XDG_RUNTIME_DIR", dir.into());
        let bus = dir.join("bus");
        // A rootless engine asks the user's systemd for cgroups.
        if context.uid != 0 && !matches!(kind, Kind::Docker) && bus.exists() {
            let mut address = OsString::from("unix:path=");
            address.push(&bus);
            set("DBUS_SESSION_BUS_ADDRESS", address);
        }
    }
    for name in FOLDERS {
        if let Some(value) = context.env.get(name).filter(|v| Path::new(v).is_absolute()) {
            set(name, value.into());
        }
    }
    for name in ["LANG"].iter().chain(own(kind)) {
        if let Some(value) = context.env.get(name) {
            set(name, value.into());
        }
    }
    if endpoint.ssh
        && let Some(agent) = context.env.get("SSH_AUTH_SOCK")
    {
        set("SSH_AUTH_SOCK", agent.into());
    }
    if matches!(kind, Kind::Podman) {
        set("PODMAN_IGNORE_CGROUPSV1_WARNING", "1".into());
    }
    list
}

/// The user's search path without folders that others could put programs into, then the
/// program's own folder (its helpers are beside it), then the system's.
fn path(context: &Context, program: &Path) -> OsString {
    let mut folders: Vec<PathBuf> = Vec::new();
    let safe = |dir: &PathBuf| {
        let meta = std::fs::metadata(dir);
        dir.is_absolute() && meta.is_ok_and(|meta| trust::changed_by_others(dir, &meta, context.uid).is_none())
    };
    let theirs = context.env.get("PATH").map(|path| std::env::split_paths(path).collect::<Vec<_>>());
    let beside = program.parent().map(Path::to_owned);
    let candidates = theirs.unwrap_or_default().into_iter().chain(beside).filter(safe);
    for dir in candidates.chain(SYSTEM_PATH.map(PathBuf::from)) {
        // A colon in a folder's name would make two of it.
        if !folders.contains(&dir) && !dir.as_os_str().as_bytes().contains(&b':') {
            folders.push(dir);
        }
    }
    let words: Vec<&OsStr> = folders.iter().map(|dir| dir.as_os_str()).collect();
    words.join(OsStr::new(":"))
}

/// The user's name by the user database, if the environment does not say it.
fn user(context: &Context) -> Option<OsString> {
    if context.env.get("USER").is_some() && context.env.get("LOGNAME").is_some() {
        return None;
    }
    let other = ["USER", "LOGNAME"].iter().find_map(|name| context.env.get(name));
    if let Some(name) = other {
        return Some(name.into());
    }
    let user = nix::unistd::User::from_uid(context.uid.into()).ok()??;
    Some(user.name.into())
}
