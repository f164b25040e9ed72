//! The whole command lines, per engine, as snapshots: a change of one flag on one engine shows.

use super::*;
use crate::engine::{Architecture, Enforces, Facts};

pub(crate) fn engine(kind: Kind, rootless: bool) -> Engine {
    let limits = !rootless;
    Engine {
        kind,
        program: format!("/usr/bin/{}", kind.name()).into(),
        endpoint: if kind == Kind::Docker {
            vec!["--host".into(), "unix:///run/docker.sock".into()]
        } else {
            Vec::new()
        },
        environment: Vec::new(),
        runtime: None,
        process_limit: Some(100_000),
        facts: Facts {
            version: "4.3.1".into(),
            product: None,
            rootless,
            remote: false,
            enforces: Enforces { memory: limits, pids: limits, cpus: limits },
            architecture: Architecture::X86_64,
            selinux: false,
            same_kernel: Some(true),
            local_refused: false,
        },
    }
}

fn all() -> [(&'static str, Engine); 4] {
    [
        ("docker", engine(Kind::Docker, false)),
        ("podman", engine(Kind::Podman, false)),
        ("podman-rootless", engine(Kind::Podman, true)),
        ("nerdctl", engine(Kind::Nerdctl, false)),
    ]
}

fn plan(engine: &Engine, start: Start) -> RunPlan {
    let place = |target: &str| Tmpfs { target: target.into(), size: 64 << 20, exec: false };
    let mut tmpfs = vec![place("/tmp")];
    tmpfs.extend(engine.own_tmpfs().iter().map(|target| place(target)));
    RunPlan {
        name: "jitbox-1-abc".into(),
        image: "localhost/jitbox/npm-x:0123".into(),
        labels: vec![(RUN_LABEL.into(), "jitbox-1-abc".into())],
        user: if engine.maps_user() { User::Mapped } else { User::Caller { uid: 1000, gid: 1000 } },
        mounts: vec![Mount { source: "/srv/a,\"b".into(), target: "/srv/link".into(), writable: false }],
        volume: Some(Volume { name: "jitbox-state-0123".into(), target: "/state", writable: true, exec: false }),
        tmpfs,
        limits: Limits { memory: 512 << 20, cpus: 1.5, pids: 256, nofile: 4096, files: 64 << 20 },
        network: Network::None,
        kept: None,
        seccomp: "/data/seccomp/x.json".into(),
        start,
    }
}

fn lines(argv: &[OsString]) -> String {
    argv.iter().map(|word| word.to_string_lossy() + "\n").collect()
}

#[test]
fn run_detached() {
    for (name, engine) in all() {
        let start = match engine.carrier() {
            crate::engine::caps::Carrier::Local(crate::engine::caps::Reach::Descriptor) => Start::Descriptor,
            _ => Start::Socket("/run/user/1000/jitbox/runs/x/link".into()),
        };
        insta::assert_snapshot!(format!("run-{name}"), lines(&run(&engine, &plan(&engine, start))));
    }
}

#[test]
fn run_attached_and_with_a_network() {
    for (name, mut engine) in all() {
        engine.runtime = Some("runsc".into());
        let mut plan = plan(&engine, Start::Attached);
        plan.network = Network::Engine;
        plan.user = User::Nobody;
        plan.mounts.clear();
        insta::assert_snapshot!(format!("attached-{name}"), lines(&run(&engine, &plan)));
    }
}

#[test]
fn installed_and_committed() {
    for (name, engine) in all() {
        let command = ["sh", "-c", "SCRIPT", "sh", "make"].map(str::to_owned).to_vec();
        let mut plan = plan(&engine, Start::Command(command));
        plan.network = Network::Engine;
        plan.kept = Some(&["CHOWN"]);
        plan.limits.cpus = 0.0;
        (plan.mounts, plan.volume, plan.tmpfs) = (Vec::new(), None, Vec::new());
        let mut text = lines(&run(&engine, &plan));
        let labels = vec![("io.jitbox.lock.sha256".into(), "ab".into())];
        let image = "localhost/jitbox/npm-x:0123".to_owned();
        let made = CommitPlan { container: plan.name.clone(), image: image.clone(), labels: labels.clone() };
        let labelled = LabelPlan { base: "localhost/x".into(), image, context: "/data/builds/x".into(), labels };
        let labels = (!engine.commits_labels()).then(|| label(&engine, &labelled));
        for command in [commit(&engine, &made)].into_iter().chain(labels).chain(clear(&engine, &plan.name)) {
            text.push_str("--\n");
            text.push_str(&lines(&command));
        }
        insta::assert_snapshot!(format!("install-{name}"), text);
    }
}

#[test]
fn no_line_gives_away_more_than_it_must() {
    for (name, engine) in all() {
        for start in [Start::Attached, Start::Descriptor, Start::Socket("/x".into())] {
            let text = lines(&run(&engine, &plan(&engine, start)));
            for must in
                ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none", "--pull=never"]
            {
                assert!(text.lines().any(|line| line == must), "{name}: {must}");
            }
            for never in ["--privileged", "--volume", "-v", "--env", "--publish", "--pid", "--device", "--cap-add"] {
                assert!(!text.lines().any(|line| line.split('=').next() == Some(never)), "{name}: {never}");
            }
        }
    }
}
