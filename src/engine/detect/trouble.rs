//! What to type when there is no engine, or none that answers.

use super::candidate::Candidate;
use crate::engine::Kind;
use crate::error::{Error, Kind as Failure};
use crate::exec::last_words;

const MAC: bool = cfg!(target_os = "macos");

/// Why an engine that is installed does not answer.
pub(super) fn diagnose(candidate: &Candidate, stderr: &[u8]) -> Error {
    let words = last_words(stderr);
    let said = words.to_ascii_lowercase();
    let name = candidate.kind.name();
    let error = |what: String| Error::new(Failure::Engine, what).because(&words);
    if said.contains("permission denied") {
        return denied(candidate, error(format!("{name} may not be used by this user")));
    }
    if said.contains("too old") || said.contains("too new") {
        return error(format!("{name}'s command line and its daemon don't fit together"))
            .hint("update the older of the two");
    }
    if candidate.endpoint.remote {
        return error(format!("{name}'s remote daemon can't be reached")).hints(remote(candidate));
    }
    error(format!("{name} is installed, but does not answer")).hints(start(candidate))
}

fn remote(candidate: &Candidate) -> Vec<&'static str> {
    match candidate.kind {
        Kind::Podman if MAC => vec!["podman machine start"],
        Kind::Podman => vec!["podman system connection list"],
        _ => vec!["docker context ls"],
    }
}

fn denied(candidate: &Candidate, error: Error) -> Error {
    match candidate.kind {
        Kind::Docker => error
            .hint("rootless docker: dockerd-rootless-setuptool.sh install")
            .hint("or sudo usermod -aG docker \"$USER\" and log in again (that group has root's rights)"),
        Kind::Podman => error.hint("podman unshare true   (says what is missing: sub-ids, newuidmap, user namespaces)"),
        Kind::Nerdctl => error.hint("rootless containerd: containerd-rootless-setuptool.sh install"),
    }
}

/// How the daemon is started.
fn start(candidate: &Candidate) -> Vec<&'static str> {
    let socket =
        candidate.endpoint.socket.as_deref().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    let users = socket.contains("/run/user/");
    match candidate.kind {
        Kind::Docker if socket.contains("/.colima/") => vec!["colima start"],
        Kind::Docker if socket.contains("/.orbstack/") => vec!["orb start"],
        Kind::Docker if socket.contains("/.rd/") => vec!["rdctl start"],
        Kind::Docker if MAC => vec!["open -a Docker"],
        Kind::Docker if socket.contains("/.docker/desktop/") => vec!["systemctl --user start docker-desktop"],
        Kind::Docker if users => vec!["systemctl --user start docker"],
        Kind::Docker => vec!["sudo systemctl start docker"],
        Kind::Podman if MAC => vec!["podman machine init", "podman machine start"],
        Kind::Podman => vec!["podman info", "podman system migrate"],
        Kind::Nerdctl if socket.is_empty() => {
            vec!["systemctl --user start containerd", "containerd-rootless-setuptool.sh install"]
        }
        Kind::Nerdctl => vec!["sudo systemctl start containerd"],
    }
}

/// There is none of `kinds`.
pub(super) fn nothing_found(kinds: &[Kind]) -> Error {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    let error = Error::new(Failure::Engine, format!("no container engine found ({})", names.join(", ")));
    error.hints(install(kinds.first().copied().unwrap_or(Kind::Podman)))
}

/// How an engine is installed.
pub(super) fn install(kind: Kind) -> Vec<&'static str> {
    match kind {
        Kind::Podman if MAC => vec!["brew install podman && podman machine init && podman machine start"],
        Kind::Podman => vec!["sudo apt install podman   (Debian, Ubuntu)", "sudo dnf install podman   (Fedora, RHEL)"],
        Kind::Docker if MAC => vec!["brew install --cask docker && open -a Docker"],
        Kind::Docker => vec!["https://docs.docker.com/engine/install/"],
        Kind::Nerdctl => vec!["https://github.com/containerd/nerdctl/releases (nerdctl-full)"],
    }
}

/// Several were found, and none can be used.
pub(super) fn none_usable(failures: Vec<Error>) -> Error {
    let kind = failures.iter().map(|e| e.kind).find(|kind| matches!(kind, Failure::Engine)).unwrap_or(Failure::Refused);
    let mut all = Error::new(kind, "no container engine can be used");
    for failure in failures {
        all = all.because(&failure);
        all.hints.extend(failure.hints);
    }
    all
}

trait Hints {
    fn hints(self, hints: Vec<&'static str>) -> Self;
}

impl Hints for Error {
    fn hints(mut self, hints: Vec<&'static str>) -> Self {
        self.hints.extend(hints.into_iter().map(str::to_owned));
        self
    }
}
