//! Which daemon an engine's command line would talk to, worked out once and then said
//! explicitly on every call.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Machine;
use crate::context::Context;
use crate::engine::argv;
use crate::error::{Error, Kind as Failure, Result};

/// Where an engine listens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Options that pin it.
    pub args: Vec<OsString>,
    /// Its socket on this machine.
    pub socket: Option<PathBuf>,
    /// It is on another machine.
    pub remote: bool,
    /// It is reached by ssh, which may need the user's agent.
    pub ssh: bool,
    /// Files that had a say in this: a change of one makes what is remembered void.
    pub watch: Vec<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct DockerConfig {
    #[serde(rename = "currentContext")]
    current_context: Option<String>,
}

#[derive(Deserialize)]
struct DockerContext {
    #[serde(rename = "Endpoints")]
    endpoints: DockerEndpoints,
}

#[derive(Deserialize)]
struct DockerEndpoints {
    docker: DockerEndpoint,
}

#[derive(Deserialize)]
struct DockerEndpoint {
    #[serde(rename = "Host", default)]
    host: String,
    #[serde(rename = "SkipTLSVerify", default)]
    skip_tls_verify: bool,
}

/// Docker's folder of settings.
pub(super) fn docker_config_dir(context: &Context) -> PathBuf {
    let own = context.env.get("DOCKER_CONFIG").map(PathBuf::from).filter(|p| p.is_absolute());
    own.unwrap_or_else(|| context.home.join(".docker"))
}

/// Docker's endpoint, by the command line's own order: `DOCKER_HOST`, `DOCKER_CONTEXT`, the
/// current context, the default.
pub(super) fn docker(context: &Context, machine: &Machine<'_>) -> Result<Endpoint> {
    let dir = docker_config_dir(context);
    let config = dir.join("config.json");
    let mut endpoint = if let Some(host) = docker_host(context) {
        let tls = context.env.get("DOCKER_TLS_VERIFY").is_some();
        let host = host.to_str().ok_or_else(|| refused("DOCKER_HOST is not text"))?;
        host_endpoint(host, tls, "DOCKER_HOST")?
    } else {
        let name = match context.env.text("DOCKER_CONTEXT") {
            Some(name) => Some(name.to_owned()),
            None => read_json::<DockerConfig>(&config)?.unwrap_or_default().current_context,
        };
        match name.filter(|n| !n.is_empty() && n != "default") {
            Some(name) => context_endpoint(&dir, &name)?,
            None => default_docker(context, machine),
        }
    };
    endpoint.watch.push(config);
    Ok(endpoint)
}

/// `DOCKER_HOST`, unless it is podman's socket: many tools want it there, and whoever set it for
/// them means podman.
pub(super) fn docker_host(context: &Context) -> Option<&std::ffi::OsStr> {
    let podman = |host: &str| host.starts_with("unix://") && host.ends_with("/podman.sock");
    context.env.get("DOCKER_HOST").filter(|host| !host.to_str().is_some_and(podman))
}

fn context_endpoint(dir: &Path, name: &str) -> Result<Endpoint> {
    // A context's files are named by the hash of its name (docker/cli, cli/context/store).
    let id = super::hex(name.as_bytes());
    let meta = dir.join("contexts/meta").join(&id).join("meta.json");
    let Some(found) = read_json::<DockerContext>(&meta)? else {
        let error = Error::new(Failure::Engine, format!("docker's context `{name}` does not exist"));
        return Err(error.hint("docker context ls").hint("docker context use default"));
    };
    let found = found.endpoints.docker;
    if found.host.is_empty() {
        return Err(refused(format!("docker's context `{name}` names no daemon")));
    }
    let tls = dir.join("contexts/tls").join(&id).join("docker");
    let checked = tls.join("ca.pem").is_file() && !found.skip_tls_verify;
    let mut endpoint = host_endpoint(&found.host, checked, &format!("docker's context `{name}`"))?;
    if endpoint.socket.is_none() {
        // Only the context knows the certificates and the ssh options.
        endpoint.args = argv::at_context(name);
    }
    endpoint.watch.extend([meta, tls]);
    Ok(endpoint)
}

/// What `host` means; `source` says where it stands.
fn host_endpoint(host: &str, tls: bool, source: &str) -> Result<Endpoint> {
    let args = argv::at_host(host);
    let (scheme, rest) = host.split_once("://").unwrap_or(("tcp", host));
    match scheme {
        "unix" if rest.starts_with('/') => Ok(Endpoint { args, socket: Some(rest.into()), ..Endpoint::default() }),
        "npipe" => Ok(Endpoint { args, ..Endpoint::default() }),
        "ssh" if !rest.starts_with('-') => Ok(Endpoint { args, remote: true, ssh: true, ..Endpoint::default() }),
        "tcp" | "https" if tls => Ok(Endpoint { args, remote: true, ..Endpoint::default() }),
        "tcp" | "http" | "https" => {
            let error = refused(format!(
                "{source} is a TCP address without verified TLS: anybody on the way could take the boxes over"
            ));
            Err(error.hint("use ssh://USER@HOST, or set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH"))
        }
        _ => Err(refused(format!("{source} is not an address that can be used (unix://, ssh://, tcp:// with TLS)"))),
    }
}

fn default_docker(context: &Context, machine: &Machine<'_>) -> Endpoint {
    let mut places = vec![machine.docker_socket.clone()];
    places.extend(context.runtime_dir().map(|dir| dir.join("docker.sock")));
    // Docker Desktop, OrbStack, Colima and Rancher Desktop, when no context names them.
    let homes =
        [".docker/run/docker.sock", ".orbstack/run/docker.sock", ".colima/default/docker.sock", ".rd/docker.sock"];
    places.extend(homes.map(|place| context.home.join(place)));
    let socket = places.iter().find(|place| usable(place)).unwrap_or(&places[0]).clone();
    let mut host = OsString::from("unix://");
    host.push(&socket);
    Endpoint { args: argv::at_host(host), socket: Some(socket), watch: places, ..Endpoint::default() }
}

/// We may connect to the socket.
fn usable(socket: &Path) -> bool {
    use nix::unistd::{AccessFlags, access};
    access(socket, AccessFlags::R_OK | AccessFlags::W_OK).is_ok()
}

#[derive(Deserialize)]
struct PodmanConnections {
    #[serde(rename = "Connection")]
    connection: Option<PodmanConnection>,
}

#[derive(Deserialize)]
struct PodmanConnection {
    #[serde(rename = "Default")]
    default: Option<String>,
}

/// Podman's endpoint: this machine, unless the environment says otherwise. Outside Linux, podman
/// always talks to a machine of its own.
pub(super) fn podman(context: &Context) -> Result<Endpoint> {
    if let Some(name) = context.env.text("CONTAINER_CONNECTION") {
        return connection(context, name);
    }
    if let Some(url) = context.env.get("CONTAINER_HOST") {
        let url = url.to_str().ok_or_else(|| refused("CONTAINER_HOST is not text"))?;
        let mut endpoint = host_endpoint(url, false, "CONTAINER_HOST")?;
        endpoint.args = argv::at_url(url);
        // Even over a local socket it is podman's remote mode, which can't pass descriptors on.
        endpoint.remote = true;
        return Ok(endpoint);
    }
    if cfg!(target_os = "linux") {
        return Ok(Endpoint::default());
    }
    let default = read_json::<PodmanConnections>(&podman_connections(context))?;
    match default.and_then(|c| c.connection).and_then(|c| c.default).filter(|n| !n.is_empty()) {
        Some(name) => connection(context, &name),
        None => Ok(Endpoint { remote: true, watch: vec![podman_connections(context)], ..Endpoint::default() }),
    }
}

fn connection(context: &Context, name: &str) -> Result<Endpoint> {
    if name.starts_with('-') {
        return Err(refused("CONTAINER_CONNECTION is not the name of a connection"));
    }
    Ok(Endpoint {
        args: argv::at_connection(name),
        remote: true,
        ssh: true,
        watch: vec![podman_connections(context)],
        ..Endpoint::default()
    })
}

fn podman_connections(context: &Context) -> PathBuf {
    config_home(context).join("containers/podman-connections.json")
}

/// `$XDG_CONFIG_HOME`.
pub(super) fn config_home(context: &Context) -> PathBuf {
    let ours = context.config_dir();
    ours.parent().map_or(ours.clone(), Path::to_owned)
}

/// nerdctl's endpoint: it has no daemon of its own, its settings name containerd's socket.
pub(super) fn nerdctl(context: &Context) -> Endpoint {
    let address = context.env.text("CONTAINERD_ADDRESS").map(|a| PathBuf::from(a.strip_prefix("unix://").unwrap_or(a)));
    let rootless = context.runtime_dir().map(|dir| dir.join("containerd-rootless/child_pid"));
    let toml = context
        .env
        .get("NERDCTL_TOML")
        .map_or_else(|| config_home(context).join("nerdctl/nerdctl.toml"), PathBuf::from);
    let mut watch = vec![toml, "/etc/nerdctl/nerdctl.toml".into()];
    watch.extend(rootless.filter(|_| context.uid != 0));
    Endpoint {
        socket: address.or_else(|| (context.uid == 0).then(|| "/run/containerd/containerd.sock".into())),
        watch,
        ..Endpoint::default()
    }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let unreadable = |why: &dyn std::fmt::Display| {
        Error::new(Failure::Engine, format!("can't read `{}`", path.display())).because(why)
    };
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| unreadable(&e)),
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(unreadable(&e)),
    }
}

fn refused(what: impl Into<String>) -> Error {
    Error::refused(what)
}
