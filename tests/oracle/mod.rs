//! The real npx and uvx, asked what they make of the lines that we take.
//!
//! npm and uv come from their registries, unless the npm of this machine is of the right major version. Nothing else here
//! needs a network: npm is asked by its own code, uv by pointing it at an index of ours. Where they can't be had nothing
//! is checked, which is a failure in CI.

mod index;
mod lines;
mod npx;
mod sources;
pub mod uvx;
mod zip;

use std::path::Path;
use std::process::{Command, Stdio};

pub const PLAIN: &[(&str, fn())] = &[
    ("oracle::npm_11", || npx::check(11)),
    ("oracle::npm_12", || npx::check(12)),
    ("oracle::uvx_options", uvx::options),
    ("oracle::uvx_asks_for", uvx::asks_for),
    ("oracle::uvx_runs", uvx::runs),
    ("oracle::uvx_sources", sources::check),
    ("oracle::public_lines", lines::public),
];

/// What the standard output of a command is, or why there is none.
fn output(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|e| format!("{command:?}: {e}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("{command:?}: {}", text(&output.stderr)))
    }
}

/// A tool that could not be had: a failure where everything has to be there.
fn not_checked(why: &str) {
    let required = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    assert!(!required("CI") && !required("JITBOX_REQUIRE_LANES"), "{why}");
    eprintln!("not checked: {why}");
}

/// A command with nothing of our environment but the way to programs.
fn clean(program: impl AsRef<std::ffi::OsStr>, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", home).current_dir(home);
    command
}
