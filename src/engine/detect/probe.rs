//! Asking an engine what it is. Runs once per engine and change; its answers are remembered.

use std::path::Path;
use std::process::Output;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::candidate::Candidate;
use super::{Machine, trouble};
use crate::engine::{Architecture, Enforces, Facts, Kind};
use crate::error::{Error, Kind as Failure, Result};
use crate::exec::Cmd;

/// What a candidate turned out to be.
#[derive(Debug)]
pub(super) enum Probed {
    /// A usable engine.
    Usable(Facts),
    /// A docker that is podman.
    Podman,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Versions {
    client: Option<Version>,
    server: Option<Version>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Version {
    version: Option<String>,
    platform: Option<Named>,
    components: Option<Vec<Named>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Named {
    name: String,
}

/// `docker info` and `nerdctl info`.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Info {
    #[serde(rename = "OSType")]
    os_type: Option<String>,
    architecture: String,
    memory_limit: bool,
    pids_limit: bool,
    cpu_cfs_quota: bool,
    cgroup_driver: String,
    kernel_version: String,
    operating_system: String,
    name: String,
    server_version: String,
    security_options: Option<Vec<String>>,
}

/// `podman info`.
#[derive(Deserialize)]
struct PodmanInfo {
    host: PodmanHost,
    version: Version,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodmanHost {
    arch: String,
    #[serde(default)]
    kernel: String,
    #[serde(default)]
    cgroup_manager: String,
    #[serde(default)]
    cgroup_version: String,
    #[serde(default)]
    cgroup_controllers: Option<Vec<String>>,
    #[serde(default)]
    service_is_remote: bool,
    security: PodmanSecurity,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PodmanSecurity {
    rootless: bool,
    selinux_enabled: bool,
}

/// Asks `candidate`.
pub(super) fn probe(machine: &Machine<'_>, candidate: &Candidate) -> Result<Probed> {
    match candidate.kind {
        Kind::Docker => docker(machine, candidate),
        Kind::Podman => podman(machine, candidate).map(Probed::Usable),
        Kind::Nerdctl => nerdctl(machine, candidate).map(Probed::Usable),
    }
}

fn run(machine: &Machine<'_>, candidate: &Candidate, pinned: bool, words: &[&str]) -> Result<Output> {
    let endpoint = candidate.endpoint.args.iter().filter(|_| pinned).cloned();
    let args = endpoint.chain(words.iter().map(Into::into)).collect();
    let cmd = Cmd::new(&candidate.program, args, candidate.environment.clone());
    (machine.run)(&cmd).map_err(|e| Error { kind: Failure::Engine, ..e })
}

/// The answer of a command that only works if the engine is alive.
fn ask<T: DeserializeOwned>(machine: &Machine<'_>, candidate: &Candidate, words: &[&str]) -> Result<T> {
    let output = run(machine, candidate, true, words)?;
    if !output.status.success() {
        return Err(trouble::diagnose(candidate, &output.stderr));
    }
    serde_json::from_slice(&output.stdout).map_err(|e| {
        let what = format!("`{} {}` gave an answer that can't be read", candidate.program.display(), words.join(" "));
        Error::new(Failure::Engine, what).because(e)
    })
}

const JSON: &str = "{{json .}}";

fn docker(machine: &Machine<'_>, candidate: &Candidate) -> Result<Probed> {
    // Without the endpoint: podman would take it for a remote one.
    let hello = run(machine, candidate, false, &["--version"])?;
    if String::from_utf8_lossy(&hello.stdout).trim_start().to_ascii_lowercase().starts_with("podman") {
        return Ok(Probed::Podman);
    }
    let version: Versions = ask(machine, candidate, &["version", "--format", JSON])?;
    let Some(server) = version.server else {
        return Err(trouble::diagnose(candidate, b"the daemon did not answer"));
    };
    if server.components.iter().flatten().any(|component| component.name == "Podman Engine") {
        let error =
            Error::new(Failure::Engine, "docker's command line is pointed at podman, which it can't drive fully");
        return Err(error.hint("set engine = \"podman\" in the settings, or JITBOX_ENGINE=podman"));
    }
    // `docker info` is no sign of life: that of 20.10 succeeds without a daemon.
    let info: Info = ask(machine, candidate, &["info", "--format", JSON])?;
    let mut facts = facts(candidate, &info)?;
    if let Some(version) = server.version.filter(|version| !version.is_empty()) {
        facts.version = version;
    }
    let platform = server.platform.unwrap_or_default().name;
    facts.product = product(&[&platform, &info.operating_system, &info.name]).map(str::to_owned);
    // All of these run their containers in a virtual machine.
    facts.remote |= facts.product.is_some();
    Ok(Probed::Usable(facts))
}

/// A product by how its daemon describes itself; the order matters (Rancher's machine is Lima's).
fn product(descriptions: &[&str]) -> Option<&'static str> {
    let known = [
        ("docker desktop", "Docker Desktop"),
        ("docker-desktop", "Docker Desktop"),
        ("orbstack", "OrbStack"),
        ("rancher-desktop", "Rancher Desktop"),
        ("colima", "Colima"),
        ("lima-", "Lima"),
    ];
    let text = descriptions.join("\n").to_ascii_lowercase();
    known.into_iter().find(|(sign, _)| text.lines().any(|line| line.contains(sign))).map(|(_, name)| name)
}

fn nerdctl(machine: &Machine<'_>, candidate: &Candidate) -> Result<Facts> {
    let version: Versions = ask(machine, candidate, &["version", "--format", JSON])?;
    let client = version.client.and_then(|client| client.version).unwrap_or_default();
    let major = client.trim_start_matches('v').split('.').next().and_then(|number| number.parse::<u32>().ok());
    if major.is_none_or(|major| major < 2) {
        let error = Error::new(Failure::Engine, format!("nerdctl {client} is too old: version 2 or later is needed"));
        return Err(error.hint("https://github.com/containerd/nerdctl/releases"));
    }
    if version.server.is_none() {
        return Err(trouble::diagnose(candidate, b"containerd did not answer"));
    }
    let info: Info = ask(machine, candidate, &["info", "--format", JSON])?;
    let mut facts = facts(candidate, &info)?;
    facts.version = client.trim_start_matches('v').to_owned();
    Ok(facts)
}

/// What docker's and nerdctl's `info` tell.
fn facts(candidate: &Candidate, info: &Info) -> Result<Facts> {
    if info.os_type.as_deref().is_some_and(|os| os != "linux") {
        let error =
            Error::new(Failure::Engine, format!("{} runs other containers than Linux ones", candidate.kind.name()));
        return Err(error.hint("switch it to Linux containers"));
    }
    let options = info.security_options.as_deref().unwrap_or_default();
    let has = |name: &str| options.iter().any(|option| option.split(',').any(|part| part == format!("name={name}")));
    // Without a driver, limits are accepted and ignored (rootless on cgroup v1, or without systemd).
    let limits = !matches!(info.cgroup_driver.as_str(), "none" | "");
    Ok(Facts {
        version: info.server_version.clone(),
        product: None,
        rootless: has("rootless"),
        remote: elsewhere(candidate, &info.kernel_version),
        enforces: Enforces {
            memory: limits && info.memory_limit,
            pids: limits && info.pids_limit,
            cpus: limits && info.cpu_cfs_quota,
        },
        architecture: architecture(&info.architecture)?,
        selinux: has("selinux"),
        same_kernel: None,
        local_refused: false,
    })
}

fn podman(machine: &Machine<'_>, candidate: &Candidate) -> Result<Facts> {
    let PodmanInfo { host, version } = ask(machine, candidate, &["info", "--format", "json"])?;
    let controllers = host.cgroup_controllers.unwrap_or_default();
    // Rootless: cgroups v1 can't be delegated, and cgroupfs without systemd has no place that is
    // ours; podman then drops limits with a warning.
    let may = !host.security.rootless || (host.cgroup_version == "v2" && host.cgroup_manager == "systemd");
    let enforced = |name: &str| may && controllers.iter().any(|controller| controller == name);
    Ok(Facts {
        version: version.version.unwrap_or_default(),
        product: None,
        rootless: host.security.rootless,
        remote: host.service_is_remote || elsewhere(candidate, &host.kernel),
        enforces: Enforces { memory: enforced("memory"), pids: enforced("pids"), cpus: enforced("cpu") },
        architecture: architecture(&host.arch)?,
        selinux: host.security.selinux_enabled,
        same_kernel: None,
        local_refused: false,
    })
}

/// The engine is on another machine, or in one, by its address or by its kernel.
fn elsewhere(candidate: &Candidate, kernel: &str) -> bool {
    if candidate.endpoint.remote || !cfg!(target_os = "linux") {
        return true;
    }
    let ours = std::fs::read_to_string(Path::new("/proc/sys/kernel/osrelease")).unwrap_or_default();
    !kernel.is_empty() && kernel != ours.trim()
}

fn architecture(name: &str) -> Result<Architecture> {
    match name {
        "x86_64" | "amd64" => Ok(Architecture::X86_64),
        "aarch64" | "arm64" => Ok(Architecture::Aarch64),
        _ => Err(Error::new(
            Failure::Engine,
            format!("the engine's architecture `{name}` is not supported (x86_64 and aarch64 are)"),
        )),
    }
}
