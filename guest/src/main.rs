//! PID 1 of a box. It connects the link, receives what to start, starts it, reaps, delivers
//! signals, says how it ended, and ends everything when the link drops. When it returns, the
//! kernel ends whatever is left in its PID namespace.

mod child;
mod hold;
mod link;
mod mounts;
mod network;
mod serve;
mod usage;
mod watch;

use std::os::fd::RawFd;
use std::process::ExitCode;

use link::Link;

/// What the engine sees when the guest itself fails (docker-run(1): 125, "the engine failed").
const FAILED: u8 = 125;

#[expect(clippy::disallowed_methods, reason = "the guest is a program of its own; its arguments are plain ASCII")]
fn main() -> ExitCode {
    // The program runs as the same user: it must not be able to trace us or open our link
    // through /proc (ptrace(2), PR_SET_DUMPABLE).
    let hidden = nix::sys::prctl::set_dumpable(false);
    let args: Vec<_> = std::env::args().skip(1).collect();
    let link = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["fd", number] => number.parse::<RawFd>().map_err(|e| e.to_string()).and_then(Link::inherited),
        ["socket", path] => Link::connect(path),
        ["stdio"] => Link::stdio(),
        _ => Err("usage: jitbox-guest fd N | socket PATH | stdio".into()),
    };
    let outcome = hidden.map_err(|e| format!("can't hide from the program: {e}")).and(link).and_then(serve::serve);
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(why) => {
            complain(&why);
            ExitCode::from(FAILED)
        }
    }
}

#[expect(clippy::print_stderr, reason = "the guest's only words, seen in the engine's own output")]
fn complain(why: &str) {
    eprintln!("jitbox-guest: {why}");
}
