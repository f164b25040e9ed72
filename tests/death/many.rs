//! Many at once.

use std::process::Stdio;

use crate::support::lane::nothing_left;
use crate::support::run::finish;
use crate::support::{Home, Lane, loading};

const LINE: [&str; 7] = ["-y", "-p", "cowsay@1.4.0", "-p", "is-number@7.0.0", "cowsay", "moo"];
const STARTS: usize = 50;

/// Nobody has the box yet, and fifty want it: it is made once, and all get their answer.
pub fn first_starts(lane: &'static Lane) {
    let home = Home::empty(lane);
    let _load = loading();
    let start = || {
        let mut command = home.shim("npx-safe", LINE);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = (0..STARTS).map(|_| start()).collect();
    let done: Vec<_> = std::thread::scope(|scope| {
        let waiting: Vec<_> = children.into_iter().map(|child| scope.spawn(move || finish(child))).collect();
        waiting.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let made = done.iter().filter(|done| done.stderr.contains("preparing cowsay")).count();
    let mut shims = Vec::new();
    for done in done {
        let done = done.ok();
        assert!(done.text().contains("< moo >"), "{}", done.words());
        shims.push(done.pid);
    }
    assert_eq!(made, 1, "the box was made by so many");
    for shim in shims {
        nothing_left(lane, shim);
    }
    home.remove_boxes();
}
