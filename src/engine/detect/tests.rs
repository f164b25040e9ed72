//! Detection against recorded answers; no engine is started here.

mod choice;
mod facts;
mod pinned;

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use super::*;
use crate::context::Env;

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
        let bed =
            Self { dir, context, config: Config::default(), answers: RefCell::default(), started: RefCell::default() };
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
            let (_, code, text) =
                answers.iter().find(|(words, ..)| line.contains(words)).unwrap_or_else(|| panic!("unexpected: {line}"));
            let (stdout, stderr) =
                if *code == 0 { (text.clone(), String::new()) } else { (String::new(), text.clone()) };
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
