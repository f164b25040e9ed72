//! Deaths while the engine is making the box.

use std::process::Stdio;
use std::time::Duration;

use super::SERVER;
use crate::support::lane::nothing_left;
use crate::support::{Carrier, Home, Lane, loading, run};

const KILLS: u64 = 20;

/// Kills at moments spread over the first 400 ms; then one start, after which nothing is left.
pub fn kills(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&SERVER]);
    let _load = loading();
    let mut shims = Vec::new();
    for i in 0..KILLS {
        let mut command = home.shim(SERVER.shim, SERVER.args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(5 + i * 395 / KILLS));
        child.kill().unwrap();
        child.wait().unwrap();
        shims.push(child.id());
    }
    let done = run(home.shim(SERVER.shim, SERVER.args), b"").ok();
    assert_eq!(done.text(), "moo\n");
    shims.push(done.pid);
    for shim in shims {
        nothing_left(lane, shim);
    }
}

/// A shim that was killed between making its run's folder and saying whose it is.
pub fn no_owner_file(lane: &'static Lane) {
    let home = Home::warmed(lane, Carrier::Chosen, &[&SERVER]);
    let runs = std::path::Path::new(&lane.env["XDG_RUNTIME_DIR"]).join("jitbox/runs");
    // No process has a number as high as this (proc_sys_kernel(5), pid_max).
    let left = runs.join("4194305-aBcDeFgHiJ");
    std::fs::create_dir_all(&left).unwrap();
    run(home.shim(SERVER.shim, SERVER.args), b"").ok();
    assert!(!left.exists());
}
