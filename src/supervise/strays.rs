//! Processes that an engine's command line left behind when it was killed. A build of podman's
//! has no daemon that would end its steps; and a runtime that has made a container which nobody
//! starts any more waits for ever.

use std::ffi::OsString;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Tells whose a process is. What an engine's command line starts itself inherits it.
const MARK: &str = "JITBOX_RUN";

/// The same in the steps of a build: an argument of our templates.
const STEP_MARK: &str = "RUN";

/// The environment that marks what belongs to a run.
pub fn mark(run: &str) -> Vec<(OsString, OsString)> {
    vec![(MARK.into(), run.into())]
}

/// Ends what belongs to a run. Where there is no /proc the engine's processes are in a machine
/// of their own, out of our sight.
pub fn end(run: &str) {
    let marks = [MARK, STEP_MARK].map(|name| format!("{name}={run}").into_bytes());
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|variable| marks.iter().any(|mark| mark == variable)) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a process to be ended")]
    fn ends_what_is_marked_and_nothing_else() {
        let start = |run: &str| {
            let mut command = Command::new("cat");
            command.envs(mark(run)).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
        };
        let run = format!("jitbox-{}-test", std::process::id());
        let (mut ours, mut other) = (start(&run), start(&format!("{run}2")));
        end(&run);
        assert!(!ours.wait().unwrap().success());
        drop(other.stdin.take());
        assert!(other.wait().unwrap().success());
    }
}
