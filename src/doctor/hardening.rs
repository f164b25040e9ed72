//! What holds a program in, found out by a program in a box: a short one, made as any other is.

use serde::Serialize;

use crate::engine::Engine;
use crate::engine::caps::Carrier;
use crate::error::Result;
use crate::image::present::image_exists;
use crate::image::template::guest_id;
use crate::plan::Limits;
use crate::policy;
use crate::session::Session;
use crate::state::boxes;

/// What the program looks at and tries. Each part begins with its name behind a `#`.
const SCRIPT: &str = include_str!("../../templates/doctor.sh");

/// The files that hold a limit, in version 2 and 1 of cgroups.
const MEMORY: [&str; 2] = ["memory.max", "memory/memory.limit_in_bytes"];
const PIDS: [&str; 2] = ["pids.max", "pids/pids.max"];
const CPUS: [&str; 2] = ["cpu.max", "cpu/cpu.cfs_quota_us"];

/// One property.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Property {
    /// Its name, for programs.
    pub id: &'static str,
    /// What is meant to hold.
    pub what: &'static str,
    /// Whether it does; none if it can't be seen here, or something else stands in for it.
    pub ok: Option<bool>,
    /// What was found.
    pub detail: String,
}

/// Starts a box of an image that is there, and looks. None if there is no such image yet.
pub fn examine(session: &Session<'_>) -> Result<Option<Vec<Property>>> {
    let guest = guest_id(session.engine.facts.architecture);
    for record in boxes::all(&session.layout)?.into_iter().filter(|record| record.guest == guest) {
        if image_exists(&session.engine, &record.image)? {
            let said = session.look(&record.image, &["/bin/sh", "-c", SCRIPT])?;
            let plan = policy::looking(&session.layout, &session.engine, &record.image);
            return Ok(Some(judge(&String::from_utf8_lossy(&said), plan.plan().limits, &session.engine)));
        }
    }
    Ok(None)
}

/// What the program said, by part.
struct Said<'a>(&'a str);

impl<'a> Said<'a> {
    fn part(&self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let head = format!("#{name}");
        let lines = self.0.lines().skip_while(move |line| *line != head).skip(1);
        lines.take_while(|line| !line.starts_with('#'))
    }

    /// The values of a field of `/proc/self/status`.
    fn status(&self, name: &str) -> Option<Vec<&'a str>> {
        let line = self.part("status").find(|line| line.split(':').next() == Some(name))?;
        Some(line.split_whitespace().skip(1).collect())
    }

    fn words(&self, name: &str) -> String {
        self.part(name).collect::<Vec<_>>().join(" ").trim().to_owned()
    }

    /// What a file of the cgroup holds.
    fn cgroup(&self, files: [&str; 2]) -> Option<&'a str> {
        self.part("cgroup").find_map(|line| line.split_once(' ').filter(|(file, _)| files.contains(file))).map(|l| l.1)
    }
}

/// Judges what the program said: a part that is missing is no good sign.
fn judge(text: &str, limits: Limits, engine: &Engine) -> Vec<Property> {
    let said = Said(text);
    let mut all = vec![user(&said)];
    all.extend(process(&said));
    all.extend(files(&said));
    all.extend(surroundings(&said));
    all.extend(kept_limits(&said, limits, engine));
    if engine.facts.same_kernel == Some(false) {
        all.iter_mut().for_each(in_its_own_kernel);
    }
    all
}

/// What a kernel of the box's own allows is nothing that the host's does: gVisor has no use for
/// our filter, and makes namespaces and devices of its own.
fn in_its_own_kernel(property: &mut Property) {
    let of_the_kernel = ["no-new-privileges", "seccomp", "namespaces", "kernel", "devices", "proc"];
    if property.ok == Some(false) && of_the_kernel.contains(&property.id) {
        property.ok = None;
        property.detail.push_str(", in a kernel of its own");
    }
}

fn property(id: &'static str, what: &'static str, ok: bool, detail: impl Into<String>) -> Property {
    Property { id, what, ok: Some(ok), detail: detail.into() }
}

fn user(said: &Said<'_>) -> Property {
    let ids: Vec<&str> = ["Uid", "Gid", "Groups"].iter().filter_map(|name| said.status(name)).flatten().collect();
    let ok = ids.len() >= 8 && ids.iter().all(|id| *id != "0");
    property("user", "not root, in no group of root's", ok, format!("ids {}", ids.join(" ")))
}

/// What the kernel knows of the process.
fn process(said: &Said<'_>) -> Vec<Property> {
    let sets = ["CapInh", "CapPrm", "CapEff", "CapBnd"].map(|name| said.status(name).unwrap_or_default().concat());
    let none = sets.iter().all(|set| !set.is_empty() && set.bytes().all(|b| b == b'0'));
    // gVisor's kernel shows neither of these two.
    let flag = |id, what, name, wanted: &str| {
        let found = said.status(name).map(|values| values.concat());
        let detail = found.clone().unwrap_or_else(|| "this kernel does not say".to_owned());
        Property { id, what, ok: found.map(|value| value == wanted), detail: format!("{name} {detail}") }
    };
    let tried = |name: &str| said.part("tried").find_map(|line| line.strip_prefix(name)).unwrap_or(" ?").trim();
    let refused = |id, what, name| property(id, what, tried(name) == "no", tried(name));
    vec![
        property("capabilities", "no capability in any set", none, sets.join(" ")),
        flag("no-new-privileges", "no program gives more rights", "NoNewPrivs", "1"),
        flag("seccomp", "system calls are filtered", "Seccomp", "2"),
        refused("namespaces", "no user namespace can be made", "unshare"),
        refused("kernel", "the kernel's own switches can't be written", "kernel"),
    ]
}

/// What can be written, and what can be done with it.
fn files(said: &Said<'_>) -> Vec<Property> {
    let mounts: Vec<Vec<&str>> = said.part("mounts").map(|line| line.split(' ').collect()).collect();
    let options = |mount: &[&str]| mount.get(3).map(|o| o.split(',').map(str::to_owned).collect()).unwrap_or_default();
    let at = |path: &str| mounts.iter().rev().find(|m| m.get(1) == Some(&path)).map(|m| options(m));
    let root: Vec<String> = at("/").unwrap_or_default();
    let ok = root.iter().any(|option| option == "ro") && said.part("tried").any(|line| line == "write no");
    let places: Vec<&str> = ["/tmp", "/state", "/dev/shm"].into_iter().filter(|path| at(path).is_some()).collect();
    let bare: Vec<&str> = places
        .iter()
        .filter(|path| at(path).is_none_or(|o: Vec<String>| !o.iter().any(|option| option == "noexec")))
        .copied()
        .collect();
    // gVisor shows no options; whether it keeps them is tried.
    let executed = said.part("tried").any(|line| line == "exec no");
    let devices = said.words("devices");
    let sockets = said.words("sockets");
    let masked = said.words("readable");
    let noexec =
        if executed { "nothing written in /tmp is executed".into() } else { format!("exec: {}", bare.join(" ")) };
    vec![
        property("read-only", "the root file system can't be written", ok, root.join(",")),
        property("noexec", "what is written can't be executed", executed, noexec),
        property("devices", "no disk and no memory of the host", devices.is_empty(), or(devices, "none")),
        property("sockets", "no engine's socket", sockets.is_empty(), or(sockets, "none")),
        property("proc", "the kernel's own files are masked", masked.is_empty(), or(masked, "none can be read")),
    ]
}

/// What else is there.
fn surroundings(said: &Said<'_>) -> Vec<Property> {
    let devices: Vec<&str> = said.part("network").filter_map(|line| line.split_once(':')).map(|l| l.0.trim()).collect();
    let processes = said.words("processes");
    let alone = processes.parse::<u32>().is_ok_and(|count| count < 10);
    let label = said.words("label");
    let label = label.trim_matches('\0').trim();
    let confined = (!label.is_empty()).then(|| !label.starts_with("unconfined"));
    let map = said.words("uid-map").split_whitespace().collect::<Vec<_>>().join(" ");
    let own = !map.is_empty() && !map.starts_with("0 0 ");
    vec![
        property("network", "nothing but a loopback of its own", devices == ["lo"], devices.join(" ")),
        property("processes", "no process of anybody else's", alone, format!("{processes} in all")),
        property("core", "no core dumps", said.words("core") == "0", said.words("core")),
        Property {
            id: "label",
            what: "a profile of SELinux or AppArmor",
            ok: confined.filter(|confined| *confined),
            detail: if label.is_empty() { "the engine sets none".into() } else { label.to_owned() },
        },
        Property {
            id: "user-namespace",
            what: "root in a box is nobody outside",
            ok: own.then_some(true),
            detail: if own { format!("uid map {map}") } else { "no user namespace: a rootless engine has one".into() },
        },
    ]
}

/// Whether the cgroup says what was asked for; where the engine can't, the guest watches.
fn kept_limits(said: &Said<'_>, limits: Limits, engine: &Engine) -> Vec<Property> {
    let enforced = engine.enforced();
    let watched = "not by the engine: PID 1 in the box watches it";
    let share = if engine.stops_boxes() { watched } else { "whether this runtime does is not known" };
    let row = |id, what, asked: bool, watched: &str, files, wanted: &str| {
        let found = said.cgroup(files);
        let holds = found.is_some_and(|found| found.split(' ').next() == Some(wanted));
        let found = found.unwrap_or("nothing");
        match asked {
            true => property(id, what, holds, format!("{found}, {wanted} was asked for")),
            false => Property { id, what, ok: None, detail: watched.to_owned() },
        }
    };
    let quota = ((limits.cpus * 100_000.0) as u64).to_string();
    vec![
        row("memory", "memory is limited", enforced.memory, watched, MEMORY, &limits.memory.to_string()),
        row("pids", "processes are limited", enforced.pids, watched, PIDS, &limits.pids.to_string()),
        row("cpus", "processors are limited", enforced.cpus, share, CPUS, &quota),
    ]
}

fn or(text: String, none: &str) -> String {
    if text.is_empty() { none.to_owned() } else { text }
}

/// Which way the box's streams go says whether its kernel is ours.
pub fn kernel(engine: &Engine) -> &'static str {
    match (engine.facts.same_kernel, engine.carrier()) {
        (Some(false), _) => "boxes have a kernel of their own",
        (Some(true), _) => "boxes share this kernel: a virtual machine or runtime = \"runsc\" would keep them from it",
        (None, Carrier::Local(_) | Carrier::Stream) => "not known before the first run",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Architecture, Enforces, Facts, Kind};

    /// What a box on podman 4.3 and cgroups of version 1 said, shortened.
    const WELL: &str = include_str!("well.txt");

    fn engine(limits: bool) -> Engine {
        Engine {
            kind: Kind::Podman,
            program: "/usr/bin/podman".into(),
            endpoint: Vec::new(),
            environment: Vec::new(),
            runtime: None,
            process_limit: None,
            facts: Facts {
                version: "4.3.1".into(),
                product: None,
                rootless: false,
                remote: false,
                enforces: Enforces { memory: limits, pids: limits, cpus: limits },
                architecture: Architecture::X86_64,
                selinux: false,
                same_kernel: Some(true),
                local_refused: false,
            },
        }
    }

    fn failing(text: &str) -> Vec<&'static str> {
        let limits = Limits { memory: 512 << 20, cpus: 1.0, pids: 512, nofile: 4096, files: 64 << 20 };
        let all = judge(text, limits, &engine(true));
        all.into_iter().filter(|property| property.ok == Some(false)).map(|property| property.id).collect()
    }

    #[test]
    fn a_box_as_it_should_be() {
        assert_eq!(failing(WELL), [""; 0]);
    }

    #[test]
    fn each_thing_that_is_wrong_is_seen() {
        for (well, wrong, id) in [
            ("Uid:\t65532", "Uid:\t0", "user"),
            ("Groups:\t65532", "Groups:\t65532 0", "user"),
            ("CapBnd:\t0000000000000000", "CapBnd:\t00000000a80425fb", "capabilities"),
            ("NoNewPrivs:\t1", "NoNewPrivs:\t0", "no-new-privileges"),
            ("Seccomp:\t2", "Seccomp:\t0", "seccomp"),
            ("unshare no", "unshare ok", "namespaces"),
            ("kernel no", "kernel ok", "kernel"),
            ("write no", "write ok", "read-only"),
            ("overlay / overlay ro", "overlay / overlay rw", "read-only"),
            ("exec no", "exec ok", "noexec"),
            ("#devices\n", "#devices\n/dev/sda\n", "devices"),
            ("#sockets\n", "#sockets\n/run/docker.sock\n", "sockets"),
            ("#readable\n", "#readable\n/proc/kcore\n", "proc"),
            ("    lo:", "  eth0: 1\n    lo:", "network"),
            ("#processes\n5", "#processes\n250", "processes"),
            ("#core\n0", "#core\nunlimited", "core"),
            ("limit_in_bytes 536870912", "limit_in_bytes 9223372036854771712", "memory"),
            ("pids.max 512", "pids.max max", "pids"),
            ("cfs_quota_us 100000", "cfs_quota_us -1", "cpus"),
        ] {
            assert!(WELL.contains(well), "{well}");
            assert_eq!(failing(&WELL.replacen(well, wrong, 1)), [id], "{wrong}");
        }
        // Nothing said is nothing proven.
        assert!(failing("").len() > 10);
    }

    #[test]
    fn what_the_engine_cannot_limit_is_watched() {
        let limits = Limits { memory: 512 << 20, cpus: 1.0, pids: 512, nofile: 4096, files: 64 << 20 };
        let all = judge(WELL, limits, &engine(false));
        let memory = all.iter().find(|property| property.id == "memory").unwrap();
        assert!(memory.ok.is_none() && memory.detail.contains("watches"));
    }

    #[test]
    fn another_kernels_words_are_its_own() {
        let limits = Limits { memory: 512 << 20, cpus: 1.0, pids: 512, nofile: 4096, files: 64 << 20 };
        let mut own = engine(true);
        own.facts.same_kernel = Some(false);
        let text = WELL.replace("Seccomp:\t2", "Seccomp:\t0").replace("exec no", "exec ok");
        let wrong = judge(&text, limits, &own).into_iter().filter(|property| property.ok == Some(false));
        assert_eq!(wrong.map(|property| property.id).collect::<Vec<_>>(), ["noexec"]);
    }
}
