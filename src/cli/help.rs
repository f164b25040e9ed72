//! What the shims say about themselves, and which launchers there are.

use crate::launch::Launcher;
use crate::launch::tighten::OPTIONS;
use crate::launch::tool::TOOLS;
use crate::launch::wrapper::WRAPPERS;

/// The `--help` of a shim or of `jitbox LAUNCHER`.
pub fn shim(launcher: Launcher) -> String {
    let (program, tool) = (launcher.program(), launcher.name());
    let usage = match launcher {
        Launcher::UvRun => "--with PACKAGE COMMAND [ARGUMENTS]",
        _ => "[OPTIONS] PACKAGE [ARGUMENTS]",
    };
    let width = OPTIONS.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let ours: String = OPTIONS.iter().map(|(name, what)| format!("  {name:width$}  {what}\n")).collect();
    format!(
        "{program} takes the line that {tool} would take and runs the package in a hardened container.\n\n\
         usage: {program} {usage}\n\n\
         The options are those of {tool}; these are added, in front of the package:\n{ours}\n\
         `jitbox doctor` says which container engine is used and why.\n"
    )
}

/// The launchers and wrappers, for the `--help` of jitbox.
pub fn launchers() -> String {
    let tools = TOOLS.iter().filter(|tool| !tool.program.ends_with("-safe"));
    let tools: String = tools.map(|tool| format!("  jitbox {} …\n", tool.words())).collect();
    let wrappers: String = WRAPPERS.iter().map(|wrapper| format!("  jitbox run -- {}\n", wrapper.form)).collect();
    format!(
        "Launchers, each with the line that it would take:\n{tools}\nWhole lines of a client's configuration:\n{wrappers}"
    )
}
