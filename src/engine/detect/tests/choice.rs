//! Which engine is used.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::config::EngineChoice;
use crate::error::Kind as Failure;

#[test]
fn the_order_of_choice() {
    let kind = |bed: &Bed| bed.find().unwrap().kind;
    let all = || Bed::new(&["docker", "podman", "nerdctl"]).all_alive();
    assert_eq!(kind(&all()), Kind::Podman);
    assert_eq!(kind(&Bed::new(&["docker", "nerdctl"]).all_alive()), Kind::Docker);
    assert_eq!(kind(&Bed::new(&["nerdctl"]).all_alive()), Kind::Nerdctl);
    assert_eq!(kind(&all().env(&[("DOCKER_HOST", "unix:///x.sock")])), Kind::Docker);
    // What many tools want podman's users to set.
    assert_eq!(kind(&all().env(&[("DOCKER_HOST", "unix:///run/user/1/podman/podman.sock")])), Kind::Podman);
    let both = [("DOCKER_HOST", "unix:///x.sock"), ("JITBOX_ENGINE", "nerdctl")];
    assert_eq!(kind(&all().env(&both)), Kind::Nerdctl);
    let mut bed = all().env(&both);
    bed.config.engine = Some(EngineChoice::Kind(Kind::Podman));
    assert_eq!(kind(&bed), Kind::Podman);
    bed.config.engine = Some(EngineChoice::Program(bed.dir.path().join("bin/docker")));
    assert_eq!(kind(&bed), Kind::Docker);
    let remote =
        all().env(&[("CONTAINER_HOST", "ssh://u@h/run/podman.sock"), ("SSH_AUTH_SOCK", "/agent")]).find().unwrap();
    assert!(remote.kind == Kind::Podman && remote.facts.remote);
    assert_eq!(remote.endpoint, ["--url", "ssh://u@h/run/podman.sock"]);
    assert!(remote.environment.iter().any(|(name, _)| name == "SSH_AUTH_SOCK"));
    let error = all().env(&[("JITBOX_ENGINE", "/tmp/evil")]).find().unwrap_err();
    assert_eq!(error.kind, Failure::Refused);
}

#[test]
fn nothing_there_or_nothing_alive() {
    let error = Bed::new(&[]).find().unwrap_err();
    assert_eq!(error.kind, Failure::Engine);
    assert!(error.what.contains("podman, docker, nerdctl") && !error.hints.is_empty());

    let down = "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?";
    let bed = Bed::new(&["docker"]).answers(&[("--version", 0, "Docker version 28"), ("version", 1, down)]);
    let error = bed.find().unwrap_err();
    assert!(error.kind == Failure::Engine && error.to_string().contains("Cannot connect"), "{error}");
    assert!(error.hints[0].contains("start docker") || cfg!(target_os = "macos"));

    let denied = "permission denied while trying to connect to the Docker daemon socket";
    let bed = Bed::new(&["docker"]).answers(&[("--version", 0, "Docker version 28"), ("version", 1, denied)]);
    let error = bed.find().unwrap_err();
    assert!(error.hints.iter().any(|hint| hint.contains("rootless")), "{error}");
}

#[test]
fn a_docker_that_is_podman() {
    // A link.
    let bed = Bed::new(&["podman"]).all_alive().env(&[("JITBOX_ENGINE", "docker")]);
    let bin = bed.dir.path().join("bin");
    symlink(bin.join("podman"), bin.join("docker")).unwrap();
    let engine = bed.find().unwrap();
    assert_eq!((engine.kind, engine.program), (Kind::Podman, bin.join("podman")));

    // The script of the package podman-docker.
    let script = "#!/bin/sh\n[ -e /etc/containers/nodocker ] || \\\necho \"Emulate Docker CLI using podman.\" >&2\nexec /usr/bin/podman \"$@\"\n";
    let bed = Bed::new(&["podman"]).all_alive().env(&[("JITBOX_ENGINE", "docker")]);
    bed.program("docker", script);
    assert_eq!(bed.find().unwrap().kind, Kind::Podman);
    let alone = Bed::new(&[]).all_alive();
    alone.program("docker", script);
    assert!(alone.find().unwrap_err().to_string().contains("podman"));

    // A copy, which only says so itself; that is remembered, too.
    let bed = Bed::new(&["podman", "docker"]).env(&[("JITBOX_ENGINE", "docker")]);
    let bed = bed.answers(&[("docker --version", 0, "podman version 4.3.1"), ("podman info", 0, PODMAN_INFO)]);
    assert_eq!(bed.find().unwrap().kind, Kind::Podman);
    assert_eq!(bed.spawned(), 2);
    assert_eq!(bed.find().unwrap().kind, Kind::Podman);
    assert_eq!(bed.spawned(), 0);
}

#[test]
fn a_program_that_others_can_change_is_not_started() {
    let bed = Bed::new(&["podman"]).all_alive();
    let podman = bed.dir.path().join("bin/podman");
    fs::set_permissions(&podman, fs::Permissions::from_mode(0o777)).unwrap();
    let error = bed.find().unwrap_err();
    assert!(error.kind == Failure::Refused && error.to_string().contains("everybody"), "{error}");
    assert_eq!(bed.spawned(), 0);
}
