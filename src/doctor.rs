//! What `jitbox doctor` finds out: the engines of this machine, which one is used and why, what
//! it can do, and what to type for what is missing.

use std::path::Path;

use serde::Serialize;

use crate::config::Config;
use crate::context::Context;
use crate::engine::caps::{Carrier, Reach};
use crate::engine::detect::{self, Found, Survey};
use crate::engine::{Builder, Engine, Enforces, Facts, Kind};
use crate::error::{Error, Result};
use crate::state::{self, Layout};

/// The longest path of a socket, without its closing zero (unix(7)).
const SOCKET_PATH: usize = 107;
/// How much of it a run's own folder and socket take.
const RUN_PATH: usize = 40;

/// Everything, as `--json` prints it. Fields are added, never renamed or removed, as long as
/// `format` stays the same.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The number of this form: 1.
    pub format: u32,
    /// Our own version.
    pub jitbox: &'static str,
    /// Packages can be run.
    pub usable: bool,
    /// The engine that is used.
    pub chosen: Option<Chosen>,
    /// Every engine that we know, in the order of preference.
    pub engines: Vec<Row>,
    /// What was checked.
    pub checks: Vec<Check>,
}

/// The engine that is used.
#[derive(Debug, Serialize)]
pub struct Chosen {
    /// Its kind: `docker`, `podman` or `nerdctl`.
    pub kind: Kind,
    /// Its program.
    pub program: String,
    /// The options that pin its endpoint; none: the local default.
    pub endpoint: Vec<String>,
    /// The OCI runtime that the settings name.
    pub runtime: Option<String>,
    /// What decided.
    pub why: String,
    /// What is known about it.
    pub facts: Facts,
    /// How a box's streams reach the caller: `descriptors`, `socket` or `stream`.
    pub carrier: &'static str,
    /// Why that.
    pub carrier_why: &'static str,
}

/// One engine of this machine.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Its kind.
    pub kind: Kind,
    /// Its program, if there is one.
    pub program: Option<String>,
    /// Its version, if it answers.
    pub version: Option<String>,
    /// It can be used.
    pub usable: bool,
    /// It is the one that is used.
    pub chosen: bool,
    /// Why it can't be used, or what is special about it.
    pub detail: Option<String>,
    /// What to type, if it can't be used.
    pub fix: Vec<String>,
}

/// One thing that was checked.
#[derive(Debug, Serialize)]
pub struct Check {
    /// Its name, for programs: `settings`, `records`, `sockets`, `engine`, `limits`, `builder`, `carrier`, `sub-ids`.
    pub id: &'static str,
    /// What was checked, in words.
    pub what: &'static str,
    /// All is well. What is not makes runs impossible only if `usable` is false.
    pub ok: bool,
    /// What was found.
    pub detail: String,
    /// What to type, if all is not well.
    pub fix: Option<String>,
}

/// Looks at everything.
pub fn examine(context: &Context) -> Report {
    let layout = Layout::new(context);
    let settings = Config::load(context);
    let mut checks = vec![settings_check(context, &settings), records(&layout), sockets(&layout)];
    let broken = checks.iter().any(|check| !check.ok && check.id != "sockets");
    // Wrong settings stop every run; what the machine has is shown all the same.
    let survey = detect::survey(context, &settings.unwrap_or_default(), &layout);
    let (chosen, engines) = match survey {
        Ok(survey) => summary(survey, context, &mut checks),
        Err(error) => {
            checks.push(failed("engine", "a container engine", &error));
            (None, Vec::new())
        }
    };
    Report {
        format: 1,
        jitbox: env!("CARGO_PKG_VERSION"),
        usable: chosen.is_some() && !broken,
        chosen,
        engines,
        checks,
    }
}

fn summary(survey: Survey, context: &Context, checks: &mut Vec<Check>) -> (Option<Chosen>, Vec<Row>) {
    let Survey { found, chosen, why, wanted } = survey;
    let rows = found.iter().enumerate().map(|(i, found)| row(found, chosen == Some(i))).collect();
    let Some(engine) = chosen.and_then(|i| found[i].engine.as_ref().ok()) else {
        let asked = found.iter().filter(|found| wanted.contains(&found.kind));
        // The one that was asked for, or the one that is nearest to working.
        let nearest = asked.clone().find(|found| found.program.is_some()).or_else(|| asked.clone().next());
        let error = nearest.and_then(|found| found.engine.as_ref().err().cloned());
        let error = error.unwrap_or_else(|| Error::failed("no container engine found"));
        checks.push(failed("engine", "a container engine", &error));
        return (None, rows);
    };
    let kind = engine.kind.name();
    let detail = format!("{kind} {} at {} ({why})", engine.facts.version, engine.program.display());
    checks.push(fine("engine", "a container engine", detail));
    checks.extend([limits(engine), builder(engine), carrier_check(engine)]);
    checks.extend(sub_ids(context, engine));
    let (carrier, carrier_why) = carrier(engine);
    let chosen = Chosen {
        kind: engine.kind,
        program: engine.program.to_string_lossy().into_owned(),
        endpoint: engine.endpoint.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
        runtime: engine.runtime.clone(),
        why: why.to_string(),
        facts: engine.facts.clone(),
        carrier,
        carrier_why,
    };
    (Some(chosen), rows)
}

fn row(found: &Found, chosen: bool) -> Row {
    let facts = found.engine.as_ref().ok().map(|engine| &engine.facts);
    let error = found.engine.as_ref().err();
    let disguised = found.instead_of.as_ref().map(|docker| format!("`{}` is podman", docker.display()));
    let product = facts.and_then(|facts| facts.product.clone());
    Row {
        kind: found.kind,
        program: found.program.as_ref().map(|path| path.to_string_lossy().into_owned()),
        version: facts.map(|facts| facts.version.clone()),
        usable: found.engine.is_ok(),
        chosen,
        detail: error.map(ToString::to_string).or(disguised).or(product),
        fix: error.map(|error| error.hints.clone()).unwrap_or_default(),
    }
}

fn fine(id: &'static str, what: &'static str, detail: impl Into<String>) -> Check {
    Check { id, what, ok: true, detail: detail.into(), fix: None }
}

fn failed(id: &'static str, what: &'static str, error: &Error) -> Check {
    let fix = (!error.hints.is_empty()).then(|| error.hints.join("; "));
    Check { id, what, ok: false, detail: error.to_string(), fix }
}

fn lacking(id: &'static str, what: &'static str, detail: impl Into<String>, fix: &str) -> Check {
    Check { id, what, ok: false, detail: detail.into(), fix: Some(fix.into()) }
}

fn settings_check(context: &Context, settings: &Result<Config>) -> Check {
    const WHAT: &str = "the settings can be read";
    let path = Config::path(context);
    match settings {
        Ok(_) if path.exists() => fine("settings", WHAT, path.display().to_string()),
        Ok(_) => fine("settings", WHAT, format!("defaults (there is no {})", path.display())),
        Err(error) => failed("settings", WHAT, error),
    }
}

fn records(layout: &Layout) -> Check {
    const WHAT: &str = "records can be kept";
    let made = state::private_dir(layout.root());
    let writable = made.and_then(|()| state::store::write_bytes(&layout.root().join("doctor"), b""));
    match writable.and_then(|()| state::store::remove(&layout.root().join("doctor"))) {
        Ok(()) => fine("records", WHAT, layout.root().display().to_string()),
        Err(error) => failed("records", WHAT, &error),
    }
}

fn sockets(layout: &Layout) -> Check {
    const WHAT: &str = "the folder of sockets is short enough";
    let runs = layout.runs();
    if runs.as_os_str().len() + RUN_PATH <= SOCKET_PATH {
        return fine("sockets", WHAT, runs.display().to_string());
    }
    let detail = format!("{} is too long for the path of a socket: boxes are reached over the slower stream", runs.display());
    lacking("sockets", WHAT, detail, "log in so that /run/user/UID is made, or set XDG_RUNTIME_DIR")
}

fn limits(engine: &Engine) -> Check {
    const WHAT: &str = "the engine enforces limits";
    let Enforces { memory, pids, cpus } = engine.facts.enforces;
    let all = [("memory", memory), ("pids", pids), ("cpus", cpus)];
    let missing: Vec<&str> = all.iter().filter(|(_, holds)| !holds).map(|(name, _)| *name).collect();
    if missing.is_empty() {
        return fine("limits", WHAT, "memory, pids and cpus");
    }
    let detail = format!("not {}: our own process in the box watches memory and pids instead", missing.join(", "));
    let fix = if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        "delegate the controllers to users: a file /etc/systemd/system/user@.service.d/delegate.conf with `[Service]` and \
         `Delegate=cpu cpuset memory pids`, then sudo systemctl daemon-reload, and log in again"
    } else {
        "rootless limits need cgroups v2: boot with systemd.unified_cgroup_hierarchy=1"
    };
    lacking("limits", WHAT, detail, fix)
}

fn builder(engine: &Engine) -> Check {
    const WHAT: &str = "images are built with secrets and caches kept apart";
    match engine.facts.builder {
        Builder::Buildkit => fine("builder", WHAT, "BuildKit"),
        Builder::Buildah => fine("builder", WHAT, "buildah"),
        Builder::Classic => {
            let detail = "docker's classic builder: private registries and the shared package cache are not available in builds";
            lacking("builder", WHAT, detail, "install docker's buildx plugin (package docker-buildx-plugin or docker-buildx)")
        }
    }
}

/// The carrier's name, and why it is that one.
fn carrier(engine: &Engine) -> (&'static str, &'static str) {
    match engine.carrier() {
        Carrier::Local(Reach::Descriptor) => ("descriptors", "boxes share this kernel, and podman passes descriptors on"),
        Carrier::Local(Reach::Mount) => ("socket", "boxes share this kernel"),
        Carrier::Stream if engine.facts.remote => ("stream", "boxes run on another machine or in a virtual one"),
        Carrier::Stream if engine.facts.same_kernel == Some(false) => ("stream", "boxes have a kernel of their own"),
        Carrier::Stream => ("stream", "until the first run has shown whether boxes share this kernel"),
    }
}

fn carrier_check(engine: &Engine) -> Check {
    let (name, why) = carrier(engine);
    fine("carrier", "how boxes are reached", format!("{name}: {why}"))
}

/// Rootless podman maps users of a box to sub-ids.
fn sub_ids(context: &Context, engine: &Engine) -> Option<Check> {
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
    let fix = format!("sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user} && podman system migrate");
    let detail = "no entry in /etc/subuid and /etc/subgid (fine if a directory service gives them out)";
    Some(lacking("sub-ids", WHAT, detail, &fix))
}

impl Report {
    /// The report for people.
    pub fn text(&self) -> String {
        let mut lines = vec![format!("jitbox {}", self.jitbox), String::new(), "engines".into()];
        for row in &self.engines {
            let mark = if row.chosen { "*" } else { " " };
            let version = row.version.as_deref().unwrap_or("-");
            let program = row.program.as_deref().unwrap_or("-");
            lines.push(format!("{mark} {:<8} {version:<16} {program}", row.kind.name()));
            lines.extend(row.detail.iter().map(|detail| format!("    {detail}")));
            lines.extend(row.fix.iter().map(|fix| format!("      type: {fix}")));
        }
        if let Some(chosen) = &self.chosen {
            lines.extend([String::new(), format!("used: {} ({})", chosen.kind.name(), chosen.why)]);
            lines.extend(chosen.lines().map(|(name, value)| format!("  {name:<13}{value}")));
        }
        lines.extend([String::new(), "checks".into()]);
        for check in &self.checks {
            let mark = if check.ok { "ok" } else { "NO" };
            lines.push(format!("  {mark} {:<9} {}: {}", check.id, check.what, check.detail));
            lines.extend(check.fix.iter().map(|fix| format!("       type: {fix}")));
        }
        let verdict = if self.usable { "packages can be run" } else { "packages can't be run" };
        lines.extend([String::new(), verdict.into()]);
        lines.join("\n")
    }
}

impl Chosen {
    fn lines(&self) -> impl Iterator<Item = (&'static str, String)> {
        let facts = &self.facts;
        let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
        let endpoint = if self.endpoint.is_empty() { "local".into() } else { self.endpoint.join(" ") };
        let all = [
            ("endpoint", endpoint),
            ("runtime", self.runtime.clone().unwrap_or_else(|| "the engine's own".into())),
            ("architecture", format!("{:?}", facts.architecture).to_ascii_lowercase()),
            ("rootless", yes(facts.rootless)),
            ("remote", yes(facts.remote)),
            ("selinux", yes(facts.selinux)),
            ("builder", format!("{:?}", facts.builder).to_ascii_lowercase()),
            ("carrier", self.carrier.to_owned()),
        ];
        all.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Architecture;

    fn engine(builder: Builder, limits: bool) -> Engine {
        Engine {
            kind: Kind::Docker,
            program: "/usr/bin/docker".into(),
            endpoint: vec!["--host".into(), "unix:///var/run/docker.sock".into()],
            environment: Vec::new(),
            runtime: None,
            facts: Facts {
                version: "20.10".into(),
                product: None,
                rootless: false,
                remote: false,
                enforces: Enforces { memory: limits, pids: true, cpus: limits },
                builder,
                architecture: Architecture::X86_64,
                selinux: false,
                same_kernel: None,
            },
        }
    }

    #[test]
    fn what_is_missing_comes_with_what_to_type() {
        assert!(limits(&engine(Builder::Classic, true)).ok);
        let check = limits(&engine(Builder::Classic, false));
        assert!(!check.ok && check.detail.contains("memory, cpus") && check.fix.is_some());
        assert!(builder(&engine(Builder::Classic, true)).fix.unwrap().contains("buildx"));
        assert!(builder(&engine(Builder::Buildkit, true)).ok);
    }

    #[test]
    fn the_carrier_is_explained() {
        let mut engine = engine(Builder::Buildkit, true);
        assert!(carrier(&engine).1.contains("first run"));
        engine.facts.same_kernel = Some(true);
        assert_eq!(carrier(&engine).0, "socket");
        engine.facts.remote = true;
        assert_eq!(carrier(&engine).0, "stream");
    }
}
