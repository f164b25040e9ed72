//! The options of `pnpm dlx` (pnpm 10 and 12, as they were seen to read them).

use super::{Effect, OptionRow, Table, flag, refused, value};

/// Every option that is understood.
pub const TABLE: Table = Table(ROWS);

const ROWS: &[OptionRow] = &[
    value(&["--package"], Effect::Package),
    flag(&["--help", "-h"], Effect::Help),
    flag(&["--version", "-v"], Effect::Version),
    flag(&["-p", "--parseable"], refused("does not name a package for pnpm", "write `--package=pkg`")),
    value(&["--registry"], Effect::Registry),
    flag(&["-y", "--yes"], Effect::Harmless),
    flag(
        &["--shell-mode", "-c"],
        refused(
            "runs a line of shell, which is not supported",
            "name the command and its arguments: `pnpm --package=pkg dlx command arg…`",
        ),
    ),
    value(&["--allow-build"], refused("allows install scripts, which a line can't do", "leave it out")),
    value(&["--dir", "-C"], refused("starts in another folder", "set the working directory in the client's entry")),
    value(&["--filter", "-F"], refused("chooses projects of this folder, which has no say here", "leave it out")),
    flag(
        &["--recursive", "-r", "--workspace-root", "-w"],
        refused("runs in the projects of this folder, which has no say here", "leave it out"),
    ),
    flag(&["--silent", "-s", "--quiet", "-q", "--verbose"], Effect::Harmless),
    value(&["--cpu", "--os", "--libc"], refused("chooses another platform than the container's", "leave it out")),
    value(
        &["--env-file"],
        refused("names a file of this machine", "set the variables in the client's `env` for this server"),
    ),
    value(&["--npmrc-auth-file"], refused("names another configuration file", "put its settings into ~/.npmrc")),
    value(
        &["--https-proxy", "--http-proxy", "--no-proxy"],
        refused(
            "changes the way to the registry, which a line can't do here",
            "set HTTPS_PROXY or NO_PROXY in the environment",
        ),
    ),
    flag(&["--no-progress", "--stream", "--aggregate-output", "--use-stderr", "--ignore-workspace"], Effect::Harmless),
    value(&["--reporter", "--loglevel", "--store-dir", "--state-dir"], Effect::Harmless),
];
