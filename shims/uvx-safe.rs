//! `uvx-safe`: takes the line that `uvx` would take.

use std::process::ExitCode;

use jitbox::launch::Launcher;
use jitbox::shim;

fn main() -> ExitCode {
    shim::main(Launcher::Uvx)
}
