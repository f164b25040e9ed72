//! What the shims say about themselves.

use crate::launch::Launcher;

/// The shim's `--help`.
pub fn shim(launcher: Launcher) -> String {
    let (shim, tool) = (launcher.shim(), launcher.name());
    format!(
        "{shim} takes the line that {tool} would take and runs the package in a hardened container.\n\n\
         usage: {shim} [OPTIONS] PACKAGE [ARGUMENTS]\n\n\
         The options are those of {tool}; these are added, in front of the package:\n  \
         --safe-plan          print every step and run nothing\n  \
         --safe-net=none      no network, whatever the settings say\n  \
         --safe-ro            no mount is writable\n  \
         --safe-env=NAME      pass no variable but this one (repeatable)\n  \
         --safe-level=strict  take away everything that was not granted\n\n\
         `jitbox doctor` says which container engine is used and why.\n"
    )
}
