//! Detection against recorded answers; no engine is started here.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use super::*;
use crate::context::Env;
use crate::engine::{Architecture, Builder};
use crate::error::Kind as Failure;

const DOCKER_20: &str = r#"{"Client":{"Platform":{"Name":""},"Version":"20.10.24+dfsg1","ApiVersion":"1.41","Context":"default"},"Server":{"Platform":{"Name":""},"Components":[{"Name":"Engine","Version":"20.10.24+dfsg1","Details":{"ApiVersion":"1.41"}}],"Version":"20.10.24+dfsg1","ApiVersion":"1.41","MinAPIVersion":"1.12","Os":"linux","Arch":"amd64"}}"#;
const DOCKER_INFO: &str = r#"{"ID":"U3WI","Driver":"overlay2","MemoryLimit":true,"SwapLimit":true,"CpuCfsPeriod":true,"CpuCfsQuota":true,"PidsLimit":true,"CgroupDriver":"cgroupfs","CgroupVersion":"1","KernelVersion":"KERNEL","OperatingSystem":"Debian GNU/Linux 12 (bookworm)","OSType":"linux","Architecture":"x86_64","Name":"vm","ServerVersion":"20.10.24+dfsg1","SecurityOptions":["name=seccomp,profile=default"],"Warnings":null}"#;
const PODMAN_INFO: &str = r#"{"host":{"arch":"amd64","cgroupManager":"cgroupfs","cgroupVersion":"v1","cgroupControllers":[],"kernel":"KERNEL","serviceIsRemote":false,"security":{"rootless":true,"selinuxEnabled":false}},"store":{},"version":{"APIVersion":"4.3.1","Version":"4.3.1","OsArch":"linux/amd64"}}"#;
const NERDCTL: &str = r#"{"Client":{"Version":"v2.3.5","Os":"linux","Components":[{"Name":"buildctl","Version":"v0.29.0"}]},"Server":{"Components":[{"Name":"containerd","Version":"2.2.9+unknown"}]}}"#;
const NERDCTL_INFO: &str = r#"{"MemoryLimit":true,"CpuCfsQuota":true,"PidsLimit":true,"CgroupDriver":"none","KernelVersion":"KERNEL","OSType":"linux","Architecture":"aarch64","ServerVersion":"2.2.9","SecurityOptions":["name=seccomp,profile=builtin","name=rootless"]}"#;

type Answers = Vec<(&'static str, i32, String)>;

/// A machine of our own: a home, a folder of programs, answers, and a list of what was started.
struct Bed {
    dir: tempfile::TempDir,
    context: Context,
    config: Config,
    answers: RefCell<Answers>,
    started: RefCell<Vec<String>>,
}

impl Bed {
    fn new(programs: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("bin");
        for made in [&bin, &dir.path().join("home"), &dir.path().join("run")] {
            fs::create_dir(made).unwrap();
            fs::set_permissions(made, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut context = Context::read();
        context.home = dir.path().join("home");
        context.env = Env::default();
        let bed = Self { dir, context, config: Config::default(), answers: RefCell::default(), started: RefCell::default() };
        for name in programs {
            bed.program(name, "\u{7f}ELF");
        }
        bed.env(&[])
    }

    fn program(&self, name: &str, content: &str) -> PathBuf {
        let path = self.dir.path().join("bin").join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn env(mut self, more: &[(&str, &str)]) -> Self {
        let path = self.dir.path().join("bin").into_os_string();
        let run = self.dir.path().join("run").into_os_string();
        let base = [("PATH", path), ("XDG_RUNTIME_DIR", run), ("USER", "me".into()), ("LOGNAME", "me".into())];
        let all = base.into_iter().chain(more.iter().map(|(k, v)| (*k, OsString::from(v))));
        self.context.env = all.collect();
        self
    }

    /// Commands that contain the words get this exit code and this output (stderr on failure).
    fn answers(self, list: &[(&'static str, i32, &str)]) -> Self {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let list = list.iter().map(|(words, code, text)| (*words, *code, text.replace("KERNEL", kernel.trim())));
        self.answers.replace(list.collect());
        self
    }

    fn all_alive(self) -> Self {
        self.answers(&[
            ("docker --version", 0, "Docker version 20.10.24, build 297e128"),
            ("buildx version", 1, "docker: 'buildx' is not a docker command."),
            ("info --format json", 0, PODMAN_INFO),
            ("bin/nerdctl version", 0, NERDCTL),
            ("bin/nerdctl info", 0, NERDCTL_INFO),
            ("version --format", 0, DOCKER_20),
            ("info --format", 0, DOCKER_INFO),
        ])
    }

    fn layout(&self) -> Layout {
        Layout::new(&self.context)
    }

    fn with<T>(&self, work: impl FnOnce(&Machine<'_>) -> T) -> T {
        let run = |cmd: &Cmd| {
            let line = cmd.argv().join(" ");
            self.started.borrow_mut().push(line.clone());
            let answers = self.answers.borrow();
            let (_, code, text) = answers.iter().find(|(words, ..)| line.contains(words)).unwrap_or_else(|| panic!("unexpected: {line}"));
            let (stdout, stderr) = if *code == 0 { (text.clone(), String::new()) } else { (String::new(), text.clone()) };
            Ok(Output { status: ExitStatus::from_raw(code << 8), stdout: stdout.into(), stderr: stderr.into() })
        };
        let docker_socket = self.dir.path().join("docker.sock");
        work(&Machine { program_dirs: vec![self.dir.path().join("more")], docker_socket, run: &run })
    }

    fn find(&self) -> Result<Engine> {
        self.with(|machine| find_on(machine, &self.context, &self.config, &self.layout()))
    }

    fn spawned(&self) -> usize {
        self.started.take().len()
    }
}

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
    let remote = all().env(&[("CONTAINER_HOST", "ssh://u@h/run/podman.sock"), ("SSH_AUTH_SOCK", "/agent")]).find().unwrap();
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
fn what_recorded_answers_mean() {
    let docker = Bed::new(&["docker"]).all_alive().find().unwrap().facts;
    assert_eq!((docker.version.as_str(), docker.builder, docker.architecture), ("20.10.24+dfsg1", Builder::Classic, Architecture::X86_64));
    assert!(docker.enforces.memory && docker.enforces.pids && docker.enforces.cpus && !docker.rootless && !docker.remote);

    let podman = Bed::new(&["podman"]).all_alive().find().unwrap();
    assert!(podman.facts.rootless && !podman.facts.remote && !podman.facts.enforces.memory && !podman.facts.enforces.pids);
    let v2 = PODMAN_INFO.replace("\"v1\"", "\"v2\"").replace("cgroupfs", "systemd").replace("Controllers\":[]", "Controllers\":[\"memory\",\"pids\"]");
    let podman = Bed::new(&["podman"]).answers(&[("info", 0, &v2)]).find().unwrap();
    let enforces = podman.facts.enforces;
    assert!(enforces.memory && enforces.pids && !enforces.cpus);

    let nerdctl = Bed::new(&["nerdctl"]).all_alive().find().unwrap().facts;
    assert!(nerdctl.rootless && !nerdctl.enforces.memory && nerdctl.builder == Builder::Buildkit);
    assert_eq!((nerdctl.version.as_str(), nerdctl.architecture), ("2.3.5", Architecture::Aarch64));
    let old = NERDCTL.replace("v2.3.5", "v1.7.6");
    let error = Bed::new(&["nerdctl"]).answers(&[("version", 0, &old)]).find().unwrap_err();
    assert!(error.to_string().contains("too old"), "{error}");

    let desktop = DOCKER_INFO.replace("Debian GNU/Linux 12 (bookworm)", "Docker Desktop").replace("name=seccomp", "name=selinux");
    let bed = Bed::new(&["docker"]);
    let bed = bed.answers(&[("--version", 0, "Docker version 28"), ("buildx", 0, ""), ("version", 0, DOCKER_20), ("info", 0, &desktop)]);
    let facts = bed.find().unwrap().facts;
    assert!(facts.remote && facts.selinux && facts.builder == Builder::Buildkit);
    assert_eq!(facts.product.as_deref(), Some("Docker Desktop"));

    let other = DOCKER_INFO.replace("KERNEL", "5.15.0-other");
    let bed = Bed::new(&["docker"]);
    let bed = bed.answers(&[("--version", 0, "Docker version 28"), ("buildx", 0, ""), ("version", 0, DOCKER_20), ("info", 0, &other)]);
    assert!(bed.find().unwrap().facts.remote);

    let podman_socket = DOCKER_20.replace("\"Engine\"", "\"Podman Engine\"");
    let bed = Bed::new(&["docker"]).answers(&[("--version", 0, "Docker version 28"), ("version", 0, &podman_socket)]);
    assert!(bed.find().unwrap_err().hints[0].contains("podman"));
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
    assert_eq!(bed.spawned(), 5);
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
fn the_environment_is_scrubbed() {
    let bed = Bed::new(&["podman"]).all_alive().env(&[
        ("LISTEN_FDS", "1"),
        ("NOTIFY_SOCKET", "/n"),
        ("INVOCATION_ID", "1"),
        ("PODMAN_USERNS", "host"),
        ("CONTAINERS_CONF", "/evil"),
        ("DOCKER_CONFIG", "/d"),
        ("HTTPS_PROXY", "http://u:p@h"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
        ("SSH_AUTH_SOCK", "/agent"),
        ("LD_PRELOAD", "/evil.so"),
        ("TMPDIR", "relative"),
        ("LANG", "C.UTF-8"),
    ]);
    fs::write(bed.dir.path().join("run/bus"), "").unwrap();
    let engine = bed.find().unwrap();
    let mut names: Vec<&str> = engine.environment.iter().filter_map(|(name, _)| name.to_str()).collect();
    names.retain(|name| *name != "DBUS_SESSION_BUS_ADDRESS");
    assert_eq!(names, ["PATH", "HOME", "USER", "LOGNAME", "XDG_RUNTIME_DIR", "LANG", "PODMAN_IGNORE_CGROUPSV1_WARNING"]);
    let bus = engine.environment.iter().any(|(name, _)| name == "DBUS_SESSION_BUS_ADDRESS");
    assert_eq!(bus, bed.context.uid != 0);
    let path = engine.environment[0].1.to_str().unwrap();
    assert!(path.starts_with(bed.dir.path().join("bin").to_str().unwrap()) && path.ends_with("/usr/bin:/bin:/usr/sbin:/sbin"), "{path}");
}

#[test]
fn dockers_endpoint_is_pinned() {
    let bed = Bed::new(&["docker"]).all_alive();
    let default = format!("unix://{}", bed.dir.path().join("docker.sock").display());
    assert_eq!(bed.find().unwrap().endpoint, ["--host", default.as_str()]);

    // Rootless, if the system's is not there.
    let rootless = bed.dir.path().join("run/docker.sock");
    fs::write(&rootless, "").unwrap();
    assert_eq!(bed.find().unwrap().endpoint[1], OsString::from(format!("unix://{}", rootless.display())));

    // The current context, by what it points to; not by its name, which can be pointed elsewhere.
    let config = bed.context.home.join(".docker");
    let id = hex(b"desktop-linux");
    fs::create_dir_all(config.join("contexts/meta").join(&id)).unwrap();
    fs::write(config.join("config.json"), r#"{"auths":{},"currentContext":"desktop-linux"}"#).unwrap();
    assert!(bed.find().unwrap_err().to_string().contains("does not exist"));
    let meta = config.join("contexts/meta").join(&id).join("meta.json");
    let context = |host: &str| format!(r#"{{"Name":"desktop-linux","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}","SkipTLSVerify":false}}}}}}"#);
    fs::write(&meta, context("unix:///desk.sock")).unwrap();
    assert_eq!(bed.find().unwrap().endpoint, ["--host", "unix:///desk.sock"]);
    fs::write(&meta, context("ssh://me@far")).unwrap();
    let engine = bed.find().unwrap();
    assert_eq!(engine.endpoint, ["--context", "desktop-linux"]);
    assert!(engine.facts.remote);
    fs::write(&meta, context("tcp://far:2376")).unwrap();
    assert_eq!(bed.find().unwrap_err().kind, Failure::Refused);

    for (host, tls, fine) in [
        ("tcp://127.0.0.1:2375", "", false),
        ("127.0.0.1:2375", "", false),
        ("http://h", "1", false),
        ("tcp://h:2376", "1", true),
        ("ssh://u@h", "", true),
        ("ssh://-oProxyCommand=x", "", false),
        ("unix://relative", "", false),
        ("lxc://x", "1", false),
    ] {
        let bed = Bed::new(&["docker"]).all_alive().env(&[("DOCKER_HOST", host), ("DOCKER_TLS_VERIFY", tls)]);
        assert_eq!(bed.find().is_ok(), fine, "{host}");
    }
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
