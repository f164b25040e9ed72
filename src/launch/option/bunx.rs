//! The options of `bunx` (Bun 1.4, `bunx --help`).

use super::{Effect, OptionRow, Table, flag, refused, value};

/// Every option that is understood.
pub const TABLE: Table = Table(ROWS);

const ROWS: &[OptionRow] = &[
    value(&["--package", "-p"], Effect::Package),
    flag(&["--help", "-h"], Effect::Help),
    flag(&["--version", "-v", "--revision"], Effect::Version),
    // Not in its help, but taken.
    flag(&["--yes", "-y"], Effect::Harmless),
    flag(&["--silent", "--verbose", "--ignore-scripts"], Effect::Harmless),
    value(&["--registry"], Effect::Registry),
    value(&["--cwd"], refused("starts in another folder", "set the working directory in the client's entry")),
    value(
        &["--env-file"],
        refused("names a file of this machine", "set the variables in the client's `env` for this server"),
    ),
    value(
        &["--ca", "--cafile"],
        refused("is about certificates", "name the CA's file in NODE_EXTRA_CA_CERTS, in the environment"),
    ),
    value(
        &["--minimum-release-age"],
        refused("chooses versions by their date, which a line can't do here", "name a version: `bunx pkg@1.2.3`"),
    ),
    flag(&["--trust"], refused("allows install scripts, which a line can't do", "leave it out")),
    flag(
        &["--bun", "-b"],
        refused(
            "runs the package in Bun, and there are only images of Node.js",
            "leave it out: without it bunx, too, runs packages in Node.js",
        ),
    ),
    flag(
        &["--no-install"],
        refused("forbids the install, and nothing of this machine's node_modules is ever used", "leave it out"),
    ),
];
