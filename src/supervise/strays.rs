//! Processes that an engine's command line left behind when it was killed: a runtime that has
//! made a container which nobody starts any more waits for ever.

use std::ffi::OsString;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Tells whose a process is. What an engine's command line starts itself inherits it.
const MARK: &str = "JITBOX_RUN";

/// How often it is looked for what belongs to a run, and how long after another.
const LOOKS: usize = 10;
const BETWEEN: Duration = Duration::from_millis(20);

/// The environment that marks what belongs to a run.
pub fn mark(run: &str) -> Vec<(OsString, OsString)> {
    vec![(MARK.into(), run.into())]
}

/// Ends what belongs to a run, except for what the engine started on that occasion for all that it
/// runs. Where there is no /proc the engine's processes are in a machine
/// of their own, out of our sight.
pub fn end(run: &str) {
    let mark = format!("{MARK}={run}").into_bytes();
    // A process that is just becoming another program has no environment for a moment (proc(5)), and one that is about
    // to end may start another: nothing is left when nothing was found twice.
    let mut in_vain = 0;
    for _ in 0..LOOKS {
        in_vain = if end_all(&mark) { 0 } else { in_vain + 1 };
        if in_vain == 2 {
            return;
        }
        std::thread::sleep(BETWEEN);
    }
}

/// Ends those that can be seen; whether there were any.
fn end_all(mark: &[u8]) -> bool {
    let mut found = false;
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        let is_marked = environment.split(|byte| *byte == 0).any(|variable| variable == mark);
        if is_marked && !is_for_all(&std::fs::read(entry.path().join("cmdline")).unwrap_or_default(), &environment) {
            found |= kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok();
        }
    }
    found
}

/// Whether this process is not the run's alone, whichever of the engine's command lines started it: the one that
/// keeps a user's namespaces (podman's `rootless_linux.c`: `catatonit -P`, or itself with a variable), the names'
/// server of all networks, and the way out of those of a user without root.
fn is_for_all(command: &[u8], environment: &[u8]) -> bool {
    let words: Vec<&[u8]> = command.split(|byte| *byte == 0).collect();
    let program = words[0].rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let names = |needle: &[u8]| words.iter().any(|word| word.windows(needle.len()).any(|part| part == needle));
    match program {
        b"catatonit" => words.contains(&&b"-P"[..]),
        b"podman" => environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(b"_PODMAN_PAUSE=")),
        b"aardvark-dns" => true,
        b"pasta" | b"pasta.avx2" | b"passt" | b"slirp4netns" => names(b"rootless-netns"),
        _ => false,
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn what_serves_all_of_them_stays() {
        let mark = b"A=1\0JITBOX_RUN=jitbox-1-a\0";
        let pause = b"JITBOX_RUN=jitbox-1-a\0_PODMAN_PAUSE=1\0";
        assert!(is_for_all(b"podman\0", pause) && is_for_all(b"/usr/libexec/podman/catatonit\0-P\0", mark));
        assert!(is_for_all(b"/usr/lib/podman/aardvark-dns\0--config\0/run/x\0run\0", mark));
        assert!(is_for_all(b"/usr/bin/pasta\0--config-net\0/run/user/1/containers/networks/rootless-netns/x\0", mark));
        let own: [&[u8]; 5] =
            [b"", b"podman\0build\0", b"conmon\0", b"slirp4netns\0--mtu\x0065520\0", b"catatonit\0sh\0"];
        assert!(own.iter().all(|command| !is_for_all(command, mark)));
    }

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
