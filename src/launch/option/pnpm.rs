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
    value(&["--reporter", "--loglevel"], Effect::Harmless),
];
