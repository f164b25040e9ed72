//! The only place that spells engine flags: plans in, arguments out. Pure.
//!
//! Which engine and version takes which flag was measured; where one differs, the reason stands
//! beside it.

use std::ffi::OsString;

use super::{Engine, Kind};
use crate::exec::LINK_FD;
use crate::plan::{
    BOX_ID, CommitPlan, GUEST, LINK_SOCKET, LabelPlan, Limits, Mount, Network, RunPlan, Start, Tmpfs, User, Volume,
};

/// The label on everything that we make: which run it belongs to.
pub const RUN_LABEL: &str = "io.jitbox.run";

/// Says of an image for whose records it was built.
pub const HOME_LABEL: &str = "io.jitbox.home";

/// The label on volumes: which package keeps its files there.
pub const STATE_LABEL: &str = "io.jitbox.state";

/// As many full boxes a user may have at a time where nobody limits the processes of one.
const BOXES: u64 = 16;

/// A list of arguments under construction.
struct Argv(Vec<OsString>);

impl Argv {
    /// The engine's own options and the subcommand.
    fn of(engine: &Engine, subcommand: &[&str]) -> Self {
        let mut argv = engine.endpoint.clone();
        argv.extend(subcommand.iter().map(OsString::from));
        Self(argv)
    }

    fn flag(&mut self, flag: &str) -> &mut Self {
        self.0.push(flag.into());
        self
    }

    fn option(&mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> &mut Self {
        let mut joined = OsString::from(name);
        joined.push("=");
        joined.push(value);
        self.0.push(joined);
        self
    }

    fn word(&mut self, word: impl Into<OsString>) -> &mut Self {
        self.0.push(word.into());
        self
    }
}

/// Options in front of every subcommand that pin docker's or nerdctl's daemon by its address.
pub fn at_host(host: impl Into<OsString>) -> Vec<OsString> {
    vec!["--host".into(), host.into()]
}

/// The same by the name of a docker context.
pub fn at_context(name: &str) -> Vec<OsString> {
    vec!["--context".into(), name.into()]
}

/// The same for podman's remote mode, by an address.
pub fn at_url(url: &str) -> Vec<OsString> {
    vec!["--url".into(), url.into()]
}

/// The same by the name of one of podman's connections.
pub fn at_connection(name: &str) -> Vec<OsString> {
    vec!["--connection".into(), name.into()]
}

/// `run`: one hardened container.
pub fn run(engine: &Engine, plan: &RunPlan) -> Vec<OsString> {
    // The user's runtime is for the packages' code. Fetching runs none of it, needs the network,
    // and not every runtime can give that; nor does every one leave files behind.
    let fetches = matches!(plan.start, Start::Command(_)) && plan.network == Network::Engine;
    let runtime = engine.runtime.as_ref().filter(|_| !fetches && plan.kept.is_none());
    let mut argv = match (engine.kind, runtime) {
        // A global option here, an option of `run` elsewhere.
        (Kind::Podman, Some(runtime)) => Argv::of(engine, &["--runtime", runtime, "run"]),
        (Kind::Docker | Kind::Nerdctl, Some(runtime)) => {
            let mut argv = Argv::of(engine, &["run"]);
            argv.option("--runtime", runtime);
            argv
        }
        (_, None) => Argv::of(engine, &["run"]),
    };
    let attached = matches!(plan.start, Start::Attached | Start::Command(_));
    argv.flag(if attached { "--interactive" } else { "--detach" });
    if plan.kept.is_none() && (attached || engine.removes_detached()) {
        argv.flag("--rm");
    }
    argv.option("--name", &plan.name);
    for (name, value) in &plan.labels {
        argv.option("--label", format!("{name}={value}"));
    }
    argv.flag("--pull=never");
    confine(&mut argv, engine, plan);
    limits(&mut argv, engine, plan.limits);
    for tmpfs in &plan.tmpfs {
        argv.option("--tmpfs", tmpfs_spec(engine, tmpfs));
    }
    if let Some(volume) = &plan.volume {
        argv.option("--mount", volume_spec(engine, volume));
    }
    for mount in &plan.mounts {
        argv.option("--mount", mount_spec(mount));
    }
    let command: Vec<String> = match &plan.start {
        Start::Descriptor => {
            argv.option("--preserve-fds", "1");
            vec![GUEST.into(), "fd".into(), LINK_FD.to_string()]
        }
        Start::Socket(path) => {
            argv.option(
                "--mount",
                mount_spec(&Mount { source: path.clone(), target: LINK_SOCKET.into(), writable: true }),
            );
            vec![GUEST.into(), "socket".into(), LINK_SOCKET.into()]
        }
        Start::Attached => vec![GUEST.into(), "stdio".into()],
        Start::Command(words) => words.clone(),
    };
    argv.option("--entrypoint", &command[0]).word(&plan.image);
    argv.0.extend(command[1..].iter().map(OsString::from));
    argv.0
}

fn confine(argv: &mut Argv, engine: &Engine, plan: &RunPlan) {
    if plan.kept.is_none() {
        argv.flag("--read-only");
    }
    argv.flag("--cap-drop=ALL");
    for capability in plan.kept.into_iter().flatten() {
        argv.option("--cap-add", capability);
    }
    argv.flag("--security-opt=no-new-privileges");
    let mut seccomp = OsString::from("seccomp=");
    seccomp.push(&plan.seccomp);
    argv.option("--security-opt", seccomp);
    argv.flag("--ipc=private").flag("--cgroupns=private");
    // Nothing of ours is in the log, and nerdctl's json-file loses the end of large outputs.
    argv.flag("--log-driver=none").flag("--no-healthcheck");
    argv.flag("--hostname=jitbox").flag("--workdir=/");
    argv.flag("--stop-timeout=1");
    argv.option("--network", if plan.network == Network::None { "none" } else { default_network(engine) });
    match plan.user {
        _ if plan.kept.is_some() => argv.flag("--user=0:0"),
        User::Nobody => argv.option("--user", format!("{BOX_ID}:{BOX_ID}")),
        User::Mapped => argv
            .option("--userns", format!("keep-id:uid={BOX_ID},gid={BOX_ID}"))
            .option("--user", format!("{BOX_ID}:{BOX_ID}")),
        User::Caller { uid, gid } => argv.option("--user", format!("{uid}:{gid}")),
    };
    if engine.kind == Kind::Podman {
        // podman copies the host's proxy variables, credentials included, into containers.
        argv.flag("--http-proxy=false");
        if plan.network == Network::None {
            argv.flag("--no-hosts");
        }
    }
}

/// What the engine itself would take; said explicitly, because settings can make it the host's.
fn default_network(engine: &Engine) -> &'static str {
    match engine.kind {
        Kind::Docker | Kind::Nerdctl => "bridge",
        Kind::Podman if !engine.facts.rootless => "bridge",
        // Podman 5.0 changed its rootless default (release notes).
        Kind::Podman
            if engine.facts.version.split('.').next().and_then(|v| v.parse().ok()).is_some_and(|v: u32| v >= 5) =>
        {
            "pasta"
        }
        Kind::Podman => "slirp4netns",
    }
}

/// Limits that the engine can't keep are not asked for: rootless podman on cgroup v1 would
/// warn on every start, and the guest keeps them.
fn limits(argv: &mut Argv, engine: &Engine, limits: Limits) {
    let enforces = engine.facts.enforces;
    if enforces.memory {
        argv.option("--memory", limits.memory.to_string());
        argv.option("--memory-swap", limits.memory.to_string());
    }
    if enforces.cpus && limits.cpus > 0.0 {
        argv.option("--cpus", limits.cpus.to_string());
    }
    if enforces.pids {
        argv.option("--pids-limit", limits.pids.to_string());
    } else if engine.kind == Kind::Podman {
        // Its own default of 2048 is a limit like any other, and as impossible.
        argv.flag("--pids-limit=0");
    }
    argv.option("--shm-size", limits.files.to_string());
    argv.flag("--ulimit=core=0:0");
    if engine.counts_processes_alone() {
        // The guest ends the box when there are too many; this keeps a fork bomb from outrunning it.
        argv.option("--ulimit", format!("nproc={0}:{0}", limits.pids * 2));
    } else if let (Kind::Podman, false, Some(processes)) = (engine.kind, engine.facts.remote, engine.process_limit) {
        // podman would raise it to a maximum of its own, which fails without CAP_SYS_RESOURCE;
        // and before that it lowers its own to the default kernel.pid_max (seen with 4.3). Where
        // nothing else limits them, a fork bomb would use up the machine's before the guest looks:
        // all boxes of the user together have a number of their own.
        let most = if enforces.pids { 32768 } else { limits.pids.saturating_mul(BOXES).min(32768) };
        let processes = processes.min(most);
        argv.option("--ulimit", format!("nproc={processes}:{processes}"));
    }
    argv.option("--ulimit", format!("nofile={0}:{0}", limits.nofile));
}

fn tmpfs_spec(engine: &Engine, tmpfs: &Tmpfs) -> String {
    let exec = if tmpfs.exec { "exec" } else { "noexec" };
    let mut spec = format!("{}:rw,{exec},nosuid,nodev,size={},mode=1777", tmpfs.target, tmpfs.size);
    if engine.kind == Kind::Podman {
        // podman copies what the image has at that place into it.
        spec.push_str(",notmpcopyup");
    } else {
        // Twice as many names as there are pages: enough for any files with something in them.
        // podman takes no such option ("unknown mount option"); a cgroup counts inodes as memory.
        spec.push_str(&format!(",nr_inodes={}", (tmpfs.size / 2048).max(64)));
    }
    spec
}

/// `--mount` and never `-v`: a missing source fails, and a colon in a path means nothing.
/// The value is CSV: fields with a comma or a quote are quoted.
fn mount_spec(mount: &Mount) -> OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let field = |key: &str, path: &std::path::Path| {
        let mut field = key.as_bytes().to_vec();
        field.extend_from_slice(path.as_os_str().as_bytes());
        if field.iter().any(|b| matches!(b, b',' | b'"' | b'\n' | b'\r')) {
            let doubled = field.iter().flat_map(|b| std::iter::repeat_n(*b, if *b == b'"' { 2 } else { 1 }));
            field = std::iter::once(b'"').chain(doubled).chain(std::iter::once(b'"')).collect();
        }
        field
    };
    let mut spec = b"type=bind,".to_vec();
    spec.extend(field("src=", &mount.source));
    spec.push(b',');
    spec.extend(field("dst=", &mount.target));
    if !mount.writable {
        // podman 4.6 misread `readonly`.
        spec.extend_from_slice(b",ro=true");
    }
    OsString::from_vec(spec)
}

/// docker and nerdctl take no mount options for volumes. What they would keep from working does
/// not work in a box anyway, but for `noexec`.
fn volume_spec(engine: &Engine, volume: &Volume) -> String {
    let mut spec = format!("type=volume,src={},dst={}", volume.name, volume.target);
    if engine.kind == Kind::Podman {
        spec.push_str(if volume.exec { ",nosuid,nodev" } else { ",nosuid,nodev,noexec" });
    }
    if !volume.writable {
        spec.push_str(",ro=true");
    }
    spec
}

/// Makes a volume with one label.
pub fn create_volume(engine: &Engine, name: &str, label: (&str, &str)) -> Vec<OsString> {
    let mut argv = Argv::of(engine, &["volume", "create"]);
    argv.option("--label", format!("{}={}", label.0, label.1)).word(name);
    argv.0
}

/// Succeeds if the volume is there.
pub fn volume_exists(engine: &Engine, name: &str) -> Vec<OsString> {
    let mut argv = Argv::of(engine, &["volume", "inspect"]);
    argv.word(name);
    argv.0
}

/// Removes a volume with all that is in it.
pub fn remove_volume(engine: &Engine, name: &str) -> Vec<OsString> {
    let mut argv = Argv::of(engine, &["volume", "rm"]);
    argv.word(name);
    argv.0
}

/// `commit`: one image of what a container has left. Its entry point and working directory are for people who look at
/// it: a run says its own.
pub fn commit(engine: &Engine, plan: &CommitPlan) -> Vec<OsString> {
    let mut argv = Argv::of(engine, &["commit"]);
    argv.option("--change", format!("ENTRYPOINT [\"{GUEST}\"]")).option("--change", "CMD []");
    if engine.commits_labels() {
        argv.option("--change", "WORKDIR /");
        for (name, value) in &plan.labels {
            argv.option("--change", format!("LABEL {name}={value}"));
        }
    }
    argv.word(&plan.container).word(&plan.image);
    argv.0
}

/// `build`: the same image with labels, for engines whose `commit` gives none.
pub fn label(engine: &Engine, plan: &LabelPlan) -> Vec<OsString> {
    let mut argv = Argv::of(engine, &["build"]);
    argv.option("--tag", &plan.image).option("--build-arg", format!("BASE={}", plan.base));
    for (name, value) in &plan.labels {
        argv.option("--label", format!("{name}={value}"));
    }
    argv.flag("--progress=plain");
    let mut dockerfile = plan.context.clone();
    dockerfile.push("Dockerfile");
    argv.option("--file", dockerfile).word(&plan.context);
    argv.0
}

/// podman's `info`: where its storage.conf is, its files of what is running, and those of images.
pub fn storage(engine: &Engine) -> Vec<OsString> {
    let mut argv = Argv::of(engine, &["info"]);
    argv.option("--format", "{{.Store.ConfigFile}}\n{{.Store.RunRoot}}\n{{.Store.GraphRoot}}");
    argv.0
}

/// What an engine can be asked about an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// Its name on the engine.
    Id,
    /// The DiffIDs of its layers, as JSON.
    Layers,
    /// What its registry calls it, by content, as JSON: none if it comes of no registry.
    Digests,
    /// Its size in bytes, with that of what it is made of.
    Size,
}

/// Asks about an image; fails if it is not there.
pub fn image(engine: &Engine, image: &str, about: About) -> Vec<OsString> {
    let field = match about {
        About::Id => "{{.Id}}",
        About::Layers => "{{json .RootFS.Layers}}",
        About::Digests => "{{json .RepoDigests}}",
        About::Size => "{{.Size}}",
    };
    let mut argv = Argv::of(engine, &["image", "inspect"]);
    argv.option("--format", field).word(image);
    argv.0
}

/// Reads images from a file.
pub fn load(engine: &Engine, file: &std::path::Path) -> Vec<OsString> {
    let mut argv = Argv::of(engine, &["load"]);
    argv.flag("--input").word(file);
    argv.0
}

/// Brings an image from its registry.
pub fn pull(engine: &Engine, image: &str) -> Vec<OsString> {
    let mut argv = Argv::of(engine, &["pull"]);
    argv.flag("--quiet").word(image);
    argv.0
}

/// Removes images.
pub fn remove_images(engine: &Engine, images: &[String]) -> Vec<OsString> {
    let mut argv = Argv::of(engine, &["image", "rm"]);
    argv.0.extend(images.iter().map(OsString::from));
    argv.0
}

/// Lists the names of the images with this [`HOME_LABEL`].
pub fn images_of(engine: &Engine, home: &str) -> Vec<OsString> {
    let mut argv = Argv::of(engine, &["images"]);
    argv.option("--format", "{{.Repository}}:{{.Tag}}").option("--filter", format!("label={HOME_LABEL}={home}"));
    argv.0
}

/// Returns when a container has ended.
pub fn wait(engine: &Engine, name: &str) -> Vec<OsString> {
    let mut argv = Argv::of(engine, &["wait"]);
    argv.word(name);
    argv.0
}

/// Ends and removes containers by name.
pub fn remove_containers(engine: &Engine, names: &[String]) -> Vec<OsString> {
    let mut argv = Argv::of(engine, &["rm"]);
    argv.flag("--force").flag("--volumes");
    argv.0.extend(names.iter().map(OsString::from));
    argv.0
}

/// The name that an image has until it has labels.
pub fn unlabelled(run: &str) -> String {
    format!("localhost/{run}")
}

/// Removes everything that a run of this name can have left: its container, and images that have no name of their own
/// yet.
pub fn clear(engine: &Engine, run: &str) -> Vec<Vec<OsString>> {
    let mut unnamed = Argv::of(engine, &["image", "prune"]);
    unnamed.flag("--force").option("--filter", format!("label={RUN_LABEL}={run}"));
    let mut commands = vec![remove_containers(engine, &[run.to_owned()])];
    if !engine.commits_labels() {
        commands.push(remove_images(engine, &[unlabelled(run)]));
    }
    commands.push(unnamed.0);
    commands
}

#[cfg(test)]
#[path = "argv_tests.rs"]
pub(crate) mod tests;
