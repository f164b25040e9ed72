//! Guards whose effect only the host sees, and images that work against their box.

use std::net::TcpListener;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::mutations::Edited;
use super::table::{Outcome, Probe};
use super::{Ecosystem, fixture};
use crate::confinement::{Running, control};
use crate::support::home::COWSAY;
use crate::support::lane::nothing_left;
use crate::support::{Lane, run, wait_for};

/// What is wrong on the host while the box runs, if anything.
type Harm = fn(&Lane, &Running) -> Option<String>;

/// Each flag with the edit that takes it away, and who notices.
const MUTATIONS: &[(&str, &str, Harm)] = &[
    ("logs", "s/^--log-driver=none$//", logged),
    ("processors", "s/^--cpus=.*$//", no_quota),
    ("swap", "s/^--memory-swap=.*$//", swaps),
];

pub fn each(lane: &'static Lane) {
    let edited = Edited::new(lane);
    edited.settings("export HTTP_PROXY=http://user:secret@127.0.0.1:9\n");
    let podmans = [("proxies", "s/^--http-proxy=false$//", proxied as Harm)];
    let podmans = podmans.iter().filter(|_| lane.engine() == "podman");
    for (name, edit, harm) in MUTATIONS.iter().chain(podmans) {
        for (edit, expected) in [("", false), (*edit, true)] {
            edited.set(edit);
            // The engine's own stream carries what the program says.
            let running = Running::start(&edited.home, &["JITBOX_CARRIER=stream"], "console.log('canary')");
            let found = harm(lane, &running);
            assert_eq!(found.is_some(), expected, "{name}, {edit}: {found:?}");
            running.end(lane);
        }
    }
}

/// What the program says is in the engine's log.
fn logged(lane: &Lane, running: &Running) -> Option<String> {
    let said = lane.engine_says(&["logs", &running.container.name]);
    said.contains("canary").then_some(said)
}

/// The container has the engine's own proxies, with their passwords.
fn proxied(_: &Lane, running: &Running) -> Option<String> {
    let environment = std::fs::read_to_string(format!("/proc/{}/environ", running.container.pid)).unwrap();
    environment.contains("secret").then_some(environment)
}

/// An image that is gone is made again, whoever else has one of its name.
pub fn nothing_is_pulled(lane: &'static Lane) {
    let edited = Edited::new(lane);
    let registry = TcpListener::bind("127.0.0.1:0").unwrap();
    let image = format!("{}/jitbox/gone:1", registry.local_addr().unwrap());
    registry.set_nonblocking(true).unwrap();
    let path = edited.home.records().into_iter().find(|path| std::fs::read_to_string(path).unwrap().contains("cowsay"));
    let path = path.unwrap();
    for (edit, expected) in [("", false), ("s/^--pull=never$//", true)] {
        let mut record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        record["image"] = image.as_str().into();
        std::fs::write(&path, record.to_string()).unwrap();
        edited.set(edit);
        let (mut asked, done) = (0, AtomicBool::new(false));
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let mut asked = 0;
                while !done.load(Ordering::Relaxed) {
                    // Whoever asks is hung up on.
                    asked += u32::from(registry.accept().is_ok());
                    std::thread::sleep(Duration::from_millis(5));
                }
                asked
            });
            let ended = run(edited.home.shim(COWSAY.shim, COWSAY.args), b"");
            done.store(true, Ordering::Relaxed);
            asked = asking.join().unwrap();
            ended.ok();
        });
        assert_eq!(asked > 0, expected, "{edit}: {asked}");
    }
}

fn no_quota(_: &Lane, running: &Running) -> Option<String> {
    let quota = control(running.container.pid, "cpu", "cpu.cfs_quota_us", "cpu.max")?;
    let first = quota.split_whitespace().next()?.to_owned();
    first.parse::<u64>().is_err().then_some(first)
}

/// More memory and swap together than memory.
fn swaps(_: &Lane, running: &Running) -> Option<String> {
    let both = control(running.container.pid, "memory", "memory.memsw.limit_in_bytes", "memory.swap.max")?;
    (both != "0" && both != (400 << 20).to_string()).then_some(both)
}

/// An image that is root, runs something else, checks its health, and has variables of its own.
pub fn image(lane: &'static Lane) {
    let fixture = fixture::get();
    let edited = Edited::new(lane);
    let home = &edited.home;
    let of_fixture = |path: &&std::path::PathBuf| std::fs::read_to_string(path).unwrap().contains("jitbox-abuse");
    let records = home.records();
    let path = records.iter().find(of_fixture).unwrap();
    let mut record: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let name = format!("localhost/jitbox-abuse:{}", std::process::id());
    let dockerfile = format!(
        "FROM {}\nRUN mkdir -m 777 /volume\nVOLUME /volume\nUSER root\nENV NODE_OPTIONS=--no-such-option LD_PRELOAD=/evil.so\n\
         ENTRYPOINT [\"/bin/sh\", \"-c\", \"echo something else\"]\n\
         HEALTHCHECK --interval=1s CMD echo checked > /volume/checked\n",
        record["image"].as_str().unwrap()
    );
    let context = home.folder("context");
    let mut build = lane.command(lane.engine());
    build.args(["build", "--tag", &name]).args((lane.engine() == "podman").then_some("--format=docker"));
    build.args(["--file", "-"]).arg(&context);
    run(build, dockerfile.as_bytes()).ok();
    record["image"] = name.as_str().into();
    std::fs::write(path, record.to_string()).unwrap();
    let probe = |id: &str, words: &[&str]| -> Probe {
        serde_json::from_value(json!({ "id": id, "what": id, "try": words })).unwrap()
    };
    let probes = [
        probe("root", &["status", "Uid", "0"]),
        probe("variables", &["env", "^(NODE_OPTIONS|LD_PRELOAD)$"]),
        // The last: it has had time to be checked.
        probe("health", &["read-later", "/volume/checked"]),
    ];
    let attempt = || {
        let done = fixture.start(home, Ecosystem::Npm, &probes.iter().collect::<Vec<_>>());
        nothing_left(lane, done.pid);
        fixture::outcomes(&done)
    };
    let succeeded = |outcomes: &std::collections::BTreeMap<String, Outcome>| -> Vec<String> {
        let all = outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Succeeded(_)));
        all.map(|(id, _)| id.clone()).collect()
    };
    // Other tests' servers and boxes have volumes of their own meanwhile.
    let volumes = || {
        let all = lane.engine_says(&["volume", "ls", "--quiet"]);
        let ours = |volume: &&str| volume.starts_with("jitbox-state-") || volume.starts_with("jitbox-cache-");
        all.lines().filter(|volume| !ours(volume)).collect::<Vec<_>>().join("\n")
    };
    let before = volumes();
    let outcomes = attempt();
    assert_eq!((outcomes.len(), succeeded(&outcomes)), (3, Vec::new()), "{outcomes:?}");
    // podman checks by timers of systemd's, which is not here.
    if lane.engine() == "docker" {
        edited.set("s/^--no-healthcheck$//");
        assert_eq!(succeeded(&attempt()), ["health"]);
    }
    edited.set("s/^--user=.*$//");
    assert!(succeeded(&attempt()).contains(&"root".to_owned()));
    let new: Vec<String> = volumes().lines().filter(|v| !before.contains(v)).map(str::to_owned).collect();
    let removed = || {
        let mut remove = lane.engine_command(&["image", "rm", &name]);
        remove.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success().then_some(())
    };
    wait_for("the image's removal", removed);
    assert!(new.is_empty(), "volumes are left: {new:?}");
}
