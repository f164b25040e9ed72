//! What is learned, and how long it is believed.

use std::fs;

use super::*;
use crate::config::EngineChoice;
use crate::engine::Architecture;

#[test]
fn what_recorded_answers_mean() {
    let docker = Bed::new(&["docker"]).all_alive().find().unwrap().facts;
    assert_eq!((docker.version.as_str(), docker.architecture), ("20.10.24+dfsg1", Architecture::X86_64));
    assert!(
        docker.enforces.memory && docker.enforces.pids && docker.enforces.cpus && !docker.rootless && !docker.remote
    );

    let podman = Bed::new(&["podman"]).all_alive().find().unwrap();
    assert!(
        podman.facts.rootless && !podman.facts.remote && !podman.facts.enforces.memory && !podman.facts.enforces.pids
    );
    let v2 = PODMAN_INFO
        .replace("\"v1\"", "\"v2\"")
        .replace("cgroupfs", "systemd")
        .replace("Controllers\":[]", "Controllers\":[\"memory\",\"pids\"]");
    let podman = Bed::new(&["podman"]).answers(&[("info", 0, &v2)]).find().unwrap();
    let enforces = podman.facts.enforces;
    assert!(enforces.memory && enforces.pids && !enforces.cpus);

    let nerdctl = Bed::new(&["nerdctl"]).all_alive().find().unwrap().facts;
    assert!(nerdctl.rootless && !nerdctl.enforces.memory);
    assert_eq!((nerdctl.version.as_str(), nerdctl.architecture), ("2.3.5", Architecture::Aarch64));
    let old = NERDCTL.replace("v2.3.5", "v1.7.6");
    let error = Bed::new(&["nerdctl"]).answers(&[("version", 0, &old)]).find().unwrap_err();
    assert!(error.to_string().contains("too old"), "{error}");

    let desktop =
        DOCKER_INFO.replace("Debian GNU/Linux 12 (bookworm)", "Docker Desktop").replace("name=seccomp", "name=selinux");
    let bed = Bed::new(&["docker"]);
    let bed = bed.answers(&[("--version", 0, "Docker version 28"), ("version", 0, DOCKER_20), ("info", 0, &desktop)]);
    let facts = bed.find().unwrap().facts;
    assert!(facts.remote && facts.selinux);
    assert_eq!(facts.product.as_deref(), Some("Docker Desktop"));

    let other = DOCKER_INFO.replace("KERNEL", "5.15.0-other");
    let bed = Bed::new(&["docker"]);
    let bed = bed.answers(&[("--version", 0, "Docker version 28"), ("version", 0, DOCKER_20), ("info", 0, &other)]);
    assert!(bed.find().unwrap().facts.remote);

    let podman_socket = DOCKER_20.replace("\"Engine\"", "\"Podman Engine\"");
    let bed = Bed::new(&["docker"]).answers(&[("--version", 0, "Docker version 28"), ("version", 0, &podman_socket)]);
    assert!(bed.find().unwrap_err().hints[0].contains("podman"));
}

#[test]
fn a_warm_start_asks_nobody() {
    let bed = Bed::new(&["podman"]).all_alive();
    let engine = bed.find().unwrap();
    assert_eq!((bed.spawned(), engine.facts.same_kernel), (1, None));
    let again = bed.find().unwrap();
    assert_eq!((bed.spawned(), &again.facts), (0, &engine.facts));
    assert_eq!(again.environment, engine.environment);

    let layout = bed.layout();
    learn_same_kernel(&layout, &engine, true).unwrap();
    assert_eq!(bed.find().unwrap().facts.same_kernel, Some(true));
    assert_eq!(bed.spawned(), 0);

    // Old facts are asked for again; the kernel is still the same.
    let record = layout.root().join("engines").read_dir().unwrap().next().unwrap().unwrap().path();
    let file = fs::File::options().write(true).open(&record).unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(25 * 3600)).unwrap();
    assert_eq!((bed.find().unwrap().facts.same_kernel, bed.spawned()), (Some(true), 1));

    // Another program under the same name.
    bed.program("podman", "\u{7f}ELF another");
    assert_eq!((bed.find().unwrap().facts.same_kernel, bed.spawned()), (None, 1));

    forget(&layout, &engine).unwrap();
    assert_eq!((bed.find().is_ok(), bed.spawned()), (true, 1));

    // A record that can't be read is set aside and made anew.
    fs::write(&record, "{").unwrap();
    assert_eq!((bed.find().is_ok(), bed.spawned()), (true, 1));
}

#[test]
fn a_dead_engine_is_passed_over_as_long_as_another_works() {
    let mut bed = Bed::new(&["podman", "docker"]).all_alive();
    bed.answers.borrow_mut().insert(0, ("podman info", 125, "cannot clone: Operation not permitted".into()));
    assert_eq!(bed.find().unwrap().kind, Kind::Docker);
    assert_eq!(bed.spawned(), 4);
    assert_eq!(bed.find().unwrap().kind, Kind::Docker);
    assert_eq!(bed.spawned(), 0);
    // On its own it is asked each time.
    bed.config.engine = Some(EngineChoice::Kind(Kind::Podman));
    assert!(bed.find().is_err());
    assert_eq!(bed.spawned(), 1);
    bed.answers.borrow_mut().remove(0);
    assert_eq!(bed.find().unwrap().kind, Kind::Podman);
}

#[test]
fn a_survey_shows_every_engine() {
    let bed = Bed::new(&["docker", "podman"]).all_alive().env(&[("JITBOX_ENGINE", "docker")]);
    let survey = bed.with(|machine| survey_on(machine, &bed.context, &bed.config, &bed.layout())).unwrap();
    let kinds: Vec<_> = survey.found.iter().map(|found| (found.kind, found.engine.is_ok())).collect();
    assert_eq!(kinds, [(Kind::Podman, true), (Kind::Docker, true), (Kind::Nerdctl, false)]);
    assert_eq!((survey.chosen, survey.why), (Some(1), Why::Variable("JITBOX_ENGINE")));
    // What it learned is there for the next start.
    bed.spawned();
    assert_eq!((bed.find().unwrap().kind, bed.spawned()), (Kind::Docker, 0));
}
