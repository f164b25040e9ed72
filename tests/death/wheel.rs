//! Deaths while a Python project is built, which runs the project's own code.

use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::cold::{child_with, clean};
use super::{SERVER, command};
use crate::support::lane::processes;
use crate::support::run::finish;
use crate::support::web::{Repository, Web};
use crate::support::{Carrier, Home, Lane, run, wait_for};

/// Its build never ends by itself, until it is told to.
struct Project {
    _web: Web,
    /// Its own: images of one name would take it from each other.
    name: String,
    repository: Repository,
    line: String,
    /// Stands in the command line of the build's process.
    mark: String,
}

impl Project {
    fn new(lane: &Lane, name: &str) -> Self {
        let web = Web::start();
        let project = Self {
            repository: web.repository("slow.git"),
            name: format!("slow-{name}"),
            line: format!("git+{}/slow.git", web.url),
            mark: format!("slow-{name}-{}-{}", lane.name, std::process::id()),
            _web: web,
        };
        project.commit(&format!("subprocess.run(['sh', '-c', 'sleep 900; true', '{}'])", project.mark));
        project
    }

    fn commit(&self, before: &str) {
        let backend = format!(
            "import subprocess\nfrom hatchling.build import *\nfrom hatchling.build import build_wheel as real\n\
             def build_wheel(*a, **k):\n    {before}\n    return real(*a, **k)\n"
        );
        let name = &self.name;
        let project = format!(
            "[project]\nname = '{name}'\nversion = '1.0'\n[project.scripts]\n{name} = 'slow:main'\n\
             [tool.hatch.build]\ninclude = ['slow.py']\n\
             [build-system]\nrequires = ['hatchling']\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
        );
        self.repository.commit(&[
            ("pyproject.toml", &project),
            ("backend.py", &backend),
            ("slow.py", "def main():\n    print('built')\n"),
        ]);
    }

    fn command(&self, home: &Home) -> std::process::Command {
        home.shim_with(&["NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1"], "uvx-safe", [&self.line])
    }

    /// A shim whose build has begun.
    fn begun(&self, home: &Home) -> Child {
        let mut command = self.command(home);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for("the build", || {
            assert!(child.try_wait().unwrap().is_none(), "ended before it was built");
            self.builds().then_some(())
        });
        child
    }

    fn builds(&self) -> bool {
        processes().into_iter().any(|pid| command(pid).contains(&self.mark))
    }

    /// Nothing of these is left, and a build that ends makes the box.
    fn ends_well(&self, lane: &Lane, home: &Home, mut shims: Vec<u32>) {
        clean(lane, home, &shims);
        assert!(!self.builds() && home.records().is_empty());
        self.commit("pass");
        let done = run(self.command(home), b"").ok();
        assert_eq!(done.text(), "built\n", "{}", done.words());
        shims.push(done.pid);
        clean(lane, home, &shims);
        home.remove_boxes();
    }
}

fn send(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.cast_signed()), signal).unwrap();
}

/// The shim dies, by itself or told to: its keeper ends the build.
pub fn kill_of_the_shim(lane: &'static Lane) {
    let (home, project) = (Home::empty(lane), Project::new(lane, "shim"));
    let mut shims = Vec::new();
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let mut child = project.begun(&home);
        send(child.id(), signal);
        child.wait().unwrap();
        wait_for("the end of the build", || (!project.builds()).then_some(()));
        shims.push(child.id());
    }
    project.ends_well(lane, &home, shims);
}

/// The engine's client dies: the shim ends what it started, and says so.
pub fn kill_of_the_client(lane: &'static Lane) {
    let (home, project) = (Home::empty(lane), Project::new(lane, "client"));
    let child = project.begun(&home);
    let shim = child.id();
    send(child_with(shim, &format!("jitbox-{shim}-")), Signal::SIGKILL);
    let done = finish(child);
    assert!(!done.status.success() && done.stderr.contains("could not be built"), "{}", done.words());
    project.ends_well(lane, &home, vec![shim]);
}

/// The shim and its keeper die: a later start of somebody else clears up after them.
pub fn kill_of_the_keeper(lane: &'static Lane) {
    let (home, project) = (Home::empty(lane), Project::new(lane, "keeper"));
    let mut child = project.begun(&home);
    send(child_with(child.id(), "jitbox-keeper"), Signal::SIGKILL);
    child.kill().unwrap();
    child.wait().unwrap();
    let other = Home::warmed(lane, Carrier::Chosen, &[&SERVER]);
    let done = run(other.shim(SERVER.shim, SERVER.args), b"").ok();
    project.ends_well(lane, &home, vec![child.id(), done.pid]);
}
