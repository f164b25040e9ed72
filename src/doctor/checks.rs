//! The single checks.

use std::path::Path;

use super::Check;
use crate::config::Config;
use crate::context::Context;
use crate::engine::caps::{Carrier, Reach};
use crate::engine::{Enforces, Engine, Kind};
use crate::error::{Error, Result};
use crate::state::{self, Layout};

/// The longest path of a socket, without its closing zero (unix(7)).
const SOCKET_PATH: usize = 107;
/// How much of it a run's own folder and socket take.
const RUN_PATH: usize = 40;

pub(super) fn fine(id: &'static str, what: &'static str, detail: impl Into<String>) -> Check {
    Check { id, what, ok: true, detail: detail.into(), fix: None }
}

pub(super) fn failed(id: &'static str, what: &'static str, error: &Error) -> Check {
    let fix = (!error.hints.is_empty()).then(|| error.hints.join("; "));
    Check { id, what, ok: false, detail: error.to_string(), fix }
}

fn lacking(id: &'static str, what: &'static str, detail: impl Into<String>, fix: &str) -> Check {
    Check { id, what, ok: false, detail: detail.into(), fix: Some(fix.into()) }
}

pub(super) fn settings_check(context: &Context, settings: &Result<Config>) -> Check {
    const WHAT: &str = "the settings can be read";
    let path = Config::path(context);
    match settings {
        Ok(_) if path.exists() => fine("settings", WHAT, path.display().to_string()),
        Ok(_) => fine("settings", WHAT, format!("defaults (there is no {})", path.display())),
        Err(error) => failed("settings", WHAT, error),
    }
}

pub(super) fn records(layout: &Layout) -> Check {
    const WHAT: &str = "records can be kept";
    let made = state::private_dir(layout.root());
    let writable = made.and_then(|()| state::store::write_bytes(&layout.root().join("doctor"), b""));
    match writable.and_then(|()| state::store::remove(&layout.root().join("doctor"))) {
        Ok(()) => fine("records", WHAT, layout.root().display().to_string()),
        Err(error) => failed("records", WHAT, &error),
    }
}

pub(super) fn sockets(layout: &Layout) -> Check {
    const WHAT: &str = "the folder of sockets is short enough";
    let runs = layout.runs();
    if runs.as_os_str().len() + RUN_PATH <= SOCKET_PATH {
        return fine("sockets", WHAT, runs.display().to_string());
    }
    let detail =
        format!("{} is too long for the path of a socket: boxes are reached over the slower stream", runs.display());
    lacking("sockets", WHAT, detail, "log in so that /run/user/UID is made, or set XDG_RUNTIME_DIR")
}

pub(super) fn limits(engine: &Engine) -> Check {
    const WHAT: &str = "the engine enforces limits";
    let Enforces { memory, pids, cpus } = engine.facts.enforces;
    let all = [("memory", memory), ("pids", pids), ("cpus", cpus)];
    let missing: Vec<&str> = all.iter().filter(|(_, holds)| !holds).map(|(name, _)| *name).collect();
    if missing.is_empty() {
        return fine("limits", WHAT, "memory, pids and cpus");
    }
    let detail = format!("not {}: our own process in the box watches instead", missing.join(", "));
    let fix = if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        "delegate the controllers to users: a file /etc/systemd/system/user@.service.d/delegate.conf with `[Service]` and \
         `Delegate=cpu cpuset memory pids`, then sudo systemctl daemon-reload, and log in again"
    } else {
        "rootless limits need cgroups v2: boot with systemd.unified_cgroup_hierarchy=1"
    };
    lacking("limits", WHAT, detail, fix)
}

/// The carrier's name, and why it is that one.
pub(super) fn carrier(engine: &Engine) -> (&'static str, &'static str) {
    match engine.carrier() {
        Carrier::Local(Reach::Descriptor) => {
            ("descriptors", "boxes share this kernel, and podman passes descriptors on")
        }
        Carrier::Local(Reach::Mount) => ("socket", "boxes share this kernel"),
        Carrier::Stream if engine.facts.remote => ("stream", "boxes run on another machine or in a virtual one"),
        Carrier::Stream if engine.facts.same_kernel == Some(false) => ("stream", "boxes have a kernel of their own"),
        Carrier::Stream => ("stream", "until the first run has shown whether boxes share this kernel"),
    }
}

pub(super) fn carrier_check(engine: &Engine) -> Check {
    let (name, why) = carrier(engine);
    fine("carrier", "how boxes are reached", format!("{name}: {why}"))
}

pub(super) fn kernel_check(engine: &Engine) -> Check {
    let product = engine.facts.product.iter().map(|product| format!("{product}; ")).collect::<String>();
    fine("kernel", "whose kernel boxes have", format!("{product}{}", super::hardening::kernel(engine)))
}

/// Runtimes that put more than the kernel's own walls around a box, by the names of their programs.
const STRONGER: [(&str, &str); 3] = [("runsc", "runsc"), ("kata-runtime", "kata"), ("krun", "krun")];

pub(super) fn runtimes(engine: &Engine) -> Check {
    const WHAT: &str = "runtimes that hold boxes in better";
    let there = |(program, name): &(&'static str, &'static str)| {
        let found = ["/usr/local/bin", "/usr/bin", "/usr/local/sbin", "/usr/sbin", "/opt/kata/bin"]
            .into_iter()
            .any(|dir| Path::new(dir).join(program).exists());
        // krun is crun's, which only podman drives.
        (found && (*name != "krun" || engine.kind == Kind::Podman)).then_some(*name)
    };
    let found: Vec<&str> = STRONGER.iter().filter_map(there).collect();
    let used = engine.runtime.as_ref().map(|runtime| format!("{runtime} is used"));
    let more = match &found[..] {
        [] => "none of runsc, kata and krun is installed here".to_owned(),
        names => format!("runtime = \"{}\" in config.toml would use it", names.join("\" or \"")),
    };
    fine("runtimes", WHAT, used.unwrap_or(more))
}

/// How this machine's limits work, and what of them is this user's to give.
pub(super) fn cgroups(context: &Context) -> Option<Check> {
    const WHAT: &str = "the machine's cgroups";
    let root = Path::new("/sys/fs/cgroup");
    if !root.exists() {
        return None;
    }
    let Ok(all) = std::fs::read_to_string(root.join("cgroup.controllers")) else {
        return Some(fine("cgroups", WHAT, "version 1: root's engines limit, rootless ones can't"));
    };
    let uid = context.uid;
    let own = root.join(format!("user.slice/user-{uid}.slice/user@{uid}.service/cgroup.controllers"));
    let own = std::fs::read_to_string(own).map_or("nothing".to_owned(), |text| text.trim().to_owned());
    Some(fine("cgroups", WHAT, format!("version 2 ({}); delegated to this user: {own}", all.trim())))
}

/// Rootless podman maps users of a box to sub-ids.
pub(super) fn sub_ids(context: &Context, engine: &Engine) -> Option<Check> {
    const WHAT: &str = "the user has ids for users in boxes";
    if !matches!(engine.kind, Kind::Podman) || !engine.facts.rootless || engine.facts.remote {
        return None;
    }
    let user = nix::unistd::User::from_uid(context.uid.into()).ok().flatten().map(|user| user.name);
    let names = [user.clone().unwrap_or_default(), context.uid.to_string()];
    let has = |file: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().filter_map(|line| line.split(':').next()).any(|name| names.iter().any(|ours| ours == name))
    };
    if has("/etc/subuid") && has("/etc/subgid") {
        return Some(fine("sub-ids", WHAT, "/etc/subuid and /etc/subgid"));
    }
    let user = user.unwrap_or_else(|| "USER".into());
    let fix =
        format!("sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user} && podman system migrate");
    let detail = "no entry in /etc/subuid and /etc/subgid (fine if a directory service gives them out)";
    Some(lacking("sub-ids", WHAT, detail, &fix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Architecture, Facts};

    fn engine(limits: bool) -> Engine {
        Engine {
            kind: Kind::Docker,
            program: "/usr/bin/docker".into(),
            endpoint: vec!["--host".into(), "unix:///var/run/docker.sock".into()],
            environment: Vec::new(),
            runtime: None,
            process_limit: None,
            facts: Facts {
                version: "20.10".into(),
                product: None,
                rootless: false,
                remote: false,
                enforces: Enforces { memory: limits, pids: true, cpus: limits },
                architecture: Architecture::X86_64,
                selinux: false,
                same_kernel: None,
                local_refused: false,
            },
        }
    }

    #[test]
    fn what_is_missing_comes_with_what_to_type() {
        assert!(limits(&engine(true)).ok);
        let check = limits(&engine(false));
        assert!(!check.ok && check.detail.contains("memory, cpus") && check.fix.is_some());
    }

    #[test]
    fn the_carrier_is_explained() {
        let mut engine = engine(true);
        assert!(carrier(&engine).1.contains("first run"));
        engine.facts.same_kernel = Some(true);
        assert_eq!(carrier(&engine).0, "socket");
        engine.facts.remote = true;
        assert_eq!(carrier(&engine).0, "stream");
    }
}
